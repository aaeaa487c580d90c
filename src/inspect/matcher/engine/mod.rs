//! The engine: proposes places where a pattern may stand. Knows runs of four octets ("grams") and nothing else.
//!
//! Of each pattern so many neighbouring grams are known that one of them must begin at a place whose offset in the stream is a
//! multiple of the stride; so only one place in so many is looked at. The longer the shortest pattern, the longer the
//! stride. What is proposed is only a proposal: `Pattern::verify` decides. A few octets are carried from call to call, so a gram
//! may lie across any number of chunks.

mod grams;
mod sweep;

use super::pattern::Pattern;
use grams::Layout;
use sweep::Sweep;

/// Octets of a gram; of texts that are shorter, what there is.
const GRAM: usize = 4;

/// Strides that are used, longest first. A pattern needs `GRAM - 1` octets more than the stride.
const STRIDES: [usize; 4] = [8, 4, 2, 1];

/// Whose a gram is: the pattern, the slot (or base64 character) in which it begins, and how many octets behind the
/// start of that slot. Below zero where it begins in a line break in front of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) pattern: usize,
    pub(super) index: u32,
    pub(super) back: i32,
}

/// Where the engine stands in a stream, and the octets in front of that place in which a gram may begin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pos: u64,
    /// The last one is the youngest.
    last: [u8; GRAM - 1],
    held: usize,
}

/// Finds the grams of all patterns in one pass.
pub(super) struct Engine {
    /// One for each length of grams that occurs.
    sweeps: Vec<Sweep>,
    /// Patterns for which there are no grams: they are not searched.
    gramless: Vec<usize>,
}

impl Engine {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let layouts: Vec<(usize, Layout<'_>)> =
            patterns.iter().map(Layout::of).enumerate().collect();
        let mut sweeps = Vec::new();
        // Texts of two or three octets have grams of their own, so that they do not shorten those of the others.
        for gram in 2..=GRAM {
            let fits = |octets: usize| octets.min(GRAM) == gram;
            let these = layouts.iter().filter(|(_, layout)| fits(layout.octets()));
            let Some(least) = these.clone().map(|(_, layout)| layout.octets()).min() else {
                continue;
            };
            let stride = STRIDES.into_iter().find(|stride| stride + gram - 1 <= least).unwrap_or(1);
            let grams = these.flat_map(|(pattern, layout)| layout.grams(*pattern, gram, stride));
            sweeps.push(Sweep::new(gram, stride, grams.collect()));
        }
        let gramless = layouts.iter().filter(|(_, layout)| layout.octets() < 2);
        Self { sweeps, gramless: gramless.map(|(pattern, _)| *pattern).collect() }
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.sweeps.is_empty()
    }

    /// Patterns that it does not search: no gram stands for them.
    pub(super) fn gramless(&self) -> &[usize] {
        &self.gramless
    }

    /// Reads on. `on(at, owner)`: a gram of `owner` begins `at` octets behind the first of `bytes`, or in front of it.
    ///
    /// One place in the stream may be proposed more than once.
    pub(super) fn scan(&self, cursor: &mut Cursor, bytes: &[u8], on: &mut dyn FnMut(i64, Owner)) {
        for sweep in &self.sweeps {
            sweep.seam(cursor.pos, cursor.held(), bytes, on);
            sweep.scan(cursor.pos, bytes, on);
        }
        cursor.advance(bytes);
    }
}

impl Cursor {
    fn held(&self) -> &[u8] {
        self.last.get(self.last.len() - self.held..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: &[u8]) {
        let room = self.last.len();
        for &octet in bytes.get(bytes.len().saturating_sub(room)..).unwrap_or_default() {
            self.last.rotate_left(1);
            if let Some(last) = self.last.last_mut() {
                *last = octet;
            }
        }
        self.held = (self.held + bytes.len()).min(room);
        self.pos += bytes.len() as u64;
    }
}
