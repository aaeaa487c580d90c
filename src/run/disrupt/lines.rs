//! The hosts file and resolv.conf, changed line by line so that every change can be told and taken back.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;

/// In front of a line that was put aside.
const ASIDE: &str = "#tunnelcheck-aside# ";
/// Around lines that were added.
const BEGIN: &str = "#tunnelcheck-disrupt-begin";
const END: &str = "#tunnelcheck-disrupt-end";
/// Octets of such a file; a list of blocked hosts may be long.
const MAX_BYTES: u64 = 16 << 20;

/// Puts aside the lines of a hosts file that lead one of `names` to loopback; none where no line does.
pub(super) fn without_aliases(text: &str, names: &BTreeSet<String>) -> Option<String> {
    let is_alias = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let is_loopback = words
            .next()
            .and_then(|ip| ip.parse::<IpAddr>().ok())
            .is_some_and(|ip| ip.is_loopback());
        is_loopback && words.any(|name| names.contains(&normal(name)))
    };
    put_aside(text, is_alias)
}

/// Puts aside the servers of a resolv.conf, and names another.
pub(super) fn with_resolver(text: &str, server: IpAddr) -> String {
    let is_server = |line: &str| line.trim_start().starts_with("nameserver");
    let mut changed = put_aside(text, is_server).unwrap_or_else(|| text.to_owned());
    if !changed.is_empty() && !changed.ends_with('\n') {
        changed.push('\n');
    }
    let server = server.to_string();
    changed.extend([BEGIN, "\nnameserver ", &server, "\n", END, "\n"]);
    changed
}

/// A text without our changes, whatever else was changed in it since.
pub(super) fn undone(text: &str) -> String {
    let mut undone = String::with_capacity(text.len());
    let mut is_added = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => is_added = true,
            END => is_added = false,
            _ if is_added => {}
            _ => undone.push_str(line.strip_prefix(ASIDE).unwrap_or(line)),
        }
    }
    undone
}

/// A name as names are compared: without case and without the last dot.
pub(super) fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The text of such a file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let said = |error: io::Error| format!("{}: {error}", path.display());
    let length = std::fs::metadata(path).map_err(said)?.len();
    if length > MAX_BYTES {
        return Err(format!("{}: {length} octets are too many", path.display()));
    }
    std::fs::read_to_string(path).map_err(said)
}

/// Writes a text into a file that exists: in place, since the file may be mounted over another, be a link, or bear
/// labels. A write that is torn is mended from the journal, which holds both texts.
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    let write = || {
        let mut file = OpenOptions::new().write(true).truncate(false).open(path)?;
        file.write_all(text.as_bytes())?;
        file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
        file.sync_all()
    };
    write().map_err(|error: io::Error| {
        let needs =
            if error.kind() == io::ErrorKind::PermissionDenied { " (it needs root)" } else { "" };
        format!("{}: {error}{needs}", path.display())
    })
}

fn put_aside(text: &str, which: impl Fn(&str) -> bool) -> Option<String> {
    let mut changed = String::with_capacity(text.len() + 256);
    let mut any = false;
    for line in text.split_inclusive('\n') {
        if which(line) {
            any = true;
            changed.push_str(ASIDE);
        }
        changed.push_str(line);
    }
    any.then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> BTreeSet<String> {
        ["dasher.dartmouth.edu", "dasher"].map(normal).into()
    }

    #[test]
    fn aliases_are_put_aside_and_come_back() {
        let text = "127.0.0.1 localhost\n127.0.0.2\tDasher.Dartmouth.EDU. dasher # ours\n\
                    10.0.0.1 dasher\n# 127.0.0.1 dasher\n::1 dasher";
        let changed = without_aliases(text, &names()).unwrap();
        assert_eq!(changed.matches(ASIDE).count(), 2, "{changed}");
        assert!(
            changed.starts_with("127.0.0.1 localhost\n") && changed.contains("\n10.0.0.1 dasher")
        );
        assert_eq!(undone(&changed), text);
        assert_eq!(without_aliases("127.0.0.1 localhost\n", &names()), None);
    }

    #[test]
    fn what_others_changed_meanwhile_stays() {
        let text = "127.0.0.1 dasher\n";
        let mut changed = without_aliases(text, &names()).unwrap();
        changed.push_str("10.9.9.9 new\n");
        assert_eq!(undone(&changed), "127.0.0.1 dasher\n10.9.9.9 new\n");
    }

    #[test]
    fn a_resolver_takes_the_place_of_the_others() {
        let text = "search a.b\nnameserver 10.0.0.1\nnameserver ::1";
        let changed = with_resolver(text, "10.0.0.53".parse().unwrap());
        let servers: Vec<&str> =
            changed.lines().filter(|line| line.starts_with("nameserver")).collect();
        assert_eq!(servers, ["nameserver 10.0.0.53"]);
        assert_eq!(undone(&changed), format!("{text}\n"));
    }

    #[test]
    fn a_file_is_written_in_place_and_becomes_no_longer_than_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::write(&path, "a longer text than the next\n").unwrap();
        write(&path, "short\n").unwrap();
        assert_eq!(read(&path).unwrap(), "short\n");
        assert!(
            write(&folder.path().join("no"), "x").is_err(),
            "nothing is made that was not there"
        );
    }

    proptest! {
        #[test]
        fn every_change_can_be_undone(lines in proptest::collection::vec("(127\\.0\\.0\\.1 dasher|nameserver 1\\.2\\.3\\.4|[ -~]{0,30})", 0..12)) {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            prop_assume!(!text.contains("tunnelcheck-"));
            if let Some(changed) = without_aliases(&text, &names()) {
                prop_assert_eq!(undone(&changed), text.clone());
            }
            prop_assert_eq!(undone(&with_resolver(&text, [1, 2, 3, 4].into())), text);
        }
    }
}
