//! What keeps a run from starting: exit status 2, and what to do about it.

use crate::check::{COULD_NOT_RUN, PASS, run, run_with, spawn};
use crate::target::TargetFile;
use crate::world::{Host, lab};
use std::fs;
use std::process::Command;

const ROOT: &str = "root@10.77.0.20";
const THROUGH: &str = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";

#[test]
fn a_changed_host_key_is_refused_with_both_fingerprints() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let other = fs::read_to_string(world.at("other_key.pub")).unwrap();
    fs::write(world.at("known_hosts"), format!("10.77.0.20 {other}")).unwrap();
    let listed =
        Command::new("ssh-keygen").arg("-lf").arg(world.at("other_key.pub")).output().unwrap();
    let expected = String::from_utf8(listed.stdout).unwrap();
    let expected = expected.split_whitespace().nth(1).unwrap();
    run_with(world, &config, &[], THROUGH)
        .expect(COULD_NOT_RUN)
        .says(&world.fingerprint())
        .says(expected);
}

#[test]
fn an_unknown_host_key_needs_a_person_or_the_fingerprint() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    fs::write(world.at("known_hosts"), "").unwrap();
    let key = world.fingerprint();
    run_with(world, &config, &[], THROUGH)
        .expect(COULD_NOT_RUN)
        .says(&format!("--accept-host-key {key}"));
    let wrong = format!("SHA256:{}", "A".repeat(43));
    run_with(world, &config, &["--accept-host-key", &wrong], THROUGH)
        .expect(COULD_NOT_RUN)
        .says(&key);
    run_with(world, &config, &["--accept-host-key", &key], THROUGH).expect(PASS);
    // It was kept.
    run_with(world, &config, &[], THROUGH).expect(PASS);
}

#[test]
fn a_key_that_the_gateway_does_not_know_is_refused() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).replace("user_key", "other_key").write(world);
    run_with(world, &config, &[], THROUGH).expect(COULD_NOT_RUN).says("other_key");
}

#[test]
fn a_gateway_that_offers_nothing_but_weak_ciphers_is_refused() {
    let Some((world, _one)) = lab() else { return };
    let _sshd = world.sshd(Host::Gateway, 2225, "Ciphers 3des-cbc\nMACs hmac-sha1\n");
    let config = TargetFile::blitzmail(world, "root@10.77.0.20:2225").write(world);
    run_with(world, &config, &[], THROUGH).expect(COULD_NOT_RUN).says("3des-cbc");
}

#[test]
fn a_taken_mouth_names_its_holder() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT)
        .replace("port = 902\n", "port = 902\nlisten = \"127.0.0.1:902\"\n")
        .write(world);
    let _holder =
        world.part(Host::Client, &["mail-servers", "--at", "127.0.0.1", "--without-pop3"]);
    run_with(world, &config, &[], THROUGH)
        .expect(COULD_NOT_RUN)
        .says("127.0.0.1:902")
        .says("tunnelcheck (pid ");
}

#[test]
fn a_user_who_may_not_capture_gets_the_exact_remedy() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut command = world.on(Host::Client, "setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(world.program());
    command.args(["--expect-encrypted", "dasher", "--config"]).arg(&config);
    command.args(["--for", "1s"]);
    let key = world.at("user_key");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let answer = spawn(world, command).end();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    answer.expect(COULD_NOT_RUN).says("setcap cap_net_raw").says("eth0");
}

#[test]
fn an_interface_that_does_not_exist_is_named_with_those_that_do() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run(world, &config, &["--expect-encrypted", "dasher", "-i", "eth7", "--for", "1s"])
        .expect(COULD_NOT_RUN)
        .says("eth7")
        .says("eth0");
}
