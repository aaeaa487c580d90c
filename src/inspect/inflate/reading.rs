//! A body on its way through its decoders to the matcher, and where its octets stood on the wire.

use super::bounds::{Bounds, Fault, Work};
use super::decoder::{Decoder, State};
use super::sniff::{Sniffer, Zone};
use super::{Coding, Codings, Context, Outcome, Told, hit};
use crate::inspect::matcher::{Needle, Scanner};
use crate::inspect::tally::{Look, Tally};
use crate::model::{Encoding, Excerpt, FrameSpan, Hit};
use std::collections::VecDeque;

/// Places kept, as pairs of an octet that was read and the octet of the wire where it began. Beyond it the oldest known
/// place stands for older ones; a text of any length lies within so many pieces.
const MAX_MARKS: usize = 1024;

/// Hits kept of compressed data that nobody announced, until it is sure that it is some or it ends.
const MAX_HELD: usize = 64;

/// Octets of compressed data without a checksum, read without a fault, from which text is sure to be some. What a decoder
/// makes of random octets ends within some tens, but may be long: a few octets repeated.
const SURE_INPUT: u64 = 128;

/// Pieces of such octets that must all but a few have read as text for the conn to be called readable. What a decoder makes
/// of random octets by the fixed codes of deflate lasts for 128 octets in one of 15 tries, and a run of one letter in it is
/// text in a window; but a piece of which nothing else than text comes is one in a hundred.
const SURE_PIECES: u32 = 8;

/// The same behind a magic of four octets.
const SURE_INPUT_BEHIND_MAGIC: u64 = 32;

/// Octets that are read at a time while it is not sure what they are, ...
const DOUBTED_PIECE: usize = 32;

/// ... and for how long.
const DOUBTED_INPUT: u64 = 1024;

/// Bodies inside bodies: a compressed file in a compressed answer is two.
pub(super) const MAX_DEPTH: u8 = 3;

/// Where octets come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// Offset in the stream of the first one, or of what they were read from.
    pub(super) wire: u64,
    /// They stand in the stream as they are.
    pub(super) exact: bool,
    pub(super) frames: FrameSpan,
}

/// One body.
pub(super) struct Body {
    coding: Coding,
    stages: Vec<Stage>,
    sink: Sink,
    /// Nothing more is read of it.
    is_over: bool,
    /// It ended as it should, with a checksum where there is one.
    is_done: bool,
}

/// One coding of a body.
struct Stage {
    decoder: Decoder,
    /// It has come to its end; what follows belongs to nothing.
    is_done: bool,
    /// It, or one behind it, has read all that it can.
    has_failed: bool,
}

/// Where the octets of a body go.
struct Sink {
    encoding: Encoding,
    scanner: Scanner,
    octets: u64,
    /// Where the last octets were captured.
    frames: FrameSpan,
    marks: VecDeque<Mark>,
    sniffer: Sniffer,
    depth: u8,
    /// Hits of a body that may be none, and what its octets look like; none where it was announced or is sure.
    doubt: Option<Box<Doubt>>,
}

#[derive(Default)]
struct Doubt {
    held: Vec<Hit>,
    /// There were more than are kept.
    is_full: bool,
    look: Tally,
    /// Octets that were read without a fault.
    passed: u64,
    /// Pieces that were read without a fault, and those of them that were text.
    pieces: u32,
    textual: u32,
    zone: Zone,
}

/// From `at` on, the octets were read from octet `wire` of the stream.
#[derive(Clone, Copy)]
struct Mark {
    at: u64,
    wire: u64,
    exact: bool,
}

impl Body {
    /// Octets of memory held beside its own.
    pub(super) fn held(&self) -> usize {
        let Self { stages, sink, .. } = self;
        let doubt = sink.doubt.as_ref().map_or(0, |doubt| {
            size_of::<Doubt>() + doubt.held.capacity() * (size_of::<Hit>() + Excerpt::MAX)
        });
        let decoders: usize = stages.iter().map(|stage| stage.decoder.held()).sum();
        stages.capacity() * size_of::<Stage>()
            + decoders
            + sink.scanner.memory()
            + sink.marks.capacity() * size_of::<Mark>()
            + sink.sniffer.held()
            + doubt
    }

    /// A body at its start. `is_single`: it ends behind the first member or frame.
    pub(super) fn new(
        codings: Codings,
        is_single: bool,
        depth: u8,
        bounds: &Bounds,
    ) -> Result<Self, Fault> {
        let stages = stages(codings, is_single, bounds)?;
        // The coding that is hardest to read names the whole.
        let compressed = |coding: &Coding| !matches!(coding, Coding::Pieces | Coding::Frames);
        let coding = codings.iter().find(compressed).or(codings.iter().next());
        let coding = coding.unwrap_or(Coding::Pieces);
        let encoding = coding.encoding();
        Ok(Self {
            coding,
            stages,
            sink: Sink {
                encoding,
                scanner: Scanner::default(),
                octets: 0,
                frames: FrameSpan::default(),
                marks: VecDeque::new(),
                sniffer: Sniffer::default(),
                depth,
                doubt: None,
            },
            is_over: false,
            is_done: false,
        })
    }

    /// A body that nobody announced.
    pub(super) fn guessed(
        coding: Coding,
        zone: Zone,
        depth: u8,
        bounds: &Bounds,
    ) -> Result<Self, Fault> {
        let mut body = Self::new(Codings::one(coding), true, depth, bounds)?;
        body.sink.doubt = Some(Box::new(Doubt { zone, ..Doubt::default() }));
        Ok(body)
    }

    /// Whether nothing more is read of it.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes the next octets as they stand on the wire.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        from: Source,
        cx: &mut Context<'_>,
        work: &mut Work,
        outcome: &mut Outcome,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_over {
            let is_doubted =
                self.sink.doubt.as_ref().is_some_and(|doubt| doubt.passed < DOUBTED_INPUT);
            let len = if is_doubted { DOUBTED_PIECE } else { usize::MAX };
            let (piece, tail) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            rest = tail;
            self.piece(piece, from, cx, work, outcome);
        }
    }

    fn piece(
        &mut self,
        bytes: &[u8],
        from: Source,
        cx: &mut Context<'_>,
        work: &mut Work,
        outcome: &mut Outcome,
    ) {
        let Self { stages, sink, .. } = self;
        sink.frames = from.frames;
        let before = sink.doubt.as_ref().map(|doubt| doubt.look.shares());
        let result = run(stages, bytes, &mut |read| sink.take(read, from, cx, work, outcome));
        match result {
            Ok(State::More) => {
                if let (Some(doubt), Some(before)) = (&mut self.sink.doubt, before) {
                    doubt.passed += bytes.len() as u64;
                    doubt.count_piece(before);
                }
                self.weigh(cx, outcome);
            }
            Ok(State::Done { .. }) => self.end(cx, work, outcome),
            Err(fault) => {
                self.is_over = true;
                // What decoders keep back stands in front of what could not be read.
                let Self { stages, sink, .. } = self;
                let drained = drain(stages, &mut |read| sink.take(read, from, cx, work, outcome));
                let fault = if drained == Err(Fault::Stopped) { Fault::Stopped } else { fault };
                self.fail(fault, cx, work, outcome);
            }
        }
    }

    fn is_as_it_is(&self) -> bool {
        self.stages.iter().all(|stage| matches!(stage.decoder, Decoder::AsIs))
    }

    /// The decoders begin anew.
    pub(super) fn restart(&mut self, codings: Codings, bounds: &Bounds) {
        match stages(codings, false, bounds) {
            Ok(stages) if !self.is_over => self.stages = stages,
            _ => {} // what is open goes on, and fails by itself
        }
    }

    /// Octets are missing: what is compressed cannot be read on.
    pub(super) fn gap(&mut self, cx: &mut Context<'_>, work: &mut Work, outcome: &mut Outcome) {
        if self.is_over {
            return;
        }
        if self.is_as_it_is() {
            let Sink { scanner, sniffer, .. } = &mut self.sink;
            cx.matcher.gap(scanner);
            sniffer.cut(cx, work, outcome);
            return;
        }
        self.end(cx, work, outcome);
    }

    /// It has ended.
    pub(super) fn end(&mut self, cx: &mut Context<'_>, work: &mut Work, outcome: &mut Outcome) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        // The decoders of the inner codings may keep something back, or lack their end.
        let whole = self.stages.iter().all(Stage::is_whole);
        let Self { stages, sink, .. } = self;
        let from = sink.last();
        let drained = drain(stages, &mut |read| sink.take(read, from, cx, work, outcome));
        let has_no_end = self.stages.iter().all(|stage| stage.decoder.has_no_end());
        if whole || has_no_end && self.sink.doubt.is_none() {
            self.is_done = whole && !self.is_as_it_is();
            self.close(cx, work, outcome);
        } else {
            self.fail(drained.err().unwrap_or(Fault::Damaged), cx, work, outcome);
        }
    }

    /// It could not be read to its end.
    fn fail(&mut self, fault: Fault, cx: &mut Context<'_>, work: &mut Work, outcome: &mut Outcome) {
        let is_sure = match &self.sink.doubt {
            None => true,
            // In ciphertext chance alone begins such data; elsewhere a long magic that decodes for a while is no chance.
            Some(doubt) => {
                let by_magic = self.coding != Coding::Zlib;
                doubt.zone == Zone::Clear
                    && (doubt.is_text(by_magic)
                        || by_magic
                            && (doubt.passed >= SURE_INPUT_BEHIND_MAGIC || fault == Fault::Stopped))
            }
        };
        if is_sure {
            fault.count(outcome);
        }
        self.close(cx, work, outcome);
    }

    /// Tells what waited, where it is sure, and gives the memory back.
    fn close(&mut self, cx: &mut Context<'_>, work: &mut Work, outcome: &mut Outcome) {
        self.sink.finish(cx, work, outcome);
        self.stages = Vec::new();
        self.weigh(cx, outcome);
        // It ends before it is sure what it was. A text of the target in it is no chance, or the verdict says that it may be one.
        if let Some(doubt) = &mut self.sink.doubt
            && doubt.zone == Zone::Clear
        {
            // What is not kept may be what counts.
            outcome.stopped += u64::from(doubt.is_full);
            for mut hit in doubt.held.drain(..) {
                hit.chance = hit.chance.map(|chance| by_decoder(chance, hit.value_len));
                (cx.tell)(Told::Hit(hit));
            }
        }
    }

    /// Tells the hits of data that nobody announced, once it is sure that it is some.
    fn weigh(&mut self, cx: &mut Context<'_>, outcome: &mut Outcome) {
        let Some(doubt) = &mut self.sink.doubt else { return };
        let by_magic = self.coding != Coding::Zlib;
        // A text of the target in it is no chance; to call the conn readable takes more.
        let (may_tell, is_text) = (doubt.is_readable(by_magic), doubt.is_text(by_magic));
        match doubt.zone {
            Zone::Sealed if self.is_done && doubt.look.octets() > 0 => {
                outcome.is_data_in_seal = true;
            }
            Zone::Clear if self.is_done || may_tell => {
                outcome.is_text |= is_text
                    || self.is_done
                        && matches!(doubt.look.look(), Look::Readable | Look::Structured);
            }
            _ => return,
        }
        for hit in doubt.held.drain(..) {
            (cx.tell)(Told::Hit(hit));
        }
        if self.is_done || is_text && doubt.passed >= SURE_INPUT {
            self.sink.doubt = None;
        }
    }
}

impl Doubt {
    /// Whether what was read looks like text somewhere.
    fn is_readable(&self, by_magic: bool) -> bool {
        let needed = if by_magic { SURE_INPUT_BEHIND_MAGIC } else { SURE_INPUT };
        self.passed >= needed && self.look.look() == Look::Readable
    }

    /// Whether it is text beyond what chance makes.
    fn is_text(&self, by_magic: bool) -> bool {
        let needed = if by_magic { 1 } else { SURE_PIECES };
        self.is_readable(by_magic)
            && self.textual >= needed
            && u64::from(self.textual) * 4 >= u64::from(self.pieces) * 3
    }

    /// Counts a piece; `before` is what `Tally::shares` gave in front of it. Of 64 octets one may be none of text: a
    /// sequence of UTF-8 may be torn at both ends.
    fn count_piece(&mut self, before: (u64, u64)) {
        let (octets, textual) = self.look.shares();
        let (octets, textual) = (octets - before.0, textual - before.1);
        if octets > 0 {
            self.pieces += 1;
            self.textual += u32::from(textual + 3 + octets / 64 >= octets);
        }
    }
}

impl Sink {
    /// Takes octets that were read.
    fn take(
        &mut self,
        bytes: &[u8],
        from: Source,
        cx: &mut Context<'_>,
        work: &mut Work,
        outcome: &mut Outcome,
    ) -> Result<(), Fault> {
        outcome.octets += bytes.len() as u64;
        let is_plain =
            from.exact && matches!(self.encoding, Encoding::Chunked | Encoding::WebSocket);
        if !is_plain {
            work.output(bytes.len(), cx.bounds)?;
        }
        if self.marks.len() >= MAX_MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { at: self.octets, wire: from.wire, exact: is_plain });
        if let Some(doubt) = &mut self.doubt {
            doubt.look.add(bytes);
        }
        let at = self.octets;
        self.octets += bytes.len() as u64;
        let Self { scanner, marks, doubt, encoding, .. } = self;
        let matcher = cx.matcher;
        matcher.scan(scanner, at, bytes, from.frames, &mut |found| {
            tell(found, marks, doubt.as_deref_mut(), *encoding, cx);
        });
        if self.depth < MAX_DEPTH {
            let source = Source { exact: false, ..from };
            let zone = doubt.as_ref().map_or(Zone::Clear, |doubt| doubt.zone);
            self.sniffer.feed(bytes, source, zone, self.depth + 1, cx, work, outcome);
        }
        Ok(())
    }

    fn finish(&mut self, cx: &mut Context<'_>, work: &mut Work, outcome: &mut Outcome) {
        let Self { scanner, marks, doubt, encoding, sniffer, .. } = self;
        let matcher = cx.matcher;
        matcher.finish(scanner, &mut |found| {
            tell(found, marks, doubt.as_deref_mut(), *encoding, cx);
        });
        sniffer.cut(cx, work, outcome);
    }

    /// Where the last octets came from.
    fn last(&self) -> Source {
        let wire = self.marks.back().map_or(0, |mark| mark.wire);
        Source { wire, exact: false, frames: self.frames }
    }
}

/// Tells of a match, or keeps it. One that stands in the stream as it is has been told by the search there.
fn tell(
    found: crate::inspect::matcher::Match<'_>,
    marks: &VecDeque<Mark>,
    doubt: Option<&mut Doubt>,
    encoding: Encoding,
    cx: &mut Context<'_>,
) {
    let place = |at: u64| {
        let after = marks.partition_point(|mark| mark.at <= at);
        let mark = marks.get(after.saturating_sub(1))?;
        Some((mark.wire + if mark.exact { at.saturating_sub(mark.at) } else { 0 }, mark.exact))
    };
    let last = u64::from(found.len.saturating_sub(1));
    let first = place(found.offset);
    let end = place(found.offset.saturating_add(last));
    if let (Some((first, true)), Some((end, true))) = (first, end)
        && end.saturating_sub(first) == last
    {
        return;
    }
    if matches!(found.needle, Needle::Token(_)) {
        return (cx.tell)(Told::Token(found));
    }
    let hit = hit(found, cx, first.map_or(0, |(wire, _)| wire), encoding);
    match doubt {
        Some(doubt) if doubt.held.len() < MAX_HELD => doubt.held.push(hit),
        Some(doubt) => doubt.is_full = true,
        None => (cx.tell)(Told::Hit(hit)),
    }
}

/// The chance of a text of so many octets in what a decoder makes of random octets: such are not spread evenly, letters come twice as
/// often.
fn by_decoder(chance: f64, octets: usize) -> f64 {
    let twice = i32::try_from(octets).map_or(f64::INFINITY, |octets| 2_f64.powi(octets));
    (chance * twice).min(1.0)
}

impl Stage {
    fn is_whole(&self) -> bool {
        self.is_done || self.decoder.is_whole()
    }
}

/// The decoders of a body, the outermost first.
fn stages(codings: Codings, is_single: bool, bounds: &Bounds) -> Result<Vec<Stage>, Fault> {
    let stage = |coding| {
        let decoder = Decoder::new(coding, is_single, bounds)?;
        Ok(Stage { decoder, is_done: false, has_failed: false })
    };
    codings.iter().map(stage).collect()
}

/// Sends octets through the decoders, the outermost first.
fn run(
    stages: &mut [Stage],
    bytes: &[u8],
    out: &mut dyn FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<State, Fault> {
    let Some((first, rest)) = stages.split_first_mut() else {
        return out(bytes).map(|()| State::More);
    };
    if first.is_done {
        return Ok(State::Done { used: 0 });
    }
    // Behind its damage a decoder reads nothing.
    if first.has_failed {
        return Err(Fault::Damaged);
    }
    let state = if rest.is_empty() {
        first.decoder.feed(bytes, out)
    } else {
        first.decoder.feed(bytes, &mut |read| run(rest, read, out).map(|_| ()))
    };
    first.has_failed = state.is_err();
    first.is_done = matches!(state, Ok(State::Done { .. }));
    state
}

/// Hands on what the decoders keep back.
fn drain(
    stages: &mut [Stage],
    out: &mut dyn FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Some((first, rest)) = stages.split_first_mut() else { return Ok(()) };
    let finished = first.decoder.finish(&mut |read| run(rest, read, out).map(|_| ()));
    finished.and(drain(rest, out))
}
