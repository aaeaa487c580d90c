//! Finds identifiers in octets, in every encoding of MISSION section 3, across chunk borders.
//!
//! In: octets of a stream, in order, with the frames that carried them. Out: a `Match` for each place where a text stands.
//! An identifier is expanded into patterns (`encode`), an engine proposes places (`engine`), a pattern proves them (`pattern`);
//! escapes are undone in views of the stream. Never: protocols, what a match means, IO.

mod chance;
mod charset;
mod encode;
mod engine;
mod entities;
mod escape;
mod marks;
#[cfg(test)]
mod naive;
mod pattern;
mod scan;
mod slots;
#[cfg(test)]
mod tests;
mod track;
mod view;

pub use scan::Scanner;

use super::InspectError;
use crate::model::{Encoding, Excerpt, FrameSpan, Identifier};
use engine::Engine;

use pattern::{Outcome, Pattern, Place, Window};
use view::{Around, Escapes};

/// Identifiers and tokens together.
pub const MAX_TEXTS: usize = 16_384;
/// Octets (in UTF-8) of one text: it bounds what a `Scanner` keeps to a few KiB.
pub const MAX_TEXT_OCTETS: usize = 256;
/// Octets of all texts together: it bounds the memory of the patterns. 10,000 texts of some 15 octets take 100 MB.
pub const MAX_TOTAL_OCTETS: usize = 1 << 19;
/// Characters of one text. One character occurs in all traffic.
pub const MIN_TEXT_CHARS: usize = 2;

/// Octets kept beyond the longest pattern: the neighbours of a very short text, and a line of excerpt.
const KEEP_MARGIN: usize = 32;

/// Searches for a fixed set of texts. Shared by all streams and threads.
///
/// Texts of two or three characters are reported in the raw text encodings (ASCII, UTF-8, Latin-1, Mac Roman, UTF-16) only
/// where no ASCII letter or digit touches them: `al` is found in `USER al`, and not in `also`. Blanks inside a text
/// stand for any blank, two or three blanks, and a folded line.
pub struct Matcher {
    index: Index,
    dropped: Vec<String>,
}

/// The compiled search.
struct Index {
    identifiers: Vec<Identifier>,
    tokens: Vec<String>,
    patterns: Vec<Pattern>,
    engine: Engine,
    /// Octets kept of a stream between two chunks.
    keep: usize,
    /// Characters of the texts that JSON escapes with one letter: only these escapes are undone.
    simple: Vec<u8>,
    /// Which escapes a match may hold.
    around: Around,
}

/// Which text was found, by its place in what `Matcher::new` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Needle {
    /// An identifier of a target.
    Identifier(usize),
    /// A control token.
    Token(usize),
}

/// A place where a text stands.
#[derive(Clone, PartialEq)]
pub struct Match<'a> {
    /// Which text.
    pub needle: Needle,
    /// Its label; empty for a token.
    pub label: &'a str,
    /// The text as it was given. A secret.
    pub text: &'a str,
    /// How it was written.
    pub encoding: Encoding,
    /// Offset in the stream of the first octet.
    pub offset: u64,
    /// Octets on the wire, escapes and line breaks among them.
    pub len: u32,
    /// The frames of the first and of the last octet.
    pub frames: FrameSpan,
    /// Its surroundings, as far as they were at hand.
    pub excerpt: Excerpt,
    /// Chance that a uniformly random octet string begins this text in this encoding (see `chance`); times the octets
    /// searched it is the number of such matches to be expected by chance.
    pub octet_probability: f64,
}

/// The text is a secret: only label and place show.
impl std::fmt::Debug for Match<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Match")
            .field("needle", &self.needle)
            .field("label", &self.label)
            .field("encoding", &self.encoding)
            .field("offset", &self.offset)
            .field("len", &self.len)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl Matcher {
    /// Compiles the search for all texts in all encodings.
    ///
    /// # Errors
    /// `EmptyIdentifier`, `ShortIdentifier` and `LongIdentifier` where a text is empty, of one character, or above
    /// `MAX_TEXT_OCTETS`; `TooManyIdentifiers` above `MAX_TEXTS`; `TooMuchText` above
    /// `MAX_TOTAL_OCTETS`.
    pub fn new(identifiers: &[Identifier], tokens: &[String]) -> Result<Self, InspectError> {
        let got = identifiers.len() + tokens.len();
        if got > MAX_TEXTS {
            return Err(InspectError::TooManyIdentifiers { got, limit: MAX_TEXTS });
        }
        let texts = identifiers.iter().map(|id| &id.text).chain(tokens);
        let octets: usize = texts.map(String::len).sum();
        if octets > MAX_TOTAL_OCTETS {
            return Err(InspectError::TooMuchText { got: octets, limit: MAX_TOTAL_OCTETS });
        }
        let identified = identifiers.iter().enumerate();
        let identified = identified.map(|(i, id)| (Needle::Identifier(i), &*id.label, &*id.text));
        let controls = tokens.iter().enumerate();
        let controls = controls.map(|(i, token)| (Needle::Token(i), "control token", &**token));
        let mut patterns = Vec::new();
        let mut dropped = Vec::new();
        for (needle, label, text) in identified.chain(controls) {
            let expansion = encode::expand(needle, checked(label, text)?);
            patterns.extend(expansion.patterns);
            dropped.extend(expansion.dropped.iter().map(|encoding| format!("{label}: {encoding}")));
        }
        let engine = Engine::new(&patterns);
        let index = Index {
            keep: patterns.iter().map(Pattern::max_wire_len).max().unwrap_or(0) + KEEP_MARGIN,
            simple: simple_escapes(identifiers),
            around: Around::new(&patterns),
            identifiers: identifiers.to_vec(),
            tokens: tokens.to_vec(),
            patterns,
            engine,
        };
        for pattern in index.engine.gramless().iter().filter_map(|&i| index.patterns.get(i)) {
            let (label, _) = index.text(pattern.needle).unwrap_or_default();
            dropped.push(format!("{label}: {}", pattern.encoding));
        }
        dropped.dedup();
        Ok(Self { index, dropped })
    }

    /// Searches the next octets of a stream; `offset` is that of the first, `frames` carried them.
    ///
    /// The octets must follow the ones before without a gap (an `offset` that does not is taken for a gap). Each match is
    /// told once, with the call that brings its last octet, however the stream is cut; matches of one call are in no
    /// special order.
    pub fn scan(
        &self,
        scanner: &mut Scanner,
        offset: u64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut dyn FnMut(Match<'_>),
    ) {
        if !self.is_empty() {
            scanner.scan(&self.index, offset, bytes, frames, out);
        }
    }

    /// Octets are missing here: no match spans them.
    pub fn gap(&self, scanner: &mut Scanner) {
        scanner.gap(&self.index);
    }

    /// The stream has ended. Tells of texts at its very end that waited to see what follows: very short ones (up to three
    /// characters), UTF-16 in big endian, an unfinished escape. All others have been told before.
    pub fn finish(&self, scanner: &mut Scanner, out: &mut dyn FnMut(Match<'_>)) {
        scanner.finish(&self.index, out);
    }

    /// Searches octets that stand alone: a datagram, a raw frame, another version of octets of a stream. `scanner` knows
    /// nothing, and does so again behind it.
    pub fn scan_alone(
        &self,
        scanner: &mut Scanner,
        offset: u64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut dyn FnMut(Match<'_>),
    ) {
        if self.may_hold(bytes) {
            self.scan(scanner, offset, bytes, frames, out);
            self.finish(scanner, out);
        }
    }

    /// Whether octets that stand alone hold a gram or an escape. Without them no pattern is looked at and no view wakes:
    /// most frames have options or padding of a few octets, for which a scanner would cost more than the search.
    fn may_hold(&self, bytes: &[u8]) -> bool {
        let (mut is_proposed, mut escapes) = (false, Escapes::default());
        let mut escape = |at| escapes.note(&[], bytes, at, &self.index);
        self.index.engine.scan_at(0, bytes, &mut escape, &mut |_, _| is_proposed = true);
        is_proposed || escapes.each().iter().any(Option::is_some)
    }

    /// Octets in a row that suffice for `may_hold_part`.
    pub(in crate::inspect) const GRAIN: usize = Engine::GRAIN;

    /// Whether a match can be in octets of which every `GRAIN` in a row stand in `bytes`, wherever that is: whether a gram is
    /// there, an octet with which escapes begin, or a line break as in base64.
    pub(in crate::inspect) fn may_hold_part(&self, bytes: &[u8]) -> bool {
        self.index.engine.may_hold_part(bytes)
    }

    /// Octets of stream that one match can hold, with its neighbours, unless it is written in escapes.
    pub const fn reach(&self) -> usize {
        self.index.keep
    }

    /// Whether there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.index.engine.is_empty()
    }

    /// Encodings in which a text is not searched because it would be found everywhere: `label: encoding`, never the text.
    pub fn patterns_dropped(&self) -> &[String] {
        &self.dropped
    }
}

impl Index {
    /// Label and text of a needle.
    fn text(&self, needle: Needle) -> Option<(&str, &str)> {
        match needle {
            Needle::Identifier(i) => self.identifiers.get(i).map(|id| (&*id.label, &*id.text)),
            Needle::Token(i) => self.tokens.get(i).map(|token| ("", &**token)),
        }
    }

    /// Whether an earlier pattern of the same needle stands in the same octets.
    fn is_shadowed(&self, pattern: usize, window: &Window<'_>, place: Place) -> bool {
        let Some(this) = self.patterns.get(pattern) else { return true };
        let earlier = self.patterns.get(..pattern).unwrap_or_default().iter().rev();
        earlier.take_while(|other| other.needle == this.needle).any(|other| {
            let Outcome::Yes(found) = other.verify(window, place.start, other.first_index()) else {
                return false;
            };
            found.start == place.start && found.end == place.end
        })
    }
}

/// Those characters of the texts that RFC 8259 s7 escapes as themselves behind a backslash.
fn simple_escapes(identifiers: &[Identifier]) -> Vec<u8> {
    let held = |c: &u8| identifiers.iter().any(|id| id.text.as_bytes().contains(c));
    b"\"\\/".iter().copied().filter(held).collect()
}

/// The text without the blanks around it, where it can be searched for.
fn checked<'a>(label: &str, text: &'a str) -> Result<&'a str, InspectError> {
    let label = || label.to_owned();
    let text = text.trim();
    let chars = text.chars().count();
    if chars == 0 {
        return Err(InspectError::EmptyIdentifier { label: label() });
    }
    if chars < MIN_TEXT_CHARS {
        return Err(InspectError::ShortIdentifier {
            label: label(),
            got: chars,
            needed: MIN_TEXT_CHARS,
        });
    }
    if text.len() > MAX_TEXT_OCTETS {
        return Err(InspectError::LongIdentifier {
            label: label(),
            got: text.len(),
            limit: MAX_TEXT_OCTETS,
        });
    }
    Ok(text)
}
