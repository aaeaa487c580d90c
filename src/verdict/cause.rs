//! What sent a direct connection to a service: from the wire alone, and from what the watched machine said, where it was
//! asked. It explains a bypass; it decides nothing.

use super::case::Case;
use super::judgement::Reason;
use super::scope::{Place, Placed, Scope};
use crate::model::{
    Confidence, ConnId, ConnSummary, Direction, Endpoint, Field, FrameRef, Hit, Phase,
    ProcessRecord, Rule, Service, Stretch, Timestamp, TunnelMode, Uid,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Bypasses explained; the rest is counted.
const MAX_BYPASSES: usize = 64;

/// Something that names the service, and came before the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Kebab case, stable; listed in `docs/diagnose.md`.
    pub code: &'static str,
    /// In words. May hold names from the wire.
    pub text: String,
    /// The conn that showed it.
    pub uid: Option<Uid>,
    /// Where it was seen on the wire; none for what the machine said.
    pub at: Option<FrameRef>,
}

/// A direct connection to a service, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// The conn.
    pub uid: Uid,
    /// Its ends.
    pub id: ConnId,
    /// Name of the service.
    pub service: String,
    /// Its first frame.
    pub first: FrameRef,
    /// The phase it began in, by its label, where the phases are known.
    pub phase: Option<String>,
    /// Milliseconds from the opening of the window to its first frame; negative: before.
    pub since_window_ms: Option<i64>,
    /// It was open before the capture began.
    pub midstream: bool,
    /// Who held it. Empty: not known, or not asked.
    pub holders: Vec<ProcessRecord>,
    /// How sure the holders are; none where nobody asked.
    pub confidence: Option<Confidence>,
    /// How they were looked for, or why nobody was found.
    pub method: Option<String>,
    /// What sent it there, the surest first; never empty.
    pub leads: Vec<Lead>,
    /// What to do.
    pub remedy: Vec<String>,
}

/// Explains every direct connection, and counts those beyond the bound.
pub(super) fn explain(case: &Case<'_>, scope: &Scope<'_>) -> (Vec<Bypass>, u64) {
    if case.target.tunnel == TunnelMode::None {
        return (Vec::new(), 0);
    }
    let direct: Vec<(&Placed<'_>, &Service, &BTreeSet<IpAddr>)> = scope
        .in_scope()
        .filter_map(|placed| match placed.place {
            Place::Service(index) => {
                scope.services.get(index).map(|(service, at)| (placed, *service, at))
            }
            _ => None,
        })
        .collect();
    let omitted = direct.len().saturating_sub(MAX_BYPASSES) as u64;
    let clues = if direct.is_empty() { Vec::new() } else { clues(case) };
    let bypasses = direct
        .into_iter()
        .take(MAX_BYPASSES)
        .map(|(placed, service, _)| bypass(case, placed.conn, service, &clues))
        .collect();
    (bypasses, omitted)
}

/// A hit that may have sent a client somewhere, and the place of its kind in `KINDS`.
struct Clue<'a> {
    kind: usize,
    conn: &'a ConnSummary,
    hit: &'a Hit,
}

/// All of them: there are few among the hits, and each bypass asks for them.
fn clues<'a>(case: &Case<'a>) -> Vec<Clue<'a>> {
    let hits = case.conns.iter().flat_map(|conn| conn.hits.iter().map(move |hit| (conn, hit)));
    let kinds = |(conn, hit): (&'a ConnSummary, &'a Hit)| {
        let kinds = KINDS.iter().enumerate();
        kinds.filter(move |(_, (_, finds, _))| finds(conn, hit)).map(move |(kind, _)| Clue {
            kind,
            conn,
            hit,
        })
    };
    hits.flat_map(kinds).collect()
}

fn bypass(case: &Case<'_>, conn: &ConnSummary, service: &Service, clues: &[Clue<'_>]) -> Bypass {
    let record = &conn.record;
    let mut leads = wire(case, conn, service, clues);
    leads.extend(machine_names(case, conn, service));
    let sighting = case
        .machine
        .and_then(|machine| machine.sightings.iter().find(|it| is_same(&it.id, &record.id)));
    if leads.is_empty() {
        leads.push(nothing(conn, service));
    }
    let window = case.control.phases.iter().find(|mark| mark.phase == Phase::During);
    Bypass {
        uid: record.uid,
        id: record.id,
        service: service.name.clone(),
        first: record.first,
        phase: phase_at(case, record.first.time),
        since_window_ms: window.map(|mark| milliseconds(mark.start, record.first.time)),
        midstream: record.midstream,
        holders: sighting.map(|it| it.holders.clone()).unwrap_or_default(),
        confidence: sighting.map(|it| it.confidence),
        method: sighting.map(|it| it.method.clone()).or_else(|| {
            case.machine.map(|machine| match machine.limits.first() {
                Some(why) => why.clone(),
                None => "it was not in the socket table whenever that was looked at".to_owned(),
            })
        }),
        remedy: remedy(case, conn, service, &leads, sighting.map(|it| it.holders.as_slice())),
        leads,
    }
}

/// What was seen on the wire before the conn began: the last of each kind.
fn wire(case: &Case<'_>, conn: &ConnSummary, service: &Service, clues: &[Clue<'_>]) -> Vec<Lead> {
    let (start, ip) = (conn.record.first.time, server(case, conn, service).ip.to_canonical());
    let mut leads: Vec<Lead> = Vec::new();
    // A conn that was open before the capture began was sent there by something older.
    if conn.record.midstream {
        return leads;
    }
    let answered = case
        .names
        .iter()
        .filter(|it| it.address.to_canonical() == ip && it.at.time <= start)
        .max_by_key(|it| it.at.time);
    if let Some(answer) = answered {
        leads.push(Lead {
            code: "dns-answer",
            text: format!("a name server answered {} with {}", answer.name, answer.address),
            uid: None,
            at: Some(answer.at),
        });
    }
    let names = names_of(case, service, ip);
    for (kind, (code, _, words)) in KINDS.iter().enumerate() {
        let last = clues
            .iter()
            .filter(|clue| clue.kind == kind && clue.hit.frames.first.time <= start)
            .filter(|clue| *code == "autoconfig" || is_named(&names, &clue.hit.value))
            .max_by_key(|clue| clue.hit.frames.first.time);
        if let Some(Clue { conn: from, hit, .. }) = last {
            let value = String::from_utf8_lossy(&hit.value);
            let what = if *code == "autoconfig" {
                String::new()
            } else {
                format!(" named {}", value.trim())
            };
            leads.push(Lead {
                code,
                text: format!("{words}{what}, in {}", from.record.uid),
                uid: Some(from.record.uid),
                at: Some(hit.frames.first),
            });
        }
    }
    leads
}

/// Whether a hit in a conn is of a kind.
type Finds = fn(&ConnSummary, &Hit) -> bool;

/// Kinds of leads: code, how it is found, and words for it.
const KINDS: &[(&str, Finds, &str)] = &[
    ("dnd-reply", |_, hit| is_host(hit, "dnd"), "a DND reply"),
    ("server-redirect", |_, hit| is_host(hit, "blitzmail"), "a BlitzMail server's redirect (36)"),
    (
        "srv-record",
        |_, hit| hit.rule == Rule::Metadata && hit.field == Some(Field::SRV_TARGET),
        "a DNS SRV record",
    ),
    (
        "naptr-record",
        |_, hit| hit.rule == Rule::Metadata && hit.field == Some(Field::NAPTR_REPLACEMENT),
        "a DNS NAPTR record",
    ),
    ("autoconfig", |_, hit| is_autoconfig(hit), "an automatic configuration was fetched before"),
];

fn is_host(hit: &Hit, dialect: &str) -> bool {
    hit.rule == Rule::Metadata
        && hit.dialect == Some(dialect)
        && hit.field == Some(Field::HOST)
        && hit.dir == Some(Direction::RespToOrig)
}

/// A request for a mail client's configuration (Thunderbird's autoconfig, Exchange's autodiscover, Apple's profiles).
fn is_autoconfig(hit: &Hit) -> bool {
    let is_request = hit.rule == Rule::Banner
        && hit.dialect == Some("http1")
        && hit.dir == Some(Direction::OrigToResp);
    let parts = ["config-v1.1.xml", "/.well-known/autoconfig", "/autodiscover", ".mobileconfig"];
    let names_one = || {
        let line = String::from_utf8_lossy(&hit.value).to_ascii_lowercase();
        parts.iter().any(|part| line.contains(part))
    };
    is_request && names_one()
}

/// Names by which a service may be meant: those of the target, and those that were answered with its address.
fn names_of(case: &Case<'_>, service: &Service, ip: IpAddr) -> BTreeSet<String> {
    let answered =
        case.names.iter().filter(|it| it.address.to_canonical() == ip).map(|it| it.name.clone());
    std::iter::once(&service.host).chain(&service.aliases).cloned().chain(answered).collect()
}

fn is_named(names: &BTreeSet<String>, value: &[u8]) -> bool {
    let name = String::from_utf8_lossy(value).trim().trim_end_matches('.').to_ascii_lowercase();
    names.contains(&name)
}

/// Names that lead there on the machine itself, by its hosts file or by its name servers.
fn machine_names(case: &Case<'_>, conn: &ConnSummary, service: &Service) -> Vec<Lead> {
    let ip = server(case, conn, service).ip.to_canonical();
    let Some(machine) = case.machine else { return Vec::new() };
    let mut leads: Vec<Lead> = Vec::new();
    for name in machine.names.iter().filter(|it| it.address.to_canonical() == ip) {
        let code = if name.by_hosts_file { "hosts-line" } else { "machine-name" };
        let known = leads.iter_mut().find(|it| it.code == code);
        if let Some(known) = known {
            let list = format!(", {}", name.name);
            if !known.text.contains(&list) && known.text.len() < 200 {
                known.text.push_str(&list);
            }
            continue;
        }
        leads.push(Lead {
            code,
            text: format!("{} sends there on this machine: {}", name.answered_by, name.name),
            uid: None,
            at: None,
        });
    }
    // A line of the hosts file is asked before anybody else.
    leads.sort_by_key(|lead| lead.code != "hosts-line");
    leads
}

/// Why nothing is known to have sent it there.
fn nothing(conn: &ConnSummary, service: &Service) -> Lead {
    let (code, text) = if conn.record.midstream {
        (
            "open-before",
            format!(
                "it was open before the capture began: the client of \"{}\" was started before the tunnel, or never led to it",
                service.name
            ),
        )
    } else {
        (
            "address-known-before",
            "nothing in the capture named its address: the client had it from before (an answer it kept, a cache), or is \
             set to the address itself"
                .to_owned(),
        )
    };
    Lead { code, text, uid: None, at: None }
}

fn remedy(
    case: &Case<'_>,
    conn: &ConnSummary,
    service: &Service,
    leads: &[Lead],
    holders: Option<&[ProcessRecord]>,
) -> Vec<String> {
    let target = &case.target.name;
    if service.is_udp {
        return vec![format!(
            "ssh cannot carry UDP: turn \"{}\" off in the client, or exempt it with a reason, or use a VPN",
            service.name
        )];
    }
    let who = match holders.and_then(|it| it.first()) {
        Some(process) => format!("{} (pid {})", process.name, process.pid),
        None => "the client".to_owned(),
    };
    let is_gateway = case.target.gateway_host.as_deref() == Some(service.host.as_str());
    let has = |code: &str| leads.iter().any(|lead| lead.code == code);
    let mut remedy = Vec::new();
    if let (true, Some(mouth)) = (is_gateway, service.listen) {
        // Its name cannot be aliased: ssh needs it as it is.
        remedy.push(format!("set the client's server to the mouth {mouth}"));
    } else if has("hosts-line") {
        remedy.push(format!(
            "the hosts file leads past the tunnel: `sudo tunnelcheck hosts {target} --apply` sends the names to the mouth"
        ));
    } else if leads.iter().any(|lead| !matches!(lead.code, "open-before" | "address-known-before"))
    {
        remedy.push(format!(
            "the name is not aliased: `sudo tunnelcheck hosts {target} --apply` sends every form of it to the mouth"
        ));
    } else if !conn.record.midstream {
        remedy.push(format!(
            "set the client's server to a name, not to {}, and alias it: `sudo tunnelcheck hosts {target} --apply`",
            conn.record.id.resp.ip
        ));
    }
    if has("autoconfig") {
        remedy.push(
            "set the client's servers by hand: an automatic configuration names them anew"
                .to_owned(),
        );
    }
    remedy.push(format!("quit {who} and start it again while the tunnel is up"));
    remedy
        .push(format!("`tunnelcheck diagnose {target}` looks at every name, mouth and connection"));
    remedy
}

/// The service's end of a conn to it.
fn server(case: &Case<'_>, conn: &ConnSummary, service: &Service) -> Endpoint {
    let id = &conn.record.id;
    let is_client = |end: Endpoint| {
        let ip = end.ip.to_canonical();
        case.target.clients.contains(&ip) || case.client_addresses.contains(&ip)
    };
    if id.resp.port == service.port && !is_client(id.resp) || id.orig.port != service.port {
        id.resp
    } else {
        id.orig
    }
}

/// Direct connections that a process of this machine holds, and that said nothing while the window was open.
pub(super) fn idle(case: &Case<'_>) -> Option<Reason> {
    let machine = case.machine.filter(|_| case.target.tunnel == TunnelMode::Builtin)?;
    // Where conns were not kept, silence is not known.
    if case.rest.unjudged > 0 {
        return None;
    }
    let silent: Vec<String> = machine
        .sightings
        .iter()
        .filter(|it| it.confidence == Confidence::Certain)
        .filter(|it| !case.conns.iter().any(|conn| is_same(&conn.record.id, &it.id)))
        .filter_map(|it| {
            let process = it.holders.first()?;
            Some(format!("{} of {} (pid {})", it.id, process.name, process.pid))
        })
        .collect();
    let first = silent.first()?;
    let more = silent.len() - 1;
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(
        Reason::new(
            "direct-and-silent",
            format!("open beside the tunnel, and nothing was seen of it while the capture ran: {first}{more}"),
        )
        .with_next("quit that client, and start it again while the tunnel is up"),
    )
}

fn is_same(one: &ConnId, other: &ConnId) -> bool {
    let plain = |end: Endpoint| (end.ip.to_canonical(), end.port);
    let (a, b) = (plain(one.orig), plain(one.resp));
    let (c, d) = (plain(other.orig), plain(other.resp));
    one.proto == other.proto && (a == c && b == d || a == d && b == c)
}

fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_nanos().saturating_sub(from.as_nanos()) / 1_000_000
}

/// The label of the phase of a time: of the whole window, or as far as the control knows it.
fn phase_at(case: &Case<'_>, time: Timestamp) -> Option<String> {
    let marks = case.control.phases.iter().filter(|mark| mark.start <= time);
    let mark = marks.max_by_key(|mark| mark.start).map(|mark| mark.phase.to_string());
    case.window.stretch_at(time).map(Stretch::label).or(mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MachineName, MachineRecord, NameAnswer, PhaseMark, Proto, SocketSighting};
    use crate::verdict::fixture::*;

    fn direct(world: &mut World) -> Uid {
        let mut conn = conn(Proto::TCP, (CLIENT, 4001), (MAIL, 2151));
        conn.record.first = at(10);
        world.add(conn)
    }

    fn named(world: &World, uid: Uid) -> Bypass {
        world.judge().bypasses.into_iter().find(|it| it.uid == uid).unwrap()
    }

    fn codes(bypass: &Bypass) -> Vec<&str> {
        bypass.leads.iter().map(|lead| lead.code).collect()
    }

    fn telling(
        dialect: &'static str,
        field: Field,
        value: &str,
        dir: Direction,
        second: u64,
    ) -> ConnSummary {
        let mut from = conn(Proto::TCP, (CLIENT, 4000), (OTHER, 9999));
        from.dialect = Some(dialect);
        let mut hit = hit(Rule::Metadata, Some(field), value);
        hit.dialect = Some(dialect);
        hit.dir = Some(dir);
        hit.frames.first = at(second);
        from.hits.push(hit);
        from
    }

    #[test]
    fn an_answer_before_the_connection_is_what_sent_it_there() {
        let mut world = live();
        let uid = direct(&mut world);
        let answer = |second, name: &str| NameAnswer {
            name: name.to_owned(),
            address: ip(MAIL),
            at: at(second),
        };
        world.names.extend([
            answer(8, "old.dartmouth.edu"),
            answer(9, "dasher.dartmouth.edu"),
            answer(11, "late.dartmouth.edu"),
        ]);
        let bypass = named(&world, uid);
        assert_eq!(codes(&bypass), ["dns-answer"]);
        assert!(bypass.leads[0].text.contains("answered dasher.dartmouth.edu"), "{bypass:?}");
        assert!(bypass.remedy[0].contains("hosts dasher --apply"));
    }

    #[test]
    fn a_dnd_reply_a_redirect_and_records_that_name_the_host_are_named() {
        for (dialect, field, code) in [
            ("dnd", Field::HOST, "dnd-reply"),
            ("blitzmail", Field::HOST, "server-redirect"),
            ("dns", Field::SRV_TARGET, "srv-record"),
            ("dns", Field::NAPTR_REPLACEMENT, "naptr-record"),
        ] {
            let mut world = live();
            world.add(telling(dialect, field, "dasher.Dartmouth.EDU.", Direction::RespToOrig, 5));
            let uid = direct(&mut world);
            assert_eq!(codes(&named(&world, uid)), [code]);
            let mut world = live();
            world.add(telling(dialect, field, "dasher.Dartmouth.EDU", Direction::RespToOrig, 15));
            world.add(telling(dialect, field, "prancer.dartmouth.edu", Direction::RespToOrig, 5));
            let uid = direct(&mut world);
            assert_eq!(
                codes(&named(&world, uid)),
                ["address-known-before"],
                "too late, or another host"
            );
        }
    }

    #[test]
    fn a_connection_from_before_the_capture_was_sent_there_by_nothing_in_it() {
        let mut world = live();
        world.names.push(NameAnswer {
            name: "dasher.dartmouth.edu".to_owned(),
            address: ip(MAIL),
            at: at(1),
        });
        let mut conn = conn(Proto::TCP, (CLIENT, 4001), (MAIL, 2151));
        conn.record.midstream = true;
        let uid = world.add(conn);
        let bypass = named(&world, uid);
        assert_eq!(codes(&bypass), ["open-before"]);
        assert!(bypass.remedy[0].starts_with("quit the client"), "{bypass:?}");
    }

    #[test]
    fn the_machine_names_the_process_and_the_hosts_line() {
        let mut world = live();
        let uid = direct(&mut world);
        let id = world.conns.last().unwrap().record.id;
        world.control.phases = vec![
            PhaseMark { phase: Phase::Before, start: time(1) },
            PhaseMark { phase: Phase::During, start: time(8) },
            PhaseMark { phase: Phase::After, start: time(20) },
        ];
        world.machine = Some(MachineRecord {
            sightings: vec![SocketSighting {
                id: ConnId { orig: id.resp, resp: id.orig, proto: id.proto },
                at: time(10),
                holders: vec![ProcessRecord {
                    pid: 123,
                    name: "mutt".to_owned(),
                    exe: Some("/usr/bin/mutt".to_owned()),
                    uid: Some(1000),
                    user: Some("woz".to_owned()),
                    age_s: Some(9),
                    args: vec!["secret".to_owned()],
                }],
                confidence: Confidence::Certain,
                method: "m".to_owned(),
            }],
            names: vec![MachineName {
                name: "dasher".to_owned(),
                address: ip(MAIL),
                answered_by: "/etc/hosts line 3".to_owned(),
                by_hosts_file: true,
            }],
            limits: vec![],
        });
        let bypass = named(&world, uid);
        assert_eq!(codes(&bypass), ["hosts-line"]);
        assert_eq!((bypass.phase.as_deref(), bypass.since_window_ms), (Some("during"), Some(2000)));
        assert_eq!((bypass.holders[0].pid, bypass.confidence), (123, Some(Confidence::Certain)));
        assert!(bypass.remedy.iter().any(|it| it.contains("quit mutt (pid 123)")), "{bypass:?}");
        assert!(!format!("{bypass:?}").contains("secret"));
    }

    #[test]
    fn a_recording_asks_no_machine() {
        let mut world = live();
        let uid = direct(&mut world);
        let bypass = named(&world, uid);
        assert_eq!((bypass.confidence, bypass.method.as_deref()), (None, None));
        assert!(bypass.holders.is_empty());
    }

    #[test]
    fn the_gateways_own_name_is_not_to_be_aliased() {
        let mut world = live();
        for service in &mut world.target.services {
            service.host = "nimbus.dartmouth.edu".to_owned();
        }
        let uid = direct(&mut world);
        let remedy = named(&world, uid).remedy;
        assert!(remedy[0].contains("the mouth 127.0.0.1:2151"), "{remedy:?}");
        assert!(!remedy.iter().any(|it| it.contains("--apply")), "{remedy:?}");
    }

    #[test]
    fn an_automatic_configuration_before_the_connection_is_named() {
        let mut world = live();
        let mut from = telling(
            "http1",
            Field::VERB,
            "GET /mail/config-v1.1.xml HTTP/1.1",
            Direction::OrigToResp,
            5,
        );
        from.hits[0].rule = Rule::Banner;
        world.add(from);
        let uid = direct(&mut world);
        let bypass = named(&world, uid);
        assert_eq!(codes(&bypass), ["autoconfig"]);
        assert!(bypass.remedy.iter().any(|it| it.contains("by hand")));
    }

    #[test]
    fn a_direct_connection_that_says_nothing_is_a_note_and_changes_no_verdict() {
        let mut world = live();
        let before = world.verdict();
        let end = |text: &str, port| Endpoint { ip: ip(text), port };
        let process = ProcessRecord {
            pid: 7,
            name: "mutt".to_owned(),
            exe: None,
            uid: None,
            user: None,
            age_s: None,
            args: vec![],
        };
        world.machine = Some(MachineRecord {
            sightings: vec![SocketSighting {
                id: ConnId { orig: end(CLIENT, 4444), resp: end(MAIL, 2151), proto: Proto::TCP },
                at: time(10),
                holders: vec![process],
                confidence: Confidence::Certain,
                method: String::new(),
            }],
            ..MachineRecord::default()
        });
        let judgement = world.judge();
        assert_eq!(judgement.verdict, before);
        let note = judgement.notes.iter().find(|it| it.code == "direct-and-silent").unwrap();
        assert!(note.text.contains("mutt (pid 7)"), "{note:?}");
        assert!(judgement.bypasses.is_empty());
    }

    #[test]
    fn beyond_the_bound_bypasses_are_counted() {
        let mut world = live();
        for port in 0..70 {
            world.add(conn(Proto::TCP, (CLIENT, 5000 + port), (MAIL, 2151)));
        }
        let judgement = world.judge();
        assert_eq!((judgement.bypasses.len(), judgement.bypasses_omitted), (MAX_BYPASSES, 6));
    }
}
