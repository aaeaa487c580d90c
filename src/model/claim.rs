//! The claims that are judged, and the three answers.

use std::fmt;

/// Part of what `--expect-encrypted` asserts; judged by itself. MISSION section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimKind {
    /// The SSH transport came up to the right host and stayed up (live).
    Tunnel,
    /// The connection to the gateway is encrypted and carries data both ways.
    Carried,
    /// No packet between the client and a service except through the tunnel.
    NoBypass,
    /// No identifier, in any encoding, anywhere on the wire.
    NoIdentifier,
    /// No cleartext protocol on the conns in scope.
    NoCleartext,
    /// Names of the target's hosts beside the encrypted content.
    Metadata,
}

impl ClaimKind {
    /// All, in the order of the report.
    pub const ALL: [Self; 6] = [
        Self::Tunnel,
        Self::Carried,
        Self::NoBypass,
        Self::NoIdentifier,
        Self::NoCleartext,
        Self::Metadata,
    ];
}

impl fmt::Display for ClaimKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tunnel => "tunnel",
            Self::Carried => "carried",
            Self::NoBypass => "no-bypass",
            Self::NoIdentifier => "no-identifier",
            Self::NoCleartext => "no-cleartext",
            Self::Metadata => "metadata",
        })
    }
}

/// The answer. Ordered from best to worst; the verdict of several is the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Every claim holds over complete coverage.
    Pass,
    /// Anything else.
    Inconclusive,
    /// A claim is broken.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Fail => "FAIL",
        })
    }
}
