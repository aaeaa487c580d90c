//! Phases, disruptions and vantages as they are serialised.

use super::parts::seconds;
use crate::verdict::{DisruptionRow, Judgement, PhaseRow, VantageRow};
use serde::Serialize;

/// A phase of the window.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PhaseBody {
    /// `before`, `up`, `rekey`, `disrupted: cut`, `down`.
    pub(super) phase: String,
    pub(super) start: String,
    pub(super) end: String,
    pub(super) duration_s: f64,
    pub(super) frames: u64,
    /// Conns that concern the target and began in it.
    pub(super) conns: u64,
    /// Pieces of evidence in it.
    pub(super) hits: u64,
}

/// A disruption.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DisruptionBody {
    pub(super) step: String,
    pub(super) what: String,
    pub(super) seen: String,
    /// `held`, `leaked`, `not-tried`, `not-done`.
    pub(super) verdict: String,
}

/// A place from which the run was watched.
#[derive(Clone, Debug, Serialize)]
pub(super) struct VantageBody {
    pub(super) name: String,
    pub(super) interfaces: Vec<String>,
    pub(super) conns: u64,
    pub(super) controls_sent: usize,
    pub(super) controls_seen: usize,
    /// Conns that another vantage did not see.
    pub(super) only_here: Vec<String>,
    pub(super) clock_ahead_s: f64,
}

impl PhaseBody {
    fn of(row: &PhaseRow) -> Self {
        Self {
            phase: row.label.clone(),
            start: row.start.to_string(),
            end: row.end.to_string(),
            duration_s: seconds(row.start, row.end),
            frames: row.frames,
            conns: row.conns,
            hits: row.hits,
        }
    }
}

impl DisruptionBody {
    fn of(row: &DisruptionRow) -> Self {
        Self {
            step: row.step.clone(),
            what: row.what.clone(),
            seen: row.seen.clone(),
            verdict: row.fared.to_string(),
        }
    }
}

impl VantageBody {
    fn of(row: &VantageRow) -> Self {
        let [controls_seen, controls_sent] = row.controls;
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of a difference between clocks are enough"
        )]
        let clock_ahead_s = (row.clock_ahead_ns / 1_000_000) as f64 / 1e3;
        Self {
            name: row.name.clone(),
            interfaces: row.interfaces.clone(),
            conns: row.conns,
            controls_sent,
            controls_seen,
            only_here: row.only_here.iter().map(ToString::to_string).collect(),
            clock_ahead_s,
        }
    }
}

/// The phases of a judgement.
pub(super) fn phases(judgement: &Judgement) -> Vec<PhaseBody> {
    judgement.phases.iter().map(PhaseBody::of).collect()
}

/// Its disruptions.
pub(super) fn disruptions(judgement: &Judgement) -> Vec<DisruptionBody> {
    judgement.disruptions.iter().map(DisruptionBody::of).collect()
}

/// Its vantages.
pub(super) fn vantages(judgement: &Judgement) -> Vec<VantageBody> {
    judgement.vantages.iter().map(VantageBody::of).collect()
}
