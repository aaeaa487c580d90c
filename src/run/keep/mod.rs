//! Keeps a tunnel up: dials again after a loss, a sleep or a change of address, and refuses at the mouths meanwhile.

mod backoff;
mod claim;
mod remember;
mod status;
mod watchdog;

pub use status::{KeepState, KeepStatus, Running, running};

use crate::model::{ForwardRecord, TunnelMode, TunnelRecord};
use crate::run::RunError;
use crate::run::dial::tunnel_spec;
use crate::target::Plan;
use crate::tunnel::{Attempt, BoundTunnel, Prompt, Tunnel, TunnelError};
use backoff::Backoff;
use claim::Claim;
use remember::Remember;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use watchdog::Watchdog;

/// Between two looks at the tunnel and the clocks.
const TICK: Duration = Duration::from_millis(100);
/// Between two looks at our own address, and between two states that are written.
const ADDRESS_CHECK: Duration = Duration::from_secs(1);
/// How long the gateway may take to answer after a sleep or a change of address.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// A tunnel that was up for so long begins anew with short waits.
const STABLE: Duration = Duration::from_secs(30);
/// How long open conns have to end when the tunnel is to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// How to keep it up.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// Host keys accepted by fingerprint, `SHA256:...`.
    pub accept_host_keys: Vec<String>,
    /// For how long; none: until it is told to end.
    pub window: Option<Duration>,
}

/// How it is told to end.
#[derive(Clone, Copy, Debug)]
pub struct Stop<'a> {
    /// End: what is open has a moment.
    pub asked: &'a AtomicBool,
    /// End at once.
    pub at_once: &'a AtomicBool,
}

/// What happens to a tunnel that is kept up.
#[derive(Debug)]
pub enum KeepNews<'a> {
    /// The mouths are open; nothing is up yet.
    Bound(&'a [ForwardRecord]),
    /// It is up.
    Up {
        /// Its state.
        record: &'a TunnelRecord,
        /// What the user ought to know: a host key that could not be kept.
        notes: &'a [String],
        /// How long it was down; none for the first time.
        after: Option<Duration>,
    },
    /// It is down, or did not come up.
    Down {
        /// Why.
        reason: &'a str,
        /// When it is tried again.
        retry: Duration,
    },
    /// It was told to end.
    Closing {
        /// Conns that are still open.
        open_conns: u64,
    },
}

/// Who is told what happens.
pub trait Keeper {
    /// Something happened.
    fn news(&mut self, news: &KeepNews<'_>);
    /// The state, some times a second while it is up or waits.
    fn tick(&mut self, status: &KeepStatus);
}

/// Brings the tunnel of `plan` up and keeps it up until it is told to end.
///
/// # Errors
/// `NotBuiltin`, `Feature`; `AlreadyKept`: another process keeps it; `File`; `Tunnel` for what no further attempt can
/// mend: a mouth that is taken, a host key that is not the right one, a refused authentication.
pub fn keep(
    plan: &Plan,
    options: &Keep,
    prompt: &mut dyn Prompt,
    keeper: &mut dyn Keeper,
    stop: Stop<'_>,
) -> Result<(), RunError> {
    let name = &plan.target.name;
    let not_builtin = || RunError::NotBuiltin { target: name.clone() };
    if plan.target.tunnel != TunnelMode::Builtin {
        return Err(not_builtin());
    }
    let spec = tunnel_spec(plan, &options.accept_host_keys).ok_or_else(not_builtin)?;
    let claim = Claim::take(name)?;
    let bound = Tunnel::bind(spec)?;
    let mut keeping = Keeping {
        claim,
        status: KeepStatus::new(name, bound.forwards()),
        prompt: Remember::new(prompt),
        keeper,
        stop,
        end: options.window.map(|window| Instant::now() + window),
        backoff: Backoff::default(),
        written: None,
    };
    keeping.keeper.news(&KeepNews::Bound(&bound.forwards()));
    let line = keeping.run(Line::Bound(bound))?;
    keeping.close(line);
    Ok(())
}

/// The tunnel, whether it was ever up or not. Its mouths are open all the time.
enum Line {
    Bound(BoundTunnel),
    Tunnel(Box<Tunnel>),
}

struct Keeping<'a> {
    claim: Claim,
    status: KeepStatus,
    prompt: Remember<'a>,
    keeper: &'a mut dyn Keeper,
    stop: Stop<'a>,
    end: Option<Instant>,
    backoff: Backoff,
    /// When the state was last written.
    written: Option<Instant>,
}

impl Keeping<'_> {
    fn run(&mut self, mut line: Line) -> Result<Line, RunError> {
        let mut down_since: Option<Instant> = None;
        while !self.is_over() {
            self.status.connecting();
            self.write(true)?;
            let (next, outcome) = self.dial(line);
            line = next;
            let reason = match (outcome, &line) {
                (Ok(()), Line::Tunnel(tunnel)) => {
                    let record = tunnel.record();
                    self.status.up(&record);
                    self.write(true)?;
                    let after = down_since.map(|since| since.elapsed());
                    self.keeper.news(&KeepNews::Up {
                        record: &record,
                        notes: tunnel.notes(),
                        after,
                    });
                    let up = Instant::now();
                    let Some(reason) = self.watch(tunnel)? else { break };
                    if up.elapsed() >= STABLE {
                        self.backoff = Backoff::default();
                    }
                    down_since = Some(Instant::now());
                    reason
                }
                (Ok(()), Line::Bound(_)) | (Err(TunnelError::Interrupted), _) => break,
                (Err(error), _) if error.is_lasting() => return Err(error.into()),
                (Err(error), _) => {
                    down_since.get_or_insert_with(Instant::now);
                    error.to_string()
                }
            };
            let retry = self.backoff.next();
            self.status.down(&reason, retry, line.forwards());
            self.write(true)?;
            self.keeper.news(&KeepNews::Down { reason: &reason, retry });
            self.wait(&line, retry)?;
        }
        Ok(line)
    }

    fn dial(&mut self, line: Line) -> (Line, Result<(), TunnelError>) {
        let asked = self.stop.asked;
        self.prompt.begin();
        let (line, outcome) = match line {
            Line::Bound(bound) => match bound.attempt(&mut self.prompt, asked) {
                Attempt::Up(tunnel) => (Line::Tunnel(Box::new(tunnel)), Ok(())),
                Attempt::Down(bound, error) => (Line::Bound(bound), Err(error)),
            },
            Line::Tunnel(mut tunnel) => {
                let outcome = tunnel.redial(&mut self.prompt, asked);
                (Line::Tunnel(tunnel), outcome)
            }
        };
        if outcome.is_ok() {
            self.prompt.came_in();
        }
        (line, outcome)
    }

    /// Looks after a tunnel that is up. Why it is not any more; none where it is to end.
    fn watch(&mut self, tunnel: &Tunnel) -> Result<Option<String>, RunError> {
        let (local, remote) = tunnel.local_remote();
        let mut dog = Watchdog::now();
        let mut asked_from = Some(local.ip());
        let mut looked = Instant::now();
        while !self.is_over() {
            if !tunnel.is_up() {
                let lost = tunnel.record().lost.map(|(_, reason)| reason);
                return Ok(Some(lost.unwrap_or_else(|| "the connection ended".to_owned())));
            }
            if let Some(gap) = dog.look() {
                let slept = format!(
                    "this machine slept, or this program stood still, for {} s",
                    gap.as_secs()
                );
                if !tunnel.answers(ANSWER_PATIENCE) {
                    tunnel.give_up(&format!("{slept}, and the gateway does not answer any more"));
                    continue;
                }
                dog = Watchdog::now();
            }
            if looked.elapsed() >= ADDRESS_CHECK {
                looked = Instant::now();
                let from = source_towards(remote);
                if !is_own(local) {
                    tunnel.give_up(&format!("this machine has lost the address {}", local.ip()));
                    continue;
                }
                if from.is_some() && from != asked_from {
                    asked_from = from;
                    if !tunnel.answers(ANSWER_PATIENCE) {
                        let now = from.map(|ip| ip.to_string()).unwrap_or_default();
                        tunnel.give_up(&format!(
                            "the way to the gateway begins at {now} now, and it does not answer {} any more",
                            local.ip()
                        ));
                        continue;
                    }
                    dog = Watchdog::now();
                }
            }
            self.status.carry(&tunnel.record(), tunnel.open_conns());
            self.write(false)?;
            self.keeper.tick(&self.status);
            std::thread::sleep(TICK);
        }
        Ok(None)
    }

    /// Waits for the next attempt; a sleep that ends, or an address that changes, ends the waiting.
    fn wait(&mut self, line: &Line, retry: Duration) -> Result<(), RunError> {
        let start = Instant::now();
        let mut dog = Watchdog::now();
        let remote = line.remote();
        let from = remote.and_then(source_towards);
        let mut looked = Instant::now();
        while start.elapsed() < retry && !self.is_over() {
            if dog.look().is_some() {
                self.backoff = Backoff::default();
                break;
            }
            if looked.elapsed() >= ADDRESS_CHECK {
                looked = Instant::now();
                let now = remote.and_then(source_towards);
                if now.is_some() && now != from {
                    self.backoff = Backoff::default();
                    break;
                }
            }
            self.status.waiting(retry.saturating_sub(start.elapsed()), line.forwards());
            self.write(false)?;
            self.keeper.tick(&self.status);
            std::thread::sleep(TICK.min(retry.saturating_sub(start.elapsed())));
        }
        Ok(())
    }

    /// Ends it: no new conns, a moment for the open ones, and goodbye.
    fn close(mut self, line: Line) {
        let Line::Tunnel(tunnel) = line else { return };
        tunnel.close_mouths();
        self.status.closing();
        // It ends at any rate: a state that cannot be written any more changes nothing.
        let _ = self.write(true);
        self.keeper.news(&KeepNews::Closing { open_conns: tunnel.open_conns() });
        let start = Instant::now();
        while tunnel.is_up()
            && tunnel.open_conns() > 0
            && start.elapsed() < FAREWELL
            && !self.stop.at_once.load(Ordering::Relaxed)
        {
            std::thread::sleep(TICK);
        }
        let _ = tunnel.close();
    }

    fn is_over(&self) -> bool {
        self.stop.asked.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Writes the state down: at once after a change, else once a second.
    fn write(&mut self, changed: bool) -> Result<(), RunError> {
        if changed || self.written.is_none_or(|at| at.elapsed() >= ADDRESS_CHECK) {
            self.written = Some(Instant::now());
            self.claim.write(&self.status)?;
        }
        Ok(())
    }
}

impl Line {
    fn forwards(&self) -> Vec<ForwardRecord> {
        match self {
            Self::Bound(bound) => bound.forwards(),
            Self::Tunnel(tunnel) => tunnel.record().forwards,
        }
    }

    fn remote(&self) -> Option<SocketAddr> {
        match self {
            Self::Bound(_) => None,
            Self::Tunnel(tunnel) => Some(tunnel.local_remote().1),
        }
    }
}

/// The address that a packet to `remote` would come from. Nothing is sent.
fn source_towards(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Whether this machine still has the address of `local`.
fn is_own(mut local: SocketAddr) -> bool {
    local.set_port(0);
    match UdpSocket::bind(local) {
        Err(error) => error.kind() != std::io::ErrorKind::AddrNotAvailable,
        Ok(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_address_is_seen_and_another_is_not() {
        assert!(is_own("127.0.0.1:4711".parse().unwrap()));
        assert!(!is_own("192.0.2.77:22".parse().unwrap()));
        let from = source_towards("127.0.0.1:9".parse().unwrap());
        assert_eq!(from, Some(Ipv4Addr::LOCALHOST.into()));
    }
}
