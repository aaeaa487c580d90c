//! Tags and headers between an Ethernet header and its payload, and switches' own.

use super::{BAD, Inner, Packet, SHORT, Step, before, ether, past, within};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, LinkType, Weird};

/// Integrity check value of the default cipher suite (IEEE 802.1AE s14.5).
const MACSEC_ICV: usize = 16;

/// A tag of `n` octets, then an ether type.
pub(super) fn tag<'a>(
    name: &'static str,
    view: View<'a>,
    n: usize,
    walk: &mut Walk<'a, '_>,
) -> Step<'a> {
    walk.layer(Layer::plain(name))?;
    let body = past(view, n, walk)?;
    let kind = body.be16(0).ok_or(SHORT)?;
    Ok(Inner::Typed(kind, body.skip(2).ok_or(SHORT)?))
}

/// A switch's tag of `n` octets between the addresses and the ether type (DSA of Marvell and Broadcom).
pub(super) fn switch<'a>(view: View<'a>, n: usize, walk: &mut Walk<'a, '_>) -> Step<'a> {
    tag("dsa", view.skip(12).ok_or(SHORT)?, n, walk)
}

/// MACsec (IEEE 802.1AE s9.3): control and association, short length, packet number, perhaps a channel identifier; the
/// payload from its ether type on; the integrity check value.
pub(super) fn macsec<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let [control, short_length] = view.array(0).ok_or(SHORT)?;
    if control & 0x80 != 0 {
        return Err(BAD);
    }
    // E: encrypted. C alone: changed by a suite that does not hide, in a way that only the suite knows.
    if control & 0x0c != 0 {
        return Err(Stop::Undecoded(Weird::EncryptedLink));
    }
    walk.layer(Layer::plain("macsec"))?;
    let header = if control & 0x20 == 0 { 6 } else { 14 };
    let body = past(view, header, walk)?;
    let body = match usize::from(short_length & 0x3f) {
        0 => before(body, MACSEC_ICV, walk),
        length => within(body, length, walk),
    };
    let kind = body.be16(0).ok_or(SHORT)?;
    Ok(Inner::Typed(kind, body.skip(2).ok_or(SHORT)?))
}

/// TRILL (RFC 6325 s3.2): version, options' length in units of 4 octets, hop count; egress, ingress; options; the frame.
pub(super) fn trill<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let first = view.be16(0).ok_or(SHORT)?;
    if first >> 14 != 0 {
        return Err(BAD);
    }
    walk.layer(Layer::plain("trill"))?;
    let options = usize::from(first >> 6 & 0x1f) * 4;
    Ok(Inner::Frame(LinkType::ETHERNET, past(view, 6 + options, walk)?))
}

/// Cisco metadata, which carries a security group tag: version, length in units of 4 octets, options, ether type. A length of
/// zero is met with the one option all the same.
pub(super) fn cisco_metadata<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let length = view.u8(1).ok_or(SHORT)?;
    tag("cmd", view, 2 + usize::from(length.max(1)) * 4, walk)
}

/// Network service header (RFC 8300 s2.2): length in units of 4 octets, next protocol.
pub(super) fn service_header<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let first = view.be16(0).ok_or(SHORT)?;
    let next = view.u8(3).ok_or(SHORT)?;
    let length = usize::from(first & 0x3f) * 4;
    if first >> 14 != 0 || length < 8 {
        return Err(BAD);
    }
    walk.layer(Layer::plain("nsh"))?;
    let body = past(view, length, walk)?;
    Ok(match next {
        1 => Inner::Packet(Packet::V4(body)),
        2 => Inner::Packet(Packet::V6(body)),
        3 => Inner::Frame(LinkType::ETHERNET, body),
        4 => Inner::Typed(0x894f, body),
        5 => Inner::Mpls(body),
        _ => return Err(Stop::Undecoded(Weird::UnknownEtherType(0x894f))),
    })
}

/// An Ethernet mPacket (IEEE 802.3 s99.3): preamble, start delimiter, the frame or a part of it, a check sequence.
pub(super) fn mpacket<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let preamble = view.bytes.iter().take(8).take_while(|octet| **octet == 0x55).count();
    let delimiter = view.u8(preamble).ok_or(SHORT)?;
    match delimiter {
        // A whole frame; or the start of one that may be interrupted: then its own lengths tell that there is more.
        0xd5 | 0xe6 | 0x4c | 0x7f | 0xb3 => {
            ether::ethernet(before(past(view, preamble + 1, walk)?, 4, walk), walk)
        }
        0x61 | 0x52 | 0x9e | 0x2a => Err(Stop::Undecoded(Weird::LinkFragment)),
        0x07 | 0x19 => Err(Stop::LinkOnly("frame-preemption")),
        _ => Err(BAD),
    }
}
