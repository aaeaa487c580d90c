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
        #[from]
        source: serde_json::Error,
    },
}

impl ReportError {
    /// Whether the reader of the output has gone away (`| head`), which changes no exit status.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Write { source } => source.kind() == std::io::ErrorKind::BrokenPipe,
            Self::Encode { source } => {
                source.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe)
            }
        }
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
