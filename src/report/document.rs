//! Everything that a report says, before it takes a form.

use crate::model::{ConnSummary, Coverage, InterfaceRecord, Timestamp, TunnelRecord, Verdict};
use crate::verdict::{Case, Judgement};

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
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    /// The conns of `judgement.scope` and of its evidence.
    pub(super) conns: Vec<ConnSummary>,
    pub(super) tunnel: Option<TunnelRecord>,
}

/// A report, before it takes a form. Holds secrets; every writer takes them out unless asked.
#[derive(Clone, Debug)]
pub struct Document {
    pub(super) facts: Facts,
    pub(super) judged: Vec<Judged>,
    pub(super) coverage: Coverage,
    pub(super) interfaces: Vec<InterfaceRecord>,
}

impl Document {
    /// Version of the JSON form; grows when a field is removed or changes its meaning.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Puts together what the judgements say and what they rest on. All cases are of one run.
    #[must_use]
    pub fn new(facts: Facts, judged: &[(&Case<'_>, &Judgement)]) -> Self {
        let first = judged.first().map(|(case, _)| case);
        Self {
            facts,
            coverage: first.map(|case| case.coverage.clone()).unwrap_or_default(),
            interfaces: first.map(|case| case.interfaces.to_vec()).unwrap_or_default(),
            judged: judged
                .iter()
                .map(|(case, judgement)| Judged {
                    judgement: (*judgement).clone(),
                    conns: case
                        .conns
                        .iter()
                        .filter(|conn| {
                            let uid = conn.record.uid;
                            judgement.scope.iter().any(|scoped| scoped.uid == uid)
                                || judgement.evidence.iter().any(|it| it.uid == Some(uid))
                        })
                        .cloned()
                        .collect(),
                    tunnel: case.tunnel.cloned(),
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
