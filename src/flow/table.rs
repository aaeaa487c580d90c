//! The conn table: a slab of conns, found by key, left in the order of their silence.

use super::Limits;
use super::conn::{Conn, Meta, conn_id};
use super::key::{Index, Key};
use super::out::{Out, Shared};
use super::queue::{Entry, Kind, Queue};
use super::tcp::Tcp;
use super::udp;
use crate::model::{ChunkSink, ConnSlot, Coverage, Direction, Proto, Segment, TcpFlags, Uid};
use std::collections::HashSet;

/// Ends of closed conns that are remembered, about 1 MiB; beyond it every conn without a beginning is taken for one that goes on.
pub(super) const MAX_GONE: usize = 1 << 14;

/// Every conn that is open, and what was missed in all.
#[derive(Debug)]
pub struct ConnTable {
    index: Index,
    slots: Vec<Option<Conn>>,
    free: Vec<u32>,
    queues: [Queue; 4],
    next_uid: u64,
    /// The highest time seen: the time of a capture may go back, that of the table does not.
    now: i64,
    shared: Shared,
    /// Ends of conns with payload that closed and left the table.
    gone: HashSet<Key>,
    /// `gone` was full: any conn without a beginning may then be the end of one that was closed.
    has_forgotten: bool,
}

impl ConnTable {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            index: Index::new(),
            slots: Vec::new(),
            free: Vec::new(),
            queues: Default::default(),
            next_uid: 1,
            now: i64::MIN,
            shared: Shared {
                limits,
                coverage: Coverage::default(),
                held_bytes: 0,
                tail_bytes: 0,
                is_starved: false,
                scratch: Vec::new(),
            },
            gone: HashSet::new(),
            has_forgotten: false,
        }
    }

    /// Takes the next segment; hands what follows from it to `sink`.
    pub fn push<S: ChunkSink>(&mut self, segment: &Segment<'_>, sink: &mut S) {
        self.now = self.now.max(segment.at().time.as_nanos());
        self.expire(sink);
        let key = Key::of(segment.src, segment.dst, segment.proto, segment.encap.realm());
        let slot = match self.index.get(key) {
            Some(slot) if segment.is_alternate => {
                self.push_alternate(slot, segment, sink);
                return;
            }
            Some(slot) if self.is_reused(slot, segment) => {
                self.close(slot, false, sink);
                let slot = self.open(key, segment, sink);
                self.mark_reused(slot);
                slot
            }
            Some(slot) => slot,
            None => {
                let slot = self.open(key, segment, sink);
                // Payload without a SYN, where a conn was closed: its FINs may not have been believed, and it goes on.
                let opens = segment.tcp.is_some_and(|it| it.flags.has(TcpFlags::SYN));
                if !opens && (self.has_forgotten || self.gone.contains(&key)) {
                    self.mark_reused(slot);
                }
                slot
            }
        };
        let Some(conn) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let before = kind(conn);
        conn.meta.saw(segment, self.now);
        let dir = conn.meta.direction(segment);
        let Conn { meta, tcp } = conn;
        let mut out = Out { sink, slot: ConnSlot(slot), dir, meta, shared: &mut self.shared };
        match (tcp, &segment.tcp) {
            (Some(tcp), Some(header)) => tcp.push(segment, header, &mut out),
            _ => udp::push(segment, &mut out),
        }
        let after = kind(conn);
        if after != before {
            let entry = Entry { slot, uid: conn.meta.uid.0, stamp: self.now };
            self.queue(before).live -= 1;
            self.queue(after).push(entry);
            self.sweep(before);
        }
        if self.shared.is_starved {
            self.forget_tails();
        }
    }

    /// Takes another version of a segment: its octets are searched in their place, and nothing else follows from it.
    fn push_alternate<S: ChunkSink>(&mut self, slot: u32, segment: &Segment<'_>, sink: &mut S) {
        let Some(Some(Conn { meta, tcp })) = self.slots.get_mut(slot as usize) else { return };
        let dir = meta.direction(segment);
        let mut out = Out { sink, slot: ConnSlot(slot), dir, meta, shared: &mut self.shared };
        match (tcp, &segment.tcp) {
            (Some(tcp), Some(header)) => {
                let is_syn = header.flags.has(TcpFlags::SYN);
                let seq = if is_syn { header.seq.plus(1) } else { header.seq };
                tcp.stream(dir).stray(seq, segment.payload, segment.frames, &mut out);
            }
            _ if segment.payload.is_empty() => {}
            _ => out.alternate(0, segment.payload, segment.frames),
        }
    }

    /// Ends the input: every conn is closed, in the order of their first frames.
    pub fn finish<S: ChunkSink>(&mut self, sink: &mut S) {
        let mut open: Vec<(u64, u32)> = (0_u32..)
            .zip(&self.slots)
            .filter_map(|(slot, conn)| Some((conn.as_ref()?.meta.uid.0, slot)))
            .collect();
        open.sort_unstable();
        for (_, slot) in open {
            self.close(slot, false, sink);
        }
        self.queues = Default::default();
    }

    /// What was missed so far: `missed_bytes`, `conflict_bytes`, `midstream_conns`, `conns_evicted`.
    pub const fn coverage(&self) -> &Coverage {
        &self.shared.coverage
    }

    fn conn(&self, slot: u32) -> Option<&Conn> {
        self.slots.get(slot as usize)?.as_ref()
    }

    fn is_reused(&self, slot: u32, segment: &Segment<'_>) -> bool {
        let Some(Conn { meta, tcp: Some(tcp) }) = self.conn(slot) else { return false };
        segment.tcp.is_some_and(|header| tcp.is_reused_by(&header, meta.direction(segment)))
    }

    fn mark_reused(&mut self, slot: u32) {
        if let Some(Some(Conn { tcp: Some(tcp), .. })) = self.slots.get_mut(slot as usize) {
            tcp.is_reused = true;
        }
    }

    fn open<S: ChunkSink>(&mut self, key: Key, segment: &Segment<'_>, sink: &mut S) -> u32 {
        if self.slots.len() - self.free.len() >= self.shared.limits.max_conns.max(1) {
            self.evict(sink);
        }
        let uid = Uid(self.next_uid);
        self.next_uid += 1;
        let conn = Conn {
            meta: Meta::new(uid, conn_id(segment), segment),
            tcp: (segment.proto == Proto::TCP && segment.tcp.is_some()).then(Tcp::default),
        };
        let kind = kind(&conn);
        let id = conn.meta.id;
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(free) = self.slots.get_mut(slot as usize) {
                *free = Some(conn);
            }
            slot
        } else {
            self.slots.push(Some(conn));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        self.index.insert(key, slot);
        let entry = Entry { slot, uid: uid.0, stamp: self.now };
        self.queue(kind).push(entry);
        sink.opened(ConnSlot(slot), uid, &id, segment.at());
        slot
    }

    fn close<S: ChunkSink>(&mut self, slot: u32, is_evicted: bool, sink: &mut S) {
        let Some(Conn { mut meta, mut tcp }) =
            self.slots.get_mut(slot as usize).and_then(Option::take)
        else {
            return;
        };
        let kind = kind_of(tcp.as_ref());
        let key = Key::of(meta.id.orig, meta.id.resp, meta.id.proto, meta.realm);
        if kind == Kind::Closed && tcp.as_ref().is_some_and(Tcp::has_data) {
            if self.gone.len() < MAX_GONE {
                self.gone.insert(key);
            } else {
                self.has_forgotten = true;
            }
        }
        self.queue(kind).live -= 1;
        self.sweep(kind);
        if let Some(tcp) = &mut tcp {
            let dir = Direction::OrigToResp;
            let shared = &mut self.shared;
            tcp.flush(&mut Out { sink, slot: ConnSlot(slot), dir, meta: &mut meta, shared });
        }
        self.index.remove(key);
        self.free.push(slot);
        sink.closed(ConnSlot(slot), meta.record(is_evicted));
    }

    /// Closes the conns whose time is over.
    fn expire<S: ChunkSink>(&mut self, sink: &mut S) {
        let limits = self.shared.limits;
        for (kind, timeout) in
            [(Kind::Closed, limits.linger_ns), (Kind::Datagram, limits.datagram_idle_ns)]
        {
            let deadline = self.now.saturating_sub(timeout);
            while self.queue(kind).entries.front().is_some_and(|front| front.stamp < deadline) {
                if let Some(slot) = self.pop_silent(kind) {
                    self.close(slot, false, sink);
                }
            }
        }
    }

    /// Makes room for one conn.
    fn evict<S: ChunkSink>(&mut self, sink: &mut S) {
        for kind in Kind::ALL {
            while !self.queue(kind).entries.is_empty() {
                if let Some(slot) = self.pop_silent(kind) {
                    let is_evicted = kind != Kind::Closed;
                    self.shared.coverage.conns_evicted += u64::from(is_evicted);
                    self.close(slot, is_evicted, sink);
                    return;
                }
            }
        }
    }

    /// Takes the front of a queue, unless it is stale or its conn was active since: that goes to the back.
    fn pop_silent(&mut self, kind: Kind) -> Option<u32> {
        let mut entry = self.queue(kind).entries.pop_front()?;
        let conn = self.conn(entry.slot)?;
        if conn.meta.uid.0 != entry.uid || self::kind(conn) != kind {
            return None;
        }
        if conn.meta.touched > entry.stamp {
            entry.stamp = conn.meta.touched;
            self.queue(kind).entries.push_back(entry);
            return None;
        }
        Some(entry.slot)
    }

    /// Takes the memory of tails back, a quarter at least, from the conns that were silent longest.
    fn forget_tails(&mut self) {
        self.shared.is_starved = false;
        let enough = self.shared.limits.tail_bytes_total / 4 * 3;
        for queue in &self.queues {
            for entry in &queue.entries {
                if self.shared.tail_bytes <= enough {
                    return;
                }
                if let Some(Some(Conn { tcp: Some(tcp), .. })) =
                    self.slots.get_mut(entry.slot as usize)
                {
                    tcp.orig.release_tail(&mut self.shared);
                    tcp.resp.release_tail(&mut self.shared);
                }
            }
        }
    }

    const fn queue(&mut self, kind: Kind) -> &mut Queue {
        let [closed, embryo, datagram, open] = &mut self.queues;
        match kind {
            Kind::Closed => closed,
            Kind::Embryo => embryo,
            Kind::Datagram => datagram,
            Kind::Open => open,
        }
    }

    fn sweep(&mut self, kind: Kind) {
        if !self.queue(kind).is_littered() {
            return;
        }
        let mut entries = std::mem::take(&mut self.queue(kind).entries);
        entries.retain(|entry| {
            self.conn(entry.slot)
                .is_some_and(|conn| conn.meta.uid.0 == entry.uid && self::kind(conn) == kind)
        });
        self.queue(kind).entries = entries;
    }
}

fn kind(conn: &Conn) -> Kind {
    kind_of(conn.tcp.as_ref())
}

fn kind_of(tcp: Option<&Tcp>) -> Kind {
    match tcp {
        None => Kind::Datagram,
        Some(tcp) if tcp.is_gone() => Kind::Closed,
        Some(tcp) if tcp.has_data() => Kind::Open,
        Some(_) => Kind::Embryo,
    }
}
