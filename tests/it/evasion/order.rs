//! The canon of evasion: order, overlap, loss, resets, fragments.

use super::base::{ethernet, ipv4, ipv6, tcp, udp};
use super::*;

/// Sends a segment of the client at `from` octets behind the handshake.
fn at(scene: &mut Scene, tcp: &Tcp, from: u32, flags: u8, payload: &[u8]) {
    let seq = tcp.client_seq.wrapping_add(from);
    scene.wire.segment(tcp, true, seq, tcp.server_seq, flags, payload);
}

fn end(scene: &mut Scene, tcp: &mut Tcp, len: u32) {
    tcp.client_seq = tcp.client_seq.wrapping_add(len);
    scene.wire.ack(tcp, false);
    scene.wire.close(tcp);
}

/// Fragments of a UDP datagram: first octet of the body, octets, whether more follow.
fn fragments(scene: &mut Scene, parts: &[(u16, &[u8], bool)]) {
    for (from, body, more) in parts {
        let field = (from / 8) | if *more { 0x2000 } else { 0 };
        let packet = ipv4(CLIENT, "10.77.9.9", 17, 77, field, body);
        scene.wire.frame(ethernet(0x0800, &packet));
    }
}

fn fragments6(scene: &mut Scene, parts: &[(u16, &[u8], bool)]) {
    for (from, body, more) in parts {
        let field = (from & 0xfff8) | u16::from(*more);
        let header = [17, 0, (field >> 8) as u8, (field & 0xff) as u8, 0, 0, 0, 77];
        let packet = ipv6("2001:db8:9::1", "2001:db8:9::2", 44, &[&header[..], body].concat());
        scene.wire.frame(ethernet(0x86dd, &packet));
    }
}

/// A datagram that holds the name across the octets 32 and 40 of its body.
fn datagram() -> Vec<u8> {
    udp(5000, 7070, b"...........................John Smith........")
}

#[test]
fn a_name_is_not_lost_between_segments() {
    expect(&[
        ("one octet a segment", Want::Fail, |s| {
            let mut tcp = s.stranger();
            for octet in b"name: John Smith." {
                s.wire.client(&mut tcp, &[*octet]);
                s.carry(u64::from(*octet), 1);
            }
            s.wire.close(&mut tcp);
        }),
        ("by the server", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.server(&mut tcp, b"\x01\x02John Sm");
            s.wire.server(&mut tcp, b"ith\x03");
            s.wire.close(&mut tcp);
        }),
        ("at the very end, without a close", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.send(&mut tcp, true, b"John Smith");
        }),
        ("backwards", Want::Fail, |s| {
            let mut tcp = s.stranger();
            for from in (0..10).rev() {
                let octet = NAME[from as usize];
                at(s, &tcp, from, PSH | ACK, &[octet]);
            }
            end(s, &mut tcp, 10);
        }),
        ("without ack", Want::Fail, |s| {
            let mut tcp = s.stranger();
            at(s, &tcp, 0, 0, b"John ");
            at(s, &tcp, 5, 0, b"Smith");
            end(s, &mut tcp, 10);
        }),
        ("syn with data", Want::Fail, |s| {
            let tcp = Tcp::midstream("10.77.0.10:49300", "10.77.9.9:7070", 77, 0);
            s.wire.segment(&tcp, true, 77, 0, SYN, b"John ");
            s.wire.segment(&tcp, true, 83, 0, PSH | ACK, b"Smith");
        }),
        ("fin, then data", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            at(s, &tcp, 0, FIN | ACK, b"");
            at(s, &tcp, 0, PSH | ACK, b"Smith");
        }),
        ("rst, then data", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            at(s, &tcp, 0, RST, b"");
            at(s, &tcp, 0, PSH | ACK, b"Smith");
        }),
        ("rst of the other side, a silence, then data", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            s.wire.segment(&tcp, false, tcp.server_seq, 0, RST, b"");
            s.wire.wait_ms(40_000);
            s.carry(31, 1);
            at(s, &tcp, 0, PSH | ACK, b"Smith");
        }),
        ("rst that carries data", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            at(s, &tcp, 0, RST, b"Smith");
        }),
        ("a syn that goes on where the stream stands", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            s.wire.segment(&tcp, true, tcp.client_seq.wrapping_sub(1), 0, SYN, b"");
            at(s, &tcp, 0, PSH | ACK, b"Smith");
        }),
        ("a syn, and the server goes on", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"x");
            s.wire.server(&mut tcp, b"John ");
            s.wire.segment(&tcp, true, 0x7777_7777, 0, SYN, b"");
            s.wire.server(&mut tcp, b"Smith");
        }),
        ("a syn far away", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            s.wire.segment(&tcp, true, tcp.client_seq.wrapping_add(0x4000_0000), 0, SYN, b"");
            at(s, &tcp, 0, PSH | ACK, b"Smith");
        }),
        ("wrap-around", Want::Fail, |s| {
            let mut tcp = Tcp::midstream("10.77.0.10:49300", "10.77.9.9:7070", 0xffff_fffa, 5000);
            s.wire.segment(&tcp, true, tcp.client_seq, 0, SYN, b"");
            s.wire.segment(&tcp, false, 4999, tcp.client_seq.wrapping_add(1), SYN | ACK, b"");
            tcp.client_seq = tcp.client_seq.wrapping_add(1);
            for octet in NAME {
                s.wire.client(&mut tcp, &[*octet]);
            }
        }),
        ("split handshake", Want::Fail, |s| {
            let mut tcp = Tcp::midstream("10.77.0.10:49300", "10.77.9.9:7070", 100, 500);
            s.wire.segment(&tcp, true, 100, 0, SYN, b"");
            s.wire.segment(&tcp, false, 500, 0, SYN, b"");
            s.wire.segment(&tcp, true, 100, 501, SYN | ACK, b"");
            s.wire.segment(&tcp, false, 501, 101, ACK, b"");
            (tcp.client_seq, tcp.server_seq) = (101, 501);
            s.wire.client(&mut tcp, b"John ");
            s.wire.client(&mut tcp, b"Smith");
        }),
        ("port used again with another start", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"hello");
            s.wire.close(&mut tcp);
            let mut tcp =
                Tcp::midstream("10.77.0.10:49300", "10.77.9.9:7070", 0x7000_0000, 0x2000_0000);
            s.wire.segment(&tcp, true, tcp.client_seq, 0, SYN, b"");
            s.wire.segment(&tcp, false, tcp.server_seq, tcp.client_seq + 1, SYN | ACK, b"");
            tcp.client_seq += 1;
            tcp.server_seq += 1;
            s.wire.client(&mut tcp, b"John ");
            s.wire.client(&mut tcp, b"Smith");
        }),
        ("overlap, the name first", Want::Fail, |s| {
            let mut tcp = s.stranger();
            at(s, &tcp, 0, PSH | ACK, b"John Smith");
            at(s, &tcp, 0, PSH | ACK, b"Jane Brown");
            end(s, &mut tcp, 10);
        }),
        ("overlap, the name second", Want::Fail, |s| {
            let mut tcp = s.stranger();
            at(s, &tcp, 0, PSH | ACK, b"Jane Brown");
            at(s, &tcp, 0, PSH | ACK, b"John Smith");
            end(s, &mut tcp, 10);
        }),
        ("overlap behind a hole", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            at(s, &tcp, 1, PSH | ACK, b"ane Brown");
            at(s, &tcp, 1, PSH | ACK, b"ohn Smith");
            at(s, &tcp, 0, PSH | ACK, b"J");
            end(s, &mut tcp, 10);
        }),
        ("the name of two versions", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            at(s, &tcp, 0, PSH | ACK, b"JxhnxSxith");
            for (place, octet) in [(1, b"o"), (4, b" "), (6, b"m")] {
                at(s, &tcp, place, PSH | ACK, octet);
            }
            end(s, &mut tcp, 10);
        }),
        ("chaff in front of the octets", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            for (place, octet) in (0_u32..).zip(NAME) {
                at(s, &tcp, place, PSH | ACK, b"#");
                at(s, &tcp, place, PSH | ACK, &[*octet]);
            }
            end(s, &mut tcp, 10);
        }),
        ("an urgent octet", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            let mut frame =
                tcp.octets(true, tcp.client_seq, tcp.server_seq, PSH | ACK, b"Jo#hn Smith");
            frame[14 + 20 + 13] |= 0x20;
            frame[14 + 20 + 19] = 3;
            s.wire.frame(frame);
            end(s, &mut tcp, 11);
        }),
        ("out of the window", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            at(s, &tcp, 0x5000_0000, PSH | ACK, b"John ");
            at(s, &tcp, 0x5000_0005, PSH | ACK, b"Smith");
            end(s, &mut tcp, 0);
        }),
        ("a hole where the name is", Want::Inconclusive, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            tcp.client_seq += 2;
            s.wire.client(&mut tcp, b"ith");
            s.wire.close(&mut tcp);
        }),
        ("a hole at the end", Want::Inconclusive, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"USER ");
            tcp.client_seq += 6;
            s.wire.ack(&tcp, false);
            s.wire.close(&mut tcp);
        }),
        ("both say fin, a silence, then data", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            at(s, &tcp, 0, FIN | ACK, b"");
            s.wire.segment(&tcp, false, tcp.server_seq, tcp.client_seq, FIN | ACK, b"");
            s.wire.wait_ms(40_000);
            s.carry(32, 1);
            at(s, &tcp, 0, PSH | ACK, b"Smith");
        }),
        ("on two vlans", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            for (tag, text) in [(5, &b"Jane Brown"[..]), (6, NAME)] {
                let mut frame = tcp.octets(true, tcp.client_seq, tcp.server_seq, PSH | ACK, text);
                frame.splice(12..12, [0x81, 0, 0, tag]);
                s.wire.frame(frame);
            }
            end(s, &mut tcp, 10);
        }),
        ("two datagrams", Want::NoPass, |s| {
            s.datagram(b"the name is John ");
            s.datagram(b"Smith, of course");
        }),
        ("one side alone", Want::Fail, |s| {
            let mut tcp = Tcp::midstream("10.77.0.10:49300", "10.77.9.9:7070", 77, 0);
            s.wire.send(&mut tcp, true, b"John ");
            s.wire.send(&mut tcp, true, b"Smith");
        }),
    ]);
}

#[test]
fn a_name_is_not_lost_between_fragments() {
    expect(&[
        ("in order", Want::Fail, |s| {
            let d = datagram();
            fragments(s, &[(0, &d[..40], true), (40, &d[40..], false)]);
        }),
        ("backwards", Want::Fail, |s| {
            let d = datagram();
            fragments(s, &[(40, &d[40..], false), (0, &d[..40], true)]);
        }),
        ("tiny", Want::Fail, |s| {
            let d = datagram();
            for from in (0..d.len()).step_by(8) {
                let to = d.len().min(from + 8);
                fragments(s, &[(u16::try_from(from).unwrap(), &d[from..to], to < d.len())]);
            }
        }),
        ("without the last", Want::Inconclusive, |s| {
            let d = datagram();
            fragments(s, &[(0, &d[..32], true), (32, &d[32..40], true)]);
        }),
        ("without the first", Want::Fail, |s| {
            let d = datagram();
            fragments(s, &[(32, &d[32..40], true), (40, &d[40..], false)]);
        }),
        ("twice with other content", Want::Fail, |s| {
            let d = datagram();
            let other = vec![b'#'; d.len() - 40];
            fragments(s, &[(0, &d[..40], true), (40, &other, false), (40, &d[40..], false)]);
        }),
        ("overlap with other content", Want::Fail, |s| {
            let d = datagram();
            fragments(
                s,
                &[
                    (0, &d[..32], true),
                    (32, &[b'#'; 8], true),
                    (32, &d[32..40], true),
                    (40, &d[40..], false),
                ],
            );
        }),
        ("ipv6", Want::Fail, |s| {
            let d = datagram();
            fragments6(s, &[(40, &d[40..], false), (0, &d[..40], true)]);
        }),
        ("ipv6 atomic", Want::Fail, |s| fragments6(s, &[(0, &datagram(), false)])),
        ("ipv6 overlap", Want::Fail, |s| {
            let d = datagram();
            fragments6(s, &[(0, &d[..40], true), (32, &[b'#'; 16], true), (32, &d[32..], false)]);
        }),
        ("two of five", Want::Fail, |s| {
            let d = datagram();
            fragments(s, &[(24, &d[24..40], true), (40, &d[40..48], true)]);
        }),
        ("two of five, backwards, ipv6", Want::Fail, |s| {
            let d = datagram();
            fragments6(s, &[(40, &d[40..48], true), (24, &d[24..40], true)]);
        }),
        ("half in the first version, half in the second", Want::Fail, |s| {
            let d = datagram();
            let other = [b'#'; 8];
            fragments(
                s,
                &[
                    (0, &d[..32], true),
                    (32, &other, true),
                    (40, &d[40..], false),
                    (32, &d[32..40], true),
                    (40, &[&other[..], &other[..2]].concat(), false),
                ],
            );
        }),
        ("a second version when the datagram is whole", Want::Fail, |s| {
            let d = datagram();
            let other = vec![b'#'; d.len() - 40];
            fragments(s, &[(0, &d[..40], true), (40, &other, false)]);
            fragments(s, &[(40, &d[40..], false)]);
        }),
        ("another version and no name", Want::Inconclusive, |s| {
            let d = datagram();
            let other = vec![b'#'; d.len() - 32];
            fragments(s, &[(0, &d[..32], true), (32, &other, false), (32, &other[8..], true)]);
            fragments(s, &[(32, &vec![b'+'; other.len()], false)]);
        }),
        ("two of five and no name", Want::Inconclusive, |s| {
            fragments(s, &[(24, &[b'+'; 16], true), (40, &[b'+'; 8], true)]);
        }),
        ("under two protocols", Want::Fail, |s| {
            let d = datagram();
            for (proto, from, to) in [(17, 0, 40), (6, 40, d.len())] {
                let field = u16::try_from(from / 8).unwrap() | if from == 0 { 0x2000 } else { 0 };
                let packet = ipv4(CLIENT, "10.77.9.9", proto, 77, field, &d[from..to]);
                s.wire.frame(ethernet(0x0800, &packet));
            }
        }),
        ("beyond the largest datagram", Want::Fail, |s| {
            let d = datagram();
            fragments(s, &[(65_512, &d[24..40], true), (65_528, &d[40..], false)]);
        }),
        ("with contradicting ends", Want::Fail, |s| {
            let d = datagram();
            fragments(s, &[(24, &d[24..40], false), (40, &d[40..], false), (0, &d[..24], true)]);
        }),
        ("cut by the snaplen", Want::NoPass, |s| {
            let d = datagram();
            let packet = ipv4(CLIENT, "10.77.9.9", 17, 77, 0x2000, &d[..40]);
            let frame = ethernet(0x0800, &packet);
            let wire = u32::try_from(frame.len() + 8).unwrap();
            s.wire.frame(frame);
            s.wire.frames.last_mut().unwrap().len = wire;
            fragments(s, &[(48, b"", false)]);
        }),
        ("the rest of a segment whose ports are in a fragment of eight octets", Want::Fail, |s| {
            let whole = tcp(49_400, 7070, 1000, PSH | ACK, &[], b"name: John Smith");
            for (from, to) in [(0, 8), (8, 16), (16, 24), (24, whole.len())] {
                let more = if to < whole.len() { 0x2000 } else { 0 };
                let field = u16::try_from(from / 8).unwrap() | more;
                let packet = ipv4(CLIENT, "10.77.9.9", 6, 78, field, &whole[from..to]);
                s.wire.frame(ethernet(0x0800, &packet));
            }
        }),
        ("the first fragment alone of a segment to the service", Want::Fail, |s| {
            let whole = tcp(49_400, 110, 1000, PSH | ACK, &[], b"............");
            let packet = ipv4(CLIENT, MAIL, 6, 78, 0x2000, &whole[..24]);
            s.wire.frame(ethernet(0x0800, &packet));
        }),
        ("a second version goes to the service", Want::Fail, |s| {
            for port in [7070, 110] {
                let whole = tcp(49_400, port, 1000, PSH | ACK, &[], b"............");
                let packet = ipv4(CLIENT, MAIL, 6, 78, 0x2000, &whole[..24]);
                s.wire.frame(ethernet(0x0800, &packet));
            }
            let packet = ipv4(CLIENT, MAIL, 6, 78, 3, b"........");
            s.wire.frame(ethernet(0x0800, &packet));
        }),
        ("two of five, inside a tunnel", Want::Fail, |s| {
            let d = datagram();
            for (from, to) in [(40, 48), (24, 40)] {
                let field = u16::try_from(from / 8).unwrap() | 0x2000;
                let inner = ipv4("10.5.0.1", "10.5.0.2", 17, 79, field, &d[from..to]);
                let gre = [&[0, 0, 8, 0][..], &inner].concat();
                s.wire.frame(ethernet(0x0800, &ipv4("10.77.8.8", "10.77.9.9", 47, 80, 0, &gre)));
            }
        }),
        ("begun in a segment, ended in a second version of the next", Want::Fail, |s| {
            let mut conn = s.stranger();
            s.wire.send(&mut conn, true, b"name: John ");
            let (sport, dport) = (49_300, 7070);
            for text in [b"##### is not here", b"Smith, of course!"] {
                let whole = tcp(sport, dport, conn.client_seq, PSH | ACK, &[], text);
                let packet = ipv4(CLIENT, "10.77.9.9", 6, 78, 0x2000, &whole[..32]);
                s.wire.frame(ethernet(0x0800, &packet));
            }
            let whole = tcp(sport, dport, conn.client_seq, PSH | ACK, &[], b"Smith, of course!");
            let packet = ipv4(CLIENT, "10.77.9.9", 6, 78, 4, &whole[32..]);
            s.wire.frame(ethernet(0x0800, &packet));
        }),
    ]);
}

/// Suricata before 7.0.6: fragments that have the identification of a datagram just put together were not put together.
#[test]
fn cve_2024_37151_the_same_identification_again_hides_no_name() {
    expect(&[
        ("another datagram", Want::Fail, |s| {
            let d = datagram();
            let other = vec![b'#'; d.len()];
            fragments(s, &[(0, &other[..40], true), (40, &other[40..], false)]);
            fragments(s, &[(0, &d[..40], true), (40, &d[40..], false)]);
        }),
        ("another datagram that begins alike", Want::Fail, |s| {
            let d = datagram();
            let other = vec![b'#'; d.len() - 40];
            fragments(s, &[(0, &d[..40], true), (40, &other, false)]);
            fragments(s, &[(0, &d[..40], true), (40, &d[40..], false)]);
        }),
        ("both at once", Want::Fail, |s| {
            let d = datagram();
            let other = vec![b'#'; d.len()];
            fragments(s, &[(0, &other[..40], true), (0, &d[..40], true)]);
            fragments(s, &[(40, &other[40..], false), (40, &d[40..], false)]);
        }),
        ("nothing but noise", Want::Pass, |s| {
            for letter in [b'#', b'+', b'.'] {
                let d = udp(5000, 7070, &[letter; 64]);
                fragments(s, &[(0, &d[..40], true), (40, &d[40..], false)]);
            }
        }),
    ]);
}
