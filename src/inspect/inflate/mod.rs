//! Bodies that are written in another form on the wire: compressed, cut by chunk headers, masked.
//!
//! In: octets that a dialect names as a body, and every stream as it is, for compressed data that nobody announced.
//! Out: what the matcher finds in the octets that they stand for, and counts of what could not be read. Bounded in memory
//! and in work (`bounds`), so that a few octets never make many. Never: a protocol's grammar, a class, a verdict.

mod bounds;
mod brotli;
mod decoder;
mod gzip;
mod reading;
mod sniff;
#[cfg(test)]
mod tests;
mod zstd;

pub(super) use bounds::Bounds;

use super::hits;
use super::matcher::{Match, Matcher};
use crate::model::{Chunk, Direction, Encoding, FrameSpan, Hit, Uid};
use bounds::Work;
use reading::{Body, Source};
use sniff::{Sniffer, Zone};

/// Codings of one body inside one another that are undone; real servers use one, hostile ones as many as are read.
const MAX_CODINGS: usize = 4;

/// Bodies of one direction that are read side by side: WebSocket mixes plain messages, compressed ones and control frames.
const LANES: usize = 3;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// In pieces, with octets of the protocol between them (chunked framing of RFC 9112 s7.1).
    Pieces,
    /// In frames, masked by the client (RFC 6455 s5.3).
    Frames,
    /// RFC 1952, one or more members.
    Gzip,
    /// HTTP's `deflate`: RFC 1950, or as some servers write it RFC 1951 without a header.
    Deflate,
    /// RFC 1951.
    RawDeflate,
    /// RFC 1950.
    Zlib,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// A coding that is not read.
    Unknown,
}

impl Coding {
    /// The coding of that name in HTTP's registry (RFC 9110 s8.4.1); none for `identity` and `chunked`, which change nothing.
    pub(crate) fn of_name(name: &[u8]) -> Option<Self> {
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" | b"chunked" => None,
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            b"br" => Some(Self::Brotli),
            b"zstd" => Some(Self::Zstd),
            _ => Some(Self::Unknown),
        }
    }

    const fn encoding(self) -> Encoding {
        match self {
            Self::Pieces => Encoding::Chunked,
            Self::Frames => Encoding::WebSocket,
            Self::Gzip => Encoding::Gzip,
            Self::Deflate | Self::RawDeflate | Self::Zlib | Self::Unknown => Encoding::Deflate,
            Self::Brotli => Encoding::Brotli,
            Self::Zstd => Encoding::Zstd,
        }
    }
}

/// The codings of a body, the outermost (the last that was applied) first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codings {
    list: [Option<Coding>; MAX_CODINGS],
}

impl Codings {
    /// One coding.
    pub(crate) const fn one(coding: Coding) -> Self {
        Self { list: [Some(coding), None, None, None] }
    }

    /// Puts a coding around those that are known. Beyond four the whole is unknown.
    pub(crate) fn push_outer(&mut self, coding: Coding) {
        *self = Self::one(coding).around(*self);
    }

    /// These codings around others.
    pub(crate) fn around(self, inner: Self) -> Self {
        let mut all = Self::default();
        let mut places = all.list.iter_mut();
        for coding in self.iter().chain(inner.iter()) {
            let Some(place) = places.next() else { return Self::one(Coding::Unknown) };
            *place = Some(coding);
        }
        all
    }

    /// Whether the body stands as it is.
    pub(crate) fn is_empty(self) -> bool {
        self.list.iter().all(Option::is_none)
    }

    fn iter(self) -> impl Iterator<Item = Coding> {
        self.list.into_iter().flatten()
    }
}

/// What a dialect tells of a body.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Who sent it.
    pub dir: Direction,
    /// Which of the bodies read side by side; 0 to 2.
    pub lane: usize,
    /// Offset in the stream of what it is about.
    pub offset: u64,
    /// What it is.
    pub what: What<'a>,
}

/// See `Part`.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// A body begins; one that is open in the same lane ends without complaint.
    Begins(Codings),
    /// Its next octets.
    Octets {
        /// The octets.
        bytes: &'a [u8],
        /// Where they were captured.
        frames: FrameSpan,
        /// They stand like this in the stream.
        as_is: bool,
    },
    /// It is whole.
    Ends,
    /// It goes on without what was read before (RFC 7692 s7.2.2, no context takeover).
    Restarts(Codings),
    /// What follows is a body that cannot be read.
    Unread,
}

/// What reading bodies needs of the conn.
pub(super) struct Context<'a> {
    pub(super) matcher: &'a Matcher,
    pub(super) bounds: &'a Bounds,
    pub(super) uid: Uid,
    pub(super) dir: Direction,
    pub(super) tell: &'a mut dyn FnMut(Told<'_>),
}

/// What was found in a body.
pub(super) enum Told<'a> {
    /// A control token.
    Token(Match<'a>),
    /// An identifier.
    Hit(Hit),
}

/// What came of the bodies of a conn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Bodies that could not be read, or not to their end: another coding, damage, a gap.
    pub(super) unread: u64,
    /// Bodies left because a bound was reached.
    pub(super) stopped: u64,
    /// Octets that were read out of bodies, all layers together.
    pub(super) octets: u64,
    /// Compressed text was found where the conn is not sealed.
    pub(super) is_text: bool,
    /// Compressed data with the right checksum was found in what should be ciphertext.
    pub(super) is_data_in_seal: bool,
}

/// Bodies of one conn.
#[derive(Default)]
pub(super) struct Inflate {
    sides: [Side; 2],
    outcome: Outcome,
}

/// Bodies of one direction. Small while nothing is compressed.
#[derive(Default)]
struct Side {
    bodies: Option<Box<[Option<Body>; LANES]>>,
    sniffer: Sniffer,
    work: Work,
    /// The octets of the chunk at hand that a dialect told as a body: from, to.
    told: Option<(u64, u64)>,
}

impl Inflate {
    /// Takes what a dialect tells.
    pub(super) fn part(&mut self, part: &Part<'_>, cx: &mut Context<'_>) {
        let Self { sides: [orig, resp], outcome } = self;
        let side = if part.dir == Direction::OrigToResp { orig } else { resp };
        match part.what {
            What::Begins(codings) => {
                let body = Body::new(codings, false, 0, cx.bounds);
                let lanes = side.bodies.get_or_insert_default();
                let Some(lane) = lanes.get_mut(part.lane) else {
                    outcome.unread += 1;
                    return;
                };
                if let Some(mut before) = lane.take() {
                    before.end(cx, &mut side.work, outcome);
                }
                match body {
                    Ok(body) => *lane = Some(body),
                    Err(fault) => fault.count(outcome),
                }
            }
            What::Octets { bytes, frames, as_is } => {
                side.work.input(bytes.len());
                if as_is {
                    let end = part.offset.saturating_add(bytes.len() as u64);
                    let from = side.told.map_or(part.offset, |(from, _)| from.min(part.offset));
                    let to = side.told.map_or(end, |(_, to)| to.max(end));
                    side.told = Some((from, to));
                }
                let lanes = side.bodies.as_deref_mut();
                if let Some(Some(body)) = lanes.and_then(|lanes| lanes.get_mut(part.lane)) {
                    let from = Source { wire: part.offset, exact: as_is, frames };
                    body.feed(bytes, from, cx, &mut side.work, outcome);
                }
            }
            What::Restarts(codings) => {
                let lanes = side.bodies.as_deref_mut();
                if let Some(Some(body)) = lanes.and_then(|lanes| lanes.get_mut(part.lane)) {
                    body.restart(codings, cx.bounds);
                }
            }
            What::Ends => {
                let lanes = side.bodies.as_deref_mut();
                let lane = lanes.and_then(|lanes| lanes.get_mut(part.lane));
                if let Some(mut body) = lane.and_then(Option::take) {
                    body.end(cx, &mut side.work, outcome);
                }
                if side.bodies.as_ref().is_some_and(|lanes| lanes.iter().all(Option::is_none)) {
                    side.bodies = None;
                }
            }
            What::Unread => outcome.unread += 1,
        }
    }

    /// Takes a chunk of the stream after the dialect has read it: looks for compressed data that nobody announced.
    /// `sealed`: from where on the direction claims to be ciphertext.
    pub(super) fn chunk(&mut self, chunk: &Chunk<'_>, sealed: Option<u64>, cx: &mut Context<'_>) {
        let Self { sides: [orig, resp], outcome } = self;
        let side = if cx.dir == Direction::OrigToResp { orig } else { resp };
        match *chunk {
            Chunk::Data { offset, bytes, frames } => {
                side.work.input(bytes.len());
                cx.bounds.input(bytes.len());
                let end = offset.saturating_add(bytes.len() as u64);
                let (from, to) = side.told.take().unwrap_or((end, end));
                let index = |at: u64| {
                    usize::try_from(at.clamp(offset, end) - offset).unwrap_or(bytes.len())
                };
                let (before, behind) = (index(from), index(to));
                for (from, to) in [(0, before), (behind, bytes.len())] {
                    if from == behind && behind > before {
                        side.sniffer.cut(cx, &mut side.work, outcome);
                    }
                    let Some(bytes) = bytes.get(from..to).filter(|bytes| !bytes.is_empty()) else {
                        continue;
                    };
                    let wire = offset.saturating_add(from as u64);
                    let source = Source { wire, exact: true, frames };
                    let is_sealed = sealed.is_some_and(|from| wire >= from);
                    let zone = if is_sealed { Zone::Sealed } else { Zone::Clear };
                    side.sniffer.feed(bytes, source, zone, 0, cx, &mut side.work, outcome);
                }
            }
            Chunk::Gap { .. } => {
                side.told = None;
                side.sniffer.cut(cx, &mut side.work, outcome);
                for body in side.bodies.iter_mut().flat_map(|lanes| lanes.iter_mut().flatten()) {
                    body.gap(cx, &mut side.work, outcome);
                }
            }
            Chunk::Alternate { .. } => {}
        }
    }

    /// The conn has ended: what is open is read to its end. `cx.dir` is not looked at.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>) {
        let Self { sides, outcome } = self;
        for (side, dir) in sides.iter_mut().zip(Direction::BOTH) {
            cx.dir = dir;
            side.sniffer.cut(cx, &mut side.work, outcome);
            for body in side.bodies.iter_mut().flat_map(|lanes| lanes.iter_mut().flatten()) {
                body.end(cx, &mut side.work, outcome);
            }
            side.bodies = None;
        }
    }

    /// Octets of memory held beside its own, those of the decoders among them.
    pub(super) fn held(&self) -> usize {
        let sides = self.sides.iter().map(|side| {
            let lanes = side.bodies.as_ref().map_or(0, |lanes| {
                let bodies: usize = lanes.iter().flatten().map(Body::held).sum();
                size_of_val(&**lanes) + bodies
            });
            lanes + side.sniffer.held()
        });
        sides.sum()
    }

    /// What came of it.
    pub(super) const fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// A match in a body, as a hit.
fn hit(found: Match<'_>, cx: &Context<'_>, offset: u64, encoding: Encoding) -> Hit {
    let mut hit = hits::from_match(found, Some(cx.uid), Some(cx.dir), false);
    hit.offset = offset;
    hit.encoding = encoding;
    hit
}
