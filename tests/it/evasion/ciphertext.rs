//! What looks like ciphertext and is not.

use super::*;

const TEXT: &str = "from marion to the elves: the sleigh list is in the folder, and the snow is deep this year\r\n";

/// Text without an identifier.
pub(super) fn text(octets: usize) -> Vec<u8> {
    TEXT.bytes().cycle().take(octets).collect()
}

/// A second conn to the gateway with a real handshake: the first frames of the recorded one, and then what follows.
pub(super) fn second(scene: &mut Scene) -> Tcp {
    let mut tcp = scene.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
    for (by_client, payload) in base::opening() {
        if by_client {
            scene.wire.client(&mut tcp, &payload);
        } else {
            scene.wire.server(&mut tcp, &payload);
        }
    }
    tcp
}

#[test]
fn a_conn_in_the_clear_beside_the_tunnel_is_no_pass() {
    expect(&[
        ("text on the gateway's port", Want::Fail, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
            s.wire.server(&mut tcp, b"SSH-2.0-OpenSSH_9.2p1\r\n");
            s.wire.client(&mut tcp, b"SSH-2.0-OpenSSH_9.2p1\r\n");
            s.wire.client(&mut tcp, &text(300));
            s.wire.server(&mut tcp, &text(300));
            s.wire.close(&mut tcp);
        }),
        ("a handshake and nothing more", Want::Pass, |s| {
            let mut tcp = second(s);
            s.wire.client(&mut tcp, &seeded(51, 400));
            s.wire.server(&mut tcp, &seeded(52, 400));
            s.wire.close(&mut tcp);
        }),
        ("a handshake, then text", Want::Fail, |s| {
            let mut tcp = second(s);
            s.wire.client(&mut tcp, &text(500));
            s.wire.server(&mut tcp, &text(500));
            s.wire.close(&mut tcp);
        }),
        ("a handshake, then base64", Want::NoPass, |s| {
            let mut tcp = second(s);
            let encoded = data_encoding::BASE64.encode(&seeded(53, 900));
            s.wire.client(&mut tcp, encoded.as_bytes());
            s.wire.server(&mut tcp, encoded.as_bytes());
            s.wire.close(&mut tcp);
        }),
        ("a handshake, then hex of one side", Want::NoPass, |s| {
            let mut tcp = second(s);
            let encoded = data_encoding::HEXLOWER.encode(&seeded(53, 300));
            s.wire.client(&mut tcp, &seeded(54, 900));
            s.wire.server(&mut tcp, encoded.as_bytes());
            s.wire.close(&mut tcp);
        }),
        ("a handshake, then utf-16", Want::NoPass, |s| {
            let mut tcp = second(s);
            let wide: Vec<u8> = TEXT.repeat(6).encode_utf16().flat_map(u16::to_le_bytes).collect();
            s.wire.client(&mut tcp, &wide);
            s.wire.server(&mut tcp, &wide);
            s.wire.close(&mut tcp);
        }),
        ("a line of text amid ciphertext", Want::NoPass, |s| {
            let line = text(80);
            s.wire.client(&mut s.tunnel, &line);
        }),
        ("the name amid ciphertext", Want::Fail, |s| {
            let mut piece = seeded(55, 700);
            piece[300..310].copy_from_slice(NAME);
            s.wire.client(&mut s.tunnel, &piece);
        }),
        ("the name in ciphertext, in two segments", Want::Fail, |s| {
            s.wire.client(&mut s.tunnel, b"\x80\x81John S");
            s.wire.client(&mut s.tunnel, b"mith\x80\x81");
        }),
        ("the name in base64 amid ciphertext", Want::Fail, |s| {
            let mut piece = seeded(56, 700);
            let name = data_encoding::BASE64.encode(b"..John Smith..");
            piece[300..300 + name.len()].copy_from_slice(name.as_bytes());
            s.wire.server(&mut s.tunnel, &piece);
        }),
        ("the name in place of ciphertext", Want::Fail, |s| {
            let seq = s.tunnel.client_seq;
            let tunnel = s.tunnel.clone();
            s.wire.client(&mut s.tunnel, &seeded(57, 100));
            s.wire.segment(&tunnel, true, seq + 40, tunnel.server_seq, PSH | ACK, NAME);
        }),
        ("the name in place of ciphertext, octet by octet", Want::NoPass, |s| {
            let seq = s.tunnel.client_seq;
            let tunnel = s.tunnel.clone();
            s.wire.client(&mut s.tunnel, &seeded(57, 100));
            for (place, octet) in (40_u32..).zip(NAME) {
                s.wire.segment(&tunnel, true, seq + place, tunnel.server_seq, PSH | ACK, &[*octet]);
            }
        }),
        ("text in place of ciphertext", Want::NoPass, |s| {
            let seq = s.tunnel.client_seq;
            let tunnel = s.tunnel.clone();
            s.wire.client(&mut s.tunnel, &seeded(57, 300));
            s.wire.segment(&tunnel, true, seq, tunnel.server_seq, PSH | ACK, &text(300));
        }),
        ("ciphertext that is missing", Want::Pass, |s| {
            s.tunnel.client_seq += 900;
            s.wire.client(&mut s.tunnel, &seeded(58, 300));
        }),
        ("ssh without an answer", Want::NoPass, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
            for (by_client, payload) in base::opening() {
                if by_client {
                    s.wire.client(&mut tcp, &payload);
                }
            }
            s.wire.client(&mut tcp, &seeded(59, 900));
        }),
        ("a handshake that lacks a segment", Want::NoPass, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:22");
            for (at, (by_client, payload)) in base::opening().into_iter().enumerate() {
                if at == 3 {
                    tcp.advance(by_client, payload.len());
                } else if by_client {
                    s.wire.client(&mut tcp, &payload);
                } else {
                    s.wire.server(&mut tcp, &payload);
                }
            }
            s.wire.client(&mut tcp, &seeded(59, 900));
            s.wire.server(&mut tcp, &seeded(60, 900));
        }),
        ("a handshake, then deflated text", Want::NoPass, |s| {
            let mut tcp = second(s);
            let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::Write::write_all(&mut zipped, &text(90_000)).unwrap();
            let zipped = zipped.finish().unwrap();
            s.wire.client(&mut tcp, &zipped);
            s.wire.server(&mut tcp, &zipped);
            s.wire.close(&mut tcp);
        }),
        ("telnet on the gateway", Want::Fail, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49600", "10.77.0.20:23");
            s.wire.server(&mut tcp, b"\xff\xfd\x18\r\nnimbus login: ");
            s.wire.client(&mut tcp, b"w\r\n");
            s.wire.close(&mut tcp);
        }),
        ("another user's tunnel, the client given", Want::Pass, |s| {
            let mut tcp = s.wire.connect("10.77.0.99:49600", "10.77.0.20:22");
            s.wire.server(&mut tcp, b"SSH-2.0-OpenSSH_9.2p1\r\n");
            s.wire.client(&mut tcp, b"SSH-2.0-OpenSSH_9.2p1\r\n");
            s.wire.client(&mut tcp, &text(300));
            s.wire.close(&mut tcp);
        }),
    ]);
}

/// A record of TLS.
pub(super) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3, len[0], len[1]][..], body].concat()
}

/// A hello: 1 by the client, 2 by the server, with one suite; TLS 1.3 by its extension.
pub(super) fn hello(kind: u8, suite: u16, is_13: bool) -> Vec<u8> {
    let [high, low] = suite.to_be_bytes();
    let mut body = vec![3, 3];
    body.extend_from_slice(&seeded(u64::from(kind), 32));
    body.push(0);
    if kind == 1 {
        body.extend_from_slice(&[0, 2, high, low, 1, 0]);
    } else {
        body.extend_from_slice(&[high, low, 0]);
    }
    let version: &[u8] = if kind == 1 { &[0, 43, 0, 3, 2, 3, 4] } else { &[0, 43, 0, 2, 3, 4] };
    let share = [&[0, 51, 0, 36, 0, 29, 0, 32][..], &seeded(3, 32)].concat();
    let share = if kind == 1 {
        [&[0, 51, 0, 38, 0, 36, 0, 29, 0, 32][..], &seeded(3, 32)].concat()
    } else {
        share
    };
    let extensions = if is_13 { [version, &share].concat() } else { Vec::new() };
    body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&extensions);
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    record(22, &[&[kind, len[1], len[2], len[3]][..], &body].concat())
}

pub(super) const PLAIN: &str = r#"
[target]
tunnel = "none"
client = ["10.77.0.10"]
identifiers = { username = ["jsmith", "John Smith"] }

[[target.service]]
name = "mail"
kind = "pop3"
host = "dasher.dartmouth.edu"
port = 995
address = ["10.77.1.30"]
"#;

/// Hellos of both, the change of ciphers, then what follows each way, in records.
pub(super) fn tls(scene: &mut Scene, suite: u16, is_13: bool, up: &[u8], down: &[u8]) {
    scene.target = PLAIN.to_owned();
    let mut tcp = scene.wire.connect("10.77.0.10:49700", "10.77.1.30:995");
    scene.wire.client(&mut tcp, &hello(1, suite, is_13));
    scene.wire.server(&mut tcp, &hello(2, suite, is_13));
    let kind = if is_13 { 23 } else { 22 };
    scene.wire.client(&mut tcp, &[record(20, &[1]), record(kind, &seeded(61, 64))].concat());
    scene.wire.server(&mut tcp, &[record(20, &[1]), record(kind, &seeded(62, 64))].concat());
    for (up, down) in up.chunks(200).zip(down.chunks(200)) {
        scene.wire.client(&mut tcp, &record(23, up));
        scene.wire.server(&mut tcp, &record(23, down));
    }
    scene.wire.close(&mut tcp);
}

#[test]
fn tls_by_its_looks_is_no_pass() {
    expect(&[
        ("1.3", Want::Pass, |s| tls(s, 0x1301, true, &seeded(63, 1000), &seeded(64, 1000))),
        ("1.2", Want::Pass, |s| tls(s, 0xc02f, false, &seeded(63, 1000), &seeded(64, 1000))),
        ("1.3 with text", Want::Fail, |s| tls(s, 0x1301, true, &text(1000), &text(1000))),
        ("1.3 with text one way", Want::Fail, |s| {
            tls(s, 0x1301, true, &seeded(63, 1000), &text(1000))
        }),
        ("1.3 with little text", Want::NoPass, |s| tls(s, 0x1301, true, &text(60), &text(60))),
        ("1.3 with base64", Want::NoPass, |s| {
            let encoded = data_encoding::BASE64.encode(&seeded(65, 900));
            tls(s, 0x1301, true, encoded.as_bytes(), encoded.as_bytes());
        }),
        ("null", Want::Fail, |s| tls(s, 0xc006, false, &seeded(63, 1000), &seeded(64, 1000))),
        ("null with sha-256", Want::Fail, |s| {
            tls(s, 0x003b, false, &seeded(63, 1000), &seeded(64, 1000))
        }),
        ("1.3 integrity only", Want::Fail, |s| {
            tls(s, 0xc0b4, true, &seeded(63, 1000), &seeded(64, 1000))
        }),
        ("export", Want::Fail, |s| tls(s, 0x0003, false, &seeded(63, 1000), &seeded(64, 1000))),
        ("nobody's suite", Want::NoPass, |s| {
            tls(s, 0xfafa, false, &seeded(63, 1000), &seeded(64, 1000))
        }),
        ("a second conn in the clear", Want::Fail, |s| {
            tls(s, 0x1301, true, &seeded(63, 1000), &seeded(64, 1000));
            let mut tcp = s.wire.connect("10.77.0.10:49701", "10.77.1.30:995");
            s.wire.server(&mut tcp, b"+OK POP3 ready\r\n");
            s.wire.client(&mut tcp, b"USER woz\r\n");
            s.wire.close(&mut tcp);
        }),
        ("a second conn that is random", Want::Inconclusive, |s| {
            tls(s, 0x1301, true, &seeded(63, 1000), &seeded(64, 1000));
            let mut tcp = s.wire.connect("10.77.0.10:49701", "10.77.1.30:995");
            s.wire.client(&mut tcp, &seeded(66, 900));
            s.wire.server(&mut tcp, &seeded(67, 900));
            s.wire.close(&mut tcp);
        }),
        ("starttls that was refused", Want::Fail, |s| {
            s.target = PLAIN.replace("995", "110");
            let mut tcp = s.wire.connect("10.77.0.10:49701", "10.77.1.30:110");
            s.wire.server(&mut tcp, b"+OK POP3 ready\r\n");
            s.wire.client(&mut tcp, b"STLS\r\n");
            s.wire.server(&mut tcp, b"-ERR no\r\n");
            s.wire.client(&mut tcp, b"NOOP\r\n");
            s.wire.server(&mut tcp, b"+OK\r\n");
            s.wire.close(&mut tcp);
        }),
        ("a login in a protocol of its own, then tls", Want::NoPass, |s| {
            s.target = PLAIN.replace("pop3", "generic");
            let mut tcp = s.wire.connect("10.77.0.10:49701", "10.77.1.30:995");
            s.wire.server(&mut tcp, &text(900));
            s.wire.client(&mut tcp, &text(900));
            s.wire.client(&mut tcp, &hello(1, 0x1301, true));
            s.wire.server(&mut tcp, &hello(2, 0x1301, true));
            s.wire.client(&mut tcp, &record(23, &seeded(61, 900)));
            s.wire.server(&mut tcp, &record(23, &seeded(62, 900)));
            s.wire.close(&mut tcp);
        }),
        ("starttls, then text", Want::Fail, |s| {
            s.target = PLAIN.replace("995", "110");
            let mut tcp = s.wire.connect("10.77.0.10:49701", "10.77.1.30:110");
            s.wire.server(&mut tcp, b"+OK POP3 ready\r\n");
            s.wire.client(&mut tcp, b"STLS\r\n");
            s.wire.server(&mut tcp, b"+OK begin\r\n");
            s.wire.client(&mut tcp, b"LIST\r\n");
            s.wire.server(&mut tcp, &text(200));
            s.wire.close(&mut tcp);
        }),
    ]);
}
