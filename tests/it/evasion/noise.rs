//! Ordinary noise beside a clean session: it takes no PASS away.

use super::base::{ethernet, ipv4, ipv6, tcp, udp};
use super::*;

fn frame4(scene: &mut Scene, src: &str, dst: &str, proto: u8, body: &[u8]) {
    scene.wire.frame(ethernet(0x0800, &ipv4(src, dst, proto, 7, 0, body)));
}

/// An LLC frame with a length, padded as a switch does.
fn llc(scene: &mut Scene, body: &[u8]) {
    let mut frame = ethernet(u16::try_from(body.len()).unwrap(), body);
    frame.resize(60, 0);
    scene.wire.frame(frame);
}

/// A DHCP message with its cookie and a few options.
fn dhcp(kind: u8) -> Vec<u8> {
    let mut octets = vec![kind, 1, 6, 0, 0x39, 3, 0xf3, 0x26];
    octets.resize(236, 0);
    octets.extend_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, 3, 50, 4, 10, 77, 0, 10, 12, 6]);
    octets.extend_from_slice(b"laptop\xff");
    octets.resize(300, 0);
    octets
}

fn ntp(first: u8) -> Vec<u8> {
    let mut octets = vec![first, 0, 6, 0xe9, 0, 0, 0, 0, 0, 0, 0, 0];
    octets.resize(40, 0);
    octets.extend_from_slice(&seeded(71, 8));
    octets
}

fn question(name: &str, kind: u8) -> Vec<u8> {
    let mut octets = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend_from_slice(label.as_bytes());
    }
    octets.extend_from_slice(&[0, 0, kind, 0, 1]);
    octets
}

#[test]
fn noise_of_the_link_spoils_nothing() {
    expect(&[
        ("the tunnel alone", Want::Pass, |_| {}),
        ("arp", Want::Pass, |s| {
            let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
            body.resize(46, 0);
            s.wire.frame(ethernet(0x0806, &body));
        }),
        ("lldp", Want::Pass, |s| {
            s.wire.frame(ethernet(0x88cc, &[2, 7, 4, 2, 0, 0, 0, 0, 1, 0, 0]))
        }),
        ("stp", Want::Pass, |s| llc(s, &[0x42, 0x42, 3, 0, 0, 0, 0, 0, 0x80, 0])),
        ("cdp", Want::Pass, |s| llc(s, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 2, 0xb4])),
        ("xid of an access point", Want::Pass, |s| llc(s, &[0, 1, 0xaf, 0x81, 1, 0])),
        ("xid of a station", Want::Pass, |s| llc(s, &[0, 1, 0xbf, 0x81, 1, 0])),
        ("llc test", Want::Pass, |s| llc(s, &[0, 0, 0xf3, 0, 0])),
        ("netbeui", Want::Pass, |s| llc(s, &[0xf0, 0xf0, 3, 0x2c, 0, 0xff, 0xef, 8])),
        ("ipx", Want::Pass, |s| llc(s, &[0xe0, 0xe0, 3, 0xff, 0xff, 0, 0x22])),
        ("loop detection of a cheap switch", Want::Pass, |s| {
            s.wire.frame(ethernet(0x8899, &[0x23; 46]))
        }),
        ("lltd", Want::Pass, |s| s.wire.frame(ethernet(0x88d9, &[1; 46]))),
        ("eapol", Want::Pass, |s| s.wire.frame(ethernet(0x888e, &[2, 3, 0, 95]))),
        ("igmp", Want::Pass, |s| {
            frame4(
                s,
                CLIENT,
                "224.0.0.22",
                2,
                &[0x22, 0, 0xf9, 2, 0, 0, 0, 1, 4, 0, 0, 0, 239, 255, 255, 250],
            )
        }),
        ("neighbour discovery", Want::Pass, |s| {
            let body = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &[0x20; 16], &[1, 1, 2, 0, 0, 0, 0, 0x10]]
                .concat();
            s.wire.frame(ethernet(0x86dd, &ipv6("fe80::1", "ff02::1:ff00:10", 58, &body)));
        }),
        ("multicast listener report", Want::Pass, |s| {
            let body = [
                &[58, 0, 5, 2, 0, 0, 1, 0][..],
                &[143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0],
                &[0xff; 16],
            ]
            .concat();
            s.wire.frame(ethernet(0x86dd, &ipv6("fe80::1", "ff02::16", 0, &body)));
        }),
        ("zero-length frame", Want::NoPass, |s| s.wire.frame(Vec::new())),
        ("frame of one octet", Want::NoPass, |s| s.wire.frame(vec![7])),
    ]);
}

#[test]
fn noise_of_the_network_spoils_nothing() {
    expect(&[
        ("ping of the gateway", Want::Pass, |s| {
            for kind in [8, 0] {
                let body =
                    [&[kind, 0, 0, 0, 0, 1, 0, 1][..], &(16..64).collect::<Vec<u8>>()].concat();
                let (from, to) = if kind == 8 { (CLIENT, GATEWAY) } else { (GATEWAY, CLIENT) };
                frame4(s, from, to, 1, &body);
            }
        }),
        ("icmp error of the gateway about the tunnel", Want::Pass, |s| {
            let quoted = ipv4(CLIENT, GATEWAY, 6, 7, 0, &tcp(49_400, 22, 1, ACK, b"", b""));
            frame4(s, GATEWAY, CLIENT, 1, &[&[3, 4, 0, 0, 0, 0, 5, 0][..], &quoted].concat());
        }),
        ("dhcp by broadcast", Want::Pass, |s| {
            frame4(s, "0.0.0.0", "255.255.255.255", 17, &udp(68, 67, &dhcp(1)));
        }),
        ("ntp of a server", Want::Pass, |s| {
            frame4(s, CLIENT, "10.77.0.1", 17, &udp(123, 123, &ntp(0x23)))
        }),
        ("dhcp of the gateway", Want::Pass, |s| {
            frame4(s, CLIENT, GATEWAY, 17, &udp(68, 67, &dhcp(1)));
            frame4(s, GATEWAY, CLIENT, 17, &udp(67, 68, &dhcp(2)));
        }),
        ("ntp of the gateway", Want::Pass, |s| {
            frame4(s, CLIENT, GATEWAY, 17, &udp(49_123, 123, &ntp(0x23)));
            frame4(s, GATEWAY, CLIENT, 17, &udp(123, 49_123, &ntp(0x24)));
        }),
        ("dns of the gateway", Want::Pass, |s| {
            frame4(s, CLIENT, GATEWAY, 17, &udp(49_124, 53, &question("www.example.org", 1)));
        }),
        ("dns of other names", Want::Pass, |s| {
            frame4(s, CLIENT, "10.77.0.53", 17, &udp(49_124, 53, &question("www.example.org", 28)));
        }),
        ("mdns", Want::Pass, |s| {
            frame4(
                s,
                CLIENT,
                "224.0.0.251",
                17,
                &udp(5353, 5353, &question("_ipp._tcp.local", 12)),
            );
        }),
        ("ssdp", Want::Pass, |s| {
            frame4(
                s,
                CLIENT,
                "239.255.255.250",
                17,
                &udp(50_000, 1900, b"M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n"),
            );
        }),
        ("web of other people", Want::Pass, |s| {
            let mut tcp = s.wire.connect("10.77.0.88:50000", "10.77.9.9:80");
            s.wire.client(&mut tcp, b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
            s.wire.server(&mut tcp, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            s.wire.close(&mut tcp);
        }),
        ("mail of other people", Want::Pass, |s| {
            let mut tcp = s.wire.connect("10.77.0.88:50000", "10.77.9.9:110");
            s.wire.server(&mut tcp, b"+OK ready\r\n");
            s.wire.client(&mut tcp, b"USER woz\r\n");
            s.wire.server(&mut tcp, b"+OK\r\n");
            s.wire.close(&mut tcp);
        }),
        ("a conn of others that was open before", Want::Pass, |s| {
            let mut tcp = Tcp::midstream("10.77.0.88:50000", "10.77.9.9:443", 5, 9);
            s.wire.client(&mut tcp, &seeded(72, 400));
            s.wire.server(&mut tcp, &seeded(73, 400));
        }),
        ("a reset in time-wait", Want::Pass, |s| {
            let tcp = Tcp::midstream("10.77.0.10:50001", "10.77.0.20:22", 5, 9);
            s.wire.segment(&tcp, false, 9, 5, RST, b"");
        }),
        ("an old fin of another tunnel", Want::NoPass, |s| {
            let tcp = Tcp::midstream("10.77.0.10:50001", "10.77.0.20:22", 5, 9);
            s.wire.segment(&tcp, false, 9, 5, FIN | ACK, b"");
        }),
        ("a keepalive of tcp", Want::Pass, |s| {
            let tunnel = s.tunnel.clone();
            for payload in [&b""[..], b"\0"] {
                s.wire.wait_ms(20_000);
                s.wire.segment(
                    &tunnel,
                    true,
                    tunnel.client_seq - 1,
                    tunnel.server_seq,
                    ACK,
                    payload,
                );
                s.wire.ack(&tunnel, false);
            }
        }),
        ("retransmissions", Want::Pass, |s| {
            let before = s.tunnel.clone();
            let piece = seeded(74, 900);
            s.wire.send(&mut s.tunnel, true, &piece);
            s.wire.segment(&before, true, before.client_seq, before.server_seq, PSH | ACK, &piece);
            s.wire.segment(
                &before,
                true,
                before.client_seq + 200,
                before.server_seq,
                PSH | ACK,
                &piece[200..],
            );
            s.wire.ack(&s.tunnel, false);
        }),
        ("a window probe", Want::Pass, |s| {
            let before = s.tunnel.clone();
            let piece = seeded(75, 900);
            s.wire.segment(&before, true, before.client_seq, before.server_seq, ACK, &piece[..1]);
            s.wire.segment(&before, true, before.client_seq, before.server_seq, ACK, &piece[..1]);
            s.wire.client(&mut s.tunnel, &piece);
        }),
        ("another order", Want::Pass, |s| {
            let before = s.tunnel.clone();
            let piece = seeded(76, 900);
            for from in [600_usize, 300, 0] {
                let seq = before.client_seq + u32::try_from(from).unwrap();
                s.wire.segment(
                    &before,
                    true,
                    seq,
                    before.server_seq,
                    ACK,
                    &piece[from..from + 300],
                );
            }
            s.tunnel.client_seq += 900;
            s.wire.ack(&s.tunnel, false);
        }),
        ("every frame twice", Want::Pass, |s| {
            s.wire.udp("10.77.0.10:50000", "10.77.0.53:53", &question("www.example.org", 1));
            s.wire.frames =
                s.wire.frames.iter().flat_map(|shot| [shot.clone(), shot.clone()]).collect();
        }),
        ("every frame with a vlan tag", Want::Pass, |s| {
            for shot in &mut s.wire.frames {
                shot.octets.splice(12..12, [0x81, 0, 0, 5]);
                shot.len += 4;
            }
        }),
        ("wrong checksums", Want::Pass, |s| {
            for shot in &mut s.wire.frames {
                shot.octets[24] ^= 0x55;
                shot.octets[14 + 20 + 16] ^= 0x55;
            }
        }),
        ("the tunnel comes back", Want::Pass, |s| {
            s.wire.close(&mut s.tunnel);
            let mut tcp = s.wire.connect("10.77.0.10:50002", "10.77.0.20:22");
            for (by_client, payload) in base::opening() {
                if by_client {
                    s.wire.client(&mut tcp, &payload);
                } else {
                    s.wire.server(&mut tcp, &payload);
                }
            }
            s.tunnel = tcp;
            s.carry(77, 30);
        }),
        ("a tunnel that the gateway refused first", Want::Pass, |s| {
            let tcp = Tcp::midstream("10.77.0.10:50003", "10.77.0.20:22", 5, 0);
            s.wire.segment(&tcp, true, 5, 0, SYN, b"");
            s.wire.segment(&tcp, false, 0, 6, RST | ACK, b"");
        }),
        ("a scan of the gateway, the client inferred", Want::Pass, |s| {
            s.target = TARGET.replace("client = [\"10.77.0.10\", \"2001:db8:77::10\"]\n", "");
            let tcp = Tcp::midstream("10.77.0.99:50005", "10.77.0.20:22", 5, 0);
            s.wire.segment(&tcp, true, 5, 0, SYN, b"");
            s.wire.segment(&tcp, false, 0, 6, RST | ACK, b"");
        }),
        ("web of other people at the gateway", Want::Pass, |s| {
            let mut tcp = s.wire.connect("10.77.0.88:50006", "10.77.0.20:80");
            s.wire.client(&mut tcp, b"GET / HTTP/1.1\r\nHost: nimbus\r\n\r\n");
            s.wire.server(&mut tcp, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            s.wire.close(&mut tcp);
        }),
        ("every interface at once, the forward's mouth among them", Want::Pass, |s| {
            let mut tcp = s.wire.connect("127.0.0.1:50007", "127.0.0.1:2110");
            s.wire.server(&mut tcp, b"+OK ready\r\n");
            s.wire.client(&mut tcp, b"USER jsmith\r\n");
            s.wire.server(&mut tcp, b"+OK\r\n");
            s.wire.close(&mut tcp);
            s.carry(5, 4);
            s.wire.close(&mut s.tunnel);
            s.is_left_open = true;
            for shot in &mut s.wire.frames {
                let ip = shot.octets.split_off(14);
                let mut cooked = vec![8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6];
                cooked.extend_from_slice(&shot.octets[6..12]);
                cooked.extend_from_slice(&[0, 0]);
                cooked.extend_from_slice(&ip);
                shot.len = u32::try_from(cooked.len()).unwrap();
                shot.octets = cooked;
            }
            let mut file = s.wire.pcap();
            file[20..22].copy_from_slice(&276_u16.to_le_bytes());
            s.files = Some(vec![file]);
        }),
        ("times of zero", Want::Pass, |s| {
            for shot in &mut s.wire.frames {
                shot.time_ns = 0;
            }
        }),
        ("a time that jumps", Want::Pass, |s| {
            let last = s.wire.frames.len() / 2;
            s.wire.frames[last].time_ns += 900_000_000_000_000_000;
        }),
        ("a long silence", Want::Pass, |s| s.wire.wait_ms(7_200_000)),
        ("a capture that was never closed", Want::Pass, |s| s.is_left_open = true),
        ("the client inferred", Want::Pass, |s| {
            s.target = TARGET.replace("client = [\"10.77.0.10\", \"2001:db8:77::10\"]\n", "");
        }),
        ("a short name, by chance in ciphertext", Want::Pass, |s| {
            s.target = TARGET.replace("\"jsmith\", ", "\"woz\", ");
            let mut piece = seeded(78, 900);
            piece[400..403].copy_from_slice(b"wOz");
            for at in 0..40 {
                s.carry(80 + at, 60);
            }
            s.wire.client(&mut s.tunnel, &piece);
        }),
        ("a short name, by chance in the time stamps of tcp", Want::Inconclusive, |s| {
            s.target = TARGET.replace("\"jsmith\", ", "\"wz\", ");
            for at in 0..3000_u32 {
                let options =
                    [&[1, 1, 8, 10][..], &(at * 65_537).to_be_bytes(), &seeded(u64::from(at), 4)]
                        .concat();
                let segment = tcp(50_004, 7070, 1, ACK, &options, b"");
                frame4(s, CLIENT, "10.77.9.9", 6, &segment);
            }
        }),
    ]);
}
