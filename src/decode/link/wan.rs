//! Serial lines other than PPP: Cisco HDLC, Frame Relay, SLIP, and Juniper's headers in front of them.

use super::{BAD, Inner, MAX_LENGTH_FIELD, SHORT, Step, by_version, llc, past};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{LinkType, Weird};

/// Direction, and the compressed header as it was on the line (BSD `net/slip.h`).
const SLIP_HEADER: usize = 16;

/// The same of BSD/OS.
const SLIP_BSDOS_HEADER: usize = 24;

/// Cisco HDLC: address, control, ether type (RFC 1547 s4.3.1).
pub(super) fn cisco_hdlc<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let kind = view.be16(2).ok_or(SHORT)?;
    let body = view.skip(4).ok_or(SHORT)?;
    match kind {
        // SLARP; on Ethernet the number means RARP.
        0x8035 => Err(Stop::LinkOnly("slarp")),
        0x2000 => Err(Stop::LinkOnly("cdp")),
        // OSI: the three octets of LLC shrunk to the type, and here and there one of padding.
        0xfefe => match body.array(0) {
            Some([0x03 | 0xfe, 0x80..=0x8f]) => llc::nlpid(past(body, 1, walk)?, walk),
            _ => llc::nlpid(body, walk),
        },
        kind if kind <= MAX_LENGTH_FIELD => Err(Stop::Undecoded(Weird::UnknownEtherType(kind))),
        kind => Ok(Inner::Typed(kind, body)),
    }
}

/// Frame Relay (RFC 2427 s3): an address of two to four octets, of which the last has its lowest bit set (ITU-T Q.922
/// s3.2); then unnumbered information and a protocol identifier, or, as Cisco does it, an ether type.
pub(super) fn frame_relay<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let address: &[u8] = view.bytes.get(..4.min(view.bytes.len())).unwrap_or_default();
    let length = address.iter().position(|octet| octet & 1 == 1).map_or(0, |at| at + 1);
    if length < 2 {
        return Err(if address.len() < 2 { SHORT } else { BAD });
    }
    let body = view.skip(length).ok_or(SHORT)?;
    if body.u8(0).ok_or(SHORT)? == 0x03 {
        return llc::nlpid(body.skip(1).ok_or(SHORT)?, walk);
    }
    match body.be16(0).ok_or(SHORT)? {
        kind if kind > MAX_LENGTH_FIELD => Ok(Inner::Typed(kind, body.skip(2).ok_or(SHORT)?)),
        _ => Err(Stop::Undecoded(Weird::UnknownLlc)),
    }
}

/// A bundle of Frame Relay links (FRF.16 s3): first and last fragment, control, sequence; 2 octets.
pub(super) fn multilink_frame_relay<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    match view.u8(0).ok_or(SHORT)? & 0xe0 {
        0xc0 => frame_relay(past(view, 2, walk)?, walk),
        0xe0 => Err(Stop::LinkOnly("frame-relay-bundle")),
        _ => Err(Stop::Undecoded(Weird::LinkFragment)),
    }
}

/// SLIP (RFC 1055), behind the header that the kernel puts in front of it; some systems put none.
pub(super) fn slip<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    match view.u8(0).ok_or(SHORT)? {
        0 | 1 => by_version(past(view, SLIP_HEADER, walk)?),
        0x40..=0x6f => by_version(view),
        _ => Err(BAD),
    }
}

pub(super) fn slip_bsdos<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    by_version(past(view, SLIP_BSDOS_HEADER, walk)?)
}

/// Juniper's header: magic, flags, perhaps extensions with their length; then the line's own frame.
pub(super) fn juniper<'a>(
    link_type: LinkType,
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Step<'a> {
    let [b'M', b'G', b'C', flags] = view.array(0).ok_or(SHORT)? else { return Err(BAD) };
    let extensions = match flags & 0x80 {
        0 => 0,
        _ => 2 + usize::from(view.be16(4).ok_or(SHORT)?),
    };
    let body = past(view, 4 + extensions, walk)?;
    if flags & 0x02 != 0 {
        // No link header: a protocol number of 4 octets, in one byte order or the other, then the packet.
        return by_version(past(body, 4, walk)?);
    }
    Ok(match link_type {
        LinkType::JUNIPER_PPP => Inner::Ppp(body),
        LinkType::JUNIPER_FRELAY => Inner::Frame(LinkType::FRELAY, body),
        LinkType::JUNIPER_CHDLC => Inner::Frame(LinkType::C_HDLC, body),
        _ => Inner::Frame(LinkType::ETHERNET, body),
    })
}
