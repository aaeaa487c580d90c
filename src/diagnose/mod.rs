//! Why traffic goes past the tunnel: ordered checks of this machine's surroundings, each with a remedy.
//!
//! In: a `Plan`, the spec of its tunnel, somebody who answers questions. Out: a `Diagnosis`, a list of `Check`s.
//! Never: a capture, a change of the machine, a verdict about traffic; a tunnel of its own outlives no check.

mod check;
mod clock;
mod conns;
mod facts;
mod firewall;
mod forwards;
mod gateway;
mod mouths;
mod names;
mod order;
mod reach;
mod routes;
mod udp;

pub use check::{Check, Outcome, Remedy};

use crate::target::Plan;
use crate::tunnel::{Prompt, TunnelSpec};
use facts::Facts;
use std::sync::atomic::AtomicBool;

/// What is asked.
#[derive(Debug)]
pub struct Question {
    /// The target, with the addresses that could be found (`machine::fill_addresses`).
    pub plan: Plan,
    /// The tunnel that tunnelcheck itself would bring up; none for another one.
    pub spec: Option<TunnelSpec>,
    /// How to call tunnelcheck in a remedy: `tunnelcheck --config x.toml`.
    pub program: String,
}

/// What was found, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Name of the target.
    pub target: String,
    /// Where it is written.
    pub origin: String,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// The gravest outcome: a cause, else something that could not be determined, else nothing.
    #[must_use]
    pub fn worst(&self) -> Outcome {
        self.checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Fine)
    }
}

/// Makes every check. What cannot be asked becomes a check that says so.
///
/// `interrupted` ends the dialing of the gateway when it becomes true.
pub fn diagnose(
    question: Question,
    prompt: &mut dyn Prompt,
    interrupted: &AtomicBool,
) -> Diagnosis {
    let clock = clock::Mark::now();
    let facts = Facts::gather(question);
    let mut checks = Vec::new();
    checks.extend(order::check(&facts));
    checks.extend(names::check(&facts));
    checks.extend(mouths::check(&facts));
    checks.extend(firewall::check(&facts));
    let trial = gateway::dial(&facts, prompt, interrupted);
    checks.extend(gateway::check(&facts, &trial));
    checks.extend(reach::check(&facts, &trial));
    drop(trial);
    checks.extend(conns::check(&facts));
    checks.extend(routes::check(&facts));
    checks.extend(udp::check(&facts));
    checks.extend(forwards::check(&facts));
    checks.extend(clock::check(&facts, &clock));
    Diagnosis { target: facts.target().name.clone(), origin: facts.plan.origin.clone(), checks }
}
