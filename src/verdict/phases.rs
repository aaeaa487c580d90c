//! What was seen in each phase of the window.

use super::case::Case;
use super::judgement::PhaseRow;
use super::ledger::Ledger;
use super::scope::{Place, Scope};
use crate::model::Timestamp;

/// The phases with what was seen in each.
pub(super) fn rows(case: &Case<'_>, scope: &Scope<'_>, ledger: &Ledger) -> Vec<PhaseRow> {
    let mut rows: Vec<PhaseRow> = case
        .window
        .stretches
        .iter()
        .map(|stretch| PhaseRow {
            label: stretch.label(),
            start: stretch.start,
            end: stretch.end,
            frames: stretch.frames,
            conns: 0,
            hits: 0,
        })
        .collect();
    let mut at = |time: Timestamp, count: fn(&mut PhaseRow) -> &mut u64| {
        let after = rows.partition_point(|row| row.start <= time);
        if let Some(row) = rows.get_mut(after.saturating_sub(1)) {
            *count(row) += 1;
        }
    };
    for placed in &scope.conns {
        let is_own = matches!(placed.place, Place::Control | Place::Excluded);
        if !is_own && scope.role(placed).is_some() {
            at(placed.conn.record.first.time, |row| &mut row.conns);
        }
    }
    for evidence in &ledger.evidence {
        at(evidence.at.time, |row| &mut row.hits);
    }
    rows
}

/// `, in the phase "disrupted: cut"`; empty where no phases are known.
pub(super) fn named(case: &Case<'_>, time: Timestamp) -> String {
    let label = case.window.stretch_at(time).map(crate::model::Stretch::label);
    label.map(|label| format!(", in the phase \"{label}\"")).unwrap_or_default()
}
