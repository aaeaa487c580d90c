//! Whether a local firewall stops a client on its way to a mouth. A connection decides; the rules say why.

use super::check::{Check, Outcome, Remedy};
use super::facts::{Facts, Mouth};
use crate::machine::{Rules, read_rules};
use crate::model::Service;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const NAME: &str = "firewall";
/// On this machine a connection is made in less than a millisecond, unless packets are dropped.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What came of a connection to a mouth.
enum Tried {
    /// It was made.
    Through,
    /// Packets are dropped, or refused although somebody listens.
    Stopped(String),
    /// It could not be tried.
    Untried(String),
}

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    if facts.mouths.is_empty() {
        return vec![
            Check::new(NAME, "no-mouths", "mouths", Outcome::NotApplicable)
                .saw("no service has a mouth that is known"),
        ];
    }
    let rules = read_rules();
    let mut checks: Vec<Check> = facts
        .mouths
        .iter()
        .filter_map(|mouth| Some(judge(facts, &rules, mouth, facts.service(mouth.service)?)))
        .collect();
    if facts.plan.ssh.as_ref().is_some_and(|ssh| ssh.gateway_ports) {
        checks.extend(others(facts, &rules));
    }
    checks
}

fn judge(facts: &Facts, rules: &Rules, mouth: &Mouth, service: &Service) -> Check {
    let at = mouth.reach();
    let subject = format!("{} at {at}", service.name);
    let new = |code, outcome| Check::new(NAME, code, subject.clone(), outcome);
    let against: Vec<_> = rules.against(at.port()).collect();
    let (why, stopped) = match attempt(mouth) {
        Tried::Through => {
            return new("mouth-reachable", Outcome::Fine)
                .saw("a connection from this machine is let through");
        }
        Tried::Stopped(why) => (why, true),
        Tried::Untried(why) => (why, false),
    };
    if !stopped && against.is_empty() {
        let mut check = new("firewall-unknown", Outcome::Unknown).saw(why);
        if rules.read.is_empty() {
            check = check.saw(format!("no rules could be read: {}", rules.unread.join("; ")));
        } else {
            check = check.saw(format!("no rule of {} names its port", rules.read.join(", ")));
        }
        return check.with(Remedy::say("bring the tunnel up, or run diagnose as root"));
    }
    let mut check = new("mouth-blocked", Outcome::Cause).saw(why);
    let mut remedy = Remedy::say("let connections to the mouth through the firewall");
    let policies: Vec<_> = if against.is_empty() { rules.policies().collect() } else { Vec::new() };
    for rule in against.iter().copied().chain(policies) {
        check = check.saw(format!("{} {}: {}", rule.tool, rule.place, rule.text));
        remedy = remedy.then(facts.root(&rule.let_through(at.ip(), at.port())));
    }
    if remedy.commands.is_empty() {
        check = check.saw(format!(
            "no rule was found that does it ({})",
            if rules.unread.is_empty() {
                "all were read".to_owned()
            } else {
                rules.unread.join("; ")
            }
        ));
    }
    check.with(remedy)
}

/// Connects to the mouth. Where nobody listens, somebody of our own does for a moment.
fn attempt(mouth: &Mouth) -> Tried {
    let at = mouth.reach();
    let _stand_in = if mouth.listener.is_some() {
        None
    } else {
        match TcpListener::bind(at) {
            Ok(listener) => Some(listener),
            Err(error) => {
                return Tried::Untried(format!(
                    "nobody listens at {at}, and nobody of our own can: {error}"
                ));
            }
        }
    };
    match TcpStream::connect_timeout(&at, PATIENCE) {
        Ok(_) => Tried::Through,
        Err(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                Tried::Stopped(format!("packets to {at} are dropped on this machine"))
            }
            ErrorKind::ConnectionRefused
            | ErrorKind::PermissionDenied
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => Tried::Stopped(format!(
                "somebody listens at {at}, and a connection is refused: {error}"
            )),
            _ => Tried::Untried(format!("no connection to {at}: {error}")),
        },
    }
}

/// With open mouths (ssh -g) other hosts come in by the wire: only the rules can tell.
fn others(facts: &Facts, rules: &Rules) -> Option<Check> {
    let new = |code, outcome| Check::new(NAME, code, "mouths for other hosts", outcome);
    if rules.read.is_empty() {
        return Some(new("firewall-unknown", Outcome::Note).saw(format!(
            "whether other hosts reach them cannot be told: {}",
            rules.unread.join("; ")
        )));
    }
    let policy = rules.policies().next()?;
    let remedy = facts.mouths.iter().fold(
        Remedy::say("if other hosts are to use the tunnel, let them through"),
        |remedy, mouth| {
            remedy.then(facts.root(&policy.let_through(mouth.at.ip(), mouth.at.port())))
        },
    );
    Some(
        new("policy-drop", Outcome::Note)
            .saw(format!("{} {}: {}", policy.tool, policy.place, policy.text))
            .with(remedy),
    )
}
