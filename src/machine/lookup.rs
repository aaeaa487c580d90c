//! What a name resolves to on this machine, and who answered.

use super::error::MachineError;
use super::files::{HostsLine, lines_of, parse_hosts, parse_name_servers, parse_nsswitch};
use super::platform;
use std::fmt;
use std::fs;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::Duration;

/// The hosts file.
const HOSTS: &str = "/etc/hosts";
/// The order of services (glibc and others).
const NSSWITCH: &str = "/etc/nsswitch.conf";
/// The name servers.
const RESOLV: &str = "/etc/resolv.conf";
/// What glibc does where nsswitch.conf says nothing of hosts (nsswitch.conf(5)).
const DEFAULT_ORDER: [&str; 2] = ["files", "dns"];
/// Look-ups under way at once.
const AT_ONCE: usize = 8;
/// How long the C library may take where nothing else bounds it.
const LIBRARY_PATIENCE: Duration = Duration::from_secs(6);

/// IP version that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// How the lines of a file end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnds {
    /// Every line ends as it should.
    #[default]
    Whole,
    /// The last one does not: what is added would stand on it.
    LastOpen,
    /// Some end with a carriage return alone, as on the classic Mac: the resolver sees one long line.
    CarriageReturns,
}

impl LineEnds {
    fn of(text: &str) -> Self {
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            if byte == b'\r' && bytes.peek().is_some_and(|next| *next != b'\n') {
                return Self::CarriageReturns;
            }
        }
        if text.is_empty() || text.ends_with('\n') { Self::Whole } else { Self::LastOpen }
    }
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// The name is an address.
    Itself,
    /// Lines of the hosts file.
    Hosts(Vec<usize>),
    /// Name servers, these.
    Dns(Vec<IpAddr>),
    /// systemd-resolved, from its cache or from a name server.
    Resolved,
    /// Another service of nsswitch.conf.
    Service(String),
    /// A cache: no service gives this answer now.
    Cache(&'static str),
    /// Nobody knows who.
    Unknown,
}

impl fmt::Display for AnsweredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stub = IpAddr::from([127, 0, 0, 53]);
        match self {
            Self::Itself => f.write_str("it is an address"),
            Self::Hosts(lines) => {
                let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
                write!(f, "{HOSTS} line {}", lines.join(", "))
            }
            Self::Dns(servers) if servers.contains(&stub) => {
                f.write_str("systemd-resolved (its stub 127.0.0.53)")
            }
            Self::Dns(servers) if servers.is_empty() => f.write_str("a name server"),
            Self::Dns(servers) => {
                let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
                write!(f, "name server {}", servers.join(" or "))
            }
            Self::Resolved => f.write_str("systemd-resolved (its cache, or a name server)"),
            Self::Service(service) => write!(f, "the service {service:?}"),
            Self::Cache(cache) => write!(f, "the cache of {cache}"),
            Self::Unknown => f.write_str("somebody who cannot be told"),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name as it was asked for.
    pub name: String,
    /// IP version that was asked for.
    pub family: Family,
    /// Where it leads; empty: nowhere.
    pub addresses: Vec<IpAddr>,
    /// Who says so; of no meaning where it leads nowhere.
    pub answered_by: AnsweredBy,
    /// Why the question could not be asked.
    pub failed: Option<String>,
}

/// The machine's resolver, as its files describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Lines of the hosts file.
    pub hosts: Vec<HostsLine>,
    /// How the lines of the hosts file end.
    pub hosts_ends: LineEnds,
    /// Services in their order.
    pub order: Vec<String>,
    /// Where the order comes from: a file, or the default.
    pub order_from: String,
    /// Name servers.
    pub servers: Vec<IpAddr>,
    /// What keeps answers of earlier questions.
    pub caches: Vec<&'static str>,
    /// What could not be read.
    pub unread: Vec<String>,
}

impl Resolver {
    /// Reads the files.
    #[must_use]
    pub fn read() -> Self {
        let mut unread = Vec::new();
        let mut read = |path: &str| match fs::read(path) {
            Ok(octets) => Some(String::from_utf8_lossy(&octets).into_owned()),
            Err(error) => {
                unread.push(format!("{path}: {error}"));
                None
            }
        };
        let text = read(HOSTS).unwrap_or_default();
        let (hosts, hosts_ends) = (parse_hosts(&text), LineEnds::of(&text));
        let servers = read(RESOLV).map(|text| parse_name_servers(&text)).unwrap_or_default();
        // musl and macOS have no such file.
        let order = fs::read_to_string(NSSWITCH).ok().and_then(|text| parse_nsswitch(&text));
        let (order, order_from) = match order {
            Some(order) => (order, NSSWITCH.to_owned()),
            None => (DEFAULT_ORDER.map(str::to_owned).to_vec(), "the default".to_owned()),
        };
        Self {
            hosts,
            hosts_ends,
            caches: platform::caches(&order),
            order,
            order_from,
            servers,
            unread,
        }
    }

    /// Whether the hosts file is asked before anything that may know another address.
    #[must_use]
    pub fn asks_hosts_first(&self) -> bool {
        // These know names of this machine alone, or names that end in .local.
        let harmless =
            ["myhostname", "mymachines", "mdns4_minimal", "mdns_minimal", "mdns6_minimal"];
        self.order
            .iter()
            .find(|it| !harmless.contains(&it.as_str()))
            .is_some_and(|it| it == "files")
    }

    /// Asks for every name, some at a time; the answers are in the order of the questions.
    #[must_use]
    pub fn look_up(&self, questions: &[(String, Family)]) -> Vec<Lookup> {
        let mut answers = Vec::with_capacity(questions.len());
        for some in questions.chunks(AT_ONCE) {
            // A resolver that let a whole round of questions hang is not asked again.
            let hangs = |it: &Lookup| it.failed.is_some();
            if answers.len() >= AT_ONCE && answers.iter().all(hangs) {
                answers.extend(some.iter().map(|(name, family)| Lookup {
                    name: name.clone(),
                    family: *family,
                    addresses: Vec::new(),
                    answered_by: AnsweredBy::Unknown,
                    failed: Some("not asked: the resolver does not answer".to_owned()),
                }));
                continue;
            }
            std::thread::scope(|scope| {
                let under_way: Vec<_> = some
                    .iter()
                    .map(|(name, family)| scope.spawn(move || self.look_up_one(name, *family)))
                    .collect();
                for ((name, family), thread) in some.iter().zip(under_way) {
                    answers.push(thread.join().unwrap_or_else(|_| Lookup {
                        name: name.clone(),
                        family: *family,
                        addresses: Vec::new(),
                        answered_by: AnsweredBy::Unknown,
                        failed: Some("the look-up ended early".to_owned()),
                    }));
                }
            });
        }
        answers
    }

    fn look_up_one(&self, name: &str, family: Family) -> Lookup {
        let mut lookup = Lookup {
            name: name.to_owned(),
            family,
            addresses: Vec::new(),
            answered_by: AnsweredBy::Unknown,
            failed: None,
        };
        if let Ok(ip) = name.parse::<IpAddr>() {
            lookup.addresses.extend(Some(ip).filter(|ip| ip.is_ipv6() == (family == Family::V6)));
            lookup.answered_by = AnsweredBy::Itself;
            return lookup;
        }
        match platform::ask_system(name, family) {
            Ok(addresses) => lookup.addresses = addresses,
            // Without the program, the C library of this process is asked.
            Err(error @ MachineError::Run { .. }) => {
                lookup.addresses = ask_library(name, family);
                // It was asked for both versions at once: an IPv4 line of the hosts file hides what IPv6 alone gives.
                if family == Family::V6 && lookup.addresses.is_empty() {
                    lookup.failed = Some(format!("{error}; IPv6 alone cannot be asked for"));
                }
            }
            Err(error) => lookup.failed = Some(error.to_string()),
        }
        if !lookup.addresses.is_empty() {
            lookup.answered_by = self.attribute(&lookup);
        }
        lookup
    }

    fn attribute(&self, lookup: &Lookup) -> AnsweredBy {
        let mut lines: Vec<usize> = Vec::new();
        let mut explained = true;
        for address in &lookup.addresses {
            let mut fitting = lines_of(&self.hosts, &lookup.name)
                .filter(|line| line.address == *address)
                .peekable();
            explained &= fitting.peek().is_some();
            lines.extend(fitting.map(|line| line.line));
        }
        if explained {
            lines.sort_unstable();
            lines.dedup();
            return AnsweredBy::Hosts(lines);
        }
        platform::attribute(self, lookup)
    }
}

/// Runs something that may hang, for at most `patience`; none: it did not end. Its thread is left alone then.
pub fn ends_within<T: Send + 'static>(
    patience: Duration,
    act: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(act());
    });
    receiver.recv_timeout(patience).ok()
}

/// The C library's answer, of one family.
pub(super) fn ask_library(name: &str, family: Family) -> Vec<IpAddr> {
    let name = name.to_owned();
    let ask = move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        let mut addresses: Vec<IpAddr> = Vec::new();
        for ip in found.into_iter().flatten().map(|it| it.ip()) {
            if ip.is_ipv6() == (family == Family::V6) && !addresses.contains(&ip) {
                addresses.push(ip);
            }
        }
        addresses
    };
    ends_within(LIBRARY_PATIENCE, ask).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(order: &[&str]) -> Resolver {
        Resolver {
            hosts_ends: LineEnds::Whole,
            hosts: parse_hosts("127.0.0.1 localhost\n10.0.0.9 dasher\n127.0.0.1 dasher\n"),
            order: order.iter().map(|it| (*it).to_owned()).collect(),
            order_from: String::new(),
            servers: Vec::new(),
            caches: Vec::new(),
            unread: Vec::new(),
        }
    }

    #[test]
    fn the_hosts_file_must_come_before_what_knows_other_addresses() {
        assert!(resolver(&["files", "dns"]).asks_hosts_first());
        assert!(resolver(&["mymachines", "files", "dns"]).asks_hosts_first());
        assert!(!resolver(&["dns", "files"]).asks_hosts_first());
        assert!(!resolver(&["resolve", "files"]).asks_hosts_first());
        assert!(!resolver(&["dns"]).asks_hosts_first());
    }

    #[test]
    fn ends_of_lines_that_the_resolver_does_not_see_are_told() {
        assert_eq!(LineEnds::of(""), LineEnds::Whole);
        assert_eq!(LineEnds::of("a b\r\nc d\n"), LineEnds::Whole);
        assert_eq!(LineEnds::of("a b\nc d"), LineEnds::LastOpen);
        assert_eq!(LineEnds::of("a b\rc d\r"), LineEnds::CarriageReturns);
    }

    #[test]
    fn every_line_that_gave_an_address_is_named() {
        let lookup = Lookup {
            name: "DASHER".to_owned(),
            family: Family::V4,
            addresses: vec!["10.0.0.9".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            answered_by: AnsweredBy::Unknown,
            failed: None,
        };
        assert_eq!(resolver(&["files"]).attribute(&lookup), AnsweredBy::Hosts(vec![2, 3]));
    }

    #[test]
    fn an_address_answers_for_itself() {
        let answers = resolver(&["files"])
            .look_up(&[("10.0.0.9".to_owned(), Family::V4), ("10.0.0.9".to_owned(), Family::V6)]);
        assert_eq!((answers[0].addresses.len(), answers[1].addresses.len()), (1, 0));
        assert_eq!(answers[0].answered_by, AnsweredBy::Itself);
    }

    #[test]
    fn localhost_is_found_on_this_machine() {
        let answers = Resolver::read().look_up(&[("localhost".to_owned(), Family::V4)]);
        assert_eq!(answers[0].addresses, ["127.0.0.1".parse::<IpAddr>().unwrap()], "{answers:?}");
    }

    #[test]
    fn what_hangs_is_left() {
        assert_eq!(ends_within(Duration::from_secs(5), || 7), Some(7));
        let hung =
            ends_within(Duration::from_millis(20), || std::thread::sleep(Duration::from_secs(2)));
        assert_eq!(hung, None);
    }
}
