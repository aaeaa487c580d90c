//! Text and names where nobody looks for them, and captures that were edited to pass.

use super::base::{ethernet, ipv4, ipv6, tcp, udp};
use super::ciphertext::{hello, record, second, text, tls};
use super::*;

fn frame4(scene: &mut Scene, src: &str, dst: &str, proto: u8, body: &[u8]) {
    scene.wire.frame(ethernet(0x0800, &ipv4(src, dst, proto, 7, 0, body)));
}

/// The two octets of a length in front of a value.
fn sized(value: &[u8]) -> Vec<u8> {
    [&u16::try_from(value.len()).unwrap().to_be_bytes()[..], value].concat()
}

/// An SSH packet that is not encrypted (RFC 4253 s6).
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (5 + payload.len() + 4) % 8) % 8;
    let len = u32::try_from(1 + payload.len() + padding).unwrap().to_be_bytes();
    let mut octets = len.to_vec();
    octets.push(u8::try_from(padding).unwrap());
    octets.extend_from_slice(payload);
    octets.resize(octets.len() + padding, 0);
    octets
}

/// A second conn to the gateway with a real handshake, in which the client says `extra` behind its `at`th piece.
fn second_with(scene: &mut Scene, at: usize, extra: &[u8]) {
    let mut tcp = scene.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
    let mut pieces = 0;
    for (by_client, payload) in base::opening() {
        if by_client {
            scene.wire.client(&mut tcp, &payload);
            pieces += 1;
            if pieces == at {
                scene.wire.client(&mut tcp, extra);
            }
        } else {
            scene.wire.server(&mut tcp, &payload);
        }
    }
    scene.wire.client(&mut tcp, &seeded(51, 400));
    scene.wire.server(&mut tcp, &seeded(52, 400));
    scene.wire.close(&mut tcp);
}

#[test]
fn a_handshake_hides_no_text() {
    expect(&[
        ("ssh packets of no meaning", Want::NoPass, |s| {
            let line = text(200);
            second_with(s, 1, &packet(&[&[99], &line[..]].concat()));
        }),
        ("ssh packets to be ignored", Want::NoPass, |s| {
            let line = text(900);
            second_with(s, 1, &packet(&[&[2, 0, 0, 3, 0x84], &line[..]].concat()));
        }),
        ("ssh key exchange messages that are text", Want::NoPass, |s| {
            second_with(s, 1, &packet(&[&[32], &text(200)[..]].concat()));
        }),
        ("a second proposal of ssh", Want::NoPass, |s| {
            let proposal = base::opening().into_iter().find(|it| it.0 && it.1.len() > 200).unwrap();
            second_with(s, 2, &proposal.1);
        }),
        ("padding of ssh that is text", Want::NoPass, |s| {
            let mut packet = vec![0, 0, 0, 116, 106, 32, 0, 0, 0, 5, 1, 2, 3, 4, 5];
            packet.truncate(5 + 9);
            packet.extend_from_slice(&text(106));
            second_with(s, 1, &packet);
        }),
        ("ssh channel data in front of the ciphers", Want::NoPass, |s| {
            second_with(s, 2, &packet(b"\x5e\0\0\0\0\0\0\0\x15USER woz\r\nPASS bells\r\n"));
        }),
        ("a name in the comment of ssh", Want::Fail, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
            for (at, (by_client, payload)) in base::opening().into_iter().enumerate() {
                let payload = if at == 0 { b"SSH-2.0-x jsmith\r\n".to_vec() } else { payload };
                if by_client {
                    s.wire.client(&mut tcp, &payload);
                } else {
                    s.wire.server(&mut tcp, &payload);
                }
            }
        }),
        ("lines in front of the server's ssh", Want::NoPass, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
            s.wire.server(&mut tcp, &text(930));
            for (by_client, payload) in base::opening() {
                if by_client {
                    s.wire.client(&mut tcp, &payload);
                } else {
                    s.wire.server(&mut tcp, &payload);
                }
            }
            s.wire.client(&mut tcp, &seeded(51, 400));
            s.wire.server(&mut tcp, &seeded(52, 400));
        }),
        ("an urgent octet in the comment of ssh", Want::NoPass, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
            for (at, (by_client, payload)) in base::opening().into_iter().enumerate() {
                let payload = if at == 0 { b"SSH-2.0-x jsm#ith\r\n".to_vec() } else { payload };
                if by_client {
                    s.wire.client(&mut tcp, &payload);
                } else {
                    s.wire.server(&mut tcp, &payload);
                }
                if at == 0 {
                    let frame = s.wire.frames.len() - 2;
                    s.wire.frames[frame].octets[14 + 20 + 13] |= 0x20;
                    s.wire.frames[frame].octets[14 + 20 + 19] = 14;
                }
            }
            s.wire.client(&mut tcp, &seeded(51, 400));
            s.wire.server(&mut tcp, &seeded(52, 400));
        }),
        ("text of another version in the comment of ssh", Want::NoPass, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
            for (at, (by_client, payload)) in base::opening().into_iter().enumerate() {
                let payload = if at == 0 { b"SSH-2.0-x nobody\r\n".to_vec() } else { payload };
                if by_client {
                    s.wire.client(&mut tcp, &payload);
                } else {
                    s.wire.server(&mut tcp, &payload);
                }
                if at == 0 {
                    for (from, octets) in [(10, &b"jsm"[..]), (13, b"ith")] {
                        let seq = 1001 + from;
                        s.wire.segment(&tcp, true, seq, tcp.server_seq, PSH | ACK, octets);
                    }
                }
            }
            s.wire.client(&mut tcp, &seeded(51, 400));
            s.wire.server(&mut tcp, &seeded(52, 400));
        }),
        ("tls alerts that are text", Want::NoPass, |s| {
            s.target = ciphertext::PLAIN.to_owned();
            let mut tcp = s.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
            s.wire.client(&mut tcp, &hello(1, 0xc02f, false));
            s.wire.server(&mut tcp, &hello(2, 0xc02f, false));
            s.wire.client(&mut tcp, &record(21, &text(300)));
            finish_tls(s, &mut tcp);
        }),
        ("tls heartbeats that are text", Want::NoPass, |s| {
            s.target = ciphertext::PLAIN.to_owned();
            let mut tcp = s.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
            s.wire.client(&mut tcp, &hello(1, 0xc02f, false));
            s.wire.server(&mut tcp, &hello(2, 0xc02f, false));
            let beat = [&[1, 1, 44][..], &text(300), &[0; 16]].concat();
            s.wire.client(&mut tcp, &record(24, &beat));
            finish_tls(s, &mut tcp);
        }),
        ("tls handshake messages of no meaning", Want::NoPass, |s| {
            s.target = ciphertext::PLAIN.to_owned();
            let mut tcp = s.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
            s.wire.client(&mut tcp, &hello(1, 0xc02f, false));
            s.wire.server(&mut tcp, &hello(2, 0xc02f, false));
            s.wire.client(&mut tcp, &record(22, &[&[99, 0, 1, 44][..], &text(300)].concat()));
            finish_tls(s, &mut tcp);
        }),
        ("a tls change of ciphers that is text", Want::NoPass, |s| {
            s.target = ciphertext::PLAIN.to_owned();
            let mut tcp = s.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
            s.wire.client(&mut tcp, &hello(1, 0xc02f, false));
            s.wire.server(&mut tcp, &hello(2, 0xc02f, false));
            s.wire.client(&mut tcp, &record(20, &text(300)));
            s.wire.server(&mut tcp, &[record(20, &[1]), record(22, &seeded(62, 64))].concat());
            s.wire.client(&mut tcp, &record(23, &seeded(63, 300)));
            s.wire.server(&mut tcp, &record(23, &seeded(64, 300)));
        }),
        ("tls data in front of the server's hello", Want::NoPass, |s| {
            s.target = ciphertext::PLAIN.to_owned();
            let mut tcp = s.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
            s.wire.client(&mut tcp, &hello(1, 0xc02f, false));
            s.wire.client(&mut tcp, &record(23, &text(300)));
            s.wire.server(&mut tcp, &hello(2, 0xc02f, false));
            finish_tls(s, &mut tcp);
        }),
        ("tls 1.3, a handshake in the clear behind the hello", Want::NoPass, |s| {
            s.target = ciphertext::PLAIN.to_owned();
            let mut tcp = s.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
            s.wire.client(&mut tcp, &hello(1, 0x1301, true));
            s.wire.server(&mut tcp, &hello(2, 0x1301, true));
            s.wire.server(&mut tcp, &record(22, &[&[11, 0, 1, 44][..], &text(300)].concat()));
            s.wire.client(&mut tcp, &[record(20, &[1]), record(23, &seeded(61, 64))].concat());
            s.wire.server(&mut tcp, &record(23, &seeded(64, 300)));
            s.wire.client(&mut tcp, &record(23, &seeded(63, 300)));
        }),
        ("tls, text behind the end", Want::NoPass, |s| {
            tls(s, 0x1301, true, &seeded(63, 1000), &seeded(64, 1000));
            let frames = s.wire.frames.len();
            // In place of the two FINs and the last ACK.
            s.wire.frames.truncate(frames - 3);
            let mut tcp = s.wire.connect("10.77.0.10:49705", "10.77.1.30:995");
            s.wire.client(&mut tcp, &hello(1, 0xc02f, false));
            s.wire.server(&mut tcp, &hello(2, 0xc02f, false));
            finish_tls(s, &mut tcp);
            s.wire.client(&mut tcp, &record(21, &seeded(65, 26)));
            s.wire.client(&mut tcp, &text(60));
        }),
        ("a name as the name of the tls server", Want::Fail, |s| {
            s.target = ciphertext::PLAIN.to_owned();
            let mut tcp = s.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
            let mut octets = hello(1, 0xc02f, false);
            octets.truncate(octets.len() - 2);
            let name = [&[0][..], &sized(b"jsmith.example.org")].concat();
            let extension = [&[0, 0][..], &sized(&sized(&name))].concat();
            octets.extend_from_slice(&sized(&extension));
            let more = u8::try_from(extension.len()).unwrap();
            octets[4] += more;
            octets[8] += more;
            s.wire.client(&mut tcp, &octets);
            s.wire.server(&mut tcp, &hello(2, 0xc02f, false));
            finish_tls(s, &mut tcp);
        }),
        ("a name as the session of tls", Want::Fail, |s| {
            s.target = ciphertext::PLAIN.to_owned();
            let mut tcp = s.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
            let mut octets = hello(1, 0xc02f, false);
            octets[43] = 10;
            octets.splice(44..44, NAME.iter().copied());
            octets[4] += 10;
            octets[8] += 10;
            s.wire.client(&mut tcp, &octets);
            s.wire.server(&mut tcp, &hello(2, 0xc02f, false));
            finish_tls(s, &mut tcp);
        }),
    ]);
}

/// The change of ciphers of TLS 1.2, and some data.
fn finish_tls(scene: &mut Scene, tcp: &mut Tcp) {
    scene.wire.client(tcp, &[record(20, &[1]), record(22, &seeded(61, 64))].concat());
    scene.wire.server(tcp, &[record(20, &[1]), record(22, &seeded(62, 64))].concat());
    scene.wire.client(tcp, &record(23, &seeded(63, 300)));
    scene.wire.server(tcp, &record(23, &seeded(64, 300)));
}

/// A DATA chunk of SCTP in a packet (RFC 9260 s3).
fn sctp(tsn: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x1f, 0x90, 0x1f, 0x91, 0, 0, 0, 1, 0, 0, 0, 0, 0, flags];
    octets.extend_from_slice(&u16::try_from(16 + payload.len()).unwrap().to_be_bytes());
    octets.extend_from_slice(&tsn.to_be_bytes());
    octets.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0]);
    octets.extend_from_slice(payload);
    octets
}

#[test]
fn no_protocol_hides_a_name() {
    expect(&[
        ("sctp", Want::Fail, |s| frame4(s, CLIENT, "10.77.9.9", 132, &sctp(1, 3, NAME))),
        ("sctp, in two chunks", Want::NoPass, |s| {
            frame4(s, CLIENT, "10.77.9.9", 132, &sctp(1, 2, b"John "));
            frame4(s, CLIENT, "10.77.9.9", 132, &sctp(2, 1, b"Smith"));
        }),
        ("udp-lite, in two datagrams", Want::NoPass, |s| {
            frame4(s, CLIENT, "10.77.9.9", 136, &udp(5000, 7070, b"the name is John "));
            frame4(s, CLIENT, "10.77.9.9", 136, &udp(5000, 7070, b"Smith, of course"));
        }),
        ("dccp, in two packets", Want::NoPass, |s| {
            for part in [&b"the name is John "[..], b"Smith, of course"] {
                let body =
                    [&[0x13, 0x88, 0x1b, 0x9e, 4, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1][..], part]
                        .concat();
                frame4(s, CLIENT, "10.77.9.9", 33, &body);
            }
        }),
        ("a protocol of nobody's, in two packets", Want::NoPass, |s| {
            frame4(s, CLIENT, "10.77.9.9", 253, b"the name is John ");
            frame4(s, CLIENT, "10.77.9.9", 253, b"Smith, of course");
        }),
        ("quic by its looks", Want::Fail, |s| {
            let head = [0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x9e];
            s.wire.udp(
                "10.77.0.10:50443",
                "10.77.9.9:443",
                &[&head[..], &seeded(91, 500), NAME, &seeded(92, 600)].concat(),
            );
        }),
        ("wireguard by its looks", Want::Fail, |s| {
            let head = [4, 0, 0, 0, 1, 2, 3, 4, 9, 0, 0, 0, 0, 0, 0, 0];
            s.wire.udp(
                "10.77.0.10:50443",
                "10.77.9.9:51820",
                &[&head[..], NAME, &seeded(92, 60)].concat(),
            );
        }),
        ("a text record of dns", Want::Fail, |s| {
            let mut answer = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
            answer.extend_from_slice(b"\x01x\x07example\x03org\0\0\x10\0\x01");
            answer.extend_from_slice(b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x10\x0fu=John Smith;x=");
            s.wire.udp("10.77.0.53:53", "10.77.0.10:49500", &answer);
        }),
        ("the addresses of ethernet", Want::Fail, |s| {
            let mut frame =
                ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 17, 7, 0, &udp(1, 2, b"x")));
            frame[..6].copy_from_slice(b"jsmith");
            s.wire.frame(frame);
        }),
        ("an address of ipv6", Want::Fail, |s| {
            let packet = ipv6("2001:db8::1", "2001:6a73:6d69:7468::1", 17, &udp(1, 2, b"x"));
            s.wire.frame(ethernet(0x86dd, &packet));
        }),
        ("esp without a cipher, in two segments", Want::NoPass, |s| {
            for (at, part) in [(1, &b"Dear John "[..]), (11, b"Smith, the sleigh is ready\r\n")] {
                let part = if at == 1 {
                    [&text(200)[..], part].concat()
                } else {
                    [part, &text(200)].concat()
                };
                let inner =
                    ipv4(CLIENT, MAIL, 6, 7, 0, &tcp(49_400, 110, at, PSH | ACK, b"", &part));
                let body =
                    [&[0, 0, 1, 0, 0, 0, 0, 1][..], &inner, &[1, 2, 2, 4], &[7; 12]].concat();
                frame4(s, CLIENT, "10.77.9.9", 50, &body);
            }
        }),
        ("ciphertext that was cut, and as many octets of an arp frame", Want::NoPass, |s| {
            s.tunnel.client_seq += 16;
            s.wire.client(&mut s.tunnel, &seeded(58, 300));
            let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
            body.resize(46, 0);
            s.wire.frame(ethernet(0x0806, &body));
            let last = s.wire.frames.len() - 1;
            s.wire.frames[last].octets.truncate(44);
        }),
    ]);
}

/// A DNS answer: `name` has `address`.
fn lie(scene: &mut Scene, name: &str, address: [u8; 4]) {
    let mut answer = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        answer.push(u8::try_from(label.len()).unwrap());
        answer.extend_from_slice(label.as_bytes());
    }
    answer.extend_from_slice(&[0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    answer.extend_from_slice(&address);
    scene.wire.udp("10.77.0.53:53", "10.77.0.10:49500", &answer);
}

fn pop3(scene: &mut Scene, server: &str) {
    let mut tcp = scene.wire.connect("10.77.0.10:49800", server);
    scene.wire.server(&mut tcp, b"+OK POP3 ready\r\n");
    scene.wire.client(&mut tcp, b"USER jsmith\r\n");
    scene.wire.server(&mut tcp, b"+OK\r\n");
    scene.wire.close(&mut tcp);
}

#[test]
fn a_lie_makes_no_pass() {
    expect(&[
        ("an exempt name that is said to be the service", Want::Fail, |s| {
            s.target.push_str(
                "[[target.exempt]]\nname = \"news\"\nhost = \"news.dartmouth.edu\"\nport = 110\nreason = \"public\"\n",
            );
            lie(s, "news.dartmouth.edu", [10, 77, 1, 30]);
            pop3(s, "10.77.1.30:110");
        }),
        ("an exempt host that is said to be the service", Want::Fail, |s| {
            s.target.push_str(
                "[[target.exempt]]\nname = \"news\"\nhost = \"news.dartmouth.edu\"\nreason = \"public\"\n",
            );
            lie(s, "news.dartmouth.edu", [10, 77, 1, 30]);
            pop3(s, "10.77.1.30:143");
        }),
        ("an exempt host that is said to be the gateway", Want::Fail, |s| {
            s.target.push_str(
                "[[target.exempt]]\nname = \"news\"\nhost = \"news.dartmouth.edu\"\nreason = \"public\"\n",
            );
            lie(s, "news.dartmouth.edu", [10, 77, 0, 20]);
            pop3(s, "10.77.0.20:110");
        }),
        ("a gateway that is said to be elsewhere", Want::NoPass, |s| {
            s.target = TARGET.replace("[\"10.77.0.20\"]", "[\"10.77.0.21\"]");
            lie(s, "nimbus.dartmouth.edu", [10, 77, 0, 20]);
        }),
        ("a service that is said to be the mouth of its forward", Want::Fail, |s| {
            lie(s, "dasher.dartmouth.edu", [127, 0, 0, 1]);
            pop3(s, "10.77.1.30:110");
        }),
        ("text behind a control token to the gateway", Want::NoPass, |s| {
            let token = b"tunnelcheck-control-abcdefghijklmnop234567qr";
            s.wire.udp("10.77.0.10:5000", "10.77.0.20:9", token);
            s.wire.udp("10.77.0.10:5000", "10.77.0.20:9", b"USER woz\r\nPASS sleigh-bells\r\n");
        }),
        ("a whole session in datagrams behind a control token", Want::NoPass, |s| {
            let token = b"tunnelcheck-control-abcdefghijklmnop234567qr";
            s.wire.udp("10.77.0.10:5000", "10.77.0.20:9", token);
            s.wire.udp("10.77.0.20:9", "10.77.0.10:5000", &text(300));
        }),
    ]);
}

#[test]
fn a_session_that_stands_beside_itself_hides_nothing() {
    expect(&[
        ("two names in two conns that take turns", Want::Fail, |s| {
            let mut one = s.wire.connect("10.77.0.10:49300", "10.77.9.9:7070");
            let mut other = s.wire.connect("10.77.0.10:49301", "10.77.9.9:7070");
            for (a, b) in b"JohnXSmith".iter().zip(b"John Smith") {
                s.wire.client(&mut one, &[*a]);
                s.wire.client(&mut other, &[*b]);
            }
        }),
        ("a handshake, then text of another conn by the same ports", Want::NoPass, |s| {
            let mut tcp = second(s);
            s.wire.client(&mut tcp, &seeded(51, 400));
            s.wire.server(&mut tcp, &seeded(52, 400));
            s.wire.close(&mut tcp);
            s.wire.wait_ms(90_000);
            s.carry(34, 1);
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
            s.wire.client(&mut tcp, &text(300));
            s.wire.close(&mut tcp);
        }),
        ("a handshake, then text from the middle by the same ports", Want::NoPass, |s| {
            let mut tcp = second(s);
            s.wire.client(&mut tcp, &seeded(51, 400));
            s.wire.server(&mut tcp, &seeded(52, 400));
            s.wire.close(&mut tcp);
            s.wire.wait_ms(90_000);
            s.carry(34, 1);
            s.wire.client(&mut tcp, &text(300));
        }),
        ("text behind the end of the tunnel", Want::NoPass, |s| {
            s.carry(35, 4);
            s.wire.close(&mut s.tunnel);
            s.is_left_open = true;
            let tunnel = s.tunnel.clone();
            s.wire.segment(
                &tunnel,
                true,
                tunnel.client_seq,
                tunnel.server_seq,
                PSH | ACK,
                &text(300),
            );
        }),
        ("text behind a reset of the tunnel", Want::NoPass, |s| {
            s.carry(35, 4);
            let tunnel = s.tunnel.clone();
            s.wire.segment(&tunnel, false, tunnel.server_seq, 0, RST, b"");
            s.is_left_open = true;
            s.wire.segment(
                &tunnel,
                true,
                tunnel.client_seq,
                tunnel.server_seq,
                PSH | ACK,
                &text(300),
            );
        }),
    ]);
}
