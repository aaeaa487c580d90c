//! zstd: RFC 8878, with the window of at most 8 MiB that HTTP allows (RFC 9659 s3). Frames that need a dictionary are not read.

use super::bounds::{Bounds, Fault, Permit};
use super::decoder::{Out, State};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Octets of the largest window.
const MAX_WINDOW: u64 = 8 << 20;

/// Octets of a block, beside its header (RFC 8878 s3.1.1.2.4).
const MAX_BLOCK: usize = 128 * 1024;

/// Octets of memory beside the window: a block, its sequences, tables.
const BESIDE: usize = 1 << 20;

/// A last block without content (RFC 8878 s3.1.1.2), and room for a checksum.
const EMPTY_LAST_BLOCK: &[u8] = &[1, 0, 0, 0, 0, 0, 0];

/// Octets handed on at a time.
const OUT: usize = 16 * 1024;

/// Octets of the checksum behind the last block (RFC 8878 s3.1.1).
const CHECKSUM: usize = 4;

/// One frame. The decoder takes whole headers and blocks only, so a part of one is kept.
pub(super) struct Zstd {
    decoder: FrameDecoder,
    pending: Vec<u8>,
    in_frame: bool,
    has_checksum: bool,
    frames: u64,
    /// It ends behind the first frame.
    is_single: bool,
    bounds: Bounds,
    memory: Option<Permit>,
}

/// What the octets at hand begin with.
enum Piece {
    /// More octets are needed: so many in all.
    Needs(usize),
    /// A header or block of so many octets.
    Of(usize),
    /// Something else.
    Other,
}

impl Zstd {
    pub(super) fn new(is_single: bool, bounds: &Bounds) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self {
            decoder,
            pending: Vec::new(),
            in_frame: false,
            has_checksum: false,
            frames: 0,
            is_single,
            bounds: bounds.clone(),
            memory: None,
        }
    }

    /// Whether it stands behind a whole frame.
    pub(super) fn is_whole(&self) -> bool {
        self.frames > 0 && !self.in_frame && self.pending.is_empty()
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: Out<'_>) -> Result<State, Fault> {
        let mut rest = bytes;
        loop {
            if self.is_single && self.is_whole() {
                return Ok(State::Done { used: bytes.len() - rest.len() });
            }
            // The octets kept are filled up to one header or block, never beyond it.
            if !self.pending.is_empty() {
                match self.piece(&self.pending) {
                    Piece::Needs(len) => {
                        let missing = len.saturating_sub(self.pending.len()).max(1);
                        let (head, tail) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
                        self.pending.extend_from_slice(head);
                        rest = tail;
                        if head.is_empty() {
                            return Ok(State::More);
                        }
                    }
                    Piece::Of(_) => {
                        let piece = std::mem::take(&mut self.pending);
                        self.take(&piece, out)?;
                    }
                    Piece::Other => return Err(Fault::Damaged),
                }
                continue;
            }
            if rest.is_empty() {
                return Ok(State::More);
            }
            match self.piece(rest) {
                Piece::Needs(_) => {
                    self.pending.extend_from_slice(rest);
                    return Ok(State::More);
                }
                Piece::Of(len) => {
                    let (piece, tail) = rest.split_at_checked(len).unwrap_or((rest, &[]));
                    self.take(piece, out)?;
                    rest = tail;
                }
                Piece::Other if self.is_whole() => {
                    return Ok(State::Done { used: bytes.len() - rest.len() });
                }
                Piece::Other => return Err(Fault::Damaged),
            }
        }
    }

    /// The decoder keeps the last window back until the frame ends: ends it, so that all is handed on that can be.
    pub(super) fn finish(&mut self, out: Out<'_>) -> Result<(), Fault> {
        if self.in_frame {
            // The last block may be whole, and lack its checksum.
            if let [first, _, _, ..] = *self.pending
                && let Piece::Needs(len) = self.block(&self.pending)
                && self.has_checksum
                && first & 1 == 1
                && self.pending.len() + CHECKSUM >= len
            {
                let mut piece = std::mem::take(&mut self.pending);
                piece.resize(len, 0);
                if self.blocks(&piece).is_ok() {
                    self.in_frame = false;
                    return self.collect(out);
                }
            }
            self.blocks(EMPTY_LAST_BLOCK)?;
            self.in_frame = false;
            self.collect(out)?;
        }
        Ok(())
    }

    /// What stands at the front of `bytes`, which are not empty.
    fn piece(&self, bytes: &[u8]) -> Piece {
        if self.in_frame { self.block(bytes) } else { header(bytes) }
    }

    fn block(&self, bytes: &[u8]) -> Piece {
        let &[b0, b1, b2, ..] = bytes else { return Piece::Needs(3) };
        let header = u32::from_le_bytes([b0, b1, b2, 0]);
        let size = usize::try_from(header >> 3).unwrap_or(usize::MAX);
        let size = match header >> 1 & 3 {
            1 => 1,
            3 => return Piece::Other,
            _ if size > MAX_BLOCK => return Piece::Other,
            _ => size,
        };
        let checksum = if header & 1 == 1 && self.has_checksum { CHECKSUM } else { 0 };
        let len = 3 + size + checksum;
        if bytes.len() < len { Piece::Needs(len) } else { Piece::Of(len) }
    }

    /// Decodes one whole header or block.
    fn take(&mut self, piece: &[u8], out: Out<'_>) -> Result<(), Fault> {
        if self.in_frame {
            let is_last = self.blocks(piece)?;
            self.collect(out)?;
            if is_last {
                self.in_frame = false;
                self.frames += 1;
                let stated = self.decoder.get_checksum_from_data();
                if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
                    return Err(Fault::Damaged);
                }
            }
            return Ok(());
        }
        if piece.get(1..4) == Some(&[0x2a, 0x4d, 0x18]) {
            return Ok(()); // a skippable frame's header; its content was counted in
        }
        if self.bounds.is_spent() {
            return Err(Fault::Stopped);
        }
        let window = window(piece).filter(|&window| window <= MAX_WINDOW).ok_or(Fault::Stopped)?;
        self.memory = None;
        self.memory = Some(self.bounds.hold(held(window))?);
        self.decoder.reset(piece).map_err(|_| Fault::Damaged)?;
        self.has_checksum = piece.get(4).is_some_and(|descriptor| descriptor & 4 != 0);
        self.in_frame = true;
        Ok(())
    }

    /// Octets of memory held.
    pub(super) fn held(&self) -> usize {
        self.pending.capacity() + self.memory.as_ref().map_or(0, Permit::octets)
    }

    fn blocks(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        let one = BlockDecodingStrategy::UptoBlocks(1);
        self.decoder.decode_blocks(bytes, one).map_err(|_| Fault::Damaged)
    }

    fn collect(&mut self, out: Out<'_>) -> Result<(), Fault> {
        use std::io::Read;
        let mut room = [0; OUT];
        loop {
            let made = self.decoder.read(&mut room).map_err(|_| Fault::Damaged)?;
            if made == 0 {
                return Ok(());
            }
            out(room.get(..made).unwrap_or_default())?;
        }
    }
}

/// The header of a frame (RFC 8878 s3.1.1.1), or a whole skippable frame (s3.1.2).
fn header(bytes: &[u8]) -> Piece {
    match bytes {
        [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] => {
            let len = 5 + fields(*descriptor).iter().sum::<usize>();
            if bytes.len() < len { Piece::Needs(len) } else { Piece::Of(len) }
        }
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, ..] => {
            let len = u32::from_le_bytes([*a, *b, *c, *d]);
            match usize::try_from(len).ok().filter(|&len| len <= MAX_BLOCK) {
                Some(len) if bytes.len() < 8 + len => Piece::Needs(8 + len),
                Some(len) => Piece::Of(8 + len),
                None => Piece::Other,
            }
        }
        _ if bytes.len() < 8
            && [&[0x28, 0xb5, 0x2f, 0xfd][..], &[0x2a, 0x4d, 0x18]].iter().any(|magic| {
                let skip = usize::from(magic.len() == 3);
                bytes.iter().skip(skip).zip(*magic).all(|(octet, wanted)| octet == wanted)
                    && (skip == 0 || matches!(bytes.first(), Some(0x50..=0x5f)))
            }) =>
        {
            Piece::Needs(if bytes.first() == Some(&0x28) { 5 } else { 8 })
        }
        _ => Piece::Other,
    }
}

/// Octets of window descriptor, dictionary and content size.
fn fields(descriptor: u8) -> [usize; 3] {
    let single = descriptor >> 5 & 1;
    let dictionary = match descriptor & 3 {
        3 => 4,
        other => usize::from(other),
    };
    let content = match descriptor >> 6 {
        0 => usize::from(single),
        other => 1 << other,
    };
    [usize::from(1 - single), dictionary, content]
}

/// Octets of the window that a whole header asks for.
fn window(header: &[u8]) -> Option<u64> {
    let descriptor = *header.get(4)?;
    let [window, dictionary, content] = fields(descriptor);
    if window == 1 {
        let octet = *header.get(5)?;
        let base = 1_u64 << (10 + (octet >> 3));
        return Some(base + base / 8 * u64::from(octet & 7));
    }
    let from = 5 + dictionary;
    let mut size = [0; 8];
    size.get_mut(..content)?.copy_from_slice(header.get(from..from + content)?);
    let size = u64::from_le_bytes(size);
    Some(if content == 2 { size + 256 } else { size })
}

/// Octets of memory of a decoder with such a window: its ring is a power of two.
fn held(window: u64) -> usize {
    usize::try_from(window.next_power_of_two()).unwrap_or(usize::MAX).saturating_add(BESIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of 2 MiB is filled before the first octet comes out, so that what comes out does not bound it.
    #[test]
    fn no_frame_is_begun_where_no_more_may_come_out() {
        let frame = b"\x28\xb5\x2f\xfd\x00\x58\x01\x00\x00";
        let bounds = Bounds::default();
        assert!(Zstd::new(false, &bounds).feed(frame, &mut |_| Ok(())).is_ok());
        bounds.spend();
        let fault = Zstd::new(false, &bounds).feed(frame, &mut |_| Ok(())).err();
        assert_eq!(fault, Some(Fault::Stopped));
        assert_eq!(bounds.held(), 0);
    }
}
