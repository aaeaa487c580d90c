//! Another machine as a vantage: its tcpdump, over our own SSH, with its own drop counters.

mod script;
mod words;

use crate::model::{ConnId, Drops, Endpoint, Proto, VantageRecord};
use crate::run::RunError;
use crate::run::control::now;
use crate::run::dial::spec_of;
use crate::source::{Losses, Stream};
use crate::target::SshPlan;
use crate::tunnel::{Exec, ExecEnd, Prompt, Tunnel, TunnelError};
use script::Facts;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How long the other side may take for its answers, and until its tcpdump listens.
const PATIENCE: Duration = Duration::from_secs(15);
/// What tcpdump's buffer holds back at the most: libpcap hands over a block that is not full after a second.
const HELD_BACK: Duration = Duration::from_millis(1_200);
/// How long tcpdump may take to end when asked to, with what is on its way.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// The same, once it was told in every other way.
const LAST_PATIENCE: Duration = Duration::from_secs(2);
/// Difference of clocks below which they are taken for one.
const SAME_CLOCK_NS: i64 = 50_000_000;

/// Another machine from which to watch.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// `user@host`, as it was given.
    pub place: String,
    /// The interface there; none: the one that its route to the gateway uses.
    pub interface: Option<String>,
    /// How to log in.
    pub ssh: SshPlan,
}

/// A machine on which we are logged in.
pub(super) struct Session {
    place: String,
    tunnel: Tunnel,
    facts: Facts,
    interface: String,
}

/// A machine whose tcpdump runs.
pub(super) struct Remote {
    place: String,
    interface: String,
    session: Session,
    exec: Exec,
    ended_early: Option<String>,
}

/// What the end of a vantage has told.
#[derive(Debug)]
pub(super) struct Ended {
    /// What was dropped there.
    pub(super) losses: Losses,
    /// Frames that its tcpdump says it has written.
    pub(super) captured: Option<u64>,
    /// Why its frames are not all there.
    pub(super) lost: Option<String>,
}

impl Session {
    /// Logs in, and asks what is there. `towards`: where the watched traffic goes.
    ///
    /// # Errors
    /// `Tunnel`: no login. `Vantage`: no tcpdump, no interface, no sense in its answers.
    pub(super) fn open(
        elsewhere: &Elsewhere,
        towards: Option<IpAddr>,
        accept_host_keys: &[String],
        prompt: &mut dyn Prompt,
        interrupted: &AtomicBool,
    ) -> Result<Self, RunError> {
        let refused = |reason: String, remedy: &str| RunError::Vantage {
            place: elsewhere.place.clone(),
            reason,
            remedy: remedy.to_owned(),
        };
        if let Some(name) = elsewhere.interface.as_ref().filter(|it| !script::is_interface_name(it))
        {
            return Err(refused(
                format!("{name:?} is no name of an interface"),
                "write --from USER@HOST:eth0; a port of ssh belongs into a Host block of ~/.ssh/config",
            ));
        }
        let spec = spec_of(&elsewhere.place, &elsewhere.ssh, accept_host_keys);
        let up = Tunnel::bind(spec).and_then(|bound| bound.up_unless(prompt, interrupted));
        let tunnel = up.map_err(|error| match error {
            TunnelError::Interrupted => RunError::Interrupted,
            error => error.into(),
        })?;
        let facts = ask(&tunnel, towards).map_err(|reason| {
            refused(reason, "the account there must run commands: try `ssh HOST true`")
        })?;
        if !facts.has_tcpdump {
            return Err(refused(
                "there is no tcpdump on it".to_owned(),
                "install it there: sudo apt install tcpdump (or dnf, apk, brew)",
            ));
        }
        let interface = elsewhere.interface.clone().unwrap_or_else(|| facts.default_interface());
        Ok(Self { place: elsewhere.place.clone(), tunnel, facts, interface })
    }

    /// Our connection to it, as we see it.
    pub(super) fn own_conn(&self) -> ConnId {
        conn_of(self.tunnel.local_remote())
    }

    /// The same as the machine says that it sees it, where a NAT or a jump host makes another one of it. `here`: the
    /// addresses of this machine. Its word alone does not take another connection of ours out of sight.
    pub(super) fn own_conn_there(&self, here: &[IpAddr]) -> Option<ConnId> {
        believed(self.own_conn(), conn_of(self.facts.connection?), here)
    }

    /// Starts its tcpdump without our own connections, and waits until it listens.
    ///
    /// # Errors
    /// `Vantage`: it may not, or cannot.
    pub(super) fn start(self, own: &[ConnId]) -> Result<(Remote, Stream), RunError> {
        let ways: &[bool] = match (self.facts.is_root, self.facts.has_sudo) {
            (true, _) | (false, false) => &[false],
            (false, true) => &[false, true],
        };
        let mut said = String::new();
        for with_sudo in ways {
            let command = script::capture(&self.interface, own, *with_sudo);
            let exec = self.tunnel.exec(&command)?;
            exec.await_words(PATIENCE, words::listens);
            if words::listens(&exec.said()) {
                return self.begin(exec);
            }
            said = exec.said();
            exec.close();
            if !*with_sudo && !words::is_permission(&said) {
                break;
            }
        }
        let remedy = if words::is_permission(&said) {
            "let the account there run tcpdump: a line `USER ALL=(root) NOPASSWD: /usr/bin/tcpdump, /bin/kill` in sudoers, or \
             `sudo setcap cap_net_raw+ep /usr/bin/tcpdump` there"
        } else {
            "try it there by hand: tcpdump -i IFACE"
        };
        Err(RunError::Vantage {
            place: self.place,
            reason: words::last_words(&said),
            remedy: remedy.to_owned(),
        })
    }

    fn begin(self, mut exec: Exec) -> Result<(Remote, Stream), RunError> {
        let name = format!("{}:{}", self.place, self.interface);
        let broken = |reason: String| {
            RunError::Vantage {
            place: self.place.clone(),
            reason,
            remedy: "what the login shell there prints by itself comes before the frames: see that `ssh HOST true` is silent"
                .to_owned(),
        }
        };
        let output = exec.take_output().ok_or_else(|| broken("it gave no output".to_owned()))?;
        let vantage = words::vantage(&self.interface);
        let stream = Stream::open(Box::new(output), &name, vantage, self.facts.ahead_ns)
            .map_err(|error| broken(error.to_string()))?;
        let (place, interface) = (self.place.clone(), self.interface.clone());
        Ok((Remote { place, interface, session: self, exec, ended_early: None }, stream))
    }
}

impl Remote {
    /// `user@host:eth0`.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.place, self.interface)
    }

    /// The record of it, for the report.
    pub(super) fn record(&self, interface_id: u32, lost: Option<String>) -> VantageRecord {
        VantageRecord {
            name: self.name(),
            interfaces: vec![interface_id],
            remote: true,
            lost,
            clock_ahead_ns: self.session.facts.ahead_ns,
        }
    }

    /// Looks whether its tcpdump still runs; the news that it does not, once.
    pub(super) fn has_just_ended(&mut self) -> Option<String> {
        let end = self.exec.end()?;
        if self.ended_early.is_some() {
            return None;
        }
        let why = self.why(&end);
        self.ended_early = Some(why.clone());
        Some(why)
    }

    fn why(&self, end: &ExecEnd) -> String {
        let at = now();
        let said = words::last_words(&self.exec.said());
        match end {
            ExecEnd::Lost if !self.session.tunnel.is_up() => {
                let lost = self.session.tunnel.record().lost;
                let why = lost.map_or_else(|| "no reason is known".to_owned(), |(_, why)| why);
                format!("the SSH connection to it broke at {at}: {why}")
            }
            ExecEnd::Lost => format!("its tcpdump ended at {at} without a word: {said}"),
            ExecEnd::Exited(status) => {
                format!("its tcpdump ended at {at} with exit status {status}: {said}")
            }
            ExecEnd::Signal(signal) => {
                format!("its tcpdump was ended at {at} by signal {signal}: {said}")
            }
        }
    }

    /// Waits for what tcpdump holds back, and ends it.
    pub(super) fn stop(&mut self) {
        let _ = self.has_just_ended();
        if self.ended_early.is_none() {
            std::thread::sleep(HELD_BACK);
            let _ = self.has_just_ended();
        }
        self.exec.send(b"stop\n");
    }

    /// Waits until it has ended, and reads its counters.
    pub(super) fn finish(&self) -> Ended {
        let mut lost = self.ended_early.clone();
        if self.exec.await_end(END_PATIENCE).is_none() {
            self.exec.interrupt();
            if self.exec.await_end(LAST_PATIENCE).is_none() {
                self.exec.close();
                lost.get_or_insert_with(|| {
                    format!(
                        "its tcpdump did not end within {} s: may the account there end it (sudo -n kill)?",
                        (END_PATIENCE + LAST_PATIENCE).as_secs()
                    )
                });
            }
        }
        let said = self.exec.said();
        let counters = words::counters(&said);
        if counters.dropped_by_kernel.is_none() {
            lost.get_or_insert_with(|| {
                format!(
                    "its tcpdump gave no drop counters at its end: {}",
                    words::last_words(&said)
                )
            });
        }
        let known = |count: Option<u64>| count.map_or(Drops::Unknown, Drops::Known);
        Ended {
            losses: Losses {
                drops: known(counters.dropped_by_kernel),
                interface_drops: known(counters.dropped_by_interface),
                ..Losses::default()
            },
            captured: counters.captured,
            lost,
        }
    }
}

fn conn_of((orig, resp): (SocketAddr, SocketAddr)) -> ConnId {
    let end = |at: SocketAddr| Endpoint { ip: at.ip().to_canonical(), port: at.port() };
    ConnId { orig: end(orig), resp: end(resp), proto: Proto::TCP }
}

/// A connection that another machine says is ours, where it may be: one that comes from this machine has our own end.
fn believed(own: ConnId, said: ConnId, here: &[IpAddr]) -> Option<ConnId> {
    let is_here = here.iter().any(|ip| ip.to_canonical() == said.orig.ip);
    (said != own && (said.orig == own.orig || !is_here)).then_some(said)
}

/// Asks the machine what it has; `Err` in words.
fn ask(tunnel: &Tunnel, towards: Option<IpAddr>) -> Result<Facts, String> {
    let mut exec = tunnel.exec(&script::facts(towards)).map_err(|error| error.to_string())?;
    let output = exec.take_output().ok_or("it gave no output")?;
    let (send, lines) = std::sync::mpsc::channel();
    // Reading blocks: a machine that says nothing must not hold the user up.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok).take(script::MAX_LINES) {
            if send.send((now(), line)).is_err() {
                return;
            }
        }
    });
    let mut facts = Facts::default();
    let mut asked = now();
    while let Ok((at, line)) = lines.recv_timeout(PATIENCE) {
        match line.trim() {
            script::READY => {
                asked = now();
                exec.send(b"go\n");
            }
            script::DONE => {
                if facts.ahead_ns.abs() <= SAME_CLOCK_NS.max(facts.clock_error_ns.saturating_mul(2))
                {
                    facts.ahead_ns = 0;
                }
                return Ok(facts);
            }
            line => facts.take(line, asked, at),
        }
    }
    let said = words::last_words(&exec.said());
    Err(format!(
        "it does not answer our questions{}{said}",
        if said.is_empty() { "" } else { ": " }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_machine_says_hides_no_other_connection_of_this_one() {
        let conn = |orig: &str, resp: &str| conn_of((orig.parse().unwrap(), resp.parse().unwrap()));
        let own = conn("10.77.0.10:40000", "10.77.0.99:22");
        let here = ["10.77.0.10".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let believed = |said| believed(own, said, &here);
        assert_eq!(believed(own), None);
        // Another address of the machine behind a NAT; our own address behind one; a jump host.
        for right in [
            conn("10.77.0.10:40000", "192.168.0.9:2222"),
            conn("203.0.113.7:1024", "10.77.0.99:22"),
            conn("10.77.0.20:50000", "10.77.0.99:22"),
        ] {
            assert_eq!(believed(right), Some(right));
        }
        for wrong in [
            conn("10.77.0.10:40001", "10.77.1.30:2151"),
            conn("[::ffff:10.77.0.10]:40001", "10.77.0.99:22"),
        ] {
            assert_eq!(believed(wrong), None, "{wrong}");
        }
    }
}
