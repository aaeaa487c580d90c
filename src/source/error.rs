//! What can go wrong around a source; damaged octets inside a capture are losses, not errors.

use std::io;
use std::net::IpAddr;

/// Why a source could not be opened, read or recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No file was named.
    #[error("no capture file is named")]
    NoFiles,
    /// Standard input was named more than once.
    #[error("standard input (\"-\") is named more than once")]
    StdinTwice,
    /// The file cannot be opened.
    #[error("cannot open capture \"{name}\"")]
    Open {
        /// File.
        name: String,
        /// Cause.
        source: io::Error,
    },
    /// A folder was named where a file is read.
    #[error("cannot read \"{name}\" as a capture: it is a folder")]
    Folder {
        /// Folder.
        name: String,
    },
    /// The file cannot be read on.
    #[error("cannot read capture \"{name}\" beyond octet {at}")]
    Read {
        /// File.
        name: String,
        /// Octets read before.
        at: u64,
        /// Cause.
        source: io::Error,
    },
    /// Nothing is in the file.
    #[error("\"{name}\" is not a capture: it is empty (0 octets)")]
    Empty {
        /// File.
        name: String,
    },
    /// The file is neither pcap nor pcapng, nor one of them packed with gzip or zstd.
    #[error(
        "\"{name}\" is not a capture: it begins with {found}, not with the magic of pcap or pcapng"
    )]
    NotACapture {
        /// File.
        name: String,
        /// Its first octets, printable.
        found: String,
    },
    /// The file is packed in a way that is not read here.
    #[error(
        "\"{name}\" is packed with {packing}; only gzip and zstd (windows up to 32 MiB) are read"
    )]
    Packed {
        /// File.
        name: String,
        /// Name of the packer.
        packing: &'static str,
        /// Command that unpacks to standard output.
        command: &'static str,
    },
    /// The file is packed, and unpacking fails at its start.
    #[error("\"{name}\" cannot be unpacked: its {packing} stream is damaged at the start")]
    DamagedPacking {
        /// File.
        name: String,
        /// Name of the packer.
        packing: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// The file is a capture in a format that is not read here.
    #[error("\"{name}\" is a capture in the format {format}; only pcap and pcapng are read")]
    OtherFormat {
        /// File.
        name: String,
        /// Name of the format.
        format: &'static str,
    },
    /// The file ends inside its first header.
    #[error("\"{name}\" ends inside its {header}: needed {needed} octets, got {got}")]
    CutHeader {
        /// File.
        name: String,
        /// Which header.
        header: &'static str,
        /// Octets needed.
        needed: u64,
        /// Octets there.
        got: u64,
    },
    /// The first header contradicts itself.
    #[error("\"{name}\" has a damaged {header}: {why}")]
    BadHeader {
        /// File.
        name: String,
        /// Which header.
        header: &'static str,
        /// In which way.
        why: String,
    },
    /// A recording cannot be written.
    #[error("cannot write the recording after {frames} frames")]
    Write {
        /// Frames written before.
        frames: u64,
        /// Cause.
        source: io::Error,
    },
    /// A frame names an interface that was not announced to the recording.
    #[error("cannot record a frame of interface {interface_id}: {known} interfaces are announced")]
    UnannouncedInterface {
        /// Index that the frame names.
        interface_id: u32,
        /// Interfaces announced.
        known: usize,
    },
    /// A recording without an interface has no place for its counters and closing words.
    #[error("cannot record without an interface")]
    NoInterfaces,
    /// Packets may not be captured by this user.
    #[error("no permission to capture on interface \"{interface}\": {reason}")]
    Permission {
        /// Interface.
        interface: String,
        /// In libpcap's words.
        reason: String,
    },
    /// There is no such interface.
    #[error("there is no interface \"{interface}\"; there are: {}", .existing.join(", "))]
    NoSuchInterface {
        /// Interface asked for.
        interface: String,
        /// Those that exist.
        existing: Vec<String>,
    },
    /// The interface is down.
    #[error("interface \"{interface}\" is down")]
    InterfaceDown {
        /// Interface.
        interface: String,
    },
    /// The interface cannot be opened or read for another reason.
    #[error("cannot capture on interface \"{interface}\": {reason}")]
    Interface {
        /// Interface.
        interface: String,
        /// In libpcap's words.
        reason: String,
    },
    /// The interfaces cannot be listed.
    #[error("cannot list the interfaces: {reason}")]
    ListInterfaces {
        /// In libpcap's words.
        reason: String,
    },
    /// The system has no route to an address.
    #[error("there is no route to {ip}")]
    NoRoute {
        /// Address.
        ip: IpAddr,
        /// Cause.
        source: io::Error,
    },
    /// No interface has the address that packets to `ip` would leave from.
    #[error("packets to {ip} leave from {local}, which no interface has")]
    NoInterfaceTowards {
        /// Where to.
        ip: IpAddr,
        /// Where from.
        local: IpAddr,
    },
    /// A capture thread could not be started.
    #[error("cannot start a capture thread for interface \"{interface}\"")]
    Thread {
        /// Interface.
        interface: String,
        /// Cause.
        source: io::Error,
    },
    /// A capture thread ended without a word: a defect of this program.
    #[error("the capture thread of interface \"{interface}\" died")]
    ThreadDied {
        /// Interface.
        interface: String,
    },
}

impl SourceError {
    /// What the user can do about it, where something can be done.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::NoFiles => Some("name one: -r FILE, or -r - for standard input".to_owned()),
            Self::StdinTwice => Some("name \"-\" once".to_owned()),
            Self::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("make the file readable for this user, or copy it".to_owned())
            }
            Self::Folder { name } => {
                Some(format!("name its captures one by one, or run: tunnelcheck suite {}", quoted(name)))
            }
            Self::Empty { .. } => Some(
                "write it anew; a capture without frames has at least a header of 24 octets"
                    .to_owned(),
            ),
            Self::NotACapture { .. } => Some(
                "record one with: tcpdump -i IFACE -s 262144 -w OUT.pcap, or tunnelcheck --record OUT.pcapng"
                    .to_owned(),
            ),
            Self::Packed { name, command, .. } => {
                Some(format!(
                "unpack it into a pipe: {command} {} | tunnelcheck ... -r -",
                quoted(name)
            ))
            }
            Self::OtherFormat { name, .. } => {
                Some(format!("convert it: editcap -F pcapng {} OUT.pcapng", quoted(name)))
            }
            Self::Permission { .. } => Some(permission_remedy().to_owned()),
            Self::NoSuchInterface { .. } => {
                Some("name one of these with -i, or leave -i out".to_owned())
            }
            Self::InterfaceDown { interface } => {
                Some(if cfg!(target_os = "linux") {
                    format!("bring it up: sudo ip link set {interface} up; or choose another with -i")
                } else {
                    format!("bring it up: sudo ifconfig {interface} up; or choose another with -i")
                })
            }
            Self::NoRoute { .. } | Self::NoInterfaceTowards { .. } => {
                Some("choose the interface yourself: -i IFACE".to_owned())
            }
            _ => None,
        }
    }
}

/// How a user comes to capture packets on this system, without giving the right to everybody.
const fn permission_remedy() -> &'static str {
    if cfg!(target_os = "macos") {
        "join the group access_bpf by installing Wireshark's ChmodBPF, or run it with sudo"
    } else if cfg!(target_os = "linux") {
        "run once: sudo setcap cap_net_raw,cap_net_bind_service+ep \"$(command -v tunnelcheck)\"; or run it with sudo"
    } else {
        "run it with sudo"
    }
}

/// A file name as one word of a shell's command line.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', "'\\''"))
}
