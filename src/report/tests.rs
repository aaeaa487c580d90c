//! The forms of the same few judgements.

use super::*;
use crate::model::*;
use crate::verdict::fixture::{self, World};
use proptest::prelude::*;

fn document(world: &World) -> Document<'_> {
    let facts = Facts {
        tool_version: "0.1.0".to_owned(),
        created: None,
        inputs: vec!["run.pcapng".to_owned()],
        command: Some(CommandRun {
            line: "fetchmail -u JSmith".to_owned(),
            status: "exit status 0".to_owned(),
        }),
        recorded_to: None,
    };
    Document::new(facts, &[(&world.case(), &world.judge())])
}

fn written(world: &World, format: Format, options: &Options) -> String {
    let mut out = Vec::new();
    write(&document(world), format, options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn flows(world: &World, format: Format, options: &Options) -> String {
    let mut out = Vec::new();
    let mut writer = FlowsWriter::new(format, options, &mut out).unwrap();
    for conn in &world.conns {
        writer.conn(conn).unwrap();
    }
    writer.finish(&world.raw_hits, &world.coverage).unwrap();
    String::from_utf8(out).unwrap()
}

const SHOW: Options = Options { show_secrets: true, color: false, width: 100, verbose: false };

/// A mail session beside a good tunnel.
fn leaking() -> World {
    let mut world = fixture::live();
    let stream = b"220 DND server here.\r\nUSER jsmith\r\nPASS hunter2\r\n";
    let mut pop = fixture::readable(
        fixture::tcp((fixture::CLIENT, 50_000), (fixture::MAIL, 2151)),
        "blitzmail",
    );
    let hit = |rule, field, value: &str, at: usize| Hit {
        offset: at as u64,
        excerpt: Excerpt::around(stream, at, value.len()),
        dialect: Some("blitzmail"),
        ..fixture::hit(rule, Some(field), value)
    };
    pop.hits = vec![
        hit(Rule::Banner, Field::GREETING, "220 DND server here.", 0),
        hit(Rule::Credential, Field::USERNAME, "jsmith", 27),
        Hit { field: None, ..hit(Rule::Identifier, Field::USERNAME, "jsmith", 27) },
        hit(Rule::Credential, Field::PASSWORD, "hunter2", 40),
    ];
    pop.remarks.push("a\u{1b}[2J remark".to_owned());
    world.add(pop);
    world
}

/// A client that fell back while the tunnel was cut, watched from two places.
fn disrupted() -> World {
    let mut world = leaking();
    let time = fixture::time;
    let stretch = |stage, what: &str, start, end| Stretch {
        stage,
        what: what.to_owned(),
        start: time(start),
        end: time(end),
        frames: 250,
    };
    world.window.stretches = vec![
        stretch(Stage::Before, "", 0, 2),
        stretch(Stage::Up, "", 2, 9),
        stretch(Stage::Disrupted, "cut", 9, 13),
        stretch(Stage::Down, "the tunnel was lost\u{1b}[2J", 13, 14),
    ];
    world.window.disruptions = vec![Disruption {
        step: "cut".to_owned(),
        what: "the connection was ended".to_owned(),
        done: true,
        start: time(9),
        end: time(13),
        tries: Vec::new(),
        not_undone: None,
    }];
    world.interfaces.push(InterfaceRecord {
        name: "root@\u{202e}snooper:eth0".to_owned(),
        vantage: Some(Vantage::Remote),
        ..world.interfaces[0].clone()
    });
    let vantage = |name: &str, id, clock_ahead_ns| VantageRecord {
        name: name.to_owned(),
        interfaces: vec![id],
        remote: id > 0,
        lost: None,
        clock_ahead_ns,
    };
    world.window.vantages = vec![
        vantage("this machine", 0, 0),
        vantage("root@\u{202e}snooper:eth0", 1, -3_600_123_000_000),
    ];
    world
}

/// A run that nobody used, with loss.
fn lossy() -> World {
    let mut world = fixture::recorded();
    world.tunnel_conn().sealed_turns = 10;
    world.tunnel_conn().sealed_bytes = [2_000, 2_000];
    world.coverage.undecoded(Weird::UnknownEtherType(0x88e5));
    world.coverage.drops = Drops::Known(7);
    world
}

#[test]
fn text_of_a_fail() {
    insta::assert_snapshot!(written(&leaking(), Format::Text, &Options::default()));
}

#[test]
fn text_of_a_pass() {
    insta::assert_snapshot!(written(&fixture::live(), Format::Text, &Options::default()));
}

#[test]
fn text_of_an_inconclusive() {
    insta::assert_snapshot!(written(&lossy(), Format::Text, &Options::default()));
}

#[test]
fn json_of_a_fail() {
    insta::assert_snapshot!(written(&leaking(), Format::Json, &Options::default()));
}

#[test]
fn ndjson_of_an_inconclusive() {
    insta::assert_snapshot!(written(&lossy(), Format::Ndjson, &Options::default()));
}

#[test]
fn text_of_a_disrupted_run() {
    insta::assert_snapshot!(written(&disrupted(), Format::Text, &Options::default()));
}

#[test]
fn a_disrupted_run_is_told_in_every_form_without_a_character_that_moves_the_cursor() {
    for format in [Format::Text, Format::Json, Format::Ndjson, Format::Junit] {
        let said = written(&disrupted(), format, &Options::default());
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
        if format != Format::Junit {
            assert!(said.contains("disrupted: cut") && said.contains("leaked"), "{said}");
        }
    }
    let json: serde_json::Value =
        serde_json::from_str(&written(&disrupted(), Format::Json, &Options::default())).unwrap();
    let target = &json["targets"][0];
    assert_eq!(target["vantages"][1]["clock_ahead_s"], -3600.123);
    assert_eq!(target["disruptions"][0]["verdict"], "leaked");
    assert_eq!(target["phases"][2]["phase"], "disrupted: cut");
    let evidence = target["evidence"].as_array().unwrap();
    assert!(!evidence.is_empty() && evidence.iter().all(|it| it["phase"] == "disrupted: cut"));
}

#[test]
fn junit_of_a_fail() {
    insta::assert_snapshot!(written(&leaking(), Format::Junit, &Options::default()));
}

#[test]
fn junit_of_an_inconclusive() {
    insta::assert_snapshot!(written(&lossy(), Format::Junit, &Options::default()));
}

#[test]
fn flows_as_text_and_lines() {
    insta::assert_snapshot!("flows_text", flows(&leaking(), Format::Text, &Options::default()));
    insta::assert_snapshot!("flows_ndjson", flows(&leaking(), Format::Ndjson, &Options::default()));
}

#[test]
fn no_form_shows_a_secret_unless_asked() {
    let world = leaking();
    for format in [Format::Text, Format::Json, Format::Ndjson, Format::Junit] {
        let hidden = written(&world, format, &Options::default()).to_lowercase();
        for secret in ["jsmith", "hunter2", "6a73 6d69", "6875 6e74"] {
            assert!(!hidden.contains(secret), "{format:?} shows {secret}\n{hidden}");
        }
        assert!(written(&world, format, &SHOW).contains("hunter2"), "{format:?}");
        for format in [Format::Text, Format::Json, Format::Ndjson] {
            assert!(!flows(&world, format, &Options::default()).contains("hunter2"));
            assert!(flows(&world, format, &SHOW).contains("hunter2"));
        }
    }
}

#[test]
fn the_words_of_the_protocol_show() {
    let text = written(&leaking(), Format::Text, &Options::default());
    assert!(text.contains("USER #####") && text.contains("220 DND server"), "{text}");
}

#[test]
fn no_form_sends_a_control_to_the_terminal() {
    let mut world = leaking();
    world.target.name = "das\u{1b}[31mher\u{202e}".to_owned();
    world.target.services[0].name = "ma\u{9b}il<&>".to_owned();
    world.conns.last_mut().unwrap().agreement = Some(Agreement {
        version: "SSH-2.0-\u{1b}]0;x\u{7}".to_owned(),
        kex: "\u{200b}".to_owned(),
        cipher: ["none\u{1b}".to_owned(), "none".to_owned()],
        mac: [String::new(), String::new()],
        real: false,
        weak: vec![],
    });
    for options in [Options::default(), SHOW] {
        for format in [Format::Text, Format::Json, Format::Ndjson, Format::Junit] {
            let text = written(&world, format, &options);
            assert!(!text.chars().any(|c| c != '\n' && escape::is_unsafe(c)), "{format:?}\n{text}");
        }
        for format in [Format::Text, Format::Json, Format::Ndjson] {
            let text = flows(&world, format, &options);
            assert!(!text.chars().any(|c| c != '\n' && escape::is_unsafe(c)), "{format:?}\n{text}");
        }
    }
}

#[test]
fn colour_comes_only_where_asked_for() {
    let color = Options { color: true, ..Options::default() };
    assert!(written(&leaking(), Format::Text, &color).contains("\x1b[1;31mFAIL dasher"));
    assert!(!written(&leaking(), Format::Text, &Options::default()).contains('\x1b'));
}

#[test]
fn the_lines_of_flows_keep_the_contract() {
    let mut world = leaking();
    world.raw_hits.push(fixture::identifier());
    let text = flows(&world, Format::Ndjson, &Options::default());
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, conns) = lines.split_last().unwrap();
    assert_eq!(conns.len(), world.conns.len());
    for conn in conns {
        let keys: Vec<_> = conn.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys[..15],
            [
                "type",
                "uid",
                "proto",
                "orig",
                "resp",
                "dialect",
                "class",
                "basis",
                "frames",
                "orig_bytes",
                "resp_bytes",
                "missed_bytes",
                "start",
                "duration_s",
                "findings"
            ]
        );
        assert_eq!(conn["type"], "conn");
    }
    let pop = conns.last().unwrap();
    assert_eq!(pop["orig"], serde_json::json!({"ip": "10.77.0.10", "port": 50_000}));
    assert_eq!(pop["duration_s"], 20.0);
    assert_eq!(
        pop["findings"][1],
        serde_json::json!({"rule": "credential", "field": "username", "length": 6, "dialect": "blitzmail",
            "dir": "orig", "offset": 27, "frame": 12, "encoding": "ascii"})
    );
    assert_eq!(pop["findings"][2]["label"], "username");
    let keys: Vec<_> = last.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys[..6],
        ["type", "frames", "undecoded", "truncated_frames", "missed_bytes", "drops"]
    );
    assert_eq!((&last["type"], &last["drops"]), (&"coverage".into(), &"none".into()));
    assert_eq!(last["raw_findings"][0]["rule"], "identifier");
}

#[test]
fn drops_are_said_as_none_unknown_or_a_number() {
    let drops = |drops, interface_drops, channel_dropped| {
        let coverage = Coverage { drops, interface_drops, channel_dropped, ..Coverage::default() };
        parts::CoverageBody::of(&coverage).drops
    };
    assert_eq!(drops(Drops::Known(0), Drops::Known(0), 0), "none");
    assert_eq!(drops(Drops::Unknown, Drops::Unknown, 0), "unknown");
    assert_eq!(drops(Drops::Known(3), Drops::Unknown, 0), "3");
    assert_eq!(drops(Drops::Unknown, Drops::Known(2), 1), "3");
}

#[test]
fn the_worst_verdict_is_that_of_the_document() {
    let (good, bad) = (fixture::live(), leaking());
    let (one, two) = (good.judge(), bad.judge());
    let doc = Document::new(Facts::default(), &[(&good.case(), &one), (&bad.case(), &two)]);
    assert_eq!(doc.verdict(), Some(Verdict::Fail));
    let mut out = Vec::new();
    write(&doc, Format::Text, &Options::default(), &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().ends_with("FAIL over all targets\n"));
    assert_eq!(Document::new(Facts::default(), &[]).verdict(), None);
}

#[test]
fn an_output_that_is_full_is_an_error_and_a_closed_one_says_so() {
    struct Full(std::io::ErrorKind);
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    use std::io::ErrorKind::{BrokenPipe, StorageFull};
    for format in [Format::Text, Format::Json, Format::Ndjson, Format::Junit] {
        for kind in [BrokenPipe, StorageFull] {
            let world = leaking();
            let doc = document(&world);
            let error = write(&doc, format, &Options::default(), &mut Full(kind)).unwrap_err();
            assert_eq!(error.is_broken_pipe(), kind == BrokenPipe, "{format:?}");
            assert_eq!(error.remedy().is_some(), kind == StorageFull, "{format:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_width_gives_a_report(width: u16, verbose: bool, color: bool) {
        let options = Options { width, verbose, color, show_secrets: false };
        let text = written(&leaking(), Format::Text, &options);
        prop_assert!(text.contains("no-bypass"));
    }
}
