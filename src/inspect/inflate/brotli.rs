//! Brotli: RFC 7932, without the large windows that no HTTP coding has.

use super::bounds::{Bounds, Fault, Permit};
use super::decoder::{OUT, Out, State};
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// Octets of memory beside the window: Huffman tables and context maps.
const TABLES: usize = 256 * 1024;

/// One stream.
pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    bounds: Bounds,
    memory: Option<Permit>,
    total: usize,
}

impl Brotli {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let alloc = StandardAlloc::default;
        Self {
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            bounds: bounds.clone(),
            memory: None,
            total: 0,
        }
    }

    /// Octets of memory held.
    pub(super) fn held(&self) -> usize {
        size_of_val(&*self.state) + self.memory.as_ref().map_or(0, Permit::octets)
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: Out<'_>) -> Result<State, Fault> {
        if self.memory.is_none() {
            let Some(&first) = bytes.first() else { return Ok(State::More) };
            if self.bounds.is_spent() {
                return Err(Fault::Stopped);
            }
            self.memory = Some(self.bounds.hold(window(first) + TABLES)?);
        }
        // One by one: the decoder keeps back what it has made of the octets at hand where it then meets damage.
        let (mut room, mut taken) = ([0; OUT], 0);
        for piece in bytes.chunks(1) {
            match self.piece(piece, &mut room, out)? {
                State::More => taken += 1,
                State::Done { used } => return Ok(State::Done { used: taken + used }),
            }
        }
        Ok(State::More)
    }

    fn piece(&mut self, bytes: &[u8], room: &mut [u8; OUT], out: Out<'_>) -> Result<State, Fault> {
        let (mut left, mut used) = (bytes.len(), 0);
        loop {
            let (mut space, mut made) = (OUT, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut used,
                bytes,
                &mut space,
                &mut made,
                room,
                &mut self.total,
                &mut self.state,
            );
            if made > 0 {
                out(room.get(..made).unwrap_or_default())?;
            }
            match result {
                BrotliResult::ResultSuccess => return Ok(State::Done { used }),
                BrotliResult::NeedsMoreInput => return Ok(State::More),
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultFailure => return Err(Fault::Damaged),
            }
        }
    }
}

/// Octets of the window that the first octet asks for (RFC 7932 s9.1): 1 KiB to 16 MiB.
fn window(first: u8) -> usize {
    let bits = match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, ..) => 16,
        (_, 0, 0) => 17,
        (_, 0, 1) => 24, // the escape to large windows, which is refused
        (_, 0, more) => 8 + u32::from(more),
        (_, more, _) => 17 + u32::from(more),
    };
    1 << bits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 7932 s9.1.
    #[test]
    fn the_window_is_read_from_the_first_octet() {
        let octets = [0b0, 0b1, 0b11, 0b1111, 0b10_0001, 0b111_0001];
        assert_eq!(octets.map(window), [16, 17, 18, 24, 10, 15].map(|bits| 1 << bits));
    }
}
