//! Where and when it was measured.

use std::fs;
use std::process::Command;

/// Vector instructions that a search may use, as the kernel names them.
const FLAGS: [&str; 4] = ["avx2", "avx512bw", "avx512vbmi", "asimd"];

/// Processor, cores, vector instructions, memory, system.
pub(crate) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
    let flags: Vec<&str> =
        FLAGS.into_iter().filter(|flag| flags.split(' ').any(|it| it == *flag)).collect();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    format!(
        "{} ({}), {} cores, {} GiB, {}",
        field("model name").unwrap_or_else(|| said("uname", &["-p"])),
        flags.join(", "),
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        memory.map_or_else(|| "?".to_owned(), |kib| (kib >> 20).to_string()),
        said("uname", &["-srm"]),
    )
}

/// The day, and the commit.
pub(crate) fn when() -> String {
    // What a bench wrote before changes nothing of what is measured.
    let changes = ["diff", "--quiet", "HEAD", "--", ".", ":(exclude)docs/performance.md"];
    let is_same = Command::new("git").args(changes).status().is_ok_and(|it| it.success());
    let commit = said("git", &["describe", "--always"]);
    let commit = match commit.as_str() {
        "" | "?" => "not known".to_owned(),
        commit if is_same => commit.to_owned(),
        commit => format!("{commit}-dirty"),
    };
    format!("{}, commit {commit}", said("date", &["-u", "+%Y-%m-%d"]))
}

pub(crate) fn compiler() -> String {
    said("rustc", &["--version"])
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output
        .map_or_else(|_| "?".to_owned(), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}
