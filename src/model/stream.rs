//! What flow hands on: ordered chunks of one direction of a conn.

use super::conn::{ConnId, ConnRecord, ConnSlot, Uid};
use super::frame::{FrameRef, FrameSpan};
use std::fmt;

/// One of the two streams of a conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From who opened the conn.
    OrigToResp,
    /// Back to who opened the conn.
    RespToOrig,
}

impl Direction {
    /// Both, `OrigToResp` first.
    pub const BOTH: [Self; 2] = [Self::OrigToResp, Self::RespToOrig];

    /// The other one.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::OrigToResp => Self::RespToOrig,
            Self::RespToOrig => Self::OrigToResp,
        }
    }

    /// 0 for `OrigToResp`, 1 for `RespToOrig`: an index into a pair.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::OrigToResp => 0,
            Self::RespToOrig => 1,
        }
    }
}

/// `orig` or `resp`: who sent.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OrigToResp => "orig",
            Self::RespToOrig => "resp",
        })
    }
}

/// A piece of one direction, in stream order. Offset 0 is the octet at IRS + 1 (TCP), or the first
/// octet seen (mid-stream pick-up, UDP and other protocols).
#[derive(Clone, Copy, Debug)]
pub enum Chunk<'a> {
    /// The next octets. For protocols other than TCP one chunk is one datagram.
    Data {
        /// Offset of the first octet in the stream.
        offset: u64,
        /// The octets; never empty.
        bytes: &'a [u8],
        /// Where they were captured.
        frames: FrameSpan,
    },
    /// Octets that the wire may have carried and the capture lacks; counted in `missed_bytes`.
    Gap {
        /// Offset of the first missing octet.
        offset: u64,
        /// How many octets are missing.
        len: u64,
    },
    /// Octets that are no part of the first-wins stream, but were on the wire: another version of
    /// octets already handed on, or a segment out of the window or after the end. To be searched by
    /// themselves; they do not advance the stream.
    Alternate {
        /// Offset of the first octet, where it has one; else 0.
        offset: u64,
        /// The octets, with the neighbouring octets of the stream around them where they are known.
        bytes: &'a [u8],
        /// From and to, as places in `bytes`: what is not the stream's. The octets around it are its neighbours. Empty
        /// where a receiver leaves octets out.
        disputed: (usize, usize),
        /// Where they were captured.
        frames: FrameSpan,
    },
}

/// Who takes what flow hands on. Implemented by inspect; called by the conn table, once a chunk.
pub trait ChunkSink {
    /// A conn begins. `slot` is its index until `closed`, and is then used again.
    fn opened(&mut self, slot: ConnSlot, uid: Uid, id: &ConnId, at: FrameRef);
    /// The next chunk of one direction.
    fn chunk(&mut self, slot: ConnSlot, dir: Direction, chunk: &Chunk<'_>);
    /// How many octets in a row `is_barren` is asked about; none where it knows no answer. Asked where many alternates are
    /// mixed of the same parts.
    fn grain(&self) -> Option<usize> {
        None
    }
    /// Whether alternates need not be seen of which every `grain` octets in a row stand in these, wherever that is: nothing can
    /// be found in them, and nothing else follows from what they are.
    fn is_barren(&mut self, _slot: ConnSlot, _dir: Direction, _bytes: &[u8]) -> bool {
        false
    }
    /// Takes note of alternates of which `is_barren` was said: how many octets they have together.
    fn barren(&mut self, _slot: ConnSlot, _dir: Direction, _octets: u64) {}
    /// These conns are heard of or closed soon: memory that is then needed may be asked for. `near`: what the place of each leads to,
    /// the place itself having been asked for before.
    fn expect(&self, _slots: &[ConnSlot], _near: bool) {}
    /// Octets of memory that the sink holds for an open conn. Asked behind segments with payload; who holds nothing says 0.
    fn held(&self, slot: ConnSlot) -> usize;
    /// The conn has ended, was evicted, or the input is at its end.
    fn closed(&mut self, slot: ConnSlot, record: ConnRecord);
}
