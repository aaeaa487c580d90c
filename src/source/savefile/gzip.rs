//! gzip: RFC 1952, one member after the other, with their checksums. All that stands in front of damage is given, whatever
//! pieces are asked for; flate2's own readers drop what they had read when they met it.

use flate2::Crc;
use flate2::bufread::GzDecoder;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags as flags};
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

/// Octets that deflate leads back at most (RFC 1951 s2).
const WINDOW: usize = 32 * 1024;

/// Raw deflate, of which no more will come.
const ENDED: u32 = flags::TINFL_FLAG_IGNORE_ADLER32;

/// The content of all members.
pub(super) struct Gzip<R> {
    packed: BufReader<R>,
    part: Part,
    state: Box<DecompressorOxide>,
    /// What was read last, a ring.
    window: Box<[u8]>,
    /// Where in it the next octet goes.
    at: usize,
    /// What of it was not handed out yet.
    ready: Range<usize>,
    crc: Crc,
    /// Told once all in front of it was handed out.
    failure: Option<io::Error>,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Part {
    /// A member's header, or the end.
    Header,
    Body,
    /// CRC-32 and length.
    Trailer,
    /// Nothing that could be read.
    Damage,
}

impl<R: Read> Gzip<R> {
    pub(super) fn new(packed: BufReader<R>) -> Self {
        Self {
            packed,
            part: Part::Header,
            state: Box::default(),
            window: vec![0; WINDOW].into_boxed_slice(),
            at: 0,
            ready: 0..0,
            crc: Crc::new(),
            failure: None,
        }
    }

    /// Reads on; false at the end.
    fn step(&mut self) -> io::Result<bool> {
        match self.part {
            Part::Header => {
                if self.packed.fill_buf()?.is_empty() {
                    return Ok(false);
                }
                let mut header = GzDecoder::new(&mut self.packed);
                if header.header().is_none() {
                    let failure = header.read(&mut [0]).err();
                    return Err(failure.unwrap_or_else(|| damage("the gzip header is damaged")));
                }
                self.state.init();
                self.window.fill(0);
                self.at = 0;
                self.crc.reset();
                self.part = Part::Body;
            }
            Part::Body => {
                let packed = self.packed.fill_buf()?;
                let is_end = packed.is_empty();
                // At the end it reads what it has kept back to look ahead.
                let flags = if is_end { ENDED } else { ENDED | flags::TINFL_FLAG_HAS_MORE_INPUT };
                let (status, used, made) =
                    decompress(&mut self.state, packed, &mut self.window, self.at, flags);
                self.packed.consume(used);
                self.ready = self.at..self.at + made;
                self.crc.update(self.window.get(self.ready.clone()).unwrap_or_default());
                self.at = self.ready.end % WINDOW;
                match status {
                    TINFLStatus::Done => self.part = Part::Trailer,
                    TINFLStatus::HasMoreOutput | TINFLStatus::NeedsMoreInput => {}
                    TINFLStatus::FailedCannotMakeProgress if is_end => {
                        let error = "incomplete deflate stream";
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
                    }
                    _ => return Err(damage("the deflate stream is damaged")),
                }
            }
            Part::Trailer => {
                let mut stated = [0; 8];
                self.packed.read_exact(&mut stated)?;
                let [a, b, c, d, len @ ..] = stated;
                let stated = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(len));
                if stated != (self.crc.sum(), self.crc.amount()) {
                    return Err(damage("the checksum of the gzip stream is wrong"));
                }
                self.part = Part::Header;
            }
            Part::Damage => return Err(damage("it cannot be read behind its damage")),
        }
        Ok(true)
    }
}

impl<R: Read> Read for Gzip<R> {
    /// Gives what can be had without waiting for more of the packed octets than is needed for one.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            let ready = self.window.get(self.ready.clone()).unwrap_or_default();
            let room = out.get_mut(filled..).unwrap_or_default();
            let len = ready.len().min(room.len());
            if let (Some(ready), Some(room)) = (ready.get(..len), room.get_mut(..len)) {
                room.copy_from_slice(ready);
            }
            self.ready.start += len;
            filled += len;
            if filled == out.len() {
                return Ok(filled);
            }
            let would_wait = self.packed.buffer().is_empty() || self.failure.is_some();
            if filled > 0 && would_wait {
                return Ok(filled);
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) => return Ok(filled),
                Err(error) => {
                    if error.kind() != io::ErrorKind::Interrupted {
                        self.part = Part::Damage;
                    }
                    self.failure = Some(error);
                }
            }
        }
    }
}

fn damage(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::super::testing::gzip;
    use super::*;
    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;

    /// All octets, and what it says at the end, read `piece` octets at a time.
    fn read_all(reader: &mut dyn Read, piece: usize) -> (Vec<u8>, Result<(), String>) {
        let (mut all, mut out) = (Vec::new(), vec![0; piece]);
        loop {
            match reader.read(&mut out) {
                Ok(0) => return (all, Ok(())),
                Ok(got) => all.extend_from_slice(&out[..got]),
                Err(error) => {
                    assert!(reader.read(&mut out).is_err(), "it stays at its damage");
                    return (all, Err(error.to_string()));
                }
            }
        }
    }

    fn unpacked(packed: &[u8], buffer: usize, piece: usize) -> (Vec<u8>, Result<(), String>) {
        read_all(&mut Gzip::new(BufReader::with_capacity(buffer, packed)), piece)
    }

    proptest! {
        #[test]
        fn what_is_read_does_not_depend_on_the_pieces(
            members in prop::collection::vec((any::<u8>(), 0_usize..60_000, any::<u64>()), 1..4),
            change in prop_oneof![
                Just(None),
                (any::<prop::sample::Index>(), any::<u8>()).prop_map(Some),
            ],
            cut in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
            buffer in 1_usize..5_000,
            piece in 1_usize..100_000,
        ) {
            let content = |(octet, len, seed): &(u8, usize, u64)| -> Vec<u8> {
                (0..*len).map(|at| octet ^ seed.rotate_left(u32::try_from(at / 1000).unwrap()).to_le_bytes()[at % 7]).collect()
            };
            let mut packed: Vec<u8> = members.iter().flat_map(|it| gzip(&content(it))).collect();
            if let Some((place, octet)) = &change {
                let place = place.index(packed.len());
                packed[place] ^= octet;
            }
            if is_cut {
                packed.truncate(cut.index(packed.len()).max(1));
            }
            let (all, end) = unpacked(&packed, 1 << 16, 1 << 20);
            prop_assert_eq!(&unpacked(&packed, buffer, piece), &(all.clone(), end.clone()));
            // flate2's reader gives no more, and all of it where nothing is damaged.
            let (theirs, their_end) = {
                let (mut all, mut out) = (Vec::new(), vec![0; piece]);
                let mut reader = MultiGzDecoder::new(&packed[..]);
                loop {
                    match reader.read(&mut out) {
                        Ok(0) => break (all, true),
                        Ok(got) => all.extend_from_slice(&out[..got]),
                        Err(_) => break (all, false),
                    }
                }
            };
            prop_assert!(all.starts_with(&theirs));
            prop_assert_eq!(end.is_ok(), their_end);
            prop_assert!(!their_end || all.len() == theirs.len());
        }
    }
}
