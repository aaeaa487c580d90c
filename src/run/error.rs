//! What can keep a run from giving a verdict.

use crate::inspect::InspectError;
use crate::source::SourceError;
use std::path::PathBuf;

/// Why a run could not be carried out. Never about octets of the wire: those are counted in Coverage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A source could not be opened or read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The identifiers cannot be searched.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The tunnel did not come up.
    #[cfg(feature = "tunnel")]
    #[error(transparent)]
    Tunnel(#[from] crate::tunnel::TunnelError),
    /// The target asks for something this build cannot do.
    #[error("target {target:?} needs the {feature} feature, which this program was built without")]
    Feature {
        /// The target.
        target: String,
        /// The feature.
        feature: &'static str,
    },
    /// The gateway's name has no address.
    #[error("cannot resolve the gateway {host:?} of target {target:?}")]
    Resolve {
        /// The target.
        target: String,
        /// The name.
        host: String,
    },
    /// No interface leads to the target.
    #[error("cannot tell which interface leads to target {target:?}")]
    NoInterface {
        /// The target.
        target: String,
    },
    /// The command that makes the traffic could not be started.
    #[error("cannot start the command {command:?}")]
    Command {
        /// Its name.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `create`, `write`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another machine does not show its frames.
    #[error("cannot watch from {place}: {reason}")]
    Vantage {
        /// Which, `user@host`.
        place: String,
        /// Why, in its words.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// A disruption cannot be undone, or another run is at it.
    #[error("{reason}")]
    Disruption {
        /// Why.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The system gave no random octets.
    #[error("the system gave no random octets for the control: {detail}")]
    Random {
        /// In its words.
        detail: String,
    },
    /// A thread of the run panicked: an error of the program, never a PASS.
    #[error("the {thread} thread ended in an error of the program")]
    Thread {
        /// Which.
        thread: &'static str,
    },
    /// The threads that read a recording did not read the same.
    #[error("a capture changed while it was read")]
    Changed,
    /// A manifest of a suite cannot be used.
    #[error("{}: {detail}", path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The summaries of conns could not be kept on disk.
    #[error("cannot keep the list of conns in a temporary file")]
    Archive {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process keeps the tunnel up.
    #[error("the tunnel of {target:?} is kept up already{}", by_process(*pid))]
    AlreadyKept {
        /// The target.
        target: String,
        /// That process.
        pid: Option<u32>,
    },
    /// There is no tunnel of ours to bring up.
    #[error("target {target:?} has no tunnel that tunnelcheck could bring up")]
    NotBuiltin {
        /// The target.
        target: String,
    },
    /// The user ended the run before there was a verdict.
    #[error("interrupted before a verdict")]
    Interrupted,
}

impl RunError {
    /// What the user can do.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.remedy(),
            Self::Inspect(error) => error.remedy().map(str::to_owned),
            #[cfg(feature = "tunnel")]
            Self::Tunnel(error) => error.remedy(),
            Self::Feature { feature, .. } => {
                Some(format!("build with `cargo build --release --features {feature}`"))
            }
            Self::Resolve { .. } => Some(
                "write the address into the target: gateway_address = [\"192.0.2.1\"]".to_owned(),
            ),
            Self::Vantage { remedy, .. } | Self::Disruption { remedy, .. } => {
                Some(remedy.clone()).filter(|remedy| !remedy.is_empty())
            }
            Self::NoInterface { .. } => Some("name the interface: -i eth0".to_owned()),
            Self::Command { .. } => {
                Some("what follows -- is a program and its arguments, not a shell line".to_owned())
            }
            Self::Manifest { .. } => Some(
                "docs/target.md and docs/verdicts.md describe the keys of a manifest".to_owned(),
            ),
            Self::AlreadyKept { target, .. } => Some(format!(
                "`tunnelcheck tunnel {target} --status` shows its state; end that process first"
            )),
            Self::NotBuiltin { .. } => Some(
                "say tunnel = \"builtin\" and a gateway in the target, or --tunnel builtin"
                    .to_owned(),
            ),
            Self::Archive { .. } => Some(
                "make room in the temporary folder, or name another one: TMPDIR=/var/tmp"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn by_process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}
