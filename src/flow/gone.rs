//! The ends of conns that left the table: none is ever forgotten, and a few that never were there are taken for known ones.

use super::key::{Key, Spread};
use crate::model::fetch;
use std::hash::BuildHasher;

/// Words of a line, each of which has one bit of an end; a line has room for some 16 ends.
const WORDS: usize = 8;

/// A line of cache: whoever asks for an end waits for memory once.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Line([u64; WORDS]);

/// A Bloom filter in lines. Its hash has no secret, so that one capture gives one report; whoever knows it can only make ends look
/// known.
#[derive(Debug)]
pub(super) struct Gone {
    lines: Vec<Line>,
    /// How many there will be on first need: a power of two.
    size: usize,
}

impl Gone {
    /// A filter of so many words of 64 bits, rounded up to a power of two.
    pub(super) const fn of_words(size: usize) -> Self {
        Self { lines: Vec::new(), size: size.div_ceil(WORDS).next_power_of_two() }
    }

    /// Asks for the memory of an end.
    pub(super) fn expect(&self, key: Key) {
        self.lines.get(self.line(hash(key))).into_iter().for_each(fetch);
    }

    /// Remembers an end.
    pub(super) fn insert(&mut self, key: Key) {
        if self.lines.is_empty() {
            self.lines = vec![Line::default(); self.size];
        }
        let hash = hash(key);
        let at = self.line(hash);
        if let Some(Line(words)) = self.lines.get_mut(at) {
            for (word, bit) in words.iter_mut().zip(bits(hash)) {
                *word |= bit;
            }
        }
    }

    /// Whether an end may have been remembered; never false for one that was.
    pub(super) fn may_hold(&self, key: Key) -> bool {
        let hash = hash(key);
        self.lines.get(self.line(hash)).is_some_and(|Line(words)| {
            words.iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0)
        })
    }

    /// The line of an end, by the 16 bits that `bits` leaves first of all.
    fn line(&self, hash: u64) -> usize {
        let mask = self.size as u64 - 1;
        usize::try_from(hash.rotate_right(48) & mask).unwrap_or_default()
    }
}

fn hash(key: Key) -> u64 {
    Spread(1).hash_one(key)
}

/// The bit of an end in each word of its line.
fn bits(hash: u64) -> impl Iterator<Item = u64> {
    (0..WORDS).map(move |n| 1 << (hash >> (6 * n) & 63))
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
