//! Everything that a judgement rests on.

use super::scope::Met;
use crate::model::{
    Class, ConnSummary, ControlRecord, Coverage, Hit, InterfaceRecord, MachineRecord, NameAnswer,
    Target, TokenSighting, TunnelRecord, WindowRecord,
};
use std::collections::BTreeMap;
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

/// What is known of the conns that a `Sieve` did not keep. The default: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Conns by class, kept ones among them; none where no sieve was used.
    pub classes: BTreeMap<Class, u64>,
    /// Conns that were counted and not kept; nothing that a claim asks of them is open.
    pub folded: u64,
    /// Conns that were not kept although a claim asks something of them.
    pub unjudged: u64,
    /// Octets missing from folded conns, none of which hides anything.
    pub missed_in_seal: u64,
    /// Conflicting octets of folded conns, likewise.
    pub conflict_in_seal: u64,
    /// Hits that inspect did not keep, of conns that are not kept.
    pub hits_omitted: u64,
    /// Hits of folded conns that break nothing and would have been listed.
    pub explained: u64,
    pub(super) met: Option<Met>,
}

/// One target, and everything that was seen and missed while it was watched.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What is to be proven encrypted.
    pub target: &'a Target,
    /// Where the frames came from.
    pub source: Source,
    /// The conns of the capture that matter, in the order of their first frame: see `Sieve`.
    pub conns: &'a [ConnSummary],
    /// What is known of the others.
    pub rest: &'a Rest,
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
    /// Phases, disruptions and vantages of the run. tunnelcheck's own other conns are among it, by their exact ends: they
    /// are listed, and no bypass.
    pub window: &'a WindowRecord,
    /// Live: what the watched machine said of who opens connections. It explains, and decides nothing.
    pub machine: Option<&'a MachineRecord>,
}
