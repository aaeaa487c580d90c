//! The matcher held against a naive search, and against itself over other pieces.

use crate::naive;
use crate::script::{Dice, Script, assert_alike};
use std::collections::BTreeSet;
use tunnelcheck::inspect::matcher::{Match, Matcher, Needle, Scanner};
use tunnelcheck::model::{FrameSpan, Identifier};

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Of further texts. Few, so that one often begins like another.
const FURTHER: &[u8] = b"abcdefkzABXZ0479.-_@";

/// Octets of a haystack.
const MAX_OCTETS: usize = 4096;

/// `[text: length and how many further texts][further texts: length, letters][how it is cut][parts: octets as they are, or a
/// text in some encoding]`.
pub fn matcher(octets: &[u8]) {
    let mut script = Script(octets);
    let first = script.u8();
    let mut texts = vec![letters(&mut script, 4 + usize::from(first % 9), LETTERS)];
    // Long ones alone make other strides than short ones do, or both.
    let further = usize::from(first / 9 % 4);
    for _ in 0..further {
        let length = 3 + usize::from(script.u8() % 38);
        texts.push(letters(&mut script, length, FURTHER));
    }
    if first >= 128 && further > 0 {
        texts.remove(0);
    }
    let seed = script.u8();
    let mut haystack = Vec::new();
    let mut written: Vec<(usize, usize, usize, &str)> = Vec::new();
    while !script.is_over() && haystack.len() < MAX_OCTETS {
        let control = script.u8();
        if control & 0x80 == 0 {
            haystack.extend_from_slice(script.take(usize::from(control) + 1));
            continue;
        }
        let nth = if texts.len() > 1 { usize::from(script.u8()) % texts.len() } else { 0 };
        let from = haystack.len();
        let name = write(texts[nth].as_bytes(), control, &mut haystack);
        written.push((nth, from, haystack.len(), name));
    }
    let needles: Vec<Identifier> = texts
        .iter()
        .map(|text| Identifier { label: "name".to_owned(), text: text.clone() })
        .collect();
    let matcher = Matcher::new(&needles, &[]).expect("texts of letters and digits");
    assert!(matcher.patterns_dropped().is_empty(), "{:?}", matcher.patterns_dropped());
    let whole = search(&matcher, &haystack, || usize::MAX);
    let mut dice = Dice::new(u32::from(seed));
    assert_alike("one octet at a time", &words(&whole), &words(&search(&matcher, &haystack, || 1)));
    let pieces = search(&matcher, &haystack, || dice.roll(30));
    assert_alike("in pieces", &words(&whole), &words(&pieces));
    // Encoded words are left out from here on: the slow way knows none, and behind the `?` of one that has no end `=41` is the
    // end of it.
    for at in 1..haystack.len() {
        if haystack[at - 1] == b'=' && haystack[at] == b'?' {
            haystack[at] = b'.';
        }
    }
    let told = search(&matcher, &haystack, || usize::MAX);
    for (nth, from, to, name) in written {
        // Very short ones are told as words only.
        let is_found = |found: &Found| {
            found.0 == nth && found.2 < to as u64 && found.2 + u64::from(found.3) > from as u64
        };
        assert!(
            texts[nth].len() <= 3 || told.iter().any(is_found),
            "{:?} stands at {from}..{to} as {name} and was not found: {:02x?}",
            texts[nth],
            &haystack[from..to]
        );
    }
    compare(&texts, &haystack, &told);
}

/// Nothing missed, nothing invented, each told once.
fn compare(texts: &[String], haystack: &[u8], told: &[Found]) {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let shown = |found: &BTreeSet<(usize, &str, usize, usize)>| -> Vec<String> {
        found.iter().map(|it| format!("{it:?}")).collect()
    };
    let seen: BTreeSet<_> = told
        .iter()
        .map(|(nth, name, offset, len)| {
            let from = *offset as usize;
            (*nth, name.as_str(), from, from + *len as usize)
        })
        .collect();
    assert_eq!(told.len(), seen.len(), "told twice: {told:?}");
    assert_alike(
        "told, and found the slow way",
        &shown(&seen),
        &shown(&naive::search(&texts, haystack)),
    );
}

fn letters(script: &mut Script, length: usize, among: &[u8]) -> String {
    let letter = |octet: u8| {
        if among.contains(&octet) { octet } else { among[usize::from(octet) % among.len()] }
    };
    (0..length).map(|_| char::from(letter(script.u8()))).collect()
}

/// Which text, encoding, offset, length.
type Found = (usize, String, u64, u32);

fn search(matcher: &Matcher, haystack: &[u8], mut size: impl FnMut() -> usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut scanner = Scanner::default();
    let mut out = |hit: Match<'_>| {
        let Needle::Identifier(nth) = hit.needle else { panic!("there are no tokens") };
        found.push((nth, hit.encoding.to_string(), hit.offset, hit.len));
    };
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
    let text = &if control & 0x40 == 0 { text.to_vec() } else { text.to_ascii_uppercase() };
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

/// The text in base64 behind `phase` octets and in front of two, in lines of 16 characters or in one.
fn base64(text: &[u8], phase: usize, filler: u8, out: &mut Vec<u8>) {
    let mut octets = vec![filler; phase];
    octets.extend_from_slice(text);
    octets.extend([filler; 2]);
    for (nth, group) in octets.chunks(3).enumerate() {
        if filler & 0x20 != 0 && nth % 4 == 0 && nth > 0 {
            out.extend(b"\r\n");
        }
        let bits = group.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet))
            << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            out.push(BASE64[(bits >> (18 - 6 * place)) as usize & 63]);
        }
        out.extend(std::iter::repeat_n(b'=', 3 - group.len()));
    }
}
