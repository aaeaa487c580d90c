//! The tunnel room against servers that OpenSSH would not play: questions, passwords, no cipher.

use russh::keys::ssh_key::rand_core::UnwrapErr;
use russh::keys::{Algorithm, HashAlg, PrivateKey};
use russh::server::{Auth, Config, Handler, Response};
use russh::{MethodKind, MethodSet, Preferred, cipher, mac};
use std::borrow::Cow;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tunnelcheck::tunnel::{
    AgentChoice, HostKeyQuestion, NoPrompt, Prompt, Tunnel, TunnelError, TunnelSpec,
};

const QUESTIONS: &[(Cow<'static, str>, bool)] =
    &[(Cow::Borrowed("Password: "), false), (Cow::Borrowed("Token: "), true)];

/// How a server behaves, and what it heard.
#[derive(Clone, Default)]
struct Manner {
    methods: Vec<MethodKind>,
    asks_without_end: bool,
    forgets: bool, // a refused method is not offered again
    heard: Arc<Mutex<Vec<String>>>,
    step: usize,
}

impl Manner {
    fn hear(&self, what: &str) {
        self.heard.lock().unwrap().push(what.to_owned());
    }
}

impl Handler for Manner {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        self.hear(&format!("password {password}"));
        let again = Auth::Reject {
            proceed_with_methods: (!self.forgets).then(|| MethodSet::from(self.methods.as_slice())),
            partial_success: false,
        };
        Ok(if password == "open" { Auth::Accept } else { again })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let answers: Vec<String> = response
            .into_iter()
            .flatten()
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .collect();
        self.hear(&format!("answers {answers:?}"));
        let ask = |prompts: &'static [(Cow<'static, str>, bool)]| Auth::Partial {
            name: Cow::Borrowed(""),
            instructions: Cow::Borrowed(""),
            prompts: Cow::Borrowed(prompts),
        };
        self.step += 1;
        if self.asks_without_end {
            return Ok(ask(&[]));
        }
        Ok(match (self.step, answers.as_slice()) {
            (1, _) => ask(QUESTIONS),
            // As PAM does: once more, with no prompt at all.
            (2, [password, token]) if password == "open" && token == "42" => ask(&[]),
            (3, []) => Auth::Accept,
            _ => {
                self.step = 0;
                Auth::reject()
            }
        })
    }
}

/// Answers from two lists.
#[derive(Default)]
struct Person {
    passwords: Vec<&'static str>,
    answers: Vec<Vec<&'static str>>,
    seen: Vec<(String, bool)>,
}

impl Prompt for Person {
    fn password(&mut self, who: &str) -> Option<String> {
        assert!(who.starts_with("jsmith@127.0.0.1:"), "{who}");
        (!self.passwords.is_empty()).then(|| self.passwords.remove(0).to_owned())
    }
    fn passphrase(&mut self, _: &Path) -> Option<String> {
        None
    }
    fn interactive(&mut self, _: &str, _: &str, prompts: &[(String, bool)]) -> Option<Vec<String>> {
        self.seen.extend_from_slice(prompts);
        let answers = (!self.answers.is_empty()).then(|| self.answers.remove(0))?;
        Some(answers.into_iter().map(str::to_owned).collect())
    }
    fn accept_host_key(&mut self, _: &HostKeyQuestion) -> bool {
        false
    }
}

/// Starts a server and hands out a tunnel to it, with its host key vouched for.
fn serve(manner: Manner, preferred: Preferred) -> TunnelSpec {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let key = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let config = Arc::new(Config {
        methods: MethodSet::from(manner.methods.as_slice()),
        auth_rejection_time: Duration::from_millis(1),
        keys: vec![key],
        preferred,
        ..Config::default()
    });
    let (told, port) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (config, manner) = (Arc::clone(&config), manner.clone());
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, manner).await {
                        let _ = session.await;
                    }
                });
            }
        });
    });
    TunnelSpec {
        agent: AgentChoice::Nobody,
        accept_host_key: vec![fingerprint],
        ..TunnelSpec::new("test", "jsmith", "127.0.0.1", port.recv().unwrap())
    }
}

#[test]
fn a_password_is_asked_up_to_three_times() {
    let manner = Manner { methods: vec![MethodKind::Password], ..Manner::default() };
    let heard = Arc::clone(&manner.heard);
    let spec = serve(manner, Preferred::default());
    let mut person = Person { passwords: vec!["no", "nor this", "open"], ..Person::default() };
    let tunnel = Tunnel::open(spec.clone(), &mut person).unwrap();
    assert!(tunnel.is_up());
    assert_eq!(heard.lock().unwrap().len(), 3);
    assert_eq!(tunnel.notes().len(), 1, "a key that no file could keep is said");

    let mut person = Person { passwords: vec!["a", "b", "c", "open"], ..Person::default() };
    let error = Tunnel::open(spec.clone(), &mut person).err().unwrap();
    assert!(matches!(error, TunnelError::Denied { .. }), "{error}");
    assert_eq!(person.passwords, ["open"]);
    let error = Tunnel::open(spec, &mut NoPrompt).err().unwrap();
    assert!(error.to_string().contains("password (nobody to ask)"), "{error}");
    assert!(error.remedy().unwrap().contains("terminal"));
}

#[test]
fn a_server_with_no_method_left_has_denied() {
    let manner = Manner { methods: vec![MethodKind::Password], forgets: true, ..Manner::default() };
    let mut person = Person { passwords: vec!["no", "open"], ..Person::default() };
    let error = Tunnel::open(serve(manner, Preferred::default()), &mut person).err().unwrap();
    assert!(matches!(error, TunnelError::Denied { .. }), "{error}");
    assert!(error.to_string().ends_with("offers no method that is known"), "{error}");
}

#[test]
fn questions_are_answered_and_an_empty_second_round_too() {
    let methods = vec![MethodKind::KeyboardInteractive, MethodKind::Password];
    let manner = Manner { methods, ..Manner::default() };
    let heard = Arc::clone(&manner.heard);
    let spec = serve(manner, Preferred::default());
    let mut person =
        Person { answers: vec![vec!["wrong", "42"], vec!["open", "42"]], ..Person::default() };
    Tunnel::open(spec.clone(), &mut person).unwrap();
    assert_eq!(person.seen[..2], [("Password: ".to_owned(), false), ("Token: ".to_owned(), true)]);
    assert_eq!(heard.lock().unwrap().last().unwrap(), "answers []");

    let mut person =
        Person { answers: vec![vec!["x", "y"]; 3], passwords: vec!["open"], ..Person::default() };
    let result = Tunnel::open(spec, &mut person);
    assert!(result.is_ok(), "after the questions the password is tried: {}", result.err().unwrap());
}

#[test]
fn a_server_that_asks_without_end_is_given_up() {
    let manner = Manner {
        methods: vec![MethodKind::KeyboardInteractive],
        asks_without_end: true,
        ..Manner::default()
    };
    let error = Tunnel::open(serve(manner, Preferred::default()), &mut Person::default());
    assert!(error.err().unwrap().to_string().contains("does not stop asking"));
}

#[test]
fn a_server_without_a_cipher_is_refused() {
    for name in [cipher::NONE, cipher::CLEAR] {
        let manner = Manner { methods: vec![MethodKind::Password], ..Manner::default() };
        let preferred = Preferred {
            cipher: Cow::Owned(vec![name]),
            mac: Cow::Owned(vec![mac::NONE]),
            ..Preferred::default()
        };
        let spec = serve(manner, preferred);
        let mut person = Person { passwords: vec!["open"], ..Person::default() };
        let error = Tunnel::open(spec, &mut person).err().unwrap();
        assert!(matches!(error, TunnelError::NoCommonAlgorithm { .. }), "{error}");
        assert_eq!(person.passwords, ["open"], "a password was given to a server without a cipher");
    }
}

#[test]
fn a_server_that_lets_anybody_in_asks_nobody() {
    #[derive(Clone)]
    struct Open;
    impl Handler for Open {
        type Error = russh::Error;
        async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
            Ok(Auth::Accept)
        }
    }
    let mut rng = UnwrapErr(getrandom::SysRng);
    let key = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let config = Arc::new(Config { keys: vec![key], ..Config::default() });
    let (told, port) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap().port()).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let session = russh::server::run_stream(config, stream, Open).await.unwrap();
            let _ = session.await;
        });
    });
    let spec = TunnelSpec {
        agent: AgentChoice::Nobody,
        accept_host_key: vec![fingerprint],
        ..TunnelSpec::new("test", "anybody", "127.0.0.1", port.recv().unwrap())
    };
    assert!(Tunnel::open(spec, &mut NoPrompt).unwrap().is_up());
}
