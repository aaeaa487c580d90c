//! What spoils a PASS: everything that was not seen and could have hidden a hit.
//!
//! The table in `docs/verdicts.md` has one row for each reason here, and `tests` one test for each row.

use super::bypass::count;
use super::case::{Case, Source};
use super::judgement::Reason;
use super::scope::{Place, Placed, Scope, is_inner};
use crate::model::{Class, ConnSummary, Drops, Proto};

/// Reasons named for conns: how many in words.
const MAX_NAMED: usize = 3;

/// What spoils a PASS, and what is said and spoils nothing.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) spoils: Vec<Reason>,
    pub(super) notes: Vec<Reason>,
}

/// Goes through every counter.
pub(super) fn check(case: &Case<'_>, scope: &Scope<'_>) -> Found {
    let mut found = Found::default();
    if case.coverage.frames == 0 {
        found.spoils.push(
            Reason::new("empty-capture", "no frame was captured")
                .with_next("watch the interface that the route to the gateway uses (-i IFACE)"),
        );
    }
    drops(case, &mut found);
    frames(case, scope, &mut found);
    streams(case, scope, &mut found);
    transports(scope, &mut found);
    bounds(case, scope, &mut found);
    place(case, scope, &mut found);
    if case.source == (Source::Recording { own: true, closed: false }) {
        found.spoils.push(
            Reason::new(
                "recording-not-closed",
                "the recording was not closed: what came after its last frame is not known",
            )
            .with_next("record it again, and let tunnelcheck end by itself or by Ctrl-C"),
        );
    }
    found
}

fn drops(case: &Case<'_>, found: &mut Found) {
    let coverage = case.coverage;
    let smaller = "record with a larger buffer, or less traffic beside it";
    for (drops, known, unknown, who) in [
        (coverage.drops, "kernel-drops", "drops-unknown", "the kernel"),
        (coverage.interface_drops, "interface-drops", "interface-drops-unknown", "the interface"),
    ] {
        match drops {
            Drops::Known(0) => {}
            Drops::Known(dropped) => found.spoils.push(
                Reason::new(known, format!("{who} dropped {dropped} frames")).with_next(smaller),
            ),
            Drops::Unknown if case.source.is_ours() => found.spoils.push(
                Reason::new(unknown, format!("whether {who} dropped frames is not known"))
                    .with_next("capture with tunnelcheck itself, where the drops are counted"),
            ),
            Drops::Unknown => found.notes.push(Reason::new(
                unknown,
                format!("the recording does not say whether {who} dropped frames; gaps in its streams are looked for"),
            )),
        }
    }
    if coverage.drops == Drops::Unknown && !case.source.is_ours() {
        found.notes.push(inferred(coverage.acks, coverage.ack_gaps));
    }
    if coverage.channel_dropped > 0 {
        found.spoils.push(
            Reason::new(
                "channel-drops",
                format!("tunnelcheck's own queue dropped {} frames", coverage.channel_dropped),
            )
            .with_next("record with tcpdump -w and judge the file with -r"),
        );
    }
}

/// What acknowledgements tell of loss, as Zeek's capture-loss counts it: acknowledged data never seen.
fn inferred(acks: u64, gaps: u64) -> Reason {
    let could = format!("{acks} acknowledgements could have shown a loss");
    match (acks, gaps) {
        (0, 0) => Reason::new(
            "too-little-traffic",
            "nothing was acknowledged, so whether frames are missing from the recording cannot be told",
        ),
        (_, 0) => Reason::new("no-loss-seen", format!("{could}, and none did")),
        (_, gaps) => {
            Reason::new("loss-inferred", format!("{could}, and {gaps} runs of octets are missing"))
        }
    }
}

fn frames(case: &Case<'_>, scope: &Scope<'_>, found: &mut Found) {
    let coverage = case.coverage;
    for (why, frames) in &coverage.undecoded {
        found.spoils.push(Reason::new(
            "undecoded-frames",
            format!("{frames} frames could not be read: {why}"),
        ));
    }
    if coverage.truncated_frames > 0 || coverage.truncated_bytes > 0 {
        let text = format!(
            "{} frames were cut, by {} octets in all",
            coverage.truncated_frames, coverage.truncated_bytes
        );
        if cuts_lie_in_ciphertext(case, scope) {
            found.notes.push(Reason::new(
                "truncated-frames",
                format!("{text}; all of them lie in proven ciphertext and hide nothing"),
            ));
        } else {
            found.spoils.push(
                Reason::new("truncated-frames", text)
                    .with_next("capture whole frames: tcpdump -s 0, or snaplen 262144"),
            );
        }
    }
    if coverage.fragments_expired > 0 {
        found.spoils.push(Reason::new(
            "fragments-expired",
            format!(
                "the fragments of {} IP datagrams never became whole",
                coverage.fragments_expired
            ),
        ));
    }
    if coverage.fragment_conflicts > 0 {
        found.spoils.push(Reason::new(
            "conflict",
            format!(
                "{} octets of IP fragments overlap with other content",
                coverage.fragment_conflicts
            ),
        ));
    }
    for cut in &coverage.inputs_cut {
        found.spoils.push(
            Reason::new("input-cut", format!("an input ends in the middle of a record: {cut}"))
                .with_next("copy the file again, or end the capture properly"),
        );
    }
    for route in &coverage.unwatched_routes {
        found.spoils.push(
            Reason::new("unwatched-route", format!("{route}, which was not watched"))
                .with_next("watch that interface too (-i may be repeated), or leave -i out"),
        );
    }
}

/// A cut shows as octets missing from a stream. Only where every octet cut is one that proven ciphertext lacks, and
/// nothing else is missing anywhere, do the cuts hide nothing.
fn cuts_lie_in_ciphertext(case: &Case<'_>, scope: &Scope<'_>) -> bool {
    let mut sealed = 0_u64;
    let mut clear = 0_u64;
    for placed in &scope.conns {
        let missed = total(placed.conn.record.missed_bytes);
        let hidden = missed_in_clear(placed.conn);
        clear = clear.saturating_add(hidden);
        sealed = sealed.saturating_add(missed.saturating_sub(hidden));
    }
    sealed = sealed.saturating_add(case.rest.missed_in_seal);
    clear == 0 && sealed == case.coverage.truncated_bytes && case.coverage.truncated_elsewhere == 0
}

fn streams(case: &Case<'_>, scope: &Scope<'_>, found: &mut Found) {
    let audible = || scope.conns.iter().filter(|placed| placed.exempt().is_none());
    let gaps: Vec<_> = audible().filter(|placed| missed_in_clear(placed.conn) > 0).collect();
    if !gaps.is_empty() {
        let octets = sum(gaps.iter().map(|placed| missed_in_clear(placed.conn)));
        let half = half_seen(&gaps);
        found.spoils.push(
            Reason::new("gap", format!("{octets} octets are missing {}{half}", named(&gaps)))
                .with_next(
                    "capture again without loss; a recording may have begun on a busy machine",
                )
                .about(gaps.iter().map(|placed| placed.uid())),
        );
    }
    let conflicts: Vec<_> = audible().filter(|placed| conflict_in_clear(placed.conn) > 0).collect();
    if !conflicts.is_empty() {
        let octets = sum(conflicts.iter().map(|placed| conflict_in_clear(placed.conn)));
        found.spoils.push(
            Reason::new(
                "conflict",
                format!("{octets} octets overlap with other content {}", named(&conflicts)),
            )
            .about(conflicts.iter().map(|placed| placed.uid())),
        );
    }
    // What the conns do not account for is missing from conns that nobody listed.
    let listed = |of: fn(&ConnSummary) -> u64| sum(case.conns.iter().map(of));
    let unlisted = case
        .coverage
        .missed_bytes
        .saturating_sub(listed(|it| total(it.record.missed_bytes)))
        .saturating_sub(case.rest.missed_in_seal);
    if unlisted > 0 {
        found.spoils.push(Reason::new(
            "gap",
            format!("{unlisted} octets are missing from streams that are not listed"),
        ));
    }
    let unlisted = case
        .coverage
        .conflict_bytes
        .saturating_sub(listed(|it| total(it.record.conflict_bytes)))
        .saturating_sub(case.rest.conflict_in_seal);
    if unlisted > 0 {
        found.spoils.push(Reason::new(
            "conflict",
            format!("{unlisted} octets overlap in streams that are not listed"),
        ));
    }
    let midstream = |in_scope: bool| {
        audible()
            .filter(move |placed| {
                placed.conn.record.midstream
                    && placed.conn.record.id.proto == Proto::TCP
                    && placed.in_scope() == in_scope
            })
            .collect::<Vec<_>>()
    };
    let ours = midstream(true);
    if !ours.is_empty() {
        found.spoils.push(
            Reason::new("midstream", format!("the beginning is missing {}", named(&ours)))
                .with_next("start the capture first, then open the connections")
                .about(ours.iter().map(|placed| placed.uid())),
        );
    }
    let others = midstream(false);
    if !others.is_empty() {
        found.notes.push(
            Reason::new(
                "midstream",
                format!("out of scope, the beginning is missing {}", named(&others)),
            )
            .about(others.iter().map(|placed| placed.uid())),
        );
    }
    bodies(scope, found);
    if case.coverage.opaque_bytes > 0 {
        found.notes.push(Reason::new(
            "opaque",
            format!(
                "{} octets look random without a handshake; they were searched as they are",
                case.coverage.opaque_bytes
            ),
        ));
    }
}

/// Compressed bodies that were not read: they were searched as they are, which finds nothing.
fn bodies(scope: &Scope<'_>, found: &mut Found) {
    type Count = fn(&ConnSummary) -> u64;
    let reasons: [(_, Count, _); 2] = [
        ("unread-bodies", |conn| conn.unread_bodies, "could not be read to their end"),
        (
            "stopped-bodies",
            |conn| conn.stopped_bodies,
            "were left, since they grew beyond all bounds",
        ),
    ];
    for (key, count, why) in reasons {
        for in_scope in [true, false] {
            let held: Vec<_> = scope
                .conns
                .iter()
                .filter(|placed| placed.exempt().is_none() && placed.in_scope() == in_scope)
                .filter(|placed| count(placed.conn) > 0)
                .collect();
            if held.is_empty() {
                continue;
            }
            let bodies = sum(held.iter().map(|placed| count(placed.conn)));
            let place = if in_scope { "" } else { ", out of scope" };
            let text = format!("{bodies} compressed bodies {why}{place}: {}", named(&held));
            let reason = Reason::new(key, text).about(held.iter().map(|placed| placed.uid()));
            if in_scope {
                found.spoils.push(reason);
            } else {
                found.notes.push(reason);
            }
        }
    }
}

/// Conns whose octets are searched packet by packet alone.
fn transports(scope: &Scope<'_>, found: &mut Found) {
    let unread: Vec<_> = scope
        .conns
        .iter()
        .filter(|placed| placed.exempt().is_none() && is_unread(placed.conn))
        .collect();
    if !unread.is_empty() {
        found.spoils.push(
            Reason::new(
                "unread-transport",
                format!(
                    "a protocol that may carry streams is not put together, only searched packet by packet: {}",
                    named(&unread)
                ),
            )
            .about(unread.iter().map(|placed| placed.uid())),
        );
    }
}

fn bounds(case: &Case<'_>, scope: &Scope<'_>, found: &mut Found) {
    let coverage = case.coverage;
    // One of others that goes on after it left has a conflict. What it had said was searched as of any conn.
    let ours = scope.in_scope().filter(|placed| placed.conn.record.evicted).count() as u64;
    let others = coverage.conns_evicted.saturating_sub(ours);
    let left = |number: u64| format!("{number} conns left the full table before they ended");
    if ours > 0 {
        found.spoils.push(
            Reason::new("evicted", left(ours))
                .with_next("judge a shorter capture, or one of fewer hosts"),
        );
    }
    if others > 0 {
        let text = format!("{} and have nothing to do with the target", left(others));
        found.notes.push(Reason::new("evicted", text));
    }
    if case.rest.unjudged > 0 {
        found.spoils.push(
            Reason::new(
                "conns-omitted",
                format!(
                    "{} conns that may break a claim are beyond the bound of what is judged one by one",
                    case.rest.unjudged
                ),
            )
            .with_next("judge a shorter capture, or one of fewer hosts"),
        );
    }
    if case.rest.folded > 0 {
        found.notes.push(Reason::new(
            "conns-folded",
            format!(
                "{} conns more, of kinds already listed, were judged and are not listed",
                case.rest.folded
            ),
        ));
    }
    if !coverage.patterns_dropped.is_empty() {
        let mut dropped: Vec<&str> = coverage.patterns_dropped.iter().map(String::as_str).collect();
        dropped.sort_unstable();
        dropped.dedup();
        found.spoils.push(
            Reason::new(
                "patterns-dropped",
                format!("not everything was searched for: {}", dropped.join(", ")),
            )
            .with_next("give longer or fewer identifiers"),
        );
    }
    let kept = sum(case.conns.iter().map(|conn| conn.hits_omitted).chain([case.rest.hits_omitted]));
    let beyond = coverage.hits_omitted.saturating_sub(kept);
    if beyond > 0 {
        // Names and sightings are counted here too: an address that was answered may be among them.
        found.spoils.push(Reason::new(
            "hits-omitted",
            format!("{beyond} findings outside of conns are not kept"),
        ));
    } else if coverage.hits_omitted > 0 {
        found.notes.push(Reason::new(
            "hits-omitted",
            format!("{} findings more of kinds already listed are not kept", coverage.hits_omitted),
        ));
    }
}

fn place(case: &Case<'_>, scope: &Scope<'_>, found: &mut Found) {
    if case.target.any_vantage {
        return;
    }
    let inner = case.interfaces.iter().filter(|interface| is_inner(interface.vantage)).count();
    let all_inner = inner > 0 && inner == case.interfaces.len();
    let concerns = |placed: &Placed<'_>| placed.place != Place::Elsewhere;
    let seen_inside = scope.conns.iter().any(|placed| placed.inside && concerns(placed));
    let wire = scope.in_scope().next().is_some();
    let nothing_else = !scope.conns.is_empty() && scope.conns.iter().all(|placed| placed.inside);
    if all_inner || nothing_else || seen_inside && !wire {
        let names: Vec<_> = case
            .interfaces
            .iter()
            .filter_map(|interface| interface.vantage.map(|vantage| (interface, vantage)))
            .filter(|(_, vantage)| is_inner(Some(*vantage)))
            .map(|(interface, vantage)| format!("{} ({vantage})", interface.name))
            .collect();
        let text = if names.is_empty() {
            let what = if nothing_else { "" } else { " that concerns the target" };
            format!("everything{what} was seen between loopback addresses, inside the tunnel")
        } else {
            format!(
                "the frames were taken inside the tunnel, not on the wire: {}",
                names.join(", ")
            )
        };
        found.spoils.push(
            Reason::new("wrong-vantage", text)
                .with_next("watch the interface that the route to the gateway uses (-i IFACE)"),
        );
    } else if inner > 0 || seen_inside {
        found.notes.push(Reason::new(
            "wrong-vantage",
            "some frames were taken inside the tunnel; what was seen there says nothing about the wire",
        ));
    }
}

/// IP protocols whose packets stand alone (IANA protocol-numbers): control and routing. What they say is searched in each.
const STAND_ALONE: [u8; 13] = [
    1,   // ICMP
    2,   // IGMP
    8,   // EGP
    9,   // any interior gateway
    46,  // RSVP
    58,  // ICMPv6
    59,  // no next header
    88,  // EIGRP
    89,  // OSPF
    103, // PIM
    112, // VRRP, CARP
    124, // IS-IS
    240, // pfsync
];

/// Whether the conn is of a protocol that may carry a text in pieces, and whose pieces are not put together. ESP is one
/// where it encrypts nothing.
pub(super) fn is_unread(conn: &ConnSummary) -> bool {
    match conn.record.id.proto {
        Proto::TCP | Proto::UDP => false,
        Proto::ESP => conn.class == Class::Cleartext,
        Proto(other) => !STAND_ALONE.contains(&other) && total(conn.record.bytes) > 0,
    }
}

/// Octets missing from a conn that may hide a hit: all of them, but for those behind the seal of a proven cipher.
pub(super) fn missed_in_clear(conn: &ConnSummary) -> u64 {
    in_clear(conn, conn.missed_in_clear, conn.record.missed_bytes)
}

/// Names the conns of which one side alone was captured.
fn half_seen(gaps: &[&Placed<'_>]) -> String {
    let halves: Vec<_> = gaps.iter().copied().filter(|it| is_half_seen(it.conn)).collect();
    if halves.is_empty() {
        return String::new();
    }
    format!("; one side alone was captured {}", named(&halves))
}

/// Whether one side sent octets, as the other acknowledged, and none of them were captured.
fn is_half_seen(conn: &ConnSummary) -> bool {
    let record = &conn.record;
    record.bytes.iter().zip(&record.missed_bytes).any(|(seen, missed)| *seen == 0 && *missed > 0)
}

/// Conflicting octets, likewise.
pub(super) fn conflict_in_clear(conn: &ConnSummary) -> u64 {
    in_clear(conn, conn.conflict_in_clear, conn.record.conflict_bytes)
}

fn in_clear(conn: &ConnSummary, clear: [u64; 2], all: [u64; 2]) -> u64 {
    let real = conn.agreement.as_ref().is_some_and(|agreement| agreement.real);
    if real && matches!(conn.class, Class::Encrypted | Class::Upgraded) {
        total(clear)
    } else {
        total(all).max(total(clear))
    }
}

/// `from C1 ..., C2 ... and 3 more conns`.
fn named(placed: &[&Placed<'_>]) -> String {
    let names: Vec<_> = placed
        .iter()
        .take(MAX_NAMED)
        .map(|placed| format!("{} {}", placed.uid(), placed.conn.record.id))
        .collect();
    let more = placed.len().saturating_sub(names.len());
    let rest = if more > 0 { format!(" and {}", count(more, "conn")) } else { String::new() };
    format!("from {}{rest}", names.join(", "))
}

fn total([orig, resp]: [u64; 2]) -> u64 {
    orig.saturating_add(resp)
}

fn sum(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, u64::saturating_add)
}
