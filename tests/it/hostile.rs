//! Captures made to exhaust the program: memory stays within a bound that does not depend on their length, and time grows no
//! faster than they do.
//!
//! `TUNNELCHECK_HOSTILE_SCALE=20 cargo test --release --test it hostile -- --nocapture` runs them at full size and prints the
//! figures that docs/testing.md holds. `TUNNELCHECK_HOSTILE_KEEP=FOLDER` keeps the captures.

#[path = "hostile/floods.rs"]
mod floods;

use std::fs;
use std::path::Path;
use std::process::Command;

/// Data of the process (heap and stack, not its code) in KiB: the sum of all bounds of docs/architecture.md. The promise is 256 MiB.
const LIMIT_KIB: u64 = 220 << 10;

/// Times the cpu time may grow where the capture grows four times.
const GROWTH: f64 = 6.0;

/// Seconds of cpu time below which a difference is noise.
const NOISE: f64 = 0.5;

fn scale() -> usize {
    std::env::var("TUNNELCHECK_HOSTILE_SCALE").ok().and_then(|it| it.parse().ok()).unwrap_or(1)
}

/// Runs the program under the limit; gives its exit status and its seconds of cpu time.
fn run(folder: &Path, arguments: &[&str]) -> (i32, f64) {
    run_within(LIMIT_KIB, folder, arguments)
}

/// The same under another limit, in KiB.
fn run_within(limit: u64, folder: &Path, arguments: &[&str]) -> (i32, f64) {
    // The second line of `times` is that of the children (POSIX XCU 2.14).
    let script = format!("ulimit -d {limit}; \"$0\" \"$@\" >/dev/null 2>err; s=$?; times; exit $s");
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_tunnelcheck")])
        .args(arguments)
        .current_dir(folder)
        .env("HOME", "/nonexistent")
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let seconds = |word: &str| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.replace(',', ".").parse::<f64>().unwrap()
    };
    let children = text.lines().nth(1).unwrap_or_else(|| panic!("no times: {text:?}"));
    (output.status.code().unwrap_or(-1), children.split_whitespace().map(seconds).sum())
}

const TARGET: &str = r#"
[target.t]
gateway_address = ["10.0.0.20"]
gateway = "nobody@10.0.0.20"
tunnel = "external"
client = ["10.0.0.10"]
[target.t.identifiers]
username = ["jsmith"]
[[target.t.service]]
name = "mail"
kind = "pop3"
host = "10.0.0.30"
port = 110
address = ["10.0.0.30"]
"#;

/// Lists and judges a capture of `frames` and one of four times as many.
fn endure(name: &str, frames: usize, make: impl Fn(usize) -> Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tunnelcheck.toml"), TARGET).unwrap();
    let lists: &[&str] = &["flows", "--format", "ndjson", "in"];
    let judges: &[&str] = &["--expect-encrypted", "t", "--format", "json", "-r", "in"];
    for (what, arguments) in [("flows", lists), ("judge", judges)] {
        let mut spent = Vec::new();
        for times in [1, 4] {
            let file = make(frames * scale() * times);
            fs::write(folder.path().join("in"), &file).unwrap();
            if let Some(kept) = std::env::var_os("TUNNELCHECK_HOSTILE_KEEP") {
                let name = format!("{}-x{times}", name.replace(' ', "-"));
                fs::write(Path::new(&kept).join(name), file).unwrap();
            }
            let (status, seconds) = run(folder.path(), arguments);
            let said = fs::read_to_string(folder.path().join("err")).unwrap_or_default();
            let fits = if what == "flows" { status == 0 } else { matches!(status, 1 | 3) };
            assert!(fits, "{name}, {what} x{times}: status {status}; {said}");
            spent.push(seconds);
        }
        println!("{name}, {what}: {:.2} s, x4 {:.2} s", spent[0], spent[1]);
        assert!(
            spent[1] <= spent[0] * GROWTH + NOISE,
            "{name}, {what}: four times the frames took {:.2} s instead of {:.2} s",
            spent[1],
            spent[0]
        );
    }
}

#[test]
fn a_flood_of_syns_is_endured() {
    endure("SYNs", 10_000, floods::syns);
}

#[test]
fn conns_that_say_a_line_and_stay_open_are_endured() {
    endure("half-open conns with a line each", 5_000, floods::lines);
}

#[test]
fn conns_with_a_finding_each_are_endured() {
    endure("cleartext conns with a finding each", 3_000, floods::logins);
}

#[test]
fn conns_with_a_finding_each_that_stay_open_are_endured() {
    endure("cleartext conns with a finding each that stay open", 60_000, floods::open_logins);
}

#[test]
fn a_flood_of_datagrams_is_endured() {
    endure("datagrams of a conn each", 10_000, floods::datagrams);
}

#[test]
fn a_flood_of_answers_is_endured() {
    endure("DNS answers", 5_000, floods::answers);
}

#[test]
fn a_flood_of_ether_types_is_endured() {
    endure("ether types", 10_000, floods::ether_types);
}

#[test]
fn a_flood_of_fragments_is_endured() {
    endure("first fragments", 10_000, floods::fragments);
}

#[test]
fn fragments_in_tunnels_held_by_every_thread_are_endured() {
    /// In KiB: 8.5 MiB of fragments for each of four threads, with their stacks and the program's own.
    const MOST: u64 = 80 << 10;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tunnelcheck.toml"), TARGET).unwrap();
    fs::write(folder.path().join("in"), floods::fragments_in_tunnels(16_000 * scale())).unwrap();
    let mut said = Vec::new();
    for threads in ["1", "2", "4", "8"] {
        let arguments = ["--expect-encrypted", "t", "--threads", threads, "-r", "in"];
        let output = ["--output", threads, "--format", "json"];
        let (status, _) = run_within(MOST, folder.path(), &[&arguments[..], &output].concat());
        let err = fs::read_to_string(folder.path().join("err")).unwrap_or_default();
        assert!(matches!(status, 1 | 3), "{threads} threads: status {status}; {err}");
        said.push(fs::read_to_string(folder.path().join(threads)).unwrap());
    }
    assert!(said[0].contains("\"fragments_expired\": 1"), "{}", said[0]);
    assert!(said.iter().all(|one| *one == said[0]), "the same for any number of threads");
}

#[test]
fn a_window_full_of_holes_is_endured() {
    endure("segments behind holes", 5_000, floods::holes);
}

#[test]
fn tunnels_inside_one_another_are_endured() {
    endure("nested tunnels", 3_000, floods::tunnels);
}

#[test]
fn a_flood_of_interfaces_is_endured() {
    endure("interfaces with long names", 3_000, floods::interfaces);
}

#[test]
fn a_compressed_capture_that_swells_is_endured() {
    endure("gzip that swells", 5_000, floods::swelling);
}

#[test]
fn the_bound_can_fail() {
    // A sort of everything in memory: the limit of this test is one, and not only a number in it.
    let script = "ulimit -d 65536; x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}";
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    assert_ne!(String::from_utf8(output.stdout).unwrap().trim(), "200000000");
}

#[test]
fn all_floods_at_once_are_endured() {
    endure("all at once", 5_000, floods::mixture);
}
