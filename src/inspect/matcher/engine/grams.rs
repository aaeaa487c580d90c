//! The grams of a pattern: what may stand at the places of the stride, wherever the pattern begins.
//!
//! For a stride of `s` a window of the pattern is chosen in which grams may begin at `s` places in a row, in each of its
//! spellings; whatever the offset of the pattern in the stream, one of these places is a multiple of `s`. Spellings are
//! numbers, not lists of octets: a target has thousands of them, and a program that starts should not be noticed. Line breaks
//! inside of base64 are not spelled: `sweep` joins the octets around them.

use super::Owner;
use super::sweep::{Gram, Near};
use crate::inspect::blocks::sieve::GRAM;
use crate::inspect::matcher::pattern::{Form, Pattern, Span64};
use crate::inspect::matcher::slots::{Slot, Slots};

/// Windows of a pattern that are weighed up; further on in a long text there is nothing better.
const MAX_TRIES: usize = 24;

/// Case bit of the ASCII letters.
const CASE: u8 = 0x20;

/// The characters of base64 (RFC 4648 s4); in the other alphabet (s5) the last two are `-` and `_`.
const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Octets in a row, at most as many as a gram has; the first one in the lowest byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    value: u32,
    len: usize,
}

impl Run {
    /// The same with more behind it, up to `most` octets in all.
    fn then(self, octets: &[u8], most: usize) -> Self {
        let mut run = self;
        for &octet in octets.iter().take(most.min(GRAM).saturating_sub(run.len)) {
            run.value |= u32::from(octet) << (8 * run.len);
            run.len += 1;
        }
        run
    }
}

/// How a pattern lies on the wire, for the choice of its grams.
pub(super) enum Layout<'a> {
    /// Slots one after the other.
    Slots {
        slots: &'a Slots,
        /// The octets of each slot, at least.
        least: Vec<usize>,
    },
    /// Base64 characters.
    Base64 {
        /// What each octet of the text may be written as; a row of octets for each slot.
        slots: &'a Slots,
        phase: usize,
        /// The first character that the text determines, and one past the last.
        full: (usize, usize),
    },
}

impl<'a> Layout<'a> {
    pub(super) fn of(pattern: &'a Pattern) -> Self {
        let slots = &*pattern.slots;
        match pattern.form {
            Form::Slots => {
                Self::Slots { slots, least: slots.iter().map(|slot| slot.lens().0).collect() }
            }
            Form::Base64 { phase } => {
                let octets = slots.iter().filter_map(Slot::first).map(<[u8]>::len).sum();
                let span = Span64::of(phase, octets);
                let first = span.first + usize::from(span.lead != 0);
                let end = ((phase + octets) * 8 / 6).max(first);
                Self::Base64 { slots, phase, full: (first, end) }
            }
        }
    }

    /// Octets on the wire that it determines, at least.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Slots { least, .. } => least.iter().sum(),
            Self::Base64 { full: (first, end), .. } => end - first,
        }
    }

    /// All grams of `len` octets that may stand at a place of the stride.
    pub(super) fn grams(&self, pattern: usize, len: usize, stride: usize) -> Vec<Gram> {
        let mut grams = Vec::new();
        let Ok(pattern) = u32::try_from(pattern) else { return grams };
        let mut add = |(index, back): (usize, usize), spelled: &[(u32, u32)], near: Near| {
            let (Ok(index), Ok(back)) = (u16::try_from(index), u8::try_from(back)) else { return };
            let owner = Owner { pattern, index, back };
            grams.extend(spelled.iter().map(|gram| Gram::new(*gram, near, owner)));
        };
        match self {
            Self::Slots { slots, least } => {
                let first = cheapest(slots, least, len, stride);
                slot_grams((slots, first), least, len, stride, &mut add);
            }
            Self::Base64 { slots, phase, full } => {
                base64_grams(slots, *phase, *full, len, stride, &mut add);
            }
        }
        grams
    }
}

/// The first slot of the window with the fewest spellings.
fn cheapest(slots: &Slots, least: &[usize], len: usize, stride: usize) -> usize {
    let need = stride + len - 1;
    let mut best = (f64::INFINITY, 0);
    let weights: Vec<(f64, f64)> = slots.iter().take(MAX_TRIES + need).map(weight).collect();
    for first in 0..slots.len().min(MAX_TRIES) {
        let rest = least.get(first..).unwrap_or_default();
        if rest.iter().sum::<usize>() < need {
            break;
        }
        let (mut octets, mut spellings) = (0, 1.0);
        let mut cost = 0.0;
        for ((ways, dull), least) in weights.iter().skip(first).zip(rest) {
            if octets >= need {
                break;
            }
            spellings *= ways;
            cost += spellings.ln() + dull;
            octets += least;
        }
        if cost < best.0 {
            best = (cost, first);
        }
    }
    best.1
}

/// Alternatives of a slot, ASCII case aside; and how little they say.
#[expect(clippy::cast_precision_loss, reason = "a weight")]
fn weight(slot: Slot<'_>) -> (f64, f64) {
    let same = |a: &[u8], b: &[u8]| a.eq_ignore_ascii_case(b);
    let is_first = |(nth, alt): &(usize, &[u8])| !slot.iter().take(*nth).any(|it| same(it, alt));
    let ways = slot.iter().enumerate().filter(is_first).count();
    // Zero octets say little, binary traffic is full of them.
    let is_dull = slot.iter().any(|alt| alt.iter().all(|&octet| octet == 0));
    (ways as f64, if is_dull { 8.0 } else { 0.0 })
}

type Add<'o> = &'o mut dyn FnMut((usize, usize), &[(u32, u32)], Near);

/// From slot `first` on.
fn slot_grams(
    (slots, first): (&Slots, usize),
    least: &[usize],
    len: usize,
    stride: usize,
    add: Add<'_>,
) {
    let mut distance = 0;
    for (nth, slot) in (first..).zip(slots.from(first)) {
        if distance >= stride {
            break;
        }
        let (_, longest) = slot.lens();
        for back in 0..longest.min(stride - distance) {
            let mut spelled = Vec::new();
            for alternative in slot.iter() {
                if let Some(octets) = alternative.get(back..).filter(|rest| !rest.is_empty()) {
                    spell(Run::default().then(octets, len), (slots, nth + 1), len, &mut spelled);
                }
            }
            add((nth, back), &merged(spelled), near(slots, nth, back, len));
        }
        distance += least.get(nth).copied().unwrap_or(0);
    }
}

/// What is known of the octets behind a gram that begins `back` octets behind the start of a slot, or else of those in front.
fn near(slots: &Slots, nth: usize, back: usize, len: usize) -> Near {
    let (mut behind, mut front) = (Near::new(true), Near::new(false));
    let mut at = 0;
    for slot in slots.from(nth) {
        let Some(octets) = fixed(slot).filter(|_| at < back + len + GRAM) else { break };
        for known in octets {
            if let Some(place) = at.checked_sub(back + len) {
                behind.note(place, known);
            }
            at += 1;
        }
    }
    // Backwards, the youngest first.
    let here = slots.get(nth).and_then(fixed).map(|octets| octets.take(back).collect());
    let mut octets: Vec<(u8, u8)> = here.unwrap_or_default();
    if octets.len() == back {
        octets.reverse();
        for slot in (0..nth).rev().filter_map(|nth| slots.get(nth)) {
            let Some(more) = fixed(slot).filter(|_| octets.len() < GRAM) else { break };
            let from = octets.len();
            octets.extend(more);
            if let Some(more) = octets.get_mut(from..) {
                more.reverse();
            }
        }
        for (place, known) in octets.into_iter().take(GRAM).enumerate() {
            front.note(GRAM - 1 - place, known);
        }
    }
    if behind.weight() >= front.weight() { behind } else { front }
}

/// For each octet of a slot what all alternatives have in common, and which bits that are; none where their lengths differ.
fn fixed(slot: Slot<'_>) -> Option<impl Iterator<Item = (u8, u8)>> {
    let (least, most) = slot.lens();
    let first = slot.first().filter(|_| least == most)?;
    Some(first.iter().enumerate().map(move |(at, octet)| {
        let differ = |alt: &[u8]| alt.get(at).map_or(0, |it| it ^ octet);
        let mask = !slot.iter().fold(0, |bits, alt| bits | differ(alt));
        (octet & mask, mask)
    }))
}

/// Every way in which octets go on through the slots, up to `len` octets.
fn spell(run: Run, (slots, nth): (&Slots, usize), len: usize, out: &mut Vec<u32>) {
    if run.len >= len {
        out.push(run.value);
        return;
    }
    let Some(slot) = slots.get(nth) else { return };
    for alternative in slot.iter() {
        spell(run.then(alternative, len), (slots, nth + 1), len, out);
    }
}

fn base64_grams(
    slots: &Slots,
    phase: usize,
    (first, end): (usize, usize),
    len: usize,
    stride: usize,
    add: Add<'_>,
) {
    let need = stride + len - 1;
    let starts = first..=end.saturating_sub(need).max(first);
    // Ways to write the text, as powers of two, up to each of its octets.
    let mut ways = vec![0];
    let mut all = 0;
    for slot in slots.iter() {
        all += slot.len().next_power_of_two().trailing_zeros();
        ways.extend(std::iter::repeat_n(all, slot.first().map_or(0, <[u8]>::len)));
    }
    let octet = |char: usize| (6 * char).saturating_sub(8 * phase) / 8;
    let ways = |at: usize| ways.get(at.min(ways.len() - 1)).copied().unwrap_or(0);
    let weigh = |&start: &usize| -> u64 {
        let gram = |at| 1_u64 << (ways(octet(at + len)) - ways(octet(at))).min(32);
        (start..start + stride).map(gram).sum()
    };
    let Some(start) = starts.take(MAX_TRIES).min_by_key(weigh) else { return };
    let at = |place: usize| start + place;
    let fits = |place: &usize| at(*place) + len <= end;
    let spelled = (0..stride).take_while(fits).map(|it| chars(slots, phase, at(it), at(it) + len));
    let spelled: Vec<Vec<u32>> = spelled.collect();
    for (place, grams) in spelled.iter().enumerate() {
        // What stands beside it in the window; there is no line break in it, or `join` finds it.
        let is_behind = place < GRAM;
        let beside = if is_behind { place + GRAM } else { place - GRAM };
        let near = spelled.get(beside).filter(|_| stride == 2 * GRAM);
        let near = near.map_or_else(Near::default, |grams| Near::of(grams, is_behind));
        let grams: Vec<(u32, u32)> = grams.iter().map(|gram| (*gram, u32::MAX)).collect();
        add((at(place), 0), &grams, near);
    }
}

/// What the characters from `from` up to `to` may be, counted as in `Span64`; at most as many as a gram has.
fn chars(slots: &Slots, phase: usize, from: usize, to: usize) -> Vec<u32> {
    // Bits of the text: four characters lie in four octets at most.
    let bit = |at: usize| (6 * at).checked_sub(8 * phase);
    let (Some(low), Some(high)) = (bit(from), bit(to)) else { return Vec::new() };
    let texts = cut(slots, low / 8, high.div_ceil(8));
    let mut out = Vec::with_capacity(texts.len());
    for text in texts {
        // The first octet on top, so that the bits stand in their order.
        let bits = u64::from(text.value.swap_bytes()) << 32;
        let (mut run, mut url_safe) = (0, 0);
        for nth in 0..to - from {
            let value = bits << (low % 8 + 6 * nth) >> 58;
            run |= u32::from(written(value, false)) << (8 * nth);
            url_safe |= u32::from(written(value, true)) << (8 * nth);
        }
        out.push(run);
        if url_safe != run {
            out.push(url_safe);
        }
    }
    // Bits that belong to no character here make equal ones.
    out.sort_unstable();
    out.dedup();
    out
}

/// The character of a six-bit value.
fn written(value: u64, is_url_safe: bool) -> u8 {
    match value {
        62 if is_url_safe => b'-',
        63 if is_url_safe => b'_',
        _ => usize::try_from(value).ok().and_then(|at| ALPHABET.get(at)).copied().unwrap_or(b'='),
    }
}

/// What the slots may spell from octet `from` to octet `to`. The alternatives of a slot have one length.
fn cut(slots: &Slots, from: usize, to: usize) -> Vec<Run> {
    let mut spellings = vec![Run::default()];
    let mut at = 0;
    for slot in slots.iter() {
        let len = slot.first().map_or(0, <[u8]>::len);
        if at >= to {
            break;
        }
        let (begin, end) = (from.clamp(at, at + len) - at, to.clamp(at, at + len) - at);
        at += len;
        if begin < end {
            let before = std::mem::take(&mut spellings);
            for alternative in slot.iter() {
                let part = alternative.get(begin..end).unwrap_or_default();
                spellings.extend(before.iter().map(|spelling| spelling.then(part, GRAM)));
            }
            if end - begin < len {
                spellings.sort_unstable();
                spellings.dedup();
            }
        }
    }
    spellings
}

/// Grams with their masks; those that differ in the case of letters alone become one.
fn merged(mut spelled: Vec<u32>) -> Vec<(u32, u32)> {
    spelled.sort_unstable();
    spelled.dedup();
    let mut all: Vec<(u32, u32)> = spelled.into_iter().map(|value| (value, u32::MAX)).collect();
    for place in 0..GRAM {
        let bit = u32::from(CASE) << (8 * place);
        let is_other =
            |&(value, mask): &(u32, u32)| all.binary_search(&(value ^ bit, mask)).is_ok();
        if !all.iter().any(is_other) {
            continue;
        }
        let fewer = all.iter().map(|one| {
            let bits = if is_other(one) { !bit } else { u32::MAX };
            (one.0 & bits, one.1 & bits)
        });
        let mut fewer: Vec<(u32, u32)> = fewer.collect();
        fewer.sort_unstable();
        fewer.dedup();
        all = fewer;
    }
    all
}
