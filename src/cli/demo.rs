//! `tunnelcheck demo`: the whole story on an embedded gateway and mail server, in namespaces of its own.

use super::args::{Common, DemoRole};
use super::check::report;
use super::exit::Exit;
use super::output::{options, say, text_alone};
use super::screen::{Screen, on_interrupt};
use super::story::{Folder, tell};
use crate::lab::{World, world_available};
use crate::model::Verdict;
use crate::run::{Watch, watch};
use crate::tunnel::{HostKeyQuestion, Prompt};
use anyhow::Context as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Plays one part of the demo; without a role, all of it.
pub(super) fn demo(role: Option<DemoRole>, common: &Common) -> anyhow::Result<Exit> {
    match role {
        None => stage(common),
        Some(DemoRole::Client) => play(common),
        Some(DemoRole::Server) => {
            World::serve()?;
            Ok(Exit::Pass)
        }
    }
}

/// Enters namespaces of its own and plays there.
fn stage(common: &Common) -> anyhow::Result<Exit> {
    text_alone("demo", common)?;
    if !world_available() {
        return tell(common);
    }
    let program = this_program()?;
    let mut arguments: Vec<OsString> = vec!["demo".into(), "--role".into(), "client".into()];
    arguments.extend(passed_on(common));
    let status = World::enter(&program, &arguments)
        .status()
        .context("cannot run unshare (package util-linux)")?;
    Ok(match status.code() {
        Some(0) => Exit::Pass,
        Some(1) => Exit::Fail,
        Some(130) => Exit::Interrupted,
        _ => Exit::CouldNotRun,
    })
}

/// The options that the inner process must know too.
fn passed_on(common: &Common) -> Vec<OsString> {
    let mut flags = Vec::new();
    for (set, flag) in [
        (common.show_secrets, "--show-secrets"),
        (common.quiet, "--quiet"),
        (common.verbose, "--verbose"),
    ] {
        if set {
            flags.push(flag.into());
        }
    }
    if options(common).color {
        flags.push("--color=always".into());
    }
    flags
}

fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot tell where this program is")
}

/// A scene: what it shows, where the mail user goes in it, and the verdict it must end with.
struct Scene {
    title: &'static str,
    steps: [&'static str; 2],
    expected: Verdict,
}

const SCENES: [Scene; 3] = [
    Scene {
        title: "1. The tunnel is up, but the mail client does not use it",
        steps: ["dnd@10.77.1.30:902", "blitzmail@10.77.1.30:2151"],
        expected: Verdict::Fail,
    },
    Scene {
        title: "2. The mail client reads its mail through the tunnel",
        steps: ["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"],
        expected: Verdict::Pass,
    },
    Scene {
        title: "3. The name of the directory is aliased, the name of the mail server is not",
        steps: ["dnd@127.0.0.1:902", "blitzmail@10.77.1.30:2151"],
        expected: Verdict::Fail,
    },
];

/// The client's side: builds the network and plays the scenes.
fn play(common: &Common) -> anyhow::Result<Exit> {
    let program = this_program()?;
    let _world = World::build(&program, &["demo", "--role", "server"])?;
    let folder = Folder::make()?;
    let interrupted = on_interrupt()?;
    let mut told = 0;
    for scene in &SCENES {
        say(&format!("\n== {} ==", scene.title));
        let options = Watch {
            command: mail_user(&program, scene),
            accept_host_keys: vec![World::fingerprint()?],
            ..Watch::default()
        };
        let plans = vec![folder.plan()?];
        let mut screen = Screen::new(common, false);
        let outcomes = watch(plans, &options, &mut DemoPrompt, &mut screen, interrupted)?;
        screen.close();
        if report(&outcomes, None, common)? == Some(scene.expected) {
            told += 1;
        }
    }
    say(&format!("\nThe demo: {told} of {} scenes ended as they should.", SCENES.len()));
    Ok(if told == SCENES.len() { Exit::Pass } else { Exit::Fail })
}

/// The command that plays the mail user of a scene.
fn mail_user(program: &Path, scene: &Scene) -> Vec<OsString> {
    let mut command: Vec<OsString> = vec![program.into(), "lab".into(), "user".into()];
    command.extend(scene.steps.iter().map(OsString::from));
    command
}

/// Answers what the embedded gateway asks.
struct DemoPrompt;

impl Prompt for DemoPrompt {
    fn password(&mut self, _: &str) -> Option<String> {
        Some(World::PASSWORD.to_owned())
    }

    fn passphrase(&mut self, _: &Path) -> Option<String> {
        None
    }

    fn interactive(&mut self, _: &str, _: &str, _: &[(String, bool)]) -> Option<Vec<String>> {
        None
    }

    fn accept_host_key(&mut self, _: &HostKeyQuestion) -> bool {
        false
    }
}
