//! The state of a tunnel that is kept up, and where another process finds it.

use super::claim::{self, Found};
use crate::model::{ForwardRecord, Timestamp, TunnelRecord};
use crate::run::RunError;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Version of the state's JSON.
const SCHEMA: u32 = 1;

/// Where a tunnel is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepState {
    /// It is being brought up.
    Connecting,
    /// It is up.
    Up,
    /// It is down, and will be tried again.
    Waiting,
    /// It was told to end.
    Closing,
}

impl KeepState {
    /// As in the state's JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Waiting => "waiting",
            Self::Closing => "closing",
        }
    }
}

/// The state of a tunnel that is kept up.
#[derive(Clone, Debug)]
pub struct KeepStatus {
    /// The target.
    pub target: String,
    /// Where it is in its life.
    pub state: KeepState,
    /// Since when.
    pub since: Timestamp,
    /// When this program was started.
    pub started: Timestamp,
    /// Our end and the gateway's, while it is up.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// The cipher, while it is up.
    pub cipher: Option<String>,
    /// `SHA256:...` of the gateway's key, while it is up.
    pub host_key: Option<String>,
    /// How often it came up.
    pub ups: u64,
    /// Why it was last down.
    pub reason: Option<String>,
    /// Until the next attempt.
    pub retry: Option<Duration>,
    /// Conns that are open in the forwards.
    pub open_conns: u64,
    /// What went through each.
    pub forwards: Vec<ForwardRecord>,
}

impl KeepStatus {
    pub(super) fn new(target: &str, forwards: Vec<ForwardRecord>) -> Self {
        Self {
            target: target.to_owned(),
            state: KeepState::Connecting,
            since: now(),
            started: now(),
            ends: None,
            cipher: None,
            host_key: None,
            ups: 0,
            reason: None,
            retry: None,
            open_conns: 0,
            forwards,
        }
    }

    pub(super) fn connecting(&mut self) {
        self.become_state(KeepState::Connecting);
    }

    pub(super) fn up(&mut self, record: &TunnelRecord) {
        self.become_state(KeepState::Up);
        self.since = record.up;
        self.ends = Some((record.local, record.remote));
        self.cipher = Some(record.cipher.clone());
        self.host_key = Some(record.host_key.clone());
        self.ups += 1;
        self.forwards.clone_from(&record.forwards);
    }

    pub(super) fn down(&mut self, reason: &str, retry: Duration, forwards: Vec<ForwardRecord>) {
        self.become_state(KeepState::Waiting);
        self.reason = Some(reason.to_owned());
        self.waiting(retry, forwards);
    }

    pub(super) fn waiting(&mut self, left: Duration, forwards: Vec<ForwardRecord>) {
        self.retry = Some(left);
        self.forwards = forwards;
    }

    pub(super) fn carry(&mut self, record: &TunnelRecord, open_conns: u64) {
        self.forwards.clone_from(&record.forwards);
        self.open_conns = open_conns;
    }

    pub(super) fn closing(&mut self) {
        self.become_state(KeepState::Closing);
    }

    fn become_state(&mut self, state: KeepState) {
        self.state = state;
        self.since = now();
        self.retry = None;
        if state != KeepState::Closing {
            (self.ends, self.cipher, self.host_key, self.open_conns) = (None, None, None, 0);
        }
    }

    /// Octets from the clients into the tunnel, and back.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let sum = |of: fn(&ForwardRecord) -> u64| self.forwards.iter().map(of).sum();
        (sum(|it| it.bytes_in), sum(|it| it.bytes_out))
    }

    /// As it is written down, on one line.
    pub(super) fn json(&self) -> Value {
        let (bytes_in, bytes_out) = self.bytes();
        let services: Vec<Value> = self
            .forwards
            .iter()
            .map(|it| {
                json!({
                    "service": it.service, "listen": it.listen, "host": it.host, "port": it.port, "conns": it.conns,
                    "opened": it.opened, "bytes_in": it.bytes_in, "bytes_out": it.bytes_out,
                    "last_error": it.last_error,
                })
            })
            .collect();
        json!({
            "schema": SCHEMA,
            "target": self.target,
            "pid": std::process::id(),
            "state": self.state.word(),
            "since": self.since.to_string(),
            "started": self.started.to_string(),
            "local": self.ends.map(|ends| ends.0),
            "gateway": self.ends.map(|ends| ends.1),
            "cipher": self.cipher,
            "host_key": self.host_key,
            "ups": self.ups,
            "reason": self.reason,
            "retry_ms": self.retry.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            "open_conns": self.open_conns,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "services": services,
        })
    }
}

/// A tunnel that some process keeps up.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Its state, as that process has last written it.
    pub json: Value,
}

impl Running {
    /// Whether it is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.json.get("state").and_then(Value::as_str) == Some(KeepState::Up.word())
    }
}

/// The tunnel of `target` that some process keeps up; none where there is none.
///
/// # Errors
/// `File`: there is one, and its state cannot be read; another user's, perhaps.
pub fn running(target: &str) -> Result<Option<Running>, RunError> {
    match claim::find(target)? {
        Found::Nobody => Ok(None),
        Found::Running { state, .. } => Ok(Some(Running { json: state })),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
