//! IPv4 and IPv6 headers, with options and extension headers.

use super::defrag::FragmentKey;
use super::view::View;
use super::{Stop, Walk};
use crate::model::{Layer, Weird};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Extension headers in one datagram that are followed. RFC 8200 s4.1 lists eight, but a receiver may take any number.
const MAX_EXTENSION_HEADERS: usize = 128;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const MINIMAL: u8 = 55;
const DESTINATION: u8 = 60;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

const SHORT: Stop = Stop::Undecoded(Weird::ShortIpHeader);

/// An IP datagram or a fragment of one, behind its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// What `body` begins with; for a fragment, what the whole begins with.
    pub(super) proto: u8,
    pub(super) body: View<'a>,
    /// Present where `body` is not the whole.
    pub(super) fragment: Option<Part>,
}

/// Which part of its datagram a fragment is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) id: u32,
    /// In octets.
    pub(super) offset: u32,
    pub(super) more: bool,
}

impl Datagram<'_> {
    pub(super) const fn fragment_key(&self, part: Part, way: u64) -> FragmentKey {
        FragmentKey { src: self.src, dst: self.dst, id: part.id, way }
    }
}

/// RFC 791 s3.1.
pub(super) fn read_v4<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Datagram<'a>, Stop> {
    let first = view.u8(0).ok_or(SHORT)?;
    if first >> 4 != 4 {
        return Err(Stop::Undecoded(Weird::BadIpVersion));
    }
    let header_len = usize::from(first & 0x0f) * 4;
    if header_len < 20 {
        return Err(Stop::Undecoded(Weird::BadIpLength));
    }
    let header: [u8; 20] = view.array(0).ok_or(SHORT)?;
    let [_, _, t0, t1, i0, i1, f0, f1, _, proto, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    // Zero: the length did not fit (segmentation offload, BIG TCP); what the frame holds is the datagram.
    let total = match usize::from(u16::from_be_bytes([t0, t1])) {
        0 => view.wire,
        total => total,
    };
    if total < header_len {
        return Err(Stop::Undecoded(Weird::BadIpLength));
    }
    let packet = cut_trailer(view, total, walk);
    let options = packet.bytes.get(20..header_len).ok_or(SHORT)?;
    walk.unread.push(options);
    let flags = u16::from_be_bytes([f0, f1]);
    let (more, offset) = (flags & 0x2000 != 0, u32::from(flags & 0x1fff) * 8);
    let datagram = Datagram {
        src: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        dst: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        proto,
        body: packet.skip(header_len).ok_or(SHORT)?,
        fragment: (more || offset > 0).then(|| Part {
            id: u32::from(u16::from_be_bytes([i0, i1])),
            offset,
            more,
        }),
    };
    if datagram.fragment.is_some() { Ok(datagram) } else { read_extensions(datagram, walk) }
}

/// RFC 8200 s3.
pub(super) fn read_v6<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Datagram<'a>, Stop> {
    if view.u8(0).ok_or(SHORT)? >> 4 != 6 {
        return Err(Stop::Undecoded(Weird::BadIpVersion));
    }
    let length = usize::from(view.be16(4).ok_or(SHORT)?);
    let proto = view.u8(6).ok_or(SHORT)?;
    let src: [u8; 16] = view.array(8).ok_or(SHORT)?;
    let dst: [u8; 16] = view.array(24).ok_or(SHORT)?;
    let total = match length {
        // A jumbogram (RFC 2675) or segmentation offload, unless there is nothing to come.
        0 if proto != NO_NEXT_HEADER => view.wire,
        length => length + 40,
    };
    let packet = cut_trailer(view, total, walk);
    let datagram = Datagram {
        src: IpAddr::V6(Ipv6Addr::from(src)),
        dst: IpAddr::V6(Ipv6Addr::from(dst)),
        proto,
        body: packet.skip(40).ok_or(SHORT)?,
        fragment: None,
    };
    read_extensions(datagram, walk)
}

/// Cuts a packet at its own length; what lies behind it is searched raw.
fn cut_trailer<'a>(view: View<'a>, total: usize, walk: &mut Walk<'a, '_>) -> View<'a> {
    if total > view.wire {
        // The header promises more than the wire carried.
        walk.coverage.undecoded(Weird::BadIpLength);
    }
    let (packet, trailer) = view.limit(total);
    walk.unread.push(trailer);
    packet
}

/// Minimal encapsulation (RFC 2004 s3.1): protocol, whether the source is there, checksum, destination, source. It changes
/// the header in front of it rather than carrying another.
fn minimal<'a>(datagram: Datagram<'a>, walk: &mut Walk<'a, '_>) -> Result<Datagram<'a>, Stop> {
    let body = datagram.body;
    let [proto, flags] = body.array(0).ok_or(SHORT)?;
    let dst = Ipv4Addr::from_bits(body.be32(4).ok_or(SHORT)?);
    let (src, header_len) = if flags & 0x80 == 0 {
        (datagram.src, 8)
    } else {
        (IpAddr::V4(Ipv4Addr::from_bits(body.be32(8).ok_or(SHORT)?)), 12)
    };
    if !walk.path.push_outer(datagram.src, datagram.dst) {
        return Err(Stop::Undecoded(Weird::TooDeep));
    }
    walk.layer(Layer::plain("minimal"))?;
    let body = body.skip(header_len).ok_or(SHORT)?;
    Ok(Datagram { src, dst: IpAddr::V4(dst), proto, body, fragment: None })
}

/// Walks the extension headers of IPv6 (RFC 8200 s4) and the authentication header of both (RFC 4302 s2), up to the
/// transport header or a fragment header.
pub(super) fn read_extensions<'a>(
    datagram: Datagram<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Datagram<'a>, Stop> {
    let mut datagram = datagram;
    let is_v6 = datagram.src.is_ipv6();
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let body = datagram.body;
        let header_len = match datagram.proto {
            MINIMAL if !is_v6 => {
                datagram = minimal(datagram, walk)?;
                continue;
            }
            AUTHENTICATION => (usize::from(body.u8(1).ok_or(SHORT)?) + 2) * 4,
            HOP_BY_HOP | ROUTING | DESTINATION | HIP | SHIM6 if is_v6 => {
                (usize::from(body.u8(1).ok_or(SHORT)?) + 1) * 8
            }
            FRAGMENT if is_v6 => 8,
            _ => return Ok(datagram),
        };
        let header = body.bytes.get(..header_len).ok_or(SHORT)?;
        let next = body.u8(0).ok_or(SHORT)?;
        let part = (datagram.proto == FRAGMENT).then_some(body);
        datagram.proto = next;
        datagram.body = body.skip(header_len).ok_or(SHORT)?;
        let Some(view) = part else {
            walk.unread.push(header);
            continue;
        };
        let field = view.be16(2).ok_or(SHORT)?;
        let (offset, more) = (u32::from(field & 0xfff8), field & 1 == 1);
        // An atomic fragment is a whole datagram (RFC 6946).
        if offset > 0 || more {
            let id = view.be32(4).ok_or(SHORT)?;
            datagram.fragment = Some(Part { id, offset, more });
            return Ok(datagram);
        }
    }
    Err(Stop::Undecoded(Weird::TooDeep))
}
