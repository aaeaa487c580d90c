//! Arms, starts, watches, drains, stops and judges; the only place where rooms are joined.
//!
//! In: a `Plan` and sources. Out: an `Outcome` with its `Judgement`.
//! Never: argv, stdout, a format.

mod annotation;
mod archive;
#[cfg(feature = "live")]
mod control;
#[cfg(feature = "tunnel")]
mod dial;
#[cfg(feature = "live")]
mod disrupt;
mod error;
mod join;
#[cfg(feature = "tunnel")]
mod keep;
#[cfg(feature = "live")]
mod live;
#[cfg(feature = "live")]
mod lookout;
#[cfg(feature = "live")]
mod phases;
mod pipeline;
mod recorded;
#[cfg(feature = "live")]
mod remote;
#[cfg(feature = "live")]
mod sniffer;
mod suite;
#[cfg(feature = "live")]
mod vantage;
mod walkers;

pub use archive::Archive;
#[cfg(feature = "tunnel")]
pub use dial::tunnel_spec;
#[cfg(feature = "live")]
pub use disrupt::{Disrupt, Step, undo_disruptions};
pub use error::RunError;
#[cfg(feature = "tunnel")]
pub use keep::{Keep, KeepNews, KeepState, KeepStatus, Keeper, Running, Stop, keep, running};
#[cfg(feature = "live")]
pub use live::{Observer, Progress, Watch, watch};
pub use pipeline::{Analysis, analyze};
pub use recorded::{judge_recording, judge_recording_in};
#[cfg(feature = "live")]
pub use remote::Elsewhere;
pub use suite::{CaseResult, SuiteCase, find_cases, run_case};
pub use walkers::{Threads, analyze_files};

use crate::model::{
    ConnSummary, ControlRecord, InterfaceRecord, MachineRecord, TunnelRecord, WindowRecord,
};
use crate::target::Plan;
use crate::verdict::{Case, Judgement, Rest, Source};
use std::net::IpAddr;

/// What is known of where the frames came from.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// Live or recorded.
    pub source: Source,
    /// The interfaces, by `interface_id`.
    pub interfaces: Vec<InterfaceRecord>,
    /// Names of files or interfaces, for the report.
    pub inputs: Vec<String>,
    /// Addresses of the watched machine, as far as the source knows them.
    pub clients: Vec<IpAddr>,
    /// The control tokens and phases.
    pub control: ControlRecord,
    /// Phases, disruptions and vantages.
    pub window: WindowRecord,
    /// Routes of services that leave by an interface which nobody watched, in words.
    pub unwatched: Vec<String>,
    /// `--strict`.
    pub strict: bool,
    /// What the watched machine said; none for a recording.
    pub machine: Option<MachineRecord>,
}

/// A judgement and all it rests on.
#[derive(Debug)]
pub struct Outcome {
    /// What was asked for, with the addresses that became known.
    pub plan: Plan,
    /// The answer.
    pub judgement: Judgement,
    /// The conns that matter to the judgement, in the order of their first frame.
    pub conns: Vec<ConnSummary>,
    /// What is known of the others.
    pub rest: Rest,
    /// What was found, and what was not seen.
    pub analysis: Analysis,
    /// Where the frames came from.
    pub facts: SourceFacts,
    /// The tunnel of the run.
    pub tunnel: Option<TunnelRecord>,
    /// The command that made the traffic, where there was one.
    pub command: Option<CommandEnd>,
}

impl Outcome {
    /// What was judged.
    #[must_use]
    pub fn case(&self) -> Case<'_> {
        case(
            &self.plan,
            (&self.conns, &self.rest),
            &self.analysis,
            &self.facts,
            self.tunnel.as_ref(),
        )
    }
}

/// What is judged.
fn case<'a>(
    plan: &'a Plan,
    (conns, rest): (&'a [ConnSummary], &'a Rest),
    analysis: &'a Analysis,
    facts: &'a SourceFacts,
    tunnel: Option<&'a TunnelRecord>,
) -> Case<'a> {
    let inspection = &analysis.inspection;
    Case {
        target: &plan.target,
        source: facts.source,
        conns,
        rest,
        raw_hits: &inspection.raw_hits,
        names: &inspection.names,
        coverage: &analysis.coverage,
        control: &facts.control,
        sightings: &inspection.sightings,
        tunnel,
        interfaces: &facts.interfaces,
        strict: facts.strict,
        client_addresses: &facts.clients,
        window: &facts.window,
        machine: facts.machine.as_ref(),
    }
}

/// The command that made the traffic under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandEnd {
    /// The program and its arguments.
    pub line: String,
    /// How it ended: `exit status: 0`, `still running at the end of the window`.
    pub status: String,
}
