//! A plan's words for its tunnel, in the words of the tunnel room.

use crate::model::{Target, TunnelMode};
use crate::target::{AddressFamily, Hop, Plan, SshPlan};
use crate::tunnel::{AgentChoice, Algorithms, ForwardSpec, HopSpec, TunnelSpec};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The tunnel that a plan asks us to bring up; none where somebody else does, or nobody.
#[must_use]
pub fn tunnel_spec(plan: &Plan, accept_host_keys: &[String]) -> Option<TunnelSpec> {
    let ssh = plan.ssh.as_ref().filter(|_| plan.target.tunnel == TunnelMode::Builtin)?;
    let mut spec = spec_of(&plan.target.name, ssh, accept_host_keys);
    spec.addresses = addresses(&plan.target, ssh);
    Some(spec)
}

/// The login on a host, and the forwards that go with it.
pub(super) fn spec_of(name: &str, ssh: &SshPlan, accept_host_keys: &[String]) -> TunnelSpec {
    let mut spec = TunnelSpec::new(name, &ssh.user, &ssh.host, ssh.port);
    spec.host_key_alias.clone_from(&ssh.host_key_alias);
    spec.identity_files.clone_from(&ssh.identity_files);
    spec.identities_only = ssh.identities_only;
    spec.agent = agent(ssh.identity_agent.as_ref());
    spec.known_hosts.clone_from(&ssh.known_hosts);
    spec.global_known_hosts.clone_from(&ssh.global_known_hosts);
    spec.jumps = ssh.proxy_jump.iter().map(hop_spec).collect();
    spec.gateway_ports = ssh.gateway_ports;
    if ssh.keepalive.is_some() {
        spec.keepalive = ssh.keepalive;
        spec.keepalive_max = ssh.keepalive_max;
    }
    if let Some(timeout) = ssh.connect_timeout {
        spec.connect_timeout = timeout;
    }
    spec.algorithms = Algorithms {
        ciphers: ssh.ciphers.clone(),
        macs: ssh.macs.clone(),
        kex: ssh.kex.clone(),
        host_keys: ssh.host_key_algorithms.clone(),
    };
    spec.accept_host_key = accept_host_keys.to_vec();
    spec.forwards = ssh
        .forwards
        .iter()
        .map(|forward| ForwardSpec {
            service: forward.service.clone(),
            listen: forward.listen,
            host: forward.host.clone(),
            port: forward.port,
        })
        .collect();
    spec
}

/// Where the gateway was found when the interfaces were chosen, so that nothing is resolved twice. Behind a jump host
/// it is the jump host that resolves.
fn addresses(target: &Target, ssh: &SshPlan) -> Vec<SocketAddr> {
    if !ssh.proxy_jump.is_empty() {
        return Vec::new();
    }
    let fits = |ip: &&IpAddr| match ssh.address_family {
        AddressFamily::Any => true,
        AddressFamily::Inet => ip.is_ipv4(),
        AddressFamily::Inet6 => ip.is_ipv6(),
    };
    let fitting = target.gateway_addresses.iter().filter(fits);
    fitting.map(|ip| SocketAddr::new(*ip, ssh.port)).collect()
}

fn hop_spec(hop: &Hop) -> HopSpec {
    HopSpec {
        host: hop.host.clone(),
        port: hop.port,
        user: hop.user.clone(),
        host_key_alias: hop.host_key_alias.clone(),
        identity_files: hop.identity_files.clone(),
        identities_only: hop.identities_only,
        agent: agent(hop.identity_agent.as_ref()),
        known_hosts: hop.known_hosts.clone(),
        global_known_hosts: hop.global_known_hosts.clone(),
        addresses: Vec::new(),
    }
}

fn agent(socket: Option<&PathBuf>) -> AgentChoice {
    socket.map_or(AgentChoice::Nobody, |path| AgentChoice::Socket(path.clone()))
}
