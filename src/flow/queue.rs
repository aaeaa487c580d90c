//! Conns by how long they are silent, per kind. Frames do not move a conn in its queue: it is looked at again when it
//! comes to the front, so that a frame costs nothing here.

use std::collections::VecDeque;

/// What a conn is, for the choice of who must leave first. In that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// TCP that ended.
    Closed,
    /// TCP without payload.
    Embryo,
    /// Not TCP.
    Datagram,
    /// TCP with payload.
    Open,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Closed, Self::Embryo, Self::Datagram, Self::Open];
}

/// A conn's place. It is stale when the conn has gone or is of another kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) slot: u32,
    pub(super) uid: u64,
    /// When it was put here, in the table's time.
    pub(super) stamp: i64,
}

/// The queue of one kind.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) entries: VecDeque<Entry>,
    /// Entries that are not stale.
    pub(super) live: usize,
}

/// Stale entries that are let be, beside as many as there are live ones.
const STALE_ENTRIES: usize = 1024;

impl Queue {
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        self.live += 1;
    }

    /// Whether it is time to sweep the stale entries out.
    pub(super) fn is_littered(&self) -> bool {
        self.entries.len() > 2 * self.live + STALE_ENTRIES
    }
}
