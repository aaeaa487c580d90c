//! Compressed bodies through the inspector, and bombs.

use crate::inspect::Inspector;
use crate::inspect::matcher::Matcher;
use crate::model::{
    Chunk, ChunkSink, Class, ConnId, ConnRecord, ConnSlot, ConnSummary, Direction, Endpoint,
    FrameRef, FrameSpan, Identifier, Proto, Rule, Timestamp, Uid,
};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compress, Compression, FlushCompress};
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

const C: Direction = Direction::OrigToResp;
const S: Direction = Direction::RespToOrig;

/// The text below by an encoder with a window of 4 MiB.
const BROTLI: &str = "1bda012044e796ead709094a6384c89938a79b167572c0feeff45d28c030b1042de2dcc6ce531047108da42a0621\
    c9aea8d5f98272ba3c84dfbeb2978289ff6b7aeead18cede49def8e5d8cc47858ccb8b0e01";

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

fn text() -> Vec<u8> {
    let text = "The quick brown fox, folders and mail: ".repeat(8)
        + "USER jsmith in Reindeer Games; "
        + &"another line of text. ".repeat(6);
    text.into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::default());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut to = ZlibEncoder::new(Vec::new(), Compression::default());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut to = DeflateEncoder::new(Vec::new(), Compression::default());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn brotli() -> Vec<u8> {
    data_encoding::HEXLOWER.decode(BROTLI.as_bytes()).unwrap()
}

/// A stream of deflate, one flush a message.
fn flushed(messages: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut state = Compress::new(Compression::default(), false);
    messages
        .iter()
        .map(|message| {
            let mut out = Vec::with_capacity(message.len() + 1024);
            state.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
            out
        })
        .collect()
}

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

/// What is said in a conn; none for octets that are missing.
enum Say {
    Octets(Direction, Vec<u8>),
    Gap(Direction, u64),
}

/// The summary of a conn whose octets come in chunks of `size`.
fn read(port: u16, said: &[Say], size: usize) -> ConnSummary {
    let identifier = |text: &str| Identifier { label: "name".into(), text: text.into() };
    let identifiers = [identifier("jsmith"), identifier("Reindeer Games")];
    let mut inspector = Inspector::new(Arc::new(Matcher::new(&identifiers, &[]).unwrap()));
    let end = |last, port| Endpoint { ip: Ipv4Addr::new(10, 0, 0, last).into(), port };
    let id = ConnId { orig: end(5, 49158), resp: end(2, port), proto: Proto::TCP };
    inspector.opened(ConnSlot(0), Uid(1), &id, FrameRef::default());
    let (mut offsets, mut missed, mut bytes, mut number) = ([0; 2], [0; 2], [0; 2], 0);
    for said in said {
        match said {
            Say::Octets(dir, octets) => {
                for piece in octets.chunks(size) {
                    number += 1;
                    let time = Timestamp::from_nanos(0);
                    let frames = FrameSpan::one(FrameRef { number, time });
                    let offset = offsets[dir.index()];
                    let chunk = Chunk::Data { offset, bytes: piece, frames };
                    inspector.chunk(ConnSlot(0), *dir, &chunk);
                    offsets[dir.index()] += piece.len() as u64;
                    bytes[dir.index()] += piece.len() as u64;
                }
            }
            Say::Gap(dir, len) => {
                let chunk = Chunk::Gap { offset: offsets[dir.index()], len: *len };
                inspector.chunk(ConnSlot(0), *dir, &chunk);
                offsets[dir.index()] += len;
                missed[dir.index()] += len;
            }
        }
    }
    let record = ConnRecord {
        uid: Uid(1),
        id,
        first: FrameRef::default(),
        end: Timestamp::default(),
        frames: number,
        bytes,
        missed_bytes: missed,
        conflict_bytes: [0; 2],
        midstream: false,
        evicted: false,
        history: String::new(),
        interfaces: vec![0],
        carriage: None,
    };
    inspector.closed(ConnSlot(0), record);
    let held = inspector.tools.bounds.held();
    assert_eq!(held, 0, "memory of decoders is given back");
    inspector.finish().conns.remove(0)
}

/// `encoding offset` of each identifier that was found.
fn found(conn: &ConnSummary) -> Vec<String> {
    let hits = conn.hits.iter().filter(|hit| hit.rule == Rule::Identifier);
    hits.map(|hit| format!("{} {}", hit.encoding, hit.offset)).collect()
}

/// Both names are found once each, by this encoding, whatever the chunks.
fn assert_found(said: &[Say], port: u16, encoding: &str) -> ConnSummary {
    for size in [1, 2, 3, 7, 100, 1460] {
        let conn = read(port, said, size);
        // Octets that no coding made shorter stand there as they are, too.
        let found = found(&conn);
        let by_it = found.iter().filter(|it| it.starts_with(encoding)).count();
        assert_eq!(by_it, 2, "{encoding} in chunks of {size}: {found:?}");
        assert_eq!((conn.unread_bodies, conn.stopped_bodies), (0, 0), "{encoding} {size}");
    }
    read(port, said, usize::MAX)
}

fn response(headers: &str, body: &[u8]) -> Vec<Say> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
    vec![Say::Octets(C, REQUEST.to_vec()), Say::Octets(S, [head.as_bytes(), body].concat())]
}

fn with_length(coding: &str, body: &[u8]) -> Vec<Say> {
    let headers = format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n", body.len());
    response(&headers, body)
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.chunks(size) {
        out.extend_from_slice(format!("{:x};ext=1\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[test]
fn every_coding_of_http_is_undone() {
    assert_found(&with_length("gzip", &gzip(&text())), 80, "gzip");
    assert_found(&with_length("X-GZIP", &gzip(&text())), 80, "gzip");
    assert_found(&with_length("deflate", &zlib(&text())), 80, "deflate");
    assert_found(&with_length("deflate", &deflate(&text())), 80, "deflate");
    assert_found(&with_length("br", &brotli()), 80, "br");
    assert_found(&with_length("zstd", &zstd(&text())), 80, "zstd");
}

#[test]
fn codings_around_one_another_are_undone_in_their_order() {
    assert_found(&with_length("gzip, zstd", &zstd(&gzip(&text()))), 80, "zstd");
    assert_found(&with_length("br, identity, gzip", &gzip(&brotli())), 80, "gzip");
    let headers = "Content-Encoding: deflate\r\nTransfer-Encoding: gzip, chunked\r\n";
    let body = chunked(&gzip(&zlib(&text())), 11);
    assert_found(&response(headers, &body), 80, "gzip");
}

#[test]
fn a_name_cut_by_a_chunk_header_is_found_and_a_whole_one_is_told_once() {
    let body = b"Hello jsmith, welcome to the Reindeer Games of this year.".to_vec();
    for size in [1, 2, 3, 4, 5] {
        assert_found(
            &response("Transfer-Encoding: chunked\r\n", &chunked(&body, size)),
            80,
            "chunked",
        );
    }
    let conn = read(80, &response("Transfer-Encoding: chunked\r\n", &chunked(&body, 500)), 1460);
    assert!(found(&conn).iter().all(|it| it.starts_with("ascii")), "{:?}", found(&conn));
}

#[test]
fn several_members_and_a_body_up_to_the_end_are_read() {
    let (front, back) = (text(), text());
    let (front, _) = front.split_at(318);
    let (_, back) = back.split_at(318);
    let members = [gzip(front), gzip(back)].concat();
    assert_found(&response("Content-Encoding: gzip\r\n", &members), 80, "gzip");
}

#[test]
fn a_request_is_undone_like_an_answer() {
    let body = gzip(&text());
    let head = format!(
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    assert_found(&[Say::Octets(C, [head.as_bytes(), &body].concat())], 80, "gzip");
}

#[test]
fn the_offset_of_a_hit_is_on_the_wire_and_its_frames_are_those_of_the_input() {
    let conn = read(80, &with_length("gzip", &gzip(&text())), 1460);
    let hit = conn.hits.iter().find(|hit| hit.rule == Rule::Identifier).unwrap();
    let head = conn.record.bytes[1] - gzip(&text()).len() as u64;
    assert_eq!((hit.offset, hit.frames.first.number), (head, 2));
    assert!(!hit.in_ciphertext && !hit.out_of_stream);
}

#[test]
fn compressed_text_that_nobody_announced_is_cleartext() {
    let front = b"\x01\x02RPC".to_vec();
    for (packed, encoding) in
        [(gzip(&text()), "gzip"), (zlib(&text()), "deflate"), (zstd(&text()), "zstd")]
    {
        for lead in [Vec::new(), front.clone()] {
            let conn =
                assert_found(&[Say::Octets(C, [lead, packed.clone()].concat())], 4321, encoding);
            assert_eq!(conn.class, Class::Cleartext, "{encoding}");
        }
    }
    let packed = gzip(&noise(9, 900));
    assert_eq!(read(4321, &[Say::Octets(C, packed)], 1460).class, Class::Opaque);
}

#[test]
fn all_that_stands_in_front_of_damage_is_searched() {
    // Up to 30,000 octets that one call undoes, the names at their end, then a block of a kind that there is not.
    for len in [100, 8_100, 20_000, 30_000, 70_000] {
        let said = [b"lorem ipsum dolor, ".repeat(len / 19), text()].concat();
        let mut state = Compress::new(Compression::best(), false);
        let mut packed = Vec::with_capacity(said.len() + 1024);
        state.compress_vec(&said, &mut packed, FlushCompress::Sync).unwrap();
        packed.extend_from_slice(&[7; 20]);
        let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03", &packed[..]].concat();
        let zlib = [b"\x78\xda", &packed[..]].concat();
        // Two blocks of zstd, and one of a kind that there is not (RFC 8878 s3.1.1.2); a block of Brotli, as it is, and one of
        // which a reserved bit is set (RFC 7932 s9.2).
        let mut zstd = b"\x28\xb5\x2f\xfd\0\x50".to_vec();
        for half in said.chunks(said.len() / 2 + 1) {
            let header = u32::try_from(half.len()).unwrap() << 3;
            zstd.extend_from_slice(&header.to_le_bytes()[..3]);
            zstd.extend_from_slice(half);
        }
        zstd.extend_from_slice(&[6, 0, 0, 9, 9]);
        let header = u32::try_from(said.len().min(65_536) - 1).unwrap() << 4 | 1 << 20;
        let tail = &said[said.len().saturating_sub(65_536)..];
        let brotli = [&header.to_le_bytes()[..3], tail, &[0x0e, 1, 2, 3]].concat();
        let by_deflate = [("gzip", gzip), ("deflate", zlib), ("deflate", packed)];
        let others = [("zstd", zstd), ("br", brotli)];
        for (coding, body) in by_deflate.into_iter().chain(others) {
            for size in [7, 1460, usize::MAX] {
                let conn = read(80, &with_length(coding, &body), size);
                let by_it = found(&conn).iter().filter(|it| it.starts_with(coding)).count();
                assert_eq!(by_it, 2, "{coding}, {len}, {size}: {:?}", found(&conn));
                assert_eq!(conn.unread_bodies, 1);
            }
        }
    }
}

#[test]
fn a_frame_of_zstd_that_lacks_its_checksum_alone_is_read() {
    let said = text();
    let header = u32::try_from(said.len()).unwrap() << 3 | 1;
    let block = [&header.to_le_bytes()[..3], &said].concat();
    for missing in 1..=4 {
        let whole = [&b"\x28\xb5\x2f\xfd\x04\x50"[..], &block, &[1; 4]].concat();
        let (cut, _) = whole.split_at(whole.len() - missing);
        for size in [3, 1460] {
            let conn = read(80, &response("Content-Encoding: zstd\r\n", cut), size);
            let found = found(&conn);
            let by_it = found.iter().filter(|it| it.starts_with("zstd")).count();
            assert_eq!((by_it, conn.unread_bodies), (2, 1), "{missing}, {size}: {found:?}");
        }
    }
    // The last block is damaged besides: what stands in front of it is read.
    let header = u32::try_from(said.len()).unwrap() << 3;
    let block = [&header.to_le_bytes()[..3], &said].concat();
    let damaged = [&b"\x28\xb5\x2f\xfd\x04\x50"[..], &block, &[5 << 3 | 5, 0, 0], &[0xff; 6]];
    let conn = read(80, &response("Content-Encoding: zstd\r\n", &damaged.concat()), 1460);
    let by_it = found(&conn).iter().filter(|it| it.starts_with("zstd")).count();
    assert_eq!((by_it, conn.unread_bodies), (2, 1), "{:?}", found(&conn));
}

#[test]
fn behind_the_damage_of_an_inner_coding_nothing_is_read() {
    let raw_zstd = |inner: &[u8]| {
        let mut all = b"\x28\xb5\x2f\xfd\0\x50".to_vec();
        for (nth, block) in inner.chunks(65_536).enumerate() {
            let is_last = u32::from((nth + 1) * 65_536 >= inner.len());
            let header = u32::try_from(block.len()).unwrap() << 3 | is_last;
            all.extend_from_slice(&header.to_le_bytes()[..3]);
            all.extend_from_slice(block);
        }
        all
    };
    // A wrong checksum, and so much behind it that the outer decoder hands it on in several pieces; a half header, and the rest
    // of it where the second piece begins.
    let mut wrong = gzip(&text());
    let checksum = wrong.len() - 8;
    wrong[checksum] ^= 1;
    wrong.resize(40_000, 0);
    let mut halves = vec![0; 16_384];
    halves[0] = 0x1f;
    halves.extend_from_slice(&gzip(&text())[1..]);
    for (inner, names) in [(&wrong, 2), (&halves, 0)] {
        for size in [100, 1460, usize::MAX] {
            let conn = read(80, &with_length("gzip, zstd", &raw_zstd(inner)), size);
            let found = found(&conn);
            let by_it = found.iter().filter(|it| it.starts_with("zstd")).count();
            assert_eq!((by_it, conn.unread_bodies), (names, 1), "{size}: {found:?}");
        }
    }
}

#[test]
fn a_packed_file_in_a_packed_answer_is_read() {
    let inner = [b"\0\0tar".to_vec(), gzip(&text())].concat();
    assert_found(&with_length("zstd", &zstd(&inner)), 80, "gzip");
}

#[test]
fn imap_and_nntp_are_read_behind_compress() {
    let talk = flushed(&[b"a2 SELECT \"Reindeer Games\"\r\n", b"a3 SEARCH FROM jsmith\r\n"]);
    let imap = [
        Say::Octets(S, b"* OK hi\r\n".to_vec()),
        Say::Octets(C, b"a1 COMPRESS DEFLATE\r\n".to_vec()),
        Say::Octets(S, b"a1 OK active\r\n".to_vec()),
        Say::Octets(C, talk[0].clone()),
        Say::Octets(S, flushed(&[b"* 3 EXISTS\r\na2 OK\r\n"])[0].clone()),
        Say::Octets(C, talk[1].clone()),
    ];
    let conn = assert_found(&imap, 143, "deflate");
    assert_eq!((conn.dialect, conn.class), (Some("imap"), Class::Cleartext));
    let nntp = [
        Say::Octets(S, b"200 NNTP news ready\r\n".to_vec()),
        Say::Octets(C, b"COMPRESS DEFLATE\r\n".to_vec()),
        Say::Octets(S, b"206 Compression active\r\n".to_vec()),
        Say::Octets(C, flushed(&[b"GROUP x\r\n"])[0].clone()),
        Say::Octets(
            S,
            flushed(&[b"211 x\r\nFrom: jsmith\r\nSubject: Reindeer Games\r\n"])[0].clone(),
        ),
    ];
    assert_eq!(assert_found(&nntp, 119, "deflate").dialect, Some("nntp"));
}

/// A frame of WebSocket.
fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let len = payload.len();
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut out = vec![first];
    match u8::try_from(len) {
        Ok(len) if len < 126 => out.push(len | bit),
        _ => {
            out.push(0x7e | bit);
            out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| out.extend_from_slice(mask)).unwrap_or_default();
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    out
}

fn web_socket(extensions: &str, client: Vec<u8>, server: Vec<u8>) -> Vec<Say> {
    let asked = "GET /s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let granted = format!(
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extensions}\r\n"
    );
    vec![
        Say::Octets(C, asked.as_bytes().to_vec()),
        Say::Octets(S, granted.into_bytes()),
        Say::Octets(C, client),
        Say::Octets(S, server),
    ]
}

#[test]
fn frames_of_websocket_are_unmasked_joined_and_inflated() {
    let mask = Some([0x12, 0x34, 0x56, 0x78]);
    let client =
        [frame(0x01, b"I am js", mask), frame(0x89, b"ping", mask), frame(0x80, b"mith", mask)];
    let server = [frame(0x01, b"the Rein", None), frame(0x80, b"deer Games", None)];
    assert_found(&web_socket("", client.concat(), server.concat()), 80, "websocket");
    // The four octets at the end of a message are not sent.
    let packed = |messages: &[&[u8]]| -> Vec<Vec<u8>> {
        let cut = |it: Vec<u8>| it[..it.len() - 4].to_vec();
        flushed(messages).into_iter().map(cut).collect()
    };
    let ours = packed(&[b"hello, my name", b"hello, my name is jsmith"]);
    let client =
        [frame(0xc1, &ours[0], mask), frame(0x81, b"plain", mask), frame(0xc1, &ours[1], mask)];
    let theirs =
        [packed(&[b"nothing yet"])[0].clone(), packed(&[b"Reindeer Games, at last"])[0].clone()];
    let server = [frame(0xc1, &theirs[0], None), frame(0xc1, &theirs[1], None)];
    let extensions = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
    assert_found(&web_socket(extensions, client.concat(), server.concat()), 80, "deflate");
}

#[test]
fn what_cannot_be_read_is_counted() {
    let whole = gzip(&text());
    let unread = |said: &[Say]| read(80, said, 1460).unread_bodies;
    assert_eq!(unread(&with_length("gzip", &whole)), 0);
    assert_eq!(unread(&with_length("compress", b"\x1f\x9d whatever")), 1, "not read");
    let mut damaged = whole.clone();
    damaged[20] ^= 0x55;
    assert_eq!(unread(&with_length("gzip", &damaged)), 1, "damaged");
    let mut wrong = whole.clone();
    let last = wrong.len() - 5;
    wrong[last] ^= 1;
    assert_eq!(unread(&with_length("gzip", &wrong)), 1, "checksum");
    assert_eq!(unread(&with_length("gzip", &whole[..whole.len() - 9])), 1, "cut by its sender");
    assert_eq!(unread(&response("Content-Encoding: gzip\r\n", &whole[..40])), 1, "cut by the end");
    let mut gap = with_length("gzip", &whole);
    let Some(Say::Octets(_, last)) = gap.pop() else { panic!() };
    let (front, back) = last.split_at(last.len() - 60);
    gap.push(Say::Octets(S, front.to_vec()));
    gap.push(Say::Gap(S, 10));
    gap.push(Say::Octets(S, back[10..].to_vec()));
    assert_eq!(unread(&gap), 1, "gap");
    // FDICT, RFC 1950 s2.2
    assert_eq!(unread(&with_length("deflate", b"\x78\xbb\x11\x22\x33\x44\x03\0")), 1, "dictionary");
}

#[test]
fn random_octets_hold_no_bodies() {
    for seed in 1..6 {
        let conn = read(4321, &[Say::Octets(C, noise(seed, 400_000))], 1460);
        assert_eq!((conn.unread_bodies, conn.stopped_bodies), (0, 0));
        assert_eq!((conn.class, found(&conn).len()), (Class::Opaque, 0));
    }
}

/// Records with little text, cut in front of their end: nothing says that it was text, and the names in it are found all the same.
#[test]
fn a_name_in_compressed_records_without_an_end_is_found() {
    let mut records = Vec::new();
    for nth in 0..40_u64 {
        records.extend_from_slice(&noise(nth, 90));
        records.extend_from_slice(b"\0\0jsmith\0");
    }
    let login = br#"{"user":"jsmith","pass":"x"}"#;
    for (what, packed) in [("records", &records[..]), ("login", &login[..])] {
        for whole in [gzip(packed), zlib(packed)] {
            for lost in [1, 4, 9] {
                let cut = &whole[..whole.len() - lost];
                for size in [1460, 1] {
                    let conn = read(4321, &[Say::Octets(S, cut.to_vec())], size);
                    assert!(!found(&conn).is_empty(), "{what}, {lost} lost, pieces of {size}");
                }
            }
        }
    }
}

/// More names than are kept until the end: that some were let go is counted.
#[test]
fn many_names_in_compressed_records_without_an_end_are_counted() {
    let record = |nth: u64| [noise(nth, 90).as_slice(), b"\0\0jsmith\0"].concat();
    let records = |count| gzip(&(0..count).flat_map(record).collect::<Vec<u8>>());
    for (count, stopped) in [(40, 0), (200, 1)] {
        let whole = records(count);
        let conn = read(4321, &[Say::Octets(S, whole[..whole.len() - 9].to_vec())], 1460);
        assert!(!found(&conn).is_empty());
        assert_eq!(conn.stopped_bodies, stopped, "{count}");
    }
}

/// A stream of zlib by the fixed codes (RFC 1951 s3.2.6): octets, with a reference to far in front of all between them; what
/// some programs pack against a dictionary that both sides know, and what one octet that was damaged may make of any.
fn referring(front: &[u8], behind: &[u8]) -> Vec<u8> {
    let mut bits = vec![true, true, false];
    let code = |bits: &mut Vec<bool>, value: usize, len: usize| {
        bits.extend((0..len).rev().map(|at| value >> at & 1 == 1));
    };
    let literals = |bits: &mut Vec<bool>, octets: &[u8]| {
        for octet in octets {
            let (value, len) = if *octet < 144 {
                (0x30 + usize::from(*octet), 8)
            } else {
                (0x190 + usize::from(*octet) - 144, 9)
            };
            code(bits, value, len);
        }
    };
    literals(&mut bits, front);
    code(&mut bits, 1, 7); // three octets
    code(&mut bits, 29, 5);
    code(&mut bits, 0, 13); // from 24,577 octets in front
    literals(&mut bits, behind);
    code(&mut bits, 0, 7);
    let octets = bits.chunks(8).map(|bits| {
        bits.iter().enumerate().fold(0_u8, |octet, (at, bit)| octet | u8::from(*bit) << at)
    });
    [0x78, 0x9c].into_iter().chain(octets).chain([1, 2, 3, 4]).collect()
}

#[test]
fn what_stands_behind_a_reference_to_nothing_is_read() {
    let text = b"USER jsmith in Reindeer Games, and more";
    for front in [&b""[..], b"h", b"hello there, ", &[b'q'; 60]] {
        let stream = referring(front, text);
        for size in [1, 3, 5, 16, 18, 20, 24, 1460] {
            let conn = read(4321, &[Say::Octets(C, stream.clone())], size);
            assert_eq!(found(&conn).len(), 2, "{} octets in front, pieces of {size}", front.len());
        }
    }
}

#[test]
fn what_is_packed_in_front_of_a_reference_to_nothing_is_read() {
    for inner in [zlib(b"USER jsmith in Reindeer Games"), gzip(b"USER jsmith in Reindeer Games")] {
        for size in [1, 7, 1460] {
            let conn = read(4321, &[Say::Octets(C, referring(&inner, b""))], size);
            assert_eq!(found(&conn).len(), 2, "pieces of {size}");
        }
    }
}

/// The fixed codes of deflate give almost any octets a meaning: one try in fifteen lasts, and now and then repeats a letter
/// for a whole window.
#[test]
fn random_octets_behind_a_magic_are_no_text() {
    let mut readable = Vec::new();
    for seed in 1..3000 {
        let mut octets = noise(seed, 4096);
        octets.splice(40..43, [0x78, 0x9c, octets[42] & !7 | 0b010]);
        let conn = read(9999, &[Say::Octets(C, octets)], 1448);
        if conn.class != Class::Opaque || conn.unread_bodies > 0 {
            readable.push((seed, conn.class, conn.unread_bodies));
        }
    }
    assert_eq!(readable, []);
}

#[test]
fn bombs_are_stopped_and_counted() {
    // 16 MiB of one octet, nested, and in every coding.
    let zeros = vec![0; 16 << 20];
    for (coding, bomb) in [
        ("gzip", gzip(&zeros)),
        ("deflate", zlib(&zeros)),
        ("zstd", zstd(&zeros)),
        ("gzip, gzip", gzip(&gzip(&zeros))),
    ] {
        assert!(bomb.len() < 20_000, "{coding} {}", bomb.len());
        let conn = read(80, &with_length(coding, &bomb), 1460);
        assert_eq!((conn.stopped_bodies, conn.unread_bodies), (1, 0), "{coding}");
    }
    let conn = read(4321, &[Say::Octets(C, gzip(&zeros))], 1460);
    assert_eq!(conn.stopped_bodies, 1, "not announced");
}

#[test]
fn a_flood_of_magics_costs_no_more_than_its_length() {
    for magic in
        [&b"x\x9c\x03"[..], b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"x\x01\0\x01\0\xfe\xffa"]
    {
        let flood: Vec<u8> = magic.iter().copied().cycle().take(60_000).collect();
        let conn = read(4321, &[Say::Octets(C, flood)], 1460);
        assert!(conn.stopped_bodies > 0 || conn.unread_bodies > 0, "{magic:?}");
    }
}

#[test]
fn a_zstd_window_beyond_eight_mebibytes_is_not_held() {
    // Magic, no checksum, window of 2^31 octets.
    let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
    let conn = read(80, &with_length("zstd", frame), 1460);
    assert_eq!(conn.stopped_bodies, 1);
}
