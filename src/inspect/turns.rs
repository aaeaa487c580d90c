//! How often a sealed talk changed sides, keepalives aside.

use crate::model::{Direction, Timestamp};

/// Silence that ends an episode: half of the shortest interval that keepalives can have in ssh_config, one second, so
/// that a slow answer does not join one to the next.
const SILENCE_NS: i64 = 500_000_000;

/// Octets of a segment up to which it may be half of a keepalive: a global request with padding and MAC takes about 100.
const SMALL: usize = 160;

/// Segments of an episode up to which it may be keepalives: one of each side may fall together, with their answers.
const KEEPALIVE_SEGMENTS: u32 = 4;

/// Counts changes of sides. Segments less than half a second apart make an episode; an episode of a few small segments
/// is keepalives and is not counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    counted: u64,
    /// Who sent last, of the episodes that counted.
    speaker: Option<Direction>,
    episode: Option<Episode>,
}

#[derive(Clone, Debug)]
struct Episode {
    first: Direction,
    last: Direction,
    changes: u64,
    segments: u32,
    all_small: bool,
    end: Timestamp,
}

impl Turns {
    /// Takes a segment.
    pub(super) fn segment(&mut self, dir: Direction, octets: usize, time: Timestamp) {
        if self.episode.as_ref().is_some_and(|episode| time.since(episode.end) >= SILENCE_NS) {
            self.close_episode();
        }
        let episode = self.episode.get_or_insert(Episode {
            first: dir,
            last: dir,
            changes: 0,
            segments: 0,
            all_small: true,
            end: time,
        });
        if episode.last != dir {
            episode.changes += 1;
            episode.last = dir;
        }
        episode.segments = episode.segments.saturating_add(1);
        episode.all_small &= octets <= SMALL;
        episode.end = episode.end.max(time);
    }

    /// The changes of sides up to the end.
    pub(super) fn finish(mut self) -> u64 {
        self.close_episode();
        self.counted
    }

    fn close_episode(&mut self) {
        let Some(episode) = self.episode.take() else { return };
        if episode.all_small && episode.segments <= KEEPALIVE_SEGMENTS {
            return;
        }
        let joined = self.speaker.is_some_and(|speaker| speaker != episode.first);
        self.counted += episode.changes + u64::from(joined);
        self.speaker = Some(episode.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{OrigToResp, RespToOrig};

    fn turns(segments: &[(Direction, usize, i64)]) -> u64 {
        let mut turns = Turns::default();
        for &(dir, octets, ms) in segments {
            turns.segment(dir, octets, Timestamp::from_nanos(ms * 1_000_000));
        }
        turns.finish()
    }

    #[test]
    fn keepalives_do_not_count() {
        let pairs: Vec<_> = (0..20)
            .flat_map(|n| [(OrigToResp, 64, n * 15_000), (RespToOrig, 48, n * 15_000 + 20)])
            .collect();
        assert_eq!(turns(&pairs), 0);
    }

    #[test]
    fn keepalives_of_one_second_do_not_count_even_when_the_clock_is_a_little_fast() {
        let pairs: Vec<_> = (0..120)
            .flat_map(|n| [(OrigToResp, 64, n * 999), (RespToOrig, 48, n * 999 + 200)])
            .collect();
        assert_eq!(turns(&pairs), 0);
    }

    #[test]
    fn keepalives_of_both_sides_at_once_do_not_count() {
        let both: Vec<_> = (0..60)
            .flat_map(|n| {
                let at = n * 15_000;
                [
                    (OrigToResp, 64, at),
                    (RespToOrig, 64, at + 1),
                    (RespToOrig, 48, at + 20),
                    (OrigToResp, 48, at + 21),
                ]
            })
            .collect();
        assert_eq!(turns(&both), 0);
    }

    #[test]
    fn a_talk_counts_each_change_of_sides() {
        let talk = [
            (OrigToResp, 64, 0),
            (RespToOrig, 48, 10),
            (RespToOrig, 900, 12),
            (OrigToResp, 70, 20),
            (OrigToResp, 70, 30_000),
            (RespToOrig, 48, 30_010),
            (RespToOrig, 1400, 60_000),
        ];
        assert_eq!(turns(&talk), 3);
    }
}
