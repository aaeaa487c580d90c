//! The whole program against others that read captures: `make bench`.
//!
//! Makes the four captures of `traffic`, runs every program over each in interleaved rounds, checks that all planted
//! identifiers are found and none is invented, and writes the tables into docs/performance.md between the marks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a bench ends at the first thing that is not as it should be, and speaks to a terminal"
)]

mod input;
mod machine;
mod measure;
mod programs;
mod table;

#[path = "../traffic/mod.rs"]
mod traffic;

use input::Input;
use measure::{Cost, Costs};
use programs::Program;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use traffic::Scale;

/// Parts of the full length over which linearity is shown, and over which slow programs run.
const PARTS: [u64; 2] = [16, 4];

/// What is asked for.
struct Settings {
    scale: Scale,
    rounds: usize,
    seed: u64,
    /// A folder with captures made by another generator.
    input: Option<PathBuf>,
    document: PathBuf,
}

/// All that was measured.
struct Results {
    settings: Settings,
    programs: Vec<Program>,
    /// By kind, then by program.
    whole: Vec<Vec<Costs>>,
    /// By kind, then by part: the judgement.
    parts: Vec<Vec<Costs>>,
    /// By kind: tshark and tcpdump over the shortest part.
    slow: Option<Vec<[Costs; 2]>>,
    /// By kind, from the shortest part to the whole.
    inputs: Vec<Vec<Input>>,
    planted: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == measure::FLAG) {
        return measure::as_child(&arguments[1..]);
    }
    // `cargo test --all-targets` runs every bench once.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("peers: skipped: it takes minutes; run `make bench`");
        return ExitCode::SUCCESS;
    }
    let results = match run(settings(&arguments)) {
        Ok(results) => results,
        Err(wrong) => {
            eprintln!("peers: {wrong}");
            return ExitCode::FAILURE;
        }
    };
    let text = table::render(&results);
    println!("\n{text}");
    table::write(&results.settings.document, &text);
    println!("written to {}", results.settings.document.display());
    if let Some(why) = table::doubt(&results.settings) {
        eprintln!("peers: NO RESULT: {why}");
        eprintln!("peers: the tables that were there before are in git");
    }
    ExitCode::SUCCESS
}

fn settings(arguments: &[String]) -> Settings {
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).filter(|value| !value.is_empty())
    };
    let number = |name: &str, default: u64| {
        value(name).map_or(default, |text| text.parse().expect("a number"))
    };
    Settings {
        scale: input::scale(value("--scale").map_or("0.1", String::as_str)),
        rounds: usize::try_from(number("--rounds", 5)).unwrap(),
        seed: number("--seed", 1),
        input: value("--input").map(PathBuf::from),
        document: value("--document").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md"),
            PathBuf::from,
        ),
    }
}

fn run(settings: Settings) -> Result<Results, String> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let inputs = input::all(&settings, folder.path())?;
    let planted = check(&inputs)?;
    let identifiers = inputs[0][0].names.len();
    let (programs, absent) = programs::installed(folder.path(), identifiers);
    for name in absent {
        eprintln!("peers: NOT MEASURED: {name} is not installed");
    }
    let mut whole = vec![vec![Costs::default(); programs.len()]; inputs.len()];
    let mut parts = vec![vec![Costs::default(); PARTS.len()]; inputs.len()];
    let tshark = programs::tshark();
    if tshark.is_none() {
        eprintln!("peers: NOT MEASURED: tshark is not installed");
    }
    let mut slow = tshark.as_ref().map(|_| vec![<[Costs; 2]>::default(); inputs.len()]);
    for round in 0..settings.rounds {
        for (kind, lengths) in inputs.iter().enumerate() {
            let full = lengths.last().unwrap();
            eprint!("\rround {} of {}: {:8}", round + 1, settings.rounds, full.kind.name());
            for (program, costs) in programs.iter().zip(&mut whole[kind]) {
                costs.push(cost(program, full)?);
            }
            for (part, costs) in lengths.iter().zip(&mut parts[kind]) {
                costs.push(cost(&programs[programs::JUDGE], part)?);
            }
            if let (Some(tshark), Some(slow)) = (&tshark, &mut slow) {
                let shortest = &lengths[0];
                slow[kind][0].push(cost(tshark, shortest)?);
                slow[kind][1].push(cost(&programs[programs::REFERENCE], shortest)?);
            }
        }
    }
    eprintln!();
    let mut programs = programs;
    programs.extend(tshark);
    Ok(Results { settings, programs, whole, parts, slow, inputs, planted })
}

fn cost(program: &Program, input: &Input) -> Result<Cost, String> {
    let arguments = (program.arguments)(input);
    let cost = measure::run(&program.path, &arguments, None);
    if let Some(folder) = &program.leaves {
        // Some leave a file for every conn.
        std::fs::remove_dir_all(folder).ok();
    }
    if program.statuses.contains(&cost.status) {
        Ok(cost)
    } else {
        Err(format!("{} ended with {} over {}", program.name, cost.status, input.path.display()))
    }
}

/// Whether every planted identifier is found in the mail, and none is invented there or elsewhere; how many were planted.
fn check(inputs: &[Vec<Input>]) -> Result<usize, String> {
    let mut planted = 0;
    for input in inputs.iter().filter_map(|lengths| lengths.last()) {
        let listing = input.path.with_extension("ndjson");
        let arguments = programs::listing(input);
        let cost = measure::run(Path::new(programs::OWN), &arguments, Some(&listing));
        assert_eq!(cost.status, 0, "flows ended with {}", cost.status);
        let found =
            traffic::found::compare(&input.planted, &std::fs::read_to_string(&listing).unwrap());
        std::fs::remove_file(&listing).unwrap();
        println!(
            "{}: {} identifiers planted, {} found, {} invented",
            input.kind.name(),
            input.planted.len(),
            found.found,
            found.invented.len()
        );
        if !found.missed.is_empty() || !found.invented.is_empty() {
            return Err(format!("{}: {found:#?}", input.kind.name()));
        }
        planted += found.found;
    }
    Ok(planted)
}
