//! `tunnelcheck diagnose TARGET`: why traffic goes past the tunnel, and what to do about it.

use super::args::{Common, FormatArg};
use super::check::overrides;
use super::exit::Exit;
use super::output::{deliver, options, say};
use crate::diagnose::{Check, Diagnosis, Outcome, Question, diagnose as examine};
use crate::machine::fill_addresses;
use crate::report::{self, escape};
use crate::run::tunnel_spec;
use crate::target::{Environment, load};
use crate::tunnel::{NoPrompt, Prompt, TerminalPrompt};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::atomic::Ordering;

/// Version of the JSON form; grows when a field is removed or changes its meaning.
const SCHEMA_VERSION: u32 = 1;

/// Examines, reports, and gives the exit status of the gravest outcome.
pub(super) fn diagnose(name: &str, accept: &[String], common: &Common) -> anyhow::Result<Exit> {
    if !matches!(common.format, FormatArg::Text | FormatArg::Json) {
        anyhow::bail!(
            "`tunnelcheck diagnose` writes text or json: leave --format out, or --format json"
        );
    }
    let mut plan = load(name, &overrides(common), &Environment::from_process())?;
    if !common.quiet {
        for warning in &plan.warnings {
            say(&format!("tunnelcheck: warning: {}", escape::terminal(warning)));
        }
    }
    fill_addresses(&mut plan.target);
    let identifiers: Vec<String> =
        plan.target.identifiers.iter().map(|identifier| identifier.text.clone()).collect();
    let spec = tunnel_spec(&plan, accept);
    let interrupted = super::screen::on_interrupt()?;
    let mut prompt: Box<dyn Prompt> = if std::io::stdin().is_terminal() {
        Box::new(TerminalPrompt::until(interrupted))
    } else {
        Box::new(NoPrompt)
    };
    let question = Question { plan, spec, program: program(common) };
    let diagnosis = examine(question, prompt.as_mut(), interrupted);
    let shown = Shown::of(&diagnosis, &identifiers, common.show_secrets);
    let mut octets = Vec::new();
    if common.format == FormatArg::Json {
        report::write_value(&shown, &mut octets)?;
    } else {
        octets.extend(text(&shown, common).into_bytes());
    }
    deliver(&octets, common)?;
    if interrupted.load(Ordering::Relaxed) {
        return Ok(Exit::Interrupted);
    }
    Ok(match diagnosis.worst() {
        Outcome::Cause => Exit::Fail,
        Outcome::Unknown => Exit::Inconclusive,
        _ => Exit::Pass,
    })
}

/// How this program was called, for commands that are to be pasted.
fn program(common: &Common) -> String {
    let called = std::env::args().next().unwrap_or_default();
    // Found by PATH, it is found there again.
    let mut line = if called.contains('/') { quoted(&called) } else { "tunnelcheck".to_owned() };
    for (option, path) in [("--config", &common.config), ("--ssh-config", &common.ssh_config)] {
        if let Some(path) = path {
            let _ = write!(line, " {option} {}", quoted(&path.display().to_string()));
        }
    }
    line
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What is written, secrets taken out.
#[derive(Debug, Serialize)]
struct Shown {
    schema_version: u32,
    tool: Tool,
    target: String,
    origin: String,
    /// The gravest outcome.
    outcome: String,
    checks: Vec<ShownCheck>,
}

#[derive(Debug, Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct ShownCheck {
    check: &'static str,
    code: &'static str,
    subject: String,
    outcome: String,
    detail: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command_lines: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<ShownRemedy>,
}

#[derive(Debug, Serialize)]
struct ShownRemedy {
    say: String,
    commands: Vec<String>,
}

impl Shown {
    fn of(diagnosis: &Diagnosis, identifiers: &[String], show_secrets: bool) -> Self {
        let clean = |text: &String| {
            if show_secrets { text.clone() } else { report::mask(text, identifiers) }
        };
        let check = |check: &Check| ShownCheck {
            check: check.name,
            code: check.code,
            subject: check.subject.clone(),
            outcome: check.outcome.to_string(),
            detail: check.detail.iter().map(clean).collect(),
            command_lines: if show_secrets { check.command_lines.clone() } else { Vec::new() },
            // Not masked: a command that is to be pasted must be whole.
            remedy: check.remedy.as_ref().map(|remedy| ShownRemedy {
                say: remedy.say.clone(),
                commands: remedy.commands.clone(),
            }),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            tool: Tool { name: "tunnelcheck", version: env!("CARGO_PKG_VERSION") },
            target: diagnosis.target.clone(),
            origin: diagnosis.origin.clone(),
            outcome: diagnosis.worst().to_string(),
            checks: diagnosis.checks.iter().map(check).collect(),
        }
    }
}

/// For a person: the answer, then every check.
fn text(shown: &Shown, common: &Common) -> String {
    let color = options(common).color;
    let mut page = String::new();
    let causes = shown.checks.iter().filter(|it| it.outcome == "cause").count();
    let unknown = shown.checks.iter().filter(|it| it.outcome == "unknown").count();
    let found = match causes {
        0 => None,
        1 => Some("1 cause was found".to_owned()),
        causes => Some(format!("{causes} causes were found")),
    };
    let open = match unknown {
        0 => None,
        1 => Some("1 check could not be determined".to_owned()),
        unknown => Some(format!("{unknown} checks could not be determined")),
    };
    let answer = match (found, open) {
        (None, None) => "nothing wrong was found".to_owned(),
        (None, Some(open)) => format!("no cause was found, but {open}"),
        (Some(found), None) => found,
        (Some(found), Some(open)) => format!("{found}, and {open}"),
    };
    let head = format!("diagnosis of {}: {answer}", escape::prose(&shown.target));
    let _ = writeln!(page, "{}\n", paint(&head, &shown.outcome, color));
    for check in &shown.checks {
        if check.outcome == "not-applicable" && !common.verbose {
            continue;
        }
        let mark = paint(&format!("{:<8}", check.outcome), &check.outcome, color);
        let _ = writeln!(
            page,
            "{mark} {}: {} [{}]",
            check.check,
            escape::prose(&check.subject),
            check.code
        );
        for line in check.detail.iter().chain(&check.command_lines) {
            let _ = writeln!(page, "           {}", escape::prose(line));
        }
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(page, "         remedy: {}", escape::prose(&remedy.say));
            for command in &remedy.commands {
                let _ = writeln!(page, "           $ {}", escape::prose(command));
            }
        }
    }
    page
}

fn paint(text: &str, outcome: &str, color: bool) -> String {
    let code = match outcome {
        "cause" => "1;31",
        "unknown" => "1;33",
        "note" => "33",
        _ => "32",
    };
    if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
