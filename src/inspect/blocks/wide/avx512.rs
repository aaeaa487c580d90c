//! The passes in registers of 64 octets.

use super::super::sieve::{FACTOR, FOLD, GRAM, Sieve, gram};
use super::super::{
    Heads, Kinds, LAST, ONES, Plain, Run, Sums, TOPS, Trios, Utf8, WINDOW, is_broken_run,
};
use super::{first_bits, load512, load512_part, words512};
use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm512_alignr_epi32, _mm512_and_si512, _mm512_cmpeq_epi8_mask,
    _mm512_cmplt_epu8_mask, _mm512_mask_mov_epi8, _mm512_maskz_mov_epi32,
    _mm512_maskz_permutex2var_epi8, _mm512_movepi8_mask, _mm512_mul_epu32, _mm512_or_si512,
    _mm512_permutex2var_epi8, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_srl_epi64, _mm512_srli_epi32, _mm512_srli_epi64, _mm512_srlv_epi64, _mm512_sub_epi8,
    _mm512_test_epi8_mask, _mm512_test_epi32_mask, _mm512_test_epi64_mask, _mm512_testn_epi8_mask,
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
        let text = text_of(octets);
        let zeros = _mm512_testn_epi8_mask(octets, octets) & first_bits(len);
        sums.text += text.count_ones() as usize;
        sums.high += _mm512_movepi8_mask(octets).count_ones() as usize;
        sums.zeros += zeros.count_ones() as usize;
        text_words |= whole_octets(text);
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

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn utf8(bytes: &[u8]) -> Utf8 {
    let octets = load512_part(bytes);
    let high = _mm512_movepi8_mask(octets);
    let (two, three) = (not_below(octets, 0xc2), not_below(octets, 0xe0));
    let (four, none) = (not_below(octets, 0xf0), not_below(octets, 0xf5));
    Utf8 {
        text: text_of(octets),
        tails: high & !not_below(octets, 0xc0),
        leads: [two & !three, three & !four, four & !none],
    }
}

/// Which octets are as large or larger.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn not_below(octets: __m512i, least: u8) -> u64 {
    !_mm512_cmplt_epu8_mask(octets, _mm512_set1_epi8(least.cast_signed()))
}

/// Which octets are text.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn text_of(octets: __m512i) -> u64 {
    let from_blank = _mm512_sub_epi8(octets, _mm512_set1_epi8(0x20));
    let from_tab = _mm512_sub_epi8(octets, _mm512_set1_epi8(9));
    _mm512_cmplt_epu8_mask(from_blank, _mm512_set1_epi8(0x5f))
        | _mm512_cmplt_epu8_mask(from_tab, _mm512_set1_epi8(2))
        | _mm512_cmpeq_epi8_mask(octets, _mm512_set1_epi8(0x0d))
}

/// The upper bit of each octet of the mask in which all bits are set; where one is, other octets above it may show so too.
#[inline]
const fn whole_octets(mask: u64) -> u64 {
    (!mask).wrapping_sub(ONES) & mask & TOPS
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,popcnt,bmi1")]
pub(super) fn plain_run(bytes: &[u8], plain: &Plain) -> Run {
    let mut run = Run::default();
    for window in bytes.as_chunks::<WINDOW>().0 {
        let (blocks, _) = window.as_chunks::<BLOCK>();
        let (mut text, mut high, mut zeros, mut text_words) = (0, 0, 0, 0);
        let (mut first, mut last) = (0, 0);
        for (nth, block) in blocks.iter().enumerate() {
            let octets = load512(block);
            last = text_of(octets);
            first = if nth == 0 { last } else { first };
            text += last.count_ones();
            high += _mm512_movepi8_mask(octets).count_ones();
            zeros += _mm512_testn_epi8_mask(octets, octets).count_ones();
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

/// The upper bit of octets is not looked at.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
pub(super) fn heads(heads: &Heads, bytes: &[u8], on: &mut dyn FnMut(usize)) -> usize {
    let halves = |kinds: &Kinds| {
        let (parts, _) = kinds.whole.as_chunks::<BLOCK>();
        let part = |nth: usize| load512(parts.get(nth).unwrap_or(&[0; BLOCK]));
        (_mm512_or_si512(part(0), part(2)), _mm512_or_si512(part(1), part(3)))
    };
    let (first, next) = (halves(&heads.first), halves(&heads.next));
    let places_of = |here: __m512i, behind: __m512i| {
        let here = _mm512_permutex2var_epi8(first.0, here, first.1);
        _mm512_test_epi8_mask(here, _mm512_permutex2var_epi8(next.0, behind, next.1))
    };
    let mut at = 0;
    while at < bytes.len() {
        // Nothing is called as long as nothing is there: the tables stay in registers.
        let mut places = 0;
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + 1 }>) {
            let octets = |from: usize| block.get(from..).and_then(<[u8]>::first_chunk);
            let (Some(here), Some(behind)) = (octets(0), octets(1)) else { break };
            places = places_of(load512(here), load512(behind));
            if places != 0 {
                break;
            }
            at += BLOCK;
        }
        if places == 0 {
            let rest = bytes.get(at..).unwrap_or_default();
            let behind = rest.get(1..).unwrap_or_default();
            places = places_of(load512_part(rest), load512_part(behind)) & first_bits(behind.len());
        }
        while places != 0 {
            on(at + places.trailing_zeros() as usize);
            places &= places - 1;
        }
        at += BLOCK;
    }
    bytes.len()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
pub(super) fn trios(trios: &Trios, bytes: &[u8], need: usize, on: &mut dyn FnMut(usize)) -> usize {
    let [first, next, _] = &trios.0;
    let is_plain = first.any == 0 && next.any == 0 && trios.0.iter().all(|kinds| !kinds.has_high);
    if is_plain {
        trios_in::<true>(trios, bytes, need, on)
    } else {
        trios_in::<false>(trios, bytes, need, on)
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
#[inline]
fn trios_in<const IS_PLAIN: bool>(
    trios: &Trios,
    bytes: &[u8],
    need: usize,
    on: &mut dyn FnMut(usize),
) -> usize {
    let [first, next, last] = &trios.0;
    let (first, next, last) = (Tables::new(first), Tables::new(next), Tables::new(last));
    let tables = (first, next, last);
    let mut at = 0;
    while at < bytes.len() {
        let found = next_trio::<IS_PLAIN>(&tables, bytes, &mut at);
        let found =
            found.unwrap_or_else(|| last_trios(&tables, bytes.get(at..).unwrap_or_default()));
        let (mut places, around, ends) = found;
        if need > 0 {
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

/// In the next whole block where one stands: the places, which octets are first ones of the last group, and which are
/// followed by a next one of it. `at` is where that block begins, or where there is no whole one.
///
/// Nothing is called in here: the tables stay in registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
#[inline(never)]
fn next_trio<const IS_PLAIN: bool>(
    (first, next, last): &(Tables, Tables, Tables),
    bytes: &[u8],
    at: &mut usize,
) -> Option<(u64, u64, u64)> {
    let mut from = *at;
    while let Some(block) = bytes.get(from..).and_then(<[u8]>::first_chunk::<{ BLOCK + 2 }>) {
        let octets = |from: usize| block.get(from..).and_then(<[u8]>::first_chunk);
        let (Some(here), Some(one), Some(two)) = (octets(0), octets(1), octets(2)) else { break };
        let (here, one, two) = (load512(here), load512(one), load512(two));
        let (groups, nexts, lasts) = if IS_PLAIN {
            (first.of_low(here), next.of_low(one), _mm512_or_si512(last.of_low(two), last.any))
        } else {
            (first.of(here), next.of(one), last.of(two))
        };
        let places = _mm512_test_epi8_mask(_mm512_and_si512(groups, nexts), lasts);
        if places != 0 {
            *at = from;
            return Some((places, last_of(groups), last_of(nexts)));
        }
        from += BLOCK;
    }
    *at = from;
    None
}

/// The same in the last octets, fewer than such a block has. Octets behind them may be any.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
fn last_trios((first, next, last): &(Tables, Tables, Tables), bytes: &[u8]) -> (u64, u64, u64) {
    let of = |kinds: &Tables, from: usize| {
        let octets = bytes.get(from..).unwrap_or_default();
        let groups = kinds.of(load512_part(octets));
        _mm512_mask_mov_epi8(groups, !first_bits(octets.len()), _mm512_set1_epi8(-1))
    };
    let (groups, nexts, lasts) = (of(first, 0), of(next, 1), of(last, 2));
    let places = _mm512_test_epi8_mask(_mm512_and_si512(groups, nexts), lasts);
    (places & first_bits(bytes.len()), last_of(groups), last_of(nexts))
}

/// Which are of the last group.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn last_of(groups: __m512i) -> u64 {
    _mm512_test_epi8_mask(groups, _mm512_set1_epi8(LAST.cast_signed()))
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
    fn of(&self, octets: __m512i) -> __m512i {
        let [a, b, c, d] = self.parts;
        let high = _mm512_movepi8_mask(octets);
        let low = _mm512_permutex2var_epi8(a, octets, b);
        let upper = _mm512_permutex2var_epi8(c, octets, d);
        _mm512_mask_mov_epi8(low, high, upper)
    }

    /// The same where nothing is of octets above 0x7f; what any octet is does not count.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    fn of_low(&self, octets: __m512i) -> __m512i {
        let [a, b, ..] = self.parts;
        let low = _mm512_testn_epi8_mask(octets, _mm512_set1_epi8(i8::MIN));
        _mm512_maskz_permutex2var_epi8(low, a, octets, b)
    }
}

/// Grams for which it does not pay to ask the filter of all for eight at a time.
const FEW: u32 = 2;

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
    if sieve.stride == 8 {
        return places_of_eight(&wanted, bytes, first, on);
    }
    // Between two places of four octets there may be others: they are looked at in registers that begin later.
    let shifts = GRAM.saturating_sub(sieve.stride);
    let mut at = first;
    while let Some(block) = bytes.get(at..).filter(|rest| rest.len() >= sieve.len) {
        for shift in (0..=shifts).step_by(sieve.stride) {
            let rest = block.get(shift..).unwrap_or_default();
            let octets = match rest.first_chunk() {
                Some(octets) => load512(octets),
                None => load512_part(rest),
            };
            let tables = wanted.tables_of_part(octets, rest.len());
            let tables = _mm512_and_si512(tables, _mm512_set1_epi32(0xff));
            let tables = _mm512_maskz_mov_epi32(whole_grams(rest.len(), sieve.len), tables);
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

/// Of which four octets in so many a gram of this length lies in them as a whole.
const fn whole_grams(octets: usize, len: usize) -> u16 {
    let grams = (octets + GRAM).saturating_sub(len) / GRAM;
    (first_bits(grams) & 0xffff) as u16
}

/// The same for a stride of eight, where the neighbours of a gram count.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
fn places_of_eight(
    wanted: &Wanted<'_>,
    bytes: &[u8],
    first: usize,
    on: &mut dyn FnMut(usize, u8),
) -> usize {
    let mut before = _mm512_set1_epi8(-1);
    let mut at = first;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= wanted.sieve.len) {
        let next = if rest.len() >= BLOCK {
            next_near(wanted, bytes, &mut at, &mut before)
        } else {
            let octets = load512_part(rest);
            let near = near(wanted.tables_of_part(octets, rest.len()), before);
            let lanes = whole_grams(rest.len(), wanted.sieve.len);
            Some((octets, _mm512_maskz_mov_epi32(lanes, near)))
        };
        if let Some((octets, tables)) = next {
            wanted.ask(octets, tables, (bytes, at), on);
            at += BLOCK;
        }
    }
    at
}

/// The next whole block from `at` on with four octets that may be a gram, and the tables of those; `before`: the tables of
/// the block in front. `at` is where it begins, or the octets that are no whole block.
///
/// Nothing is called in here: the tables stay in registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
#[inline(never)]
fn next_near(
    wanted: &Wanted<'_>,
    bytes: &[u8],
    at: &mut usize,
    before: &mut __m512i,
) -> Option<(__m512i, __m512i)> {
    if wanted.has_high {
        next_near_in::<true>(wanted, bytes, at, before)
    } else {
        next_near_in::<false>(wanted, bytes, at, before)
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi1")]
#[inline]
fn next_near_in<const HAS_HIGH: bool>(
    wanted: &Wanted<'_>,
    bytes: &[u8],
    at: &mut usize,
    before: &mut __m512i,
) -> Option<(__m512i, __m512i)> {
    let (mut from, mut front) = (*at, *before);
    let mut found = None;
    while let Some(block) = bytes.get(from..).and_then(<[u8]>::first_chunk) {
        let octets = load512(block);
        let of = if HAS_HIGH { wanted.classes.of(octets) } else { wanted.classes.of_low(octets) };
        let tables = wanted.in_a_row(of);
        let near = near(tables, front);
        front = tables;
        if _mm512_test_epi32_mask(near, near) != 0 {
            found = Some((octets, near));
            break;
        }
        from += BLOCK;
    }
    (*at, *before) = (from, front);
    found
}

/// Those of each second four octets whose neighbours are of their tables as well.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn near(tables: __m512i, before: __m512i) -> __m512i {
    let behind = _mm512_srli_epi64::<32>(tables);
    let front = _mm512_alignr_epi32::<15>(tables, before);
    let near = _mm512_and_si512(tables, _mm512_or_si512(behind, front));
    _mm512_and_si512(near, _mm512_set1_epi64(0xff))
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
    fn tables_of_part(&self, octets: __m512i, lanes: usize) -> __m512i {
        let tables =
            if self.has_high { self.classes.of(octets) } else { self.classes.of_low(octets) };
        let any = _mm512_set1_epi8(-1);
        self.in_a_row(_mm512_mask_mov_epi8(tables, !first_bits(lanes), any))
    }

    /// The tables to which four octets belong, by those of each.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn in_a_row(&self, tables: __m512i) -> __m512i {
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
        let lanes = _mm512_test_epi64_mask(tables, _mm512_set1_epi64(0xff));
        if lanes.count_ones() <= FEW {
            return self.ask_each(lanes, (bytes, at), on);
        }
        let grams = _mm512_and_si512(octets, self.mask);
        let grams = _mm512_or_si512(grams, _mm512_set1_epi64(FOLD.into()));
        let hash = _mm512_mul_epu32(grams, _mm512_set1_epi64(FACTOR.into()));
        let sixty_three = _mm512_set1_epi64(63);
        let one = _mm512_and_si512(_mm512_srli_epi64::<32>(hash), sixty_three);
        let other = _mm512_and_si512(_mm512_srli_epi64::<38>(hash), sixty_three);
        let filter = &self.sieve.all;
        let low = _mm512_and_si512(hash, _mm512_set1_epi64(u32::MAX.into()));
        let places = _mm512_srl_epi64(low, _mm_cvtsi64_si128((32 - filter.bits).into()));
        let words = words512(&filter.words, places);
        let bits = _mm512_and_si512(_mm512_srlv_epi64(words, one), _mm512_srlv_epi64(words, other));
        self.ask_each(lanes & _mm512_test_epi64_mask(bits, _mm512_set1_epi64(1)), (bytes, at), on);
    }

    /// Asks one after the other; a bit for each eight octets from `at` on.
    #[inline]
    fn ask_each(&self, lanes: u8, (bytes, at): (&[u8], usize), on: &mut dyn FnMut(usize, u8)) {
        let mut lanes = lanes;
        while lanes != 0 {
            let at = at + 8 * lanes.trailing_zeros() as usize;
            let octets = bytes.get(at..at + self.sieve.len).unwrap_or_default();
            self.sieve.ask(at, gram(octets), on);
            lanes &= lanes - 1;
        }
    }
}
