//! Another machine as a vantage: its tcpdump over our own SSH. The first paper's author trusted no other.

use crate::check::{COULD_NOT_RUN, FAIL, INCONCLUSIVE, PASS, list, run, run_with, start};
use crate::target::TargetFile;
use crate::world::{Host, KNOW_VOID, Server, VOID, World, has, lab, wait_until};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const ROOT: &str = "root@10.77.0.20";
const THROUGH: &str = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";
const DIRECT: &str = "$T lab user dnd@10.77.1.30:902 blitzmail@10.77.1.30:2151";
/// Where the snooper's sshd listens.
const PORT: u16 = 2299;

/// The snooper, with an sshd, and how to log in there.
struct Snooper {
    sshd: Server,
    target: PathBuf,
    ssh_config: String,
}

impl Snooper {
    fn start(world: &World, sshd_lines: &str) -> Self {
        let target = TargetFile::blitzmail(world, ROOT).write(world);
        let sshd = world.sshd(Host::Snooper, PORT, sshd_lines);
        let key = fs::read_to_string(world.at("host_key.pub")).unwrap();
        let known = world.at("snooper_known_hosts");
        fs::write(&known, format!("[10.77.0.99]:{PORT},[10.77.0.20]:22,10.77.0.20 {key}")).unwrap();
        let mut text = String::new();
        let identity = world.at("user_key").display().to_string();
        let known = known.display();
        for (alias, more) in [
            ("snooper", "User root"),
            ("watcher", "User watcher"),
            ("behind", "User root\n  ProxyJump root@10.77.0.20"),
            ("10.77.0.20", "User root"),
        ] {
            let (host, port) =
                if alias == "10.77.0.20" { (alias, 22) } else { ("10.77.0.99", PORT) };
            writeln!(
                text,
                "Host {alias}\n  HostName {host}\n  Port {port}\n  IdentityFile {identity}\n  \
                 UserKnownHostsFile {known}\n  {more}"
            )
            .unwrap();
        }
        let path = world.at("snooper_ssh_config");
        fs::write(&path, text).unwrap();
        Self { sshd, target, ssh_config: path.display().to_string() }
    }

    fn options<'a>(&'a self, from: &[&'a str]) -> Vec<&'a str> {
        let mut options = vec!["--ssh-config", self.ssh_config.as_str()];
        for place in from {
            options.extend(["--from", place]);
        }
        options
    }
}

/// Runs something while the hub is a switch that has learnt who is where.
fn with_switch<T>(world: &World, act: impl FnOnce() -> T) -> T {
    let set = |time: u32| {
        world.sh(Host::Hub, &format!("ip link set hub type bridge ageing_time {time}"));
    };
    set(30_000);
    // Who has sent something is where the switch has learnt it to be.
    for host in [Host::Client, Host::Gateway, Host::Snooper] {
        let peer = if host == Host::Gateway { "10.77.0.10" } else { "10.77.0.20" };
        world.sh(host, &format!("bash -c 'exec 3<>/dev/tcp/{peer}/22' 2>/dev/null || true"));
    }
    let done = act();
    set(0);
    done
}

#[test]
fn a_tunnel_seen_from_here_and_from_another_machine_passes() {
    let Some((world, _one)) = lab() else { return };
    let snooper = Snooper::start(world, "");
    let kept = world.at("two-vantages.pcapng");
    let mut options = snooper.options(&["snooper:eth0"]);
    options.extend(["--record", kept.to_str().unwrap()]);
    let answer = run_with(world, &snooper.target, &options, THROUGH).expect(PASS);
    let json = answer.json();
    let target = &json["targets"][0];
    let vantages = list(&target["vantages"]);
    assert_eq!(vantages.len(), 2, "{}", answer.told());
    assert_eq!(vantages[0]["name"], "this machine");
    assert_eq!(vantages[1]["name"], "snooper:eth0");
    for vantage in vantages {
        assert_eq!(vantage["controls_seen"], 3, "{}", answer.told());
        assert_eq!(vantage["conns"], vantages[0]["conns"], "{}", answer.told());
        assert!(list(&vantage["only_here"]).is_empty());
    }
    assert_eq!(json["interfaces"][1]["vantage"], "another machine");
    assert_eq!(json["coverage"]["drops"], "none");
    // Its own connection, and nothing else, is left out there; here it is seen, and set aside.
    let own: Vec<_> =
        list(&target["conns"]).iter().filter(|conn| conn["role"] == "excluded").collect();
    assert_eq!(own.len(), 1, "{}", answer.told());
    assert!([&own[0]["orig"]["port"], &own[0]["resp"]["port"]].iter().any(|port| **port == PORT));
    let again = run(
        world,
        &snooper.target,
        &["--expect-encrypted", "dasher", "-r", kept.to_str().unwrap()],
    )
    .expect(PASS)
    .json();
    for key in ["claims", "spoils", "control", "conns", "vantages", "phases"] {
        assert_eq!(
            target[key], again["targets"][0][key],
            "{key} is judged otherwise when recorded"
        );
    }
}

#[test]
fn a_bypass_fails_wherever_it_is_seen_from() {
    let Some((world, _one)) = lab() else { return };
    let snooper = Snooper::start(world, "");
    let options = snooper.options(&["snooper"]);
    let answer = run_with(world, &snooper.target, &options, DIRECT)
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .claim("no-identifier", "broken", "");
    let json = answer.json();
    // Default interface: that of its route to the gateway.
    assert_eq!(json["targets"][0]["vantages"][1]["name"], "snooper:eth0");
    assert!(!answer.told().contains("vantages-differ"), "{}", answer.told());
    // From there alone: nothing is captured here.
    let mut options = snooper.options(&["snooper:eth0"]);
    options.extend(["-i", "none"]);
    let answer = run_with(world, &snooper.target, &options, DIRECT).expect(FAIL).claim(
        "no-bypass",
        "broken",
        "bypass",
    );
    assert_eq!(list(&answer.json()["interfaces"]).len(), 1);
    run_with(world, &snooper.target, &options, THROUGH).expect(PASS);
}

/// A machine that says that its login came by the very connection by which the client goes past the tunnel.
#[test]
fn what_another_machine_calls_our_login_hides_no_bypass() {
    let Some((world, _one)) = lab() else { return };
    let lie = "ForceCommand SSH_CONNECTION=\"10.77.0.10 40321 10.77.1.30 2151\" sh -c \"$SSH_ORIGINAL_COMMAND\"";
    let snooper = Snooper::start(world, lie);
    let options = snooper.options(&["snooper:eth0"]);
    // No identifier is in it: the connection alone tells.
    let direct =
        "exec 3<>/dev/tcp/10.77.1.30/2151; echo 'a letter that anybody can read' >&3; sleep 0.3";
    let from = format!(
        "old=$(cat /proc/sys/net/ipv4/ip_local_port_range); \
                        echo 40321 40321 >/proc/sys/net/ipv4/ip_local_port_range; ({direct}); \
                        echo $old >/proc/sys/net/ipv4/ip_local_port_range; {THROUGH}"
    );
    let answer = run_with(world, &snooper.target, &options, &from)
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .claim("no-cleartext", "broken", "cleartext");
    let json = answer.json();
    let conns = list(&json["targets"][0]["conns"]);
    let seen = conns.iter().filter(|conn| conn["role"] == "service mail").count();
    assert_eq!(seen, 2, "both vantages show it: {}", answer.told());
}

#[test]
fn a_vantage_behind_a_jump_host_and_on_the_gateway_passes() {
    let Some((world, _one)) = lab() else { return };
    let snooper = Snooper::start(world, "");
    let options = snooper.options(&["behind:eth0"]);
    run_with(world, &snooper.target, &options, THROUGH).expect(PASS);
    // On the gateway the route to the gateway is loopback: it looks towards us instead. Two at once, beside this machine.
    let options = snooper.options(&["root@10.77.0.20", "snooper:any"]);
    let answer = run_with(world, &snooper.target, &options, THROUGH).expect(PASS);
    let json = answer.json();
    let names: Vec<_> =
        list(&json["targets"][0]["vantages"]).iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["this machine", "root@10.77.0.20:eth0", "snooper:any"]);
}

#[test]
fn a_sniffer_behind_a_switch_sees_nothing_and_vouches_for_nothing() {
    let Some((world, _one)) = lab() else { return };
    let snooper = Snooper::start(world, "");
    let options = snooper.options(&["snooper:eth0"]);
    let answer = with_switch(world, || {
        run_with(world, &snooper.target, &options, THROUGH)
            .expect(INCONCLUSIVE)
            .spoiled_by("control-not-seen")
            .tells("a switch shows a sniffer nothing of other machines")
    });
    assert_eq!(answer.json()["targets"][0]["vantages"][1]["controls_seen"], 0);
    // What is seen here breaks a claim all the same.
    with_switch(world, || run_with(world, &snooper.target, &options, DIRECT).expect(FAIL));
}

#[test]
fn a_machine_without_tcpdump_or_without_the_right_to_it_is_refused() {
    let Some((world, _one)) = lab() else { return };
    let bare = world.at("bare-bin");
    let _ = fs::create_dir(&bare);
    for program in ["sh", "id", "uname", "ip", "date", "head", "grep", "echo", "cat"] {
        let real = world.sh(Host::Snooper, &format!("command -v {program} || true"));
        if real.trim().starts_with('/') {
            let _ = std::os::unix::fs::symlink(real.trim(), bare.join(program));
        }
    }
    {
        // tcpdump lies in /usr/bin, which this login does not search.
        let snooper = Snooper::start(world, &format!("SetEnv PATH={}", bare.display()));
        let options = snooper.options(&["snooper:eth0"]);
        run_with(world, &snooper.target, &options, THROUGH)
            .expect(COULD_NOT_RUN)
            .says("there is no tcpdump on it")
            .says("sudo apt install tcpdump");
    }
    with_watcher(world, "", || {
        let snooper = Snooper::start(
            world,
            &format!("SetEnv PATH={}:/usr/bin:/bin", no_sudo(world).display()),
        );
        let options = snooper.options(&["watcher:eth0"]);
        run_with(world, &snooper.target, &options, THROUGH)
            .expect(COULD_NOT_RUN)
            .says("cannot watch from watcher")
            .says("NOPASSWD");
    });
    let snooper = Snooper::start(world, "");
    let options = snooper.options(&["snooper:no-such-if"]);
    run_with(world, &snooper.target, &options, THROUGH)
        .expect(COULD_NOT_RUN)
        .says("No such device");
    for wrong in ["snooper:2222", "snooper:$(id)", "snooper:"] {
        let options = snooper.options(&[wrong]);
        run_with(world, &snooper.target, &options, THROUGH)
            .expect(COULD_NOT_RUN)
            .says("no name of an interface");
    }
}

/// A folder with a `sudo` that refuses, in front of the real one.
fn no_sudo(world: &World) -> PathBuf {
    let folder = world.at("no-sudo");
    let _ = fs::create_dir(&folder);
    let sudo = folder.join("sudo");
    fs::write(&sudo, "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Runs something while the snooper has an account of no rights, and these rules of sudo.
fn with_watcher<T>(world: &World, sudoers: &str, act: impl FnOnce() -> T) -> T {
    let etc = world.etc(Host::Snooper);
    fs::create_dir_all(&etc).unwrap();
    let add = |name: &str, line: &str, mode: u32| {
        let real = fs::read_to_string(format!("/etc/{name}")).unwrap();
        fs::write(etc.join(name), format!("{}\n{line}\n", real.trim_end())).unwrap();
        fs::set_permissions(etc.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    add("passwd", "watcher:x:4242:4242::/tmp:/bin/sh", 0o644);
    add("group", "watcher:x:4242:", 0o644);
    add("shadow", "watcher:*:19000:0:99999:7:::", 0o640);
    if !sudoers.is_empty() {
        fs::write(etc.join("sudoers"), sudoers).unwrap();
        fs::set_permissions(etc.join("sudoers"), fs::Permissions::from_mode(0o440)).unwrap();
    }
    let done = act();
    fs::remove_dir_all(&etc).unwrap();
    done
}

#[test]
fn an_account_with_a_rule_of_sudo_watches_with_it() {
    let Some((world, _one)) = lab() else { return };
    if !has("sudo") {
        return;
    }
    let rules =
        "Defaults !requiretty\nroot ALL=(ALL) ALL\nwatcher ALL=(root) NOPASSWD: /usr/bin/tcpdump\n";
    with_watcher(world, rules, || {
        let snooper = Snooper::start(world, "");
        let options = snooper.options(&["watcher:eth0"]);
        run_with(world, &snooper.target, &options, THROUGH).expect(PASS);
    });
}

#[test]
fn a_tcpdump_that_is_killed_in_the_window_proves_nothing() {
    let Some((world, _one)) = lab() else { return };
    let snooper = Snooper::start(world, "");
    let options = snooper.options(&["snooper:eth0"]);
    let mut arguments = vec!["--expect-encrypted", "dasher"];
    arguments.extend(&options);
    let line = format!("T='{}'; {THROUGH}; sleep 4", world.program().display());
    arguments.extend(["--", "bash", "-c", &line]);
    let mut running = start(world, &snooper.target, &arguments);
    running.await_line("watching until");
    world.sh(Host::Snooper, "kill -KILL $(pgrep -x tcpdump)");
    running.await_line("snooper:eth0 is lost");
    running.end().expect(INCONCLUSIVE).spoiled_by("vantage-lost").spoiled_by("drops-unknown");
    wait_until(
        || world.sh(Host::Snooper, "pgrep -x tcpdump || true").is_empty(),
        || "a tcpdump is left on the snooper".to_owned(),
    );
}

#[test]
fn a_vantage_whose_connection_breaks_proves_nothing_and_leaves_no_tcpdump() {
    let Some((world, _one)) = lab() else { return };
    let snooper = Snooper::start(world, "");
    let options = snooper.options(&["snooper:eth0"]);
    let mut arguments = vec!["--expect-encrypted", "dasher"];
    arguments.extend(&options);
    let line = format!("T='{}'; {THROUGH}; sleep 4", world.program().display());
    arguments.extend(["--", "bash", "-c", &line]);
    let mut running = start(world, &snooper.target, &arguments);
    running.await_line("watching until");
    snooper.sshd.cut_connections();
    running.await_line("snooper:eth0 is lost");
    running.end().expect(INCONCLUSIVE).spoiled_by("vantage-lost");
    wait_until(
        || world.sh(Host::Snooper, "pgrep -x tcpdump || true").is_empty(),
        || "a tcpdump is left on the snooper".to_owned(),
    );
}

#[test]
fn a_vantage_with_a_changed_host_key_is_refused() {
    let Some((world, _one)) = lab() else { return };
    let snooper = Snooper::start(world, "");
    let other = fs::read_to_string(world.at("other_key.pub")).unwrap();
    fs::write(world.at("snooper_known_hosts"), format!("[10.77.0.99]:{PORT} {other}")).unwrap();
    let options = snooper.options(&["snooper:eth0"]);
    run_with(world, &snooper.target, &options, THROUGH).expect(COULD_NOT_RUN).says("has changed");
}

#[test]
fn what_the_other_kernel_drops_spoils_a_pass() {
    let Some((world, _one)) = lab() else { return };
    let snooper = Snooper::start(world, "");
    let options = snooper.options(&["snooper:eth0"]);
    // A tcpdump that is stopped while more goes by than its buffer holds.
    let line = format!(
        "{THROUGH}; {KNOW_VOID}; \
         ip netns exec {snooper} sh -c 'kill -STOP $(pgrep -x tcpdump)'; \
         dd if=/dev/zero bs=1400 count=24000 status=none >/dev/udp/{VOID}/9; echo \"dd: $?\" >&2; \
         ip netns exec {snooper} sh -c 'kill -CONT $(pgrep -x tcpdump)'; sleep 0.5",
        snooper = world.netns(Host::Snooper),
    );
    run_with(world, &snooper.target, &options, &line)
        .expect(INCONCLUSIVE)
        .spoiled_by("kernel-drops");
}
