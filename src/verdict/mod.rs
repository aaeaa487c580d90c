//! Pure function from what was claimed, found and missed to a judgement.
//!
//! In: a `Case`. Out: a `Judgement`.
//! Never: IO, a clock, traffic.

mod bypass;
mod carried;
mod case;
mod cause;
mod chance;
mod cleartext;
mod control;
mod coverage;
mod identifier;
mod judge;
mod judgement;
mod ledger;
mod metadata;
mod prose;
mod scope;
mod sieve;
mod transport;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod props;
#[cfg(test)]
mod tests;

pub use case::{Case, Rest, Source};
pub use cause::{Bypass, Lead};
pub use judge::judge;
pub use judgement::{
    ControlCheck, Evidence, Explained, Judgement, Outcome, Reason, Role, Row, ScopedConn,
};
pub use sieve::Sieve;
