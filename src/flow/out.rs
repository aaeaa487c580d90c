//! The way out: chunks to the sink, and their counts.

use super::Limits;
use super::combine::{Combined, Taker};
use super::conn::{Event, Meta};
use super::stream::Extra;
use crate::model::{Chunk, ChunkSink, ConnSlot, Coverage, Direction, FrameSpan};

/// What all conns of a table share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) coverage: Coverage,
    /// Charged to streams that wait behind a hole.
    pub(super) held_bytes: usize,
    /// Octets of tails.
    pub(super) tail_bytes: usize,
    /// Octets of versions.
    pub(super) version_bytes: usize,
    /// Octets that may still be spent on combinations of versions.
    pub(super) search_budget: u64,
    /// Something was refused: others must forget.
    pub(super) is_starved: bool,
    /// Joins an alternate with its neighbours.
    pub(super) scratch: Vec<u8>,
    /// What streams that have ended leave to others.
    #[expect(clippy::vec_box, reason = "a stream holds it by pointer, and is handed the same")]
    pub(super) spare: Vec<Box<Extra>>,
}

/// Hands on the chunks of one direction.
pub(super) struct Out<'x, S> {
    pub(super) sink: &'x mut S,
    pub(super) slot: ConnSlot,
    pub(super) dir: Direction,
    pub(super) meta: &'x mut Meta,
    pub(super) shared: &'x mut Shared,
}

impl<S: ChunkSink> Out<'_, S> {
    /// The same for one direction.
    pub(super) fn of(&mut self, dir: Direction) -> Out<'_, S> {
        Out { sink: self.sink, slot: self.slot, dir, meta: self.meta, shared: self.shared }
    }

    pub(super) fn data(&mut self, offset: u64, bytes: &[u8], frames: FrameSpan) {
        add(&mut self.meta.bytes, self.dir, bytes.len() as u64);
        self.sink.chunk(self.slot, self.dir, &Chunk::Data { offset, bytes, frames });
    }

    pub(super) fn gap(&mut self, offset: u64, len: u64) {
        add(&mut self.meta.rare().missed, self.dir, len);
        self.shared.coverage.missed_bytes = self.shared.coverage.missed_bytes.saturating_add(len);
        self.meta.note(Event::Gap, self.dir);
        self.sink.chunk(self.slot, self.dir, &Chunk::Gap { offset, len });
    }

    /// Octets that are no part of the stream.
    pub(super) fn alternate(
        &mut self,
        offset: u64,
        bytes: &[u8],
        disputed: (usize, usize),
        frames: FrameSpan,
    ) {
        let chunk = Chunk::Alternate { offset, bytes, disputed, frames };
        self.sink.chunk(self.slot, self.dir, &chunk);
    }

    /// Octets of which another version may have been received.
    pub(super) fn conflict(&mut self, count: u64) {
        if count > 0 {
            add(&mut self.meta.rare().conflict, self.dir, count);
            self.shared.coverage.conflict_bytes += count;
            self.meta.note(Event::Conflict, self.dir);
        }
    }

    pub(super) fn note(&mut self, event: Event) {
        self.meta.note(event, self.dir);
    }
}

impl<S: ChunkSink> Taker for Out<'_, S> {
    fn take(&mut self, it: &Combined<'_>) {
        self.alternate(it.offset, it.bytes, it.disputed, it.frames);
    }

    fn grain(&self) -> Option<usize> {
        self.sink.grain()
    }

    fn is_barren(&mut self, bytes: &[u8]) -> bool {
        self.sink.is_barren(self.slot, self.dir, bytes)
    }

    fn barren(&mut self, octets: u64) {
        self.sink.barren(self.slot, self.dir, octets);
    }
}

fn add(pair: &mut [u64; 2], dir: Direction, count: u64) {
    if let Some(sum) = pair.get_mut(dir.index()) {
        *sum = sum.saturating_add(count);
    }
}
