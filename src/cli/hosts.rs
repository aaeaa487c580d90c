//! `tunnelcheck hosts`: the names of a target in the hosts file, shown, put in, taken out.

use super::args::{Common, FormatArg};
use super::check::overrides;
use super::exit::Exit;
use super::output::{deliver, say, text_alone};
use crate::hosts::{
    Aliases, Edit, How, SYSTEM_FILE, State, Wanted, aliases, apply, block, conflicts, flush, look,
    loopback_command, revert, state,
};
use crate::model::TunnelMode;
use crate::report::escape;
use crate::target::{Environment, Plan, load};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// `tunnelcheck hosts`.
#[derive(Debug, ClapArgs)]
pub(super) struct HostsArgs {
    /// The target whose names they are.
    #[arg(value_name = "TARGET")]
    name: String,

    #[command(flatten)]
    action: Action,

    /// The hosts file.
    #[arg(long, value_name = "PATH", default_value = SYSTEM_FILE)]
    hosts_file: PathBuf,
}

/// What to do with the hosts file.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
struct Action {
    /// Show what would be written, and how the file stands.
    #[arg(long)]
    show: bool,

    /// Lead the names to the mouths.
    #[arg(long)]
    apply: bool,

    /// Take the names out again: the file is then what it was before, octet for octet.
    #[arg(long)]
    revert: bool,
}

pub(super) fn hosts(args: &HostsArgs, common: &Common) -> anyhow::Result<Exit> {
    if args.action.revert {
        text_alone("hosts --revert", common)?;
        // By its name alone: the target itself may be gone by now.
        let edit = revert(&args.hosts_file, &args.name)?;
        if edit.how == How::Unchanged {
            // Nothing to take out: a name that no target has is a slip of the pen.
            load(&args.name, &overrides(common), &Environment::from_process())?;
        }
        tell(&edit, args, common, ("not there", "taken out of"))?;
        return Ok(Exit::Pass);
    }
    let plan = load(&args.name, &overrides(common), &Environment::from_process())?;
    let found = names(&plan)?;
    if args.action.show {
        show(&plan, &found, args, common)?;
        return Ok(Exit::Pass);
    }
    text_alone("hosts --apply", common)?;
    if found.is_empty() {
        anyhow::bail!(
            "target {:?} has no name that could lead to a mouth: {}",
            args.name,
            why(&found)
        );
    }
    remark(&found, common);
    let edit = apply(&args.hosts_file, &args.name, &found.lines)?;
    tell(&edit, args, common, ("there already", "written into"))?;
    Ok(Exit::Pass)
}

/// The names that lead to the mouths of a plan.
fn names(plan: &Plan) -> anyhow::Result<Aliases> {
    let target = &plan.target;
    let none: &[String] = &[];
    let written = |name: &str| {
        plan.names.iter().find(|names| names.service == name).map_or(none, |names| &names.names)
    };
    let wanted: Vec<Wanted<'_>> = target
        .services
        .iter()
        .map(|service| Wanted { service, written: written(&service.name) })
        .collect();
    // Who dials the gateway resolves its name, unless it was told where it is.
    let jumps = plan.ssh.as_ref().is_some_and(|ssh| !ssh.proxy_jump.is_empty());
    let told =
        target.tunnel == TunnelMode::Builtin && !jumps && !target.gateway_addresses.is_empty();
    let kept: Vec<String> = target.gateway_host.iter().filter(|_| !told).cloned().collect();
    Ok(aliases(&wanted, &kept)?)
}

/// Why there is nothing to write.
fn why(found: &Aliases) -> String {
    let reasons: Vec<String> =
        found.left_out.iter().map(|it| format!("{}: {}", it.service, it.why)).collect();
    if reasons.is_empty() { "it has no service".to_owned() } else { reasons.join("; ") }
}

/// Says on standard error what a person should know before the names are used.
fn remark(found: &Aliases, common: &Common) {
    if common.quiet {
        return;
    }
    for it in &found.left_out {
        say(&escape::prose(&format!("tunnelcheck: {} is left out: {}", it.service, it.why)));
    }
    for it in &found.notes {
        say(&escape::prose(&format!("tunnelcheck: {}: {}", it.service, it.why)));
    }
    for command in loopback_commands(found) {
        say(&format!("tunnelcheck: this machine may need the address first: {command}"));
    }
}

fn loopback_commands(found: &Aliases) -> Vec<String> {
    let mut addresses: Vec<IpAddr> = found.lines.iter().map(|line| line.address).collect();
    addresses.sort();
    addresses.dedup();
    addresses.into_iter().filter_map(loopback_command).collect()
}

/// Says what was done, and empties the caches.
fn tell(
    edit: &Edit,
    args: &HostsArgs,
    common: &Common,
    (idle, done): (&str, &str),
) -> anyhow::Result<()> {
    let mut text = String::new();
    if edit.recovered {
        let _ = writeln!(text, "an earlier change that was cut short was undone first");
    }
    let file = edit.path.display();
    let _ = match edit.how {
        How::Unchanged => {
            writeln!(text, "the names of {} are {idle}: {file} is unchanged", args.name)
        }
        How::Replaced => writeln!(text, "the names of {} are {done} {file}", args.name),
        How::InPlace => {
            writeln!(text, "the names of {} are {done} {file}, in place", args.name)
        }
    };
    if let Some(backup) = &edit.backup {
        let _ = writeln!(text, "{} keeps the file without them", backup.display());
    }
    if args.hosts_file == Path::new(SYSTEM_FILE) && edit.how != How::Unchanged {
        for cache in flush() {
            let _ = match cache.failed {
                None => writeln!(text, "emptied the cache of {}", cache.cache),
                Some(why) => writeln!(
                    text,
                    "could not empty the cache of {} ({why}): run `{}`",
                    cache.cache, cache.command
                ),
            };
        }
        let _ =
            writeln!(text, "programs that run already may remember the old answer: restart them");
    }
    if common.quiet {
        return Ok(());
    }
    deliver(escaped(&text).as_bytes(), common)
}

fn show(plan: &Plan, found: &Aliases, args: &HostsArgs, common: &Common) -> anyhow::Result<()> {
    let file = look(&args.hosts_file)?;
    let state = state(&file, &args.name, &found.lines)?;
    let conflicts = conflicts(&file, &args.name, &found.lines)?;
    let state_word = match state {
        State::Absent => "absent",
        State::Applied => "applied",
        State::Outdated => "outdated",
    };
    match common.format {
        FormatArg::Text => {}
        FormatArg::Json => {
            let left = |list: &[crate::hosts::LeftOut]| -> Vec<Value> {
                list.iter().map(|it| json!({"service": it.service, "why": it.why})).collect()
            };
            let document = json!({
                "target": args.name,
                "origin": plan.origin,
                "file": args.hosts_file.display().to_string(),
                "state": state_word,
                "aliases": found.lines.iter()
                    .map(|line| json!({"service": line.service, "address": line.address, "names": line.names}))
                    .collect::<Vec<_>>(),
                "block": block(&args.name, &found.lines),
                "left_out": left(&found.left_out),
                "notes": left(&found.notes),
                "conflicts": conflicts.iter().map(|it| json!({
                    "line": it.line, "name": it.name, "found": it.found, "wanted": it.wanted, "target": it.target,
                })).collect::<Vec<_>>(),
                "commands": loopback_commands(found),
            });
            let mut octets = serde_json::to_vec_pretty(&document)?;
            octets.push(b'\n');
            return deliver(&octets, common);
        }
        _ => anyhow::bail!("`tunnelcheck hosts --show` writes text and json alone"),
    }
    let mut text = String::new();
    let _ = writeln!(text, "target       {} ({})", args.name, plan.origin);
    let state_text = match state {
        State::Absent => "the names are not there",
        State::Applied => "the names are there",
        State::Outdated => "the names are there, and no longer up to date: --apply",
    };
    let _ = writeln!(text, "hosts file   {}: {state_text}", args.hosts_file.display());
    for it in &found.left_out {
        let _ = writeln!(text, "left out     {}: {}", it.service, it.why);
    }
    for it in &found.notes {
        let _ = writeln!(text, "note         {}: {}", it.service, it.why);
    }
    for conflict in &conflicts {
        let _ = writeln!(text, "in the way   {conflict}");
    }
    for command in loopback_commands(found) {
        let _ = writeln!(text, "address      {command}");
    }
    if found.is_empty() {
        let _ = writeln!(text, "nothing to write");
    } else {
        let _ = write!(text, "\n{}", block(&args.name, &found.lines));
    }
    deliver(escaped(&text).as_bytes(), common)
}

/// Names and paths may come from anywhere.
fn escaped(text: &str) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        let columns: Vec<_> = line.split('\t').map(escape::prose).collect();
        let _ = writeln!(out, "{}", columns.join("\t"));
        out
    })
}
