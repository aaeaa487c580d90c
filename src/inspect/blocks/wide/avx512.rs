//! The passes in registers of 64 octets.

use super::super::sieve::{FACTOR, FOLD, GRAM, Sieve, gram};
use super::super::{Kinds, LAST, ONES, Sums, TOPS, Trios, is_broken_run};
use super::{first_bits, load512, load512_part, words512};
use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm512_alignr_epi32, _mm512_and_si512, _mm512_cmpeq_epi8_mask,
    _mm512_cmplt_epu8_mask, _mm512_mask_mov_epi8, _mm512_maskz_mov_epi32, _mm512_movepi8_mask,
    _mm512_mul_epu32, _mm512_or_si512, _mm512_permutex2var_epi8, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_srl_epi64, _mm512_srli_epi32, _mm512_srli_epi64,
    _mm512_srlv_epi64, _mm512_sub_epi8, _mm512_test_epi8_mask, _mm512_test_epi32_mask,
    _mm512_test_epi64_mask, _mm512_testn_epi8_mask,
};

/// Octets of a register.
const BLOCK: usize = 64;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,popcnt")]
pub(super) fn sums(bytes: &[u8]) -> Sums {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut sums = Sums::default();
    let mut text_words = 0;
    let mut is_front = true;
    let mut add = |octets: __m512i, len: usize| {
        let from_blank = _mm512_sub_epi8(octets, _mm512_set1_epi8(0x20));
        let from_tab = _mm512_sub_epi8(octets, _mm512_set1_epi8(9));
        let text = _mm512_cmplt_epu8_mask(from_blank, _mm512_set1_epi8(0x5f))
            | _mm512_cmplt_epu8_mask(from_tab, _mm512_set1_epi8(2))
            | _mm512_cmpeq_epi8_mask(octets, _mm512_set1_epi8(0x0d));
        let zeros = _mm512_testn_epi8_mask(octets, octets) & first_bits(len);
        sums.text += text.count_ones() as usize;
        sums.high += _mm512_movepi8_mask(octets).count_ones() as usize;
        sums.zeros += zeros.count_ones() as usize;
        // An octet of the mask in which all bits are set.
        text_words |= (!text).wrapping_sub(ONES) & text & TOPS;
        let front = text.trailing_ones() as usize;
        let back = (text << (BLOCK - len)).leading_ones() as usize;
        sums.front += if is_front { front } else { 0 };
        is_front &= front == len;
        sums.back = if back == len { sums.back + len } else { back };
    };
    for block in blocks {
        add(load512(block), BLOCK);
    }
    if !rest.is_empty() {
        add(load512_part(rest), rest.len());
    }
    sums.has_text_word = text_words != 0;
    sums
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,bmi1")]
pub(super) fn pair(bytes: &[u8], firsts: [u8; 2], nexts: [u8; 3]) -> Result<usize, usize> {
    let ([one, other], [a, b, c]) = (firsts, nexts);
    let (one, other) = (all_of(one), all_of(other));
    let (a, b, c) = (all_of(a), all_of(b), all_of(c));
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + 1 }>) {
        let octets = |from: usize| block.get(from..).and_then(<[u8]>::first_chunk);
        let (Some(here), Some(behind)) = (octets(0), octets(1)) else { break };
        let (here, behind) = (load512(here), load512(behind));
        let is = |octets, octet| _mm512_cmpeq_epi8_mask(octets, octet);
        let first = is(here, one) | is(here, other);
        let places = first & (is(behind, a) | is(behind, b) | is(behind, c));
        if places != 0 {
            return Ok(at + places.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    Err(at)
}

/// An octet in all places.
#[target_feature(enable = "avx512f")]
#[inline]
fn all_of(octet: u8) -> __m512i {
    _mm512_set1_epi8(octet.cast_signed())
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
pub(super) fn trios(trios: &Trios, bytes: &[u8], need: usize, on: &mut dyn FnMut(usize)) -> usize {
    if trios.0.iter().any(|kinds| kinds.has_high) {
        trios_in::<true>(trios, bytes, need, on)
    } else {
        trios_in::<false>(trios, bytes, need, on)
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
#[inline]
fn trios_in<const HAS_HIGH: bool>(
    trios: &Trios,
    bytes: &[u8],
    need: usize,
    on: &mut dyn FnMut(usize),
) -> usize {
    let [first, next, last] = &trios.0;
    let (first, next, last) = (Tables::new(first), Tables::new(next), Tables::new(last));
    let any = _mm512_set1_epi8(-1);
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let (first, next, last) = if let Some(block) = rest.first_chunk::<{ BLOCK + 2 }>() {
            let octets = |from: usize| block.get(from..).and_then(<[u8]>::first_chunk);
            let (Some(here), Some(one), Some(two)) = (octets(0), octets(1), octets(2)) else {
                break;
            };
            let (here, one, two) = (load512(here), load512(one), load512(two));
            (first.of::<HAS_HIGH>(here), next.of::<HAS_HIGH>(one), last.of::<HAS_HIGH>(two))
        } else {
            let of = |kinds: &Tables, from: usize| {
                let octets = rest.get(from..).unwrap_or_default();
                let groups = kinds.of::<HAS_HIGH>(load512_part(octets));
                _mm512_mask_mov_epi8(groups, !first_bits(octets.len()), any)
            };
            (of(&first, 0), of(&next, 1), of(&last, 2))
        };
        let groups = _mm512_and_si512(first, next);
        let mut places = _mm512_test_epi8_mask(groups, last) & first_bits(rest.len());
        if need > 0 && places != 0 {
            let group = _mm512_set1_epi8(LAST.cast_signed());
            let around = _mm512_test_epi8_mask(first, group);
            let ends = _mm512_test_epi8_mask(next, group);
            let mut breaks = places & around;
            while breaks != 0 {
                let nth = breaks.trailing_zeros();
                if !is_broken_run(around, ends, 64, nth, need) {
                    places ^= 1 << nth;
                }
                breaks &= breaks - 1;
            }
        }
        while places != 0 {
            on(at + places.trailing_zeros() as usize);
            places &= places - 1;
        }
        at += BLOCK;
    }
    bytes.len()
}

/// What each octet stands for, in four parts.
struct Tables {
    parts: [__m512i; 4],
    any: __m512i,
}

impl Tables {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn new(kinds: &Kinds) -> Self {
        let any = _mm512_set1_epi8(kinds.any.cast_signed());
        let (parts, _) = kinds.whole.as_chunks::<BLOCK>();
        let part = |nth: usize| parts.get(nth).unwrap_or(&[0; BLOCK]);
        let [a, b, c, d] = [part(0), part(1), part(2), part(3)];
        let with = |part| _mm512_or_si512(load512(part), any);
        Self { parts: [with(a), with(b), with(c), with(d)], any }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    fn of<const HAS_HIGH: bool>(&self, octets: __m512i) -> __m512i {
        let [a, b, c, d] = self.parts;
        let high = _mm512_movepi8_mask(octets);
        let low = _mm512_permutex2var_epi8(a, octets, b);
        let upper = if HAS_HIGH { _mm512_permutex2var_epi8(c, octets, d) } else { self.any };
        _mm512_mask_mov_epi8(low, high, upper)
    }
}

/// What is looked for in each register.
struct Wanted<'a> {
    sieve: &'a Sieve,
    classes: Tables,
    has_high: bool,
    /// Octets of a gram that do not count.
    beyond: __m512i,
    mask: __m512i,
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
pub(super) fn places(
    sieve: &Sieve,
    bytes: &[u8],
    first: usize,
    on: &mut dyn FnMut(usize, u8),
) -> usize {
    let wanted = Wanted::new(sieve);
    // Between two places of four octets there may be others: they are looked at in registers that begin later.
    let shifts = GRAM.saturating_sub(sieve.stride);
    let mut before = _mm512_set1_epi8(-1);
    let mut at = first;
    while let Some(block) = bytes.get(at..).filter(|rest| rest.len() >= sieve.len) {
        for shift in (0..=shifts).step_by(sieve.stride) {
            let rest = block.get(shift..).unwrap_or_default();
            let octets = match rest.first_chunk() {
                Some(octets) => load512(octets),
                None => load512_part(rest),
            };
            let tables = wanted.tables(octets, rest.len());
            let tables = if sieve.stride == 8 {
                let behind = _mm512_srli_epi64::<32>(tables);
                let front = _mm512_alignr_epi32::<15>(tables, before);
                before = tables;
                let near = _mm512_and_si512(tables, _mm512_or_si512(behind, front));
                _mm512_and_si512(near, _mm512_set1_epi64(0xff))
            } else {
                _mm512_and_si512(tables, _mm512_set1_epi32(0xff))
            };
            // The last gram lies in the octets as a whole.
            let grams = (rest.len() + GRAM).saturating_sub(sieve.len) / GRAM;
            let lanes = (first_bits(grams) & 0xffff) as u16;
            let tables = _mm512_maskz_mov_epi32(lanes, tables);
            if _mm512_test_epi32_mask(tables, tables) == 0 {
                continue;
            }
            let (mut octets, mut tables) = (octets, tables);
            for half in (0..8).step_by(sieve.stride.max(GRAM)) {
                wanted.ask(octets, tables, (bytes, at + shift + half), on);
                octets = _mm512_srli_epi64::<32>(octets);
                tables = _mm512_srli_epi64::<32>(tables);
            }
        }
        at += BLOCK;
    }
    at
}

impl<'a> Wanted<'a> {
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn new(sieve: &'a Sieve) -> Self {
        let mask = sieve.mask();
        Self {
            sieve,
            classes: Tables::new(&sieve.classes),
            has_high: sieve.classes.has_high,
            beyond: _mm512_set1_epi32((!mask).cast_signed()),
            mask: _mm512_set1_epi64(mask.into()),
        }
    }

    /// The tables to which four octets belong, for each four; the lowest octet counts. Octets from `lanes` on may be any.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    fn tables(&self, octets: __m512i, lanes: usize) -> __m512i {
        let tables = if self.has_high {
            self.classes.of::<true>(octets)
        } else {
            self.classes.of::<false>(octets)
        };
        let tables = _mm512_mask_mov_epi8(tables, !first_bits(lanes), _mm512_set1_epi8(-1));
        let tables = _mm512_or_si512(tables, self.beyond);
        let pairs = _mm512_and_si512(tables, _mm512_srli_epi32::<16>(tables));
        _mm512_and_si512(pairs, _mm512_srli_epi32::<8>(pairs))
    }

    /// Asks the filters of the grams in the lower half of each eight octets, the first of them at `at` in `bytes`.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,bmi1")]
    #[inline]
    fn ask(
        &self,
        octets: __m512i,
        tables: __m512i,
        (bytes, at): (&[u8], usize),
        on: &mut dyn FnMut(usize, u8),
    ) {
        let grams = _mm512_and_si512(octets, self.mask);
        let grams = _mm512_or_si512(grams, _mm512_set1_epi64(FOLD.into()));
        let hash = _mm512_mul_epu32(grams, _mm512_set1_epi64(FACTOR.into()));
        let sixty_three = _mm512_set1_epi64(63);
        let one = _mm512_and_si512(_mm512_srli_epi64::<32>(hash), sixty_three);
        let other = _mm512_and_si512(_mm512_srli_epi64::<38>(hash), sixty_three);
        let filter = &self.sieve.all;
        let lanes = _mm512_test_epi64_mask(tables, _mm512_set1_epi64(0xff));
        let low = _mm512_and_si512(hash, _mm512_set1_epi64(u32::MAX.into()));
        let places = _mm512_srl_epi64(low, _mm_cvtsi64_si128((32 - filter.bits).into()));
        let words = words512(&filter.words, places);
        let bits = _mm512_and_si512(_mm512_srlv_epi64(words, one), _mm512_srlv_epi64(words, other));
        let mut may_be = lanes & _mm512_test_epi64_mask(bits, _mm512_set1_epi64(1));
        while may_be != 0 {
            let at = at + 8 * may_be.trailing_zeros() as usize;
            let octets = bytes.get(at..at + self.sieve.len).unwrap_or_default();
            self.sieve.ask(at, gram(octets), on);
            may_be &= may_be - 1;
        }
    }
}
