//! Direct conns to a service, by every way round.

use super::base::{ethernet, ipv4, ipv6, tcp, udp};
use super::*;

fn syn(src: &str, dst: &str, port: u16) -> Vec<u8> {
    ipv4(src, dst, 6, 7, 0, &tcp(49_400, port, 1, SYN, b"", b""))
}

fn syn6(src: &str, dst: &str, port: u16) -> Vec<u8> {
    ipv6(src, dst, 6, &tcp(49_400, port, 1, SYN, b"", b""))
}

/// A DNS answer: `name` is an alias of `alias`, which has `address`. Without an alias `name` has it.
fn answer(name: &str, alias: Option<&str>, address: [u8; 4]) -> Vec<u8> {
    let wire = |name: &str| {
        let mut octets = Vec::new();
        for label in name.split('.') {
            octets.push(u8::try_from(label.len()).unwrap());
            octets.extend_from_slice(label.as_bytes());
        }
        octets.push(0);
        octets
    };
    let answers = 1 + u8::from(alias.is_some());
    let mut octets = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0];
    octets.extend_from_slice(&wire(name));
    octets.extend_from_slice(&[0, 1, 0, 1]);
    let mut owner = vec![0xc0, 12];
    if let Some(alias) = alias {
        let alias = wire(alias);
        octets.extend_from_slice(&owner);
        octets.extend_from_slice(&[0, 5, 0, 1, 0, 0, 0, 60]);
        octets.extend_from_slice(&u16::try_from(alias.len()).unwrap().to_be_bytes());
        octets.extend_from_slice(&alias);
        owner = alias;
    }
    octets.extend_from_slice(&owner);
    octets.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    octets.extend_from_slice(&address);
    octets
}

/// The answer over UDP, then a SYN to the address.
fn resolved(scene: &mut Scene, answer: &[u8]) {
    scene.wire.udp("10.77.0.10:49500", "10.77.0.53:53", &question(answer));
    scene.wire.udp("10.77.0.53:53", "10.77.0.10:49500", answer);
    scene.wire.frame(ethernet(0x0800, &syn(CLIENT, "10.77.5.5", 110)));
}

/// The question of an answer.
fn question(answer: &[u8]) -> Vec<u8> {
    let end = 12 + answer[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
    let mut octets = answer[..end].to_vec();
    octets[2..4].copy_from_slice(&[1, 0]);
    octets[6..8].copy_from_slice(&[0, 0]);
    octets
}

#[test]
fn a_direct_conn_is_seen_by_every_way_round() {
    expect(&[
        ("syn", Want::Fail, |s| s.wire.frame(ethernet(0x0800, &syn(CLIENT, MAIL, 110)))),
        ("syn over ipv6", Want::Fail, |s| {
            s.wire.frame(ethernet(0x86dd, &syn6("2001:db8:77::10", "2001:db8:77:1::30", 110)));
        }),
        ("mapped address", Want::Fail, |s| {
            s.wire.frame(ethernet(0x86dd, &syn6("::ffff:10.77.0.10", "::ffff:10.77.1.30", 110)));
        }),
        ("by nat64", Want::NoPass, |s| {
            s.wire.frame(ethernet(0x86dd, &syn6("2001:db8:77::10", "64:ff9b::10.77.1.30", 110)));
        }),
        ("over ipv6, a client that is known by ipv4 alone", Want::NoPass, |s| {
            s.target = TARGET.replace(", \"2001:db8:77::10\"", "");
            s.wire.frame(ethernet(0x86dd, &syn6("2001:db8:77::77", "2001:db8:77:1::30", 110)));
        }),
        ("udp to the service", Want::Fail, |s| {
            s.wire.udp("10.77.0.10:5000", "10.77.1.30:110", b"x")
        }),
        ("datagram to notify", Want::Fail, |s| {
            s.target.push_str(
                "[[target.service]]\nname = \"notify\"\nkind = \"notify\"\nhost = \"dasher.dartmouth.edu\"\nport = 2154\naddress = [\"10.77.1.30\"]\n",
            );
            s.wire.udp("10.77.0.10:5000", "10.77.1.30:2154", b"\x03");
        }),
        ("from the service alone", Want::Fail, |s| {
            let answer = tcp(110, 49_400, 1, RST | ACK, b"", b"");
            s.wire.frame(ethernet(0x0800, &ipv4(MAIL, CLIENT, 6, 7, 0, &answer)));
        }),
        ("another address by name", Want::Fail, |s| {
            resolved(s, &answer("dasher.dartmouth.edu", None, [10, 77, 5, 5]));
        }),
        ("another address by name in mixed case", Want::Fail, |s| {
            resolved(s, &answer("dAsHeR.DartMouth.eDu", None, [10, 77, 5, 5]));
        }),
        ("another address by an alias", Want::Fail, |s| {
            resolved(
                s,
                &answer("dasher.dartmouth.edu", Some("mail7.dartmouth.edu"), [10, 77, 5, 5]),
            );
        }),
        ("another address by name over tcp", Want::NoPass, |s| {
            let answer = answer("dasher.dartmouth.edu", None, [10, 77, 5, 5]);
            let framed = |octets: &[u8]| {
                [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat()
            };
            let mut tcp = s.wire.connect("10.77.0.10:49501", "10.77.0.53:53");
            s.wire.client(&mut tcp, &framed(&question(&answer)));
            s.wire.server(&mut tcp, &framed(&answer));
            s.wire.close(&mut tcp);
            s.wire.frame(ethernet(0x0800, &syn(CLIENT, "10.77.5.5", 110)));
        }),
        ("in gre", Want::NoPass, |s| {
            let body = [&[0, 0, 8, 0][..], &syn(CLIENT, MAIL, 110)].concat();
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 47, 7, 0, &body)));
        }),
        ("in ip-in-ip", Want::NoPass, |s| {
            s.wire.frame(ethernet(
                0x0800,
                &ipv4(CLIENT, "10.77.9.9", 4, 7, 0, &syn(CLIENT, MAIL, 110)),
            ));
        }),
        ("in 6in4", Want::NoPass, |s| {
            let inner = syn6("2001:db8:77::10", "2001:db8:77:1::30", 110);
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, "10.77.9.9", 41, 7, 0, &inner)));
        }),
        ("in vxlan", Want::NoPass, |s| {
            let inner = ethernet(0x0800, &syn(CLIENT, MAIL, 110));
            s.wire.udp(
                "10.77.0.10:5000",
                "10.77.9.9:4789",
                &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat(),
            );
        }),
        ("in geneve", Want::NoPass, |s| {
            let inner = ethernet(0x0800, &syn(CLIENT, MAIL, 110));
            s.wire.udp(
                "10.77.0.10:5000",
                "10.77.9.9:6081",
                &[&[0, 0, 0x65, 0x58, 0, 0, 1, 0][..], &inner].concat(),
            );
        }),
        ("in vxlan-gpe", Want::NoPass, |s| {
            let inner = syn(CLIENT, MAIL, 110);
            s.wire.udp(
                "10.77.0.10:5000",
                "10.77.9.9:4790",
                &[&[0x0c, 0, 0, 1, 0, 0, 1, 0][..], &inner].concat(),
            );
        }),
        ("in gre over udp", Want::NoPass, |s| {
            s.wire.udp(
                "10.77.0.10:5000",
                "10.77.9.9:4754",
                &[&[0, 0, 8, 0][..], &syn(CLIENT, MAIL, 110)].concat(),
            );
        }),
        ("in mpls", Want::NoPass, |s| {
            s.wire.frame(ethernet(0x8847, &[&[0, 1, 1, 64][..], &syn(CLIENT, MAIL, 110)].concat()));
        }),
        ("in pppoe", Want::Fail, |s| {
            let packet = syn(CLIENT, MAIL, 110);
            let len = u16::try_from(packet.len() + 2).unwrap().to_be_bytes();
            let body = [&[0x11, 0, 0, 1, len[0], len[1], 0, 0x21][..], &packet].concat();
            s.wire.frame(ethernet(0x8864, &body));
        }),
        ("somebody else's, the client inferred", Want::NoPass, |s| {
            s.target = TARGET.replace("client = [\"10.77.0.10\", \"2001:db8:77::10\"]\n", "");
            s.wire.frame(ethernet(0x0800, &syn("10.77.0.99", MAIL, 110)));
        }),
        ("somebody else's, the client given", Want::Pass, |s| {
            s.wire.frame(ethernet(0x0800, &syn("10.77.0.99", MAIL, 110)));
        }),
        ("the client given as somebody else", Want::NoPass, |s| {
            s.target = TARGET.replace("10.77.0.10", "10.77.0.99");
        }),
        ("another port of the service in the clear", Want::Fail, |s| {
            let mut tcp = s.wire.connect("10.77.0.10:49502", "10.77.1.30:143");
            s.wire.server(&mut tcp, b"* OK IMAP4rev1 ready\r\n");
            s.wire.client(&mut tcp, b"a1 LOGIN woz sleigh\r\n");
            s.wire.server(&mut tcp, b"a1 OK done\r\n");
            s.wire.close(&mut tcp);
        }),
        ("the service's address is not known", Want::Inconclusive, |s| {
            s.target = TARGET.replace("address = [\"10.77.1.30\", \"2001:db8:77:1::30\"]\n", "");
        }),
        ("an exemption of the service", Want::Pass, |s| {
            s.target.push_str(
                "[[target.exempt]]\nname = \"pop\"\nhost = \"dasher.dartmouth.edu\"\nport = 110\nreason = \"public\"\n",
            );
        }),
        ("an exemption of another port", Want::Fail, |s| {
            s.target.push_str(
                "[[target.exempt]]\nname = \"pop\"\nhost = \"dasher.dartmouth.edu\"\nreason = \"public\"\n",
            );
            s.wire.frame(ethernet(0x0800, &syn(CLIENT, MAIL, 110)));
        }),
        ("text behind a question of names to the gateway", Want::Fail, |s| {
            let asked = question(&answer("www.example.org", None, [10, 77, 5, 5]));
            s.wire.udp("10.77.0.10:49510", "10.77.0.20:53", &asked);
            s.wire.udp("10.77.0.10:49510", "10.77.0.20:53", b"PASS sleigh-bells\r\n");
        }),
        ("text behind a request for the time to the gateway", Want::Fail, |s| {
            let mut asked = [0; 48];
            asked[0] = 0x23;
            s.wire.udp("10.77.0.10:49511", "10.77.0.20:123", &asked);
            s.wire.udp("10.77.0.10:49511", "10.77.0.20:123", b"PASS sleigh-bells\r\n");
        }),
        ("no identifiers", Want::Fail, |s| {
            s.target = TARGET.replace(
                "identifiers = { username = [\"jsmith\", \"John Smith\"], folders = [\"Reindeer Games\"] }\n",
                "",
            );
            s.wire.frame(ethernet(0x0800, &syn(CLIENT, MAIL, 110)));
        }),
        ("a fragment of a datagram to the service", Want::NoPass, |s| {
            let datagram = udp(5000, 110, &[7; 24]);
            s.wire.frame(ethernet(0x0800, &ipv4(CLIENT, MAIL, 17, 9, 0x2000, &datagram[..16])));
        }),
    ]);
}
