//! gzip: RFC 1952, one member after the other, with their checksums.

use super::bounds::{Bounds, Fault};
use super::decoder::{Deflate, Out, State};
use flate2::Crc;

/// Flags of a member (RFC 1952 s2.3.1).
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
/// Flags that must be zero.
const RESERVED: u8 = 0xe0;

/// Where in a member it stands. The header's fields are skipped: they stand in the clear, and are searched there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The fixed header: so many octets were read.
    Fixed(u8),
    /// Octets of the length of the extra field.
    ExtraLen(u8),
    Extra(u16),
    Name,
    Comment,
    HeaderCrc(u8),
    Body,
    /// CRC-32 and length: so many octets were read.
    Trailer(u8),
}

/// Reads members. Between two of them, and behind the last one, `is_whole` holds.
pub(super) struct Gzip {
    part: Part,
    flags: u8,
    extra: u16,
    body: Deflate,
    bounds: Bounds,
    crc: Crc,
    trailer: [u8; 8],
    members: u64,
    /// It ends behind the first member.
    is_single: bool,
}

impl Gzip {
    pub(super) fn new(is_single: bool, bounds: &Bounds) -> Result<Self, Fault> {
        Ok(Self {
            part: Part::Fixed(0),
            flags: 0,
            extra: 0,
            body: Deflate::new(false, bounds)?,
            bounds: bounds.clone(),
            crc: Crc::new(),
            trailer: [0; 8],
            members: 0,
            is_single,
        })
    }

    /// Octets of memory held.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.body.held()
    }

    /// Whether it stands behind a whole member.
    pub(super) fn is_whole(&self) -> bool {
        self.members > 0 && self.part == Part::Fixed(0)
    }

    /// Takes the next octets. It ends where octets follow a member that begin no other one.
    pub(super) fn feed(&mut self, bytes: &[u8], out: Out<'_>) -> Result<State, Fault> {
        let mut rest = bytes;
        while let Some(&octet) = rest.first() {
            if self.is_whole() && octet != 0x1f {
                return Ok(State::Done { used: bytes.len() - rest.len() });
            }
            if self.part == Part::Body {
                let crc = &mut self.crc;
                let state = self.body.feed(rest, &mut |read| {
                    crc.update(read);
                    out(read)
                })?;
                let State::Done { used } = state else { return Ok(State::More) };
                rest = rest.get(used..).unwrap_or_default();
                self.part = Part::Trailer(0);
                continue;
            }
            rest = rest.get(1..).unwrap_or_default();
            self.octet(octet)?;
            if self.is_single && self.is_whole() {
                return Ok(State::Done { used: bytes.len() - rest.len() });
            }
        }
        Ok(State::More)
    }

    /// An octet of header or trailer.
    fn octet(&mut self, octet: u8) -> Result<(), Fault> {
        match self.part {
            Part::Fixed(at) => {
                let fits = match at {
                    0 => octet == 0x1f,
                    1 => octet == 0x8b,
                    2 => octet == 8,
                    3 => octet & RESERVED == 0,
                    _ => true,
                };
                if !fits {
                    return Err(Fault::Damaged);
                }
                if at == 3 {
                    self.flags = octet;
                }
                self.part = if at < 9 { Part::Fixed(at + 1) } else { self.field(FEXTRA) };
            }
            Part::ExtraLen(0) => {
                self.extra = octet.into();
                self.part = Part::ExtraLen(1);
            }
            Part::ExtraLen(_) => {
                self.extra |= u16::from(octet) << 8;
                self.part =
                    if self.extra == 0 { self.field(FNAME) } else { Part::Extra(self.extra) };
            }
            Part::Extra(left) => {
                self.part = if left > 1 { Part::Extra(left - 1) } else { self.field(FNAME) };
            }
            Part::Name if octet == 0 => self.part = self.field(FCOMMENT),
            Part::Comment if octet == 0 => self.part = self.field(FHCRC),
            Part::HeaderCrc(0) => self.part = Part::HeaderCrc(1),
            Part::HeaderCrc(_) => self.part = Part::Body,
            Part::Name | Part::Comment | Part::Body => {}
            Part::Trailer(at) => {
                if let Some(place) = self.trailer.get_mut(usize::from(at)) {
                    *place = octet;
                }
                self.part = Part::Trailer(at + 1);
                if at == 7 {
                    return self.member_ends();
                }
            }
        }
        Ok(())
    }

    /// The next field of the header, from that of `flag` on.
    const fn field(&self, flag: u8) -> Part {
        if flag == FEXTRA && self.flags & FEXTRA != 0 {
            Part::ExtraLen(0)
        } else if (flag == FEXTRA || flag == FNAME) && self.flags & FNAME != 0 {
            Part::Name
        } else if flag != FHCRC && self.flags & FCOMMENT != 0 {
            Part::Comment
        } else if self.flags & FHCRC != 0 {
            Part::HeaderCrc(0)
        } else {
            Part::Body
        }
    }

    fn member_ends(&mut self) -> Result<(), Fault> {
        let [c0, c1, c2, c3, l0, l1, l2, l3] = self.trailer;
        let crc = u32::from_le_bytes([c0, c1, c2, c3]);
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        if crc != self.crc.sum() || len != self.crc.amount() {
            return Err(Fault::Damaged);
        }
        self.members += 1;
        self.crc.reset();
        self.body = Deflate::new(false, &self.bounds)?;
        self.part = Part::Fixed(0);
        Ok(())
    }
}
