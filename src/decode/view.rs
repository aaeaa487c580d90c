//! The octets of one layer, with their length on the wire, and the list of what is left unread.

use crate::model::{Frame, MAX_OUTER, Segment};

/// What is left of a frame at some layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The captured octets.
    pub(super) bytes: &'a [u8],
    /// Octets on the wire, never below `bytes.len()`; more where a snaplen cut the frame.
    pub(super) wire: usize,
}

impl<'a> View<'a> {
    pub(super) fn of(frame: &Frame<'a>) -> Self {
        let wire = usize::try_from(frame.len).unwrap_or(usize::MAX);
        Self { bytes: frame.data, wire: wire.max(frame.data.len()) }
    }

    /// The payload of a segment.
    pub(super) fn of_segment(segment: &Segment<'a>) -> Self {
        let cut = usize::try_from(segment.cut).unwrap_or(usize::MAX);
        Self { bytes: segment.payload, wire: segment.payload.len().saturating_add(cut) }
    }

    pub(super) const fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, wire: bytes.len() }
    }

    /// What follows the first `n` octets; none where fewer were captured.
    pub(super) fn skip(self, n: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(n..)?, wire: self.wire - n })
    }

    /// What follows the first `n` octets, empty where a cut took all of it; none where `n` octets never were on the wire.
    pub(super) fn skip_wire(self, n: usize) -> Option<Self> {
        let wire = self.wire.checked_sub(n)?;
        Some(Self { bytes: self.bytes.get(n..).unwrap_or_default(), wire })
    }

    /// The first `n` octets, as far as captured, and the captured octets behind them.
    ///
    /// Where `n` is more than the wire carried, the view says that the rest is missing.
    pub(super) fn limit(self, n: usize) -> (Self, &'a [u8]) {
        match self.bytes.split_at_checked(n) {
            Some((bytes, trailer)) => (Self { bytes, wire: n }, trailer),
            None => (Self { bytes: self.bytes, wire: n }, &[]),
        }
    }

    /// Octets that the wire carried and the capture lacks.
    pub(super) fn cut(self) -> u32 {
        u32::try_from(self.wire - self.bytes.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn u8(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    pub(super) fn be16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn be32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    pub(super) fn le16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn le32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }
}

/// Slices kept apart; a frame with more of them has some joined, with what lies between.
const MAX_UNREAD: usize = 10;

/// Buffers that parts lie in: the frame, and a datagram put together at each IP header.
const MAX_BASES: usize = MAX_OUTER + 2;

/// The parts of one frame that are in no segment's payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread<'a> {
    /// The frame first, then datagrams that were put together.
    bases: [&'a [u8]; MAX_BASES],
    base_count: usize,
    parts: [Part; MAX_UNREAD],
    count: usize,
}

/// A range of one of the bases.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    base: usize,
    start: usize,
    end: usize,
}

impl Part {
    fn join(&mut self, other: Self) {
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
    }
}

impl<'a> Unread<'a> {
    pub(super) const fn new(frame: &'a [u8]) -> Self {
        let mut bases: [&'a [u8]; MAX_BASES] = [&[]; MAX_BASES];
        bases[0] = frame;
        let none = Part { base: 0, start: 0, end: 0 };
        Self { bases, base_count: 1, parts: [none; MAX_UNREAD], count: 0 }
    }

    /// Names a datagram that was put together, in which further parts may lie.
    pub(super) fn add_base(&mut self, bytes: &'a [u8]) {
        if let Some(free) = self.bases.get_mut(self.base_count) {
            *free = bytes;
            self.base_count += 1;
        }
    }

    /// Adds octets of one of the bases.
    pub(super) fn push(&mut self, bytes: &'a [u8]) {
        if bytes.is_empty() {
            return;
        }
        let Some(part) = self.locate(bytes) else {
            debug_assert!(false, "octets of no base");
            return;
        };
        let last = self.count.checked_sub(1).and_then(|at| self.parts.get_mut(at));
        if let Some(last) = last.filter(|it| it.base == part.base && it.end == part.start) {
            last.end = part.end;
            return;
        }
        if let Some(free) = self.parts.get_mut(self.count) {
            *free = part;
            self.count += 1;
            return;
        }
        if let Some(same) = self.parts.iter_mut().rev().find(|it| it.base == part.base) {
            same.join(part);
            return;
        }
        // There are more parts than bases: two of them lie in one.
        for at in 1..MAX_UNREAD {
            let (before, rest) = self.parts.split_at_mut(at);
            let Some(last) = rest.first_mut() else { return };
            if let Some(same) = before.iter_mut().find(|it| it.base == last.base) {
                same.join(*last);
                *last = part;
                return;
            }
        }
    }

    /// Puts the whole frame in place of its parts.
    pub(super) fn take_whole_frame(&mut self) {
        let [frame, ..] = self.bases;
        let mut kept = Self { count: 0, ..*self };
        kept.push(frame);
        for part in self.parts.iter().take(self.count).filter(|part| part.base > 0) {
            if let Some(free) = kept.parts.get_mut(kept.count) {
                *free = *part;
                kept.count += 1;
            }
        }
        *self = kept;
    }

    /// Parts with their offset in the frame; 0 where they lie in none.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &'a [u8])> + '_ {
        self.parts.iter().take(self.count).filter_map(|part| {
            let bytes = self.bases.get(part.base)?.get(part.start..part.end)?;
            Some((if part.base == 0 { part.start } else { 0 }, bytes))
        })
    }

    fn locate(&self, bytes: &[u8]) -> Option<Part> {
        self.bases.iter().take(self.base_count).enumerate().find_map(|(base, all)| {
            let start = bytes.as_ptr().addr().checked_sub(all.as_ptr().addr())?;
            let end = start.checked_add(bytes.len())?;
            (end <= all.len()).then_some(Part { base, start, end })
        })
    }
}
