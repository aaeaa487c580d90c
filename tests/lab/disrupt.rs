//! Something is taken away while the client works: does it fall back to cleartext? And the phases of the window.

use crate::check::{FAIL, INCONCLUSIVE, INTERRUPTED, PASS, list, run, run_with, start};
use crate::target::TargetFile;
use crate::world::{Host, World, lab};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::Duration;

const ROOT: &str = "root@10.77.0.20";
/// A client that asks at the mouth, again and again, and nowhere else.
const STEADFAST: &str =
    "for i in $(seq 60); do $T lab user dnd@127.0.0.1:902 >/dev/null 2>&1; sleep 0.3; done";
/// One that goes to the server where the mouth does not answer.
const FAITHLESS: &str = "for i in $(seq 60); do timeout 3 $T lab user dnd@127.0.0.1:902 >/dev/null 2>&1 || \
                         timeout 3 $T lab user dnd@10.77.1.30:902 >/dev/null 2>&1; sleep 0.3; done";
/// Names go to the mouths, as the first paper has it.
const ALIASES: &str =
    "127.0.0.1 localhost\n10.77.0.20 nimbus.dartmouth.edu\n127.0.0.1 dnd.dartmouth.edu dnd\n";

/// A window just long enough for the disruptions: they end it by a client that ends.
fn disrupted(world: &World, steps: &str, client: &str, more: &[&str]) -> crate::check::Answer {
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut options = vec!["--disrupt", steps, "--for", "1s"];
    if !more.contains(&"--disrupt-for") {
        options.extend(["--disrupt-for", "2s"]);
    }
    options.extend(more);
    run_with(world, &config, &options, client)
}

fn disruptions(json: &Value) -> Vec<(String, String)> {
    let rows = list(&json["targets"][0]["disruptions"]).iter();
    let word = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.map(|row| (word(row, "step"), word(row, "verdict"))).collect()
}

fn phases(json: &Value) -> Vec<String> {
    let rows = list(&json["targets"][0]["phases"]).iter();
    rows.map(|row| row["phase"].as_str().unwrap().to_owned()).collect()
}

fn pair(step: &str, verdict: &str) -> (String, String) {
    (step.to_owned(), verdict.to_owned())
}

#[test]
fn a_client_that_stays_with_the_mouth_passes_every_cut() {
    let Some((world, _one)) = lab() else { return };
    let answer = disrupted(world, "cut,reconnect,rekey,route", STEADFAST, &[]).expect(PASS);
    let answer = answer.claim("tunnel", "holds", "").claim("carried", "holds", "");
    let json = answer.json();
    let held = ["cut", "reconnect", "rekey", "route"].map(|step| pair(step, "held"));
    assert_eq!(disruptions(&json), held, "{}", answer.told());
    assert_eq!(
        phases(&json),
        [
            "before",
            "up",
            "disrupted: cut",
            "up",
            "disrupted: reconnect",
            "up",
            "rekey",
            "up",
            "disrupted: route",
            "up",
            "down"
        ],
        "{}",
        answer.told()
    );
    // Each frame lies in one of them, and the route is as it was.
    let frames: u64 =
        list(&json["targets"][0]["phases"]).iter().map(|row| row["frames"].as_u64().unwrap()).sum();
    assert_eq!(frames, json["coverage"]["frames"].as_u64().unwrap());
    assert!(!world.sh(Host::Client, "ip route").contains("unreachable"));
}

#[test]
fn a_client_that_falls_back_fails_and_the_moment_is_named() {
    let Some((world, _one)) = lab() else { return };
    let kept = world.at("disrupted.pcapng");
    let kept = kept.to_str().unwrap();
    let answer = disrupted(world, "cut", FAITHLESS, &["--record", kept])
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .claim("tunnel", "holds", "")
        .tells("in the phase \\\"disrupted: cut\\\"");
    let json = answer.json();
    assert_eq!(disruptions(&json), [pair("cut", "leaked")], "{}", answer.told());
    let evidence = list(&json["targets"][0]["evidence"]);
    assert!(!evidence.is_empty());
    for piece in evidence {
        assert_eq!(piece["phase"], "disrupted: cut", "{}", answer.told());
    }
    // Judged again, every part says the same.
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let again =
        run(world, &config, &["--expect-encrypted", "dasher", "-r", kept]).expect(FAIL).json();
    for key in ["claims", "spoils", "phases", "disruptions", "evidence", "tunnel"] {
        assert_eq!(json["targets"][0][key], again["targets"][0][key], "{key} when recorded");
    }
}

#[test]
fn a_client_that_falls_back_only_where_the_mouth_refuses_fails() {
    let Some((world, _one)) = lab() else { return };
    let client = "for i in $(seq 40); do if (exec 3<>/dev/tcp/127.0.0.1/902) 2>/dev/null; then \
                  $T lab user dnd@127.0.0.1:902; else timeout 3 $T lab user dnd@10.77.1.30:902; fi \
                  >/dev/null 2>&1; sleep 0.3; done";
    let answer = disrupted(world, "cut", client, &["--disrupt-for", "3s"]).expect(FAIL);
    assert_eq!(disruptions(&answer.json()), [pair("cut", "leaked")], "{}", answer.told());
    answer.claim("tunnel", "holds", "").tells("disrupted: cut");
}

#[test]
fn a_client_that_falls_back_where_the_gateway_is_out_of_reach_fails() {
    let Some((world, _one)) = lab() else { return };
    let answer = disrupted(world, "route", FAITHLESS, &["--disrupt-for", "5s"]);
    let answer = answer.expect(FAIL).claim("no-bypass", "broken", "bypass");
    assert_eq!(disruptions(&answer.json()), [pair("route", "leaked")], "{}", answer.told());
    assert!(!world.sh(Host::Client, "ip route").contains("unreachable"));
}

#[test]
fn a_name_that_loses_its_alias_leads_past_the_tunnel() {
    let Some((world, _one)) = lab() else { return };
    let client = "for i in $(seq 25); do timeout 2 $T lab user dnd@$(getent ahostsv4 dnd.dartmouth.edu | \
                  awk '{print $1; exit}' | grep . || echo 10.77.1.30):902 >/dev/null 2>&1; sleep 0.3; done";
    let hosts = world.etc(Host::Client).join("hosts");
    world.with_client_hosts(ALIASES, || {
        let answer = disrupted(world, "hosts", client, &[]).expect(FAIL);
        assert_eq!(disruptions(&answer.json()), [pair("hosts", "leaked")], "{}", answer.told());
        assert_eq!(fs::read_to_string(&hosts).unwrap(), ALIASES, "the hosts file is as it was");
        // The mouth by its address does not care.
        let answer = disrupted(world, "hosts", STEADFAST, &[]).expect(PASS);
        assert_eq!(disruptions(&answer.json()), [pair("hosts", "held")], "{}", answer.told());
    });
    // Without an alias there is nothing to take away: said, and nothing is claimed about it.
    let answer = disrupted(world, "hosts", STEADFAST, &[])
        .expect(INCONCLUSIVE)
        .spoiled_by("disruption-not-done");
    assert_eq!(disruptions(&answer.json()), [pair("hosts", "not-done")]);
}

#[test]
fn another_resolver_and_ipv6_are_tried_and_put_back() {
    let Some((world, _one)) = lab() else { return };
    let resolver = world.etc(Host::Client).join("resolv.conf");
    let before = fs::read_to_string(&resolver).unwrap();
    world.sh(Host::Client, "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    // What a router's announcement gives it, the client gives itself: then it goes there.
    let client = "for i in $(seq 40); do \
         if [ \"$(cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6)\" = 0 ]; then \
           ip addr add fd77::10/64 dev eth0 nodad 2>/dev/null; ip -6 route add fd77:1::/64 via fd77::20 2>/dev/null; \
           timeout 2 $T lab user dnd@[fd77:1::30]:902; \
         else $T lab user dnd@127.0.0.1:902; fi >/dev/null 2>&1; sleep 0.3; done";
    let answer = disrupted(world, "resolver=10.77.0.53,ipv6", client, &[]);
    let is_off = world.sh(Host::Client, "cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    world.sh(
        Host::Client,
        "echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip addr add fd77::10/64 dev eth0 nodad; \
         ip -6 route add fd77:1::/64 via fd77::20",
    );
    let answer = answer.expect(FAIL);
    let rows = [pair("resolver", "held"), pair("ipv6", "leaked")];
    assert_eq!(disruptions(&answer.json()), rows, "{}", answer.told());
    assert_eq!(is_off.trim(), "1");
    assert_eq!(fs::read_to_string(&resolver).unwrap(), before);
    // It is on now. What the client's last conversation, which `timeout` ends, still says must not be in the next capture.
    thread::sleep(Duration::from_secs(3));
    let answer = disrupted(world, "ipv6", STEADFAST, &[]);
    answer.expect(INCONCLUSIVE).spoiled_by("disruption-not-done");
}

#[test]
fn a_client_that_does_nothing_shows_nothing() {
    let Some((world, _one)) = lab() else { return };
    let client = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151; sleep 12";
    let answer = disrupted(world, "cut", client, &[]).expect(INCONCLUSIVE);
    let answer = answer.spoiled_by("disruption-not-tried");
    assert_eq!(disruptions(&answer.json()), [pair("cut", "not-tried")]);
    // And one that ends too early leaves the disruption undone.
    let client = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";
    disrupted(world, "cut", client, &[]).expect(INCONCLUSIVE).spoiled_by("disruption-not-done");
}

#[test]
fn a_gateway_that_does_not_come_back_leaves_the_tunnel_unproven() {
    let Some((world, _one)) = lab() else { return };
    let gate = world.sshd(Host::Gateway, 2222, "");
    let config = TargetFile::blitzmail(world, "root@10.77.0.20:2222").write(world);
    let line = format!("T='{}'; {STEADFAST}", world.program().display());
    let options = ["--disrupt", "cut", "--disrupt-for", "3s", "--for", "1s"];
    let mut arguments = vec!["--expect-encrypted", "dasher"];
    arguments.extend(options);
    arguments.extend(["--", "bash", "-c", &line]);
    let mut running = start(world, &config, &arguments);
    running.await_line("disrupted: cut");
    drop(gate);
    running.end().expect(INCONCLUSIVE).claim("tunnel", "unproven", "tunnel-not-up-again");
}

#[test]
fn what_is_disrupted_is_put_back_on_an_interrupt_and_after_a_kill() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let hosts = world.etc(Host::Client).join("hosts");
    let is_clean = || {
        let routes = world.sh(Host::Client, "ip route; cat /etc/resolv.conf");
        !routes.contains("unreachable")
            && !routes.contains("10.77.0.53")
            && fs::read_to_string(&hosts).unwrap() == ALIASES
    };
    world.with_client_hosts(ALIASES, || {
        for (step, mark) in [("hosts", "disrupted: hosts"), ("route", "disrupted: route")] {
            let line = format!("T='{}'; {STEADFAST}", world.program().display());
            let arguments = [
                "--expect-encrypted",
                "dasher",
                "--disrupt",
                step,
                "--disrupt-for",
                "30s",
                "--",
                "bash",
                "-c",
                &line,
            ];
            // Ctrl-C.
            let mut running = start(world, &config, &arguments);
            running.await_line(mark);
            assert!(!is_clean(), "{step}");
            running.interrupt();
            let status = running.end().status;
            assert!([PASS, INCONCLUSIVE, INTERRUPTED].contains(&status), "{status}");
            assert!(is_clean(), "{step} is put back on an interrupt");
            // kill -9, and the user's word.
            let mut running = start(world, &config, &arguments);
            running.await_line(mark);
            running.kill();
            assert!(!is_clean(), "{step}");
            let journal = world.at("home/.local/state/tunnelcheck/disruptions.json");
            assert_eq!(fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
            let undone = run(world, &config, &["--undo-disruptions"]).says("put back");
            assert_eq!(undone.status, 0);
            assert!(is_clean(), "{step} is put back by --undo-disruptions");
            run(world, &config, &["--undo-disruptions"]).says("nothing is disrupted");
            // kill -9, and the next run.
            let mut running = start(world, &config, &arguments);
            running.await_line(mark);
            running.kill();
            // What is left of the killed run's connection may still be on the wire.
            let next =
                run_with(world, &config, &[], "$T lab user dnd@127.0.0.1:902").says("put back");
            assert!([PASS, INCONCLUSIVE].contains(&next.status), "{}", next.told());
            assert!(is_clean(), "{step} is put back by the next run");
        }
    });
}

#[test]
fn a_tunnel_that_is_lost_gives_the_window_a_phase_of_its_own() {
    let Some((world, _one)) = lab() else { return };
    let gate = world.sshd(Host::Gateway, 2222, "");
    let config = TargetFile::blitzmail(world, "root@10.77.0.20:2222").write(world);
    let line = format!("T='{}'; {FAITHLESS}", world.program().display());
    let arguments = ["--expect-encrypted", "dasher", "--for", "4s", "--", "bash", "-c", &line];
    let mut running = start(world, &config, &arguments);
    running.await_line("watching for");
    thread::sleep(Duration::from_secs(1));
    gate.cut_connections();
    let answer = running.end().expect(FAIL).claim("tunnel", "unproven", "tunnel-lost");
    let json = answer.json();
    assert!(phases(&json).contains(&"down: the tunnel was lost".to_owned()), "{}", answer.told());
    let evidence = list(&json["targets"][0]["evidence"]);
    assert!(
        evidence.iter().any(|piece| piece["phase"] == "down: the tunnel was lost"),
        "{}",
        answer.told()
    );
}
