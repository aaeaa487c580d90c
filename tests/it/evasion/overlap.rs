//! Every way in which up to three segments, or fragments, can overlap, with a text that stands in none of them but in what
//! a receiver makes of them. A receiver may take, for each stretch of octets, any of the versions that cover it: that is more
//! than all known stacks do (first, last, BSD, BSD-right, Windows, Linux, Solaris, and what others do with three).

use super::base::{ethernet, ipv4, ipv6, udp};
use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use tunnelcheck::decode::Decoder;
use tunnelcheck::flow::{ConnTable, Limits};
use tunnelcheck::inspect::Inspector;
use tunnelcheck::inspect::matcher::Matcher;
use tunnelcheck::model::{Frame, Identifier, LinkType, Timestamp};

/// From and to, in stretches.
type Span = (usize, usize);

/// Sequences of two or three spans that overlap somewhere and leave no hole, each shape once: the ends are numbered by rank.
fn sequences() -> Vec<Vec<Span>> {
    let spans: Vec<Span> =
        (0..5).flat_map(|from| (from + 1..6).map(move |to| (from, to))).collect();
    let mut found = BTreeSet::new();
    for one in &spans {
        for two in &spans {
            found.extend(ranked(&[*one, *two]));
            for three in &spans {
                found.extend(ranked(&[*one, *two, *three]));
            }
        }
    }
    found.into_iter().collect()
}

fn ranked(spans: &[Span]) -> Option<Vec<Span>> {
    let ends: BTreeSet<usize> = spans.iter().flat_map(|span| [span.0, span.1]).collect();
    let rank = |end: usize| ends.range(..end).count();
    let spans: Vec<Span> = spans.iter().map(|span| (rank(span.0), rank(span.1))).collect();
    let covers: Vec<usize> = (0..ends.len() - 1).map(|at| over(&spans, at).len()).collect();
    let is_whole = covers.iter().all(|versions| *versions > 0);
    (is_whole && covers.iter().any(|versions| *versions > 1)).then_some(spans)
}

/// The spans that cover a stretch.
fn over(spans: &[Span], at: usize) -> Vec<usize> {
    (0..spans.len()).filter(|it| spans[*it].0 <= at && at < spans[*it].1).collect()
}

/// Every way to choose one version for each stretch; those that take a whole span from one segment alone are among them.
fn choices(spans: &[Span]) -> Vec<Vec<usize>> {
    let stretches = spans.iter().map(|span| span.1).max().unwrap();
    let mut all = vec![Vec::new()];
    for at in 0..stretches {
        let versions = over(spans, at);
        all = all
            .into_iter()
            .flat_map(|chosen: Vec<usize>| {
                versions.iter().map(move |it| [&chosen[..], &[*it]].concat())
            })
            .collect();
    }
    all
}

/// The octets of each segment: where it is the one chosen, those of `text`, elsewhere others.
fn versions(spans: &[Span], chosen: &[usize], text: &[u8], width: usize) -> Vec<Vec<u8>> {
    let octet = |segment: usize, at: usize| {
        if chosen[at / width] == segment { text[at] } else { b"#%&"[segment] }
    };
    (0..spans.len())
        .map(|it| (spans[it].0 * width..spans[it].1 * width).map(|at| octet(it, at)).collect())
        .collect()
}

/// The way of the octets, with one search for all cases.
struct Engine {
    matcher: Arc<Matcher>,
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Found,
    Doubted,
    Missed,
}

impl Engine {
    fn of(text: &str) -> Self {
        let identifier = Identifier { label: "name".to_owned(), text: text.to_owned() };
        Self { matcher: Arc::new(Matcher::new(&[identifier], &[]).unwrap()) }
    }

    fn tell(&self, wire: &Wire) -> Told {
        let (mut decoder, mut table) = (Decoder::default(), ConnTable::new(Limits::default()));
        let mut inspector = Inspector::new(self.matcher.clone());
        for (shot, number) in wire.frames.iter().zip(1..) {
            let frame = Frame {
                number,
                time: Timestamp::from_nanos(i64::try_from(shot.time_ns).unwrap()),
                interface_id: 0,
                link_type: LinkType::ETHERNET,
                len: shot.len,
                data: &shot.octets,
            };
            let parts = decoder.decode(&frame);
            for (offset, bytes) in parts.unread() {
                inspector.raw(frame.at(), 0, offset as u64, bytes);
            }
            if let Some(segment) = &parts.segment {
                table.push(segment, &mut inspector);
            }
            late(&mut decoder, &mut table, &mut inspector);
        }
        decoder.finish();
        late(&mut decoder, &mut table, &mut inspector);
        table.finish(&mut inspector);
        let mut hits = 0;
        while let Some(conn) = inspector.take_ended() {
            hits += conn.hits.iter().filter(|hit| hit.label.is_some()).count();
        }
        hits += inspector.finish().raw_hits.len();
        let (decode, flow) = (decoder.coverage(), table.coverage());
        let doubts = decode.fragment_conflicts
            + decode.fragments_expired
            + decode.undecoded.values().sum::<u64>()
            + flow.conflict_bytes
            + flow.missed_bytes;
        match (hits, doubts) {
            (0, 0) => Told::Missed,
            (0, _) => Told::Doubted,
            _ => Told::Found,
        }
    }
}

/// What fragments may have become beside whole datagrams.
fn late(decoder: &mut Decoder, table: &mut ConnTable, inspector: &mut Inspector) {
    while let Some(late) = decoder.late() {
        for (_, bytes) in late.decoded.unread() {
            inspector.raw(late.at, late.interface_id, 0, bytes);
        }
        if let Some(segment) = &late.decoded.segment {
            table.push(segment, inspector);
        }
    }
}

/// Plays every sequence with every choice, and says how many were found; none may be missed.
fn play(text: &str, width: usize, write: impl Fn(&mut Wire, &[Span], &[Vec<u8>])) -> [usize; 2] {
    let engine = Engine::of(text);
    let mut told = [0; 2];
    for spans in sequences() {
        let stretches = spans.iter().map(|span| span.1).max().unwrap();
        let mut octets = text.as_bytes().to_vec();
        // The text runs across every seam.
        octets.resize(stretches * width, b'.');
        let unused = (stretches * width).saturating_sub(text.len());
        octets.rotate_right(unused / 2);
        for chosen in choices(&spans) {
            let mut wire = Wire::default();
            write(&mut wire, &spans, &versions(&spans, &chosen, &octets, width));
            match engine.tell(&wire) {
                Told::Found => told[0] += 1,
                Told::Doubted => told[1] += 1,
                Told::Missed => panic!("{spans:?} {chosen:?}: neither found nor doubted"),
            }
        }
    }
    told
}

/// The least number of octets a stretch that five of them hold the text.
const TEXT: &str = "Reindeer Games";

#[test]
fn no_overlap_of_segments_hides_a_text_from_the_answer() {
    for is_behind_a_hole in [false, true] {
        let told = play(TEXT, TEXT.len(), |wire, spans, versions| {
            let mut tcp = wire.connect("10.77.0.10:49300", "10.77.9.9:7070");
            let hole = u32::from(is_behind_a_hole);
            for (span, octets) in spans.iter().zip(versions) {
                let from = u32::try_from(span.0 * TEXT.len()).unwrap() + hole;
                wire.segment(&tcp, true, tcp.client_seq + from, tcp.server_seq, PSH | ACK, octets);
            }
            if is_behind_a_hole {
                wire.segment(&tcp, true, tcp.client_seq, tcp.server_seq, PSH | ACK, b">");
            }
            let last = spans.iter().map(|span| span.1).max().unwrap() * TEXT.len();
            tcp.client_seq += u32::try_from(last).unwrap() + hole;
            wire.ack(&tcp, false);
            wire.close(&mut tcp);
        });
        assert_eq!(told, [2010, 0], "found, and doubted; behind a hole {is_behind_a_hole}");
    }
}

#[test]
fn no_overlap_of_fragments_hides_a_text_from_the_answer() {
    for is_v6 in [false, true] {
        let told = play(TEXT, 16, |wire, spans, versions| {
            let last = spans.iter().map(|span| span.1).max().unwrap();
            let head = udp(5000, 7070, &vec![0; last * 16])[..8].to_vec();
            let mut send = |from: usize, more: bool, body: &[u8]| {
                let octets = if is_v6 {
                    let field = u16::try_from(from).unwrap() | u16::from(more);
                    let [high, low] = field.to_be_bytes();
                    let header = [17, 0, high, low, 0, 0, 0, 77];
                    let body = [&header[..], body].concat();
                    ethernet(0x86dd, &ipv6("2001:db8:9::1", "2001:db8:9::2", 44, &body))
                } else {
                    let field = u16::try_from(from / 8).unwrap() | if more { 0x2000 } else { 0 };
                    ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 17, 77, field, body))
                };
                wire.frame(octets);
            };
            // The header of UDP comes last: the datagram is whole when every version is there.
            for (span, octets) in spans.iter().zip(versions) {
                send(8 + span.0 * 16, span.1 < last, octets);
            }
            send(0, true, &head);
        });
        assert_eq!(told, [2010, 0], "found, and doubted; ipv6 {is_v6}");
    }
}
