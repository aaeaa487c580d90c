//! The grams of a pattern: what may stand at the places of the stride, wherever the pattern begins.
//!
//! For a stride of `s` a window of the pattern is chosen in which grams may begin at `s` places in a row, in each of its
//! spellings; whatever the offset of the pattern in the stream, one of these places is a multiple of `s`. Spellings are
//! numbers, not lists of octets: a target has thousands of them, and a program that starts should not be noticed. Line breaks
//! inside of base64 are not spelled: `sweep` joins the octets around them.

use super::Owner;
use super::sweep::{Gram, Near};
use crate::inspect::blocks::sieve::GRAM;
use crate::inspect::matcher::pattern::{Form, Pattern, Span64};
use crate::inspect::matcher::slots::{Slot, Slots};

/// Windows of a pattern that are weighed up; further on in a long text there is nothing better.
const MAX_TRIES: usize = 24;

/// Case bit of the ASCII letters.
const CASE: u8 = 0x20;

/// The characters of base64 (RFC 4648 s4); in the other alphabet (s5) the last two are `-` and `_`.
const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Octets in a row, at most as many as a gram has; the first one in the lowest byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    value: u32,
    len: usize,
}

impl Run {
    /// The same with more behind it, up to `most` octets in all.
    fn then(self, octets: &[u8], most: usize) -> Self {
        let mut run = self;
        for &octet in octets.iter().take(most.min(GRAM).saturating_sub(run.len)) {
            run.value |= u32::from(octet) << (8 * run.len);
            run.len += 1;
        }
        run
    }
}

/// How a pattern lies on the wire, for the choice of its grams.
pub(super) enum Layout<'a> {
    /// Slots one after the other.
    Slots {
        slots: &'a Slots,
        /// Octets, at least.
        octets: usize,
    },
    /// Base64 characters.
    Base64 {
        /// What each octet of the text may be written as; a row of octets for each slot.
        slots: &'a Slots,
        phase: usize,
        /// The first character that the text determines, and one past the last.
        full: (usize, usize),
    },
}

impl<'a> Layout<'a> {
    pub(super) fn of(pattern: &'a Pattern) -> Self {
        let slots = &*pattern.slots;
        match pattern.form {
            Form::Slots => Self::Slots { slots, octets: pattern.least_wire_len() },
            Form::Base64 { phase } => {
                let octets = pattern.octets();
                let span = Span64::of(phase, octets);
                let first = span.first + usize::from(span.lead != 0);
                let end = ((phase + octets) * 8 / 6).max(first);
                Self::Base64 { slots, phase, full: (first, end) }
            }
        }
    }

    /// Octets on the wire that it determines, at least.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Slots { octets, .. } => *octets,
            Self::Base64 { full: (first, end), .. } => end - first,
        }
    }

    /// Adds all grams of `len` octets that may stand at a place of the stride.
    pub(super) fn grams(
        &self,
        pattern: usize,
        (len, stride): (usize, usize),
        room: &mut Room,
        grams: &mut Vec<Gram>,
    ) {
        let Ok(pattern) = u32::try_from(pattern) else { return };
        let mut add = |(index, back): (usize, usize), (value, mask): Octets, near: Near| {
            let (Ok(index), Ok(back)) = (u16::try_from(index), u8::try_from(back)) else { return };
            grams.push(Gram::new((value, mask), near, Owner { pattern, index, back }));
        };
        match self {
            Self::Slots { slots, octets } => {
                let first = cheapest(slots, *octets, stride + len - 1);
                slot_grams((slots, first), (len, stride), room, &mut add);
            }
            Self::Base64 { slots, phase, full } => {
                base64_grams((slots, *phase), *full, (len, stride), room, &mut add);
            }
        }
    }
}

/// Octets in a row, and which of their bits count.
type Octets = (u32, u32);

/// Memory for spelling that is used again: a target has tens of thousands of grams.
#[derive(Default)]
pub(super) struct Room {
    all: Vec<Octets>,
    next: Vec<Octets>,
    ways: Vec<Octets>,
    /// Spellings without masks.
    plain: Vec<u32>,
    /// The octets of a text as far as all its spellings agree, and where each slot begins among them.
    known: Vec<Option<(u8, u8)>>,
    starts: Vec<usize>,
    /// The characters of base64 that it is written as, from the first of its group on, in the same way.
    chars: Vec<(u8, u8)>,
}

/// The first slot of the window of so many octets with the fewest spellings; `left`: the octets of all slots, at least.
fn cheapest(slots: &Slots, mut left: usize, need: usize) -> usize {
    let mut best = (f64::INFINITY, 0);
    let mut weights: Vec<(f64, f64, usize)> = Vec::with_capacity(slots.len().min(MAX_TRIES + need));
    for first in 0..slots.len().min(MAX_TRIES) {
        if left < need {
            break;
        }
        left -= slots.get(first).map_or(0, |slot| slot.lens().0);
        let (mut octets, mut spellings) = (0, 1.0);
        let mut cost = 0.0;
        for nth in first.. {
            if octets >= need {
                break;
            }
            if nth == weights.len() {
                weights.extend(slots.get(nth).map(weight));
            }
            let Some((ways, dull, least)) = weights.get(nth) else { break };
            spellings *= ways;
            if spellings > 1.0 {
                cost += spellings.ln();
            }
            cost += dull;
            octets += least;
        }
        if cost < best.0 {
            best = (cost, first);
        }
        if cost <= 0.0 {
            break; // There is nothing better than one spelling.
        }
    }
    best.1
}

/// Alternatives of a slot, ASCII case aside; how little they say; and octets, at least.
#[expect(clippy::cast_precision_loss, reason = "a weight")]
fn weight(slot: Slot<'_>) -> (f64, f64, usize) {
    let same = |a: &[u8], b: &[u8]| a.eq_ignore_ascii_case(b);
    let is_first = |(nth, alt): &(usize, &[u8])| !slot.iter().take(*nth).any(|it| same(it, alt));
    let ways = if slot.len() == 1 { 1 } else { slot.iter().enumerate().filter(is_first).count() };
    // Zero octets say little, binary traffic is full of them.
    let is_dull = slot.iter().any(|alt| alt.iter().all(|&octet| octet == 0));
    (ways as f64, if is_dull { 8.0 } else { 0.0 }, slot.lens().0)
}

type Add<'o> = &'o mut dyn FnMut((usize, usize), Octets, Near);

/// From slot `first` on.
fn slot_grams(
    (slots, first): (&Slots, usize),
    (len, stride): (usize, usize),
    room: &mut Room,
    add: Add<'_>,
) {
    room.know(slots);
    let mut distance = 0;
    for (nth, slot) in (first..).zip(slots.from(first)) {
        if distance >= stride {
            break;
        }
        let (least, longest) = slot.lens();
        for back in 0..longest.min(stride - distance) {
            if room.spell_fixed(slots, (nth, back), len).is_none() {
                room.spell_any(slots, (nth, back), len);
            }
            let near = room.near((nth, back), len);
            for octets in &room.all {
                add((nth, back), *octets, near);
            }
        }
        distance += least;
    }
}

impl Room {
    /// Notes what is known of the octets of a text. A slot whose length is not known stands as one octet that is not.
    fn know(&mut self, slots: &Slots) {
        self.known.clear();
        self.starts.clear();
        for slot in slots.iter() {
            self.starts.push(self.known.len());
            match fixed(slot) {
                Some(octets) => self.known.extend(octets.map(Some)),
                None => self.known.push(None),
            }
        }
    }

    /// Whatever may begin `back` octets behind the start of slot `nth`, into `all`; none where a slot has alternatives of
    /// different lengths. Then the slots do not depend on each other, and each is merged by itself.
    fn spell_fixed(
        &mut self,
        slots: &Slots,
        (nth, back): (usize, usize),
        len: usize,
    ) -> Option<()> {
        let Self { all, next, ways, .. } = self;
        all.clear();
        all.push((0, u32::MAX));
        let (mut at, mut skip) = (0, back);
        for slot in slots.from(nth) {
            if at >= len {
                break;
            }
            let (least, most) = slot.lens();
            if least != most {
                return None;
            }
            let taken = most.checked_sub(skip)?.min(len - at);
            ways.clear();
            for alternative in slot.iter() {
                let part = alternative.get(skip..skip + taken)?;
                ways.push((Run::default().then(part, taken).value, u32::MAX));
            }
            merge(ways, next, taken);
            follow(all, next, ways, at);
            (at, skip) = (at + taken, 0);
        }
        if at < len {
            all.clear();
        }
        Some(())
    }

    /// The same for any slots.
    fn spell_any(&mut self, slots: &Slots, (nth, back): (usize, usize), len: usize) {
        let mut spelled = Vec::new();
        for alternative in slots.get(nth).iter().flat_map(|slot| slot.iter()) {
            if let Some(octets) = alternative.get(back..).filter(|rest| !rest.is_empty()) {
                spell(Run::default().then(octets, len), (slots, nth + 1), len, &mut spelled);
            }
        }
        self.all.clear();
        self.all.extend(spelled.into_iter().map(|value| (value, u32::MAX)));
        merge(&mut self.all, &mut self.next, GRAM);
    }

    /// What is known of the octets behind a gram that begins `back` octets behind the start of a slot, or else of those in
    /// front.
    fn near(&self, (nth, back): (usize, usize), len: usize) -> Near {
        let (mut behind, mut front) = (Near::new(true), Near::new(false));
        let start = self.starts.get(nth).copied().unwrap_or_default();
        let rest = self.known.get(start..).unwrap_or_default();
        for (at, known) in rest.iter().take(back + len + GRAM).map_while(|it| *it).enumerate() {
            if let Some(place) = at.checked_sub(back + len) {
                behind.note(place, known);
            }
        }
        // Inside of a slot whose length is not known nothing is known of what stands in front.
        if back == 0 || rest.first().is_some_and(Option::is_some) {
            let before = self.known.get(..start + back).unwrap_or_default();
            for (place, known) in before.iter().rev().take(GRAM).map_while(|it| *it).enumerate() {
                front.note(GRAM - 1 - place, known);
            }
        }
        if behind.weight() >= front.weight() { behind } else { front }
    }

    /// The same for base64 characters up to `to`. `know` has been called.
    fn know_chars(&mut self, phase: usize, to: usize) {
        self.chars.clear();
        let known = |octet: usize| {
            let octet = octet.checked_sub(phase).and_then(|at| self.known.get(at).copied());
            octet.flatten().unwrap_or_default()
        };
        self.chars.extend((0..to).map(|char| {
            let octet = 6 * char / 8;
            let ((high, high_mask), (low, low_mask)) = (known(octet), known(octet + 1));
            let shift = 10 - 6 * char % 8;
            let bits = |high, low| u8::try_from(u16::from_be_bytes([high, low]) >> shift & 63);
            common(
                bits(high, low).unwrap_or_default(),
                bits(high_mask, low_mask).unwrap_or_default(),
            )
        }));
    }

    /// What is known beside a gram whose first character is `char`.
    fn near_chars(&self, char: usize, len: usize) -> Near {
        let (mut behind, mut front) = (Near::base64(true), Near::base64(false));
        for (place, known) in self.chars.iter().skip(char + len).take(GRAM).enumerate() {
            behind.note(place, *known);
        }
        let before = self.chars.get(..char).unwrap_or_default();
        for (place, known) in before.iter().rev().take(GRAM).enumerate() {
            front.note(GRAM - 1 - place, *known);
        }
        if behind.weight() >= front.weight() { behind } else { front }
    }

    /// What the slots of a text may spell from octet `from` to octet `to`, into `all`; and how many octets that are. The
    /// alternatives of a slot have one length; `starts` says where each slot begins.
    fn cut(&mut self, slots: &Slots, (from, to): (usize, usize)) {
        let Self { all, next, ways, starts, .. } = self;
        all.clear();
        all.push((0, u32::MAX));
        let first = starts.partition_point(|start| *start <= from).saturating_sub(1);
        let mut done = 0;
        for (slot, &at) in slots.from(first).zip(starts.get(first..).unwrap_or_default()) {
            if at >= to {
                break;
            }
            let len = slot.first().map_or(0, <[u8]>::len);
            let (begin, end) = (from.clamp(at, at + len) - at, to.clamp(at, at + len) - at);
            if begin >= end {
                continue;
            }
            ways.clear();
            for alternative in slot.iter() {
                let part = alternative.get(begin..end).unwrap_or_default();
                ways.push((Run::default().then(part, GRAM).value, u32::MAX));
            }
            if end - begin < len {
                ways.sort_unstable();
                ways.dedup();
            }
            follow(all, next, ways, done);
            done += end - begin;
        }
    }

    /// Sets `plain` to what the characters from `from` up to `to` may be, counted as in `Span64`; at most as many as a gram
    /// has.
    fn spell_chars(&mut self, (slots, phase): (&Slots, usize), from: usize, to: usize) {
        self.plain.clear();
        // Bits of the text: four characters lie in four octets at most.
        let bit = |at: usize| (6 * at).checked_sub(8 * phase);
        let (Some(low), Some(high)) = (bit(from), bit(to)) else { return };
        self.cut(slots, (low / 8, high.div_ceil(8)));
        for (text, _) in &self.all {
            // The first octet on top, so that the bits stand in their order.
            let bits = u64::from(text.swap_bytes()) << 32;
            let (mut run, mut url_safe) = (0, 0);
            for nth in 0..to - from {
                let value = bits << (low % 8 + 6 * nth) >> 58;
                run |= u32::from(written(value, false)) << (8 * nth);
                url_safe |= u32::from(written(value, true)) << (8 * nth);
            }
            self.plain.push(run);
            if url_safe != run {
                self.plain.push(url_safe);
            }
        }
        // Bits that belong to no character here make equal ones.
        self.plain.sort_unstable();
        self.plain.dedup();
    }
}

/// Sets the octets of each way behind the first `at` octets of each spelling.
fn follow(all: &mut Vec<Octets>, next: &mut Vec<Octets>, ways: &[Octets], at: usize) {
    let shift = 8 * at;
    let behind = |spelled: &Octets, (value, mask): &Octets| {
        (spelled.0 | value << shift, spelled.1 & !(!mask << shift))
    };
    if let [way] = ways {
        for spelled in all.iter_mut() {
            *spelled = behind(spelled, way);
        }
        return;
    }
    next.clear();
    next.extend(all.iter().flat_map(|spelled| ways.iter().map(move |way| behind(spelled, way))));
    std::mem::swap(all, next);
}

/// For each octet of a slot what all alternatives have in common, and which bits that are; none where their lengths differ.
fn fixed(slot: Slot<'_>) -> Option<impl Iterator<Item = (u8, u8)>> {
    let (least, most) = slot.lens();
    let first = slot.first().filter(|_| least == most)?;
    Some(first.iter().enumerate().map(move |(at, octet)| {
        let differ = |alt: &[u8]| alt.get(at).map_or(0, |it| it ^ octet);
        let mask = !slot.iter().fold(0, |bits, alt| bits | differ(alt));
        (octet & mask, mask)
    }))
}

/// Every way in which octets go on through the slots, up to `len` octets.
fn spell(run: Run, (slots, nth): (&Slots, usize), len: usize, out: &mut Vec<u32>) {
    if run.len >= len {
        out.push(run.value);
        return;
    }
    let Some(slot) = slots.get(nth) else { return };
    for alternative in slot.iter() {
        spell(run.then(alternative, len), (slots, nth + 1), len, out);
    }
}

fn base64_grams(
    (slots, phase): (&Slots, usize),
    (first, end): (usize, usize),
    (len, stride): (usize, usize),
    room: &mut Room,
    add: Add<'_>,
) {
    let need = stride + len - 1;
    // Ways to write the text, as powers of two, up to each of its octets.
    let mut ways = vec![0];
    let mut all = 0;
    for slot in slots.iter() {
        all += slot.len().next_power_of_two().trailing_zeros();
        ways.extend(std::iter::repeat_n(all, slot.first().map_or(0, <[u8]>::len)));
    }
    let octet = |char: usize| (6 * char).saturating_sub(8 * phase) / 8;
    let ways = |at: usize| ways.get(at.min(ways.len() - 1)).copied().unwrap_or(0);
    let weigh = |at: usize| 1_u64 << (ways(octet(at + len)) - ways(octet(at))).min(32);
    // The sum over the places of the stride, moved on by one place at a time.
    let last = end.saturating_sub(need).max(first).min(first + MAX_TRIES - 1);
    let mut sum: u64 = (first..first + stride).map(weigh).sum();
    let mut best = (sum, first);
    for next in first + 1..=last {
        sum = sum + weigh(next + stride - 1) - weigh(next - 1);
        if sum < best.0 {
            best = (sum, next);
        }
    }
    let (_, start) = best;
    let at = |place: usize| start + place;
    room.know(slots);
    room.know_chars(
        phase,
        (at(stride + len - 1) + GRAM).min(Span64::of(phase, room.known.len()).end),
    );
    for place in (0..stride).map(at).take_while(|place| place + len <= end) {
        room.spell_chars((slots, phase), place, place + len);
        let near = room.near_chars(place, len);
        for gram in &room.plain {
            add((place, 0), (*gram, u32::MAX), near);
        }
    }
}

/// What the characters have in common that stand for six bits of which those of a mask are known, in both alphabets.
fn common(bits: u8, mask: u8) -> (u8, u8) {
    let unknown = 63 & !mask;
    if unknown.count_ones() > 4 {
        return (0, 0); // Hardly anything.
    }
    let (mut ones, mut zeros) = (u8::MAX, u8::MAX);
    let mut note = |octet: u8| (ones, zeros) = (ones & octet, zeros & !octet);
    // All subsets of the unknown bits.
    let mut more = unknown;
    loop {
        let value = u64::from(bits & mask | more);
        note(written(value, false));
        if value >= 62 {
            note(written(value, true));
        }
        if more == 0 {
            return (ones, ones | zeros);
        }
        more = (more - 1) & unknown;
    }
}

/// The character of a six-bit value.
fn written(value: u64, is_url_safe: bool) -> u8 {
    match value {
        62 if is_url_safe => b'-',
        63 if is_url_safe => b'_',
        _ => usize::try_from(value).ok().and_then(|at| ALPHABET.get(at)).copied().unwrap_or(b'='),
    }
}

/// Sorts octets and merges those that differ in the case of letters alone, in the first `places` octets.
fn merge(all: &mut Vec<Octets>, next: &mut Vec<Octets>, places: usize) {
    match **all {
        [] | [_] => return,
        // Nearly always it is a letter and its other case.
        [(one, _), (other, _)] if is_case(one ^ other) => {
            let bit = one ^ other;
            all.truncate(1);
            if let Some(octets) = all.first_mut() {
                *octets = (octets.0 & !bit, octets.1 & !bit);
            }
            return;
        }
        _ => {}
    }
    all.sort_unstable();
    all.dedup();
    for place in 0..places {
        let bit = u32::from(CASE) << (8 * place);
        let is_other = |&(value, mask): &Octets| all.binary_search(&(value ^ bit, mask)).is_ok();
        if !all.iter().any(is_other) {
            continue;
        }
        next.clear();
        next.extend(all.iter().map(|one| {
            let bits = if is_other(one) { !bit } else { u32::MAX };
            (one.0 & bits, one.1 & bits)
        }));
        next.sort_unstable();
        next.dedup();
        std::mem::swap(all, next);
    }
}

/// Whether two octets differ in the case bit of one octet alone.
const fn is_case(difference: u32) -> bool {
    const BITS: u32 = u32::from_le_bytes([CASE; 4]);
    difference & !BITS == 0 && difference.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::matcher::Needle;
    use crate::inspect::matcher::encode::expand;

    #[test]
    fn slots_of_fixed_length_spell_the_same_by_themselves_and_all_together() {
        let (mut room, mut compared) = (Room::default(), 0);
        for text in ["jsmith-42@x", "J S", "Jürgen", "ßẞ ς", "al", "[a{A}z`Z@]"] {
            for pattern in expand(Needle::Token(0), text).patterns {
                let slots = &*pattern.slots;
                let places = (0..slots.len())
                    .flat_map(|nth| (0..slots.get(nth).unwrap().lens().1).map(move |it| (nth, it)));
                for ((nth, back), len) in places.flat_map(|at| (2..=GRAM).map(move |len| (at, len)))
                {
                    if room.spell_fixed(slots, (nth, back), len).is_none() {
                        continue;
                    }
                    room.all.sort_unstable();
                    let alone = room.all.clone();
                    room.spell_any(slots, (nth, back), len);
                    assert_eq!(alone, room.all, "{text} {nth} {back} {len}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    #[test]
    fn what_is_known_of_a_character_of_base64_holds_for_each_it_may_be_and_for_no_other_bit() {
        for (bits, mask) in (0..64).flat_map(|bits| (0..64).map(move |mask| (bits, mask))) {
            let (value, known) = common(bits, mask);
            let may_be: Vec<u8> = (0..64_u8)
                .filter(|other| (other ^ bits) & mask == 0)
                .flat_map(|other| {
                    [false, true].map(|is_url_safe| written(other.into(), is_url_safe))
                })
                .collect();
            assert!(may_be.iter().all(|octet| octet & known == value), "{bits} {mask}");
            let differ = may_be.iter().fold(0, |differ, octet| differ | (octet ^ may_be[0]));
            if u8::count_ones(63 & !mask) <= 4 {
                assert_eq!(known, !differ, "{bits} {mask}");
            }
        }
    }
}
