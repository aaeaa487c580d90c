//! What a recording of our own says of itself, damaged and hostile: the answer is never better than the frames allow.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tunnelcheck::model::{Drops, Frame};
use tunnelcheck::source::{Losses, Next, Recorder, Savefile, Source as _};

/// The recording of a run that passes, with its words changed.
fn judged(change: impl FnOnce(&mut Value, &mut Value)) -> (i32, String) {
    let path = Path::new("captures/own-run.pcapng");
    let open = || Savefile::open(Box::new(fs::File::open(path).unwrap()), "own-run").unwrap();
    let mut file = open();
    while !matches!(file.next().unwrap(), Next::End) {}
    let mut head: Value = serde_json::from_str(file.head_annotation().unwrap()).unwrap();
    let mut tail: Value = serde_json::from_str(file.tail_annotation().unwrap()).unwrap();
    change(&mut head, &mut tail);
    let words = head.to_string();
    let mut recorder =
        Recorder::create(Vec::new(), &file.interfaces(), &words, "tunnelcheck 0").unwrap();
    let mut file = open();
    while let Next::Frame(frame) = file.next().unwrap() {
        recorder.write(&Frame { ..frame }).unwrap();
    }
    let none = Drops::Known(0);
    let losses = Losses { drops: none, interface_drops: none, ..Losses::default() };
    let each = vec![losses; file.interfaces().len()];
    let octets = recorder.finish(&each, &tail.to_string()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let recording: PathBuf = folder.path().join("changed.pcapng");
    fs::write(&recording, octets).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tunnelcheck"))
        .args(["--config", "captures/targets.toml", "--format", "json"])
        .args(["--expect-encrypted", "own", "-r"])
        .arg(&recording)
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap_or(-1), said)
}

fn window(tail: &mut Value, window: Value) {
    tail["window"] = window;
}

#[test]
fn the_words_of_an_older_recording_are_enough() {
    let (status, said) = judged(|_, _| {});
    assert_eq!(status, 0, "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    for key in ["phases", "disruptions", "vantages"] {
        assert!(report["targets"][0].get(key).is_none(), "{key} of a run that had none");
    }
}

#[test]
fn hostile_phases_change_no_answer() {
    let part = |phase: &str, start: i64, end: i64| json!({"phase": phase, "what": "\u{202e}\u{1b}[2J", "start_ns": start, "end_ns": end, "frames": u64::MAX});
    let phases = vec![
        part("up", i64::MIN, i64::MAX),
        part("down", i64::MAX, i64::MIN),
        part("nonsense", 0, 1),
        part("before", 0, 0),
    ];
    let many: Vec<Value> = (0..100_000).map(|at| part("disrupted", at, at)).collect();
    for phases in [phases, many, vec![]] {
        let (status, said) = judged(|_, tail| window(tail, json!({ "phases": phases })));
        assert_eq!(status, 0, "{}", &said[..said.len().min(2_000)]);
        assert!(!said.contains('\u{202e}') && !said.contains('\u{1b}'));
        let report: Value = serde_json::from_str(&said).unwrap();
        let rows = report["targets"][0]["phases"].as_array().map_or(0, Vec::len);
        assert!(rows <= 4096, "{rows} phases are kept");
    }
}

#[test]
fn words_of_the_wrong_kind_make_a_recording_an_unfinished_one() {
    for wrong in [
        json!(7),
        json!({"phases": {}}),
        json!({"vantages": [{"name": 1}]}),
        json!({"own_conns": ["x"]}),
    ] {
        let (status, said) = judged(|_, tail| window(tail, wrong));
        assert_eq!(status, 3, "{said}");
        assert!(said.contains("recording-not-closed"), "{said}");
    }
}

#[test]
fn what_the_words_admit_forbids_a_pass() {
    let step = |done: bool, attempts: u64, not_undone: Value| {
        json!({"disruptions": [{"step": "cut", "what": "w", "done": done, "start_ns": 0, "end_ns": 1,
            "tries": [{"target": "own", "attempts": attempts, "forwarded": 0, "up_before": true, "up_after": true}],
            "not_undone": not_undone}]})
    };
    let lost = json!({"vantages": [{"name": "a@b:eth0", "interfaces": [0], "remote": true, "lost": "killed", "clock_ahead_ns": 0}]});
    for (words, code) in [
        (step(false, 1, Value::Null), "disruption-not-done"),
        (step(true, 0, Value::Null), "disruption-not-tried"),
        (step(true, 1, json!("why")), "disruption-not-undone"),
        (lost, "vantage-lost"),
    ] {
        let (status, said) = judged(|_, tail| window(tail, words));
        assert_eq!(status, 3, "{said}");
        assert!(said.contains(code), "{code}: {said}");
    }
    let (status, said) = judged(|_, tail| window(tail, step(true, 1, Value::Null)));
    assert_eq!(status, 0, "{said}");
}

#[test]
fn lanes_that_the_recording_does_not_have_change_no_answer() {
    let hostile: Vec<Vec<u32>> = (0..10_000).map(|id| vec![id, u32::MAX]).collect();
    for lanes in [json!([[0], [1], [u32::MAX]]), json!([[], [], []]), json!(hostile)] {
        let (status, said) = judged(|head, _| head["vantages"] = lanes);
        assert_eq!(status, 0, "{said}");
    }
    let (status, said) = judged(|head, _| head["vantages"] = json!("x"));
    assert_ne!(status, 0, "a head that cannot be read holds no tokens: {said}");
}

#[test]
fn a_tunnel_that_claims_more_connections_than_there_are_is_unproven() {
    let (status, said) = judged(|_, tail| {
        let tunnel = tail["tunnels"].as_object_mut().unwrap().values_mut().next().unwrap();
        tunnel["earlier"] = json!([{"local": "10.77.0.10:1", "remote": "10.77.0.20:22", "up_ns": 0, "down_ns": 1, "why": "x"}]);
    });
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("tunnel-not-seen"), "{said}");
}
