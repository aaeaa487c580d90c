//! Whether the gateway lets us in, and who holds a connection to it: the second half of the paper's netstat test.

use super::check::{Check, Outcome, Remedy};
use super::facts::{Facts, command_line, described, towards};
use super::mouths::start;
use crate::model::{TunnelMode, Vantage};
use crate::tunnel::{Prompt, Tunnel, TunnelError};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicBool;

const NAME: &str = "gateway";

/// A tunnel brought up for the checks, its mouths anywhere.
pub(super) enum Trial {
    /// It came up.
    Up(Box<Tunnel>),
    /// It did not.
    Failed(TunnelError),
    /// It is not ours to bring up.
    NotOurs,
}

pub(super) fn dial(facts: &Facts, prompt: &mut dyn Prompt, interrupted: &AtomicBool) -> Trial {
    let Some(spec) = &facts.spec else { return Trial::NotOurs };
    let mut spec = spec.clone();
    // The real mouths may be in use, and must not be disturbed.
    for forward in &mut spec.forwards {
        forward.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    }
    spec.gateway_ports = false;
    match Tunnel::bind(spec).and_then(|bound| bound.up_unless(prompt, interrupted)) {
        Ok(tunnel) => Trial::Up(Box::new(tunnel)),
        Err(error) => Trial::Failed(error),
    }
}

pub(super) fn check(facts: &Facts, trial: &Trial) -> Vec<Check> {
    let target = facts.target();
    let Some(host) = &target.gateway_host else {
        return vec![
            Check::new(NAME, "no-tunnel", "gateway", Outcome::NotApplicable)
                .saw("the target has no tunnel"),
        ];
    };
    let subject = format!("{host} port {}", target.gateway_port);
    let mut checks = Vec::new();
    if target.gateway_addresses.is_empty() {
        checks.push(
            Check::new(NAME, "gateway-unresolved", subject.clone(), Outcome::Cause)
                .saw("its name leads nowhere")
                .with(Remedy::say("check the gateway's name in the target, and the name servers")),
        );
    }
    checks.extend(login(facts, trial, &subject));
    checks.push(connections(facts, &subject));
    checks
}

fn login(facts: &Facts, trial: &Trial, subject: &str) -> Option<Check> {
    let new = |code, outcome| Check::new(NAME, code, subject, outcome);
    match trial {
        Trial::NotOurs => None,
        Trial::Up(tunnel) => {
            let record = tunnel.record();
            let mut check = new("login", Outcome::Fine)
                .saw(format!(
                    "a trial tunnel came up: {}, {}",
                    record.server_version, record.cipher
                ))
                .saw(format!("host key {} ({})", record.host_key, record.host_key_source));
            for note in tunnel.notes() {
                check = check.saw(note.clone());
            }
            Some(check)
        }
        Trial::Failed(error) => {
            let (code, outcome) = match error {
                TunnelError::Resolve { .. } | TunnelError::Connect { .. } => {
                    ("gateway-unreachable", Outcome::Cause)
                }
                TunnelError::Jump { .. } => ("jump-refused", Outcome::Cause),
                TunnelError::HostKeyUnknown { .. } | TunnelError::HostKeyNotAccepted { .. } => {
                    ("host-key-unknown", Outcome::Cause)
                }
                TunnelError::HostKeyChanged(_)
                | TunnelError::HostKeyOtherType(_)
                | TunnelError::HostKeyRevoked { .. }
                | TunnelError::HostKeyAuthorityOnly { .. } => ("host-key", Outcome::Cause),
                TunnelError::Denied { nobody_to_ask: true, .. } => {
                    ("login-unasked", Outcome::Unknown)
                }
                TunnelError::Denied { .. } | TunnelError::AuthCut { .. } => {
                    ("login-denied", Outcome::Cause)
                }
                TunnelError::Interrupted => ("interrupted", Outcome::Unknown),
                TunnelError::Runtime { .. }
                | TunnelError::Mouth { .. }
                | TunnelError::KnownHosts { .. } => ("trial-failed", Outcome::Unknown),
                _ => ("handshake", Outcome::Cause),
            };
            let mut check = new(code, outcome).saw(error.to_string());
            let mut cause = std::error::Error::source(error);
            while let Some(deeper) = cause {
                check = check.saw(deeper.to_string());
                cause = deeper.source();
            }
            Some(match advice(facts, error) {
                Some(remedy) => check.with(remedy),
                None => check,
            })
        }
    }
}

fn advice(facts: &Facts, error: &TunnelError) -> Option<Remedy> {
    let say = error.remedy()?;
    let remedy = Remedy::say(say);
    Some(match error {
        TunnelError::HostKeyChanged(conflict) | TunnelError::HostKeyOtherType(conflict) => remedy
            .then(format!(
                "ssh-keygen -R {} -f {}",
                super::facts::quoted(&conflict.host),
                super::facts::quoted(&conflict.file.display().to_string())
            )),
        TunnelError::HostKeyUnknown { fingerprint, .. }
        | TunnelError::HostKeyNotAccepted { fingerprint, .. } => remedy.then(facts.ours(&format!(
            "diagnose {} --accept-host-key {fingerprint}",
            super::facts::quoted(&facts.target().name)
        ))),
        _ => remedy,
    })
}

/// Established connections to the gateway, with their processes.
fn connections(facts: &Facts, subject: &str) -> Check {
    let new = |code, outcome| Check::new(NAME, code, subject, outcome);
    if let Err(error) = &facts.sockets {
        return new("sockets-unread", Outcome::Unknown).saw(error.to_string());
    }
    if !facts.gateway_conns.is_empty() {
        let mut check = new("connected", Outcome::Fine);
        for conn in &facts.gateway_conns {
            let who: Vec<String> = conn.holders.iter().map(described).collect();
            let who = if who.is_empty() {
                "a process that cannot be seen".to_owned()
            } else {
                who.join(", ")
            };
            let to = conn.socket.remote.map(|it| it.to_string()).unwrap_or_default();
            check = check.saw(format!("{} -> {to} is open, held by {who}", conn.socket.local));
            check.command_lines.extend(conn.holders.iter().map(command_line));
        }
        return check;
    }
    let listens = facts.mouths.iter().any(|mouth| mouth.is_tunnel == Some(true));
    if listens {
        // A jump host or a master may hold it in another way: the greeting decides.
        return new("connection-not-seen", Outcome::Note)
            .saw("the tunnel listens, and no connection of this machine to the gateway is open: it may go by a proxy, or be lost");
    }
    if facts.target().tunnel == TunnelMode::External
        && !facts.mouths.iter().any(|it| it.listener.is_some())
    {
        let through_device = facts.services().any(|(_, service)| {
            service.addresses.iter().any(|ip| {
                towards(*ip).is_some_and(|interface| interface.vantage == Vantage::TunnelDevice)
            })
        });
        if through_device {
            return new("vpn", Outcome::Fine)
                .saw("the services are reached by the device of a tunnel");
        }
        return new("not-connected", Outcome::Cause)
            .saw("no connection to the gateway is open, nobody listens for it, and no route leads into the device of a tunnel")
            .with(start(facts));
    }
    new("not-connected", Outcome::Note)
        .saw("no connection to the gateway is open now")
        .with(start(facts))
}
