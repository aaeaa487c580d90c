//! Finds what can be read: joins the classifier, the dialects and the matcher.
//!
//! In: chunks of conns, raw octets of frames. Out: an `Inspection` (summaries of conns with their hits, sightings of
//! control tokens, names answered). Never: packet headers, sockets, a verdict.

pub mod dialect;
