//! How often random octets would be taken for an identifier.
//!
//! A slot whose alternatives have the lengths `n1, n2, ...` begins a random string with probability `sum 256^-ni`; slots
//! follow one another independently, so a pattern has the product over its slots. In base64 a text of allowed octets
//! `|S1|, |S2|, ...` with `f` free bits in its `c` characters has `product |Si| * 2^f / 256^c`. What a `Match` carries is the
//! sum over all patterns of its needle in its encoding, and so an upper bound where two of them overlap. A base64 character
//! that differs in the URL-safe alphabet counts twice. Line breaks inside base64 are left out: each takes octets of its own.

use super::pattern::{Form, Pattern, Span64};
use super::slots::{Slot, Slots};
use crate::model::Encoding;

/// Chance that a random octet string writes a given octet in its escaped form, relative to the plain octet. Of all
/// escapes `%XX` and `=XX` are the shortest: one octet in front, two digits that have at most two cases.
const ESCAPE: f64 = 4.0 / 65_536.0;

/// Octets that most texts are written in.
const USUAL_OCTETS: usize = 64;

/// Sets the probability of each pattern of one needle: the sum over the patterns of its encoding.
pub(super) fn fill(patterns: &mut [Pattern]) {
    let each: Vec<(Encoding, f64)> = patterns.iter().map(|p| (p.encoding, of(p))).collect();
    for pattern in patterns {
        let same = each.iter().filter(|(encoding, _)| *encoding == pattern.encoding);
        pattern.probability = same.map(|(_, chance)| chance).sum();
    }
}

/// Chance of a match with at least one escape in it, given that of the plain text of `octets` octets: an upper bound.
pub(super) fn escaped(plain: f64, octets: usize) -> f64 {
    let octets = i32::try_from(octets).unwrap_or(i32::MAX);
    plain * ((1.0 + ESCAPE).powi(octets) - 1.0)
}

fn of(pattern: &Pattern) -> f64 {
    // In powers of two: the product over a long text is too small for an f64 on the way.
    // Most slots are like the one before.
    let mut before = ((0, 0), 0, 0.0);
    let weigh = |slot: Slot<'_>| {
        let (lens, ways) = (slot.lens(), slot.len());
        if (lens, ways) != (before.0, before.1) || lens.0 != lens.1 {
            let sum = slot.iter().map(|alt| (-8.0 * count(alt.len())).exp2()).sum::<f64>();
            before = (lens, ways, sum.log2());
        }
        before.2
    };
    let product: f64 = pattern.slots.iter().map(weigh).sum();
    match pattern.form {
        Form::Slots => product.exp2(),
        Form::Base64 { phase } => {
            let octets = pattern.octets();
            let chars = Span64::of(phase, octets).chars();
            let free = count(chars) * 6.0 - count(octets) * 8.0;
            // `product` has 256 to the octets below the line; the wire has 256 to the characters.
            let twice = count(two_alphabets(&pattern.slots, phase));
            (product + 8.0 * count(octets) + free + twice - 8.0 * count(chars)).exp2()
        }
    }
}

/// How many of the characters are not the same in both alphabets of base64, in the worse of two spellings.
fn two_alphabets(slots: &Slots, phase: usize) -> usize {
    let first = slots.iter().filter_map(Slot::first);
    differing(first, phase).max(differing(slots.iter().filter_map(Slot::last), phase))
}

fn differing<'a>(spelled: impl Iterator<Item = &'a [u8]>, phase: usize) -> usize {
    let mut octets = Vec::with_capacity(USUAL_OCTETS);
    octets.resize(phase, 0);
    for part in spelled {
        octets.extend_from_slice(part);
    }
    let chars = data_encoding::BASE64_NOPAD.encode(&octets);
    chars.bytes().filter(|c| matches!(c, b'+' | b'/')).count()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
