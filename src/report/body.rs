//! The serialised twins of what a report says. Secrets are taken out here, once for every form.

use super::document::{Document, Judged};
use super::hexdump::{DumpLine, Marks, dump};
use super::{Options, ReportError};
use crate::model::{
    ConnSummary, Coverage, Drops, Endpoint, Hit, InterfaceRecord, Timestamp, TunnelMode,
    TunnelRecord, Uid,
};
use crate::verdict::{Judgement, Reason, ScopedConn, Source};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What stands for an identifier in a text of the user's.
const MASK: &str = "***";

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
    pub(super) evidence: Vec<EvidenceBody>,
    pub(super) evidence_omitted: u64,
    pub(super) explained: Vec<ExplainedBody>,
    pub(super) explained_omitted: u64,
    pub(super) control: Vec<ControlBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tunnel: Option<TunnelBody>,
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
    #[serde(flatten)]
    pub(super) conn: ConnBody,
}

/// A conn, in the words of MISSION 5.1.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ConnBody {
    pub(super) uid: String,
    pub(super) proto: String,
    pub(super) orig: EndpointBody,
    pub(super) resp: EndpointBody,
    pub(super) dialect: Option<&'static str>,
    pub(super) class: String,
    pub(super) basis: String,
    pub(super) frames: u64,
    pub(super) orig_bytes: u64,
    pub(super) resp_bytes: u64,
    pub(super) missed_bytes: u64,
    pub(super) start: String,
    pub(super) duration_s: f64,
    pub(super) findings: Vec<Finding>,
    pub(super) findings_omitted: u64,
    pub(super) history: String,
    pub(super) midstream: bool,
    pub(super) evicted: bool,
    pub(super) conflict_bytes: u64,
    pub(super) sealed_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agreement: Option<AgreementBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) remarks: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct EndpointBody {
    pub(super) ip: String,
    pub(super) port: u16,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct AgreementBody {
    pub(super) version: String,
    pub(super) kex: String,
    pub(super) orig_cipher: String,
    pub(super) resp_cipher: String,
    pub(super) real: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) weak: Vec<String>,
}

/// A hit, in the words of MISSION 5.1.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    /// With `--show-secrets` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    /// Octets of the value; where it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dialect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dir: Option<String>,
    pub(super) offset: u64,
    pub(super) frame: u64,
    pub(super) encoding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chance: Option<f64>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) in_ciphertext: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) out_of_stream: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct EvidenceBody {
    pub(super) claim: String,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conn: Option<String>,
    pub(super) frame: u64,
    pub(super) time: String,
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

#[derive(Clone, Debug, Serialize)]
pub(super) struct TunnelBody {
    pub(super) local: String,
    pub(super) remote: String,
    pub(super) host_key: String,
    pub(super) host_key_source: String,
    pub(super) server_version: String,
    pub(super) kex: String,
    pub(super) cipher: String,
    pub(super) mac: String,
    pub(super) up: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<LostBody>,
    pub(super) forwards: Vec<ForwardBody>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct LostBody {
    pub(super) time: String,
    pub(super) why: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ForwardBody {
    pub(super) service: String,
    pub(super) listen: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) conns: u64,
    pub(super) opened: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct InterfaceBody {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) link_type: String,
    pub(super) snaplen: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vantage: Option<String>,
}

/// What was seen and what was not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CoverageBody {
    pub(super) frames: u64,
    pub(super) undecoded: BTreeMap<String, u64>,
    pub(super) truncated_frames: u64,
    pub(super) missed_bytes: u64,
    /// `none`, `unknown`, or how many frames kernel, interface and own queue dropped together.
    pub(super) drops: String,
    pub(super) bytes: u64,
    pub(super) kernel_drops: Option<u64>,
    pub(super) interface_drops: Option<u64>,
    pub(super) channel_drops: u64,
    pub(super) truncated_bytes: u64,
    pub(super) link_only: BTreeMap<&'static str, u64>,
    pub(super) fragments_expired: u64,
    pub(super) fragment_conflicts: u64,
    pub(super) conflict_bytes: u64,
    pub(super) midstream_conns: u64,
    pub(super) conns_evicted: u64,
    pub(super) opaque_bytes: u64,
    pub(super) searched_bytes: u64,
    pub(super) searched_raw_bytes: u64,
    pub(super) inputs_cut: Vec<String>,
    pub(super) findings_omitted: u64,
    pub(super) patterns_dropped: Vec<String>,
}

impl Body {
    /// What may be shown of a document.
    pub(super) fn of(doc: &Document, options: &Options) -> Self {
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
            targets: doc.judged.iter().map(|judged| target(doc, judged, show)).collect(),
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

fn target(doc: &Document, judged: &Judged, show: bool) -> TargetBody {
    let judgement = &judged.judgement;
    let identifiers = || doc.identifiers.iter().map(String::as_str);
    let marks = if show {
        Marks::default()
    } else {
        let hits = judged.conns.iter().flat_map(|conn| &conn.hits).chain(&doc.raw_hits);
        Marks::of(hits, identifiers())
    };
    let by_uid: BTreeMap<Uid, &ConnSummary> =
        judged.conns.iter().map(|conn| (conn.record.uid, conn)).collect();
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
        conns: judgement
            .scope
            .iter()
            .filter_map(|scoped| scoped_conn(scoped, &by_uid, show))
            .collect(),
        evidence: judgement
            .evidence
            .iter()
            .map(|it| EvidenceBody {
                claim: it.claim.to_string(),
                text: it.text.clone(),
                conn: it.uid.map(|uid| uid.to_string()),
                frame: it.at.number,
                time: it.at.time.to_string(),
                finding: it.hit.as_ref().map(|hit| Finding::of(hit, show)),
                view: it.hit.as_ref().map(|hit| dump(hit, &marks, show)).unwrap_or_default(),
            })
            .collect(),
        evidence_omitted: judgement.evidence_omitted,
        explained: judgement
            .explained
            .iter()
            .map(|it| ExplainedBody {
                why: it.why.clone(),
                conn: it.hit.uid.map(|uid| uid.to_string()),
                finding: Finding::of(&it.hit, show),
            })
            .collect(),
        explained_omitted: judgement.explained_omitted,
        control: control(doc, judgement),
        tunnel: judged.tunnel.as_ref().map(TunnelBody::of),
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
    show: bool,
) -> Option<ScopedBody> {
    let conn = by_uid.get(&scoped.uid)?;
    Some(ScopedBody { role: scoped.role.to_string(), conn: ConnBody::of(conn, show) })
}

fn control(doc: &Document, judgement: &Judgement) -> Vec<ControlBody> {
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

impl ConnBody {
    pub(super) fn of(conn: &ConnSummary, show: bool) -> Self {
        let record = &conn.record;
        let [orig_bytes, resp_bytes] = record.bytes;
        Self {
            uid: record.uid.to_string(),
            proto: record.id.proto.to_string(),
            orig: EndpointBody::of(record.id.orig),
            resp: EndpointBody::of(record.id.resp),
            dialect: conn.dialect,
            class: conn.class.to_string(),
            basis: conn.basis.to_string(),
            frames: record.frames,
            orig_bytes,
            resp_bytes,
            missed_bytes: total(record.missed_bytes),
            start: record.first.time.to_string(),
            duration_s: seconds(record.first.time, record.end),
            findings: conn.hits.iter().map(|hit| Finding::of(hit, show)).collect(),
            findings_omitted: conn.hits_omitted,
            history: record.history.clone(),
            midstream: record.midstream,
            evicted: record.evicted,
            conflict_bytes: total(record.conflict_bytes),
            sealed_bytes: total(conn.sealed_bytes),
            agreement: conn.agreement.as_ref().map(|it| {
                let [orig_cipher, resp_cipher] = it.cipher.clone();
                AgreementBody {
                    version: it.version.clone(),
                    kex: it.kex.clone(),
                    orig_cipher,
                    resp_cipher,
                    real: it.real,
                    weak: it.weak.clone(),
                }
            }),
            remarks: conn.remarks.clone(),
        }
    }
}

impl EndpointBody {
    fn of(end: Endpoint) -> Self {
        Self { ip: end.ip.to_string(), port: end.port }
    }
}

impl Finding {
    pub(super) fn of(hit: &Hit, show: bool) -> Self {
        Self {
            rule: hit.rule.to_string(),
            field: hit.field.map(|field| field.0),
            label: hit.label.clone(),
            value: show.then(|| String::from_utf8_lossy(&hit.value).into_owned()),
            length: (!show).then_some(hit.value_len),
            dialect: hit.dialect,
            dir: hit.dir.map(|dir| dir.to_string()),
            offset: hit.offset,
            frame: hit.frames.first.number,
            encoding: hit.encoding.to_string(),
            chance: hit.chance.filter(|chance| chance.is_finite() && hit.in_ciphertext),
            in_ciphertext: hit.in_ciphertext,
            out_of_stream: hit.out_of_stream,
        }
    }
}

impl TunnelBody {
    fn of(tunnel: &TunnelRecord) -> Self {
        Self {
            local: tunnel.local.to_string(),
            remote: tunnel.remote.to_string(),
            host_key: tunnel.host_key.clone(),
            host_key_source: tunnel.host_key_source.clone(),
            server_version: tunnel.server_version.clone(),
            kex: tunnel.kex.clone(),
            cipher: tunnel.cipher.clone(),
            mac: tunnel.mac.clone(),
            up: tunnel.up.to_string(),
            lost: tunnel
                .lost
                .as_ref()
                .map(|(time, why)| LostBody { time: time.to_string(), why: why.clone() }),
            forwards: tunnel
                .forwards
                .iter()
                .map(|forward| ForwardBody {
                    service: forward.service.clone(),
                    listen: forward.listen.to_string(),
                    host: forward.host.clone(),
                    port: forward.port,
                    conns: forward.conns,
                    opened: forward.opened,
                    bytes_in: forward.bytes_in,
                    bytes_out: forward.bytes_out,
                    last_error: forward.last_error.clone(),
                })
                .collect(),
        }
    }
}

impl InterfaceBody {
    fn of(id: u32, interface: &InterfaceRecord) -> Self {
        Self {
            id,
            name: interface.name.clone(),
            link_type: interface.link_type.to_string(),
            snaplen: interface.snaplen,
            vantage: interface.vantage.map(|vantage| vantage.to_string()),
        }
    }
}

impl CoverageBody {
    pub(super) fn of(coverage: &Coverage) -> Self {
        Self {
            frames: coverage.frames,
            undecoded: coverage
                .undecoded
                .iter()
                .map(|(why, frames)| (why.to_string(), *frames))
                .collect(),
            truncated_frames: coverage.truncated_frames,
            missed_bytes: coverage.missed_bytes,
            drops: drops(coverage),
            bytes: coverage.bytes,
            kernel_drops: known(coverage.drops),
            interface_drops: known(coverage.interface_drops),
            channel_drops: coverage.channel_dropped,
            truncated_bytes: coverage.truncated_bytes,
            link_only: coverage.link_only.clone(),
            fragments_expired: coverage.fragments_expired,
            fragment_conflicts: coverage.fragment_conflicts,
            conflict_bytes: coverage.conflict_bytes,
            midstream_conns: coverage.midstream_conns,
            conns_evicted: coverage.conns_evicted,
            opaque_bytes: coverage.opaque_bytes,
            searched_bytes: coverage.searched_bytes,
            searched_raw_bytes: coverage.searched_raw_bytes,
            inputs_cut: coverage.inputs_cut.clone(),
            findings_omitted: coverage.hits_omitted,
            patterns_dropped: coverage.patterns_dropped.clone(),
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
        for evidence in &target.evidence {
            line("evidence", name, serde_json::to_value(evidence)?)?;
        }
        for explained in &target.explained {
            line("explained", name, serde_json::to_value(explained)?)?;
        }
        line(
            "verdict",
            name,
            serde_json::json!({
                "verdict": target.verdict,
                "why": target.why,
                "mode": target.mode,
                "causes": target.causes,
                "spoils": target.spoils,
                "notes": target.notes,
                "control": target.control,
                "tunnel": target.tunnel,
                "evidence_omitted": target.evidence_omitted,
                "explained_omitted": target.explained_omitted,
                "out_of_view": target.out_of_view,
                "next": target.next,
            }),
        )?;
    }
    line("coverage", None, serde_json::to_value(&body.coverage)?)
}

/// Frames dropped by kernel, interface and own queue together, as far as anybody counted.
fn drops(coverage: &Coverage) -> String {
    let counted = known(coverage.drops)
        .unwrap_or(0)
        .saturating_add(known(coverage.interface_drops).unwrap_or(0))
        .saturating_add(coverage.channel_dropped);
    match coverage.drops {
        _ if counted > 0 => counted.to_string(),
        Drops::Unknown => "unknown".to_owned(),
        Drops::Known(_) => "none".to_owned(),
    }
}

const fn known(drops: Drops) -> Option<u64> {
    match drops {
        Drops::Known(dropped) => Some(dropped),
        Drops::Unknown => None,
    }
}

/// A text of the user's without the identifiers in it.
fn masked(text: &str, identifiers: &[String]) -> String {
    let mut masked = text.to_owned();
    for identifier in identifiers.iter().filter(|it| !it.is_empty()) {
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

/// Seconds between two times, to the microsecond.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    let micros = to.since(from).max(0) / 1_000;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a conn lasts less than 2^53 microseconds, 285 years"
    )]
    let micros = micros as f64;
    micros / 1e6
}

fn total([orig, resp]: [u64; 2]) -> u64 {
    orig.saturating_add(resp)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands on a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
