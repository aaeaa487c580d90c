//! The hosts file: a marked block of names that lead to the mouths, put in and taken out without touching another octet.
//!
//! In: services with their names as written, the path of a hosts file. Out: the file, changed as a whole or not at all.
//! Never: a line that is not its own, a file that is half written, a name that the tunnel itself must resolve.

mod error;
mod file;
mod flush;
mod journal;
mod names;
mod text;
mod whole;

pub use error::HostsError;
pub use file::{Edit, How, apply, look, revert};
pub use flush::{Flushed, flush};
pub use names::{Alias, Aliases, LeftOut, Wanted, aliases};
pub use text::{Conflict, State, block, conflicts, file_name, put, state, take};

#[cfg(test)]
mod tests;

/// The hosts file of the system.
pub const SYSTEM_FILE: &str = "/etc/hosts";

/// The command that gives this machine the loopback address `address`, where it has only 127.0.0.1 by itself.
#[must_use]
pub fn loopback_command(address: std::net::IpAddr) -> Option<String> {
    if cfg!(target_os = "macos") { lo0_alias(address) } else { None }
}

/// As `loopback_command`, for macOS.
fn lo0_alias(address: std::net::IpAddr) -> Option<String> {
    let needs = address.is_ipv4() && address.is_loopback();
    let first = std::net::Ipv4Addr::LOCALHOST;
    (needs && address != first).then(|| format!("sudo ifconfig lo0 alias {address} up"))
}
