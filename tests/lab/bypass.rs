//! The client goes past the tunnel: FAIL, and it says where.

use crate::check::{FAIL, INCONCLUSIVE, PASS, run_with};
use crate::target::TargetFile;
use crate::world::lab;
use std::fs;

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
fn a_service_whose_name_moves_while_it_is_watched_is_found() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    // Where the services are, their names alone tell; what is said holds no identifier, and no name is asked on the wire.
    let text = fs::read_to_string(&config).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("address = "));
    fs::write(&config, lines.fold(String::new(), |all, line| all + line + "\n")).unwrap();
    let names = |at: &str| {
        format!(
            "127.0.0.1 localhost\n10.77.0.20 nimbus.dartmouth.edu\n{at} dnd.dartmouth.edu dasher.dartmouth.edu\n"
        )
    };
    let moved = names("10.77.1.30").replace('\n', "\\n");
    let line = format!(
        "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151; printf '{moved}' >/etc/hosts; \
         exec 3<>/dev/tcp/dasher.dartmouth.edu/2151; echo 'a letter that anybody can read' >&3; sleep 0.3"
    );
    world.with_client_hosts(&names("10.77.1.31"), || {
        run_with(world, &config, &[], &line)
            .expect(FAIL)
            .claim("no-bypass", "broken", "bypass")
            .tells("10.77.1.30");
    });
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

#[test]
fn services_known_by_name_alone_are_found_on_the_wire() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).without_addresses().write(world);
    let through = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";
    run_with(world, &config, &[], through).expect(PASS);
    run_with(world, &config, &[], "$T lab user dnd@10.77.1.30:902 blitzmail@127.0.0.1:2151")
        .expect(FAIL)
        .claim("no-bypass", "broken", "bypass");
}

#[test]
fn names_aliased_to_the_mouths_hide_where_the_services_are() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).without_addresses().write(world);
    // The first paper's hosts file.
    let names = "127.0.0.1 localhost dnd.dartmouth.edu dasher.dartmouth.edu\n";
    let judge = |line: &str| world.with_client_hosts(names, || run_with(world, &config, &[], line));
    judge("$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151").expect(INCONCLUSIVE).claim(
        "no-bypass",
        "unproven",
        "service-address-unknown",
    );
    judge("$T lab user dnd@10.77.1.30:902 blitzmail@127.0.0.1:2151").expect(FAIL).claim(
        "no-identifier",
        "broken",
        "",
    );
}
