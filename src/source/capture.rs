//! Several interfaces at once: a thread for each copies frames into blocks, the reader takes them out.

use super::live::Live;
use super::stream::{self, Stream};
use super::{Losses, Next, Source, SourceError, Tally};
use crate::model::{Drops, Frame, InterfaceRecord, LinkType, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Octets after which a block is handed over.
const BLOCK: usize = 256 * 1024;

/// Blocks of one interface at most: 64 MiB, beside libpcap's own buffer; then frames are dropped and counted.
const MAX_BLOCKS: usize = 256;

/// How long a capture thread waits for a free block while libpcap's buffer takes what comes; then it drops.
const WAIT_FOR_BLOCK: Duration = Duration::from_millis(200);

/// How long the reader waits for a frame before it says `Idle`.
const IDLE: Duration = Duration::from_millis(50);

/// How long an interface must be silent after `stop`: libpcap hands over a buffer that is not full after at
/// most twice its timeout, rounded up to the kernel's ticks.
const DRAIN_SILENCE: Duration = Duration::from_millis(100);

/// How much later than `stop` a frame must be for the end: clocks of several processors are not in step.
const DRAIN_SLACK_NS: i64 = 10_000_000;

/// How long a thread reads on after `stop` at most, where the interface never falls silent.
const MAX_DRAIN: Duration = Duration::from_secs(2);

/// How often a thread reads the drop counters: system calls and files.
const BETWEEN_COUNTS: Duration = Duration::from_millis(100);

/// Frames between two looks at the clock.
const FRAMES_BETWEEN_CLOCKS: u32 = 256;

/// Captures on several interfaces until it is stopped.
pub struct Capture {
    interfaces: Vec<InterfaceRecord>,
    workers: Vec<Worker>,
    incoming: Receiver<Message>,
    running: usize,
    stopper: Stopper,
    current: Option<Block>,
    /// Place of the next frame in the current block.
    place: usize,
    frames: u64,
}

/// Ends a capture from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Stop>);

#[derive(Debug, Default)]
struct Stop {
    asked: AtomicBool,
    /// Nanoseconds since the epoch: frames from later on were not in the buffers yet.
    at: AtomicI64,
}

impl Stopper {
    /// Makes every thread hand over what libpcap still holds, and then end.
    pub fn stop(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        if !self.0.asked.load(Ordering::Acquire) {
            self.0.at.store(now, Ordering::Release);
            self.0.asked.store(true, Ordering::Release);
        }
    }

    fn asked_at(&self) -> Option<Timestamp> {
        let asked = self.0.asked.load(Ordering::Acquire);
        asked.then(|| Timestamp::from_nanos(self.0.at.load(Ordering::Acquire)))
    }
}

/// The reader's side of a thread.
struct Worker {
    /// A stream ends when the other side does: nobody waits for its thread.
    is_stream: bool,
    shared: Arc<Shared>,
    free: Sender<Block>,
    thread: Option<JoinHandle<()>>,
    ended: bool,
}

/// What both sides see.
pub(super) struct Shared {
    losses: Mutex<Losses>,
    channel_dropped: AtomicU64,
    /// Blocks that wait for the reader.
    pub(super) waiting: AtomicU64,
}

pub(super) enum Message {
    Block(Block),
    Ended(usize),
    Failed(usize, SourceError),
}

/// Frames of one interface, in one piece of memory.
pub(super) struct Block {
    worker: usize,
    frames: Vec<Head>,
    octets: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Head {
    time: Timestamp,
    link_type: LinkType,
    len: u32,
    start: usize,
    cap_len: usize,
}

impl Capture {
    /// Starts a thread for each of `lives`; the place in the list is the `interface_id`.
    ///
    /// # Errors
    /// Without an interface, or when a thread cannot be started.
    pub fn start(lives: Vec<Live>) -> Result<Self, SourceError> {
        Self::start_all(lives, Vec::new())
    }

    /// The same, with streams of other machines behind them.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_all(lives: Vec<Live>, streams: Vec<Stream>) -> Result<Self, SourceError> {
        if lives.is_empty() && streams.is_empty() {
            return Err(SourceError::NoInterfaces);
        }
        let (outgoing, incoming) = channel();
        let mut this = Self {
            interfaces: lives
                .iter()
                .map(Live::interface)
                .chain(streams.iter().map(Stream::interface))
                .cloned()
                .collect(),
            workers: Vec::with_capacity(lives.len() + streams.len()),
            incoming,
            running: 0,
            stopper: Stopper(Arc::default()),
            current: None,
            place: 0,
            frames: 0,
        };
        for (id, live) in lives.into_iter().enumerate() {
            let (free, blocks) = channel();
            let interface = live.interface().name.clone();
            let shared = Arc::new(Shared {
                losses: Mutex::new(live.losses()),
                channel_dropped: AtomicU64::new(0),
                waiting: AtomicU64::new(0),
            });
            let thread = Thread {
                id,
                live,
                shared: Arc::clone(&shared),
                outgoing: outgoing.clone(),
                free: blocks,
                made: 0,
                current: None,
                overrun: false,
            };
            let stopper = this.stopper.clone();
            let thread = std::thread::Builder::new()
                .name(format!("capture {interface}"))
                .spawn(move || thread.run(&stopper))
                .map_err(|source| SourceError::Thread { interface, source })?;
            let thread = Some(thread);
            this.workers.push(Worker { is_stream: false, shared, free, thread, ended: false });
            this.running += 1;
        }
        for stream in streams {
            let (free, blocks) = channel();
            let interface = stream.interface().name.clone();
            // Until its end nobody knows what was dropped there.
            let shared = Arc::new(Shared {
                losses: Mutex::new(Losses::default()),
                channel_dropped: AtomicU64::new(0),
                waiting: AtomicU64::new(0),
            });
            let thread = stream::Thread {
                id: this.workers.len(),
                stream,
                shared: Arc::clone(&shared),
                outgoing: outgoing.clone(),
                free: blocks,
            };
            let thread = std::thread::Builder::new()
                .name("stream".to_owned())
                .spawn(move || thread.run())
                .map_err(|source| SourceError::Thread { interface, source })?;
            let thread = Some(thread);
            this.workers.push(Worker { is_stream: true, shared, free, thread, ended: false });
            this.running += 1;
        }
        Ok(this)
    }

    /// What ends this capture, from any thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// What each interface lost so far, in their order; final once `Next::End` was reached.
    pub fn interface_losses(&self) -> Vec<Losses> {
        self.workers.iter().map(|worker| worker.shared.losses()).collect()
    }

    /// Makes `place` point at a frame of the current block; false where nothing is there now or any more.
    fn advance(&mut self) -> Result<bool, SourceError> {
        if let Some(block) = &self.current {
            self.place += 1;
            if self.place < block.frames.len() {
                return Ok(true);
            }
        }
        self.give_back();
        while self.running > 0 {
            match self.incoming.recv_timeout(IDLE) {
                Ok(Message::Block(block)) => {
                    if let Some(worker) = self.workers.get(block.worker) {
                        worker.shared.waiting.fetch_sub(1, Ordering::AcqRel);
                    }
                    self.place = 0;
                    self.current = Some(block);
                    return Ok(true);
                }
                Ok(Message::Ended(id)) => self.ended(id),
                Ok(Message::Failed(id, error)) => {
                    self.ended(id);
                    return Err(error);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look_for_the_dead()?;
                    return Ok(false);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.look_for_the_dead()?;
                    self.running = 0;
                }
            }
        }
        Ok(false)
    }

    /// Hands the block that was read back to its thread.
    fn give_back(&mut self) {
        let Some(mut block) = self.current.take() else { return };
        block.frames.clear();
        block.octets.clear();
        if let Some(worker) = self.workers.get(block.worker) {
            // A thread that has ended needs no more blocks.
            drop(worker.free.send(block));
        }
    }

    fn ended(&mut self, id: usize) {
        if let Some(worker) = self.workers.get_mut(id)
            && !worker.ended
        {
            worker.ended = true;
            self.running = self.running.saturating_sub(1);
        }
    }

    /// A thread says when it ends; one that ended without a word has died, and what it saw is lost.
    fn look_for_the_dead(&mut self) -> Result<(), SourceError> {
        for (worker, interface) in self.workers.iter_mut().zip(&self.interfaces) {
            let finished = worker.thread.as_ref().is_some_and(JoinHandle::is_finished);
            if !finished || worker.ended {
                continue;
            }
            // Joining orders its last message before this; what it sent is still to be read then.
            let died = worker.thread.take().is_some_and(|thread| thread.join().is_err());
            if died {
                worker.ended = true;
                self.running = self.running.saturating_sub(1);
                return Err(SourceError::ThreadDied { interface: interface.name.clone() });
            }
        }
        Ok(())
    }
}

impl Source for Capture {
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        if !self.advance()? {
            return Ok(if self.running == 0 { Next::End } else { Next::Idle });
        }
        self.frames += 1;
        let frame = self.current.as_ref().and_then(|block| {
            let head = *block.frames.get(self.place)?;
            Some(Frame {
                number: self.frames,
                time: head.time,
                interface_id: u32::try_from(block.worker).unwrap_or(u32::MAX),
                link_type: head.link_type,
                len: head.len,
                data: block.octets.get(head.start..head.start + head.cap_len)?,
            })
        });
        Ok(frame.map_or(Next::Idle, Next::Frame))
    }

    fn losses(&self) -> Losses {
        total(&self.interface_losses())
    }

    fn interfaces(&self) -> Vec<InterfaceRecord> {
        self.interfaces.clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Nobody reads any more: nothing is to be drained.
        self.stopper.0.at.store(i64::MIN, Ordering::Release);
        self.stopper.0.asked.store(true, Ordering::Release);
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take()
                && !worker.is_stream
            {
                drop(thread.join());
            }
        }
    }
}

/// What several interfaces lost together.
#[must_use]
pub fn total(each: &[Losses]) -> Losses {
    let (mut drops, mut interface_drops) = (Tally::default(), Tally::default());
    let mut sum = Losses::default();
    for one in each {
        drops.add(known(one.drops), true);
        interface_drops.add(known(one.interface_drops), true);
        sum.channel_dropped = sum.channel_dropped.saturating_add(one.channel_dropped);
        sum.inputs_cut.extend(one.inputs_cut.iter().cloned());
    }
    Losses { drops: drops.drops(), interface_drops: interface_drops.drops(), ..sum }
}

fn known(drops: Drops) -> Option<u64> {
    match drops {
        Drops::Known(count) => Some(count),
        Drops::Unknown => None,
    }
}

impl Shared {
    /// Notes that the frames broke off.
    pub(super) fn cut(&self, why: String) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).inputs_cut.push(why);
    }

    fn losses(&self) -> Losses {
        let losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Losses { channel_dropped: self.channel_dropped.load(Ordering::Acquire), ..losses }
    }
}

/// A thread that was asked to stop, and reads what was in the buffers by then.
struct Draining {
    stop: Timestamp,
    began: Instant,
    last_frame: Instant,
}

impl Draining {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.last_frame) >= DRAIN_SILENCE
            || now.duration_since(self.began) >= MAX_DRAIN
    }
}

/// The capture thread of one interface.
struct Thread {
    id: usize,
    live: Live,
    shared: Arc<Shared>,
    outgoing: Sender<Message>,
    free: Receiver<Block>,
    /// Blocks made so far.
    made: usize,
    current: Option<Block>,
    /// No block came free in time: frames are dropped until one does.
    overrun: bool,
}

impl Thread {
    fn run(mut self, stopper: &Stopper) {
        let last = match self.capture(stopper) {
            Ok(()) => Message::Ended(self.id),
            Err(error) => Message::Failed(self.id, error),
        };
        self.hand_over();
        self.count();
        // Without a reader there is nobody to tell.
        drop(self.outgoing.send(last));
    }

    fn capture(&mut self, stopper: &Stopper) -> Result<(), SourceError> {
        let mut counted = Instant::now();
        let mut draining: Option<Draining> = None;
        loop {
            let now = Instant::now();
            if now.duration_since(counted) >= BETWEEN_COUNTS {
                counted = now;
                self.count();
            }
            if draining.is_none()
                && let Some(stop) = stopper.asked_at()
            {
                draining = Some(Draining { stop, began: now, last_frame: now });
            }
            if draining.as_ref().is_some_and(|draining| draining.is_over(now)) {
                return Ok(());
            }
            // A busy interface is not held up by the clock.
            for _ in 0..FRAMES_BETWEEN_CLOCKS {
                let Next::Frame(frame) = self.live.next()? else {
                    self.hand_over();
                    break;
                };
                if let Some(draining) = &mut draining {
                    if frame.time.since(draining.stop) > DRAIN_SLACK_NS {
                        return Ok(());
                    }
                    draining.last_frame = now;
                }
                let block = Self::block(
                    &mut self.current,
                    &self.free,
                    self.id,
                    &mut self.made,
                    &mut self.overrun,
                );
                match block {
                    Some(block) => block.push(&frame),
                    None => {
                        self.shared.channel_dropped.fetch_add(1, Ordering::AcqRel);
                    }
                }
                let is_full =
                    self.current.as_ref().is_some_and(|block| block.octets.len() >= BLOCK);
                // A reader that waits gets its frame at once; one that lags gets whole blocks.
                if is_full || self.shared.waiting.load(Ordering::Acquire) == 0 {
                    self.hand_over();
                }
            }
        }
    }

    /// The block to fill: the current one, a returned one, a new one, or none.
    fn block<'a>(
        current: &'a mut Option<Block>,
        free: &Receiver<Block>,
        id: usize,
        made: &mut usize,
        overrun: &mut bool,
    ) -> Option<&'a mut Block> {
        if current.is_none() {
            *current = free.try_recv().ok().or_else(|| {
                if *made < MAX_BLOCKS {
                    *made += 1;
                    return Some(Block { worker: id, frames: Vec::new(), octets: Vec::new() });
                }
                // Waiting again for each frame would only move the loss into libpcap's buffer.
                if *overrun { None } else { free.recv_timeout(WAIT_FOR_BLOCK).ok() }
            });
            *overrun = current.is_none();
        }
        current.as_mut()
    }

    fn hand_over(&mut self) {
        let Some(block) = self.current.take() else { return };
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        drop(self.outgoing.send(Message::Block(block)));
    }

    fn count(&mut self) {
        let losses = self.live.losses();
        *self.shared.losses.lock().unwrap_or_else(PoisonError::into_inner) = losses;
    }
}

impl Block {
    /// An empty one.
    pub(super) fn new(worker: usize) -> Self {
        Self { worker, frames: Vec::new(), octets: Vec::new() }
    }

    /// Adds a frame.
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        self.frames.push(Head {
            time: frame.time,
            link_type: frame.link_type,
            len: frame.len,
            start: self.octets.len(),
            cap_len: frame.data.len(),
        });
        self.octets.extend_from_slice(frame.data);
    }
}

#[cfg(test)]
mod tests {
    use super::super::live::{LiveOptions, interfaces};
    use super::*;
    use crate::model::Vantage;
    use std::net::UdpSocket;

    /// `count` captures of loopback, or none where this user may not capture: said, not passed over.
    fn loopbacks(count: usize) -> Option<Vec<Live>> {
        let all = interfaces().unwrap();
        let name = all.into_iter().find(|one| one.vantage == Vantage::Loopback).unwrap().name;
        (0..count)
            .map(|_| match Live::open(&LiveOptions::new(&name)) {
                Ok(live) => Some(live),
                Err(SourceError::Permission { .. }) => {
                    crate::skip::missing("this user may not capture: it needs CAP_NET_RAW");
                    None
                }
                Err(error) => panic!("{error}"),
            })
            .collect()
    }

    fn send(count: u32, token: &str) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..count {
            let words = format!("{token} {number}");
            sender.send_to(words.as_bytes(), receiver.local_addr().unwrap()).unwrap();
        }
    }

    /// Reads to the end; the frames of each interface that hold `token`.
    fn drain(capture: &mut Capture, token: &str, interfaces: usize) -> Vec<u64> {
        let mut seen = vec![0; interfaces];
        let mut last = 0;
        loop {
            match capture.next().unwrap() {
                Next::Frame(frame) => {
                    assert_eq!(frame.number, last + 1);
                    last = frame.number;
                    if frame.data.windows(token.len()).any(|window| window == token.as_bytes()) {
                        seen[usize::try_from(frame.interface_id).unwrap()] += 1;
                    }
                }
                Next::Idle => {}
                Next::End => return seen,
            }
        }
    }

    #[test]
    fn stop_hands_over_what_the_kernel_still_holds() {
        let _turn = crate::source::turn_on_loopback();
        let Some(lives) = loopbacks(2) else { return };
        let mut capture = Capture::start(lives).unwrap();
        let token = format!("drain-{}", std::process::id());
        send(50, &token);
        capture.stopper().stop();
        assert_eq!(drain(&mut capture, &token, 2), [50, 50]);
        assert!(matches!(capture.next().unwrap(), Next::End), "the end stays the end");
        let losses = capture.losses();
        assert_eq!((losses.drops, losses.channel_dropped), (Drops::Known(0), 0));
        assert_eq!(capture.interface_losses().len(), 2);
    }

    #[test]
    fn a_quiet_capture_is_idle_and_a_dropped_one_ends_its_threads() {
        let _turn = crate::source::turn_on_loopback();
        let Some(lives) = loopbacks(1) else { return };
        let mut capture = Capture::start(lives).unwrap();
        let stopper = capture.stopper();
        let start = Instant::now();
        // Other tests may send at the same time: only that `next` returns is certain.
        while start.elapsed() < Duration::from_millis(200) {
            capture.next().unwrap();
        }
        drop(capture);
        stopper.stop();
    }

    #[test]
    fn a_reader_that_sleeps_loses_nothing_that_the_blocks_can_hold() {
        let _turn = crate::source::turn_on_loopback();
        let Some(lives) = loopbacks(1) else { return };
        let mut capture = Capture::start(lives).unwrap();
        let token = format!("sleep-{}", std::process::id());
        send(20_000, &token);
        std::thread::sleep(Duration::from_millis(100));
        capture.stopper().stop();
        let seen = drain(&mut capture, &token, 1);
        let losses = capture.losses();
        let Drops::Known(dropped) = losses.drops else { panic!("not counted") };
        let sum = seen[0] + dropped + losses.channel_dropped;
        assert!(sum >= 20_000, "{} seen, {losses:?}", seen[0]);
    }

    #[test]
    fn a_reader_that_sleeps_too_long_loses_frames_and_each_is_counted() {
        const LARGE: usize = 60_000;
        let _turn = crate::source::turn_on_loopback();
        let Some(lives) = loopbacks(1) else { return };
        let mut capture = Capture::start(lives).unwrap();
        let token = format!("flood-{} {:LARGE$}", std::process::id(), "");
        // Twice what the blocks hold, so slowly that libpcap's buffer holds each burst.
        let bursts = 2 * MAX_BLOCKS * BLOCK / (8 * LARGE);
        for _ in 0..bursts {
            send(8, &token);
            std::thread::sleep(Duration::from_millis(2));
        }
        capture.stopper().stop();
        let seen = drain(&mut capture, &token, 1);
        let losses = capture.losses();
        let Drops::Known(dropped) = losses.drops else { panic!("not counted") };
        assert!(losses.channel_dropped > 0, "{losses:?}");
        let sum = seen[0] + dropped + losses.channel_dropped;
        assert!(sum >= bursts as u64 * 8, "{} of {bursts} bursts seen, {losses:?}", seen[0]);
    }

    #[test]
    fn frames_beyond_the_blocks_are_counted_as_dropped() {
        let (free_again, free) = channel();
        let (mut current, mut made, mut overrun) = (None, MAX_BLOCKS, false);
        let mut block = || {
            let found = Thread::block(&mut current, &free, 0, &mut made, &mut overrun).is_some();
            (found, overrun)
        };
        let start = Instant::now();
        assert_eq!(block(), (false, true));
        assert!(start.elapsed() >= WAIT_FOR_BLOCK);
        let start = Instant::now();
        assert_eq!(block(), (false, true), "the next frame does not wait again");
        assert!(start.elapsed() < WAIT_FOR_BLOCK);
        free_again.send(Block { worker: 0, frames: Vec::new(), octets: Vec::new() }).unwrap();
        assert_eq!(block(), (true, false));
    }

    #[test]
    fn a_capture_needs_an_interface() {
        assert!(matches!(Capture::start(Vec::new()), Err(SourceError::NoInterfaces)));
    }
}
