//! `tunnelcheck diagnose` without root and without a network: the forms, the exit status, what may not be shown.

use crate::program::run_in;
use std::fs;
use std::path::Path;

const TARGET: &str = r#"
[target.here]
tunnel = "none"
[target.here.identifiers]
username = ["jsmith"]
[[target.here.service]]
name = "mail"
kind = "pop3"
host = "127.0.0.9"
port = 110

[target.notify]
gateway = "jsmith@127.0.0.1:1"
tunnel = "external"
[target.notify.identifiers]
username = ["jsmith"]
[[target.notify.service]]
name = "notify"
kind = "notify"
host = "127.0.0.9"
port = 2154
"#;

fn diagnose(folder: &Path, arguments: &[&str]) -> crate::program::Ran {
    fs::write(folder.join("tunnelcheck.toml"), TARGET).unwrap();
    let all: Vec<&str> = std::iter::once("diagnose").chain(arguments.iter().copied()).collect();
    run_in(folder, &all, b"")
}

#[test]
fn json_holds_every_check_and_the_gravest_outcome_decides_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let ran = diagnose(folder.path(), &["notify", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, &json["outcome"]), (1, &"cause".into()), "{}", ran.out);
    assert_eq!(json["schema_version"], 1);
    let checks = json["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|it| it["check"].as_str().unwrap()).collect();
    for name in [
        "order", "names", "mouths", "firewall", "gateway", "reach", "conns", "routes", "udp",
        "forwards", "clock",
    ] {
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    let udp = checks.iter().find(|it| it["code"] == "udp-not-carried").unwrap();
    assert!(udp["remedy"]["commands"][0].as_str().unwrap().starts_with("printf "), "{udp:#}");
}

#[test]
fn text_names_the_outcome_of_every_check_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let ran = diagnose(folder.path(), &["notify"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.starts_with("diagnosis of notify: "), "{}", ran.out);
    assert!(
        ran.out.contains("\ncause    udp: notify port 2154 [udp-not-carried]\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("         remedy: "), "{}", ran.out);
}

#[test]
fn a_target_without_a_tunnel_has_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let ran = diagnose(folder.path(), &["here"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert!(ran.out.starts_with("diagnosis of here: nothing wrong was found"), "{}", ran.out);
}

#[test]
fn other_forms_and_unknown_targets_could_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let ran = diagnose(folder.path(), &["here", "--format", "junit"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("text or json"), "{}", ran.err);
    assert_eq!(diagnose(folder.path(), &["nobody"]).status, 2);
}
