//! What is made to cost much: floods, windows out of order, overlaps that differ, tiny fragments.

use super::packet::{ACK, MSS, PSH, SYN, Side, Talk, v4};
use super::{File, Frames, Rng, Scale, Spring};
use std::io::{self, Write};

const SYNS: u64 = 750_000;
const WINDOWS: u64 = 24;
const SINGLE_OCTETS: u64 = 40;
const OVERLAPS: u64 = 1500;
const DATAGRAMS: u64 = 9000;

pub(super) fn write<W: Write>(file: &mut File<W>, scale: Scale, seed: u64) -> io::Result<()> {
    let mut rng = Rng::new(seed + 4);
    // Each with the frames that come in a row.
    let mut springs = vec![
        (repeat(scale.of(SYNS), syn), 40),
        (repeat(scale.of(WINDOWS), out_of_order), 6),
        (repeat(scale.of(SINGLE_OCTETS), single_octets), 20),
        (repeat(scale.of(OVERLAPS), overlaps), 12),
        (repeat(scale.of(DATAGRAMS), fragments), 50),
    ];
    while !springs.is_empty() {
        let at = rng.below(springs.len() as u64) as usize;
        let (spring, row) = &mut springs[at];
        let (mut left, mut is_dry) = (*row, false);
        while left > 0 && !is_dry {
            left -= 1;
            match spring.next(&mut rng) {
                Some(frame) => file.put(frame, 2)?,
                None => is_dry = true,
            }
        }
        if is_dry {
            springs.swap_remove(at);
        }
    }
    Ok(())
}

fn repeat(times: u64, make: fn(u64, &mut Rng, &mut Frames)) -> Spring<'static> {
    let mut numbers = 0..times;
    Spring::new(Box::new(move |rng, frames| {
        numbers.next().map(|number| make(number, rng, frames)).is_some()
    }))
}

fn syn(_: u64, rng: &mut Rng, frames: &mut Frames) {
    let orig = v4([0; 4], u64::from(rng.word()), rng.below(1 << 16) | 1);
    let mut talk = Talk::new(orig, v4([192, 0, 2, 5], 0, 80), [rng.word(), 0]);
    frames.push(talk.tcp(Side::Orig, SYN, b""));
}

/// The first segment comes last, or never; all others are out of order.
fn out_of_order(number: u64, rng: &mut Rng, frames: &mut Frames) {
    const SEGMENTS: u32 = 1200;
    let mut talk = Talk::new(
        v4([10, 9, 0, 1], number, 2000 + number),
        v4([192, 0, 2, 6], 0, 25),
        [rng.word(), 7],
    );
    talk.open(frames);
    let [base, ack] = talk.seq;
    let mut order: Vec<u32> = (1..SEGMENTS).collect();
    match number % 3 {
        0 => order.reverse(),
        1 => {
            for last in (1..order.len()).rev() {
                order.swap(last, rng.below(last as u64 + 1) as usize);
            }
        }
        _ => {}
    }
    if !number.is_multiple_of(4) {
        order.push(0);
    }
    let mut octets = Vec::new();
    rng.fill(&mut octets, 2 * MSS);
    for segment in order {
        let seq = base.wrapping_add(segment * MSS as u32);
        let from = segment as usize % MSS;
        frames.push(talk.tcp_at(Side::Orig, ACK, [seq, ack], &octets[from..from + MSS]));
    }
    talk.seq[0] = base.wrapping_add(SEGMENTS * MSS as u32);
    talk.close(frames);
}

/// Segments of one octet: every second one, then those between them, both in reverse.
fn single_octets(number: u64, rng: &mut Rng, frames: &mut Frames) {
    const OCTETS: u32 = 4000;
    let mut talk = Talk::new(
        v4([10, 10, 0, 1], number, 3000 + number),
        v4([192, 0, 2, 7], 0, 110),
        [rng.word(), 7],
    );
    talk.open(frames);
    let [base, ack] = talk.seq;
    for at in (0..OCTETS).step_by(2).rev().chain((1..OCTETS).step_by(2).rev()) {
        let octet = [b'a' + (at % 26) as u8];
        frames.push(talk.tcp_at(Side::Orig, PSH | ACK, [base.wrapping_add(at), ack], &octet));
    }
    talk.seq[0] = base.wrapping_add(OCTETS);
    talk.close(frames);
}

/// Copies of the same range that differ in content, length and start.
fn overlaps(number: u64, rng: &mut Rng, frames: &mut Frames) {
    const STEPS: u32 = 24;
    let mut talk = Talk::new(
        v4([10, 11, 0, 1], number, 4000 + number % 50_000),
        v4([192, 0, 2, 8], 0, 143),
        [rng.word(), 7],
    );
    talk.open(frames);
    let [base, ack] = talk.seq;
    for step in 0..STEPS {
        let at = base.wrapping_add(step * 400);
        let [first, second, third] =
            ["A", "b", "#"].map(|mark| format!("{mark}{step:04}").repeat(160).into_bytes());
        frames.push(talk.tcp_at(Side::Orig, ACK, [at.wrapping_add(200), ack], &second[..500]));
        frames.push(talk.tcp_at(Side::Orig, ACK, [at, ack], &first[..450]));
        if step % 2 == 1 {
            frames.push(talk.tcp_at(Side::Orig, ACK, [at.wrapping_sub(100), ack], &third[..700]));
        }
    }
    talk.seq[0] = base.wrapping_add(STEPS * 400);
    talk.close(frames);
}

/// A datagram in fragments of 8 or 24 octets: in order, in reverse, never whole, or with overlaps.
fn fragments(number: u64, _: &mut Rng, frames: &mut Frames) {
    const HEADERS: usize = 14 + 20;
    let mut talk = Talk::new(
        v4([10, 12, 0, 1], number, 5000 + number % 50_000),
        v4([192, 0, 2, 9], 0, 53),
        [0, 0],
    );
    let body = talk.udp(Side::Orig, &[number as u8; 400])[HEADERS..].to_vec();
    let step = if number.is_multiple_of(3) { 24 } else { 8 };
    let mut places: Vec<usize> = (0..body.len()).step_by(step).collect();
    match number % 4 {
        1 => places.reverse(),
        2 => {
            places.pop();
        }
        _ => {}
    }
    for at in places {
        let end = body.len().min(at + step);
        let more = end < body.len();
        frames.push(talk.fragment(number as u16, at, more, &body[at..end]));
        if number % 4 == 3 && at > 0 {
            frames.push(talk.fragment(number as u16, at, more, &vec![0xee; end - at]));
        }
    }
}
