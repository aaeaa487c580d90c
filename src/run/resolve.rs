//! Where a target's hosts really are, asked before the capture begins.
//!
//! The system's own answer is not enough: the hosts file is expected to send the services' names to loopback, so that
//! the client uses the tunnel. Where it does, the name servers are asked directly.

use crate::model::Target;
use crate::run::annotation::add;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// How long a name server has for its answer.
const PATIENCE: Duration = Duration::from_millis(800);
/// Name servers that are asked, as many as the system's own resolver asks.
const MAX_SERVERS: usize = 3;
/// Records of one answer that are looked at.
const MAX_RECORDS: usize = 64;

/// Fills the addresses of a target that its file leaves out. A name that nobody knows stays without: the judgement
/// then says so.
pub(super) fn fill_addresses(target: &mut Target) {
    if target.gateway_addresses.is_empty()
        && let Some(host) = &target.gateway_host
    {
        target.gateway_addresses = addresses_of(host, true);
    }
    for service in &mut target.services {
        if service.addresses.is_empty() && !is_gateway_itself(&service.host) {
            service.addresses = addresses_of(&service.host, false);
        }
    }
    for exempt in &mut target.exempts {
        if exempt.addresses.is_empty() {
            exempt.addresses = addresses_of(&exempt.host, false);
        }
    }
}

/// Whether a service's host, as the gateway knows it, is the gateway.
fn is_gateway_itself(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The addresses of a name. A loopback address counts only where `loopback_counts`.
fn addresses_of(host: &str, loopback_counts: bool) -> Vec<IpAddr> {
    if let Ok(ip) = host.parse() {
        return vec![ip];
    }
    let mut found: Vec<IpAddr> = Vec::new();
    if let Ok(system) = (host, 0).to_socket_addrs() {
        // `tunnelcheck hosts` writes mapped addresses, too: they are loopback like the ones that they map.
        let system: Vec<IpAddr> = system.map(|address| address.ip().to_canonical()).collect();
        add(&mut found, &system);
    }
    let aliased = found.iter().any(IpAddr::is_loopback);
    if !loopback_counts {
        found.retain(|ip| !ip.is_loopback());
        if aliased || found.is_empty() {
            let servers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
            add(&mut found, &ask(host, &name_servers(&servers)));
        }
    }
    found
}

/// The `nameserver` lines of resolv.conf(5).
fn name_servers(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines.filter_map(|rest| rest.trim().parse().ok()).take(MAX_SERVERS).collect()
}

/// Asks each server for A and AAAA, and takes the first that answers.
fn ask(host: &str, servers: &[IpAddr]) -> Vec<IpAddr> {
    for server in servers {
        let mut found = Vec::new();
        let mut answered = false;
        for record_type in [A, AAAA] {
            if let Some(answer) = query(host, record_type, *server) {
                answered = true;
                add(&mut found, &answer);
            }
        }
        if answered {
            return found;
        }
    }
    Vec::new()
}

/// Record types (RFC 1035 s3.2.2, RFC 3596 s2.1).
const A: u16 = 1;
const AAAA: u16 = 28;

fn query(host: &str, record_type: u16, server: IpAddr) -> Option<Vec<IpAddr>> {
    let mut id = [0_u8; 2];
    getrandom::fill(&mut id).ok()?;
    let any: SocketAddr =
        if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.connect((server, 53)).ok()?;
    socket.send(&question(host, record_type, id)?).ok()?;
    let mut answer = [0_u8; 4096];
    let len = socket.recv(&mut answer).ok()?;
    parse_answer(answer.get(..len)?, id)
}

/// A question with recursion desired (RFC 1035 s4.1).
fn question(host: &str, record_type: u16, id: [u8; 2]) -> Option<Vec<u8>> {
    let mut message = vec![id[0], id[1], 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.trim_end_matches('.').split('.') {
        let len = u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len))?;
        message.push(len);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&record_type.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    Some(message)
}

/// The addresses of an answer to our question; none where it is no such answer.
fn parse_answer(message: &[u8], id: [u8; 2]) -> Option<Vec<IpAddr>> {
    let header = message.get(..12)?;
    let is_answer = header.starts_with(&id) && header.get(2)? & 0x80 != 0;
    if !is_answer || header.get(3)? & 0x0F != 0 {
        return None;
    }
    let questions = u16::from_be_bytes([*header.get(4)?, *header.get(5)?]);
    let records = u16::from_be_bytes([*header.get(6)?, *header.get(7)?]);
    let mut at = 12;
    for _ in 0..questions {
        at = skip_name(message, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..usize::from(records).min(MAX_RECORDS) {
        at = skip_name(message, at)?;
        let fixed = message.get(at..at + 10)?;
        let record_type = u16::from_be_bytes([*fixed.first()?, *fixed.get(1)?]);
        let len = usize::from(u16::from_be_bytes([*fixed.get(8)?, *fixed.get(9)?]));
        let data = message.get(at + 10..at + 10 + len)?;
        if record_type == A
            && let Ok(octets) = <[u8; 4]>::try_from(data)
        {
            found.push(IpAddr::V4(Ipv4Addr::from(octets)));
        } else if record_type == AAAA
            && let Ok(octets) = <[u8; 16]>::try_from(data)
        {
            found.push(IpAddr::V6(Ipv6Addr::from(octets)));
        }
        at += 10 + len;
    }
    Some(found)
}

/// The offset behind a name: labels, or a pointer that ends it (RFC 1035 s4.1.4).
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len if len & 0xC0 == 0xC0 => return Some(at + 2),
            len => at += 1 + usize::from(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_with_a_pointer_gives_its_address() {
        let mut message = question("dasher.dartmouth.edu", A, [1, 2]).unwrap();
        message[2] = 0x81;
        message[7] = 2; // a CNAME and an A record
        message.extend_from_slice(&[0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xC0, 12]);
        message.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 77, 1, 30]);
        let expected = Some(vec![IpAddr::from([10, 77, 1, 30])]);
        assert_eq!(parse_answer(&message, [1, 2]), expected);
        assert_eq!(parse_answer(&message, [1, 3]), None);
    }

    #[test]
    fn name_servers_are_read_from_resolv_conf() {
        let text = "# x\nsearch a.b\nnameserver 10.0.0.1\n nameserver\t::1\nnameserver bad\n";
        assert_eq!(name_servers(text).len(), 2);
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let id = [octets.first().copied().unwrap_or(0), octets.get(1).copied().unwrap_or(0)];
            let _ = parse_answer(&octets, id);
        }
    }
}
