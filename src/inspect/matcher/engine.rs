//! The engine: proposes places where a pattern may stand. Knows literals ("anchors") and nothing else.
//!
//! For each pattern some of its slots are spelled out into anchors of a few octets; one automaton finds all of them without
//! regard to ASCII case. What it proposes is only a proposal: `Pattern::verify` decides. The state is carried from call
//! to call, so an anchor may lie across any number of chunks.

use super::pattern::{Form, Pattern, Slot, Span64};
use crate::inspect::InspectError;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind, StartKind, dfa::DFA};
use std::collections::BTreeMap;

/// Octets of an anchor: enough to be rare, few enough to keep the automaton small.
const MAX_ANCHOR_OCTETS: usize = 8;
/// Spellings of one anchor.
const MAX_SPELLINGS: usize = 24;
/// Places in a pattern that are tried for its anchor; further on in a long text there is nothing better.
const MAX_TRIES: usize = 24;
/// Octets of all anchors up to which the fast automaton (some 200 octets of memory for each) is used.
const MAX_DFA_OCTETS: usize = 1 << 16;

/// Whose an anchor is: the pattern, and the slot (or base64 character) at which the anchor begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) pattern: usize,
    pub(super) index: usize,
}

/// Where the automaton stands in a stream; none at its start.
pub(super) type Cursor = Option<StateID>;

enum Machine {
    Dfa(DFA),
    Nfa(NFA),
    Nothing,
}

/// Finds the anchors of all patterns in one pass.
pub(super) struct Engine {
    machine: Machine,
    start: Cursor,
    /// For each anchor its length and whose it is.
    anchors: Vec<(usize, Vec<Owner>)>,
    /// Patterns for which no anchor was found: they are not searched.
    anchorless: Vec<usize>,
}

impl Engine {
    pub(super) fn new(patterns: &[Pattern]) -> Result<Self, InspectError> {
        let mut owners: BTreeMap<Vec<u8>, Vec<Owner>> = BTreeMap::new();
        let mut anchorless = Vec::new();
        for (pattern, spelled) in patterns.iter().enumerate() {
            let Some((index, spellings)) = anchor(spelled) else {
                anchorless.push(pattern);
                continue;
            };
            for mut octets in spellings {
                octets.make_ascii_lowercase();
                let entry = owners.entry(octets).or_default();
                let owner = Owner { pattern, index };
                if !entry.contains(&owner) {
                    entry.push(owner);
                }
            }
        }
        let octets: usize = owners.keys().map(Vec::len).sum();
        let machine = build(owners.keys(), octets).map_err(|error| InspectError::Build {
            patterns: patterns.len(),
            reason: error.to_string(),
        })?;
        let start = match &machine {
            Machine::Dfa(dfa) => dfa.start_state(Anchored::No).ok(),
            Machine::Nfa(nfa) => nfa.start_state(Anchored::No).ok(),
            Machine::Nothing => None,
        };
        let anchors = owners.into_iter().map(|(octets, owners)| (octets.len(), owners)).collect();
        Ok(Self { machine, start, anchors, anchorless })
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Patterns that it does not search: no few literals stand for them.
    pub(super) fn anchorless(&self) -> &[usize] {
        &self.anchorless
    }

    /// Reads on. `on(end, len, owners)`: an anchor of `len` octets ends in front of `bytes[end]`; it may have begun before `bytes`.
    pub(super) fn scan(
        &self,
        cursor: &mut Cursor,
        bytes: &[u8],
        on: &mut dyn FnMut(usize, usize, &[Owner]),
    ) {
        match &self.machine {
            Machine::Dfa(dfa) => self.run(dfa, cursor, bytes, on),
            Machine::Nfa(nfa) => self.run(nfa, cursor, bytes, on),
            Machine::Nothing => {}
        }
    }

    fn run<A: Automaton>(
        &self,
        automaton: &A,
        cursor: &mut Cursor,
        bytes: &[u8],
        on: &mut dyn FnMut(usize, usize, &[Owner]),
    ) {
        let Some(mut state) = cursor.or(self.start) else { return };
        for (index, &octet) in bytes.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, octet);
            if automaton.is_special(state) && automaton.is_match(state) {
                for nth in 0..automaton.match_len(state) {
                    let anchor = automaton.match_pattern(state, nth).as_usize();
                    if let Some((len, owners)) = self.anchors.get(anchor) {
                        on(index + 1, *len, owners);
                    }
                }
            }
        }
        *cursor = Some(state);
    }
}

fn build<'a>(
    anchors: impl Iterator<Item = &'a Vec<u8>> + Clone,
    octets: usize,
) -> Result<Machine, aho_corasick::BuildError> {
    if octets == 0 {
        return Ok(Machine::Nothing);
    }
    if octets <= MAX_DFA_OCTETS {
        let dfa = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(anchors)?;
        return Ok(Machine::Dfa(dfa));
    }
    let nfa = NFA::builder()
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(true)
        .prefilter(false)
        .build(anchors)?;
    Ok(Machine::Nfa(nfa))
}

/// The anchor of a pattern: where it begins, and its spellings.
fn anchor(pattern: &Pattern) -> Option<(usize, Vec<Vec<u8>>)> {
    match pattern.form {
        Form::Slots => slot_anchor(&pattern.slots),
        Form::Base64 { phase } => base64_anchor(&pattern.slots, phase),
    }
}

/// The run of slots that says most with few spellings.
fn slot_anchor(slots: &[Slot]) -> Option<(usize, Vec<Vec<u8>>)> {
    let mut best: Option<(usize, usize, Vec<Vec<u8>>)> = None;
    for first in 0..slots.len().min(MAX_TRIES) {
        let mut spellings = vec![Vec::new()];
        for slot in slots.get(first..).unwrap_or_default() {
            let Some(longer) = append(&spellings, slot) else { break };
            spellings = longer;
            let bits = information(&spellings);
            if best.as_ref().is_none_or(|(most, ..)| bits > *most) {
                best = Some((bits, first, spellings.clone()));
            }
            if spellings.iter().all(|spelling| spelling.len() >= MAX_ANCHOR_OCTETS) {
                break;
            }
        }
    }
    best.map(|(_, first, spellings)| (first, spellings))
}

/// Every spelling with every alternative of one more slot, ASCII case aside; none where these are too many.
fn append(spellings: &[Vec<u8>], slot: &Slot) -> Option<Vec<Vec<u8>>> {
    let mut longer: Vec<Vec<u8>> = Vec::new();
    for spelling in spellings {
        for alternative in slot {
            let mut octets = spelling.clone();
            octets.extend(alternative.iter().map(u8::to_ascii_lowercase));
            if !longer.contains(&octets) {
                longer.push(octets);
            }
        }
        if longer.len() > MAX_SPELLINGS {
            return None;
        }
    }
    Some(longer)
}

/// Roughly how many bits say that one of the spellings stands somewhere; zero octets say little, binary traffic is full of them.
fn information(spellings: &[Vec<u8>]) -> usize {
    let bits = |spelling: &Vec<u8>| -> usize {
        let octets = spelling.iter().take(MAX_ANCHOR_OCTETS);
        octets.map(|&octet| if octet == 0 { 2 } else { 6 }).sum()
    };
    let least = spellings.iter().map(bits).min().unwrap_or(0);
    least.saturating_sub(spellings.len().ilog2() as usize)
}

/// A whole group of four characters where the text fills one (a line break never falls into it), else all characters
/// that the text determines, with the line breaks that may lie between them.
fn base64_anchor(slots: &[Slot], phase: usize) -> Option<(usize, Vec<Vec<u8>>)> {
    let octets: usize = slots.iter().filter_map(|slot| slot.first()).map(Vec::len).sum();
    let span = Span64::of(phase, octets);
    let skip = (3 - phase) % 3;
    let mut best: Option<(usize, Vec<Vec<u8>>)> = None;
    let groups = (skip..octets).step_by(3).take_while(|from| from + 3 <= octets);
    for from in groups.take(MAX_TRIES) {
        let Some(texts) = cut(slots, from, from + 3) else { continue };
        let spellings: Vec<Vec<u8>> =
            texts.iter().flat_map(|text| both_alphabets(&encode(text, 0))).collect();
        if best.as_ref().is_none_or(|(_, least)| spellings.len() < least.len()) {
            best = Some(((phase + from) * 8 / 6, spellings));
        }
    }
    if best.is_some() {
        return best;
    }
    let texts = cut(slots, 0, octets)?;
    let first = span.first + usize::from(span.lead != 0);
    let full = (phase + octets) * 8 / 6;
    let mut spellings = Vec::new();
    for text in &texts {
        let chars = encode(text, phase);
        for chars in both_alphabets(chars.get(first..full)?) {
            spellings.push(chars.clone());
            let border = (4 - first % 4).min(chars.len());
            let (front, back) = chars.split_at_checked(border)?;
            if !front.is_empty() && !back.is_empty() {
                for line_break in [&b"\r\n"[..], b"\n", b"\r\n "] {
                    spellings.push([front, line_break, back].concat());
                }
            }
        }
    }
    Some((first, spellings))
}

/// What the slots may spell from octet `from` to octet `to`; none where that is too much.
fn cut(slots: &[Slot], from: usize, to: usize) -> Option<Vec<Vec<u8>>> {
    let mut spellings: Vec<Vec<u8>> = vec![Vec::new()];
    let mut at = 0;
    for slot in slots {
        let len = slot.first().map_or(0, Vec::len);
        if at >= to {
            break;
        }
        let (begin, end) = (from.clamp(at, at + len) - at, to.clamp(at, at + len) - at);
        at += len;
        if begin == end {
            continue;
        }
        let mut longer: Vec<Vec<u8>> = Vec::new();
        for spelling in &spellings {
            for alternative in slot {
                let octets = [spelling.as_slice(), alternative.get(begin..end)?].concat();
                if !longer.contains(&octets) {
                    longer.push(octets);
                }
            }
        }
        if longer.len() > MAX_SPELLINGS {
            return None;
        }
        spellings = longer;
    }
    Some(spellings)
}

/// Base64 (RFC 4648 s4) of a text behind `phase` zero octets, without padding.
fn encode(text: &[u8], phase: usize) -> Vec<u8> {
    let whole = [vec![0; phase].as_slice(), text].concat();
    data_encoding::BASE64_NOPAD.encode(&whole).into_bytes()
}

/// The characters as they are, and those of the URL-safe alphabet (RFC 4648 s5) where these differ.
fn both_alphabets(chars: &[u8]) -> Vec<Vec<u8>> {
    let url_safe: Vec<u8> = chars
        .iter()
        .map(|&c| match c {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        })
        .collect();
    if url_safe == chars { vec![url_safe] } else { vec![chars.to_vec(), url_safe] }
}
