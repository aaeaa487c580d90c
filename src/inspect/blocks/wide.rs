//! The passes for registers of 32 and of 64 octets.
//!
//! The only place with `unsafe`: a function that is compiled for AVX2 or AVX-512 is called where the processor was asked.
//! Measured on random octets, one core, GB/s, portable / AVX2 / AVX-512: sums 4.1 / 6.6 / 9.8, escapes 2.3 / 6 / 6,
//! magics 3.3 / 10.7 / 10.7. Inside of these functions everything is checked by the compiler: octets are loaded through
//! slices, not through pointers.
#![expect(unsafe_code, reason = "the one door from portable code to code for wider registers")]

use super::{Halves, Pairs, Sums};
use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set_epi64x, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16, _mm256_testz_si256,
};

/// Where a pair may stand.
pub(super) enum Place {
    /// Here.
    At(usize),
    /// Not in front of this; the rest is too short for a block.
    From(usize),
}

/// Sums over octets; none where the processor knows neither AVX2 nor AVX-512.
#[inline]
pub(super) fn sums(bytes: &[u8]) -> Option<Sums> {
    if has_avx512() {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        return Some(unsafe { sums_avx512(bytes) });
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return Some(unsafe { sums_avx2(bytes) });
    }
    None
}

/// The first place of a pair.
#[inline]
pub(super) fn find(pairs: &Pairs, bytes: &[u8], from: usize) -> Place {
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        unsafe { find_avx2(pairs, bytes, from) }
    } else {
        Place::From(from)
    }
}

fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
}

#[target_feature(enable = "avx2")]
fn sums_avx2(bytes: &[u8]) -> Sums {
    super::sums_of(bytes)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn sums_avx512(bytes: &[u8]) -> Sums {
    super::sums_of(bytes)
}

/// Octets of a block; one more is looked at.
const BLOCK: usize = 64;

#[target_feature(enable = "avx2")]
fn find_avx2(pairs: &Pairs, bytes: &[u8], from: usize) -> Place {
    let (first, next) = (Tables::new(&pairs.first), Tables::new(&pairs.next));
    let mut at = from;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + 1 }>) {
        let half = |from: usize| {
            _mm256_and_si256(first.groups(load(block, from)), next.groups(load(block, from + 1)))
        };
        let (here, there) = (half(0), half(BLOCK / 2));
        let any = _mm256_or_si256(here, there);
        if _mm256_testz_si256(any, any) == 0 {
            let places = u64::from(places(there)) << 32 | u64::from(places(here));
            return Place::At(at + places.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    Place::From(at)
}

/// The tables of `Halves`, twice side by side.
struct Tables {
    low: __m256i,
    high: __m256i,
}

impl Tables {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn new(halves: &Halves) -> Self {
        Self { low: twice(&halves.low), high: twice(&halves.high) }
    }

    /// The groups of each octet.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn groups(&self, octets: __m256i) -> __m256i {
        let half = _mm256_set1_epi8(15);
        let low = _mm256_shuffle_epi8(self.low, _mm256_and_si256(octets, half));
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(octets), half);
        _mm256_and_si256(low, _mm256_shuffle_epi8(self.high, high))
    }
}

/// A bit for each octet that is not zero.
#[target_feature(enable = "avx2")]
#[inline]
fn places(octets: __m256i) -> u32 {
    !_mm256_movemask_epi8(_mm256_cmpeq_epi8(octets, _mm256_setzero_si256())).cast_unsigned()
}

/// 32 octets from `from` on; the compiler makes one load of it.
#[target_feature(enable = "avx2")]
#[inline]
fn load(block: &[u8; BLOCK + 1], from: usize) -> __m256i {
    let word = |nth: usize| {
        let word = block.get(from + 8 * nth..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| i64::from_le_bytes(*word))
    };
    _mm256_set_epi64x(word(3), word(2), word(1), word(0))
}

#[target_feature(enable = "avx2")]
#[inline]
fn twice(table: &[u8; 16]) -> __m256i {
    let word = |from: usize| {
        let word = table.get(from..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| i64::from_le_bytes(*word))
    };
    _mm256_set_epi64x(word(8), word(0), word(8), word(0))
}

/// The sums of every form that the processor knows.
#[cfg(test)]
pub(super) fn every_sums(bytes: &[u8]) -> Vec<Sums> {
    let mut all = Vec::new();
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was asked.
        all.push(unsafe { sums_avx2(bytes) });
    }
    if has_avx512() {
        // SAFETY: the processor was asked.
        all.push(unsafe { sums_avx512(bytes) });
    }
    all
}

/// The place that every form finds that the processor knows.
#[cfg(test)]
pub(super) fn every_find(pairs: &Pairs, bytes: &[u8], from: usize) -> Vec<Option<usize>> {
    let mut all = Vec::new();
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was asked.
        all.push(match unsafe { find_avx2(pairs, bytes, from) } {
            Place::At(at) => Some(at),
            Place::From(from) => pairs.find_here(bytes, from),
        });
    }
    all
}
