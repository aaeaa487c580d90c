//! Where the frames were taken.

use super::*;

#[test]
fn inside_the_tunnel_alone_is_inconclusive() {
    for vantage in [Vantage::Loopback, Vantage::TunnelDevice] {
        let inner = |any_vantage| {
            with(live(), |w| {
                w.interfaces[0].vantage = Some(vantage);
                w.target.any_vantage = any_vantage;
            })
        };
        assert!(inner(false).spoiled_by("wrong-vantage"));
        assert_eq!(inner(false).verdict, Inconclusive);
        assert_eq!(inner(true).verdict, Pass);
    }
}

#[test]
fn between_loopback_addresses_is_inconclusive() {
    let judgement = with(recorded(), |w| {
        w.target.clients = vec![ip("127.0.0.1")];
        w.target.gateway_addresses = vec![ip("127.0.0.1")];
        let id = &mut w.tunnel_conn().record.id;
        (id.orig.ip, id.resp.ip) = (ip("127.0.0.1"), ip("127.0.0.1"));
    });
    assert!(judgement.spoiled_by("wrong-vantage"));
    assert_eq!(judgement.verdict, Inconclusive);
}

#[test]
fn of_nothing_but_loopback_is_inconclusive_whatever_is_spoken_there() {
    let judgement = with(recorded(), |w| {
        w.conns = vec![readable(tcp(("127.0.0.1", 50_000), ("127.0.0.1", 2151)), "blitzmail")];
    });
    assert!(judgement.spoiled_by("wrong-vantage"));
    assert_eq!(judgement.verdict, Inconclusive);
}

fn beside_loopback() -> World {
    let mut world = live();
    world.interfaces.push(InterfaceRecord {
        name: "lo".to_owned(),
        vantage: Some(Vantage::Loopback),
        ..world.interfaces[0].clone()
    });
    let mut mouth = readable(tcp(("127.0.0.1", 50_000), ("127.0.0.1", 2151)), "blitzmail");
    mouth.record.interfaces = vec![1];
    mouth.hits = vec![identifier()];
    world.add(mouth);
    world
}

#[test]
fn what_is_readable_inside_the_tunnel_says_nothing_about_the_wire() {
    let judgement = beside_loopback().judge();
    assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
    assert_eq!(judgement.explained.len(), 1);
}

#[test]
fn what_is_seen_inside_and_on_the_wire_counts() {
    let judgement = with(beside_loopback(), |w| {
        let mouth = w.conns.last_mut().unwrap();
        mouth.record.id.orig.ip = ip(CLIENT);
        mouth.record.id.resp.ip = ip(MAIL);
        mouth.record.interfaces = vec![0, 1];
    });
    assert_eq!(judgement.outcome(NoIdentifier), Broken);
    assert_eq!(judgement.outcome(NoBypass), Broken);
}

#[test]
fn our_connection_seen_inside_alone_is_not_seen_on_the_wire() {
    let judgement = with(beside_loopback(), |w| w.tunnel_conn().record.interfaces = vec![1]);
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert_eq!(judgement.verdict, Inconclusive);
}

#[test]
fn everything_counts_where_the_target_accepts_any_vantage() {
    let judgement = with(beside_loopback(), |w| w.target.any_vantage = true);
    assert_eq!(judgement.outcome(NoIdentifier), Broken);
}

#[test]
fn inside_the_tunnel_alone_is_inconclusive_even_where_nothing_was_said() {
    let judgement = with(recorded(), |w| {
        w.conns.clear();
        w.interfaces[0].vantage = Some(Vantage::Loopback);
    });
    assert!(judgement.spoiled_by("wrong-vantage"));
}

#[test]
fn the_target_seen_inside_alone_is_inconclusive_whatever_others_say_on_the_wire() {
    let judgement = with(recorded(), |w| {
        w.target.clients = vec![ip("127.0.0.1")];
        w.target.gateway_addresses = vec![ip("127.0.0.1")];
        let id = &mut w.tunnel_conn().record.id;
        (id.orig.ip, id.resp.ip) = (ip("127.0.0.1"), ip("127.0.0.1"));
        w.add(tls(tcp((OTHER, 50_000), ("192.0.2.1", 443))));
    });
    assert!(judgement.spoiled_by("wrong-vantage"));
}
