//! Every version of disputed octets can be read, in every combination that a receiver could have put together.

use super::{A, Heard, Limits, Talk};
use crate::model::{Direction, TcpFlags};

const ORIG: Direction = Direction::OrigToResp;

/// Segments of the client after a handshake: place in the stream, octets.
fn hear(segments: &[(u32, &str)]) -> Heard {
    let mut talk = Talk::new();
    talk.handshake();
    for (at, text) in segments {
        talk.c(A, 1001 + at, 5001, text);
    }
    talk.only()
}

#[track_caller]
fn assert_readable(segments: &[(u32, &str)], text: &str) {
    let heard = hear(segments);
    assert!(!heard.orig().contains(text), "not disputed: {}", heard.orig());
    assert!(heard.is_readable(ORIG, text), "{:?}", texts(&heard));
    assert!(heard.record().conflict_bytes[0] > 0);
}

fn texts(heard: &Heard) -> Vec<String> {
    let shown = heard.alternates[0].iter().take(8);
    shown.map(|(_, it)| String::from_utf8_lossy(it).into_owned()).collect()
}

#[test]
fn what_the_last_version_says_is_handed_on() {
    assert_readable(&[(0, "USER xxxxx\r\n"), (5, "chris")], "USER chris\r\n");
}

#[test]
fn octets_that_come_later_in_order_are_joined_to_a_version() {
    assert_readable(&[(0, "USER xxx"), (5, "chr"), (8, "is\r\n")], "USER chris\r\n");
    assert_readable(&[(0, "x"), (0, "c"), (1, "h"), (2, "r"), (3, "i"), (4, "s")], "chris");
}

#[test]
fn octets_that_come_later_out_of_order_are_joined_to_a_version() {
    assert_readable(&[(0, "USER xxx"), (5, "chr"), (9, "s\r\n"), (8, "i")], "USER chris\r\n");
    assert_readable(
        &[(5, "xxx"), (9, "s\r\n"), (5, "chr"), (8, "i"), (0, "USER ")],
        "USER chris\r\n",
    );
}

#[test]
fn one_part_of_the_first_and_one_part_of_the_last_version_make_a_whole() {
    // The first of the one range, the last of the other.
    assert_readable(&[(0, "chr"), (3, "xx"), (0, "yyy"), (3, "is")], "chris");
    assert_readable(&[(0, "xxx"), (3, "is"), (0, "chr"), (3, "yy")], "chris");
    // All of three ranges.
    assert_readable(&[(0, "c"), (1, "x"), (2, "ris"), (0, "y"), (1, "h"), (2, "zzz")], "chris");
}

#[test]
fn a_segment_that_spans_others_is_mixed_with_them() {
    // Of the last one only the second and the fourth octet were missing.
    let parts = [(0, "c"), (1, "x"), (2, "r"), (3, "x"), (4, "s")];
    let mut segments = parts.to_vec();
    segments.push((0, "yhyiy"));
    assert_readable(&segments, "chris");
    let mut segments = vec![(0, "yhyiy")];
    segments.extend(parts);
    assert_readable(&segments, "chris");
}

#[test]
fn a_repetition_of_the_same_octets_is_a_place_to_mix_at() {
    // Who lost the first segment, and got two octets of it again, takes the rest of the last one.
    assert_readable(&[(0, "chxxx"), (0, "ch"), (0, "yyris")], "chris");
    assert_readable(&[(0, "chxxx"), (0, "yyris"), (0, "ch")], "chris");
}

#[test]
fn a_segment_that_overlaps_at_both_ends_is_mixed_with_both_neighbours() {
    assert_readable(&[(0, "chxx"), (6, "xxen"), (2, "ristyn")], "christynen");
    assert_readable(&[(0, "chri"), (6, "nexx"), (2, "xxstyn")], "christynxx");
    assert_readable(&[(6, "xxen"), (0, "chxx"), (2, "ristyn")], "christynen");
}

#[test]
fn three_versions_of_one_range_are_all_handed_on() {
    let segments = [(0, "USER aaaaa\r\n"), (5, "bbbbb"), (5, "chris"), (5, "ddddd")];
    assert_readable(&segments, "USER chris\r\n");
    assert_readable(&segments, "USER bbbbb\r\n");
    assert_readable(&segments, "USER ddddd\r\n");
}

#[test]
fn every_octet_disputed_and_any_mixture_of_them_is_handed_on() {
    for order in 0..32_u32 {
        let mut segments = Vec::new();
        for (at, octet) in (0..).zip(["c", "h", "r", "i", "s"]) {
            let mut both = [(at, octet), (at, "#")];
            if order >> at & 1 == 1 {
                both.reverse();
            }
            segments.extend(both);
        }
        let heard = hear(&segments);
        assert!(heard.is_readable(ORIG, "chris"), "{order:b}");
    }
}

#[test]
fn a_version_that_came_long_before_is_mixed_with_a_later_one() {
    let rest = "x".repeat(3000);
    let segments = [(0, "xxx"), (3, "yy"), (0, "chr"), (5, &*rest), (3, "is")];
    assert_readable(&segments, "chris");
}

#[test]
fn a_long_text_in_the_last_version_of_many_small_segments_is_handed_on() {
    let text = "jsmith@nimbus.dartmouth.edu has mail in Reindeer Games";
    let mut segments: Vec<(u32, &str)> = Vec::new();
    for at in 0..text.len() {
        let place = u32::try_from(at).unwrap();
        segments.extend([(place, "#"), (place, &text[at..=at])]);
    }
    assert_readable(&segments, text);
}

#[test]
fn an_urgent_octet_is_read_in_the_stream_and_taken_out_of_it() {
    for pointer in [2, 3] {
        let mut talk = Talk::new();
        talk.handshake();
        talk.urgent = pointer;
        talk.c(A | TcpFlags::URG, 1001, 5001, "ch#ris");
        let heard = talk.only();
        assert_eq!(heard.orig(), "ch#ris");
        assert!(heard.is_readable(ORIG, "chris"), "{pointer}: {:?}", texts(&heard));
        assert_eq!(heard.record().conflict_bytes, [1, 0]);
    }
}

#[test]
fn several_urgent_octets_are_taken_out_together() {
    let text = "chris and somebody else";
    let mut talk = Talk::new();
    talk.handshake();
    talk.urgent = 2;
    for (at, octet) in (0..).zip(text.chars()) {
        talk.c(A | TcpFlags::URG, 1001 + 2 * at, 5001, &format!("{octet}#"));
    }
    let heard = talk.only();
    assert!(heard.is_readable(ORIG, text), "{:?}", texts(&heard));
}

#[test]
fn an_urgent_octet_that_comes_in_a_later_segment_is_taken_out() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.urgent = 3;
    talk.c(A | TcpFlags::URG, 1001, 5001, "ch");
    talk.c(A, 1003, 5001, "#ris");
    assert!(talk.only().is_readable(ORIG, "chris"));
}

#[test]
fn a_version_is_handed_on_as_soon_as_what_follows_it_was_seen() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER xxxxx\r\n");
    talk.c(A, 1006, 5001, "chris");
    assert!(talk.recorder.conns[0].alternates[0].is_empty());
    talk.c(A, 1013, 5001, &"x".repeat(600));
    assert!(talk.recorder.conns[0].is_readable(ORIG, "USER chris\r\nxxx"));
}

#[test]
fn what_a_flood_of_conflicts_is_searched_for_stays_in_proportion_and_each_segment_is_handed_on() {
    let limits = Limits { search_budget: 1 << 16, ..Limits::default() };
    let mut talk = Talk::with(limits);
    talk.handshake();
    let block = "A".repeat(400);
    for at in 0..200_u32 {
        talk.c(A, 1001 + 100 * at, 5001, &block);
        let other = format!("<{at}>{}", "b".repeat(400));
        talk.c(A, 1001 + 100 * at, 5001, &other);
    }
    let heard = talk.only();
    for at in 0..200 {
        assert!(heard.is_readable(ORIG, &format!("<{at}>bbbb")), "{at}");
    }
    let handed_on: usize = heard.alternates[0].iter().map(|(_, octets)| octets.len()).sum();
    assert!(handed_on < 400 * 20_000, "{handed_on}");
}

#[test]
fn versions_are_bounded_for_all_conns_together_and_handed_on_before_they_are_forgotten() {
    let limits = Limits { version_bytes_total: 64 << 10, ..Limits::default() };
    let mut talk = Talk::with(limits);
    for port in 0..200 {
        let from = super::Endpoint { port: 4000 + port, ..super::client() };
        talk.tcp(from, super::server(), super::S, 1000, 0, b"");
        talk.tcp(from, super::server(), A, 1001, 0, b"USER xxxxx");
        talk.tcp(from, super::server(), A, 1006, 0, b"chris");
        assert!(talk.table.held().versions < 80 << 10);
    }
    let (recorder, _) = talk.finish();
    assert!(recorder.conns.iter().all(|heard| heard.is_readable(ORIG, "USER chris")));
}
