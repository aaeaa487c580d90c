//! The gateway of a target: where it is on the wire, and how to log in on it.

use super::error::TargetError;
use super::login::{Jumps, SSH_PORT, access, host_name};
use super::paths::Environment;
use super::plan::{ForwardPlan, Hop, SshPlan};
use super::ssh_config::{Login, Settings, Source};
use super::{check, error::Place, error::SshFault};
use crate::model::Service;
use std::net::IpAddr;

/// The gateway, found.
pub(super) struct Gate {
    /// Its name or address.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// Hosts to go through, the first one first.
    pub(super) hops: Vec<Hop>,
    /// Where the connection goes to on the wire: the gateway's addresses, or those of the first hop.
    pub(super) addresses: Vec<IpAddr>,
}

impl Gate {
    /// Follows the jump hosts and says so. `sources` are the files of ssh; none for a recording.
    pub(super) fn find(
        settings: &Settings,
        jumps: &[Login],
        origin: &str,
        sources: Option<&[Source]>,
        env: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Self, TargetError> {
        let host = host_name(settings)?;
        let follow = Jumps {
            sources: sources.unwrap_or_default(),
            env,
            origin: origin.to_owned(),
            calls: sources.is_some(),
        };
        let hops = follow.follow(&settings.host, jumps, warnings)?;
        let mut gate =
            Self { port: settings.port.unwrap_or(SSH_PORT), addresses: Vec::new(), hops, host };
        if let Some(hop) = gate.hops.first() {
            warnings.push(format!(
                "{origin}: with a jump host the wire sees a connection to {}:{}, and that one is judged as the gateway",
                hop.host, hop.port
            ));
        }
        gate.addresses.extend(gate.wire_host().parse::<IpAddr>());
        Ok(gate)
    }

    /// The host that the wire sees.
    pub(super) fn wire_host(&self) -> &str {
        self.hops.first().map_or(&self.host, |hop| &hop.host)
    }

    /// Its port.
    pub(super) fn wire_port(&self) -> u16 {
        self.hops.first().map_or(self.port, |hop| hop.port)
    }

    /// A service's host and addresses: the gateway's own loopback is the gateway itself.
    pub(super) fn place_service(&self, service: &mut Service) {
        if !check::is_loopback(&service.host) {
            return;
        }
        service.host.clone_from(&self.host);
        if service.addresses.is_empty() {
            service.addresses.extend(self.host.parse::<IpAddr>());
        }
        if service.addresses.is_empty() && self.hops.is_empty() {
            service.addresses.clone_from(&self.addresses);
        }
    }

    /// How to bring the tunnel up.
    pub(super) fn ssh_plan(
        self,
        settings: &Settings,
        user: &str,
        gateway_ports: bool,
        forwards: Vec<ForwardPlan>,
        env: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<SshPlan, TargetError> {
        let login = access(settings, user, env, warnings)?;
        let bind_address = match &settings.bind_address {
            None => None,
            Some((text, place)) => Some(bind_address(text, place)?),
        };
        Ok(SshPlan {
            host: self.host,
            port: self.port,
            user: login.user,
            host_key_alias: login.host_key_alias,
            identity_files: login.identity_files,
            default_identities: login.default_identities,
            identities_only: login.identities_only,
            identity_agent: login.identity_agent,
            known_hosts: login.known_hosts,
            global_known_hosts: login.global_known_hosts,
            proxy_jump: self.hops,
            gateway_ports,
            keepalive: settings.keepalive.filter(|interval| !interval.is_zero()),
            keepalive_max: settings.keepalive_max.unwrap_or(DEFAULT_KEEPALIVE_MAX),
            tcp_keepalive: settings.tcp_keepalive.unwrap_or(true),
            connect_timeout: settings.connect_timeout.filter(|limit| !limit.is_zero()),
            compression: settings.compression.unwrap_or(false),
            address_family: settings.address_family.unwrap_or_default(),
            bind_address,
            ciphers: settings.ciphers.clone(),
            macs: settings.macs.clone(),
            kex: settings.kex.clone(),
            host_key_algorithms: settings.host_key_algorithms.clone(),
            forwards,
        })
    }
}

/// `ServerAliveCountMax` where nobody sets it (ssh_config(5)).
const DEFAULT_KEEPALIVE_MAX: u32 = 3;

fn bind_address(text: &str, place: &Place) -> Result<IpAddr, TargetError> {
    text.parse().map_err(|_| TargetError::SshConfig {
        place: place.clone(),
        keyword: "BindAddress".to_owned(),
        value: text.to_owned(),
        fault: SshFault::Address,
    })
}
