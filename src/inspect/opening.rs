//! The opening of a conn: kept until its protocol is recognised, then read again in the order of arrival.

use super::dialect::{self, Fit, Opening, Spec};
use crate::model::{Chunk, ConnId, Direction, FrameSpan, Proto};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Octets of one direction that are kept while the protocol is not known; a greeting and a few commands fit.
const MAX_OCTETS: usize = 2048;

/// Chunks that are kept likewise; bounds a conn of one octet a segment.
const MAX_CHUNKS: usize = 512;

/// Pieces for which an opening has room when it is kept for another conn; its octets are bounded anyway.
const FEW_PIECES: usize = 32;

/// Datagrams after which a conn without a recognised protocol is given up.
const MAX_DATAGRAMS: usize = 8;

/// What came, in the order of arrival.
#[derive(Default)]
pub(super) struct OpeningBuffer {
    octets: [Vec<u8>; 2],
    /// How many octets of each direction a probe may look at: up to the first gap, or the first datagram.
    probed: [Option<usize>; 2],
    pieces: Vec<Piece>,
    first: Option<Direction>,
}

/// A piece of one direction.
enum Piece {
    Data { dir: Direction, offset: u64, start: usize, len: usize, frames: FrameSpan },
    Gap { dir: Direction, offset: u64, len: u64 },
}

/// What the probes say.
pub(super) enum Choice {
    /// More is needed.
    Wait,
    /// This protocol.
    Taken(&'static Spec),
    /// None that is known.
    Unknown,
}

impl OpeningBuffer {
    /// Forgets everything. False where its memory is too large to be kept for another conn.
    pub(super) fn clear(&mut self) -> bool {
        for octets in &mut self.octets {
            octets.clear();
        }
        self.pieces.clear();
        (self.probed, self.first) = ([None; 2], None);
        self.pieces.capacity() <= FEW_PIECES
    }

    /// Keeps a chunk. False where it does not fit any more: then it is time to decide.
    pub(super) fn keep(&mut self, dir: Direction, chunk: &Chunk<'_>, is_stream: bool) -> bool {
        if self.pieces.len() >= MAX_CHUNKS || !is_stream && self.pieces.len() >= MAX_DATAGRAMS {
            return false;
        }
        let [orig, resp] = &mut self.octets;
        let octets = if dir == Direction::OrigToResp { orig } else { resp };
        let [probed_orig, probed_resp] = &mut self.probed;
        let probed = if dir == Direction::OrigToResp { probed_orig } else { probed_resp };
        match *chunk {
            Chunk::Data { offset, bytes, frames } => {
                if octets.len().saturating_add(bytes.len()) > MAX_OCTETS {
                    return false;
                }
                self.first.get_or_insert(dir);
                let start = octets.len();
                if start == 0 {
                    octets.reserve_exact(bytes.len());
                    self.pieces.reserve_exact(1);
                }
                octets.extend_from_slice(bytes);
                self.pieces.push(Piece::Data { dir, offset, start, len: bytes.len(), frames });
                if !is_stream {
                    probed.get_or_insert(octets.len());
                }
            }
            Chunk::Gap { offset, len } => {
                if !octets.is_empty() {
                    probed.get_or_insert(octets.len());
                }
                self.pieces.push(Piece::Gap { dir, offset, len });
            }
            Chunk::Alternate { .. } => {}
        }
        true
    }

    /// Octets of memory held beside its own.
    pub(super) fn held(&self) -> usize {
        let octets: usize = self.octets.iter().map(Vec::capacity).sum();
        octets + self.pieces.capacity() * size_of::<Piece>()
    }

    /// Asks every protocol of `id.proto`. `beyond` is a chunk that does not fit any more: of a stream its first octets are
    /// looked at as well, so that the pieces do not matter; else it is looked at where its direction has said nothing yet.
    pub(super) fn choose(
        &self,
        id: &ConnId,
        beyond: Option<(Direction, &[u8])>,
        more: bool,
    ) -> Choice {
        let look = |dir: Direction| {
            let (octets, probed) = match dir {
                Direction::OrigToResp => {
                    let ([octets, _], [probed, _]) = (&self.octets, self.probed);
                    (octets, probed)
                }
                Direction::RespToOrig => {
                    let ([_, octets], [_, probed]) = (&self.octets, self.probed);
                    (octets, probed)
                }
            };
            let known = octets.get(..probed.unwrap_or(octets.len())).unwrap_or_default();
            match beyond {
                Some((side, bytes)) if side == dir && probed.is_none() => {
                    let room = MAX_OCTETS.saturating_sub(known.len());
                    let bytes = bytes.get(..room).unwrap_or(bytes);
                    if known.is_empty() { bytes.into() } else { [known, bytes].concat().into() }
                }
                _ => Cow::Borrowed(known),
            }
        };
        let (orig, resp) = (look(Direction::OrigToResp), look(Direction::RespToOrig));
        let first = self.first.or(beyond.map(|(dir, _)| dir)).unwrap_or(Direction::OrigToResp);
        let opening = Opening {
            orig: &orig,
            resp: &resp,
            orig_port: id.orig.port,
            resp_port: id.resp.port,
            first,
            more,
        };
        choose_among(dialect::ALL, id.proto, &opening)
    }

    /// Hands everything that was kept to `take`, in the order of arrival.
    pub(super) fn replay(&self, take: &mut dyn FnMut(Direction, &Chunk<'_>)) {
        let [orig, resp] = &self.octets;
        for piece in &self.pieces {
            match *piece {
                Piece::Data { dir, offset, start, len, frames } => {
                    let octets = if dir == Direction::OrigToResp { orig } else { resp };
                    if let Some(bytes) = octets.get(start..start.saturating_add(len)) {
                        take(dir, &Chunk::Data { offset, bytes, frames });
                    }
                }
                Piece::Gap { dir, offset, len } => take(dir, &Chunk::Gap { offset, len }),
            }
        }
    }
}

/// The best fit: certain ones first, those on their own port before others; a plausible one only on its own port,
/// and only when nobody asks for more.
fn choose_among(specs: &[&'static Spec], proto: Proto, opening: &Opening<'_>) -> Choice {
    let mut certain: Option<&'static Spec> = None;
    let mut plausible: Option<&'static Spec> = None;
    let mut waiting = false;
    let of_proto = || specs.iter().copied().filter(|spec| spec.proto == proto);
    let is_usual = is_usual_port(opening.resp_port) || is_usual_port(opening.orig_port);
    let on_port = |spec: &&Spec| is_usual && opening.on_port(spec.ports);
    // A certain one on its own port decides, whatever the others say: they need not be asked.
    for spec in of_proto().filter(on_port) {
        match (spec.probe)(opening) {
            Fit::Certain => return Choice::Taken(spec),
            Fit::Plausible => plausible = plausible.or(Some(spec)),
            Fit::NeedMore => waiting = true,
            Fit::No => {}
        }
    }
    for spec in of_proto().filter(|spec| !on_port(spec)) {
        match (spec.probe)(opening) {
            Fit::Certain => certain = certain.or(Some(spec)),
            Fit::Plausible | Fit::NeedMore => waiting = true,
            Fit::No => {}
        }
    }
    match (certain, plausible) {
        (Some(spec), _) => Choice::Taken(spec),
        _ if waiting && opening.more => Choice::Wait,
        (None, Some(spec)) => Choice::Taken(spec),
        (None, None) => Choice::Unknown,
    }
}

/// Whether it is a usual port of any protocol.
fn is_usual_port(port: u16) -> bool {
    static PORTS: LazyLock<Box<[u64]>> = LazyLock::new(|| {
        let mut ports = vec![0_u64; (1 << 16) / 64].into_boxed_slice();
        for port in dialect::ALL.iter().flat_map(|spec| spec.ports) {
            if let Some(word) = ports.get_mut(usize::from(port >> 6)) {
                *word |= 1 << (port & 63);
            }
        }
        ports
    });
    PORTS.get(usize::from(port >> 6)).is_some_and(|word| word >> (port & 63) & 1 != 0)
}
