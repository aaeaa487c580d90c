//! What differs between systems: kinds of interfaces, counters, clocks.

use crate::model::{LinkType, Vantage};
use std::fs;
use std::path::{Path, PathBuf};

/// Names of tunnel devices begin with these: OpenVPN, WireGuard, macOS, PPP, IPsec, IP in IP, Tailscale and ZeroTier.
const TUNNEL_PREFIXES: &[&str] = &[
    "tun",
    "tap",
    "wg",
    "utun",
    "ppp",
    "ipsec",
    "gif",
    "stf",
    "tailscale",
    "zt",
    "nordlynx",
    "proton",
    "mullvad",
    "wgpia",
    "vti",
    "xfrm",
    "gre",
    "ipip",
    "sit",
    "ip6tnl",
    "ip_vti",
    "ip6_vti",
];

/// libpcap offers these beside the network interfaces.
const NO_NETWORK: &[&str] = &["nflog", "nfqueue", "bluetooth", "dbus", "usbmon", "rpmsg", "ap1"];

/// Linux's `ARPHRD_*` of devices that carry what a tunnel wraps (include/uapi/linux/if_arp.h).
const ARPHRD_TUNNELS: &[u32] = &[
    512,    // PPP
    768,    // IPIP
    769,    // IP6 in IP6
    776,    // SIT
    778,    // GRE
    823,    // GRE over IPv6
    0xfffe, // NONE: tun, WireGuard
];

/// Linux's `ARPHRD_LOOPBACK`.
const ARPHRD_LOOPBACK: u32 = 772;

/// `IFF_TAP` of `tun_flags` (include/uapi/linux/if_tun.h).
const IFF_TAP: u32 = 0x0002;

/// Whether libpcap fills `ps_ifdrop`: on Linux it does for promiscuous captures; the BPF of others has no such counter.
pub(super) const LIBPCAP_COUNTS_INTERFACE_DROPS: bool = cfg!(target_os = "linux");

/// Whether libpcap is to hand over each frame at once. On Linux that takes a slot of 64 KiB or more for
/// every frame, so that 16 MiB hold a burst of 128 frames; without it frames are packed, and wait some
/// milliseconds. Elsewhere frames are packed in either mode.
pub(super) const IMMEDIATE_MODE: bool = !cfg!(target_os = "linux");

/// Whether a device of libpcap is none of the network.
pub(super) fn is_no_network(name: &str) -> bool {
    NO_NETWORK.iter().any(|prefix| name.starts_with(prefix))
}

/// Where an interface stands. `any` counts as the wire, which is among what it shows. `link_type` is known
/// once the interface is open.
pub(super) fn vantage(name: &str, is_loopback: bool, link_type: Option<LinkType>) -> Vantage {
    if is_loopback || is_loopback_name(name) {
        return Vantage::Loopback;
    }
    by_system(name).unwrap_or_else(|| match link_type {
        // Frames without a link header come from a tunnel.
        Some(LinkType::RAW | LinkType::IPV4 | LinkType::IPV6) => Vantage::TunnelDevice,
        _ => by_name(name),
    })
}

/// Whether time stamps in nanoseconds are offered. libpcap does not say whether it granted them,
/// so they are asked for only where every network interface has them.
pub(super) fn has_nanoseconds(name: &str) -> bool {
    cfg!(target_os = "linux") && !is_no_network(name)
}

/// What the driver of an interface dropped since the system started; for `any`, all of them.
pub(super) fn interface_drops(name: &str) -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    if name == "any" {
        let table = fs::read_to_string("/proc/self/net/dev").ok()?;
        let fifos = table.lines().filter_map(|line| line.split_once(':')).map(|line| fifo(line.1));
        return fifos.sum();
    }
    let counter = |counter: &str| -> Option<u64> {
        let path = class(name)?.join("statistics").join(counter);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    if let (Some(missed), Some(fifo)) = (counter("rx_missed_errors"), counter("rx_fifo_errors")) {
        return Some(missed.saturating_add(fifo));
    }
    // /sys may be that of another network namespace; /proc/self/net is ours.
    let table = fs::read_to_string("/proc/self/net/dev").ok()?;
    let mut lines = table.lines().filter_map(|line| line.split_once(':'));
    fifo(lines.find(|(device, _)| device.trim() == name)?.1)
}

/// `fifo` of the receiving half of a line of /proc/net/dev: octets, packets, errors, drop, fifo, ...
fn fifo(line: &str) -> Option<u64> {
    line.split_whitespace().nth(4)?.parse().ok()
}

/// `lo`, `lo0`.
fn is_loopback_name(name: &str) -> bool {
    name.strip_prefix("lo").is_some_and(|rest| rest.chars().all(|digit| digit.is_ascii_digit()))
}

fn by_name(name: &str) -> Vantage {
    if TUNNEL_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        Vantage::TunnelDevice
    } else {
        Vantage::Wire
    }
}

/// What Linux's /sys says of a device; none where it says nothing (other systems, another namespace's /sys).
fn by_system(name: &str) -> Option<Vantage> {
    let class = class(name)?;
    let read = |file: &str| fs::read_to_string(class.join(file)).ok();
    let kind: u32 = read("type")?.trim().parse().ok()?;
    if kind == ARPHRD_LOOPBACK {
        return Some(Vantage::Loopback);
    }
    let device = read("uevent").unwrap_or_default();
    // A modem may have no link header either, and is the wire.
    if device.lines().any(|line| line == "DEVTYPE=wwan") {
        return Some(Vantage::Wire);
    }
    if ARPHRD_TUNNELS.contains(&kind) {
        return Some(Vantage::TunnelDevice);
    }
    if device.lines().any(|line| matches!(line, "DEVTYPE=wireguard" | "DEVTYPE=ppp")) {
        return Some(Vantage::TunnelDevice);
    }
    if let Some(flags) = read("tun_flags") {
        let flags = flags.trim().trim_start_matches("0x");
        let is_tap = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & IFF_TAP != 0);
        // The mouth of a virtual machine is a tap in a bridge: what it carries is on that machine's wire.
        let is_port = class.join("brport").exists();
        return Some(if is_tap && is_port { Vantage::Wire } else { Vantage::TunnelDevice });
    }
    // Ethernet and the like: the name may lie either way, the system does not.
    Some(Vantage::Wire)
}

/// The device's folder in /sys; none for a name that is no plain file name.
fn class(name: &str) -> Option<PathBuf> {
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    let path = Path::new("/sys/class/net").join(name);
    (cfg!(target_os = "linux") && plain && path.exists()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_are_known_by_name_where_the_system_says_nothing() {
        for name in ["tun0", "tap3", "wg-home", "utun4", "ppp0", "ipsec0"] {
            assert_eq!(by_name(name), Vantage::TunnelDevice, "{name}");
        }
        for name in ["eth0", "enp3s0", "en0", "wlan0", "veth12", "br-lan", "any", "lower0"] {
            assert_eq!(by_name(name), Vantage::Wire, "{name}");
            assert!(!is_loopback_name(name), "{name}");
        }
        assert!(is_loopback_name("lo") && is_loopback_name("lo0"));
        assert_eq!(vantage("no-such-if", false, Some(LinkType::RAW)), Vantage::TunnelDevice);
        assert_eq!(vantage("no-such-if", false, Some(LinkType::ETHERNET)), Vantage::Wire);
    }

    #[test]
    fn a_name_with_a_path_leads_nowhere() {
        assert_eq!(class("../../etc"), None);
        assert_eq!(class(".."), None);
        assert_eq!(class(""), None);
    }

    #[test]
    fn fifo_drops_are_the_fifth_column() {
        assert_eq!(fifo(" 1500 12 1 2 7 0 0 0 900 10 0 0 3 0 0 0"), Some(7));
        assert_eq!(fifo(""), None);
    }
}
