//! L2TP, versions 2 and 3.

use super::{SHORT, ip, shape};
use crate::decode::link::{self, Packet};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, Weird};

const UNREAD: Stop = Stop::Undecoded(Weird::UnreadTunnel(115));

/// Data messages of version 2 (RFC 2661 s3.1), and of 3 over UDP (RFC 3931 s4.1.2.1): flags and version, then what the
/// flags name; PPP.
pub(super) fn over_udp<'a>(
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Option<Packet<'a>>, Stop> {
    let flags = view.be16(0).ok_or(SHORT)?;
    if flags & 0x0f == 3 {
        return version_3(view.skip(4).ok_or(SHORT)?, walk);
    }
    let mut body = view;
    let mut at = 2;
    if flags & 0x4000 != 0 {
        let length = usize::from(view.be16(2).ok_or(SHORT)?);
        if (8..=view.wire).contains(&length) {
            let (message, trailer) = view.limit(length);
            walk.unread.push(trailer);
            body = message;
        }
        at = 4;
    }
    let session = body.be16(at + 2).ok_or(SHORT)?;
    at += if flags & 0x0800 == 0 { 4 } else { 8 };
    if flags & 0x0200 != 0 {
        let pad = usize::from(body.be16(at).ok_or(SHORT)?);
        at += 2;
        walk.unread.push(body.bytes.get(at..at + pad).unwrap_or_default());
        at += pad;
    }
    walk.layer(Layer::numbered("l2tp", session.into()))?;
    link::ppp(body.skip(at).ok_or(SHORT)?, walk).map(Some)
}

/// Over IP (RFC 3931 s4.1.1): session; 0 is a control message.
pub(super) fn over_ip<'a>(
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Option<Packet<'a>>, Stop> {
    match view.be32(0) {
        Some(0) => Ok(None),
        _ => version_3(view, walk),
    }
}

/// Session, a cookie of 0, 4 or 8 octets and a sublayer of 0 or 4, as both ends agreed out of sight, then a frame of the
/// agreed kind: what fits is taken.
fn version_3<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    let session = view.be32(0).ok_or(SHORT)?;
    walk.layer(Layer::numbered("l2tpv3", session))?;
    for at in [4, 8, 12, 16] {
        let Some(body) = view.skip(at) else { break };
        if shape::is_ethernet(body) {
            return link::ethernet(body, walk).map(Some);
        }
        let is_ppp = matches!(body.array(0), Some([0xff, 0x03, 0x00, 0x21 | 0x57]));
        if is_ppp && body.skip(4).is_some_and(shape::is_ip) {
            return link::ppp(body, walk).map(Some);
        }
        if shape::is_exactly_ip(body) {
            return ip(body).map(Some);
        }
    }
    Err(UNREAD)
}
