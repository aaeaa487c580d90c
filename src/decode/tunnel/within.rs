//! IP inside of what nobody announced: tunnels at ports of their own, in pings, in protocols that are not known, in ESP that hides
//! nothing. A guess is made only where chance does not explain what is seen; the octets in front are searched as they are.

use super::{Open, ip, shape};
use crate::decode::link::Packet;
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, Proto, Segment};

/// Octets in front of an inner packet that are looked through: the headers of VXLAN, Ethernet with tags, GTP, STT fit.
const MAX_FRONT: usize = 48;

/// Octets of zeros behind an inner packet that may be the padding of a short Ethernet frame.
const MAX_PADDING: usize = 26;

/// Octets of the shortest IP header (RFC 791 s3.1).
const MIN_HEADER: usize = 20;

/// Octets of the header of IPv6 (RFC 8200 s3), which its length leaves out.
const V6_HEADER: usize = 40;

/// Octets in front of what ESP carries: SPI and sequence number (RFC 4303 s2).
const ESP_HEADER: usize = 8;

/// Octets of the integrity check that ESP may end with (RFC 8221 s6, RFC 2410 s2 has none of its own).
const ESP_CHECKS: [usize; 5] = [0, 12, 16, 24, 32];

/// How a datagram of no tunnel that is known is to be opened; none where there is no IP in it.
pub(super) fn of(segment: &Segment<'_>) -> Option<Open> {
    let view = View::of_segment(segment);
    match segment.proto {
        // Errors quote the packet that they are about; only echoes carry what somebody put there (RFC 792, RFC 4443 s4).
        Proto::ICMP if !matches!(view.u8(0), Some(0 | 8)) => None,
        Proto::ICMPV6 if !matches!(view.u8(0), Some(128 | 129)) => None,
        Proto::TCP | Proto::SCTP => None,
        Proto(50) => esp_payload(view).map(|_| esp as Open),
        Proto::UDP if is_nat_port(segment) && esp_payload(view).is_some() => Some(esp),
        _ => front(view).map(|_| inside as Open),
    }
}

/// UDP encapsulation of ESP (RFC 3948 s2.1).
fn is_nat_port(segment: &Segment<'_>) -> bool {
    segment.src.port == 4500 || segment.dst.port == 4500
}

/// Octets in front of the one IP packet that ends where the view ends.
fn front(view: View<'_>) -> Option<usize> {
    // A header that is not whole is none.
    let last = view.bytes.len().checked_sub(MIN_HEADER)?.min(MAX_FRONT);
    let firsts = view.bytes.get(..=last)?.iter().enumerate().skip(1);
    let mut places = firsts.filter(|(_, first)| matches!(first, 0x45..=0x4f | 0x60..=0x6f));
    places.find_map(|(at, first)| {
        let [_, _, t0, t1, l0, l1] = *view.bytes.get(at..)?.first_chunk()?;
        let told = match first {
            0x45..=0x4f => usize::from(u16::from_be_bytes([t0, t1])),
            _ => usize::from(u16::from_be_bytes([l0, l1])) + V6_HEADER,
        };
        // Padding may follow where an Ethernet header seems to stand in front.
        let may_end = told == view.wire - at || is_framed(view, at);
        let rest = view.skip(at).filter(|_| may_end)?;
        shape::is_exactly_ip(unpadded(view, at, rest)).then_some(at)
    })
}

/// Whether an ether type in front says that IPv4 follows.
fn is_framed(view: View<'_>, at: usize) -> bool {
    at.checked_sub(2).and_then(|kind| view.be16(kind)) == Some(0x0800)
}

/// An inner packet without the padding of the Ethernet frame that it may stand in.
fn unpadded<'a>(view: View<'a>, at: usize, rest: View<'a>) -> View<'a> {
    let total = rest.be16(2).map_or(0, usize::from);
    let (packet, padding) = rest.limit(total);
    let is_padding = packet.wire < rest.wire
        && rest.wire - packet.wire <= MAX_PADDING
        && padding.len() == rest.wire - packet.wire
        && padding.iter().all(|octet| *octet == 0);
    if is_padding && is_framed(view, at) { packet } else { rest }
}

fn inside<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    let Some(at) = front(view) else { return Ok(None) };
    let (header, _) = view.limit(at);
    let Some(body) = view.skip(at) else { return Ok(None) };
    walk.unread.push(header.bytes);
    walk.layer(Layer::plain("ip-inside"))?;
    ip(body).map(Some)
}

/// The packet in an ESP datagram whose cipher is NULL: a header with the right checksum, behind it padding that counts up, its
/// length, the protocol, a check (RFC 4303 s2.4, RFC 2410).
fn esp_payload(view: View<'_>) -> Option<View<'_>> {
    let rest = view.skip(ESP_HEADER)?;
    let total = match rest.u8(0)? {
        0x45..=0x4f => usize::from(rest.be16(2)?),
        first if first >> 4 == 6 => usize::from(rest.be16(4)?) + 40,
        _ => return None,
    };
    let (packet, _) = rest.limit(total);
    let behind = rest.wire.checked_sub(total)?;
    let fits = ESP_CHECKS.iter().any(|check| {
        let Some(padding) = behind.checked_sub(check + 2) else { return false };
        let told = rest.array::<2>(total + padding);
        padding < 256
            // Cut by the snaplen: the header alone must do.
            && told.is_none_or(|[len, next]| usize::from(len) == padding && matches!(next, 4 | 41))
    });
    (fits && shape::is_exactly_ip(packet)).then_some(packet)
}

fn esp<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Result<Option<Packet<'a>>, Stop> {
    let Some(packet) = esp_payload(view) else { return Ok(None) };
    let (header, rest) = view.limit(ESP_HEADER);
    walk.unread.push(header.bytes);
    walk.unread.push(rest.get(packet.wire..).unwrap_or_default());
    walk.layer(Layer::plain("esp-null"))?;
    ip(packet).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    /// Asks at every place.
    fn anywhere(view: View<'_>) -> Option<usize> {
        (1..=MAX_FRONT.min(view.bytes.len())).find(|&at| {
            let may_be = |first: &u8| matches!(first, 0x45..=0x4f) || *first >> 4 == 6;
            view.bytes.get(at).is_some_and(may_be)
                && view.skip(at).is_some_and(|rest| shape::is_exactly_ip(unpadded(view, at, rest)))
        })
    }

    #[test]
    fn a_header_with_options_or_without_a_checksum_is_one() {
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(4000, 53);
        let mut plain = Vec::new();
        builder.write(&mut plain, b"some octets").unwrap();
        let mut unsummed = plain.clone();
        unsummed[10..12].fill(0);
        let options = [1, 1, 1, 0].as_slice().try_into().unwrap();
        let mut header =
            etherparse::Ipv4Header::new(19, 64, 17.into(), [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
        header.options = options;
        header.set_payload_len(19).unwrap();
        header.header_checksum = header.calc_header_checksum();
        let mut with_options = header.to_bytes().to_vec();
        assert_eq!(with_options[0], 0x46);
        with_options.extend_from_slice(&plain[20..]);
        let mut wrong = with_options.clone();
        wrong[10] ^= 1;
        for (packet, is_one) in
            [(&plain, true), (&unsummed, true), (&with_options, true), (&wrong, false)]
        {
            assert_eq!(shape::is_exactly_ip(View { bytes: packet, wire: packet.len() }), is_one);
            let bytes = [&[7; 8][..], packet].concat();
            let found = super::front(View { bytes: &bytes, wire: bytes.len() });
            assert_eq!(found, is_one.then_some(8), "{packet:02x?}");
        }
    }

    proptest! {
        #[test]
        fn a_packet_is_found_wherever_it_begins(
            ahead in proptest::collection::vec(prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()], 0..60),
            is_v4 in any::<bool>(),
            is_framed in any::<bool>(),
            change in proptest::option::weighted(0.3, (0..80_usize, any::<u8>())),
            (padding, lost, cut) in (0..4_usize, 0..40_usize, prop_oneof![3 => Just(0_usize), 1 => 0..60_usize]),
        ) {
            let mut bytes = ahead;
            if is_framed {
                bytes.extend([0x08, 0x00]);
            }
            let at = bytes.len();
            let packet = if is_v4 {
                PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            } else {
                PacketBuilder::ipv6([0x20; 16], [0x20; 16], 64)
            };
            packet.udp(4000, 53).write(&mut bytes, b"some octets").unwrap();
            bytes.extend(vec![0; padding]);
            if let Some((place, octet)) = change.filter(|(place, _)| *place < bytes.len()) {
                bytes[place] = octet;
            }
            let wire = bytes.len();
            bytes.truncate(wire - cut.min(lost).min(wire));
            let view = View { bytes: &bytes, wire };
            prop_assert_eq!(super::front(view), anywhere(view));
            let is_whole = change.is_none() && padding == 0 && bytes.len() == wire;
            prop_assert!(!is_whole || at == 0 || at > MAX_FRONT || super::front(view).is_some());
        }
    }
}
