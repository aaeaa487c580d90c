//! Expansion: an identifier -> the patterns that it may stand on the wire as.
//!
//! Escapes that may touch any single character (percent, quoted-printable, entities, `\u`) are not expanded here: they are
//! undone by the views, and what they yield is searched with the same patterns.

use super::Needle;
use super::chance;
use super::charset::{case_variants, latin1, mac_roman, utf8, utf16be, utf16le};
use super::pattern::{Form, Pattern, Span64, Unit};
use super::slots::{Slot, Slots};
use crate::model::Encoding;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

/// Texts of up to so many characters are reported only where they are words by themselves.
const MAX_WORD_CHARS: usize = 3;
/// Base64 characters that a text must determine in full; with fewer it would be found everywhere.
const MIN_BASE64_CHARS: usize = 3;
/// Patterns of a text in ASCII: three in raw octets, six in base64, four in hexadecimal digits.
const USUAL_PATTERNS: usize = 13;
/// Alternatives of one slot, beyond which further ones would only slow the search down.
const MAX_ALTERNATIVES: usize = 24;

type Charset = fn(&str) -> Option<Vec<u8>>;

/// The alternatives of a slot while they are gathered.
type Ways = Vec<Vec<u8>>;

/// What blanks inside a text may be written as besides one blank: folded header lines (RFC 5322 s2.2.3), other blanks.
const BLANKS: &[&str] =
    &["\r\n ", "\r\n\t", "\n ", "\n\t", "\r\n", "\n", "  ", "   ", "\t", "\u{a0}"];

/// The patterns of one text, and the encodings that it cannot be searched in.
pub(super) struct Expansion {
    pub(super) patterns: Vec<Pattern>,
    pub(super) dropped: Vec<Encoding>,
}

/// Expands one text. It has no blanks at its ends and is not empty.
pub(super) fn expand(needle: Needle, text: &str) -> Expansion {
    let (nfc, nfd): (String, String) = (text.nfc().collect(), text.nfd().collect());
    let mut expander = Expander {
        needle,
        word: nfc.chars().count() <= MAX_WORD_CHARS,
        patterns: Vec::with_capacity(USUAL_PATTERNS),
        dropped: Vec::new(),
        plain: Slots::default(),
        hexed: Slots::default(),
    };
    // A text may be in neither of the normal forms (the Angstrom sign, some Indic letters).
    let forms = [nfc.as_str(), nfd.as_str(), text];
    expander.raw(forms);
    expander.base64(forms);
    expander.hex(forms);
    chance::fill(&mut expander.patterns);
    Expansion { patterns: expander.patterns, dropped: expander.dropped }
}

struct Expander {
    needle: Needle,
    word: bool,
    patterns: Vec<Pattern>,
    dropped: Vec<Encoding>,
    /// Slots while they are put together: each pattern takes a copy that is no larger than needed.
    plain: Slots,
    hexed: Slots,
}

impl Expander {
    fn raw(&mut self, forms: [&str; 3]) {
        let [nfc, nfd, given] = forms;
        let octet = Some(Unit::Octet);
        if nfc.is_ascii() {
            self.slots(Encoding::Ascii, nfc, utf8, octet);
            self.slots(Encoding::Utf8Nfc, given, utf8, octet);
        } else {
            self.slots(Encoding::Utf8Nfc, nfc, utf8, octet);
            self.slots(Encoding::Utf8Nfd, nfd, utf8, octet);
            self.slots(Encoding::Utf8Nfc, given, utf8, octet);
            self.slots(Encoding::Latin1, nfc, latin1, octet);
            self.slots(Encoding::MacRoman, nfc, mac_roman, octet);
        }
        for text in distinct(forms) {
            self.slots(Encoding::Utf16Le, text, utf16le, Some(Unit::LittleEndian));
            self.slots(Encoding::Utf16Be, text, utf16be, Some(Unit::BigEndian));
        }
    }

    fn slots(&mut self, encoding: Encoding, text: &str, charset: Charset, unit: Option<Unit>) {
        if written(text, charset, Spelling::Blanks, &mut self.plain).is_some() {
            let slots = Arc::new(self.plain.clone());
            self.push(encoding, Form::Slots, slots, unit.filter(|_| self.word));
        }
    }

    fn base64(&mut self, forms: [&str; 3]) {
        let [nfc, ..] = forms;
        let latin1: Charset = latin1;
        let forms = |charset: Charset| distinct(forms).map(move |text| (text, charset));
        let texts = [(nfc, latin1)].into_iter().chain(forms(utf8)).chain(forms(utf16le));
        for (text, charset) in texts {
            if written(text, charset, Spelling::SameLength, &mut self.plain).is_none() {
                continue;
            }
            let slots = Arc::new(self.plain.clone());
            for phase in 0..3 {
                let octets = slots.iter().filter_map(Slot::first).map(<[u8]>::len).sum();
                if full_chars(phase, octets) < MIN_BASE64_CHARS {
                    self.drop_encoding(Encoding::Base64);
                    continue;
                }
                self.push(Encoding::Base64, Form::Base64 { phase }, Arc::clone(&slots), None);
            }
        }
    }

    fn hex(&mut self, forms: [&str; 3]) {
        for text in distinct(forms) {
            if written(text, utf8, Spelling::Case, &mut self.plain).is_none() {
                continue;
            }
            for separator in ["", ":", "-", " "] {
                let Self { plain, hexed, .. } = self;
                let mut last = plain.len();
                hexed.clear();
                for slot in plain.iter() {
                    last -= 1;
                    let tail = if last == 0 { "" } else { separator };
                    push_hex(slot, separator, tail, hexed);
                }
                let slots = Arc::new(hexed.clone());
                self.push(Encoding::Hex, Form::Slots, slots, None);
            }
        }
    }

    fn push(&mut self, encoding: Encoding, form: Form, slots: Arc<Slots>, word: Option<Unit>) {
        // Encodings that yield the same octets are one pattern, under the first name.
        if self.patterns.iter().any(|known| known.form == form && known.slots == slots) {
            return;
        }
        let needle = self.needle;
        self.patterns.push(Pattern::new(needle, encoding, form, slots, word));
    }

    fn drop_encoding(&mut self, encoding: Encoding) {
        if !self.dropped.contains(&encoding) {
            self.dropped.push(encoding);
        }
    }
}

/// Those of the forms that are no earlier one: most texts have one form.
fn distinct(forms: [&str; 3]) -> impl Iterator<Item = &str> {
    let is_first = move |nth: usize, text: &str| !forms.iter().take(nth).any(|it| *it == text);
    forms.into_iter().enumerate().filter(move |(nth, text)| is_first(*nth, text)).map(|(_, it)| it)
}

/// Which alternatives a slot has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// The case variants.
    Case,
    /// The case variants as long as the character itself: in base64 others would shift all that follows.
    SameLength,
    /// The case variants, and for blanks whatever may stand in their place.
    Blanks,
}

/// The slots of a text in a charset; none where it cannot be written in it.
fn written(text: &str, charset: Charset, spelling: Spelling, slots: &mut Slots) -> Option<()> {
    slots.clear();
    // Each character of ASCII takes as many octets as any other.
    let ascii = if text.is_ascii() { charset(text) } else { None };
    let width = ascii.as_ref().map_or(0, |octets| octets.len() / text.len().max(1));
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_ascii_graphic() {
            // Most characters, and without much ado: the other case differs in one octet.
            let alone;
            let one = if let Some(octets) = &ascii {
                octets.get(at * width..(at + 1) * width)?
            } else {
                alone = charset(c.encode_utf8(&mut [0; 4]))?;
                alone.as_slice()
            };
            let mut other = [0; 4];
            let other = other.get_mut(..one.len())?;
            for (other, octet) in other.iter_mut().zip(one) {
                *other = if octet.is_ascii_alphabetic() { octet ^ 0x20 } else { *octet };
            }
            let other = &*other;
            let count = if one == other { 1 } else { 2 };
            let both = if one < other { [one, other] } else { [other, one] };
            slots.push(both.into_iter().take(count));
            continue;
        }
        let mut run = String::from(c);
        let mut ways: Ways = if spelling == Spelling::Blanks && c.is_whitespace() {
            while let Some((_, more)) = chars.next_if(|(_, next)| next.is_whitespace()) {
                run.push(more);
            }
            blanks(charset)
        } else {
            case_variants(c).iter().filter_map(|variant| charset(variant)).collect()
        };
        let itself = charset(&run)?;
        if spelling == Spelling::SameLength {
            ways.retain(|alternative| alternative.len() == itself.len());
        }
        ways.push(itself);
        tidy(&mut ways);
        slots.push(ways.iter().map(Vec::as_slice));
    }
    Some(())
}

/// What may stand for the blanks inside a text.
fn blanks(charset: Charset) -> Ways {
    let mut ways: Ways = BLANKS.iter().filter_map(|blank| charset(blank)).collect();
    if charset(" ").is_some_and(|blank| blank.len() == 1) {
        ways.push(b"+".to_vec()); // application/x-www-form-urlencoded
        ways.push(b"\xa0".to_vec());
    }
    ways
}

/// Longest first, each once, bounded.
fn tidy(ways: &mut Ways) {
    ways.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    ways.dedup();
    ways.truncate(MAX_ALTERNATIVES);
}

/// Base64 characters that the text alone determines.
fn full_chars(phase: usize, octets: usize) -> usize {
    let span = Span64::of(phase, octets);
    let trail = usize::from(!((phase + octets) * 8).is_multiple_of(6));
    span.chars().saturating_sub(usize::from(span.lead != 0) + trail)
}

/// Adds the hexadecimal digits of a slot, in both cases, and what follows them.
fn push_hex(slot: Slot<'_>, separator: &str, tail: &str, hexed: &mut Slots) {
    const DIGITS: [[u8; 16]; 2] = [*b"0123456789ABCDEF", *b"0123456789abcdef"];
    // Most slots are one octet in two cases.
    if slot.len() <= 2 && slot.iter().all(|octets| octets.len() == 1) && tail.len() <= 1 {
        let mut ways = [[0; 3]; 4];
        let all = slot.iter().flatten().flat_map(|octet| DIGITS.map(|digits| (*octet, digits)));
        let mut count = 0;
        for (way, (octet, digits)) in ways.iter_mut().zip(all) {
            let digit = |value: u8| digits.get(usize::from(value)).copied().unwrap_or(b'0');
            let mark = tail.as_bytes().first().copied().unwrap_or_default();
            *way = [digit(octet >> 4), digit(octet & 15), mark];
            count += 1;
        }
        let ways = ways.get_mut(..count).unwrap_or_default();
        ways.sort_unstable();
        let ways = ways.chunk_by(|a, b| a == b).filter_map(<[_]>::first);
        hexed.push(ways.filter_map(|way| way.get(..2 + tail.len())));
        return;
    }
    let variants = slot.iter().flat_map(|octets| hex_variants(octets, separator, tail));
    let mut ways = variants.collect();
    tidy(&mut ways);
    hexed.push(ways.iter().map(Vec::as_slice));
}

/// Hexadecimal digits of `octets` in both cases, and what follows them.
fn hex_variants(octets: &[u8], separator: &str, tail: &str) -> [Vec<u8>; 2] {
    [b"0123456789ABCDEF", b"0123456789abcdef"].map(|digits| {
        let digit = |value: u8| digits.get(usize::from(value)).copied().unwrap_or(b'0');
        let mut out = Vec::with_capacity(octets.len() * (2 + separator.len()) + tail.len());
        for (nth, octet) in octets.iter().enumerate() {
            if nth > 0 {
                out.extend_from_slice(separator.as_bytes());
            }
            out.extend([digit(octet >> 4), digit(octet & 15)]);
        }
        out.extend_from_slice(tail.as_bytes());
        out
    })
}
