//! Everything that a judgement rests on.

use crate::model::{
    ConnId, ConnSummary, ControlRecord, Coverage, Hit, InterfaceRecord, NameAnswer, Target,
    TokenSighting, TunnelRecord,
};
use std::net::IpAddr;

/// Where the frames came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Watched as it happened.
    Live,
    /// Read from files.
    Recording {
        /// Made by tunnelcheck: it holds the control, the drop counters and the phases of its run.
        own: bool,
        /// Its end was written properly. Means nothing where `own` is false.
        closed: bool,
    },
}

impl Source {
    /// Whether tunnelcheck itself watched: the control and the drop counters are then asked for.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Live | Self::Recording { own: true, .. })
    }
}

/// One target, and everything that was seen and missed while it was watched.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What is to be proven encrypted.
    pub target: &'a Target,
    /// Where the frames came from.
    pub source: Source,
    /// Every conn of the capture, in the order of their first frame.
    pub conns: &'a [ConnSummary],
    /// Hits in frames that belong to no conn.
    pub raw_hits: &'a [Hit],
    /// Names that were answered with addresses.
    pub names: &'a [NameAnswer],
    /// What was not seen.
    pub coverage: &'a Coverage,
    /// What tunnelcheck itself sent; empty for somebody else's recording.
    pub control: &'a ControlRecord,
    /// Where control tokens were found.
    pub sightings: &'a [TokenSighting],
    /// The tunnel that was brought up, live or as kept in an own recording.
    pub tunnel: Option<&'a TunnelRecord>,
    /// The interfaces, in the order of their `interface_id`.
    pub interfaces: &'a [InterfaceRecord],
    /// Warnings break their claims.
    pub strict: bool,
    /// Live: the addresses of the watched machine. Used where the target names no client.
    pub client_addresses: &'a [IpAddr],
    /// tunnelcheck's own other conns, by their exact ends; listed, and no bypass.
    pub excluded: &'a [ConnId],
}
