//! The demo's target, and its recorded story for machines on which no namespaces can be made.

use super::args::Common;
use super::check::report;
use super::exit::Exit;
use super::output::say;
use crate::lab::World;
use crate::model::Verdict;
use crate::run::judge_recording;
use crate::target::{Environment, Overrides, Plan, load};
use anyhow::Context as _;
use std::path::PathBuf;

/// Name of the demo's target.
const TARGET: &str = "dasher";

/// A BlitzMail session straight to the server.
const DIRECT: &[u8] = include_bytes!("../../captures/blitzmail-direct.pcap");
/// The same session through OpenSSH.
const TUNNELLED: &[u8] = include_bytes!("../../captures/ssh-blitzmail.pcap");

/// A scene of the recorded story: what it shows, its captures, and the verdict it must end with.
struct Scene {
    title: &'static str,
    captures: &'static [(&'static str, &'static [u8])],
    expected: Verdict,
}

const SCENES: [Scene; 3] = [
    Scene {
        title: "1. Recorded: the mail client goes past the tunnel",
        captures: &[("direct.pcap", DIRECT)],
        expected: Verdict::Fail,
    },
    Scene {
        title: "2. Recorded: the mail client reads its mail through the tunnel",
        captures: &[("tunnelled.pcap", TUNNELLED)],
        expected: Verdict::Pass,
    },
    Scene {
        title: "3. Recorded: the tunnel is used, and then the mail server's real address too",
        captures: &[("tunnelled.pcap", TUNNELLED), ("direct.pcap", DIRECT)],
        expected: Verdict::Fail,
    },
];

/// Says what the live demo needs, and judges the recorded scenes.
pub(super) fn tell(common: &Common) -> anyhow::Result<Exit> {
    say(
        "The live demo needs user and network namespaces: Linux, the programs unshare (util-linux) and ip (iproute2),",
    );
    say(
        "and a system that allows `unshare -Urn true`. It is not so here; this is the recorded story.",
    );
    let folder = Folder::make()?;
    let mut told = 0;
    for scene in &SCENES {
        say(&format!("\n== {} ==", scene.title));
        let mut files = Vec::new();
        for (name, octets) in scene.captures {
            let path = folder.0.join(name);
            std::fs::write(&path, octets)
                .with_context(|| format!("cannot write {}", path.display()))?;
            files.push(path);
        }
        let outcomes = judge_recording(vec![folder.plan()?], &files, common.strict)?;
        if report(&outcomes, None, common)? == Some(scene.expected) {
            told += 1;
        }
    }
    say(&format!("\nThe recorded story: {told} of {} scenes ended as they should.", SCENES.len()));
    Ok(if told == SCENES.len() { Exit::Pass } else { Exit::Fail })
}

/// The demo's own folder; removed at the end.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder and writes the target file into it.
    pub(super) fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("tunnelcheck-demo-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let folder = Self(path);
        let config = folder.config();
        std::fs::write(&config, folder.target_file())
            .with_context(|| format!("cannot write {}", config.display()))?;
        Ok(folder)
    }

    /// The demo's target, read as any other.
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        let overrides = Overrides { config: Some(self.config()), ..Overrides::default() };
        Ok(load(TARGET, &overrides, &Environment::from_process())?)
    }

    fn config(&self) -> PathBuf {
        self.0.join("tunnelcheck.toml")
    }

    /// The demo's target, as a user would write it.
    fn target_file(&self) -> String {
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
            known_hosts = self.0.join("known_hosts").display().to_string(),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
