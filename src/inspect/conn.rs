//! One conn under inspection: every octet is searched and tallied, its protocol is recognised and read.

use super::classify::{self, Evidence};
use super::dialect::{self, Dialect, Event, Found, Spec, tls};
use super::hits::{self, HitBook};
use super::inflate::{Context, Inflate, Told};
use super::matcher::{Match, Matcher, Needle, Scanner};
use super::opening::{Choice, OpeningBuffer};
use super::spare::Spare;
use super::tally::{self, Look, Tally, Zone};
use super::turns::Turns;
use super::{ALLOCATION, Log, News, Tools};
use crate::model::{
    Agreement, Basis, Chunk, Class, ConnId, ConnRecord, ConnSummary, Direction, Excerpt, Hit,
    Proto, Rule, Uid,
};

/// Protocols inside one another that are followed: HTTP CONNECT, then SMTP, then TLS is three.
const MAX_LAYERS: usize = 4;

/// Octets in front of a chunk that are kept for the surroundings of a field that began there.
const TAIL: usize = 192;

/// Octets, its neighbours aside, from which an alternate may be taken for another version of ciphertext.
const MIN_SEALED_ALTERNATE: usize = 256;

/// Remarks kept of one conn.
const MAX_REMARKS: usize = 16;

/// One conn.
pub(super) struct Conn {
    id: ConnId,
    /// Made when there is something to search in; never where there is nothing to search for.
    scanners: [Option<Box<Scanner>>; 2],
    opening: Option<Box<OpeningBuffer>>,
    layers: Vec<Layer>,
    /// Index of the layer that reads each direction.
    current: [usize; 2],
    findings: Findings,
    /// Compressed bodies.
    inflate: Option<Box<Inflate>>,
    searched: [u64; 2],
    is_control: bool,
}

/// A protocol that reads the conn, or a part of it.
struct Layer {
    spec: &'static Spec,
    reader: Box<dyn Dialect>,
}

/// What is known so far. Pairs are indexed by `Direction::index`.
struct Findings {
    uid: Uid,
    book: HitBook,
    agreement: Option<Box<Agreement>>,
    /// TLS began inside a conn whose protocol is not known.
    has_preamble: bool,
    /// Readable octets in front of it.
    unread_preamble: u64,
    sealed: [Option<u64>; 2],
    lost: [Option<u64>; 2],
    clear: [Zone; 2],
    behind: [Zone; 2],
    after_lost: [Zone; 2],
    starts: [[u8; 8]; 2],
    tails: [Vec<u8>; 2],
    missed_in_clear: [u64; 2],
    alternate_in_clear: [u64; 2],
    turns: Option<Box<Turns>>,
    /// Octets of the chunk at hand that are no ciphertext although they lie behind the sealing: from, to.
    framing: Vec<(Direction, u64, u64)>,
    remarks: Vec<&'static str>,
    handover: [Option<(u64, &'static str)>; 2],
    /// Octets that were tallied as clear before a sealing that covers them was told.
    early: [u64; 2],
    /// Octets behind the sealing, framing included.
    sealed_octets: [u64; 2],
    /// The octet behind the last one that was tallied.
    seen_to: [u64; 2],
}

impl Conn {
    pub(super) fn new(uid: Uid, id: ConnId, spare: &mut Spare) -> Self {
        let may_be_read = id.proto == Proto::TCP || id.proto == Proto::UDP;
        Self {
            id,
            scanners: Default::default(),
            opening: may_be_read.then(|| spare.opening()),
            layers: Vec::new(),
            current: [0; 2],
            findings: Findings {
                uid,
                book: HitBook::default(),
                agreement: None,
                has_preamble: false,
                unread_preamble: 0,
                sealed: [None; 2],
                lost: [None; 2],
                clear: Default::default(),
                behind: Default::default(),
                after_lost: Default::default(),
                starts: [[0; 8]; 2],
                tails: Default::default(),
                missed_in_clear: [0; 2],
                alternate_in_clear: [0; 2],
                turns: None,
                framing: Vec::new(),
                remarks: Vec::new(),
                handover: [None; 2],
                early: [0; 2],
                sealed_octets: [0; 2],
                seen_to: [0; 2],
            },
            inflate: None,
            searched: [0; 2],
            is_control: false,
        }
    }

    /// Takes the next chunk of one direction. `is_followed`: the next one is at hand already and of the same side, so the
    /// protocol need not be recognised before it: the pieces do not matter to a probe, and the turns of the sides do.
    pub(super) fn chunk(
        &mut self,
        dir: Direction,
        chunk: &Chunk<'_>,
        is_followed: bool,
        tools: &Tools,
        log: &mut Log,
    ) {
        self.recognise(dir, chunk, is_followed, tools, log);
        self.search(dir, chunk, tools, log);
    }

    /// Whether a direction is ciphertext from some point on.
    pub(super) fn is_sealed(&self, dir: Direction) -> bool {
        pick(&self.findings.sealed, dir).is_some()
    }

    /// Takes note of alternates in the clear in which nothing can be found.
    pub(super) fn barren(&mut self, dir: Direction, octets: u64) {
        *pick_mut(&mut self.findings.alternate_in_clear, dir) += octets;
        *pick_mut(&mut self.searched, dir) += octets;
    }

    /// Octets of memory held.
    pub(super) fn held(&self) -> usize {
        let Self { scanners, opening, layers, findings, inflate, .. } = self;
        let scanners = scanners.iter().flatten();
        let scanners = scanners.map(|it| size_of::<Scanner>() + it.memory() + 3 * ALLOCATION);
        let opening = opening.as_ref();
        let opening = opening.map_or(0, |it| size_of::<OpeningBuffer>() + it.held() + ALLOCATION);
        let inner =
            layers.iter().map(|it| size_of_val(&*it.reader) + it.reader.held() + ALLOCATION);
        let inflate = inflate.as_ref();
        let inflate = inflate.map_or(0, |it| size_of::<Inflate>() + it.held() + ALLOCATION);
        size_of::<Self>()
            + ALLOCATION
            + scanners.sum::<usize>()
            + opening
            + layers.capacity() * size_of::<Layer>()
            + inner.sum::<usize>()
            + inflate
            + findings.held()
    }

    /// What is said of a conn in which nothing was said: the same as of one that was opened and closed.
    pub(super) fn silent(record: ConnRecord) -> ConnSummary {
        ConnSummary {
            dialect: None,
            class: Class::Empty,
            basis: Basis::None,
            agreement: None,
            sealed_bytes: [0; 2],
            missed_in_clear: record.missed_bytes,
            conflict_in_clear: record.conflict_bytes,
            unread_preamble: 0,
            unread_bodies: Default::default(),
            stopped_bodies: Default::default(),
            sealed_turns: 0,
            hits: Vec::new(),
            hits_omitted: 0,
            is_control: false,
            remarks: Vec::new(),
            record,
        }
    }

    /// The conn has ended.
    pub(super) fn close(
        mut self: Box<Self>,
        record: ConnRecord,
        tools: &Tools,
        log: &mut Log,
    ) -> ConnSummary {
        self.finish_search(&tools.matcher, log);
        self.decide(None, false, tools, log);
        self.end_lines(log);
        self.finish_bodies(tools, log);
        let Self { layers, findings, inflate, is_control, searched, .. } = &mut *self;
        let bodies = inflate.take().map(|it| it.outcome()).unwrap_or_default();
        let dialect = layers.first().map(|layer| layer.spec);
        let evidence = Evidence {
            dialect,
            proto: record.id.proto,
            midstream: record.midstream,
            has_preamble: findings.has_preamble,
            agreement: findings.agreement.as_deref(),
            sealed: findings.sealed,
            lost: findings.lost,
            clear: findings.clear.each_ref().map(Zone::tally),
            behind: findings.behind.each_ref().map(Zone::tally),
            after_lost: findings.after_lost.each_ref().map(Zone::tally),
            inflated: bodies,
            compressed: findings.starts.iter().any(|start| tally::is_compressed(start)),
        };
        let answer = classify::classify(&evidence);
        let proven = matches!(answer.class, Class::Encrypted | Class::Upgraded);
        let remarks =
            findings.remarks.iter().copied().chain(answer.remarks).map(str::to_owned).collect();
        let sealed = if proven { findings.sealed } else { [None; 2] };
        let (mut hits, hits_omitted) = std::mem::take(&mut findings.book).into_hits();
        for hit in &mut hits {
            hit.in_ciphertext = hit.dir.is_some_and(|dir| {
                let place = pick(&sealed, dir);
                place.is_some_and(|from| hit.offset >= from)
                    && !hit.encoding.is_body()
                    && (!hit.out_of_stream || hit.in_ciphertext)
            });
        }
        // What a protocol names stands before the text of the target that is found in the same place.
        hits.sort_by_key(|hit| {
            let is_identifier = hit.rule == Rule::Identifier;
            (hit.frames.first.number, hit.dir, hit.offset, is_identifier)
        });
        let [clear_orig, clear_resp] = findings.missed_in_clear;
        let [conflict_orig, conflict_resp] = record.conflict_bytes;
        let [alternate_orig, alternate_resp] = findings.alternate_in_clear;
        let [sealed_orig, sealed_resp] = findings.sealed_octets;
        let [early_orig, early_resp] = findings.early;
        let sealed_bytes =
            if proven { [sealed_orig + early_orig, sealed_resp + early_resp] } else { [0; 2] };
        let total: u64 = searched.iter().sum();
        log.coverage.searched_bytes += total + bodies.octets;
        log.coverage.unread_bodies += bodies.unread;
        log.coverage.stopped_bodies += bodies.stopped;
        log.coverage.hits_omitted += hits_omitted;
        if answer.class == Class::Opaque {
            log.coverage.opaque_bytes += record.bytes.iter().sum::<u64>();
        }
        log.searched_sealed += sealed_bytes.iter().sum::<u64>();
        ConnSummary {
            dialect: dialect.map(|spec| spec.name),
            class: answer.class,
            basis: answer.basis,
            agreement: findings.agreement.take().map(|agreement| *agreement),
            sealed_bytes,
            missed_in_clear: if proven { [clear_orig, clear_resp] } else { record.missed_bytes },
            conflict_in_clear: if proven {
                [conflict_orig.min(alternate_orig), conflict_resp.min(alternate_resp)]
            } else {
                record.conflict_bytes
            },
            unread_preamble: if findings.has_preamble && bodies.is_text {
                findings.unread_preamble.max(bodies.octets)
            } else {
                findings.unread_preamble
            },
            unread_bodies: bodies.unread,
            stopped_bodies: bodies.stopped,
            sealed_turns: findings
                .turns
                .take()
                .filter(|_| proven)
                .map_or(0, |turns| turns.finish()),
            hits,
            hits_omitted,
            is_control: *is_control,
            remarks,
            record,
        }
    }

    /// Tells of very short texts at the end of a direction, which waited to see what follows.
    fn finish_search(&mut self, matcher: &Matcher, log: &mut Log) {
        let Self { scanners, findings, is_control, .. } = self;
        for dir in Direction::BOTH {
            let Some(scanner) = pick_mut(scanners, dir) else { continue };
            matcher.finish(scanner, &mut |found| {
                *is_control |= findings.matched(found, dir, false, false, log);
            });
        }
        for scanner in scanners.iter_mut().filter_map(Option::take) {
            log.spare.keep_scanner(scanner);
        }
    }

    /// Lets the protocols read a last line that has no end.
    fn end_lines(&mut self, log: &mut Log) {
        for dir in Direction::BOTH {
            let Some(layer) = self.layers.get_mut(pick(&self.current, dir)) else { continue };
            let findings = &mut self.findings;
            let offset = pick(&findings.seen_to, dir);
            let chunk = Chunk::Gap { offset, len: 0 }; // the octets are gone: no excerpt of the stream
            layer.reader.end(dir, &mut |event| {
                if matches!(event, Event::Found(_) | Event::Remark(_)) {
                    findings.event(layer.spec.name, &chunk, event, log);
                }
            });
        }
    }

    /// Reads compressed bodies to their end.
    fn finish_bodies(&mut self, tools: &Tools, log: &mut Log) {
        let Self { findings, inflate, is_control, .. } = self;
        let (uid, Tools { matcher, bounds }) = (findings.uid, tools);
        let mut tell = |told: Told<'_>| *is_control |= findings.told(told, log);
        let dir = Direction::OrigToResp;
        let mut cx = Context { matcher, bounds, uid, dir, tell: &mut tell };
        if let Some(inflate) = inflate {
            inflate.finish(&mut cx);
        }
    }

    /// Hands a chunk to the matcher, whatever its protocol.
    fn search(&mut self, dir: Direction, chunk: &Chunk<'_>, tools: &Tools, log: &mut Log) {
        let matcher = &*tools.matcher;
        let Self { id, scanners, findings, searched, is_control, .. } = self;
        let scanner = pick_mut(scanners, dir);
        // Datagrams between two ports may carry one text in pieces, as segments do.
        let is_stream = matches!(id.proto, Proto::TCP | Proto::UDP);
        let is_data = matches!(chunk, Chunk::Data { .. });
        if is_stream && is_data && !matcher.is_empty() && scanner.is_none() {
            *scanner = Some(log.spare.scanner());
        }
        let is_alone = match chunk {
            Chunk::Data { .. } => scanner.is_none(),
            Chunk::Gap { .. } => false,
            Chunk::Alternate { .. } => true,
        };
        let mut alone = is_alone.then(|| log.spare.scanner());
        let mut found = |found: Match<'_>, out_of_stream: bool, random: bool| {
            *is_control |= findings.matched(found, dir, out_of_stream, random, log);
        };
        match *chunk {
            Chunk::Data { offset, bytes, frames } => {
                *pick_mut(searched, dir) += bytes.len() as u64;
                let mut out = |one: Match<'_>| found(one, false, false);
                match (scanner, &mut alone) {
                    (Some(scanner), _) => matcher.scan(scanner, offset, bytes, frames, &mut out),
                    (None, Some(alone)) => {
                        matcher.scan_alone(alone, offset, bytes, frames, &mut out);
                    }
                    (None, None) => {}
                }
            }
            Chunk::Gap { .. } => {
                if let Some(scanner) = scanner {
                    matcher.gap(scanner);
                }
            }
            Chunk::Alternate { offset, bytes, disputed, frames } => {
                *pick_mut(searched, dir) += bytes.len() as u64;
                // Text in the place of ciphertext is no ciphertext. Asked for where something is found, which is seldom.
                let is_random = || {
                    let mut look = Tally::default();
                    look.add(bytes.get(disputed.0..disputed.1).unwrap_or_default());
                    offset > 0 && matches!(look.look(), Look::Random)
                };
                let mut random = None;
                let Some(alone) = &mut alone else { return };
                matcher.scan_alone(alone, offset, bytes, frames, &mut |one| {
                    if touches(&one, offset, disputed) {
                        found(one, true, *random.get_or_insert_with(is_random));
                    }
                });
            }
        }
        if let Some(alone) = alone {
            log.spare.keep_scanner(alone);
        }
    }

    /// Keeps a chunk until the protocol is known, or reads it.
    fn recognise(
        &mut self,
        dir: Direction,
        chunk: &Chunk<'_>,
        is_followed: bool,
        tools: &Tools,
        log: &mut Log,
    ) {
        if let Some(opening) = &mut self.opening
            && !matches!(chunk, Chunk::Alternate { .. })
        {
            if opening.keep(dir, chunk, self.id.proto == Proto::TCP) {
                if !is_followed {
                    self.decide(None, true, tools, log);
                }
                return;
            }
            let bytes = if let Chunk::Data { bytes, .. } = chunk { bytes } else { &[] as &[u8] };
            self.decide(Some((dir, bytes)), false, tools, log);
        }
        self.read(dir, chunk, tools, log);
    }

    /// Asks the probes; when they are of one mind, reads what was kept.
    fn decide(
        &mut self,
        beyond: Option<(Direction, &[u8])>,
        more: bool,
        tools: &Tools,
        log: &mut Log,
    ) {
        let Some(opening) = self.opening.take() else { return };
        match opening.choose(&self.id, beyond, more) {
            Choice::Wait => {
                self.opening = Some(opening);
                return;
            }
            Choice::Taken(spec) => {
                let uid = self.findings.uid;
                log.news(|| News::Recognised { uid, dialect: spec.name });
                self.layers.reserve_exact(1);
                self.layers.push(Layer { spec, reader: (spec.open)() });
            }
            Choice::Unknown => {}
        }
        opening.replay(&mut |dir, chunk| self.read(dir, chunk, tools, log));
        log.spare.keep_opening(opening);
    }

    /// Hands a chunk to the protocol that reads its direction, then tallies it.
    fn read(&mut self, dir: Direction, chunk: &Chunk<'_>, tools: &Tools, log: &mut Log) {
        self.notice_hello(dir, chunk, log);
        let mut rest = *chunk;
        while let Some(layer) = self.layers.get_mut(pick(&self.current, dir)) {
            let name = layer.spec.name;
            let Self { findings, inflate, is_control, .. } = self;
            layer.reader.feed(dir, &rest, &mut |event| match event {
                Event::Body(part) => {
                    let (uid, Tools { matcher, bounds }) = (findings.uid, tools);
                    let mut tell = |told: Told<'_>| *is_control |= findings.told(told, log);
                    let dir = part.dir;
                    let mut cx = Context { matcher, bounds, uid, dir, tell: &mut tell };
                    inflate.get_or_insert_default().part(&part, &mut cx);
                }
                event => findings.event(name, &rest, event, log),
            });
            if let Some((_, to)) = pick_mut(&mut self.findings.handover, dir.reverse()).take() {
                self.hand_over(dir.reverse(), to);
            }
            let Some((offset, to)) = pick_mut(&mut self.findings.handover, dir).take() else {
                break;
            };
            if !self.hand_over(dir, to) {
                break;
            }
            let Some(later) = after(&rest, offset) else { break };
            rest = later;
        }
        let Self { findings, inflate, is_control, .. } = self;
        let (uid, sealed) = (findings.uid, pick(&findings.sealed, dir));
        let Tools { matcher, bounds } = tools;
        let mut tell = |told: Told<'_>| *is_control |= findings.told(told, log);
        let mut cx = Context { matcher, bounds, uid, dir, tell: &mut tell };
        if inflate.is_some() || matches!(chunk, Chunk::Data { .. }) {
            inflate.get_or_insert_default().chunk(chunk, sealed, &mut cx);
        }
        // A datagram is read as a whole; without a reader there is no field that could begin in an earlier chunk.
        let is_read = self.id.proto == Proto::TCP && !self.layers.is_empty();
        self.findings.tally(self.id.proto, dir, chunk, is_read);
        let seen_to = self.findings.seen_to;
        self.findings.framing.retain(|(side, _, to)| *to > pick(&seen_to, *side));
    }

    /// Where nobody reads the conn, a TLS hello at the start of a segment begins an upgrade: databases and others ask for
    /// TLS in protocols of their own.
    fn notice_hello(&mut self, dir: Direction, chunk: &Chunk<'_>, log: &mut Log) {
        let Chunk::Data { bytes, .. } = *chunk else { return };
        if self.id.proto != Proto::TCP || self.opening.is_some() || !tls::is_hello(bytes) {
            return;
        }
        if self.layers.is_empty() {
            let uid = self.findings.uid;
            log.news(|| News::Recognised { uid, dialect: tls::SPEC.name });
            self.findings.has_preamble = true;
            let clear = self.findings.clear.iter().map(Zone::tally);
            let readable = clear.filter(|it| it.look() == Look::Readable);
            self.findings.unread_preamble = readable.map(Tally::octets).sum();
            self.layers.push(Layer { spec: &tls::SPEC, reader: (tls::SPEC.open)() });
            // The other direction is read from its own hello on.
            *pick_mut(&mut self.current, dir.reverse()) = 1;
        } else if self.findings.has_preamble {
            *pick_mut(&mut self.current, dir) = 0;
        }
    }

    /// Lets another protocol read `dir` from now on. Both directions share one reader.
    fn hand_over(&mut self, dir: Direction, to: &'static str) -> bool {
        let next = pick(&self.current, dir) + 1;
        if self.layers.get(next).is_none() && next < MAX_LAYERS {
            let Some(spec) = dialect::by_name(to) else { return false };
            self.layers.push(Layer { spec, reader: (spec.open)() });
        }
        *pick_mut(&mut self.current, dir) = next;
        true
    }
}

impl Findings {
    /// Octets of memory held beside its own.
    fn held(&self) -> usize {
        let zones = self.clear.iter().chain(&self.behind).chain(&self.after_lost);
        let tails = self.tails.iter().map(Vec::capacity);
        let agreement = self.agreement.as_ref().map_or(0, |_| size_of::<Agreement>() + 256);
        let turns = self.turns.as_ref().map_or(0, |_| size_of::<Turns>() + ALLOCATION);
        self.book.held()
            + zones.map(Zone::held).sum::<usize>()
            + tails.sum::<usize>()
            + agreement
            + turns
            + self.framing.capacity() * size_of::<(Direction, u64, u64)>()
            + self.remarks.capacity() * size_of::<&str>()
    }

    /// Keeps a match; says whether it is a control token.
    fn matched(
        &mut self,
        found: Match<'_>,
        dir: Direction,
        out_of_stream: bool,
        random: bool,
        log: &mut Log,
    ) -> bool {
        if let Needle::Token(_) = found.needle {
            log.sighted(&found, Some(self.uid));
            return true;
        }
        let mut hit = hits::from_match(found, Some(self.uid), Some(dir), out_of_stream);
        hit.in_ciphertext = (!out_of_stream || random)
            && pick(&self.sealed, dir).is_some_and(|from| hit.offset >= from);
        if let Some(kept) = self.book.add(hit) {
            let kept = log.has_room().then(|| kept.clone());
            log.tell(kept);
        }
        false
    }

    /// Keeps what was found in a body; says whether it is a control token.
    fn told(&mut self, told: Told<'_>, log: &mut Log) -> bool {
        match told {
            Told::Token(found) => {
                log.sighted(&found, Some(self.uid));
                true
            }
            Told::Hit(hit) => {
                if let Some(kept) = self.book.add(hit) {
                    let kept = log.has_room().then(|| kept.clone());
                    log.tell(kept);
                }
                false
            }
        }
    }

    /// Takes what a protocol tells about `chunk` (or an earlier one).
    fn event(&mut self, dialect: &'static str, chunk: &Chunk<'_>, event: Event<'_>, log: &mut Log) {
        match event {
            Event::Found(found) => self.found(dialect, chunk, &found, log),
            Event::Handover { dir, offset, to } => {
                pick_mut(&mut self.handover, dir).get_or_insert((offset, to));
            }
            // A handshake that hides nothing is never made good by a later one.
            Event::Agreed(agreement) => {
                if self.agreement.as_ref().is_none_or(|known| known.real) {
                    self.agreement = Some(Box::new(agreement));
                }
            }
            Event::Sealed { dir, offset } => {
                let known = pick_mut(&mut self.sealed, dir);
                if known.is_none() {
                    *known = Some(offset);
                    let early = pick(&self.seen_to, dir).saturating_sub(offset);
                    *pick_mut(&mut self.early, dir) = early;
                }
            }
            Event::Framing { dir, offset, len } => {
                self.framing.push((dir, offset, offset.saturating_add(len.into())));
            }
            Event::Lost { dir, offset } => {
                pick_mut(&mut self.lost, dir).get_or_insert(offset);
            }
            Event::Name(answer) => log.named(answer),
            Event::Body(_) => {} // taken by the conn
            Event::Remark(text) => {
                if self.remarks.len() < MAX_REMARKS && !self.remarks.contains(&text) {
                    self.remarks.push(text);
                }
            }
        }
    }

    fn found(
        &mut self,
        dialect: &'static str,
        chunk: &Chunk<'_>,
        found: &Found<'_>,
        log: &mut Log,
    ) {
        let excerpt = self.excerpt(chunk, found);
        let hit = Hit {
            uid: Some(self.uid),
            rule: found.rule,
            field: Some(found.field),
            label: None,
            value: found
                .value
                .get(..found.value.len().min(Hit::MAX_VALUE))
                .unwrap_or_default()
                .to_vec(),
            value_len: found.value.len(),
            dialect: Some(dialect),
            dir: Some(found.dir),
            offset: found.offset,
            frames: found.frames,
            encoding: found.encoding,
            excerpt,
            chance: None,
            in_ciphertext: false,
            out_of_stream: false,
        };
        if let Some(kept) = self.book.add(hit) {
            let kept = log.has_room().then(|| kept.clone());
            log.tell(kept);
        }
    }

    /// The octets around a field, from the chunk at hand and the end of the one before.
    fn excerpt(&self, chunk: &Chunk<'_>, found: &Found<'_>) -> Excerpt {
        let len = usize::try_from(found.len).unwrap_or(usize::MAX);
        let Chunk::Data { offset, bytes, .. } = *chunk else {
            return Excerpt::around(found.value, 0, found.value.len());
        };
        let [orig, resp] = &self.tails;
        let tail = if found.dir == Direction::OrigToResp { orig } else { resp };
        let Some(back) = offset.checked_sub(found.offset).filter(|&back| back > 0) else {
            let start = usize::try_from(found.offset.saturating_sub(offset)).unwrap_or(usize::MAX);
            return Excerpt::around(bytes, start, len);
        };
        let mut joined = tail.clone();
        joined.extend_from_slice(bytes.get(..bytes.len().min(Excerpt::MAX)).unwrap_or_default());
        match usize::try_from(back).ok().and_then(|back| tail.len().checked_sub(back)) {
            Some(start) => Excerpt::around(&joined, start, len),
            None => Excerpt::around(found.value, 0, found.value.len()),
        }
    }

    /// Counts the octets of a chunk to the zone they lie in.
    fn tally(&mut self, proto: Proto, dir: Direction, chunk: &Chunk<'_>, is_read: bool) {
        let sealed = pick(&self.sealed, dir);
        match *chunk {
            Chunk::Data { offset, bytes, frames } => {
                if offset < 8 {
                    let [orig, resp] = &mut self.starts;
                    let start = if dir == Direction::OrigToResp { orig } else { resp };
                    let skip = usize::try_from(offset).unwrap_or(8);
                    for (place, octet) in start.iter_mut().skip(skip).zip(bytes) {
                        *place = *octet;
                    }
                }
                let lost = pick(&self.lost, dir);
                let end = offset.saturating_add(bytes.len() as u64);
                *pick_mut(&mut self.seen_to, dir) = end;
                let cut = |at: Option<u64>| {
                    let at = at.unwrap_or(end).clamp(offset, end) - offset;
                    usize::try_from(at).unwrap_or(bytes.len())
                };
                let lost_at = cut(lost);
                let sealed_at = cut(sealed).min(lost_at);
                pick_mut(&mut self.clear, dir).add(bytes.get(..sealed_at).unwrap_or_default());
                let behind = bytes.get(sealed_at..lost_at).unwrap_or_default();
                let zone = pick_mut(&mut self.behind, dir);
                let mut at = offset.saturating_add(sealed_at as u64);
                let stop = offset.saturating_add(lost_at as u64);
                for &(_, from, to) in self.framing.iter().filter(|(side, ..)| *side == dir) {
                    zone.add(part(bytes, offset, at, from.min(stop)));
                    at = at.max(to);
                }
                zone.add(part(bytes, offset, at, stop));
                *pick_mut(&mut self.sealed_octets, dir) += behind.len() as u64;
                pick_mut(&mut self.after_lost, dir).add(bytes.get(lost_at..).unwrap_or_default());
                if proto == Proto::TCP
                    && !behind.is_empty()
                    && self.sealed.iter().all(Option::is_some)
                {
                    self.turns.get_or_insert_default().segment(
                        dir,
                        behind.len(),
                        frames.first.time,
                    );
                }
                if sealed.is_some() {
                    // No field is told of ciphertext, and the chance of one in front of it has passed.
                    *pick_mut(&mut self.tails, dir) = Vec::new();
                } else if is_read {
                    self.remember(dir, bytes);
                }
            }
            Chunk::Gap { offset, len } => {
                if sealed.is_none_or(|from| offset < from) {
                    *pick_mut(&mut self.missed_in_clear, dir) += len;
                }
                pick_mut(&mut self.tails, dir).clear();
            }
            Chunk::Alternate { offset, bytes, disputed: (from, to), .. } => {
                // Small pieces in the place of ciphertext may add up to a text; only a large one is seen to be none.
                let is_random = || {
                    let mut look = Tally::default();
                    look.add(bytes.get(from..to).unwrap_or_default());
                    look.look() == Look::Random && !look.has_text() && !look.is_mixed()
                };
                let is_sealed = sealed.is_some_and(|from| offset > 0 && offset >= from)
                    && to.saturating_sub(from) >= MIN_SEALED_ALTERNATE
                    && is_random();
                if !is_sealed {
                    *pick_mut(&mut self.alternate_in_clear, dir) += bytes.len() as u64;
                }
            }
        }
    }

    /// Keeps the end of a chunk.
    fn remember(&mut self, dir: Direction, bytes: &[u8]) {
        let tail = pick_mut(&mut self.tails, dir);
        let keep = TAIL.saturating_sub(bytes.len());
        let drop = tail.len().saturating_sub(keep);
        tail.drain(..drop);
        let octets = tail.len().saturating_add(bytes.len().min(TAIL));
        if tail.capacity() < octets {
            tail.reserve_exact(octets - tail.len());
        }
        tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or_default());
    }
}

/// The part of a chunk from `offset` on, if there is any.
fn after<'a>(chunk: &Chunk<'a>, from: u64) -> Option<Chunk<'a>> {
    let Chunk::Data { offset, bytes, frames } = *chunk else { return None };
    let skip = usize::try_from(from.saturating_sub(offset)).ok()?;
    let rest = bytes.get(skip..).filter(|rest| !rest.is_empty())?;
    Some(Chunk::Data { offset: offset.max(from), bytes: rest, frames })
}

/// The octets of a chunk at `offset` that lie in `from..to` of the stream.
fn part(bytes: &[u8], offset: u64, from: u64, to: u64) -> &[u8] {
    let index = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
    bytes.get(index(from)..index(to)).unwrap_or_default()
}

/// Whether a match in an alternate touches what is disputed: what lies among its neighbours was found in the stream.
fn touches(found: &Match<'_>, offset: u64, (from, to): (usize, usize)) -> bool {
    let start = found.offset.saturating_sub(offset);
    start <= to as u64 && start.saturating_add(found.len.into()) >= from as u64
}

fn pick<T: Copy>([orig, resp]: &[T; 2], dir: Direction) -> T {
    match dir {
        Direction::OrigToResp => *orig,
        Direction::RespToOrig => *resp,
    }
}

fn pick_mut<T>([orig, resp]: &mut [T; 2], dir: Direction) -> &mut T {
    match dir {
        Direction::OrigToResp => orig,
        Direction::RespToOrig => resp,
    }
}
