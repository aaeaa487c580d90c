use super::*;
use crate::model::{FrameRef, LinkType, Proto, SeqNo, TcpFlags, Timestamp};
use etherparse::PacketBuilder;
use proptest::prelude::*;

mod link;
mod tunnel;

const TEXT: &[u8] = b"USER chris\r\n";

/// What a test looks at, free of borrows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    segment: Option<(String, String, Proto)>,
    payload: Vec<u8>,
    cut: u32,
    frames: (u64, u64),
    is_held: bool,
    /// The layers that carried the segment.
    encap: String,
    unread: Vec<(usize, Vec<u8>)>,
    /// Alternate segments: to whom, and the payload; none for octets that are only searched.
    late: Vec<Option<(String, Vec<u8>)>>,
}

/// A decoder, and the count of its frames.
#[derive(Default)]
struct Bench {
    decoder: Decoder,
    number: u64,
    seconds: i64,
}

impl Bench {
    fn frame(&mut self, link_type: LinkType, data: &[u8]) -> Seen {
        self.frame_of(link_type, data, data.len())
    }

    fn frame_of(&mut self, link_type: LinkType, data: &[u8], len: usize) -> Seen {
        self.number += 1;
        let before = self.ends();
        let frame = Frame {
            number: self.number,
            time: Timestamp::from_nanos(self.seconds * 1_000_000_000),
            interface_id: 3,
            link_type,
            len: u32::try_from(len).unwrap(),
            data,
        };
        let decoded = self.decoder.decode(&frame);
        let unread: Vec<(usize, Vec<u8>)> =
            decoded.unread().map(|(at, bytes)| (at, bytes.to_vec())).collect();
        let mut seen = Seen { is_held: decoded.is_held, unread, ..Seen::default() };
        if let Some(segment) = decoded.segment {
            assert_eq!(segment.interface_id, 3);
            assert_eq!(segment.tcp.is_some(), segment.proto == Proto::TCP);
            seen.segment = Some((segment.src.to_string(), segment.dst.to_string(), segment.proto));
            seen.payload = segment.payload.to_vec();
            seen.cut = segment.cut;
            seen.encap = segment.encap.carriage().map(|it| it.to_string()).unwrap_or_default();
            seen.frames = (segment.frames.first.number, segment.frames.last);
        }
        let counted = self.ends() > before;
        while let Some(late) = self.decoder.late() {
            seen.late.push(late.decoded.segment.map(|it| {
                assert!(it.is_alternate);
                (it.dst.to_string(), it.payload.to_vec())
            }));
        }
        assert!(
            seen.segment.is_some() || seen.is_held || counted,
            "a frame ends in a segment, held, or counted: {seen:?}"
        );
        assert!(!(seen.segment.is_some() && seen.is_held));
        if seen.segment.is_none() && !seen.is_held {
            assert_eq!(self.ends(), before + 1 + u64::from(self.has_bad_ip_length(before)));
            assert!(
                data.is_empty() || seen.unread.iter().any(|(at, bytes)| *at == 0 && bytes == data)
            );
        }
        seen
    }

    /// A header that promises too much, or frames behind the first, are counted beside what became of the frame.
    fn has_bad_ip_length(&self, before: u64) -> bool {
        self.ends() == before + 2
            && [Weird::BadIpLength, Weird::LinkAggregate]
                .iter()
                .any(|why| self.decoder.coverage().undecoded.contains_key(why))
    }

    fn ends(&self) -> u64 {
        let coverage = self.decoder.coverage();
        coverage.undecoded.values().sum::<u64>() + coverage.link_only.values().sum::<u64>()
    }

    fn undecoded(&self) -> Vec<(Weird, u64)> {
        self.decoder.coverage().undecoded.iter().map(|(why, count)| (*why, *count)).collect()
    }
}

fn one(link_type: LinkType, data: &[u8]) -> Seen {
    Bench::default().frame(link_type, data)
}

fn expect_text(seen: &Seen) {
    let ends = ("10.0.0.5:49158".into(), "10.0.0.2:110".into(), Proto::TCP);
    assert_eq!(seen.segment, Some(ends));
    assert_eq!(seen.payload, TEXT);
    assert_eq!(seen.cut, 0);
}

fn refused(link_type: LinkType, data: &[u8]) -> Weird {
    let mut bench = Bench::default();
    assert_eq!(bench.frame(link_type, data).segment, None);
    assert_eq!(bench.undecoded().len(), 1, "{:?}", bench.undecoded());
    bench.undecoded()[0].0
}

fn link_only(data: &[u8]) -> &'static str {
    let mut bench = Bench::default();
    bench.frame(LinkType::ETHERNET, data);
    assert_eq!(bench.undecoded(), []);
    bench.decoder.coverage().link_only.keys().next().unwrap()
}

/// An IPv4 packet with TEXT over TCP, made by etherparse.
fn ip() -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 5], [10, 0, 0, 2], 64)
        .tcp(49158, 110, 1001, 512)
        .write(&mut out, TEXT)
        .unwrap();
    out
}

/// The same over IPv6, with extension headers in front of TCP.
fn ip6(first: u8, extensions: &[u8]) -> Vec<u8> {
    let plain = ip();
    let mut out = vec![0x60, 0, 0, 0];
    out.extend(u16::try_from(extensions.len() + plain.len() - 20).unwrap().to_be_bytes());
    out.extend([first, 64]);
    out.extend(
        [
            [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5],
            [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        ]
        .concat(),
    );
    out.extend(extensions);
    out.extend(&plain[20..]);
    out
}

fn ether(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[2; 6], &[4; 6], kind.to_be_bytes().as_slice(), body].concat()
}

/// IPv4 with any payload, protocol and fragment field.
fn ip_of(proto: u8, id: u16, field: u16, body: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let [i0, i1] = id.to_be_bytes();
    let [f0, f1] = field.to_be_bytes();
    let header =
        [0x45, 0, total[0], total[1], i0, i1, f0, f1, 64, proto, 0, 0, 10, 0, 0, 5, 10, 0, 0, 2];
    [&header, body].concat()
}

const ETHER: LinkType = LinkType::ETHERNET;

#[test]
fn ethernet_carries_ip_and_its_padding_is_left_unread() {
    let mut frame = ether(0x0800, &ip());
    frame.extend(b"stale chris");
    let seen = one(ETHER, &frame);
    expect_text(&seen);
    assert_eq!(seen.unread, [(frame.len() - 11, b"stale chris".to_vec())]);
}

#[test]
fn the_header_of_tcp_is_read() {
    let frame = ether(0x0800, &ip());
    let mut decoder = Decoder::default();
    let frame = Frame {
        number: 9,
        time: Timestamp::default(),
        interface_id: 0,
        link_type: ETHER,
        len: 0,
        data: &frame,
    };
    let segment = decoder.decode(&frame).segment.unwrap();
    let tcp = segment.tcp.unwrap();
    assert_eq!((tcp.seq, tcp.window, tcp.flags), (SeqNo(1001), 512, TcpFlags(0)));
    assert_eq!(segment.at(), FrameRef { number: 9, time: Timestamp::default() });
}

#[test]
fn every_link_type_leads_to_the_same_segment() {
    let sll = |kind: u16| {
        [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0][..], &kind.to_be_bytes(), &ip()].concat()
    };
    let sll2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0], &ip()[..]].concat();
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip()[..]].concat();
    let with = |head: &[u8]| [head, &ip()].concat();
    let cases: Vec<(LinkType, Vec<u8>)> = vec![
        (ETHER, ether(0x0800, &ip())),
        (ETHER, ether(0x8100, &with(&[0, 7, 8, 0]))),
        (ETHER, ether(0x88a8, &with(&[0, 7, 0x81, 0, 0, 9, 8, 0]))),
        (ETHER, ether(0x9100, &with(&[0, 7, 0x88, 0xa8, 0, 9, 0x81, 0, 0, 1, 8, 0]))),
        (ETHER, ether(u16::try_from(snap.len()).unwrap(), &snap)),
        (
            ETHER,
            ether(
                0x8100,
                &[&[0, 7], &u16::try_from(snap.len()).unwrap().to_be_bytes()[..], &snap].concat(),
            ),
        ),
        (
            ETHER,
            ether(
                0x8864,
                &with(&[0x11, 0, 0, 1, 0, u8::try_from(ip().len() + 2).unwrap(), 0, 0x21]),
            ),
        ),
        (LinkType::LINUX_SLL, sll(0x0800)),
        (LinkType::LINUX_SLL2, sll2),
        (LinkType::NULL, with(&[2, 0, 0, 0])),
        (LinkType::NULL, with(&[0, 0, 0, 2])),
        (LinkType::LOOP, with(&[0, 0, 0, 2])),
        (LinkType::LOOP, with(&[2, 0, 0, 0])),
        (LinkType::RAW, ip()),
        (LinkType(12), ip()),
        (LinkType(14), ip()),
        (LinkType::IPV4, ip()),
        (LinkType::PPP, with(&[0xff, 3, 0, 0x21])),
        (LinkType::PPP, with(&[0x21])),
        (LinkType(50), with(&[0, 0x21])),
        (LinkType(51), with(&[0x11, 0, 0, 1, 0, u8::try_from(ip().len() + 2).unwrap(), 0, 0x21])),
        (LinkType(104), with(&[0x0f, 0, 8, 0])),
    ];
    for (link_type, data) in cases {
        let seen = one(link_type, &data);
        expect_text(&seen);
        assert_eq!(seen.unread, [], "{link_type}");
    }
}

#[test]
fn every_address_family_of_ipv6_is_known_in_both_byte_orders() {
    for family in [10, 24, 28, 30] {
        for head in [[family, 0, 0, 0], [0, 0, 0, family]] {
            let seen = one(LinkType::NULL, &[&head, &ip6(6, &[])[..]].concat());
            assert_eq!(seen.payload, TEXT);
            assert_eq!(seen.segment.unwrap().0, "[fd00::5]:49158");
        }
    }
}

#[test]
fn protocols_without_ip_are_counted_by_name_and_searched_raw() {
    assert_eq!(link_only(&ether(0x0806, &[0; 28])), "arp");
    assert_eq!(link_only(&ether(0x88cc, b"chris's switch")), "lldp");
    assert_eq!(link_only(&ether(0x888e, &[0; 4])), "eapol");
    assert_eq!(link_only(&ether(0x9000, &[0; 46])), "loopback");
    assert_eq!(link_only(&ether(38, &[&[0x42, 0x42, 3][..], &[0; 35]].concat())), "stp");
    assert_eq!(link_only(&ether(9, &[0xaa, 0xaa, 3, 0, 0, 0xc, 0x20, 0, 1])), "cdp");
    assert_eq!(link_only(&ether(0x8100, &[0, 1, 8, 6])), "arp");
    for control in [0xaf, 0xbf, 0xe3, 0xf3] {
        assert_eq!(link_only(&ether(6, &[0, 1, control, 0x81, 1, 0])), "llc-test");
    }
    assert_eq!(link_only(&ether(3, &[0xe0, 0xe0, 3])), "ipx");
    assert_eq!(link_only(&ether(3, &[0xf0, 0xf0, 3])), "netbeui");
}

#[test]
fn what_is_unknown_is_counted_by_its_reason() {
    assert_eq!(refused(LinkType(147), b"x"), Weird::UnknownLinkType(LinkType(147)));
    assert_eq!(refused(ETHER, &ether(0x88b5, b"x")), Weird::UnknownEtherType(0x88b5));
    assert_eq!(refused(ETHER, &ether(3, &[0x82, 0x82, 3])), Weird::UnknownLlc);
    assert_eq!(refused(ETHER, &[0; 13]), Weird::ShortLinkHeader);
    assert_eq!(refused(ETHER, &[]), Weird::ShortLinkHeader);
    assert_eq!(refused(ETHER, &ether(0x0800, &[])), Weird::ShortIpHeader);
    assert_eq!(refused(ETHER, &ether(0x0800, &[0x45; 19])), Weird::ShortIpHeader);
    assert_eq!(refused(ETHER, &ether(0x0800, &[0x65; 40])), Weird::BadIpVersion);
    assert_eq!(refused(ETHER, &ether(0x0800, &[0x41; 40])), Weird::BadIpLength);
    assert_eq!(refused(ETHER, &ether(0x8100, &[0, 1, 0x81, 0].repeat(12))), Weird::TooDeep);
    assert_eq!(refused(LinkType::RAW, &[0x75]), Weird::BadIpVersion);
    assert_eq!(refused(LinkType::RAW, &ip_of(6, 0, 0, &[0; 19])), Weird::ShortTransportHeader);
    assert_eq!(refused(LinkType::RAW, &ip_of(6, 0, 0, &[0; 20])), Weird::BadTransportLength);
    assert_eq!(refused(LinkType::RAW, &ip_of(17, 0, 0, &[0; 7])), Weird::ShortTransportHeader);
}

#[test]
fn a_total_length_of_zero_means_what_the_frame_holds() {
    let mut packet = ip();
    packet[2..4].fill(0);
    expect_text(&one(LinkType::RAW, &packet));
    let mut packet = ip6(6, &[]);
    packet[4..6].fill(0);
    assert_eq!(one(LinkType::RAW, &packet).payload, TEXT);
}

#[test]
fn a_bad_checksum_rejects_nothing() {
    let mut packet = ip();
    packet[10] ^= 0xff;
    packet[36] ^= 0xff;
    expect_text(&one(LinkType::RAW, &packet));
}

#[test]
fn a_cut_frame_hands_on_what_is_there_and_says_how_much_is_missing() {
    let frame = ether(0x0800, &ip());
    let mut bench = Bench::default();
    let seen = bench.frame_of(ETHER, &frame[..frame.len() - 5], frame.len());
    assert_eq!(seen.payload, b"USER ch");
    assert_eq!(seen.cut, 5);
    assert_eq!(bench.undecoded(), []);
    let coverage = bench.decoder.coverage();
    assert_eq!((coverage.truncated_frames, coverage.truncated_bytes), (1, 5));
    // Padding that was cut is no payload.
    let seen = bench.frame_of(ETHER, &frame, frame.len() + 5);
    assert_eq!(seen.cut, 0);
    // Cut inside the options of TCP: the ports are known all the same.
    let mut frame = frame;
    frame[14 + 20 + 12] = 0x70;
    let seen = bench.frame_of(ETHER, &frame[..14 + 20 + 22], frame.len());
    assert_eq!((seen.payload.len(), seen.cut), (0, 4));
}

#[test]
fn an_ip_header_that_promises_more_than_the_wire_carried_is_counted_and_read() {
    let mut bench = Bench::default();
    let packet = ip();
    let seen = bench.frame(LinkType::RAW, &packet[..packet.len() - 5]);
    assert_eq!((seen.payload.as_slice(), seen.cut), (&b"USER ch"[..], 5));
    assert_eq!(bench.undecoded(), [(Weird::BadIpLength, 1)]);
}

#[test]
fn options_and_extension_headers_are_left_unread() {
    let mut packet = ip();
    packet[0] = 0x46;
    packet[3] += 4;
    packet.splice(20..20, *b"ipop");
    let seen = one(LinkType::RAW, &packet);
    expect_text(&seen);
    assert_eq!(seen.unread, [(20, b"ipop".to_vec())]);

    let mut packet = ip();
    packet[3] += 4;
    packet[32] = 0x60;
    packet.splice(40..40, *b"tcpo");
    let seen = one(LinkType::RAW, &packet);
    expect_text(&seen);
    assert_eq!(seen.unread, [(40, b"tcpo".to_vec())]);

    // Hop-by-hop, routing, destination options, authentication, atomic fragment.
    let extensions = [
        &[43, 0][..],
        b"hophop",
        &[60, 0],
        b"routes",
        &[51, 0],
        b"options"[..6].as_ref(),
        &[44, 1],
        b"authentica",
        &[6, 0, 0, 0, 1, 2, 3, 4],
    ]
    .concat();
    let seen = one(LinkType::RAW, &ip6(0, &extensions));
    assert_eq!(seen.payload, TEXT);
    let unread: Vec<u8> = seen.unread.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    for text in ["hophop", "routes", "option", "authentica"] {
        assert!(unread.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
}

#[test]
fn a_chain_of_extension_headers_without_end_is_too_deep() {
    let extensions = [60, 0, 0, 0, 0, 0, 0, 0].repeat(140);
    assert_eq!(refused(LinkType::RAW, &ip6(60, &extensions)), Weird::TooDeep);
}

#[test]
fn a_subflow_of_multipath_tcp_is_read_and_counted() {
    let syn = |flags: u8, options: &[u8]| {
        let words = u8::try_from(5 + options.len() / 4).unwrap();
        let head = [192, 6, 0, 110, 0, 0, 3, 233, 0, 0, 0, 0, words << 4, flags, 2, 0, 0, 0, 0, 0];
        ip_of(6, 0, 0, &[&head, options, TEXT].concat())
    };
    let join = [&[2, 4, 5, 180, 1, 1, 1, 1, 30, 12, 0x10, 1][..], &[7; 8]].concat();
    let capable = [&[2, 4, 5, 180][..], &[30, 4, 1, 0x81], &[0; 4]].concat();
    for (flags, options, counted) in [
        (2, &join, 1),
        (18, &join, 1),
        (16, &join, 0),
        (2, &capable, 0),
        (2, &vec![30, 0, 0, 1], 0),
        (2, &vec![9, 200, 30, 0x10], 0),
    ] {
        let mut bench = Bench::default();
        assert_eq!(bench.frame(LinkType::RAW, &syn(flags, options)).payload, TEXT);
        let expected = vec![(Weird::TcpSubflow, 1); counted];
        assert_eq!(bench.undecoded(), expected, "{flags} {options:?}");
    }
}

#[test]
fn udp_lengths_that_contradict_are_counted_and_what_is_there_is_read() {
    let udp = |length: u8| ip_of(17, 0, 0, &[&[0, 53, 0, 99, 0, length, 0, 0], TEXT].concat());
    for (length, expected, bad) in
        [(20, TEXT, 0), (0, TEXT, 1), (7, TEXT, 1), (200, TEXT, 1), (12, &TEXT[..4], 0)]
    {
        let mut bench = Bench::default();
        let seen = bench.frame(LinkType::RAW, &udp(length));
        assert_eq!(seen.payload, expected, "{length}");
        assert_eq!(bench.undecoded().len(), bad);
        let unread: usize = seen.unread.iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(unread + seen.payload.len(), TEXT.len());
    }
}

/// The same datagram in fragments of `size` octets.
fn fragments(id: u16, size: usize) -> Vec<Vec<u8>> {
    let body = &ip()[20..];
    let count = body.len().div_ceil(size);
    body.chunks(size)
        .enumerate()
        .map(|(index, part)| {
            let more = if index + 1 < count { 0x2000 } else { 0 };
            ip_of(6, id, more | u16::try_from(index * size / 8).unwrap(), part)
        })
        .collect()
}

#[test]
fn fragments_in_any_order_become_the_segment_and_each_is_searched_raw() {
    for is_reversed in [false, true] {
        let mut parts = fragments(7, 8);
        assert_eq!(parts.len(), 4);
        if is_reversed {
            parts.reverse();
        }
        let mut bench = Bench::default();
        for part in &parts[..3] {
            let seen = bench.frame(LinkType::RAW, part);
            assert!(seen.is_held);
            assert_eq!(seen.unread, [(20, part[20..].to_vec())]);
        }
        let seen = bench.frame(LinkType::RAW, &parts[3]);
        expect_text(&seen);
        assert_eq!(seen.frames, (1, 4));
        assert_eq!(seen.unread, [(20, parts[3][20..].to_vec())]);
        bench.decoder.finish();
        let coverage = bench.decoder.coverage();
        assert_eq!((coverage.fragments_expired, coverage.fragment_conflicts), (0, 0));
    }
}

#[test]
fn fragments_captured_twice_are_one_datagram() {
    let mut bench = Bench::default();
    let mut segments = 0;
    for part in fragments(7, 16) {
        for _ in 0..2 {
            segments += u32::from(bench.frame(LinkType::RAW, &part).segment.is_some());
        }
    }
    bench.decoder.finish();
    assert_eq!(segments, 1);
    assert_eq!(bench.decoder.coverage().fragments_expired, 0);
}

#[test]
fn the_identification_may_be_used_again() {
    let mut bench = Bench::default();
    let mut segments = 0;
    for text in [b"one one!", b"two two!"] {
        let parts = [ip_of(253, 7, 0x2000, text), ip_of(253, 7, 1, text)];
        for part in parts {
            let seen = bench.frame(LinkType::RAW, &part);
            if seen.segment.is_some() {
                segments += 1;
                assert_eq!(seen.payload, [text.as_slice(), text].concat());
            }
        }
    }
    bench.decoder.finish();
    assert_eq!((segments, bench.decoder.coverage().fragments_expired), (2, 0));
}

#[test]
fn the_first_version_of_an_overlap_wins_and_the_conflict_is_counted() {
    let mut bench = Bench::default();
    bench.frame(LinkType::RAW, &ip_of(253, 7, 0x2000 | 1, b"bbbbbbbb"));
    let seen = bench.frame(LinkType::RAW, &ip_of(253, 7, 0x2000, b"aaaaaaaaBBBBBBBBcccccccc"));
    assert!(seen.unread[0].1.ends_with(b"BBBBBBBBcccccccc"));
    let seen = bench.frame(LinkType::RAW, &ip_of(253, 7, 3, b"end"));
    assert_eq!(seen.payload, b"aaaaaaaabbbbbbbbccccccccend");
    assert_eq!(bench.decoder.coverage().fragment_conflicts, 8);
}

#[test]
fn another_version_of_the_ports_is_a_segment_to_another_end() {
    let mut parts = fragments(7, 8);
    let mut other = parts[0].clone();
    other[20..24].copy_from_slice(&[0xc0, 6, 0, 143]);
    parts.insert(1, other);
    let mut bench = Bench::default();
    let seen: Vec<Seen> = parts.iter().map(|part| bench.frame(LinkType::RAW, part)).collect();
    expect_text(seen.last().unwrap());
    let late: Vec<_> = seen.iter().flat_map(|it| it.late.iter().flatten()).collect();
    assert!(!late.is_empty());
    assert!(late.iter().all(|it| **it == ("10.0.0.2:143".into(), TEXT.to_vec())), "{late:?}");
}

#[test]
fn a_first_fragment_alone_is_a_segment_that_is_cut() {
    let mut bench = Bench::default();
    bench.frame(LinkType::RAW, &fragments(7, 24)[0]);
    bench.seconds = 31;
    let seen = bench.frame(LinkType::RAW, &ip_of(17, 8, 0x2000, &[0; 8]));
    assert_eq!(seen.late, [Some(("10.0.0.2:110".into(), TEXT[..4].to_vec()))]);
}

#[test]
fn octets_behind_the_last_fragment_are_a_conflict() {
    for is_last_first in [true, false] {
        let mut bench = Bench::default();
        let mut parts = [ip_of(253, 7, 1, b"end"), ip_of(253, 7, 0x2000 | 2, b"beyond..")];
        if !is_last_first {
            parts.reverse();
        }
        for part in &parts {
            bench.frame(LinkType::RAW, part);
        }
        let seen = bench.frame(LinkType::RAW, &ip_of(253, 7, 0x2000, b"aaaaaaaa"));
        assert!(seen.is_held || seen.payload == b"aaaaaaaaend");
        assert!(bench.decoder.coverage().fragment_conflicts >= 8);
    }
}

#[test]
fn fragments_that_never_become_whole_are_counted() {
    let parts = fragments(7, 8);
    let mut bench = Bench::default();
    bench.frame(LinkType::RAW, &parts[0]);
    bench.decoder.finish();
    assert_eq!(bench.decoder.coverage().fragments_expired, 1);

    let mut bench = Bench::default();
    bench.frame(LinkType::RAW, &parts[0]);
    bench.seconds = 31;
    bench.frame(LinkType::RAW, &fragments(8, 8)[0]);
    assert_eq!(bench.decoder.coverage().fragments_expired, 1);
    for part in &parts[1..] {
        assert!(bench.frame(LinkType::RAW, part).is_held, "the first fragment was too old");
    }
}

#[test]
fn a_flood_of_fragments_is_bounded_and_counted() {
    let mut bench = Bench::default();
    for id in 0..20_000 {
        bench.frame(LinkType::RAW, &ip_of(17, id, 0x2000 | 0x1f00, &[0; 8]));
    }
    assert!(bench.decoder.coverage().fragments_expired > 15_000);
    bench.decoder.finish();
    assert_eq!(bench.decoder.coverage().fragments_expired, 20_000);
}

#[test]
fn a_fragment_beyond_the_largest_datagram_is_refused() {
    assert_eq!(refused(LinkType::RAW, &ip_of(17, 1, 0x1fff, &[0; 8])), Weird::BadIpLength);
}

#[test]
fn a_fragment_that_is_not_the_first_is_never_read_as_transport() {
    let seen = one(LinkType::RAW, &ip_of(6, 7, 3, &ip()[20..]));
    assert!(seen.is_held);
    assert_eq!(seen.segment, None);
}

#[test]
fn fragments_of_ipv6_become_the_segment() {
    let whole = ip6(60, &[6, 0, 1, 4, 0, 0, 0, 0]);
    let (head, body) = whole.split_at(40);
    let mut bench = Bench::default();
    let mut last = Seen::default();
    for (index, part) in body.chunks(16).enumerate() {
        let more = u16::from((index + 1) * 16 < body.len());
        let field = u16::try_from(index * 16).unwrap() | more;
        let mut packet = head.to_vec();
        packet[6] = 44;
        packet[4..6].copy_from_slice(&u16::try_from(part.len() + 8).unwrap().to_be_bytes());
        packet.extend([60, 0]);
        packet.extend(field.to_be_bytes());
        packet.extend([0, 0, 0, 9]);
        packet.extend(part);
        last = bench.frame(LinkType::RAW, &packet);
    }
    assert_eq!(last.payload, TEXT);
    assert_eq!(last.frames, (1, 3));
}

proptest! {
    #[test]
    fn fragmenting_any_way_yields_the_same_segment(
        body in proptest::collection::vec(any::<u8>(), 17..400),
        cuts in proptest::collection::vec(0..50_usize, 0..10),
        repeats in proptest::collection::vec((0..50_usize, 1..20_usize), 0..6),
        seed in any::<u64>(),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut * 8).filter(|cut| *cut < body.len()).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        prop_assume!(cuts.len() > 2);
        let mut ranges: Vec<(usize, usize)> = cuts.windows(2).map(|pair| (pair[0], pair[1])).collect();
        for (at, units) in repeats {
            let start = at * 8;
            if start < body.len() {
                ranges.push((start, (start + units * 8).min(body.len())));
            }
        }
        // A cheap shuffle that proptest can shrink.
        let len = ranges.len() as u64;
        for index in 0..ranges.len() {
            let other = usize::try_from(seed.rotate_left(u32::try_from(index).unwrap()) % len).unwrap();
            ranges.swap(index, other);
        }
        ranges.retain(|range| *range != (0, body.len()));
        let mut bench = Bench::default();
        let mut payloads = Vec::new();
        for (start, end) in &ranges {
            let more = if *end < body.len() { 0x2000 } else { 0 };
            let packet = ip_of(253, 5, more | u16::try_from(start / 8).unwrap(), &body[*start..*end]);
            let seen = bench.frame(LinkType::RAW, &packet);
            prop_assert!(seen.unread.contains(&(20, body[*start..*end].to_vec())));
            if seen.segment.is_some() {
                payloads.push(seen.payload);
            }
        }
        bench.decoder.finish();
        prop_assert_eq!(payloads, vec![body]);
        prop_assert_eq!(bench.decoder.coverage().fragment_conflicts, 0);
        prop_assert_eq!(bench.decoder.coverage().fragments_expired, 0);
    }

    #[test]
    fn no_octets_of_any_link_type_panic(
        frames in proptest::collection::vec(
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..120), 0..40_usize, 0..40_i64),
            1..20,
        ),
    ) {
        let mut bench = Bench::default();
        for (kind, data, missing, seconds) in &frames {
            bench.seconds = *seconds;
            bench.frame_of(any_link_type(*kind), data, data.len() + missing);
        }
        bench.decoder.finish();
    }

    #[test]
    fn no_damaged_packet_panics(
        kind in any::<u8>(),
        is_v6 in any::<bool>(),
        damage in proptest::collection::vec((0..90_usize, any::<u8>()), 0..6),
        keep in 0..90_usize,
        missing in 0..40_usize,
    ) {
        let packet = if is_v6 { ip6(0, &[60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]) } else { ip() };
        let mut data = ether(if is_v6 { 0x86dd } else { 0x0800 }, &packet);
        for (at, byte) in damage {
            let at = at % data.len();
            data[at] = byte;
        }
        data.truncate(keep);
        let mut bench = Bench::default();
        bench.frame_of(any_link_type(kind), &data, data.len() + missing);
        bench.frame_of(ETHER, &data, data.len() + missing);
        bench.frame_of(LinkType::RAW, data.get(14..).unwrap_or_default(), data.len() + missing);
        bench.decoder.finish();
    }
}

fn any_link_type(kind: u8) -> LinkType {
    let known = [
        0, 1, 6, 7, 8, 9, 10, 12, 14, 50, 51, 100, 101, 102, 104, 105, 106, 107, 108, 109, 113,
        117, 119, 122, 123, 127, 129, 138, 149, 163, 166, 178, 179, 180, 181, 182, 192, 204, 205,
        206, 219, 226, 228, 229, 239, 240, 241, 242, 253, 258, 274, 276, 281, 282, 284, 285, 147,
    ];
    LinkType(known[usize::from(kind) % known.len()])
}
