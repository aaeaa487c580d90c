//! What was recorded is judged again: our own recording, and the snooper's.

use crate::check::{FAIL, INCONCLUSIVE, PASS, run, run_with, start};
use crate::external::with_ssh;
use crate::target::TargetFile;
use crate::world::{Host, Server, World, lab, signal, wait_until};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const ROOT: &str = "root@10.77.0.20";
const THROUGH: &str = "$T lab user dnd@127.0.0.1:902 blitzmail@127.0.0.1:2151";
const DIRECT: &str = "$T lab user dnd@10.77.1.30:902 blitzmail@10.77.1.30:2151";

/// What must be the same of two judgements: verdict, claims with their reasons, coverage, control.
fn judgement(report: &Value) -> Value {
    let target = &report["targets"][0];
    let mut kept = serde_json::Map::new();
    for key in ["verdict", "causes", "claims", "spoils", "control", "conns", "evidence"] {
        kept.insert(key.to_owned(), target[key].clone());
    }
    Value::Object(kept)
}

#[test]
fn our_own_recording_is_judged_as_the_run_was() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let kept = world.at("kept.pcapng");
    let kept = kept.to_str().unwrap();
    for (line, status) in [(THROUGH, PASS), (DIRECT, FAIL), ("sleep 0.2", INCONCLUSIVE)] {
        let live = run_with(world, &config, &["--record", kept], line).expect(status);
        let again =
            run(world, &config, &["--expect-encrypted", "dasher", "-r", kept]).expect(status);
        let (live, again) = (judgement(&live.json()), judgement(&again.json()));
        for (key, value) in live.as_object().unwrap() {
            assert_eq!(
                value, &again[key],
                "{key} of {line:?} is judged otherwise from the recording"
            );
        }
    }
}

#[test]
fn a_recording_of_drops_is_judged_as_the_run_was() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let kept = world.at("drops.pcapng");
    let kept = kept.to_str().unwrap();
    let line = format!(
        "{THROUGH}; {}; kill -STOP $PPID; dd if=/dev/zero bs=1400 count=4000 status=none >/dev/udp/{}/9; \
         kill -CONT $PPID; sleep 0.3",
        crate::world::KNOW_VOID,
        crate::world::VOID
    );
    run_with(world, &config, &["--buffer", "64", "--record", kept], &line).expect(INCONCLUSIVE);
    run(world, &config, &["--expect-encrypted", "dasher", "-r", kept])
        .expect(INCONCLUSIVE)
        .spoiled_by("kernel-drops");
}

/// Another machine on the hub, with tcpdump.
struct Snooper {
    tcpdump: Server,
    file: PathBuf,
    log: PathBuf,
    pid: u32,
}

impl Snooper {
    fn start(world: &World) -> Self {
        let (file, log) = (world.at("snooped.pcap"), world.at("tcpdump.log"));
        let mut command = world.on(Host::Snooper, "tcpdump");
        // Else what came in the last second before the interruption is lost.
        command
            .args(["--immediate-mode", "-n", "-U", "-s", "0", "-Z", "root", "-i", "eth0", "-w"])
            .arg(&file);
        let child =
            command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        let pid = child.id();
        let snooper = Self { tcpdump: Server::of(child), file, log, pid };
        snooper.await_line("listening on");
        snooper
    }

    fn await_line(&self, line: &str) {
        let said = || fs::read_to_string(&self.log).unwrap_or_default();
        wait_until(|| said().contains(line), || format!("tcpdump never said {line:?}: {}", said()));
    }

    /// Ends it as Ctrl-C does.
    fn end(self) -> PathBuf {
        std::thread::sleep(std::time::Duration::from_millis(300));
        signal(&format!("-s INT {}", self.pid));
        self.await_line("dropped by kernel");
        drop(self.tcpdump);
        self.file
    }
}

/// What the snooper sees of a client that does this.
fn snoop(world: &World, line: &str) -> PathBuf {
    let snooper = Snooper::start(world);
    world.sh(Host::Client, &format!("T='{}'; {line}", world.program().display()));
    snooper.end()
}

#[test]
fn the_snoopers_recording_passes_for_the_tunnel_and_fails_beside_it() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    let judge = |file: &Path| {
        run(world, &config, &["--expect-encrypted", "dasher", "-r", file.to_str().unwrap()])
    };
    judge(&snoop(world, &with_ssh(world, "", THROUGH)))
        .expect(PASS)
        .claim("tunnel", "not-applicable", "")
        .claim("carried", "holds", "");
    judge(&snoop(world, DIRECT)).expect(FAIL).claim("no-bypass", "broken", "bypass").claim(
        "no-identifier",
        "broken",
        "",
    );
}

#[test]
fn the_controls_of_the_run_that_the_snooper_overheard_are_no_cleartext_of_the_users() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    for (line, status) in [(THROUGH, PASS), (DIRECT, FAIL)] {
        let snooper = Snooper::start(world);
        run_with(world, &config, &[], line).expect(status);
        let file = snooper.end();
        run(world, &config, &["--expect-encrypted", "dasher", "-r", file.to_str().unwrap()])
            .expect(status)
            .tells("control-of-another-run");
    }
}

#[test]
fn behind_a_switch_that_learns_the_snooper_sees_too_little() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::blitzmail(world, ROOT).write(world);
    world.sh(Host::Hub, "ip link set hub type bridge ageing_time 30000");
    // Now the switch knows where everybody is.
    let primed = start(world, &config, &["--expect-encrypted", "dasher", "--for", "1s"]).end();
    let file = snoop(world, &with_ssh(world, "", THROUGH));
    world.sh(
        Host::Hub,
        "ip link set hub type bridge ageing_time 0 && ip link set hub type bridge fdb_flush",
    );
    primed.expect(INCONCLUSIVE);
    run(world, &config, &["--expect-encrypted", "dasher", "-r", file.to_str().unwrap()])
        .expect(INCONCLUSIVE)
        .claim("carried", "unproven", "");
}
