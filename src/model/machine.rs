//! What the watched machine itself says of a connection: who holds it, and which names lead where.

use super::conn::ConnId;
use super::frame::Timestamp;
use std::fmt;
use std::net::IpAddr;

/// A process, as the system shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProcessRecord {
    /// Its number.
    pub pid: u32,
    /// Its short name.
    pub name: String,
    /// Path of its program, where that may be read.
    pub exe: Option<String>,
    /// Number of its user.
    pub uid: Option<u32>,
    /// Name of its user.
    pub user: Option<String>,
    /// Seconds since it was started.
    pub age_s: Option<u64>,
    /// Its command line. A secret: it may hold passwords.
    pub args: Vec<String>,
}

/// The command line is a secret: only its length shows.
impl fmt::Debug for ProcessRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessRecord")
            .field("pid", &self.pid)
            .field("name", &self.name)
            .field("exe", &self.exe)
            .field("user", &self.user)
            .field("age_s", &self.age_s)
            .field("args", &self.args.len())
            .finish_non_exhaustive()
    }
}

/// `mutt (pid 123, /usr/bin/mutt, user jsmith)`.
impl fmt::Display for ProcessRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {}", self.name, self.pid)?;
        if let Some(exe) = &self.exe {
            write!(f, ", {exe}")?;
        }
        match (&self.user, self.uid) {
            (Some(user), _) => write!(f, ", user {user})"),
            (None, Some(uid)) => write!(f, ", user number {uid})"),
            (None, None) => f.write_str(")"),
        }
    }
}

/// How sure it is that a process holds a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Nobody was found.
    None,
    /// By the local port alone, or by the user alone: another process may hold it.
    Likely,
    /// Both ends agree, and the process holds that very socket.
    Certain,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Likely => "likely",
            Self::Certain => "certain",
        })
    }
}

/// Who held a connection to a service when it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSighting {
    /// Its ends, as the capture or the socket table named them.
    pub id: ConnId,
    /// When it was found, or last looked for.
    pub at: Timestamp,
    /// Who held it; several after a fork. Empty: nobody was found.
    pub holders: Vec<ProcessRecord>,
    /// How sure that is.
    pub confidence: Confidence,
    /// How it was looked for, or why nobody was found.
    pub method: String,
}

/// Where a name of the target leads on this machine, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineName {
    /// The name as it was asked for.
    pub name: String,
    /// Where it leads.
    pub address: IpAddr,
    /// Who says so: `/etc/hosts line 3`, `the name servers 10.0.0.1`.
    pub answered_by: String,
    /// It is a line of the hosts file.
    pub by_hosts_file: bool,
}

/// What the watched machine said during and after a window. Empty for a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineRecord {
    /// Holders of direct connections, bounded.
    pub sightings: Vec<SocketSighting>,
    /// Where the services' names lead; looked up only where a bypass was seen.
    pub names: Vec<MachineName>,
    /// What keeps the machine from telling: no permission, another system.
    pub limits: Vec<String>,
}
