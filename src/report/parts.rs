//! Conns, findings, coverage and tunnel as they are serialised: what `flows` and the judgements have in common.

use crate::model::{
    ConnSummary, Coverage, Drops, Endpoint, Hit, InterfaceRecord, Timestamp, TunnelRecord,
};
use serde::Serialize;
use std::collections::BTreeMap;

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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) encap: Vec<String>,
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
    /// Connections before this one, each ended on purpose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) earlier: Vec<EarlierBody>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct EarlierBody {
    pub(super) local: String,
    pub(super) remote: String,
    pub(super) up: String,
    pub(super) down: String,
    pub(super) why: String,
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
    pub(super) acks: u64,
    pub(super) ack_gaps: u64,
    pub(super) midstream_conns: u64,
    pub(super) conns_evicted: u64,
    pub(super) opaque_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) unread_bodies: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) stopped_bodies: u64,
    pub(super) searched_bytes: u64,
    pub(super) searched_raw_bytes: u64,
    pub(super) inputs_cut: Vec<String>,
    pub(super) findings_omitted: u64,
    pub(super) patterns_dropped: Vec<String>,
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
            encap: record
                .carriage
                .iter()
                .flat_map(|carriage| carriage.layers.iter().map(ToString::to_string))
                .collect(),
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
    pub(super) fn of(end: Endpoint) -> Self {
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
    pub(super) fn of(tunnel: &TunnelRecord) -> Self {
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
            earlier: tunnel
                .earlier
                .iter()
                .map(|conn| EarlierBody {
                    local: conn.local.to_string(),
                    remote: conn.remote.to_string(),
                    up: conn.up.to_string(),
                    down: conn.down.to_string(),
                    why: conn.why.clone(),
                })
                .collect(),
        }
    }
}

impl InterfaceBody {
    pub(super) fn of(id: u32, interface: &InterfaceRecord) -> Self {
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
            acks: coverage.acks,
            ack_gaps: coverage.ack_gaps,
            midstream_conns: coverage.midstream_conns,
            conns_evicted: coverage.conns_evicted,
            opaque_bytes: coverage.opaque_bytes,
            unread_bodies: coverage.unread_bodies,
            stopped_bodies: coverage.stopped_bodies,
            searched_bytes: coverage.searched_bytes,
            searched_raw_bytes: coverage.searched_raw_bytes,
            inputs_cut: coverage.inputs_cut.clone(),
            findings_omitted: coverage.hits_omitted,
            patterns_dropped: coverage.patterns_dropped.clone(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
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

/// Seconds between two times, to the microsecond.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
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
