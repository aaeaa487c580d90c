//! The room from its door: octets in, octets out; files in folders of their own.

use super::*;
use crate::model::Service;
use proptest::prelude::*;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn alias(address: &str, name: &str) -> Alias {
    Alias::new(ip(address), name)
}

fn dasher() -> Vec<Alias> {
    vec![alias("127.0.0.1", "dasher.Dartmouth.EDU"), alias("127.0.0.2", "dancer.dartmouth.edu")]
}

fn service(name: &str, host: &str, port: u16, listen: &str) -> Service {
    Service {
        name: name.to_owned(),
        kind: "generic".to_owned(),
        host: host.to_owned(),
        port,
        addresses: Vec::new(),
        is_by_name: true,
        listen: (!listen.is_empty()).then(|| listen.parse().unwrap()),
        aliases: Vec::new(),
        is_udp: false,
    }
}

fn gather(services: &[(&Service, &[&str])], kept: &[&str]) -> Result<Aliases, HostsError> {
    let written: Vec<Vec<String>> = services
        .iter()
        .map(|(_, names)| names.iter().map(|it| (*it).to_owned()).collect())
        .collect();
    let wanted: Vec<Wanted<'_>> = services
        .iter()
        .zip(&written)
        .map(|((service, _), written)| Wanted { service, written })
        .collect();
    let kept: Vec<String> = kept.iter().map(|it| (*it).to_owned()).collect();
    aliases(&wanted, &kept)
}

fn shown(found: &Aliases) -> Vec<String> {
    found.lines.iter().map(|it| format!("{} {}", it.address, it.names.join(" "))).collect()
}

#[test]
fn a_name_is_written_in_every_form_of_the_paper() {
    let mail = service("mail", "dasher.dartmouth.edu", 2151, "127.0.0.1:2151");
    let dnd = service("dnd", "dnd.dartmouth.edu", 902, "127.0.0.1:902");
    let names: &[&str] = &["dasher.Dartmouth.EDU", "dasher.dartmouth.edu.", "Blitz"];
    let found = gather(&[(&mail, names), (&dnd, &["dnd.dartmouth.edu"])], &[]).unwrap();
    assert_eq!(
        shown(&found),
        [
            "127.0.0.1 dasher.dartmouth.edu dasher.dartmouth.edu. dasher.Dartmouth.EDU dasher.Dartmouth.EDU.",
            "127.0.0.1 blitz Blitz",
            "127.0.0.1 dnd.dartmouth.edu dnd.dartmouth.edu.",
            "127.0.0.1 dasher",
            "127.0.0.1 dnd",
        ]
    );
    assert_eq!((found.left_out.len(), found.notes.len()), (0, 0));
}

#[test]
fn what_has_no_name_or_no_mouth_is_said() {
    let literal = service("literal", "10.0.0.5", 110, "127.0.0.1:110");
    let local = service("local", "localhost", 110, "127.0.0.1:2003");
    let mouthless = service("mouthless", "a.example", 110, "");
    let mut notify = service("notify", "b.example", 2154, "");
    notify.is_udp = true;
    let found = gather(
        &[
            (&literal, &["10.0.0.5"]),
            (&local, &["localhost"]),
            (&mouthless, &["a.example"]),
            (&notify, &["b.example"]),
        ],
        &[],
    )
    .unwrap();
    assert!(found.is_empty());
    let said: Vec<String> =
        found.left_out.iter().map(|it| format!("{}: {}", it.service, it.why)).collect();
    assert!(said[0].starts_with("literal: it has no name") && said[0].contains("127.0.0.1:110"));
    assert!(said[1].starts_with("local: it has no name"));
    assert!(said[2].starts_with("mouthless: it has no mouth"));
    assert!(said[3].starts_with("notify: it speaks UDP"));
    assert!(found.notes[0].why.contains("port 2003"));
}

#[test]
fn the_gateways_own_name_is_left_to_the_tunnel() {
    let news = service("news", "nimbus.example", 119, "127.0.0.1:119");
    let found =
        gather(&[(&news, &["Nimbus.example.", "news.example"])], &["nimbus.example"]).unwrap();
    assert_eq!(shown(&found), ["127.0.0.1 news.example news.example.", "127.0.0.1 news"]);
    assert!(found.left_out[0].why.contains("the gateway's own name"), "{found:?}");
}

#[test]
fn a_name_that_would_lead_to_two_addresses_is_refused_and_a_short_one_is_left_out() {
    let a = service("a", "mail.one.example", 110, "127.0.0.1:110");
    let b = service("b", "mail.two.example", 110, "127.0.0.2:110");
    let found = gather(&[(&a, &["mail.one.example"]), (&b, &["mail.two.example"])], &[]).unwrap();
    assert_eq!(
        shown(&found),
        [
            "127.0.0.1 mail.one.example mail.one.example.",
            "127.0.0.2 mail.two.example mail.two.example."
        ]
    );
    assert!(found.notes[0].why.contains("the short form mail gets no line"), "{found:?}");
    let error = gather(&[(&a, &["x.example"]), (&b, &["X.example."])], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the name \"x.example\" belongs to service \"a\" at 127.0.0.1 and to service \"b\" at 127.0.0.2"
    );
    assert!(error.remedy().unwrap().contains("127.0.0.1"));
}

#[test]
fn a_mouth_on_every_address_is_asked_for_on_loopback() {
    let a = service("a", "a.example", 110, "0.0.0.0:110");
    let b = service("b", "b.example", 110, "[::]:111");
    let found = gather(&[(&a, &["a.example"]), (&b, &["b.example"])], &[]).unwrap();
    assert_eq!((found.lines[0].address, found.lines[1].address), (ip("127.0.0.1"), ip("::1")));
    assert!(found.notes.iter().any(|it| it.service == "b" && it.why.contains("IPv4 alone")));
}

#[test]
fn a_block_is_as_documented() {
    let file = put(b"127.0.0.1 localhost\n", "dasher", &dasher()).unwrap();
    assert_eq!(
        String::from_utf8(file).unwrap(),
        "127.0.0.1 localhost\n\
         # BEGIN tunnelcheck dasher 0b486d2b16bfff46\n\
         # These names lead to the mouths of a tunnel; `tunnelcheck hosts dasher --revert` takes the block out again.\n\
         127.0.0.1\tdasher.dartmouth.edu dasher.dartmouth.edu. dasher.Dartmouth.EDU dasher.Dartmouth.EDU.\n\
         ::ffff:127.0.0.1\tdasher.dartmouth.edu dasher.dartmouth.edu. dasher.Dartmouth.EDU dasher.Dartmouth.EDU.\n\
         127.0.0.2\tdancer.dartmouth.edu dancer.dartmouth.edu.\n\
         ::ffff:127.0.0.2\tdancer.dartmouth.edu dancer.dartmouth.edu.\n\
         # END tunnelcheck dasher\n"
    );
}

#[test]
fn a_line_of_somebody_else_is_in_the_way_with_its_number() {
    for (line, wrong) in [
        ("10.1.1.1 dasher.dartmouth.edu", true),
        ("\t10.1.1.1\tother DASHER.Dartmouth.edu. # x", true),
        ("::1 dancer.dartmouth.edu", true),
        ("127.1 dancer.dartmouth.edu\r", true),
        ("10.1.1.1\0dasher.dartmouth.edu", true),
        ("127.0.0.1 dasher.dartmouth.edu", false),
        ("127.0.0.2 dancer.dartmouth.edu", false),
        ("::ffff:127.0.0.2 dancer.dartmouth.edu", false),
        ("::ffff:127.0.0.3 dancer.dartmouth.edu", true),
        ("# 10.1.1.1 dasher.dartmouth.edu", false),
        ("10.1.1.1 other # dasher.dartmouth.edu", false),
        ("10.1.1.1 dasher.dartmouth.edu.au dasher", false),
    ] {
        let file = format!("# one\n\n{line}\n");
        let found = conflicts(file.as_bytes(), "dasher", &dasher()).unwrap();
        assert_eq!(!found.is_empty(), wrong, "{line:?}: {found:?}");
        let put = put(file.as_bytes(), "dasher", &dasher());
        assert_eq!(put.is_err(), wrong, "{line:?}");
        if let Err(error) = put {
            assert_eq!(found[0].line, 3);
            assert!(error.to_string().contains("line 3"), "{error}");
            assert!(error.remedy().unwrap().contains("line 3"), "{error}");
        }
    }
}

#[test]
fn another_targets_block_is_in_the_way_and_named() {
    let file = put(b"", "pop", &[alias("127.0.0.9", "dasher.dartmouth.edu")]).unwrap();
    let error = put(&file, "dasher", &dasher()).unwrap_err();
    assert!(error.to_string().contains("(the block of target \"pop\")"), "{error}");
}

/// What a damaged file is refused with.
fn damage(file: &str) -> String {
    let (putting, taking) = (put(file.as_bytes(), "t", &dasher()), take(file.as_bytes(), "t"));
    let (putting, taking) = (putting.unwrap_err(), taking.unwrap_err());
    assert_eq!(putting.to_string(), taking.to_string());
    assert!(putting.remedy().unwrap().contains("nothing was changed"));
    putting.to_string()
}

#[test]
fn a_damaged_block_is_refused_with_its_line() {
    let good = String::from_utf8(put(b"127.0.0.1 localhost\n", "t", &dasher()).unwrap()).unwrap();
    let without = |mark: &str| {
        let lines: Vec<&str> = good.lines().filter(|line| !line.starts_with(mark)).collect();
        format!("{}\n", lines.join("\n"))
    };
    assert!(
        damage(&without("# END"))
            .starts_with("line 2 of the hosts file: the block of target \"t\" begins")
    );
    assert!(
        damage(&without("# BEGIN")).starts_with("line 7 of the hosts file: the end of a block")
    );
    let second = good.split_once('\n').unwrap().1;
    assert!(
        damage(&format!("{good}{second}")).contains("line 9 of the hosts file: a second block")
    );
    assert!(
        damage(&good.replace("# END tunnelcheck t", "# END tunnelcheck u"))
            .contains("not the end of")
    );
    assert!(damage("# BEGIN tunnelcheck\n").contains("a damaged begin"));
    assert!(damage("# BEGIN tunnelcheck t\n").contains("a damaged begin"));
    assert!(damage("# BEGIN tunnelcheck t sum what\n").contains("a damaged begin"));
    assert!(damage("# BEGIN tunnelcheck \u{e9} x\n").contains("begins and does not end"));
    // What only resembles a mark is somebody's comment.
    let other = "# BEGIN tunnelchecker t\n#  BEGIN tunnelcheck t\n # END tunnelcheck t\n";
    assert_eq!(take(other.as_bytes(), "t").unwrap(), other.as_bytes());
}

#[test]
fn a_line_that_somebody_wrote_into_the_block_is_not_taken_away() {
    let good = String::from_utf8(put(b"127.0.0.1 localhost\n", "t", &dasher()).unwrap()).unwrap();
    for (changed, last) in [
        (good.replace("# END", "10.0.0.1 mine\n# END"), 9),
        (good.replace("127.0.0.2\t", "127.0.0.3\t"), 8),
        (good.replace('\n', "\r\n"), 8),
    ] {
        let said = damage(&changed);
        let lines = format!("lines 2 to {last} of the hosts file, was changed by hand");
        assert!(said.contains(&lines), "{said}");
    }
    let other = good.replace("# END", "10.0.0.1 mine\n# END");
    assert!(put(other.as_bytes(), "u", &[alias("127.0.0.1", "u.example")]).is_ok());
}

#[test]
fn a_changed_target_brings_its_block_up_to_date_where_it_stands() {
    let first = put(b"1.1.1.1 a", "t", &dasher()).unwrap();
    let first = put(&first, "u", &[alias("127.0.0.1", "u.example")]).unwrap();
    let fewer = vec![alias("127.0.0.5", "dasher.dartmouth.edu")];
    assert_eq!(state(&first, "t", &dasher()).unwrap(), State::Applied);
    assert_eq!(state(&first, "t", &fewer).unwrap(), State::Outdated);
    assert_eq!(state(&first, "x", &fewer).unwrap(), State::Absent);
    let second = put(&first, "t", &fewer).unwrap();
    assert_eq!(state(&second, "t", &fewer).unwrap(), State::Applied);
    let order = |file: &[u8]| {
        let text = String::from_utf8_lossy(file).into_owned();
        text.find("BEGIN tunnelcheck t").unwrap() < text.find("BEGIN tunnelcheck u").unwrap()
    };
    assert!(order(&first) && order(&second));
    assert_eq!(take(&take(&second, "t").unwrap(), "u").unwrap(), b"1.1.1.1 a");
}

#[test]
fn a_line_that_was_added_behind_the_block_keeps_its_line_end() {
    let mut file = put(b"1.1.1.1 a", "t", &dasher()).unwrap();
    file.extend_from_slice(b"2.2.2.2 b\n");
    assert_eq!(take(&file, "t").unwrap(), b"1.1.1.1 a\n2.2.2.2 b\n");
}

#[test]
fn a_target_of_any_name_has_a_mark_of_one_word() {
    for (name, mark) in [
        ("dasher", "dasher"),
        ("my mail", "my%20mail"),
        ("a\n# END tunnelcheck a", "a%0A%23%20END%20tunnelcheck%20a"),
        ("..", "%2E."),
        ("a/b", "a%2Fb"),
        ("", "%"),
        ("50%", "50%25"),
    ] {
        assert_eq!(file_name(name), mark);
        let file = put(b"x\n", name, &dasher()).unwrap();
        assert_eq!(take(&file, name).unwrap(), b"x\n");
    }
}

/// Octets that look like a hosts file often enough.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        any::<Vec<u8>>(),
        Just(b"127.0.0.1 localhost".to_vec()),
        Just(b"# a comment\r".to_vec()),
        Just(b"caf\xe9 \xff\0".to_vec()),
        Just(b"#".to_vec()),
        Just(Vec::new()),
    ];
    (proptest::collection::vec(line, 0..6), any::<bool>()).prop_map(|(lines, ended)| {
        let mut file = lines.join(&b'\n');
        if ended {
            file.push(b'\n');
        }
        file
    })
}

/// The pieces of blocks, whole and broken, in any order.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let good = put(b"", "t", &dasher()).unwrap();
    let cut = good.clone();
    let piece = prop_oneof![
        Just(good),
        (0..cut.len()).prop_map(move |at| cut[..at].to_vec()),
        Just(put(b"x", "u", &[]).unwrap()),
        Just(b"# BEGIN tunnelcheck ".to_vec()),
        Just(b"# BEGIN tunnelcheck t 0000000000000000 newline-added\n".to_vec()),
        Just(b"# END tunnelcheck t\n".to_vec()),
        Just(b"# END tunnelcheck t".to_vec()),
        Just(b"\n".to_vec()),
        file(),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_was_put_in_is_taken_out_octet_for_octet(file in file()) {
        let once = put(&file, "t", &dasher()).unwrap();
        prop_assert_eq!(&put(&once, "t", &dasher()).unwrap(), &once);
        prop_assert_eq!(state(&once, "t", &dasher()).unwrap(), State::Applied);
        prop_assert_eq!(&take(&once, "t").unwrap(), &file);
        prop_assert!(once.starts_with(&file));
    }

    #[test]
    fn blocks_side_by_side_leave_in_any_order(file in file(), order in Just(vec!["a", "b", "c"]).prop_shuffle()) {
        let mut all = file.clone();
        for target in ["a", "b", "c"] {
            all = put(&all, target, &[alias("127.0.0.1", &format!("{target}.example"))]).unwrap();
        }
        for target in order {
            all = take(&all, target).unwrap();
        }
        prop_assert_eq!(all, file);
    }

    #[test]
    fn no_file_makes_it_panic_or_lose_a_line_of_somebody_else(file in hostile()) {
        let own = |file: &[u8]| {
            // Lines outside of every block.
            let mut inside = false;
            let text = String::from_utf8_lossy(file).into_owned();
            text.split('\n').filter(|line| {
                let mark = line.starts_with("# BEGIN tunnelcheck") || line.starts_with("# END tunnelcheck");
                inside = if line.starts_with("# BEGIN tunnelcheck") { true } else { inside && !line.starts_with("# END tunnelcheck") };
                !mark && !inside
            }).filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        if let Ok(out) = put(&file, "t", &dasher()) {
            prop_assert_eq!(own(&out), own(&file));
            prop_assert_eq!(put(&out, "t", &dasher()).unwrap(), out);
        }
        if let Ok(out) = take(&file, "t") {
            prop_assert_eq!(own(&out), own(&file));
            prop_assert_eq!(take(&out, "t").unwrap(), out);
        }
        let _ = (state(&file, "t", &dasher()), conflicts(&file, "t", &dasher()));
    }
}

#[test]
fn macos_needs_a_command_for_each_loopback_address_but_the_first() {
    assert_eq!(lo0_alias(ip("127.0.0.2")).unwrap(), "sudo ifconfig lo0 alias 127.0.0.2 up");
    for address in ["127.0.0.1", "::1", "192.0.2.1", "0.0.0.0"] {
        assert_eq!(lo0_alias(ip(address)), None);
    }
    assert_eq!(loopback_command(ip("127.0.0.2")).is_some(), cfg!(target_os = "macos"));
}

/// A folder with a hosts file.
fn folder(octets: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    fs::write(&path, octets).unwrap();
    (folder, path)
}

/// The names in a folder.
fn listed(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn no_flags() -> rustix::fs::XattrFlags {
    rustix::fs::XattrFlags::empty()
}

/// An access control list that lets user 1234 read, as the kernel keeps it (acl(5)).
fn acl() -> Vec<u8> {
    let nobody = u32::MAX;
    let entries = [
        (0x01_u16, 6_u16, nobody),
        (0x02, 4, 1234),
        (0x04, 4, nobody),
        (0x10, 4, nobody),
        (0x20, 0, nobody),
    ];
    let mut octets = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        octets.extend_from_slice(&tag.to_le_bytes());
        octets.extend_from_slice(&permissions.to_le_bytes());
        octets.extend_from_slice(&id.to_le_bytes());
    }
    octets
}

#[test]
fn a_file_is_changed_and_changed_back_with_all_that_belongs_to_it() {
    let before = b"127.0.0.1 localhost\r\n\xff\xfe odd\n::1 x";
    let (folder, path) = folder(before);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(&path, Some(12), Some(34)).unwrap();
    }
    let file = fs::File::open(&path).unwrap();
    let marked = rustix::fs::fsetxattr(&file, "user.note", b"kept", no_flags());
    let listed_user = rustix::fs::fsetxattr(&file, "system.posix_acl_access", &acl(), no_flags());
    let meta = path.metadata().unwrap();

    let edit = apply(&path, "dasher", &dasher()).unwrap();
    assert_eq!(edit.how, How::Replaced);
    let backup = edit.backup.unwrap();
    assert_eq!(fs::read(&backup).unwrap(), before);
    assert_eq!(backup.metadata().unwrap().mode(), meta.mode());
    let now = path.metadata().unwrap();
    assert_eq!((now.mode(), now.uid(), now.gid()), (meta.mode(), meta.uid(), meta.gid()));
    assert_ne!(now.ino(), meta.ino(), "a new file");
    if marked.is_ok() {
        let mut value = [0; 9];
        let len =
            rustix::fs::fgetxattr(fs::File::open(&path).unwrap(), "user.note", &mut value[..]);
        assert_eq!(&value[..len.unwrap()], b"kept");
    }
    if listed_user.is_ok() {
        let mut value = [0; 99];
        let name = "system.posix_acl_access";
        let len = rustix::fs::fgetxattr(fs::File::open(&path).unwrap(), name, &mut value[..]);
        assert_eq!(&value[..len.unwrap()], acl());
    }
    let applied = fs::read(&path).unwrap();
    let again = apply(&path, "dasher", &dasher()).unwrap();
    assert_eq!((again.how, again.backup.as_ref()), (How::Unchanged, Some(&backup)));
    assert_eq!(fs::read(&path).unwrap(), applied);

    assert_eq!(
        apply(&path, "pop", &[alias("127.0.0.1", "pop.example")]).unwrap().how,
        How::Replaced
    );
    assert_eq!(fs::read(&backup).unwrap(), before, "the copy is of the file without any block");
    assert_eq!(revert(&path, "dasher").unwrap().backup, Some(backup));
    assert_eq!(revert(&path, "pop").unwrap().backup, None);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(path.metadata().unwrap().mode(), meta.mode());
    assert_eq!(listed(folder.path()), ["hosts"]);
    assert_eq!(revert(&path, "dasher").unwrap().how, How::Unchanged);
}

#[test]
fn a_link_stays_a_link_and_several_names_stay_one_file() {
    let (folder, path) = folder(b"x\n");
    let link = folder.path().join("link");
    symlink("hosts", &link).unwrap();
    assert_eq!(apply(&link, "t", &dasher()).unwrap().how, How::Replaced);
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("hosts"));
    assert!(fs::read(&path).unwrap().len() > 2);
    revert(&link, "t").unwrap();
    let other = folder.path().join("other");
    fs::hard_link(&path, &other).unwrap();
    assert_eq!(apply(&path, "t", &dasher()).unwrap().how, How::InPlace);
    assert_eq!(fs::read(&other).unwrap(), fs::read(&path).unwrap());
    assert_eq!(revert(&other, "t").unwrap().how, How::InPlace);
    assert_eq!(fs::read(&path).unwrap(), b"x\n");
}

#[test]
fn what_is_no_hosts_file_is_said() {
    let (folder, path) = folder(b"x\n");
    let refused = |path: &Path| apply(path, "t", &dasher()).unwrap_err();
    let error = refused(&folder.path().join("nowhere"));
    assert!(error.to_string().contains("nowhere") && error.remedy().is_some(), "{error}");
    assert!(matches!(refused(folder.path()), HostsError::NotAFile { .. }));
    assert!(matches!(refused(Path::new("/dev/null")), HostsError::NotAFile { .. }));
    let dangling = folder.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    assert!(matches!(refused(&dangling), HostsError::File { .. }));
    fs::File::options().write(true).open(&path).unwrap().set_len(65 << 20).unwrap();
    assert_eq!(
        refused(&path).to_string(),
        format!("{} has 68157440 octets, more than the 67108864 of any hosts file", path.display())
    );
}

#[test]
fn a_file_that_another_run_is_changing_is_waited_for() {
    let (_folder, path) = folder(b"x\n");
    let threads: Vec<_> = (0..8)
        .map(|index| {
            let path = path.clone();
            std::thread::spawn(move || {
                let (target, name) = (format!("t{index}"), format!("n{index}.example"));
                for _ in 0..5 {
                    apply(&path, &target, &[alias("127.0.0.1", &name)]).unwrap();
                    revert(&path, &target).unwrap();
                }
                apply(&path, &target, &[alias("127.0.0.1", &name)]).unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut file = fs::read(&path).unwrap();
    for index in 0..8 {
        assert_eq!(state(&file, &format!("t{index}"), &[]).unwrap(), State::Outdated);
        file = take(&file, &format!("t{index}")).unwrap();
    }
    assert_eq!(file, b"x\n");
}
