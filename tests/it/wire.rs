//! Builds captures: conversations over TCP and UDP as frames, as pcap files. Deterministic.

use etherparse::PacketBuilder;
use std::net::{IpAddr, SocketAddr};

/// 2002-09-23 13:03:12 UTC, the day of the first paper's dump.
const START_NS: u64 = 1_032_786_192_000_000_000;
/// Between two frames, unless told otherwise.
const STEP_NS: u64 = 1_000_000;

const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x10];
const SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x20];

/// One frame of a capture.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    pub(crate) time_ns: u64,
    /// Length on the wire, where the capture cut the frame.
    pub(crate) len: u32,
    pub(crate) octets: Vec<u8>,
}

/// A capture in the making.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) frames: Vec<Shot>,
    pub(crate) clock_ns: u64,
}

impl Default for Wire {
    fn default() -> Self {
        Self { frames: Vec::new(), clock_ns: START_NS }
    }
}

impl Wire {
    /// A capture as it was recorded: classic pcap, little endian, microseconds, Ethernet. What is added comes after it.
    pub(crate) fn read(file: &[u8]) -> Self {
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!((number(0), number(20)), (0xa1b2_c3d4, 1), "not as tcpdump -w writes it here");
        let mut wire = Self::default();
        let mut at = 24;
        while at < file.len() {
            let cap_len = number(at + 8) as usize;
            wire.clock_ns =
                u64::from(number(at)) * 1_000_000_000 + u64::from(number(at + 4)) * 1000;
            wire.frames.push(Shot {
                time_ns: wire.clock_ns,
                len: number(at + 12),
                octets: file[at + 16..at + 16 + cap_len].to_vec(),
            });
            at += 16 + cap_len;
        }
        wire
    }

    /// Lets time pass.
    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.clock_ns += ms * 1_000_000;
    }

    /// Adds a frame as it is.
    pub(crate) fn frame(&mut self, octets: Vec<u8>) {
        self.clock_ns += STEP_NS;
        let len = u32::try_from(octets.len()).unwrap();
        self.frames.push(Shot { time_ns: self.clock_ns, len, octets });
    }

    /// A UDP datagram.
    pub(crate) fn udp(&mut self, from: &str, to: &str, payload: &[u8]) {
        let (from, to) = (address(from), address(to));
        let mut octets = Vec::new();
        match (from.ip(), to.ip()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC)
                .ipv4(a.octets(), b.octets(), 64)
                .udp(from.port(), to.port())
                .write(&mut octets, payload),
            (IpAddr::V6(a), IpAddr::V6(b)) => PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC)
                .ipv6(a.octets(), b.octets(), 64)
                .udp(from.port(), to.port())
                .write(&mut octets, payload),
            _ => panic!("one end is IPv4, the other IPv6"),
        }
        .unwrap();
        self.frame(octets);
    }

    /// Opens a TCP conversation with a handshake.
    pub(crate) fn connect(&mut self, client: &str, server: &str) -> Tcp {
        let mut tcp = Tcp::midstream(client, server, 1000, 5000);
        self.open(&mut tcp);
        tcp
    }

    /// The handshake of a conversation whose numbers are known.
    pub(crate) fn open(&mut self, tcp: &mut Tcp) {
        self.segment(tcp, true, tcp.client_seq, 0, SYN, b"");
        self.segment(tcp, false, tcp.server_seq, tcp.client_seq + 1, SYN | ACK, b"");
        tcp.client_seq += 1;
        tcp.server_seq += 1;
        self.segment(tcp, true, tcp.client_seq, tcp.server_seq, ACK, b"");
    }

    /// Payload from the client, acknowledged.
    pub(crate) fn client(&mut self, tcp: &mut Tcp, payload: &[u8]) {
        self.send(tcp, true, payload);
        self.ack(tcp, false);
    }

    /// Payload from the server, acknowledged.
    pub(crate) fn server(&mut self, tcp: &mut Tcp, payload: &[u8]) {
        self.send(tcp, false, payload);
        self.ack(tcp, true);
    }

    /// Payload without an acknowledgement.
    pub(crate) fn send(&mut self, tcp: &mut Tcp, by_client: bool, payload: &[u8]) {
        let (seq, ack) = tcp.numbers(by_client);
        self.segment(tcp, by_client, seq, ack, PSH | ACK, payload);
        tcp.advance(by_client, payload.len());
    }

    /// An acknowledgement of all that the other side sent.
    pub(crate) fn ack(&mut self, tcp: &Tcp, by_client: bool) {
        let (seq, ack) = tcp.numbers(by_client);
        self.segment(tcp, by_client, seq, ack, ACK, b"");
    }

    /// Both sides say FIN.
    pub(crate) fn close(&mut self, tcp: &mut Tcp) {
        for by_client in [true, false] {
            let (seq, ack) = tcp.numbers(by_client);
            self.segment(tcp, by_client, seq, ack, FIN | ACK, b"");
            tcp.advance(by_client, 1);
        }
        self.ack(tcp, true);
    }

    /// Any segment.
    pub(crate) fn segment(
        &mut self,
        tcp: &Tcp,
        by_client: bool,
        seq: u32,
        ack: u32,
        flags: u8,
        payload: &[u8],
    ) {
        let octets = tcp.octets(by_client, seq, ack, flags, payload);
        self.frame(octets);
    }

    /// Cuts every frame to `snaplen` octets, as a capture with that snaplen does.
    pub(crate) fn cut(&mut self, snaplen: usize) {
        for shot in &mut self.frames {
            shot.octets.truncate(snaplen);
        }
    }

    /// A classic pcap file: little endian, microseconds, Ethernet.
    pub(crate) fn pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
        file.extend_from_slice(&[2, 0, 4, 0]);
        file.extend_from_slice(&[0; 8]);
        file.extend_from_slice(&262_144_u32.to_le_bytes());
        file.extend_from_slice(&1_u32.to_le_bytes());
        for shot in &self.frames {
            let seconds = u32::try_from(shot.time_ns / 1_000_000_000).unwrap();
            let micros = u32::try_from(shot.time_ns % 1_000_000_000 / 1000).unwrap();
            let cap_len = u32::try_from(shot.octets.len()).unwrap();
            for value in [seconds, micros, cap_len, shot.len] {
                file.extend_from_slice(&value.to_le_bytes());
            }
            file.extend_from_slice(&shot.octets);
        }
        file
    }
}

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// One TCP conversation.
#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) client_seq: u32,
    pub(crate) server_seq: u32,
    pub(crate) window: u16,
}

impl Tcp {
    /// A conversation that is already open.
    pub(crate) fn midstream(client: &str, server: &str, client_seq: u32, server_seq: u32) -> Self {
        let (client, server) = (address(client), address(server));
        Self { client, server, client_seq, server_seq, window: 32_768 }
    }

    pub(crate) fn numbers(&self, by_client: bool) -> (u32, u32) {
        if by_client {
            (self.client_seq, self.server_seq)
        } else {
            (self.server_seq, self.client_seq)
        }
    }

    pub(crate) fn advance(&mut self, by_client: bool, octets: usize) {
        let octets = u32::try_from(octets).unwrap();
        let seq = if by_client { &mut self.client_seq } else { &mut self.server_seq };
        *seq = seq.wrapping_add(octets);
    }

    /// The frame of a segment.
    pub(crate) fn octets(
        &self,
        by_client: bool,
        seq: u32,
        ack: u32,
        flags: u8,
        payload: &[u8],
    ) -> Vec<u8> {
        let (from, to, from_mac, to_mac) = if by_client {
            (self.client, self.server, CLIENT_MAC, SERVER_MAC)
        } else {
            (self.server, self.client, SERVER_MAC, CLIENT_MAC)
        };
        let ethernet = PacketBuilder::ethernet2(from_mac, to_mac);
        let builder = match (from.ip(), to.ip()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => ethernet.ipv4(a.octets(), b.octets(), 64),
            (IpAddr::V6(a), IpAddr::V6(b)) => ethernet.ipv6(a.octets(), b.octets(), 64),
            _ => panic!("one end is IPv4, the other IPv6"),
        };
        let mut tcp = builder.tcp(from.port(), to.port(), seq, self.window);
        if flags & FIN != 0 {
            tcp = tcp.fin();
        }
        if flags & SYN != 0 {
            tcp = tcp.syn();
        }
        if flags & RST != 0 {
            tcp = tcp.rst();
        }
        if flags & PSH != 0 {
            tcp = tcp.psh();
        }
        if flags & ACK != 0 {
            tcp = tcp.ack(ack);
        }
        let mut octets = Vec::new();
        tcp.write(&mut octets, payload).unwrap();
        octets
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no address and port"))
}
