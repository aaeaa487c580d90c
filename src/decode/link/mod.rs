//! Link layers: from the first octet of a frame to the IP packet in it.
//!
//! Each layer is one function from a view to what is inside it (`Inner`); `follow` walks them, with a bound. Octets that a
//! layer skips and that can hold more than addresses and numbers are left unread, so they are searched raw.

mod atm;
mod ether;
mod host;
mod llc;
mod mpls;
mod ppp;
mod radio;
mod ring;
mod tags;
mod wan;
mod wlan;

use super::view::View;
use super::{Stop, Walk};
use crate::model::{LinkType, Weird};

/// Link layers inside one another that are followed; six are usual at most (a monitor's header, 802.11, LLC, MPLS, Ethernet,
/// PPPoE), more is an attempt to hide. Then `Weird::TooDeep`.
const MAX_LINK_LAYERS: usize = 16;

/// Up to this the third field of an Ethernet header is a length (IEEE 802.3 s3.2.6).
const MAX_LENGTH_FIELD: u16 = 1500;

pub(super) const ETHER_IPV4: u16 = 0x0800;
pub(super) const ETHER_IPV6: u16 = 0x86dd;

/// An IP packet, by its announced version.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet<'a> {
    V4(View<'a>),
    V6(View<'a>),
}

/// What a link layer holds.
#[derive(Clone, Copy, Debug)]
enum Inner<'a> {
    Packet(Packet<'a>),
    /// A frame of another link type.
    Frame(LinkType, View<'a>),
    /// What an ether type announced; up to `MAX_LENGTH_FIELD` it is the length of an LLC header and its payload.
    Typed(u16, View<'a>),
    Llc(View<'a>),
    Ppp(View<'a>),
    Mpls(View<'a>),
}

type Step<'a> = Result<Inner<'a>, Stop>;

const SHORT: Stop = Stop::Undecoded(Weird::ShortLinkHeader);
const BAD: Stop = Stop::Undecoded(Weird::BadLinkHeader);

/// Reads the link layers of a frame.
pub(super) fn read<'a>(
    link_type: LinkType,
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Packet<'a>, Stop> {
    follow(Inner::Frame(link_type, view), walk)
}

/// Reads an Ethernet frame.
pub(super) fn ethernet<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    follow(Inner::Frame(LinkType::ETHERNET, view), walk)
}

/// Reads what an ether type announced. Up to 1500 `kind` is a length.
pub(super) fn typed<'a>(
    kind: u16,
    view: View<'a>,
    walk: &mut Walk<'a, '_>,
) -> Result<Packet<'a>, Stop> {
    follow(Inner::Typed(kind, view), walk)
}

/// Reads PPP, from its address octet or from its protocol on.
pub(super) fn ppp<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    follow(Inner::Ppp(view), walk)
}

/// Goes from layer to layer until there is an IP packet.
fn follow<'a>(first: Inner<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    let mut inner = first;
    for _ in 0..=MAX_LINK_LAYERS {
        inner = match inner {
            Inner::Packet(packet) => return Ok(packet),
            Inner::Frame(link_type, view) => frame(link_type, view, walk)?,
            Inner::Typed(kind, view) => ether::typed(kind, view, walk)?,
            Inner::Llc(view) => llc::read(view, llc::Bridge::Plain, walk)?,
            Inner::Ppp(view) => ppp::read(view, walk)?,
            Inner::Mpls(view) => mpls::read(view, walk)?,
        };
    }
    Err(Stop::Undecoded(Weird::TooDeep))
}

/// By link type (the tcpdump registry of link-layer header types; `DLT_` numbers that differ appear beside them, because
/// PPI and PKTAP name them).
fn frame<'a>(link_type: LinkType, view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    match link_type {
        LinkType::ETHERNET => ether::ethernet(view, walk),
        LinkType::LINUX_SLL => host::sll(view, walk),
        LinkType::LINUX_SLL2 => host::sll2(view, walk),
        LinkType::NULL | LinkType::LOOP => host::null(view),
        // 12 and 14 are DLT_RAW of some systems, found in old files.
        LinkType::RAW | LinkType(12 | 14) => host::raw(view),
        LinkType::IPV4 => Ok(Inner::Packet(Packet::V4(view))),
        LinkType::IPV6 => Ok(Inner::Packet(Packet::V6(view))),
        LinkType::IEEE802_5 => ring::token_ring(view, walk),
        LinkType::ARCNET_BSD => ring::arcnet(view, 2, walk),
        LinkType::ARCNET_LINUX => ring::arcnet(view, 4, walk),
        LinkType::FDDI => ring::fddi(view, walk),
        LinkType::IP_OVER_FC => ring::fibre_channel(view, walk),
        LinkType::APPLE_IP_OVER_IEEE1394 => ring::firewire(view, walk),
        LinkType::IPOIB => ring::infiniband(view, walk),
        LinkType::SLIP => wan::slip(view, walk),
        LinkType::SLIP_BSDOS => wan::slip_bsdos(view, walk),
        LinkType::PPP | LinkType::PPP_HDLC => ppp::serial(view, walk),
        LinkType::PPP_ETHER => ppp::pppoe(view, walk),
        LinkType::PPP_PPPD | LinkType::PPP_WITH_DIR => ppp::serial(past(view, 1, walk)?, walk),
        LinkType::C_HDLC => wan::cisco_hdlc(view, walk),
        LinkType::C_HDLC_WITH_DIR => wan::cisco_hdlc(past(view, 1, walk)?, walk),
        LinkType::FRELAY => wan::frame_relay(view, walk),
        LinkType::FRELAY_WITH_DIR => wan::frame_relay(past(view, 1, walk)?, walk),
        LinkType::MFR => wan::multilink_frame_relay(view, walk),
        LinkType::ATM_RFC1483 | LinkType(11) => atm::rfc1483(view, walk),
        LinkType::ATM_CLIP | LinkType(19) => atm::clip(view, walk),
        LinkType::SUNATM => atm::sun(view, walk),
        LinkType::MPLS => Ok(Inner::Mpls(view)),
        LinkType::IEEE802_11 => wlan::read(view, wlan::Air::default(), walk),
        LinkType::PRISM => radio::prism(view, walk),
        LinkType::IEEE802_11_RADIOTAP => radio::radiotap(view, walk),
        LinkType::IEEE802_11_AVS => radio::avs(view, walk),
        LinkType::PPI => radio::ppi(view, walk),
        LinkType::ENC => host::enc(view, walk),
        LinkType::PFLOG => host::pflog(view, walk),
        LinkType::ERF => host::erf(view, walk),
        LinkType::NFLOG => host::nflog(view, walk),
        LinkType::IPNET => host::ipnet(view, walk),
        LinkType::PKTAP => host::pktap(view, walk),
        LinkType::USER2 if host::is_pktap(view) => host::pktap(view, walk),
        LinkType::NETLINK => host::netlink(view),
        LinkType::NETANALYZER_TRANSPARENT => tags::mpacket(past(view, 4, walk)?, walk),
        LinkType::ETHERNET_MPACKET => tags::mpacket(view, walk),
        LinkType::DSA_TAG_BRCM | LinkType::DSA_TAG_DSA => tags::switch(view, 4, walk),
        LinkType::NETANALYZER | LinkType::DSA_TAG_BRCM_PREPEND => {
            ether::ethernet(past(view, 4, walk)?, walk)
        }
        LinkType::DSA_TAG_EDSA => tags::switch(view, 8, walk),
        LinkType::JUNIPER_ETHER
        | LinkType::JUNIPER_PPP
        | LinkType::JUNIPER_FRELAY
        | LinkType::JUNIPER_CHDLC => wan::juniper(link_type, view, walk),
        other => Err(without_ip(other)),
    }
}

/// Link types on which nothing speaks IP (field buses, a screen's side channel, input events). USB, Bluetooth, 802.15.4
/// and other carriers that may hold IP are not among them.
const fn without_ip(link_type: LinkType) -> Stop {
    Stop::LinkOnly(match link_type.0 {
        18 | 246 => "pfsync",
        184 => "arinc-429",
        190 | 227 => "can",
        209 => "i2c",
        210 => "flexray",
        212 => "lin",
        216 => "evdev",
        275 => "displayport-aux",
        _ => return Stop::Undecoded(Weird::UnknownLinkType(link_type)),
    })
}

/// By the version field of an IP header.
fn by_version(view: View<'_>) -> Step<'_> {
    match view.u8(0).ok_or(Stop::Undecoded(Weird::ShortIpHeader))? >> 4 {
        4 => Ok(Inner::Packet(Packet::V4(view))),
        6 => Ok(Inner::Packet(Packet::V6(view))),
        _ => Err(Stop::Undecoded(Weird::BadIpVersion)),
    }
}

/// By the address family of the systems that capture: `AF_INET` is 2 everywhere; `AF_INET6` is 10 (Linux), 23 (Windows),
/// 24 (NetBSD, OpenBSD), 26 (Solaris), 28 (FreeBSD), 30 (macOS).
fn by_family(family: u32, view: View<'_>) -> Step<'_> {
    match family {
        2 => Ok(Inner::Packet(Packet::V4(view))),
        10 | 23 | 24 | 26 | 28 | 30 => Ok(Inner::Packet(Packet::V6(view))),
        other => {
            let low = u16::try_from(other & 0xffff).unwrap_or_default();
            Err(Stop::Undecoded(Weird::UnknownFamily(low)))
        }
    }
}

/// What follows a header of `n` octets. The header is left unread.
fn past<'a>(view: View<'a>, n: usize, walk: &mut Walk<'a, '_>) -> Result<View<'a>, Stop> {
    let body = view.skip(n).ok_or(SHORT)?;
    walk.unread.push(view.bytes.get(..n).unwrap_or_default());
    Ok(body)
}

/// What lies in front of a trailer of `n` octets. The trailer is left unread.
fn before<'a>(view: View<'a>, n: usize, walk: &mut Walk<'a, '_>) -> View<'a> {
    let (body, trailer) = view.limit(view.wire.saturating_sub(n));
    walk.unread.push(trailer);
    body
}

/// The first `length` octets; what lies behind them is left unread. A length beyond the frame is not believed: the octets
/// that are there are read.
fn within<'a>(view: View<'a>, length: usize, walk: &mut Walk<'a, '_>) -> View<'a> {
    if length > view.wire {
        return view;
    }
    let (body, trailer) = view.limit(length);
    walk.unread.push(trailer);
    body
}
