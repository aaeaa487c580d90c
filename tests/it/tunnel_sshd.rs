//! The tunnel room against a real OpenSSH server.

use crate::sshd::{Sshd, echo_server, forward, free_port, make_key, output, wait_until};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tunnelcheck::model::TunnelRecord;
use tunnelcheck::tunnel::{
    AgentChoice, Algorithms, ExecEnd, HostKeyQuestion, NoPrompt, Prompt, Tunnel, TunnelError,
};

/// Answers as it was told, and counts the questions.
#[derive(Default)]
struct Scripted {
    passphrase: Option<String>,
    accept: bool,
    asked: usize,
    questions: Vec<HostKeyQuestion>,
}

impl Prompt for Scripted {
    fn password(&mut self, _: &str) -> Option<String> {
        None
    }
    fn passphrase(&mut self, _: &Path) -> Option<String> {
        self.asked += 1;
        self.passphrase.clone()
    }
    fn interactive(&mut self, _: &str, _: &str, _: &[(String, bool)]) -> Option<Vec<String>> {
        None
    }
    fn accept_host_key(&mut self, question: &HostKeyQuestion) -> bool {
        self.questions.push(question.clone());
        self.accept
    }
}

fn connect(record: &TunnelRecord, service: &str) -> TcpStream {
    let mouth = record.forwards.iter().find(|f| f.service == service).unwrap().listen;
    let stream = TcpStream::connect(mouth).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all); // a reset ends it as well
    all
}

#[test]
fn a_forward_carries_both_ways_and_counts_what_it_carried() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.forwards = vec![forward("mail", echo_server()), forward("news", echo_server())];
    if cfg!(target_os = "linux") {
        // A mouth on an address of its own: on 127.0.0.1 another test may take its port as soon as it is closed.
        spec.forwards[0].listen = SocketAddr::from(([127, 0, 0, 77], 0));
    }
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    assert!(tunnel.is_up());
    let record = tunnel.record();
    assert_eq!(record.remote, SocketAddr::from(([127, 0, 0, 1], sshd.port)));
    assert_eq!((record.local, record.remote), tunnel.local_remote());
    assert_eq!(record.host_key, sshd.fingerprint("ed25519"));
    assert!(record.host_key_source.starts_with("known_hosts line 1 of "));
    assert!(record.server_version.starts_with("SSH-2.0-OpenSSH"), "{}", record.server_version);
    assert!(!record.kex.is_empty() && record.cipher.contains("chacha20"), "{record:?}");
    assert_eq!((record.mac.as_str(), &record.lost), ("", &None));
    assert!(sshd.log().contains(&format!("port {}", record.local.port())));

    let mut stream = connect(&record, "mail");
    stream.write_all(b"hello ").unwrap();
    let mut six = [0; 6];
    stream.read_exact(&mut six).unwrap();
    assert_eq!(&six, b"hello ");
    // Half-close: the server's last word comes after the client's.
    stream.write_all(b"world").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(stream), b"worldend");

    let record = tunnel.close();
    let mail = &record.forwards[0];
    assert_eq!((mail.conns, mail.opened, mail.bytes_in, mail.bytes_out), (1, 1, 11, 14));
    assert_eq!(record.forwards[1].conns, 0);
    assert_eq!(record.lost, None);
    assert!(TcpStream::connect(mail.listen).is_err(), "the mouth is still open");
}

/// A client that never closes must not keep a conn whose server has gone: the mouth has a bound.
#[test]
fn a_server_that_closes_ends_the_conn_of_a_client_that_does_not() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut spec = sshd.spec();
    spec.forwards = vec![forward("mail", listener.local_addr().unwrap())];
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.write_all(b"+OK bye\r\n"); // and closes, its read side too
        }
    });
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    let record = tunnel.record();
    let mut streams: Vec<TcpStream> = (0..8).map(|_| connect(&record, "mail")).collect();
    for stream in &mut streams {
        let mut greeting = Vec::new();
        stream.read_to_end(&mut greeting).unwrap();
        assert_eq!(greeting, b"+OK bye\r\n");
        // What the client still says goes nowhere, and soon it is told so.
        let gone = wait_until(Duration::from_secs(10), || stream.write_all(b"QUIT\r\n").is_err());
        assert!(gone, "the conn stays half open");
    }
    assert!(tunnel.is_up());
}

/// Password and questions with PAM, as most servers have them. Makes a user, so only on demand.
#[test]
#[ignore = "makes a user of this machine; needs root and PAM"]
fn pam_lets_in_by_password_and_by_questions() {
    struct Knows(&'static str, Vec<usize>);
    impl Prompt for Knows {
        fn password(&mut self, _: &str) -> Option<String> {
            Some(self.0.to_owned())
        }
        fn passphrase(&mut self, _: &Path) -> Option<String> {
            None
        }
        fn interactive(&mut self, _: &str, _: &str, p: &[(String, bool)]) -> Option<Vec<String>> {
            self.1.push(p.len());
            Some(vec![self.0.to_owned(); p.len()])
        }
        fn accept_host_key(&mut self, _: &HostKeyQuestion) -> bool {
            false
        }
    }
    struct User;
    impl Drop for User {
        fn drop(&mut self) {
            output("userdel", &["tunnelcheck-test"]);
        }
    }
    output("useradd", &["-M", "-N", "-s", "/bin/sh", "tunnelcheck-test"]);
    let _user = User;
    let mut chpasswd = Command::new("chpasswd").stdin(Stdio::piped()).spawn().unwrap();
    chpasswd.stdin.take().unwrap().write_all(b"tunnelcheck-test:open sesame\n").unwrap();
    assert!(chpasswd.wait().unwrap().success());
    for first in [
        "UsePAM yes\nKbdInteractiveAuthentication yes\nAuthenticationMethods keyboard-interactive",
        "UsePAM yes\nPasswordAuthentication yes\nAuthenticationMethods password",
    ] {
        let Some(sshd) = Sshd::start(&["ed25519"], first) else { return };
        let mut spec = sshd.spec();
        spec.user = "tunnelcheck-test".to_owned();
        let tunnel = Tunnel::open(spec.clone(), &mut Knows("open sesame", Vec::new()));
        assert!(tunnel.is_ok(), "{first}: {}\n{}", tunnel.err().unwrap(), sshd.log());
        let error = Tunnel::open(spec, &mut Knows("wrong", Vec::new())).unwrap_err();
        assert!(matches!(error, TunnelError::Denied { .. }), "{error}");
    }
}

#[test]
fn megabytes_arrive_unharmed_over_several_conns_at_once() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.forwards = vec![forward("mail", echo_server())];
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    let record = tunnel.record();
    let workers: Vec<_> = (0..4u32)
        .map(|n| {
            let stream = connect(&record, "mail");
            std::thread::spawn(move || {
                let data: Vec<u8> =
                    (0..3_000_000u32).map(|i| (i * 7 + i / 251 + n).to_le_bytes()[0]).collect();
                let (mut writer, sent) = (stream.try_clone().unwrap(), data.clone());
                let writing = std::thread::spawn(move || {
                    writer.write_all(&sent).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                let got = read_all(stream);
                writing.join().unwrap();
                assert_eq!(got.len(), data.len() + 3);
                assert!(got.starts_with(&data));
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let mail = tunnel.close().forwards.remove(0);
    assert_eq!((mail.opened, mail.bytes_in, mail.bytes_out), (4, 12_000_000, 12_000_012));
}

#[test]
fn a_control_token_is_answered_and_read_by_the_gateway() {
    for config in ["", "AllowTcpForwarding no", "PermitOpen localhost:1"] {
        let Some(sshd) = Sshd::start(&["ed25519"], config) else { return };
        let tunnel = Tunnel::open(sshd.spec(), &mut NoPrompt).unwrap();
        let sent = tunnel.send_control("tc-0123456789abcdef").unwrap();
        assert!(sent >= tunnel.record().up);
        let read =
            wait_until(Duration::from_secs(5), || sshd.log().contains("tc-0123456789abcdef"));
        assert!(read, "{config}: {}", sshd.log());
        assert!(tunnel.is_up());
    }
}

#[test]
fn every_kind_of_key_lets_in() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let kinds: &[(&str, &[&str])] = &[
        ("ed25519", &["-t", "ed25519"]),
        ("ecdsa", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa_pem", &["-t", "ecdsa", "-m", "PEM"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa_pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa_pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa_pkcs8", &["-t", "ecdsa", "-m", "PKCS8"]),
        ("ed25519_locked", &["-t", "ed25519", "-N", "sesame"]),
        ("rsa_pem_locked", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "sesame"]),
        ("rsa_pkcs8_locked", &["-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "sesame"]),
    ];
    for (name, args) in kinds {
        let file = sshd.path(name);
        make_key(&file, args);
        fs::copy(sshd.path(&format!("{name}.pub")), sshd.path("authorized_keys")).unwrap();
        let mut spec = sshd.spec();
        spec.identity_files = vec![sshd.path("no-such-key"), file];
        let mut prompt = Scripted { passphrase: Some("sesame".to_owned()), ..Scripted::default() };
        let result = Tunnel::open(spec, &mut prompt);
        assert!(result.is_ok(), "{name}: {}", result.err().unwrap());
        assert_eq!(prompt.asked, usize::from(name.ends_with("locked")), "{name}");
    }
}

#[test]
fn a_key_without_its_passphrase_is_named_in_the_refusal() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    make_key(&sshd.path("locked"), &["-t", "ed25519", "-N", "sesame"]);
    fs::copy(sshd.path("locked.pub"), sshd.path("authorized_keys")).unwrap();
    let mut spec = sshd.spec();
    spec.identity_files = vec![sshd.path("locked")];
    let mut prompt = Scripted { passphrase: Some("wrong".to_owned()), ..Scripted::default() };
    let error = Tunnel::open(spec.clone(), &mut prompt).err().unwrap();
    assert_eq!(prompt.asked, 3);
    assert!(error.to_string().contains("locked (wrong passphrase)"), "{error}");
    let error = Tunnel::open(spec, &mut NoPrompt).err().unwrap();
    assert!(error.to_string().contains("nobody to ask for its passphrase"), "{error}");
    assert!(error.remedy().unwrap().contains("ssh-add"));
}

#[test]
fn a_wrong_key_is_refused_with_what_was_tried_and_what_is_offered() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    make_key(&sshd.path("stranger"), &["-t", "ed25519", "-N", "sesame"]);
    fs::write(sshd.path("text"), "not a key\n").unwrap();
    let mut spec = sshd.spec();
    spec.identity_files = vec![sshd.path("stranger"), sshd.path("text"), sshd.path("absent")];
    let mut prompt = Scripted { passphrase: Some("sesame".to_owned()), ..Scripted::default() };
    let error = Tunnel::open(spec, &mut prompt).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, TunnelError::Denied { .. }), "{text}");
    assert_eq!(prompt.asked, 0, "a passphrase was asked for a key that the server does not take");
    assert!(text.contains("stranger") && text.contains("text (not a private key)"), "{text}");
    assert!(text.contains("absent (no such file)"), "{text}");
    assert!(text.ends_with("the server offers publickey"), "{text}");
}

struct Agent {
    child: Child,
}

impl Agent {
    fn start(socket: &Path, keys: &[&Path]) -> Self {
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { child };
        assert!(wait_until(Duration::from_secs(5), || socket.exists()));
        for key in keys {
            let added = Command::new("ssh-add")
                .arg("-q")
                .arg(key)
                .env("SSH_AUTH_SOCK", socket)
                .status()
                .unwrap();
            assert!(added.success());
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_agent_lets_in_and_may_be_held_to_the_named_keys() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let (other, rsa, socket) = (sshd.path("other"), sshd.path("rsa"), sshd.path("agent.sock"));
    make_key(&other, &["-t", "ed25519"]);
    make_key(&rsa, &["-t", "rsa", "-b", "2048"]);
    let _agent = Agent::start(&socket, &[&other, &rsa, &sshd.path("user_key")]);
    let mut spec = sshd.spec();
    spec.identity_files = Vec::new();
    spec.agent = AgentChoice::Socket(socket.clone());
    assert!(Tunnel::open(spec.clone(), &mut NoPrompt).is_ok());

    let keep = fs::read_to_string(sshd.path("authorized_keys")).unwrap();
    fs::copy(sshd.path("rsa.pub"), sshd.path("authorized_keys")).unwrap();
    Tunnel::open(spec.clone(), &mut NoPrompt).unwrap();
    fs::write(sshd.path("authorized_keys"), keep).unwrap();

    spec.identities_only = true;
    spec.identity_files = vec![other];
    let error = Tunnel::open(spec.clone(), &mut NoPrompt).err().unwrap();
    assert!(error.to_string().contains("publickey of the agent"), "{error}");
    // The key lies in the agent; of the file only the public half is left.
    fs::rename(sshd.path("user_key"), sshd.path("moved")).unwrap();
    fs::copy(sshd.path("user_key.pub"), sshd.path("user_key")).unwrap();
    spec.identity_files = vec![sshd.path("user_key")];
    let result = Tunnel::open(spec.clone(), &mut NoPrompt);
    assert!(result.is_ok(), "{}", result.err().unwrap());

    spec.agent = AgentChoice::Socket(sshd.path("nowhere.sock"));
    let error = Tunnel::open(spec, &mut NoPrompt).err().unwrap();
    assert!(error.to_string().contains("ssh-agent (cannot reach"), "{error}");
}

#[test]
fn too_many_keys_are_said_in_the_servers_words() {
    let Some(sshd) = Sshd::start(&["ed25519"], "MaxAuthTries 2") else { return };
    let mut spec = sshd.spec();
    spec.identity_files = (0..4)
        .map(|n| {
            let file = sshd.path(&format!("key{n}"));
            make_key(&file, &["-t", "ed25519"]);
            file
        })
        .collect();
    let error = Tunnel::open(spec, &mut NoPrompt).err().unwrap();
    assert!(matches!(error, TunnelError::AuthCut { .. }), "{error}");
    assert!(error.to_string().contains("Too many authentication failures"), "{error}");
    assert!(error.remedy().unwrap().contains("IdentitiesOnly"));
}

#[test]
fn two_methods_in_a_row_are_gone_through() {
    let Some(sshd) = Sshd::start(&["ed25519"], "AuthenticationMethods publickey,publickey") else {
        return;
    };
    let second = sshd.path("second");
    make_key(&second, &["-t", "ecdsa"]);
    let mut both = fs::read_to_string(sshd.path("authorized_keys")).unwrap();
    both.push_str(&fs::read_to_string(sshd.path("second.pub")).unwrap());
    fs::write(sshd.path("authorized_keys"), both).unwrap();
    let mut spec = sshd.spec();
    spec.identity_files.push(second);
    let result = Tunnel::open(spec, &mut NoPrompt);
    assert!(result.is_ok(), "{}", result.err().unwrap());
}

#[test]
fn an_unknown_host_is_asked_about_kept_and_then_known() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.known_hosts = vec![sshd.path("fresh/known_hosts")];
    let error = Tunnel::open(spec.clone(), &mut NoPrompt).err().unwrap();
    assert!(matches!(error, TunnelError::HostKeyUnknown { .. }), "{error}");
    let fingerprint = sshd.fingerprint("ed25519");
    assert!(error.to_string().contains(&fingerprint), "{error}");
    assert!(!sshd.path("fresh").exists());

    let mut person = Scripted { accept: true, ..Scripted::default() };
    let tunnel = Tunnel::open(spec.clone(), &mut person).unwrap();
    assert_eq!(tunnel.record().host_key_source, "a person at the terminal");
    assert_eq!(person.questions[0].fingerprint, fingerprint);
    assert_eq!(person.questions[0].key_type, "ED25519");
    assert_eq!(person.questions[0].host, format!("[127.0.0.1]:{}", sshd.port));
    let tunnel = Tunnel::open(spec.clone(), &mut NoPrompt).unwrap();
    assert!(tunnel.record().host_key_source.starts_with("known_hosts line 1"));

    spec.known_hosts = vec![sshd.path("other_known_hosts")];
    spec.accept_host_key = vec![fingerprint];
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    assert_eq!(tunnel.record().host_key_source, "--accept-host-key");
}

#[test]
fn a_changed_a_revoked_and_a_hashed_key_are_told_apart() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    make_key(&sshd.path("stranger"), &["-t", "ed25519"]);
    let stranger = fs::read_to_string(sshd.path("stranger.pub")).unwrap();
    let host = format!("[127.0.0.1]:{}", sshd.port);
    let own = sshd.host_key("ed25519");
    let mut person = Scripted { accept: true, ..Scripted::default() };
    let mut spec = sshd.spec();

    spec.known_hosts = vec![sshd.known_hosts("changed", &format!("{host} {stranger}"))];
    let error = Tunnel::open(spec.clone(), &mut person).err().unwrap();
    assert!(
        matches!(&error, TunnelError::HostKeyChanged(conflict) if conflict.line == 1),
        "{error}"
    );

    let revoked = format!("{host} {own}\n@revoked * {own}\n");
    spec.known_hosts = vec![sshd.known_hosts("revoked", &revoked)];
    let error = Tunnel::open(spec.clone(), &mut person).err().unwrap();
    assert!(matches!(error, TunnelError::HostKeyRevoked { line: 2, .. }), "{error}");

    let hashed = sshd.known_hosts("hashed", &format!("{host} {own}\n"));
    output("ssh-keygen", &["-H", "-f", hashed.to_str().unwrap()]);
    assert!(fs::read_to_string(&hashed).unwrap().starts_with("|1|"));
    spec.known_hosts = vec![hashed];
    assert!(Tunnel::open(spec, &mut person).is_ok());
    assert!(person.questions.is_empty());
}

#[test]
fn a_host_known_by_one_type_is_asked_for_that_type() {
    let Some(sshd) = Sshd::start(&["ed25519", "ecdsa", "rsa"], "") else { return };
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let line = format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.host_key(kind));
        let mut spec = sshd.spec();
        spec.known_hosts = vec![sshd.known_hosts("one_type", &line)];
        let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
        assert_eq!(tunnel.record().host_key, sshd.fingerprint(kind));
    }
}

#[test]
fn a_host_that_lost_its_known_type_is_refused() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    make_key(&sshd.path("old"), &["-t", "ecdsa"]);
    let old = fs::read_to_string(sshd.path("old.pub")).unwrap();
    let mut spec = sshd.spec();
    spec.known_hosts =
        vec![sshd.known_hosts("old_known", &format!("[127.0.0.1]:{} {old}", sshd.port))];
    let mut person = Scripted { accept: true, ..Scripted::default() };
    let error = Tunnel::open(spec, &mut person).err().unwrap();
    assert!(matches!(error, TunnelError::HostKeyOtherType(_)), "{error}");
    assert!(error.remedy().unwrap().contains("ssh-keygen -R"));
}

#[test]
fn a_refused_and_a_forbidden_target_are_said_and_the_client_is_closed() {
    let echo = echo_server();
    let config = format!("PermitOpen 127.0.0.1:{} 127.0.0.1:1", echo.port());
    let Some(sshd) = Sshd::start(&["ed25519"], &config) else { return };
    let mut spec = sshd.spec();
    spec.forwards = vec![
        forward("mail", echo),
        forward("refused", "127.0.0.1:1".parse().unwrap()),
        forward("forbidden", "127.0.0.1:7".parse().unwrap()),
    ];
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    let record = tunnel.record();
    assert!(read_all(connect(&record, "refused")).is_empty());
    assert!(read_all(connect(&record, "forbidden")).is_empty());
    let record = tunnel.record();
    let error = |n: usize| record.forwards[n].last_error.clone().unwrap_or_default();
    assert!(error(1).contains("Connection refused"), "{}", error(1));
    assert!(error(2).starts_with("administratively prohibited"), "{}", error(2));
    assert_eq!((record.forwards[1].conns, record.forwards[1].opened), (1, 0));
    assert!(tunnel.is_up());
    assert!(matches!(
        tunnel.probe("forbidden", Duration::from_secs(1)),
        Err(TunnelError::Refused { .. })
    ));
}

#[test]
fn a_greeting_is_read_through_the_tunnel() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    let to_itself = SocketAddr::from(([127, 0, 0, 1], sshd.port));
    spec.forwards = vec![forward("ssh", to_itself), forward("mail", echo_server())];
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    let greeting = tunnel.probe("ssh", Duration::from_secs(5)).unwrap();
    assert!(greeting.starts_with(b"SSH-2.0-"));
    assert!(tunnel.probe("mail", Duration::from_millis(200)).unwrap().is_empty());
}

#[test]
fn a_taken_mouth_is_an_error_before_anything_is_dialed() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut spec = tunnelcheck::tunnel::TunnelSpec::new("test", "nobody", "gateway.invalid", 22);
    let mut mail = forward("mail", holder.local_addr().unwrap());
    mail.listen = holder.local_addr().unwrap();
    spec.forwards = vec![forward("news", holder.local_addr().unwrap()), mail.clone()];
    let error = Tunnel::bind(spec.clone()).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, TunnelError::MouthTaken { .. }), "{text}");
    if cfg!(target_os = "linux") {
        assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    }
    drop(holder);
    let mut second = mail.clone();
    second.service = "bulletins".to_owned();
    spec.forwards = vec![mail, second];
    let error = Tunnel::bind(spec).err().unwrap();
    assert!(matches!(error, TunnelError::MouthTwice { .. }), "{error}");
}

#[test]
fn before_the_tunnel_is_up_a_mouth_closes_what_it_takes_in() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.forwards = vec![forward("mail", echo_server())];
    let bound = Tunnel::bind(spec).unwrap();
    let mouth = bound.forwards()[0].listen;
    assert!(read_all(TcpStream::connect(mouth).unwrap()).is_empty());
    let closed = wait_until(Duration::from_secs(5), || bound.forwards()[0].last_error.is_some());
    assert!(closed);
    let tunnel = bound.up(&mut NoPrompt).unwrap();
    let record = tunnel.record();
    assert_eq!((record.forwards[0].conns, record.forwards[0].opened), (1, 0));
    let mut stream = connect(&record, "mail");
    stream.write_all(b"now").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(stream), b"nowend");
}

#[test]
fn gateway_ports_open_the_mouth_on_every_address() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.gateway_ports = true;
    spec.forwards = vec![forward("mail", echo_server())];
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    assert!(tunnel.record().forwards[0].listen.ip().is_unspecified());
}

#[test]
fn a_killed_server_is_a_lost_tunnel_and_its_mouths_carry_nothing_more() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.forwards = vec![forward("mail", echo_server())];
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    let open = connect(&tunnel.record(), "mail");
    assert!(wait_until(Duration::from_secs(5), || tunnel.record().forwards[0].opened == 1));
    sshd.signal_all("-KILL");
    assert!(wait_until(Duration::from_secs(5), || !tunnel.is_up()));
    assert!(wait_until(Duration::from_secs(5), || tunnel.record().lost.is_some()));
    assert!(read_all(open).is_empty(), "an open conn outlives its tunnel");
    let record = tunnel.record();
    let (when, why) = record.lost.clone().unwrap();
    assert!(when >= record.up && why.contains("clos"), "{why}");
    assert!(read_all(connect(&record, "mail")).is_empty());
    assert!(matches!(tunnel.send_control("tc-x"), Err(TunnelError::NotUp { .. })));
    let record = tunnel.close();
    assert!(record.forwards[0].last_error.as_ref().unwrap().contains("the tunnel is not up"));
    assert!(record.lost.is_some());
}

#[test]
fn a_frozen_server_is_noticed_by_its_silence() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.keepalive = Some(Duration::from_secs(1));
    spec.keepalive_max = 1;
    let tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(tunnel.is_up(), "keepalives are answered");
    sshd.signal_all("-STOP");
    assert!(wait_until(Duration::from_secs(10), || tunnel.record().lost.is_some()));
    let (_, why) = tunnel.record().lost.unwrap();
    assert_eq!(why, "no answer to 1 keepalives, 1 s apart");
}

/// Kills the processes that serve a connection: the listener stays.
fn kill_serving(sshd: &Sshd, port: u16) {
    let line = format!("sport = :{} and dport = :{port}", sshd.port);
    let text = output("ss", &["-tnpH", &line]);
    for pid in text.split("pid=").skip(1).filter_map(|t| t.split(',').next()) {
        // One of them may have gone with the other.
        let _ = Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_lost_tunnel_can_be_dialed_again_through_the_same_mouths() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.forwards = vec![forward("mail", echo_server())];
    let mut tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    let first = tunnel.record();
    kill_serving(&sshd, first.local.port());
    assert!(wait_until(Duration::from_secs(5), || !tunnel.is_up()));
    tunnel.redial(&mut NoPrompt, &AtomicBool::new(false)).unwrap();
    assert!(tunnel.is_up());
    let record = tunnel.record();
    assert_eq!(record.forwards[0].listen, first.forwards[0].listen);
    assert!(record.lost.is_some(), "a loss is not forgotten");
    let stream = connect(&record, "mail");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(stream), b"end");
}

#[test]
fn a_jump_host_is_verified_and_gone_through() {
    let Some(jump) = Sshd::start(&["ed25519"], "") else { return };
    let Some(gate) = Sshd::start(&["ecdsa"], "") else { return };
    let mut spec = gate.spec();
    spec.jumps = vec![jump.hop()];
    spec.forwards = vec![forward("mail", echo_server())];
    let tunnel = Tunnel::open(spec.clone(), &mut NoPrompt).unwrap();
    let record = tunnel.record();
    assert_eq!(record.remote.port(), jump.port);
    assert_eq!(record.host_key, gate.fingerprint("ecdsa"));
    tunnel.send_control("tc-jump").unwrap();
    assert!(wait_until(Duration::from_secs(5), || gate.log().contains("tc-jump")));
    assert!(!jump.log().contains("tc-jump"));
    let mut stream = connect(&record, "mail");
    stream.write_all(b"through").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(stream), b"throughend");
    jump.signal_all("-KILL");
    assert!(wait_until(Duration::from_secs(5), || tunnel.record().lost.is_some()));
    let (_, why) = tunnel.record().lost.unwrap();
    assert!(why.starts_with("jump host 127.0.0.1:"), "{why}");
}

#[test]
fn each_host_on_the_way_must_be_known_and_let_in() {
    let Some(jump) = Sshd::start(&["ed25519"], "") else { return };
    let Some(gate) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = gate.spec();
    spec.jumps = vec![jump.hop()];
    spec.jumps[0].known_hosts = Vec::new();
    let error = Tunnel::open(spec.clone(), &mut NoPrompt).err().unwrap();
    assert!(error.to_string().contains(&jump.fingerprint("ed25519")), "{error}");
    spec.jumps = vec![jump.hop()];
    spec.known_hosts = Vec::new();
    let error = Tunnel::open(spec.clone(), &mut NoPrompt).err().unwrap();
    assert!(error.to_string().contains(&gate.fingerprint("ed25519")), "{error}");
    let mut spec = gate.spec();
    spec.jumps = vec![jump.hop()];
    spec.port = free_port();
    let error = Tunnel::open(spec, &mut NoPrompt).err().unwrap();
    assert!(matches!(error, TunnelError::Jump { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[test]
fn a_server_with_other_algorithms_is_said_with_both_lists() {
    let Some(sshd) = Sshd::start(&["ed25519"], "Ciphers aes128-ctr\nMACs hmac-sha1") else {
        return;
    };
    let record = Tunnel::open(sshd.spec(), &mut NoPrompt).unwrap().record();
    assert_eq!((record.cipher.as_str(), record.mac.as_str()), ("aes128-ctr", "hmac-sha1"));
    let mut spec = sshd.spec();
    spec.algorithms = Algorithms { ciphers: Some("-*ctr".to_owned()), ..Algorithms::default() };
    let error = Tunnel::open(spec, &mut NoPrompt).err().unwrap();
    assert!(matches!(error, TunnelError::NoCommonAlgorithm { .. }), "{error}");
    assert!(error.to_string().contains("it offers aes128-ctr"), "{error}");
}

#[test]
fn nothing_there_is_said_quickly_and_a_stop_is_felt() {
    let port = free_port();
    let spec = tunnelcheck::tunnel::TunnelSpec::new("test", "nobody", "127.0.0.1", port);
    let error = Tunnel::open(spec.clone(), &mut NoPrompt).err().unwrap();
    assert!(error.to_string().contains("refused"), "{error}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut spec = spec;
    spec.port = silent.local_addr().unwrap().port();
    spec.connect_timeout = Duration::from_millis(400);
    let start = Instant::now();
    let error = Tunnel::open(spec.clone(), &mut NoPrompt).err().unwrap();
    assert!(matches!(error, TunnelError::HandshakeTimeout { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    spec.connect_timeout = Duration::from_secs(60);
    let bound = Tunnel::bind(spec).unwrap();
    let error = bound.up_unless(&mut NoPrompt, &AtomicBool::new(true)).err().unwrap();
    assert!(matches!(error, TunnelError::Interrupted), "{error}");
}

#[test]
fn what_is_no_ssh_server_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let spec = tunnelcheck::tunnel::TunnelSpec::new("test", "nobody", "127.0.0.1", port);
    let error = Tunnel::open(spec, &mut NoPrompt).err().unwrap();
    assert!(matches!(error, TunnelError::Handshake { .. }), "{error}");
}

#[test]
fn a_program_on_the_gateway_is_heard_told_and_ended() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let tunnel = Tunnel::open(sshd.spec(), &mut NoPrompt).unwrap();
    let mut exec = tunnel
        .exec("echo out; echo err >&2; read -r word; echo \"$word\" >&2; head -c 300000 /dev/zero; exit 7")
        .unwrap();
    let mut output = exec.take_output().unwrap();
    assert!(exec.take_output().is_none());
    assert!(
        exec.await_words(Duration::from_secs(10), |said| said.contains("err")),
        "{}",
        exec.said()
    );
    assert_eq!(exec.end(), None);
    exec.send(b"go\x1b on\n");
    let mut all = Vec::new();
    output.read_to_end(&mut all).unwrap();
    assert_eq!((all.len(), &all[..4]), (300_004, &b"out\n"[..]));
    assert_eq!(exec.await_end(Duration::from_secs(10)), Some(ExecEnd::Exited(7)));
    // Words of another machine move no cursor.
    assert!(exec.said().ends_with("err\ngo\\u{1b} on"), "{}", exec.said());

    // The end of its input, and a signal.
    let exec = tunnel.exec("cat >/dev/null; echo ended >&2").unwrap();
    exec.end_input();
    assert!(exec.await_words(Duration::from_secs(10), |said| said.contains("ended")));
    let exec = tunnel.exec("exec sleep 60").unwrap();
    exec.interrupt();
    // OpenSSH passes signals on for all but root, whose sessions have no monitor: then closing it is left.
    match exec.await_end(Duration::from_secs(2)) {
        Some(end) => assert!(matches!(end, ExecEnd::Signal(_)), "{end:?}"),
        None => exec.close(),
    }
    assert!(exec.await_end(Duration::from_secs(10)).is_some());

    // A program that nobody reads holds itself up, and not the session.
    let mut exec = tunnel.exec("yes; true").unwrap();
    let output = exec.take_output().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    drop(output);
    tunnel.send_control("tc-beside").unwrap();
    exec.close();
    assert!(exec.await_end(Duration::from_secs(10)).is_some());

    // What runs when the connection breaks has ended without a word.
    let mut exec = tunnel.exec("echo runs >&2; sleep 60").unwrap();
    let mut output = exec.take_output().unwrap();
    // Until it runs it is a copy of the server, holds the connection too, and would be killed as one that serves it.
    assert!(exec.await_words(Duration::from_secs(10), |said| said.contains("runs")));
    kill_serving(&sshd, tunnel.record().local.port());
    assert_eq!(output.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(exec.await_end(Duration::from_secs(10)), Some(ExecEnd::Lost));
}

#[test]
fn a_tunnel_that_is_cut_on_purpose_has_lost_nothing() {
    let Some(sshd) = Sshd::start(&["ed25519"], "") else { return };
    let mut spec = sshd.spec();
    spec.forwards = vec![forward("mail", echo_server())];
    if cfg!(target_os = "linux") {
        // As above: nobody else may take the port while the mouth is shut.
        spec.forwards[0].listen = SocketAddr::from(([127, 0, 0, 78], 0));
    }
    let mut tunnel = Tunnel::open(spec, &mut NoPrompt).unwrap();
    let first = tunnel.record();
    tunnel.rekey().unwrap();
    let mut stream = connect(&first, "mail");
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    tunnel.cut("on purpose");
    assert!(!tunnel.is_up());
    assert_eq!(read_all(stream), b"", "what ran through it has ended");
    assert_eq!(read_all(connect(&first, "mail")), b"", "the mouth is open, and closes what comes");
    assert!(tunnel.rekey().is_err() && tunnel.exec("true").is_err());
    tunnel.shut_mouths();
    assert!(TcpStream::connect(first.forwards[0].listen).is_err(), "the mouth is shut");
    tunnel.open_mouths().unwrap();
    tunnel.open_mouths().unwrap();
    tunnel.redial(&mut NoPrompt, &AtomicBool::new(false)).unwrap();
    let record = tunnel.record();
    assert_eq!(record.lost, None);
    assert_ne!(record.local, first.local);
    let [earlier] = record.earlier.as_slice() else { panic!("{record:?}") };
    assert_eq!((earlier.local, earlier.remote, earlier.up), (first.local, first.remote, first.up));
    assert!(earlier.why == "on purpose" && earlier.down >= earlier.up);
    let stream = connect(&record, "mail");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(stream), b"end");
    let mail = &tunnel.record().forwards[0];
    assert_eq!((mail.conns, mail.opened), (3, 2), "its counters went on");

    // A loss that was to be expected is none; one of before is.
    let since = tunnel.record().up;
    kill_serving(&sshd, tunnel.record().local.port());
    assert!(wait_until(Duration::from_secs(5), || tunnel.record().lost.is_some()));
    let (at, _) = tunnel.record().lost.unwrap();
    let later = tunnelcheck::model::Timestamp::from_nanos(at.as_nanos() + 1);
    assert!(!tunnel.forgive_loss(later) && tunnel.record().lost.is_some());
    assert!(tunnel.forgive_loss(since) && tunnel.record().lost.is_none());
    assert_eq!(tunnel.record().earlier.len(), 2);
}
