//! One socket by its ends, asked of the kernel directly (sock_diag(7)): some microseconds, where the whole table takes
//! milliseconds on a machine with much memory.

use super::socket::{Key, Socket, State, Transport};
use socket2::{Domain, Protocol, Type};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const AF_NETLINK: i32 = 16; // bits/socket.h
const NETLINK_SOCK_DIAG: i32 = 4; // linux/netlink.h
const SOCK_DIAG_BY_FAMILY: u16 = 20; // linux/sock_diag.h
const NLM_F_REQUEST: u16 = 1; // linux/netlink.h
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
/// nlmsghdr: length, type, flags, sequence, port (linux/netlink.h).
const HEADER: usize = 16;
/// inet_diag_req_v2: family, protocol, extensions, padding, states, then inet_diag_sockid (linux/inet_diag.h).
const REQUEST: usize = 56;
/// inet_diag_sockid: two ports, two addresses of 16 octets, interface, two words of cookie.
const SOCKID: usize = 48;
/// The kernel answers at once, or not at all.
const PATIENCE: Duration = Duration::from_millis(100);

/// The socket with these ends; a UDP socket may be one without another end. None: there is none, or it may not be asked.
pub(super) fn find(local: SocketAddr, remote: SocketAddr, transport: Transport) -> Option<Socket> {
    // For UDP the kernel takes the ends the other way round, as the packet that it looks a socket up for has them.
    let (one, other) = match transport {
        Transport::Tcp => (local, remote),
        Transport::Udp => (remote, local),
    };
    let socket = socket2::Socket::new(
        Domain::from(AF_NETLINK),
        Type::DGRAM,
        Some(Protocol::from(NETLINK_SOCK_DIAG)),
    )
    .ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    (&socket).write_all(&request(one, other, transport)?).ok()?;
    let mut answer = [0; 512];
    let len = (&socket).read(&mut answer).ok()?;
    parse(answer.get(..len)?, transport).filter(|it| it.local.port() == local.port())
}

fn request(local: SocketAddr, remote: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
    if local.is_ipv4() != remote.is_ipv4() {
        return None;
    }
    let mut message = Vec::with_capacity(HEADER + REQUEST);
    message.extend(u32::try_from(HEADER + REQUEST).ok()?.to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    let protocol = match transport {
        Transport::Tcp => IPPROTO_TCP,
        Transport::Udp => IPPROTO_UDP,
    };
    message.extend([if local.is_ipv4() { AF_INET } else { AF_INET6 }, protocol, 0, 0]);
    message.extend(u32::MAX.to_ne_bytes()); // any state
    message.extend(local.port().to_be_bytes());
    message.extend(remote.port().to_be_bytes());
    for ip in [local.ip(), remote.ip()] {
        let mut octets = [0; 16];
        match ip {
            IpAddr::V4(ip) => octets.get_mut(..4)?.copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => octets = ip.octets(),
        }
        message.extend(octets);
    }
    message.extend([0; 4]); // any interface
    message.extend([0xff; 8]); // INET_DIAG_NOCOOKIE, twice
    Some(message)
}

/// Reads an inet_diag_msg: family, state, timer, retransmissions, sockid, expires, two queues, uid, inode.
fn parse(message: &[u8], transport: Transport) -> Option<Socket> {
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    if kind != SOCK_DIAG_BY_FAMILY {
        return None; // an error: there is no such socket
    }
    let body = message.get(HEADER..)?;
    let (family, state) = (*body.first()?, *body.get(1)?);
    let id = body.get(4..4 + SOCKID)?;
    let end = |port: usize, address: usize| -> Option<SocketAddr> {
        let port = u16::from_be_bytes(id.get(port..port + 2)?.try_into().ok()?);
        let octets = id.get(address..address + 16)?;
        let ip: IpAddr = match family {
            AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(octets.get(..4)?).ok()?).into(),
            AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip.to_canonical(), port))
    };
    let word = |at: usize| Some(u32::from_ne_bytes(body.get(at..at + 4)?.try_into().ok()?));
    let behind = 4 + SOCKID + 12; // expires and two queues
    let inode = word(behind + 4)?;
    let remote = end(2, 20)?;
    Some(Socket {
        transport,
        local: end(0, 4)?,
        remote: Some(remote).filter(|it| it.port() != 0),
        state: State::of_kernel(transport, state)?,
        uid: Some(word(behind)?),
        key: if inode == 0 { Key::None } else { Key::Inode(inode.into()) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn an_own_connection_is_found_by_its_ends() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(at) else { continue };
            let remote = listener.local_addr().unwrap();
            let stream = TcpStream::connect(remote).unwrap();
            let local = stream.local_addr().unwrap();
            let found = find(local, remote, Transport::Tcp).unwrap();
            assert_eq!((found.local, found.remote), (local, Some(remote)));
            assert_eq!(found.state, State::Established);
            assert!(matches!(found.key, Key::Inode(_)));
            assert!(super::super::Holders::of([&found]).pids(&found).contains(&std::process::id()));
        }
    }

    #[test]
    fn a_datagram_socket_is_found_and_one_that_is_not_there_is_none() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        let remote = "127.0.0.9:2154".parse().unwrap();
        let found = find(local, remote, Transport::Udp).unwrap();
        assert_eq!((found.local, found.remote), (local, None));
        drop(socket);
        assert_eq!(find("127.0.0.1:1".parse().unwrap(), remote, Transport::Tcp), None);
        assert_eq!(find("[::1]:1".parse().unwrap(), remote, Transport::Tcp), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(octets in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut message = vec![0_u8; 4];
            message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
            message.extend(&octets);
            let _ = parse(&message, Transport::Tcp);
            let _ = parse(&octets, Transport::Udp);
        }
    }
}
