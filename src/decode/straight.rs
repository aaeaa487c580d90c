//! The straight way through a frame as most are: Ethernet, one IP header without options, TCP or UDP, all of it captured, no
//! tunnel. Any other goes the long way; for these both give the same, and a test holds them together.

use super::link::{ETHER_IPV4, ETHER_IPV6};
use super::view::Unread;
use super::{transport, tunnel};
use crate::model::{
    Encapsulation, Endpoint, Frame, FrameSpan, LinkType, Proto, Segment, SeqNo, TcpFlags, TcpHeader,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of an Ethernet header (IEEE 802.3 s3.1.1).
const ETHERNET: usize = 14;

/// Reads a frame, and leaves padding and options of TCP unread; none where it is not as straight as that, and then nothing was
/// left unread.
#[inline]
pub(super) fn read<'a>(frame: &Frame<'a>, unread: &mut Unread<'a>) -> Option<Segment<'a>> {
    if frame.link_type != LinkType::ETHERNET || frame.cut() > 0 {
        return None;
    }
    let data = frame.data;
    let (ethernet, packet) = data.split_first_chunk::<ETHERNET>()?;
    let [.., k0, k1] = *ethernet;
    let (src, dst, proto, body, trailer) = match u16::from_be_bytes([k0, k1]) {
        ETHER_IPV4 => v4(packet)?,
        ETHER_IPV6 => v6(packet)?,
        _ => return None,
    };
    let (ports, tcp, payload, rest) = match proto {
        Proto::TCP => self::tcp(body)?,
        Proto::UDP => udp(body)?,
        _ => return None,
    };
    let segment = Segment {
        frames: FrameSpan::one(frame.at()),
        interface_id: frame.interface_id,
        src: Endpoint { ip: src, port: ports.0 },
        dst: Endpoint { ip: dst, port: ports.1 },
        proto,
        tcp,
        payload,
        cut: 0,
        encap: &Encapsulation::NONE,
        is_alternate: false,
    };
    // A loopback address on a wire, a SYN that joins other conns: both are remarked on the long way.
    let is_local = src.is_loopback() && dst.is_loopback();
    let joins = tcp.is_some_and(|it| it.flags.has(TcpFlags::SYN)) && transport::joins(rest);
    if is_local || joins || tunnel::of(&segment).is_some() {
        return None;
    }
    unread.push(trailer);
    unread.push(rest);
    Some(segment)
}

/// The Ethertype of a VLAN tag (IEEE 802.1Q s9.4).
const ETHER_VLAN: u16 = 0x8100;

/// Octets of a VLAN tag and its Ethertype (IEEE 802.1Q s9.3).
const TAG: usize = 4;

/// The ends of the segment that a frame seems to carry: a guess at what `read` or the long way gives, for those who want to know
/// what comes next. None where it is not nearly straight.
pub(super) fn ends(link_type: LinkType, data: &[u8]) -> Option<(Endpoint, Endpoint, Proto)> {
    if link_type != LinkType::ETHERNET {
        return None;
    }
    let (ethernet, mut packet) = data.split_first_chunk::<ETHERNET>()?;
    let [.., k0, k1] = *ethernet;
    let mut kind = u16::from_be_bytes([k0, k1]);
    if kind == ETHER_VLAN {
        let ([_, _, k0, k1], tagged) = packet.split_first_chunk::<TAG>()?;
        (kind, packet) = (u16::from_be_bytes([*k0, *k1]), tagged);
    }
    let (src, dst, proto, body, _) = match kind {
        ETHER_IPV4 => v4(packet)?,
        ETHER_IPV6 => v6(packet)?,
        _ => return None,
    };
    let [s0, s1, d0, d1] = *body.first_chunk()?;
    let end = |ip, port| Endpoint { ip, port: u16::from_be_bytes(port) };
    matches!(proto, Proto::TCP | Proto::UDP)
        .then(|| (end(src, [s0, s1]), end(dst, [d0, d1]), proto))
}

type Packet<'a> = (IpAddr, IpAddr, Proto, &'a [u8], &'a [u8]);

/// RFC 791 s3.1: version 4, five words of header, no fragment, no more octets than there are.
fn v4(packet: &[u8]) -> Option<Packet<'_>> {
    let [first, _, t0, t1, _, _, f0, f1, _, proto, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        *packet.first_chunk::<20>()?;
    if first != 0x45 || u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
        return None;
    }
    let total = usize::from(u16::from_be_bytes([t0, t1]));
    let (datagram, trailer) = packet.split_at_checked(total)?;
    let body = datagram.get(20..)?;
    let (src, dst) = (Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(d0, d1, d2, d3));
    Some((src.into(), dst.into(), Proto(proto), body, trailer))
}

/// RFC 8200 s3, without extension headers.
fn v6(packet: &[u8]) -> Option<Packet<'_>> {
    let (header, rest) = packet.split_first_chunk::<40>()?;
    let ([first, _, _, _, l0, l1, proto, _], addresses) = header.split_first_chunk::<8>()?;
    let (src, dst) = addresses.split_first_chunk::<16>()?;
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    if first >> 4 != 6 || length == 0 {
        return None;
    }
    let (body, trailer) = rest.split_at_checked(length)?;
    let (src, dst) = (Ipv6Addr::from(*src), Ipv6Addr::from(*dst.first_chunk::<16>()?));
    Some((src.into(), dst.into(), Proto(*proto), body, trailer))
}

type Transport<'a> = ((u16, u16), Option<TcpHeader>, &'a [u8], &'a [u8]);

/// RFC 9293 s3.1. Gives the payload and the options.
fn tcp(body: &[u8]) -> Option<Transport<'_>> {
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, u0, u1] =
        *body.first_chunk::<20>()?;
    let header_len = usize::from(offset >> 4) * 4;
    let (header, payload) = body.split_at_checked(header_len)?;
    let tcp = TcpHeader {
        seq: SeqNo(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: SeqNo(u32::from_be_bytes([a0, a1, a2, a3])),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
        urgent: u16::from_be_bytes([u0, u1]),
    };
    let ports = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    Some((ports, Some(tcp), payload, header.get(20..)?))
}

/// RFC 768. Gives the payload and what follows it in the packet.
fn udp(body: &[u8]) -> Option<Transport<'_>> {
    let ([s0, s1, d0, d1, l0, l1, _, _], rest) = body.split_first_chunk::<8>()?;
    let length = usize::from(u16::from_be_bytes([*l0, *l1])).checked_sub(8)?;
    let (payload, trailer) = rest.split_at_checked(length)?;
    let ports = (u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*d0, *d1]));
    Some((ports, None, payload, trailer))
}

#[cfg(test)]
mod tests {
    use crate::decode::Decoder;
    use crate::model::{Frame, LinkType, Segment, Timestamp};
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    /// Frames that are straight, or nearly so.
    fn frame(kind: u8, payload: &[u8], options: bool) -> Vec<u8> {
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let mut data = Vec::new();
        let tcp = if options { vec![0, 0] } else { Vec::new() };
        match kind % 4 {
            0 | 1 => {
                let ip = if kind.is_multiple_of(4) {
                    link.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
                } else {
                    link.ipv6([1; 16], [2; 16], 64)
                };
                let mut tcp_step = ip.tcp(4000, 110, 7, 1000);
                if options {
                    tcp_step =
                        tcp_step.options_raw(&[1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
                }
                tcp_step.write(&mut data, payload).unwrap();
            }
            2 => link
                .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
                .udp(4000, 4789)
                .write(&mut data, payload)
                .unwrap(),
            _ => link.ipv6([1; 16], [2; 16], 64).udp(53, 4000).write(&mut data, payload).unwrap(),
        }
        data.extend_from_slice(&tcp);
        data
    }

    fn seen(segment: Option<Segment<'_>>, unread: &[(usize, &[u8])], held: bool) -> String {
        let segment = segment.map(|it| {
            (
                it.encap.carriage().map(|it| it.to_string()),
                Segment { encap: &crate::model::Encapsulation::NONE, ..it },
            )
        });
        format!("{segment:?} {unread:?} {held}")
    }

    fn both(data: &[u8], len: u32) -> bool {
        let time = Timestamp::from_nanos(0);
        let frame =
            Frame { number: 1, time, interface_id: 0, link_type: LinkType::ETHERNET, len, data };
        let (mut short, mut long) = (Decoder::default(), Decoder::default());
        let decoded = short.decode(&frame);
        let quick = seen(decoded.segment, &decoded.unread().collect::<Vec<_>>(), decoded.is_held);
        let decoded = long.walk(&frame);
        let slow = seen(decoded.segment, &decoded.unread().collect::<Vec<_>>(), decoded.is_held);
        assert_eq!(quick, slow);
        let (mut short, mut long) = (short.coverage().clone(), long.coverage().clone());
        (short.frames, short.bytes, long.frames, long.bytes) = (0, 0, 0, 0);
        assert_eq!(short, long);
        let mut unread = super::Unread::new(data);
        let read = super::read(&frame, &mut unread);
        if let Some(Segment { src, dst, proto, .. }) = read {
            assert_eq!(super::ends(frame.link_type, data), Some((src, dst, proto)));
        }
        read.is_some()
    }

    #[test]
    fn what_is_remarked_goes_the_long_way() {
        let mut local = frame(0, b"USER chris\r\n", true);
        local[26..34].copy_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
        assert!(!both(&local, u32::try_from(local.len()).unwrap()));
        let mut joining = frame(0, b"", true);
        joining[47] = 2;
        joining[54..58].copy_from_slice(&[30, 12, 0x10, 1]);
        assert!(!both(&joining, u32::try_from(joining.len()).unwrap()));
    }

    #[test]
    fn plain_frames_go_the_straight_way() {
        for kind in 0..4 {
            let data = frame(kind, b"USER chris\r\n", kind < 2);
            assert!(both(&data, u32::try_from(data.len()).unwrap()), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn both_ways_give_the_same(
            kind in 0..4_u8,
            payload in proptest::collection::vec(any::<u8>(), 0..40),
            options in any::<bool>(),
            changes in proptest::collection::vec((0..70_usize, any::<u8>()), 0..4),
            keep in 0..160_usize,
            longer in 0..3_u32,
        ) {
            let mut data = frame(kind, &payload, options);
            for (at, octet) in changes {
                if let Some(place) = data.get_mut(at) {
                    *place = octet;
                }
            }
            data.truncate(keep.max(1));
            both(&data, u32::try_from(data.len()).unwrap() + longer);
        }
    }
}
