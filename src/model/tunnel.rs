//! What a tunnel that was brought up has to say for itself.

use super::frame::Timestamp;
use super::window::EarlierConn;
use std::net::SocketAddr;

/// One forward (`-L`) and what went through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardRecord {
    /// Name of the service.
    pub service: String,
    /// Its mouth, as it was really bound.
    pub listen: SocketAddr,
    /// Where the gateway connects to.
    pub host: String,
    /// Port there.
    pub port: u16,
    /// Connections taken in at the mouth.
    pub conns: u64,
    /// Of those, how many the gateway opened to the service.
    pub opened: u64,
    /// Octets from the client into the tunnel.
    pub bytes_in: u64,
    /// Octets from the tunnel to the client.
    pub bytes_out: u64,
    /// The last refusal, in the gateway's words.
    pub last_error: Option<String>,
}

/// The tunnel of a run (`TunnelMode::Builtin`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelRecord {
    /// Our end of the TCP connection to the gateway (or to the first jump host).
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// `SHA256:...` of the gateway's host key.
    pub host_key: String,
    /// How the host key was verified: `known_hosts line 3 of ~/.ssh/known_hosts`, `--accept-host-key`, ...
    pub host_key_source: String,
    /// The gateway's identification string.
    pub server_version: String,
    /// Agreed key exchange, as our own SSH stack reports it.
    pub kex: String,
    /// Agreed cipher, likewise.
    pub cipher: String,
    /// Agreed MAC, likewise; empty for a cipher with a tag of its own.
    pub mac: String,
    /// When it was authenticated.
    pub up: Timestamp,
    /// When and why it ended before the window did.
    pub lost: Option<(Timestamp, String)>,
    /// What went through it.
    pub forwards: Vec<ForwardRecord>,
    /// Its connections before this one, each ended on purpose.
    pub earlier: Vec<EarlierConn>,
}
