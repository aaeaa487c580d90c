//! Passes over octets that look at many of them at once: sums of a kind of octet, and places where two octets in a row
//! may mean something.
//!
//! In: octets. Out: sums, places. Each pass exists in a portable form and in forms for wider registers, which give the
//! same answers; which one runs is asked of the processor. Never: what the octets mean.

#[cfg(target_arch = "x86_64")]
mod wide;

/// Each octet of a word 1.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The upper bit of each octet.
const TOPS: u64 = 0x8080_8080_8080_8080;
/// All other bits.
const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Words of which one octet each can be summed in an octet.
const WORDS_A_SUM: usize = 255;

/// Octets that are compared at once by the portable form.
const PLACES: usize = 16;

/// How many octets are of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Printable ASCII and the white space of text.
    pub(super) text: usize,
    /// Above 0x7f.
    pub(super) high: usize,
    /// Zero.
    pub(super) zeros: usize,
    /// Whether eight in a row, the first a multiple of eight behind the start, are text. Fifteen in a row hold such eight.
    pub(super) has_text_word: bool,
}

/// Sums over `bytes`.
pub(super) fn sums(bytes: &[u8]) -> Sums {
    #[cfg(target_arch = "x86_64")]
    if let Some(sums) = wide::sums(bytes) {
        return sums;
    }
    sums_of(bytes)
}

/// Portable; the compiler makes of it what the registers allow.
#[expect(clippy::inline_always, reason = "compiled anew for each width of registers")]
#[inline(always)]
fn sums_of(bytes: &[u8]) -> Sums {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sums = Sums::default();
    let mut text_words = 0;
    for words in words.chunks(WORDS_A_SUM) {
        let (mut text, mut high, mut zeros) = (0_u64, 0_u64, 0_u64);
        for word in words {
            let word = u64::from_le_bytes(*word);
            let is_text = text_bits(word);
            text = text.wrapping_add(is_text >> 7);
            high = high.wrapping_add((word & TOPS) >> 7);
            let is_zero = !((word & LOWS).wrapping_add(LOWS) | word) & TOPS;
            zeros = zeros.wrapping_add(is_zero >> 7);
            text_words |= u64::from(is_text == TOPS);
        }
        sums.text += across(text);
        sums.high += across(high);
        sums.zeros += across(zeros);
    }
    for &octet in rest {
        sums.text += usize::from(is_ascii_text(octet));
        sums.high += usize::from(octet > 0x7f);
        sums.zeros += usize::from(octet == 0);
    }
    sums.has_text_word = text_words != 0;
    sums
}

/// Printable ASCII and the white space of text.
pub(super) const fn is_ascii_text(octet: u8) -> bool {
    matches!(octet, 0x20..=0x7e | b'\t' | b'\n' | b'\r')
}

/// The upper bit of each octet that is text. Octets do not carry into each other: the upper bits are cleared first.
#[inline]
const fn text_bits(word: u64) -> u64 {
    let low = word & LOWS;
    let from_blank = low.wrapping_add(0x60 * ONES);
    let is_delete = low.wrapping_add(ONES);
    let from_tab = low.wrapping_add(0x77 * ONES);
    let behind_newline = low.wrapping_add(0x75 * ONES);
    let is_no_return = (low ^ (0x0d * ONES)).wrapping_add(LOWS);
    let is_text = from_blank & !is_delete | from_tab & !behind_newline | !is_no_return;
    is_text & !word & TOPS
}

/// The sum of the octets of a word.
#[inline]
const fn across(word: u64) -> usize {
    let pairs = (word & 0x00ff_00ff_00ff_00ff).wrapping_add(word >> 8 & 0x00ff_00ff_00ff_00ff);
    (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
}

/// Pairs of octets that may mean something: up to eight groups, each with first and next octets.
///
/// An octet is looked up by its two halves, so a group may hold more octets than it was given; `find` gives candidates.
pub(super) struct Pairs {
    first: Halves,
    next: Halves,
}

/// The groups of an octet: those that both its halves have.
struct Halves {
    low: [u8; 16],
    high: [u8; 16],
    whole: [u8; 256],
}

impl Halves {
    const fn new() -> Self {
        Self { low: [0; 16], high: [0; 16], whole: [0; 256] }
    }

    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    const fn add(&mut self, octets: &[u8], group: u8) {
        let mut at = 0;
        while at < octets.len() {
            self.low[(octets[at] & 15) as usize] |= group;
            self.high[(octets[at] >> 4) as usize] |= group;
            at += 1;
        }
        let mut octet = 0;
        while octet < 256 {
            self.whole[octet] = self.low[octet & 15] & self.high[octet >> 4];
            octet += 1;
        }
    }

    #[inline]
    fn of(&self, octet: u8) -> u8 {
        self.whole.get(usize::from(octet)).copied().unwrap_or(0)
    }
}

impl Pairs {
    /// For a constant.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    pub(super) const fn new(groups: &[(&[u8], &[u8])]) -> Self {
        let mut pairs = Self { first: Halves::new(), next: Halves::new() };
        let mut group = 0;
        while group < groups.len() {
            pairs.first.add(groups[group].0, 1 << group);
            pairs.next.add(groups[group].1, 1 << group);
            group += 1;
        }
        pairs
    }

    /// The first place from `from` on where a pair may stand. At the last octet what follows is not asked for.
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        #[cfg(target_arch = "x86_64")]
        let from = match wide::find(self, bytes, from) {
            wide::Place::At(at) => return Some(at),
            wide::Place::From(from) => from,
        };
        self.find_here(bytes, from)
    }

    fn find_here(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ PLACES + 1 }>) {
            let pairs = block.iter().zip(block.iter().skip(1));
            if pairs.fold(0, |any, (&first, &next)| any | self.is(first, next)) != 0 {
                break;
            }
            at += PLACES;
        }
        let rest = bytes.get(at..)?;
        let last = *rest.last()?;
        let found = rest.iter().zip(rest.iter().skip(1)).position(|(a, b)| self.is(*a, *b) != 0);
        found.or_else(|| (self.first.of(last) != 0).then(|| rest.len() - 1)).map(|found| at + found)
    }

    #[inline]
    fn is(&self, first: u8, next: u8) -> u8 {
        self.first.of(first) & self.next.of(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Octets that mean something, and any others.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![
            6 => any::<u8>(),
            6 => 0x20_u8..0x7f,
            2 => proptest::sample::select(b"%=&\\\x1f\x8b\0\t\n\r\x0b\x7f\x80".to_vec()),
        ];
        proptest::collection::vec(octet, 0..700)
    }

    static PAIRS: Pairs = Pairs::new(&[(b"%&", b"09azAZ"), (b"=", b"\n "), (b"\x1f", b"\x8b")]);

    fn naive_sums(bytes: &[u8]) -> Sums {
        let count = |is: fn(u8) -> bool| bytes.iter().filter(|octet| is(**octet)).count();
        Sums {
            text: count(is_ascii_text),
            high: count(|octet| octet > 0x7f),
            zeros: count(|octet| octet == 0),
            has_text_word: bytes
                .chunks_exact(8)
                .any(|word| word.iter().all(|octet| is_ascii_text(*octet))),
        }
    }

    fn naive_find(pairs: &Pairs, bytes: &[u8], from: usize) -> Option<usize> {
        (from..bytes.len()).find(|&at| match bytes.get(at + 1) {
            Some(&next) => pairs.is(bytes[at], next) != 0,
            None => pairs.first.of(bytes[at]) != 0,
        })
    }

    #[test]
    fn every_octet_is_summed_as_what_it_is() {
        for octet in 0..=255_u8 {
            for len in [1, 7, 8, 9, 255, 256, 3000] {
                let bytes = vec![octet; len];
                assert_eq!(sums(&bytes), naive_sums(&bytes), "{octet:#x} {len}");
                assert_eq!(sums_of(&bytes), naive_sums(&bytes), "{octet:#x} {len}");
            }
        }
    }

    #[test]
    fn a_group_holds_what_it_was_given() {
        for (first, next) in [(b'%', b'0'), (b'&', b'Z'), (b'=', b'\n'), (0x1f, 0x8b)] {
            assert_eq!(PAIRS.find(&[0, first, next], 0), Some(1));
            assert_eq!(PAIRS.find(&[0, next, first], 0), Some(2));
            assert_eq!(PAIRS.find(&[0, first, 0xf0], 0), None);
        }
    }

    proptest! {
        #[test]
        fn every_form_gives_the_sums_of_the_naive_one(bytes in octets()) {
            let naive = naive_sums(&bytes);
            prop_assert_eq!(sums(&bytes), naive);
            prop_assert_eq!(sums_of(&bytes), naive);
            #[cfg(target_arch = "x86_64")]
            for sums in wide::every_sums(&bytes) {
                prop_assert_eq!(sums, naive);
            }
        }

        #[test]
        fn every_form_finds_the_places_of_the_naive_one(bytes in octets()) {
            let mut from = 0;
            while from <= bytes.len() {
                let naive = naive_find(&PAIRS, &bytes, from);
                prop_assert_eq!(PAIRS.find(&bytes, from), naive);
                prop_assert_eq!(PAIRS.find_here(&bytes, from), naive);
                #[cfg(target_arch = "x86_64")]
                for place in wide::every_find(&PAIRS, &bytes, from) {
                    prop_assert_eq!(place, naive);
                }
                from = naive.unwrap_or(bytes.len()) + 1;
            }
        }
    }
}
