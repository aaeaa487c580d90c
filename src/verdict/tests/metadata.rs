//! The claim `metadata`.

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
