//! Transport headers: TCP, UDP, UDP-Lite, DCCP; SCTP and any other IP payload as it is.

use super::net::Datagram;
use super::view::View;
use super::{Stop, Walk};
use crate::model::{
    Encapsulation, Endpoint, FrameSpan, Proto, Segment, SeqNo, TcpFlags, TcpHeader, Weird,
};

/// Most octets of payload that the 16 bits of length in a UDP header can tell.
const MAX_LENGTH: usize = 65_535 - 8;

const SHORT: Stop = Stop::Undecoded(Weird::ShortTransportHeader);

/// Where a segment was captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) frames: FrameSpan,
    pub(super) interface_id: u32,
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
        Proto::UDP_LITE => (ports(datagram.body)?, None, datagram.body.skip(8).ok_or(SHORT)?),
        Proto::DCCP => dccp(datagram.body, walk)?,
        // Its chunks are handed on as they are.
        Proto::SCTP => (ports(datagram.body)?, None, datagram.body),
        _ => ((0, 0), None, datagram.body),
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
        encap: &Encapsulation::NONE,
        is_alternate: false,
    })
}

type Header<'a> = ((u16, u16), Option<TcpHeader>, View<'a>);

/// RFC 9293 s3.1.
fn tcp<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Header<'a>, Stop> {
    let header: [u8; 20] = view.array(0).ok_or(SHORT)?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, u0, u1] =
        header;
    let header_len = usize::from(offset >> 4) * 4;
    let bad = Stop::Undecoded(Weird::BadTransportLength);
    if header_len < 20 {
        return Err(bad);
    }
    let payload = view.skip_wire(header_len).ok_or(bad)?;
    let captured = header_len.min(view.bytes.len());
    let options = view.bytes.get(20..captured).unwrap_or_default();
    walk.unread.push(options);
    if TcpFlags(flags).has(TcpFlags::SYN) && joins(options) {
        walk.coverage.undecoded(Weird::TcpSubflow);
    }
    let tcp = TcpHeader {
        seq: SeqNo(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: SeqNo(u32::from_be_bytes([a0, a1, a2, a3])),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
        urgent: u16::from_be_bytes([u0, u1]),
    };
    Ok(((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])), Some(tcp), payload))
}

/// Whether a SYN asks to join a conn of multipath TCP (RFC 8684 s3.2): option 30, subtype 1.
pub(super) fn joins(options: &[u8]) -> bool {
    let mut rest = options;
    loop {
        rest = match *rest {
            [] | [0, ..] => return false,
            [1, ref behind @ ..] => behind,
            [30, _, subtype, ..] if subtype >> 4 == 1 => return true,
            [_, len, ..] => match rest.get(usize::from(len)..) {
                Some(behind) if len >= 2 => behind,
                _ => return false,
            },
            [_] => return false,
        };
    }
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
        // The length did not fit (RFC 2675 s4): what the datagram holds is the payload.
        None if length == 0 && body.wire > MAX_LENGTH => body,
        _ => {
            walk.coverage.undecoded(Weird::BadTransportLength);
            body
        }
    };
    Ok((ports, None, payload))
}

/// The first four octets of every transport header with ports.
fn ports(view: View<'_>) -> Result<(u16, u16), Stop> {
    let [s0, s1, d0, d1] = view.array(0).ok_or(SHORT)?;
    Ok((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
}

/// RFC 4340 s5.1: ports, length of the header in words.
fn dccp<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Header<'a>, Stop> {
    let header_len = usize::from(view.u8(4).ok_or(SHORT)?) * 4;
    if header_len < 12 {
        return Err(Stop::Undecoded(Weird::BadTransportLength));
    }
    let payload = view.skip_wire(header_len).ok_or(SHORT)?;
    let captured = header_len.min(view.bytes.len());
    walk.unread.push(view.bytes.get(12..captured).unwrap_or_default());
    Ok((ports(view)?, None, payload))
}
