//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that double from one attempt to the next. Each is cut by chance to between its half and the whole, so that many
/// clients of one gateway do not come back all at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.longest();
        self.attempts = self.attempts.saturating_add(1);
        let mut random = [0; 4];
        // Without chance it is the whole.
        let chance = getrandom::fill(&mut random).map_or(u32::MAX, |()| u32::from_le_bytes(random));
        cut(wait, chance)
    }

    fn longest(self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        FIRST.saturating_mul(factor).min(LONGEST)
    }
}

/// The part of `wait` that `chance` leaves: 0 the half, the greatest number the whole.
fn cut(wait: Duration, chance: u32) -> Duration {
    let half = wait / 2;
    half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let mut wholes = Vec::new();
        for _ in 0..70 {
            let whole = backoff.longest();
            let wait = backoff.next();
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
            wholes.push(whole);
        }
        assert_eq!(wholes[..3], [500, 1000, 2000].map(Duration::from_millis));
        assert_eq!(wholes[6..9], [32, 60, 60].map(Duration::from_secs));
        assert_eq!(wholes[69], LONGEST);
    }

    #[test]
    fn chance_takes_at_most_the_half() {
        let wait = Duration::from_secs(8);
        assert_eq!((cut(wait, 0), cut(wait, u32::MAX)), (wait / 2, wait));
        assert!((1..20).map(|_| Backoff::default().next()).any(|it| it != FIRST));
    }
}
