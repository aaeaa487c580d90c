//! What a test says that skips: past the harness, which keeps what a test that passes prints to itself. Part of the library's
//! tests, and of the crates in `tests/`.

use std::fmt::Display;
use std::io::Write as _;

/// Set to 1 where everything is there that a test may need: as root on Debian, after `make lab-deps`.
const REQUIRED: &str = "TUNNELCHECK_LAB_REQUIRED";

/// Says that this test, or a part of it, does not run, and why. No failure anywhere: what it needs may be absent.
pub(crate) fn skipped(why: impl Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// The same for want of what is there where `TUNNELCHECK_LAB_REQUIRED=1` is set: there it is a failure.
pub(crate) fn missing(what: impl Display) {
    skipped(&what);
    assert!(!is_required(), "{REQUIRED} is set, and the test cannot run: {what}");
}

/// Whether nothing may be missing.
pub(crate) fn is_required() -> bool {
    std::env::var_os(REQUIRED).is_some_and(|value| value == "1")
}
