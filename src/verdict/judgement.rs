//! What is answered, claim by claim, with the reasons.

use super::cause::Bypass;
use crate::model::{ClaimKind, ConnId, ControlPath, FrameRef, Hit, Phase, Timestamp, Uid, Verdict};
use std::fmt;

/// How a claim fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The claim asks nothing of this target.
    NotApplicable,
    /// It holds.
    Holds,
    /// It holds, with a remark; broken under `--strict`.
    Warned,
    /// It can neither be shown to hold nor to be broken.
    Unproven,
    /// It is broken.
    Broken,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotApplicable => "not-applicable",
            Self::Holds => "holds",
            Self::Warned => "warned",
            Self::Unproven => "unproven",
            Self::Broken => "broken",
        })
    }
}

/// Why a claim is not plainly held, or why the coverage is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Kebab case, stable; listed in `docs/verdicts.md`.
    pub code: &'static str,
    /// In words, with subject and value. Holds no secret.
    pub text: String,
    /// What to do about it.
    pub next: Option<String>,
    /// The conns it is about.
    pub uids: Vec<Uid>,
}

impl Reason {
    /// Conns named by a reason; the text says how many there are.
    pub const MAX_UIDS: usize = 64;

    /// A reason about no conn in particular.
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), next: None, uids: Vec::new() }
    }

    /// Adds what to do about it.
    pub(crate) fn with_next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Adds the conns it is about, the first `MAX_UIDS` of them.
    pub(crate) fn about(mut self, uids: impl IntoIterator<Item = Uid>) -> Self {
        let room = Self::MAX_UIDS.saturating_sub(self.uids.len());
        self.uids.extend(uids.into_iter().take(room));
        self
    }
}

/// One claim, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which claim.
    pub claim: ClaimKind,
    /// How it fares.
    pub outcome: Outcome,
    /// Why it does not plainly hold; the gravest first.
    pub reasons: Vec<Reason>,
    /// What it rests on, where it holds or does not apply; else empty.
    pub holds_because: String,
}

/// What a conn is to the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// To the gateway's port: the tunnel, or what should be one.
    Gateway,
    /// To a service, beside the tunnel; by its name.
    Service(String),
    /// Allowed to be readable; by its name.
    Exempt(String),
    /// tunnelcheck's own control datagrams.
    Control,
    /// Another conn of tunnelcheck itself.
    Excluded,
    /// In scope by its addresses, to another port.
    InScopeOther,
    /// Seen inside the tunnel only (loopback, a tunnel's own device): says nothing about the wire.
    Inside,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("gateway"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::Exempt(name) => write!(f, "exempt {name}"),
            Self::Control => f.write_str("control"),
            Self::Excluded => f.write_str("excluded"),
            Self::InScopeOther => f.write_str("in scope"),
            Self::Inside => f.write_str("inside the tunnel"),
        }
    }
}

/// A conn that has something to do with the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedConn {
    /// Its name.
    pub uid: Uid,
    /// Its ends.
    pub id: ConnId,
    /// What it is to the target.
    pub role: Role,
}

/// What broke a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The claim.
    pub claim: ClaimKind,
    /// In words. Holds no secret.
    pub text: String,
    /// The conn.
    pub uid: Option<Uid>,
    /// Where.
    pub at: FrameRef,
    /// What was found, where the evidence is a hit. Its value is a secret.
    pub hit: Option<Hit>,
}

/// A hit that breaks nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Why it is not counted. Holds no secret.
    pub why: String,
    /// What was found. Its value is a secret.
    pub hit: Hit,
}

/// A control token: what was sent, and where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlCheck {
    /// When it was to be sent.
    pub phase: Phase,
    /// Which way.
    pub path: ControlPath,
    /// By which interface.
    pub interface_id: u32,
    /// Whether it was sent at all.
    pub sent: bool,
    /// Where it was seen on that interface (through the tunnel: on any).
    pub seen: Vec<FrameRef>,
}

/// A phase of the window, and what was seen in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseRow {
    /// `before`, `up`, `disrupted: cut`, ...
    pub label: String,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant behind it.
    pub end: Timestamp,
    /// Frames of this time.
    pub frames: u64,
    /// Conns that concern the target and began in it; those of tunnelcheck itself aside.
    pub conns: u64,
    /// What breaks a claim and was seen in it.
    pub hits: u64,
}

/// How the client fared in a disruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fared {
    /// It tried, and nothing went beside the tunnel.
    Held,
    /// It did not try: nothing is shown.
    NotTried,
    /// The disruption was not made: nothing is shown.
    NotDone,
    /// It fell back to what can be read, or past the tunnel.
    Leaked,
}

impl fmt::Display for Fared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::NotTried => "not-tried",
            Self::NotDone => "not-done",
            Self::Leaked => "leaked",
        })
    }
}

/// A disruption, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisruptionRow {
    /// As it is asked for: `cut`, `route`, ...
    pub step: String,
    /// What was done, or why it was not.
    pub what: String,
    /// What the client did meanwhile, in words.
    pub seen: String,
    /// How it fared.
    pub fared: Fared,
}

/// A place from which the run was watched, and what it alone saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VantageRow {
    /// `this machine`, or `user@host`.
    pub name: String,
    /// Names of its interfaces.
    pub interfaces: Vec<String>,
    /// Conns seen there that concern the target.
    pub conns: u64,
    /// Clear control tokens seen there, of those meant for it.
    pub controls: [usize; 2],
    /// Those of its conns that another vantage did not see.
    pub only_here: Vec<Uid>,
    /// How far its clock was ahead of ours, in nanoseconds.
    pub clock_ahead_ns: i64,
}

/// The answer about one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Name of the target.
    pub target: String,
    /// The answer.
    pub verdict: Verdict,
    /// The answer's reason in one sentence.
    pub why: String,
    /// The claims, in the order of the report.
    pub rows: Vec<Row>,
    /// What spoils a PASS: something could have hidden a hit.
    pub coverage: Vec<Reason>,
    /// Conns that have something to do with the target, in the order of their first frame.
    pub scope: Vec<ScopedConn>,
    /// Direct connections to services, and what sent them there; bounded.
    pub bypasses: Vec<Bypass>,
    /// Such connections beyond the bound.
    pub bypasses_omitted: u64,
    /// What broke the claims; bounded.
    pub evidence: Vec<Evidence>,
    /// Evidence beyond the bound.
    pub evidence_omitted: u64,
    /// Hits that break nothing; bounded.
    pub explained: Vec<Explained>,
    /// Such hits beyond the bound.
    pub explained_omitted: u64,
    /// The control, token by token.
    pub control: Vec<ControlCheck>,
    /// What is said, and spoils nothing.
    pub notes: Vec<Reason>,
    /// Scope, said in every report.
    pub out_of_view: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
    /// The phases of the window, in the order of time; none for a recording that holds none.
    pub phases: Vec<PhaseRow>,
    /// The disruptions that were asked for.
    pub disruptions: Vec<DisruptionRow>,
    /// From where it was watched; none where that was one place alone.
    pub vantages: Vec<VantageRow>,
}

impl Judgement {
    /// The phase that an instant lies in.
    #[must_use]
    pub fn phase_at(&self, time: Timestamp) -> Option<&PhaseRow> {
        let after = self.phases.partition_point(|phase| phase.start <= time);
        self.phases.get(after.saturating_sub(1))
    }

    /// The row of a claim.
    #[must_use]
    pub fn row(&self, claim: ClaimKind) -> Option<&Row> {
        self.rows.iter().find(|row| row.claim == claim)
    }

    /// Claims that are broken or unproven, then the codes of every reason; what a manifest's `because` may name.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut add = |cause: String| {
            if !causes.contains(&cause) {
                causes.push(cause);
            }
        };
        for row in self.rows.iter().filter(|row| row.outcome >= Outcome::Unproven) {
            add(row.claim.to_string());
        }
        for reason in self.rows.iter().flat_map(|row| &row.reasons).chain(&self.coverage) {
            add(reason.code.to_owned());
        }
        causes
    }
}
