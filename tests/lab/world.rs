//! The network, its servers, and what takes it all away again.

use crate::skip;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) const SSHD: &str = "/usr/sbin/sshd";
/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(15);
/// For `ethtool -K IF`: no offload, so that frames are those of a wire.
const QUIET: &str = "tso off gso off gro off tx off rx off >/dev/null 2>&1";
/// What the lab runs, beside the shell.
const PROGRAMS: [&str; 10] = [
    "ip",
    "ethtool",
    "tcpdump",
    "openssl",
    "dovecot",
    "ssh",
    "ssh-keygen",
    "ss",
    "setpriv",
    "bash",
];

/// The hosts. Each is a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Client,
    Gateway,
    Mail,
    Snooper,
    Hub,
}

const HOSTS: [(Host, &str); 5] = [
    (Host::Client, "client"),
    (Host::Gateway, "gateway"),
    (Host::Mail, "mail"),
    (Host::Snooper, "snooper"),
    (Host::Hub, "hub"),
];

/// Addresses on the wire.
pub(crate) const GATEWAY: &str = "10.77.0.20";
pub(crate) const MAIL: &str = "10.77.1.30";
/// An address with a neighbour entry and nobody behind it: what is sent there crosses the hub and ends.
pub(crate) const VOID: &str = "10.77.0.66";

/// Gives it its entry anew: one that takes the interface down and up again loses it.
pub(crate) const KNOW_VOID: &str =
    "ip neigh replace 10.77.0.66 lladdr 02:00:00:00:00:66 dev eth0 nud permanent";

/// The network. There is one for all tests of the process; a helper process takes it away when this one ends, however it
/// ends.
pub(crate) struct World {
    prefix: String,
    work: PathBuf,
    servers: Vec<Server>,
    /// Closed when this process ends: then the helper clears up.
    _sweeper: ChildStdin,
}

/// A process of the lab; ends with the value.
pub(crate) struct Server {
    child: Child,
}

/// What became of it.
enum Built {
    Up(World),
    /// It cannot run here.
    Skipped(String),
    /// It could run here, and does not.
    Broken,
}

static WORLD: OnceLock<Built> = OnceLock::new();
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The lab, for one test at a time; none where it cannot be set up, which is then said.
pub(crate) fn lab() -> Option<(&'static World, MutexGuard<'static, ()>)> {
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let build = || match std::panic::catch_unwind(World::build) {
        Ok(Ok(world)) => Built::Up(world),
        Ok(Err(why)) => {
            skip::skipped(format_args!("and every other test of the lab: {why}"));
            Built::Skipped(why)
        }
        Err(_) => Built::Broken,
    };
    match WORLD.get_or_init(build) {
        Built::Up(world) => Some((world, guard)),
        Built::Skipped(why) => {
            assert!(!skip::is_required(), "the lab may not skip here, and cannot run: {why}");
            None
        }
        Built::Broken => panic!("the lab could not be set up; the first test says why"),
    }
}

impl World {
    fn build() -> Result<Self, String> {
        let missing: Vec<&str> =
            PROGRAMS.into_iter().filter(|program| !is_installed(program)).collect();
        if !missing.is_empty() || !Path::new(SSHD).exists() {
            return Err(format!(
                "not installed: {} (needed: {SSHD}); try `make lab-deps`",
                missing.join(", ")
            ));
        }
        if text(&Command::new("id").arg("-u").output().unwrap().stdout).trim() != "0" {
            return Err("it needs root".to_owned());
        }
        let prefix = format!("tclab{}", std::process::id());
        let work = std::env::temp_dir().join(&prefix);
        let sweeper = sweeper(&prefix, &work)?;
        let mut world = Self { prefix, work, servers: Vec::new(), _sweeper: sweeper };
        world.files();
        world.links()?;
        world.start_servers();
        Ok(world)
    }

    /// A file or folder of the lab.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// The built program, where every user can reach it.
    pub(crate) fn program(&self) -> PathBuf {
        self.at("tunnelcheck")
    }

    /// A command on a host, in a process group of its own.
    pub(crate) fn on(&self, host: Host, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns(host)]).arg(program);
        command
            .env("HOME", self.at("home"))
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("XDG_CONFIG_HOME");
        command.stdin(Stdio::null()).process_group(0);
        command
    }

    /// Runs a shell line on a host, and wants it to succeed.
    pub(crate) fn sh(&self, host: Host, line: &str) -> String {
        let output = self.on(host, "sh").args(["-c", line]).output().unwrap();
        assert!(output.status.success(), "`{line}` failed: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The mail user on the client.
    pub(crate) fn user(&self, steps: &[&str]) {
        let output = self.try_user(steps);
        assert!(output.status.success(), "the mail user failed: {}", text(&output.stderr));
    }

    /// The mail user, who may fail.
    pub(crate) fn try_user(&self, steps: &[&str]) -> Output {
        self.on(Host::Client, self.program()).args(["lab", "user"]).args(steps).output().unwrap()
    }

    /// Starts a part of `tunnelcheck lab` that serves until it is dropped.
    pub(crate) fn part(&self, host: Host, arguments: &[&str]) -> Server {
        let mut command = self.on(host, self.program());
        let log = self.at(&format!("part-{}.log", arguments[0]));
        let out = fs::File::create(&log).unwrap();
        command.arg("lab").args(arguments).stdin(Stdio::piped());
        let child = command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        let server = Server { child };
        wait_until(
            || fs::read_to_string(&log).is_ok_and(|said| said.contains("ready")),
            || {
                format!(
                    "{arguments:?} is not ready: {}",
                    fs::read_to_string(&log).unwrap_or_default()
                )
            },
        );
        server
    }

    /// Starts an sshd with these lines of configuration.
    pub(crate) fn sshd(&self, host: Host, port: u16, lines: &str) -> Server {
        let config = self.at(&format!("sshd-{port}.conf"));
        let keys = self.at("authorized_keys");
        let text = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nPermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n{lines}\n",
            self.at("host_key").display(),
            keys.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(self.at(&format!("sshd-{port}.log"))).unwrap();
        let mut command = self.on(host, SSHD);
        command.args(["-D", "-e", "-p", &port.to_string(), "-f"]).arg(&config);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let server = Server { child };
        self.await_port(host, port);
        server
    }

    /// Waits until somebody listens on a TCP port of a host.
    pub(crate) fn await_port(&self, host: Host, port: u16) {
        let listens = || {
            let output = self.on(host, "ss").args(["-Hltn", &format!("sport = :{port}")]).output();
            output.is_ok_and(|it| !it.stdout.is_empty())
        };
        wait_until(listens, || format!("nobody listens on port {port} of {host:?}"));
    }

    /// `SHA256:...` of the host key of every sshd here.
    pub(crate) fn fingerprint(&self) -> String {
        let output =
            Command::new("ssh-keygen").arg("-lf").arg(self.at("host_key.pub")).output().unwrap();
        text(&output.stdout).split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Runs something while the client's hosts file says this.
    pub(crate) fn with_client_hosts<T>(&self, names: &str, act: impl FnOnce() -> T) -> T {
        let path = Path::new("/etc/netns").join(self.netns(Host::Client)).join("hosts");
        let before = fs::read(&path).unwrap();
        fs::write(&path, names).unwrap();
        let done = act();
        fs::write(&path, before).unwrap();
        done
    }

    /// Runs something while a file of the client's /etc, which is else the host's, says this.
    pub(crate) fn with_client_file<T>(&self, name: &str, says: &str, act: impl FnOnce() -> T) -> T {
        let path = Path::new("/etc/netns").join(self.netns(Host::Client)).join(name);
        let before = fs::read(&path).ok();
        fs::write(&path, says).unwrap();
        let done = act();
        match before {
            Some(before) => fs::write(&path, before).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        done
    }

    /// The hosts file of a host, as it lies outside; on the host it is bound over /etc/hosts.
    pub(crate) fn hosts_file(&self, host: Host) -> PathBuf {
        Path::new("/etc/netns").join(self.netns(host)).join("hosts")
    }

    /// The folder whose files lie over those of `/etc` on a host.
    pub(crate) fn etc(&self, host: Host) -> PathBuf {
        Path::new("/etc/netns").join(self.netns(host))
    }

    /// Name of a host's namespace.
    pub(crate) fn netns(&self, host: Host) -> String {
        let name = HOSTS.iter().find(|(it, _)| *it == host).unwrap().1;
        format!("{}-{name}", self.prefix)
    }

    fn files(&self) {
        for folder in [
            "",
            "home",
            "dovecot",
            "maildir/jsmith/new",
            "maildir/jsmith/cur",
            "maildir/jsmith/tmp",
        ] {
            fs::create_dir_all(self.at(folder)).unwrap();
            fs::set_permissions(self.at(folder), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let _ = fs::create_dir_all("/run/sshd"); // sshd's privilege separation folder
        fs::copy(env!("CARGO_BIN_EXE_tunnelcheck"), self.program()).unwrap();
        for key in ["host_key", "user_key", "other_key"] {
            make(
                Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(self.at(key)),
            );
        }
        fs::copy(self.at("user_key.pub"), self.at("authorized_keys")).unwrap();
        make(
            Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                ])
                .args(["-days", "36500", "-subj", "/CN=mail.lab.example", "-keyout"])
                .arg(self.at("tls.key"))
                .arg("-out")
                .arg(self.at("tls.pem")),
        );
        let mail = "From: Marion Bates\r\nTo: John Smith\r\nSubject: Sleigh list\r\n\r\nIt is in Reindeer Games.\r\n";
        fs::write(self.at("maildir/jsmith/new/1.lab"), mail).unwrap();
        make(Command::new("chown").args(["-R", "65534:65534"]).arg(self.at("maildir")));
        let names = format!(
            "127.0.0.1 localhost\n{GATEWAY} nimbus.dartmouth.edu\n\
             {MAIL} dnd.dartmouth.edu dasher.dartmouth.edu newshost.dartmouth.edu\n"
        );
        for host in [Host::Client, Host::Gateway, Host::Mail] {
            let folder = Path::new("/etc/netns").join(self.netns(host));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("hosts"), &names).unwrap();
            fs::write(
                folder.join("resolv.conf"),
                "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
            )
            .unwrap();
        }
    }

    fn links(&self) -> Result<(), String> {
        for (host, _) in HOSTS {
            let made = Command::new("ip").args(["netns", "add", &self.netns(host)]).output();
            let made = made.map_err(|error| error.to_string())?;
            if !made.status.success() {
                return Err(format!(
                    "network namespaces cannot be made: {}",
                    text(&made.stderr).trim()
                ));
            }
        }
        let on = |host, line: &str| self.sh(host, line);
        on(
            Host::Hub,
            "ip link add hub type bridge && ip link set hub type bridge ageing_time 0 && ip link set hub up",
        );
        for (host, name, address) in [
            (Host::Client, "client", 10),
            (Host::Gateway, "gateway", 20),
            (Host::Snooper, "snooper", 99),
        ] {
            let netns = self.netns(host);
            on(Host::Hub, &format!("ip link add v-{name} type veth peer name eth0 netns {netns}"));
            on(
                Host::Hub,
                &format!("ethtool -K v-{name} {QUIET}; ip link set v-{name} master hub up"),
            );
            on(
                host,
                &format!(
                    "ethtool -K eth0 {QUIET}; ip link set lo up; ip link set eth0 up; \
                     ip addr add 10.77.0.{address}/24 dev eth0; ip addr add fd77::{address}/64 dev eth0 nodad"
                ),
            );
        }
        let mail = self.netns(Host::Mail);
        on(Host::Gateway, &format!("ip link add eth1 type veth peer name eth0 netns {mail}"));
        on(
            Host::Gateway,
            "ip link set eth1 up; ip addr add 10.77.1.20/24 dev eth1; ip addr add fd77:1::20/64 dev eth1 nodad; \
             echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
        );
        on(
            Host::Mail,
            "ip link set lo up; ip link set eth0 up; ip addr add 10.77.1.30/24 dev eth0; \
             ip addr add fd77:1::30/64 dev eth0 nodad; ip route add 10.77.0.0/24 via 10.77.1.20; \
             ip -6 route add fd77::/64 via fd77:1::20",
        );
        // A second interface of the client, which leads nowhere.
        let client = self.netns(Host::Client);
        on(
            Host::Hub,
            &format!(
                "ip link add v-other type veth peer name other0 netns {client}; ip link set v-other up"
            ),
        );
        on(
            Host::Client,
            &format!(
                "ip route add 10.77.1.0/24 via {GATEWAY}; ip -6 route add fd77:1::/64 via fd77::20; \
                 ip neigh add {VOID} lladdr 02:00:00:00:00:66 dev eth0 nud permanent; \
                 ip addr add 192.0.2.1/24 dev other0; ip link set other0 up"
            ),
        );
        Ok(())
    }

    fn start_servers(&mut self) {
        let started = [
            self.sshd(Host::Gateway, 22, ""),
            self.sshd(Host::Mail, 22, ""),
            self.dovecot(),
            self.part(Host::Mail, &["mail-servers", "--at", MAIL, "--without-pop3"]),
            self.part(Host::Mail, &["mail-servers", "--at", "fd77:1::30", "--without-pop3"]),
            // The second paper's server: POP3 on the gateway itself.
            self.part(Host::Gateway, &["mail-servers", "--at", "0.0.0.0"]),
        ];
        self.servers.extend(started);
    }

    fn dovecot(&self) -> Server {
        let config = self.at("dovecot.conf");
        let at = |name: &str| self.at(name).display().to_string();
        let text = format!(
            "base_dir = {0}/run\nstate_dir = {0}/state\nlog_path = {0}/log\nprotocols = pop3\n\
             listen = {MAIL}, fd77:1::30\nssl = yes\nssl_cert = <{1}\nssl_key = <{2}\n\
             disable_plaintext_auth = no\nauth_mechanisms = plain\nfirst_valid_uid = 1\n\
             passdb {{\n driver = static\n args = password=sleigh-bells\n}}\n\
             userdb {{\n driver = static\n args = uid=65534 gid=65534 home={3}/jsmith\n}}\n\
             mail_location = maildir:{3}/jsmith\n",
            at("dovecot"),
            at("tls.pem"),
            at("tls.key"),
            at("maildir"),
        );
        fs::write(&config, text).unwrap();
        let mut command = self.on(Host::Mail, "dovecot");
        let log = fs::File::create(self.at("dovecot.log")).unwrap();
        let child = command
            .args(["-F", "-c"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Server { child };
        self.await_port(Host::Mail, 110);
        server
    }
}

impl Server {
    /// Of a child that the caller has started in a process group of its own.
    pub(crate) fn of(child: Child) -> Self {
        Self { child }
    }

    /// Ends the processes that serve this server's connections, and leaves the one that listens.
    pub(crate) fn cut_connections(&self) {
        signal(&format!("-s KILL {}", self.connections()));
    }

    /// Stops the processes that serve this server's connections: they are there, and say nothing more.
    pub(crate) fn freeze_connections(&self) {
        signal(&format!("-s STOP {}", self.connections()));
    }

    /// Ends it, and with it the processes that serve its connections: those are of sessions of their own.
    pub(crate) fn end_with_connections(self) {
        let connections = self.connections();
        drop(self);
        signal(&format!("-s KILL {connections}"));
    }

    /// The processes that serve this server's connections.
    fn connections(&self) -> String {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        assert!(!children.trim().is_empty(), "the server has no connection");
        let mut all = String::new();
        for child in children.split_whitespace() {
            // Of a session of its own, the monitor's child goes with the monitor.
            let below = fs::read_to_string(format!("/proc/{child}/task/{child}/children"))
                .unwrap_or_default();
            write!(all, "{child} {below} ").unwrap();
        }
        all
    }

    /// Lets it read its configuration again.
    pub(crate) fn hang_up(&self) {
        signal(&format!("-s HUP {}", self.child.id()));
    }

    /// Stops it: it still takes connections, and never answers.
    pub(crate) fn freeze(&self) {
        signal(&format!("-s STOP {}", self.child.id()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal(&format!("-s KILL -- -{}", self.child.id()));
        let _ = self.child.wait();
    }
}

/// `kill` with these arguments.
pub(crate) fn signal(arguments: &str) {
    let _ = Command::new("sh")
        .args(["-c", &format!("kill {arguments}")])
        .stderr(Stdio::null())
        .status();
}

/// Waits until something is so.
pub(crate) fn wait_until(mut so: impl FnMut() -> bool, else_say: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{}", else_say());
        sleep(Duration::from_millis(20));
    }
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// Waits for the end of this process, then ends what is left in the lab's namespaces and takes them away. It holds none of
/// our pipes but the one whose end it waits for.
fn sweeper(prefix: &str, work: &Path) -> Result<ChildStdin, String> {
    let script = format!(
        "read -r _; for host in client gateway mail snooper hub; do \
           for pid in $(ip netns pids {prefix}-$host); do kill -KILL $pid; done; \
           ip netns del {prefix}-$host; rm -rf /etc/netns/{prefix}-$host; \
         done; rm -rf '{}'",
        work.display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot start sh: {error}"))?;
    let mut pipe = child.stdin.take().unwrap();
    pipe.flush().map_err(|error| error.to_string())?;
    Ok(pipe)
}

/// Whether a program that one test needs is there; where it is not, that is said, and is a failure where the lab must run.
pub(crate) fn has(program: &str) -> bool {
    let found = is_installed(program);
    if !found {
        skip::missing(format_args!("{program} is not installed"));
    }
    found
}

fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|it| it.status.success())
}

fn make(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}
