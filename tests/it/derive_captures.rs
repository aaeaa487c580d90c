//! Cases made from recorded ones by leaving octets out or adding some: real ciphertext beside what is to be found.

use crate::make_captures::{CLIENT, MAIL, at, blitzmail, noise};
use crate::wire::{ACK, PSH, SYN, Tcp, Wire};
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// A host that is not the target's.
pub(crate) const OTHER: &str = "10.77.9.9";
pub(crate) const GATEWAY: &str = "10.77.0.20";
/// Ethernet, IPv4 and TCP without options: where the payload of our own frames begins.
const HEADERS: usize = 54;

pub(crate) fn derived() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("ssh-midstream.pcap", ssh_midstream().pcap()),
        ("ssh-gap.pcap", ssh_gap().pcap()),
        ("clear-whole.pcap", clear(&Flaw::None).pcap()),
        ("clear-gap.pcap", clear(&Flaw::Gap).pcap()),
        ("clear-conflict.pcap", clear(&Flaw::Conflict).pcap()),
        ("snaplen-64.pcap", snaplen_64().pcap()),
        ("stale-padding.pcap", stale_padding().pcap()),
        ("ipv6-bypass.pcap", ipv6_bypass().pcap()),
        ("syn-alone.pcap", syn_alone().pcap()),
        ("opaque-in-scope.pcap", opaque_in_scope().pcap()),
        ("dns-name.pcap", dns_name().pcap()),
        ("two-links.pcapng", two_links()),
        ("cut-file.pcap", cut_file()),
        ("gzip.pcap.gz", gzip(&tunnelled().pcap())),
        ("own-run-unclosed.pcapng", own_run_unclosed()),
    ]
}

pub(crate) fn recorded(name: &str) -> Vec<u8> {
    fs::read(Path::new("captures").join(name)).unwrap()
}

/// BlitzMail through OpenSSH.
pub(crate) fn tunnelled() -> Wire {
    Wire::read(&recorded("ssh-blitzmail.pcap"))
}

/// The frames of a wire that carry TCP payload over IPv4, by their index.
fn payloads(wire: &Wire) -> Vec<usize> {
    let carries = |octets: &[u8]| {
        octets[12..14] == [8, 0] && octets[23] == 6 && {
            let total = usize::from(u16::from_be_bytes([octets[16], octets[17]]));
            total > 20 + usize::from(octets[46] >> 4) * 4
        }
    };
    (0..wire.frames.len()).filter(|index| carries(&wire.frames[*index].octets)).collect()
}

/// The second half of the session: neither identification strings nor key exchange.
fn ssh_midstream() -> Wire {
    let mut wire = tunnelled();
    let half = wire.frames.len() / 2;
    wire.frames.drain(..half);
    wire
}

/// One segment of ciphertext, well behind the handshake, is left out.
fn ssh_gap() -> Wire {
    let mut wire = tunnelled();
    let carrying = payloads(&wire);
    wire.frames.remove(carrying[carrying.len() * 3 / 4]);
    wire
}

enum Flaw {
    None,
    Gap,
    Conflict,
}

/// A readable conn with a host of no concern beside the tunnel, with a flaw or without.
fn clear(flaw: &Flaw) -> Wire {
    let mut wire = tunnelled();
    let mut tcp = wire.connect(&at(CLIENT, 49_300), &at(OTHER, 80));
    wire.client(&mut tcp, b"GET /snow HTTP/1.1\r\nHost: weather.example\r\n\r\n");
    wire.server(
        &mut tcp,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 57\r\n\r\nSnow in the north,",
    );
    let (seq, ack) = tcp.numbers(false);
    wire.send(&mut tcp, false, b" wind from the west, ");
    match flaw {
        Flaw::None => {}
        Flaw::Gap => drop(wire.frames.pop()),
        Flaw::Conflict => {
            wire.segment(&tcp, false, seq, ack, PSH | ACK, b" rain from the east, ");
        }
    }
    wire.ack(&tcp, true);
    wire.server(&mut tcp, b"sun in the south.\n");
    wire.close(&mut tcp);
    wire
}

fn snaplen_64() -> Wire {
    let mut wire = tunnelled();
    wire.cut(64);
    wire
}

/// An acknowledgement of 54 octets is padded to 60, with six octets of old memory.
fn stale_padding() -> Wire {
    let mut wire = tunnelled();
    let tcp = Tcp::midstream(&at(CLIENT, 49_301), &at(OTHER, 7070), 1000, 5000);
    let mut octets = tcp.octets(true, 1000, 5000, ACK, b"");
    assert_eq!(octets.len(), HEADERS);
    octets.extend_from_slice(b"jsmith");
    wire.frame(octets);
    wire
}

fn ipv6_bypass() -> Wire {
    let mut wire = tunnelled();
    blitzmail(&mut wire, "[fd77::10]:49302", "[fd77:1::30]:2151");
    wire
}

fn syn_alone() -> Wire {
    let mut wire = tunnelled();
    let tcp = Tcp::midstream(&at(CLIENT, 49_303), &at(MAIL, 2151), 1000, 0);
    wire.segment(&tcp, true, 1000, 0, SYN, b"");
    wire
}

fn opaque_in_scope() -> Wire {
    let mut wire = tunnelled();
    let mut tcp = wire.connect(&at(CLIENT, 49_304), &at(GATEWAY, 4433));
    for seed in 1..5 {
        wire.client(&mut tcp, &noise(seed, 600));
        wire.server(&mut tcp, &noise(seed + 100, 900));
    }
    wire.close(&mut tcp);
    wire
}

/// A question for the address of nimbus.dartmouth.edu.
fn dns_name() -> Wire {
    let mut wire = tunnelled();
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["nimbus", "dartmouth", "edu", ""] {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 1, 0, 1]);
    wire.udp(&at(CLIENT, 49_305), "10.77.0.53:53", &question);
    wire
}

/// A pcapng with the tunnel on an Ethernet interface, and a direct session on one of link type RAW in nanoseconds.
fn two_links() -> Vec<u8> {
    let tunnel = tunnelled();
    let mut direct = tunnelled();
    direct.frames.clear();
    blitzmail(&mut direct, &at(CLIENT, 49_306), &at(MAIL, 2151));
    let mut file = tunnel.pcapng();
    // if_tsresol = 9, then the end of the options.
    block(&mut file, 1, &interface(101, &[9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]));
    for shot in &direct.frames {
        packet(&mut file, 1, shot.time_ns, &shot.octets[14..]);
    }
    file
}

impl Wire {
    /// A pcapng of one section with one Ethernet interface, in microseconds.
    pub(crate) fn pcapng(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        section.extend_from_slice(&[1, 0, 0, 0]);
        section.extend_from_slice(&[0xff; 8]);
        block(&mut file, 0x0a0d_0d0a, &section);
        block(&mut file, 1, &interface(1, &[]));
        for shot in &self.frames {
            packet(&mut file, 0, shot.time_ns / 1000, &shot.octets);
        }
        file
    }
}

/// The body of an interface description block.
fn interface(link_type: u16, options: &[u8]) -> Vec<u8> {
    let mut body = link_type.to_le_bytes().to_vec();
    body.extend_from_slice(&[0; 6]);
    body.extend_from_slice(options);
    body
}

/// An enhanced packet block.
fn packet(file: &mut Vec<u8>, interface: u32, time: u64, octets: &[u8]) {
    let len = u32::try_from(octets.len()).unwrap();
    let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
    let mut body = Vec::new();
    for value in [interface, high, low, len, len] {
        body.extend_from_slice(&value.to_le_bytes());
    }
    body.extend_from_slice(octets);
    block(file, 6, &body);
}

pub(crate) fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let padded = body.len().next_multiple_of(4);
    let total = u32::try_from(padded + 12).unwrap().to_le_bytes();
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&total);
    file.extend_from_slice(body);
    file.resize(file.len() + padded - body.len(), 0);
    file.extend_from_slice(&total);
}

/// The last record lacks its last ten octets.
fn cut_file() -> Vec<u8> {
    let mut file = tunnelled().pcap();
    file.truncate(file.len() - 10);
    file
}

/// A gzip member of stored blocks: no compressor, so that every version of one gives the same octets.
pub(crate) fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .operating_system(255)
        .write(Vec::new(), flate2::Compression::none());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

/// Without the interface statistics blocks that end a recording of tunnelcheck's own.
fn own_run_unclosed() -> Vec<u8> {
    const STATISTICS: u32 = 5;
    let file = recorded("own-run.pcapng");
    let mut left = Vec::new();
    let mut at = 0;
    let mut dropped = 0;
    while at < file.len() {
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let total = number(at + 4) as usize;
        if number(at) == STATISTICS {
            dropped += 1;
        } else {
            left.extend_from_slice(&file[at..at + total]);
        }
        at += total;
    }
    assert!(dropped > 0, "own-run.pcapng has no closing block");
    left
}
