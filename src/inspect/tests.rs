//! The inspector as a whole, on real handshakes and on captures made to fool it.

use super::matcher::Matcher;
use super::*;
use crate::model::{Basis, Class, Endpoint, Field, Identifier, Proto, Rule, Timestamp};
use std::net::Ipv4Addr;

const C: Direction = Direction::OrigToResp;
const S: Direction = Direction::RespToOrig;

const SSH_CHACHA20: &str = include_str!("testdata/ssh-chacha20.conv");
const SSH_ETM: &str = include_str!("testdata/ssh-etm.conv");
const TLS13: &str = include_str!("testdata/tls13.conv");
const TLS13_RETRY: &str = include_str!("testdata/tls13-retry.conv");
const TLS13_EARLY: &str = include_str!("testdata/tls13-early.conv");
const TLS12: &str = include_str!("testdata/tls12.conv");
const TLS12_NULL: &str = include_str!("testdata/tls12-null.conv");
const TLS12_ANON: &str = include_str!("testdata/tls12-anon.conv");

/// Segments of a recorded talk: `C` or `S`, then the octets in hex.
fn recorded(text: &str) -> Vec<(Direction, Vec<u8>)> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(side, hex)| {
            let dir = if side == "C" { C } else { S };
            (dir, data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap())
        })
        .collect()
}

/// xorshift64*: octets that look random, the same in every run.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    })
    .take(len)
    .collect()
}

fn identifier(label: &str, text: &str) -> Identifier {
    Identifier { label: label.into(), text: text.into() }
}

struct Play {
    inspector: Inspector,
    offsets: [u64; 2],
    missed: [u64; 2],
    bytes: [u64; 2],
    frame: u64,
    id: ConnId,
    midstream: bool,
}

impl Play {
    fn new(port: u16, proto: Proto) -> Self {
        let identifiers =
            [identifier("username", "jsmith"), identifier("folders", "Reindeer Games")];
        let matcher = Matcher::new(&identifiers, &["tunnelcheck-token-4711".into()]).unwrap();
        let mut inspector = Inspector::new(Arc::new(matcher));
        let end = |last, port| Endpoint { ip: Ipv4Addr::new(10, 0, 0, last).into(), port };
        let id = ConnId { orig: end(5, 49158), resp: end(2, port), proto };
        inspector.opened(ConnSlot(3), Uid(1), &id, FrameRef::default());
        Self {
            inspector,
            offsets: [0; 2],
            missed: [0; 2],
            bytes: [0; 2],
            frame: 0,
            id,
            midstream: false,
        }
    }

    fn tcp(port: u16) -> Self {
        Self::new(port, Proto::TCP)
    }

    fn say(&mut self, dir: Direction, bytes: &[u8]) -> &mut Self {
        self.frame += 1;
        let time = Timestamp::from_nanos(i64::try_from(self.frame).unwrap() * 1_000_000);
        let frames = FrameSpan::one(FrameRef { number: self.frame, time });
        let offset = self.offsets[dir.index()];
        self.inspector.chunk(ConnSlot(3), dir, &Chunk::Data { offset, bytes, frames });
        self.offsets[dir.index()] += bytes.len() as u64;
        self.bytes[dir.index()] += bytes.len() as u64;
        self
    }

    fn all(&mut self, talk: &[(Direction, Vec<u8>)]) -> &mut Self {
        for (dir, bytes) in talk {
            self.say(*dir, bytes);
        }
        self
    }

    fn gap(&mut self, dir: Direction, len: u64) -> &mut Self {
        let offset = self.offsets[dir.index()];
        self.inspector.chunk(ConnSlot(3), dir, &Chunk::Gap { offset, len });
        self.offsets[dir.index()] += len;
        self.missed[dir.index()] += len;
        self
    }

    fn record(&self) -> ConnRecord {
        ConnRecord {
            uid: Uid(1),
            id: self.id,
            first: FrameRef::default(),
            end: Timestamp::default(),
            frames: self.frame,
            bytes: self.bytes,
            missed_bytes: self.missed,
            conflict_bytes: [0; 2],
            midstream: self.midstream,
            evicted: false,
            history: String::new(),
            interfaces: vec![0],
            carriage: None,
        }
    }

    fn end(&mut self) -> Inspection {
        self.inspector.closed(ConnSlot(3), self.record());
        std::mem::replace(
            &mut self.inspector,
            Inspector::new(Arc::new(Matcher::new(&[], &[]).unwrap())),
        )
        .finish()
    }

    fn conn(&mut self) -> ConnSummary {
        self.end().conns.remove(0)
    }
}

fn hits(conn: &ConnSummary, rule: Rule) -> Vec<String> {
    conn.hits
        .iter()
        .filter(|hit| hit.rule == rule)
        .map(|hit| String::from_utf8_lossy(&hit.value).into_owned())
        .collect()
}

fn class(conn: &ConnSummary) -> (Option<&'static str>, Class, Basis) {
    (conn.dialect, conn.class, conn.basis)
}

const ENCRYPTED_SSH: (Option<&str>, Class, Basis) =
    (Some("ssh"), Class::Encrypted, Basis::Handshake);

#[test]
fn real_ssh_is_encrypted_with_the_cipher_that_was_agreed_on() {
    let conn = Play::tcp(22).all(&recorded(SSH_CHACHA20)).conn();
    assert_eq!(class(&conn), ENCRYPTED_SSH, "{:?}", conn.remarks);
    let agreement = conn.agreement.unwrap();
    assert_eq!(agreement.cipher[0], "chacha20-poly1305@openssh.com");
    assert_eq!(agreement.mac, ["", ""]);
    assert!(agreement.real && agreement.weak.is_empty());
    assert!(conn.sealed_bytes[0] > 300 && conn.sealed_bytes[1] > 300, "{:?}", conn.sealed_bytes);
    assert!(conn.sealed_turns > 3);
    let conn = Play::tcp(443).all(&recorded(SSH_ETM)).conn();
    assert_eq!(class(&conn), ENCRYPTED_SSH, "{:?}", conn.remarks);
    let agreement = conn.agreement.unwrap();
    assert_eq!(agreement.cipher, ["aes128-ctr", "aes128-ctr"]);
    assert_eq!(agreement.mac[1], "hmac-sha2-256-etm@openssh.com");
    assert_eq!(agreement.kex, "curve25519-sha256");
}

#[test]
fn real_tls_is_encrypted_and_its_names_are_metadata() {
    let conn = Play::tcp(4433).all(&recorded(TLS13)).conn();
    assert_eq!(
        class(&conn),
        (Some("tls"), Class::Encrypted, Basis::Handshake),
        "{:?}",
        conn.remarks
    );
    let agreement = conn.agreement.clone().unwrap();
    assert_eq!(agreement.version, "TLS 1.3");
    assert_eq!(agreement.cipher[0], "TLS_AES_256_GCM_SHA384");
    assert_eq!(hits(&conn, Rule::Metadata), ["imap.example.org"]);
    let conn = Play::tcp(4433).all(&recorded(TLS12)).conn();
    assert_eq!(
        class(&conn),
        (Some("tls"), Class::Encrypted, Basis::Handshake),
        "{:?}",
        conn.remarks
    );
    let names = ["imap.example.org", "mail.example.org", "mail.example.org", "imap.example.org"];
    assert_eq!(hits(&conn, Rule::Metadata), names);
    for hit in &conn.hits {
        let [.., start, len] = [0, hit.excerpt.start, hit.excerpt.len];
        assert_eq!(hit.excerpt.bytes[start..start + len], hit.value);
    }
}

#[test]
fn a_suite_that_hides_nothing_is_cleartext() {
    let conn = Play::tcp(443).all(&recorded(TLS12_NULL)).conn();
    assert_eq!(class(&conn), (Some("tls"), Class::Cleartext, Basis::Handshake));
    assert_eq!(hits(&conn, Rule::WeakCrypto), ["TLS_RSA_WITH_NULL_SHA256"]);
    let conn = Play::tcp(443).all(&recorded(TLS12_ANON)).conn();
    assert_eq!(
        class(&conn),
        (Some("tls"), Class::Encrypted, Basis::Handshake),
        "{:?}",
        conn.remarks
    );
    assert_eq!(conn.agreement.unwrap().weak, ["unauthenticated (anon)"]);
}

#[test]
fn a_handshake_split_anywhere_reads_the_same() {
    for text in [SSH_CHACHA20, SSH_ETM, TLS13, TLS12, TLS12_NULL] {
        let talk = recorded(text);
        let whole = Play::tcp(22).all(&talk).conn();
        for size in [1, 2, 3, 5, 7, 64, 1000] {
            let cut: Vec<_> = talk
                .iter()
                .flat_map(|(dir, bytes)| bytes.chunks(size).map(|part| (*dir, part.to_vec())))
                .collect();
            let conn = Play::tcp(22).all(&cut).conn();
            assert_eq!(class(&conn), class(&whole), "{size}");
            assert_eq!(conn.agreement, whole.agreement);
            assert_eq!(conn.sealed_bytes, whole.sealed_bytes, "{size}");
            let places = |conn: &ConnSummary| {
                conn.hits.iter().map(|hit| (hit.value.clone(), hit.offset)).collect::<Vec<_>>()
            };
            assert_eq!(places(&conn), places(&whole));
        }
    }
}

/// The handshake alone: everything up to the first segment behind both sealings, then something else.
fn faked(text: &str, then: &[(Direction, Vec<u8>)]) -> ConnSummary {
    let talk = recorded(text);
    let whole = Play::tcp(22).all(&talk).conn();
    let mut left: Vec<u64> =
        (0..2).map(|side| whole.record.bytes[side] - whole.sealed_bytes[side]).collect();
    let mut play = Play::tcp(22);
    for (dir, bytes) in &talk {
        let keep = left[dir.index()].min(bytes.len() as u64);
        left[dir.index()] -= keep;
        if keep > 0 {
            play.say(*dir, &bytes[..usize::try_from(keep).unwrap()]);
        }
    }
    play.all(then).conn()
}

#[test]
fn text_behind_a_real_handshake_is_cleartext() {
    let pop = [
        (S, b"+OK POP3 ready\r\n".to_vec()),
        (C, b"USER jsmith\r\n".to_vec()),
        (S, b"+OK\r\n".to_vec()),
        (C, b"PASS secret, and a little more of it\r\n".to_vec()),
    ];
    for text in [SSH_CHACHA20, SSH_ETM, TLS13, TLS12] {
        let conn = faked(text, &pop);
        assert_eq!(conn.class, Class::Cleartext, "{:?} {:?}", conn.basis, conn.remarks);
        let found = conn.hits.iter().find(|hit| hit.rule == Rule::Identifier).unwrap();
        assert!(!found.in_ciphertext);
        assert_eq!(conn.sealed_bytes, [0, 0]);
    }
    let short = [(C, b"PASS jsmith\r\n".to_vec()), (S, noise(3, 600))];
    for text in [SSH_CHACHA20, SSH_ETM, TLS13, TLS12] {
        let conn = faked(text, &short);
        assert!(matches!(conn.class, Class::Cleartext | Class::Opaque), "{:?}", conn.class);
    }
    let wide: Vec<u8> =
        "the quick brown fox ".repeat(40).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let conn = faked(SSH_CHACHA20, &[(C, wide), (S, noise(4, 900))]);
    assert_eq!(conn.class, Class::Cleartext);
}

#[test]
fn one_line_of_text_in_a_sealed_stream_is_cleartext() {
    let mut octets = noise(11, 300_000);
    octets.extend_from_slice(b"Subject: Reindeer Games this weekend, please reply to me soon\r\n");
    octets.extend(noise(12, 300_000));
    let conn = faked(SSH_CHACHA20, &[(S, octets), (C, noise(13, 500))]);
    assert_eq!(conn.class, Class::Cleartext);
}

#[test]
fn an_unfinished_handshake_is_not_encrypted() {
    for text in [SSH_CHACHA20, SSH_ETM, TLS13, TLS12] {
        let conn = faked(text, &[]);
        assert_eq!((conn.class, conn.sealed_bytes), (Class::Opaque, [0, 0]), "{:?}", conn.remarks);
        // One direction alone goes on.
        let conn = Play::tcp(22).all(&recorded(text)[..1]).conn();
        assert_eq!(conn.class, Class::Opaque);
    }
}

#[test]
fn a_handshake_with_a_hole_proves_nothing() {
    for text in [SSH_CHACHA20, SSH_ETM, TLS13, TLS12] {
        let talk = recorded(text);
        let mut play = Play::tcp(22);
        play.say(talk[0].0, &talk[0].1);
        let lost = &talk[1];
        play.gap(lost.0, lost.1.len() as u64);
        let conn = play.all(&talk[2..]).conn();
        assert_eq!(conn.class, Class::Opaque, "{:?}", conn.remarks);
        assert_eq!(conn.missed_in_clear[lost.0.index()], lost.1.len() as u64);
    }
}

#[test]
fn a_hole_behind_the_sealing_hides_nothing() {
    for text in [SSH_CHACHA20, SSH_ETM, TLS13, TLS12] {
        let mut play = Play::tcp(22);
        let conn = play.all(&recorded(text)).gap(S, 4000).say(S, &noise(1, 2000)).conn();
        assert_eq!(conn.class, Class::Encrypted, "{:?}", conn.remarks);
        assert_eq!((conn.missed_in_clear, conn.record.missed_bytes), ([0, 0], [0, 4000]));
    }
}

#[test]
fn a_banner_and_then_text_is_cleartext() {
    let conn = Play::tcp(22)
        .say(S, b"SSH-2.0-OpenSSH_9.9\r\n")
        .say(C, b"SSH-2.0-fake\r\n")
        .say(C, b"USER jsmith\r\nPASS secret\r\n")
        .say(S, b"+OK jsmith has 2 messages in Reindeer Games\r\n")
        .conn();
    assert_eq!(class(&conn), (Some("ssh"), Class::Cleartext, Basis::Readable));
    assert!(hits(&conn, Rule::Identifier).len() >= 3);
}

#[test]
fn noise_is_opaque_and_text_is_readable_without_a_dialect() {
    let conn = Play::tcp(4000).say(C, &noise(1, 2000)).say(S, &noise(2, 2000)).conn();
    assert_eq!(class(&conn), (None, Class::Opaque, Basis::Random));
    let conn = Play::tcp(4000).say(C, b"\x1f\x8b\x08").say(C, &noise(2, 2000)).conn();
    assert_eq!(class(&conn), (None, Class::Opaque, Basis::Random));
    let conn = Play::tcp(4000).say(C, b"hello there, this is some protocol nobody knows").conn();
    assert_eq!(class(&conn), (None, Class::Cleartext, Basis::Readable));
    let conn = Play::tcp(4000).say(C, b"\x01\x02").conn();
    assert_eq!(class(&conn), (None, Class::Opaque, Basis::None));
    let conn = Play::tcp(4000).conn();
    assert_eq!(class(&conn), (None, Class::Empty, Basis::None));
    let table: Vec<u8> = (0..2000u16).flat_map(|n| [0, 0, (n % 7) as u8, (n >> 8) as u8]).collect();
    let conn = Play::tcp(4000).say(C, &table).conn();
    assert_eq!(class(&conn), (None, Class::Cleartext, Basis::Readable));
}

#[test]
fn a_capture_that_begins_inside_a_sealed_conn_is_opaque() {
    for (text, dialect) in [(SSH_CHACHA20, None), (TLS13, Some("tls"))] {
        let talk = recorded(text);
        let mut play = Play::tcp(22);
        play.midstream = true;
        let from = talk.len() - 6;
        let conn = play.all(&talk[from..]).conn();
        assert_eq!((conn.dialect, conn.class), (dialect, Class::Opaque), "{:?}", conn.remarks);
    }
}

#[test]
fn an_upgrade_keeps_what_was_readable_before() {
    let mut play = Play::tcp(110);
    play.say(S, b"+OK POP3 server of jsmith ready\r\n")
        .say(C, b"STLS\r\n")
        .say(S, b"+OK begin\r\n");
    let conn = play.all(&recorded(TLS12)).conn();
    assert_eq!(
        class(&conn),
        (Some("pop3"), Class::Upgraded, Basis::Handshake),
        "{:?}",
        conn.remarks
    );
    assert_eq!(hits(&conn, Rule::Identifier), ["jsmith"]);
    assert!(conn.sealed_bytes.iter().all(|octets| *octets > 0));
}

#[test]
fn a_hello_that_was_captured_before_the_answer_it_waited_for_begins_the_upgrade() {
    for (greeting, asks, grants) in [
        (&b"+OK POP3 ready\r\n"[..], &b"STLS\r\n"[..], &b"+OK begin\r\n"[..]),
        (b"* OK IMAP4rev1 ready\r\n", b"a1 STARTTLS\r\n", b"a1 OK begin\r\n"),
        (b"220 mail ESMTP\r\n", b"STARTTLS\r\n", b"220 go\r\n"),
        (b"200 NNTP ready\r\n", b"STARTTLS\r\n", b"382 go\r\n"),
    ] {
        let talk = recorded(TLS12);
        let mut play = Play::tcp(9110);
        play.say(S, greeting).say(C, asks).all(&talk[..1]).say(S, grants);
        let conn = play.all(&talk[1..]).conn();
        assert_eq!((conn.class, conn.basis), (Class::Upgraded, Basis::Handshake), "{conn:?}");
        // In pieces it is the same.
        let mut play = Play::tcp(9110);
        play.say(S, greeting).say(C, asks);
        for octet in &talk[0].1 {
            play.say(C, &[*octet]);
        }
        assert_eq!(play.say(S, grants).all(&talk[1..]).conn().class, Class::Upgraded);
        let mut play = Play::tcp(9110);
        play.say(S, greeting).say(C, &[asks, &talk[0].1].concat()).say(S, grants);
        assert_eq!(play.all(&talk[1..]).conn().class, Class::Upgraded);
        // Without the rest, or refused, nothing was hidden.
        let mut play = Play::tcp(9110);
        play.say(S, greeting).say(C, asks).all(&talk[..1]).say(S, b"-ERR no\r\n");
        let conn = play.say(C, b"USER jsmith\r\nPASS sesame\r\n").say(S, b"+OK\r\n").conn();
        assert_eq!(conn.class, Class::Cleartext, "{conn:?}");
        assert_eq!(hits(&conn, Rule::Identifier), ["jsmith"]);
    }
}

#[test]
fn an_upgrade_that_never_comes_is_cleartext() {
    let mut play = Play::tcp(110);
    play.say(S, b"+OK POP3 server ready\r\n").say(C, b"STLS\r\n").say(S, b"+OK begin\r\n");
    play.say(C, b"USER jsmith\r\n").say(S, b"+OK\r\n").say(C, b"PASS secret\r\n");
    let conn = play.conn();
    assert_eq!((conn.dialect, conn.class), (Some("pop3"), Class::Cleartext));
}

#[test]
fn a_last_line_without_an_end_gives_its_field() {
    let mut play = Play::tcp(2110);
    play.say(S, b"+OK POP3 ready\r\n").say(C, b"USER jsmith\r\n").say(S, b"+OK\r\n");
    let conn = play.say(C, b"PASS sesame").conn();
    let of = |field| conn.hits.iter().find(|hit| hit.field == Some(field)).unwrap();
    assert_eq!(of(Field::PASSWORD).value, b"sesame");
    assert_eq!((of(Field::PASSWORD).offset, of(Field::PASSWORD).frames.last), (18, 4));
}

#[test]
fn a_token_is_a_sighting_and_no_hit() {
    let mut play = Play::new(9, Proto::UDP);
    play.inspector.at_interface(7);
    play.say(C, b"tunnelcheck-token-4711");
    let inspection = play.end();
    assert_eq!(inspection.sightings.len(), 1);
    assert_eq!(inspection.sightings[0].interface_id, 7);
    assert_eq!(inspection.sightings[0].uid, Some(Uid(1)));
    assert!(inspection.conns[0].is_control && inspection.conns[0].hits.is_empty());
}

#[test]
fn raw_octets_are_searched() {
    let mut play = Play::tcp(1);
    play.inspector.raw(FrameRef::default(), 2, 14, b"padding with jsmith in it");
    let inspection = play.end();
    assert_eq!(inspection.raw_hits.len(), 1);
    let hit = &inspection.raw_hits[0];
    assert_eq!((hit.uid, hit.offset, hit.out_of_stream), (None, 27, true));
    assert_eq!(inspection.coverage.searched_raw_bytes, 25);
}

#[test]
fn a_flood_hides_no_other_label_and_is_counted() {
    let mut play = Play::tcp(4000);
    for _ in 0..2000 {
        play.say(C, b"hello jsmith, ");
    }
    play.say(C, b"Reindeer Games");
    let inspection = play.end();
    let conn = &inspection.conns[0];
    assert!(conn.hits.iter().any(|hit| hit.label.as_deref() == Some("folders")));
    assert!(conn.hits.len() < 100 && conn.hits_omitted > 1900);
    assert_eq!(inspection.coverage.hits_omitted, conn.hits_omitted);
}

/// Of a flood the first ones are kept, in whichever pieces it comes.
#[test]
fn the_pieces_do_not_matter_to_which_of_many_hits_are_kept() {
    let words =
        [&b"jsmith "[..], b"Reindeer Games\r\n", b"JSMITH ", b"reindeer games. ", b"an=\r\nd "];
    let text: Vec<u8> =
        (0..900).flat_map(|nth| words[nth * nth % 7 % words.len()].to_vec()).collect();
    let kept = |size: usize| {
        let mut play = Play::tcp(4000);
        for piece in text.chunks(size) {
            play.say(C, piece);
        }
        let conn = play.conn();
        assert!(conn.hits_omitted > 300);
        let mut kept: Vec<_> =
            conn.hits.iter().map(|hit| (hit.offset, hit.label.clone(), hit.encoding)).collect();
        kept.sort();
        kept
    };
    let whole = kept(text.len());
    for size in [1, 7, 100, 1460] {
        assert_eq!(kept(size), whole, "{size}");
    }
}

#[test]
fn cipher_none_is_read_on() {
    let packet = |payload: &[u8]| {
        let padding = 4 + (16 - (payload.len() + 1 + 4 + 4) % 16) % 16;
        let mut packet = u32::try_from(payload.len() + 1 + padding).unwrap().to_be_bytes().to_vec();
        packet.push(u8::try_from(padding).unwrap());
        packet.extend_from_slice(payload);
        packet.resize(packet.len() + padding, 0);
        packet
    };
    let string = |text: &str| {
        let mut out = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(text.as_bytes());
        out
    };
    let mut init = vec![20];
    init.extend_from_slice(&noise(1, 16));
    for list in [
        "curve25519-sha256",
        "ssh-ed25519",
        "none",
        "none",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ] {
        init.extend(string(list));
    }
    init.extend_from_slice(&[0; 5]);
    let mut client_kex = vec![30];
    client_kex.extend_from_slice(&noise(2, 36));
    let mut server_kex = vec![31];
    server_kex.extend_from_slice(&noise(3, 180));
    let mut request = vec![50];
    for text in ["jsmith", "ssh-connection", "password"] {
        request.extend(string(text));
    }
    request.push(0);
    request.extend(string("hunter2"));
    let mut play = Play::tcp(22);
    play.say(C, b"SSH-2.0-a\r\n").say(S, b"SSH-2.0-b\r\n");
    play.say(C, &packet(&init)).say(S, &packet(&init));
    play.say(C, &packet(&client_kex)).say(S, &packet(&server_kex));
    play.say(S, &packet(&[21])).say(C, &packet(&[21]));
    let mut keyed = packet(&[5, 0, 0, 0, 0]);
    keyed.extend_from_slice(&noise(5, 32)); // MAC
    keyed.extend(packet(&request));
    let conn = play.say(C, &keyed).conn();
    assert_eq!(class(&conn), (Some("ssh"), Class::Cleartext, Basis::Handshake));
    assert_eq!(hits(&conn, Rule::WeakCrypto), ["none", "none"]);
    let found = |field| conn.hits.iter().find(|hit| hit.field == Some(field)).unwrap();
    assert_eq!(found(Field::USERNAME).value, b"jsmith");
    assert_eq!(found(Field::PASSWORD).value, b"hunter2");
    let identifier = conn.hits.iter().find(|hit| hit.rule == Rule::Identifier).unwrap();
    assert_eq!(identifier.offset, found(Field::USERNAME).offset);
}

#[test]
fn answers_of_names_that_nobody_asks_for_are_not_kept() {
    let message = |name: &str| {
        let (len, rest) = (u8::try_from(name.len()).unwrap(), b"\x03org\0\0\x01\0\x01");
        let head = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0";
        let tail = b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x0a\0\0\x09";
        [head, &[len][..], name.as_bytes(), rest, tail].concat()
    };
    for (hosts, kept) in [(&["mail.org"][..], 1), (&[], 0), (&["other.org"], 0)] {
        let mut play = Play::new(9053, Proto::UDP);
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        play.inspector = play.inspector.for_hosts(hosts);
        let inspection = play.say(S, &message("MAIL")).say(S, &message("far")).end();
        let names: Vec<_> = inspection.names.iter().map(|answer| answer.name.as_str()).collect();
        assert_eq!(names, vec!["mail.org"; kept]);
        assert_eq!(inspection.coverage.hits_omitted, 0);
    }
}

#[test]
fn dns_tells_every_name_that_leads_to_an_address() {
    let question = b"\x04mail\x07example\x03org\x00\x00\x01\x00\x01";
    let mut query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    query.extend_from_slice(question);
    let mut answer = b"\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00".to_vec();
    answer.extend_from_slice(question);
    answer.extend_from_slice(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x0e\x10\x00\x07\x04host\xc0\x11");
    answer.extend_from_slice(b"\xc0\x2e\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\x0a\x00\x00\x09");
    let mut play = Play::new(9053, Proto::UDP);
    let inspection = play.say(C, &query).say(S, &answer).end();
    let names: Vec<_> =
        inspection.names.iter().map(|one| format!("{} {}", one.name, one.address)).collect();
    assert_eq!(names, ["host.example.org 10.0.0.9", "mail.example.org 10.0.0.9"]);
    let conn = &inspection.conns[0];
    assert_eq!(class(conn), (Some("dns"), Class::Cleartext, Basis::Grammar));
    assert_eq!(
        hits(conn, Rule::Metadata),
        ["mail.example.org", "mail.example.org", "host.example.org"]
    );
    // The same over TCP, split anywhere.
    let framed = |message: &[u8]| {
        let mut out = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(message);
        out
    };
    let mut play = Play::tcp(9053);
    play.say(C, &framed(&query));
    for octet in framed(&answer) {
        play.say(S, &[octet]);
    }
    let inspection = play.end();
    assert_eq!(inspection.conns[0].dialect, Some("dns"));
    assert_eq!(inspection.names.len(), 2);
}

#[test]
fn tls_asked_for_in_a_protocol_of_its_own_is_an_upgrade() {
    // PostgreSQL: SSLRequest, then `S`.
    let mut play = Play::tcp(5432);
    play.say(C, b"\0\0\0\x08\x04\xd2\x16\x2f").say(S, b"S");
    let conn = play.all(&recorded(TLS13)).conn();
    assert_eq!(
        class(&conn),
        (Some("tls"), Class::Upgraded, Basis::Handshake),
        "{:?}",
        conn.remarks
    );
    // Refused, and on in the clear.
    let mut play = Play::tcp(5432);
    play.say(C, b"\0\0\0\x08\x04\xd2\x16\x2f").say(S, b"N");
    play.say(C, b"\0\0\0\x28\0\x03\0\0user\0jsmith\0database\0reindeer\0\0");
    let conn = play.conn();
    assert_eq!((conn.dialect, conn.class), (None, Class::Opaque), "too little to be sure");
    assert_eq!(hits(&conn, Rule::Identifier), ["jsmith"]);
    // A hello behind readable text makes nothing of the text good.
    let mut play = Play::tcp(5432);
    play.say(C, b"some protocol that nobody knows, with a name in it: jsmith\r\n");
    play.say(S, b"yes, go on, whatever you want to do, it is all the same to me\r\n");
    let talk = recorded(TLS13);
    let conn = play.all(&talk[..1]).conn();
    assert_eq!(conn.class, Class::Cleartext);
}

#[test]
fn structured_octets_in_real_records_are_not_called_ciphertext() {
    for text in [TLS13, TLS12, SSH_ETM] {
        let whole = Play::tcp(22).all(&recorded(text)).conn();
        assert_eq!(whole.class, Class::Encrypted);
        let mut talk = Vec::new();
        for number in 0..40u8 {
            let wide: Vec<u8> =
                "the quick brown fox".encode_utf16().flat_map(u16::to_le_bytes).collect();
            let mut record = if text == SSH_ETM { vec![0, 0, 0] } else { vec![0x17, 3, 3, 0] };
            if text == SSH_ETM {
                record.push(32);
                record.extend_from_slice(&wide);
                record.resize(4 + 32 + 32, 0x41 + number);
            } else {
                record.push(38);
                record.extend_from_slice(&wide);
            }
            talk.push((C, record.clone()));
            talk.push((S, record));
        }
        let conn = faked(text, &talk);
        assert_ne!(conn.class, Class::Encrypted, "{:?}", conn.remarks);
    }
}

#[test]
fn small_records_with_a_counter_in_the_clear_are_still_ciphertext() {
    let mut talk = Vec::new();
    for number in 1..200u64 {
        let mut record = vec![0x17, 3, 3, 0, 8 + 17];
        record.extend_from_slice(&number.to_be_bytes());
        record.extend(noise(number * 31, 17));
        talk.push((if number % 3 == 0 { S } else { C }, record));
    }
    let conn = faked(TLS12, &talk);
    assert_eq!(conn.class, Class::Encrypted, "{:?}", conn.remarks);
}

#[test]
fn a_second_hello_and_early_data_are_read() {
    for text in [TLS13_RETRY, TLS13_EARLY] {
        let conn = Play::tcp(443).all(&recorded(text)).conn();
        assert_eq!(class(&conn).1, Class::Encrypted, "{:?}", conn.remarks);
        assert_eq!(conn.agreement.unwrap().kex, "secp384r1");
    }
    // Text in the place of early data.
    let mut talk = recorded(TLS13_EARLY);
    let hello = 5 + usize::from(u16::from_be_bytes([talk[0].1[3], talk[0].1[4]]));
    let mut octets = talk[0].1[..hello].to_vec();
    let text = b"USER jsmith, PASS secret, and some more of what nobody should read";
    octets.extend_from_slice(&[0x17, 3, 3, 0, u8::try_from(text.len()).unwrap()]);
    octets.extend_from_slice(text);
    talk[0].1 = octets;
    let conn = Play::tcp(443).all(&talk).conn();
    assert_eq!(conn.class, Class::Cleartext);
}

#[test]
fn no_lost_segment_makes_a_conn_surer() {
    for text in [SSH_CHACHA20, SSH_ETM, TLS13, TLS13_RETRY, TLS13_EARLY, TLS12, TLS12_NULL] {
        let talk = recorded(text);
        let whole = Play::tcp(22).all(&talk).conn();
        for lost in 0..talk.len() {
            let mut play = Play::tcp(22);
            for (at, (dir, bytes)) in talk.iter().enumerate() {
                if at == lost {
                    play.gap(*dir, bytes.len() as u64);
                } else {
                    play.say(*dir, bytes);
                }
            }
            let conn = play.conn();
            if conn.class == Class::Encrypted {
                assert_eq!(whole.class, Class::Encrypted);
                let (dir, bytes) = &talk[lost];
                let side = dir.index();
                let clear = whole.record.bytes[side] - whole.sealed_bytes[side];
                let from: u64 = talk[..lost]
                    .iter()
                    .filter(|one| one.0 == *dir)
                    .map(|one| one.1.len() as u64)
                    .sum();
                let hidden = clear.saturating_sub(from).min(bytes.len() as u64);
                assert!(conn.missed_in_clear[side] >= hidden, "segment {lost}");
            }
        }
    }
}

mod props {
    use super::*;
    use proptest::prelude::*;

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let known: Vec<Vec<u8>> = [SSH_CHACHA20, TLS13, TLS12, TLS12_NULL]
            .iter()
            .flat_map(|text| recorded(text).into_iter().map(|(_, bytes)| bytes))
            .chain([b"STLS\r\n".to_vec(), b"+OK\r\n".to_vec(), b"220 ready\r\n".to_vec()])
            .collect();
        prop_oneof![
            proptest::sample::select(known),
            proptest::collection::vec(any::<u8>(), 1..400),
            "[ -~]{1,60}\r\n".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn nothing_panics_and_nothing_is_encrypted_without_an_agreement(
            script in proptest::collection::vec((any::<bool>(), pieces(), 0..12u8), 0..25),
            is_tcp in any::<bool>(),
            port in prop_oneof![Just(22u16), Just(53), Just(110), Just(443), Just(4000)],
        ) {
            let mut play = Play::new(port, if is_tcp { Proto::TCP } else { Proto::UDP });
            for (by_orig, bytes, what) in script {
                let dir = if by_orig { C } else { S };
                match what {
                    0 => {
                        play.gap(dir, bytes.len() as u64);
                    }
                    1 => {
                        let offset = play.offsets[dir.index()];
                        let frames = FrameSpan::default();
                        let chunk = Chunk::Alternate { offset, bytes: &bytes, disputed: (0, bytes.len()), frames };
                        play.inspector.chunk(ConnSlot(3), dir, &chunk);
                    }
                    _ => {
                        play.say(dir, &bytes);
                    }
                }
            }
            let conn = play.conn();
            if matches!(conn.class, Class::Encrypted | Class::Upgraded) {
                prop_assert!(conn.agreement.as_ref().is_some_and(|agreement| agreement.real));
                prop_assert!(conn.sealed_bytes.iter().sum::<u64>() > 0);
            } else {
                prop_assert_eq!(conn.sealed_bytes, [0, 0]);
                prop_assert_eq!(conn.missed_in_clear, conn.record.missed_bytes);
            }
            for side in 0..2 {
                prop_assert!(conn.sealed_bytes[side] <= conn.record.bytes[side]);
            }
        }

        #[test]
        fn any_split_gives_the_same_summary(
            sizes in proptest::collection::vec(1..200usize, 1..30),
            which in 0..5usize,
        ) {
            let mut talk = vec![
                (S, b"+OK POP3 server of jsmith ready\r\n".to_vec()),
                (C, b"STLS\r\n".to_vec()),
                (S, b"+OK begin\r\n".to_vec()),
            ];
            let text = [SSH_ETM, TLS13, TLS12, TLS13_RETRY, TLS12][which];
            if which < 4 {
                talk.clear();
            }
            talk.extend(recorded(text));
            let whole = Play::tcp(22).all(&talk).conn();
            let mut sizes = sizes.into_iter().cycle();
            let mut play = Play::tcp(22);
            for (dir, bytes) in &talk {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (head, tail) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                    play.say(*dir, head);
                    rest = tail;
                }
            }
            let conn = play.conn();
            prop_assert_eq!(class(&conn), class(&whole));
            prop_assert_eq!(&conn.agreement, &whole.agreement);
            prop_assert_eq!(conn.sealed_bytes, whole.sealed_bytes);
            let places = |conn: &ConnSummary| {
                let mut all: Vec<_> = conn
                    .hits
                    .iter()
                    .map(|hit| (hit.dir, hit.offset, hit.rule, hit.value.clone()))
                    .collect();
                all.sort();
                all
            };
            prop_assert_eq!(places(&conn), places(&whole));
        }
    }
}
#[test]
fn a_silent_conn_is_summed_up_without_a_state_of_its_own() {
    let record = || Play { missed: [3, 4], ..Play::new(110, Proto::TCP) }.record();
    let matcher = Arc::new(Matcher::new(&[], &[]).unwrap());
    let mut inspector = Inspector::new(matcher);
    let rich = Box::new(Conn::new(Uid(1), record().id, &mut Spare::default()));
    let rich = rich.close(record(), &inspector.tools, &mut inspector.log);
    inspector.opened(ConnSlot(0), Uid(1), &record().id, FrameRef::default());
    assert!(matches!(inspector.conns[0], Slot::Silent(..)));
    let silent = inspector.end(ConnSlot(0), record()).unwrap();
    assert_eq!(format!("{silent:?}"), format!("{rich:?}"));
    assert_eq!(silent.missed_in_clear, [3, 4]);
}

#[test]
fn a_request_longer_than_the_opening_is_http_in_any_pieces() {
    let request =
        [b"GET /", &[b'a'; 2600][..], b"?user=jsmith HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    for size in [request.len(), 1460, 700, 10] {
        let mut play = Play::tcp(8080);
        for piece in request.chunks(size) {
            play.say(C, piece);
        }
        assert_eq!(play.conn().dialect, Some("http1"), "in pieces of {size}");
    }
}

/// An answer does not undo what the request was, whether it is read as it comes or when the conn has ended.
#[test]
fn the_protocol_that_was_spoken_first_is_the_one() {
    for is_patient in [false, true] {
        let mut play = Play::tcp(22);
        play.inspector.is_patient = is_patient;
        play.say(C, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        play.say(S, b"SSH-2.0-OpenSSH_6.6.1\r\n");
        play.say(S, b"Protocol mismatch.\n");
        assert_eq!(play.conn().dialect, Some("http1"), "{is_patient}");
    }
}

#[test]
fn a_conn_stays_small() {
    // Six tallies, two scanners and the opening lie behind pointers, made on first need.
    assert!(size_of::<Conn>() <= 616, "{}", size_of::<Conn>());
    assert!(size_of::<Slot>() <= 56, "{}", size_of::<Slot>());
}
