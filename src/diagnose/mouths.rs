//! Who listens at the mouths of the forwards: the first half of the paper's netstat test.

use super::check::{Check, Outcome, Remedy};
use super::facts::{Facts, Mouth, command_line, described, quoted};
use crate::machine::{Socket, State, Transport};
use crate::model::{Service, TunnelMode};

const NAME: &str = "mouths";

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    if let Err(error) = &facts.sockets {
        let check =
            Check::new(NAME, "sockets-unread", "sockets", Outcome::Unknown).saw(error.to_string());
        return vec![match error.remedy() {
            Some(remedy) => check.with(Remedy::say(remedy)),
            None => check,
        }];
    }
    if facts.mouths.is_empty() {
        return vec![none(facts)];
    }
    facts
        .mouths
        .iter()
        .filter_map(|mouth| Some(judge(facts, mouth, facts.service(mouth.service)?)))
        .collect()
}

fn none(facts: &Facts) -> Check {
    let new = |code, outcome| Check::new(NAME, code, "mouths", outcome);
    match facts.target().tunnel {
        TunnelMode::None => new("no-tunnel", Outcome::NotApplicable)
            .saw("the target has no tunnel: its services themselves must be encrypted"),
        _ => new("no-mouths", Outcome::NotApplicable)
            .saw("no service has a mouth that is known: a VPN has none; see the routes"),
    }
}

fn judge(facts: &Facts, mouth: &Mouth, service: &Service) -> Check {
    let subject = format!("{} at {}", service.name, mouth.at);
    let new = |code, outcome| Check::new(NAME, code, subject.clone(), outcome);
    let Some(listener) = &mouth.listener else {
        let mut check =
            new("nobody-listens", Outcome::Cause).saw("nobody listens: the tunnel is down");
        for other in elsewhere(facts, mouth) {
            check =
                check.saw(format!("somebody listens at {}, which is not this mouth", other.local));
        }
        return check.with(start(facts));
    };
    let who: Vec<String> = mouth.holders.iter().map(described).collect();
    let mut check = match mouth.is_tunnel {
        Some(true) => new("tunnel-listens", Outcome::Fine).saw(format!("{} listens", who.join(", "))),
        Some(false) => {
            let mut remedy = Remedy::say(format!(
                "end {}, or give the service another `listen`, then bring the tunnel up",
                who.join(" and ")
            ));
            for holder in &mouth.holders {
                remedy = remedy.then(facts.root(&format!("kill {}", holder.pid)));
            }
            if let Some(command) = start(facts).commands.pop() {
                remedy = remedy.then(command);
            }
            new("mouth-taken", Outcome::Cause)
                .saw(format!("{} listens, and is not the tunnel: it has no connection to the gateway", who.join(", ")))
                .with(remedy)
        }
        None if facts.gateway_conns.is_empty() => new("holder-unknown", Outcome::Unknown)
            .saw(format!("{} listens; which process it is cannot be seen", owner(listener)))
            .with(Remedy::say("run diagnose as root")),
        None => new("holder-unknown", Outcome::Note).saw(format!(
            "{} listens; which process it is cannot be seen, but a connection to the gateway is open",
            owner(listener)
        )),
    };
    check.command_lines = mouth.holders.iter().map(command_line).collect();
    check
}

fn owner(listener: &Socket) -> String {
    listener
        .uid
        .map_or_else(|| "somebody".to_owned(), |uid| format!("a process of user number {uid}"))
}

/// Listeners on the mouth's port at other addresses.
fn elsewhere<'a>(facts: &'a Facts, mouth: &'a Mouth) -> impl Iterator<Item = &'a Socket> {
    facts.all_sockets().iter().filter(|socket| {
        socket.transport == Transport::Tcp
            && socket.state == State::Listen
            && socket.local.port() == mouth.at.port()
    })
}

/// How the tunnel is brought up; the last command does it.
pub(super) fn start(facts: &Facts) -> Remedy {
    let target = facts.target();
    let by_ssh = ssh_line(facts);
    match target.tunnel {
        TunnelMode::Builtin => Remedy::say(format!(
            "bring the tunnel up, and leave it up, before the client is started (with OpenSSH: `{by_ssh}`)"
        ))
        .then(facts.ours(&format!("tunnel {}", quoted(&target.name)))),
        _ => Remedy::say("bring the tunnel up, and leave it up, before the client is started").then(by_ssh),
    }
}

/// The line of OpenSSH that makes every forward of the target.
fn ssh_line(facts: &Facts) -> String {
    let target = facts.target();
    let mut line = "ssh -N".to_owned();
    for service in target.services.iter().filter(|it| !it.is_udp) {
        let mouth = service.listen.map_or_else(|| service.port.to_string(), |it| it.to_string());
        let host = forward_host(facts, service);
        line = format!("{line} -L {}", quoted(&format!("{mouth}:{host}:{}", service.port)));
    }
    let ssh = facts.plan.ssh.as_ref();
    if let Some(ssh) = ssh {
        for key in ssh.identity_files.iter().filter(|_| !ssh.default_identities) {
            line = format!("{line} -i {}", quoted(&key.display().to_string()));
        }
        if let Some(known) = ssh.known_hosts.first() {
            line =
                format!("{line} -o {}", quoted(&format!("UserKnownHostsFile={}", known.display())));
        }
    }
    let (port, host) = match ssh {
        Some(ssh) => (ssh.port, format!("{}@{}", ssh.user, ssh.host)),
        None => (target.gateway_port, target.gateway_host.clone().unwrap_or_default()),
    };
    format!("{line} -p {port} {}", quoted(&host))
}

/// The service's host as the gateway knows it.
fn forward_host<'a>(facts: &'a Facts, service: &'a Service) -> &'a str {
    let forwards = facts.plan.ssh.as_ref().map(|ssh| ssh.forwards.as_slice()).unwrap_or_default();
    forwards.iter().find(|it| it.service == service.name).map_or(&service.host, |it| &it.host)
}
