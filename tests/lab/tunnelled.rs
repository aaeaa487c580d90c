//! The client goes through the tunnel: PASS.

use crate::check::{FAIL, INCONCLUSIVE, INTERRUPTED, PASS, list, run, run_with, start};
use crate::target::{TargetFile, write_all};
use crate::world::{Host, lab};
use std::fs;

const ROOT: &str = "root@10.77.0.20";
const THROUGH: &str = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";

#[test]
fn mail_through_the_tunnel_passes() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let answer = run_with(world, &config, &[], THROUGH)
        .expect(PASS)
        .claim("tunnel", "holds", "")
        .claim("carried", "holds", "")
        .claim("no-bypass", "holds", "")
        .claim("no-identifier", "holds", "")
        .claim("no-cleartext", "holds", "");
    let json = answer.json();
    assert_eq!(json["command"]["status"], "exit status: 0");
    assert_eq!(json["coverage"]["drops"], "none");
    assert!(list(&json["targets"][0]["control"]).iter().all(|token| token["sent"] == true));
}

#[test]
fn the_gateway_by_name_and_by_ipv6_passes() {
    let Some((world, _one)) = lab() else { return };
    for gateway in ["root@nimbus.dartmouth.edu", "root@[fd77::20]:22"] {
        let config = TargetFile::blitzmail(world, gateway).write(world);
        run_with(world, &config, &[], THROUGH).expect(PASS);
    }
}

#[test]
fn pop3_of_a_real_server_through_the_tunnel_passes() {
    let Some((world, _one)) = lab() else { return };
    let file = TargetFile::builtin(world, "dasher", ROOT);
    let config = file
        .service("pop", "pop3", "dasher.dartmouth.edu", 110, "listen = \"127.0.0.1:2003\"")
        .write(world);
    run_with(world, &config, &[], "$T lab user pop3@127.0.0.1:2003").expect(PASS);
    run_with(world, &config, &[], "$T lab user pop3@10.77.1.30:110")
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .claim("no-identifier", "broken", "");
}

#[test]
fn a_jump_host_on_the_way_passes() {
    let Some((world, _one)) = lab() else { return };
    let file = TargetFile::blitzmail(world, "root@10.77.1.30")
        .replace("identity_agent", "proxy_jump = \"root@10.77.0.20\"\nidentity_agent");
    let config = file.write(world);
    // What belongs to the hop stands in ssh_config, as with ssh -J.
    let hop = world.at("hop_config");
    let keys = ["user_key", "known_hosts"].map(|name| world.at(name).display().to_string());
    let text =
        format!("Host 10.77.0.20\n  IdentityFile {}\n  UserKnownHostsFile {}\n", keys[0], keys[1]);
    fs::write(&hop, text).unwrap();
    run_with(world, &config, &["--ssh-config", hop.to_str().unwrap()], THROUGH)
        .expect(PASS)
        .claim("carried", "holds", "");
}

#[test]
fn a_host_block_of_ssh_config_is_a_target() {
    let Some((world, _one)) = lab() else { return };
    drop(TargetFile::builtin(world, "unused", ROOT)); // writes known_hosts
    let config = world.at("no-targets.toml");
    fs::write(&config, "").unwrap();
    let ssh_config = world.at("ssh_config");
    fs::write(
        &ssh_config,
        format!(
            "Host incoming_mail   # the second paper's alias\n  HostName 10.77.0.20\n  User root\n  IdentityFile {}\n  \
             UserKnownHostsFile {}\n  LocalForward 2003 localhost:110\n  KeepAlive yes\n  ServerAliveInterval 5\n",
            world.at("user_key").display(),
            world.at("known_hosts").display()
        ),
    )
    .unwrap();
    let program = world.program();
    let judge = |mouth: &str| {
        let mut command = world.on(Host::Client, &program);
        command.current_dir(world.at("home")).arg("--ssh-config").arg(&ssh_config);
        command.args([
            "--format",
            "json",
            "--identifier",
            "jsmith",
            "--expect-encrypted",
            "incoming_mail",
            "--",
        ]);
        command.arg(&program).args(["lab", "user", mouth]);
        crate::check::spawn(world, command).end()
    };
    judge("pop3@127.0.0.1:2003").expect(PASS);
    judge("pop3@10.77.0.20:110").expect(FAIL).claim("no-bypass", "broken", "bypass").claim(
        "no-identifier",
        "broken",
        "",
    );
}

#[test]
fn two_targets_are_judged_together_and_the_worst_decides() {
    let Some((world, _one)) = lab() else { return };
    let first = TargetFile::blitzmail(world, ROOT);
    let second = TargetFile::builtin(world, "pop", ROOT).service(
        "pop",
        "pop3",
        "dasher.dartmouth.edu",
        110,
        "listen = \"127.0.0.1:2003\"",
    );
    let config = write_all(world, &[&first, &second]);
    let both = ["--expect-encrypted", "dasher", "--expect-encrypted", "pop", "--"];
    let program = world.program().display().to_string();
    let judge = |steps: &[&str]| {
        let mut arguments = both.to_vec();
        arguments.extend([program.as_str(), "lab", "user"]);
        arguments.extend(steps);
        run(world, &config, &arguments)
    };
    judge(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151", "pop3@127.0.0.1:2003"]).expect(PASS);
    let json =
        judge(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"]).expect(INCONCLUSIVE).json();
    let verdicts: Vec<_> = list(&json["targets"]).iter().map(|it| it["verdict"].clone()).collect();
    assert_eq!(verdicts, ["pass", "inconclusive"]);
}

#[test]
fn an_interruption_ends_the_window_and_judges() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut running = start(world, &config, &["--expect-encrypted", "dasher", "--for", "60s"]);
    running.await_window();
    world.user(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"]);
    running.interrupt();
    running.end().expect(PASS);
}

#[test]
fn an_interruption_before_the_tunnel_is_up_is_130() {
    let Some((world, _one)) = lab() else { return };
    let silent = world.sshd(Host::Gateway, 2223, "");
    silent.freeze();
    let config = TargetFile::blitzmail(world, "root@10.77.0.20:2223").write(world);
    let mut running = start(world, &config, &["--expect-encrypted", "dasher"]);
    running.await_line("control before: seen");
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.interrupt();
    running.end().expect(INTERRUPTED).says("interrupted before a verdict");
}
