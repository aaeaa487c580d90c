//! macOS: lsof, ps, dscacheutil and the directory services behind getaddrinfo.

use super::Holders;
use super::error::MachineError;
use super::lookup::{AnsweredBy, Family, Lookup, Resolver, ask_library};
use super::lsof::{parse_lsof, parse_ps};
use super::socket::{Socket, Transport};
use super::tool;
use crate::model::ProcessRecord;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// lsof walks over every process.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sockets of this machine, each with its process: those of other users only for root.
///
/// # Errors
/// Where lsof cannot be run.
pub(super) fn sockets() -> Result<Vec<Socket>, MachineError> {
    let ran = tool::run("lsof", &["-nP", "-i", "-FpuPnT"], PATIENCE)?;
    Ok(parse_lsof(&ran.stdout))
}

/// The socket with these ends cannot be asked for alone.
pub(super) fn find(_: SocketAddr, _: SocketAddr, _: Transport) -> Option<Socket> {
    None
}

/// A socket of lsof names its process itself.
pub(super) fn holders(_: &BTreeSet<u64>) -> Holders {
    Holders::default()
}

/// A process, as ps shows it.
pub(super) fn process(pid: u32) -> Option<ProcessRecord> {
    let number = pid.to_string();
    let ran =
        tool::run("ps", &["-ww", "-o", "pid=,uid=,user=,etime=,comm=", "-p", &number], PATIENCE)
            .ok()?;
    let mut process = parse_ps(&ran.stdout)?;
    let line = tool::run("ps", &["-ww", "-o", "args=", "-p", &number], PATIENCE).ok()?;
    process.args = line.stdout.split_whitespace().map(str::to_owned).collect();
    Some(process)
}

/// Whether every process may be seen.
pub(super) fn is_superuser() -> bool {
    tool::run("id", &["-u"], PATIENCE).is_ok_and(|ran| ran.stdout.trim() == "0")
}

/// mDNSResponder keeps answers, behind the directory services.
pub(super) fn caches(_: &[String]) -> Vec<&'static str> {
    vec!["the directory services"]
}

#[expect(clippy::unnecessary_wraps, reason = "on Linux it may fail")]
pub(super) fn ask_system(name: &str, family: Family) -> Result<Vec<IpAddr>, MachineError> {
    Ok(ask_library(name, family))
}

/// The directory services ask mDNSResponder where the hosts file has no line.
pub(super) fn attribute(resolver: &Resolver, lookup: &Lookup) -> AnsweredBy {
    let shown = tool::run("dscacheutil", &["-q", "host", "-a", "name", &lookup.name], PATIENCE);
    let knows = |ip: &IpAddr| {
        shown
            .as_ref()
            .is_ok_and(|ran| ran.stdout.lines().any(|line| line.ends_with(&format!(" {ip}"))))
    };
    if lookup.addresses.iter().all(knows) {
        AnsweredBy::Service("directory services".to_owned())
    } else {
        AnsweredBy::Dns(resolver.servers.clone())
    }
}
