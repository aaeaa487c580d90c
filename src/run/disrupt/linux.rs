//! Routes and IPv6 of Linux.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Makes an address unreachable: a route of its own that leads nowhere lies over the one that it has, which stays.
pub(super) fn block_route(address: IpAddr) -> Result<(), String> {
    ip(address, "add")
}

/// Takes that route away.
pub(super) fn unblock_route(address: IpAddr) -> Result<(), String> {
    // A route that has gone, with its interface or by somebody's hand, is put back.
    ip(address, "del")
        .or_else(|why| if why.contains("No such process") { Ok(()) } else { Err(why) })
}

/// Whether an interface has IPv6; none where that cannot be told.
pub(super) fn has_ipv6(interface: &str) -> Option<bool> {
    let text = std::fs::read_to_string(switch(interface)).ok()?;
    Some(text.trim() == "0")
}

/// Turns IPv6 of an interface on or off.
pub(super) fn set_ipv6(interface: &str, on: bool) -> Result<(), String> {
    let path = switch(interface);
    std::fs::write(&path, if on { "0" } else { "1" })
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn switch(interface: &str) -> PathBuf {
    PathBuf::from(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"))
}

fn ip(address: IpAddr, act: &str) -> Result<(), String> {
    let (family, bits) = if address.is_ipv4() { ("-4", 32) } else { ("-6", 128) };
    let target = format!("{address}/{bits}");
    run("ip", &[family, "route", act, "unreachable", &target])
}

/// Runs a program of the administrator's, wherever it lies.
fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    if let Some(path) = std::env::var_os("PATH") {
        let mut path = path;
        path.push(":/usr/sbin:/sbin");
        command.env("PATH", path);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().next_back().unwrap_or_default().trim();
    Err(format!("`{program} {}`: {last}", arguments.join(" ")))
}
