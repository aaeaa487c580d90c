//! A track: one run of octets (a stream as it is, or a view of it) on its way through the engine.

use super::engine::{Cursor, Engine};
use super::pattern::{Outcome, Pattern, Place, Window};
use std::collections::{BTreeSet, VecDeque};

/// Matches remembered, so that none is told twice. Grams that propose one place follow each other closely.
const MAX_TOLD: usize = 64;

/// A place that the engine proposed and that needs octets not yet seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    pattern: usize,
    /// The slot, or base64 character, that begins at `pos`.
    index: usize,
    pos: u64,
}

/// What was told of late: one place may be proposed by several grams.
#[derive(Default)]
struct Told {
    recent: VecDeque<(usize, u64)>,
    /// Those of the search at hand for which there is no room among the recent ones: line breaks are met behind all others, so that a
    /// place is proposed again however much was told in between.
    others: BTreeSet<(usize, u64)>,
}

impl Told {
    fn tell(
        &mut self,
        window: &Window<'_>,
        pattern: usize,
        place: Place,
        out: &mut dyn FnMut(&Window<'_>, usize, Place),
    ) {
        let this = (pattern, place.start);
        if self.recent.contains(&this) || self.others.contains(&this) {
            return;
        }
        if self.recent.len() == MAX_TOLD {
            self.others.extend(self.recent.pop_front());
        }
        self.recent.push_back(this);
        out(window, pattern, place);
    }

    /// A search has ended.
    fn rest(&mut self) {
        if !self.others.is_empty() {
            self.others.clear();
        }
    }
}

/// What is kept of a track between two chunks.
///
/// Bounded: `keep` octets, and candidates whose octets so far all agree (at most one for each pattern and octet kept).
#[derive(Default)]
pub(super) struct Track {
    cursor: Cursor,
    tail: Vec<u8>,
    end: u64,
    candidates: Vec<Candidate>,
    told: Told,
}

impl Track {
    /// Begins anew at `pos`, knowing nothing.
    pub(super) fn restart(&mut self, pos: u64) {
        self.cursor = Cursor::default();
        self.told.recent.clear();
        self.tail.clear();
        self.candidates.clear();
        self.end = pos;
    }

    /// Searches the octets that follow, and tells where in them an escape may begin. `remember` must be called with them before
    /// the next search.
    pub(super) fn search(
        &mut self,
        engine: &Engine,
        patterns: &[Pattern],
        bytes: &[u8],
        escape: &mut dyn FnMut(&Window<'_>, usize),
        out: &mut dyn FnMut(&Window<'_>, usize, Place),
    ) {
        let window = Window { tail: &self.tail, bytes, base: self.start(), closed: false };
        let end = self.end;
        let (candidates, told) = (&mut self.candidates, &mut self.told);
        if !candidates.is_empty() {
            settle(candidates, told, patterns, &window, out);
        }
        let mut escape = |at| escape(&window, at);
        engine.scan(&mut self.cursor, bytes, &mut escape, &mut |at, owner| {
            let number = owner.pattern as usize;
            let Some(pattern) = patterns.get(number) else { return };
            let slot =
                end.checked_add_signed(at).and_then(|pos| pos.checked_sub(owner.back.into()));
            let Some(pos) = slot else { return };
            let candidate = Candidate { pattern: number, index: owner.index.into(), pos };
            match pattern.verify(&window, pos, candidate.index) {
                Outcome::No => {}
                Outcome::NeedMore => candidates.push(candidate),
                Outcome::Yes(place) => told.tell(&window, number, place, out),
            }
        });
        self.told.rest();
    }

    /// No octets follow: what only waited to see its neighbour is decided.
    pub(super) fn close(
        &mut self,
        patterns: &[Pattern],
        out: &mut dyn FnMut(&Window<'_>, usize, Place),
    ) {
        let window = Window { tail: &self.tail, bytes: &[], base: self.start(), closed: true };
        settle(&mut self.candidates, &mut self.told, patterns, &window, out);
        self.candidates.clear();
        self.told.rest();
    }

    /// Takes the octets just searched over into what is kept: the last `keep` octets of all.
    pub(super) fn remember(&mut self, bytes: &[u8], keep: usize) {
        self.end += bytes.len() as u64;
        let excess = (self.tail.len() + bytes.len()).saturating_sub(keep);
        if excess >= self.tail.len() {
            self.tail.clear();
            let from = bytes.len().saturating_sub(keep);
            self.tail.extend_from_slice(bytes.get(from..).unwrap_or_default());
        } else {
            self.tail.drain(..excess);
            self.tail.extend_from_slice(bytes);
        }
    }

    /// Octets of memory held beside its own.
    pub(super) fn memory(&self) -> usize {
        self.tail.capacity()
            + self.candidates.capacity() * size_of::<Candidate>()
            + self.told.recent.capacity() * size_of::<(usize, u64)>()
    }

    /// Position of the first octet kept.
    pub(super) fn start(&self) -> u64 {
        self.end - self.tail.len() as u64
    }

    /// One past the last octet seen.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The octets kept.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }
}

/// Tries again what needed more octets; keeps what still does.
fn settle(
    candidates: &mut Vec<Candidate>,
    told: &mut Told,
    patterns: &[Pattern],
    window: &Window<'_>,
    out: &mut dyn FnMut(&Window<'_>, usize, Place),
) {
    candidates.retain(|candidate| {
        let Some(pattern) = patterns.get(candidate.pattern) else { return false };
        match pattern.verify(window, candidate.pos, candidate.index) {
            Outcome::No => false,
            Outcome::NeedMore => true,
            Outcome::Yes(place) => {
                told.tell(window, candidate.pattern, place, out);
                false
            }
        }
    });
}
