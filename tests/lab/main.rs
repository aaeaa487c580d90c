//! The lab: the built binary, live, in network namespaces with real OpenSSH, real dovecot and our own mail servers.
//!
//! ```text
//! client 10.77.0.10 --+
//! snooper 10.77.0.99 -+- bridge in a namespace of its own     +- mail 10.77.1.30
//! gateway 10.77.0.20 -+        gateway routes   10.77.1.20 ---+   (fd77::/64 and fd77:1::/64 likewise)
//! ```
//! Needs root and packages (`make lab-deps`). Elsewhere every test skips, and says so; with `TUNNELCHECK_LAB_REQUIRED=1`
//! a skip is a failure.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test ends at the first thing that is not as it should be; clippy.toml frees only the #[test] functions"
)]

mod bypass;
mod check;
mod diagnose;
mod disrupt;
mod explained;
mod external;
mod gaps;
mod hosts;
mod keep;
mod keys;
mod mail;
mod recorded;
mod target;
mod tunnelled;
mod vantage;
mod world;

#[path = "../../src/skip.rs"]
mod skip;
