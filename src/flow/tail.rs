//! The last octets of a stream that were handed on, kept to compare what is sent again and to join an alternate with
//! its neighbours.

use super::out::Shared;

/// Octets kept at least, where the stream has them: the neighbours of an alternate, and a segment captured twice.
const MIN_BYTES: u64 = 2048;

/// First size of the ring, in octets: half of all conns say less than this in a direction.
const FIRST_BYTES: usize = 64;

/// Largest ring whose memory is used again, in octets.
const SMALL_BYTES: usize = 256;

/// Borders of segments kept: where versions of what was handed on can be mixed.
const BORDERS: usize = 16;

/// The same as a modulus.
const MAX_BORDER: u8 = 16;

/// A ring whose length is a power of two; the octet at offset `o` lies at `o` modulo its length.
#[derive(Debug, Default)]
pub(super) struct Tail {
    ring: Vec<u8>,
    /// Offset of the first octet kept.
    start: u64,
    /// Offset behind the last one.
    end: u64,
    /// Offsets modulo 2^32 at which segments began or ended, and where the next one is put.
    borders: [u32; BORDERS],
    next_border: u8,
}

impl Tail {
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// Forgets everything; the next octet is the one at `offset`.
    pub(super) const fn restart(&mut self, offset: u64) {
        self.start = offset;
        self.end = offset;
    }

    /// Gives the memory back.
    pub(super) fn release(&mut self, shared: &mut Shared) -> Vec<u8> {
        shared.tail_bytes = shared.tail_bytes.saturating_sub(self.ring.len());
        self.start = self.end;
        std::mem::take(&mut self.ring)
    }

    /// A tail of another stream, of which nothing is known; the memory of a small ring is used again.
    pub(super) fn over(mut ring: Vec<u8>) -> Self {
        ring.clear();
        let ring = if ring.capacity() <= SMALL_BYTES { ring } else { Vec::new() };
        Self { ring, ..Self::default() }
    }

    /// Notes where a segment began or ended.
    pub(super) fn border(&mut self, offset: u64) {
        if let Some(place) = self.borders.get_mut(usize::from(self.next_border)) {
            *place = u32::try_from(offset & u64::from(u32::MAX)).unwrap_or_default();
        }
        self.next_border = (self.next_border + 1) % MAX_BORDER;
    }

    /// The last borders of segments, behind the first octet kept.
    pub(super) fn borders(&self) -> impl Iterator<Item = u64> {
        let low = u32::try_from(self.end & u64::from(u32::MAX)).unwrap_or_default();
        let ahead = self.borders.iter().map(move |border| border.wrapping_sub(low).cast_signed());
        let borders = ahead.filter_map(|ahead| self.end.checked_add_signed(ahead.into()));
        borders.filter(|at| *at > self.start)
    }

    /// Whether nothing is kept.
    pub(super) const fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Appends octets. `wanted`: how many octets behind the new end are worth keeping.
    pub(super) fn push(&mut self, bytes: &[u8], wanted: u64, shared: &mut Shared) {
        let known = (self.end - self.start).saturating_add(bytes.len() as u64);
        let wanted = wanted.max(MIN_BYTES).min(known);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(shared.limits.tail_bytes);
        if wanted > self.ring.len() {
            self.grow(wanted, shared);
        }
        let kept = bytes.get(bytes.len().saturating_sub(self.ring.len())..).unwrap_or_default();
        self.end += (bytes.len() - kept.len()) as u64;
        self.append(kept);
        self.start = self.start.max(self.end.saturating_sub(self.ring.len() as u64));
    }

    /// The octets `from..to`, which must be kept, in two runs.
    pub(super) fn get(&self, from: u64, to: u64) -> (&[u8], &[u8]) {
        if from < self.start || to > self.end || from >= to {
            return (&[], &[]);
        }
        let len = usize::try_from(to - from).unwrap_or(usize::MAX);
        let at = self.index(from);
        let first = len.min(self.ring.len() - at);
        (
            self.ring.get(at..at + first).unwrap_or_default(),
            self.ring.get(..len - first).unwrap_or_default(),
        )
    }

    /// The octets of `from..to` that are kept, in two runs with their offsets.
    pub(super) fn known(&self, from: u64, to: u64) -> [(u64, &[u8]); 2] {
        let from = from.max(self.start);
        let (first, second) = self.get(from, to.min(self.end));
        [(from, first), (from + first.len() as u64, second)]
    }

    fn index(&self, offset: u64) -> usize {
        match self.ring.len() {
            0 => 0,
            len => usize::try_from(offset % len as u64).unwrap_or_default(),
        }
    }

    fn grow(&mut self, wanted: usize, shared: &mut Shared) {
        let len = wanted.max(FIRST_BYTES).next_power_of_two();
        let more = len - self.ring.len();
        if shared.tail_bytes + more > shared.limits.tail_bytes_total {
            shared.is_starved = true;
            return;
        }
        shared.tail_bytes += more;
        if self.ring.is_empty() {
            self.ring.resize(len, 0);
            self.end = self.start;
            return;
        }
        let (borders, next_border) = (self.borders, self.next_border);
        let (start, end) = (self.start, self.start);
        let mut next = Self { ring: vec![0; len], start, end, borders, next_border };
        let (first, second) = self.get(self.start, self.end);
        next.append(first);
        next.append(second);
        *self = next;
    }

    /// Appends octets to a ring that has room for them.
    fn append(&mut self, bytes: &[u8]) {
        let at = self.index(self.end);
        let (first, second) = bytes.split_at(bytes.len().min(self.ring.len() - at));
        if let Some(space) = self.ring.get_mut(at..at + first.len()) {
            space.copy_from_slice(first);
        }
        if let Some(space) = self.ring.get_mut(..second.len()) {
            space.copy_from_slice(second);
        }
        self.end += bytes.len() as u64;
    }
}
