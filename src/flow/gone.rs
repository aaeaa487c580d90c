//! The ends of conns that left the table: none is ever forgotten, and a few that never were there are taken for known ones.

use super::key::{Key, Spread};
use std::hash::BuildHasher;

/// Words of the filter, 4 MiB: when a million conns have left, six in a million others are taken for one of them.
const WORDS: usize = 1 << 19;

/// Bits of an end, of some 32 that it has room for.
const BITS: u32 = 8;

/// A Bloom filter. Its hash has no secret, so that one capture gives one report; whoever knows it can only make ends look known.
#[derive(Debug, Default)]
pub(super) struct Gone(Vec<u64>);

impl Gone {
    /// Remembers an end.
    pub(super) fn insert(&mut self, key: Key) {
        if self.0.is_empty() {
            self.0 = vec![0; WORDS];
        }
        for (word, bit) in places(key) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether an end may have been remembered; never false for one that was.
    pub(super) fn may_hold(&self, key: Key) -> bool {
        !self.0.is_empty()
            && places(key).all(|(word, bit)| self.0.get(word).is_some_and(|it| it & bit != 0))
    }
}

/// The bits of a key: the word, and the bit in it.
fn places(key: Key) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (Spread(1).hash_one(key), Spread(2).hash_one(key) | 1);
    (0..BITS).map(move |n| {
        let at = first.wrapping_add(step.wrapping_mul(n.into())) >> 39; // 25 bits: the words and their bits
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
        let mut gone = Gone::default();
        assert!(!gone.may_hold(key(0)));
        let known = 300_000;
        (0..known).for_each(|number| gone.insert(key(number)));
        assert!((0..known).all(|number| gone.may_hold(key(number))));
        let wrong = (known..2 * known).filter(|number| gone.may_hold(key(*number))).count();
        assert!(wrong < 3, "{wrong} of {known}");
    }
}
