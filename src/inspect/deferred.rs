//! Conns that have said little: their chunks are kept as they came, and read in one go when the conn ends or has said more.
//!
//! A short conn so costs a copy of its octets and little memory while it is open, and is then read by parts that are warm from
//! the conn before. What is read, and in which order, is the same for the conn; only where it stands among others changes.

use crate::model::{Chunk, Direction, FrameRef, FrameSpan, Timestamp, fetch};

/// Octets of a conn that are kept, what describes the chunks among them: from here on it is read at once.
const MAX_OCTETS: usize = 1024;

/// Octets that describe a chunk, at the most: the marks, six numbers of ten octets, the time.
const MAX_HEADER: usize = 1 + 6 * 10 + 8;

/// In the mark of a chunk: it is by resp; it is a gap; its last frame is another than its first; its interface is not 0.
const IS_RESP: u8 = 1;
const IS_GAP: u8 = 2;
const HAS_LAST: u8 = 4;
const HAS_INTERFACE: u8 = 8;

/// Octets of a block: most conns that say little need one or two, and a block is two lines of cache.
const ROOM: usize = 124;

/// Blocks that are asked for together.
const TOGETHER: usize = 64;

/// No block.
const NONE: u32 = u32::MAX;

/// A part of what is kept of one conn.
#[derive(Clone, Copy)]
struct Block {
    /// The one behind it: of the same conn, or free as well.
    next: u32,
    octets: [u8; ROOM],
}

/// What is kept of one conn: chunks in the order in which they came. Each is a mark, then numbers (LEB128: seven bits an octet, the
/// lowest first): interface, offset, length; of data also the first frame, its time (8 octets, little-endian), the last frame,
/// the octets.
#[derive(Clone, Copy, Debug)]
struct Kept {
    first: u32,
    last: u32,
    len: usize,
}

/// All that is kept of conns that have said little, in blocks. Those of conns that were read are used again.
pub(super) struct Waiting {
    conns: Vec<Kept>,
    free_conns: Vec<u32>,
    blocks: Vec<Box<[Block; TOGETHER]>>,
    /// The first of the free blocks.
    free: u32,
    /// For what was kept of one conn, side by side.
    joined: Vec<u8>,
}

impl Default for Waiting {
    fn default() -> Self {
        let (conns, free_conns, blocks, joined) = Default::default();
        Self { conns, free_conns, blocks, free: NONE, joined }
    }
}

impl Waiting {
    /// A place for another conn.
    pub(super) fn begin(&mut self) -> u32 {
        let nothing = Kept { first: NONE, last: NONE, len: 0 };
        let at = self.free_conns.pop().unwrap_or_else(|| {
            self.conns.push(nothing);
            u32::try_from(self.conns.len() - 1).unwrap_or(NONE)
        });
        if let Some(kept) = self.conns.get_mut(at as usize) {
            *kept = nothing;
        }
        at
    }

    /// Asks for the memory of what is kept at a place.
    pub(super) fn expect(&self, at: u32) {
        let Some(kept) = self.conns.get(at as usize) else { return };
        for at in [kept.first, kept.last].map(|at| at as usize) {
            let block = self.blocks.get(at / TOGETHER).and_then(|it| it.get(at % TOGETHER));
            block.into_iter().for_each(fetch);
        }
    }

    /// Gives out what is kept at a place, and the place free. To be handed back when it was read.
    pub(super) fn take(&mut self, at: u32) -> Deferred {
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        let Some(&Kept { first, last, len }) = self.conns.get(at as usize) else {
            return Deferred(joined);
        };
        self.free_conns.push(at);
        let mut next = first;
        while let Some(block) = self.block(next) {
            let part = len - joined.len();
            joined.extend_from_slice(block.octets.get(..part.min(ROOM)).unwrap_or_default());
            next = block.next;
        }
        let free = self.free;
        if let Some(block) = self.block(last) {
            block.next = free;
            self.free = first;
        }
        Deferred(joined)
    }

    /// Takes its memory back.
    pub(super) fn give_back(&mut self, Deferred(joined): Deferred) {
        if joined.capacity() > self.joined.capacity() {
            self.joined = joined;
        }
    }

    /// Octets of memory held at a place.
    pub(super) fn held(&self, at: u32) -> usize {
        let blocks = self.conns.get(at as usize).map_or(0, |kept| kept.len.div_ceil(ROOM));
        size_of::<Kept>() + size_of::<u32>() + blocks * size_of::<Block>()
    }

    /// Keeps a chunk; false where it is not to be kept, and the conn is to be read from now on.
    pub(super) fn keep(
        &mut self,
        at: u32,
        dir: Direction,
        chunk: &Chunk<'_>,
        interface_id: u32,
    ) -> bool {
        let (offset, len, data) = match *chunk {
            Chunk::Data { offset, bytes, frames } => {
                (offset, bytes.len() as u64, Some((bytes, frames)))
            }
            Chunk::Gap { offset, len } => (offset, len, None),
            Chunk::Alternate { .. } => return false,
        };
        let bytes = data.map_or(&[] as &[u8], |(bytes, _)| bytes);
        let Some(&kept) = self.conns.get(at as usize) else { return false };
        if kept.len + bytes.len() + MAX_HEADER > MAX_OCTETS {
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
        let mut header = Header::default();
        header.put(&[mark]);
        if interface_id != 0 {
            header.number(interface_id.into());
        }
        header.number(offset);
        header.number(len);
        if let Some((_, frames)) = data {
            header.number(frames.first.number);
            header.put(&frames.first.time.as_nanos().to_le_bytes());
            if mark & HAS_LAST != 0 {
                header.number(frames.last);
            }
        }
        self.append(at, header.octets());
        self.append(at, bytes);
        true
    }

    /// Puts octets behind those that are kept at a place.
    fn append(&mut self, at: u32, octets: &[u8]) {
        let Some(&Kept { mut first, mut last, len }) = self.conns.get(at as usize) else { return };
        let mut used = len - len.saturating_sub(1) / ROOM * ROOM; // of the last block
        let mut rest = octets;
        while !rest.is_empty() {
            if used == ROOM || last == NONE {
                let next = self.another();
                match self.block(last) {
                    Some(block) => block.next = next,
                    None => first = next,
                }
                (last, used) = (next, 0);
            }
            let Some(block) = self.block(last) else { break };
            let (now, later) = rest.split_at_checked(ROOM - used).unwrap_or((rest, &[]));
            if let Some(place) = block.octets.get_mut(used..used + now.len()) {
                place.copy_from_slice(now);
            }
            used += now.len();
            rest = later;
        }
        if let Some(kept) = self.conns.get_mut(at as usize) {
            *kept = Kept { first, last, len: len + octets.len() };
        }
    }

    /// A block that is used by nobody.
    fn another(&mut self) -> u32 {
        if self.free == NONE {
            let from = self.blocks.len() * TOGETHER;
            let block = Block { next: NONE, octets: [0; ROOM] };
            let mut together = Box::new([block; TOGETHER]);
            for (block, next) in together.iter_mut().zip(from + 1..from + TOGETHER) {
                block.next = u32::try_from(next).unwrap_or(NONE);
            }
            self.blocks.push(together);
            self.free = u32::try_from(from).unwrap_or(NONE);
        }
        let at = self.free;
        if let Some(block) = self.block(at) {
            let next = std::mem::replace(&mut block.next, NONE);
            self.free = next;
        }
        at
    }

    fn block(&mut self, at: u32) -> Option<&mut Block> {
        let at = at as usize;
        self.blocks.get_mut(at / TOGETHER)?.get_mut(at % TOGETHER)
    }
}

/// What describes a chunk, while it is written.
struct Header {
    octets: [u8; MAX_HEADER],
    len: usize,
}

impl Default for Header {
    fn default() -> Self {
        Self { octets: [0; MAX_HEADER], len: 0 }
    }
}

impl Header {
    fn put(&mut self, octets: &[u8]) {
        if let Some(place) = self.octets.get_mut(self.len..self.len + octets.len()) {
            place.copy_from_slice(octets);
            self.len += octets.len();
        }
    }

    fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest > 0x7f {
            self.put(&[0x80 | low(rest)]);
            rest >>= 7;
        }
        self.put(&[low(rest)]);
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

/// What was kept of one conn.
#[derive(Debug, Default)]
pub(super) struct Deferred(Vec<u8>);

impl Deferred {
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

    type Said = (u32, Direction, u64, Result<(Vec<u8>, u64, i64, u64), u64>);

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..300_u64, any::<u64>(), Just(u64::MAX)]
    }

    fn chunk() -> impl Strategy<Value = Said> {
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

    /// What was kept at a place.
    fn read(waiting: &mut Waiting, at: u32) -> Vec<Said> {
        let deferred = waiting.take(at);
        assert!(deferred.0.len() <= MAX_OCTETS);
        let mut seen = Vec::new();
        deferred.replay(&mut |interface, dir, chunk, _| {
            seen.push(match *chunk {
                Chunk::Data { offset, bytes, frames } => {
                    let FrameSpan { first, last } = frames;
                    let time = first.time.as_nanos();
                    (interface, dir, offset, Ok((bytes.to_vec(), first.number, time, last)))
                }
                Chunk::Gap { offset, len } => (interface, dir, offset, Err(len)),
                Chunk::Alternate { .. } => unreachable!(),
            });
        });
        waiting.give_back(deferred);
        seen
    }

    proptest! {
        /// Several conns at a time; now and then one is read, and another takes its place.
        #[test]
        fn chunks_come_back_as_they_were(
            chunks in proptest::collection::vec((0..4_usize, chunk(), 0..8_u8), 0..60),
        ) {
            let mut waiting = Waiting::default();
            let mut places = [(); 4].map(|()| waiting.begin());
            let mut expected = [(); 4].map(|()| Vec::new());
            for (conn, kept, end) in chunks {
                let (interface, dir, offset, what) = &kept;
                let chunk = match what {
                    Ok((bytes, number, time, last)) => {
                        let first = FrameRef { number: *number, time: Timestamp::from_nanos(*time) };
                        Chunk::Data { offset: *offset, bytes, frames: FrameSpan { first, last: *last } }
                    }
                    Err(len) => Chunk::Gap { offset: *offset, len: *len },
                };
                if waiting.keep(places[conn], *dir, &chunk, *interface) {
                    expected[conn].push(kept);
                }
                if end == 0 {
                    prop_assert_eq!(read(&mut waiting, places[conn]), std::mem::take(&mut expected[conn]));
                    places[conn] = waiting.begin();
                }
            }
            for (place, expected) in places.into_iter().zip(expected) {
                prop_assert_eq!(read(&mut waiting, place), expected);
            }
            // No block was lost: all are free.
            let mut free = 0;
            let mut next = waiting.free;
            while let Some(block) = waiting.block(next) {
                (free, next) = (free + 1, block.next);
            }
            prop_assert_eq!(free, waiting.blocks.len() * TOGETHER);
        }
    }
}
