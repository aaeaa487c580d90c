//! WebSocket frames: RFC 6455 s5, and which messages are compressed: RFC 7692.

use crate::inspect::lines::Raw;
use crate::model::FrameSpan;

/// Octets of the longest frame header: two, a length of eight, a mask of four.
const MAX_HEADER: usize = 14;

/// What stands behind a compressed message and is not sent (RFC 7692 s7.2.2).
const MESSAGE_TAIL: &[u8] = &[0, 0, 0xff, 0xff];

/// Frames of one side.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; MAX_HEADER],
    held: usize,
    /// Octets of the payload still to come, while one is read.
    left: Option<u64>,
    mask: Option<[u8; 4]>,
    /// Octets of the payload that were read, for the mask.
    read: u64,
    is_last: bool,
    is_control: bool,
    /// The message at hand is compressed.
    is_compressed: bool,
}

/// What a payload is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message.
    Plain,
    /// A compressed message.
    Compressed,
    /// A ping and the like, which may stand between the frames of a message (RFC 6455 s5.4).
    Control,
}

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    /// Octets of a payload, unmasked.
    Octets {
        bytes: &'a [u8],
        offset: u64,
        frames: FrameSpan,
        /// They stand in the stream like this.
        as_is: bool,
        kind: Kind,
    },
    /// A compressed message is whole.
    MessageEnds,
}

impl Frames {
    /// Takes the next octets of the stream.
    pub(crate) fn feed(&mut self, raw: &Raw<'_>, out: &mut dyn FnMut(Piece<'_>)) {
        let (frames, mut offset) = (raw.frames, raw.offset);
        let mut rest = raw.bytes;
        while !rest.is_empty() {
            let Some(left) = self.left else {
                self.header_octet(rest.first().copied().unwrap_or_default(), frames, offset, out);
                rest = rest.get(1..).unwrap_or_default();
                offset += 1;
                continue;
            };
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            let (payload, tail) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            rest = tail;
            let kind = match (self.is_control, self.is_compressed) {
                (true, _) => Kind::Control,
                (_, true) => Kind::Compressed,
                _ => Kind::Plain,
            };
            if let Some(mask) = self.mask {
                let skip = usize::try_from(self.read % 4).unwrap_or(0);
                let mask = mask.iter().cycle().skip(skip);
                let bytes: Vec<u8> = payload.iter().zip(mask).map(|(a, b)| a ^ b).collect();
                let bytes = &bytes;
                out(Piece::Octets { bytes, offset, frames, as_is: false, kind });
            } else {
                let bytes = payload;
                out(Piece::Octets { bytes, offset, frames, as_is: true, kind });
            }
            offset += payload.len() as u64;
            self.read += payload.len() as u64;
            self.left = Some(left - payload.len() as u64);
            self.frame_ends(frames, offset, out);
        }
    }

    fn header_octet(
        &mut self,
        octet: u8,
        frames: FrameSpan,
        offset: u64,
        out: &mut dyn FnMut(Piece<'_>),
    ) {
        if let Some(place) = self.header.get_mut(self.held) {
            *place = octet;
        }
        self.held += 1;
        let [first, second, rest @ ..] = self.header;
        let long = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let is_masked = second & 0x80 != 0;
        if self.held < 2 || self.held < 2 + long + if is_masked { 4 } else { 0 } {
            return;
        }
        let octets = rest.get(..long).unwrap_or_default();
        let len = octets.iter().fold(0_u64, |len, octet| len << 8 | u64::from(*octet));
        let len = if long == 0 { u64::from(second & 0x7f) } else { len };
        let mask = rest.get(long..).and_then(|rest| rest.first_chunk::<4>());
        self.mask = mask.copied().filter(|_| is_masked);
        self.is_last = first & 0x80 != 0;
        self.is_control = first & 0x08 != 0;
        // RSV1 on the first frame of a message counts for all of them (RFC 7692 s6).
        if !self.is_control && first & 0x0f != 0 {
            self.is_compressed = first & 0x40 != 0;
        }
        (self.held, self.read, self.left) = (0, 0, Some(len));
        self.frame_ends(frames, offset + 1, out);
    }

    fn frame_ends(&mut self, frames: FrameSpan, offset: u64, out: &mut dyn FnMut(Piece<'_>)) {
        if self.left != Some(0) {
            return;
        }
        self.left = None;
        if self.is_last && !self.is_control && self.is_compressed {
            let (bytes, as_is, kind) = (MESSAGE_TAIL, false, Kind::Compressed);
            out(Piece::Octets { bytes, offset, frames, as_is, kind });
            out(Piece::MessageEnds);
        }
    }
}
