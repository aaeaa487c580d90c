//! Tunnels, each on octets made here.

use super::*;

/// A packet in every tunnel, and the layers as they are reported.
fn tunnels(inner: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let with = |head: &[u8]| [head, inner].concat();
    let frame = ether(0x0800, inner);
    let with_frame = |head: &[u8]| [head, &frame].concat();
    let len = |extra: usize| u16::try_from(inner.len() + extra).unwrap().to_be_bytes();
    let gre = |head: &[u8]| outer(47, &with(head));
    let to = |port: u16, body: &[u8]| udp(40_000, port, body);
    let gpe = |next: u8, body: &[u8]| to(4790, &[&[12, 0, 0, next, 0, 1, 2, 0], body].concat());
    let geneve = |options: &[u8], kind: u16, body: &[u8]| {
        let words = u8::try_from(options.len() / 4).unwrap();
        let kind = kind.to_be_bytes();
        let head = [words, 0, kind[0], kind[1], 0, 1, 2, 0];
        to(6081, &[&head, options, body].concat())
    };
    let gtp = |flags: u8, optional: &[u8]| {
        let head = [&[flags, 255], &len(optional.len())[..], &[0, 0, 0, 9], optional].concat();
        to(2152, &with(&head))
    };
    let l2tp = |head: &[u8]| to(1701, &with(&[head, &[0xff, 3, 0, 0x21]].concat()));
    let erspan = |flags: u8, kind: [u8; 2], rest: &[u8]| {
        outer(47, &with_frame(&[&[flags, 0, kind[0], kind[1]], rest].concat()))
    };
    let mut cases = vec![
        ("ipv4", outer(4, inner)),
        ("ipv4", outer(94, inner)),
        ("minimal", minimal(inner)),
        ("etherip", outer(97, &with_frame(&[0x30, 0]))),
        ("ethernet", outer(143, &frame)),
        ("gre", gre(&[0, 0, 8, 0])),
        ("gre", gre(&[0x80, 0, 8, 0, 1, 2, 0, 0])),
        ("gre:7", gre(&[0x20, 0, 8, 0, 0, 0, 0, 7])),
        ("gre", gre(&[0x10, 0, 8, 0, 0, 0, 0, 1])),
        ("gre:7", gre(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1])),
        ("gre", gre(&[0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0])),
        ("gre", gre(&[0, 0, 0x88, 0x3e])),
        ("gre", gre(&[0, 0, 0x88, 0x3e, 0, 0, 0, 0])),
        ("gre", gre(&[0, 0, 0x88, 0x0b, 0xff, 3, 0, 0x21])),
        (
            "gre/vlan:9",
            outer(47, &[&[0, 0, 0x65, 0x58], &ether(0x8100, &with(&[0, 9, 8, 0]))[..]].concat()),
        ),
        ("nvgre:258", outer(47, &with_frame(&[0x20, 0, 0x65, 0x58, 0, 1, 2, 9]))),
        ("erspan", erspan(0, [0x88, 0xbe], &[])),
        ("erspan:5", erspan(0x10, [0x88, 0xbe], &[0, 0, 0, 1, 0x10, 0, 0, 5, 0, 0, 0, 0])),
        (
            "erspan:5",
            erspan(0x10, [0x22, 0xeb], &[&[0, 0, 0, 1, 32, 0, 0, 5][..], &[0; 8]].concat()),
        ),
        (
            "erspan:5",
            erspan(
                0x10,
                [0x22, 0xeb],
                &[&[0, 0, 0, 1, 32, 0, 0, 5][..], &[0; 7], &[1], &[0; 8]].concat(),
            ),
        ),
        ("pptp:3", gre(&[&[0x20, 1, 0x88, 0x0b], &len(4)[..], &[0, 3, 0xff, 3, 0, 0x21]].concat())),
        (
            "pptp:3",
            gre(&[&[0x30, 0x81, 0x88, 0x0b], &len(1)[..], &[0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0x21]]
                .concat()),
        ),
        ("vxlan:258", to(4789, &with_frame(&[8, 0, 0, 0, 0, 1, 2, 0]))),
        ("vxlan:258", udp(8472, 40_000, &with_frame(&[8, 0, 0, 0, 0, 1, 2, 0]))),
        ("vxlan:258", to(4789, &with_frame(&[0x88, 0x48, 0, 9, 0, 1, 2, 0]))),
        ("vxlan-gpe:258", gpe(1, inner)),
        ("vxlan-gpe:258", gpe(3, &frame)),
        ("geneve:258", geneve(&[], 0x6558, &frame)),
        ("geneve:258", geneve(&[1, 2, 3, 1, 9, 9, 9, 9], 0x0800, inner)),
        ("gtpu:9", gtp(0x30, &[])),
        ("gtpu:9", gtp(0x32, &[0, 1, 0, 0x85])),
        ("gtpu:9", gtp(0x34, &[0, 0, 0, 0x85, 1, 0x10, 9, 0x40, 1, 1, 2, 0])),
        ("l2tp:5", l2tp(&[0, 2, 0, 4, 0, 5])),
        ("l2tp:5", l2tp(&[&[0x40, 2], &len(12)[..], &[0, 4, 0, 5]].concat())),
        ("l2tp:5", l2tp(&[0x0a, 2, 0, 4, 0, 5, 0, 1, 0, 2, 0, 2, 7, 7])),
        ("l2tpv3:6", to(1701, &with_frame(&[0, 3, 0, 0, 0, 0, 0, 6]))),
        ("l2tpv3:6", outer(115, &with_frame(&[0, 0, 0, 6]))),
        ("l2tpv3:6", outer(115, &with_frame(&[0, 0, 0, 6, 1, 2, 3, 4, 0, 0, 0, 0]))),
        ("l2tpv3:6", outer(115, &with(&[0, 0, 0, 6, 0xff, 3, 0, 0x21]))),
        ("lisp", to(4341, &with(&[0x80, 1, 2, 3, 0, 0, 0, 1]))),
        ("lisp:258", to(4341, &with(&[0x88, 1, 2, 3, 0, 1, 2, 0]))),
        ("gre", to(4754, &with(&[0, 0, 8, 0]))),
        ("ayiya", to(5072, &with(&[&[0x44, 0x52, 0x11, 4, 0, 0, 0, 1][..], &[9; 36]].concat()))),
        ("capwap", to(5247, &with_frame(&[0, 0x10, 2, 0, 0, 0, 0, 0]))),
        ("capwap", to(5247, &with(&[&[0, 0x10, 3, 0, 0, 0, 0, 0], &wlan(&[8, 1])[..]].concat()))),
        ("capwap", to(5247, &with(&[&[0, 0x10, 3, 0, 0, 0, 0, 0], &wlan(&[1, 8])[..]].concat()))),
        ("gre", gre(&[&[0, 0, 0x82, 0], &wlan(&[8, 1])[..]].concat())),
        ("gue", to(6080, &with(&[1, 4, 0, 0, 9, 9, 9, 9]))),
        ("gue/gre", to(6080, &with(&[0, 47, 0, 0, 0, 0, 8, 0]))),
        ("tzsp", to(37_008, &with_frame(&[1, 0, 0, 1, 10, 1, 99, 0, 1]))),
        ("ip-in-udp", to(5555, inner)),
    ];
    // A fragment of IPv4 has no place in these.
    if inner[6..8] == [0; 2] || inner[6] == 0x40 {
        cases.push(("teredo", to(3544, inner)));
    }
    cases
}

/// The headers of an 802.11 data frame with IPv4.
fn wlan(control: &[u8]) -> Vec<u8> {
    [control, &[0; 2], &[2; 18], &[0; 2], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat()
}

/// Minimal encapsulation: the header of the packet moves to the outside, what it hides is in eight or twelve octets.
fn minimal(inner: &[u8]) -> Vec<u8> {
    let body = [&[inner[9], 0x80, 0, 0], &inner[16..20], &inner[12..16], &inner[20..]].concat();
    let mut packet = outer(55, &body);
    packet[4..8].copy_from_slice(&inner[4..8]);
    packet
}

/// An IPv4 packet between the ends of a tunnel.
fn outer(proto: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = ip_of(proto, 0, 0, body);
    packet[12..20].copy_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2]);
    packet
}

/// The same over UDP.
fn udp(src: u16, dst: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).unwrap();
    let header: Vec<u8> = [src, dst, length, 0].iter().flat_map(|it| it.to_be_bytes()).collect();
    outer(17, &[&header, body].concat())
}

#[test]
fn every_tunnel_leads_to_the_segment_in_it() {
    for (encap, packet) in tunnels(&ip()) {
        let mut bench = Bench::default();
        let seen = bench.frame(LinkType::RAW, &packet);
        expect_text(&seen);
        assert_eq!(seen.encap, encap);
        assert_eq!(bench.undecoded(), [], "{encap}");
    }
}

#[test]
fn ipv6_is_read_in_ip_and_around_it() {
    for (encap, packet) in [
        ("ipv6", outer(41, &ip6(6, &[]))),
        ("ipv6/ipv6", outer(41, &ip6(41, &ip6(6, &[])))),
        ("gre", outer(47, &[&[0, 0, 0x86, 0xdd][..], &ip6(6, &[])].concat())),
    ] {
        let seen = one(LinkType::RAW, &packet);
        assert_eq!(seen.encap, encap);
        assert!(seen.payload.starts_with(TEXT), "{encap}");
    }
}

#[test]
fn a_tunnel_that_ends_early_is_counted_and_its_octets_are_those_of_the_outer_datagram() {
    for (encap, packet) in tunnels(&ip()) {
        for end in 0..packet.len() {
            let mut bench = Bench::default();
            let seen = bench.frame(LinkType::RAW, &packet[..end]);
            assert!(!bench.undecoded().is_empty(), "{encap} of {end} octets");
            let carried = seen.payload.len()
                + seen.unread.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            let cut = Bench::default().frame_of(LinkType::RAW, &packet[..end], packet.len());
            assert!(cut.segment.is_none() || cut.cut > 0, "{encap} of {end} octets");
            let headers = packet.len() - TEXT.len();
            assert!(seen.segment.is_none() || carried + headers >= end, "{encap} of {end} octets");
        }
    }
}

#[test]
fn a_tunnel_in_fragments_becomes_the_segment() {
    for (encap, packet) in tunnels(&ip()).into_iter().filter(|it| it.0 != "minimal") {
        let mut bench = Bench::default();
        let body = &packet[20..];
        assert!(
            bench.frame(LinkType::RAW, &outer_fragment(packet[9], 0x2000, &body[..48])).is_held
        );
        let seen = bench.frame(LinkType::RAW, &outer_fragment(packet[9], 6, &body[48..]));
        expect_text(&seen);
        assert_eq!((seen.encap.as_str(), seen.frames), (encap, (1, 2)));
    }
}

#[test]
fn fragments_inside_every_tunnel_become_the_segment() {
    let parts = fragments(7, 24);
    // Minimal encapsulation and IPv6 alone are not done to fragments.
    let mut cases: Vec<_> = parts.iter().map(|part| tunnels(&checked(part))).collect();
    assert_eq!(cases.len(), 2);
    let (last, first) = (cases.pop().unwrap(), cases.pop().unwrap());
    for ((encap, first), (_, last)) in first.iter().zip(&last).filter(|(it, _)| it.0 != "minimal") {
        let mut bench = Bench::default();
        assert!(bench.frame(LinkType::RAW, last).is_held, "{encap}");
        let seen = bench.frame(LinkType::RAW, first);
        expect_text(&seen);
        assert_eq!((seen.encap.as_str(), seen.frames), (*encap, (1, 2)));
    }
}

/// With the right checksum in the header.
fn checked(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let words = packet[..20].chunks(2).map(|it| u32::from(it[0]) << 8 | u32::from(it[1]));
    let sum: u32 = words.sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn outer_fragment(proto: u8, field: u16, body: &[u8]) -> Vec<u8> {
    let mut packet = ip_of(proto, 77, field, body);
    packet[12..20].copy_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2]);
    packet
}

#[test]
fn fragments_of_one_tunnel_do_not_complete_those_of_another() {
    let parts = fragments(7, 16);
    let gre = |key: u8, part: &[u8]| outer(47, &[&[0x20, 0, 8, 0, 0, 0, 0, key], part].concat());
    let mut bench = Bench::default();
    let (last, first) = parts.split_last().unwrap();
    for part in first {
        assert!(bench.frame(LinkType::RAW, &gre(1, part)).is_held);
    }
    assert!(bench.frame(LinkType::RAW, &gre(2, last)).is_held);
    assert!(bench.frame(LinkType::RAW, last).is_held, "outside of tunnels");
    let seen = bench.frame(LinkType::RAW, &gre(1, last));
    expect_text(&seen);
    assert_eq!((seen.encap.as_str(), seen.frames.0), ("gre:1", 1));
}

#[test]
fn an_inner_fragment_completes_others_whose_tunnel_packets_were_in_fragments_themselves() {
    let parts = fragments(7, 16);
    let mut bench = Bench::default();
    let tunnelled: Vec<Vec<u8>> =
        parts.iter().map(|part| [&[0, 0, 8, 0], &part[..]].concat()).collect();
    assert!(bench.frame(LinkType::RAW, &outer_fragment(47, 0x2000, &tunnelled[0][..24])).is_held);
    assert!(bench.frame(LinkType::RAW, &outer_fragment(47, 3, &tunnelled[0][24..])).is_held);
    let mut seen = Seen::default();
    for body in &tunnelled[1..] {
        seen = bench.frame(LinkType::RAW, &outer(47, body));
    }
    expect_text(&seen);
    assert_eq!(seen.encap, "gre");
}

#[test]
fn tunnels_are_followed_to_the_limit_and_what_is_deeper_is_counted_and_kept() {
    let mut packet = ip();
    for depth in 1..12 {
        packet = outer(4, &packet);
        let mut bench = Bench::default();
        let seen = bench.frame(LinkType::RAW, &packet);
        assert!(seen.payload.ends_with(TEXT));
        if depth < 8 {
            expect_text(&seen);
            assert_eq!(bench.undecoded(), []);
        } else {
            assert_eq!(bench.undecoded(), [(Weird::TooDeep, 1)], "{depth}");
        }
    }
    let mut packet = [&[0, 0, 8, 0], &ip()[..]].concat();
    let tags: Vec<u8> = [0, 1, 0x81, 0].repeat(7).into_iter().chain([0, 1, 8, 0]).collect();
    for _ in 0..3 {
        packet =
            [&[0, 0, 0x65, 0x58][..], &ether(0x8100, &[&tags, &outer(47, &packet)[..]].concat())]
                .concat();
    }
    let mut bench = Bench::default();
    let seen = bench.frame(LinkType::RAW, &outer(47, &packet));
    assert_eq!(bench.undecoded(), [(Weird::TooDeep, 1)], "too many layers");
    assert!(seen.payload.ends_with(TEXT));
}

#[test]
fn what_cannot_be_read_in_a_tunnel_is_the_payload_of_the_outer_datagram() {
    let unread = Weird::UnreadTunnel;
    for (proto, body, why) in [
        (47, &b"\0\0\x88\xb5USER chris\r\n"[..], Weird::UnknownEtherType(0x88b5)),
        (47, b"\0\0\x00\x17USER chris\r\n", unread(47)),
        (47, b"\0\x05\x08\0USER chris\r\n", unread(47)), // version 5
        (
            47,
            b"\x30\x01\x88\x0b\0\x10\0\x01\0\0\0\0\0\xfd\x90\x01some ciphertext", // MPPE
            Weird::UnknownPppProtocol(0xfd),
        ),
        (4, b"USER chris\r\n", unread(4)),
        (41, b"USER chris\r\n", unread(41)),
        (115, b"\0\0\0\x01USER chris\r\n", unread(115)),
        (108, b"USER chris\r\n", unread(108)),
    ] {
        let mut bench = Bench::default();
        let seen = bench.frame(LinkType::RAW, &outer(proto, body));
        assert_eq!(seen.segment, Some(("192.0.2.1:0".into(), "192.0.2.2:0".into(), Proto(proto))));
        assert_eq!((seen.payload.as_slice(), seen.encap.as_str()), (body, ""));
        assert_eq!(bench.undecoded(), [(why, 1)]);
    }
    let mut bench = Bench::default();
    let seen = bench.frame(LinkType::RAW, &ip_of(50, 0, 0, TEXT));
    assert_eq!(seen.segment.unwrap().2, Proto::ESP);
    assert_eq!(bench.undecoded(), []);
}

#[test]
fn what_carries_no_ip_in_a_tunnel_is_counted_by_name() {
    let arp = ether(0x0806, &[0; 28]);
    let mut bench = Bench::default();
    let seen =
        bench.frame(LinkType::RAW, &udp(1, 4789, &[&[8, 0, 0, 0, 0, 1, 2, 0][..], &arp].concat()));
    assert_eq!(seen.segment, None);
    assert_eq!((bench.decoder.coverage().link_only["arp"], bench.undecoded()), (1, vec![]));
    let mut bench = Bench::default();
    bench.frame(LinkType::RAW, &outer(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 9]));
    assert_eq!(bench.decoder.coverage().link_only["pptp-ack"], 1);
}

#[test]
fn teredo_is_read_behind_its_indications_and_between_clients() {
    let global = |mut packet: Vec<u8>| {
        packet[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
        packet[24..28].copy_from_slice(&[0x20, 1, 0, 0]);
        packet
    };
    let inner = global(ip6(6, &[]));
    let auth = [&[0, 1, 2, 4][..], b"idauth", &[0; 9]].concat();
    let origin = [0, 0, 1, 2, 3, 4, 5, 6];
    for (encap, port, head) in [
        ("teredo", 3544, vec![]),
        ("teredo", 3544, auth.clone()),
        ("teredo", 3544, origin.to_vec()),
        ("teredo", 3544, [&auth[..], &origin].concat()),
        ("ip-in-udp", 60_000, vec![]),
    ] {
        let seen = one(LinkType::RAW, &udp(60_001, port, &[&head, &inner[..]].concat()));
        assert_eq!((seen.payload.as_slice(), seen.encap.as_str()), (TEXT, encap));
    }
}

#[test]
fn variable_parts_of_a_tunnels_header_are_left_unread() {
    let inner = ip();
    let with = |head: &[u8]| [head, &inner].concat();
    let geneve = with(b"\x03\0\x08\0\0\x01\x02\0USER chris\r\n");
    let tzsp = [b"\x01\0\0\x01\x21\x0cUSER chris\r\n\x01", &ether(0x0800, &inner)[..]].concat();
    let routed = with(b"\x40\0\x08\0\0\0\0\0\x08\0\0\x0cUSER chris\r\n\0\0\0\0");
    let packets = [udp(1, 6081, &geneve), udp(1, 37_008, &tzsp), outer(47, &routed)];
    for packet in packets {
        let seen = one(LinkType::RAW, &packet);
        expect_text(&seen);
        assert!(seen.unread.iter().any(|(_, bytes)| bytes == TEXT), "{:?}", seen.unread);
    }
}

#[test]
fn control_messages_of_tunnels_stay_datagrams() {
    for (port, body) in [
        (1701, &b"\xc8\x02\0\x0c\0\0\0\0\0\0\0\0"[..]), // L2TP
        (2152, b"\x32\x01\0\x04\0\0\0\0\0\0\0\0"),      // an echo of GTP-U
        (2123, b"\x48\x20\0\x08\0\0\0\0\0\0\x01\0"),    // GTP-C
        (6081, b"\0\x80\x65\x58\0\0\x01\0"),            // OAM of Geneve
        (5247, b"\x01\0\0\0\x16\xfe\xff\0\0\0"),        // DTLS in CAPWAP
    ] {
        let mut bench = Bench::default();
        let seen = bench.frame(LinkType::RAW, &udp(40_000, port, body));
        assert_eq!((seen.payload.as_slice(), seen.encap.as_str()), (body, ""), "{port}");
        assert_eq!(bench.undecoded(), [], "{port}");
    }
    let seen = one(LinkType::RAW, &outer(115, b"\0\0\0\0control"));
    assert_eq!(seen.payload, b"\0\0\0\0control");
}

#[test]
fn ip_in_udp_is_taken_for_it_only_where_everything_agrees() {
    for at in [0, 2, 3, 8, 10, 12] {
        let mut inner = ip();
        inner[at] ^= 0x10;
        let seen = one(LinkType::RAW, &udp(40_000, 40_001, &inner));
        assert_eq!((seen.payload.as_slice(), seen.encap.as_str()), (&inner[..], ""), "octet {at}");
    }
}

#[test]
fn ip_is_found_behind_what_nobody_announced() {
    let inner = ip();
    let frame = ether(0x0800, &inner);
    let padded = [frame.as_slice(), &[0; 6]].concat();
    let ping = [&[8, 0, 0, 0, 0, 1, 0, 1][..], &inner].concat();
    let ether_ip = checked(&outer(97, &[&[0x30, 0][..], &frame].concat()));
    let vxlan = [&[8, 0, 0, 0, 0, 1, 2, 0][..], &frame].concat();
    let cases = [
        ("ip-inside", udp(40_000, 14_789, &vxlan)),
        ("ip-inside", udp(40_000, 40_001, &[&[0x30][..], &inner].concat())),
        ("ip-inside", udp(40_000, 40_001, &[&[7; 20][..], &padded].concat())),
        ("ip-inside", outer(1, &ping)),
        ("ip-inside/etherip", udp(40_000, 40_001, &[&[7][..], &ether_ip].concat())),
        ("ip-inside", outer(200, &[&[0; 48][..], &inner].concat())),
    ];
    for (path, packet) in cases {
        let seen = one(LinkType::RAW, &packet);
        assert_eq!((seen.payload.as_slice(), seen.encap.as_str()), (TEXT, path));
    }
    // An error quotes a packet that was seen elsewhere; too far behind, or with something else behind it, it is none.
    let quoted = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &inner].concat();
    let after = [&[9; 8][..], &inner, &[1]].concat();
    for packet in
        [outer(1, &quoted), udp(1, 2, &after), outer(200, &[&[0; 49][..], &inner].concat())]
    {
        assert_eq!(one(LinkType::RAW, &packet).encap, "", "{packet:?}");
    }
    for at in [0, 2, 3, 8, 10, 12] {
        let mut other = inner.clone();
        other[at] ^= 0x10;
        let seen = one(LinkType::RAW, &udp(40_000, 40_001, &[&[7][..], &other].concat()));
        assert_eq!(seen.encap, "", "octet {at}");
    }
}

#[test]
fn esp_that_hides_nothing_is_read_and_other_esp_is_not() {
    let inner = ip();
    let esp = |padding: u8, next: u8, check: usize| {
        let counted: Vec<u8> = (1..=padding).collect();
        let head = [0, 0, 0, 7, 0, 0, 0, 1];
        [&head[..], &inner, &counted, &[padding, next], &vec![0xaa; check]].concat()
    };
    for (padding, check) in [(0, 0), (2, 12), (2, 16), (6, 32)] {
        let body = esp(padding, 4, check);
        for packet in [outer(50, &body), udp(4500, 4500, &body)] {
            let seen = one(LinkType::RAW, &packet);
            assert_eq!((seen.payload.as_slice(), seen.encap.as_str()), (TEXT, "esp-null"));
        }
    }
    for body in [esp(2, 17, 12), esp(2, 4, 13)] {
        assert_eq!(one(LinkType::RAW, &outer(50, &body)).encap, "");
    }
}

#[test]
fn networks_are_told_apart_and_tunnels_are_not() {
    let mut decoder = Decoder::default();
    let mut realm = |packet: &[u8]| {
        let frame = Frame {
            number: 1,
            time: Timestamp::default(),
            interface_id: 0,
            link_type: LinkType::RAW,
            len: 0,
            data: packet,
        };
        decoder.decode(&frame).segment.unwrap().encap.realm()
    };
    let frame = ether(0x0800, &ip());
    let mut vxlan =
        |vni: u8| realm(&udp(1, 4789, &[&[8, 0, 0, 0, 0, 0, vni, 0], &frame[..]].concat()));
    let (one, other) = (vxlan(1), vxlan(2));
    assert!(one != 0 && other != 0 && one != other);
    assert_eq!(vxlan(1), one);
    assert_eq!(realm(&outer(47, &[&[0x20, 0, 8, 0, 0, 0, 0, 1], &ip()[..]].concat())), 0);
}

#[test]
fn transports_with_ports_beside_tcp_and_udp_are_read() {
    let ports = [0xc0, 6, 0, 110];
    let seen = one(LinkType::RAW, &outer(136, &[&ports, &[0; 4], TEXT].concat()));
    assert_eq!(
        (seen.payload.as_slice(), seen.segment.unwrap().1.as_str()),
        (TEXT, "192.0.2.2:110")
    );
    let seen =
        one(LinkType::RAW, &outer(33, &[&ports, &[4, 0, 0, 0], &[0; 4], b"opts", TEXT].concat()));
    assert_eq!((seen.payload.as_slice(), seen.unread), (TEXT, vec![(32, b"opts".to_vec())]));
    let packet = [&ports, &[0; 8][..], &[0, 3, 0, 28], &[0; 12], TEXT].concat();
    let seen = one(LinkType::RAW, &outer(132, &packet));
    assert_eq!((seen.segment.unwrap().1.as_str(), seen.payload), ("192.0.2.2:110", packet));
    assert_eq!(
        refused(LinkType::RAW, &outer(33, &[&ports, &[2, 0, 0, 0][..]].concat())),
        Weird::BadTransportLength
    );
    for proto in [33, 132, 136] {
        assert_eq!(refused(LinkType::RAW, &outer(proto, &[0; 3])), Weird::ShortTransportHeader);
    }
}

#[test]
fn a_datagram_at_the_port_of_a_tunnel_that_does_not_begin_like_it_stays_what_it_is() {
    for port in [1701, 2152, 3544, 4341, 4754, 4789, 4790, 6081, 8472, 37_008] {
        for body in [&b"an answer of 20 octe"[..], b"USER", b""] {
            let mut bench = Bench::default();
            let seen = bench.frame(LinkType::RAW, &udp(port, 40_000, body));
            assert_eq!((seen.payload.as_slice(), seen.encap.as_str()), (body, ""), "{port}");
            assert_eq!(bench.undecoded(), [], "{port}");
        }
    }
}
