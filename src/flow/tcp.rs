//! The state of a TCP conn: where its streams begin and end, and when its endpoints are used again.

use super::conn::Event;
use super::out::Out;
use super::stream::{Anchor, Stream};
use crate::model::{ChunkSink, Direction, Segment, TcpFlags, TcpHeader};

/// Frames of a conn that was open before during which its streams may still be under way from before the capture.
const YOUNG_FRAMES: u64 = 16;

/// Both streams of a TCP conn.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, one octet each")]
#[derive(Debug, Default)]
pub(super) struct Tcp {
    pub(super) orig: Stream,
    pub(super) resp: Stream,
    is_reset: bool,
    has_syn: bool,
    /// Its ends belonged to another conn before.
    pub(super) is_reused: bool,
    /// It carried payload since it was last asked for memory.
    pub(super) is_active: bool,
}

impl Tcp {
    pub(super) const fn stream(&self, dir: Direction) -> &Stream {
        match dir {
            Direction::OrigToResp => &self.orig,
            Direction::RespToOrig => &self.resp,
        }
    }

    pub(super) const fn stream_mut(&mut self, dir: Direction) -> &mut Stream {
        match dir {
            Direction::OrigToResp => &mut self.orig,
            Direction::RespToOrig => &mut self.resp,
        }
    }

    /// Whether it has ended, by FIN of both sides or by RST.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_reset || (self.orig.is_finished() && self.resp.is_finished())
    }

    /// Whether nothing more is to be expected of it. A reset may be one that the receiver never got or never believed
    /// (a wrong sequence number, a TTL too short): where payload was seen, more of it may follow at any time.
    pub(super) fn is_gone(&self) -> bool {
        let both_said_fin = self.orig.is_finished() && self.resp.is_finished();
        both_said_fin || (self.is_reset && !self.has_data())
    }

    /// Whether it was reset.
    pub(super) const fn is_reset(&self) -> bool {
        self.is_reset
    }

    /// Whether more is kept of it than its place.
    pub(super) const fn has_extra(&self) -> bool {
        self.orig.has_extra() || self.resp.has_extra()
    }

    /// Gives back what was kept to compare and combine.
    pub(super) fn release<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        for dir in Direction::BOTH {
            self.stream_mut(dir).release(&mut out.of(dir));
        }
    }

    /// Whether payload was seen.
    pub(super) fn has_data(&self) -> bool {
        self.orig.has_data() || self.resp.has_data()
    }

    /// Whether a segment opens another conn between the same endpoints: a SYN with another initial sequence number, on a
    /// conn that has ended or has carried data.
    pub(super) fn is_reused_by(&self, header: &TcpHeader, dir: Direction) -> bool {
        let flags = header.flags;
        if !flags.has(TcpFlags::SYN) || flags.has(TcpFlags::RST) {
            return false;
        }
        let stream = self.stream(dir);
        if stream.is_anchored_at(header.seq.plus(1)) || !(self.is_closed() || self.has_data()) {
            return false;
        }
        if flags.has(TcpFlags::ACK) && self.stream(dir.reverse()).has_sent(header.ack) {
            // Another answer to the same SYN.
            return false;
        }
        match stream.anchor {
            Anchor::Data | Anchor::Syn => true,
            Anchor::None | Anchor::Seq | Anchor::Ack => !flags.has(TcpFlags::ACK),
        }
    }

    /// Takes a segment that `out.dir` sent.
    pub(super) fn push<S: ChunkSink>(
        &mut self,
        segment: &Segment<'_>,
        header: &TcpHeader,
        out: &mut Out<'_, S>,
    ) {
        let dir = out.dir;
        let flags = header.flags;
        let is_syn = flags.has(TcpFlags::SYN);
        let is_rst = flags.has(TcpFlags::RST);
        let has_payload = !segment.payload.is_empty() || segment.cut > 0;
        self.is_active |= has_payload;
        note(flags, has_payload, out);
        // A SYN takes one sequence number (RFC 9293 s3.4).
        let seq = if is_syn { header.seq.plus(1) } else { header.seq };
        if is_rst {
            self.is_reset = true;
            // An acknowledgement left from an earlier conn is answered with a reset (RFC 9293 s3.10.7.3).
            if !flags.has(TcpFlags::ACK)
                && !self.stream(dir).has_data()
                && self.stream(dir.reverse()).anchor != Anchor::Syn
            {
                self.stream_mut(dir).forget_acknowledgement();
            }
            self.stream(dir).stray(seq, segment.payload, segment.frames, out);
            return;
        }
        self.anchor(header, dir, has_payload || flags.has(TcpFlags::FIN), out);
        if flags.has(TcpFlags::ACK) {
            let stream = self.stream_mut(dir.reverse());
            let before = stream.acked();
            stream.acknowledge(header.ack, is_syn);
            out.shared.coverage.acks += u64::from(stream.acked() > before);
        }
        let stream = self.stream_mut(dir);
        stream.push(seq, segment.payload, segment.cut, segment.frames, out);
        if flags.has(TcpFlags::URG) && !segment.payload.is_empty() {
            out.conflict(1);
            stream.note_urgent(seq, header.urgent, segment.frames, out);
        }
        if flags.has(TcpFlags::FIN) {
            stream.finish_at(seq, segment.payload.len() as u64 + u64::from(segment.cut));
        }
        for dir in Direction::BOTH {
            self.stream_mut(dir).lose_patience(&mut out.of(dir));
        }
    }

    /// Ends both streams.
    pub(super) fn flush<S: ChunkSink>(&mut self, out: &mut Out<'_, S>) {
        let is_answered = self.orig.anchor == Anchor::Syn && self.resp.anchor == Anchor::Syn;
        if self.is_reused && !is_answered {
            // A SYN that nobody answered does not end the conn before it (RFC 5961 s4): its streams may go on in this one.
            for dir in Direction::BOTH {
                if self.stream(dir).has_data() {
                    out.of(dir).conflict(1);
                }
            }
        }
        for dir in Direction::BOTH {
            self.stream_mut(dir).flush(&mut out.of(dir));
        }
    }

    /// Finds where the sender's stream begins, and whether the conn was open before.
    fn anchor<S: ChunkSink>(
        &mut self,
        header: &TcpHeader,
        dir: Direction,
        has_payload: bool,
        out: &mut Out<'_, S>,
    ) {
        let is_young = out.meta.frames <= YOUNG_FRAMES;
        if header.flags.has(TcpFlags::SYN) {
            self.has_syn = true;
            let base = header.seq.plus(1);
            self.stream_mut(dir).open_at(base, out.shared);
            // Its frames were captured in another order.
            if std::mem::take(&mut out.meta.midstream) {
                let conns = &mut out.shared.coverage.midstream_conns;
                *conns = conns.saturating_sub(1);
            }
            return;
        }
        if !self.has_syn && !out.meta.midstream {
            out.meta.midstream = true;
            out.shared.coverage.midstream_conns += 1;
        }
        self.stream_mut(dir).settle(header.seq, has_payload, is_young);
    }
}

fn note<S: ChunkSink>(flags: TcpFlags, has_payload: bool, out: &mut Out<'_, S>) {
    let is_ack = flags.has(TcpFlags::ACK);
    if flags.has(TcpFlags::SYN) {
        out.note(if is_ack { Event::SynAck } else { Event::Syn });
    }
    if has_payload {
        out.note(Event::Data);
    } else if is_ack && flags.0 & (TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) == 0 {
        out.note(Event::Ack);
    }
    if flags.has(TcpFlags::FIN) {
        out.note(Event::Fin);
    }
    if flags.has(TcpFlags::RST) {
        out.note(Event::Rst);
    }
}
