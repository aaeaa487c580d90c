//! MPLS label stacks, and the pseudowires in them.

use super::{BAD, ETHER_IPV4, ETHER_IPV6, Inner, MAX_LENGTH_FIELD, Packet, SHORT, Step, past};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, LinkType, Weird};

/// Labels of one stack that are followed; four are usual, more is an attempt to hide.
const MAX_LABELS: usize = 16;

const UNKNOWN: Stop = Stop::Undecoded(Weird::UnknownPseudowire);

/// A label stack (RFC 3032 s2.1): label, traffic class, bottom of stack, time to live.
pub(super) fn read<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let mut view = view;
    for _ in 0..MAX_LABELS {
        let entry = view.be32(0).ok_or(SHORT)?;
        view = past(view, 4, walk)?;
        if entry & 0x100 != 0 {
            walk.layer(Layer::numbered("mpls", entry >> 12))?;
            return match entry >> 12 {
                // Explicit null labels (RFC 3032 s2.1) name the protocol.
                0 => Ok(Inner::Packet(Packet::V4(view))),
                2 => Ok(Inner::Packet(Packet::V6(view))),
                _ => bottom(view, walk),
            };
        }
    }
    Err(Stop::Undecoded(Weird::TooDeep))
}

/// Nothing says what lies under the last label. IP is known by its version, checksum and lengths, Ethernet by its type, with
/// a control word (RFC 4385 s3) or without. What fits nothing, or two of them, is not guessed at.
fn bottom<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let ethernet = Ok(Inner::Frame(LinkType::ETHERNET, view));
    let is_frame = is_ethernet(view);
    match view.u8(0).ok_or(SHORT)? >> 4 {
        4 if !is_frame || has_ipv4_checksum(view) => Ok(Inner::Packet(Packet::V4(view))),
        4 if is_ipv4(view) => Err(UNKNOWN),
        6 if !is_frame => Ok(Inner::Packet(Packet::V6(view))),
        6 if is_ipv6(view) => Err(UNKNOWN),
        0 => match controlled(view, walk) {
            Err(_) if is_frame => ethernet,
            Ok(_) if is_frame => Err(UNKNOWN),
            inner => inner,
        },
        1 if !is_frame => channel(view, walk),
        _ if is_frame => ethernet,
        _ => Err(UNKNOWN),
    }
}

/// Behind a control word: flags, fragmentation, length, sequence.
fn controlled<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let body = view.skip(4).ok_or(SHORT)?;
    let inner = match body.array(0) {
        _ if is_ethernet(body) => Inner::Frame(LinkType::ETHERNET, body),
        Some([0x00, 0x21 | 0x57, _, _] | [0xff, 0x03, 0x00, 0x21 | 0x57]) => Inner::Ppp(body),
        Some([0x0f | 0x8f, 0x00, 0x08, 0x00] | [0x0f | 0x8f, 0x00, 0x86, 0xdd]) => {
            Inner::Frame(LinkType::C_HDLC, body)
        }
        _ => return Err(UNKNOWN),
    };
    if view.u8(1).is_some_and(|octet| octet & 0xc0 != 0) {
        return Err(Stop::Undecoded(Weird::LinkFragment));
    }
    walk.unread.push(view.bytes.get(..4).unwrap_or_default());
    Ok(inner)
}

/// An associated channel (RFC 4385 s5, RFC 5586): a version, then the type of the channel.
fn channel<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let [first, _, t0, t1] = view.array(0).ok_or(SHORT)?;
    if first & 0x0f != 0 {
        return Err(BAD);
    }
    match u16::from_be_bytes([t0, t1]) {
        0x0021 => Ok(Inner::Packet(Packet::V4(past(view, 4, walk)?))),
        0x0057 => Ok(Inner::Packet(Packet::V6(past(view, 4, walk)?))),
        _ => Err(UNKNOWN),
    }
}

fn is_ipv4(view: View<'_>) -> bool {
    let Some([first, _, t0, t1]) = view.array(0) else { return false };
    let (header, total) =
        (usize::from(first & 0x0f) * 4, usize::from(u16::from_be_bytes([t0, t1])));
    first >> 4 == 4 && header >= 20 && (total == 0 || (header..=view.wire).contains(&total))
}

/// RFC 791 s3.1: the ones' complement sum of the header is all ones.
fn has_ipv4_checksum(view: View<'_>) -> bool {
    let length = usize::from(view.u8(0).unwrap_or_default() & 0x0f) * 4;
    let Some(header) = view.bytes.get(..length.max(20)) else { return false };
    let words = header.as_chunks().0.iter().map(|pair| u32::from(u16::from_be_bytes(*pair)));
    let sum: u32 = words.sum();
    is_ipv4(view) && (sum & 0xffff) + (sum >> 16) == 0xffff
}

fn is_ipv6(view: View<'_>) -> bool {
    let length = view.be16(4).map_or(usize::MAX, usize::from);
    view.u8(0).is_some_and(|first| first >> 4 == 6) && length <= view.wire.saturating_sub(40)
}

/// Whether an Ethernet header stands here: its type must be known, and what follows must look like it.
fn is_ethernet(view: View<'_>) -> bool {
    let (Some(kind), Some(body)) = (view.be16(12), view.skip(14)) else { return false };
    match kind {
        ETHER_IPV4 => body.u8(0).is_some_and(|first| first >> 4 == 4),
        ETHER_IPV6 => body.u8(0).is_some_and(|first| first >> 4 == 6),
        0x0806 | 0x8100 | 0x88a8 | 0x8847 | 0x8848 | 0x8863 | 0x8864 | 0x8809 | 0x888e | 0x88cc
        | 0x88e5 | 0x88e7 | 0x8902 | 0x9000 => true,
        length if length <= MAX_LENGTH_FIELD => {
            usize::from(length) <= body.wire
                && matches!(
                    body.array(0),
                    Some([0xaa, 0xaa, 0x03] | [0x42, 0x42, 0x03] | [0xfe, 0xfe, 0x03])
                )
        }
        _ => false,
    }
}
