//! What other programs miss without a word, each by the name of the program that does: it hides no name here.

use super::base::{ethernet, ipv4, tcp, udp};
use super::*;

/// A conn of its own to a server of nobody's, in which the client says so.
fn says(scene: &mut Scene, port: u16, pieces: &[&[u8]]) {
    let server = format!("10.77.9.9:{port}");
    let mut tcp = scene.wire.connect("10.77.0.10:49310", &server);
    for piece in pieces {
        scene.wire.client(&mut tcp, piece);
    }
    scene.wire.close(&mut tcp);
}

/// Fragments of one datagram, cut there.
fn in_fragments(scene: &mut Scene, datagram: &[u8], cuts: &[usize]) {
    let ends = cuts.iter().copied().chain([datagram.len()]);
    for (from, to) in [0].into_iter().chain(cuts.iter().copied()).zip(ends) {
        let more = if to < datagram.len() { 0x2000 } else { 0 };
        let field = u16::try_from(from / 8).unwrap() | more;
        let packet = ipv4(CLIENT, "10.77.9.9", 17, 77, field, &datagram[from..to]);
        scene.wire.frame(ethernet(0x0800, &packet));
    }
}

#[test]
fn what_finders_of_credentials_miss_is_found() {
    expect(&[
        ("PCredz leaves port 443 out", Want::Fail, |s| {
            says(s, 443, &[b"GET /?u=jsmith HTTP/1.1\r\nHost: a\r\n\r\n"]);
        }),
        ("PCredz looks at one packet", Want::Fail, |s| {
            says(s, 2110, &[b"USER js", b"mith\r\n"]);
        }),
        ("telnet types one octet a segment", Want::Fail, |s| {
            let octets: Vec<&[u8]> = NAME.chunks(1).collect();
            says(s, 23, &octets);
        }),
        ("net-creds stops behind 750 octets", Want::Fail, |s| {
            let much = [b'x'; 1400];
            says(s, 2121, &[&much, &much, &much, &much, b"\r\nUSER jsmith\r\n"]);
        }),
        ("net-creds joins by arrival", Want::Fail, |s| {
            let mut tcp = s.stranger();
            let (seq, ack) = tcp.numbers(true);
            s.wire.segment(&tcp, true, seq + 4, ack, PSH | ACK, b" Smith");
            s.wire.segment(&tcp, true, seq, ack, PSH | ACK, b"John");
            tcp.advance(true, NAME.len());
            s.wire.ack(&tcp, false);
            s.wire.close(&mut tcp);
        }),
        ("net-creds leaves IPv6 out", Want::Fail, |s| {
            let (client, server) = ("[2001:db8:77::10]:49311", "[2001:db8:99::9]:2121");
            let mut tcp = s.wire.connect(client, server);
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
            s.wire.close(&mut tcp);
        }),
        ("CredSLayer goes by the port", Want::Fail, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49312", "10.77.9.9:52110");
            s.wire.server(&mut tcp, b"+OK ready\r\n");
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
            s.wire.close(&mut tcp);
        }),
        ("nDPI takes random octets for readable", Want::Pass, |s| {
            says(s, 4433, &[&seeded(5, 256)]);
        }),
    ]);
}

#[test]
fn what_sniffers_miss_is_found() {
    expect(&[
        ("ngrep looks at each fragment", Want::Fail, |s| {
            in_fragments(s, &udp(5000, 7070, b"....John Smith.."), &[16]);
        }),
        ("a filter by port loses later fragments", Want::Fail, |s| {
            let datagram = udp(5000, 110, &[&[b'.'; 24][..], NAME].concat());
            in_fragments(s, &datagram, &[32]);
        }),
        ("a filter without vlan loses tagged frames", Want::Fail, |s| {
            let packet = ipv4(CLIENT, "10.77.9.9", 17, 7, 0, &udp(5000, 7070, NAME));
            let tagged = [&[0, 9, 8, 0][..], &packet].concat();
            s.wire.frame(ethernet(0x8100, &tagged));
        }),
        ("tcpflow begins anew behind 16 MiB", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, b"John");
            tcp.advance(true, 20 << 20);
            s.wire.client(&mut tcp, b" Smith, Reindeer Games");
            s.wire.close(&mut tcp);
        }),
        ("tcpflow lets the last version win", Want::Fail, |s| {
            let mut tcp = s.stranger();
            let (seq, ack) = tcp.numbers(true);
            s.wire.segment(&tcp, true, seq, ack, PSH | ACK, NAME);
            s.wire.segment(&tcp, true, seq, ack, PSH | ACK, b"Jane Brown");
            tcp.advance(true, NAME.len());
            s.wire.ack(&tcp, false);
            s.wire.close(&mut tcp);
        }),
        ("nDPI reads the first fragment alone", Want::Fail, |s| {
            let datagram = udp(5000, 7070, &[&[b'.'; 80][..], NAME].concat());
            in_fragments(s, &datagram, &[40, 80]);
        }),
    ]);
}

#[test]
fn what_engines_miss_by_their_defaults_is_found() {
    expect(&[
        ("Suricata and Zeek leave wrong checksums out", Want::Fail, |s| {
            let segment = tcp(49_313, 7070, 1, PSH | ACK, b"", NAME);
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 6, 7, 0, &segment)));
        }),
        ("Suricata leaves conns out that were open before", Want::Fail, |s| {
            let mut tcp = Tcp::midstream("10.77.0.10:49314", "10.77.9.9:7070", 77_000, 88_000);
            s.wire.client(&mut tcp, b"LOGIN jsmith\r\n");
        }),
        ("Suricata reads one mebibyte", Want::Fail, |s| {
            let mut tcp = s.stranger();
            for piece in seeded(6, 1_100_000).chunks(16_000) {
                s.wire.client(&mut tcp, piece);
            }
            s.wire.client(&mut tcp, NAME);
            s.wire.close(&mut tcp);
        }),
        ("Zeek says nothing of inconsistent retransmissions", Want::Fail, |s| {
            let mut tcp = s.stranger();
            let (seq, ack) = tcp.numbers(true);
            s.wire.segment(&tcp, true, seq, ack, PSH | ACK, b"Jane Brown");
            s.wire.segment(&tcp, true, seq, ack, PSH | ACK, NAME);
            tcp.advance(true, NAME.len());
            s.wire.ack(&tcp, false);
            s.wire.close(&mut tcp);
        }),
    ]);
}
