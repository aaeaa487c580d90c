//! The rules of the house that a machine can keep: which room may import which.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and their floors: a room imports only rooms of lower floors.
const FLOOR: &[(&str, u8)] = &[
    ("model", 1),
    ("source", 2),
    ("decode", 2),
    ("flow", 2),
    ("inspect", 2),
    ("verdict", 2),
    ("tunnel", 2),
    ("target", 2),
    ("hosts", 2),
    ("run", 3),
    ("report", 3),
    ("lab", 3),
    ("cli", 4),
];

/// Imports that are forbidden although they run down.
const NEVER: &[(&str, &str)] = &[("report", "source"), ("lab", "verdict"), ("lab", "target")];

/// Outside crates and the only rooms that may name them. A crate that is not listed may be named by any room.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("pcap", &["source"]),
    ("pcap_parser", &["source"]),
    ("etherparse", &["decode", "lab"]),
    ("regex", &["inspect"]),
    ("rustix", &["hosts", "run", "cli"]),
    ("brotli_decompressor", &["inspect"]),
    ("flate2", &["inspect", "source"]),
    ("ruzstd", &["inspect", "source"]),
    ("russh", &["tunnel", "lab"]),
    ("tokio", &["tunnel", "lab"]),
    ("clap", &["cli"]),
    ("anyhow", &["cli"]),
    ("indicatif", &["cli"]),
    ("ctrlc", &["cli"]),
    ("comfy_table", &["report", "cli"]),
    ("serde_json", &["report", "run", "cli"]),
    ("tempfile", &["run", "target"]),
    ("toml", &["target", "run"]),
];

struct Line {
    file: PathBuf,
    number: usize,
    room: String,
    text: String,
}

/// Every line of `src` in front of the tests of its file; files of tests alone are left out.
fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for (room, _) in FLOOR {
        let mut files = Vec::new();
        rust_files(&Path::new("src").join(room), &mut files);
        assert!(!files.is_empty(), "room {room} has no files");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, text) in text.lines().enumerate() {
                if text.trim_start().starts_with("#[cfg(test)]") && !text.contains("mod tests;") {
                    break;
                }
                if !text.trim_start().starts_with("//") {
                    lines.push(Line {
                        file: file.clone(),
                        number: number + 1,
                        room: (*room).to_owned(),
                        text: text.to_owned(),
                    });
                }
            }
        }
    }
    lines
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_name().is_some_and(|n| n != "tests.rs")
        {
            found.push(path);
        }
    }
    found.sort();
}

fn floor(room: &str) -> Option<u8> {
    FLOOR.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// The identifiers that follow `prefix` in a line.
fn names_after<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(prefix).map(move |(at, _)| {
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn every_import_runs_down() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in lines() {
        for to in names_after(&line.text, "crate::") {
            let Some(to_floor) = floor(to) else { continue };
            seen += 1;
            let up = to != line.room && floor(&line.room).unwrap() <= to_floor;
            if up || NEVER.contains(&(line.room.as_str(), to)) {
                wrong.push(format!(
                    "{}:{}: {} -> {to}",
                    line.file.display(),
                    line.number,
                    line.room
                ));
            }
        }
    }
    assert!(seen > 20, "only {seen} imports were found: the test does not see the code any more");
    assert!(wrong.is_empty(), "imports that run up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for line in lines() {
        for (name, rooms) in OUTSIDE {
            let path = format!("{name}::");
            let named = line.text.match_indices(&path).any(|(at, _)| {
                !line.text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if named && !rooms.contains(&line.room.as_str()) {
                wrong.push(format!("{}:{}: {name}", line.file.display(), line.number));
            }
        }
    }
    assert!(wrong.is_empty(), "crates named outside their rooms:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_says_what_it_does_and_what_it_never_does() {
    for (room, _) in FLOOR {
        let text = fs::read_to_string(format!("src/{room}/mod.rs")).unwrap();
        let head: Vec<&str> = text.lines().take_while(|l| l.starts_with("//!")).collect();
        assert!(head.len() >= 4, "src/{room}/mod.rs opens with fewer than four lines");
        assert!(
            head.iter().any(|l| l.contains("Never:")),
            "src/{room}/mod.rs does not say what it never does"
        );
    }
}

#[test]
fn the_program_itself_is_short() {
    let lines = fs::read_to_string("src/main.rs").unwrap().lines().count();
    assert!(lines <= 40, "src/main.rs has {lines} lines");
}
