//! The claim `carried`: the tunnel, or with `tunnel = "none"` the services' own encryption, is seen to work on the wire.

use super::case::Case;
use super::coverage::missed_in_clear;
use super::judgement::{Evidence, Outcome, Reason, Row};
use super::ledger::{Ledger, Sheet};
use super::scope::{Place, Placed, Scope, is_inner_interface};
use super::transport::hides_nothing;
use super::vantages::vantage_of;
use crate::model::{
    Agreement, Basis, ClaimKind, Class, ConnSummary, ControlPath, Direction, Endpoint, Field, Hit,
    Rule, TunnelMode, TunnelRecord,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

const CLAIM: ClaimKind = ClaimKind::Carried;

/// Changes of sides that an SSH login alone may take. OpenSSH with one key takes 9; each key refused before it 2 more, and
/// a server allows five of those (`MaxAuthTries` 6). The shortest POP3 session adds 12: channel, four commands, end.
const SSH_LOGIN_TURNS: u64 = 20;

/// Octets of ciphertext, both ways together, that an SSH login alone may take: 1.6 KB with one small key, much more with
/// certificates and host keys of all types.
const SSH_LOGIN_BYTES: u64 = 32 * 1024;

/// Changes of sides behind the seal that a TLS (or other) handshake alone may take: certificate, finished, ticket.
const OTHER_LOGIN_TURNS: u64 = 2;

/// Octets of ciphertext that such a handshake alone may take: a TLS 1.3 certificate chain lies behind the seal.
const OTHER_LOGIN_BYTES: u64 = 16 * 1024;

/// Conns to other hosts named where the tunnel was not seen.
const MAX_NAMED: usize = 3;

/// How far the encryption of one conn is proven.
#[derive(Debug)]
pub(super) enum Seal {
    /// A real cipher was agreed on, and what followed is ciphertext. With what is weak about it.
    Real(Vec<String>),
    /// It is seen to hide nothing.
    None(Reason),
    /// It cannot be told.
    Unknown(Reason),
    /// No payload.
    Empty,
}

/// `Seal` without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Real,
    None,
    Unknown,
    Empty,
}

/// How far the encryption of a conn is proven, as `seal` says with reasons.
pub(super) fn proof(conn: &ConnSummary) -> Proof {
    if null_cipher(conn).is_some() {
        return Proof::None;
    }
    match conn.class {
        Class::Empty => Proof::Empty,
        Class::Cleartext if may_have_turned_to_tls(conn) => Proof::Unknown,
        Class::Cleartext => Proof::None,
        Class::Opaque => Proof::Unknown,
        Class::Encrypted | Class::Upgraded if conn.record.midstream => Proof::Unknown,
        Class::Encrypted | Class::Upgraded if conn.agreement.is_none() => Proof::Unknown,
        Class::Encrypted | Class::Upgraded => Proof::Real,
    }
}

/// What was agreed on, where it hides nothing.
fn null_cipher(conn: &ConnSummary) -> Option<&Agreement> {
    conn.agreement.as_ref().filter(|agreement| {
        !agreement.real || agreement.cipher.iter().any(|cipher| hides_nothing(cipher))
    })
}

/// Says how far the encryption of a conn is proven.
pub(super) fn seal(conn: &ConnSummary) -> Seal {
    let (uid, id) = (conn.record.uid, conn.record.id);
    if let Some(agreement) = null_cipher(conn) {
        return Seal::None(
            Reason::new(
                "null-cipher",
                format!(
                    "{uid} {id} agreed on {} with cipher \"{}\", which hides nothing",
                    agreement.version,
                    agreement
                        .cipher
                        .iter()
                        .find(|it| hides_nothing(it))
                        .unwrap_or(&agreement.cipher[0]),
                ),
            )
            .about([uid]),
        );
    }
    match conn.class {
        Class::Empty => Seal::Empty,
        Class::Cleartext if may_have_turned_to_tls(conn) => Seal::Unknown(
            Reason::new(
                "before-upgrade",
                format!(
                    "{uid} {id} begins in the clear and says nothing secret in what was seen{}; it may have turned to TLS in what is missing",
                    super::cleartext::what_is_readable(conn),
                ),
            )
            .with_next("capture again, without loss and to the end of the connection")
            .about([uid]),
        ),
        Class::Cleartext => Seal::None(
            Reason::new(
                "cleartext",
                match &conn.agreement {
                    // The names of real ciphers are no encryption.
                    Some(agreed) => format!(
                        "{uid} {id} agreed on {} with {}, but what follows is not all ciphertext",
                        agreed.version,
                        ciphers(agreed),
                    ),
                    None => {
                        format!(
                            "{uid} {id} is readable{}",
                            super::cleartext::what_is_readable(conn)
                        )
                    }
                },
            )
            .about([uid]),
        ),
        Class::Opaque => Seal::Unknown(opaque(conn)),
        Class::Encrypted | Class::Upgraded => match &conn.agreement {
            // A handshake read in the middle of a conn says nothing about its beginning.
            Some(agreement) if !conn.record.midstream => {
                let mut weak = agreement.weak.clone();
                weak.extend(
                    conn.hits
                        .iter()
                        .filter(|hit| hit.rule == Rule::WeakCrypto)
                        .filter_map(|hit| hit.field.map(|field| field.0.to_owned())),
                );
                weak.dedup();
                Seal::Real(weak)
            }
            _ => Seal::Unknown(opaque(conn)),
        },
    }
}

/// Protocols that begin in the clear and turn to TLS, and what is said in them before that, none of it secret.
const UPGRADED: [&str; 5] = ["ftp", "imap", "nntp", "pop3", "smtp"];
const BEFORE_TLS: [&str; 12] = [
    "AUTH TLS",
    "AUTH",
    "CAPA",
    "CAPABILITIES",
    "CAPABILITY",
    "EHLO",
    "FEAT",
    "HELO",
    "ID",
    "NOOP",
    "STARTTLS",
    "STLS",
];

/// Whether octets, or the end of a conn, are missing in which it may have turned to TLS, and nothing speaks against it.
fn may_have_turned_to_tls(conn: &ConnSummary) -> bool {
    let is_harmless = |hit: &Hit| match hit.rule {
        Rule::Banner if hit.field == Some(Field::VERB) => {
            BEFORE_TLS.iter().any(|verb| hit.value.eq_ignore_ascii_case(verb.as_bytes()))
        }
        Rule::Banner | Rule::Metadata => true,
        Rule::Identifier | Rule::Credential | Rule::Content | Rule::WeakCrypto => false,
    };
    // Behind an agreement what can be read speaks against ciphertext.
    (conn.agreement.is_none() || conn.basis == Basis::Grammar)
        && (missed_in_clear(conn) > 0 || !conn.record.history.contains(['F', 'f', 'R', 'r']))
        && conn.hits_omitted == 0
        && conn.dialect.is_some_and(|dialect| UPGRADED.contains(&dialect))
        && conn.hits.iter().all(is_harmless)
}

fn opaque(conn: &ConnSummary) -> Reason {
    let (uid, id) = (conn.record.uid, conn.record.id);
    if conn.record.midstream {
        Reason::new(
            "midstream",
            format!("{uid} {id} was open before the capture began: its handshake was not seen"),
        )
        .with_next("start the capture first, then open the connection")
    } else {
        Reason::new(
            "opaque",
            format!("{uid} {id} looks random, but no handshake with a real cipher was seen"),
        )
        .with_next("capture the connection from its first packet, whole (snaplen 0)")
    }
    .about([uid])
}

/// Judges the claim.
pub(super) fn judge(case: &Case<'_>, scope: &Scope<'_>, ledger: &mut Ledger) -> Row {
    let mut sheet = Sheet::new(CLAIM, case.strict);
    token_on_the_wire(case, &mut sheet, ledger);
    let because = match (case.target.tunnel, case.tunnel) {
        (TunnelMode::None, _) => services(case, scope, &mut sheet, ledger),
        (TunnelMode::Builtin | TunnelMode::External, Some(tunnel)) => {
            own(case, tunnel, scope, &mut sheet, ledger)
        }
        (TunnelMode::Builtin | TunnelMode::External, None) => {
            foreign(case, scope, &mut sheet, ledger)
        }
    };
    sheet.row(because)
}

/// What was sent through the tunnel must never be found on the wire.
fn token_on_the_wire(case: &Case<'_>, sheet: &mut Sheet, ledger: &mut Ledger) {
    let tokens = || case.control.tokens.iter().filter(|it| it.path == ControlPath::Tunnel);
    if case.tunnel.is_some() && case.source.is_ours() && tokens().next().is_none() {
        sheet.unproven(Reason::new(
            "tunnel-token-not-sent",
            "no control token was sent through the tunnel",
        ));
    }
    for token in tokens() {
        if token.sent.is_none() {
            sheet.unproven(Reason::new(
                "tunnel-token-not-sent",
                format!(
                    "the control token of the phase \"{}\" did not go through the tunnel",
                    token.phase
                ),
            ));
        }
        let leaks = case.sightings.iter().filter(|it| {
            it.token == token.token
                && (case.target.any_vantage || !is_inner_interface(case, it.interface_id))
        });
        let mut first = true;
        for leak in leaks {
            let text = format!(
                "the control token sent through the tunnel in the phase \"{}\" stands on the wire in frame {}",
                token.phase, leak.at.number
            );
            if std::mem::take(&mut first) {
                sheet.broken(Reason::new("tunnel-token-seen", text.clone()).about(leak.uid));
            }
            ledger.evidence(Evidence { claim: CLAIM, text, uid: leak.uid, at: leak.at, hit: None });
        }
    }
}

/// tunnelcheck's own tunnel: exactly its conn, with the octets of the forwards accounted for.
fn own(
    case: &Case<'_>,
    tunnel: &TunnelRecord,
    scope: &Scope<'_>,
    sheet: &mut Sheet,
    ledger: &mut Ledger,
) -> String {
    let ours: Vec<_> = scope
        .conns
        .iter()
        .filter(|placed| !placed.inside && placed.place == Place::Gateway { ours: true })
        .collect();
    let earlier = tunnel.earlier.iter().map(|conn| (conn.local, conn.remote));
    let ends: Vec<_> = std::iter::once((tunnel.local, tunnel.remote)).chain(earlier).collect();
    // Each vantage sees the same octets: they are summed for each alone. From us, to us.
    let mut seals: BTreeMap<usize, [u64; 2]> = BTreeMap::new();
    let mut shown = Vec::new();
    for placed in &ours {
        let conn = placed.conn;
        // Our end may have been taken for resp where the start was not seen.
        let from_us = if ends.iter().any(|(local, _)| is_at(conn.record.id.orig, *local)) {
            Direction::OrigToResp
        } else {
            Direction::RespToOrig
        };
        let sealed = seals.entry(vantage_of(case, conn)).or_default();
        for (sum, dir) in sealed.iter_mut().zip([from_us, from_us.reverse()]) {
            *sum = sum.saturating_add(pair(conn.sealed_bytes, dir));
            *sum = sum.saturating_add(pair(conn.record.missed_bytes, dir));
        }
        if both_ways(placed, sheet, ledger) {
            shown.push(describe(conn));
            same_names(tunnel, conn, sheet, ledger);
        }
    }
    let not_seen = |(local, remote): (SocketAddr, SocketAddr)| {
        Reason::new(
            "tunnel-not-seen",
            format!("our connection {local} -> {remote} is not in the capture"),
        )
        .with_next("watch the interface that the route to the gateway uses (-i IFACE)")
    };
    if ours.is_empty() || shown.is_empty() && sheet.outcome() < Outcome::Unproven {
        sheet.unproven(not_seen((tunnel.local, tunnel.remote)));
        return String::new();
    }
    for (local, remote) in &ends {
        let is_seen = ours.iter().any(|placed| {
            let id = placed.conn.record.id;
            is_at(id.orig, *local) && is_at(id.resp, *remote)
                || is_at(id.resp, *local) && is_at(id.orig, *remote)
        });
        if !is_seen {
            sheet.unproven(not_seen((*local, *remote)));
        }
    }
    let most = |index: usize| {
        seals.values().filter_map(|sealed| sealed.get(index)).max().copied().unwrap_or_default()
    };
    let sealed = [most(0), most(1)];
    let sum = |of: fn(&crate::model::ForwardRecord) -> u64| {
        tunnel.forwards.iter().fold(0_u64, |sum, forward| sum.saturating_add(of(forward)))
    };
    let (taken_in, given_out) = (sum(|it| it.bytes_in), sum(|it| it.bytes_out));
    if taken_in == 0 && given_out == 0 {
        let refused = tunnel.forwards.iter().find(|it| it.conns > 0 && it.opened == 0);
        sheet.unproven(match refused {
            Some(forward) => Reason::new(
                "forward-refused",
                format!(
                    "the gateway did not open the forward \"{}\" to {}:{}{}",
                    forward.service,
                    forward.host,
                    forward.port,
                    forward.last_error.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
                ),
            ),
            None => Reason::new("nobody-used-the-tunnel", "no octet was taken in at any forward"),
        }
        .with_next(
            "use the client while it watches, and have it connect to the forward's mouth; `ss -tn` shows where it connects",
        ));
    }
    for (what, forwarded, sealed) in
        [("taken in at", taken_in, sealed[0]), ("given out by", given_out, sealed[1])]
    {
        if forwarded > sealed {
            sheet.unproven(Reason::new(
                "bytes-not-accounted",
                format!(
                    "{forwarded} octets were {what} the forwards, but our connection carried only {sealed} that way"
                ),
            ).about(ours.iter().map(|placed| placed.uid())));
        }
    }
    format!(
        "our connection {}; {taken_in} octets taken in at the forwards and {given_out} given out are accounted for in it",
        shown.join(", ")
    )
}

/// Whether an end is at this address and port.
fn is_at(end: Endpoint, at: SocketAddr) -> bool {
    end.port == at.port() && end.ip.to_canonical() == at.ip().to_canonical()
}

/// Our own SSH stack and the wire must tell of the same agreement.
fn same_names(tunnel: &TunnelRecord, conn: &ConnSummary, sheet: &mut Sheet, ledger: &mut Ledger) {
    let Some(agreement) = &conn.agreement else { return };
    let uid = conn.record.uid;
    if !agreement.cipher.contains(&tunnel.cipher) {
        let text = format!(
            "our own side agreed on cipher {}, but {uid} shows {} and {} on the wire",
            tunnel.cipher, agreement.cipher[0], agreement.cipher[1]
        );
        ledger.conn(CLAIM, || text.clone(), conn);
        sheet.broken(Reason::new("cipher-mismatch", text).about([uid]));
    }
    if !tunnel.kex.is_empty() && tunnel.kex != agreement.kex {
        sheet.unproven(
            Reason::new(
                "kex-mismatch",
                format!(
                    "our own side agreed on key exchange {}, but {uid} shows {} on the wire",
                    tunnel.kex, agreement.kex
                ),
            )
            .about([uid]),
        );
    }
}

/// Somebody else's tunnel, or a recording by somebody else: any conn of the client to the gateway's port that was used.
fn foreign(case: &Case<'_>, scope: &Scope<'_>, sheet: &mut Sheet, ledger: &mut Ledger) -> String {
    let to_gateway: Vec<_> =
        scope.in_scope().filter(|placed| matches!(placed.place, Place::Gateway { .. })).collect();
    if to_gateway.iter().all(|placed| matches!(seal(placed.conn), Seal::Empty)) {
        sheet.unproven(not_seen(case, scope, !to_gateway.is_empty()));
        return String::new();
    }
    let mut shown = Vec::new();
    let mut lacking = Vec::new();
    for placed in to_gateway {
        // Each conn on a sheet of its own: one that was used makes up for one that was not, never for a broken one.
        let mut own = Sheet::new(CLAIM, case.strict);
        if !both_ways(placed, &mut own, ledger) {
            lacking.push(own);
        } else if was_used(placed.conn) {
            shown.push(describe(placed.conn));
            sheet.take(own);
        } else {
            own.unproven(idle(placed.conn));
            lacking.push(own);
        }
    }
    for own in lacking {
        if shown.is_empty() || own.outcome() == Outcome::Broken {
            sheet.take(own);
        }
    }
    shown.join(", ")
}

/// Whether a conn carried more than a login.
fn was_used(conn: &ConnSummary) -> bool {
    let (turns, bytes) = if conn.dialect == Some("ssh") {
        (SSH_LOGIN_TURNS, SSH_LOGIN_BYTES)
    } else {
        (OTHER_LOGIN_TURNS, OTHER_LOGIN_BYTES)
    };
    conn.sealed_turns > turns || conn.sealed_bytes[0].saturating_add(conn.sealed_bytes[1]) > bytes
}

fn idle(conn: &ConnSummary) -> Reason {
    Reason::new(
        "nobody-used-the-tunnel",
        format!(
            "{} {} carried no more than a login: {} changes of sides, {} octets of ciphertext",
            conn.record.uid,
            conn.record.id,
            conn.sealed_turns,
            conn.sealed_bytes[0].saturating_add(conn.sealed_bytes[1])
        ),
    )
    .with_next("use the client, through the tunnel, while the capture runs")
    .about([conn.record.uid])
}

fn not_seen(case: &Case<'_>, scope: &Scope<'_>, attempted: bool) -> Reason {
    let target = case.target;
    let at = scope.gateway.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let gateway = target.gateway_host.as_deref().unwrap_or_default();
    if scope.gateway.is_empty() {
        return Reason::new(
            "gateway-address-unknown",
            format!("where the gateway {gateway} is on the wire is not known"),
        )
        .with_next(format!("gateway_address = [..] in [target.{}]", target.name));
    }
    if attempted {
        return Reason::new(
            "tunnel-not-seen",
            format!(
                "connections to the gateway ({at}, port {}) carried nothing",
                target.gateway_port
            ),
        )
        .with_next("is the gateway up, and the port right?");
    }
    let mut text =
        format!("no connection to the gateway ({at}, port {}) was seen", target.gateway_port);
    let named = |wanted: &dyn Fn(&Placed<'_>) -> bool| {
        scope
            .conns
            .iter()
            .filter(|placed| !placed.inside && wanted(placed))
            .take(MAX_NAMED)
            .map(|placed| format!("{} {}", placed.uid(), placed.conn.record.id))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let strangers = named(&|placed| placed.place == Place::StrangerToGateway);
    let elsewhere =
        named(&|placed| placed.place == Place::Elsewhere && placed.conn.dialect == Some("ssh"));
    if !strangers.is_empty() {
        text.push_str("; others reach it: ");
        text.push_str(&strangers);
        text.push_str(" (is client right?)");
    }
    if !elsewhere.is_empty() {
        text.push_str("; ssh goes to another host: ");
        text.push_str(&elsewhere);
        text.push_str(" (wrong host or port?)");
    }
    Reason::new("tunnel-not-seen", text)
        .with_next("start the tunnel while the capture runs, on the interface that its route uses")
}

/// `tunnel = "none"`: every conn between client and service.
fn services(case: &Case<'_>, scope: &Scope<'_>, sheet: &mut Sheet, ledger: &mut Ledger) -> String {
    if scope.services.is_empty() {
        sheet.unproven(no_services(case));
    }
    for (service, at) in &scope.services {
        if at.is_empty() && !scope.is_exempt(service) {
            sheet.unproven(super::bypass::address_unknown(case, service));
        }
    }
    let mut shown = Vec::new();
    for placed in scope.in_scope().filter(|placed| matches!(placed.place, Place::Service(_))) {
        if matches!(seal(placed.conn), Seal::Empty) {
            continue; // Refused, or nothing said: nothing could be read, and nothing is shown.
        }
        if both_ways(placed, sheet, ledger) {
            shown.push(describe(placed.conn));
        }
    }
    if shown.is_empty() && sheet.outcome() < Outcome::Unproven {
        sheet.unproven(
            Reason::new("service-not-used", "no connection to a service carried data")
                .with_next("use the client while the capture runs"),
        );
    }
    super::bypass::strangers(case, scope, sheet);
    let more = shown.len().saturating_sub(MAX_NAMED);
    shown.truncate(MAX_NAMED);
    let mut because = shown.join(", ");
    if more > 0 {
        because.push_str(", and ");
        because.push_str(&more.to_string());
        because.push_str(" more");
    }
    because
}

/// A target without services.
pub(super) fn no_services(case: &Case<'_>) -> Reason {
    Reason::new("no-services", "the target names no service").with_next(format!(
        "add [[target.{0}.service]], or LocalForward to the Host block {0}",
        case.target.name
    ))
}

/// Whether a conn is seen to be encrypted and to carry data both ways. What it lacks goes to the sheet.
fn both_ways(placed: &Placed<'_>, sheet: &mut Sheet, ledger: &mut Ledger) -> bool {
    let conn = placed.conn;
    let uid = conn.record.uid;
    match seal(conn) {
        Seal::Empty => return false,
        Seal::Unknown(reason) => {
            sheet.unproven(reason);
            return false;
        }
        Seal::None(reason) => {
            ledger.conn(CLAIM, || reason.text.clone(), conn);
            sheet.broken(reason);
            return false;
        }
        Seal::Real(weak) if !weak.is_empty() => {
            let text = format!(
                "{uid} {} uses what is known to be weak: {}",
                conn.record.id,
                weak.join(", ")
            );
            if sheet.is_strict() {
                ledger.conn(CLAIM, || text.clone(), conn);
            }
            sheet.warned(
                Reason::new("weak-crypto", text)
                    .with_next("let the server offer modern ciphers only")
                    .about([uid]),
            );
        }
        Seal::Real(_) => {}
    }
    if conn.sealed_bytes.contains(&0) {
        sheet.unproven(
            Reason::new(
                "one-sided",
                format!(
                    "{uid} {} is not seen to carry ciphertext both ways: {} octets by orig, {} by resp",
                    conn.record.id, conn.sealed_bytes[0], conn.sealed_bytes[1]
                ),
            )
            .about([uid]),
        );
        return false;
    }
    true
}

fn describe(conn: &ConnSummary) -> String {
    let agreed = conn.agreement.as_ref().map(|agreement| {
        format!(": {}, {}, {}", agreement.version, agreement.kex, ciphers(agreement))
    });
    format!(
        "{} {}{}, {} and {} octets of ciphertext",
        conn.record.uid,
        conn.record.id,
        agreed.unwrap_or_default(),
        conn.sealed_bytes[0],
        conn.sealed_bytes[1]
    )
}

/// The cipher of both directions, or of each.
fn ciphers(agreement: &Agreement) -> String {
    let [a, b] = &agreement.cipher;
    if a == b { a.clone() } else { format!("{a} and {b}") }
}

const fn pair(values: [u64; 2], dir: Direction) -> u64 {
    let [orig, resp] = values;
    match dir {
        Direction::OrigToResp => orig,
        Direction::RespToOrig => resp,
    }
}
