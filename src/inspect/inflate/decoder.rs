//! Decoders: one coding undone, piece by piece, however the octets are cut.

use super::Coding;
use super::bounds::{Bounds, Fault, Permit};
use super::brotli::Brotli;
use super::gzip::Gzip;
use super::zstd::Zstd;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags as flags};

/// Octets handed on at a time.
pub(super) const OUT: usize = 8 * 1024;

/// Octets that deflate leads back at most (RFC 1951 s2).
const WINDOW: usize = 32 * 1024;

/// Octets of memory of one inflating state: a window and its tables.
const INFLATE_MEMORY: usize = 48 * 1024;
const _: () = assert!(WINDOW + size_of::<DecompressorOxide>() <= INFLATE_MEMORY);

/// Where a decoder puts what it has read.
pub(super) type Out<'o> = &'o mut dyn FnMut(&[u8]) -> Result<(), Fault>;

/// How far a decoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// More may come.
    More,
    /// It is at its end; so many of the octets handed in belong to it.
    Done {
        /// Octets.
        used: usize,
    },
}

/// One coding.
pub(super) enum Decoder {
    /// Nothing to undo.
    AsIs,
    Gzip(Box<Gzip>),
    Zlib(Deflate),
    /// Raw deflate that ends by itself.
    Bare(Deflate),
    /// Raw deflate without an end.
    Raw(Deflate),
    /// HTTP's `deflate` before its first two octets are known.
    Either {
        first: Option<u8>,
        bounds: Bounds,
    },
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    /// A decoder at its start. `is_single`: it ends behind the first member or frame.
    ///
    /// # Errors
    /// `Unknown` for a coding that is not read, `Stopped` where there is no memory for it.
    pub(super) fn new(coding: Coding, is_single: bool, bounds: &Bounds) -> Result<Self, Fault> {
        Ok(match coding {
            Coding::Pieces | Coding::Frames => Self::AsIs,
            Coding::Gzip => Self::Gzip(Box::new(Gzip::new(is_single, bounds)?)),
            Coding::Zlib => Self::Zlib(Deflate::new(true, bounds)?),
            Coding::RawDeflate => Self::Raw(Deflate::new(false, bounds)?),
            Coding::Deflate => Self::Either { first: None, bounds: bounds.clone() },
            Coding::Brotli => Self::Brotli(Box::new(Brotli::new(bounds))),
            Coding::Zstd => Self::Zstd(Box::new(Zstd::new(is_single, bounds))),
            Coding::Unknown => return Err(Fault::Unknown),
        })
    }

    /// Takes the next octets.
    ///
    /// # Errors
    /// `Damaged` where they do not follow the coding; what could be read before has been handed on. `Stopped` where `out`
    /// says so, or where there is no memory for the window that the octets ask for.
    pub(super) fn feed(&mut self, bytes: &[u8], out: Out<'_>) -> Result<State, Fault> {
        match self {
            Self::AsIs => out(bytes).map(|()| State::More),
            Self::Gzip(gzip) => gzip.feed(bytes, out),
            Self::Zlib(deflate) | Self::Bare(deflate) | Self::Raw(deflate) => {
                deflate.feed(bytes, out)
            }
            Self::Brotli(brotli) => brotli.feed(bytes, out),
            Self::Zstd(zstd) => zstd.feed(bytes, out),
            Self::Either { first, bounds } => {
                let mut rest = bytes;
                let one = match *first {
                    Some(one) => one,
                    None => match rest.split_first() {
                        Some((&one, others)) => {
                            rest = others;
                            one
                        }
                        None => return Ok(State::More),
                    },
                };
                let Some(&two) = rest.first() else {
                    *first = Some(one);
                    return Ok(State::More);
                };
                let is_zlib = one & 0x0f == 8 && u16::from_be_bytes([one, two]).is_multiple_of(31);
                let mut deflate = Deflate::new(is_zlib, bounds)?;
                let held = usize::from(first.is_none());
                *self = match deflate.feed(&[one], out)? {
                    State::More if is_zlib => Self::Zlib(deflate),
                    State::More => Self::Bare(deflate),
                    State::Done { .. } => return Ok(State::Done { used: held }),
                };
                Ok(match self.feed(rest, out)? {
                    State::More => State::More,
                    State::Done { used } => State::Done { used: used + held },
                })
            }
        }
    }

    /// No octets follow: hands on what was kept back.
    ///
    /// # Errors
    /// As `feed`.
    pub(super) fn finish(&mut self, out: Out<'_>) -> Result<(), Fault> {
        if let Self::Zstd(zstd) = self { zstd.finish(out) } else { Ok(()) }
    }

    /// Octets of memory held beside its own.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::AsIs | Self::Either { .. } => 0,
            Self::Gzip(gzip) => gzip.held(),
            Self::Zlib(deflate) | Self::Bare(deflate) | Self::Raw(deflate) => deflate.held(),
            Self::Brotli(brotli) => brotli.held(),
            Self::Zstd(zstd) => size_of::<Zstd>() + zstd.held(),
        }
    }

    /// Whether it stands behind a whole unit, after which more of them may follow.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_whole(),
            Self::Zstd(zstd) => zstd.is_whole(),
            _ => false,
        }
    }

    /// Whether octets may be missing at the end without harm: there is no end to be seen.
    pub(super) const fn has_no_end(&self) -> bool {
        matches!(self, Self::AsIs | Self::Raw(_))
    }
}

/// RFC 1951, or RFC 1950 with its checksum. What is read is taken out of the decoder's own window: interfaces that copy it into
/// a room of the caller lose what found no place there, where damage follows.
pub(super) struct Deflate {
    state: Box<DecompressorOxide>,
    /// What was read last, a ring.
    window: Box<[u8]>,
    /// Where in it the next octet goes.
    at: usize,
    flags: u32,
    memory: Permit,
}

impl Deflate {
    pub(super) fn new(zlib: bool, bounds: &Bounds) -> Result<Self, Fault> {
        let memory = bounds.hold(INFLATE_MEMORY)?;
        let kind = if zlib {
            flags::TINFL_FLAG_PARSE_ZLIB_HEADER | flags::TINFL_FLAG_COMPUTE_ADLER32
        } else {
            flags::TINFL_FLAG_IGNORE_ADLER32
        };
        Ok(Self {
            state: Box::default(),
            window: vec![0; WINDOW].into_boxed_slice(),
            at: 0,
            flags: kind | flags::TINFL_FLAG_HAS_MORE_INPUT,
            memory,
        })
    }

    /// Octets of memory held.
    pub(super) const fn held(&self) -> usize {
        self.memory.octets()
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: Out<'_>) -> Result<State, Fault> {
        let mut rest = bytes;
        loop {
            let Self { state, window, at, flags, .. } = self;
            let (status, used, made) = decompress(state, rest, window, *at, *flags);
            rest = rest.get(used..).unwrap_or_default();
            let made = window.get(*at..*at + made).unwrap_or_default();
            *at = (*at + made.len()) % WINDOW;
            for piece in made.chunks(OUT) {
                out(piece)?;
            }
            match status {
                TINFLStatus::Done => return Ok(State::Done { used: bytes.len() - rest.len() }),
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput => return Ok(State::More),
                _ => return Err(Fault::Damaged),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::DeflateDecoder;
    use flate2::write::DeflateEncoder;
    use std::io::{Read as _, Write as _};

    #[test]
    fn what_is_cut_is_read_to_its_last_octet_whatever_the_pieces() {
        let said: Vec<u8> = (0..46_142_usize)
            .map(|at| {
                let turn = u32::try_from(at / 1000).unwrap();
                0x1a ^ 0x03e0_dfa4_d8af_b149_u64.rotate_left(turn).to_le_bytes()[at % 7]
            })
            .collect();
        let mut to = DeflateEncoder::new(Vec::new(), Compression::default());
        to.write_all(&said).unwrap();
        let packed = to.finish().unwrap();
        for len in 1..packed.len() {
            let cut = &packed[..len];
            let mut plain = Vec::new();
            assert!(DeflateDecoder::new(cut).read_to_end(&mut plain).is_err());
            for size in [1, 13, usize::MAX] {
                let mut deflate = Deflate::new(false, &Bounds::default()).unwrap();
                let mut read = Vec::new();
                for piece in cut.chunks(size) {
                    let mut out = |made: &[u8]| {
                        read.extend_from_slice(made);
                        Ok(())
                    };
                    assert_eq!(deflate.feed(piece, &mut out), Ok(State::More));
                }
                assert!(read == plain, "{len}, {size}: {} of {}", read.len(), plain.len());
            }
        }
    }
}
