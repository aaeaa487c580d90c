use super::*;
use crate::model::Timestamp;
use proptest::prelude::*;

/// A fragment as a test writes it: first octet, octets, whether more follow.
type Part<'a> = (u32, &'a [u8], bool);

/// Everything that was handed on for a while, and where it was counted.
struct Bench {
    defrag: Defragmenter,
    coverage: Coverage,
    number: u64,
    seconds: i64,
    wholes: Vec<Vec<u8>>,
    /// Versions that begin with the first octet of a datagram.
    heads: Vec<Vec<u8>>,
    /// Other octets that were joined.
    spans: Vec<Vec<u8>>,
    searched: usize,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            defrag: Defragmenter::at_level(0),
            coverage: Coverage::default(),
            number: 0,
            seconds: 0,
            wholes: Vec::new(),
            heads: Vec::new(),
            spans: Vec::new(),
            searched: 0,
        }
    }
}

impl Bench {
    fn of(parts: &[Part<'_>]) -> Self {
        let mut bench = Self::default();
        for part in parts {
            bench.take(7, *part);
        }
        bench
    }

    fn take(&mut self, id: u32, part: Part<'_>) {
        let fragment = self.fragment(id, 17, part);
        self.insert(&fragment);
    }

    fn fragment<'a>(
        &mut self,
        id: u32,
        proto: u8,
        (offset, bytes, more): Part<'a>,
    ) -> Fragment<'a> {
        self.number += 1;
        let key = FragmentKey { src: [10, 0, 0, 5].into(), dst: [10, 0, 0, 2].into(), id, way: 0 };
        let time = Timestamp::from_nanos(self.seconds * 1_000_000_000);
        let at = FrameRef { number: self.number, time };
        let body = View::whole(bytes);
        Fragment { key, at, interface_id: 0, path: &Encapsulation::NONE, offset, more, proto, body }
    }

    fn insert(&mut self, fragment: &Fragment<'_>) {
        if let Ok(Outcome::Whole(whole)) = self.defrag.insert(fragment, &mut self.coverage) {
            self.wholes.push(whole.bytes.to_vec());
        }
        self.drain();
    }

    fn drain(&mut self) {
        assert!(self.defrag.bytes <= self.defrag.max_bytes, "{}", self.defrag.bytes);
        while let Some(late) = self.defrag.late() {
            self.searched += late.bytes.len();
            let to = if late.head.is_some() { &mut self.heads } else { &mut self.spans };
            to.push(late.bytes.to_vec());
        }
        assert!(!self.defrag.has_late());
    }

    fn end(mut self) -> Self {
        self.defrag.finish(&mut self.coverage);
        self.drain();
        assert_eq!((self.defrag.bytes, self.defrag.held.len()), (0, 0));
        self
    }

    fn counts(&self) -> (u64, u64) {
        (self.coverage.fragments_expired, self.coverage.fragment_conflicts)
    }

    /// Whether octets were handed on in one piece.
    fn has(&self, octets: &[u8]) -> bool {
        let all = self.wholes.iter().chain(&self.heads).chain(&self.spans);
        all.into_iter().any(|it| it.windows(octets.len()).any(|window| window == octets))
    }

    /// Whether a whole datagram was handed on in this version.
    fn has_version(&self, octets: &[u8]) -> bool {
        self.wholes.iter().chain(&self.heads).any(|it| it == octets)
    }
}

const A: &[u8] = b"aaaaaaaa";
const B: &[u8] = b"bbbbbbbb";
const C: &[u8] = b"cccccccc";
const X: &[u8] = b"xxxxxxxx";
const Y: &[u8] = b"yyyyyyyy";

#[test]
fn first_and_last_version_and_every_mixture_are_handed_on() {
    let bench =
        Bench::of(&[(0, A, true), (8, B, true), (0, X, true), (8, Y, true), (16, C, false)]).end();
    assert_eq!(bench.wholes, [b"aaaaaaaabbbbbbbbcccccccc"]);
    for version in
        [b"xxxxxxxxbbbbbbbbcccccccc", b"aaaaaaaayyyyyyyycccccccc", b"xxxxxxxxyyyyyyyycccccccc"]
    {
        assert!(bench.has_version(version), "{:?}", bench.heads);
    }
    assert_eq!(bench.counts(), (0, 16));
}

#[test]
fn a_border_inside_an_overlap_parts_its_versions() {
    // Some receivers take the late fragment for its first half alone, some for its second.
    let bench =
        Bench::of(&[(0, A, true), (8, B, true), (0, b"xxxxxxxxyyyyyyyy", true), (16, C, false)])
            .end();
    assert!(bench.has_version(b"xxxxxxxxbbbbbbbbcccccccc"));
    assert!(bench.has_version(b"aaaaaaaayyyyyyyycccccccc"));
    assert!(bench.has_version(b"xxxxxxxxyyyyyyyycccccccc"));
}

#[test]
fn many_disputed_fragments_give_the_mixtures_of_neighbours() {
    let octets = |letter: u8, index: u32| vec![letter + u8::try_from(index % 16).unwrap(); 8];
    let mut bench = Bench::default();
    for letter in [b'a', b'A'] {
        for index in 0..40 {
            bench.take(7, (index * 8, &octets(letter, index), true));
        }
    }
    bench.take(7, (320, C, false));
    let bench = bench.end();
    for first in 0..36 {
        for number in 0..16_u32 {
            let pick = |bit: u32| if number >> bit & 1 == 1 { b'a' } else { b'A' };
            let text: Vec<u8> = (0..4).flat_map(|bit| octets(pick(bit), first + bit)).collect();
            assert!(bench.has(&text), "{}", String::from_utf8_lossy(&text));
        }
    }
    assert!(bench.searched < 64 * 1024, "{}", bench.searched);
}

#[test]
fn a_version_that_comes_when_the_datagram_is_whole_is_handed_on() {
    let mut bench = Bench::of(&[(0, A, true), (8, B, true), (16, C, false)]);
    bench.take(7, (8, Y, true));
    assert!(bench.has_version(b"aaaaaaaayyyyyyyycccccccc"));
    bench.take(7, (0, X, true));
    assert!(bench.has_version(b"xxxxxxxxyyyyyyyycccccccc"));
    assert!(bench.has_version(b"xxxxxxxxbbbbbbbbcccccccc"));
    // It may be another datagram, whose rest is missing.
    assert_eq!(bench.end().counts(), (1, 0));
}

#[test]
fn fragments_of_a_datagram_that_never_becomes_whole_are_joined() {
    let bench = Bench::of(&[(0, A, true), (24, B, true), (32, C, true), (48, X, false)]).end();
    assert_eq!(bench.wholes, Vec::<Vec<u8>>::new());
    assert_eq!(bench.heads, [A]);
    assert_eq!(bench.spans, [b"bbbbbbbbcccccccc"]);
    assert_eq!(bench.counts(), (1, 0));
    let bench = Bench::of(&[(24, B, true), (32, C, true), (24, X, true), (32, Y, true)]).end();
    for version in [b"bbbbbbbbcccccccc", b"bbbbbbbbyyyyyyyy", b"xxxxxxxxcccccccc"] {
        assert!(bench.has(version), "{:?}", bench.spans);
    }
    assert_eq!(bench.counts(), (1, 16));
}

#[test]
fn a_datagram_that_is_too_old_is_handed_on_as_it_is() {
    let mut bench = Bench::of(&[(8, B, true), (16, C, true)]);
    bench.seconds = 31;
    bench.take(8, (0, A, true));
    assert_eq!(bench.spans, [b"bbbbbbbbcccccccc"]);
    assert_eq!(bench.counts(), (1, 0));
}

#[test]
fn a_fragment_beyond_the_largest_datagram_is_joined_with_its_neighbour() {
    let mut bench = Bench::default();
    bench.take(7, (65_520, A, true));
    let fragment = bench.fragment(7, 17, (65_528, B, false));
    let answer = bench.defrag.insert(&fragment, &mut bench.coverage);
    assert!(matches!(answer, Err(Stop::Undecoded(Weird::BadIpLength))));
    assert_eq!(bench.end().spans, [b"aaaaaaaabbbbbbbb"]);
}

#[test]
fn contradicting_ends_give_both_datagrams() {
    for parts in [
        [(8, B, false), (16, C, false), (0, A, true)],
        [(16, C, false), (8, B, false), (0, A, true)],
    ] {
        let bench = Bench::of(&parts).end();
        assert!(bench.has(b"aaaaaaaabbbbbbbbcccccccc"), "{parts:?}");
        assert!(bench.coverage.fragment_conflicts >= 8);
        assert_eq!(bench.wholes.len(), 1, "{parts:?}");
    }
}

#[test]
fn a_last_fragment_without_octets_ends_the_datagram() {
    let bench = Bench::of(&[(0, A, true), (8, b"", false)]).end();
    assert_eq!(bench.wholes, [A]);
    assert_eq!(bench.counts(), (0, 0));
}

#[test]
fn datagrams_of_two_protocols_under_one_identification_are_told_apart_and_mixed_at_last() {
    let mut bench = Bench::default();
    for (proto, part) in
        [(17, (0, A, true)), (6, (0, X, true)), (17, (8, B, false)), (6, (8, Y, false))]
    {
        let fragment = bench.fragment(7, proto, part);
        bench.insert(&fragment);
    }
    let bench = bench.end();
    assert_eq!(bench.wholes, [b"aaaaaaaabbbbbbbb", b"xxxxxxxxyyyyyyyy"]);
    assert_eq!((bench.counts(), bench.searched), ((0, 0), 0));

    let mut bench = Bench::default();
    for (proto, part) in [(17, (0, A, true)), (6, (8, B, false))] {
        let fragment = bench.fragment(7, proto, part);
        bench.insert(&fragment);
    }
    let bench = bench.end();
    assert_eq!(bench.heads, [b"aaaaaaaabbbbbbbb"]);
    assert_eq!(bench.counts(), (2, 0));
}

/// Suricata before 7.0.6: a datagram whose identification was that of one just put together was not put together.
#[test]
fn cve_2024_37151_the_same_identification_again_hides_nothing() {
    let mut bench = Bench::default();
    for (first, second) in [(A, B), (X, Y), (A, B)] {
        bench.take(7, (0, first, true));
        bench.take(7, (8, second, false));
    }
    let bench = bench.end();
    assert_eq!(bench.wholes, [b"aaaaaaaabbbbbbbb", b"xxxxxxxxyyyyyyyy", b"aaaaaaaabbbbbbbb"]);
    // Some receivers mix them up.
    assert!(bench.has_version(b"xxxxxxxxbbbbbbbb") && bench.has_version(b"aaaaaaaayyyyyyyy"));
    assert_eq!(bench.counts(), (0, 0));
    // The second begins like the first, and was taken for a repetition.
    let mut bench = Bench::default();
    for (first, second) in [(A, B), (A, Y)] {
        bench.take(7, (0, first, true));
        bench.take(7, (8, second, false));
    }
    let bench = bench.end();
    assert!(bench.has_version(b"aaaaaaaayyyyyyyy"));
    assert_eq!(bench.counts(), (1, 0), "whether there were two datagrams is not known");
}

#[test]
fn a_further_version_beyond_the_bound_is_handed_on_with_its_neighbours() {
    let mut bench = Bench::of(&[(0, A, true), (8, B, true)]);
    for number in 0..100_u8 {
        bench.take(7, (8, &[number + 128; 8], true));
    }
    assert!(bench.has(&[A, &[227; 8]].concat()));
    assert_eq!(bench.coverage.fragment_conflicts, 800);
}

#[test]
fn a_reuse_of_the_identification_gets_its_own_time() {
    let mut bench = Bench::of(&[(0, A, true), (8, B, false)]);
    bench.seconds = 29;
    bench.take(7, (0, X, true));
    bench.seconds = 31;
    bench.take(7, (8, Y, false));
    let bench = bench.end();
    assert_eq!(bench.wholes, [b"aaaaaaaabbbbbbbb", b"xxxxxxxxyyyyyyyy"]);
    assert_eq!(bench.counts(), (0, 0));
}

#[test]
fn whole_datagrams_leave_before_those_that_wait() {
    let mut bench = Bench::default();
    bench.take(1, (0, A, true));
    let large = vec![7; 32 << 10];
    for id in 2..1000 {
        bench.take(id, (0, &large, true));
        bench.take(id, (32 << 10, A, false));
    }
    bench.take(1, (8, B, false));
    assert_eq!(bench.wholes.last().unwrap(), b"aaaaaaaabbbbbbbb");
    assert_eq!(bench.end().counts(), (0, 0));
}

#[test]
fn a_flood_of_keys_is_bounded_and_counted() {
    let mut bench = Bench::default();
    for id in 0..50_000 {
        bench.take(id, (8, A, true));
        assert!(bench.defrag.held.len() <= MAX_DATAGRAMS);
        assert!(bench.defrag.waiting.len() <= 2 * MAX_DATAGRAMS + STALE_ENTRIES + 1);
    }
    assert_eq!(bench.end().counts(), (50_000, 0));
    let mut bench = Bench::default();
    for id in 0..50_000 {
        bench.take(id, (8, A, false));
        bench.take(id, (0, A, true));
        let queued = bench.defrag.waiting.len() + bench.defrag.done.len();
        assert!(queued <= 4 * MAX_DATAGRAMS + 2 * STALE_ENTRIES + 2);
    }
    assert_eq!(bench.end().counts(), (0, 0));
}

/// Fragments made to cost as much as they can, by their number: what they have in one datagram, and their size.
#[test]
fn the_worst_fragments_cost_a_bounded_multiple_of_their_octets() {
    // Fragments of a datagram, its different fragments, octets of one, whether the last ones end it.
    for (number, places, len, ends) in [
        (800, 40, 8, false),
        (90, 45, 1400, false),
        (64, 32, 40, true),
        (4000, 45, 8, true),
        (16, 4, 8, true),
    ] {
        let cost = |count: u32| {
            let mut bench = Bench::default();
            let mut octets = 0;
            for at in 0..count {
                let place = at % number % places;
                let version = vec![u8::try_from(at % 251).unwrap(); len];
                let offset = place * u32::try_from(len).unwrap();
                let fragment = bench.fragment(
                    at / number,
                    17,
                    (offset, &version, !ends || place + 1 < places),
                );
                let _ = bench.defrag.insert(&fragment, &mut bench.coverage);
                while let Some(late) = bench.defrag.late() {
                    bench.searched += late.bytes.len();
                }
                assert!(bench.defrag.bytes <= MAX_BYTES);
                octets += len + 34;
            }
            bench.end().searched / octets
        };
        let (once, four_times) = (cost(2000), cost(8000));
        assert!(four_times <= once + 1, "{number} {places} {len}: {once} and {four_times}");
        assert!(four_times < 32, "{number} {places} {len}: {four_times}");
    }
}

#[test]
fn levels_of_tunnels_share_what_they_hold() {
    let held: usize = (0..16).map(|level| Defragmenter::at_level(level).max_bytes).sum();
    assert!(held < (16 << 20) + 16 * MIN_BYTES, "{held}");
}

/// What a receiver has of a datagram, octet by octet: without any cleverness.
struct Model {
    first: Vec<Option<u8>>,
    last: Vec<Option<u8>>,
    total: Option<usize>,
}

impl Model {
    fn new() -> Self {
        Self { first: vec![None; 1024], last: vec![None; 1024], total: None }
    }

    fn take(&mut self, offset: usize, bytes: &[u8], more: bool) {
        for (at, octet) in (offset..).zip(bytes) {
            self.first[at] = self.first[at].or(Some(*octet));
            self.last[at] = Some(*octet);
        }
        if !more {
            self.total = Some(offset + bytes.len());
        }
    }

    /// The datagram as the first and as the last fragments have it.
    fn whole(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let all = |octets: &[Option<u8>]| octets.iter().copied().collect::<Option<Vec<u8>>>();
        Some((all(&self.first[..self.total?])?, all(&self.last[..self.total?])?))
    }
}

/// Fragments of a datagram of `octets`: cut at multiples of eight, some of them again in other cuts, in any order.
fn shuffled(size: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let blocks = size.div_ceil(8);
    let cuts = proptest::collection::btree_set(1..blocks.max(2), 0..8);
    let again = proptest::collection::vec((0..blocks, 1..6_usize), 0..6);
    (cuts, again).prop_flat_map(move |(cuts, again)| {
        let mut borders: Vec<usize> = cuts.into_iter().filter(|cut| *cut < blocks).collect();
        borders.insert(0, 0);
        borders.push(blocks);
        let mut parts: Vec<(usize, usize)> =
            borders.windows(2).map(|pair| (pair[0] * 8, (pair[1] * 8).min(size))).collect();
        parts.extend(again.into_iter().map(|(at, len)| (at * 8, ((at + len) * 8).min(size))));
        Just(parts).prop_shuffle()
    })
}

fn datagram() -> impl Strategy<Value = (Vec<u8>, Vec<(usize, usize)>)> {
    proptest::collection::vec(any::<u8>(), 9..200)
        .prop_flat_map(|body| (Just(body.clone()), shuffled(body.len())))
}

proptest! {
    #[test]
    fn one_content_gives_the_whole_once_and_nothing_else((body, parts) in datagram()) {
        let mut bench = Bench::default();
        for (from, to) in parts {
            let from_u32 = u32::try_from(from).unwrap();
            bench.take(7, (from_u32, &body[from..to], to < body.len()));
        }
        let bench = bench.end();
        prop_assert_eq!(&bench.wholes, &[body]);
        prop_assert_eq!((bench.counts(), bench.searched), ((0, 0), 0));
    }

    #[test]
    fn first_and_last_version_are_among_what_is_handed_on(
        (body, parts) in datagram(),
        letters in proptest::collection::vec(any::<bool>(), 20),
    ) {
        let mut bench = Bench::default();
        let mut model = Model::new();
        let mut versions = None;
        let other: Vec<u8> = body.iter().map(|octet| !octet).collect();
        for ((from, to), is_other) in parts.into_iter().zip(letters) {
            let octets = if is_other { &other[from..to] } else { &body[from..to] };
            let more = to < body.len();
            let from_u32 = u32::try_from(from).unwrap();
            bench.take(7, (from_u32, octets, more));
            model.take(from, octets, more);
            versions = model.whole();
            if versions.is_some() {
                break;
            }
        }
        let (first, last) = versions.unwrap();
        prop_assert_eq!(&bench.wholes, &[first]);
        prop_assert!(bench.has_version(&last), "{:?} in {:?}", last, bench.heads);
    }

    /// Whatever a receiver takes of two neighbours, their border was searched.
    #[test]
    fn two_fragments_that_touch_are_joined_somewhere(
        (body, parts) in datagram(),
        letters in proptest::collection::vec(0..3_u8, 20),
    ) {
        let mut bench = Bench::default();
        let contents: Vec<Vec<u8>> =
            (0..3).map(|letter| body.iter().map(|octet| octet ^ letter << 6).collect()).collect();
        let sent: Vec<(usize, usize, u8)> = parts
            .into_iter()
            .zip(letters)
            .map(|((from, to), letter)| (from, to, letter))
            .collect();
        for (from, to, letter) in &sent {
            let octets = &contents[usize::from(*letter)][*from..*to];
            bench.take(7, (u32::try_from(*from).unwrap(), octets, true));
        }
        let bench = bench.end();
        for (from, to, letter) in &sent {
            for (next, end, other) in &sent {
                if to != next {
                    continue;
                }
                let left = contents[usize::from(*letter)][*from..*to].last_chunk::<8>();
                let right = &contents[usize::from(*other)][*next..(*next + 8).min(*end)];
                let text = [left.unwrap().as_slice(), right].concat();
                prop_assert!(bench.has(&text), "{from}..{to} and {next}..{end}");
            }
        }
    }

    /// The same where the second version of some fragments comes when the datagram is whole.
    #[test]
    fn a_version_that_comes_late_is_joined_with_its_neighbours(
        order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
        late in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
        count in 1..6_usize,
    ) {
        let octets = |letter: u8, index: usize| [letter + u8::try_from(index).unwrap(); 8];
        let mut bench = Bench::default();
        let sent = order.iter().map(|index| (*index, b'a'));
        for (index, letter) in sent.chain(late.iter().take(count).map(|index| (*index, b'A'))) {
            let at = u32::try_from(index * 8).unwrap();
            bench.take(7, (at, &octets(letter, index), index < 5));
        }
        let bench = bench.end();
        prop_assert_eq!(bench.counts(), (1, 0));
        for index in 0..5_usize {
            for (left, right) in [(b'a', b'A'), (b'A', b'a'), (b'A', b'A')] {
                let is_sent = |letter, index| letter == b'a' || late[..count].contains(&index);
                if is_sent(left, index) && is_sent(right, index + 1) {
                    let text = [octets(left, index), octets(right, index + 1)].concat();
                    prop_assert!(bench.has(&text), "{}", String::from_utf8_lossy(&text));
                }
            }
        }
    }

    #[test]
    fn any_fragments_keep_the_bounds_and_do_not_panic(
        parts in proptest::collection::vec(
            (0..3_u32, 0..4_u8, 0..8192_u32, 0..80_usize, any::<bool>(), 0..20_usize, 0..40_i64),
            1..60,
        ),
    ) {
        let mut bench = Bench::default();
        let octets: Vec<u8> = (0..=255).collect();
        for (id, proto, block, len, more, missing, seconds) in parts {
            bench.seconds = seconds;
            let at = usize::try_from(block % 100).unwrap();
            let block = if block % 7 == 0 { block } else { block % 16 };
            let mut fragment = bench.fragment(id, proto, (block * 8, &octets[at..at + len], more));
            fragment.body.wire += missing;
            bench.insert(&fragment);
        }
        bench.end();
    }
}
