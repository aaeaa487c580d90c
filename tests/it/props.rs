//! Properties of whole captures: what says the same in another way gives the same answer, and loss never makes one better.
//!
//! Every change is made to the captures of `captures/`, from a fixed seed. PROPTEST_CASES asks for more of the random
//! ones, PROPTEST_RNG_SEED for others; docs/testing.md.

use crate::wire::{Shot, Wire};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tunnelcheck::model::{Class, Rule, Verdict};
use tunnelcheck::run::{Outcome, Threads, judge_recording_in};
use tunnelcheck::target::{Environment, Overrides, Plan, load, parse_target_value};

mod change;
mod loss;
mod packets;

/// A capture of the suite, of the plain kind that can be taken apart: classic, little endian, microseconds, Ethernet.
struct Base {
    name: String,
    plan: Plan,
    strict: bool,
    wire: Wire,
}

/// Everything that no other way of saying the same may change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    verdict: Verdict,
    /// Identifiers in conns: conn, direction, offset, text.
    hits: BTreeSet<(String, String, u64, Vec<u8>)>,
    /// Identifiers anywhere.
    texts: BTreeSet<Vec<u8>>,
    classes: BTreeSet<(String, Class)>,
}

impl Seen {
    fn of(outcome: &Outcome) -> Self {
        let named = |rule: Rule| rule == Rule::Identifier;
        let mut seen = Self {
            verdict: outcome.judgement.verdict,
            hits: BTreeSet::new(),
            texts: BTreeSet::new(),
            classes: BTreeSet::new(),
        };
        for conn in &outcome.conns {
            let id = conn.record.id.to_string();
            for hit in conn.hits.iter().filter(|hit| named(hit.rule)) {
                seen.texts.insert(hit.value.clone());
                if !hit.out_of_stream {
                    let dir = hit.dir.map(|dir| dir.to_string()).unwrap_or_default();
                    seen.hits.insert((id.clone(), dir, hit.offset, hit.value.clone()));
                }
            }
            seen.classes.insert((id, conn.class));
        }
        let raw = outcome.analysis.inspection.raw_hits.iter().filter(|hit| named(hit.rule));
        seen.texts.extend(raw.map(|hit| hit.value.clone()));
        seen
    }
}

/// The plain captures of the suite.
fn bases() -> Vec<Base> {
    let mut bases: Vec<Base> = manifests().into_iter().filter_map(|path| base(&path)).collect();
    bases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(bases.len() > 50, "only {} captures", bases.len());
    bases
}

fn manifests() -> Vec<PathBuf> {
    let entries = fs::read_dir("captures").unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect()
}

fn base(path: &Path) -> Option<Base> {
    let (plan, strict, capture) = manifest(path)?;
    let file = fs::read(capture).unwrap();
    let is_plain = file.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) && file.get(20..24)? == [1, 0, 0, 0];
    // A file that ends early is a matter of the file, not of its frames.
    if !is_plain || path.ends_with("cut-file.toml") {
        return None;
    }
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    Some(Base { name, plan, strict, wire: Wire::read(&file) })
}

/// The plan of a manifest, whether it is strict, and its capture; none for a file of targets.
fn manifest(path: &Path) -> Option<(Plan, bool, PathBuf)> {
    let text = fs::read_to_string(path).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let capture = Path::new("captures").join(table.get("capture")?.as_str()?);
    let env = Environment::of_home(Path::new("/nowhere"), "jsmith");
    let name = table.get("target_name").and_then(toml::Value::as_str);
    let plan = match table.get("target_file").and_then(toml::Value::as_str) {
        Some(file) => {
            let config = Some(fs::canonicalize(Path::new("captures").join(file)).unwrap());
            load(name.unwrap(), &Overrides { config, ..Overrides::default() }, &env)
        }
        None => parse_target_value(&text, path, name.unwrap_or("target"), &env),
    };
    let strict = table.get("strict").and_then(toml::Value::as_bool).unwrap_or(false);
    Some((plan.unwrap(), strict, capture))
}

impl Base {
    fn judge(&self, files: &[Vec<u8>]) -> Outcome {
        judge(&self.plan, self.strict, files)
    }

    fn verdict(&self, wire: &Wire) -> Verdict {
        self.judge(&[wire.pcap()]).judgement.verdict
    }

    fn seen(&self, files: &[Vec<u8>]) -> Seen {
        Seen::of(&self.judge(files))
    }

    /// The same capture with other frames.
    fn with(&self, frames: Vec<Shot>) -> Wire {
        Wire { frames, ..self.wire.clone() }
    }
}

fn judge(plan: &Plan, strict: bool, files: &[Vec<u8>]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (number, octets) in files.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::write(&path, octets).unwrap();
        paths.push(path);
    }
    // The answer is the same for any number, so that each capture may have its own.
    let threads = 1 + files.iter().map(Vec::len).sum::<usize>() % 4;
    judge_recording_in(vec![plan.clone()], &paths, strict, Threads::Exactly(threads))
        .unwrap()
        .remove(0)
}

/// Random cases of one base: few in CI, PROPTEST_CASES where it is given.
fn cases() -> u64 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// A stream of random numbers, the same for the same base and case unless PROPTEST_RNG_SEED says otherwise.
struct Dice(u64);

impl Dice {
    fn of(name: &str, case: u64) -> Self {
        let seed: u64 =
            std::env::var("PROPTEST_RNG_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(0);
        let mix = |sum: u64, octet: u8| (sum ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        let start = name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, mix);
        Self(start ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `bound`.
    fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound.max(1)
    }
}
