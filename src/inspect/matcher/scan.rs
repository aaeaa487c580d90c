//! The scanner: what is kept of one direction of a stream between two chunks, and the way of the octets through it.

use super::pattern::{Place, Window};
use super::track::Track;
use super::{Index, Match};
use crate::model::{Encoding, Excerpt, FrameSpan};

/// Octets in front of a hit that an excerpt shows.
const EXCERPT_BEFORE: u64 = 32;
/// Frames kept, as places where octets came from; beyond it the oldest known frame stands for older ones.
const MAX_PIECES: usize = 4096;

/// State of the search in one direction of one stream. Bounded by the longest pattern, not by the stream.
#[derive(Default)]
pub struct Scanner {
    raw: Track,
    pieces: Vec<Piece>,
    due: Vec<Due>,
}

/// From `start` on (up to the next piece) the octets were captured in `frames`.
#[derive(Clone, Copy)]
struct Piece {
    start: u64,
    frames: FrameSpan,
}

/// A match that was decided by a gap, and waits to be told.
struct Due {
    pattern: usize,
    encoding: Encoding,
    probability: f64,
    offset: u64,
    len: u32,
    frames: FrameSpan,
    excerpt: Excerpt,
}

impl Scanner {
    pub(super) fn scan(
        &mut self,
        index: &Index,
        offset: u64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut dyn FnMut(Match<'_>),
    ) {
        self.tell_due(index, out);
        if bytes.is_empty() {
            return;
        }
        if offset != self.raw.end() {
            if !self.raw.tail().is_empty() {
                self.gap(index);
                self.tell_due(index, out);
            }
            self.raw.restart(offset);
        }
        if self.pieces.last().is_none_or(|last| last.frames != frames) {
            self.pieces.push(Piece { start: offset, frames });
        }
        let pieces = &self.pieces;
        self.raw.search(&index.engine, &index.patterns, bytes, &mut |window, pattern, place| {
            if let Some(due) = raw_match(index, pieces, window, pattern, place) {
                due.tell(index, out);
            }
        });
        self.raw.remember(bytes, index.keep);
        self.forget_pieces();
    }

    pub(super) fn gap(&mut self, index: &Index) {
        let (pieces, due) = (&self.pieces, &mut self.due);
        self.raw.close(&index.patterns, &mut |window, pattern, place| {
            due.extend(raw_match(index, pieces, window, pattern, place));
        });
        self.raw.restart(self.raw.end());
        self.pieces.clear();
    }

    pub(super) fn finish(&mut self, index: &Index, out: &mut dyn FnMut(Match<'_>)) {
        self.gap(index);
        self.tell_due(index, out);
    }

    fn tell_due(&mut self, index: &Index, out: &mut dyn FnMut(Match<'_>)) {
        for due in self.due.drain(..) {
            due.tell(index, out);
        }
    }

    /// Drops the pieces of octets that no match can begin at any more.
    fn forget_pieces(&mut self) {
        let oldest = self.raw.start();
        let unused = self.pieces.iter().skip(1).take_while(|piece| piece.start <= oldest).count();
        let excess = self.pieces.len().saturating_sub(MAX_PIECES);
        self.pieces.drain(..unused.max(excess));
    }
}

impl Due {
    fn tell(self, index: &Index, out: &mut dyn FnMut(Match<'_>)) {
        let Some(pattern) = index.patterns.get(self.pattern) else { return };
        let Some((label, text)) = index.text(pattern.needle) else { return };
        out(Match {
            needle: pattern.needle,
            label,
            text,
            encoding: self.encoding,
            offset: self.offset,
            len: self.len,
            frames: self.frames,
            excerpt: self.excerpt,
            octet_probability: self.probability,
        });
    }
}

/// A match in the stream as it is; none where an earlier encoding of the needle tells of the same octets.
fn raw_match(
    index: &Index,
    pieces: &[Piece],
    window: &Window<'_>,
    pattern: usize,
    place: Place,
) -> Option<Due> {
    if index.is_shadowed(pattern, window, place) {
        return None;
    }
    Some(Due {
        pattern,
        encoding: place.encoding,
        probability: index.patterns.get(pattern)?.probability,
        offset: place.start,
        len: u32::try_from(place.end - place.start).unwrap_or(u32::MAX),
        frames: frames_of(pieces, place.start, place.end),
        excerpt: excerpt(window, place.start, place.end),
    })
}

/// The frames that carried the octets from `start` up to `end`.
fn frames_of(pieces: &[Piece], start: u64, end: u64) -> FrameSpan {
    let of = |pos: u64| {
        let after = pieces.partition_point(|piece| piece.start <= pos);
        pieces.get(after.saturating_sub(1)).map_or_else(FrameSpan::default, |piece| piece.frames)
    };
    of(start).to(of(end.saturating_sub(1)))
}

/// The octets around a match, as far as they are at hand.
fn excerpt(window: &Window<'_>, start: u64, end: u64) -> Excerpt {
    let (from, bytes) = window.copy(start.saturating_sub(EXCERPT_BEFORE), Excerpt::MAX);
    let before = usize::try_from(start.saturating_sub(from)).unwrap_or(0);
    let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
    Excerpt::around(&bytes, before, len)
}
