//! What the checks look at, gathered once: sockets, their holders, the resolver, where each mouth is.

use super::Question;
use crate::machine::{
    Holders, MachineError, Resolver, Socket, State, Transport, is_superuser, sockets,
};
use crate::model::{ProcessRecord, Service, Target, TunnelMode};
use crate::source::{Interface, interface_towards};
use crate::target::Plan;
use crate::tunnel::TunnelSpec;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Programs that carry forwards though another process may hold the connection (ssh through a jump host).
const TUNNEL_PROGRAMS: &[&str] = &["ssh", "plink", "dbclient"];

/// The mouth of a service, as it is now.
pub(super) struct Mouth {
    /// Index of the service.
    pub(super) service: usize,
    /// Where it is, or should be.
    pub(super) at: SocketAddr,
    /// Who listens there.
    pub(super) listener: Option<Socket>,
    /// Processes that hold the listener; empty: nobody may be seen.
    pub(super) holders: Vec<ProcessRecord>,
    /// Whether they are the tunnel; none: it cannot be told.
    pub(super) is_tunnel: Option<bool>,
}

/// A connection to the gateway.
pub(super) struct GatewayConn {
    pub(super) socket: Socket,
    pub(super) holders: Vec<ProcessRecord>,
}

/// Everything that is looked at.
pub(super) struct Facts {
    pub(super) plan: Plan,
    pub(super) spec: Option<TunnelSpec>,
    program: String,
    pub(super) is_root: bool,
    pub(super) sockets: Result<Vec<Socket>, MachineError>,
    pub(super) resolver: Resolver,
    pub(super) mouths: Vec<Mouth>,
    pub(super) gateway_conns: Vec<GatewayConn>,
}

impl Facts {
    pub(super) fn gather(question: Question) -> Self {
        let Question { plan, spec, program } = question;
        let sockets = sockets();
        let mut facts = Self {
            plan,
            spec,
            program,
            is_root: is_superuser(),
            sockets,
            resolver: Resolver::read(),
            mouths: Vec::new(),
            gateway_conns: Vec::new(),
        };
        facts.find_tunnel();
        facts
    }

    pub(super) fn target(&self) -> &Target {
        &self.plan.target
    }

    pub(super) fn services(&self) -> impl Iterator<Item = (usize, &Service)> {
        self.target().services.iter().enumerate()
    }

    pub(super) fn service(&self, index: usize) -> Option<&Service> {
        self.target().services.get(index)
    }

    pub(super) fn mouth_of(&self, index: usize) -> Option<&Mouth> {
        self.mouths.iter().find(|mouth| mouth.service == index)
    }

    pub(super) fn all_sockets(&self) -> &[Socket] {
        self.sockets.as_deref().unwrap_or_default()
    }

    /// Whether a name is the one by which the gateway is reached.
    pub(super) fn is_gateway(&self, host: &str) -> bool {
        let by_ssh = self.plan.ssh.as_ref().map(|ssh| ssh.host.as_str());
        self.target().gateway_host.as_deref() == Some(host) || by_ssh == Some(host)
    }

    /// `tunnelcheck WORDS`, as it was called.
    pub(super) fn ours(&self, words: &str) -> String {
        format!("{} {words}", self.program)
    }

    /// A command that needs root.
    pub(super) fn root(&self, command: &str) -> String {
        if self.is_root { command.to_owned() } else { format!("sudo {command}") }
    }

    /// Whether a service's content is allowed to be readable.
    pub(super) fn is_exempt(&self, service: &Service) -> bool {
        self.target().exempts.iter().any(|exempt| {
            exempt.port.is_none_or(|port| port == service.port)
                && (exempt.host == service.host
                    || service.aliases.contains(&exempt.host)
                    || exempt.addresses.iter().any(|ip| service.addresses.contains(ip)))
        })
    }

    /// The connections to the gateway, and every mouth.
    fn find_tunnel(&mut self) {
        let Ok(sockets) = &self.sockets else {
            self.mouths = self.bare_mouths();
            return;
        };
        let target = &self.plan.target;
        let to_gateway = |socket: &&Socket| {
            socket.transport == Transport::Tcp
                && socket.state == State::Established
                && target.tunnel != TunnelMode::None
                && socket.remote.is_some_and(|it| {
                    it.port() == target.gateway_port && target.gateway_addresses.contains(&it.ip())
                })
        };
        let gateway: Vec<&Socket> = sockets.iter().filter(to_gateway).collect();
        let listeners: Vec<&Socket> = sockets
            .iter()
            .filter(|it| it.transport == Transport::Tcp && it.state == State::Listen)
            .collect();
        let elsewhere: Vec<&Socket> = sockets
            .iter()
            .filter(|it| it.transport == Transport::Tcp && it.state == State::Established)
            .filter(|it| it.remote.is_some_and(|end| !end.ip().is_loopback()) && !to_gateway(it))
            .collect();
        let holders = Holders::of(gateway.iter().chain(&listeners).chain(&elsewhere).copied());
        let strangers: BTreeSet<u32> = elsewhere.iter().flat_map(|it| holders.pids(it)).collect();
        let gateway_conns: Vec<GatewayConn> = gateway
            .into_iter()
            .map(|socket| GatewayConn {
                socket: socket.clone(),
                holders: holders.processes(socket),
            })
            .collect();
        let carriers: BTreeSet<u32> =
            gateway_conns.iter().flat_map(|conn| conn.holders.iter().map(|it| it.pid)).collect();
        let is_carrier = |process: &ProcessRecord| {
            let by_name = TUNNEL_PROGRAMS.contains(&process.name.as_str());
            carriers.contains(&process.pid) || by_name && !strangers.contains(&process.pid)
        };
        let mut mouths = Vec::new();
        for (index, service) in target.services.iter().enumerate() {
            if service.is_udp || target.tunnel == TunnelMode::None {
                continue;
            }
            // Somebody else's tunnel names no mouths: those of its processes are taken, by the port.
            let found = |socket: &&&Socket| {
                if let Some(mouth) = service.listen {
                    return socket.listens_at(mouth);
                }
                let processes = holders.processes(socket);
                let port = socket.local.port();
                processes.iter().any(is_carrier)
                    && (port == service.port
                        || processes.iter().any(|it| forwards(it, port, service)))
            };
            let listener = listeners.iter().find(found).map(|it| (*it).clone());
            let Some(at) = service.listen.or(listener.as_ref().map(|it| it.local)) else {
                continue;
            };
            let held = listener.as_ref().map(|it| holders.processes(it)).unwrap_or_default();
            let is_tunnel = (!held.is_empty()).then(|| held.iter().any(is_carrier));
            mouths.push(Mouth { service: index, at, listener, holders: held, is_tunnel });
        }
        self.mouths = mouths;
        self.gateway_conns = gateway_conns;
    }

    /// The mouths as the target names them, where no socket can be seen.
    fn bare_mouths(&self) -> Vec<Mouth> {
        let mouth = |(index, service): (usize, &Service)| {
            Some(Mouth {
                service: index,
                at: service.listen?,
                listener: None,
                holders: Vec::new(),
                is_tunnel: None,
            })
        };
        self.services().filter_map(mouth).collect()
    }
}

impl Mouth {
    /// Where a client on this machine connects to.
    pub(super) fn reach(&self) -> SocketAddr {
        let ip = match self.at.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(ip, self.at.port())
    }
}

/// Whether a command line of ssh forwards this port to the service: `-L [ADDRESS:]PORT:HOST:HOSTPORT`.
fn forwards(process: &ProcessRecord, port: u16, service: &Service) -> bool {
    let joined = process.args.iter().filter_map(|it| it.strip_prefix("-L"));
    let apart = process.args.windows(2).filter_map(|pair| match pair {
        [flag, value] if flag == "-L" => Some(value.as_str()),
        _ => None,
    });
    joined.chain(apart).any(|forward| {
        let mut parts = forward.rsplit(':');
        let (to_port, host, at) = (parts.next(), parts.next(), parts.next());
        to_port.and_then(|it| it.parse().ok()) == Some(service.port)
            && at.and_then(|it| it.parse().ok()) == Some(port)
            && host.is_some_and(|host| {
                host.eq_ignore_ascii_case(&service.host)
                    || service.aliases.iter().any(|it| it.eq_ignore_ascii_case(host))
                    || service.addresses.iter().any(|ip| host.parse() == Ok(*ip))
            })
    })
}

/// The interface towards an address; none where there is no route.
pub(super) fn towards(ip: IpAddr) -> Option<Interface> {
    interface_towards(ip).ok()
}

/// A word for a shell, in single quotes where it needs them.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// `1 day`, `3 hours`, `20 s`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} minutes", seconds / 60),
        7200..=172_799 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A process with its age.
pub(super) fn described(process: &ProcessRecord) -> String {
    match process.age_s {
        Some(seconds) => format!("{process}, started {} ago", age(seconds)),
        None => process.to_string(),
    }
}

/// The command line of a process, for those who may see it.
pub(super) fn command_line(process: &ProcessRecord) -> String {
    format!("pid {}: {}", process.pid, process.args.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(args: &[&str]) -> ProcessRecord {
        ProcessRecord {
            pid: 1,
            name: "ssh".to_owned(),
            exe: None,
            uid: None,
            user: None,
            age_s: None,
            args: args.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn a_forward_of_a_command_line_is_told() {
        let service = Service {
            name: "pop".to_owned(),
            kind: "pop3".to_owned(),
            host: "mail.example".to_owned(),
            port: 110,
            addresses: vec![],
            is_by_name: true,
            listen: None,
            aliases: vec![],
            is_udp: false,
        };
        for args in [
            &["ssh", "-L", "2003:mail.example:110"][..],
            &["ssh", "-L127.0.0.1:2003:MAIL.example:110"],
        ] {
            assert!(forwards(&process(args), 2003, &service), "{args:?}");
            assert!(!forwards(&process(args), 2004, &service));
        }
        assert!(!forwards(&process(&["ssh", "-L", "2003:other.example:110"]), 2003, &service));
        assert!(!forwards(&process(&["ssh", "-L"]), 2003, &service));
    }

    #[test]
    fn words_for_a_shell_are_quoted() {
        assert_eq!(quoted("a-b.c:1"), "a-b.c:1");
        assert_eq!(quoted("a b'c"), "'a b'\\''c'");
        assert_eq!(quoted(""), "''");
    }
}
