//! The clock: a jump would tear a window apart, and files of the future show one that went back.

use super::check::{Check, Outcome, Remedy};
use super::facts::Facts;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const NAME: &str = "clock";
/// Slewing changes a clock by at most 0.5 ms in a second; more is a jump.
const JUMP: Duration = Duration::from_millis(250);
/// How far a file may be ahead: file systems of other machines, coarse times.
const AHEAD: Duration = Duration::from_secs(10);
/// 2026-01-01: a clock before it was never set.
const NEVER_SET: u64 = 1_767_225_600;

/// The two clocks at one moment.
pub(super) struct Mark {
    wall: SystemTime,
    steady: Instant,
}

impl Mark {
    pub(super) fn now() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }

    /// How far the wall clock went ahead of the steady one, or fell behind, until now.
    fn drift(&self) -> Result<Duration, Duration> {
        let now = Self::now();
        let steady = now.steady.duration_since(self.steady);
        let Ok(wall) = now.wall.duration_since(self.wall) else {
            let back = self.wall.duration_since(now.wall).unwrap_or_default();
            return Err(back + steady);
        };
        wall.checked_sub(steady).ok_or_else(|| steady.saturating_sub(wall))
    }
}

pub(super) fn check(facts: &Facts, start: &Mark) -> Vec<Check> {
    let mut checks = vec![jump(start.drift())];
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if since.as_secs() < NEVER_SET {
        checks.push(
            Check::new(NAME, "clock-not-set", "system clock", Outcome::Unknown)
                .saw("it stands before the year 2026: times in a report would mean nothing")
                .with(Remedy::say("set the clock (NTP)")),
        );
    }
    for path in files(facts) {
        let ahead = std::fs::metadata(&path)
            .and_then(|it| it.modified())
            .ok()
            .and_then(|at| at.duration_since(now).ok())
            .filter(|ahead| *ahead > AHEAD);
        if let Some(ahead) = ahead {
            checks.push(
                Check::new(NAME, "file-of-the-future", path.display().to_string(), Outcome::Note)
                    .saw(format!(
                        "it was changed {} s from now: the clock has gone back since",
                        ahead.as_secs()
                    ))
                    .with(Remedy::say("set the clock (NTP)").then(format!(
                        "touch {}",
                        super::facts::quoted(&path.display().to_string())
                    ))),
            );
        }
    }
    checks
}

fn jump(drift: Result<Duration, Duration>) -> Check {
    let new = |code, outcome| Check::new(NAME, code, "system clock", outcome);
    let (by, how) = match drift {
        Ok(by) => (by, "ahead"),
        Err(by) => (by, "back"),
    };
    if by > JUMP {
        return new("clock-jump", Outcome::Unknown)
            .saw(format!(
                "it jumped {} ms {how} during these checks: a window would be torn apart",
                by.as_millis()
            ))
            .with(Remedy::say("wait until the clock is set, then check again"));
    }
    new("clock-steady", Outcome::Fine).saw("it ran as the steady clock did during these checks")
}

/// Files whose times say something of the past.
fn files(facts: &Facts) -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/hosts"), PathBuf::from("/etc/resolv.conf")];
    if let Some((file, _)) = facts.plan.origin.split_once(':') {
        files.push(Path::new(file).to_owned());
    }
    if let Some(ssh) = &facts.plan.ssh {
        files.extend(ssh.known_hosts.iter().cloned());
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_either_way_is_told() {
        assert_eq!(jump(Ok(Duration::from_secs(3))).code, "clock-jump");
        assert_eq!(jump(Err(Duration::from_secs(3))).outcome, Outcome::Unknown);
        assert_eq!(jump(Ok(Duration::from_millis(3))).code, "clock-steady");
    }

    #[test]
    fn the_two_clocks_agree_now() {
        let mark = Mark::now();
        std::thread::sleep(Duration::from_millis(5));
        let (Ok(by) | Err(by)) = mark.drift();
        assert!(by < JUMP, "{by:?}");
    }
}
