//! What a person sees while the window is open: what happens, what went through each forward, hits as they come.

use super::args::Common;
use super::output::say;
use crate::inspect::News;
use crate::model::{ForwardRecord, Hit, Rule};
use crate::report::escape;
use crate::run::{Observer, Progress};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Hits that are shown as they come; the report has them all.
const MAX_SHOWN_HITS: usize = 20;

/// Set by the first interruption; the second one ends the program at once.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets the first Ctrl-C (or SIGTERM) end the window, and the second one the program.
pub(super) fn on_interrupt() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    Ok(&INTERRUPTED)
}

/// The live screen: a spinner at a terminal, plain lines elsewhere, nothing when quiet.
pub(super) struct Screen {
    quiet: bool,
    /// Nobody makes traffic but the user.
    user_acts: bool,
    spinner: Option<ProgressBar>,
    conns: u64,
    hits: usize,
    shown: BTreeSet<String>,
}

impl Screen {
    pub(super) fn new(common: &Common, user_acts: bool) -> Self {
        let drawn = !common.quiet && std::io::stderr().is_terminal();
        let spinner = drawn.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { quiet: common.quiet, user_acts, spinner, conns: 0, hits: 0, shown: BTreeSet::new() }
    }

    /// Takes the spinner away.
    pub(super) fn close(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        if self.quiet {
            return;
        }
        match &self.spinner {
            Some(spinner) => spinner.println(text),
            None => say(text),
        }
    }

    fn state(&self, text: String) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(text);
        }
    }

    fn hit(&mut self, hit: &Hit) {
        // Names beside encrypted content are in the report; they are no reason to look up.
        if hit.rule == Rule::Metadata {
            return;
        }
        self.hits += 1;
        let what = hit.label.as_deref().or(hit.field.map(|field| field.0)).unwrap_or("-");
        let conn = hit.uid.map_or_else(|| "a raw frame".to_owned(), |uid| uid.to_string());
        let text = format!("{} {what} ({}) in {conn}", hit.rule, hit.encoding);
        if self.shown.len() < MAX_SHOWN_HITS && self.shown.insert(text.clone()) {
            let text = escape::terminal(&text);
            self.line(&format!("  seen: {text}, frame {}", hit.frames.first.number));
        }
    }

    fn tick(&self, elapsed: Duration, frames: u64, bytes: u64, forwards: &[ForwardRecord]) {
        let mut text = format!(
            "watching {}: {frames} frames, {}, {} conns, {} findings",
            HumanDuration(elapsed),
            HumanBytes(bytes),
            self.conns,
            self.hits
        );
        for forward in forwards {
            let (up, down) = (HumanBytes(forward.bytes_in), HumanBytes(forward.bytes_out));
            let _ = write!(text, " | {} {up} in, {down} out", forward.service);
        }
        self.state(text);
    }
}

impl Observer for Screen {
    fn progress(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Capturing(interfaces) => {
                self.line(&format!("capturing on {}", interfaces.join(", ")));
            }
            Progress::Control { phase, seen: false } => {
                self.line(&format!("control {phase}: NOT seen by the capture"));
            }
            Progress::Control { phase, seen: true } => {
                self.line(&format!("control {phase}: seen"));
            }
            Progress::Dialing(target) => {
                self.state(format!("bringing up the tunnel of {target}"));
                // A question to the user must not be drawn over.
                if let Some(spinner) = &self.spinner {
                    spinner.disable_steady_tick();
                }
            }
            Progress::TunnelUp { record, notes } => {
                if let Some(spinner) = &self.spinner {
                    spinner.enable_steady_tick(Duration::from_millis(120));
                }
                self.line(&format!(
                    "tunnel to {} is up: {}, {}",
                    record.remote, record.cipher, record.host_key
                ));
                for note in *notes {
                    self.line(&format!("  note: {}", escape::terminal(note)));
                }
                for forward in &record.forwards {
                    self.line(&format!(
                        "  {} at {} -> {}:{}",
                        forward.service, forward.listen, forward.host, forward.port
                    ));
                }
            }
            Progress::Window { length } => {
                let end = match length {
                    Some(length) => format!("for {}", HumanDuration(*length)),
                    None if self.user_acts => "until you press Ctrl-C".to_owned(),
                    None => "until the command ends".to_owned(),
                };
                let advice = if self.user_acts { ": use the client now" } else { "" };
                self.line(&format!("watching {end}{advice}"));
            }
            Progress::News(News::Opened { .. }) => self.conns += 1,
            Progress::News(News::Found(hit)) => self.hit(hit),
            Progress::News(_) => {}
            Progress::Tick { elapsed, frames, bytes, forwards } => {
                self.tick(*elapsed, *frames, *bytes, forwards);
            }
            Progress::Said(text) => self.line(&escape::terminal(text)),
            Progress::Draining => self.state("waiting for what is on its way".to_owned()),
        }
    }
}
