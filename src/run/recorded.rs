//! Judges recorded captures: resolves nothing, sends nothing, gives the same answer anywhere.

use crate::model::TunnelRecord;
use crate::run::annotation::{Head, Tail};
use crate::run::pipeline::{Analysis, Pipeline};
use crate::run::{Outcome, RunError, SourceFacts, case};
use crate::source::{Files, Next, Source as _};
use crate::target::Plan;
use crate::verdict::{Source, judge};
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
    let mut conns = Vec::new();
    analysis.conns.read(|conn| {
        conns.push(conn);
        Ok::<_, RunError>(())
    })?;
    analysis.coverage.unwatched_routes.clone_from(&facts.unwatched);
    let judgement = judge(&case(&plan, &conns, &analysis, facts, tunnel.as_ref()));
    Ok(Outcome { plan, judgement, conns, analysis, facts: facts.clone(), tunnel, command: None })
}

fn annotation(text: Option<&str>) -> Head {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
