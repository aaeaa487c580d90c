//! Compact keys of conns and the index from key to slot.

use crate::model::{Endpoint, Proto, Segment, fetch};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

/// Both ends and the protocol, the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Two addresses, two ports, protocol: 104 bits. Outside of numbered networks.
    V4(u128),
    V6(WideKey),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WideKey([u64; 6]);

/// Word by word: neither which of both it is nor the length of an array is worth a multiplication.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match *self {
            Self::V4(key) => state.write_u128(key),
            Self::V6(WideKey(words)) => words.into_iter().for_each(|word| state.write_u64(word)),
        }
    }
}

impl Key {
    /// `realm` is the network that the addresses belong to, see `Encapsulation::realm`.
    pub(super) fn of(one: Endpoint, other: Endpoint, proto: Proto, realm: u64) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let ports = u64::from(low.port) << 24 | u64::from(high.port) << 8 | u64::from(proto.0);
        if let (IpAddr::V4(a), IpAddr::V4(b), 0) = (low.ip, high.ip, realm) {
            let addresses = u128::from(a.to_bits()) << 32 | u128::from(b.to_bits());
            return Self::V4(addresses << 40 | u128::from(ports));
        }
        let [a0, a1] = words(low.ip);
        let [b0, b1] = words(high.ip);
        Self::V6(WideKey([a0, a1, b0, b1, ports, realm]))
    }
}

/// Whose conn a segment is of: the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnKey(pub(super) Key);

impl ConnKey {
    /// Of a segment.
    #[must_use]
    pub fn of(segment: &Segment<'_>) -> Self {
        Self(Key::of(segment.src, segment.dst, segment.proto, segment.encap.realm()))
    }

    /// Of what seems to be one: in no tunnel.
    #[must_use]
    pub fn between(one: Endpoint, other: Endpoint, proto: Proto) -> Self {
        Self(Key::of(one, other, proto, 0))
    }

    /// Which of `shares` equal shares of all conns it is in. It is the same in every run, and has no secret: who knows it can
    /// only make one share do all the work.
    #[must_use]
    pub fn share(self, shares: usize) -> usize {
        let hash = Spread(3).hash_one(self.0) >> 32;
        usize::try_from(hash).unwrap_or_default() % shares.max(1)
    }
}

fn words(ip: IpAddr) -> [u64; 2] {
    let bits = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
    let high = u64::try_from(bits >> 64).unwrap_or_default();
    [high, low]
}

/// From key to slot, by open addressing: the key itself stands in the slot, which is read anyway.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two, at most half full; none, or a slot and the low half of its hash.
    places: Vec<Place>,
    len: usize,
    seed: Spread,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    slot: u32,
}

const FREE: Place = Place { hash: 0, slot: u32::MAX };

/// First number of places.
const FIRST_PLACES: usize = 64;

impl Index {
    pub(super) fn new() -> Self {
        Self { places: vec![FREE; FIRST_PLACES], len: 0, seed: Spread::secret() }
    }

    /// The slot of a key; `is_key` says whether a slot is the key's.
    pub(super) fn get(&self, key: Key, is_key: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hash(key);
        let mut at = self.home(hash);
        loop {
            let place = self.places.get(at)?;
            if place.slot == FREE.slot {
                return None;
            }
            if place.hash == hash && is_key(place.slot) {
                return Some(place.slot);
            }
            at = self.next(at);
        }
    }

    /// Asks for the memory in which a key stands; gives its hash.
    pub(super) fn expect(&self, key: Key) -> u32 {
        let hash = self.hash(key);
        if let Some(place) = self.places.get(self.home(hash)) {
            fetch(place);
        }
        hash
    }

    /// A slot whose key has that hash: nearly always the only one.
    pub(super) fn likely(&self, hash: u32) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let place = self.places.get(at).filter(|place| place.slot != FREE.slot)?;
            if place.hash == hash {
                return Some(place.slot);
            }
            at = self.next(at);
        }
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, key: Key, slot: u32) {
        if (self.len + 1) * 2 > self.places.len() {
            let old = std::mem::take(&mut self.places);
            self.places = vec![FREE; old.len() * 2];
            for place in old.into_iter().filter(|place| place.slot != FREE.slot) {
                self.put(place);
            }
        }
        self.len += 1;
        self.put(Place { hash: self.hash(key), slot });
    }

    /// Removes the key of a slot.
    pub(super) fn remove(&mut self, key: Key, slot: u32) {
        let mut at = self.home(self.hash(key));
        loop {
            match self.places.get(at) {
                Some(place) if place.slot == slot => break,
                Some(place) if place.slot != FREE.slot => at = self.next(at),
                _ => return,
            }
        }
        self.len -= 1;
        // What follows moves up, so that no search ends too early.
        let mut hole = at;
        loop {
            at = self.next(at);
            let Some(&place) = self.places.get(at).filter(|place| place.slot != FREE.slot) else {
                break;
            };
            let mask = self.places.len() - 1;
            let from_home = at.wrapping_sub(self.home(place.hash)) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                self.set(hole, place);
                hole = at;
            }
        }
        self.set(hole, FREE);
    }

    fn put(&mut self, place: Place) {
        let mut at = self.home(place.hash);
        while self.places.get(at).is_some_and(|taken| taken.slot != FREE.slot) {
            at = self.next(at);
        }
        self.set(at, place);
    }

    fn set(&mut self, at: usize, place: Place) {
        if let Some(old) = self.places.get_mut(at) {
            *old = place;
        }
    }

    fn hash(&self, key: Key) -> u32 {
        let hash = self.seed.hash_one(key);
        u32::try_from((hash ^ hash >> 32) & u64::from(u32::MAX)).unwrap_or_default()
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.places.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }
}

/// The start of a hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread(pub(super) u64);

impl Spread {
    /// A secret start: with a known one, a capture could be made whose conns all collide. Nothing that is handed on
    /// depends on it.
    fn secret() -> Self {
        Self(RandomState::new().hash_one(0_u8))
    }
}

impl BuildHasher for Spread {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold(self.0)
    }
}

/// Folded multiplication: short fixed keys, one multiplication a word.
#[derive(Debug)]
pub(super) struct Fold(u64);

/// 2^64 divided by the golden ratio, odd: spreads neighbouring values.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0.rotate_left(23) ^ word) * SPREAD;
        let low = u64::try_from(product & u128::from(u64::MAX)).unwrap_or_default();
        let high = u64::try_from(product >> 64).unwrap_or_default();
        self.0 = low ^ high ^ self.0.rotate_left(7);
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(u64::try_from(word >> 64).unwrap_or_default());
        self.write_u64(u64::try_from(word & u128::from(u64::MAX)).unwrap_or_default());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
