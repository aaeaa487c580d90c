//! The same files through `ssh -G` and through this room.

use super::value::Forward;
use super::*;
use std::collections::BTreeMap;
use std::process::Command;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ssh_config");

fn run(program: &str, args: &[&str]) -> Option<(bool, String, String)> {
    let output = Command::new(program)
        .args(args)
        .env("HOME", format!("{FIXTURES}/home"))
        .env_remove("SSH_AUTH_SOCK")
        .output()
        .ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((output.status.success(), text(&output.stdout), text(&output.stderr)))
}

/// The login name that ssh sees; none, said aloud, where there is no ssh to compare with.
fn login_name() -> Option<String> {
    let found = run("ssh", &["-V"]).and_then(|_| run("id", &["-un"]));
    if found.is_none() {
        crate::skip::missing("there is no `ssh` whose parser to compare with");
    }
    found.map(|(_, name, _)| name.trim().to_owned())
}

fn environment(user: &str) -> Environment {
    Environment::of_home(Path::new(&format!("{FIXTURES}/home")), user)
}

fn read(query: &str, path: &Path, env: &Environment) -> Result<Settings, TargetError> {
    let (user, host) = match query.split_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, query),
    };
    let query = Query { host: host.to_owned(), user, port: None };
    resolve(&query, &sources(Some(path), env), env)
}

fn files(kind: &str) -> Vec<PathBuf> {
    let files = pattern::glob(Path::new(&format!("{FIXTURES}/{kind}/*.conf")), 1000);
    assert!(files.len() >= 5, "the fixtures are there");
    files
}

/// The lines of `ssh -G` that the settings decide; those of a setting that no line decides are left out on both sides.
fn as_ssh_prints(settings: &Settings, login: &str) -> BTreeMap<String, Vec<String>> {
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut say = |key: &str, value: String| lines.entry(key.to_owned()).or_default().push(value);
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let seconds = |time: Option<std::time::Duration>| {
        time.map_or_else(|| "none".to_owned(), |time| time.as_secs().to_string())
    };
    say("hostname", settings.host_name().unwrap());
    say("port", settings.port.unwrap_or(22).to_string());
    say("user", settings.user.clone().unwrap_or_else(|| login.to_owned()));
    for forward in &settings.forwards {
        let Forward { listen_host, listen_port, host, port } = forward.forward.clone().unwrap();
        let mouth = listen_host
            .map_or_else(|| listen_port.to_string(), |host| format!("[{host}]:{listen_port}"));
        say("localforward", format!("{mouth} [{host}]:{port}"));
    }
    for (file, _) in &settings.identity_files {
        say("identityfile", file.clone());
    }
    say("identitiesonly", yes(settings.identities_only.unwrap_or(false)));
    say("gatewayports", yes(settings.gateway_ports.unwrap_or(false)));
    say("compression", yes(settings.compression.unwrap_or(false)));
    say("tcpkeepalive", yes(settings.tcp_keepalive.unwrap_or(true)));
    say("serveraliveinterval", settings.keepalive.map_or(0, |t| t.as_secs()).to_string());
    say("serveralivecountmax", settings.keepalive_max.unwrap_or(3).to_string());
    say("connecttimeout", seconds(settings.connect_timeout));
    say(
        "stricthostkeychecking",
        settings
            .strict
            .as_ref()
            .map_or("ask", |(word, _)| match word.as_str() {
                "yes" => "true",
                "no" | "off" => "false",
                other => other,
            })
            .to_owned(),
    );
    say(
        "addressfamily",
        match settings.address_family.unwrap_or_default() {
            crate::target::AddressFamily::Any => "any",
            crate::target::AddressFamily::Inet => "inet",
            crate::target::AddressFamily::Inet6 => "inet6",
        }
        .to_owned(),
    );
    if let Some((files, _)) = &settings.known_hosts {
        say("userknownhostsfile", files.join(" "));
    }
    if let Some((files, _)) = &settings.global_known_hosts {
        say("globalknownhostsfile", files.join(" "));
    }
    if let Some(alias) = &settings.host_key_alias {
        say("hostkeyalias", alias.clone());
    }
    if let Some((agent, _)) = &settings.identity_agent {
        say("identityagent", agent.clone());
    }
    if let Some((address, _)) = &settings.bind_address {
        say("bindaddress", address.clone());
    }
    for (key, list) in [
        ("ciphers", &settings.ciphers),
        ("macs", &settings.macs),
        ("kexalgorithms", &settings.kex),
        ("hostkeyalgorithms", &settings.host_key_algorithms),
    ] {
        if let Some(list) = list {
            say(key, list.clone());
        }
    }
    match &settings.proxy {
        Some((Proxy::Jump(list), _)) => {
            let shown = |login: &Login| {
                let user = login.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let host = if login.host.contains(':') {
                    format!("[{}]", login.host)
                } else {
                    login.host.clone()
                };
                let port = login.port.map(|port| format!(":{port}")).unwrap_or_default();
                format!("{user}{host}{port}")
            };
            say("proxyjump", list.iter().map(shown).collect::<Vec<_>>().join(","));
        }
        Some((Proxy::Command(command), _)) => say("proxycommand", command.clone()),
        _ => {}
    }
    lines
}

#[test]
fn accepted_files_give_what_ssh_gives() {
    let Some(login) = login_name() else { return };
    let env = environment(&login);
    let mut compared = 0;
    for path in files("accepted") {
        let text = std::fs::read_to_string(&path).unwrap();
        let queries = text.lines().next().and_then(|line| line.strip_prefix("# queries: "));
        for query in queries.unwrap_or("incoming_mail other").split(' ') {
            let (ok, out, err) = run("ssh", &["-G", "-F", path.to_str().unwrap(), query]).unwrap();
            assert!(ok, "ssh refuses {} for {query}: {err}", path.display());
            let settings = read(query, &path, &env).unwrap();
            let ours = as_ssh_prints(&settings, &login);
            let mut theirs: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for line in out.lines() {
                let (key, value) = line.split_once(' ').unwrap_or((line, ""));
                if ours.contains_key(key)
                    || matches!(key, "localforward" | "proxyjump" | "proxycommand" | "hostkeyalias")
                {
                    theirs.entry(key.to_owned()).or_default().push(value.to_owned());
                }
            }
            assert_eq!(ours, theirs, "{} for {query}", path.display());
            compared += 1;
        }
    }
    assert!(compared > 25, "{compared}");
}

#[test]
fn refused_files_are_refused_at_the_same_line() {
    let Some(login) = login_name() else { return };
    let env = environment(&login);
    for path in files("refused") {
        let (ok, _, err) = run("ssh", &["-G", "-F", path.to_str().unwrap(), "h"]).unwrap();
        assert!(!ok, "ssh accepts {}", path.display());
        let line = err
            .lines()
            .next()
            .and_then(|first| first.split_once("line "))
            .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
            .map(|digits| digits.parse::<usize>().unwrap());
        let ours = read("h", &path, &env).expect_err(&path.display().to_string());
        let TargetError::SshConfig { place, .. } = &ours else { panic!("{ours:?}") };
        assert!(ours.remedy().is_some());
        if let Some(line) = line {
            assert_eq!(place.line, line, "{}: {ours}", path.display());
        }
    }
}

#[test]
fn a_file_that_includes_itself_ends() {
    let dir = tempfile::tempdir().unwrap();
    let ssh = dir.path().join(".ssh");
    std::fs::create_dir(&ssh).unwrap();
    let env = Environment::of_home(dir.path(), "u");
    let config = ssh.join("config");
    for (text, fault) in [
        ("Include config\n", SshFault::TooDeep),
        ("Match all\nInclude config config\n", SshFault::TooDeep),
    ] {
        std::fs::write(&config, text).unwrap();
        match read("h", &config, &env) {
            Err(TargetError::SshConfig { fault: found, .. }) => assert_eq!(found, fault),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn commands_are_never_run_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::of_home(dir.path(), "u");
    let config = dir.path().join("c");
    let witness = dir.path().join("witness");
    let text =
        format!("Match exec \"touch {}\"\n Port 5\nMatch !exec true\n Port 6\n", witness.display());
    std::fs::write(&config, text).unwrap();
    let settings = read("h", &config, &env).unwrap();
    assert!(!witness.exists());
    assert_eq!(settings.port, None);
    assert_eq!(settings.warnings.len(), 2);
    assert!(
        settings.warnings[0].contains("c:1: Match exec is never run"),
        "{:?}",
        settings.warnings
    );
}

#[test]
fn the_system_file_may_have_words_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut env = Environment::of_home(dir.path(), "u");
    let system = dir.path().join("system");
    std::fs::write(&system, "VendorWord yes\nPort 7\n").unwrap();
    env.system_ssh_config = Some(system);
    let query = Query { host: "h".to_owned(), ..Query::default() };
    let settings = resolve(&query, &sources(None, &env), &env).unwrap();
    assert_eq!(settings.port, Some(7));
    assert!(settings.warnings[0].contains("VendorWord"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}") {
        read_anything(&text);
    }

    #[test]
    fn no_words_make_it_panic(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "Host ", "Match ", "host ", "!", "*", "final ", "all ", "exec ", "LocalForward ", "2003 ", ":", "[", "]",
            "localhost:110", "ProxyJump ", "a@b:1", ",", "IdentityFile ", "%h", "%", "~", "/", "\"", "'", "\\", "#", "=",
            "\n", " ", "\t", "ServerAliveInterval ", "1m", "99999999999", "HostName ", "x", "Include ", "none", "\0",
        ]), 0..60)) {
        read_anything(&words.concat());
    }
}

fn read_anything(text: &str) {
    let env = Environment::of_home(Path::new("/nonexistent"), "u");
    let query = Query { host: "h".to_owned(), ..Query::default() };
    let mut reading = Reading::new(&query, &env);
    let mut active = true;
    let _ = reading.read(Path::new("c"), text, true, false, &mut active, 0);
    let settings = reading.settings;
    let _ = crate::target::login::access(&settings, "u", &env, &mut Vec::new());
}
