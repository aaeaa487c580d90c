//! What other programs pass over in silence, one test each: the ports, orders, sizes, fragments, checksums and link layers
//! for which a credential finder or a detection engine says nothing. None of them may take the FAIL away here.

use super::base::{ethernet, ipv4, ipv6, tcp, udp};
use super::*;

/// A conversation of nobody's with `port`.
fn with_port(scene: &mut Scene, port: u16) -> Tcp {
    scene.wire.connect("10.77.0.10:49310", &format!("10.77.9.9:{port}"))
}

/// The capture so far, the tunnel closed, with another link layer: `header` in front of each IP packet, whose checksum is 0.
fn relinked(scene: &mut Scene, link_type: u32, header: &[u8]) {
    scene.carry(3, 4);
    scene.wire.close(&mut scene.tunnel);
    scene.is_left_open = true;
    let file = scene.wire.pcap();
    let mut out = file[..20].to_vec();
    out.extend_from_slice(&link_type.to_le_bytes());
    let mut at = 24;
    while at < file.len() {
        let len = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
        let frame = &file[at + 16..at + 16 + len];
        if frame[12..14] == [8, 0] {
            let mut packet = frame[14..].to_vec();
            packet[10..12].fill(0);
            let len = u32::try_from(header.len() + packet.len()).unwrap().to_le_bytes();
            out.extend_from_slice(&file[at..at + 8]);
            out.extend_from_slice(&[len, len].concat());
            out.extend_from_slice(header);
            out.extend_from_slice(&packet);
        }
        at += 16 + len;
    }
    scene.files = Some(vec![out]);
}

/// Linux cooked capture of a packet to us: unicast, ARPHRD_ETHER, an address of six octets, IPv4.
const SLL: &[u8] = &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0x20, 0, 0, 8, 0];

#[test]
fn http_in_the_clear_on_443_is_seen() {
    expect(&[("1", Want::Fail, |s| {
        let mut tcp = with_port(s, 443);
        s.wire.client(&mut tcp, b"GET /~jsmith/ HTTP/1.1\r\nHost: a\r\n\r\n");
    })]);
}

#[test]
fn a_name_split_over_segments_or_typed_is_seen() {
    expect(&[
        ("2, two segments", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"USER js");
            s.wire.client(&mut tcp, b"mith\r\n");
        }),
        ("2, one octet a segment, echoed", Want::Fail, |s| {
            let mut tcp = with_port(s, 23);
            s.wire.server(&mut tcp, b"\xff\xfb\x01login: ");
            for octet in b"jsmith\r" {
                s.wire.client(&mut tcp, &[*octet]);
                s.wire.server(&mut tcp, &[*octet]);
            }
        }),
    ]);
}

#[test]
fn a_name_behind_many_octets_and_over_ipv6_is_seen() {
    expect(&[
        ("3, behind 750 octets", Want::Fail, |s| {
            let mut tcp = with_port(s, 21);
            s.wire.client(&mut tcp, &[&b"NOOP\r\n".repeat(200)[..], b"USER jsmith\r\n"].concat());
        }),
        ("3, beyond 50 conns", Want::Fail, |s| {
            for _ in 0..60 {
                let mut tcp = with_port(s, 21);
                s.wire.client(&mut tcp, b"NOOP\r\n");
                s.wire.close(&mut tcp);
            }
            let mut tcp = with_port(s, 21);
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
        }),
        ("3, ipv6", Want::Fail, |s| {
            let mut tcp = s.wire.connect("[2001:db8:77::10]:49311", "[2001:db8:9::9]:21");
            s.wire.server(&mut tcp, b"220 ready\r\n");
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
        }),
    ]);
}

#[test]
fn pop3_on_a_port_of_its_own_is_read() {
    expect(&[("4, a login without the name, to the gateway", Want::Fail, |s| {
        let mut tcp = s.wire.connect("10.77.0.10:49312", "10.77.0.20:2110");
        s.wire.server(&mut tcp, b"+OK ready\r\n");
        s.wire.client(&mut tcp, b"USER other\r\n");
        s.wire.server(&mut tcp, b"+OK\r\n");
        s.wire.client(&mut tcp, b"PASS x\r\n");
    })]);
}

#[test]
fn a_few_random_octets_are_neither_encrypted_nor_readable() {
    expect(&[
        ("5, 256 octets in scope", Want::Inconclusive, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49313", "10.77.0.20:7070");
            s.wire.client(&mut tcp, &seeded(77, 256));
            s.wire.close(&mut tcp);
        }),
        ("5, 256 octets of others", Want::Pass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, &seeded(78, 256));
            s.wire.close(&mut tcp);
        }),
    ]);
}

#[test]
fn starttls_asked_for_and_not_done_is_readable() {
    expect(&[("6", Want::Fail, |s| {
        let mut tcp = s.wire.connect("10.77.0.10:49314", "10.77.0.20:143");
        s.wire.server(&mut tcp, b"* OK ready\r\n");
        s.wire.client(&mut tcp, b"a STARTTLS\r\n");
        s.wire.server(&mut tcp, b"a NO not today\r\n");
        s.wire.client(&mut tcp, b"b LOGIN other sesame\r\n");
        s.wire.server(&mut tcp, b"b OK\r\n");
    })]);
}

#[test]
fn later_fragments_and_tagged_frames_are_seen() {
    expect(&[
        ("7, a later fragment alone", Want::Fail, |s| {
            let packet = ipv4(CLIENT, "10.77.9.9", 17, 7, 185, b"From: John Smith <x>....");
            s.wire.frame(ethernet(0x0800, &packet));
        }),
        ("7, a name in the second fragment", Want::Fail, |s| {
            let whole = udp(5060, 5060, &[&[b'.'; 100][..], NAME].concat());
            for (at, more) in [(0, 0x2000), (80, 0)] {
                let part = if at == 0 { &whole[..80] } else { &whole[80..] };
                let packet = ipv4(CLIENT, "10.77.9.9", 17, 8, more | (at / 8), part);
                s.wire.frame(ethernet(0x0800, &packet));
            }
        }),
        ("7, two tags", Want::Fail, |s| {
            let segment = tcp(49_400, 110, 1, PSH | ACK, b"", b"USER jsmith\r\n");
            let packet = ipv4(CLIENT, "10.77.9.9", 6, 9, 0, &segment);
            let tagged = [&[0, 5, 0x81, 0, 0, 6, 8, 0][..], &packet].concat();
            s.wire.frame(ethernet(0x88a8, &tagged));
        }),
        ("7, a tag and ipv6", Want::Fail, |s| {
            let segment = tcp(49_400, 110, 1, PSH | ACK, b"", b"USER jsmith\r\n");
            let packet = ipv6("2001:db8:77::10", "2001:db8:9::9", 6, &segment);
            s.wire.frame(ethernet(0x8100, &[&[0, 5, 0x86, 0xdd][..], &packet].concat()));
        }),
    ]);
}

#[test]
fn wrong_checksums_conns_already_open_and_late_octets_are_seen() {
    expect(&[
        ("8, a wrong checksum", Want::Fail, |s| {
            let segment = tcp(49_400, 7070, 1, PSH | ACK, b"", b"USER jsmith\r\n");
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 6, 9, 0, &segment)));
        }),
        ("8, open before the capture", Want::Fail, |s| {
            let mut tcp = Tcp::midstream("10.77.0.10:49315", "10.77.9.9:7070", 77, 99);
            s.wire.client(&mut tcp, b"and then John Smith said");
        }),
        ("8, behind two mebibytes", Want::Fail, |s| {
            let mut tcp = s.stranger();
            for piece in seeded(5, 2 << 20).chunks(8192) {
                s.wire.client(&mut tcp, piece);
            }
            s.wire.client(&mut tcp, b"and then John Smith said");
        }),
    ]);
}

#[test]
fn cooked_frames_without_checksums_are_read() {
    expect(&[
        ("9, with the name", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
            relinked(s, 113, SLL);
        }),
        ("9, without it", Want::Pass, |s| relinked(s, 113, SLL)),
    ]);
}

#[test]
fn frames_of_bsd_loopback_are_read() {
    expect(&[
        ("10, of this host", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
            relinked(s, 0, &[2, 0, 0, 0]);
        }),
        ("10, of a host of the other byte order", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
            relinked(s, 0, &[0, 0, 0, 2]);
        }),
        ("10, openbsd", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
            relinked(s, 108, &[0, 0, 0, 2]);
        }),
        ("10, without it", Want::Pass, |s| relinked(s, 108, &[0, 0, 0, 2])),
    ]);
}
