//! The resolver's files: the hosts file, nsswitch.conf, resolv.conf. Read, never written.

use std::net::IpAddr;

/// Name servers that the system's own resolver asks.
const MAX_SERVERS: usize = 3;

/// A line of the hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsLine {
    /// Its number, from 1.
    pub line: usize,
    /// The address.
    pub address: IpAddr,
    /// The names as written.
    pub names: Vec<String>,
}

/// Reads a hosts file (hosts(5)); lines that lead nowhere are left out, as the resolver does.
#[must_use]
pub fn parse_hosts(text: &str) -> Vec<HostsLine> {
    let read = |(index, line): (usize, &str)| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        // A scope (fe80::1%lo0) does not change where a name leads.
        let address = words.next()?.split('%').next()?.parse().ok()?;
        let names: Vec<String> = words.map(str::to_owned).collect();
        (!names.is_empty()).then_some(HostsLine { line: index + 1, address, names })
    };
    text.trim_start_matches('\u{feff}').lines().enumerate().filter_map(read).collect()
}

/// The lines that name `name`: any case, and the trailing dot counts.
pub fn lines_of<'a>(lines: &'a [HostsLine], name: &'a str) -> impl Iterator<Item = &'a HostsLine> {
    lines.iter().filter(move |line| line.names.iter().any(|it| it.eq_ignore_ascii_case(name)))
}

/// The `hosts` line of nsswitch.conf(5): its services in their order, each with whether the search ends there when a name is
/// not found.
#[must_use]
pub fn parse_nsswitch(text: &str) -> Option<Vec<String>> {
    let rest = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .find_map(|line| line.strip_prefix("hosts")?.trim_start().strip_prefix(':'))?;
    let mut services = Vec::new();
    let mut in_action = false;
    for word in rest.split_whitespace() {
        // `[NOTFOUND=return]`, which may hold blanks.
        in_action |= word.starts_with('[');
        if !in_action {
            services.push(word.to_ascii_lowercase());
        }
        in_action &= !word.ends_with(']');
    }
    Some(services)
}

/// The `nameserver` lines of resolv.conf(5).
#[must_use]
pub fn parse_name_servers(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let address = |rest: &str| rest.trim().split('%').next().and_then(|it| it.parse().ok());
    lines.filter_map(address).take(MAX_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_lines_keep_their_numbers() {
        let text = "# x\n127.0.0.1 localhost\n\n10.0.0.9\tdasher dasher.Dartmouth.EDU. # old\nbad name\n::1%lo0 six\n1.2.3.4\n";
        let lines = parse_hosts(text);
        let numbers: Vec<usize> = lines.iter().map(|line| line.line).collect();
        assert_eq!(numbers, [2, 4, 6]);
        let found: Vec<_> =
            lines_of(&lines, "DASHER.dartmouth.edu.").map(|line| line.line).collect();
        assert_eq!(found, [4]);
        assert_eq!(lines_of(&lines, "dasher.dartmouth.edu").count(), 0, "the dot counts");
    }

    #[test]
    fn the_order_is_read_without_its_actions() {
        let text = "passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] resolve [ !UNAVAIL = return ] dns # x\n";
        assert_eq!(parse_nsswitch(text).unwrap(), ["files", "mdns4_minimal", "resolve", "dns"]);
        assert_eq!(parse_nsswitch("passwd: files\n#hosts: dns\n"), None);
    }

    #[test]
    fn name_servers_are_read_from_resolv_conf() {
        let text =
            "# x\nsearch a.b\nnameserver 10.0.0.1\n nameserver\tfe80::1%eth0\nnameserver bad\n";
        assert_eq!(parse_name_servers(text).len(), 2);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(octets: Vec<u8>, text in "(?s)[a-z0-9.:#\\[\\]=% \\n\\t]{0,120}") {
            for text in [String::from_utf8_lossy(&octets).into_owned(), text] {
                let _ = parse_hosts(&text);
                let _ = parse_nsswitch(&format!("hosts:{text}"));
                let _ = parse_name_servers(&text);
            }
        }
    }
}
