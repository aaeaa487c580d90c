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
            *written += &format!("&{}-", coded.replace('/', ","));
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
    all.push((
        E::JsonEscape,
        utf16(text, u16::to_be_bytes)
            .chunks(2)
            .map(|u| format!("\\u{:02x}{:02X}", u[0], u[1]))
            .collect::<String>()
            .into_bytes(),
    ));
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
            let others: Vec<&Seen> = others
                .filter(|one| !matches!(one.1, Encoding::Utf16Le | Encoding::Utf16Be))
                .collect();
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
