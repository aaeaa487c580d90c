//! Cases made to fool: what only looks like ciphertext, and names where a hurried reader does not look.

use crate::derive_captures::{GATEWAY, OTHER, block, gzip, recorded, tunnelled};
use crate::make_captures::{CLIENT, at, blitzmail, noise, pop3, ssh_handshake};
use crate::wire::{ACK, PSH, RST, SYN, Tcp, Wire};

pub(crate) fn fooling() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("ssh-one-way-text.pcap", ssh_one_way_text().pcap()),
        ("ssh-faked-base64.pcap", ssh_faked(&base64_lines()).pcap()),
        ("ssh-faked-utf16.pcap", ssh_faked(&utf16_lines()).pcap()),
        ("ssh-faked-mixed.pcap", ssh_faked_mixed().pcap()),
        ("ssh-faked-xor.pcap", ssh_faked(&changed_lines(|octet, _| octet ^ 0xa5)).pcap()),
        ("ssh-faked-interleaved.pcap", ssh_faked(&interleaved_lines()).pcap()),
        ("ssh-second-short-text.pcap", ssh_second_short_text().pcap()),
        ("tls-then-bare-record.pcap", tls_then(|text| record(23, text)).pcap()),
        ("ssh-port-reused.pcap", ssh_port_reused().pcap()),
        ("ssh-second-midstream.pcap", ssh_second_midstream().pcap()),
        ("ssh-twice.pcap", ssh_twice().pcap()),
        ("ssh-one-side.pcap", ssh_one_side().pcap()),
        ("tls-faked.pcap", tls_faked().pcap()),
        ("tls-then-text.pcap", tls_then(<[u8]>::to_vec).pcap()),
        ("tls-refused.pcap", tls_refused().pcap()),
        ("gateway-http.pcap", gateway_http().pcap()),
        ("name-after-rst.pcap", name_after_rst().pcap()),
        ("name-out-of-window.pcap", name_out_of_window().pcap()),
        ("name-in-overlap.pcap", name_in_overlap().pcap()),
        ("name-in-syn.pcap", name_in_syn().pcap()),
        ("name-in-ping.pcap", name_in_ping().pcap()),
        ("name-in-arp.pcap", name_in_arp().pcap()),
        ("name-in-vxlan.pcap", name_in_vxlan().pcap()),
        ("inside-only.pcap", inside_only().pcap()),
        ("drops-counted.pcapng", drops_counted()),
        ("gzip-cut.pcap.gz", gzip_cut()),
    ]
}

const LINES: [&str; 6] = [
    "open the box that is named In Box, please, and tell me what there is in it\r\n",
    "there is one message from Marion about the list, and it came this morning\r\n",
    "then read it to me from its beginning, and slowly, for the line is bad today\r\n",
    "the list is in your folder, the snow is deep, and the sleigh stands in the yard\r\n",
    "is there anything else that I should know about before I go out of the house\r\n",
    "there is nothing else, that was the last of them, good bye and a good journey\r\n",
];

fn base64_lines() -> Vec<Vec<u8>> {
    LINES.iter().map(|line| data_encoding::BASE64.encode(line.as_bytes()).into_bytes()).collect()
}

fn utf16_lines() -> Vec<Vec<u8>> {
    LINES.iter().map(|line| line.encode_utf16().flat_map(u16::to_le_bytes).collect()).collect()
}

/// The lines with each octet changed by its place.
fn changed_lines(change: impl Fn(u8, usize) -> u8) -> Vec<Vec<u8>> {
    let line =
        |line: &&str| line.bytes().enumerate().map(|(at, octet)| change(octet, at)).collect();
    LINES.iter().map(line).collect()
}

/// An octet of text, an octet of noise, and so on.
fn interleaved_lines() -> Vec<Vec<u8>> {
    let noise = noise(9, 200);
    let line = |line: &&str| line.bytes().zip(&noise).flat_map(|(a, b)| [a, *b]).collect();
    LINES.iter().map(line).collect()
}

/// Much noise, and one readable line of each side in its midst.
fn ssh_faked_mixed() -> Wire {
    let mut wire = Wire::default();
    let mut tcp = ssh_handshake(&mut wire, &at(CLIENT, 49_412), &at(GATEWAY, 22));
    for round in 1..40 {
        wire.client(&mut tcp, &noise(round, 200));
        wire.server(&mut tcp, &noise(round + 100, 300));
        if round == 20 {
            wire.client(&mut tcp, LINES[2].as_bytes());
            wire.server(&mut tcp, LINES[3].as_bytes());
        }
    }
    wire.close(&mut tcp);
    wire
}

/// Beside the good tunnel a conn to the same gateway with a faked handshake and one line.
fn ssh_second_short_text() -> Wire {
    let mut wire = tunnelled();
    let mut tcp = ssh_handshake(&mut wire, &at(CLIENT, 49_413), &at(GATEWAY, 22));
    wire.client(&mut tcp, LINES[0].as_bytes());
    wire.server(&mut tcp, LINES[1].as_bytes());
    wire.close(&mut tcp);
    wire
}

/// A faked handshake, and then these lines from both sides in turn, several times over.
fn ssh_faked(lines: &[Vec<u8>]) -> Wire {
    let mut wire = Wire::default();
    let mut tcp = ssh_handshake(&mut wire, &at(CLIENT, 49_400), &at(GATEWAY, 22));
    for _ in 0..4 {
        for pair in lines.chunks(2) {
            wire.client(&mut tcp, &pair[0]);
            wire.server(&mut tcp, &pair[1]);
        }
    }
    wire.close(&mut tcp);
    wire
}

/// The client's half looks like ciphertext, the server's half is read by everyone.
fn ssh_one_way_text() -> Wire {
    let mut wire = Wire::default();
    let mut tcp = ssh_handshake(&mut wire, &at(CLIENT, 49_401), &at(GATEWAY, 22));
    for round in 1..20 {
        wire.client(&mut tcp, &noise(round, 96));
        wire.server(&mut tcp, LINES[usize::try_from(round).unwrap() % LINES.len()].as_bytes());
    }
    wire.close(&mut tcp);
    wire
}

/// The frames that carry TCP over IPv4, by their index.
fn tcp_frames(wire: &Wire) -> Vec<usize> {
    let fits = |octets: &[u8]| octets[12..14] == [8, 0] && octets[23] == 6;
    (0..wire.frames.len()).filter(|index| fits(&wire.frames[*index].octets)).collect()
}

/// The recorded TLS session alone.
fn pop3s() -> Wire {
    let mut wire = Wire::read(&recorded("pop3s.pcap"));
    let wanted = tcp_frames(&wire);
    wire.frames = wanted.into_iter().map(|index| wire.frames[index].clone()).collect();
    wire
}

/// The ports of the tunnel, once it is closed, serve a second conn that is readable.
fn ssh_port_reused() -> Wire {
    let mut wire = tunnelled();
    let first = &wire.frames[tcp_frames(&wire)[0]].octets;
    let port = u16::from_be_bytes([first[34], first[35]]);
    let mut tcp = Tcp::midstream(&at(CLIENT, port), &at(GATEWAY, 22), 3_000_000_000, 4_000_000_000);
    wire.open(&mut tcp);
    for pair in LINES.chunks(2) {
        wire.client(&mut tcp, pair[0].as_bytes());
        wire.server(&mut tcp, pair[1].as_bytes());
    }
    wire.close(&mut tcp);
    wire
}

/// Beside the tunnel that is seen whole, one whose handshake nobody saw.
fn ssh_second_midstream() -> Wire {
    let mut wire = tunnelled();
    let mut tcp = Tcp::midstream(&at(CLIENT, 49_402), &at(GATEWAY, 22), 1000, 5000);
    for round in 1..20 {
        wire.client(&mut tcp, &noise(round, 96));
        wire.server(&mut tcp, &noise(round + 100, 128));
    }
    wire.close(&mut tcp);
    wire
}

/// Every frame twice, as a bridge shows them that is watched on both of its sides.
fn ssh_twice() -> Wire {
    let mut wire = tunnelled();
    wire.frames = wire.frames.iter().flat_map(|shot| [shot.clone(), shot.clone()]).collect();
    wire
}

/// Only what the client sent, as a sniffer behind a switch or an asymmetric route sees it.
fn ssh_one_side() -> Wire {
    let mut wire = tunnelled();
    wire.frames.retain(|shot| shot.octets[26..30] == [10, 77, 0, 10]);
    wire
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3][..], &len, body].concat()
}

/// Hellos of TLS 1.2 that agree on AES, and readable lines in the records that should be sealed.
fn tls_faked() -> Wire {
    let handshake = |kind: u8, body: &[u8]| {
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        record(22, &[&[kind], &len[1..], body].concat())
    };
    let hello = |suites: &[u8], seed: u64| [&[3, 3][..], &noise(seed, 32), &[0], suites].concat();
    let mut wire = Wire::default();
    let mut tcp = wire.connect(&at(CLIENT, 49_403), &at("10.77.1.31", 995));
    // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, no compression, no extensions.
    wire.client(&mut tcp, &handshake(1, &hello(&[0, 2, 0xc0, 0x2f, 1, 0], 1)));
    wire.server(&mut tcp, &handshake(2, &hello(&[0xc0, 0x2f, 0], 2)));
    wire.server(&mut tcp, &handshake(14, &[]));
    for (by_client, seed) in [(true, 3), (false, 4)] {
        let mut flight = Vec::new();
        if by_client {
            flight.extend(handshake(16, &[&[32][..], &noise(5, 32)].concat()));
        }
        flight.extend(record(20, &[1]));
        flight.extend(record(22, &noise(seed, 40)));
        if by_client { wire.client(&mut tcp, &flight) } else { wire.server(&mut tcp, &flight) }
    }
    for pair in LINES.chunks(2) {
        wire.client(&mut tcp, &record(23, pair[0].as_bytes()));
        wire.server(&mut tcp, &record(23, pair[1].as_bytes()));
    }
    wire.close(&mut tcp);
    wire
}

/// Real TLS, and behind its last record a talk in the clear on the same conn: as it is, or in records that seal nothing.
fn tls_then(write: impl Fn(&[u8]) -> Vec<u8>) -> Wire {
    let mut wire = pop3s();
    let first = &wire.frames[tcp_frames(&wire)[0]].octets;
    let port = u16::from_be_bytes([first[34], first[35]]);
    // Up to the first FIN; the numbers of the conn stand in the last frame before it.
    let end = wire.frames.iter().position(|shot| shot.octets[47] & 1 != 0).unwrap();
    wire.frames.truncate(end);
    let mut tcp = Tcp::midstream(&at(CLIENT, port), &at("10.77.1.31", 995), 0, 0);
    for shot in &wire.frames {
        let number = |at: usize| u32::from_be_bytes(shot.octets[at..at + 4].try_into().unwrap());
        let total = usize::from(u16::from_be_bytes([shot.octets[16], shot.octets[17]]));
        let len = total - 20 - usize::from(shot.octets[46] >> 4) * 4;
        let syn = u32::from(shot.octets[47] & SYN != 0);
        let next = number(38).wrapping_add(u32::try_from(len).unwrap() + syn);
        if shot.octets[26..30] == [10, 77, 0, 10] {
            tcp.client_seq = next;
        } else {
            tcp.server_seq = next;
        }
    }
    for pair in LINES.chunks(2) {
        wire.client(&mut tcp, &write(pair[0].as_bytes()));
        wire.server(&mut tcp, &write(pair[1].as_bytes()));
    }
    wire.close(&mut tcp);
    wire
}

/// The server answers the hello with an alert: handshake_failure.
fn tls_refused() -> Wire {
    let mut wire = pop3s();
    let hello = wire.frames[3].octets.clone();
    let payload = hello[14 + 20 + usize::from(hello[46] >> 4) * 4..].to_vec();
    assert_eq!(payload[0], 22, "the fourth frame is no hello");
    wire.frames.clear();
    let mut tcp = wire.connect(&at(CLIENT, 49_404), &at("10.77.1.31", 995));
    wire.client(&mut tcp, &payload);
    wire.server(&mut tcp, &record(21, &[2, 40]));
    wire.close(&mut tcp);
    wire
}

/// A readable conn to another port of the gateway.
fn gateway_http() -> Wire {
    let mut wire = tunnelled();
    let mut tcp = wire.connect(&at(CLIENT, 49_405), &at(GATEWAY, 80));
    wire.client(&mut tcp, b"GET /mail HTTP/1.1\r\nHost: web.example\r\n\r\n");
    wire.server(&mut tcp, b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nOne message is there.");
    wire.close(&mut tcp);
    wire
}

/// The name in a segment of a conn that a reset has ended.
fn name_after_rst() -> Wire {
    let mut wire = tunnelled();
    let mut tcp = wire.connect(&at(CLIENT, 49_406), &at(OTHER, 7070));
    wire.client(&mut tcp, b"\x01\x02\x03\x04");
    let (seq, ack) = tcp.numbers(false);
    wire.segment(&tcp, false, seq, ack, RST | ACK, b"");
    for part in [b"\x01login=John", b" Smith; ok "] {
        wire.send(&mut tcp, true, part);
    }
    wire
}

/// The name in a segment far outside of the window, on the tunnel's own conn.
fn name_out_of_window() -> Wire {
    let mut wire = tunnelled();
    let first = &wire.frames[tcp_frames(&wire)[0]].octets;
    let port = u16::from_be_bytes([first[34], first[35]]);
    let seq = u32::from_be_bytes(first[38..42].try_into().unwrap()).wrapping_add(1 << 30);
    let tcp = Tcp::midstream(&at(CLIENT, port), &at(GATEWAY, 22), seq, 5000);
    wire.segment(&tcp, true, seq, 5000, PSH | ACK, b"login=John Smith;");
    wire
}

/// The name in the copy of a segment that came second, over other octets.
fn name_in_overlap() -> Wire {
    let mut wire = tunnelled();
    let mut tcp = wire.connect(&at(CLIENT, 49_407), &at(OTHER, 7070));
    let (seq, ack) = tcp.numbers(true);
    wire.client(&mut tcp, b"\x01\x02login=Mary Jones;\x03");
    wire.segment(&tcp, true, seq, ack, PSH | ACK, b"\x01\x02login=John Smith;\x03");
    wire.server(&mut tcp, b"\x00\x01\x02ok\xff\xfe");
    wire.close(&mut tcp);
    wire
}

/// The name in the payload of a SYN.
fn name_in_syn() -> Wire {
    let mut wire = tunnelled();
    let tcp = Tcp::midstream(&at(CLIENT, 49_408), &at(OTHER, 7070), 1000, 0);
    wire.segment(&tcp, true, 1000, 0, SYN, b"\x01\x02login=John Smith;\x03");
    wire
}

fn name_in_ping() -> Wire {
    let mut wire = tunnelled();
    let mut octets = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 0x10], [2, 0, 0, 0, 0, 0x20])
        .ipv4([10, 77, 0, 10], [10, 77, 9, 9], 64)
        .icmpv4_echo_request(7, 1)
        .write(&mut octets, b"\x01\x02hello from John Smith\x03")
        .unwrap();
    wire.frame(octets);
    wire
}

/// The name behind an ARP request, where padding should be.
fn name_in_arp() -> Wire {
    let mut wire = tunnelled();
    let mut octets = vec![0xff; 6];
    octets.extend_from_slice(&[2, 0, 0, 0, 0, 0x10, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    octets
        .extend_from_slice(&[2, 0, 0, 0, 0, 0x10, 10, 77, 0, 10, 0, 0, 0, 0, 0, 0, 10, 77, 0, 20]);
    octets.extend_from_slice(b"\x00\x00John Smith\x00\x00\x00\x00\x00\x00");
    wire.frame(octets);
    wire
}

/// A POP3 session inside VXLAN (UDP 4789), its lines split so that no frame holds a name as a whole.
fn name_in_vxlan() -> Wire {
    let mut inner = Wire::default();
    let mut tcp = inner.connect("10.9.0.1:49409", "10.9.0.2:110");
    inner.server(&mut tcp, b"+OK ready\r\n");
    for part in [&b"USER jsm"[..], b"ith\r\n"] {
        inner.client(&mut tcp, part);
    }
    inner.close(&mut tcp);
    let mut wire = tunnelled();
    for shot in inner.frames {
        let payload = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &shot.octets].concat();
        wire.udp(&at(CLIENT, 49_409), &at(OTHER, 4789), &payload);
    }
    wire
}

/// The forward's mouth on loopback: readable, as it must be there, and no proof of anything on the wire.
fn inside_only() -> Wire {
    let mut wire = Wire::default();
    blitzmail(&mut wire, "127.0.0.1:49410", "127.0.0.1:2151");
    pop3(&mut wire, "127.0.0.1:49411", "127.0.0.1:2003");
    // A loopback device writes Ethernet headers without addresses.
    for shot in &mut wire.frames {
        shot.octets[..12].fill(0);
    }
    wire
}

/// A pcapng whose statistics say that the kernel dropped five frames.
fn drops_counted() -> Vec<u8> {
    let wire = tunnelled();
    let mut file = wire.pcapng();
    let mut body = 0_u32.to_le_bytes().to_vec();
    body.extend_from_slice(&[0; 8]);
    // isb_ifdrop = 0 and isb_osdrop = 5, then the end of the options.
    for (code, value) in [(5_u16, 0_u64), (7, 5)] {
        body.extend_from_slice(&code.to_le_bytes());
        body.extend_from_slice(&8_u16.to_le_bytes());
        body.extend_from_slice(&value.to_le_bytes());
    }
    body.extend_from_slice(&[0; 4]);
    block(&mut file, 5, &body);
    file
}

/// A gzip file whose end is missing, check sum and all.
fn gzip_cut() -> Vec<u8> {
    let mut file = gzip(&tunnelled().pcap());
    file.truncate(file.len() - 200);
    file
}
