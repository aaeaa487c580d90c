//! Judges recorded captures: resolves nothing, sends nothing, gives the same answer anywhere.

use crate::model::{ConnSummary, TunnelRecord};
use crate::run::annotation::{Head, Tail};
use crate::run::join::{self, Lanes, Others};
use crate::run::pipeline::{Analysis, Search};
use crate::run::walkers::{self, Threads};
use crate::run::{Outcome, RunError, SourceFacts, case};
use crate::source::{Files, Source as _};
use crate::target::Plan;
use crate::verdict::{Rest, Sieve, Source, hosts, judge};
use std::path::PathBuf;

/// Judges the files, taken as one capture, for each plan, in this thread.
///
/// # Errors
/// `RunError::Source` where a file cannot be opened or is no capture, `RunError::Inspect` where an identifier cannot
/// be searched.
pub fn judge_recording(
    plans: Vec<Plan>,
    files: &[PathBuf],
    strict: bool,
) -> Result<Vec<Outcome>, RunError> {
    judge_with(plans, files, strict, 1)
}

/// The same with threads beside this one.
///
/// # Errors
/// As `judge_recording`; `RunError::Thread` where a thread panicked.
pub fn judge_recording_in(
    plans: Vec<Plan>,
    files: &[PathBuf],
    strict: bool,
    threads: Threads,
) -> Result<Vec<Outcome>, RunError> {
    let threads = threads.reading(files);
    if threads == 1 {
        return judge_with(plans, files, strict, 1);
    }
    match judge_with(plans.clone(), files, strict, threads) {
        // It is still being written: one thread reads it up to one place.
        Err(RunError::Changed) => judge_with(plans, files, strict, 1),
        judged => judged,
    }
}

fn judge_with(
    plans: Vec<Plan>,
    files: &[PathBuf],
    strict: bool,
    threads: usize,
) -> Result<Vec<Outcome>, RunError> {
    let mut source = Files::open(files)?;
    let head: Head = annotation(source.head_annotation());
    let tokens = head.tokens();
    let hosts: Vec<_> = plans.iter().map(|plan| hosts(&plan.target)).collect();
    let searches: Vec<_> = plans
        .iter()
        .zip(&hosts)
        .map(|(plan, hosts)| Search {
            identifiers: &plan.target.identifiers,
            tokens: &tokens,
            hosts,
        })
        .collect();
    let lanes = Lanes::of(head.vantages());
    let analyses = walkers::read(&mut source, files, &searches, &lanes, threads)?;
    let own = source.is_own();
    let closed = source.is_closed();
    let tail: Option<Tail> =
        source.tail_annotation().and_then(|text| serde_json::from_str(text).ok());
    let control = tail.as_ref().map_or_else(|| head.control(), Tail::control);
    let facts = SourceFacts {
        source: Source::Recording { own, closed: closed && (!own || tail.is_some()) },
        interfaces: source.interfaces(),
        inputs: files.iter().map(|file| file.display().to_string()).collect(),
        unwatched: tail.as_ref().map(|tail| tail.unwatched().to_vec()).unwrap_or_default(),
        clients: tail.as_ref().map(|tail| tail.clients().to_vec()).unwrap_or_default(),
        control,
        window: tail.as_ref().map(Tail::window).unwrap_or_default(),
        strict,
        machine: None,
    };
    let outcomes = plans.into_iter().zip(analyses).map(|(mut plan, analyses)| {
        let tunnel = tail.as_ref().and_then(|tail| {
            tail.add_addresses(&mut plan.target);
            tail.tunnel(&plan.target.name)
        });
        conclude(plan, analyses, &facts, tunnel)
    });
    outcomes.collect()
}

/// The judgement over what the pipelines of all vantages found.
///
/// # Errors
/// `RunError::Archive` where the list of conns cannot be read.
pub(super) fn conclude(
    plan: Plan,
    by_vantage: Vec<Analysis>,
    facts: &SourceFacts,
    tunnel: Option<TunnelRecord>,
) -> Result<Outcome, RunError> {
    let (mut analysis, mut others) =
        join::side_by_side(by_vantage).ok_or(RunError::Thread { thread: "analysis" })?;
    analysis.coverage.unwatched_routes.clone_from(&facts.unwatched);
    let (conns, rest) = sift(&plan, &mut analysis, &mut others, facts, tunnel.as_ref())?;
    let judgement = judge(&case(&plan, (&conns, &rest), &analysis, facts, tunnel.as_ref()));
    Ok(Outcome {
        plan,
        judgement,
        conns,
        rest,
        analysis,
        facts: facts.clone(),
        tunnel,
        command: None,
    })
}

/// The conns that matter to the judgement.
fn sift(
    plan: &Plan,
    analysis: &mut Analysis,
    others: &mut Others,
    facts: &SourceFacts,
    tunnel: Option<&TunnelRecord>,
) -> Result<(Vec<ConnSummary>, Rest), RunError> {
    let mut archive = std::mem::take(&mut analysis.conns);
    let none = Rest::default();
    let mut sieve = Sieve::new(&case(plan, (&[], &none), analysis, facts, tunnel));
    if sieve.must_meet() {
        let (archive, sieve) = (&mut archive, std::cell::RefCell::new(&mut sieve));
        others.read_those(
            archive,
            |id| sieve.borrow().may_meet(id),
            |conn| sieve.borrow_mut().meet(conn),
        )?;
    }
    sieve.met();
    others.read(&mut archive, &facts.interfaces, |conn| sieve.take(conn))?;
    let sifted = sieve.finish();
    analysis.conns = archive;
    Ok(sifted)
}

fn annotation(text: Option<&str>) -> Head {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
