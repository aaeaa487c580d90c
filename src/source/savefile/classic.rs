//! The classic pcap format (draft-ietf-opsawg-pcap) and the variants whose records are known.

use super::blocks::{Blocks, Stop};
use super::{MAX_CAP_LEN, Record};
use crate::model::{InterfaceRecord, LinkType, Timestamp};
use crate::source::octets::{ByteOrder, count, index};
use std::ops::Range;

/// Octets of the file header.
pub(super) const FILE_HEADER: usize = 24;

/// Octets of a record header; the modified format has eight more.
const RECORD_HEADER: usize = 16;

/// What a magic says of the records behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    order: ByteOrder,
    nanos_per_tick: i64,
    record_header: usize,
    /// Octets between the file header and the first record.
    preamble: usize,
}

impl Variant {
    /// The variant of a file that begins with `head`, where its records are known.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let magic = ByteOrder::Big.u32(head, 0)?;
        [ByteOrder::Big, ByteOrder::Little].into_iter().find_map(|order| {
            let magic = if order == ByteOrder::Big { magic } else { magic.swap_bytes() };
            let (nanos_per_tick, record_header, preamble) = match magic {
                0xa1b2_c3d4 => (1_000, RECORD_HEADER, 0),
                0xa1b2_3c4d => (1, RECORD_HEADER, 0),
                // Kuznetzov's: interface index, ether type and packet type follow the usual header.
                0xa1b2_cd34 => (1_000, RECORD_HEADER + 8, 0),
                // IXIA's software and hardware captures: the size of all records, then nanosecond records.
                0x1c00_01ab | 0x1c00_01ac => (1, RECORD_HEADER, 4),
                _ => return None,
            };
            Some(Self { order, nanos_per_tick, record_header, preamble })
        })
    }
}

/// Which of the two lengths of a record comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapLenFirst,
    LenFirst,
    /// Version 2.3 was written both ways: the smaller one is cap_len.
    SmallerIsCapLen,
}

/// Reads the records of one file.
#[derive(Debug)]
pub(super) struct Classic {
    variant: Variant,
    lengths: Lengths,
    interface: InterfaceRecord,
}

impl Classic {
    /// Reads the file header.
    pub(super) fn open(variant: Variant, blocks: &mut Blocks) -> Result<Self, Stop> {
        blocks.need(FILE_HEADER, "the file header")?;
        let order = variant.order;
        let head = blocks.ahead();
        let word = |at| order.u32(head, at).unwrap_or_default();
        let version =
            (order.u16(head, 4).unwrap_or_default(), order.u16(head, 6).unwrap_or_default());
        let lengths = match version {
            (2, 3) => Lengths::SmallerIsCapLen,
            (0..=2, 0..=2) | (543, 0) => Lengths::LenFirst,
            _ => Lengths::CapLenFirst,
        };
        // The upper half of the word holds the length of the frame check sequence and reserved bits.
        let link_type = u16::try_from(word(20) & 0xffff).unwrap_or_default();
        let interface = InterfaceRecord {
            name: String::new(),
            link_type: registered(link_type),
            snaplen: word(16),
            vantage: None,
        };
        blocks.consume(FILE_HEADER);
        if variant.preamble > 0 {
            blocks.need(variant.preamble, "the size of the records")?;
            blocks.consume(variant.preamble);
        }
        Ok(Self { variant, lengths, interface })
    }

    /// The one interface of the file.
    pub(super) fn interface(&self) -> &InterfaceRecord {
        &self.interface
    }

    /// Reads the next record; none at the end of the file.
    #[inline]
    pub(super) fn advance(&self, blocks: &mut Blocks) -> Result<Option<Record>, Stop> {
        // Nearly always it lies whole in the block.
        if let Some(header) = blocks.ahead().first_chunk() {
            let record = self.record(header);
            if record.cap_len <= MAX_CAP_LEN {
                let data = blocks.take(self.variant.record_header, index(record.cap_len));
                if let Some(data) = data {
                    return Ok(Some(record.over(data)));
                }
            }
        }
        self.advance_far(blocks)
    }

    /// The record at the front of octets that were not read yet, and what follows it; none where it does not lie there whole.
    pub(super) fn peek<'a>(&self, octets: &'a [u8]) -> Option<(LinkType, &'a [u8], &'a [u8])> {
        let header = self.record(octets.first_chunk()?);
        let data = octets.get(self.variant.record_header..)?;
        let (data, rest) = data.split_at_checked(index(header.cap_len))?;
        Some((header.link_type, data, rest))
    }

    /// What the header of a record says; extensions of it say nothing that is needed.
    fn record(&self, header: &[u8; RECORD_HEADER]) -> Header {
        let word = |octets: &[u8; 4]| match self.variant.order {
            ByteOrder::Big => u32::from_be_bytes(*octets),
            ByteOrder::Little => u32::from_le_bytes(*octets),
        };
        let (words, _) = header.as_chunks();
        let [seconds, fraction, third, fourth] = match words {
            [first, second, third, fourth] => {
                [word(first), word(second), word(third), word(fourth)]
            }
            _ => [0; 4],
        };
        let (cap_len, len) = match self.lengths {
            Lengths::CapLenFirst => (third, fourth),
            Lengths::LenFirst => (fourth, third),
            Lengths::SmallerIsCapLen => (third.min(fourth), third.max(fourth)),
        };
        let time = Timestamp::from_nanos(
            i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * self.variant.nanos_per_tick,
        );
        Header { time, cap_len, len, link_type: self.interface.link_type }
    }

    /// The same where the block ends inside of the record, or what follows is none.
    #[cold]
    fn advance_far(&self, blocks: &mut Blocks) -> Result<Option<Record>, Stop> {
        let header_len = self.variant.record_header;
        let got = blocks.want(header_len);
        if got == 0 {
            blocks.end()?;
            return Ok(None);
        }
        blocks.need(header_len, "the record header")?;
        let header = blocks.ahead().first_chunk().map(|header| self.record(header));
        let Some(header) = header else {
            return Err(blocks.cut("the record header", count(header_len), 0));
        };
        let cap_len = header.cap_len;
        if cap_len > MAX_CAP_LEN {
            return Err(Stop::Damaged(format!(
                "captured length {cap_len} is beyond any frame (at most {MAX_CAP_LEN})"
            )));
        }
        let cap_len = index(cap_len);
        let whole = header_len.saturating_add(cap_len);
        blocks.need(whole, "the record")?;
        let data = blocks.range(header_len, cap_len);
        blocks.consume(whole);
        Ok(Some(header.over(data)))
    }
}

/// What the header of a record says.
#[derive(Clone, Copy, Debug)]
struct Header {
    time: Timestamp,
    cap_len: u32,
    len: u32,
    link_type: LinkType,
}

impl Header {
    /// The record whose octets lie there.
    fn over(self, data: Range<usize>) -> Record {
        let Self { time, len, link_type, .. } = self;
        Record { time, interface_id: 0, link_type, len, data }
    }
}

/// The registered value for raw IP, which some systems wrote with their own number (12, OpenBSD 14).
pub(super) fn registered(link_type: u16) -> LinkType {
    match link_type {
        12 | 14 => LinkType::RAW,
        other => LinkType(other),
    }
}
