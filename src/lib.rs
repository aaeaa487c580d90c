//! tunnelcheck answers one question: is this traffic really encrypted, or is the tunnel being bypassed?
//!
//! Bytes travel source -> decode -> flow -> inspect -> verdict -> report and never turn back.
//! The rooms and their borders are described in `docs/architecture.md`. Rooms are public so that
//! benches, fuzz targets and tests can reach them; only what `docs/architecture.md` calls stable is.

pub mod cli;
pub mod decode;
#[cfg(feature = "live")]
pub mod diagnose;
pub mod flow;
pub mod hosts;
pub mod inspect;
#[cfg(feature = "lab")]
pub mod lab;
#[cfg(feature = "live")]
pub mod machine;
pub mod model;
pub mod report;
pub mod run;
#[cfg(test)]
mod skip;
pub mod source;
pub mod target;
#[cfg(feature = "tunnel")]
pub mod tunnel;
pub mod verdict;
