//! The claim `tunnel`.

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
    let judgement = with(live(), |w| w.tunnel.as_mut().unwrap().host_key.clear());
    only(&judgement, Tunnel, Unproven, "host-key-unverified");
}

#[test]
fn of_somebody_else_is_not_judged() {
    let judgement = with(recorded(), |w| w.target.tunnel = TunnelMode::External);
    assert_eq!(judgement.outcome(Tunnel), NotApplicable);
    assert_eq!(judgement.verdict, Pass);
}
