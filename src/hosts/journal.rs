//! A file written in place, where it cannot be replaced: what it was is kept first, so that a change that was cut short
//! is undone by the next run.

use super::error::HostsError;
use super::whole::write_private;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"tunnelcheck hosts journal 1\n";
const SUM_BYTES: usize = 32; // SHA-256
const LEN_BYTES: usize = 8; // big-endian

/// What an earlier run has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovered {
    /// Nothing.
    Nothing,
    /// A change that was cut short; the file is again what it was before.
    Undone,
}

/// Where the journal of `path` lies: beside it, else in the folder for temporary files.
pub(super) fn places(path: &Path, file: &File) -> io::Result<[PathBuf; 2]> {
    let meta = file.metadata()?;
    let name = format!(".hosts.tunnelcheck-journal-{:x}-{:x}", meta.dev(), meta.ino());
    Ok([path.with_file_name(&name), std::env::temp_dir().join(name)])
}

/// Writes `new` over `old`, the octets of `file`: all of it, or none.
///
/// # Errors
/// `File`: it is as it was. `Torn`: it could not be put back, and the journal is kept.
pub(super) fn write_in_place(
    path: &Path,
    file: &File,
    old: &[u8],
    new: &[u8],
) -> Result<(), HostsError> {
    let failed = |source| HostsError::File { action: "write", path: path.to_path_buf(), source };
    reserve(file, old.len(), new.len()).map_err(failed)?;
    let journal = write_journal(path, file, old, new).map_err(failed)?;
    if let Err(cause) = overwrite(file, old, new) {
        if let Err(source) = overwrite(file, new, old) {
            return Err(HostsError::Torn {
                path: path.to_path_buf(),
                journal,
                cause: cause.to_string(),
                source,
            });
        }
        let _ = std::fs::remove_file(&journal);
        return Err(failed(cause));
    }
    let _ = std::fs::remove_file(&journal);
    Ok(())
}

/// Undoes what a run that was killed has left half done.
///
/// # Errors
/// `File`; `CutShort`: somebody has changed the file since.
pub(super) fn recover(path: &Path, file: &File, now: &[u8]) -> Result<Recovered, HostsError> {
    let failed = |source| HostsError::File { action: "recover", path: path.to_path_buf(), source };
    for journal in places(path, file).map_err(failed)? {
        let Some((old, new)) = read_journal(&journal) else { continue };
        let is_done = now == old || now == new;
        if !is_done && !is_torn(now, &old, &new) {
            return Err(HostsError::CutShort { path: path.to_path_buf(), journal });
        }
        if !is_done {
            overwrite(file, now, &old).map_err(failed)?;
        }
        std::fs::remove_file(&journal).map_err(failed)?;
        if !is_done {
            return Ok(Recovered::Undone);
        }
    }
    Ok(Recovered::Nothing)
}

/// Octets from the first difference on, then the length: what is appended goes with one call, what is taken from the
/// end with none but the cut.
fn overwrite(file: &File, old: &[u8], new: &[u8]) -> io::Result<()> {
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    file.write_all_at(new.get(same..).unwrap_or_default(), same as u64)?;
    // Cuts off a part of a longer version, too, that an earlier call has left.
    file.set_len(new.len() as u64)?;
    file.sync_all()
}

/// Asks for the room first, so that a full disk is felt before anything is changed.
#[cfg(target_os = "linux")]
fn reserve(file: &File, old: usize, new: usize) -> io::Result<()> {
    if new > old {
        use rustix::fs::{FallocateFlags, fallocate};
        let room = fallocate(file, FallocateFlags::KEEP_SIZE, old as u64, (new - old) as u64);
        // Other answers: this file system cannot say.
        if let Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) = room {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Elsewhere nothing can be asked for: a full disk is felt when the file is written, and that is undone.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it may fail")]
fn reserve(_: &File, _: usize, _: usize) -> io::Result<()> {
    Ok(())
}

/// Whether `now` can be the file in the middle of a change: each octet that of the one version or of the other.
fn is_torn(now: &[u8], old: &[u8], new: &[u8]) -> bool {
    let shortest = old.len().min(new.len());
    let longest = old.len().max(new.len());
    (shortest..=longest).contains(&now.len())
        && now
            .iter()
            .enumerate()
            .all(|(at, octet)| old.get(at) == Some(octet) || new.get(at) == Some(octet))
}

fn write_journal(path: &Path, file: &File, old: &[u8], new: &[u8]) -> io::Result<PathBuf> {
    let mut octets = MAGIC.to_vec();
    for version in [old, new] {
        octets.extend_from_slice(&(version.len() as u64).to_be_bytes());
        octets.extend_from_slice(version);
    }
    octets.extend_from_slice(&Sha256::digest(&octets));
    let [beside, elsewhere] = places(path, file)?;
    match write_private(&beside, &octets) {
        Ok(()) => Ok(beside),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            write_private(&elsewhere, &octets).map(|()| elsewhere)
        }
        Err(error) => Err(error),
    }
}

/// Both versions; none where there is no journal, where it was not finished (then nothing was begun), or where another
/// user wrote it.
fn read_journal(path: &Path) -> Option<(Vec<u8>, Vec<u8>)> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut file = OpenOptions::new().read(true).custom_flags(no_follow).open(path).ok()?;
    let meta = file.metadata().ok()?;
    let is_own = meta.uid() == rustix::process::geteuid().as_raw();
    if !meta.is_file() || !is_own || meta.mode() & 0o077 != 0 {
        return None;
    }
    let mut octets = Vec::new();
    file.read_to_end(&mut octets).ok()?;
    let parsed = parse_journal(&octets);
    if parsed.is_none() {
        let _ = std::fs::remove_file(path);
    }
    parsed
}

fn parse_journal(octets: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (content, sum) = octets.split_at_checked(octets.len().checked_sub(SUM_BYTES)?)?;
    if Sha256::digest(content).as_slice() != sum {
        return None;
    }
    let (old, rest) = take_version(content.strip_prefix(MAGIC)?)?;
    let (new, rest) = take_version(rest)?;
    rest.is_empty().then(|| (old.to_vec(), new.to_vec()))
}

fn take_version(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = octets.split_at_checked(LEN_BYTES)?;
    let len = u64::from_be_bytes(len.try_into().ok()?);
    rest.split_at_checked(usize::try_from(len).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::io::Write as _;

    fn open(path: &Path) -> File {
        OpenOptions::new().read(true).write(true).open(path).unwrap()
    }

    proptest! {
        #[test]
        fn whatever_moment_a_change_is_cut_short_it_is_undone(
            old in proptest::collection::vec(0_u8..4, 0..40),
            new in proptest::collection::vec(0_u8..4, 0..40),
            cut in 0_usize..80,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("hosts");
            fs::write(&path, &old).unwrap();
            let file = open(&path);
            let journal = write_journal(&path, &file, &old, &new).unwrap();
            // The write goes on from the first difference; the kill comes after some octets of it.
            let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
            let end = (same + cut).min(new.len());
            file.write_all_at(&new[same..end.max(same)], same as u64).unwrap();
            let now = fs::read(&path).unwrap();
            let found = recover(&path, &file, &now).unwrap();
            let after = fs::read(&path).unwrap();
            prop_assert!(after == old || after == new);
            prop_assert_eq!(found == Recovered::Undone, now != old && now != new);
            prop_assert!(!journal.exists());
        }

        #[test]
        fn a_journal_that_is_cut_or_changed_is_none(
            old in proptest::collection::vec(any::<u8>(), 0..40), at in 0_usize..200,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("hosts");
            fs::write(&path, &old).unwrap();
            let journal = write_journal(&path, &open(&path), &old, b"new").unwrap();
            let mut octets = fs::read(&journal).unwrap();
            prop_assert!(parse_journal(&octets) == Some((old.clone(), b"new".to_vec())));
            prop_assert_eq!(parse_journal(&octets[..at.min(octets.len() - 1)]), None);
            let at = at % octets.len();
            octets[at] ^= 1;
            prop_assert_eq!(parse_journal(&octets), None);
        }
    }

    #[test]
    fn a_write_that_fails_and_cannot_be_undone_keeps_the_journal_for_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, "old").unwrap();
        // Open for reading alone: neither the change nor its undoing can be written.
        let error = write_in_place(&path, &File::open(&path).unwrap(), b"old", b"new").unwrap_err();
        let HostsError::Torn { journal, .. } = &error else { panic!("{error}") };
        assert!(journal.exists() && error.remedy().unwrap().contains("puts the file back first"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        fs::write(&path, "nld").unwrap();
        assert_eq!(recover(&path, &open(&path), b"nld").unwrap(), Recovered::Undone);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(!journal.exists());
        // Nothing could be changed, and nothing is left.
        let missing = folder.path().join("nowhere/hosts");
        let error = write_in_place(&missing, &open(&path), b"old", b"new").unwrap_err();
        assert!(matches!(error, HostsError::File { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_file_that_somebody_changed_since_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, "old").unwrap();
        let file = open(&path);
        let journal = write_journal(&path, &file, b"old", b"new").unwrap();
        let mut other = open(&path);
        other.write_all(b"xyz").unwrap();
        let error = recover(&path, &file, b"xyz").unwrap_err();
        assert!(error.remedy().unwrap().contains(journal.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"xyz");
    }

    #[test]
    fn a_journal_that_others_can_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, "olw").unwrap();
        let file = open(&path);
        let journal = write_journal(&path, &file, b"old", b"new").unwrap();
        fs::set_permissions(&journal, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(recover(&path, &file, b"olw").unwrap(), Recovered::Nothing);
        assert_eq!(fs::read(&path).unwrap(), b"olw");
    }
}
