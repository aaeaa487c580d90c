//! One check: what was looked at, what was seen, and what to do about it.

use std::fmt;

/// What a check came to, from harmless to grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It asks nothing of this target.
    NotApplicable,
    /// Nothing wrong was found.
    Fine,
    /// Worth knowing; no cause of a bypass.
    Note,
    /// It could not be determined; the detail says why.
    Unknown,
    /// A cause of a bypass, or of a tunnel that cannot be used.
    Cause,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotApplicable => "not-applicable",
            Self::Fine => "fine",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Cause => "cause",
        })
    }
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remedy {
    /// In words.
    pub say: String,
    /// Commands to paste, in this order; empty where no command does it.
    pub commands: Vec<String>,
}

impl Remedy {
    /// Words alone.
    pub(super) fn say(say: impl Into<String>) -> Self {
        Self { say: say.into(), commands: Vec::new() }
    }

    /// Adds a command.
    pub(super) fn then(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }
}

/// One check. The detail may hold words of others (servers, programs): whoever shows it escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which check: `names`, `mouths`, ... as in docs/diagnose.md.
    pub name: &'static str,
    /// What it found, kebab case, stable; listed in docs/diagnose.md.
    pub code: &'static str,
    /// What it is about: a service, a name, the gateway.
    pub subject: String,
    /// What it came to.
    pub outcome: Outcome,
    /// What was seen, a line each.
    pub detail: Vec<String>,
    /// Command lines of the processes in the detail. Secrets: shown on demand alone.
    pub command_lines: Vec<String>,
    /// What to do about it.
    pub remedy: Option<Remedy>,
}

impl Check {
    pub(super) fn new(
        name: &'static str,
        code: &'static str,
        subject: impl Into<String>,
        outcome: Outcome,
    ) -> Self {
        Self {
            name,
            code,
            subject: subject.into(),
            outcome,
            detail: Vec::new(),
            command_lines: Vec::new(),
            remedy: None,
        }
    }

    pub(super) fn saw(mut self, line: impl Into<String>) -> Self {
        self.detail.push(line.into());
        self
    }

    pub(super) fn with(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }
}
