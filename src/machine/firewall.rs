//! Rules of the local firewall that stop packets to a port: nftables and iptables, as their tools list them.

use super::error::MachineError;
use super::tool;
use std::time::Duration;

/// A ruleset of some ten thousand lines takes a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// A rule, or the policy of a chain, that stops packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `nft`, `iptables`, `ip6tables`.
    pub tool: &'static str,
    /// Table and chain, as the tool wants them.
    pub place: String,
    /// The rule as listed; `policy drop` for a policy.
    pub text: String,
    /// Ports of TCP that it names, from and to; empty: it names none.
    ports: Vec<(u16, u16)>,
    is_policy: bool,
}

/// The rules that stop packets, and what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Rules that stop packets.
    pub stopping: Vec<Rule>,
    /// Tools that listed their rules.
    pub read: Vec<&'static str>,
    /// Why others did not.
    pub unread: Vec<String>,
}

impl Rules {
    /// The rules that name a port of TCP and stop packets to it.
    pub fn against(&self, port: u16) -> impl Iterator<Item = &Rule> {
        self.stopping
            .iter()
            .filter(move |rule| rule.ports.iter().any(|(from, to)| (*from..=*to).contains(&port)))
    }

    /// Chains for what comes in or goes out that stop whatever no rule lets through.
    pub fn policies(&self) -> impl Iterator<Item = &Rule> {
        self.stopping.iter().filter(|rule| rule.is_policy)
    }
}

impl Rule {
    /// The command that lets packets to an address and port through in front of this rule.
    #[must_use]
    pub fn let_through(&self, ip: std::net::IpAddr, port: u16) -> String {
        let place = &self.place;
        if self.tool == "nft" {
            let family = if ip.is_ipv4() { "ip" } else { "ip6" };
            let to =
                if ip.is_unspecified() { String::new() } else { format!("{family} daddr {ip} ") };
            return format!("nft insert rule {place} {to}tcp dport {port} accept");
        }
        let tool = self.tool;
        let to = if ip.is_unspecified() { String::new() } else { format!(" -d {ip}") };
        let (table, chain) = place.split_once(' ').unwrap_or(("filter", place));
        format!("{tool} -t {table} -I {chain}{to} -p tcp --dport {port} -j ACCEPT")
    }
}

/// Asks nft, iptables and ip6tables. Rules of iptables that nft lists as well are listed once.
#[must_use]
pub fn read_rules() -> Rules {
    let mut rules = Rules::default();
    let mut note = |tool: &'static str,
                    ran: Result<tool::Ran, MachineError>,
                    parse: &dyn Fn(&str) -> Vec<Rule>| {
        match ran {
            Ok(ran) if ran.is_ok => {
                rules.read.push(tool);
                rules.stopping.extend(parse(&ran.stdout));
            }
            Ok(_) => rules.unread.push(format!("{tool} failed without a word")),
            Err(error) => rules.unread.push(error.to_string()),
        }
    };
    note("nft", tool::run("nft", &["list", "ruleset"], PATIENCE), &parse_nft);
    note("iptables", tool::run("iptables-save", &[], PATIENCE), &|text| {
        parse_iptables(text, "iptables")
    });
    note("ip6tables", tool::run("ip6tables-save", &[], PATIENCE), &|text| {
        parse_iptables(text, "ip6tables")
    });
    rules
}

/// Reads `nft list ruleset`.
#[must_use]
pub fn parse_nft(text: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    let (mut table, mut chain) = (String::new(), String::new());
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("table ") {
            rest.trim_end_matches('{').trim().clone_into(&mut table);
            chain.clear();
            continue;
        }
        if let Some(rest) = line.strip_prefix("chain ") {
            rest.split_whitespace().next().unwrap_or_default().clone_into(&mut chain);
            continue;
        }
        if chain.is_empty() {
            continue;
        }
        let rule = |text: &str, ports, is_policy| Rule {
            tool: "nft",
            place: format!("{table} {chain}"),
            text: text.to_owned(),
            ports,
            is_policy,
        };
        if line.starts_with("type ") {
            let local = line.contains("hook input") || line.contains("hook output");
            if local && line.contains("policy drop") {
                rules.push(rule("policy drop", Vec::new(), true));
            }
            continue;
        }
        // What an xtables extension hides is shown by the tool that made it.
        let words: Vec<&str> = line.split_whitespace().collect();
        let stops = words.iter().any(|word| matches!(*word, "drop" | "reject"));
        let ports = dports(line, &words);
        if stops && !ports.is_empty() {
            rules.push(rule(line, ports, false));
        }
    }
    rules
}

/// The ports behind `dport`, where TCP is meant: a number, a range, a set of them.
fn dports(line: &str, words: &[&str]) -> Vec<(u16, u16)> {
    let Some(at) = words.iter().position(|word| *word == "dport") else { return Vec::new() };
    let proto = at.checked_sub(1).and_then(|at| words.get(at)).copied().unwrap_or_default();
    if proto == "udp" || proto == "sctp" || proto == "dccp" {
        return Vec::new();
    }
    let rest = line.split_once("dport").map(|(_, rest)| rest.trim_start()).unwrap_or_default();
    // `dport != 902 drop` stops every other one.
    let (negated, rest) = match rest.strip_prefix("!=") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, rest),
    };
    let list = match rest.strip_prefix('{') {
        Some(set) => set.split('}').next().unwrap_or_default(),
        None => rest.split_whitespace().next().unwrap_or_default(),
    };
    let ports: Vec<(u16, u16)> =
        list.split(',').filter_map(|part| range(part.trim(), '-')).collect();
    if negated { others(&ports) } else { ports }
}

fn range(text: &str, between: char) -> Option<(u16, u16)> {
    match text.split_once(between) {
        Some((from, to)) => {
            let from = if from.is_empty() { 0 } else { from.parse().ok()? };
            let to = if to.is_empty() { u16::MAX } else { to.parse().ok()? };
            Some((from, to))
        }
        None => text.parse().ok().map(|port| (port, port)),
    }
}

/// Every port that is in none of the ranges.
fn others(ports: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut ranges = Vec::new();
    let mut next = 0_u32;
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    for (from, to) in sorted {
        if let (Ok(start), Some(end)) = (u16::try_from(next), from.checked_sub(1))
            && start <= end
        {
            ranges.push((start, end));
        }
        next = next.max(u32::from(to) + 1);
    }
    if let Ok(start) = u16::try_from(next) {
        ranges.push((start, u16::MAX));
    }
    ranges
}

/// Reads `iptables-save` or `ip6tables-save`.
#[must_use]
pub fn parse_iptables(text: &str, tool: &'static str) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if let Some(rest) = line.strip_prefix(':') {
            let mut words = rest.split_whitespace();
            if let (Some(chain @ ("INPUT" | "OUTPUT")), Some("DROP")) = (words.next(), words.next())
            {
                rules.push(Rule {
                    tool,
                    place: format!("{table} {chain}"),
                    text: "policy drop".to_owned(),
                    ports: Vec::new(),
                    is_policy: true,
                });
            }
        } else if let Some(rest) = line.strip_prefix("-A ") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let behind = |flag: &str| {
                let at = words.iter().position(|word| *word == flag)?;
                words.get(at + 1).copied()
            };
            let stops = matches!(behind("-j"), Some("DROP" | "REJECT"));
            let is_tcp = behind("-p").is_none_or(|proto| proto == "tcp");
            let list = behind("--dport").or_else(|| behind("--dports")).unwrap_or_default();
            let ports: Vec<_> = list.split(',').filter_map(|part| range(part, ':')).collect();
            if let Some(chain) = words.first()
                && stops
                && is_tcp
                && !ports.is_empty()
            {
                rules.push(Rule {
                    tool,
                    place: format!("{table} {chain}"),
                    text: line.to_owned(),
                    ports,
                    is_policy: false,
                });
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NFT: &str = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\
        \t\tiif \"lo\" accept\n\t\ttcp dport 902 drop\n\t\ttcp dport { 2000-2200, 25 } reject with tcp reset\n\
        \t\tudp dport 2154 drop\n\t\ttcp dport 110 accept\n\t}\n\tchain mine {\n\t\ttcp dport != { 10-20, 30 } drop\n\t}\n}\n";

    #[test]
    fn rules_of_nft_against_a_port_are_found_with_their_chain() {
        let rules = Rules { stopping: parse_nft(NFT), ..Rules::default() };
        let against = |port| rules.against(port).map(|it| it.place.as_str()).collect::<Vec<_>>();
        assert_eq!(against(902), ["inet filter input", "inet filter mine"]);
        assert_eq!(against(2151), ["inet filter input", "inet filter mine"]);
        assert_eq!(against(15), Vec::<&str>::new());
        assert_eq!(rules.policies().count(), 1);
        let first = rules.against(902).next().unwrap();
        assert_eq!(
            first.let_through("127.0.0.1".parse().unwrap(), 902),
            "nft insert rule inet filter input ip daddr 127.0.0.1 tcp dport 902 accept"
        );
    }

    #[test]
    fn rules_of_iptables_against_a_port_are_found() {
        let text = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n-A INPUT -i lo -p tcp -m tcp --dport 902 -j DROP\n\
            -A INPUT -p tcp -m multiport --dports 25,2000:2200 -j REJECT --reject-with icmp-port-unreachable\n\
            -A INPUT -p udp --dport 902 -j DROP\n-A INPUT -p tcp --dport 110 -j ACCEPT\nCOMMIT\n";
        let rules = Rules { stopping: parse_iptables(text, "iptables"), ..Rules::default() };
        assert_eq!(rules.against(902).count(), 1);
        assert_eq!(rules.against(2151).count(), 1);
        assert_eq!(rules.against(110).count(), 0);
        assert_eq!(rules.policies().count(), 1);
        let rule = rules.against(902).next().unwrap();
        assert_eq!(
            rule.let_through("127.0.0.1".parse().unwrap(), 902),
            "iptables -t filter -I INPUT -d 127.0.0.1 -p tcp --dport 902 -j ACCEPT"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(octets: Vec<u8>, text in "(?s)[a-zA-Z0-9{}!=,;:* \\n-]{0,200}") {
            for text in [String::from_utf8_lossy(&octets).into_owned(), text] {
                let _ = parse_nft(&format!("table a b {{\nchain c {{\n{text} dport {text} drop"));
                let _ = parse_iptables(&format!("*filter\n-A INPUT --dport {text} -j DROP\n{text}"), "iptables");
            }
        }

        #[test]
        fn a_list_cut_anywhere_is_read_up_to_there(end in 0..NFT.len()) {
            prop_assert!(parse_nft(&NFT[..end]).len() <= 4);
        }
    }
}
