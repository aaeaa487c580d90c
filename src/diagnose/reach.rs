//! Whether a connection through the tunnel reaches each service, and whether it speaks the service's protocol.

use super::check::{Check, Outcome, Remedy};
use super::facts::{Facts, Mouth};
use super::gateway::Trial;
use crate::model::Service;
use crate::tunnel::{Tunnel, TunnelError};
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::Duration;

const NAME: &str = "reach";
/// How long a service that speaks first may take.
const GREETING: Duration = Duration::from_secs(4);
/// How long one is waited for where the client speaks first: a refusal shows by then.
const SILENCE: Duration = Duration::from_millis(700);
/// Octets of a greeting that are shown.
const SHOWN: usize = 80;
const CONNECT: Duration = Duration::from_secs(2);

/// How the greeting of each kind begins, where the server speaks first.
const GREETINGS: &[(&str, &[&str])] = &[
    ("dnd", &["220"]),
    ("pop3", &["+OK"]),
    ("imap", &["* OK", "* PREAUTH"]),
    ("smtp", &["220"]),
    ("ftp", &["220", "120"]),
    ("nntp", &["200", "201"]),
    ("bulletins", &["200", "201"]),
    ("vnc", &["RFB "]),
    ("ssh", &["SSH-"]),
];

pub(super) fn check(facts: &Facts, trial: &Trial) -> Vec<Check> {
    let mut checks = Vec::new();
    for (index, service) in facts.services() {
        if service.is_udp {
            continue;
        }
        if let Trial::Up(tunnel) = trial
            && service.listen.is_some()
        {
            checks.push(through_trial(tunnel, service));
        }
        if let Some(mouth) = facts.mouth_of(index)
            && mouth.listener.is_some()
            && mouth.is_tunnel != Some(false)
        {
            checks.push(through_mouth(mouth, service));
        }
    }
    if checks.is_empty() {
        checks.push(
            Check::new(NAME, "not-tried", "services", Outcome::NotApplicable)
                .saw("no tunnel is up that a service could be reached through by a mouth"),
        );
    }
    checks
}

fn through_trial(tunnel: &Tunnel, service: &Service) -> Check {
    let subject = format!("{} through the trial tunnel", service.name);
    match tunnel.probe(&service.name, patience(service)) {
        Ok(greeting) => greeted(&subject, service, &greeting),
        Err(TunnelError::Refused { reason, .. }) => refused(&subject, service, &reason),
        Err(error) => {
            Check::new(NAME, "not-tried", subject, Outcome::Unknown).saw(error.to_string())
        }
    }
}

fn through_mouth(mouth: &Mouth, service: &Service) -> Check {
    let at = mouth.reach();
    let subject = format!("{} through the mouth {at}", service.name);
    let new = |code, outcome| Check::new(NAME, code, subject.clone(), outcome);
    let mut stream = match TcpStream::connect_timeout(&at, CONNECT) {
        Ok(stream) => stream,
        Err(error) => {
            return new("mouth-closed", Outcome::Cause)
                .saw(format!("no connection to the mouth: {error}"));
        }
    };
    if stream.set_read_timeout(Some(patience(service))).is_err() {
        return new("not-tried", Outcome::Unknown)
            .saw("the connection cannot be given a time limit");
    }
    let mut greeting = vec![0; SHOWN * 4];
    match stream.read(&mut greeting) {
        Ok(0) => closed(new("forward-refused", Outcome::Cause), service),
        Ok(len) => greeted(&subject, service, greeting.get(..len).unwrap_or_default()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            greeted(&subject, service, b"")
        }
        Err(error) => {
            closed(new("forward-refused", Outcome::Cause).saw(error.to_string()), service)
        }
    }
}

fn closed(check: Check, service: &Service) -> Check {
    check
        .saw("the tunnel took the connection and closed it: the gateway does not open the service, or is gone")
        .with(Remedy::say(format!(
            "see what the tunnel says of it (ssh -v); on the gateway: `nc -v {} {}`, and AllowTcpForwarding and \
             PermitOpen in sshd_config; if the line is lost, bring the tunnel up again",
            service.host, service.port
        )))
}

/// The gateway's refusal, in its own words.
fn refused(subject: &str, service: &Service, reason: &str) -> Check {
    let place = format!("{}:{}", service.host, service.port);
    if reason.contains("prohibited") {
        return Check::new(NAME, "forward-prohibited", subject, Outcome::Cause)
            .saw(format!("the gateway says: {reason}"))
            .with(
                Remedy::say(format!(
                    "on the gateway, as root: allow the forward in sshd_config (`AllowTcpForwarding yes`; where there is a \
                     PermitOpen line, add {place} to it; no `restrict` or `no-port-forwarding` at the key in \
                     authorized_keys), then let sshd read it again"
                ))
                .then(format!("sed -i.before 's/^[[:space:]]*PermitOpen .*/& {place}/' /etc/ssh/sshd_config"))
                .then("kill -HUP $(cat /run/sshd.pid)"),
            );
    }
    Check::new(NAME, "service-unreachable", subject, Outcome::Cause)
        .saw(format!("the gateway says: {reason}"))
        .with(Remedy::say(format!(
            "the gateway must reach {place}: see there with `nc -v {} {}`, and check host and port of the service in the target",
            service.host, service.port
        )))
}

fn greeted(subject: &str, service: &Service, greeting: &[u8]) -> Check {
    let expected = GREETINGS.iter().find(|(kind, _)| *kind == service.kind).map(|(_, it)| *it);
    let first = greeting.split(|octet| *octet == b'\n').next().unwrap_or_default();
    let shown = String::from_utf8_lossy(first.get(..first.len().min(SHOWN)).unwrap_or_default())
        .trim_end()
        .to_owned();
    let new = |code, outcome| Check::new(NAME, code, subject, outcome);
    match expected {
        Some(starts) if starts.iter().any(|start| greeting.starts_with(start.as_bytes())) => {
            new("greeting", Outcome::Fine).saw(format!("it greets as {}: {shown:?}", service.kind))
        }
        Some(_) if greeting.is_empty() => new("no-greeting", Outcome::Unknown)
            .saw(format!(
                "{} speaks first, and it said nothing within {} s",
                service.kind,
                GREETING.as_secs()
            ))
            .with(Remedy::say(format!(
                "see whether the service answers on the gateway itself: `nc -v {} {}`",
                service.host, service.port
            ))),
        Some(_) => new("wrong-service", Outcome::Cause)
            .saw(format!("it does not speak {}: {shown:?}", service.kind))
            .with(Remedy::say(format!(
                "the forward leads to something else: check host and port of \"{}\" in the target",
                service.name
            ))),
        None if greeting.is_empty() => new("opened", Outcome::Fine)
            .saw(format!("it was opened; with {} the client speaks first", service.kind)),
        None if service.kind == "blitzmail" => new("wrong-service", Outcome::Cause)
            .saw(format!("a BlitzMail server waits for the client, and it said {shown:?}"))
            .with(Remedy::say(format!(
                "the forward leads to something else: check host and port of \"{}\" in the target",
                service.name
            ))),
        None => new("opened", Outcome::Fine).saw(format!("it was opened, and said {shown:?}")),
    }
}

fn patience(service: &Service) -> Duration {
    let speaks = GREETINGS.iter().any(|(kind, _)| *kind == service.kind);
    if speaks { GREETING } else { SILENCE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(kind: &str) -> Service {
        Service {
            name: "x".to_owned(),
            kind: kind.to_owned(),
            host: "mail.example".to_owned(),
            port: 1,
            addresses: vec![],
            is_by_name: true,
            listen: None,
            aliases: vec![],
            is_udp: false,
        }
    }

    #[test]
    fn a_greeting_of_another_protocol_is_told() {
        let judged = |kind: &str, greeting: &[u8]| greeted("s", &service(kind), greeting).code;
        assert_eq!(judged("dnd", b"220 DND server here.\r\n"), "greeting");
        assert_eq!(judged("pop3", b"220 DND server here.\r\n"), "wrong-service");
        assert_eq!(judged("pop3", b""), "no-greeting");
        assert_eq!(judged("blitzmail", b""), "opened");
        assert_eq!(judged("blitzmail", b"+OK\r\n"), "wrong-service");
        assert_eq!(judged("generic", b"\xff\x00"), "opened");
    }
}
