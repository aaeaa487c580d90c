//! Where the claims write down what they find: reasons by gravity, evidence, hits that do not count.

use super::judgement::{Evidence, Explained, Outcome, Reason, Row};
use crate::model::{ClaimKind, ConnSummary, Hit};

/// Pieces of evidence kept: more than a person reads, few enough for a report. The rest is counted.
const MAX_EVIDENCE: usize = 500;

/// Hits kept that break nothing.
const MAX_EXPLAINED: usize = 200;

/// Evidence and explained hits of all claims.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) evidence: Vec<Evidence>,
    pub(super) evidence_omitted: u64,
    pub(super) explained: Vec<Explained>,
    pub(super) explained_omitted: u64,
}

impl Ledger {
    /// A hit that broke a claim. Its text is asked for where it is kept.
    pub(super) fn hit(&mut self, claim: ClaimKind, text: impl FnOnce() -> String, hit: &Hit) {
        self.with(|| Evidence {
            claim,
            text: text(),
            uid: hit.uid,
            at: hit.frames.first,
            hit: Some(hit.clone()),
        });
    }

    /// A conn that broke a claim by being there, or by what it is. Likewise.
    pub(super) fn conn(
        &mut self,
        claim: ClaimKind,
        text: impl FnOnce() -> String,
        conn: &ConnSummary,
    ) {
        self.with(|| Evidence {
            claim,
            text: text(),
            uid: Some(conn.record.uid),
            at: conn.record.first,
            hit: None,
        });
    }

    /// Anything that broke a claim.
    pub(super) fn evidence(&mut self, evidence: Evidence) {
        self.with(|| evidence);
    }

    fn with(&mut self, evidence: impl FnOnce() -> Evidence) {
        if self.evidence.len() < MAX_EVIDENCE {
            self.evidence.push(evidence());
        } else {
            self.evidence_omitted += 1;
        }
    }

    /// A hit that breaks nothing. Why is asked for where it is kept.
    pub(super) fn explain(&mut self, why: impl FnOnce() -> String, hit: &Hit) {
        if self.explained.len() < MAX_EXPLAINED {
            self.explained.push(Explained { why: why(), hit: hit.clone() });
        } else {
            self.explained_omitted += 1;
        }
    }
}

/// One claim while it is judged: reasons with the outcome that each asks for.
#[derive(Debug)]
pub(super) struct Sheet {
    claim: ClaimKind,
    strict: bool,
    reasons: Vec<(Outcome, Reason)>,
}

impl Sheet {
    pub(super) const fn new(claim: ClaimKind, strict: bool) -> Self {
        Self { claim, strict, reasons: Vec::new() }
    }

    /// The claim is broken.
    pub(super) fn broken(&mut self, reason: Reason) {
        self.reasons.push((Outcome::Broken, reason));
    }

    /// The claim cannot be shown to hold.
    pub(super) fn unproven(&mut self, reason: Reason) {
        self.reasons.push((Outcome::Unproven, reason));
    }

    /// The claim holds with a remark; broken where the judgement is strict.
    pub(super) fn warned(&mut self, reason: Reason) {
        let outcome = if self.strict { Outcome::Broken } else { Outcome::Warned };
        self.reasons.push((outcome, reason));
    }

    /// Whether warnings break the claim.
    pub(super) const fn is_strict(&self) -> bool {
        self.strict
    }

    /// Takes over what another sheet of the same claim holds.
    pub(super) fn take(&mut self, other: Self) {
        self.reasons.extend(other.reasons);
    }

    /// The gravest outcome so far.
    pub(super) fn outcome(&self) -> Outcome {
        self.reasons.iter().map(|(outcome, _)| *outcome).max().unwrap_or(Outcome::Holds)
    }

    /// The claim as judged. `holds_because` is kept only where the claim holds.
    pub(super) fn row(mut self, holds_because: impl Into<String>) -> Row {
        let outcome = self.outcome();
        self.reasons.sort_by_key(|(outcome, _)| std::cmp::Reverse(*outcome));
        let holds = outcome <= Outcome::Warned;
        Row {
            claim: self.claim,
            outcome,
            reasons: self.reasons.into_iter().map(|(_, reason)| reason).collect(),
            holds_because: if holds { holds_because.into() } else { String::new() },
        }
    }
}

/// A claim that asks nothing of this target.
pub(super) fn not_applicable(claim: ClaimKind, because: impl Into<String>) -> Row {
    Row {
        claim,
        outcome: Outcome::NotApplicable,
        reasons: Vec::new(),
        holds_because: because.into(),
    }
}
