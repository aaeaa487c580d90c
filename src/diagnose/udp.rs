//! Services that ssh cannot carry.

use super::check::{Check, Outcome, Remedy};
use super::facts::{Facts, towards};
use crate::model::{Service, TunnelMode, Vantage};

const NAME: &str = "udp";

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    let target = facts.target();
    let mut checks = Vec::new();
    for (_, service) in facts.services().filter(|(_, it)| it.is_udp) {
        let subject = format!("{} port {}", service.name, service.port);
        let new = |code, outcome| Check::new(NAME, code, subject.clone(), outcome);
        let by_device = service.addresses.iter().all(|ip| {
            towards(*ip).is_none_or(|interface| interface.vantage == Vantage::TunnelDevice)
        });
        checks.push(if facts.is_exempt(service) {
            new("udp-exempt", Outcome::Note).saw("it is exempt: what it says may be read")
        } else if target.tunnel == TunnelMode::None {
            new("udp-direct", Outcome::NotApplicable).saw("the target has no tunnel")
        } else if target.tunnel == TunnelMode::External && by_device && !service.addresses.is_empty() {
            new("udp-carried", Outcome::Fine).saw("the route leads into the device of a tunnel, which carries UDP")
        } else {
            new("udp-not-carried", Outcome::Cause)
                .saw("it uses UDP, which ssh cannot forward: whatever a client says to it goes past the tunnel, readable")
                .with(remedy(facts, service))
        });
    }
    if checks.is_empty() {
        checks.push(
            Check::new(NAME, "no-udp", "services", Outcome::Fine).saw("every service uses TCP"),
        );
    }
    checks
}

pub(super) fn remedy(facts: &Facts, service: &Service) -> Remedy {
    let addresses: Vec<String> = service.addresses.iter().map(|ip| format!("\"{ip}\"")).collect();
    let address = if addresses.is_empty() {
        String::new()
    } else {
        format!("address = [{}]\\n", addresses.join(", "))
    };
    let exempt = format!(
        "\\n[[target.{}.exempt]]\\nname = \"{}\"\\nhost = \"{}\"\\nport = {}\\n{address}reason = \"ssh cannot carry UDP\"\\n",
        facts.target().name,
        service.name,
        service.host,
        service.port
    );
    let remedy = Remedy::say(format!(
        "turn \"{}\" off in the client, or use a VPN; if it may be readable, take the service out of the target or exempt it",
        service.name
    ));
    match facts.plan.origin.split_once(':') {
        // The origin is `FILE:LINE [target.NAME]` or `FILE:LINE Host NAME`; an exemption belongs to the first kind.
        Some((file, rest)) if rest.contains("[target.") => remedy.then(format!(
            "printf {} >> {}",
            super::facts::quoted(&exempt),
            super::facts::quoted(file)
        )),
        _ => remedy,
    }
}
