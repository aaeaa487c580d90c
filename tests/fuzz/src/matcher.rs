//! The matcher held against a naive search, and against itself over other pieces.

use crate::script::{Dice, Script, assert_alike};
use tunnelcheck::inspect::matcher::{Match, Matcher, Scanner};
use tunnelcheck::model::{FrameSpan, Identifier};

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Octets of a haystack.
const MAX_OCTETS: usize = 4096;

/// `[text: length, letters][how it is cut][parts: octets as they are, or the text in some encoding]`.
pub fn matcher(octets: &[u8]) {
    let mut script = Script(octets);
    let length = 4 + usize::from(script.u8() % 9);
    let text: Vec<u8> =
        (0..length).map(|_| LETTERS[usize::from(script.u8()) % LETTERS.len()]).collect();
    let seed = script.u8();
    let mut haystack = Vec::new();
    let mut written: Vec<(usize, usize, &str)> = Vec::new();
    while !script.is_over() && haystack.len() < MAX_OCTETS {
        let control = script.u8();
        if control & 0x80 == 0 {
            haystack.extend_from_slice(script.take(usize::from(control) + 1));
            continue;
        }
        let from = haystack.len();
        let name = write(&text, control, &mut haystack);
        written.push((from, haystack.len(), name));
    }
    let needle =
        Identifier { label: "name".to_owned(), text: String::from_utf8_lossy(&text).into_owned() };
    let matcher = Matcher::new(&[needle], &[]).expect("a text of letters and digits");
    let whole = search(&matcher, &haystack, || usize::MAX);
    let mut dice = Dice::new(u32::from(seed));
    assert_alike("one octet at a time", &words(&whole), &words(&search(&matcher, &haystack, || 1)));
    let pieces = search(&matcher, &haystack, || dice.roll(30));
    assert_alike("in pieces", &words(&whole), &words(&pieces));
    for at in 0..haystack.len().saturating_sub(text.len() - 1) {
        if haystack[at..at + text.len()].eq_ignore_ascii_case(&text) {
            assert!(
                whole.iter().any(|found| found.0 == at as u64 && found.1 as usize == text.len()),
                "the text stands at {at} and was not found"
            );
        }
    }
    let dropped = matcher.patterns_dropped();
    for (from, to, name) in written {
        if dropped.iter().any(|dropped| dropped.ends_with(name)) {
            continue;
        }
        assert!(
            whole
                .iter()
                .any(|found| found.0 < to as u64 && found.0 + u64::from(found.1) > from as u64),
            "the text stands at {from}..{to} as {name} and was not found: {:02x?}",
            &haystack[from..to]
        );
    }
}

/// Offset, length, encoding.
type Found = (u64, u32, String);

fn search(matcher: &Matcher, haystack: &[u8], mut size: impl FnMut() -> usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut scanner = Scanner::default();
    let mut out = |hit: Match<'_>| found.push((hit.offset, hit.len, hit.encoding.to_string()));
    let (mut offset, mut rest) = (0, haystack);
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(size().min(rest.len()));
        matcher.scan(&mut scanner, offset, piece, FrameSpan::default(), &mut out);
        offset += piece.len() as u64;
        rest = left;
    }
    matcher.finish(&mut scanner, &mut out);
    found.sort();
    found
}

fn words(found: &[Found]) -> Vec<String> {
    found.iter().map(|it| format!("{it:?}")).collect()
}

/// Writes the text in one of the encodings that hide it from a plain search.
fn write(text: &[u8], control: u8, out: &mut Vec<u8>) -> &'static str {
    match control % 8 {
        0 => {
            out.extend(text.iter().flat_map(|octet| [*octet, 0]));
            "utf-16le"
        }
        1 => {
            out.extend(text.iter().flat_map(|octet| [0, *octet]));
            "utf-16be"
        }
        2 => {
            out.extend(text.iter().flat_map(|octet| format!("%{octet:02X}").into_bytes()));
            "percent"
        }
        3 => {
            out.extend(text.iter().flat_map(|octet| format!("{octet:02x}").into_bytes()));
            "hex"
        }
        4 => {
            out.extend(text.iter().flat_map(|octet| format!("&#{octet};").into_bytes()));
            "html-entity"
        }
        5 => {
            out.extend(text.iter().flat_map(|octet| format!("\\u{octet:04x}").into_bytes()));
            "json-escape"
        }
        6 => {
            out.extend(text.iter().flat_map(|octet| format!("={octet:02X}").into_bytes()));
            "quoted-printable"
        }
        _ => {
            base64(text, usize::from(control >> 3) % 3, control, out);
            "base64"
        }
    }
}

/// The text in base64 behind `phase` octets and in front of two.
fn base64(text: &[u8], phase: usize, filler: u8, out: &mut Vec<u8>) {
    let mut octets = vec![filler; phase];
    octets.extend_from_slice(text);
    octets.extend([filler; 2]);
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet))
            << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            out.push(BASE64[(bits >> (18 - 6 * place)) as usize & 63]);
        }
        out.extend(std::iter::repeat_n(b'=', 3 - group.len()));
    }
}
