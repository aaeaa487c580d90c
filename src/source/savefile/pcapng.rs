//! The pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces, frames, counters, comments.

use super::blocks::{Blocks, Stop};
use super::clock::Clock;
use super::options::{Options, comment};
use super::{MAX_CAP_LEN, Record};
use crate::model::{InterfaceRecord, LinkType, Timestamp, Vantage};
use crate::source::Tally;
use crate::source::octets::{ByteOrder, index};
use crate::source::record::{APP, VANTAGE_PREFIX};
use std::collections::BTreeMap;

/// Section Header Block; the same in either byte order. Section 4.1.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1; // section 4.2
const OBSOLETE_PACKET: u32 = 2; // appendix A
const SIMPLE_PACKET: u32 = 3; // section 4.4
const INTERFACE_STATISTICS: u32 = 5; // section 4.6
const ENHANCED_PACKET: u32 = 6; // section 4.3

/// Octets of a frame's block at most: the largest frame, and options that nobody writes as long as this.
const MAX_FRAME_BLOCK: u32 = 2 * MAX_CAP_LEN;

/// Octets of a section, interface or statistics block at most: some hundred comments of the longest kind.
const MAX_META_BLOCK: u32 = 16 << 20;

/// Octets of an interface's name that are kept: systems allow 16 (Linux) to 256 (Windows).
const MAX_NAME: usize = 256;

/// Interfaces of one input at most; each costs memory, and no machine has as many.
const MAX_INTERFACES: usize = 65_536;

/// Kinds of skipped blocks told apart at most; further ones are counted together.
const MAX_SKIPPED_KINDS: usize = 16;

/// Octets of what stands around a block's body: type, total length, and total length again.
const FRAMING: usize = 12;

/// An interface of the current section.
#[derive(Debug)]
struct Described {
    /// Index over all sections.
    id: u32,
    link_type: LinkType,
    snaplen: u32,
    clock: Clock,
}

/// What the statistics blocks say of an interface, and what its frames say.
#[derive(Debug, Default)]
struct Counters {
    frames: u64,
    has_statistics: bool,
    filter_accept: Option<u64>,
    interface_drops: Option<u64>,
    os_drops: Option<u64>,
    delivered: Option<u64>,
    /// Sum of `epb_dropcount` and of the drop counts of obsolete packet blocks.
    dropped_before_frames: u64,
}

/// Reads the blocks of one input.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: ByteOrder,
    section: Vec<Described>,
    sections: u64,
    blocks_read: u64,
    interfaces: Vec<InterfaceRecord>,
    counters: Vec<Counters>,
    last_time: Timestamp,
    is_own: bool,
    head: String,
    tail: String,
    skipped: BTreeMap<String, u64>,
}

impl Pcapng {
    /// Reads the first section header.
    pub(super) fn open(blocks: &mut Blocks) -> Result<Self, Stop> {
        let mut this = Self {
            order: ByteOrder::Little,
            section: Vec::new(),
            sections: 0,
            blocks_read: 0,
            interfaces: Vec::new(),
            counters: Vec::new(),
            last_time: Timestamp::default(),
            is_own: false,
            head: String::new(),
            tail: String::new(),
            skipped: BTreeMap::new(),
        };
        this.block(blocks)?;
        Ok(this)
    }

    /// Reads on to the next frame; none at the end of the input.
    pub(super) fn advance(&mut self, blocks: &mut Blocks) -> Result<Option<Record>, Stop> {
        loop {
            if blocks.want(FRAMING) == 0 {
                blocks.end()?;
                return Ok(None);
            }
            if let Some(record) = self.block(blocks)? {
                return Ok(Some(record));
            }
        }
    }

    /// The interfaces of all sections so far.
    pub(super) fn interfaces(&self) -> &[InterfaceRecord] {
        &self.interfaces
    }

    /// Blocks read so far.
    pub(super) fn blocks_read(&self) -> u64 {
        self.blocks_read
    }

    /// Kernel and interface drops.
    pub(super) fn tallies(&self) -> (Tally, Tally) {
        let (mut drops, mut interface_drops) = (Tally::default(), Tally::default());
        for counters in &self.counters {
            let has_frames = counters.frames > 0;
            drops.add(counters.os_drops, has_frames);
            interface_drops.add(counters.interface_drops, has_frames);
            // What the frames say is evidence where the counters are missing; with counters it is in them already.
            if counters.dropped_before_frames > 0
                && counters.os_drops.is_none()
                && counters.interface_drops.is_none()
            {
                drops.add(Some(counters.dropped_before_frames), has_frames);
            }
        }
        (drops, interface_drops)
    }

    /// Frames that our own queue dropped while this recording was made: accepted, but neither delivered nor
    /// dropped by the system.
    pub(super) fn channel_dropped(&self) -> u64 {
        if !self.is_own {
            return 0;
        }
        self.counters.iter().fold(0, |sum, counters| {
            let (Some(accepted), Some(delivered)) = (counters.filter_accept, counters.delivered)
            else {
                return sum;
            };
            let seen = delivered.saturating_add(counters.os_drops.unwrap_or_default());
            sum.saturating_add(accepted.saturating_sub(seen))
        })
    }

    /// Whether tunnelcheck itself wrote the first section.
    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    /// Whether every interface has its statistics: they are written when a recording is closed.
    pub(super) fn is_closed(&self) -> bool {
        !self.counters.is_empty() && self.counters.iter().all(|counters| counters.has_statistics)
    }

    /// Our own words in the first section header.
    pub(super) fn head_annotation(&self) -> Option<&str> {
        (self.is_own && !self.head.is_empty()).then_some(self.head.as_str())
    }

    /// Our own words in the last statistics block so far.
    pub(super) fn tail_annotation(&self) -> Option<&str> {
        (self.is_own && !self.tail.is_empty()).then_some(self.tail.as_str())
    }

    /// Blocks that were skipped although they may have held frames, by reason.
    pub(super) fn skipped(&self) -> impl Iterator<Item = (&str, u64)> {
        self.skipped.iter().map(|(why, count)| (why.as_str(), *count))
    }

    /// Reads one block; some where it holds a frame.
    fn block(&mut self, blocks: &mut Blocks) -> Result<Option<Record>, Stop> {
        blocks.need(FRAMING, "the block header")?;
        let ahead = blocks.ahead();
        let kind = self.order.u32(ahead, 0).unwrap_or_default();
        if kind == SECTION_HEADER {
            // A section may have another byte order than the one before.
            self.order = byte_order(ahead)?;
        }
        let total = self.order.u32(blocks.ahead(), 4).unwrap_or_default();
        if index(total) < FRAMING || !total.is_multiple_of(4) {
            return Err(Stop::Damaged(format!(
                "block length {total} is not a multiple of 4 from {FRAMING} on"
            )));
        }
        self.blocks_read = self.blocks_read.saturating_add(1);
        match kind {
            ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET => self.frame(blocks, kind, total),
            SECTION_HEADER | INTERFACE_DESCRIPTION | INTERFACE_STATISTICS => {
                self.meta(blocks, kind, total)?;
                Ok(None)
            }
            _ => {
                self.other(blocks, kind, total)?;
                Ok(None)
            }
        }
    }

    /// The frame at the front of octets that were not read yet, and what follows its block; none where there is another block, or
    /// it does not lie there whole.
    pub(super) fn peek<'a>(&self, octets: &'a [u8]) -> Option<(LinkType, &'a [u8], &'a [u8])> {
        let word = |at| self.order.u32(octets, at);
        if word(0)? != ENHANCED_PACKET {
            return None;
        }
        let (block, rest) = octets.split_at_checked(index(word(4)?).max(FRAMING))?;
        let link_type = self.section.get(index(word(8)?))?.link_type;
        let data = block.get(28..)?.get(..index(word(20)?))?;
        Some((link_type, data, rest))
    }

    fn frame(
        &mut self,
        blocks: &mut Blocks,
        kind: u32,
        total: u32,
    ) -> Result<Option<Record>, Stop> {
        bounded(total, MAX_FRAME_BLOCK)?;
        let whole = index(total);
        blocks.need(whole, "the block of the frame")?;
        closed(self.order, blocks.ahead(), total)?;
        let record = self.frame_in(blocks, kind, whole);
        blocks.consume(whole);
        match record {
            Ok(record) => {
                self.last_time = record.time;
                Ok(Some(record))
            }
            Err(why) => {
                self.skip_as(why.to_owned());
                Ok(None)
            }
        }
    }

    /// The frame in the `whole` octets ahead, or why there is none.
    fn frame_in(
        &mut self,
        blocks: &Blocks,
        kind: u32,
        whole: usize,
    ) -> Result<Record, &'static str> {
        const SHORT: &str = "too short for a frame";
        const FOREIGN: &str = "of an interface that is not described";
        let order = self.order;
        let octets = blocks.ahead().get(..whole).ok_or(SHORT)?;
        let word = |at| order.u32(octets, at).ok_or(SHORT);
        let room = whole.saturating_sub(FRAMING);
        let (local, ticks, cap_len, len, data_at) = if kind == SIMPLE_PACKET {
            let len = word(8)?;
            let snaplen = self.section.first().ok_or(FOREIGN)?.snaplen;
            let limit = if snaplen == 0 { len } else { len.min(snaplen) };
            // The block states no captured length: at most what it has room for.
            (0, None, index(limit).min(room.saturating_sub(4)), len, 12)
        } else {
            let local = if kind == OBSOLETE_PACKET {
                u32::from(order.u16(octets, 8).ok_or(SHORT)?)
            } else {
                word(8)?
            };
            let ticks = (u64::from(word(12)?) << 32) | u64::from(word(16)?);
            (local, Some(ticks), index(word(20)?), word(24)?, 28)
        };
        let described = self.section.get(index(local)).ok_or(FOREIGN)?;
        let data_end = data_at + cap_len.min(whole);
        if data_end.saturating_add(4) > whole {
            return Err("with a captured length beyond its end");
        }
        if cap_len > index(MAX_CAP_LEN) {
            return Err("with a captured length beyond any frame");
        }
        let record = Record {
            time: ticks.map_or(self.last_time, |ticks| described.clock.time(ticks)),
            interface_id: described.id,
            link_type: described.link_type,
            len,
            data: blocks.range(data_at, cap_len),
        };
        if let Some(counters) = self.counters.get_mut(index(described.id)) {
            counters.frames += 1;
            let dropped = match kind {
                // 0xffff: not counted.
                OBSOLETE_PACKET => order.u16(octets, 10).filter(|n| *n != u16::MAX).map(u64::from),
                ENHANCED_PACKET => {
                    let options = octets.get(data_end.next_multiple_of(4)..whole - 4);
                    Options::new(order, options.unwrap_or_default())
                        .find(|option| option.code == 4) // epb_dropcount
                        .and_then(|option| order.u64(option.value, 0))
                }
                _ => None,
            };
            counters.dropped_before_frames =
                counters.dropped_before_frames.saturating_add(dropped.unwrap_or_default());
        }
        Ok(record)
    }

    fn meta(&mut self, blocks: &mut Blocks, kind: u32, total: u32) -> Result<(), Stop> {
        bounded(total, MAX_META_BLOCK)?;
        let whole = index(total);
        let what = match kind {
            SECTION_HEADER => "the section header",
            INTERFACE_DESCRIPTION => "the interface description",
            _ => "the interface statistics",
        };
        blocks.need(whole, what)?;
        closed(self.order, blocks.ahead(), total)?;
        let body = blocks.ahead().get(8..whole.saturating_sub(4)).unwrap_or_default();
        match kind {
            SECTION_HEADER => self.section_header(body)?,
            INTERFACE_DESCRIPTION => self.interface_description(body)?,
            _ => self.interface_statistics(body),
        }
        blocks.consume(whole);
        Ok(())
    }

    fn section_header(&mut self, body: &[u8]) -> Result<(), Stop> {
        let order = self.order;
        let (Some(major), Some(minor)) = (order.u16(body, 4), order.u16(body, 6)) else {
            return Err(Stop::Damaged("the section header is too short".to_owned()));
        };
        if major != 1 {
            return Err(Stop::Damaged(format!("pcapng version {major}.{minor} is not known")));
        }
        if self.sections == 0 {
            let options = || Options::new(order, body.get(16..).unwrap_or_default());
            self.is_own = options()
                .any(|option| option.code == 4 && option.value.starts_with(APP.as_bytes())); // shb_userappl
            if self.is_own {
                self.head = comment(options());
            }
        }
        self.sections = self.sections.saturating_add(1);
        self.section.clear();
        Ok(())
    }

    fn interface_description(&mut self, body: &[u8]) -> Result<(), Stop> {
        let order = self.order;
        let (Some(link_type), Some(snaplen)) = (order.u16(body, 0), order.u32(body, 4)) else {
            return Err(Stop::Damaged("the interface description is too short".to_owned()));
        };
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Stop::Damaged(format!("more than {MAX_INTERFACES} interfaces")));
        }
        let mut record = InterfaceRecord {
            name: String::new(),
            link_type: super::classic::registered(link_type),
            snaplen,
            vantage: None,
        };
        let (mut resolution, mut offset_s) = (6, 0);
        for option in Options::new(order, body.get(8..).unwrap_or_default()) {
            match (option.code, option.value) {
                (2, name) => {
                    // if_name
                    let kept = name.get(..name.len().min(MAX_NAME)).unwrap_or_default();
                    record.name = String::from_utf8_lossy(kept).into_owned();
                }
                (3, text) if self.is_own => record.vantage = vantage(text), // if_description
                (9, [octet, ..]) => resolution = *octet,                    // if_tsresol
                (14, value) => {
                    // if_tsoffset
                    offset_s = order.u64(value, 0).unwrap_or_default().cast_signed();
                }
                _ => {}
            }
        }
        self.section.push(Described {
            id: u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX),
            link_type: record.link_type,
            snaplen,
            clock: Clock::new(resolution, offset_s),
        });
        self.interfaces.push(record);
        self.counters.push(Counters::default());
        Ok(())
    }

    fn interface_statistics(&mut self, body: &[u8]) {
        let order = self.order;
        let options = || Options::new(order, body.get(12..).unwrap_or_default());
        let counters = order
            .u32(body, 0)
            .and_then(|local| self.section.get(index(local)))
            .and_then(|described| self.counters.get_mut(index(described.id)));
        let Some(counters) = counters else {
            self.skip_as("of statistics of an interface that is not described".to_owned());
            return;
        };
        counters.has_statistics = true;
        // The counters are cumulative: those of the last block hold.
        for option in options() {
            let value = order.u64(option.value, 0);
            match option.code {
                5 => counters.interface_drops = value, // isb_ifdrop
                6 => counters.filter_accept = value,   // isb_filteraccept
                7 => counters.os_drops = value,        // isb_osdrop
                8 => counters.delivered = value,       // isb_usrdeliv
                _ => {}
            }
        }
        if self.is_own {
            self.tail = comment(options());
        }
    }

    /// Steps over a block that holds no frame, or none that can be read.
    fn other(&mut self, blocks: &mut Blocks, kind: u32, total: u32) -> Result<(), Stop> {
        if !holds_no_frame(kind) {
            self.skip_as(format!("of the unknown type {kind:#010x}"));
        }
        blocks.skip(u64::from(total) - 4, "a block that is skipped")?;
        blocks.need(4, "the end of a block that is skipped")?;
        if self.order.u32(blocks.ahead(), 0) != Some(total) {
            return Err(unequal(total, self.order.u32(blocks.ahead(), 0)));
        }
        blocks.consume(4);
        Ok(())
    }

    fn skip_as(&mut self, why: String) {
        if self.skipped.len() < MAX_SKIPPED_KINDS || self.skipped.contains_key(&why) {
            *self.skipped.entry(why).or_insert(0) += 1;
        } else {
            *self.skipped.entry("of further kinds".to_owned()).or_insert(0) += 1;
        }
    }
}

/// Whether blocks of this type are defined and hold no captured frame, or are somebody's private data.
fn holds_no_frame(kind: u32) -> bool {
    matches!(
        kind,
        // Name resolution, IRIG timestamp, ARINC 429, systemd journal, decryption secrets; Hone's and Sysdig's.
        4 | 7..=0xa | 0x101..=0x102 | 0x201..=0x22f
        // Custom blocks, and types for local use.
        | 0xbad | 0x4000_0bad | 0x8000_0000..
    )
}

/// The byte order of the section whose header lies in `ahead`. Section 4.1, byte-order magic.
fn byte_order(ahead: &[u8]) -> Result<ByteOrder, Stop> {
    match ByteOrder::Big.u32(ahead, 8) {
        Some(0x1a2b_3c4d) => Ok(ByteOrder::Big),
        Some(0x4d3c_2b1a) => Ok(ByteOrder::Little),
        other => Err(Stop::Damaged(format!(
            "the byte-order magic is {:#010x}, not 0x1a2b3c4d",
            other.unwrap_or_default()
        ))),
    }
}

fn bounded(total: u32, max: u32) -> Result<(), Stop> {
    if total > max {
        return Err(Stop::Damaged(format!("block length {total} is beyond {max}")));
    }
    Ok(())
}

/// Checks that the block ahead ends with its length, as it begins.
fn closed(order: ByteOrder, ahead: &[u8], total: u32) -> Result<(), Stop> {
    let last = order.u32(ahead, index(total).saturating_sub(4));
    if last == Some(total) { Ok(()) } else { Err(unequal(total, last)) }
}

fn unequal(first: u32, last: Option<u32>) -> Stop {
    Stop::Damaged(format!(
        "the block begins with the length {first} and ends with {}",
        last.unwrap_or_default()
    ))
}

/// Where the interface stood, in the words of the recorder.
fn vantage(description: &[u8]) -> Option<Vantage> {
    let name = std::str::from_utf8(description).ok()?.strip_prefix(VANTAGE_PREFIX)?;
    Vantage::ALL.into_iter().find(|vantage| vantage.to_string() == name)
}
