//! What can be wrong with a target, where, and what to do about it.

use std::fmt;

/// A line of a file, as it is shown: `tunnelcheck.toml:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as a person writes it: `~/.ssh/config`.
    pub file: String,
    /// 1-based; 0: the file as a whole.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Neither a target of a target file nor a Host of ssh_config.
    #[error("no target {name:?}")]
    UnknownTarget {
        /// What was asked for.
        name: String,
        /// The targets that there are.
        known: Vec<String>,
        /// The one that was perhaps meant.
        suggestion: Option<String>,
        /// The files that were looked into.
        searched: Vec<String>,
    },
}

impl TargetError {
    /// What the user can do.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        None
    }
}
