//! The sentences of a judgement that belong to no single claim.

use super::case::{Case, Source};
use super::control::interface_name;
use super::judgement::{Outcome, Reason, Row};
use crate::model::{TunnelMode, Verdict};

/// The answer's reason in one sentence.
pub(super) fn why(case: &Case<'_>, verdict: Verdict, rows: &[Row], coverage: &[Reason]) -> String {
    let of = |outcome: Outcome| {
        rows.iter().filter(move |row| row.outcome == outcome).filter_map(|row| row.reasons.first())
    };
    match verdict {
        Verdict::Pass => {
            let sure = if case.source.is_ours() {
                "the control was seen in every phase, no frame was dropped"
            } else {
                "no sign of loss was found (a recording by somebody else: no control, and no more surely than that)"
            };
            format!("every claim holds over {} frames; {sure}", case.coverage.frames)
        }
        Verdict::Fail => {
            of(Outcome::Broken).next().map_or_else(String::new, |reason| reason.text.clone())
        }
        Verdict::Inconclusive => {
            // What spoils everything explains what is lacking, rather than the other way round.
            let grave = |reason: &&Reason| matches!(reason.code, "empty-capture" | "wrong-vantage");
            let mut reasons: Vec<&Reason> = coverage.iter().filter(grave).collect();
            reasons.extend(of(Outcome::Unproven));
            reasons.extend(coverage.iter().filter(|reason| !grave(reason)));
            let more = reasons.len().saturating_sub(1);
            let first = reasons.first().map_or("nothing was proven", |reason| reason.text.as_str());
            match more {
                0 => first.to_owned(),
                1 => format!("{first} (and 1 reason more)"),
                _ => format!("{first} (and {more} reasons more)"),
            }
        }
    }
}

/// Scope, said in every report.
pub(super) fn out_of_view(case: &Case<'_>) -> Vec<String> {
    let target = case.target;
    let mut lines = Vec::new();
    match (target.tunnel, target.gateway_host.as_deref()) {
        (TunnelMode::None, _) => lines.push(
            "What lies beyond the servers that end the encryption (proxies, mail relays, storage)."
                .to_owned(),
        ),
        (_, gateway) => lines.push(format!(
            "What lies beyond the gateway{}: its leg to the services is cleartext by design.",
            gateway.map(|name| format!(" {name}")).unwrap_or_default()
        )),
    }
    let names: Vec<_> = case
        .interfaces
        .iter()
        .zip(0_u32..)
        .filter(|(interface, _)| !interface.name.is_empty())
        .map(|(_, id)| interface_name(case, id))
        .collect();
    lines.push(if names.is_empty() {
        "Other interfaces than the one that was captured.".to_owned()
    } else {
        format!("Other interfaces than {}.", names.join(", "))
    });
    lines.push("Traffic before the capture began and after it ended.".to_owned());
    lines.push(
        "Transforms that are not undone: unknown compression, unknown encodings, other keys' ciphertext.".to_owned(),
    );
    match case.source {
        Source::Live => {}
        Source::Recording { own: true, .. } => lines.push(
            "Nothing was resolved or sent: addresses come from the target and the recording alone.".to_owned(),
        ),
        Source::Recording { own: false, .. } => lines.push(
            "A recording by somebody else: where it was taken and what it lacks is known only from itself; \
             nothing was resolved or sent."
                .to_owned(),
        ),
    }
    lines
}

/// What to do next: the remedies, each once, the gravest first.
pub(super) fn next(rows: &[Row], coverage: &[Reason]) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let graded = [Outcome::Broken, Outcome::Unproven].into_iter().flat_map(|outcome| {
        rows.iter().filter(move |row| row.outcome == outcome).flat_map(|row| &row.reasons)
    });
    let warned =
        rows.iter().filter(|row| row.outcome == Outcome::Warned).flat_map(|row| &row.reasons);
    for reason in graded.chain(coverage).chain(warned) {
        if let Some(step) = reason.next.as_ref().filter(|step| !steps.contains(step)) {
            steps.push(step.clone());
        }
    }
    steps
}
