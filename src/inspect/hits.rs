//! Hits of one conn, or of the raw frames, within a bound that no flood can turn against the rest.

use super::matcher::Match;
use crate::model::{Direction, Encoding, Field, Hit, Rule, Uid};
use std::collections::HashMap;

/// Hits kept of one kind; the first of each kind is always kept.
const MAX_PER_KIND: u32 = 24;

/// Hits kept in all, first ones of a kind aside.
const MAX_HITS: usize = 256;

/// Kinds told apart. Rules, fields, labels, encodings and places are few; this bounds a target with thousands of labels.
const MAX_KINDS: usize = 8192;

/// What makes two hits alike: a flood of one kind never hides another.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    rule: Rule,
    field: Option<Field>,
    label: Option<String>,
    encoding: Encoding,
    dir: Option<Direction>,
    in_ciphertext: bool,
    out_of_stream: bool,
}

impl Kind {
    fn of(hit: &Hit) -> Self {
        Self {
            rule: hit.rule,
            field: hit.field,
            label: hit.label.clone(),
            encoding: hit.encoding,
            dir: hit.dir,
            in_ciphertext: hit.in_ciphertext,
            out_of_stream: hit.out_of_stream,
        }
    }
}

/// Hits up to which their kinds are compared one by one: most conns have two or three.
const FEW: usize = 12;

/// Hits within a bound, and a count of the rest.
#[derive(Default)]
pub(super) struct HitBook {
    hits: Vec<Hit>,
    /// There from `FEW` hits on.
    kinds: Option<HashMap<Kind, u32>>,
    omitted: u64,
    /// Octets of memory held by the hits.
    octets: usize,
}

impl HitBook {
    /// Octets of memory held beside its own.
    pub(super) const fn held(&self) -> usize {
        self.octets
    }

    /// Keeps a hit or counts it. Gives it back where it was kept.
    pub(super) fn add(&mut self, hit: Hit) -> Option<&Hit> {
        let octets = octets_of(&hit);
        if self.hits.len() < FEW {
            self.octets += octets;
            if self.hits.capacity() == 0 {
                self.hits.reserve_exact(1);
            }
            self.hits.push(hit);
            return self.hits.last();
        }
        let hits = &self.hits;
        let kinds = self.kinds.get_or_insert_with(|| {
            let mut kinds = HashMap::new();
            for hit in hits {
                *kinds.entry(Kind::of(hit)).or_insert(0) += 1;
            }
            kinds
        });
        let kind = Kind::of(&hit);
        let known = kinds.len();
        let fits = match kinds.get_mut(&kind) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count <= MAX_PER_KIND && self.hits.len() < MAX_HITS
            }
            None if known < MAX_KINDS => {
                self.octets += size_of::<(Kind, u32)>() + super::ALLOCATION;
                kinds.insert(kind, 1);
                true
            }
            None => false,
        };
        if !fits {
            self.omitted += 1;
            return None;
        }
        self.octets += octets;
        self.hits.push(hit);
        self.hits.last()
    }

    /// The hits in the order they came, and how many were left out.
    pub(super) fn into_hits(self) -> (Vec<Hit>, u64) {
        (self.hits, self.omitted)
    }
}

/// Octets of memory that a hit takes.
fn octets_of(hit: &Hit) -> usize {
    let label = hit.label.as_ref().map_or(0, |label| label.len() + super::ALLOCATION);
    let held = hit.value.len() + hit.excerpt.bytes.len() + 2 * super::ALLOCATION;
    size_of::<Hit>() + label + held
}

/// A hit of the matcher. `chance` holds the chance of one position until the octets searched are known.
pub(super) fn from_match(
    found: Match<'_>,
    uid: Option<Uid>,
    dir: Option<Direction>,
    out_of_stream: bool,
) -> Hit {
    let text = found.text.as_bytes();
    Hit {
        uid,
        rule: Rule::Identifier,
        field: None,
        label: Some(found.label.to_owned()),
        value: text.get(..text.len().min(Hit::MAX_VALUE)).unwrap_or_default().to_vec(),
        value_len: text.len(),
        dialect: None,
        dir,
        offset: found.offset,
        frames: found.frames,
        encoding: found.encoding,
        excerpt: found.excerpt,
        chance: Some(found.octet_probability),
        in_ciphertext: false,
        out_of_stream,
    }
}
