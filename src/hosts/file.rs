//! A hosts file on the disk: looked at, or changed as a whole.

use super::error::HostsError;
use super::journal::{self, Recovered};
use super::names::Alias;
use super::text;
use super::whole::{self, Refused};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Octets of a hosts file; the largest lists of blocked names have some ten million.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// How long another run may hold the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_CHECK: Duration = Duration::from_millis(20);
/// End of the name of the copy that is kept.
const BACKUP: &str = ".tunnelcheck-backup";

/// How a file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Not at all: it says already what it should.
    Unchanged,
    /// A new file has taken its name.
    Replaced,
    /// In place: it is a mount point, has several names, or could not be replaced with everything that belongs to it.
    InPlace,
}

/// What was done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file itself, behind all links.
    pub path: PathBuf,
    /// How it was written.
    pub how: How,
    /// Where the file as it was before any block lies, if that is kept.
    pub backup: Option<PathBuf>,
    /// A change of an earlier run that was cut short was undone first.
    pub recovered: bool,
}

/// The octets of a hosts file.
///
/// # Errors
/// `File`, `NotAFile`, `TooLarge`.
pub fn look(path: &Path) -> Result<Vec<u8>, HostsError> {
    let path = behind_links(path)?;
    let mut file = File::open(&path).map_err(|source| failed("open", &path, source))?;
    read(&path, &mut file)
}

/// Puts the block of `target` into the file, or brings it up to date.
///
/// # Errors
/// Every `HostsError`; but for `Torn` the file is as it was.
pub fn apply(path: &Path, target: &str, aliases: &[Alias]) -> Result<Edit, HostsError> {
    edit(path, |file| text::put(file, target, aliases))
}

/// Takes the block of `target` out of the file.
///
/// # Errors
/// As `apply`.
pub fn revert(path: &Path, target: &str) -> Result<Edit, HostsError> {
    edit(path, |file| text::take(file, target))
}

fn edit(
    path: &Path,
    change: impl FnOnce(&[u8]) -> Result<Vec<u8>, HostsError>,
) -> Result<Edit, HostsError> {
    let path = behind_links(path)?;
    let mut file = locked(&path)?;
    let mut old = read(&path, &mut file)?;
    let recovered = journal::recover(&path, &file, &old)? == Recovered::Undone;
    if recovered {
        old = read(&path, &mut file)?;
    }
    let new = change(&old)?;
    let in_place = is_tied(&file);
    let backup = backup_path(&path, &file, in_place)?;
    whole::clear(&path);
    whole::clear(&backup);
    if new == old {
        let backup = Some(backup).filter(|it| it.exists() && !is_needless(it, &new));
        return Ok(Edit { path, how: How::Unchanged, backup, recovered });
    }
    let backup = back_up(backup, &path, &file, &old)?;
    let replaced =
        if in_place { Err(Refused::InPlaceAlone) } else { whole::replace(&path, &file, &new) };
    let how = match replaced {
        Ok(()) => How::Replaced,
        Err(Refused::InPlaceAlone) => {
            journal::write_in_place(&path, &file, &old, &new)?;
            How::InPlace
        }
        Err(Refused::Failed(source)) => return Err(failed("write", &path, source)),
    };
    let backup = backup.filter(|backup| !is_needless(backup, &new));
    Ok(Edit { path, how, backup, recovered })
}

/// The file itself; a link to it stays a link.
fn behind_links(path: &Path) -> Result<PathBuf, HostsError> {
    let real = path.canonicalize().map_err(|source| failed("find", path, source))?;
    let meta = real.metadata().map_err(|source| failed("look at", &real, source))?;
    if meta.is_file() { Ok(real) } else { Err(HostsError::NotAFile { path: real }) }
}

/// Opens the file for this run alone.
fn locked(path: &Path) -> Result<File, HostsError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| failed("write", path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(LOCK_CHECK);
                continue;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(HostsError::Busy { path: path.to_path_buf() });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", path, source)),
        }
        // Whoever had the lock before may have put a new file in its place.
        let same =
            |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match (file.metadata(), path.metadata()) {
            (Ok(ours), Ok(there)) if same(&ours, &there) => return Ok(file),
            (Ok(_), Ok(_)) => {}
            (Err(source), _) | (_, Err(source)) => return Err(failed("look at", path, source)),
        }
    }
}

fn read(path: &Path, file: &mut File) -> Result<Vec<u8>, HostsError> {
    use std::io::Seek as _;
    let len = file.metadata().map_err(|source| failed("read", path, source))?.len();
    let too_large =
        |len| HostsError::TooLarge { path: path.to_path_buf(), len, limit: MAX_FILE_BYTES };
    if len > MAX_FILE_BYTES {
        return Err(too_large(len));
    }
    let mut octets = Vec::new();
    file.rewind()
        .and_then(|()| (&mut *file).take(MAX_FILE_BYTES + 1).read_to_end(&mut octets))
        .map_err(|source| failed("read", path, source))?;
    if octets.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(octets.len() as u64));
    }
    Ok(octets)
}

/// Whether another file in its place would not be the same: something is mounted on its name, or it has other names.
fn is_tied(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
        let found = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
        if found.is_ok_and(|it| it.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)) {
            return true;
        }
    }
    file.metadata().is_ok_and(|meta| meta.nlink() > 1)
}

/// Where the copy lies. Through a mount point several files may be seen under one name: each has a copy of its own.
fn backup_path(path: &Path, file: &File, in_place: bool) -> Result<PathBuf, HostsError> {
    let meta = file.metadata().map_err(|source| failed("look at", path, source))?;
    let mut name = OsString::from(path.file_name().unwrap_or_default());
    name.push(BACKUP);
    if in_place {
        name.push(format!("-{:x}", meta.ino()));
    }
    Ok(path.with_file_name(name))
}

/// Keeps the file as it is, if no block is in it yet.
fn back_up(
    backup: PathBuf,
    path: &Path,
    file: &File,
    octets: &[u8],
) -> Result<Option<PathBuf>, HostsError> {
    if text::has_blocks(octets) {
        return Ok(backup.exists().then_some(backup));
    }
    match whole::keep_copy(&backup, file, octets) {
        Ok(()) => {
            whole::sync_folder(&backup);
            Ok(Some(backup))
        }
        // The folder is not ours to write in: the journal is kept elsewhere, and the block alone is taken out again.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(failed("keep a copy of", path, source)),
    }
}

/// Takes the copy away where the file is again what the copy is.
fn is_needless(backup: &Path, octets: &[u8]) -> bool {
    !text::has_blocks(octets)
        && std::fs::read(backup).is_ok_and(|kept| kept == octets)
        && std::fs::remove_file(backup).is_ok()
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> HostsError {
    HostsError::File { action, path: path.to_path_buf(), source }
}
