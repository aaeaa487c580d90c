//! A recorder that checks what every sink may rely on, and a talk between two endpoints to write tests with.

mod cases;
mod loss;
mod model;
mod properties;
mod table;
mod tcp;
mod versions;

use super::{ConnTable, Limits};
use crate::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Direction, Encapsulation, Endpoint, FrameRef,
    FrameSpan, Proto, Segment, SeqNo, TcpFlags, TcpHeader, Timestamp, Uid,
};
use std::collections::HashMap;

pub(super) const S: u8 = TcpFlags::SYN;
pub(super) const A: u8 = TcpFlags::ACK;
pub(super) const F: u8 = TcpFlags::FIN;
pub(super) const R: u8 = TcpFlags::RST;

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// Everything of one conn.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) id: ConnId,
    /// Each direction's octets in stream order; none where they are missing.
    pub(super) streams: [Vec<Option<u8>>; 2],
    /// Each direction's data chunks.
    pub(super) chunks: [Vec<Vec<u8>>; 2],
    pub(super) gaps: [Vec<(u64, u64)>; 2],
    pub(super) alternates: [Vec<(u64, Vec<u8>)>; 2],
    pub(super) record: Option<ConnRecord>,
}

impl Heard {
    pub(super) fn text(&self, dir: Direction) -> String {
        self.streams[dir.index()].iter().map(|octet| octet.map_or('.', char::from)).collect()
    }

    pub(super) fn orig(&self) -> String {
        self.text(Direction::OrigToResp)
    }

    pub(super) fn resp(&self) -> String {
        self.text(Direction::RespToOrig)
    }

    /// Whether a text can be read in the stream or in another version of it.
    pub(super) fn is_readable(&self, dir: Direction, text: &str) -> bool {
        let text = text.as_bytes();
        let holds = |octets: &[u8]| octets.windows(text.len()).any(|window| window == text);
        let stream: Vec<u8> =
            self.streams[dir.index()].iter().map(|octet| octet.unwrap_or(0)).collect();
        holds(&stream) || self.alternates[dir.index()].iter().any(|(_, octets)| holds(octets))
    }

    pub(super) fn record(&self) -> &ConnRecord {
        self.record.as_ref().unwrap()
    }
}

/// Keeps everything, by uid.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) conns: Vec<Heard>,
    /// What it says to hold of any conn.
    pub(super) held: usize,
    slots: HashMap<ConnSlot, Uid>,
}

impl ChunkSink for Recorder {
    fn opened(&mut self, slot: ConnSlot, uid: Uid, id: &ConnId, _: FrameRef) {
        assert_eq!(uid.0, self.conns.len() as u64 + 1, "uids count from 1");
        assert!(self.slots.insert(slot, uid).is_none(), "a slot is used by one conn at a time");
        self.conns.push(Heard {
            id: *id,
            streams: Default::default(),
            chunks: Default::default(),
            gaps: Default::default(),
            alternates: Default::default(),
            record: None,
        });
    }

    fn chunk(&mut self, slot: ConnSlot, dir: Direction, chunk: &Chunk<'_>) {
        let heard = &mut self.conns[index(self.slots[&slot].0) - 1];
        let stream = &mut heard.streams[dir.index()];
        match *chunk {
            Chunk::Data { offset, bytes, .. } => {
                assert!(!bytes.is_empty(), "data is never empty");
                assert_eq!(offset, stream.len() as u64, "chunks follow one another");
                stream.extend(bytes.iter().copied().map(Some));
                heard.chunks[dir.index()].push(bytes.to_vec());
            }
            Chunk::Gap { offset, len } => {
                assert!(len > 0, "gaps are never empty");
                assert_eq!(offset, stream.len() as u64, "chunks follow one another");
                assert!(len < 1 << 24, "a gap that no test asks for: {len}");
                stream.resize(stream.len() + index(len), None);
                heard.gaps[dir.index()].push((offset, len));
            }
            Chunk::Alternate { offset, bytes, .. } => {
                assert!(!bytes.is_empty(), "alternates are never empty");
                heard.alternates[dir.index()].push((offset, bytes.to_vec()));
            }
        }
    }

    fn held(&self, _: ConnSlot) -> usize {
        self.held
    }

    fn closed(&mut self, slot: ConnSlot, record: ConnRecord) {
        let uid = self.slots.remove(&slot).unwrap();
        let heard = &mut self.conns[index(uid.0) - 1];
        assert_eq!(record.uid, uid);
        assert_eq!(record.id, heard.id);
        for dir in Direction::BOTH {
            let stream = &heard.streams[dir.index()];
            let seen = stream.iter().flatten().count() as u64;
            assert_eq!(record.bytes[dir.index()], seen);
            assert_eq!(record.missed_bytes[dir.index()], stream.len() as u64 - seen);
        }
        heard.record = Some(record);
    }
}

pub(super) fn client() -> Endpoint {
    Endpoint { ip: "10.0.0.5".parse().unwrap(), port: 49158 }
}

pub(super) fn server() -> Endpoint {
    Endpoint { ip: "10.0.0.2".parse().unwrap(), port: 110 }
}

/// Pushes hand-made segments and counts frames; time goes one millisecond a frame.
pub(super) struct Talk {
    pub(super) table: ConnTable,
    pub(super) recorder: Recorder,
    pub(super) frame: u64,
    pub(super) millis: i64,
    pub(super) cut: u32,
    pub(super) urgent: u16,
    pub(super) encap: Encapsulation,
}

impl Talk {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let table = ConnTable::new(limits);
        Self {
            table,
            recorder: Recorder::default(),
            frame: 0,
            millis: 0,
            cut: 0,
            urgent: 0,
            encap: Encapsulation::NONE,
        }
    }

    fn push(
        &mut self,
        src: Endpoint,
        dst: Endpoint,
        proto: Proto,
        tcp: Option<TcpHeader>,
        payload: &[u8],
    ) {
        self.frame += 1;
        self.millis += 1;
        let time = Timestamp::from_nanos(self.millis * 1_000_000);
        let segment = Segment {
            frames: FrameSpan::one(FrameRef { number: self.frame, time }),
            interface_id: 0,
            src,
            dst,
            proto,
            tcp,
            payload,
            cut: self.cut,
            encap: &self.encap,
            is_alternate: false,
        };
        self.table.push(&segment, &mut self.recorder);
    }

    pub(super) fn tcp(
        &mut self,
        src: Endpoint,
        dst: Endpoint,
        flags: u8,
        seq: u32,
        ack: u32,
        payload: &[u8],
    ) {
        let header = TcpHeader {
            seq: SeqNo(seq),
            ack: SeqNo(ack),
            flags: TcpFlags(flags),
            window: 0,
            urgent: self.urgent,
        };
        self.push(src, dst, Proto::TCP, Some(header), payload);
    }

    pub(super) fn udp(&mut self, src: Endpoint, dst: Endpoint, payload: &[u8]) {
        self.push(src, dst, Proto::UDP, None, payload);
    }

    /// A segment by the client.
    pub(super) fn c(&mut self, flags: u8, seq: u32, ack: u32, payload: &str) {
        self.tcp(client(), server(), flags, seq, ack, payload.as_bytes());
    }

    /// A segment by the server.
    pub(super) fn s(&mut self, flags: u8, seq: u32, ack: u32, payload: &str) {
        self.tcp(server(), client(), flags, seq, ack, payload.as_bytes());
    }

    /// The client's data begin at 1001, the server's at 5001.
    pub(super) fn handshake(&mut self) {
        self.c(S, 1000, 0, "");
        self.s(S | A, 5000, 1001, "");
        self.c(A, 1001, 5001, "");
    }

    pub(super) fn finish(mut self) -> (Recorder, crate::model::Coverage) {
        self.table.finish(&mut self.recorder);
        assert!(self.recorder.slots.is_empty(), "every conn is closed at the end");
        (self.recorder, self.table.coverage().clone())
    }

    /// The only conn.
    pub(super) fn only(self) -> Heard {
        let (mut recorder, coverage) = self.finish();
        assert_eq!(recorder.conns.len(), 1);
        let heard = recorder.conns.remove(0);
        let record = heard.record();
        assert_eq!(coverage.missed_bytes, record.missed_bytes.iter().sum::<u64>());
        assert_eq!(coverage.conflict_bytes, record.conflict_bytes.iter().sum::<u64>());
        assert_eq!(coverage.midstream_conns, u64::from(record.midstream));
        heard
    }
}
