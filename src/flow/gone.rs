//! The ends of conns that left the table: none is ever forgotten, and a few that never were there are taken for known ones.

use super::key::{Key, Spread};
use std::hash::BuildHasher;

/// Bits of an end, of some 32 that it has room for.
const BITS: u32 = 8;

/// A Bloom filter. Its hash has no secret, so that one capture gives one report; whoever knows it can only make ends look known.
#[derive(Debug)]
pub(super) struct Gone {
    words: Vec<u64>,
    /// How many there will be on first need: a power of two.
    size: usize,
}

impl Gone {
    /// A filter of so many words of 64 bits, rounded up to a power of two.
    pub(super) const fn of_words(size: usize) -> Self {
        Self { words: Vec::new(), size: size.next_power_of_two() }
    }

    /// Remembers an end.
    pub(super) fn insert(&mut self, key: Key) {
        if self.words.is_empty() {
            self.words = vec![0; self.size];
        }
        for (word, bit) in places(key, self.size) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether an end may have been remembered; never false for one that was.
    pub(super) fn may_hold(&self, key: Key) -> bool {
        !self.words.is_empty()
            && places(key, self.size)
                .all(|(word, bit)| self.words.get(word).is_some_and(|it| it & bit != 0))
    }
}

/// The bits of a key: the word, and the bit in it.
fn places(key: Key, size: usize) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (Spread(1).hash_one(key), Spread(2).hash_one(key) | 1);
    let spare = u64::BITS - 6 - size.trailing_zeros();
    (0..BITS).map(move |n| {
        let at = first.wrapping_add(step.wrapping_mul(n.into())) >> spare; // as many bits as the filter has, as a number
        (usize::try_from(at >> 6).unwrap_or_default(), 1 << (at & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Endpoint, Proto};

    fn key(number: u32) -> Key {
        let end = |ip: u32, port| Endpoint { ip: std::net::Ipv4Addr::from(ip).into(), port };
        Key::of(end(0x0a00_0000 + number, 4000), end(0x0b00_0001, 80), Proto::TCP, 0)
    }

    #[test]
    fn what_was_put_in_is_always_found_and_others_seldom() {
        let mut gone = Gone::of_words(1 << 19);
        assert!(!gone.may_hold(key(0)));
        let known = 300_000;
        (0..known).for_each(|number| gone.insert(key(number)));
        assert!((0..known).all(|number| gone.may_hold(key(number))));
        let wrong = (known..2 * known).filter(|number| gone.may_hold(key(*number))).count();
        assert!(wrong < 3, "{wrong} of {known}");
    }
}
