//! A second, narrow capture that shows the first frames of conns to the services at once: the main one hands frames over some
//! milliseconds later, when a short-lived client may be gone. It feeds the watcher of sockets alone, and no judgement.

use crate::decode::Decoder;
use crate::machine::{Scout, Transport};
use crate::model::{ConnId, Segment};
use crate::source::{Live, LiveOptions, Next, Source as _};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Octets kept of a frame: the headers.
const SNAPLEN: u32 = 256;
/// Of the kernel, for each interface.
const BUFFER_BYTES: u32 = 1 << 20;
/// Conns remembered, so that each is told once; then all are forgotten.
const MAX_TOLD: usize = 4096;
/// Ends that a filter names; beyond them the main capture and the looks of the watcher's own accord remain.
const MAX_ENDS: usize = 64;

/// The threads, one an interface.
#[derive(Debug)]
pub(super) struct Lookout {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Lookout {
    /// Begins to look. An interface that cannot be opened twice is left to the main capture.
    pub(super) fn start(
        interfaces: &[String],
        ends: &[(IpAddr, u16, Transport)],
        scout: &Scout,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for interface in interfaces {
            let options = LiveOptions {
                snaplen: SNAPLEN,
                buffer_bytes: BUFFER_BYTES,
                immediate: true,
                filter: Some(filter(ends)),
                ..LiveOptions::new(interface)
            };
            let Ok(live) = Live::open(&options) else { continue };
            let (stop, scout) = (Arc::clone(&stop), scout.clone());
            let thread = std::thread::Builder::new().name("lookout".to_owned());
            threads.extend(thread.spawn(move || look(live, &scout, &stop)));
        }
        Self { stop, threads }
    }

    /// Ends the threads, and waits for them: each looks up some times a second.
    pub(super) fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It feeds no judgement: a panic in it takes nothing away.
            let _ = thread.join();
        }
    }
}

/// A run that ends early leaves no thread behind.
impl Drop for Lookout {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn look(mut live: Live, scout: &Scout, stop: &AtomicBool) {
    let mut decoder = Decoder::default();
    let mut told = HashSet::new();
    while !stop.load(Ordering::Relaxed) {
        match live.next() {
            Ok(Next::Frame(frame)) => {
                let Some(id) = decoder.decode(&frame).segment.as_ref().map(ends_of) else {
                    continue;
                };
                if told.len() >= MAX_TOLD {
                    told.clear();
                }
                if told.insert(id) {
                    scout.opened(&id);
                }
            }
            Ok(Next::Idle) => {}
            Ok(Next::End) | Err(_) => return,
        }
    }
}

fn ends_of(segment: &Segment<'_>) -> ConnId {
    ConnId { orig: segment.src, resp: segment.dst, proto: segment.proto }
}

/// First frames of TCP, where the filter language can tell (by IPv4), and every datagram.
fn filter(ends: &[(IpAddr, u16, Transport)]) -> String {
    let one = |(ip, port, transport): &(IpAddr, u16, Transport)| match (ip, transport) {
        (IpAddr::V4(_), Transport::Tcp) => {
            format!("(host {ip} and tcp port {port} and tcp[tcpflags] & tcp-syn != 0)")
        }
        (IpAddr::V6(_), Transport::Tcp) => format!("(host {ip} and tcp port {port})"),
        (_, Transport::Udp) => format!("(host {ip} and udp port {port})"),
    };
    ends.iter().take(MAX_ENDS).map(one).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_names_every_end() {
        let ends = [
            ("10.77.1.30".parse().unwrap(), 902, Transport::Tcp),
            ("fd77:1::30".parse().unwrap(), 902, Transport::Tcp),
            ("10.77.1.30".parse().unwrap(), 2154, Transport::Udp),
        ];
        assert_eq!(
            filter(&ends),
            "(host 10.77.1.30 and tcp port 902 and tcp[tcpflags] & tcp-syn != 0) or \
             (host fd77:1::30 and tcp port 902) or (host 10.77.1.30 and udp port 2154)"
        );
    }
}
