//! The grams of a pattern: what may stand at the places of the stride, wherever the pattern begins.
//!
//! For a stride of `s` a window of the pattern is chosen in which grams may begin at `s` places in a row, in each of its
//! spellings; whatever the offset of the pattern in the stream, one of these places is a multiple of `s`.

use super::Owner;
use super::sweep::Gram;
use crate::inspect::matcher::pattern::{Form, Pattern, Slot, Span64};
use std::collections::BTreeSet;

/// Windows of a pattern that are weighed up; further on in a long text there is nothing better.
const MAX_TRIES: usize = 24;

/// Line breaks inside base64 that a gram may hold. Others (two breaks, many blanks) are found where no gram of the window
/// touches them.
const BREAKS: [&[u8]; 5] = [b"\r\n", b"\n", b"\r\n ", b"\r\n\t", b"\r"];

/// Base64 characters between which no line break falls (RFC 4648 s4: a group).
const GROUP: usize = 4;

/// Case bit of the ASCII letters.
const CASE: u8 = 0x20;

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
        let mut add = |index: usize, back: i32, spelled: BTreeSet<Vec<u8>>| {
            let Ok(index) = u32::try_from(index) else { return };
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
    for first in 0..slots.len().min(MAX_TRIES) {
        let rest = least.get(first..).unwrap_or_default();
        if rest.iter().sum::<usize>() < need {
            break;
        }
        let (mut octets, mut spellings) = (0, 1.0);
        let mut cost = 0.0;
        for (slot, least) in slots.iter().skip(first).zip(rest) {
            if octets >= need {
                break;
            }
            // Zero octets say little, binary traffic is full of them.
            let dull = slot.iter().filter(|alt| alt.iter().all(|&octet| octet == 0)).count();
            spellings *= ways(slot);
            cost += spellings.ln() + f64::from(u32::from(dull > 0)) * 8.0;
            octets += least;
        }
        if cost < best.0 {
            best = (cost, first);
        }
    }
    best.1
}

/// Alternatives of a slot, ASCII case aside.
#[expect(clippy::cast_precision_loss, reason = "a weight")]
fn ways(slot: &Slot) -> f64 {
    let folded: BTreeSet<Vec<u8>> = slot.iter().map(|alt| alt.to_ascii_lowercase()).collect();
    folded.len() as f64
}

type Add<'o> = &'o mut dyn FnMut(usize, i32, BTreeSet<Vec<u8>>);

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
            let mut spelled = BTreeSet::new();
            for alternative in slot {
                if let Some(octets) = alternative.get(back..).filter(|rest| !rest.is_empty()) {
                    spell(octets.to_vec(), later, len, &mut spelled);
                }
            }
            add(first + nth, i32::try_from(back).unwrap_or(0), spelled);
        }
        distance += least.get(first + nth).copied().unwrap_or(0);
    }
}

/// Every way in which octets go on through the slots, up to `len` octets.
fn spell(octets: Vec<u8>, slots: &[Slot], len: usize, out: &mut BTreeSet<Vec<u8>>) {
    if octets.len() >= len {
        let mut octets = octets;
        octets.truncate(len);
        out.insert(octets);
        return;
    }
    let Some((slot, later)) = slots.split_first() else { return };
    for alternative in slot {
        spell([octets.as_slice(), alternative].concat(), later, len, out);
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
    // A window that holds the fewest borders of groups has the fewest line breaks.
    let starts = first..=end.saturating_sub(need).max(first);
    let weigh = |&start: &usize| {
        let texts: usize = (start..start + stride)
            .filter_map(|at| chars(slots, phase, at, (at + len).min(end)))
            .map(|spelled| spelled.len())
            .sum();
        let borders = (start + 1..start + need).filter(|at| at.is_multiple_of(GROUP)).count();
        texts + borders * stride
    };
    let Some(start) = starts.take(MAX_TRIES).min_by_key(weigh) else { return };
    for at in start..(start + stride).min(end) {
        if at > start && at.is_multiple_of(GROUP) {
            // Grams that begin in a line break in front of this character.
            for line_break in BREAKS {
                for from in 0..line_break.len() {
                    let rest = line_break.get(from..).unwrap_or_default();
                    let back = i32::try_from(rest.len()).unwrap_or(0);
                    add(at, -back, broken(slots, phase, (at, at, end), rest, len));
                }
            }
        }
        let mut spelled = broken(slots, phase, (at, at, end), b"", len);
        let border = (at + 1).next_multiple_of(GROUP);
        if border < at + len {
            for line_break in BREAKS {
                spelled.append(&mut broken(slots, phase, (at, border, end), line_break, len));
            }
        }
        add(at, 0, spelled);
    }
}

/// `len` octets of base64 from character `at` on, up to `end`, with a line break in front of character `border`.
fn broken(
    slots: &[Slot],
    phase: usize,
    (at, border, end): (usize, usize, usize),
    line_break: &[u8],
    len: usize,
) -> BTreeSet<Vec<u8>> {
    let behind = len.saturating_sub(border - at + line_break.len());
    let whole = chars(slots, phase, at, (border + behind).min(end).max(at));
    let spelled = whole.unwrap_or_default().into_iter().map(|chars| {
        let (front, back) = chars.split_at_checked(border - at).unwrap_or((&chars, &[]));
        let mut octets = [front, line_break, back].concat();
        octets.truncate(len);
        octets
    });
    spelled.filter(|octets| octets.len() == len).collect()
}

/// What the characters from `from` up to `to` may be, counted as in `Span64`; none where nothing is to be spelled.
fn chars(slots: &[Slot], phase: usize, from: usize, to: usize) -> Option<BTreeSet<Vec<u8>>> {
    if from >= to {
        return Some(BTreeSet::from([Vec::new()]));
    }
    // Bits of the text.
    let (low, high) = ((6 * from).checked_sub(8 * phase)?, (6 * to).checked_sub(8 * phase)?);
    let texts = cut(slots, low / 8, high.div_ceil(8));
    let mut out = BTreeSet::new();
    for text in texts {
        let bit = |at: usize| text.get(at / 8).map_or(0, |octet| octet >> (7 - at % 8) & 1);
        let values: Vec<u8> = (from..to)
            .map(|char| {
                let at = 6 * char - 8 * phase - low / 8 * 8;
                (at..at + 6).fold(0, |value, at| value << 1 | bit(at))
            })
            .collect();
        for alphabet in [data_encoding::BASE64_NOPAD, data_encoding::BASE64URL_NOPAD] {
            out.insert(written(&values, &alphabet));
        }
    }
    Some(out)
}

/// The characters of six-bit values.
fn written(values: &[u8], alphabet: &data_encoding::Encoding) -> Vec<u8> {
    let mut octets = Vec::with_capacity(values.len());
    for &value in values {
        octets.extend(alphabet.encode(&[value << 2]).bytes().take(1));
    }
    octets
}

/// What the slots may spell from octet `from` to octet `to`. The alternatives of a slot have one length.
fn cut(slots: &[Slot], from: usize, to: usize) -> BTreeSet<Vec<u8>> {
    let mut spellings = BTreeSet::from([Vec::new()]);
    let mut at = 0;
    for slot in slots {
        let len = slot.first().map_or(0, Vec::len);
        if at >= to {
            break;
        }
        let (begin, end) = (from.clamp(at, at + len) - at, to.clamp(at, at + len) - at);
        at += len;
        if begin < end {
            let longer = spellings.iter().flat_map(|spelling: &Vec<u8>| {
                let parts = slot.iter().filter_map(move |alt| alt.get(begin..end));
                parts.map(move |part| [spelling.as_slice(), part].concat())
            });
            spellings = longer.collect();
        }
    }
    spellings
}

/// Grams as numbers; those that differ in the case of letters alone become one.
fn merged(spelled: BTreeSet<Vec<u8>>) -> impl Iterator<Item = (u32, u32)> {
    let number = |octets: Vec<u8>| {
        octets.iter().rev().fold(0_u32, |number, octet| number << 8 | u32::from(*octet))
    };
    let mut all: BTreeSet<(u32, u32)> =
        spelled.into_iter().map(|octets| (number(octets), u32::MAX)).collect();
    for place in 0..super::GRAM {
        let bit = u32::from(CASE) << (8 * place);
        let mut fewer = BTreeSet::new();
        for &(value, mask) in &all {
            if all.contains(&(value ^ bit, mask)) {
                fewer.insert((value & !bit, mask & !bit));
            } else {
                fewer.insert((value, mask));
            }
        }
        all = fewer;
    }
    all.into_iter()
}
