//! Worlds for the tests: each begins as a plain PASS, and a test spoils one thing.

use super::{Case, Judgement, Outcome, Rest, Source, hosts, judge};
use crate::model::*;
use std::net::{IpAddr, SocketAddr};

pub(crate) const CLIENT: &str = "10.77.0.10";
pub(crate) const GATEWAY: &str = "10.77.0.20";
pub(crate) const MAIL: &str = "10.77.1.30";
pub(crate) const OTHER: &str = "10.77.0.66";

/// Owns what a case borrows.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) target: Target,
    pub(crate) source: Source,
    pub(crate) conns: Vec<ConnSummary>,
    pub(crate) rest: Rest,
    pub(crate) raw_hits: Vec<Hit>,
    pub(crate) names: Vec<NameAnswer>,
    pub(crate) coverage: Coverage,
    pub(crate) control: ControlRecord,
    pub(crate) sightings: Vec<TokenSighting>,
    pub(crate) tunnel: Option<TunnelRecord>,
    pub(crate) interfaces: Vec<InterfaceRecord>,
    pub(crate) strict: bool,
    pub(crate) client_addresses: Vec<IpAddr>,
    pub(crate) window: WindowRecord,
    pub(crate) machine: Option<MachineRecord>,
}

impl World {
    pub(crate) fn case(&self) -> Case<'_> {
        Case {
            target: &self.target,
            source: self.source,
            conns: &self.conns,
            rest: &self.rest,
            raw_hits: &self.raw_hits,
            names: &self.names,
            coverage: &self.coverage,
            control: &self.control,
            sightings: &self.sightings,
            tunnel: self.tunnel.as_ref(),
            interfaces: &self.interfaces,
            strict: self.strict,
            client_addresses: &self.client_addresses,
            window: &self.window,
            machine: self.machine.as_ref(),
        }
    }

    pub(crate) fn judge(&self) -> Judgement {
        // As the reading does: answers of hosts that nobody asks for are not kept.
        let hosts = hosts(&self.target);
        let mut names = self.names.clone();
        names.retain(|answer| hosts.contains(&answer.name.to_ascii_lowercase()));
        let sparse = judge(&Case { names: &names, ..self.case() });
        assert_eq!(sparse, judge(&self.case()), "{hosts:?}");
        sparse
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.judge().verdict
    }

    /// Adds a conn, with the next uid, and accounts for its missing octets.
    pub(crate) fn add(&mut self, mut conn: ConnSummary) -> Uid {
        let uid = Uid(self.conns.len() as u64 + 1);
        conn.record.uid = uid;
        for hit in &mut conn.hits {
            hit.uid = Some(uid);
        }
        self.conns.push(conn);
        uid
    }

    /// The first conn to the gateway's port.
    pub(crate) fn tunnel_conn(&mut self) -> &mut ConnSummary {
        let port = self.target.gateway_port;
        self.conns.iter_mut().find(|conn| conn.record.id.resp.port == port).unwrap()
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn at(number: u64) -> FrameRef {
    FrameRef { number, time: time(number) }
}

pub(crate) fn time(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(
        1_050_416_296_000_000_000 + i64::try_from(seconds).unwrap() * 1_000_000_000,
    )
}

pub(crate) fn service(name: &str, kind: &str, port: u16) -> Service {
    Service {
        name: name.to_owned(),
        kind: kind.to_owned(),
        host: "dasher.dartmouth.edu".to_owned(),
        port,
        addresses: vec![ip(MAIL)],
        is_by_name: false,
        listen: Some(SocketAddr::new(ip("127.0.0.1"), port)),
        aliases: vec!["dasher".to_owned()],
        is_udp: false,
    }
}

pub(crate) fn target(tunnel: TunnelMode) -> Target {
    Target {
        name: "dasher".to_owned(),
        tunnel,
        gateway_host: (tunnel != TunnelMode::None).then(|| "nimbus.dartmouth.edu".to_owned()),
        gateway_port: 22,
        gateway_addresses: if tunnel == TunnelMode::None { vec![] } else { vec![ip(GATEWAY)] },
        clients: vec![],
        services: vec![service("mail", "blitzmail", 2151), service("dnd", "dnd", 902)],
        identifiers: vec![Identifier { label: "username".to_owned(), text: "jsmith".to_owned() }],
        exempts: vec![],
        any_vantage: false,
    }
}

/// A conn of `proto` that nothing is known of yet.
pub(crate) fn conn(proto: Proto, orig: (&str, u16), resp: (&str, u16)) -> ConnSummary {
    let end = |(address, port): (&str, u16)| Endpoint { ip: ip(address), port };
    ConnSummary {
        record: ConnRecord {
            uid: Uid(0),
            id: ConnId { orig: end(orig), resp: end(resp), proto },
            first: at(10),
            end: time(30),
            frames: 20,
            bytes: [0, 0],
            missed_bytes: [0, 0],
            conflict_bytes: [0, 0],
            midstream: false,
            evicted: false,
            history: "ShADadFf".to_owned(),
            interfaces: vec![0],
            carriage: None,
        },
        dialect: None,
        class: Class::Empty,
        basis: Basis::None,
        agreement: None,
        sealed_bytes: [0, 0],
        missed_in_clear: [0, 0],
        conflict_in_clear: [0, 0],
        unread_preamble: 0,
        unread_bodies: 0,
        stopped_bodies: 0,
        sealed_turns: 0,
        hits: vec![],
        hits_omitted: 0,
        is_control: false,
        remarks: vec![],
    }
}

pub(crate) fn tcp(orig: (&str, u16), resp: (&str, u16)) -> ConnSummary {
    conn(Proto::TCP, orig, resp)
}

/// Makes a conn a used SSH conn.
pub(crate) fn ssh(mut conn: ConnSummary) -> ConnSummary {
    conn.dialect = Some("ssh");
    conn.class = Class::Encrypted;
    conn.basis = Basis::Handshake;
    conn.record.bytes = [9_000, 40_000];
    conn.sealed_bytes = [6_000, 36_000];
    conn.sealed_turns = 40;
    conn.agreement = Some(Agreement {
        version: "SSH-2.0".to_owned(),
        kex: "curve25519-sha256".to_owned(),
        cipher: ["aes256-gcm@openssh.com".to_owned(), "aes256-gcm@openssh.com".to_owned()],
        mac: [String::new(), String::new()],
        real: true,
        weak: vec![],
    });
    conn
}

/// Makes a conn a used TLS conn.
pub(crate) fn tls(conn: ConnSummary) -> ConnSummary {
    let mut conn = ssh(conn);
    conn.dialect = Some("tls");
    conn.sealed_turns = 8;
    conn.agreement = Some(Agreement {
        version: "TLS 1.3".to_owned(),
        kex: "x25519".to_owned(),
        cipher: ["TLS_AES_128_GCM_SHA256".to_owned(), "TLS_AES_128_GCM_SHA256".to_owned()],
        mac: [String::new(), String::new()],
        real: true,
        weak: vec![],
    });
    conn
}

/// Makes a conn readable.
pub(crate) fn readable(mut conn: ConnSummary, dialect: &'static str) -> ConnSummary {
    conn.dialect = Some(dialect);
    conn.class = Class::Cleartext;
    conn.basis = Basis::Grammar;
    conn.record.bytes = [310, 2_048];
    conn
}

pub(crate) fn hit(rule: Rule, field: Option<Field>, value: &str) -> Hit {
    Hit {
        uid: None,
        rule,
        field,
        label: (rule == Rule::Identifier).then(|| "username".to_owned()),
        value: value.as_bytes().to_vec(),
        value_len: value.len(),
        dialect: None,
        dir: Some(Direction::OrigToResp),
        offset: 5,
        frames: FrameSpan::one(at(12)),
        encoding: Encoding::Ascii,
        excerpt: Excerpt::around(format!("USER {value}\r\n").as_bytes(), 5, value.len()),
        chance: Some(1e-9),
        in_ciphertext: false,
        out_of_stream: false,
    }
}

pub(crate) fn identifier() -> Hit {
    hit(Rule::Identifier, None, "jsmith")
}

/// A live run of a builtin tunnel: two control tokens a phase, two forwards, mail read through the tunnel.
pub(crate) fn live() -> World {
    let mut world = World {
        target: target(TunnelMode::Builtin),
        source: Source::Live,
        rest: Rest::default(),
        conns: vec![],
        raw_hits: vec![],
        names: vec![],
        coverage: Coverage {
            frames: 1_000,
            bytes: 200_000,
            drops: Drops::Known(0),
            interface_drops: Drops::Known(0),
            searched_bytes: 50_000,
            searched_raw_bytes: 900,
            ..Coverage::default()
        },
        control: ControlRecord::default(),
        sightings: vec![],
        tunnel: Some(TunnelRecord {
            local: SocketAddr::new(ip(CLIENT), 49_152),
            remote: SocketAddr::new(ip(GATEWAY), 22),
            host_key: "SHA256:abc".to_owned(),
            host_key_source: "known_hosts line 3".to_owned(),
            server_version: "SSH-2.0-OpenSSH_9.2p1".to_owned(),
            kex: "curve25519-sha256".to_owned(),
            cipher: "aes256-gcm@openssh.com".to_owned(),
            mac: String::new(),
            up: time(2),
            lost: None,
            forwards: vec![
                ForwardRecord {
                    service: "mail".to_owned(),
                    listen: SocketAddr::new(ip("127.0.0.1"), 2151),
                    host: "dasher.dartmouth.edu".to_owned(),
                    port: 2151,
                    conns: 1,
                    opened: 1,
                    bytes_in: 1_200,
                    bytes_out: 30_000,
                    last_error: None,
                },
                ForwardRecord {
                    service: "dnd".to_owned(),
                    listen: SocketAddr::new(ip("127.0.0.1"), 902),
                    host: "dasher.dartmouth.edu".to_owned(),
                    port: 902,
                    conns: 1,
                    opened: 1,
                    bytes_in: 60,
                    bytes_out: 200,
                    last_error: None,
                },
            ],
            earlier: vec![],
        }),
        interfaces: vec![InterfaceRecord {
            name: "eth0".to_owned(),
            link_type: LinkType::ETHERNET,
            snaplen: 262_144,
            vantage: Some(Vantage::Wire),
        }],
        strict: false,
        client_addresses: vec![ip(CLIENT), ip("fe80::10"), ip("2001:db8::10")],
        window: WindowRecord::default(),
        machine: None,
    };
    world.add(ssh(tcp((CLIENT, 49_152), (GATEWAY, 22))));
    add_controls(&mut world);
    world
}

/// A clear control token and one through the tunnel for each phase; the clear ones were seen.
fn add_controls(world: &mut World) {
    for (phase, token) in [
        (Phase::Before, "clear-before"),
        (Phase::During, "clear-during"),
        (Phase::After, "clear-after"),
    ] {
        let mut datagram = conn(Proto::UDP, (CLIENT, 40_000), (GATEWAY, 9));
        datagram.is_control = true;
        datagram.class = Class::Cleartext;
        datagram.basis = Basis::Readable;
        datagram.record.id.orig.port += phase as u16;
        let uid = world.add(datagram);
        world.control.tokens.push(ControlToken {
            phase,
            path: ControlPath::Clear,
            interface_id: 0,
            token: token.to_owned(),
            sent: Some(time(1)),
        });
        world.control.tokens.push(ControlToken {
            phase,
            path: ControlPath::Tunnel,
            interface_id: 0,
            token: token.replace("clear", "tunnel"),
            sent: Some(time(1)),
        });
        world.sightings.push(TokenSighting {
            token: token.to_owned(),
            uid: Some(uid),
            at: at(5),
            interface_id: 0,
            encoding: Encoding::Ascii,
        });
    }
}

/// A recording by somebody else of a tunnel in use; the target names the client.
pub(crate) fn recorded() -> World {
    let mut world = live();
    world.source = Source::Recording { own: false, closed: false };
    world.target.clients = vec![ip(CLIENT)];
    world.tunnel = None;
    world.control = ControlRecord::default();
    world.sightings.clear();
    world.coverage.drops = Drops::Unknown;
    world.coverage.interface_drops = Drops::Unknown;
    world.client_addresses.clear();
    world.conns.truncate(1);
    world.interfaces[0].vantage = None;
    world
}

/// A recording by somebody else of services that are encrypted by themselves.
pub(crate) fn services() -> World {
    let mut world = recorded();
    world.target = target(TunnelMode::None);
    world.target.clients = vec![ip(CLIENT)];
    world.conns.clear();
    world.add(tls(tcp((CLIENT, 49_200), (MAIL, 2151))));
    world.add(tls(tcp((CLIENT, 49_201), (MAIL, 902))));
    world
}

impl Judgement {
    pub(crate) fn outcome(&self, claim: ClaimKind) -> Outcome {
        self.row(claim).unwrap().outcome
    }

    /// Whether a claim or the coverage gives this code as a reason.
    pub(crate) fn says(&self, code: &str) -> bool {
        self.causes().iter().any(|cause| cause == code)
    }

    pub(crate) fn spoiled_by(&self, code: &str) -> bool {
        self.coverage.iter().any(|reason| reason.code == code)
    }
}
