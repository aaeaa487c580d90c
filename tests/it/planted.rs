//! Identifiers planted in generated mail: all are found, none is invented. The captures of `make bench`, small.

use crate::program::run;
use crate::traffic::{self, Kind, Made, Scale};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

/// 640 sessions: each of ten ways to write and cut an identifier in each of four protocols.
const MAIL: Scale = Scale(21_334);

fn make(kind: Kind, scale: Scale, path: &Path) -> Made {
    traffic::write(kind, scale, 1, BufWriter::new(File::create(path).unwrap())).unwrap()
}

#[test]
fn every_planted_identifier_is_found_and_none_is_invented() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, config) = (folder.path().join("mail.pcap"), folder.path().join("bench.toml"));
    let made = make(Kind::Mail, MAIL, &capture);
    let ways: BTreeSet<_> = made.planted.iter().map(|it| (&it.how, it.resp.port())).collect();
    assert_eq!((made.planted.len(), ways.len()), (40, 40), "{ways:?}");
    let names = traffic::identifiers();
    fs::write(&config, traffic::target(&names)).unwrap();
    let capture = capture.display().to_string();

    let mut arguments = vec!["flows", "--format", "ndjson", "--show-secrets", &capture];
    arguments.extend(names.iter().flat_map(|name| ["--identifier", name]));
    let ran = run(&arguments);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let found = traffic::found::compare(&made.planted, &ran.out);
    assert!(found.missed.is_empty() && found.invented.is_empty(), "{found:#?}");
    assert_eq!(found.found, made.planted.len());

    let config = config.display().to_string();
    let ran = run(&["-q", "--expect-encrypted", "bench", "--config", &config, "-r", &capture]);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("no-identifier"), "{}", ran.out);
}

/// What `.ci/run` counts, and what figures are compared over, must not change unseen.
#[test]
fn the_same_seed_gives_the_same_octets() {
    let digests: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| {
            let mut octets = Vec::new();
            let made = traffic::write(*kind, Scale(2000), 1, &mut octets).unwrap();
            assert_eq!(made.octets, octets.len() as u64);
            let digest = Sha256::digest(&octets);
            let digest = u32::from_be_bytes(digest[..4].try_into().unwrap());
            format!("{}: {} frames, {} octets, {digest:08x}", kind.name(), made.frames, made.octets)
        })
        .collect();
    assert_eq!(
        digests,
        [
            "bulk: 4151 frames, 4065002 octets, 99a26a7e",
            "mail: 5793 frames, 2631375 octets, 74e9925e",
            "small: 6730 frames, 600676 octets, 9871944a",
            "hostile: 7751 frames, 2368370 octets, 95669973",
        ]
    );
}
