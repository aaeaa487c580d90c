//! Changes that say the same in another way: order, copies, segments, fragments, layers, links, files.

use super::packets::{Piece, network, set_length, with_payload};
use super::{Base, Dice, Seen, bases, cases};
use crate::wire::{FIN, SYN, Shot, Wire};
use std::io::Write as _;
use tunnelcheck::model::Verdict;

/// What must stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// Verdict, hits with their places, classes.
    All,
    /// Verdict, classes, and which texts were found: datagrams that come twice are said twice, so later places move.
    Texts,
}

/// The changes that roll dice.
const RANDOM: [&str; 5] = ["order", "copies", "segments", "fragments", "split"];

/// Applies a change to every base and holds what is seen then against what was seen before.
fn assert_same(name: &str, keeps: Keeps, change: impl Fn(&Base, u64) -> Option<Vec<Vec<u8>>>) {
    let is_random = RANDOM.contains(&name);
    let (mut wrong, mut done) = (Vec::new(), 0);
    for base in bases() {
        let before = base.seen(&[base.wire.pcap()]);
        // What rolls no dice is done once.
        for case in 0..if is_random { cases() } else { 1 } {
            let Some(files) = change(&base, case) else { continue };
            let after = base.seen(&files);
            let is_same = match keeps {
                Keeps::All => {
                    Seen { texts: before.texts.clone(), ..after.clone() } == before
                        && after.texts.is_superset(&before.texts)
                }
                Keeps::Texts => {
                    (after.verdict, &after.texts, &after.classes)
                        == (before.verdict, &before.texts, &before.classes)
                }
            };
            done += 1;
            if !is_same {
                wrong.push(format!("{}: {}", base.name, difference(&before, &after)));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{name}: {} of {done}\n{}", wrong.len(), wrong.join("\n"));
    assert!(done > 20, "{name}: only {done} captures");
}

fn difference(before: &Seen, after: &Seen) -> String {
    let gone = |a: &Seen, b: &Seen| {
        let classes = a.classes.difference(&b.classes).map(|it| format!("{it:?}"));
        let hits =
            a.hits.difference(&b.hits).map(|(conn, dir, at, _)| format!("{conn} {dir} {at}"));
        classes.chain(hits).collect::<Vec<_>>().join(", ")
    };
    format!(
        "{:?} -> {:?}; no more: {}; new: {}",
        before.verdict,
        after.verdict,
        gone(before, after),
        gone(after, before)
    )
}

/// One file of frames.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every change")]
fn file(wire: &Wire) -> Option<Vec<Vec<u8>>> {
    Some(vec![wire.pcap()])
}

/// Changes every frame that the change can be said of; none where it cannot be said of all.
fn each(base: &Base, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Wire> {
    let mut wire = base.wire.clone();
    for shot in &mut wire.frames {
        let was = shot.octets.len();
        if shot.len as usize != was {
            return None; // A cut frame has no other form.
        }
        shot.octets = change(&shot.octets)?;
        shot.len = u32::try_from(shot.octets.len()).unwrap();
    }
    Some(wire)
}

/// The same, but for the capture whose name is excused by loopback addresses: behind a tag, a label or a tunnel it was on a wire.
fn each_wired(base: &Base, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Wire> {
    if base.name == "inside-only" { None } else { each(base, change) }
}

#[test]
fn the_order_of_neighbours_changes_nothing() {
    // A fragment or datagram that passes another, or a SYN that comes after what follows it, is another matter.
    assert_same("order", Keeps::All, |base, case| {
        let mut dice = Dice::of(&base.name, case);
        let mut wire = base.wire.clone();
        for at in 1..wire.frames.len() {
            let pair = [at - 1, at].map(|it| Piece::of(&wire.frames[it].octets));
            let [Some(one), Some(other)] = &pair else { continue };
            let opens = |it: &Piece| it.flags & (SYN | 0x04 | FIN) != 0;
            let is_data = |it: &Piece| it.len() > 0;
            let same_way = one.src == other.src && one.dst == other.dst;
            if !opens(one) && !opens(other) && same_way && is_data(one) && dice.roll(2) == 0 {
                let (one, other) =
                    (wire.frames[at - 1].octets.clone(), wire.frames[at].octets.clone());
                if one.len() == wire.frames[at - 1].len as usize {
                    wire.frames[at - 1] = Shot { octets: other, ..wire.frames[at].clone() };
                    let len = u32::try_from(one.len()).unwrap();
                    wire.frames[at] = Shot { octets: one, len, ..wire.frames[at].clone() };
                }
            }
        }
        file(&wire)
    });
}

#[test]
fn frames_seen_twice_change_nothing() {
    assert_same("copies", Keeps::Texts, |base, case| {
        let mut dice = Dice::of(&base.name, case);
        let mut frames = Vec::new();
        for shot in &base.wire.frames {
            frames.push(shot.clone());
            if case == 0 || dice.roll(3) == 0 {
                frames.push(shot.clone());
            }
        }
        file(&base.with(frames))
    });
}

#[test]
fn other_segments_change_nothing() {
    assert_same("segments", Keeps::All, |base, case| {
        if base.name == "name-in-overlap" {
            return None; // Other segments make other versions.
        }
        let mut dice = Dice::of(&base.name, case);
        let mut frames = Vec::new();
        for shot in &base.wire.frames {
            let piece = Piece::of(&shot.octets).filter(|it| {
                it.len() > 1
                    && it.flags & SYN == 0
                    && it.end == shot.octets.len()
                    && shot.len as usize == shot.octets.len()
            });
            let Some(piece) = piece else {
                frames.push(shot.clone());
                continue;
            };
            let payload = &shot.octets[piece.data..piece.end];
            let (mut at, most) = (0, 1 + dice.roll(400));
            while at < payload.len() {
                let len = (1 + dice.roll(most)).min(payload.len() - at);
                let skip = u32::try_from(at).unwrap();
                let mut octets = with_payload(&shot.octets, &piece, skip, &payload[at..at + len]);
                at += len;
                if at < payload.len() {
                    octets[piece.tcp + 13] &= !FIN;
                }
                let len = u32::try_from(octets.len()).unwrap();
                frames.push(Shot { len, octets, ..shot.clone() });
            }
        }
        file(&base.with(frames))
    });
}

/// The fragments of an IPv4 packet in an Ethernet frame, of at most `most` octets of 8.
fn fragments(frame: &[u8], id: u16, most: usize) -> Vec<Vec<u8>> {
    let whole = || vec![frame.to_vec()];
    let Some((ip, 0x0800)) = network(frame) else { return whole() };
    let header = usize::from(frame[ip] & 15) * 4;
    let end = ip + usize::from(u16::from_be_bytes([frame[ip + 2], frame[ip + 3]]));
    let field = u16::from_be_bytes([frame[ip + 6], frame[ip + 7]]);
    if field & 0x3fff != 0 || header != 20 || end != frame.len() || end - ip - 20 <= 8 {
        return whole();
    }
    let body = &frame[ip + 20..end];
    let pieces = body.chunks(8 * most);
    let count = pieces.len();
    pieces
        .enumerate()
        .map(|(at, piece)| {
            let mut octets = frame[..ip + 20].to_vec();
            octets.extend_from_slice(piece);
            set_length(&mut octets, ip);
            octets[ip + 4..ip + 6].copy_from_slice(&id.to_be_bytes());
            let more = if at + 1 < count { 0x2000 } else { 0 };
            let field = u16::try_from(at * most).unwrap() | more;
            octets[ip + 6..ip + 8].copy_from_slice(&field.to_be_bytes());
            octets
        })
        .collect()
}

#[test]
fn fragments_change_nothing() {
    // Each fragment is searched by itself as well, where neither an exemption nor the inside of a tunnel is known: a capture
    // whose names are excused by those is another matter.
    let is_excused = ["ssh-bulletins", "inside-only"];
    assert_same("fragments", Keeps::All, |base, case| {
        let mut dice = Dice::of(&base.name, case);
        if is_excused.contains(&base.name.as_str()) {
            return None;
        }
        let mut frames = Vec::new();
        for (number, shot) in base.wire.frames.iter().enumerate() {
            if shot.len as usize != shot.octets.len() {
                return None;
            }
            let id = 0x4000 + u16::try_from(number).unwrap();
            let mut parts = fragments(&shot.octets, id, 1 + dice.roll(60));
            if case % 2 == 1 {
                parts.reverse();
            }
            for octets in parts {
                let len = u32::try_from(octets.len()).unwrap();
                frames.push(Shot { len, octets, ..shot.clone() });
            }
        }
        file(&base.with(frames))
    });
}

#[test]
fn tags_labels_and_tunnels_around_change_nothing() {
    let ip = |kind: u16| matches!(kind, 0x0800 | 0x86dd);
    let inserted =
        |frame: &[u8], octets: &[u8]| Some([&frame[..12], octets, &frame[12..]].concat());
    assert_same("vlan", Keeps::All, |base, _| {
        file(&each_wired(base, |frame| inserted(frame, &[0x81, 0, 0, 5]))?)
    });
    assert_same("qinq", Keeps::All, |base, _| {
        file(&each_wired(base, |frame| inserted(frame, &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 5]))?)
    });
    // What stands behind the packet (padding) would become part of it.
    let packet = |frame: &[u8]| {
        let (at, kind) = network(frame).filter(|(_, kind)| ip(*kind))?;
        let len = usize::from(u16::from_be_bytes(frame[at + 2..at + 4].try_into().unwrap()));
        let is_whole = kind == 0x86dd || at + len == frame.len();
        is_whole.then(|| (frame[at..].to_vec(), kind))
    };
    assert_same("mpls", Keeps::All, |base, _| {
        file(&each_wired(base, |frame| {
            let (packet, _) = packet(frame)?;
            Some([&frame[..12], &[0x88, 0x47, 0, 1, 0x11, 64], &packet].concat())
        })?)
    });
    assert_same("pppoe", Keeps::All, |base, _| {
        file(&each_wired(base, |frame| {
            let (packet, kind) = packet(frame)?;
            let len = u16::try_from(packet.len() + 2).unwrap().to_be_bytes();
            let proto = if kind == 0x0800 { 0x21 } else { 0x57 };
            let head = [0x88, 0x64, 0x11, 0, 0, 1, len[0], len[1], 0, proto];
            Some([&frame[..12], &head, &packet].concat())
        })?)
    });
    let outer = |proto: u8, body: &[u8]| {
        let mut octets = vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, proto, 0, 0];
        octets.extend_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2]);
        octets.extend_from_slice(body);
        let len = u16::try_from(octets.len()).unwrap().to_be_bytes();
        octets[2..4].copy_from_slice(&len);
        [&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0][..], &octets].concat()
    };
    assert_same("gre", Keeps::All, |base, _| {
        file(&each_wired(base, |frame| {
            let (packet, kind) = packet(frame)?;
            Some(outer(47, &[&[0, 0][..], &kind.to_be_bytes(), &packet].concat()))
        })?)
    });
    assert_same("ip in ip", Keeps::All, |base, _| {
        file(&each_wired(base, |frame| {
            let (packet, kind) = packet(frame)?;
            Some(outer(if kind == 0x0800 { 4 } else { 41 }, &packet))
        })?)
    });
    assert_same("vxlan", Keeps::All, |base, _| {
        file(&each_wired(base, |frame| {
            let len = u16::try_from(16 + frame.len()).unwrap().to_be_bytes();
            let head = [0x20, 0, 0x12, 0xb5, len[0], len[1], 0, 0, 8, 0, 0, 0, 0, 0, 1, 0];
            network(frame).filter(|(_, kind)| ip(*kind))?;
            Some(outer(17, &[&head[..], frame].concat()))
        })?)
    });
}

#[test]
fn another_link_changes_nothing() {
    type Header = fn(u16) -> Vec<u8>;
    let links: [(&str, u16, Header); 6] = [
        ("sll", 113, |kind| {
            [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 16, 0, 0][..], &kind.to_be_bytes()].concat()
        }),
        ("sll2", 276, |kind| {
            let rest = [0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 16, 0, 0];
            [&kind.to_be_bytes()[..], &rest].concat()
        }),
        ("raw", 101, |_| Vec::new()),
        ("null", 0, |kind| vec![if kind == 0x0800 { 2 } else { 30 }, 0, 0, 0]),
        ("loop", 108, |kind| vec![0, 0, 0, if kind == 0x0800 { 2 } else { 30 }]),
        ("ppp", 9, |kind| vec![0xff, 3, 0, if kind == 0x0800 { 0x21 } else { 0x57 }]),
    ];
    for (name, number, head) in links {
        assert_same(name, Keeps::All, |base, case| {
            let wire = each(base, |frame| {
                let (at, kind) = network(frame)?;
                let is_ip = matches!(kind, 0x0800 | 0x86dd);
                (is_ip && case == 0).then(|| [&head(kind), &frame[at..]].concat())
            })?;
            let mut octets = wire.pcap();
            octets[20..22].copy_from_slice(&number.to_le_bytes());
            Some(vec![octets])
        });
    }
}

/// A classic file in another dress: the magic number, how a number is written, units of time in a second.
fn classic(wire: &Wire, magic: u32, write: fn(u32) -> [u8; 4], is_nano: bool) -> Vec<u8> {
    let mut file = write(magic).to_vec();
    let [a, b, c, d] = write(2 << 16 | 4);
    // Two numbers of two octets each.
    file.extend_from_slice(if a == 0 { &[0, 2, 0, 4] } else { &[2, 0, 4, 0] });
    assert!([a, b, c, d].contains(&4));
    for number in [0, 0, 262_144, 1] {
        file.extend_from_slice(&write(number));
    }
    for shot in &wire.frames {
        let (seconds, nanos) = (shot.time_ns / 1_000_000_000, shot.time_ns % 1_000_000_000);
        let part = if is_nano { nanos } else { nanos / 1000 };
        let len = u32::try_from(shot.octets.len()).unwrap();
        for number in [u32::try_from(seconds).unwrap(), u32::try_from(part).unwrap(), len, shot.len]
        {
            file.extend_from_slice(&write(number));
        }
        file.extend_from_slice(&shot.octets);
    }
    file
}

/// A pcapng file; `write` numbers, `exponent` of the resolution.
fn pcapng(wire: &Wire, write: fn(u32) -> [u8; 4], exponent: u8) -> Vec<u8> {
    let short = |number: u16| {
        let octets = write(u32::from(number));
        if octets[0] == 0 && octets[1] == 0 {
            [octets[2], octets[3]]
        } else {
            [octets[0], octets[1]]
        }
    };
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let len = write(u32::try_from(body.len() + 12).unwrap());
        [&write(kind)[..], &len, &body, &len].concat()
    };
    let mut file =
        block(0x0a0d_0d0a, &[&write(0x1a2b_3c4d)[..], &short(1), &[0, 0], &[0xff; 8]].concat());
    let resolution = [&short(9)[..], &short(1), &[exponent, 0, 0, 0], &[0; 4]].concat();
    file.extend(block(1, &[&short(1)[..], &[0, 0], &write(0), &resolution].concat()));
    for shot in &wire.frames {
        let ticks = u128::from(shot.time_ns) * 10_u128.pow(u32::from(exponent)) / 1_000_000_000;
        let ticks = u64::try_from(ticks).unwrap();
        let mut body = write(0).to_vec();
        for number in [
            u32::try_from(ticks >> 32).unwrap(),
            u32::try_from(ticks & 0xffff_ffff).unwrap(),
            u32::try_from(shot.octets.len()).unwrap(),
            shot.len,
        ] {
            body.extend_from_slice(&write(number));
        }
        body.extend_from_slice(&shot.octets);
        file.extend(block(6, &body));
    }
    file
}

#[test]
fn another_kind_of_file_changes_nothing() {
    assert_same("files", Keeps::All, |base, case| {
        let kinds = 8;
        let number = (case + base.name.len() as u64) % kinds;
        let plain = base.wire.pcap();
        Some(vec![match number {
            0 => classic(&base.wire, 0xa1b2_c3d4, u32::to_be_bytes, false),
            1 => classic(&base.wire, 0xa1b2_3c4d, u32::to_be_bytes, true),
            2 => classic(&base.wire, 0xa1b2_3c4d, u32::to_le_bytes, true),
            3 => pcapng(&base.wire, u32::to_le_bytes, 6),
            4 => pcapng(&base.wire, u32::to_be_bytes, 9),
            5 => pcapng(&base.wire, u32::to_le_bytes, 3),
            6 => {
                let mut zipped =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                zipped.write_all(&plain).unwrap();
                zipped.finish().unwrap()
            }
            _ => ruzstd::encoding::compress_to_vec(
                &plain[..],
                ruzstd::encoding::CompressionLevel::Fastest,
            ),
        }])
    });
}

#[test]
fn several_files_are_one_capture() {
    assert_same("split", Keeps::All, |base, case| {
        let frames = &base.wire.frames;
        let cut = Dice::of(&base.name, case).roll(frames.len() + 1);
        let part = |frames: &[Shot]| base.with(frames.to_vec()).pcap();
        Some(vec![part(&frames[..cut]), part(&frames[cut..])])
    });
}

#[test]
fn strangers_beside_it_change_no_verdict() {
    for base in bases() {
        let before = base.seen(&[base.wire.pcap()]);
        if before.verdict == Verdict::Inconclusive && base.wire.frames.is_empty() {
            continue; // Not empty any more, for other reasons.
        }
        let mut noise = Wire { frames: Vec::new(), ..base.wire.clone() };
        let mut tcp = noise.connect("203.0.113.7:50001", "203.0.113.9:8080");
        noise.client(&mut tcp, b"GET /weather HTTP/1.1\r\nHost: weather\r\n\r\n");
        noise.server(&mut tcp, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsnow");
        noise.udp("203.0.113.7:50002", "203.0.113.9:4000", b"snow in the morning");
        noise.close(&mut tcp);
        let mut frames = Vec::new();
        let mut strangers = noise.frames.into_iter();
        for (number, shot) in base.wire.frames.iter().enumerate() {
            frames.push(shot.clone());
            if number % 3 == 1
                && let Some(stranger) = strangers.next()
            {
                frames.push(Shot { time_ns: shot.time_ns, ..stranger });
            }
        }
        frames.extend(strangers);
        let after = base.seen(&[base.with(frames).pcap()]);
        assert_eq!(after.verdict, before.verdict, "{}", base.name);
        assert_eq!(after.hits, before.hits, "{}", base.name);
        assert!(after.classes.is_superset(&before.classes), "{}", base.name);
    }
}

#[test]
fn the_same_file_twice_never_passes_where_once_does_not() {
    for base in bases() {
        let file = base.wire.pcap();
        let before = base.seen(std::slice::from_ref(&file));
        let after = base.seen(&[file.clone(), file]);
        assert!(after.verdict >= before.verdict, "{}: {:?}", base.name, after.verdict);
        assert!(after.texts.is_superset(&before.texts), "{}", base.name);
    }
}
