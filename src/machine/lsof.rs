//! What `lsof -nP -i -FpuPnT` and `ps` write, as on macOS; read anywhere, so that it is tested anywhere.

use super::socket::{Key, Socket, State, Transport};
use crate::model::ProcessRecord;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Reads lsof's fields: a letter, then a value, a line each. `p` and `u` begin a process, `f` a file of it.
#[must_use]
pub fn parse_lsof(text: &str) -> Vec<Socket> {
    let mut sockets = Vec::new();
    let (mut pid, mut uid) = (None, None);
    let mut file = File::default();
    for line in text.lines() {
        let mut chars = line.chars();
        let Some(field) = chars.next() else { continue };
        let value = chars.as_str();
        match field {
            'p' => {
                sockets.extend(file.socket(pid, uid));
                file = File::default();
                (pid, uid) = (value.parse().ok(), None);
            }
            'u' => uid = value.parse().ok(),
            'f' => {
                sockets.extend(file.socket(pid, uid));
                file = File::default();
            }
            'P' => {
                file.transport = match value {
                    "TCP" => Some(Transport::Tcp),
                    "UDP" => Some(Transport::Udp),
                    _ => None,
                }
            }
            'n' => value.clone_into(&mut file.name),
            'T' => {
                if let Some(state) = value.strip_prefix("ST=") {
                    state.clone_into(&mut file.state);
                }
            }
            _ => {}
        }
    }
    sockets.extend(file.socket(pid, uid));
    sockets
}

#[derive(Default)]
struct File {
    transport: Option<Transport>,
    name: String,
    state: String,
}

impl File {
    fn socket(&self, pid: Option<u32>, uid: Option<u32>) -> Option<Socket> {
        let transport = self.transport?;
        let (local, remote) = match self.name.split_once("->") {
            Some((local, remote)) => (local, Some(end(remote)?)),
            None => (self.name.as_str(), None),
        };
        let state = match (transport, self.state.as_str(), remote) {
            (Transport::Tcp, "LISTEN", _) | (Transport::Udp, _, None) => State::Listen,
            (Transport::Tcp, "ESTABLISHED", _) | (Transport::Udp, _, Some(_)) => State::Established,
            (Transport::Tcp, "SYN_SENT" | "SYN_RCVD", _) => State::Opening,
            (Transport::Tcp, "TIME_WAIT", _) => State::TimeWait,
            (Transport::Tcp, "", _) => return None,
            (Transport::Tcp, _, _) => State::Closing,
        };
        let key = pid.map_or(Key::None, Key::Pid);
        let local =
            end(local).or_else(|| wildcard(local, remote.is_some_and(|it| it.is_ipv6())))?;
        Some(Socket { transport, local, remote, state, uid, key })
    }
}

/// `127.0.0.1:902`, `[::1]:902`.
fn end(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip: IpAddr = host.split('%').next()?.parse().ok()?;
    Some(SocketAddr::new(ip.to_canonical(), port.parse().ok()?))
}

/// `*:902`.
fn wildcard(text: &str, is_v6: bool) -> Option<SocketAddr> {
    let port = text.strip_prefix("*:")?.parse().ok()?;
    let ip: IpAddr =
        if is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    Some(SocketAddr::new(ip, port))
}

/// Reads one line of `ps -o pid=,uid=,user=,etime=,comm=`.
#[must_use]
pub fn parse_ps(text: &str) -> Option<ProcessRecord> {
    let line = text.lines().next()?;
    let mut words = line.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let uid = words.next()?.parse().ok();
    let user = words.next()?.to_owned();
    let age_s = elapsed(words.next()?);
    let exe = words.collect::<Vec<_>>().join(" ");
    let name = exe.rsplit('/').next().unwrap_or_default().to_owned();
    let exe = exe.starts_with('/').then_some(exe);
    Some(ProcessRecord { pid, name, exe, uid, user: Some(user), age_s, args: Vec::new() })
}

/// `[[dd-]hh:]mm:ss` (ps(1)).
fn elapsed(text: &str) -> Option<u64> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (days.parse::<u64>().ok()?, rest),
        None => (0, text),
    };
    let mut seconds = 0_u64;
    for part in rest.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    days.checked_mul(86_400)?.checked_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LSOF: &str = "p203\nu0\nf3\nPTCP\nn*:902\nTST=LISTEN\nTQR=0\np415\nu501\nf7\nPTCP\n\
        n10.0.0.5:49158->10.0.0.2:2151\nTST=ESTABLISHED\nf9\nPUDP\nn[fd77::10]:4660->[fd77:1::30]:2154\nf10\nPTCP\nnbad\nTST=LISTEN\n";

    #[test]
    fn sockets_of_lsof_name_their_process() {
        let sockets = parse_lsof(LSOF);
        assert_eq!(sockets.len(), 3);
        assert!(sockets[0].listens_at("127.0.0.1:902".parse().unwrap()));
        assert_eq!((sockets[1].key, sockets[1].uid), (Key::Pid(415), Some(501)));
        assert_eq!(sockets[1].remote, Some("10.0.0.2:2151".parse().unwrap()));
        assert_eq!(sockets[2].transport, Transport::Udp);
    }

    #[test]
    fn a_line_of_ps_with_a_blank_in_the_path_is_read() {
        let line = "  415   501 jsmith 1-02:03:04 /Applications/Blitz Mail.app/Blitz Mail\n";
        let process = parse_ps(line).unwrap();
        assert_eq!((process.pid, process.name.as_str()), (415, "Blitz Mail"));
        assert_eq!(process.age_s, Some(86_400 + 2 * 3600 + 3 * 60 + 4));
        assert_eq!(parse_ps(""), None);
        assert_eq!(parse_ps("x y z"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(octets: Vec<u8>, text in "(?s)[pufPnT0-9:.*\\[\\]>=a-zA-Z\\n-]{0,200}") {
            for text in [String::from_utf8_lossy(&octets).into_owned(), text] {
                let _ = parse_lsof(&text);
                let _ = parse_ps(&text);
            }
        }

        #[test]
        fn a_list_cut_anywhere_is_read_up_to_there(end in 0..LSOF.len()) {
            prop_assert!(parse_lsof(&LSOF[..end]).len() <= 3);
        }
    }
}
