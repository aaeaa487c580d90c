//! The claim `no-cleartext`.

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
fn a_gap_in_which_a_conn_may_have_turned_to_tls_is_unproven() {
    let seen = |missing: u64, verbs: &[&str]| {
        with(recorded(), |w| {
            let mut mail = readable(tcp((CLIENT, 50_000), (GATEWAY, 110)), "pop3");
            mail.hits.push(hit(Rule::Banner, Some(Field::GREETING), "+OK ready"));
            for verb in verbs {
                mail.hits.push(hit(Rule::Banner, Some(Field::VERB), verb));
            }
            mail.record.history = "ShADadFf".to_owned();
            mail.record.missed_bytes = [missing, 0];
            mail.missed_in_clear = [missing, 0];
            w.add(mail);
        })
    };
    let row = |judgement: &Judgement| {
        judgement.rows.iter().find(|row| row.claim == NoCleartext).map(|row| row.outcome)
    };
    assert_eq!(row(&seen(6, &["CAPA"])), Some(Unproven));
    assert_eq!(seen(6, &["CAPA"]).verdict, Inconclusive);
    // Nothing is missing, or what is said shows that it goes on in the clear.
    assert_eq!(row(&seen(0, &["CAPA"])), Some(Broken));
    assert_eq!(row(&seen(6, &["CAPA", "LIST"])), Some(Broken));
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

/// A control datagram that no token of this case explains.
fn foreign_control() -> ConnSummary {
    let mut control = readable(conn(Proto::UDP, (CLIENT, 40_000), (GATEWAY, 9)), "control");
    control.record.frames = 1;
    control
}

#[test]
fn what_looks_like_a_control_and_goes_to_a_service_is_no_control() {
    let judgement = with(recorded(), |w| {
        let mut to_service = foreign_control();
        let service = &w.target.services[0];
        to_service.record.id.resp = Endpoint { ip: service.addresses[0], port: service.port };
        w.add(to_service);
    });
    assert_eq!(judgement.verdict, Fail, "{judgement:#?}");
}

#[test]
fn a_control_of_another_run_is_set_aside_and_said() {
    for world in [live(), recorded()] {
        let judgement = with(world, |w| {
            w.add(foreign_control());
        });
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
        assert!(judgement.notes.iter().any(|note| note.code == "control-of-another-run"));
    }
    let two = with(recorded(), |w| {
        let mut two = foreign_control();
        two.hits.push(hit(Rule::Content, Some(Field::TEXT), "x"));
        w.add(two);
    });
    only(&two, NoCleartext, Broken, "cleartext");
    let named = with(recorded(), |w| {
        let mut named = foreign_control();
        named.hits.push(identifier());
        w.add(named);
    });
    only(&named, NoIdentifier, Broken, "identifier");
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
    // What goes to a service is none.
    let judgement = with(live(), |w| {
        let mut fake = readable(conn(Proto::UDP, (CLIENT, 50_000), (MAIL, 2151)), "tftp");
        fake.is_control = true;
        let uid = w.add(fake);
        let mut sighting = w.sightings[0].clone();
        sighting.uid = Some(uid);
        w.sightings.push(sighting);
    });
    assert_eq!(judgement.outcome(NoBypass), Broken);
    // One that carries the tunnel's token too is none.
    let judgement = with(live(), |w| {
        let mut sighting = w.sightings[0].clone();
        sighting.token = "tunnel-during".to_owned();
        w.sightings.push(sighting);
    });
    assert_eq!(judgement.outcome(NoCleartext), Broken);
    assert_eq!(judgement.outcome(Carried), Broken);
}

#[test]
fn a_preamble_that_nobody_can_read_is_unproven() {
    let judgement = with(services(), |w| {
        for conn in &mut w.conns {
            conn.class = Class::Upgraded;
            conn.unread_preamble = 900;
        }
    });
    only(&judgement, NoCleartext, Unproven, "unread-preamble");
}

#[test]
fn what_does_not_follow_the_protocol_of_names_is_content() {
    let judged = |has_content: bool| {
        with(recorded(), |w| {
            let mut conn = readable(tcp((CLIENT, 50_000), (GATEWAY, 53)), "dns");
            if has_content {
                conn.hits.push(hit(Rule::Content, Some(Field::TEXT), "sleigh-bells"));
            }
            w.add(conn);
        })
    };
    assert_eq!(judged(false).verdict, Pass);
    assert_eq!(judged(true).outcome(NoCleartext), Broken);
}
