//! The exit status: the contract of MISSION section 5. Nothing else uses these numbers.

use crate::model::Verdict;
use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: PASS, or a command that judges nothing has done its work.
    Pass,
    /// 1: FAIL, or a suite whose captures did not all give what they must.
    Fail,
    /// 2: could not run: usage, configuration, file, permission, interface, host key.
    CouldNotRun,
    /// 3: INCONCLUSIVE; or a tunnel that is kept, and is not up at this moment.
    Inconclusive,
    /// 130: interrupted before a verdict.
    Interrupted,
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Fail => Self::Fail,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Pass => 0,
            Exit::Fail => 1,
            Exit::CouldNotRun => 2,
            Exit::Inconclusive => 3,
            Exit::Interrupted => 130,
        })
    }
}
