//! `tunnelcheck demo`: the whole story on an embedded gateway and mail server, in namespaces of its own.

use super::args::{Common, DemoRole};
use super::exit::Exit;
use super::output::{deliver, options, say};
use super::screen::{Screen, on_interrupt};
use crate::lab::{LabError, World, world_available};
use crate::model::Verdict;
use crate::report::{self, CommandRun, Document, Facts, Format};
use crate::run::{Outcome, Watch, watch};
use crate::target::{Environment, Overrides, load};
use crate::tunnel::{HostKeyQuestion, Prompt};
use anyhow::Context as _;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Name of the demo's target.
const TARGET: &str = "dasher";

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
    if !world_available() {
        return super::story::tell(common);
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
    let config = folder.0.join("tunnelcheck.toml");
    std::fs::write(&config, target_file(&folder.0))
        .with_context(|| format!("cannot write {}", config.display()))?;
    let interrupted = on_interrupt()?;
    let mut told = 0;
    for scene in &SCENES {
        say(&format!("\n== {} ==", scene.title));
        let overrides = Overrides { config: Some(config.clone()), ..Overrides::default() };
        let plan = load(TARGET, &overrides, &Environment::from_process())?;
        let watch_options = Watch {
            command: mail_user(&program, scene),
            accept_host_keys: vec![World::fingerprint()?],
            ..Watch::default()
        };
        let mut screen = Screen::new(common, false);
        let outcomes =
            watch(vec![plan], &watch_options, &mut DemoPrompt, &mut screen, interrupted)?;
        screen.close();
        let verdict = show(&outcomes, common)?;
        if verdict == Some(scene.expected) {
            told += 1;
        }
    }
    let mut end = String::new();
    let _ = writeln!(end, "\nThe demo: {told} of {} scenes ended as they should.", SCENES.len());
    deliver(end.as_bytes(), common)?;
    Ok(if told == SCENES.len() { Exit::Pass } else { Exit::Fail })
}

/// Writes the report of a scene.
fn show(outcomes: &[Outcome], common: &Common) -> anyhow::Result<Option<Verdict>> {
    let first = outcomes.first();
    let facts = Facts {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        inputs: first.map(|outcome| outcome.facts.inputs.clone()).unwrap_or_default(),
        command: first
            .and_then(|outcome| outcome.command.as_ref())
            .map(|end| CommandRun { line: end.line.clone(), status: end.status.clone() }),
        ..Facts::default()
    };
    let cases: Vec<_> = outcomes.iter().map(Outcome::case).collect();
    let judged: Vec<_> =
        cases.iter().zip(outcomes.iter().map(|outcome| &outcome.judgement)).collect();
    let document = Document::new(facts, &judged);
    let mut octets = Vec::new();
    report::write(&document, Format::Text, &options(common), &mut octets)?;
    deliver(&octets, common)?;
    Ok(document.verdict())
}

/// The command that plays the mail user of a scene.
fn mail_user(program: &Path, scene: &Scene) -> Vec<OsString> {
    let mut command: Vec<OsString> = vec![program.into(), "lab".into(), "user".into()];
    command.extend(scene.steps.iter().map(OsString::from));
    command
}

/// The demo's target, as a user would write it.
fn target_file(folder: &Path) -> String {
    format!(
        r#"[target.{TARGET}]
gateway = "{user}@nimbus.dartmouth.edu"
gateway_address = ["{gateway}"]
client = ["{client}"]
known_hosts = {known_hosts:?}

[target.{TARGET}.identifiers]
username = ["jsmith", "John Smith"]
folders = ["Reindeer Games"]

[[target.{TARGET}.service]]
name = "directory"
kind = "dnd"
host = "dnd.dartmouth.edu"
port = 902
address = ["{mail}"]

[[target.{TARGET}.service]]
name = "mail"
kind = "blitzmail"
host = "dasher.dartmouth.edu"
port = 2151
address = ["{mail}"]
aliases = ["dasher"]
"#,
        user = World::USER,
        gateway = World::GATEWAY,
        client = World::CLIENT,
        mail = World::MAIL,
        known_hosts = folder.join("known_hosts").display().to_string(),
    )
}

/// The demo's own folder; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("tunnelcheck-demo-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
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

/// What the lab needs, for a machine that does not let it.
pub(super) fn what_is_missing() -> String {
    let error = LabError::World {
        command: "unshare -Urn true".to_owned(),
        detail: "not allowed here, or not installed".to_owned(),
    };
    format!("{error}\n{}", error.remedy().unwrap_or_default())
}
