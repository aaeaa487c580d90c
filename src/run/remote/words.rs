//! What tcpdump, sudo and the shell around them say on standard error.

use crate::model::Vantage;

/// Counters at the end of a capture; none where nobody gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) captured: Option<u64>,
    pub(super) received: Option<u64>,
    pub(super) dropped_by_kernel: Option<u64>,
    pub(super) dropped_by_interface: Option<u64>,
}

/// What our own script says of the interface's counters.
const DROPS: &str = "tunnelcheck-drops:";

/// Whether tcpdump's capture has begun.
pub(super) fn listens(said: &str) -> bool {
    said.lines().any(|line| line.contains("listening on "))
}

/// Whether it may not.
pub(super) fn is_permission(said: &str) -> bool {
    const WORDS: [&str; 7] = [
        "ermission",
        "not permitted",
        "password is required",
        "terminal is required",
        "not allowed to",
        "not in the sudoers",
        "privilege",
    ];
    WORDS.iter().any(|word| said.contains(word))
}

/// The last line that says something, for a message.
pub(super) fn last_words(said: &str) -> String {
    const MAX: usize = 300;
    let mut lines = said.lines().map(str::trim);
    let last = lines.rfind(|line| !line.is_empty() && !line.starts_with(DROPS));
    last.map_or_else(|| "it said nothing".to_owned(), |line| line.chars().take(MAX).collect())
}

/// tcpdump's closing lines. A line that is not there is a counter that nobody knows: tcpdump leaves the interface's out
/// where libpcap counts none, and where there is nothing to count; the system's own counter tells the two apart.
pub(super) fn counters(said: &str) -> Counters {
    let mut counters = Counters::default();
    let mut system: Vec<Option<u64>> = Vec::new();
    for line in said.lines().map(str::trim) {
        if let Some(numbers) = line.strip_prefix(DROPS) {
            system.push(sum(numbers));
            continue;
        }
        let line = line.strip_prefix("tcpdump: ").unwrap_or(line);
        let Some((number, what)) = line.split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match what {
            "packets captured" | "packet captured" => counters.captured = Some(number),
            "packets received by filter" | "packet received by filter" => {
                counters.received = Some(number);
            }
            "packets dropped by kernel" | "packet dropped by kernel" => {
                counters.dropped_by_kernel = Some(number);
            }
            "packets dropped by interface" | "packet dropped by interface" => {
                counters.dropped_by_interface = Some(number);
            }
            _ => {}
        }
    }
    if let [Some(before), .., Some(after)] = system.as_slice()
        && counters.dropped_by_kernel.is_some()
    {
        let by_system = after.saturating_sub(*before);
        let by_tcpdump = counters.dropped_by_interface.unwrap_or_default();
        counters.dropped_by_interface = Some(by_system.max(by_tcpdump));
    }
    counters
}

/// Numbers with spaces between; none where one of them is none, or none is there.
fn sum(numbers: &str) -> Option<u64> {
    let mut all = numbers.split_whitespace().map(|number| number.parse::<u64>().ok()).peekable();
    all.peek()?;
    all.try_fold(0_u64, |sum, number| Some(sum.saturating_add(number?)))
}

/// Where an interface of another machine stands, by its name alone.
pub(super) fn vantage(interface: &str) -> Vantage {
    const TUNNELS: [&str; 7] = ["tun", "wg", "utun", "ppp", "ipsec", "gre", "tailscale"];
    let loopback = interface.strip_prefix("lo");
    if loopback.is_some_and(|rest| rest.chars().all(|digit| digit.is_ascii_digit())) {
        Vantage::Loopback
    } else if TUNNELS.iter().any(|prefix| interface.starts_with(prefix)) {
        Vantage::TunnelDevice
    } else {
        Vantage::Remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAID: &str = "tunnelcheck-drops: 3 0 \ntcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n\
                        12 packets captured\n15 packets received by filter\n1 packet dropped by kernel\ntunnelcheck-drops: 4 0";

    #[test]
    fn closing_lines_become_counters() {
        assert!(listens(SAID));
        let expected = Counters {
            captured: Some(12),
            received: Some(15),
            dropped_by_kernel: Some(1),
            dropped_by_interface: Some(1),
        };
        assert_eq!(counters(SAID), expected);
        let told = format!("{SAID}\n9 packets dropped by interface");
        assert_eq!(counters(&told).dropped_by_interface, Some(9));
    }

    #[test]
    fn a_counter_that_nobody_gave_is_not_known() {
        assert_eq!(counters(""), Counters::default());
        let killed = "tunnelcheck-drops: 0 0\ntcpdump: listening on eth0\ntunnelcheck-drops: 0 0";
        assert_eq!(counters(killed), Counters::default());
        let no_sys = "tunnelcheck-drops: x x\n0 packets dropped by kernel\ntunnelcheck-drops: x x";
        assert_eq!(counters(no_sys).dropped_by_interface, None);
        let once = "tunnelcheck-drops: 0 0\n0 packets dropped by kernel";
        assert_eq!(counters(once).dropped_by_interface, None);
        assert_eq!(
            counters("tunnelcheck-drops: \n0 packets dropped by kernel\ntunnelcheck-drops: ")
                .dropped_by_interface,
            None
        );
    }

    #[test]
    fn what_may_not_be_is_told_from_what_cannot() {
        for said in [
            "tcpdump: eth0: You don't have permission to perform this capture on that device",
            "socket: Operation not permitted",
            "sudo: a password is required",
        ] {
            assert!(is_permission(said), "{said}");
        }
        assert!(!is_permission("tcpdump: eth7: No such device exists"));
        assert_eq!(last_words("one\n two \n\ntunnelcheck-drops: 1\n"), "two");
        assert_eq!(last_words(""), "it said nothing");
    }

    #[test]
    fn the_place_of_an_interface_is_known_by_its_name() {
        assert_eq!(vantage("lo"), Vantage::Loopback);
        assert_eq!(vantage("lower0"), Vantage::Remote);
        assert_eq!(vantage("wg0"), Vantage::TunnelDevice);
        assert_eq!(vantage("any"), Vantage::Remote);
    }

    proptest! {
        #[test]
        fn no_words_make_the_reader_panic(said in "(?s).{0,400}") {
            let _ = (counters(&said), listens(&said), is_permission(&said), last_words(&said));
        }
    }
}
