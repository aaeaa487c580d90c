//! The conn table: a slab of conns, found by key, left in the order of their silence.

use super::Limits;
use super::conn::{Conn, Meta, conn_id};
use super::gone::Gone;
use super::key::{ConnKey, Index, Key};
use super::list::{Kind, Link, Links, List};
use super::out::{Out, Shared};
use super::tcp::Tcp;
use super::udp;
use crate::model::{
    ChunkSink, ConnSlot, Coverage, Direction, Proto, Segment, TcpFlags, Uid, fetch,
};

/// A place for a conn. Frames do not move a conn in its list: it is looked at again when it comes to the front, so that a
/// frame costs nothing there.
#[derive(Debug, Default)]
struct Slot {
    conn: Option<Conn>,
    by_kind: Link,
    by_wealth: Link,
    /// Its kind, of which list it is.
    kind: Option<Kind>,
    is_rich: bool,
    /// Frames with payload since what is held for it was looked at.
    uncharged: u8,
    /// Octets charged for what is held for it elsewhere.
    held: u32,
    /// When it was put in its list, in the table's time.
    stamp: i64,
}

/// Frames with payload from which a conn that speaks is looked at again: to ask what it holds costs as much as to find it.
const UNCHARGED: u8 = 4;

/// Frames of a conn up to which it is looked at each time: most of what it holds comes with its first words.
const CHARGED_AT_ONCE: u64 = 16;

/// Conns from which a table is larger than the caches.
const LARGE: usize = 4096;

/// Segments that are expected at a time.
pub const AHEAD: usize = 32;

/// Octets charged for a conn that holds nothing: its place here, in the index and in the sink's list.
const PLACE: usize = size_of::<Slot>() + 16 + 64;

#[derive(Debug, Default)]
struct Slots(Vec<Slot>);

impl Slots {
    fn get(&self, slot: u32) -> Option<&Slot> {
        self.0.get(slot as usize)
    }

    fn get_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.0.get_mut(slot as usize)
    }

    fn conn(&self, slot: u32) -> Option<&Conn> {
        self.get(slot)?.conn.as_ref()
    }
}

struct ByKind<'a>(&'a mut Slots);

impl Links for ByKind<'_> {
    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        self.0.get_mut(slot).map(|slot| &mut slot.by_kind)
    }
}

struct ByWealth<'a>(&'a mut Slots);

impl Links for ByWealth<'_> {
    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        self.0.get_mut(slot).map(|slot| &mut slot.by_wealth)
    }
}

/// Every conn that is open, and what was missed in all.
#[derive(Debug)]
pub struct ConnTable {
    index: Index,
    slots: Slots,
    free: Vec<u32>,
    /// The conns of each kind, those first that were looked at longest ago.
    kinds: [List; 5],
    /// Closed conns, and those that are not TCP.
    closed: usize,
    datagram: usize,
    /// Octets charged for all, and for the closed ones.
    held: usize,
    closed_held: usize,
    /// The conns that keep more than their place.
    rich: List,
    next_uid: u64,
    /// The highest time seen: the time of a capture may go back, that of the table does not.
    now: i64,
    shared: Shared,
    /// Ends of conns with payload that were closed and whose time was over.
    gone: Gone,
    /// The same of conns that left for others' room, whatever they were.
    left: Gone,
    /// The conns whose segments come next.
    expected: Vec<ConnSlot>,
}

impl ConnTable {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            index: Index::new(),
            slots: Slots::default(),
            free: Vec::new(),
            kinds: Default::default(),
            closed: 0,
            datagram: 0,
            held: 0,
            closed_held: 0,
            rich: List::default(),
            next_uid: 1,
            now: i64::MIN,
            shared: Shared {
                limits,
                coverage: Coverage::default(),
                held_bytes: 0,
                tail_bytes: 0,
                version_bytes: 0,
                search_budget: limits.search_budget,
                is_starved: false,
                scratch: Vec::new(),
                spare: Vec::new(),
            },
            gone: Gone::of_words(limits.gone_words),
            left: Gone::of_words(limits.gone_words),
            expected: Vec::new(),
        }
    }

    /// The number of the conn that is opened next: one more than the last, unless `number_from` says another.
    pub const fn next_number(&self) -> u64 {
        self.next_uid
    }

    /// Numbers conns that are opened from now on from here.
    pub const fn number_from(&mut self, number: u64) {
        self.next_uid = number;
    }

    /// Takes the next segment; hands what follows from it to `sink`.
    pub fn push<S: ChunkSink>(&mut self, segment: &Segment<'_>, sink: &mut S) {
        self.push_of(ConnKey::of(segment), segment, sink);
    }

    /// The same, where the key of its conn is known already.
    pub fn push_of<S: ChunkSink>(
        &mut self,
        ConnKey(key): ConnKey,
        segment: &Segment<'_>,
        sink: &mut S,
    ) {
        self.now = self.now.max(segment.at().time.as_nanos());
        self.expire(sink);
        let (index, slots) = (&self.index, &self.slots);
        let slot = index.get(key, |slot| slots.conn(slot).is_some_and(|it| it.meta.is_of(segment)));
        let mut goes_on = false;
        let slot = match slot {
            Some(slot) if segment.is_alternate => {
                self.push_alternate(slot, segment, sink);
                return;
            }
            Some(slot) if self.is_reused(slot, segment) => {
                self.close(slot, End::Time, sink);
                let slot = self.open(key, segment, sink);
                self.mark_reused(slot);
                slot
            }
            Some(slot) => slot,
            None => {
                let slot = self.open(key, segment, sink);
                // Payload without a SYN, where a conn was closed: its FINs may not have been believed, and it goes on. One
                // that had to leave may go on in spite of a SYN, as if it were still there.
                let opens = segment.tcp.is_some_and(|it| it.flags.has(TcpFlags::SYN));
                goes_on = self.left.may_hold(key) || !opens && self.gone.may_hold(key);
                if goes_on {
                    self.mark_reused(slot);
                }
                slot
            }
        };
        let Some(conn) = self.slots.get_mut(slot).and_then(|slot| slot.conn.as_mut()) else {
            return;
        };
        conn.meta.saw(segment, self.now);
        let dir = conn.meta.direction(segment);
        let Conn { meta, tcp } = conn;
        let mut out = Out { sink, slot: ConnSlot(slot), dir, meta, shared: &mut self.shared };
        if let (Some(tcp), Some(header)) = (tcp, &segment.tcp) {
            tcp.push(segment, header, &mut out);
        } else {
            // What came before is not joined with it.
            out.conflict(u64::from(goes_on && !segment.payload.is_empty()));
            udp::push(segment, &mut out);
        }
        self.enlist(slot);
        if !segment.payload.is_empty() || segment.cut > 0 {
            self.charge(slot, sink);
        }
        let limits = self.shared.limits;
        if self.closed > limits.max_closed || self.closed_held > limits.closed_bytes_total {
            let most = some_less(limits.max_closed);
            while (self.closed > most || self.closed_held > limits.closed_bytes_total)
                && self.evict(Kind::Closed, Some(slot), sink)
            {}
        }
        if self.datagram > limits.max_datagram {
            let most = some_less(limits.max_datagram);
            while self.datagram > most && self.evict(Kind::Datagram, Some(slot), sink) {}
        }
        if self.shared.is_starved {
            self.take_back(sink);
        }
    }

    /// Takes another version of a segment: its octets are searched in their place, and nothing else follows from it.
    fn push_alternate<S: ChunkSink>(&mut self, slot: u32, segment: &Segment<'_>, sink: &mut S) {
        let Some(Conn { meta, tcp }) = self.slots.get_mut(slot).and_then(|slot| slot.conn.as_mut())
        else {
            return;
        };
        let dir = meta.direction(segment);
        let mut out = Out { sink, slot: ConnSlot(slot), dir, meta, shared: &mut self.shared };
        match (tcp, &segment.tcp) {
            (Some(tcp), Some(header)) => {
                let is_syn = header.flags.has(TcpFlags::SYN);
                let seq = if is_syn { header.seq.plus(1) } else { header.seq };
                tcp.stream_mut(dir).other(seq, segment.payload, segment.frames, &mut out);
            }
            _ if segment.payload.is_empty() => {}
            _ => {
                let whole = (0, segment.payload.len());
                out.alternate(0, segment.payload, whole, segment.frames);
            }
        }
        self.enlist(slot);
        self.charge(slot, sink);
    }

    /// Takes note of what is held for a conn, now and then; lets others leave where it is too much.
    fn charge<S: ChunkSink>(&mut self, slot: u32, sink: &mut S) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let Some(conn) = &place.conn else { return };
        place.uncharged += 1;
        if conn.meta.frames > CHARGED_AT_ONCE && place.uncharged < UNCHARGED {
            return;
        }
        place.uncharged = 0;
        let held = PLACE + conn.meta.held() + sink.held(ConnSlot(slot));
        let before = std::mem::replace(&mut place.held, u32::try_from(held).unwrap_or(u32::MAX));
        let (before, held) = (before as usize, place.held as usize);
        self.held = self.held.saturating_sub(before) + held;
        if place.kind == Some(Kind::Closed) {
            self.closed_held = self.closed_held.saturating_sub(before) + held;
        }
        while self.held > self.shared.limits.state_bytes_total {
            if !Kind::ALL.into_iter().any(|kind| self.evict(kind, Some(slot), sink)) {
                return;
            }
        }
    }

    /// Ends the input: every conn is closed, in the order of their first frames.
    pub fn finish<S: ChunkSink>(&mut self, sink: &mut S) {
        let mut open: Vec<(u64, u32)> = (0_u32..)
            .zip(&self.slots.0)
            .filter_map(|(number, slot)| Some((slot.conn.as_ref()?.meta.uid.0, number)))
            .collect();
        open.sort_unstable();
        for (_, slot) in open {
            self.close(slot, End::Input, sink);
        }
    }

    /// Whether it is larger than the caches: then it pays to `expect`.
    pub fn is_large(&self) -> bool {
        self.slots.0.len() > LARGE
    }

    /// Segments of these conns come soon: asks for the memory that is then needed. Those of the last call come first, and what they
    /// lead to is asked for now. At most `AHEAD` of them.
    pub fn expect<S: ChunkSink>(&mut self, keys: &[ConnKey], sink: &S) {
        sink.expect(&self.expected, true);
        self.expected.clear();
        // Step by step for all of them: what one step asked for is there when the next one looks at it.
        let mut hashes = [0; AHEAD];
        for (hash, ConnKey(key)) in hashes.iter_mut().zip(keys) {
            *hash = self.index.expect(*key);
        }
        for (hash, ConnKey(key)) in hashes.into_iter().zip(keys) {
            if let Some(slot) = self.index.likely(hash) {
                self.slots.get(slot).into_iter().for_each(fetch);
                self.expected.push(ConnSlot(slot));
            } else {
                // It is a new one, and it will be asked whether it was there before.
                self.gone.expect(*key);
                self.left.expect(*key);
            }
        }
        sink.expect(&self.expected, false);
    }

    /// The same for those that leave next of a kind, each in two steps: the fourth from now is asked for, and what the second, which
    /// was asked for before, leads to.
    fn expect_leaving<S: ChunkSink>(&mut self, kind: Kind, sink: &S) {
        if !self.is_large() {
            return;
        }
        let first = list(&mut self.kinds, kind).first();
        let after = |slot: u32| self.slots.get(slot).map(|place| place.by_kind.after());
        let Some(second) = first.and_then(after) else { return };
        if let Some(conn) = self.slots.conn(second) {
            let Meta { id, .. } = &conn.meta;
            let key = Key::of(id.orig, id.resp, id.proto, conn.meta.realm());
            self.index.expect(key);
            self.gone.expect(key);
            self.left.expect(key);
            if let Some(tcp) = &conn.tcp {
                tcp.orig.expect();
                tcp.resp.expect();
            }
            sink.expect(&[ConnSlot(second)], true);
        }
        let Some(fourth) = after(second).and_then(after) else { return };
        if let Some(place) = self.slots.get(fourth) {
            fetch(place);
            sink.expect(&[ConnSlot(fourth)], false);
        }
    }

    /// What was missed so far: `missed_bytes`, `conflict_bytes`, `midstream_conns`, `conns_evicted`.
    pub const fn coverage(&self) -> &Coverage {
        &self.shared.coverage
    }

    /// Octets of memory that are held beside the conns themselves, as they are charged.
    #[cfg(test)]
    pub(super) const fn held(&self) -> Held {
        let Shared { held_bytes, tail_bytes, version_bytes, .. } = self.shared;
        Held { waiting: held_bytes, tails: tail_bytes, versions: version_bytes }
    }

    fn is_reused(&self, slot: u32, segment: &Segment<'_>) -> bool {
        let Some(Conn { meta, tcp: Some(tcp) }) = self.slots.conn(slot) else { return false };
        segment.tcp.is_some_and(|header| tcp.is_reused_by(&header, meta.direction(segment)))
    }

    fn mark_reused(&mut self, slot: u32) {
        let conn = self.slots.get_mut(slot).and_then(|slot| slot.conn.as_mut());
        if let Some(Conn { tcp: Some(tcp), .. }) = conn {
            tcp.is_reused = true;
        }
    }

    fn open<S: ChunkSink>(&mut self, key: Key, segment: &Segment<'_>, sink: &mut S) -> u32 {
        if self.slots.0.len() - self.free.len() >= self.shared.limits.max_conns.max(1) {
            let _ = Kind::ALL.into_iter().any(|kind| self.evict(kind, None, sink));
        }
        let uid = Uid(self.next_uid);
        self.next_uid += 1;
        let conn = Conn {
            meta: Meta::new(uid, conn_id(segment), segment),
            tcp: (segment.proto == Proto::TCP && segment.tcp.is_some()).then(Tcp::default),
        };
        let id = conn.meta.id;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.0.push(Slot::default());
            u32::try_from(self.slots.0.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(free) = self.slots.get_mut(slot) {
            free.conn = Some(conn);
            free.held = u32::try_from(PLACE).unwrap_or(u32::MAX);
            self.held += PLACE;
        }
        self.index.insert(key, slot);
        self.enlist(slot);
        sink.opened(ConnSlot(slot), uid, &id, segment.at());
        slot
    }

    /// Ends a conn. `why`: how it came to that.
    fn close<S: ChunkSink>(&mut self, slot: u32, why: End, sink: &mut S) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let Some(Conn { mut meta, mut tcp }) = place.conn.take() else { return };
        let kind = kind_of(tcp.as_ref());
        let held = place.held as usize;
        self.held = self.held.saturating_sub(held);
        self.enlist(slot);
        if let Some(place) = self.slots.get_mut(slot) {
            place.held = 0;
        }
        let key = Key::of(meta.id.orig, meta.id.resp, meta.id.proto, meta.realm());
        if tcp.as_ref().is_none_or(Tcp::has_data) {
            match why {
                End::Time if kind == Kind::Closed => self.gone.insert(key),
                End::Room => self.left.insert(key),
                End::Time | End::Input => {}
            }
        }
        if let Some(tcp) = &mut tcp {
            let dir = Direction::OrigToResp;
            let shared = &mut self.shared;
            tcp.flush(&mut Out { sink, slot: ConnSlot(slot), dir, meta: &mut meta, shared });
        }
        self.index.remove(key, slot);
        self.free.push(slot);
        let is_evicted = why == End::Room && !kind.has_ended();
        self.shared.coverage.conns_evicted += u64::from(is_evicted);
        sink.closed(ConnSlot(slot), meta.record(is_evicted));
    }

    /// Closes the closed conns whose time is over. Those of datagrams have no end: what goes on after hours, or by a clock
    /// that was set back, is joined with what came before for as long as nobody needs the room.
    fn expire<S: ChunkSink>(&mut self, sink: &mut S) {
        let deadline = self.now.saturating_sub(self.shared.limits.linger_ns);
        while let Some(slot) = self.first_of(Kind::Closed, deadline) {
            if self.is_silent(slot, Kind::Closed) {
                self.close(slot, End::Time, sink);
                self.expect_leaving(Kind::Closed, sink);
            }
        }
    }

    /// Lets one conn of a kind leave, the one that was silent longest; `last`, which speaks now, where there is no other.
    fn evict<S: ChunkSink>(&mut self, kind: Kind, last: Option<u32>, sink: &mut S) -> bool {
        let mut last = last;
        while let Some(slot) = self.first_of(kind, i64::MAX) {
            if self.is_silent(slot, kind) {
                // All the others may have spoken since they were looked at last.
                if last == Some(slot) {
                    last = None;
                    self.requeue(slot, kind);
                    continue;
                }
                let why = if self.is_over(slot, kind) { End::Time } else { End::Room };
                self.close(slot, why, sink);
                self.expect_leaving(kind, sink);
                return true;
            }
        }
        false
    }

    /// Whether a conn of datagrams was silent for so long that its conversation may be taken for ended.
    fn is_over(&self, slot: u32, kind: Kind) -> bool {
        let deadline = self.now.saturating_sub(self.shared.limits.datagram_idle_ns);
        kind == Kind::Datagram
            && self.slots.conn(slot).is_some_and(|conn| conn.meta.touched < deadline)
    }

    /// The front of a list, where it was put there before `deadline`.
    fn first_of(&mut self, kind: Kind, deadline: i64) -> Option<u32> {
        let slot = list(&mut self.kinds, kind).first()?;
        self.slots.get(slot).filter(|it| it.stamp < deadline).map(|_| slot)
    }

    /// Whether a conn was silent since it was put in its list; else it goes to the back.
    fn is_silent(&mut self, slot: u32, kind: Kind) -> bool {
        let Some(place) = self.slots.get_mut(slot) else { return false };
        let touched = place.conn.as_ref().map_or(i64::MIN, |conn| conn.meta.touched);
        if touched <= place.stamp {
            return true;
        }
        place.stamp = touched;
        self.requeue(slot, kind);
        false
    }

    fn requeue(&mut self, slot: u32, kind: Kind) {
        let list = list(&mut self.kinds, kind);
        list.remove(slot, &mut ByKind(&mut self.slots));
        list.push(slot, &mut ByKind(&mut self.slots));
    }

    /// Puts a conn in the lists that it belongs to now.
    fn enlist(&mut self, slot: u32) {
        let now = self.now;
        let Some(place) = self.slots.get_mut(slot) else { return };
        let kind = place.conn.as_ref().map(|conn| kind_of(conn.tcp.as_ref()));
        let tcp = place.conn.as_ref().and_then(|conn| conn.tcp.as_ref());
        let is_rich = tcp.is_some_and(Tcp::has_extra);
        let was_rich = std::mem::replace(&mut place.is_rich, is_rich);
        let old = std::mem::replace(&mut place.kind, kind);
        if kind != old {
            place.stamp = now;
            let held = place.held as usize;
            if kind == Some(Kind::Closed) {
                self.closed_held += held;
            } else if old == Some(Kind::Closed) {
                self.closed_held = self.closed_held.saturating_sub(held);
            }
            for (count, of) in
                [(&mut self.closed, Kind::Closed), (&mut self.datagram, Kind::Datagram)]
            {
                *count += usize::from(kind == Some(of));
                *count -= usize::from(old == Some(of));
            }
            if let Some(old) = old {
                list(&mut self.kinds, old).remove(slot, &mut ByKind(&mut self.slots));
            }
            if let Some(kind) = kind {
                list(&mut self.kinds, kind).push(slot, &mut ByKind(&mut self.slots));
            }
        }
        match (was_rich, is_rich) {
            (false, true) => self.rich.push(slot, &mut ByWealth(&mut self.slots)),
            (true, false) => self.rich.remove(slot, &mut ByWealth(&mut self.slots)),
            _ => {}
        }
    }

    /// Takes memory back, a quarter at least, from conns that carried no payload since they were asked last. Each is asked
    /// once for every time that it carried some.
    fn take_back<S: ChunkSink>(&mut self, sink: &mut S) {
        self.shared.is_starved = false;
        let limits = self.shared.limits;
        let mut patience = self.slots.0.len() * 2;
        while self.shared.tail_bytes > limits.tail_bytes_total / 4 * 3
            || self.shared.version_bytes > limits.version_bytes_total / 4 * 3
        {
            let Some(slot) = self.rich.first().filter(|_| patience > 0) else { return };
            patience -= 1;
            let Some(place) = self.slots.get_mut(slot) else { return };
            if let Some(Conn { meta, tcp: Some(tcp) }) = &mut place.conn
                && !std::mem::take(&mut tcp.is_active)
            {
                let (dir, shared) = (Direction::OrigToResp, &mut self.shared);
                tcp.release(&mut Out { sink, slot: ConnSlot(slot), dir, meta, shared });
            }
            self.enlist(slot);
            if self.slots.get(slot).is_some_and(|it| it.is_rich) {
                self.rich.remove(slot, &mut ByWealth(&mut self.slots));
                self.rich.push(slot, &mut ByWealth(&mut self.slots));
            }
        }
    }
}

/// Down to how many conns those leave that are too many for a limit. What a conn ends with is read by other code than a frame, more
/// than the first cache holds: several that end together load it once.
const fn some_less(limit: usize) -> usize {
    limit - limit / 64
}

/// How a conn comes to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The input is at its end.
    Input,
    /// Its time is over, or its ends are used again.
    Time,
    /// Others need its room.
    Room,
}

/// What a table is charged for.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Held {
    pub(super) waiting: usize,
    pub(super) tails: usize,
    pub(super) versions: usize,
}

#[cfg(test)]
impl Held {
    pub(super) const fn total(&self) -> usize {
        self.waiting + self.tails + self.versions
    }
}

const fn list(kinds: &mut [List; 5], kind: Kind) -> &mut List {
    let [closed, reset, embryo, datagram, open] = kinds;
    match kind {
        Kind::Closed => closed,
        Kind::Reset => reset,
        Kind::Embryo => embryo,
        Kind::Datagram => datagram,
        Kind::Open => open,
    }
}

fn kind_of(tcp: Option<&Tcp>) -> Kind {
    match tcp {
        None => Kind::Datagram,
        Some(tcp) if tcp.is_gone() => Kind::Closed,
        Some(tcp) if tcp.has_data() && tcp.is_reset() => Kind::Reset,
        Some(tcp) if tcp.has_data() => Kind::Open,
        Some(_) => Kind::Embryo,
    }
}
