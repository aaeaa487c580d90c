//! One captured frame -> at most one whole transport segment: link layer, VLAN, IP, IP reassembly.
//!
//! In: a `Frame`. Out: a `Decoded` (segment, octets to be searched raw) and counts in `Coverage`.
//! Never: state over time except IP fragments, a clock, a rejection for a bad checksum.

mod defrag;
mod link;
mod net;
#[cfg(test)]
mod tests;
mod transport;
mod view;

use crate::model::{Coverage, Frame, FrameSpan, Segment, Weird};
use defrag::{Defragmenter, Fragment, Outcome};
use link::Packet;
use net::Datagram;
use transport::Place;
use view::{Unread, View};

/// Turns frames into segments. Holds IP fragments between frames, and what it could not read as counts.
#[derive(Debug, Default)]
pub struct Decoder {
    defrag: Defragmenter,
    coverage: Coverage,
}

/// What became of one frame.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// The segment that the frame carried or, by IP reassembly, completed.
    pub segment: Option<Segment<'a>>,
    /// The frame carried an IP fragment that is held, or repeats one.
    pub is_held: bool,
    unread: Unread<'a>,
}

impl<'a> Decoded<'a> {
    /// The octets that are in no segment's payload and must be searched raw, with their offset in the frame:
    /// padding and trailers, options and extension headers, every fragment, whole frames that could not be read.
    ///
    /// Octets of a reassembled datagram that lie in no single frame have offset 0.
    pub fn unread(&self) -> impl Iterator<Item = (usize, &'a [u8])> + '_ {
        self.unread.iter()
    }
}

/// Why a frame ends without a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// A protocol that carries no IP, by name.
    LinkOnly(&'static str),
    /// It could not be read.
    Undecoded(Weird),
}

impl Decoder {
    /// Reads one frame. Ends in exactly one of: a segment, a held fragment, one more in `Coverage::link_only`,
    /// or one more in `Coverage::undecoded`. (A segment may come with a count in `undecoded` about a part of it.)
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Decoded<'a> {
        let Self { defrag, coverage } = self;
        coverage.frames += 1;
        coverage.bytes += frame.data.len() as u64;
        if frame.cut() > 0 {
            coverage.truncated_frames += 1;
            coverage.truncated_bytes += u64::from(frame.cut());
        }
        let mut walk = Walk { unread: Unread::new(frame.data), coverage };
        match walk.frame(frame, defrag) {
            Ok(segment) => Decoded { is_held: segment.is_none(), segment, unread: walk.unread },
            Err(stop) => {
                match stop {
                    Stop::LinkOnly(name) => walk.coverage.link_only(name),
                    Stop::Undecoded(why) => walk.coverage.undecoded(why),
                }
                walk.unread.take_whole_frame();
                Decoded { segment: None, is_held: false, unread: walk.unread }
            }
        }
    }

    /// Ends the input: fragments that still wait are counted in `Coverage::fragments_expired`.
    pub fn finish(&mut self) {
        self.defrag.finish(&mut self.coverage);
    }

    /// What was seen and what could not be read so far.
    pub const fn coverage(&self) -> &Coverage {
        &self.coverage
    }
}

/// The way through the layers of one frame: what was left unread on it, and where to count.
struct Walk<'a, 'c> {
    unread: Unread<'a>,
    coverage: &'c mut Coverage,
}

impl<'a> Walk<'a, '_> {
    fn frame(
        &mut self,
        frame: &Frame<'a>,
        defrag: &'a mut Defragmenter,
    ) -> Result<Option<Segment<'a>>, Stop> {
        let packet = link::read(frame.link_type, View::of(frame), self)?;
        let datagram = self.packet(packet)?;
        let mut place =
            Place { frames: FrameSpan::one(frame.at()), interface_id: frame.interface_id };
        let Some(part) = datagram.fragment else {
            return transport::read(&datagram, place, self).map(Some);
        };
        self.unread.push(datagram.body.bytes);
        let fragment = Fragment {
            key: datagram.fragment_key(part),
            at: frame.at(),
            offset: part.offset,
            more: part.more,
            proto: datagram.proto,
            body: datagram.body,
        };
        let whole = match defrag.insert(&fragment, self.coverage)? {
            Outcome::Held => return Ok(None),
            Outcome::Whole(whole) => whole,
        };
        place.frames = whole.frames;
        let inner = Datagram {
            proto: whole.proto,
            body: View::whole(whole.bytes),
            fragment: None,
            ..datagram
        };
        let segment = net::read_extensions(inner, self).and_then(|inner| {
            if inner.fragment.is_some() {
                return Err(Stop::Undecoded(Weird::TooDeep));
            }
            transport::read(&inner, place, self)
        });
        if segment.is_err() {
            self.unread.push(whole.bytes);
        }
        segment.map(Some)
    }

    fn packet(&mut self, packet: Packet<'a>) -> Result<Datagram<'a>, Stop> {
        match packet {
            Packet::V4(view) => net::read_v4(view, self),
            Packet::V6(view) => net::read_v6(view, self),
        }
    }
}
