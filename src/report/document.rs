//! Everything that a report says, before it takes a form.

use crate::model::{
    ConnSummary, Coverage, Hit, InterfaceRecord, Timestamp, TunnelMode, TunnelRecord,
    VantageRecord, Verdict,
};
use crate::verdict::{Case, Judgement, Source};
use std::collections::{BTreeMap, HashSet};

/// A command that was run as the traffic under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRun {
    /// The command, as a person would type it.
    pub line: String,
    /// How it ended: `exit status 0`, `killed by signal 9`, `still running`.
    pub status: String,
}

/// What only the caller knows about a run. Time and version are inputs, so that the same capture
/// gives the same report, twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Version of tunnelcheck.
    pub tool_version: String,
    /// Wall time of the report; none for a recording, whose report does not depend on it.
    pub created: Option<Timestamp>,
    /// Names of the files, or of the interfaces.
    pub inputs: Vec<String>,
    /// The traffic under test, where it was a command.
    pub command: Option<CommandRun>,
    /// Where the frames were kept.
    pub recorded_to: Option<String>,
}

/// One target's part of a document.
#[derive(Clone, Debug)]
pub(super) struct Judged<'a> {
    pub(super) judgement: Judgement,
    pub(super) mode: TunnelMode,
    /// The conns of the judgement's scope, evidence and explained hits, by uid.
    pub(super) conns: Vec<&'a ConnSummary>,
    pub(super) tunnel: Option<TunnelRecord>,
    pub(super) vantages: Vec<VantageRecord>,
}

/// A report, before it takes a form, over the conns that it names. Holds secrets; every writer takes them out unless asked.
#[derive(Clone)]
pub struct Document<'a> {
    pub(super) facts: Facts,
    pub(super) source: Source,
    pub(super) judged: Vec<Judged<'a>>,
    pub(super) raw_hits: &'a [Hit],
    pub(super) coverage: Coverage,
    pub(super) interfaces: Vec<InterfaceRecord>,
    /// Conns of the capture, by class.
    pub(super) classes: BTreeMap<String, u64>,
    /// Texts of all identifiers: to be masked wherever they stand.
    pub(super) identifiers: Vec<String>,
}

impl<'a> Document<'a> {
    /// Version of the JSON form; grows when a field is removed or changes its meaning.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Puts together what the judgements say and what they rest on. All cases are of one run.
    #[must_use]
    pub fn new(facts: Facts, judged: &[(&Case<'a>, &Judgement)]) -> Self {
        let first = judged.first().map(|(case, _)| *case);
        let mut classes = BTreeMap::new();
        if let Some(case) = first {
            let counted = case.rest.classes.iter().map(|(class, conns)| (*class, *conns));
            let listed = case.conns.iter().map(|conn| (conn.class, 1));
            let all: &mut dyn Iterator<Item = _> =
                if case.rest.classes.is_empty() { &mut { listed } } else { &mut { counted } };
            for (class, conns) in all {
                *classes.entry(class.to_string()).or_insert(0) += conns;
            }
        }
        Self {
            facts,
            source: first
                .map_or(Source::Recording { own: false, closed: false }, |case| case.source),
            raw_hits: first.map(|case| case.raw_hits).unwrap_or_default(),
            coverage: first.map(|case| case.coverage.clone()).unwrap_or_default(),
            interfaces: first.map(|case| case.interfaces.to_vec()).unwrap_or_default(),
            classes,
            identifiers: judged
                .iter()
                .flat_map(|(case, _)| &case.target.identifiers)
                .map(|identifier| identifier.text.clone())
                .collect(),
            judged: judged
                .iter()
                .map(|(case, judgement)| Judged {
                    judgement: (*judgement).clone(),
                    mode: case.target.tunnel,
                    conns: concerned(case, judgement),
                    tunnel: case.tunnel.cloned(),
                    vantages: case.window.vantages.clone(),
                })
                .collect(),
        }
    }

    /// The judgements, in the order they were asked for.
    pub fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.judged.iter().map(|judged| &judged.judgement)
    }

    /// The worst verdict; none where nothing was judged.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.judgements().map(|judgement| judgement.verdict).max()
    }
}

/// Its parts hold secrets: only the verdicts show.
impl std::fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.judgements().map(|judgement| (&judgement.target, judgement.verdict)))
            .finish()
    }
}

/// The conns that a judgement names.
fn concerned<'a>(case: &Case<'a>, judgement: &Judgement) -> Vec<&'a ConnSummary> {
    let named: HashSet<_> = judgement
        .scope
        .iter()
        .map(|scoped| scoped.uid)
        .chain(judgement.evidence.iter().filter_map(|it| it.uid))
        .chain(judgement.explained.iter().filter_map(|it| it.hit.uid))
        .collect();
    case.conns.iter().filter(|conn| named.contains(&conn.record.uid)).collect()
}
