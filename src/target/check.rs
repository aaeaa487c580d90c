//! Text -> value, or what is wrong with it.

use super::error::Fault;
use super::plan::SERVICE_KINDS;
use super::ssh_config::{Login, login};
use crate::model::TunnelMode;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of a host name (RFC 1035 s2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// A name in lower case without a trailing dot, or an address in its usual form.
pub(super) fn host(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    if text.matches(':').count() == 1 {
        return Err(Fault::HostWithPort);
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_lowercase();
    let sound = !name.is_empty()
        && name.len() <= MAX_HOST_BYTES
        && name.split('.').all(|label| !label.is_empty())
        && !name.contains(|c: char| {
            c.is_whitespace() || c.is_control() || "@/\\:[]*?,\"'#%".contains(c)
        });
    if sound { Ok(name) } else { Err(Fault::Host) }
}

/// Whether the host is the machine that asks for it.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// 1 to 65535.
pub(super) fn port(text: &str) -> Result<u16, Fault> {
    text.parse().ok().filter(|port| *port != 0).ok_or(Fault::Port)
}

/// An IP address.
pub(super) fn address(text: &str) -> Result<IpAddr, Fault> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr = bare.parse().map_err(|_| Fault::Address)?;
    if address.is_unspecified() { Err(Fault::Address) } else { Ok(address) }
}

/// `[user@]host[:port]`, the host normalised.
pub(super) fn gateway(text: &str) -> Result<Login, Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    let found = login(text).ok_or(Fault::Gateway)?;
    host(&found.host)?;
    Ok(found)
}

/// The mouth of a forward; `every`: one without an address is open to other hosts.
pub(super) fn listen(text: &str, every: bool) -> Result<SocketAddr, Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if let Ok(port) = text.parse::<u16>() {
        return mouth(None, port, every).ok_or(Fault::Listen);
    }
    let found = text
        .parse::<SocketAddr>()
        .ok()
        .or_else(|| {
            let (host, port) = text.rsplit_once(':')?;
            mouth(Some(host), port.parse().ok()?, every)
        })
        .ok_or(Fault::Listen)?;
    if found.port() == 0 { Err(Fault::Port) } else { Ok(found) }
}

/// A mouth as ssh binds it: nothing is loopback (or every address with GatewayPorts), `*` and an empty text are every
/// address. None: the host is a name other than `localhost`, or the port is 0.
pub(super) fn mouth(host: Option<&str>, port: u16, every: bool) -> Option<SocketAddr> {
    let address = match host {
        None if every => Ipv4Addr::UNSPECIFIED.into(),
        None | Some("localhost") => Ipv4Addr::LOCALHOST.into(),
        Some("" | "*") => Ipv4Addr::UNSPECIFIED.into(),
        Some(text) => text.parse::<IpAddr>().ok()?,
    };
    (port != 0).then(|| SocketAddr::new(address, port))
}

/// Whether both mouths cannot be open at the same time.
pub(super) fn same_mouth(a: SocketAddr, b: SocketAddr) -> bool {
    // `[::]` takes IPv4 in as well.
    let every = |x: SocketAddr, y: SocketAddr| {
        x.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            || (x.ip().is_unspecified() && y.is_ipv4() == x.is_ipv4())
    };
    a.port() == b.port() && (a.ip() == b.ip() || every(a, b) || every(b, a))
}

/// One of `SERVICE_KINDS`.
pub(super) fn kind(text: &str) -> Result<&'static str, Fault> {
    let lower = text.to_lowercase();
    if let Some(kind) = SERVICE_KINDS.iter().find(|kind| **kind == lower) {
        return Ok(kind);
    }
    let suggestion = match lower.as_str() {
        "http" => return Ok("http1"),
        "pop3s" | "imaps" | "smtps" | "ldaps" | "https" | "nntps" | "ftps" | "ssl" => "tls",
        "pop" => "pop3",
        "postgresql" | "pgsql" => "postgres",
        "mariadb" => "mysql",
        "news" => "nntp",
        "blitz" => "blitzmail",
        "mail" => "smtp",
        "" => return Err(Fault::Empty),
        _ => "",
    };
    let suggestion = if suggestion.is_empty() {
        super::nearest::nearest(&lower, SERVICE_KINDS.iter().copied())
    } else {
        Some(suggestion.to_owned())
    };
    Err(Fault::Kind { suggestion })
}

/// `builtin`, `external`, `none`.
pub(super) fn tunnel(text: &str) -> Result<TunnelMode, Fault> {
    match text {
        "builtin" => Ok(TunnelMode::Builtin),
        "external" => Ok(TunnelMode::External),
        "none" => Ok(TunnelMode::None),
        _ => Err(Fault::OneOf(&["builtin", "external", "none"])),
    }
}

/// A name for the report.
pub(super) fn name(text: &str) -> Result<String, Fault> {
    let text = text.trim();
    if text.is_empty() {
        Err(Fault::Empty)
    } else if text.chars().any(char::is_control) {
        Err(Fault::Name)
    } else {
        Ok(text.to_owned())
    }
}

/// Whether a host is a name that may lead to another machine: no address, and not this one.
pub(super) fn is_name(host: &str) -> bool {
    host != "localhost" && host.parse::<std::net::IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_case_and_trailing_dot() {
        assert_eq!(host("dasher.Dartmouth.EDU.").unwrap(), "dasher.dartmouth.edu");
        assert_eq!(host("[2001:DB8::1]").unwrap(), "2001:db8::1");
        assert_eq!(host("10.0.0.1").unwrap(), "10.0.0.1");
        assert_eq!(host("incoming_mail").unwrap(), "incoming_mail");
        assert_eq!(host(""), Err(Fault::Empty));
        assert_eq!(host("mail:110"), Err(Fault::HostWithPort));
        for bad in [".", "a..b", "a b", "u@h", "a/b", "*", "fe80::1%eth0", "a\nb"] {
            assert_eq!(host(bad), Err(Fault::Host), "{bad:?}");
        }
    }

    #[test]
    fn mouths_that_exclude_one_another() {
        let same = |a: &str, b: &str| same_mouth(a.parse().unwrap(), b.parse().unwrap());
        assert!(same("127.0.0.1:1", "127.0.0.1:1"));
        assert!(same("0.0.0.0:1", "127.0.0.1:1"));
        assert!(same("127.0.0.1:1", "[::]:1"));
        assert!(same("[::1]:1", "[::]:1"));
        assert!(!same("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!same("127.0.0.1:1", "0.0.0.0:2"));
        assert!(!same("0.0.0.0:1", "[::1]:1"));
    }

    #[test]
    fn mouths_in_every_form() {
        let get = |text: &str, every| listen(text, every).map(|mouth| mouth.to_string());
        assert_eq!(get("127.0.0.1:2003", false).unwrap(), "127.0.0.1:2003");
        assert_eq!(get("2003", false).unwrap(), "127.0.0.1:2003");
        assert_eq!(get("2003", true).unwrap(), "0.0.0.0:2003");
        assert_eq!(get("*:2003", false).unwrap(), "0.0.0.0:2003");
        assert_eq!(get("localhost:2003", true).unwrap(), "127.0.0.1:2003");
        assert_eq!(get("[::1]:2003", false).unwrap(), "[::1]:2003");
        assert_eq!(get("mail:2003", false), Err(Fault::Listen));
        assert_eq!(get("127.0.0.1:0", false), Err(Fault::Port));
        assert_eq!(get("127.0.0.1", false), Err(Fault::Listen));
        assert_eq!(get("127.0.0.1:99999", false), Err(Fault::Listen));
    }
}
