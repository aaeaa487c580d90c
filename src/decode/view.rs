//! The octets of one layer, with their length on the wire, and the list of what is left unread.

use crate::model::Frame;

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

    pub(super) fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }
}

/// Slices kept apart; a frame with more of them has the last ones joined, with what lies between.
const MAX_UNREAD: usize = 6;

/// The parts of one frame that are in no segment's payload.
#[derive(Debug)]
pub(super) struct Unread<'a> {
    frame: &'a [u8],
    /// Ranges of `frame`.
    parts: [(usize, usize); MAX_UNREAD],
    count: usize,
    /// Octets of a reassembled datagram.
    outside: Option<&'a [u8]>,
}

impl<'a> Unread<'a> {
    pub(super) const fn new(frame: &'a [u8]) -> Self {
        Self { frame, parts: [(0, 0); MAX_UNREAD], count: 0, outside: None }
    }

    /// Adds octets of the frame, or of a reassembled datagram.
    pub(super) fn push(&mut self, bytes: &'a [u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = bytes.as_ptr().addr().wrapping_sub(self.frame.as_ptr().addr());
        let end = start.saturating_add(bytes.len());
        if end > self.frame.len() {
            self.outside = match self.outside {
                Some(longer) if longer.len() >= bytes.len() => Some(longer),
                _ => Some(bytes),
            };
            return;
        }
        if let Some(free) = self.parts.get_mut(self.count) {
            *free = (start, end);
            self.count += 1;
        } else if let Some(last) = self.parts.last_mut() {
            *last = (last.0.min(start), last.1.max(end));
        }
    }

    /// Puts the whole frame in place of its parts.
    pub(super) fn take_whole_frame(&mut self) {
        self.count = 0;
        self.push(self.frame);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &'a [u8])> + '_ {
        let parts = self.parts.iter().take(self.count);
        parts
            .filter_map(|&(start, end)| Some((start, self.frame.get(start..end)?)))
            .chain(self.outside.map(|bytes| (0, bytes)))
    }
}
