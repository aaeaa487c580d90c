//! The claim `no-identifier`: no identifier, in any encoding, anywhere on the wire.

use super::bypass::count;
use super::carried::{Seal, seal};
use super::case::Case;
use super::chance::{self, Luck};
use super::judgement::{Reason, Row};
use super::ledger::{Ledger, Sheet};
use super::scope::{Placed, Scope, is_inner};
use crate::model::{ClaimKind, Class, Hit, Rule, Uid};
use std::collections::BTreeMap;

const CLAIM: ClaimKind = ClaimKind::NoIdentifier;

/// Printable octets around a hit that make it part of a text: random octets give so many in one of 300 000 places.
const TEXT_AROUND: usize = 16;

/// Printable octets around a hit from which a conn of no known protocol may be saying it.
const SOME_TEXT_AROUND: usize = 4;

/// The same in front of ciphertext, where a host name in a hello is shorter.
const NAME_AROUND: usize = 6;

/// Expected number of hits outside of ciphertext from which one may be chance: time stamps of TCP, keys, and fragments
/// of ciphertext lie there as well as padding with what stood in memory.
const OPEN_BY_CHANCE: f64 = 0.01;

/// Judges the claim.
pub(super) fn judge(case: &Case<'_>, scope: &Scope<'_>, ledger: &mut Ledger) -> Row {
    let mut sheet = Sheet::new(CLAIM, case.strict);
    let mut counted: Vec<(&Hit, String)> = Vec::new();
    let mut by_chance = Vec::new();
    let mut cut_short = Vec::new();
    let mut in_text = Vec::new();
    let mut raw_by_chance = Vec::new();
    for placed in &scope.conns {
        let first = by_chance.len();
        for hit in identifiers(&placed.conn.hits) {
            match weigh(scope, placed, hit) {
                Weight::Counts => counted.push((hit, whereabouts(hit, placed.conn.dialect))),
                Weight::MayBeChance => by_chance.push(hit),
                Weight::Unclear => in_text.push(hit),
                Weight::Nothing(why) => ledger.explain(|| why, hit),
            }
        }
        if by_chance.len() > first && placed.conn.hits_omitted > 0 {
            cut_short.push(placed.uid());
        }
    }
    for hit in identifiers(case.raw_hits) {
        if all_inside(case) {
            ledger.explain(seen_inside, hit);
        } else if may_be_chance(hit) && stands_in_text(hit) < TEXT_AROUND {
            raw_by_chance.push(hit);
        } else {
            counted.push((hit, whereabouts(hit, None)));
        }
    }
    let mut unclear: Vec<(f64, Vec<&Hit>)> = Vec::new();
    for hit in raw_by_chance {
        unclear.push((hit.chance.unwrap_or_default().min(1.0), vec![hit]));
    }
    for hit in in_text {
        unclear.push((hit.chance.unwrap_or_default().min(1.0), vec![hit]));
    }
    let mut chances = 0;
    for (luck, hits) in chance::judge(by_chance) {
        match luck {
            Luck::Explained(p) => {
                chances += hits.len();
                let why = || format!("chance explains it in ciphertext (probability {p:.1e})");
                for hit in hits {
                    ledger.explain(why, hit);
                }
            }
            Luck::Unclear(p) => unclear.push((p, hits)),
            Luck::Counted(p) => counted.extend(hits.into_iter().map(|hit| {
                let text = format!(
                    "{}; in octets that look random, where chance does not explain it ({p:.1e})",
                    whereabouts(hit, None)
                );
                (hit, text)
            })),
        }
    }
    write_counted(&counted, &mut sheet, ledger);
    for (p, hits) in unclear {
        let Some(first) = hits.first() else { continue };
        sheet.unproven(
            Reason::new(
                "chance-unclear",
                format!(
                    "the identifier \"{}\" stands where chance may explain it (probability {p:.1e}): {}",
                    label(first),
                    whereabouts(first, None)
                ),
            )
            .with_next("repeat the run, or give a longer identifier: chance does not strike twice in the same place")
            .about(hits.iter().filter_map(|hit| hit.uid)),
        );
        for hit in hits {
            ledger.explain(
                || format!("chance may explain it in ciphertext (probability {p:.1e})"),
                hit,
            );
        }
    }
    if !cut_short.is_empty() {
        sheet.unproven(
            Reason::new(
                "hits-omitted",
                "more was found by what may be chance than is kept, so chance cannot be judged",
            )
            .with_next("give longer identifiers, or watch a shorter time")
            .about(cut_short),
        );
    }
    nothing_looked_for(case, &mut sheet);
    sheet.row(format!(
        "{} in every encoding, searched in {} octets of streams and {} octets outside of them{}",
        count(case.target.identifiers.len(), "text"),
        case.coverage.searched_bytes,
        case.coverage.searched_raw_bytes,
        if chances > 0 {
            format!("; {} in ciphertext that chance explains", count(chances, "hit"))
        } else {
            String::new()
        }
    ))
}

fn seen_inside() -> String {
    "seen inside the tunnel only, not on the wire".to_owned()
}

/// What a hit says of the wire.
enum Weight {
    Counts,
    MayBeChance,
    /// Chance may explain it, and is never said to.
    Unclear,
    Nothing(String),
}

fn weigh(scope: &Scope<'_>, placed: &Placed<'_>, hit: &Hit) -> Weight {
    if placed.inside {
        return Weight::Nothing(seen_inside());
    }
    if let Some((exempt, _)) = placed.exempt().and_then(|index| scope.exempts.get(index)) {
        return Weight::Nothing(format!("exempt \"{}\": {}", exempt.name, exempt.reason));
    }
    let proven = hit.in_ciphertext && matches!(seal(placed.conn), Seal::Real(_));
    match placed.conn.class {
        _ if proven => {}
        Class::Opaque => {}
        // In front of ciphertext stand keys and random numbers, and names in text.
        Class::Encrypted if may_be_chance(hit) && stands_in_text(hit) < NAME_AROUND => {
            return Weight::Unclear;
        }
        _ => return Weight::Counts,
    }
    match stands_in_text(hit) {
        TEXT_AROUND.. => Weight::Counts,
        SOME_TEXT_AROUND.. if !proven && !is_certain(hit) => Weight::Unclear,
        _ => Weight::MayBeChance,
    }
}

/// Whether one such hit somewhere outside of ciphertext is to be expected now and then.
fn may_be_chance(hit: &Hit) -> bool {
    hit.chance.is_some_and(|expected| expected >= OPEN_BY_CHANCE)
}

/// Whether chance is out of the question whatever stands around.
fn is_certain(hit: &Hit) -> bool {
    hit.chance.is_some_and(|expected| expected < 1e-6)
}

/// Printable octets that touch a hit on both sides, as far as its excerpt reaches.
fn stands_in_text(hit: &Hit) -> usize {
    let excerpt = &hit.excerpt;
    let is_text = |octet: &&u8| matches!(**octet, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let (before, rest) = excerpt.bytes.split_at_checked(excerpt.start).unwrap_or((&[], &[]));
    let after = rest.get(excerpt.len..).unwrap_or_default();
    before.iter().rev().take_while(is_text).count() + after.iter().take_while(is_text).count()
}

/// One reason a label, and every hit as evidence.
fn write_counted(counted: &[(&Hit, String)], sheet: &mut Sheet, ledger: &mut Ledger) {
    let mut labels: BTreeMap<&str, (usize, &str, Vec<Uid>)> = BTreeMap::new();
    for (hit, text) in counted {
        ledger.hit(CLAIM, || format!("identifier \"{}\" {text}", label(hit)), hit);
        let entry = labels.entry(label(hit)).or_insert((0, text, Vec::new()));
        entry.0 += 1;
        if let Some(uid) =
            hit.uid.filter(|uid| !entry.2.contains(uid) && entry.2.len() < Reason::MAX_UIDS)
        {
            entry.2.push(uid);
        }
    }
    for (label, (hits, first, uids)) in labels {
        sheet.broken(
            Reason::new(
                "identifier",
                format!(
                    "the identifier \"{label}\" is readable on the wire: {}, the first {first}",
                    count(hits, "hit")
                ),
            )
            .about(uids),
        );
    }
}

fn nothing_looked_for(case: &Case<'_>, sheet: &mut Sheet) {
    if !case.target.identifiers.is_empty() {
        return;
    }
    let reason =
        Reason::new("no-identifiers", "no identifiers were given: nothing was searched for")
            .with_next(format!("--identifier TEXT, or [target.{}.identifiers]", case.target.name));
    if case.strict {
        sheet.unproven(reason);
    } else {
        sheet.warned(reason);
    }
}

fn identifiers(hits: &[Hit]) -> impl Iterator<Item = &Hit> {
    hits.iter().filter(|hit| hit.rule == Rule::Identifier)
}

fn label(hit: &Hit) -> &str {
    hit.label.as_deref().unwrap_or("unnamed")
}

/// Whether every interface stands inside the tunnel.
fn all_inside(case: &Case<'_>) -> bool {
    !case.target.any_vantage
        && !case.interfaces.is_empty()
        && case.interfaces.iter().all(|interface| is_inner(interface.vantage))
}

/// Where a hit is: `in C3 (pop3) by orig, offset 5, frame 12, as ascii`.
pub(super) fn whereabouts(hit: &Hit, dialect: Option<&str>) -> String {
    let place = match hit.uid {
        Some(uid) => format!("in {uid}"),
        None => "in a frame outside of any conn".to_owned(),
    };
    let dialect = hit.dialect.or(dialect).map(|it| format!(" ({it})")).unwrap_or_default();
    let dir = hit.dir.map(|it| format!(" by {it}")).unwrap_or_default();
    format!(
        "{place}{dialect}{dir}, offset {}, frame {}, as {}",
        hit.offset, hit.frames.first.number, hit.encoding
    )
}
