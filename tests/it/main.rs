//! Integration tests: the public API and the binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test ends at the first thing that is not as it should be; clippy.toml frees only the #[test] functions"
)]

mod annotation;
mod captures;
mod carried_captures;
mod cli;
mod cost;
mod derive_captures;
mod diagnose;
mod differential;
mod evasion;
mod fooling_captures;
mod fuzz_seeds;
mod hostile;
mod house;
mod layers;
mod make_captures;
mod planted;
mod program;
mod props;
#[cfg(feature = "tunnel")]
mod sshd;
mod threads;
#[cfg(feature = "tunnel")]
mod tunnel_russh;
#[cfg(feature = "tunnel")]
mod tunnel_sshd;
mod wire;

#[path = "../../src/skip.rs"]
mod skip;
#[path = "../../benches/traffic/mod.rs"]
mod traffic;
