//! What this machine says of itself: sockets and who holds them, processes, the resolver and its files, firewall rules.
//!
//! In: questions. Out: values, each with where it comes from, and what could not be read.
//! Never: a change of anything, a shell, a packet but questions to name servers.

#[cfg(target_os = "linux")]
mod diag;
mod error;
mod files;
mod firewall;
#[cfg(target_os = "linux")]
mod linux;
mod lookup;
mod lsof;
// Compiled with the tests everywhere, so that it still compiles where nobody tests it.
#[cfg(any(target_os = "macos", test))]
#[cfg_attr(not(target_os = "macos"), expect(dead_code, reason = "used on macOS alone"))]
mod macos;
#[cfg(any(not(any(target_os = "linux", target_os = "macos")), test))]
#[cfg_attr(
    any(target_os = "linux", target_os = "macos"),
    expect(dead_code, reason = "used on other systems alone")
)]
mod other;
mod resolve;
mod socket;
mod tool;
mod watch;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
use other as platform;

pub use error::MachineError;
pub use files::{HostsLine, lines_of, parse_hosts, parse_name_servers, parse_nsswitch};
pub use firewall::{Rules, parse_iptables, parse_nft, read_rules};
pub use lookup::{AnsweredBy, Family, LineEnds, Lookup, Resolver, ends_within};
pub use lsof::{parse_lsof, parse_ps};
pub use resolve::{ask, ask_again, fill_addresses, is_answering, to_be_asked};
pub use socket::{Key, Socket, State, Transport, parse_table};
pub use watch::{Scout, Watcher};

use crate::model::{MachineName, ProcessRecord, Service};
use std::collections::{BTreeMap, BTreeSet};

/// The sockets of this machine (of this network namespace).
///
/// # Errors
/// Where the system does not list them.
pub fn sockets() -> Result<Vec<Socket>, MachineError> {
    platform::sockets()
}

/// A process, as far as it may be seen; none where it has ended.
#[must_use]
pub fn process(pid: u32) -> Option<ProcessRecord> {
    platform::process(pid)
}

/// Whether every process may be seen.
#[must_use]
pub fn is_superuser() -> bool {
    platform::is_superuser()
}

/// Names asked for to explain a bypass.
const MAX_NAMES: usize = 64;

/// Where the names of services lead on this machine now, and who says so: their hosts, aliases and short forms.
#[must_use]
pub fn explain_names<'a>(services: impl IntoIterator<Item = &'a Service>) -> Vec<MachineName> {
    let mut questions: Vec<(String, Family)> = Vec::new();
    for name in services.into_iter().flat_map(|it| std::iter::once(&it.host).chain(&it.aliases)) {
        let short = name.split('.').next().unwrap_or_default();
        for form in [name.as_str(), short] {
            let is_name = !form.is_empty() && name.parse::<std::net::IpAddr>().is_err();
            let is_new = !questions.iter().any(|(known, _)| known == form);
            if is_name && is_new && questions.len() < MAX_NAMES {
                questions.push((form.to_owned(), Family::V4));
                questions.push((form.to_owned(), Family::V6));
            }
        }
    }
    let answers = Resolver::read().look_up(&questions);
    let named = answers.into_iter().flat_map(|it| {
        let by_hosts_file = matches!(it.answered_by, AnsweredBy::Hosts(_));
        let answered_by = it.answered_by.to_string();
        let name = it.name;
        it.addresses.into_iter().map(move |address| MachineName {
            name: name.clone(),
            address,
            answered_by: answered_by.clone(),
            by_hosts_file,
        })
    });
    named.collect()
}

/// Who holds which socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// Processes by the socket's key and their number, as they were when they were found.
    found: BTreeMap<u64, BTreeMap<u32, ProcessRecord>>,
    /// Processes whose open files could not be read.
    pub unreadable: usize,
}

impl Holders {
    /// Looks for the holders of these sockets among all processes.
    #[must_use]
    pub fn of<'a>(sockets: impl IntoIterator<Item = &'a Socket>) -> Self {
        let inodes: BTreeSet<u64> = sockets
            .into_iter()
            .filter_map(|socket| match socket.key {
                Key::Inode(inode) => Some(inode),
                Key::Pid(_) | Key::None => None,
            })
            .collect();
        if inodes.is_empty() { Self::default() } else { platform::holders(&inodes) }
    }

    /// The processes that hold a socket, as they were when they were found: one may have ended since.
    #[must_use]
    pub fn processes(&self, socket: &Socket) -> Vec<ProcessRecord> {
        match socket.key {
            Key::Pid(pid) => process(pid).into_iter().collect(),
            Key::Inode(inode) => self.at(inode).cloned().collect(),
            Key::None => Vec::new(),
        }
    }

    /// Their numbers.
    #[must_use]
    pub fn pids(&self, socket: &Socket) -> Vec<u32> {
        match socket.key {
            Key::Pid(pid) => vec![pid],
            Key::Inode(inode) => self.at(inode).map(|process| process.pid).collect(),
            Key::None => Vec::new(),
        }
    }

    fn at(&self, inode: u64) -> impl Iterator<Item = &ProcessRecord> {
        self.found.get(&inode).into_iter().flat_map(BTreeMap::values)
    }

    /// Notes a holder.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "elsewhere a socket names its process")
    )]
    fn add(&mut self, inode: u64, process: ProcessRecord) {
        self.found.entry(inode).or_default().insert(process.pid, process);
    }
}
