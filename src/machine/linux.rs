//! Linux: /proc.

use super::Holders;
use super::error::MachineError;
use super::lookup::{AnsweredBy, Family, Lookup, Resolver};
use super::socket::{Socket, Transport, parse_table};
use super::tool;
use crate::model::ProcessRecord;
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// Ticks of /proc/PID/stat in a second: `USER_HZ`, 100 on every architecture that tunnelcheck is built for (proc(5)).
const TICKS: u64 = 100;
/// How long one look-up of a name may take: the resolver's own first timeout is 5 s.
const PATIENCE: Duration = Duration::from_secs(6);
/// glibc's cache of names, where it runs.
const NSCD: [&str; 2] = ["/run/nscd/socket", "/var/run/nscd/socket"];
/// Octets of an argument that are kept, and arguments.
const MAX_ARGUMENT: usize = 256;
const MAX_ARGUMENTS: usize = 32;

/// The sockets of this machine (of this network namespace).
///
/// # Errors
/// `Read` where the kernel's table of TCP cannot be read.
pub(super) fn sockets() -> Result<Vec<Socket>, MachineError> {
    let mut sockets = Vec::new();
    for (file, transport) in [
        ("tcp", Transport::Tcp),
        ("tcp6", Transport::Tcp),
        ("udp", Transport::Udp),
        ("udp6", Transport::Udp),
    ] {
        let path = Path::new("/proc/self/net").join(file);
        match fs::read_to_string(&path) {
            Ok(text) => sockets.extend(parse_table(&text, transport).0),
            // Without IPv6 there are no tables of it.
            Err(_) if file != "tcp" => {}
            Err(source) => return Err(MachineError::Read { path, source }),
        }
    }
    Ok(sockets)
}

/// The socket with these ends; of UDP also one without another end.
pub(super) fn find(local: SocketAddr, remote: SocketAddr, transport: Transport) -> Option<Socket> {
    super::diag::find(local, remote, transport)
}

pub(super) fn holders(inodes: &BTreeSet<u64>) -> Holders {
    let mut holders = Holders::default();
    let Ok(processes) = fs::read_dir("/proc") else {
        holders.unreadable = 1;
        return holders;
    };
    let mut numbers: Vec<u32> =
        processes.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    // The youngest first: a short-lived client may end while the others are looked at.
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    for pid in numbers {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            // It ended, or belongs to somebody else.
            holders.unreadable += usize::from(Path::new(&format!("/proc/{pid}")).exists());
            continue;
        };
        for link in descriptors.flatten().filter_map(|it| fs::read_link(it.path()).ok()) {
            let inode = link
                .to_str()
                .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|inode| inodes.contains(inode))
                && let Some(process) = process(pid)
            {
                holders.add(inode, process);
            }
        }
    }
    holders
}

/// A process, as far as it may be seen; none where it has ended.
pub(super) fn process(pid: u32) -> Option<ProcessRecord> {
    let folder = Path::new("/proc").join(pid.to_string());
    let uid = fs::metadata(&folder).ok()?.uid();
    let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
    let line = fs::read(folder.join("cmdline")).unwrap_or_default();
    let argument = |octets: &[u8]| {
        String::from_utf8_lossy(octets.get(..octets.len().min(MAX_ARGUMENT)).unwrap_or_default())
            .into_owned()
    };
    Some(ProcessRecord {
        pid,
        name: name.trim_end_matches('\n').to_owned(),
        exe: fs::read_link(folder.join("exe")).ok().map(|it| it.to_string_lossy().into_owned()),
        uid: Some(uid),
        user: user(uid),
        age_s: age(&folder),
        args: line
            .split(|octet| *octet == 0)
            .filter(|it| !it.is_empty())
            .take(MAX_ARGUMENTS)
            .map(argument)
            .collect(),
    })
}

/// Whether every process may be seen.
pub(super) fn is_superuser() -> bool {
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

fn age(folder: &Path) -> Option<u64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let up: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let started = start_ticks(&fs::read_to_string(folder.join("stat")).ok()?)? / TICKS;
    Duration::try_from_secs_f64(up).ok().map(|up| up.as_secs().saturating_sub(started))
}

/// The 22nd field of /proc/PID/stat; the second one is a name in parentheses that may hold anything.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The name of a user, by the file alone: a directory service may be what does not answer.
fn user(uid: u32) -> Option<String> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Whether something of the system keeps answers of earlier questions.
pub(super) fn caches(order: &[String]) -> Vec<&'static str> {
    let mut caches = Vec::new();
    if NSCD.iter().any(|path| Path::new(path).exists()) {
        caches.push("nscd");
    }
    if order.iter().any(|it| it == "resolve")
        || Path::new("/run/systemd/resolve/io.systemd.Resolve").exists()
    {
        caches.push("systemd-resolved");
    }
    caches
}

/// Asks the system's resolver, as a program that asks for one family does.
pub(super) fn ask_system(name: &str, family: Family) -> Result<Vec<IpAddr>, MachineError> {
    getent(&[], name, family)
}

/// Asks one service of nsswitch.conf alone.
fn ask_service(service: &str, name: &str, family: Family) -> Result<Vec<IpAddr>, MachineError> {
    getent(&["-s", &format!("hosts:{service}")], name, family)
}

fn getent(options: &[&str], name: &str, family: Family) -> Result<Vec<IpAddr>, MachineError> {
    let database = match family {
        Family::V4 => "ahostsv4",
        // `ahostsv6` maps the IPv4 addresses of the hosts file, and then asks nobody else; a program that wants IPv6
        // alone does. `hosts` asks for IPv6 first, and shows IPv4 only where there is none.
        Family::V6 => "hosts",
    };
    let arguments: Vec<&str> = options.iter().copied().chain([database, name]).collect();
    let ran = tool::run("getent", &arguments, PATIENCE)?;
    // A name that is not known ends it with status 2 and without a word.
    Ok(if ran.is_ok { parse_getent(&ran.stdout, family) } else { Vec::new() })
}

/// `ADDRESS ...`, a line each; those of the other family, and mapped ones, are left out.
fn parse_getent(text: &str, family: Family) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let Some(Ok(ip)) = line.split_whitespace().next().map(str::parse::<IpAddr>) else {
            continue;
        };
        let fits = match ip {
            IpAddr::V4(_) => family == Family::V4,
            IpAddr::V6(ip) => family == Family::V6 && Ipv6Addr::to_ipv4_mapped(&ip).is_none(),
        };
        if fits && !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}

/// Which service gave an answer that the hosts file does not explain: the first of the order that gives it alone.
pub(super) fn attribute(resolver: &Resolver, lookup: &Lookup) -> AnsweredBy {
    for service in resolver.order.iter().filter(|it| *it != "files") {
        let Ok(found) = ask_service(service, &lookup.name, lookup.family) else { continue };
        if !found.is_empty() && lookup.addresses.iter().all(|ip| found.contains(ip)) {
            return match service.as_str() {
                "dns" => AnsweredBy::Dns(resolver.servers.clone()),
                "resolve" => AnsweredBy::Resolved,
                other => AnsweredBy::Service(other.to_owned()),
            };
        }
    }
    if caches(&[]).contains(&"nscd") {
        return AnsweredBy::Cache("nscd");
    }
    AnsweredBy::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Key, State};

    #[test]
    fn the_start_of_a_process_with_a_hostile_name_is_read() {
        let stat = "7 (a) 1 (b) S 1 7 7 0 -1 4194304 1 0 0 0 1 2 0 0 20 0 1 0 12345 1 1";
        assert_eq!(start_ticks(stat), Some(12345));
        assert_eq!(start_ticks("7 (a) S 1"), None);
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    fn mapped_addresses_are_no_ipv6() {
        let text = "::ffff:127.0.0.1 STREAM x\n::ffff:127.0.0.1 DGRAM\nfd77::1 STREAM\nfd77::1 RAW\ngarbage\n\n";
        assert_eq!(parse_getent(text, Family::V6), ["fd77::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(parse_getent("127.0.0.1 STREAM x", Family::V4).len(), 1);
    }

    #[test]
    fn this_process_holds_its_own_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let all = sockets().unwrap();
        let own = all.iter().find(|socket| socket.listens_at(at)).unwrap();
        assert_eq!(own.state, State::Listen);
        assert!(matches!(own.key, Key::Inode(_)));
        let holders = Holders::of([own]).processes(own);
        assert!(holders.iter().any(|it| it.pid == std::process::id()), "{holders:?}");
        let me = holders.iter().find(|it| it.pid == std::process::id()).unwrap();
        assert!(me.age_s.unwrap() < 3600 && me.exe.is_some() && !me.args.is_empty());
    }

    #[test]
    fn a_process_that_has_ended_is_none() {
        assert_eq!(process(u32::MAX), None);
    }
}
