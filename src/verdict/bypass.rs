//! The claim `no-bypass`: nothing between the client and a service except through the tunnel.

use super::case::Case;
use super::judgement::{Reason, Row};
use super::ledger::{Ledger, Sheet, not_applicable};
use super::scope::{ClientBasis, Place, Placed, Scope};
use crate::model::{ClaimKind, Class, Direction, Proto, Service, TunnelMode};

const CLAIM: ClaimKind = ClaimKind::NoBypass;

/// Conns named in one reason.
const MAX_NAMED: usize = 3;

/// Judges the claim.
pub(super) fn judge(case: &Case<'_>, scope: &Scope<'_>, ledger: &mut Ledger) -> Row {
    if case.target.tunnel == TunnelMode::None {
        return not_applicable(CLAIM, "the target has no tunnel: its services are used directly");
    }
    let mut sheet = Sheet::new(CLAIM, case.strict);
    if scope.services.is_empty() {
        sheet.unproven(super::carried::no_services(case));
    }
    if scope.client_basis == ClientBasis::Unknown {
        sheet.unproven(client_unknown(case));
    }
    for (index, (service, at)) in scope.services.iter().enumerate() {
        let direct: Vec<_> =
            scope.in_scope().filter(|placed| placed.place == Place::Service(index)).collect();
        if !direct.is_empty() {
            for placed in &direct {
                let text = || {
                    format!(
                        "{} {} goes directly to \"{}\": {}",
                        placed.uid(),
                        placed.conn.record.id,
                        service.name,
                        shape(case, placed)
                    )
                };
                ledger.conn(CLAIM, text, placed.conn);
            }
            sheet.broken(bypassed(case, service, &direct));
        }
        if scope.is_exempt(service) {
            continue;
        }
        if service.is_by_name && !at.is_empty() {
            let mut reason = Reason::new(
                "service-may-be-elsewhere",
                format!(
                    "the service \"{}\" is known by its name alone, which may lead to more places than {}",
                    service.name,
                    list(at)
                ),
            )
            .with_next("write the address of each place into the target: address = [...]; or exempt the other host");
            if suspects(scope, service, &mut reason) {
                sheet.unproven(reason);
            }
        }
        if at.is_empty() {
            let mut reason = address_unknown(case, service);
            suspects(scope, service, &mut reason);
            sheet.unproven(reason);
        } else if service.port == case.target.gateway_port
            && !service.is_udp
            && at.iter().any(|ip| scope.gateway.contains(ip))
        {
            sheet.unproven(Reason::new(
                "service-at-the-tunnels-port",
                format!(
                    "the service \"{}\" is at the gateway's own port {}: a bypass looks like the tunnel",
                    service.name, service.port
                ),
            ));
        }
    }
    strangers(case, scope, &mut sheet);
    sheet.row(format!(
        "nothing between {} and {} except through the tunnel",
        list(&scope.clients),
        scope
            .services
            .iter()
            .map(|(service, at)| format!("{} ({} port {})", service.name, list(at), service.port))
            .collect::<Vec<_>>()
            .join(", ")
    ))
}

/// A service whose place on the wire is not known.
pub(super) fn address_unknown(case: &Case<'_>, service: &Service) -> Reason {
    Reason::new(
        "service-address-unknown",
        format!(
            "where the service \"{}\" ({}) is on the wire is not known, so a direct connection to it cannot be told",
            service.name, service.host
        ),
    )
    .with_next(format!(
        "address = [..] in [[target.{}.service]] \"{}\"",
        case.target.name, service.name
    ))
}

/// The client's addresses are not known.
pub(super) fn client_unknown(case: &Case<'_>) -> Reason {
    Reason::new("client-unknown", "the addresses of the watched host are not known")
        .with_next(format!("client = [..] in [target.{}]", case.target.name))
}

/// Somebody else at a service may be the watched host by another address: where the client was taken from the capture,
/// or where no address of that family is known of it.
pub(super) fn strangers(case: &Case<'_>, scope: &Scope<'_>, sheet: &mut Sheet) {
    let inferred = scope.client_basis == ClientBasis::Inferred;
    let others: Vec<_> = scope
        .conns
        .iter()
        .filter(|placed| !placed.inside)
        .filter(|placed| match placed.place {
            Place::StrangerToService { stranger, by_client } => {
                by_client || inferred || scope.is_of_unknown_family(stranger)
            }
            _ => false,
        })
        .collect();
    let Some(first) = others.first() else { return };
    let (code, how) = if inferred {
        ("client-inferred", "was taken to be")
    } else {
        ("client-incomplete", "is said to be")
    };
    sheet.unproven(
        Reason::new(
            code,
            format!(
                "the watched host {how} {}; {} of others reach a service directly, the first {} {}: it may be the same \
                 host by another address",
                list(&scope.clients),
                count(others.len(), "connection"),
                first.uid(),
                first.conn.record.id
            ),
        )
        .with_next(format!("client = [..] in [target.{}], with all its addresses", case.target.name))
        .about(others.iter().map(|placed| placed.uid())),
    );
}

fn bypassed(case: &Case<'_>, service: &Service, direct: &[&Placed<'_>]) -> Reason {
    let named: Vec<_> = direct
        .iter()
        .take(MAX_NAMED)
        .map(|placed| {
            format!("{} {} ({})", placed.uid(), placed.conn.record.id, shape(case, placed))
        })
        .collect();
    let more = direct.len().saturating_sub(named.len());
    let udp = direct.iter().any(|placed| placed.conn.record.id.proto == Proto::UDP);
    Reason::new(
        "bypass",
        format!(
            "the client reached the service \"{}\" beside the tunnel: {}{}{}",
            service.name,
            named.join(", "),
            if more > 0 { format!(", and {more} more") } else { String::new() },
            if udp { "; ssh cannot forward UDP" } else { "" }
        ),
    )
    .with_next(remedy(service, udp))
    .about(direct.iter().map(|placed| placed.uid()))
}

/// What brings the client of a service back to the tunnel.
fn remedy(service: &Service, udp: bool) -> String {
    if udp {
        return format!(
            "ssh cannot carry UDP: turn \"{}\" off in the client, or exempt it with a reason",
            service.name
        );
    }
    let mouth = service.listen.map_or_else(
        || "a loopback address".to_owned(),
        |listen| format!("{}, port {}", listen.ip(), listen.port()),
    );
    format!(
        "quit the client; see what `getent hosts {}` answers: the name that the client uses must lead to {mouth} \
         (an alias in the hosts file, or the client's settings); start the client again",
        service.host
    )
}

/// What a conn to a service was, in a few words.
fn shape(case: &Case<'_>, placed: &Placed<'_>) -> String {
    let conn = placed.conn;
    let mut frames = count(usize::try_from(conn.record.frames).unwrap_or(usize::MAX), "frame");
    if let Some(tunnel) = conn.record.carriage.as_deref().filter(|it| !it.outer.is_empty()) {
        frames = format!("{frames}, inside {tunnel}");
    }
    frames.push_str(&super::phases::named(case, conn.record.first.time));
    let what = match (conn.class, conn.dialect) {
        (Class::Empty, _) if placed.client_dir == Some(Direction::RespToOrig) => {
            "opened by the service"
        }
        (Class::Empty, _) => "an attempt without data",
        (_, Some(dialect)) => return format!("{dialect}, {}, {frames}", conn.class),
        (_, None) => return format!("{}, {frames}", conn.class),
    };
    format!("{what}, {frames}")
}

/// Adds conns of the client to the service's port that speak its protocol, to an address that nobody named; whether there are
/// any.
fn suspects(scope: &Scope<'_>, service: &Service, reason: &mut Reason) -> bool {
    let suspects: Vec<_> =
        scope.conns.iter().filter(|placed| is_suspect(placed, service)).collect();
    let Some(first) = suspects.first() else { return false };
    let (uid, id) = (first.uid(), first.conn.record.id);
    let suspect = format!("; {uid} {id} speaks to its port and is a suspect");
    reason.text.push_str(&suspect);
    reason.uids.extend(suspects.iter().take(Reason::MAX_UIDS).map(|placed| placed.uid()));
    true
}

/// Whether a conn may be the client's way to a service at an address that nobody named.
pub(super) fn is_suspect(placed: &Placed<'_>, service: &Service) -> bool {
    let id = &placed.conn.record.id;
    placed.place == Place::Elsewhere
        && !placed.inside
        && placed.client_dir == Some(Direction::OrigToResp)
        && id.resp.port == service.port
        && id.proto.has_ports()
        && (placed.conn.dialect == Some(service.kind.as_str())
            || placed.conn.class == Class::Cleartext)
}

fn list(addresses: &std::collections::BTreeSet<std::net::IpAddr>) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `1 conn`, `2 conns`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
