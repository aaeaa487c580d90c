//! Tunnels: from the payload of an IP or UDP datagram to the IP packet in it.
//!
//! A tunnel over UDP is known by its port and by its first octets together: the port alone may be any client's. Without either, by
//! a whole IP packet that its payload ends with.

mod gre;
mod gtp;
mod l2tp;
mod shape;
mod udp;
mod within;

use super::link::{self, Packet};
use super::view::View;
use super::{Stop, Walk};
use crate::model::{Layer, Proto, Segment, Weird};

/// Opens the payload of a datagram: the packet in it, or nothing where it is no tunnel after all.
///
/// A `Stop::LinkOnly` is about what is in the tunnel. A `Stop::Undecoded` means a tunnel that cannot be read.
pub(super) type Open =
    for<'a, 'c> fn(View<'a>, &mut Walk<'a, 'c>) -> Result<Option<Packet<'a>>, Stop>;

const SHORT: Stop = Stop::Undecoded(Weird::ShortLinkHeader);

/// How a datagram is to be opened; none where it carries no tunnel that is known (IANA protocol-numbers).
pub(super) fn of(segment: &Segment<'_>) -> Option<Open> {
    let known: Option<Open> = match segment.proto {
        Proto::UDP => udp::of(segment),
        Proto(4 | 94) => Some(ip_in_ip),
        Proto(41) => Some(ipv6_in_ip),
        Proto(47) => Some(gre::open),
        Proto(97) => Some(ether_ip),
        Proto(115) => Some(l2tp::over_ip),
        Proto(137) => Some(mpls),
        Proto(143) => Some(ethernet),
        // ENCAP, IPComp, ROHC, AGGFRAG.
        Proto(98 | 108 | 142 | 144) => Some(unread),
        _ => None,
    };
    known.or_else(|| within::of(segment))
}

/// A tunnel for which there is no reader.
fn unread<'a>(_: View<'a>, _: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    Err(Stop::Undecoded(Weird::UnreadTunnel(0)))
}

/// IPv4 in IP (RFC 2003 s3.1).
fn ip_in_ip<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    walk.layer(Layer::plain("ipv4"))?;
    Ok(Some(Packet::V4(view)))
}

/// IPv6 in IP (RFC 4213 s3.5, RFC 2473 s3).
fn ipv6_in_ip<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    walk.layer(Layer::plain("ipv6"))?;
    Ok(Some(Packet::V6(view)))
}

/// An IP packet, by its version.
fn ip(view: View<'_>) -> Result<Packet<'_>, Stop> {
    match view.u8(0).ok_or(SHORT)? >> 4 {
        4 => Ok(Packet::V4(view)),
        6 => Ok(Packet::V6(view)),
        _ => Err(Stop::Undecoded(Weird::BadIpVersion)),
    }
}

/// EtherIP (RFC 3378 s3): version 3, 12 bits of nothing, an Ethernet frame.
fn ether_ip<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    if view.u8(0).ok_or(SHORT)? >> 4 != 3 {
        return Err(Stop::Undecoded(Weird::UnreadTunnel(97)));
    }
    walk.layer(Layer::plain("etherip"))?;
    link::ethernet(view.skip(2).ok_or(SHORT)?, walk).map(Some)
}

/// An Ethernet frame (RFC 8986 s11).
fn ethernet<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    walk.layer(Layer::plain("ethernet"))?;
    link::ethernet(view, walk).map(Some)
}

/// MPLS in IP (RFC 4023 s3) or in UDP (RFC 7510 s3): a label stack.
fn mpls<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    link::typed(0x8847, view, walk).map(Some)
}
