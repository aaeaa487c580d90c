//! Link layers: from the first octet of a frame to the IP packet in it.

use super::view::View;
use super::{Stop, Walk};
use crate::model::{Layer, LinkType, Weird};

/// VLAN tags inside one another that are followed; two are usual, more is provider equipment or an attempt to hide.
const MAX_VLAN_TAGS: usize = 8;

/// Up to this the third field of an Ethernet header is a length (IEEE 802.3 s3.2.6).
const MAX_LENGTH_FIELD: u16 = 1500;

const ETHER_IPV4: u16 = 0x0800;
const ETHER_IPV6: u16 = 0x86dd;

/// An IP packet, by its announced version.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet<'a> {
    V4(View<'a>),
    V6(View<'a>),
}

const SHORT: Stop = Stop::Undecoded(Weird::ShortLinkHeader);

/// Reads the link layer of a frame.
pub(super) fn read<'a>(
    link_type: LinkType,
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Packet<'a>, Stop> {
    match link_type {
        LinkType::ETHERNET => ethernet(view, walk),
        LinkType::LINUX_SLL => sll(view, walk),
        LinkType::LINUX_SLL2 => sll2(view, walk),
        LinkType::NULL | LinkType::LOOP => null(view),
        // 12 and 14 are DLT_RAW of some systems, found in old files.
        LinkType::RAW | LinkType(12 | 14) => raw(view),
        LinkType::IPV4 => Ok(Packet::V4(view)),
        LinkType::IPV6 => Ok(Packet::V6(view)),
        // 50 is PPP in HDLC-like framing: the same octets.
        LinkType::PPP | LinkType(50) => ppp(view),
        LinkType(51) => pppoe(view, walk),
        LinkType(104) => cisco_hdlc(view, walk),
        other => Err(Stop::Undecoded(Weird::UnknownLinkType(other))),
    }
}

/// Destination, source, ether type or length (IEEE 802.3 s3.1.1).
pub(super) fn ethernet<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    let kind = view.be16(12).ok_or(SHORT)?;
    typed(kind, view.skip(14).ok_or(SHORT)?, walk)
}

/// What follows an Ethernet type-or-length field, a VLAN tag or a cooked header.
pub(super) fn typed<'a>(
    kind: u16,
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Packet<'a>, Stop> {
    let (mut kind, mut view) = (kind, view);
    for _ in 0..=MAX_VLAN_TAGS {
        match kind {
            ETHER_IPV4 => return Ok(Packet::V4(view)),
            ETHER_IPV6 => return Ok(Packet::V6(view)),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let tag = view.be16(0).ok_or(SHORT)?;
                walk.layer(Layer::numbered("vlan", u32::from(tag & 0x0fff)))?;
                kind = view.be16(2).ok_or(SHORT)?;
                view = view.skip(4).ok_or(SHORT)?;
            }
            0x8864 => return pppoe(view, walk),
            0x88e5 => return Err(Stop::Undecoded(Weird::EncryptedLink)),
            length if length <= MAX_LENGTH_FIELD => {
                let (body, trailer) = view.limit(usize::from(length));
                // A length beyond the frame is not believed: the octets that are there are read.
                let body = if body.wire > view.wire { view } else { body };
                walk.unread.push(trailer);
                return llc(body);
            }
            other => return Err(without_ip(other)),
        }
    }
    Err(Stop::Undecoded(Weird::TooDeep))
}

/// Ether types that carry no IP packet (IEEE registration authority, ethertype list).
const fn without_ip(ether_type: u16) -> Stop {
    Stop::LinkOnly(match ether_type {
        0x0806 => "arp",
        0x8035 => "rarp",
        0x0842 => "wake-on-lan",
        0x6002 => "dec-mop",
        0x8137 => "ipx",
        0x886d => "intel-ans",
        0x8899 => "loop-detection",
        0x8808 => "ethernet-flow-control",
        0x8809 => "slow-protocols",
        0x8863 => "pppoe-discovery",
        0x887b | 0x88e1 | 0x8912 => "homeplug",
        0x888e | 0x88c7 => "eapol",
        0x88cc => "lldp",
        0x88d9 => "lltd",
        0x88f5 | 0x88f6 => "mrp",
        0x88f7 => "ptp",
        0x8902 => "cfm",
        0x890d => "tdls",
        0x893a => "ieee-1905",
        0x9000 => "loopback",
        other => return Stop::Undecoded(Weird::UnknownEtherType(other)),
    })
}

/// LLC (IEEE 802.2) and SNAP (IEEE 802a).
fn llc(view: View<'_>) -> Result<Packet<'_>, Stop> {
    let [dsap, _, control] = view.array(0).ok_or(SHORT)?;
    if matches!(control & 0xef, 0xaf | 0xe3) {
        // XID and TEST (IEEE 802.2 s5.4.1): what a link can do; stations and access points send them when they meet.
        return Err(Stop::LinkOnly("llc-test"));
    }
    match (dsap & 0xfe, control) {
        (0xaa, 0x03) => snap(view.skip(3).ok_or(SHORT)?),
        (0x06, 0x03) => Ok(Packet::V4(view.skip(3).ok_or(SHORT)?)),
        (0x42, 0x03) => Err(Stop::LinkOnly("stp")),
        (0xfe, 0x03) => Err(Stop::LinkOnly("osi-routing")),
        (0xe0, 0x03) => Err(Stop::LinkOnly("ipx")),
        (0xf0, _) => Err(Stop::LinkOnly("netbeui")),
        _ => Err(Stop::Undecoded(Weird::UnknownLlc)),
    }
}

/// Organization code and protocol.
fn snap(view: View<'_>) -> Result<Packet<'_>, Stop> {
    let oui: [u8; 3] = view.array(0).ok_or(SHORT)?;
    let protocol = view.be16(3).ok_or(SHORT)?;
    let body = view.skip(5).ok_or(SHORT)?;
    match (oui, protocol) {
        // 00-00-00: an ether type (RFC 1042); 00-00-f8: the same, tunnelled by a bridge (IEEE 802.1H).
        ([0, 0, 0 | 0xf8], ETHER_IPV4) => Ok(Packet::V4(body)),
        ([0, 0, 0 | 0xf8], ETHER_IPV6) => Ok(Packet::V6(body)),
        ([0, 0, 0 | 0xf8], other) => Err(without_ip(other)),
        ([0, 0, 0x0c], 0x2000) => Err(Stop::LinkOnly("cdp")),
        ([0, 0, 0x0c], 0x2003) => Err(Stop::LinkOnly("vtp")),
        ([0, 0, 0x0c], 0x2004) => Err(Stop::LinkOnly("dtp")),
        ([0, 0, 0x0c], 0x010b) => Err(Stop::LinkOnly("stp")),
        ([0, 0, 0x0c], 0x0111) => Err(Stop::LinkOnly("udld")),
        _ => Err(Stop::Undecoded(Weird::UnknownLlc)),
    }
}

/// `ARPHRD_NETLINK`: the protocol field is a netlink family, and nothing was on a wire.
const ARPHRD_NETLINK: u16 = 824;

/// Linux cooked capture: type, device type, address length, address, protocol; 16 octets.
fn sll<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    let device = view.be16(2).ok_or(SHORT)?;
    let protocol = view.be16(14).ok_or(SHORT)?;
    cooked(device, protocol, view.skip(16).ok_or(SHORT)?, walk)
}

/// Linux cooked capture, version 2: protocol first; 20 octets.
fn sll2<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    let protocol = view.be16(0).ok_or(SHORT)?;
    let device = view.be16(8).ok_or(SHORT)?;
    cooked(device, protocol, view.skip(20).ok_or(SHORT)?, walk)
}

fn cooked<'a>(
    device: u16,
    protocol: u16,
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Packet<'a>, Stop> {
    match protocol {
        _ if device == ARPHRD_NETLINK => Err(Stop::LinkOnly("netlink")),
        0x0004 => llc(view),
        // Below 1536 stand the kernel's own numbers, not lengths.
        other if other <= MAX_LENGTH_FIELD => Err(Stop::Undecoded(Weird::UnknownEtherType(other))),
        other => typed(other, view, walk),
    }
}

/// BSD loopback: an address family of 4 octets. Byte order is that of the machine that captured, so both are tried.
fn null(view: View<'_>) -> Result<Packet<'_>, Stop> {
    let family = view.be32(0).ok_or(SHORT)?;
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    let body = view.skip(4).ok_or(SHORT)?;
    match family {
        2 => Ok(Packet::V4(body)),
        // AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
        10 | 23 | 24 | 28 | 30 => Ok(Packet::V6(body)),
        other => {
            let low = u16::try_from(other & 0xffff).unwrap_or_default();
            Err(Stop::Undecoded(Weird::UnknownEtherType(low)))
        }
    }
}

fn raw(view: View<'_>) -> Result<Packet<'_>, Stop> {
    match view.u8(0).ok_or(Stop::Undecoded(Weird::ShortIpHeader))? >> 4 {
        4 => Ok(Packet::V4(view)),
        6 => Ok(Packet::V6(view)),
        _ => Err(Stop::Undecoded(Weird::BadIpVersion)),
    }
}

/// PPP (RFC 1661 s2, RFC 1662 s3.1): address and control may be left out, the protocol may be one octet.
pub(super) fn ppp(view: View<'_>) -> Result<Packet<'_>, Stop> {
    let view = match view.array(0) {
        Some([0xff, 0x03]) => view.skip(2).ok_or(SHORT)?,
        _ => view,
    };
    let first = view.u8(0).ok_or(SHORT)?;
    let (protocol, body) = if first & 1 == 1 {
        (u16::from(first), view.skip(1).ok_or(SHORT)?)
    } else {
        (view.be16(0).ok_or(SHORT)?, view.skip(2).ok_or(SHORT)?)
    };
    match protocol {
        0x0021 => Ok(Packet::V4(body)),
        0x0057 => Ok(Packet::V6(body)),
        0xc023 => Err(Stop::LinkOnly("ppp-pap")),
        0xc223 => Err(Stop::LinkOnly("ppp-chap")),
        // Control protocols of the network layer and of the link (RFC 1661 s2).
        0x8000..=0xbfff | 0xc021 | 0xc025 | 0xc227 => Err(Stop::LinkOnly("ppp-control")),
        other => Err(Stop::Undecoded(Weird::UnknownEtherType(other))),
    }
}

/// PPPoE session (RFC 2516 s4): version and type, code, session, length.
fn pppoe<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    let length = view.be16(4).ok_or(SHORT)?;
    let body = view.skip(6).ok_or(SHORT)?;
    if view.u8(1) != Some(0) {
        return Err(Stop::LinkOnly("pppoe-discovery"));
    }
    let (inner, trailer) = body.limit(usize::from(length));
    walk.unread.push(trailer);
    ppp(if inner.wire > body.wire { body } else { inner })
}

/// Cisco HDLC: address, control, ether type (RFC 1547 s4.3.1).
fn cisco_hdlc<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    match view.be16(2).ok_or(SHORT)? {
        // SLARP; on Ethernet the number means RARP.
        0x8035 => Err(Stop::LinkOnly("slarp")),
        0x2000 => Err(Stop::LinkOnly("cdp")),
        kind if kind <= MAX_LENGTH_FIELD => Err(Stop::Undecoded(Weird::UnknownEtherType(kind))),
        kind => typed(kind, view.skip(4).ok_or(SHORT)?, walk),
    }
}
