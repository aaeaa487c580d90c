//! One disruption after the other, with calm between them.

use super::journal::{Edited, Journal, Undo};
use super::{Disrupt, Step, lines, system};
use crate::model::{Disruption, Stage, Timestamp, Tries};
use crate::run::RunError;
use crate::run::control::now;
use crate::run::phases::Phases;
use crate::target::Plan;
use crate::tunnel::{Prompt, Tunnel, TunnelError};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Before each disruption and after the last: the tunnel is seen to work.
const CALM: Duration = Duration::from_secs(2);
/// Attempts to dial again, and the time between them.
const REDIALS: u32 = 3;
const BETWEEN_REDIALS: Duration = Duration::from_millis(500);

/// The disruptions of a run.
pub(in crate::run) struct Driver {
    left: VecDeque<Step>,
    hold: Duration,
    state: State,
    journal: Option<Journal>,
    interfaces: Vec<String>,
    done: Vec<Disruption>,
}

enum State {
    Calm(Instant),
    Holding(Holding),
    Over,
}

/// A disruption that lasts.
struct Holding {
    step: Step,
    what: String,
    start: Timestamp,
    until: Instant,
    before: Vec<Option<Tries>>,
    is_shut: bool,
}

/// The plans with their tunnels, and who is asked.
pub(in crate::run) struct Scene<'a> {
    pub(in crate::run) plans: &'a [Plan],
    pub(in crate::run) tunnels: &'a mut [Option<Tunnel>],
    pub(in crate::run) phases: &'a Phases,
    pub(in crate::run) prompt: &'a mut dyn Prompt,
    pub(in crate::run) interrupted: &'a AtomicBool,
}

impl Driver {
    /// For these disruptions; `interfaces`: the watched ones of this machine.
    ///
    /// # Errors
    /// `Disruption`, `File`: the journal cannot be kept.
    pub(in crate::run) fn new(disrupt: &Disrupt, interfaces: &[String]) -> Result<Self, RunError> {
        let changes_system = disrupt
            .steps
            .iter()
            .any(|step| matches!(step, Step::Route | Step::Hosts | Step::Resolver(_) | Step::Ipv6));
        Ok(Self {
            left: disrupt.steps.iter().copied().collect(),
            hold: disrupt.hold(),
            state: if disrupt.steps.is_empty() {
                State::Over
            } else {
                State::Calm(Instant::now() + CALM)
            },
            journal: if changes_system { Some(Journal::open()?) } else { None },
            interfaces: interfaces.to_vec(),
            done: Vec::new(),
        })
    }

    /// The window is open: the calm begins.
    pub(in crate::run) fn begin(&mut self) {
        if let State::Calm(until) = &mut self.state {
            *until = Instant::now() + CALM;
        }
    }

    /// Whether nothing is left to be done: the window may end.
    pub(in crate::run) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether something is away right now.
    pub(in crate::run) const fn is_holding(&self) -> bool {
        matches!(self.state, State::Holding(_))
    }

    /// Goes on, where it is time; what was done, for the screen.
    pub(in crate::run) fn tick(&mut self, scene: &mut Scene<'_>) -> Option<String> {
        match &self.state {
            State::Calm(until) if Instant::now() >= *until => {
                let Some(step) = self.left.pop_front() else {
                    self.state = State::Over;
                    return None;
                };
                Some(self.apply(step, scene))
            }
            State::Holding(holding) if Instant::now() >= holding.until => Some(self.restore(scene)),
            _ => self.half_time(scene),
        }
    }

    /// In the second half of a cut the mouths refuse: some clients fall back only then. In the first half they take in
    /// what comes, so that it is seen that the client tries.
    fn half_time(&mut self, scene: &mut Scene<'_>) -> Option<String> {
        let State::Holding(holding) = &mut self.state else { return None };
        let is_due = holding.until.saturating_duration_since(Instant::now()) <= self.hold / 2;
        if holding.step != Step::Cut || holding.is_shut || !is_due {
            return None;
        }
        holding.is_shut = true;
        scene.tunnels.iter_mut().flatten().for_each(Tunnel::shut_mouths);
        Some("disrupted: cut: the mouths are shut, too".to_owned())
    }

    /// Puts back what is still away, and gives the record; what was not reached was not done.
    pub(in crate::run) fn finish(mut self, scene: &mut Scene<'_>) -> Vec<Disruption> {
        if matches!(self.state, State::Holding(_)) {
            // The interruption that ended the window does not keep the tunnel from coming up again; a second one ends it all.
            let go_on = AtomicBool::new(false);
            let Scene { plans, tunnels, phases, prompt, .. } = scene;
            self.restore(&mut Scene {
                plans,
                tunnels,
                phases,
                prompt: *prompt,
                interrupted: &go_on,
            });
        }
        while let Some(step) = self.left.pop_front() {
            self.not_done(step, "the window ended before");
        }
        self.done
    }

    fn apply(&mut self, step: Step, scene: &mut Scene<'_>) -> String {
        let before = tries(scene);
        let stage = if step == Step::Rekey { Stage::Rekey } else { Stage::Disrupted };
        let label = if step == Step::Rekey { String::new() } else { step.to_string() };
        scene.phases.begin(stage, &label);
        let start = now();
        match self.act(step, scene) {
            Ok(what) => {
                let said = format!("disrupted: {step}: {what}");
                let until = Instant::now() + self.hold;
                let is_shut = false;
                self.state = State::Holding(Holding { step, what, start, until, before, is_shut });
                said
            }
            Err(why) => {
                // Half of it may have been done.
                let undone = self.journal.as_mut().map_or(Ok(()), Journal::undo_all);
                scene.phases.begin(Stage::Up, "");
                self.not_done(step, &why);
                if let (Err(why), Some(last)) = (undone, self.done.last_mut()) {
                    last.not_undone = Some(why);
                }
                self.state = State::Calm(Instant::now() + CALM);
                format!("NOT disrupted: {step}: {why}")
            }
        }
    }

    fn act(&mut self, step: Step, scene: &mut Scene<'_>) -> Result<String, String> {
        let not_ours = || "no tunnel of this run is ours".to_owned();
        match step {
            Step::Cut | Step::Reconnect | Step::Rekey
                if scene.tunnels.iter().flatten().next().is_none() =>
            {
                Err(not_ours())
            }
            Step::Cut => {
                scene.tunnels.iter_mut().flatten().for_each(|tunnel| tunnel.cut("cut on purpose"));
                Ok("the connection to the gateway was ended; what came to the mouths was closed at once, then refused".to_owned())
            }
            Step::Reconnect => {
                scene
                    .tunnels
                    .iter_mut()
                    .flatten()
                    .for_each(|tunnel| tunnel.cut("made anew on purpose"));
                redial(scene);
                Ok("the connection to the gateway was ended and made anew".to_owned())
            }
            Step::Rekey => {
                for tunnel in scene.tunnels.iter().flatten() {
                    tunnel.rekey().map_err(|error| error.to_string())?;
                }
                Ok("new keys were agreed on".to_owned())
            }
            Step::Route => self.route(scene.plans),
            Step::Hosts => self.hosts(scene.plans),
            Step::Resolver(server) => self.resolver(server),
            Step::Ipv6 => self.ipv6(),
        }
    }

    fn route(&mut self, plans: &[Plan]) -> Result<String, String> {
        let gateways: BTreeSet<IpAddr> =
            plans.iter().flat_map(|plan| plan.target.gateway_addresses.iter().copied()).collect();
        if gateways.is_empty() {
            return Err("the target has no gateway".to_owned());
        }
        for address in &gateways {
            self.change(Undo::Route { address: *address }, || system::block_route(*address))?;
        }
        let gateways: Vec<String> = gateways.iter().map(ToString::to_string).collect();
        Ok(format!("the gateway ({}) was made unreachable", gateways.join(", ")))
    }

    fn hosts(&mut self, plans: &[Plan]) -> Result<String, String> {
        let services = plans.iter().flat_map(|plan| &plan.target.services);
        let names: BTreeSet<String> = services
            .flat_map(|service| service.aliases.iter().chain([&service.host]))
            .map(|name| lines::normal(name))
            .filter(|name| name != "localhost" && name.parse::<IpAddr>().is_err())
            .collect();
        let before = lines::read(Edited::Hosts.path())?;
        let after = lines::without_aliases(&before, &names).ok_or_else(|| {
            format!(
                "no line of {} leads a service's name to loopback",
                Edited::Hosts.path().display()
            )
        })?;
        let text = after.clone();
        self.change(Undo::Lines { file: Edited::Hosts, before, after }, || {
            lines::write(Edited::Hosts.path(), &text)
        })?;
        Ok(format!("the aliases were put aside in {}", Edited::Hosts.path().display()))
    }

    fn resolver(&mut self, server: IpAddr) -> Result<String, String> {
        let path = Edited::Resolver.path();
        let is_managed = std::fs::canonicalize(path)
            .is_ok_and(|real| real.to_string_lossy().contains("systemd/resolve"));
        if is_managed {
            return Err(format!("{} is systemd-resolved's: use resolvectl dns", path.display()));
        }
        let before = lines::read(path)?;
        let after = lines::with_resolver(&before, server);
        let text = after.clone();
        self.change(Undo::Lines { file: Edited::Resolver, before, after }, || {
            lines::write(path, &text)
        })?;
        Ok(format!("names are asked of {server}"))
    }

    fn ipv6(&mut self) -> Result<String, String> {
        let without: Vec<String> = self
            .interfaces
            .iter()
            .filter(|name| system::has_ipv6(name) == Some(false))
            .cloned()
            .collect();
        if without.is_empty() {
            return Err(format!(
                "IPv6 is on already, or cannot be turned on here: {}",
                self.interfaces.join(", ")
            ));
        }
        for interface in &without {
            let undo = Undo::Ipv6 { interface: interface.clone() };
            self.change(undo, || system::set_ipv6(interface, true))?;
        }
        Ok(format!("IPv6 was turned on: {}", without.join(", ")))
    }

    /// Writes down what is to be put back, and takes it away.
    fn change(
        &mut self,
        undo: Undo,
        act: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let journal = self.journal.as_mut().ok_or("there is no journal")?;
        journal.add(undo)?;
        act().inspect_err(|_| journal.forget())
    }

    fn restore(&mut self, scene: &mut Scene<'_>) -> String {
        let State::Holding(holding) =
            std::mem::replace(&mut self.state, State::Calm(Instant::now() + CALM))
        else {
            return String::new();
        };
        let undone = self.journal.as_mut().map_or(Ok(()), Journal::undo_all);
        let Holding { step, what, start, before, .. } = holding;
        let mut shut = None;
        for tunnel in scene.tunnels.iter_mut().flatten() {
            tunnel.forgive_loss(start);
            shut = shut.or(tunnel.open_mouths().err());
        }
        // Until the tunnel is up again the phase lasts: what the client does meanwhile, it does without a tunnel.
        redial(scene);
        let end = now();
        scene.phases.begin(Stage::Up, "");
        let tries = before
            .into_iter()
            .zip(tries(scene))
            .filter_map(|(before, after)| {
                let (before, after) = (before?, after?);
                Some(Tries {
                    target: before.target,
                    attempts: after.attempts.saturating_sub(before.attempts),
                    forwarded: after.forwarded.saturating_sub(before.forwarded),
                    up_before: before.up_before,
                    up_after: after.up_before,
                })
            })
            .collect();
        let not_undone = undone.err().or(shut.map(|error| error.to_string()));
        let said = match &not_undone {
            None => format!("put back: {step}"),
            Some(why) => format!("NOT put back: {step}: {why}"),
        };
        let step = step.to_string();
        self.done.push(Disruption { step, what, done: true, start, end, tries, not_undone });
        self.state = State::Calm(Instant::now() + CALM);
        said
    }

    fn not_done(&mut self, step: Step, why: &str) {
        let at = now();
        self.done.push(Disruption {
            step: step.to_string(),
            what: why.to_owned(),
            done: false,
            start: at,
            end: at,
            tries: Vec::new(),
            not_undone: None,
        });
    }
}

/// What the forwards have had to do so far, and whether the tunnel is up, plan by plan.
fn tries(scene: &Scene<'_>) -> Vec<Option<Tries>> {
    let one = |(plan, tunnel): (&Plan, &Option<Tunnel>)| {
        let tunnel = tunnel.as_ref()?;
        let forwards = tunnel.record().forwards;
        let up = tunnel.is_up();
        Some(Tries {
            target: plan.target.name.clone(),
            attempts: forwards.iter().map(|forward| forward.conns).sum(),
            forwarded: forwards.iter().map(|it| it.bytes_in.saturating_add(it.bytes_out)).sum(),
            up_before: up,
            up_after: up,
        })
    };
    scene.plans.iter().zip(scene.tunnels.iter()).map(one).collect()
}

/// Dials every tunnel that is down.
fn redial(scene: &mut Scene<'_>) {
    for tunnel in scene.tunnels.iter_mut().flatten() {
        for _ in 0..REDIALS {
            if tunnel.is_up() {
                break;
            }
            match tunnel.redial(scene.prompt, scene.interrupted) {
                Ok(()) | Err(TunnelError::Interrupted) => break,
                // The record says whether it is up; the gateway may still have to forget the old one.
                Err(_) => std::thread::sleep(BETWEEN_REDIALS),
            }
        }
    }
}
