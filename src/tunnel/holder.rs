//! Who listens on a port. The one place that knows the system; elsewhere the answer is "cannot be seen".

use std::net::SocketAddr;

/// The program that listens where `wanted` is to open, as `name (pid 123)`; none where that cannot be seen.
#[cfg(target_os = "linux")]
pub(super) fn holder_of(wanted: SocketAddr) -> Option<String> {
    linux::holder_of(wanted)
}

/// The program that listens where `wanted` is to open; cannot be seen here.
#[cfg(not(target_os = "linux"))]
pub(super) fn holder_of(_: SocketAddr) -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashSet;
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

    const LISTEN: &str = "0A"; // TCP_LISTEN of the kernel's tcp_states.h, as /proc/net/tcp writes it

    pub(super) fn holder_of(wanted: SocketAddr) -> Option<String> {
        let mut inodes = HashSet::new();
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let Ok(text) = fs::read_to_string(table) else { continue };
            inodes.extend(text.lines().skip(1).filter_map(|line| listening_inode(line, wanted)));
        }
        inodes.remove("0");
        if inodes.is_empty() {
            return None;
        }
        let mut holders: Vec<String> = fs::read_dir("/proc")
            .ok()?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| holds_any(*pid, &inodes))
            .map(describe)
            .collect();
        holders.sort();
        (!holders.is_empty()).then(|| holders.join(", "))
    }

    /// The socket's inode, if this line of `/proc/net/tcp` is a listener in the way of `wanted`.
    fn listening_inode(line: &str, wanted: SocketAddr) -> Option<String> {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let (address, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let address = parse_address(address)?;
        let in_the_way = address == wanted.ip()
            || address.is_unspecified()
            || wanted.ip().is_unspecified()
            || is_mapped(address, wanted.ip());
        (state == LISTEN && port == wanted.port() && in_the_way).then(|| inode.to_owned())
    }

    fn is_mapped(address: IpAddr, wanted: IpAddr) -> bool {
        matches!((address, wanted), (IpAddr::V6(v6), IpAddr::V4(v4)) if v6.to_ipv4_mapped() == Some(v4))
    }

    /// 8 or 32 hexadecimal digits: words of 4 octets, each printed in host order.
    fn parse_address(hex: &str) -> Option<IpAddr> {
        let mut octets = Vec::with_capacity(16);
        for word in hex.as_bytes().chunks(8) {
            let word = std::str::from_utf8(word).ok()?;
            octets.extend(u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
        }
        if let Ok(v4) = <[u8; 4]>::try_from(octets.as_slice()) {
            return Some(Ipv4Addr::from(v4).into());
        }
        <[u8; 16]>::try_from(octets.as_slice()).ok().map(|v6| Ipv6Addr::from(v6).into())
    }

    fn holds_any(pid: u32, inodes: &HashSet<String>) -> bool {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        descriptors.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()).any(|link| {
            link.to_str()
                .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'))
                .is_some_and(|inode| inodes.contains(inode))
        })
    }

    fn describe(pid: u32) -> String {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let name = name.trim();
        format!("{} (pid {pid})", if name.is_empty() { "a program" } else { name })
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::net::TcpListener;

        #[test]
        fn a_listener_of_our_own_is_named() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let text = holder_of(listener.local_addr().unwrap()).unwrap();
            assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
        }

        #[test]
        fn a_wildcard_listener_stands_in_the_way_of_every_address() {
            let listener = TcpListener::bind("0.0.0.0:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(holder_of(SocketAddr::from(([127, 0, 0, 9], port))).is_some());
        }

        #[test]
        fn a_free_port_has_no_holder() {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            assert_eq!(holder_of(SocketAddr::from(([127, 0, 0, 1], port))), None);
        }
    }
}
