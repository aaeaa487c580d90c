//! One pass over octets: which grams begin at the places of the stride.
//!
//! A sieve says of almost every place that no gram begins there; only for the others the grams are looked at. Line breaks
//! inside of base64 are met by joining: at each break the octets around it are looked at as if it were not there.

use super::Owner;
use crate::inspect::blocks::sieve::{self, GRAM, Sieve};
use crate::inspect::matcher::marks::{are_chars, is_char};
use crate::model::fetch;
use memchr::memchr2_iter;
use std::cmp::Reverse;

/// Octets held of what was seen before: a gram that is broken by line breaks spans one more at most.
pub(super) const HELD: usize = 15;

/// A gram, its octets in the order of the wire from the lowest byte on, and what stands beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gram {
    value: u32,
    near: u32,
    near_mask: u32,
    /// The parts of its owner.
    pattern: u32,
    index: u16,
    back: u8,
    /// From the lowest bit on a bit for each octet whose case does not count; above them, whether `near` stands behind, and
    /// whether there may be a line break in it.
    folds: u8,
}

/// Four octets beside a gram, as far as they are known: bits that are not in the mask may be any.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Near {
    value: u32,
    mask: u32,
    is_behind: bool,
    is_base64: bool,
}

/// What stands around a place, where it is at hand.
#[derive(Clone, Copy)]
struct Around {
    front: Option<u32>,
    behind: Option<u32>,
}

impl Near {
    pub(super) fn new(is_behind: bool) -> Self {
        Self { is_behind, ..Self::default() }
    }

    /// Of characters of base64, between which lines may break.
    pub(super) fn base64(is_behind: bool) -> Self {
        Self { is_base64: true, ..Self::new(is_behind) }
    }

    /// Notes an octet and its known bits; those from the fifth on are left out.
    pub(super) fn note(&mut self, place: usize, (octet, mask): (u8, u8)) {
        if place < GRAM {
            self.value |= u32::from(octet) << (8 * place);
            self.mask |= u32::from(mask) << (8 * place);
        }
    }

    /// How many bits are known.
    pub(super) fn weight(self) -> u32 {
        self.mask.count_ones()
    }
}

impl Around {
    fn of(bytes: &[u8], at: usize, len: usize) -> Self {
        let four = |from: usize| bytes.get(from..from + GRAM).map(sieve::gram);
        Self { front: at.checked_sub(GRAM).and_then(four), behind: four(at + len) }
    }
}

impl Gram {
    const BEHIND: u8 = 1 << GRAM;
    const BASE64: u8 = 1 << (GRAM + 1);

    /// `mask`: all bits, or those but the case of some octets.
    pub(super) fn new((value, mask): (u32, u32), near: Near, owner: Owner) -> Self {
        let folds = mask.to_le_bytes().into_iter().enumerate();
        let folds = folds.fold(0, |folds, (at, mask)| folds | u8::from(mask != u8::MAX) << at);
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let folds = folds | flag(near.is_behind, Self::BEHIND) | flag(near.is_base64, Self::BASE64);
        let Owner { pattern, index, back } = owner;
        Self { value, near: near.value, near_mask: near.mask, pattern, index, back, folds }
    }

    fn owner(&self) -> Owner {
        Owner { pattern: self.pattern, index: self.index, back: self.back }
    }

    fn mask(&self) -> u32 {
        let bit = |at: u32| (u32::from(self.folds) >> at & 1) << (8 * at + 5);
        !(bit(0) | bit(1) | bit(2) | bit(3))
    }

    fn is(&self, gram: u32, around: Around) -> bool {
        if (gram ^ self.value) & !sieve::FOLD != 0 || gram & self.mask() != self.value {
            return false;
        }
        let is_behind = self.folds & Self::BEHIND != 0;
        let beside = if is_behind { around.behind } else { around.front };
        let differ = |octets: u32| (octets ^ self.near) & self.near_mask;
        beside.is_none_or(|octets| {
            differ(octets) == 0
                || self.folds & Self::BASE64 != 0
                    && differ(octets) & unbroken(octets, is_behind) == 0
        })
    }
}

/// Grams from which the tables of a sweep are larger than the caches. In tests few are many, so that both ways are tried.
const LARGE: usize = if cfg!(test) { 64 } else { 1 << 16 };

/// Places that are looked at together where they are.
const TOGETHER: usize = 16;

/// All grams of one length, and how far apart the places are at which they are looked for.
pub(super) struct Sweep {
    len: usize,
    stride: usize,
    sieve: Sieve,
    tables: [Table; Self::TABLES],
}

/// Grams in the order of their buckets.
struct Table {
    grams: Box<[Gram]>,
    /// Where the grams of a bucket begin; one more than there are buckets.
    starts: Box<[u32]>,
    /// The buckets are this power of two.
    bits: u32,
    /// Bits that do not count for the choice of a bucket.
    fold: u32,
}

impl Sweep {
    /// Tables.
    pub(super) const TABLES: usize = 3;
    /// Texts as they are.
    pub(super) const TEXT: usize = 0;
    /// Hexadecimal digits.
    pub(super) const HEX: usize = 1;
    /// Base64 characters.
    pub(super) const BASE64: usize = 2;

    pub(super) fn new(len: usize, stride: usize, tables: [Vec<Gram>; Self::TABLES]) -> Self {
        let sieve = Sieve::new(
            len,
            stride,
            &tables.each_ref().map(|grams| grams.iter().map(|gram| (gram.value, gram.mask()))),
        );
        Self { len, stride, sieve, tables: tables.map(Table::new) }
    }

    /// The grams that begin in `held`, the octets in front of `bytes`, and end in `bytes`. `pos`: the offset of `bytes` in
    /// the stream.
    pub(super) fn seam(&self, pos: u64, held: &[u8], bytes: &[u8], on: &mut dyn FnMut(i64, Owner)) {
        if held.is_empty() {
            return;
        }
        let mut joined = [0; 2 * HELD];
        let ahead = bytes.get(..bytes.len().min(HELD)).unwrap_or_default();
        let len = held.len() + ahead.len();
        if let Some((front, back)) = joined.get_mut(..len).map(|it| it.split_at_mut(held.len())) {
            front.copy_from_slice(held);
            back.copy_from_slice(ahead);
        }
        let joined = joined.get(..len).unwrap_or_default();
        let border = signed(held.len());
        for at in held.len().saturating_sub(self.len - 1)..held.len() {
            let offset = pos - (held.len() - at) as u64;
            if offset.is_multiple_of(self.stride as u64)
                && let Some(octets) = joined.get(at..at + self.len)
            {
                let gram = sieve::gram(octets);
                let around = Around::of(joined, at, self.len);
                let tables = self.sieve.tables_of(gram);
                self.look(tables, signed(at) - border, (gram, around), on);
            }
        }
        // A gram that begins in front of the border holds no break that stands further behind it.
        let near = joined.get(..joined.len().min(held.len() + self.len)).unwrap_or_default();
        for at in memchr2_iter(b'\r', b'\n', near) {
            let Some(at) = at.checked_sub(1) else { continue };
            self.join(joined, at, held.len(), &mut |at, owner| {
                if at < border {
                    on(at - border, owner);
                }
            });
        }
    }

    /// The grams in `bytes`, but for those that `join` finds.
    pub(super) fn scan(&self, pos: u64, bytes: &[u8], on: &mut dyn FnMut(i64, Owner)) {
        let first = usize::try_from(pos.wrapping_neg() % self.stride as u64).unwrap_or(0);
        if self.is_large() {
            return self.scan_together(first, bytes, on);
        }
        self.sieve.each(bytes, first, &mut |at, tables| {
            let octets = bytes.get(at..at + self.len).unwrap_or_default();
            let around = Around::of(bytes, at, self.len);
            self.look(tables, signed(at), (sieve::gram(octets), around), on);
        });
    }

    /// Whether the tables are larger than the caches.
    fn is_large(&self) -> bool {
        self.tables.iter().map(|table| table.grams.len()).sum::<usize>() > LARGE
    }

    /// The same, some places at a time: the memory that all of them need is asked for before the first is looked at.
    fn scan_together(&self, first: usize, bytes: &[u8], on: &mut dyn FnMut(i64, Owner)) {
        let (mut places, mut count) = ([(0, 0_u8); TOGETHER], 0);
        self.sieve.each(bytes, first, &mut |at, tables| {
            if let Some(place) = places.get_mut(count) {
                *place = (at, tables);
                count += 1;
            }
            if count == TOGETHER {
                self.look_at(&places, bytes, on);
                count = 0;
            }
        });
        self.look_at(places.get(..count).unwrap_or_default(), bytes, on);
    }

    /// Looks at places with the tables that may hold what stands there.
    fn look_at(&self, places: &[(usize, u8)], bytes: &[u8], on: &mut dyn FnMut(i64, Owner)) {
        let gram = |at: usize| sieve::gram(bytes.get(at..at + self.len).unwrap_or_default());
        for step in [Table::expect, Table::expect_grams] {
            for &(at, tables) in places {
                for table in self.tables_in(tables) {
                    step(table, gram(at));
                }
            }
        }
        for &(at, tables) in places {
            let around = Around::of(bytes, at, self.len);
            self.look(tables, signed(at), (gram(at), around), on);
        }
    }

    /// Characters of base64 that are determined around each gram; none where there is no gram of it.
    pub(super) fn around_break(&self) -> Option<usize> {
        let [.., table] = &self.tables;
        (!table.grams.is_empty()).then_some(self.stride + self.len - 1)
    }

    /// Looks at the grams that hold the break behind the octet at `at`, and end at `from` or behind it. In front of that break
    /// they hold none, behind it there may be more.
    pub(super) fn join(
        &self,
        bytes: &[u8],
        at: usize,
        from: usize,
        on: &mut dyn FnMut(i64, Owner),
    ) {
        let [.., table] = &self.tables;
        let Some(need) = self.around_break() else { return };
        if !self.may_join(bytes, at) {
            return;
        }
        let front = bytes.get(..=at).unwrap_or_default();
        let front =
            front.iter().rev().take(self.len - 1).take_while(|octet| is_char(**octet)).count();
        if front == 0 {
            return;
        }
        // The first characters behind the break, and where they stand.
        let mut behind = [0; GRAM - 1];
        let (mut chars, mut count, mut nth) = (0_u64, 0, at + 1);
        for &octet in bytes.get(at + 1..).unwrap_or_default() {
            if is_char(octet) {
                if let Some(place) = behind.get_mut(count) {
                    *place = nth;
                    chars |= u64::from(octet) << (8 * count);
                }
                count += 1;
                if count == self.len - 1 {
                    break;
                }
            } else if !is_break(bytes, nth) {
                break;
            }
            nth += 1;
        }
        let mut is_determined = None;
        for ahead in 1..=front {
            let Some(octet) = bytes.get(at + 1 - ahead) else { break };
            chars = chars << 8 | u64::from(*octet);
            let rest = self.len - ahead;
            let Some(&last) = behind.get(rest - 1).filter(|_| rest <= count) else { continue };
            let first = at + 1 - ahead;
            if last >= from && last - first <= HELD {
                let gram = low(chars) & self.sieve.mask();
                if self.sieve.may_be(Self::BASE64, gram)
                    && *is_determined.get_or_insert_with(|| has_around(bytes, at, need))
                {
                    let around = Around::of(bytes, first, last + 1 - first);
                    table.look(signed(first), (gram, around), on);
                }
            }
        }
    }

    /// Whether a gram may hold the break behind the octet at `at`. Asked of the break that almost all are: CR LF with three
    /// characters of base64 on both sides.
    #[inline]
    fn may_join(&self, bytes: &[u8], at: usize) -> bool {
        let block = at.checked_sub(GRAM - 2).and_then(|from| bytes.get(from..)?.first_chunk::<8>());
        let Some(block) = block.filter(|_| self.len == GRAM) else { return true };
        let [front @ .., b'\r', b'\n', _, _, _] = block else { return true };
        let [_, _, _, _, _, behind @ ..] = block;
        if !(are_chars(front) && are_chars(behind)) {
            return true;
        }
        let octets = u64::from_le_bytes(*block);
        let chars = octets & 0x00ff_ffff | octets >> 16 & 0xffff_ff00_0000;
        self.sieve.may_be_one(Self::BASE64, [low(chars), low(chars >> 8), low(chars >> 16)])
    }

    fn look(&self, tables: u8, at: i64, gram: (u32, Around), on: &mut dyn FnMut(i64, Owner)) {
        for table in self.tables_in(tables) {
            table.look(at, gram, on);
        }
    }

    /// The tables whose bits are set.
    fn tables_in(&self, tables: u8) -> impl Iterator<Item = &Table> {
        let is_in = move |(nth, _): &(usize, &Table)| tables >> nth & 1 != 0;
        self.tables.iter().enumerate().filter(is_in).map(|(_, table)| table)
    }
}

impl Table {
    fn new(mut grams: Vec<Gram>) -> Self {
        let buckets = grams.len().next_power_of_two().max(2);
        let bits = buckets.trailing_zeros();
        let fold = sieve::fold(grams.iter().map(Gram::mask));
        let bucket = |gram: &Gram| sieve::bucket(sieve::spread(gram.value, fold), bits);
        // Sorted by counting, in place: there may be millions. Where each bucket begins, then each gram to the next free place
        // of its own.
        let mut starts = vec![0_u32; buckets + 1].into_boxed_slice();
        for gram in &grams {
            if let Some(count) = starts.get_mut(bucket(gram) + 1) {
                *count += 1;
            }
        }
        let mut begin = 0;
        for count in &mut starts {
            begin += *count;
            *count = begin;
        }
        let mut free = starts.clone();
        for (own, bounds) in starts.windows(2).enumerate() {
            let &[begin, end] = bounds else { continue };
            let (begin, end) = (begin as usize, end as usize);
            while let Some(at) = free.get(own).map(|at| *at as usize).filter(|at| *at < end)
                && let Some(gram) = grams.get(at)
            {
                let Some(place) = free.get_mut(bucket(gram)) else { break };
                grams.swap(at, *place as usize);
                *place += 1;
            }
            if let Some(grams) = grams.get_mut(begin..end).filter(|grams| grams.len() > 1) {
                grams.sort_unstable_by_key(|it| Reverse((it.pattern, it.index, it.back, it.value)));
            }
        }
        let grams = grams.into_boxed_slice();
        Self { grams, starts, bits, fold }
    }

    /// Asks for the memory that tells where the grams of a bucket stand.
    fn expect(&self, gram: u32) {
        self.starts.get(self.bucket(gram)).into_iter().for_each(fetch);
    }

    /// Asks for that of the grams.
    fn expect_grams(&self, gram: u32) {
        let first = self.starts.get(self.bucket(gram)).and_then(|at| self.grams.get(*at as usize));
        first.into_iter().for_each(fetch);
    }

    fn bucket(&self, gram: u32) -> usize {
        sieve::bucket(sieve::spread(gram, self.fold), self.bits)
    }

    fn look(&self, at: i64, (gram, around): (u32, Around), on: &mut dyn FnMut(i64, Owner)) {
        let bucket = self.bucket(gram);
        let Some(&[from, to]) = self.starts.get(bucket..bucket + 2).and_then(|it| it.first_chunk())
        else {
            return;
        };
        for known in self.grams.get(from as usize..to as usize).unwrap_or_default() {
            if known.is(gram, around) {
                on(at, known.owner());
            }
        }
    }
}

/// Whether so many characters of base64 stand around the break behind the octet at `at`, further breaks among them. Where
/// octets are not at hand, they may be such.
fn has_around(bytes: &[u8], at: usize, need: usize) -> bool {
    let is_char_at = |at: usize| bytes.get(at).copied().is_some_and(is_char);
    let mut chars = 0;
    while chars + 1 < need && chars <= at && is_char_at(at - chars) {
        chars += 1;
    }
    if chars > at {
        return true;
    }
    let mut nth = at + 1;
    while chars < need {
        let Some(&octet) = bytes.get(nth) else { return true };
        if is_char(octet) {
            chars += 1;
        } else if !is_break(bytes, nth) {
            return false;
        }
        nth += 1;
    }
    true
}

/// Whether the octet at a place belongs to a line break inside of base64.
fn is_break(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        Some(b'\r' | b'\n') => true,
        Some(b' ' | b'\t') => at.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'\n'),
        _ => false,
    }
}

/// The bits of the octets between a gram of base64 and a line break beside it: from the lowest one on where they stand behind the
/// gram, else from the highest one on.
const fn unbroken(octets: u32, is_behind: bool) -> u32 {
    const ONES: u32 = 0x0101_0101;
    const TOPS: u32 = 0x8080_8080;
    const PAST_BLANK: u32 = ONES * (b' ' as u32 + 1);
    // The upper bit of each octet up to a blank. Above one of them others may show so: then fewer octets count.
    let breaks = octets.wrapping_sub(PAST_BLANK) & !octets & TOPS;
    if breaks == 0 {
        u32::MAX
    } else if is_behind {
        (breaks & breaks.wrapping_neg()) / (1 << 7) - 1
    } else {
        let above = u32::BITS - breaks.leading_zeros();
        if above < u32::BITS { u32::MAX << above } else { 0 }
    }
}

/// The lower half.
fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0)
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_beyond_a_break_do_not_count() {
        let of = |octets: &[u8; 4]| [true, false].map(|is| unbroken(sieve::gram(octets), is));
        assert_eq!(of(b"abc+"), [u32::MAX; 2]);
        assert_eq!(of(b"a\r\nb"), [0x0000_00ff, 0xff00_0000]);
        assert_eq!(of(b"ab\nc"), [0x0000_ffff, 0xff00_0000]);
        assert_eq!(of(b"\n\tab"), [0, 0xffff_0000]);
        assert_eq!(of(b"abc\r"), [0x00ff_ffff, 0]);
    }
}
