//! One pass over octets: which grams begin at the places of the stride.
//!
//! A small table of bits says of almost every place that no gram begins there; only for the others the grams are looked at.

use super::{GRAM, Owner};

/// Bits of the filter for each gram; two of them are set.
const BITS_PER_GRAM: usize = 16;
/// Words of 64 bits of the filter, at least and at most: 8 KiB fit beside other things in the first cache, 4 MiB in the last.
const WORDS: [usize; 2] = [1 << 10, 1 << 19];
/// Places that are looked at before it is asked whether one of them may be one.
const BATCH: usize = 8;

/// A gram, its octets in the order of the wire from the lowest byte on. Bits that are not in `mask` do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gram {
    pub(super) value: u32,
    pub(super) mask: u32,
    pub(super) owner: Owner,
}

/// All grams of one length, and how far apart the places are at which they are looked for.
pub(super) struct Sweep {
    len: usize,
    stride: usize,
    /// The bits of a gram of this length.
    mask: u32,
    filter: Box<[u64]>,
    filter_shift: u32,
    /// In the order of their buckets.
    grams: Box<[Gram]>,
    /// Where the grams of a bucket begin; one more than there are buckets.
    starts: Box<[u32]>,
    bucket_shift: u32,
}

impl Sweep {
    pub(super) fn new(len: usize, stride: usize, mut grams: Vec<Gram>) -> Self {
        let mask = u32::MAX >> (8 * (GRAM - len.min(GRAM)));
        let [least, most] = WORDS;
        let words = (grams.len() * BITS_PER_GRAM / 64).next_power_of_two().clamp(least, most);
        let buckets = grams.len().next_power_of_two().max(2);
        let filter_shift = 64 - words.trailing_zeros();
        let bucket_shift = 64 - buckets.trailing_zeros();
        let bucket = |gram: &Gram| spread(fold(gram.value)) >> bucket_shift;
        grams.sort_unstable_by_key(|gram| (bucket(gram), *gram));
        grams.dedup();
        let mut filter = vec![0; words].into_boxed_slice();
        let mut starts = Vec::with_capacity(buckets + 1);
        for (at, gram) in (0_u32..).zip(&grams) {
            let hash = spread(fold(gram.value));
            if let Some(word) = filter.get_mut(index(hash >> filter_shift)) {
                *word |= bits(hash);
            }
            starts.resize(starts.len().max(index(bucket(gram)) + 1), at);
        }
        starts.resize(buckets + 1, u32::try_from(grams.len()).unwrap_or(u32::MAX));
        Self {
            len,
            stride,
            mask,
            filter,
            filter_shift,
            grams: grams.into(),
            starts: starts.into(),
            bucket_shift,
        }
    }

    /// The places in `held`, the octets in front of `bytes`, whose grams end in `bytes`. `pos`: the offset of `bytes` in the stream.
    pub(super) fn seam(&self, pos: u64, held: &[u8], bytes: &[u8], on: &mut dyn FnMut(i64, Owner)) {
        let mut joined = [0; 2 * (GRAM - 1)];
        let octets = held.iter().chain(bytes.iter().take(GRAM - 1));
        let mut len = 0;
        for (place, octet) in joined.iter_mut().zip(octets) {
            *place = *octet;
            len += 1;
        }
        for at in 0..held.len() {
            let offset = pos - (held.len() - at) as u64;
            let end = at + self.len;
            if end > held.len() && end <= len && self.is_place(offset) {
                let gram = gram(joined.get(at..end).unwrap_or_default());
                self.look(signed(at) - signed(held.len()), gram, on);
            }
        }
    }

    /// The places in `bytes` at which a whole gram begins.
    pub(super) fn scan(&self, pos: u64, bytes: &[u8], on: &mut dyn FnMut(i64, Owner)) {
        let first = index(pos.wrapping_neg() % self.stride as u64);
        let at = match self.stride {
            8 => self.batches::<8>(first, bytes, on),
            4 => self.batches::<4>(first, bytes, on),
            2 => self.batches::<2>(first, bytes, on),
            _ => self.batches::<1>(first, bytes, on),
        };
        let mut at = at;
        while let Some(octets) = bytes.get(at..at + self.len) {
            let gram = gram(octets);
            if self.may_be(gram) != 0 {
                self.look(signed(at), gram, on);
            }
            at += self.stride;
        }
    }

    /// Looks at whole batches of places; returns the first place behind them.
    fn batches<const STRIDE: usize>(
        &self,
        first: usize,
        bytes: &[u8],
        on: &mut dyn FnMut(i64, Owner),
    ) -> usize {
        let mut at = first;
        while let Some(block) = bytes.get(at..at + STRIDE * (BATCH - 1) + GRAM) {
            let mut any = 0;
            for nth in 0..BATCH {
                any |= self.may_be(gram_at(block, nth * STRIDE) & self.mask);
            }
            if any != 0 {
                for nth in 0..BATCH {
                    let gram = gram_at(block, nth * STRIDE) & self.mask;
                    if self.may_be(gram) != 0 {
                        self.look(signed(at + nth * STRIDE), gram, on);
                    }
                }
            }
            at += STRIDE * BATCH;
        }
        at
    }

    /// 1 where the filter does not rule the gram out.
    #[inline]
    fn may_be(&self, gram: u32) -> u64 {
        let hash = spread(fold(gram));
        let word = self.filter.get(index(hash >> self.filter_shift)).copied().unwrap_or(0);
        (word >> (hash >> 20 & 63)) & (word >> (hash >> 26 & 63)) & 1
    }

    #[cold]
    fn look(&self, at: i64, gram: u32, on: &mut dyn FnMut(i64, Owner)) {
        let bucket = index(spread(fold(gram)) >> self.bucket_shift);
        let Some(&[from, to]) = self.starts.get(bucket..bucket + 2).and_then(|it| it.first_chunk())
        else {
            return;
        };
        for known in self.grams.get(from as usize..to as usize).unwrap_or_default() {
            if gram & known.mask == known.value {
                on(at, known.owner);
            }
        }
    }

    fn is_place(&self, offset: u64) -> bool {
        offset.is_multiple_of(self.stride as u64)
    }
}

/// The first octets as a number.
fn gram(octets: &[u8]) -> u32 {
    octets.iter().rev().fold(0, |gram, octet| gram << 8 | u32::from(*octet))
}

#[inline]
fn gram_at(block: &[u8], at: usize) -> u32 {
    block.get(at..).and_then(|it| it.first_chunk()).map_or(0, |it| u32::from_le_bytes(*it))
}

/// Without ASCII case; other octets fall together as well, which costs a look.
const fn fold(gram: u32) -> u32 {
    gram | 0x2020_2020
}

/// Multiplicative hashing: the upper bits depend on all of the gram. The factor is odd and without a pattern.
const fn spread(gram: u32) -> u64 {
    (gram as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

const fn bits(hash: u64) -> u64 {
    1 << (hash >> 20 & 63) | 1 << (hash >> 26 & 63)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
