//! The ready plan, and what the command line adds to it.

use crate::model::{Target, TunnelMode};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What a service may be. `http` is another word for `http1`.
pub const SERVICE_KINDS: &[&str] = &[
    "blitzmail",
    "bulletins",
    "dnd",
    "notify",
    "pop3",
    "imap",
    "smtp",
    "nntp",
    "ftp",
    "telnet",
    "http1",
    "postgres",
    "mysql",
    "redis",
    "ldap",
    "vnc",
    "ssh",
    "tls",
    "dns",
    "generic",
];

/// A target that is ready: everything in it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is to be proven encrypted.
    pub target: Target,
    /// How to bring the tunnel up; present with `TunnelMode::Builtin`, unless it was made for a recording alone.
    pub ssh: Option<SshPlan>,
    /// Where it was written: `tunnelcheck.toml:12 [target.dasher]`, `~/.ssh/config:3 Host incoming_mail`.
    pub origin: String,
    /// What the user should know; each names its file and line where it has one.
    pub warnings: Vec<String>,
    /// The target file that it was found in; none for a block of ssh_config and for a manifest.
    pub file: Option<PathBuf>,
    /// The names of each service's host as they were written, in the order of the services.
    pub names: Vec<WrittenNames>,
}

/// The names of a service's host as somebody wrote them: case and trailing dot are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenNames {
    /// The service.
    pub service: String,
    /// Host and aliases, as written.
    pub names: Vec<String>,
}

/// How to bring the tunnel up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a yes or no of ssh_config(5)")]
pub struct SshPlan {
    /// Name or address of the gateway to log in on, lower case without a trailing dot.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// Name that stands for the gateway in known_hosts.
    pub host_key_alias: Option<String>,
    /// Private keys to offer, in this order.
    pub identity_files: Vec<PathBuf>,
    /// Nobody named a key: `identity_files` are ssh's usual ones, and a missing one is no error.
    pub default_identities: bool,
    /// Keys of the agent that are not among `identity_files` are not offered.
    pub identities_only: bool,
    /// Socket of the agent (`IdentityAgent`, else `SSH_AUTH_SOCK`); none: no agent is asked.
    pub identity_agent: Option<PathBuf>,
    /// The user's known_hosts files; the first takes new keys.
    pub known_hosts: Vec<PathBuf>,
    /// The system's known_hosts files.
    pub global_known_hosts: Vec<PathBuf>,
    /// Hosts to go through, the first one first.
    pub proxy_jump: Vec<Hop>,
    /// Mouths without an address of their own are open to other hosts (`ssh -g`); already in `forwards`.
    pub gateway_ports: bool,
    /// Interval of keepalive messages inside SSH; none: nobody asked for one.
    pub keepalive: Option<Duration>,
    /// Unanswered keepalives after which the tunnel counts as lost.
    pub keepalive_max: u32,
    /// `SO_KEEPALIVE` on the connection (`TCPKeepAlive`, and its old name `KeepAlive`).
    pub tcp_keepalive: bool,
    /// Limit for the connection to open; none: the program's own.
    pub connect_timeout: Option<Duration>,
    /// Compression is asked for.
    pub compression: bool,
    /// IP version to connect with.
    pub address_family: AddressFamily,
    /// Local address to connect from.
    pub bind_address: Option<IpAddr>,
    /// `Ciphers`, with its leading `+`, `-` or `^`.
    pub ciphers: Option<String>,
    /// `MACs`, likewise.
    pub macs: Option<String>,
    /// `KexAlgorithms`, likewise.
    pub kex: Option<String>,
    /// `HostKeyAlgorithms`, likewise.
    pub host_key_algorithms: Option<String>,
    /// The forwards, one for each TCP service that has a mouth.
    pub forwards: Vec<ForwardPlan>,
}

/// A host to go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Name or address, lower case without a trailing dot.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// Name that stands for it in known_hosts.
    pub host_key_alias: Option<String>,
    /// Private keys to offer, in this order.
    pub identity_files: Vec<PathBuf>,
    /// Nobody named a key: `identity_files` are ssh's usual ones, and a missing one is no error.
    pub default_identities: bool,
    /// Keys of the agent that are not among `identity_files` are not offered.
    pub identities_only: bool,
    /// Socket of the agent; none: no agent is asked.
    pub identity_agent: Option<PathBuf>,
    /// The user's known_hosts files.
    pub known_hosts: Vec<PathBuf>,
    /// The system's known_hosts files.
    pub global_known_hosts: Vec<PathBuf>,
}

/// IP version to connect with (`AddressFamily`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// Whatever the name resolves to.
    #[default]
    Any,
    /// IPv4 alone.
    Inet,
    /// IPv6 alone.
    Inet6,
}

/// One forward (`-L`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardPlan {
    /// Name of the service.
    pub service: String,
    /// Its mouth.
    pub listen: SocketAddr,
    /// Where the gateway connects to, as the gateway knows it (`localhost` is the gateway itself).
    pub host: String,
    /// Port there.
    pub port: u16,
}

/// What the command line says; it wins over the files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`: this target file and no other.
    pub config: Option<PathBuf>,
    /// `--ssh-config`: this ssh_config and no other (`ssh -F`).
    pub ssh_config: Option<PathBuf>,
    /// `--identifier`: added under the label `identifier`.
    pub identifiers: Vec<String>,
    /// Who makes the tunnel.
    pub tunnel: Option<TunnelMode>,
    /// Addresses of the watched host.
    pub clients: Vec<IpAddr>,
    /// Mouths open to other hosts (`ssh -g`).
    pub gateway_ports: Option<bool>,
    /// Private key.
    pub identity_file: Option<PathBuf>,
}

/// A target that could be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub origin: String,
    /// Its gateway as written, where it has one.
    pub gateway: Option<String>,
    /// Names of its services.
    pub services: Vec<String>,
}
