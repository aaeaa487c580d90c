//! Frames of a conn: Ethernet, IPv4 or IPv6, TCP or UDP, with right checksums.

use super::Frames;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// Octets of a full segment with timestamps over Ethernet.
pub(super) const MSS: usize = 1448;

const ORIG_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const RESP_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

const TCP: u8 = 6;
const UDP: u8 = 17;

/// NOP, NOP, timestamps (RFC 7323 s3.2), as if no time passed.
const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Orig,
    Resp,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Orig => Self::Resp,
            Self::Resp => Self::Orig,
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Orig => 0,
            Self::Resp => 1,
        }
    }
}

/// One conn: makes its frames.
pub(super) struct Talk {
    pub(super) orig: SocketAddr,
    pub(super) resp: SocketAddr,
    pub(super) seq: [u32; 2],
    vlan: Option<u16>,
    has_timestamps: bool,
    ident: u16,
    frame: Vec<u8>,
}

impl Talk {
    pub(super) fn new(orig: SocketAddr, resp: SocketAddr, seq: [u32; 2]) -> Self {
        Self { orig, resp, seq, vlan: None, has_timestamps: false, ident: 0, frame: Vec::new() }
    }

    pub(super) fn with_timestamps(mut self, has_timestamps: bool) -> Self {
        self.has_timestamps = has_timestamps;
        self
    }

    pub(super) fn with_vlan(mut self, vlan: Option<u16>) -> Self {
        self.vlan = vlan;
        self
    }

    /// The next segment of one side.
    pub(super) fn tcp(&mut self, side: Side, flags: u8, payload: &[u8]) -> &[u8] {
        let seq = self.seq[side.index()];
        let ack = if flags & ACK == 0 { 0 } else { self.seq[side.other().index()] };
        let len = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.seq[side.index()] = seq.wrapping_add(len);
        self.tcp_at(side, flags, [seq, ack], payload)
    }

    /// A segment with these numbers; nothing is remembered of it.
    pub(super) fn tcp_at(
        &mut self,
        side: Side,
        flags: u8,
        [seq, ack]: [u32; 2],
        payload: &[u8],
    ) -> &[u8] {
        let options: &[u8] = if self.has_timestamps { &TIMESTAMPS } else { &[] };
        let head = 20 + options.len();
        let start = self.headers(side, TCP, head + payload.len());
        let (from, to) = self.ends(side);
        let frame = &mut self.frame;
        frame.extend_from_slice(&from.port().to_be_bytes());
        frame.extend_from_slice(&to.port().to_be_bytes());
        frame.extend_from_slice(&seq.to_be_bytes());
        frame.extend_from_slice(&ack.to_be_bytes());
        frame.extend_from_slice(&[(head as u8) << 2, flags]);
        frame.extend_from_slice(&64_240_u16.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(options);
        frame.extend_from_slice(payload);
        let sum = checksum(pseudo(from, to, TCP, &frame[start..]), &frame[start..]);
        frame[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// A datagram.
    pub(super) fn udp(&mut self, side: Side, payload: &[u8]) -> &[u8] {
        let start = self.headers(side, UDP, 8 + payload.len());
        let (from, to) = self.ends(side);
        let frame = &mut self.frame;
        frame.extend_from_slice(&from.port().to_be_bytes());
        frame.extend_from_slice(&to.port().to_be_bytes());
        frame.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
        frame.extend_from_slice(&[0; 2]);
        frame.extend_from_slice(payload);
        let sum = match checksum(pseudo(from, to, UDP, &frame[start..]), &frame[start..]) {
            0 => 0xffff,
            sum => sum,
        };
        frame[start + 6..start + 8].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// A fragment of an IPv4 datagram of UDP: `at` in octets.
    pub(super) fn fragment(&mut self, ident: u16, at: usize, more: bool, body: &[u8]) -> &[u8] {
        let flags = if more { 0x2000 } else { 0 };
        self.ethernet(Side::Orig);
        self.ipv4(Side::Orig, UDP, body.len(), ident, flags | (at / 8) as u16);
        self.frame.extend_from_slice(body);
        &self.frame
    }

    /// SYN, SYN and ACK, ACK.
    pub(super) fn open(&mut self, frames: &mut Frames) {
        frames.push(self.tcp(Side::Orig, SYN, b""));
        frames.push(self.tcp(Side::Resp, SYN | ACK, b""));
        frames.push(self.tcp(Side::Orig, ACK, b""));
    }

    /// Both sides say FIN.
    pub(super) fn close(&mut self, frames: &mut Frames) {
        frames.push(self.tcp(Side::Orig, FIN | ACK, b""));
        frames.push(self.tcp(Side::Resp, FIN | ACK, b""));
        frames.push(self.tcp(Side::Orig, ACK, b""));
    }

    fn ends(&self, side: Side) -> (SocketAddr, SocketAddr) {
        match side {
            Side::Orig => (self.orig, self.resp),
            Side::Resp => (self.resp, self.orig),
        }
    }

    /// Begins a frame; where the transport header begins.
    fn headers(&mut self, side: Side, proto: u8, body: usize) -> usize {
        self.ethernet(side);
        if let (SocketAddr::V6(from), SocketAddr::V6(to)) = self.ends(side) {
            self.frame.extend_from_slice(&[0x60, 0, 0, 0]);
            self.frame.extend_from_slice(&(body as u16).to_be_bytes());
            self.frame.extend_from_slice(&[proto, 64]);
            self.frame.extend_from_slice(&from.ip().octets());
            self.frame.extend_from_slice(&to.ip().octets());
        } else {
            self.ident = self.ident.wrapping_add(1);
            self.ipv4(side, proto, body, self.ident, 0x4000);
        }
        self.frame.len()
    }

    fn ethernet(&mut self, side: Side) {
        let (from, to) = match side {
            Side::Orig => (ORIG_MAC, RESP_MAC),
            Side::Resp => (RESP_MAC, ORIG_MAC),
        };
        self.frame.clear();
        self.frame.extend_from_slice(&to);
        self.frame.extend_from_slice(&from);
        if let Some(vlan) = self.vlan {
            self.frame.extend_from_slice(&[0x81, 0x00]);
            self.frame.extend_from_slice(&vlan.to_be_bytes());
        }
        let is_v4 = self.orig.is_ipv4();
        self.frame.extend_from_slice(if is_v4 { &[0x08, 0x00] } else { &[0x86, 0xdd] });
    }

    fn ipv4(&mut self, side: Side, proto: u8, body: usize, ident: u16, flags: u16) {
        let (from, to) = self.ends(side);
        let start = self.frame.len();
        self.frame.extend_from_slice(&[0x45, 0]);
        for word in [20 + body as u16, ident, flags] {
            self.frame.extend_from_slice(&word.to_be_bytes());
        }
        self.frame.extend_from_slice(&[64, proto, 0, 0]);
        for end in [from, to] {
            if let IpAddr::V4(address) = end.ip() {
                self.frame.extend_from_slice(&address.octets());
            }
        }
        let sum = checksum(0, &self.frame[start..]);
        self.frame[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// 10.1.0.0 and so many more, and a port.
pub(super) fn v4(base: [u8; 4], more: u64, port: u64) -> SocketAddr {
    let address = u32::from_be_bytes(base).wrapping_add(more as u32);
    SocketAddr::new(Ipv4Addr::from(address).into(), port as u16)
}

/// Sum of the pseudo header (RFC 9293 s3.1, RFC 8200 s8.1).
fn pseudo(from: SocketAddr, to: SocketAddr, proto: u8, body: &[u8]) -> u64 {
    let addresses: u64 = [from, to]
        .iter()
        .map(|end| match end.ip() {
            IpAddr::V4(address) => sum(&address.octets()),
            IpAddr::V6(address) => sum(&address.octets()),
        })
        .sum();
    addresses + u64::from(proto) + body.len() as u64
}

fn sum(octets: &[u8]) -> u64 {
    let mut pairs = octets.chunks_exact(2);
    let whole: u64 = (&mut pairs).map(|two| u64::from(two[0]) << 8 | u64::from(two[1])).sum();
    whole + pairs.remainder().first().map_or(0, |&last| u64::from(last) << 8)
}

/// The internet checksum (RFC 1071).
fn checksum(more: u64, octets: &[u8]) -> u16 {
    let mut total = more + sum(octets);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}
