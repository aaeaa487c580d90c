//! A tunnel that is kept up: losses, a gateway that is away, keys that change, signals, a second instance.

use crate::target::TargetFile;
use crate::world::{Host, Server, World, lab, signal, text, wait_until};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Port of the gateway that these tests may end.
const PORT: u16 = 2230;
const GATE: &str = "root@10.77.0.20:2230";
/// How long the program may take to end when told to: more than the moment that open conns have.
const END: Duration = Duration::from_secs(15);

const UP: i32 = 0;
const NONE: i32 = 2;
const DOWN: i32 = 3;

/// `tunnelcheck tunnel dasher`, running on the client.
struct Kept<'a> {
    world: &'a World,
    config: PathBuf,
    child: Child,
    said: PathBuf,
}

impl<'a> Kept<'a> {
    fn start(world: &'a World) -> Self {
        let config = TargetFile::blitzmail(world, GATE).write(world);
        Self::start_with(world, config, &[])
    }

    fn start_with(world: &'a World, config: PathBuf, more: &[&str]) -> Self {
        let said = world.at("kept.err");
        let mut command = program(world, &config);
        command.args(["tunnel", "dasher"]).args(more);
        command.stdout(Stdio::null());
        let child = command.stderr(fs::File::create(&said).unwrap()).spawn().unwrap();
        Self { world, config, child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Waits until it has said this so many times.
    fn await_said(&mut self, what: &str, times: usize) {
        let end = Instant::now() + Duration::from_secs(40);
        while self.said().matches(what).count() < times {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < end,
                "never said {what:?} {times} times ({ended:?}), but:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Exit status and JSON of `--status`.
    fn status(&self) -> (i32, Value) {
        let mut command = program(self.world, &self.config);
        let output =
            command.args(["--format", "json", "tunnel", "dasher", "--status"]).output().unwrap();
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("no state: {}", text(&output.stderr)));
        (output.status.code().unwrap(), json)
    }

    fn signal(&self, name: &str) {
        signal(&format!("-s {name} {}", self.child.id()));
    }

    fn ended(mut self) -> (ExitStatus, String) {
        let end = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.said());
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it, and wants everything to be gone.
    fn end(self) -> String {
        let world = self.world;
        self.signal("TERM");
        let (status, said) = self.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.ends_with("the tunnel of dasher has ended\n"), "{said}");
        nothing_is_left(world);
        said
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program on the client, with a place of its own for states.
fn program(world: &World, config: &Path) -> Command {
    let runtime = world.at("runtime");
    fs::create_dir_all(&runtime).unwrap();
    let mut command = world.on(Host::Client, world.program());
    command.env("XDG_RUNTIME_DIR", runtime).arg("--config").arg(config);
    command.stdin(Stdio::null());
    command
}

fn nothing_is_left(world: &World) {
    let left: Vec<_> = fs::read_dir(world.at("runtime/tunnelcheck")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    for port in [902, 2151] {
        let line = format!("ss -Hltn 'sport = :{port}'");
        assert_eq!(world.sh(Host::Client, &line), "", "port {port} is still open");
    }
}

fn mail_works(world: &World) {
    world.user(&["dnd@127.0.0.1:902", "blitzmail@127.0.0.1:2151"]);
}

/// A mouth that refuses: what comes in is reset, and never gets an octet.
fn mouth_refuses(world: &World) {
    let line = "exec 3<>/dev/tcp/127.0.0.1/902 && cat <&3";
    let output = world.on(Host::Client, "bash").args(["-c", line]).output().unwrap();
    let err = text(&output.stderr);
    assert!(!output.status.success() && err.contains("reset"), "{:?} {err}", text(&output.stdout));
    assert!(output.stdout.is_empty());
}

/// What the wire saw between the client and the mail server.
struct Wire<'a> {
    world: &'a World,
    sniffer: Server,
    seen: PathBuf,
}

impl<'a> Wire<'a> {
    fn watch(world: &'a World) -> Self {
        let seen = world.at("beside.txt");
        let mut command = world.on(Host::Client, "tcpdump");
        command.args(["-n", "-l", "-i", "eth0", "host", "10.77.1.30 or host 192.0.2.66"]);
        let out = fs::File::create(&seen).unwrap();
        let err = world.at("beside.err");
        command.stdout(out).stderr(fs::File::create(&err).unwrap());
        let sniffer = Server::of(command.spawn().unwrap());
        wait_until(
            || fs::read_to_string(&err).is_ok_and(|said| said.contains("listening on")),
            || fs::read_to_string(&err).unwrap_or_default(),
        );
        Self { world, sniffer, seen }
    }

    /// Wants it to have seen nothing; a packet of our own proves that it could see.
    fn saw_nothing(self) {
        let send = "echo x >/dev/udp/10.77.1.30/9";
        let output = self.world.on(Host::Client, "bash").args(["-c", send]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = || fs::read_to_string(&self.seen).unwrap();
        wait_until(|| lines().contains("10.77.1.30.9:"), || "the sniffer sees nothing".to_owned());
        let beside: Vec<String> = lines()
            .lines()
            .filter(|line| {
                line.contains(" IP ") && !line.contains("10.77.1.30.9:") && !line.contains("ICMP")
            })
            .map(str::to_owned)
            .collect();
        drop(self.sniffer);
        assert!(beside.is_empty(), "beside the tunnel: {beside:?}");
    }
}

#[test]
fn a_tunnel_is_kept_up_over_a_loss_and_ends_when_told() {
    let Some((world, _one)) = lab() else { return };
    let sshd = world.sshd(Host::Gateway, PORT, "");
    let mut kept = Kept::start(world);
    kept.await_said("up: 10.77.0.10:", 1);
    mail_works(world);
    // As a client comes that asks for IPv6 alone.
    world.user(&["blitzmail@[::ffff:127.0.0.1]:2151"]);
    let (status, json) = kept.status();
    assert_eq!((status, json["state"].as_str()), (UP, Some("up")));
    assert_eq!(json["pid"], kept.child.id());
    assert_eq!((&json["gateway"], &json["ups"]), (&"10.77.0.20:2230".into(), &1.into()));
    assert_eq!(json["host_key"], world.fingerprint());
    wait_until(
        || kept.status().1["bytes_out"].as_u64().unwrap() > 0,
        || "no octet is counted".to_owned(),
    );
    let file = world.at("runtime/tunnelcheck/dasher.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    for times in 1..=2 {
        sshd.cut_connections();
        kept.await_said("down: ", times);
        kept.await_said("up again, after", times);
        mail_works(world);
    }
    let (status, json) = kept.status();
    assert_eq!((status, &json["ups"]), (UP, &3.into()));
    wait_until(
        || kept.status().1["services"][0]["conns"] == 3,
        || format!("the counters do not stay over a loss: {}", kept.status().1),
    );
    let pid = kept.child.id();
    let mut second = program(world, &kept.config);
    let output = second.args(["tunnel", "dasher"]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("kept up already by process {pid}")), "{said}");
    assert!(kept.status().0 == UP, "the first one is not disturbed");
    let config = kept.config.clone();
    kept.end();
    let mut status = program(world, &config);
    let output = status.args(["tunnel", "dasher", "--status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(NONE));
    assert_eq!(text(&output.stdout), "dasher: no process keeps its tunnel up\n");
}

#[test]
fn while_the_gateway_is_away_the_mouths_refuse_and_nothing_goes_beside() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, GATE).write(world);
    // It is away from the start: that is no reason to end.
    let mut kept = Kept::start_with(world, config, &[]);
    kept.await_said("down: cannot connect to 10.77.0.20:2230", 1);
    let wire = Wire::watch(world);
    mouth_refuses(world);
    let (status, json) = kept.status();
    assert_eq!(status, DOWN, "{json}");
    let sshd = world.sshd(Host::Gateway, PORT, "");
    kept.await_said("up", 2); // "until the tunnel is up", and this
    mail_works(world);
    sshd.end_with_connections();
    let ups = kept.said().matches("up").count();
    kept.await_said("down: ", 2);
    mouth_refuses(world);
    assert!(!world.try_user(&["dnd@127.0.0.1:902"]).status.success());
    assert_eq!(kept.status().0, DOWN);
    let _sshd = world.sshd(Host::Gateway, PORT, "");
    kept.await_said("up", ups + 1);
    mail_works(world);
    wire.saw_nothing();
    kept.end();
}

#[test]
fn a_changed_host_key_ends_it() {
    let Some((world, _one)) = lab() else { return };
    let sshd = world.sshd(Host::Gateway, PORT, "");
    let mut kept = Kept::start(world);
    kept.await_said("up: ", 1);
    sshd.end_with_connections();
    kept.await_said("down: ", 1);
    let key = fs::read(world.at("host_key")).unwrap();
    fs::copy(world.at("other_key"), world.at("host_key")).unwrap();
    let sshd = world.sshd(Host::Gateway, PORT, "");
    let (status, said) = kept.ended();
    fs::write(world.at("host_key"), key).unwrap();
    drop(sshd);
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(
        said.contains("has changed") && said.contains("somebody may be listening in"),
        "{said}"
    );
    nothing_is_left(world);
}

#[test]
fn a_refused_authentication_ends_it() {
    let Some((world, _one)) = lab() else { return };
    let sshd = world.sshd(Host::Gateway, PORT, "");
    let mut kept = Kept::start(world);
    kept.await_said("up: ", 1);
    let keys = fs::read(world.at("authorized_keys")).unwrap();
    fs::write(world.at("authorized_keys"), "").unwrap();
    sshd.cut_connections();
    let (status, said) = kept.ended();
    fs::write(world.at("authorized_keys"), keys).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("permission denied"), "{said}");
    nothing_is_left(world);
}

#[test]
fn a_change_of_address_is_noticed_at_once() {
    let Some((world, _one)) = lab() else { return };
    let _sshd = world.sshd(Host::Gateway, PORT, "");
    let mut kept = Kept::start(world);
    kept.await_said("up: 10.77.0.10:", 1);
    let change = |from: u8, to: u8| {
        world.sh(
            Host::Client,
            &format!(
                "ip addr del 10.77.0.{from}/24 dev eth0; ip addr add 10.77.0.{to}/24 dev eth0; \
                 ip route replace 10.77.1.0/24 via 10.77.0.20"
            ),
        );
    };
    change(10, 11);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        kept.await_said("down: this machine has lost the address 10.77.0.10", 1);
        kept.await_said("10.77.0.11:", 1);
        mail_works(world);
    }));
    change(11, 10);
    if let Err(failed) = outcome {
        std::panic::resume_unwind(failed);
    }
    kept.await_said("down: this machine has lost the address 10.77.0.11", 1);
    kept.await_said(": 10.77.0.10:", 2);
    mail_works(world);
    kept.end();
}

#[test]
fn open_connections_have_a_moment_and_a_second_signal_takes_it() {
    let Some((world, _one)) = lab() else { return };
    let _sshd = world.sshd(Host::Gateway, PORT, "");
    for hurry in [false, true] {
        let mut kept = Kept::start(world);
        kept.await_said("up: ", 1);
        // Holds a conn until its standard input ends.
        let mut holder = world.on(Host::Client, "bash");
        holder.args([
            "-c",
            "exec 3<>/dev/tcp/127.0.0.1/902; read -r line <&3; echo \"$line\"; read -r line; true",
        ]);
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        wait_until(|| kept.status().1["open_conns"] == 1, || "the conn is not counted".to_owned());
        let asked = Instant::now();
        kept.signal("TERM");
        kept.await_said("ending: 1 open connections have a moment", 1);
        wait_until(
            || world.sh(Host::Client, "ss -Hltn 'sport = :902'").is_empty(),
            || "the mouth still takes connections".to_owned(),
        );
        if hurry {
            kept.signal("INT");
        } else {
            drop(holder.stdin.take());
            assert!(holder.wait().unwrap().success());
        }
        let (status, said) = kept.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(asked.elapsed() < Duration::from_millis(2900), "it waited for nothing: {said}");
        let _ = holder.kill();
        let output = holder.wait_with_output().unwrap();
        assert!(text(&output.stdout).starts_with("220 DND server here."), "{output:?}");
        nothing_is_left(world);
    }
}

#[test]
fn a_killed_instance_leaves_nothing_in_the_way() {
    let Some((world, _one)) = lab() else { return };
    let _sshd = world.sshd(Host::Gateway, PORT, "");
    let mut kept = Kept::start(world);
    kept.await_said("up: ", 1);
    kept.signal("KILL");
    let _ = kept.child.wait();
    assert_eq!(kept.status().0, NONE);
    drop(kept);
    let mut kept = Kept::start(world);
    kept.await_said("up: ", 1);
    assert_eq!(kept.status().0, UP);
    kept.end();
}

#[test]
fn after_a_pause_of_the_machine_a_gateway_that_is_silent_is_dialed_again() {
    let Some((world, _one)) = lab() else { return };
    let sshd = world.sshd(Host::Gateway, PORT, "");
    let config = TargetFile::blitzmail(world, GATE)
        .replace("identity_agent", "keepalive = 0\nidentity_agent") // nothing else may notice
        .write(world);
    let mut kept = Kept::start_with(world, config, &[]);
    kept.await_said("up: ", 1);
    sshd.freeze_connections();
    kept.signal("STOP");
    // The pause itself: longer than what counts as one.
    std::thread::sleep(Duration::from_millis(10_500));
    kept.signal("CONT");
    kept.await_said("down: this machine slept, or this program stood still, for", 1);
    kept.await_said("up again, after", 1);
    mail_works(world);
    kept.end();
}

#[test]
fn a_mouth_that_is_taken_names_its_holder() {
    let Some((world, _one)) = lab() else { return };
    let _holder = world.part(Host::Client, &["mail-servers", "--at", "127.0.0.1"]);
    let kept = Kept::start(world);
    let (status, said) = kept.ended();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("tunnelcheck (pid"), "{said}");
}

#[test]
fn a_window_ends_it_and_a_tunnel_of_somebody_else_is_refused() {
    let Some((world, _one)) = lab() else { return };
    let _sshd = world.sshd(Host::Gateway, PORT, "");
    let config = TargetFile::blitzmail(world, GATE).write(world);
    let kept = Kept::start_with(world, config, &["--for", "500ms"]);
    let (status, said) = kept.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("up: "), "{said}");
    let config = TargetFile::external("dasher", "10.77.0.20").services().write(world);
    let (status, said) = Kept::start_with(world, config, &[]).ended();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("no tunnel that tunnelcheck could bring up"), "{said}");
}
