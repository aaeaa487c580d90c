//! Conns that have said little: their chunks are kept as they came, and read in one go when the conn ends or has said more.
//!
//! A short conn so costs a copy of its octets and little memory while it is open, and is then read by parts that are warm from
//! the conn before. What is read, and in which order, is the same for the conn; only where it stands among others changes.

use super::ALLOCATION;
use crate::model::{Chunk, Direction, FrameRef, FrameSpan, Timestamp};

/// Octets of a conn that are kept, what describes the chunks among them: from here on it is read at once.
const MAX_OCTETS: usize = 1024;

/// Octets that describe a chunk, at the most: the marks, six numbers of ten octets, the time.
const MAX_HEADER: usize = 1 + 6 * 10 + 8;

/// In the mark of a chunk: it is by resp; it is a gap; its last frame is another than its first; its interface is not 0.
const IS_RESP: u8 = 1;
const IS_GAP: u8 = 2;
const HAS_LAST: u8 = 4;
const HAS_INTERFACE: u8 = 8;

/// Chunks of a conn in the order in which they came. Each is a mark, then numbers (LEB128: seven bits an octet, the lowest
/// first): interface, offset, length; of data also the first frame, its time (8 octets, little-endian), the last frame, the octets.
#[derive(Debug, Default)]
pub(super) struct Deferred(Vec<u8>);

/// All that is kept of conns that have said little. The places of those that were read are taken again.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    all: Vec<Deferred>,
    free: Vec<u32>,
}

impl Waiting {
    /// A place for another conn.
    pub(super) fn begin(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.all.push(Deferred::default());
            u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// What is kept at a place.
    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut Deferred> {
        self.all.get_mut(usize::try_from(at).ok()?)
    }

    /// Gives it out, and its place free.
    pub(super) fn take(&mut self, at: u32) -> Deferred {
        self.free.push(at);
        self.get_mut(at).map(std::mem::take).unwrap_or_default()
    }

    /// Octets of memory held at a place.
    pub(super) fn held(&self, at: u32) -> usize {
        let place = usize::try_from(at).ok().and_then(|at| self.all.get(at));
        place.map_or(0, |it| size_of::<Deferred>() + size_of::<u32>() + it.held() + ALLOCATION)
    }
}

impl Deferred {
    /// Keeps a chunk; false where it is not to be kept, and the conn is to be read from now on.
    pub(super) fn keep(&mut self, dir: Direction, chunk: &Chunk<'_>, interface_id: u32) -> bool {
        let (offset, len, data) = match *chunk {
            Chunk::Data { offset, bytes, frames } => {
                (offset, bytes.len() as u64, Some((bytes, frames)))
            }
            Chunk::Gap { offset, len } => (offset, len, None),
            Chunk::Alternate { .. } => return false,
        };
        let octets = data.map_or(0, |(bytes, _)| bytes.len());
        if self.0.len() + octets + MAX_HEADER > MAX_OCTETS {
            return false;
        }
        let mut mark = 0;
        if dir == Direction::RespToOrig {
            mark |= IS_RESP;
        }
        if interface_id != 0 {
            mark |= HAS_INTERFACE;
        }
        match data {
            None => mark |= IS_GAP,
            Some((_, frames)) if frames.last != frames.first.number => mark |= HAS_LAST,
            Some(_) => {}
        }
        if self.0.is_empty() {
            self.0.reserve_exact(octets + MAX_HEADER / 2);
        }
        self.0.push(mark);
        if interface_id != 0 {
            self.number(interface_id.into());
        }
        self.number(offset);
        self.number(len);
        if let Some((bytes, frames)) = data {
            self.number(frames.first.number);
            self.0.extend_from_slice(&frames.first.time.as_nanos().to_le_bytes());
            if mark & HAS_LAST != 0 {
                self.number(frames.last);
            }
            self.0.extend_from_slice(bytes);
        }
        true
    }

    /// Hands the chunks on, each with its interface, and with whether more octets of the same side follow.
    pub(super) fn replay(&self, take: &mut dyn FnMut(u32, Direction, &Chunk<'_>, bool)) {
        let mut reader = Reader(&self.0);
        while let Some((interface_id, dir, chunk)) = reader.chunk() {
            let next = reader.0.first().map(|mark| mark & (IS_RESP | IS_GAP));
            let is_followed = next == Some(if dir == Direction::RespToOrig { IS_RESP } else { 0 });
            take(interface_id, dir, &chunk, is_followed);
        }
        debug_assert!(reader.0.is_empty(), "every chunk is read");
    }

    /// Octets of memory held beside its own.
    pub(super) const fn held(&self) -> usize {
        self.0.capacity()
    }

    fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest > 0x7f {
            self.0.push(0x80 | low(rest));
            rest >>= 7;
        }
        self.0.push(low(rest));
    }
}

/// The lowest seven bits.
fn low(number: u64) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn chunk(&mut self) -> Option<(u32, Direction, Chunk<'a>)> {
        let (&mark, rest) = self.0.split_first()?;
        self.0 = rest;
        let interface_id =
            if mark & HAS_INTERFACE != 0 { u32::try_from(self.number()?).ok()? } else { 0 };
        let dir = if mark & IS_RESP != 0 { Direction::RespToOrig } else { Direction::OrigToResp };
        let (offset, len) = (self.number()?, self.number()?);
        if mark & IS_GAP != 0 {
            return Some((interface_id, dir, Chunk::Gap { offset, len }));
        }
        let number = self.number()?;
        let (time, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        let first = FrameRef { number, time: Timestamp::from_nanos(i64::from_le_bytes(*time)) };
        let last = if mark & HAS_LAST != 0 { self.number()? } else { number };
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some((interface_id, dir, Chunk::Data { offset, bytes, frames: FrameSpan { first, last } }))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (&octet, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                break;
            }
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Kept = (u32, Direction, u64, Result<(Vec<u8>, u64, i64, u64), u64>);

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..300_u64, any::<u64>(), Just(u64::MAX)]
    }

    fn chunk() -> impl Strategy<Value = Kept> {
        let data = (
            proptest::collection::vec(any::<u8>(), 1..300),
            number(),
            any::<i64>(),
            any::<bool>(),
            number(),
        )
            .prop_map(|(bytes, first, time, same, last)| {
                Ok((bytes, first, time, if same { first } else { last }))
            });
        let what = prop_oneof![4 => data, 1 => number().prop_map(Err)];
        let dir = prop_oneof![Just(Direction::OrigToResp), Just(Direction::RespToOrig)];
        (prop_oneof![Just(0), any::<u32>()], dir, number(), what)
    }

    proptest! {
        #[test]
        fn chunks_come_back_as_they_were(chunks in proptest::collection::vec(chunk(), 0..12)) {
            let mut deferred = Deferred::default();
            let mut expected = Vec::new();
            for kept in chunks {
                let (interface, dir, offset, what) = &kept;
                let chunk = match what {
                    Ok((bytes, number, time, last)) => {
                        let first = FrameRef { number: *number, time: Timestamp::from_nanos(*time) };
                        Chunk::Data { offset: *offset, bytes, frames: FrameSpan { first, last: *last } }
                    }
                    Err(len) => Chunk::Gap { offset: *offset, len: *len },
                };
                if deferred.keep(*dir, &chunk, *interface) {
                    expected.push(kept);
                }
            }
            prop_assert!(deferred.0.len() <= MAX_OCTETS);
            let mut seen: Vec<Kept> = Vec::new();
            deferred.replay(&mut |interface, dir, chunk, _| seen.push(match *chunk {
                Chunk::Data { offset, bytes, frames } => {
                    let FrameSpan { first, last } = frames;
                    (interface, dir, offset, Ok((bytes.to_vec(), first.number, first.time.as_nanos(), last)))
                }
                Chunk::Gap { offset, len } => (interface, dir, offset, Err(len)),
                Chunk::Alternate { .. } => unreachable!(),
            }));
            prop_assert_eq!(seen, expected);
        }
    }
}
