//! Sockets of this machine, and the kernel's table of them as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// State of a TCP socket; a UDP socket is `Established` where it is connected, else `Listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for connections, or for datagrams from anybody.
    Listen,
    /// It is about to be opened.
    Opening,
    /// It is open.
    Established,
    /// It is being closed, and a process still holds it.
    Closing,
    /// It is closed, and remembered for a minute. No process holds it.
    TimeWait,
}

impl State {
    /// The kernel's number (tcp_states.h); a UDP socket is 7 (close) until it is connected, then 1.
    pub(super) const fn of_kernel(transport: Transport, state: u8) -> Option<Self> {
        Some(match (transport, state) {
            (Transport::Tcp | Transport::Udp, 0x01) => Self::Established,
            (Transport::Tcp, 0x0a) | (Transport::Udp, 0x07) => Self::Listen,
            (Transport::Tcp, 0x02 | 0x03 | 0x0c) => Self::Opening,
            (Transport::Tcp, 0x06) => Self::TimeWait,
            (Transport::Tcp, 0x04 | 0x05 | 0x07..=0x09 | 0x0b) => Self::Closing,
            _ => return None,
        })
    }
}

/// By what the holder of a socket is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Linux: number of the socket's file.
    Inode(u64),
    /// macOS: the process itself.
    Pid(u32),
    /// Nobody holds it, or nobody may know.
    None,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// TCP or UDP.
    pub transport: Transport,
    /// Its own end; a mapped IPv4 address is plain.
    pub local: SocketAddr,
    /// The other end; none while it waits for anybody.
    pub remote: Option<SocketAddr>,
    /// Its state.
    pub state: State,
    /// Number of the user who made it.
    pub uid: Option<u32>,
    /// By what its holder is found.
    pub key: Key,
}

impl Socket {
    /// Whether it waits at `mouth`: at that address, or at every address.
    #[must_use]
    pub fn listens_at(&self, mouth: SocketAddr) -> bool {
        let ip = self.local.ip();
        let covers = ip == mouth.ip() || ip.is_unspecified() || mouth.ip().is_unspecified();
        self.state == State::Listen && self.local.port() == mouth.port() && covers
    }
}

/// Reads a table of /proc/net (tcp, tcp6, udp, udp6); lines that are damaged are left out and counted.
#[must_use]
pub fn parse_table(text: &str, transport: Transport) -> (Vec<Socket>, usize) {
    let mut damaged = 0;
    let mut sockets = Vec::new();
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        match parse_line(line, transport) {
            Some(socket) => sockets.push(socket),
            None => damaged += 1,
        }
    }
    (sockets, damaged)
}

/// `sl local rem st tx:rx tr:when retrnsmt uid timeout inode ...`
fn parse_line(line: &str, transport: Transport) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    fields.next()?.strip_suffix(':')?;
    let local = parse_end(fields.next()?)?;
    let remote = parse_end(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode: u64 = fields.nth(1)?.parse().ok()?;
    let state = State::of_kernel(transport, state)?;
    let has_remote = remote.port() != 0;
    Some(Socket {
        transport,
        local,
        remote: has_remote.then_some(remote),
        state,
        uid: Some(uid),
        key: if inode == 0 { Key::None } else { Key::Inode(inode) },
    })
}

/// `0100007F:0016`: words of 4 octets in host order, then the port.
fn parse_end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.is_ascii() || !(address.len() == 8 || address.len() == 32) {
        return None;
    }
    let mut octets = Vec::with_capacity(16);
    for word in address.as_bytes().chunks(8) {
        let word = std::str::from_utf8(word).ok()?;
        octets.extend(u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
    }
    let ip: IpAddr = if let Ok(v4) = <[u8; 4]>::try_from(octets.as_slice()) {
        Ipv4Addr::from(v4).into()
    } else {
        Ipv6Addr::from(<[u8; 16]>::try_from(octets.as_slice()).ok()?).into()
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:0386 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0 100 0 0 10 0\n   \
        1: 0A004D0A:C006 1E014D0A:0386 01 00000000:00000000 02:00000A 00000000  1000        0 1002 2 0 20 4 30 10 -1\n   \
        2: 0A004D0A:C007 1E014D0A:0386 06 00000000:00000000 03:00000A 00000000     0        0 0 3 0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn a_table_of_the_kernel_is_read() {
        let (sockets, damaged) = parse_table(TCP, Transport::Tcp);
        assert_eq!((sockets.len(), damaged), (3, 0));
        assert!(sockets[0].listens_at("127.0.0.1:902".parse().unwrap()));
        assert!(!sockets[0].listens_at("127.0.0.2:902".parse().unwrap()));
        assert_eq!(sockets[1].remote, Some("10.77.1.30:902".parse().unwrap()));
        assert_eq!((sockets[1].uid, sockets[1].key), (Some(1000), Key::Inode(1002)));
        assert_eq!((sockets[2].state, sockets[2].key), (State::TimeWait, Key::None));
    }

    #[test]
    fn a_mapped_address_is_plain() {
        let line = "h\n 0: 0000000000000000FFFF00000A004D0A:C006 0000000000000000FFFF00001E014D0A:0386 01 0:0 0:0 0 1000 0 7 1\n";
        let (sockets, _) = parse_table(line, Transport::Tcp);
        assert!(sockets[0].local.is_ipv4());
    }

    #[test]
    fn damaged_lines_are_counted() {
        let text =
            "h\n 0: 0100007F 0 0A\n 1: ZZ00007F:0386 00000000:0000 0A x x x 0 0 1\n   1: 0A004D\n";
        assert_eq!(parse_table(text, Transport::Tcp), (Vec::new(), 3));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_own_socket_is_found_in_the_kernels_table() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let text = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let (sockets, damaged) = parse_table(&text, Transport::Tcp);
        assert_eq!(damaged, 0);
        assert!(sockets.iter().any(|socket| socket.listens_at(at)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s)[ -~\\n]{0,200}", bytes: Vec<u8>) {
            let _ = parse_table(&text, Transport::Tcp);
            let _ = parse_table(&String::from_utf8_lossy(&bytes), Transport::Udp);
        }

        #[test]
        fn a_table_cut_anywhere_is_read_up_to_there(end in 0..TCP.len()) {
            let (sockets, _) = parse_table(&TCP[..end], Transport::Tcp);
            prop_assert!(sockets.len() <= 3);
        }
    }
}
