//! What each stage costs with all before it, on one core, over captures in memory: as a recording is read, stage added to stage.
//!
//! `cargo bench --bench stages -- mail` runs those whose name has `mail` in it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench ends at the first thing that is not as it should be; its functions come from a macro"
)]

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;
use traffic::{Kind, Scale};
use tunnelcheck::decode::{self, Decoder};
use tunnelcheck::flow::{AHEAD, ConnKey, ConnTable, Limits};
use tunnelcheck::inspect::Inspector;
use tunnelcheck::inspect::matcher::{Matcher, Scanner};
use tunnelcheck::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Direction, Frame, FrameRef, FrameSpan,
    Identifier, Segment, Timestamp, Uid,
};
use tunnelcheck::run::analyze;
use tunnelcheck::source::{Next, Savefile, Source as _};

mod traffic;

/// Some MB of each kind: more than the caches hold, and done in seconds.
const SCALE: Scale = Scale(20_000);
/// Octets that the matcher alone is given.
const MATCHED: usize = 4 << 20;
/// Octets of a piece: a full segment.
const PIECE: usize = 1448;

/// As in `run/pipeline.rs`: shares of the conns; frames after which those that come are looked at anew; octets of stream searched
/// on each side of a version.
const SHARES: usize = 4;
const STEP: usize = AHEAD / 2;
const ESCAPED: usize = 6;
const MIN_CONTEXT: usize = 256;
const MAX_CONTEXT: usize = 2048;

/// A capture in memory.
struct Capture {
    kind: Kind,
    file: Arc<[u8]>,
}

impl Capture {
    fn make(kind: Kind) -> Self {
        let mut file = Vec::new();
        traffic::write(kind, SCALE, 1, &mut file).unwrap();
        Self { kind, file: file.into() }
    }

    fn open(&self) -> Savefile {
        Savefile::open(Box::new(Cursor::new(Arc::clone(&self.file))), self.kind.name()).unwrap()
    }

    /// Hands each frame on.
    fn walk(&self, mut take: impl FnMut(&Frame<'_>)) {
        let mut source = self.open();
        loop {
            match source.next().unwrap() {
                Next::Frame(frame) => take(&frame),
                Next::Idle => {}
                Next::End => return,
            }
        }
    }

    /// Hands each frame through decode and flow, to the sink of the share of its conn: as `run/pipeline.rs` does.
    fn flow<S: ChunkSink>(&self, matcher: &Matcher, sink: impl FnMut() -> S) -> Vec<S> {
        let context = matcher.reach().saturating_mul(ESCAPED).clamp(MIN_CONTEXT, MAX_CONTEXT);
        let limits = Limits { context: context as u64, ..Limits::default() };
        let mut shares = Shares {
            tables: (0..SHARES).map(|_| ConnTable::new(limits.share(SHARES))).collect(),
            sinks: std::iter::repeat_with(sink).take(SHARES).collect(),
            next: 1,
        };
        let (mut source, mut decoder) = (self.open(), Decoder::share(1));
        let (mut ahead, mut left) = (Ahead::default(), 0);
        loop {
            if left == 0 {
                left = ahead.look(&source, &mut shares);
            }
            left -= 1;
            match source.next().unwrap() {
                Next::Frame(frame) => {
                    if let Some(segment) = &decoder.decode(&frame).segment {
                        shares.push(segment);
                    }
                    while let Some(late) = decoder.late() {
                        if let Some(segment) = &late.decoded.segment {
                            shares.push(segment);
                        }
                    }
                }
                Next::Idle => {}
                Next::End => break,
            }
        }
        for (table, sink) in shares.tables.iter_mut().zip(&mut shares.sinks) {
            table.finish(sink);
        }
        shares.sinks
    }
}

/// The tables of all shares, and where what they hand on goes.
struct Shares<S> {
    tables: Vec<ConnTable>,
    sinks: Vec<S>,
    /// Number of the next conn.
    next: u64,
}

impl<S: ChunkSink> Shares<S> {
    fn push(&mut self, segment: &Segment<'_>) {
        let key = ConnKey::of(segment);
        let share = key.share(SHARES);
        let (Some(table), Some(sink)) = (self.tables.get_mut(share), self.sinks.get_mut(share))
        else {
            return;
        };
        table.number_from(self.next);
        table.push_of(key, segment, sink);
        self.next = table.next_number();
    }
}

/// What is known of the frames that come next.
#[derive(Default)]
struct Ahead {
    told: usize,
    keys: [Vec<ConnKey>; SHARES],
}

impl Ahead {
    /// Lets large tables ask for what the next frames need of them; says after how many frames it is to be done again.
    fn look<S: ChunkSink>(&mut self, source: &Savefile, shares: &mut Shares<S>) -> usize {
        if !shares.tables.iter().any(ConnTable::is_large) {
            return STEP;
        }
        self.keys.iter_mut().for_each(Vec::clear);
        let mut shown = 0;
        source.ahead(AHEAD, &mut |link_type, data| {
            if shown >= self.told
                && let Some((one, other, proto)) = decode::seems(link_type, data)
            {
                let key = ConnKey::between(one, other, proto);
                self.keys.get_mut(key.share(SHARES)).into_iter().for_each(|keys| keys.push(key));
            }
            shown += 1;
        });
        for ((table, sink), keys) in shares.tables.iter_mut().zip(&shares.sinks).zip(&self.keys) {
            table.expect(keys, sink);
        }
        let next = shown.clamp(1, STEP);
        self.told = shown.saturating_sub(next);
        next
    }
}

/// Takes chunks and does nothing with them.
#[derive(Default)]
struct Count(u64);

impl ChunkSink for Count {
    fn held(&self, _: ConnSlot) -> usize {
        0
    }

    fn opened(&mut self, _: ConnSlot, _: Uid, _: &ConnId, _: FrameRef) {}

    fn chunk(&mut self, _: ConnSlot, _: Direction, chunk: &Chunk<'_>) {
        if let Chunk::Data { bytes, .. } = chunk {
            self.0 += bytes.len() as u64;
        }
    }

    fn closed(&mut self, _: ConnSlot, _: ConnRecord) {
        self.0 += 1;
    }
}

/// Inspects as a recording is inspected; what has ended is not filed.
struct Inspected(Inspector);

impl Inspected {
    fn new(matcher: &Arc<Matcher>) -> Self {
        let inspector = Inspector::patient(Arc::clone(matcher)).for_hosts(BTreeSet::new());
        Self(inspector.share(SHARES))
    }
}

impl ChunkSink for Inspected {
    fn held(&self, slot: ConnSlot) -> usize {
        self.0.held(slot)
    }

    fn opened(&mut self, slot: ConnSlot, uid: Uid, id: &ConnId, at: FrameRef) {
        self.0.opened(slot, uid, id, at);
    }

    fn chunk(&mut self, slot: ConnSlot, dir: Direction, chunk: &Chunk<'_>) {
        self.0.chunk(slot, dir, chunk);
    }

    fn grain(&self) -> Option<usize> {
        self.0.grain()
    }

    fn is_barren(&mut self, slot: ConnSlot, dir: Direction, bytes: &[u8]) -> bool {
        self.0.is_barren(slot, dir, bytes)
    }

    fn barren(&mut self, slot: ConnSlot, dir: Direction, octets: u64) {
        self.0.barren(slot, dir, octets);
    }

    fn expect(&self, slots: &[ConnSlot], near: bool) {
        self.0.expect(slots, near);
    }

    fn closed(&mut self, slot: ConnSlot, record: ConnRecord) {
        black_box(self.0.end(slot, record));
    }
}

fn identifiers() -> Vec<Identifier> {
    traffic::identifiers()
        .into_iter()
        .map(|text| Identifier { label: "names".to_owned(), text })
        .collect()
}

/// Each stage with those before it. The search is made ready beside the clock, but for the whole.
fn stages(criterion: &mut Criterion) {
    let all = identifiers();
    let [none, some] = [&[], &all[..]].map(|of| Arc::new(Matcher::new(of, &[]).unwrap()));
    for kind in Kind::ALL {
        let capture = Capture::make(kind);
        let mut group = criterion.benchmark_group(kind.name());
        group.throughput(Throughput::Bytes(capture.file.len() as u64));
        stage(&mut group, "1-walk", || {
            let mut octets = 0;
            capture.walk(|frame| octets += frame.data.len());
            octets as u64
        });
        stage(&mut group, "2-decode", || {
            let (mut decoder, mut octets) = (Decoder::default(), 0);
            capture.walk(|frame| {
                octets += decoder.decode(frame).segment.map_or(0, |it| it.payload.len());
                while decoder.late().is_some() {}
            });
            octets as u64
        });
        stage(&mut group, "3-flow", || {
            capture.flow(&some, Count::default).iter().map(|sink| sink.0).sum()
        });
        let inspect = |matcher: &Arc<Matcher>| {
            let sinks = capture.flow(matcher, || Inspected::new(matcher));
            sinks.into_iter().map(|sink| sink.0.finish_share().searched_open).sum()
        };
        stage(&mut group, "4-inspect", || inspect(&none));
        stage(&mut group, "5-search", || inspect(&some));
        // With the octets that belong to no conn, the list of conns, and what makes the search ready.
        stage(&mut group, "6-whole", || {
            analyze(&mut capture.open(), &all, &[]).unwrap().coverage.frames
        });
        group.finish();
    }
}

fn stage(
    group: &mut BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    mut run: impl FnMut() -> u64,
) {
    group.bench_function(name, |bencher| bencher.iter(|| black_box(run())));
}

/// The matcher alone, with 80 identifiers, over a stream in full segments.
fn matcher(criterion: &mut Criterion) {
    let matcher = Matcher::new(&identifiers(), &[]).unwrap();
    let mut group = criterion.benchmark_group("matcher");
    group.throughput(Throughput::Bytes(MATCHED as u64));
    for (name, octets) in [("random", traffic::random(MATCHED)), ("mail", traffic::text(MATCHED))] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (mut scanner, mut offset, mut hits) = (Scanner::default(), 0, 0_u64);
                for (number, piece) in (1..).zip(octets.chunks(PIECE)) {
                    let at = FrameRef { number, time: Timestamp::from_nanos(0) };
                    matcher
                        .scan(&mut scanner, offset, piece, FrameSpan::one(at), &mut |_| hits += 1);
                    offset += piece.len() as u64;
                }
                black_box(hits)
            });
        });
    }
    group.finish();
}

/// Long enough to see a tenth of difference, and the whole run within three minutes.
fn settings() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
}

criterion_group! { name = benches; config = settings(); targets = stages, matcher }
criterion_main!(benches);
