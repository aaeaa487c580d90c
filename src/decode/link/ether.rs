//! Ethernet, VLAN tags, ether types.

use super::{
    ETHER_IPV4, ETHER_IPV6, Inner, MAX_LENGTH_FIELD, Packet, SHORT, Step, llc, past, ppp, tags,
    wan, within,
};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, LinkType, Weird};

/// VLAN tags inside one another that are followed; two are usual, more is provider equipment or an attempt to hide.
const MAX_VLAN_TAGS: usize = 8;

/// Cisco ISL: a header of 26 octets that begins with a multicast address, then the whole inner frame.
const ISL_HEADER: usize = 26;

/// Destination, source, ether type or length (IEEE 802.3 s3.1.1).
pub(super) fn ethernet<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let kind = view.be16(12).ok_or(SHORT)?;
    let body = view.skip(14).ok_or(SHORT)?;
    if kind <= MAX_LENGTH_FIELD && is_isl(view) {
        walk.layer(Layer::plain("isl"))?;
        return Ok(Inner::Frame(LinkType::ETHERNET, past(view, ISL_HEADER, walk)?));
    }
    typed(kind, body, walk)
}

fn is_isl(view: View<'_>) -> bool {
    matches!(view.array(0), Some([0x01 | 0x03 | 0x0c, 0, 0x0c, 0, 0]))
        && view.array(14) == Some([0xaa, 0xaa, 0x03])
}

/// What follows an Ethernet type-or-length field, a VLAN tag or a cooked header.
pub(super) fn typed<'a>(kind: u16, view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let (mut kind, mut view) = (kind, view);
    for _ in 0..=MAX_VLAN_TAGS {
        match kind {
            ETHER_IPV4 => return Ok(Inner::Packet(Packet::V4(view))),
            ETHER_IPV6 => return Ok(Inner::Packet(Packet::V6(view))),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => {
                let tag = view.be16(0).ok_or(SHORT)?;
                walk.layer(Layer::numbered("vlan", u32::from(tag & 0x0fff)))?;
                kind = view.be16(2).ok_or(SHORT)?;
                view = view.skip(4).ok_or(SHORT)?;
            }
            length if length <= MAX_LENGTH_FIELD => {
                return Ok(Inner::Llc(within(view, usize::from(length), walk)));
            }
            other => return layered(other, view, walk),
        }
    }
    Err(Stop::Undecoded(Weird::TooDeep))
}

/// Ether types that carry another frame or a layer of their own.
fn layered<'a>(kind: u16, view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    match kind {
        0x22f3 => tags::trill(view, walk),
        // Transparent Ethernet bridging (RFC 1701), raw Frame Relay, PPP: GRE names them too.
        0x6558 => Ok(Inner::Frame(LinkType::ETHERNET, view)),
        0x6559 => wan::frame_relay(view, walk),
        0x880b => Ok(Inner::Ppp(view)),
        0x8847 | 0x8848 => Ok(Inner::Mpls(view)),
        0x8864 => ppp::pppoe(view, walk),
        // LLC in frames longer than the length field can say.
        0x8870 => Ok(Inner::Llc(view)),
        // IEEE 802 OUI extended: the five octets of SNAP.
        0x88b7 => llc::snap(view, llc::Bridge::Plain, walk),
        0x88e5 => tags::macsec(view, walk),
        // Provider backbone bridging: 4 octets of I-TAG, then the customer's frame (IEEE 802.1Q s9.7).
        0x88e7 => {
            let service = view.be32(0).ok_or(SHORT)? & 0x00ff_ffff;
            walk.layer(Layer::numbered("pbb", service))?;
            Ok(Inner::Frame(LinkType::ETHERNET, past(view, 4, walk)?))
        }
        // Cisco FabricPath: forwarding tag and TTL, then the frame.
        0x8903 => {
            walk.layer(Layer::plain("fabricpath"))?;
            Ok(Inner::Frame(LinkType::ETHERNET, past(view, 2, walk)?))
        }
        0x8909 => tags::cisco_metadata(view, walk),
        0x8926 => tags::tag("vntag", view, 4, walk),
        // HSR (IEC 62439-3), E-TAG (IEEE 802.1BR s7.5).
        0x892f => tags::tag("hsr", view, 4, walk),
        0x893f => tags::tag("etag", view, 6, walk),
        0x894f => tags::service_header(view, walk),
        other => Err(without_ip(other)),
    }
}

/// Ether types that carry no IP packet (IEEE registration authority, ethertype list).
const fn without_ip(ether_type: u16) -> Stop {
    Stop::LinkOnly(match ether_type {
        0x0806 => "arp",
        0x8035 => "rarp",
        0x0842 => "wake-on-lan",
        0x22ea => "srp",
        0x22f0 => "avtp",
        0x22f4 => "l2-is-is",
        0x6002 => "dec-mop",
        0x80f3 => "aarp",
        0x8137 => "ipx",
        0x886d => "intel-ans",
        0x8899 => "loop-detection",
        0x8808 => "ethernet-flow-control",
        0x8809 => "slow-protocols",
        0x8863 => "pppoe-discovery",
        0x887b | 0x88e1 | 0x8912 => "homeplug",
        0x888e | 0x88c7 => "eapol",
        0x88b8 | 0x88b9 => "goose",
        0x88ba => "sampled-values",
        0x88cc => "lldp",
        0x88d9 => "lltd",
        0x88e3 => "media-redundancy",
        0x88f5 | 0x88f6 => "mrp",
        0x88f7 => "ptp",
        0x88fb => "prp-supervision",
        0x8902 => "cfm",
        0x890d => "tdls",
        0x8914 => "fip",
        0x893a => "ieee-1905",
        0x9000 => "loopback",
        other => return Stop::Undecoded(Weird::UnknownEtherType(other)),
    })
}
