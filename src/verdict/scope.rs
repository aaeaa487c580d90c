//! Which conns have something to do with the target. MISSION section 3, "In scope".

use super::case::Case;
use super::judgement::Role;
use crate::model::{
    Class, ConnId, ConnRecord, ConnSummary, ControlPath, Direction, Endpoint, Exempt, Proto, Rule,
    Service, Target, TunnelMode, Uid, Vantage,
};
use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// How the addresses of the watched host came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientBasis {
    /// Named in the target, or those of the watched machine.
    Given,
    /// Taken from the capture: who opened a conn to the gateway, or to a service.
    Inferred,
    /// Nobody was seen.
    Unknown,
}

/// A conn and what it is to the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) conn: &'a ConnSummary,
    pub(super) place: Place,
    /// Taken inside the tunnel: it says nothing about the wire.
    pub(super) inside: bool,
    /// The direction in which the client sends, where one end is a client.
    pub(super) client_dir: Option<Direction>,
}

/// What a conn is to the target. Numbers are indices into the target's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the gateway's port; `ours`: the very conn that tunnelcheck opened.
    Gateway { ours: bool },
    /// Client and service, at its port.
    Service(usize),
    /// Client and an address of gateway or service, at another port or without ports.
    Other,
    /// Allowed.
    Exempt(usize),
    /// tunnelcheck's own control datagrams.
    Control,
    /// tunnelcheck's own other conns.
    Excluded,
    /// Somebody who is neither a known client nor the gateway, and a service.
    StrangerToService {
        /// Who.
        stranger: IpAddr,
        /// It travels in a tunnel that begins or ends at a client.
        by_client: bool,
    },
    /// Somebody who is no known client, and the gateway's port.
    StrangerToGateway,
    /// Nothing to do with the target.
    Elsewhere,
}

impl Placed<'_> {
    pub(super) const fn uid(&self) -> Uid {
        self.conn.record.uid
    }

    /// Whether the claims about conns in scope ask something of it.
    pub(super) const fn in_scope(&self) -> bool {
        !self.inside
            && matches!(self.place, Place::Gateway { .. } | Place::Service(_) | Place::Other)
    }

    /// Whether its content is allowed to be readable.
    pub(super) const fn exempt(&self) -> Option<usize> {
        match self.place {
            Place::Exempt(index) => Some(index),
            _ => None,
        }
    }
}

/// The target's ends on the wire, and every conn with its place.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// Where the tunnel must lead: what the target says, or else what the capture says.
    pub(super) gateway: BTreeSet<IpAddr>,
    /// Wherever the gateway may be, by both.
    gateway_anywhere: BTreeSet<IpAddr>,
    /// In the order of `target.services`.
    pub(super) services: Vec<(&'a Service, BTreeSet<IpAddr>)>,
    /// In the order of `target.exempts`.
    pub(super) exempts: Vec<(&'a Exempt, BTreeSet<IpAddr>)>,
    pub(super) clients: BTreeSet<IpAddr>,
    pub(super) client_basis: ClientBasis,
    /// In the order of `case.conns`.
    pub(super) conns: Vec<Placed<'a>>,
    /// The addresses of gateway, services and exempts.
    known: Known,
}

/// Tells of most addresses that they are none of some.
#[derive(Debug)]
struct Known([u64; Self::WORDS]);

impl Known {
    const WORDS: usize = 64;

    fn of<'i>(addresses: impl IntoIterator<Item = &'i IpAddr>) -> Self {
        let mut known = Self([0; Self::WORDS]);
        for ip in addresses {
            let (word, bit) = Self::place(*ip);
            if let Some(word) = known.0.get_mut(word) {
                *word |= bit;
            }
        }
        known
    }

    /// False: it is none of them.
    fn may_hold(&self, ip: IpAddr) -> bool {
        let (word, bit) = Self::place(ip);
        self.0.get(word).is_none_or(|word| word & bit != 0)
    }

    fn place(ip: IpAddr) -> (usize, u64) {
        let bits = match ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => {
                let (high, low) = (ip.to_bits() >> 64, ip.to_bits() & u128::from(u64::MAX));
                u64::try_from(high ^ low).unwrap_or_default()
            }
        };
        // Multiplied by 2^64 over the golden ratio, whose highest bits depend on all of the octets.
        let spread = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (usize::try_from(spread >> 58).unwrap_or_default(), 1 << (spread >> 52 & 63))
    }
}

/// Who stands at the other end of conns to the gateway, and to the services; the gateway itself aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    gateway: BTreeSet<IpAddr>,
    services: BTreeSet<IpAddr>,
}

/// Addresses kept of those who may be the client; a capture with more of them names the client, or is not judged.
const MAX_MET: usize = 1 << 16;

impl<'a> Scope<'a> {
    pub(super) fn of(case: &Case<'a>) -> Self {
        let mut scope = Self::bare(case);
        if let Some(met) = &case.rest.met {
            scope.find_clients(case, met);
        } else {
            let mut met = Met::default();
            for conn in case.conns {
                scope.meet(case, &conn.record, &mut met, usize::MAX);
            }
            scope.find_clients(case, &met);
        }
        scope.place_all(case);
        scope
    }

    /// The target's ends on the wire; neither clients nor conns are known yet.
    pub(super) fn bare(case: &Case<'a>) -> Self {
        let target = case.target;
        // What must not be widened by an answer in the capture: where the tunnel leads, and what is exempt. What may
        // be: where a bypass could go.
        let given = canonical(&target.gateway_addresses);
        let mut gateway_anywhere = given.clone();
        if let Some(host) = &target.gateway_host {
            gateway_anywhere.extend(addresses_of(case, host));
        }
        let gateway = if given.is_empty() { gateway_anywhere.clone() } else { given };
        let services: Vec<_> = target
            .services
            .iter()
            .map(|service| (service, service_addresses(case, service, &gateway_anywhere)))
            .collect();
        let exempts: Vec<_> = target
            .exempts
            .iter()
            .map(|exempt| {
                let mut at = canonical(&exempt.addresses);
                if at.is_empty() {
                    at.extend(addresses_of(case, &exempt.host));
                    if literal(&exempt.host).is_none() {
                        // An answer in the capture never exempts the target's own hosts under another name.
                        at.retain(|ip| {
                            !is_anothers(target, exempt, *ip, &gateway_anywhere, &services)
                        });
                    }
                    if is_local_name(&exempt.host) {
                        at.extend(&gateway);
                    }
                }
                (exempt, at)
            })
            .collect();
        let of_services = services.iter().flat_map(|(_, at)| at);
        let of_exempts = exempts.iter().flat_map(|(_, at)| at);
        let all = gateway.iter().chain(&gateway_anywhere).chain(of_services).chain(of_exempts);
        Self {
            known: Known::of(all),
            gateway,
            gateway_anywhere,
            services,
            exempts,
            clients: BTreeSet::new(),
            client_basis: ClientBasis::Unknown,
            conns: Vec::new(),
        }
    }

    /// The conns in scope.
    pub(super) fn in_scope(&self) -> impl Iterator<Item = &Placed<'a>> {
        self.conns.iter().filter(|placed| placed.in_scope())
    }

    /// The role to show for a conn; none where it has nothing to do with the target.
    pub(super) fn role(&self, placed: &Placed<'_>) -> Option<Role> {
        let role = match placed.place {
            Place::Gateway { .. } => Role::Gateway,
            Place::Service(index) => Role::Service(
                self.services
                    .get(index)
                    .map_or_else(String::new, |(service, _)| service.name.clone()),
            ),
            Place::Other => Role::InScopeOther,
            Place::Exempt(index) => Role::Exempt(
                self.exempts.get(index).map_or_else(String::new, |(exempt, _)| exempt.name.clone()),
            ),
            Place::Control => Role::Control,
            Place::Excluded => Role::Excluded,
            Place::StrangerToService { .. } | Place::StrangerToGateway | Place::Elsewhere => {
                return None;
            }
        };
        let aside = matches!(role, Role::Control | Role::Excluded | Role::Exempt(_));
        Some(if placed.inside && !aside { Role::Inside } else { role })
    }

    /// Whether an address is of a family (IPv4, IPv6) of which no address of the client is known.
    pub(super) fn is_of_unknown_family(&self, ip: IpAddr) -> bool {
        !self
            .clients
            .iter()
            .any(|client| client.is_ipv4() == plain(ip).is_ipv4() && !is_link_local(*client))
    }

    /// Whether a service is allowed to be readable by an exemption of its host and port.
    pub(super) fn is_exempt(&self, service: &Service) -> bool {
        self.exempts.iter().any(|(exempt, _)| {
            exempt.port == Some(service.port)
                && (exempt.host == service.host || service.aliases.contains(&exempt.host))
        })
    }

    /// The addresses of the client, as far as they need not be taken from the capture.
    fn given(case: &Case<'_>) -> BTreeSet<IpAddr> {
        let mut given = canonical(&case.target.clients);
        // Our own tunnel begins on this machine: all its addresses are the client's, named or not.
        if case.source.is_ours() && (given.is_empty() || case.target.tunnel == TunnelMode::Builtin)
        {
            given.extend(canonical(case.client_addresses));
        }
        given
    }

    /// Whether the client is to be found among those who are met.
    pub(super) fn must_meet(case: &Case<'_>) -> bool {
        Self::given(case).is_empty()
    }

    /// Whether one of the ends is the gateway's or a service's.
    pub(super) fn is_concerned(&self, case: &Case<'_>, id: &ConnId) -> bool {
        [id.orig, id.resp].into_iter().filter(|end| self.known.may_hold(plain(end.ip))).any(|end| {
            self.is_gateway(case, end, id.proto)
                || id.proto.has_ports() && self.service_at(end).is_some()
        })
    }

    /// Notes who stands at the other end of a conn to the gateway or to a service. False where there are too many.
    pub(super) fn meet_within(&self, case: &Case<'_>, conn: &ConnRecord, met: &mut Met) -> bool {
        self.meet(case, conn, met, MAX_MET)
    }

    fn meet(&self, case: &Case<'_>, conn: &ConnRecord, met: &mut Met, most: usize) -> bool {
        if is_inside(case, conn) {
            return true;
        }
        let id = &conn.id;
        let other = |wanted: &dyn Fn(Endpoint) -> bool| {
            let other = if wanted(id.resp) {
                id.orig
            } else if wanted(id.orig) {
                id.resp
            } else {
                return None;
            };
            Some(plain(other.ip)).filter(|ip| !self.gateway.contains(ip))
        };
        let mut fits = true;
        if let Some(ip) = other(&|end| self.is_gateway(case, end, id.proto)) {
            fits &= insert_within(&mut met.gateway, ip, most);
        }
        if let Some(ip) = other(&|end| id.proto.has_ports() && self.service_at(end).is_some()) {
            fits &= insert_within(&mut met.services, ip, most);
        }
        fits
    }

    pub(super) fn find_clients(&mut self, case: &Case<'a>, met: &Met) {
        let given = Self::given(case);
        if given.is_empty() {
            // Nobody went to the gateway: then those who went to the services are the watched ones.
            let met = if case.target.tunnel != TunnelMode::None && !met.gateway.is_empty() {
                &met.gateway
            } else {
                &met.services
            };
            if !met.is_empty() {
                self.client_basis = ClientBasis::Inferred;
            }
            self.clients.clone_from(met);
        } else {
            self.clients = given;
            self.client_basis = ClientBasis::Given;
        }
        if let Some(tunnel) = case.tunnel {
            self.clients.insert(plain(tunnel.local.ip()));
            if self.client_basis == ClientBasis::Unknown {
                self.client_basis = ClientBasis::Inferred;
            }
        }
    }

    fn is_gateway(&self, case: &Case<'_>, end: Endpoint, proto: Proto) -> bool {
        let carries = match case.target.tunnel {
            TunnelMode::Builtin => proto == Proto::TCP,
            TunnelMode::External => proto.has_ports(),
            TunnelMode::None => false,
        };
        carries && end.port == case.target.gateway_port && self.gateway.contains(&plain(end.ip))
    }

    /// The service at an address and port.
    fn service_at(&self, end: Endpoint) -> Option<usize> {
        let ip = plain(end.ip);
        self.services.iter().position(|(service, at)| service.port == end.port && at.contains(&ip))
    }

    fn place_all(&mut self, case: &Case<'a>) {
        let aside = Aside::of(case);
        self.conns = case.conns.iter().map(|conn| self.placed(case, conn, &aside)).collect();
    }

    /// A conn with its place.
    pub(super) fn placed<'c>(
        &self,
        case: &Case<'_>,
        conn: &'c ConnSummary,
        aside: &Aside,
    ) -> Placed<'c> {
        let id = canonical_id(&conn.record.id);
        Placed {
            conn,
            place: self.place(case, conn, &id, &aside.excluded, &aside.tokens),
            inside: is_inside(case, &conn.record),
            client_dir: if self.clients.contains(&id.orig.ip) {
                Some(Direction::OrigToResp)
            } else if self.clients.contains(&id.resp.ip) {
                Some(Direction::RespToOrig)
            } else {
                None
            },
        }
    }

    fn place(
        &self,
        case: &Case<'_>,
        conn: &ConnSummary,
        id: &ConnId,
        excluded: &HashSet<ConnId>,
        tokens: &Tokens,
    ) -> Place {
        let back = reversed(id);
        if case.tunnel.is_some_and(|tunnel| {
            let earlier = tunnel.earlier.iter().map(|conn| (conn.local, conn.remote));
            std::iter::once((tunnel.local, tunnel.remote)).chain(earlier).any(|(local, remote)| {
                let (orig, resp) = (endpoint(local), endpoint(remote));
                let ours = ConnId { orig, resp, proto: Proto::TCP };
                *id == ours || back == ours
            })
        }) {
            return Place::Gateway { ours: true };
        }
        // Most conns of most captures lead nowhere that is known.
        let may_concern = self.known.may_hold(id.orig.ip) || self.known.may_hold(id.resp.ip);
        let at_service =
            may_concern && self.service_at(id.orig).or_else(|| self.service_at(id.resp)).is_some();
        if !at_service && (tokens.is_control(conn) || is_control_of_another_run(conn)) {
            return Place::Control;
        }
        // They are SSH: what is readable is none of them, whatever a recording says.
        let is_readable = matches!(conn.class, Class::Cleartext | Class::Upgraded);
        if !is_readable && (excluded.contains(id) || excluded.contains(&back)) {
            return Place::Excluded;
        }
        if !may_concern && conn.record.carriage.is_none() {
            return Place::Elsewhere;
        }
        // Either end may be the server: who opened a conn is a guess where its start was not seen.
        let sides = [(id.resp, id.orig), (id.orig, id.resp)];
        for (end, other) in sides {
            if self.is_gateway(case, end, id.proto) {
                return if self.clients.contains(&other.ip) {
                    Place::Gateway { ours: false }
                } else {
                    Place::StrangerToGateway
                };
            }
        }
        let exempt = |any_port: bool| {
            self.exempts.iter().position(|(exempt, at)| {
                sides.iter().any(|(end, _)| {
                    at.contains(&end.ip)
                        && match exempt.port {
                            None => any_port,
                            Some(port) => !any_port && id.proto.has_ports() && port == end.port,
                        }
                })
            })
        };
        if let Some(index) = exempt(false) {
            return Place::Exempt(index);
        }
        if id.proto.has_ports() {
            for (end, other) in sides {
                let Some(index) = self.service_at(end) else { continue };
                if self.clients.contains(&other.ip) {
                    return Place::Service(index);
                }
                if !self.gateway.contains(&other.ip) {
                    let by_client =
                        Self::carriers(conn).any(|(one, _)| self.clients.contains(&one));
                    return Place::StrangerToService { stranger: other.ip, by_client };
                }
            }
        }
        if let Some(index) = exempt(true) {
            return Place::Exempt(index);
        }
        let known = |ip: &IpAddr| {
            self.gateway_anywhere.contains(ip)
                || self.services.iter().any(|(_, at)| at.contains(ip))
        };
        for (end, other) in sides {
            if known(&end.ip) && self.clients.contains(&other.ip) {
                return Place::Other;
            }
        }
        // Whatever its own addresses: it stands readable in a tunnel between the two.
        if Self::carriers(conn).any(|(one, other)| known(&one) && self.clients.contains(&other)) {
            return Place::Other;
        }
        Place::Elsewhere
    }

    /// The ends of the tunnels that a conn was carried in, each pair both ways round.
    fn carriers(conn: &ConnSummary) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        let pairs = conn.record.carriage.as_deref().map(|carriage| &*carriage.outer);
        pairs.unwrap_or_default().iter().flat_map(|&(src, dst)| {
            let (src, dst) = (plain(src), plain(dst));
            [(src, dst), (dst, src)]
        })
    }
}

/// What is known to be tunnelcheck's own.
pub(super) struct Aside {
    excluded: HashSet<ConnId>,
    tokens: Tokens,
}

impl Aside {
    pub(super) fn of(case: &Case<'_>) -> Self {
        Self {
            excluded: case.window.excluded.iter().map(canonical_id).collect(),
            tokens: Tokens::of(case),
        }
    }
}

fn insert_within(set: &mut BTreeSet<IpAddr>, ip: IpAddr, most: usize) -> bool {
    let fits = set.len() < most || set.contains(&ip);
    if fits {
        set.insert(ip);
    }
    fits
}

/// Conns that tokens were found in.
struct Tokens {
    clear: HashSet<Uid>,
    tunnel: HashSet<Uid>,
}

impl Tokens {
    fn of(case: &Case<'_>) -> Self {
        let mut tokens = Self { clear: HashSet::new(), tunnel: HashSet::new() };
        for sighting in case.sightings {
            let Some(uid) = sighting.uid else { continue };
            for token in case.control.tokens.iter().filter(|it| it.token == sighting.token) {
                match token.path {
                    ControlPath::Clear => tokens.clear.insert(uid),
                    ControlPath::Tunnel => tokens.tunnel.insert(uid),
                };
            }
        }
        tokens
    }

    /// A datagram conn in which a clear token was found, and no other one. Nothing else is set aside for a token.
    fn is_control(&self, conn: &ConnSummary) -> bool {
        let uid = conn.record.uid;
        conn.is_control
            && conn.record.id.proto == Proto::UDP
            && self.clear.contains(&uid)
            && !self.tunnel.contains(&uid)
    }
}

/// Datagrams that are control tokens and nothing else (a mirror may show one twice), of a run that is not judged here: the sniffer stands on another
/// machine, or somebody else checks at the same time. Identifiers are searched in it as in any other.
pub(super) fn is_control_of_another_run(conn: &ConnSummary) -> bool {
    conn.dialect == Some("control")
        && conn.record.id.proto == Proto::UDP
        && conn.hits.iter().all(|hit| hit.rule != Rule::Content)
        && !conn.is_control
}

/// Whether an interface stands inside the tunnel.
pub(super) fn is_inner(vantage: Option<Vantage>) -> bool {
    matches!(vantage, Some(Vantage::Loopback | Vantage::TunnelDevice))
}

/// Whether an interface of the run stands inside the tunnel. An unknown one does not.
pub(super) fn is_inner_interface(case: &Case<'_>, interface_id: u32) -> bool {
    usize::try_from(interface_id)
        .ok()
        .and_then(|index| case.interfaces.get(index))
        .is_some_and(|interface| is_inner(interface.vantage))
}

/// Whether a conn was seen inside the tunnel only: between loopback addresses of this machine, or on inner interfaces alone.
fn is_inside(case: &Case<'_>, record: &ConnRecord) -> bool {
    if case.target.any_vantage {
        return false;
    }
    // Such addresses in a tunnel, or in a frame with addresses of a link, were on a wire.
    let loopback = |end: Endpoint| plain(end.ip).is_loopback();
    record.carriage.is_none() && loopback(record.id.orig) && loopback(record.id.resp)
        || !record.interfaces.is_empty()
            && record.interfaces.iter().all(|id| is_inner_interface(case, *id))
}

/// The names whose answers in a capture a judgement asks for, in lower case and without a trailing dot.
#[must_use]
pub fn hosts(target: &Target) -> BTreeSet<String> {
    let services = target.services.iter();
    let services = services.flat_map(|it| std::iter::once(&it.host).chain(&it.aliases));
    let exempts = target.exempts.iter().map(|it| &it.host);
    let all = target.gateway_host.iter().chain(services).chain(exempts);
    all.map(|host| host.trim().trim_end_matches('.').to_ascii_lowercase()).collect()
}

fn service_addresses(
    case: &Case<'_>,
    service: &Service,
    gateway: &BTreeSet<IpAddr>,
) -> BTreeSet<IpAddr> {
    let mut at = canonical(&service.addresses);
    at.extend(addresses_of(case, &service.host));
    for alias in &service.aliases {
        at.extend(addresses_of(case, alias));
    }
    let mode = case.target.tunnel;
    if mode != TunnelMode::None {
        if !case.target.any_vantage {
            // An alias of the hosts file leads to the forward's mouth; the service is not there.
            at.retain(|ip| !ip.is_loopback() && !ip.is_unspecified());
        }
        if is_local_name(&service.host) {
            at.extend(gateway);
        }
    }
    at
}

/// Whether an address that an answer gives to an exempt host is the gateway's, or that of a service of another name. One
/// port may be exempt on a machine that has other services.
fn is_anothers(
    target: &Target,
    exempt: &Exempt,
    ip: IpAddr,
    gateway: &BTreeSet<IpAddr>,
    services: &[(&Service, BTreeSet<IpAddr>)],
) -> bool {
    let is_named = |host: &str| host.eq_ignore_ascii_case(&exempt.host);
    let at_gateway = gateway.contains(&ip)
        && !target.gateway_host.as_deref().is_some_and(is_named)
        && exempt.port.is_none();
    at_gateway
        || services.iter().any(|(service, at)| {
            at.contains(&ip)
                && exempt.port.is_none_or(|port| port == service.port)
                && !is_named(&service.host)
                && !service.aliases.iter().any(|alias| is_named(alias))
        })
}

/// Whether a host means the machine that asks for it.
fn is_local_name(host: &str) -> bool {
    matches!(host, "localhost" | "localhost.localdomain" | "ip6-localhost" | "ip6-loopback")
        || host.ends_with(".localhost")
        || literal(host).is_some_and(|ip| ip.is_loopback())
}

/// Where a host is: the address that it is, or what its name was answered with in the capture.
fn addresses_of<'c>(case: &Case<'c>, host: &'c str) -> impl Iterator<Item = IpAddr> + 'c {
    let names = case.names;
    literal(host).into_iter().chain(
        names
            .iter()
            .filter(move |answer| answer.name.eq_ignore_ascii_case(host))
            .map(|answer| plain(answer.address)),
    )
}

/// Whether an address is an IPv6 one of a single link (RFC 4291 s2.5.6): every host has one.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(plain)
}

/// The prefix by which IPv6 hosts reach IPv4 ones through a translator (RFC 6052 s2.1).
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The IPv4 address that an IPv6 one stands for (mapped, or behind a translator), else the address itself.
fn plain(ip: IpAddr) -> IpAddr {
    if let IpAddr::V6(v6) = ip
        && let [prefix @ .., high, low] = v6.segments()
        && prefix == NAT64
    {
        return IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    }
    ip.to_canonical()
}

fn canonical(addresses: &[IpAddr]) -> BTreeSet<IpAddr> {
    addresses.iter().copied().map(plain).collect()
}

fn canonical_id(id: &ConnId) -> ConnId {
    let end = |end: Endpoint| Endpoint { ip: plain(end.ip), port: end.port };
    ConnId { orig: end(id.orig), resp: end(id.resp), proto: id.proto }
}

const fn reversed(id: &ConnId) -> ConnId {
    ConnId { orig: id.resp, resp: id.orig, proto: id.proto }
}

fn endpoint(socket: SocketAddr) -> Endpoint {
    Endpoint { ip: plain(socket.ip()), port: socket.port() }
}
