//! What octets look like: whether they are an IP packet or an Ethernet frame with one. A guess is made only where lengths,
//! versions and protocols agree; what was guessed wrongly would still be searched, as an inner conn.

use crate::decode::view::View;

/// IP protocols that a packet inside UDP may begin with, where nothing else names them.
const fn is_usual(proto: u8) -> bool {
    // Extension headers, ICMP, IGMP, IP-in-IP, TCP, UDP, DCCP, 6in4, GRE, ESP, AH, minimal encapsulation, ICMPv6, none, OSPF,
    // EtherIP, L2TP, SCTP, UDP-Lite, MPLS, Ethernet.
    matches!(
        proto,
        0 | 1
            | 2
            | 4
            | 6
            | 17
            | 33
            | 41
            | 43
            | 44
            | 47
            | 50
            | 51
            | 55
            | 58
            | 59
            | 60
            | 89
            | 97
            | 115
            | 132
            | 136
            | 137
            | 143
    )
}

/// Whether a view begins with an IP packet that ends in it.
pub(super) fn is_ip(view: View<'_>) -> bool {
    matches!(ip_length(view), Some(length) if length <= view.wire)
}

/// Whether a view is one IP packet and nothing else, beyond what chance gives: one in 2^28 at most.
pub(super) fn is_exactly_ip(view: View<'_>) -> bool {
    if ip_length(view) != Some(view.wire) {
        return false;
    }
    let is_global = |octet: Option<u8>| matches!(octet, Some(0x20..=0x3f | 0xfc..=0xff));
    match view.u8(0).map(|first| first >> 4) {
        Some(4) => view.u8(9).is_some_and(is_usual) && header_of(view).is_some_and(may_sum_up),
        Some(6) => {
            is_global(view.u8(8))
                && is_global(view.u8(24))
                && view.u8(7) != Some(0)
                && match view.u8(6) {
                    Some(17) => view.be16(44) == view.be16(4),
                    Some(proto) => is_usual(proto),
                    None => false,
                }
        }
        _ => false,
    }
}

/// Whether a view begins like an Ethernet frame with IP or ARP, with VLAN tags or without.
pub(super) fn is_ethernet(view: View<'_>) -> bool {
    let mut at = 12;
    for _ in 0..4 {
        match view.be16(at) {
            Some(0x8100 | 0x88a8) => at += 4,
            Some(0x0800 | 0x86dd) => return view.skip(at + 2).is_some_and(is_ip),
            Some(0x0806) => return view.be32(at + 2) == Some(0x0001_0800),
            _ => return false,
        }
    }
    false
}

/// The length that the header of an IP packet tells, if it can be one.
fn ip_length(view: View<'_>) -> Option<usize> {
    let first = view.u8(0)?;
    match first >> 4 {
        4 if first & 0x0f >= 5 => {
            let total = usize::from(view.be16(2)?);
            (total >= usize::from(first & 0x0f) * 4).then_some(total)
        }
        6 => Some(usize::from(view.be16(4)?) + 40),
        _ => None,
    }
}

/// The header of an IPv4 packet with its options, if it is whole.
fn header_of(view: View<'_>) -> Option<&[u8]> {
    view.bytes.get(..usize::from(view.u8(0)? & 0x0f) * 4)
}

/// Whether the checksum of an IPv4 header is right (RFC 1071), or none: a sender that leaves it to its network card is captured
/// before that.
fn may_sum_up(header: &[u8]) -> bool {
    let (words, _) = header.as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    header.get(10..12) == Some(&[0, 0]) || (sum & 0xffff) + (sum >> 16) == 0xffff
}
