//! What may stand on the command line. MISSION section 5.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::IpAddr;
#[cfg(feature = "lab")]
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "tunnelcheck [OPTIONS] --expect-encrypted <TARGET> [-- <COMMAND>...]
       tunnelcheck [OPTIONS] --expect-encrypted <TARGET> -r <FILE>...
       tunnelcheck [OPTIONS] <COMMAND>";

/// Is this traffic really encrypted, or is the tunnel being bypassed?
///
/// Brings up the SSH tunnel of TARGET, captures packets in parallel, and answers PASS, FAIL or INCONCLUSIVE with the
/// evidence. With -r it judges recorded captures instead, and sends nothing.
///
/// Exit status: 0 PASS, 1 FAIL, 2 could not run, 3 INCONCLUSIVE, 130 interrupted before a verdict.
#[derive(Debug, Parser)]
#[command(name = "tunnelcheck", version, override_usage = USAGE)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Sub>,

    #[command(flatten)]
    pub(super) check: Check,

    #[command(flatten)]
    pub(super) common: Common,
}

/// The check itself.
#[derive(Debug, Default, PartialEq, Eq, ClapArgs)]
pub(super) struct Check {
    /// Target to be proven encrypted: a name of tunnelcheck.toml, or a Host of ~/.ssh/config. May be repeated.
    #[arg(long = "expect-encrypted", value_name = "TARGET")]
    pub(super) targets: Vec<String>,

    /// Judge these captures (pcap, pcapng; gzip, zstd; '-' is standard input), taken as one, instead of the wire.
    #[arg(short, long = "read", value_name = "FILE", num_args = 1.., conflicts_with_all = ["interfaces", "from", "window", "record", "traffic"])]
    pub(super) read: Vec<PathBuf>,

    /// Interface to watch; may be repeated. Default: those that lead to the gateway and to the services. With --from,
    /// `none`: watch from there alone.
    #[arg(short, long = "interface", value_name = "IFACE")]
    pub(super) interfaces: Vec<String>,

    /// Another machine to watch from, over SSH, with its tcpdump: USER@HOST, or a Host of ~/.ssh/config. May be repeated.
    /// Default interface there: that of its route to the gateway.
    #[arg(long, value_name = "USER@HOST[:IFACE]")]
    pub(super) from: Vec<String>,

    /// Take something away while the client works, and put it back: cut, reconnect, rekey, route, hosts,
    /// resolver=ADDRESS, ipv6. One after the other, each after two seconds of calm.
    #[cfg(feature = "live")]
    #[arg(long, value_name = "STEP,...", value_delimiter = ',', conflicts_with = "read")]
    pub(super) disrupt: Vec<crate::run::Step>,

    /// How long each disruption lasts. Default: 4s.
    #[cfg(feature = "live")]
    #[arg(long = "disrupt-for", value_name = "TIME", value_parser = parse_duration, requires = "disrupt")]
    pub(super) disrupt_for: Option<Duration>,

    /// Put back what an earlier run that was killed has disrupted, and do nothing else.
    #[arg(long = "undo-disruptions", conflicts_with_all = ["targets", "read", "traffic"])]
    pub(super) undo_disruptions: bool,

    /// Length of the window: 60s, 5m, 1h. Default: until Ctrl-C at a terminal, else 60s; with a COMMAND, until it ends.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub(super) window: Option<Duration>,

    /// Keep the frames, the control tokens, the drop counters and the phases in this pcapng file.
    #[arg(long, value_name = "OUT.pcapng")]
    pub(super) record: Option<PathBuf>,

    /// Accept this host key, though it is not in known_hosts, and keep it there. May be repeated.
    #[arg(long = "accept-host-key", value_name = "SHA256:...", value_parser = parse_fingerprint)]
    pub(super) accept_host_keys: Vec<String>,

    /// Let other hosts use the mouths of the forwards too (ssh -g).
    #[arg(short, long = "gateway-ports")]
    pub(super) gateway_ports: bool,

    /// Private key to sign on with, instead of the target's.
    #[arg(long = "identity", value_name = "FILE")]
    pub(super) identity_file: Option<PathBuf>,

    /// Capture buffer of each interface, in KiB.
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..=2_097_151))]
    pub(super) buffer: Option<u32>,

    /// The traffic under test: a program and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) traffic: Vec<OsString>,
}

/// Options of every command.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[derive(Debug, ClapArgs)]
pub(super) struct Common {
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = FormatArg::Text, global = true)]
    pub(super) format: FormatArg,

    /// Write the report to this file instead of standard output.
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) output: Option<PathBuf>,

    /// Target file. Default: ./tunnelcheck.toml, then the user's config folder.
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,

    /// ssh_config to use instead of ~/.ssh/config and the system's.
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) ssh_config: Option<PathBuf>,

    /// Who makes the tunnel, whatever the target says.
    #[arg(long, value_enum, global = true)]
    pub(super) tunnel: Option<TunnelArg>,

    /// Address of the watched host, beside those of the target. May be repeated.
    #[arg(long = "client", value_name = "ADDRESS", global = true)]
    pub(super) clients: Vec<IpAddr>,

    /// A text that must not be seen, beside those of the target. May be repeated.
    #[arg(long = "identifier", value_name = "TEXT", global = true)]
    pub(super) identifiers: Vec<String>,

    /// Warnings count as failures.
    #[arg(long, global = true)]
    pub(super) strict: bool,

    /// Show the values and octets that were found. Default: lengths and labels alone.
    #[arg(long, global = true)]
    pub(super) show_secrets: bool,

    /// Threads that read a recording, at most 4. Default: one for each core, and one alone below 1 MiB. One alone reads pipes, and
    /// files of which any is packed. The answer is the same for any number.
    #[arg(long, value_name = "N", global = true)]
    pub(super) threads: Option<std::num::NonZeroUsize>,

    /// Colour.
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, global = true)]
    pub(super) color: ColorArg,

    /// Say nothing but the report.
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,

    /// Say more.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,
}

/// Form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatArg {
    /// For a person at a terminal.
    Text,
    /// One JSON object.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// JUnit XML, for CI.
    Junit,
}

/// Who makes the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TunnelArg {
    /// tunnelcheck itself.
    Builtin,
    /// Somebody else's ssh or VPN.
    External,
    /// Nobody: the services themselves must be encrypted.
    None,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorArg {
    /// At a terminal, unless NO_COLOR is set.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// The other commands.
#[derive(Debug, Subcommand)]
pub(super) enum Sub {
    /// Every conn of a capture: its class, its protocol, what was found in it.
    Flows {
        /// Captures, taken as one ('-' is standard input).
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Judge captures that have a manifest, and compare with the verdicts written there.
    Suite {
        /// Folders, or manifests (NAME.toml beside NAME.pcap*).
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Why traffic goes past the tunnel of a target: ordered checks, each with a remedy.
    ///
    /// Exit status: 0 nothing wrong was found, 1 a cause was found, 2 could not run, 3 something could not be determined.
    #[cfg(feature = "live")]
    Diagnose {
        /// A name of tunnelcheck.toml, or a Host of ~/.ssh/config.
        #[arg(value_name = "TARGET")]
        target: String,
        /// Accept this host key, though it is not in known_hosts, and keep it there. May be repeated.
        #[arg(long = "accept-host-key", value_name = "SHA256:...", value_parser = parse_fingerprint)]
        accept_host_keys: Vec<String>,
    },
    /// The targets.
    Target {
        #[command(subcommand)]
        action: TargetAction,
    },
    /// The names of a target in the hosts file, so that clients come to the mouths of its tunnel.
    Hosts(super::hosts::HostsArgs),
    /// Bring the tunnel up and keep it up.
    #[cfg(feature = "tunnel")]
    Tunnel(super::tunnel::TunnelArgs),
    /// The whole story on an embedded gateway and mail server: FAIL beside the tunnel, PASS through it, FAIL again.
    #[cfg(feature = "lab")]
    Demo {
        /// What part of the demo this process plays.
        #[arg(long, value_enum, hide = true)]
        role: Option<DemoRole>,
    },
    /// Parts of the lab, for the demo and the tests.
    #[cfg(feature = "lab")]
    #[command(hide = true)]
    Lab {
        #[command(subcommand)]
        part: LabPart,
    },
}

/// What to do with the targets.
#[derive(Debug, Subcommand)]
pub(super) enum TargetAction {
    /// Write a commented tunnelcheck.toml to start from.
    Init {
        /// What kind of service: blitzmail, pop3, imap, smtp, postgres, generic.
        kind: String,
        /// Write it here; '-' is standard output.
        #[arg(long, value_name = "FILE", default_value = "tunnelcheck.toml")]
        file: PathBuf,
    },
    /// The names of all targets, and where they are written.
    List,
    /// A target as it was understood.
    Show {
        /// Its name.
        name: String,
    },
}

/// Parts of the demo.
#[cfg(feature = "lab")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DemoRole {
    /// The user's machine.
    Client,
    /// The gateway and the mail server.
    Server,
}

/// A part of the lab. The servers say `ready` when they listen, and serve until standard input ends.
#[cfg(feature = "lab")]
#[derive(Debug, Subcommand)]
pub(super) enum LabPart {
    /// DND, BlitzMail, POP3, bulletins and Notify on their usual ports.
    MailServers {
        /// Address to listen on.
        #[arg(long)]
        at: IpAddr,
        /// Leave the POP3 port to another server.
        #[arg(long)]
        without_pop3: bool,
    },
    /// An SSH gateway.
    Gateway {
        /// Address and port to listen on.
        #[arg(long)]
        at: SocketAddr,
        /// Agree to no encryption.
        #[arg(long)]
        plain: bool,
        /// A name that it resolves: NAME=ADDRESS.
        #[arg(long = "name", value_parser = parse_name)]
        names: Vec<(String, IpAddr)>,
    },
    /// An SSH client with forwards that agrees to no encryption.
    PlainClient {
        /// The gateway.
        #[arg(long)]
        gateway: SocketAddr,
        /// Agree to no encryption.
        #[arg(long)]
        plain: bool,
        /// A forward: MOUTH=HOST:PORT.
        #[arg(long = "forward", value_parser = parse_forward)]
        forwards: Vec<(SocketAddr, String, u16)>,
    },
    /// A name server on UDP that knows these names.
    NameServer {
        /// Address and port to listen on.
        #[arg(long)]
        at: SocketAddr,
        /// A name that it knows: NAME=ADDRESS.
        #[arg(long = "name", value_parser = parse_name)]
        names: Vec<(String, IpAddr)>,
    },
    /// A mail user, who does these steps one after another: STEP@ADDRESS:PORT.
    User {
        /// dnd, blitzmail, pop3, bulletins or notify, then @ADDRESS:PORT; or wait@MILLISECONDS.
        #[arg(required = true)]
        steps: Vec<String>,
    },
}

#[cfg(feature = "lab")]
fn parse_name(text: &str) -> Result<(String, IpAddr), String> {
    let (name, address) = text.split_once('=').ok_or("write NAME=ADDRESS")?;
    Ok((name.to_ascii_lowercase(), address.parse().map_err(|_| "that is no address")?))
}

#[cfg(feature = "lab")]
fn parse_forward(text: &str) -> Result<(SocketAddr, String, u16), String> {
    let wrong = || "write MOUTH=HOST:PORT".to_owned();
    let (mouth, target) = text.split_once('=').ok_or_else(wrong)?;
    let (host, port) = target.rsplit_once(':').ok_or_else(wrong)?;
    let mouth = mouth.parse().map_err(|_| wrong())?;
    Ok((mouth, host.to_owned(), port.parse().map_err(|_| wrong())?))
}

/// `SHA256:` and 43 digits of base64, as `ssh-keygen -lf` shows it; the prefix may be missing.
pub(super) fn parse_fingerprint(text: &str) -> Result<String, String> {
    const DIGITS: usize = 43; // 32 octets in base64, without padding
    let digest = match text.split_at_checked("SHA256:".len()) {
        Some((head, digest)) if head.eq_ignore_ascii_case("SHA256:") => digest,
        _ => text,
    };
    let digest = digest.trim_end_matches('=');
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    if digest.len() == DIGITS && digest.chars().all(is_base64) {
        return Ok(text.to_owned());
    }
    Err("not a fingerprint: write SHA256: and 43 characters, as `ssh-keygen -lf KEY.pub` shows it"
        .to_owned())
}

/// `60`, `60s`, `5m`, `1h`, `500ms`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("{text:?} is no time; write 500ms, 60s, 5m or 1h");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let total = number.checked_mul(milliseconds).filter(|total| *total > 0).ok_or_else(wrong)?;
    Ok(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn options_of_every_command_may_stand_in_front_of_it() {
        let args =
            Args::try_parse_from(["tunnelcheck", "--config", "a.toml", "target", "list"]).unwrap();
        assert!(matches!(args.command, Some(Sub::Target { .. })));
        assert_eq!(args.common.config, Some(PathBuf::from("a.toml")));
        assert_eq!(args.check, Check::default());
    }

    #[test]
    fn what_would_be_passed_over_in_silence_is_refused() {
        // Status 0 means PASS: putting back must not be taken for a check, nor a recording for a run with disruptions.
        for wrong in [
            "--undo-disruptions --expect-encrypted dasher",
            "--undo-disruptions -r a.pcapng",
            #[cfg(feature = "live")]
            "--expect-encrypted dasher -r a.pcapng --disrupt cut",
        ] {
            let words = std::iter::once("tunnelcheck").chain(wrong.split(' '));
            assert!(Args::try_parse_from(words).is_err(), "{wrong}");
        }
        assert!(Args::try_parse_from(["tunnelcheck", "--undo-disruptions"]).is_ok());
    }

    #[test]
    fn a_fingerprint_is_told_from_anything_else() {
        let digits = "P9R/K03yEjoJS6BPtfTuBYUeLlOTFG7416cvw+2wwlk";
        for right in [format!("SHA256:{digits}"), format!("sha256:{digits}="), digits.to_owned()] {
            assert_eq!(parse_fingerprint(&right), Ok(right));
        }
        for wrong in ["", "foo", "SHA256:", "MD5:00:11:22", &format!("SHA256:{digits}k")] {
            assert!(parse_fingerprint(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        assert_eq!(parse_duration("60"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "s", "0", "1d", "-5s", "99999999999999999999h", "18446744073709551615h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
