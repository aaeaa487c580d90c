//! Routes and IPv6 of macOS and the BSDs.

use std::net::IpAddr;
use std::process::{Command, Stdio};

/// Makes an address unreachable: a route of its own that rejects lies over the one that it has, which stays.
pub(super) fn block_route(address: IpAddr) -> Result<(), String> {
    route("add", address)
}

/// Takes that route away.
pub(super) fn unblock_route(address: IpAddr) -> Result<(), String> {
    // A route that has gone, with its interface or by somebody's hand, is put back.
    route("delete", address)
        .or_else(|why| if why.contains("not in table") { Ok(()) } else { Err(why) })
}

/// Whether an interface has IPv6; none where that cannot be told.
pub(super) fn has_ipv6(_: &str) -> Option<bool> {
    None
}

/// Turns IPv6 of an interface on or off: not on this system.
pub(super) fn set_ipv6(interface: &str, _: bool) -> Result<(), String> {
    Err(format!("IPv6 of {interface} is not turned on and off on this system"))
}

fn route(act: &str, address: IpAddr) -> Result<(), String> {
    let target = address.to_string();
    let (family, nowhere) =
        if address.is_ipv4() { ("-inet", "127.0.0.1") } else { ("-inet6", "::1") };
    let output = Command::new("/sbin/route")
        .args(["-n", act, family, "-host", &target, nowhere, "-reject"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run route: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("route {act} {target}: {}", said.lines().next_back().unwrap_or_default().trim()))
}
