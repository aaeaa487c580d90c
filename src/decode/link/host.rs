//! What a machine puts in front of packets of its own: loopback, cooked captures, packet filters' logs.

use super::{
    BAD, Inner, MAX_LENGTH_FIELD, Packet, SHORT, Step, by_family, by_version, past, within,
};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{LinkType, Weird};

/// `ARPHRD_NETLINK`: the protocol field is a netlink family, and nothing was on a wire.
const ARPHRD_NETLINK: u16 = 824;

/// Families of netlink that hold no packets: routes, sockets' state, IPsec's, SELinux, audit, FIB, events, cryptography.
/// Others do: for a log, a sample, or a program that decides on them.
const NETLINK_WITHOUT_PACKETS: [u16; 8] = [0, 4, 6, 7, 9, 10, 15, 21];

/// Attributes of one NFLOG frame that are walked; the kernel writes fewer than 32.
const MAX_ATTRIBUTES: usize = 256;

/// Attributes of NFLOG (Linux `nfnetlink_log.h`).
const NFULA_PACKET_HDR: u16 = 1;
const NFULA_PAYLOAD: u16 = 9;

/// Octets of the smallest PKTAP header.
const MIN_PKTAP: u32 = 108;

pub(super) fn raw(view: View<'_>) -> Step<'_> {
    by_version(view)
}

/// BSD loopback: an address family of 4 octets. Byte order is that of the machine that captured, so both are tried.
pub(super) fn null(view: View<'_>) -> Step<'_> {
    let family = view.be32(0).ok_or(SHORT)?;
    by_family(native(family), view.skip(4).ok_or(SHORT)?)
}

/// A small number, from either byte order.
const fn native(number: u32) -> u32 {
    if number > 0xffff { number.swap_bytes() } else { number }
}

/// Linux cooked capture: type, device type, address length, address, protocol; 16 octets.
pub(super) fn sll<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let device = view.be16(2).ok_or(SHORT)?;
    let protocol = view.be16(14).ok_or(SHORT)?;
    cooked(device, protocol, view.skip(16).ok_or(SHORT)?, walk)
}

/// Linux cooked capture, version 2: protocol first; 20 octets.
pub(super) fn sll2<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let protocol = view.be16(0).ok_or(SHORT)?;
    let device = view.be16(8).ok_or(SHORT)?;
    cooked(device, protocol, view.skip(20).ok_or(SHORT)?, walk)
}

/// By device (Linux `if_arp.h`), then by protocol.
fn cooked<'a>(device: u16, protocol: u16, view: View<'a>, _: &mut Walk<'a, '_>) -> Step<'a> {
    match (device, protocol) {
        (ARPHRD_NETLINK, family) => Err(of_netlink(family)),
        (770, _) => Ok(Inner::Frame(LinkType::FRELAY, view)),
        (801, _) => Ok(Inner::Frame(LinkType::IEEE802_11, view)),
        (802, _) => Ok(Inner::Frame(LinkType::PRISM, view)),
        (803, _) => Ok(Inner::Frame(LinkType::IEEE802_11_RADIOTAP, view)),
        (_, 0x0001) => Err(Stop::LinkOnly("ipx")),
        (_, 0x0004) => Ok(Inner::Llc(view)),
        (_, 0x000c..=0x000e) => Err(Stop::LinkOnly("can")),
        // Below 1536 stand the kernel's own numbers, not lengths.
        (_, other) if other <= MAX_LENGTH_FIELD => {
            Err(Stop::Undecoded(Weird::UnknownEtherType(other)))
        }
        (_, other) => Ok(Inner::Typed(other, view)),
    }
}

/// Linux netlink: a cooked header whose protocol is the family.
pub(super) fn netlink(view: View<'_>) -> Step<'_> {
    Err(of_netlink(view.be16(14).ok_or(SHORT)?))
}

fn of_netlink(family: u16) -> Stop {
    if NETLINK_WITHOUT_PACKETS.contains(&family) {
        Stop::LinkOnly("netlink")
    } else {
        Stop::Undecoded(Weird::UnknownLinkType(LinkType::NETLINK))
    }
}

/// Endace's record (ERF): time, type, flags, lengths; 16 octets, then perhaps more headers of 8, each of which says whether
/// another follows.
pub(super) fn erf<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let kind = view.u8(8).ok_or(SHORT)?;
    let mut more = kind & 0x80 != 0;
    let mut body = past(view, 16, walk)?;
    while more {
        more = body.u8(0).ok_or(SHORT)? & 0x80 != 0;
        body = past(body, 8, walk)?;
    }
    Ok(match kind & 0x7f {
        1 | 10 | 15 => Inner::Frame(LinkType::PPP_HDLC, body),
        // Two octets of offset and padding.
        2 | 11 | 16 => Inner::Frame(LinkType::ETHERNET, past(body, 2, walk)?),
        22 => Inner::Packet(Packet::V4(body)),
        23 => Inner::Packet(Packet::V6(body)),
        _ => return Err(Stop::Undecoded(Weird::UnknownLinkType(LinkType::ERF))),
    })
}

/// Linux NFLOG: family, version, resource; then attributes: length with its own four octets, type, both in the order of
/// the machine, value, padded to four octets.
pub(super) fn nflog<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let [family, version] = view.array(0).ok_or(SHORT)?;
    if version != 0 {
        return Err(BAD);
    }
    let mut rest = past(view, 4, walk)?;
    let mut protocol = None;
    for _ in 0..MAX_ATTRIBUTES {
        // The first bit marks attributes that hold others. The types are small, so their byte order shows; it is that of
        // the lengths.
        let little = rest.le16(2).ok_or(SHORT)? & 0x7fff;
        let big = rest.be16(2).ok_or(SHORT)? & 0x7fff;
        let (kind, length) =
            if little <= big { (little, rest.le16(0)) } else { (big, rest.be16(0)) };
        let length = usize::from(length.ok_or(SHORT)?);
        let size = length.checked_sub(4).ok_or(BAD)?;
        if kind == NFULA_PAYLOAD {
            let body = within(past(rest, 4, walk)?, size, walk);
            return match (family, protocol) {
                (2 | 10, _) => by_family(u32::from(family), body),
                (_, Some(kind)) if kind > MAX_LENGTH_FIELD => Ok(Inner::Typed(kind, body)),
                _ => Err(Stop::Undecoded(Weird::UnknownFamily(u16::from(family)))),
            };
        }
        if kind == NFULA_PACKET_HDR {
            protocol = rest.be16(4);
        }
        rest = past(rest, length.next_multiple_of(4), walk)?;
    }
    Err(BAD)
}

/// Solaris IPNET: version, family, hook, length, interfaces, zones; 24 octets.
pub(super) fn ipnet<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let [version, family] = view.array(0).ok_or(SHORT)?;
    if version != 1 {
        return Err(BAD);
    }
    by_family(u32::from(family), past(view, 24, walk)?)
}

/// OpenBSD's view of decrypted IPsec: family, security parameters index, flags; 12 octets.
pub(super) fn enc<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let family = view.be32(0).ok_or(SHORT)?;
    by_family(native(family), past(view, 12, walk)?)
}

/// The log of BSD's packet filter: length, family, action, reason, interface and rule; padded to four octets.
pub(super) fn pflog<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let [length, family] = view.array(0).ok_or(SHORT)?;
    // The oldest form has a family of four octets in place of the length.
    if length < 40 {
        return Err(BAD);
    }
    let body = past(view, usize::from(length).next_multiple_of(4), walk)?;
    by_family(u32::from(family), body)
}

/// Whether a frame of a user's link type is PKTAP, which macOS wrote under that number before it had one.
pub(super) fn is_pktap(view: View<'_>) -> bool {
    let header = (view.le32(0), view.le32(4), view.le32(8));
    matches!(header, (Some(MIN_PKTAP..=1024), Some(1), Some(link_type)) if link_type <= 512)
}

/// macOS PKTAP: length, type of record, link type, interface and process, all little-endian.
pub(super) fn pktap<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let length = view.le32(0).ok_or(SHORT)?;
    let link_type = view.le32(8).ok_or(SHORT)?;
    if view.le32(4) != Some(1) || length < MIN_PKTAP {
        return Err(BAD);
    }
    let length = usize::try_from(length).map_err(|_| BAD)?;
    let link_type = LinkType(u16::try_from(link_type).map_err(|_| BAD)?);
    Ok(Inner::Frame(link_type, past(view, length, walk)?))
}
