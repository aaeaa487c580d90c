//! The window of a run: its phases, what was disrupted in it, and from where it was watched.

use super::conn::ConnId;
use super::frame::Timestamp;
use std::fmt;
use std::net::SocketAddr;

/// What the tunnel was in a part of the capture. In reports it is called a phase; `Phase` is that of the control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The capture runs, the tunnel is not up yet.
    Before,
    /// The tunnel is up.
    Up,
    /// New keys are agreed on, on purpose.
    Rekey,
    /// Something was taken away on purpose.
    Disrupted,
    /// The tunnel was closed, or lost.
    Down,
}

impl Stage {
    /// All, in the order of a run.
    pub const ALL: [Self; 5] = [Self::Before, Self::Up, Self::Rekey, Self::Disrupted, Self::Down];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::Up => "up",
            Self::Rekey => "rekey",
            Self::Disrupted => "disrupted",
            Self::Down => "down",
        })
    }
}

/// A part of the capture in which the tunnel was in one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Which stage.
    pub stage: Stage,
    /// Which disruption, or why it was down; empty where the stage says it all.
    pub what: String,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant behind it.
    pub end: Timestamp,
    /// Frames of this time.
    pub frames: u64,
}

impl Stretch {
    /// `up`, `disrupted: cut`.
    #[must_use]
    pub fn label(&self) -> String {
        if self.what.is_empty() {
            self.stage.to_string()
        } else {
            format!("{}: {}", self.stage, self.what)
        }
    }
}

/// A disruption that was asked for, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disruption {
    /// As it is asked for: `cut`, `route`, ...
    pub step: String,
    /// What was done, in words; why it was not, where it was not.
    pub what: String,
    /// Whether it was done.
    pub done: bool,
    /// When it began; the end of the run where it was not done.
    pub start: Timestamp,
    /// When it was taken back.
    pub end: Timestamp,
    /// What each target's forwards had to do meanwhile; none for a target whose tunnel is not ours.
    pub tries: Vec<Tries>,
    /// Why it could not be taken back.
    pub not_undone: Option<String>,
}

/// What the forwards of a target had to do during a disruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tries {
    /// Name of the target.
    pub target: String,
    /// Conns that the client opened at the mouths.
    pub attempts: u64,
    /// Octets that went through the forwards.
    pub forwarded: u64,
    /// Whether the tunnel was up before.
    pub up_before: bool,
    /// Whether it was up again afterwards.
    pub up_after: bool,
}

/// A place from which a run was watched: this machine, or another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VantageRecord {
    /// `this machine`, or `user@host`.
    pub name: String,
    /// Its interfaces, by `interface_id`.
    pub interfaces: Vec<u32>,
    /// Whether it is another machine.
    pub remote: bool,
    /// Why its frames are not all there: the stream broke, or did not end in time.
    pub lost: Option<String>,
    /// How far its clock was ahead of ours, in nanoseconds; its times were set back by this.
    pub clock_ahead_ns: i64,
}

/// An earlier connection of a tunnel that was dialed again on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierConn {
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// When it was authenticated.
    pub up: Timestamp,
    /// When it ended.
    pub down: Timestamp,
    /// Why.
    pub why: String,
}

/// The window of a run. Empty for a recording that holds none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowRecord {
    /// In the order of time; each begins where the one before it ends.
    pub stretches: Vec<Stretch>,
    /// In the order in which they were asked for.
    pub disruptions: Vec<Disruption>,
    /// The first is this machine, where its frames are captured. One or none: there is nothing to compare.
    pub vantages: Vec<VantageRecord>,
    /// Connections of tunnelcheck itself to other vantages.
    pub excluded: Vec<ConnId>,
}

impl WindowRecord {
    /// The stretch that an instant lies in; the first and the last reach as far as the capture does.
    #[must_use]
    pub fn stretch_at(&self, time: Timestamp) -> Option<&Stretch> {
        let after = self.stretches.partition_point(|stretch| stretch.start <= time);
        self.stretches.get(after.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_lies_in_a_stretch_where_there_is_one() {
        let at = Timestamp::from_nanos;
        let stretch = |stage, start, end| Stretch {
            stage,
            what: String::new(),
            start: at(start),
            end: at(end),
            frames: 0,
        };
        let mut window = WindowRecord::default();
        assert_eq!(window.stretch_at(at(5)), None);
        window.stretches = vec![stretch(Stage::Before, 10, 20), stretch(Stage::Up, 20, 30)];
        for (time, stage) in
            [(5, Stage::Before), (19, Stage::Before), (20, Stage::Up), (99, Stage::Up)]
        {
            assert_eq!(window.stretch_at(at(time)).unwrap().stage, stage, "{time}");
        }
    }

    #[test]
    fn a_label_names_the_disruption() {
        let at = Timestamp::default();
        let cut = Stretch {
            stage: Stage::Disrupted,
            what: "cut".to_owned(),
            start: at,
            end: at,
            frames: 0,
        };
        assert_eq!(cut.label(), "disrupted: cut");
        assert_eq!(Stretch { what: String::new(), ..cut }.label(), "disrupted");
    }
}
