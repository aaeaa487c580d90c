//! Direct connections to the services: whose they are, and whether they are older than the tunnel.

use super::check::{Check, Outcome, Remedy};
use super::facts::{Facts, age, command_line, described};
use crate::machine::{Holders, Socket, State, Transport};
use crate::model::{ProcessRecord, Service, TunnelMode, Vantage};
use std::collections::BTreeSet;

const NAME: &str = "conns";

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    if facts.target().tunnel == TunnelMode::None {
        return vec![
            Check::new(NAME, "no-tunnel", "services", Outcome::NotApplicable)
                .saw("the target has no tunnel: its services are used directly"),
        ];
    }
    if let Err(error) = &facts.sockets {
        return vec![
            Check::new(NAME, "sockets-unread", "services", Outcome::Unknown).saw(error.to_string()),
        ];
    }
    let mut checks = Vec::new();
    for (_, service) in facts.services() {
        if facts.is_exempt(service) {
            continue;
        }
        if service.addresses.is_empty() {
            checks.push(
                Check::new(NAME, "service-address-unknown", service.name.clone(), Outcome::Unknown)
                    .saw(format!(
                        "where {} is on the wire is not known: direct connections to it cannot be told",
                        service.host
                    ))
                    .with(Remedy::say(format!(
                        "write address = [\"...\"] in [[target.{}.service]] \"{}\"",
                        facts.target().name,
                        service.name
                    ))),
            );
            continue;
        }
        checks.push(judge(facts, service));
    }
    checks
}

fn judge(facts: &Facts, service: &Service) -> Check {
    let subject = format!("{} port {}", service.name, service.port);
    let transport = if service.is_udp { Transport::Udp } else { Transport::Tcp };
    let direct: Vec<&Socket> = facts
        .all_sockets()
        .iter()
        .filter(|socket| socket.transport == transport && socket.state != State::Listen)
        .filter(|socket| {
            socket
                .remote
                .is_some_and(|it| it.port() == service.port && service.addresses.contains(&it.ip()))
        })
        .filter(|socket| !is_carried(facts, socket))
        .collect();
    let (over, open): (Vec<&Socket>, Vec<&Socket>) =
        direct.iter().partition(|socket| socket.state == State::TimeWait);
    let new = |code, outcome| Check::new(NAME, code, subject.clone(), outcome);
    if open.is_empty() {
        if over.is_empty() {
            return new("no-direct", Outcome::Fine).saw("no direct connection is open");
        }
        return new("direct-over", Outcome::Note).saw(format!(
            "{} direct connections were closed within the last minute; whose they were is not known any more",
            over.len()
        ));
    }
    let holders = Holders::of(open.iter().copied());
    let mut check = new("direct", Outcome::Cause);
    let mut people: Vec<ProcessRecord> = Vec::new();
    let mut early = false;
    for socket in &open {
        let held = holders.processes(socket);
        let to = socket.remote.map(|it| it.to_string()).unwrap_or_default();
        let who: Vec<String> = held.iter().map(described).collect();
        let who = match (who.is_empty(), socket.uid) {
            (false, _) => who.join(", "),
            (true, Some(uid)) if holders.unreadable > 0 => {
                format!("a process of user number {uid} (run as root to see which)")
            }
            (true, _) => "a process that is not seen here".to_owned(),
        };
        check = check.saw(format!("{} -> {to} goes past the tunnel, held by {who}", socket.local));
        for process in held {
            early |= is_older(facts, &process);
            if !people.iter().any(|it| it.pid == process.pid) {
                people.push(process);
            }
        }
    }
    if early {
        check.code = "direct-older-than-tunnel";
        check = check.saw(format!(
            "it was started before the tunnel{}: it keeps the addresses that it found then",
            tunnel_age(facts).map(|it| format!(" ({} ago)", age(it))).unwrap_or_default()
        ));
    }
    check.command_lines = people.iter().map(command_line).collect();
    check.with(remedy(facts, service, &people))
}

fn remedy(facts: &Facts, service: &Service, people: &[ProcessRecord]) -> Remedy {
    if service.is_udp {
        return super::udp::remedy(facts, service);
    }
    let names: BTreeSet<&str> = people.iter().map(|it| it.name.as_str()).collect();
    let who = if names.is_empty() {
        "the client".to_owned()
    } else {
        names.into_iter().collect::<Vec<_>>().join(" and ")
    };
    let mut remedy = Remedy::say(format!(
        "quit {who}, see that the names lead to the mouth and that the tunnel is up, and start it again"
    ));
    for process in people {
        let own = process.uid.is_some() && process.uid == own_uid();
        let kill = format!("kill {}", process.pid);
        remedy = remedy.then(if own { kill } else { facts.root(&kill) });
    }
    remedy
}

fn own_uid() -> Option<u32> {
    crate::machine::process(std::process::id()).and_then(|it| it.uid)
}

/// Whether the way of a socket is the device of a tunnel: then it is no bypass.
fn is_carried(facts: &Facts, socket: &Socket) -> bool {
    facts.target().tunnel == TunnelMode::External
        && socket
            .remote
            .and_then(|it| super::facts::towards(it.ip()))
            .is_some_and(|interface| interface.vantage == Vantage::TunnelDevice)
}

/// Seconds since the tunnel's process was started; the youngest, where there are several.
fn tunnel_age(facts: &Facts) -> Option<u64> {
    let by_conn = facts.gateway_conns.iter().flat_map(|conn| &conn.holders);
    let by_mouth = facts
        .mouths
        .iter()
        .filter(|mouth| mouth.is_tunnel == Some(true))
        .flat_map(|mouth| &mouth.holders);
    by_conn.chain(by_mouth).filter_map(|it| it.age_s).min()
}

fn is_older(facts: &Facts, process: &ProcessRecord) -> bool {
    matches!((process.age_s, tunnel_age(facts)), (Some(own), Some(tunnel)) if own > tunnel)
}
