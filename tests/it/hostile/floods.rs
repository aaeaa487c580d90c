//! The captures, octet by octet; each of about as many frames as are asked for.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// A classic pcap file (little endian, microseconds).
struct Pcap {
    octets: Vec<u8>,
    frames: u32,
}

impl Pcap {
    fn new() -> Self {
        let mut octets = Vec::new();
        octets.extend(0xa1b2_c3d4_u32.to_le_bytes());
        octets.extend([2, 0, 4, 0]);
        octets.extend([0; 8]);
        octets.extend(262_144_u32.to_le_bytes());
        octets.extend(1_u32.to_le_bytes());
        Self { octets, frames: 0 }
    }

    fn frame(&mut self, ether_type: u16, body: &[u8]) {
        let len = u32::try_from(14 + body.len()).unwrap();
        self.octets.extend((1_750_000_000 + self.frames / 100_000).to_le_bytes());
        self.octets.extend((self.frames % 100_000 * 10).to_le_bytes());
        self.octets.extend(len.to_le_bytes());
        self.octets.extend(len.to_le_bytes());
        self.octets.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        self.octets.extend(ether_type.to_be_bytes());
        self.octets.extend(body);
        self.frames += 1;
    }

    fn ip(&mut self, src: u32, dst: u32, proto: u8, body: &[u8]) {
        self.frame(0x0800, &ipv4(src, dst, proto, 0, body));
    }
}

/// RFC 791 s3.1, without options; the checksum is right.
fn ipv4(src: u32, dst: u32, proto: u8, id_and_offset: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x45, 0];
    octets.extend(u16::try_from(20 + body.len()).unwrap().to_be_bytes());
    octets.extend(id_and_offset.to_be_bytes());
    octets.extend([64, proto, 0, 0]);
    octets.extend(src.to_be_bytes());
    octets.extend(dst.to_be_bytes());
    let sum: u32 =
        octets.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    octets[10..12].copy_from_slice(&sum.to_be_bytes());
    octets.extend(body);
    octets
}

/// RFC 9293 s3.1, without options and checksum.
fn tcp(ports: (u16, u16), seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.extend(ports.0.to_be_bytes());
    octets.extend(ports.1.to_be_bytes());
    octets.extend(seq.to_be_bytes());
    octets.extend(ack.to_be_bytes());
    octets.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    octets.extend(payload);
    octets
}

/// RFC 768, without checksum.
fn udp(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.extend(ports.0.to_be_bytes());
    octets.extend(ports.1.to_be_bytes());
    octets.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    octets.extend([0, 0]);
    octets.extend(payload);
    octets
}

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const MAIL: u32 = 0x0a00_001e;
const CLIENT: u32 = 0x0a00_000a;

/// Somebody of many, with a port.
fn host(n: usize) -> (u32, u16) {
    let n = u32::try_from(n).unwrap();
    (0x0b00_0000 + n, 1024 + u16::try_from(n * 31 % 60_000).unwrap())
}

/// A SYN of another host each.
pub(super) fn syns(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames {
        let (src, port) = host(n);
        pcap.ip(src, MAIL, 6, &tcp((port, 110), 1000, 0, SYN, b""));
    }
    pcap.octets
}

/// A SYN and a line of another host each, and no end.
pub(super) fn lines(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames / 2 {
        let (src, port) = host(n);
        pcap.ip(src, MAIL, 6, &tcp((port, 8110), 1000, 0, SYN, b""));
        pcap.ip(
            src,
            MAIL,
            6,
            &tcp((port, 8110), 1001, 1, ACK, b"what a line\r\nand another one\r\n"),
        );
    }
    pcap.octets
}

/// A login of the client each, direct to the service: a bypass, a credential and an identifier.
pub(super) fn logins(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames / 5 {
        let port = 1024 + u16::try_from(n % 60_000).unwrap();
        // Ports come again on another address of the service's network once they are used up.
        let service = MAIL + u32::try_from(n / 60_000).unwrap() * 256;
        let mut say = |to: bool, seq: u32, ack: u32, flags: u8, text: &[u8]| {
            if to {
                pcap.ip(CLIENT, service, 6, &tcp((port, 110), seq, ack, flags, text));
            } else {
                pcap.ip(service, CLIENT, 6, &tcp((110, port), seq, ack, flags, text));
            }
        };
        say(true, 1000, 0, SYN, b"");
        say(false, 5000, 1001, SYN | ACK, b"");
        say(false, 5001, 1001, ACK, b"+OK POP3 server ready\r\n");
        say(true, 1001, 5024, ACK, b"USER jsmith\r\nPASS hunter2\r\n");
        say(true, 1028, 5024, RST | ACK, b"");
    }
    pcap.octets
}

/// A login of another host each that never ends.
pub(super) fn open_logins(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames / 4 {
        let (src, port) = host(n);
        let mut say = |to: bool, seq: u32, ack: u32, flags: u8, text: &[u8]| {
            if to {
                pcap.ip(src, MAIL, 6, &tcp((port, 110), seq, ack, flags, text));
            } else {
                pcap.ip(MAIL, src, 6, &tcp((110, port), seq, ack, flags, text));
            }
        };
        say(true, 1000, 0, SYN, b"");
        say(false, 5000, 1001, SYN | ACK, b"");
        say(false, 5001, 1001, ACK, b"+OK POP3 server ready\r\n");
        say(true, 1001, 5024, ACK, b"USER jsmith\r\nPASS hunter2\r\n");
    }
    pcap.octets
}

/// A datagram of another host each.
pub(super) fn datagrams(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames {
        let (src, port) = host(n);
        pcap.ip(src, MAIL, 17, &udp((port, 9999), b"a datagram of no protocol that is known"));
    }
    pcap.octets
}

/// Answers of one server, each with another long name and two addresses (RFC 1035 s4).
pub(super) fn answers(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames {
        pcap.ip(0x0a00_0035, CLIENT, 17, &udp((53, 5353), &answer(n)));
    }
    pcap.octets
}

fn answer(n: usize) -> Vec<u8> {
    let mut message = vec![0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0];
    let first = format!("{n:0>60}");
    for label in [first.as_str(), &"b".repeat(63), &"c".repeat(63), "example"] {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    for last in [1, 2] {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    }
    message
}

/// Another ether type each.
pub(super) fn ether_types(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames {
        pcap.frame(
            u16::try_from(0x0a00 + n % 0xf000).unwrap(),
            b"what is said in a link of its own",
        );
    }
    pcap.octets
}

/// The first fragment of another datagram each.
pub(super) fn fragments(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames {
        let (src, _) = host(n / 65_536);
        let id = u32::try_from(n % 65_536).unwrap() << 16 | 0x2000;
        pcap.frame(0x0800, &ipv4(src, MAIL, 17, id, &udp((1, 2), &[b'x'; 512])));
    }
    pcap.octets
}

/// First fragments of large datagrams, half of them in one more tunnel than the others, half of those in one more, and so on.
pub(super) fn fragments_in_tunnels(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames {
        let (src, _) = host(n / 65_536);
        let id = u32::try_from(n % 65_536).unwrap() << 16 | 0x2000;
        let mut packet = ipv4(src, MAIL, 17, id, &udp((1, 2), &[b'x'; 1304]));
        for _ in 0..n.trailing_ones().min(7) {
            packet = ipv4(CLIENT, MAIL, 4, 0, &packet);
        }
        pcap.frame(0x0800, &packet);
    }
    pcap.octets
}

/// One conn, of which every other segment is missing.
pub(super) fn holes(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    pcap.ip(CLIENT, MAIL, 6, &tcp((4000, 8110), 0, 0, SYN, b""));
    for n in 0..frames {
        let seq = 1 + u32::try_from(n).unwrap().wrapping_mul(2048);
        pcap.ip(CLIENT, MAIL, 6, &tcp((4000, 8110), seq.wrapping_add(1024), 1, ACK, &[b'x'; 1024]));
    }
    pcap.octets
}

/// IP in IP, as deep as a frame is long; the innermost conn is another one each.
pub(super) fn tunnels(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    for n in 0..frames {
        let (src, port) = host(n);
        let mut packet = ipv4(src, MAIL, 17, 0, &udp((port, 9999), b"innermost"));
        for _ in 0..n % 60 {
            packet = ipv4(src, MAIL, 4, 0, &packet);
        }
        pcap.frame(0x0800, &packet);
    }
    pcap.octets
}

/// A pcapng file of interfaces with names of 60,000 octets, and one frame at its end.
pub(super) fn interfaces(frames: usize) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len = u32::try_from(12 + body.len()).unwrap().to_le_bytes();
        [&kind.to_le_bytes(), &len, body, &len].concat()
    };
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend([1, 0, 0, 0]);
    section.extend([0xff; 8]);
    let mut octets = block(0x0a0d_0d0a, &section);
    let mut interface = vec![1, 0, 0, 0, 0, 0, 4, 0, 2, 0];
    interface.extend(60_000_u16.to_le_bytes());
    interface.extend(std::iter::repeat_n(b'n', 60_000));
    interface.extend([0; 4]);
    let described = block(1, &interface);
    // A file of full size would be some GB: a tenth of the frames is enough.
    for _ in 0..frames / 10 {
        octets.extend(&described);
    }
    let mut packet = vec![0; 12];
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend(ipv4(CLIENT, MAIL, 17, 0, &udp((1, 2), b"end!")));
    let len = u32::try_from(frame.len()).unwrap().to_le_bytes();
    packet.extend(len);
    packet.extend(len);
    frame.resize(frame.len().next_multiple_of(4), 0);
    packet.extend(frame);
    octets.extend(block(6, &packet));
    octets
}

/// Frames of one octet over and over, in gzip: a thousandth of their size.
pub(super) fn swelling(frames: usize) -> Vec<u8> {
    let mut pcap = Pcap::new();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..frames {
        pcap.ip(CLIENT, MAIL, 17, &udp((1, 2), &[b'x'; 1400]));
        gzip.write_all(&std::mem::take(&mut pcap.octets)).unwrap();
    }
    gzip.finish().unwrap()
}

/// A half conn: the client's side of a handshake and what both say, the request first, then the answer.
fn half(pcap: &mut Pcap, n: usize, port: u16, request: &[u8], answer: &[u8]) {
    let (src, own) = host(n);
    pcap.ip(src, MAIL, 6, &tcp((own, port), 1000, 0, SYN, b""));
    pcap.ip(MAIL, src, 6, &tcp((port, own), 5000, 1001, SYN | ACK, b""));
    if !request.is_empty() {
        pcap.ip(src, MAIL, 6, &tcp((own, port), 1001, 5001, ACK, request));
    }
    let said = u32::try_from(request.len()).unwrap();
    for (part, seq) in answer.chunks(1400).zip((0..).step_by(1400)) {
        pcap.ip(MAIL, src, 6, &tcp((port, own), 5001 + seq, 1001 + said, ACK, part));
    }
}

/// Everything at once, so that every table is full at the same time: conns that stay open in the midst of a login, of a
/// request and of a hello; half bodies of gzip and zstd; holes and conflicts in many streams; datagrams, answers with long names,
/// first fragments, whole fragments in two versions, and a hit in every other.
pub(super) fn mixture(frames: usize) -> Vec<u8> {
    let text: Vec<u8> =
        (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&text).unwrap();
    let gzip = gzip.finish().unwrap();
    let head = |coding: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 900000\r\n\r\n")
    };
    let gzip = [head("gzip").as_bytes(), &gzip[..2600]].concat();
    // RFC 8878 s3.1.1.1: a window of 8 MiB, a raw block of 2000 octets that is not the last.
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x68, 0x80, 0x3e, 0][..], &text[..2000]].concat();
    let zstd = [head("zstd").as_bytes(), &zstd].concat();
    let hello = [&[22, 3, 1, 8, 0, 1, 0, 7, 252, 3, 3][..], &text[..1200], b"jsmith"].concat();
    let request = [b"POST /jsmith HTTP/1.1\r\nX: ".as_slice(), &[b'a'; 1200]].concat();
    let mut pcap = Pcap::new();
    let mut n = 0;
    while usize::try_from(pcap.frames).unwrap() < frames {
        n += 1;
        let (src, port) = host(n);
        match n % 10 {
            0 => half(&mut pcap, n, 110, b"", b"+OK POP3\r\n+OK\r\n+OK jsmith\r\n"),
            1 => {
                half(&mut pcap, n, 8110, b"USER jsmith\r\nPASS hunter2\r\n", b"+OK POP3 ready\r\n");
            }
            2 => half(&mut pcap, n, 8080, b"GET / HTTP/1.1\r\n\r\n", &gzip),
            3 => half(&mut pcap, n, 8080, &request, b""),
            4 => half(&mut pcap, n, 8443, &hello, b""),
            5 if n % 200 == 5 => half(&mut pcap, n, 8080, b"GET / HTTP/1.1\r\n\r\n", &zstd),
            // A stream of which every other segment is missing; 32 of them in turn.
            5 => {
                let at = u32::try_from(n / 320).unwrap().wrapping_mul(2800) + 1400;
                let ends = (2000 + u16::try_from(n / 10 % 32).unwrap(), 8110);
                pcap.ip(CLIENT, MAIL, 6, &tcp(ends, at, 1, ACK, &text[n % 1000..][..1400]));
            }
            // A stream that is said again in another way; nothing of it is acknowledged.
            6 => {
                let ends = (3000 + u16::try_from(n / 10 % 512).unwrap(), 8110);
                let at = u32::try_from(n / 5120).unwrap().wrapping_mul(1400);
                pcap.ip(CLIENT, MAIL, 6, &tcp(ends, at, 1, ACK, &text[n % 1000..][..1400]));
                pcap.ip(CLIENT, MAIL, 6, &tcp(ends, at + 10, 1, ACK, &text[n % 900..][..600]));
            }
            7 => {
                pcap.ip(src, MAIL, 17, &udp((port, 9999), b"a datagram that says jsmith"));
                pcap.ip(src, MAIL, 17, &udp((port, 9998), &text[n % 1000..][..900]));
            }
            8 => {
                let answer = answer(n);
                pcap.ip(0x0a00_0035, CLIENT, 17, &udp((53, port), &answer));
            }
            _ => {
                let id = u32::try_from(n % 65_536).unwrap() << 16 | 0x2000;
                let whole = udp((1, 2), &text[n % 1000..][..1392]);
                pcap.frame(0x0800, &ipv4(src, MAIL, 17, id, &whole));
                pcap.frame(0x0800, &ipv4(src, MAIL, 17, id + 40, &text[n % 999..][..1400]));
                pcap.frame(0x0800, &ipv4(src, MAIL, 17, id + 40, &text[n % 998..][..1400]));
            }
        }
    }
    pcap.octets
}
