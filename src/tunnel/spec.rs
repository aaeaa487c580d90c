//! What is to be brought up: the gateway, the way to it and the forwards.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Which ssh-agent is asked for keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AgentChoice {
    /// The one that `SSH_AUTH_SOCK` names, if any.
    #[default]
    Environment,
    /// The one behind this socket (`IdentityAgent`).
    Socket(PathBuf),
    /// None (`IdentityAgent none`).
    Nobody,
}

/// Algorithms as `ssh_config` writes them: a list with commas, or `+list`, `-list`, `^list` against the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Algorithms {
    /// `Ciphers`.
    pub ciphers: Option<String>,
    /// `MACs`.
    pub macs: Option<String>,
    /// `KexAlgorithms`.
    pub kex: Option<String>,
    /// `HostKeyAlgorithms`.
    pub host_keys: Option<String>,
}

/// One host on the way: a jump host, or the gateway itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HopSpec {
    /// Name or address.
    pub host: String,
    /// SSH port, 1 to 65535.
    pub port: u16,
    /// User there.
    pub user: String,
    /// Name under which its key is looked up, instead of `host` and `port` (`HostKeyAlias`).
    pub host_key_alias: Option<String>,
    /// Private keys to try, in this order; one that does not exist is passed over.
    pub identity_files: Vec<PathBuf>,
    /// Whether the agent may only use the keys of `identity_files` (`IdentitiesOnly`).
    pub identities_only: bool,
    /// Which agent is asked.
    pub agent: AgentChoice,
    /// The user's `known_hosts` files; a newly accepted key goes to the first.
    pub known_hosts: Vec<PathBuf>,
    /// The machine's `known_hosts` files, never written.
    pub global_known_hosts: Vec<PathBuf>,
    /// Where it is, if that is known already; else `host` is resolved.
    pub addresses: Vec<SocketAddr>,
}

/// One forward (`LocalForward`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardSpec {
    /// Name of the service.
    pub service: String,
    /// Its mouth; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where the gateway connects to.
    pub host: String,
    /// Port there.
    pub port: u16,
}

/// The tunnel that is to be brought up.
#[derive(Clone, Debug)]
pub struct TunnelSpec {
    /// Name of the target, for messages.
    pub name: String,
    /// Name or address of the gateway.
    pub host: String,
    /// Its SSH port, 1 to 65535.
    pub port: u16,
    /// User there.
    pub user: String,
    /// Name under which its key is looked up, instead of `host` and `port` (`HostKeyAlias`).
    pub host_key_alias: Option<String>,
    /// Private keys to try, in this order; one that does not exist is passed over.
    pub identity_files: Vec<PathBuf>,
    /// Whether the agent may only use the keys of `identity_files` (`IdentitiesOnly`).
    pub identities_only: bool,
    /// Which agent is asked.
    pub agent: AgentChoice,
    /// The user's `known_hosts` files; a newly accepted key goes to the first.
    pub known_hosts: Vec<PathBuf>,
    /// The machine's `known_hosts` files, never written.
    pub global_known_hosts: Vec<PathBuf>,
    /// Whether a newly accepted host is written hashed (`HashKnownHosts`).
    pub hash_known_hosts: bool,
    /// Jump hosts, the one that is dialed first at the front (`ProxyJump`).
    pub jumps: Vec<HopSpec>,
    /// Whether mouths on loopback addresses open on every address instead (`ssh -g`, `GatewayPorts`).
    pub gateway_ports: bool,
    /// Silence after which a keepalive is sent (`ServerAliveInterval`).
    pub keepalive: Option<Duration>,
    /// Unanswered keepalives after which the tunnel counts as lost (`ServerAliveCountMax`); 0 = never.
    pub keepalive_max: u32,
    /// Longest wait for the TCP connection, and again for the key exchange; questions to a person aside.
    pub connect_timeout: Duration,
    /// Longest wait for the gateway to open a connection to a service.
    pub channel_timeout: Duration,
    /// What is forwarded.
    pub forwards: Vec<ForwardSpec>,
    /// Algorithms, where they are not to be the defaults.
    pub algorithms: Algorithms,
    /// Fingerprints (`SHA256:...`) that the user vouches for (`--accept-host-key`).
    pub accept_host_key: Vec<String>,
    /// Where the gateway is, if that is known already; else `host` is resolved.
    pub addresses: Vec<SocketAddr>,
}

impl TunnelSpec {
    /// A tunnel to `user@host:port` without forwards, keys or files: the start of every other spec.
    #[must_use]
    pub fn new(name: &str, user: &str, host: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            user: user.to_owned(),
            host_key_alias: None,
            identity_files: Vec::new(),
            identities_only: false,
            agent: AgentChoice::default(),
            known_hosts: Vec::new(),
            global_known_hosts: Vec::new(),
            hash_known_hosts: false,
            jumps: Vec::new(),
            gateway_ports: false,
            keepalive: Some(DEFAULT_KEEPALIVE),
            keepalive_max: DEFAULT_KEEPALIVE_MAX,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            channel_timeout: DEFAULT_CHANNEL_TIMEOUT,
            forwards: Vec::new(),
            algorithms: Algorithms::default(),
            accept_host_key: Vec::new(),
            addresses: Vec::new(),
        }
    }

    /// Every host on the way, the gateway last.
    pub(super) fn hops(&self) -> Vec<HopSpec> {
        let mut hops = self.jumps.clone();
        hops.push(HopSpec {
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            host_key_alias: self.host_key_alias.clone(),
            identity_files: self.identity_files.clone(),
            identities_only: self.identities_only,
            agent: self.agent.clone(),
            known_hosts: self.known_hosts.clone(),
            global_known_hosts: self.global_known_hosts.clone(),
            addresses: self.addresses.clone(),
        });
        hops
    }
}

impl HopSpec {
    /// `user@host`, or `user@host:port` where the port is not 22.
    pub(super) fn user_at_host(&self) -> String {
        format!("{}@{}", self.user, self.place())
    }

    /// `host`, or `host:port` where the port is not 22.
    pub(super) fn place(&self) -> String {
        let is_v6 = self.host.contains(':');
        match (self.port, is_v6) {
            (SSH_PORT, _) => self.host.clone(),
            (port, false) => format!("{}:{port}", self.host),
            (port, true) => format!("[{}]:{port}", self.host),
        }
    }
}

pub(super) const SSH_PORT: u16 = 22; // RFC 4253 s4.1
pub(super) const UNKNOWN_ORIGINATOR_PORT: u16 = 65535; // RFC 4254 s7.2 wants one; OpenSSH -W sends this
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(5); // a cut line shows within 20 s, inside most windows
const DEFAULT_KEEPALIVE_MAX: u32 = 3; // as OpenSSH
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(20); // slow gateways look their clients up in the DNS
const DEFAULT_CHANNEL_TIMEOUT: Duration = Duration::from_secs(20); // well below a TCP connect timeout of two minutes
