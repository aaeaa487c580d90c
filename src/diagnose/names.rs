//! What every form of every service's name resolves to, by IPv4 and IPv6, and who answered: the paper's ping test.

use super::check::{Check, Outcome, Remedy};
use super::facts::{Facts, quoted, towards};
use crate::machine::{AnsweredBy, Family, HostsLine, LineEnds, Lookup, is_answering};
use crate::model::{TunnelMode, Vantage};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const NAME: &str = "names";
/// Questions asked; a target with more names is asked for the first ones.
const MAX_QUESTIONS: usize = 400;

/// One host under all its names.
#[derive(Default)]
struct Host {
    names: Vec<String>,
    services: Vec<String>,
    /// Addresses of the mouths that its services are reached by.
    mouths: BTreeSet<IpAddr>,
    /// A mouth has the service's own port, so that an alias alone sends a client there.
    same_port: bool,
    /// It is the gateway itself: ssh needs its name as it is.
    is_gateway: bool,
    /// Where it really is.
    real: BTreeSet<IpAddr>,
}

/// Where an answer sends a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To the mouth, or to where nobody listens on this machine's loopback for IPv6.
    Mouth,
    /// Past the tunnel.
    Past,
    /// To an address of this machine that is no mouth, or to one that is neither mouth nor service.
    Stale,
    /// Past the tunnel, had it a route.
    Unreachable,
}

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    let hosts = hosts(facts);
    let questions: Vec<(String, Family)> = hosts
        .values()
        .flat_map(|host| &host.names)
        .flat_map(|name| [(name.clone(), Family::V4), (name.clone(), Family::V6)])
        .take(MAX_QUESTIONS)
        .collect();
    let answers = facts.resolver.look_up(&questions);
    let mut checks = Vec::new();
    for (name, host) in &hosts {
        let own: Vec<&Lookup> = answers.iter().filter(|it| host.names.contains(&it.name)).collect();
        checks.push(judge(facts, name, host, &own));
    }
    if checks.is_empty() {
        checks.push(
            Check::new(NAME, "no-names", "services", Outcome::NotApplicable)
                .saw("every service is named by its address: no name leads anywhere else"),
        );
    }
    checks
}

fn hosts(facts: &Facts) -> BTreeMap<String, Host> {
    let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
    for (index, service) in facts.services() {
        if facts.is_exempt(service) || service.is_udp {
            continue;
        }
        let mut names = Vec::new();
        for name in std::iter::once(&service.host).chain(&service.aliases) {
            for form in forms(name) {
                if !names.contains(&form) {
                    names.push(form);
                }
            }
        }
        if names.is_empty() {
            continue;
        }
        let host = hosts.entry(service.host.clone()).or_default();
        for name in names {
            if !host.names.contains(&name) {
                host.names.push(name);
            }
        }
        host.services.push(service.name.clone());
        host.real.extend(&service.addresses);
        host.is_gateway |= facts.is_gateway(&service.host);
        if let Some(mouth) = facts.mouth_of(index) {
            host.mouths.insert(mouth.reach().ip());
            host.same_port |= mouth.at.port() == service.port;
        }
    }
    hosts
}

/// As it is, with a trailing dot, in capitals, and short.
fn forms(name: &str) -> Vec<String> {
    if name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost") {
        return Vec::new();
    }
    let mut forms = vec![name.to_owned(), format!("{name}."), name.to_ascii_uppercase()];
    if let Some((short, _)) = name.split_once('.')
        && !short.is_empty()
    {
        forms.extend([short.to_owned(), format!("{short}."), short.to_ascii_uppercase()]);
    }
    forms
}

fn judge(facts: &Facts, name: &str, host: &Host, answers: &[&Lookup]) -> Check {
    let subject = format!("{name} ({})", host.services.join(", "));
    let mut detail = Vec::new();
    let mut bad: Vec<(&Lookup, Way)> = Vec::new();
    let mut failed = Vec::new();
    let mut silent: Vec<&Lookup> = Vec::new();
    for answer in answers {
        if let Some(why) = &answer.failed {
            failed.push(format!("{} {}: {why}", answer.name, answer.family));
            continue;
        }
        if answer.addresses.is_empty() {
            silent.push(answer);
            continue;
        }
        let list: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
        let way = answer.addresses.iter().map(|ip| way(*ip, host)).max_by_key(|way| grave(*way));
        let way = way.unwrap_or(Way::Mouth);
        detail.push(format!(
            "{} {}: {}, says {}{}",
            answer.name,
            answer.family,
            list.join(", "),
            answer.answered_by,
            match way {
                Way::Mouth => "",
                _ if host.mouths.is_empty() => "",
                Way::Past => " - PAST the tunnel",
                Way::Stale => " - neither the mouth nor the service",
                Way::Unreachable => " - past the tunnel, but there is no route to it",
            }
        ));
        if way != Way::Mouth {
            bad.push((answer, way));
        }
    }
    if !silent.is_empty() {
        let list: Vec<String> =
            silent.iter().map(|it| format!("{} {}", it.name, it.family)).collect();
        detail.push(format!("leads nowhere: {}", list.join(", ")));
    }
    detail.extend(failed.iter().map(|it| format!("could not be asked: {it}")));
    let mut unasked = !failed.is_empty();
    if !silent.is_empty() && !host.mouths.is_empty() && !is_answering(name, &facts.resolver.servers)
    {
        unasked = true;
        detail.push(
            "no name server answers: where these forms lead when one does is not known".to_owned(),
        );
    }
    let mut check = verdict(facts, &subject, host, &bad, &silent, unasked);
    let mut all = std::mem::take(&mut check.detail);
    all.extend(detail);
    check.detail = all;
    check
}

fn verdict(
    facts: &Facts,
    subject: &str,
    host: &Host,
    bad: &[(&Lookup, Way)],
    silent: &[&Lookup],
    unasked: bool,
) -> Check {
    let new = |code, outcome| Check::new(NAME, code, subject, outcome);
    if host.mouths.is_empty() {
        let on_this_machine =
            bad.iter().any(|(it, _)| it.addresses.iter().any(IpAddr::is_loopback));
        if on_this_machine && facts.target().tunnel == TunnelMode::None {
            let remedy = Remedy::say("the service is used directly: take the old alias back")
                .then(facts.ours(&format!("hosts {} --revert", quoted(&facts.target().name))));
            return new("stale-alias", Outcome::Cause)
                .saw("a name leads to this machine, and the target has no tunnel")
                .with(remedy);
        }
        let by_device = host.real.iter().any(|ip| {
            towards(*ip).is_some_and(|interface| interface.vantage == Vantage::TunnelDevice)
        });
        let direct = facts.target().tunnel == TunnelMode::None || by_device;
        let outcome = if direct { Outcome::Fine } else { Outcome::Note };
        return new("names-direct", outcome)
            .saw("no mouth is known: the names may lead to the service itself, by the route that the tunnel takes");
    }
    let worst = bad.iter().map(|(_, way)| *way).max_by_key(|way| grave(*way));
    match worst {
        None if unasked => new("names-unasked", Outcome::Unknown)
            .saw(format!("forms that lead anywhere lead to {}", list(&host.mouths)))
            .with(remedy(facts, host, &[], silent)),
        None => new("names-at-mouth", Outcome::Fine)
            .saw(format!("every form that leads anywhere leads to {}", list(&host.mouths))),
        Some(Way::Unreachable) => new("no-route-past", Outcome::Note)
            .saw("a form leads to the service itself, to which there is no route now"),
        Some(Way::Past) if host.is_gateway => new("name-is-the-gateways", Outcome::Note)
            .saw(format!(
                "the service is on the gateway itself, whose name ssh needs as it is; only a client that is set to the mouth {} uses the tunnel",
                mouth_list(facts, host)
            ))
            .with(Remedy::say(format!("set the client's server to {}", mouth_list(facts, host)))),
        Some(Way::Past) if !host.same_port => new("mouth-at-another-port", Outcome::Note)
            .saw(format!(
                "the names lead to the service itself; only a client that is set to the mouth {} uses the tunnel",
                mouth_list(facts, host)
            ))
            .with(Remedy::say(format!("set the client's server to {}", mouth_list(facts, host)))),
        Some(way) => {
            let code = if way == Way::Past { "not-aliased" } else { "stale-alias" };
            let blamed: Vec<_> = bad.iter().copied().filter(|(_, it)| *it != Way::Unreachable).collect();
            new(code, Outcome::Cause)
                .saw(match way {
                    Way::Past => format!(
                        "a client that uses one of these names goes past the tunnel; they must lead to {}",
                        list(&host.mouths)
                    ),
                    _ => format!("an old entry leads elsewhere; the mouth is {}", list(&host.mouths)),
                })
                .with(remedy(facts, host, &blamed, silent))
        }
    }
}

fn way(ip: IpAddr, host: &Host) -> Way {
    let ip = ip.to_canonical();
    // Where nobody listens on IPv6, a client falls back to IPv4: no bypass.
    if host.mouths.contains(&ip) || ip == IpAddr::from(std::net::Ipv6Addr::LOCALHOST) {
        return Way::Mouth;
    }
    if host.real.contains(&ip) {
        return if towards(ip).is_some() { Way::Past } else { Way::Unreachable };
    }
    if ip.is_loopback() || !host.real.is_empty() {
        return Way::Stale;
    }
    // Where the service really is, is not known: an address that is not this machine's goes past the tunnel.
    if towards(ip).is_some() { Way::Past } else { Way::Unreachable }
}

const fn grave(way: Way) -> u8 {
    match way {
        Way::Mouth => 0,
        Way::Unreachable => 1,
        Way::Stale => 2,
        Way::Past => 3,
    }
}

/// Takes wrong lines out of the hosts file, adds the missing ones, and empties the caches.
fn remedy(facts: &Facts, host: &Host, bad: &[(&Lookup, Way)], silent: &[&Lookup]) -> Remedy {
    let target = quoted(&facts.target().name);
    let mut remedy = Remedy::say(format!(
        "alias the names to the mouth (`{}` writes every form, and takes them back with --revert), then quit the client \
         and start it again",
        facts.root(&facts.ours(&format!("hosts {target} --apply")))
    ));
    let wrong = |ip: &IpAddr| way(*ip, host) != Way::Mouth;
    let lines: BTreeSet<usize> = bad
        .iter()
        .filter_map(|(it, _)| match &it.answered_by {
            AnsweredBy::Hosts(lines) => Some(lines),
            _ => None,
        })
        .flatten()
        .copied()
        .filter(|number| {
            let line = facts.resolver.hosts.iter().find(|line| line.line == *number);
            line.is_some_and(|line| wrong(&line.address))
        })
        .collect();
    if !lines.is_empty() {
        let edits: Vec<String> = facts
            .resolver
            .hosts
            .iter()
            .filter(|it| lines.contains(&it.line))
            .map(|line| taking_out(line, &host.names))
            .collect();
        remedy = remedy.then("cp /etc/hosts /tmp/hosts.before").then(format!(
            "sed {} /tmp/hosts.before | {}",
            quoted(&edits.join(";")),
            facts.root("tee /etc/hosts >/dev/null")
        ));
    }
    let mut to_add: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
    // Forms that lead nowhere now may lead past the tunnel tomorrow: they are aliased as well.
    for it in bad.iter().map(|(it, _)| *it).chain(silent.iter().copied()) {
        let v4 = host.mouths.iter().find(|ip| ip.is_ipv4());
        let v6 = host.mouths.iter().find(|ip| ip.is_ipv6()).copied();
        let address = match it.family {
            Family::V4 => v4.copied(),
            Family::V6 => Some(v6.unwrap_or(std::net::Ipv6Addr::LOCALHOST.into())),
        };
        let Some(address) = address else { continue };
        let names = to_add.entry(address).or_default();
        let name = it.name.to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // An editor of streams may leave the last line open, too.
    if facts.resolver.hosts_ends == LineEnds::LastOpen && !to_add.is_empty() {
        remedy = remedy.then(format!("echo | {}", facts.root("tee -a /etc/hosts >/dev/null")));
    }
    for (address, names) in to_add {
        let line = format!("{address} {}", names.join(" "));
        remedy = remedy.then(format!(
            "echo {} | {}",
            quoted(&line),
            facts.root("tee -a /etc/hosts >/dev/null")
        ));
    }
    for cache in &facts.resolver.caches {
        match *cache {
            "nscd" => remedy = remedy.then(facts.root("nscd -i hosts")),
            "systemd-resolved" => remedy = remedy.then(facts.root("resolvectl flush-caches")),
            _ => remedy = remedy.then(facts.root("killall -HUP mDNSResponder")),
        }
    }
    remedy
}

/// The commands of sed that take names out of a line: the whole line where it has no other, else these names alone. Those
/// of another host may be taken out of the same line before or after.
fn taking_out(line: &HostsLine, names: &[String]) -> String {
    let is_ours = |name: &&String| {
        let bare = name.strip_suffix('.').unwrap_or(name);
        names.iter().any(|it| it.strip_suffix('.').unwrap_or(it).eq_ignore_ascii_case(bare))
    };
    let (ours, others): (Vec<_>, Vec<_>) = line.names.iter().partition(is_ours);
    let number = line.line;
    if others.is_empty() {
        return format!("{number}s/^/# /");
    }
    let edits: Vec<String> = ours
        .into_iter()
        .flat_map(|name| {
            let name = literally(name);
            [
                format!("{number}s/[[:space:]]{name}\\([[:space:]#]\\)/\\1/"),
                format!("{number}s/[[:space:]]{name}$//"),
            ]
        })
        .collect();
    edits.join(";")
}

/// A text as a pattern of sed that fits it and nothing else.
fn literally(text: &str) -> String {
    let special = |c: char| r"\.*[]^$/".contains(c);
    text.chars().fold(String::new(), |mut out, c| {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

fn list(addresses: &BTreeSet<IpAddr>) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

fn mouth_list(facts: &Facts, host: &Host) -> String {
    let mouths: Vec<String> = facts
        .mouths
        .iter()
        .filter(|mouth| {
            facts.service(mouth.service).is_some_and(|it| host.services.contains(&it.name))
        })
        .map(|mouth| mouth.reach().to_string())
        .collect();
    mouths.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_name_is_asked_for() {
        assert_eq!(
            forms("dasher.dartmouth.edu"),
            [
                "dasher.dartmouth.edu",
                "dasher.dartmouth.edu.",
                "DASHER.DARTMOUTH.EDU",
                "dasher",
                "dasher.",
                "DASHER"
            ]
        );
        assert_eq!(forms("dasher"), ["dasher", "dasher.", "DASHER"]);
        assert!(forms("10.0.0.1").is_empty() && forms("localhost").is_empty());
    }

    /// What sed makes of a hosts file.
    fn sed(script: &str, text: &str) -> String {
        use std::io::Write as _;
        let mut child = std::process::Command::new("sed")
            .arg(script)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{script}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_names_of_two_hosts_leave_one_line_whichever_goes_first() {
        let text = "127.0.0.1 localhost\n\
                    10.77.1.30\tdnd.dartmouth.edu dasher.dartmouth.edu. DND news.dartmouth.edu xdnd#dnd\n\
                    10.77.1.30 dnd dnd.dartmouth.edu\n";
        let left = "127.0.0.1 localhost\n\
                    10.77.1.30 news.dartmouth.edu xdnd#dnd\n# 10.77.1.30 dnd dnd.dartmouth.edu\n";
        let lines = crate::machine::parse_hosts(text);
        let script = |name: &str| {
            let names = forms(name);
            let own = lines.iter().skip(1).map(|line| taking_out(line, &names));
            own.filter(|it| !it.is_empty()).collect::<Vec<_>>().join(";")
        };
        let (dnd, dasher) = (script("dnd.dartmouth.edu"), script("dasher.dartmouth.edu"));
        for order in [[&dnd, &dasher], [&dasher, &dnd]] {
            let mut now = text.to_owned();
            for script in order {
                now = sed(script, &now);
            }
            assert_eq!(now, left, "{order:?}");
        }
    }

    #[test]
    fn an_answer_is_the_mouth_the_service_or_something_old() {
        let host = Host {
            mouths: BTreeSet::from(["127.0.0.1".parse().unwrap()]),
            real: BTreeSet::from(["127.9.9.9".parse().unwrap()]),
            ..Host::default()
        };
        let way = |ip: &str| way(ip.parse().unwrap(), &host);
        assert_eq!(way("127.0.0.1"), Way::Mouth);
        assert_eq!(way("::ffff:127.0.0.1"), Way::Mouth);
        assert_eq!(way("::1"), Way::Mouth);
        assert_eq!(way("127.0.0.2"), Way::Stale);
        assert_eq!(way("192.0.2.77"), Way::Stale);
    }
}
