//! Bounds: how much may come out of how little, and how much memory the decoders hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Octets that may come out of one octet of a direction, over its length. Text gives 3 to 20, gzip at most 1032.
const MAX_RATIO: u64 = 64;

/// Octets that may come out of a direction beyond that: short answers of nothing but blanks.
const FREE_OCTETS: u64 = 1 << 20;

/// Bodies that nobody announced and that may be begun in one direction: one in so many octets, ...
const OCTETS_A_TRY: u64 = 256;

/// ... and so many beyond that. Text and random octets hold far fewer magics.
const FREE_TRIES: u64 = 64;

/// Octets that may come out of one octet of the whole capture: most of it is not compressed at all.
const MAX_RATIO_IN_ALL: u64 = 16;

/// Octets that may come out of a capture beyond that; small captures are never stopped by it.
const FREE_OCTETS_IN_ALL: u64 = 64 << 20;

/// Octets of memory that all decoders hold together: a thousand windows of deflate, or five of zstd at its largest. They are
/// also told to flow with all else that a conn holds, so that conns leave where the sum is too much.
const MAX_MEMORY: usize = 48 << 20;

/// The least of both where inspectors share them: one window of Brotli at its largest with what belongs to it, and half of
/// what a whole capture has.
const LEAST_MEMORY: usize = 20 << 20;
const LEAST_FREE_OCTETS: u64 = 32 << 20;

/// What a body could not be read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Octets that the coding does not know, or a dictionary that is not at hand.
    Damaged,
    /// A coding that is not read.
    Unknown,
    /// A bound was reached.
    Stopped,
}

impl Fault {
    /// Counts it.
    pub(super) const fn count(self, outcome: &mut super::Outcome) {
        match self {
            Self::Damaged | Self::Unknown => outcome.unread += 1,
            Self::Stopped => outcome.stopped += 1,
        }
    }
}

/// Octets that went in and came out of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    input: u64,
    output: u64,
    tries: u64,
}

impl Work {
    /// Octets of the wire went in.
    pub(super) const fn input(&mut self, octets: usize) {
        self.input = self.input.saturating_add(octets as u64);
    }

    /// Whether one more body may be begun that nobody announced.
    pub(super) const fn may_try(&mut self) -> bool {
        let may = self.tries < self.input / OCTETS_A_TRY + FREE_TRIES;
        if may {
            self.tries += 1;
        }
        may
    }

    /// Octets came out.
    ///
    /// # Errors
    /// `Stopped` where they are too many, for this direction or for the capture.
    pub(super) fn output(&mut self, octets: usize, all: &Bounds) -> Result<(), Fault> {
        self.output = self.output.saturating_add(octets as u64);
        let here = self.output <= self.input.saturating_mul(MAX_RATIO).saturating_add(FREE_OCTETS);
        if all.output(octets as u64) && here { Ok(()) } else { Err(Fault::Stopped) }
    }
}

/// What all conns of a capture share.
#[derive(Clone, Debug)]
pub(in crate::inspect) struct Bounds {
    all: Arc<All>,
}

#[derive(Debug)]
struct All {
    most_memory: usize,
    free_octets: u64,
    memory: AtomicUsize,
    input: AtomicU64,
    output: AtomicU64,
}

/// Leave to hold memory; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    octets: usize,
    all: Arc<All>,
}

impl Permit {
    /// Octets that may be held.
    pub(super) const fn octets(&self) -> usize {
        self.octets
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::share(1)
    }
}

impl Bounds {
    /// The bounds of one of so many inspectors that share the conns of a capture.
    pub(in crate::inspect) fn share(inspectors: usize) -> Self {
        let inspectors = inspectors.max(1);
        Self {
            all: Arc::new(All {
                most_memory: (MAX_MEMORY / inspectors).max(LEAST_MEMORY),
                free_octets: (FREE_OCTETS_IN_ALL / inspectors as u64).max(LEAST_FREE_OCTETS),
                memory: AtomicUsize::new(0),
                input: AtomicU64::new(0),
                output: AtomicU64::new(0),
            }),
        }
    }

    /// Octets of the wire went in. An inspector is used by one thread at a time: nothing is added in between.
    pub(super) fn input(&self, octets: usize) {
        let input = self.all.input.load(Ordering::Relaxed);
        self.all.input.store(input.saturating_add(octets as u64), Ordering::Relaxed);
    }

    fn output(&self, octets: u64) -> bool {
        let output = self.all.output.fetch_add(octets, Ordering::Relaxed).saturating_add(octets);
        let input = self.all.input.load(Ordering::Relaxed);
        output <= input.saturating_mul(MAX_RATIO_IN_ALL).saturating_add(self.all.free_octets)
    }

    /// Whether no more octets may come out. A decoder that keeps its window back is not begun then: it would fill it first.
    pub(super) fn is_spent(&self) -> bool {
        !self.output(0)
    }

    /// Lets as many octets come out as may.
    #[cfg(test)]
    pub(super) fn spend(&self) {
        while self.output(FREE_OCTETS_IN_ALL) {}
    }

    /// Leave to hold so many octets.
    ///
    /// # Errors
    /// `Stopped` where the others hold too many.
    pub(super) fn hold(&self, octets: usize) -> Result<Permit, Fault> {
        let held = self.all.memory.fetch_add(octets, Ordering::Relaxed);
        let permit = Permit { octets, all: Arc::clone(&self.all) };
        if held.saturating_add(octets) <= self.all.most_memory {
            Ok(permit)
        } else {
            Err(Fault::Stopped)
        }
    }

    /// Octets of memory that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.all.memory.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.all.memory.fetch_sub(self.octets, Ordering::Relaxed);
    }
}
