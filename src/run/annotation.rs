//! What a recording made by tunnelcheck says of itself, as JSON in the comments of its pcapng blocks.
//!
//! The head stands in the section header and is written before the first frame: the tokens that the matcher must know.
//! The tail stands in the last interface statistics block: what became of the run. Unknown keys are passed over, so
//! that a later version may add some.

mod window;
#[cfg(feature = "live")]
mod write;

use crate::model::{
    ControlPath, ControlRecord, ControlToken, ForwardRecord, Phase, PhaseMark, Target, Timestamp,
    TunnelRecord, WindowRecord,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use window::{Earlier, Window};

/// What is known before the first frame.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Head {
    version: u32,
    tokens: Vec<Token>,
    /// Interfaces of the vantages, where there are several: the conns of each are put together apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    vantages: Vec<Vec<u32>>,
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
    #[serde(default)]
    unwatched: Vec<String>,
    #[serde(default)]
    window: Window,
}

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
    #[serde(default)]
    earlier: Vec<Earlier>,
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
    /// The texts of the tokens.
    pub(super) fn tokens(&self) -> Vec<String> {
        self.tokens.iter().map(|token| token.text.clone()).collect()
    }

    /// The interfaces of each vantage; empty where there is but one.
    pub(super) fn vantages(&self) -> &[Vec<u32>] {
        &self.vantages
    }

    /// The control as it was planned; nothing of it counts as sent.
    pub(super) fn control(&self) -> ControlRecord {
        let tokens = self.tokens.iter().filter_map(Token::to_model);
        let tokens = tokens.map(|token| ControlToken { sent: None, ..token }).collect();
        ControlRecord { tokens, phases: Vec::new() }
    }
}

impl Tail {
    /// The control as it was sent.
    pub(super) fn control(&self) -> ControlRecord {
        ControlRecord {
            tokens: self.tokens.iter().filter_map(Token::to_model).collect(),
            phases: self.phases.iter().filter_map(Mark::to_model).collect(),
        }
    }

    /// Phases, disruptions and vantages.
    pub(super) fn window(&self) -> WindowRecord {
        self.window.to_model()
    }

    /// The tunnel of that target.
    pub(super) fn tunnel(&self, target: &str) -> Option<TunnelRecord> {
        self.tunnels.get(target).map(Tunnel::to_model)
    }

    /// Routes of services that nobody watched, in words.
    pub(super) fn unwatched(&self) -> &[String] {
        &self.unwatched
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

impl Mark {
    fn to_model(&self) -> Option<PhaseMark> {
        Some(PhaseMark { phase: phase(&self.phase)?, start: Timestamp::from_nanos(self.start_ns) })
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
            earlier: self.earlier.iter().map(Earlier::to_model).collect(),
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
