//! The captures: made here, or by another generator.

use crate::traffic::{self, Kind, Planted, Scale};
use crate::{PARTS, Settings};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// One capture.
pub(crate) struct Input {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    pub(crate) frames: u64,
    pub(crate) octets: u64,
    pub(crate) planted: Vec<Planted>,
    /// The identifiers to look for.
    pub(crate) names: Vec<String>,
    /// A target file with them.
    pub(crate) target: PathBuf,
}

/// `0.1`, in millionths.
pub(crate) fn scale(text: &str) -> Scale {
    let scale: f64 = text.parse().expect("the scale is a number such as 0.1");
    assert!((1e-5..=100.0).contains(&scale), "the scale is between 0.00001 and 100");
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the bounds above"
    )]
    Scale((scale * 1e6).round() as u64)
}

/// The captures of a kind: parts of the length, and the whole.
pub(crate) fn lengths(kind: Kind, settings: &Settings, folder: &Path) -> Vec<Input> {
    let mut lengths: Vec<Input> = PARTS
        .iter()
        .map(|part| make(kind, Scale(settings.scale.0 / part), settings.seed, folder))
        .collect();
    lengths.push(match &settings.input {
        Some(given) => read(kind, given, folder),
        None => make(kind, settings.scale, settings.seed, folder),
    });
    lengths
}

fn make(kind: Kind, scale: Scale, seed: u64, folder: &Path) -> Input {
    let path = folder.join(format!("{}-{}.pcap", kind.name(), scale.0));
    let out = BufWriter::with_capacity(1 << 20, File::create(&path).unwrap());
    let made = traffic::write(kind, scale, seed, out).unwrap();
    let names = traffic::identifiers();
    Input {
        kind,
        target: target(&path, &names),
        path,
        frames: made.frames,
        octets: made.octets,
        planted: made.planted,
        names,
    }
}

fn target(path: &Path, names: &[String]) -> PathBuf {
    let target = path.with_extension("toml");
    fs::write(&target, traffic::target(names)).unwrap();
    target
}

/// A capture `KIND.pcap` of a folder; `mail.truth.tsv` beside it says what is planted.
fn read(kind: Kind, given: &Path, folder: &Path) -> Input {
    let path = given.join(kind.name()).with_extension("pcap");
    let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let truth = fs::read_to_string(given.join("mail.truth.tsv")).unwrap_or_default();
    let all: Vec<Planted> = truth.lines().skip(1).filter_map(planted).collect();
    let names: BTreeSet<String> = all.iter().map(|it| it.text.clone()).collect();
    let names: Vec<String> = names.into_iter().collect();
    Input {
        kind,
        target: target(&folder.join(kind.name()), &names),
        frames: count(&file),
        octets: file.len() as u64,
        path,
        planted: if kind == Kind::Mail { all } else { Vec::new() },
        names,
    }
}

/// `kind  identifier  a.b.c.d:p>a.b.c.d:p  c>s  offset  length`, separated by tabs.
fn planted(line: &str) -> Option<Planted> {
    let mut columns = line.split('\t');
    let (how, text) = (columns.next()?.to_owned(), columns.next()?.to_owned());
    let (orig, resp) = columns.next()?.split_once('>')?;
    Some(Planted {
        how,
        text,
        orig: orig.parse().ok()?,
        resp: resp.parse().ok()?,
        by_orig: columns.next()? == "c>s",
        offset: columns.next()?.parse().ok()?,
        len: columns.next()?.parse().ok()?,
    })
}

/// Records of a classic file in little endian.
fn count(file: &[u8]) -> u64 {
    let (mut at, mut frames) = (24, 0);
    while let Some(len) = file.get(at + 8..at + 12) {
        at += 16 + u32::from_le_bytes(len.try_into().unwrap()) as usize;
        frames += 1;
    }
    frames
}
