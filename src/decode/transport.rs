//! Transport headers: TCP and UDP; any other IP payload as it is.

use super::net::Datagram;
use super::view::View;
use super::{Stop, Walk};
use crate::model::{Endpoint, FrameSpan, Proto, Segment, SeqNo, TcpFlags, TcpHeader, Weird};

const SHORT: Stop = Stop::Undecoded(Weird::ShortTransportHeader);

/// Where a segment was captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) frames: FrameSpan,
    pub(super) interface_id: u32,
}

/// IP protocols that carry packets of their own, or compressed ones (IANA protocol-numbers).
const fn is_tunnel(proto: u8) -> bool {
    matches!(
        proto,
        4 // IP-in-IP
        | 41 // 6in4
        | 47 // GRE
        | 55 // minimal encapsulation
        | 94 // IPIP
        | 97 // EtherIP
        | 98 // ENCAP
        | 108 // IPComp
        | 115 // L2TPv3
        | 137 // MPLS-in-IP
        | 142 // ROHC
        | 143 // Ethernet
        | 144 // AGGFRAG
    )
}

/// Whether a datagram to or from `port` begins like a tunnel in the clear. The port alone does not tell: it may be any
/// client's.
fn begins_tunnel(port: u16, payload: &[u8]) -> bool {
    let [b0, b1, b2, b3, _, _, _, b7, ..] = *payload else { return false };
    match port {
        1701 => b0 & 0x80 == 0 && matches!(b1 & 0x0f, 2 | 3), // L2TP data (RFC 2661 s3.1, RFC 3931 s4.1.2.1)
        2152 => b0 >> 5 == 1 && b1 == 255,                    // GTP-U G-PDU (3GPP TS 29.281 s5.1)
        3544 => b0 >> 4 == 6 || (b0 == 0 && b1 <= 1),         // Teredo (RFC 4380 s5.1.1)
        4789 | 8472 => b0 & 0x08 != 0 && b1 == 0 && b2 == 0 && b7 == 0, // VXLAN (RFC 7348 s5)
        4790 => b0 & 0x08 != 0 && matches!(b3, 1..=5), // VXLAN-GPE: an inner protocol is named
        4754 => b0 & 0x4f == 0 && b1 & 0xf8 == 0 && is_carried([b2, b3]), // GRE-in-UDP (RFC 8086 s3)
        4341 => matches!(payload.get(8).map(|octet| octet >> 4), Some(4 | 6)), // LISP data (RFC 9300 s5)
        37_008 => b0 == 1 && b1 <= 5 && [b2, b3] == [0, 1],                    // TZSP of Ethernet
        6081 => b0 >> 6 == 0 && is_carried([b2, b3]), // Geneve (RFC 8926 s3.4)
        6635 => true,                                 // MPLS-in-UDP (RFC 7510 s3)
        _ => false,
    }
}

/// Whether an ether type is Ethernet inside a tunnel, IPv4 or IPv6.
const fn is_carried(ether_type: [u8; 2]) -> bool {
    matches!(ether_type, [0x65, 0x58] | [0x08, 0] | [0x86, 0xdd])
}

/// Reads the transport header of a whole datagram.
pub(super) fn read<'a>(
    datagram: &Datagram<'a>,
    place: Place,
    walk: &mut Walk<'a, '_>,
) -> Result<Segment<'a>, Stop> {
    let proto = Proto(datagram.proto);
    let (ports, tcp, payload) = match proto {
        Proto::TCP => tcp(datagram.body, walk)?,
        Proto::UDP => udp(datagram.body, walk)?,
        _ => {
            if is_tunnel(proto.0) {
                walk.coverage.undecoded(Weird::UnreadTunnel(proto.0));
                walk.unread.push(datagram.body.bytes);
            }
            ((0, 0), None, datagram.body)
        }
    };
    Ok(Segment {
        frames: place.frames,
        interface_id: place.interface_id,
        src: Endpoint { ip: datagram.src, port: ports.0 },
        dst: Endpoint { ip: datagram.dst, port: ports.1 },
        proto,
        tcp,
        payload: payload.bytes,
        cut: payload.cut(),
    })
}

type Header<'a> = ((u16, u16), Option<TcpHeader>, View<'a>);

/// RFC 9293 s3.1.
fn tcp<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Header<'a>, Stop> {
    let header: [u8; 20] = view.array(0).ok_or(SHORT)?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, ..] = header;
    let header_len = usize::from(offset >> 4) * 4;
    let bad = Stop::Undecoded(Weird::BadTransportLength);
    if header_len < 20 {
        return Err(bad);
    }
    let payload = view.skip_wire(header_len).ok_or(bad)?;
    let captured = header_len.min(view.bytes.len());
    walk.unread.push(view.bytes.get(20..captured).unwrap_or_default());
    let tcp = TcpHeader {
        seq: SeqNo(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: SeqNo(u32::from_be_bytes([a0, a1, a2, a3])),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
    };
    Ok(((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])), Some(tcp), payload))
}

/// RFC 768.
fn udp<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Header<'a>, Stop> {
    let [s0, s1, d0, d1, l0, l1, _, _] = view.array(0).ok_or(SHORT)?;
    let ports = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let body = view.skip(8).ok_or(SHORT)?;
    let payload = match length.checked_sub(8) {
        Some(length) if length <= body.wire => {
            let (payload, trailer) = body.limit(length);
            walk.unread.push(trailer);
            payload
        }
        _ => {
            walk.coverage.undecoded(Weird::BadTransportLength);
            body
        }
    };
    if begins_tunnel(ports.0, payload.bytes) || begins_tunnel(ports.1, payload.bytes) {
        walk.coverage.undecoded(Weird::UnreadTunnel(Proto::UDP.0));
    }
    Ok((ports, None, payload))
}
