//! What octets look like: running statistics over one zone of one direction.
//!
//! Ciphertext can be refuted by its look and never proven by it: compressed data look the same at every size. So the
//! bounds here are made to be sure of "readable" and "structured", and everything else is merely "not refuted".

/// Octets judged together. Random octets hold 162 different values in 256, with a deviation of 5; text holds about 45.
const WINDOW: u16 = 256;

/// Textual octets in a window from which it is readable; random octets give 116 with a deviation of 8.
const READABLE_IN_WINDOW: u16 = 216;

/// Deviations below the random count of different values from which octets are structured.
const STRUCTURED_DEVIATIONS: f64 = 8.0;

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

/// Octets above 0x7f in a window of text, tables or EBCDIC; random octets give 128 with a deviation of 8.
const RANDOM_HIGH: std::ops::RangeInclusive<u16> = 64..=192;

/// Zero octets in a window that random octets do not give: 1 is expected, 14 come once in 10^12 windows.
const MANY_ZEROS: u16 = 14;

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
    /// Octets of a UTF-8 sequence seen, and still to come.
    sequence: (u8, u8),
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
        sequence: (0, 0),
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
        let left = DETAILED.saturating_sub(self.octets);
        let left = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (detailed, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
        for &octet in detailed {
            self.octet(octet);
        }
        if !rest.is_empty() {
            self.bulk(rest);
        }
        self.octets += bytes.len() as u64;
    }

    /// Octets taken.
    pub(super) const fn octets(&self) -> u64 {
        self.octets
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
            self.octets >= 32 && self.distinct() < bound(self.filled, SMALL_DEVIATIONS)
        } else {
            self.structured_windows * 4 >= self.windows * 3
        }
    }

    fn octet(&mut self, octet: u8) {
        let class = CLASS.get(usize::from(octet)).copied().unwrap_or(0);
        let (had, need) = self.sequence;
        let gained = match (class, need) {
            (1, _) => {
                if need > 0 {
                    self.run = 0;
                }
                self.ascii += 1;
                self.extend_ascii(1);
                self.sequence = (0, 0);
                1
            }
            (2, 1) => {
                self.sequence = (0, 0);
                had + 1
            }
            (2, 2 | 3) => {
                self.sequence = (had + 1, need - 1);
                0
            }
            (3..=5, _) => {
                if need > 0 {
                    self.run = 0;
                }
                self.sequence = (1, class - 2);
                0
            }
            _ => {
                self.sequence = (0, 0);
                self.run = 0;
                0
            }
        };
        if class != 1 {
            self.ascii_run = 0;
        }
        if gained > 0 {
            self.textual += u64::from(gained);
            self.window_textual += u16::from(gained);
            self.extend_run(gained.into());
        }
        if let Some(word) = self.seen.get_mut(usize::from(octet >> 6)) {
            *word |= 1 << (octet & 63);
        }
        self.filled += 1;
        if self.filled == WINDOW {
            self.close_window();
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

    fn close_window(&mut self) {
        self.windows += 1;
        if self.window_textual >= READABLE_IN_WINDOW {
            self.readable_windows += 1;
        }
        if self.distinct() < bound(WINDOW, STRUCTURED_DEVIATIONS) {
            self.structured_windows += 1;
        }
        self.seen = [0; 4];
        self.filled = 0;
        self.window_textual = 0;
    }

    /// Takes octets behind the detailed ones: sums over windows, and runs of ASCII.
    fn bulk(&mut self, bytes: &[u8]) {
        self.runs(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = usize::from(WINDOW - self.filled).min(rest.len());
            let (part, after) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            rest = after;
            let sum = |is: fn(u8) -> bool| part.iter().map(|octet| u16::from(is(*octet))).sum();
            let [ascii, high, zeros]: [u16; 3] =
                [sum(is_ascii_text), sum(|octet| octet > 0x7f), sum(|octet| octet == 0)];
            self.ascii += u64::from(ascii);
            self.textual += u64::from(ascii);
            let [all_ascii, all_high, all_zeros] = &mut self.sums;
            *all_ascii += ascii;
            *all_high += high;
            *all_zeros += zeros;
            self.filled += u16::try_from(room).unwrap_or(WINDOW);
            if self.filled >= WINDOW {
                self.windows += 1;
                self.readable_windows += u64::from(*all_ascii >= READABLE_IN_WINDOW);
                self.structured_windows +=
                    u64::from(!RANDOM_HIGH.contains(all_high) || *all_zeros >= MANY_ZEROS);
                self.sums = [0; 3];
                self.filled = 0;
            }
        }
    }

    /// Counts the runs of ASCII text of at least `SHORT_RUN`, looking at one octet in so many where there is none.
    fn runs(&mut self, bytes: &[u8]) {
        let step = SHORT_RUN as usize;
        let prefix = bytes.iter().take_while(|octet| is_ascii_text(**octet)).count();
        self.extend_run(u32::try_from(prefix).unwrap_or(u32::MAX));
        self.extend_ascii(u32::try_from(prefix).unwrap_or(u32::MAX));
        if prefix == bytes.len() {
            return;
        }
        (self.run, self.ascii_run) = (0, 0);
        let mut at = prefix + 1;
        // A run that begins at `at` or later and is long enough covers the octet `step - 1` further on.
        while let Some(&octet) = bytes.get(at + step - 1) {
            let far = at + step - 1;
            if !is_ascii_text(octet) {
                at = far + 1;
                continue;
            }
            let before = bytes.get(at..far).unwrap_or_default();
            let back = before.iter().rev().take_while(|octet| is_ascii_text(**octet)).count();
            let ahead = bytes.get(far..).unwrap_or_default();
            let forward = ahead.iter().take_while(|octet| is_ascii_text(**octet)).count();
            (self.run, self.ascii_run) = (0, 0);
            self.extend_run(u32::try_from(back + forward).unwrap_or(u32::MAX));
            self.extend_ascii(u32::try_from(back + forward).unwrap_or(u32::MAX));
            at = far + forward;
            if at >= bytes.len() {
                return; // it may go on in the next octets
            }
        }
        let tail = bytes.get(at..).unwrap_or_default();
        let tail = tail.iter().rev().take_while(|octet| is_ascii_text(**octet)).count();
        self.run = u32::try_from(tail).unwrap_or(0);
        self.ascii_run = self.run;
    }

    fn distinct(&self) -> f64 {
        f64::from(self.seen.iter().map(|word| word.count_ones()).sum::<u32>())
    }
}

/// Printable ASCII and the white space of text.
const fn is_ascii_text(octet: u8) -> bool {
    matches!(octet, 0x20..=0x7e | b'\t' | b'\n' | b'\r')
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
    MAGIC.iter().any(|magic| start.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xorshift64*: octets that look random, the same in every run.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        std::iter::repeat_with(|| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
        .take(len)
        .collect()
    }

    fn look(bytes: &[u8]) -> Look {
        let mut tally = Tally::default();
        tally.add(bytes);
        tally.look()
    }

    const PROSE: &str = "The second paper did the same for POP3, with tcpflow instead of tcpdump. ";

    #[test]
    fn noise_of_any_size_is_never_readable_or_structured() {
        for seed in 1..400 {
            for len in [1, 15, 16, 20, 32, 64, 100, 255, 256, 257, 600, 1460, 5000] {
                let mut tally = Tally::default();
                tally.add(&noise(seed * 7919, len));
                assert!(!tally.has_text(), "seed {seed} len {len}");
                assert!(
                    matches!(tally.look(), Look::Random | Look::Unknown),
                    "seed {seed} len {len}"
                );
            }
        }
    }

    #[test]
    fn text_in_many_writings_is_readable_or_structured() {
        assert_eq!(look(b"USER jsmith\r\nPASS x\r\n"), Look::Readable);
        assert_eq!(look("Grüße aus Köln, schöne Füße, übermäßig".as_bytes()), Look::Readable);
        assert_eq!(look("Съешь ещё этих мягких французских булок".as_bytes()), Look::Readable);
        assert_eq!(look(data_encoding::BASE64.encode(&noise(3, 60)).as_bytes()), Look::Readable);
        assert_eq!(look(data_encoding::HEXLOWER.encode(&noise(3, 60)).as_bytes()), Look::Readable);
        let wide: Vec<u8> = PROSE.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(look(&wide), Look::Structured);
    }

    #[test]
    fn a_line_of_text_in_a_megabyte_of_noise_is_seen() {
        let mut bytes = noise(5, 1 << 20);
        bytes.extend_from_slice(PROSE.as_bytes());
        bytes.extend(noise(6, 1 << 20));
        let mut tally = Tally::default();
        tally.add(&bytes);
        assert!(tally.has_text());
        assert_eq!(tally.look(), Look::Random);
    }

    #[test]
    fn a_short_line_among_noise_is_text_where_chance_does_not_explain_it() {
        let tally = |before: usize, text: &[u8], size: usize| {
            let bytes = [&noise(5, before)[..], text, b"\x01", &noise(6, before)].concat();
            let mut tally = Tally::default();
            bytes.chunks(size).for_each(|part| tally.add(part));
            (tally.has_short_text(), tally.is_mixed())
        };
        for size in [1, 7, 1460, usize::MAX] {
            let line = b"\x02USER jsmith\r\nPASS sesame open\r\n"; // 32 octets of text
            assert_eq!(tally(100, line, size), (true, true));
            assert_eq!(tally(20_000, line, size), (false, true));
            assert_eq!(
                tally(20_000, b"\x02the quick brown fox jumps over dogs", size),
                (true, true)
            );
            assert_eq!(tally(100, b"\x02USER jsmith\r\n", size), (false, false));
        }
        for seed in 1..60 {
            let mut random = Tally::default();
            random.add(&noise(seed * 7919, 300_000));
            assert!(!random.is_mixed(), "{seed}");
        }
    }

    #[test]
    fn other_alphabets_behind_a_megabyte_of_noise_are_structured_windows() {
        let wide: Vec<u8> = PROSE.repeat(8).encode_utf16().flat_map(u16::to_be_bytes).collect();
        let cyrillic = "Съешь ещё этих мягких французских булок ".repeat(30);
        for text in [&wide[..], cyrillic.as_bytes(), &[7; 600]] {
            let mut tally = Tally::default();
            tally.add(&noise(5, 1 << 20));
            let before = tally.structured_windows;
            tally.add(text);
            assert_eq!((before, tally.structured_windows > 0), (0, true));
            assert!(tally.is_mixed());
        }
    }

    #[test]
    fn few_octets_are_unknown() {
        assert_eq!(look(b""), Look::Empty);
        assert_eq!(look(b"220 ok\r\n"), Look::Unknown);
        assert_eq!(look(&[0, 1, 2, 3, 4]), Look::Unknown);
    }

    #[test]
    fn any_split_gives_the_same_look() {
        let mut bytes = noise(9, 700);
        for part in 1..40 {
            bytes.extend_from_slice(PROSE.repeat(1 + part % 3).as_bytes());
            bytes.extend(noise(part as u64, 100 + 37 * part));
            bytes.extend_from_slice(&PROSE.as_bytes()[..40 + part % 20]);
        }
        let mut whole = Tally::default();
        whole.add(&bytes);
        for size in [1, 2, 7, 47, 48, 49, 255, 256, 300, 1460] {
            let mut cut = Tally::default();
            for part in bytes.chunks(size) {
                cut.add(part);
            }
            assert_eq!(format!("{whole:?}"), format!("{cut:?}"), "{size}");
        }
    }
}
