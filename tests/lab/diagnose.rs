//! `tunnelcheck diagnose`: each trouble is made, named, mended with the very commands that were printed, and gone.

use crate::check::{COULD_NOT_RUN, FAIL, INCONCLUSIVE, PASS, list, run_with, start};
use crate::target::TargetFile;
use crate::world::{Host, MAIL, Server, World, has, lab, text, wait_until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;

const ROOT: &str = "root@10.77.0.20";
/// The first paper's hosts file, with every form of every name.
const ALIASED: &str = "127.0.0.1 localhost\n10.77.0.20 nimbus.dartmouth.edu\n\
    127.0.0.1 dnd.dartmouth.edu dnd.dartmouth.edu. dnd dnd. dasher.dartmouth.edu dasher.dartmouth.edu. dasher dasher.\n\
    ::1 dnd.dartmouth.edu dnd.dartmouth.edu. dnd dnd. dasher.dartmouth.edu dasher.dartmouth.edu. dasher dasher.\n";
/// One without any.
const BARE: &str = "127.0.0.1 localhost\n10.77.0.20 nimbus.dartmouth.edu\n";

/// What diagnose said.
struct Said {
    status: i32,
    json: Value,
    stderr: String,
}

fn diagnose(world: &World, config: &Path, options: &[&str]) -> Said {
    let mut command = world.on(Host::Client, world.program());
    command.args(["diagnose", "dasher", "--format", "json", "--config"]).arg(config).args(options);
    said(command)
}

fn said(mut command: std::process::Command) -> Said {
    let output = command.output().unwrap();
    let stderr = text(&output.stderr);
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no diagnosis ({error}): {}{stderr}", text(&output.stdout)));
    Said { status: output.status.code().unwrap(), json, stderr }
}

impl Said {
    fn checks(&self) -> &[Value] {
        list(&self.json["checks"])
    }

    /// The checks with a code.
    fn with(&self, code: &str) -> Vec<&Value> {
        self.checks().iter().filter(|it| it["code"] == code).collect()
    }

    /// Wants a check with this code and outcome, whose detail or remedy tells this.
    fn wants(&self, code: &str, outcome: &str, what: &str) -> &Value {
        let found = self.with(code);
        let fits = |it: &&&Value| it["outcome"] == outcome && it.to_string().contains(what);
        found.iter().find(fits).unwrap_or_else(|| {
            panic!("no {code} with outcome {outcome} that tells {what:?}: {}", self.told())
        })
    }

    fn lacks(&self, code: &str) {
        assert!(self.with(code).is_empty(), "{code} is still there: {}", self.told());
    }

    fn ends_with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}", self.told());
        self
    }

    fn told(&self) -> String {
        format!("status {}\n{:#}\n{}", self.status, self.json, self.stderr)
    }
}

/// The commands of a remedy.
fn commands(check: &Value) -> Vec<String> {
    let commands = list(&check["remedy"]["commands"]);
    assert!(!commands.is_empty(), "no command to paste: {check:#}");
    commands.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// Pastes the commands on the client.
fn apply(world: &World, check: &Value) {
    for command in commands(check) {
        world.sh(Host::Client, &command);
    }
}

/// OpenSSH's tunnel, as its user would start it.
fn tunnel(world: &World) -> Server {
    let mut command = world.on(Host::Client, "ssh");
    command.args(["-F", "none", "-i"]).arg(world.at("user_key"));
    command.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
    ]);
    command.args([
        "-N",
        "-L",
        "127.0.0.1:902:dnd.dartmouth.edu:902",
        "-L",
        "127.0.0.1:2151:dasher.dartmouth.edu:2151",
        ROOT,
    ]);
    let server = Server::of(command.spawn().unwrap());
    world.await_port(Host::Client, 2151);
    server
}

/// The name server that the client asks.
fn names(world: &World, names: &[&str]) -> Server {
    let mut arguments = vec!["name-server", "--at", "127.0.0.1:53"];
    for name in names {
        arguments.extend(["--name", name]);
    }
    world.part(Host::Client, &arguments)
}

const REAL: [&str; 2] = ["dnd.dartmouth.edu=10.77.1.30", "dasher.dartmouth.edu=10.77.1.30"];

#[test]
fn nothing_wrong_is_found_while_the_tunnel_is_up_and_every_name_is_aliased() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _names = names(world, &REAL);
    let _tunnel = tunnel(world);
    let said = world.with_client_hosts(ALIASED, || diagnose(world, &config, &[])).ends_with(PASS);
    said.wants("names-at-mouth", "fine", "/etc/hosts line 3");
    said.wants("tunnel-listens", "fine", "ssh (pid ");
    said.wants("connected", "fine", "10.77.0.20:22");
    said.wants("login", "fine", "SHA256:");
    said.wants("greeting", "fine", "220 DND server");
    said.wants("opened", "fine", "the client speaks first");
    said.wants("mouth-reachable", "fine", "");
    // Connections of the test before may be remembered still.
    said.lacks("direct");
    said.lacks("direct-older-than-tunnel");
    assert_eq!(said.checks().iter().filter(|it| it["check"] == "forwards").count(), 2);
    assert_eq!(
        said.with("greeting").len(),
        2,
        "through the trial and through the mouth: {}",
        said.told()
    );
}

#[test]
fn a_forward_that_nobody_uses_is_told_from_one_that_is_used() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::builtin(world, "dasher", ROOT)
        .service("pop", "pop3", "dasher.dartmouth.edu", 110, "listen = \"127.0.0.1:12110\"")
        .write(world);
    let mut command = world.on(Host::Client, "ssh");
    command.args(["-F", "none", "-i"]).arg(world.at("user_key"));
    command.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
    ]);
    command.args(["-N", "-L", "127.0.0.1:12110:dasher.dartmouth.edu:110", ROOT]);
    let _tunnel = Server::of(command.spawn().unwrap());
    world.await_port(Host::Client, 12110);
    let said = world.with_client_hosts(ALIASED, || diagnose(world, &config, &[])).ends_with(PASS);
    said.wants("forward-not-used", "note", "no client is connected");
    said.wants("greeting", "fine", "+OK");
    world.user(&["pop3@127.0.0.1:12110"]);
    let said = world.with_client_hosts(ALIASED, || diagnose(world, &config, &[]));
    said.wants("forward-used", "fine", "within the last minute");
}

#[test]
fn names_that_are_not_aliased_are_aliased_by_the_remedy() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _names = names(world, &REAL);
    let _tunnel = tunnel(world);
    world.with_client_hosts(BARE, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        said.wants(
            "not-aliased",
            "cause",
            "dasher.dartmouth.edu IPv4: 10.77.1.30, says name server 127.0.0.1",
        );
        for check in said.with("not-aliased") {
            apply(world, check);
        }
        diagnose(world, &config, &[]).ends_with(PASS).lacks("not-aliased");
        run_names(world, "dasher.dartmouth.edu", "127.0.0.1");
    });
}

/// What a program of the client finds.
fn run_names(world: &World, name: &str, address: &str) {
    let found = world.sh(Host::Client, &format!("getent ahostsv4 {name}"));
    assert!(found.starts_with(address), "{name} leads to {found}");
}

#[test]
fn a_hosts_file_that_leads_to_the_server_itself_is_named_by_its_line() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _tunnel = tunnel(world);
    let hosts = format!(
        "127.0.0.1 localhost\n10.77.0.20 nimbus.dartmouth.edu\n{MAIL} dnd.dartmouth.edu dasher.dartmouth.edu newshost.dartmouth.edu\n"
    );
    world.with_client_hosts(&hosts, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        said.wants("not-aliased", "cause", "/etc/hosts line 3");
        // The two hosts share a line: the second remedy is asked for after the first was applied.
        apply(world, said.with("not-aliased")[0]);
        let again = diagnose(world, &config, &[]);
        for check in again.with("not-aliased") {
            apply(world, check);
        }
        diagnose(world, &config, &[]).ends_with(PASS);
        run_names(world, "newshost.dartmouth.edu", MAIL);
    });
}

#[test]
fn a_stale_entry_is_named_and_taken_out() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _tunnel = tunnel(world);
    let hosts = format!(
        "{BARE}10.77.0.66 dasher.dartmouth.edu dasher # the Mac's old address\n127.0.0.2 dnd.dartmouth.edu\n"
    );
    world.with_client_hosts(&hosts, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        said.wants("stale-alias", "cause", "/etc/hosts line 3");
        said.wants("stale-alias", "cause", "127.0.0.2");
        assert_eq!(said.with("stale-alias").len(), 2);
        for check in said.with("stale-alias") {
            apply(world, check);
        }
        diagnose(world, &config, &[]).ends_with(PASS).lacks("stale-alias");
        run_names(world, "dasher", "127.0.0.1");
        run_names(world, "dnd.dartmouth.edu", "127.0.0.1");
    });
}

#[test]
fn a_hosts_file_with_an_open_last_line_or_carriage_returns_is_mended_as_well() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _names = names(world, &REAL);
    let _tunnel = tunnel(world);
    world.with_client_hosts(BARE.trim_end(), || {
        for check in diagnose(world, &config, &[]).with("not-aliased") {
            apply(world, check);
        }
        diagnose(world, &config, &[]).ends_with(PASS);
        run_names(world, "nimbus.dartmouth.edu", "10.77.0.20");
    });
    world.with_client_hosts(&ALIASED.replace('\n', "\r"), || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        apply(world, said.wants("hosts-line-ends", "cause", "one long line"));
        diagnose(world, &config, &[]).ends_with(PASS);
    });
}

#[test]
fn a_service_on_the_gateway_itself_is_not_aliased() {
    let Some((world, _one)) = lab() else { return };
    let file = TargetFile::builtin(world, "dasher", "root@nimbus.dartmouth.edu");
    let config = file
        .service("pop", "pop3", "localhost", 110, "listen = \"127.0.0.1:110\"")
        .without_addresses()
        .write(world);
    let said = world.with_client_hosts(BARE, || diagnose(world, &config, &[]));
    let check = said.wants("name-is-the-gateways", "note", "set to the mouth 127.0.0.1:110");
    assert!(list(&check["remedy"]["commands"]).is_empty(), "{check:#}");
    said.wants("greeting", "fine", "+OK");
}

#[test]
fn a_trailing_dot_goes_past_the_hosts_file_until_it_is_aliased() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _names = names(world, &REAL);
    let _tunnel = tunnel(world);
    let hosts = format!("{BARE}127.0.0.1 dnd.dartmouth.edu dnd dasher.dartmouth.edu dasher\n");
    world.with_client_hosts(&hosts, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        let check = said.wants("not-aliased", "cause", "dasher.dartmouth.edu. IPv4: 10.77.1.30");
        assert!(
            !check.to_string().contains("DASHER.DARTMOUTH.EDU IPv4: 10.77.1.30"),
            "{}",
            said.told()
        );
        for check in said.with("not-aliased") {
            apply(world, check);
        }
        diagnose(world, &config, &[]).ends_with(PASS);
        run_names(world, "dasher.dartmouth.edu.", "127.0.0.1");
    });
}

#[test]
fn an_ipv6_answer_goes_past_the_tunnel_until_it_is_aliased() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _names = names(world, &["dasher.dartmouth.edu=fd77:1::30"]);
    let _tunnel = tunnel(world);
    let hosts: String = ALIASED
        .lines()
        .filter(|line| !line.starts_with("::1"))
        .fold(String::new(), |all, line| all + line + "\n");
    world.with_client_hosts(&hosts, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        let check = said.wants("not-aliased", "cause", "dasher.dartmouth.edu IPv6: fd77:1::30");
        apply(world, check);
        diagnose(world, &config, &[]).ends_with(PASS);
    });
}

#[test]
fn without_ipv6_nothing_of_it_is_asked() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _tunnel = tunnel(world);
    let set = |value: u8| {
        world.sh(Host::Client, &format!("echo {value} >/proc/sys/net/ipv6/conf/all/disable_ipv6"))
    };
    set(1);
    let said = world.with_client_hosts(ALIASED, || diagnose(world, &config, &[]));
    set(0);
    world.sh(
        Host::Client,
        "ip addr replace fd77::10/64 dev eth0 nodad; ip -6 route replace fd77:1::/64 via fd77::20",
    );
    said.ends_with(PASS).wants("service-route", "fine", "fd77:1::30: no route");
}

#[test]
fn name_servers_before_the_hosts_file_are_put_behind_it() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _names = names(world, &REAL);
    let _tunnel = tunnel(world);
    world.with_client_file("nsswitch.conf", "passwd: files\nhosts: dns files\n", || {
        world.with_client_hosts(ALIASED, || {
            let said = diagnose(world, &config, &[]).ends_with(FAIL);
            said.wants("not-aliased", "cause", "10.77.1.30");
            apply(world, said.wants("hosts-not-first", "cause", "asks dns, then files"));
            diagnose(world, &config, &[]).ends_with(PASS).lacks("hosts-not-first");
        });
    });
}

#[test]
fn a_client_that_was_started_too_early_is_named_and_ended() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut client = world.on(Host::Client, "bash");
    client.args(["-c", "exec 3<>/dev/tcp/10.77.1.30/2151; read -r -t 60 <&3; true; true"]);
    let client = Server::of(client.stdout(Stdio::null()).spawn().unwrap());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let _tunnel = tunnel(world);
    world.with_client_hosts(ALIASED, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        let check = said.wants("direct-older-than-tunnel", "cause", "bash (pid ");
        assert!(check.to_string().contains("/bin/bash"), "the program's path: {check:#}");
        assert!(!said.json.to_string().contains("read -r -t 60"), "a command line is a secret");
        let open = diagnose(world, &config, &["--show-secrets"]);
        assert!(open.json.to_string().contains("read -r -t 60"), "{}", open.told());
        // The shell may not be ended by `kill PID` while a signal is held back: it is not.
        apply(world, check);
        wait_until(
            || world.sh(Host::Client, "ss -Htn state established dst 10.77.1.30").trim().is_empty(),
            || "the client is still there".to_owned(),
        );
        diagnose(world, &config, &[]).ends_with(PASS).lacks("direct-older-than-tunnel");
    });
    drop(client);
}

#[test]
fn a_taken_mouth_is_named_with_its_holder_who_is_ended() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let squatter = world.part(Host::Client, &["mail-servers", "--at", "127.0.0.1"]);
    world.with_client_hosts(ALIASED, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        let check = said.wants("mouth-taken", "cause", "tunnelcheck (pid ");
        let kill = &commands(check)[0];
        assert!(kill.starts_with("kill "), "{kill}");
        world.sh(Host::Client, kill);
        let down = diagnose(world, &config, &[]).ends_with(FAIL);
        down.lacks("mouth-taken");
        down.wants("nobody-listens", "cause", "tunnel dasher");
        let _tunnel = tunnel(world);
        diagnose(world, &config, &[]).ends_with(PASS);
    });
    drop(squatter);
}

#[test]
fn a_killed_tunnel_is_brought_up_by_the_printed_line() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let up = tunnel(world);
    world.with_client_hosts(ALIASED, || {
        diagnose(world, &config, &[]).ends_with(PASS);
        drop(up);
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        let check = said.wants("nobody-listens", "cause", "the tunnel is down");
        let say = check["remedy"]["say"].as_str().unwrap().to_owned();
        let line = say.split('`').nth(1).unwrap();
        assert!(line.starts_with("ssh -N -L 127.0.0.1:902:"), "{say}");
        // Its key and its known hosts are in the line; nothing but the batch mode is added.
        let mut command = world.on(Host::Client, "sh");
        let line = line.replacen("ssh -N", "exec ssh -F none -o BatchMode=yes -N", 1);
        let _tunnel = Server::of(command.args(["-c", &line]).spawn().unwrap());
        world.await_port(Host::Client, 2151);
        diagnose(world, &config, &[]).ends_with(PASS);
    });
}

#[test]
fn a_tunnel_of_our_own_that_is_up_is_recognised_and_not_disturbed() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    world.with_client_hosts(ALIASED, || {
        let mut running = start(world, &config, &["--expect-encrypted", "dasher", "--for", "12s"]);
        running.await_window();
        world.user(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"]);
        let said = diagnose(world, &config, &[]).ends_with(PASS);
        said.wants("tunnel-listens", "fine", "tunnelcheck (pid ");
        said.wants("connected", "fine", "tunnelcheck (pid ");
        said.wants("forward-used", "fine", "");
        running.end().expect(PASS);
    });
}

#[test]
fn an_external_tunnel_is_found_by_its_process_up_and_down() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::external("dasher", "10.77.0.20").services().write(world);
    let up = tunnel(world);
    world.with_client_hosts(ALIASED, || {
        let said = diagnose(world, &config, &[]).ends_with(PASS);
        said.wants("tunnel-listens", "fine", "dnd at 127.0.0.1:902");
        said.wants("greeting", "fine", "220 DND server");
        drop(up);
        diagnose(world, &config, &[]).ends_with(FAIL).wants("not-connected", "cause", "ssh -N -L");
    });
}

#[test]
fn a_udp_service_is_a_cause_until_it_is_exempt() {
    let Some((world, _one)) = lab() else { return };
    let file = TargetFile::blitzmail(world, ROOT);
    let config = file.service("notify", "notify", "dasher.dartmouth.edu", 2154, "").write(world);
    let tunnel = tunnel(world);
    world.with_client_hosts(ALIASED, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        apply(world, said.wants("udp-not-carried", "cause", "ssh cannot forward"));
        diagnose(world, &config, &[]).ends_with(PASS).wants("udp-exempt", "note", "");
    });
    drop(tunnel);
    let line = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151 notify@10.77.1.30:2154";
    run_with(world, &config, &[], line).expect(PASS).tells("\"role\": \"exempt");
}

#[test]
fn a_route_past_the_vpn_is_told_and_mended() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::external("dasher", "10.77.0.20:51820").services().write(world);
    world.sh(
        Host::Client,
        "ip tuntap add dev tun0 mode tun; ip addr add 10.99.0.2/24 dev tun0; \
         ip addr add fd99::2/64 dev tun0 nodad; ip link set tun0 up",
    );
    let before = diagnose(world, &config, &[]);
    let after = std::panic::catch_unwind(|| {
        before.wants("route-past-tunnel", "cause", "eth0 (wire)");
        for check in before.with("route-past-tunnel") {
            apply(world, check);
        }
        diagnose(world, &config, &[])
    });
    world.sh(Host::Client, "ip link del tun0");
    assert_eq!(before.status, FAIL);
    let after = after.unwrap();
    after.lacks("route-past-tunnel");
    after.wants("vpn", "fine", "by the device of a tunnel");
    after.ends_with(PASS);
}

#[test]
fn without_an_answering_name_server_what_leads_nowhere_is_not_determined() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _tunnel = tunnel(world);
    let hosts = format!("{BARE}127.0.0.1 dnd.dartmouth.edu dasher.dartmouth.edu\n");
    world.with_client_hosts(&hosts, || {
        let said = diagnose(world, &config, &[]).ends_with(INCONCLUSIVE);
        said.wants("names-unasked", "unknown", "no name server answers");
        for check in said.with("names-unasked") {
            apply(world, check);
        }
        diagnose(world, &config, &[]).ends_with(PASS).lacks("names-unasked");
    });
}

#[test]
fn a_target_without_a_tunnel_is_looked_at_as_such() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::none("dasher").services().write(world);
    let said = diagnose(world, &config, &[]).ends_with(PASS);
    said.wants("no-tunnel", "not-applicable", "");
    let stale = format!("{BARE}127.0.0.1 dnd.dartmouth.edu dasher.dartmouth.edu\n");
    let said = world.with_client_hosts(&stale, || diagnose(world, &config, &[])).ends_with(FAIL);
    said.wants("stale-alias", "cause", "hosts dasher --revert");
}

#[test]
fn a_firewall_in_front_of_a_mouth_is_named_by_its_rule_and_opened() {
    let Some((world, _one)) = lab() else { return };
    if !has("nft") {
        return;
    }
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _tunnel = tunnel(world);
    world.sh(
        Host::Client,
        "nft add table inet lab; nft add chain inet lab input '{ type filter hook input priority 0; policy accept; }'; \
         nft add rule inet lab input tcp dport 902 drop",
    );
    let blocked = world.with_client_hosts(ALIASED, || diagnose(world, &config, &[]));
    let (code, after) = world.with_client_hosts(ALIASED, || {
        let check =
            blocked.wants("mouth-blocked", "cause", "nft inet lab input: tcp dport 902 drop");
        apply(world, check);
        (check["code"].clone(), diagnose(world, &config, &[]))
    });
    world.sh(Host::Client, "nft delete table inet lab");
    assert_eq!(code, "mouth-blocked");
    assert_eq!(blocked.status, FAIL);
    after.ends_with(PASS).lacks("mouth-blocked");
}

#[test]
fn a_forward_that_the_gateway_forbids_is_told_in_its_own_words_and_allowed() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, "root@10.77.0.20:2225").write(world);
    let sshd = world.sshd(Host::Gateway, 2225, "PermitOpen dasher.dartmouth.edu:2151");
    world.with_client_hosts(ALIASED, || {
        let said = diagnose(world, &config, &[]).ends_with(FAIL);
        let check = said.wants("forward-prohibited", "cause", "administratively prohibited");
        assert!(check["subject"].as_str().unwrap().starts_with("dnd"), "{check:#}");
        // The remedy edits the gateway's own file; here that is another one.
        let edit = commands(check)[0]
            .replace("/etc/ssh/sshd_config", &world.at("sshd-2225.conf").display().to_string());
        world.sh(Host::Gateway, &edit);
        sshd.hang_up();
        wait_until(
            || diagnose(world, &config, &[]).with("forward-prohibited").is_empty(),
            || "the forward is still prohibited".to_owned(),
        );
    });
}

#[test]
fn a_changed_host_key_and_an_unknown_one_are_told_and_mended() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let other = fs::read_to_string(world.at("other_key.pub")).unwrap();
    fs::write(world.at("known_hosts"), format!("10.77.0.20 {other}")).unwrap();
    let said = diagnose(world, &config, &[]).ends_with(FAIL);
    apply(world, said.wants("host-key", "cause", "has changed"));
    let said = diagnose(world, &config, &[]).ends_with(FAIL);
    let check = said.wants("host-key-unknown", "cause", &world.fingerprint());
    // The remedy is a diagnosis with the fingerprint; it ends with another status while the tunnel is down.
    let _ = world.on(Host::Client, "sh").args(["-c", &commands(check)[0]]).output().unwrap();
    diagnose(world, &config, &[]).wants("login", "fine", "SHA256:");
}

#[test]
fn a_login_that_is_denied_is_told_in_the_servers_words() {
    let Some((world, _one)) = lab() else { return };
    let other = world.at("other_key").display().to_string();
    let config = TargetFile::blitzmail(world, ROOT)
        .replace(&world.at("user_key").display().to_string(), &other)
        .write(world);
    diagnose(world, &config, &[]).ends_with(FAIL).wants(
        "login-denied",
        "cause",
        "permission denied",
    );
}

#[test]
fn without_root_what_cannot_be_seen_is_said() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _tunnel = tunnel(world);
    let squatter = world.part(Host::Client, &["mail-servers", "--at", "127.0.0.77"]);
    world.with_client_hosts(ALIASED, || {
        let mut command = world.on(Host::Client, "setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(world.program());
        command.args(["diagnose", "dasher", "--format", "json", "--config"]).arg(&config);
        let said = said(command);
        said.wants("holder-unknown", "note", "which process it is cannot be seen");
        let gateway: Vec<_> = said.checks().iter().filter(|it| it["check"] == "gateway").collect();
        assert!(!gateway.is_empty(), "{}", said.told());
        assert_ne!(said.status, COULD_NOT_RUN, "{}", said.told());
    });
    drop(squatter);
}

#[test]
fn without_the_systems_programs_and_without_root_the_reasons_are_said() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let bare = |root: bool| {
        let mut command = world.on(Host::Client, "env");
        let path = world.at("home").display().to_string();
        command.arg(format!("PATH={path}"));
        if !root {
            command.args([
                "/usr/bin/setpriv",
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
            ]);
        }
        command.arg(world.program()).args(["diagnose", "dasher", "--format", "json", "--config"]);
        command.arg(&config);
        world.with_client_hosts(ALIASED, || said(command))
    };
    let said = bare(false).ends_with(FAIL);
    said.wants("firewall-unknown", "unknown", "cannot run nft");
    said.wants("nobody-listens", "cause", "the tunnel is down");
    let _tunnel = tunnel(world);
    let said = bare(true).ends_with(PASS);
    said.wants("names-at-mouth", "fine", "/etc/hosts line 3");
    said.wants("mouth-reachable", "fine", "");
}

#[test]
fn a_service_whose_place_is_not_known_leaves_it_undetermined() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).without_addresses().write(world);
    let _tunnel = tunnel(world);
    world.with_client_hosts(ALIASED, || {
        diagnose(world, &config, &[]).ends_with(INCONCLUSIVE).wants(
            "service-address-unknown",
            "unknown",
            "address = ",
        );
    });
}

#[test]
fn a_target_that_does_not_exist_cannot_be_diagnosed() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut command = world.on(Host::Client, world.program());
    command.args(["diagnose", "nobody", "--config"]).arg(&config);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(COULD_NOT_RUN), "{}", text(&output.stderr));
}

#[test]
fn after_the_remedy_the_check_passes() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let _names = names(world, &REAL);
    // A client that asks for its server by name, with a dot.
    let line = "for n in dnd:902 dasher:2151; do a=$(getent ahostsv4 ${n%:*}.dartmouth.edu. | head -1 | cut -d' ' -f1); \
                case $n in dnd*) $T lab user dnd@$a:902;; *) $T lab user blitzmail@$a:2151;; esac; done";
    let hosts = format!("{BARE}127.0.0.1 dnd.dartmouth.edu dasher.dartmouth.edu\n");
    world.with_client_hosts(&hosts, || {
        run_with(world, &config, &[], line).expect(FAIL).claim("no-bypass", "broken", "bypass");
        let said = diagnose(world, &config, &[]);
        for check in said.with("not-aliased") {
            apply(world, check);
        }
        run_with(world, &config, &[], line).expect(PASS);
    });
}
