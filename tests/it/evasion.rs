//! Captures made to fool the verdict. Each stands beside a real tunnelled session that passes by itself: where an
//! identifier or a direct conn is on the wire the answer is never PASS, and ordinary noise never takes the PASS away.

#![allow(
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    clippy::assigning_clones,
    reason = "a list of cases is as long as there are cases, one closure each"
)]

use crate::wire::{ACK, FIN, PSH, RST, SYN, Shot, Tcp, Wire};
use std::fs;
use std::path::{Path, PathBuf};
use tunnelcheck::model::Verdict;
use tunnelcheck::run::{Outcome, Threads, judge_recording_in};
use tunnelcheck::target::{Environment, parse_target_value};

mod base;
mod canon;
mod ciphertext;
mod direct;
mod files;
mod hidden;
mod noise;
mod octets;
mod order;
mod outside;
mod overlap;
mod peers;
mod silent;

use base::{Scene, seeded};

const CLIENT: &str = "10.77.0.10";
const GATEWAY: &str = "10.77.0.20";
const MAIL: &str = "10.77.1.30";
const NAME: &[u8] = b"John Smith";

/// The target of every case, unless the case says more.
const TARGET: &str = r#"
[target]
gateway = "jsmith@nimbus.dartmouth.edu"
gateway_address = ["10.77.0.20"]
client = ["10.77.0.10", "2001:db8:77::10"]
identifiers = { username = ["jsmith", "John Smith"], folders = ["Reindeer Games"] }

[[target.service]]
name = "mail"
kind = "pop3"
host = "dasher.dartmouth.edu"
port = 110
address = ["10.77.1.30", "2001:db8:77:1::30"]
listen = "127.0.0.1:2110"
"#;

/// What a case must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Pass,
    Fail,
    Inconclusive,
    /// FAIL or INCONCLUSIVE.
    NoPass,
}

impl Want {
    fn is(self, verdict: Verdict) -> bool {
        match self {
            Self::Pass => verdict == Verdict::Pass,
            Self::Fail => verdict == Verdict::Fail,
            Self::Inconclusive => verdict == Verdict::Inconclusive,
            Self::NoPass => verdict != Verdict::Pass,
        }
    }
}

/// A capture by its name, and what is written into it beside the tunnel.
type Case = (&'static str, Want, fn(&mut Scene));

/// Judges every case and names those that came out otherwise.
fn expect(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (name, want, write) in cases {
        let mut scene = Scene::new();
        write(&mut scene);
        let (target, files) = scene.finish();
        let (verdict, why) = judged(&target, &files);
        if !want.is(verdict) {
            wrong.push(format!("{name}: {verdict:?}, not {want:?}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The verdict over files, and the reasons given.
fn judged(target: &str, files: &[Vec<u8>]) -> (Verdict, String) {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files
        .iter()
        .enumerate()
        .map(|(number, octets)| {
            let path = folder.path().join(format!("{number}.pcap"));
            fs::write(&path, octets).unwrap();
            path
        })
        .collect();
    let env = Environment::of_home(folder.path(), "jsmith");
    let plan = parse_target_value(target, Path::new("case.toml"), "case", &env).unwrap();
    let by = |threads| {
        let judged =
            judge_recording_in(vec![plan.clone()], &paths, false, Threads::Exactly(threads));
        said(&judged.unwrap()[0])
    };
    let (one, three) = (by(1), by(3));
    assert_eq!(one, three, "threads change no answer");
    one
}

/// The verdict and the reasons.
fn said(outcome: &Outcome) -> (Verdict, String) {
    let judgement = &outcome.judgement;
    let rows = judgement.rows.iter().flat_map(|row| row.reasons.iter().map(|it| it.text.clone()));
    let spoils = judgement.coverage.iter().map(|it| it.text.clone());
    (judgement.verdict, rows.chain(spoils).collect::<Vec<_>>().join("; "))
}
