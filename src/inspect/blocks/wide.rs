//! The passes for registers of 32 and of 64 octets.
//!
//! The only place with `unsafe` but for a hint (`model/fetch.rs`): a function that is compiled for AVX2 or AVX-512 is called where
//! the processor was asked; whole registers are loaded by a pointer to an array of their length, and stored to such; one load takes a
//! part of a register from a slice, under a mask of its length. All else, in the files below, is checked by the compiler.
#![expect(unsafe_code, reason = "the one door from portable code to code for wider registers")]

mod avx2;
mod avx512;

use super::sieve::Sieve;
use super::{Heads, Plain, Run, Sums, Trios, Utf8};
use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_loadu_si512,
    _mm512_maskz_loadu_epi8, _mm512_storeu_si512,
};
use std::sync::atomic::{AtomicU8, Ordering};

/// Sums over octets; none where the processor knows neither AVX2 nor AVX-512.
#[inline]
pub(super) fn sums(bytes: &[u8]) -> Option<Sums> {
    if has_avx512() {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        return Some(unsafe { avx512::sums(bytes) });
    }
    if has_avx2() {
        // SAFETY: as above.
        return Some(unsafe { avx2::sums(bytes) });
    }
    None
}

/// What the first 64 octets are in UTF-8; none where the processor knows neither AVX2 nor AVX-512.
#[inline]
pub(super) fn utf8(bytes: &[u8]) -> Option<Utf8> {
    if has_avx512() {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        return Some(unsafe { avx512::utf8(bytes) });
    }
    if has_avx2() {
        // SAFETY: as above.
        return Some(unsafe { avx2::utf8(bytes) });
    }
    None
}

/// The windows at the front in which nothing is to be seen; none where the processor knows neither AVX2 nor AVX-512.
#[inline]
pub(super) fn plain_run(bytes: &[u8], plain: &Plain) -> Option<Run> {
    if has_avx512() {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        return Some(unsafe { avx512::plain_run(bytes, plain) });
    }
    if has_avx2() {
        // SAFETY: as above.
        return Some(unsafe { avx2::plain_run(bytes, plain) });
    }
    None
}

/// Where first one of `firsts` stands in front of one of `nexts`; or the first place not looked at.
#[inline]
pub(super) fn pair(bytes: &[u8], firsts: [u8; 2], nexts: [u8; 3]) -> Result<usize, usize> {
    if has_avx512() {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        unsafe { avx512::pair(bytes, firsts, nexts) }
    } else if has_avx2() {
        // SAFETY: as above.
        unsafe { avx2::pair(bytes, firsts, nexts) }
    } else {
        Err(0)
    }
}

/// Tells of places where two octets may mean something, and perhaps of a few others; returns the first place not looked at.
#[inline]
pub(super) fn heads(heads: &Heads, bytes: &[u8], on: &mut dyn FnMut(usize)) -> usize {
    if has_vbmi() {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        unsafe { avx512::heads(heads, bytes, on) }
    } else if has_avx2() {
        // SAFETY: as above.
        unsafe { avx2::heads(heads, bytes, on) }
    } else {
        0
    }
}

/// Tells of places where three octets may mean something; returns the first place not looked at.
#[inline]
pub(super) fn trios(trios: &Trios, bytes: &[u8], need: usize, on: &mut dyn FnMut(usize)) -> usize {
    if has_vbmi() {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        unsafe { avx512::trios(trios, bytes, need, on) }
    } else if has_avx2() {
        // SAFETY: as above.
        unsafe { avx2::trios(trios, bytes, need, on) }
    } else {
        0
    }
}

/// Tells of places from `first` on where a gram may begin; returns the first place not looked at.
#[inline]
pub(super) fn places(
    sieve: &Sieve,
    bytes: &[u8],
    first: usize,
    on: &mut dyn FnMut(usize, u8),
) -> usize {
    if has_vbmi() {
        // SAFETY: the processor knows the instructions for which the function is compiled.
        unsafe { avx512::places(sieve, bytes, first, on) }
    } else if has_avx2() {
        // SAFETY: as above.
        unsafe { avx2::places(sieve, bytes, first, on) }
    } else {
        first
    }
}

fn has_avx2() -> bool {
    level() >= AVX2
}

fn has_avx512() -> bool {
    level() >= AVX512
}

fn has_vbmi() -> bool {
    level() >= VBMI
}

/// What the processor knows, each with all before it.
const PORTABLE: u8 = 1;
const AVX2: u8 = 2;
const AVX512: u8 = 3;
const VBMI: u8 = 4;

/// The level that runs, and the highest of this processor.
#[cfg(test)]
pub(super) fn levels() -> (u8, u8) {
    (level(), ask())
}

/// The highest of them. Asked once: each of the questions takes as long as some hundred octets.
#[inline]
fn level() -> u8 {
    static LEVEL: AtomicU8 = AtomicU8::new(0);
    match LEVEL.load(Ordering::Relaxed) {
        0 => {
            let level = ask();
            // So that all tests can be run as on a lesser processor: 1 portable, 2 AVX2, 3 AVX-512 without VBMI. No program that
            // is built for use asks for it.
            #[cfg(any(test, debug_assertions))]
            let level = std::env::var("TUNNELCHECK_LEVEL")
                .map_or(level, |at_most| level.min(at_most.parse().unwrap_or(PORTABLE)));
            LEVEL.store(level, Ordering::Relaxed);
            level
        }
        level => level,
    }
}

#[cold]
fn ask() -> u8 {
    if !(is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt"))
    {
        PORTABLE
    } else if !(is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq"))
    {
        AVX2
    } else if is_x86_feature_detected!("avx512vbmi") {
        VBMI
    } else {
        AVX512
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load256(octets: &[u8; 32]) -> __m256i {
    // SAFETY: the array has 32 octets; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load512(octets: &[u8; 64]) -> __m512i {
    // SAFETY: the array has 64 octets; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
}

/// The first octets, and zeros where there are none.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn load512_part(octets: &[u8]) -> __m512i {
    // SAFETY: no octet is read whose bit is not set, and the bits of those in the slice alone are.
    unsafe { _mm512_maskz_loadu_epi8(first_bits(octets.len()), octets.as_ptr().cast()) }
}

/// So many bits, or all.
const fn first_bits(count: usize) -> u64 {
    if count < 64 { (1 << count) - 1 } else { u64::MAX }
}

/// The two halves of a table.
fn words(table: &[u8; 16]) -> (i64, i64) {
    let word = |from: usize| {
        let word = table.get(from..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| i64::from_le_bytes(*word))
    };
    (word(0), word(8))
}

/// The words at these places; they are a power of two, and places beyond are taken modulo that. One by one: the instructions
/// that gather take three times as long.
#[target_feature(enable = "avx2")]
#[inline]
fn words256(words: &[u64], places: __m256i) -> __m256i {
    let mut octets = [0_u64; 4];
    // SAFETY: the array has 32 octets; the store asks for no alignment.
    unsafe { _mm256_storeu_si256(octets.as_mut_ptr().cast(), places) };
    for place in &mut octets {
        *place = word(words, *place);
    }
    // SAFETY: as above, for the load.
    unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) }
}

/// The same for eight of them.
#[target_feature(enable = "avx512f")]
#[inline]
fn words512(words: &[u64], places: __m512i) -> __m512i {
    let mut octets = [0_u64; 8];
    // SAFETY: the array has 64 octets; the store asks for no alignment.
    unsafe { _mm512_storeu_si512(octets.as_mut_ptr().cast(), places) };
    for place in &mut octets {
        *place = word(words, *place);
    }
    // SAFETY: as above, for the load.
    unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
}

#[inline]
fn word(words: &[u64], place: u64) -> u64 {
    let last = words.len().wrapping_sub(1) as u64;
    usize::try_from(place & last).ok().and_then(|place| words.get(place)).copied().unwrap_or(0)
}

/// The sums of every form that the processor knows.
#[cfg(test)]
pub(super) fn every_sums(bytes: &[u8]) -> Vec<Sums> {
    let mut all = Vec::new();
    if has_avx2() {
        // SAFETY: the processor was asked.
        all.push(unsafe { avx2::sums(bytes) });
    }
    if has_avx512() {
        // SAFETY: the processor was asked.
        all.push(unsafe { avx512::sums(bytes) });
    }
    all
}

/// What every form makes of octets that the processor knows.
#[cfg(test)]
pub(super) fn every_utf8(bytes: &[u8]) -> Vec<Utf8> {
    let mut all = Vec::new();
    if has_avx2() {
        // SAFETY: the processor was asked.
        all.push(unsafe { avx2::utf8(bytes) });
    }
    if has_avx512() {
        // SAFETY: the processor was asked.
        all.push(unsafe { avx512::utf8(bytes) });
    }
    all
}

/// The windows of every form that the processor knows.
#[cfg(test)]
pub(super) fn every_run(bytes: &[u8], plain: &Plain) -> Vec<Run> {
    let mut all = Vec::new();
    if has_avx2() {
        // SAFETY: the processor was asked.
        all.push(unsafe { avx2::plain_run(bytes, plain) });
    }
    if has_avx512() {
        // SAFETY: the processor was asked.
        all.push(unsafe { avx512::plain_run(bytes, plain) });
    }
    all
}

/// The first pair that every form finds that the processor knows.
#[cfg(test)]
pub(super) fn every_pair(bytes: &[u8], firsts: [u8; 2], nexts: [u8; 3]) -> Vec<Option<usize>> {
    let mut all = Vec::new();
    if has_avx2() {
        // SAFETY: the processor was asked.
        all.push(unsafe { avx2::pair(bytes, firsts, nexts) });
    }
    if has_avx512() {
        // SAFETY: the processor was asked.
        all.push(unsafe { avx512::pair(bytes, firsts, nexts) });
    }
    let rest = |from| super::pair_from(bytes, firsts, nexts, from);
    all.into_iter().map(|found| found.map_or_else(rest, Some)).collect()
}

/// The places of heads that every form proposes that the processor knows.
#[cfg(test)]
pub(super) fn every_heads(heads: &Heads, bytes: &[u8]) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    if has_avx2() {
        let mut found = Vec::new();
        // SAFETY: the processor was asked.
        let from = unsafe { avx2::heads(heads, bytes, &mut |at| found.push(at)) };
        heads.each_here(bytes, from, &mut |at| found.push(at));
        all.push(found);
    }
    if has_vbmi() {
        let mut found = Vec::new();
        // SAFETY: the processor was asked.
        let from = unsafe { avx512::heads(heads, bytes, &mut |at| found.push(at)) };
        heads.each_here(bytes, from, &mut |at| found.push(at));
        all.push(found);
    }
    all
}

/// The places of trios that every form finds that the processor knows.
#[cfg(test)]
pub(super) fn every_trios(trios: &Trios, bytes: &[u8], need: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    if has_avx2() {
        let mut found = Vec::new();
        // SAFETY: the processor was asked.
        let from = unsafe { avx2::trios(trios, bytes, need, &mut |at| found.push(at)) };
        trios.each_here(bytes, from, &mut |at| found.push(at));
        all.push(found);
    }
    if has_vbmi() {
        let mut found = Vec::new();
        // SAFETY: the processor was asked.
        let from = unsafe { avx512::trios(trios, bytes, need, &mut |at| found.push(at)) };
        trios.each_here(bytes, from, &mut |at| found.push(at));
        all.push(found);
    }
    all
}

/// The places of grams that every form finds that the processor knows.
#[cfg(test)]
pub(super) fn every_places(sieve: &Sieve, bytes: &[u8], first: usize) -> Vec<Vec<(usize, u8)>> {
    let mut all = Vec::new();
    if has_avx2() {
        let mut found = Vec::new();
        let mut on = |at, tables| found.push((at, tables));
        // SAFETY: the processor was asked.
        let from = unsafe { avx2::places(sieve, bytes, first, &mut on) };
        sieve.each_here(bytes, from, &mut on);
        all.push(found);
    }
    if has_vbmi() {
        let mut found = Vec::new();
        let mut on = |at, tables| found.push((at, tables));
        // SAFETY: the processor was asked.
        let from = unsafe { avx512::places(sieve, bytes, first, &mut on) };
        sieve.each_here(bytes, from, &mut on);
        all.push(found);
    }
    all
}
