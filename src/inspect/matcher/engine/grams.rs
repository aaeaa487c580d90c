//! The grams of a pattern: what may stand at the places of the stride, wherever the pattern begins.
//!
//! For a stride of `s` a window of the pattern is chosen in which grams may begin at `s` places in a row, in each of its
//! spellings; whatever the offset of the pattern in the stream, one of these places is a multiple of `s`. Spellings are
//! numbers, not lists of octets: a target has thousands of them, and a program that starts should not be noticed. Line breaks
//! inside of base64 are not spelled: `sweep` joins the octets around them.

use super::Owner;
use super::sweep::Gram;
use crate::inspect::blocks::sieve::GRAM;
use crate::inspect::matcher::pattern::{Form, Pattern, Slot, Span64};

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
        slots: &'a [Slot],
        /// The octets of each slot, at least.
        least: Vec<usize>,
    },
    /// Base64 characters.
    Base64 {
        /// What each octet of the text may be written as; a row of octets for each slot.
        slots: &'a [Slot],
        phase: usize,
        /// The first character that the text determines, and one past the last.
        full: (usize, usize),
    },
}

impl<'a> Layout<'a> {
    pub(super) fn of(pattern: &'a Pattern) -> Self {
        let slots = pattern.slots.as_slice();
        match pattern.form {
            Form::Slots => {
                let least = |slot: &Slot| slot.iter().map(Vec::len).min().unwrap_or(0);
                Self::Slots { slots, least: slots.iter().map(least).collect() }
            }
            Form::Base64 { phase } => {
                let octets = slots.iter().filter_map(|slot| slot.first()).map(Vec::len).sum();
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
        let mut add = |index: usize, back: usize, spelled: Vec<u32>| {
            let (Ok(index), Ok(back)) = (u16::try_from(index), u16::try_from(back)) else { return };
            let owner = Owner { pattern, index, back };
            grams.extend(merged(spelled).map(|(value, mask)| Gram { value, mask, owner }));
        };
        match self {
            Self::Slots { slots, least } => {
                let slots = slots
                    .get(cheapest(slots, least, len, stride)..)
                    .map_or((0, *slots), |rest| (slots.len() - rest.len(), rest));
                slot_grams(slots, least, len, stride, &mut add);
            }
            Self::Base64 { slots, phase, full } => {
                base64_grams(slots, *phase, *full, len, stride, &mut add);
            }
        }
        grams
    }
}

/// The first slot of the window with the fewest spellings.
fn cheapest(slots: &[Slot], least: &[usize], len: usize, stride: usize) -> usize {
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
fn weight(slot: &Slot) -> (f64, f64) {
    let same = |a: &[u8], b: &[u8]| a.eq_ignore_ascii_case(b);
    let is_first = |(nth, alt): &(usize, &Vec<u8>)| !slot.iter().take(*nth).any(|it| same(it, alt));
    let ways = slot.iter().enumerate().filter(is_first).count();
    // Zero octets say little, binary traffic is full of them.
    let is_dull = slot.iter().any(|alt| alt.iter().all(|&octet| octet == 0));
    (ways as f64, if is_dull { 8.0 } else { 0.0 })
}

type Add<'o> = &'o mut dyn FnMut(usize, usize, Vec<u32>);

/// `slots`: number of the first one, and from there on.
fn slot_grams(
    (first, slots): (usize, &[Slot]),
    least: &[usize],
    len: usize,
    stride: usize,
    add: Add<'_>,
) {
    let mut distance = 0;
    for (nth, slot) in slots.iter().enumerate() {
        if distance >= stride {
            break;
        }
        let later = slots.get(nth + 1..).unwrap_or_default();
        let longest = slot.iter().map(Vec::len).max().unwrap_or(0);
        for back in 0..longest.min(stride - distance) {
            let mut spelled = Vec::new();
            for alternative in slot {
                if let Some(octets) = alternative.get(back..).filter(|rest| !rest.is_empty()) {
                    spell(Run::default().then(octets, len), later, len, &mut spelled);
                }
            }
            add(first + nth, back, spelled);
        }
        distance += least.get(first + nth).copied().unwrap_or(0);
    }
}

/// Every way in which octets go on through the slots, up to `len` octets.
fn spell(run: Run, slots: &[Slot], len: usize, out: &mut Vec<u32>) {
    if run.len >= len {
        out.push(run.value);
        return;
    }
    let Some((slot, later)) = slots.split_first() else { return };
    for alternative in slot {
        spell(run.then(alternative, len), later, len, out);
    }
}

fn base64_grams(
    slots: &[Slot],
    phase: usize,
    (first, end): (usize, usize),
    len: usize,
    stride: usize,
    add: Add<'_>,
) {
    let need = stride + len - 1;
    let starts = first..=end.saturating_sub(need).max(first);
    let count = |at: usize| chars(slots, phase, at, (at + len).min(end)).len();
    let counts: Vec<usize> = (first..first + MAX_TRIES + stride).map(count).collect();
    let weigh = |&start: &usize| {
        let texts = counts.get(start - first..start - first + stride).unwrap_or_default();
        texts.iter().sum::<usize>()
    };
    let Some(start) = starts.take(MAX_TRIES).min_by_key(weigh) else { return };
    for at in start..(start + stride).min(end) {
        let spelled = chars(slots, phase, at, (at + len).min(end)).into_iter();
        add(at, 0, spelled.filter(|run| run.len == len).map(|run| run.value).collect());
    }
}

/// What the characters from `from` up to `to` may be, counted as in `Span64`; at most as many as a gram has.
fn chars(slots: &[Slot], phase: usize, from: usize, to: usize) -> Vec<Run> {
    // Bits of the text: four characters lie in four octets at most.
    let bit = |at: usize| (6 * at).checked_sub(8 * phase);
    let (Some(low), Some(high)) = (bit(from), bit(to)) else { return Vec::new() };
    if from >= to {
        return Vec::new();
    }
    let texts = cut(slots, low / 8, high.div_ceil(8));
    let mut out = Vec::with_capacity(texts.len());
    for text in texts {
        // The first octet on top, so that the bits stand in their order.
        let bits = u64::from(text.value.swap_bytes()) << 32;
        for is_url_safe in [false, true] {
            let mut run = Run::default();
            for nth in 0..to - from {
                let value = bits << (low % 8 + 6 * nth) >> 58;
                run = run.then(&[written(value, is_url_safe)], GRAM);
            }
            out.push(run);
        }
    }
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
fn cut(slots: &[Slot], from: usize, to: usize) -> Vec<Run> {
    let mut spellings = vec![Run::default()];
    let mut at = 0;
    for slot in slots {
        let len = slot.first().map_or(0, Vec::len);
        if at >= to {
            break;
        }
        let (begin, end) = (from.clamp(at, at + len) - at, to.clamp(at, at + len) - at);
        at += len;
        if begin < end {
            let longer = spellings.iter().flat_map(|spelling| {
                let parts = slot.iter().filter_map(move |alt| alt.get(begin..end));
                parts.map(move |part| spelling.then(part, GRAM))
            });
            spellings = longer.collect();
            spellings.sort_unstable();
            spellings.dedup();
        }
    }
    spellings
}

/// Grams with their masks; those that differ in the case of letters alone become one.
fn merged(spelled: Vec<u32>) -> impl Iterator<Item = (u32, u32)> {
    let mut all: Vec<(u32, u32)> = spelled.into_iter().map(|value| (value, u32::MAX)).collect();
    all.sort_unstable();
    all.dedup();
    for place in 0..GRAM {
        let bit = u32::from(CASE) << (8 * place);
        let mut fewer: Vec<(u32, u32)> = all
            .iter()
            .map(|&(value, mask)| match all.binary_search(&(value ^ bit, mask)) {
                Ok(_) => (value & !bit, mask & !bit),
                Err(_) => (value, mask),
            })
            .collect();
        fewer.sort_unstable();
        fewer.dedup();
        all = fewer;
    }
    all.into_iter()
}
