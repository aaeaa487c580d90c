//! Why a tunnel could not be brought up, or is no longer up.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// A host key that is not the one on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyConflict {
    /// The host, as `known_hosts` names it.
    pub host: String,
    /// Type of the key that it shows.
    pub key_type: String,
    /// `SHA256:...` of the key that it shows.
    pub fingerprint: String,
    /// Type of the key that is on record.
    pub known_type: String,
    /// `SHA256:...` of the key that is on record.
    pub known: String,
    /// Where.
    pub file: PathBuf,
    /// Line there, from 1.
    pub line: u64,
}

/// Why a tunnel could not be brought up, or is no longer up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// Something else listens where a forward is to open.
    #[error("cannot open the mouth {listen} of service \"{service}\": {}", taken_by(holder.as_deref()))]
    MouthTaken {
        /// The service.
        service: String,
        /// Its mouth.
        listen: SocketAddr,
        /// Who holds it, as `name (pid 123)`, where that can be seen.
        holder: Option<String>,
    },
    /// Two services of the target want the same mouth.
    #[error("services \"{first}\" and \"{second}\" both want the mouth {listen}")]
    MouthTwice {
        /// The one that has it.
        first: String,
        /// The one that wants it too.
        second: String,
        /// The mouth.
        listen: SocketAddr,
    },
    /// The mouth cannot be opened for another reason.
    #[error("cannot open the mouth {listen} of service \"{service}\"")]
    Mouth {
        /// The service.
        service: String,
        /// Its mouth.
        listen: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The runtime could not be started.
    #[error("cannot start the tunnel's runtime")]
    Runtime {
        /// The system's answer.
        source: io::Error,
    },
    /// The name of a host has no address.
    #[error("cannot resolve \"{host}\": {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's answer.
        reason: String,
    },
    /// No TCP connection to any address of a host.
    #[error("cannot connect to {host}: {}", tried.join("; "))]
    Connect {
        /// The host.
        host: String,
        /// Each address with what came of it.
        tried: Vec<String>,
    },
    /// A jump host would not open the way to the next one.
    #[error("jump host {jump} cannot reach {host}: {reason}")]
    Jump {
        /// The jump host.
        jump: String,
        /// The next one.
        host: String,
        /// Its answer.
        reason: String,
    },
    /// The SSH handshake failed.
    #[error("the SSH handshake with {host} failed: {reason}")]
    Handshake {
        /// The host.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// The SSH handshake was not over in time.
    #[error("{host} did not finish the SSH handshake within {} s", waited.as_secs_f32())]
    HandshakeTimeout {
        /// The host.
        host: String,
        /// How long it was given.
        waited: Duration,
    },
    /// The two sides share no algorithm.
    #[error("no common {kind} with {host}: it offers {theirs}, we offer {ours}")]
    NoCommonAlgorithm {
        /// The host.
        host: String,
        /// What for.
        kind: &'static str,
        /// Our list.
        ours: String,
        /// Its list.
        theirs: String,
    },
    /// A list of algorithms leaves nothing that can be used.
    #[error("{option} \"{value}\" leaves no algorithm that tunnelcheck has")]
    BadAlgorithms {
        /// The option, as `ssh_config` calls it.
        option: &'static str,
        /// Its value.
        value: String,
        /// What could be asked for.
        known: String,
    },
    /// A list of algorithms, or the handshake itself, comes down to no encryption.
    #[error("{place}: \"{algorithm}\" is no encryption or no protection of it")]
    NoProtection {
        /// The option or the host.
        place: String,
        /// The algorithm.
        algorithm: String,
    },
    /// A `known_hosts` file is there and cannot be read.
    #[error("cannot read {}", file.display())]
    KnownHosts {
        /// The file.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Nobody vouches for the host key.
    #[error(
        "the authenticity of host '{host}' cannot be established: its {key_type} key {fingerprint} is not known{}",
        bad_lines_note(*bad_lines)
    )]
    HostKeyUnknown {
        /// The host, as `known_hosts` would name it.
        host: String,
        /// Type of its key.
        key_type: String,
        /// `SHA256:...`
        fingerprint: String,
        /// Lines of the `known_hosts` files that could not be read.
        bad_lines: u64,
    },
    /// A fingerprint was given on the command line, and the key has another one.
    #[error(
        "the {key_type} key of host '{host}' is {fingerprint}, which --accept-host-key does not name"
    )]
    HostKeyNotAccepted {
        /// The host, as `known_hosts` would name it.
        host: String,
        /// Type of its key.
        key_type: String,
        /// `SHA256:...`
        fingerprint: String,
    },
    /// The host is known by another key of this type.
    #[error(
        "the host key of '{}' has changed: it shows the {} key {}, but {}:{} holds {}; somebody may be listening in, \
         or the host was set up anew",
        .0.host, .0.key_type, .0.fingerprint, .0.file.display(), .0.line, .0.known
    )]
    HostKeyChanged(Box<HostKeyConflict>),
    /// The host is known by keys of other types only, and offers none of these any more.
    #[error(
        "the host key of '{}' has changed its type: it shows the {} key {} and no {known_type} key, but {}:{} holds \
         the {known_type} key {}",
        .0.host, .0.key_type, .0.fingerprint, .0.file.display(), .0.line, .0.known, known_type = .0.known_type
    )]
    HostKeyOtherType(Box<HostKeyConflict>),
    /// The host key is marked `@revoked`.
    #[error("the {key_type} key {fingerprint} of host '{host}' is revoked by {}:{line}", file.display())]
    HostKeyRevoked {
        /// The host, as `known_hosts` names it.
        host: String,
        /// Type of its key.
        key_type: String,
        /// `SHA256:...`
        fingerprint: String,
        /// Where.
        file: PathBuf,
        /// Line there, from 1.
        line: u64,
    },
    /// Only a certificate authority vouches for the host.
    #[error(
        "host '{host}' is known through the certificate authority of {}:{line} only, and host certificates are not \
         supported; it shows the {key_type} key {fingerprint}", file.display()
    )]
    HostKeyAuthorityOnly {
        /// The host, as `known_hosts` names it.
        host: String,
        /// Type of its key.
        key_type: String,
        /// `SHA256:...`
        fingerprint: String,
        /// Where.
        file: PathBuf,
        /// Line there, from 1.
        line: u64,
    },
    /// The server let nobody in.
    #[error(
        "{user_at_host}: permission denied; tried {}; the server offers {}",
        listed(tried, "nothing"),
        listed(offered, "no method that is known")
    )]
    Denied {
        /// Who asked where.
        user_at_host: String,
        /// Each method and key with what came of it.
        tried: Vec<String>,
        /// Methods that the server still offered.
        offered: Vec<String>,
        /// Whether somebody was asked and nobody was there.
        nobody_to_ask: bool,
    },
    /// The server ended the connection in the middle of authentication.
    #[error("{user_at_host}: {reason} during authentication; tried {}", listed(tried, "nothing"))]
    AuthCut {
        /// Who asked where.
        user_at_host: String,
        /// Each method and key with what came of it.
        tried: Vec<String>,
        /// The server's words.
        reason: String,
    },
    /// The tunnel is not up.
    #[error("the tunnel is not up: {reason}")]
    NotUp {
        /// Why.
        reason: String,
    },
    /// The gateway did not answer to what was sent through the tunnel.
    #[error("the gateway did not answer through the tunnel within {} s", waited.as_secs_f32())]
    NoAnswer {
        /// How long it was given.
        waited: Duration,
    },
    /// The gateway would not open the connection to a service.
    #[error("the gateway did not open service \"{service}\": {reason}")]
    Refused {
        /// The service.
        service: String,
        /// Its words.
        reason: String,
    },
    /// The server did not start a program.
    #[error("{host} did not start a program: {reason}")]
    Exec {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// A service that has no forward.
    #[error("service \"{service}\" has no forward")]
    NoForward {
        /// The service.
        service: String,
    },
    /// The user stopped it.
    #[error("interrupted while the tunnel was being brought up")]
    Interrupted,
}

impl TunnelError {
    /// Whether another attempt would end the same way until a person does something: keys, mouths, algorithms. What the
    /// network and the gateway's restart bring about passes by itself.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::MouthTaken { .. }
            | Self::MouthTwice { .. }
            | Self::Mouth { .. }
            | Self::Runtime { .. }
            | Self::NoCommonAlgorithm { .. }
            | Self::BadAlgorithms { .. }
            | Self::NoProtection { .. }
            | Self::KnownHosts { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyNotAccepted { .. }
            | Self::HostKeyChanged(_)
            | Self::HostKeyOtherType(_)
            | Self::HostKeyRevoked { .. }
            | Self::HostKeyAuthorityOnly { .. }
            | Self::Denied { .. }
            | Self::NoForward { .. }
            | Self::Interrupted => true,
            Self::AuthCut { reason, .. } => reason.contains(TOO_MANY),
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Jump { .. }
            | Self::Handshake { .. }
            | Self::HandshakeTimeout { .. }
            | Self::NotUp { .. }
            | Self::NoAnswer { .. }
            | Self::Exec { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let text = match self {
            Self::MouthTaken { listen, holder, .. } => {
                let port = listen.port();
                let look = if holder.is_some() {
                    String::new()
                } else {
                    format!("see who holds it with `{}`, ", who_listens(port))
                };
                format!("{look}end that program (an ssh -L of your own?), or give the service another `listen`")
            }
            Self::MouthTwice { second, .. } => {
                format!("give \"{second}\" another loopback address in `listen`, such as 127.0.0.2")
            }
            Self::Mouth { listen, source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => format!(
                    "ports below 1024 need root: run with sudo, or `sudo setcap cap_net_raw,cap_net_bind_service+ep \
                     $(command -v tunnelcheck)`, or set `listen` to a port such as {}",
                    u32::from(listen.port()) + 10_000
                ),
                io::ErrorKind::AddrNotAvailable => {
                    format!(
                        "this machine does not have that address: mend `listen` (on macOS: `sudo ifconfig lo0 alias {} up`)",
                        listen.ip()
                    )
                }
                _ => return None,
            },
            Self::Resolve { host, .. } => {
                format!("check the gateway's name in the target, or try `getent hosts {host}`")
            }
            Self::Connect { host, .. } => {
                format!("check host and port of the gateway; `ssh -v {host}` shows what ssh makes of it")
            }
            Self::Jump { .. } => {
                "the jump host must allow TCP forwarding and reach the next host (AllowTcpForwarding, PermitOpen)".to_owned()
            }
            Self::NoCommonAlgorithm { kind, .. } => {
                format!("set the {kind}s in the Host block of ~/.ssh/config to one that the server offers")
            }
            Self::BadAlgorithms { known, .. } => format!("tunnelcheck has {known}"),
            Self::NoProtection { .. } => "use a real cipher: remove the setting that asks for none".to_owned(),
            Self::KnownHosts { file, .. } => format!("make {} readable, or name another known_hosts", file.display()),
            Self::HostKeyUnknown { fingerprint, .. } => format!(
                "compare the fingerprint with one from the host's administrator, then run at a terminal and type yes, \
                 or add --accept-host-key {fingerprint}"
            ),
            Self::HostKeyNotAccepted { fingerprint, .. } => {
                format!("ask the host's administrator; if this key is the right one, add --accept-host-key {fingerprint}")
            }
            Self::HostKeyChanged(conflict) | Self::HostKeyOtherType(conflict) => format!(
                "ask the host's administrator; only if the new key is the right one: `ssh-keygen -R '{}' -f {}`",
                conflict.host, conflict.file.display()
            ),
            Self::HostKeyRevoked { .. } => "do not connect; ask the host's administrator for its new key".to_owned(),
            Self::HostKeyAuthorityOnly { fingerprint, .. } => format!(
                "compare the fingerprint with one from the host's administrator, then add --accept-host-key {fingerprint}"
            ),
            Self::Denied { nobody_to_ask: true, .. } => {
                "run at a terminal to be asked for the password or passphrase, or load the key: `ssh-add`".to_owned()
            }
            Self::Denied { .. } => {
                "check the user name, the password, and the key: `identity_file` in the target, IdentityFile in ~/.ssh/config, or `ssh-add`"
                    .to_owned()
            }
            Self::AuthCut { reason, .. } if reason.contains(TOO_MANY) => {
                "name one key with `identity_file` and set IdentitiesOnly yes".to_owned()
            }
            _ => return None,
        };
        Some(text)
    }
}

/// In OpenSSH's words when it has refused every key.
const TOO_MANY: &str = "Too many authentication failures";

fn taken_by(holder: Option<&str>) -> String {
    holder.map_or_else(|| "it is taken".to_owned(), |who| format!("{who} listens there"))
}

fn bad_lines_note(bad_lines: u64) -> String {
    match bad_lines {
        0 => String::new(),
        1 => " (1 line of the known_hosts files cannot be read)".to_owned(),
        n => format!(" ({n} lines of the known_hosts files cannot be read)"),
    }
}

fn listed(items: &[String], none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

fn who_listens(port: u16) -> String {
    if cfg!(target_os = "linux") {
        format!("sudo ss -ltnp 'sport = :{port}'")
    } else {
        format!("sudo lsof -nP -iTCP:{port} -sTCP:LISTEN")
    }
}
