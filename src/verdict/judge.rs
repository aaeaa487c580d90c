//! The judgement of a case: claims, coverage and control, and the answer that follows.

use super::bypass::count;
use super::case::Case;
use super::judgement::{Judgement, Outcome, Reason, Row, ScopedConn};
use super::ledger::Ledger;
use super::scope::{ClientBasis, Scope, is_control_of_another_run};
use super::{
    bypass, carried, cause, cleartext, control, coverage, disruption, identifier, metadata, phases,
    prose, transport, vantages,
};
use crate::model::{ClaimKind, Verdict};

/// Judges one target over everything that was seen and missed.
///
/// FAIL: a claim is broken, whatever was lost. PASS: no claim is broken or unproven, `carried` is seen to hold, and
/// nothing spoils the coverage. INCONCLUSIVE: anything else. MISSION section 3.
#[must_use]
pub fn judge(case: &Case<'_>) -> Judgement {
    let scope = Scope::of(case);
    let mut ledger = Ledger::default();
    let rows = vec![
        transport::judge(case),
        carried::judge(case, &scope, &mut ledger),
        bypass::judge(case, &scope, &mut ledger),
        identifier::judge(case, &scope, &mut ledger),
        cleartext::judge(case, &scope, &mut ledger),
        metadata::judge(case, &scope, &mut ledger),
    ];
    let (checks, lacking) = control::check(case);
    let mut found = coverage::check(case, &scope);
    found.spoils.extend(lacking);
    let disruptions = disruption::check(case, &scope, &ledger, &mut found);
    let vantages = vantages::check(case, &scope, &checks, &mut found);
    found.notes.extend(notes(case, &scope));
    let (bypasses, bypasses_omitted) = cause::explain(case, &scope);
    let verdict = answer(&rows, &found.spoils);
    Judgement {
        target: case.target.name.clone(),
        verdict,
        why: prose::why(case, verdict, &rows, &found.spoils),
        scope: scope
            .conns
            .iter()
            .filter_map(|placed| {
                let role = scope.role(placed)?;
                Some(ScopedConn { uid: placed.uid(), id: placed.conn.record.id, role })
            })
            .collect(),
        phases: phases::rows(case, &scope, &ledger),
        disruptions,
        vantages,
        bypasses,
        bypasses_omitted,
        evidence: ledger.evidence,
        evidence_omitted: ledger.evidence_omitted,
        explained: ledger.explained,
        explained_omitted: ledger.explained_omitted.saturating_add(case.rest.explained),
        control: checks,
        out_of_view: prose::out_of_view(case),
        next: prose::next(&rows, &found.spoils),
        notes: found.notes,
        coverage: found.spoils,
        rows,
    }
}

/// The truth table of `docs/verdicts.md`.
fn answer(rows: &[Row], spoils: &[Reason]) -> Verdict {
    let held = |outcome: Outcome| matches!(outcome, Outcome::Holds | Outcome::Warned);
    if rows.iter().any(|row| row.outcome == Outcome::Broken) {
        Verdict::Fail
    } else if spoils.is_empty()
        && rows.iter().all(|row| row.outcome != Outcome::Unproven)
        && rows.iter().any(|row| row.claim == ClaimKind::Carried && held(row.outcome))
    {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    }
}

/// What is said, and spoils nothing.
fn notes(case: &Case<'_>, scope: &Scope<'_>) -> Vec<Reason> {
    let mut notes = Vec::new();
    if scope.client_basis == ClientBasis::Inferred {
        let clients: Vec<_> = scope.clients.iter().map(ToString::to_string).collect();
        notes.push(
            Reason::new(
                "client-inferred",
                format!(
                    "the watched host was taken to be {}, by its connections",
                    clients.join(", ")
                ),
            )
            .with_next(format!("client = [..] in [target.{}]", case.target.name)),
        );
    }
    let foreign: Vec<_> = scope
        .conns
        .iter()
        .filter(|placed| is_control_of_another_run(placed.conn))
        .map(super::scope::Placed::uid)
        .collect();
    if !foreign.is_empty() {
        let text = format!(
            "{} of another run of tunnelcheck, set aside",
            count(foreign.len(), "control datagram")
        );
        notes.push(Reason::new("control-of-another-run", text).about(foreign));
    }
    if !case.source.is_ours() {
        notes.push(Reason::new(
            "no-control",
            "a recording by somebody else holds no control: that the sniffer saw both directions is known from the \
             conns alone",
        ));
    }
    notes.extend(cause::idle(case));
    if let Some(tunnel) = case.tunnel {
        for forward in tunnel.forwards.iter().filter(|it| it.bytes_in == 0 && it.bytes_out == 0) {
            notes.push(Reason::new(
                "forward-not-used",
                format!("nobody used the forward \"{}\" at {}", forward.service, forward.listen),
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_without_carried() {
        let row = |claim, outcome| Row {
            claim,
            outcome,
            reasons: Vec::new(),
            holds_because: String::new(),
        };
        let others = row(ClaimKind::NoBypass, Outcome::Holds);
        let judged = |outcome| answer(&[row(ClaimKind::Carried, outcome), others.clone()], &[]);
        assert_eq!(judged(Outcome::Holds), Verdict::Pass);
        assert_eq!(judged(Outcome::NotApplicable), Verdict::Inconclusive);
        assert_eq!(answer(std::slice::from_ref(&others), &[]), Verdict::Inconclusive);
    }
}
