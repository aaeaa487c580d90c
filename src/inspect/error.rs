//! Errors of the inspect room. Octets from the wire are never an error here.

/// Why a search could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The patterns of the identifiers do not fit into one automaton.
    #[error("cannot build the search for {patterns} patterns: {reason}")]
    Patterns {
        /// How many patterns there were.
        patterns: usize,
        /// What the builder of the automaton said.
        reason: String,
    },
}

impl InspectError {
    /// What the user can do about it.
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Patterns { .. } => Some("name fewer or shorter identifiers in the target file"),
        }
    }
}
