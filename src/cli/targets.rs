//! `tunnelcheck target`: the targets that there are, and a file to start from.

use super::args::{Common, TargetAction};
use super::check::overrides;
use super::exit::Exit;
use super::output::{deliver, say, text_alone};
use crate::hosts::loopback_command;
use crate::model::{Target, TunnelMode};
use crate::report::escape;
use crate::target::{Environment, KINDS, Plan, list, load, template};
use anyhow::Context as _;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

pub(super) fn target(action: &TargetAction, common: &Common) -> anyhow::Result<Exit> {
    text_alone("target", common)?;
    match action {
        TargetAction::Init { kind, file } => init(kind, file, common)?,
        TargetAction::List => show_list(common)?,
        TargetAction::Show { name } => show(name, common)?,
    }
    Ok(Exit::Pass)
}

fn init(kind: &str, file: &Path, common: &Common) -> anyhow::Result<()> {
    let text = template(kind).with_context(|| {
        format!("no template for {kind:?}; there are templates for {}", KINDS.join(", "))
    })?;
    if file == Path::new("-") {
        return deliver(text.as_bytes(), common);
    }
    // Never over a file that is there: it may hold a target that somebody wrote by hand.
    let mut out =
        OpenOptions::new().write(true).create_new(true).open(file).with_context(|| {
            format!("cannot create {} (choose another name with --file)", file.display())
        })?;
    out.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    if !common.quiet {
        say(&format!("wrote {}: fill it in, then see `tunnelcheck target list`", file.display()));
    }
    Ok(())
}

fn show_list(common: &Common) -> anyhow::Result<()> {
    let targets = list(&overrides(common), &Environment::from_process())?;
    let mut text = String::new();
    for listed in &targets {
        let gateway = listed.gateway.as_deref().unwrap_or("-");
        let services = listed.services.join(", ");
        let _ = writeln!(text, "{}\t{gateway}\t{services}\t({})", listed.name, listed.origin);
    }
    if targets.is_empty() {
        say("no targets: `tunnelcheck target init generic` writes a file to start from");
    }
    deliver(&clean(&text), common)
}

fn show(name: &str, common: &Common) -> anyhow::Result<()> {
    let plan = load(name, &overrides(common), &Environment::from_process())?;
    deliver(&clean(&describe(&plan, common.show_secrets)), common)
}

/// Escapes each line: names and paths may come from anywhere.
fn clean(text: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| {
        let columns: Vec<String> = line.split('\t').map(escape::terminal).collect();
        format!("{}\n", columns.join("\t"))
    });
    lines.collect::<String>().into_bytes()
}

fn describe(plan: &Plan, show_secrets: bool) -> String {
    let mut text = String::new();
    let target = &plan.target;
    let _ = writeln!(text, "target       {} ({})", target.name, plan.origin);
    let mode = match target.tunnel {
        TunnelMode::Builtin => "builtin: tunnelcheck brings it up",
        TunnelMode::External => "external: somebody else brings it up",
        TunnelMode::None => "none: the services themselves must be encrypted",
    };
    let _ = writeln!(text, "tunnel       {mode}");
    if let Some(host) = &target.gateway_host {
        let user = plan.ssh.as_ref().map(|ssh| format!("{}@", ssh.user)).unwrap_or_default();
        let _ = writeln!(text, "gateway      {user}{host}:{}", target.gateway_port);
    }
    describe_ssh(plan, &mut text);
    describe_services(target, &mut text);
    for identifier in &target.identifiers {
        let value = if show_secrets {
            identifier.text.clone()
        } else {
            format!("{} characters (--show-secrets shows it)", identifier.text.chars().count())
        };
        let _ = writeln!(text, "identifier   {}: {value}", identifier.label);
    }
    for exempt in &target.exempts {
        let port = exempt.port.map(|port| format!(":{port}")).unwrap_or_default();
        let _ =
            writeln!(text, "exempt       {} {}{port}: {}", exempt.name, exempt.host, exempt.reason);
    }
    for client in &target.clients {
        let _ = writeln!(text, "client       {client}");
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "warning      {warning}");
    }
    text
}

fn describe_ssh(plan: &Plan, text: &mut String) {
    let Some(ssh) = &plan.ssh else { return };
    for hop in &ssh.proxy_jump {
        let _ = writeln!(text, "through      {}@{}:{}", hop.user, hop.host, hop.port);
    }
    for file in &ssh.identity_files {
        let _ = writeln!(text, "key          {}", file.display());
    }
    for file in ssh.known_hosts.iter().chain(&ssh.global_known_hosts) {
        let _ = writeln!(text, "known hosts  {}", file.display());
    }
}

fn describe_services(target: &Target, text: &mut String) {
    for service in &target.services {
        let _ = write!(
            text,
            "service      {} ({}) {}:{}",
            service.name, service.kind, service.host, service.port
        );
        if let Some(listen) = service.listen {
            let _ = write!(text, " from {listen}");
        }
        if service.is_udp {
            let _ = write!(text, " over UDP, which ssh cannot carry");
        }
        if !service.aliases.is_empty() {
            let _ = write!(text, "; also {}", service.aliases.join(", "));
        }
        if !service.addresses.is_empty() {
            let list: Vec<String> = service.addresses.iter().map(ToString::to_string).collect();
            let _ = write!(text, "; at {}", list.join(", "));
        }
        text.push('\n');
    }
    let mouths = target.services.iter().filter_map(|service| Some(service.listen?.ip()));
    for command in mouths.filter_map(loopback_command) {
        let _ = writeln!(text, "address      {command}");
    }
}
