//! A system that nobody has tried: it cannot be asked.

use super::Holders;
use super::error::MachineError;
use super::lookup::{AnsweredBy, Family, Lookup, Resolver};
use super::socket::{Socket, Transport};
use crate::model::ProcessRecord;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Sockets cannot be seen here.
///
/// # Errors
/// `Unsupported`, always.
pub(super) fn sockets() -> Result<Vec<Socket>, MachineError> {
    Err(MachineError::Unsupported { what: "the list of sockets" })
}

/// The socket with these ends cannot be asked for alone.
pub(super) fn find(_: SocketAddr, _: SocketAddr, _: Transport) -> Option<Socket> {
    None
}

pub(super) fn holders(_: &BTreeSet<u64>) -> Holders {
    Holders { unreadable: 1, ..Holders::default() }
}

/// Processes cannot be seen here.
pub(super) fn process(_: u32) -> Option<ProcessRecord> {
    None
}

/// Whether every process may be seen.
pub(super) fn is_superuser() -> bool {
    false
}

pub(super) fn caches(_: &[String]) -> Vec<&'static str> {
    Vec::new()
}

#[expect(clippy::unnecessary_wraps, reason = "on Linux it may fail")]
pub(super) fn ask_system(name: &str, family: Family) -> Result<Vec<IpAddr>, MachineError> {
    Ok(super::lookup::ask_library(name, family))
}

pub(super) fn attribute(_: &Resolver, _: &Lookup) -> AnsweredBy {
    AnsweredBy::Unknown
}
