//! The client goes past the tunnel: FAIL, and it says where.

use crate::check::{FAIL, PASS, run_with};
use crate::target::TargetFile;
use crate::world::lab;

const ROOT: &str = "root@10.77.0.20";

#[test]
fn a_client_that_goes_past_the_tunnel_fails() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let line = "$T lab user dnd@10.77.1.30:902 blitzmail@10.77.1.30:2151";
    run_with(world, &config, &[], line)
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .claim("no-identifier", "broken", "")
        .claim("no-cleartext", "broken", "")
        .claim("tunnel", "holds", "")
        .tells("10.77.1.30");
}

#[test]
fn a_service_beside_a_used_tunnel_fails_and_is_named() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run_with(world, &config, &[], "$T lab user dnd@127.0.0.1:902 blitzmail@10.77.1.30:2151")
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .tells("the client reached the service \\\"mail\\\" beside the tunnel");
}

#[test]
fn a_bypass_by_ipv6_fails() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run_with(world, &config, &[], "$T lab user dnd@[fd77:1::30]:902 blitzmail@127.0.0.1:2151")
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .claim("no-identifier", "broken", "")
        .tells("fd77:1::30");
}

#[test]
fn a_notify_datagram_beside_a_good_tunnel_fails() {
    let Some((world, _one)) = lab() else { return };
    let file = TargetFile::blitzmail(world, ROOT);
    let config = file.service("notify", "notify", "dasher.dartmouth.edu", 2154, "").write(world);
    let line = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151 notify@10.77.1.30:2154";
    run_with(world, &config, &[], line)
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .tells("ssh cannot forward UDP");
}

#[test]
fn bulletins_that_are_exempt_pass_and_are_listed() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).exempt_bulletins().write(world);
    let line = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151 bulletins@10.77.1.30:1119";
    run_with(world, &config, &[], line).expect(PASS).tells("\"role\": \"exempt").tells("1119");
}
