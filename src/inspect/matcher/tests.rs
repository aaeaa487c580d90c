use super::*;
use crate::model::{FrameRef, Timestamp};

/// What a test compares of a match.
type Seen = (usize, Encoding, u64, u32);

fn identifier(text: &str) -> Identifier {
    Identifier { label: "name".into(), text: text.into() }
}

fn matcher(texts: &[&str]) -> Matcher {
    let identifiers: Vec<Identifier> = texts.iter().map(|text| identifier(text)).collect();
    Matcher::new(&identifiers, &[]).unwrap()
}

fn frame(number: u64) -> FrameSpan {
    FrameSpan::one(FrameRef { number, time: Timestamp::default() })
}

fn needle_index(needle: Needle) -> usize {
    match needle {
        Needle::Identifier(i) | Needle::Token(i) => i,
    }
}

/// Scans `bytes` cut behind each of `cuts` (ascending); frame numbers count the pieces from 1.
fn scan_cut(matcher: &Matcher, bytes: &[u8], cuts: &[usize]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut scanner = Scanner::default();
    let mut out = |found: Match<'_>| {
        seen.push((needle_index(found.needle), found.encoding, found.offset, found.len));
    };
    let mut from = 0;
    let ends = cuts.iter().copied().chain([bytes.len()]);
    for (number, to) in ends.enumerate() {
        let piece = &bytes[from..to];
        matcher.scan(&mut scanner, from as u64, piece, frame(number as u64 + 1), &mut out);
        from = to;
    }
    matcher.finish(&mut scanner, &mut out);
    seen.sort_unstable();
    seen
}

fn scan(matcher: &Matcher, bytes: &[u8]) -> Vec<Seen> {
    scan_cut(matcher, bytes, &[])
}

#[test]
fn a_name_is_found_in_any_case_with_its_place_and_its_surroundings() {
    let matcher = matcher(&["jsmith"]);
    let mut found = Vec::new();
    let mut out = |m: Match<'_>| {
        found.push((m.label.to_owned(), m.offset, m.len, m.frames, m.excerpt, m.octet_probability));
    };
    matcher.scan_once(100, b"USER JSmith\r\n", frame(7), &mut out);
    let [(label, offset, len, frames, excerpt, chance)] = found.as_slice() else {
        panic!("not one match")
    };
    assert_eq!((label.as_str(), *offset, *len, *frames), ("name", 105, 6, frame(7)));
    assert_eq!(&excerpt.bytes[excerpt.start..excerpt.start + excerpt.len], b"JSmith");
    assert!((chance / (2.0f64 / 256.0).powi(6) - 1.0).abs() < 1e-9, "{chance}");
}

#[test]
fn a_name_across_segments_names_the_first_and_the_last_frame() {
    let matcher = matcher(&["jsmith"]);
    let mut scanner = Scanner::default();
    let mut spans = Vec::new();
    for (i, piece) in [b"xxjs", &b"m"[..], b"ith\r\n"].into_iter().enumerate() {
        let offset = [0, 4, 5][i];
        matcher.scan(&mut scanner, offset, piece, frame(10 + i as u64), &mut |m| {
            spans.push((m.frames.first.number, m.frames.last, m.offset));
        });
    }
    assert_eq!(spans, [(10, 12, 2)]);
}

#[test]
fn gap_ends_a_match() {
    let matcher = matcher(&["jsmith"]);
    let mut scanner = Scanner::default();
    let mut count = 0;
    matcher.scan(&mut scanner, 0, b"jsm", frame(1), &mut |_| count += 1);
    matcher.gap(&mut scanner);
    matcher.scan(&mut scanner, 3, b"ith jsm", frame(2), &mut |_| count += 1);
    matcher.scan(&mut scanner, 11, b"ith", frame(3), &mut |_| count += 1);
    assert_eq!(count, 0);
}
