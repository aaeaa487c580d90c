//! One direction of a TCP conn: segments in any order -> chunks in stream order. RFC 9293 s3.10.7.4, as an observer.
//!
//! The first version of an octet is the stream. What differs from it is counted as a conflict and handed on as an
//! alternate, joined with its neighbours. Octets that can no longer be compared are handed on as an alternate too; they
//! are a conflict unless the receiver had acknowledged them before, since then no receiver takes the new version.

use super::conn::Event;
use super::out::{Out, Shared};
use super::tail::Tail;
use super::versions::{Reading, Variant, Versions};
use super::waiting::{Waiting, differing};
use crate::model::{ChunkSink, FrameSpan, SeqNo, fetch};

/// Largest distance ahead, in octets, at which a segment or an acknowledgement is believed: the largest window
/// (RFC 7323 s2.3).
const MAX_AHEAD: i64 = 1 << 30;

/// Octets of one version that are kept to be combined with others; a larger one is handed on by itself.
const MAX_VARIANT: usize = 1 << 16;

/// Octets charged for a stream of which more is kept than its place.
const EXTRA_BYTES: usize = size_of::<Extra>() + 16;

/// Those of streams that have ended, kept for others.
const MAX_SPARE: usize = 512;

/// Octets of search that a conflicting segment pays for: so many for each of its own, and so many for itself. The work
/// on a flood of conflicts stays in proportion to its octets.
const BUDGET_PER_OCTET: u64 = 8;
const BUDGET_PER_SEGMENT: u64 = 2048;

/// What `fin` holds where no FIN was seen.
const NO_FIN: u64 = u64::MAX;

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

/// One direction of a TCP conn. What only some streams need lies apart: a conn that was only opened is small.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) anchor: Anchor,
    /// The other side acknowledged `base`.
    is_confirmed: bool,
    /// Octets wait behind a hole. Known here, so that most segments need not look further.
    waits: bool,
    /// Sequence number of the octet at offset 0.
    base: SeqNo,
    /// RCV.NXT as an offset: what is in front of it was handed on.
    rcv_nxt: u64,
    /// Offset up to which the other side acknowledged.
    acked: u64,
    /// Offset behind the last gap.
    gap_end: u64,
    /// Offset of a FIN, or `NO_FIN`.
    fin: u64,
    extra: Option<Box<Extra>>,
}

/// What is kept of a stream that carried payload, beside its place.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// Where another SYN, seen before any payload, puts offset 0.
    rival: Option<SeqNo>,
    /// Frames since the hole was acknowledged, and how far it was.
    patience: u32,
    covered_to: u64,
    /// What waits behind a hole: none in front of `rcv_nxt`.
    waiting: Waiting,
    tail: Tail,
    versions: Option<Box<Versions>>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            anchor: Anchor::None,
            is_confirmed: false,
            waits: false,
            base: SeqNo(0),
            rcv_nxt: 0,
            acked: 0,
            gap_end: 0,
            fin: NO_FIN,
            extra: None,
        }
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
        self.fin = NO_FIN;
    }

    /// Takes a SYN. Of several with other sequence numbers the one that the other side acknowledges counts, or that
    /// payload follows; until then the latest.
    pub(super) fn open_at(&mut self, base: SeqNo, shared: &mut Shared) {
        if self.is_anchored_at(base) {
            self.anchor = Anchor::Syn;
        } else if self.has_data() {
            // Only where the conn goes on in spite of it; see `Tcp::is_reused_by`.
        } else if self.anchor == Anchor::Syn && self.is_confirmed {
            self.extra(shared).rival = Some(base);
        } else {
            if self.anchor == Anchor::Syn {
                self.extra(shared).rival = Some(self.base);
            }
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
        self.rcv_nxt > 0 || self.waiting().is_some()
    }

    /// Whether a FIN was seen.
    pub(super) const fn is_finished(&self) -> bool {
        self.fin != NO_FIN
    }

    /// Whether memory is held that `release` gives back.
    pub(super) const fn has_extra(&self) -> bool {
        self.extra.is_some()
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
            let base = self.base;
            if ack != base
                && let Some(extra) = &mut self.extra
                && extra.rival == Some(ack)
            {
                extra.rival = Some(base);
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
                let furthest = self.waiting().and_then(Waiting::end).unwrap_or(self.rcv_nxt);
                let limit = i64::try_from(furthest).unwrap_or(i64::MAX).saturating_add(MAX_AHEAD);
                let offset = self.offset_of(ack);
                if offset <= limit {
                    self.acked = self.acked.max(u64::try_from(offset).unwrap_or_default());
                }
            }
        }
    }

    /// Offset up to which the other side acknowledged.
    pub(super) const fn acked(&self) -> u64 {
        self.acked
    }

    /// Notes a FIN behind `len` octets from `seq` on.
    pub(super) fn finish_at(&mut self, seq: SeqNo, len: u64) {
        let Ok(at) = u64::try_from(self.offset_of(seq)) else { return };
        let distance = i64::from(seq.since(self.next_seq()));
        if distance <= MAX_AHEAD && (self.fin == NO_FIN || self.fin < at + len) {
            self.fin = at + len;
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
        if self.rival() == Some(seq) && !self.is_confirmed && !self.has_data() {
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
            self.compare(segment, old, out);
        }
        let fresh = bytes.get(old..).unwrap_or_default();
        let start = segment.at.saturating_add(i64::try_from(old).unwrap_or(i64::MAX));
        let start = u64::try_from(start).unwrap_or_default();
        let end = start + fresh.len() as u64;
        let lost_to = if cut > 0 { end + u64::from(cut) } else { 0 };
        let is_next = self.waiting().and_then(Waiting::first).is_none_or(|at| at >= end);
        if start <= self.rcv_nxt && is_next {
            if !fresh.is_empty() {
                self.deliver(fresh, frames, out);
            }
            self.drain(lost_to, out);
        } else {
            self.hold(start, fresh, lost_to, frames, out);
            self.drain(0, out);
        }
        self.shed(out);
        self.settle_versions(false, out);
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

    /// Takes another version of a segment, whose conflict was counted elsewhere.
    pub(super) fn other<S: ChunkSink>(
        &mut self,
        seq: SeqNo,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut Out<'_, S>,
    ) {
        match u64::try_from(self.offset_of(seq)) {
            Ok(at) if !bytes.is_empty() && self.anchor != Anchor::None => {
                self.keep_segment(at, bytes, frames, out);
                self.settle_versions(false, out);
            }
            _ => self.stray(seq, bytes, frames, out),
        }
    }

    /// Takes note of an urgent octet: a receiver takes it out of the stream or leaves it there, and which one it is has two
    /// readings. RFC 6093 s2, s3.1.
    pub(super) fn note_urgent<S: ChunkSink>(
        &mut self,
        seq: SeqNo,
        pointer: u16,
        frames: FrameSpan,
        out: &mut Out<'_, S>,
    ) {
        let at = self.offset_of(seq.plus(u32::from(pointer)));
        for (at, reading) in [(at - 1, Reading::UrgentBefore), (at, Reading::UrgentAt)] {
            let Ok(at) = u64::try_from(at) else { continue };
            let bytes = Vec::new();
            self.keep_version(Variant { at, len: 1, bytes, frames, reading, is_fresh: true }, out);
        }
        self.settle_versions(false, out);
    }

    /// Counts a frame of the conn towards the patience with a hole that is acknowledged and has data behind it.
    pub(super) fn lose_patience<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        let Some(extra) = self.extra.as_mut().filter(|_| self.waits) else { return };
        let Some(first) = extra.waiting.first() else { return };
        if first > self.acked {
            extra.patience = 0;
            return;
        }
        if extra.patience == 0 {
            extra.covered_to = self.acked;
        }
        extra.patience += 1;
        if extra.patience > out.shared.limits.gap_patience {
            let covered_to = extra.covered_to;
            while let Some(first) = self.first_waiting().filter(|at| *at <= covered_to) {
                self.skip_to(first, out);
                self.drain(0, out);
            }
            if let Some(extra) = &mut self.extra {
                extra.patience = 0;
            }
            self.settle_versions(false, out);
        }
    }

    /// Ends the stream: what waits is handed on, what is missing at the end is a gap.
    pub(super) fn flush<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        while let Some(first) = self.first_waiting() {
            self.skip_to(first, out);
            self.drain(0, out);
        }
        // A FIN takes one sequence number, which is acknowledged like an octet.
        let is_end = self.fin != NO_FIN && self.acked <= self.fin.saturating_add(1);
        let end = if is_end { self.fin } else { self.acked };
        self.skip_to(end, out);
        self.release(out);
    }

    /// Asks for the memory of what is kept of it.
    pub(super) fn expect(&self) {
        if let Some(extra) = &self.extra {
            fetch(&**extra);
        }
    }

    /// Forgets what was kept for comparison; versions are handed on first.
    pub(super) fn release<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        self.settle_versions(true, out);
        let shared = &mut *out.shared;
        let Some(extra) = &mut self.extra else { return };
        let ring = extra.tail.release(shared);
        if let Some(versions) = extra.versions.take() {
            shared.version_bytes = shared.version_bytes.saturating_sub(versions.charged);
        }
        if !self.waits
            && let Some(mut extra) = self.extra.take()
        {
            shared.tail_bytes = shared.tail_bytes.saturating_sub(EXTRA_BYTES);
            if shared.spare.len() < MAX_SPARE {
                *extra = Extra { tail: Tail::over(ring), ..Extra::default() };
                shared.spare.push(extra);
            }
        }
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

    fn extra(&mut self, shared: &mut Shared) -> &mut Extra {
        let next = self.rcv_nxt;
        self.extra.get_or_insert_with(|| {
            shared.tail_bytes += EXTRA_BYTES;
            shared.is_starved |= shared.tail_bytes > shared.limits.tail_bytes_total;
            let mut extra = shared.spare.pop().unwrap_or_default();
            extra.tail.restart(next);
            extra
        })
    }

    fn rival(&self) -> Option<SeqNo> {
        self.extra.as_ref()?.rival
    }

    /// What waits, if anything does.
    fn waiting(&self) -> Option<&Waiting> {
        self.extra.as_ref().filter(|_| self.waits).map(|extra| &extra.waiting)
    }

    fn first_waiting(&self) -> Option<u64> {
        self.waiting().and_then(Waiting::first)
    }

    fn deliver<S: ChunkSink>(&mut self, bytes: &[u8], frames: FrameSpan, out: &mut Out<'_, S>) {
        let offset = self.rcv_nxt;
        let acked = self.acked;
        let extra = self.extra(out.shared);
        let end = offset + bytes.len() as u64;
        extra.tail.border(offset);
        extra.tail.push(bytes, end.saturating_sub(acked), out.shared);
        if let Some(versions) = &mut extra.versions {
            versions.record(offset, bytes);
        }
        self.rcv_nxt = end;
        out.data(offset, bytes, frames);
    }

    /// Makes a gap up to `to`, where that is ahead.
    fn skip_to<S: ChunkSink>(&mut self, to: u64, out: &mut Out<'_, S>) {
        if to > self.rcv_nxt {
            out.shared.coverage.ack_gaps += u64::from(self.acked > self.rcv_nxt);
            out.gap(self.rcv_nxt, to - self.rcv_nxt);
            self.rcv_nxt = to;
            self.gap_end = to;
            if let Some(extra) = &mut self.extra {
                extra.tail.restart(to);
            }
        }
    }

    /// Hands on what is in order, and makes a gap of what is known to be cut: the octets up to `lost_to`.
    fn drain<S: ChunkSink>(&mut self, mut lost_to: u64, out: &mut Out<'_, S>) {
        loop {
            match self.first_waiting() {
                Some(at) if at <= self.rcv_nxt => {
                    let Some(extra) = &mut self.extra else { return };
                    extra.patience = 0;
                    let Some(piece) = extra.waiting.pop_first(out.shared) else { return };
                    self.waits = !extra.waiting.is_empty();
                    lost_to = lost_to.max(piece.lost_to);
                    if !piece.bytes.is_empty() {
                        self.deliver(&piece.bytes, piece.frames, out);
                    }
                }
                next if lost_to > self.rcv_nxt => {
                    self.skip_to(next.unwrap_or(u64::MAX).min(lost_to), out);
                }
                _ => return,
            }
        }
    }

    /// Keeps the bounds of what waits: the hole in front becomes a gap.
    fn shed<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        let limits = out.shared.limits;
        while let Some(waiting) = self.waiting() {
            let is_over = waiting.charged() > limits.out_of_order_bytes
                || out.shared.held_bytes > limits.out_of_order_bytes_total;
            let Some(first) = waiting.first().filter(|_| is_over) else { return };
            self.skip_to(first, out);
            self.drain(0, out);
        }
    }

    /// Compares the first `old` octets of a segment, which lie in front of RCV.NXT, with what was handed on.
    fn compare<S: ChunkSink>(&mut self, segment: Placed<'_>, old: usize, out: &mut Out<'_, S>) {
        let signed = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        let end = segment.at.saturating_add(signed(old as u64));
        let no_tail = Tail::default();
        let tail = self.extra.as_ref().map_or(&no_tail, |extra| &extra.tail);
        let start = if tail.is_empty() { self.rcv_nxt } else { tail.start() };
        let kept_from = signed(start).clamp(segment.at, end);
        let blind = usize::try_from(kept_from - segment.at).unwrap_or_default();
        let compared = segment.bytes.get(blind..old).unwrap_or_default();
        let known = tail.get(
            u64::try_from(kept_from).unwrap_or_default(),
            u64::try_from(end).unwrap_or_default(),
        );
        let differing = differing(compared, known);
        // In front of offset 0 of a conn that was open before lies what the capture did not see.
        let floor = if self.anchor == Anchor::Syn { segment.at } else { 0 };
        let before = floor.max(segment.at).min(0)..end.min(0);
        let doubtful_from = segment.at.max(signed(self.acked.max(self.gap_end)));
        let doubtful = (kept_from - doubtful_from).max(0) + (before.end - before.start).max(0);
        let doubtful = u64::try_from(doubtful).unwrap_or_default();
        // RFC 9293 s3.8.4: one octet of garbage in front of RCV.NXT, which was acknowledged long ago.
        let is_keep_alive =
            segment.bytes.len() == 1 && end == self.signed_next() && self.acked >= self.rcv_nxt;
        if !is_keep_alive {
            out.note(Event::Retransmission);
            out.conflict(differing + doubtful);
        }
        let is_disputed = (differing > 0 || doubtful > 0) && !is_keep_alive;
        if let (true, Ok(at)) = (is_disputed, u64::try_from(segment.at)) {
            self.keep_segment(at, segment.bytes, segment.frames, out);
        } else if differing > 0 || blind > 0 {
            let context = usize::try_from(out.shared.limits.context).unwrap_or(usize::MAX);
            let shown = segment.bytes.get(..old.saturating_add(context));
            self.alternate(segment.at, shown.unwrap_or(segment.bytes), segment.frames, out);
        } else if let (Ok(at), Ok(end)) = (u64::try_from(segment.at), u64::try_from(end)) {
            self.note_borders(at, end, out.shared.limits.context);
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
        let extra = self.extra(out.shared);
        let overlap = extra.waiting.hold(start, bytes, lost_to, frames, out.shared);
        self.waits = !extra.waiting.is_empty();
        if overlap.shared > 0 {
            out.note(Event::Retransmission);
            out.conflict(overlap.differing);
        }
        if overlap.differing > 0 {
            self.keep_segment(start, bytes, frames, out);
        } else if overlap.shared > 0 {
            self.note_borders(start, start + bytes.len() as u64, out.shared.limits.context);
        }
    }

    /// Notes where octets came again: here versions can be mixed from now on.
    fn note_borders(&mut self, start: u64, end: u64, context: u64) {
        let Some(extra) = &mut self.extra else { return };
        for border in [start, end] {
            extra.tail.border(border);
            if let Some(versions) = &mut extra.versions {
                versions.border(border, context);
            }
        }
    }

    /// Keeps a segment that differs from what came before.
    fn keep_segment<S: ChunkSink>(
        &mut self,
        at: u64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut Out<'_, S>,
    ) {
        if bytes.len() > MAX_VARIANT {
            self.alternate(i64::try_from(at).unwrap_or(i64::MAX), bytes, frames, out);
            return;
        }
        let (len, bytes, reading) = (bytes.len() as u64, bytes.to_vec(), Reading::Segment);
        self.keep_version(Variant { at, len, bytes, frames, reading, is_fresh: true }, out);
    }

    fn keep_version<S: ChunkSink>(&mut self, variant: Variant, out: &mut Out<'_, S>) {
        let Shared { limits, search_budget, .. } = &mut *out.shared;
        let paid = variant.len.saturating_mul(BUDGET_PER_OCTET).saturating_add(BUDGET_PER_SEGMENT);
        *search_budget = search_budget.saturating_add(paid).min(limits.search_budget);
        let reach = limits.context;
        let extra = self.extra(out.shared);
        let Extra { tail, waiting, versions, .. } = extra;
        let borders: Vec<u64> = tail.borders().collect();
        let versions = versions.get_or_insert_default();
        versions.add(variant, reach, &borders, &|from, to, give| {
            for (offset, octets) in tail.known(from, to) {
                give(offset, octets);
            }
            let mut at = from;
            while at < to {
                let octets = waiting.known(at, to);
                if octets.is_empty() {
                    break;
                }
                give(at, octets);
                at += octets.len() as u64;
            }
        });
        self.charge_versions(out.shared);
    }

    fn charge_versions(&mut self, shared: &mut Shared) {
        let Some(versions) = self.extra.as_mut().and_then(|extra| extra.versions.as_mut()) else {
            return;
        };
        let memory = versions.memory();
        shared.version_bytes = shared.version_bytes.saturating_sub(versions.charged) + memory;
        versions.charged = memory;
        shared.is_starved |= shared.version_bytes > shared.limits.version_bytes_total;
    }

    /// Hands on the versions of which everything is known, or all of them.
    fn settle_versions<S: ChunkSink>(&mut self, is_end: bool, out: &mut Out<'_, S>) {
        let reach = out.shared.limits.context;
        let rcv_nxt = if is_end { u64::MAX } else { self.rcv_nxt };
        let Some(versions) = self.extra.as_mut().and_then(|extra| extra.versions.as_mut()) else {
            return;
        };
        if !versions.is_due(rcv_nxt) && !versions.is_large(reach, out.shared.search_budget) {
            return;
        }
        let mut budget = out.shared.search_budget;
        versions.settle(rcv_nxt, reach, &mut budget, out);
        out.shared.search_budget = budget;
        self.charge_versions(out.shared);
    }

    /// Hands on an alternate at once, joined with the octets of the stream around it as far as they are known.
    fn alternate<S: ChunkSink>(
        &self,
        at: i64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut Out<'_, S>,
    ) {
        let context = out.shared.limits.context;
        let mut joined = std::mem::take(&mut out.shared.scratch);
        joined.clear();
        let mut offset = 0;
        let mut after = None;
        if let Ok(start) = u64::try_from(at) {
            offset = self.known_before(start, start.saturating_sub(context));
            self.copy_known(offset, start, &mut joined);
            after = Some(start + bytes.len() as u64);
        } else if let Ok(end) = u64::try_from(at + i64::try_from(bytes.len()).unwrap_or_default()) {
            after = Some(end);
        }
        let from = joined.len();
        joined.extend_from_slice(bytes);
        let to = joined.len();
        if let Some(end) = after {
            self.copy_known(end, end.saturating_add(context), &mut joined);
        }
        out.alternate(offset, &joined, (from, to), frames);
        out.shared.scratch = joined;
    }

    /// First offset of the known octets that end at `at`, not in front of `limit`.
    fn known_before(&self, at: u64, limit: u64) -> u64 {
        let Some(extra) = &self.extra else { return at };
        let first = if at > self.rcv_nxt {
            extra.waiting.known_before(at, limit.max(self.rcv_nxt))
        } else {
            at
        };
        let kept_from = extra.tail.start();
        if first > self.rcv_nxt || extra.tail.is_empty() || kept_from >= first {
            return first;
        }
        limit.max(kept_from)
    }

    /// Appends the octets `from..to`, up to the first that is not known.
    fn copy_known(&self, from: u64, to: u64, joined: &mut Vec<u8>) {
        let Some(extra) = &self.extra else { return };
        let mut cursor = from;
        if cursor < self.rcv_nxt {
            let end = to.min(self.rcv_nxt);
            let (first, second) = extra.tail.get(cursor, end);
            if first.is_empty() {
                return;
            }
            joined.extend_from_slice(first);
            joined.extend_from_slice(second);
            cursor = end;
        }
        while cursor < to {
            let octets = extra.waiting.known(cursor, to);
            if octets.is_empty() {
                return;
            }
            joined.extend_from_slice(octets);
            cursor += octets.len() as u64;
        }
    }
}
