//! What a program costs: a small process of our own runs it, waits for it, and asks the kernel for what its children used.
//! So each run is measured by itself, and the peak memory is not that of the process that forked.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// The first argument of the small process.
pub(crate) const FLAG: &str = "--measure";

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds of user and system time.
    pub(crate) cpu: f64,
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Most resident memory, MiB.
    pub(crate) peak: f64,
    /// How it ended.
    pub(crate) status: i32,
}

/// All runs of one program over one input.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs(Vec<Cost>);

impl Costs {
    pub(crate) fn push(&mut self, cost: Cost) {
        self.0.push(cost);
    }

    pub(crate) fn cpu(&self) -> f64 {
        median(self.0.iter().map(|cost| cost.cpu))
    }

    pub(crate) fn wall(&self) -> f64 {
        median(self.0.iter().map(|cost| cost.wall))
    }

    /// The most of all rounds.
    pub(crate) fn peak(&self) -> f64 {
        self.0.iter().map(|cost| cost.peak).fold(0.0, f64::max)
    }

    /// Median of the ratios of the cpu time to that of `other` in the same round.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(own, other)| own.cpu / other.cpu.max(1e-6)))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    f64::midpoint(values[upper], values[(values.len() - 1) / 2])
}

/// Runs a program; its output goes to `output`, or nowhere.
pub(crate) fn run(program: &Path, arguments: &[String], output: Option<&Path>) -> Cost {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(FLAG).arg(output.unwrap_or(Path::new("/dev/null"))).arg(program).args(arguments);
    let ran = command.stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let [cpu, wall, peak, status] = numbers[..] else {
        panic!("{} was not measured", program.display())
    };
    #[allow(clippy::cast_possible_truncation, reason = "an exit status is small")]
    Cost { cpu: cpu / 1e6, wall: wall / 1e6, peak: peak / 1024.0, status: status as i32 }
}

/// The small process: prints microseconds of cpu and wall, KiB at the peak, and the status.
pub(crate) fn as_child(arguments: &[String]) -> ExitCode {
    let [output, program, arguments @ ..] = arguments else { return ExitCode::FAILURE };
    let begin = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(File::create(output).unwrap())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let wall = begin.elapsed().as_micros();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let cpu = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    // macOS counts octets, the others KiB.
    let unit = if cfg!(target_os = "macos") { 1024 } else { 1 };
    println!("{cpu} {wall} {} {}", used.max_rss() / unit, status.code().unwrap_or(-1));
    ExitCode::SUCCESS
}
