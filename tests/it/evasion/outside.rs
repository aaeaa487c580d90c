//! What an attack from outside found: each was a PASS once, or is the noise that must stay one.

use super::base::{ethernet, ipv4, tcp, udp};
use super::*;

/// A datagram of somebody else's that stands in a tunnel: `around` writes what is around the packet.
fn carried(scene: &mut Scene, around: fn(&[u8]) -> (u8, Vec<u8>)) {
    let mut seq = 1000;
    for (flags, text) in
        [(SYN, &b""[..]), (ACK, b"binary \x01 John "), (ACK, b"Smith and more"), (FIN | ACK, b"")]
    {
        let segment = tcp(49_300, 7070, seq, flags, b"", text);
        seq += u32::try_from(text.len()).unwrap() + u32::from(flags & (SYN | FIN) != 0);
        let mut inner = ipv4("10.1.0.1", "10.1.0.2", 6, 7, 0, &segment);
        let words = inner[..20].chunks(2).map(|it| u32::from(it[0]) << 8 | u32::from(it[1]));
        let sum: u32 = words.sum();
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        inner[10..12].copy_from_slice(&sum.to_be_bytes());
        let (proto, body) = around(&inner);
        let outer = ipv4("192.0.2.1", "192.0.2.2", proto, 7, 0, &body);
        scene.wire.frame(ethernet(0x0800, &outer));
    }
}

/// Two halves of the name in datagrams between the same ports, with so many seconds between them.
fn halves(scene: &mut Scene, seconds: u64) {
    scene.datagram(b"John ");
    scene.wire.wait_ms(seconds * 1000);
    scene.datagram(b"Smith");
}

#[test]
fn no_tunnel_at_a_place_of_its_own_hides_a_name() {
    expect(&[
        ("vxlan at another port", Want::NoPass, |s| {
            carried(s, |it| {
                (
                    17,
                    udp(
                        5555,
                        14_789,
                        &[&[8, 0, 0, 0, 0, 0, 5, 0], &ethernet(0x0800, it)[..]].concat(),
                    ),
                )
            });
        }),
        ("openvpn without a cipher", Want::NoPass, |s| {
            carried(s, |it| (17, udp(1194, 1194, &[&[0x30], it].concat())));
        }),
        ("a ping tunnel", Want::NoPass, |s| {
            carried(s, |it| (1, [&[8, 0, 0, 0, 0, 1, 0, 1], it].concat()));
        }),
        ("an unknown protocol", Want::NoPass, |s| {
            carried(s, |it| (200, [&[0; 4], it].concat()));
        }),
        ("esp without a cipher", Want::NoPass, |s| {
            carried(s, |it| {
                (50, [&[0, 0, 0, 7, 0, 0, 0, 1], it, &[1, 2, 2, 4], &[9; 12]].concat())
            });
        }),
        ("esp without a cipher in udp", Want::NoPass, |s| {
            carried(s, |it| {
                (17, udp(4500, 4500, &[&[0, 0, 0, 7, 0, 0, 0, 1], it, &[0, 4], &[9; 16]].concat()))
            });
        }),
        ("a ping that quotes the tunnel's packet", Want::Pass, |s| {
            let quoted = ipv4(CLIENT, GATEWAY, 6, 7, 0, &tcp(49_400, 22, 1, ACK, b"", b""));
            let error = [&[11, 0, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
            s.wire.frame(ethernet(0x0800, &ipv4("10.77.0.1", CLIENT, 1, 7, 0, &error)));
        }),
    ]);
}

#[test]
fn no_silence_between_datagrams_hides_a_name() {
    expect(&[
        ("six minutes", Want::Fail, |s| halves(s, 360)),
        ("two hours, with others in between", Want::Fail, |s| {
            s.datagram(b"John ");
            for minute in 0..120_u16 {
                s.wire.wait_ms(60_000);
                s.wire.udp(&format!("10.77.0.10:{}", 50_000 + minute), "10.77.9.9:53", b"else");
            }
            s.datagram(b"Smith");
        }),
        ("eleven days", Want::Fail, |s| halves(s, 1_000_000)),
        ("time asked for every half hour", Want::Pass, |s| {
            for _ in 0..4 {
                s.wire.udp("10.77.0.10:123", "10.77.9.9:123", &[&[0x23][..], &[7; 47]].concat());
                s.wire.wait_ms(1_800_000);
            }
        }),
    ]);
}

#[test]
fn what_only_looks_like_the_own_machines_hides_no_name() {
    fn local(body: &[u8]) -> Vec<u8> {
        ipv4("127.0.0.1", "127.0.0.1", 17, 7, 0, &udp(49_301, 7071, body))
    }
    expect(&[
        ("loopback addresses on a real link", Want::NoPass, |s| {
            s.wire.frame(ethernet(0x0800, &local(NAME)));
        }),
        ("loopback addresses in a tunnel", Want::NoPass, |s| {
            let outer = ipv4("192.0.2.1", "192.0.2.2", 4, 7, 0, &local(NAME));
            s.wire.frame(ethernet(0x0800, &outer));
        }),
        ("the loopback device beside it", Want::Pass, |s| {
            let mut frame = ethernet(0x0800, &local(NAME));
            frame[..12].fill(0);
            s.wire.frame(frame);
        }),
    ]);
}

#[test]
fn a_text_spread_over_subflows_is_no_pass() {
    expect(&[("multipath tcp", Want::Inconclusive, |s| {
        let join = [&[30, 12, 0x10, 1][..], &[7; 8]].concat();
        for (port, option, text) in
            [(49_300, &[30, 4, 1, 0x81][..], &b"John "[..]), (49_301, &join, b"Smith")]
        {
            for (seq, flags, option, text) in
                [(0, SYN, option, &b""[..]), (1, PSH | ACK, &[], text), (6, FIN | ACK, &[], b"")]
            {
                let segment = tcp(port, 7070, seq, flags, option, text);
                s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 6, 7, 0, &segment)));
            }
        }
    })]);
}
