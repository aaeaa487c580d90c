//! What is to be proven encrypted. Made by the target room, read by run, verdict and report.

use super::identifier::Identifier;
use std::net::{IpAddr, SocketAddr};

/// Who makes the tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TunnelMode {
    /// tunnelcheck itself, with russh.
    #[default]
    Builtin,
    /// Somebody else's ssh or VPN.
    External,
    /// Nobody: the services themselves must be encrypted.
    None,
}

/// A service that the client uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name in the target.
    pub name: String,
    /// A dialect's name, or `generic`.
    pub kind: String,
    /// Name or address, as the gateway knows it, in lower case without a trailing dot.
    pub host: String,
    /// Port, 1 to 65535.
    pub port: u16,
    /// Where it is on the wire, as far as is known: from the target file, or resolved by run. May be empty.
    pub addresses: Vec<IpAddr>,
    /// The target gives no address and the host is none: its name alone says where it is, and a name may lead to several places,
    /// to another one every time.
    pub is_by_name: bool,
    /// Mouth of its forward, where it has one.
    pub listen: Option<SocketAddr>,
    /// Other names of the host, lower case without trailing dots, without doubles.
    pub aliases: Vec<String>,
    /// Whether ssh can carry it (TCP). A UDP service cannot be forwarded.
    pub is_udp: bool,
}

/// A host and port whose cleartext is allowed, and listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exempt {
    /// Its name in the target.
    pub name: String,
    /// Name or address, in lower case without a trailing dot.
    pub host: String,
    /// Port; none exempts every port of the host.
    pub port: Option<u16>,
    /// Where it is on the wire, as far as is known. May be empty.
    pub addresses: Vec<IpAddr>,
    /// Why it may be readable.
    pub reason: String,
}

/// What is to be proven encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name in the target file, or alias in `ssh_config`.
    pub name: String,
    /// Who makes the tunnel.
    pub tunnel: TunnelMode,
    /// Name or address of the gateway, lower case without a trailing dot; none with `TunnelMode::None`.
    pub gateway_host: Option<String>,
    /// SSH port of the gateway (or the port of the external tunnel).
    pub gateway_port: u16,
    /// Where the gateway is on the wire, as far as is known. May be empty.
    pub gateway_addresses: Vec<IpAddr>,
    /// Addresses of the watched host, as far as is known. May be empty.
    pub clients: Vec<IpAddr>,
    /// What the client uses.
    pub services: Vec<Service>,
    /// What must not be seen.
    pub identifiers: Vec<Identifier>,
    /// What may be readable.
    pub exempts: Vec<Exempt>,
    /// Whether loopback, tun, wg and the like are accepted as the place to stand.
    pub any_vantage: bool,
}
