//! What waits behind a hole: octets ahead of RCV.NXT, by their place in the stream.

use super::out::Shared;
use crate::model::FrameSpan;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Octets charged for the keeping of one piece beside its payload: its share of a node, and its own block.
const PIECE_OVERHEAD: usize = 160;

/// Octets charged for the keeping of the first piece beside that: a node is made for eleven.
const FIRST_OVERHEAD: usize = 640;

/// Octets that wait.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Box<[u8]>,
    /// Octets up to here were on the wire behind it, and cut by the snaplen.
    pub(super) lost_to: u64,
    pub(super) frames: FrameSpan,
}

impl Piece {
    const fn end(&self, offset: u64) -> u64 {
        offset + self.bytes.len() as u64
    }
}

/// How octets that came compare with those that waited already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overlap {
    /// Octets that waited already.
    pub(super) shared: u64,
    /// Those of them that differ.
    pub(super) differing: u64,
}

/// Pieces that do not overlap.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pieces: BTreeMap<u64, Piece>,
    charged: usize,
}

impl Waiting {
    /// Keeps octets; where some wait already, those stay.
    pub(super) fn hold(
        &mut self,
        start: u64,
        bytes: &[u8],
        lost_to: u64,
        frames: FrameSpan,
        shared: &mut Shared,
    ) -> Overlap {
        let end = start + bytes.len() as u64;
        let from = self.pieces.range(..start).next_back().map_or(start, |(at, _)| *at);
        let mut free = Vec::new();
        let mut cursor = start;
        let mut overlap = Overlap::default();
        for (&at, piece) in self.pieces.range(from..end.max(from)) {
            let (low, high) = (at.max(cursor), piece.end(at).min(end));
            if low > cursor {
                free.push((cursor, low));
            }
            if low < high {
                overlap.shared += high - low;
                let known = slice(&piece.bytes, at, low, high);
                overlap.differing += differing(slice(bytes, start, low, high), (known, &[]));
            }
            cursor = cursor.max(high);
        }
        if cursor < end || bytes.is_empty() {
            free.push((cursor, end));
        }
        for (low, high) in free {
            let octets: Box<[u8]> = slice(bytes, start, low, high).into();
            let base = if self.pieces.is_empty() { FIRST_OVERHEAD } else { 0 };
            let charge = match self.pieces.entry(low) {
                Entry::Vacant(place) => {
                    let charge = base + octets.len() + PIECE_OVERHEAD;
                    place.insert(Piece { bytes: octets, lost_to: 0, frames });
                    charge
                }
                // A segment of which the capture kept no payload.
                Entry::Occupied(mut piece) if piece.get().bytes.is_empty() => {
                    let charge = octets.len();
                    piece.get_mut().bytes = octets;
                    piece.get_mut().frames = frames;
                    charge
                }
                Entry::Occupied(_) => 0,
            };
            self.charged += charge;
            shared.held_bytes += charge;
        }
        if lost_to > 0
            && let Some((_, piece)) = self.pieces.range_mut(..=end).next_back()
        {
            piece.lost_to = piece.lost_to.max(lost_to);
        }
        overlap
    }

    /// Takes the first piece.
    pub(super) fn pop_first(&mut self, shared: &mut Shared) -> Option<Piece> {
        let (_, piece) = self.pieces.pop_first()?;
        let charge = if self.pieces.is_empty() {
            // An empty map may keep a node.
            self.pieces = BTreeMap::new();
            self.charged
        } else {
            (piece.bytes.len() + PIECE_OVERHEAD).min(self.charged)
        };
        self.charged -= charge;
        shared.held_bytes = shared.held_bytes.saturating_sub(charge);
        Some(piece)
    }

    /// Offset of the first piece.
    pub(super) fn first(&self) -> Option<u64> {
        self.pieces.first_key_value().map(|(at, _)| *at)
    }

    /// Offset behind the last one, with what was cut off it.
    pub(super) fn end(&self) -> Option<u64> {
        self.pieces.last_key_value().map(|(at, last)| last.end(*at).max(last.lost_to))
    }

    /// Octets charged.
    pub(super) const fn charged(&self) -> usize {
        self.charged
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The run of octets at hand that ends at `at`, as its start, not in front of `limit`.
    pub(super) fn known_before(&self, at: u64, limit: u64) -> u64 {
        let mut first = at;
        while first > limit {
            match self.pieces.range(..first).next_back() {
                Some((&start, piece)) if piece.end(start) >= first => first = start.max(limit),
                _ => break,
            }
        }
        first
    }

    /// The octets from `from` on that one piece holds, up to `to`.
    pub(super) fn known(&self, from: u64, to: u64) -> &[u8] {
        match self.pieces.range(..=from).next_back() {
            Some((&start, piece)) => slice(&piece.bytes, start, from, to),
            None => &[],
        }
    }
}

/// The octets `from..to` of a run that begins at offset `start`, as far as there are any.
fn slice(bytes: &[u8], start: u64, from: u64, to: u64) -> &[u8] {
    let index = |offset: u64| {
        usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len())
    };
    bytes.get(index(from)..index(to)).unwrap_or_default()
}

/// How many octets differ from a run of the same length in two parts.
pub(super) fn differing(bytes: &[u8], known: (&[u8], &[u8])) -> u64 {
    let count = |a: &[u8], b: &[u8]| {
        if a == b { 0 } else { a.iter().zip(b).filter(|(a, b)| a != b).count() as u64 }
    };
    let (first, second) = bytes.split_at(known.0.len().min(bytes.len()));
    count(first, known.0) + count(second, known.1)
}
