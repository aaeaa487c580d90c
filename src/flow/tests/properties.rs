//! Reassembly held against an independent model: one octet at a time, no cleverness.

use super::{A, ConnTable, F, Heard, Limits, S, Talk, client, server};
use crate::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Direction, Encapsulation, FrameRef, FrameSpan,
    Proto, Segment, SeqNo, TcpFlags, TcpHeader, Timestamp, Uid,
};
use proptest::prelude::*;

/// A segment of the client's stream: where, and what.
type Piece = (usize, Vec<u8>);

/// The first version of every octet, and how many octets came again with other content.
fn naive(pieces: &[Piece]) -> (Vec<Option<u8>>, u64) {
    let mut octets: Vec<Option<u8>> = Vec::new();
    let mut conflicts = 0;
    for (at, bytes) in pieces {
        for (index, byte) in bytes.iter().enumerate() {
            let place = at + index;
            if octets.len() <= place {
                octets.resize(place + 1, None);
            }
            match octets[place] {
                None => octets[place] = Some(*byte),
                Some(first) => conflicts += u64::from(first != *byte),
            }
        }
    }
    (octets, conflicts)
}

fn run(isn: u32, pieces: &[Piece]) -> Heard {
    let mut talk = Talk::new();
    talk.c(S, isn, 0, "");
    talk.s(S | A, 5000, isn.wrapping_add(1), "");
    for (at, bytes) in pieces {
        let seq = isn.wrapping_add(1).wrapping_add(u32::try_from(*at).unwrap());
        talk.tcp(client(), server(), A, seq, 5001, bytes);
    }
    talk.only()
}

/// Segments of one text, in any order, some again, some overlapping, all of it there.
fn covering() -> impl Strategy<Value = (Vec<u8>, Vec<Piece>)> {
    proptest::collection::vec(any::<u8>(), 1..600).prop_flat_map(|text| {
        let len = text.len();
        let cuts = proptest::collection::vec(0..len, 0..20);
        let extra = proptest::collection::vec((0..len, 1..80_usize), 0..20);
        (Just(text), cuts, extra).prop_flat_map(|(text, mut cuts, extra)| {
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            cuts.dedup();
            let mut pieces: Vec<Piece> =
                cuts.windows(2).map(|pair| (pair[0], text[pair[0]..pair[1]].to_vec())).collect();
            for (at, len) in extra {
                let end = (at + len).min(text.len());
                pieces.push((at, text[at..end].to_vec()));
            }
            (Just(text), Just(pieces).prop_shuffle())
        })
    })
}

/// Any segments at all, of few different octets, so that overlaps agree about as often as not.
fn anything() -> impl Strategy<Value = Vec<Piece>> {
    let bytes = proptest::collection::vec(prop_oneof![4 => Just(b'a'), 1 => Just(b'b')], 1..40);
    proptest::collection::vec((0..300_usize, bytes), 1..40)
}

proptest! {
    #[test]
    fn any_order_duplication_overlap_and_segmentation_yields_the_same_stream(
        (text, pieces) in covering(),
        isn in any::<u32>(),
    ) {
        let heard = run(isn, &pieces);
        let expected: Vec<Option<u8>> = text.into_iter().map(Some).collect();
        prop_assert_eq!(&heard.streams[0], &expected);
        prop_assert!(heard.alternates[0].is_empty());
        prop_assert_eq!(heard.record().conflict_bytes, [0, 0]);
    }

    #[test]
    fn the_first_version_of_every_octet_is_the_stream_and_every_other_one_is_handed_on(
        pieces in anything(),
        isn in any::<u32>(),
    ) {
        let heard = run(isn, &pieces);
        let (octets, conflicts) = naive(&pieces);
        prop_assert_eq!(&heard.streams[0], &octets);
        // A lone octet in front of what nobody acknowledged is no keep-alive, so every conflict counts.
        prop_assert_eq!(heard.record().conflict_bytes[0], conflicts);
        prop_assert_eq!(conflicts > 0, !heard.alternates[0].is_empty());
        for (at, bytes) in &pieces {
            let is_stream = octets[*at..at + bytes.len()].iter().map(|octet| octet.unwrap()).eq(bytes.iter().copied());
            let is_alternate = heard.alternates[0].iter().any(|(offset, alternate)| {
                let index = at.wrapping_sub(usize::try_from(*offset).unwrap());
                alternate.get(index..).is_some_and(|rest| {
                    rest.starts_with(bytes) || (rest.len() >= 64 && bytes.starts_with(rest))
                })
            });
            prop_assert!(is_stream || is_alternate, "{:?} at {} is nowhere", bytes, at);
        }
    }

    #[test]
    fn what_is_missing_is_a_gap_and_what_is_there_is_in_its_place(
        (text, pieces) in covering(),
        dropped in any::<prop::sample::Index>(),
        patience in 0..4_u32,
    ) {
        let mut pieces = pieces;
        pieces.remove(dropped.index(pieces.len()));
        let mut talk = Talk::with(Limits { gap_patience: patience, ..Limits::default() });
        talk.handshake();
        for (at, bytes) in &pieces {
            talk.tcp(client(), server(), A, 1001 + u32::try_from(*at).unwrap(), 5001, bytes);
        }
        let end = 1001 + u32::try_from(text.len()).unwrap();
        talk.tcp(client(), server(), F | A, end, 5001, b"");
        for _ in 0..6 {
            talk.s(A, 5001, end + 1, "");
        }
        let heard = talk.only();
        let (mut octets, _) = naive(&pieces);
        octets.resize(text.len(), None);
        prop_assert_eq!(&heard.streams[0], &octets);
    }

    #[test]
    fn nothing_panics_and_every_octet_goes_somewhere(
        frames in proptest::collection::vec(
            (any::<bool>(), any::<u8>(), prop_oneof![0..64_u32, any::<u32>()], prop_oneof![0..64_u32, any::<u32>()],
             proptest::collection::vec(any::<u8>(), 0..20), 0..3_u32, 0..100_000_i64),
            0..60,
        ),
    ) {
        let limits = Limits {
            out_of_order_bytes: 500,
            tail_bytes: 64,
            tail_bytes_total: 2048,
            max_conns: 2,
            ..Limits::default()
        };
        let mut table = ConnTable::new(limits);
        let mut sink = Total::default();
        let mut sent = 0;
        for (number, (is_client, flags, seq, ack, payload, cut, millis)) in frames.iter().enumerate() {
            let (src, dst) = if *is_client { (client(), server()) } else { (server(), client()) };
            let time = Timestamp::from_nanos(millis * 1_000_000);
            let at = FrameRef { number: number as u64 + 1, time };
            table.push(&Segment {
                frames: FrameSpan::one(at),
                interface_id: u32::from(*flags),
                src,
                dst,
                proto: Proto::TCP,
                tcp: Some(TcpHeader {
                    seq: SeqNo(*seq),
                    ack: SeqNo(*ack),
                    flags: TcpFlags(*flags),
                    window: 0,
                    urgent: u16::try_from(*ack & 63).unwrap(),
                }),
                payload,
                cut: *cut,
                encap: &Encapsulation::NONE,
                is_alternate: false,
            }, &mut sink);
            sent += payload.len() as u64;
        }
        table.finish(&mut sink);
        prop_assert_eq!(sink.open, 0);
        // Retransmissions of the same content are silent, so no more than this can be said.
        prop_assert!(sink.data <= sent);
        prop_assert_eq!(sink.missed, table.coverage().missed_bytes);
    }
}

/// What a seeker looks for.
const SOUGHT: &[u8] = b"bbab";

/// Keeps the alternates in which something is found, and counts the octets of all.
#[derive(Debug, Default, PartialEq)]
struct Seeker {
    found: Vec<(u64, Vec<u8>)>,
    octets: u64,
    unseen: u64,
    answers: bool,
}

impl Seeker {
    fn of(pieces: &[Piece], limits: Limits, answers: bool) -> Self {
        let mut table = ConnTable::new(limits);
        let mut sink = Self { answers, ..Self::default() };
        let header = |seq, flags| TcpHeader {
            seq: SeqNo(seq),
            ack: SeqNo(0),
            flags: TcpFlags(flags),
            window: 0,
            urgent: 0,
        };
        let opening: Piece = (0, Vec::new());
        for (number, (at, payload)) in std::iter::once(&opening).chain(pieces).enumerate() {
            let (seq, flags) =
                if number == 0 { (99, S) } else { (100 + u32::try_from(*at).unwrap(), A) };
            let time = Timestamp::default();
            table.push(
                &Segment {
                    frames: FrameSpan::one(FrameRef { number: number as u64 + 1, time }),
                    interface_id: 0,
                    src: client(),
                    dst: server(),
                    proto: Proto::TCP,
                    tcp: Some(header(seq, flags)),
                    payload,
                    cut: 0,
                    encap: &Encapsulation::NONE,
                    is_alternate: false,
                },
                &mut sink,
            );
        }
        table.finish(&mut sink);
        sink
    }

    fn is_in(bytes: &[u8]) -> bool {
        bytes.windows(SOUGHT.len()).any(|row| row == SOUGHT)
    }
}

impl ChunkSink for Seeker {
    fn held(&self, _: ConnSlot) -> usize {
        0
    }

    fn opened(&mut self, _: ConnSlot, _: Uid, _: &ConnId, _: FrameRef) {}

    fn chunk(&mut self, _: ConnSlot, _: Direction, chunk: &Chunk<'_>) {
        if let Chunk::Alternate { offset, bytes, .. } = *chunk {
            self.octets += bytes.len() as u64;
            if Self::is_in(bytes) {
                self.found.push((offset, bytes.to_vec()));
            }
        }
    }

    fn grain(&self) -> Option<usize> {
        self.answers.then_some(SOUGHT.len())
    }

    fn is_barren(&mut self, _: ConnSlot, _: Direction, bytes: &[u8]) -> bool {
        !Self::is_in(bytes)
    }

    fn barren(&mut self, _: ConnSlot, _: Direction, octets: u64) {
        self.octets += octets;
        self.unseen += octets;
    }

    fn closed(&mut self, _: ConnSlot, _: ConnRecord) {}
}

proptest! {
    #[test]
    fn what_is_found_in_mixtures_is_found_when_their_parts_are_asked_first(
        pieces in anything(),
        context in 4..40_u64,
        search_budget in prop_oneof![Just(0), Just(4096), Just(1 << 24)],
    ) {
        let limits = Limits { context, search_budget, ..Limits::default() };
        let all = Seeker::of(&pieces, limits, false);
        let asked = Seeker::of(&pieces, limits, true);
        prop_assert_eq!(asked.found, all.found);
        prop_assert_eq!(asked.octets, all.octets);
    }
}

#[test]
fn mixtures_of_barren_parts_are_not_seen() {
    let version = |mark: &'static str| (0..6).map(move |at| (at * 9, mark.repeat(9).into_bytes()));
    let pieces: Vec<Piece> = ["a", "c", "d"].into_iter().flat_map(version).collect();
    let limits = Limits { context: 64, ..Limits::default() };
    let sink = Seeker::of(&pieces, limits, true);
    assert!(sink.unseen > sink.octets / 2, "{sink:?}");
    assert_eq!(sink.octets, Seeker::of(&pieces, limits, false).octets);
}

#[derive(Default)]
struct Total {
    data: u64,
    missed: u64,
    open: i64,
}

impl ChunkSink for Total {
    fn held(&self, _: ConnSlot) -> usize {
        0
    }

    fn opened(&mut self, _: ConnSlot, _: Uid, _: &ConnId, _: FrameRef) {
        self.open += 1;
    }

    fn chunk(&mut self, _: ConnSlot, _: Direction, chunk: &Chunk<'_>) {
        match chunk {
            Chunk::Data { bytes, .. } => self.data += bytes.len() as u64,
            Chunk::Gap { len, .. } => self.missed += len,
            Chunk::Alternate { .. } => {}
        }
    }

    fn closed(&mut self, _: ConnSlot, _: ConnRecord) {
        self.open -= 1;
    }
}
