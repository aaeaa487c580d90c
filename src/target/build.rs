//! A table of a target file -> plan.

use super::check;
use super::error::{Fault, Place, TargetError};
use super::file::{At, RawTarget};
use super::gate::Gate;
use super::login::{User, agent_of, jump_list};
use super::paths::Environment;
use super::plan::{ForwardPlan, Overrides, Plan, SshPlan};
use super::services::forwards;
use super::ssh_config::{Login, Proxy, Query, Settings, Source, jumps, resolve, time};
use crate::model::{Identifier, Target, TunnelMode};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Characters of an identifier: a single one is found in any traffic.
const MIN_IDENTIFIER_CHARS: usize = 2;
/// Label of what `--identifier` adds.
const OVERRIDE_LABEL: &str = "identifier";

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

/// One table on its way to a plan.
pub(super) struct Builder<'a> {
    pub(super) raw: &'a RawTarget,
    context: &'a Context<'a>,
    pub(super) warnings: Vec<String>,
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
        let names = self.written_names(&target);
        Ok(Plan { target, ssh, origin, warnings: self.warnings, file: None, names })
    }

    pub(super) fn place(&self, line: usize) -> Place {
        Place { file: self.context.file.clone(), line }
    }

    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.raw.table)
    }

    pub(super) fn bad(&self, key: &str, at: &At<String>, fault: Fault) -> TargetError {
        TargetError::BadValue {
            place: self.place(at.line),
            key: self.key(key),
            value: at.value.clone(),
            fault,
        }
    }

    pub(super) fn checked<T>(
        &self,
        key: &str,
        at: &At<String>,
        check: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Result<T, TargetError> {
        check(&at.value).map_err(|fault| self.bad(key, at, fault))
    }

    pub(super) fn addresses(
        &self,
        key: &str,
        list: &[At<String>],
    ) -> Result<Vec<IpAddr>, TargetError> {
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
        let mut gate = Gate::find(
            &settings,
            &list,
            &origin,
            self.context.ssh,
            self.context.env,
            &mut self.warnings,
        )?;
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
