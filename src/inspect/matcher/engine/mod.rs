//! The engine: proposes places where a pattern may stand. Knows runs of four octets ("grams") and nothing else.
//!
//! Of each pattern so many neighbouring grams are known that one of them must begin at a place whose offset in the stream is a
//! multiple of the stride; so only one place in so many is looked at. The longer the shortest pattern, the longer the
//! stride. What is proposed is only a proposal: `Pattern::verify` decides. A few octets are carried from call to call, so a gram
//! may lie across any number of chunks.

mod grams;
mod sweep;

use super::marks::{MARKS, is_char};
use super::pattern::{Form, Pattern};
use crate::inspect::blocks::sieve::GRAM;
use crate::model::Encoding;
use grams::{Layout, Room};
use sweep::{Gram, HELD, Sweep};

/// Strides that are used, longest first. A pattern needs `GRAM - 1` octets more than the stride.
const STRIDES: [usize; 4] = [8, 4, 2, 1];

/// Whose a gram is: the pattern, the slot (or base64 character) in which it begins, and how many octets behind the
/// start of that slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) pattern: u32,
    pub(super) index: u16,
    pub(super) back: u8,
}

/// Where the engine stands in a stream, and the octets in front of that place in which a gram may begin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pos: u64,
    /// The last one is the youngest.
    last: [u8; HELD],
    held: u8,
}

/// Finds the grams of all patterns in one pass.
pub(super) struct Engine {
    /// One for each length of grams that occurs.
    sweeps: Vec<Sweep>,
    /// Patterns for which there are no grams: they are not searched.
    gramless: Vec<usize>,
    /// Characters of base64 around a break, at the least, for which it is looked at.
    around_break: usize,
}

/// The table that the grams of a pattern are kept in. What is written in few octets is kept apart: other octets need not be
/// looked up in it.
fn table(pattern: &Pattern) -> usize {
    match (&pattern.form, pattern.encoding) {
        (Form::Slots, Encoding::Hex) => Sweep::HEX,
        (Form::Slots, _) => Sweep::TEXT,
        (Form::Base64 { .. }, _) => Sweep::BASE64,
    }
}

impl Engine {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let octets: Vec<usize> = patterns.iter().map(|it| Layout::of(it).octets()).collect();
        let (mut sweeps, mut room) = (Vec::new(), Room::default());
        // Texts of two or three octets have grams of their own, so that they do not shorten those of the others.
        for len in 2..=GRAM {
            let fits = |octets: &&usize| (**octets).min(GRAM) == len;
            let Some(least) = octets.iter().filter(fits).min() else { continue };
            let stride = STRIDES.into_iter().find(|stride| stride + len - 1 <= *least).unwrap_or(1);
            let mut tables: [Vec<Gram>; Sweep::TABLES] = Default::default();
            for (nth, (pattern, octets)) in patterns.iter().zip(&octets).enumerate() {
                if let Some(table) = tables.get_mut(table(pattern)).filter(|_| fits(&octets)) {
                    Layout::of(pattern).grams(nth, (len, stride), &mut room, table);
                }
            }
            sweeps.push(Sweep::new(len, stride, tables));
        }
        let gramless = octets.iter().enumerate().filter(|(_, octets)| **octets < 2);
        let around_break = sweeps.iter().filter_map(Sweep::around_break).min();
        Self {
            gramless: gramless.map(|(pattern, _)| pattern).collect(),
            around_break: around_break.unwrap_or(usize::MAX),
            sweeps,
        }
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.sweeps.is_empty()
    }

    /// Patterns that it does not search: no gram stands for them.
    pub(super) fn gramless(&self) -> &[usize] {
        &self.gramless
    }

    /// Octets in a row in which a gram of any pattern lies at a place of the longest stride, wherever that begins, and what
    /// stands on either side of it.
    pub(super) const GRAIN: usize = STRIDES[0] + GRAM - 1 + 2 * GRAM;

    /// Whether a gram may be in octets of which it is not known where in a stream they stand, or an escape, or a line break as
    /// in base64. An escape may end with the octets, so one octet of it is enough.
    pub(super) fn may_hold_part(&self, bytes: &[u8]) -> bool {
        let mut is_any = memchr::memchr3(b'%', b'&', b'=', bytes).is_some()
            || memchr::memchr(b'\\', bytes).is_some();
        // Base64 goes on behind a line break.
        MARKS.each(bytes, &mut |at| is_any |= at + 2 < bytes.len());
        for sweep in &self.sweeps {
            if !is_any {
                sweep.scan(0, bytes, &mut |_, _| is_any = true);
            }
        }
        is_any
    }

    /// Reads on. `on(at, owner)`: a gram of `owner` begins `at` octets behind the first of `bytes`, or in front of it.
    /// `escape(at)`: an escape may begin there.
    ///
    /// One place in the stream may be proposed more than once.
    pub(super) fn scan(
        &self,
        cursor: &mut Cursor,
        bytes: &[u8],
        escape: &mut dyn FnMut(usize),
        on: &mut dyn FnMut(i64, Owner),
    ) {
        for sweep in &self.sweeps {
            sweep.seam(cursor.pos, cursor.held(), bytes, on);
        }
        self.scan_at(cursor.pos, bytes, escape, on);
        cursor.advance(bytes);
    }

    /// The same for what lies in `bytes` as a whole; `pos`: where they stand in the stream.
    #[inline]
    pub(super) fn scan_at(
        &self,
        pos: u64,
        bytes: &[u8],
        escape: &mut dyn FnMut(usize),
        on: &mut dyn FnMut(i64, Owner),
    ) {
        for sweep in &self.sweeps {
            sweep.scan(pos, bytes, on);
        }
        MARKS.each_broken(bytes, self.around_break, &mut |at| {
            if bytes.get(at).copied().is_some_and(is_char) {
                for sweep in &self.sweeps {
                    sweep.join(bytes, at, 0, on);
                }
            } else {
                escape(at);
            }
        });
    }
}

impl Cursor {
    fn held(&self) -> &[u8] {
        self.last.get(HELD - usize::from(self.held)..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: &[u8]) {
        let young = bytes.get(bytes.len().saturating_sub(HELD)..).unwrap_or_default();
        self.last.rotate_left(young.len());
        if let Some(place) = self.last.get_mut(HELD - young.len()..) {
            place.copy_from_slice(young);
        }
        let held = usize::from(self.held) + bytes.len();
        self.held = u8::try_from(held.min(HELD)).unwrap_or(0);
        self.pos += bytes.len() as u64;
    }
}
