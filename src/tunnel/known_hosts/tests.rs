use super::*;
use proptest::prelude::*;
use std::process::Command;

const KEY_A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
const KEY_B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIP/+/fz7+vn49/b19PPy8fDv7u3s6+rp6Ofm5eTj4uHg";

fn read(text: &str) -> KnownHosts {
    let mut all = KnownHosts::default();
    all.parse(Path::new("known_hosts"), text.as_bytes());
    all
}

fn lines(all: &KnownHosts, name: &str) -> Vec<u64> {
    all.of(name).map(|entry| entry.line).collect()
}

/// Lines that `ssh-keygen -F` finds; none where there is no ssh-keygen.
fn lines_of_ssh_keygen(file: &Path, name: &str) -> Option<Vec<u64>> {
    let Ok(out) = Command::new("ssh-keygen").args(["-F", name, "-f"]).arg(file).output() else {
        crate::skip::missing("there is no ssh-keygen to compare with");
        return None;
    };
    let text = String::from_utf8(out.stdout).unwrap();
    let found = text.lines().filter_map(|line| {
        let number = line.strip_prefix("# Host ")?.split_once(" found: line ")?.1;
        number.split_whitespace().next()?.parse().ok()
    });
    Some(found.collect())
}

#[test]
fn every_kind_of_line_is_matched_as_ssh_keygen_does() {
    let text = format!(
        "# a comment\n\
         \n\
         plain.example.org ssh-ed25519 {KEY_A}\n\
         one.example.org,two.example.org,10.0.0.1 ssh-ed25519 {KEY_A} with a comment\n\
         *.wild.org,!not.wild.org ssh-ed25519 {KEY_A}\n\
         h?st.org ssh-ed25519 {KEY_B}\n\
         [port.example.org]:2222 ssh-ed25519 {KEY_A}\n\
         [*.wild.org]:* ssh-ed25519 {KEY_B}\n\
         plain.example.org ssh-ed25519 {KEY_B}\n\
         \ttabs.example.org\tssh-ed25519\t{KEY_A}\tcomment\n\
         crlf.example.org ssh-ed25519 {KEY_A}\r\n\
         @revoked revoked.example.org ssh-ed25519 {KEY_A}\n\
         @cert-authority *.ca.org ssh-ed25519 {KEY_A}\n\
         @cert-authority *.ca2.org ssh-ed25519 {KEY_B}\n\
         UPPER.example.org ssh-ed25519 {KEY_A}\n\
         !lonely.org ssh-ed25519 {KEY_A}\n\
         [2001:db8::1]:2222,2001:db8::1 ssh-ed25519 {KEY_A}\n\
         last.example.org ssh-ed25519 {KEY_A}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    fs::write(&file, &text).unwrap();
    let all = read(&text);
    assert_eq!(all.bad_lines(), 0);
    for name in [
        "plain.example.org",
        "one.example.org",
        "two.example.org",
        "10.0.0.1",
        "a.wild.org",
        "not.wild.org",
        "a.b.wild.org",
        "wild.org",
        "host.org",
        "hst.org",
        "[port.example.org]:2222",
        "port.example.org",
        "[a.wild.org]:99",
        "tabs.example.org",
        "crlf.example.org",
        "revoked.example.org",
        "x.ca.org",
        "upper.example.org",
        "UPPER.example.org",
        "lonely.org",
        "2001:db8::1",
        "[2001:db8::1]:2222",
        "last.example.org",
        "nobody.example.net",
    ] {
        let Some(theirs) = lines_of_ssh_keygen(&file, name) else { return };
        assert_eq!(lines(&all, name), theirs, "{name}");
    }
}

#[test]
fn a_revocation_set_off_by_a_tab_counts_though_openssh_passes_it_over() {
    let all = read(&format!("@revoked\t* ssh-ed25519 {KEY_A}\n"));
    assert_eq!(all.of("any.example.org").map(|e| e.marker).collect::<Vec<_>>(), [Marker::Revoked]);
}

#[test]
fn hashed_hosts_of_ssh_keygen_are_found() {
    let text = format!(
        "plain.example.org,10.0.0.7 ssh-ed25519 {KEY_A}\n[port.example.org]:2222 ssh-ed25519 {KEY_B}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    fs::write(&file, text).unwrap();
    let Ok(out) = Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file).output() else {
        crate::skip::missing("there is no ssh-keygen to compare with");
        return;
    };
    assert!(out.status.success());
    let all = KnownHosts::read(std::slice::from_ref(&file)).unwrap();
    assert!(fs::read_to_string(&file).unwrap().starts_with("|1|"));
    for name in ["plain.example.org", "10.0.0.7", "[port.example.org]:2222", "other.example.org"] {
        assert_eq!(lines(&all, name), lines_of_ssh_keygen(&file, name).unwrap(), "{name}");
    }
    assert_eq!(lines(&all, "PLAIN.example.org").len(), 1);
}

#[test]
fn what_is_appended_is_found_by_ssh_keygen() {
    for hashed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/ssh/known_hosts");
        let blob = BASE64.decode(KEY_A.as_bytes()).unwrap();
        append(&file, "[new.example.org]:2222", "ssh-ed25519", &blob, hashed).unwrap();
        append(&file, "second.example.org", "ssh-ed25519", &blob, hashed).unwrap();
        let all = KnownHosts::read(std::slice::from_ref(&file)).unwrap();
        assert_eq!(lines(&all, "[new.example.org]:2222"), [1]);
        assert_eq!(lines(&all, "second.example.org"), [2]);
        if let Some(theirs) = lines_of_ssh_keygen(&file, "second.example.org") {
            assert_eq!(theirs, [2]);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&file), 0o600);
            assert_eq!(mode(file.parent().unwrap()), 0o700);
        }
    }
}

#[test]
fn a_missing_last_line_end_is_made_up_before_a_line_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    fs::write(&file, format!("a.example.org ssh-ed25519 {KEY_A}")).unwrap();
    let blob = BASE64.decode(KEY_B.as_bytes()).unwrap();
    append(&file, "b.example.org", "ssh-ed25519", &blob, false).unwrap();
    let all = KnownHosts::read(&[file]).unwrap();
    assert_eq!((lines(&all, "a.example.org"), lines(&all, "b.example.org")), (vec![1], vec![2]));
    assert_eq!(all.bad_lines(), 0);
}

#[test]
fn bad_lines_are_counted_and_stop_nothing() {
    let all = read(&format!(
        "a.example.org\n\
         a.example.org ssh-ed25519 not*base64\n\
         a.example.org ssh-rsa {KEY_A}\n\
         @unknown a.example.org ssh-ed25519 {KEY_A}\n\
         |1|abc|def ssh-ed25519 {KEY_A}\n\
         |2|AAAA|AAAA ssh-ed25519 {KEY_A}\n\
         a.example.org 1024 35 12345678901234567890\n\
         a.example.org ssh-ed25519 {KEY_A}\n"
    ));
    assert_eq!(lines(&all, "a.example.org"), [8]);
    assert_eq!(all.bad_lines(), 7);
}

#[test]
fn a_missing_file_is_empty_and_an_unreadable_one_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(KnownHosts::read(&[folder.path().join("none")]).is_ok());
    let result = KnownHosts::read(&[folder.path().to_owned()]);
    assert!(matches!(result, Err(TunnelError::KnownHosts { .. })));
}

#[test]
fn the_port_is_written_unless_it_is_22() {
    assert_eq!(host_name("Host.Example.ORG", 22), "host.example.org");
    assert_eq!(host_name("Host.Example.ORG", 2222), "[host.example.org]:2222");
    assert_eq!(host_name("2001:DB8::1", 22), "2001:db8::1");
}

#[test]
fn the_fingerprint_is_that_of_ssh_keygen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pub");
    fs::write(&file, format!("ssh-ed25519 {KEY_A} x\n")).unwrap();
    let Ok(out) = Command::new("ssh-keygen").arg("-lf").arg(&file).output() else {
        crate::skip::missing("there is no ssh-keygen to compare with");
        return;
    };
    let theirs = String::from_utf8(out.stdout).unwrap();
    let ours = fingerprint(&BASE64.decode(KEY_A.as_bytes()).unwrap());
    assert!(theirs.contains(&format!("{ours} ")), "{theirs}");
}

proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut all = KnownHosts::default();
        all.parse(Path::new("known_hosts"), &octets);
        let _ = all.of("a").count();
    }

    #[test]
    fn a_pattern_matches_as_a_regular_expression_would(text in "[ab.]{0,8}", pattern in "[ab.*?]{0,8}") {
        let mut expression = String::from("^");
        for c in pattern.chars() {
            match c {
                '*' => expression.push_str(".*"),
                '?' => expression.push('.'),
                c => expression.push_str(&regex::escape(&c.to_string())),
            }
        }
        expression.push('$');
        let expected = regex::Regex::new(&expression).unwrap().is_match(&text);
        prop_assert_eq!(matches_pattern(&text, &pattern), expected);
    }
}
