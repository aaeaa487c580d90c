//! A table of a target file -> plan.

use super::check;
use super::error::{Fault, Place, TargetError};
use super::file::{At, RawExempt, RawService, RawTarget};
use super::gate::Gate;
use super::login::{User, agent_of, jump_list};
use super::paths::Environment;
use super::plan::{ForwardPlan, Overrides, Plan, SshPlan};
use super::ssh_config::{Login, Proxy, Query, Settings, Source, jumps, resolve, time};
use crate::model::{Exempt, Identifier, Service, Target, TunnelMode};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Characters of an identifier: a single one is found in any traffic.
const MIN_IDENTIFIER_CHARS: usize = 2;
/// Label of what `--identifier` adds.
const OVERRIDE_LABEL: &str = "identifier";
/// Loopback addresses that are tried for a mouth that nobody placed: 127.0.0.1 to 127.0.0.254.
const LAST_LOOPBACK: u8 = 254;

/// What a table is read against.
pub(super) struct Context<'a> {
    /// The file as it is shown.
    pub(super) file: String,
    /// Its folder: relative paths begin there.
    pub(super) base: &'a Path,
    /// The command line.
    pub(super) overrides: &'a Overrides,
    /// The surroundings.
    pub(super) env: &'a Environment,
    /// The files of ssh. None: for recordings, which call nobody.
    pub(super) ssh: Option<&'a [Source]>,
}

/// Makes the plan.
pub(super) fn build(raw: &RawTarget, context: &Context<'_>) -> Result<Plan, TargetError> {
    Builder { raw, context, warnings: Vec::new() }.build()
}

struct Builder<'a> {
    raw: &'a RawTarget,
    context: &'a Context<'a>,
    warnings: Vec<String>,
}

/// The gateway with the settings that apply to it.
struct Found {
    gate: Gate,
    settings: Settings,
    user: User,
}

impl Builder<'_> {
    fn build(mut self) -> Result<Plan, TargetError> {
        let raw = self.raw;
        let tunnel = self.tunnel()?;
        let found = self.gateway(tunnel)?;
        let every = self.context.overrides.gateway_ports.unwrap_or_else(|| {
            let from_ssh = found.as_ref().and_then(|found| found.settings.gateway_ports);
            raw.gateway_ports.as_ref().map(|flag| flag.value).or(from_ssh).unwrap_or(false)
        });
        let mut services = self.services(every)?;
        if services.is_empty() && tunnel == TunnelMode::None {
            return Err(TargetError::NoServices {
                place: self.place(raw.line),
                table: raw.table.clone(),
            });
        }
        if tunnel == TunnelMode::Builtin {
            self.default_mouths(&mut services, every)?;
        }
        let forwards = forwards(&services);
        for service in &mut services {
            match &found {
                Some(found) => found.gate.place_service(service),
                None if check::is_loopback(&service.host) => self.warnings.push(format!(
                    "{}: service {:?} is on this host itself: its traffic is on no wire but loopback",
                    self.place(raw.line),
                    service.name
                )),
                None => {}
            }
        }
        let exempts = self.exempts(&services)?;
        let target = Target {
            name: raw.name.clone(),
            tunnel,
            gateway_host: found.as_ref().map(|found| found.gate.wire_host().to_owned()),
            gateway_port: found.as_ref().map_or(0, |found| found.gate.wire_port()),
            gateway_addresses: found
                .as_ref()
                .map(|found| found.gate.addresses.clone())
                .unwrap_or_default(),
            clients: self.clients()?,
            identifiers: self.identifiers()?,
            any_vantage: self.any_vantage()?,
            services,
            exempts,
        };
        self.remark(&target);
        let ssh = match found {
            Some(found) if tunnel == TunnelMode::Builtin && self.context.ssh.is_some() => {
                Some(self.ssh(found, every, forwards)?)
            }
            _ => None,
        };
        let origin = format!("{} [{}]", self.place(raw.line), raw.table);
        Ok(Plan { target, ssh, origin, warnings: self.warnings })
    }

    fn place(&self, line: usize) -> Place {
        Place { file: self.context.file.clone(), line }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.raw.table)
    }

    fn bad(&self, key: &str, at: &At<String>, fault: Fault) -> TargetError {
        TargetError::BadValue {
            place: self.place(at.line),
            key: self.key(key),
            value: at.value.clone(),
            fault,
        }
    }

    fn checked<T>(
        &self,
        key: &str,
        at: &At<String>,
        check: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Result<T, TargetError> {
        check(&at.value).map_err(|fault| self.bad(key, at, fault))
    }

    fn addresses(&self, key: &str, list: &[At<String>]) -> Result<Vec<IpAddr>, TargetError> {
        let mut addresses = Vec::new();
        for at in list {
            let address = self.checked(key, at, check::address)?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    fn tunnel(&self) -> Result<TunnelMode, TargetError> {
        let written = match &self.raw.tunnel {
            Some(at) => self.checked("tunnel", at, check::tunnel)?,
            None => TunnelMode::default(),
        };
        Ok(self.context.overrides.tunnel.unwrap_or(written))
    }

    fn any_vantage(&self) -> Result<bool, TargetError> {
        let Some(at) = &self.raw.vantage else { return Ok(false) };
        self.checked("vantage", at, |text| match text {
            "any" => Ok(true),
            "wire" => Ok(false),
            _ => Err(Fault::OneOf(&["wire", "any"])),
        })
    }

    fn clients(&self) -> Result<Vec<IpAddr>, TargetError> {
        let written = self.addresses("client", &self.raw.client)?;
        let given = &self.context.overrides.clients;
        Ok(if given.is_empty() { written } else { given.clone() })
    }

    /// None with `TunnelMode::None`. The keys of the table win over ssh_config.
    fn gateway(&mut self, tunnel: TunnelMode) -> Result<Option<Found>, TargetError> {
        let raw = self.raw;
        let addresses = self.addresses("gateway_address", &raw.gateway_address)?;
        let login = match &raw.gateway {
            Some(at) => Some((self.checked("gateway", at, check::gateway)?, at)),
            None => None,
        };
        let jump = match &raw.proxy_jump {
            Some(at) => {
                let list = self.checked("proxy_jump", at, |text| {
                    let list = jumps(text).ok_or(Fault::Jump)?;
                    let sound = list.iter().all(|jump| check::host(&jump.host).is_ok());
                    if sound { Ok(list) } else { Err(Fault::Jump) }
                })?;
                Some((list, at.line))
            }
            None => None,
        };
        if tunnel == TunnelMode::None {
            if let Some((_, at)) = login {
                self.warnings.push(format!(
                    "{}: gateway is not used with tunnel = \"none\": the services themselves are to be encrypted",
                    self.place(at.line)
                ));
            }
            return Ok(None);
        }
        let Some((login, at)) = login else {
            return Err(TargetError::MissingGateway {
                place: self.place(raw.line),
                table: raw.table.clone(),
                tunnel: if tunnel == TunnelMode::External { "external" } else { "builtin" },
            });
        };
        let sources = self.context.ssh.unwrap_or_default();
        // `Host` patterns see the name as written; a recording's manifest has no ssh_config to see it.
        let query = Query { host: login.host.clone(), user: login.user, port: login.port };
        let settings = resolve(&query, sources, self.context.env)?;
        let user = User::of(&settings, self.context.env);
        let (list, line) = match jump {
            Some(jump) => jump,
            None => (self.jumps_of(&settings, tunnel)?, at.line),
        };
        let origin = self.place(line).to_string();
        let mut gate =
            Gate::find(&settings, &list, &origin, sources, self.context.env, &mut self.warnings)?;
        if !addresses.is_empty() {
            gate.addresses = addresses;
        }
        if tunnel == TunnelMode::Builtin
            && self.context.ssh.is_some()
            && !matches!(user, User::Named(_))
        {
            return Err(TargetError::MissingUser {
                place: self.place(at.line),
                key: self.key("gateway"),
                value: at.value.clone(),
            });
        }
        if !settings.forwards.is_empty() {
            self.warnings.push(format!(
                "{}: the {} LocalForward of {:?} in ssh_config are not taken over: the services are those of {}",
                self.place(at.line),
                settings.forwards.len(),
                login.host,
                self.context.file
            ));
        }
        Ok(Some(Found { gate, settings, user }))
    }

    fn jumps_of(
        &mut self,
        settings: &Settings,
        tunnel: TunnelMode,
    ) -> Result<Vec<Login>, TargetError> {
        match &settings.proxy {
            Some((Proxy::Command(_), place)) if tunnel == TunnelMode::External => {
                self.warnings.push(format!(
                    "{place}: ProxyCommand hides where the connection goes to on the wire: say it with gateway_address"
                ));
                Ok(Vec::new())
            }
            _ => jump_list(settings),
        }
    }

    fn services(&mut self, every: bool) -> Result<Vec<Service>, TargetError> {
        let mut services: Vec<Service> = Vec::new();
        for (index, raw) in self.raw.services.iter().enumerate() {
            let service = self.service(raw, every)?;
            let earlier = self.raw.services.iter().take(index).zip(&services);
            for (first, known) in earlier {
                if known.name == service.name {
                    return Err(TargetError::Duplicate {
                        place: self.place(raw.name.line),
                        key: self.key("service.name"),
                        value: service.name,
                        first_line: first.name.line,
                    });
                }
                if let (Some(own), Some(other)) = (service.listen, known.listen)
                    && check::same_mouth(own, other)
                {
                    return Err(TargetError::SameMouth {
                        place: self.place(raw.listen.as_ref().map_or(raw.line, |at| at.line)),
                        key: self.key("service.listen"),
                        value: own.to_string(),
                        other: known.name.clone(),
                        first_line: first.listen.as_ref().map_or(first.line, |at| at.line),
                    });
                }
            }
            services.push(service);
        }
        Ok(services)
    }

    fn service(&self, raw: &RawService, every: bool) -> Result<Service, TargetError> {
        let kind = self.checked("service.kind", &raw.kind, check::kind)?;
        let is_udp = match &raw.proto {
            None => matches!(kind, "notify" | "dns"),
            Some(at) => self.checked("service.proto", at, |text| match text {
                "tcp" => Ok(false),
                "udp" => Ok(true),
                _ => Err(Fault::OneOf(&["tcp", "udp"])),
            })?,
        };
        let host = self.checked("service.host", &raw.host, check::host)?;
        let mut aliases = Vec::new();
        for at in &raw.aliases {
            let alias = self.checked("service.aliases", at, check::host)?;
            if alias != host && !aliases.contains(&alias) {
                aliases.push(alias);
            }
        }
        let listen = match &raw.listen {
            None => None,
            Some(at) if is_udp => return Err(self.bad("service.listen", at, Fault::UdpForward)),
            Some(at) => {
                Some(self.checked("service.listen", at, |text| check::listen(text, every))?)
            }
        };
        Ok(Service {
            name: self.checked("service.name", &raw.name, check::name)?,
            kind: kind.to_owned(),
            port: self.checked("service.port", &raw.port, check::port)?,
            addresses: self.addresses_or_literal("service.address", &raw.address, &host)?,
            host,
            listen,
            aliases,
            is_udp,
        })
    }

    /// The addresses given, else the host where it is one. A loopback literal is left to the gateway.
    fn addresses_or_literal(
        &self,
        key: &str,
        list: &[At<String>],
        host: &str,
    ) -> Result<Vec<IpAddr>, TargetError> {
        let mut addresses = self.addresses(key, list)?;
        if addresses.is_empty() {
            let literal = host.parse::<IpAddr>().ok();
            let own_loopback = self.raw.gateway.is_none();
            addresses.extend(literal.filter(|literal| own_loopback || !literal.is_loopback()));
        }
        Ok(addresses)
    }

    /// `127.0.0.1:PORT` for every TCP service without a mouth; the next loopback address where that one is taken.
    fn default_mouths(&mut self, services: &mut [Service], every: bool) -> Result<(), TargetError> {
        let mut taken: Vec<(SocketAddr, String, usize)> = services
            .iter()
            .zip(&self.raw.services)
            .filter_map(|(service, raw)| {
                let line = raw.listen.as_ref().map_or(raw.line, |at| at.line);
                Some((service.listen?, service.name.clone(), line))
            })
            .collect();
        for (service, raw) in services.iter_mut().zip(&self.raw.services) {
            if service.is_udp || service.listen.is_some() {
                continue;
            }
            let last = if every { 1 } else { LAST_LOOPBACK };
            let mut candidates = (1..=last).map(|host| {
                let ip = if every { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::new(127, 0, 0, host) };
                SocketAddr::from((ip, service.port))
            });
            let first = candidates.clone().next();
            let free = candidates
                .find(|mouth| !taken.iter().any(|(other, ..)| check::same_mouth(*mouth, *other)));
            let Some(mouth) = free else {
                let clash = taken
                    .iter()
                    .find(|(other, ..)| first.is_some_and(|own| check::same_mouth(own, *other)));
                let (_, other, line) = clash.cloned().unwrap_or_else(|| {
                    (SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), String::new(), raw.line)
                });
                return Err(TargetError::SameMouth {
                    place: self.place(raw.line),
                    key: self.key("service.listen"),
                    value: first.map(|mouth| mouth.to_string()).unwrap_or_default(),
                    other,
                    first_line: line,
                });
            };
            if Some(mouth) != first {
                self.warnings.push(format!(
                    "{}: service {:?} listens on {mouth}, since its port on 127.0.0.1 is another service's: point its clients there (tunnelcheck hosts {})",
                    self.place(raw.line),
                    service.name,
                    self.raw.name
                ));
            }
            service.listen = Some(mouth);
            taken.push((mouth, service.name.clone(), raw.line));
        }
        Ok(())
    }

    fn exempts(&mut self, services: &[Service]) -> Result<Vec<Exempt>, TargetError> {
        let mut exempts: Vec<Exempt> = Vec::new();
        for (index, raw) in self.raw.exempts.iter().enumerate() {
            let exempt = self.exempt(raw)?;
            let earlier = self.raw.exempts.iter().take(index);
            if let Some(first) = earlier.zip(&exempts).find(|(_, known)| known.name == exempt.name)
            {
                return Err(TargetError::Duplicate {
                    place: self.place(raw.name.line),
                    key: self.key("exempt.name"),
                    value: exempt.name,
                    first_line: first.0.name.line,
                });
            }
            if let Some(service) = services.iter().find(|service| covers(&exempt, service)) {
                self.warnings.push(format!(
                    "{}: exempt {:?} covers service {:?}: nothing is proven about that one",
                    self.place(raw.host.line),
                    exempt.name,
                    service.name
                ));
            }
            exempts.push(exempt);
        }
        Ok(exempts)
    }

    fn exempt(&self, raw: &RawExempt) -> Result<Exempt, TargetError> {
        let host = self.checked("exempt.host", &raw.host, check::host)?;
        Ok(Exempt {
            name: self.checked("exempt.name", &raw.name, check::name)?,
            port: match &raw.port {
                Some(at) => Some(self.checked("exempt.port", at, check::port)?),
                None => None,
            },
            addresses: {
                let mut addresses = self.addresses("exempt.address", &raw.address)?;
                if addresses.is_empty() {
                    addresses.extend(host.parse::<IpAddr>());
                }
                addresses
            },
            reason: self.checked("exempt.reason", &raw.reason, check::name)?,
            host,
        })
    }

    fn identifiers(&self) -> Result<Vec<Identifier>, TargetError> {
        let mut identifiers: Vec<Identifier> = Vec::new();
        for (label, at) in &self.raw.identifiers {
            let place = self.place(at.line);
            let key = self.key(&format!("identifiers.{label}"));
            add_identifier(&mut identifiers, label, &at.value, place, key)?;
        }
        add_given(&mut identifiers, self.context.overrides)?;
        Ok(identifiers)
    }

    /// What is allowed, and yet worth a word.
    fn remark(&mut self, target: &Target) {
        let place = self.place(self.raw.line);
        if target.services.is_empty() && target.tunnel != TunnelMode::None {
            self.warnings.push(format!(
                "{place}: no service: only the connection to the gateway and the identifiers are judged, a bypass is not seen as one"
            ));
        }
        if target.identifiers.is_empty() {
            self.warnings.push(format!(
                "{place}: no identifier: nothing personal is searched; add [{}.identifiers] or --identifier",
                self.raw.table
            ));
        }
        for (service, raw) in target.services.iter().zip(&self.raw.services) {
            let place = self.place(raw.line);
            if service.is_udp && target.tunnel == TunnelMode::Builtin {
                self.warnings.push(format!(
                    "{place}: service {:?} speaks UDP, which ssh cannot carry: if it is seen at all, it is a bypass",
                    service.name
                ));
            }
            if service.listen.is_some() && target.tunnel == TunnelMode::None {
                self.warnings.push(format!(
                    "{place}: listen of service {:?} is not used with tunnel = \"none\"",
                    service.name
                ));
            }
        }
    }

    fn ssh(
        &mut self,
        found: Found,
        every: bool,
        forwards: Vec<ForwardPlan>,
    ) -> Result<SshPlan, TargetError> {
        let env = self.context.env;
        let Found { gate, mut settings, user } = found;
        if let Some(at) = &self.raw.keepalive {
            settings.keepalive =
                Some(self.checked("keepalive", at, |text| time(text).ok_or(Fault::Time))?);
        }
        let user = user.name().unwrap_or_default().to_owned();
        let identity_files = self.paths("identity_file", &self.raw.identity_file)?;
        let known_hosts = self.paths("known_hosts", &self.raw.known_hosts)?;
        // What the table names is not to be read, and so not refused, in ssh_config.
        if !identity_files.is_empty() {
            settings.identity_files.clear();
        }
        if !known_hosts.is_empty() {
            settings.known_hosts = None;
        }
        let mut ssh = gate.ssh_plan(&settings, &user, every, forwards, env, &mut self.warnings)?;
        if !identity_files.is_empty() {
            ssh.identity_files = identity_files;
            ssh.default_identities = false;
        }
        if let Some(path) = &self.context.overrides.identity_file {
            ssh.identity_files = vec![env.cwd.join(path)];
            ssh.default_identities = false;
        }
        if !known_hosts.is_empty() {
            ssh.known_hosts = known_hosts;
        }
        if let Some(at) = &self.raw.identity_agent {
            ssh.identity_agent = match at.value.as_str() {
                "none" => None,
                "SSH_AUTH_SOCK" => agent_of(&at.value, env),
                _ => Some(self.path("identity_agent", at)?),
            };
        }
        Ok(ssh)
    }

    fn path(&self, key: &str, at: &At<String>) -> Result<PathBuf, TargetError> {
        self.checked(key, at, |text| {
            if text.is_empty() {
                return Err(Fault::Empty);
            }
            let path = self.context.env.expand_tilde(text).ok_or(Fault::Tilde)?;
            Ok(self.context.base.join(path))
        })
    }

    fn paths(&self, key: &str, list: &[At<String>]) -> Result<Vec<PathBuf>, TargetError> {
        list.iter().map(|at| self.path(key, at)).collect()
    }
}

/// The forwards of the services that have a mouth, each to the host as the gateway knows it.
fn forwards(services: &[Service]) -> Vec<ForwardPlan> {
    let forward = |service: &Service| {
        Some(ForwardPlan {
            service: service.name.clone(),
            listen: service.listen?,
            host: service.host.clone(),
            port: service.port,
        })
    };
    services.iter().filter_map(forward).collect()
}

fn covers(exempt: &Exempt, service: &Service) -> bool {
    exempt.port.is_none_or(|port| port == service.port)
        && (exempt.host == service.host
            || service.aliases.contains(&exempt.host)
            || exempt.addresses.iter().any(|address| service.addresses.contains(address)))
}

/// Adds what `--identifier` gave.
pub(super) fn add_given(
    identifiers: &mut Vec<Identifier>,
    overrides: &Overrides,
) -> Result<(), TargetError> {
    for text in &overrides.identifiers {
        let place = Place { file: "command line".to_owned(), line: 0 };
        add_identifier(identifiers, OVERRIDE_LABEL, text, place, "--identifier".to_owned())?;
    }
    Ok(())
}

/// Adds a text without the blanks around it, once; an error does not repeat it.
pub(super) fn add_identifier(
    identifiers: &mut Vec<Identifier>,
    label: &str,
    text: &str,
    place: Place,
    key: String,
) -> Result<(), TargetError> {
    let text = text.trim();
    let chars = text.chars().count();
    if chars < MIN_IDENTIFIER_CHARS {
        let fault = if chars == 0 { Fault::Empty } else { Fault::ShortIdentifier };
        let value = format!("({chars} characters)");
        return Err(TargetError::BadValue { place, key, value, fault });
    }
    if !identifiers.iter().any(|known| known.text == text) {
        identifiers.push(Identifier { label: label.to_owned(), text: text.to_owned() });
    }
    Ok(())
}
