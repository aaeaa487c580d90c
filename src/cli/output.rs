//! Where octets leave the program.

use super::args::{ColorArg, Common, FormatArg};
use crate::report::{Format, Options, escape};
use crate::run::Threads;
use anyhow::Context as _;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::num::NonZeroUsize;

/// Writes a finished report to where the user wants it.
pub(super) fn deliver(report: &[u8], common: &Common) -> anyhow::Result<()> {
    if let Some(path) = &common.output {
        return std::fs::write(path, report)
            .with_context(|| format!("cannot write the report to {}", path.display()));
    }
    match std::io::stdout().write_all(report).and_then(|()| std::io::stdout().flush()) {
        // A reader that has seen enough changes no exit status.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the report to standard output")
        }
        _ => Ok(()),
    }
}

/// Where a report goes that is written as it is made.
pub(super) fn sink(common: &Common) -> anyhow::Result<Box<dyn std::io::Write>> {
    let Some(path) = &common.output else { return Ok(Box::new(std::io::stdout())) };
    let file = std::fs::File::create(path)
        .with_context(|| format!("cannot write the report to {}", path.display()))?;
    Ok(Box::new(file))
}

/// One line for the person at the terminal, on standard error.
pub(super) fn say(line: &str) {
    // Nobody is there to hear it: no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// An error with its causes, and what can be done about it.
pub(super) fn complain(error: &anyhow::Error, remedy: Option<&str>) {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // A transparent variant repeats its cause.
        if !text.ends_with(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    for (index, line) in text.lines().enumerate() {
        let head = if index == 0 { "tunnelcheck: error: " } else { "  " };
        say(&format!("{head}{}", escape::terminal(line)));
    }
    for (index, line) in remedy.unwrap_or_default().lines().enumerate() {
        let head = if index == 0 { "  remedy: " } else { "          " };
        say(&format!("{head}{}", escape::terminal(line)));
    }
}

/// Refuses a form that a command does not have.
pub(super) fn text_alone(command: &str, common: &Common) -> anyhow::Result<()> {
    if common.format != FormatArg::Text {
        anyhow::bail!("`tunnelcheck {command}` writes text alone: leave --format out");
    }
    Ok(())
}

/// The report's form.
pub(super) fn format(common: &Common) -> Format {
    match common.format {
        FormatArg::Text => Format::Text,
        FormatArg::Json => Format::Json,
        FormatArg::Ndjson => Format::Ndjson,
        FormatArg::Junit => Format::Junit,
    }
}

/// What the report shows, and how.
pub(super) fn options(common: &Common) -> Options {
    let to_terminal = common.output.is_none() && std::io::stdout().is_terminal();
    let color = match common.color {
        ColorArg::Always => true,
        ColorArg::Never => false,
        ColorArg::Auto => to_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    };
    let width = if to_terminal { terminal_width() } else { None };
    Options {
        show_secrets: common.show_secrets,
        color,
        width: width.unwrap_or(Options::WIDTH),
        verbose: common.verbose,
    }
}

/// Columns of the terminal, as the shell exports them or as the terminal library finds them.
fn terminal_width() -> Option<u16> {
    let columns = comfy_table::Table::new().width();
    columns.filter(|columns| *columns >= MIN_WIDTH)
}

/// Below this many columns a table cannot be read: the report then takes its default.
const MIN_WIDTH: u16 = 40;

/// One line on standard output, at once.
#[cfg(feature = "lab")]
pub(super) fn deliver_line(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Threads that read a recording.
pub(super) fn threads(common: &Common) -> Threads {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let asked = common.threads.map(|threads| Threads::Exactly(threads.get()));
    asked.unwrap_or_else(|| Threads::AtMost(cores()))
}
