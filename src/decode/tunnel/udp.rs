//! Tunnels over UDP.

use super::{Open, SHORT, mpls};
use crate::decode::link::{self, Packet};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, Weird};

/// How a datagram to or from `port` is to be opened. Its first octets must be those of the tunnel, and of data.
pub(super) fn of(port: u16, payload: &[u8]) -> Option<Open> {
    let [b0, b1, b2, b3, _, _, _, b7, ..] = *payload else { return None };
    match port {
        // L2TP data (RFC 2661 s3.1, RFC 3931 s4.1.2.1)
        1701 if b0 & 0x80 == 0 && matches!(b1 & 0x0f, 2 | 3) => Some(unread),
        // GTP-U G-PDU (3GPP TS 29.281 s5.1)
        2152 if b0 >> 5 == 1 && b1 == 255 => Some(unread),
        // Teredo (RFC 4380 s5.1.1)
        3544 if is_ipv6(payload) || (b0 == 0 && b1 <= 1) => Some(unread),
        // VXLAN (RFC 7348 s5)
        4789 | 8472 if b0 & 0x08 != 0 && b1 == 0 && b2 == 0 && b7 == 0 => Some(vxlan),
        // VXLAN-GPE: an inner protocol is named
        4790 if b0 & 0x08 != 0 && matches!(b3, 1..=5) => Some(unread),
        // GRE-in-UDP (RFC 8086 s3)
        4754 if b0 & 0x4f == 0 && b1 & 0xf8 == 0 && is_carried([b2, b3]) => Some(super::gre::open),
        // LISP data (RFC 9300 s5)
        4341 if matches!(payload.get(8).map(|octet| octet >> 4), Some(4 | 6)) => Some(unread),
        // TZSP of Ethernet
        37_008 if b0 == 1 && b1 <= 5 && [b2, b3] == [0, 1] => Some(unread),
        // Geneve (RFC 8926 s3.4)
        6081 if b0 >> 6 == 0 && is_carried([b2, b3]) => Some(unread),
        // MPLS-in-UDP (RFC 7510 s3)
        6635 => Some(mpls),
        _ => None,
    }
}

/// Whether an ether type is Ethernet inside a tunnel, IPv4 or IPv6.
const fn is_carried(ether_type: [u8; 2]) -> bool {
    matches!(ether_type, [0x65, 0x58] | [0x08, 0] | [0x86, 0xdd])
}

/// Whether a datagram is one IPv6 packet, by its version and length.
fn is_ipv6(payload: &[u8]) -> bool {
    matches!(*payload, [first, _, _, _, l0, l1, ..]
        if first >> 4 == 6 && usize::from(u16::from_be_bytes([l0, l1])) + 40 == payload.len())
}

/// A tunnel for which there is no reader.
fn unread<'a>(_: View<'a>, _: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    Err(Stop::Undecoded(Weird::UnreadTunnel(17)))
}

/// RFC 7348 s5: flags, 24 bits reserved, a network of 24 bits, 8 reserved, an Ethernet frame.
fn vxlan<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    let network = view.be32(4).ok_or(SHORT)? >> 8;
    walk.network(Layer::numbered("vxlan", network))?;
    link::ethernet(view.skip(8).ok_or(SHORT)?, walk).map(Some)
}
