//! What has to be put back, on disk before anything is taken away: a check that is killed leaves it to the next one.

use super::{lines, system};
use crate::run::RunError;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Octets of a journal: two texts of a hosts file, escaped.
const MAX_BYTES: u64 = 128 << 20;

/// Permissions of group and others.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

/// One thing that has to be put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(super) enum Undo {
    /// A route that leads nowhere.
    Route {
        /// Where to.
        address: IpAddr,
    },
    /// IPv6 of an interface.
    Ipv6 {
        /// Which.
        interface: String,
    },
    /// Lines of a file.
    Lines {
        /// Which.
        file: Edited,
        /// Its text before.
        before: String,
        /// Its text afterwards.
        after: String,
    },
}

/// A file of the system whose lines are changed. No journal can name another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Edited {
    Hosts,
    Resolver,
}

impl Edited {
    pub(super) fn path(self) -> &'static Path {
        Path::new(match self {
            Self::Hosts => "/etc/hosts",
            Self::Resolver => "/etc/resolv.conf",
        })
    }
}

impl Undo {
    /// Puts it back.
    fn run(&self) -> Result<(), String> {
        match self {
            Self::Route { address } => system::unblock_route(*address),
            Self::Ipv6 { interface } if interface.contains('/') || interface.starts_with('.') => {
                Err(format!("{interface:?} is no name of an interface"))
            }
            Self::Ipv6 { interface } => system::set_ipv6(interface, false),
            Self::Lines { file, before, after } => {
                let now = lines::read(file.path())?;
                // Somebody else may have changed it since: then our lines alone are taken back.
                let text = if now == *after { before.clone() } else { lines::undone(&now) };
                if text == now { Ok(()) } else { lines::write(file.path(), &text) }
            }
        }
    }

    /// In words, for the user.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Route { address } => format!("the route to {address}"),
            Self::Ipv6 { interface } => format!("IPv6 of {interface}"),
            Self::Lines { file, .. } => format!("the lines of {}", file.path().display()),
        }
    }
}

/// The journal of this run. Its lock is held as long as the run lives.
pub(super) struct Journal {
    file: File,
    entries: Vec<Undo>,
}

impl Journal {
    /// Opens the journal for this run alone. What an earlier one left is to be undone before.
    pub(super) fn open() -> Result<Self, RunError> {
        Self::open_at(&path()?)
    }

    fn open_at(path: &Path) -> Result<Self, RunError> {
        let failed = |source| RunError::File { action: "open", path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            create_folder(folder).map_err(failed)?;
        }
        let file = private(path).map_err(failed)?;
        lock(&file, path)?;
        Ok(Self { file, entries: Vec::new() })
    }

    /// Writes down that this will have to be put back; only then may it be taken away.
    pub(super) fn add(&mut self, undo: Undo) -> Result<(), String> {
        self.entries.push(undo);
        self.write()
    }

    /// Puts back what was written down last, and forgets it where that went well.
    pub(super) fn undo_all(&mut self) -> Result<(), String> {
        let mut failed = Vec::new();
        let mut left = Vec::new();
        while let Some(undo) = self.entries.pop() {
            if let Err(why) = undo.run() {
                failed.push(why);
                left.push(undo);
            }
        }
        left.reverse();
        self.entries = left;
        if let Err(why) = self.write() {
            failed.push(why);
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    /// Forgets what was written down last: it was not taken away.
    pub(super) fn forget(&mut self) {
        self.entries.pop();
        // The entry that stays on disk undoes nothing that was not done.
        let _ = self.write();
    }

    fn write(&mut self) -> Result<(), String> {
        let text = serde_json::to_vec(&self.entries).map_err(|error| error.to_string())?;
        let write = |file: &mut File| {
            file.seek(SeekFrom::Start(0))?;
            file.set_len(0)?;
            file.write_all(&text)?;
            file.sync_all()
        };
        write(&mut self.file)
            .map_err(|error: io::Error| format!("the journal cannot be written: {error}"))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // In a panic, or on a way out that nobody thought of.
        let _ = self.undo_all();
    }
}

/// Puts back what a run that was killed has left; says what, a line each.
///
/// # Errors
/// `Disruption`: something cannot be put back, another run is at it, or the journal is not to be trusted.
pub fn undo_disruptions() -> Result<Vec<String>, RunError> {
    // Without a home there is no journal either.
    path().map_or_else(|_| Ok(Vec::new()), |path| undo_at(&path))
}

fn undo_at(path: &Path) -> Result<Vec<String>, RunError> {
    let failed = |source| RunError::File { action: "read", path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // A folder of root's, left by a run under sudo: what its journal holds is not this user's to put back.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(vec![format!(
                "{} is another user's and was not looked into; `sudo tunnelcheck --undo-disruptions` does",
                path.display()
            )]);
        }
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.is_file() => return Err(not_ours(path)),
        Ok(_) => {}
    }
    let mut file = private(path).map_err(failed)?;
    // Of what was opened: the name may lead elsewhere by now.
    if !is_ours_alone(&file).map_err(failed)? {
        return Err(not_ours(path));
    }
    lock(&file, path)?;
    let mut text = Vec::new();
    io::Read::by_ref(&mut file).take(MAX_BYTES).read_to_end(&mut text).map_err(failed)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<Undo> =
        serde_json::from_slice(&text).map_err(|error| RunError::Disruption {
            reason: format!("{} cannot be read: {error}", path.display()),
            remedy: "see what it names, put that back by hand, and remove the file".to_owned(),
        })?;
    let said = entries.iter().map(|undo| format!("put back: {}", undo.words())).collect();
    let mut journal = Journal { file, entries };
    match journal.undo_all() {
        Ok(()) => Ok(said),
        Err(why) => {
            // Dropping it would try once more.
            journal.entries.clear();
            Err(RunError::Disruption {
                reason: format!("what an earlier run disrupted cannot be put back: {why}"),
                remedy: "run it as that run was (sudo?): tunnelcheck --undo-disruptions".to_owned(),
            })
        }
    }
}

fn lock(file: &File, path: &Path) -> Result<(), RunError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(RunError::Disruption {
            reason: format!("another run is disrupting right now: it holds {}", path.display()),
            remedy: "wait for its end".to_owned(),
        }),
        Err(TryLockError::Error(source)) => {
            Err(RunError::File { action: "lock", path: path.to_owned(), source })
        }
    }
}

fn path() -> Result<PathBuf, RunError> {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty());
    let state = std::env::var_os("XDG_STATE_HOME").filter(|folder| !folder.is_empty());
    let folder = state
        .map(PathBuf::from)
        .or_else(|| home().map(|home| PathBuf::from(home).join(".local/state")));
    folder.map(|folder| folder.join("tunnelcheck/disruptions.json")).ok_or_else(|| {
        RunError::Disruption {
            reason: "there is no place for the journal of what is disrupted".to_owned(),
            remedy: "set HOME or XDG_STATE_HOME".to_owned(),
        }
    })
}

fn not_ours(path: &Path) -> RunError {
    RunError::Disruption {
        reason: format!("{} is not ours alone, so what it says is not done", path.display()),
        remedy: "see who wrote it, and remove it".to_owned(),
    }
}

/// Whether nobody but this user can have written the journal: as root we would do what it says.
#[cfg(unix)]
fn is_ours_alone(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let found = file.metadata()?;
    let own = tempfile::tempfile()?.metadata()?.uid();
    Ok(found.is_file() && found.uid() == own && found.mode() & OTHERS == 0)
}

#[cfg(not(unix))]
fn is_ours_alone(_: &File) -> io::Result<bool> {
    Ok(true)
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

#[cfg(unix)]
fn create_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_for_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/journal.json");
        let journal = Journal::open_at(&path).unwrap();
        assert!(Journal::open_at(&path).is_err());
        assert!(undo_at(&path).is_err());
        drop(journal);
        assert_eq!(undo_at(&path).unwrap(), Vec::<String>::new());
        assert_eq!(undo_at(&folder.path().join("none")).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn words_that_are_no_journal_are_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.json");
        for text in ["{", "[{\"what\":\"file\",\"path\":\"/etc/passwd\"}]", "null", "\u{0}"] {
            private(&path).unwrap().set_len(0).unwrap();
            private(&path).unwrap().write_all(text.as_bytes()).unwrap();
            assert!(undo_at(&path).is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_journal_that_others_may_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.json");
        private(&path).unwrap().write_all(b"[]").unwrap();
        assert!(undo_at(&path).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o622)).unwrap();
        assert!(undo_at(&path).unwrap_err().to_string().contains("not ours alone"));
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(undo_at(&link).is_err());
    }
}
