//! However many threads read a recording, what is said of it is the same, octet for octet.

use crate::program::run;
use crate::traffic::{self, Kind, Scale};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

const THREADS: [&str; 4] = ["2", "3", "4", "9"];

/// What `arguments` print with so many threads.
fn said(arguments: &[&str], threads: &str, statuses: &[i32]) -> String {
    let all: Vec<&str> = arguments.iter().copied().chain(["--threads", threads]).collect();
    let ran = run(&all);
    assert!(statuses.contains(&ran.status), "{all:?}: {}{}", ran.status, ran.err);
    assert!(!ran.out.is_empty(), "{all:?}: {}", ran.err);
    ran.out
}

/// Asserts that it is the same with any number.
fn is_the_same(arguments: &[&str], statuses: &[i32]) {
    let one = said(arguments, "1", statuses);
    for threads in THREADS {
        let more = said(arguments, threads, statuses);
        let differs = one.lines().zip(more.lines()).find(|(one, more)| one != more);
        assert!(one == more, "{arguments:?} with {threads}: {differs:?}");
    }
}

#[test]
fn generated_traffic_gets_one_answer_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bench.toml");
    let names = traffic::identifiers();
    fs::write(&config, traffic::target(&names)).unwrap();
    let config = config.display().to_string();
    for kind in Kind::ALL {
        let capture = folder.path().join(format!("{}.pcap", kind.name()));
        let out = BufWriter::new(File::create(&capture).unwrap());
        traffic::write(kind, Scale(4000), 7, out).unwrap();
        let capture = capture.display().to_string();
        let judge = ["-q", "--config", &config, "--expect-encrypted", "bench", "--format", "json"];
        let judge: Vec<&str> = judge.into_iter().chain(["-r", &capture]).collect();
        is_the_same(&judge, &[0, 1, 3]);
        let listed = ["flows", &capture, "--format", "ndjson", "--identifier", &names[0]];
        is_the_same(&listed, &[0]);
    }
}

#[test]
fn the_captures_get_one_answer_with_any_number_of_threads() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let captures = captures.display().to_string();
    is_the_same(&["suite", &captures, "--format", "json"], &[0]);
}

#[test]
fn no_thread_is_refused() {
    let ran = run(&["flows", "x.pcap", "--threads", "0"]);
    assert_eq!(ran.status, 2, "{}", ran.err);
}
