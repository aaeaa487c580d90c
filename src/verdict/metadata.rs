//! The claim `metadata`: names of the target's hosts that travel beside the encrypted content.

use super::case::Case;
use super::identifier::whereabouts;
use super::judgement::{Evidence, Outcome, Reason, Row};
use super::ledger::{Ledger, Sheet};
use super::scope::Scope;
use crate::model::{ClaimKind, Rule, Target, Uid};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const CLAIM: ClaimKind = ClaimKind::Metadata;

/// Judges the claim.
pub(super) fn judge(case: &Case<'_>, scope: &Scope<'_>, ledger: &mut Ledger) -> Row {
    let mut sheet = Sheet::new(CLAIM, case.strict);
    let names = names(case.target);
    let mut seen: BTreeMap<&str, (String, Vec<Uid>)> = BTreeMap::new();
    let mut evidence = Vec::new();
    for placed in &scope.conns {
        if placed.inside || placed.exempt().is_some() {
            continue;
        }
        for hit in placed.conn.hits.iter().filter(|hit| hit.rule == Rule::Metadata) {
            let Some(name) = matching(&names, &hit.value) else { continue };
            let at = whereabouts(hit, placed.conn.dialect);
            evidence.push(Evidence {
                claim: CLAIM,
                text: format!("host name {name} {at}"),
                uid: hit.uid,
                at: hit.frames.first,
                hit: Some(hit.clone()),
            });
            let entry = seen.entry(name).or_insert((at, Vec::new()));
            if !entry.1.contains(&placed.uid()) && entry.1.len() < Reason::MAX_UIDS {
                entry.1.push(placed.uid());
            }
        }
    }
    for answer in case.names {
        if let Some(name) = matching(&names, answer.name.as_bytes()) {
            seen.entry(name).or_insert_with(|| {
                let at = format!("answered in frame {}", answer.at.number);
                evidence.push(Evidence {
                    claim: CLAIM,
                    text: format!("host name {name} {at}"),
                    uid: None,
                    at: answer.at,
                    hit: None,
                });
                (at, Vec::new())
            });
        }
    }
    for (name, (first, uids)) in seen {
        sheet.warned(
            Reason::new("host-name", format!("the name {name} travels in the clear: {first}"))
                .with_next("names can be kept from the wire by addresses in the target, or by the hosts file")
                .about(uids),
        );
    }
    if sheet.outcome() == Outcome::Broken {
        for it in evidence {
            ledger.evidence(it);
        }
    }
    let quiet = sheet.outcome() == Outcome::Holds;
    sheet.row(if quiet {
        "names of the target's hosts are not seen beside the content"
    } else {
        ""
    })
}

/// Names of the target's hosts; addresses and names of the own machine say nothing.
pub(super) fn names(target: &Target) -> BTreeSet<&str> {
    target
        .gateway_host
        .iter()
        .chain(
            target
                .services
                .iter()
                .flat_map(|service| std::iter::once(&service.host).chain(&service.aliases)),
        )
        .map(String::as_str)
        .filter(|name| name.parse::<IpAddr>().is_err() && *name != "localhost" && !name.is_empty())
        .collect()
}

/// ASCII without the blanks around it, as `str::trim` takes them away.
fn trimmed(text: &[u8]) -> &[u8] {
    let is_blank = |octet: &u8| matches!(octet, b'\t'..=b'\r' | b' ');
    let from = text.iter().take_while(|octet| is_blank(octet)).count();
    let text = text.get(from..).unwrap_or_default();
    let behind = text.iter().rev().take_while(|octet| is_blank(octet)).count();
    text.get(..text.len() - behind).unwrap_or_default()
}

/// The target's name that a name on the wire means: any case, a trailing dot, a certificate's wildcard.
pub(super) fn matching<'n>(names: &BTreeSet<&'n str>, seen: &[u8]) -> Option<&'n str> {
    let lossy;
    let seen = if seen.is_ascii() {
        trimmed(seen)
    } else {
        lossy = String::from_utf8_lossy(seen);
        lossy.trim().as_bytes()
    };
    let dots = seen.iter().rev().take_while(|octet| **octet == b'.').count();
    let seen = seen.get(..seen.len() - dots).unwrap_or_default();
    // Every name in the capture is asked for, and hardly any is one of the few.
    let is_same = |known: &str, seen: &[u8]| {
        known.len() == seen.len()
            && known.bytes().zip(seen).all(|(known, it)| known == it.to_ascii_lowercase())
    };
    names.iter().find(|name| is_same(name, seen)).copied().or_else(|| {
        let parent = seen.strip_prefix(b"*.")?;
        let is_child =
            |name: &&&str| name.split_once('.').is_some_and(|(_, rest)| is_same(rest, parent));
        names.iter().find(is_child).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As it was written down first, letter by letter.
    fn plainly<'n>(names: &BTreeSet<&'n str>, seen: &[u8]) -> Option<&'n str> {
        let seen = String::from_utf8_lossy(seen).trim().trim_end_matches('.').to_ascii_lowercase();
        let found = names.get(seen.as_str()).copied();
        found.or_else(|| {
            let parent = seen.strip_prefix("*.")?;
            let is_child =
                |name: &&&str| name.split_once('.').is_some_and(|(_, rest)| rest == parent);
            names.iter().find(is_child).copied()
        })
    }

    #[test]
    fn a_name_is_known_in_any_case_with_dots_blanks_and_wildcards() {
        let names = BTreeSet::from(["mail.example", "a.b.example", "Upper.example", "ü.example"]);
        for (seen, expected) in [
            (&b"Mail.EXAMPLE"[..], Some("mail.example")),
            (b" mail.example.. \x0b", Some("mail.example")),
            (b"*.B.example.", Some("a.b.example")),
            (b"upper.example", None),
            (b"mail.example\x00", None),
            ("Ü.example".as_bytes(), None),
            ("\u{a0}ü.EXAMPLE".as_bytes(), Some("ü.example")),
            (b"", None),
        ] {
            assert_eq!(matching(&names, seen), expected, "{seen:?}");
            assert_eq!(plainly(&names, seen), expected, "{seen:?}");
        }
    }

    proptest! {
        #[test]
        fn octets_of_any_kind_mean_what_they_plainly_mean(
            seen in "[ \t\u{b}\u{1c}\u{a0}.*]{0,3}(mail|MAIL|b|ü|\u{ff})?[.]?(Example|b[.]example)?[ .\u{85}]{0,3}",
            cut in 0_usize..4,
        ) {
            let names = BTreeSet::from(["mail.example", "a.b.example", "ü.example", "b"]);
            let seen = &seen.as_bytes()[..seen.len().saturating_sub(cut)];
            prop_assert_eq!(matching(&names, seen), plainly(&names, seen));
        }
    }
}
