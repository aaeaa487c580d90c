//! A real sshd on 127.0.0.1 with keys and configuration of its own, for tests.

use crate::skip;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tunnelcheck::tunnel::{AgentChoice, ForwardSpec, HopSpec, TunnelSpec};

const SSHD: &str = "/usr/sbin/sshd"; // it re-executes itself and wants an absolute path
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running sshd; ends with the value.
pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    child: Child,
    pub(crate) port: u16,
    pub(crate) user: String,
}

impl Sshd {
    /// Starts one with host keys of these types and these lines of configuration; none where there is no sshd.
    pub(crate) fn start(host_keys: &[&str], config: &str) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            skip::missing(format_args!("{SSHD} is not installed"));
            return None;
        }
        let _ = fs::create_dir_all("/run/sshd"); // its privilege separation folder
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut text = String::new();
        for kind in host_keys {
            let file = at(&format!("host_{kind}"));
            make_key(&file, &["-t", kind]);
            writeln!(text, "HostKey {}", file.display()).unwrap();
        }
        let user = output("id", &["-un"]);
        make_key(&at("user_key"), &["-t", "ed25519"]);
        fs::copy(at("user_key.pub"), at("authorized_keys")).unwrap();
        let port = free_port();
        write!(
            text,
            "{config}\nListenAddress 127.0.0.1\nAuthorizedKeysFile {}\nStrictModes no\nPidFile none\n\
             PermitRootLogin yes\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             LogLevel DEBUG1\n",
            at("authorized_keys").display()
        )
        .unwrap();
        fs::write(at("sshd_config"), text).unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self { folder, child, port, user };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < START_LIMIT, "sshd does not start: {}", sshd.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(sshd)
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The public half of a host key, as it stands in `known_hosts`.
    pub(crate) fn host_key(&self, kind: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("host_{kind}.pub"))).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// `SHA256:...` of a host key.
    pub(crate) fn fingerprint(&self, kind: &str) -> String {
        let file = self.path(&format!("host_{kind}.pub"));
        let text = output("ssh-keygen", &["-lf", file.to_str().unwrap()]);
        text.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Writes a `known_hosts` of this name and hands its path out.
    pub(crate) fn known_hosts(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// A `known_hosts` that knows its host keys.
    pub(crate) fn good_known_hosts(&self) -> PathBuf {
        let mut lines = String::new();
        for kind in ["ed25519", "ecdsa", "rsa"] {
            if self.path(&format!("host_{kind}.pub")).exists() {
                writeln!(lines, "[127.0.0.1]:{} {}", self.port, self.host_key(kind)).unwrap();
            }
        }
        self.known_hosts("known_hosts", &lines)
    }

    /// A tunnel to it, with its user key and host keys known.
    pub(crate) fn spec(&self) -> TunnelSpec {
        TunnelSpec {
            identity_files: vec![self.path("user_key")],
            agent: AgentChoice::Nobody,
            known_hosts: vec![self.good_known_hosts()],
            connect_timeout: Duration::from_secs(10),
            channel_timeout: Duration::from_secs(5),
            ..TunnelSpec::new("test", &self.user, "127.0.0.1", self.port)
        }
    }

    /// It as a jump host.
    pub(crate) fn hop(&self) -> HopSpec {
        HopSpec {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            user: self.user.clone(),
            identity_files: vec![self.path("user_key")],
            agent: AgentChoice::Nobody,
            known_hosts: vec![self.good_known_hosts()],
            ..HopSpec::default()
        }
    }

    /// Sends a signal to it and to every process that serves a connection.
    pub(crate) fn signal_all(&self, signal: &str) {
        let mut pids = vec![self.child.id()];
        let mut at = 0;
        while let Some(parent) = pids.get(at).copied() {
            let children = Command::new("ps")
                .args(["-o", "pid=", "--ppid", &parent.to_string()])
                .output()
                .unwrap();
            let text = String::from_utf8(children.stdout).unwrap();
            pids.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            at += 1;
        }
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let _ = Command::new("kill").arg(signal).args(pids).stderr(Stdio::null()).status();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal_all("-KILL");
        let _ = self.child.wait();
    }
}

/// Makes a key pair with ssh-keygen, without a passphrase unless `-N` is among the arguments.
pub(crate) fn make_key(file: &Path, args: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", "test"]).args(args).arg("-f").arg(file);
    if !args.contains(&"-N") {
        command.args(["-N", ""]);
    }
    assert!(command.status().unwrap().success());
}

/// What a program says, trimmed.
pub(crate) fn output(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that sends back what it gets, and the word "end" once the client has said its last.
pub(crate) fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut buffer = vec![0; 16 << 10];
                loop {
                    match stream.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(n) if stream.write_all(&buffer[..n]).is_ok() => {}
                        _ => return,
                    }
                }
                let _ = stream.write_all(b"end");
            });
        }
    });
    address
}

/// A forward with a mouth on any free port.
pub(crate) fn forward(service: &str, to: SocketAddr) -> ForwardSpec {
    ForwardSpec {
        service: service.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        host: to.ip().to_string(),
        port: to.port(),
    }
}

/// Waits until `done`, at most this long.
pub(crate) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
