//! Phases, disruptions and vantages in the words of a recording.

use crate::model::{
    ConnId, Disruption, EarlierConn, Endpoint, Proto, Stage, Stretch, Timestamp, Tries,
    VantageRecord, WindowRecord,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Phases that are read: a run of hours with a disruption a minute has fewer. What a damaged recording says beyond is
/// passed over.
const MAX_STRETCHES: usize = 4096;
/// Disruptions that are read.
const MAX_DISRUPTIONS: usize = 256;
/// Vantages that are read.
const MAX_VANTAGES: usize = 16;
/// Connections of tunnelcheck itself that are read: two for each vantage.
const MAX_EXCLUDED: usize = 64;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Window {
    phases: Vec<Part>,
    disruptions: Vec<Step>,
    vantages: Vec<Place>,
    own_conns: Vec<Ends>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Part {
    phase: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    what: String,
    start_ns: i64,
    end_ns: i64,
    frames: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Step {
    #[serde(rename = "step")]
    name: String,
    what: String,
    done: bool,
    start_ns: i64,
    end_ns: i64,
    tries: Vec<Tried>,
    not_undone: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tried {
    target: String,
    attempts: u64,
    forwarded: u64,
    up_before: bool,
    up_after: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place {
    name: String,
    interfaces: Vec<u32>,
    remote: bool,
    lost: Option<String>,
    clock_ahead_ns: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ends {
    orig: SocketAddr,
    resp: SocketAddr,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Earlier {
    local: SocketAddr,
    remote: SocketAddr,
    up_ns: i64,
    down_ns: i64,
    why: String,
}

impl Window {
    /// In the nouns of the model. Phases that go back in time are none.
    pub(super) fn to_model(&self) -> WindowRecord {
        let mut stretches: Vec<Stretch> = Vec::new();
        for part in self.phases.iter().take(MAX_STRETCHES) {
            let Some(stretch) = part.to_model() else { continue };
            if stretches.last().is_none_or(|last| last.end <= stretch.start)
                && stretch.start <= stretch.end
            {
                stretches.push(stretch);
            }
        }
        WindowRecord {
            stretches,
            disruptions: self
                .disruptions
                .iter()
                .take(MAX_DISRUPTIONS)
                .map(Step::to_model)
                .collect(),
            vantages: self.vantages.iter().take(MAX_VANTAGES).map(Place::to_model).collect(),
            excluded: self.own_conns.iter().take(MAX_EXCLUDED).map(Ends::to_model).collect(),
        }
    }
}

impl Part {
    fn to_model(&self) -> Option<Stretch> {
        Some(Stretch {
            stage: Stage::ALL.into_iter().find(|stage| stage.to_string() == self.phase)?,
            what: self.what.clone(),
            start: Timestamp::from_nanos(self.start_ns),
            end: Timestamp::from_nanos(self.end_ns),
            frames: self.frames,
        })
    }
}

impl Step {
    fn to_model(&self) -> Disruption {
        Disruption {
            step: self.name.clone(),
            what: self.what.clone(),
            done: self.done,
            start: Timestamp::from_nanos(self.start_ns),
            end: Timestamp::from_nanos(self.end_ns),
            tries: self.tries.iter().map(Tried::to_model).collect(),
            not_undone: self.not_undone.clone(),
        }
    }
}

impl Tried {
    fn to_model(&self) -> Tries {
        Tries {
            target: self.target.clone(),
            attempts: self.attempts,
            forwarded: self.forwarded,
            up_before: self.up_before,
            up_after: self.up_after,
        }
    }
}

impl Place {
    fn to_model(&self) -> VantageRecord {
        VantageRecord {
            name: self.name.clone(),
            interfaces: self.interfaces.clone(),
            remote: self.remote,
            lost: self.lost.clone(),
            clock_ahead_ns: self.clock_ahead_ns,
        }
    }
}

impl Ends {
    fn to_model(&self) -> ConnId {
        let end = |at: SocketAddr| Endpoint { ip: at.ip(), port: at.port() };
        ConnId { orig: end(self.orig), resp: end(self.resp), proto: Proto::TCP }
    }
}

impl Earlier {
    pub(super) fn to_model(&self) -> EarlierConn {
        EarlierConn {
            local: self.local,
            remote: self.remote,
            up: Timestamp::from_nanos(self.up_ns),
            down: Timestamp::from_nanos(self.down_ns),
            why: self.why.clone(),
        }
    }
}

#[cfg(feature = "live")]
impl From<&WindowRecord> for Window {
    fn from(window: &WindowRecord) -> Self {
        let part = |it: &Stretch| Part {
            phase: it.stage.to_string(),
            what: it.what.clone(),
            start_ns: it.start.as_nanos(),
            end_ns: it.end.as_nanos(),
            frames: it.frames,
        };
        let tried = |it: &Tries| Tried {
            target: it.target.clone(),
            attempts: it.attempts,
            forwarded: it.forwarded,
            up_before: it.up_before,
            up_after: it.up_after,
        };
        let step = |it: &Disruption| Step {
            name: it.step.clone(),
            what: it.what.clone(),
            done: it.done,
            start_ns: it.start.as_nanos(),
            end_ns: it.end.as_nanos(),
            tries: it.tries.iter().map(tried).collect(),
            not_undone: it.not_undone.clone(),
        };
        let place = |it: &VantageRecord| Place {
            name: it.name.clone(),
            interfaces: it.interfaces.clone(),
            remote: it.remote,
            lost: it.lost.clone(),
            clock_ahead_ns: it.clock_ahead_ns,
        };
        let end = |it: Endpoint| SocketAddr::new(it.ip, it.port);
        Self {
            phases: window.stretches.iter().map(part).collect(),
            disruptions: window.disruptions.iter().map(step).collect(),
            vantages: window.vantages.iter().map(place).collect(),
            own_conns: window
                .excluded
                .iter()
                .map(|id| Ends { orig: end(id.orig), resp: end(id.resp) })
                .collect(),
        }
    }
}

#[cfg(feature = "live")]
impl From<&EarlierConn> for Earlier {
    fn from(conn: &EarlierConn) -> Self {
        Self {
            local: conn.local,
            remote: conn.remote,
            up_ns: conn.up.as_nanos(),
            down_ns: conn.down.as_nanos(),
            why: conn.why.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A window with something of everything.
    pub(in crate::run::annotation) fn window() -> WindowRecord {
        let at = Timestamp::from_nanos;
        let stretch = |stage, what: &str, start, end| Stretch {
            stage,
            what: what.to_owned(),
            start: at(start),
            end: at(end),
            frames: 7,
        };
        WindowRecord {
            stretches: vec![
                stretch(Stage::Before, "", 1, 5),
                stretch(Stage::Up, "", 5, 9),
                stretch(Stage::Disrupted, "cut", 9, 12),
                stretch(Stage::Down, "", 12, 13),
            ],
            disruptions: vec![Disruption {
                step: "cut".to_owned(),
                what: "the connection to the gateway was cut".to_owned(),
                done: true,
                start: at(9),
                end: at(12),
                tries: vec![Tries {
                    target: "dasher".to_owned(),
                    attempts: 2,
                    forwarded: 100,
                    up_before: true,
                    up_after: false,
                }],
                not_undone: Some("why".to_owned()),
            }],
            vantages: vec![VantageRecord {
                name: "root@snooper".to_owned(),
                interfaces: vec![1],
                remote: true,
                lost: Some("killed".to_owned()),
                clock_ahead_ns: -12,
            }],
            excluded: vec![
                Ends {
                    orig: "10.77.0.10:4000".parse().unwrap(),
                    resp: "10.77.0.99:22".parse().unwrap(),
                }
                .to_model(),
            ],
        }
    }

    #[test]
    fn phases_that_go_back_in_time_and_stages_of_other_versions_are_passed_over() {
        let part = |phase: &str, start_ns, end_ns| Part {
            phase: phase.to_owned(),
            what: String::new(),
            start_ns,
            end_ns,
            frames: 0,
        };
        let window = Window {
            phases: vec![
                part("before", 5, 9),
                part("up", 3, 4),
                part("sideways", 9, 10),
                part("up", 9, 2),
                part("up", 9, 20),
                part("down", i64::MIN, i64::MAX),
            ],
            ..Window::default()
        };
        let stages: Vec<Stage> = window.to_model().stretches.iter().map(|it| it.stage).collect();
        assert_eq!(stages, [Stage::Before, Stage::Up]);
    }

    #[test]
    fn a_hostile_list_is_read_up_to_its_bound() {
        let many = format!(
            "{{\"vantages\":[{}]}}",
            vec!["{\"name\":\"x\",\"interfaces\":[],\"remote\":true,\"lost\":null,\"clock_ahead_ns\":0}"; 1000]
                .join(",")
        );
        let window: Window = serde_json::from_str(&many).unwrap();
        assert_eq!(window.to_model().vantages.len(), MAX_VANTAGES);
        assert_eq!(
            serde_json::from_str::<Window>("{}").unwrap().to_model(),
            WindowRecord::default()
        );
    }
}
