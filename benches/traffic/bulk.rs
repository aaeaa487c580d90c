//! Long conns of TLS and SSH: full segments of random octets, some late, some twice.

use super::packet::{ACK, MSS, PSH, Side, Talk, v4};
use super::{File, Frames, Rng, Scale, Spring};
use std::io::{self, Write};

const CONNS: u64 = 40;
const OCTETS: u64 = 1_000_000_000;
/// Segments of a batch.
const BATCH: usize = 32;
/// Octets of a captured frame beside its payload: record header, Ethernet, IPv4, TCP with timestamps.
const HEADERS: usize = 16 + 14 + 20 + 32;

pub(super) fn write<W: Write>(file: &mut File<W>, scale: Scale, seed: u64) -> io::Result<()> {
    let mut rng = Rng::new(seed + 1);
    let share = scale.of(OCTETS) / CONNS;
    let mut springs: Vec<Spring<'_>> = (0..CONNS).map(|conn| spring(conn, share, seed)).collect();
    while !springs.is_empty() {
        let at = rng.below(springs.len() as u64) as usize;
        for _ in 0..rng.within(1, 17) {
            let Some(frame) = springs[at].next(&mut rng) else {
                springs.swap_remove(at);
                break;
            };
            file.put(frame, 9)?;
        }
    }
    Ok(())
}

fn spring(conn: u64, share: u64, seed: u64) -> Spring<'static> {
    let mut rng = Rng::new(seed * 1000 + conn);
    let is_tls = conn % 2 == 1;
    let sender = if conn.is_multiple_of(5) { Side::Orig } else { Side::Resp };
    let orig = v4([10, 1, 0, 1], conn, 40_000 + conn);
    let resp = v4([203, 0, 113, 1], conn, if is_tls { 443 } else { 22 });
    let mut talk = Talk::new(orig, resp, [rng.word(), rng.word()]).with_timestamps(true);
    let (mut sent, mut carry, mut is_open, mut is_closed) = (0, Vec::new(), false, false);
    let mut late: Option<(Vec<u8>, u64)> = None;
    Spring::new(Box::new(move |_, frames| {
        if !is_open {
            is_open = true;
            talk.open(frames);
            hellos(&mut talk, &mut rng, conn, frames);
            return true;
        }
        if sent >= share {
            let was_closed = std::mem::replace(&mut is_closed, true);
            if !was_closed {
                if let Some((frame, _)) = late.take() {
                    frames.push(&frame);
                }
                talk.close(frames);
            }
            return !was_closed;
        }
        records(&mut rng, is_tls, &mut carry);
        for (number, payload) in carry.chunks_exact(MSS).take(BATCH).enumerate() {
            let flags = if number == 0 { ACK } else { PSH | ACK };
            let frame = talk.tcp(sender, flags, payload).to_vec();
            sent += (payload.len() + HEADERS) as u64;
            let luck = rng.below(1000);
            if luck < 10 && late.is_none() {
                late = Some((frame, rng.within(1, 6)));
                continue;
            }
            frames.push(&frame);
            if let Some((held, left)) = &mut late {
                *left -= 1;
                if *left == 0 {
                    frames.push(held);
                    late = None;
                }
            }
            if luck >= 995 {
                frames.push(&frame);
            }
            if number % 2 == 1 {
                frames.push(talk.tcp(sender.other(), ACK, b""));
            }
        }
        carry.drain(..MSS * BATCH);
        true
    }))
}

/// What is said in front of the ciphertext.
fn hellos(talk: &mut Talk, rng: &mut Rng, conn: u64, frames: &mut Frames) {
    if conn % 2 == 1 {
        let hello = client_hello(rng, &format!("host{conn:02}.example.net"));
        frames.push(talk.tcp(Side::Orig, PSH | ACK, &hello));
        let hello = server_hello(rng);
        frames.push(talk.tcp(Side::Resp, PSH | ACK, &hello));
    } else {
        frames.push(talk.tcp(Side::Resp, PSH | ACK, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"));
        frames.push(talk.tcp(Side::Orig, PSH | ACK, b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n"));
    }
}

/// Records of random octets, for a batch at least.
fn records(rng: &mut Rng, is_tls: bool, carry: &mut Vec<u8>) {
    while carry.len() < MSS * BATCH {
        let len = if is_tls { rng.within(8000, 16_385) } else { rng.within(400, 32_768) };
        if is_tls {
            carry.extend_from_slice(&[0x17, 3, 3]);
            carry.extend_from_slice(&(len as u16).to_be_bytes());
        } else {
            carry.extend_from_slice(&(len as u32).to_be_bytes());
        }
        rng.fill(carry, len as usize);
    }
}

/// RFC 8446 s4.1.2.
fn client_hello(rng: &mut Rng, name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    let len = name.len() as u16;
    let mut extensions = words(&[0, len + 5, len + 3]);
    extensions.push(0);
    extensions.extend(len.to_be_bytes());
    extensions.extend(name);
    extensions.extend(words(&[43, 3]));
    extensions.extend([2, 3, 4]);
    extensions.extend(words(&[51, 38, 36, 29, 32]));
    rng.fill(&mut extensions, 32);
    extensions.extend(words(&[13, 6, 4, 0x0403, 0x0804, 10, 4, 2, 29]));
    let mut body = vec![3, 3];
    rng.fill(&mut body, 32);
    body.push(32);
    rng.fill(&mut body, 32);
    body.extend(words(&[6, 0x1301, 0x1302, 0x1303, 0x0100]));
    hello(1, body, &extensions)
}

/// RFC 8446 s4.1.3, and the compatibility ChangeCipherSpec behind it.
fn server_hello(rng: &mut Rng) -> Vec<u8> {
    let mut extensions = words(&[43, 2, 0x0304, 51, 36, 29, 32]);
    rng.fill(&mut extensions, 32);
    let mut body = vec![3, 3];
    rng.fill(&mut body, 32);
    body.push(32);
    rng.fill(&mut body, 32);
    body.extend([0x13, 0x01, 0]);
    let mut record = hello(2, body, &extensions);
    record.extend([0x14, 3, 3, 0, 1, 1]);
    record
}

/// A handshake record with one message.
fn hello(kind: u8, mut body: Vec<u8>, extensions: &[u8]) -> Vec<u8> {
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let len = body.len() as u16;
    let mut record = vec![0x16, 3, 1];
    record.extend((len + 4).to_be_bytes());
    record.extend([kind, 0]);
    record.extend(len.to_be_bytes());
    record.extend(body);
    record
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
