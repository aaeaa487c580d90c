//! One test a row of the truth table in `docs/verdicts.md`; each begins with a world that passes and changes one thing.

use super::fixture::*;
use super::{Judgement, Outcome, Role, Source};
use crate::model::*;
use ClaimKind::{Carried, Metadata, NoBypass, NoCleartext, NoIdentifier, Tunnel};
use Outcome::{Broken, Holds, NotApplicable, Unproven, Warned};
use Verdict::{Fail, Inconclusive, Pass};

/// The world, changed, is judged.
fn with(mut world: World, change: impl FnOnce(&mut World)) -> Judgement {
    change(&mut world);
    world.judge()
}

/// One claim alone has this outcome for this reason; the others are as good as before, and the verdict follows.
fn only(judgement: &Judgement, claim: ClaimKind, outcome: Outcome, code: &str) {
    for row in &judgement.rows {
        if row.claim == claim {
            assert_eq!(row.outcome, outcome, "{judgement:#?}");
            assert!(row.reasons.iter().any(|reason| reason.code == code), "{row:#?}");
        } else {
            assert!(row.outcome <= Warned, "{row:#?}");
        }
    }
    assert!(judgement.coverage.is_empty(), "{:#?}", judgement.coverage);
    let verdict = match outcome {
        Broken => Fail,
        Unproven => Inconclusive,
        _ => Pass,
    };
    assert_eq!(judgement.verdict, verdict);
}

/// The coverage alone is spoiled, for this reason.
fn spoiled(judgement: &Judgement, code: &str) {
    assert!(judgement.rows.iter().all(|row| row.outcome <= Warned), "{:#?}", judgement.rows);
    assert!(judgement.spoiled_by(code), "{:#?}", judgement.coverage);
    assert_eq!(judgement.verdict, Inconclusive);
}

#[test]
fn three_plain_worlds_pass() {
    for world in [live(), recorded(), services()] {
        let judgement = world.judge();
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
        assert_eq!(judgement.outcome(Carried), Holds);
    }
    assert_eq!(live().judge().outcome(Tunnel), Holds);
    assert_eq!(recorded().judge().outcome(Tunnel), NotApplicable);
    assert_eq!(services().judge().outcome(NoBypass), NotApplicable);
}

#[test]
fn an_own_recording_is_judged_as_the_live_run_was() {
    let live = live();
    let recorded = with(live.clone(), |w| w.source = Source::Recording { own: true, closed: true });
    assert_eq!(recorded.rows, live.judge().rows);
    assert_eq!(recorded.verdict, Pass);
}

mod tunnel {
    use super::*;

    #[test]
    fn that_never_came_up_is_unproven() {
        let judgement = with(live(), |w| w.tunnel = None);
        assert_eq!(judgement.outcome(Tunnel), Unproven);
        assert!(judgement.says("tunnel-not-up"));
        assert_ne!(judgement.verdict, Pass);
    }

    #[test]
    fn lost_in_the_window_is_unproven() {
        let judgement = with(live(), |w| {
            w.tunnel.as_mut().unwrap().lost = Some((time(20), "early eof".to_owned()));
        });
        only(&judgement, Tunnel, Unproven, "tunnel-lost");
    }

    #[test]
    fn lost_in_the_window_is_fail_where_a_hit_decides() {
        let judgement = with(live(), |w| {
            w.tunnel.as_mut().unwrap().lost = Some((time(20), "early eof".to_owned()));
            w.add(readable(tcp((CLIENT, 50_000), (MAIL, 2151)), "blitzmail"));
        });
        assert_eq!(judgement.verdict, Fail);
    }

    #[test]
    fn with_a_cipher_that_hides_nothing_is_broken() {
        for cipher in ["none", "", "TLS_RSA_WITH_NULL_SHA"] {
            let judgement = with(live(), |w| {
                w.tunnel.as_mut().unwrap().cipher = cipher.to_owned();
                let name = cipher.to_owned();
                w.conns[0].agreement.as_mut().unwrap().cipher = [name.clone(), name];
            });
            assert_eq!(judgement.outcome(Tunnel), Broken, "{cipher}");
            assert_eq!(judgement.outcome(Carried), Broken, "{cipher}");
        }
    }

    #[test]
    fn without_a_verified_host_key_is_unproven() {
        let judgement = with(live(), |w| w.tunnel.as_mut().unwrap().host_key_source.clear());
        only(&judgement, Tunnel, Unproven, "host-key-unverified");
    }

    #[test]
    fn of_somebody_else_is_not_judged() {
        let judgement = with(recorded(), |w| w.target.tunnel = TunnelMode::External);
        assert_eq!(judgement.outcome(Tunnel), NotApplicable);
        assert_eq!(judgement.verdict, Pass);
    }
}

mod carried {
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
        let judgement =
            with(live(), |w| w.tunnel.as_mut().unwrap().cipher = "aes128-ctr".to_owned());
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
            let judgement =
                with(world, |w| w.tunnel_conn().agreement.as_mut().unwrap().real = false);
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
        assert!(judgement.row(Carried).unwrap().reasons[0].text.contains("wrong host?"));
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
}

mod no_bypass {
    use super::*;

    #[test]
    fn a_direct_conn_is_broken_and_names_the_service() {
        for world in [live(), recorded()] {
            let judgement = with(world, |w| {
                w.add(readable(tcp((CLIENT, 50_000), (MAIL, 902)), "dnd"));
            });
            assert_eq!(judgement.outcome(NoBypass), Broken);
            assert!(judgement.why.contains("\"dnd\""), "{}", judgement.why);
            assert!(judgement.evidence.iter().any(|it| it.claim == NoBypass));
        }
    }

    #[test]
    fn a_refused_syn_is_broken() {
        let judgement = with(live(), |w| {
            w.add(tcp((CLIENT, 50_000), (MAIL, 902)));
        });
        only(&judgement, NoBypass, Broken, "bypass");
    }

    #[test]
    fn an_encrypted_direct_conn_is_broken() {
        let judgement = with(live(), |w| {
            w.add(tls(tcp((CLIENT, 50_000), (MAIL, 902))));
        });
        only(&judgement, NoBypass, Broken, "bypass");
    }

    #[test]
    fn a_datagram_to_a_service_is_broken() {
        let judgement = with(live(), |w| {
            let mut notify = service("notify", "notify", 2154);
            notify.is_udp = true;
            w.target.services.push(notify);
            w.add(conn(Proto::UDP, (CLIENT, 2154), (MAIL, 2154)));
        });
        only(&judgement, NoBypass, Broken, "bypass");
        assert!(judgement.why.contains("UDP"));
    }

    #[test]
    fn an_ipv6_conn_is_broken() {
        let judgement = with(live(), |w| {
            w.target.services[0].addresses.push(ip("2001:db8::30"));
            w.add(tcp(("2001:db8::10", 50_000), ("2001:db8::30", 2151)));
        });
        only(&judgement, NoBypass, Broken, "bypass");
    }

    #[test]
    fn a_mapped_address_is_the_same_service() {
        let judgement = with(live(), |w| {
            w.add(tcp((CLIENT, 50_000), ("::ffff:10.77.1.30", 2151)));
        });
        assert_eq!(judgement.outcome(NoBypass), Broken);
    }

    #[test]
    fn a_conn_seen_from_its_middle_is_broken_whoever_seems_to_have_opened_it() {
        let judgement = with(live(), |w| {
            w.add(readable(tcp((MAIL, 2151), (CLIENT, 50_000)), "blitzmail"));
        });
        assert_eq!(judgement.outcome(NoBypass), Broken);
    }

    #[test]
    fn a_service_found_by_its_name_in_the_capture_is_broken() {
        for name in ["dasher.dartmouth.edu", "dasher"] {
            let judgement = with(recorded(), |w| {
                w.names.push(NameAnswer { name: name.to_owned(), address: ip(OTHER), at: at(3) });
                w.add(tcp((CLIENT, 50_000), (OTHER, 2151)));
            });
            assert_eq!(judgement.outcome(NoBypass), Broken, "{name}");
        }
    }

    #[test]
    fn a_service_at_localhost_is_at_the_gateway() {
        for host in ["localhost", "127.0.0.1", "::1"] {
            let pop = |w: &mut World| {
                w.target.services = vec![service("pop", "pop3", 110)];
                w.target.services[0].host = host.to_owned();
                w.target.services[0].addresses.clear();
            };
            assert_eq!(with(live(), pop).verdict, Pass, "{host}");
            let judgement = with(live(), |w| {
                pop(w);
                w.add(tcp((CLIENT, 50_000), (GATEWAY, 110)));
            });
            only(&judgement, NoBypass, Broken, "bypass");
        }
    }

    #[test]
    fn a_service_whose_address_is_unknown_is_unproven() {
        let judgement = with(live(), |w| w.target.services[1].addresses.clear());
        only(&judgement, NoBypass, Unproven, "service-address-unknown");
        assert!(judgement.next.iter().any(|step| step.contains("address = [..]")));
    }

    #[test]
    fn a_service_known_by_its_forwards_mouth_alone_is_unproven() {
        let judgement = with(live(), |w| w.target.services[1].addresses = vec![ip("127.0.0.1")]);
        only(&judgement, NoBypass, Unproven, "service-address-unknown");
    }

    #[test]
    fn a_service_whose_address_is_unknown_names_a_suspect() {
        let judgement = with(live(), |w| {
            w.target.services[1].addresses.clear();
            w.add(readable(tcp((CLIENT, 50_000), (OTHER, 902)), "dnd"));
        });
        let reason = &judgement.row(NoBypass).unwrap().reasons[0];
        assert_eq!(judgement.outcome(NoBypass), Unproven);
        assert!(reason.text.contains("suspect") && !reason.uids.is_empty(), "{reason:?}");
    }

    #[test]
    fn icmp_between_client_and_service_is_listed_and_no_bypass() {
        let judgement = with(live(), |w| {
            let mut ping = conn(Proto::ICMP, (CLIENT, 0), (MAIL, 0));
            ping.class = Class::Cleartext;
            w.add(ping);
        });
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
        assert_eq!(judgement.scope.last().unwrap().role, Role::InScopeOther);
    }

    #[test]
    fn an_exempt_conn_is_listed_as_allowed() {
        let exempt = Exempt {
            name: "bulletins".to_owned(),
            host: "newshost.dartmouth.edu".to_owned(),
            port: Some(1119),
            addresses: vec![ip(MAIL)],
            reason: "public postings".to_owned(),
        };
        let mut news = readable(tcp((CLIENT, 50_000), (MAIL, 1119)), "nntp");
        news.hits = vec![identifier(), hit(Rule::Credential, Some(Field::USERNAME), "jsmith")];
        let judgement = with(live(), |w| {
            w.target.exempts.push(exempt.clone());
            w.add(news.clone());
        });
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
        assert_eq!(judgement.scope.last().unwrap().role, Role::Exempt("bulletins".to_owned()));
        assert_eq!(judgement.explained.len(), 2);
        // Its port alone is exempt, not the host.
        let judgement = with(live(), |w| {
            w.target.exempts.push(exempt.clone());
            w.add(tcp((CLIENT, 50_000), (MAIL, 902)));
        });
        assert_eq!(judgement.outcome(NoBypass), Broken);
        // Nor does an exemption of every port reach the ports of a service.
        let judgement = with(live(), |w| {
            w.target.exempts.push(Exempt { port: None, ..exempt.clone() });
            w.add(tcp((CLIENT, 50_000), (MAIL, 902)));
        });
        assert_eq!(judgement.outcome(NoBypass), Broken);
        // Nor the tunnel itself.
        let judgement = with(live(), |w| {
            w.target.exempts.push(Exempt {
                port: Some(22),
                addresses: vec![ip(GATEWAY)],
                ..exempt.clone()
            });
            w.tunnel_conn().class = Class::Cleartext;
        });
        assert_eq!(judgement.outcome(Carried), Broken);
    }

    #[test]
    fn a_service_that_is_exempt_by_host_and_port_needs_no_address() {
        let judgement = with(live(), |w| {
            w.target.services[1].addresses.clear();
            w.target.exempts.push(Exempt {
                name: "dnd".to_owned(),
                host: "dasher.dartmouth.edu".to_owned(),
                port: Some(902),
                addresses: vec![],
                reason: "public directory".to_owned(),
            });
        });
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
    }

    #[test]
    fn our_own_other_conns_are_set_aside_by_their_exact_ends() {
        let own = tls(tcp((CLIENT, 50_000), (MAIL, 2151)));
        let judgement = with(live(), |w| {
            w.excluded.push(own.record.id);
            w.add(own.clone());
        });
        assert_eq!(judgement.verdict, Pass);
        assert_eq!(judgement.scope.last().unwrap().role, Role::Excluded);
        let judgement = with(live(), |w| {
            w.excluded.push(own.record.id);
            let mut other = own.clone();
            other.record.id.orig.port = 50_001;
            w.add(other);
        });
        assert_eq!(judgement.outcome(NoBypass), Broken);
    }

    #[test]
    fn the_gateways_own_leg_is_no_bypass() {
        let judgement = with(live(), |w| {
            w.add(readable(tcp((GATEWAY, 50_000), (MAIL, 2151)), "blitzmail"));
        });
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
    }

    #[test]
    fn somebody_elses_conn_to_a_service_is_no_bypass_where_the_client_is_named() {
        let judgement = with(recorded(), |w| {
            w.add(readable(tcp((OTHER, 50_000), (MAIL, 2151)), "blitzmail"));
        });
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
    }

    #[test]
    fn somebody_elses_conn_to_a_service_is_unproven_where_the_client_was_inferred() {
        let judgement = with(recorded(), |w| {
            w.target.clients.clear();
            w.add(tcp(("2001:db8::10", 50_000), (MAIL, 2151)));
        });
        only(&judgement, NoBypass, Unproven, "client-inferred");
    }

    #[test]
    fn the_client_is_who_opened_the_conn_to_the_gateway() {
        let judgement = with(recorded(), |w| {
            w.target.clients.clear();
            w.add(tcp((CLIENT, 50_000), (MAIL, 2151)));
        });
        only(&judgement, NoBypass, Broken, "bypass");
        assert_eq!(with(recorded(), |w| w.target.clients.clear()).verdict, Pass);
    }

    #[test]
    fn the_client_is_who_went_to_a_service_where_nobody_went_to_the_gateway() {
        let judgement = with(recorded(), |w| {
            w.target.clients.clear();
            w.conns.clear();
            w.add(readable(tcp((CLIENT, 50_000), (MAIL, 902)), "dnd"));
        });
        assert_eq!(judgement.outcome(NoBypass), Broken);
        assert_eq!(judgement.outcome(Carried), Unproven);
        assert_eq!(judgement.verdict, Fail);
    }

    #[test]
    fn without_any_client_is_unproven() {
        let judgement = with(recorded(), |w| {
            w.target.clients.clear();
            w.conns.clear();
        });
        assert_eq!(judgement.outcome(NoBypass), Unproven);
        assert!(judgement.says("client-unknown"));
    }

    #[test]
    fn a_service_at_the_gateways_own_port_is_unproven() {
        let judgement = with(live(), |w| {
            w.target.services[1].host = "localhost".to_owned();
            w.target.services[1].port = 22;
        });
        only(&judgement, NoBypass, Unproven, "service-at-the-tunnels-port");
    }
}

mod no_identifier {
    use super::*;

    #[test]
    fn a_hit_anywhere_is_broken() {
        // In a conn that has nothing to do with the target.
        let judgement = with(live(), |w| {
            let mut web = readable(tcp((OTHER, 50_000), ("192.0.2.1", 80)), "http");
            web.hits.push(identifier());
            w.add(web);
        });
        only(&judgement, NoIdentifier, Broken, "identifier");
        assert_eq!(judgement.evidence.len(), 1);
        // In a frame of no conn.
        let judgement = with(live(), |w| w.raw_hits.push(identifier()));
        only(&judgement, NoIdentifier, Broken, "identifier");
        // In front of the tunnel's ciphertext.
        let judgement = with(live(), |w| w.tunnel_conn().hits.push(identifier()));
        assert_eq!(judgement.outcome(NoIdentifier), Broken);
    }

    #[test]
    fn a_hit_decides_whatever_was_lost() {
        let judgement = with(live(), |w| {
            w.coverage.drops = Drops::Known(7);
            w.raw_hits.push(identifier());
        });
        assert_eq!(judgement.verdict, Fail);
    }

    fn in_ciphertext(chances: &[f64]) -> Judgement {
        with(recorded(), |w| {
            for chance in chances {
                let mut hit = identifier();
                hit.in_ciphertext = true;
                hit.chance = Some(*chance);
                w.tunnel_conn().hits.push(hit);
            }
        })
    }

    #[test]
    fn a_hit_in_ciphertext_that_chance_explains_is_listed() {
        let judgement = in_ciphertext(&[0.4]);
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
        assert_eq!(judgement.explained.len(), 1);
        assert!(judgement.explained[0].why.contains("chance"));
    }

    #[test]
    fn a_hit_in_ciphertext_that_chance_cannot_explain_is_broken() {
        only(&in_ciphertext(&[1e-9]), NoIdentifier, Broken, "identifier");
        // Each by itself may be chance; so many are not.
        only(&in_ciphertext(&[0.01; 4]), NoIdentifier, Broken, "identifier");
    }

    #[test]
    fn a_hit_in_ciphertext_that_chance_may_explain_is_unproven() {
        only(&in_ciphertext(&[1e-4]), NoIdentifier, Unproven, "chance-unclear");
    }

    #[test]
    fn a_hit_in_ciphertext_without_a_known_chance_is_broken() {
        let judgement = with(recorded(), |w| {
            w.tunnel_conn().hits.push(Hit { in_ciphertext: true, chance: None, ..identifier() });
        });
        only(&judgement, NoIdentifier, Broken, "identifier");
    }

    #[test]
    fn chance_explains_nothing_behind_a_null_cipher() {
        let judgement = with(recorded(), |w| {
            let conn = w.tunnel_conn();
            conn.hits.push(Hit { in_ciphertext: true, chance: Some(0.4), ..identifier() });
            conn.agreement.as_mut().unwrap().real = false;
        });
        assert_eq!(judgement.outcome(NoIdentifier), Broken);
    }

    #[test]
    fn chance_that_cannot_be_judged_for_hits_left_out_is_unproven() {
        let judgement = with(recorded(), |w| {
            let conn = w.tunnel_conn();
            conn.hits.push(Hit { in_ciphertext: true, chance: Some(0.4), ..identifier() });
            conn.hits_omitted = 3;
        });
        only(&judgement, NoIdentifier, Unproven, "hits-omitted");
    }

    #[test]
    fn without_identifiers_is_a_warning_and_unproven_if_strict() {
        let none = |strict| {
            with(live(), |w| {
                w.target.identifiers.clear();
                w.strict = strict;
            })
        };
        only(&none(false), NoIdentifier, Warned, "no-identifiers");
        only(&none(true), NoIdentifier, Unproven, "no-identifiers");
    }

    #[test]
    fn a_hit_in_a_control_datagram_is_broken() {
        let judgement = with(live(), |w| w.conns[1].hits.push(identifier()));
        only(&judgement, NoIdentifier, Broken, "identifier");
    }

    #[test]
    fn no_text_of_a_judgement_holds_an_identifier() {
        let judgement = with(live(), |w| {
            w.raw_hits.push(identifier());
            let mut mail = readable(tcp((CLIENT, 50_000), (MAIL, 2151)), "blitzmail");
            mail.hits = vec![
                identifier(),
                hit(Rule::Credential, Some(Field::PASSWORD), "hunter2"),
                hit(Rule::Banner, Some(Field::VERB), "jsmith"),
            ];
            w.add(mail);
        });
        let shown = format!("{judgement:?}");
        assert!(!shown.contains("jsmith") && !shown.contains("hunter2"), "{shown}");
    }
}

mod no_cleartext {
    use super::*;

    #[test]
    fn a_readable_conn_in_scope_is_broken() {
        // To the gateway, to no service's port.
        let judgement = with(live(), |w| {
            let mut web = readable(tcp((CLIENT, 50_000), (GATEWAY, 80)), "http");
            web.hits.push(hit(Rule::Banner, Some(Field::VERB), "GET"));
            w.add(web);
        });
        only(&judgement, NoCleartext, Broken, "cleartext");
        assert!(judgement.why.contains("http"), "{}", judgement.why);
        assert_eq!(judgement.evidence.len(), 1);
    }

    #[test]
    fn an_opaque_conn_in_scope_is_unproven() {
        let judgement = with(live(), |w| {
            let mut conn = tcp((CLIENT, 50_000), (GATEWAY, 8_000));
            conn.class = Class::Opaque;
            w.add(conn);
        });
        only(&judgement, NoCleartext, Unproven, "opaque");
    }

    #[test]
    fn readable_conns_of_others_are_listed_and_nothing_else() {
        let judgement = with(live(), |w| {
            let mut pop = readable(tcp((OTHER, 50_000), ("192.0.2.1", 110)), "pop3");
            pop.hits.push(hit(Rule::Credential, Some(Field::PASSWORD), "hunter2"));
            w.add(pop);
        });
        assert_eq!(judgement.verdict, Pass);
        assert_eq!(judgement.explained.len(), 1);
    }

    #[test]
    fn an_upgraded_conn_holds_and_is_broken_if_strict() {
        let upgraded = |strict, hits: Vec<Hit>| {
            with(services(), |w| {
                w.strict = strict;
                w.conns[0].class = Class::Upgraded;
                w.conns[0].hits = hits;
            })
        };
        assert_eq!(upgraded(false, vec![]).verdict, Pass);
        assert_eq!(
            upgraded(false, vec![hit(Rule::Banner, Some(Field::GREETING), "220")]).verdict,
            Pass
        );
        only(&upgraded(true, vec![]), NoCleartext, Broken, "upgraded");
        let early = upgraded(false, vec![hit(Rule::Credential, Some(Field::USERNAME), "chris")]);
        only(&early, NoCleartext, Broken, "secret-in-the-clear");
        let early = upgraded(false, vec![hit(Rule::Content, Some(Field::ADDRESS), "chris")]);
        only(&early, NoCleartext, Broken, "secret-in-the-clear");
    }

    #[test]
    fn a_credential_in_an_opaque_conn_in_scope_is_broken() {
        let judgement = with(live(), |w| {
            let mut conn = tcp((CLIENT, 50_000), (GATEWAY, 8_000));
            conn.class = Class::Opaque;
            conn.hits.push(hit(Rule::Credential, Some(Field::PASSWORD), "hunter2"));
            w.add(conn);
        });
        only(&judgement, NoCleartext, Broken, "secret-in-the-clear");
    }

    #[test]
    fn names_and_times_asked_of_the_gateway_are_metadata() {
        for dialect in ["dns", "mdns", "dhcp", "ntp"] {
            let judgement = with(live(), |w| {
                w.add(readable(conn(Proto::UDP, (CLIENT, 50_000), (GATEWAY, 53)), dialect));
            });
            assert_eq!(judgement.verdict, Pass, "{dialect}");
        }
        // A service is a service, whatever it speaks.
        let judgement = with(services(), |w| {
            w.add(readable(tcp((CLIENT, 50_000), (MAIL, 902)), "dns"));
        });
        assert_eq!(judgement.outcome(NoCleartext), Broken);
    }

    #[test]
    fn nothing_said_in_scope_is_unproven() {
        let judgement = with(recorded(), |w| w.conns.clear());
        assert_eq!(judgement.outcome(NoCleartext), Unproven);
        assert!(judgement.says("nothing-in-scope"));
    }

    #[test]
    fn only_the_clear_token_makes_a_datagram_a_control() {
        // A conn that claims to be one.
        let judgement = with(live(), |w| {
            let mut fake = readable(conn(Proto::UDP, (CLIENT, 50_000), (GATEWAY, 69)), "tftp");
            fake.is_control = true;
            w.add(fake);
        });
        only(&judgement, NoCleartext, Broken, "cleartext");
        // TCP never is one.
        let judgement = with(live(), |w| {
            let mut fake = readable(tcp((CLIENT, 50_000), (GATEWAY, 69)), "tftp");
            fake.is_control = true;
            let uid = w.add(fake);
            let mut sighting = w.sightings[0].clone();
            sighting.uid = Some(uid);
            w.sightings.push(sighting);
        });
        only(&judgement, NoCleartext, Broken, "cleartext");
        // One that carries the tunnel's token too is none.
        let judgement = with(live(), |w| {
            let mut sighting = w.sightings[0].clone();
            sighting.token = "tunnel-during".to_owned();
            w.sightings.push(sighting);
        });
        assert_eq!(judgement.outcome(NoCleartext), Broken);
        assert_eq!(judgement.outcome(Carried), Broken);
    }
}

mod metadata {
    use super::*;

    #[test]
    fn a_name_of_the_target_is_a_warning_and_broken_if_strict() {
        for seen in ["dasher.dartmouth.edu", "Nimbus.Dartmouth.EDU.", "*.dartmouth.edu", "DASHER"] {
            let named = |strict| {
                with(live(), |w| {
                    w.strict = strict;
                    let mut dns = readable(conn(Proto::UDP, (CLIENT, 50_000), (OTHER, 53)), "dns");
                    dns.hits.push(hit(Rule::Metadata, Some(Field::HOST), seen));
                    w.add(dns);
                })
            };
            only(&named(false), Metadata, Warned, "host-name");
            only(&named(true), Metadata, Broken, "host-name");
            assert_eq!(named(true).evidence.len(), 1);
        }
    }

    #[test]
    fn a_name_answered_is_a_warning() {
        let judgement = with(live(), |w| {
            w.names.push(NameAnswer {
                name: "nimbus.dartmouth.edu".to_owned(),
                address: ip(GATEWAY),
                at: at(3),
            });
        });
        only(&judgement, Metadata, Warned, "host-name");
    }

    #[test]
    fn names_of_others_are_no_concern() {
        let judgement = with(live(), |w| {
            let mut dns = readable(conn(Proto::UDP, (CLIENT, 50_000), (OTHER, 53)), "dns");
            for name in ["example.org", "mail.nimbus.dartmouth.edu", "*.edu"] {
                dns.hits.push(hit(Rule::Metadata, Some(Field::HOST), name));
            }
            w.add(dns);
        });
        assert_eq!(judgement.outcome(Metadata), Holds);
    }
}

mod coverage {
    use super::*;

    #[test]
    fn an_empty_capture_is_inconclusive() {
        for world in [live(), recorded(), services()] {
            let judgement = with(world, |w| {
                w.conns.clear();
                w.coverage = Coverage {
                    drops: Drops::Known(0),
                    interface_drops: Drops::Known(0),
                    ..Coverage::default()
                };
            });
            assert_eq!(judgement.verdict, Inconclusive);
            assert!(judgement.spoiled_by("empty-capture"));
            assert_eq!(judgement.why.split(" (and").next(), Some("no frame was captured"));
        }
    }

    #[test]
    fn drops_spoil_a_pass() {
        for world in [live(), recorded(), services()] {
            spoiled(&with(world.clone(), |w| w.coverage.drops = Drops::Known(1)), "kernel-drops");
            spoiled(
                &with(world.clone(), |w| w.coverage.interface_drops = Drops::Known(1)),
                "interface-drops",
            );
            spoiled(&with(world, |w| w.coverage.channel_dropped = 1), "channel-drops");
        }
    }

    #[test]
    fn drops_that_nobody_counted_spoil_our_own_pass_alone() {
        let own = with(live(), |w| w.source = Source::Recording { own: true, closed: true });
        assert_eq!(own.verdict, Pass);
        for source in [Source::Live, Source::Recording { own: true, closed: true }] {
            let unknown = |change: fn(&mut Coverage)| {
                with(live(), |w| {
                    w.source = source;
                    change(&mut w.coverage);
                })
            };
            spoiled(&unknown(|it| it.drops = Drops::Unknown), "drops-unknown");
            spoiled(&unknown(|it| it.interface_drops = Drops::Unknown), "interface-drops-unknown");
        }
        assert!(recorded().judge().notes.iter().any(|note| note.code == "drops-unknown"));
    }

    #[test]
    fn a_recording_of_our_own_that_was_not_closed_is_inconclusive() {
        let judgement = with(live(), |w| w.source = Source::Recording { own: true, closed: false });
        spoiled(&judgement, "recording-not-closed");
    }

    #[test]
    fn undecoded_frames_spoil_a_pass() {
        let judgement = with(recorded(), |w| w.coverage.undecoded(Weird::UnknownEtherType(0x88e5)));
        spoiled(&judgement, "undecoded-frames");
    }

    #[test]
    fn frames_without_ip_spoil_nothing() {
        assert_eq!(with(live(), |w| w.coverage.link_only("arp")).verdict, Pass);
    }

    #[test]
    fn cut_frames_spoil_a_pass() {
        let judgement = with(recorded(), |w| {
            w.coverage.truncated_frames = 3;
            w.coverage.truncated_bytes = 700;
        });
        spoiled(&judgement, "truncated-frames");
    }

    #[test]
    fn cut_frames_in_ciphertext_hide_nothing() {
        let cut = |missed_in_clear: u64, truncated_bytes: u64| {
            with(recorded(), |w| {
                w.coverage.truncated_frames = 3;
                w.coverage.truncated_bytes = truncated_bytes;
                w.coverage.missed_bytes = 700;
                w.tunnel_conn().record.missed_bytes = [700, 0];
                w.tunnel_conn().missed_in_clear = [missed_in_clear, 0];
            })
        };
        assert_eq!(cut(0, 700).verdict, Pass);
        spoiled(&cut(0, 701), "truncated-frames");
        spoiled(&cut(1, 700), "truncated-frames");
        spoiled(&cut(1, 700), "gap");
    }

    #[test]
    fn fragments_that_never_became_whole_spoil_a_pass() {
        spoiled(&with(recorded(), |w| w.coverage.fragments_expired = 1), "fragments-expired");
        spoiled(&with(recorded(), |w| w.coverage.fragment_conflicts = 1), "conflict");
    }

    #[test]
    fn missing_octets_in_ciphertext_hide_nothing() {
        let judgement = with(recorded(), |w| {
            w.tunnel_conn().record.missed_bytes = [0, 9_000];
            w.coverage.missed_bytes = 9_000;
        });
        assert_eq!(judgement.verdict, Pass);
    }

    #[test]
    fn missing_octets_anywhere_else_spoil_a_pass() {
        // In front of the ciphertext.
        let judgement = with(recorded(), |w| {
            w.tunnel_conn().record.missed_bytes = [0, 9];
            w.tunnel_conn().missed_in_clear = [0, 9];
            w.coverage.missed_bytes = 9;
        });
        spoiled(&judgement, "gap");
        // In other people's cleartext; by either account.
        for (missed, in_clear) in [([5, 0], [0, 0]), ([0, 0], [5, 0])] {
            let judgement = with(recorded(), |w| {
                let mut web = readable(tcp((OTHER, 50_000), ("192.0.2.1", 80)), "http");
                web.record.missed_bytes = missed;
                web.missed_in_clear = in_clear;
                w.add(web);
            });
            spoiled(&judgement, "gap");
        }
        // In conns that nobody listed.
        spoiled(&with(recorded(), |w| w.coverage.missed_bytes = 1), "gap");
    }

    #[test]
    fn missing_octets_of_an_exempt_conn_hide_nothing() {
        let judgement = with(recorded(), |w| {
            w.target.exempts.push(Exempt {
                name: "news".to_owned(),
                host: OTHER.to_owned(),
                port: None,
                addresses: vec![],
                reason: "public".to_owned(),
            });
            let mut news = readable(tcp((CLIENT, 50_000), (OTHER, 119)), "nntp");
            news.record.missed_bytes = [5, 0];
            news.record.conflict_bytes = [5, 0];
            w.coverage.missed_bytes = 5;
            w.coverage.conflict_bytes = 5;
            w.add(news);
        });
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
    }

    #[test]
    fn conflicts_spoil_a_pass_unless_they_lie_in_ciphertext() {
        let conflict = |in_clear: [u64; 2]| {
            with(recorded(), |w| {
                w.tunnel_conn().record.conflict_bytes = [9, 0];
                w.tunnel_conn().conflict_in_clear = in_clear;
                w.coverage.conflict_bytes = 9;
            })
        };
        assert_eq!(conflict([0, 0]).verdict, Pass);
        spoiled(&conflict([9, 0]), "conflict");
        spoiled(&with(recorded(), |w| w.coverage.conflict_bytes = 1), "conflict");
    }

    #[test]
    fn a_conn_in_scope_seen_from_its_middle_spoils_a_pass() {
        let judgement = with(live(), |w| {
            let mut ack = tcp((CLIENT, 50_000), (GATEWAY, 8_000));
            ack.record.midstream = true;
            w.add(ack);
        });
        spoiled(&judgement, "midstream");
    }

    #[test]
    fn a_conn_out_of_scope_seen_from_its_middle_is_said_and_spoils_nothing() {
        let judgement = with(live(), |w| {
            let mut other = readable(tcp((OTHER, 50_000), ("192.0.2.1", 80)), "http");
            other.record.midstream = true;
            w.add(other);
        });
        assert_eq!(judgement.verdict, Pass);
        assert!(judgement.notes.iter().any(|note| note.code == "midstream"));
    }

    #[test]
    fn evictions_spoil_a_pass() {
        spoiled(&with(recorded(), |w| w.coverage.conns_evicted = 1), "evicted");
        spoiled(&with(recorded(), |w| w.tunnel_conn().record.evicted = true), "evicted");
    }

    #[test]
    fn an_input_that_was_cut_spoils_a_pass() {
        let judgement =
            with(recorded(), |w| w.coverage.inputs_cut.push("a.pcap: 3 of 60 octets".to_owned()));
        spoiled(&judgement, "input-cut");
    }

    #[test]
    fn patterns_that_were_left_out_spoil_a_pass() {
        let judgement =
            with(recorded(), |w| w.coverage.patterns_dropped.push("username: base64".to_owned()));
        spoiled(&judgement, "patterns-dropped");
    }

    #[test]
    fn findings_left_out_of_conns_spoil_nothing_and_others_do() {
        let judgement = with(recorded(), |w| {
            let mut web = readable(tcp((OTHER, 50_000), ("192.0.2.1", 80)), "http");
            web.hits_omitted = 5;
            w.coverage.hits_omitted = 5;
            w.add(web);
        });
        assert_eq!(judgement.verdict, Pass);
        spoiled(&with(recorded(), |w| w.coverage.hits_omitted = 1), "hits-omitted");
    }
}

mod control {
    use super::*;

    #[test]
    fn not_seen_in_a_phase_is_inconclusive() {
        for phase in 0..3 {
            let judgement = with(live(), |w| {
                w.sightings.remove(phase);
                w.conns[1 + phase].dialect = Some("ntp"); // keeps it out of `no-cleartext`
            });
            spoiled(&judgement, "control-not-seen");
            let name = ["before", "during", "after"][phase];
            assert!(
                judgement.coverage[0].text.contains(name)
                    && judgement.coverage[0].text.contains("eth0")
            );
        }
    }

    #[test]
    fn not_sent_is_inconclusive() {
        let judgement = with(live(), |w| w.control.tokens[0].sent = None);
        spoiled(&judgement, "control-not-seen");
        let judgement = with(live(), |w| {
            w.control = ControlRecord::default();
            w.sightings.clear();
            w.conns.truncate(1);
        });
        spoiled(&judgement, "control-not-seen");
        let judgement = with(live(), |w| {
            w.interfaces.clear();
            w.control = ControlRecord::default();
            w.sightings.clear();
            w.conns.truncate(1);
        });
        spoiled(&judgement, "control-not-seen");
    }

    #[test]
    fn seen_on_another_interface_is_inconclusive() {
        let judgement = with(live(), |w| {
            w.interfaces.push(w.interfaces[0].clone());
            for sighting in &mut w.sightings {
                sighting.interface_id = 1;
            }
        });
        spoiled(&judgement, "control-not-seen");
    }

    #[test]
    fn lacking_on_a_second_interface_is_inconclusive() {
        let judgement = with(live(), |w| w.interfaces.push(w.interfaces[0].clone()));
        spoiled(&judgement, "control-not-seen");
    }

    #[test]
    fn seen_in_ciphertext_is_not_seen() {
        let judgement = with(live(), |w| {
            w.conns[2].dialect = Some("ntp");
            w.sightings[1].uid = Some(Uid(1));
        });
        assert!(judgement.spoiled_by("control-not-seen"));
        assert_eq!(judgement.verdict, Inconclusive);
    }

    #[test]
    fn lacking_in_a_recording_of_somebody_else_is_said_and_spoils_nothing() {
        let judgement = recorded().judge();
        assert_eq!(judgement.verdict, Pass);
        assert!(judgement.notes.iter().any(|note| note.code == "no-control"));
    }
}

mod vantage {
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
}
