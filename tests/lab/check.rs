//! The program under test, and what it answered.

use crate::world::{Host, Server, World, signal, text, wait_until};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a run may take, beside its window.
const PATIENCE: Duration = Duration::from_secs(45);

pub(crate) const PASS: i32 = 0;
pub(crate) const FAIL: i32 = 1;
pub(crate) const COULD_NOT_RUN: i32 = 2;
pub(crate) const INCONCLUSIVE: i32 = 3;
pub(crate) const INTERRUPTED: i32 = 130;

/// A run under way.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// A run that has ended.
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) stderr: String,
    stdout: String,
}

/// Starts the program on the client with `--format json`.
pub(crate) fn start(world: &World, config: &Path, arguments: &[&str]) -> Running {
    let mut command = world.on(Host::Client, world.program());
    command.args(["--format", "json", "--config"]).arg(config).args(arguments);
    spawn(world, command)
}

/// Starts a command whose output is to be judged.
pub(crate) fn spawn(world: &World, mut command: Command) -> Running {
    let (out, err) = (world.at("stdout"), world.at("stderr"));
    command.stdin(Stdio::null());
    command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
    Running { child: command.spawn().unwrap(), out, err }
}

/// Runs the program on the client with `--format json` to its end.
pub(crate) fn run(world: &World, config: &Path, arguments: &[&str]) -> Answer {
    start(world, config, arguments).end()
}

/// Runs it for the target `dasher`, with a shell line as the traffic; `$T` is the program.
pub(crate) fn run_with(world: &World, config: &Path, options: &[&str], line: &str) -> Answer {
    let line = format!("T='{}'; {line}", world.program().display());
    let mut arguments = vec!["--expect-encrypted", "dasher"];
    arguments.extend(options);
    arguments.extend(["--", "bash", "-c", &line]);
    run(world, config, &arguments)
}

impl Running {
    /// Waits until the window is open.
    pub(crate) fn await_window(&mut self) {
        self.await_line("watching for");
    }

    /// Waits until it has said this on standard error.
    pub(crate) fn await_line(&mut self, line: &str) {
        let err = self.err.clone();
        let said = || fs::read_to_string(&err).unwrap_or_default();
        wait_until(|| said().contains(line), || format!("never said {line:?}, but:\n{}", said()));
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        signal(&format!("-s INT {}", self.child.id()));
    }

    /// As `kill -9` does, to it and to the traffic that it made.
    pub(crate) fn kill(self) {
        drop(Server::of(self.child));
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                drop(Server::of(self.child));
                panic!(
                    "no end after {PATIENCE:?}; it said:\n{}",
                    fs::read_to_string(&self.err).unwrap()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let answer = Answer {
            status: status.code().unwrap_or(-1),
            stderr: text(&fs::read(&self.err).unwrap()),
            stdout: text(&fs::read(&self.out).unwrap()),
        };
        assert_ne!(answer.status, -1, "ended by a signal: {}", answer.stderr);
        answer
    }
}

impl Answer {
    /// The report.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no report ({error}): {}", self.stderr))
    }

    /// Wants this exit status, with the verdict that belongs to it.
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}", self.told());
        let word = match status {
            PASS => "pass",
            FAIL => "fail",
            INCONCLUSIVE => "inconclusive",
            _ => return self,
        };
        assert_eq!(self.json()["verdict"], word, "{}", self.told());
        self
    }

    /// Wants the first target's claim to have this outcome, for this reason (any, where it is empty).
    pub(crate) fn claim(self, claim: &str, outcome: &str, code: &str) -> Self {
        let json = self.json();
        let row =
            list(&json["targets"][0]["claims"]).iter().find(|row| row["claim"] == claim).unwrap();
        assert_eq!(row["outcome"], outcome, "claim {claim}: {}", self.told());
        let named =
            code.is_empty() || list(&row["reasons"]).iter().any(|reason| reason["code"] == code);
        assert!(named, "claim {claim} does not name {code}: {}", self.told());
        self
    }

    /// Wants the coverage of the first target to name this reason.
    pub(crate) fn spoiled_by(self, code: &str) -> Self {
        let json = self.json();
        let named = list(&json["targets"][0]["spoils"]).iter().any(|reason| reason["code"] == code);
        assert!(named, "the coverage does not name {code}: {}", self.told());
        self
    }

    /// Wants the report to hold this text somewhere.
    pub(crate) fn tells(self, what: &str) -> Self {
        assert!(self.stdout.contains(what), "the report does not tell {what:?}: {}", self.told());
        self
    }

    /// Wants standard error to hold this text.
    pub(crate) fn says(self, what: &str) -> Self {
        assert!(
            self.stderr.contains(what),
            "standard error does not say {what:?}: {}",
            self.told()
        );
        self
    }

    /// What a person needs to see why a test failed.
    pub(crate) fn told(&self) -> String {
        let Ok(json) = serde_json::from_str::<Value>(&self.stdout) else {
            return format!("status {}, no report\n{}{}", self.status, self.stdout, self.stderr);
        };
        let mut lines = vec![format!("status {}, {}", self.status, json["verdict"])];
        for target in list(&json["targets"]) {
            lines.push(format!("target {}: {}", target["name"], target["why"]));
            for row in list(&target["claims"]) {
                lines.push(format!("  {} {} {}", row["claim"], row["outcome"], row["reasons"]));
            }
            lines.push(format!("  spoils {}", target["spoils"]));
            lines.push(format!("  notes {}", target["notes"]));
            for conn in list(&target["conns"]) {
                let end = |end: &Value| format!("{}:{}", end["ip"], end["port"]);
                let (orig, resp) = (end(&conn["orig"]), end(&conn["resp"]));
                let what = format!("{} {}", conn["dialect"], conn["class"]);
                lines.push(format!(
                    "  {} {} {} {orig} -> {resp} {what}",
                    conn["role"], conn["uid"], conn["proto"]
                ));
            }
        }
        lines.push(format!("coverage {}", json["coverage"]));
        lines.push(format!("command {}", json["command"]));
        lines.push(self.stderr.clone());
        lines.join("\n")
    }
}

/// The elements of a list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
