//! What the octets of a conn are, never surer than what was seen. MISSION section 3, "Class of a conn".

use super::dialect::Spec;
use super::inflate::Outcome;
use super::tally::{Look, Tally};
use crate::model::{Agreement, Basis, Class, Proto};

/// Octets below which nothing is said about a conn whose protocol is not known.
const MIN_OCTETS: u64 = 16;

/// Octets from which binary fields that are not random are taken for cleartext.
const MIN_STRUCTURED: u64 = 256;

/// What a class is made from. Pairs are indexed by `Direction::index`.
pub(super) struct Evidence<'a> {
    /// The protocol that was recognised first.
    pub(super) dialect: Option<&'static Spec>,
    /// IP protocol.
    pub(super) proto: Proto,
    /// The capture begins inside the conn.
    pub(super) midstream: bool,
    /// TLS began inside a conn whose protocol is not known.
    pub(super) has_preamble: bool,
    /// What a handshake agreed on.
    pub(super) agreement: Option<&'a Agreement>,
    /// From where on the direction claims to be ciphertext.
    pub(super) sealed: [Option<u64>; 2],
    /// From where on the direction does not follow its protocol.
    pub(super) lost: [Option<u64>; 2],
    /// Octets in front of the sealing.
    pub(super) clear: [&'a Tally; 2],
    /// Octets behind it.
    pub(super) behind: [&'a Tally; 2],
    /// Octets behind the point where the protocol was lost.
    pub(super) after_lost: [&'a Tally; 2],
    /// What came of compressed bodies.
    pub(super) inflated: Outcome,
    /// A direction begins like a compressed format.
    pub(super) compressed: bool,
}

/// The class, what it rests on, and what the report should say beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) class: Class,
    pub(super) basis: Basis,
    pub(super) remarks: Vec<&'static str>,
}

/// Decides.
pub(super) fn classify(evidence: &Evidence<'_>) -> Answer {
    let octets: u64 = evidence.zones().map(Tally::octets).sum();
    if octets == 0 {
        return answer(Class::Empty, Basis::None);
    }
    match evidence.agreement {
        Some(agreement) if agreement.real => agreed(evidence),
        Some(_) => answer(Class::Cleartext, Basis::Handshake),
        None => without_agreement(evidence, octets),
    }
}

/// A real cipher was agreed on: it counts only if both directions were sealed, and nothing speaks against ciphertext.
fn agreed(evidence: &Evidence<'_>) -> Answer {
    let was_cleartext = evidence.has_preamble || evidence.is_cleartext();
    let kept = evidence.lost.iter().all(Option::is_none);
    let sealed = evidence.sealed.iter().all(Option::is_some);
    let carried = evidence.behind.into_iter().any(|zone| zone.octets() > 0);
    let refuted =
        evidence.behind.into_iter().any(|zone| looks_wrong(zone) || zone.has_short_text())
            || evidence.inflated.is_data_in_seal;
    // Ciphertext has no structure at all, but a wrong alarm would be as bad: a part that has is a doubt.
    let doubted = evidence.behind.into_iter().any(Tally::is_mixed);
    if kept && sealed && carried && !refuted && !doubted {
        let class = if was_cleartext { Class::Upgraded } else { Class::Encrypted };
        return answer(class, Basis::Handshake);
    }
    if refuted
        || evidence.after_lost.into_iter().any(|zone| looks_wrong(zone) || zone.is_all_text())
    {
        let mut answer = answer(Class::Cleartext, Basis::Readable);
        answer.remarks.push("readable octets behind a handshake that agreed on a cipher");
        return answer;
    }
    if evidence.is_cleartext() {
        return answer(Class::Cleartext, Basis::Grammar);
    }
    if evidence.has_preamble && evidence.clear.into_iter().any(|zone| zone.look() == Look::Readable)
    {
        return answer(Class::Cleartext, Basis::Readable);
    }
    let random = evidence.after_lost.into_iter().any(|zone| zone.look() == Look::Random);
    let basis = if random { Basis::Random } else { Basis::None };
    let mut answer = answer(Class::Opaque, basis);
    answer.remarks.push(if kept && doubted {
        "octets behind the handshake are not as random as ciphertext is"
    } else if kept {
        "the handshake was not seen to its end"
    } else {
        "octets behind the handshake do not follow the protocol"
    });
    answer
}

/// Whether octets that should be ciphertext show text or structure.
fn looks_wrong(zone: &Tally) -> bool {
    zone.has_text()
        || zone.look() == Look::Structured
        || zone.octets() >= 10 && zone.octets() < 48 && zone.is_all_text()
}

fn without_agreement(evidence: &Evidence<'_>, octets: u64) -> Answer {
    if evidence.is_cleartext() {
        return answer(Class::Cleartext, Basis::Grammar);
    }
    if evidence.dialect.is_some() && !evidence.has_preamble {
        return unfinished(evidence);
    }
    let readable = evidence.clear.into_iter().any(|zone| zone.look() == Look::Readable);
    if readable || evidence.inflated.is_text {
        let mut answer = answer(Class::Cleartext, Basis::Readable);
        if !readable {
            answer.remarks.push("compressed text");
        }
        return answer;
    }
    let text: u64 = evidence.clear.into_iter().map(Tally::text_octets).sum();
    let remarks =
        if text > 0 { vec!["some readable text among octets that look random"] } else { vec![] };
    let (class, basis) = if evidence.compressed {
        (Class::Opaque, Basis::Random)
    } else if octets < MIN_OCTETS {
        (Class::Opaque, Basis::None)
    } else if is_structured(evidence.clear) && evidence.proto != Proto::ESP {
        (Class::Cleartext, Basis::Readable)
    } else if evidence.clear.into_iter().any(|zone| zone.look() == Look::Random) {
        (Class::Opaque, Basis::Random)
    } else {
        (Class::Opaque, Basis::None)
    };
    Answer { class, basis, remarks }
}

/// SSH or TLS by its looks, without a negotiation read from both sides.
fn unfinished(evidence: &Evidence<'_>) -> Answer {
    let lost = evidence.after_lost.into_iter().any(|zone| {
        looks_wrong(zone) && (zone.look() != Look::Structured || zone.octets() >= MIN_STRUCTURED)
            || zone.is_all_text()
    });
    // A handshake holds text of its own (lists of algorithms, certificates). Where it cannot be one, text is text.
    let readable =
        evidence.midstream && evidence.clear.into_iter().any(|zone| zone.look() == Look::Readable);
    if lost || readable || evidence.inflated.is_text {
        return answer(Class::Cleartext, Basis::Readable);
    }
    let random = evidence.zones().any(|zone| zone.look() == Look::Random);
    let mut answer = answer(Class::Opaque, if random { Basis::Random } else { Basis::None });
    answer.remarks.push(if evidence.midstream {
        "no handshake was seen: the capture begins inside the conn"
    } else {
        "the handshake was not seen to its end"
    });
    answer
}

/// Whether every direction that says something says it in binary fields, and enough of it.
fn is_structured(zones: [&Tally; 2]) -> bool {
    let octets: u64 = zones.into_iter().map(Tally::octets).sum();
    octets >= MIN_STRUCTURED
        && zones.into_iter().any(|zone| zone.look() == Look::Structured)
        && zones.into_iter().all(|zone| zone.look() != Look::Random)
}

impl Evidence<'_> {
    fn is_cleartext(&self) -> bool {
        self.dialect.is_some_and(|spec| spec.cleartext)
    }

    fn zones(&self) -> impl Iterator<Item = &Tally> {
        self.clear.into_iter().chain(self.behind).chain(self.after_lost)
    }
}

fn answer(class: Class, basis: Basis) -> Answer {
    Answer { class, basis, remarks: Vec::new() }
}
