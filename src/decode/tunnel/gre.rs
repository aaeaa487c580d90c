//! Generic routing encapsulation: versions 0 and 1, NVGRE, ERSPAN, WCCP.

use super::{SHORT, ip};
use crate::decode::link::{self, Packet};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, LinkType, Weird};

/// Source route entries of one header that are followed (RFC 1701 s2); more is an attempt to hide.
const MAX_ROUTES: usize = 64;

const UNREAD: Stop = Stop::Undecoded(Weird::UnreadTunnel(47));

// The first 16 bits (RFC 1701 s2, RFC 2637 s4.1).
const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

/// Flags and version, protocol type, then what the flags name.
pub(super) fn open<'a>(
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Option<Packet<'a>>, Stop> {
    let flags = view.be16(0).ok_or(SHORT)?;
    let kind = view.be16(2).ok_or(SHORT)?;
    let body = view.skip(4).ok_or(SHORT)?;
    match flags & VERSION {
        0 => version_0(flags, kind, body, walk),
        1 => version_1(flags, body, walk),
        _ => Err(UNREAD),
    }
    .map(Some)
}

/// RFC 1701 s2, RFC 2784 s2, RFC 2890 s2.
fn version_0<'a>(
    flags: u16,
    kind: u16,
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Packet<'a>, Stop> {
    let mut body = view;
    if flags & (CHECKSUM | ROUTING) != 0 {
        body = body.skip(4).ok_or(SHORT)?;
    }
    let mut key = None;
    if flags & KEY != 0 {
        key = Some(body.be32(0).ok_or(SHORT)?);
        body = body.skip(4).ok_or(SHORT)?;
    }
    if flags & SEQUENCE != 0 {
        body = body.skip(4).ok_or(SHORT)?;
    }
    if flags & ROUTING != 0 {
        body = routes(body, walk)?;
    }
    match (kind, key) {
        (0x88be | 0x22eb, _) => return erspan(flags, kind, body, walk),
        // NVGRE (RFC 7637 s3.2): a virtual subnet of 24 bits, a flow of 8.
        (0x6558, Some(key)) => {
            walk.network(Layer::numbered("nvgre", key >> 8))?;
            return link::ethernet(body, walk);
        }
        (_, Some(key)) => walk.layer(Layer::numbered("gre", key))?,
        (_, None) => walk.layer(Layer::plain("gre"))?,
    }
    match kind {
        // A keepalive: the answer to it is in it, or nothing (draft and practice of routers).
        0 if body.wire == 0 => Err(Stop::LinkOnly("gre-keepalive")),
        0x6558 => link::ethernet(body, walk),
        0x880b => link::ppp(body, walk),
        // WCCP (draft-wilson-wrec-wccp-v2 s4.12): version 2 puts four octets in front, version 1 does not.
        0x883e => match body.u8(0).ok_or(SHORT)? >> 4 {
            4 | 6 => ip(body),
            _ => ip(body.skip(4).ok_or(SHORT)?),
        },
        0x00fe => Err(Stop::LinkOnly("osi-routing")),
        0x2001 => Err(Stop::LinkOnly("nhrp")),
        // Access points that send 802.11 frames to their controller; data frames of version 0.
        0x8200..=0x84ff if body.u8(0).is_some_and(|first| first & 0x0f == 0x08) => {
            link::read(LinkType(105), body, walk)
        }
        ..0x600 => Err(UNREAD),
        kind => link::typed(kind, body, walk),
    }
}

/// Source route entries: address family, offset, length; the last is all zero (RFC 1701 s2).
fn routes<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<View<'a>, Stop> {
    let mut body = view;
    for _ in 0..MAX_ROUTES {
        let [f0, f1, _, length] = body.array(0).ok_or(SHORT)?;
        let rest = body.skip(4).ok_or(SHORT)?;
        if [f0, f1, length] == [0; 3] {
            return Ok(rest);
        }
        let (route, _) = rest.limit(usize::from(length));
        walk.unread.push(route.bytes);
        body = rest.skip(usize::from(length)).ok_or(SHORT)?;
    }
    Err(Stop::Undecoded(Weird::TooDeep))
}

/// Mirrored Ethernet frames (draft-foschiano-erspan-03 s4): version I has no header and no sequence number, II has eight
/// octets, III twelve and eight more where its last bit says so.
fn erspan<'a>(
    flags: u16,
    kind: u16,
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Packet<'a>, Stop> {
    if kind == 0x88be && flags & SEQUENCE == 0 {
        walk.layer(Layer::plain("erspan"))?;
        return link::ethernet(view, walk);
    }
    let session = u32::from(view.be16(2).ok_or(SHORT)? & 0x03ff);
    walk.layer(Layer::numbered("erspan", session))?;
    let header_len = match (kind, view.u8(11)) {
        (0x88be, _) => 8,
        (_, Some(last)) if last & 1 == 1 => 20,
        _ => 12,
    };
    link::ethernet(view.skip(header_len).ok_or(SHORT)?, walk)
}

/// Enhanced GRE of PPTP (RFC 2637 s4.1): payload length and call in place of a key, sequence and acknowledgment where they
/// are said to be there.
fn version_1<'a>(flags: u16, view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    let length = usize::from(view.be16(0).ok_or(SHORT)?);
    let call = view.be16(2).ok_or(SHORT)?;
    let optional =
        4 * (usize::from(flags & SEQUENCE != 0) + usize::from(flags & ACKNOWLEDGMENT != 0));
    let body = view.skip(4 + optional).ok_or(SHORT)?;
    walk.layer(Layer::numbered("pptp", u32::from(call)))?;
    if length == 0 && body.wire == 0 {
        return Err(Stop::LinkOnly("pptp-ack"));
    }
    if length > body.wire {
        return Err(UNREAD);
    }
    let (frame, trailer) = body.limit(length);
    walk.unread.push(trailer);
    if length == 0 {
        return Err(Stop::LinkOnly("pptp-ack"));
    }
    link::ppp(frame, walk)
}
