//! Tunnels, each on octets made here.

use super::*;

/// What is in the tunnel, the IP protocol or UDP port that it is known by, its layers as they are reported.
fn tunnels() -> Vec<(&'static str, Vec<u8>)> {
    let inner = ip();
    let with = |head: &[u8]| [head, &inner].concat();
    let frame = ether(0x0800, &inner);
    let with_frame = |head: &[u8]| [head, &frame].concat();
    let len = |extra: usize| u16::try_from(inner.len() + extra).unwrap().to_be_bytes();
    let gre = |head: &[u8]| outer(47, &with(head));
    vec![
        ("ipv4", outer(4, &inner)),
        ("ipv4", outer(94, &inner)),
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
            outer(47, &[&[0, 0, 0x65, 0x58][..], &ether(0x8100, &with(&[0, 9, 8, 0]))].concat()),
        ),
        ("nvgre:258", outer(47, &with_frame(&[0x20, 0, 0x65, 0x58, 0, 1, 2, 9]))),
        ("erspan", outer(47, &with_frame(&[0, 0, 0x88, 0xbe]))),
        (
            "erspan:5",
            outer(47, &with_frame(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 5, 0, 0, 0, 0])),
        ),
        (
            "erspan:5",
            outer(
                47,
                &with_frame(
                    &[[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 5].as_slice(), &[0; 8]]
                        .concat(),
                ),
            ),
        ),
        (
            "erspan:5",
            outer(
                47,
                &with_frame(
                    &[
                        [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 5].as_slice(),
                        &[0; 7],
                        &[1],
                        &[0; 8],
                    ]
                    .concat(),
                ),
            ),
        ),
        ("pptp:3", gre(&[&[0x20, 1, 0x88, 0x0b], &len(4)[..], &[0, 3, 0xff, 3, 0, 0x21]].concat())),
        (
            "pptp:3",
            gre(&[&[0x30, 0x81, 0x88, 0x0b], &len(1)[..], &[0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0x21]]
                .concat()),
        ),
        ("vxlan:258", udp(40_000, 4789, &with_frame(&[8, 0, 0, 0, 0, 1, 2, 0]))),
        ("vxlan:258", udp(8472, 40_000, &with_frame(&[8, 0, 0, 0, 0, 1, 2, 0]))),
        ("gre", udp(40_000, 4754, &with(&[0, 0, 8, 0]))),
    ]
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
    for (encap, packet) in tunnels() {
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
    for (encap, packet) in tunnels() {
        for end in 0..packet.len() {
            let mut bench = Bench::default();
            let seen = bench.frame(LinkType::RAW, &packet[..end]);
            assert!(!bench.undecoded().is_empty(), "{encap} of {end} octets");
            let carried = seen.payload.len()
                + seen.unread.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            let headers = packet.len() - TEXT.len();
            assert!(seen.segment.is_none() || carried + headers >= end, "{encap} of {end} octets");
        }
    }
}

#[test]
fn a_fragment_inside_a_tunnel_and_a_tunnel_in_fragments_become_the_segment() {
    let whole = tunnels().len();
    for at in 0..whole {
        let (encap, packet) = tunnels().swap_remove(at);
        // The outer datagram in two fragments.
        let mut bench = Bench::default();
        let body = &packet[20..];
        let first = outer_fragment(packet[9], 0x2000, &body[..48]);
        let second = outer_fragment(packet[9], 6, &body[48..]);
        assert!(bench.frame(LinkType::RAW, &first).is_held);
        let seen = bench.frame(LinkType::RAW, &second);
        expect_text(&seen);
        assert_eq!((seen.encap.as_str(), seen.frames), (encap, (1, 2)));
    }
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
    for (proto, body) in [
        (47, &b"\0\0\x12\x34USER chris\r\n"[..]), // an ether type that nobody knows
        (47, b"\0\0\x00\x17USER chris\r\n"),
        (47, b"\0\x05\x08\0USER chris\r\n"), // version 5
        (47, b"\x30\x01\x88\x0b\0\x10\0\x01\0\0\0\0\0\xfd\x90\x01some ciphertext"), // MPPE
        (4, b"USER chris\r\n"),
        (41, b"USER chris\r\n"),
        (115, b"USER chris\r\n"),
        (108, b"USER chris\r\n"),
    ] {
        let mut bench = Bench::default();
        let seen = bench.frame(LinkType::RAW, &outer(proto, body));
        assert_eq!(seen.segment, Some(("192.0.2.1:0".into(), "192.0.2.2:0".into(), Proto(proto))));
        assert_eq!((seen.payload.as_slice(), seen.encap.as_str()), (body, ""));
        assert_eq!(bench.undecoded().len(), 1);
        if body != b"\0\0\x12\x34USER chris\r\n" {
            assert_eq!(bench.undecoded(), [(Weird::UnreadTunnel(proto), 1)]);
        }
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
