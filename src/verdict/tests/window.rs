//! Phases, disruptions and vantages.

use super::*;
use crate::verdict::Fared;
use std::net::SocketAddr;

fn stretch(stage: Stage, what: &str, start: u64, end: u64) -> Stretch {
    Stretch { stage, what: what.to_owned(), start: time(start), end: time(end), frames: 10 }
}

/// A live run in which the tunnel was cut on purpose and dialed again, and the client tried twice meanwhile.
fn cut() -> World {
    let mut world = live();
    let again = SocketAddr::new(ip(CLIENT), 49_999);
    let tunnel = world.tunnel.as_mut().unwrap();
    tunnel.earlier.push(EarlierConn {
        local: tunnel.local,
        remote: tunnel.remote,
        up: time(2),
        down: time(20),
        why: "cut on purpose".to_owned(),
    });
    tunnel.local = again;
    world.add(ssh(tcp((CLIENT, again.port()), (GATEWAY, 22))));
    world.window.stretches = vec![
        stretch(Stage::Before, "", 0, 2),
        stretch(Stage::Up, "", 2, 20),
        stretch(Stage::Disrupted, "cut", 20, 24),
        stretch(Stage::Up, "", 24, 40),
        stretch(Stage::Down, "", 40, 41),
    ];
    world.window.disruptions = vec![Disruption {
        step: "cut".to_owned(),
        what: "the connection to the gateway was ended".to_owned(),
        done: true,
        start: time(20),
        end: time(24),
        tries: vec![Tries {
            target: "dasher".to_owned(),
            attempts: 2,
            forwarded: 0,
            up_before: true,
            up_after: true,
        }],
        not_undone: None,
    }];
    world
}

/// A direct conn to the mail service that begins then.
fn direct(seconds: u64) -> ConnSummary {
    let mut conn = readable(tcp((CLIENT, 50_000), (MAIL, 2151)), "blitzmail");
    conn.record.first = at(seconds);
    conn
}

fn fared(judgement: &Judgement) -> Fared {
    judgement.disruptions[0].fared
}

#[test]
fn a_client_that_tries_and_stays_with_the_tunnel_holds() {
    let judgement = cut().judge();
    assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
    assert_eq!(fared(&judgement), Fared::Held);
    assert!(judgement.row(Tunnel).unwrap().holds_because.contains("dialed again once on purpose"));
}

#[test]
fn a_client_that_falls_back_meanwhile_leaks() {
    let judgement = with(cut(), |w| _ = w.add(direct(22)));
    assert_eq!((judgement.verdict, fared(&judgement)), (Fail, Fared::Leaked));
    let reason = &judgement.row(NoBypass).unwrap().reasons[0];
    assert!(reason.text.contains("in the phase \"disrupted: cut\""), "{}", reason.text);
}

#[test]
fn a_client_that_falls_back_afterwards_leaks() {
    let judgement = with(cut(), |w| _ = w.add(direct(30)));
    assert_eq!((judgement.verdict, fared(&judgement)), (Fail, Fared::Leaked));
    assert!(judgement.disruptions[0].seen.contains("afterwards"));
    let before = with(cut(), |w| _ = w.add(direct(10)));
    assert_eq!((before.verdict, fared(&before)), (Fail, Fared::Held));
}

#[test]
fn a_client_that_did_not_try_shows_nothing() {
    let judgement = with(cut(), |w| w.window.disruptions[0].tries[0].attempts = 0);
    spoiled(&judgement, "disruption-not-tried");
    assert_eq!(fared(&judgement), Fared::NotTried);
    // What another target's client did is nothing to this one.
    let judgement = with(cut(), |w| w.window.disruptions[0].tries[0].target = "other".to_owned());
    spoiled(&judgement, "disruption-not-tried");
}

#[test]
fn a_disruption_that_was_not_made_shows_nothing() {
    let judgement = with(cut(), |w| w.window.disruptions[0].done = false);
    spoiled(&judgement, "disruption-not-done");
    assert_eq!(fared(&judgement), Fared::NotDone);
}

#[test]
fn what_could_not_be_put_back_spoils_a_pass() {
    let judgement =
        with(cut(), |w| w.window.disruptions[0].not_undone = Some("read-only".to_owned()));
    spoiled(&judgement, "disruption-not-undone");
}

#[test]
fn a_tunnel_that_was_not_up_before_is_unproven() {
    let judgement = with(cut(), |w| w.window.disruptions[0].tries[0].up_before = false);
    only(&judgement, Tunnel, Unproven, "tunnel-not-up-before");
}

#[test]
fn a_tunnel_that_is_not_up_again_is_unproven() {
    let judgement = with(cut(), |w| w.window.disruptions[0].tries[0].up_after = false);
    only(&judgement, Tunnel, Unproven, "tunnel-not-up-again");
}

#[test]
fn a_loss_beside_a_disruption_is_a_loss() {
    let judgement = with(cut(), |w| {
        w.tunnel.as_mut().unwrap().lost = Some((time(30), "keepalive timeout".to_owned()));
    });
    only(&judgement, Tunnel, Unproven, "tunnel-lost");
}

#[test]
fn an_earlier_connection_of_ours_that_is_not_in_the_capture_is_unproven() {
    let judgement = with(cut(), |w| {
        let tunnel = w.tunnel.as_mut().unwrap();
        tunnel.earlier.push(EarlierConn {
            local: SocketAddr::new(ip(CLIENT), 40_123),
            ..tunnel.earlier[0].clone()
        });
    });
    only(&judgement, Carried, Unproven, "tunnel-not-seen");
}

#[test]
fn every_phase_has_what_was_seen_in_it() {
    let judgement = with(cut(), |w| {
        w.add(direct(22));
        w.add(direct(30));
    });
    let told: Vec<_> =
        judgement.phases.iter().map(|row| (row.label.as_str(), row.frames, row.conns)).collect();
    // Both conns of ours begin at second 10.
    let expected = [
        ("before", 10, 0),
        ("up", 10, 2),
        ("disrupted: cut", 10, 1),
        ("up", 10, 1),
        ("down", 10, 0),
    ];
    assert_eq!(told, expected);
    let hits: Vec<u64> = judgement.phases.iter().map(|row| row.hits).collect();
    assert!(hits[2] > 0 && hits[3] > 0 && hits[1] == 0, "{hits:?}");
    let phase = judgement.phase_at(time(22)).unwrap();
    assert_eq!(phase.label, "disrupted: cut");
}

/// A live run that another machine watched too: it saw the same, under conns of its own.
fn two() -> World {
    let mut world = live();
    world.interfaces.push(InterfaceRecord {
        name: "root@snooper:eth0".to_owned(),
        vantage: Some(Vantage::Remote),
        ..world.interfaces[0].clone()
    });
    let vantage = |name: &str, id, remote| VantageRecord {
        name: name.to_owned(),
        interfaces: vec![id],
        remote,
        lost: None,
        clock_ahead_ns: 0,
    };
    world.window.vantages =
        vec![vantage("this machine", 0, false), vantage("root@snooper:eth0", 1, true)];
    for mut conn in world.conns.clone() {
        conn.record.interfaces = vec![1];
        world.add(conn);
    }
    for mut token in world.control.tokens.clone() {
        if token.path == ControlPath::Clear {
            token.interface_id = 1;
            token.token.push_str("-there");
            world.control.tokens.push(token);
        }
    }
    for mut sighting in world.sightings.clone() {
        sighting.interface_id = 1;
        sighting.token.push_str("-there");
        sighting.uid = sighting.uid.map(|uid| Uid(uid.0 + 4));
        world.sightings.push(sighting);
    }
    for sighting in &mut world.sightings {
        sighting.at = at(if sighting.token.contains("after") { 60 } else { 5 });
    }
    world
}

#[test]
fn two_vantages_that_saw_the_same_pass() {
    let judgement = two().judge();
    assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
    let told: Vec<_> = judgement.vantages.iter().map(|row| (row.conns, row.controls)).collect();
    assert_eq!(told, [(1, [3, 3]), (1, [3, 3])]);
}

#[test]
fn a_control_that_another_machine_did_not_see_is_inconclusive() {
    let judgement = with(two(), |w| {
        w.sightings.retain(|it| it.interface_id == 0 || it.token.contains("before"));
        let is_later = |id: ConnId| id.resp.port == 9 && id.orig.port > 40_000;
        w.conns.retain(|it| it.record.interfaces == [0] || !is_later(it.record.id));
    });
    spoiled(&judgement, "control-not-seen");
    let text = &judgement.coverage[0].text;
    assert!(
        text.contains("root@snooper:eth0") && text.contains("nothing of this machine"),
        "{text}"
    );
}

#[test]
fn a_conn_that_one_vantage_alone_saw_spoils_a_pass() {
    for interface in [0, 1] {
        let judgement = with(two(), |w| {
            let mut other = tls(tcp((CLIENT, 41_000), (GATEWAY, 443)));
            other.record.interfaces = vec![interface];
            other.record.first = at(30);
            w.add(other);
        });
        spoiled(&judgement, "vantages-differ");
        let only_here: Vec<usize> =
            judgement.vantages.iter().map(|row| row.only_here.len()).collect();
        assert_eq!(only_here[interface as usize], 1);
    }
}

#[test]
fn a_conn_at_the_edge_of_what_both_vantages_saw_is_not_compared() {
    for seconds in [4, 61] {
        let judgement = with(two(), |w| {
            let mut other = tls(tcp((CLIENT, 41_000), (GATEWAY, 443)));
            other.record.first = at(seconds);
            w.add(other);
        });
        assert_eq!(judgement.verdict, Pass, "{:#?}", judgement.coverage);
    }
}

#[test]
fn a_vantage_that_ended_early_spoils_a_pass() {
    let judgement = with(two(), |w| w.window.vantages[1].lost = Some("killed".to_owned()));
    spoiled(&judgement, "vantage-lost");
    // Even as the only one.
    let judgement = with(live(), |w| {
        w.window.vantages = vec![VantageRecord {
            name: "root@snooper:eth0".to_owned(),
            interfaces: vec![0],
            remote: true,
            lost: Some("killed".to_owned()),
            clock_ahead_ns: 0,
        }];
    });
    spoiled(&judgement, "vantage-lost");
}

#[test]
fn octets_of_the_forwards_are_accounted_for_at_one_vantage() {
    // 36,000 octets of ciphertext are seen twice, and are no 72,000.
    let judgement = with(two(), |w| w.tunnel.as_mut().unwrap().forwards[0].bytes_out = 50_000);
    only(&judgement, Carried, Unproven, "bytes-not-accounted");
}

#[test]
fn a_bypass_seen_from_another_machine_alone_is_broken() {
    let judgement = with(two(), |w| {
        let mut conn = direct(30);
        conn.record.interfaces = vec![1];
        w.add(conn);
    });
    assert_eq!(judgement.verdict, Fail);
    assert!(judgement.says("bypass") && judgement.spoiled_by("vantages-differ"));
}
