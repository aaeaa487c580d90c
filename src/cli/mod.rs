//! argv -> what to run; the choice of the writer; the exit code.
//!
//! In: argv, the environment, the terminal. Out: octets on stdout and stderr, an exit code.
//! Never: an octet of traffic that report has not escaped.

mod args;
mod check;
#[cfg(feature = "lab")]
mod demo;
mod exit;
mod flows;
mod hosts;
#[cfg(feature = "lab")]
mod lab;
mod output;
#[cfg(feature = "live")]
mod screen;
#[cfg(feature = "lab")]
mod story;
mod suite;
mod targets;
#[cfg(feature = "tunnel")]
mod tunnel;
#[cfg(feature = "tunnel")]
mod unit;

use crate::run::RunError;
use crate::target::TargetError;
use args::{Args, Check, Sub};
use clap::Parser as _;
use exit::Exit;
use output::complain;
use std::process::ExitCode;

/// Runs the program on the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // A closed standard output changes no exit status.
            let _ = error.print();
            return if error.use_stderr() { Exit::CouldNotRun } else { Exit::Pass }.into();
        }
    };
    // A panic is an error of the program: it must never look like a verdict.
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(&args)));
    match ran {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => {
            let interrupted =
                matches!(error.downcast_ref::<RunError>(), Some(RunError::Interrupted));
            complain(&error, remedy(&error).as_deref());
            if interrupted { Exit::Interrupted } else { Exit::CouldNotRun }.into()
        }
        Err(_) => {
            let error = anyhow::anyhow!("an error of the program itself: there is no verdict");
            complain(&error, Some("please report it with the message above"));
            Exit::CouldNotRun.into()
        }
    }
}

fn dispatch(args: &Args) -> anyhow::Result<Exit> {
    // clap's own rule would refuse --config in front of a command as well.
    if args.command.is_some() && args.check != Check::default() {
        anyhow::bail!(
            "a check and a command at once: leave out --expect-encrypted and its options, or the command"
        );
    }
    match &args.command {
        None => check::check(&args.check, &args.common),
        Some(Sub::Flows { files }) => flows::flows(files, &args.common),
        Some(Sub::Suite { paths }) => suite::suite(paths, &args.common),
        Some(Sub::Target { action }) => targets::target(action, &args.common),
        #[cfg(feature = "tunnel")]
        Some(Sub::Tunnel(tunnel)) => tunnel::tunnel(tunnel, &args.common),
        Some(Sub::Hosts(hosts)) => hosts::hosts(hosts, &args.common),
        #[cfg(feature = "lab")]
        Some(Sub::Demo { role }) => demo::demo(*role, &args.common),
        #[cfg(feature = "lab")]
        Some(Sub::Lab { part }) => lab::lab(part),
    }
}

/// What the user can do about an error.
fn remedy(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<RunError>() {
        return error.remedy();
    }
    if let Some(error) = error.downcast_ref::<TargetError>() {
        return error.remedy();
    }
    if let Some(error) = error.downcast_ref::<crate::hosts::HostsError>() {
        return error.remedy();
    }
    #[cfg(feature = "lab")]
    if let Some(error) = error.downcast_ref::<crate::lab::LabError>() {
        return error.remedy().map(str::to_owned);
    }
    None
}
