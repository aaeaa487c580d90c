//! The vantages of a live run: logged in on, started, ended, and what became of each.

use crate::inspect::News;
use crate::model::{ConnId, VantageRecord};
use crate::run::RunError;
use crate::run::live::{Observer, Progress, Watch};
use crate::run::remote::{Remote, Session};
use crate::run::sniffer::Seen;
use crate::source::Stream;
use crate::tunnel::Prompt;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How this machine is named beside others.
const HERE: &str = "this machine";
/// How long a control token may take from the socket to the matcher, here and by way of another machine's tcpdump.
const CONTROL_PATIENCE: Duration = Duration::from_secs(2);
const REMOTE_PATIENCE: Duration = Duration::from_secs(6);

/// The other machines.
#[derive(Default)]
pub(super) struct Remotes {
    all: Vec<Remote>,
    own_conns: Vec<ConnId>,
}

impl Remotes {
    /// Logs in on every machine first, since each must leave out the connections of all: two that show each other what
    /// they send would never come to an end.
    pub(super) fn start(
        watch: &Watch,
        towards: Option<IpAddr>,
        here: &[IpAddr],
        prompt: &mut dyn Prompt,
        observer: &mut dyn Observer,
        interrupted: &AtomicBool,
    ) -> Result<(Self, Vec<Stream>), RunError> {
        let mut sessions = Vec::new();
        for elsewhere in &watch.from {
            observer.progress(&Progress::Dialing(&elsewhere.place));
            let accepted = &watch.accept_host_keys;
            sessions.push(Session::open(elsewhere, towards, accepted, prompt, interrupted)?);
        }
        let own_conns: Vec<ConnId> = sessions.iter().map(Session::own_conn).collect();
        let there = sessions.iter().filter_map(|session| session.own_conn_there(here));
        let left_out: Vec<ConnId> = own_conns.iter().copied().chain(there).collect();
        let (mut all, mut streams) = (Vec::new(), Vec::new());
        for session in sessions {
            let (remote, stream) = session.start(&left_out)?;
            all.push(remote);
            streams.push(stream);
        }
        Ok((Self { all, own_conns }, streams))
    }

    /// How long a control token may take.
    pub(super) fn control_patience(&self) -> Duration {
        if self.all.is_empty() { CONTROL_PATIENCE } else { REMOTE_PATIENCE }
    }

    /// Our own connections to them, as we see them: what another machine says decides nothing.
    pub(super) fn own_conns(&self) -> &[ConnId] {
        &self.own_conns
    }

    /// Those whose tcpdump has just ended by itself, in words.
    pub(super) fn just_ended(&mut self) -> Vec<String> {
        let ended = self.all.iter_mut().filter_map(|remote| {
            let why = remote.has_just_ended()?;
            Some(format!("{} is lost: {why}", remote.name()))
        });
        ended.collect()
    }

    /// Ends every tcpdump; waits for what each holds back.
    pub(super) fn stop(&mut self) {
        std::thread::scope(|scope| {
            for remote in &mut self.all {
                scope.spawn(|| remote.stop());
            }
        });
    }

    /// The end of every tcpdump: its drop counters go to `seen`. `own` interfaces of this machine come before them.
    pub(super) fn finish(
        self,
        own: usize,
        ended: Vec<crate::run::remote::Ended>,
        seen: &mut Seen,
    ) -> Vec<VantageRecord> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let id = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut records = Vec::new();
        if own > 0 {
            records.push(VantageRecord {
                name: HERE.to_owned(),
                interfaces: (0..own).map(id).collect(),
                remote: false,
                lost: None,
                clock_ahead_ns: 0,
            });
        }
        for ((index, remote), ended) in (own..).zip(&self.all).zip(ended) {
            let arrived = seen.frames_each.get(index).copied().unwrap_or_default();
            let mut lost = ended.lost;
            if let Some(captured) = ended.captured.filter(|captured| *captured != arrived) {
                lost.get_or_insert_with(|| {
                    format!("its tcpdump wrote {captured} frames, and {arrived} arrived")
                });
            }
            if let Some(losses) = seen.losses_each.get_mut(index) {
                // A stream that broke off is told once, in words that a recording keeps.
                for cut in losses.inputs_cut.drain(..) {
                    lost.get_or_insert(cut);
                }
                losses.drops = ended.losses.drops;
                losses.interface_drops = ended.losses.interface_drops;
            }
            records.push(remote.record(id(index), lost));
        }
        records
    }

    /// Waits for the end of every tcpdump.
    pub(super) fn await_end(&self) -> Vec<crate::run::remote::Ended> {
        self.all.iter().map(Remote::finish).collect()
    }
}

/// What is still awaited of the control: a token, and the vantage that is to see it.
pub(super) fn is_awaited(lane: usize, news: &News, awaited: &(usize, String)) -> bool {
    matches!(news, News::Token(token) if *token == awaited.1 && lane == awaited.0)
}
