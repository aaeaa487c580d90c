//! Why the machine would not say something.

use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why the machine would not say something.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MachineError {
    /// A file of the system cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A program of the system cannot be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program of the system did not end in time.
    #[error("{program} did not answer within {} s", waited.as_secs_f32())]
    Timeout {
        /// The program.
        program: String,
        /// How long it was given.
        waited: Duration,
    },
    /// A program of the system refused.
    #[error("{program} failed: {said}")]
    Failed {
        /// The program.
        program: String,
        /// What it said on standard error, one line.
        said: String,
    },
    /// This system is not known.
    #[error("{what} cannot be seen on this system")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
}

impl MachineError {
    /// What the user can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run it as root".to_owned())
            }
            Self::Failed { said, .. } if said.to_ascii_lowercase().contains("permitted") => {
                Some("run it as root".to_owned())
            }
            Self::Run { program, source } if source.kind() == io::ErrorKind::NotFound => {
                Some(format!("install {program}"))
            }
            _ => None,
        }
    }
}
