//! A file replaced as a whole: the new one is written beside it, on the disk, and then takes its name.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// Octets of a name and of a value of an extended attribute that are kept.
const MAX_ATTRIBUTE: usize = 64 << 10; // the kernel's own bound (xattr(7))

/// Why the file was not replaced.
pub(super) enum Refused {
    /// It can only be written in place: a mount point, or something of it would be lost.
    InPlaceAlone,
    /// The system's answer; the file is as it was.
    Failed(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Puts `octets` in the place of `path`, which `old` is open on: with its owner, permissions and attributes.
pub(super) fn replace(path: &Path, old: &File, octets: &[u8]) -> Result<(), Refused> {
    let new = sibling(path, "new");
    let done = write_new(&new, old, octets).and_then(|()| {
        std::fs::rename(&new, path).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy
            | io::ErrorKind::CrossesDevices
            | io::ErrorKind::PermissionDenied => Refused::InPlaceAlone,
            _ => Refused::Failed(error),
        })
    });
    if done.is_err() {
        let _ = std::fs::remove_file(&new);
        return done;
    }
    sync_folder(path);
    Ok(())
}

/// A copy of `octets` beside the file, readable to whom the file is, or none at all.
pub(super) fn keep_copy(copy: &Path, old: &File, octets: &[u8]) -> io::Result<()> {
    let new = sibling(copy, "new");
    let done = match write_new(&new, old, octets) {
        // Owner or attributes cannot be kept: then it is for us alone.
        Err(Refused::InPlaceAlone) => write_private(&new, octets),
        Err(Refused::Failed(error)) => Err(error),
        Ok(()) => Ok(()),
    };
    let done = done.and_then(|()| std::fs::rename(&new, copy));
    if done.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    done
}

/// A file that nobody else can read, on the disk; an older one of that name is taken away.
pub(super) fn write_private(path: &Path, octets: &[u8]) -> io::Result<()> {
    let _ = std::fs::remove_file(path);
    let written = create(path).and_then(|mut file| {
        file.write_all(octets)?;
        file.sync_all()
    });
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Takes away what an earlier run that was killed has left beside the file. For whoever holds the lock.
pub(super) fn clear(path: &Path) {
    let _ = std::fs::remove_file(sibling(path, "new"));
}

/// `.NAME.tunnelcheck-WHAT` beside a file.
pub(super) fn sibling(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".tunnelcheck-{what}"));
    path.with_file_name(name)
}

/// Makes the renames in the folder of `path` last.
pub(super) fn sync_folder(path: &Path) {
    // Some file systems do not sync folders; the names are then as safe as they can be.
    let _ = path.parent().map(|folder| File::open(folder).and_then(|folder| folder.sync_all()));
}

/// Never follows a link, never takes a file that is there, and is nobody else's until it is whole.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn write_new(new: &Path, old: &File, octets: &[u8]) -> Result<(), Refused> {
    let mut file = match create(new) {
        Ok(file) => file,
        // The folder is not ours to write in: the file may be, all the same.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            return Err(Refused::InPlaceAlone);
        }
        Err(error) => return Err(error.into()),
    };
    file.write_all(octets)?;
    let meta = old.metadata()?;
    let made = file.metadata()?;
    if (meta.uid(), meta.gid()) != (made.uid(), made.gid()) {
        fchown(&file, Some(meta.uid()), Some(meta.gid())).map_err(|_| Refused::InPlaceAlone)?;
    }
    // Attributes first: an access control list changes the group's bits.
    copy_attributes(old, &file)?;
    let bits = meta.permissions().mode() & 0o7777;
    file.set_permissions(std::fs::Permissions::from_mode(bits))?;
    file.sync_all()?;
    Ok(())
}

/// Extended attributes, among them access control lists and the label of SELinux.
fn copy_attributes(from: &File, to: &File) -> Result<(), Refused> {
    let mut list = vec![0; MAX_ATTRIBUTE];
    let len = match rustix::fs::flistxattr(from, &mut list[..]) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOSYS) => return Ok(()),
        Err(_) => return Err(Refused::InPlaceAlone),
    };
    list.truncate(len);
    let mut value = vec![0; MAX_ATTRIBUTE];
    for name in list.split(|octet| *octet == 0).filter(|name| !name.is_empty()) {
        let len =
            rustix::fs::fgetxattr(from, name, &mut value[..]).map_err(|_| Refused::InPlaceAlone)?;
        let wanted = value.get(..len).unwrap_or_default();
        let mut there = vec![0; wanted.len().max(1)];
        let is_there = rustix::fs::fgetxattr(to, name, &mut there[..])
            .is_ok_and(|len| there.get(..len) == Some(wanted));
        if !is_there {
            rustix::fs::fsetxattr(to, name, wanted, rustix::fs::XattrFlags::empty())
                .map_err(|_| Refused::InPlaceAlone)?;
        }
    }
    Ok(())
}
