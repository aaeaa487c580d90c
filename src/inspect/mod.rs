//! Finds what can be read: joins the classifier, the dialects and the matcher.
//!
//! In: chunks of conns, raw octets of frames. Out: an `Inspection` (summaries of conns with their hits, sightings of
//! control tokens, names answered). Never: packet headers, sockets, a verdict.

mod blocks;
mod classify;
mod codes;
mod conn;
mod deferred;
mod der;
pub mod dialect;
mod error;
mod form;
mod hello;
mod hits;
mod imap_syntax;
mod inflate;
mod lines;
mod mail;
pub mod matcher;
mod opening;
mod probe;
mod sasl;
#[cfg(test)]
mod script;
mod spare;
mod suites;
mod talk;
mod tally;
mod turns;
mod websocket;
mod wire;

pub use error::InspectError;

use crate::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, ConnSummary, Coverage, Direction, FrameRef,
    FrameSpan, Hit, NameAnswer, TokenSighting, Uid, fetch,
};
use conn::Conn;
use deferred::{Deferred, Waiting};
use hits::HitBook;
use inflate::Bounds;
use matcher::{Match, Matcher, Needle};
use spare::Spare;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// News kept between two calls of `drain_news`; what is beyond is left out, since it only feeds a live screen.
const MAX_NEWS: usize = 1024;

/// Answers of names kept, without doubles; beyond it they are counted in `hits_omitted`.
const MAX_NAMES: usize = 1 << 18;

/// Octets that they may take, likewise: a flood of long names ends earlier.
const MAX_NAMES_OCTETS: usize = 8 << 20;

/// Octets that an answer takes beside its name, which is held twice.
const NAME_OCTETS: usize = 160;

/// Sightings of control tokens kept; beyond it they are counted in `hits_omitted`. A run sends a handful.
const MAX_SIGHTINGS: usize = 4096;

/// Octets that a block of memory takes beside what was asked for, about.
const ALLOCATION: usize = 16;

/// Something for a live screen.
#[derive(Clone, Debug)]
pub enum News {
    /// A conn began.
    Opened {
        /// Its name.
        uid: Uid,
        /// Its ends.
        id: ConnId,
        /// Its first frame.
        at: FrameRef,
    },
    /// The protocol of a conn was recognised.
    Recognised {
        /// Its name.
        uid: Uid,
        /// The protocol.
        dialect: &'static str,
    },
    /// Something was found.
    Found(Hit),
    /// A control token was seen: its text.
    Token(String),
}

/// What was found in everything that was handed in.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Every conn that neither `Inspector::take_ended` nor `Inspector::end` gave, by uid.
    pub conns: Vec<ConnSummary>,
    /// Octets searched behind the sealing of conns that are ciphertext. The chance of a hit that those gave is that
    /// of one position there, if it is `in_ciphertext`.
    pub searched_sealed: u64,
    /// Octets searched everywhere else, likewise.
    pub searched_open: u64,
    /// Hits in frames outside of any stream.
    pub raw_hits: Vec<Hit>,
    /// Names answered with addresses, each pair once, in the order of the capture.
    pub names: Vec<NameAnswer>,
    /// Control tokens found.
    pub sightings: Vec<TokenSighting>,
    /// `opaque_bytes`, `unread_bodies`, `stopped_bodies`, `searched_bytes`, `searched_raw_bytes`, `hits_omitted` and
    /// `patterns_dropped`; the rest is empty.
    pub coverage: Coverage,
}

/// Reads conns: every octet is searched, whatever its protocol; the protocol is recognised by its octets and read.
pub struct Inspector {
    tools: Tools,
    conns: Vec<Slot>,
    summaries: Vec<ConnSummary>,
    log: Log,
    /// Conns that have said little are read later.
    is_patient: bool,
}

/// What all conns share and none of them changes.
struct Tools {
    matcher: Arc<Matcher>,
    /// Of the decoders of compressed bodies.
    bounds: Bounds,
}

/// A place for a conn. Half of a scan or a flood never says anything: such a conn takes no memory of its own.
#[derive(Default)]
enum Slot {
    #[default]
    Free,
    /// Nothing was said yet.
    Silent(Uid, ConnId),
    /// Little was said, and nothing of it was read yet: its place in `Log::waiting`.
    Deferred(Uid, ConnId, u32),
    Heard(Box<Conn>),
}

/// What outlives a conn.
struct Log {
    raw: HitBook,
    /// The names whose answers are kept; none: all.
    hosts: Option<BTreeSet<String>>,
    names: Vec<NameAnswer>,
    /// Where in `names` a pair stands.
    names_seen: HashMap<(String, IpAddr), usize>,
    names_octets: usize,
    most_names: usize,
    most_names_octets: usize,
    sightings: Vec<TokenSighting>,
    coverage: Coverage,
    /// Octets searched behind the point from which their direction is ciphertext.
    searched_sealed: u64,
    news: VecDeque<News>,
    /// How many are kept: none where nobody waits for them.
    most_news: usize,
    interface_id: u32,
    spare: Spare,
    waiting: Waiting,
}

impl Inspector {
    /// An inspector that looks for what `matcher` knows.
    #[must_use]
    pub fn new(matcher: Arc<Matcher>) -> Self {
        let coverage = Coverage {
            patterns_dropped: matcher.patterns_dropped().to_vec(),
            ..Coverage::default()
        };
        Self {
            tools: Tools { matcher, bounds: Bounds::default() },
            conns: Vec::new(),
            summaries: Vec::new(),
            is_patient: false,
            log: Log {
                raw: HitBook::default(),
                hosts: None,
                names: Vec::new(),
                names_seen: HashMap::new(),
                names_octets: 0,
                most_names: MAX_NAMES,
                most_names_octets: MAX_NAMES_OCTETS,
                sightings: Vec::new(),
                coverage,
                searched_sealed: 0,
                news: VecDeque::new(),
                most_news: MAX_NEWS,
                interface_id: 0,
                spare: Spare::default(),
                waiting: Waiting::default(),
            },
        }
    }

    /// The same, where nobody waits for news: conns that have said little are read when they end. The order of hits
    /// among conns changes, and nothing else.
    #[must_use]
    pub fn patient(matcher: Arc<Matcher>) -> Self {
        let mut inspector = Self::new(matcher);
        inspector.is_patient = true;
        inspector.log.most_news = 0;
        inspector
    }

    /// The same inspector as one of so many that share the conns of a capture: what is bounded in all is divided.
    #[must_use]
    pub fn share(mut self, inspectors: usize) -> Self {
        let inspectors = inspectors.max(1);
        self.tools.bounds = Bounds::share(inspectors);
        self.log.most_names = MAX_NAMES / inspectors;
        self.log.most_names_octets = MAX_NAMES_OCTETS / inspectors;
        self
    }

    /// Keeps the answers of these names only, and those with a wildcard: others' names are many and nobody asks for them.
    /// Names are in lower case, without a trailing dot.
    #[must_use]
    pub fn for_hosts(mut self, hosts: BTreeSet<String>) -> Self {
        self.log.hosts = Some(hosts);
        self
    }

    /// Names the interface that saw the frame whose chunks come next; for the sightings of tokens.
    pub fn at_interface(&mut self, interface_id: u32) {
        self.log.interface_id = interface_id;
    }

    /// Searches octets of a frame that belong to no stream: padding, trailers, headers, what could not be decoded.
    /// `offset` is where `bytes` begins in the frame.
    pub fn raw(&mut self, at: FrameRef, interface_id: u32, offset: u64, bytes: &[u8]) {
        self.log.coverage.searched_raw_bytes += bytes.len() as u64;
        self.search_raw(at, interface_id, offset, bytes);
    }

    /// Searches addresses, of a link or a network: octets on the wire as any others, and the same in most frames. They are
    /// not counted as searched: only pairs not seen lately are handed in.
    pub fn addresses(&mut self, at: FrameRef, interface_id: u32, bytes: &[u8]) {
        self.search_raw(at, interface_id, 0, bytes);
    }

    fn search_raw(&mut self, at: FrameRef, interface_id: u32, offset: u64, bytes: &[u8]) {
        let log = &mut self.log;
        log.interface_id = interface_id;
        let mut scanner = log.spare.scanner();
        self.tools.matcher.scan_alone(
            &mut scanner,
            offset,
            bytes,
            FrameSpan::one(at),
            &mut |found| {
                log.raw_match(found);
            },
        );
        log.spare.keep_scanner(scanner);
    }

    /// Gives a conn that has ended; the chance of its hits is yet to be multiplied (see `Inspection::searched_open`).
    pub fn take_ended(&mut self) -> Option<ConnSummary> {
        self.summaries.pop()
    }

    /// Ends a conn and gives it at once, where `closed` would keep it for `take_ended`. None where it is not known.
    pub fn end(&mut self, slot: ConnSlot, record: ConnRecord) -> Option<ConnSummary> {
        let place = self.conns.get_mut(usize::try_from(slot.0).ok()?)?;
        if matches!(place, Slot::Deferred(..)) {
            place.hear(&self.tools, &mut self.log);
        }
        match std::mem::take(place) {
            Slot::Heard(conn) => Some(conn.close(record, &self.tools, &mut self.log)),
            Slot::Silent(..) => Some(Conn::silent(record)),
            Slot::Free | Slot::Deferred(..) => None,
        }
    }

    /// What happened since the last call, oldest first.
    pub fn drain_news(&mut self) -> Vec<News> {
        self.log.news.drain(..).collect()
    }

    /// Ends the reading. Conns that were not closed are left out: flow closes every conn at the end of the input.
    #[must_use]
    pub fn finish(self) -> Inspection {
        let mut inspection = self.finish_share();
        inspection.scale();
        inspection
    }

    /// The same for one of several inspectors: `Inspection::add` joins what they give, `Inspection::scale` ends it.
    #[must_use]
    pub fn finish_share(mut self) -> Inspection {
        self.summaries.sort_by_key(|summary| summary.record.uid);
        let log = &mut self.log;
        let open = log.coverage.searched_bytes.saturating_sub(log.searched_sealed)
            + log.coverage.searched_raw_bytes;
        let (raw_hits, omitted) = std::mem::take(&mut log.raw).into_hits();
        log.coverage.hits_omitted += omitted;
        let mut inspection = Inspection {
            conns: self.summaries,
            searched_sealed: log.searched_sealed,
            searched_open: open,
            raw_hits,
            names: std::mem::take(&mut log.names),
            sightings: std::mem::take(&mut log.sightings),
            coverage: std::mem::take(&mut log.coverage),
        };
        inspection.sort();
        inspection
    }
}

impl Inspection {
    /// Adds what another inspector found in other conns of the same capture.
    pub fn add(&mut self, other: Self) {
        self.conns.extend(other.conns);
        self.searched_sealed += other.searched_sealed;
        self.searched_open += other.searched_open;
        self.raw_hits.extend(other.raw_hits);
        self.names.extend(other.names);
        self.sightings.extend(other.sightings);
        // What the search leaves out is the same for all.
        let dropped = std::mem::take(&mut self.coverage.patterns_dropped);
        self.coverage.add(&other.coverage);
        self.coverage.patterns_dropped = dropped;
        self.sort();
    }

    /// Turns the chance of one position of each hit into that of all that was searched. To be called once.
    pub fn scale(&mut self) {
        let (sealed, open) = (self.searched_sealed, self.searched_open);
        for hit in self.conns.iter_mut().flat_map(|summary| &mut summary.hits) {
            scale_chance(hit, if hit.in_ciphertext { sealed } else { open });
        }
        for hit in &mut self.raw_hits {
            scale_chance(hit, open);
        }
    }

    /// In the order of the capture, each name and address once.
    fn sort(&mut self) {
        self.raw_hits.sort_by_key(|hit| hit.frames.first.number);
        self.sightings.sort_by_key(|sighting| sighting.at.number);
        self.names.sort_by_key(|answer| answer.at.number);
        let mut seen = HashSet::new();
        self.names.retain(|answer| seen.insert((answer.name.clone(), answer.address)));
    }
}

/// Turns the chance of one position into the expected number of hits in all `searched` positions of the same kind of
/// place: behind the sealing of all conns that are ciphertext, or everywhere else.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn scale_chance(hit: &mut Hit, searched: u64) {
    hit.chance = hit.chance.map(|position| position * searched as f64);
}

impl ChunkSink for Inspector {
    fn opened(&mut self, slot: ConnSlot, uid: Uid, id: &ConnId, at: FrameRef) {
        let Ok(index) = usize::try_from(slot.0) else { return };
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, Slot::default);
        }
        if let Some(place) = self.conns.get_mut(index) {
            *place = Slot::Silent(uid, *id);
        }
        // Nobody writes a text into four octets; sixteen have room for a name.
        for end in [id.orig, id.resp] {
            if let IpAddr::V6(ip) = end.ip {
                self.addresses(at, self.log.interface_id, &ip.octets());
            }
        }
        self.log.news(|| News::Opened { uid, id: *id, at });
    }

    fn chunk(&mut self, slot: ConnSlot, dir: Direction, chunk: &Chunk<'_>) {
        let Ok(index) = usize::try_from(slot.0) else { return };
        let Some(place) = self.conns.get_mut(index) else { return };
        if self.is_patient {
            if let Slot::Silent(uid, id) = *place {
                *place = Slot::Deferred(uid, id, self.log.waiting.begin());
            }
            if let Slot::Deferred(_, _, at) = *place
                && let interface_id = self.log.interface_id
                && self.log.waiting.keep(at, dir, chunk, interface_id)
            {
                return;
            }
        }
        place.hear(&self.tools, &mut self.log);
        if let Slot::Heard(conn) = place {
            conn.chunk(dir, chunk, false, &self.tools, &mut self.log);
        }
    }

    fn grain(&self) -> Option<usize> {
        Some(Matcher::GRAIN)
    }

    fn is_barren(&mut self, slot: ConnSlot, dir: Direction, bytes: &[u8]) -> bool {
        let place = usize::try_from(slot.0).ok().and_then(|index| self.conns.get_mut(index));
        let Some(place) = place else { return false };
        place.hear(&self.tools, &mut self.log);
        // Among ciphertext it is asked what an alternate looks like.
        matches!(place, Slot::Heard(conn) if !conn.is_sealed(dir))
            && !self.tools.matcher.may_hold_part(bytes)
    }

    fn barren(&mut self, slot: ConnSlot, dir: Direction, octets: u64) {
        let place = usize::try_from(slot.0).ok().and_then(|index| self.conns.get_mut(index));
        if let Some(Slot::Heard(conn)) = place {
            conn.barren(dir, octets);
        }
    }

    fn held(&self, slot: ConnSlot) -> usize {
        match usize::try_from(slot.0).ok().and_then(|index| self.conns.get(index)) {
            Some(Slot::Heard(conn)) => conn.held(),
            Some(Slot::Deferred(_, _, at)) => self.log.waiting.held(*at),
            Some(Slot::Free | Slot::Silent(..)) | None => 0,
        }
    }

    fn expect(&self, slots: &[ConnSlot], near: bool) {
        for place in slots.iter().filter_map(|slot| self.conns.get(slot.0 as usize)) {
            match place {
                _ if !near => fetch(place),
                Slot::Deferred(_, _, at) => self.log.waiting.expect(*at),
                Slot::Free | Slot::Silent(..) | Slot::Heard(_) => {}
            }
        }
    }

    fn closed(&mut self, slot: ConnSlot, record: ConnRecord) {
        let summary = self.end(slot, record);
        self.summaries.extend(summary);
    }
}

impl Slot {
    /// Reads what was deferred, and takes what follows as it comes.
    fn hear(&mut self, tools: &Tools, log: &mut Log) {
        let (uid, id, deferred) = match self {
            Self::Silent(uid, id) => (*uid, *id, Deferred::default()),
            Self::Deferred(uid, id, at) => (*uid, *id, log.waiting.take(*at)),
            Self::Free | Self::Heard(_) => return,
        };
        let mut conn = Box::new(Conn::new(uid, id, &mut log.spare));
        let now_at = log.interface_id;
        deferred.replay(&mut |interface_id, dir, chunk, is_followed| {
            log.interface_id = interface_id;
            conn.chunk(dir, chunk, is_followed, tools, log);
        });
        log.interface_id = now_at;
        log.waiting.give_back(deferred);
        *self = Self::Heard(conn);
    }
}

impl Log {
    /// Whether another piece of news is kept.
    fn has_room(&self) -> bool {
        self.news.len() < self.most_news
    }

    /// Keeps a piece of news, if there is room.
    fn news(&mut self, news: impl FnOnce() -> News) {
        if self.has_room() {
            self.news.push_back(news());
        }
    }

    /// Keeps the sighting of a control token.
    fn sighted(&mut self, found: &Match<'_>, uid: Option<Uid>) {
        let sighting = TokenSighting {
            token: found.text.to_owned(),
            uid,
            at: found.frames.first,
            interface_id: self.interface_id,
            encoding: found.encoding,
        };
        self.news(|| News::Token(found.text.to_owned()));
        if self.sightings.len() < MAX_SIGHTINGS {
            self.sightings.push(sighting);
        } else {
            self.coverage.hits_omitted += 1;
        }
    }

    /// Keeps an answer, each pair of name and address once.
    fn named(&mut self, answer: NameAnswer) {
        if let Some(hosts) = &self.hosts {
            let name = answer.name.trim().trim_end_matches('.').to_ascii_lowercase();
            if !hosts.contains(&name) && !name.starts_with("*.") {
                return;
            }
        }
        let key = (answer.name.clone(), answer.address);
        if let Some(known) = self.names_seen.get(&key).and_then(|&at| self.names.get_mut(at)) {
            // A conn that is read late may have been the first to answer.
            if answer.at.number < known.at.number {
                known.at = answer.at;
            }
            return;
        }
        let octets = NAME_OCTETS + 2 * answer.name.len();
        if self.names.len() >= self.most_names
            || self.names_octets + octets > self.most_names_octets
        {
            self.coverage.hits_omitted += 1;
            return;
        }
        self.names_octets += octets;
        self.names_seen.insert(key, self.names.len());
        self.names.push(answer);
    }

    fn raw_match(&mut self, found: Match<'_>) {
        match found.needle {
            Needle::Token(_) => self.sighted(&found, None),
            Needle::Identifier(_) => {
                let hit = hits::from_match(found, None, None, true);
                let has_room = self.has_room();
                if let Some(kept) = self.raw.add(hit) {
                    let kept = has_room.then(|| kept.clone());
                    self.tell(kept);
                }
            }
        }
    }

    /// Keeps a hit as news.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn tell(&mut self, hit: Option<Hit>) {
        let Some(mut hit) = hit else { return };
        let searched = self.coverage.searched_bytes + self.coverage.searched_raw_bytes;
        hit.chance = hit.chance.map(|position| position * searched as f64);
        self.news(|| News::Found(hit));
    }
}

#[cfg(test)]
mod tests;
