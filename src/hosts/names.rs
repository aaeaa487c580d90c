//! A target's services -> the names that are to lead to their mouths.

use super::error::HostsError;
use crate::model::Service;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A service and its names as somebody wrote them.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The service.
    pub service: &'a Service,
    /// Host and aliases, as written: case and trailing dot are kept.
    pub written: &'a [String],
}

/// A name, in every form in which a client may ask for it, and where it is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Address of the mouth.
    pub address: IpAddr,
    /// Lower case first, then as written, each with and without a trailing dot. Without doubles.
    pub names: Vec<String>,
    /// The service that it was first met at.
    pub service: String,
    /// Lower case, without a trailing dot.
    key: String,
}

/// A service, or one of its names, that gets no line, or needs a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The service.
    pub service: String,
    /// Why, and what to do.
    pub why: String,
}

/// What is to stand in the block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    /// One line each.
    pub lines: Vec<Alias>,
    /// What has no line.
    pub left_out: Vec<LeftOut>,
    /// What the user ought to know about those that have one.
    pub notes: Vec<LeftOut>,
}

/// Names of the machine itself, which no block may lead elsewhere.
const OWN_NAMES: &[&str] =
    &["localhost", "broadcasthost", "ip6-localhost", "ip6-loopback", "localhost6", "loopback"];

/// Gathers the names of `services`, their short forms among them. A name of `kept` gets no line: the tunnel itself must
/// resolve it.
///
/// # Errors
/// `NameTwice`: a name would have to lead to two addresses.
pub fn aliases(services: &[Wanted<'_>], kept: &[String]) -> Result<Aliases, HostsError> {
    let kept: Vec<String> = kept.iter().map(|name| key(name)).collect();
    let mut found = Aliases::default();
    for wanted in services {
        let service = wanted.service;
        let Some(address) = found.place(service) else { continue };
        let mut named = false;
        for written in wanted.written {
            let name = key(written);
            if is_address(&name) || is_own(&name) {
                continue;
            }
            named = true;
            if kept.contains(&name) {
                found.leave_out(service, format!(
                    "{name} is the gateway's own name: led to loopback, the tunnel would find itself; \
                     say gateway_address = [\"...\"] in the target, or let the client use {address}"
                ));
                continue;
            }
            found.add(service, address, &name, written)?;
        }
        if !named {
            let listen = service.listen.map(|listen| listen.to_string()).unwrap_or_default();
            found.leave_out(service, format!(
                "it has no name that a client could ask for (its host is {}): let the client use {listen}, or give it `aliases`",
                service.host
            ));
        }
    }
    found.add_short_forms(&kept);
    Ok(found)
}

impl Aliases {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The address that the names of `service` are to lead to; none, and said so, where there is none.
    fn place(&mut self, service: &Service) -> Option<IpAddr> {
        if service.is_udp {
            self.leave_out(
                service,
                "it speaks UDP, which ssh cannot carry, so it has no mouth".to_owned(),
            );
            return None;
        }
        let Some(listen) = service.listen else {
            self.leave_out(
                service,
                "it has no mouth: say where its forward listens, listen = \"127.0.0.1:PORT\""
                    .to_owned(),
            );
            return None;
        };
        if listen.port() != service.port {
            self.notes.push(LeftOut {
                service: service.name.clone(),
                why: format!(
                    "its mouth is port {}: set that port in the client, too (the service's own is {})",
                    listen.port(),
                    service.port
                ),
            });
        }
        if listen.is_ipv6() {
            self.notes.push(LeftOut {
                service: service.name.clone(),
                why: "its mouth is an IPv6 one: a client that asks for IPv4 alone passes its line over and goes beside \
                      the tunnel; listen on 127.0.0.1 instead"
                    .to_owned(),
            });
        }
        Some(match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        })
    }

    fn leave_out(&mut self, service: &Service, why: String) {
        self.left_out.push(LeftOut { service: service.name.clone(), why });
    }

    fn add(
        &mut self,
        service: &Service,
        address: IpAddr,
        name: &str,
        written: &str,
    ) -> Result<(), HostsError> {
        if !name.is_ascii() {
            self.notes.push(LeftOut {
                service: service.name.clone(),
                why: format!(
                    "{name} is asked for in its xn-- form by most clients: add that to `aliases`"
                ),
            });
        }
        let at = if let Some(at) = self.lines.iter().position(|line| line.key == name) {
            at
        } else {
            self.lines.push(Alias {
                address,
                names: Vec::new(),
                service: service.name.clone(),
                key: name.to_owned(),
            });
            self.lines.len() - 1
        };
        let Some(line) = self.lines.get_mut(at) else { return Ok(()) };
        if line.address != address {
            return Err(HostsError::NameTwice {
                name: name.to_owned(),
                first: line.service.clone(),
                first_address: line.address,
                second: service.name.clone(),
                second_address: address,
            });
        }
        line.spell(written);
        Ok(())
    }

    /// `dasher` for `dasher.dartmouth.edu`, unless it is a name already, or would have to lead to two addresses.
    fn add_short_forms(&mut self, kept: &[String]) {
        let full: Vec<Alias> = self.lines.clone();
        let mut short: Vec<Alias> = Vec::new();
        let mut disputed: Vec<String> = Vec::new();
        for line in &full {
            let Some((label, _)) = line.key.split_once('.') else { continue };
            let is_number = label.bytes().all(|octet| octet.is_ascii_digit());
            let is_name = full.iter().any(|other| other.key == label);
            if is_number || is_name || is_own(label) || kept.iter().any(|name| name == label) {
                continue;
            }
            let at = short.iter().position(|known| known.key == label);
            let spelled = line.names.iter().filter_map(|name| name.split('.').next());
            match at.and_then(|at| short.get_mut(at)) {
                Some(known) if known.address != line.address => {
                    self.notes.push(LeftOut {
                        service: line.service.clone(),
                        why: format!(
                            "the short form {label} gets no line: it would belong to service {}, too",
                            known.service
                        ),
                    });
                    disputed.push(label.to_owned());
                }
                Some(known) => spelled.for_each(|name| known.spell(name)),
                None => {
                    let mut alias = Alias {
                        address: line.address,
                        names: Vec::new(),
                        service: line.service.clone(),
                        key: label.to_owned(),
                    };
                    spelled.for_each(|name| alias.spell(name));
                    short.push(alias);
                }
            }
        }
        short.retain(|alias| !disputed.contains(&alias.key));
        self.lines.extend(short);
    }
}

impl Alias {
    /// Lower case, without a trailing dot: names that are equal in this form are the same to a resolver.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A line of its own making, for tests and for what else writes blocks.
    #[must_use]
    pub fn new(address: IpAddr, name: &str) -> Self {
        let mut alias = Self { address, names: Vec::new(), service: String::new(), key: key(name) };
        alias.spell(name);
        alias
    }

    fn spell(&mut self, written: &str) {
        let bare = written.strip_suffix('.').unwrap_or(written);
        // A short name asked for with a dot is a top-level domain: no client does that unless somebody wrote it.
        let dotted = bare.contains('.') || bare.len() < written.len();
        for form in [bare.to_lowercase(), bare.to_owned()] {
            let forms = [Some(form.clone()), dotted.then(|| format!("{form}."))];
            for form in forms.into_iter().flatten() {
                if !self.names.contains(&form) {
                    self.names.push(form);
                }
            }
        }
    }
}

/// The form in which two names are compared.
pub(super) fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_lowercase()
}

fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok()
}

fn is_own(name: &str) -> bool {
    OWN_NAMES.contains(&name) || name.ends_with(".localhost")
}
