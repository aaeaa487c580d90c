//! The synthetic captures of `captures/`, made octet for octet: whoever reads this file knows what is in them.
//!
//! `UPDATE_CAPTURES=1 cargo test --test it make_captures` writes them again, and the `sha256` of every manifest; what a
//! manifest expects is written by hand alone. Recorded captures (real OpenSSH, TLS and russh sessions) stand beside them; some cases are made from
//! those by leaving frames out or adding some.

use crate::carried_captures::carried;
use crate::derive_captures::derived;
use crate::fooling_captures::fooling;
use crate::wire::{ACK, PSH, Shot, Tcp, Wire};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::Path;

pub(crate) const CLIENT: &str = "10.77.0.10";
pub(crate) const MAIL: &str = "10.77.1.30";

#[test]
fn the_synthetic_captures_are_as_committed() {
    let mut wrong = Vec::new();
    for (name, octets) in synthetic().into_iter().chain(derived()).chain(fooling()).chain(carried())
    {
        let path = Path::new("captures").join(name);
        if std::env::var_os("UPDATE_CAPTURES").is_some() {
            fs::write(&path, &octets).unwrap();
        }
        if fs::read(&path).ok().as_ref() != Some(&octets) {
            wrong.push(name);
        }
    }
    if std::env::var_os("UPDATE_CAPTURES").is_some() {
        renew_digests();
    }
    assert!(wrong.is_empty(), "not as made here: {wrong:?}");
}

/// Writes the digest of each capture into the manifests that name it.
fn renew_digests() {
    for entry in fs::read_dir("captures").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let Some(capture) = table.get("capture").and_then(|name| name.as_str()) else { continue };
        let octets = fs::read(Path::new("captures").join(capture)).unwrap();
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&octets));
        let old = table.get("sha256").and_then(|old| old.as_str()).unwrap();
        let renewed =
            text.replace(&format!("sha256 = \"{old}\""), &format!("sha256 = \"{digest}\""));
        fs::write(&path, renewed).unwrap();
    }
}

pub(crate) fn at(ip: &str, port: u16) -> String {
    format!("{ip}:{port}")
}

fn synthetic() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("dnd-direct.pcap", dnd_direct().pcap()),
        ("blitzmail-direct.pcap", blitzmail_direct().pcap()),
        ("pop3-direct.pcap", pop3_direct().pcap()),
        ("smtp-pgp.pcap", smtp_pgp().pcap()),
        ("ssh-banner-then-text.pcap", ssh_banner_then_text().pcap()),
        ("name-split.pcap", name_split().pcap()),
        ("name-base64.pcap", name_base64().pcap()),
        ("name-utf16.pcap", name_utf16().pcap()),
        ("name-bytewise.pcap", name_bytewise().pcap()),
        ("empty.pcap", Wire::default().pcap()),
        ("arp-only.pcap", arp_only().pcap()),
        ("name-reordered.pcap", name_reordered().pcap()),
        ("name-fragments.pcap", name_fragments().pcap()),
        ("name-vlan.pcap", name_vlan().pcap()),
        ("ssh-faked-handshake.pcap", ssh_faked_handshake().pcap()),
        ("stls-refused.pcap", stls_refused().pcap()),
        ("big-endian.pcap", big_endian(&pop3_direct())),
    ]
}

/// The DND lookup of the first paper's dump: every octet that the dump shows or forces. What it hides (addresses, the
/// high octets of IP ids and sequence numbers, parts of checksums) is filled in with documentation addresses and zeros.
fn dnd_direct() -> Wire {
    const SERVER: [u8; 4] = [192, 0, 2, 9];
    const USER: [u8; 4] = [192, 0, 2, 106];
    let mut wire = Wire::default();
    let mut shot = |time_us: u64,
                    from_server: bool,
                    id: u16,
                    ttl: u8,
                    numbers: [u32; 2],
                    window: u16,
                    flags: u8,
                    checksum: u16,
                    payload: &[u8],
                    padding: &[u8]| {
        let (src, dst) = if from_server { (SERVER, USER) } else { (USER, SERVER) };
        let (sport, dport) = if from_server { (902_u16, 49_169_u16) } else { (49_169, 902) };
        let mut octets = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 106, 8, 0];
        let total = u16::try_from(40 + payload.len()).unwrap();
        octets.extend_from_slice(&[0x45, 0]);
        octets.extend_from_slice(&total.to_be_bytes());
        octets.extend_from_slice(&id.to_be_bytes());
        octets.extend_from_slice(&[0x40, 0, ttl, 6, 0, 0]);
        octets.extend_from_slice(&src);
        octets.extend_from_slice(&dst);
        octets.extend_from_slice(&sport.to_be_bytes());
        octets.extend_from_slice(&dport.to_be_bytes());
        for number in numbers {
            octets.extend_from_slice(&number.to_be_bytes());
        }
        octets.extend_from_slice(&[0x50, flags]);
        octets.extend_from_slice(&window.to_be_bytes());
        octets.extend_from_slice(&checksum.to_be_bytes());
        octets.extend_from_slice(&[0; 2]);
        octets.extend_from_slice(payload);
        octets.extend_from_slice(padding);
        let len = u32::try_from(octets.len()).unwrap();
        // 2002-09-23 is the paper's date; the dump gives the time of day.
        let time_ns = 1_032_739_200_000_000_000 + time_us * 1000;
        wire.frames.push(Shot { time_ns, len, octets });
    };
    let time = |h: u64, m: u64, s: u64, us: u64| ((h * 60 + m) * 60 + s) * 1_000_000 + us;
    let (server_seq, user_seq) = (0x0000_2b16, 0x787d_0460);
    shot(
        time(13, 3, 12, 530_994),
        true,
        0x003c,
        60,
        [server_seq, user_seq],
        24_820,
        0x18,
        0x5f77,
        b"220 DND server here.\r\n",
        b"",
    );
    shot(
        time(13, 3, 12, 532_318),
        false,
        0x0009,
        128,
        [user_seq, server_seq + 22],
        32_768,
        0x18,
        0x0b00,
        b"LOOKUP woz,NAME EMAIL UID BLITZSERV BULLSERV\r\n",
        b"",
    );
    shot(
        time(13, 3, 12, 551_547),
        true,
        0x003d,
        60,
        [server_seq + 22, user_seq + 46],
        24_820,
        0x10,
        0x0073,
        b"",
        b"\x03106\x032",
    );
    shot(
        time(13, 3, 12, 563_646),
        true,
        0x003e,
        60,
        [server_seq + 22, user_seq + 46],
        24_820,
        0x18,
        0,
        b"101 1 5\r\n110 Marion Bates\r\n110 Marion.Bates@Dartmouth.EDU\r\n110 60591\r\n\
          110 dasher.Dartmouth.EDU@BlitzServ\r\n110 newshost.dartmouth.edu@internet\r\n200 Ok.\r\n",
        b"",
    );
    wire
}

/// A BlitzMail session straight to the server.
fn blitzmail_direct() -> Wire {
    let mut wire = Wire::default();
    blitzmail(&mut wire, &at(CLIENT, 49_200), &at(MAIL, 2151));
    wire
}

/// A BlitzMail session between two ends.
pub(crate) fn blitzmail(wire: &mut Wire, client: &str, server: &str) {
    let mut tcp = wire.connect(client, server);
    for (said, answered) in [
        ("VERS BlitzMail 2.6b7\r\n", "010 BlitzServ 3.6 POP 9/23/98\r\n"),
        ("USER John Smith\r\n", "033 240147326165005023201134\r\n"),
        ("PASE 144167311017116244231155\r\n", "030 60777\r\n"),
        (
            "FLIS\r\n",
            "001 0,12,\"Trash\",40231\r\n001 1,3,\"Sent Msgs\",912\r\n001 2,1,\"In Box\",289\r\n000 4,2,\"Reindeer Games\",1234\r\n",
        ),
        (
            "FSUM 4 1-$\r\n",
            "000 3568897,03/31/02,19:16:11,1,\"Marion Bates\",\"John Smith\",\"Sleigh list\",289,0,U,3200000000\r\n",
        ),
        ("MESS 4/3568897\r\n", "010 Ok.\r\n"),
        (
            "HEAD\r\n",
            "050 57\r\nFrom: Marion Bates\rTo: John Smith\rSubject: Sleigh list\r\r010 Ok.\r\n",
        ),
        ("TEXT\r\n", "050 33\r\nThe list is in your folder, John.010 Ok.\r\n"),
        ("QUIT\r\n", "010 Ok.\r\n"),
    ] {
        wire.client(&mut tcp, said.as_bytes());
        wire.server(&mut tcp, answered.as_bytes());
    }
    wire.close(&mut tcp);
}

/// A POP3 session straight to the server.
fn pop3_direct() -> Wire {
    let mut wire = Wire::default();
    pop3(&mut wire, &at(CLIENT, 49_201), &at(MAIL, 110));
    wire
}

/// A POP3 session between two ends.
pub(crate) fn pop3(wire: &mut Wire, client: &str, server: &str) {
    let mut tcp = wire.connect(client, server);
    wire.server(&mut tcp, b"+OK BlitzMail POP3 Server Ready.\r\n");
    for (said, answered) in [
        ("USER jsmith\r\n", "+OK Password required.\r\n"),
        ("PASS sleigh-bells\r\n", "+OK jsmith has 1 message.\r\n"),
        ("STAT\r\n", "+OK 1 152\r\n"),
        (
            "RETR 1\r\n",
            "+OK 152 octets\r\nFrom: Marion Bates\r\nTo: John Smith\r\nSubject: Sleigh list\r\n\r\nThe list is in your folder.\r\n.\r\n",
        ),
        ("QUIT\r\n", "+OK Bye.\r\n"),
    ] {
        wire.client(&mut tcp, said.as_bytes());
        wire.server(&mut tcp, answered.as_bytes());
    }
    wire.close(&mut tcp);
}

/// A message that PGP seals, in an envelope that SMTP shows.
fn smtp_pgp() -> Wire {
    let mut wire = Wire::default();
    let mut tcp = wire.connect(&at(CLIENT, 49_202), &at(MAIL, 25));
    wire.server(&mut tcp, b"220 mailhub.dartmouth.edu ESMTP ready\r\n");
    for (said, answered) in [
        ("EHLO client.dartmouth.edu\r\n", "250-mailhub.dartmouth.edu\r\n250 8BITMIME\r\n"),
        ("MAIL FROM:<jsmith@dartmouth.edu>\r\n", "250 Ok\r\n"),
        ("RCPT TO:<marion@dartmouth.edu>\r\n", "250 Ok\r\n"),
        ("DATA\r\n", "354 Go ahead\r\n"),
        (
            "From: John Smith <jsmith@dartmouth.edu>\r\nTo: marion@dartmouth.edu\r\nSubject: list\r\n\r\n\
             -----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA7tUrQbPqF2eAQf/Xu3nqk1mZ0gkCq6yd1v0Vb2kO7c9yJ8kq3l2m1n0p9o8\r\n\
             0lkBq2w3e4r5t6y7u8i9o0pAsDfGhJkLzXcVbNmQwErTyUiOpLkJhGfDsAzXcVbN\r\n=9aXq\r\n-----END PGP MESSAGE-----\r\n.\r\n",
            "250 Ok: queued\r\n",
        ),
        ("QUIT\r\n", "221 Bye\r\n"),
    ] {
        wire.client(&mut tcp, said.as_bytes());
        wire.server(&mut tcp, answered.as_bytes());
    }
    wire.close(&mut tcp);
    wire
}

/// Port 22, the identification strings of SSH, and then the mail session in the clear.
fn ssh_banner_then_text() -> Wire {
    let mut wire = Wire::default();
    let mut tcp = wire.connect(&at(CLIENT, 49_203), &at("10.77.0.20", 22));
    wire.server(&mut tcp, b"SSH-2.0-OpenSSH_9.2p1\r\n");
    wire.client(&mut tcp, b"SSH-2.0-OpenSSH_9.2p1\r\n");
    for (said, answered) in [
        (
            "open the box named In Box\r\n",
            "it holds one message from Marion about the sleigh list\r\n",
        ),
        (
            "read it to me, please\r\n",
            "the sleigh list is in your folder, and the snow is deep\r\n",
        ),
    ] {
        wire.client(&mut tcp, said.as_bytes());
        wire.server(&mut tcp, answered.as_bytes());
    }
    wire.close(&mut tcp);
    wire
}

/// A conversation with some unknown server that carries `parts` one segment each.
fn unknown(parts: &[&[u8]]) -> Wire {
    let mut wire = Wire::default();
    let mut tcp = wire.connect(&at(CLIENT, 49_204), &at("10.77.9.9", 7070));
    for part in parts {
        wire.client(&mut tcp, part);
    }
    wire.server(&mut tcp, b"\x00\x01\x02ok\xff\xfe");
    wire.close(&mut tcp);
    wire
}

fn name_split() -> Wire {
    unknown(&[b"\x01\x02login=Jo", b"hn Sm", b"ith;\x03"])
}

fn name_base64() -> Wire {
    // "u:John Smith:p" in base64: the name stands in the second phase.
    unknown(&[b"\x01\x02auth dTpKb2huIFNtaXRoOnA=\x03"])
}

fn name_utf16() -> Wire {
    let name: Vec<u8> = "John Smith".encode_utf16().flat_map(u16::to_le_bytes).collect();
    unknown(&[&[&b"\x01\x02\x03"[..], &name, &b"\x00\x00"[..]].concat()])
}

fn name_bytewise() -> Wire {
    let text = b"name: John Smith.\r";
    let parts: Vec<&[u8]> = text.chunks(1).collect();
    unknown(&parts)
}

fn name_reordered() -> Wire {
    let mut wire = Wire::default();
    let mut tcp = wire.connect(&at(CLIENT, 49_205), &at("10.77.9.9", 7070));
    let parts: [&[u8]; 4] = [b"\x01\x02login=", b"John", b" Smi", b"th;\x03"];
    let (seq, ack) = tcp.numbers(true);
    let mut starts = Vec::new();
    for part in parts {
        starts.push(tcp.numbers(true).0);
        tcp.advance(true, part.len());
    }
    for index in [0, 3, 2, 3, 1] {
        wire.segment(&tcp, true, starts[index], ack, PSH | ACK, parts[index]);
    }
    assert_eq!(starts[0], seq);
    wire.ack(&tcp, false);
    wire.server(&mut tcp, b"\x00\x01\x02ok\xff\xfe");
    wire.close(&mut tcp);
    wire
}

/// One datagram in three fragments of IPv4; the last comes first.
fn name_fragments() -> Wire {
    let whole = {
        let mut wire = Wire::default();
        wire.udp(
            &at(CLIENT, 49_206),
            "10.77.9.9:7070",
            b"\x01\x02\x03\x04 login=John Smith;\x05\x06",
        );
        wire.frames.remove(0).octets
    };
    let mut wire = Wire::default();
    let (head, payload) = whole.split_at(34);
    // Cut every 16 octets: the name begins in the second fragment and ends in the third.
    let fragments: Vec<&[u8]> = payload.chunks(16).collect();
    for index in (0..fragments.len()).rev() {
        let mut octets = head.to_vec();
        let total = u16::try_from(20 + fragments[index].len()).unwrap();
        octets[16..18].copy_from_slice(&total.to_be_bytes());
        octets[18..20].copy_from_slice(&[0x12, 0x34]);
        let more = if index + 1 < fragments.len() { 0x2000 } else { 0 };
        let offset = more | u16::try_from(index * 2).unwrap();
        octets[20..22].copy_from_slice(&offset.to_be_bytes());
        octets.extend_from_slice(fragments[index]);
        wire.frame(octets);
    }
    wire
}

/// The direct BlitzMail session behind a service tag and a customer tag.
fn name_vlan() -> Wire {
    let mut wire = Wire::default();
    for shot in blitzmail_direct().frames {
        let mut octets = shot.octets;
        octets.splice(12..12, [0x88, 0xa8, 0, 7, 0x81, 0, 0, 9]);
        wire.frame(octets);
    }
    wire
}

/// A whole SSH handshake with the names of real algorithms, and readable lines where the ciphertext should be.
fn ssh_faked_handshake() -> Wire {
    let mut wire = Wire::default();
    let mut tcp = ssh_handshake(&mut wire, &at(CLIENT, 49_207), &at("10.77.0.20", 22));
    for (said, answered) in [
        ("open the box named In Box\r\n", "it holds one message from Marion about the list\r\n"),
        ("read it to me, please\r\n", "the list is in your folder, and the snow is deep\r\n"),
        ("and the next one, if there is any\r\n", "there is none, that was the last of them\r\n"),
    ] {
        wire.client(&mut tcp, said.as_bytes());
        wire.server(&mut tcp, answered.as_bytes());
    }
    wire.close(&mut tcp);
    wire
}

/// A conn with a handshake of SSH that agrees on AES: well formed, and all of it invented.
pub(crate) fn ssh_handshake(wire: &mut Wire, client: &str, server: &str) -> Tcp {
    let mut tcp = wire.connect(client, server);
    wire.server(&mut tcp, b"SSH-2.0-OpenSSH_9.2p1\r\n");
    wire.client(&mut tcp, b"SSH-2.0-OpenSSH_9.2p1\r\n");
    let kexinit = |cookie: u8| {
        let mut message = vec![20];
        message.extend_from_slice(&[cookie; 16]);
        for names in [
            "curve25519-sha256",
            "ssh-ed25519",
            "aes256-gcm@openssh.com",
            "aes256-gcm@openssh.com",
            "hmac-sha2-256",
            "hmac-sha2-256",
            "none",
            "none",
            "",
            "",
        ] {
            message.extend_from_slice(&ssh_string(names.as_bytes()));
        }
        message.extend_from_slice(&[0; 5]);
        ssh_packet(&message)
    };
    wire.client(&mut tcp, &kexinit(0x5a));
    wire.server(&mut tcp, &kexinit(0xa5));
    let random = noise(7, 160);
    wire.client(&mut tcp, &ssh_packet(&[&[30][..], &ssh_string(&random[..32])].concat()));
    let key = [ssh_string(b"ssh-ed25519"), ssh_string(&random[32..64])].concat();
    let signature = [ssh_string(b"ssh-ed25519"), ssh_string(&random[64..128])].concat();
    let reply =
        [&[31][..], &ssh_string(&key), &ssh_string(&random[128..160]), &ssh_string(&signature)];
    wire.server(&mut tcp, &ssh_packet(&reply.concat()));
    wire.server(&mut tcp, &ssh_packet(&[21]));
    wire.client(&mut tcp, &ssh_packet(&[21]));
    tcp
}

/// A binary packet of SSH without encryption. RFC 4253 s6.
fn ssh_packet(message: &[u8]) -> Vec<u8> {
    let padding = 8 - (5 + message.len()) % 8;
    let padding = if padding < 4 { padding + 8 } else { padding };
    let len = u32::try_from(1 + message.len() + padding).unwrap();
    let mut packet = len.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend_from_slice(message);
    packet.resize(packet.len() + padding, 0);
    packet
}

fn ssh_string(octets: &[u8]) -> Vec<u8> {
    let len = u32::try_from(octets.len()).unwrap();
    [&len.to_be_bytes()[..], octets].concat()
}

/// Octets without order, always the same: xorshift64*.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut octets = Vec::new();
    while octets.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        octets.push(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]);
    }
    octets
}

/// The server refuses TLS, and the client says everything all the same.
fn stls_refused() -> Wire {
    let mut wire = Wire::default();
    let mut tcp = wire.connect(&at(CLIENT, 49_208), &at("10.77.1.31", 110));
    wire.server(&mut tcp, b"+OK BlitzMail POP3 Server Ready.\r\n");
    for (said, answered) in [
        ("CAPA\r\n", "+OK\r\nSTLS\r\nUSER\r\n.\r\n"),
        ("STLS\r\n", "-ERR TLS is not available now.\r\n"),
        ("USER jsmith\r\n", "+OK Password required.\r\n"),
        ("PASS sleigh-bells\r\n", "+OK one message.\r\n"),
        ("QUIT\r\n", "+OK Bye.\r\n"),
    ] {
        wire.client(&mut tcp, said.as_bytes());
        wire.server(&mut tcp, answered.as_bytes());
    }
    wire.close(&mut tcp);
    wire
}

fn arp_only() -> Wire {
    let mut wire = Wire::default();
    for last in [20, 30, 99] {
        let mut octets = vec![0xff; 6];
        octets.extend_from_slice(&[2, 0, 0, 0, 0, 0x10, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        octets.extend_from_slice(&[
            2, 0, 0, 0, 0, 0x10, 10, 77, 0, 10, 0, 0, 0, 0, 0, 0, 10, 77, 0, last,
        ]);
        octets.resize(60, 0);
        wire.frame(octets);
    }
    wire
}

/// The same capture as a big-endian machine writes it.
fn big_endian(wire: &Wire) -> Vec<u8> {
    let mut file = 0xa1b2_c3d4_u32.to_be_bytes().to_vec();
    file.extend_from_slice(&[0, 2, 0, 4]);
    file.extend_from_slice(&[0; 8]);
    file.extend_from_slice(&262_144_u32.to_be_bytes());
    file.extend_from_slice(&1_u32.to_be_bytes());
    for shot in &wire.frames {
        let seconds = u32::try_from(shot.time_ns / 1_000_000_000).unwrap();
        let micros = u32::try_from(shot.time_ns % 1_000_000_000 / 1000).unwrap();
        let cap_len = u32::try_from(shot.octets.len()).unwrap();
        for value in [seconds, micros, cap_len, shot.len] {
            file.extend_from_slice(&value.to_be_bytes());
        }
        file.extend_from_slice(&shot.octets);
    }
    file
}
