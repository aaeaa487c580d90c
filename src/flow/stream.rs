//! One direction of a TCP conn: segments in any order -> chunks in stream order. RFC 9293 s3.10.7.4, as an observer.
//!
//! The first version of an octet is the stream. What differs from it is counted as a conflict and handed on as an
//! alternate, joined with its neighbours. Octets that can no longer be compared are handed on as an alternate too; they
//! are a conflict unless the receiver had acknowledged them before, since then no receiver takes the new version.

use super::conn::Event;
use super::out::{Out, Shared};
use super::tail::Tail;
use crate::model::{ChunkSink, FrameSpan, SeqNo};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Neighbouring octets of the stream on each side of an alternate: identifiers are searched across the seam.
const CONTEXT: u64 = 64;

/// Largest distance ahead, in octets, at which a segment or an acknowledgement is believed: the largest window
/// (RFC 7323 s2.3).
const MAX_AHEAD: i64 = 1 << 30;

/// Octets charged for the keeping of one piece beside its payload.
const PIECE_OVERHEAD: usize = 96;

/// What offset 0 rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Nothing was seen.
    #[default]
    None,
    /// The sequence number of a segment without payload: it may be a keep-alive, one below the next octet.
    Seq,
    /// An acknowledgement by the other side.
    Ack,
    /// The first payload seen of a conn that was open before.
    Data,
    /// A SYN.
    Syn,
}

/// One direction of a TCP conn.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) anchor: Anchor,
    /// Sequence number of the octet at offset 0.
    base: SeqNo,
    /// Where another SYN, seen before any payload, puts offset 0.
    rival: Option<SeqNo>,
    /// The other side acknowledged `base`.
    is_confirmed: bool,
    /// RCV.NXT as an offset: what is in front of it was handed on.
    rcv_nxt: u64,
    /// Offset up to which the other side acknowledged.
    acked: u64,
    /// Octets up to here were on the wire and cut by the snaplen.
    lost_to: u64,
    /// Offset behind the last gap.
    gap_end: u64,
    /// Offset of a FIN.
    pub(super) fin: Option<u64>,
    /// Frames since the hole was acknowledged, and how far it was.
    patience: u32,
    covered_to: u64,
    /// What waits behind a hole: not overlapping, none in front of `rcv_nxt`.
    pieces: BTreeMap<u64, Piece>,
    held_bytes: usize,
    tail: Tail,
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    lost_to: u64,
    frames: FrameSpan,
}

impl Piece {
    const fn end(&self, offset: u64) -> u64 {
        offset + self.bytes.len() as u64
    }
}

/// One segment's payload, in the place it has in the stream.
#[derive(Clone, Copy)]
struct Placed<'a> {
    at: i64,
    bytes: &'a [u8],
    frames: FrameSpan,
}

impl Stream {
    /// Puts offset 0 at `base`. Nothing may have been handed on.
    pub(super) fn anchor_at(&mut self, base: SeqNo, anchor: Anchor) {
        self.base = base;
        self.anchor = anchor;
        self.acked = 0;
        self.fin = None;
    }

    /// Takes a SYN. Of several with other sequence numbers the one that the other side acknowledges counts, or that
    /// payload follows; until then the latest.
    pub(super) fn open_at(&mut self, base: SeqNo) {
        if self.is_anchored_at(base) {
            self.anchor = Anchor::Syn;
        } else if self.has_data() {
            // Only where the conn goes on in spite of it; see `Tcp::is_reused_by`.
        } else if self.anchor == Anchor::Syn && self.is_confirmed {
            self.rival = Some(base);
        } else {
            self.rival = (self.anchor == Anchor::Syn).then_some(self.base);
            self.anchor_at(base, Anchor::Syn);
        }
    }

    /// Forgets what was acknowledged: it belonged to an earlier conn.
    pub(super) const fn forget_acknowledgement(&mut self) {
        self.acked = 0;
    }

    /// Whether offset 0 is at `base`.
    pub(super) fn is_anchored_at(&self, base: SeqNo) -> bool {
        self.anchor != Anchor::None && self.base == base
    }

    /// Whether a sequence number lies between a SYN and what was handed on.
    pub(super) fn has_sent(&self, seq: SeqNo) -> bool {
        let sent = 0..=self.signed_next();
        self.anchor == Anchor::Syn && sent.contains(&self.offset_of(seq))
    }

    /// Whether payload was seen or waits.
    pub(super) fn has_data(&self) -> bool {
        self.rcv_nxt > 0 || !self.pieces.is_empty()
    }

    /// Prepares for a segment of a conn whose SYN may not have been seen.
    ///
    /// `is_young`: so few frames of the conn were seen that octets between the other side's acknowledgement and the
    /// first payload were under way before the capture began, and were not missed by it.
    pub(super) fn settle(&mut self, seq: SeqNo, has_payload: bool, is_young: bool) {
        match (self.anchor, has_payload) {
            (Anchor::None, false) => self.anchor_at(seq, Anchor::Seq),
            (Anchor::None, true) => self.anchor_at(seq, Anchor::Data),
            (Anchor::Seq | Anchor::Ack, true) => {
                let ahead = i64::from(seq.since(self.base));
                if ahead <= 1 || is_young || ahead > MAX_AHEAD {
                    let acked = i64::try_from(self.acked).unwrap_or(i64::MAX);
                    let acked = u64::try_from(acked.saturating_sub(ahead)).unwrap_or_default();
                    self.anchor_at(seq, Anchor::Data);
                    self.acked = if ahead.abs() > MAX_AHEAD { 0 } else { acked };
                } else {
                    self.anchor = Anchor::Data;
                }
            }
            (Anchor::Seq | Anchor::Ack, false) | (Anchor::Data | Anchor::Syn, _) => {}
        }
    }

    /// Takes the other side's acknowledgement. `is_syn`: it came with a SYN, so it tells where the stream begins.
    pub(super) fn acknowledge(&mut self, ack: SeqNo, is_syn: bool) {
        if self.anchor == Anchor::Syn && !self.has_data() {
            if ack != self.base && self.rival == Some(ack) {
                self.rival = Some(self.base);
                self.anchor_at(ack, Anchor::Syn);
            }
            if is_syn {
                // Nothing can have been acknowledged before: that was an earlier conn's.
                self.acked = 0;
            }
            self.is_confirmed |= ack == self.base;
        }
        match self.anchor {
            Anchor::None if is_syn => self.anchor_at(ack, Anchor::Syn),
            Anchor::None => self.anchor_at(ack, Anchor::Ack),
            Anchor::Seq if ack.since(self.base) == 1 => self.anchor_at(ack, Anchor::Ack),
            _ => {
                let furthest = self
                    .pieces
                    .last_key_value()
                    .map_or(self.rcv_nxt, |(at, last)| last.end(*at).max(last.lost_to));
                let limit = i64::try_from(furthest).unwrap_or(i64::MAX).saturating_add(MAX_AHEAD);
                let offset = self.offset_of(ack);
                if offset <= limit {
                    self.acked = self.acked.max(u64::try_from(offset).unwrap_or_default());
                }
            }
        }
    }

    /// Notes a FIN behind `len` octets from `seq` on.
    pub(super) fn finish_at(&mut self, seq: SeqNo, len: u64) {
        let Ok(at) = u64::try_from(self.offset_of(seq)) else { return };
        let distance = i64::from(seq.since(self.next_seq()));
        if distance <= MAX_AHEAD && self.fin.is_none_or(|fin| fin < at + len) {
            self.fin = Some(at + len);
        }
    }

    /// Takes the payload of a segment.
    pub(super) fn push<S: ChunkSink>(
        &mut self,
        seq: SeqNo,
        bytes: &[u8],
        cut: u32,
        frames: FrameSpan,
        out: &mut Out<'_, S>,
    ) {
        if bytes.is_empty() && cut == 0 {
            return;
        }
        if self.rival == Some(seq) && !self.is_confirmed && !self.has_data() {
            self.anchor_at(seq, Anchor::Syn);
        }
        let segment = Placed { at: self.offset_of(seq), bytes, frames };
        if i64::from(seq.since(self.next_seq())) > MAX_AHEAD {
            out.conflict(bytes.len() as u64);
            self.stray(seq, bytes, frames, out);
            return;
        }
        let old = u64::try_from(self.signed_next() - segment.at).unwrap_or_default();
        let old = usize::try_from(old).unwrap_or(usize::MAX).min(bytes.len());
        if old > 0 {
            self.compare_with_tail(segment, old, out);
        }
        let fresh = bytes.get(old..).unwrap_or_default();
        let start = segment.at.saturating_add(i64::try_from(old).unwrap_or(i64::MAX));
        let start = u64::try_from(start).unwrap_or_default();
        let end = start + fresh.len() as u64;
        let lost_to = if cut > 0 { end + u64::from(cut) } else { 0 };
        if start <= self.rcv_nxt && self.pieces.first_key_value().is_none_or(|(at, _)| *at >= end) {
            if !fresh.is_empty() {
                self.deliver(fresh, frames, out);
            }
            self.lost_to = self.lost_to.max(lost_to);
        } else {
            self.hold(start, fresh, lost_to, frames, out);
        }
        self.drain(out);
        self.shed(out);
    }

    /// Hands on octets that have no place in the stream.
    pub(super) fn stray<S: ChunkSink>(
        &self,
        seq: SeqNo,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut Out<'_, S>,
    ) {
        if !bytes.is_empty() {
            self.alternate(self.offset_of(seq), bytes, frames, out);
        }
    }

    /// Counts a frame of the conn towards the patience with a hole that is acknowledged and has data behind it.
    pub(super) fn lose_patience<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        if self.pieces.is_empty() {
            return;
        }
        let covers = |to: u64, stream: &Self| {
            stream.pieces.first_key_value().map(|(at, _)| *at).filter(|at| *at <= to)
        };
        if covers(self.acked, self).is_none() {
            self.patience = 0;
            return;
        }
        if self.patience == 0 {
            self.covered_to = self.acked;
        }
        self.patience += 1;
        if self.patience > out.shared.limits.gap_patience {
            while let Some(first) = covers(self.covered_to, self) {
                self.skip_to(first, out);
                self.drain(out);
            }
            self.patience = 0;
        }
    }

    /// Ends the stream: what waits is handed on, what is missing at the end is a gap.
    pub(super) fn flush<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        while let Some((&first, _)) = self.pieces.first_key_value() {
            self.skip_to(first, out);
            self.drain(out);
        }
        // A FIN takes one sequence number, which is acknowledged like an octet.
        let end = match self.fin {
            Some(fin) if self.acked <= fin.saturating_add(1) => fin,
            _ => self.acked,
        };
        self.skip_to(end, out);
        self.tail.release(out.shared);
    }

    /// Forgets what was kept for comparison.
    pub(super) fn release_tail(&mut self, shared: &mut Shared) {
        self.tail.release(shared);
    }

    fn next_seq(&self) -> SeqNo {
        self.base.plus(u32::try_from(self.rcv_nxt & u64::from(u32::MAX)).unwrap_or_default())
    }

    fn signed_next(&self) -> i64 {
        i64::try_from(self.rcv_nxt).unwrap_or(i64::MAX)
    }

    /// Offset of a sequence number: the one nearest to RCV.NXT. Negative in front of offset 0.
    fn offset_of(&self, seq: SeqNo) -> i64 {
        self.signed_next().saturating_add(i64::from(seq.since(self.next_seq())))
    }

    fn deliver<S: ChunkSink>(&mut self, bytes: &[u8], frames: FrameSpan, out: &mut Out<'_, S>) {
        let offset = self.rcv_nxt;
        self.rcv_nxt += bytes.len() as u64;
        self.tail.push(bytes, self.rcv_nxt.saturating_sub(self.acked), out.shared);
        out.data(offset, bytes, frames);
    }

    /// Makes a gap up to `to`, where that is ahead.
    fn skip_to<S: ChunkSink>(&mut self, to: u64, out: &mut Out<'_, S>) {
        if to > self.rcv_nxt {
            out.gap(self.rcv_nxt, to - self.rcv_nxt);
            self.rcv_nxt = to;
            self.gap_end = to;
            self.tail.restart(to);
        }
    }

    /// Hands on what is in order, and makes a gap of what is known to be cut.
    fn drain<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        loop {
            match self.pieces.first_key_value().map(|(at, _)| *at) {
                Some(at) if at <= self.rcv_nxt => {
                    let Some((_, piece)) = self.pieces.pop_first() else { return };
                    let charge = piece.bytes.len() + PIECE_OVERHEAD;
                    self.held_bytes = self.held_bytes.saturating_sub(charge);
                    out.shared.held_bytes = out.shared.held_bytes.saturating_sub(charge);
                    self.patience = 0;
                    self.lost_to = self.lost_to.max(piece.lost_to);
                    if !piece.bytes.is_empty() {
                        self.deliver(&piece.bytes, piece.frames, out);
                    }
                }
                next if self.lost_to > self.rcv_nxt => {
                    self.skip_to(next.unwrap_or(u64::MAX).min(self.lost_to), out);
                }
                _ => return,
            }
        }
    }

    /// Keeps the bounds of what waits: the hole in front becomes a gap.
    fn shed<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        let limits = out.shared.limits;
        while self.held_bytes > limits.out_of_order_bytes
            || out.shared.held_bytes > limits.out_of_order_bytes_total
        {
            let Some((&first, _)) = self.pieces.first_key_value() else { return };
            self.skip_to(first, out);
            self.drain(out);
        }
    }

    /// Compares the first `old` octets of a segment, which lie in front of RCV.NXT, with what was handed on.
    fn compare_with_tail<S: ChunkSink>(
        &mut self,
        segment: Placed<'_>,
        old: usize,
        out: &mut Out<'_, S>,
    ) {
        let signed = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        let end = segment.at.saturating_add(signed(old as u64));
        let kept_from = signed(self.tail.start()).clamp(segment.at, end);
        let blind = usize::try_from(kept_from - segment.at).unwrap_or_default();
        let compared = segment.bytes.get(blind..old).unwrap_or_default();
        let known = self.tail.get(
            u64::try_from(kept_from).unwrap_or_default(),
            u64::try_from(end).unwrap_or_default(),
        );
        let differing = differing(compared, known);
        // In front of offset 0 of a conn that was open before lies what the capture did not see.
        let floor = if self.anchor == Anchor::Syn { segment.at } else { 0 };
        let before = floor.max(segment.at).min(0)..end.min(0);
        let doubtful_from = segment.at.max(signed(self.acked.max(self.gap_end)));
        let doubtful = (kept_from - doubtful_from).max(0) + (before.end - before.start).max(0);
        // RFC 9293 s3.8.4: one octet of garbage in front of RCV.NXT, which was acknowledged long ago.
        let is_keep_alive =
            segment.bytes.len() == 1 && end == self.signed_next() && self.acked >= self.rcv_nxt;
        if !is_keep_alive {
            out.note(Event::Retransmission);
            out.conflict(differing + u64::try_from(doubtful).unwrap_or_default());
        }
        if differing > 0 || blind > 0 {
            let shown = old.saturating_add(usize::try_from(CONTEXT).unwrap_or_default());
            let bytes = segment.bytes.get(..shown).unwrap_or(segment.bytes);
            self.alternate(segment.at, bytes, segment.frames, out);
        }
    }

    /// Keeps octets ahead of RCV.NXT; where some are kept already, those stay.
    fn hold<S: ChunkSink>(
        &mut self,
        start: u64,
        bytes: &[u8],
        lost_to: u64,
        frames: FrameSpan,
        out: &mut Out<'_, S>,
    ) {
        let end = start + bytes.len() as u64;
        let from = self.pieces.range(..start).next_back().map_or(start, |(at, _)| *at);
        let mut free = Vec::new();
        let (mut cursor, mut shared, mut conflicts) = (start, 0, 0);
        for (&at, piece) in self.pieces.range(from..end.max(from)) {
            let (low, high) = (at.max(cursor), piece.end(at).min(end));
            if low > cursor {
                free.push((cursor, low));
            }
            if low < high {
                shared += high - low;
                let known = slice(&piece.bytes, at, low, high);
                conflicts += differing(slice(bytes, start, low, high), (known, &[]));
            }
            cursor = cursor.max(high);
        }
        if cursor < end || bytes.is_empty() {
            free.push((cursor, end));
        }
        if shared > 0 {
            out.note(Event::Retransmission);
            out.conflict(conflicts);
        }
        if conflicts > 0 {
            let at = i64::try_from(start).unwrap_or(i64::MAX);
            self.alternate(at, bytes, frames, out);
        }
        for (low, high) in free {
            let octets = slice(bytes, start, low, high).to_vec();
            let charge = match self.pieces.entry(low) {
                Entry::Vacant(place) => {
                    let charge = octets.len() + PIECE_OVERHEAD;
                    place.insert(Piece { bytes: octets, lost_to: 0, frames });
                    charge
                }
                // A segment of which the capture kept no payload.
                Entry::Occupied(mut piece) if piece.get().bytes.is_empty() => {
                    let charge = octets.len();
                    piece.get_mut().bytes = octets;
                    piece.get_mut().frames = frames;
                    charge
                }
                Entry::Occupied(_) => 0,
            };
            self.held_bytes += charge;
            out.shared.held_bytes += charge;
        }
        if lost_to > 0
            && let Some((_, piece)) = self.pieces.range_mut(..=end).next_back()
        {
            piece.lost_to = piece.lost_to.max(lost_to);
        }
    }

    /// Hands on an alternate, joined with the octets of the stream around it as far as they are known.
    fn alternate<S: ChunkSink>(
        &self,
        at: i64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut Out<'_, S>,
    ) {
        let mut joined = std::mem::take(&mut out.shared.scratch);
        joined.clear();
        let mut offset = 0;
        let mut after = None;
        if let Ok(start) = u64::try_from(at) {
            offset = self.known_before(start);
            self.copy_known(offset, start, &mut joined);
            after = Some(start + bytes.len() as u64);
        } else if let Ok(end) = u64::try_from(at + i64::try_from(bytes.len()).unwrap_or_default()) {
            after = Some(end);
        }
        joined.extend_from_slice(bytes);
        if let Some(end) = after {
            self.copy_known(end, end + CONTEXT, &mut joined);
        }
        out.alternate(offset, &joined, frames);
        out.shared.scratch = joined;
    }

    /// First offset of the known octets that end at `at`, at most `CONTEXT` of them.
    fn known_before(&self, at: u64) -> u64 {
        let limit = at.saturating_sub(CONTEXT);
        let mut first = at;
        while first > limit {
            if first <= self.rcv_nxt {
                let kept_from = self.tail.start();
                return if kept_from < first { limit.max(kept_from) } else { first };
            }
            match self.pieces.range(..first).next_back() {
                Some((&start, piece)) if piece.end(start) >= first => first = start.max(limit),
                _ => break,
            }
        }
        first
    }

    /// Appends the octets `from..to`, up to the first that is not known.
    fn copy_known(&self, from: u64, to: u64, joined: &mut Vec<u8>) {
        let mut cursor = from;
        if cursor < self.rcv_nxt {
            let end = to.min(self.rcv_nxt);
            let (first, second) = self.tail.get(cursor, end);
            if first.is_empty() {
                return;
            }
            joined.extend_from_slice(first);
            joined.extend_from_slice(second);
            cursor = end;
        }
        while cursor < to {
            match self.pieces.range(..=cursor).next_back() {
                Some((&start, piece)) if piece.end(start) > cursor => {
                    let end = piece.end(start).min(to);
                    joined.extend_from_slice(slice(&piece.bytes, start, cursor, end));
                    cursor = end;
                }
                _ => return,
            }
        }
    }
}

/// The octets `from..to` of a run that begins at offset `start`.
fn slice(bytes: &[u8], start: u64, from: u64, to: u64) -> &[u8] {
    let index = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
    bytes.get(index(from)..index(to)).unwrap_or_default()
}

/// How many octets differ from a run of the same length in two parts.
fn differing(bytes: &[u8], known: (&[u8], &[u8])) -> u64 {
    let count = |a: &[u8], b: &[u8]| {
        if a == b { 0 } else { a.iter().zip(b).filter(|(a, b)| a != b).count() as u64 }
    };
    let (first, second) = bytes.split_at(known.0.len().min(bytes.len()));
    count(first, known.0) + count(second, known.1)
}
