//! Notices that time has passed in which this program did not run: a sleep of the machine, a pause of its host.

use std::time::Duration;

/// A gap between two looks, which are a tenth of a second apart, that cannot be the scheduler's.
const GAP: Duration = Duration::from_secs(10);
/// How far the clock that counts sleep may run ahead of the one that does not.
const SLEPT: Duration = Duration::from_secs(2);

/// Two clocks, since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clocks {
    /// Stands still while a Linux machine sleeps.
    monotonic: Duration,
    /// Runs on.
    boottime: Duration,
}

/// Remembers when it last looked.
pub(super) struct Watchdog {
    last: Clocks,
}

impl Watchdog {
    pub(super) fn now() -> Self {
        Self { last: Clocks::read() }
    }

    /// How long nobody looked, if that was a sleep or a pause.
    pub(super) fn look(&mut self) -> Option<Duration> {
        self.look_at(Clocks::read())
    }

    fn look_at(&mut self, now: Clocks) -> Option<Duration> {
        let monotonic = now.monotonic.saturating_sub(self.last.monotonic);
        let boottime = now.boottime.saturating_sub(self.last.boottime);
        self.last = now;
        let slept = boottime.saturating_sub(monotonic) >= SLEPT;
        (slept || monotonic >= GAP || boottime >= GAP).then(|| boottime.max(monotonic))
    }
}

impl Clocks {
    fn read() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let read = |id| {
            let time = clock_gettime(id);
            let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
            Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
        };
        let monotonic = read(ClockId::Monotonic);
        #[cfg(target_os = "linux")]
        let boottime = read(ClockId::Boottime);
        // Elsewhere the monotonic clock counts sleep itself.
        #[cfg(not(target_os = "linux"))]
        let boottime = monotonic;
        Self { monotonic, boottime }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dog(monotonic: u64, boottime: u64) -> (Watchdog, impl Fn(u64, u64) -> Clocks) {
        let at = |monotonic, boottime| Clocks {
            monotonic: Duration::from_millis(monotonic),
            boottime: Duration::from_millis(boottime),
        };
        (Watchdog { last: at(monotonic, boottime) }, at)
    }

    #[test]
    fn a_sleep_shows_in_the_clock_that_runs_on() {
        let (mut dog, at) = dog(1_000, 5_000);
        assert_eq!(dog.look_at(at(1_250, 5_250)), None);
        assert_eq!(dog.look_at(at(1_500, 65_500)), Some(Duration::from_millis(60_250)));
        assert_eq!(dog.look_at(at(1_750, 65_750)), None, "it is said once");
    }

    #[test]
    fn a_pause_shows_in_both() {
        let (mut dog, at) = dog(1_000, 1_000);
        assert_eq!(dog.look_at(at(9_000, 9_000)), None, "a busy machine");
        assert_eq!(dog.look_at(at(29_000, 29_000)), Some(Duration::from_secs(20)));
    }

    #[test]
    fn a_clock_that_goes_back_is_no_sleep() {
        let (mut dog, at) = dog(9_000, 9_000);
        assert_eq!(dog.look_at(at(1_000, 1_000)), None);
        let mut now = Watchdog::now();
        assert_eq!(now.look(), None);
    }
}
