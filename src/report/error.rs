//! What can go wrong while a report is written.

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The output does not take it.
    #[error("cannot write the report")]
    Write {
        /// Why.
        #[from]
        source: std::io::Error,
    },
    /// JSON cannot be made of it.
    #[error("cannot encode the report as JSON")]
    Encode {
        /// Why.
        source: serde_json::Error,
    },
}

/// serde_json hides an error of the output among its own.
impl From<serde_json::Error> for ReportError {
    fn from(source: serde_json::Error) -> Self {
        if source.is_io() { Self::Write { source: source.into() } } else { Self::Encode { source } }
    }
}

impl ReportError {
    /// Whether the reader of the output has gone away (`| head`), which changes no exit status.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// What the user can do.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Write { .. } if !self.is_broken_pipe() => {
                Some("write to another place with --output FILE")
            }
            _ => None,
        }
    }
}
