//! Arms, starts, watches, drains, stops and judges; the only place where rooms are joined.
//!
//! In: a `Plan` and sources. Out: an `Outcome` with its `Judgement`.
//! Never: argv, stdout, a format.
