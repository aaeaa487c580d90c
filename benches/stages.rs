//! What each stage costs by itself and with all before it, on one core, over captures in memory.
//!
//! `cargo bench --bench stages -- mail` runs those whose name has `mail` in it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench ends at the first thing that is not as it should be; its functions come from a macro"
)]

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;
use traffic::{Kind, Scale};
use tunnelcheck::decode::Decoder;
use tunnelcheck::flow::{ConnTable, Limits};
use tunnelcheck::inspect::Inspector;
use tunnelcheck::inspect::matcher::{Matcher, Scanner};
use tunnelcheck::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Direction, Frame, FrameRef, FrameSpan,
    Identifier, Timestamp, Uid,
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

    /// Hands each frame through decode and flow.
    fn flow(&self, sink: &mut impl ChunkSink) {
        let (mut decoder, mut table) = (Decoder::default(), ConnTable::new(Limits::default()));
        self.walk(|frame| {
            if let Some(segment) = &decoder.decode(frame).segment {
                table.push(segment, sink);
            }
            while let Some(late) = decoder.late() {
                if let Some(segment) = &late.decoded.segment {
                    table.push(segment, sink);
                }
            }
        });
        table.finish(sink);
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

/// Inspects without looking for anything: classifier, statistics, dialects.
struct Inspected(Inspector);

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

    fn closed(&mut self, slot: ConnSlot, record: ConnRecord) {
        self.0.closed(slot, record);
        while let Some(conn) = self.0.take_ended() {
            black_box(conn);
        }
    }
}

fn identifiers() -> Vec<Identifier> {
    traffic::identifiers()
        .into_iter()
        .map(|text| Identifier { label: "names".to_owned(), text })
        .collect()
}

/// Each stage with those before it.
fn stages(criterion: &mut Criterion) {
    let (none, all) = (Arc::new(Matcher::new(&[], &[]).unwrap()), identifiers());
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
            let mut sink = Count::default();
            capture.flow(&mut sink);
            sink.0
        });
        stage(&mut group, "4-inspect", || {
            let mut sink = Inspected(Inspector::new(Arc::clone(&none)));
            capture.flow(&mut sink);
            sink.0.finish().searched_open
        });
        stage(&mut group, "5-whole", || {
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
