//! The caches that remember where a name led before.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[cfg_attr(target_os = "macos", path = "flush/macos.rs")]
#[cfg_attr(not(target_os = "macos"), path = "flush/linux.rs")]
mod system;

/// How long a cache may take to forget.
const PATIENCE: Duration = Duration::from_secs(5);
const CHECK: Duration = Duration::from_millis(20);

/// A cache that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Its name.
    pub cache: &'static str,
    /// The command that empties it.
    pub command: String,
    /// Why it did not; none where it did.
    pub failed: Option<String>,
}

/// A cache: what shows that it runs, and what empties it.
struct Cache {
    name: &'static str,
    /// It runs if this exists; empty: always.
    shown_by: &'static str,
    /// Programs with their arguments, of which the first that exists is run.
    commands: &'static [&'static [&'static str]],
}

/// Empties every cache that runs here.
#[must_use]
pub fn flush() -> Vec<Flushed> {
    flush_below(Path::new("/"))
}

/// As `flush`, in the system below `root`.
fn flush_below(root: &Path) -> Vec<Flushed> {
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    let runs = |cache: &&Cache| cache.shown_by.is_empty() || below(cache.shown_by).exists();
    system::CACHES
        .iter()
        .filter(runs)
        .filter_map(|cache| {
            let first = cache.commands.first()?;
            let there = cache
                .commands
                .iter()
                .find(|words| words.first().is_some_and(|it| below(it).exists()));
            let failed = match there.and_then(|words| words.split_first()) {
                Some((program, arguments)) => run(&below(program), arguments).err(),
                None => Some("that program is not there".to_owned()),
            };
            Some(Flushed { cache: cache.name, command: there.unwrap_or(first).join(" "), failed })
        })
        .collect()
}

fn run(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(CHECK),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no end after {} s", PATIENCE.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_caches_that_run_are_emptied_each_by_its_own_command() {
        let root = tempfile::tempdir().unwrap();
        let program = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        assert_eq!(flush_below(root.path()), []);
        let said = root.path().join("said");
        let script = format!("#!/bin/sh\necho \"$0 $*\" >>{}\n", said.display());
        program("usr/bin/resolvectl", &script);
        program("usr/sbin/nscd", "#!/bin/sh\nexit 3\n");
        assert_eq!(flush_below(root.path()), [], "installed, and not running");
        fs::create_dir_all(root.path().join("run/systemd/resolve")).unwrap();
        fs::create_dir_all(root.path().join("run/nscd")).unwrap();
        fs::write(root.path().join("run/nscd/socket"), "").unwrap();
        let done = flush_below(root.path());
        let names: Vec<_> = done.iter().map(|it| (it.cache, it.failed.clone())).collect();
        assert_eq!(
            names,
            [("systemd-resolved", None), ("nscd", Some("exit status: 3".to_owned()))]
        );
        assert!(fs::read_to_string(said).unwrap().ends_with("resolvectl flush-caches\n"));
    }
}
