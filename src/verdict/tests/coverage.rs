//! What spoils a PASS.

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
fn what_acknowledgements_tell_of_loss_is_said_where_nobody_counted_drops() {
    for (acks, gaps, code) in
        [(0, 0, "too-little-traffic"), (7, 0, "no-loss-seen"), (7, 2, "loss-inferred")]
    {
        let judged = |mut world: World| {
            (world.coverage.acks, world.coverage.ack_gaps) = (acks, gaps);
            world.judge().notes.into_iter().map(|note| note.code).collect::<Vec<_>>()
        };
        assert!(judged(recorded()).contains(&code), "{acks} {gaps}");
        assert!(!judged(live()).contains(&code), "{acks} {gaps}");
    }
}

#[test]
fn a_conn_of_which_one_side_was_captured_is_said_to_be_so() {
    for (bytes, is_half) in [([9, 0], true), ([9, 1], false)] {
        let judgement = with(recorded(), |w| {
            let mut web = readable(tcp((OTHER, 50_000), ("192.0.2.1", 80)), "http");
            web.record.bytes = bytes;
            web.record.missed_bytes = [0, 20];
            web.missed_in_clear = [0, 20];
            w.add(web);
        });
        spoiled(&judgement, "gap");
        let gap = judgement.coverage.iter().find(|reason| reason.code == "gap").unwrap();
        assert_eq!(gap.text.contains("one side alone"), is_half, "{}", gap.text);
    }
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
fn a_cut_outside_of_payload_is_not_excused_by_what_ciphertext_lacks() {
    let judgement = with(recorded(), |w| {
        w.coverage.truncated_frames = 1;
        w.coverage.truncated_bytes = 700;
        w.coverage.truncated_elsewhere = 700;
        w.coverage.missed_bytes = 700;
        w.tunnel_conn().record.missed_bytes = [700, 0];
    });
    spoiled(&judgement, "truncated-frames");
}

#[test]
fn a_transport_that_is_not_put_together_spoils_a_pass() {
    let world = |proto: u8, class: Class, bytes: u64| {
        with(recorded(), |w| {
            let mut conn = conn(Proto(proto), (OTHER, 0), ("192.0.2.1", 0));
            conn.class = class;
            conn.record.bytes = [bytes, 0];
            w.add(conn);
        })
    };
    for proto in [33, 132, 136, 253] {
        spoiled(&world(proto, Class::Opaque, 20), "unread-transport");
        assert_eq!(world(proto, Class::Empty, 0).verdict, Pass);
    }
    spoiled(&world(50, Class::Cleartext, 200), "unread-transport");
    for proto in [1, 2, 50, 58, 89, 112] {
        assert_eq!(world(proto, Class::Opaque, 200).verdict, Pass);
    }
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
fn missing_octets_hide_nothing_only_where_a_real_cipher_and_the_class_agree() {
    let judged = |change: fn(&mut ConnSummary)| {
        with(recorded(), |w| {
            let mut conn = ssh(tcp((OTHER, 50_000), ("192.0.2.1", 22)));
            conn.record.missed_bytes = [0, 9_000];
            change(&mut conn);
            w.add(conn);
            w.coverage.missed_bytes = 9_000;
        })
    };
    assert_eq!(judged(|_| {}).verdict, Pass);
    spoiled(&judged(|conn| conn.class = Class::Opaque), "gap");
    spoiled(&judged(|conn| conn.agreement = None), "gap");
    spoiled(&judged(|conn| conn.agreement.as_mut().unwrap().real = false), "gap");
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
fn evictions_in_scope_spoil_a_pass() {
    spoiled(&with(recorded(), |w| w.tunnel_conn().record.evicted = true), "evicted");
    let judgement = with(live(), |w| {
        let mut other = readable(tcp((OTHER, 50_000), ("192.0.2.1", 80)), "http");
        other.record.evicted = true;
        w.add(other);
        w.coverage.conns_evicted = 1;
    });
    assert_eq!(judgement.verdict, Pass);
    assert!(judgement.notes.iter().any(|note| note.code == "evicted"));
}

#[test]
fn a_route_that_nobody_watched_spoils_a_pass() {
    let route = "the way to service mail (10.0.0.3) leaves by eth1";
    let judgement = with(live(), |w| w.coverage.unwatched_routes.push(route.to_owned()));
    spoiled(&judgement, "unwatched-route");
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

#[test]
fn a_body_in_scope_that_was_not_read_spoils_a_pass() {
    let conn = |change: fn(&mut ConnSummary)| with(recorded(), |w| change(w.tunnel_conn()));
    spoiled(&conn(|it| it.unread_bodies = 1), "unread-bodies");
    spoiled(&conn(|it| it.stopped_bodies = 1), "stopped-bodies");
}

#[test]
fn a_body_out_of_scope_that_was_not_read_is_said_and_spoils_nothing() {
    let judgement = with(recorded(), |w| {
        let mut other = w.tunnel_conn().clone();
        other.record.uid = Uid(77);
        other.record.id.resp.ip = "192.0.2.77".parse().unwrap();
        other.unread_bodies = 2;
        w.conns.push(other);
    });
    assert_eq!(judgement.verdict, Pass);
    assert!(judgement.notes.iter().any(|note| note.code == "unread-bodies"));
}
