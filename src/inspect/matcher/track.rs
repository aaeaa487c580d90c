//! A track: one run of octets (a stream as it is, or a view of it) on its way through the engine.

use super::engine::{Cursor, Engine, Owner};
use super::pattern::{Outcome, Pattern, Place, Window};

/// A place that the engine proposed and that needs octets not yet seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    owner: Owner,
    pos: u64,
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
}

impl Track {
    /// Begins anew at `pos`, knowing nothing.
    pub(super) fn restart(&mut self, pos: u64) {
        self.cursor = None;
        self.tail.clear();
        self.candidates.clear();
        self.end = pos;
    }

    /// Searches the octets that follow. `remember` must be called with them before the next search.
    pub(super) fn search(
        &mut self,
        engine: &Engine,
        patterns: &[Pattern],
        bytes: &[u8],
        out: &mut dyn FnMut(&Window<'_>, usize, Place),
    ) {
        let window = Window { tail: &self.tail, bytes, base: self.start(), closed: false };
        let end = self.end;
        let candidates = &mut self.candidates;
        if !candidates.is_empty() {
            settle(candidates, patterns, &window, out);
        }
        engine.scan(&mut self.cursor, bytes, &mut |stop, len, owners| {
            let Some(pos) = (end + stop as u64).checked_sub(len as u64) else { return };
            for &owner in owners {
                let Some(pattern) = patterns.get(owner.pattern) else { continue };
                match pattern.verify(&window, pos, owner.index) {
                    Outcome::No => {}
                    Outcome::NeedMore => candidates.push(Candidate { owner, pos }),
                    Outcome::Yes(place) => out(&window, owner.pattern, place),
                }
            }
        });
    }

    /// No octets follow: what only waited to see its neighbour is decided.
    pub(super) fn close(
        &mut self,
        patterns: &[Pattern],
        out: &mut dyn FnMut(&Window<'_>, usize, Place),
    ) {
        let window = Window { tail: &self.tail, bytes: &[], base: self.start(), closed: true };
        settle(&mut self.candidates, patterns, &window, out);
        self.candidates.clear();
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

    /// Octets of memory held.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.tail.capacity() + self.candidates.capacity() * size_of::<Candidate>()
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
    patterns: &[Pattern],
    window: &Window<'_>,
    out: &mut dyn FnMut(&Window<'_>, usize, Place),
) {
    candidates.retain(|candidate| {
        let Some(pattern) = patterns.get(candidate.owner.pattern) else { return false };
        match pattern.verify(window, candidate.pos, candidate.owner.index) {
            Outcome::No => false,
            Outcome::NeedMore => true,
            Outcome::Yes(place) => {
                out(window, candidate.owner.pattern, place);
                false
            }
        }
    });
}
