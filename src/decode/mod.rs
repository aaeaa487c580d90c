//! One captured frame -> at most one whole transport segment: link layer, IP, IP reassembly, tunnels.
//!
//! In: a `Frame`. Out: a `Decoded` (segment, octets to be searched raw) and counts in `Coverage`.
//! Never: state over time except IP fragments, a clock, a rejection for a bad checksum.

mod defrag;
mod link;
mod net;
mod straight;
#[cfg(test)]
mod tests;
mod transport;
mod tunnel;
mod view;

use crate::model::{
    Coverage, Encapsulation, Endpoint, Frame, FrameRef, FrameSpan, Layer, LinkType, MAX_OUTER,
    Mark, Proto, Segment, Weird,
};
use defrag::{Defragmenter, Fragment, Outcome};
use link::Packet;
use net::Datagram;
use transport::Place;
use view::{Unread, View};

/// Turns frames into segments. Holds IP fragments between frames, and what it could not read as counts.
#[derive(Debug)]
pub struct Decoder {
    /// One for each IP header of a frame: fragments of one datagram may be inside whole datagrams and inside others that are
    /// in fragments themselves.
    levels: [Defragmenter; MAX_OUTER + 1],
    path: Encapsulation,
    coverage: Coverage,
    has_late: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            levels: std::array::from_fn(Defragmenter::at_level),
            path: Encapsulation::NONE,
            coverage: Coverage::default(),
            has_late: false,
        }
    }
}

/// The ends and the protocol of the segment that a frame seems to carry, as far as that is seen at a glance; `Decoder::decode` may
/// find another one.
#[must_use]
pub fn seems(link_type: LinkType, data: &[u8]) -> Option<(Endpoint, Endpoint, Proto)> {
    straight::ends(link_type, data)
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

/// What some receiver may have made of fragments.
#[derive(Debug)]
pub struct Late<'a> {
    /// The frame of its first fragment.
    pub at: FrameRef,
    /// The interface that saw it.
    pub interface_id: u32,
    /// A segment that is an alternate, octets to be searched raw, or both.
    pub decoded: Decoded<'a>,
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
    /// One of so many that read a capture side by side, one for each vantage: what fragments may take is divided.
    #[must_use]
    pub fn share(decoders: usize) -> Self {
        let mut decoder = Self::default();
        decoder.levels.iter_mut().for_each(|level| level.share(decoders));
        decoder
    }

    /// Reads one frame. Ends in exactly one of: a segment, a held fragment, one more in `Coverage::link_only`,
    /// or one more in `Coverage::undecoded`. (A segment may come with a count in `undecoded` about a part of it.)
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Decoded<'a> {
        self.coverage.frames += 1;
        self.coverage.bytes += frame.data.len() as u64;
        let mut unread = Unread::new(frame.data);
        match straight::read(frame, &mut unread) {
            Some(segment) => Decoded { segment: Some(segment), is_held: false, unread },
            None => self.walk(frame),
        }
    }

    /// Reads one frame layer by layer.
    #[inline(never)]
    pub(super) fn walk<'a>(&'a mut self, frame: &Frame<'a>) -> Decoded<'a> {
        let Self { levels, path, coverage, has_late } = self;
        if frame.cut() > 0 {
            coverage.truncated_frames += 1;
            coverage.truncated_bytes += u64::from(frame.cut());
        }
        path.back_to(Mark::default());
        let mut walk = Walk { unread: Unread::new(frame.data), path, coverage, has_late };
        let end = walk.frame(frame, levels);
        let Walk { mut unread, path, coverage, .. } = walk;
        match end {
            Ok(segment) => {
                if segment.is_some_and(|it| is_stray(&it, frame, path)) {
                    path.push(Layer::plain("ethernet"));
                }
                let in_payload = segment.map_or(0, |segment| segment.cut);
                coverage.truncated_elsewhere += u64::from(frame.cut().saturating_sub(in_payload));
                Decoded {
                    is_held: segment.is_none(),
                    segment: segment.map(|segment| Segment { encap: path, ..segment }),
                    unread,
                }
            }
            Err(stop) => {
                coverage.truncated_elsewhere += u64::from(frame.cut());
                match stop {
                    Stop::LinkOnly(name) => coverage.link_only(name),
                    Stop::Undecoded(why) => coverage.undecoded(why),
                }
                unread.take_whole_frame();
                Decoded { segment: None, is_held: false, unread }
            }
        }
    }

    /// What some receiver may have made of fragments beside the segments, one piece at a time: another version of a datagram
    /// that was handed on, or what is held of one that will not become whole. To be asked after each frame and at the end
    /// until there is nothing. What cannot be read of it counts nowhere: it is searched raw, and why it is no plain datagram
    /// was counted.
    pub fn late(&mut self) -> Option<Late<'_>> {
        if !self.has_late {
            return None;
        }
        let at = self.levels.iter().position(Defragmenter::has_late);
        // Only one level at a time holds versions.
        self.levels.iter_mut().take(at.unwrap_or(usize::MAX)).for_each(Defragmenter::tidy);
        let Some(at) = at else {
            self.has_late = false;
            return None;
        };
        let (here, inner) = self.levels.split_at_mut_checked(at + 1)?;
        let late = here.last_mut()?.late()?;
        self.path = late.path.cloned().unwrap_or(Encapsulation::NONE);
        let mut coverage = Coverage::default();
        let mut walk = Walk {
            unread: Unread::new(&[]),
            path: &mut self.path,
            coverage: &mut coverage,
            has_late: &mut self.has_late,
        };
        let segment = walk.late(&late, inner);
        let Walk { unread, path, .. } = walk;
        let segment = segment.map(|it| Segment { encap: path, is_alternate: true, ..it });
        Some(Late {
            at: late.frames.first,
            interface_id: late.interface_id,
            decoded: Decoded { is_held: segment.is_none(), segment, unread },
        })
    }

    /// Ends the input: fragments that still wait are counted in `Coverage::fragments_expired`, and handed on by `late`.
    pub fn finish(&mut self) {
        self.has_late = true;
        for level in &mut self.levels {
            level.finish(&mut self.coverage);
        }
    }

    /// What was seen and what could not be read so far.
    pub const fn coverage(&self) -> &Coverage {
        &self.coverage
    }
}

/// Octets of both addresses of an Ethernet frame.
const ADDRESSES: usize = 12;

/// Whether a segment between loopback addresses stands in a frame with addresses of a link. No host sends one (RFC 1122
/// s3.2.1.3), and the frames of a loopback device have none: it was on a wire all the same.
fn is_stray(segment: &Segment<'_>, frame: &Frame<'_>, path: &Encapsulation) -> bool {
    segment.src.ip.is_loopback()
        && segment.dst.ip.is_loopback()
        && frame.link_type == LinkType::ETHERNET
        && path.layers().is_empty()
        && frame.data.first_chunk::<ADDRESSES>().is_some_and(|pair| *pair != [0; ADDRESSES])
}

/// The way through the layers of one frame: what was left unread on it, the tunnels passed, and where to count.
struct Walk<'a, 'c> {
    unread: Unread<'a>,
    path: &'a mut Encapsulation,
    coverage: &'c mut Coverage,
    /// A fragment was taken: `Decoder::late` may have something.
    has_late: &'c mut bool,
}

/// A datagram that seems to carry a tunnel, and what was known when it was read: to fall back to it.
struct Carrier<'a> {
    segment: Segment<'a>,
    unread: Unread<'a>,
    mark: Mark,
}

impl<'a> Walk<'a, '_> {
    /// Reads the link layer, then IP header after IP header, until a datagram carries no tunnel that is known. What was
    /// left unread and the tunnels passed are told in `self`.
    fn frame(
        &mut self,
        frame: &Frame<'a>,
        levels: &'a mut [Defragmenter],
    ) -> Result<Option<Segment<'a>>, Stop> {
        let packet = link::read(frame.link_type, View::of(frame), self)?;
        let mut place =
            Place { frames: FrameSpan::one(frame.at()), interface_id: frame.interface_id };
        let too_deep = Stop::Undecoded(Weird::TooDeep);
        let (level, levels) = levels.split_first_mut().ok_or(too_deep)?;
        match self.datagram(packet, frame.at(), level, &mut place)? {
            Some(datagram) => self.follow(datagram, frame.at(), place, levels),
            None => Ok(None),
        }
    }

    /// Reads a datagram and what it carries, IP header after IP header.
    fn follow(
        &mut self,
        datagram: Datagram<'a>,
        at: FrameRef,
        place: Place,
        levels: &'a mut [Defragmenter],
    ) -> Result<Option<Segment<'a>>, Stop> {
        let (mut datagram, mut place) = (datagram, place);
        let mut carrier = None;
        let mut levels = levels.iter_mut();
        loop {
            let segment = match transport::read(&datagram, place, self) {
                Ok(segment) => segment,
                Err(stop) => return self.give_up(stop, carrier.as_ref()),
            };
            let Some(open) = tunnel::of(&segment) else { return Ok(Some(segment)) };
            let here = Carrier { segment, unread: self.unread, mark: self.path.mark() };
            if !self.path.push_outer(segment.src.ip, segment.dst.ip) {
                return self.give_up(Stop::Undecoded(Weird::TooDeep), Some(&here));
            }
            let packet = match open(View::of_segment(&segment), self) {
                Ok(Some(inner)) => inner,
                Ok(None) => {
                    self.unread = here.unread;
                    self.path.back_to(here.mark);
                    return Ok(Some(segment));
                }
                Err(stop) => return self.give_up(stop, Some(&here)),
            };
            let Some(level) = levels.next() else {
                return self.give_up(Stop::Undecoded(Weird::TooDeep), Some(&here));
            };
            datagram = match self.datagram(packet, at, level, &mut place) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => return Ok(None),
                Err(stop) => return self.give_up(stop, Some(&here)),
            };
            carrier = Some(here);
        }
    }

    /// Reads a datagram that some receiver may have made of fragments, as far as there is one.
    fn late(
        &mut self,
        late: &defrag::Late<'a>,
        levels: &'a mut [Defragmenter],
    ) -> Option<Segment<'a>> {
        let bytes = late.bytes;
        self.unread.add_base(bytes);
        let place = Place { frames: late.frames, interface_id: late.interface_id };
        let segment = late.head.and_then(|head| {
            let joined = Datagram {
                src: late.src,
                dst: late.dst,
                proto: head.proto,
                body: View { bytes, wire: head.wire },
                fragment: None,
            };
            let inner = net::read_extensions(joined, self).ok()?;
            if inner.fragment.is_some() {
                return None;
            }
            self.follow(inner, late.frames.first, place, levels).ok().flatten()
        });
        if segment.is_none() {
            self.unread.push(bytes);
        }
        segment
    }

    /// Ends at what could not be read. Inside a tunnel, the datagram that carries it stands for it: its payload is searched as
    /// its own conn.
    fn give_up(
        &mut self,
        stop: Stop,
        carrier: Option<&Carrier<'a>>,
    ) -> Result<Option<Segment<'a>>, Stop> {
        let Some(&Carrier { segment, unread, mark }) = carrier else { return Err(stop) };
        let why = match stop {
            Stop::LinkOnly(_) => {
                self.unread.push(segment.payload);
                return Err(stop);
            }
            Stop::Undecoded(why) => why,
        };
        self.coverage.undecoded(match why {
            Weird::UnreadTunnel(_)
            | Weird::BadIpVersion
            | Weird::BadIpLength
            | Weird::BadLinkHeader
            | Weird::BadTransportLength
            | Weird::ShortLinkHeader
            | Weird::ShortIpHeader
            | Weird::ShortTransportHeader => Weird::UnreadTunnel(segment.proto.0),
            why => why,
        });
        self.unread = unread;
        self.path.back_to(mark);
        if segment.proto != Proto::UDP {
            self.unread.push(segment.payload);
        }
        Ok(Some(segment))
    }

    /// Reads an IP header, and puts together what is in fragments; none where it waits for others.
    fn datagram(
        &mut self,
        packet: Packet<'a>,
        at: FrameRef,
        level: &'a mut Defragmenter,
        place: &mut Place,
    ) -> Result<Option<Datagram<'a>>, Stop> {
        let datagram = match packet {
            Packet::V4(view) => net::read_v4(view, self),
            Packet::V6(view) => net::read_v6(view, self),
        }?;
        let Some(part) = datagram.fragment else { return Ok(Some(datagram)) };
        self.unread.push(datagram.body.bytes);
        let fragment = Fragment {
            key: datagram.fragment_key(part, self.path.way()),
            at,
            interface_id: place.interface_id,
            path: self.path,
            offset: part.offset,
            more: part.more,
            proto: datagram.proto,
            body: datagram.body,
        };
        *self.has_late = true;
        let whole = match level.insert(&fragment, self.coverage)? {
            Outcome::Held => return Ok(None),
            Outcome::Whole(whole) => whole,
        };
        if whole.frames.first.number < place.frames.first.number {
            place.frames = whole.frames;
        }
        self.unread.add_base(whole.bytes);
        let joined = Datagram {
            proto: whole.proto,
            body: View::whole(whole.bytes),
            fragment: None,
            ..datagram
        };
        let inner = net::read_extensions(joined, self).and_then(|inner| match inner.fragment {
            Some(_) => Err(Stop::Undecoded(Weird::TooDeep)),
            None => Ok(inner),
        });
        if inner.is_err() {
            self.unread.push(whole.bytes);
        }
        inner.map(Some)
    }

    /// Notes a layer of encapsulation on the way.
    fn layer(&mut self, layer: Layer) -> Result<(), Stop> {
        if self.path.push(layer) { Ok(()) } else { Err(Stop::Undecoded(Weird::TooDeep)) }
    }

    /// Notes a layer whose number names a network with addresses of its own.
    fn network(&mut self, layer: Layer) -> Result<(), Stop> {
        if self.path.push_network(layer) { Ok(()) } else { Err(Stop::Undecoded(Weird::TooDeep)) }
    }
}
