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

/// The target's name that a name on the wire means: any case, a trailing dot, a certificate's wildcard.
pub(super) fn matching<'n>(names: &BTreeSet<&'n str>, seen: &[u8]) -> Option<&'n str> {
    let seen = String::from_utf8_lossy(seen).trim().trim_end_matches('.').to_ascii_lowercase();
    let found = names.get(seen.as_str()).copied();
    found.or_else(|| {
        let parent = seen.strip_prefix("*.")?;
        names
            .iter()
            .find(|name| name.split_once('.').is_some_and(|(_, rest)| rest == parent))
            .copied()
    })
}
