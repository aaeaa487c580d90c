//! Who calls whom: frame -> decode -> flow -> inspect. The only place where these rooms are joined.

use crate::decode::{self, Decoder};
use crate::flow::{AHEAD, ConnKey, ConnTable, Limits};
#[cfg(feature = "live")]
use crate::inspect::News;
use crate::inspect::matcher::Matcher;
use crate::inspect::{Inspection, Inspector};
use crate::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Coverage, Direction, Frame, FrameRef,
    Identifier, LinkType, Segment, Uid,
};
use crate::run::RunError;
use crate::run::archive::{Archive, Shelf};
use crate::run::join::Lanes;
use crate::source::{Losses, Next, Source};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Frames after which those that come are looked at anew: half of those that are looked at.
const STEP: usize = AHEAD / 2;

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

/// What is looked for, for one target.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) identifiers: &'a [Identifier],
    pub(super) tokens: &'a [String],
    /// The names whose answers are kept.
    pub(super) hosts: &'a BTreeSet<String>,
}

/// Equal shares of the conns of a capture. Each has a table, an inspector and bounds of its own, so that what becomes of a conn
/// depends neither on how many threads there are nor on which of them it is in.
pub(super) const SHARES: usize = 4;

/// The way of the octets for one target: all of it, or for some shares of the conns.
pub(super) struct Pipeline {
    decoder: Decoder,
    addresses: Addresses,
    /// None where another pipeline has it.
    shares: [Option<Box<Share>>; SHARES],
    /// The number of the next conn: one more than the last, or where not all conns are seen, that of the segment that opens it.
    next: u64,
    is_sole: bool,
}

/// What reads one share of the conns, and of the octets that belong to none.
struct Share {
    table: ConnTable,
    inspector: Inspector,
    shelf: Shelf,
}

/// Takes what flow hands on; files what has ended.
struct Filing<'p> {
    inspector: &'p mut Inspector,
    shelf: &'p mut Shelf,
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

    fn grain(&self) -> Option<usize> {
        self.inspector.grain()
    }

    fn is_barren(&mut self, slot: ConnSlot, dir: Direction, bytes: &[u8]) -> bool {
        self.inspector.is_barren(slot, dir, bytes)
    }

    fn barren(&mut self, slot: ConnSlot, dir: Direction, octets: u64) {
        self.inspector.barren(slot, dir, octets);
    }

    fn expect(&self, slots: &[ConnSlot], near: bool) {
        self.inspector.expect(slots, near);
    }

    fn closed(&mut self, slot: ConnSlot, record: ConnRecord) {
        if let Some(conn) = self.inspector.end(slot, record) {
            self.shelf.add(&conn);
        }
    }
}

impl Pipeline {
    /// Pipelines for the threads that read a recording: as many as `threads`, but no more than there are shares. `unite` makes
    /// one of what they read.
    ///
    /// The outer list is by thread, the inner one by vantage; `lanes` is how many vantages there are.
    pub(super) fn recorded(
        search: Search<'_>,
        lanes: usize,
        threads: usize,
    ) -> Result<Vec<Vec<Self>>, RunError> {
        let matcher = Arc::new(Matcher::new(search.identifiers, search.tokens)?);
        let threads = threads.clamp(1, SHARES);
        let of = |thread| {
            let inspector =
                || Inspector::patient(Arc::clone(&matcher)).for_hosts(search.hosts.clone());
            Self::new(&matcher, inspector, lanes, |share| share % threads == thread, threads == 1)
        };
        Ok((0..threads).map(|thread| (0..lanes).map(|_| of(thread)).collect()).collect())
    }

    /// A pipeline for each vantage of what is just being captured: what is found is told at once.
    #[cfg(feature = "live")]
    pub(super) fn live(search: Search<'_>, lanes: usize) -> Result<Vec<Self>, RunError> {
        let matcher = Arc::new(Matcher::new(search.identifiers, search.tokens)?);
        let inspector = || Inspector::new(Arc::clone(&matcher)).for_hosts(search.hosts.clone());
        Ok((0..lanes).map(|_| Self::new(&matcher, inspector, lanes, |_| true, true)).collect())
    }

    fn new(
        matcher: &Matcher,
        inspector: impl Fn() -> Inspector,
        lanes: usize,
        has: impl Fn(usize) -> bool,
        is_sole: bool,
    ) -> Self {
        let reach = matcher.reach().saturating_mul(ESCAPED).clamp(MIN_CONTEXT, MAX_CONTEXT);
        let limits =
            Limits { context: u64::try_from(reach).unwrap_or(u64::MAX), ..Limits::default() };
        // All vantages together keep to what one would.
        let shares = SHARES * lanes;
        let share = |index| {
            has(index).then(|| {
                Box::new(Share {
                    table: ConnTable::new(limits.share(shares)),
                    inspector: inspector().share(shares),
                    shelf: Shelf::share(shares),
                })
            })
        };
        Self {
            decoder: Decoder::share(lanes),
            addresses: Addresses::default(),
            shares: std::array::from_fn(share),
            next: 1,
            is_sole,
        }
    }

    /// Takes one frame.
    pub(super) fn frame(&mut self, frame: &Frame<'_>) {
        let Self { decoder, addresses, shares, next, is_sole, .. } = self;
        let decoded = decoder.decode(frame);
        // Octets that belong to no conn are searched by one share after the other.
        if let Some(inspector) = raw_inspector(shares, frame.number) {
            for (offset, bytes) in decoded.unread() {
                let offset = u64::try_from(offset).unwrap_or(u64::MAX);
                inspector.raw(frame.at(), frame.interface_id, offset, bytes);
            }
        }
        if let Some(addresses) = addresses.unseen(frame)
            && let Some(inspector) = raw_inspector(shares, frame.number)
        {
            inspector.addresses(frame.at(), frame.interface_id, addresses);
        }
        if let Some(segment) = &decoded.segment {
            push(shares, segment, frame.interface_id, next, *is_sole);
        }
        self.late();
    }

    /// Whether a table is so large that it pays to look ahead.
    fn looks_ahead(&self) -> bool {
        self.shares.iter().flatten().any(|share| share.table.is_large())
    }

    /// Frames of these conns come soon, by share.
    fn expect(&mut self, keys: &[Vec<ConnKey>; SHARES]) {
        for (share, keys) in self.shares.iter_mut().zip(keys) {
            let Some(Share { table, inspector, shelf }) = share.as_deref_mut() else { continue };
            table.expect(keys, &Filing { inspector, shelf });
        }
    }

    /// Searches what fragments may have become beside whole datagrams.
    fn late(&mut self) {
        let Self { decoder, shares, next, is_sole, .. } = self;
        while let Some(late) = decoder.late() {
            if let Some(inspector) = raw_inspector(shares, late.at.number) {
                inspector.at_interface(late.interface_id);
                for (_, bytes) in late.decoded.unread() {
                    inspector.raw(late.at, late.interface_id, 0, bytes);
                }
            }
            if let Some(segment) = &late.decoded.segment {
                push(shares, segment, late.interface_id, next, *is_sole);
            }
        }
    }

    /// What became known since the last call, for a screen.
    #[cfg(feature = "live")]
    pub(super) fn drain_news(&mut self) -> Vec<News> {
        self.shares.iter_mut().flatten().flat_map(|share| share.inspector.drain_news()).collect()
    }

    /// Ends every conn. What is between the threads and the joining of what they read.
    pub(super) fn close(mut self) -> Closed {
        self.decoder.finish();
        self.late();
        let shares = self.shares.map(|share| {
            let Share { mut table, mut inspector, mut shelf } = *share?;
            let filing = &mut Filing { inspector: &mut inspector, shelf: &mut shelf };
            table.finish(filing);
            let mut inspection = inspector.finish_share();
            let mut coverage = table.coverage().clone();
            coverage.add(&std::mem::take(&mut inspection.coverage));
            inspection.coverage = coverage;
            Some((shelf, inspection))
        });
        Closed { decoded: self.decoder.coverage().clone(), shares }
    }
}

/// The inspector that searches the octets of a frame that belong to no conn, if it is here.
fn raw_inspector(shares: &mut [Option<Box<Share>>; SHARES], number: u64) -> Option<&mut Inspector> {
    let index = usize::try_from(number % SHARES as u64).unwrap_or_default();
    shares.get_mut(index)?.as_mut().map(|share| &mut share.inspector)
}

/// Hands a segment to its share, if it is here.
fn push(
    shares: &mut [Option<Box<Share>>; SHARES],
    segment: &Segment<'_>,
    interface_id: u32,
    next: &mut u64,
    is_sole: bool,
) {
    let key = ConnKey::of(segment);
    if let Some(share) = shares.get_mut(key.share(SHARES)).and_then(Option::as_mut) {
        let Share { table, inspector, shelf } = &mut **share;
        inspector.at_interface(interface_id);
        table.number_from(*next);
        table.push_of(key, segment, &mut Filing { inspector, shelf });
        if is_sole {
            *next = table.next_number();
        }
    }
    if !is_sole {
        *next += 1;
    }
}

/// What a pipeline read.
pub(super) struct Closed {
    decoded: Coverage,
    shares: [Option<(Shelf, Inspection)>; SHARES],
}

/// Makes an analysis of each vantage of what the pipelines of one target read. The outer list is by vantage.
///
/// # Errors
/// As `unite`.
pub(super) fn unite_all(all: Vec<Vec<Closed>>, losses: &Losses) -> Result<Vec<Analysis>, RunError> {
    // What was lost on the way is one account for all.
    let counted = Losses { channel_dropped: 0, inputs_cut: Vec::new(), ..losses.clone() };
    let each = std::iter::once(losses).chain(std::iter::repeat(&counted));
    all.into_iter().zip(each).map(|(closed, losses)| unite(closed, losses)).collect()
}

/// Makes one of what the pipelines of one target and vantage read: together they have every share, each once.
///
/// # Errors
/// `RunError::Archive` where the list of conns cannot be read; `RunError::Changed` where they did not all see the same frames.
fn unite(all: Vec<Closed>, losses: &Losses) -> Result<Analysis, RunError> {
    let mut decoded: Option<Coverage> = None;
    let mut shares: [Option<(Shelf, Inspection)>; SHARES] = Default::default();
    for closed in all {
        if decoded.as_ref().is_some_and(|known| *known != closed.decoded) {
            return Err(RunError::Changed);
        }
        decoded = Some(closed.decoded);
        for (place, share) in shares.iter_mut().zip(closed.shares) {
            if share.is_some() {
                *place = share;
            }
        }
    }
    let mut coverage = decoded.unwrap_or_default();
    let (mut shelves, mut inspection) = (Vec::new(), None::<Inspection>);
    for (shelf, found) in shares.into_iter().flatten() {
        shelves.push(shelf);
        match &mut inspection {
            Some(inspection) => inspection.add(found),
            None => inspection = Some(found),
        }
    }
    let mut inspection = inspection.unwrap_or_default();
    inspection.scale();
    coverage.add(&inspection.coverage);
    coverage.drops = losses.drops;
    coverage.interface_drops = losses.interface_drops;
    coverage.channel_dropped += losses.channel_dropped;
    coverage.inputs_cut.extend(losses.inputs_cut.iter().cloned());
    let mut conns = Archive::of(shelves);
    conns.scale(inspection.searched_open, inspection.searched_sealed);
    let filed = inspection.sightings.iter().filter_map(|sighting| sighting.uid).collect();
    let uids = conns.uids(&filed)?;
    for sighting in &mut inspection.sightings {
        sighting.uid = sighting.uid.and_then(|uid| uids.get(&uid).copied());
    }
    Ok(Analysis { conns, inspection, coverage })
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

/// Reads a source to its end, in this thread, for nobody's hosts: it keeps no answered names.
///
/// # Errors
/// `RunError::Source` where the source fails, `RunError::Inspect` where an identifier cannot be searched.
pub fn analyze(
    source: &mut dyn Source,
    identifiers: &[Identifier],
    tokens: &[String],
) -> Result<Analysis, RunError> {
    let hosts = BTreeSet::new();
    let search = Search { identifiers, tokens, hosts: &hosts };
    let mut pipelines = Pipeline::recorded(search, 1, 1)?;
    read_all(source, &Lanes::default(), &mut pipelines)?;
    let closed = pipelines.into_iter().flatten().map(Pipeline::close).collect();
    unite(closed, &source.losses())
}

/// What is known of the frames that come next.
#[derive(Default)]
struct Ahead {
    /// How many of them the pipelines were told of.
    told: usize,
    /// Whose they are, by share.
    keys: [Vec<ConnKey>; SHARES],
}

impl Ahead {
    /// Lets the pipelines ask for what the next frames need of their tables; says after how many frames it is to be done again.
    fn look(&mut self, source: &dyn Source, pipelines: &mut [Vec<Pipeline>]) -> usize {
        if !pipelines.iter().flatten().any(Pipeline::looks_ahead) {
            return STEP;
        }
        let Self { told, keys } = self;
        keys.iter_mut().for_each(Vec::clear);
        let mut shown = 0;
        source.ahead(AHEAD, &mut |link_type, data| {
            if shown >= *told
                && let Some((one, other, proto)) = decode::seems(link_type, data)
            {
                let key = ConnKey::between(one, other, proto);
                keys.get_mut(key.share(SHARES)).into_iter().for_each(|keys| keys.push(key));
            }
            shown += 1;
        });
        for pipeline in pipelines.iter_mut().flatten().filter(|it| it.looks_ahead()) {
            pipeline.expect(keys);
        }
        let next = shown.clamp(1, STEP);
        *told = shown.saturating_sub(next);
        next
    }
}

/// Shows every frame of a source to the pipeline of its vantage of each list.
pub(super) fn read_all(
    source: &mut dyn Source,
    lanes: &Lanes,
    pipelines: &mut [Vec<Pipeline>],
) -> Result<(), RunError> {
    let (mut ahead, mut left) = (Ahead::default(), 0);
    loop {
        if left == 0 {
            left = ahead.look(source, pipelines);
        }
        left -= 1;
        match source.next()? {
            Next::Frame(frame) => {
                let lane = lanes.lane(frame.interface_id);
                for pipeline in pipelines.iter_mut().filter_map(|of| of.get_mut(lane)) {
                    pipeline.frame(&frame);
                }
            }
            Next::Idle => {}
            Next::End => return Ok(()),
        }
    }
}
