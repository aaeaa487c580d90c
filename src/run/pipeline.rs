//! Who calls whom: frame -> decode -> flow -> inspect. The only place where these rooms are joined.

use crate::decode::Decoder;
use crate::flow::{ConnTable, Limits};
#[cfg(feature = "live")]
use crate::inspect::News;
use crate::inspect::matcher::Matcher;
use crate::inspect::{Inspection, Inspector};
use crate::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Coverage, Direction, Frame, FrameRef,
    Identifier, LinkType, Uid,
};
use crate::run::RunError;
use crate::run::archive::Archive;
use crate::source::{Losses, Next, Source};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Octets of both addresses of an Ethernet frame (IEEE 802.3 s3.2.3).
const ADDRESSES: usize = 12;

/// Pairs of addresses remembered, so that the frames of a conversation or two are not searched again and again.
const PAIRS: usize = 4;

/// Octets of an escape that stands for one octet: `\u006a`.
const ESCAPED: usize = 6;

/// Octets of stream that are searched on each side of a version of disputed octets: at least, for banners and short
/// credentials; and at most, since a conflict without a hit is no PASS anyway.
const MIN_CONTEXT: usize = 256;
const MAX_CONTEXT: usize = 2048;

/// The way of the octets for one target.
pub(super) struct Pipeline {
    decoder: Decoder,
    addresses: Addresses,
    table: ConnTable,
    inspector: Inspector,
    archive: Archive,
}

/// Takes what flow hands on; files what has ended.
struct Filing<'p> {
    inspector: &'p mut Inspector,
    archive: &'p mut Archive,
}

impl ChunkSink for Filing<'_> {
    fn held(&self, slot: ConnSlot) -> usize {
        self.inspector.held(slot)
    }

    fn opened(&mut self, slot: ConnSlot, uid: Uid, id: &ConnId, at: FrameRef) {
        self.inspector.opened(slot, uid, id, at);
    }

    fn chunk(&mut self, slot: ConnSlot, dir: Direction, chunk: &Chunk<'_>) {
        self.inspector.chunk(slot, dir, chunk);
    }

    fn closed(&mut self, slot: ConnSlot, record: ConnRecord) {
        self.inspector.closed(slot, record);
        while let Some(conn) = self.inspector.take_ended() {
            self.archive.add(&conn);
        }
    }
}

impl Pipeline {
    /// A pipeline that searches for `identifiers` and `tokens`.
    /// Answers are kept of the names of `hosts` alone.
    pub(super) fn new(
        identifiers: &[Identifier],
        tokens: &[String],
        hosts: BTreeSet<String>,
    ) -> Result<Self, RunError> {
        let matcher = Arc::new(Matcher::new(identifiers, tokens)?);
        let reach = matcher.reach().saturating_mul(ESCAPED).clamp(MIN_CONTEXT, MAX_CONTEXT);
        let limits =
            Limits { context: u64::try_from(reach).unwrap_or(u64::MAX), ..Limits::default() };
        Ok(Self {
            decoder: Decoder::default(),
            addresses: Addresses::default(),
            table: ConnTable::new(limits),
            inspector: Inspector::new(matcher).for_hosts(hosts),
            archive: Archive::default(),
        })
    }

    /// Takes one frame.
    pub(super) fn frame(&mut self, frame: &Frame<'_>) {
        let decoded = self.decoder.decode(frame);
        self.inspector.at_interface(frame.interface_id);
        for (offset, bytes) in decoded.unread() {
            let offset = u64::try_from(offset).unwrap_or(u64::MAX);
            self.inspector.raw(frame.at(), frame.interface_id, offset, bytes);
        }
        if let Some(addresses) = self.addresses.unseen(frame) {
            self.inspector.addresses(frame.at(), frame.interface_id, addresses);
        }
        if let Some(segment) = &decoded.segment {
            let Self { table, inspector, archive, .. } = self;
            table.push(segment, &mut Filing { inspector, archive });
        }
        self.late();
    }

    /// Searches what fragments may have become beside whole datagrams.
    fn late(&mut self) {
        let Self { decoder, table, inspector, archive, .. } = self;
        while let Some(late) = decoder.late() {
            inspector.at_interface(late.interface_id);
            for (_, bytes) in late.decoded.unread() {
                inspector.raw(late.at, late.interface_id, 0, bytes);
            }
            if let Some(segment) = &late.decoded.segment {
                table.push(segment, &mut Filing { inspector, archive });
            }
        }
    }

    /// What became known since the last call, for a screen.
    #[cfg(feature = "live")]
    pub(super) fn drain_news(&mut self) -> Vec<News> {
        self.inspector.drain_news()
    }

    /// Ends every conn and adds up what was not seen.
    pub(super) fn finish(mut self, losses: &Losses) -> Analysis {
        self.decoder.finish();
        self.late();
        let Self { table, inspector, archive, .. } = &mut self;
        table.finish(&mut Filing { inspector, archive });
        let mut coverage = self.decoder.coverage().clone();
        coverage.add(self.table.coverage());
        let inspection = self.inspector.finish();
        coverage.add(&inspection.coverage);
        coverage.drops = losses.drops;
        coverage.interface_drops = losses.interface_drops;
        coverage.channel_dropped += losses.channel_dropped;
        coverage.inputs_cut.extend(losses.inputs_cut.iter().cloned());
        self.archive.scale(inspection.searched_open, inspection.searched_sealed);
        Analysis { conns: self.archive, inspection, coverage }
    }
}

/// The addresses of Ethernet frames: octets on the wire as any others, and the same in most frames.
#[derive(Debug, Default)]
struct Addresses {
    pairs: [[u8; ADDRESSES]; PAIRS],
    next: usize,
}

impl Addresses {
    /// The pair of a frame, unless it was among the last ones.
    fn unseen<'a>(&mut self, frame: &Frame<'a>) -> Option<&'a [u8]> {
        if frame.link_type != LinkType::ETHERNET {
            return None;
        }
        let pair = frame.data.first_chunk::<ADDRESSES>()?;
        if self.pairs.contains(pair) {
            return None;
        }
        if let Some(oldest) = self.pairs.get_mut(self.next) {
            *oldest = *pair;
        }
        self.next = (self.next + 1) % PAIRS;
        Some(pair)
    }
}

/// What was found in a capture, and what was not seen of it.
#[derive(Debug)]
pub struct Analysis {
    /// Every conn, in the order of their first frame.
    pub conns: Archive,
    /// Hits outside of conns, names, control tokens; its list of conns is empty.
    pub inspection: Inspection,
    /// All rooms together.
    pub coverage: Coverage,
}

/// Reads a source to its end, for nobody's hosts: it keeps no answered names.
///
/// # Errors
/// `RunError::Source` where the source fails, `RunError::Inspect` where an identifier cannot be searched.
pub fn analyze(
    source: &mut dyn Source,
    identifiers: &[Identifier],
    tokens: &[String],
) -> Result<Analysis, RunError> {
    let mut pipeline = Pipeline::new(identifiers, tokens, BTreeSet::new())?;
    loop {
        match source.next()? {
            Next::Frame(frame) => pipeline.frame(&frame),
            Next::Idle => {}
            Next::End => break,
        }
    }
    Ok(pipeline.finish(&source.losses()))
}
