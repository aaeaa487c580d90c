//! Every version of octets that fragments dispute, without a choice between receivers: what came first, what came last,
//! and mixtures.
//!
//! Octets are disputed in intervals between the borders of fragments: each receiver takes each interval from one fragment.
//! Few intervals give all mixtures, each as a whole datagram. Many give the mixtures of all neighbours that one text could
//! span, with the octets around them.

use super::late::Arena;
use super::pending::{Other, Pending, Run, length, overlay, slice};

/// Octets around disputed ones that are handed on with them, and the longest text that mixtures are made for: a text of
/// 256 octets as it stands, or one of 40 in the widest encoding.
pub(super) const CONTEXT: u32 = 256;

/// Mixtures of intervals within reach of one text: six intervals of two versions have all of theirs.
const MAX_MIXTURES: usize = 64;

/// Neighbours of which there are all mixtures, at the most: two versions of each.
const MAX_PERIOD: usize = MAX_MIXTURES.ilog2() as usize;

/// Versions of one datagram that are handed on whole, with their transport header.
pub(super) const MAX_WHOLE: usize = 16;

/// Octets of versions that are handed on whole, beyond the first two.
const MAX_WHOLE_BYTES: usize = 512 << 10;

/// Octets of versions of one datagram. It holds 64 mixtures of the largest datagram.
const MAX_BYTES: usize = 4 << 20;

/// Octets of which there are versions.
struct Interval<'a> {
    from: u32,
    to: u32,
    /// Each content once, in the order of arrival.
    contents: Vec<&'a [u8]>,
}

/// Adds every version of a run to `arena`. The first one is left out where its first `known` octets were handed on already
/// and it has no more.
pub(super) fn hand_on(pending: &Pending, run: Run, known: Option<u32>, arena: &mut Arena) {
    let intervals = disputed(pending, run);
    let first = First::of(pending, run);
    let head = pending.head().filter(|_| run.from == 0);
    if known.is_none_or(|known| known < run.to) {
        arena.push(head, pending.total(), |out| out.extend_from_slice(&first.bytes));
    }
    if intervals.is_empty() {
        return;
    }
    last(pending, &first, head, arena);
    let size = (run.to - run.from) as usize;
    let limit = (MAX_WHOLE_BYTES / size.max(1)).clamp(2, MAX_WHOLE);
    let all = Mix::of(&intervals, intervals.len());
    for number in 1..all.count.min(limit) {
        arena.push(head, pending.total(), |out| {
            first.mixed((run.from, run.to), &intervals, all, number, out);
        });
    }
    if !all.is_full || all.count > limit {
        for cluster in clusters(&intervals) {
            mixtures(&first, cluster, arena);
        }
    }
}

/// The first version of a run in one piece, to write others over.
struct First {
    from: u32,
    bytes: Vec<u8>,
}

impl First {
    fn of(pending: &Pending, run: Run) -> Self {
        let mut bytes = Vec::with_capacity((run.to - run.from) as usize);
        pending.copy(run.from, run.to, &mut bytes);
        Self { from: run.from, bytes }
    }

    fn to(&self) -> u32 {
        self.from + length(&self.bytes)
    }

    /// Appends the octets `low..high` as combination `number` has them. `intervals` lie between.
    fn mixed(
        &self,
        (low, high): (u32, u32),
        intervals: &[Interval<'_>],
        mix: Mix,
        number: usize,
        out: &mut Vec<u8>,
    ) {
        let base = out.len();
        out.extend_from_slice(slice(&self.bytes, self.from, low, high));
        let digits = mix.digits(number);
        let digits = digits.iter().take(mix.period).cycle();
        for (it, digit) in intervals.iter().zip(digits) {
            // The first of the contents is there already.
            if *digit > 0 {
                overlay(out, base, low, it.from, it.pick(*digit));
            }
        }
    }
}

/// The version in which the last fragment wins everywhere.
fn last(pending: &Pending, first: &First, head: Option<u8>, arena: &mut Arena) {
    arena.push(head, pending.total(), |out| {
        let base = out.len();
        out.extend_from_slice(&first.bytes);
        for Other { from, bytes } in pending.others() {
            overlay(out, base, first.from, *from, bytes);
        }
    });
}

/// The mixtures of intervals that lie close together, with the octets around them.
fn mixtures(first: &First, cluster: &[Interval<'_>], arena: &mut Arena) {
    let (Some(begin), Some(end)) = (cluster.first(), cluster.last()) else { return };
    let low = begin.from.saturating_sub(CONTEXT).max(first.from);
    let high = end.to.saturating_add(CONTEXT).min(first.to());
    let mix = Mix::of(cluster, reach(cluster));
    for number in 1..mix.count {
        if arena.len() > MAX_BYTES {
            return;
        }
        arena.push(None, None, |out| first.mixed((low, high), cluster, mix, number, out));
    }
}

/// How the versions of several intervals are combined.
#[derive(Clone, Copy)]
struct Mix {
    /// Combinations.
    count: usize,
    /// Versions of an interval.
    radix: usize,
    /// Intervals after which the combination repeats itself: of so many neighbours there are all combinations.
    period: usize,
    /// These are all combinations of all intervals.
    is_full: bool,
}

impl Mix {
    /// All combinations of any `reach` neighbours, or of as many as the bound allows.
    fn of(intervals: &[Interval<'_>], reach: usize) -> Self {
        let radix = intervals.iter().map(|it| it.contents.len()).max().unwrap_or(1).max(2);
        let (mut count, mut period) = (radix, 1);
        while period < reach && count.saturating_mul(radix) <= MAX_MIXTURES {
            count *= radix;
            period += 1;
        }
        Self { count, radix, period, is_full: period >= intervals.len() }
    }

    /// Which versions combination `number` takes, of `period` neighbours.
    fn digits(self, number: usize) -> [usize; MAX_PERIOD] {
        let mut rest = number;
        std::array::from_fn(|_| {
            let digit = rest % self.radix;
            rest /= self.radix;
            digit
        })
    }
}

impl<'a> Interval<'a> {
    /// A version by its number, the last one where there are fewer.
    fn pick(&self, digit: usize) -> &'a [u8] {
        self.contents.get(digit).or(self.contents.last()).copied().unwrap_or_default()
    }
}

/// How many neighbours one text of `CONTEXT` octets can touch.
fn reach(cluster: &[Interval<'_>]) -> usize {
    let mut most = 1;
    let mut end = 0;
    for (index, it) in cluster.iter().enumerate() {
        let limit = it.to.saturating_add(CONTEXT);
        while cluster.get(end).is_some_and(|next| next.from < limit) {
            end += 1;
        }
        most = most.max(end - index);
    }
    most
}

/// Intervals that one text could touch, together.
fn clusters<'s, 'a>(intervals: &'s [Interval<'a>]) -> impl Iterator<Item = &'s [Interval<'a>]> {
    intervals.chunk_by(|one, next| next.from - one.to < CONTEXT)
}

/// The intervals of a run of which there is more than one version, in order.
fn disputed<'a>(pending: &'a Pending, run: Run) -> Vec<Interval<'a>> {
    let inside = |other: &&Other| other.from < run.to && run.from < other.to();
    let others: Vec<&Other> = pending.others().iter().filter(inside).collect();
    let mut borders = Vec::new();
    for other in &others {
        let (from, to) = (other.from.max(run.from), other.to().min(run.to));
        borders.extend([from, to]);
        borders.extend(pending.starts(from, to));
    }
    borders.sort_unstable();
    borders.dedup();
    let mut intervals: Vec<Interval<'a>> = borders
        .windows(2)
        .filter_map(|pair| match *pair {
            [from, to] => Some(Interval { from, to, contents: vec![pending.slice(from, to)] }),
            _ => None,
        })
        .collect();
    for other in others {
        let first = intervals.partition_point(|it| it.from < other.from);
        for it in intervals.iter_mut().skip(first).take_while(|it| it.to <= other.to()) {
            let content = slice(&other.bytes, other.from, it.from, it.to);
            if !it.contents.contains(&content) {
                it.contents.push(content);
            }
        }
    }
    intervals.retain(|it| it.contents.len() > 1);
    intervals
}
