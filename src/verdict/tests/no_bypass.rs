//! The claim `no-bypass`.

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
fn a_service_behind_an_address_translator_is_the_same_service() {
    let judgement = with(live(), |w| {
        w.add(tcp((CLIENT, 50_000), ("64:ff9b::10.77.1.30", 2151)));
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
fn a_service_known_by_its_name_alone_may_be_where_its_protocol_is_spoken() {
    let to_another = |is_by_name: bool, class: Class| {
        with(live(), |w| {
            w.target.services[1].is_by_name = is_by_name;
            let mut other = readable(tcp((CLIENT, 50_000), (OTHER, 902)), "ftp");
            other.class = class;
            w.add(other);
        })
    };
    let judgement = to_another(true, Class::Cleartext);
    let reason = &judgement.row(NoBypass).unwrap().reasons[0];
    assert_eq!((judgement.verdict, reason.code), (Inconclusive, "service-may-be-elsewhere"));
    assert!(reason.text.contains("suspect") && !reason.uids.is_empty(), "{reason:?}");
    // Its addresses are written down; what is spoken there is neither readable nor its protocol.
    assert_eq!(to_another(false, Class::Cleartext).verdict, Pass);
    assert_eq!(to_another(true, Class::Opaque).verdict, Pass);
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
        w.window.excluded.push(own.record.id);
        w.add(own.clone());
    });
    assert_eq!(judgement.verdict, Pass);
    assert_eq!(judgement.scope.last().unwrap().role, Role::Excluded);
    let judgement = with(live(), |w| {
        w.window.excluded.push(own.record.id);
        let mut other = own.clone();
        other.record.id.orig.port = 50_001;
        w.add(other);
    });
    assert_eq!(judgement.outcome(NoBypass), Broken);
}

#[test]
fn a_readable_conn_is_none_of_our_own_whatever_is_said_of_its_ends() {
    let judgement = with(live(), |w| {
        let direct = readable(tcp((CLIENT, 50_000), (MAIL, 2151)), "blitzmail");
        w.window.excluded.push(direct.record.id);
        w.add(direct);
    });
    assert_eq!(judgement.verdict, Fail);
    assert_eq!(judgement.outcome(NoBypass), Broken);
    assert_eq!(judgement.outcome(NoCleartext), Broken);
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

#[test]
fn somebody_elses_conn_is_unproven_where_no_address_of_its_family_is_known_of_the_client() {
    let judgement = with(recorded(), |w| {
        w.add(tcp(("2001:db8::10", 50_000), (MAIL, 2151)));
    });
    only(&judgement, NoBypass, Unproven, "client-incomplete");
    let judgement = with(recorded(), |w| {
        w.target.clients.push(ip("fe80::10"));
        w.add(tcp(("2001:db8::10", 50_000), (MAIL, 2151)));
    });
    only(&judgement, NoBypass, Unproven, "client-incomplete");
    let judgement = with(recorded(), |w| {
        w.target.clients.push(ip("2001:db8::99"));
        w.add(tcp(("2001:db8::10", 50_000), (MAIL, 2151)));
    });
    assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
}

#[test]
fn every_address_of_this_machine_is_the_clients_live() {
    let judgement = with(live(), |w| {
        w.target.clients = vec![ip(CLIENT)];
        w.add(tcp(("2001:db8::10", 50_000), (MAIL, 2151)));
    });
    only(&judgement, NoBypass, Broken, "bypass");
}

#[test]
fn an_exemption_with_an_address_is_not_widened_by_a_name() {
    let judgement = with(live(), |w| {
        w.target.exempts.push(Exempt {
            name: "news".to_owned(),
            host: "newshost".to_owned(),
            port: Some(902),
            addresses: vec![ip(OTHER)],
            reason: "public".to_owned(),
        });
        w.names.push(NameAnswer { name: "newshost".to_owned(), address: ip(MAIL), at: at(3) });
        w.add(tcp((CLIENT, 50_000), (MAIL, 902)));
    });
    assert_eq!(judgement.outcome(NoBypass), Broken);
}

/// Lets a tunnel between two hosts carry the conn.
fn carried(mut conn: ConnSummary, one: &str, other: &str) -> ConnSummary {
    conn.record.carriage = Some(Box::new(Carriage {
        layers: [Layer::plain("gre")].into(),
        outer: [(ip(one), ip(other))].into(),
    }));
    conn
}

#[test]
fn a_direct_conn_inside_a_readable_tunnel_is_broken_and_says_so() {
    let judgement = with(recorded(), |w| {
        w.add(carried(
            readable(tcp((CLIENT, 50_000), (MAIL, 902)), "dnd"),
            "192.0.2.1",
            "192.0.2.2",
        ));
    });
    assert_eq!(judgement.outcome(NoBypass), Broken);
    assert!(judgement.why.contains("inside gre"), "{}", judgement.why);
}

#[test]
fn somebody_in_a_tunnel_of_the_clients_is_unproven_even_where_the_client_is_named() {
    for (one, other) in [(CLIENT, "192.0.2.2"), ("192.0.2.2", CLIENT)] {
        let judgement = with(live(), |w| {
            w.add(carried(tcp(("172.16.0.1", 50_000), (MAIL, 902)), one, other));
        });
        only(&judgement, NoBypass, Unproven, "client-incomplete");
    }
    let judgement = with(live(), |w| {
        w.add(carried(tcp(("172.16.0.1", 50_000), (MAIL, 902)), "192.0.2.1", "192.0.2.2"));
    });
    assert_eq!(judgement.outcome(NoBypass), Holds);
}

#[test]
fn what_is_readable_in_a_tunnel_between_client_and_gateway_is_in_scope_whatever_its_own_addresses()
{
    for (one, outcome) in [(CLIENT, Broken), ("192.0.2.1", Holds)] {
        let judgement = with(live(), |w| {
            let inner = readable(tcp(("172.16.0.1", 50_000), ("172.16.0.2", 80)), "http1");
            w.add(carried(inner, one, GATEWAY));
        });
        assert_eq!(judgement.outcome(NoCleartext), outcome, "{one}");
    }
}

#[test]
fn an_answer_never_exempts_a_service_or_the_gateway_under_another_name() {
    let judged = |port: Option<u16>, host: &str, server: (&str, u16)| {
        with(live(), |w| {
            w.target.exempts.push(Exempt {
                name: "news".to_owned(),
                host: host.to_owned(),
                port,
                addresses: Vec::new(),
                reason: "public".to_owned(),
            });
            w.names.push(NameAnswer {
                name: "newshost".to_owned(),
                address: ip(server.0),
                at: at(3),
            });
            w.add(readable(tcp((CLIENT, 50_000), server), "pop3"));
        })
        .verdict
    };
    assert_eq!(judged(Some(902), "newshost", (MAIL, 902)), Fail);
    assert_eq!(judged(None, "newshost", (MAIL, 4000)), Fail);
    assert_eq!(judged(None, "newshost", (GATEWAY, 4000)), Fail);
    assert_eq!(judged(Some(1119), "newshost", (MAIL, 1119)), Pass, "a port of a shared machine");
    assert_eq!(judged(Some(1119), "newshost", (GATEWAY, 1119)), Pass, "likewise");
    assert_eq!(judged(None, MAIL, (MAIL, 4000)), Pass, "the target itself names the address");
}
