//! What octets look like: running statistics over one zone of one direction.
//!
//! Ciphertext can be refuted by its look and never proven by it: compressed data look the same at every size. So the
//! bounds here are made to be sure of "readable" and "structured", and everything else is merely "not refuted".

use super::blocks::{self, Plain, Sums, Utf8, is_ascii_text};

/// Octets judged together. Random octets hold 162 different values in 256, with a deviation of 5; text holds about 45.
const WINDOW: u16 = 256;
const _: () = assert!(WINDOW as usize == blocks::WINDOW);

/// Textual octets in a window from which it is readable; random octets give 116 with a deviation of 8.
const READABLE_IN_WINDOW: u16 = 216;

/// Deviations below the random count of different values from which octets are structured.
#[cfg(test)]
const STRUCTURED_DEVIATIONS: f64 = 8.0;

/// Different values in a whole window from which it is no longer structured: the random count less these deviations.
const STRUCTURED_BELOW: u32 = 123;

/// Octets of ASCII text in a window from which it is structured, whatever the others are: text has 98 values.
const SURELY_STRUCTURED: usize = WINDOW as usize - (STRUCTURED_BELOW as usize - 98) + 1;

/// The same for a window that is not full, judged only where nothing else was seen.
const SMALL_DEVIATIONS: f64 = 6.0;

/// A run of textual octets that random octets do not give: 0.455^48 is 4e-17 a position.
const TEXT_RUN: u32 = 48;

/// The shortest run of ASCII text that is kept: among 100 random octets one of 20 comes once in two million times.
const SHORT_RUN: u32 = 20;

/// How seldom random octets must hold a run of ASCII text so long, as the exponent of e, for it to be text: 1e-9.
const TEXT_BEYOND_CHANCE: f64 = -20.7;

/// The same for a doubt: 1e-6.
const DOUBT_BEYOND_CHANCE: f64 = -13.8;

/// Octets of a zone that are looked at one by one; behind them only sums over windows and runs of ASCII are kept, which
/// costs a small part of the time. A multiple of `WINDOW`.
const DETAILED: u64 = 4096;

/// Octets up to which their values are noted one after the other.
const FEW: usize = 64;

/// Octets at the start that are looked at before all are summed as text.
const FEW_FIRST: usize = 16;

/// Octets above 0x7f in a window of text, tables or EBCDIC; random octets give 128 with a deviation of 8.
const RANDOM_HIGH: (u16, u16) = (64, 192);

/// Zero octets in a window that random octets do not give: 1 is expected, 14 come once in 10^12 windows.
const MANY_ZEROS: u16 = 14;

/// A window behind the detailed octets that is neither readable nor structured, and holds no long run of text. Two that
/// follow each other have fewer than 15 octets of text around their border: no run that counts.
const PLAIN: Plain = Plain {
    high: (RANDOM_HIGH.0 as u32, RANDOM_HIGH.1 as u32),
    zeros: MANY_ZEROS as u32,
    text: READABLE_IN_WINDOW as u32,
};
const _: () = assert!(2 * 7 < SHORT_RUN && SHORT_RUN <= TEXT_RUN);

/// Share of octets that are textual in random ones: printable ASCII, and UTF-8 sequences that happen to be whole.
const RANDOM_TEXTUAL: f64 = 0.455;

/// Share of printable ASCII in random octets: 98 of 256.
const RANDOM_ASCII: f64 = 0.383;

/// Share of textual octets from which a whole zone may be called readable.
const READABLE_SHARE: f64 = 0.75;

/// Class of an octet in the automaton below: 0 no text, 1 printable ASCII or white space, 2 a UTF-8 continuation,
/// 3 to 5 a lead of two to four octets (RFC 3629 s4, without the special ranges of the second octet).
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[octet] = match octet {
                0x09 | 0x0a | 0x0d | 0x20..=0x7e => 1,
                0x80..=0xbf => 2,
                0xc2..=0xdf => 3,
                0xe0..=0xef => 4,
                0xf0..=0xf4 => 5,
                _ => 0,
            };
        }
        octet += 1;
    }
    table
};

/// Octets seen of a UTF-8 sequence and still to come, for each state of the automaton; 0 is outside of one.
const SEQUENCES: [(u8, u8); 7] = [(0, 0), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)];

/// What an octet of a class does in a state, at `state * 8 + class`: the next state (3 bits), textual octets gained (3
/// bits), whether a run of text ends in front of it (1 bit).
const STEPS: [u8; 64] = {
    let mut table = [0; 64];
    let mut at = 0;
    while at < SEQUENCES.len() * 8 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            let (had, need) = SEQUENCES[at / 8];
            let is_torn = need > 0;
            let (next, gained, breaks) = match (at % 8, need) {
                (1, _) => ((0, 0), 1, is_torn),
                (2, 1) => ((0, 0), had + 1, false),
                (2, 2 | 3) => ((had + 1, need - 1), 0, false),
                (3, _) => ((1, 1), 0, is_torn),
                (4, _) => ((1, 2), 0, is_torn),
                (5, _) => ((1, 3), 0, is_torn),
                _ => ((0, 0), 0, true),
            };
            let mut state = 0_u8;
            while SEQUENCES[state as usize].0 != next.0 || SEQUENCES[state as usize].1 != next.1 {
                state += 1;
            }
            table[at] = state | gained << 3 | (breaks as u8) << 6;
        }
        at += 1;
    }
    table
};

/// Running statistics.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    octets: u64,
    ascii: u64,
    textual: u64,
    /// Octets in runs of at least `TEXT_RUN`.
    in_runs: u64,
    run: u32,
    /// ASCII text up to here, and the longest run of it from `SHORT_RUN` on.
    ascii_run: u32,
    longest: u32,
    /// Where in a UTF-8 sequence, by `SEQUENCES`.
    sequence: u8,
    seen: [u64; 4],
    filled: u16,
    window_textual: u16,
    /// ASCII text, octets above 0x7f and zeros of a window behind the detailed octets.
    sums: [u16; 3],
    windows: u64,
    readable_windows: u64,
    structured_windows: u64,
}

/// A tally that takes memory from its first octet on: most conns fill one or two of six.
#[derive(Debug, Default)]
pub(super) struct Zone(Option<Box<Tally>>);

/// What an unused zone shows.
static NOTHING: Tally = Tally::NONE;

impl Zone {
    /// Takes the next octets.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().add(bytes);
        }
    }

    /// Octets of memory held beside its own.
    pub(super) fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |_| size_of::<Tally>() + super::ALLOCATION)
    }

    /// The statistics.
    pub(super) fn tally(&self) -> &Tally {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

/// What a zone looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// No octets.
    Empty,
    /// Text, or text in good part.
    Readable,
    /// Not text, and not random: binary fields, UTF-16, EBCDIC, tables.
    Structured,
    /// Nothing speaks against ciphertext or compressed data, and there is enough of it to see.
    Random,
    /// Too little to say anything.
    Unknown,
}

impl Tally {
    const NONE: Self = Self {
        octets: 0,
        ascii: 0,
        textual: 0,
        in_runs: 0,
        run: 0,
        ascii_run: 0,
        longest: 0,
        sequence: 0,
        seen: [0; 4],
        filled: 0,
        window_textual: 0,
        sums: [0; 3],
        windows: 0,
        readable_windows: 0,
        structured_windows: 0,
    };

    /// Takes the next octets.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        // Text is most of what is no ciphertext: it is summed at one go.
        if bytes.len() >= FEW
            && bytes.iter().take(FEW_FIRST).all(|octet| is_ascii_text(*octet))
            && blocks::sums(bytes).text == bytes.len()
        {
            return self.text(bytes);
        }
        let left = DETAILED.saturating_sub(self.octets);
        let left = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (detailed, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
        self.windows_of(detailed, Self::detailed);
        self.bulk(rest);
        self.octets += bytes.len() as u64;
    }

    /// Octets taken.
    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Octets taken, and those of them that are text.
    pub(super) const fn shares(&self) -> (u64, u64) {
        (self.octets, self.textual)
    }

    /// What the octets look like, by bounds that depend on how many there are.
    pub(super) fn look(&self) -> Look {
        if self.octets == 0 {
            Look::Empty
        } else if self.is_readable() {
            Look::Readable
        } else if self.is_structured() {
            Look::Structured
        } else if self.octets >= 32 {
            Look::Random
        } else {
            Look::Unknown
        }
    }

    /// Whether any of it is text beyond all chance: for octets that claim to be ciphertext.
    pub(super) fn has_text(&self) -> bool {
        self.in_runs > 0 || self.readable_windows > 0 || self.is_readable()
    }

    /// Whether it holds a run of text that so many random octets do not: for octets that are ciphertext but for that.
    pub(super) fn has_short_text(&self) -> bool {
        self.longest > 0 && self.chance_of_run() < TEXT_BEYOND_CHANCE
    }

    /// Whether parts of it are structured, or perhaps text: for octets that claim to be ciphertext, which never are.
    pub(super) fn is_mixed(&self) -> bool {
        self.structured_windows > 0
            || self.longest > 0 && self.chance_of_run() < DOUBT_BEYOND_CHANCE
    }

    /// The exponent of the expected number of runs as long as the longest one, in so many random octets: a run begins at
    /// any octet, and each of its octets is text by chance.
    fn chance_of_run(&self) -> f64 {
        as_f64(self.octets).max(1.0).ln() + f64::from(self.longest) * RANDOM_ASCII.ln()
    }

    /// Octets that stand in long runs of text.
    pub(super) const fn text_octets(&self) -> u64 {
        self.in_runs
    }

    /// Whether all octets are printable, for a handful of octets where chance cannot be excluded.
    pub(super) const fn is_all_text(&self) -> bool {
        self.octets > 0 && self.textual == self.octets
    }

    fn is_readable(&self) -> bool {
        let share = ratio(self.textual, self.octets);
        let beyond_chance = excess(self.textual, self.octets, RANDOM_TEXTUAL).max(excess(
            self.ascii,
            self.octets,
            RANDOM_ASCII,
        )) > 13.8; // 1e-6
        share >= READABLE_SHARE && beyond_chance
            // A readable part beside something else: a header and a body, one line among tables.
            || self.readable_windows >= 1 && self.readable_windows * 20 >= self.windows
            || self.in_runs >= 256
            || self.in_runs * 20 >= self.octets && self.in_runs > 0
    }

    fn is_structured(&self) -> bool {
        if self.windows == 0 {
            self.octets >= 32 && f64::from(self.distinct()) < bound(self.filled, SMALL_DEVIATIONS)
        } else {
            self.structured_windows * 4 >= self.windows * 3
        }
    }

    /// Takes octets that are ASCII text: what `detailed` and `bulk` make of such, whole windows at one go.
    fn text(&mut self, bytes: &[u8]) {
        let begun = usize::from(WINDOW - self.filled) % usize::from(WINDOW);
        let (first, rest) = bytes.split_at_checked(begun).unwrap_or((bytes, &[]));
        self.text_of_window(first);
        let (windows, last) = rest.as_chunks::<{ WINDOW as usize }>();
        if !windows.is_empty() {
            let octets = windows.as_flattened().len();
            if self.octets < DETAILED && self.sequence != 0 {
                (self.sequence, self.run) = (0, 0);
            }
            self.octets += octets as u64;
            self.ascii += octets as u64;
            self.textual += octets as u64;
            self.extend_both(octets);
            let windows = windows.len() as u64;
            self.windows += windows;
            self.readable_windows += windows;
            self.structured_windows += windows;
        }
        self.text_of_window(last);
    }

    /// The same for octets of one window, which are not all of it.
    fn text_of_window(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        if self.octets < DETAILED {
            self.see(part);
            self.plain(part.len());
            self.filled += u16::try_from(part.len()).unwrap_or(WINDOW);
            if self.filled >= WINDOW {
                self.close_window(false);
            }
        } else {
            self.sum(part, Sums { text: part.len(), ..Sums::default() });
        }
        self.octets += part.len() as u64;
    }

    /// Hands octets to `take` in parts that end where a window ends.
    fn windows_of(&mut self, bytes: &[u8], take: fn(&mut Self, &[u8])) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = usize::from(WINDOW - self.filled);
            let (part, after) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            take(self, part);
            rest = after;
        }
    }

    /// Takes octets of a window.
    fn detailed(&mut self, part: &[u8]) {
        let sums = blocks::sums(part);
        let is_whole = part.len() == usize::from(WINDOW);
        let is_surely_structured = is_whole && sums.text >= SURELY_STRUCTURED;
        if !is_surely_structured {
            self.see(part);
        }
        if sums.text == part.len() {
            self.plain(part.len());
        } else {
            self.mixed(part);
        }
        self.filled += u16::try_from(part.len()).unwrap_or(WINDOW);
        if self.filled >= WINDOW {
            self.close_window(is_surely_structured);
        }
    }

    /// Takes ASCII text of a window.
    fn plain(&mut self, octets: usize) {
        if self.sequence != 0 {
            (self.sequence, self.run) = (0, 0);
        }
        self.ascii += octets as u64;
        self.textual += octets as u64;
        self.window_textual += u16::try_from(octets).unwrap_or(WINDOW);
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        self.extend_ascii(octets);
        self.extend_run(octets);
    }

    /// Takes octets of a window.
    fn mixed(&mut self, part: &[u8]) {
        let mut rest = part;
        while !rest.is_empty() {
            // A sequence that was begun goes on one by one.
            while self.sequence != 0
                && let Some((first, after)) = rest.split_at_checked(1)
            {
                self.one_by_one(first);
                rest = after;
            }
            let (block, after) = rest.split_at_checked(64).unwrap_or((rest, &[]));
            let kinds = blocks::utf8(block);
            let whole = block.len() - kinds.begun(block.len());
            self.block(whole, &kinds);
            self.one_by_one(block.get(whole..).unwrap_or_default());
            rest = after;
        }
    }

    /// Takes so many octets of these kinds, 64 at most; no sequence goes beyond them.
    fn block(&mut self, octets: usize, kinds: &Utf8) {
        if octets == 0 {
            return;
        }
        let all = u64::MAX >> (64 - octets);
        let (ascii, textual) = (kinds.text & all, kinds.textual() & all);
        self.ascii += u64::from(ascii.count_ones());
        self.textual += u64::from(textual.count_ones());
        self.window_textual += u16::try_from(textual.count_ones()).unwrap_or(64);
        if may_count(textual, all, self.run, TEXT_RUN) {
            each_run(textual, octets, |is_new, by| {
                self.run = if is_new { 0 } else { self.run };
                self.extend_run(by);
            });
        } else {
            self.run = back(textual, octets);
        }
        if may_count(ascii, all, self.ascii_run, SHORT_RUN) {
            each_run(ascii, octets, |is_new, by| {
                self.ascii_run = if is_new { 0 } else { self.ascii_run };
                self.extend_ascii(by);
            });
        } else {
            self.ascii_run = back(ascii, octets);
        }
    }

    /// Takes octets of a window one by one.
    fn one_by_one(&mut self, part: &[u8]) {
        let (mut state, mut ascii, mut textual) = (self.sequence, 0_u16, 0_u16);
        let (mut run, mut ascii_run) = (self.run, self.ascii_run);
        for &octet in part {
            let class = CLASS.get(usize::from(octet)).copied().unwrap_or(0);
            let step = STEPS.get(usize::from(state << 3 | class)).copied().unwrap_or(0);
            state = step & 7;
            let gained = step >> 3 & 7;
            textual += u16::from(gained);
            run = if step >> 6 == 0 { run } else { 0 };
            run = run.saturating_add(gained.into());
            if run >= TEXT_RUN && gained > 0 {
                let before = run - u32::from(gained);
                self.in_runs += u64::from(if before < TEXT_RUN { run } else { gained.into() });
            }
            ascii += u16::from(class == 1);
            ascii_run = if class == 1 { ascii_run.saturating_add(1) } else { 0 };
            if ascii_run >= SHORT_RUN {
                self.longest = self.longest.max(ascii_run);
            }
        }
        (self.sequence, self.run, self.ascii_run) = (state, run, ascii_run);
        self.ascii += u64::from(ascii);
        self.textual += u64::from(textual);
        self.window_textual += textual;
    }

    /// Notes which values occur.
    fn see(&mut self, part: &[u8]) {
        if part.len() < FEW {
            for &octet in part {
                if let Some(word) = self.seen.get_mut(usize::from(octet >> 6)) {
                    *word |= 1 << (octet & 63);
                }
            }
            return;
        }
        // Stores that do not wait for each other.
        let mut table = [0_u8; 256];
        for &octet in part {
            if let Some(place) = table.get_mut(usize::from(octet)) {
                *place = 1;
            }
        }
        let (words, _) = table.as_chunks::<8>();
        for (seen, words) in self.seen.iter_mut().zip(words.chunks(8)) {
            for (nth, word) in words.iter().enumerate() {
                // The lowest bits of eight octets, side by side.
                let word = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
                *seen |= word << (8 * nth);
            }
        }
    }

    /// A run of text goes on.
    fn extend_run(&mut self, by: u32) {
        let before = self.run;
        self.run = self.run.saturating_add(by);
        if self.run >= TEXT_RUN {
            self.in_runs += u64::from(if before < TEXT_RUN { self.run } else { by });
        }
    }

    /// A run of ASCII text goes on.
    fn extend_ascii(&mut self, by: u32) {
        self.ascii_run = self.ascii_run.saturating_add(by);
        if self.ascii_run >= SHORT_RUN {
            self.longest = self.longest.max(self.ascii_run);
        }
    }

    fn close_window(&mut self, is_surely_structured: bool) {
        self.windows += 1;
        if self.window_textual >= READABLE_IN_WINDOW {
            self.readable_windows += 1;
        }
        if is_surely_structured || self.distinct() < STRUCTURED_BELOW {
            self.structured_windows += 1;
        }
        self.seen = [0; 4];
        self.filled = 0;
        self.window_textual = 0;
    }

    /// Takes octets behind the detailed ones: sums, and runs of ASCII. Windows in which nothing is to be seen come in rows.
    fn bulk(&mut self, bytes: &[u8]) {
        let begun = usize::from(WINDOW - self.filled) % usize::from(WINDOW);
        let (first, mut rest) = bytes.split_at_checked(begun).unwrap_or((bytes, &[]));
        self.part(first);
        while rest.len() >= usize::from(WINDOW) {
            let run = blocks::plain_run(rest, &PLAIN);
            if run.windows > 0 {
                self.ascii += run.text as u64;
                self.textual += run.text as u64;
                self.windows += run.windows as u64;
                self.extend_both(run.front);
                (self.run, self.ascii_run) = (0, 0);
                self.extend_both(run.back);
            }
            let plain = run.windows * usize::from(WINDOW);
            let others = rest.get(plain..).unwrap_or_default();
            let (other, after) = others.split_at_checked(WINDOW.into()).unwrap_or((&[], others));
            self.part(other);
            rest = after;
        }
        self.part(rest);
    }

    /// Takes octets of one window behind the detailed ones.
    fn part(&mut self, part: &[u8]) {
        if !part.is_empty() {
            self.sum(part, blocks::sums(part));
        }
    }

    /// Takes octets of a window with these sums.
    fn sum(&mut self, part: &[u8], sums: Sums) {
        self.runs(part, sums);
        self.ascii += sums.text as u64;
        self.textual += sums.text as u64;
        let [all_ascii, all_high, all_zeros] = &mut self.sums;
        for (all, some) in [
            (&mut *all_ascii, sums.text),
            (&mut *all_high, sums.high),
            (&mut *all_zeros, sums.zeros),
        ] {
            *all += u16::try_from(some).unwrap_or(WINDOW);
        }
        self.filled += u16::try_from(part.len()).unwrap_or(WINDOW);
        if self.filled >= WINDOW {
            self.windows += 1;
            self.readable_windows += u64::from(*all_ascii >= READABLE_IN_WINDOW);
            let (least, most) = RANDOM_HIGH;
            let is_random_high = least <= *all_high && *all_high <= most;
            self.structured_windows += u64::from(!is_random_high || *all_zeros >= MANY_ZEROS);
            self.sums = [0; 3];
            self.filled = 0;
        }
    }

    /// Counts the runs of ASCII text of at least `SHORT_RUN`. One that lies inside of `part` holds eight text octets that the
    /// sums know of.
    fn runs(&mut self, part: &[u8], sums: Sums) {
        if sums.text == part.len() {
            self.extend_both(part.len());
            return;
        }
        self.extend_both(sums.front);
        if sums.has_text_word {
            let inner = part.get(..part.len() - sums.back).unwrap_or_default();
            for run in blocks::long_runs(inner).filter(|run| run.start > 0) {
                (self.run, self.ascii_run) = (0, 0);
                self.extend_both(run.len());
            }
        }
        (self.run, self.ascii_run) = (0, 0);
        self.extend_both(sums.back);
    }

    fn extend_both(&mut self, by: usize) {
        let by = u32::try_from(by).unwrap_or(u32::MAX);
        self.extend_run(by);
        self.extend_ascii(by);
    }

    fn distinct(&self) -> u32 {
        self.seen.iter().map(|word| word.count_ones()).sum()
    }
}

/// Number of different values in `n` random octets, less so many deviations (occupancy of 256 cells).
fn bound(n: u16, deviations: f64) -> f64 {
    let n = i32::from(n);
    let one = (255.0_f64 / 256.0).powi(n);
    let two = (254.0_f64 / 256.0).powi(n);
    let mean = 256.0 * (1.0 - one);
    let variance = 256.0 * 255.0 * two + 256.0 * one - 65_536.0 * one * one;
    mean - deviations * variance.max(0.25).sqrt()
}

/// How far `k` of `n` lies above the share `p`, as the exponent of Chernoff's bound: the chance is below `exp(-x)`.
fn excess(k: u64, n: u64, p: f64) -> f64 {
    let q = ratio(k, n);
    if q <= p {
        return 0.0;
    }
    let divergence =
        q * (q / p).ln() + if q < 1.0 { (1.0 - q) * ((1.0 - q) / (1.0 - p)).ln() } else { 0.0 };
    divergence * as_f64(n)
}

/// Whether one of the runs of ones may be as long as `least`, or goes on one of `before` octets so that it is; or nothing else is
/// there.
const fn may_count(ones: u64, all: u64, before: u32, least: u32) -> bool {
    let front = ones.trailing_ones();
    ones == all || before.saturating_add(front) >= least || has_run(ones, least)
}

/// Whether there are so many ones in a row.
const fn has_run(ones: u64, least: u32) -> bool {
    // Of each one: whether so many follow it, itself counted. Doubled as long as it fits.
    let (mut runs, mut len) = (ones, 1);
    while len < least {
        let more = if len < least - len { len } else { least - len };
        runs &= runs >> more;
        len += more;
    }
    runs != 0
}

/// Ones at the end of so many bits.
const fn back(ones: u64, bits: usize) -> u32 {
    (ones << (64 - bits)).leading_ones()
}

/// Calls `on` for each run of ones in so many bits, with its length, and for what stands at the start and at the end, be it empty;
/// `is_new`: it does not stand at the start.
fn each_run(ones: u64, bits: usize, mut on: impl FnMut(bool, u32)) {
    let (mut rest, mut left) = (ones, u32::try_from(bits).unwrap_or(64));
    let mut is_new = false;
    loop {
        let run = rest.trailing_ones().min(left);
        on(is_new, run);
        is_new = true;
        left -= run;
        rest = rest.checked_shr(run).unwrap_or(0);
        let gap = rest.trailing_zeros().min(left);
        if gap == 0 {
            return;
        }
        left -= gap;
        rest = rest.checked_shr(gap).unwrap_or(0);
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { as_f64(part) / as_f64(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "shares need no more than 52 bits")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Whether octets begin like a compressed or compressed-media format. Such octets are opaque, whatever their look.
pub(super) fn is_compressed(start: &[u8]) -> bool {
    const MAGIC: &[&[u8]] = &[
        b"\x1f\x8b\x08",       // gzip, RFC 1952 s2.3.1
        b"\x28\xb5\x2f\xfd",   // zstd, RFC 8878 s3.1.1
        b"\x78\x01",           // zlib, RFC 1950 s2.2
        b"\x78\x5e",           // zlib
        b"\x78\x9c",           // zlib
        b"\x78\xda",           // zlib
        b"\x89PNG\r\n\x1a\n",  // PNG
        b"\xff\xd8\xff",       // JPEG
        b"PK\x03\x04",         // ZIP
        b"BZh",                // bzip2
        b"\xfd7zXZ\0",         // xz
        b"\x04\x22\x4d\x18",   // lz4 frame
        b"7z\xbc\xaf\x27\x1c", // 7z
        b"GIF8",               // GIF
        b"\xff\xfb",           // MP3
        b"OggS",               // Ogg
        b"\x1a\x45\xdf\xa3",   // Matroska
        b"Rar!\x1a\x07",       // RAR
    ];
    let may_begin = |octet: u8| {
        matches!(
            octet,
            0x04 | 0x1a
                | 0x1f
                | 0x28
                | b'7'
                | b'B'
                | b'G'
                | b'O'
                | b'P'
                | b'R'
                | 0x78
                | 0x89
                | 0xfd
                | 0xff
        )
    };
    start.first().is_some_and(|octet| may_begin(*octet))
        && MAGIC.iter().any(|magic| start.starts_with(magic))
}

#[cfg(test)]
mod tests;
