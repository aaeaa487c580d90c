//! The claim `no-identifier`.

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

/// An identifier of three letters, expected `chance` times by chance, with these octets around it.
fn short(chance: f64, before: &str, after: &str) -> Hit {
    let mut hit = identifier();
    hit.chance = Some(chance);
    hit.excerpt.bytes = format!("{before}woz{after}").into_bytes();
    (hit.excerpt.start, hit.excerpt.len) = (before.len(), 3);
    hit
}

fn opaque_with(hit: Hit) -> Judgement {
    with(recorded(), |w| {
        let mut talk = tcp((OTHER, 50_000), ("192.0.2.1", 7070));
        talk.class = Class::Opaque;
        talk.hits.push(hit);
        w.add(talk);
    })
}

#[test]
fn a_short_hit_that_stands_in_a_text_is_broken() {
    let judgement = opaque_with(short(0.4, "; login name = ", ", password: sleigh"));
    only(&judgement, NoIdentifier, Broken, "identifier");
    let judgement = with(recorded(), |w| {
        let mut hit = short(0.4, "; login name = ", ", password: sleigh");
        hit.in_ciphertext = true;
        w.tunnel_conn().hits.push(hit);
    });
    only(&judgement, NoIdentifier, Broken, "identifier");
    let judgement = with(recorded(), |w| {
        w.raw_hits.push(short(0.4, "; login name = ", ", password: sleigh"));
    });
    only(&judgement, NoIdentifier, Broken, "identifier");
}

#[test]
fn a_short_hit_in_a_few_octets_is_unproven() {
    let judgement = opaque_with(short(0.4, "user ", "\r\n"));
    only(&judgement, NoIdentifier, Unproven, "chance-unclear");
}

#[test]
fn a_short_hit_outside_of_streams_that_chance_may_explain_is_unproven() {
    let judgement = with(recorded(), |w| w.raw_hits.push(short(0.4, "\0", "\0")));
    only(&judgement, NoIdentifier, Unproven, "chance-unclear");
    let judgement = with(recorded(), |w| w.raw_hits.push(short(0.001, "\0", "\0")));
    only(&judgement, NoIdentifier, Broken, "identifier");
}

#[test]
fn a_short_hit_among_the_keys_of_a_handshake_is_unproven() {
    let judgement = with(recorded(), |w| w.tunnel_conn().hits.push(short(0.4, "\0", "\0")));
    only(&judgement, NoIdentifier, Unproven, "chance-unclear");
    let judgement =
        with(recorded(), |w| w.tunnel_conn().hits.push(short(0.4, "mail.", ".example")));
    only(&judgement, NoIdentifier, Broken, "identifier");
}
