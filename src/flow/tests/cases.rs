//! The cases in which stacks, and those who look on, disagree about what belongs to a stream.

use super::{A, F, Heard, R, S, Talk, client};
use crate::model::{Direction, Endpoint};

const ORIG: Direction = Direction::OrigToResp;
const RESP: Direction = Direction::RespToOrig;

#[test]
fn a_reset_wherever_it_stands_takes_nothing_out_of_the_search() {
    // In the window; in front of it; far behind it; by either side; with an acknowledgement of nothing.
    for (by_client, seq, ack) in [
        (true, 1006, 5001),
        (true, 900, 5001),
        (true, 900_000_000, 5001),
        (true, 1006, 77),
        (false, 5001, 1006),
        (false, 4000, 1006),
        (false, 3_000_000_000, 1006),
    ] {
        for flags in [R, R | A] {
            let mut talk = Talk::new();
            talk.handshake();
            talk.c(A, 1001, 5001, "USER ");
            if by_client {
                talk.c(flags, seq, ack, "");
            } else {
                talk.s(flags, seq, ack, "");
            }
            talk.c(A, 1006, 5001, "chris");
            talk.s(A, 5001, 1011, "+OK chris");
            let heard = talk.only();
            assert_eq!((heard.orig(), heard.resp()), ("USER chris".into(), "+OK chris".into()));
            assert_eq!(heard.record().missed_bytes, [0, 0]);
        }
    }
}

#[test]
fn a_fin_with_data_and_data_beyond_it_are_searched() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(F | A, 1001, 5001, "USER ch");
    talk.c(A, 1008, 5001, "ris");
    // A FIN takes a number: what comes after it may also stand one further.
    talk.c(A, 1012, 5001, "and more");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER chris.and more");
}

#[test]
fn a_fin_in_the_middle_ends_no_stream() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1006, 5001, "chris");
    talk.c(F | A, 1003, 5001, "");
    talk.c(A, 1001, 5001, "USER ");
    talk.c(A, 1011, 5001, " again");
    assert_eq!(talk.only().orig(), "USER chris again");
}

#[test]
fn data_on_a_syn_that_is_sent_again_without_them_are_no_conflict() {
    // The server did not take them (RFC 7413 s4.2.2): they come again behind the handshake.
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "USER ");
    talk.c(S, 1000, 0, "");
    talk.s(S | A, 5000, 1001, "");
    talk.c(A, 1001, 5001, "USER chris");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER chris");
    assert_eq!(heard.record().conflict_bytes, [0, 0]);
}

#[test]
fn data_on_a_syn_that_others_follow_are_another_version() {
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "USER chris");
    talk.s(S | A, 5000, 1001, "");
    talk.c(A, 1001, 5001, "QUIT other");
    let heard = talk.only();
    assert!(heard.is_readable(ORIG, "USER chris"));
    assert!(heard.is_readable(ORIG, "QUIT other"));
    assert!(heard.record().conflict_bytes[0] > 0);
}

#[test]
fn data_on_a_syn_ack_begin_the_other_stream() {
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "");
    talk.s(S | A, 5000, 1001, "220 DND ");
    talk.c(A, 1001, 5009, "");
    talk.s(A, 5009, 1001, "server here.");
    let heard = talk.only();
    assert_eq!(heard.resp(), "220 DND server here.");
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn a_split_handshake_is_one_conn_with_both_streams() {
    // The server answers with an acknowledgement and a SYN of its own, or with the SYN alone.
    for with_ack in [true, false] {
        let mut talk = Talk::new();
        talk.c(S, 1000, 0, "");
        if with_ack {
            talk.s(A, 90_000, 1001, "");
        }
        talk.s(S, 5000, 0, "");
        talk.c(S | A, 1000, 5001, "");
        talk.s(A, 5001, 1001, "");
        talk.c(A, 1001, 5001, "USER chris");
        talk.s(A, 5001, 1011, "+OK");
        let heard = talk.only();
        assert_eq!((heard.orig(), heard.resp()), ("USER chris".into(), "+OK".into()));
        assert_eq!(heard.id.orig, client());
        assert_eq!(heard.record().missed_bytes, [0, 0]);
    }
}

#[test]
fn segments_out_of_the_window_of_either_side_are_searched_and_a_conflict() {
    for seq in [1006 + (1 << 30) + 7, 1006_u32.wrapping_sub(1 << 30), 1000] {
        let mut talk = Talk::new();
        talk.handshake();
        talk.c(A, 1001, 5001, "USER ");
        talk.c(A, seq, 5001, "chris");
        let heard = talk.only();
        assert!(heard.is_readable(ORIG, "chris"), "{seq}");
        assert!(heard.record().conflict_bytes[0] > 0, "{seq}");
    }
    let mut talk = Talk::new();
    talk.handshake();
    talk.s(A, 5001, 1001, "+OK ");
    talk.s(A, 2_500_000_000, 1001, "chris");
    let heard = talk.only();
    assert!(heard.is_readable(RESP, "chris"));
    assert_eq!(heard.record().conflict_bytes, [0, 5]);
}

#[test]
fn a_probe_of_a_closed_window_is_only_a_retransmission() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ");
    for _ in 0..3 {
        talk.c(A, 1006, 5001, "c");
        talk.s(A, 5001, 1006, "");
    }
    talk.c(A, 1006, 5001, "chris");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER chris");
    assert!(heard.alternates[0].is_empty());
    assert_eq!(heard.record().conflict_bytes, [0, 0]);
}

#[test]
fn a_retransmission_in_other_pieces_is_silent() {
    let mut talk = Talk::new();
    talk.handshake();
    let text = "USER chris\r\nPASS secret\r\n";
    talk.c(A, 1001, 5001, text);
    for (at, len) in [(0, 3), (2, 9), (5, 20), (24, 1)] {
        talk.c(A, 1001 + at, 5001, &text[at as usize..at as usize + len]);
    }
    let heard = talk.only();
    assert_eq!(heard.orig(), text);
    assert!(heard.alternates[0].is_empty());
    assert_eq!(heard.record().conflict_bytes, [0, 0]);
}

#[test]
fn an_old_segment_with_other_octets_is_searched_whatever_its_timestamp_says() {
    // Timestamps are not looked at: what a receiver drops for its age is a version like any other (RFC 7323 s5).
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER xxxxx\r\n");
    talk.s(A, 5001, 1013, "+OK\r\n");
    talk.millis -= 500;
    talk.c(A, 1006, 5001, "chris");
    let heard = talk.only();
    assert!(heard.is_readable(ORIG, "USER chris\r\n"));
    assert_eq!(heard.record().conflict_bytes, [5, 0]);
}

#[test]
fn a_capture_of_the_answering_side_hands_on_that_side() {
    let mut talk = Talk::new();
    talk.s(S | A, 5000, 1001, "");
    talk.s(A, 5001, 1011, "+OK ");
    talk.s(A, 5005, 1011, "chris");
    let heard = talk.only();
    assert_eq!(heard.resp(), "+OK chris");
    assert_eq!(heard.record().missed_bytes, [10, 0]);
}

#[test]
fn a_guess_at_the_sequence_number_without_a_syn_is_searched() {
    // Somebody else's segments between the same ends, far away from the stream.
    let mut talk = Talk::new();
    talk.c(A, 1_000_000, 70, "USER ");
    talk.c(A, 3_000_000_000, 70, "chris");
    talk.c(A, 1_000_005, 70, "somebody");
    let heard = talk.only();
    assert_eq!(heard.orig(), "USER somebody");
    assert!(heard.is_readable(ORIG, "chris"));
}

#[test]
fn a_second_syn_with_another_number_in_the_middle_hides_neither_stream() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ");
    talk.c(S, 700_000, 0, "");
    talk.c(A, 1006, 5001, "chris");
    talk.c(A, 700_001, 5001, "somebody");
    let (recorder, coverage) = talk.finish();
    let is_read = |text: &str| recorder.conns.iter().any(|heard| heard.is_readable(ORIG, text));
    assert!(is_read("chris") && is_read("somebody"));
    assert!(coverage.conflict_bytes > 0, "which of them goes on cannot be told");
}

#[test]
fn a_giant_window_out_of_order_is_put_in_order() {
    let mut talk = Talk::new();
    talk.handshake();
    let block = "x".repeat(1400);
    for at in (1..2000_u32).rev() {
        talk.c(A, 1001 + at * 1400, 5001, &block);
    }
    talk.c(A, 1001, 5001, &block);
    let heard = talk.only();
    assert_eq!(heard.record().bytes, [2000 * 1400, 0]);
    assert_eq!(heard.record().missed_bytes, [0, 0]);
}

#[test]
fn ports_used_again_are_another_conn_even_where_the_number_is_near() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER first");
    talk.c(F | A, 1011, 5001, "");
    talk.s(F | A, 5001, 1012, "");
    talk.c(S, 1015, 0, "");
    talk.s(S | A, 9000, 1016, "");
    talk.c(A, 1016, 9001, "USER second");
    let (recorder, coverage) = talk.finish();
    let texts: Vec<String> = recorder.conns.iter().map(Heard::orig).collect();
    assert_eq!(texts, ["USER first", "USER second"]);
    assert_eq!((coverage.missed_bytes, coverage.conflict_bytes), (0, 0));
}

#[test]
fn conns_half_open_hold_nothing_beside_their_place() {
    let mut talk = Talk::new();
    for number in 0..5000_u32 {
        let from = Endpoint { ip: std::net::Ipv4Addr::from(number + 1).into(), port: 1 };
        talk.tcp(from, super::server(), S, 1, 0, b"");
        talk.tcp(super::server(), from, S | A, 1, 2, b"");
    }
    assert_eq!(talk.table.held().total(), 0);
}

#[test]
fn what_many_conns_wait_for_and_remember_stays_within_its_bounds() {
    let limits = super::Limits {
        out_of_order_bytes_total: 256 << 10,
        tail_bytes_total: 256 << 10,
        version_bytes_total: 128 << 10,
        ..super::Limits::default()
    };
    let mut talk = Talk::with(limits);
    for number in 0..3000_u32 {
        let from = Endpoint { ip: std::net::Ipv4Addr::from(number + 1).into(), port: 1 };
        talk.tcp(from, super::server(), S, 1, 0, b"");
        talk.tcp(from, super::server(), A, 2, 0, b"USER");
        talk.tcp(from, super::server(), A, 2, 0, b"QUIT");
        talk.tcp(from, super::server(), A, 10, 0, b"x");
        let held = talk.table.held();
        assert!(held.waiting <= (256 << 10) + 2048, "{held:?}");
        // What keeps a hole is charged here too, and is not taken back.
        assert!(held.tails <= 512 << 10, "{held:?}");
        assert!(held.versions <= 136 << 10, "{held:?}");
    }
    let (recorder, _) = talk.finish();
    assert!(recorder.conns.iter().all(|heard| heard.is_readable(ORIG, "QUIT")));
}
