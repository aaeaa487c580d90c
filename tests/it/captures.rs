//! Every case of `captures/`: its size, its verdict, and the whole document against `tests/golden/NAME.json`.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it captures::` writes the goldens again: read what changed before it is committed.

use crate::program::{Ran, run, run_in};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Largest capture, in octets.
const MAX_CAPTURE: u64 = 64 * 1024;
/// Fewest cases.
const MIN_CASES: usize = 20;

struct Case {
    name: String,
    manifest: toml::Table,
}

impl Case {
    fn text(&self, key: &str) -> &str {
        self.manifest.get(key).and_then(|value| value.as_str()).unwrap_or_default()
    }

    /// The arguments that judge its capture as the suite does; run in `captures/`.
    fn arguments(&self, folder: &Path) -> Vec<String> {
        let (config, name) = if let Some(target) = self.manifest.get("target") {
            let mut targets = toml::Table::new();
            targets.insert("case".to_owned(), target.clone());
            let mut file = toml::Table::new();
            file.insert("target".to_owned(), targets.into());
            let path = folder.join(format!("{}.toml", self.name));
            fs::write(&path, file.to_string()).unwrap();
            (path.display().to_string(), "case")
        } else {
            (self.text("target_file").to_owned(), self.text("target_name"))
        };
        let mut arguments: Vec<String> =
            ["-q", "--expect-encrypted", name, "--config", &config, "-r", self.text("capture")]
                .map(str::to_owned)
                .to_vec();
        if self.manifest.get("strict").and_then(toml::Value::as_bool) == Some(true) {
            arguments.push("--strict".to_owned());
        }
        arguments
    }
}

fn toml_files(folder: &str) -> Vec<(String, PathBuf)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    files.sort();
    files
}

fn cases() -> Vec<Case> {
    toml_files("captures")
        .into_iter()
        .map(|(name, path)| Case {
            name,
            manifest: fs::read_to_string(path).unwrap().parse().unwrap(),
        })
        .filter(|case| case.manifest.contains_key("capture"))
        .collect()
}

fn golden(name: &str) -> PathBuf {
    Path::new("tests/golden").join(format!("{name}.json"))
}

#[test]
fn there_are_enough_cases_and_each_is_small() {
    let cases = cases();
    assert!(cases.len() >= MIN_CASES, "only {} cases", cases.len());
    for case in &cases {
        let len = fs::metadata(Path::new("captures").join(case.text("capture"))).unwrap().len();
        assert!(len <= MAX_CAPTURE, "{} has {len} octets", case.name);
    }
}

#[test]
fn the_suite_gives_what_the_manifests_expect() {
    let ran = run(&["suite", "captures/"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let count = cases().len();
    assert!(ran.out.contains(&format!("{count} of {count} captures")), "{}", ran.out);
}

#[test]
fn every_document_is_the_golden_one() {
    let folder = tempfile::tempdir().unwrap();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let mut expected = BTreeSet::new();
    for case in cases() {
        let mut arguments = case.arguments(folder.path());
        arguments.extend(["--format".to_owned(), "json".to_owned()]);
        let ran = run_in(Path::new("captures"), &arguments, b"");
        let status = match case.text("verdict") {
            "pass" => 0,
            "fail" => 1,
            _ => 3,
        };
        if ran.status != status {
            wrong.push(format!(
                "{}: exit status {}, not {status}: {}",
                case.name, ran.status, ran.err
            ));
        }
        let document: serde_json::Value = serde_json::from_str(&ran.out)
            .unwrap_or_else(|error| panic!("{}: {error}: {}{}", case.name, ran.out, ran.err));
        if document["verdict"].as_str() != Some(case.text("verdict")) {
            wrong.push(format!("{}: the document says {}", case.name, document["verdict"]));
        }
        let path = golden(&case.name);
        if update {
            fs::create_dir_all("tests/golden").unwrap();
            fs::write(&path, &ran.out).unwrap();
        }
        match fs::read_to_string(&path) {
            Ok(text) if text == ran.out => {}
            Ok(text) => wrong.push(format!("{}: {}", case.name, first_difference(&text, &ran.out))),
            Err(_) => wrong.push(format!("{}: no golden document", case.name)),
        }
        expected.insert(path);
    }
    for entry in fs::read_dir("tests/golden").unwrap() {
        let path = entry.unwrap().path();
        if !expected.contains(&path) {
            wrong.push(format!("{}: a golden document without a case", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn first_difference(golden: &str, now: &str) -> String {
    let lines = golden.lines().zip(now.lines()).enumerate();
    for (number, (before, after)) in lines {
        if before != after {
            return format!("line {}: {before:?} is now {after:?}", number + 1);
        }
    }
    "one document is longer than the other".to_owned()
}

/// The same answer from the library, without the program.
#[test]
fn the_library_answers_as_the_manifests_say() {
    for case in tunnelcheck::run::find_cases(&[PathBuf::from("captures")]).unwrap() {
        let result =
            tunnelcheck::run::run_case(&case, tunnelcheck::run::Threads::Exactly(1)).unwrap();
        assert!(
            result.is_as_expected(&case),
            "{}: {} {:?} {:?}",
            case.name,
            result.outcome.judgement.verdict,
            result.outcome.judgement.causes(),
            result.missing
        );
    }
}

/// A folder with one sound case.
fn suite_folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["empty.pcap", "empty.toml", "targets.toml"] {
        fs::copy(Path::new("captures").join(file), folder.path().join(file)).unwrap();
    }
    let manifest = fs::read_to_string(folder.path().join("empty.toml")).unwrap();
    (folder, manifest)
}

fn suite_of(folder: &tempfile::TempDir, manifest: &str, more: &[&str]) -> Ran {
    fs::write(folder.path().join("empty.toml"), manifest).unwrap();
    let path = folder.path().display().to_string();
    run(&[&["suite", path.as_str()], more].concat())
}

#[test]
fn a_wrong_expectation_is_status_1_and_says_what_came() {
    let (folder, manifest) = suite_folder();
    assert_eq!(suite_of(&folder, &manifest, &[]).status, 0);
    let ran = suite_of(&folder, &manifest.replace("\"inconclusive\"", "\"pass\""), &[]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.out.contains("expected PASS, got INCONCLUSIVE"), "{}", ran.out);
    let ran = suite_of(&folder, &manifest.replace("\"empty-capture\"", "\"gap\""), &[]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.out.contains("not named: gap"), "{}", ran.out);
}

#[test]
fn what_is_wrong_with_a_suite_is_status_2_and_named() {
    let (folder, manifest) = suite_folder();
    let digest = manifest.lines().find(|line| line.starts_with("sha256")).unwrap().to_owned();
    for (changed, said) in [
        (format!("colour = \"red\"\n{manifest}"), "unknown field `colour`"),
        (manifest.replace(&digest, "sha256 = \"00\""), "sha256"),
        (manifest.replace("\"inconclusive\"", "\"maybe\""), "it may be pass, fail or inconclusive"),
        (manifest.replace("shows = \"", "shows = \"\" #"), "shows is empty"),
        (manifest.replace("target_name = \"dasher\"", "target_name = \"nobody\""), "nobody"),
        ("capture = ".to_owned(), "empty.toml"),
    ] {
        let ran = suite_of(&folder, &changed, &[]);
        assert_eq!(ran.status, 2, "{said}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(said), "{said:?} is not in {:?}", ran.err);
    }
    let gone = folder.path().join("gone.toml");
    fs::write(&gone, manifest.replace("\"empty.pcap\"", "\"gone.pcap\"")).unwrap();
    let ran = run(&["suite", &gone.display().to_string()]);
    assert_eq!(ran.status, 2, "{}", ran.err);
    assert!(ran.err.contains("gone.pcap"), "{}", ran.err);
    fs::remove_file(gone).unwrap();
    fs::copy("captures/arp-only.pcap", folder.path().join("lonely.pcap")).unwrap();
    let ran = suite_of(&folder, &manifest, &[]);
    assert_eq!(ran.status, 2, "{}", ran.err);
    assert!(ran.err.contains("lonely.pcap") && ran.err.contains("no manifest"), "{}", ran.err);
    let nothing = tempfile::tempdir().unwrap();
    let ran = run(&["suite", &nothing.path().display().to_string()]);
    assert_eq!(ran.status, 2, "{}", ran.err);
    assert!(ran.err.contains("no manifest"), "{}", ran.err);
    assert_eq!(run(&["suite", "/nowhere"]).status, 2);
}

#[test]
fn the_suite_speaks_every_format() {
    let (folder, manifest) = suite_folder();
    let wrong = manifest.replace("\"inconclusive\"", "\"pass\"");
    let wrong = wrong.replace("shows = \"", "shows = \"<&\\\"'> ");
    let ran = suite_of(&folder, &wrong, &["--format", "junit"]);
    assert_eq!(ran.status, 1);
    let (tests, failures) = junit(&ran.out);
    assert_eq!((tests, failures), (1, 1), "{}", ran.out);
    let ran = suite_of(&folder, &wrong, &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["cases"][0]["as_expected"], false);
    assert_eq!(json["cases"][0]["verdict"], "inconclusive");
    let ran = suite_of(&folder, &wrong, &["--format", "ndjson"]);
    for line in ran.out.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

/// Checks that the elements of a document close in their order, and counts test cases and failures.
pub(crate) fn junit(text: &str) -> (usize, usize) {
    let mut open = Vec::new();
    let (mut tests, mut failures) = (0, 0);
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a bare > in {text}");
        let end = start + rest[start..].find('>').expect("an element that does not end");
        let element = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if element.starts_with('?') {
            continue;
        }
        if let Some(name) = element.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name.to_owned()), "{text}");
            continue;
        }
        assert_eq!(element.matches('"').count() % 2, 0, "{element}");
        assert!(!element.contains('<'), "{element}");
        let name = element.split([' ', '/']).next().unwrap().to_owned();
        tests += usize::from(name == "testcase");
        failures += usize::from(name == "failure");
        if !element.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    (tests, failures)
}
