//! The control: proof that the sniffer can see. MISSION section 3.

use super::conn::Uid;
use super::frame::{FrameRef, Timestamp};
use super::identifier::Encoding;
use std::fmt;

/// A part of the watched window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The capture runs, the tunnel is not up yet.
    Before,
    /// The tunnel is up and the traffic under test may run.
    During,
    /// The traffic under test has ended, the capture still runs.
    After,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        })
    }
}

/// Which way a control token was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlPath {
    /// In the clear, out of a watched interface: must be found.
    Clear,
    /// Through the tunnel: must never be found.
    Tunnel,
}

impl fmt::Display for ControlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "clear",
            Self::Tunnel => "tunnel",
        })
    }
}

/// A random text that tunnelcheck itself sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlToken {
    /// When it was to be sent.
    pub phase: Phase,
    /// Which way.
    pub path: ControlPath,
    /// Interface it was to leave by, for `ControlPath::Clear`: index into the interfaces of the run.
    pub interface_id: u32,
    /// The text.
    pub token: String,
    /// When it was sent; none if it was not, or not yet.
    pub sent: Option<Timestamp>,
}

/// A control token found in the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSighting {
    /// The text.
    pub token: String,
    /// The conn that carried it.
    pub uid: Option<Uid>,
    /// Where.
    pub at: FrameRef,
    /// Interface that saw it.
    pub interface_id: u32,
    /// How it was written.
    pub encoding: Encoding,
}

/// When a phase began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseMark {
    /// The phase.
    pub phase: Phase,
    /// Its first instant.
    pub start: Timestamp,
}

/// The control of a run: what was sent, and the phases. Empty for a recording that holds none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlRecord {
    /// What was to be sent.
    pub tokens: Vec<ControlToken>,
    /// When the phases began.
    pub phases: Vec<PhaseMark>,
}
