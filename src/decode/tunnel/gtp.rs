//! The user plane of mobile networks.

use super::{SHORT, ip};
use crate::decode::link::Packet;
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, Weird};

/// Extension headers of one packet that are followed; some five kinds are defined.
const MAX_EXTENSIONS: usize = 32;

/// 3GPP TS 29.281 s5.1: flags, type, length, tunnel endpoint; sequence, N-PDU and next extension together where one of them is
/// there; extensions: length in words, content, next.
pub(super) fn open<'a>(
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Option<Packet<'a>>, Stop> {
    let flags = view.u8(0).ok_or(SHORT)?;
    let length = usize::from(view.be16(2).ok_or(SHORT)?);
    let endpoint = view.be32(4).ok_or(SHORT)?;
    let body = view.skip(8).ok_or(SHORT)?;
    let (mut body, trailer) = if length > body.wire { (body, &[][..]) } else { body.limit(length) };
    if flags & 0x07 != 0 {
        let mut next = body.u8(3).ok_or(SHORT)?;
        body = body.skip(4).ok_or(SHORT)?;
        if flags & 0x04 == 0 {
            next = 0;
        }
        for _ in 0..MAX_EXTENSIONS {
            if next == 0 {
                break;
            }
            let len = usize::from(body.u8(0).ok_or(SHORT)?.max(1)) * 4;
            let (extension, _) = body.limit(len);
            walk.unread.push(extension.bytes.get(1..).unwrap_or_default());
            next = body.u8(len - 1).ok_or(SHORT)?;
            body = body.skip(len).ok_or(SHORT)?;
        }
        if next != 0 {
            return Err(Stop::Undecoded(Weird::TooDeep));
        }
    }
    walk.unread.push(trailer);
    walk.layer(Layer::numbered("gtpu", endpoint))?;
    ip(body).map(Some)
}
