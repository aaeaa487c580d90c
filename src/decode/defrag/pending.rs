//! One datagram in fragments: the first version of every octet, and the fragments that differ from it.

use super::Fragment;
use super::late::Arena;
use crate::model::{Encapsulation, FrameRef};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Octets charged for the keeping of one fragment beside its own.
const PIECE_OVERHEAD: usize = 64;

/// Octets charged for the keeping of one datagram beside its fragments.
const DATAGRAM_OVERHEAD: usize = 256;

/// Fragments of one datagram that are kept because they differ from an earlier one. A further one is searched with its
/// neighbours alone.
const MAX_OTHERS: usize = 64;

/// The fragments of one datagram.
#[derive(Debug)]
pub(super) struct Pending {
    /// The protocol that its fragments name.
    pub(super) proto: u8,
    pub(super) first: FrameRef,
    /// Number of the last frame that brought something new.
    pub(super) last: u64,
    pub(super) interface_id: u32,
    /// The layers that carried its first fragment; none where it travelled plainly.
    pub(super) path: Option<Arc<Encapsulation>>,
    /// The first version: runs of octets by their offset, not overlapping, one for each fragment that brought them.
    pieces: BTreeMap<u32, Box<[u8]>>,
    /// Octets of `pieces`.
    filled: u32,
    /// Fragments that differ from what was there, in the order of their arrival.
    others: Vec<Other>,
    /// Length of the whole, once a last fragment was seen.
    total: Option<u32>,
    /// The protocol of the whole, from the fragment with its first octet.
    head: Option<u8>,
    /// It was whole.
    pub(super) is_done: bool,
    /// The whole datagram of the same identification that came before.
    pub(super) previous: Option<Box<Pending>>,
    /// Octets charged for it, without `previous`.
    charge: usize,
}

/// A fragment that differs from what was there, or repeats it where another differs.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) from: u32,
    pub(super) bytes: Box<[u8]>,
}

impl Other {
    pub(super) fn to(&self) -> u32 {
        self.from + length(&self.bytes)
    }
}

/// What a fragment brought.
pub(super) struct Added {
    /// Octets that contradict what was there.
    pub(super) conflicts: u64,
    /// It differs, and could not be kept.
    pub(super) is_spilled: bool,
}

/// Octets that follow each other without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Fragments that it is made of.
    pub(super) pieces: usize,
}

impl Pending {
    pub(super) fn new(fragment: &Fragment<'_>) -> Self {
        let path = (!fragment.path.layers().is_empty()).then(|| Arc::new(fragment.path.clone()));
        Self {
            proto: fragment.key_proto(),
            first: fragment.at,
            last: fragment.at.number,
            interface_id: fragment.interface_id,
            pieces: BTreeMap::new(),
            filled: 0,
            others: Vec::new(),
            total: None,
            head: None,
            is_done: false,
            previous: None,
            charge: DATAGRAM_OVERHEAD + path.as_ref().map_or(0, |_| size_of::<Encapsulation>()),
            path,
        }
    }

    /// Fills in a fragment.
    pub(super) fn add(&mut self, fragment: &Fragment<'_>) -> Added {
        let wire = u32::try_from(fragment.body.wire).unwrap_or(u32::MAX);
        let mut conflicts = 0;
        if fragment.offset == 0 && self.head.is_none() {
            self.head = Some(fragment.proto);
        }
        if !fragment.more {
            conflicts += self.end_at(fragment.offset.saturating_add(wire));
        }
        self.last = fragment.at.number;
        self.add_octets(fragment.offset, fragment.body.bytes, conflicts)
    }

    /// Takes the octets of a datagram that was held under another protocol: some receivers do not tell them apart.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.head = self.head.or(other.head);
        self.total = self.total.or(other.total);
        self.last = self.last.max(other.last);
        if other.first.number < self.first.number {
            self.first = other.first;
        }
        for (from, bytes) in &other.pieces {
            self.add_octets(*from, bytes, 0);
        }
        for it in &other.others {
            self.add_octets(it.from, &it.bytes, 0);
        }
    }

    /// Octets charged for it and for the one before it.
    pub(super) fn charge(&self) -> usize {
        self.charge + self.previous.as_ref().map_or(0, |previous| previous.charge())
    }

    /// Length of the whole, where nothing of it is missing.
    pub(super) fn whole(&self) -> Option<u32> {
        let total = self.total?;
        if self.filled < total {
            return None;
        }
        let mut beyond = 0;
        for (from, bytes) in self.pieces.range(..).rev() {
            if from + length(bytes) <= total {
                break;
            }
            beyond += from + length(bytes) - total.max(*from);
        }
        (self.filled - beyond == total).then_some(total)
    }

    /// The protocol of the whole, once the fragment with its first octet was seen.
    pub(super) const fn head(&self) -> Option<u8> {
        self.head
    }

    /// Length of the whole, once a last fragment was seen.
    pub(super) const fn total(&self) -> Option<u32> {
        self.total
    }

    pub(super) fn others(&self) -> &[Other] {
        &self.others
    }

    /// Offsets in `from..to` at which a fragment of the first version begins.
    pub(super) fn starts(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + '_ {
        self.pieces.range(from..to.max(from)).map(|(at, _)| *at)
    }

    /// Whether a fragment says nothing that is not known already.
    pub(super) fn repeats(&self, fragment: &Fragment<'_>) -> bool {
        let Ok(len) = u32::try_from(fragment.body.bytes.len()) else { return false };
        let Ok(wire) = u32::try_from(fragment.body.wire) else { return false };
        let (start, end) = (fragment.offset, fragment.offset.saturating_add(len));
        let is_last = self.total == start.checked_add(wire);
        let mut cursor = start;
        for (&from, bytes) in self.pieces.range(self.piece_before(start)..end.max(start)) {
            let (low, high) = (from.max(start), (from + length(bytes)).min(end));
            if low >= high {
                continue;
            }
            let same =
                slice(bytes, from, low, high) == slice(fragment.body.bytes, start, low, high);
            if low > cursor || !same {
                return false;
            }
            cursor = high;
        }
        is_last != fragment.more && cursor == end
    }

    /// The octets that follow each other without a hole, in order.
    pub(super) fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (&from, bytes) in &self.pieces {
            let to = from + length(bytes);
            match runs.last_mut() {
                Some(run) if run.to == from => {
                    run.to = to;
                    run.pieces += 1;
                }
                _ => runs.push(Run { from, to, pieces: 1 }),
            }
        }
        runs
    }

    /// The octets of the first version from offset 0 on, up to the first hole.
    pub(super) fn first_run(&self) -> Run {
        let mut run = Run { from: 0, to: 0, pieces: 0 };
        for (&from, bytes) in &self.pieces {
            if from != run.to {
                break;
            }
            run.to += length(bytes);
            run.pieces += 1;
        }
        run
    }

    /// Appends the octets `from..to` of the first version, up to the first that is missing.
    pub(super) fn copy(&self, from: u32, to: u32, out: &mut Vec<u8>) {
        let mut cursor = from;
        for (&at, bytes) in self.pieces.range(self.piece_before(from)..to.max(from)) {
            let end = at + length(bytes);
            if end <= cursor {
                continue;
            }
            if at > cursor {
                return;
            }
            out.extend_from_slice(slice(bytes, at, cursor, to.min(end)));
            cursor = to.min(end);
        }
    }

    /// The octets `from..to` of the first version, which must lie in one fragment.
    pub(super) fn slice(&self, from: u32, to: u32) -> &[u8] {
        let piece = self.pieces.range(..=from).next_back();
        piece.map(|(at, bytes)| slice(bytes, *at, from, to)).unwrap_or_default()
    }

    /// Puts the fragment in its place in the whole datagram that was there before, and hands that on: as it was first,
    /// and as it was last. `is_cut`: only the octets of the fragment and their neighbours.
    pub(super) fn place(
        &self,
        fragment: &Fragment<'_>,
        is_cut: bool,
        context: u32,
        arena: &mut Arena,
    ) {
        let (start, end) = (fragment.offset, fragment.offset + length(fragment.body.bytes));
        let known = self.first_run().to.max(self.total.unwrap_or_default());
        let far = if is_cut { context } else { known };
        let low = if start > known { start } else { start.saturating_sub(far) };
        let high = end.max(known.min(end.saturating_add(far)));
        for is_last in [false, true] {
            if is_last && self.others.is_empty() {
                return;
            }
            let head = (low == 0).then(|| self.head.unwrap_or(fragment.proto));
            arena.push(head, self.total, |out| {
                let at = out.len();
                self.copy(low, start, out);
                out.extend_from_slice(fragment.body.bytes);
                self.copy(end, high, out);
                if is_last {
                    for other in &self.others {
                        overlay(out, at, low, other.from, &other.bytes);
                    }
                    overlay(out, at, low, start, fragment.body.bytes);
                }
            });
        }
    }

    /// Takes the end that a last fragment tells; returns the octets that contradict it.
    fn end_at(&mut self, end: u32) -> u64 {
        if let Some(total) = self.total {
            return u64::from(total.abs_diff(end));
        }
        self.total = Some(end);
        let known = self.pieces.last_key_value().map_or(0, |(at, bytes)| at + length(bytes));
        u64::from(known.saturating_sub(end))
    }

    fn add_octets(&mut self, start: u32, bytes: &[u8], conflicts: u64) -> Added {
        let mut conflicts = conflicts;
        let end = start.saturating_add(length(bytes));
        if let Some(total) = self.total {
            conflicts += u64::from(end.saturating_sub(total.max(start)));
        }
        let mut added = Added { conflicts, is_spilled: false };
        if bytes.is_empty() {
            return added;
        }
        let from = self.piece_before(start);
        if self.pieces.range(from..end).all(|(at, known)| at + length(known) <= start) {
            self.insert(start, bytes);
            return added;
        }
        let mut free = Vec::new();
        let (mut cursor, mut differing) = (start, 0);
        for (&at, known) in self.pieces.range(from..end) {
            let (low, high) = (at.max(cursor), (at + length(known)).min(end));
            if low >= high {
                continue;
            }
            if low > cursor {
                free.push((cursor, low));
            }
            differing += difference(slice(known, at, low, high), slice(bytes, start, low, high));
            cursor = high;
        }
        if cursor < end {
            free.push((cursor, end));
        }
        for (low, high) in free {
            self.insert(low, slice(bytes, start, low, high));
        }
        added.conflicts += differing;
        if differing > 0 || self.others.iter().any(|it| it.from < end && start < it.to()) {
            added.is_spilled = !self.keep_other(start, bytes) && differing > 0;
        }
        added
    }

    /// Keeps a fragment that differs, where there is room.
    pub(super) fn keep_other(&mut self, from: u32, bytes: &[u8]) -> bool {
        let has_room = self.others.len() < MAX_OTHERS;
        if has_room {
            self.others.push(Other { from, bytes: bytes.into() });
            self.charge += bytes.len() + PIECE_OVERHEAD;
        }
        has_room
    }

    fn insert(&mut self, at: u32, bytes: &[u8]) {
        self.filled += length(bytes);
        self.charge += bytes.len() + PIECE_OVERHEAD;
        self.pieces.insert(at, bytes.into());
    }

    /// Offset of the piece that may reach beyond `start`.
    fn piece_before(&self, start: u32) -> u32 {
        self.pieces.range(..start).next_back().map_or(start, |(at, _)| *at)
    }
}

/// Writes octets that belong at `at` over a version whose first octet, at `base` of `out`, is the one at `low`.
pub(super) fn overlay(out: &mut [u8], base: usize, low: u32, at: u32, bytes: &[u8]) {
    let skipped = low.saturating_sub(at) as usize;
    let start = base + at.saturating_sub(low) as usize;
    let bytes = bytes.get(skipped..).unwrap_or_default();
    let Some(room) = out.get_mut(start..) else { return };
    let len = bytes.len().min(room.len());
    if let (Some(room), Some(bytes)) = (room.get_mut(..len), bytes.get(..len)) {
        room.copy_from_slice(bytes);
    }
}

/// The octets `from..to` of a run that begins at `start`.
pub(super) fn slice(bytes: &[u8], start: u32, from: u32, to: u32) -> &[u8] {
    let (from, to) = (from.saturating_sub(start), to.saturating_sub(start));
    bytes.get(from as usize..to as usize).unwrap_or_default()
}

/// Octets of a fragment: an IP datagram has 16 bits of length, so they fit; of a jumbogram, what fits.
pub(super) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn difference(a: &[u8], b: &[u8]) -> u64 {
    if a == b { 0 } else { a.iter().zip(b).filter(|(a, b)| a != b).count() as u64 }
}
