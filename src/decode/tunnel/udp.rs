//! Tunnels over UDP, known by port and first octets together; IP alone in UDP by its octets at any port.

use super::{Open, SHORT, gre, gtp, ip, l2tp, mpls, shape};
use crate::decode::link::{self, Packet};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, LinkType, Segment, Weird};

/// Tags of one TZSP header that are followed; there are some ten kinds.
const MAX_TAGS: usize = 64;

type Opened<'a> = Result<Option<Packet<'a>>, Stop>;

const UNREAD: Stop = Stop::Undecoded(Weird::UnreadTunnel(17));

/// How a datagram is to be opened; none where it is no tunnel.
pub(super) fn of(segment: &Segment<'_>) -> Option<Open> {
    let view = View::of_segment(segment);
    let [b0, ..] = *view.bytes else { return None };
    at_port(segment.src.port, view).or_else(|| at_port(segment.dst.port, view)).or_else(|| {
        // Foo-over-UDP, GUE's second variant, Teredo between clients.
        (matches!(b0 >> 4, 4 | 6) && shape::is_exactly_ip(view)).then_some(plain as Open)
    })
}

fn at_port(port: u16, view: View<'_>) -> Option<Open> {
    let [b0, b1, b2, b3, _, _, _, b7, ..] = *view.bytes else { return None };
    let body_at = |at: usize| view.skip(at).unwrap_or(View::whole(&[]));
    let is_ip_at = |at: usize| shape::is_ip(body_at(at));
    match port {
        // Without T, a data message of version 2 or 3 (RFC 2661 s3.1, RFC 3931 s4.1.2.1).
        1701 if b0 & 0x80 == 0 && matches!(b1 & 0x0f, 2 | 3) && b1 & 0xf0 == 0 => {
            Some(l2tp::over_udp)
        }
        // Version 1, a user's packet (3GPP TS 29.281 s5.1).
        2152 if b0 & 0xf8 == 0x30 && b1 == 255 => Some(gtp::open),
        // An indication, or the packet (RFC 4380 s5.1.1).
        3544 if is_ip_at(0) || (b0 == 0 && b1 <= 1) => Some(teredo),
        4341 if is_ip_at(8) => Some(lisp),
        4754 if b0 & 0x4f == 0 && b1 & 0xf8 == 0 && is_carried([b2, b3]) => Some(gre::open),
        // The flag of a valid network; reserved bits are zero, or a frame of Ethernet follows.
        4789 | 8472
            if b0 & 0x08 != 0 && ([b1, b2, b7] == [0; 3] || shape::is_ethernet(body_at(8))) =>
        {
            Some(vxlan)
        }
        4790 if b0 & 0xc0 == 0 && b0 & 0x0c != 0 && [b1, b2] == [0; 2] => Some(vxlan_gpe),
        // Forwarding of IP, behind an identity and a signature.
        5072 if b2 & 0x0f == 1 && matches!(b3, 4 | 41) && is_ip_at(ayiya_len(b0, b1)) => {
            Some(ayiya)
        }
        // A header and data, in the clear.
        5247 if b0 == 0 && b1 >> 3 >= 2 && b3.trailing_zeros() >= 4 => Some(capwap),
        6080 if b0 & 0xe0 == 0 && matches!(b1, 4 | 41 | 47) => Some(gue),
        // Version 0, no control packet, reserved bits zero (RFC 8926 s3.4).
        6081 if b0 >> 6 == 0 && b1 & 0xbf == 0 && b7 == 0 && is_carried([b2, b3]) => Some(geneve),
        // A label stack with an end.
        6635 if has_bottom(view.bytes) => Some(mpls),
        37_008 if b0 == 1 && b1 <= 1 => Some(tzsp),
        _ => None,
    }
}

/// Whether an ether type is Ethernet inside a tunnel, IPv4, IPv6, MPLS or NSH.
const fn is_carried(ether_type: [u8; 2]) -> bool {
    matches!(
        ether_type,
        [0x65, 0x58] | [0x08, 0] | [0x86, 0xdd] | [0x88, 0x47 | 0x48] | [0x89, 0x4f]
    )
}

/// Whether one of the first MPLS labels says that it is the last (RFC 3032 s2.1).
fn has_bottom(payload: &[u8]) -> bool {
    let (labels, _) = payload.as_chunks::<4>();
    labels.iter().take(8).any(|label| label[2] & 1 == 1)
}

/// An IP packet and nothing else.
fn plain<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    walk.layer(Layer::plain("ip-in-udp"))?;
    ip(view).map(Some)
}

/// RFC 7348 s5: flags, 24 bits reserved, a network of 24 bits, 8 reserved, an Ethernet frame.
fn vxlan<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let network = view.be32(4).ok_or(SHORT)? >> 8;
    walk.network(Layer::numbered("vxlan", network))?;
    link::ethernet(view.skip(8).ok_or(SHORT)?, walk).map(Some)
}

/// draft-ietf-nvo3-vxlan-gpe s3.1: the fourth octet names what follows, where the flag P says so.
fn vxlan_gpe<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let [flags, _, _, next] = view.array(0).ok_or(SHORT)?;
    let network = view.be32(4).ok_or(SHORT)? >> 8;
    walk.network(Layer::numbered("vxlan-gpe", network))?;
    let body = view.skip(8).ok_or(SHORT)?;
    match next {
        _ if flags & 0x04 == 0 => link::ethernet(body, walk),
        1 | 2 => ip(body),
        3 => link::ethernet(body, walk),
        4 => link::typed(0x894f, body, walk),
        5 => link::typed(0x8847, body, walk),
        _ => Err(UNREAD),
    }
    .map(Some)
}

/// RFC 8926 s3.4: length of the options in words, flags, ether type, a network of 24 bits, 8 reserved, options.
fn geneve<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let options_len = usize::from(view.u8(0).ok_or(SHORT)? & 0x3f) * 4;
    let kind = view.be16(2).ok_or(SHORT)?;
    walk.network(Layer::numbered("geneve", view.be32(4).ok_or(SHORT)? >> 8))?;
    let body = view.skip(8).ok_or(SHORT)?;
    let (options, _) = body.limit(options_len);
    walk.unread.push(options.bytes);
    let body = body.skip(options_len).ok_or(SHORT)?;
    match kind {
        0x6558 => link::ethernet(body, walk),
        kind => link::typed(kind, body, walk),
    }
    .map(Some)
}

/// RFC 4380 s5.1.1: authentication and origin indications, each at most once, then an IPv6 packet.
fn teredo<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let mut body = view;
    if let Some([0, 1, id_len, auth_len]) = body.array(0) {
        // Indicator, two lengths, identifier, authentication, nonce of 8, confirmation.
        let (header, _) = body.limit(13 + usize::from(id_len) + usize::from(auth_len));
        walk.unread.push(header.bytes);
        body = body.skip(header.wire).ok_or(SHORT)?;
    }
    if let Some([0, 0]) = body.array(0) {
        body = body.skip(8).ok_or(SHORT)?;
    }
    if !shape::is_ip(body) {
        return Ok(None);
    }
    walk.layer(Layer::plain("teredo"))?;
    ip(body).map(Some)
}

/// RFC 9300 s5.1: flags, nonce, an instance where the flag I says so; eight octets, an IP packet.
fn lisp<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let flags = view.u8(0).ok_or(SHORT)?;
    if flags & 0x08 == 0 {
        walk.layer(Layer::plain("lisp"))?;
    } else {
        walk.network(Layer::numbered("lisp", view.be32(4).ok_or(SHORT)? >> 8))?;
    }
    ip(view.skip(8).ok_or(SHORT)?).map(Some)
}

/// draft-massar-v6ops-ayiya-02 s3: lengths and kinds, next header, time; identity; signature.
fn ayiya<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let [lengths, signature, ..] = view.array::<4>(0).ok_or(SHORT)?;
    let (header, _) = view.limit(ayiya_len(lengths, signature));
    walk.unread.push(header.bytes.get(8..).unwrap_or_default());
    walk.layer(Layer::plain("ayiya"))?;
    ip(view.skip(header.wire).ok_or(SHORT)?).map(Some)
}

/// The identity has two to the power of the first four bits octets, the signature four times the second ones.
fn ayiya_len(lengths: u8, signature: u8) -> usize {
    8 + (1 << (lengths >> 4)) + usize::from(signature >> 4) * 4
}

/// draft-ietf-intarea-gue s3: length of the options in words, IP protocol, flags.
fn gue<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let [first, proto] = view.array(0).ok_or(SHORT)?;
    let header_len = 4 + usize::from(first & 0x1f) * 4;
    let (header, _) = view.limit(header_len);
    let body = view.skip(header_len).ok_or(SHORT)?;
    if proto != 47 && !shape::is_ip(body) {
        return Ok(None);
    }
    walk.unread.push(header.bytes.get(4..).unwrap_or_default());
    walk.layer(Layer::plain("gue"))?;
    if proto == 47 { gre::open(body, walk) } else { ip(body).map(Some) }
}

/// Version, type, encapsulated protocol; tags up to the one that ends them.
fn tzsp<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let kind = view.be16(2).ok_or(SHORT)?;
    let mut body = view.skip(4).ok_or(SHORT)?;
    let mut is_open = true;
    for _ in 0..MAX_TAGS {
        let len = match body.array(0).ok_or(SHORT)? {
            [1] => {
                body = body.skip(1).ok_or(SHORT)?;
                is_open = false;
                break;
            }
            [0] => 1,
            [_] => 2 + usize::from(body.u8(1).ok_or(SHORT)?),
        };
        let (tag, _) = body.limit(len);
        walk.unread.push(tag.bytes.get(2..).unwrap_or_default());
        body = body.skip(len).ok_or(SHORT)?;
    }
    if is_open {
        return Err(Stop::Undecoded(Weird::TooDeep));
    }
    walk.layer(Layer::plain("tzsp"))?;
    match kind {
        1 => link::ethernet(body, walk),
        18 => link::read(LinkType(105), body, walk),
        119 => link::read(LinkType(119), body, walk),
        127 => link::read(LinkType(163), body, walk),
        _ => Err(UNREAD),
    }
    .map(Some)
}

/// RFC 5415 s4.3: length of the header in words, the kind of radio, whether its own frame follows, flags. A frame in
/// fragments is not put together.
fn capwap<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Opened<'a> {
    let [_, lengths, kind, flags] = view.array(0).ok_or(SHORT)?;
    let header_len = usize::from(lengths >> 3) * 4;
    let (header, _) = view.limit(header_len);
    let body = view.skip(header_len).ok_or(SHORT)?;
    walk.unread.push(header.bytes.get(8..).unwrap_or_default());
    walk.layer(Layer::plain("capwap"))?;
    if flags & 0x80 != 0 {
        return Err(UNREAD);
    }
    match body.array(0) {
        _ if kind & 1 == 0 => link::ethernet(body, walk),
        Some([flags, 0x08 | 0x88]) if flags & 0x03 != 0 => swapped(body, walk),
        _ => link::read(LinkType(105), body, walk),
    }
    .map(Some)
}

/// A data frame of 802.11 whose frame control has its two octets exchanged, as some access points send it: to be told by its
/// version, which is 0 (IEEE 802.11 s9.2.4.1). Only frames with a SNAP header are read.
fn swapped<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Packet<'a>, Stop> {
    let [flags, kind] = view.array(0).ok_or(SHORT)?;
    if flags & 0x40 != 0 {
        return Err(Stop::Undecoded(Weird::EncryptedLink));
    }
    // Three addresses or four, quality of service.
    let header_len = 24 + if flags & 0x03 == 0x03 { 6 } else { 0 } + usize::from(kind >> 7) * 2;
    let body = view.skip(header_len).ok_or(SHORT)?;
    match body.array(0) {
        Some([0xaa, 0xaa, 3, 0, 0, 0]) => {
            link::typed(body.be16(6).ok_or(SHORT)?, body.skip(8).ok_or(SHORT)?, walk)
        }
        _ => Err(UNREAD),
    }
}
