//! Ticks of an interface to nanoseconds since the epoch.

use crate::model::Timestamp;

/// What a tick of `if_tsresol` is, and what is to be added (`if_tsoffset`). draft-ietf-opsawg-pcapng section 4.2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    tick: Tick,
    offset_nanos: i128,
}

/// Nanoseconds per tick, as something that does not lose a digit.
#[derive(Clone, Copy, Debug)]
enum Tick {
    /// So many nanoseconds: 10^-9 s or coarser.
    Many(u64),
    /// So many ticks a nanosecond: finer than 10^-9 s.
    Part(u128),
    /// 2^-n s.
    Binary(u32),
}

impl Clock {
    /// `resolution`: the octet of `if_tsresol`; `offset_s`: `if_tsoffset`.
    pub(super) fn new(resolution: u8, offset_s: i64) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let tick = if resolution & 0x80 != 0 {
            Tick::Binary(exponent)
        } else if exponent <= 9 {
            Tick::Many(10_u64.pow(9 - exponent))
        } else {
            // From 10^-38 s on no 64-bit count of ticks reaches a nanosecond.
            Tick::Part(10_u128.checked_pow(exponent - 9).unwrap_or(u128::MAX))
        };
        Self { tick, offset_nanos: i128::from(offset_s) * 1_000_000_000 }
    }

    /// The time after `ticks`; saturating.
    pub(super) fn time(&self, ticks: u64) -> Timestamp {
        let nanos = match self.tick {
            Tick::Many(nanos) => u128::from(ticks) * u128::from(nanos),
            Tick::Part(ticks_per_nano) => u128::from(ticks) / ticks_per_nano,
            // 64 bits of ticks and 30 of nanoseconds fit well.
            Tick::Binary(exponent) => (u128::from(ticks) * 1_000_000_000) >> exponent,
        };
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(self.offset_nanos);
        let clamped = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp::from_nanos(i64::try_from(clamped).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_ten_and_of_two_give_nanoseconds() {
        let nanos = |resolution, ticks| Clock::new(resolution, 0).time(ticks).as_nanos();
        assert_eq!(nanos(6, 1_500_000), 1_500_000_000);
        assert_eq!(nanos(9, 7), 7);
        assert_eq!(nanos(0, 3), 3_000_000_000);
        assert_eq!(nanos(12, 7_999), 7);
        assert_eq!(nanos(0x8a, 1_536), 1_500_000_000);
        assert_eq!(nanos(0x80, 3), 3_000_000_000);
    }

    #[test]
    fn an_offset_is_added_and_absurd_values_saturate() {
        assert_eq!(Clock::new(6, -1).time(2_000_000).as_nanos(), 1_000_000_000);
        assert_eq!(Clock::new(0, 0).time(u64::MAX).as_nanos(), i64::MAX);
        assert_eq!(Clock::new(0, i64::MIN).time(0).as_nanos(), i64::MIN);
        for resolution in 0..=u8::MAX {
            Clock::new(resolution, i64::MAX).time(u64::MAX);
        }
        assert_eq!(Clock::new(127, 0).time(u64::MAX).as_nanos(), 0);
    }
}
