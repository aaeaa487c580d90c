//! What a person or another program writes: target files, manifests, ssh_config, known_hosts, the words in a recording.

use crate::judged::{file, frames, plan};
use crate::script::Script;
use std::path::Path;
use tunnelcheck::hosts::{self, Alias, HostsError};
use tunnelcheck::model::{Drops, Frame, InterfaceRecord, LinkType, Timestamp, Verdict};
use tunnelcheck::run::{find_cases, judge_recording};
use tunnelcheck::source::{Losses, Recorder};
use tunnelcheck::target::{
    Environment, Overrides, Plan, TargetError, list, load, parse_target_value,
};
use tunnelcheck::tunnel::door;

/// Octets of a text.
const MAX_TEXT: usize = 1 << 14;

fn environment() -> Environment {
    let mut environment = Environment::of_home(Path::new("/nonexistent"), "jsmith");
    environment.hostname = Some("laptop.example.net".to_owned());
    environment
}

fn bounded(octets: &[u8]) -> &[u8] {
    &octets[..octets.len().min(MAX_TEXT)]
}

/// The refusal in words, remedy and all.
fn refused(error: &TargetError) -> Vec<String> {
    vec![error.to_string(), error.remedy().unwrap_or_default()]
}

fn known(plan: &Plan) -> Vec<String> {
    assert!(
        plan.target.services.iter().all(|service| service.port > 0),
        "a service without a port"
    );
    assert!(
        plan.target.identifiers.iter().all(|it| !it.text.trim().is_empty()),
        "an empty identifier"
    );
    vec![format!("{plan:?}")]
}

/// A target file: every target in it is loaded, or refused with a line and a remedy. Twice the same.
pub fn target_file(octets: &[u8]) {
    let path = file("tunnelcheck.toml", bounded(octets));
    let overrides = Overrides { config: Some(path), ..Overrides::default() };
    let environment = environment();
    let names = match list(&overrides, &environment) {
        Ok(listed) => listed.into_iter().map(|one| one.name).take(4).collect(),
        Err(error) => {
            let _ = refused(&error);
            vec!["dasher".to_owned()]
        }
    };
    for name in names {
        let load = || match load(&name, &overrides, &environment) {
            Ok(plan) => known(&plan),
            Err(error) => refused(&error),
        };
        assert_eq!(load(), load(), "the same target twice");
    }
    if let Ok(text) = str::from_utf8(octets) {
        let _ = parse_target_value(text, Path::new("case.toml"), "case", &environment);
    }
}

/// `[host name: run][ssh_config]`.
pub fn ssh_config(octets: &[u8]) {
    let mut script = Script(bounded(octets));
    let name = String::from_utf8_lossy(script.run()).into_owned();
    let text = script.rest();
    // What a file includes is another file: nothing of this machine is read.
    if text.to_ascii_lowercase().windows(7).any(|word| word == b"include") {
        return;
    }
    let path = file("ssh_config", text);
    let overrides = Overrides { ssh_config: Some(path), ..Overrides::default() };
    let environment = environment();
    let mut names = match list(&overrides, &environment) {
        Ok(listed) => listed.into_iter().map(|one| one.name).take(3).collect(),
        Err(error) => {
            let _ = refused(&error);
            Vec::new()
        }
    };
    names.push(name);
    for name in names {
        let load = || match load(&name, &overrides, &environment) {
            Ok(plan) => known(&plan),
            Err(error) => refused(&error),
        };
        assert_eq!(load(), load(), "the same host twice");
    }
}

/// `[host name: run][port][known_hosts]`. Every line is an entry, or counted as bad, or empty, or a comment.
pub fn known_hosts(octets: &[u8]) {
    let mut script = Script(bounded(octets));
    let name = String::from_utf8_lossy(script.run()).into_owned();
    let port = if script.u8() & 1 == 0 { 22 } else { script.u16() };
    let text = script.rest();
    let found = door::known_hosts(text, &name, port);
    let lines = text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    let spoken = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).count();
    assert_eq!(
        found.entries as u64 + found.bad_lines,
        spoken as u64,
        "a line is neither read nor counted"
    );
    assert!(found.matching <= found.entries);
    let upper = door::known_hosts(text, &name.to_ascii_uppercase(), port);
    assert_eq!(found.matching, upper.matching, "names of hosts have no case");
}

/// `[target: run][hosts file]`. What is put in is taken out again octet for octet, twice is once, and no line of somebody
/// else is lost.
pub fn hosts_file(octets: &[u8]) {
    let mut script = Script(bounded(octets));
    let target = String::from_utf8_lossy(script.run()).into_owned();
    let file = script.rest();
    let aliases = [
        Alias::new([127, 0, 0, 1].into(), "dasher.Dartmouth.EDU"),
        Alias::new([127, 0, 0, 2].into(), "dancer"),
    ];
    let taken = match hosts::take(file, &target) {
        Ok(taken) => taken,
        Err(error) => {
            assert!(error.remedy().is_some(), "{error}");
            assert!(hosts::put(file, &target, &aliases).is_err(), "put where nothing can be taken");
            return;
        }
    };
    assert_eq!(hosts::take(&taken, &target).expect("it was taken"), taken, "taken twice");
    match hosts::put(&taken, &target, &aliases) {
        Err(HostsError::Foreign { conflicts }) => assert!(!conflicts.is_empty()),
        Err(error) => panic!("it was taken, and cannot be put: {error}"),
        Ok(once) => {
            assert!(once.starts_with(&taken), "something in front of the block has changed");
            assert_eq!(
                hosts::put(&once, &target, &aliases).expect("it was put"),
                once,
                "put twice"
            );
            assert_eq!(hosts::take(&once, &target).expect("it was put"), taken, "not what it was");
            let state = hosts::state(&once, &target, &aliases).expect("it was put");
            assert_eq!(state, hosts::State::Applied);
        }
    }
}

/// A manifest of a suite.
pub fn manifest(octets: &[u8]) {
    let path = file("case.toml", bounded(octets));
    let find = || match find_cases(std::slice::from_ref(&path)) {
        Ok(cases) => vec![format!("{cases:?}")],
        Err(error) => vec![error.to_string(), error.remedy().unwrap_or_default()],
    };
    assert_eq!(find(), find(), "the same manifest twice");
}

/// `[head: run][tail]`: what a recording of our own says of itself. The frames are a session that passes, without a
/// control token: whatever the words are, a recording of our own in which no token is seen is never PASS.
pub fn annotation(octets: &[u8]) {
    let mut script = Script(bounded(octets));
    let head = String::from_utf8_lossy(script.run()).into_owned();
    let tail = String::from_utf8_lossy(script.rest()).into_owned();
    let interface = InterfaceRecord {
        name: "eth0".to_owned(),
        link_type: LinkType::ETHERNET,
        snaplen: 0,
        vantage: Some(tunnelcheck::model::Vantage::Wire),
    };
    let mut recorder = Recorder::create(Vec::new(), &[interface], &head, "tunnelcheck 0")
        .expect("a Vec takes everything");
    for (data, number) in frames().iter().zip(1..) {
        let frame = Frame {
            number,
            time: Timestamp::from_nanos(number as i64 * 1_000_000),
            interface_id: 0,
            link_type: LinkType::ETHERNET,
            len: data.len() as u32,
            data,
        };
        recorder.write(&frame).expect("a Vec takes everything");
    }
    let none = Drops::Known(0);
    let losses = Losses { drops: none, interface_drops: none, ..Losses::default() };
    let recording = recorder.finish(&[losses], &tail).expect("a Vec takes everything");
    let path = file("own.pcapng", &recording);
    let judge = || match judge_recording(vec![plan()], std::slice::from_ref(&path), false) {
        Ok(outcomes) => {
            let outcome = &outcomes[0];
            let seen = &outcome.analysis.inspection.sightings;
            assert!(
                outcome.judgement.verdict != Verdict::Pass || !seen.is_empty(),
                "PASS without a control token"
            );
            vec![format!("{:?}", outcome.judgement)]
        }
        Err(error) => vec![error.to_string()],
    };
    assert_eq!(judge(), judge(), "the same recording twice");
}
