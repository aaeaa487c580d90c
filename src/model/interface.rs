//! Where frames were taken.

use super::frame::LinkType;
use std::fmt;

/// Where in the stack an interface stands. MISSION section 3, "Vantage".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vantage {
    /// A physical or virtual link that carries what leaves the machine.
    Wire,
    /// Loopback: inside the tunnel.
    Loopback,
    /// The device of a tunnel (`tun`, `wg`, `utun`, `ppp`): inside it.
    TunnelDevice,
    /// A link of another machine.
    Remote,
}

impl Vantage {
    /// All.
    pub const ALL: [Self; 4] = [Self::Wire, Self::Loopback, Self::TunnelDevice, Self::Remote];
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wire => "wire",
            Self::Loopback => "loopback",
            Self::TunnelDevice => "tunnel device",
            Self::Remote => "another machine",
        })
    }
}

/// An interface of a capture. Its place in the list of a run is the `interface_id` of its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceRecord {
    /// Its name; empty where the file names none.
    pub name: String,
    /// What its frames begin with.
    pub link_type: LinkType,
    /// Octets kept of a frame; 0: no limit.
    pub snaplen: u32,
    /// Where it stands; none where that is not known (a recording by somebody else).
    pub vantage: Option<Vantage>,
}
