//! The passes in registers of 32 octets.

use super::super::sieve::{FACTOR, FOLD, GRAM, Sieve, gram};
use super::super::{Heads, Kinds, Plain, Run, Sums, Trios, Utf8, WINDOW, is_broken_run};
use super::{first_bits, load256, words256};
use std::arch::x86_64::{
    __m256i, _mm_cvtsi64_si128, _mm256_and_si256, _mm256_andnot_si256, _mm256_blend_epi32,
    _mm256_castsi256_pd, _mm256_cmpeq_epi8, _mm256_cmpeq_epi64, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_movemask_pd, _mm256_mul_epu32, _mm256_or_si256,
    _mm256_permutevar8x32_epi32, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi64, _mm256_srl_epi64, _mm256_srli_epi16, _mm256_srli_epi32, _mm256_srli_epi64,
    _mm256_srlv_epi64, _mm256_sub_epi8, _mm256_testz_si256,
};

/// Octets of a register.
const BLOCK: usize = 32;

#[target_feature(enable = "avx2,popcnt,bmi1")]
pub(super) fn sums(bytes: &[u8]) -> Sums {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut sums = Sums::default();
    let mut text_words = 0;
    let mut is_front = true;
    let mut add = |octets: __m256i, len: usize| {
        let text = text_of(octets);
        let zeros = !places_of(octets) & (u64::MAX >> (64 - len) & 0xffff_ffff) as u32;
        sums.text += text.count_ones() as usize;
        sums.high += _mm256_movemask_epi8(octets).count_ones() as usize;
        sums.zeros += zeros.count_ones() as usize;
        text_words |= whole_octets(text);
        let front = text.trailing_ones() as usize;
        let back = (text << (BLOCK - len)).leading_ones() as usize;
        sums.front += if is_front { front } else { 0 };
        is_front &= front == len;
        sums.back = if back == len { sums.back + len } else { back };
    };
    for block in blocks {
        add(load256(block), BLOCK);
    }
    if !rest.is_empty() {
        let mut block = [0; BLOCK];
        for (place, octet) in block.iter_mut().zip(rest) {
            *place = *octet;
        }
        add(load256(&block), rest.len());
    }
    sums.has_text_word = text_words != 0;
    sums
}

#[target_feature(enable = "avx2")]
pub(super) fn utf8(bytes: &[u8]) -> Utf8 {
    let mut both = [0; 2 * BLOCK];
    let len = bytes.len().min(both.len());
    if let (Some(place), Some(bytes)) = (both.get_mut(..len), bytes.get(..len)) {
        place.copy_from_slice(bytes);
    }
    let mut all = Utf8::default();
    for half in both.as_chunks::<BLOCK>().0.iter().rev() {
        let octets = load256(half);
        let high = not_below(octets, 0x80);
        let (two, three) = (not_below(octets, 0xc2), not_below(octets, 0xe0));
        let (four, none) = (not_below(octets, 0xf0), not_below(octets, 0xf5));
        let [all_two, all_three, all_four] = &mut all.leads;
        for (all, half) in [
            (&mut all.text, text_of(octets)),
            (&mut all.tails, high & !not_below(octets, 0xc0)),
            (all_two, two & !three),
            (all_three, three & !four),
            (all_four, four & !none),
        ] {
            *all = *all << BLOCK | u64::from(half);
        }
    }
    all
}

/// Which octets are as large or larger.
#[target_feature(enable = "avx2")]
#[inline]
fn not_below(octets: __m256i, least: u8) -> u32 {
    let least = _mm256_set1_epi8(least.cast_signed());
    let is_so = _mm256_cmpeq_epi8(_mm256_min_epu8(octets, least), least);
    _mm256_movemask_epi8(is_so).cast_unsigned()
}

/// Which octets are text.
#[target_feature(enable = "avx2")]
#[inline]
fn text_of(octets: __m256i) -> u32 {
    let no_more = |octets, most| _mm256_cmpeq_epi8(_mm256_min_epu8(octets, most), octets);
    let from_blank = _mm256_sub_epi8(octets, _mm256_set1_epi8(0x20));
    let from_tab = _mm256_sub_epi8(octets, _mm256_set1_epi8(9));
    let printable = no_more(from_blank, _mm256_set1_epi8(0x5e));
    let tab = no_more(from_tab, _mm256_set1_epi8(1));
    let newline = _mm256_cmpeq_epi8(octets, _mm256_set1_epi8(0x0d));
    let is_text = _mm256_or_si256(_mm256_or_si256(printable, tab), newline);
    _mm256_movemask_epi8(is_text).cast_unsigned()
}

/// The upper bit of each octet of the mask in which all bits are set; where one is, other octets above it may show so too.
#[inline]
const fn whole_octets(mask: u32) -> u32 {
    (!mask).wrapping_sub(0x0101_0101) & mask & 0x8080_8080
}

#[target_feature(enable = "avx2,popcnt,bmi1")]
pub(super) fn plain_run(bytes: &[u8], plain: &Plain) -> Run {
    let mut run = Run::default();
    for window in bytes.as_chunks::<WINDOW>().0 {
        let (blocks, _) = window.as_chunks::<BLOCK>();
        let (mut text, mut high, mut zeros, mut text_words) = (0, 0, 0, 0);
        let (mut first, mut last) = (0, 0);
        for (nth, block) in blocks.iter().enumerate() {
            let octets = load256(block);
            last = text_of(octets);
            first = if nth == 0 { last } else { first };
            text += last.count_ones();
            high += _mm256_movemask_epi8(octets).count_ones();
            zeros += (!places_of(octets)).count_ones();
            text_words |= whole_octets(last);
        }
        if text_words != 0 || !plain.is(text, high, zeros) {
            break;
        }
        run.front = if run.windows == 0 { first.trailing_ones() as usize } else { run.front };
        run.windows += 1;
        run.text += text as usize;
        run.back = last.leading_ones() as usize;
    }
    run
}

#[target_feature(enable = "avx2,bmi1")]
pub(super) fn pair(bytes: &[u8], firsts: [u8; 2], nexts: [u8; 3]) -> Result<usize, usize> {
    let ([one, other], [a, b, c]) = (firsts, nexts);
    let (one, other) = (all_of(one), all_of(other));
    let (a, b, c) = (all_of(a), all_of(b), all_of(c));
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + 1 }>) {
        let octets = |from: usize| block.get(from..).and_then(<[u8]>::first_chunk);
        let (Some(here), Some(behind)) = (octets(0), octets(1)) else { break };
        let (here, behind) = (load256(here), load256(behind));
        let is = |octets, octet| _mm256_cmpeq_epi8(octets, octet);
        let first = _mm256_or_si256(is(here, one), is(here, other));
        let next = _mm256_or_si256(_mm256_or_si256(is(behind, a), is(behind, b)), is(behind, c));
        let places = _mm256_movemask_epi8(_mm256_and_si256(first, next));
        if places != 0 {
            return Ok(at + places.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    Err(at)
}

/// An octet in all places.
#[target_feature(enable = "avx2")]
#[inline]
fn all_of(octet: u8) -> __m256i {
    _mm256_set1_epi8(octet.cast_signed())
}

#[target_feature(enable = "avx2,bmi1")]
pub(super) fn heads(heads: &Heads, bytes: &[u8], on: &mut dyn FnMut(usize)) -> usize {
    let [a, b, c] = heads.firsts.map(|octet| all_of(octet));
    let next = Tables::new(&heads.next);
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + 1 }>) {
        let octets = |from: usize| block.get(from..).and_then(<[u8]>::first_chunk);
        let (Some(here), Some(behind)) = (octets(0), octets(1)) else { break };
        let here = load256(here);
        let is = |octet| _mm256_cmpeq_epi8(here, octet);
        let first = _mm256_or_si256(_mm256_or_si256(is(a), is(b)), is(c));
        let mut places = places_of(_mm256_and_si256(first, next.of(load256(behind))));
        while places != 0 {
            let place = at + places.trailing_zeros() as usize;
            places &= places - 1;
            // Any first with any next, and halves that belong to different octets.
            if let Some([here, behind]) = bytes.get(place..).and_then(<[u8]>::first_chunk)
                && heads.first.of(*here) & heads.next.of(*behind) != 0
            {
                on(place);
            }
        }
        at += BLOCK;
    }
    at
}

#[target_feature(enable = "avx2,bmi1")]
pub(super) fn trios(trios: &Trios, bytes: &[u8], need: usize, on: &mut dyn FnMut(usize)) -> usize {
    let [first, next, last] = &trios.0;
    let (around, ends) = (twice(&first.last), twice(&next.last));
    let (first, next, last) = (Tables::new(first), Tables::new(next), Tables::new(last));
    let mut padded = [0; BLOCK + 2];
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        // Octets behind the end may be any: which the last places are is asked one by one.
        let (block, open) = if let Some(block) = rest.first_chunk::<{ BLOCK + 2 }>() {
            (block, 0)
        } else {
            for (place, octet) in padded.iter_mut().zip(rest) {
                *place = *octet;
            }
            (&padded, low_half(!first_bits(rest.len() - rest.len().min(2))))
        };
        let octets = |from: usize| block.get(from..).and_then(<[u8]>::first_chunk);
        let (Some(here), Some(one), Some(two)) = (octets(0), octets(1), octets(2)) else { break };
        let groups = _mm256_and_si256(first.of(load256(here)), next.of(load256(one)));
        let groups = _mm256_and_si256(groups, last.of(load256(two)));
        if _mm256_testz_si256(groups, groups) == 0 || open != 0 {
            let mut places = (places_of(groups) | open) & low_half(first_bits(rest.len()));
            let around = if need > 0 { last_of(around, load256(here)) | open } else { 0 };
            let ends = if places & around != 0 { last_of(ends, load256(one)) } else { 0 };
            while places != 0 {
                let nth = places.trailing_zeros();
                places &= places - 1;
                let place = at + nth as usize;
                let is_short = around >> nth & 1 != 0
                    && !is_broken_run(around.into(), ends.into(), 32, nth, need);
                // Halves that belong to different octets.
                if !is_short && trios.is_at(bytes, place) {
                    on(place);
                }
            }
        }
        at += BLOCK;
    }
    bytes.len()
}

/// The lower half of bits.
const fn low_half(bits: u64) -> u32 {
    (bits & 0xffff_ffff) as u32
}

/// A bit for each octet of the last group, by `Kinds::last`.
#[target_feature(enable = "avx2")]
#[inline]
fn last_of(table: __m256i, octets: __m256i) -> u32 {
    let half = _mm256_set1_epi8(15);
    let bits = twice(&[1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0]);
    let low = _mm256_shuffle_epi8(table, _mm256_and_si256(octets, half));
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(octets), half);
    places_of(_mm256_and_si256(low, _mm256_shuffle_epi8(bits, high)))
}

/// A bit for each octet that is not zero.
#[target_feature(enable = "avx2")]
#[inline]
fn places_of(octets: __m256i) -> u32 {
    !_mm256_movemask_epi8(_mm256_cmpeq_epi8(octets, _mm256_setzero_si256())).cast_unsigned()
}

/// What the halves of an octet stand for, twice side by side.
struct Tables {
    low: __m256i,
    high: __m256i,
}

impl Tables {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn new(kinds: &Kinds) -> Self {
        let any = _mm256_set1_epi8(kinds.any.cast_signed());
        let with = |table| _mm256_or_si256(table, any);
        Self { low: with(twice(&kinds.low)), high: with(twice(&kinds.high)) }
    }

    /// What each octet stands for.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn of(&self, octets: __m256i) -> __m256i {
        let half = _mm256_set1_epi8(15);
        let low = _mm256_shuffle_epi8(self.low, _mm256_and_si256(octets, half));
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(octets), half);
        _mm256_and_si256(low, _mm256_shuffle_epi8(self.high, high))
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn twice(table: &[u8; 16]) -> __m256i {
    let (low, high) = super::words(table);
    _mm256_set_epi64x(high, low, high, low)
}

#[target_feature(enable = "avx2,bmi1")]
pub(super) fn places(
    sieve: &Sieve,
    bytes: &[u8],
    first: usize,
    on: &mut dyn FnMut(usize, u8),
) -> usize {
    let classes = Tables::new(&sieve.classes);
    let beyond = _mm256_set1_epi32((!sieve.mask()).cast_signed());
    // Between two places of four octets there may be others: they are looked at in registers that begin later.
    let shifts = GRAM.saturating_sub(sieve.stride);
    let rotate = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
    let mut before = _mm256_set1_epi8(-1);
    let mut at = first;
    while let Some(block) = bytes.get(at..at + BLOCK + shifts) {
        for shift in (0..=shifts).step_by(sieve.stride) {
            let Some(octets) = block.get(shift..).and_then(<[u8]>::first_chunk) else { break };
            let octets = load256(octets);
            let tables = _mm256_or_si256(classes.of(octets), beyond);
            let tables = _mm256_and_si256(tables, _mm256_srli_epi32::<16>(tables));
            let tables = _mm256_and_si256(tables, _mm256_srli_epi32::<8>(tables));
            let tables = if sieve.stride == 8 {
                let behind = _mm256_srli_epi64::<32>(tables);
                let rotated = _mm256_permutevar8x32_epi32(tables, rotate);
                let front = _mm256_blend_epi32::<1>(rotated, before);
                before = rotated;
                let near = _mm256_and_si256(tables, _mm256_or_si256(behind, front));
                _mm256_and_si256(near, _mm256_set1_epi64x(0xff))
            } else {
                _mm256_and_si256(tables, _mm256_set1_epi32(0xff))
            };
            if _mm256_testz_si256(tables, tables) == 0 {
                ask(sieve, octets, tables, (bytes, at + shift), on);
                if sieve.stride < 8 {
                    let (octets, tables) =
                        (_mm256_srli_epi64::<32>(octets), _mm256_srli_epi64::<32>(tables));
                    ask(sieve, octets, tables, (bytes, at + shift + GRAM), on);
                }
            }
        }
        at += BLOCK;
    }
    at
}

/// Asks the filters of the grams in the lower half of each eight octets, the first of them at `at` in `bytes`.
#[target_feature(enable = "avx2,bmi1")]
#[inline]
fn ask(
    sieve: &Sieve,
    octets: __m256i,
    tables: __m256i,
    (bytes, at): (&[u8], usize),
    on: &mut dyn FnMut(usize, u8),
) {
    let grams = _mm256_and_si256(octets, _mm256_set1_epi64x(sieve.mask().into()));
    let grams = _mm256_or_si256(grams, _mm256_set1_epi64x(FOLD.into()));
    let hash = _mm256_mul_epu32(grams, _mm256_set1_epi64x(FACTOR.into()));
    let sixty_three = _mm256_set1_epi64x(63);
    let one = _mm256_and_si256(_mm256_srli_epi64::<32>(hash), sixty_three);
    let other = _mm256_and_si256(_mm256_srli_epi64::<38>(hash), sixty_three);
    let filter = &sieve.all;
    let octet = _mm256_set1_epi64x(0xff);
    let none = _mm256_cmpeq_epi64(_mm256_and_si256(tables, octet), _mm256_setzero_si256());
    let low = _mm256_and_si256(hash, _mm256_set1_epi64x(u32::MAX.into()));
    let places = _mm256_srl_epi64(low, _mm_cvtsi64_si128((32 - filter.bits).into()));
    let words = words256(&filter.words, places);
    let bits = _mm256_and_si256(_mm256_srlv_epi64(words, one), _mm256_srlv_epi64(words, other));
    // The lowest bit as the highest.
    let bits = _mm256_andnot_si256(none, _mm256_slli_epi64::<63>(bits));
    let mut may_be = _mm256_movemask_pd(_mm256_castsi256_pd(bits)).cast_unsigned();
    while may_be != 0 {
        let at = at + 8 * may_be.trailing_zeros() as usize;
        let octets = bytes.get(at..at + sieve.len).unwrap_or_default();
        sieve.ask(at, gram(octets), on);
        may_be &= may_be - 1;
    }
}
