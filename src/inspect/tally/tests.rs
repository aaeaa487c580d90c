use super::*;
use proptest::prelude::*;

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
            assert!(matches!(tally.look(), Look::Random | Look::Unknown), "seed {seed} len {len}");
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
        assert_eq!(tally(20_000, b"\x02the quick brown fox jumps over dogs", size), (true, true));
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

/// The same statistics, octet by octet.
fn naive(bytes: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let mut sequence = (0, 0);
    for (at, &octet) in bytes.iter().enumerate() {
        let is_text = is_ascii_text(octet);
        let (had, need) = sequence;
        let class = CLASS[usize::from(octet)];
        let mut gained = u64::from(is_text);
        if at < usize::try_from(DETAILED).unwrap() {
            let is_broken = match class {
                2 if need > 0 => false,
                1 | 3..=5 => need > 0,
                _ => true,
            };
            tally.run = if is_broken { 0 } else { tally.run };
            sequence = match class {
                2 if need == 1 => {
                    gained = u64::from(had) + 1;
                    (0, 0)
                }
                2 if need > 1 => (had + 1, need - 1),
                3..=5 => (1, class - 2),
                _ => (0, 0),
            };
            tally.seen[usize::from(octet >> 6)] |= 1 << (octet & 63);
            tally.window_textual += u16::try_from(gained).unwrap();
        } else {
            tally.run = if is_text { tally.run } else { 0 };
            tally.sums[0] += u16::from(is_text);
            tally.sums[1] += u16::from(octet > 0x7f);
            tally.sums[2] += u16::from(octet == 0);
        }
        tally.octets += 1;
        tally.ascii += u64::from(is_text);
        tally.textual += gained;
        for _ in 0..gained {
            tally.run += 1;
            tally.in_runs += match tally.run {
                TEXT_RUN => u64::from(TEXT_RUN),
                run => u64::from(run > TEXT_RUN),
            };
        }
        tally.ascii_run = if is_text { tally.ascii_run + 1 } else { 0 };
        if tally.ascii_run >= SHORT_RUN {
            tally.longest = tally.longest.max(tally.ascii_run);
        }
        tally.filled += 1;
        if tally.filled == WINDOW {
            let [ascii, high, zeros] = tally.sums;
            let is_detailed = tally.octets <= DETAILED;
            tally.windows += 1;
            tally.readable_windows +=
                u64::from(tally.window_textual.max(ascii) >= READABLE_IN_WINDOW);
            tally.structured_windows += u64::from(if is_detailed {
                f64::from(tally.distinct()) < bound(WINDOW, STRUCTURED_DEVIATIONS)
            } else {
                !(RANDOM_HIGH.0..=RANDOM_HIGH.1).contains(&high) || zeros >= MANY_ZEROS
            });
            (tally.seen, tally.sums, tally.filled, tally.window_textual) = ([0; 4], [0; 3], 0, 0);
        }
    }
    tally.sequence =
        u8::try_from(SEQUENCES.iter().position(|known| *known == sequence).unwrap()).unwrap();
    tally
}

/// Noise, text of several alphabets, zeros, text that is nearly whole, few values; in pieces of any size.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = (0_u8..8, 1_u64..u64::MAX, 1_usize..700).prop_map(|(kind, seed, len)| {
        let noise = noise(seed, len);
        let text = PROSE.bytes().cycle().skip(len % 50);
        match kind {
            0 | 1 => noise,
            2 => text.take(len).collect(),
            3 => "Съешь ещё 漢字 𐍈 äöü x".bytes().cycle().skip(len % 9).take(len).collect(),
            4 => vec![0; len],
            5 => text.zip(noise).map(|(a, b)| if b < 20 { b } else { a }).take(len).collect(),
            6 => noise.iter().map(|octet| octet % 130).collect(),
            _ => text.take(1 + len % 60).collect(),
        }
    });
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_octets_in_any_pieces_give_what_one_by_one_gives(
        bytes in pieces(),
        sizes in proptest::collection::vec(1_usize..2000, 1..20),
    ) {
        let mut tally = Tally::default();
        let mut rest = &bytes[..];
        for &size in sizes.iter().cycle() {
            let (part, after) = rest.split_at(size.min(rest.len()));
            tally.add(part);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(format!("{tally:?}"), format!("{:?}", naive(&bytes)));
    }
}

#[test]
fn a_window_is_structured_below_the_random_count() {
    let bound = bound(WINDOW, STRUCTURED_DEVIATIONS);
    assert!(f64::from(STRUCTURED_BELOW - 1) < bound && bound <= f64::from(STRUCTURED_BELOW));
    let text = (0..=255).filter(|octet| is_ascii_text(*octet)).count();
    assert_eq!(text, 98);
    assert!(text + usize::from(WINDOW) - SURELY_STRUCTURED < STRUCTURED_BELOW as usize);
}

#[test]
fn runs_of_ones_are_told_with_their_lengths() {
    let runs = |ones: u64, bits: usize| {
        let mut all = Vec::new();
        each_run(ones, bits, |is_new, len| all.push((is_new, len)));
        all
    };
    assert_eq!(runs(0b0110_1110, 8), [(false, 0), (true, 3), (true, 2), (true, 0)]);
    assert_eq!(runs(0b11, 2), [(false, 2)]);
    assert_eq!(runs(u64::MAX, 64), [(false, 64)]);
    assert_eq!(runs(u64::MAX << 1, 64), [(false, 0), (true, 63)]);
    assert_eq!(runs(u64::MAX >> 1, 64), [(false, 63), (true, 0)]);
    for len in 1..=64 {
        let ones = u64::MAX >> (64 - len) << ((64 - len) / 2);
        for least in 1..=64 {
            assert_eq!(has_run(ones, least), least <= len, "{len} {least}");
        }
    }
}

/// Text of several alphabets, whole and torn, and noise.
fn mixture() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => "[a-z \\r\\n]{1,70}".prop_map(String::into_bytes),
        3 => "[а-яß€😀a]{1,40}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 1..80),
        2 => prop::collection::vec(
            prop::sample::select(vec![b'a', 0, 0x7f, 0x80, 0xbf, 0xc1, 0xc2, 0xe0, 0xf0, 0xf4, 0xf5]),
            1..20,
        ),
    ];
    prop::collection::vec(part, 1..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn blocks_give_what_octets_give_one_by_one(
        bytes in mixture(),
        sizes in prop::collection::vec(1_usize..300, 1..8),
    ) {
        let (mut blocks, mut octets) = (Tally::default(), Tally::default());
        let mut rest = &bytes[..];
        for size in sizes.into_iter().chain([bytes.len()]) {
            let (part, after) = rest.split_at(size.min(rest.len()));
            blocks.mixed(part);
            octets.one_by_one(part);
            prop_assert_eq!(format!("{:?}", blocks), format!("{:?}", octets));
            rest = after;
        }
    }
}
