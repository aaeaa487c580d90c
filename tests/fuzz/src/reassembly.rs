//! TCP reassembly held against a naive model: one octet at a time, no cleverness.

use crate::script::Script;
use std::collections::HashMap;
use tunnelcheck::flow::{ConnTable, Limits};
use tunnelcheck::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Direction, Encapsulation, Endpoint, FrameRef,
    FrameSpan, Proto, Segment, SeqNo, TcpFlags, TcpHeader, Timestamp, Uid,
};

/// Longest payload of a segment: what is sent again is handed on with its neighbours, up to a bound above this.
const MAX_PAYLOAD: usize = 40;

/// One direction as it was handed on.
#[derive(Default)]
struct Stream {
    /// Runs without a hole: offset of the first octet, octets.
    runs: Vec<(u64, Vec<u8>)>,
    alternates: Vec<Vec<u8>>,
    end: u64,
    data: u64,
    missed: u64,
}

impl Stream {
    fn holds(&self, octets: &[u8]) -> bool {
        let mut all = self.runs.iter().map(|(_, run)| run).chain(&self.alternates);
        all.any(|run| run.windows(octets.len()).any(|part| part == octets))
    }

    /// The octets from 0 on, none where they are missing.
    fn octets(&self) -> Vec<Option<u8>> {
        let mut octets = Vec::new();
        for (offset, run) in &self.runs {
            octets.resize(*offset as usize, None);
            octets.extend(run.iter().copied().map(Some));
        }
        octets.resize(self.end as usize, None);
        octets
    }
}

/// Takes what flow hands on, and checks what every sink may rely on.
#[derive(Default)]
struct Listener {
    open: HashMap<ConnSlot, (Uid, ConnId, [Stream; 2])>,
    closed: Vec<(ConnRecord, [Stream; 2])>,
}

impl ChunkSink for Listener {
    fn held(&self, _: ConnSlot) -> usize {
        0
    }

    fn opened(&mut self, slot: ConnSlot, uid: Uid, id: &ConnId, _: FrameRef) {
        let count = self.open.len() + self.closed.len();
        assert_eq!(uid.0, count as u64 + 1, "uids count from 1");
        let before = self.open.insert(slot, (uid, *id, Default::default()));
        assert!(before.is_none(), "a slot is used by one conn at a time");
    }

    fn chunk(&mut self, slot: ConnSlot, dir: Direction, chunk: &Chunk<'_>) {
        let (_, _, streams) = self.open.get_mut(&slot).expect("a chunk of a conn that is open");
        let stream = &mut streams[dir.index()];
        match *chunk {
            Chunk::Data { offset, bytes, .. } => {
                assert!(!bytes.is_empty(), "data is never empty");
                assert_eq!(offset, stream.end, "chunks follow one another");
                match stream.runs.last_mut() {
                    Some((start, run)) if *start + run.len() as u64 == offset => run.extend(bytes),
                    _ => stream.runs.push((offset, bytes.to_vec())),
                }
                stream.data += bytes.len() as u64;
                stream.end += bytes.len() as u64;
            }
            Chunk::Gap { offset, len } => {
                assert!(len > 0, "gaps are never empty");
                assert_eq!(offset, stream.end, "chunks follow one another");
                stream.missed += len;
                stream.end += len;
            }
            Chunk::Alternate { bytes, .. } => {
                assert!(!bytes.is_empty(), "alternates are never empty");
                stream.alternates.push(bytes.to_vec());
            }
        }
    }

    fn closed(&mut self, slot: ConnSlot, record: ConnRecord) {
        let (uid, id, streams) = self.open.remove(&slot).expect("a conn that is open");
        assert_eq!((record.uid, record.id), (uid, id));
        for dir in Direction::BOTH {
            let stream = &streams[dir.index()];
            assert_eq!(record.bytes[dir.index()], stream.data, "octets counted and handed on");
            assert_eq!(
                record.missed_bytes[dir.index()],
                stream.missed,
                "octets counted as missing and handed on"
            );
        }
        self.closed.push((record, streams));
    }
}

struct Talk {
    table: ConnTable,
    listener: Listener,
    number: u64,
    millis: i64,
    urgent: u16,
    is_alternate: bool,
}

impl Talk {
    fn new(limits: Limits) -> Self {
        Self {
            table: ConnTable::new(limits),
            listener: Listener::default(),
            number: 0,
            millis: 0,
            urgent: 0,
            is_alternate: false,
        }
    }

    fn push(&mut self, by_client: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) {
        self.number += 1;
        self.millis += 1;
        let client = Endpoint { ip: [10, 0, 0, 5].into(), port: 49158 };
        let server = Endpoint { ip: [10, 0, 0, 2].into(), port: 110 };
        let (src, dst) = if by_client { (client, server) } else { (server, client) };
        let time = Timestamp::from_nanos(self.millis * 1_000_000);
        let header = TcpHeader {
            seq: SeqNo(seq),
            ack: SeqNo(ack),
            flags: TcpFlags(flags),
            window: 0,
            urgent: self.urgent,
        };
        let segment = Segment {
            frames: FrameSpan::one(FrameRef { number: self.number, time }),
            interface_id: 0,
            src,
            dst,
            proto: Proto::TCP,
            tcp: Some(header),
            encap: &Encapsulation::NONE,
            is_alternate: self.is_alternate,
            payload,
            cut: 0,
        };
        self.table.push(&segment, &mut self.listener);
    }

    fn finish(mut self) -> (Listener, ConnTable) {
        self.table.finish(&mut self.listener);
        assert!(self.listener.open.is_empty(), "every conn is closed at the end");
        let sum = |of: fn(&ConnRecord) -> [u64; 2]| -> u64 {
            self.listener.closed.iter().flat_map(|(record, _)| of(record)).sum()
        };
        let coverage = self.table.coverage();
        assert_eq!(coverage.missed_bytes, sum(|record| record.missed_bytes));
        assert_eq!(coverage.conflict_bytes, sum(|record| record.conflict_bytes));
        let midstream = self.listener.closed.iter().filter(|(record, _)| record.midstream).count();
        assert_eq!(coverage.midstream_conns, midstream as u64);
        (self.listener, self.table)
    }
}

/// Segments by script: `[mode][first sequence number]`, then either pieces of one stream (the model decides what comes out)
/// or anything at all (no octet may be nowhere).
pub fn reassembly(octets: &[u8]) {
    let mut script = Script(octets);
    let mode = script.u8();
    let isn = script.u32();
    if mode & 1 == 0 { one_stream(script, isn) } else { anything(script, isn, mode) }
}

/// One direction after a handshake; where octets are sent again they are the same or not.
fn one_stream(mut script: Script<'_>, isn: u32) {
    let mut talk = Talk::new(Limits::default());
    talk.push(true, TcpFlags::SYN, isn, 0, b"");
    talk.push(false, TcpFlags::SYN | TcpFlags::ACK, 5000, isn.wrapping_add(1), b"");
    let mut model: Vec<Option<u8>> = Vec::new();
    let mut conflicts = 0_u64;
    let mut sent: Vec<(usize, Vec<u8>)> = Vec::new();
    while !script.is_over() && sent.len() < 64 {
        let from = usize::from(script.u16() % 512);
        let control = script.u8();
        let length = 1 + usize::from(control) % MAX_PAYLOAD;
        let is_other = script.u8() > 200;
        let piece: Vec<u8> = (from..from + length)
            .map(|at| {
                (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ u8::from(is_other && at % 3 == 0)
            })
            .collect();
        for (at, octet) in (from..).zip(&piece) {
            model.resize(model.len().max(at + 1), None);
            match model[at] {
                None => model[at] = Some(*octet),
                Some(first) => conflicts += u64::from(first != *octet),
            }
        }
        talk.push(true, TcpFlags::ACK, isn.wrapping_add(1 + from as u32), 5001, &piece);
        sent.push((from, piece));
    }
    let (listener, table) = talk.finish();
    assert_eq!(listener.closed.len(), 1, "one conn");
    let (record, [orig, _]) = &listener.closed[0];
    assert_eq!(orig.octets(), model, "the first version of every octet, in its place");
    assert_eq!(
        table.coverage().conflict_bytes > 0,
        conflicts > 0,
        "a conflict is counted, and nothing else"
    );
    assert!(!record.midstream);
    if conflicts == 0 {
        assert!(orig.alternates.is_empty(), "alternates of octets that agree");
    }
    for (from, piece) in sent {
        let is_stream = model[from..from + piece.len()].iter().flatten().eq(&piece);
        assert!(is_stream || orig.holds(&piece), "{piece:02x?} at {from} is nowhere");
    }
}

/// Any flags and numbers, both directions, small limits: whatever becomes of a segment, its octets are handed on in one
/// piece, in the stream or beside it.
fn anything(mut script: Script<'_>, isn: u32, mode: u8) {
    let limits = if mode & 2 == 0 {
        Limits::default()
    } else {
        Limits {
            out_of_order_bytes: 500,
            out_of_order_bytes_total: 2000,
            tail_bytes: 256,
            tail_bytes_total: 4096,
            max_conns: 2,
            gap_patience: u32::from(mode >> 4),
            ..Limits::default()
        }
    };
    let mut talk = Talk::new(limits);
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut data = 0_u64;
    while !script.is_over() && sent.len() < 64 {
        let control = script.u8();
        let flags = script.u8();
        let near = |distance: u16| isn.wrapping_add(u32::from(distance));
        let seq = if control & 2 == 0 { near(script.u16() % 2048) } else { script.u32() };
        let ack = if control & 4 == 0 { near(script.u16() % 2048) } else { script.u32() };
        talk.millis += i64::from(control >> 4) * i64::from(control >> 4) * 500;
        let length = usize::from(script.u8()) % (MAX_PAYLOAD + 1);
        let mut payload = script.take(length).to_vec();
        if control & 8 == 0 {
            for (at, octet) in payload.iter_mut().enumerate() {
                *octet = (seq as u8).wrapping_add(at as u8);
            }
        }
        talk.urgent = u16::from(control & 0x0f);
        talk.is_alternate = control == 0xff;
        data += payload.len() as u64;
        talk.push(control & 1 == 0, flags, seq, ack, &payload);
        sent.push(payload);
    }
    let (listener, _) = talk.finish();
    let handed: u64 =
        listener.closed.iter().flat_map(|(_, streams)| streams).map(|it| it.data).sum();
    assert!(handed <= data, "{handed} octets of stream out of {data} octets sent");
    for payload in sent.iter().filter(|payload| !payload.is_empty()) {
        let is_somewhere = listener
            .closed
            .iter()
            .flat_map(|(_, streams)| streams)
            .any(|stream| stream.holds(payload));
        assert!(is_somewhere, "{payload:02x?} is nowhere");
    }
}
