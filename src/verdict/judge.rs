//! The judgement of a case.

use super::case::Case;
use super::judgement::{Judgement, Outcome, Reason, Row};
use crate::model::{ClaimKind, Verdict};

/// Judges one target over everything that was seen and missed.
#[must_use]
pub fn judge(case: &Case<'_>) -> Judgement {
    let rows = ClaimKind::ALL
        .into_iter()
        .map(|claim| Row {
            claim,
            outcome: Outcome::Unproven,
            reasons: vec![Reason::new("not-judged", "this claim is not judged yet")],
            holds_because: String::new(),
        })
        .collect();
    Judgement {
        target: case.target.name.clone(),
        verdict: Verdict::Inconclusive,
        why: "the claims are not judged yet".to_owned(),
        rows,
        coverage: Vec::new(),
        scope: Vec::new(),
        evidence: Vec::new(),
        evidence_omitted: 0,
        explained: Vec::new(),
        explained_omitted: 0,
        control: Vec::new(),
        notes: Vec::new(),
        out_of_view: Vec::new(),
        next: Vec::new(),
    }
}
