//! gzip (RFC 1952) and zstd (RFC 8878), found by their magic.

use super::aside::Aside;
use super::gzip::Gzip;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, BufReader, Cursor, Read};

/// Octets read from a packed file at a time.
const PACKED_BLOCK: usize = 64 * 1024;

/// How an input is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    None,
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 8878, one or more frames.
    Zstd,
}

impl Packing {
    /// What the first octets of an input say.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Looks at the first octets of `reader` and unpacks what follows where they ask for it, in a thread of its own where it is much.
pub(super) fn unpack(
    mut reader: Box<dyn Read + Send>,
) -> io::Result<(Box<dyn Read + Send>, Packing)> {
    let mut head = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut head)?;
    let packing = Packing::of(&head);
    let whole = Cursor::new(head).chain(reader);
    let packed = |whole| BufReader::with_capacity(PACKED_BLOCK, whole);
    Ok((
        match packing {
            Packing::None => Box::new(whole),
            Packing::Gzip => Box::new(Aside::new(Gzip::new(packed(whole)))),
            Packing::Zstd => Box::new(Aside::new(Zstd::new(packed(whole)))),
        },
        packing,
    ))
}

/// Octets of the largest window of zstd that is held; every level up to 20 keeps to it (RFC 8878 s3.1.1.1.2 asks for 8 MiB).
/// A larger one would take as much memory as all tables of conns together.
const MAX_WINDOW: u64 = 32 << 20;

/// What is said of a frame whose window is larger.
pub(super) const LARGE_WINDOW: &str = "the zstd stream asks for a window of more than 32 MiB";

/// The content of one zstd frame after the other; skippable frames are skipped.
struct Zstd<R> {
    packed: R,
    decoder: FrameDecoder,
    in_frame: bool,
    /// What ended the frame too early; said once everything in front of it was handed out.
    failure: Option<io::Error>,
}

/// A last block without content (RFC 8878 section 3.1.1.2), and room for a checksum.
const EMPTY_LAST_BLOCK: &[u8] = &[1, 0, 0, 0, 0, 0, 0];

impl<R: BufRead> Zstd<R> {
    fn new(packed: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { packed, decoder, in_frame: false, failure: None }
    }

    /// Begins the next frame; false at the end of the input.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.packed.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.packed) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped =
                        io::copy(&mut self.packed.by_ref().take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the zstd stream ends inside a skippable frame",
                        ));
                    }
                }
                Err(error) => return Err(damaged(&error)),
            }
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame && !self.begin()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                if let Err(error) = self.decoder.decode_blocks(&mut self.packed, one) {
                    // The decoder keeps the last window (up to 32 MiB) back until the frame ends: end it.
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    self.decoder
                        .decode_blocks(EMPTY_LAST_BLOCK, one)
                        .map_err(|error| damaged(&error))?;
                    self.failure = Some(damaged(&error));
                }
            }
            let got = self.decoder.read(out)?;
            if got > 0 || out.is_empty() {
                return Ok(got);
            }
            self.in_frame = false;
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let stated = self.decoder.get_checksum_from_data();
            if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the checksum of the zstd stream is wrong",
                ));
            }
        }
    }
}

/// The decoder hides failures of the file below it in its own words: they count as damage, which is as loud.
fn damaged(error: &FrameDecoderError) -> io::Error {
    let why = match error {
        FrameDecoderError::WindowSizeTooBig { .. } => LARGE_WINDOW.to_owned(),
        _ => format!("the zstd stream is damaged: {error}"),
    };
    io::Error::new(io::ErrorKind::InvalidData, why)
}
