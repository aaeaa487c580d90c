use super::{A, F, Heard, Limits, R, S, Talk, client, server};
use crate::flow::{AHEAD, ConnKey};
use crate::model::{Encapsulation, Endpoint, Layer, Proto};

fn end(host: u8, port: u16) -> Endpoint {
    Endpoint { ip: [10, 0, 0, host].into(), port }
}

#[test]
fn datagrams_are_one_chunk_each_with_offsets_that_add_up() {
    let mut talk = Talk::new();
    let (asker, name_server) = (end(5, 40_000), end(1, 53));
    talk.udp(asker, name_server, b"one");
    talk.udp(name_server, asker, b"answer");
    talk.udp(asker, name_server, b"");
    talk.udp(asker, name_server, b"two");
    let heard = talk.only();
    assert_eq!(heard.chunks[0], [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(heard.resp(), "answer");
    assert_eq!(heard.record().frames, 4);
}

#[test]
fn a_datagram_from_a_service_port_was_sent_by_resp() {
    let mut talk = Talk::new();
    talk.udp(end(1, 2154), end(5, 40_000), b"mail");
    let heard = talk.only();
    assert_eq!(heard.id.resp, end(1, 2154));
    assert_eq!(heard.resp(), "mail");
}

#[test]
fn a_cut_datagram_has_a_gap_behind_it() {
    let mut talk = Talk::new();
    talk.cut = 3;
    talk.udp(end(5, 40_000), end(1, 53), b"one");
    talk.cut = 0;
    talk.udp(end(5, 40_000), end(1, 53), b"two");
    assert_eq!(talk.only().orig(), "one...two");
}

#[test]
fn the_same_ports_by_another_protocol_are_another_conn() {
    let mut talk = Talk::new();
    talk.udp(client(), server(), b"u");
    talk.c(S, 1, 0, "");
    talk.push(client(), server(), Proto::ICMP, None, b"i");
    assert_eq!(talk.finish().0.conns.len(), 3);
}

#[test]
fn addresses_of_ipv6_are_told_apart() {
    let mut talk = Talk::new();
    let end = |last: u16| Endpoint { ip: [0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into(), port: 7 };
    talk.udp(end(1), end(2), b"a");
    talk.udp(end(2), end(1), b"b");
    talk.udp(end(1), end(3), b"c");
    let (recorder, _) = talk.finish();
    assert_eq!(recorder.conns.len(), 2);
    assert_eq!(recorder.conns[0].resp(), "b");
}

#[test]
fn an_endpoint_that_talks_to_itself_is_harmless() {
    let mut talk = Talk::new();
    talk.tcp(client(), client(), S, 1, 0, b"");
    talk.tcp(client(), client(), A, 2, 2, b"land");
    assert_eq!(talk.only().orig(), "land");
}

#[test]
fn a_silent_datagram_conn_goes_on_for_as_long_as_there_is_room() {
    let mut talk = Talk::new();
    for wait in [0, 299_000, 301_000, 86_400_000] {
        talk.millis += wait;
        talk.udp(client(), server(), b"a");
    }
    assert_eq!(talk.only().orig(), "aaaa");
}

#[test]
fn a_datagram_conn_that_leaves_for_room_is_evicted_unless_it_was_silent_long() {
    for (wait, evicted) in [(299_000, true), (301_000, false)] {
        let mut talk = Talk::with(Limits { max_datagram: 1, ..Limits::default() });
        talk.udp(client(), server(), b"a");
        talk.millis += wait;
        talk.udp(end(9, 1), server(), b"b");
        talk.udp(client(), server(), b"c");
        let (recorder, coverage) = talk.finish();
        assert_eq!(recorder.conns[0].record().evicted, evicted);
        assert_eq!(recorder.conns[2].record().conflict_bytes, [u64::from(evicted), 0]);
        assert_eq!(coverage.conns_evicted, 1 + u64::from(evicted));
    }
}

#[test]
fn a_silent_tcp_conn_stays() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ");
    talk.millis += 86_400_000;
    talk.c(A, 1006, 5001, "chris");
    assert_eq!(talk.only().orig(), "USER chris");
}

#[test]
fn a_closed_conn_takes_stray_segments_for_a_while() {
    let mut talk = Talk::new();
    talk.handshake();
    talk.c(F | A, 1001, 5001, "");
    talk.s(F | A, 5001, 1002, "");
    talk.millis += 20_000;
    talk.s(F | A, 5001, 1002, "");
    talk.millis += 20_000;
    talk.c(A, 1002, 5002, "");
    assert_eq!(talk.recorder.conns.len(), 1);
    talk.millis += 40_000;
    talk.udp(end(1, 1), end(2, 2), b"time passes");
    assert!(talk.recorder.conns[0].record.is_some());
    assert_eq!(talk.finish().1.midstream_conns, 0);
}

#[test]
fn a_conn_that_goes_on_after_its_end_is_noticed_however_many_were_closed_since() {
    let mut talk = Talk::new();
    let last = 20_000;
    for number in 0..=last {
        let from =
            Endpoint { ip: std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), port: 4000 };
        talk.tcp(from, server(), S, 1, 0, b"");
        talk.tcp(from, server(), A, 2, 1, b"Jo");
        talk.tcp(server(), from, S | A, 0, 2, b"");
        talk.tcp(from, server(), F | A, 4, 1, b"");
        talk.tcp(server(), from, F | A, 1, 5, b"");
    }
    talk.millis += 40_000;
    for number in [0, last] {
        let from =
            Endpoint { ip: std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), port: 4000 };
        talk.tcp(from, server(), A, 5, 2, b"hn");
    }
    let (recorder, _) = talk.finish();
    let goes_on = |heard: &&Heard| heard.orig() == "hn" && heard.record().conflict_bytes[0] > 0;
    assert_eq!(recorder.conns.iter().filter(goes_on).count(), 2);
}

#[test]
fn what_is_expected_changes_nothing_whether_it_comes_or_not() {
    // More conns than a table has from which it is worth while; some leave for others, and go on.
    let hosts = 6000_u32;
    let from = |host: u32| Endpoint {
        ip: std::net::Ipv4Addr::from(0x0a00_0000 + host % hosts).into(),
        port: 4000,
    };
    let limits = Limits { max_closed: 50, max_datagram: 4500, ..Limits::default() };
    let all = |expects: bool| {
        let mut talk = Talk::with(limits);
        for host in 0..2 * hosts {
            if expects {
                let soon = (host..).step_by(7).take(AHEAD).map(|soon| {
                    let proto = if soon % 3 == 0 { Proto::TCP } else { Proto::UDP };
                    ConnKey::between(from(soon), server(), proto)
                });
                talk.table.expect(&soon.collect::<Vec<_>>(), &talk.recorder);
            }
            if host % 9 == 0 {
                talk.tcp(from(host), server(), S, 1, 0, b"");
                talk.tcp(from(host), server(), A, 2, 1, b"Jo");
                talk.tcp(server(), from(host), S | A, 0, 2, b"");
                talk.tcp(from(host), server(), F | A, 4, 1, b"");
                talk.tcp(server(), from(host), F | A, 1, 5, b"");
            } else {
                talk.udp(from(host), server(), b"Jo");
            }
        }
        assert!(talk.table.is_large());
        let (recorder, coverage) = talk.finish();
        (format!("{:?}", recorder.conns), coverage)
    };
    let (plain, expected) = (all(false), all(true));
    assert!(plain == expected);
    assert!(plain.1.conns_evicted > 0);
}

#[test]
fn closed_conns_linger_up_to_a_number() {
    let mut talk = Talk::with(Limits { max_closed: 3, ..Limits::default() });
    let close = |talk: &mut Talk, port| {
        talk.tcp(end(9, port), server(), S, 1, 0, b"");
        talk.tcp(server(), end(9, port), S | A, 1, 2, b"");
        talk.tcp(end(9, port), server(), F | A, 2, 2, b"Jo");
        talk.tcp(server(), end(9, port), F | A, 2, 5, b"");
    };
    (1..=5).for_each(|port| close(&mut talk, port));
    let ended = talk.recorder.conns.iter().filter(|it| it.record.is_some()).count();
    assert_eq!(ended, 2);
    // One that was let go is remembered, SYN or not; one that lingers takes what comes.
    talk.tcp(end(9, 1), server(), A, 5, 2, b"hn");
    talk.tcp(end(9, 2), server(), S, 4, 0, b"");
    talk.tcp(end(9, 2), server(), A, 5, 2, b"hn");
    talk.tcp(end(9, 5), server(), F | A, 2, 2, b"Jo");
    let (recorder, coverage) = talk.finish();
    assert_eq!((recorder.conns.len(), coverage.conns_evicted), (7, 0));
    let conflicts: Vec<u64> =
        recorder.conns.iter().map(|it| it.record().conflict_bytes[0]).collect();
    assert_eq!(conflicts, [0, 0, 0, 0, 0, 1, 1]);
}

#[test]
fn conns_that_hold_too_much_leave_and_are_noticed_when_they_go_on() {
    let mut talk = Talk::with(Limits { state_bytes_total: 3000, ..Limits::default() });
    talk.recorder.held = 500;
    talk.tcp(end(9, 1), server(), S, 1, 0, b"");
    talk.handshake();
    talk.c(A, 1001, 5001, "Jo");
    for port in 1..=4 {
        talk.udp(end(8, port), server(), b"Jo");
    }
    // Those without payload leave first, then datagrams, then streams.
    let left = |talk: &Talk| -> Vec<usize> {
        let conns = talk.recorder.conns.iter().enumerate();
        conns.filter(|(_, it)| it.record.is_some()).map(|(at, _)| at).collect()
    };
    assert_eq!(left(&talk), [0, 2, 3]);
    talk.udp(end(8, 1), server(), b"hn");
    talk.recorder.held = 3000;
    talk.c(A, 1003, 5001, "hn");
    talk.recorder.held = 0;
    talk.c(A, 1005, 5001, "son");
    let (recorder, coverage) = talk.finish();
    let marks: Vec<_> = recorder
        .conns
        .iter()
        .map(|it| (it.orig(), it.record().evicted, it.record().conflict_bytes[0]))
        .collect();
    let is = |text: &str, evicted, conflict| (text.to_owned(), evicted, conflict);
    assert_eq!(
        marks,
        [
            is("", true, 0),
            is("John", true, 0),
            is("Jo", true, 0),
            is("Jo", true, 0),
            is("Jo", true, 0),
            is("Jo", true, 0),
            is("hn", true, 1),
            is("son", false, 1),
        ]
    );
    assert_eq!(coverage.conns_evicted, 7);
}

#[test]
fn the_conn_that_speaks_stays_where_all_others_spoke_since_they_were_looked_at() {
    let mut talk = Talk::with(Limits { max_datagram: 3, ..Limits::default() });
    for text in [b"a", b"b"] {
        (1..=3).for_each(|port| talk.udp(end(9, port), server(), text));
    }
    talk.udp(end(9, 4), server(), b"c");
    let (recorder, _) = talk.finish();
    let evicted: Vec<bool> = recorder.conns.iter().map(|it| it.record().evicted).collect();
    assert_eq!(evicted, [true, false, false, false]);
}

#[test]
fn a_reset_conn_leaves_uncounted_before_others_and_is_noticed_when_it_goes_on() {
    let mut talk = Talk::with(Limits { max_conns: 2, ..Limits::default() });
    talk.handshake();
    talk.c(A, 1001, 5001, "Jo");
    talk.s(R, 5001, 0, "");
    talk.tcp(end(9, 1), server(), S, 1, 0, b"");
    talk.tcp(end(9, 2), server(), S, 1, 0, b"");
    talk.c(A, 1003, 5001, "hn");
    let (recorder, coverage) = talk.finish();
    assert!(!recorder.conns[0].record().evicted);
    assert_eq!(coverage.conns_evicted, 1, "one without payload, for the one that goes on");
    assert_eq!(recorder.conns[3].record().conflict_bytes, [1, 0]);
}

#[test]
fn a_time_that_goes_back_ends_nothing() {
    let mut talk = Talk::new();
    talk.millis = 1_000_000;
    talk.udp(client(), server(), b"a");
    talk.millis = 0;
    talk.udp(client(), server(), b"b");
    talk.millis = 1_000_000;
    talk.udp(client(), server(), b"c");
    assert_eq!(talk.only().orig(), "abc");
}

#[test]
fn a_full_table_gives_up_conns_without_payload_first_and_counts_them() {
    let mut talk = Talk::with(Limits { max_conns: 4, ..Limits::default() });
    talk.handshake();
    talk.c(A, 1001, 5001, "USER ");
    for port in 1000..1010 {
        talk.tcp(end(9, port), server(), S, 1, 0, b"");
    }
    talk.c(A, 1006, 5001, "chris");
    let (recorder, coverage) = talk.finish();
    assert_eq!(recorder.conns[0].orig(), "USER chris");
    assert_eq!(coverage.conns_evicted, 7);
    assert!(recorder.conns[1].record().evicted);
    assert!(!recorder.conns[10].record().evicted);
}

#[test]
fn a_full_table_lets_closed_conns_go_uncounted() {
    let mut talk = Talk::with(Limits { max_conns: 4, ..Limits::default() });
    for port in 1000..1010 {
        talk.tcp(end(9, port), server(), S, 1, 0, b"");
        talk.tcp(server(), end(9, port), R | A, 0, 2, b"");
    }
    let (recorder, coverage) = talk.finish();
    assert_eq!((recorder.conns.len(), coverage.conns_evicted), (10, 0));
}

#[test]
fn the_conn_that_was_silent_longest_leaves_first() {
    let mut talk = Talk::with(Limits { max_conns: 3, ..Limits::default() });
    for port in [1, 2, 3] {
        talk.udp(end(9, port), server(), b"a");
    }
    talk.udp(end(9, 1), server(), b"b");
    talk.udp(end(9, 4), server(), b"c");
    let (recorder, coverage) = talk.finish();
    assert_eq!(coverage.conns_evicted, 1);
    assert!(recorder.conns[1].record().evicted);
}

#[test]
fn what_waits_behind_holes_is_bounded_and_what_it_costs_is_a_gap() {
    let limits = Limits { out_of_order_bytes: 10_000, ..Limits::default() };
    let mut talk = Talk::with(limits);
    talk.handshake();
    for at in 0..1000_u32 {
        talk.c(A, 1002 + 2 * at, 5001, "x");
    }
    assert!(talk.recorder.conns[0].gaps[0].len() > 850);
    assert!(talk.table.held().waiting <= 10_000);
    let heard = talk.only();
    assert_eq!(heard.record().missed_bytes, [1000, 0]);
}

#[test]
fn tails_are_bounded_and_those_of_silent_conns_are_forgotten() {
    let limits = Limits { tail_bytes_total: 64 << 10, ..Limits::default() };
    let mut talk = Talk::with(limits);
    let block = vec![b'x'; 4000];
    for port in 0..200 {
        talk.tcp(end(9, port), server(), S, 0, 0, b"");
        talk.tcp(end(9, port), server(), A, 1, 0, &block);
    }
    // The last conn can still compare, the first can not.
    talk.tcp(end(9, 199), server(), A, 1, 0, &block);
    assert!(talk.recorder.conns[199].alternates[0].is_empty());
    talk.tcp(end(9, 0), server(), A, 1, 0, &block);
    assert_eq!(talk.table.coverage().conflict_bytes, 4000);
    assert!(talk.table.held().tails <= 64 << 10);
    assert_eq!(talk.finish().0.conns[0].alternates[0].len(), 1);
}

#[test]
fn a_conn_is_small() {
    assert!(
        size_of::<super::super::conn::Conn>() <= 248,
        "{}",
        size_of::<super::super::conn::Conn>()
    );
}

#[test]
fn equal_ends_in_two_numbered_networks_are_two_conns_and_in_two_tunnels_one() {
    for (is_network, conns) in [(true, 3), (false, 1)] {
        let mut talk = Talk::new();
        talk.handshake();
        for id in [1, 2, 1] {
            talk.encap = Encapsulation::NONE;
            let layer = Layer::numbered("tunnel", id);
            let push = if is_network { Encapsulation::push_network } else { Encapsulation::push };
            assert!(push(&mut talk.encap, layer));
            talk.c(A, 1001, 5001, "USER");
        }
        talk.encap = Encapsulation::NONE;
        talk.c(A, 1005, 5001, "");
        let heard = talk.finish().0.conns;
        assert_eq!(heard.len(), conns);
        let carried = heard.iter().filter(|it| it.record().carriage.is_some()).count();
        assert_eq!(carried, conns - 1, "the first segment says what carried a conn");
    }
}
