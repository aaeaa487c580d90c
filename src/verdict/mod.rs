//! Pure function from what was claimed, found and missed to a judgement.
//!
//! In: a `Case`. Out: a `Judgement`.
//! Never: IO, a clock, traffic.
