//! Programs of the system, run with a bound on time and output.

use super::error::MachineError;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// Octets of output that are read; the rest is thrown away.
const MAX_OUTPUT: u64 = 4 << 20;
/// Between two looks at whether it has ended.
const TICK: Duration = Duration::from_millis(2);
/// Octets of an error message that are passed on.
const MAX_SAID: usize = 300;

/// What a program wrote on standard output, and whether it ended well.
pub(super) struct Ran {
    pub(super) stdout: String,
    pub(super) is_ok: bool,
}

/// Runs a program in the plain locale and waits for it. A failure with output on standard error is an error.
pub(super) fn run(
    program: &str,
    arguments: &[&str],
    patience: Duration,
) -> Result<Ran, MachineError> {
    let failed = |source| MachineError::Run { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take().map(drain), child.stderr.take().map(drain));
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() >= deadline {
            // It may hang in the kernel; then nobody waits for it.
            let _ = child.kill();
            let _ = child.try_wait();
            return Err(MachineError::Timeout { program: program.to_owned(), waited: patience });
        }
        sleep(TICK);
    };
    let text = |pipe: Option<JoinHandle<Vec<u8>>>| {
        let octets = pipe.and_then(|thread| thread.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    };
    let (stdout, said) = (text(stdout), text(stderr));
    let said: String = said.lines().next().unwrap_or_default().chars().take(MAX_SAID).collect();
    if !status.success() && !said.is_empty() {
        return Err(MachineError::Failed { program: program.to_owned(), said });
    }
    Ok(Ran { stdout, is_ok: status.success() })
}

fn drain(pipe: impl std::io::Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    spawn(move || {
        let mut octets = Vec::new();
        let mut pipe = pipe;
        // What it wrote until the pipe broke is all there is.
        let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut octets);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        octets
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_failure_are_told_apart() {
        let ran = run("sh", &["-c", "echo a; exit 3"], Duration::from_secs(5)).unwrap();
        assert_eq!((ran.stdout.as_str(), ran.is_ok), ("a\n", false));
        let error = run("sh", &["-c", "echo no >&2; exit 1"], Duration::from_secs(5)).err();
        assert_eq!(error.unwrap().to_string(), "sh failed: no");
    }

    #[test]
    fn a_program_that_hangs_is_left() {
        let start = Instant::now();
        let error = run("sleep", &["20"], Duration::from_millis(60)).err().unwrap();
        assert!(matches!(error, MachineError::Timeout { .. }));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run("no-such-program-at-all", &[], TICK).err().unwrap();
        assert_eq!(error.remedy().as_deref(), Some("install no-such-program-at-all"));
    }
}
