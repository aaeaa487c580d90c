//! A pattern: the slots of a text, each with the octets it may be written as; and the proof that it stands somewhere.
//!
//! The engine only proposes places (an anchor was seen); what is reported is decided here, octet by octet.

use super::Needle;
use super::slots::{Slot, Slots};
use crate::model::Encoding;
use std::sync::Arc;

/// Octets of line breaks (CR, LF, and blanks after them) that base64 may hold between two characters.
const MAX_BREAK_OCTETS: u64 = 4;
/// Characters of base64 between two line breaks, at least. RFC 7468 has 64, RFC 2045 s6.8 has 76.
const MIN_LINE_CHARS: u64 = 16;

/// How a pattern is laid out on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The slots one after the other.
    Slots,
    /// The slots one after the other, in base64 (RFC 4648 s4 and s5). Alternatives of a slot have one length.
    Base64 {
        /// Octets in front of the text in its first group of three: 0, 1 or 2.
        phase: usize,
    },
}

/// Size of the units whose neighbours must not be letters or digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// One octet.
    Octet,
    /// Two octets, low one first.
    LittleEndian,
    /// Two octets, high one first.
    BigEndian,
}

/// One way in which a text may stand on the wire.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// Whose text.
    pub(super) needle: Needle,
    /// How it is written.
    pub(super) encoding: Encoding,
    /// Layout.
    pub(super) form: Form,
    /// The text; the phases of base64 share it.
    pub(super) slots: Arc<Slots>,
    /// Whether letters and digits around it rule it out (very short texts).
    pub(super) word: Option<Unit>,
    /// Chance that a random octet begins this needle in this encoding.
    pub(super) probability: f64,
    /// Octets of the slots, with the shortest alternatives and with the longest.
    lens: (usize, usize),
}

/// Octets of a stream that are at hand: those kept from before, and the new ones.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    /// Kept from before.
    pub(super) tail: &'a [u8],
    /// New.
    pub(super) bytes: &'a [u8],
    /// Position of the first octet of `tail`.
    pub(super) base: u64,
    /// No more octets will follow.
    pub(super) closed: bool,
}

/// What lies at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// This octet.
    Octet(u8),
    /// Nothing any more: in front of what was kept, or behind a gap.
    Gone,
    /// Nothing yet.
    Later,
}

impl Window<'_> {
    /// The octet at `pos`.
    pub(super) fn at(&self, pos: u64) -> At {
        let Some(index) = pos.checked_sub(self.base).and_then(|i| usize::try_from(i).ok()) else {
            return At::Gone;
        };
        let octet = match self.tail.get(index) {
            Some(octet) => Some(octet),
            None => self.bytes.get(index - self.tail.len()),
        };
        match octet {
            Some(&octet) => At::Octet(octet),
            None if self.closed => At::Gone,
            None => At::Later,
        }
    }

    /// One past the last octet.
    pub(super) fn end(&self) -> u64 {
        self.base + self.tail.len() as u64 + self.bytes.len() as u64
    }

    /// At most `len` octets from `from` on, and the position of the first of them.
    pub(super) fn copy(&self, from: u64, len: usize) -> (u64, Vec<u8>) {
        let from = from.clamp(self.base, self.end());
        let octets = (from..self.end()).take(len).filter_map(|pos| match self.at(pos) {
            At::Octet(octet) => Some(octet),
            At::Gone | At::Later => None,
        });
        (from, octets.collect())
    }
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The text does not stand there.
    No,
    /// All octets so far agree; the rest is not there yet.
    NeedMore,
    /// It stands there.
    Yes(Place),
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Position of the first octet.
    pub(super) start: u64,
    /// One past the last.
    pub(super) end: u64,
    /// How it was really written: the pattern's encoding, or its sibling (URL-safe base64, `+` for a blank).
    pub(super) encoding: Encoding,
}

/// Stops a walk along the slots.
enum Stop {
    No,
    NeedMore,
}

impl Pattern {
    /// A pattern whose chance is not yet known.
    pub(super) fn new(
        needle: Needle,
        encoding: Encoding,
        form: Form,
        slots: Arc<Slots>,
        word: Option<Unit>,
    ) -> Self {
        let lens = slots.iter().map(Slot::lens);
        let lens = lens.fold((0, 0), |(least, most), slot| (least + slot.0, most + slot.1));
        Self { needle, encoding, form, slots, word, probability: 0.0, lens }
    }

    /// Whether the text stands where slot (or base64 character) `index` would begin at `pos`.
    pub(super) fn verify(&self, window: &Window<'_>, pos: u64, index: usize) -> Outcome {
        let found = match self.form {
            Form::Slots => self.verify_slots(window, pos, index),
            Form::Base64 { phase } => self.verify_base64(window, pos, index, phase),
        };
        match found {
            Ok(place) => Outcome::Yes(place),
            Err(Stop::No) => Outcome::No,
            Err(Stop::NeedMore) => Outcome::NeedMore,
        }
    }

    /// The `index` of `verify` for the start of the pattern.
    pub(super) fn first_index(&self) -> usize {
        match self.form {
            Form::Slots => 0,
            Form::Base64 { phase } => Span64::of(phase, 0).first,
        }
    }

    /// Octets of the text, where no slot has alternatives of different lengths; else of the longest ones.
    pub(super) fn octets(&self) -> usize {
        self.lens.1
    }

    /// The fewest octets that it can take on the wire.
    pub(super) fn least_wire_len(&self) -> usize {
        match self.form {
            Form::Slots => self.lens.0,
            Form::Base64 { phase } => Span64::of(phase, self.octets()).chars(),
        }
    }

    /// The most octets that it can take on the wire.
    pub(super) fn max_wire_len(&self) -> usize {
        match self.form {
            Form::Slots => self.octets() + 2, // its neighbours
            Form::Base64 { phase } => {
                let span = Span64::of(phase, self.octets());
                let chars = span.chars() as u64;
                usize::try_from(chars + max_breaks(chars) * MAX_BREAK_OCTETS).unwrap_or(usize::MAX)
            }
        }
    }

    fn verify_slots(&self, window: &Window<'_>, pos: u64, index: usize) -> Result<Place, Stop> {
        let (mut start, mut end, mut encoding) = (pos, pos, self.encoding);
        let mut note = |slot: Slot<'_>, written: &[u8]| {
            if written == b"+" && slot.len() > 1 {
                encoding = Encoding::Percent;
            }
        };
        for slot in (0..index).rev().map(|nth| self.slots.get(nth)) {
            let slot = slot.ok_or(Stop::No)?;
            let written = slot.iter().find(|alt| ends_with(window, start, alt)).ok_or(Stop::No)?;
            note(slot, written);
            start -= written.len() as u64;
        }
        for slot in self.slots.from(index) {
            let written = begins_with(window, end, slot)?;
            note(slot, written);
            end += written.len() as u64;
        }
        match self.word {
            Some(unit) => check_word(window, start, end, unit)?,
            None if self.encoding == Encoding::Utf16Be => check_order(window, start, end)?,
            None => {}
        }
        Ok(Place { start, end, encoding })
    }

    fn verify_base64(
        &self,
        window: &Window<'_>,
        pos: u64,
        index: usize,
        phase: usize,
    ) -> Result<Place, Stop> {
        let span = Span64::of(phase, self.octets());
        let before = index.checked_sub(span.first).ok_or(Stop::No)?;
        let breaks = max_breaks(span.chars() as u64) * MAX_BREAK_OCTETS;
        // Backwards first: what lies there is known, so most false proposals end here.
        let (mut start, mut skipped, mut taken) = (pos, 0, 0);
        let mut cursor = pos;
        while taken < before {
            cursor = cursor.checked_sub(1).ok_or(Stop::No)?;
            match window.at(cursor) {
                At::Octet(octet) if value64(octet).is_some() => {
                    (taken, start) = (taken + 1, cursor);
                }
                At::Octet(octet) if is_break(window, cursor, octet) && skipped < breaks => {
                    skipped += 1;
                }
                _ => return Err(Stop::No),
            }
        }
        let mut bits = Bits64::new(&span);
        let mut text = Text64::new(&self.slots);
        let (mut end, mut skipped, mut url_safe) = (start, 0, false);
        cursor = start;
        for _ in 0..span.chars() {
            let octet = loop {
                match window.at(cursor) {
                    At::Octet(octet) if is_break(window, cursor, octet) && skipped < breaks => {
                        (skipped, cursor) = (skipped + 1, cursor + 1);
                    }
                    At::Octet(octet) => break octet,
                    At::Gone => return Err(Stop::No),
                    At::Later => return Err(Stop::NeedMore),
                }
            };
            let value = value64(octet).ok_or(Stop::No)?;
            url_safe |= matches!(octet, b'-' | b'_');
            cursor += 1;
            end = cursor;
            if let Some(octet) = bits.push(value)
                && !text.push(octet)
            {
                return Err(Stop::No);
            }
        }
        if !text.is_complete() {
            return Err(Stop::No);
        }
        let encoding = if url_safe { Encoding::Base64Url } else { self.encoding };
        Ok(Place { start, end, encoding })
    }
}

/// Line breaks that base64 of that length may hold.
fn max_breaks(chars: u64) -> u64 {
    1 + chars / MIN_LINE_CHARS
}

/// Whether the octet at `pos` belongs to a line break: CR, LF, or the blank that begins a folded line.
fn is_break(window: &Window<'_>, pos: u64, octet: u8) -> bool {
    match octet {
        b'\r' | b'\n' => true,
        b' ' | b'\t' => pos.checked_sub(1).map(|pos| window.at(pos)) == Some(At::Octet(b'\n')),
        _ => false,
    }
}

/// The value of a base64 character of either alphabet. RFC 4648 s4, s5.
pub(super) fn value64(octet: u8) -> Option<u8> {
    Some(match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Which characters of base64 hold bits of a text, counted from the start of the group of its first octet.
pub(super) struct Span64 {
    /// The first.
    pub(super) first: usize,
    /// One past the last.
    pub(super) end: usize,
    /// Bits of the first one that belong to what stands in front.
    pub(super) lead: usize,
    /// Octets of the text.
    pub(super) octets: usize,
}

impl Span64 {
    pub(super) fn of(phase: usize, octets: usize) -> Self {
        let first = phase * 8 / 6;
        Self { first, end: ((phase + octets) * 8).div_ceil(6), lead: phase * 8 - first * 6, octets }
    }

    pub(super) fn chars(&self) -> usize {
        self.end - self.first
    }
}

/// Puts octets together from the values of base64 characters.
struct Bits64 {
    bits: u32,
    len: usize,
    lead: usize,
    left: usize,
}

impl Bits64 {
    fn new(span: &Span64) -> Self {
        Self { bits: 0, len: 0, lead: span.lead, left: span.octets }
    }

    fn push(&mut self, value: u8) -> Option<u8> {
        self.bits = (self.bits << 6 | u32::from(value)) & 0xffff;
        self.len += 6 - std::mem::take(&mut self.lead);
        if self.len < 8 || self.left == 0 {
            return None;
        }
        self.len -= 8;
        self.left -= 1;
        Some((self.bits >> self.len & 0xff) as u8)
    }
}

/// Compares octets with the slots as they come. The alternatives of a slot have one length here.
struct Text64<'a> {
    slots: &'a Slots,
    /// The slot that is being compared.
    nth: usize,
    partial: [u8; 8],
    len: usize,
}

impl<'a> Text64<'a> {
    fn new(slots: &'a Slots) -> Self {
        Self { slots, nth: 0, partial: [0; 8], len: 0 }
    }

    fn push(&mut self, octet: u8) -> bool {
        let Some(slot) = self.slots.get(self.nth) else { return false };
        let Some(place) = self.partial.get_mut(self.len) else { return false };
        *place = octet;
        self.len += 1;
        let Some(so_far) = self.partial.get(..self.len) else { return false };
        // Octet by octet: they are one or two.
        if slot.iter().any(|alt| alt.len() == so_far.len() && alt.iter().eq(so_far)) {
            self.len = 0;
            self.nth += 1;
            return true;
        }
        slot.iter().any(|alt| alt.len() > so_far.len() && alt.starts_with(so_far))
    }

    fn is_complete(&self) -> bool {
        self.nth >= self.slots.len()
    }
}

fn ends_with(window: &Window<'_>, end: u64, written: &[u8]) -> bool {
    let Some(start) = end.checked_sub(written.len() as u64) else { return false };
    (start..end).zip(written).all(|(pos, &octet)| window.at(pos) == At::Octet(octet))
}

/// The longest alternative that stands at `pos`. Alternatives where one begins with another occur only where the
/// next slot tells them apart (runs of blanks), so the longest is the right one.
fn begins_with<'a>(window: &Window<'_>, pos: u64, slot: Slot<'a>) -> Result<&'a [u8], Stop> {
    for written in slot.iter() {
        let mut at = (pos..).zip(written).map(|(pos, &octet)| (window.at(pos), octet));
        match at.find(|&(at, octet)| at != At::Octet(octet)) {
            None => return Ok(written),
            Some((At::Later, _)) => return Err(Stop::NeedMore),
            Some(_) => {}
        }
    }
    Err(Stop::No)
}

/// Whether the text is not the same text in little endian, one octet later: `00 6a 00 73` and a further `00`. Both readings
/// fit inside a longer text; it is told once, in the order that is common.
fn check_order(window: &Window<'_>, start: u64, end: u64) -> Result<(), Stop> {
    if (start + 2..end).step_by(2).any(|high| window.at(high) != At::Octet(0)) {
        return Ok(());
    }
    match window.at(end) {
        At::Later => Err(Stop::NeedMore),
        At::Octet(0) => Err(Stop::No),
        At::Octet(_) | At::Gone => Ok(()),
    }
}

/// Whether the text is a word by itself: no ASCII letter or digit touches it.
fn check_word(window: &Window<'_>, start: u64, end: u64, unit: Unit) -> Result<(), Stop> {
    let letter = |low: At, high: At| matches!((low, high), (At::Octet(octet), At::Octet(0)) if octet.is_ascii_alphanumeric());
    let before = |back: u64| start.checked_sub(back).map_or(At::Gone, |pos| window.at(pos));
    let after = |on: u64| window.at(end + on);
    let (touched_before, touched_after, last) = match unit {
        Unit::Octet => {
            let zero = At::Octet(0);
            (letter(before(1), zero), letter(after(0), zero), after(0))
        }
        Unit::LittleEndian => (letter(before(2), before(1)), letter(after(0), after(1)), after(1)),
        Unit::BigEndian => (letter(before(1), before(2)), letter(after(1), after(0)), after(1)),
    };
    if touched_before || touched_after {
        return Err(Stop::No);
    }
    if last == At::Later { Err(Stop::NeedMore) } else { Ok(()) }
}
