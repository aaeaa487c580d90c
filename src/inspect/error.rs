//! What the user must mend before anything can be searched.

use thiserror::Error;

/// Why a matcher cannot be made. Octets from the wire never make one of these.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// A text without a visible character.
    #[error("identifier \"{label}\" has an empty text")]
    EmptyIdentifier {
        /// Its label.
        label: String,
    },
    /// A text that would be found everywhere.
    #[error("identifier \"{label}\" has a text of {got} character, needed: {needed}")]
    ShortIdentifier {
        /// Its label.
        label: String,
        /// Characters that it has.
        got: usize,
        /// Characters that it needs.
        needed: usize,
    },
    /// A text beyond the bound.
    #[error("identifier \"{label}\" has a text of {got} octets, allowed: {limit}")]
    LongIdentifier {
        /// Its label.
        label: String,
        /// Octets that it has.
        got: usize,
        /// Octets that it may have.
        limit: usize,
    },
    /// More texts than are searched at once.
    #[error("{got} identifiers and tokens, allowed: {limit}")]
    TooManyIdentifiers {
        /// Texts that were given.
        got: usize,
        /// Texts that may be given.
        limit: usize,
    },
    /// More text than is searched at once.
    #[error("identifiers and tokens of {got} octets together, allowed: {limit}")]
    TooMuchText {
        /// Octets that were given.
        got: usize,
        /// Octets that may be given.
        limit: usize,
    },
}

impl InspectError {
    /// What the user can do about it.
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::EmptyIdentifier { .. } => {
                "remove the empty text from [target.NAME.identifiers] or from --identifier"
            }
            Self::ShortIdentifier { .. } => {
                "give a longer text in [target.NAME.identifiers] or with --identifier: a single character occurs in all traffic"
            }
            Self::LongIdentifier { .. } => {
                "give a shorter, still telling part of the text in [target.NAME.identifiers] or with --identifier"
            }
            Self::TooManyIdentifiers { .. } | Self::TooMuchText { .. } => {
                "give fewer texts in [target.NAME.identifiers], or split them over several targets and runs"
            }
        })
    }
}
