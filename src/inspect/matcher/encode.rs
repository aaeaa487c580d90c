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
        patterns: Vec::new(),
        dropped: Vec::new(),
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
        let Some(slots) = written(text, charset, Spelling::Blanks) else { return };
        self.push(encoding, Form::Slots, Arc::new(slots), unit.filter(|_| self.word));
    }

    fn base64(&mut self, forms: [&str; 3]) {
        let [nfc, ..] = forms;
        let latin1: Charset = latin1;
        let forms = |charset: Charset| distinct(forms).map(move |text| (text, charset));
        let texts = [(nfc, latin1)].into_iter().chain(forms(utf8)).chain(forms(utf16le));
        for (text, charset) in texts {
            let Some(slots) = written(text, charset, Spelling::SameLength) else { continue };
            let slots = Arc::new(slots);
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
            let Some(slots) = written(text, utf8, Spelling::Case) else { continue };
            for separator in ["", ":", "-", " "] {
                let mut last = slots.len();
                let mut hexed = Slots::default();
                for slot in slots.iter() {
                    last -= 1;
                    let tail = if last == 0 { "" } else { separator };
                    let mut ways = slot
                        .iter()
                        .flat_map(|octets| hex_variants(octets, separator, tail))
                        .collect();
                    tidy(&mut ways);
                    hexed.push(ways.iter().map(Vec::as_slice));
                }
                hexed.shrink();
                self.push(Encoding::Hex, Form::Slots, Arc::new(hexed), None);
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
fn written(text: &str, charset: Charset, spelling: Spelling) -> Option<Slots> {
    let mut slots = Slots::default();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_graphic() {
            // Most characters, and without much ado: the other case differs in one octet.
            let one = charset(c.encode_utf8(&mut [0; 4]))?;
            let change =
                |octet: &u8| if octet.is_ascii_alphabetic() { octet ^ 0x20 } else { *octet };
            let other: Vec<u8> = one.iter().map(change).collect();
            let count = if one == other { 1 } else { 2 };
            let both = if one < other { [&one[..], &other] } else { [&other[..], &one] };
            slots.push(both.into_iter().take(count));
            continue;
        }
        let mut run = String::from(c);
        let mut ways: Ways = if spelling == Spelling::Blanks && c.is_whitespace() {
            while let Some(more) = chars.next_if(|next| next.is_whitespace()) {
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
    slots.shrink();
    Some(slots)
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
