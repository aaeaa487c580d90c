//! Escapes: what one character may hide behind, and how to undo it.
//!
//! `parse` looks at octets that begin with what may be an escape. What it says of some octets it also says of any
//! longer ones that begin with them, so the result does not depend on how a stream is cut.

use super::entities;
use super::pattern::value64;
use crate::model::Encoding;
use memchr::{memchr, memchr3};

/// Octets of the charset of an encoded word that are read. RFC 2047 s2 bounds the whole word to 75.
const MAX_CHARSET: usize = 40;
/// Blanks between two encoded words, or between `=` and its line end, that are read.
const MAX_BLANKS: usize = 16;
/// Digits of a numeric character reference that are read, leading zeros among them.
const MAX_DIGITS: usize = 10;
/// Base64 characters that must follow `&` for a shift: the fewest that hold one UTF-16 unit.
const MIN_SHIFT_CHARS: usize = 3;

/// A family of escapes that stand in one text together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `%41` (RFC 3986 s2.1), `%u0041`.
    Percent,
    /// `=41` and soft line breaks (RFC 2045 s6.7), encoded words (RFC 2047).
    Equals,
    /// `&eacute;`, `&#233;`, `&#xe9;`.
    Entity,
    /// `\u00e9` (RFC 8259 s7), `\xe9`, `\351`, and `\"`, `\\`, `\/` where a text has such a character.
    Backslash,
    /// `&AOk-` (RFC 3501 s5.1.3).
    ModifiedUtf7,
    /// The first four side by side: `%6asm&#105;th`. Tells only of texts that hold two of them.
    Mixed,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Percent,
        Self::Equals,
        Self::Entity,
        Self::Backslash,
        Self::ModifiedUtf7,
        Self::Mixed,
    ];

    /// Where the first octet stands with which an escape begins in plain text.
    pub(super) fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Percent => memchr(b'%', bytes),
            Self::Equals => memchr(b'=', bytes),
            Self::Entity | Self::ModifiedUtf7 => memchr(b'&', bytes),
            Self::Backslash => memchr(b'\\', bytes),
            Self::Mixed => {
                let found = memchr3(b'%', b'=', b'&', bytes);
                let before = found.and_then(|at| bytes.get(..at)).unwrap_or(bytes);
                memchr(b'\\', before).or(found)
            }
        }
    }

    /// Whether escapes of these two encodings belong to different families.
    pub(super) fn differ(one: Encoding, other: Encoding) -> bool {
        let family = |encoding| match encoding {
            Encoding::Percent => 0,
            Encoding::QuotedPrintable | Encoding::Rfc2047 => 1,
            Encoding::HtmlEntity => 2,
            _ => 3,
        };
        family(one) != family(other)
    }
}

/// Where in a text the parser stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// In plain text.
    #[default]
    Plain,
    /// In an encoded word of RFC 2047, Q encoding.
    WordQ,
    /// In an encoded word of RFC 2047, B encoding.
    WordB(Bits),
    /// Behind an encoded word: blanks up to the next one vanish (RFC 2047 s6.2).
    BehindWord,
    /// In a shift of modified UTF-7; `high` is the first half of a surrogate pair.
    Shift { bits: Bits, high: Option<u16> },
}

/// Bits of base64 characters that do not yet make a whole unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    value: u32,
    len: u8,
    /// Characters of the wire that hold them.
    chars: u16,
}

/// What the octets begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parse {
    /// Not to be told yet.
    NeedMore,
    /// The first octet stands for itself.
    Literal(Mode),
    /// An escape.
    Escape(Escape),
}

/// An escape that was undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Escape {
    /// Octets that it takes.
    pub(super) len: usize,
    /// Octets in front of these that also hold bits of what it stands for.
    pub(super) back: u16,
    /// What it stands for: up to four octets, or nothing.
    pub(super) out: Out,
    /// How to name it.
    pub(super) encoding: Encoding,
    /// Where the parser stands behind it.
    pub(super) mode: Mode,
}

/// Up to four octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Out {
    octets: [u8; 4],
    len: usize,
}

impl Out {
    pub(super) fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn octet(octet: u8) -> Self {
        Self { octets: [octet, 0, 0, 0], len: 1 }
    }

    fn char(c: char) -> Self {
        let mut octets = [0; 4];
        let len = c.encode_utf8(&mut octets).len();
        Self { octets, len }
    }
}

impl Bits {
    fn push(&mut self, value: u8) {
        self.value = self.value << 6 | u32::from(value);
        self.len += 6;
        self.chars = self.chars.saturating_add(1);
    }

    /// The next `len` bits, once they are whole, and in how many characters in front of the last one they began.
    fn take(&mut self, len: u8) -> Option<(u32, u16)> {
        self.len = if self.len >= len { self.len - len } else { return None };
        let unit = self.value >> self.len;
        let back = self.chars.saturating_sub(1);
        self.value &= (1 << self.len) - 1;
        self.chars = u16::from(self.len > 0);
        Some((unit, back))
    }
}

/// Reads the start of `bytes` (never empty). `simple`: characters whose one-letter escapes count. `closed`: no more octets follow.
pub(super) fn parse(kind: Kind, mode: Mode, bytes: &[u8], simple: &[u8], closed: bool) -> Parse {
    let parsed = match mode {
        Mode::Plain => match kind {
            Kind::Percent => percent(bytes),
            Kind::Equals => equals(bytes),
            Kind::Entity => entity(bytes, closed),
            Kind::Backslash => backslash(bytes, simple, closed),
            Kind::ModifiedUtf7 => ampersand(bytes),
            Kind::Mixed => match bytes.first() {
                Some(b'%') => percent(bytes),
                Some(b'=') => equals(bytes),
                Some(b'&') => entity(bytes, closed),
                _ => backslash(bytes, simple, closed),
            },
        },
        Mode::WordQ => word_q(bytes),
        Mode::WordB(bits) => word_b(bytes, bits),
        Mode::BehindWord => behind_word(bytes),
        Mode::Shift { bits, high } => shift(bytes, bits, high),
    };
    match parsed {
        // It is no part of the encoded word: it may be an escape by itself.
        LITERAL if matches!(mode, Mode::WordQ | Mode::WordB(_) | Mode::BehindWord) => {
            parse(kind, Mode::Plain, bytes, simple, closed)
        }
        Parse::NeedMore if closed => Parse::Literal(mode),
        other => other,
    }
}

const LITERAL: Parse = Parse::Literal(Mode::Plain);

fn escape(len: usize, out: Out, encoding: Encoding) -> Parse {
    Parse::Escape(Escape { len, back: 0, out, encoding, mode: Mode::Plain })
}

fn percent(bytes: &[u8]) -> Parse {
    match bytes {
        [b'%', b'u' | b'U', rest @ ..] => match hex(rest, 4) {
            Digits::Value(unit) => match char::from_u32(unit) {
                Some(c) => escape(6, Out::char(c), Encoding::Percent),
                None => LITERAL,
            },
            other => other.unfinished(),
        },
        [b'%', rest @ ..] => match hex(rest, 2) {
            Digits::Value(octet) => escape(3, Out::octet(low(octet)), Encoding::Percent),
            other => other.unfinished(),
        },
        _ => LITERAL,
    }
}

fn equals(bytes: &[u8]) -> Parse {
    match bytes {
        [b'=', b'?', ..] => word_start(bytes, 0),
        [b'=', b'\n', ..] => escape(2, Out::default(), Encoding::QuotedPrintable),
        [b'=', b'\r' | b' ' | b'\t', ..] => soft_break(bytes),
        [b'=', rest @ ..] => match hex(rest, 2) {
            Digits::Value(octet) => escape(3, Out::octet(low(octet)), Encoding::QuotedPrintable),
            other => other.unfinished(),
        },
        _ => LITERAL,
    }
}

/// `=` and a line end, blanks between them (RFC 2045 s6.7, rule 3).
fn soft_break(bytes: &[u8]) -> Parse {
    let blanks = bytes.iter().skip(1).take_while(|b| matches!(b, b' ' | b'\t')).count();
    if blanks > MAX_BLANKS {
        return LITERAL;
    }
    match bytes.get(1 + blanks..).unwrap_or_default() {
        [] | [b'\r'] => Parse::NeedMore,
        [b'\n', ..] => escape(blanks + 2, Out::default(), Encoding::QuotedPrintable),
        [b'\r', b'\n', ..] => escape(blanks + 3, Out::default(), Encoding::QuotedPrintable),
        _ => LITERAL,
    }
}

/// `=?charset?Q?` or `=?charset?B?` behind `blanks` blanks.
fn word_start(bytes: &[u8], blanks: usize) -> Parse {
    let body = match bytes.get(blanks..).unwrap_or_default() {
        [b'=', b'?', body @ ..] => body,
        [] | [b'='] => return Parse::NeedMore,
        _ => return LITERAL,
    };
    let charset = body.iter().take_while(|&&b| b.is_ascii_graphic() && b != b'?').count();
    if charset == 0 && !body.is_empty() || charset > MAX_CHARSET {
        return LITERAL;
    }
    let mode = match body.get(charset..).unwrap_or_default() {
        [] | [b'?'] | [b'?', b'Q' | b'q' | b'B' | b'b'] => return Parse::NeedMore,
        [b'?', b'Q' | b'q', b'?', ..] => Mode::WordQ,
        [b'?', b'B' | b'b', b'?', ..] => Mode::WordB(Bits::default()),
        _ => return LITERAL,
    };
    let (len, encoding) = (blanks + 2 + charset + 3, Encoding::Rfc2047);
    Parse::Escape(Escape { len, back: 0, out: Out::default(), encoding, mode })
}

/// What stands in an encoded word and in the blanks behind it.
fn in_word(len: usize, back: u16, out: Out, mode: Mode) -> Parse {
    Parse::Escape(Escape { len, back, out, encoding: Encoding::Rfc2047, mode })
}

fn word_q(bytes: &[u8]) -> Parse {
    let mode = Mode::WordQ;
    match bytes {
        [b'_', ..] => in_word(1, 0, Out::octet(b' '), mode),
        [b'\r' | b'\n', ..] | [b'=', b'\r' | b'\n', ..] => LITERAL,
        [b'=', rest @ ..] => match hex(rest, 2) {
            Digits::Value(octet) => in_word(3, 0, Out::octet(low(octet)), mode),
            Digits::NeedMore => Parse::NeedMore,
            Digits::No => Parse::Literal(mode),
        },
        [b'?'] => Parse::NeedMore,
        [b'?', b'=', ..] => in_word(2, 0, Out::default(), Mode::BehindWord),
        _ => Parse::Literal(mode),
    }
}

fn word_b(bytes: &[u8], mut bits: Bits) -> Parse {
    match bytes {
        [b'?'] => Parse::NeedMore,
        [b'?', b'=', ..] => in_word(2, 0, Out::default(), Mode::BehindWord),
        [b'=', ..] => in_word(1, 0, Out::default(), Mode::WordB(Bits::default())),
        [octet, ..] => match value64(*octet) {
            Some(value) => {
                bits.push(value);
                let (out, back) = match bits.take(8) {
                    Some((octet, back)) => (Out::octet(low(octet)), back),
                    None => (Out::default(), 0),
                };
                in_word(1, back, out, Mode::WordB(bits))
            }
            None => LITERAL,
        },
        [] => LITERAL,
    }
}

fn behind_word(bytes: &[u8]) -> Parse {
    let blanks = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count();
    if blanks > MAX_BLANKS { LITERAL } else { word_start(bytes, blanks) }
}

fn entity(bytes: &[u8], closed: bool) -> Parse {
    let [b'&', body @ ..] = bytes else { return LITERAL };
    let encoding = Encoding::HtmlEntity;
    let (digits, radix, skip) = match body {
        [] | [b'#'] | [b'#', b'x' | b'X'] => return Parse::NeedMore,
        [b'#', b'x' | b'X', digits @ ..] => (digits, 16, 3),
        [b'#', digits @ ..] => (digits, 10, 2),
        name => {
            let len = name.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            return match name.get(len) {
                _ if len > entities::MAX_NAME => LITERAL,
                None => Parse::NeedMore,
                Some(b';') => match entities::named(name.get(..len).unwrap_or_default()) {
                    Some(c) => escape(len + 2, Out::char(c), encoding),
                    None => LITERAL,
                },
                Some(_) => LITERAL,
            };
        }
    };
    let value = |b: &u8| char::from(*b).to_digit(radix);
    let len = digits.iter().take_while(|b| value(b).is_some()).count();
    if len > MAX_DIGITS || (len == 0 && !digits.is_empty()) {
        return LITERAL;
    }
    let code = digits.iter().take(len).filter_map(value);
    let code = code.fold(0_u32, |code, digit| code.saturating_mul(radix).saturating_add(digit));
    // Browsers take a number without its semicolon, too.
    let semicolon = match digits.get(len) {
        None if !closed => return Parse::NeedMore,
        next => usize::from(next == Some(&b';')),
    };
    match char::from_u32(code) {
        Some(c) if len > 0 => escape(skip + len + semicolon, Out::char(c), encoding),
        _ => LITERAL,
    }
}

fn backslash(bytes: &[u8], simple: &[u8], closed: bool) -> Parse {
    let json = Encoding::JsonEscape;
    match bytes {
        [b'\\'] => Parse::NeedMore,
        [b'\\', b'u', rest @ ..] => match hex(rest, 4) {
            Digits::Value(high @ 0xd800..0xdc00) => {
                surrogates(high, rest.get(4..).unwrap_or_default(), closed)
            }
            Digits::Value(unit) => match char::from_u32(unit) {
                Some(c) => escape(6, Out::char(c), json),
                None => LITERAL,
            },
            other => other.unfinished(),
        },
        [b'\\', b'x' | b'X', rest @ ..] => match hex(rest, 2) {
            Digits::Value(octet) => escape(4, Out::octet(low(octet)), Encoding::Hex),
            other => other.unfinished(),
        },
        [b'\\', a @ b'0'..=b'3', rest @ ..] => match rest {
            [b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                let octet = (a - b'0') * 64 + (b - b'0') * 8 + (c - b'0');
                escape(4, Out::octet(octet), json)
            }
            [] | [b'0'..=b'7'] => Parse::NeedMore,
            _ => LITERAL,
        },
        [b'\\', c, ..] if simple.contains(c) => escape(2, Out::octet(*c), json),
        _ => LITERAL,
    }
}

/// The second half of a surrogate pair (RFC 8259 s7).
fn surrogates(high: u32, rest: &[u8], closed: bool) -> Parse {
    let low = match rest {
        [] | [b'\\'] if !closed => return Parse::NeedMore,
        [b'\\', b'u', rest @ ..] => hex(rest, 4),
        _ => return LITERAL,
    };
    match low {
        Digits::Value(low @ 0xdc00..0xe000) => {
            match char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)) {
                Some(c) => escape(12, Out::char(c), Encoding::JsonEscape),
                None => LITERAL,
            }
        }
        Digits::Value(_) => LITERAL,
        other => other.unfinished(),
    }
}

fn ampersand(bytes: &[u8]) -> Parse {
    let encoding = Encoding::ModifiedUtf7;
    let [b'&', body @ ..] = bytes else { return LITERAL };
    if body.first() == Some(&b'-') {
        return escape(2, Out::octet(b'&'), encoding);
    }
    let chars = body.iter().take(MIN_SHIFT_CHARS).take_while(|&&b| value_utf7(b).is_some()).count();
    if chars < MIN_SHIFT_CHARS {
        return if chars == body.len() { Parse::NeedMore } else { LITERAL };
    }
    // The `&` belongs to the first unit.
    let mode = Mode::Shift { bits: Bits { chars: 1, ..Bits::default() }, high: None };
    Parse::Escape(Escape { len: 1, back: 0, out: Out::default(), encoding, mode })
}

fn shift(bytes: &[u8], mut bits: Bits, high: Option<u16>) -> Parse {
    let encoding = Encoding::ModifiedUtf7;
    let none = Out::default();
    let on = |back, out, mode| Parse::Escape(Escape { len: 1, back, out, encoding, mode });
    let value = match bytes.first() {
        Some(b'-') => return on(0, none, Mode::Plain),
        Some(&octet) => value_utf7(octet),
        None => None,
    };
    let Some(value) = value else { return LITERAL };
    bits.push(value);
    let Some((unit, back)) = bits.take(16) else { return on(0, none, Mode::Shift { bits, high }) };
    let unit = u16::try_from(unit & 0xffff).unwrap_or(u16::MAX);
    let plain = Mode::Shift { bits, high: None };
    match (high, unit) {
        (_, 0xd800..0xdc00) => on(0, none, Mode::Shift { bits, high: Some(unit) }),
        (Some(high), 0xdc00..0xe000) => {
            let mut chars = char::decode_utf16([high, unit]);
            match chars.next() {
                Some(Ok(c)) => on(back + 3, Out::char(c), plain),
                _ => on(0, none, plain),
            }
        }
        _ => match char::from_u32(u32::from(unit)) {
            Some(c) => on(back, Out::char(c), plain),
            None => on(0, none, plain),
        },
    }
}

/// The value of a character of modified base64: `,` stands for `/`.
fn value_utf7(octet: u8) -> Option<u8> {
    match octet {
        b',' => Some(63),
        b'/' | b'-' | b'_' => None,
        other => value64(other),
    }
}

enum Digits {
    Value(u32),
    NeedMore,
    No,
}

impl Digits {
    fn unfinished(self) -> Parse {
        if matches!(self, Self::NeedMore) { Parse::NeedMore } else { LITERAL }
    }
}

/// The value of the first `len` octets as hexadecimal digits.
fn hex(bytes: &[u8], len: usize) -> Digits {
    let mut value = 0;
    for nth in 0..len {
        let Some(&octet) = bytes.get(nth) else { return Digits::NeedMore };
        let Some(digit) = char::from(octet).to_digit(16) else { return Digits::No };
        value = value << 4 | digit;
    }
    Digits::Value(value)
}

fn low(value: u32) -> u8 {
    value.to_le_bytes()[0]
}
