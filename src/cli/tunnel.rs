//! `tunnelcheck tunnel`: the tunnel of a target, brought up and kept up; its state; a unit that starts it.

use super::args::{Common, FormatArg, parse_duration, parse_fingerprint};
use super::check::overrides;
use super::exit::Exit;
use super::output::{deliver, say, text_alone};
use super::unit::{self, UnitKind};
use crate::hosts::loopback_command;
use crate::model::ForwardRecord;
use crate::report::escape;
use crate::run::{Keep, KeepNews, KeepState, KeepStatus, Keeper, Stop, keep, running};
use crate::target::{Environment, Overrides, Plan, load};
use crate::tunnel::TerminalPrompt;
use clap::Args as ClapArgs;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bring the tunnel up and keep it up.
///
/// It stays in the foreground until Ctrl-C or SIGTERM. While the tunnel is down its mouths stay open and refuse.
///
/// Exit status: 0 ended when told to, 2 could not run: a mouth, the host key, a refused authentication.
/// With --status: 0 up, 3 there but not up, 2 none running.
#[derive(Debug, ClapArgs)]
pub(super) struct TunnelArgs {
    /// The target whose tunnel it is.
    #[arg(value_name = "TARGET")]
    name: String,

    /// Say how the tunnel stands that another process keeps up. Exit status: 0 up, 3 there and not up, 2 none.
    #[arg(long, conflicts_with = "print_unit")]
    status: bool,

    /// Print what starts it as a service: a unit of systemd, a property list of launchd.
    #[arg(long, value_enum, value_name = "KIND")]
    print_unit: Option<UnitKind>,

    /// End after this time: 60s, 5m, 1h. Default: when told to.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    window: Option<Duration>,

    /// Accept this host key, though it is not in known_hosts, and keep it there. May be repeated.
    #[arg(long = "accept-host-key", value_name = "SHA256:...", value_parser = parse_fingerprint)]
    accept_host_keys: Vec<String>,

    /// Let other hosts use the mouths of the forwards too (ssh -g).
    #[arg(short, long = "gateway-ports")]
    gateway_ports: bool,

    /// Private key to sign on with, instead of the target's.
    #[arg(long = "identity", value_name = "FILE")]
    identity_file: Option<PathBuf>,
}

/// Set by the first signal, by the second.
static ASKED: AtomicBool = AtomicBool::new(false);
static AT_ONCE: AtomicBool = AtomicBool::new(false);

pub(super) fn tunnel(args: &TunnelArgs, common: &Common) -> anyhow::Result<Exit> {
    if args.status {
        return status(&args.name, common);
    }
    text_alone("tunnel", common)?;
    let overrides = Overrides {
        gateway_ports: args.gateway_ports.then_some(true),
        identity_file: args.identity_file.clone(),
        ..overrides(common)
    };
    let plan = load(&args.name, &overrides, &Environment::from_process())?;
    if let Some(kind) = args.print_unit {
        let words = unit::Words::gather(&plan, common, |words| {
            if args.gateway_ports {
                words.push("--gateway-ports".to_owned());
            }
            for key in &args.accept_host_keys {
                words.extend(["--accept-host-key".to_owned(), key.clone()]);
            }
            if let Some(file) = &args.identity_file {
                words.extend(["--identity".to_owned(), unit::absolute(file)?]);
            }
            Ok(())
        })?;
        deliver(unit::print(kind, &words).as_bytes(), common)?;
        return Ok(Exit::Pass);
    }
    remark(&plan, common);
    // The third signal ends the program, whatever it is about.
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) && AT_ONCE.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    let options = Keep { accept_host_keys: args.accept_host_keys.clone(), window: args.window };
    let mut screen = Screen::new(common);
    let mut prompt = TerminalPrompt::until(&ASKED);
    let stop = Stop { asked: &ASKED, at_once: &AT_ONCE };
    let kept = keep(&plan, &options, &mut prompt, &mut screen, stop);
    screen.close();
    kept?;
    if !common.quiet {
        say(&format!("the tunnel of {} has ended", escape::terminal(&args.name)));
    }
    Ok(Exit::Pass)
}

/// What of the plan's warnings concerns a tunnel, and what this system needs first.
fn remark(plan: &Plan, common: &Common) {
    if common.quiet {
        return;
    }
    let services = &plan.target.services;
    if services.iter().all(|service| service.listen.is_none()) {
        say(
            "tunnelcheck: warning: no service of the target has a mouth: nothing can go through this tunnel",
        );
    }
    for service in services.iter().filter(|service| service.is_udp) {
        let name = escape::terminal(&service.name);
        say(&format!("tunnelcheck: warning: {name} speaks UDP, which ssh cannot carry"));
    }
    let mut commands: Vec<String> =
        services.iter().filter_map(|service| loopback_command(service.listen?.ip())).collect();
    commands.sort();
    commands.dedup();
    for command in commands {
        say(&format!("tunnelcheck: this machine may need the address of a mouth first: {command}"));
    }
}

fn status(name: &str, common: &Common) -> anyhow::Result<Exit> {
    let is_json = match common.format {
        FormatArg::Text => false,
        FormatArg::Json => true,
        _ => anyhow::bail!("`tunnelcheck tunnel --status` writes text and json alone"),
    };
    let found = running(name)?;
    let exit = match &found {
        None => Exit::CouldNotRun,
        Some(running) if running.is_up() => Exit::Pass,
        Some(_) => Exit::Inconclusive,
    };
    let json = match found {
        None => json!({"target": name, "state": "none"}),
        // A connecting one may take its time; of the others no word is no state.
        Some(it) if it.is_stale() && it.json.get("state") != Some(&json!("connecting")) => {
            let mut json = it.json;
            if let Some(fields) = json.as_object_mut() {
                fields.insert("state".to_owned(), json!("silent"));
            }
            json
        }
        Some(it) => it.json,
    };
    if is_json {
        let mut octets = serde_json::to_vec_pretty(&json)?;
        octets.push(b'\n');
        deliver(&octets, common)?;
    } else if !common.quiet {
        deliver(describe(name, &json).as_bytes(), common)?;
    }
    Ok(exit)
}

/// A state in words, one thing a line.
fn describe(name: &str, json: &Value) -> String {
    let word = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    let mut lines = Vec::new();
    let process = number(json, "pid");
    let since = word("since");
    lines.push(match word("state") {
        "none" => format!("{name}: no process keeps its tunnel up"),
        "up" => format!(
            "{name}: up since {since}, to {} ({}), process {process}",
            word("gateway"),
            word("cipher")
        ),
        "waiting" => format!(
            "{name}: down since {since}, next attempt in {:.1} s, process {process}: {}",
            Duration::from_millis(number(json, "retry_ms")).as_secs_f32(),
            word("reason")
        ),
        "silent" => format!("{name}: process {process} is there and says nothing any more"),
        other => format!("{name}: {other} since {since}, process {process}"),
    });
    for service in json.get("services").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        let text = |key: &str| service.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut line = format!(
            "  {} at {} -> {}:{}: {} conns, {} in, {} out",
            text("service"),
            text("listen"),
            text("host"),
            number(service, "port"),
            number(service, "conns"),
            HumanBytes(number(service, "bytes_in")),
            HumanBytes(number(service, "bytes_out"))
        );
        if !text("last_error").is_empty() {
            let _ = write!(line, "; last refusal: {}", text("last_error"));
        }
        lines.push(line);
    }
    lines.iter().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{}", escape::prose(line));
        out
    })
}

/// A line at each change, and at a terminal a live one below them.
struct Screen {
    quiet: bool,
    is_live: bool,
    /// There while it is up or waits: a question to the user must not be drawn over.
    bar: Option<ProgressBar>,
}

impl Screen {
    fn new(common: &Common) -> Self {
        let is_live = !common.quiet && std::io::stderr().is_terminal();
        Self { quiet: common.quiet, is_live, bar: None }
    }

    fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        let text = escape::prose(text);
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.println(text),
            None => say(&text),
        }
    }
}

fn mouth(forward: &ForwardRecord) -> String {
    format!("  {} at {} -> {}:{}", forward.service, forward.listen, forward.host, forward.port)
}

impl Keeper for Screen {
    fn news(&mut self, news: &KeepNews<'_>) {
        match news {
            KeepNews::Dialing => self.close(),
            KeepNews::Bound(forwards) => {
                self.line("the mouths are open, and refuse until the tunnel is up:");
                forwards.iter().for_each(|forward| self.line(&mouth(forward)));
            }
            KeepNews::Up { record, notes, after } => {
                let again = after.map_or_else(String::new, |after| {
                    format!(" again, after {:.1} s", after.as_secs_f32())
                });
                self.line(&format!(
                    "up{again}: {} -> {}, {}, {} ({})",
                    record.local,
                    record.remote,
                    record.cipher,
                    record.host_key,
                    record.host_key_source
                ));
                notes.iter().for_each(|note| self.line(&format!("  note: {note}")));
            }
            KeepNews::Down { reason, retry } => {
                self.line(&format!(
                    "down: {reason}; the mouths refuse; next attempt in {:.1} s",
                    retry.as_secs_f32()
                ));
            }
            KeepNews::Unwritten { error } => {
                let cause = std::error::Error::source(error)
                    .map_or_else(String::new, |it| format!(": {it}"));
                self.line(&format!("note: {error}{cause}; --status does not see this tunnel"));
            }
            KeepNews::Closing { open_conns: 0 } => self.line("ending"),
            KeepNews::Closing { open_conns } => {
                self.line(&format!("ending: {open_conns} open connections have a moment"));
            }
        }
    }

    fn tick(&mut self, status: &KeepStatus) {
        if !self.is_live {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            bar.set_style(ProgressStyle::default_spinner());
            bar
        });
        let (bytes_in, bytes_out) = status.bytes();
        let state = match (status.state, status.retry) {
            (KeepState::Waiting, Some(left)) => {
                format!("down, next attempt in {:.0} s", left.as_secs_f32().ceil())
            }
            (state, _) => state.word().to_owned(),
        };
        bar.set_message(format!(
            "{}: {state}; {} open, {} in, {} out",
            escape::terminal(&status.target),
            status.open_conns,
            HumanBytes(bytes_in),
            HumanBytes(bytes_out)
        ));
        bar.tick();
    }
}
