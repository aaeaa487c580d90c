//! The rest of the canon: what one receiver takes and another does not. FIELD names the papers and tools; each trick stands
//! beside its opposite in `noise`, where the same oddity is harmless.

use super::base::{ethernet, ipv4, ipv6, tcp, udp};
use super::*;

/// A segment of the client at `from` octets behind the handshake, changed on its way.
fn odd(scene: &mut Scene, tcp: &Tcp, from: u32, payload: &[u8], change: impl Fn(&mut Vec<u8>)) {
    let seq = tcp.client_seq.wrapping_add(from);
    let mut frame = tcp.octets(true, seq, tcp.server_seq, PSH | ACK, payload);
    change(&mut frame);
    scene.wire.frame(frame);
}

fn plain(scene: &mut Scene, tcp: &Tcp, from: u32, payload: &[u8]) {
    odd(scene, tcp, from, payload, |_| {});
}

fn end(scene: &mut Scene, tcp: &mut Tcp, len: u32) {
    tcp.client_seq = tcp.client_seq.wrapping_add(len);
    scene.wire.ack(tcp, false);
    scene.wire.close(tcp);
}

/// Chaff that a receiver may drop, then the name in two segments, then the same the other way round.
fn chaff(scene: &mut Scene, change: impl Fn(&mut Vec<u8>) + Copy) {
    let mut tcp = scene.stranger();
    odd(scene, &tcp, 0, b"JaneX", change);
    plain(scene, &tcp, 0, b"John ");
    plain(scene, &tcp, 5, b"Smith");
    end(scene, &mut tcp, 10);
}

/// Gives a frame TCP options in place of none.
fn with_options(frame: &mut Vec<u8>, options: &[u8]) {
    let words = options.len() / 4;
    frame.splice(54..54, options.iter().copied());
    frame[46] = u8::try_from(5 + words).unwrap() << 4;
    let len = u16::try_from(frame.len() - 14).unwrap().to_be_bytes();
    frame[16..18].copy_from_slice(&len);
}

#[test]
fn what_one_receiver_takes_and_another_does_not_hides_no_name() {
    expect(&[
        ("chaff with a wrong checksum", Want::NoPass, |s| chaff(s, |it| it[14 + 20 + 16] ^= 0x55)),
        ("chaff with a short ttl", Want::NoPass, |s| chaff(s, |it| it[22] = 1)),
        ("chaff with a wrong ip checksum", Want::NoPass, |s| chaff(s, |it| it[24] ^= 0x55)),
        ("chaff without ack", Want::NoPass, |s| chaff(s, |it| it[14 + 20 + 13] = PSH)),
        ("chaff with an ack of the future", Want::NoPass, |s| {
            chaff(s, |it| it[14 + 20 + 8] ^= 0x40)
        }),
        ("chaff with a signature", Want::NoPass, |s| {
            chaff(s, |it| with_options(it, &[[19, 18].as_slice(), &[7; 16], &[1, 1]].concat()))
        }),
        ("chaff with a time stamp of long ago", Want::NoPass, |s| {
            chaff(s, |it| with_options(it, &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]))
        }),
        ("chaff with an unknown option of ip", Want::NoPass, |s| {
            chaff(s, |it| {
                it.splice(34..34, [0x99, 4, 0, 0]);
                it[14] = 0x46;
                let len = u16::try_from(it.len() - 14).unwrap().to_be_bytes();
                it[16..18].copy_from_slice(&len);
            })
        }),
        ("chaff with urgent octets", Want::NoPass, |s| {
            chaff(s, |it| {
                it[14 + 20 + 13] |= 0x20;
                it[14 + 20 + 19] = 5;
            })
        }),
        ("the name with wrong checksums", Want::Fail, |s| {
            let mut tcp = s.stranger();
            odd(s, &tcp, 0, b"John ", |it| it[14 + 20 + 16] ^= 0x55);
            odd(s, &tcp, 5, b"Smith", |it| it[14 + 20 + 16] ^= 0x55);
            end(s, &mut tcp, 10);
        }),
        ("a reset with a wrong number, then the rest", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            s.wire.segment(&tcp, true, tcp.client_seq.wrapping_add(0x1000_0000), 0, RST, b"");
            s.wire.client(&mut tcp, b"Smith");
            s.wire.close(&mut tcp);
        }),
        ("a reset with a short ttl, then the rest", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            let mut frame = tcp.octets(false, tcp.server_seq, 0, RST, b"");
            frame[22] = 1;
            s.wire.frame(frame);
            s.wire.client(&mut tcp, b"Smith");
            s.wire.close(&mut tcp);
        }),
        ("a fin with a wrong number, then the rest", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John ");
            s.wire.segment(
                &tcp,
                true,
                tcp.client_seq.wrapping_add(50),
                tcp.server_seq,
                FIN | ACK,
                b"",
            );
            s.wire.client(&mut tcp, b"Smith");
        }),
        ("a syn amid the stream that carries data", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"x");
            let seq = tcp.client_seq.wrapping_sub(1);
            s.wire.segment(&tcp, true, seq, 0, SYN, b"John ");
            plain(s, &tcp, 5, b"Smith");
            end(s, &mut tcp, 10);
        }),
        ("fast open, the answer too", Want::Fail, |s| {
            let mut tcp = Tcp::midstream("10.77.0.10:49300", "10.77.9.9:7070", 77, 900);
            s.wire.segment(&tcp, true, 77, 0, SYN, b"hello");
            s.wire.segment(&tcp, false, 900, 83, SYN | ACK, b"John ");
            (tcp.client_seq, tcp.server_seq) = (83, 906);
            s.wire.server(&mut tcp, b"Smith");
            s.wire.close(&mut tcp);
        }),
        ("both open at once", Want::Fail, |s| {
            let mut tcp = Tcp::midstream("10.77.0.10:49300", "10.77.9.9:7070", 100, 500);
            s.wire.segment(&tcp, true, 100, 0, SYN, b"");
            s.wire.segment(&tcp, false, 500, 0, SYN, b"");
            s.wire.segment(&tcp, true, 100, 501, SYN | ACK, b"");
            s.wire.segment(&tcp, false, 500, 101, SYN | ACK, b"");
            (tcp.client_seq, tcp.server_seq) = (101, 501);
            s.wire.client(&mut tcp, b"John ");
            s.wire.client(&mut tcp, b"Smith");
        }),
        ("a keep-alive that says another octet", Want::Fail, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John Smitx");
            s.wire.segment(&tcp, true, tcp.client_seq.wrapping_sub(1), tcp.server_seq, ACK, b"h");
            s.wire.close(&mut tcp);
        }),
        ("backwards over a megabyte", Want::Fail, |s| {
            let mut tcp = s.stranger();
            let len = (1 << 20) + 700;
            let mut octets = vec![b'.'; len];
            octets[len - 705..len - 695].copy_from_slice(NAME);
            let pieces: Vec<_> = octets.chunks(1400).enumerate().collect();
            for (number, piece) in pieces.into_iter().rev() {
                plain(s, &tcp, u32::try_from(number * 1400).unwrap(), piece);
            }
            end(s, &mut tcp, u32::try_from(len).unwrap());
        }),
        ("the last of a stream again, with other octets, a megabyte later", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            for _ in 0..800 {
                s.wire.send(&mut tcp, true, &[b'.'; 1400]);
            }
            plain(s, &tcp, 0_u32.wrapping_sub(1_119_995), b"John ");
            plain(s, &tcp, 0_u32.wrapping_sub(1_119_990), b"Smith");
            s.wire.close(&mut tcp);
        }),
        ("over the wrap of the numbers, backwards", Want::Fail, |s| {
            let mut tcp = Tcp::midstream("10.77.0.10:49300", "10.77.9.9:7070", 0xffff_fff9, 5000);
            s.wire.open(&mut tcp);
            for (at, octet) in (0..10_u32).zip(NAME).rev() {
                plain(s, &tcp, at, &[*octet]);
            }
            end(s, &mut tcp, 10);
        }),
    ]);
}

/// A fragment of IPv4: `from` in octets.
fn part(scene: &mut Scene, id: u16, proto: u8, from: usize, more: bool, body: &[u8]) {
    let field = u16::try_from(from / 8).unwrap() | if more { 0x2000 } else { 0 };
    scene.wire.frame(ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", proto, id, field, body)));
}

#[test]
fn what_one_receiver_puts_together_and_another_does_not_hides_no_name() {
    expect(&[
        ("a header of tcp in fragments of eight", Want::Fail, |s| {
            let segment = tcp(49_300, 7070, 1, PSH | ACK, b"", b"..John Smith");
            for from in (0..segment.len()).step_by(8) {
                let to = segment.len().min(from + 8);
                part(s, 9, 6, from, to < segment.len(), &segment[from..to]);
            }
        }),
        ("one number for two datagrams that take turns", Want::NoPass, |s| {
            let (a, b) =
                (udp(5000, 7070, b"....John XXXXX.."), udp(5000, 7070, b"....YYYYYSmith.."));
            part(s, 9, 17, 0, true, &a[..16]);
            part(s, 9, 17, 0, true, &b[..16]);
            part(s, 9, 17, 16, false, &a[16..]);
            part(s, 9, 17, 16, false, &b[16..]);
        }),
        ("one number for two datagrams, the second with the name", Want::Fail, |s| {
            let (a, b) =
                (udp(5000, 7070, b"....Jane Brown.."), udp(5000, 7070, b"....John Smith.."));
            for datagram in [a, b] {
                part(s, 9, 17, 0, true, &datagram[..16]);
                part(s, 9, 17, 16, false, &datagram[16..]);
            }
        }),
        ("one number, other protocols", Want::NoPass, |s| {
            let datagram = udp(5000, 7070, b"....John Smith..");
            part(s, 9, 17, 0, true, &datagram[..16]);
            part(s, 9, 6, 16, false, &datagram[16..]);
        }),
        ("the second half long after the first", Want::NoPass, |s| {
            let datagram = udp(5000, 7070, b"....John Smith..");
            part(s, 9, 17, 0, true, &datagram[..16]);
            s.wire.wait_ms(90_000);
            part(s, 9, 17, 16, false, &datagram[16..]);
        }),
        ("the second half before the first in time", Want::NoPass, |s| {
            let datagram = udp(5000, 7070, b"....John Smith..");
            part(s, 9, 17, 0, true, &datagram[..16]);
            part(s, 9, 17, 16, false, &datagram[16..]);
            let last = s.wire.frames.len() - 1;
            s.wire.frames[last].time_ns -= 3_600_000_000_000;
        }),
        ("behind the end of the datagram", Want::NoPass, |s| {
            let datagram = udp(5000, 7070, b"............John Smith..");
            part(s, 9, 17, 0, true, &datagram[..16]);
            part(s, 9, 17, 16, false, &datagram[16..24]);
            part(s, 9, 17, 24, false, &datagram[24..]);
        }),
        ("a datagram longer than any", Want::NoPass, |s| {
            part(s, 9, 17, 0, true, &udp(5000, 7070, b"....John"));
            part(s, 9, 17, 65_528, false, b" Smith, of course");
        }),
        ("ipv6, a fragment behind other headers", Want::Fail, |s| {
            let datagram = udp(5000, 7070, b"....John Smith..");
            for (from, piece, more) in [(0_u16, &datagram[..16], 1), (16, &datagram[16..], 0)] {
                let [high, low] = (from | more).to_be_bytes();
                let mut body = vec![60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0];
                body.extend_from_slice(&[17, 0, high, low, 0, 0, 0, 9]);
                body.extend_from_slice(piece);
                s.wire.frame(ethernet(0x86dd, &ipv6("2001:db8:9::1", "2001:db8:9::2", 0, &body)));
            }
        }),
        ("ipv6, a fragment inside a fragment", Want::NoPass, |s| {
            let datagram = udp(5000, 7070, b"....John Smith..");
            for (from, piece, more) in [(0_u16, &datagram[..16], 1), (16, &datagram[16..], 0)] {
                let [high, low] = (from | more).to_be_bytes();
                let body =
                    [&[44, 0, 0, 0, 0, 0, 0, 1, 17, 0, high, low, 0, 0, 0, 9][..], piece].concat();
                s.wire.frame(ethernet(0x86dd, &ipv6("2001:db8:9::1", "2001:db8:9::2", 44, &body)));
            }
        }),
    ]);
}

#[test]
fn the_oddities_of_real_networks_spoil_nothing() {
    expect(&[
        ("frames of 64 KiB by offload", Want::Pass, |s| {
            let piece = seeded(74, 64_000);
            s.wire.client(&mut s.tunnel, &piece);
            s.wire.server(&mut s.tunnel, &piece);
        }),
        ("frames of offload whose length is zero", Want::Pass, |s| {
            s.wire.client(&mut s.tunnel, &seeded(75, 64_000));
            let at = s.wire.frames.len() - 2;
            s.wire.frames[at].octets[16..18].copy_from_slice(&[0, 0]);
        }),
        ("a mirror that shows every frame twice, the second with another ttl", Want::Pass, |s| {
            let twice = |shot: &Shot| {
                let mut other = shot.clone();
                other.octets[22] -= 1;
                [shot.clone(), other]
            };
            s.wire.frames = s.wire.frames.iter().flat_map(twice).collect();
        }),
        ("a control of another run that is seen twice", Want::Pass, |s| {
            for _ in 0..2 {
                let token = b"tunnelcheck-control-abcdefghijklmnop234567qr";
                s.wire.udp("10.77.0.10:5000", "10.77.0.20:9", token);
            }
        }),
        ("acks alone again and again", Want::Pass, |s| {
            for _ in 0..20 {
                s.wire.ack(&s.tunnel, true);
            }
        }),
        ("a window that is shut and opened", Want::Pass, |s| {
            s.tunnel.window = 0;
            s.wire.ack(&s.tunnel, false);
            s.tunnel.window = 500;
            s.wire.ack(&s.tunnel, false);
            s.carry(76, 2);
        }),
        ("ciphertext in two orders at once", Want::Pass, |s| {
            let piece = seeded(77, 6000);
            let before = s.tunnel.clone();
            for number in [3_u32, 1, 0, 2, 4, 1] {
                let from = number as usize * 1200;
                plain(s, &before, number * 1200, &piece[from..from + 1200]);
            }
            s.tunnel.client_seq += 6000;
            s.wire.ack(&s.tunnel, false);
        }),
        ("times of the year 2105", Want::Pass, |s| {
            for shot in &mut s.wire.frames {
                shot.time_ns = 4_294_967_000_000_000_000;
            }
        }),
        ("a time that runs backwards", Want::Pass, |s| {
            let last = s.wire.frames.len() as u64;
            for (number, shot) in (0..).zip(&mut s.wire.frames) {
                shot.time_ns = 1_032_786_192_000_000_000 + (last - number) * 1_000_000;
            }
        }),
        ("a ssh session that is fragmented by a small mtu", Want::Pass, |s| {
            let payload = seeded(78, 1400);
            let frame = s.tunnel.octets(
                true,
                s.tunnel.client_seq,
                s.tunnel.server_seq,
                PSH | ACK,
                &payload,
            );
            for (from, to) in [(0, 800), (800, 1420)] {
                let field = u16::try_from(from / 8).unwrap() | if from == 0 { 0x2000 } else { 0 };
                let body = &frame[34 + from..34 + to];
                s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, GATEWAY, 6, 77, field, body)));
            }
            s.tunnel.client_seq += 1400;
            s.wire.ack(&s.tunnel, false);
        }),
    ]);
}
