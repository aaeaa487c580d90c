//! What must hold of every world: loss and hits never make an answer better.

use super::Source;
use super::fixture::*;
use crate::model::*;
use proptest::prelude::*;

/// A world that passes, or one with something wrong in it.
fn worlds() -> impl Strategy<Value = World> {
    let base = prop_oneof![Just(live()), Just(recorded()), Just(services())];
    (base, any::<bool>(), prop::collection::vec(0_u8..12, 0..3)).prop_map(
        |(mut world, strict, changes)| {
            world.strict = strict;
            for change in changes {
                alter(&mut world, change);
            }
            world
        },
    )
}

fn alter(world: &mut World, change: u8) {
    match change {
        0 => world.target.clients.clear(),
        1 => world.target.identifiers.clear(),
        2 => world.target.any_vantage = true,
        3 => world.target.services[0].addresses.clear(),
        4 => world.conns[0].class = Class::Opaque,
        5 => world.conns[0].sealed_turns = 3,
        6 => world.interfaces[0].vantage = Some(Vantage::Loopback),
        7 => world.source = Source::Recording { own: true, closed: true },
        8 => {
            world.add(readable(tcp((OTHER, 50_000), ("192.0.2.1", 80)), "http"));
        }
        9 => {
            world.add(tcp((OTHER, 50_000), (MAIL, 902)));
        }
        10 => world.conns[0].class = Class::Upgraded,
        _ => world.sightings.truncate(1),
    }
}

/// Adds one kind of loss.
fn lose(world: &mut World, kind: u8, amount: u64) {
    let coverage = &mut world.coverage;
    let more = |drops: &mut Drops| {
        *drops = match *drops {
            Drops::Known(n) => Drops::Known(n + amount),
            Drops::Unknown => Drops::Unknown,
        }
    };
    match kind {
        0 => more(&mut coverage.drops),
        1 => more(&mut coverage.interface_drops),
        2 => coverage.channel_dropped += amount,
        3 => coverage.undecoded(Weird::TooDeep),
        4 => coverage.fragments_expired += amount,
        5 => coverage.fragment_conflicts += amount,
        6 => coverage.conns_evicted += amount,
        7 => coverage.inputs_cut.push("cut".to_owned()),
        8 => coverage.hits_omitted += amount,
        9 => coverage.patterns_dropped.push("label: hex".to_owned()),
        10 => {
            coverage.drops = Drops::Unknown;
            coverage.unwatched_routes.push("the way to mail leaves by eth1".to_owned());
        }
        11 => coverage.frames = 0,
        12 => {
            coverage.missed_bytes += amount;
            if let Some(conn) = world.conns.last_mut() {
                conn.record.missed_bytes[1] += amount;
                conn.missed_in_clear[1] += amount;
            }
        }
        13 => {
            coverage.conflict_bytes += amount;
            if let Some(conn) = world.conns.last_mut() {
                conn.record.conflict_bytes[0] += amount;
                conn.conflict_in_clear[0] += amount;
            }
        }
        14 => {
            coverage.truncated_frames += 1;
            coverage.truncated_bytes += amount;
        }
        15 => {
            for conn in &mut world.conns {
                conn.record.midstream = true;
            }
        }
        16 => {
            coverage.missed_bytes += amount;
            if let Some(conn) = world.conns.first_mut() {
                conn.record.missed_bytes[0] += amount;
            }
        }
        17 => {
            if let Some(conn) = world.conns.first_mut() {
                conn.record.evicted = true;
            }
        }
        18 => {
            world.sightings.pop();
        }
        // Not a loss of ours, but of a vantage; and a disruption of which nothing is shown.
        20 => world.window.vantages.push(VantageRecord {
            name: "root@snooper:eth0".to_owned(),
            interfaces: vec![u32::try_from(amount).unwrap_or_default()],
            remote: true,
            lost: amount.is_multiple_of(2).then(|| "killed".to_owned()),
            clock_ahead_ns: 0,
        }),
        21 => world.window.disruptions.push(Disruption {
            step: "cut".to_owned(),
            what: "it was cut".to_owned(),
            done: amount.is_multiple_of(2),
            start: time(amount % 60),
            end: time(amount % 60 + 3),
            tries: Vec::new(),
            not_undone: amount.is_multiple_of(3).then(|| "read-only".to_owned()),
        }),
        _ => world.interfaces[0].vantage = Some(Vantage::TunnelDevice),
    }
}

fn hits() -> impl Strategy<Value = Hit> {
    let rules = prop::sample::select(vec![
        Rule::Identifier,
        Rule::Credential,
        Rule::Content,
        Rule::Banner,
        Rule::Metadata,
        Rule::WeakCrypto,
    ]);
    let value = prop::sample::select(vec!["jsmith", "dasher", "nimbus.dartmouth.edu", "x"]);
    let chance = prop_oneof![Just(None), (-15.0_f64..3.0).prop_map(|exp| Some(10_f64.powf(exp)))];
    (rules, value, chance, any::<bool>(), any::<bool>()).prop_map(
        |(rule, value, chance, in_ciphertext, out_of_stream)| Hit {
            chance,
            in_ciphertext,
            out_of_stream,
            ..hit(rule, Some(Field::HOST), value)
        },
    )
}

/// Puts a hit into a conn, or among those of no conn.
fn put(world: &mut World, mut hit: Hit, place: usize) {
    match world.conns.get_mut(place) {
        Some(conn) => {
            hit.uid = Some(conn.record.uid);
            conn.hits.push(hit);
        }
        None => world.raw_hits.push(hit),
    }
}

proptest! {
    #[test]
    fn more_loss_never_makes_a_pass(world in worlds(), losses in prop::collection::vec((0_u8..22, 1_u64..1000), 1..4)) {
        let before = world.verdict();
        let mut after = world;
        for (kind, amount) in losses {
            // A loss in ciphertext of just as many octets as were cut reads as the cut itself: not both in one world.
            if kind == 16 && after.coverage.truncated_bytes > 0 {
                continue;
            }
            lose(&mut after, kind, amount);
        }
        let after = after.verdict();
        prop_assert!(before == Verdict::Pass || after != Verdict::Pass);
    }

    #[test]
    fn another_hit_never_makes_an_answer_better(
        world in worlds(),
        first in prop::collection::vec((hits(), 0_usize..8), 0..4),
        more in prop::collection::vec((hits(), 0_usize..8), 1..4),
    ) {
        let mut world = world;
        for (hit, place) in first {
            put(&mut world, hit, place);
        }
        let before = world.verdict();
        for (hit, place) in more {
            put(&mut world, hit, place);
        }
        prop_assert!(world.verdict() >= before);
    }

    #[test]
    fn a_pass_has_carried_held_and_nothing_unproven(
        world in worlds(),
        found in prop::collection::vec((hits(), 0_usize..8), 0..3),
        losses in prop::collection::vec((0_u8..22, 1_u64..1000), 0..2),
    ) {
        let mut world = world;
        for (hit, place) in found {
            put(&mut world, hit, place);
        }
        for (kind, amount) in losses {
            lose(&mut world, kind, amount);
        }
        let judgement = world.judge();
        let worst = judgement.rows.iter().map(|row| row.outcome).max();
        let carried = judgement.outcome(ClaimKind::Carried);
        match judgement.verdict {
            Verdict::Pass => {
                prop_assert!(worst <= Some(super::Outcome::Warned));
                prop_assert!(carried >= super::Outcome::Holds && judgement.coverage.is_empty());
            }
            Verdict::Fail => {
                prop_assert_eq!(worst, Some(super::Outcome::Broken));
                prop_assert!(!judgement.evidence.is_empty());
            }
            Verdict::Inconclusive => prop_assert!(worst != Some(super::Outcome::Broken)),
        }
        prop_assert!(!judgement.why.is_empty());
        prop_assert_eq!(world.judge(), judgement);
    }
}
