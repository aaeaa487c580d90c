//! A narrow door for the fuzz targets: what of this room reads octets that others wrote. Not for any other use.

use super::known_hosts::{KnownHosts, host_name};
use std::path::Path;

/// What a known_hosts file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownHostsCount {
    /// Lines that were read.
    pub entries: usize,
    /// Lines that speak of the host that was asked for.
    pub matching: usize,
    /// Lines that are neither empty, nor a comment, nor readable.
    pub bad_lines: u64,
}

/// Reads the text of a known_hosts file, and looks for a host in it.
#[must_use]
pub fn known_hosts(text: &[u8], host: &str, port: u16) -> KnownHostsCount {
    let mut known = KnownHosts::default();
    known.parse(Path::new("known_hosts"), text);
    KnownHostsCount {
        entries: known.entries(),
        matching: known.of(&host_name(host, port)).count(),
        bad_lines: known.bad_lines(),
    }
}
