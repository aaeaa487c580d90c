//! Live capture with libpcap.

mod platform;

use super::{Losses, Next, Source, SourceError};
use crate::model::{Drops, Frame, InterfaceRecord, LinkType, Timestamp, Vantage};
use pcap::{Active, Device, IfFlags, Precision};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Octets of libpcap's buffer: enough for the bursts of a mail session on a busy link while analysis lags.
const BUFFER_BYTES: u32 = 16 << 20;

/// Octets kept of a frame: libpcap's own maximum, so that offloaded super-frames are whole.
const SNAPLEN: u32 = 262_144;

/// Milliseconds after which libpcap hands over a buffer that is not full.
const BUFFER_TIMEOUT_MS: i32 = 10;

/// How long a quiet interface is left alone before `Idle`.
const NAP: Duration = Duration::from_millis(2);

/// The same where somebody waits for each frame and there are few.
const SHORT_NAP: Duration = Duration::from_micros(400);

/// Port of the discard service (RFC 863). Nothing is sent to it: the port only makes an address complete.
const DISCARD: u16 = 9;

/// A network interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Where it stands.
    pub vantage: Vantage,
    /// Whether it is up.
    pub is_up: bool,
}

/// The network interfaces of this machine, in libpcap's order.
///
/// # Errors
/// When the system does not list them.
pub fn interfaces() -> Result<Vec<Interface>, SourceError> {
    let devices =
        Device::list().map_err(|error| SourceError::ListInterfaces { reason: in_words(&error) })?;
    Ok(devices
        .into_iter()
        .filter(|device| !platform::is_no_network(&device.name))
        .map(|device| Interface {
            vantage: platform::vantage(&device.name, device.flags.is_loopback(), None),
            is_up: device.flags.contains(IfFlags::UP),
            addresses: device.addresses.iter().map(|address| address.addr).collect(),
            name: device.name,
        })
        .collect())
}

/// The interface that packets to `ip` leave by, as the system routes them now. Sends nothing.
///
/// # Errors
/// When there is no route, or when no interface has the address that packets would leave from.
pub fn interface_towards(ip: IpAddr) -> Result<Interface, SourceError> {
    let interfaces = interfaces()?;
    let own = interfaces.iter().any(|interface| interface.addresses.contains(&ip));
    // Packets to an address of this machine never leave it, whichever interface has the address.
    if let Some(loopback) =
        interfaces.iter().find(|interface| interface.vantage == Vantage::Loopback && own)
    {
        return Ok(loopback.clone());
    }
    let any: IpAddr =
        if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let local = UdpSocket::bind(SocketAddr::new(any, 0))
        .and_then(|socket| {
            socket.connect(SocketAddr::new(ip, DISCARD))?;
            socket.local_addr()
        })
        .map_err(|source| SourceError::NoRoute { ip, source })?
        .ip();
    let mut having: Vec<Interface> =
        interfaces.into_iter().filter(|interface| interface.addresses.contains(&local)).collect();
    having.sort_by_key(|interface| !interface.is_up);
    having.into_iter().next().ok_or(SourceError::NoInterfaceTowards { ip, local })
}

/// How to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Name of the interface.
    pub interface: String,
    /// Octets of the kernel's buffer.
    pub buffer_bytes: u32,
    /// Octets kept of a frame.
    pub snaplen: u32,
    /// Whether to ask for frames that are not addressed to this machine.
    pub promiscuous: bool,
    /// Whether each frame is to be handed over at once. For few and small frames: see `platform::IMMEDIATE_MODE`.
    pub immediate: bool,
    /// What to capture, in libpcap's language (pcap-filter(7)); none: everything.
    pub filter: Option<String>,
}

impl LiveOptions {
    /// The defaults for an interface: 16 MiB, whole frames, not promiscuous.
    #[must_use]
    pub fn new(interface: &str) -> Self {
        Self {
            interface: interface.to_owned(),
            buffer_bytes: BUFFER_BYTES,
            snaplen: SNAPLEN,
            promiscuous: false,
            immediate: platform::IMMEDIATE_MODE,
            filter: None,
        }
    }
}

/// A running capture on one interface. Frames wait in libpcap's buffer from `open` on, and come out of it
/// some 10 to 30 ms later: one `Next::Idle` alone does not say that none is left.
pub struct Live {
    // Reading the counters needs the handle alone; the lock is uncontended.
    handle: Mutex<Handle>,
    record: InterfaceRecord,
    nanos_per_tick: i64,
    frames: u64,
    nap: Duration,
}

struct Handle {
    capture: pcap::Capture<Active>,
    drops: Counter,
    interface_drops: Counter,
    /// What the system counted before we began, where libpcap does not count.
    baseline: Option<u64>,
    /// Whether libpcap itself counts what the interface drops.
    counts_interface: bool,
}

impl Live {
    /// Opens an interface and begins to capture.
    ///
    /// # Errors
    /// When there is no such interface, it is down, or this user may not capture on it.
    pub fn open(options: &LiveOptions) -> Result<Self, SourceError> {
        let name = &options.interface;
        let precision =
            if platform::has_nanoseconds(name) { Precision::Nano } else { Precision::Micro };
        let capture = match activate(options, options.promiscuous, precision) {
            Ok(capture) => capture,
            // Some interfaces (`any`, some tunnels) only warn that they cannot be promiscuous.
            Err(_) if options.promiscuous => activate(options, false, precision)
                .map_err(|error| refused(name, &in_words(&error)))?,
            Err(error) => return Err(refused(name, &in_words(&error))),
        };
        let link_type = registered(capture.get_datalink().0);
        let is_loopback = interfaces().is_ok_and(|all| {
            all.iter().any(|one| one.name == *name && one.vantage == Vantage::Loopback)
        });
        let record = InterfaceRecord {
            name: name.clone(),
            link_type,
            snaplen: options.snaplen,
            vantage: Some(platform::vantage(name, is_loopback, Some(link_type))),
        };
        let handle = Handle {
            capture,
            drops: Counter::default(),
            interface_drops: Counter::default(),
            baseline: platform::interface_drops(name),
            counts_interface: platform::LIBPCAP_COUNTS_INTERFACE_DROPS && options.promiscuous,
        };
        Ok(Self {
            handle: Mutex::new(handle),
            record,
            nanos_per_tick: if precision == Precision::Nano { 1 } else { 1_000 },
            frames: 0,
            nap: if options.immediate && !platform::IMMEDIATE_MODE { SHORT_NAP } else { NAP },
        })
    }

    /// The interface.
    pub fn interface(&self) -> &InterfaceRecord {
        &self.record
    }
}

impl Source for Live {
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        let handle = self.handle.get_mut().unwrap_or_else(PoisonError::into_inner);
        match handle.capture.next_packet() {
            Ok(packet) => {
                self.frames += 1;
                Ok(Next::Frame(Frame {
                    number: self.frames,
                    time: time(
                        packet.header.ts.tv_sec,
                        packet.header.ts.tv_usec,
                        self.nanos_per_tick,
                    ),
                    interface_id: 0,
                    link_type: self.record.link_type,
                    len: packet.header.len,
                    data: packet.data,
                }))
            }
            Err(pcap::Error::TimeoutExpired) => {
                std::thread::sleep(self.nap);
                Ok(Next::Idle)
            }
            Err(pcap::Error::NoMorePackets) => Ok(Next::End),
            Err(error) => Err(SourceError::Interface {
                interface: self.record.name.clone(),
                reason: in_words(&error),
            }),
        }
    }

    fn losses(&self) -> Losses {
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        handle.losses(&self.record.name)
    }

    fn interfaces(&self) -> Vec<InterfaceRecord> {
        vec![self.record.clone()]
    }
}

impl Handle {
    fn losses(&mut self, name: &str) -> Losses {
        let Ok(stat) = self.capture.stats() else { return Losses::default() };
        let by_system = platform::interface_drops(name)
            .zip(self.baseline)
            .map(|(now, before)| now.saturating_sub(before));
        let by_libpcap = self.interface_drops.follow(stat.if_dropped);
        let interface_drops = if self.counts_interface { Some(by_libpcap) } else { by_system };
        Losses {
            drops: Drops::Known(self.drops.follow(stat.dropped)),
            interface_drops: interface_drops.map_or(Drops::Unknown, Drops::Known),
            ..Losses::default()
        }
    }
}

/// A 32-bit counter that wraps, followed as one that does not.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    last: u32,
    total: u64,
}

impl Counter {
    fn follow(&mut self, now: u32) -> u64 {
        let step = now.wrapping_sub(self.last);
        // Half the range backwards is no wrap: the driver began to count anew.
        let step = if step > u32::MAX / 2 { now } else { step };
        self.last = now;
        self.total = self.total.saturating_add(u64::from(step));
        self.total
    }
}

fn activate(
    options: &LiveOptions,
    promiscuous: bool,
    precision: Precision,
) -> Result<pcap::Capture<Active>, pcap::Error> {
    let mut capture = pcap::Capture::from_device(options.interface.as_str())?
        .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(options.buffer_bytes).unwrap_or(i32::MAX))
        .promisc(promiscuous)
        .immediate_mode(options.immediate)
        .timeout(BUFFER_TIMEOUT_MS)
        .precision(precision)
        .open()?;
    if let Some(filter) = &options.filter {
        capture.filter(filter, true)?;
    }
    // A read that blocks does not come back on a quiet interface (libpcap's TPACKET_V3).
    capture.setnonblock()
}

/// libpcap gives reasons as text alone; what it says is told apart by the words that it has used since 1.0.
fn refused(name: &str, reason: &str) -> SourceError {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let interface = name.to_owned();
    let all = interfaces().unwrap_or_default();
    let found = all.iter().find(|one| one.name == name);
    if !all.is_empty() && found.is_none() {
        let existing = all.into_iter().map(|one| one.name).collect();
        return SourceError::NoSuchInterface { interface, existing };
    }
    if says(&["ermission", "not permitted", "CAP_NET_RAW", "privilege"]) {
        return SourceError::Permission { interface, reason: reason.to_owned() };
    }
    if says(&["is not up", "etwork is down", "is down"]) || found.is_some_and(|one| !one.is_up) {
        return SourceError::InterfaceDown { interface };
    }
    SourceError::Interface { interface, reason: reason.to_owned() }
}

/// The words of an error, without the crate's prefix.
fn in_words(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(words) if words.is_empty() => "libpcap gives no reason".to_owned(),
        pcap::Error::PcapError(words) => words.clone(),
        other => other.to_string(),
    }
}

/// The time of a frame; the widths of the two fields differ by system.
fn time(seconds: impl Into<i64>, ticks: impl Into<i64>, nanos_per_tick: i64) -> Timestamp {
    let fraction = ticks.into().saturating_mul(nanos_per_tick);
    Timestamp::from_nanos(seconds.into().saturating_mul(1_000_000_000).saturating_add(fraction))
}

/// The registered value (`LINKTYPE_*`) of this system's own number (`DLT_*`).
fn registered(data_link: i32) -> LinkType {
    match data_link {
        // DLT_LOOP and DLT_RAW differ by system.
        12 if cfg!(target_os = "openbsd") => LinkType::LOOP,
        12 | 14 => LinkType::RAW,
        11 => LinkType(100), // ATM with RFC 1483 headers
        other => LinkType(u16::try_from(other).unwrap_or(u16::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Loopback, or none where this user may not capture: said, not passed over.
    fn loopback(options: &LiveOptions) -> Option<Live> {
        match Live::open(options) {
            Ok(live) => Some(live),
            Err(SourceError::Permission { .. }) => {
                crate::skip::missing("this user may not capture: it needs CAP_NET_RAW");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn loopback_name() -> String {
        let all = interfaces().unwrap();
        all.into_iter().find(|one| one.vantage == Vantage::Loopback).unwrap().name
    }

    fn sockets() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        (sender, receiver)
    }

    #[test]
    fn counters_are_followed_across_their_wrap_and_across_a_restart() {
        let mut counter = Counter::default();
        assert_eq!(counter.follow(7), 7);
        assert_eq!(counter.follow(2_000_000_000), 2_000_000_000);
        assert_eq!(counter.follow(4_000_000_000), 4_000_000_000);
        assert_eq!(counter.follow(4), 4_294_967_300);
        let mut counter = Counter { last: 100, total: 100 };
        assert_eq!(counter.follow(3), 103);
    }

    #[test]
    fn own_numbers_of_link_types_become_registered_ones() {
        assert_eq!(registered(1), LinkType::ETHERNET);
        assert_eq!(registered(113), LinkType::LINUX_SLL);
        if cfg!(target_os = "linux") {
            assert_eq!(registered(12), LinkType::RAW);
        }
    }

    #[test]
    fn reasons_of_libpcap_become_errors_with_a_remedy() {
        let name = loopback_name();
        let error = refused(&name, "socket: Operation not permitted");
        assert!(matches!(error, SourceError::Permission { .. }));
        let remedy = error.remedy().unwrap();
        assert!(remedy.contains("sudo") && !remedy.contains("chmod"), "{remedy}");
        let error = refused(&name, "That device is not up");
        assert!(matches!(error, SourceError::InterfaceDown { .. }));
        let error = refused("no-such-if", "SIOCGIFHWADDR: No such device");
        assert!(error.to_string().contains(&name), "{error}");
        assert!(matches!(error, SourceError::NoSuchInterface { .. }));
    }

    #[test]
    fn packets_to_this_machine_go_by_loopback() {
        let towards = interface_towards("127.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(towards.vantage, Vantage::Loopback);
        for one in interfaces().unwrap() {
            for ip in one.addresses {
                assert_eq!(interface_towards(ip).unwrap().vantage, Vantage::Loopback, "{ip}");
            }
        }
    }

    #[test]
    fn an_interface_that_is_not_there_is_refused_with_those_that_are() {
        let error = Live::open(&LiveOptions::new("no-such-if")).err().unwrap();
        assert!(matches!(&error, SourceError::NoSuchInterface { existing, .. }
            if existing.contains(&loopback_name())));
    }

    #[test]
    fn a_datagram_is_seen_whole_with_the_time_of_now() {
        let _turn = crate::source::turn_on_loopback();
        let Some(mut live) = loopback(&LiveOptions::new(&loopback_name())) else { return };
        assert_eq!(live.interface().vantage, Some(Vantage::Loopback));
        let (sender, _receiver) = sockets();
        let token = format!("tunnelcheck-{}", std::process::id());
        sender.send(token.as_bytes()).unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        let time = loop {
            assert!(Instant::now() < until, "the datagram was not seen");
            match live.next().unwrap() {
                Next::Frame(frame) if frame.data.ends_with(token.as_bytes()) => {
                    assert_eq!(frame.cut(), 0);
                    break frame.time;
                }
                _ => {}
            }
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age = i128::try_from(now.as_nanos()).unwrap() - i128::from(time.as_nanos());
        assert!((0..10_000_000_000).contains(&age), "{age} ns");
        assert_eq!(live.losses().drops, Drops::Known(0));
    }

    #[test]
    fn a_burst_of_small_frames_fits_into_the_buffer() {
        let _turn = crate::source::turn_on_loopback();
        let Some(mut live) = loopback(&LiveOptions::new(&loopback_name())) else { return };
        let (sender, _receiver) = sockets();
        for _ in 0..10_000 {
            sender.send(b"burst-of-small-frames").unwrap();
        }
        let (mut seen, mut idle) = (0, 0);
        while idle < 50 {
            match live.next().unwrap() {
                Next::Frame(frame) if frame.data.ends_with(b"burst-of-small-frames") => seen += 1,
                Next::Frame(_) => {}
                _ => idle += 1,
            }
        }
        assert_eq!((seen, live.losses().drops), (10_000, Drops::Known(0)));
    }

    #[test]
    fn what_the_kernel_drops_is_counted() {
        let options = LiveOptions { buffer_bytes: 64 << 10, ..LiveOptions::new(&loopback_name()) };
        let _turn = crate::source::turn_on_loopback();
        let Some(mut live) = loopback(&options) else { return };
        let (sender, _receiver) = sockets();
        for _ in 0..4_000 {
            sender.send(&[7; 1_000]).unwrap();
        }
        let mut seen = 0_u64;
        let mut idle = 0;
        while idle < 50 {
            if let Next::Frame(_) = live.next().unwrap() {
                seen += 1;
            } else {
                idle += 1;
            }
        }
        let Drops::Known(dropped) = live.losses().drops else { panic!("not counted") };
        assert!(
            dropped > 0 && seen > 0 && dropped + seen >= 4_000,
            "{seen} seen, {dropped} dropped"
        );
    }
}
