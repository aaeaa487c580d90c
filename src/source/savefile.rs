//! Capture files: pcap and pcapng, packed or not, from any `Read`; several of them as one capture.

mod aside;
mod blocks;
mod classic;
mod clock;
mod files;
mod gzip;
mod options;
mod pcapng;
mod unpack;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

pub use files::{Files, is_cheap_to_read};

use super::octets::ByteOrder;
use super::{Losses, Next, Source, SourceError, Tally};
use crate::model::{Frame, InterfaceRecord, LinkType, Timestamp};
use blocks::{Blocks, Stop};
use classic::{Classic, Variant};
use pcapng::Pcapng;
use std::io::Read;
use std::ops::Range;
use unpack::Packing;

/// Octets of a captured frame at most. Twice the largest super-frame of Linux's BIG TCP (512 KiB);
/// what states more is damage, and must not take memory.
const MAX_CAP_LEN: u32 = 1 << 20;

/// First octets of an input that are shown where it is no capture.
const SHOWN: usize = 8;

/// A frame in the block of a reader.
#[derive(Debug)]
struct Record {
    time: Timestamp,
    interface_id: u32,
    link_type: LinkType,
    len: u32,
    data: Range<usize>,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Pcapng(Box<Pcapng>),
}

/// One capture file, or a stream that looks like one.
pub struct Savefile {
    name: String,
    packing: Packing,
    blocks: Blocks,
    format: Format,
    frames: u64,
    current: Option<Record>,
    ended: bool,
    cut: Option<String>,
}

impl Savefile {
    /// Whether it is compressed.
    pub(super) fn is_packed(&self) -> bool {
        self.packing != Packing::None
    }

    /// Finds out how `reader` is packed and which format it has, and reads its first header.
    ///
    /// # Errors
    /// When it is no capture, ends inside its first header, or cannot be read.
    pub fn open(reader: Box<dyn Read + Send>, name: &str) -> Result<Self, SourceError> {
        let (reader, packing) = unpack::unpack(reader).map_err(|source| SourceError::Read {
            name: name.to_owned(),
            at: 0,
            source,
        })?;
        let mut blocks = Blocks::new(reader);
        let format = open_format(&mut blocks, name, packing)?;
        Ok(Self {
            name: name.to_owned(),
            packing,
            blocks,
            format,
            frames: 0,
            current: None,
            ended: false,
            cut: None,
        })
    }

    /// What tunnelcheck wrote at the start of its own recording.
    pub fn head_annotation(&self) -> Option<&str> {
        self.pcapng().and_then(Pcapng::head_annotation)
    }

    /// What tunnelcheck wrote at the end of its own recording; known once `Next::End` was reached.
    pub fn tail_annotation(&self) -> Option<&str> {
        self.pcapng().filter(|_| self.ended).and_then(Pcapng::tail_annotation)
    }

    /// Whether tunnelcheck recorded this.
    pub fn is_own(&self) -> bool {
        self.pcapng().is_some_and(Pcapng::is_own)
    }

    /// Whether tunnelcheck recorded this and closed it in good order; known once `Next::End` was reached.
    pub fn is_closed(&self) -> bool {
        self.ended
            && self.cut.is_none()
            && self.pcapng().is_some_and(|file| file.is_own() && file.is_closed())
    }

    /// Steps to the next frame; false at the end.
    fn advance(&mut self) -> Result<bool, SourceError> {
        if self.ended {
            return Ok(false);
        }
        let step = match &mut self.format {
            Format::Classic(file) => file.advance(&mut self.blocks),
            Format::Pcapng(file) => file.advance(&mut self.blocks),
        };
        match step {
            Ok(Some(record)) => {
                self.frames += 1;
                self.current = Some(record);
                return Ok(true);
            }
            Ok(None) => {}
            Err(Stop::Failed(source)) => {
                self.ended = true;
                return Err(SourceError::Read {
                    name: self.name.clone(),
                    at: self.blocks.offset(),
                    source,
                });
            }
            Err(reason) => self.cut = Some(self.describe(&reason)),
        }
        self.current = None;
        self.ended = true;
        Ok(false)
    }

    /// The frame of the last `advance`.
    fn frame(&self) -> Option<Frame<'_>> {
        let record = self.current.as_ref()?;
        Some(Frame {
            number: self.frames,
            time: record.time,
            interface_id: record.interface_id,
            link_type: record.link_type,
            len: record.len,
            data: self.blocks.slice(record.data.clone()),
        })
    }

    /// Kernel and interface drops.
    fn tallies(&self) -> (Tally, Tally) {
        match &self.format {
            Format::Pcapng(file) => file.tallies(),
            Format::Classic(_) => {
                let mut nobody = Tally::default();
                nobody.add(None, self.frames > 0);
                (nobody, nobody)
            }
        }
    }

    fn interface_records(&self) -> &[InterfaceRecord] {
        match &self.format {
            Format::Classic(file) => std::slice::from_ref(file.interface()),
            Format::Pcapng(file) => file.interfaces(),
        }
    }

    fn channel_dropped(&self) -> u64 {
        self.pcapng().map_or(0, Pcapng::channel_dropped)
    }

    /// What was not read, in words.
    fn cuts(&self) -> Vec<String> {
        let mut cuts: Vec<String> = self.cut.iter().cloned().collect();
        if let Some(file) = self.pcapng() {
            cuts.extend(file.skipped().map(|(why, count)| {
                let blocks = if count == 1 { "block" } else { "blocks" };
                format!("{}: {count} {blocks} {why} skipped", self.name)
            }));
        }
        cuts
    }

    fn pcapng(&self) -> Option<&Pcapng> {
        match &self.format {
            Format::Pcapng(file) => Some(file),
            Format::Classic(_) => None,
        }
    }

    fn describe(&self, stop: &Stop) -> String {
        let place = match &self.format {
            Format::Classic(_) => format!("record {}", self.frames.saturating_add(1)),
            Format::Pcapng(file) => {
                format!("block {} (after frame {})", file.blocks_read(), self.frames)
            }
        };
        let unpacked = if self.packing == Packing::None { "" } else { " of the unpacked file" };
        let octet = self.blocks.offset();
        match stop {
            Stop::Cut { what, needed, got, why } => {
                let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                format!(
                    "{}: cut in {place}, octet {octet}{unpacked}: {what} needs {needed} octets, {got} are there{why}",
                    self.name
                )
            }
            Stop::Damaged(why) => {
                format!("{}: damaged at {place}, octet {octet}{unpacked}: {why}", self.name)
            }
            Stop::Failed(failure) => format!("{}: {failure}", self.name),
        }
    }
}

impl Source for Savefile {
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        self.advance()?;
        Ok(self.frame().map_or(Next::End, Next::Frame))
    }

    fn ahead(&self, most: usize, see: &mut dyn FnMut(LinkType, &[u8])) {
        let mut octets = self.blocks.ahead();
        for _ in 0..most {
            let shown = match &self.format {
                Format::Classic(file) => file.peek(octets),
                Format::Pcapng(file) => file.peek(octets),
            };
            let Some((link_type, data, rest)) = shown else { return };
            see(link_type, data);
            octets = rest;
        }
    }

    fn losses(&self) -> Losses {
        let (drops, interface_drops) = self.tallies();
        Losses {
            drops: drops.drops(),
            interface_drops: interface_drops.drops(),
            channel_dropped: self.channel_dropped(),
            inputs_cut: self.cuts(),
        }
    }

    fn interfaces(&self) -> Vec<InterfaceRecord> {
        self.interface_records().to_vec()
    }
}

fn open_format(blocks: &mut Blocks, name: &str, packing: Packing) -> Result<Format, SourceError> {
    let name = || name.to_owned();
    let available = blocks.want(SHOWN.max(12));
    if available == 0 && packing == Packing::None {
        return match blocks.end() {
            Err(Stop::Failed(source)) => Err(SourceError::Read { name: name(), at: 0, source }),
            _ => Err(SourceError::Empty { name: name() }),
        };
    }
    let head = blocks.ahead();
    let (opened, header) = if let Some(variant) = Variant::of(head) {
        let file = Classic::open(variant, blocks);
        (file.map(Format::Classic), "pcap file header")
    } else if ByteOrder::Big.u32(head, 0) == Some(pcapng::SECTION_HEADER) {
        let file = Pcapng::open(blocks).map(Box::new);
        (file.map(Format::Pcapng), "pcapng section header")
    } else {
        let head = head.to_vec();
        return Err(not_a_capture(name(), &head, packing, blocks.end()));
    };
    opened.map_err(|stop| match stop {
        Stop::Cut { needed, got, .. } => {
            SourceError::CutHeader { name: name(), header, needed, got }
        }
        Stop::Damaged(why) => SourceError::BadHeader { name: name(), header, why },
        Stop::Failed(source) => SourceError::Read { name: name(), at: 0, source },
    })
}

/// Formats that are known by their first octets and not read here.
const OTHERS: &[(&[u8], Other)] = &[
    (b"\xfd7zXZ\0", Other::Packed("xz", "xz -dc")),
    (b"BZh", Other::Packed("bzip2", "bzip2 -dc")),
    (b"\x04\x22\x4d\x18", Other::Packed("lz4", "lz4 -dc")),
    (b"\x1f\x9d", Other::Packed("compress", "uncompress -c")),
    (b"\x1f\x8b", Other::Packed("gzip twice", "gzip -dc")),
    (b"PK\x03\x04", Other::Packed("zip", "unzip -p")),
    (b"snoop\0\0\0", Other::Format("snoop")),
    (b"btsnoop\0", Other::Format("btsnoop")),
    (b"RTSS", Other::Format("Network Monitor 1")),
    (b"GMBU", Other::Format("Network Monitor 2")),
    (b"TRSNIFF data", Other::Format("Sniffer")),
    (b"XCP\0", Other::Format("NetXRay")),
    (b"\xa1\xb2\x34\xcd", Other::Format("pcap, modified with unknown records (0xa1b234cd)")),
    (b"\xcd\x34\xb2\xa1", Other::Format("pcap, modified with unknown records (0xa1b234cd)")),
    (b"\xa1\x2b\x3c\x4d", Other::Format("pcap, modified by Navtel (0xa12b3c4d)")),
    (b"\x4d\x3c\x2b\xa1", Other::Format("pcap, modified by Navtel (0xa12b3c4d)")),
];

/// What a magic stands for.
#[derive(Clone, Copy)]
enum Other {
    /// A packer's name, and how to unpack to standard output.
    Packed(&'static str, &'static str),
    /// A capture format's name.
    Format(&'static str),
}

fn not_a_capture(
    name: String,
    head: &[u8],
    packing: Packing,
    end: Result<(), Stop>,
) -> SourceError {
    match end {
        Err(Stop::Failed(source)) => return SourceError::Read { name, at: 0, source },
        Err(Stop::Cut { why: Some(why), .. }) if why == unpack::LARGE_WINDOW => {
            let (packing, command) =
                ("zstd and a window of more than 32 MiB", "zstd -dc --long=31");
            return SourceError::Packed { name, packing, command };
        }
        Err(Stop::Cut { why: Some(why), .. }) if packing != Packing::None => {
            return SourceError::DamagedPacking {
                name,
                packing: packing.name(),
                source: std::io::Error::new(std::io::ErrorKind::InvalidData, why),
            };
        }
        _ => {}
    }
    match OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        Some((_, Other::Packed(packing, command))) => {
            SourceError::Packed { name, packing, command }
        }
        Some((_, Other::Format(format))) => SourceError::OtherFormat { name, format },
        None => SourceError::NotACapture { name, found: shown(head, packing) },
    }
}

/// The first octets in hex, and as text where they are text.
fn shown(head: &[u8], packing: Packing) -> String {
    let head = head.get(..SHOWN).unwrap_or(head);
    let hex: Vec<String> = head.iter().map(|octet| format!("{octet:02x}")).collect();
    let hex = if head.is_empty() { "nothing".to_owned() } else { hex.join(" ") };
    let is_text = !head.is_empty() && head.iter().all(|octet| (b' '..=b'~').contains(octet));
    let text = if is_text {
        format!(" (\"{}\")", String::from_utf8_lossy(head).replace('"', "'"))
    } else {
        String::new()
    };
    let unpacked = if packing == Packing::None {
        String::new()
    } else {
        format!(" once unpacked ({})", packing.name())
    };
    format!("{hex}{text}{unpacked}")
}
