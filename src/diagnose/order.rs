//! Whether the hosts file is asked before the name servers, and what keeps old answers.

use super::check::{Check, Outcome, Remedy};
use super::facts::Facts;
use crate::machine::LineEnds;
use std::path::Path;

const NAME: &str = "order";

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    let resolver = &facts.resolver;
    let mut checks = Vec::new();
    let servers: Vec<String> = resolver.servers.iter().map(ToString::to_string).collect();
    let seen = format!(
        "{} asks {}; name servers: {}",
        resolver.order_from,
        resolver.order.join(", then "),
        if servers.is_empty() { "none".to_owned() } else { servers.join(", ") }
    );
    if facts.mouths.is_empty() {
        checks.push(
            Check::new(NAME, "order-not-needed", "hosts file", Outcome::NotApplicable)
                .saw("no service of this target is reached through a mouth on this machine")
                .saw(seen),
        );
    } else if cfg!(target_os = "macos") {
        checks.push(
            Check::new(NAME, "hosts-first", "hosts file", Outcome::Fine)
                .saw("the directory services ask /etc/hosts before the name servers"),
        );
    } else if resolver.asks_hosts_first() {
        checks.push(Check::new(NAME, "hosts-first", "hosts file", Outcome::Fine).saw(seen));
    } else {
        let rest: Vec<&str> =
            resolver.order.iter().map(String::as_str).filter(|it| *it != "files").collect();
        let order = format!("hosts: files {}", rest.join(" "));
        checks.push(
            Check::new(NAME, "hosts-not-first", "hosts file", Outcome::Cause)
                .saw(seen)
                .saw("an alias of the hosts file is not heeded where another service answers first")
                .with(
                    Remedy::say("let the hosts file be asked first")
                        .then("cp /etc/nsswitch.conf /tmp/nsswitch.conf.before")
                        .then(format!(
                            "sed 's/^[[:space:]]*hosts:.*/{}/' /tmp/nsswitch.conf.before | {}",
                            order.trim_end(),
                            facts.root("tee /etc/nsswitch.conf >/dev/null")
                        )),
                ),
        );
    }
    if resolver.hosts_ends == LineEnds::CarriageReturns {
        checks.push(
            Check::new(NAME, "hosts-line-ends", "hosts file", Outcome::Cause)
                .saw("lines of /etc/hosts end with a carriage return alone: the resolver sees one long line")
                .with(
                    Remedy::say("end them with a line feed")
                        .then("cp /etc/hosts /tmp/hosts.before")
                        .then(format!(
                            "tr '\\r' '\\n' </tmp/hosts.before | {}",
                            facts.root("tee /etc/hosts >/dev/null")
                        )),
                ),
        );
    }
    for unread in &resolver.unread {
        checks.push(
            Check::new(NAME, "resolver-unread", "resolver", Outcome::Unknown)
                .saw(format!("cannot read {unread}")),
        );
    }
    if !resolver.caches.is_empty() && !facts.mouths.is_empty() {
        let mut remedy = Remedy::say("if a name still leads to an old address, empty the cache");
        for cache in &resolver.caches {
            remedy = remedy.then(match *cache {
                "nscd" => facts.root("nscd -i hosts"),
                "systemd-resolved" => facts.root("resolvectl flush-caches"),
                _ => facts.root("dscacheutil -flushcache"),
            });
        }
        let note = Check::new(NAME, "cache", "resolver", Outcome::Note)
            .saw(format!("{} keeps answers of earlier questions", resolver.caches.join(" and ")));
        checks.push(note.with(remedy));
    }
    if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        checks.push(Check::new(NAME, "container", "resolver", Outcome::Note).saw(
            "this is a container: its hosts file, resolver and sockets are not those of the host",
        ));
    }
    checks
}
