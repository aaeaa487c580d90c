//! The live check: capture armed and proven, then the tunnel, then the traffic; stopped in the opposite order.

use crate::inspect::News;
use crate::machine::{Transport, Watcher, ask_again, explain_names, fill_addresses, to_be_asked};
use crate::model::{
    ForwardRecord, MachineRecord, Phase, Stage, TunnelMode, TunnelRecord, Vantage, WindowRecord,
};
use crate::run::annotation::{Tail, add};
use crate::run::control::Control;
use crate::run::dial::tunnel_spec;
use crate::run::disrupt::{Disrupt, Driver, Scene, Step, recover};
use crate::run::lookout::Lookout;
use crate::run::phases::Phases;
use crate::run::pipeline::unite_all;
use crate::run::recorded::conclude;
use crate::run::remote::Elsewhere;
use crate::run::sniffer::{Sniffer, close_recording};
use crate::run::vantage::{Remotes, is_awaited};
use crate::run::{CommandEnd, Outcome, RunError, SourceFacts};
use crate::source::{interface_towards, interfaces, total};
use crate::target::Plan;
use crate::tunnel::{Prompt, Tunnel, TunnelError};
use crate::verdict::Source;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is still on its way when the traffic ends: retransmissions, a client that gives up the tunnel late.
const LINGER: Duration = Duration::from_millis(500);
/// How long the capture goes on when our tunnel is closed: what a client does then has its moment named.
const DOWN_LINGER: Duration = Duration::from_millis(300);
/// Several vantages see the same: the first one's news are shown as they come, the report has all.
const FIRST_LANE: usize = 0;
/// `-i none`: look from other machines alone.
const NO_INTERFACE: &str = "none";
/// Between two looks at the clock, the command and the tunnel.
const TICK: Duration = Duration::from_millis(50);
/// How long a command that is still running at the end of the window has to end when asked to.
const COMMAND_PATIENCE: Duration = Duration::from_secs(2);

/// How to watch.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Interfaces to watch; empty: those that lead to the gateway and to the services.
    pub interfaces: Vec<String>,
    /// Length of the window; none: until interrupted, or until the command ends.
    pub window: Option<Duration>,
    /// The traffic under test: a program and its arguments; empty: somebody else makes the traffic.
    pub command: Vec<OsString>,
    /// Where to keep the frames.
    pub record: Option<PathBuf>,
    /// `--strict`.
    pub strict: bool,
    /// Host keys accepted by fingerprint, `SHA256:...`.
    pub accept_host_keys: Vec<String>,
    /// Other machines to watch from.
    pub from: Vec<Elsewhere>,
    /// What to take away while the client works.
    pub disrupt: Disrupt,
    /// Capture buffer of each interface, in octets; none: the source's default.
    pub buffer_bytes: Option<u32>,
}

/// What happens during a run, for a screen.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The capture runs on these interfaces.
    Capturing(&'a [String]),
    /// The clear control token of a phase was seen (or was not) on every interface.
    Control {
        /// Which phase.
        phase: Phase,
        /// Whether.
        seen: bool,
    },
    /// The tunnel of a target is being brought up.
    Dialing(&'a str),
    /// It is up.
    TunnelUp {
        /// Its state.
        record: &'a TunnelRecord,
        /// What the user ought to know: a host key that could not be kept.
        notes: &'a [String],
    },
    /// The window is open: the traffic under test may run.
    Window {
        /// Its length, where it has one.
        length: Option<Duration>,
    },
    /// Something was seen on the wire.
    News(&'a News),
    /// The state, some times a second.
    Tick {
        /// Since the window opened.
        elapsed: Duration,
        /// Frames seen so far.
        frames: u64,
        /// Octets seen so far.
        bytes: u64,
        /// What went through each forward so far.
        forwards: &'a [ForwardRecord],
    },
    /// Something happened that the user ought to know: a disruption, a vantage that ended.
    Said(&'a str),
    /// The window is closed; what is on its way is awaited.
    Draining,
}

/// Who is told what happens.
pub trait Observer {
    /// Something happened.
    fn progress(&mut self, progress: &Progress<'_>);
}

/// Watches the wire for these plans, and judges each.
///
/// `interrupted` ends the window when it becomes true; before the window it ends the run.
///
/// # Errors
/// `RunError` for everything that keeps the run from a verdict: permission, interface, name, tunnel, command, file.
pub fn watch(
    mut plans: Vec<Plan>,
    watch: &Watch,
    prompt: &mut dyn Prompt,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<Vec<Outcome>, RunError> {
    for line in recover()? {
        observer.progress(&Progress::Said(&line));
    }
    let asked: Vec<Vec<usize>> = plans.iter().map(|plan| to_be_asked(&plan.target)).collect();
    for plan in &mut plans {
        prepare(plan)?;
    }
    let chosen = choose_interfaces(&plans, watch)?;
    let destinations = control_destinations(&plans, &chosen, watch.from.len());
    let mut unwatched = unwatched_routes(&plans, &chosen, &destinations);
    let clients = own_addresses()?;
    let through_tunnel = plans.iter().any(|plan| plan.target.tunnel == TunnelMode::Builtin);
    let count = u32::try_from(chosen.len() + watch.from.len()).unwrap_or(u32::MAX);
    let mut control = Control::plan(count, through_tunnel)?;
    let mut driver = Driver::new(&watch.disrupt, &chosen)?;

    let towards = plans.iter().flat_map(wire_addresses).next();
    let (mut remotes, streams) =
        Remotes::start(watch, towards, &clients, prompt, observer, interrupted)?;
    let phases = Phases::default();
    let patience = remotes.control_patience();
    let ends = service_ends(&plans);
    let watcher = Watcher::start(ends.clone());
    let scout = watcher.as_ref().map(Watcher::scout);
    let lookout = scout.as_ref().map(|scout| Lookout::start(&chosen, &ends, scout));
    let capture = Sniffer::start(&plans, &chosen, streams, watch, &control, &phases, scout)?;
    observer.progress(&Progress::Capturing(&capture.names));
    control.begin(Phase::Before);
    phases.begin(Stage::Before, "");
    prove(&mut control, Phase::Before, &destinations, &capture, patience, observer);
    stop_if(interrupted)?;

    let mut tunnels: Vec<Option<Tunnel>> = Vec::new();
    for plan in &plans {
        tunnels.push(dial(plan, watch, prompt, observer, interrupted)?);
        stop_if(interrupted)?;
    }
    control.begin(Phase::During);
    phases.begin(Stage::Up, "");
    prove(&mut control, Phase::During, &destinations, &capture, patience, observer);
    prove_tunnels(&mut control, Phase::During, &tunnels);

    observer.progress(&Progress::Window { length: watch.window });
    let mut scene =
        Scene { plans: &plans, tunnels: &mut tunnels, phases: &phases, prompt, interrupted };
    let during = During { watch, capture: &capture };
    let command = during.stimulate(&mut scene, &mut driver, &mut remotes, observer)?;
    let disruptions = driver.finish(&mut scene);

    observer.progress(&Progress::Draining);
    control.begin(Phase::After);
    std::thread::sleep(LINGER);
    prove(&mut control, Phase::After, &destinations, &capture, patience, observer);
    prove_tunnels(&mut control, Phase::After, &tunnels);
    // The record is of the state before the closing: that is no loss.
    if through_tunnel {
        phases.begin(Stage::Down, "");
    }
    let tunnels: Vec<Option<TunnelRecord>> =
        tunnels.into_iter().map(|tunnel| tunnel.map(Tunnel::close)).collect();
    if through_tunnel {
        std::thread::sleep(DOWN_LINGER);
    }
    let inputs = capture.names.clone();
    remotes.stop();
    let ended = remotes.await_end();
    let mut seen = capture.stop()?;
    let window = WindowRecord {
        stretches: phases.finish(&seen.frames_by_phase),
        disruptions,
        excluded: remotes.own_conns().to_vec(),
        vantages: remotes.finish(chosen.len(), ended, &mut seen),
    };
    locate_again(&mut plans, &asked, &watch.disrupt);
    add_new(&mut unwatched, unwatched_routes(&plans, &chosen, &destinations));
    let machine = ask_machine(&plans, lookout, watcher);
    let losses = total(&seen.losses_each);

    let facts = SourceFacts {
        unwatched: unwatched.clone(),
        source: Source::Live,
        interfaces: seen.interfaces,
        inputs,
        clients,
        control: control.record().clone(),
        window,
        strict: watch.strict,
        machine: Some(machine),
    };
    if let (Some(recorder), Some(path)) = (seen.recorder, &watch.record) {
        let judged: Vec<_> =
            plans.iter().zip(&tunnels).map(|(plan, t)| (&plan.target, t.as_ref())).collect();
        let tail = Tail::new(control.record(), &judged, &facts.clients, &unwatched, &facts.window);
        close_recording(recorder, path, &seen.losses_each, &tail)?;
    }
    let outcomes = plans.into_iter().zip(seen.pipelines).zip(tunnels);
    outcomes
        .map(|((plan, pipelines), tunnel)| {
            let closed = pipelines.into_iter().map(|pipeline| vec![pipeline.close()]).collect();
            let mut outcome = conclude(plan, unite_all(closed, &losses)?, &facts, tunnel)?;
            outcome.command.clone_from(&command);
            Ok(outcome)
        })
        .collect()
}

/// Fills in what only the live run can know, and refuses what it cannot do.
fn prepare(plan: &mut Plan) -> Result<(), RunError> {
    fill_addresses(&mut plan.target);
    let target = &plan.target;
    if target.tunnel != TunnelMode::None && target.gateway_addresses.is_empty() {
        return Err(RunError::Resolve {
            target: target.name.clone(),
            host: target.gateway_host.clone().unwrap_or_default(),
        });
    }
    Ok(())
}

/// Adds what is not there yet.
fn add_new(known: &mut Vec<String>, more: Vec<String>) {
    for text in more {
        if !known.contains(&text) {
            known.push(text);
        }
    }
}

/// Asks once more where the services are that only their names tell, also of the name servers that a disruption put in.
fn locate_again(plans: &mut [Plan], asked: &[Vec<usize>], disrupt: &Disrupt) {
    let servers = disrupt.steps.iter().filter_map(|step| match step {
        Step::Resolver(server) => Some(*server),
        _ => None,
    });
    let servers: Vec<IpAddr> = servers.collect();
    for (plan, asked) in plans.iter_mut().zip(asked) {
        ask_again(&mut plan.target, asked, &servers);
    }
}

/// The addresses to whose interfaces the packets of a target would go: its gateway's first, then its services'.
fn wire_addresses(plan: &Plan) -> impl Iterator<Item = IpAddr> + '_ {
    let services = plan.target.services.iter().flat_map(|service| service.addresses.iter());
    plan.target.gateway_addresses.iter().chain(services).copied()
}

/// The names of the interfaces to watch. A name that does not exist is left to libpcap, whose refusal names those that do.
fn choose_interfaces(plans: &[Plan], watch: &Watch) -> Result<Vec<String>, RunError> {
    let named = &watch.interfaces;
    if named.iter().any(|name| name == NO_INTERFACE) && !watch.from.is_empty() {
        return Ok(Vec::new());
    }
    let mut chosen: Vec<String> = Vec::new();
    for name in named {
        if !chosen.contains(name) {
            chosen.push(name.clone());
        }
    }
    if named.is_empty() {
        for plan in plans {
            for address in wire_addresses(plan) {
                // An address without a route cannot be reached, and so not be leaked to.
                let Ok(interface) = interface_towards(address) else { continue };
                if !chosen.contains(&interface.name) {
                    chosen.push(interface.name);
                }
            }
        }
    }
    if chosen.is_empty() {
        let target = plans.first().map(|plan| plan.target.name.clone()).unwrap_or_default();
        return Err(RunError::NoInterface { target });
    }
    Ok(chosen)
}

/// For each interface the address that its control datagrams go to: one that the route leads to through this very
/// interface, where there is one; else the first of all, whose datagram will then be missed, as it should be. Each of the
/// `remotes` is to see what goes to the first of all.
fn control_destinations(plans: &[Plan], chosen: &[String], remotes: usize) -> Vec<IpAddr> {
    let all: Vec<IpAddr> = plans.iter().flat_map(wire_addresses).collect();
    let leads_through = |address: &IpAddr, name: &str| {
        interface_towards(*address).is_ok_and(|interface| interface.name == name)
    };
    let pick = |name: &String| {
        let fitting = all.iter().find(|address| leads_through(address, name));
        fitting.or(all.first()).copied()
    };
    let first = all.first().copied();
    chosen.iter().filter_map(pick).chain(first.into_iter().cycle().take(remotes)).collect()
}

/// The services whose route leaves by an interface that is neither watched nor the one by which a control datagram leaves
/// (that one is proven to be seen: a bridge above a watched port, say). Loopback and the devices of tunnels are not the wire.
fn unwatched_routes(plans: &[Plan], chosen: &[String], controls: &[IpAddr]) -> Vec<String> {
    /// Linux's name for all interfaces at once.
    const EVERY_INTERFACE: &str = "any";

    if chosen.iter().any(|name| name == EVERY_INTERFACE) {
        return Vec::new();
    }
    let proven: Vec<String> = controls
        .iter()
        .filter_map(|address| interface_towards(*address).ok())
        .map(|interface| interface.name)
        .collect();
    let mut unwatched = Vec::new();
    for service in plans.iter().flat_map(|plan| &plan.target.services) {
        for address in &service.addresses {
            let Ok(interface) = interface_towards(*address) else { continue };
            let seen = chosen.contains(&interface.name) || proven.contains(&interface.name);
            if interface.vantage == Vantage::Wire && !seen {
                unwatched.push(format!(
                    "the way to service {} ({address}) leaves by {}",
                    service.name, interface.name
                ));
            }
        }
    }
    unwatched
}

/// Where direct connections to the services would go: address, port, TCP or UDP.
fn service_ends(plans: &[Plan]) -> Vec<(IpAddr, u16, Transport)> {
    let mut ends = Vec::new();
    for plan in plans.iter().filter(|plan| plan.target.tunnel != TunnelMode::None) {
        for service in &plan.target.services {
            let transport = if service.is_udp { Transport::Udp } else { Transport::Tcp };
            let here = service.addresses.iter().filter(|ip| !ip.is_loopback());
            ends.extend(here.map(|ip| (ip.to_canonical(), service.port, transport)));
        }
    }
    ends
}

/// Who opened direct connections, and, where there were any, where the names lead. The capture has ended: our own
/// questions to name servers are not in it.
fn ask_machine(
    plans: &[Plan],
    lookout: Option<Lookout>,
    watcher: Option<Watcher>,
) -> MachineRecord {
    if let Some(lookout) = lookout {
        lookout.stop();
    }
    let (sightings, limits) = watcher.map(Watcher::finish).unwrap_or_default();
    let names = if sightings.is_empty() {
        Vec::new()
    } else {
        explain_names(plans.iter().flat_map(|plan| &plan.target.services))
    };
    MachineRecord { sightings, names, limits }
}

/// The addresses of this machine, without loopback.
fn own_addresses() -> Result<Vec<IpAddr>, RunError> {
    let mut own = Vec::new();
    for interface in interfaces()? {
        let real: Vec<IpAddr> =
            interface.addresses.into_iter().filter(|ip| !ip.is_loopback()).collect();
        add(&mut own, &real);
    }
    Ok(own)
}

fn stop_if(interrupted: &AtomicBool) -> Result<(), RunError> {
    if interrupted.load(Ordering::Relaxed) { Err(RunError::Interrupted) } else { Ok(()) }
}

/// Sends the clear tokens of a phase and waits until the capture has seen them, or has not.
fn prove(
    control: &mut Control,
    phase: Phase,
    destinations: &[IpAddr],
    capture: &Sniffer,
    patience: Duration,
    observer: &mut dyn Observer,
) {
    control.send_clear(phase, destinations);
    let sent = control.sent_clear(phase).into_iter();
    // A token that another machine is to see passes this one, too: which vantage has seen it counts.
    let mut missing: Vec<(usize, String)> =
        sent.map(|(id, token)| (capture.lanes.lane(id), token)).collect();
    let nothing_sent = missing.is_empty();
    let deadline = Instant::now() + patience;
    while !missing.is_empty() && Instant::now() < deadline {
        for (lane, news) in capture.news(TICK) {
            missing.retain(|awaited| !is_awaited(lane, &news, awaited));
            if lane == FIRST_LANE && !matches!(news, News::Token(_)) {
                observer.progress(&Progress::News(&news));
            }
        }
    }
    observer.progress(&Progress::Control { phase, seen: missing.is_empty() && !nothing_sent });
}

/// Sends the token of a phase through every tunnel. It counts as sent only when every gateway has answered.
fn prove_tunnels(control: &mut Control, phase: Phase, tunnels: &[Option<Tunnel>]) {
    let Some(token) = control.tunnel_token(phase) else { return };
    let mut up = tunnels.iter().flatten().peekable();
    if up.peek().is_some() && up.all(|tunnel| tunnel.send_control(&token).is_ok()) {
        control.tunnel_token_sent(phase);
    }
}

fn dial(
    plan: &Plan,
    watch: &Watch,
    prompt: &mut dyn Prompt,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<Option<Tunnel>, RunError> {
    let Some(spec) = tunnel_spec(plan, &watch.accept_host_keys) else { return Ok(None) };
    observer.progress(&Progress::Dialing(&plan.target.name));
    let up = Tunnel::bind(spec).and_then(|bound| bound.up_unless(prompt, interrupted));
    let tunnel = up.map_err(|error| match error {
        TunnelError::Interrupted => RunError::Interrupted,
        error => error.into(),
    })?;
    observer.progress(&Progress::TunnelUp { record: &tunnel.record(), notes: tunnel.notes() });
    Ok(Some(tunnel))
}

/// The window.
struct During<'a> {
    watch: &'a Watch,
    capture: &'a Sniffer,
}

impl During<'_> {
    /// Lets the traffic happen: until the window is over, the command has ended, or the user has seen enough; and, where
    /// something is disrupted, until that was done.
    fn stimulate(
        &self,
        scene: &mut Scene<'_>,
        driver: &mut Driver,
        remotes: &mut Remotes,
        observer: &mut dyn Observer,
    ) -> Result<Option<CommandEnd>, RunError> {
        let Self { watch, capture } = *self;
        let start = Instant::now();
        let mut child = start_command(&watch.command)?;
        let mut end = None;
        driver.begin();
        loop {
            for (lane, news) in capture.news(TICK) {
                if lane == FIRST_LANE {
                    observer.progress(&Progress::News(&news));
                }
            }
            if let Some(said) = driver.tick(scene) {
                observer.progress(&Progress::Said(&said));
            }
            for said in remotes.just_ended() {
                observer.progress(&Progress::Said(&said));
            }
            let tunnels = || scene.tunnels.iter().flatten();
            let forwards: Vec<ForwardRecord> =
                tunnels().flat_map(|tunnel| tunnel.record().forwards).collect();
            if !driver.is_holding() && tunnels().any(|tunnel| !tunnel.is_up()) {
                scene.phases.begin(Stage::Down, "the tunnel was lost");
            }
            observer.progress(&Progress::Tick {
                elapsed: start.elapsed(),
                frames: capture.frames.load(Ordering::Relaxed),
                bytes: capture.bytes.load(Ordering::Relaxed),
                forwards: &forwards,
            });
            if let Some(running) = &mut child
                && let Ok(Some(status)) = running.try_wait()
            {
                end = Some(status.to_string());
                break;
            }
            let over = watch.window.is_some_and(|window| start.elapsed() >= window);
            let enough = scene.interrupted.load(Ordering::Relaxed) || capture.has_ended();
            if over && driver.is_over() || enough {
                break;
            }
        }
        let line = watch.command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>();
        Ok(child.map(|mut running| CommandEnd {
            line: line.join(" "),
            status: end.unwrap_or_else(|| stop_command(&mut running)),
        }))
    }
}

fn start_command(command: &[OsString]) -> Result<Option<Child>, RunError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(None) };
    Command::new(program).args(arguments).spawn().map(Some).map_err(|source| RunError::Command {
        command: program.to_string_lossy().into_owned(),
        source,
    })
}

/// Ends a command that outlives the window.
fn stop_command(running: &mut Child) -> String {
    let deadline = Instant::now() + COMMAND_PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = running.try_wait() {
            return status.to_string();
        }
        std::thread::sleep(TICK);
    }
    let _ = running.kill();
    let _ = running.wait();
    "still running at the end of the window, and stopped".to_owned()
}
