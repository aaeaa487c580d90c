//! Puts IP fragments together, in any order, within bounds, and without a choice between receivers: where fragments
//! overlap with other content, the first version becomes the datagram and the others are handed on beside it.
//!
//! In: fragments. Out: whole datagrams (`Outcome`), and what else a receiver may have made of them (`late`): other versions,
//! and the joined octets of datagrams that never became whole. Never: a silent loss; each fragment is searched raw as well.

mod late;
mod pending;
#[cfg(test)]
mod tests;
mod versions;

pub(super) use late::Late;

use super::Stop;
use super::view::View;
use crate::model::{Coverage, Encapsulation, FrameRef, FrameSpan, Weird};
use late::{About, Arena};
use pending::Pending;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Datagrams held at a time, the whole ones among them. Then the oldest leaves, whole ones first.
const MAX_DATAGRAMS: usize = 4096;

/// Octets held at a time, with 64 a fragment and 256 a datagram for their keeping: what a Linux host holds. Each level of
/// tunnels holds half of the one around it. Then the oldest datagram leaves, whole ones first. Each thread that reads a
/// recording holds as much: with four of them all bounds together stay below 256 MiB.
const MAX_BYTES: usize = 4 << 20;

/// Octets that a level of tunnels holds at least: four of the largest datagrams.
const MIN_BYTES: usize = 256 << 10;

/// Protocols under one identification that are told apart; beyond it, fragments are taken to belong to the last.
const MAX_PROTOCOLS: usize = 4;

/// Largest datagram: 16 bits of length (RFC 791 s3.1, RFC 8200 s3).
const MAX_DATAGRAM: u32 = 65_535;

/// How long an IPv4 datagram waits for its fragments, in nanoseconds of capture time: as Linux does; RFC 791 s3.2 says 15 s.
const V4_LIFETIME: i64 = 30_000_000_000;

/// The same for IPv6: RFC 8200 s4.5.
const V6_LIFETIME: i64 = 60_000_000_000;

/// Places of queues that are let be when their datagram has gone, beside as many as there are datagrams.
const STALE_ENTRIES: usize = 1024;

/// What fragments of one datagram have in common, whatever receivers make of the protocol: RFC 791 s3.2 tells fragments
/// apart by it, RFC 8200 s4.5 does not, and some stacks never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FragmentKey {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) id: u32,
    /// The tunnels that it came through, see `Encapsulation::way`.
    pub(super) way: u64,
}

impl FragmentKey {
    const fn lifetime(&self) -> i64 {
        if self.src.is_ipv4() { V4_LIFETIME } else { V6_LIFETIME }
    }
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: FragmentKey,
    pub(super) at: FrameRef,
    pub(super) interface_id: u32,
    /// The layers that carried it.
    pub(super) path: &'a Encapsulation,
    /// In octets.
    pub(super) offset: u32,
    pub(super) more: bool,
    /// The protocol of the whole, as this fragment says.
    pub(super) proto: u8,
    pub(super) body: View<'a>,
}

impl Fragment<'_> {
    /// The protocol by which fragments are told apart.
    const fn key_proto(&self) -> u8 {
        if self.key.src.is_ipv4() { self.proto } else { 0 }
    }
}

/// What a fragment led to.
pub(super) enum Outcome<'a> {
    /// It waits for others, or repeats what is known.
    Held,
    /// It was the last that was missing.
    Whole(Whole<'a>),
}

/// A datagram put together: the first version of every octet.
pub(super) struct Whole<'a> {
    pub(super) frames: FrameSpan,
    pub(super) proto: u8,
    pub(super) bytes: &'a [u8],
}

/// Holds the fragments of datagrams that are not whole, and for a while those that are, to know a repetition.
#[derive(Debug)]
pub(super) struct Defragmenter {
    max_bytes: usize,
    held: HashMap<FragmentKey, Group>,
    /// Keys by age; an entry is stale when its serial is not the one held.
    waiting: VecDeque<(FragmentKey, u64)>,
    /// Keys of datagrams that are whole, in the order in which they became so.
    done: VecDeque<(FragmentKey, u64)>,
    serial: u64,
    bytes: usize,
    /// The datagram that was put together last.
    whole: Vec<u8>,
    jobs: VecDeque<Job>,
    arena: Arena,
}

/// The datagrams of one identification, one for each protocol.
#[derive(Debug)]
struct Group {
    serial: u64,
    first: FrameRef,
    members: Vec<Pending>,
    /// Whole versions that were handed on since one was whole.
    placed: usize,
}

impl Group {
    fn is_done(&self) -> bool {
        self.members.iter().all(|it| it.is_done)
    }

    fn charge(&self) -> usize {
        self.members.iter().map(Pending::charge).sum()
    }
}

/// What is to be handed on beside what is in the arena.
#[derive(Debug)]
enum Job {
    /// The versions of a datagram that became whole: which member of its group.
    Versions(FragmentKey, usize),
    /// What a datagram that never became whole holds.
    Remains(FragmentKey, Box<Pending>),
}

impl Defragmenter {
    /// For fragments inside `level` tunnels. All levels together hold less than 8 MiB and 256 KiB a level.
    pub(super) fn at_level(level: usize) -> Self {
        let shift = u32::try_from(level).unwrap_or(u32::MAX);
        Self {
            max_bytes: MAX_BYTES.checked_shr(shift).unwrap_or_default().max(MIN_BYTES),
            held: HashMap::new(),
            waiting: VecDeque::new(),
            done: VecDeque::new(),
            serial: 0,
            bytes: 0,
            whole: Vec::new(),
            jobs: VecDeque::new(),
            arena: Arena::default(),
        }
    }

    /// Holds the part of it that is one of so many decoders'.
    pub(super) fn share(&mut self, decoders: usize) {
        self.max_bytes = (self.max_bytes / decoders.max(1)).max(MIN_BYTES);
    }

    /// Takes a fragment. Afterwards `late` must be asked until it has nothing.
    pub(super) fn insert(
        &mut self,
        fragment: &Fragment<'_>,
        coverage: &mut Coverage,
    ) -> Result<Outcome<'_>, Stop> {
        let wire = u32::try_from(fragment.body.wire).unwrap_or(u32::MAX);
        let end = fragment.offset.saturating_add(wire);
        if end > 2 * MAX_DATAGRAM {
            return Err(Stop::Undecoded(Weird::BadIpLength));
        }
        let key = fragment.key;
        self.expire(fragment.at, coverage);
        let is_old = |group: &Group| fragment.at.time.since(group.first.time) > key.lifetime();
        if self.held.get(&key).is_some_and(is_old) {
            self.give_up(&key, coverage);
        }
        self.make_room(fragment.body.bytes.len(), coverage);
        let whole = self.add(fragment, coverage);
        if end > MAX_DATAGRAM {
            // No receiver should take it; what it joins up with is handed on with the rest.
            return Err(Stop::Undecoded(Weird::BadIpLength));
        }
        Ok(match whole {
            Some((frames, proto)) => Outcome::Whole(Whole { frames, proto, bytes: &self.whole }),
            None => Outcome::Held,
        })
    }

    /// Whether `late` has something.
    pub(super) fn has_late(&self) -> bool {
        self.arena.has_next() || !self.jobs.is_empty()
    }

    /// The next octets that some receiver may have taken for a datagram, or for a part of one.
    pub(super) fn late(&mut self) -> Option<Late<'_>> {
        while !self.arena.has_next() {
            self.arena.clear();
            let job = self.jobs.pop_front()?;
            self.work(job);
        }
        self.arena.next()
    }

    /// Gives back what `late` was last asked for, where it has nothing more.
    pub(super) fn tidy(&mut self) {
        if !self.arena.has_next() {
            self.arena.clear();
        }
    }

    /// Gives up everything that is held.
    pub(super) fn finish(&mut self, coverage: &mut Coverage) {
        while let Some((key, serial)) = self.waiting.pop_front() {
            if self.held.get(&key).is_some_and(|group| group.serial == serial) {
                self.give_up(&key, coverage);
            }
        }
        self.done.clear();
        self.held.clear();
        self.bytes = 0;
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Versions(key, index) => {
                let group = self.held.get(&key);
                let Some(pending) = group.and_then(|group| group.members.get(index)) else {
                    return;
                };
                self.arena.set_about(about(&key, pending));
                let run = pending.first_run();
                versions::hand_on(pending, run, pending.total(), &mut self.arena);
            }
            Job::Remains(key, pending) => {
                self.arena.set_about(about(&key, &pending));
                for run in pending.runs() {
                    // A single fragment was searched as it came.
                    let known = (run.pieces == 1 && run.from > 0).then_some(run.to);
                    versions::hand_on(&pending, run, known, &mut self.arena);
                }
            }
        }
    }

    /// Adds a fragment to what is held; says what became whole, and leaves it in `whole`.
    fn add(&mut self, fragment: &Fragment<'_>, coverage: &mut Coverage) -> Option<(FrameSpan, u8)> {
        let key = fragment.key;
        let group = self.held.entry(key).or_insert_with(|| {
            self.serial += 1;
            self.waiting.push_back((key, self.serial));
            Group { serial: self.serial, first: fragment.at, members: Vec::new(), placed: 0 }
        });
        let before = group.charge();
        let known = group.members.iter().position(|it| it.proto == fragment.key_proto());
        let index = match known {
            Some(index) => index,
            None if group.members.len() < MAX_PROTOCOLS => {
                group.members.push(Pending::new(fragment));
                group.members.len() - 1
            }
            None => MAX_PROTOCOLS - 1,
        };
        let pending = group.members.get_mut(index)?;
        if pending.is_done {
            if pending.repeats(fragment) {
                return None;
            }
            // Another datagram of the same identification begins, or one of the fragments before has another version.
            let mut previous = std::mem::replace(pending, Pending::new(fragment));
            previous.previous = None;
            pending.previous = Some(Box::new(previous));
            group.first = fragment.at;
            self.serial += 1;
            group.serial = self.serial;
            self.waiting.push_back((key, self.serial));
        }
        if let Some(previous) = &mut pending.previous
            && !previous.repeats(fragment)
        {
            let is_cut = group.placed >= versions::MAX_WHOLE;
            group.placed += 1;
            let frames = FrameSpan { first: previous.first, last: fragment.at.number };
            self.arena.set_about(About { frames, ..about(&key, previous) });
            previous.place(fragment, is_cut, versions::CONTEXT, &mut self.arena);
            previous.keep_other(fragment.offset, fragment.body.bytes);
        }
        let added = pending.add(fragment);
        coverage.fragment_conflicts += added.conflicts;
        if added.is_spilled {
            self.arena.set_about(about(&key, pending));
            pending.place(fragment, true, versions::CONTEXT, &mut self.arena);
        }
        let whole = pending.whole().zip(pending.head()).map(|(total, proto)| {
            pending.is_done = true;
            pending.previous = None;
            self.whole.clear();
            pending.copy(0, total, &mut self.whole);
            if !pending.others().is_empty() || pending.first_run().to > total {
                self.jobs.push_back(Job::Versions(key, index));
            }
            (FrameSpan { first: pending.first, last: fragment.at.number }, proto)
        });
        let is_done = whole.is_some() && group.is_done();
        let serial = group.serial;
        self.bytes = self.bytes + group.charge() - before;
        if is_done {
            self.done.push_back((key, serial));
        }
        whole
    }

    fn expire(&mut self, now: FrameRef, coverage: &mut Coverage) {
        while let Some(&(key, serial)) = self.waiting.front() {
            let group = self.held.get(&key).filter(|group| group.serial == serial);
            if group.is_some_and(|it| now.time.since(it.first.time) <= key.lifetime()) {
                return;
            }
            if group.is_some() {
                self.give_up(&key, coverage);
            }
            self.waiting.pop_front();
        }
    }

    /// Makes room for a fragment: whole datagrams leave first, then those that wait longest.
    fn make_room(&mut self, len: usize, coverage: &mut Coverage) {
        while self.held.len() >= MAX_DATAGRAMS || self.bytes + len > self.max_bytes {
            let is_whole = !self.done.is_empty();
            let queue = if is_whole { &mut self.done } else { &mut self.waiting };
            let Some((key, serial)) = queue.pop_front() else { break };
            let group = self.held.get(&key).filter(|group| group.serial == serial);
            if group.is_some_and(|group| !is_whole || group.is_done()) {
                self.give_up(&key, coverage);
            }
        }
        for queue in [&mut self.waiting, &mut self.done] {
            if queue.len() > 2 * self.held.len() + STALE_ENTRIES {
                let held = &self.held;
                queue.retain(|(key, serial)| held.get(key).is_some_and(|it| it.serial == *serial));
            }
        }
    }

    /// Takes what is held under a key; what is not whole is counted, and handed on as it is.
    fn give_up(&mut self, key: &FragmentKey, coverage: &mut Coverage) {
        let Some(group) = self.held.remove(key) else { return };
        self.bytes -= group.charge();
        let mut joined: Option<Pending> = None;
        for pending in group.members.into_iter().filter(|it| !it.is_done) {
            coverage.fragments_expired += 1;
            match &mut joined {
                Some(joined) => joined.absorb(&pending),
                None => joined = Some(pending),
            }
        }
        if let Some(pending) = joined {
            self.jobs.push_back(Job::Remains(*key, Box::new(pending)));
        }
    }
}

fn about(key: &FragmentKey, pending: &Pending) -> About {
    About {
        src: key.src,
        dst: key.dst,
        frames: FrameSpan { first: pending.first, last: pending.last },
        interface_id: pending.interface_id,
        path: pending.path.clone(),
    }
}
