//! Disputed octets of one stream: every version that was on the wire, kept from the first conflict on, so that what a
//! receiver could have put together is handed on, across its neighbours and what comes later.

use super::combine::{Taker, combine};
use crate::model::FrameSpan;

/// Versions kept of one neighbourhood. Then the older half is let go: it was handed on, and counts as a conflict.
const MAX_VARIANTS: usize = 256;

/// The same where the budget of the search is nearly spent.
const MIN_VARIANTS: usize = 32;

/// Octets of search below which the budget is nearly spent.
const LOW_BUDGET: u64 = 1 << 20;

/// Neighbourhoods kept of one stream. Then the oldest goes, likewise.
const MAX_REGIONS: usize = 8;

/// Octets of stream in one neighbourhood, those of its newest version aside.
const MAX_SPAN: u64 = 1 << 14;

/// Octets of memory of one neighbourhood, one version aside.
const MAX_REGION_MEMORY: usize = 1 << 18;

/// Borders of segments kept of one neighbourhood.
const MAX_BORDERS: usize = 128;

/// Why there is another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A segment with other octets.
    Segment,
    /// Urgent data: the octet in front of the pointer is taken out of the stream. RFC 6093 s3.1, as most stacks do it.
    UrgentBefore,
    /// Urgent data: the octet at the pointer is. RFC 1122 s4.2.2.4.
    UrgentAt,
}

/// Octets that may stand in the place of `len` octets of the stream.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub(super) at: u64,
    pub(super) len: u64,
    /// `len` octets, or none.
    pub(super) bytes: Vec<u8>,
    pub(super) frames: FrameSpan,
    pub(super) reading: Reading,
    /// Not handed on yet.
    pub(super) is_fresh: bool,
}

impl Variant {
    pub(super) const fn end(&self) -> u64 {
        self.at.saturating_add(self.len)
    }

    const fn memory(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
}

/// Versions that are near each other, and the stream around them.
#[derive(Debug)]
pub(super) struct Region {
    /// Offset of the first octet of `stream`.
    pub(super) lo: u64,
    /// The first version of every octet, where it is known.
    pub(super) stream: Vec<Option<u8>>,
    /// Where segments began or ended.
    pub(super) borders: Vec<u64>,
    /// In the order of their arrival.
    pub(super) variants: Vec<Variant>,
}

impl Region {
    pub(super) fn hi(&self) -> u64 {
        self.lo + self.stream.len() as u64
    }

    /// The first octet and the one behind the last that were not handed on.
    pub(super) fn fresh(&self) -> Option<(u64, u64)> {
        let fresh = || self.variants.iter().filter(|it| it.is_fresh);
        Some((fresh().map(|it| it.at).min()?, fresh().map(Variant::end).max()?))
    }

    fn memory(&self) -> usize {
        let variants: usize = self.variants.iter().map(Variant::memory).sum();
        size_of::<Self>() + self.stream.len() * 2 + self.borders.len() * 8 + variants
    }

    fn is_large(&self, reach: u64, budget: u64) -> bool {
        // Every version is looked at for every piece that it may cover.
        let most = if budget < LOW_BUDGET { MIN_VARIANTS } else { MAX_VARIANTS };
        let newest = self.variants.last().map_or(0, |it| it.len);
        self.variants.len() > most
            || self.hi() - self.lo > MAX_SPAN + newest + 2 * reach
            || (self.variants.len() > 1 && self.memory() > MAX_REGION_MEMORY)
    }

    fn record(&mut self, offset: u64, bytes: &[u8]) {
        let from = offset.max(self.lo);
        let to = (offset + bytes.len() as u64).min(self.hi());
        let place = |at: u64, start: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(0);
        let Some(octets) = bytes.get(place(from, offset)..place(to, offset)) else { return };
        for (known, octet) in self.stream.iter_mut().skip(place(from, self.lo)).zip(octets) {
            *known = Some(*octet);
        }
    }

    /// Makes room for the octets `lo..hi`.
    fn stretch(&mut self, lo: u64, hi: u64) {
        if lo < self.lo {
            let more = usize::try_from(self.lo - lo).unwrap_or(0);
            self.stream.splice(0..0, std::iter::repeat_n(None, more));
            self.lo = lo;
        }
        if hi > self.hi() {
            let len = usize::try_from(hi - self.lo).unwrap_or(0);
            self.stream.resize(len, None);
        }
    }

    fn absorb(&mut self, other: Self) {
        self.stretch(other.lo, other.hi());
        let skip = usize::try_from(other.lo - self.lo).unwrap_or(0);
        for (mine, octet) in self.stream.iter_mut().skip(skip).zip(&other.stream) {
            *mine = mine.or(*octet);
        }
        self.variants.extend(other.variants);
        self.borders.extend(other.borders);
    }

    fn border(&mut self, offset: u64) {
        if offset > self.lo
            && offset < self.hi()
            && self.borders.len() < MAX_BORDERS
            && !self.borders.contains(&offset)
        {
            self.borders.push(offset);
            // Versions can be mixed at this place too.
            for variant in &mut self.variants {
                variant.is_fresh |= variant.at < offset && offset < variant.end();
            }
        }
    }

    /// Lets the older versions go.
    fn trim(&mut self, reach: u64) {
        self.variants.drain(..self.variants.len() / 2);
        let lo = self.variants.iter().map(|it| it.at).min().unwrap_or(self.lo);
        let hi = self.variants.iter().map(Variant::end).max().unwrap_or(self.lo);
        let lo = lo.saturating_sub(reach).max(self.lo);
        let hi = hi.saturating_add(reach).min(self.hi());
        self.stream.truncate(usize::try_from(hi - self.lo).unwrap_or(0));
        self.stream.drain(..usize::try_from(lo - self.lo).unwrap_or(0));
        self.stream.shrink_to_fit();
        self.lo = lo;
        self.borders.retain(|at| (lo..hi).contains(at));
    }
}

/// Gives what is known of the octets between two offsets, as runs with their offsets.
type Known<'a> = dyn Fn(u64, u64, &mut dyn FnMut(u64, &[u8])) + 'a;

/// What is kept of one stream once a conflict occurred.
#[derive(Debug, Default)]
pub(super) struct Versions {
    regions: Vec<Region>,
    /// Octets of memory charged.
    pub(super) charged: usize,
    /// The first offset at which a neighbourhood may be whole; none where nothing waits.
    due: Option<u64>,
}

impl Versions {
    /// Keeps a version; `known` gives what is known of the stream, as runs. Says whether it is new.
    pub(super) fn add(
        &mut self,
        variant: Variant,
        reach: u64,
        borders: &[u64],
        known: &Known<'_>,
    ) -> bool {
        let (lo, hi) = (variant.at.saturating_sub(reach), variant.end().saturating_add(reach));
        let mut touched: Option<Region> = None;
        let mut at = 0;
        while let Some(region) = self.regions.get(at) {
            if region.lo > hi || region.hi() < lo {
                at += 1;
                continue;
            }
            let region = self.regions.remove(at);
            match &mut touched {
                None => touched = Some(region),
                Some(whole) => whole.absorb(region),
            }
        }
        let mut region = touched.unwrap_or_else(|| Region {
            lo,
            stream: Vec::new(),
            borders: Vec::new(),
            variants: Vec::new(),
        });
        let is_new = !region.variants.iter().any(|it| {
            it.at == variant.at && it.reading == variant.reading && it.bytes == variant.bytes
        });
        if is_new {
            let (old_lo, old_hi) = (region.lo, region.hi());
            region.stretch(lo, hi);
            known(region.lo, old_lo, &mut |offset, bytes| region.record(offset, bytes));
            known(old_hi, region.hi(), &mut |offset, bytes| region.record(offset, bytes));
            let due = variant.end().saturating_add(reach);
            self.due = Some(self.due.map_or(due, |known| known.min(due)));
            region.variants.push(variant);
            for offset in borders {
                region.border(*offset);
            }
        }
        self.regions.push(region);
        is_new
    }

    /// Takes octets that were handed on.
    pub(super) fn record(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        for region in &mut self.regions {
            if offset < region.hi() && end > region.lo {
                region.record(offset, bytes);
                region.border(offset);
            }
        }
    }

    /// Notes where a segment began or ended that brought nothing new.
    pub(super) fn border(&mut self, offset: u64, reach: u64) {
        for region in &mut self.regions {
            region.border(offset);
            if let Some((_, end)) = region.fresh() {
                let due = end.saturating_add(reach);
                self.due = Some(self.due.map_or(due, |known| known.min(due)));
            }
        }
    }

    /// Whether a neighbourhood may be whole, or has become too large.
    pub(super) fn is_due(&self, rcv_nxt: u64) -> bool {
        self.due.is_some_and(|due| due <= rcv_nxt) || self.regions.len() > MAX_REGIONS
    }

    /// Hands on every combination that holds a version not handed on yet, of the neighbourhoods that are whole: `reach`
    /// octets behind them were seen, or none will follow (`rcv_nxt` is then the highest number).
    pub(super) fn settle(
        &mut self,
        rcv_nxt: u64,
        reach: u64,
        budget: &mut u64,
        out: &mut dyn Taker,
    ) {
        self.due = None;
        for region in &mut self.regions {
            let Some((_, end)) = region.fresh() else { continue };
            let due = end.saturating_add(reach);
            let is_large = region.is_large(reach, *budget);
            if due <= rcv_nxt || is_large {
                combine(region, reach, budget, out);
                for variant in &mut region.variants {
                    variant.is_fresh = false;
                }
                if is_large {
                    region.trim(reach);
                }
            } else {
                self.due = Some(self.due.map_or(due, |known| known.min(due)));
            }
        }
        while self.regions.len() > MAX_REGIONS {
            let region = self.regions.remove(0);
            if region.fresh().is_some() {
                combine(&region, reach, budget, out);
            }
        }
    }

    /// Whether a neighbourhood is larger than it may be.
    pub(super) fn is_large(&self, reach: u64, budget: u64) -> bool {
        self.regions.iter().any(|region| region.is_large(reach, budget))
    }

    /// Octets of memory held.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.regions.iter().map(Region::memory).sum::<usize>()
    }
}
