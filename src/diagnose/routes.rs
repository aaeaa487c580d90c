//! By which interface packets to the gateway and to the services leave.

use super::check::{Check, Outcome, Remedy};
use super::facts::{Facts, towards};
use crate::model::{TunnelMode, Vantage};
use crate::source::interfaces;

const NAME: &str = "routes";

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    let target = facts.target();
    let mut checks = Vec::new();
    if !target.gateway_addresses.is_empty() {
        let mut check = Check::new(NAME, "gateway-route", "gateway", Outcome::Fine);
        let mut reachable = false;
        for ip in &target.gateway_addresses {
            check = match towards(*ip) {
                Some(interface) => {
                    reachable = true;
                    check.saw(format!("{ip} by {} ({})", interface.name, interface.vantage))
                }
                None => check.saw(format!("{ip}: no route")),
            };
        }
        if !reachable {
            check.code = "gateway-no-route";
            check.outcome = Outcome::Cause;
            check = check.with(Remedy::say("no route leads to the gateway: is the network up?"));
        }
        checks.push(check);
    }
    // Without a mouth, the route alone keeps a service's packets in the tunnel.
    for (index, service) in facts.services() {
        if facts.is_exempt(service) || service.addresses.is_empty() {
            continue;
        }
        let by_route = target.tunnel == TunnelMode::External && facts.mouth_of(index).is_none();
        let mut check = Check::new(NAME, "service-route", service.name.clone(), Outcome::Fine);
        let mut past = Vec::new();
        for ip in &service.addresses {
            let Some(interface) = towards(*ip) else {
                check = check.saw(format!("{ip}: no route, so nothing can go there directly"));
                continue;
            };
            check = check.saw(format!("{ip} by {} ({})", interface.name, interface.vantage));
            if by_route && interface.vantage == Vantage::Wire {
                check.code = "route-past-tunnel";
                check.outcome = Outcome::Cause;
                past.push(ip.to_string());
            }
        }
        if !past.is_empty() {
            check = check
                .saw("the route does not lead into a tunnel: what goes there goes past it")
                .with(remedy(facts, &past));
        }
        checks.push(check);
    }
    if checks.is_empty() {
        checks.push(
            Check::new(NAME, "no-addresses", "routes", Outcome::Unknown)
                .saw("neither the gateway's nor any service's address is known"),
        );
    }
    checks
}

fn remedy(facts: &Facts, past: &[String]) -> Remedy {
    let all = interfaces().unwrap_or_default();
    let tunnel = all.iter().find(|it| it.vantage == Vantage::TunnelDevice && it.is_up);
    if let Some(interface) = tunnel {
        let name = &interface.name;
        let remedy = Remedy::say(format!(
            "send it through {name}, and let the VPN do so by itself (WireGuard: AllowedIPs)"
        ));
        return past.iter().fold(remedy, |remedy, ip| {
            remedy.then(facts.root(&if cfg!(target_os = "macos") {
                format!("route add -host {ip} -interface {name}")
            } else {
                format!("ip route replace {ip} dev {name}")
            }))
        });
    }
    let mut remedy = super::mouths::start(facts);
    remedy.say = format!(
        "no device of a tunnel is up: bring the VPN up, or, with ssh, a forward: {}",
        remedy.say
    );
    remedy
}
