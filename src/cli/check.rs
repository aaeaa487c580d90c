//! `tunnelcheck --expect-encrypted TARGET`: live, or on recorded captures with `-r`.

use super::args::{Check, Common, TunnelArg};
use super::exit::Exit;
use super::output::{deliver, format, options, say, threads};
use crate::model::{TunnelMode, Verdict};
use crate::report::{self, CommandRun, Document, Facts};
use crate::run::{Outcome, judge_recording_in};
use crate::target::{Environment, Overrides, Plan, load};
use std::collections::BTreeSet;
use std::path::Path;

/// Judges, reports, and gives the exit status of the worst verdict.
pub(super) fn check(check: &Check, common: &Common) -> anyhow::Result<Exit> {
    if check.undo_disruptions {
        return undo(common);
    }
    if check.targets.is_empty() {
        anyhow::bail!(
            "nothing to check: name a target with --expect-encrypted TARGET (`tunnelcheck target list` shows them), \
             or try `tunnelcheck demo`"
        );
    }
    let overrides = Overrides {
        gateway_ports: check.gateway_ports.then_some(true),
        identity_file: check.identity_file.clone(),
        ..overrides(common)
    };
    let plans = plans(&check.targets, &overrides, common.quiet)?;
    let outcomes = if check.read.is_empty() {
        live(plans, check, common)?
    } else {
        judge_recording_in(plans, &check.read, common.strict, threads(common))?
    };
    let verdict = report(&outcomes, check.record.as_deref(), common)?;
    Ok(verdict.unwrap_or(Verdict::Inconclusive).into())
}

/// The targets that were asked for, each once.
fn plans(names: &[String], overrides: &Overrides, quiet: bool) -> anyhow::Result<Vec<Plan>> {
    let environment = Environment::from_process();
    let (mut plans, mut seen) = (Vec::new(), BTreeSet::new());
    for name in names {
        if seen.insert(name) {
            let plan = load(name, overrides, &environment)?;
            if !quiet {
                for warning in &plan.warnings {
                    say(&format!("tunnelcheck: warning: {warning}"));
                }
            }
            plans.push(plan);
        }
    }
    Ok(plans)
}

/// What the command line says about targets.
pub(super) fn overrides(common: &Common) -> Overrides {
    Overrides {
        config: common.config.clone(),
        ssh_config: common.ssh_config.clone(),
        identifiers: common.identifiers.clone(),
        clients: common.clients.clone(),
        tunnel: common.tunnel.map(|mode| match mode {
            TunnelArg::Builtin => TunnelMode::Builtin,
            TunnelArg::External => TunnelMode::External,
            TunnelArg::None => TunnelMode::None,
        }),
        ..Overrides::default()
    }
}

/// Writes the report, and gives the worst verdict; none where nothing was judged.
pub(super) fn report(
    outcomes: &[Outcome],
    recorded_to: Option<&Path>,
    common: &Common,
) -> anyhow::Result<Option<Verdict>> {
    let first = outcomes.first();
    let facts = Facts {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        created: None,
        inputs: first.map(|outcome| outcome.facts.inputs.clone()).unwrap_or_default(),
        command: first
            .and_then(|outcome| outcome.command.as_ref())
            .map(|end| CommandRun { line: end.line.clone(), status: end.status.clone() }),
        recorded_to: recorded_to.map(|path| path.display().to_string()),
    };
    let cases: Vec<_> = outcomes.iter().map(Outcome::case).collect();
    let judged: Vec<_> =
        cases.iter().zip(outcomes.iter().map(|outcome| &outcome.judgement)).collect();
    let document = Document::new(facts, &judged);
    let mut octets = Vec::new();
    report::write(&document, format(common), &options(common), &mut octets)?;
    deliver(&octets, common)?;
    Ok(document.verdict())
}

/// Puts back what a run that was killed has left.
#[cfg(feature = "live")]
fn undo(common: &Common) -> anyhow::Result<Exit> {
    let said = crate::run::undo_disruptions()?;
    if !common.quiet {
        for line in &said {
            say(&format!("tunnelcheck: {line}"));
        }
        if said.is_empty() {
            say("tunnelcheck: nothing is disrupted");
        }
    }
    Ok(Exit::Pass)
}

#[cfg(not(feature = "live"))]
fn undo(_: &Common) -> anyhow::Result<Exit> {
    anyhow::bail!("this build disrupts nothing: it was made without the live check")
}

/// `USER@HOST[:IFACE]`, or a Host of `ssh_config`, with how to log in there.
#[cfg(feature = "live")]
fn elsewhere(
    text: &str,
    overrides: &Overrides,
    quiet: bool,
) -> anyhow::Result<crate::run::Elsewhere> {
    let (place, interface) = split_interface(text);
    if place.is_empty() || place.ends_with('@') {
        anyhow::bail!("--from {text:?} names no host; write --from USER@HOST[:IFACE]");
    }
    let (ssh, warnings) = crate::target::login(place, overrides, &Environment::from_process())?;
    if !quiet {
        for warning in &warnings {
            say(&format!("tunnelcheck: warning: {warning}"));
        }
    }
    Ok(crate::run::Elsewhere {
        place: place.to_owned(),
        interface: interface.map(ToOwned::to_owned),
        ssh,
    })
}

/// The interface stands behind the last colon that is none of an address in brackets.
#[cfg(feature = "live")]
fn split_interface(text: &str) -> (&str, Option<&str>) {
    let behind = text.rfind(']').map_or(0, |end| end + 1);
    let host = text.rfind('@').map_or(0, |at| at + 1).max(behind);
    // An address of IPv6 without brackets has colons of its own.
    let is_bare_ipv6 = text.get(host..).is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    match text.get(host..).and_then(|rest| rest.find(':')) {
        Some(colon) if !is_bare_ipv6 => {
            let (place, interface) = text.split_at(host + colon);
            (place, interface.strip_prefix(':'))
        }
        _ => (text, None),
    }
}

#[cfg(feature = "live")]
fn live(plans: Vec<Plan>, check: &Check, common: &Common) -> anyhow::Result<Vec<Outcome>> {
    use crate::run::{Disrupt, Watch, watch};
    use std::io::IsTerminal as _;
    use std::time::Duration;

    /// The window where nobody can press Ctrl-C and nothing else ends it.
    const UNATTENDED_WINDOW: Duration = Duration::from_secs(60);

    let unattended = check.traffic.is_empty() && !std::io::stdin().is_terminal();
    let mut from = Vec::new();
    for text in &check.from {
        from.push(elsewhere(text, &overrides(common), common.quiet)?);
    }
    let options = Watch {
        from,
        disrupt: Disrupt { steps: check.disrupt.clone(), hold: check.disrupt_for },
        interfaces: check.interfaces.clone(),
        window: check.window.or(unattended.then_some(UNATTENDED_WINDOW)),
        command: check.traffic.clone(),
        record: check.record.clone(),
        strict: common.strict,
        accept_host_keys: check.accept_host_keys.clone(),
        buffer_bytes: check.buffer.map(|kib| kib.saturating_mul(1024)),
    };
    let interrupted = super::screen::on_interrupt()?;
    let mut screen = super::screen::Screen::new(common, check.traffic.is_empty());
    let mut prompt = crate::tunnel::TerminalPrompt::until(interrupted);
    let outcomes = watch(plans, &options, &mut prompt, &mut screen, interrupted)?;
    screen.close();
    Ok(outcomes)
}

#[cfg(not(feature = "live"))]
#[expect(clippy::needless_pass_by_value, reason = "the live check takes the plans")]
fn live(plans: Vec<Plan>, _: &Check, _: &Common) -> anyhow::Result<Vec<Outcome>> {
    let target = plans.first().map(|plan| plan.target.name.clone()).unwrap_or_default();
    Err(crate::run::RunError::Feature { target, feature: "live" }.into())
}

#[cfg(all(test, feature = "live"))]
mod tests {
    use super::split_interface;

    #[test]
    fn an_interface_stands_behind_the_host() {
        for (text, place, interface) in [
            ("jsmith@laptop:eth0", "jsmith@laptop", Some("eth0")),
            ("laptop", "laptop", None),
            ("laptop:", "laptop", Some("")),
            ("a@[fd77::99]:eth0:1", "a@[fd77::99]", Some("eth0:1")),
            ("[fd77::99]", "[fd77::99]", None),
            ("a@fd77::99", "a@fd77::99", None),
            ("a:b@host:any", "a:b@host", Some("any")),
            ("", "", None),
        ] {
            assert_eq!(split_interface(text), (place, interface), "{text}");
        }
    }
}
