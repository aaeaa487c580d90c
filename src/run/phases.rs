//! The phases of a window as they happen, and the frames counted in each.

use crate::model::{Stage, Stretch, Timestamp};
use crate::run::control::now;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Phases kept; a window that is disrupted for ever goes on in its last one.
const MAX_PHASES: usize = 4096;

/// The phases so far: written by the run, read by the analysis thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Phases(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    begun: AtomicUsize,
    list: Mutex<Vec<Begun>>,
}

#[derive(Clone, Debug)]
struct Begun {
    stage: Stage,
    what: String,
    start: Timestamp,
}

/// Counts frames by the phase that their time lies in.
#[derive(Debug)]
pub(super) struct FrameCounter {
    phases: Phases,
    starts: Vec<Timestamp>,
    counts: Vec<u64>,
}

impl Phases {
    /// A phase begins now, and the one before it ends; nothing where it is of the same kind.
    pub(super) fn begin(&self, stage: Stage, what: &str) {
        let mut list = self.list();
        let is_same = list.last().is_some_and(|last| last.stage == stage && last.what == what);
        if is_same || list.len() >= MAX_PHASES {
            return;
        }
        let start = list.last().map_or_else(now, |last| now().max(last.start));
        list.push(Begun { stage, what: what.to_owned(), start });
        self.0.begun.store(list.len(), Ordering::Release);
    }

    /// What counts the frames.
    pub(super) fn counter(&self) -> FrameCounter {
        FrameCounter { phases: self.clone(), starts: Vec::new(), counts: Vec::new() }
    }

    /// The phases with their ends; the last ends now.
    pub(super) fn finish(&self, counts: &[u64]) -> Vec<Stretch> {
        let list = self.list();
        let ends = list.iter().skip(1).map(|next| next.start).chain([now()]);
        list.iter()
            .zip(ends)
            .enumerate()
            .map(|(index, (it, end))| Stretch {
                stage: it.stage,
                what: it.what.clone(),
                start: it.start,
                end: end.max(it.start),
                frames: counts.get(index).copied().unwrap_or_default(),
            })
            .collect()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Begun>> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FrameCounter {
    /// Counts a frame.
    pub(super) fn count(&mut self, time: Timestamp) {
        if self.phases.0.begun.load(Ordering::Acquire) != self.starts.len() {
            self.starts = self.phases.list().iter().map(|it| it.start).collect();
            self.counts.resize(self.starts.len(), 0);
        }
        let after = self.starts.partition_point(|start| *start <= time);
        if let Some(count) = self.counts.get_mut(after.saturating_sub(1)) {
            *count += 1;
        }
    }

    /// The counts, in the order of the phases.
    pub(super) fn counts(self) -> Vec<u64> {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_in_the_phase_that_its_time_lies_in() {
        let phases = Phases::default();
        let mut counter = phases.counter();
        phases.begin(Stage::Before, "");
        let early = now();
        counter.count(Timestamp::from_nanos(0));
        counter.count(early);
        std::thread::sleep(std::time::Duration::from_millis(2));
        phases.begin(Stage::Up, "");
        phases.begin(Stage::Up, "");
        counter.count(now());
        counter.count(early);
        let stretches = phases.finish(&counter.counts());
        let told: Vec<_> = stretches.iter().map(|it| (it.stage, it.frames)).collect();
        assert_eq!(told, [(Stage::Before, 3), (Stage::Up, 1)]);
        assert_eq!(stretches[0].end, stretches[1].start);
        assert!(stretches[1].end >= stretches[1].start);
    }
}
