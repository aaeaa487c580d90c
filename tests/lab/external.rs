//! The tunnel is somebody else's: only the wire is judged.

use crate::check::{FAIL, INCONCLUSIVE, PASS, run_with};
use crate::target::TargetFile;
use crate::world::{Host, World, lab};

/// A shell line that brings up OpenSSH's tunnel, runs the rest, and ends the tunnel.
pub(crate) fn with_ssh(world: &World, options: &str, rest: &str) -> String {
    format!(
        "ssh -F none -i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -N {options} \
         -L 902:dnd.dartmouth.edu:902 -L 2151:dasher.dartmouth.edu:2151 root@10.77.0.20 & tunnel=$!; \
         for i in $(seq 100); do ss -Hltn 'sport = :2151' | grep -q . && break; sleep 0.05; done; \
         {rest}; sleep 0.2; kill $tunnel; wait $tunnel || true",
        world.at("user_key").display()
    )
}

const THROUGH: &str = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";

#[test]
fn mail_through_openssh_passes_and_beside_it_fails() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::external("dasher", "10.77.0.20").services().write(world);
    run_with(world, &config, &[], &with_ssh(world, "", THROUGH))
        .expect(PASS)
        .claim("carried", "holds", "");
    let beside = "$T lab user dnd@127.0.0.1:902 blitzmail@10.77.1.30:2151";
    run_with(world, &config, &[], &with_ssh(world, "", beside)).expect(FAIL).claim(
        "no-bypass",
        "broken",
        "bypass",
    );
}

#[test]
fn a_tunnel_that_was_up_before_the_window_is_not_seen_to_agree_on_a_cipher() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::external("dasher", "10.77.0.20").services().write(world);
    let mut command = world.on(Host::Client, "bash");
    let line = format!("T={}; {}", world.program().display(), with_ssh(world, "", "sleep 30"));
    let tunnel = crate::world::Server::of(command.args(["-c", &line]).spawn().unwrap());
    world.await_port(Host::Client, 2151);
    let answer = run_with(world, &config, &[], THROUGH);
    drop(tunnel);
    answer.expect(INCONCLUSIVE).claim("carried", "unproven", "");
}

#[test]
fn an_ssh_transport_without_encryption_fails() {
    let Some((world, _one)) = lab() else { return };
    let _gateway = world.part(
        Host::Gateway,
        &[
            "gateway",
            "--at",
            "10.77.0.20:2222",
            "--plain",
            "--name",
            "dnd.dartmouth.edu=10.77.1.30",
        ],
    );
    let config = TargetFile::external("dasher", "10.77.0.20:2222")
        .service("dnd", "dnd", "dnd.dartmouth.edu", 902, "")
        .write(world);
    let line = "(sleep 2.5 | $T lab plain-client --gateway 10.77.0.20:2222 --plain \
                --forward 127.0.0.1:902=dnd.dartmouth.edu:902) >/dev/null & \
                for i in $(seq 100); do ss -Hltn 'sport = :902' | grep -q . && break; sleep 0.05; done; \
                $T lab user dnd@127.0.0.1:902; wait";
    run_with(world, &config, &[], line)
        .expect(FAIL)
        .claim("carried", "broken", "null-cipher")
        .claim("no-identifier", "broken", "");
}

#[test]
fn weak_algorithms_are_a_warning_and_a_failure_when_strict() {
    let Some((world, _one)) = lab() else { return };
    let _sshd = world.sshd(Host::Gateway, 2224, "Ciphers 3des-cbc\nMACs hmac-sha1\n");
    let config = TargetFile::external("dasher", "10.77.0.20:2224").services().write(world);
    let line = with_ssh(world, "-p 2224 -c 3des-cbc -m hmac-sha1", THROUGH);
    run_with(world, &config, &[], &line).expect(PASS).claim("carried", "warned", "weak-crypto");
    run_with(world, &config, &["--strict"], &line).expect(FAIL).claim(
        "carried",
        "broken",
        "weak-crypto",
    );
}
