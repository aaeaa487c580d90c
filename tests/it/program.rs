//! Runs the built program.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a run of the program ended.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Ran {
    run_in(Path::new("."), arguments, b"")
}

/// Runs it in a folder, with these octets on its standard input, and without the user's own configuration.
pub(crate) fn run_in<A: AsRef<OsStr>>(folder: &Path, arguments: &[A], input: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tunnelcheck"))
        .args(arguments)
        .current_dir(folder)
        .env("HOME", "/nonexistent")
        .env_remove("XDG_CONFIG_HOME")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "120")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that reads no further closes the pipe: no matter here.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran {
        status: output.status.code().expect("ended by a signal"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
