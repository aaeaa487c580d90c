//! Pure function from what was claimed, found and missed to a judgement.
//!
//! In: a `Case`. Out: a `Judgement`.
//! Never: IO, a clock, traffic.

mod bypass;
mod carried;
mod case;
mod chance;
mod cleartext;
mod control;
mod coverage;
mod disruption;
mod identifier;
mod judge;
mod judgement;
mod ledger;
mod metadata;
mod phases;
mod prose;
mod scope;
mod sieve;
mod transport;
mod vantages;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod props;
#[cfg(test)]
mod tests;

pub use case::{Case, Rest, Source};
pub use judge::judge;
pub use judgement::{
    ControlCheck, DisruptionRow, Evidence, Explained, Fared, Judgement, Outcome, PhaseRow, Reason,
    Role, Row, ScopedConn, VantageRow,
};
pub use scope::hosts;
pub use sieve::Sieve;
