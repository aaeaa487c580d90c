//! Mail sessions in the clear, with identifiers planted in one of sixteen.

use super::packet::{ACK, MSS, PSH, Side, Talk, v4};
use super::words::Stock;
use super::{File, Frames, Planted, Rng, Scale, identifiers};
use data_encoding::BASE64;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io::{self, Write};

/// Hosts, from 198.51.100.1 on; each has every service.
pub(super) const SERVERS: u64 = 50;
/// The services and their ports.
pub(super) const SERVICES: [(&str, u64); 4] =
    [("pop3", 110), ("imap", 143), ("smtp", 25), ("nntp", 119)];

const SESSIONS: u64 = 30_000;
const OCTETS: u64 = 500_000_000;
/// Sessions at a time.
const LIVE: u64 = 200;
/// One session in so many has an identifier.
const EACH: u64 = 16;

/// How an identifier is written and cut.
const HOW: [&str; 10] = [
    "plain",
    "split",
    "split-ooo",
    "split-3way",
    "base64",
    "base64-split",
    "utf16",
    "url",
    "upper-split",
    "bytewise",
];

/// Octets of a message come from here, times 600 to 1200: most are short.
const OCTAVES: [u64; 18] = [1, 1, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 16, 16, 16, 32, 128];

pub(super) fn write<W: Write>(file: &mut File<W>, scale: Scale, seed: u64) -> io::Result<()> {
    let mut rng = Rng::new(seed + 2);
    let stock = Stock::new(&mut rng);
    let names = identifiers();
    let (sessions, octets) = (scale.of(SESSIONS), scale.of(OCTETS));
    let mut live = BinaryHeap::new();
    let mut waiting: Vec<Frames> = Vec::new();
    let mut next = 0;
    while next < sessions.min(LIVE) {
        waiting.push(session(next, seed, &stock, &names, &mut file.made.planted));
        live.push(Reverse((rng.below(2000), next)));
        next += 1;
    }
    while let Some(Reverse((time, place))) = live.pop() {
        let frames = &mut waiting[place as usize];
        for _ in 0..rng.within(1, 4) {
            if let Some(frame) = frames.pop() {
                file.put(frame, 5)?;
            }
        }
        if !frames.is_used_up() {
            live.push(Reverse((time + rng.within(100, 2000), place)));
        } else if next < sessions || file.made.octets < octets {
            *frames = session(next, seed, &stock, &names, &mut file.made.planted);
            live.push(Reverse((time + rng.below(2000), place)));
            next += 1;
        }
    }
    Ok(())
}

/// A session whole, from its number.
fn session(
    number: u64,
    seed: u64,
    stock: &Stock,
    names: &[String],
    planted: &mut Vec<Planted>,
) -> Frames {
    let mut rng = Rng::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let (service, port) = SERVICES[(number % 4) as usize];
    let orig = v4([10, 2, 0, 1], number % 60_000, 1024 + number * 7 % 60_000);
    let resp = v4([198, 51, 100, 1], number % SERVERS, port);
    let mut talk = Talk::new(orig, resp, [rng.word(), rng.word()]).with_timestamps(number % 2 == 1);
    // So that every way of writing meets every service.
    let block = number / EACH;
    let how = (number % EACH == 5 + block % 4)
        .then(|| HOW[((block + block / 20) % HOW.len() as u64) as usize]);
    let text = how.map(|_| rng.pick(names).clone());
    let octets = how.zip(text.as_deref()).map(|(how, text)| written(&mut rng, how, text));
    let about = *rng.pick(&OCTAVES) * rng.within(600, 1200);
    let (message, place) = message(number, &mut rng, stock, about as usize, octets.as_deref());
    let mut frames = Frames::default();
    talk.open(&mut frames);
    let mut said = [0_u64; 2];
    for turn in script(service, number, message.len()) {
        let Turn::Line(side, line) = turn else {
            let side = if service == "smtp" { Side::Orig } else { Side::Resp };
            if let (Some(how), Some(text), Some(octets)) = (how, &text, &octets) {
                planted.push(Planted {
                    how: how.to_owned(),
                    text: text.clone(),
                    orig,
                    resp,
                    by_orig: side == Side::Orig,
                    offset: said[side.index()] + place as u64,
                    len: octets.len() as u64,
                });
            }
            let plant = how.map(|how| (how, place, octets.as_ref().map_or(0, Vec::len)));
            send(&mut talk, &mut rng, side, &message, plant, &mut frames);
            said[side.index()] += message.len() as u64;
            continue;
        };
        frames.push(talk.tcp(side, PSH | ACK, line.as_bytes()));
        said[side.index()] += line.len() as u64;
    }
    talk.close(&mut frames);
    frames
}

/// The octets that stand for an identifier.
fn written(rng: &mut Rng, how: &str, text: &str) -> Vec<u8> {
    let phase = rng.below(3) as usize;
    match how {
        "base64" => {
            let plain = [b"id=", &vec![0; phase][..], text.as_bytes(), b"; end"].concat();
            BASE64.encode(&plain).into_bytes()
        }
        "base64-split" => {
            let plain = [&vec![b'u'; phase][..], text.as_bytes(), b";"].concat();
            BASE64.encode(&plain).into_bytes()
        }
        "utf16" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "url" => text.bytes().flat_map(|octet| format!("%{octet:02X}").into_bytes()).collect(),
        "upper-split" => text.to_uppercase().into_bytes(),
        _ => text.as_bytes().to_vec(),
    }
}

/// A message of about `size` octets, and where `planted` stands in it.
fn message(
    number: u64,
    rng: &mut Rng,
    stock: &Stock,
    size: usize,
    planted: Option<&[u8]>,
) -> (Vec<u8>, usize) {
    let mut octets = format!(
        "Return-Path: <user{number}@mail.example>\r\n\
         Received: from relay{}.example by mx.example with ESMTP id {:08x};\r\n\tMon, 16 Jun 2025 10:{:02}:{:02} +0200\r\n\
         From: \"User {number}\" <user{number}@mail.example>\r\nTo: <peer{}@other.example>\r\nSubject: {}\r\n\
         Message-ID: <{:016x}@mail.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        number % 17,
        rng.word(),
        number % 60,
        number % 59,
        number * 7 % 9973,
        stock.subject(rng),
        rng.next(),
    )
    .into_bytes();
    let from = rng.below(size as u64 * 9 / 10) as usize;
    let mut place = None;
    loop {
        match planted {
            Some(planted) if place.is_none() && octets.len() >= from => {
                octets.extend_from_slice(b"ref: ");
                place = Some(octets.len());
                octets.extend_from_slice(planted);
                octets.extend_from_slice(b"\r\n");
            }
            _ if octets.len() < size || (planted.is_some() && place.is_none()) => {
                octets.extend_from_slice(stock.piece(rng));
            }
            _ => return (octets, place.unwrap_or_default()),
        }
    }
}

enum Turn {
    Line(Side, String),
    Message,
}

/// What both sides say.
fn script(service: &str, number: u64, len: usize) -> Vec<Turn> {
    let orig = |line: &str| Turn::Line(Side::Orig, format!("{line}\r\n"));
    let resp = |line: &str| Turn::Line(Side::Resp, format!("{line}\r\n"));
    match service {
        "pop3" => vec![
            resp("+OK POP3 ready"),
            orig(&format!("USER user{number}")),
            resp("+OK"),
            orig(&format!("PASS secret{number}")),
            resp("+OK 1 messages"),
            orig("LIST"),
            resp(&format!("+OK\r\n1 {len}\r\n.")),
            orig("RETR 1"),
            resp(&format!("+OK {len} octets")),
            Turn::Message,
            resp("\r\n."),
            orig("QUIT"),
            resp("+OK bye"),
        ],
        "imap" => vec![
            resp("* OK IMAP4rev1 ready"),
            orig(&format!("a1 LOGIN user{number} pw{number}")),
            resp("a1 OK logged in"),
            orig("a2 SELECT INBOX/Work"),
            resp("* 12 EXISTS\r\na2 OK selected"),
            orig("a3 FETCH 1 BODY[]"),
            resp(&format!("* 1 FETCH (BODY[] {{{len}}}")),
            Turn::Message,
            resp(")\r\na3 OK done"),
            orig("a4 LOGOUT"),
            resp("* BYE"),
        ],
        "smtp" => vec![
            resp("220 mx.example ESMTP"),
            orig(&format!("EHLO client{number}.example")),
            resp("250-mx.example\r\n250 8BITMIME"),
            orig(&format!("MAIL FROM:<user{number}@mail.example>")),
            resp("250 ok"),
            orig("RCPT TO:<peer@other.example>"),
            resp("250 ok"),
            orig("DATA"),
            resp("354 go"),
            Turn::Message,
            orig("\r\n."),
            resp("250 queued"),
            orig("QUIT"),
        ],
        _ => vec![
            resp("200 news ready"),
            orig("GROUP comp.lang.misc"),
            resp("211 10 1 10 comp.lang.misc"),
            orig(&format!("ARTICLE {}", number % 10)),
            resp("220 article"),
            Turn::Message,
            resp("\r\n."),
            orig("QUIT"),
            resp("205 bye"),
        ],
    }
}

/// Sends a message in segments; some are out of order, and every second is acknowledged.
fn send(
    talk: &mut Talk,
    rng: &mut Rng,
    side: Side,
    message: &[u8],
    plant: Option<(&str, usize, usize)>,
    frames: &mut Frames,
) {
    let cuts = cuts(rng, message.len(), plant);
    let mut segments = Vec::new();
    let mut from = 0;
    for to in cuts {
        let flags = if to == message.len() { PSH | ACK } else { ACK };
        segments.push((from, talk.tcp(side, flags, &message[from..to]).to_vec()));
        from = to;
    }
    let swapped = match plant {
        Some(("split-ooo", place, _)) => segments.iter().rposition(|(from, _)| *from <= place),
        _ if segments.len() > 3 && rng.per_mille(50) => {
            Some(rng.below(segments.len() as u64 - 1) as usize)
        }
        _ => None,
    };
    if let Some(at) = swapped.filter(|at| at + 1 < segments.len()) {
        segments.swap(at, at + 1);
    }
    for (number, (_, frame)) in segments.iter().enumerate() {
        frames.push(frame);
        if number % 2 == 1 {
            frames.push(talk.tcp(side.other(), ACK, b""));
        }
    }
}

/// Where segments end.
fn cuts(rng: &mut Rng, len: usize, plant: Option<(&str, usize, usize)>) -> BTreeSet<usize> {
    let is_small = rng.per_mille(300);
    let (mut ends, mut end) = (BTreeSet::from([len]), 0);
    loop {
        end += if is_small { rng.within(60, 700) as usize } else { MSS };
        if end >= len {
            break;
        }
        ends.insert(end);
    }
    let Some((how, place, octets)) = plant else { return ends };
    ends.retain(|end| *end <= place || *end >= place + octets);
    match how {
        "bytewise" => ends.extend(place..=place + octets),
        "split-3way" => ends.extend([place + octets / 3, place + 2 * octets / 3]),
        "split" | "split-ooo" | "base64-split" | "upper-split" => {
            ends.insert(place + octets / 2);
        }
        _ => {
            ends.insert(place - 30);
        }
    }
    // What was taken away may have left more than a segment holds.
    let (mut all, mut from) = (BTreeSet::new(), 0);
    for end in ends {
        while end - from > MSS {
            from += MSS;
            all.insert(from);
        }
        all.insert(end);
        from = end;
    }
    all
}
