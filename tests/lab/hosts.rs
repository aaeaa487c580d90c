//! The hosts file where it is hardest: bound over /etc/hosts, on a full file system, under kill -9; and what it is for.

use crate::target::TargetFile;
use crate::world::{GATEWAY, Host, MAIL, Server, World, lab, text, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A second mail server, on the same ports as the first.
const MAIL2: &str = "10.77.1.31";

/// DND and BlitzMail of two servers, a POP3 of each, told apart by name alone.
fn two_servers(world: &World) -> PathBuf {
    let at = |address: &str| format!("address = [\"{address}\"]");
    let both = format!("address = [\"{MAIL}\", \"fd77:1::30\"]\n");
    let mut file = TargetFile::builtin(world, "dasher", "root@10.77.0.20")
        .service("pop", "pop3", "dasher.Dartmouth.EDU", 110, "")
        .replace(&both, &format!("{}\n", at(MAIL)));
    file = file
        .service("pop2", "pop3", "dancer.dartmouth.edu", 110, "aliases = [\"Blitz2\"]")
        .replace(&both, &format!("{}\n", at(MAIL2)));
    file.write(world)
}

fn hosts(world: &World, config: &Path, arguments: &[&str]) -> Output {
    let mut command = world.on(Host::Client, world.program());
    command.arg("--config").arg(config).args(["hosts", "dasher"]).args(arguments).output().unwrap()
}

fn done(output: &Output) -> String {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

fn refused(output: &Output, what: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(what) && said.contains("remedy: "), "{said}");
}

/// Leftovers beside /etc/hosts, which `ip netns exec` does not hide.
fn left_in_etc() -> Vec<String> {
    fs::read_dir("/etc")
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap_or_default())
        .filter(|name| name.contains("tunnelcheck"))
        .collect()
}

#[test]
fn a_bound_hosts_file_is_written_in_place_and_comes_back() {
    let Some((world, _one)) = lab() else { return };
    let config = two_servers(world);
    let file = world.hosts_file(Host::Client);
    let kept = fs::read(&file).unwrap();
    let before = format!("127.0.0.1 localhost\r\n{GATEWAY} nimbus.dartmouth.edu\n\u{fffd} odd");
    let before = [before.as_bytes(), b"\xff\0"].concat();
    fs::write(&file, &before).unwrap();
    let said = done(&hosts(world, &config, &["--apply"]));
    assert!(said.contains("written into /etc/hosts, in place"), "{said}");
    // Each family that a client may ask for: an answer in one alone would send the other to the DNS. `getent hosts`
    // asks for IPv6 alone first.
    for (database, prefix) in [("ahostsv4", ""), ("hosts", "::ffff:")] {
        for (names, address) in [
            (&["dasher", "dasher.dartmouth.edu", "dasher.Dartmouth.EDU."][..], "127.0.0.1"),
            (&["dancer.dartmouth.edu", "DANCER", "blitz2"], "127.0.0.2"),
        ] {
            for name in names {
                let line = format!("getent {database} {name} | cut -d' ' -f1 | sort -u");
                assert_eq!(
                    world.sh(Host::Client, &line).trim(),
                    format!("{prefix}{address}"),
                    "{name}"
                );
            }
        }
    }
    let once = fs::read(&file).unwrap();
    assert!(done(&hosts(world, &config, &["--apply"])).contains("there already"));
    assert_eq!(fs::read(&file).unwrap(), once);
    let show = hosts(world, &config, &["--show", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&show.stdout).unwrap();
    assert_eq!(json["state"], "applied");
    assert!(
        String::from_utf8_lossy(&once)
            .contains(json["block"].as_str().unwrap().split_once('\n').unwrap().1)
    );
    done(&hosts(world, &config, &["--revert"]));
    assert_eq!(fs::read(&file).unwrap(), before);

    // Somebody's own line is in the way.
    let other = format!("127.0.0.1 localhost\n{MAIL} dasher.dartmouth.edu\n");
    fs::write(&file, &other).unwrap();
    refused(
        &hosts(world, &config, &["--apply"]),
        "line 2 of the hosts file leads \"dasher.dartmouth.edu\"",
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), other);
    fs::write(&file, kept).unwrap();
    assert_eq!(left_in_etc(), Vec::<String>::new());
}

#[test]
fn two_servers_on_one_port_are_each_reached_by_name() {
    let Some((world, _one)) = lab() else { return };
    let config = two_servers(world);
    world.sh(Host::Mail, &format!("ip addr add {MAIL2}/24 dev eth0"));
    let second = world.part(Host::Mail, &["mail-servers", "--at", MAIL2]);
    let gateway_hosts = world.hosts_file(Host::Gateway);
    let before = fs::read_to_string(&gateway_hosts).unwrap();
    fs::write(&gateway_hosts, format!("{before}{MAIL2} dancer.dartmouth.edu\n")).unwrap();
    let client_hosts = fs::read(world.hosts_file(Host::Client)).unwrap();
    // What the lab put there leads the name to the server itself.
    fs::write(world.hosts_file(Host::Client), "127.0.0.1 localhost\n").unwrap();
    done(&hosts(world, &config, &["--apply"]));

    let said = world.at("two.err");
    let mut command = world.on(Host::Client, world.program());
    command.env("XDG_RUNTIME_DIR", world.at("home")).arg("--config").arg(&config);
    command.args(["tunnel", "dasher"]).stderr(fs::File::create(&said).unwrap());
    let tunnel = Server::of(command.spawn().unwrap());
    wait_until(
        || fs::read_to_string(&said).is_ok_and(|said| said.contains("up: ")),
        || fs::read_to_string(&said).unwrap_or_default(),
    );
    let greeting = |name: &str| {
        let line = format!("exec 3<>/dev/tcp/{name}/110; read -r line <&3; echo \"$line\"");
        let output = world.on(Host::Client, "bash").args(["-c", &line]).output().unwrap();
        text(&output.stdout).trim().to_owned()
    };
    let (first, other) = (greeting("dasher.dartmouth.edu"), greeting("dancer.dartmouth.edu"));
    let short = (greeting("dasher"), greeting("blitz2"));
    drop(tunnel);
    let back = hosts(world, &config, &["--revert"]);
    fs::write(world.hosts_file(Host::Client), client_hosts).unwrap();
    fs::write(&gateway_hosts, before).unwrap();
    drop(second);
    world.sh(Host::Mail, &format!("ip addr del {MAIL2}/24 dev eth0"));
    done(&back);
    assert!(first.starts_with("+OK Dovecot"), "{first:?}");
    assert!(other.starts_with("+OK") && !other.contains("Dovecot"), "{other:?}");
    assert_eq!(short, (first, other));
}

/// A shell on the client whose folder `$D` is a file system of its own, with this many octets; gone with the shell.
fn on_small_disk(world: &World, size: &str, line: &str) -> Output {
    let disk = world.at("disk");
    fs::create_dir_all(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={size} none {disk} || exit 99; D={disk}; T='{}'; W={}; {line}",
        world.program().display(),
        world.at("home").display(),
        disk = disk.display(),
    );
    Command::new("unshare")
        .args(["-m", "--propagation", "private", "bash", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_full_disk_leaves_the_file_as_it_is() {
    let Some((world, _one)) = lab() else { return };
    let config = two_servers(world);
    let apply = format!("\"$T\" --config {} hosts dasher --apply --hosts-file", config.display());
    // Octets are left for a part of what is to be written: 0 to 3 pages of a file system of 16.
    for pages in 0..=3 {
        let fill = format!("head -c $((65536 - 4096 * {pages} - 4096)) /dev/zero >$D/fill; ");
        for (what, file, bind) in [
            ("replaced", "$D/hosts", "true"),
            ("in place", "$W/bound", "touch $W/bound; mount --bind $D/hosts $W/bound"),
        ] {
            // A file of a whole page: another page is needed for each octet more.
            let make = "printf '127.0.0.1 localhost\\n#%4074s' x >$D/hosts; ";
            let line = format!(
                "{make}{bind}; {fill} sum=$(sha256sum <{file}); {apply} {file}; status=$?; \
                 now=$(sha256sum <{file}); rm $D/fill; ls -A $D >&2; \
                 if [ $status = 2 ]; then [ \"$sum\" = \"$now\" ] || exit 50; \
                 else [ $status = 0 ] && grep -q 'END tunnelcheck dasher' {file} || exit 51; fi; \
                 {apply} {file} || exit 52; \
                 \"$T\" hosts dasher --revert --hosts-file {file} || exit 53; \
                 [ \"$sum\" = \"$(sha256sum <{file})\" ] || exit 54; [ \"$(ls -A $D)\" = hosts ] || exit 55; exit $((60 + status))"
            );
            let output = on_small_disk(world, "64k", &line);
            let said = text(&output.stderr);
            let status = output.status.code();
            assert!(matches!(status, Some(60 | 62)), "{what}, {pages} pages: {status:?} {said}");
            if pages == 0 {
                assert_eq!(status, Some(62), "{what}: nothing was full: {said}");
                assert!(said.contains("make room on that file system"), "{said}");
            }
        }
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    let Some((world, _one)) = lab() else { return };
    let config = two_servers(world);
    let apply = format!("\"$T\" --config {} hosts dasher --apply --hosts-file", config.display());
    let refused_as = |line: &str, what: &str| {
        let output =
            on_small_disk(world, "1m", &format!("echo '127.0.0.1 localhost' >$D/hosts; {line}"));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.contains(what) && said.contains("remedy: "), "{line}: {said}");
    };
    refused_as(&format!("mount -o remount,ro $D; {apply} $D/hosts"), "Read-only file system");
    refused_as(&format!("mkfifo $D/pipe; {apply} $D/pipe"), "is no regular file");
    refused_as(&format!("ln -s nowhere $D/link; {apply} $D/link"), "No such file");
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    refused_as(&format!("chmod 644 $D/hosts; {nobody} {apply} $D/hosts"), "Permission denied");
    refused_as(
        &format!(
            "chmod 777 $D; chown 65534 $D $D/hosts; chmod 444 $D/hosts; {nobody} {apply} $D/hosts"
        ),
        "Permission denied",
    );
    // A file that may be written in a folder that may not.
    let line = format!(
        "chown 65534 $D/hosts; chmod 755 $D; {nobody} {apply} $D/hosts >&2 && grep -q END $D/hosts && \
         {nobody} \"$T\" hosts dasher --revert --hosts-file $D/hosts >&2 && \
         [ \"$(cat $D/hosts)\" = '127.0.0.1 localhost' ]"
    );
    let output =
        on_small_disk(world, "1m", &format!("echo '127.0.0.1 localhost' >$D/hosts; {line}"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("in place"), "{}", text(&output.stderr));
}

/// Runs of the program that are killed at any moment; after each the file is one of these two, or the next run says that
/// it has undone what was cut short.
fn killed_at_random(world: &World, config: &Path, file: &Path, rounds: u32) {
    let before = fs::read(file).unwrap();
    let run = |action: &str| -> Command {
        let mut command = Command::new(world.program());
        command
            .arg("--config")
            .arg(config)
            .args(["hosts", "dasher", action, "--hosts-file"])
            .arg(file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let start = Instant::now();
    assert!(run("--apply").status().unwrap().success());
    let whole_run = start.elapsed();
    let applied = fs::read(file).unwrap();
    assert_ne!(applied, before);
    let kill_after = |mut child: Child, wait: Duration| {
        let start = Instant::now();
        while start.elapsed() < wait {
            std::hint::spin_loop();
        }
        let _ = child.kill();
        let _ = child.wait();
    };
    let (mut seen_before, mut seen_applied) = (0, 0);
    for round in 0..rounds {
        let action = if fs::read(file).unwrap() == before { "--apply" } else { "--revert" };
        let wait = whole_run * (round % 97) / 80;
        kill_after(run(action).spawn().unwrap(), wait);
        let now = fs::read(file).unwrap();
        if now == before {
            seen_before += 1;
        } else if now == applied {
            seen_applied += 1;
        } else {
            panic!("round {round}, {action}: neither the one nor the other: {}", text(&now));
        }
    }
    assert!(
        seen_before > rounds / 20 && seen_applied > rounds / 20,
        "{seen_before} {seen_applied}"
    );
    assert!(run("--revert").status().unwrap().success());
    assert_eq!(fs::read(file).unwrap(), before);
}

#[test]
fn a_run_that_is_killed_leaves_the_one_or_the_other() {
    let Some((world, _one)) = lab() else { return };
    let config = two_servers(world);
    let folder = world.at("killed");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("hosts");
    fs::write(&file, "127.0.0.1 localhost\n".repeat(2000)).unwrap();
    killed_at_random(world, &config, &file, 300);
    let names = || -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["hosts"], "what killed runs have left is taken away by the next");
    // A second name: it can only be written in place.
    fs::hard_link(&file, folder.join("other")).unwrap();
    killed_at_random(world, &config, &file, 300);
    let left: Vec<String> = names().into_iter().filter(|name| name.contains("journal")).collect();
    assert_eq!(left, Vec::<String>::new());
    fs::remove_dir_all(folder).unwrap();
}
