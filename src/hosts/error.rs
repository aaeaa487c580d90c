//! Why a hosts file was left as it was.

use super::text::Conflict;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use thiserror::Error;

/// Why a hosts file was left as it was, or what is left of it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostsError {
    /// The file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `open`, `read`, `write`, ...
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A folder, a device, a pipe.
    #[error("{} is no regular file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// Longer than any hosts file.
    #[error("{} has {len} octets, more than the {limit} of any hosts file", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its octets.
        len: u64,
        /// The bound.
        limit: u64,
    },
    /// Another program holds the file locked.
    #[error("another program is changing {}", path.display())]
    Busy {
        /// Which.
        path: PathBuf,
    },
    /// The marks of a block do not fit together.
    #[error("line {line} of the hosts file: {what}")]
    Damaged {
        /// Line of the mark, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Somebody has changed what stands between the marks.
    #[error(
        "the block of target \"{target}\", lines {first} to {last} of the hosts file, was changed by hand"
    )]
    Edited {
        /// The target, as the mark writes it.
        target: String,
        /// Line of its begin.
        first: usize,
        /// Line of its end.
        last: usize,
    },
    /// A line of somebody else leads one of the names elsewhere.
    #[error("{}", shown(conflicts))]
    Foreign {
        /// Each such line.
        conflicts: Vec<Conflict>,
    },
    /// Two services want the same name to lead to different addresses.
    #[error(
        "the name \"{name}\" belongs to service \"{first}\" at {first_address} and to service \"{second}\" at {second_address}"
    )]
    NameTwice {
        /// The name.
        name: String,
        /// The one that has it.
        first: String,
        /// Where that one listens.
        first_address: IpAddr,
        /// The one that wants it too.
        second: String,
        /// Where that one listens.
        second_address: IpAddr,
    },
    /// An earlier change was cut short, and somebody has changed the file since.
    #[error(
        "an earlier change of {} was cut short, and the file was changed since; {} keeps what it was",
        path.display(), journal.display()
    )]
    CutShort {
        /// The hosts file.
        path: PathBuf,
        /// What was kept.
        journal: PathBuf,
    },
    /// The file could neither be written nor put back.
    #[error(
        "{} could not be written ({cause}) nor put back as it was; {} keeps what it was",
        path.display(), journal.display()
    )]
    Torn {
        /// The hosts file.
        path: PathBuf,
        /// What was kept.
        journal: PathBuf,
        /// Why it could not be written.
        cause: String,
        /// Why it could not be put back.
        #[source]
        source: io::Error,
    },
}

impl HostsError {
    /// What the user can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::File { source, path, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => format!(
                    "run it with sudo, or name a file of your own with --hosts-file; for root, see whether `lsattr {}` shows an i",
                    path.display()
                ),
                io::ErrorKind::ReadOnlyFilesystem => {
                    "the file is on a read-only file system: on NixOS write the lines that --show prints into networking.extraHosts, in a container give them to --add-host".to_owned()
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "make room on that file system; the hosts file is as it was".to_owned()
                }
                io::ErrorKind::NotFound => {
                    "name the hosts file with --hosts-file, or create an empty one".to_owned()
                }
                _ => return None,
            },
            Self::NotAFile { .. } | Self::TooLarge { .. } => {
                "name the hosts file with --hosts-file".to_owned()
            }
            Self::Busy { .. } => "wait until the other `tunnelcheck hosts` has ended".to_owned(),
            Self::Damaged { line, .. } => format!(
                "look at the file around line {line} and take out by hand what tunnelcheck left there; nothing was changed"
            ),
            Self::Edited { first, last, .. } => format!(
                "move your own lines out of lines {first} to {last} and delete the rest of them by hand, then try again; nothing was changed"
            ),
            Self::Foreign { conflicts } => {
                let lines: BTreeSet<usize> = conflicts.iter().map(|conflict| conflict.line).collect();
                let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
                format!(
                    "take the names out of line {}, not the line where others stand in it, then try again \
                     (`tunnelcheck diagnose TARGET` prints the commands); nothing was changed",
                    lines.join(", ")
                )
            }
            Self::NameTwice { second, first_address, .. } => format!(
                "give service \"{second}\" a `listen` on {first_address} too, or take the name out of its `aliases`"
            ),
            Self::CutShort { journal, .. } => format!(
                "look at the hosts file, mend it by hand, then delete {}",
                journal.display()
            ),
            Self::Torn { .. } => {
                "make room or mend the file system, then run the same command again: it puts the file back first".to_owned()
            }
        })
    }
}

/// Conflicts that a message names.
const MAX_SHOWN: usize = 8;

fn shown(conflicts: &[Conflict]) -> String {
    let mut lines: Vec<String> =
        conflicts.iter().take(MAX_SHOWN).map(ToString::to_string).collect();
    if conflicts.len() > MAX_SHOWN {
        lines.push(format!("and {} more", conflicts.len() - MAX_SHOWN));
    }
    lines.join("; ")
}
