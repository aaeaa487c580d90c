//! What the shell of another machine is asked to do, and what it answers. Everything that is put into a line is checked.

use crate::model::{ConnId, Endpoint, Timestamp};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// The shell says this when it waits for our word, so that its clock is read at a known time.
pub(super) const READY: &str = "ready";
/// The last line of the answers.
pub(super) const DONE: &str = "done";
/// Lines of answers that are read.
pub(super) const MAX_LINES: usize = 256;
/// Buffer of tcpdump, in KiB: as our own.
const BUFFER_KIB: u32 = 16 * 1024;
/// Octets of an interface's name: Linux has 15, others a few more.
const MAX_NAME: usize = 64;
/// Where programs of the administrator lie; many logins do not look there.
const PATH: &str = "PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin:/opt/homebrew/sbin; export PATH; LC_ALL=C; export LC_ALL; ";

/// What a machine says of itself.
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Our connection, as it sees it.
    pub(super) connection: Option<(SocketAddr, SocketAddr)>,
    pub(super) is_root: bool,
    pub(super) has_tcpdump: bool,
    pub(super) has_sudo: bool,
    pub(super) is_linux: bool,
    /// How far its clock is ahead of ours.
    pub(super) ahead_ns: i64,
    /// How wrong that may be.
    pub(super) clock_error_ns: i64,
    /// Interface of its route to where the watched traffic goes.
    route: Option<String>,
    /// Interface of its route to us.
    route_to_us: Option<String>,
}

impl Facts {
    /// Takes one line of the answers. `asked` and `at`: when its clock was asked for, and when the line was here.
    pub(super) fn take(&mut self, line: &str, asked: Timestamp, at: Timestamp) {
        let Some((key, value)) = line.split_once('=') else { return };
        let value = value.trim();
        match key {
            "ssh" => self.connection = connection(value),
            "uid" => self.is_root = value == "0",
            "tcpdump" => self.has_tcpdump = !value.is_empty(),
            "sudo" => self.has_sudo = !value.is_empty(),
            "os" => self.is_linux = value == "Linux",
            "now" => {
                let Some((there, coarse_ns)) = clock(value) else { return };
                let round_trip = at.since(asked).max(0);
                let here = asked.as_nanos().saturating_add(round_trip / 2);
                self.ahead_ns = there.saturating_sub(here);
                self.clock_error_ns = (round_trip / 2).saturating_add(coarse_ns);
            }
            "route" => self.route = device(value),
            "back" => self.route_to_us = device(value),
            _ => {}
        }
    }

    /// Where to look where nobody says: where its route to the gateway leads. The gateway itself looks towards us.
    pub(super) fn default_interface(&self) -> String {
        let is_loopback = |name: &&String| name.starts_with("lo");
        let routes = [&self.route, &self.route_to_us].into_iter().flatten();
        let found = routes.into_iter().find(|name| !is_loopback(name)).cloned();
        found.unwrap_or_else(|| "any".to_owned())
    }
}

/// Asks a machine what it has.
pub(super) fn facts(towards: Option<IpAddr>) -> String {
    let mut script = String::from(PATH);
    script.push_str(
        "echo \"ssh=$SSH_CONNECTION\"; echo \"uid=$(id -u)\"; echo \"os=$(uname -s)\"; \
         echo \"tcpdump=$(command -v tcpdump)\"; echo \"sudo=$(command -v sudo)\"; ",
    );
    let mut route = |key: &str, to: &str| {
        let _ = write!(
            script,
            "echo \"{key}=$( (ip -o route get {to} || route -n get {to} | grep interface) 2>/dev/null | head -n 1)\"; "
        );
    };
    if let Some(address) = towards {
        route("route", &address.to_string());
    }
    route("back", "\"${SSH_CONNECTION%% *}\"");
    let _ = write!(script, "echo {READY}; read -r go; echo \"now=$(date +%s.%N)\"; echo {DONE}");
    quoted(&script)
}

/// Runs tcpdump until a line, or the end, comes on standard input. Standard error says what the interface dropped
/// before and after.
pub(super) fn capture(interface: &str, own: &[ConnId], with_sudo: bool) -> String {
    let filter = filter(own);
    let sudo = if with_sudo { "sudo -n " } else { "" };
    let every = if interface == "any" { "*" } else { interface };
    let drops = format!(
        "$(for d in /sys/class/net/{every}/statistics; do for f in rx_missed_errors rx_fifo_errors; do cat $d/$f \
         2>/dev/null || echo x; done; done | tr \"\\n\" \" \")"
    );
    // The one who waits for our word holds neither of the outputs: else they would never end.
    let script = format!(
        "{PATH}exec 3<&0; echo \"tunnelcheck-drops: {drops}\" >&2; \
         {sudo}tcpdump -i \"{interface}\" -n -U -s 0 -B {BUFFER_KIB} -w - \"{filter}\" </dev/null 3<&- & p=$!; \
         (read -r x <&3; c=$(ps -o pid= --ppid $p || pgrep -P $p); \
         kill -INT $c $p || {{ sudo -n kill -INT $c; sudo -n kill -INT $p; }}) >/dev/null 2>&1 & r=$!; \
         wait $p; s=$?; kill $r 2>/dev/null; echo \"tunnelcheck-drops: {drops}\" >&2; exit $s"
    );
    quoted(&script)
}

/// The BPF expression that leaves out these connections, and nothing else.
fn filter(own: &[ConnId]) -> String {
    let one = |from: Endpoint, to: Endpoint| {
        format!(
            "(src host {} and src port {} and dst host {} and dst port {})",
            from.ip, from.port, to.ip, to.port
        )
    };
    let both = |id: &ConnId| {
        format!("not (tcp and ({} or {}))", one(id.orig, id.resp), one(id.resp, id.orig))
    };
    own.iter().map(both).collect::<Vec<_>>().join(" and ")
}

/// Whether a text can be the name of an interface, and stand in a line of a shell.
pub(super) fn is_interface_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:@+-".contains(c);
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.chars().all(is_plain)
        && !name.starts_with('-')
        // That is a port of ssh.
        && !name.chars().all(|c| c.is_ascii_digit())
}

/// A line of shell as one word for whatever shell the account has.
fn quoted(script: &str) -> String {
    format!("exec sh -c '{}'", script.replace('\'', "'\\''"))
}

/// `$SSH_CONNECTION`: address and port of the client, then of the server.
fn connection(text: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = text.split_whitespace();
    let mut end = || {
        // A link-local address may have its interface behind it.
        let ip = words.next()?.split('%').next()?.parse::<IpAddr>().ok()?;
        let port = words.next()?.parse().ok()?;
        Some(SocketAddr::new(ip.to_canonical(), port))
    };
    Some((end()?, end()?))
}

/// `date +%s.%N` in nanoseconds, and how coarse it is: not every system has `%N`.
fn clock(text: &str) -> Option<(i64, i64)> {
    const SECOND: i64 = 1_000_000_000;
    let (seconds, fraction) = text.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let whole = seconds.checked_mul(SECOND)?;
    let is_fraction = fraction.len() == 9 && fraction.chars().all(|c| c.is_ascii_digit());
    match fraction.parse::<i64>() {
        Ok(nanos) if is_fraction => Some((whole.checked_add(nanos)?, 0)),
        _ => Some((whole.checked_add(SECOND / 2)?, SECOND / 2)),
    }
}

/// `... dev eth0 ...` of iproute2, or `interface: en0` of BSD's route.
fn device(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    words.find(|word| matches!(*word, "dev" | "interface:"))?;
    words.next().filter(|name| is_interface_name(name)).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Proto;
    use proptest::prelude::*;

    fn conn() -> ConnId {
        let end = |text: &str| {
            let at: SocketAddr = text.parse().unwrap();
            Endpoint { ip: at.ip(), port: at.port() }
        };
        ConnId { orig: end("10.77.0.10:40000"), resp: end("[fd77::99]:22"), proto: Proto::TCP }
    }

    #[test]
    fn a_connection_is_read_as_sshd_writes_it() {
        let read = connection("10.77.0.10 40000 10.77.0.99 22").unwrap();
        assert_eq!(read, ("10.77.0.10:40000".parse().unwrap(), "10.77.0.99:22".parse().unwrap()));
        let read = connection("fe80::1%eth0 1 fe80::2%eth0 22").unwrap();
        assert_eq!(read.0, "[fe80::1]:1".parse().unwrap());
        let mapped = connection("::ffff:10.0.0.1 1 ::ffff:10.0.0.2 22").unwrap();
        assert_eq!(mapped.1, "10.0.0.2:22".parse().unwrap());
        for wrong in ["", "10.0.0.1 1 10.0.0.2", "a b c d", "10.0.0.1 70000 10.0.0.2 22"] {
            assert_eq!(connection(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_clock_is_read_with_and_without_nanoseconds() {
        assert_eq!(clock("5.000000007"), Some((5_000_000_007, 0)));
        assert_eq!(clock("5.N"), Some((5_500_000_000, 500_000_000)));
        assert_eq!(clock("5"), None);
        assert_eq!(clock("9223372036854775807.000000000"), None);
    }

    #[test]
    fn the_difference_of_clocks_is_that_in_the_middle_of_the_round_trip() {
        let mut facts = Facts::default();
        let at = Timestamp::from_nanos;
        facts.take("now=100.000000000", at(90_000_000_000), at(90_000_002_000));
        assert_eq!((facts.ahead_ns, facts.clock_error_ns), (9_999_999_000, 1_000));
    }

    #[test]
    fn the_interface_is_that_of_the_route_and_on_the_gateway_the_one_towards_us() {
        let mut facts = Facts::default();
        let at = Timestamp::default();
        assert_eq!(facts.default_interface(), "any");
        facts.take("back=10.77.0.10 dev eth1 src 10.77.0.20 uid 0 \\    cache", at, at);
        facts.take("route=local 10.77.0.20 dev lo src 10.77.0.20", at, at);
        assert_eq!(facts.default_interface(), "eth1");
        facts.take("route=  interface: en0", at, at);
        assert_eq!(facts.default_interface(), "en0");
    }

    #[test]
    fn only_plain_names_come_into_a_line_of_shell() {
        for name in ["eth0", "eth0.5", "br-lan", "any", "en0", "eth0:1", "veth@if3"] {
            assert!(is_interface_name(name), "{name}");
        }
        for name in ["", "-w", "$(id)", "a b", "a;b", "a\"b", "a'b", "2222", &"x".repeat(65), "ä"]
        {
            assert!(!is_interface_name(name), "{name}");
        }
    }

    #[test]
    fn the_filter_leaves_out_one_connection_in_both_directions() {
        assert_eq!(
            filter(&[conn()]),
            "not (tcp and ((src host 10.77.0.10 and src port 40000 and dst host fd77::99 and dst port 22) or (src host \
             fd77::99 and src port 22 and dst host 10.77.0.10 and dst port 40000)))"
        );
        assert_eq!(filter(&[]), "");
    }

    #[test]
    fn a_line_of_shell_is_one_word() {
        for line in [facts(Some("10.0.0.1".parse().unwrap())), capture("eth0", &[conn()], true)] {
            let inner = line.strip_prefix("exec sh -c '").unwrap().strip_suffix('\'').unwrap();
            assert!(!inner.contains('\'') && !inner.contains('\n'), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(line in ".{0,200}", key in "(ssh|uid|now|route|back)") {
            let mut facts = Facts::default();
            facts.take(&format!("{key}={line}"), Timestamp::default(), Timestamp::from_nanos(i64::MAX));
            facts.take(&line, Timestamp::from_nanos(i64::MIN), Timestamp::default());
            prop_assert!(is_interface_name(&facts.default_interface()));
        }
    }
}
