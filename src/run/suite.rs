//! A folder of captures with the verdicts that they must have. MISSION section 5.3.

use crate::model::Verdict;
use crate::run::{Outcome, RunError, Threads, judge_recording_in};
use crate::target::{Environment, Overrides, Plan, load, parse_target_value};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A manifest as it stands in its file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    capture: String,
    sha256: String,
    origin: String,
    licence: String,
    shows: String,
    target: Option<toml::Value>,
    target_file: Option<String>,
    target_name: Option<String>,
    verdict: String,
    #[serde(default)]
    because: Vec<String>,
    #[serde(default)]
    strict: bool,
}

/// A capture with the verdict that it must have.
#[derive(Debug)]
pub struct SuiteCase {
    /// Its name: the manifest's file name without its ending.
    pub name: String,
    /// The manifest.
    pub manifest: PathBuf,
    /// What a reader learns from it.
    pub shows: String,
    /// The verdict written down by hand.
    pub expected: Verdict,
    /// Claims and reasons that must be named.
    pub because: Vec<String>,
    capture: PathBuf,
    sha256: String,
    plan: Plan,
    strict: bool,
}

/// What a case gave.
#[derive(Debug)]
pub struct CaseResult {
    /// The judgement and what it rests on.
    pub outcome: Outcome,
    /// Expected reasons that were not named.
    pub missing: Vec<String>,
}

impl CaseResult {
    /// Whether the verdict and the reasons are as expected.
    #[must_use]
    pub fn is_as_expected(&self, case: &SuiteCase) -> bool {
        self.outcome.judgement.verdict == case.expected && self.missing.is_empty()
    }
}

/// Finds the manifests in files and folders, in the order of their names.
///
/// # Errors
/// `RunError::File` where a path cannot be read; `RunError::Manifest` where a folder holds no manifest, a capture has
/// none, or a manifest cannot be used.
pub fn find_cases(paths: &[PathBuf]) -> Result<Vec<SuiteCase>, RunError> {
    let mut manifests = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            let (mut found, mut captures) = (BTreeSet::new(), BTreeSet::new());
            walk(path, &mut found, &mut captures)?;
            if found.is_empty() {
                return Err(manifest_error(path, "the folder holds no manifest (NAME.toml)"));
            }
            let described: BTreeSet<PathBuf> =
                found.iter().filter_map(|manifest| capture_of(manifest).ok()).collect();
            if let Some(lonely) = captures.iter().find(|capture| !described.contains(*capture)) {
                return Err(manifest_error(lonely, "the capture has no manifest beside it"));
            }
            manifests.extend(found);
        } else {
            manifests.insert(path.clone());
        }
    }
    manifests.iter().map(|path| read_case(path)).collect()
}

/// Judges the capture of a case.
///
/// # Errors
/// As `judge_recording_in`; `RunError::Manifest` where the capture is not the one that the manifest was written for.
pub fn run_case(case: &SuiteCase, threads: Threads) -> Result<CaseResult, RunError> {
    let digest = sha256_of(&case.capture)?;
    if digest != case.sha256 {
        return Err(manifest_error(
            &case.manifest,
            format!("sha256 is {:?}, but the capture's is {digest:?}", case.sha256),
        ));
    }
    let files = std::slice::from_ref(&case.capture);
    let mut outcomes = judge_recording_in(vec![case.plan.clone()], files, case.strict, threads)?;
    let Some(outcome) = outcomes.pop() else {
        return Err(manifest_error(&case.manifest, "the capture gave no judgement"));
    };
    let named = outcome.judgement.causes();
    let missing = case.because.iter().filter(|reason| !named.contains(*reason));
    let missing = missing.cloned().collect();
    Ok(CaseResult { outcome, missing })
}

fn walk(
    folder: &Path,
    manifests: &mut BTreeSet<PathBuf>,
    captures: &mut BTreeSet<PathBuf>,
) -> Result<(), RunError> {
    let failed = |source| RunError::File { action: "read", path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if path.is_dir() {
            walk(&path, manifests, captures)?;
        } else if name.contains(".pcap") {
            captures.insert(path);
        } else if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
            && read_manifest(&path)?.is_some()
        {
            manifests.insert(path);
        }
    }
    Ok(())
}

/// The manifest in a file and its text; none where the file is TOML of another kind (a shared target file).
fn read_manifest(path: &Path) -> Result<Option<(Manifest, String)>, RunError> {
    let text = std::fs::read_to_string(path).map_err(|source| RunError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table =
        text.parse().map_err(|error| manifest_error(path, format!("{error}")))?;
    let is_target_file =
        table.get("target").is_some_and(toml::Value::is_table) && !table.contains_key("capture");
    if is_target_file {
        return Ok(None);
    }
    let manifest =
        toml::from_str(&text).map_err(|error| manifest_error(path, format!("{error}")))?;
    Ok(Some((manifest, text)))
}

fn capture_of(manifest: &Path) -> Result<PathBuf, RunError> {
    let (read, _) = read_manifest(manifest)?
        .ok_or_else(|| manifest_error(manifest, "it is a target file, not a manifest"))?;
    Ok(beside(manifest, &read.capture))
}

fn beside(manifest: &Path, name: &str) -> PathBuf {
    manifest.parent().unwrap_or(Path::new(".")).join(name)
}

fn read_case(path: &Path) -> Result<SuiteCase, RunError> {
    let (manifest, text) = read_manifest(path)?
        .ok_or_else(|| manifest_error(path, "it is a target file, not a manifest"))?;
    for (key, value) in
        [("origin", &manifest.origin), ("licence", &manifest.licence), ("shows", &manifest.shows)]
    {
        if value.trim().is_empty() {
            return Err(manifest_error(path, format!("{key} is empty")));
        }
    }
    let expected = match manifest.verdict.as_str() {
        "pass" => Verdict::Pass,
        "fail" => Verdict::Fail,
        "inconclusive" => Verdict::Inconclusive,
        other => {
            return Err(manifest_error(
                path,
                format!("verdict is {other:?}; it may be pass, fail or inconclusive"),
            ));
        }
    };
    let plan = plan_of(path, &text, &manifest)?;
    Ok(SuiteCase {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        manifest: path.to_owned(),
        shows: manifest.shows,
        expected,
        because: manifest.because,
        capture: beside(path, &manifest.capture),
        sha256: manifest.sha256.to_ascii_lowercase(),
        plan,
        strict: manifest.strict,
    })
}

fn plan_of(path: &Path, text: &str, manifest: &Manifest) -> Result<Plan, RunError> {
    let environment = Environment::from_process();
    let folder = path.parent().unwrap_or(Path::new("."));
    let plan = match (&manifest.target, &manifest.target_file) {
        (Some(_), None) => {
            let name = manifest.target_name.as_deref().unwrap_or("target");
            parse_target_value(text, path, name, &environment)
        }
        (None, Some(file)) => {
            let name = manifest
                .target_name
                .as_deref()
                .ok_or_else(|| manifest_error(path, "target_file needs target_name"))?;
            let overrides = Overrides { config: Some(folder.join(file)), ..Overrides::default() };
            load(name, &overrides, &environment)
        }
        _ => {
            return Err(manifest_error(
                path,
                "it needs either target = { ... } or target_file with target_name",
            ));
        }
    };
    plan.map_err(|error| manifest_error(path, error.to_string()))
}

fn sha256_of(path: &Path) -> Result<String, RunError> {
    let failed = |source| RunError::File { action: "read", path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let (mut hash, mut block) = (Sha256::new(), vec![0_u8; 1 << 16]);
    loop {
        let len = file.read(&mut block).map_err(failed)?;
        if len == 0 {
            return Ok(HEXLOWER.encode(&hash.finalize()));
        }
        hash.update(block.get(..len).unwrap_or_default());
    }
}

fn manifest_error(path: &Path, detail: impl Into<String>) -> RunError {
    RunError::Manifest { path: path.to_owned(), detail: detail.into() }
}
