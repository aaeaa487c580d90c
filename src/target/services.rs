//! Services and exemptions of a target file: checked, and each given a mouth of its own.

use super::build::Builder;
use super::check;
use super::error::{Fault, TargetError};
use super::file::{At, RawExempt, RawService};
use super::plan::{ForwardPlan, WrittenNames};
use crate::model::{Exempt, Service, Target};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Loopback addresses that are tried for a mouth that nobody placed: 127.0.0.1 to 127.0.0.254.
const LAST_LOOPBACK: u8 = 254;

impl Builder<'_> {
    /// Every service, its mouth where it has one.
    pub(super) fn services(&mut self, every: bool) -> Result<Vec<Service>, TargetError> {
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

    /// Host and aliases of every service, as they were written.
    pub(super) fn written_names(&self, target: &Target) -> Vec<WrittenNames> {
        let names = |(service, raw): (&Service, &RawService)| WrittenNames {
            service: service.name.clone(),
            names: std::iter::once(&raw.host)
                .chain(&raw.aliases)
                .map(|at| at.value.clone())
                .collect(),
        };
        target.services.iter().zip(&self.raw.services).map(names).collect()
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
        let addresses = self.addresses_or_literal("service.address", &raw.address, &host)?;
        Ok(Service {
            name: self.checked("service.name", &raw.name, check::name)?,
            kind: kind.to_owned(),
            port: self.checked("service.port", &raw.port, check::port)?,
            is_by_name: addresses.is_empty() && check::is_name(&host),
            addresses,
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

    /// `127.0.0.1:PORT` for every TCP service without a mouth; the next loopback address where that one is taken. All
    /// services of a host get the same address, as far as can be: a name leads to one address alone.
    pub(super) fn default_mouths(
        &mut self,
        services: &mut [Service],
        every: bool,
    ) -> Result<(), TargetError> {
        let mut taken: Vec<(SocketAddr, String, usize)> = services
            .iter()
            .zip(&self.raw.services)
            .filter_map(|(service, raw)| {
                let line = raw.listen.as_ref().map_or(raw.line, |at| at.line);
                Some((service.listen?, service.name.clone(), line))
            })
            .collect();
        for index in 0..services.len() {
            let (Some(service), Some(raw)) = (services.get(index), self.raw.services.get(index))
            else {
                continue;
            };
            if service.is_udp || service.listen.is_some() {
                continue;
            }
            let is_free = |mouth| !taken.iter().any(|(other, ..)| check::same_mouth(mouth, *other));
            let first = loopback(1, every, service.port);
            let free = candidates(services, service, every, &is_free);
            let Some(mouth) = free else {
                let clash = taken.iter().find(|(other, ..)| check::same_mouth(first, *other));
                let (_, other, line) = clash.cloned().unwrap_or_else(|| {
                    (SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), String::new(), raw.line)
                });
                return Err(TargetError::SameMouth {
                    place: self.place(raw.line),
                    key: self.key("service.listen"),
                    value: first.to_string(),
                    other,
                    first_line: line,
                });
            };
            if mouth != first {
                let why = if is_free(first) {
                    "as the other services of its host do"
                } else {
                    "since its port on 127.0.0.1 is another service's"
                };
                self.warnings.push(format!(
                    "{}: service {:?} listens on {mouth}, {why}: point its clients there, as `tunnelcheck hosts {} --apply` does",
                    self.place(raw.line),
                    service.name,
                    self.raw.name
                ));
            }
            taken.push((mouth, service.name.clone(), raw.line));
            if let Some(service) = services.get_mut(index) {
                service.listen = Some(mouth);
            }
        }
        Ok(())
    }

    /// Every exemption; one that covers a service is said.
    pub(super) fn exempts(&mut self, services: &[Service]) -> Result<Vec<Exempt>, TargetError> {
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
}

/// The mouth that a service gets: on an address that its host has already, else on the first one on which every port of
/// its host is free, else on the first one on which its own is.
fn candidates(
    services: &[Service],
    service: &Service,
    every: bool,
    is_free: &impl Fn(SocketAddr) -> bool,
) -> Option<SocketAddr> {
    let kin: Vec<&Service> =
        services.iter().filter(|other| !other.is_udp && share_a_name(service, other)).collect();
    let last = if every { 1 } else { LAST_LOOPBACK };
    let of_kin = kin
        .iter()
        .filter_map(|other| other.listen)
        .map(|listen| SocketAddr::new(listen.ip(), service.port));
    let for_all = (1..=last).filter(|host| {
        kin.iter()
            .filter(|other| other.listen.is_none())
            .all(|other| is_free(loopback(*host, every, other.port)))
    });
    of_kin
        .chain(for_all.map(|host| loopback(host, every, service.port)))
        .chain((1..=last).map(|host| loopback(host, every, service.port)))
        .find(|mouth| is_free(*mouth))
}

/// `127.0.0.HOST:PORT`, or every address.
fn loopback(host: u8, every: bool, port: u16) -> SocketAddr {
    let ip = if every { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::new(127, 0, 0, host) };
    SocketAddr::from((ip, port))
}

/// Whether a client may call both by the same name.
fn share_a_name(one: &Service, other: &Service) -> bool {
    let names = |service: &Service| -> Vec<String> {
        std::iter::once(&service.host).chain(&service.aliases).cloned().collect()
    };
    let others = names(other);
    names(one).iter().any(|name| others.contains(name))
}

/// The forwards of the services that have a mouth, each to the host as the gateway knows it.
pub(super) fn forwards(services: &[Service]) -> Vec<ForwardPlan> {
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
