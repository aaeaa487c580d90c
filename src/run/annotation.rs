//! What a recording made by tunnelcheck says of itself, as JSON in the comments of its pcapng blocks.
//!
//! The head stands in the section header and is written before the first frame: the tokens that the matcher must know.
//! The tail stands in the last interface statistics block: what became of the run. Unknown keys are passed over, so
//! that a later version may add some.

use crate::model::{
    ControlPath, ControlRecord, ControlToken, ForwardRecord, Phase, PhaseMark, Target, Timestamp,
    TunnelRecord,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What is known before the first frame.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Head {
    version: u32,
    tokens: Vec<Token>,
}

/// What is known after the last frame.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tail {
    version: u32,
    tokens: Vec<Token>,
    phases: Vec<Mark>,
    tunnels: BTreeMap<String, Tunnel>,
    addresses: BTreeMap<String, Addresses>,
    clients: Vec<IpAddr>,
}

/// Version of both, raised when a key changes its meaning.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Token {
    phase: String,
    path: String,
    interface_id: u32,
    #[serde(rename = "token")]
    text: String,
    sent_ns: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    phase: String,
    start_ns: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tunnel {
    local: SocketAddr,
    remote: SocketAddr,
    host_key: String,
    host_key_source: String,
    server_version: String,
    kex: String,
    cipher: String,
    mac: String,
    up_ns: i64,
    lost: Option<(i64, String)>,
    forwards: Vec<Forward>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Forward {
    service: String,
    listen: SocketAddr,
    host: String,
    port: u16,
    conns: u64,
    opened: u64,
    bytes_in: u64,
    bytes_out: u64,
    last_error: Option<String>,
}

/// Where a target's hosts were when it was watched.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Addresses {
    gateway: Vec<IpAddr>,
    services: BTreeMap<String, Vec<IpAddr>>,
    exempts: BTreeMap<String, Vec<IpAddr>>,
}

impl Head {
    /// The head of a run with this control.
    pub(super) fn new(control: &ControlRecord) -> Self {
        Self { version: VERSION, tokens: control.tokens.iter().map(Token::from).collect() }
    }

    /// The texts of the tokens.
    pub(super) fn tokens(&self) -> Vec<String> {
        self.tokens.iter().map(|token| token.text.clone()).collect()
    }

    /// The control as it was planned; nothing of it counts as sent.
    pub(super) fn control(&self) -> ControlRecord {
        let tokens = self.tokens.iter().filter_map(Token::to_model);
        let tokens = tokens.map(|token| ControlToken { sent: None, ..token }).collect();
        ControlRecord { tokens, phases: Vec::new() }
    }
}

impl Tail {
    /// The tail of a run.
    pub(super) fn new(
        control: &ControlRecord,
        watched: &[(&Target, Option<&TunnelRecord>)],
        clients: &[IpAddr],
    ) -> Self {
        let tunnels = watched.iter().filter_map(|(target, tunnel)| {
            tunnel.map(|tunnel| (target.name.clone(), Tunnel::from(tunnel)))
        });
        let addresses =
            watched.iter().map(|(target, _)| (target.name.clone(), Addresses::from(*target)));
        Self {
            version: VERSION,
            tokens: control.tokens.iter().map(Token::from).collect(),
            phases: control.phases.iter().map(Mark::from).collect(),
            tunnels: tunnels.collect(),
            addresses: addresses.collect(),
            clients: clients.to_vec(),
        }
    }

    /// The control as it was sent.
    pub(super) fn control(&self) -> ControlRecord {
        ControlRecord {
            tokens: self.tokens.iter().filter_map(Token::to_model).collect(),
            phases: self.phases.iter().filter_map(Mark::to_model).collect(),
        }
    }

    /// The tunnel of that target.
    pub(super) fn tunnel(&self, target: &str) -> Option<TunnelRecord> {
        self.tunnels.get(target).map(Tunnel::to_model)
    }

    /// Addresses of the machine that was watched.
    pub(super) fn clients(&self) -> &[IpAddr] {
        &self.clients
    }

    /// Adds to a target the addresses that its hosts had when it was watched.
    pub(super) fn add_addresses(&self, target: &mut Target) {
        let Some(known) = self.addresses.get(&target.name) else { return };
        add(&mut target.gateway_addresses, &known.gateway);
        for service in &mut target.services {
            if let Some(addresses) = known.services.get(&service.name) {
                add(&mut service.addresses, addresses);
            }
        }
        for exempt in &mut target.exempts {
            if let Some(addresses) = known.exempts.get(&exempt.name) {
                add(&mut exempt.addresses, addresses);
            }
        }
    }
}

/// Adds what is not there yet, and keeps the order.
pub(super) fn add(known: &mut Vec<IpAddr>, more: &[IpAddr]) {
    for address in more {
        if !known.contains(address) {
            known.push(*address);
        }
    }
}

fn phase(name: &str) -> Option<Phase> {
    [Phase::Before, Phase::During, Phase::After].into_iter().find(|p| p.to_string() == name)
}

impl Token {
    fn to_model(&self) -> Option<ControlToken> {
        let path = [ControlPath::Clear, ControlPath::Tunnel]
            .into_iter()
            .find(|path| path.to_string() == self.path)?;
        Some(ControlToken {
            phase: phase(&self.phase)?,
            path,
            interface_id: self.interface_id,
            token: self.text.clone(),
            sent: self.sent_ns.map(Timestamp::from_nanos),
        })
    }
}

impl From<&ControlToken> for Token {
    fn from(token: &ControlToken) -> Self {
        Self {
            phase: token.phase.to_string(),
            path: token.path.to_string(),
            interface_id: token.interface_id,
            text: token.token.clone(),
            sent_ns: token.sent.map(Timestamp::as_nanos),
        }
    }
}

impl Mark {
    fn to_model(&self) -> Option<PhaseMark> {
        Some(PhaseMark { phase: phase(&self.phase)?, start: Timestamp::from_nanos(self.start_ns) })
    }
}

impl From<&PhaseMark> for Mark {
    fn from(mark: &PhaseMark) -> Self {
        Self { phase: mark.phase.to_string(), start_ns: mark.start.as_nanos() }
    }
}

impl Tunnel {
    fn to_model(&self) -> TunnelRecord {
        TunnelRecord {
            local: self.local,
            remote: self.remote,
            host_key: self.host_key.clone(),
            host_key_source: self.host_key_source.clone(),
            server_version: self.server_version.clone(),
            kex: self.kex.clone(),
            cipher: self.cipher.clone(),
            mac: self.mac.clone(),
            up: Timestamp::from_nanos(self.up_ns),
            lost: self.lost.as_ref().map(|(at, why)| (Timestamp::from_nanos(*at), why.clone())),
            forwards: self.forwards.iter().map(Forward::to_model).collect(),
        }
    }
}

impl From<&TunnelRecord> for Tunnel {
    fn from(tunnel: &TunnelRecord) -> Self {
        Self {
            local: tunnel.local,
            remote: tunnel.remote,
            host_key: tunnel.host_key.clone(),
            host_key_source: tunnel.host_key_source.clone(),
            server_version: tunnel.server_version.clone(),
            kex: tunnel.kex.clone(),
            cipher: tunnel.cipher.clone(),
            mac: tunnel.mac.clone(),
            up_ns: tunnel.up.as_nanos(),
            lost: tunnel.lost.as_ref().map(|(at, why)| (at.as_nanos(), why.clone())),
            forwards: tunnel.forwards.iter().map(Forward::from).collect(),
        }
    }
}

impl Forward {
    fn to_model(&self) -> ForwardRecord {
        ForwardRecord {
            service: self.service.clone(),
            listen: self.listen,
            host: self.host.clone(),
            port: self.port,
            conns: self.conns,
            opened: self.opened,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            last_error: self.last_error.clone(),
        }
    }
}

impl From<&ForwardRecord> for Forward {
    fn from(forward: &ForwardRecord) -> Self {
        Self {
            service: forward.service.clone(),
            listen: forward.listen,
            host: forward.host.clone(),
            port: forward.port,
            conns: forward.conns,
            opened: forward.opened,
            bytes_in: forward.bytes_in,
            bytes_out: forward.bytes_out,
            last_error: forward.last_error.clone(),
        }
    }
}

impl From<&Target> for Addresses {
    fn from(target: &Target) -> Self {
        let services = target.services.iter().map(|s| (s.name.clone(), s.addresses.clone()));
        let exempts = target.exempts.iter().map(|e| (e.name.clone(), e.addresses.clone()));
        Self {
            gateway: target.gateway_addresses.clone(),
            services: services.collect(),
            exempts: exempts.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TunnelMode;

    fn control() -> ControlRecord {
        let token = |phase, path, sent| ControlToken {
            phase,
            path,
            interface_id: 1,
            token: format!("tunnelcheck-control-{phase}-{path}"),
            sent,
        };
        let at = Timestamp::from_nanos(1_050_416_296_000_000_001);
        ControlRecord {
            tokens: vec![
                token(Phase::Before, ControlPath::Clear, Some(at)),
                token(Phase::After, ControlPath::Tunnel, None),
            ],
            phases: vec![PhaseMark { phase: Phase::During, start: at }],
        }
    }

    fn tunnel() -> TunnelRecord {
        TunnelRecord {
            local: "10.77.0.10:40000".parse().unwrap(),
            remote: "10.77.0.20:22".parse().unwrap(),
            host_key: "SHA256:x".to_owned(),
            host_key_source: "known_hosts line 1".to_owned(),
            server_version: "SSH-2.0-OpenSSH_9.2p1".to_owned(),
            kex: "curve25519-sha256".to_owned(),
            cipher: "aes256-gcm@openssh.com".to_owned(),
            mac: String::new(),
            up: Timestamp::from_nanos(5),
            lost: Some((Timestamp::from_nanos(9), "keepalive timeout".to_owned())),
            forwards: vec![ForwardRecord {
                service: "mail".to_owned(),
                listen: "127.0.0.1:2151".parse().unwrap(),
                host: "dasher.dartmouth.edu".to_owned(),
                port: 2151,
                conns: 2,
                opened: 1,
                bytes_in: 3,
                bytes_out: 4,
                last_error: Some("refused".to_owned()),
            }],
        }
    }

    fn target() -> Target {
        Target {
            name: "dasher".to_owned(),
            tunnel: TunnelMode::Builtin,
            gateway_host: Some("nimbus".to_owned()),
            gateway_port: 22,
            gateway_addresses: vec!["10.77.0.20".parse().unwrap()],
            clients: Vec::new(),
            services: Vec::new(),
            identifiers: Vec::new(),
            exempts: Vec::new(),
            any_vantage: false,
        }
    }

    #[test]
    fn what_was_written_into_a_recording_is_read_back() {
        let (control, tunnel, target) = (control(), tunnel(), target());
        let clients = ["10.77.0.10".parse().unwrap()];
        let tail = Tail::new(&control, &[(&target, Some(&tunnel))], &clients);
        let text = serde_json::to_string(&tail).unwrap();
        let read: Tail = serde_json::from_str(&text).unwrap();
        assert_eq!(read.control(), control);
        assert_eq!(read.tunnel("dasher"), Some(tunnel));
        assert_eq!(read.tunnel("dancer"), None);
        assert_eq!(read.clients(), clients);
        let mut bare = Target { gateway_addresses: Vec::new(), ..target.clone() };
        read.add_addresses(&mut bare);
        assert_eq!(bare, target);
    }

    #[test]
    fn a_recording_without_its_end_has_a_control_of_which_nothing_was_sent() {
        let text = serde_json::to_string(&Head::new(&control())).unwrap();
        let read: Head = serde_json::from_str(&text).unwrap();
        assert_eq!(read.tokens().len(), 2);
        assert!(read.control().tokens.iter().all(|token| token.sent.is_none()));
    }
}
