//! One process for each target: a lock that ends with it, however it ends, and its state beside the lock.

use super::status::KeepStatus;
use crate::hosts::file_name;
use crate::run::RunError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest name of a target that is a file's as it stands; of longer ones the sum.
const MAX_NAME: usize = 100;
/// How long whoever asks for the state may hold the lock.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
/// How long a process that has just begun may take to write its state.
const STATE_PATIENCE: Duration = Duration::from_secs(1);
const CHECK: Duration = Duration::from_millis(20);
/// Octets of a state; more is none of ours.
const MAX_STATE_BYTES: u64 = 4 << 20;

/// The right to keep a target's tunnel up.
pub(super) struct Claim {
    lock: PathBuf,
    state: PathBuf,
    _held: File,
}

/// What another process finds.
pub(super) enum Found {
    /// Nobody keeps it up.
    Nobody,
    /// Somebody does.
    Running {
        /// Its process.
        pid: Option<u32>,
        /// Its state.
        state: Value,
    },
}

impl Claim {
    /// Takes the right, if nobody has it.
    pub(super) fn take(target: &str) -> Result<Self, RunError> {
        let taken = |pid| RunError::AlreadyKept { target: target.to_owned(), pid };
        if let Found::Running { pid, .. } = find(target)? {
            return Err(taken(pid));
        }
        let folder = own_folder()?;
        let (lock, state) = paths(&folder, target);
        let failed = |source| RunError::File { action: "lock", path: lock.clone(), source };
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(&lock)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(CHECK);
                    continue;
                }
                Err(TryLockError::WouldBlock) => return Err(taken(pid_in(&mut file))),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // One that ended in this moment has taken its lock away.
            if !is_same(&file, &lock) {
                continue;
            }
            let _ = fs::remove_file(&state);
            file.set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()))
                .map_err(failed)?;
            return Ok(Self { lock, state, _held: file });
        }
    }

    /// Writes the state, as a whole.
    pub(super) fn write(&self, status: &KeepStatus) -> Result<(), RunError> {
        let new = self.state.with_extension("new");
        let failed = |source| RunError::File { action: "write", path: self.state.clone(), source };
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&new)
            .map_err(failed)?;
        writeln!(file, "{}", status.json()).map_err(failed)?;
        fs::rename(&new, &self.state).map_err(failed)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.state.with_extension("new"));
        let _ = fs::remove_file(&self.state);
        // Still locked: whoever opened it meanwhile sees that it is gone.
        let _ = fs::remove_file(&self.lock);
    }
}

/// Looks for a process that keeps the tunnel of `target` up.
pub(super) fn find(target: &str) -> Result<Found, RunError> {
    for folder in folders() {
        let (lock, state) = paths(&folder, target);
        let mut file = match File::open(&lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && lock.exists() => {
                return Err(RunError::File { action: "read", path: lock, source: error });
            }
            Err(_) => continue,
        };
        // A lock that nobody holds was left by a process that was killed.
        if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            continue;
        }
        let pid = pid_in(&mut file);
        let deadline = Instant::now() + STATE_PATIENCE;
        loop {
            match read_state(&state) {
                Ok(state) => return Ok(Found::Running { pid, state }),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(RunError::File { action: "read", path: state, source: error });
                }
                Err(_) if Instant::now() < deadline => std::thread::sleep(CHECK),
                Err(_) if !is_same(&file, &lock) => break,
                Err(_) => {
                    let state = json!({"target": target, "pid": pid, "state": "connecting"});
                    return Ok(Found::Running { pid, state });
                }
            }
        }
    }
    Ok(Found::Nobody)
}

fn read_state(path: &Path) -> io::Result<Value> {
    let mut text = String::new();
    File::open(path)?.take(MAX_STATE_BYTES).read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(io::Error::other)
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn is_same(file: &File, path: &Path) -> bool {
    let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((file.metadata(), path.metadata()), (Ok(a), Ok(b)) if same(&a, &b))
}

fn paths(folder: &Path, target: &str) -> (PathBuf, PathBuf) {
    let mut name = file_name(target);
    if name.len() > MAX_NAME {
        name = data_encoding::HEXLOWER.encode(&Sha256::digest(target));
    }
    (folder.join(format!("{name}.lock")), folder.join(format!("{name}.json")))
}

const SYSTEM_FOLDER: &str = if cfg!(target_os = "linux") { "/run" } else { "/var/run" };

/// Where a state may be, the user's own place first.
fn folders() -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let mut folders = Vec::new();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // XDG Base Directory Specification: it must be the user's own. Under sudo it may be somebody else's.
    let is_own = |path: &PathBuf| {
        path.is_absolute() && path.metadata().is_ok_and(|it| it.is_dir() && it.uid() == user)
    };
    folders.extend(runtime.filter(is_own).map(|path| path.join("tunnelcheck")));
    folders.push(Path::new(SYSTEM_FOLDER).join("tunnelcheck"));
    folders.push(std::env::temp_dir().join(format!("tunnelcheck-{user}")));
    folders
}

/// The first of the folders that is, or can be made, ours alone to write in.
fn own_folder() -> Result<PathBuf, RunError> {
    let mut refused = (PathBuf::new(), io::Error::from(io::ErrorKind::NotFound));
    for folder in folders() {
        // Others may see in the system's folder that there is a tunnel; what it does is in files of 0600.
        let bits = if folder.starts_with(SYSTEM_FOLDER) { 0o755 } else { 0o700 };
        let made = match DirBuilder::new().mode(bits).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => check(&folder),
        };
        match made {
            Ok(()) => return Ok(folder),
            Err(source) => refused = (folder, source),
        }
    }
    let (path, source) = refused;
    Err(RunError::File { action: "use", path, source })
}

/// A folder of ours that nobody else can write in.
fn check(folder: &Path) -> io::Result<()> {
    let meta = folder.symlink_metadata()?;
    let is_own = meta.uid() == rustix::process::geteuid().as_raw();
    if meta.is_dir() && is_own && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a folder of this user alone"))
}
