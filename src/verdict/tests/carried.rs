//! The claim `carried`.

use super::*;

#[test]
fn without_our_own_connection_is_unproven() {
    let judgement = with(live(), |w| w.tunnel_conn().record.id.orig.port = 49_153);
    only(&judgement, Carried, Unproven, "tunnel-not-seen");
}

#[test]
fn by_an_ipv4_mapped_address_is_our_own_connection() {
    let judgement = with(live(), |w| {
        let id = &mut w.tunnel_conn().record.id;
        id.orig.ip = ip("::ffff:10.77.0.10");
        id.resp.ip = ip("::ffff:10.77.0.20");
    });
    assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
}

#[test]
fn by_our_connection_seen_the_other_way_round_is_accounted_the_right_way() {
    let judgement = with(live(), |w| {
        let conn = w.tunnel_conn();
        std::mem::swap(&mut conn.record.id.orig, &mut conn.record.id.resp);
        conn.sealed_bytes.reverse();
    });
    assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
}

#[test]
fn by_nobody_is_unproven() {
    let judgement = with(live(), |w| {
        for forward in &mut w.tunnel.as_mut().unwrap().forwards {
            (forward.bytes_in, forward.bytes_out) = (0, 0);
        }
    });
    only(&judgement, Carried, Unproven, "nobody-used-the-tunnel");
}

#[test]
fn by_forwards_that_the_gateway_refused_is_unproven() {
    let judgement = with(live(), |w| {
        for forward in &mut w.tunnel.as_mut().unwrap().forwards {
            (forward.bytes_in, forward.bytes_out, forward.opened) = (0, 0, 0);
        }
    });
    only(&judgement, Carried, Unproven, "forward-refused");
}

#[test]
fn by_less_ciphertext_than_the_forwards_took_in_is_unproven() {
    for (bytes_in, bytes_out) in [(6_001, 100), (100, 36_001)] {
        let judgement = with(live(), |w| {
            w.tunnel.as_mut().unwrap().forwards.truncate(1);
            let forward = &mut w.tunnel.as_mut().unwrap().forwards[0];
            (forward.bytes_in, forward.bytes_out) = (bytes_in, bytes_out);
        });
        only(&judgement, Carried, Unproven, "bytes-not-accounted");
    }
}

#[test]
fn octets_that_the_capture_lost_in_ciphertext_are_accounted_for() {
    let judgement = with(live(), |w| {
        w.tunnel.as_mut().unwrap().forwards[0].bytes_in = 6_400;
        w.tunnel_conn().record.missed_bytes = [500, 0];
        w.coverage.missed_bytes = 500;
    });
    assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
}

#[test]
fn with_another_cipher_on_the_wire_is_broken() {
    let judgement = with(live(), |w| w.tunnel.as_mut().unwrap().cipher = "aes128-ctr".to_owned());
    only(&judgement, Carried, Broken, "cipher-mismatch");
}

#[test]
fn with_another_key_exchange_on_the_wire_is_unproven() {
    let judgement =
        with(live(), |w| w.tunnel.as_mut().unwrap().kex = "mlkem768x25519-sha256".to_owned());
    only(&judgement, Carried, Unproven, "kex-mismatch");
}

#[test]
fn by_a_null_cipher_is_broken() {
    for world in [live(), recorded()] {
        let judgement = with(world, |w| w.tunnel_conn().agreement.as_mut().unwrap().real = false);
        assert_eq!(judgement.outcome(Carried), Broken);
        assert!(judgement.says("null-cipher"));
    }
    let judgement = with(recorded(), |w| {
        w.tunnel_conn().agreement.as_mut().unwrap().cipher[1] = "none".to_owned();
    });
    assert_eq!(judgement.outcome(Carried), Broken, "a cipher one way only");
}

#[test]
fn by_text_after_a_banner_is_broken() {
    for world in [live(), recorded()] {
        let judgement = with(world, |w| w.tunnel_conn().class = Class::Cleartext);
        assert_eq!(judgement.outcome(Carried), Broken);
        assert!(judgement.evidence.iter().any(|it| it.claim == Carried));
    }
}

#[test]
fn by_a_conn_open_before_the_capture_is_unproven() {
    for world in [live(), recorded()] {
        let judgement = with(world, |w| {
            let conn = w.tunnel_conn();
            conn.record.midstream = true;
            conn.class = Class::Opaque;
            conn.agreement = None;
        });
        assert_eq!(judgement.outcome(Carried), Unproven);
        assert!(judgement.says("midstream"));
        assert_eq!(judgement.verdict, Inconclusive);
    }
    // Even where a later handshake was read.
    let judgement = with(recorded(), |w| w.tunnel_conn().record.midstream = true);
    assert_eq!(judgement.outcome(Carried), Unproven);
}

#[test]
fn by_random_octets_without_a_handshake_is_unproven() {
    let judgement = with(recorded(), |w| {
        w.tunnel_conn().class = Class::Opaque;
        w.tunnel_conn().agreement = None;
    });
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert!(judgement.says("opaque"));
    // A class without an agreement is not believed either.
    let judgement = with(recorded(), |w| w.tunnel_conn().agreement = None);
    assert_eq!(judgement.outcome(Carried), Unproven);
}

#[test]
fn one_way_only_is_unproven() {
    for world in [live(), recorded()] {
        for sealed in [[0, 90_000], [90_000, 0]] {
            let judgement = with(world.clone(), |w| w.tunnel_conn().sealed_bytes = sealed);
            assert_eq!(judgement.outcome(Carried), Unproven, "{sealed:?}");
            assert!(judgement.says("one-sided"));
        }
    }
}

#[test]
fn by_an_idle_login_is_unproven() {
    let judgement = with(recorded(), |w| {
        w.tunnel_conn().sealed_turns = 14;
        w.tunnel_conn().sealed_bytes = [3_000, 3_000];
    });
    only(&judgement, Carried, Unproven, "nobody-used-the-tunnel");
}

#[test]
fn by_a_short_mail_session_holds() {
    let judgement = with(recorded(), |w| {
        w.tunnel_conn().sealed_turns = 24;
        w.tunnel_conn().sealed_bytes = [3_000, 3_000];
    });
    assert_eq!(judgement.verdict, Pass);
    // Few turns and many octets: one large download.
    let judgement = with(recorded(), |w| {
        w.tunnel_conn().sealed_turns = 14;
        w.tunnel_conn().sealed_bytes = [3_000, 300_000];
    });
    assert_eq!(judgement.verdict, Pass);
}

#[test]
fn by_a_used_conn_holds_beside_an_idle_one() {
    let judgement = with(recorded(), |w| {
        let mut idle = ssh(tcp((CLIENT, 49_000), (GATEWAY, 22)));
        idle.sealed_turns = 10;
        idle.sealed_bytes = [2_000, 2_000];
        w.add(idle);
    });
    assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
}

#[test]
fn by_a_used_conn_is_broken_beside_a_readable_one() {
    let judgement = with(recorded(), |w| {
        w.add(readable(tcp((CLIENT, 49_000), (GATEWAY, 22)), "ssh"));
    });
    assert_eq!(judgement.outcome(Carried), Broken);
}

#[test]
fn by_no_conn_is_unproven_and_names_other_hosts() {
    let judgement = with(recorded(), |w| w.tunnel_conn().record.id.resp.ip = ip(OTHER));
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert!(judgement.says("tunnel-not-seen"));
    assert!(judgement.row(Carried).unwrap().reasons[0].text.contains("wrong host or port?"));
    assert_eq!(judgement.verdict, Inconclusive);
}

#[test]
fn by_a_refused_conn_is_unproven() {
    let judgement = with(recorded(), |w| {
        w.conns.clear();
        w.add(tcp((CLIENT, 49_000), (GATEWAY, 22)));
    });
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert!(judgement.says("tunnel-not-seen"));
}

#[test]
fn to_a_gateway_nobody_knows_the_address_of_is_unproven() {
    let judgement = with(recorded(), |w| w.target.gateway_addresses.clear());
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert!(judgement.says("gateway-address-unknown"));
}

#[test]
fn by_weak_crypto_is_a_warning_and_broken_if_strict() {
    let weak = |strict| {
        with(recorded(), |w| {
            w.strict = strict;
            w.tunnel_conn().agreement.as_mut().unwrap().weak = vec!["arcfour".to_owned()];
        })
    };
    only(&weak(false), Carried, Warned, "weak-crypto");
    assert_eq!(weak(true).outcome(Carried), Broken);
    assert_eq!(weak(true).verdict, Fail);
}

#[test]
fn the_tunnels_token_on_the_wire_is_broken() {
    let judgement = with(live(), |w| {
        let mut sighting = w.sightings[0].clone();
        sighting.token = "tunnel-during".to_owned();
        sighting.uid = None;
        w.sightings.push(sighting);
    });
    only(&judgement, Carried, Broken, "tunnel-token-seen");
    assert_eq!(judgement.evidence.len(), 1);
}

#[test]
fn the_tunnels_token_not_sent_is_unproven() {
    let judgement = with(live(), |w| {
        for token in w.control.tokens.iter_mut().filter(|it| it.token == "tunnel-during") {
            token.sent = None;
        }
    });
    only(&judgement, Carried, Unproven, "tunnel-token-not-sent");
    let judgement =
        with(live(), |w| w.control.tokens.retain(|token| token.path == ControlPath::Clear));
    only(&judgement, Carried, Unproven, "tunnel-token-not-sent");
}

#[test]
fn a_service_in_the_clear_is_broken_without_a_tunnel() {
    let judgement = with(services(), |w| {
        w.add(readable(tcp((CLIENT, 50_000), (MAIL, 2151)), "blitzmail"));
    });
    assert_eq!(judgement.outcome(Carried), Broken);
    assert_eq!(judgement.outcome(NoCleartext), Broken);
}

#[test]
fn a_service_of_random_octets_is_unproven_without_a_tunnel() {
    let judgement = with(services(), |w| {
        w.conns[1].class = Class::Opaque;
        w.conns[1].agreement = None;
    });
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert_eq!(judgement.verdict, Inconclusive);
}

#[test]
fn a_service_with_half_a_handshake_is_unproven_without_a_tunnel() {
    let judgement = with(services(), |w| w.conns[1].sealed_bytes = [0, 0]);
    only(&judgement, Carried, Unproven, "one-sided");
}

#[test]
fn services_that_nobody_used_are_unproven_without_a_tunnel() {
    let judgement = with(services(), |w| w.conns.clear());
    assert_eq!(judgement.outcome(Carried), Unproven);
    let judgement = with(services(), |w| {
        w.conns.clear();
        w.add(tcp((CLIENT, 50_000), (MAIL, 2151)));
    });
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert!(judgement.says("service-not-used"));
}

#[test]
fn a_service_at_an_unknown_address_is_unproven_without_a_tunnel() {
    let judgement = with(services(), |w| w.target.services[1].addresses.clear());
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert!(judgement.says("service-address-unknown"));
}

#[test]
fn a_target_without_services_is_unproven() {
    for world in [live(), recorded(), services()] {
        let judgement = with(world, |w| w.target.services.clear());
        assert!(judgement.says("no-services"));
        assert_eq!(judgement.verdict, Inconclusive);
    }
}

#[test]
fn a_gateway_at_an_address_that_only_the_capture_names_is_unproven_where_the_target_names_another()
{
    let judgement = with(recorded(), |w| {
        w.tunnel_conn().record.id.resp.ip = ip(OTHER);
        w.names.push(NameAnswer {
            name: "nimbus.dartmouth.edu".to_owned(),
            address: ip(OTHER),
            at: at(3),
        });
    });
    assert_eq!(judgement.outcome(Carried), Unproven);
    assert_eq!(judgement.scope[0].role, Role::InScopeOther);
    // With no address in the target the name's answer is all there is.
    let judgement = with(recorded(), |w| {
        w.target.gateway_addresses.clear();
        w.tunnel_conn().record.id.resp.ip = ip(OTHER);
        w.names.push(NameAnswer {
            name: "nimbus.dartmouth.edu".to_owned(),
            address: ip(OTHER),
            at: at(3),
        });
    });
    assert_eq!(judgement.verdict, Pass);
}
