//! The control.

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
        w.control.tokens.retain(|token| token.path == ControlPath::Tunnel);
        w.sightings.clear();
        w.conns.truncate(1);
    });
    spoiled(&judgement, "control-not-seen");
    let judgement = with(live(), |w| {
        w.interfaces.clear();
        w.control.tokens.retain(|token| token.path == ControlPath::Tunnel);
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
fn seen_on_another_interface_is_inconclusive_where_that_one_has_its_own() {
    let judgement = with(live(), |w| {
        w.interfaces.push(w.interfaces[0].clone());
        let own = w.control.tokens.iter().filter(|it| it.path == ControlPath::Clear);
        for token in own.cloned().collect::<Vec<_>>() {
            let text = format!("{}-1", token.token);
            let mut sighting = w.sightings[0].clone();
            sighting.token.clone_from(&text);
            sighting.interface_id = 1;
            w.sightings.push(sighting);
            w.control.tokens.push(ControlToken { interface_id: 1, token: text, ..token });
        }
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
