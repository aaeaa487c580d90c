//! What a live run writes into its recording.

use super::window::{Earlier, Window};
use super::{Addresses, Forward, Head, Mark, Tail, Token, Tunnel};
use crate::model::{
    ControlRecord, ControlToken, ForwardRecord, PhaseMark, Target, Timestamp, TunnelRecord,
    WindowRecord,
};
use std::net::IpAddr;

/// Version of both, raised when a key changes its meaning.
const VERSION: u32 = 1;

impl Head {
    /// The head of a run with this control.
    pub(in crate::run) fn new(control: &ControlRecord, vantages: Vec<Vec<u32>>) -> Self {
        let tokens = control.tokens.iter().map(Token::from).collect();
        Self { version: VERSION, tokens, vantages }
    }
}

impl Tail {
    /// The tail of a run.
    pub(in crate::run) fn new(
        control: &ControlRecord,
        watched: &[(&Target, Option<&TunnelRecord>)],
        clients: &[IpAddr],
        unwatched: &[String],
        window: &WindowRecord,
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
            unwatched: unwatched.to_vec(),
            window: Window::from(window),
        }
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

impl From<&PhaseMark> for Mark {
    fn from(mark: &PhaseMark) -> Self {
        Self { phase: mark.phase.to_string(), start_ns: mark.start.as_nanos() }
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
            earlier: tunnel.earlier.iter().map(Earlier::from).collect(),
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
    use crate::model::{ControlPath, Phase, TunnelMode};

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
            earlier: vec![crate::model::EarlierConn {
                local: "10.77.0.10:39999".parse().unwrap(),
                remote: "10.77.0.20:22".parse().unwrap(),
                up: Timestamp::from_nanos(1),
                down: Timestamp::from_nanos(4),
                why: "cut on purpose".to_owned(),
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
        let window = super::super::window::tests::window();
        let watched = [(&target, Some(&tunnel))];
        let tail = Tail::new(&control, &watched, &clients, &["mail".to_owned()], &window);
        let text = serde_json::to_string(&tail).unwrap();
        let read: Tail = serde_json::from_str(&text).unwrap();
        assert_eq!(read.control(), control);
        assert_eq!(read.tunnel("dasher"), Some(tunnel));
        assert_eq!(read.tunnel("dancer"), None);
        assert_eq!(read.clients(), clients);
        assert_eq!(read.unwatched(), ["mail"]);
        assert_eq!(read.window(), window);
        let mut bare = Target { gateway_addresses: Vec::new(), ..target.clone() };
        read.add_addresses(&mut bare);
        assert_eq!(bare, target);
    }

    #[test]
    fn a_recording_without_its_end_has_a_control_of_which_nothing_was_sent() {
        let text = serde_json::to_string(&Head::new(&control(), vec![vec![0], vec![1]])).unwrap();
        let read: Head = serde_json::from_str(&text).unwrap();
        assert_eq!(read.tokens().len(), 2);
        assert_eq!(read.vantages(), [[0], [1]]);
        assert!(read.control().tokens.iter().all(|token| token.sent.is_none()));
    }
}
