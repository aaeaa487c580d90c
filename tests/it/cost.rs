//! How much work the program does in one thread, in instructions counted by callgrind: neither the clock nor the number of cores
//! is asked, so it holds on any machine.
//!
//! `make count` builds what is counted and runs this; without it the test skips. Inside of callgrind AVX-512 is not there, so
//! what is counted is the search with AVX2 or in portable code.

use crate::skip;
use crate::traffic::{self, Kind, Scale};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Millions of instructions to start: read the target, expand 80 identifiers, judge a capture without frames.
const START: f64 = 56.0;

/// Instructions a frame beyond that.
const FRAME: [(Kind, f64); 4] = [
    (Kind::Bulk, 15_300.0),
    (Kind::Mail, 19_000.0),
    (Kind::Small, 11_000.0),
    (Kind::Hostile, 16_500.0),
];

/// Of the numbers above. Wide, since compilers differ. Above it: what became dear? Below it: write the new number down, so that
/// the band stays around it.
const BAND: std::ops::Range<f64> = 0.5..1.3;

/// Some thousand frames of each kind.
const SCALE: Scale = Scale(2000);

/// Octets of a capture without frames.
const FILE_HEADER: u64 = 24;

#[test]
fn instructions_stay_within_their_band() {
    let Some(program) = std::env::var_os("TUNNELCHECK_COUNTED") else {
        skip::skipped("instructions are not counted: `make count` does it");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bench.toml");
    fs::write(&config, traffic::target(&traffic::identifiers())).unwrap();
    let (program, config) = (&program, &config);
    // callgrind is slow, and counts nothing of what runs beside it.
    let (start, counts) = std::thread::scope(|scope| {
        let empty = capture(&folder.path().join("empty.pcap"), Kind::Small);
        File::options().write(true).open(&empty.0).unwrap().set_len(FILE_HEADER).unwrap();
        let start = scope.spawn(move || count(program, config, &empty.0));
        let counts = FRAME.map(|(kind, _)| {
            let (path, frames) = capture(&folder.path().join(kind.name()), kind);
            scope.spawn(move || (count(program, config, &path), frames))
        });
        (start.join().unwrap(), counts.map(|count| count.join().unwrap()))
    });
    let mut measured = vec![("start, in millions".to_owned(), start / 1e6, START)];
    for ((kind, expected), (count, frames)) in FRAME.into_iter().zip(counts) {
        measured.push((format!("{}, a frame", kind.name()), (count - start) / frames, expected));
    }
    let mut wrong = Vec::new();
    for (what, measured, expected) in measured {
        let ratio = measured / expected;
        let line = format!("{what}: {measured:.1}, {ratio:.2} of {expected}");
        println!("{line}");
        if !BAND.contains(&ratio) {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "instructions out of {BAND:?}:\n{}", wrong.join("\n"));
}

/// A capture, and how many frames are in it.
fn capture(path: &Path, kind: Kind) -> (PathBuf, f64) {
    let out = BufWriter::new(File::create(path).unwrap());
    let frames = traffic::write(kind, SCALE, 1, out).unwrap().frames;
    (path.to_owned(), f64::from(u32::try_from(frames).unwrap()))
}

/// Instructions of one judgement.
fn count(program: &OsStr, config: &Path, capture: &Path) -> f64 {
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["-q", "--threads", "1", "--expect-encrypted", "bench", "--config"])
        .args([config, Path::new("-r"), capture])
        .env("HOME", "/nonexistent")
        .env_remove("XDG_CONFIG_HOME")
        .env("NO_COLOR", "1")
        .output()
        .expect("valgrind is not installed");
    let said = String::from_utf8_lossy(&ran.stderr);
    let total = said.lines().find_map(|line| line.split_once("Collected : "));
    let total = total.unwrap_or_else(|| panic!("callgrind did not count:\n{said}")).1;
    total.trim().parse().unwrap()
}
