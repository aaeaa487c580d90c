//! The command line as a user meets it: exit status, messages, formats, what is never written.

use crate::captures::junit;
use crate::program::{Ran, run, run_in};
use serde_json::Value;
use std::fs;
use std::path::Path;

const FORMATS: [&str; 4] = ["text", "json", "ndjson", "junit"];

/// Runs in `captures/`, where `targets.toml` and the captures are.
fn there(arguments: &[&str]) -> Ran {
    run_in(Path::new("captures"), arguments, b"")
}

/// Judges captures for a target of `targets.toml`.
fn judge(target: &str, files: &[&str], more: &[&str]) -> Ran {
    let head = ["--config", "targets.toml", "--expect-encrypted", target, "-r"];
    there(&[&head[..], files, more].concat())
}

#[test]
fn a_capture_of_somebody_else_does_not_excuse_an_unfinished_recording_beside_it() {
    for files in [
        &["own-run-unclosed.pcapng", "empty.pcap"][..],
        &["empty.pcap", "own-run-unclosed.pcapng"],
        &["empty.pcap", "own-run-unclosed.pcapng", "empty.pcap"],
    ] {
        let ran = judge("own", files, &["--format", "json"]);
        assert_eq!(ran.status, 3, "{files:?}");
        assert!(ran.out.contains("recording-not-closed"), "{files:?}");
    }
}

#[test]
fn wrong_usage_is_status_2_and_help_is_0() {
    for wrong in [
        &["--no-such-flag"][..],
        &[],
        &["--expect-encrypted"],
        &["-r", "captures/empty.pcap"],
        &["flows"],
        &["suite"],
        &["target", "show"],
        &["no-such-command"],
        &["--format", "morse", "flows", "captures/empty.pcap"],
        &["--format", "junit", "flows", "captures/empty.pcap"],
        &["--format", "json", "target", "list"],
        &["--expect-encrypted", "dasher", "flows", "captures/empty.pcap"],
        &["--expect-encrypted", "dasher", "--accept-host-key", "yes"],
        &["--expect-encrypted", "dasher", "-r", "captures/empty.pcap", "--for", "5s"],
        &["--expect-encrypted", "dasher", "--for", "soon"],
        &["target", "init", "carrier-pigeon", "--file", "-"],
        &["hosts", "dasher"],
        &["hosts", "--show"],
        &["hosts", "dasher", "--apply", "--revert"],
        &["hosts", "no-such-target", "--apply", "--hosts-file", "Cargo.toml"],
        &["hosts", "dasher", "--revert", "--hosts-file", "/nowhere/hosts"],
        &["--format", "junit", "hosts", "dasher", "--revert", "--hosts-file", "/nowhere/hosts"],
        &["tunnel"],
        &["tunnel", "no-such-target"],
        &["tunnel", "dasher", "--status", "--print-unit", "systemd"],
        &["tunnel", "dasher", "--print-unit", "upstart"],
        &["tunnel", "dasher", "--accept-host-key", "yes"],
        &["--format", "junit", "tunnel", "dasher", "--status"],
    ] {
        let ran = run(wrong);
        assert_eq!(ran.status, 2, "{wrong:?}: {}{}", ran.out, ran.err);
        assert!(ran.out.is_empty(), "{wrong:?}: {}", ran.out);
        assert!(!ran.err.is_empty(), "{wrong:?}");
    }
    for right in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["help"],
        &["flows", "--help"],
        &["suite", "-h"],
    ] {
        let ran = run(right);
        assert_eq!(ran.status, 0, "{right:?}: {}", ran.err);
        assert!(ran.out.contains("tunnelcheck") || ran.out.contains("Usage"), "{right:?}");
        assert!(ran.err.is_empty(), "{right:?}: {}", ran.err);
    }
}

#[test]
fn an_unknown_target_is_status_2_with_what_to_do() {
    let ran = judge("no-such-target", &["empty.pcap"], &[]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("no-such-target"), "{}", ran.err);
    assert!(ran.err.contains("remedy: "), "{}", ran.err);
    assert!(ran.out.is_empty(), "{}", ran.out);
}

#[test]
fn what_is_no_capture_is_status_2_and_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, octets) in [
        ("notes.pcap", &b"These are the notes of the meeting about the sleigh list.\n"[..]),
        ("nothing.pcap", b""),
        ("short.pcap", &[0xd4, 0xc3, 0xb2]),
        ("broken.pcap.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 0, 3, 0xff, 0xff, 0xff]),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, octets).unwrap();
        let path = path.display().to_string();
        for ran in [judge("dasher", &[&path], &[]), there(&["flows", &path])] {
            assert_eq!(ran.status, 2, "{name}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains(name), "{name}: {}", ran.err);
            assert!(ran.out.is_empty(), "{name}: {}", ran.out);
        }
    }
    for missing in ["/nowhere/at/all.pcap", "/"] {
        let ran = judge("dasher", &[missing], &[]);
        assert_eq!(ran.status, 2, "{}", ran.err);
        assert!(ran.err.contains(missing), "{}", ran.err);
    }
    let ran = run_in(Path::new("captures"), &["flows", "-"], b"no capture");
    assert_eq!(ran.status, 2, "{}", ran.err);
}

/// A document without the names of its inputs.
fn document(ran: &Ran) -> Value {
    let mut document: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    document["source"]["inputs"] = Value::Null;
    document
}

#[test]
fn a_capture_says_the_same_by_every_door() {
    let plain = judge("dasher", &["ssh-notify.pcap"], &["--format", "json"]);
    assert_eq!(plain.status, 1);
    let octets = fs::read("captures/ssh-notify.pcap").unwrap();
    let arguments =
        ["--config", "targets.toml", "--expect-encrypted", "dasher", "-r", "-", "--format", "json"];
    let piped = run_in(Path::new("captures"), &arguments, &octets);
    assert_eq!(document(&piped), document(&plain));

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, octets).unwrap();
        path.display().to_string()
    };
    let zstd = write("notify.pcap.zst", &zstd(&octets));
    let by_zstd = judge("dasher", &[&zstd], &["--format", "json"]);
    assert_eq!(document(&by_zstd), document(&plain), "{}", by_zstd.err);

    // Two files as a rolling capture leaves them: the second begins in the middle of the conn.
    let half = octets.len() / 2;
    let mut cut = 24;
    while cut < half {
        let len = u32::from_le_bytes(octets[cut + 8..cut + 12].try_into().unwrap());
        cut += 16 + len as usize;
    }
    let first = write("notify.pcap0", &octets[..cut]);
    let second = write("notify.pcap1", &[&octets[..24], &octets[cut..]].concat());
    let by_two = judge("dasher", &[&first, &second], &["--format", "json"]);
    assert_eq!(by_two.status, 1, "{}", by_two.err);
    let (two, one) = (document(&by_two), document(&plain));
    assert_eq!(two["coverage"], one["coverage"]);
    assert_eq!(two["targets"][0]["claims"], one["targets"][0]["claims"]);
    // The second alone says less: the beginning is missing.
    let alone = judge("dasher", &[&second], &["--format", "json"]);
    assert_eq!(alone.status, 1, "{}", alone.err);
}

/// A zstd frame of one raw block. RFC 8878 s3.1.1.
fn zstd(octets: &[u8]) -> Vec<u8> {
    let len = u32::try_from(octets.len()).unwrap();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&(len << 3 | 1).to_le_bytes()[..3]);
    frame.extend_from_slice(octets);
    frame
}

#[test]
fn the_worst_verdict_decides_the_exit_status() {
    let both = |a: &str, b: &str, file: &str| {
        there(&[
            "--config",
            "targets.toml",
            "--expect-encrypted",
            a,
            "--expect-encrypted",
            b,
            "-r",
            file,
        ])
    };
    assert_eq!(both("dasher", "elsewhere", "ssh-blitzmail.pcap").status, 3);
    assert_eq!(both("elsewhere", "dasher", "ssh-notify.pcap").status, 1);
    assert_eq!(judge("dasher", &["ssh-blitzmail.pcap"], &[]).status, 0);
}

#[test]
fn a_capture_gives_the_same_octets_twice() {
    for format in FORMATS {
        let once = judge("dasher", &["two-links.pcapng"], &["--format", format]);
        let twice = judge("dasher", &["two-links.pcapng"], &["--format", format]);
        assert_eq!(once.out, twice.out, "{format}");
    }
}

#[test]
fn every_format_is_well_formed() {
    for (file, status) in [("ssh-blitzmail.pcap", 0), ("ssh-notify.pcap", 1), ("empty.pcap", 3)] {
        for format in FORMATS {
            let ran = judge("dasher", &[file], &["--format", format]);
            assert_eq!(ran.status, status, "{file} {format}: {}", ran.err);
            is_well_formed(format, &ran.out);
        }
    }
    for format in FORMATS {
        let ran = there(&["flows", "pop3-direct.pcap", "--format", format]);
        assert!(ran.status == 0 || format == "junit", "{format}: {}", ran.err);
        is_well_formed(format, &ran.out);
    }
}

fn is_well_formed(format: &str, text: &str) {
    match format {
        "json" => drop(serde_json::from_str::<Value>(text).unwrap()),
        "ndjson" => {
            for line in text.lines() {
                assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{line}");
            }
        }
        "junit" if !text.is_empty() => drop(junit(text)),
        _ => assert!(!text.contains('\u{1b}'), "{text:?}"),
    }
}

#[test]
fn the_report_goes_to_the_file_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let name = path.display().to_string();
    let ran = judge("dasher", &["ssh-notify.pcap"], &["--format", "json", "--output", &name]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    let plain = judge("dasher", &["ssh-notify.pcap"], &["--format", "json"]);
    assert_eq!(fs::read_to_string(path).unwrap(), plain.out);
    let ran = judge("dasher", &["ssh-notify.pcap"], &["--output", "/nowhere/report"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("/nowhere/report"), "{}", ran.err);
}

/// What the captures' users would not want to read in a report: names, folders, passwords, answers to challenges.
const SECRETS: [&str; 6] = [
    "jsmith",
    "John Smith",
    "Reindeer Games",
    "sleigh-bells",
    "144167311017116244231155",
    "dTpKb2huIFNtaXRoOnA",
];

/// The secrets that a text shows: as they are, or as the hex of a dump.
fn shown(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase();
    let packed: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    let hex = |secret: &str| data_encoding::HEXLOWER.encode(secret.as_bytes());
    SECRETS
        .into_iter()
        .filter(|secret| lower.contains(&secret.to_lowercase()) || packed.contains(&hex(secret)))
        .collect()
}

#[test]
fn no_report_shows_a_secret_unless_it_is_asked_for() {
    let mut wrong = Vec::new();
    for (target, file) in [
        ("dasher", "blitzmail-direct.pcap"),
        ("dasher", "ssh-notify.pcap"),
        ("dasher", "stale-padding.pcap"),
        ("dasher", "name-base64.pcap"),
        ("dasher", "name-split.pcap"),
        ("dasher", "two-links.pcapng"),
        ("incoming-mail", "pop3-direct.pcap"),
        ("outgoing-mail", "smtp-pgp.pcap"),
        ("pop3s-997", "tls-null.pcap"),
        ("pop3-stls", "stls-refused.pcap"),
        ("dasher-2222", "ssh-none.pcap"),
    ] {
        for format in FORMATS {
            let verbose: &[&str] = &["--format", format, "-v"];
            let ran = judge(target, &[file], verbose);
            let flows = there(&["flows", file, "--format", format]);
            for (what, text) in [("judged", &ran.out), ("said", &ran.err), ("flows", &flows.out)] {
                let seen = shown(text);
                if !seen.is_empty() {
                    wrong.push(format!("{file} {format} {what}: {seen:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (format, secret) in
        [("text", "jsmith"), ("json", "sleigh-bells"), ("ndjson", "sleigh-bells")]
    {
        let ran =
            judge("incoming-mail", &["pop3-direct.pcap"], &["--format", format, "--show-secrets"]);
        assert!(shown(&ran.out).contains(&secret), "{format}: {}", ran.out);
    }
}

#[test]
fn identifiers_of_the_command_line_are_searched_and_not_shown() {
    let more = ["--identifier", "sleigh list", "--format", "json"];
    let ran = judge("dasher", &["blitzmail-direct.pcap"], &more);
    assert_eq!(ran.status, 1);
    assert!(!ran.out.to_lowercase().contains("sleigh list"), "{}", ran.out);
    assert!(ran.out.contains("\"identifier\""), "{}", ran.out);
}

/// MISSION section 5.1.
#[test]
fn flows_keeps_its_contract() {
    for file in
        ["pop3-direct.pcap", "ssh-notify.pcap", "clear-gap.pcap", "tls-null.pcap", "empty.pcap"]
    {
        for secrets in [false, true] {
            let more: &[&str] = if secrets { &["--show-secrets"] } else { &[] };
            let ran = there(&[&["flows", file, "--format", "ndjson"][..], more].concat());
            assert_eq!(ran.status, 0, "{}", ran.err);
            let lines: Vec<Value> =
                ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let (coverage, conns) = lines.split_last().unwrap();
            check_coverage(coverage);
            let mut last = String::new();
            for (index, conn) in conns.iter().enumerate() {
                assert_eq!(conn["uid"], format!("C{}", index + 1));
                let start = conn["start"].as_str().unwrap().to_owned();
                assert!(start >= last && start.ends_with('Z'), "{start} after {last}");
                last = start;
                check_conn(conn, secrets);
            }
        }
    }
}

fn check_coverage(coverage: &Value) {
    assert_eq!(coverage["type"], "coverage");
    for key in ["frames", "truncated_frames", "missed_bytes"] {
        assert!(coverage[key].is_u64(), "{key}: {coverage}");
    }
    assert!(coverage["undecoded"].is_object(), "{coverage}");
    let drops = &coverage["drops"];
    assert!(drops == "none" || drops == "unknown" || drops.is_u64(), "{coverage}");
}

fn check_conn(conn: &Value, secrets: bool) {
    assert_eq!(conn["type"], "conn");
    for end in ["orig", "resp"] {
        assert!(conn[end]["ip"].as_str().unwrap().parse::<std::net::IpAddr>().is_ok(), "{conn}");
        assert!(conn[end]["port"].is_u64(), "{conn}");
    }
    let one_of = |key: &str, words: &[&str]| {
        assert!(conn[key].as_str().is_some_and(|word| words.contains(&word)), "{key}: {conn}");
    };
    one_of("proto", &["tcp", "udp", "icmp", "icmpv6"]);
    one_of("class", &["encrypted", "cleartext", "upgraded", "opaque", "empty"]);
    one_of("basis", &["handshake", "grammar", "readable", "random", "none"]);
    for key in ["frames", "orig_bytes", "resp_bytes", "missed_bytes"] {
        assert!(conn[key].is_u64(), "{key}: {conn}");
    }
    assert!(conn["duration_s"].is_number(), "{conn}");
    assert!(conn["dialect"].is_string() || conn["dialect"].is_null(), "{conn}");
    for finding in conn["findings"].as_array().unwrap() {
        let rule = finding["rule"].as_str().unwrap();
        let rules = ["identifier", "credential", "content", "banner", "metadata", "weak-crypto"];
        assert!(rules.contains(&rule), "{finding}");
        if rule == "credential" {
            let fields = ["username", "password", "community", "token", "cookie", "nick"];
            assert!(fields.contains(&finding["field"].as_str().unwrap()), "{finding}");
        }
        assert!(finding["dir"] == "orig" || finding["dir"] == "resp", "{finding}");
        assert!(finding["offset"].is_u64() && finding["frame"].is_u64(), "{finding}");
        assert!(finding["encoding"].is_string(), "{finding}");
        assert_eq!(finding.get("value").is_some(), secrets, "{finding}");
        assert!(secrets || finding["length"].is_u64(), "{finding}");
    }
}

#[test]
fn flows_finds_who_signed_on_and_where() {
    let ran = there(&["flows", "pop3-direct.pcap", "--format", "ndjson", "--show-secrets"]);
    let conn: Value = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    assert_eq!((&conn["dialect"], &conn["class"]), (&"pop3".into(), &"cleartext".into()));
    assert_eq!(conn["resp"]["port"], 110);
    let find = |field: &str| {
        conn["findings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["field"] == field)
            .unwrap()
    };
    let user = find("username");
    assert_eq!((&user["rule"], &user["value"]), (&"credential".into(), &"jsmith".into()));
    assert_eq!(
        (&user["dir"], &user["offset"], &user["frame"]),
        (&"orig".into(), &5.into(), &6.into())
    );
    assert_eq!(find("password")["value"], "sleigh-bells");
}
