//! Who opens connections to the services while a window is open: a thread that asks for a socket when a capture shows its first
//! frame, and now and then looks at the whole table by itself, for those that say nothing.

use super::Holders;
use super::platform;
use super::socket::{Socket, State, Transport};
use crate::model::{Confidence, ConnId, Endpoint, Proto, SocketSighting, Timestamp};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between two looks of its own accord; more where a look takes long.
const REST: Duration = Duration::from_millis(4);
/// A look may take one part in so many of the time.
const DUTY: u32 = 20;
/// Conns that wait to be looked for; beyond it they are found by the looks of its own accord, or not.
const QUEUE: usize = 256;
/// Sightings kept.
const MAX_SIGHTINGS: usize = 1024;

/// Ends of services that a direct connection would go to: address, port, TCP or UDP.
type Wanted = Arc<[(IpAddr, u16, Transport)]>;

/// The watching thread.
#[derive(Debug)]
pub struct Watcher {
    scout: Scout,
    thread: JoinHandle<(Vec<SocketSighting>, Vec<String>)>,
}

/// Tells the watcher of conns that the capture shows. Never waits.
#[derive(Clone, Debug)]
pub struct Scout {
    wanted: Wanted,
    sender: SyncSender<ConnId>,
}

impl Scout {
    /// A conn was opened: it is looked for if it goes to a service.
    pub fn opened(&self, id: &ConnId) {
        let transport = match id.proto {
            Proto::TCP => Transport::Tcp,
            Proto::UDP => Transport::Udp,
            _ => return,
        };
        let is_wanted =
            |end: Endpoint| self.wanted.contains(&(end.ip.to_canonical(), end.port, transport));
        if is_wanted(id.resp) || is_wanted(id.orig) {
            // A full queue must not hold the capture up.
            let _ = self.sender.try_send(*id);
        }
    }
}

impl Watcher {
    /// Begins to look for sockets to these ends; none where there is nothing to look for, or no thread.
    #[must_use]
    pub fn start(wanted: Vec<(IpAddr, u16, Transport)>) -> Option<Self> {
        if wanted.is_empty() {
            return None;
        }
        let wanted: Wanted = wanted.into();
        let (sender, receiver) = sync_channel(QUEUE);
        let scout = Scout { wanted: Arc::clone(&wanted), sender };
        let thread = std::thread::Builder::new()
            .name("sockets".to_owned())
            .spawn(move || look(&wanted, &receiver))
            .ok()?;
        Some(Self { scout, thread })
    }

    /// For the thread that sees the conns.
    #[must_use]
    pub fn scout(&self) -> Scout {
        self.scout.clone()
    }

    /// Ends, once every scout is gone: what was seen, and what kept it from seeing more.
    #[must_use]
    pub fn finish(self) -> (Vec<SocketSighting>, Vec<String>) {
        drop(self.scout);
        self.thread.join().unwrap_or_default()
    }
}

/// A socket to a service, by both its ends.
type Ends = (SocketAddr, Option<SocketAddr>, bool);

fn look(wanted: &Wanted, asked: &Receiver<ConnId>) -> (Vec<SocketSighting>, Vec<String>) {
    let mut book = Book { wanted: Arc::clone(wanted), ..Book::default() };
    let mut due = None;
    loop {
        let rest = due.map_or(Duration::ZERO, |due: Instant| due.duration_since(Instant::now()));
        let ids: Vec<ConnId> = match asked.recv_timeout(rest.max(REST)) {
            Ok(first) => std::iter::once(first).chain(asked.try_iter()).collect(),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        // Who was asked for may be gone in a moment: one by one first, the whole table when there is time.
        for id in &ids {
            book.answer(id);
        }
        if due.is_some_and(|due| Instant::now() < due) && !book.is_missing() {
            continue;
        }
        let start = Instant::now();
        book.take_in();
        due = Some(start + REST.max(start.elapsed().saturating_mul(DUTY)));
    }
    book.close()
}

#[derive(Default)]
struct Book {
    wanted: Wanted,
    /// What is known of each socket to a service.
    known: BTreeMap<Ends, SocketSighting>,
    /// Conns that were asked for, and are not in the table.
    missing: Vec<ConnId>,
    /// One of them came since the table was looked at.
    unsought: bool,
    limits: Vec<String>,
}

impl Book {
    /// Looks at the socket table and notes what goes to a service.
    fn take_in(&mut self) {
        let sockets = match platform::sockets() {
            Ok(sockets) => sockets,
            Err(error) => {
                self.limit(error.to_string());
                return;
            }
        };
        let own = |socket: &&Socket| {
            let to = socket.remote.map(|it| (it.ip(), it.port(), socket.transport));
            to.is_some_and(|to| self.wanted.contains(&to)) && socket.state != State::Listen
        };
        // A UDP socket that was never connected has no other end: it is found by the port that a conn names.
        let fresh: Vec<&Socket> = sockets
            .iter()
            .filter(own)
            .filter(|socket| self.known.get(&ends(socket)).is_none_or(|it| it.holders.is_empty()))
            .collect();
        if fresh.is_empty() || self.known.len() >= MAX_SIGHTINGS {
            return;
        }
        let holders = Holders::of(fresh.iter().copied());
        let new: Vec<_> =
            fresh.iter().map(|socket| (ends(socket), sighting(socket, &holders))).collect();
        self.known.extend(new);
    }

    /// A conn that a capture showed just now.
    fn answer(&mut self, id: &ConnId) {
        if self.of(id).is_some_and(|it| !it.holders.is_empty()) || self.known.len() >= MAX_SIGHTINGS
        {
            return;
        }
        let transport = if id.proto == Proto::UDP { Transport::Udp } else { Transport::Tcp };
        // Whose end is whose is not known yet: the service may have been heard first.
        for (own, other) in [(id.orig, id.resp), (id.resp, id.orig)] {
            let (local, remote) = (socket_address(own), socket_address(other));
            let Some(mut socket) = platform::find(local, remote, transport) else { continue };
            let by_port = socket.remote.is_none();
            if socket.state == State::Listen && transport == Transport::Tcp {
                continue;
            }
            (socket.local, socket.remote) = (local, Some(remote));
            let mut found = sighting(&socket, &Holders::of([&socket]));
            if by_port && !found.holders.is_empty() {
                found.confidence = Confidence::Likely;
                "the process holds a UDP socket with that local port".clone_into(&mut found.method);
            }
            self.known.insert(ends(&socket), found);
            return;
        }
        if !self.missing.contains(id) && self.missing.len() < MAX_SIGHTINGS {
            self.missing.push(*id);
            self.unsought = true;
        }
    }

    /// Whether somebody was asked for who is to be looked for in the whole table.
    fn is_missing(&mut self) -> bool {
        std::mem::take(&mut self.unsought)
    }

    fn of(&self, id: &ConnId) -> Option<&SocketSighting> {
        let is_udp = id.proto == Proto::UDP;
        [(id.orig, id.resp), (id.resp, id.orig)].into_iter().find_map(|(local, remote)| {
            self.known.get(&(socket_address(local), Some(socket_address(remote)), is_udp))
        })
    }

    fn limit(&mut self, text: String) {
        if !self.limits.contains(&text) {
            self.limits.push(text);
        }
    }

    fn close(mut self) -> (Vec<SocketSighting>, Vec<String>) {
        let missing: Vec<ConnId> =
            self.missing.iter().filter(|id| self.of(id).is_none()).copied().collect();
        let mut sightings: Vec<SocketSighting> =
            std::mem::take(&mut self.known).into_values().collect();
        sightings.extend(missing.into_iter().map(|id| SocketSighting {
            id,
            at: now(),
            holders: Vec::new(),
            confidence: Confidence::None,
            method: "looked for in the socket table at its first frame: it was closed already, or belongs to another \
                     machine or network namespace"
                .to_owned(),
        }));
        (sightings, self.limits)
    }
}

fn ends(socket: &Socket) -> Ends {
    (socket.local, socket.remote, socket.transport == Transport::Udp)
}

fn socket_address(end: Endpoint) -> SocketAddr {
    SocketAddr::new(end.ip.to_canonical(), end.port)
}

fn sighting(socket: &Socket, holders: &Holders) -> SocketSighting {
    let end = |at: SocketAddr| Endpoint { ip: at.ip(), port: at.port() };
    let found = holders.processes(socket);
    let (confidence, method) = if !found.is_empty() {
        (Confidence::Certain, "the process holds the socket with both these ends".to_owned())
    } else if socket.state == State::TimeWait {
        (Confidence::None, "it was closed already when it was looked for".to_owned())
    } else if holders.unreadable > 0 {
        let user =
            socket.uid.map(|uid| format!("; it belongs to user number {uid}")).unwrap_or_default();
        (
            Confidence::None,
            format!(
                "the open files of {} processes may not be read (run as root){user}",
                holders.unreadable
            ),
        )
    } else {
        (Confidence::None, "no process of this machine holds it any more".to_owned())
    };
    SocketSighting {
        id: ConnId {
            orig: end(socket.local),
            resp: end(socket.remote.unwrap_or(socket.local)),
            proto: if socket.transport == Transport::Udp { Proto::UDP } else { Proto::TCP },
        },
        at: now(),
        holders: found,
        confidence,
        method,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn id(orig: SocketAddr, resp: SocketAddr, proto: Proto) -> ConnId {
        let end = |at: SocketAddr| Endpoint { ip: at.ip(), port: at.port() };
        ConnId { orig: end(orig), resp: end(resp), proto }
    }

    #[test]
    fn an_open_connection_is_found_with_its_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let watcher = Watcher::start(vec![(at.ip(), at.port(), Transport::Tcp)]).unwrap();
        let scout = watcher.scout();
        let stream = TcpStream::connect(at).unwrap();
        let conn = id(stream.local_addr().unwrap(), at, Proto::TCP);
        scout.opened(&conn);
        std::thread::sleep(Duration::from_millis(300));
        drop((stream, scout));
        let (sightings, limits) = watcher.finish();
        let found = sightings.iter().find(|it| it.id == conn).unwrap();
        assert_eq!(found.confidence, Confidence::Certain, "{sightings:?} {limits:?}");
        assert!(found.holders.iter().any(|it| it.pid == std::process::id()));
    }

    #[test]
    fn a_connection_is_found_though_nobody_told_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let watcher = Watcher::start(vec![(at.ip(), at.port(), Transport::Tcp)]).unwrap();
        let stream = TcpStream::connect(at).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let (sightings, _) = watcher.finish();
        drop(stream);
        assert!(sightings.iter().any(|it| it.confidence == Confidence::Certain), "{sightings:?}");
    }

    #[test]
    fn a_datagram_socket_is_found_by_its_port_alone() {
        let there: SocketAddr = "127.0.0.9:2154".parse().unwrap();
        let watcher = Watcher::start(vec![(there.ip(), 2154, Transport::Udp)]).unwrap();
        let scout = watcher.scout();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let conn = id(socket.local_addr().unwrap(), there, Proto::UDP);
        scout.opened(&conn);
        std::thread::sleep(Duration::from_millis(300));
        drop(scout);
        let (sightings, _) = watcher.finish();
        let found = sightings.iter().find(|it| it.id == conn).unwrap();
        assert_eq!(found.confidence, Confidence::Likely);
    }

    #[test]
    fn one_that_is_gone_is_said_to_be_gone() {
        let there: SocketAddr = "192.0.2.7:902".parse().unwrap();
        let watcher = Watcher::start(vec![(there.ip(), 902, Transport::Tcp)]).unwrap();
        let scout = watcher.scout();
        scout.opened(&id("192.0.2.1:4000".parse().unwrap(), there, Proto::TCP));
        scout.opened(&id(
            "192.0.2.1:4000".parse().unwrap(),
            "192.0.2.8:902".parse().unwrap(),
            Proto::TCP,
        ));
        drop(scout);
        let (sightings, _) = watcher.finish();
        assert_eq!(sightings.len(), 1);
        assert_eq!(sightings[0].confidence, Confidence::None);
    }
}
