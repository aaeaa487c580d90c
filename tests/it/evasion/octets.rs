//! Where the octets of a name may hide in one frame, and how they may be written.

use super::base::{ethernet, ipv4, ipv6, tcp, udp};
use super::*;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use std::io::Write as _;

/// The name in a datagram of nobody's.
fn written(scene: &mut Scene, text: &[u8]) {
    let mut payload = seeded(9, 40);
    payload.extend_from_slice(text);
    payload.extend_from_slice(&seeded(10, 40));
    scene.datagram(&payload);
}

#[test]
fn a_name_is_found_in_every_encoding() {
    expect(&[
        ("ascii", Want::Fail, |s| written(s, NAME)),
        ("other case", Want::Fail, |s| written(s, b"jOHN sMITH")),
        ("utf-16le", Want::Fail, |s| {
            written(s, &"John Smith".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        }),
        ("utf-16be", Want::Fail, |s| {
            written(s, &"John Smith".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
        }),
        ("base64 phase 0", Want::Fail, |s| written(s, BASE64.encode(b"John Smith").as_bytes())),
        ("base64 phase 1", Want::Fail, |s| written(s, BASE64.encode(b".John Smith").as_bytes())),
        ("base64 phase 2", Want::Fail, |s| written(s, BASE64.encode(b"..John Smith..").as_bytes())),
        ("base64 url", Want::Fail, |s| written(s, BASE64URL.encode(b"?>John Smith?>").as_bytes())),
        ("base64 in lines", Want::Fail, |s| {
            let text = BASE64.encode(&[&[b'x'; 50][..], NAME].concat());
            written(s, format!("{}\r\n{}", &text[..68], &text[68..]).as_bytes());
        }),
        ("hex", Want::Fail, |s| written(s, HEXLOWER.encode(NAME).as_bytes())),
        ("HEX", Want::Fail, |s| written(s, HEXUPPER.encode(NAME).as_bytes())),
        ("percent", Want::Fail, |s| written(s, b"user=John%20Smith")),
        ("percent in part", Want::Fail, |s| written(s, b"user=%4Aohn%20S%6dith")),
        ("plus", Want::Fail, |s| written(s, b"user=John+Smith&x=1")),
        ("quoted-printable", Want::Fail, |s| written(s, b"=4Aohn=20Smi=\r\nth")),
        ("rfc 2047 q", Want::Fail, |s| written(s, b"=?utf-8?q?John_Smith?=")),
        ("entities", Want::Fail, |s| written(s, b"&#74;ohn&#x20;Smith")),
        ("json", Want::Fail, |s| written(s, br#""\u004aohn\u0020Smith""#)),
    ]);
}

/// The name among octets that are no text, packed, without the last octets.
fn cut_short(pack: impl FnOnce(&[u8]) -> Vec<u8>, lost: usize) -> Vec<u8> {
    let mut octets = seeded(3, 300);
    for nth in 0..9 {
        octets.extend_from_slice(NAME);
        octets.extend_from_slice(&seeded(nth + 20, 90));
    }
    let mut packed = pack(&octets);
    packed.truncate(packed.len() - lost);
    packed
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    to.write_all(octets).unwrap();
    to.finish().unwrap()
}

fn zlib(octets: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    to.write_all(octets).unwrap();
    to.finish().unwrap()
}

#[test]
fn a_name_is_found_in_packed_data_that_nobody_announced_and_that_has_no_end() {
    expect(&[
        ("gzip", Want::Fail, |s| s.datagram(&cut_short(gzip, 8))),
        ("gzip in its midst", Want::Fail, |s| s.datagram(&cut_short(gzip, 300))),
        ("zlib", Want::Fail, |s| s.datagram(&cut_short(zlib, 4))),
        ("a short login", Want::Fail, |s| {
            let packed = zlib(br#"{"user":"John Smith"}"#);
            s.datagram(&packed[..packed.len() - 4]);
        }),
    ]);
}

/// A segment of a conn of its own with TCP options.
fn with_options(scene: &mut Scene, options: &[u8]) {
    let segment = tcp(49_400, 7070, 1, SYN, options, b"");
    scene.wire.frame(ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 6, 7, 0, &segment)));
}

#[test]
fn a_name_is_found_in_every_part_of_a_frame() {
    expect(&[
        ("tcp options", Want::Fail, |s| with_options(s, b"\xfd\x0cJohn Smith")),
        ("ip options", Want::Fail, |s| {
            let mut packet = ipv4(CLIENT, "10.77.9.9", 17, 7, 0, &udp(49_400, 7070, b"x"));
            packet[0] = 0x48;
            packet[3] += 12;
            packet.splice(20..20, *b"\x88\x0cJohn Smith");
            s.wire.frame(ethernet(0x0800, &packet));
        }),
        ("icmp echo", Want::Fail, |s| {
            let body = [&[8, 0, 0, 0, 0, 1, 0, 1][..], NAME].concat();
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, GATEWAY, 1, 7, 0, &body)));
        }),
        ("icmp error that quotes it", Want::Fail, |s| {
            let quoted = ipv4(CLIENT, "10.77.9.9", 17, 7, 0, &udp(49_400, 7070, b"u John Smith"));
            let body = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
            s.wire.frame(ethernet(0x0800, &ipv4("10.77.0.1", CLIENT, 1, 7, 0, &body)));
        }),
        ("arp padding", Want::Fail, |s| {
            let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
            body.resize(28, 1);
            body.extend_from_slice(b"\0\0\0John Smith\0\0");
            s.wire.frame(ethernet(0x0806, &body));
        }),
        ("ethernet padding", Want::Fail, |s| {
            let mut frame = ethernet(
                0x0800,
                &ipv4(CLIENT, "10.77.9.9", 6, 7, 0, &tcp(49_400, 7070, 1, SYN, b"", b"")),
            );
            frame.extend_from_slice(b"jsmith");
            s.wire.frame(frame);
        }),
        ("unknown ether type", Want::Fail, |s| s.wire.frame(ethernet(0x8999, b"John Smith"))),
        ("unknown ether type alone", Want::NoPass, |s| {
            s.wire.frame(ethernet(0x8847, b"\0\0\0\0xx"))
        }),
        ("esp-null", Want::Fail, |s| {
            let inner = ipv4(
                CLIENT,
                MAIL,
                6,
                7,
                0,
                &tcp(49_400, 110, 1, PSH | ACK, b"", b"USER jsmith\r\n"),
            );
            let body = [&[0, 0, 1, 0, 0, 0, 0, 1][..], &inner, &[1, 2, 2, 4], &[7; 12]].concat();
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 50, 7, 0, &body)));
        }),
        ("esp-null to the gateway", Want::NoPass, |s| {
            let inner =
                ipv4(CLIENT, MAIL, 6, 7, 0, &tcp(49_400, 110, 1, PSH | ACK, b"", b"USER x\r\n"));
            let body = [&[0, 0, 1, 0, 0, 0, 0, 1][..], &inner, &[1, 2, 2, 4], &[7; 12]].concat();
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, GATEWAY, 50, 7, 0, &body)));
        }),
        ("authentication header", Want::Fail, |s| {
            let inner = tcp(49_400, 110, 1, PSH | ACK, b"", b"QUIT\r\n");
            let body = [&[6, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1][..], &[7; 12], &inner].concat();
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, MAIL, 51, 7, 0, &body)));
        }),
        ("ipv6 options chain", Want::Fail, |s| {
            let segment = tcp(49_400, 110, 1, SYN, b"", b"");
            let mut body = Vec::new();
            for next in [43_u8, 60, 60, 60, 6] {
                let next = if next == 43 { 60 } else { next };
                body.extend_from_slice(&[next, 0, 1, 4, 0, 0, 0, 0]);
            }
            body.extend_from_slice(&segment);
            s.wire
                .frame(ethernet(0x86dd, &ipv6("2001:db8:77::10", "2001:db8:77:1::30", 60, &body)));
        }),
        ("ipv6 destination option", Want::Fail, |s| {
            let mut body = vec![17, 1, 0x1e, 10];
            body.extend_from_slice(NAME);
            body.extend_from_slice(&[1, 0]);
            body.extend_from_slice(&udp(1, 2, b""));
            s.wire.frame(ethernet(0x86dd, &ipv6("2001:db8:9::1", "2001:db8:9::2", 60, &body)));
        }),
        ("stack of vlan tags", Want::Fail, |s| {
            let mut body = vec![0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 8, 0];
            body.extend_from_slice(&ipv4(
                CLIENT,
                MAIL,
                6,
                7,
                0,
                &tcp(49_400, 110, 1, SYN, b"", b""),
            ));
            s.wire.frame(ethernet(0x88a8, &body));
        }),
        ("twenty vlan tags", Want::NoPass, |s| {
            let mut body = [0, 5, 0x81, 0].repeat(20);
            body.extend_from_slice(&[0, 5, 8, 0]);
            body.extend_from_slice(&ipv4(
                CLIENT,
                MAIL,
                6,
                7,
                0,
                &tcp(49_400, 110, 1, SYN, b"", b""),
            ));
            s.wire.frame(ethernet(0x8100, &body));
        }),
        ("a frame that ends early", Want::NoPass, |s| {
            let mut frame =
                ethernet(0x0800, &ipv4(CLIENT, MAIL, 6, 7, 0, &tcp(49_400, 110, 1, SYN, b"", b"")));
            frame.truncate(40);
            s.wire.frame(frame);
        }),
        ("short name in a few octets", Want::NoPass, |s| {
            s.target = TARGET.replace("\"jsmith\", ", "\"woz\", ");
            s.datagram(b"user woz\r\n");
        }),
        ("short name in text among random octets", Want::Fail, |s| {
            s.target = TARGET.replace("\"jsmith\", ", "\"woz\", ");
            let text = b"; login name = woz, password: sleigh; ";
            let payload = [&seeded(21, 700)[..], text, &seeded(22, 700)].concat();
            s.datagram(&payload);
        }),
    ]);
}
