//! What the fuzz targets do with their octets. Each takes any octets, never panics for them, and holds what it finds
//! against something that must be true: a naive model, or the same octets in other pieces.

#![forbid(unsafe_code)]
#![warn(clippy::pedantic, clippy::indexing_slicing)]
#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::missing_errors_doc,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::doc_markdown,
    clippy::similar_names,
    missing_docs,
    reason = "a panic is what a fuzz target finds; the rest is read by nobody"
)]

mod config;
mod containers;
mod dialects;
mod frames;
mod judged;
mod matcher;
#[path = "../../../src/inspect/matcher/naive.rs"]
mod naive;
mod reassembly;
mod script;

pub use config::{annotation, hosts_file, known_hosts, manifest, ssh_config, target_file};
pub use containers::containers;
pub use dialects::{dialect, inspect};
pub use frames::{defrag, ip, link};
pub use judged::{pipeline, verdict};
pub use matcher::matcher;
pub use reassembly::reassembly;
