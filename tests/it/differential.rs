//! Our streams against those of tshark: `make differential` with TUNNELCHECK_CORPUS naming a folder of captures.
//!
//! The first conns of every capture are put together by both, and compared octet by octet in both directions. What differs
//! must have one of the reasons of `Why`, which docs/testing.md explains; anything else fails.

use crate::skip;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tunnelcheck::decode::Decoder;
use tunnelcheck::flow::{ConnTable, Limits};
use tunnelcheck::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Direction, Endpoint, FrameRef, Proto, TcpFlags,
    Uid,
};
use tunnelcheck::source::{Next, Savefile, Source as _};

/// TCP conns of a capture that are compared: the first ones. One call of tshark follows them all.
const MAX_STREAMS: usize = 8;
/// Octets of a capture; larger ones take tshark too long.
const MAX_CAPTURE: u64 = 4 << 20;

/// A direction: runs of octets; between two of them something is missing.
type Runs = Vec<Vec<u8>>;

/// One conn as one of the two sees it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a list of what was seen")]
struct Talk {
    ends: [Endpoint; 2],
    /// What each of `ends` sent.
    said: [Runs; 2],
    has_conflict: bool,
    is_midstream: bool,
    has_alternates: bool,
    /// Something is missing, at the beginning maybe.
    has_gap: [bool; 2],
    /// One end sent SYNs with different sequence numbers.
    starts_twice: bool,
}

/// Why a direction differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// It does not.
    Equal,
    /// The octets are the same; where something is missing in between is told otherwise.
    Gaps,
    /// The stream was open before the capture, or its SYN came late: the two begin at different octets.
    Beginning,
    /// Octets came twice with other content, as segments or as fragments: tshark keeps another version.
    Overlap,
    /// Segments lie outside of the window, or come after the end: we keep them beside the stream, tshark in it.
    Outside,
    /// tshark stops at a hole that is never filled, or leaves out what follows it.
    Stops,
    /// A port was used again, and the two do not begin the new conn at the same segment.
    Reuse,
    /// An end sent SYNs with different numbers: tshark keeps to the first, we to the one that was answered.
    Numbers,
    /// tshark gives a packet up (a bad IP option) whose payload we read.
    Malformed,
    /// None of these.
    Unknown,
}

#[test]
fn our_streams_are_those_of_tshark() {
    let wanted = std::env::var_os("TUNNELCHECK_DIFFERENTIAL").is_some();
    let folder = std::env::var_os("TUNNELCHECK_CORPUS").map(PathBuf::from);
    let has_tshark = Command::new("tshark").arg("--version").output().is_ok();
    let (true, Some(folder), true) = (wanted, folder, has_tshark) else {
        skip::skipped("it needs TUNNELCHECK_DIFFERENTIAL=1, TUNNELCHECK_CORPUS=FOLDER and tshark");
        return;
    };
    let mut counts: BTreeMap<Why, u64> = BTreeMap::new();
    let (mut captures, mut alone) = (0, 0);
    let mut unknown = String::new();
    for path in files(&folder.join("pcaps")) {
        if std::fs::metadata(&path).unwrap().len() > MAX_CAPTURE {
            continue;
        }
        let Some(ours) = ours(&path) else { continue };
        if ours.is_empty() {
            continue;
        }
        let theirs = theirs(&path);
        captures += 1;
        let mut left = ours;
        let again = |talks: &[Talk], their: &Talk| {
            talks.iter().filter(|talk| is_same(talk, their)).count() > 1
        };
        let reused: Vec<bool> =
            theirs.iter().map(|their| again(&left, their) || again(&theirs, their)).collect();
        for (their, reused) in theirs.iter().zip(reused) {
            let Some(at) = left.iter().position(|talk| is_same(talk, their)) else {
                alone += 1;
                if std::env::var_os("VERBOSE").is_some() {
                    eprintln!("tshark alone: {} {:?}", path.display(), their.ends);
                }
                continue;
            };
            let our = left.remove(at);
            for side in 0..2 {
                let other = usize::from(our.ends[side] != their.ends[side]) ^ side;
                let mut why = compare(&our, side, &their.said[other], reused);
                if why == Why::Unknown && has_malformed(&path) {
                    why = Why::Malformed;
                }
                *counts.entry(why).or_default() += 1;
                if why == Why::Unknown
                    || std::env::var("VERBOSE").is_ok_and(|it| it == format!("{why:?}"))
                {
                    writeln!(
                        unknown,
                        "{}: {} -> {}: {} octets here, {} there\n  {}\n  {}",
                        path.display(),
                        our.ends[side],
                        our.ends[1 - side],
                        our.said[side].concat().len(),
                        their.said[other].concat().len(),
                        shown(&our.said[side]),
                        shown(&their.said[other]),
                    )
                    .unwrap();
                }
            }
        }
    }
    eprintln!("{captures} captures, {alone} conns that only tshark has, directions: {counts:?}");
    assert!(captures > 0, "no capture was compared");
    assert_eq!(counts.get(&Why::Unknown), None, "differences without a reason:\n{unknown}");
    assert!(unknown.is_empty(), "{unknown}");
}

fn shown(runs: &Runs) -> String {
    let runs = runs.iter().take(4).map(|run| {
        format!(
            "{}:{}",
            run.len(),
            String::from_utf8_lossy(&run[..run.len().min(24)]).escape_debug()
        )
    });
    runs.collect::<Vec<_>>().join(" | ")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_same(ours: &Talk, theirs: &Talk) -> bool {
    let [a, b] = ours.ends;
    theirs.ends == [a, b] || theirs.ends == [b, a]
}

fn compare(our: &Talk, side: usize, theirs: &Runs, reused: bool) -> Why {
    let ours = &our.said[side];
    if ours == theirs {
        return Why::Equal;
    }
    let (a, b) = (ours.concat(), theirs.concat());
    if a == b {
        return Why::Gaps;
    }
    if our.has_conflict {
        return Why::Overlap;
    }
    if reused {
        return Why::Reuse;
    }
    if our.starts_twice {
        return Why::Numbers;
    }
    if our.is_midstream && (a.ends_with(&b) || b.ends_with(&a)) {
        return Why::Beginning;
    }
    if our.has_alternates {
        return Why::Outside;
    }
    if our.has_gap[side] && (a.starts_with(&b) || is_part(theirs, ours)) {
        return Why::Stops;
    }
    Why::Unknown
}

/// Whether each run stands in one of the other's, in this order.
fn is_part(runs: &Runs, of: &Runs) -> bool {
    let mut rest = of.iter();
    runs.iter().all(|run| {
        rest.any(|whole| whole.windows(run.len().max(1)).any(|part| part == run.as_slice()))
    })
}

#[derive(Default)]
struct Listener {
    open: BTreeMap<u32, (Uid, Talk, [bool; 2])>,
    closed: Vec<(Uid, Talk)>,
}

impl ChunkSink for Listener {
    fn held(&self, _: ConnSlot) -> usize {
        0
    }

    fn opened(&mut self, slot: ConnSlot, uid: Uid, id: &ConnId, _: FrameRef) {
        if id.proto == Proto::TCP {
            let talk = Talk {
                ends: [id.orig, id.resp],
                said: Default::default(),
                has_conflict: false,
                is_midstream: false,
                has_alternates: false,
                has_gap: [false; 2],
                starts_twice: false,
            };
            self.open.insert(slot.0, (uid, talk, [true; 2]));
        }
    }

    fn chunk(&mut self, slot: ConnSlot, dir: Direction, chunk: &Chunk<'_>) {
        let Some((_, talk, begins)) = self.open.get_mut(&slot.0) else { return };
        let side = dir.index();
        match *chunk {
            Chunk::Data { bytes, .. } => {
                if begins[side] {
                    talk.said[side].push(Vec::new());
                    begins[side] = false;
                }
                talk.said[side].last_mut().unwrap().extend_from_slice(bytes);
            }
            Chunk::Gap { .. } => {
                begins[side] = true;
                talk.has_gap[side] = true;
            }
            Chunk::Alternate { .. } => talk.has_alternates = true,
        }
    }

    fn closed(&mut self, slot: ConnSlot, record: ConnRecord) {
        let Some((uid, mut talk, _)) = self.open.remove(&slot.0) else { return };
        talk.has_conflict = record.conflict_bytes != [0, 0];
        talk.is_midstream = record.midstream;
        self.closed.push((uid, talk));
    }
}

/// Every TCP conn, in the order of their first frames; none where it is no capture that we read.
fn ours(path: &Path) -> Option<Vec<Talk>> {
    let file = std::fs::File::open(path).unwrap();
    let mut file = Savefile::open(Box::new(file), "capture").ok()?;
    let mut decoder = Decoder::default();
    let mut table = ConnTable::new(Limits::default());
    let mut listener = Listener::default();
    let mut starts: BTreeMap<(Endpoint, Endpoint), BTreeSet<u32>> = BTreeMap::new();
    while let Ok(Next::Frame(frame)) = file.next() {
        if let Some(segment) = &decoder.decode(&frame).segment {
            if let Some(tcp) = segment.tcp.filter(|tcp| tcp.flags.has(TcpFlags::SYN)) {
                starts.entry((segment.src, segment.dst)).or_default().insert(tcp.seq.0);
            }
            table.push(segment, &mut listener);
        }
    }
    table.finish(&mut listener);
    let disputed = decoder.coverage().fragment_conflicts > 0;
    for (_, talk) in &mut listener.closed {
        talk.has_conflict |= disputed;
        let [a, b] = talk.ends;
        let count = |ends| starts.get(&ends).map_or(0, BTreeSet::len);
        talk.starts_twice = count((a, b)) > 1 || count((b, a)) > 1;
    }
    listener.closed.sort_by_key(|(uid, _)| *uid);
    Some(listener.closed.into_iter().map(|(_, talk)| talk).collect())
}

/// The first streams as tshark follows them.
fn theirs(path: &Path) -> Vec<Talk> {
    let mut command = Command::new("tshark");
    command.arg("-q").arg("-r").arg(path);
    for stream in (0..MAX_STREAMS).rev() {
        command.arg("-z").arg(format!("follow,tcp,raw,{stream}"));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut talks = Vec::new();
    let mut ends = Vec::new();
    let mut said: [Runs; 2] = Default::default();
    for line in text.lines() {
        if let Some(end) = line.strip_prefix("Node 0: ").or_else(|| line.strip_prefix("Node 1: ")) {
            ends.push(end.to_owned());
        } else if line.starts_with("====") {
            let both: Vec<Endpoint> = ends.iter().filter_map(|end| endpoint(end)).collect();
            let said = std::mem::take(&mut said);
            if let [a, b] = both[..] {
                talks.push(Talk {
                    ends: [a, b],
                    said: said.map(|runs| runs.into_iter().filter(|run| !run.is_empty()).collect()),
                    has_conflict: false,
                    is_midstream: false,
                    has_alternates: false,
                    has_gap: [false; 2],
                    starts_twice: false,
                });
            }
            ends.clear();
        } else if ends.len() == 2 {
            let side = usize::from(line.starts_with('\t'));
            let octets = data_encoding::HEXLOWER.decode(line.trim().as_bytes()).unwrap();
            let runs = &mut said[side];
            let is_missing = octets.starts_with(b"[")
                && octets.windows(26).any(|part| part == b"bytes missing in capture f");
            if is_missing {
                runs.push(Vec::new());
            } else if let Some(run) = runs.last_mut() {
                run.extend(octets);
            } else {
                runs.push(octets);
            }
        }
    }
    talks
}

/// Whether tshark gives a packet of the capture up.
fn has_malformed(path: &Path) -> bool {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-Y", "_ws.malformed"]);
    !command.output().unwrap().stdout.is_empty()
}

/// `10.0.0.5:110`, `fd77::10:110`.
fn endpoint(text: &str) -> Option<Endpoint> {
    let (ip, port) = text.rsplit_once(':')?;
    let ip: IpAddr = ip.trim_matches(['[', ']']).parse().ok()?;
    Some(Endpoint { ip, port: port.parse().ok()? })
}
