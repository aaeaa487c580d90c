#![expect(clippy::cast_possible_truncation, reason = "the streams of these tests are short")]

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
fn escapes_of_several_families_in_one_word_are_undone() {
    let one = matcher(&["jsmith"]);
    for text in [
        &b"%6asm&#105;th"[..],
        b"js%6d&#x69;t=68",
        br"\u006asm&#105;%74h",
        b"=6A=73=6D=69=74&#104;",
        b"%6a%73%6d%69%74%68 &amp; %6asm=\r\nit&#104;",
    ] {
        let seen = scan(&one, text);
        assert!(!seen.is_empty(), "{}", String::from_utf8_lossy(text));
        let bytewise: Vec<usize> = (1..text.len()).collect();
        assert_eq!(scan_cut(&one, text, &bytewise), seen);
        let mut told_once = seen.clone();
        told_once.dedup();
        assert_eq!(told_once, seen);
    }
    assert_eq!(scan(&one, b"%6asmith &#105;").len(), 1, "one family is told once");
}

#[test]
fn a_name_is_found_in_any_case_with_its_place_and_its_surroundings() {
    let matcher = matcher(&["jsmith"]);
    let mut found = Vec::new();
    let mut out = |m: Match<'_>| {
        found.push((m.label.to_owned(), m.offset, m.len, m.frames, m.excerpt, m.octet_probability));
    };
    matcher.scan_alone(&mut Scanner::default(), 100, b"USER JSmith\r\n", frame(7), &mut out);
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

const SAMPLES: [&str; 7] =
    ["jsmith", "John Smith", "Reindeer Games", "Ægir Ólafsson", "Zoë", "Лев Толстой", "山田太郎"];

/// Octets that hold none of the samples in any encoding, and no escape.
fn noise(len: usize, mut seed: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    while octets.len() < len {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let octet = (seed >> 24) as u8;
        if !b"%=&\\+/-_ ".contains(&octet) && !octet.is_ascii_alphanumeric() {
            octets.push(octet);
        }
    }
    octets
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

fn nfd(text: &str) -> String {
    unicode_normalization::UnicodeNormalization::nfd(text).collect()
}

/// Writes every octet as `f` says.
fn each(octets: &[u8], f: impl Fn(&u8) -> String) -> Vec<u8> {
    octets.iter().map(f).collect::<String>().into_bytes()
}

/// Writes every second octet as `f` says.
fn mixed(octets: &[u8], f: impl Fn(&u8) -> String) -> Vec<u8> {
    let mut written = Vec::new();
    for (i, octet) in octets.iter().enumerate() {
        if i % 2 == 1 || !octet.is_ascii() {
            written.extend(f(octet).into_bytes());
        } else {
            written.push(*octet);
        }
    }
    written
}

fn modified_utf7(text: &str) -> Vec<u8> {
    let mut written = String::new();
    let mut run = String::new();
    let end = |run: &mut String, written: &mut String| {
        if !run.is_empty() {
            let coded = data_encoding::BASE64_NOPAD.encode(&utf16(run, u16::to_be_bytes));
            written.extend(["&", &coded.replace('/', ","), "-"]);
            run.clear();
        }
    };
    for c in text.chars() {
        if c.is_ascii() {
            end(&mut run, &mut written);
            written.push(c);
        } else {
            run.push(c);
        }
    }
    end(&mut run, &mut written);
    written.into_bytes()
}

/// Every way in which `text` may be written, as a naive encoder writes it.
fn spellings(text: &str) -> Vec<(Encoding, Vec<u8>)> {
    use Encoding as E;
    let utf8 = text.as_bytes();
    let mut all = Vec::new();
    let ascii = text.is_ascii();
    all.push((if ascii { E::Ascii } else { E::Utf8Nfc }, utf8.to_vec()));
    all.push((if ascii { E::Ascii } else { E::Utf8Nfc }, text.to_uppercase().into_bytes()));
    if nfd(text) != text {
        all.push((E::Utf8Nfd, nfd(text).into_bytes()));
        all.push((E::Utf8Nfd, nfd(&text.to_lowercase()).into_bytes()));
    }
    if !ascii {
        all.extend(latin1(text).map(|octets| (E::Latin1, octets)));
        all.extend(charset::mac_roman(text).map(|octets| (E::MacRoman, octets)));
        all.push((E::ModifiedUtf7, modified_utf7(text)));
    }
    let little = utf16(text, u16::to_le_bytes);
    all.push((E::Utf16Le, little.clone()));
    all.push((E::Utf16Be, utf16(&text.to_lowercase(), u16::to_be_bytes)));
    for phase in 0..3 {
        for octets in [utf8.to_vec(), text.to_uppercase().into_bytes(), little.clone()] {
            let whole = [&vec![0xfb; phase], octets.as_slice(), b"\xff"].concat();
            let coded = data_encoding::BASE64.encode(&whole);
            let (from, to) = (phase * 8 / 6, ((phase + octets.len()) * 8).div_ceil(6));
            all.push((E::Base64, coded.as_bytes()[from..to].to_vec()));
            let url = data_encoding::BASE64URL.encode(&whole)[from..to].to_owned();
            let changed = url.contains(['-', '_']);
            all.push((if changed { E::Base64Url } else { E::Base64 }, url.into_bytes()));
            let broken: Vec<String> = (from..to)
                .map(|i| {
                    coded[i..=i].to_owned()
                        + if i % 4 == 3 && i + 1 < to && i % 16 == 3 { "\r\n" } else { "" }
                })
                .collect();
            all.push((E::Base64, broken.concat().into_bytes()));
        }
    }
    for separator in ["", ":", "-", " "] {
        let lower: Vec<String> = utf8.iter().map(|octet| format!("{octet:02x}")).collect();
        all.push((E::Hex, lower.join(separator).into_bytes()));
        all.push((E::Hex, lower.join(separator).to_uppercase().into_bytes()));
    }
    all.push((E::Hex, each(utf8, |octet| format!("\\x{octet:02x}"))));
    all.push((E::Percent, each(utf8, |octet| format!("%{octet:02X}"))));
    all.push((E::Percent, mixed(utf8, |octet| format!("%{octet:02x}"))));
    if text.contains(' ') && ascii {
        all.push((E::Percent, text.replace(' ', "+").into_bytes()));
    }
    all.push((E::QuotedPrintable, each(utf8, |octet| format!("={octet:02X}"))));
    let mut broken = mixed(utf8, |octet| format!("={octet:02x}=\r\n"));
    if broken.ends_with(b"=\r\n") {
        broken.truncate(broken.len() - 3);
    }
    all.push((E::QuotedPrintable, broken));
    let entity = |c: char| {
        if u32::from(c) % 2 == 0 {
            format!("&#{};", u32::from(c))
        } else {
            format!("&#x{:X};", u32::from(c))
        }
    };
    all.push((E::HtmlEntity, text.chars().map(entity).collect::<String>().into_bytes()));
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    all.push((E::JsonEscape, units.concat().into_bytes()));
    all
}

#[test]
fn every_encoding_of_every_sample_is_found_in_noise_however_it_is_cut() {
    let matcher = matcher(&SAMPLES);
    assert!(matcher.patterns_dropped().is_empty());
    for (needle, text) in SAMPLES.iter().enumerate() {
        for (i, (encoding, octets)) in spellings(text).into_iter().enumerate() {
            let front = noise(40 + i, i as u32);
            let stream = [front.as_slice(), &octets, &noise(50, 7)].concat();
            let seen = scan(&matcher, &stream);
            let shown = String::from_utf8_lossy(&octets);
            // The end of a shift is no part of its last character.
            let end = usize::from(encoding == Encoding::ModifiedUtf7 && octets.ends_with(b"-"));
            let expected = (needle, encoding, front.len() as u64, (octets.len() - end) as u32);
            assert!(seen.contains(&expected), "{encoding} {shown}: {seen:?}, not {expected:?}");
            let others = seen.iter().filter(|one| **one != expected);
            let others: Vec<&Seen> = others.collect();
            assert!(others.is_empty(), "{encoding} {shown}: also {others:?}");
            let bytewise: Vec<usize> = (1..stream.len()).collect();
            assert_eq!(scan_cut(&matcher, &stream, &bytewise), seen, "{encoding} {shown} bytewise");
            for cut in 30..stream.len() - 10 {
                assert_eq!(
                    scan_cut(&matcher, &stream, &[cut]),
                    seen,
                    "{encoding} {shown} cut at {cut}"
                );
            }
        }
    }
}

#[test]
fn what_can_be_found_shows_in_a_short_row_of_its_octets_wherever_that_stands() {
    let all = matcher(&SAMPLES);
    for text in SAMPLES {
        let alone = matcher(&[text]);
        for matcher in [&all, &alone] {
            for (encoding, octets) in spellings(text) {
                let stream = [noise(30, 3).as_slice(), &octets, &noise(31, 5)].concat();
                assert!(!scan(matcher, &stream).is_empty());
                for shift in 0..8 {
                    let may_be = |row: &[u8]| {
                        let bytes = [noise(shift, 1).as_slice(), row, &noise(9, 2)].concat();
                        matcher.may_hold_part(&bytes)
                    };
                    let is_shown = stream.windows(Matcher::GRAIN).any(may_be);
                    let shown = String::from_utf8_lossy(&octets);
                    assert!(is_shown, "{encoding} {shown} behind {shift} octets");
                }
            }
        }
        assert!(!alone.may_hold_part(&noise(500, 4)), "noise holds nothing");
    }
}

/// Matches of `text` in `stream` at once, as (encoding, the octets that it stands in).
fn matches_in(texts: &[&str], stream: &[u8]) -> Vec<(Encoding, String)> {
    let seen = scan(&matcher(texts), stream);
    let octets = |one: &Seen| &stream[one.2 as usize..one.2 as usize + one.3 as usize];
    seen.iter().map(|one| (one.1, String::from_utf8_lossy(octets(one)).into_owned())).collect()
}

#[test]
fn one_escaped_character_does_not_hide_a_name() {
    for (encoding, written) in [
        (Encoding::Percent, "j%73mith"),
        (Encoding::Percent, "jsmit%48"),
        (Encoding::Percent, "j%u0073mith"),
        (Encoding::QuotedPrintable, "=6Asmith"),
        (Encoding::QuotedPrintable, "jsm= \r\nith"),
        (Encoding::HtmlEntity, "jsmi&#116;h"),
        (Encoding::HtmlEntity, "jsmi&#116h"),
        (Encoding::JsonEscape, "jsm\\u0069th"),
        (Encoding::JsonEscape, "jsm\\151th"),
        (Encoding::Hex, "jsm\\x69th"),
        (Encoding::Rfc2047, "=?utf-8?Q?jsm?= =?utf-8?Q?ith"),
        (Encoding::Rfc2047, "jsm?=\r\n =?us-ascii?q?ith"),
    ] {
        let stream = format!("<=?us-ascii?q?x?= {written}>");
        let stream = if written.starts_with("jsm?=") { stream.replace("?= ", "") } else { stream };
        let seen = matches_in(&["jsmith"], stream.as_bytes());
        let first = seen.first().expect(written);
        assert_eq!(first.0, encoding, "{written}");
        assert!(written.ends_with(&first.1) && seen.len() == 1, "{written}: {seen:?}");
    }
}

#[test]
fn encoded_words_are_read_and_told_once() {
    let name = "Ægir Ólafsson";
    let q = "=?utf-8?Q?=C3=86gir_=C3=93lafsson?=";
    let seen = matches_in(&[name], format!("From: {q} <a@b>").as_bytes());
    assert_eq!(seen, [(Encoding::Rfc2047, "=C3=86gir_=C3=93lafsson".to_owned())]);
    let b = data_encoding::BASE64.encode(name.as_bytes());
    let seen = matches_in(&[name], format!("From: =?UTF-8?B?{b}?= <a@b>").as_bytes());
    assert_eq!(seen, [(Encoding::Rfc2047, b.trim_end_matches('=').to_owned())]);
    let halves = "=?UTF-8?B?w4ZnaXIg?=\r\n =?iso-8859-1?Q?_?= =?UTF-8?B?w5NsYWZzc29u?=";
    let seen = matches_in(&[name], format!("From: {halves} <a@b>").as_bytes());
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].0, Encoding::Rfc2047);
    let latin = matches_in(&[name], b"From: =?iso-8859-1?Q?=C6gir_=D3lafsson?=\r\n");
    assert_eq!(latin, [(Encoding::Rfc2047, "=C6gir_=D3lafsson".to_owned())]);
}

#[test]
fn an_escape_where_an_encoded_word_ends_is_read() {
    // Words that have no end of their own.
    for stream in [
        "=?utf-8?Q?abc jsm=\r\nith ",
        "=?utf-8?Q?abc jsm=\nith ",
        "=41%41=?utf-8?B?YWJj%6asm=69th ",
    ] {
        let found = scan(&matcher(&["jsmith"]), stream.as_bytes());
        assert_eq!(found.len(), 1, "{stream}");
        let bytewise: Vec<usize> = (1..stream.len()).collect();
        assert_eq!(scan_cut(&matcher(&["jsmith"]), stream.as_bytes(), &bytewise), found);
    }
    let qp = "=6A=73=6D=69=74=68";
    for word in ["=?utf-8?Q?abc?=", "=?utf-8?B?YWJj?="] {
        for stream in
            [format!("{word}{qp} "), format!("{word}j=73mith "), format!("{word}=6asmith ")]
        {
            let found = scan(&matcher(&["jsmith"]), stream.as_bytes());
            assert_eq!(found.len(), 1, "{stream}");
            assert_eq!(found[0].1, Encoding::QuotedPrintable, "{stream}");
            let bytewise: Vec<usize> = (1..stream.len()).collect();
            assert_eq!(scan_cut(&matcher(&["jsmith"]), stream.as_bytes(), &bytewise), found);
        }
        // Behind another escape, so that all are read together.
        for escape in ["%6asmith", "&#106;smith", "\\u006asmith"] {
            let stream = format!("%41&#65;\\u0041{word}{escape} ");
            assert_eq!(scan(&matcher(&["jsmith"]), stream.as_bytes()).len(), 1, "{stream}");
        }
    }
}

#[test]
fn a_short_name_behind_an_escape_that_ends_in_a_letter_or_digit_is_a_word() {
    for (stream, encoding) in [
        ("mailto%3Aann%40x", Encoding::Percent),
        ("q=%20ann ", Encoding::Percent),
        ("x =20ann, y", Encoding::QuotedPrintable),
        ("\"\\u002fann\"", Encoding::JsonEscape),
        ("&#58ann ", Encoding::HtmlEntity),
    ] {
        let offset = stream.find("ann").unwrap() as u64;
        let bytewise: Vec<usize> = (1..stream.len()).collect();
        for cuts in [&[][..], &bytewise] {
            let found = scan_cut(&matcher(&["ann"]), stream.as_bytes(), cuts);
            assert_eq!(found, [(0, encoding, offset, 3)], "{stream}");
        }
    }
    // A letter is one on the wire and behind the escape; an octet that is none was told by the plain search.
    for stream in ["%41ann ", "=41ann ", "%3Aanna", "%3Aan%6e%61"] {
        assert!(scan(&matcher(&["ann"]), stream.as_bytes()).is_empty(), "{stream}");
    }
    for stream in ["&#58;ann ", "=\r\nann ", "%3A ann "] {
        assert_eq!(scan(&matcher(&["ann"]), stream.as_bytes()).len(), 1, "{stream}");
    }
}

#[test]
fn names_of_html_and_characters_behind_a_backslash_are_read() {
    let seen = matches_in(&["Zoë Öz"], b"<b>Zo&euml;&nbsp;&Ouml;z</b>");
    assert_eq!(seen, [(Encoding::HtmlEntity, "Zo&euml;&nbsp;&Ouml;z".to_owned())]);
    let seen = matches_in(&["DOM\\jsmith"], b"{\"user\": \"DOM\\\\jsmith\"}");
    assert_eq!(seen, [(Encoding::JsonEscape, "DOM\\\\jsmith".to_owned())]);
    let seen = matches_in(&["a😀b c"], b"\"a\\ud83d\\uDE00b c\"");
    assert_eq!(seen, [(Encoding::JsonEscape, "a\\ud83d\\uDE00b c".to_owned())]);
    let seen = matches_in(&["a😀b c"], b"\"a&2D3eAA-b c\"");
    assert_eq!(seen, [(Encoding::ModifiedUtf7, "a&2D3eAA-b c".to_owned())]);
}

#[test]
fn blanks_in_a_name_may_be_folded() {
    for written in
        ["John  Smith", "john\r\n smith", "JOHN\tSMITH", "John\u{a0}Smith", "John\nSmith"]
    {
        assert_eq!(
            matches_in(&["John Smith"], format!("x{written}y").as_bytes()),
            [(Encoding::Ascii, written.to_owned())]
        );
    }
    assert!(matches_in(&["John Smith"], b"JohnSmith John.Smith").is_empty());
}

#[test]
fn a_text_of_any_length_is_found_at_any_place_in_the_stride() {
    // Alone, so that the length of the text chooses the stride.
    for len in 2..=26 {
        let text: String = "qwertzuiopasdfghjklyxcvbnm".chars().take(len).collect();
        let matcher = matcher(&[&text]);
        for shift in 0..9 {
            let mut written = vec![
                text.to_uppercase().into_bytes(),
                utf16(&text, u16::to_le_bytes),
                utf16(&text, u16::to_be_bytes),
                each(text.as_bytes(), |octet| format!("{octet:02x}")),
            ];
            if len >= 5 {
                for phase in 0..3 {
                    let whole = [&b"  "[..phase], text.as_bytes()].concat();
                    let base64 = data_encoding::BASE64.encode(&whole).into_bytes();
                    for border in (4..base64.len()).step_by(4) {
                        for line_break in ["\r\n", "\n", "\r\n ", "\r\n\t", "\r"] {
                            let (front, back) = base64.split_at(border);
                            written.push([front, line_break.as_bytes(), back].concat());
                        }
                    }
                    written.push(base64);
                }
            }
            for octets in written {
                let stream = [&b".;.;.;.;."[..shift], &octets, b".;.;"].concat();
                let found = scan(&matcher, &stream);
                assert_eq!(found.len(), 1, "{len} {shift} {:?}", String::from_utf8_lossy(&octets));
                let cut =
                    scan_cut(&matcher, &stream, &[shift + 1, shift + 2.max(octets.len() / 2)]);
                assert_eq!(cut, found, "{len} {shift} {:?}", String::from_utf8_lossy(&octets));
            }
        }
    }
}

#[test]
fn base64_is_found_with_breaks_at_any_two_places() {
    let text = "qwertzuiopas";
    let matcher = matcher(&[text]);
    for phase in 0..3 {
        let whole = [&b"  "[..phase], text.as_bytes(), b"  "].concat();
        let base64 = data_encoding::BASE64.encode(&whole).into_bytes();
        for (first, second) in (3..15).flat_map(|at| (at..15).map(move |other| (at, other))) {
            let [front, middle, back] =
                [&base64[..first], &base64[first..second], &base64[second..]];
            let stream = [b"..", front, b"\n", middle, b"\r\n", back].concat();
            let found = scan(&matcher, &stream);
            assert_eq!(found.len(), 1, "{phase} {first} {second}");
            let bytewise: Vec<usize> = (1..stream.len()).collect();
            assert_eq!(scan_cut(&matcher, &stream, &bytewise), found, "{phase} {first} {second}");
        }
    }
}

#[test]
fn base64_among_other_base64_is_found_with_a_break_anywhere_in_or_beside_it() {
    // The short ones make the stride short, so that much of the others stands beside what is looked at.
    for texts in
        [["qwertzuiopas", "lkjhgf"], ["Grüße>>??~ß", "lkjhgfds"], ["qwertzuiopasdfghjk"; 2]]
    {
        let matcher = matcher(&texts);
        let text = texts[0];
        for (phase, seed) in (0..18).map(|nth| (nth % 3, nth as u32)) {
            let around = noise(24, seed);
            let cased: String = text
                .chars()
                .enumerate()
                .map(|(nth, c)| if seed >> (nth % 3) & 1 == 0 { c } else { c.to_ascii_uppercase() })
                .collect();
            let whole = [&around[..9 + phase], cased.as_bytes(), &around[9..]].concat();
            let url = data_encoding::BASE64URL_NOPAD;
            let coding = if seed % 2 == 0 { data_encoding::BASE64 } else { url };
            let base64 = coding.encode(&whole).into_bytes();
            for (at, mark) in (1..base64.len()).flat_map(|at| {
                ["\r\n", "\n", "\r\n ", "\n\t"].into_iter().map(move |mark| (at, mark))
            }) {
                let (front, back) = base64.split_at(at);
                let shift = &b".;.;.;.;"[..at % 9];
                let stream = [shift, front, mark.as_bytes(), back].concat();
                let found = scan(&matcher, &stream);
                let seen = String::from_utf8_lossy(&stream);
                assert!(found.iter().any(|it| it.0 == 0), "{text} {phase} {at} {mark:?} {seen}");
                let cut =
                    scan_cut(&matcher, &stream, &[shift.len() + at, shift.len() + at + mark.len()]);
                assert_eq!(cut, found, "{text} {phase} {at} {mark:?} {seen}");
            }
        }
    }
}

#[test]
fn a_broken_text_is_told_once_however_much_stands_behind_it() {
    let matcher = matcher(&["lfxzvjitgtbsvfnumz", "qwertzuiopy"]);
    let base64 = data_encoding::BASE64.encode(b"lfxzvjitgtbsvfnumz");
    for (at, count) in (1..base64.len()).flat_map(|at| [3, 63, 64, 65, 200].map(|it| (at, it))) {
        let (front, back) = base64.split_at(at);
        let behind = "qwertzuiopy ".repeat(count);
        for escape in ["", "%20"] {
            let stream = format!("{escape}{front}\r\n{back} {behind}{escape}");
            let found = scan(&matcher, stream.as_bytes());
            assert_eq!(found.len(), count + 1, "{at} {escape}");
            let cut = scan_cut(&matcher, stream.as_bytes(), &[at, at + 9, stream.len() - 5]);
            assert_eq!(cut, found, "{at} {count} {escape}");
        }
    }
}

#[test]
fn a_broken_text_in_an_escape_is_told_once_however_much_stands_behind_it() {
    let matcher = matcher(&["lfxzvjitgtbsvfnumz", "qwertzuiopy"]);
    let base64 = data_encoding::BASE64.encode(b"lfxzvjitgtbsvfnumz").replace('b', "%62");
    assert!(base64.contains('%'));
    for at in (1..base64.len()).filter(|at| !base64[..*at].ends_with(['%', '6'])) {
        let (front, back) = base64.split_at(at);
        let stream = format!("{front}\r\n{back} {}", "%71wertzuiop%79 ".repeat(200));
        let found = scan(&matcher, stream.as_bytes());
        assert_eq!(found.iter().filter(|it| it.0 == 0).count(), 1, "{at}");
        assert_eq!(found.len(), 201, "{at}");
    }
}

#[test]
fn very_short_names_are_found_as_words_only() {
    let matcher = matcher(&["al"]);
    let places = |bytes: &[u8]| -> Vec<u64> {
        scan(&matcher, bytes)
            .iter()
            .filter(|one| one.1 == Encoding::Ascii)
            .map(|one| one.2)
            .collect()
    };
    assert_eq!(places(b"al, also, final, USER AL\r\n(al)al"), [0, 22, 27, 30]);
    assert_eq!(places(b"xal al"), [4]);
    let stream = b"al al1 <al> al";
    let bytewise: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(scan_cut(&matcher, stream, &bytewise), scan(&matcher, stream));
    assert_eq!(matcher.patterns_dropped(), ["name: base64"]);
}

#[test]
fn a_very_short_name_in_front_of_a_gap_is_told_with_the_next_octets() {
    let matcher = matcher(&["al"]);
    let mut scanner = Scanner::default();
    let mut seen = Vec::new();
    matcher.scan(&mut scanner, 0, b"USER al", frame(1), &mut |m| seen.push((m.offset, m.frames)));
    assert!(seen.is_empty());
    let mut scanner_seen = Vec::new();
    matcher.gap(&mut scanner);
    matcher.scan(&mut scanner, 9, b"x", frame(2), &mut |m| scanner_seen.push((m.offset, m.frames)));
    assert_eq!(scanner_seen, [(5, frame(1))]);
}

#[test]
fn texts_that_cannot_be_searched_are_refused_with_a_remedy() {
    let refused = |text: &str| Matcher::new(&[identifier(text)], &[]).err().expect("refused");
    assert_eq!(refused(" "), InspectError::EmptyIdentifier { label: "name".into() });
    assert!(matches!(refused("æ"), InspectError::ShortIdentifier { got: 1, .. }));
    assert!(matches!(refused(&"x".repeat(257)), InspectError::LongIdentifier { got: 257, .. }));
    assert!(refused("").remedy().is_some_and(|remedy| remedy.contains("--identifier")));
    let many = vec![identifier("name"); MAX_TEXTS + 1];
    assert!(matches!(Matcher::new(&many, &[]), Err(InspectError::TooManyIdentifiers { .. })));
    assert!(Matcher::new(&[], &[]).unwrap().is_empty());
}

#[test]
fn a_full_set_of_long_names_is_searched_and_a_scanner_stays_small() {
    let texts: Vec<String> =
        (0..40).map(|i| format!("{i:03} {}", "Ünïcode näme ".repeat(15))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let matcher = matcher(&texts);
    assert!(matcher.patterns_dropped().is_empty());
    let mut scanner = Scanner::default();
    let hostile = b"=?utf-8?Q?=C3=9Cn=\r\n&#220;&AOk\\u00fc%c3=\r\n=\r\n039 U".repeat(300);
    for (i, octet) in hostile.iter().enumerate() {
        let octet = std::slice::from_ref(octet);
        matcher.scan(&mut scanner, i as u64, octet, frame(i as u64 + 1), &mut |_| {});
        assert!(scanner.memory() < 2_000_000, "{}", scanner.memory());
    }
}

mod model {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    static ONE: LazyLock<Matcher> = LazyLock::new(|| matcher(&["jsmith"]));
    static SEVERAL: LazyLock<Matcher> =
        LazyLock::new(|| matcher(&["jsmith", "al", "SMI", "JSmith x", "é/j"]));

    /// What the matcher tells, as the slow way tells it.
    fn hits(seen: &[Seen]) -> Vec<naive::Hit> {
        let name = |encoding: Encoding| match encoding {
            Encoding::Ascii => "ascii",
            Encoding::Utf16Le => "utf-16le",
            Encoding::Utf16Be => "utf-16be",
            Encoding::Base64 => "base64",
            Encoding::Base64Url => "base64url",
            Encoding::Hex => "hex",
            Encoding::Percent => "percent",
            Encoding::QuotedPrintable => "quoted-printable",
            Encoding::HtmlEntity => "html-entity",
            Encoding::JsonEscape => "json-escape",
            Encoding::ModifiedUtf7 => "modified-utf-7",
            _ => "another",
        };
        let hit =
            |one: &Seen| (one.0, name(one.1), one.2 as usize, one.2 as usize + one.3 as usize);
        seen.iter().map(hit).collect()
    }

    /// Encoded words change what follows them; they have tests of their own.
    fn without_words(mut stream: Vec<u8>) -> Vec<u8> {
        for i in 1..stream.len() {
            if stream[i - 1] == b'=' && stream[i] == b'?' {
                stream[i] = b'.';
            }
        }
        stream
    }

    /// Holds the matcher against the slow way: nothing missed, nothing invented, each once.
    fn assert_as_the_slow_way(
        matcher: &Matcher,
        texts: &[&str],
        stream: &[u8],
        cuts: &[usize],
    ) -> Result<(), TestCaseError> {
        let told = hits(&scan_cut(matcher, stream, cuts));
        let seen: BTreeSet<naive::Hit> = told.iter().copied().collect();
        let naive = naive::search(texts, stream);
        let shown = || format!("{texts:?} {}", stream.escape_ascii());
        let missed: Vec<_> = naive.difference(&seen).collect();
        prop_assert!(missed.is_empty(), "missed {missed:?} in {}", shown());
        let invented: Vec<_> = seen.difference(&naive).collect();
        prop_assert!(invented.is_empty(), "invented {invented:?} in {}", shown());
        prop_assert_eq!(told.len(), seen.len(), "told twice in {}", shown());
        Ok(())
    }

    /// The slow way itself: what is written by hand is found, where it stands, and no other text.
    #[test]
    fn the_slow_way_finds_every_encoding_of_every_sample() {
        let texts = ["jsmith", "John Smith", "Reindeer Games", "qwertzuiopasdfghjklyxcvbnm-42.9"];
        for (needle, text) in texts.iter().enumerate() {
            for (i, (encoding, octets)) in spellings(text).into_iter().enumerate() {
                let front = noise(10 + i, i as u32);
                let stream = [front.as_slice(), &octets, &noise(20, 7)].concat();
                let place = (needle, encoding, front.len() as u64, octets.len() as u32);
                let expected: BTreeSet<naive::Hit> = hits(&[place]).into_iter().collect();
                assert_eq!(naive::search(&texts, &stream), expected, "{encoding} {text}");
                let nearly: Vec<u8> =
                    stream.iter().map(|it| if *it == octets[0] { b'!' } else { *it }).collect();
                assert!(naive::search(&texts, &nearly).is_empty(), "{encoding} {text}");
            }
        }
    }

    /// A text of ASCII. Few letters, so that one often begins like another, or within itself.
    fn text(len: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
        let letters = prop::sample::select(b"aabbkz47._@-?> ".to_vec());
        prop::collection::vec(letters, len).prop_map(|mut text| {
            for i in 0..text.len() {
                if text[i] == b' ' && (i == 0 || i + 1 == text.len() || text[i - 1] == b' ') {
                    text[i] = b'Q';
                }
            }
            text.iter().map(|octet| char::from(*octet)).collect()
        })
    }

    /// Short texts alone, long ones alone, and both: the shortest one chooses how many places are looked at.
    fn texts() -> impl Strategy<Value = Vec<String>> {
        let some = |len| prop::collection::vec(text(len), 1..4);
        prop_oneof![
            2 => some(3..=6),
            1 => some(5..=10),
            3 => some(12..=40),
            2 => (some(3..=6), some(12..=40)).prop_map(|(short, long)| [short, long].concat()),
        ]
    }

    /// How a text, or a part of it, is written.
    #[derive(Clone, Debug)]
    struct Way {
        /// Which text.
        nth: usize,
        encoding: u8,
        /// Bit by bit: which characters are in the other case, are escaped, or have a line break behind them.
        case: u64,
        escaped: u64,
        broken: u64,
        /// Octets that are left out in front and behind, and one that is changed.
        cut: (usize, usize, Option<(usize, u8)>),
        /// What stands in front and behind.
        around: (Vec<u8>, Vec<u8>),
    }

    fn way() -> impl Strategy<Value = Way> {
        // Mostly few.
        let bits = || prop_oneof![2 => Just(0_u64), 2 => any::<u64>().prop_map(|it| it & it >> 7 & it >> 13), 1 => any::<u64>()];
        let left_out = || prop_oneof![6 => Just(0_usize), 1 => 0_usize..30];
        let change = prop_oneof![5 => Just(None), 1 => (0_usize..80, any::<u8>()).prop_map(Some)];
        let octets = || {
            prop_oneof![
                3 => prop::collection::vec(any::<u8>(), 0..6),
                2 => prop::sample::select(vec![&b" "[..], b"\0", b"a", b"%", b"=", b"&", b"\\", b"%2", b"=\r\n", b"\r\n", b"&AG", b"%20"]).prop_map(<[u8]>::to_vec),
                1 => prop::collection::vec(prop::sample::select(b"ab. \n".to_vec()), 0..200),
            ]
        };
        let way = (
            0_usize..6,
            0_u8..24,
            bits(),
            bits(),
            bits(),
            (left_out(), left_out(), change),
            (octets(), octets()),
        );
        way.prop_map(|(nth, encoding, case, escaped, broken, cut, around)| Way {
            nth,
            encoding,
            case,
            escaped,
            broken,
            cut,
            around,
        })
    }

    fn bit(bits: u64, nth: usize) -> bool {
        bits >> (nth % 64) & 1 == 1
    }

    /// A character in an escape of its own.
    fn escape(octet: u8, kind: u8) -> String {
        match kind % 8 {
            0 => format!("%{octet:02x}"),
            1 => format!("={octet:02X}"),
            2 => format!("&#{octet};"),
            3 => format!("\\u{octet:04x}"),
            4 => format!("=\r\n{}", char::from(octet)),
            5 => format!("&{}-", data_encoding::BASE64_NOPAD.encode(&[0, octet])),
            6 => format!("\\x{octet:02x}"),
            _ => format!("&#x{octet:x}"),
        }
    }

    fn write(texts: &[String], way: &Way) -> Vec<u8> {
        let text = texts[way.nth % texts.len()].as_bytes();
        let cased: Vec<u8> = text
            .iter()
            .enumerate()
            .map(|(nth, octet)| {
                if bit(way.case, nth) && octet.is_ascii_alphabetic() {
                    octet ^ 0x20
                } else {
                    *octet
                }
            })
            .collect();
        let low = String::from_utf8(cased.clone()).unwrap();
        let (little, big) = (utf16(&low, u16::to_le_bytes), utf16(&low, u16::to_be_bytes));
        let coded = |coding: data_encoding::Encoding, octets: &[u8]| {
            let phase = (way.case >> 9) as usize % 3;
            let whole = [
                &way.escaped.to_le_bytes()[..phase],
                octets,
                &way.broken.to_le_bytes()[..3 - phase],
            ]
            .concat();
            coding.encode(&whole).into_bytes()
        };
        let digits = |separator: &str| {
            let digits: Vec<String> = cased
                .iter()
                .enumerate()
                .map(|(nth, octet)| {
                    if bit(way.case, nth) { format!("{octet:02X}") } else { format!("{octet:02x}") }
                })
                .collect();
            digits.join(separator).into_bytes()
        };
        let octets = match way.encoding {
            0 => little,
            1 => big,
            2..=4 => coded(data_encoding::BASE64, &cased),
            5 => coded(data_encoding::BASE64URL_NOPAD, &cased),
            6 => coded(data_encoding::BASE64, &little),
            7..=8 => digits(""),
            9 => digits([":", "-", " "][(way.case >> 9) as usize % 3]),
            10 => low
                .replace(' ', ["+", "\r\n ", "  ", "\t", "\u{a0}"][(way.case >> 9) as usize % 5])
                .into_bytes(),
            _ => cased,
        };
        let (front, behind, change) = way.cut;
        let mut octets: Vec<u8> =
            octets.get(front..octets.len().saturating_sub(behind)).unwrap_or_default().to_vec();
        if let Some((at, octet)) = change
            && let Some(place) = octets.get_mut(at)
        {
            *place = octet;
        }
        let mut written = way.around.0.clone();
        for (nth, octet) in octets.iter().enumerate() {
            let is_escaped = bit(way.escaped, nth) && way.encoding > 3;
            if is_escaped {
                // Mostly of one family.
                let kind = if bit(way.broken, nth) {
                    way.broken as u8 >> (nth % 8)
                } else {
                    way.case as u8
                };
                written.extend(escape(*octet, kind).into_bytes());
            } else {
                written.push(*octet);
                if bit(way.broken, nth) && (2..=6).contains(&way.encoding) {
                    written.extend([&b"\r\n"[..], b"\n", b"\r\n ", b"\n\t"][nth % 4]);
                }
            }
        }
        written.extend(&way.around.1);
        written
    }

    fn fragment() -> impl Strategy<Value = Vec<u8>> {
        let fixed: Vec<&[u8]> = vec![
            b"jsmith",
            b"JSM",
            b"ith",
            b"j",
            b"smit",
            b"%6a",
            b"%6A",
            b"%",
            b"%7",
            b"3",
            b"=73",
            b"=6D",
            b"anNtaXRo",
            b"anNt",
            b"aXRo",
            b"SlNNSVRI",
            b"YW5zbWl0aA",
            b"Cmp",
            b"zbWl0a",
            b"C5",
            b"AGpz",
            b"bWl0aC",
            b"\r\n",
            b"-",
            b"_",
            b" ",
            b"\\u006",
            b"a",
            b"&#106;",
            b"&amp;",
            b"&Amo",
            b"=?x?Q?",
            b"?=",
            b"=?x?B?",
        ];
        let coded =
            (prop::collection::vec(any::<u8>(), 0..4), any::<bool>()).prop_map(|(front, url)| {
                let whole = [front.as_slice(), b"JSmith", &front].concat();
                let coding = if url { data_encoding::BASE64URL } else { data_encoding::BASE64 };
                coding.encode(&whole).into_bytes()
            });
        prop_oneof![
            8 => prop::sample::select(fixed).prop_map(<[u8]>::to_vec),
            2 => coded,
            1 => prop::collection::vec(any::<u8>(), 1..4),
        ]
    }

    /// Texts long enough that most escapes stand among too few octets of theirs; once as it is, once with all views awake.
    static LONG: LazyLock<[Matcher; 2]> = LazyLock::new(|| {
        let make = || matcher(&["j.smith@example", "Reindeer Games"]);
        let mut wakeful = make();
        wakeful.index.around = wakeful.index.around.anything();
        [make(), wakeful]
    });

    /// A text in which some characters are escaped, among other octets; or a part of one.
    fn escaped_stream() -> impl Strategy<Value = Vec<u8>> {
        let text =
            prop::sample::select(vec!["j.smith@example", "Reindeer Games", "reindeer_games"]);
        let write = |c: char, how: u8| match how {
            0 => format!("%{:02x}", u32::from(c)),
            1 => format!("={:02X}", u32::from(c)),
            2 => format!("&#{};", u32::from(c)),
            3 => format!("\\u{:04x}", u32::from(c)),
            4 => format!("=\r\n{c}"),
            5 => format!("&{}-", data_encoding::BASE64_NOPAD.encode(&[0, c as u8])),
            _ => c.to_string(),
        };
        let written = (text, prop::collection::vec(0_u8..24, 16), 0_usize..12).prop_map(
            move |(text, how, skip)| {
                let skip = if skip < 4 { skip } else { 0 };
                let chars = text.chars().zip(how).skip(skip);
                chars.map(|(c, how)| write(c, how)).collect::<String>().into_bytes()
            },
        );
        let part = prop_oneof![
            4 => written,
            2 => fragment(),
            2 => prop::collection::vec(any::<u8>(), 0..6),
            1 => prop::sample::select(vec![&b"=?x?Q?"[..], b"=?x?B?", b"?=", b"?= ", b"!"])
                .prop_map(<[u8]>::to_vec),
        ];
        prop::collection::vec(part, 1..12).prop_map(|parts| parts.concat())
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(fragment(), 1..24).prop_map(|fragments| fragments.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

        #[test]
        fn the_matcher_finds_what_the_slow_way_finds(stream in stream()) {
            assert_as_the_slow_way(&ONE, &["jsmith"], &without_words(stream), &[])?;
        }

        #[test]
        fn of_several_texts_the_matcher_finds_what_the_slow_way_finds(
            texts in texts(),
            ways in prop::collection::vec(way(), 1..8),
            cuts in prop::collection::btree_set(0_usize..600, 0..12),
        ) {
            let stream: Vec<u8> = ways.iter().flat_map(|way| write(&texts, way)).collect();
            let stream = without_words(stream);
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut <= stream.len()).collect();
            assert_as_the_slow_way(&matcher(&texts), &texts, &stream, &cuts)?;
        }

        #[test]
        fn any_cut_gives_the_same_matches_each_once(
            stream in stream(),
            cuts in prop::collection::btree_set(0_usize..160, 0..12),
        ) {
            let whole = scan(&SEVERAL, &stream);
            let cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut <= stream.len()).collect();
            prop_assert_eq!(&scan_cut(&SEVERAL, &stream, &cuts), &whole);
            let bytewise: Vec<usize> = (1..stream.len()).collect();
            prop_assert_eq!(&scan_cut(&SEVERAL, &stream, &bytewise), &whole);
            let mut once = whole.clone();
            once.dedup();
            prop_assert_eq!(once, whole);
        }

        #[test]
        fn an_escape_that_wakes_no_view_lies_in_no_match(
            stream in escaped_stream(),
            cuts in prop::collection::btree_set(0_usize..300, 0..6),
        ) {
            let [sleepy, wakeful] = &*LONG;
            let whole = scan(wakeful, &stream);
            prop_assert_eq!(&scan(sleepy, &stream), &whole);
            let cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut <= stream.len()).collect();
            prop_assert_eq!(&scan_cut(sleepy, &stream, &cuts), &whole);
            let bytewise: Vec<usize> = (1..stream.len()).collect();
            prop_assert_eq!(&scan_cut(sleepy, &stream, &bytewise), &whole);
        }

        #[test]
        fn no_text_and_no_stream_make_it_panic(
            text in "\\PC{2,12}",
            stream in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Ok(matcher) = Matcher::new(&[identifier(&text)], &[]) {
                let planted = [stream.as_slice(), text.trim().as_bytes(), b"\0"].concat();
                let seen = scan(&matcher, &planted);
                let found = seen.iter().any(|one| one.2 as usize == stream.len());
                let word = text.trim().chars().count() <= 3;
                prop_assert!(found || word, "{text:?}");
            }
        }
    }
}

/// As often as computed, and no less: texts of two characters are found only between octets that are no letters or digits, and
/// four times the deviation of such a count is left on either side.
#[test]
fn random_octets_hit_as_often_as_computed() {
    const OCTETS: u32 = 1 << 20;
    let texts = ["jsmith", "Zoë", "x7", "Reindeer Games", "al", "Ää"];
    // How many of the 65,536 pairs of octets are each of them.
    let pairs = [
        (2, Encoding::Ascii, 2.0),
        (4, Encoding::Ascii, 4.0),
        (5, Encoding::Latin1, 4.0),
        (5, Encoding::MacRoman, 4.0),
    ];
    let matcher = matcher(&texts);
    let mut state = 1_u64;
    let octets: Vec<u8> = (0..OCTETS)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    let mut hits = std::collections::BTreeMap::new();
    matcher.scan_alone(&mut Scanner::default(), 0, &octets, frame(1), &mut |m| {
        let entry = hits.entry((needle_index(m.needle), m.encoding)).or_insert((0.0, 0.0));
        entry.0 += 1.0;
        entry.1 = m.octet_probability * f64::from(OCTETS);
    });
    for ((needle, encoding), (count, expected)) in &hits {
        assert!(![0, 3].contains(needle), "{encoding} of a long name by chance");
        let allowed = expected + 4.0 * f64::sqrt(*expected) + 3.0;
        assert!(*count <= allowed, "{needle} {encoding}: {count}, expected {expected}");
    }
    let no_letter = f64::from(256 - 62) / 256.0;
    for (needle, encoding, ways) in pairs {
        let expected = f64::from(OCTETS) * ways / 65_536.0;
        let (count, computed) = hits.get(&(needle, encoding)).copied().unwrap_or_default();
        assert!((computed / expected - 1.0).abs() < 1e-9, "{needle} {encoding}: {computed}");
        let as_words = expected * no_letter * no_letter;
        let off = (count - as_words).abs();
        assert!(off <= 4.0 * as_words.sqrt(), "{needle} {encoding}: {count}, not {as_words}");
    }
}

#[test]
fn utf16_inside_a_longer_text_is_told_once() {
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let stream = [&b"\0"[..], &utf16("user jsmith logged on", order), b"\0"].concat();
        assert_eq!(scan(&matcher(&["jsmith"]), &stream).len(), 1);
    }
    let at_the_end = utf16("USER jsmith", u16::to_be_bytes);
    assert_eq!(scan(&matcher(&["jsmith"]), &at_the_end), [(0, Encoding::Utf16Be, 10, 12)]);
}

/// The Greek question mark and the sign of Kelvin are a semicolon and a K in both normal forms.
#[test]
fn a_character_that_becomes_ascii_is_found_as_it_was_given() {
    for text in ["\u{37e}a A", "\u{212a}elvin"] {
        assert_eq!(scan(&matcher(&[text]), text.as_bytes()).len(), 1, "{text}");
    }
}
