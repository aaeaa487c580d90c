//! Whether anything can be found in the mixtures of a neighbourhood: asked of the parts that all of them are made of, which are
//! few, before the mixtures are searched, which are many. Where the parts hold nothing, no mixture does.

use super::combine::{Piece, Taker};
use super::versions::Region;

/// Ways that lead to a cut, or away from it, up to which they are looked at.
const MAX_WAYS: usize = 32;

/// How many times the octets of the versions and of the stream all parts may be. Beyond it the mixtures are searched.
const MAX_FACTOR: usize = 4;

/// The share of the parts that mixtures must have in octets before the parts are looked at: one in so many.
const MIN_SHARE: usize = 4;

/// What mixtures are made of.
pub(super) struct Parts<'a, 'p> {
    pub(super) region: &'a Region,
    /// The stream's octets from `from` up to `to`.
    pub(super) stream: &'p [u8],
    pub(super) pieces: &'p [Piece<'a>],
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What is known of the parts.
pub(super) enum Soil {
    /// They were not looked at: the mixtures so far had fewer octets.
    Unasked { searched: usize, octets: usize },
    /// Something may be found.
    Fertile,
    /// Nothing can be found.
    Barren,
}

impl Soil {
    pub(super) fn new(parts: &Parts<'_, '_>) -> Self {
        Self::Unasked { searched: 0, octets: parts.octets() }
    }

    /// Whether nothing can be found in the next mixture, which has so many octets. Says no where the mixtures so far had so few
    /// that an answer would cost more than it is worth.
    pub(super) fn is_barren(
        &mut self,
        octets: usize,
        parts: &Parts<'_, '_>,
        taker: &mut dyn Taker,
    ) -> bool {
        if let Self::Unasked { searched, octets: all } = self {
            *searched += octets;
            if *searched * MIN_SHARE <= *all {
                return false;
            }
            let all = taker.grain().and_then(|grain| parts.joined(grain, *all * MAX_FACTOR));
            let is_barren = all.is_some_and(|all| taker.is_barren(&all));
            *self = if is_barren { Self::Barren } else { Self::Fertile };
        }
        matches!(self, Self::Barren)
    }
}

impl<'p> Parts<'_, 'p> {
    /// The stream's octets between two offsets.
    pub(super) fn stream(&self, from: u64, to: u64) -> &'p [u8] {
        let index = |at: u64| usize::try_from(at.saturating_sub(self.from)).unwrap_or(usize::MAX);
        self.stream.get(index(from)..index(to)).unwrap_or_default()
    }

    /// Octets of the stream and of the versions.
    fn octets(&self) -> usize {
        self.stream.len() + self.versions().map(<[u8]>::len).sum::<usize>()
    }

    fn versions(&self) -> impl Iterator<Item = &[u8]> {
        let inside =
            self.region.variants.iter().filter(|it| it.at < self.to && it.end() > self.from);
        inside.map(|it| it.bytes.as_slice())
    }

    /// Octets in which every `grain` in a row of every mixture stand; none where they are too many.
    ///
    /// A mixture is a version of each of several pieces in a row. So a row of octets lies in the stream, in one version, or
    /// across a cut, of which a version ends or begins there.
    fn joined(&self, grain: usize, limit: usize) -> Option<Vec<u8>> {
        let sticks_out = |from: u64, to: u64| {
            (from < self.from && to > self.from) || (from < self.to && to > self.to)
        };
        if self.region.variants.iter().any(|it| sticks_out(it.at, it.end())) {
            return None;
        }
        let mut all = self.stream.to_vec();
        for version in self.versions() {
            all.extend_from_slice(version);
        }
        for cut in 1..self.pieces.len() {
            let (before, behind) = self.pieces.split_at_checked(cut)?;
            let touching = before.last().into_iter().chain(behind.first());
            if !touching.into_iter().any(Piece::is_disputed) {
                continue;
            }
            let fronts = ways(before.iter().rev(), grain, |octets, room| {
                octets.get(octets.len().saturating_sub(room)..).unwrap_or(octets)
            })?;
            let backs =
                ways(behind.iter(), grain, |octets, room| octets.get(..room).unwrap_or(octets))?;
            for front in &fronts {
                for back in &backs {
                    for octets in front.parts.iter().rev().chain(&back.parts) {
                        all.extend_from_slice(octets);
                    }
                }
                if all.len() > limit {
                    return None;
                }
            }
        }
        Some(all)
    }
}

/// A version of each of several pieces, the one at the cut first, and their octets.
#[derive(Clone, Default)]
struct Way<'a> {
    parts: Vec<&'a [u8]>,
    octets: usize,
}

/// All ways from a cut on that have `grain` octets, or fewer where nothing is known behind them. `near`: as many octets of a
/// version as there is room, those at the cut.
fn ways<'a: 'p, 'p>(
    pieces: impl Iterator<Item = &'p Piece<'a>>,
    grain: usize,
    near: impl Fn(&'a [u8], usize) -> &'a [u8],
) -> Option<Vec<Way<'a>>> {
    let (mut whole, mut open) = (Vec::new(), vec![Way::default()]);
    for piece in pieces {
        if open.is_empty() || piece.versions.is_empty() {
            break;
        }
        let mut longer = Vec::new();
        for way in &open {
            for version in &piece.versions {
                let octets = near(version.bytes, grain - way.octets);
                let mut next = way.clone();
                next.octets += octets.len();
                next.parts.push(octets);
                if next.octets < grain { longer.push(next) } else { whole.push(next) }
            }
        }
        if longer.len() + whole.len() > MAX_WAYS {
            return None;
        }
        open = longer;
    }
    whole.append(&mut open);
    Some(whole)
}
