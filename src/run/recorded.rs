//! Judges recorded captures: resolves nothing, sends nothing, gives the same answer anywhere.

use crate::model::{ConnSummary, TunnelRecord};
use crate::run::annotation::{Head, Tail};
use crate::run::pipeline::{Analysis, Pipeline};
use crate::run::{Outcome, RunError, SourceFacts, case};
use crate::source::{Files, Next, Source as _};
use crate::target::Plan;
use crate::verdict::{Rest, Sieve, Source, judge};
use std::path::PathBuf;

/// Judges the files, taken as one capture, for each plan.
///
/// # Errors
/// `RunError::Source` where a file cannot be opened or is no capture, `RunError::Inspect` where an identifier cannot
/// be searched.
pub fn judge_recording(
    plans: Vec<Plan>,
    files: &[PathBuf],
    strict: bool,
) -> Result<Vec<Outcome>, RunError> {
    let mut source = Files::open(files)?;
    let head: Head = annotation(source.head_annotation());
    let tokens = head.tokens();
    let mut pipelines = Vec::new();
    for plan in &plans {
        pipelines.push(Pipeline::new(&plan.target.identifiers, &tokens)?);
    }
    loop {
        match source.next()? {
            Next::Frame(frame) => {
                for pipeline in &mut pipelines {
                    pipeline.frame(&frame);
                }
            }
            Next::Idle => {}
            Next::End => break,
        }
    }
    let own = source.is_own();
    let closed = source.is_closed();
    let losses = source.losses();
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
        strict,
        machine: None,
    };
    let outcomes = plans.into_iter().zip(pipelines).map(|(mut plan, pipeline)| {
        let tunnel = tail.as_ref().and_then(|tail| {
            tail.add_addresses(&mut plan.target);
            tail.tunnel(&plan.target.name)
        });
        conclude(plan, pipeline.finish(&losses), &facts, tunnel)
    });
    outcomes.collect()
}

/// The judgement over what a pipeline found.
///
/// # Errors
/// `RunError::Archive` where the list of conns cannot be read.
pub(super) fn conclude(
    plan: Plan,
    mut analysis: Analysis,
    facts: &SourceFacts,
    tunnel: Option<TunnelRecord>,
) -> Result<Outcome, RunError> {
    analysis.coverage.unwatched_routes.clone_from(&facts.unwatched);
    let (conns, rest) = sift(&plan, &mut analysis, facts, tunnel.as_ref())?;
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
    facts: &SourceFacts,
    tunnel: Option<&TunnelRecord>,
) -> Result<(Vec<ConnSummary>, Rest), RunError> {
    let mut archive = std::mem::take(&mut analysis.conns);
    let none = Rest::default();
    let mut sieve = Sieve::new(&case(plan, (&[], &none), analysis, facts, tunnel));
    if sieve.must_meet() {
        let (archive, sieve) = (&mut archive, std::cell::RefCell::new(&mut sieve));
        archive.read_those(
            |id| sieve.borrow().may_meet(id),
            |conn| {
                sieve.borrow_mut().meet(&conn);
                Ok::<_, RunError>(())
            },
        )?;
    }
    sieve.met();
    archive.read(|conn| {
        sieve.take(conn);
        Ok::<_, RunError>(())
    })?;
    let sifted = sieve.finish();
    analysis.conns = archive;
    Ok(sifted)
}

fn annotation(text: Option<&str>) -> Head {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
