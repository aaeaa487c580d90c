//! Plays a conversation to a dialect, for the tests of the dialects.

use crate::inspect::dialect::{Dialect, Event, Fit, Opening, Spec, What};
use crate::model::{Chunk, Direction, Encoding, FrameRef, FrameSpan, Timestamp};
use proptest::prelude::*;

pub(crate) const C: Direction = Direction::OrigToResp;
pub(crate) const S: Direction = Direction::RespToOrig;

/// One turn: who sends what.
pub(crate) type Turn<'a> = (Direction, &'a [u8]);

/// An event that owns what it tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Found {
        what: String,
        value: Vec<u8>,
        dir: Direction,
        offset: u64,
        len: u32,
        encoding: Encoding,
        frames: FrameSpan,
    },
    Handover(Direction, u64),
    Lost(Direction, u64),
    Remark(&'static str),
    /// Octets of a body, joined.
    Body(Direction, usize, Vec<u8>),
    Other,
}

fn own(event: &Event<'_>) -> Told {
    match *event {
        Event::Found(ref f) => Told::Found {
            what: format!("{} {}", f.rule, f.field.0),
            value: f.value.to_vec(),
            dir: f.dir,
            offset: f.offset,
            len: f.len,
            encoding: f.encoding,
            frames: f.frames,
        },
        Event::Handover { dir, offset, to: "tls" } => Told::Handover(dir, offset),
        Event::Lost { dir, offset } => Told::Lost(dir, offset),
        Event::Remark(text) => Told::Remark(text),
        Event::Body(part) => match part.what {
            What::Octets { bytes, .. } => Told::Body(part.dir, part.lane, bytes.to_vec()),
            _ => Told::Other,
        },
        _ => Told::Other,
    }
}

/// Keeps an event; octets of one body are joined.
fn keep(told: &mut Vec<Told>, event: &Event<'_>) {
    let event = own(event);
    if let (Some(Told::Body(dir, lane, all)), Told::Body(side, other, bytes)) =
        (told.last_mut(), &event)
        && (*dir, *lane) == (*side, *other)
    {
        all.extend_from_slice(bytes);
        return;
    }
    told.push(event);
}

/// Plays `turns`, each cut into chunks of `sizes` (one turn, one frame).
pub(crate) fn play_cut(spec: &Spec, turns: &[Turn<'_>], sizes: &[usize]) -> Vec<Told> {
    let mut dialect = (spec.open)();
    let mut told = Vec::new();
    let mut offsets = [0u64; 2];
    let mut sizes = sizes.iter().copied().cycle();
    for ((dir, text), number) in turns.iter().zip(1..) {
        let frames = FrameSpan::one(FrameRef { number, time: Timestamp::from_nanos(0) });
        let mut rest = *text;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
            let offset = offsets[dir.index()];
            let chunk = Chunk::Data { offset, bytes: head, frames };
            dialect.feed(*dir, &chunk, &mut |event| keep(&mut told, &event));
            offsets[dir.index()] += head.len() as u64;
            rest = tail;
        }
    }
    told
}

/// Plays `turns`, one chunk each.
pub(crate) fn play(spec: &Spec, turns: &[Turn<'_>]) -> Vec<Told> {
    play_cut(spec, turns, &[usize::MAX])
}

/// Plays `before`, loses `lost` octets of `dir`, plays `after`.
pub(crate) fn play_gap(
    spec: &Spec,
    before: &[Turn<'_>],
    dir: Direction,
    lost: u64,
    after: &[Turn<'_>],
) -> Vec<Told> {
    let mut dialect = (spec.open)();
    let mut told = Vec::new();
    let mut offsets = [0u64; 2];
    let frames = FrameSpan::default();
    let mut feed = |dialect: &mut Box<dyn Dialect>, turns: &[Turn<'_>], offsets: &mut [u64; 2]| {
        for (dir, bytes) in turns {
            let chunk = Chunk::Data { offset: offsets[dir.index()], bytes, frames };
            dialect.feed(*dir, &chunk, &mut |event| keep(&mut told, &event));
            offsets[dir.index()] += bytes.len() as u64;
        }
    };
    feed(&mut dialect, before, &mut offsets);
    let gap = Chunk::Gap { offset: offsets[dir.index()], len: lost };
    dialect.feed(dir, &gap, &mut |_| {});
    offsets[dir.index()] += lost;
    feed(&mut dialect, after, &mut offsets);
    told
}

/// `rule field=value` of each field found, in order; banners left out.
pub(crate) fn fields(told: &[Told]) -> Vec<String> {
    told.iter()
        .filter_map(|one| match one {
            Told::Found { what, value, .. } if !what.starts_with("banner") => {
                Some(format!("{what}={}", String::from_utf8_lossy(value)))
            }
            _ => None,
        })
        .collect()
}

/// The banners found, likewise.
pub(crate) fn banners(told: &[Told]) -> Vec<String> {
    told.iter()
        .filter_map(|one| match one {
            Told::Found { what, value, .. } => what
                .strip_prefix("banner ")
                .map(|field| format!("{field}={}", String::from_utf8_lossy(value))),
            _ => None,
        })
        .collect()
}

/// The fit of an opening by `orig` and `resp`; the server's port is `port`.
pub(crate) fn fit(spec: &Spec, orig: &[u8], resp: &[u8], first: Direction, port: u16) -> Fit {
    (spec.probe)(&Opening { orig, resp, orig_port: 49158, resp_port: port, first, more: true })
}

/// Openings of other protocols: none of a text dialect's.
pub(crate) fn assert_refuses_others(spec: &Spec) {
    let http = &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..];
    let ssh = &b"SSH-2.0-OpenSSH_9.9\r\n"[..];
    let tls = &b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03"[..];
    for (orig, resp, first) in [
        (ssh, &b""[..], C),
        (&b""[..], ssh, S),
        (ssh, ssh, S),
        (tls, &b""[..], C),
        (http, &b""[..], C),
        (http, &b"HTTP/1.1 200 OK\r\n"[..], C),
        (&b""[..], &b"\x00\x01\x02\x03binary"[..], S),
    ] {
        for port in spec.ports.iter().copied().chain([4000]) {
            let got = fit(spec, orig, resp, first, port);
            assert_eq!(got, Fit::No, "{} took {orig:?} / {resp:?}", spec.name);
        }
    }
}

/// The same events, with the same offsets and frames, for any split of `turns`.
pub(crate) fn assert_split_invariant(spec: &Spec, turns: &[Turn<'_>]) {
    let whole = play(spec, turns);
    assert!(!whole.is_empty());
    assert_eq!(play_cut(spec, turns, &[1]), whole, "one octet at a time");
    let mut runner = proptest::test_runner::TestRunner::default();
    runner
        .run(&proptest::collection::vec(1usize..40, 1..20), |sizes| {
            prop_assert_eq!(play_cut(spec, turns, &sizes), whole.clone());
            Ok(())
        })
        .unwrap();
}

/// A message of many lines. Most of them say nothing and may be skipped; among them stand some that begin or end like lines
/// that do. It has no last dot.
pub(crate) fn long_message() -> Vec<u8> {
    let mut text = b"From: Tim <tim@example.org>\r\nSubject: tea\r\n\r\nDear Woz,\r\n".to_vec();
    for nth in 0..40 {
        text.extend_from_slice(b"one line of many that nobody asks for\r\n");
        let odd: &[u8] = match nth {
            5 => b"..\r\n...dots\r\n",
            9 => b"-- \r\n-\r\n\r\n\n\r\n",
            14 => b"then send STARTTLS\r\nMAIL FROM:<a@b>\r\n250 ok\r\n+OK\r\na1 OK\r\n",
            20 => b"-----BEGIN PGP MESSAGE-----\r\n",
            27 => b"\x16\x03\x01 is text here\r\n",
            _ => b"",
        };
        text.extend_from_slice(odd);
    }
    text
}

/// No octets, whole or in pieces, of a conversation or of none, make the dialect panic.
pub(crate) fn assert_never_panics(spec: &Spec, turns: &[Turn<'_>]) {
    let all: Vec<Vec<u8>> = turns.iter().map(|(_, text)| text.to_vec()).collect();
    let words = prop_oneof![
        proptest::sample::select(all),
        proptest::collection::vec(any::<u8>(), 0..60),
        "[ -~]{0,20}\r\n".prop_map(String::into_bytes),
    ];
    let turn = (any::<bool>(), words, 0usize..80, any::<bool>());
    let mut runner = proptest::test_runner::TestRunner::default();
    runner
        .run(&proptest::collection::vec(turn, 0..20), |script| {
            let mut dialect = (spec.open)();
            let mut offsets = [0u64; 2];
            let mut openings: [Vec<u8>; 2] = Default::default();
            for (by_client, mut bytes, cut, gap) in script {
                let dir = if by_client { C } else { S };
                bytes.truncate(cut.max(1));
                let offset = &mut offsets[dir.index()];
                let frames = FrameSpan::default();
                let chunk = if gap && cut % 4 == 0 {
                    *offset += cut as u64;
                    Chunk::Gap { offset: *offset, len: cut as u64 }
                } else if bytes.is_empty() {
                    continue;
                } else {
                    openings[dir.index()].extend_from_slice(&bytes);
                    Chunk::Data { offset: *offset, bytes: &bytes, frames }
                };
                dialect.feed(dir, &chunk, &mut |_| {});
                dialect.feed(
                    dir,
                    &Chunk::Alternate { offset: 0, bytes: b"x\r\n", disputed: (0, 3), frames },
                    &mut |_| panic!("read an alternate"),
                );
                *offset += bytes.len() as u64;
                let [orig, resp] = &openings;
                for more in [true, false] {
                    let (orig_port, resp_port, first) = (4000, spec.ports[0], dir);
                    let _ =
                        (spec.probe)(&Opening { orig, resp, orig_port, resp_port, first, more });
                }
            }
            Ok(())
        })
        .unwrap();
}
