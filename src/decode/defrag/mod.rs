//! Puts IP fragments together, in any order, within bounds. The first version of an octet wins; every fragment is
//! searched raw as well, so no version is hidden.

use super::Stop;
use super::view::View;
use crate::model::{Coverage, FrameRef, FrameSpan, Weird};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Datagrams held at a time; a Linux host holds 4 MiB of them. Then the oldest is given up and counted.
const MAX_DATAGRAMS: usize = 4096;

/// Octets of buffers held at a time, for datagrams that are in no tunnel. Then the oldest is given up and counted. Each level
/// of tunnels has half of the one above, so all of them stay below 32 MiB.
const MAX_BYTES: usize = 16 << 20;

/// Ranges of one datagram that do not touch; more is an attempt to eat memory. Then the datagram is given up and counted.
const MAX_RANGES: usize = 2048;

/// Largest datagram: 16 bits of length (RFC 791 s3.1, RFC 8200 s3).
const MAX_DATAGRAM: u32 = 65_535;

/// How long an IPv4 datagram waits for its fragments, in nanoseconds of capture time: as Linux does; RFC 791 s3.2 says 15 s.
const V4_LIFETIME: i64 = 30_000_000_000;

/// The same for IPv6: RFC 8200 s4.5.
const V6_LIFETIME: i64 = 60_000_000_000;

/// What fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FragmentKey {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) id: u32,
    pub(super) proto: u8,
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
    /// In octets.
    pub(super) offset: u32,
    pub(super) more: bool,
    /// The protocol of the whole, as this fragment says.
    pub(super) proto: u8,
    pub(super) body: View<'a>,
}

/// What a fragment led to.
pub(super) enum Outcome<'a> {
    /// It waits for others, or repeats what is known.
    Held,
    /// It was the last that was missing.
    Whole(Whole<'a>),
}

/// A datagram put together.
pub(super) struct Whole<'a> {
    pub(super) frames: FrameSpan,
    pub(super) proto: u8,
    pub(super) bytes: &'a [u8],
}

/// Holds the fragments of datagrams that are not whole, and for a while those that are, to know a repetition.
#[derive(Debug)]
pub(super) struct Defragmenter {
    held: HashMap<FragmentKey, Pending>,
    /// Keys by age; an entry is stale when its serial is not the one held.
    queue: VecDeque<(FragmentKey, u64)>,
    serial: u64,
    bytes: usize,
    /// Octets of buffers allowed.
    max_bytes: usize,
}

#[derive(Debug)]
struct Pending {
    serial: u64,
    first: FrameRef,
    buffer: Vec<u8>,
    /// Ranges of `buffer` that are filled: ascending, not touching.
    filled: Vec<(u32, u32)>,
    /// Length of the whole, once a last fragment was seen.
    total: Option<u32>,
    /// From the first fragment.
    proto: Option<u8>,
    is_done: bool,
}

impl Defragmenter {
    /// One for the datagrams inside `level` tunnels.
    pub(super) fn at_level(level: usize) -> Self {
        Self {
            held: HashMap::new(),
            queue: VecDeque::new(),
            serial: 0,
            bytes: 0,
            max_bytes: MAX_BYTES >> level,
        }
    }

    /// Takes a fragment.
    pub(super) fn insert(
        &mut self,
        fragment: &Fragment<'_>,
        coverage: &mut Coverage,
    ) -> Result<Outcome<'_>, Stop> {
        let length = u32::try_from(fragment.body.wire).unwrap_or(u32::MAX);
        let end = fragment.offset.saturating_add(length);
        if end > MAX_DATAGRAM {
            return Err(Stop::Undecoded(Weird::BadIpLength));
        }
        self.expire(fragment.at, coverage);
        let key = fragment.key;
        if let Some(pending) = self.held.get(&key) {
            let is_old = fragment.at.time.since(pending.first.time) > key.lifetime();
            if is_old || (pending.is_done && !pending.repeats(fragment)) {
                self.drop_pending(&key, coverage);
            } else if pending.is_done {
                return Ok(Outcome::Held);
            }
        }
        if !self.held.contains_key(&key) {
            self.make_room(coverage);
            self.serial += 1;
            self.queue.push_back((key, self.serial));
            self.held.insert(key, Pending::new(self.serial, fragment.at));
        }
        let Some(pending) = self.held.get_mut(&key) else { return Ok(Outcome::Held) };
        let before = pending.buffer.capacity();
        coverage.fragment_conflicts += pending.add(fragment, end);
        self.bytes = self.bytes + pending.buffer.capacity() - before;
        if pending.filled.len() > MAX_RANGES {
            self.drop_pending(&key, coverage);
            return Ok(Outcome::Held);
        }
        let Some(pending) = self.held.get_mut(&key) else { return Ok(Outcome::Held) };
        match (pending.filled.as_slice(), pending.total, pending.proto) {
            (&[(0, filled)], Some(total), Some(proto)) if filled >= total => {
                pending.is_done = true;
                let bytes =
                    usize::try_from(total).ok().and_then(|total| pending.buffer.get(..total));
                Ok(Outcome::Whole(Whole {
                    frames: FrameSpan { first: pending.first, last: fragment.at.number },
                    proto,
                    bytes: bytes.unwrap_or_default(),
                }))
            }
            _ => Ok(Outcome::Held),
        }
    }

    /// Gives up everything that is held.
    pub(super) fn finish(&mut self, coverage: &mut Coverage) {
        let waiting = self.held.values().filter(|pending| !pending.is_done).count();
        coverage.fragments_expired += waiting as u64;
        self.held.clear();
        self.queue.clear();
        self.bytes = 0;
    }

    fn expire(&mut self, now: FrameRef, coverage: &mut Coverage) {
        while let Some(&(key, serial)) = self.queue.front() {
            let pending = self.held.get(&key).filter(|pending| pending.serial == serial);
            if pending.is_some_and(|held| now.time.since(held.first.time) <= key.lifetime()) {
                return;
            }
            if pending.is_some() {
                self.drop_pending(&key, coverage);
            }
            self.queue.pop_front();
        }
    }

    fn make_room(&mut self, coverage: &mut Coverage) {
        while self.queue.len() >= MAX_DATAGRAMS || self.bytes > self.max_bytes {
            let Some((key, serial)) = self.queue.pop_front() else { return };
            if self.held.get(&key).is_some_and(|pending| pending.serial == serial) {
                self.drop_pending(&key, coverage);
            }
        }
    }

    fn drop_pending(&mut self, key: &FragmentKey, coverage: &mut Coverage) {
        if let Some(pending) = self.held.remove(key) {
            self.bytes -= pending.buffer.capacity();
            coverage.fragments_expired += u64::from(!pending.is_done);
        }
    }
}

impl Pending {
    const fn new(serial: u64, first: FrameRef) -> Self {
        Self {
            serial,
            first,
            buffer: Vec::new(),
            filled: Vec::new(),
            total: None,
            proto: None,
            is_done: false,
        }
    }

    /// Whether a fragment says nothing that is not known already.
    fn repeats(&self, fragment: &Fragment<'_>) -> bool {
        let start = fragment.offset as usize;
        let end = start + fragment.body.bytes.len();
        let is_last = self.total == u32::try_from(start + fragment.body.wire).ok();
        is_last != fragment.more && self.buffer.get(start..end) == Some(fragment.body.bytes)
    }

    /// Fills in a fragment; returns how many octets of it contradict what was there.
    fn add(&mut self, fragment: &Fragment<'_>, wire_end: u32) -> u64 {
        let mut conflicts = 0;
        if fragment.offset == 0 && self.proto.is_none() {
            self.proto = Some(fragment.proto);
        }
        if !fragment.more {
            if let Some(total) = self.total {
                conflicts += u64::from(total.abs_diff(wire_end));
            } else {
                let known_end = self.filled.last().map_or(0, |last| last.1);
                conflicts += u64::from(known_end.saturating_sub(wire_end));
                self.total = Some(wire_end);
            }
        }
        let Ok(length) = u32::try_from(fragment.body.bytes.len()) else { return conflicts };
        let (start, end) = (fragment.offset, fragment.offset.saturating_add(length));
        if let Some(total) = self.total {
            conflicts += u64::from(end.saturating_sub(total.max(start)));
        }
        if length == 0 {
            return conflicts;
        }
        if self.buffer.len() < end as usize {
            self.buffer.resize(end as usize, 0);
        }
        // The ranges that the fragment touches are replaced by one; what they hold already stays.
        let low = self.filled.partition_point(|range| range.1 < start);
        let high = self.filled.partition_point(|range| range.0 <= end);
        let mut cursor = start;
        let mut joined = (start, end);
        for &(from, to) in self.filled.get(low..high).unwrap_or_default() {
            joined = (joined.0.min(from), joined.1.max(to));
            let (shared_from, shared_to) = (from.max(start), to.min(end));
            copy(&mut self.buffer, fragment, cursor, shared_from);
            if shared_from < shared_to {
                conflicts += differing(&self.buffer, fragment, shared_from, shared_to);
            }
            cursor = cursor.max(shared_to);
        }
        copy(&mut self.buffer, fragment, cursor, end);
        self.filled.splice(low..high, [joined]);
        conflicts
    }
}

/// The octets `from..to` of the datagram as the fragment has them.
fn part<'a>(fragment: &Fragment<'a>, from: u32, to: u32) -> &'a [u8] {
    let (from, to) = (from.saturating_sub(fragment.offset), to.saturating_sub(fragment.offset));
    fragment.body.bytes.get(from as usize..to as usize).unwrap_or_default()
}

fn copy(buffer: &mut [u8], fragment: &Fragment<'_>, from: u32, to: u32) {
    if from >= to {
        return;
    }
    if let Some(free) = buffer.get_mut(from as usize..to as usize) {
        let octets = part(fragment, from, to);
        if free.len() == octets.len() {
            free.copy_from_slice(octets);
        }
    }
}

fn differing(buffer: &[u8], fragment: &Fragment<'_>, from: u32, to: u32) -> u64 {
    let known = buffer.get(from as usize..to as usize).unwrap_or_default();
    known.iter().zip(part(fragment, from, to)).filter(|(a, b)| a != b).count() as u64
}
