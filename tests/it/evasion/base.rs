//! The tunnelled session that every case stands beside, and frames of any shape.

use super::{CLIENT, FIN, GATEWAY, RST, Tcp, Wire};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A capture in the making: the tunnel is up and carries data.
pub(super) struct Scene {
    pub(super) wire: Wire,
    /// The tunnel's conn, where it stands.
    pub(super) tunnel: Tcp,
    /// More of the target file; `TARGET` goes in front unless it begins with `[target]`.
    pub(super) target: String,
    /// Takes the place of the pcap file.
    pub(super) files: Option<Vec<Vec<u8>>>,
    pub(super) is_left_open: bool,
}

impl Scene {
    pub(super) fn new() -> Self {
        let mut wire = Wire::default();
        let mut tunnel = None;
        for octets in recorded("captures/ssh-blitzmail.pcap") {
            let Some(segment) = Segment::of(&octets) else { continue };
            let is_up = segment.dst == GATEWAY.parse::<Ipv4Addr>().unwrap();
            let tunnel = tunnel.get_or_insert_with(|| {
                let (client, gateway) =
                    (format!("{CLIENT}:{}", segment.sport), format!("{GATEWAY}:22"));
                assert!(is_up, "the client speaks first");
                Tcp::midstream(&client, &gateway, 0, 0)
            });
            if segment.flags & (FIN | RST) != 0 {
                break;
            }
            let next = segment.seq.wrapping_add(segment.len);
            if is_up {
                tunnel.client_seq = next;
            } else {
                tunnel.server_seq = next;
            }
            wire.frame(octets);
        }
        let mut scene = Self {
            wire,
            tunnel: tunnel.unwrap(),
            target: super::TARGET.to_owned(),
            files: None,
            is_left_open: false,
        };
        scene.carry(1, 24);
        scene
    }

    /// Ciphertext through the tunnel: `count` times 1200 octets each way.
    pub(super) fn carry(&mut self, seed: u64, count: usize) {
        for (at, piece) in seeded(seed, count * 2400).chunks(1200).enumerate() {
            if at % 2 == 0 {
                self.wire.client(&mut self.tunnel, piece);
            } else {
                self.wire.server(&mut self.tunnel, piece);
            }
        }
    }

    /// The target's text, and the files.
    pub(super) fn finish(mut self) -> (String, Vec<Vec<u8>>) {
        if !self.is_left_open {
            self.carry(2, 4);
            self.wire.close(&mut self.tunnel);
        }
        let files = self.files.unwrap_or_else(|| vec![self.wire.pcap()]);
        (self.target, files)
    }

    /// A conversation with somebody who has nothing to do with the target.
    pub(super) fn stranger(&mut self) -> Tcp {
        self.wire.connect("10.77.0.10:49300", "10.77.9.9:7070")
    }

    /// A datagram of somebody else's.
    pub(super) fn datagram(&mut self, payload: &[u8]) {
        self.wire.udp("10.77.0.10:49301", "10.77.9.9:7071", payload);
    }
}

/// Random octets, the same for the same seed.
pub(super) fn seeded(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
        .collect()
}

/// The frames of a classic little-endian pcap file.
pub(super) fn recorded(path: &str) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).unwrap();
    let mut frames = Vec::new();
    let mut at = 24;
    while at + 16 <= file.len() {
        let len = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
        frames.push(file[at + 16..at + 16 + len].to_vec());
        at += 16 + len;
    }
    frames
}

/// What of a TCP segment over IPv4 and Ethernet carries the conversation on.
struct Segment {
    dst: Ipv4Addr,
    sport: u16,
    seq: u32,
    len: u32,
    flags: u8,
}

impl Segment {
    fn of(frame: &[u8]) -> Option<Self> {
        if frame.get(12..14)? != [8, 0] || *frame.get(23)? != 6 {
            return None;
        }
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let header = usize::from(frame[14] & 15) * 4;
        let tcp = 14 + header;
        let data = usize::from(frame[tcp + 12] >> 4) * 4;
        let flags = frame[tcp + 13];
        let payload = usize::from(word(16)) - header - data;
        let dst: [u8; 4] = frame[30..34].try_into().unwrap();
        Some(Self {
            dst: dst.into(),
            sport: word(tcp),
            seq: u32::from_be_bytes(frame[tcp + 4..tcp + 8].try_into().unwrap()),
            len: u32::try_from(payload).unwrap() + u32::from(flags & 2 != 0),
            flags,
        })
    }
}

/// An Ethernet frame.
pub(super) fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![2, 0, 0, 0, 0, 0x20, 2, 0, 0, 0, 0, 0x10];
    octets.extend_from_slice(&kind.to_be_bytes());
    octets.extend_from_slice(body);
    octets
}

/// An IPv4 packet without options. `fragment` holds the flags and the offset as the header does.
pub(super) fn ipv4(
    src: &str,
    dst: &str,
    proto: u8,
    id: u16,
    fragment: u16,
    body: &[u8],
) -> Vec<u8> {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (src.parse().unwrap(), dst.parse().unwrap()) else {
        panic!("not IPv4")
    };
    let mut octets = vec![0x45, 0];
    octets.extend_from_slice(&u16::try_from(20 + body.len()).unwrap().to_be_bytes());
    octets.extend_from_slice(&id.to_be_bytes());
    octets.extend_from_slice(&fragment.to_be_bytes());
    octets.extend_from_slice(&[64, proto, 0, 0]);
    octets.extend_from_slice(&src.octets());
    octets.extend_from_slice(&dst.octets());
    octets.extend_from_slice(body);
    octets
}

/// An IPv6 packet.
pub(super) fn ipv6(src: &str, dst: &str, next: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x60, 0, 0, 0];
    octets.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    octets.extend_from_slice(&[next, 64]);
    octets.extend_from_slice(&src.parse::<Ipv6Addr>().unwrap().octets());
    octets.extend_from_slice(&dst.parse::<Ipv6Addr>().unwrap().octets());
    octets.extend_from_slice(body);
    octets
}

/// A UDP datagram without a checksum.
pub(super) fn udp(sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let mut octets = sport.to_be_bytes().to_vec();
    octets.extend_from_slice(&dport.to_be_bytes());
    octets.extend_from_slice(&u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    octets.extend_from_slice(&[0, 0]);
    octets.extend_from_slice(payload);
    octets
}

/// A TCP segment with a wrong checksum, and options padded to whole words.
pub(super) fn tcp(
    sport: u16,
    dport: u16,
    seq: u32,
    flags: u8,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut octets = sport.to_be_bytes().to_vec();
    octets.extend_from_slice(&dport.to_be_bytes());
    octets.extend_from_slice(&seq.to_be_bytes());
    octets.extend_from_slice(&[0; 4]);
    let words = options.len().div_ceil(4);
    octets.extend_from_slice(&[
        u8::try_from(5 + words).unwrap() << 4,
        flags,
        0x20,
        0,
        0xde,
        0xad,
        0,
        0,
    ]);
    octets.extend_from_slice(options);
    octets.resize(20 + words * 4, 0);
    octets.extend_from_slice(payload);
    octets
}

/// What both sides of the recorded session said up to their NEWKEYS and the first ciphertext, in order.
pub(super) fn opening() -> Vec<(bool, Vec<u8>)> {
    let gateway: Ipv4Addr = GATEWAY.parse().unwrap();
    let mut said = Vec::new();
    let mut clear = [true, true];
    for frame in recorded("captures/ssh-blitzmail.pcap") {
        let Some(segment) = Segment::of(&frame) else { continue };
        let by_client = segment.dst == gateway;
        let len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let data = 14 + 20 + usize::from(frame[14 + 20 + 12] >> 4) * 4;
        let payload = frame[data..14 + len].to_vec();
        if payload.is_empty() {
            continue;
        }
        // NEWKEYS: a packet of 12 octets with 10 of padding, message 21.
        let keys = payload.windows(6).position(|it| it == [0, 0, 0, 12, 10, 21]);
        let side = usize::from(by_client);
        if clear[side] {
            said.push((by_client, keys.map_or(payload.clone(), |at| payload[..at + 16].to_vec())));
            clear[side] = keys.is_none();
        }
        if clear == [false, false] {
            break;
        }
    }
    said
}
