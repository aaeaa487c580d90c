//! Frames of every link layer, packets of IP and what they carry, fragments.

use crate::script::Script;
use tunnelcheck::decode::{Decoded, Decoder};
use tunnelcheck::model::{Frame, LinkType, Timestamp};

/// Link types that the first octet chooses from; the rest of its values takes the number from the script.
const LINKS: &[u16] = &[
    1, 0, 6, 8, 9, 10, 12, 14, 50, 51, 99, 100, 101, 104, 105, 106, 107, 108, 109, 113, 117, 119,
    127, 141, 144, 163, 165, 166, 169, 192, 195, 203, 204, 205, 219, 220, 226, 228, 229, 237, 239,
    240, 242, 249, 253, 258, 271, 276, 277, 278, 290, 291, 7, 102, 122, 123, 129, 138, 149, 178,
    179, 180, 181, 182, 197, 206, 241, 274, 281, 282, 284, 285,
];

/// Frames of one link type: `[link type][frames: run, octets cut, time]`.
pub fn link(octets: &[u8]) {
    let mut script = Script(octets);
    let choice = script.u8();
    let link = LINKS.get(usize::from(choice)).copied().unwrap_or_else(|| script.u16());
    feed(link, script);
}

/// Packets of IP, fragments among them, some of them of one datagram.
pub fn ip(octets: &[u8]) {
    feed(LinkType::RAW.0, Script(octets));
}

fn feed(link: u16, mut script: Script<'_>) {
    let mut decoder = Decoder::default();
    let (mut number, mut time) = (0, 0_i64);
    while !script.is_over() && number < 256 {
        let control = script.u8();
        let data = script.run();
        time += i64::from(control & 0x0f) * 1_000_000_000;
        let cut = u32::from(control >> 4) * 100;
        number += 1;
        let frame = Frame {
            number,
            time: Timestamp::from_nanos(time),
            interface_id: 0,
            link_type: LinkType(link),
            len: data.len() as u32 + cut,
            data,
        };
        let before = decoder.coverage().clone();
        let outcome = read(&mut decoder, &frame);
        late(&mut decoder);
        let after = decoder.coverage();
        let not_read =
            after.undecoded.values().sum::<u64>() - before.undecoded.values().sum::<u64>();
        let link_only =
            after.link_only.values().sum::<u64>() - before.link_only.values().sum::<u64>();
        assert_eq!(after.frames, before.frames + 1);
        if !outcome.led_somewhere {
            assert!(not_read + link_only > 0, "a frame ends nowhere, and nothing is counted");
            assert!(
                outcome.is_whole_searched,
                "a frame that could not be read is not searched whole"
            );
        }
    }
    decoder.finish();
    late(&mut decoder);
}

/// Takes what fragments may have become beside whole datagrams; there is an end to it.
fn late(decoder: &mut Decoder) {
    let mut count = 0_u64;
    while let Some(late) = decoder.late() {
        count += 1 + late.decoded.unread().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        if let Some(segment) = &late.decoded.segment {
            assert!(segment.is_alternate, "late, and no alternate");
            count += segment.payload.len() as u64;
        }
        assert!(count < 64 << 20, "{count} octets of versions of a few fragments");
    }
}

struct Read {
    led_somewhere: bool,
    is_whole_searched: bool,
}

fn read(decoder: &mut Decoder, frame: &Frame<'_>) -> Read {
    let decoded = decoder.decode(frame);
    let mut searched = vec![false; frame.data.len()];
    for (offset, bytes) in decoded.unread() {
        let is_here = frame.data.get(offset..offset + bytes.len()) == Some(bytes);
        if is_here {
            searched[offset..offset + bytes.len()].fill(true);
        }
    }
    Read {
        led_somewhere: leads_somewhere(&decoded),
        is_whole_searched: searched.iter().all(|it| *it),
    }
}

fn leads_somewhere(decoded: &Decoded<'_>) -> bool {
    if let Some(segment) = &decoded.segment {
        let _ = (segment.payload.len(), segment.cut);
        return true;
    }
    decoded.is_held
}

/// Octets of the datagram that `defrag` takes apart.
fn truth(at: usize) -> u8 {
    (at as u8).wrapping_mul(29) ^ (at >> 8) as u8
}

/// Fragments of UDP datagrams by script: which datagram, where, how long, of the right octets or of others.
///
/// Held against one octet at a time: a datagram of which every octet was sent, all of them right, is put together and
/// holds just these; and every fragment is searched raw.
pub fn defrag(octets: &[u8]) {
    let mut script = Script(octets);
    let is_v6 = script.u8() & 1 == 1;
    let total = 8 + usize::from(script.u16() % 600);
    let mut decoder = Decoder::default();
    let mut sent = vec![vec![false; total]; 4];
    let mut is_sound = [true; 4];
    let mut whole = [0_u32; 4];
    let mut number = 0;
    while !script.is_over() && number < 64 {
        let control = script.u8();
        let id = usize::from(control & 3);
        let is_false = control & 0x1c == 0x1c;
        let wrong_end = control & 0xe0 == 0xe0;
        let from = usize::from(script.u8()) * 8 % total.next_multiple_of(8);
        let length = usize::from(script.u8() % 32 + 1) * 8;
        let end = (from + length).min(total);
        let more = (end < total) != wrong_end;
        let is_fragment = more || from > 0;
        if from >= end || !is_fragment || (more && !(end - from).is_multiple_of(8)) {
            continue;
        }
        number += 1;
        let mut body: Vec<u8> = (from..end).map(|at| datagram(at, total)).collect();
        if is_false && let Some(last) = body.last_mut() {
            *last ^= 0x55;
        }
        is_sound[id] &= !is_false && !wrong_end;
        sent[id][from..end].fill(true);
        let packet = fragment(is_v6, id as u32, from, more, &body);
        let frame = Frame {
            number,
            time: Timestamp::from_nanos(number as i64 * 1000),
            interface_id: 0,
            link_type: LinkType::RAW,
            len: packet.len() as u32,
            data: &packet,
        };
        let decoded = decoder.decode(&frame);
        let searched =
            decoded.unread().any(|(_, bytes)| bytes.windows(body.len()).any(|part| part == body));
        let payload = decoded.segment.as_ref().map(|segment| segment.payload.to_vec());
        let is_in_payload = payload
            .as_ref()
            .is_some_and(|octets| octets.windows(body.len()).any(|part| part == body));
        assert!(searched || is_in_payload, "a fragment is not searched by itself");
        if let Some(payload) = payload
            && is_sound[id]
        {
            let expected: Vec<u8> = (8..total).map(|at| datagram(at, total)).collect();
            assert_eq!(payload, expected, "put together to something else");
            assert!(sent[id].iter().all(|it| *it), "put together before all of it was there");
            whole[id] += 1;
        }
        late(&mut decoder);
    }
    let conflicts = decoder.coverage().fragment_conflicts;
    assert!(
        conflicts == 0 || is_sound.contains(&false),
        "{conflicts} octets of conflict out of nothing"
    );
    decoder.finish();
    for id in 0..4 {
        if is_sound[id] && sent[id].iter().all(|it| *it) {
            assert!(
                whole[id] > 0,
                "every octet of datagram {id} was there, and it was not put together"
            );
        }
    }
}

/// An octet of a datagram: the UDP header, then `truth`.
fn datagram(at: usize, total: usize) -> u8 {
    let header = [0xc0, 0x06, 0, 110, (total >> 8) as u8, total as u8, 0, 0];
    header.get(at).copied().unwrap_or_else(|| truth(at))
}

fn fragment(is_v6: bool, id: u32, from: usize, more: bool, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let place = (from as u16 / 8) << if is_v6 { 3 } else { 0 };
    if is_v6 {
        packet.extend([0x60, 0, 0, 0]);
        packet.extend((body.len() as u16 + 8).to_be_bytes());
        packet.extend([44, 64]);
        packet.extend([0xfd; 15].into_iter().chain([5]));
        packet.extend([0xfd; 15].into_iter().chain([2]));
        packet.extend([17, 0]);
        packet.extend((place | u16::from(more)).to_be_bytes());
        packet.extend(id.to_be_bytes());
    } else {
        packet.extend([0x45, 0]);
        packet.extend((body.len() as u16 + 20).to_be_bytes());
        packet.extend((id as u16).to_be_bytes());
        packet.extend((place | u16::from(more) << 13).to_be_bytes());
        packet.extend([64, 17, 0, 0, 10, 0, 0, 5, 10, 0, 0, 2]);
    }
    packet.extend(body);
    packet
}
