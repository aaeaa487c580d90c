//! What is run.

use crate::input::Input;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program under test, built with the same profile as this bench.
pub(crate) const OWN: &str = env!("CARGO_BIN_EXE_tunnelcheck");

/// Places in the list of `installed`.
pub(crate) const REFERENCE: usize = 0;
pub(crate) const JUDGE: usize = 1;

/// The profile it was built with: `release`, unless cargo was told otherwise.
pub(crate) fn profile() -> &'static str {
    Path::new(OWN).parent().and_then(Path::file_name).and_then(|it| it.to_str()).unwrap_or("?")
}

type Arguments = Box<dyn Fn(&Input) -> Vec<String>>;

/// A program with what it is asked to do.
pub(crate) struct Program {
    /// In tables.
    pub(crate) name: String,
    /// As it says itself.
    pub(crate) version: String,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Arguments,
    /// The ends that are right.
    pub(crate) statuses: &'static [i32],
    /// A folder that it fills, to be removed after each run.
    pub(crate) leaves: Option<PathBuf>,
}

/// Alternatives that ngrep is given: it gets slower with each.
const ALTERNATIVES: usize = 8;

/// The programs that run over the whole captures, the reference first; and the names of those that are absent.
pub(crate) fn installed(folder: &Path, identifiers: usize) -> (Vec<Program>, Vec<&'static str>) {
    let mut programs = Vec::new();
    let mut absent = Vec::new();
    let tcpdump = "tcpdump -w /dev/null";
    let reference: Arguments = Box::new(|input| words(&["-r", &path(input), "-w", "/dev/null"]));
    assert!(
        add(&mut programs, tcpdump, "tcpdump", &["--version"], reference),
        "tcpdump is not installed: all ratios are to it"
    );
    let judge = format!("tunnelcheck --expect-encrypted, {identifiers} identifiers");
    for (name, threads) in [(judge.as_str(), "1"), ("the same with two threads", "2")] {
        let judgement: Arguments = Box::new(move |input| judgement(input, threads));
        programs.push(Program { statuses: &[0, 1, 3], ..own(name, judgement) });
    }
    let flows: Arguments = Box::new(|input| words(&["flows", &path(input), "--threads", "1"]));
    programs.push(own("tunnelcheck flows", flows));
    add(&mut programs, "cat", "cat", &["--version"], Box::new(|input| vec![path(input)]));
    let streams = folder.join("tcpflow");
    let out = streams.display().to_string();
    let tcpflow: Arguments = Box::new(move |input| words(&["-r", &path(input), "-o", &out]));
    if add(&mut programs, "tcpflow", "tcpflow", &["-V"], tcpflow) {
        programs.last_mut().unwrap().leaves = Some(streams);
    } else {
        absent.push("tcpflow");
    }
    let ngrep: Arguments = Box::new(|input| {
        let names: Vec<String> =
            input.names.iter().take(ALTERNATIVES).map(|name| name.replace('.', "\\.")).collect();
        words(&["-q", "-i", "-I", &path(input), &names.join("|")])
    });
    let alternatives = format!("ngrep, {} alternatives", ALTERNATIVES.min(identifiers));
    if add(&mut programs, &alternatives, "ngrep", &["-V"], ngrep) {
        // 1: nothing matched.
        programs.last_mut().unwrap().statuses = &[0, 1];
    } else {
        absent.push("ngrep");
    }
    (programs, absent)
}

/// Too slow for the whole captures.
pub(crate) fn tshark() -> Option<Program> {
    let arguments: Arguments =
        Box::new(|input| words(&["-n", "-q", "-z", "conv,tcp", "-r", &path(input)]));
    let mut programs = Vec::new();
    add(&mut programs, "tshark -z conv,tcp", "tshark", &["--version"], arguments);
    programs.pop()
}

/// Every conn with its findings.
pub(crate) fn listing(input: &Input) -> Vec<String> {
    let mut arguments = words(&["flows", "--format", "ndjson", "--show-secrets", &path(input)]);
    for name in &input.names {
        arguments.extend(words(&["--identifier", name]));
    }
    arguments
}

fn judgement(input: &Input, threads: &str) -> Vec<String> {
    let config = input.target.display().to_string();
    let judge = ["-q", "--expect-encrypted", "bench", "--config", &config, "--threads", threads];
    words(&judge).into_iter().chain(words(&["-r", &path(input)])).collect()
}

fn own(name: &str, arguments: Arguments) -> Program {
    let path = PathBuf::from(OWN);
    Program {
        name: name.to_owned(),
        version: version(&path, &["--version"]).unwrap_or_default(),
        path,
        arguments,
        statuses: &[0],
        leaves: None,
    }
}

/// Adds a program, if it is installed.
fn add(
    programs: &mut Vec<Program>,
    name: &str,
    program: &str,
    ask: &[&str],
    arguments: Arguments,
) -> bool {
    let path = PathBuf::from(program);
    let Some(version) = version(&path, ask) else { return false };
    let name = name.to_owned();
    programs.push(Program { name, version, path, arguments, statuses: &[0], leaves: None });
    true
}

/// The first line that a program says of itself; none where it is not installed.
fn version(program: &Path, ask: &[&str]) -> Option<String> {
    let said = Command::new(program).args(ask).output().ok()?;
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Some(line.trim().trim_end_matches('.').to_owned())
}

fn path(input: &Input) -> String {
    input.path.display().to_string()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
