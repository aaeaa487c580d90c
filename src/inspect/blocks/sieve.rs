//! Places at which one of many runs of octets ("grams") may begin.
//!
//! Grams come in tables. Of each table the octets are known that its grams are made of, and a filter of bits says of almost
//! every other gram that it is none. Random octets hardly ever stand in a row that all belong to one table, so there the
//! filters are not even asked.

use super::Kinds;

/// Octets of a gram, at most.
pub(in crate::inspect) const GRAM: usize = 4;
/// Tables of a sieve, at most: one bit each.
pub(in crate::inspect) const MAX_TABLES: usize = 8;

/// Bits of a filter for each gram; two of them are set.
const BITS_PER_GRAM: usize = 16;
/// Words of 64 bits of a filter, at least and at most: 8 KiB fit beside other things in the first cache, 16 MiB in the last.
const WORDS: [usize; 2] = [1 << 10, 1 << 21];
/// Places that are looked at before it is asked whether one of them may be one.
const BATCH: usize = 8;
/// The upper bit of a case variant.
const CASE: u8 = 0x20;

/// Proposes places at multiples of a stride.
pub(in crate::inspect) struct Sieve {
    pub(super) len: usize,
    pub(super) stride: usize,
    /// For each octet the tables in whose grams it occurs.
    pub(super) classes: Box<Kinds>,
    pub(super) filters: Vec<Filter>,
    /// All grams: asked first.
    pub(super) all: Filter,
}

/// Which grams are none.
pub(super) struct Filter {
    /// A power of two of them.
    pub(super) words: Box<[u64]>,
    /// The exponent.
    pub(super) bits: u32,
    /// Bits that do not count.
    fold: u32,
}

impl Sieve {
    /// `stride`: 1, 2, 4 or 8. `tables`: value and mask of each gram of `len` octets, the first octet in the lowest byte; a
    /// mask leaves out bits of letter case alone.
    ///
    /// With a stride of 8 a gram counts only where the four octets in front of it or behind it belong to its table as well.
    pub(in crate::inspect) fn new<I>(len: usize, stride: usize, tables: &[I]) -> Self
    where
        I: ExactSizeIterator<Item = (u32, u32)> + Clone,
    {
        let mut classes = Box::new(Kinds::new());
        let mut filters = Vec::new();
        for (table, grams) in tables.iter().take(MAX_TABLES).enumerate() {
            let fold = fold(grams.clone().map(|(_, mask)| mask));
            let mut filter = Filter::new(grams.len(), fold);
            for (value, mask) in grams.clone() {
                filter.add(value);
                add(&mut classes, (value, mask), len, 1 << table);
            }
            filters.push(filter);
        }
        // Without regard to case there are fewer of them.
        let mut all = Filter::new(filters.iter().map(Filter::grams).sum(), FOLD);
        for (value, _) in tables.iter().take(MAX_TABLES).flat_map(Clone::clone) {
            all.add(value);
        }
        Self { len, stride, classes, filters, all }
    }

    /// Calls `on` for each place in `bytes`, from `first` on and then every `stride` octets, at which a gram may begin, with
    /// a bit for each table that it may be of. A gram lies in `bytes` as a whole.
    pub(in crate::inspect) fn each(
        &self,
        bytes: &[u8],
        first: usize,
        on: &mut dyn FnMut(usize, u8),
    ) {
        #[cfg(target_arch = "x86_64")]
        let first = super::wide::places(self, bytes, first, on);
        self.each_here(bytes, first, on);
    }

    /// Portable. Asks nothing of the neighbours of a gram.
    pub(super) fn each_here(&self, bytes: &[u8], first: usize, on: &mut dyn FnMut(usize, u8)) {
        let mut at = match self.stride {
            8 => self.batches::<8>(first, bytes, on),
            4 => self.batches::<4>(first, bytes, on),
            2 => self.batches::<2>(first, bytes, on),
            _ => self.batches::<1>(first, bytes, on),
        };
        while let Some(octets) = bytes.get(at..at + self.len) {
            self.ask(at, gram(octets), on);
            at += self.stride;
        }
    }

    /// Looks at whole batches of places; returns the first place behind them.
    fn batches<const STRIDE: usize>(
        &self,
        first: usize,
        bytes: &[u8],
        on: &mut dyn FnMut(usize, u8),
    ) -> usize {
        let mut at = first;
        while let Some(block) = bytes.get(at..at + STRIDE * (BATCH - 1) + GRAM) {
            let mut any = 0;
            for nth in 0..BATCH {
                any |= self.all.may_be(gram_at(block, nth * STRIDE) & self.mask());
            }
            if any != 0 {
                for nth in 0..BATCH {
                    let gram = gram_at(block, nth * STRIDE) & self.mask();
                    self.ask(at + nth * STRIDE, gram, on);
                }
            }
            at += STRIDE * BATCH;
        }
        at
    }

    pub(super) fn ask(&self, at: usize, gram: u32, on: &mut dyn FnMut(usize, u8)) {
        let tables = self.tables_of(gram);
        if tables != 0 {
            on(at, tables);
        }
    }

    /// A bit for each table that the gram may be of.
    pub(in crate::inspect) fn tables_of(&self, gram: u32) -> u8 {
        let classes = self.classes_of(gram);
        let mut tables = 0;
        for (table, filter) in self.filters.iter().enumerate() {
            if classes >> table & 1 != 0 && filter.may_be(gram) != 0 {
                tables |= 1 << table;
            }
        }
        tables
    }

    /// The tables to which all octets of a gram belong.
    #[inline]
    fn classes_of(&self, gram: u32) -> u8 {
        let octets = gram.to_le_bytes().into_iter().take(self.len);
        octets.fold(0xff, |all, octet| all & self.classes.of(octet))
    }

    /// Whether a gram may be one of a table, by its filter.
    pub(in crate::inspect) fn may_be(&self, table: usize, gram: u32) -> bool {
        self.filters.get(table).is_some_and(|filter| filter.may_be(gram) != 0)
    }

    /// The same for one of several.
    #[inline]
    pub(in crate::inspect) fn may_be_one<const N: usize>(
        &self,
        table: usize,
        grams: [u32; N],
    ) -> bool {
        let Some(filter) = self.filters.get(table) else { return false };
        grams.into_iter().fold(0, |any, gram| any | filter.may_be(gram)) != 0
    }

    /// The bits of a gram.
    pub(in crate::inspect) fn mask(&self) -> u32 {
        u32::MAX >> (8 * (GRAM - self.len.min(GRAM)))
    }
}

/// Notes the octets of a gram.
fn add(classes: &mut Kinds, (value, mask): (u32, u32), len: usize, table: u8) {
    let octets = value.to_le_bytes().into_iter().zip(mask.to_le_bytes());
    for (octet, mask) in octets.take(len) {
        classes.add(octet, table);
        classes.add(octet | (!mask & CASE), table);
    }
}

impl Filter {
    fn new(grams: usize, fold: u32) -> Self {
        let [least, most] = WORDS;
        let words = (grams * BITS_PER_GRAM / 64).next_power_of_two().clamp(least, most);
        Self { words: vec![0; words].into_boxed_slice(), bits: words.trailing_zeros(), fold }
    }

    /// How many there are in it, about.
    fn grams(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum::<usize>() / 2
    }

    fn add(&mut self, gram: u32) {
        let hash = spread(gram, self.fold);
        if let Some(word) = self.words.get_mut(bucket(hash, self.bits)) {
            *word |= 1 << (hash >> 32 & 63) | 1 << (hash >> 38 & 63);
        }
    }

    /// 1 where the gram may be one.
    #[inline]
    pub(super) fn may_be(&self, gram: u32) -> u64 {
        let hash = spread(gram, self.fold);
        let word = self.words.get(bucket(hash, self.bits)).copied().unwrap_or(0);
        (word >> (hash >> 32 & 63)) & (word >> (hash >> 38 & 63)) & 1
    }
}

/// The factor of the hash: odd, and without a pattern.
pub(super) const FACTOR: u32 = 0x9e37_79b1;

/// The bits of letter case. Other octets fall together as well, which costs a look.
pub(in crate::inspect) const FOLD: u32 = 0x2020_2020;

/// The bits that do not count where grams with these masks are put in order: those of letter case, unless it counts in every
/// gram.
pub(in crate::inspect) fn fold(masks: impl Iterator<Item = u32>) -> u32 {
    masks.fold(0, |fold, mask| fold | !mask & FOLD)
}

/// Multiplicative hashing without the bits of `fold`: the bits around the thirty-second depend on all others of the gram.
#[inline]
pub(in crate::inspect) const fn spread(gram: u32, fold: u32) -> u64 {
    (gram | fold) as u64 * FACTOR as u64
}

/// The bucket of a hash, of `2^bits`.
#[inline]
pub(in crate::inspect) fn bucket(hash: u64, bits: u32) -> usize {
    ((hash & 0xffff_ffff) >> (32 - bits)) as usize
}

/// The first octets as a number.
pub(in crate::inspect) fn gram(octets: &[u8]) -> u32 {
    octets.iter().rev().fold(0, |gram, octet| gram << 8 | u32::from(*octet))
}

#[inline]
fn gram_at(block: &[u8], at: usize) -> u32 {
    block.get(at..).and_then(|it| it.first_chunk()).map_or(0, |it| u32::from_le_bytes(*it))
}
