//! Something was not seen, or not used: never PASS.

use crate::check::{FAIL, INCONCLUSIVE, PASS, run, run_with, start};
use crate::target::TargetFile;
use crate::world::{Host, KNOW_VOID, VOID, lab, wait_until};
use std::thread::sleep;
use std::time::Duration;

const ROOT: &str = "root@10.77.0.20";
const THROUGH: &str = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";

#[test]
fn a_tunnel_that_nobody_used_is_inconclusive() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run(world, &config, &["--expect-encrypted", "dasher", "--for", "2s"])
        .expect(INCONCLUSIVE)
        .claim("tunnel", "holds", "")
        .claim("carried", "unproven", "nobody-used-the-tunnel");
}

#[test]
fn a_service_that_nobody_used_is_named() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run_with(world, &config, &[], "$T lab user dnd@127.0.0.1:902")
        .expect(PASS)
        .tells("nobody used the forward \\\"mail\\\"");
}

#[test]
fn the_wrong_interface_is_inconclusive() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run_with(world, &config, &["-i", "other0"], THROUGH)
        .expect(INCONCLUSIVE)
        .spoiled_by("control-not-seen")
        .claim("carried", "unproven", "");
}

#[test]
fn two_interfaces_of_which_one_leads_nowhere_are_inconclusive() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run_with(world, &config, &["-i", "eth0", "-i", "other0"], THROUGH)
        .expect(INCONCLUSIVE)
        .spoiled_by("control-not-seen");
}

#[test]
fn a_service_whose_route_leaves_by_an_interface_that_is_not_watched_is_inconclusive() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT)
        .replace("\"fd77:1::30\"]", "\"192.0.2.55\"]")
        .write(world);
    run_with(world, &config, &["-i", "eth0"], THROUGH)
        .expect(INCONCLUSIVE)
        .spoiled_by("unwatched-route");
}

#[test]
fn loopback_is_the_wrong_place_to_stand() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run_with(world, &config, &["-i", "lo"], THROUGH)
        .expect(INCONCLUSIVE)
        .spoiled_by("wrong-vantage");
}

#[test]
fn frames_that_the_kernel_dropped_are_inconclusive() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    // The reader is stopped while a burst fills its buffer: frames are lost whatever the machine's speed.
    let line = format!(
        "{THROUGH}; {KNOW_VOID}; kill -STOP $PPID; dd if=/dev/zero bs=1400 count=4000 status=none >/dev/udp/{VOID}/9; \
         kill -CONT $PPID; sleep 0.3"
    );
    let answer = run_with(world, &config, &["--buffer", "64"], &line)
        .expect(INCONCLUSIVE)
        .spoiled_by("kernel-drops");
    let json = answer.json();
    let dropped = json["coverage"]["drops"].as_str().and_then(|drops| drops.parse::<u64>().ok());
    let dropped = dropped.unwrap_or_else(|| panic!("no number: {}", answer.told()));
    // A buffer of 64 KiB holds some forty of these frames.
    assert!(dropped > 3000, "{dropped} dropped: {}", answer.told());
    answer.tells(&format!("the kernel dropped {dropped} frames"));
}

#[test]
fn a_hit_decides_whatever_the_kernel_dropped() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let line = format!(
        "$T lab user dnd@10.77.1.30:902; sleep 0.3; {KNOW_VOID}; kill -STOP $PPID; \
         dd if=/dev/zero bs=1400 count=4000 status=none >/dev/udp/{VOID}/9; kill -CONT $PPID; sleep 0.3"
    );
    run_with(world, &config, &["--buffer", "64"], &line).expect(FAIL).spoiled_by("kernel-drops");
}

#[test]
fn a_tunnel_killed_in_the_window_is_never_a_pass() {
    let Some((world, _one)) = lab() else { return };
    let sshd = world.sshd(Host::Gateway, 2210, "");
    let config = TargetFile::blitzmail(world, "root@10.77.0.20:2210").write(world);
    let mut running = start(world, &config, &["--expect-encrypted", "dasher", "--for", "3s"]);
    running.await_window();
    world.user(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"]);
    sshd.cut_connections();
    running.end().expect(INCONCLUSIVE).claim("tunnel", "unproven", "tunnel-lost");
}

#[test]
fn a_client_that_goes_direct_when_the_tunnel_dies_fails() {
    let Some((world, _one)) = lab() else { return };
    let sshd = world.sshd(Host::Gateway, 2211, "");
    let config = TargetFile::blitzmail(world, "root@10.77.0.20:2211").write(world);
    let mut running = start(world, &config, &["--expect-encrypted", "dasher", "--for", "4s"]);
    running.await_window();
    world.user(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"]);
    sshd.cut_connections();
    sleep(Duration::from_millis(300));
    let refused = world.try_user(&["dnd@127.0.0.1:902"]);
    assert!(!refused.status.success(), "a dead tunnel still carries");
    world.user(&["dnd@10.77.1.30:902", "blitzmail@10.77.1.30:2151"]);
    running
        .end()
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass")
        .claim("no-identifier", "broken", "")
        .claim("tunnel", "unproven", "tunnel-lost");
}

#[test]
fn a_line_that_is_cut_in_the_window_is_never_a_pass() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let mut running = start(world, &config, &["--expect-encrypted", "dasher", "--for", "3s"]);
    running.await_window();
    world.user(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"]);
    world.sh(Host::Hub, "ip link set v-gateway down");
    let answer = running.end();
    world.sh(Host::Hub, "ip link set v-gateway up");
    // What the two ends still had to tell each other is not to meet the next test.
    let left =
        || world.sh(Host::Client, "ss -Htan state connected exclude time-wait dst 10.77.0.20");
    wait_until(|| left().trim().is_empty(), || format!("connections do not end: {}", left()));
    answer.expect(INCONCLUSIVE).claim("carried", "unproven", "tunnel-token-not-sent");
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    run_with(world, &config, &[], THROUGH).expect(PASS);
}
