//! What the forwards, the SSH client and the caller share about one tunnel: is it up, and why not.

use super::client::Client;
use crate::model::Timestamp;
use russh::client::Handle;
use russh::{ChannelId, ChannelOpenFailure};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};

const MAX_WORDS: usize = 64; // refusals whose words nobody has fetched; the oldest goes
const MAX_EARLY: usize = 64; // closed channels that nobody watches yet; one that falls out ends with its client
const WORDS_WAIT: Duration = Duration::from_millis(5); // they arrive right behind the refusal
const DIALING: &str = "it is being brought up";
const WORDS_TRIES: usize = 20;

pub(super) type Gateway = Arc<Handle<Client>>;

/// Shared state of one tunnel, over several dialings.
#[derive(Default)]
pub(super) struct Link {
    generation: AtomicU64,
    kexes: AtomicU64,
    closing: AtomicBool,
    gateway: Mutex<Option<Gateway>>,
    lost: Mutex<Option<(Timestamp, String)>>,
    why_down: Mutex<String>,
    words: Mutex<VecDeque<(ChannelOpenFailure, String)>>,
    channels: Mutex<Channels>,
    /// Counts the losses; conns that were open then are at their end.
    losses: watch::Sender<u64>,
}

impl Link {
    /// Begins a dialing; what earlier ones still report is ignored from here on.
    pub(super) fn begin(&self) -> u64 {
        lock(&self.why_down).replace_range(.., DIALING);
        *lock(&self.channels) = Channels::default(); // their numbers begin anew
        self.generation.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Opens the tunnel to the forwards.
    pub(super) fn install(&self, gateway: Gateway) {
        *lock(&self.gateway) = Some(gateway);
    }

    /// The connection to the gateway, while it is up.
    pub(super) fn gateway(&self) -> Option<Gateway> {
        lock(&self.gateway).as_ref().filter(|gateway| !gateway.is_closed()).cloned()
    }

    /// The connection ended by itself.
    pub(super) fn lose(&self, generation: u64, reason: &str) {
        if generation != self.generation.load(Ordering::SeqCst)
            || self.closing.load(Ordering::SeqCst)
        {
            return;
        }
        // With jump hosts every hop reports; the first one knows the reason.
        if lock(&self.gateway).take().is_some() {
            *lock(&self.lost) = Some((now(), reason.to_owned()));
            lock(&self.why_down).replace_range(.., reason);
        } else if lock(&self.why_down).as_str() == DIALING {
            lock(&self.why_down).replace_range(.., reason);
        }
        lock(&self.channels).watched.clear();
        self.losses.send_modify(|count| *count += 1);
    }

    /// The caller gives the connection up: whatever is still open on it ends.
    pub(super) fn give_up(&self, reason: &str) -> Option<Gateway> {
        let gateway = lock(&self.gateway).take()?;
        *lock(&self.lost) = Some((now(), reason.to_owned()));
        lock(&self.why_down).replace_range(.., reason);
        lock(&self.channels).watched.clear();
        self.losses.send_modify(|count| *count += 1);
        Some(gateway)
    }

    /// A dialing came to nothing.
    pub(super) fn not_up(&self, reason: &str) {
        lock(&self.why_down).replace_range(.., reason);
    }

    /// Changes at every loss from here on.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    /// The caller cuts it, to dial again later: no loss. What still runs through it ends.
    pub(super) fn cut(&self, why: &str) -> Option<Gateway> {
        lock(&self.why_down).replace_range(.., why);
        let gateway = lock(&self.gateway).take();
        lock(&self.channels).watched.clear();
        gateway
    }

    /// Takes back a loss from `since` on: it was to be expected.
    pub(super) fn forgive(&self, since: Timestamp) -> Option<(Timestamp, String)> {
        self.lost(); // a session that has just ended counts, too
        let mut lost = lock(&self.lost);
        if lost.as_ref().is_some_and(|(at, _)| *at >= since) { lost.take() } else { None }
    }

    /// Keys were agreed on.
    pub(super) fn kex_done(&self) {
        self.kexes.fetch_add(1, Ordering::SeqCst);
    }

    /// How often keys were agreed on, over all connections.
    pub(super) fn kexes(&self) -> u64 {
        self.kexes.load(Ordering::SeqCst)
    }

    /// The caller ends it.
    pub(super) fn close(&self) -> Option<Gateway> {
        self.closing.store(true, Ordering::SeqCst);
        lock(&self.why_down).replace_range(.., "it was closed");
        lock(&self.gateway).take()
    }

    /// When and why it was lost, if it was.
    pub(super) fn lost(&self) -> Option<(Timestamp, String)> {
        let mut lost = lock(&self.lost);
        // A session that has just ended reports its reason a moment later; it is lost from now on all the same.
        let has_ended = lock(&self.gateway).as_ref().is_some_and(|gateway| gateway.is_closed());
        if has_ended && lost.is_none() {
            *lost = Some((now(), "the connection ended".to_owned()));
        }
        lost.clone()
    }

    pub(super) fn why_down(&self) -> String {
        lock(&self.why_down).clone()
    }

    /// Keeps the server's words about a channel that it refused.
    pub(super) fn put_words(&self, reason: ChannelOpenFailure, words: String) {
        let mut queue = lock(&self.words);
        if queue.len() == MAX_WORDS {
            queue.pop_front();
        }
        queue.push_back((reason, words));
    }

    /// Fetches the words for a refusal with this reason. The refusal itself does not say which channel it was, so two
    /// refusals in the same instant may swap their words; never their reasons.
    pub(super) async fn take_words(&self, reason: &ChannelOpenFailure) -> String {
        for _ in 0..WORDS_TRIES {
            {
                let mut queue = lock(&self.words);
                if let Some(at) = queue.iter().position(|(r, _)| r == reason) {
                    return queue.remove(at).map(|(_, words)| words).unwrap_or_default();
                }
            }
            tokio::time::sleep(WORDS_WAIT).await;
        }
        String::new()
    }

    /// Watches a channel until the value is dropped.
    pub(super) fn watch_channel(self: &Arc<Self>, id: ChannelId) -> Watch {
        let (fire, fired) = oneshot::channel();
        let is_up = self.gateway().is_some();
        let mut channels = lock(&self.channels);
        let closed_early = channels.early.iter().position(|early| *early == id);
        match closed_early {
            Some(at) => drop(channels.early.remove(at)), // dropping `fire` fires
            None if is_up => drop(channels.watched.insert(id, fire)),
            None => {}
        }
        Watch { link: Arc::clone(self), id, fired }
    }

    /// The gateway has closed this channel both ways.
    pub(super) fn channel_ended(&self, id: ChannelId) {
        let mut channels = lock(&self.channels);
        if channels.watched.remove(&id).is_none() {
            if channels.early.len() == MAX_EARLY {
                channels.early.pop_front();
            }
            channels.early.push_back(id);
        }
    }
}

/// The channels that are open, each with what fires at its end.
#[derive(Default)]
struct Channels {
    watched: HashMap<ChannelId, oneshot::Sender<()>>,
    early: VecDeque<ChannelId>, // closed before anybody watched
}

/// The watch over one channel.
pub(super) struct Watch {
    link: Arc<Link>,
    id: ChannelId,
    fired: oneshot::Receiver<()>,
}

impl Watch {
    /// Ends when the gateway has closed the channel, or the tunnel is lost.
    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.fired).await; // fires by being dropped
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.link.channels).watched.remove(&self.id);
    }
}

/// A poisoned lock holds plain values that are whole at any time.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wall clock; before 1970 and after 2262 it says 1970.
pub(super) fn now() -> Timestamp {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|d| i64::try_from(d.as_nanos()).ok());
    Timestamp::from_nanos(nanos.unwrap_or(0))
}
