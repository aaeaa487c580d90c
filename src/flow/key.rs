//! Compact keys of conns and the index from key to slot.

use crate::model::{Endpoint, Proto};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

/// Both ends and the protocol, the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Two addresses, two ports, protocol: 104 bits. Outside of numbered networks.
    V4(u128),
    V6(WideKey),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WideKey([u64; 6]);

/// Word by word, without the length prefix of an array.
impl Hash for WideKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for word in self.0 {
            state.write_u64(word);
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

fn words(ip: IpAddr) -> [u64; 2] {
    let bits = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
    let high = u64::try_from(bits >> 64).unwrap_or_default();
    [high, low]
}

/// From key to slot. IPv4 has a map of its own: its keys are a third of the size.
#[derive(Debug)]
pub(super) struct Index {
    v4: HashMap<u128, u32, Seed>,
    v6: HashMap<WideKey, u32, Seed>,
}

impl Index {
    pub(super) fn new() -> Self {
        let seed = Seed::new();
        Self { v4: HashMap::with_hasher(seed), v6: HashMap::with_hasher(seed) }
    }

    pub(super) fn get(&self, key: Key) -> Option<u32> {
        match key {
            Key::V4(key) => self.v4.get(&key).copied(),
            Key::V6(key) => self.v6.get(&key).copied(),
        }
    }

    pub(super) fn insert(&mut self, key: Key, slot: u32) {
        match key {
            Key::V4(key) => self.v4.insert(key, slot),
            Key::V6(key) => self.v6.insert(key, slot),
        };
    }

    pub(super) fn remove(&mut self, key: Key) {
        match key {
            Key::V4(key) => self.v4.remove(&key),
            Key::V6(key) => self.v6.remove(&key),
        };
    }
}

/// The secret start of every hash: with a known one, a capture could be made whose conns all collide.
/// Nothing that is handed on depends on it.
#[derive(Clone, Copy, Debug)]
struct Seed(u64);

impl Seed {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0_u8))
    }
}

impl BuildHasher for Seed {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold(self.0)
    }
}

/// Folded multiplication: short fixed keys, one multiplication a word.
#[derive(Debug)]
struct Fold(u64);

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
