//! The claim `no-cleartext`: nothing readable on the conns in scope.

use super::bypass::{client_unknown, count};
use super::carried::{Seal, seal};
use super::case::Case;
use super::identifier::whereabouts;
use super::judgement::{Reason, Row};
use super::ledger::{Ledger, Sheet};
use super::scope::{ClientBasis, Place, Placed, Scope};
use crate::model::{ClaimKind, Class, ConnSummary, Field, Hit, Proto, Rule};

const CLAIM: ClaimKind = ClaimKind::NoCleartext;

/// Protocols that tell names and times and carry no content; the claim `metadata` looks at them.
const METADATA_DIALECTS: [&str; 6] = ["dns", "mdns", "llmnr", "dhcp", "dhcpv6", "ntp"];

/// Judges the claim.
pub(super) fn judge(case: &Case<'_>, scope: &Scope<'_>, ledger: &mut Ledger) -> Row {
    let mut sheet = Sheet::new(CLAIM, case.strict);
    let mut read = 0;
    let mut upgraded = 0;
    for placed in scope.in_scope() {
        if is_aside(placed) {
            continue;
        }
        let conn = placed.conn;
        let before_seal = secrets(conn);
        match seal(conn) {
            Seal::Empty => continue,
            Seal::None(reason) => {
                readable(conn, &reason, ledger);
                sheet.broken(reason);
            }
            Seal::Unknown(reason) if before_seal.is_empty() => sheet.unproven(reason),
            Seal::Unknown(_) | Seal::Real(_) if !before_seal.is_empty() => {
                sheet.broken(secret(conn, &before_seal));
                for hit in before_seal {
                    ledger.hit(CLAIM, || told(hit, conn), hit);
                }
            }
            Seal::Unknown(_) | Seal::Real(_) => {}
        }
        if conn.unread_preamble > 0 {
            sheet.unproven(
                Reason::new(
                    "unread-preamble",
                    format!(
                        "{} {} says {} octets of readable text in a protocol that is not known, before it turns to TLS",
                        placed.uid(),
                        conn.record.id,
                        conn.unread_preamble
                    ),
                )
                .with_next("use the port of the service that speaks TLS from its first octet")
                .about([placed.uid()]),
            );
        }
        if conn.class == Class::Upgraded {
            upgraded += 1;
            if case.strict {
                let reason = Reason::new(
                    "upgraded",
                    format!(
                        "{} {} begins in the clear, before it turns to TLS",
                        placed.uid(),
                        conn.record.id
                    ),
                )
                .with_next("use the port of the service that speaks TLS from its first octet")
                .about([placed.uid()]);
                ledger.conn(CLAIM, || reason.text.clone(), conn);
                sheet.broken(reason);
            }
        }
        read += 1;
    }
    if read == 0 {
        sheet.unproven(if scope.client_basis == ClientBasis::Unknown {
            client_unknown(case)
        } else {
            Reason::new(
                "nothing-in-scope",
                "nothing was said between the client and the gateway or a service",
            )
            .with_next(
                "use the client while the capture runs, on the interface that its route uses",
            )
        });
    }
    others(scope, ledger);
    sheet.row(format!(
        "{} in scope, each encrypted{}",
        count(read, "conn"),
        if upgraded > 0 {
            format!("; {upgraded} turned to TLS before anything secret was said")
        } else {
            String::new()
        }
    ))
}

/// What is readable of a conn, for a sentence: `: pop3, a greeting, 4 verbs, 2 credentials`.
pub(super) fn what_is_readable(conn: &ConnSummary) -> String {
    let mut parts: Vec<String> = conn.dialect.map(str::to_owned).into_iter().collect();
    let number = |wanted: &dyn Fn(&Hit) -> bool| {
        conn.hits.iter().filter(|hit| !hit.in_ciphertext && wanted(hit)).count()
    };
    if number(&|hit| hit.rule == Rule::Banner && hit.field == Some(Field::GREETING)) > 0 {
        parts.push("its greeting".to_owned());
    }
    for (found, noun) in [
        (number(&|hit| hit.rule == Rule::Banner && hit.field == Some(Field::VERB)), "verb"),
        (number(&|hit| hit.rule == Rule::Credential), "credential"),
        (number(&|hit| hit.rule == Rule::Content), "piece"),
    ] {
        if found > 0 {
            parts.push(count(found, noun) + if noun == "piece" { " of content" } else { "" });
        }
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// Conns that the claim does not ask about.
fn is_aside(placed: &Placed<'_>) -> bool {
    let conn = placed.conn;
    let proto = conn.record.id.proto;
    // What does not follow the protocol is content.
    let has_content =
        conn.hits.iter().any(|hit| matches!(hit.rule, Rule::Content | Rule::Credential));
    let tells_names =
        !has_content && conn.dialect.is_some_and(|dialect| METADATA_DIALECTS.contains(&dialect));
    proto == Proto::ICMP
        || proto == Proto::ICMPV6
        || tells_names && !matches!(placed.place, Place::Service(_) | Place::Gateway { .. })
}

/// What is secret and stands in front of the ciphertext.
fn secrets(conn: &ConnSummary) -> Vec<&Hit> {
    conn.hits
        .iter()
        .filter(|hit| {
            !hit.in_ciphertext
                && match hit.rule {
                    Rule::Credential | Rule::Content => true,
                    // In octets that look random, keys among them, chance may explain it; the claim `no-identifier`
                    // weighs that.
                    Rule::Identifier => !matches!(conn.class, Class::Opaque | Class::Encrypted),
                    Rule::Banner | Rule::Metadata | Rule::WeakCrypto => false,
                }
        })
        .collect()
}

fn secret(conn: &ConnSummary, hits: &[&Hit]) -> Reason {
    let uid = conn.record.uid;
    Reason::new(
        "secret-in-the-clear",
        format!(
            "{uid} {} says something secret before it is encrypted: {}",
            conn.record.id,
            hits.first().map(|hit| what(hit)).unwrap_or_default()
        ),
    )
    .about([uid])
}

/// Evidence of a readable conn: its hits, or the conn itself where nothing was named.
fn readable(conn: &ConnSummary, reason: &Reason, ledger: &mut Ledger) {
    let mut none = true;
    let mut verbs = 0;
    // What matters most first: a report shows the first ones.
    for rule in [Rule::Credential, Rule::Content, Rule::WeakCrypto, Rule::Banner] {
        for hit in conn.hits.iter().filter(|hit| hit.rule == rule && !hit.in_ciphertext) {
            verbs += u32::from(hit.field == Some(Field::VERB));
            if hit.field != Some(Field::VERB) || verbs == 1 {
                none = false;
                ledger.hit(CLAIM, || told(hit, conn), hit);
            }
        }
    }
    if none {
        ledger.conn(CLAIM, || reason.text.clone(), conn);
    }
}

/// Credentials and content of conns out of scope: listed, no failure by themselves.
fn others(scope: &Scope<'_>, ledger: &mut Ledger) {
    for placed in scope.conns.iter().filter(|placed| !placed.in_scope()) {
        for hit in &placed.conn.hits {
            if hit.in_ciphertext || !matches!(hit.rule, Rule::Credential | Rule::Content) {
                continue;
            }
            let why = || match placed.place {
                _ if placed.inside => "seen inside the tunnel only, not on the wire".to_owned(),
                Place::Exempt(index) => {
                    scope.exempts.get(index).map_or_else(String::new, |(it, _)| {
                        format!("exempt \"{}\": {}", it.name, it.reason)
                    })
                }
                Place::Control | Place::Excluded => "a conn of tunnelcheck itself".to_owned(),
                _ => "other people's cleartext, out of scope".to_owned(),
            };
            ledger.explain(why, hit);
        }
    }
}

/// What was found, and where.
fn told(hit: &Hit, conn: &ConnSummary) -> String {
    format!("{} {}", what(hit), whereabouts(hit, conn.dialect))
}

fn what(hit: &Hit) -> String {
    match hit.field {
        Some(field) => format!("{} {}", hit.rule, field.0),
        None => hit.rule.to_string(),
    }
}
