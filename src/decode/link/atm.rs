//! ATM: whole frames, as an adapter hands them over behind its cells.

use super::{Inner, SHORT, Step, by_version, llc, past};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{LinkType, Weird};

/// LLC (RFC 2684 s5), or one protocol a circuit, which nothing names (s6): then only IP is known, by its version.
pub(super) fn rfc1483<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let [first, _, third] = view.array(0).ok_or(SHORT)?;
    if matches!(first >> 4, 4 | 6) && third != 0x03 {
        return by_version(view);
    }
    llc::read(view, llc::Bridge::Padded, walk)
}

/// Classical IP over ATM (RFC 2225): LLC, or IP without any header.
pub(super) fn clip<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    match view.array(0) {
        Some([0xaa, 0xaa, 0x03]) => llc::read(view, llc::Bridge::Padded, walk),
        _ => by_version(view),
    }
}

/// SunATM: direction and kind of traffic, path, circuit; 4 octets.
pub(super) fn sun<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let kind = view.u8(0).ok_or(SHORT)? & 0x0f;
    let body = past(view, 4, walk)?;
    match kind {
        // LAN emulation: two octets, then the frame; 0xff00 marks a control message (ATM Forum af-lane-0084 s3.4).
        1 if body.be16(0) == Some(0xff00) => Err(Stop::LinkOnly("atm-lane-control")),
        1 => Ok(Inner::Frame(LinkType::ETHERNET, past(body, 2, walk)?)),
        2 => rfc1483(body, walk),
        5 => Err(Stop::LinkOnly("atm-ilmi")),
        6 => Err(Stop::LinkOnly("atm-signalling")),
        _ => Err(Stop::Undecoded(Weird::UnknownLlc)),
    }
}
