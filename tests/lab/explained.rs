//! A bypass that the check found is explained: whose it was, what sent it there, when, and what to do.

use crate::check::{Answer, FAIL, PASS, list, run, run_with, start};
use crate::target::TargetFile;
use crate::world::{Host, MAIL, Server, has, lab};
use serde_json::Value;
use std::process::Stdio;

const ROOT: &str = "root@10.77.0.20";
const THROUGH: &str = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";
/// A client that stays a moment.
const SHELL: &str =
    "bash -c 'exec 3<>/dev/tcp/10.77.1.30/902; read -r -t 5 line <&3; sleep 0.2; : hunter2' client";

/// The explanations of the first target.
fn bypasses(answer: &Answer) -> Vec<Value> {
    let json = answer.json();
    let found = list(&json["targets"][0]["bypasses"]).to_vec();
    assert!(!found.is_empty(), "no bypass is explained: {}", answer.told());
    found
}

fn has_lead(bypass: &Value, code: &str, what: &str) {
    let leads = list(&bypass["leads"]);
    let found =
        leads.iter().any(|it| it["code"] == code && it["text"].as_str().unwrap().contains(what));
    assert!(found, "no lead {code} that tells {what:?}: {bypass:#}");
}

fn holder(bypass: &Value) -> &Value {
    let process = &bypass["process"];
    list(&process["holders"]).first().unwrap_or_else(|| panic!("nobody is named: {bypass:#}"))
}

#[test]
fn the_process_and_the_hosts_line_behind_a_bypass_are_named() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let answer = run_with(world, &config, &[], SHELL).expect(FAIL);
    let found = bypasses(&answer);
    let bypass = &found[0];
    assert_eq!(bypass["service"], "dnd");
    assert_eq!(bypass["phase"], "up");
    assert!(bypass["since_window_ms"].as_i64().unwrap() >= 0);
    assert_eq!(bypass["process"]["confidence"], "certain", "{bypass:#}");
    let holder = holder(bypass);
    assert_eq!(holder["name"], "bash");
    assert!(holder["exe"].as_str().unwrap().ends_with("/bash"));
    assert_eq!(holder["user"], "root");
    has_lead(bypass, "hosts-line", "/etc/hosts line 3");
    let remedy = bypass["remedy"].to_string();
    assert!(
        remedy.contains("hosts dasher --apply") && remedy.contains("quit bash (pid "),
        "{remedy}"
    );
    // A command line may hold a password.
    assert!(!found.iter().any(|it| it.to_string().contains("hunter2")));
    let shown = run_with(world, &config, &["--show-secrets"], SHELL).expect(FAIL);
    assert!(bypasses(&shown)[0].to_string().contains("hunter2"));
}

#[test]
fn a_short_lived_client_is_looked_for_when_its_first_frame_is_seen() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let line = "for i in 1 2 3 4 5 6; do bash -c 'exec 3<>/dev/tcp/10.77.1.30/902; read -r -t 5 line <&3; sleep 0.03'; done";
    let found = bypasses(&run_with(world, &config, &[], line).expect(FAIL));
    assert_eq!(found.len(), 6);
    let named = found.iter().filter(|it| !list(&it["process"]["holders"]).is_empty()).count();
    assert!(named >= 4, "{named} of 6 were named: {found:#?}");
    let quick = "for i in 1 2 3 4 5 6; do $T lab user dnd@10.77.1.30:902; done";
    let quick = bypasses(&run_with(world, &config, &[], quick).expect(FAIL));
    let known = |it: &&Value| !list(&it["process"]["holders"]).is_empty();
    // They live for some milliseconds: on a busy machine one may be gone.
    assert!(quick.iter().filter(known).count() >= 2, "{quick:#?}");
    // Whoever was not is said to be unknown, with the reason.
    for it in found.iter().filter(|it| list(&it["process"]["holders"]).is_empty()) {
        assert_eq!(it["process"]["confidence"], "none");
        assert!(!it["process"]["method"].as_str().unwrap().is_empty());
    }
}

#[test]
fn the_answer_of_a_name_server_on_the_wire_is_named() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _names = world.part(
        Host::Gateway,
        &["name-server", "--at", "10.77.0.20:53", "--name", "dasher.dartmouth.edu=10.77.1.30"],
    );
    let line = "exec 3<>/dev/tcp/dasher.dartmouth.edu/2151; sleep 0.2; true";
    let resolver = "nameserver 10.77.0.20\noptions timeout:1 attempts:1\n";
    let answer = world.with_client_file("resolv.conf", resolver, || {
        world.with_client_hosts("127.0.0.1 localhost\n127.0.0.1 dnd.dartmouth.edu\n", || {
            run_with(world, &config, &[], line).expect(FAIL)
        })
    });
    let found = bypasses(&answer);
    has_lead(&found[0], "dns-answer", "dasher.dartmouth.edu with 10.77.1.30");
    has_lead(
        &found[0],
        "machine-name",
        "name server 10.77.0.20 sends there on this machine: dasher.dartmouth.edu",
    );
    assert_eq!(holder(&found[0])["name"], "bash");
}

#[test]
fn a_dnd_reply_that_names_a_host_is_named_and_so_again_from_the_recording() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let record = world.at("explained.pcapng").display().to_string();
    let steps = "$T lab user dnd@10.77.1.30:902 wait@50 blitzmail@10.77.1.30:2151";
    let mail =
        |answer: &Answer| bypasses(answer).into_iter().find(|it| it["service"] == "mail").unwrap();
    let first = run_with(world, &config, &["--record", &record], steps).expect(FAIL);
    has_lead(&mail(&first), "dnd-reply", "dasher.Dartmouth.EDU");
    let again = run(world, &config, &["--expect-encrypted", "dasher", "-r", &record]).expect(FAIL);
    has_lead(&mail(&again), "dnd-reply", "dasher.Dartmouth.EDU");
    assert_eq!(mail(&again)["process"], Value::Null, "a recording asks no machine");
    assert_eq!(mail(&again)["phase"], "up");
}

#[test]
fn a_client_from_before_the_capture_is_named_and_told_to_be_started_again() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut client = world.on(Host::Client, "bash");
    let talk = "exec 3<>/dev/tcp/10.77.1.30/2151; while sleep 0.2; do echo 'NOOP' >&3; done";
    let client = Server::of(client.args(["-c", talk]).stdout(Stdio::null()).spawn().unwrap());
    std::thread::sleep(std::time::Duration::from_millis(500));
    let answer = run_with(world, &config, &[], &format!("{THROUGH}; sleep 0.5")).expect(FAIL);
    let found = bypasses(&answer);
    let bypass = &found[0];
    assert_eq!(bypass["midstream"], true);
    assert!(
        list(&bypass["leads"])
            .iter()
            .any(|it| it["code"] == "open-before" || it["code"] == "hosts-line")
    );
    assert_eq!(holder(bypass)["name"], "bash");
    let remedy = bypass["remedy"].to_string();
    assert!(remedy.contains("quit bash (pid "), "{remedy}");
    let pid = holder(bypass)["pid"].as_u64().unwrap();
    world.sh(Host::Client, &format!("kill {pid}"));
    drop(client);
    std::thread::sleep(std::time::Duration::from_millis(300));
    run_with(world, &config, &[], THROUGH).expect(PASS);
}

#[test]
fn a_real_mail_client_beside_the_tunnel_is_named() {
    let Some((world, _one)) = lab() else { return };
    if !has("curl") {
        return;
    }
    let config = TargetFile::builtin(world, "dasher", ROOT)
        .service("pop", "pop3", "dasher.dartmouth.edu", 110, "listen = \"127.0.0.1:2003\"")
        .write(world);
    let line = "for i in 1 2 3; do curl -s pop3://jsmith:sleigh-bells@dasher.dartmouth.edu/ >/dev/null; done";
    let found = bypasses(&run_with(world, &config, &[], line).expect(FAIL));
    assert_eq!(found.len(), 3);
    let curl = found.iter().find(|it| !list(&it["process"]["holders"]).is_empty()).unwrap();
    assert_eq!(holder(curl)["name"], "curl");
    assert_eq!(curl["process"]["confidence"], "certain");
    // Its command line holds the password.
    assert!(!found.iter().any(|it| it.to_string().contains("sleigh-bells")));
}

#[test]
fn a_datagram_beside_the_tunnel_is_explained() {
    let Some((world, _one)) = lab() else { return };
    let file = TargetFile::blitzmail(world, ROOT);
    let config = file.service("notify", "notify", "dasher.dartmouth.edu", 2154, "").write(world);
    let line = "exec 3<>/dev/udp/10.77.1.30/2154; echo hello >&3; sleep 0.2; true";
    let answer = run_with(world, &config, &[], line).expect(FAIL);
    let found = bypasses(&answer);
    assert_eq!((&found[0]["service"], &found[0]["proto"]), (&"notify".into(), &"udp".into()));
    assert_eq!(holder(&found[0])["name"], "bash");
    assert!(found[0]["remedy"].to_string().contains("ssh cannot carry UDP"));
}

#[test]
fn the_text_tells_who_and_what_to_do() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut command = world.on(Host::Client, world.program());
    command.args(["-q", "--config"]).arg(&config);
    command.args(["--expect-encrypted", "dasher", "--", "bash", "-c", SHELL]);
    let output = command.output().unwrap();
    let page = crate::world::text(&output.stdout);
    assert_eq!(output.status.code(), Some(FAIL), "{page}");
    for words in [
        "Where the bypass came from",
        "by bash (pid ",
        "sent there by: /etc/hosts line 3",
        "remedy: ",
    ] {
        assert!(page.contains(words), "{words:?} is not in {page}");
    }
    assert!(page.contains(MAIL));
}

#[test]
fn nothing_is_explained_where_nothing_was_bypassed() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut running = start(world, &config, &["--expect-encrypted", "dasher", "--for", "2s"]);
    running.await_window();
    world.user(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"]);
    let answer = running.end().expect(PASS);
    assert!(list(&answer.json()["targets"][0]["bypasses"]).is_empty());
}
