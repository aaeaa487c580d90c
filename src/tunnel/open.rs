//! The door of the room: bind the mouths, bring the tunnel up, ask it, close it. Blocking from outside.

use super::client::{Dialed, Dialing, dial};
use super::error::TunnelError;
use super::exec::{self, Exec};
use super::forward::{Forward, OpenError, bind_all, open_channel};
use super::link::{Link, now};
use super::prompt::{Ask, Asker, Prompt};
use super::spec::TunnelSpec;
use crate::model::{EarlierConn, ForwardRecord, Timestamp, TunnelRecord};
use russh::Disconnect;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

const WORKERS: usize = 2; // one for the session's cipher, one for the copying
const STOP_CHECK: Duration = Duration::from_millis(100); // how soon an interrupt is felt while dialing
const GOODBYE: Duration = Duration::from_millis(500); // for the disconnect message to leave
const DISCARD_PORT: u16 = 9; // RFC 863; nearly nobody listens there, and it does not matter
const REKEY_LOOK: Duration = Duration::from_millis(5); // an exchange of keys takes some ten
const PROBE_BYTES: usize = 4096; // of a greeting: more than any banner

/// A tunnel whose mouths are open and which is not up: what comes in is closed at once.
pub struct BoundTunnel {
    runtime: Option<Runtime>, // none only while it is being dropped
    spec: Arc<TunnelSpec>,
    link: Arc<Link>,
    forwards: Vec<Arc<Forward>>,
    mouths: Vec<JoinHandle<()>>, // one task for each of `forwards`; none while they are shut
}

/// What came of bringing a tunnel up.
#[derive(Debug)]
pub enum Attempt {
    /// It is up.
    Up(Tunnel),
    /// It is not; its mouths are still open, and refuse.
    Down(BoundTunnel, TunnelError),
}

/// A tunnel that came up.
pub struct Tunnel {
    bound: BoundTunnel,
    dialed: Up,
    earlier: Vec<EarlierConn>,
}

struct Up {
    behind: Vec<russh::client::Handle<super::client::Client>>,
    local: SocketAddr,
    remote: SocketAddr,
    shown: super::client::Shown,
    since: Timestamp,
    notes: Vec<String>,
}

impl fmt::Debug for BoundTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundTunnel").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("record", &self.record()).finish_non_exhaustive()
    }
}

impl BoundTunnel {
    /// Brings the tunnel up; questions go to `prompt`, on this thread.
    ///
    /// # Errors
    /// Whatever stands in the way. The mouths are closed then.
    pub fn up(self, prompt: &mut dyn Prompt) -> Result<Tunnel, TunnelError> {
        self.up_unless(prompt, &AtomicBool::new(false))
    }

    /// Brings the tunnel up unless `stop` becomes true first.
    ///
    /// # Errors
    /// As `up`; `Interrupted`.
    pub fn up_unless(
        self,
        prompt: &mut dyn Prompt,
        stop: &AtomicBool,
    ) -> Result<Tunnel, TunnelError> {
        let dialed = self.dial(prompt, stop)?;
        let dialed = self.install(dialed)?;
        Ok(Tunnel { bound: self, dialed, earlier: Vec::new() })
    }

    /// As `up_unless`, but the mouths stay open where it does not come up.
    #[must_use]
    pub fn attempt(self, prompt: &mut dyn Prompt, stop: &AtomicBool) -> Attempt {
        match self.dial(prompt, stop).and_then(|dialed| self.install(dialed)) {
            Ok(dialed) => Attempt::Up(Tunnel { bound: self, dialed, earlier: Vec::new() }),
            Err(error) => Attempt::Down(self, error),
        }
    }

    /// The mouths as they were really bound.
    #[must_use]
    pub fn forwards(&self) -> Vec<ForwardRecord> {
        self.forwards.iter().map(|forward| forward.record()).collect()
    }

    fn dial(&self, prompt: &mut dyn Prompt, stop: &AtomicBool) -> Result<Dialed, TunnelError> {
        let ended = || TunnelError::NotUp { reason: "its runtime has ended".to_owned() };
        let runtime = self.runtime.as_ref().ok_or_else(ended)?;
        let (to_caller, questions) = mpsc::channel();
        let asker = Asker::new(to_caller);
        let (spec, link) = (Arc::clone(&self.spec), Arc::clone(&self.link));
        let generation = link.begin();
        let task = runtime.spawn(async move {
            let result =
                dial(&Dialing { spec: &spec, asker: &asker, link: &link, generation }).await;
            asker.done(result);
        });
        loop {
            if stop.load(Ordering::Relaxed) {
                task.abort();
                return Err(TunnelError::Interrupted);
            }
            match questions.recv_timeout(STOP_CHECK) {
                Ok(ask) => {
                    if let Some(result) = Ask::put(ask, prompt) {
                        if let Err(error) = &result {
                            self.link.not_up(&error.to_string());
                        }
                        return result;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(ended()),
            }
        }
    }

    fn install(&self, dialed: Dialed) -> Result<Up, TunnelError> {
        let Dialed { gateway, behind, local, remote, shown, up, notes } = dialed;
        let gateway = Arc::new(gateway);
        self.link.install(Arc::clone(&gateway));
        if gateway.is_closed() {
            return Err(TunnelError::NotUp { reason: self.link.why_down() });
        }
        Ok(Up { behind, local, remote, shown, since: up, notes })
    }

    fn block_on<T>(&self, task: impl Future<Output = T>) -> Result<T, TunnelError> {
        let runtime = self.runtime.as_ref().ok_or_else(|| self.not_up())?;
        Ok(runtime.block_on(task))
    }

    fn not_up(&self) -> TunnelError {
        TunnelError::NotUp { reason: self.link.why_down() }
    }
}

impl Drop for BoundTunnel {
    fn drop(&mut self) {
        self.link.close();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(GOODBYE); // closes the mouths; a resolver that hangs must not hold the user up
        }
    }
}

impl Tunnel {
    /// Opens every mouth, and dials nobody yet.
    ///
    /// # Errors
    /// `MouthTaken`, `MouthTwice`, `Mouth`; `Runtime`.
    pub fn bind(spec: TunnelSpec) -> Result<BoundTunnel, TunnelError> {
        let bound = bind_all(&spec)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("tunnel")
            .enable_all()
            .build()
            .map_err(|source| TunnelError::Runtime { source })?;
        let link = Arc::new(Link::default());
        link.begin();
        let mut forwards = Vec::with_capacity(bound.len());
        let mut mouths = Vec::with_capacity(bound.len());
        {
            let _inside = runtime.enter();
            for (forward, listener) in bound {
                let listener = tokio::net::TcpListener::from_std(listener)
                    .map_err(|source| TunnelError::Runtime { source })?;
                forwards.push(Arc::clone(&forward));
                let link = Arc::clone(&link);
                mouths.push(runtime.spawn(forward.serve(listener, link, spec.channel_timeout)));
            }
        }
        Ok(BoundTunnel { runtime: Some(runtime), spec: Arc::new(spec), link, forwards, mouths })
    }

    /// Opens every mouth and brings the tunnel up.
    ///
    /// # Errors
    /// As `bind` and `BoundTunnel::up`.
    pub fn open(spec: TunnelSpec, prompt: &mut dyn Prompt) -> Result<Self, TunnelError> {
        Self::bind(spec)?.up(prompt)
    }

    /// Dials again after a loss; the mouths and their counters stay, and so does the loss in the record.
    ///
    /// # Errors
    /// As `BoundTunnel::up`; the mouths stay open and the tunnel down.
    pub fn redial(
        &mut self,
        prompt: &mut dyn Prompt,
        stop: &AtomicBool,
    ) -> Result<(), TunnelError> {
        let dialed = self.bound.dial(prompt, stop)?;
        self.dialed = self.bound.install(dialed)?;
        Ok(())
    }

    /// What it has to say for itself, now.
    #[must_use]
    pub fn record(&self) -> TunnelRecord {
        let Up { local, remote, shown, since, .. } = &self.dialed;
        let (host_key, host_key_source) = shown
            .verified
            .as_ref()
            .map(|v| (v.fingerprint.clone(), v.source.clone()))
            .unwrap_or_default();
        TunnelRecord {
            local: *local,
            remote: *remote,
            host_key,
            host_key_source,
            server_version: shown.version.clone(),
            kex: shown.kex.clone(),
            cipher: shown.cipher.clone(),
            mac: shown.mac.clone(),
            up: *since,
            lost: self.bound.link.lost(),
            forwards: self.bound.forwards(),
            earlier: self.earlier.clone(),
        }
    }

    /// Ends the connection to the gateway on purpose, to dial again: the mouths stay open, and what comes in is closed at
    /// once. No loss.
    pub fn cut(&mut self, why: &str) {
        let Some(gateway) = self.bound.link.cut(why) else { return };
        // Without a runtime nothing is up.
        let _ = self.bound.block_on(async {
            let _ = gateway.disconnect(Disconnect::ByApplication, "", "en").await;
            for handle in &self.dialed.behind {
                let _ = handle.disconnect(Disconnect::ByApplication, "", "en").await;
            }
        });
        self.remember(now(), why);
    }

    /// Shuts the mouths: who comes is refused, as where no ssh listens any more.
    pub fn shut_mouths(&mut self) {
        for mouth in std::mem::take(&mut self.bound.mouths) {
            mouth.abort();
            // Only when the task has ended is its listener closed; an aborted one ends with an error.
            let _ = self.bound.block_on(mouth);
        }
    }

    /// Opens the mouths again that were shut.
    ///
    /// # Errors
    /// `Mouth`: somebody else may have taken one meanwhile; `NotUp` without a runtime.
    pub fn open_mouths(&mut self) -> Result<(), TunnelError> {
        if !self.bound.mouths.is_empty() {
            return Ok(());
        }
        let mut listeners = Vec::with_capacity(self.bound.forwards.len());
        for forward in &self.bound.forwards {
            let listener = forward.listen_again()?;
            listeners.push((Arc::clone(forward), listener));
        }
        let runtime = self.bound.runtime.as_ref().ok_or_else(|| self.bound.not_up())?;
        let _inside = runtime.enter();
        for (forward, listener) in listeners {
            let listener = tokio::net::TcpListener::from_std(listener)
                .map_err(|source| TunnelError::Runtime { source })?;
            let link = Arc::clone(&self.bound.link);
            let mouth = forward.serve(listener, link, self.bound.spec.channel_timeout);
            self.bound.mouths.push(runtime.spawn(mouth));
        }
        Ok(())
    }

    /// Takes a loss from `since` on for a consequence of what was done on purpose; whether there was one.
    pub fn forgive_loss(&mut self, since: Timestamp) -> bool {
        let Some((at, why)) = self.bound.link.forgive(since) else { return false };
        self.remember(at, &why);
        true
    }

    fn remember(&mut self, down: Timestamp, why: &str) {
        let Up { local, remote, since, .. } = &self.dialed;
        let why = why.to_owned();
        self.earlier.push(EarlierConn { local: *local, remote: *remote, up: *since, down, why });
    }

    /// Agrees on new keys now (RFC 4253 s9), and waits until that is done.
    ///
    /// # Errors
    /// `NotUp`; `NoAnswer`: it was not done within the spec's `channel_timeout`.
    pub fn rekey(&self) -> Result<(), TunnelError> {
        let link = &self.bound.link;
        let limit = self.bound.spec.channel_timeout;
        let gateway = link.gateway().ok_or_else(|| self.bound.not_up())?;
        let before = link.kexes();
        self.bound.block_on(async {
            gateway.rekey_soon().await.map_err(|_| self.bound.not_up())?;
            let done = async {
                while link.kexes() == before {
                    tokio::time::sleep(REKEY_LOOK).await;
                }
            };
            tokio::time::timeout(limit, done)
                .await
                .map_err(|_| TunnelError::NoAnswer { waited: limit })
        })?
    }

    /// Starts a program on the gateway.
    ///
    /// # Errors
    /// `NotUp`; `Exec`.
    pub fn exec(&self, command: &str) -> Result<Exec, TunnelError> {
        let gateway = self.bound.link.gateway().ok_or_else(|| self.bound.not_up())?;
        let spec = &self.bound.spec;
        self.bound.block_on(exec::start(&gateway, &spec.host, command, spec.channel_timeout))?
    }

    /// What the user ought to know though it stopped nothing: a host key that could not be kept.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.dialed.notes
    }

    /// Whether it is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.bound.link.gateway().is_some()
    }

    /// Connections that are open in the forwards at this moment.
    #[must_use]
    pub fn open_conns(&self) -> u64 {
        self.bound.forwards.iter().map(|forward| forward.open()).sum()
    }

    /// Closes the mouths; what is open in the forwards goes on.
    pub fn close_mouths(&self) {
        self.bound.mouths.iter().for_each(JoinHandle::abort);
    }

    /// Whether the gateway answers within `limit`.
    #[must_use]
    pub fn answers(&self, limit: Duration) -> bool {
        let Some(gateway) = self.bound.link.gateway() else { return false };
        let asked = self.bound.block_on(async {
            tokio::time::timeout(limit, gateway.send_ping()).await.is_ok_and(|it| it.is_ok())
        });
        asked.unwrap_or(false) && self.is_up()
    }

    /// Gives the connection to the gateway up, so that it can be dialed again: what is open in the forwards is reset.
    pub fn give_up(&self, reason: &str) {
        let Some(gateway) = self.bound.link.give_up(reason) else { return };
        // On a line that is dead nothing of this arrives, and nobody waits for it.
        let goodbye = async move {
            let _ = gateway.disconnect(Disconnect::ByApplication, "", "en").await;
        };
        if let Some(runtime) = &self.bound.runtime {
            runtime.spawn(goodbye);
        }
    }

    /// Our end and the far end of the TCP connection to the gateway, or to the first jump host.
    #[must_use]
    pub fn local_remote(&self) -> (SocketAddr, SocketAddr) {
        (self.dialed.local, self.dialed.remote)
    }

    /// Sends `token` through the tunnel, and nowhere else, and waits until the gateway has answered.
    ///
    /// It stands as the originator's address in a request for a connection to the gateway's own discard port
    /// (RFC 4254 s7.2). Whatever the answer, the gateway has read it. Returns when it was sent.
    ///
    /// # Errors
    /// `NotUp`; `NoAnswer`: the gateway was silent for the spec's `channel_timeout`.
    pub fn send_control(&self, token: &str) -> Result<Timestamp, TunnelError> {
        let link = &self.bound.link;
        let limit = self.bound.spec.channel_timeout;
        let gateway = link.gateway().ok_or_else(|| self.bound.not_up())?;
        let target = ("127.0.0.1".to_owned(), DISCARD_PORT);
        let sent = now();
        let asked = open_channel(link, gateway, target, (token.to_owned(), 0), limit);
        match self.bound.block_on(async { asked.await.map(drop) })? {
            Ok(()) | Err(OpenError::Refused(_)) => Ok(sent),
            Err(OpenError::Timeout) => Err(TunnelError::NoAnswer { waited: limit }),
            Err(OpenError::Down) => Err(self.bound.not_up()),
        }
    }

    /// Has the gateway connect to a service and reads what it says first, for at most `wait`; nothing is sent.
    ///
    /// # Errors
    /// `NoForward`, `NotUp`, `Refused`.
    pub fn probe(&self, service: &str, wait: Duration) -> Result<Vec<u8>, TunnelError> {
        let link = &self.bound.link;
        let limit = self.bound.spec.channel_timeout;
        let named = |forward: &&Arc<Forward>| forward.spec.service == service;
        let forward = self
            .bound
            .forwards
            .iter()
            .find(named)
            .ok_or_else(|| TunnelError::NoForward { service: service.to_owned() })?;
        let gateway = link.gateway().ok_or_else(|| self.bound.not_up())?;
        let target = (forward.spec.host.clone(), forward.spec.port);
        let origin = ("127.0.0.1".to_owned(), 0);
        self.bound.block_on(async {
            let (mut channel, _) = open_channel(link, gateway, target, origin, limit)
                .await
                .map_err(|error| TunnelError::Refused {
                    service: service.to_owned(),
                    reason: error.words(limit, link),
                })?;
            let mut greeting = vec![0; PROBE_BYTES];
            let read = tokio::time::timeout(wait, channel.read(&mut greeting)).await;
            // Silence is an answer: in many protocols the client speaks first.
            greeting.truncate(read.ok().and_then(Result::ok).unwrap_or(0));
            Ok(greeting)
        })?
    }

    /// Says goodbye to the gateway, closes the mouths and hands the last record out.
    #[must_use]
    pub fn close(self) -> TunnelRecord {
        let record = self.record();
        if let (Some(gateway), Some(runtime)) =
            (self.bound.link.close(), self.bound.runtime.as_ref())
        {
            runtime.block_on(async {
                // It may be gone already; then there is nobody to say goodbye to.
                let _ = gateway.disconnect(Disconnect::ByApplication, "", "en").await;
                for handle in &self.dialed.behind {
                    let _ = handle.disconnect(Disconnect::ByApplication, "", "en").await;
                }
                let gone = async {
                    while !gateway.is_closed() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                let _ = tokio::time::timeout(GOODBYE, gone).await;
            });
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_may_be_asked_from_any_thread() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<Tunnel>();
        is_shared::<BoundTunnel>();
        is_shared::<TunnelError>();
    }
}
