//! The serialised twins of what a report says. Secrets are taken out here, once for every form.

use super::bypass::BypassBody;
use super::document::{Document, Judged};
use super::hexdump::{DumpLine, Marks, dump};
use super::parts::{ConnBody, CoverageBody, Finding, InterfaceBody, TunnelBody};
use super::window::{self, DisruptionBody, PhaseBody, VantageBody};
use super::{Options, ReportError};
use crate::model::{ConnSummary, TunnelMode, Uid, VantageRecord};
use crate::verdict::{Judgement, Reason, ScopedConn, Source};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What stands for an identifier in a text of the user's.
const MASK: &str = "***";

/// How much of its lists a form shows. The rest is counted, and neither put into words nor masked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    conns: usize,
    bypasses: usize,
    evidence: usize,
    explained: usize,
}

impl Most {
    /// What a person reads, unless everything is asked for.
    pub(super) const TEXT: Self = Self { conns: 24, bypasses: 6, evidence: 12, explained: 8 };

    /// Everything that is kept.
    pub(super) const ALL: Self = Self {
        conns: usize::MAX,
        bypasses: usize::MAX,
        evidence: usize::MAX,
        explained: usize::MAX,
    };
}

/// A whole report.
#[derive(Debug, Serialize)]
pub(super) struct Body {
    pub(super) schema_version: u32,
    pub(super) tool: Tool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<String>,
    pub(super) source: SourceBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recorded_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<CommandBody>,
    /// The worst of the targets'; none where nothing was judged.
    pub(super) verdict: Option<String>,
    pub(super) targets: Vec<TargetBody>,
    pub(super) interfaces: Vec<InterfaceBody>,
    pub(super) coverage: CoverageBody,
    pub(super) conns_by_class: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) version: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct SourceBody {
    /// `live` or `recording`.
    pub(super) kind: &'static str,
    /// Made by tunnelcheck; of a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) own: Option<bool>,
    pub(super) inputs: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct CommandBody {
    pub(super) line: String,
    pub(super) status: String,
}

/// One target.
#[derive(Debug, Serialize)]
pub(super) struct TargetBody {
    pub(super) name: String,
    /// `builtin`, `external`, `none`.
    pub(super) mode: &'static str,
    /// `pass`, `fail`, `inconclusive`.
    pub(super) verdict: String,
    pub(super) why: String,
    pub(super) causes: Vec<String>,
    pub(super) claims: Vec<ClaimBody>,
    pub(super) spoils: Vec<ReasonBody>,
    pub(super) notes: Vec<ReasonBody>,
    pub(super) conns: Vec<ScopedBody>,
    /// Conns in scope that are not among them.
    #[serde(skip)]
    pub(super) conns_omitted: u64,
    pub(super) bypasses: Vec<BypassBody>,
    pub(super) bypasses_omitted: u64,
    pub(super) evidence: Vec<EvidenceBody>,
    pub(super) evidence_omitted: u64,
    pub(super) explained: Vec<ExplainedBody>,
    pub(super) explained_omitted: u64,
    pub(super) control: Vec<ControlBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tunnel: Option<TunnelBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) phases: Vec<PhaseBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) disruptions: Vec<DisruptionBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) vantages: Vec<VantageBody>,
    pub(super) out_of_view: Vec<String>,
    pub(super) next: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ClaimBody {
    pub(super) claim: String,
    pub(super) outcome: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) because: String,
    pub(super) reasons: Vec<ReasonBody>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ReasonBody {
    pub(super) code: &'static str,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) conns: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ScopedBody {
    pub(super) role: String,
    /// Who saw it, where several watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vantage: Option<String>,
    #[serde(flatten)]
    pub(super) conn: ConnBody,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct EvidenceBody {
    pub(super) claim: String,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conn: Option<String>,
    pub(super) frame: u64,
    pub(super) time: String,
    /// The phase of the window in which it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finding: Option<Finding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) view: Vec<DumpLine>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ExplainedBody {
    pub(super) why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conn: Option<String>,
    pub(super) finding: Finding,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ControlBody {
    pub(super) phase: String,
    pub(super) path: String,
    pub(super) interface: String,
    pub(super) sent: bool,
    pub(super) seen_frames: Vec<u64>,
}

impl Body {
    /// What may be shown of a document.
    pub(super) fn of(doc: &Document<'_>, options: &Options, most: Most) -> Self {
        let show = options.show_secrets;
        let facts = &doc.facts;
        Self {
            schema_version: Document::SCHEMA_VERSION,
            tool: Tool { name: "tunnelcheck", version: facts.tool_version.clone() },
            created: facts.created.map(|time| time.to_string()),
            source: SourceBody {
                kind: if doc.source == Source::Live { "live" } else { "recording" },
                own: match doc.source {
                    Source::Live => None,
                    Source::Recording { own, .. } => Some(own),
                },
                inputs: facts.inputs.clone(),
            },
            recorded_to: facts.recorded_to.clone(),
            command: facts.command.as_ref().map(|command| CommandBody {
                line: if show {
                    command.line.clone()
                } else {
                    masked(&command.line, &doc.identifiers)
                },
                status: command.status.clone(),
            }),
            verdict: doc.verdict().map(|verdict| verdict.to_string().to_lowercase()),
            targets: doc.judged.iter().map(|judged| target(doc, judged, show, most)).collect(),
            interfaces: doc
                .interfaces
                .iter()
                .zip(0_u32..)
                .map(|(interface, id)| InterfaceBody::of(id, interface))
                .collect(),
            coverage: CoverageBody::of(&doc.coverage),
            conns_by_class: doc.classes.clone(),
        }
    }
}

fn target(doc: &Document<'_>, judged: &Judged<'_>, show: bool, most: Most) -> TargetBody {
    let judgement = &judged.judgement;
    let identifiers = || doc.identifiers.iter().map(String::as_str);
    let marks = if show {
        Marks::default()
    } else {
        let hits = judged.conns.iter().flat_map(|conn| &conn.hits).chain(doc.raw_hits);
        Marks::of(hits, identifiers())
    };
    let by_uid: BTreeMap<Uid, &ConnSummary> =
        judged.conns.iter().map(|conn| (conn.record.uid, *conn)).collect();
    let mut scoped = judgement.scope.iter().filter(|scoped| by_uid.contains_key(&scoped.uid));
    let conns = scoped.by_ref().take(most.conns);
    let conns = conns.filter_map(|scoped| scoped_conn(scoped, &by_uid, judged, show)).collect();
    let beyond = |all: usize, most: usize| all.saturating_sub(most) as u64;
    TargetBody {
        name: judgement.target.clone(),
        mode: match judged.mode {
            TunnelMode::Builtin => "builtin",
            TunnelMode::External => "external",
            TunnelMode::None => "none",
        },
        verdict: judgement.verdict.to_string().to_lowercase(),
        why: judgement.why.clone(),
        causes: judgement.causes(),
        claims: claims(judgement),
        spoils: judgement.coverage.iter().map(ReasonBody::of).collect(),
        notes: judgement.notes.iter().map(ReasonBody::of).collect(),
        conns,
        conns_omitted: scoped.count() as u64,
        bypasses: judgement
            .bypasses
            .iter()
            .take(most.bypasses)
            .map(|it| BypassBody::of(it, &doc.identifiers, show))
            .collect(),
        bypasses_omitted: judgement
            .bypasses_omitted
            .saturating_add(beyond(judgement.bypasses.len(), most.bypasses)),
        evidence: judgement
            .evidence
            .iter()
            .take(most.evidence)
            .map(|it| EvidenceBody {
                claim: it.claim.to_string(),
                text: it.text.clone(),
                conn: it.uid.map(|uid| uid.to_string()),
                frame: it.at.number,
                time: it.at.time.to_string(),
                phase: judgement.phase_at(it.at.time).map(|phase| phase.label.clone()),
                finding: it.hit.as_ref().map(|hit| Finding::of(hit, show)),
                view: it.hit.as_ref().map(|hit| dump(hit, &marks, show)).unwrap_or_default(),
            })
            .collect(),
        evidence_omitted: judgement
            .evidence_omitted
            .saturating_add(beyond(judgement.evidence.len(), most.evidence)),
        explained: judgement
            .explained
            .iter()
            .take(most.explained)
            .map(|it| ExplainedBody {
                why: it.why.clone(),
                conn: it.hit.uid.map(|uid| uid.to_string()),
                finding: Finding::of(&it.hit, show),
            })
            .collect(),
        explained_omitted: judgement
            .explained_omitted
            .saturating_add(beyond(judgement.explained.len(), most.explained)),
        control: control(doc, judgement),
        tunnel: judged.tunnel.as_ref().map(TunnelBody::of),
        phases: window::phases(judgement),
        disruptions: window::disruptions(judgement),
        vantages: window::vantages(judgement),
        out_of_view: judgement.out_of_view.clone(),
        next: judgement.next.clone(),
    }
}

fn claims(judgement: &Judgement) -> Vec<ClaimBody> {
    judgement
        .rows
        .iter()
        .map(|row| ClaimBody {
            claim: row.claim.to_string(),
            outcome: row.outcome.to_string(),
            because: row.holds_because.clone(),
            reasons: row.reasons.iter().map(ReasonBody::of).collect(),
        })
        .collect()
}

fn scoped_conn(
    scoped: &ScopedConn,
    by_uid: &BTreeMap<Uid, &ConnSummary>,
    judged: &Judged<'_>,
    show: bool,
) -> Option<ScopedBody> {
    let conn = by_uid.get(&scoped.uid)?;
    let seen_by = |vantage: &&VantageRecord| {
        conn.record.interfaces.first().is_some_and(|id| vantage.interfaces.contains(id))
    };
    let vantage = judged.vantages.iter().find(seen_by).map(|vantage| vantage.name.clone());
    Some(ScopedBody { role: scoped.role.to_string(), vantage, conn: ConnBody::of(conn, show) })
}

fn control(doc: &Document<'_>, judgement: &Judgement) -> Vec<ControlBody> {
    judgement
        .control
        .iter()
        .map(|check| ControlBody {
            phase: check.phase.to_string(),
            path: check.path.to_string(),
            interface: usize::try_from(check.interface_id)
                .ok()
                .and_then(|index| doc.interfaces.get(index))
                .map_or_else(|| check.interface_id.to_string(), |it| it.name.clone()),
            sent: check.sent,
            seen_frames: check.seen.iter().map(|at| at.number).collect(),
        })
        .collect()
}

impl ReasonBody {
    fn of(reason: &Reason) -> Self {
        Self {
            code: reason.code,
            text: reason.text.clone(),
            next: reason.next.clone(),
            conns: reason.uids.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The report as one object a line.
pub(super) fn lines(
    body: &Body,
    write: &mut dyn FnMut(Value) -> Result<(), ReportError>,
) -> Result<(), ReportError> {
    let mut line = |kind: &str, target: Option<&str>, value: Value| {
        let mut object = serde_json::Map::new();
        object.insert("type".to_owned(), kind.into());
        if let Some(target) = target {
            object.insert("target".to_owned(), target.into());
        }
        if let Value::Object(fields) = value {
            object.extend(fields);
        }
        write(Value::Object(object))
    };
    line(
        "run",
        None,
        serde_json::json!({
            "schema_version": body.schema_version,
            "tool": body.tool,
            "created": body.created,
            "source": body.source,
            "recorded_to": body.recorded_to,
            "command": body.command,
            "interfaces": body.interfaces,
            "conns_by_class": body.conns_by_class,
        }),
    )?;
    for target in &body.targets {
        let name = Some(target.name.as_str());
        for claim in &target.claims {
            line("claim", name, serde_json::to_value(claim)?)?;
        }
        for conn in &target.conns {
            line("conn", name, serde_json::to_value(conn)?)?;
        }
        for bypass in &target.bypasses {
            line("bypass", name, serde_json::to_value(bypass)?)?;
        }
        for evidence in &target.evidence {
            line("evidence", name, serde_json::to_value(evidence)?)?;
        }
        for explained in &target.explained {
            line("explained", name, serde_json::to_value(explained)?)?;
        }
        let mut verdict = serde_json::json!({
                "verdict": target.verdict,
                "why": target.why,
                "mode": target.mode,
                "causes": target.causes,
                "spoils": target.spoils,
                "notes": target.notes,
                "control": target.control,
                "tunnel": target.tunnel,
                "bypasses_omitted": target.bypasses_omitted,
                "evidence_omitted": target.evidence_omitted,
                "explained_omitted": target.explained_omitted,
                "out_of_view": target.out_of_view,
                "next": target.next,
        });
        for (key, rows) in [
            ("phases", serde_json::to_value(&target.phases)?),
            ("disruptions", serde_json::to_value(&target.disruptions)?),
            ("vantages", serde_json::to_value(&target.vantages)?),
        ] {
            if let (Some(verdict), false) = (verdict.as_object_mut(), rows == Value::Array(vec![]))
            {
                verdict.insert(key.to_owned(), rows);
            }
        }
        line("verdict", name, verdict)?;
    }
    line("coverage", None, serde_json::to_value(&body.coverage)?)
}

/// Whether a text holds an identifier, case not counted: most hold none of many.
fn holds(text: &str, identifier: &str) -> bool {
    let identifier = identifier.as_bytes();
    let Some(first) = identifier.first() else { return false };
    text.as_bytes().windows(identifier.len()).any(|window| {
        window.first().is_some_and(|it| it.eq_ignore_ascii_case(first))
            && window.eq_ignore_ascii_case(identifier)
    })
}

/// A text of the user's without the identifiers in it.
#[must_use]
pub fn masked(text: &str, identifiers: &[String]) -> String {
    let mut masked = text.to_owned();
    for identifier in identifiers {
        if !holds(&masked, identifier) {
            continue;
        }
        let mut rest = masked.as_str();
        let mut without = String::with_capacity(masked.len());
        while let Some(c) = rest.chars().next() {
            let same = rest
                .get(..identifier.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(identifier));
            without.push_str(if same {
                MASK
            } else {
                rest.get(..c.len_utf8()).unwrap_or_default()
            });
            let taken = if same { identifier.len() } else { c.len_utf8() };
            rest = rest.get(taken..).unwrap_or_default();
        }
        masked = without;
    }
    masked
}
