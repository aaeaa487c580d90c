//! The captures: made here, or by another generator.

use crate::traffic::{self, Kind, Planted, Scale};
use crate::{PARTS, Settings};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// What is planted in `mail.pcap`, beside it.
const TRUTH: &str = "mail.truth.tsv";
/// Its columns: how it is written, the text, `ADDRESS:PORT>ADDRESS:PORT`, `c>s` or `s>c`, where in the stream, how many octets.
const COLUMNS: [&str; 6] = ["kind", "identifier", "flow", "dir", "stream_offset", "length"];

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

/// The captures of every kind: of each parts of the length, and the whole.
pub(crate) fn all(settings: &Settings, folder: &Path) -> Result<Vec<Vec<Input>>, String> {
    let Some(given) = &settings.input else {
        let make = |kind, part| make(kind, Scale(settings.scale.0 / part), settings.seed, folder);
        let lengths = |kind| PARTS.into_iter().chain([1]).map(|part| make(kind, part)).collect();
        return Ok(Kind::ALL.into_iter().map(lengths).collect());
    };
    let truth = truth(&given.join(TRUTH))?;
    Kind::ALL.into_iter().map(|kind| read(kind, given, &truth, folder)).collect()
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

/// The first frames of a capture `KIND.pcap` of a folder, in parts of their number, and all of them.
fn read(kind: Kind, given: &Path, truth: &[Planted], folder: &Path) -> Result<Vec<Input>, String> {
    let path = given.join(kind.name()).with_extension("pcap");
    let file =
        fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let ends = ends(&file).map_err(|why| format!("{}: {why}", path.display()))?;
    let names: BTreeSet<String> = truth.iter().map(|it| it.text.clone()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let input = |path: PathBuf, frames: usize, octets: usize, planted: Vec<Planted>| Input {
        kind,
        target: target(&folder.join(path.file_name().unwrap()), &names),
        path,
        frames: frames as u64,
        octets: octets as u64,
        planted,
        names: names.clone(),
    };
    let mut lengths = Vec::new();
    for part in PARTS {
        let frames = ends.len() / usize::try_from(part).unwrap();
        let Some(last) = frames.checked_sub(1) else {
            return Err(format!("{}: fewer than {part} frames", path.display()));
        };
        let octets = ends[last];
        let cut = folder.join(format!("{}-{part}.pcap", kind.name()));
        fs::write(&cut, &file[..octets]).unwrap();
        lengths.push(input(cut, frames, octets, Vec::new()));
    }
    let planted = if kind == Kind::Mail { truth.to_vec() } else { Vec::new() };
    lengths.push(input(path, ends.len(), file.len(), planted));
    Ok(lengths)
}

/// What is planted in the mail that is given. Without it there would be nothing to look for.
fn truth(path: &Path) -> Result<Vec<Planted>, String> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!(
            "cannot read {}: {error}\n  it says which identifiers are to be looked for, and where they are in mail.pcap; a line for \
             each, with tabs between: {}\n  write it, or leave INPUT out: then the captures are made here",
            path.display(),
            COLUMNS.join(" ")
        )
    })?;
    let mut all = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let columns: Vec<&str> = line.split('\t').collect();
        // A header begins with the names of the first columns; what the others are called differs.
        if number == 1 && columns.starts_with(&COLUMNS[..2]) {
            continue;
        }
        let planted = planted(&columns)
            .map_err(|why| format!("{}:{number}: {why}: {line:?}", path.display()))?;
        all.push(planted);
    }
    if all.is_empty() {
        return Err(format!(
            "{}: no identifier is in it, so nothing can be looked for",
            path.display()
        ));
    }
    Ok(all)
}

/// `plain  identifier  a.b.c.d:p>a.b.c.d:p  c>s  7  12`
fn planted(columns: &[&str]) -> Result<Planted, String> {
    let [how, text, conn, dir, offset, len] = columns else {
        return Err(format!("{} columns in place of {}", columns.len(), COLUMNS.len()));
    };
    let end = |text: &str| text.parse().map_err(|_| format!("{text:?} is no address with a port"));
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number of octets"));
    let Some((orig, resp)) = conn.split_once('>') else {
        return Err(format!("{conn:?} is no conn such as 10.0.0.1:1024>10.0.0.2:25"));
    };
    if text.is_empty() {
        return Err("the identifier is empty".to_owned());
    }
    Ok(Planted {
        how: (*how).to_owned(),
        text: (*text).to_owned(),
        orig: end(orig)?,
        resp: end(resp)?,
        by_orig: match *dir {
            "c>s" => true,
            "s>c" => false,
            _ => return Err(format!("{dir:?} is neither c>s nor s>c")),
        },
        offset: number(offset)?,
        len: number(len)?,
    })
}

/// Where each record of a classic file in little endian ends.
fn ends(file: &[u8]) -> Result<Vec<usize>, String> {
    let magic = file.first_chunk().map(|magic| u32::from_le_bytes(*magic));
    if !matches!(magic, Some(0xa1b2_c3d4 | 0xa1b2_3c4d)) {
        return Err(
            "it is no classic pcap in little endian, so its frames cannot be counted".to_owned()
        );
    }
    let (mut at, mut ends) = (24, Vec::new());
    while let Some(len) = file.get(at + 8..at + 12) {
        at += 16 + u32::from_le_bytes(len.try_into().unwrap()) as usize;
        ends.push(at);
    }
    if at == file.len() { Ok(ends) } else { Err("its last record is cut".to_owned()) }
}
