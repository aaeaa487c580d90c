//! A Host block of ssh_config -> plan: the article's `incoming_mail` as it stands.

use super::build::{add_given, add_identifier};
use super::check;
use super::error::{Place, SshFault, TargetError};
use super::gate::Gate;
use super::login::{User, jump_list};
use super::paths::Environment;
use super::plan::{ForwardPlan, Overrides, Plan, WrittenNames};
use super::ssh_config::{Forward, LocalForward, Settings, Source};
use crate::model::{Service, Target, TunnelMode};
use std::net::IpAddr;

/// What usually speaks on a port, to name the kind of a forwarded service.
const KIND_OF_PORT: &[(u16, &str)] = &[
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (53, "dns"),
    (80, "http1"),
    (110, "pop3"),
    (119, "nntp"),
    (143, "imap"),
    (389, "ldap"),
    (443, "tls"),
    (465, "tls"),
    (563, "tls"),
    (587, "smtp"),
    (636, "tls"),
    (902, "dnd"),
    (993, "tls"),
    (995, "tls"),
    (1119, "bulletins"),
    (2151, "blitzmail"),
    (3128, "http1"),
    (3306, "mysql"),
    (5432, "postgres"),
    (5900, "vnc"),
    (6379, "redis"),
    (8000, "http1"),
    (8080, "http1"),
];

/// The user of every machine: as an identifier it would be found anywhere.
const EVERYBODY: &str = "root";

/// Makes the plan of `settings`, which a block gave to the name that was asked for.
pub(super) fn build(
    settings: &Settings,
    place: &Place,
    block: &str,
    sources: &[Source],
    overrides: &Overrides,
    env: &Environment,
) -> Result<Plan, TargetError> {
    let mut warnings = Vec::new();
    let origin = format!("{place} {block}");
    let tunnel = overrides.tunnel.unwrap_or_default();
    let user = User::of(settings, env);
    let jumps = jump_list(settings)?;
    let gate = Gate::find(settings, &jumps, &place.to_string(), Some(sources), env, &mut warnings)?;
    let every = overrides.gateway_ports.or(settings.gateway_ports).unwrap_or(false);
    let (services, forwards) = services(settings, &gate, every)?;
    if services.is_empty() {
        warnings.push(format!(
            "{place}: {block} has no LocalForward, so no service: only the connection to the gateway and the identifiers are judged"
        ));
    }
    let mut identifiers = Vec::new();
    if let Some(name) = user.name() {
        let said = match &user {
            User::Named(_) => format!("User {name:?}"),
            _ => format!("no User: the login name {name:?} is taken, as ssh does, and"),
        };
        let is_told = matches!(user, User::Named(_)) || name != EVERYBODY;
        let key = "User".to_owned();
        if is_told && add_identifier(&mut identifiers, "username", name, place.clone(), key).is_ok()
        {
            warnings.push(format!(
                "{place}: {said} is searched as an identifier labelled username; add what else must not be read with --identifier"
            ));
        } else {
            warnings.push(format!("{place}: {said} is no identifier: it would be found anywhere"));
        }
    }
    add_given(&mut identifiers, overrides)?;
    if identifiers.is_empty() {
        warnings.push(format!(
            "{place}: no identifier: nothing personal is searched; add --identifier"
        ));
    }
    let has_gateway = tunnel != TunnelMode::None;
    let target = Target {
        name: settings.host.clone(),
        tunnel,
        gateway_host: has_gateway.then(|| gate.wire_host().to_owned()),
        gateway_port: if has_gateway { gate.wire_port() } else { 0 },
        gateway_addresses: if has_gateway { gate.addresses.clone() } else { Vec::new() },
        clients: overrides.clients.clone(),
        services,
        identifiers,
        exempts: Vec::new(),
        any_vantage: false,
    };
    let ssh = if tunnel == TunnelMode::Builtin {
        let Some(name) = user.name() else {
            return Err(TargetError::MissingUser {
                place: place.clone(),
                key: block.to_owned(),
                value: settings.host.clone(),
            });
        };
        let mut ssh = gate.ssh_plan(settings, name, every, forwards, env, &mut warnings)?;
        if let Some(path) = &overrides.identity_file {
            ssh.identity_files = vec![env.cwd.join(path)];
            ssh.default_identities = false;
        }
        Some(ssh)
    } else {
        None
    };
    let names = written_names(settings, &target);
    Ok(Plan { target, ssh, origin, warnings, file: None, names })
}

/// One service for each `LocalForward`, named after its mouth.
fn services(
    settings: &Settings,
    gate: &Gate,
    every: bool,
) -> Result<(Vec<Service>, Vec<ForwardPlan>), TargetError> {
    let mut services: Vec<Service> = Vec::new();
    let mut forwards: Vec<ForwardPlan> = Vec::new();
    for line in &settings.forwards {
        let error = |fault| TargetError::SshConfig {
            place: line.place.clone(),
            keyword: "LocalForward".to_owned(),
            value: line.text.clone(),
            fault,
        };
        let forward = line.forward.clone().map_err(error)?;
        let listen = check::mouth(forward.listen_host.as_deref(), forward.listen_port, every)
            .ok_or_else(|| error(SshFault::MouthName))?;
        let host = check::host(&forward.host).map_err(|_| error(SshFault::Host))?;
        if let Some((other, first)) = forwards
            .iter()
            .zip(&settings.forwards)
            .find(|(other, _)| check::same_mouth(other.listen, listen))
        {
            return Err(same_mouth(line, first, other));
        }
        let mut name = format!("forward-{}", forward.listen_port);
        if services.iter().any(|known| known.name == name) {
            name = format!("forward-{listen}");
        }
        let kind = KIND_OF_PORT.iter().find(|(port, _)| *port == forward.port);
        let literal = host.parse::<IpAddr>().ok().filter(|address| !address.is_loopback());
        let mut service = Service {
            name: name.clone(),
            kind: kind.map_or("generic", |(_, kind)| kind).to_owned(),
            host: host.clone(),
            port: forward.port,
            addresses: literal.into_iter().collect(),
            is_by_name: super::check::is_name(&host),
            listen: Some(listen),
            aliases: Vec::new(),
            is_udp: false,
        };
        gate.place_service(&mut service);
        services.push(service);
        forwards.push(ForwardPlan { service: name, listen, host, port: forward.port });
    }
    Ok((services, forwards))
}

/// The hosts of the forwards as ssh_config writes them.
fn written_names(settings: &Settings, target: &Target) -> Vec<WrittenNames> {
    let written = settings.forwards.iter().filter_map(|line| line.forward.as_ref().ok());
    let names = |(service, forward): (&Service, &Forward)| WrittenNames {
        service: service.name.clone(),
        names: vec![forward.host.clone()],
    };
    target.services.iter().zip(written).map(names).collect()
}

fn same_mouth(line: &LocalForward, first: &LocalForward, other: &ForwardPlan) -> TargetError {
    TargetError::SameMouth {
        place: line.place.clone(),
        key: "LocalForward".to_owned(),
        value: line.text.clone(),
        other: other.service.clone(),
        first_line: first.place.line,
    }
}

/// The kinds of `KIND_OF_PORT` are kinds of services.
#[cfg(test)]
mod tests {
    #[test]
    fn every_guessed_kind_exists() {
        for (port, kind) in super::KIND_OF_PORT {
            assert_eq!(super::check::kind(kind).as_ref(), Ok(kind), "{port}");
        }
    }
}
