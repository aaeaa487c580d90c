//! LANs other than Ethernet: Token Ring, FDDI, ARCNET, Fibre Channel, FireWire, InfiniBand.

use super::{Inner, MAX_LENGTH_FIELD, Packet, SHORT, Step, past};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::Weird;

/// Token Ring (IEEE 802.5 s3.1): access control, frame control, addresses, perhaps a route, LLC.
pub(super) fn token_ring<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let kind = view.u8(1).ok_or(SHORT)?;
    // The first bit of the source address says that a route follows; its length is in its first octet.
    let is_routed = view.u8(8).ok_or(SHORT)? & 0x80 != 0;
    let route = if is_routed { usize::from(view.u8(14).ok_or(SHORT)? & 0x1f) } else { 0 };
    let body = past(view.skip(14).ok_or(SHORT)?, route, walk)?;
    match kind >> 6 {
        0 => Err(Stop::LinkOnly("token-ring-mac")),
        1 => Ok(Inner::Llc(body)),
        _ => Err(Stop::Undecoded(Weird::UnknownLlc)),
    }
}

/// FDDI (ISO 9314-2 s7.2): frame control, addresses, LLC.
pub(super) fn fddi<'a>(view: View<'a>, _: &mut Walk<'a, '_>) -> Step<'a> {
    let kind = view.u8(0).ok_or(SHORT)?;
    let body = view.skip(13).ok_or(SHORT)?;
    match kind & 0x70 {
        0x50 => Ok(Inner::Llc(body)),
        0x00 | 0x40 => Err(Stop::LinkOnly("fddi-mac")),
        _ => Err(Stop::Undecoded(Weird::UnknownLlc)),
    }
}

/// ARCNET: source, destination (and for Linux two octets of offset), protocol; for the protocols of RFC 1201 also flag and
/// sequence, and both again where the flag is 0xff. `type_at` is where the protocol stands.
pub(super) fn arcnet<'a>(view: View<'a>, type_at: usize, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let protocol = view.u8(type_at).ok_or(SHORT)?;
    let body = view.skip(type_at + 1).ok_or(SHORT)?;
    // The protocols of RFC 1051 have no more header.
    match protocol {
        240 => return Ok(Inner::Packet(Packet::V4(body))),
        241 => return Err(Stop::LinkOnly("arp")),
        _ => {}
    }
    let (flag, body) = match body.u8(0).ok_or(SHORT)? {
        0xff => (body.u8(4).ok_or(SHORT)?, past(body, 7, walk)?),
        flag => (flag, past(body, 3, walk)?),
    };
    match protocol {
        213 => Err(Stop::LinkOnly("arp")),
        214 => Err(Stop::LinkOnly("rarp")),
        212 | 196 if flag != 0 => Err(Stop::Undecoded(Weird::LinkFragment)),
        212 => Ok(Inner::Packet(Packet::V4(body))),
        196 => Ok(Inner::Packet(Packet::V6(body))),
        _ => Err(Stop::Undecoded(Weird::UnknownLlc)),
    }
}

/// IP over Fibre Channel (RFC 4338 s3): two addresses of 8 octets, LLC.
pub(super) fn fibre_channel<'a>(view: View<'a>, _: &mut Walk<'a, '_>) -> Step<'a> {
    Ok(Inner::Llc(view.skip(16).ok_or(SHORT)?))
}

/// IP over FireWire as Apple captures it: two addresses of 8 octets, an ether type.
pub(super) fn firewire<'a>(view: View<'a>, _: &mut Walk<'a, '_>) -> Step<'a> {
    headed(view, 16, 18)
}

/// IP over InfiniBand (RFC 4391 s6): a route of 40 octets, an ether type, two octets of nothing.
pub(super) fn infiniband<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    walk.unread.push(view.bytes.get(..40).unwrap_or_default());
    headed(view, 40, 44)
}

/// An ether type, which is never a length, and where its payload begins.
fn headed(view: View<'_>, type_at: usize, body_at: usize) -> Step<'_> {
    match view.be16(type_at).ok_or(SHORT)? {
        kind if kind > MAX_LENGTH_FIELD => Ok(Inner::Typed(kind, view.skip(body_at).ok_or(SHORT)?)),
        kind => Err(Stop::Undecoded(Weird::UnknownEtherType(kind))),
    }
}
