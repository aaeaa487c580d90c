//! Forwards that nobody uses.

use super::check::{Check, Outcome, Remedy};
use super::facts::Facts;
use crate::machine::{State, Transport};

const NAME: &str = "forwards";

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for mouth in
        facts.mouths.iter().filter(|it| it.listener.is_some() && it.is_tunnel != Some(false))
    {
        let Some(service) = facts.service(mouth.service) else { continue };
        let at = mouth.reach();
        let count = |wanted: &[State]| {
            facts
                .all_sockets()
                .iter()
                .filter(|it| it.transport == Transport::Tcp && wanted.contains(&it.state))
                .filter(|it| it.remote == Some(at))
                .count()
        };
        let (now, before) =
            (count(&[State::Established]), count(&[State::TimeWait, State::Closing]));
        let subject = format!("{} at {at}", service.name);
        checks.push(if now + before > 0 {
            Check::new(NAME, "forward-used", subject, Outcome::Fine)
                .saw(format!("{now} connections of clients are open, {before} were closed within the last minute"))
        } else {
            Check::new(NAME, "forward-not-used", subject, Outcome::Note)
                .saw("no client is connected, and none was within the last minute")
                .with(Remedy::say(
                    "use the client now; if it works and this stays so, it does not use the tunnel: see the names and the direct connections",
                ))
        });
    }
    if checks.is_empty() {
        checks.push(
            Check::new(NAME, "no-forwards", "mouths", Outcome::NotApplicable)
                .saw("no forward of a tunnel is open"),
        );
    }
    checks
}
