//! The vantages of a run side by side: what one shows and another does not.

use super::bypass::count;
use super::case::Case;
use super::coverage::Found;
use super::judgement::{ControlCheck, Reason, VantageRow};
use super::scope::{Place, Placed, Scope};
use crate::model::{ConnId, ConnSummary, ControlPath, Phase, Timestamp, Uid, VantageRecord};
use std::collections::{HashMap, HashSet};

/// Conns named in one reason.
const MAX_NAMED: usize = 3;

/// The vantage that saw a conn: its place in the list. All are of the first where there is but one.
pub(super) fn vantage_of(case: &Case<'_>, conn: &ConnSummary) -> usize {
    let vantages = &case.window.vantages;
    let Some(interface) = conn.record.interfaces.first() else { return 0 };
    vantages.iter().position(|it| it.interfaces.contains(interface)).unwrap_or_default()
}

/// Whether an interface is another machine's.
pub(super) fn is_remote(case: &Case<'_>, interface_id: u32) -> bool {
    let mut vantages = case.window.vantages.iter();
    vantages.any(|it| it.remote && it.interfaces.contains(&interface_id))
}

/// Compares the vantages. What one of them did not see, or lost, spoils a PASS: it cannot vouch for an absence.
pub(super) fn check(
    case: &Case<'_>,
    scope: &Scope<'_>,
    checks: &[ControlCheck],
    found: &mut Found,
) -> Vec<VantageRow> {
    let vantages = &case.window.vantages;
    for it in vantages {
        if let Some(why) = &it.lost {
            found.spoils.push(
                Reason::new(
                    "vantage-lost",
                    format!("what {} saw is not all there: {why}", it.name),
                )
                .with_next("see that tcpdump runs there to the end, and run it again"),
            );
        }
    }
    if vantages.len() < 2 && !vantages.iter().any(|it| it.remote) {
        return Vec::new();
    }
    let mut rows: Vec<VantageRow> = vantages.iter().map(|it| row(case, it, checks)).collect();
    // Where conns are folded, the list of one vantage may lack what it has seen.
    let common = common_time(vantages, checks).filter(|_| case.rest.folded == 0);
    let mut seen: HashMap<ConnId, HashSet<usize>> = HashMap::new();
    let mut placed_at: Vec<(usize, &Placed<'_>)> = Vec::new();
    for placed in scope.in_scope().filter(|placed| !matches!(placed.place, Place::Control)) {
        let at = vantage_of(case, placed.conn);
        if let Some(row) = rows.get_mut(at) {
            row.conns += 1;
        }
        seen.entry(undirected(&placed.conn.record.id)).or_default().insert(at);
        placed_at.push((at, placed));
    }
    let mut told: Vec<String> = Vec::new();
    let mut uids: Vec<Uid> = Vec::new();
    for (at, placed) in placed_at {
        let first = placed.conn.record.first.time;
        let comparable = common.is_some_and(|(from, to)| first > from && first < to);
        let by = seen.get(&undirected(&placed.conn.record.id));
        let missing: Vec<&str> = vantages
            .iter()
            .enumerate()
            .filter(|(other, _)| by.is_some_and(|by| !by.contains(other)))
            .map(|(_, it)| it.name.as_str())
            .collect();
        if missing.is_empty() || !comparable {
            continue;
        }
        if let Some(row) = rows.get_mut(at) {
            row.only_here.push(placed.uid());
            told.push(format!(
                "{} {} was seen by {} and not by {}",
                placed.uid(),
                placed.conn.record.id,
                row.name,
                missing.join(", ")
            ));
        }
        uids.push(placed.uid());
    }
    if !told.is_empty() {
        let more = told.len().saturating_sub(MAX_NAMED);
        told.truncate(MAX_NAMED);
        let more = if more > 0 {
            format!("; and {} more", count(more, "connection"))
        } else {
            String::new()
        };
        found.spoils.push(
            Reason::new("vantages-differ", format!("{}{more}", told.join("; ")))
                .with_next("the vantage that does not see it cannot vouch for an absence: see where it stands")
                .about(uids),
        );
    }
    rows
}

fn row(case: &Case<'_>, it: &VantageRecord, checks: &[ControlCheck]) -> VantageRow {
    let clear = || clear_of(it, checks);
    VantageRow {
        name: it.name.clone(),
        interfaces: it
            .interfaces
            .iter()
            .map(|id| super::control::interface_name(case, *id))
            .collect(),
        conns: 0,
        controls: [clear().filter(|check| !check.seen.is_empty()).count(), clear().count()],
        only_here: Vec::new(),
        clock_ahead_ns: it.clock_ahead_ns,
    }
}

fn clear_of<'c>(
    it: &VantageRecord,
    checks: &'c [ControlCheck],
) -> impl Iterator<Item = &'c ControlCheck> {
    let interfaces = it.interfaces.clone();
    checks.iter().filter(move |check| {
        check.path == ControlPath::Clear && interfaces.contains(&check.interface_id)
    })
}

/// From when to when every vantage is known to have looked: between the first and the last control that each has seen.
/// What lies at the edges may be missing from one for no fault of its own.
fn common_time(
    vantages: &[VantageRecord],
    checks: &[ControlCheck],
) -> Option<(Timestamp, Timestamp)> {
    let of = |it: &VantageRecord, phase: Phase| {
        let seen = clear_of(it, checks).filter(|check| check.phase == phase);
        seen.filter_map(|check| check.seen.first()).map(|at| at.time).collect::<Vec<_>>()
    };
    let mut all = None;
    for it in vantages {
        let from = of(it, Phase::Before).into_iter().max();
        let to = of(it, Phase::After).into_iter().min();
        let (from, to) = from.zip(to)?;
        all = Some(match all {
            None => (from, to),
            Some((a, b)) => (from.max(a), to.min(b)),
        });
    }
    all
}

/// Who opened a conn is a guess where its start was not seen.
fn undirected(id: &ConnId) -> ConnId {
    if id.orig <= id.resp { *id } else { ConnId { orig: id.resp, resp: id.orig, proto: id.proto } }
}
