//! Passes over octets that look at many of them at once: sums of a kind of octet, and places where three octets in a
//! row may mean something.
//!
//! In: octets. Out: sums, places, and where runs of octets may begin that are looked for. Each pass exists in a portable form and in forms for wider registers, which give the
//! same answers; which one runs is asked of the processor. Never: what the octets mean.

pub(super) mod sieve;
#[cfg(target_arch = "x86_64")]
mod wide;

/// Each octet of a word 1.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The upper bit of each octet.
const TOPS: u64 = 0x8080_8080_8080_8080;
/// All other bits.
const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Octets that the portable forms look at together: so many that the compiler makes a loop over registers of it.
const BLOCK: usize = 128;
const _: () = assert!(BLOCK < 256, "an octet counts them");

/// Octets that are looked at one by one.
const FEW: usize = 48;

/// How many octets are of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Printable ASCII and the white space of text.
    pub(super) text: usize,
    /// Above 0x7f.
    pub(super) high: usize,
    /// Zero.
    pub(super) zeros: usize,
    /// Whether eight in a row, the first a multiple of eight behind the start, are text. Fifteen in a row hold such eight.
    pub(super) has_text_word: bool,
    /// Octets of text at the start.
    pub(super) front: usize,
    /// Octets of text at the end; where all are text, all of them.
    pub(super) back: usize,
}

/// What octets are in UTF-8 (RFC 3629 s4, without the special ranges of the second octet): a bit for each of 64 at most, the
/// lowest for the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    /// Printable ASCII and the white space of text.
    pub(super) text: u64,
    /// Those that go on: 0x80 to 0xbf.
    pub(super) tails: u64,
    /// Those that lead two, three, four.
    pub(super) leads: [u64; 3],
}

impl Utf8 {
    /// Those that are text, as they are or in whole sequences.
    pub(super) const fn textual(&self) -> u64 {
        let Self { text, tails, leads: [two, three, four] } = *self;
        let (second, third, fourth) = (tails >> 1, tails >> 2, tails >> 3);
        let [two, three, four] =
            [two & second, three & second & third, four & second & third & fourth];
        let all = two | three | four;
        text | all | all << 1 | (three | four) << 2 | four << 3
    }

    /// How many of the last of so many octets are a sequence that goes on behind them.
    pub(super) fn begun(&self, octets: usize) -> usize {
        let Self { tails, leads: [two, three, four], .. } = *self;
        // `nth` from the end.
        let is = |kind: u64, nth: usize| octets >= nth && kind >> (octets - nth) & 1 != 0;
        if is(two | three | four, 1) {
            1
        } else if is(tails, 1) && is(three | four, 2) {
            2
        } else if is(tails, 1) && is(tails, 2) && is(four, 3) {
            3
        } else {
            0
        }
    }
}

/// Octets of a window.
pub(super) const WINDOW: usize = 256;

/// What the sums of a window are where nothing is to be seen in it. No window that has a word of text is one.
pub(super) struct Plain {
    /// Least and most octets above 0x7f.
    pub(super) high: (u32, u32),
    /// Zeros are fewer.
    pub(super) zeros: u32,
    /// Octets of text are fewer.
    pub(super) text: u32,
}

/// Windows in a row in which nothing is to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) windows: usize,
    /// Octets of text in all of them.
    pub(super) text: usize,
    /// Octets of text at the start of the first one, fewer than eight.
    pub(super) front: usize,
    /// Octets of text at the end of the last one, fewer than eight.
    pub(super) back: usize,
}

impl Plain {
    #[inline]
    const fn is(&self, text: u32, high: u32, zeros: u32) -> bool {
        let (least, most) = self.high;
        least <= high && high <= most && zeros < self.zeros && text < self.text
    }
}

/// The whole windows at the front of `bytes` in which nothing is to be seen.
pub(super) fn plain_run(bytes: &[u8], plain: &Plain) -> Run {
    #[cfg(target_arch = "x86_64")]
    if let Some(run) = wide::plain_run(bytes, plain) {
        return run;
    }
    plain_run_of(bytes, plain)
}

fn plain_run_of(bytes: &[u8], plain: &Plain) -> Run {
    let mut run = Run::default();
    for window in bytes.as_chunks::<WINDOW>().0 {
        let Sums { text, high, zeros, has_text_word, front, back } = sums_of(window);
        let [a, b, c] = [text, high, zeros].map(|octets| u32::try_from(octets).unwrap_or(u32::MAX));
        if has_text_word || !plain.is(a, b, c) {
            break;
        }
        run.front = if run.windows == 0 { front } else { run.front };
        run.windows += 1;
        run.text += text;
        run.back = back;
    }
    run
}

/// Sums over `bytes`.
pub(super) fn sums(bytes: &[u8]) -> Sums {
    #[cfg(target_arch = "x86_64")]
    if let Some(sums) = wide::sums(bytes) {
        return sums;
    }
    sums_of(bytes)
}

/// Portable; the compiler makes of it what the registers allow.
fn sums_of(bytes: &[u8]) -> Sums {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut sums = Sums::default();
    for block in blocks {
        let mut is_text = [0; BLOCK];
        for (is, octet) in is_text.iter_mut().zip(block) {
            *is = text_bit(*octet);
        }
        sums.text += usize::from(is_text.iter().fold(0, |sum: u8, is| sum.wrapping_add(*is)));
        let high = block.iter().fold(0, |sum: u8, octet| sum.wrapping_add(octet >> 7));
        sums.high += usize::from(high);
        let zero = |sum: u8, octet: &u8| sum.wrapping_add(u8::from(*octet == 0));
        sums.zeros += usize::from(block.iter().fold(0, zero));
        sums.has_text_word |= words(&is_text).any(|word| word == ONES);
    }
    let (words, last) = rest.as_chunks::<8>();
    for word in words {
        let text = word.iter().fold(0, |sum, octet| sum + text_bit(*octet));
        sums.has_text_word |= text == 8;
        sums.text += usize::from(text);
        sums.high += usize::from(word.iter().fold(0, |sum, octet| sum + (octet >> 7)));
        sums.zeros += usize::from(word.iter().fold(0, |sum, octet| sum + u8::from(*octet == 0)));
    }
    for octet in last {
        sums.text += usize::from(text_bit(*octet));
        sums.high += usize::from(octet >> 7);
        sums.zeros += usize::from(*octet == 0);
    }
    let is_text = |octet: &u8| is_ascii_text(*octet);
    if sums.text == bytes.len() {
        (sums.front, sums.back) = (bytes.len(), bytes.len());
    } else {
        sums.front = bytes.iter().take_while(|octet| is_text(octet)).count();
        sums.back = bytes.iter().rev().take_while(|octet| is_text(octet)).count();
    }
    sums
}

/// 1 for text: as `is_ascii_text`, without a branch.
#[inline]
const fn text_bit(octet: u8) -> u8 {
    (octet.wrapping_sub(0x20) < 0x5f) as u8
        | (octet.wrapping_sub(b'\t') < 2) as u8
        | (octet == b'\r') as u8
}

/// The words of a block.
#[inline]
fn words(block: &[u8; BLOCK]) -> impl Iterator<Item = u64> {
    block.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
}

/// What the first 64 octets are.
pub(super) fn utf8(bytes: &[u8]) -> Utf8 {
    #[cfg(target_arch = "x86_64")]
    if let Some(kinds) = wide::utf8(bytes) {
        return kinds;
    }
    utf8_of(bytes)
}

fn utf8_of(bytes: &[u8]) -> Utf8 {
    let mut kinds = Utf8::default();
    for (nth, octet) in bytes.iter().take(64).enumerate() {
        let [two, three, four] = &mut kinds.leads;
        let kind = match octet {
            b'\t' | b'\n' | b'\r' | 0x20..=0x7e => &mut kinds.text,
            0x80..=0xbf => &mut kinds.tails,
            0xc2..=0xdf => two,
            0xe0..=0xef => three,
            0xf0..=0xf4 => four,
            _ => continue,
        };
        *kind |= 1 << nth;
    }
    kinds
}

/// The runs of text that hold a word of it: all of fifteen octets and more, and some shorter ones.
pub(super) fn long_runs(bytes: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let is_text = |octet: &&u8| is_ascii_text(**octet);
    let mut from = 0;
    std::iter::from_fn(move || {
        let (words, _) = bytes.get(from..)?.as_chunks::<8>();
        let is_word = |word: &[u8; 8]| text_bits(u64::from_le_bytes(*word)) == TOPS;
        let at = from + 8 * words.iter().position(is_word)?;
        let (front, behind) = bytes.split_at_checked(at)?;
        let start = at - front.iter().rev().take_while(is_text).count();
        let end = at + behind.iter().take_while(is_text).count();
        from = end.next_multiple_of(8);
        Some(start..end)
    })
}

/// Printable ASCII and the white space of text.
pub(super) const fn is_ascii_text(octet: u8) -> bool {
    matches!(octet, 0x20..=0x7e | b'\t' | b'\n' | b'\r')
}

/// The upper bit of each octet that is text. Octets do not carry into each other: the upper bits are cleared first.
#[inline]
const fn text_bits(word: u64) -> u64 {
    let low = word & LOWS;
    let from_blank = low.wrapping_add(0x60 * ONES);
    let is_delete = low.wrapping_add(ONES);
    let from_tab = low.wrapping_add(0x77 * ONES);
    let behind_newline = low.wrapping_add(0x75 * ONES);
    let is_no_return = (low ^ (0x0d * ONES)).wrapping_add(LOWS);
    let is_text = from_blank & !is_delete | from_tab & !behind_newline | !is_no_return;
    is_text & !word & TOPS
}

/// Where first one of `firsts` stands in front of one of `nexts`.
pub(super) fn pair(bytes: &[u8], firsts: [u8; 2], nexts: [u8; 3]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    let from = match wide::pair(bytes, firsts, nexts) {
        Ok(at) => return Some(at),
        Err(from) => from,
    };
    #[cfg(not(target_arch = "x86_64"))]
    let from = 0;
    pair_from(bytes, firsts, nexts, from)
}

fn pair_from(bytes: &[u8], firsts: [u8; 2], nexts: [u8; 3], from: usize) -> Option<usize> {
    let [one, other] = firsts;
    let is = |at: &usize| bytes.get(at + 1).is_some_and(|next| nexts.contains(next));
    let rest = bytes.get(from..).unwrap_or_default();
    if one == other {
        return memchr::memchr_iter(one, rest).map(|at| from + at).find(is);
    }
    memchr::memchr2_iter(one, other, rest).map(|at| from + at).find(is)
}

/// Two octets in a row that may mean something: three first ones, each with next ones.
pub(super) struct Heads {
    firsts: [u8; 3],
    /// All next ones; what is left of the room says one again.
    nexts: [u8; 6],
    first: Kinds,
    next: Kinds,
}

impl Heads {
    /// For a constant.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    pub(super) const fn new(groups: &[(u8, &[u8]); 3]) -> Self {
        let (mut first, mut next) = (Kinds::new(), Kinds::new());
        let (mut all, mut filled) = ([0; 6], 0);
        let mut group = 0;
        while group < groups.len() {
            let (octet, nexts) = groups[group];
            first.add(octet, 1 << group);
            filled = enter(&mut all, filled, nexts);
            let mut at = 0;
            while at < nexts.len() {
                next.add(nexts[at], 1 << group);
                at += 1;
            }
            group += 1;
        }
        fill(&mut all, filled);
        Self { firsts: [groups[0].0, groups[1].0, groups[2].0], nexts: all, first, next }
    }

    /// Calls `on` for each place where such two stand, in order, and perhaps for a few others.
    pub(super) fn each(&self, bytes: &[u8], on: &mut dyn FnMut(usize)) {
        #[cfg(target_arch = "x86_64")]
        let from = wide::heads(self, bytes, on);
        #[cfg(not(target_arch = "x86_64"))]
        let from = 0;
        self.each_here(bytes, from, on);
    }

    fn each_here(&self, bytes: &[u8], from: usize, on: &mut dyn FnMut(usize)) {
        let mut tell = |at: usize| {
            if let Some([first, next]) = bytes.get(at..).and_then(<[u8]>::first_chunk)
                && self.first.of(*first) & self.next.of(*next) != 0
            {
                on(at);
            }
        };
        let may_be = |first, next| is_one(&self.firsts, first) & is_one(&self.nexts, next);
        let from = each_pair(bytes, from, may_be, &mut tell);
        let [a, b, c] = self.firsts;
        let rest = bytes.get(from..).unwrap_or_default();
        memchr::memchr3_iter(a, b, c, rest).for_each(|at| tell(from + at));
    }
}

/// Calls `on` for each place from `from` on whose octet may be one, with the octet behind it, as `may_be` says by 1. Returns the
/// first place not looked at: where few are left, a block would cost more than they do.
#[inline]
fn each_pair(
    bytes: &[u8],
    from: usize,
    may_be: impl Fn(u8, u8) -> u8,
    on: &mut dyn FnMut(usize),
) -> usize {
    let mut at = from;
    let mut last = [0; BLOCK + 1];
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > FEW) {
        let (block, places) = rest.first_chunk().map_or_else(
            || {
                for (to, octet) in last.iter_mut().zip(rest) {
                    *to = *octet;
                }
                (&last, rest.len() - 1)
            },
            |block| (block, BLOCK),
        );
        let mut is = [0; BLOCK];
        for (is, (first, next)) in is.iter_mut().zip(block.iter().zip(block.iter().skip(1))) {
            *is = may_be(*first, *next);
        }
        for (nth, mut word) in words(&is).enumerate() {
            while word != 0 {
                let place = 8 * nth + word.trailing_zeros() as usize / 8;
                if place < places {
                    on(at + place);
                }
                word &= word - 1;
            }
        }
        at += places;
    }
    at
}

/// 1 where the octet is one of them.
#[inline]
fn is_one(octets: &[u8], octet: u8) -> u8 {
    octets.iter().fold(0, |any, one| any | u8::from(*one == octet))
}

/// Runs of three octets that may mean something: up to eight groups, each with first, next and last octets.
pub(super) struct Trios([Kinds; 3], Anchors);

/// A few octets of which one stands at the first or at the second place of every such run, and what those two are between.
struct Anchors {
    first: [u8; 4],
    next: [u8; 2],
    between: [(u8, u8); 2],
}

impl Anchors {
    /// Of each group the first octets or the next ones, whichever are fewer. What is left of the room says one again: all that
    /// these octets find is looked at.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    const fn of(groups: &[[&[u8]; 3]]) -> Self {
        let (mut first, mut next) = ([0; 4], [0; 2]);
        let (mut firsts, mut nexts) = (0, 0);
        let mut between = [(0xff, 0), (0xff, 0)];
        let mut group = 0;
        while group < groups.len() {
            let [here, behind, _] = groups[group];
            if behind.is_empty() || here.len() <= behind.len() {
                firsts = enter(&mut first, firsts, here);
            } else {
                nexts = enter(&mut next, nexts, behind);
            }
            between = [around(between[0], here), around(between[1], behind)];
            group += 1;
        }
        fill(&mut first, firsts);
        fill(&mut next, nexts);
        Self { first, next, between }
    }

    /// 1 where such a run may begin with these two.
    #[inline]
    fn may_be(&self, first: u8, next: u8) -> u8 {
        let is_between = |octet: u8, (least, most): (u8, u8)| {
            u8::from(octet.wrapping_sub(least) <= most.wrapping_sub(least))
        };
        let [firsts, nexts] = self.between;
        (is_one(&self.first, first) | is_one(&self.next, next))
            & is_between(first, firsts)
            & is_between(next, nexts)
    }
}

/// The least and the most of them and of those so far; none stand for any.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn around((mut least, mut most): (u8, u8), octets: &[u8]) -> (u8, u8) {
    if octets.is_empty() {
        return (0, 0xff);
    }
    let mut nth = 0;
    while nth < octets.len() {
        least = if octets[nth] < least { octets[nth] } else { least };
        most = if octets[nth] > most { octets[nth] } else { most };
        nth += 1;
    }
    (least, most)
}

/// Says the first one again in all room behind the `filled` first ones.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn fill(room: &mut [u8], filled: usize) {
    let mut at = filled;
    while at < room.len() {
        room[at] = room[0];
        at += 1;
    }
}

/// Enters those that are not there yet behind the `filled` first ones.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn enter(room: &mut [u8], mut filled: usize, octets: &[u8]) -> usize {
    let mut nth = 0;
    while nth < octets.len() {
        let mut at = 0;
        while at < filled && room[at] != octets[nth] {
            at += 1;
        }
        if at == filled {
            room[filled] = octets[nth];
            filled += 1;
        }
        nth += 1;
    }
    filled
}

/// The last of eight groups.
const LAST: u8 = 1 << 7;

/// Whether a break counts. A bit for each octet of a register of `width`: whether it may stand around a break (it is a first
/// one of the last group), and whether a break stands behind it. Where the octets go on beyond the register, they may be such.
#[cfg(target_arch = "x86_64")]
const fn is_broken_run(around: u64, ends: u64, width: u32, at: u32, need: usize) -> bool {
    let front = (around << (63 - at)).leading_ones();
    let behind = around >> at >> 1;
    let gap = behind.trailing_zeros();
    if front > at || gap >= width - 1 - at {
        return true;
    }
    let run = (behind >> gap).trailing_ones();
    let last = at + gap + run;
    last + 1 >= width || ends >> last & 1 != 0 || (front + run) as usize >= need
}

/// The groups of an octet.
struct Kinds {
    whole: [u8; 256],
    /// By the halves of an octet: the groups that both have are at least those of the octet.
    low: [u8; 16],
    high: [u8; 16],
    /// Whether octets above 0x7f are in a group.
    has_high: bool,
    /// Groups of which every octet is, besides.
    any: u8,
    /// The last group of eight without others, and without octets above 0x7f: by the lower half of an octet a bit for each
    /// upper half.
    last: [u8; 16],
}

impl Kinds {
    const fn new() -> Self {
        Self {
            whole: [0; 256],
            low: [0; 16],
            high: [0; 16],
            has_high: false,
            any: 0,
            last: [0; 16],
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler, or with an octet for 256 places"
    )]
    const fn add(&mut self, octet: u8, groups: u8) {
        self.whole[octet as usize] |= groups;
        self.low[(octet & 15) as usize] |= groups;
        self.high[(octet >> 4) as usize] |= groups;
        self.has_high |= octet > 0x7f;
        if groups & LAST != 0 && octet < 0x80 {
            self.last[(octet & 15) as usize] |= 1 << (octet >> 4);
        }
    }

    #[inline]
    fn of(&self, octet: u8) -> u8 {
        self.whole.get(usize::from(octet)).copied().unwrap_or(0) | self.any
    }
}

impl Trios {
    /// For a constant. Where the last octets of a group are none, any octet is one.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    pub(super) const fn new(groups: &[[&[u8]; 3]]) -> Self {
        let mut kinds = [Kinds::new(), Kinds::new(), Kinds::new()];
        let mut group = 0;
        while group < groups.len() {
            let mut nth = 0;
            while nth < 3 {
                let octets = groups[group][nth];
                let mut at = 0;
                while at < octets.len() {
                    kinds[nth].add(octets[at], 1 << group);
                    at += 1;
                }
                if octets.is_empty() {
                    kinds[nth].any |= 1 << group;
                }
                nth += 1;
            }
            group += 1;
        }
        Self(kinds, Anchors::of(groups))
    }

    /// The groups of which an octet is a first one.
    #[inline]
    pub(super) fn begins(&self, octet: u8) -> u8 {
        let [first, ..] = &self.0;
        first.of(octet)
    }

    /// Calls `on` for each place where such a run stands, in order. Octets behind the end may be any.
    pub(super) fn each(&self, bytes: &[u8], on: &mut dyn FnMut(usize)) {
        self.each_broken(bytes, 0, on);
    }

    /// The same where the eighth group stands for breaks: `first` is of it, then comes a break. It may be left out where in
    /// front of the break and behind it (and behind further breaks) fewer than `need` of its first octets stand in all, none
    /// of which is above 0x7f.
    pub(super) fn each_broken(&self, bytes: &[u8], need: usize, on: &mut dyn FnMut(usize)) {
        #[cfg(target_arch = "x86_64")]
        let from = wide::trios(self, bytes, need, on);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = need;
        #[cfg(not(target_arch = "x86_64"))]
        let from = 0;
        self.each_here(bytes, from, on);
    }

    fn each_here(&self, bytes: &[u8], from: usize, on: &mut dyn FnMut(usize)) {
        let Self([first, ..], anchors) = self;
        let at = each_pair(bytes, from, |first, next| anchors.may_be(first, next), &mut |at| {
            if self.is_at(bytes, at) {
                on(at);
            }
        });
        for (at, octet) in bytes.iter().enumerate().skip(at) {
            if first.of(*octet) != 0 && self.is_at(bytes, at) {
                on(at);
            }
        }
    }

    #[inline]
    fn is(&self, a: u8, b: u8, c: u8) -> u8 {
        let [first, next, last] = &self.0;
        first.of(a) & next.of(b) & last.of(c)
    }

    /// Whether such a run stands at a place.
    #[inline]
    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        let octets = bytes.get(at..).unwrap_or_default();
        if let Some([a, b, c]) = octets.first_chunk() {
            return self.is(*a, *b, *c) != 0;
        }
        let groups = self.0.iter().zip(octets).map(|(kinds, octet)| kinds.of(*octet));
        !octets.is_empty() && groups.fold(0xff, |all, groups| all & groups) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Octets that mean something, and any others.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![
            6 => any::<u8>(),
            6 => 0x20_u8..0x7f,
            3 => proptest::sample::select(b"%=&0azZ\n\x1f\x8b\x08\x80".to_vec()),
            2 => proptest::sample::select(b"%=&\\\x1f\x8b\0\t\n\r\x0b\x7f\x80".to_vec()),
        ];
        proptest::collection::vec(octet, 0..700)
    }

    static TRIOS: Trios = Trios::new(&[
        [b"%&", b"09azAZ", b"0az"],
        [b"=", b"\n ", b""],
        [b"\x1f", b"\x8b", b"\x08\x80"],
    ]);

    static HEADS: Heads = Heads::new(&[(0x1f, b"\x8b"), (b'x', b"\x01^\x80"), (b'=', b"&")]);

    fn naive_sums(bytes: &[u8]) -> Sums {
        let count = |is: fn(u8) -> bool| bytes.iter().filter(|octet| is(**octet)).count();
        Sums {
            text: count(is_ascii_text),
            high: count(|octet| octet > 0x7f),
            zeros: count(|octet| octet == 0),
            has_text_word: bytes
                .chunks_exact(8)
                .any(|word| word.iter().all(|octet| is_ascii_text(*octet))),
            front: bytes.iter().take_while(|octet| is_ascii_text(**octet)).count(),
            back: bytes.iter().rev().take_while(|octet| is_ascii_text(**octet)).count(),
        }
    }

    fn naive_trios(bytes: &[u8]) -> Vec<usize> {
        let is = |at: &usize| TRIOS.is_at(bytes, *at);
        (0..bytes.len()).filter(is).collect()
    }

    fn trios_in(bytes: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        TRIOS.each(bytes, &mut |at| found.push(at));
        found
    }

    static BROKEN: Trios = {
        let percent: [&[u8]; 3] = [b"%", b"abc", b"abc"];
        let last: [&[u8]; 3] = [b"abcdefghij", b"\r\n", b"\r\n abcdefghij"];
        Trios::new(&[percent, percent, percent, percent, percent, percent, percent, last])
    };

    fn trios_in_broken(bytes: &[u8], need: usize) -> Vec<usize> {
        let mut found = Vec::new();
        BROKEN.each_broken(bytes, need, &mut |at| found.push(at));
        found
    }

    /// Letters around the break behind `at`, further breaks aside; many, where they may go on.
    fn around(bytes: &[u8], at: usize) -> usize {
        let front =
            bytes[..=at].iter().rev().take_while(|octet| octet.is_ascii_lowercase()).count();
        let mut all = front;
        for nth in at + 1..bytes.len() {
            match bytes[nth] {
                b'a'..=b'j' => all += 1,
                b'\r' | b'\n' => {}
                b' ' if bytes[nth - 1] == b'\n' => {}
                _ if front > at => break,
                _ => return all,
            }
        }
        1000
    }

    #[test]
    fn the_level_that_is_asked_for_is_the_one_that_runs() {
        let asked = std::env::var("TUNNELCHECK_LEVEL").ok();
        let asked = asked.map(|text| text.parse::<u8>().unwrap());
        assert!(asked.is_none_or(|level| (1..=4).contains(&level)), "{asked:?} is no level");
        let most = asked.unwrap_or(4);
        #[cfg(target_arch = "x86_64")]
        let known = {
            let (runs, known) = wide::levels();
            assert_eq!(runs, most.min(known));
            let bytes = [0; 64];
            assert_eq!(wide::sums(&bytes).is_some(), runs > 1);
            // What the other tests compare: AVX2 and AVX-512; and with AVX2 or with VBMI.
            let [each, vbmi] = [[0, 0, 1, 2, 2], [0, 0, 1, 1, 2]].map(|of| of[usize::from(runs)]);
            assert_eq!(wide::every_sums(&bytes).len(), each);
            assert_eq!(wide::every_heads(&HEADS, &bytes).len(), vbmi);
            known
        };
        #[cfg(not(target_arch = "x86_64"))]
        let known = 1;
        if known < most {
            crate::skip::skipped(format_args!(
                "this processor has level {known}: what is compiled for those up to {most} is not tested \
                 (1 portable, 2 AVX2, 3 AVX-512, 4 with VBMI)"
            ));
        }
    }

    #[test]
    fn every_octet_is_summed_as_what_it_is() {
        for octet in 0..=255_u8 {
            for len in [1, 7, 8, 9, 255, 256, 3000] {
                let bytes = vec![octet; len];
                assert_eq!(sums(&bytes), naive_sums(&bytes), "{octet:#x} {len}");
                assert_eq!(sums_of(&bytes), naive_sums(&bytes), "{octet:#x} {len}");
            }
        }
    }

    #[test]
    fn a_group_holds_what_it_was_given_and_nothing_else() {
        for trio in [b"%0a", b"&Zz", b"=\nx", b"\x1f\x8b\x08"] {
            let [a, b, c] = *trio;
            assert_eq!(trios_in(&[0, a, b, c, 0]), [1]);
            assert_eq!(trios_in(&[0, a, b]), [1]);
            assert_eq!(trios_in(&[0, b, a]), [2]);
            assert!(trios_in(&[0, a, 0xf0, c]).is_empty());
        }
        assert!(trios_in(b"%0b &Zq\x1f\x8b\x07%0 ").is_empty());
    }

    proptest! {
        #[test]
        fn every_form_gives_the_sums_of_the_naive_one(bytes in octets()) {
            let naive = naive_sums(&bytes);
            prop_assert_eq!(sums(&bytes), naive);
            prop_assert_eq!(sums_of(&bytes), naive);
            #[cfg(target_arch = "x86_64")]
            for sums in wide::every_sums(&bytes) {
                prop_assert_eq!(sums, naive);
            }
        }

        #[test]
        fn every_form_tells_the_same_octets_of_utf8_and_whole_sequences_are_text(
            bytes in octets(),
            text in ".{0,30}",
        ) {
            #[cfg(target_arch = "x86_64")]
            for kinds in wide::every_utf8(&bytes) {
                prop_assert_eq!(kinds, utf8_of(&bytes));
            }
            prop_assert_eq!(utf8(&bytes), utf8_of(&bytes));
            // Of a text every octet but its control characters; cut short, the last sequence is a begun one.
            let octets = text.as_bytes().get(..64).unwrap_or(text.as_bytes());
            let whole = str::from_utf8(octets).map_or_else(|error| error.valid_up_to(), str::len);
            let kinds = utf8(octets);
            prop_assert_eq!(kinds.begun(octets.len()), octets.len() - whole);
            for (nth, octet) in octets.iter().take(whole).enumerate() {
                let is_text = kinds.textual() >> nth & 1 != 0;
                prop_assert_eq!(is_text, *octet > 0x7f || is_ascii_text(*octet), "{}", nth);
            }
        }

        #[test]
        fn no_long_run_is_left_out(bytes in octets()) {
            let found: Vec<_> = long_runs(&bytes).collect();
            let mut at = 0;
            for run in bytes.split(|octet| !is_ascii_text(*octet)) {
                let range = at..at + run.len();
                prop_assert!(run.len() < 15 || found.contains(&range), "{:?}", range);
                at = range.end + 1;
            }
            for run in &found {
                prop_assert!(bytes[run.clone()].iter().all(|octet| is_ascii_text(*octet)));
                let beside = [run.start.checked_sub(1), Some(run.end)].into_iter().flatten();
                prop_assert!(beside.filter_map(|at| bytes.get(at)).all(|octet| !is_ascii_text(*octet)));
            }
            prop_assert!(found.is_sorted_by(|a, b| a.end < b.start));
        }

        #[test]
        fn every_form_finds_the_same_windows_in_which_nothing_is(
            parts in proptest::collection::vec(
                prop_oneof![
                    6 => proptest::collection::vec(any::<u8>(), 256..257),
                    1 => proptest::collection::vec(any::<u8>(), 0..300),
                    1 => octets(),
                    1 => proptest::collection::vec(0_u8..3, 5..40),
                ],
                0..6,
            ),
            least in 90_u32..130,
            zeros in 0_u32..6,
            text in 90_u32..220,
        ) {
            let bytes = parts.concat();
            let plain = Plain { high: (least, 256 - least), zeros, text };
            let is_plain = |window: &&[u8]| {
                let sums = naive_sums(window);
                window.len() == WINDOW
                    && !sums.has_text_word
                    && sums.zeros < zeros as usize
                    && sums.text < text as usize
                    && (least as usize..=256 - least as usize).contains(&sums.high)
            };
            let windows: Vec<Sums> =
                bytes.chunks(WINDOW).take_while(is_plain).map(naive_sums).collect();
            let naive = Run {
                windows: windows.len(),
                text: windows.iter().map(|sums| sums.text).sum(),
                front: windows.first().map_or(0, |sums| sums.front),
                back: windows.last().map_or(0, |sums| sums.back),
            };
            prop_assert_eq!(plain_run(&bytes, &plain), naive);
            prop_assert_eq!(plain_run_of(&bytes, &plain), naive);
            #[cfg(target_arch = "x86_64")]
            for run in wide::every_run(&bytes, &plain) {
                prop_assert_eq!(run, naive);
            }
            prop_assert!(naive.front < 8 && naive.back < 8);
        }

        #[test]
        fn every_form_finds_the_trios_of_the_naive_one(bytes in octets()) {
            let naive = naive_trios(&bytes);
            prop_assert_eq!(&trios_in(&bytes), &naive);
            let mut here = Vec::new();
            TRIOS.each_here(&bytes, 0, &mut |at| here.push(at));
            prop_assert_eq!(&here, &naive);
            #[cfg(target_arch = "x86_64")]
            for places in wide::every_trios(&TRIOS, &bytes, 0) {
                prop_assert_eq!(&places, &naive);
            }
        }

        #[test]
        fn every_form_finds_the_heads_of_the_naive_one(bytes in octets()) {
            let is = |two: &[u8]| matches!(two, [0x1f, 0x8b] | [b'x', 1 | b'^' | 0x80] | [b'=', b'&']);
            let naive: Vec<usize> =
                (0..bytes.len()).filter(|at| bytes.get(*at..at + 2).is_some_and(is)).collect();
            let mut all = vec![Vec::new(), Vec::new()];
            HEADS.each(&bytes, &mut |at| all[0].push(at));
            HEADS.each_here(&bytes, 0, &mut |at| all[1].push(at));
            prop_assert_eq!(&all[1], &naive);
            #[cfg(target_arch = "x86_64")]
            all.extend(wide::every_heads(&HEADS, &bytes));
            for places in all {
                prop_assert!(places.is_sorted_by(|a, b| a < b));
                prop_assert!(naive.iter().all(|at| places.contains(at)));
                for at in places {
                    // The upper bit is not looked at by some.
                    let two = bytes.get(at..at + 2).map(|two| [two[0] & 0x7f, two[1] & 0x7f]);
                    prop_assert!(matches!(two, Some([0x1f, 0x0b] | [b'x', 1 | b'^' | 0] | [b'=', b'&'])));
                }
            }
        }

        #[test]
        fn no_form_leaves_out_a_break_in_a_long_run(
            bytes in proptest::collection::vec(proptest::sample::select(b"abcdefghij.%\r\n\n ".to_vec()), 0..400),
            need in 1_usize..14,
        ) {
            let naive: Vec<usize> = (0..bytes.len()).filter(|at| BROKEN.is_at(&bytes, *at)).collect();
            #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "there is one form"))]
            let mut forms = vec![trios_in_broken(&bytes, need)];
            #[cfg(target_arch = "x86_64")]
            forms.extend(wide::every_trios(&BROKEN, &bytes, need));
            for places in forms {
                prop_assert!(places.iter().all(|at| naive.contains(at)));
                for at in naive.iter().filter(|at| !places.contains(at)) {
                    prop_assert!(bytes[*at] != b'%' && around(&bytes, *at) < need);
                }
            }
            prop_assert_eq!(trios_in_broken(&bytes, usize::MAX).len() <= naive.len(), true);
        }

        #[test]
        fn every_form_finds_the_first_pair(
            bytes in proptest::collection::vec(proptest::sample::select(b"aaaaaaaa\r\n.-".to_vec()), 0..300),
            firsts in proptest::sample::select(vec![*b"\n\n", *b"\r\n"]),
            nexts in proptest::sample::select(vec![*b".-\x16", *b"---"]),
        ) {
            let is = |two: &[u8]| firsts.contains(&two[0]) && nexts.contains(&two[1]);
            let naive = bytes.windows(2).position(is);
            prop_assert_eq!(pair(&bytes, firsts, nexts), naive);
            prop_assert_eq!(pair_from(&bytes, firsts, nexts, 0), naive);
            #[cfg(target_arch = "x86_64")]
            for found in wide::every_pair(&bytes, firsts, nexts) {
                prop_assert_eq!(found, naive);
            }
        }

        #[test]
        fn every_form_proposes_each_gram_and_nothing_that_is_none(
            (tables, bytes, first, len, stride) in sieved(),
        ) {
            let grams: Vec<_> = tables.iter().map(|table| table.iter().copied()).collect();
            let sieve = sieve::Sieve::new(len, stride, &grams);
            let mut all = vec![Vec::new(), Vec::new()];
            sieve.each(&bytes, first, &mut |at, found| all[0].push((at, found)));
            sieve.each_here(&bytes, first, &mut |at, found| all[1].push((at, found)));
            #[cfg(target_arch = "x86_64")]
            all.extend(wide::every_places(&sieve, &bytes, first));
            for told in all {
                let places: std::collections::BTreeSet<usize> = told.iter().map(|it| it.0).collect();
                prop_assert_eq!(places.len(), told.len());
                for &(at, found) in &told {
                    prop_assert!(at >= first && (at - first).is_multiple_of(stride));
                    let gram = sieve::gram(&bytes[at..at + len]);
                    for (nth, filter) in sieve.filters.iter().enumerate() {
                        prop_assert!(found >> nth & 1 == 0 || filter.may_be(gram) != 0);
                    }
                    prop_assert!(found != 0 && usize::from(found) < 1 << sieve.filters.len());
                }
                for (nth, table) in tables.iter().enumerate() {
                    for at in (first..(bytes.len() + 1).saturating_sub(len)).step_by(stride) {
                        let gram = sieve::gram(&bytes[at..at + len]);
                        let is = table.iter().any(|(value, mask)| gram & mask == *value);
                        let belongs = |from: usize| {
                            (from..from + 4).all(|at| sieve.classes.whole[usize::from(bytes[at])] >> nth & 1 != 0)
                        };
                        let near = stride < 8
                            || at >= first + 4 && belongs(at - 4)
                            || at + 8 <= bytes.len() && belongs(at + 4);
                        let is_told = || told.iter().any(|one| one.0 == at && one.1 >> nth & 1 != 0);
                        prop_assert!(!is || !near || is_told(), "{} of {} is missed", at, nth);
                    }
                }
            }
        }
    }

    type Tables = Vec<Vec<(u32, u32)>>;

    /// Grams of two tables, octets in which some of them stand, the first place, the length of a gram, the stride.
    fn sieved() -> impl Strategy<Value = (Tables, Vec<u8>, usize, usize, usize)> {
        let octet =
            || prop_oneof![4 => b'a'..b'e', 1 => proptest::sample::select(b"A\0\x80Z.".to_vec())];
        let gram = (proptest::collection::vec(octet(), 4), any::<bool>());
        let tables = proptest::collection::vec(proptest::collection::vec(gram, 0..30), 2..=2);
        let bytes = prop_oneof![
            4 => proptest::collection::vec(octet(), 0..400),
            1 => proptest::collection::vec(any::<u8>(), 0..400),
        ];
        let of = (2_usize..=4, 0_u32..4, 0_usize..8);
        (tables, bytes, of).prop_map(|(tables, bytes, (len, stride, first))| {
            let gram = |(octets, folds): &(Vec<u8>, bool)| {
                let case = if *folds && octets[0].is_ascii_alphabetic() { 0x20 } else { 0 };
                let mask = (u32::MAX >> (32 - 8 * len)) & !case;
                (sieve::gram(&octets[..len]) & mask, mask)
            };
            let tables = tables.iter().map(|table| table.iter().map(gram).collect()).collect();
            (tables, bytes, first, len, 1 << stride)
        })
    }
}
