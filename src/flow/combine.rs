//! From disputed octets to every stretch of stream that a receiver could have put together of them.
//!
//! The stream is cut where any segment began or ended. Between two cuts a receiver took one of the versions; what it took
//! there says nothing of what it takes next to it, since of any segment its copy may not have come. So every choice per
//! piece is handed on for as far as a match can reach, within a bound of octets. Beyond the bound: each version alone, and
//! the stretch as a receiver that always takes the last one has it.

use super::barren::{Parts, Soil};
use super::versions::{Reading, Region, Variant};
use crate::model::FrameSpan;

/// Choices of one neighbourhood that are handed on.
const MAX_CHOICES: usize = 1024;

/// Octets of one neighbourhood that are handed on, over all choices.
const MAX_OCTETS: u64 = 1 << 17;

/// Neighbouring octets where the choices are too many for the longest match to be searched around each.
const NEAR: u64 = 32;

/// What is handed on.
pub(super) struct Combined<'a> {
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
    pub(super) disputed: (usize, usize),
    pub(super) frames: FrameSpan,
}

/// Who takes what is handed on; see `ChunkSink`.
pub(super) trait Taker {
    fn take(&mut self, combined: &Combined<'_>);
    fn grain(&self) -> Option<usize>;
    fn is_barren(&mut self, bytes: &[u8]) -> bool;
    fn barren(&mut self, octets: u64);
}

/// One version of a piece.
#[derive(Clone, Copy)]
pub(super) struct Version<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it is not the stream's.
    variant: Option<&'a Variant>,
    is_fresh: bool,
}

/// A piece between two cuts.
pub(super) struct Piece<'a> {
    from: u64,
    to: u64,
    /// The stream's first, where it is known; then the others, in the order of their arrival. All different.
    pub(super) versions: Vec<Version<'a>>,
}

impl<'a> Piece<'a> {
    fn stream(&self) -> Option<&'a [u8]> {
        self.versions.first().filter(|it| it.variant.is_none()).map(|it| it.bytes)
    }

    pub(super) fn is_disputed(&self) -> bool {
        self.versions.iter().any(|it| it.variant.is_some())
    }
}

/// Hands on what was not handed on yet. `reach`: octets that a match can hold. `budget`: octets that may still be spent on
/// combinations.
pub(super) fn combine(region: &Region, reach: u64, budget: &mut u64, out: &mut dyn Taker) {
    let Some((from, to)) = region.fresh() else { return };
    let span = 2 * reach;
    let from = from.saturating_sub(span).max(region.lo);
    let to = to.saturating_add(span).min(region.hi());
    let skip = usize::try_from(from - region.lo).unwrap_or(0);
    let len = usize::try_from(to - from).unwrap_or(0);
    let stream = region.stream.get(skip..skip + len).unwrap_or_default();
    let plain: Vec<u8> = stream.iter().map(|octet| octet.unwrap_or(0)).collect();
    let pieces = cut(region, stream, &plain, from);
    let parts = Parts { region, stream: &plain, pieces: &pieces, from, to };
    let mut writer =
        Writer { pieces: &pieces, text: Text::default(), out, soil: Soil::new(&parts), parts };
    let mut is_partial = false;
    let mut choices = Vec::new();
    for (first, piece) in pieces.iter().enumerate() {
        if !piece.is_disputed() {
            continue;
        }
        let limit = piece.to.saturating_add(reach);
        let near = pieces.iter().skip(first).take_while(|it| it.from < limit);
        let whole = near.take_while(|it| !it.versions.is_empty());
        // Behind the last disputed one follow its neighbours.
        let whole =
            whole.enumerate().filter(|(_, it)| it.is_disputed()).map(|(place, _)| place + 1);
        let whole = whole.last().unwrap_or(1);
        let allowed = MAX_OCTETS.min(*budget);
        let (mut count, mut context) = (whole, reach);
        let mut cost = cost_of(&pieces, first, count, context);
        while cost > allowed && count > 1 {
            if context > NEAR {
                context = NEAR.min(reach);
            } else {
                count -= 1;
                is_partial = true;
            }
            cost = cost_of(&pieces, first, count, context);
        }
        let members = pieces.get(first..first + count).unwrap_or_default();
        if !members.iter().any(|it| it.versions.iter().any(|it| it.is_fresh)) {
            continue;
        }
        if cost > allowed {
            is_partial = true;
            continue;
        }
        *budget -= cost.min(*budget);
        is_partial |= context < reach;
        choices.clear();
        choices.resize(count, 0);
        // The first piece is never the stream's: that is the turn of the next disputed one.
        if let (Some(choice), true) = (choices.first_mut(), piece.stream().is_some()) {
            *choice = 1;
        }
        loop {
            writer.write(first, &choices, context);
            if !advance(&mut choices, members) {
                break;
            }
        }
    }
    if is_partial {
        let context = if *budget == 0 { NEAR.min(reach) } else { reach };
        writer.each(region, context);
        writer.pairs(region, budget);
        writer.policy(&|version| version.variant.is_some());
        for reading in [Reading::UrgentBefore, Reading::UrgentAt] {
            if region.variants.iter().any(|it| it.reading == reading) {
                writer.policy(&|version| version.variant.is_some_and(|it| it.reading == reading));
            }
        }
    }
    writer.end();
}

/// The next choice in the order of an odometer; none where all were made.
fn advance(choices: &mut [usize], pieces: &[Piece<'_>]) -> bool {
    for (place, (choice, piece)) in choices.iter_mut().zip(pieces).enumerate().rev() {
        *choice += 1;
        if *choice < piece.versions.len() {
            return true;
        }
        if place == 0 {
            return false;
        }
        *choice = 0;
    }
    false
}

/// Octets that the choices of `count` pieces from `first` on take; beyond every bound where there are too many choices.
fn cost_of(pieces: &[Piece<'_>], first: usize, count: usize, context: u64) -> u64 {
    let members = pieces.get(first..first + count).unwrap_or_default();
    let mut product = 1_usize;
    for piece in members {
        product = product.saturating_mul(piece.versions.len().max(1));
    }
    if product > MAX_CHOICES && count > 1 {
        return u64::MAX;
    }
    let span = match (members.first(), members.last()) {
        (Some(first), Some(last)) => last.to - first.from,
        _ => 0,
    };
    (product as u64).saturating_mul(span + 2 * context)
}

/// Cuts `stream`, which begins at offset `from`, where a segment began or ended, or where the stream begins or ends to be
/// known. `plain` holds its octets.
fn cut<'a>(
    region: &'a Region,
    stream: &[Option<u8>],
    plain: &'a [u8],
    from: u64,
) -> Vec<Piece<'a>> {
    let to = from + stream.len() as u64;
    let place = |offset: u64| usize::try_from(offset.saturating_sub(from)).unwrap_or(0);
    let variants = || region.variants.iter().filter(|it| it.at < to && it.end() > from);
    let mut cuts: Vec<u64> = variants().flat_map(|it| [it.at, it.end()]).collect();
    // Elsewhere there is but one version.
    cuts.extend(
        region.borders.iter().filter(|&&at| variants().any(|it| it.at < at && at < it.end())),
    );
    let mut known = None;
    for (offset, octet) in (from..to).zip(stream) {
        if known != Some(octet.is_some()) {
            known = Some(octet.is_some());
            cuts.push(offset);
        }
    }
    cuts.push(from);
    cuts.push(to);
    cuts.retain(|at| (from..=to).contains(at));
    cuts.sort_unstable();
    cuts.dedup();
    let pairs = cuts.iter().zip(cuts.iter().skip(1));
    pairs
        .map(|(&from, &to)| {
            let mut versions: Vec<Version<'a>> = Vec::new();
            if stream.get(place(from)).is_some_and(Option::is_some) {
                let bytes = plain.get(place(from)..place(to)).unwrap_or_default();
                versions.push(Version { bytes, variant: None, is_fresh: false });
            }
            for variant in region.variants.iter().filter(|it| it.at <= from && it.end() >= to) {
                let index = |offset: u64| usize::try_from(offset - variant.at).unwrap_or(0);
                let bytes = if variant.reading == Reading::Segment {
                    variant.bytes.get(index(from)..index(to)).unwrap_or_default()
                } else {
                    &[]
                };
                match versions.iter_mut().find(|it| it.bytes == bytes) {
                    Some(same) => same.is_fresh &= variant.is_fresh,
                    None => versions.push(Version {
                        bytes,
                        variant: Some(variant),
                        is_fresh: variant.is_fresh,
                    }),
                }
            }
            Piece { from, to, versions }
        })
        .collect()
}

/// Puts stretches together and hands them on.
struct Writer<'a, 'p, 'o> {
    pieces: &'p [Piece<'a>],
    text: Text,
    out: &'o mut dyn Taker,
    soil: Soil,
    parts: Parts<'a, 'p>,
}

impl Writer<'_, '_, '_> {
    /// Tells of what was only counted.
    fn end(&mut self) {
        if self.text.total > 0 {
            self.out.barren(self.text.total);
        }
    }

    /// One choice for the pieces from `first` on, unless it was handed on before.
    fn write(&mut self, first: usize, choices: &[usize], context: u64) {
        let chosen = || {
            let members = self.pieces.iter().skip(first).zip(choices);
            members.filter_map(|(piece, choice)| piece.versions.get(*choice))
        };
        if !chosen().any(|it| it.is_fresh) {
            return;
        }
        let mut frames: Option<FrameSpan> = None;
        for variant in chosen().filter_map(|it| it.variant) {
            frames = Some(frames.map_or(variant.frames, |known| known.to(variant.frames)));
        }
        self.text.clear();
        let offset = self.before(first, context);
        let from = self.text.len();
        let mut to = from;
        for (piece, choice) in self.pieces.iter().skip(first).zip(choices) {
            let Some(version) = piece.versions.get(*choice) else { continue };
            self.text.extend_from_slice(version.bytes);
            if version.variant.is_some() {
                to = self.text.len();
            }
        }
        self.after(first + choices.len(), context);
        self.hand_on(offset, (from, to), frames.unwrap_or_default());
    }

    /// Each version by itself, among its neighbours in the stream.
    fn each(&mut self, region: &Region, context: u64) {
        for variant in region.variants.iter().filter(|it| it.is_fresh) {
            let first = self.pieces.partition_point(|it| it.from < variant.at);
            let behind = self.pieces.partition_point(|it| it.from < variant.end());
            self.text.clear();
            let offset = self.before(first, context);
            let from = self.text.len();
            self.text.extend_from_slice(&variant.bytes);
            let to = self.text.len();
            self.after(behind, context);
            self.hand_on(offset, (from, to), variant.frames);
        }
    }

    /// Every two versions that touch, in either order, and each version in front of or behind the stream's octets, while
    /// the budget lasts.
    fn pairs(&mut self, region: &Region, budget: &mut u64) {
        let pieces = self.pieces;
        for one in &region.variants {
            let inside = |at: &u64| one.at < *at && *at < one.end();
            for cut in pieces.iter().map(|piece| piece.from).filter(inside) {
                if one.is_fresh {
                    self.join(&[(cut, one.end(), one)], budget);
                    self.join(&[(one.at, cut, one)], budget);
                }
            }
            let near = |it: &&Variant| it.at >= one.at && it.at <= one.end();
            for other in region.variants.iter().filter(near) {
                if std::ptr::eq(one, other) || !(one.is_fresh || other.is_fresh) {
                    continue;
                }
                let (start, middle, end) = (one.at, one.end(), other.end());
                self.join(&[(start, middle, one), (middle, end, other)], budget);
                self.join(
                    &[(start, other.at, one), (other.at, end, other), (end, middle, one)],
                    budget,
                );
            }
        }
    }

    /// Parts of versions, one behind the other, among their near neighbours in the stream.
    fn join(&mut self, parts: &[(u64, u64, &Variant)], budget: &mut u64) {
        let Some(&(from, _, first)) = parts.first() else { return };
        let to = parts.iter().map(|(_, to, _)| *to).max().unwrap_or(from);
        let cost = 2 * NEAR + to.saturating_sub(from);
        if cost > *budget || parts.iter().any(|(.., it)| it.reading != Reading::Segment) {
            return;
        }
        *budget -= cost;
        self.text.clear();
        let offset = self.before(self.pieces.partition_point(|it| it.from < from), NEAR);
        let start = self.text.len();
        let mut frames = first.frames;
        for (from, to, variant) in parts.iter().filter(|(from, to, _)| from < to) {
            let index = |offset: &u64| usize::try_from(offset - variant.at).unwrap_or(0);
            self.text.extend_from_slice(variant.bytes.get(index(from)..index(to)).unwrap_or(&[]));
            frames = frames.to(variant.frames);
        }
        let end = self.text.len();
        self.after(self.pieces.partition_point(|it| it.from < to), NEAR);
        self.hand_on(offset, (start, end), frames);
    }

    /// What a receiver has that takes the last version that `is_taken`, and else the stream's.
    fn policy(&mut self, is_taken: &dyn Fn(&Version<'_>) -> bool) {
        let (mut offset, mut disputed, mut frames) = (None, None, None);
        self.text.clear();
        for piece in self.pieces {
            let taken = piece.versions.iter().rev().find(|it| is_taken(it));
            let Some(version) = taken.or_else(|| piece.versions.first()) else {
                // Nobody knows what stood here.
                if let (Some(offset), Some(disputed)) = (offset.take(), disputed.take()) {
                    self.hand_on(offset, disputed, frames.take().unwrap_or_default());
                }
                self.text.clear();
                continue;
            };
            offset = offset.or(Some(piece.from));
            let from = self.text.len();
            self.text.extend_from_slice(version.bytes);
            if let Some(variant) = version.variant {
                let (start, _) = disputed.unwrap_or((from, from));
                disputed = Some((start, self.text.len()));
                let known: Option<FrameSpan> = frames;
                frames = Some(known.map_or(variant.frames, |known| known.to(variant.frames)));
            }
        }
        if let (Some(offset), Some(disputed)) = (offset, disputed) {
            self.hand_on(offset, disputed, frames.unwrap_or_default());
        }
    }

    /// Writes what stands in the stream in front of a piece; returns its offset.
    fn before(&mut self, first: usize, context: u64) -> u64 {
        let Some(start) = self.pieces.get(first).map(|it| it.from) else { return 0 };
        let limit = start.saturating_sub(context);
        let front = self.pieces.get(..first).unwrap_or_default();
        let known = front.iter().rev().take_while(|it| it.to > limit && it.stream().is_some());
        let from = known.last().map_or(start, |it| it.from.max(limit));
        self.text.extend_from_slice(self.parts.stream(from, start));
        from
    }

    /// Writes what stands in the stream behind a piece.
    fn after(&mut self, behind: usize, context: u64) {
        let Some(start) = self.pieces.get(behind).map(|it| it.from) else { return };
        let limit = start.saturating_add(context);
        let back = self.pieces.iter().skip(behind);
        let known = back.take_while(|it| it.from < limit && it.stream().is_some());
        let to = known.last().map_or(start, |it| it.to.min(limit));
        self.text.extend_from_slice(self.parts.stream(start, to));
    }

    fn hand_on(&mut self, offset: u64, disputed: (usize, usize), frames: FrameSpan) {
        if self.text.len == 0 {
            return;
        }
        if self.soil.is_barren(self.text.len, &self.parts, self.out) {
            self.text.is_counted = true;
            self.text.total += self.text.len as u64;
        } else {
            self.out.take(&Combined { offset, bytes: &self.text.octets, disputed, frames });
        }
    }
}

/// Octets put together; or, once nobody needs them, how many they would be.
#[derive(Default)]
struct Text {
    octets: Vec<u8>,
    len: usize,
    is_counted: bool,
    /// Octets of texts that nobody needed.
    total: u64,
}

impl Text {
    const fn len(&self) -> usize {
        self.len
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.len = 0;
    }

    fn extend_from_slice(&mut self, octets: &[u8]) {
        self.len += octets.len();
        if !self.is_counted {
            self.octets.extend_from_slice(octets);
        }
    }
}
