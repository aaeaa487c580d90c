//! A network of two hosts in namespaces of its own: the client here, the gateway and the mail server in a child process.

use super::error::LabError;
use super::gateway::{Gateway, GatewayCipher, GatewayOptions};
use super::mail::{MailAccount, MailServers, MailSetup};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the child waits for its interface, and we for the child.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the child says when its servers listen.
const READY: &str = "ready";

/// The network: `eth0` here leads to the gateway; the mail server stands behind it.
#[derive(Debug)]
pub struct World {
    server: Child,
}

/// Whether namespaces can be made here, by trying.
#[must_use]
pub fn world_available() -> bool {
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    let runs =
        |result: std::io::Result<std::process::ExitStatus>| result.is_ok_and(|s| s.success());
    runs(quiet(Command::new("unshare").args(["-Urn", "true"])))
        && runs(quiet(Command::new("ip").arg("-V")))
}

impl World {
    /// Address of the client.
    pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 10));
    /// Address of the gateway.
    pub const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 20));
    /// Address of the mail server, behind the gateway.
    pub const MAIL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 1, 30));
    /// Interface of the client that leads to the gateway.
    pub const INTERFACE: &'static str = "eth0";
    /// Who may sign on at the gateway.
    pub const USER: &'static str = "jsmith";
    /// With which password.
    pub const PASSWORD: &'static str = "sleigh-bells";
    /// Seed of the gateway's host key.
    const KEY_SEED: [u8; 32] = *b"tunnelcheck demo gateway key....";

    /// A command that runs `program` with `arguments` in a user and network namespace of its own.
    #[must_use]
    pub fn enter<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> Command {
        let mut command = Command::new("unshare");
        command.arg("-Urn").arg("--").arg(program).args(arguments);
        command
    }

    /// Builds the network; to be called inside the namespaces. `program` is started again with `arguments` as the
    /// other host, and must call `World::serve` there.
    ///
    /// # Errors
    /// `LabError::World` with the command that failed.
    pub fn build<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> Result<Self, LabError> {
        ip("link set lo up")?;
        let failed = |detail: String| LabError::World { command: "unshare -n".to_owned(), detail };
        let mut child = Command::new("unshare")
            .arg("-n")
            .arg("--")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let ready = child.stdout.take();
        let world = Self { server: child };
        let mut lines = BufReader::new(
            ready.ok_or_else(|| failed("the child has no standard output".to_owned()))?,
        );
        let mut line = String::new();
        // The first line says that the child stands in its own namespace.
        lines.read_line(&mut line).map_err(|error| failed(error.to_string()))?;
        let pid = world.server.id();
        ip(&format!("link add {0} type veth peer name {0} netns {pid}", Self::INTERFACE))?;
        ip(&format!("addr add {}/24 dev {}", Self::CLIENT, Self::INTERFACE))?;
        ip(&format!("link set {} up", Self::INTERFACE))?;
        line.clear();
        lines.read_line(&mut line).map_err(|error| failed(error.to_string()))?;
        if line.trim() != READY {
            return Err(failed(format!("the other host said {:?}", line.trim())));
        }
        ip(&format!("route add 10.77.1.0/24 via {}", Self::GATEWAY))?;
        Ok(world)
    }

    /// The other host: waits for its interface, serves until standard input ends.
    ///
    /// # Errors
    /// `LabError::World` where the network cannot be set up, and the errors of the servers.
    pub fn serve() -> Result<(), LabError> {
        let failed = |error: std::io::Error| LabError::World {
            command: "write to standard output".to_owned(),
            detail: error.to_string(),
        };
        let mut out = std::io::stdout();
        writeln!(out, "started").and_then(|()| out.flush()).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        while ip(&format!("link show dev {}", Self::INTERFACE)).is_err() {
            if Instant::now() > deadline {
                return Err(LabError::World {
                    command: format!("ip link show dev {}", Self::INTERFACE),
                    detail: "the interface did not appear".to_owned(),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        ip("link set lo up")?;
        ip(&format!("addr add {}/32 dev lo", Self::MAIL))?;
        ip(&format!("addr add {}/24 dev {}", Self::GATEWAY, Self::INTERFACE))?;
        ip(&format!("link set {} up", Self::INTERFACE))?;
        let _gateway = Gateway::start(&GatewayOptions {
            listen: SocketAddr::new(Self::GATEWAY, 22),
            user: Self::USER.to_owned(),
            password: Self::PASSWORD.to_owned(),
            names: Self::names(),
            cipher: GatewayCipher::Real,
            key_seed: Self::KEY_SEED,
        })?;
        let at = |port| Some(SocketAddr::new(Self::MAIL, port));
        let _servers = MailServers::start(&MailSetup {
            dnd: at(902),
            blitzmail: at(2151),
            pop3: at(110),
            bulletins: at(1119),
            notify: at(2154),
            account: MailAccount::default(),
        })?;
        writeln!(out, "{READY}").and_then(|()| out.flush()).map_err(failed)?;
        // Serves until the other side closes the pipe.
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        Ok(())
    }

    /// `SHA256:...` of the gateway's host key.
    ///
    /// # Errors
    /// `LabError::Ssh` where the key cannot be made.
    pub fn fingerprint() -> Result<String, LabError> {
        super::gateway::fingerprint_of(&Self::KEY_SEED)
    }

    /// What the gateway resolves.
    fn names() -> BTreeMap<String, IpAddr> {
        ["dnd.dartmouth.edu", "dasher.dartmouth.edu", "newshost.dartmouth.edu"]
            .into_iter()
            .map(|name| (name.to_owned(), Self::MAIL))
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Closing the pipe ends the other host; killing it makes sure.
        drop(self.server.stdin.take());
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs `ip` with these arguments.
fn ip(arguments: &str) -> Result<(), LabError> {
    let failed = |detail| LabError::World { command: format!("ip {arguments}"), detail };
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
