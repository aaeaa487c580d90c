//! Pure function from what was claimed, found and missed to a judgement.
//!
//! In: a `Case`. Out: a `Judgement`.
//! Never: IO, a clock, traffic.

mod case;
mod judge;
mod judgement;
mod scope;

pub use case::{Case, Source};
pub use judge::judge;
pub use judgement::{
    ControlCheck, Evidence, Explained, Judgement, Outcome, Reason, Role, Row, ScopedConn,
};
