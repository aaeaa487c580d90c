//! Authentication in OpenSSH's order: keys of the agent, keys of files, questions, password.

use super::client::Client;
use super::error::TunnelError;
use super::keyfile::{KeyFile, KeyTrouble};
use super::link::lock;
use super::prompt::{Asker, plain};
use super::spec::{AgentChoice, HopSpec};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet, SendError, Signer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixStream;

const MAX_TRIES: usize = 3; // NumberOfPasswordPrompts of OpenSSH, for passwords and for rounds of questions
const TRY_AGAIN: &str = "Permission denied, please try again."; // as ssh says it
const MAX_ROUNDS: usize = 32; // questions within one try; a server that never ends is given up
const MAX_STEPS: usize = 8; // methods that a server may demand one after the other (AuthenticationMethods)
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120); // LoginGraceTime of OpenSSH
const LAST_WORDS_WAIT: Duration = Duration::from_millis(10);
const LAST_WORDS_TRIES: usize = 50;
const AGENT_TIMEOUT: Duration = Duration::from_secs(120); // an agent may wait for a person's confirmation

/// How the SSH client words the end of a session in which the server offers no method any more.
pub(super) const NO_METHOD_LEFT: &str = "the server offers no method any more";

/// Lets the user in, or says what was tried.
///
/// # Errors
/// `Denied`: nothing was accepted. `AuthCut`: the server hung up.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    hop: &HopSpec,
    asker: &Asker,
    cut: &Mutex<Option<String>>,
) -> Result<(), TunnelError> {
    let mut attempt = Attempt {
        handle,
        hop,
        asker,
        cut,
        tried: Vec::new(),
        offered: MethodSet::empty(),
        nobody_to_ask: false,
        rsa: RsaHash::Unasked,
    };
    match attempt.run().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(attempt.denied()),
        Err(error) => Err(error),
    }
}

struct Attempt<'a> {
    handle: &'a mut Handle<Client>,
    hop: &'a HopSpec,
    asker: &'a Asker,
    cut: &'a Mutex<Option<String>>,
    tried: Vec<String>,
    offered: MethodSet,
    nobody_to_ask: bool,
    rsa: RsaHash,
}

/// The hash that the server wants in RSA signatures; none is SHA-1, `ssh-rsa` of old.
#[derive(Clone, Copy)]
enum RsaHash {
    Unasked,
    Known(Option<HashAlg>),
}

/// What a method came to.
enum Outcome {
    In,
    /// Accepted, and the server wants another method as well.
    Partly,
    Out,
}

impl Attempt<'_> {
    async fn run(&mut self) -> Result<bool, TunnelError> {
        // "none" tells the methods; a server that lets anybody in says so here (RFC 4252 s5.2).
        let user = self.hop.user.clone();
        let first = timed(self.handle.authenticate_none(user)).await;
        if let Outcome::In = self.settle(first).await? {
            return Ok(true);
        }
        for _ in 0..MAX_STEPS {
            match self.one_step().await? {
                Outcome::In => return Ok(true),
                Outcome::Partly => {}
                Outcome::Out => return Ok(false),
            }
        }
        Ok(false)
    }

    async fn one_step(&mut self) -> Result<Outcome, TunnelError> {
        // The methods as they stand before this step; a refusal in between may shorten the server's list.
        let offers = |method: MethodKind, set: &MethodSet| set.contains(&method);
        if offers(MethodKind::PublicKey, &self.offered) {
            match self.public_keys().await? {
                Outcome::Out => {}
                done => return Ok(done),
            }
        }
        if offers(MethodKind::KeyboardInteractive, &self.offered) {
            match self.questions().await? {
                Outcome::Out => {}
                done => return Ok(done),
            }
        }
        if offers(MethodKind::Password, &self.offered) && !self.nobody_to_ask {
            return self.password().await;
        }
        Ok(Outcome::Out)
    }

    async fn public_keys(&mut self) -> Result<Outcome, TunnelError> {
        let mut files = Vec::new();
        for path in &self.hop.identity_files {
            match KeyFile::read(path) {
                Ok(file) => files.push((path.clone(), file)),
                Err(trouble) => self.tried.push(key_trouble(path, &trouble)),
            }
        }
        let mut offered: Vec<PublicKey> = Vec::new();
        match self.agent_keys(&files, &mut offered).await? {
            Outcome::Out => {}
            done => return Ok(done),
        }
        for (path, file) in &files {
            if file.public().is_some_and(|key| contains(&offered, key)) {
                continue; // the agent has offered this key already
            }
            if file.is_public_half() {
                let path = path.display();
                self.tried.push(format!(
                    "publickey {path} (only its public half is here, and no agent holds it)"
                ));
                continue;
            }
            match self.file_key(path, file).await? {
                Outcome::Out => {}
                done => return Ok(done),
            }
        }
        Ok(Outcome::Out)
    }

    async fn agent_keys(
        &mut self,
        files: &[(PathBuf, KeyFile)],
        offered: &mut Vec<PublicKey>,
    ) -> Result<Outcome, TunnelError> {
        let socket = match &self.hop.agent {
            AgentChoice::Nobody => None,
            AgentChoice::Socket(path) => Some(path.clone()),
            AgentChoice::Environment => {
                std::env::var_os("SSH_AUTH_SOCK").filter(|v| !v.is_empty()).map(PathBuf::from)
            }
        };
        let Some(socket) = socket else { return Ok(Outcome::Out) };
        let asked = tokio::time::timeout(AGENT_TIMEOUT, self.ask_agent(&socket)).await;
        let (mut agent, mut keys) = match asked {
            Ok(Ok(found)) => found,
            Ok(Err(reason)) => {
                self.tried.push(format!("ssh-agent ({reason})"));
                return Ok(Outcome::Out);
            }
            Err(_) => {
                self.tried.push("ssh-agent (no answer)".to_owned());
                return Ok(Outcome::Out);
            }
        };
        let of_files: Vec<&PublicKey> = files.iter().filter_map(|(_, f)| f.public()).collect();
        let is_of_file = |id: &AgentIdentity| {
            of_files.iter().any(|key| key.key_data() == id.public_key().key_data())
        };
        if self.hop.identities_only {
            keys.retain(is_of_file);
        } else {
            keys.sort_by_key(|id| !is_of_file(id)); // stable: keys that were named come first
        }
        for id in keys {
            let AgentIdentity::PublicKey { key, comment } = id else { continue };
            offered.push(key.clone());
            let label = format!("publickey of the agent \"{}\"", plain(&comment));
            let hash = self.hash_for(&key).await;
            let user = self.hop.user.clone();
            let answer = tokio::time::timeout(
                AGENT_TIMEOUT,
                self.handle.authenticate_publickey_with(user, key, hash, &mut agent),
            )
            .await;
            let result = match answer {
                Ok(Ok(result)) => Ok(result),
                Ok(Err(error)) => {
                    self.tried.push(format!("{label} (the agent: {error})"));
                    self.still_there()?;
                    continue;
                }
                Err(_) => Err(None),
            };
            match self.settle_as(result, label).await? {
                Outcome::Out => {}
                done => return Ok(done),
            }
        }
        Ok(Outcome::Out)
    }

    async fn ask_agent(
        &self,
        socket: &Path,
    ) -> Result<(AgentClient<UnixStream>, Vec<AgentIdentity>), String> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|e| format!("cannot reach {}: {e}", socket.display()))?;
        let mut agent = AgentClient::connect(stream);
        if let Some(binding) = self.handle.agent_session_binding() {
            // Agents older than OpenSSH 8.9 do not know it; they then have no keys that need it.
            let _ = agent.bind_session(binding, false).await;
        }
        let keys = agent.request_identities().await.map_err(|e| e.to_string())?;
        Ok((agent, keys))
    }

    async fn file_key(&mut self, path: &Path, file: &KeyFile) -> Result<Outcome, TunnelError> {
        let label = format!("publickey {}", path.display());
        // Ask for a passphrase only once the server has said that it would take the key.
        if let Some(public) = file.public().cloned() {
            let hash = self.hash_for(&public).await;
            let user = self.hop.user.clone();
            let mut probe = Probe { taken: false };
            let probing = self.handle.authenticate_publickey_with(user, public, hash, &mut probe);
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, probing).await;
            if !probe.taken {
                let result = match answer {
                    Ok(Ok(result)) => Ok(result),
                    Ok(Err(Probed)) => Err(Some("the session ended".to_owned())),
                    Err(_) => Err(None),
                };
                return self.settle_as(result, label).await;
            }
        }
        let key = match file.unlock(self.asker).await {
            Ok(key) => key,
            Err(trouble) => {
                self.nobody_to_ask |=
                    matches!(trouble, KeyTrouble::Locked(why) if why.starts_with("nobody"));
                self.tried.push(key_trouble(path, &trouble));
                return Ok(Outcome::Out);
            }
        };
        let hash = self.hash_for(key.public_key()).await;
        let user = self.hop.user.clone();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let result = timed(self.handle.authenticate_publickey(user, key)).await;
        self.settle_as(result, label).await
    }

    async fn questions(&mut self) -> Result<Outcome, TunnelError> {
        use KeyboardInteractiveAuthResponse as Response;
        const METHOD: &str = "keyboard-interactive";
        for attempt in 0..MAX_TRIES {
            if attempt > 0 {
                self.asker.banner(TRY_AGAIN);
            }
            let user = self.hop.user.clone();
            let start =
                self.handle.authenticate_keyboard_interactive_start(user, Option::<String>::None);
            let mut response = timed(start).await;
            let mut rounds = 0;
            let (result, asked) = loop {
                let (name, instructions, prompts) = match response {
                    Ok(Response::Success) => return Ok(Outcome::In),
                    Ok(Response::Failure { remaining_methods, partial_success }) => {
                        break (
                            Ok(AuthResult::Failure { remaining_methods, partial_success }),
                            rounds > 0,
                        );
                    }
                    Ok(Response::InfoRequest { name, instructions, prompts }) => {
                        (name, instructions, prompts)
                    }
                    Err(trouble) => break (Err(trouble), true),
                };
                rounds += 1;
                if rounds > MAX_ROUNDS {
                    break (Err(Some("the server does not stop asking".to_owned())), true);
                }
                let answers = if prompts.is_empty() && name.is_empty() && instructions.is_empty() {
                    Some(Vec::new()) // PAM's last request asks nothing and wants an answer
                } else {
                    let title = format!("{} {}", self.hop.user_at_host(), plain(&name));
                    let title =
                        if name.is_empty() && prompts.is_empty() { String::new() } else { title };
                    let prompts: Vec<(String, bool)> =
                        prompts.into_iter().map(|p| (p.prompt, p.echo)).collect();
                    let wanted = prompts.len();
                    if wanted == 0 {
                        self.asker.banner(&instructions);
                        Some(Vec::new())
                    } else {
                        self.asker
                            .interactive(title, instructions, prompts)
                            .await
                            .filter(|given| given.len() == wanted)
                    }
                };
                let Some(answers) = answers else {
                    self.nobody_to_ask = true;
                    self.tried.push(format!("{METHOD} (nobody to ask)"));
                    return Ok(Outcome::Out);
                };
                response =
                    timed(self.handle.authenticate_keyboard_interactive_respond(answers)).await;
            };
            match self.settle_as(result, METHOD.to_owned()).await? {
                // Refused without a question: the method is a dead end here.
                Outcome::Out
                    if asked && self.offered.contains(&MethodKind::KeyboardInteractive) => {}
                done => return Ok(done),
            }
        }
        Ok(Outcome::Out)
    }

    async fn password(&mut self) -> Result<Outcome, TunnelError> {
        const METHOD: &str = "password";
        for attempt in 0..MAX_TRIES {
            if attempt > 0 {
                self.asker.banner(TRY_AGAIN);
            }
            let Some(password) = self.asker.password(self.hop.user_at_host()).await else {
                self.nobody_to_ask = true;
                self.tried.push(format!("{METHOD} (nobody to ask)"));
                return Ok(Outcome::Out);
            };
            let user = self.hop.user.clone();
            let result = timed(self.handle.authenticate_password(user, password)).await;
            match self.settle_as(result, METHOD.to_owned()).await? {
                Outcome::Out if self.offered.contains(&MethodKind::Password) => {}
                done => return Ok(done),
            }
        }
        Ok(Outcome::Out)
    }

    /// The hash for signatures of this key: only RSA has a choice (RFC 8332).
    async fn hash_for(&mut self, key: &PublicKey) -> Option<HashAlg> {
        if !key.algorithm().is_rsa() {
            return None;
        }
        if let RsaHash::Known(hash) = self.rsa {
            return hash;
        }
        let best = self.handle.best_supported_rsa_hash().await;
        // A server that does not tell gets SHA-512: SHA-1 is refused by most and proves little.
        let hash = best.ok().flatten().unwrap_or(Some(HashAlg::Sha512));
        self.rsa = RsaHash::Known(hash);
        hash
    }

    async fn settle_as(
        &mut self,
        result: Result<AuthResult, Option<String>>,
        label: String,
    ) -> Result<Outcome, TunnelError> {
        self.tried.push(label);
        let outcome = self.settle(result).await?;
        if let (Outcome::Partly, Some(last)) = (&outcome, self.tried.last_mut()) {
            last.push_str(" (accepted, more is wanted)");
        }
        Ok(outcome)
    }

    async fn settle(
        &mut self,
        result: Result<AuthResult, Option<String>>,
    ) -> Result<Outcome, TunnelError> {
        match result {
            Ok(AuthResult::Success) => Ok(Outcome::In),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if remaining_methods.is_empty() {
                    return self.last_refusal().await;
                }
                self.still_there()?;
                self.offered = remaining_methods;
                Ok(if partial_success { Outcome::Partly } else { Outcome::Out })
            }
            Err(reason) => {
                self.still_there()?;
                let waited = ANSWER_TIMEOUT.as_secs();
                Err(self
                    .cut_short(reason.unwrap_or_else(|| format!("no answer within {waited} s"))))
            }
        }
    }

    /// An empty list: either the server offers nothing more, or the session has ended; which, it tells a moment later.
    async fn last_refusal(&mut self) -> Result<Outcome, TunnelError> {
        for _ in 0..LAST_WORDS_TRIES {
            if lock(self.cut).is_some() {
                break;
            }
            tokio::time::sleep(LAST_WORDS_WAIT).await;
        }
        self.offered = MethodSet::empty();
        let words = lock(self.cut).clone(); // not held: the next line asks for it too
        match words {
            Some(words) if words.ends_with(NO_METHOD_LEFT) => Ok(Outcome::Out),
            _ => self.still_there().map(|()| Outcome::Out),
        }
    }

    /// A session that has ended answers every method with a refusal; that is not what the server said.
    fn still_there(&self) -> Result<(), TunnelError> {
        let words = lock(self.cut).clone();
        match words {
            Some(reason) => Err(self.cut_short(reason)),
            None if self.handle.is_closed() => {
                Err(self.cut_short("the server closed the connection".to_owned()))
            }
            None => Ok(()),
        }
    }

    fn cut_short(&self, reason: String) -> TunnelError {
        TunnelError::AuthCut {
            user_at_host: self.hop.user_at_host(),
            tried: self.tried.clone(),
            reason,
        }
    }

    fn denied(&self) -> TunnelError {
        TunnelError::Denied {
            user_at_host: self.hop.user_at_host(),
            tried: self.tried.clone(),
            offered: self.offered.iter().map(String::from).collect(),
            nobody_to_ask: self.nobody_to_ask,
        }
    }
}

/// Stands in for a signer, to learn whether the server would take a key.
struct Probe {
    taken: bool,
}

struct Probed;

impl From<SendError> for Probed {
    fn from(_: SendError) -> Self {
        Self
    }
}

impl Signer for Probe {
    type Error = Probed;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        _: Vec<u8>,
    ) -> Result<Vec<u8>, Probed> {
        self.taken = true;
        Err(Probed)
    }
}

/// The outcome of a request: `Err(None)` if no answer came in time, `Err(Some)` with what went wrong.
async fn timed<T>(
    request: impl Future<Output = Result<T, russh::Error>>,
) -> Result<T, Option<String>> {
    match tokio::time::timeout(ANSWER_TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Some(error.to_string())),
        Err(_) => Err(None),
    }
}

fn contains(keys: &[PublicKey], key: &PublicKey) -> bool {
    keys.iter().any(|k| k.key_data() == key.key_data())
}

fn key_trouble(path: &Path, trouble: &KeyTrouble) -> String {
    let why = match trouble {
        KeyTrouble::Missing => "no such file",
        KeyTrouble::Unusable(reason) => reason.as_str(),
        KeyTrouble::Locked(reason) => reason,
    };
    format!("publickey {} ({why})", path.display())
}
