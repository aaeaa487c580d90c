//! What became of the client while something was taken away on purpose.
//!
//! The rule: in a disrupted phase the tunnel may be down. Everything else counts as at any time, and the tunnel must be up
//! before and again afterwards. A disruption that was not made, or in which the client did nothing, shows nothing.

use super::bypass::count;
use super::case::Case;
use super::coverage::Found;
use super::judgement::{DisruptionRow, Fared, Reason};
use super::ledger::{Ledger, Sheet};
use super::scope::{Place, Scope};
use crate::model::{ClaimKind, Disruption, Timestamp, Tries};

/// The disruptions, judged; what they leave open spoils a PASS.
pub(super) fn check(
    case: &Case<'_>,
    scope: &Scope<'_>,
    ledger: &Ledger,
    found: &mut Found,
) -> Vec<DisruptionRow> {
    let all = &case.window.disruptions;
    let mut rows = Vec::new();
    for (index, it) in all.iter().enumerate() {
        // A client that fell back may stay there: until the next disruption it is this one's.
        let until = all.iter().skip(index + 1).find(|next| next.done).map(|next| next.start);
        let row = judge(case, it, until, scope, ledger);
        match row.fared {
            Fared::Held | Fared::Leaked => {}
            Fared::NotDone => found.spoils.push(
                Reason::new(
                    "disruption-not-done",
                    format!("the disruption \"{}\" was not made: {}", it.step, it.what),
                )
                .with_next(format!(
                    "make it possible, or leave \"{}\" out of --disrupt: nothing is shown about it",
                    it.step
                )),
            ),
            Fared::NotTried => found.spoils.push(
                Reason::new(
                    "disruption-not-tried",
                    format!(
                        "during the disruption \"{}\" the client was not seen to try anything: {}",
                        it.step, row.seen
                    ),
                )
                .with_next("use the client while it lasts; --disrupt-for makes it longer"),
            ),
        }
        if let Some(why) = &it.not_undone {
            found.spoils.push(
                Reason::new(
                    "disruption-not-undone",
                    format!("the disruption \"{}\" could not be taken back: {why}", it.step),
                )
                .with_next("run: tunnelcheck --undo-disruptions"),
            );
        }
        rows.push(row);
    }
    rows
}

/// The part of the claim `tunnel` that disruptions ask for.
pub(super) fn tunnel(case: &Case<'_>, sheet: &mut Sheet) {
    for it in case.window.disruptions.iter().filter(|it| it.done) {
        let tries = tries(case, it);
        if tries.is_some_and(|tries| !tries.up_before) {
            sheet.unproven(Reason::new(
                "tunnel-not-up-before",
                format!("the tunnel was not up before the disruption \"{}\"", it.step),
            ));
        }
        if tries.is_some_and(|tries| !tries.up_after) {
            sheet.unproven(
                Reason::new(
                    "tunnel-not-up-again",
                    format!(
                        "the tunnel did not come up again after the disruption \"{}\"",
                        it.step
                    ),
                )
                .with_next("see what the gateway says to a second login, and run it again"),
            );
        }
    }
}

fn tries<'a>(case: &Case<'a>, it: &'a Disruption) -> Option<&'a Tries> {
    it.tries.iter().find(|tries| tries.target == case.target.name)
}

fn judge(
    case: &Case<'_>,
    it: &Disruption,
    until: Option<Timestamp>,
    scope: &Scope<'_>,
    ledger: &Ledger,
) -> DisruptionRow {
    let row = |seen: String, fared| DisruptionRow {
        step: it.step.clone(),
        what: it.what.clone(),
        seen,
        fared,
    };
    if !it.done {
        return row("-".to_owned(), Fared::NotDone);
    }
    let within = |time: Timestamp| time >= it.start && time < it.end;
    let after = |time: Timestamp| time >= it.end && until.is_none_or(|until| time < until);
    let leaks = |when: &dyn Fn(Timestamp) -> bool| {
        let broken = ledger.evidence.iter().filter(|it| {
            !matches!(it.claim, ClaimKind::Tunnel | ClaimKind::Metadata) && when(it.at.time)
        });
        broken.count()
    };
    let (meanwhile, afterwards) = (leaks(&within), leaks(&after));
    let direct = scope
        .in_scope()
        .filter(|placed| !matches!(placed.place, Place::Gateway { .. }))
        .filter(|placed| within(placed.conn.record.first.time))
        .count();
    let (attempts, forwarded) =
        tries(case, it).map_or((0, 0), |tries| (tries.attempts, tries.forwarded));
    let mut seen = format!(
        "{} at the mouths, {forwarded} octets through the forwards, {} beside the tunnel",
        count(usize::try_from(attempts).unwrap_or(usize::MAX), "attempt"),
        count(direct, "connection")
    );
    if meanwhile + afterwards > 0 {
        seen = format!("{seen}; {meanwhile} findings meanwhile, {afterwards} afterwards");
        return row(seen, Fared::Leaked);
    }
    let tried = attempts > 0 || forwarded > 0 || direct > 0;
    // Evidence beyond the bound may lie in any phase.
    let known = ledger.evidence_omitted == 0;
    row(seen, if tried && known { Fared::Held } else { Fared::NotTried })
}
