use super::{A, F, Heard, Limits, R, S, Talk, client, server};
use crate::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Direction, Encapsulation, FrameRef, FrameSpan,
    Proto, Segment, SeqNo, TcpFlags, TcpHeader, Uid,
};

#[test]
fn a_whole_talk_is_handed_on_in_order() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.s(A, 5001, 1001, "+OK ready\r\n");
    talk.c(A, 1001, 5012, "USER chris\r\n");
    talk.c(F | A, 1013, 5012, "");
    talk.s(F | A, 5012, 1014, "");
    talk.c(A, 1014, 5013, "");
    let heard = talk.only();
    assert_eq!((heard.orig(), heard.resp()), ("USER chris\r\n".into(), "+OK ready\r\n".into()));
    assert_eq!(heard.id.orig, client());
    let record = heard.record();
    assert_eq!(record.history, "ShAdDFf");
    assert_eq!((record.frames, record.midstream), (8, false));
    assert_eq!((record.missed_bytes, record.conflict_bytes), ([0, 0], [0, 0]));
}

#[test]
fn a_syn_ack_alone_tells_who_opened() {
    let mut talk = Talk::new();
    talk.s(S | A, 5000, 1001, "");
    talk.c(A, 1001, 5001, "QUIT");
    let heard = talk.only();
    assert_eq!(heard.id.orig, client());
    assert_eq!(heard.orig(), "QUIT");
    assert!(!heard.record().midstream);
}

#[test]
fn a_service_port_tells_who_opened_where_no_syn_was_seen() {
    let mut talk = Talk::new();
    talk.s(A, 5001, 1001, "+OK");
    let heard = talk.only();
    assert_eq!(heard.id.orig, client());
    assert!(heard.record().midstream);
    assert_eq!(heard.resp(), "+OK");
}

#[test]
fn segments_out_of_order_are_put_in_order() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1006, 5001, "chris");
    talk.c(A, 1001, 5001, "USER ");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER chris");
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn the_same_packet_captured_twice_is_only_a_retransmission() {
    let mut talk = Talk::new();
    for _ in 0..2 {
        talk.c(S, 1000, 0, "");
    }
    for _ in 0..2 {
        talk.s(S | A, 5000, 1001, "");
    }
    for _ in 0..2 {
        talk.c(A, 1001, 5001, "USER chris");
    }
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER chris");
    assert!(heard.alternates[0].is_empty());
    assert_eq!(heard.record().conflict_bytes, [0, 0]);
    assert_eq!(heard.record().history, "ShDT");
}

#[test]
fn other_content_for_octets_handed_on_is_a_conflict_and_an_alternate_with_its_neighbours() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER xxxxx\r\n");
    talk.c(A, 1006, 5001, "chris");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER xxxxx\r\n");
    assert_eq!(heard.alternates[0], [(0, b"USER chris\r\n".to_vec())]);
    assert_eq!(heard.record().conflict_bytes, [5, 0]);
    assert!(heard.record().history.contains('C'));
}

#[test]
fn other_content_for_octets_that_wait_is_a_conflict_and_an_alternate_with_its_neighbours() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1011, 5001, "\r\n");
    talk.c(A, 1006, 5001, "xxxxx");
    talk.c(A, 1006, 5001, "chris");
    talk.c(A, 1001, 5001, "USER ");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER xxxxx\r\n");
    assert_eq!(heard.alternates[0], [(0, b"USER chris\r\n".to_vec())]);
    assert_eq!(heard.record().conflict_bytes, [5, 0]);
}

#[test]
fn an_overlap_in_front_of_new_octets_compares_the_old_and_hands_on_the_new() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "abcd");
    talk.c(A, 1003, 5001, "cXef");
    let heard = talk.only();
    assert_eq!(heard.orig(), "abcdef");
    assert_eq!(heard.alternates[0], [(0, b"abcXef".to_vec())]);
    assert_eq!(heard.record().conflict_bytes, [1, 0]);
}

#[test]
fn a_keep_alive_is_no_conflict_and_its_octet_is_searched_all_the_same() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER");
    talk.s(A, 5001, 1005, "");
    talk.c(A, 1004, 5001, "");
    talk.c(A, 1004, 5001, "\0");
    talk.s(A, 5001, 1005, "");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER");
    assert_eq!(heard.alternates[0], [(0, b"USE\0".to_vec())]);
    assert_eq!(heard.record().conflict_bytes, [0, 0]);
}

#[test]
fn one_octet_sent_again_before_it_was_acknowledged_is_a_conflict() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "X");
    talk.c(A, 1001, 5001, "c");
    talk.c(A, 1002, 5001, "hris");
    let heard = talk.only();
    assert_eq!(heard.orig(), "Xhris");
    assert_eq!(heard.record().conflict_bytes, [1, 0]);
}

#[test]
fn octets_acknowledged_and_never_seen_are_a_gap() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ");
    talk.c(A, 1011, 5001, "\r\n");
    talk.s(A, 5001, 1013, "");
    assert!(talk.recorder.conns[0].gaps[0].is_empty(), "the capture order may be another");
    for _ in 0..9 {
        talk.s(A, 5001, 1013, "");
    }
    assert_eq!(talk.recorder.conns[0].gaps[0], [(5, 5)]);
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER .....\r\n");
    assert_eq!(heard.record().missed_bytes, [5, 0]);
    assert!(heard.record().history.contains('G'));
}

#[test]
fn an_acknowledgement_captured_in_front_of_the_data_makes_no_gap() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1006, 5001, "chris");
    talk.s(A, 5001, 1011, "+OK");
    talk.c(A, 1001, 5001, "USER ");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER chris");
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn a_hole_that_nobody_acknowledged_waits_for_its_data() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1006, 5001, "chris");
    for _ in 0..50 {
        talk.s(A, 5001, 1001, "");
    }
    talk.c(A, 1001, 5001, "USER ");
    assert_eq!(talk.only().orig(), "USER chris");
}

#[test]
fn data_acknowledged_beyond_the_last_octet_seen_is_missing_at_the_end() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ");
    talk.s(A, 5001, 1011, "");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER .....");
    assert_eq!(heard.record().missed_bytes, [5, 0]);
}

#[test]
fn a_fin_beyond_the_last_octet_seen_shows_what_is_missing() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(F | A, 1011, 5001, "");
    talk.s(A, 5001, 1012, "");
    assert_eq!(talk.only().record().missed_bytes, [10, 0]);
}

#[test]
fn a_snaplen_cut_is_a_gap_of_what_was_cut() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.cut = 6;
    talk.c(A, 1001, 5001, "USER");
    talk.cut = 0;
    talk.c(A, 1011, 5001, "\r\n");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER......\r\n");
    assert_eq!(heard.gaps[0], [(4, 6)]);
    assert!(heard.alternates[0].is_empty());
}

#[test]
fn cut_segments_out_of_order_lose_only_what_was_cut() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.cut = 5;
    talk.c(A, 1011, 5001, "");
    talk.c(A, 1006, 5001, "");
    talk.cut = 0;
    talk.c(A, 1016, 5001, "end");
    talk.c(A, 1006, 5001, "later");
    talk.c(A, 1001, 5001, "USER ");
    assert_eq!(talk.only().orig(), "USER later.....end");
}

#[test]
fn a_conn_that_was_open_before_is_picked_up_in_both_directions() {
    let mut talk = Talk::new();
    talk.c(A, 7000, 90_000, "RETR 1\r\n");
    talk.s(A, 90_000, 7008, "+OK");
    let heard = talk.only();
    assert_eq!((heard.orig(), heard.resp()), ("RETR 1\r\n".into(), "+OK".into()));
    assert!(heard.record().midstream);
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn octets_under_way_when_the_capture_began_are_not_missed() {
    let mut talk = Talk::new();
    talk.c(A, 7000, 90_000, "");
    talk.s(A, 95_000, 7000, "tail");
    talk.c(A, 7000, 95_004, "");
    let heard = talk.only();
    assert_eq!(heard.resp(), "tail");
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn keep_alives_of_an_idle_conn_do_not_shift_its_streams() {
    let mut talk = Talk::new();
    for _ in 0..40 {
        talk.c(A, 6999, 90_000, "");
        talk.s(A, 90_000, 7000, "");
    }
    talk.c(A, 7000, 90_000, "LIST");
    let heard = talk.only();
    assert_eq!(heard.orig(), "LIST");
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn sequence_numbers_wrap_around() {
    let mut talk = Talk::new();
    let isn = u32::MAX - 3;
    talk.c(S, isn, 0, "");
    talk.s(S | A, 5000, isn.wrapping_add(1), "");
    talk.c(A, isn.wrapping_add(6), 5001, "fghij");
    talk.c(A, isn.wrapping_add(1), 5001, "abcde");
    talk.s(A, 5001, isn.wrapping_add(11), "");
    let heard = talk.only();
    assert_eq!(heard.orig(), "abcdefghij");
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn data_on_a_syn_begin_the_stream() {
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "USER ");
    talk.s(S | A, 5000, 1006, "");
    talk.c(A, 1006, 5001, "chris");
    assert_eq!(talk.only().orig(), "USER chris");
}

#[test]
fn a_simultaneous_open_is_one_conn() {
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "");
    talk.s(S, 5000, 0, "");
    talk.c(S | A, 1000, 5001, "");
    talk.s(S | A, 5000, 1001, "");
    talk.c(A, 1001, 5001, "a");
    talk.s(A, 5001, 1002, "b");
    let heard = talk.only();
    assert_eq!((heard.orig(), heard.resp()), ("a".into(), "b".into()));
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn segments_after_a_reset_are_still_handed_on() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(R, 1001, 0, "");
    talk.c(A, 1001, 5001, "USER chris");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER chris");
    assert!(heard.record().history.contains('R'));
}

#[test]
fn the_payload_of_a_reset_is_an_alternate() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.s(R | A, 5001, 1001, "no such user chris");
    let heard = talk.only();
    assert_eq!(heard.resp(), "");
    assert_eq!(heard.alternates[1], [(0, b"no such user chris".to_vec())]);
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn segments_after_a_fin_are_still_handed_on() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(F | A, 1001, 5001, "USER ");
    talk.c(A, 1006, 5001, "chris");
    assert_eq!(talk.only().orig(), "USER chris");
}

#[test]
fn a_segment_far_out_of_the_window_is_an_alternate_and_a_conflict() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ");
    talk.c(A, 1001 + (1 << 30) + 100, 5001, "chris");
    talk.c(A, 1006, 5001, "x");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER x");
    assert_eq!(heard.alternates[0].len(), 1);
    assert_eq!(heard.alternates[0][0].1, b"chris");
    assert_eq!(heard.record().conflict_bytes, [5, 0]);
}

#[test]
fn octets_in_front_of_the_stream_are_an_alternate_and_a_conflict() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 900, 5001, "chris");
    let heard = talk.only();
    assert_eq!(heard.alternates[0], [(0, b"chris".to_vec())]);
    assert_eq!(heard.record().conflict_bytes, [5, 0]);
}

#[test]
fn a_new_syn_on_a_conn_with_data_opens_another_conn() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "first");
    talk.c(S, 77_000, 0, "");
    talk.s(S | A, 88_000, 77_001, "");
    talk.c(A, 77_001, 88_001, "second");
    let (recorder, coverage) = talk.finish();
    let texts: Vec<String> = recorder.conns.iter().map(Heard::orig).collect();
    assert_eq!(texts, ["first", "second"]);
    assert_eq!((coverage.missed_bytes, coverage.conflict_bytes), (0, 0));
}

#[test]
fn a_repeated_syn_does_not_open_another_conn() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "first");
    talk.c(S, 1000, 0, "");
    talk.c(A, 1006, 5001, " and last");
    assert_eq!(talk.only().orig(), "first and last");
}

#[test]
fn an_acknowledgement_left_from_an_earlier_conn_misses_nothing() {
    for is_answered in [true, false] {
        let mut talk = Talk::new();
        talk.c(S, 1000, 0, "");
        talk.s(A, 90_000, 800_000, "");
        talk.c(R, 800_000, 0, "");
        if is_answered {
            talk.c(S, 1000, 0, "");
            talk.s(S | A, 5000, 1001, "");
            talk.c(A, 1001, 5001, "USER chris");
            talk.s(A, 5001, 1011, "+OK");
        }
        let heard = talk.only();
        assert_eq!(heard.record().missed_bytes, [0, 0]);
        assert_eq!(heard.orig(), if is_answered { "USER chris" } else { "" });
        assert_eq!(heard.resp(), if is_answered { "+OK" } else { "" });
    }
}

#[test]
fn of_two_answers_to_a_syn_the_acknowledged_one_counts() {
    for is_first in [true, false] {
        let (used, other) = if is_first { (5000, 70_000) } else { (70_000, 5000) };
        let mut talk = Talk::new();
        talk.c(S, 1000, 0, "");
        talk.s(S | A, 5000, 1001, "");
        if is_first {
            talk.c(A, 1001, used + 1, "");
        }
        talk.s(S | A, 70_000, 1001, "");
        talk.s(S | A, other, 1001, "");
        talk.c(A, 1001, used + 1, "USER");
        talk.s(A, used + 1, 1005, "+OK");
        let heard = talk.only();
        assert_eq!((heard.orig(), heard.resp()), ("USER".into(), "+OK".into()));
        assert_eq!(heard.record().conflict_bytes, [0, 0]);
    }
}

#[test]
fn another_answer_to_a_syn_with_data_opens_no_other_conn() {
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "USER ");
    talk.s(S | A, 5000, 1001, "");
    talk.s(S | A, 70_000, 1001, "");
    talk.c(A, 1001, 5001, "USER chris");
    talk.s(A, 5001, 1011, "+OK");
    talk.s(S | A, 70_000, 1001, "");
    let heard = talk.only();
    assert_eq!((heard.orig(), heard.resp()), ("USER chris".into(), "+OK".into()));
    assert_eq!(heard.record().conflict_bytes, [0, 0]);
}

#[test]
fn of_two_syns_the_one_that_payload_follows_counts() {
    for used in [1000, 70_000] {
        let mut talk = Talk::new();
        talk.c(S, 1000, 0, "");
        talk.c(S, 70_000, 0, "");
        talk.c(A, used + 1, 5001, "USER ");
        talk.c(A, used + 6, 5001, "chris");
        let heard = talk.only();
        assert_eq!(heard.orig(), "USER chris");
        assert_eq!(heard.record().conflict_bytes, [0, 0]);
    }
}

#[test]
fn a_connect_that_was_refused_misses_nothing() {
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "");
    talk.s(R | A, 0, 1001, "");
    let heard = talk.only();
    assert_eq!(heard.record().history, "Sr");
    assert_eq!((heard.record().missed_bytes, heard.record().midstream), ([0, 0], false));
}

#[test]
fn a_capture_of_one_side_hands_on_that_side() {
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "");
    talk.c(A, 1001, 5001, "");
    talk.c(A, 1001, 5001, "USER ");
    talk.c(A, 1006, 5021, "chris");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER chris");
    assert_eq!(heard.record().missed_bytes, [0, 20]);
}

#[test]
fn urgent_data_stay_in_the_stream() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A | 0x20, 1001, 5001, "US");
    talk.c(A, 1003, 5001, "ER");
    assert_eq!(talk.only().orig(), "USER");
}

#[test]
fn octets_too_old_to_compare_are_a_conflict_only_where_nobody_acknowledged_them() {
    let big = "x".repeat(60_000);
    for (acknowledged, conflict) in [(true, 0), (false, 4)] {
        let limits = Limits { tail_bytes: 4096, ..Limits::default() };
        let mut talk = Talk::with(limits);
        talk.handshake();
        talk.c(A, 1001, 5001, &big);
        if acknowledged {
            talk.s(A, 5001, 61_001, "");
        }
        talk.c(A, 1001, 5001, "xxxx");
        let heard = talk.only();
        assert_eq!(heard.alternates[0], [(0, b"xxxx".to_vec())]);
        assert_eq!(heard.record().conflict_bytes, [conflict, 0]);
    }
}

#[test]
fn what_is_not_acknowledged_can_still_be_compared() {
    let mut talk = Talk::new();
    talk.handshake();
    let block = "x".repeat(1000);
    for at in 0..500 {
        talk.c(A, 1001 + at * 1000, 5001, &block);
    }
    for at in 0..500 {
        talk.c(A, 1001 + at * 1000, 5001, &block);
    }
    let heard = talk.only();
    assert!(heard.alternates[0].is_empty());
    assert_eq!(heard.record().conflict_bytes, [0, 0]);
}

#[test]
fn a_stream_beyond_four_gigabytes_keeps_its_offsets() {
    let block = vec![b'x'; 1 << 20];
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "");
    let mut counter = Counter::default();
    let mut seq = 1001_u32;
    for _ in 0..4100 {
        let segment = segment_of(seq, &block);
        talk.table.push(&segment, &mut counter);
        seq = seq.wrapping_add(1 << 20);
    }
    talk.table.finish(&mut counter);
    assert_eq!(counter.end, 4100 << 20);
    assert_eq!(counter.gaps, 0);
}

/// Counts without keeping.
#[derive(Default)]
struct Counter {
    end: u64,
    gaps: u64,
}

impl ChunkSink for Counter {
    fn held(&self, _: ConnSlot) -> usize {
        0
    }

    fn opened(&mut self, _: ConnSlot, _: Uid, _: &ConnId, _: FrameRef) {}

    fn chunk(&mut self, _: ConnSlot, _: Direction, chunk: &Chunk<'_>) {
        match chunk {
            Chunk::Data { offset, bytes, .. } => {
                assert_eq!(*offset, self.end);
                self.end += bytes.len() as u64;
            }
            _ => self.gaps += 1,
        }
    }

    fn closed(&mut self, _: ConnSlot, _: ConnRecord) {}
}

fn segment_of(seq: u32, payload: &[u8]) -> Segment<'_> {
    Segment {
        frames: FrameSpan::default(),
        interface_id: 0,
        src: client(),
        dst: server(),
        proto: Proto::TCP,
        tcp: Some(TcpHeader { seq: SeqNo(seq), flags: TcpFlags(A), ..Default::default() }),
        payload,
        cut: 0,
        encap: &Encapsulation::NONE,
        is_alternate: false,
    }
}

#[test]
fn a_syn_that_nobody_answers_ends_no_conn_and_is_a_conflict() {
    // It stands where the stream goes on: nothing else would show.
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ch");
    talk.c(S, 1007, 0, "");
    talk.c(A, 1008, 5001, "ris");
    let heard = talk.finish().0.conns;
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[1].record().conflict_bytes, [1, 0]);
    // The other side's stream goes on.
    let mut talk = Talk::new();
    talk.handshake();
    talk.s(A, 5001, 1001, "+OK ch");
    talk.c(S, 77_000, 0, "");
    talk.s(A, 5007, 1001, "ris");
    assert_eq!(talk.finish().0.conns[1].record().conflict_bytes, [0, 1]);
}

#[test]
fn an_urgent_octet_has_two_readings() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A | TcpFlags::URG, 1001, 5001, "ch#ris");
    assert_eq!(talk.only().record().conflict_bytes, [1, 0]);
}

#[test]
fn a_reset_that_nobody_believes_does_not_end_a_stream() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ch");
    talk.s(R, 5001, 0, "");
    talk.millis += 90_000;
    talk.c(A, 1008, 5001, "ris");
    assert_eq!(talk.only().orig(), "USER chris");
}

#[test]
fn payload_behind_fins_that_nobody_believes_is_a_conflict() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ch");
    talk.c(F | A, 1008, 5001, "");
    talk.s(F | A, 5001, 1008, "");
    talk.millis += 90_000;
    talk.c(A, 1008, 5001, "ris");
    assert_eq!(talk.finish().0.conns[1].record().conflict_bytes, [1, 0]);
}
