//! Where a target's hosts really are, asked before the capture begins.
//!
//! The system's own answer is not enough: the hosts file is expected to send the services' names to loopback, so that
//! the client uses the tunnel. Where it does, the name servers are asked directly.

use super::files::parse_name_servers;
use crate::model::{Service, Target};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// How long a name server has for its answer.
const PATIENCE: Duration = Duration::from_millis(800);
/// Records of one answer that are looked at.
const MAX_RECORDS: usize = 64;

/// Fills the addresses of a target that its file leaves out. A name that nobody knows stays without: the judgement
/// then says so.
pub fn fill_addresses(target: &mut Target) {
    if target.gateway_addresses.is_empty()
        && let Some(host) = &target.gateway_host
    {
        target.gateway_addresses = addresses_of(host, true);
    }
    for service in &mut target.services {
        if is_to_be_asked(service) {
            service.addresses = addresses_of(&service.host, false);
        }
    }
    for exempt in &mut target.exempts {
        if exempt.addresses.is_empty() {
            exempt.addresses = addresses_of(&exempt.host, false);
        }
    }
}

/// The services whose names `fill_addresses` is going to ask for, by their places in the list.
#[must_use]
pub fn to_be_asked(target: &Target) -> Vec<usize> {
    let services = target.services.iter().enumerate();
    services.filter(|(_, service)| is_to_be_asked(service)).map(|(index, _)| index).collect()
}

/// Asks for these services once more, and adds what is new: a name may have moved while the window was open, and a client
/// that goes there goes past the tunnel. `others`: name servers that were used beside the system's own meanwhile. The
/// gateway and what is exempt are not widened.
pub fn ask_again(target: &mut Target, asked: &[usize], others: &[IpAddr]) {
    for index in asked {
        let Some(service) = target.services.get_mut(*index) else { continue };
        add(&mut service.addresses, &addresses_of(&service.host, false));
        for server in others {
            let mut there = ask(&service.host, &[*server]);
            there.retain(|ip| !ip.to_canonical().is_loopback());
            add(&mut service.addresses, &there);
        }
    }
}

fn is_to_be_asked(service: &Service) -> bool {
    service.addresses.is_empty() && !is_gateway_itself(&service.host)
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
            add(&mut found, &ask(host, &parse_name_servers(&servers)));
        }
    }
    found
}

/// Asks each server for A and AAAA, and takes the first that answers.
pub fn ask(host: &str, servers: &[IpAddr]) -> Vec<IpAddr> {
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

/// Whether any of these name servers answers at all, whatever it says. Without servers nobody needs to.
#[must_use]
pub fn is_answering(host: &str, servers: &[IpAddr]) -> bool {
    servers.is_empty()
        || servers.iter().any(|server| {
            exchange(host, A, *server)
                .is_some_and(|(message, id)| message.starts_with(&id) && message.len() >= HEADER)
        })
}

/// Octets of a message's header (RFC 1035 s4.1.1).
const HEADER: usize = 12;

/// Record types (RFC 1035 s3.2.2, RFC 3596 s2.1).
const A: u16 = 1;
const AAAA: u16 = 28;

fn query(host: &str, record_type: u16, server: IpAddr) -> Option<Vec<IpAddr>> {
    let (message, id) = exchange(host, record_type, server)?;
    parse_answer(&message, id)
}

/// Sends a question and waits for whatever comes back; gives also the number that the answer must bear.
fn exchange(host: &str, record_type: u16, server: IpAddr) -> Option<(Vec<u8>, [u8; 2])> {
    let mut id = [0_u8; 2];
    getrandom::fill(&mut id).ok()?;
    let any: SocketAddr =
        if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.connect((server, 53)).ok()?;
    socket.send(&question(host, record_type, id)?).ok()?;
    let mut answer = vec![0_u8; 4096];
    let len = socket.recv(&mut answer).ok()?;
    answer.truncate(len);
    Some((answer, id))
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
    let header = message.get(..HEADER)?;
    let is_answer = header.starts_with(&id) && header.get(2)? & 0x80 != 0;
    if !is_answer || header.get(3)? & 0x0F != 0 {
        return None;
    }
    let questions = u16::from_be_bytes([*header.get(4)?, *header.get(5)?]);
    let records = u16::from_be_bytes([*header.get(6)?, *header.get(7)?]);
    let mut at = HEADER;
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

fn add(known: &mut Vec<IpAddr>, more: &[IpAddr]) {
    for address in more {
        if !known.contains(address) {
            known.push(*address);
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

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let id = [octets.first().copied().unwrap_or(0), octets.get(1).copied().unwrap_or(0)];
            let _ = parse_answer(&octets, id);
        }
    }
}
