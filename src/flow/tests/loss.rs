//! Loss as acknowledgements show it: what was acknowledged and is not in the capture.

use super::*;

/// Octets missed, acknowledgements that could have shown it, and gaps that they showed.
fn loss(talk: Talk) -> (u64, u64, u64) {
    let (_, coverage) = talk.finish();
    (coverage.missed_bytes, coverage.acks, coverage.ack_gaps)
}

/// A whole conn of a question and an answer; `lost` leaves out one of its frames.
fn conversation(lost: Option<usize>) -> Talk {
    let mut talk = Talk::new();
    let frames: [(bool, u8, u32, u32, &str); 9] = [
        (true, S, 1000, 0, ""),
        (false, S | A, 5000, 1001, ""),
        (true, A, 1001, 5001, ""),
        (true, A, 1001, 5001, "USER chris"),
        (false, A, 5001, 1011, "+OK"),
        (true, A, 1011, 5004, ""),
        (true, F | A, 1011, 5004, ""),
        (false, F | A, 5004, 1012, ""),
        (true, A, 1012, 5005, ""),
    ];
    for (number, (by_client, flags, seq, ack, text)) in frames.into_iter().enumerate() {
        if lost == Some(number) {
            continue;
        }
        if by_client {
            talk.c(flags, seq, ack, text);
        } else {
            talk.s(flags, seq, ack, text);
        }
    }
    talk
}

#[test]
fn a_clean_conn_has_acknowledgements_and_no_gap() {
    assert_eq!(loss(conversation(None)), (0, 4, 0));
}

#[test]
fn a_frame_of_data_that_is_lost_is_a_gap_while_its_acknowledgement_stays() {
    assert_eq!(loss(conversation(Some(3))), (10, 4, 1));
    assert_eq!(loss(conversation(Some(4))), (3, 3, 1));
}

#[test]
fn a_frame_without_data_that_is_lost_is_no_gap() {
    for lost in [0, 1, 2, 5, 8] {
        let (missed, _, gaps) = loss(conversation(Some(lost)));
        assert_eq!((missed, gaps), (0, 0), "frame {lost}");
    }
}

#[test]
fn a_fin_that_is_lost_cannot_be_told_from_an_octet() {
    for lost in [6, 7] {
        let (missed, _, gaps) = loss(conversation(Some(lost)));
        assert_eq!((missed, gaps), (1, 1), "frame {lost}");
    }
}

#[test]
fn the_last_segment_that_is_lost_is_a_gap_where_no_fin_follows() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ");
    talk.s(A, 5001, 1006, "");
    talk.s(A, 5001, 1011, "");
    assert_eq!(loss(talk), (5, 2, 1));
}

#[test]
fn acknowledgements_of_a_syn_and_keep_alives_show_nothing() {
    let mut talk = Talk::new();
    talk.handshake();
    assert_eq!(loss(talk), (0, 0, 0));
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER");
    talk.s(A, 5001, 1005, "");
    for _ in 0..20 {
        talk.c(A, 1004, 5001, "\0");
        talk.s(A, 5001, 1005, "");
    }
    assert_eq!(loss(talk), (0, 1, 0));
}

#[test]
fn segments_captured_in_another_order_and_gaps_that_are_filled_are_no_loss() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.s(A, 5001, 1011, "");
    talk.c(A, 1006, 5001, "chris");
    talk.c(A, 1001, 5001, "USER ");
    talk.s(A, 5001, 1016, "");
    talk.c(A, 1011, 5001, "*****");
    assert_eq!(loss(talk), (0, 2, 0));
}

#[test]
fn what_one_side_alone_acknowledges_is_missing_from_the_other() {
    let mut talk = Talk::new();
    talk.c(S, 1000, 0, "");
    talk.c(A, 1001, 5001, "USER chris");
    talk.c(A, 1011, 5021, "");
    assert_eq!(loss(talk), (20, 1, 1));
}

#[test]
fn a_conn_that_was_open_before_shows_loss_from_its_first_data_on() {
    let mut talk = Talk::new();
    talk.s(A, 5001, 1_000_000, "");
    talk.c(A, 1_000_000, 5001, "USER ");
    talk.s(A, 5001, 1_000_005, "");
    talk.s(A, 5001, 1_000_010, "");
    assert_eq!(loss(talk), (5, 2, 1));
}
