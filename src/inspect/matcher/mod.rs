//! Finds identifiers and control tokens in octets, across chunk borders.

use super::InspectError;
use crate::model::{Encoding, Excerpt, FrameSpan, Identifier};

/// Every identifier in every encoding, and the control tokens.
#[derive(Debug, Default)]
pub struct Matcher;

/// What one direction of a stream carries over from chunk to chunk.
#[derive(Debug, Default)]
pub struct Scanner;

/// What was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needle {
    /// Index into the identifiers.
    Identifier(usize),
    /// Index into the tokens.
    Token(usize),
}

/// One occurrence.
#[derive(Debug)]
pub struct Match<'a> {
    /// What was looked for.
    pub needle: Needle,
    /// Label of the identifier; empty for a token.
    pub label: &'a str,
    /// The text that was looked for.
    pub text: &'a str,
    /// How it was written.
    pub encoding: Encoding,
    /// Offset of its first octet.
    pub offset: u64,
    /// Octets it took.
    pub len: u32,
    /// Where it was captured.
    pub frames: FrameSpan,
    /// Its surroundings.
    pub excerpt: Excerpt,
    /// Chance that a random octet position begins such a match.
    pub octet_probability: f64,
}

impl Matcher {
    /// Builds the search.
    ///
    /// # Errors
    /// `Patterns` where the automaton cannot be built.
    pub fn new(_identifiers: &[Identifier], _tokens: &[String]) -> Result<Self, InspectError> {
        Ok(Self)
    }

    /// Searches the next octets of a stream; finds what began in earlier ones.
    pub fn scan(
        &self,
        _scanner: &mut Scanner,
        _offset: u64,
        _bytes: &[u8],
        _frames: FrameSpan,
        _out: &mut dyn FnMut(Match<'_>),
    ) {
    }

    /// Forgets the carried-over tail.
    pub fn gap(&self, _scanner: &mut Scanner) {}

    /// Searches octets that stand by themselves: a datagram, a raw frame, an alternate.
    pub fn scan_once(
        &self,
        _offset: u64,
        _bytes: &[u8],
        _frames: FrameSpan,
        _out: &mut dyn FnMut(Match<'_>),
    ) {
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Patterns that were left out: `label: encoding`.
    pub fn patterns_dropped(&self) -> &[String] {
        &[]
    }
}
