//! A program on the gateway, over a channel of the session (RFC 4254 s6.5): what it writes as a `Read`, its words on
//! standard error, its end.

use super::error::TunnelError;
use super::link::lock;
use super::prompt::plain;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, Sig};
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Messages of standard output that wait for the reader, at most 32 KiB each; then the session itself waits, and the
/// program there with it.
const QUEUE: usize = 64;
/// Octets of standard error that are kept: the first, and the last.
const MAX_HEAD: usize = 16 * 1024;
const MAX_TAIL: usize = 16 * 1024;
/// Type of extended data that is standard error (RFC 4254 s5.2).
const STDERR: u32 = 1;

/// A program that runs on the other side.
pub struct Exec {
    output: Option<ExecOutput>,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecEnd {
    /// By itself, with this exit status.
    Exited(u32),
    /// By this signal.
    Signal(String),
    /// The channel closed without a word about it: the connection broke.
    Lost,
}

/// Standard output of a program. Reading blocks; it ends when the program has ended, or the connection.
pub struct ExecOutput {
    messages: mpsc::Receiver<Vec<u8>>,
    current: Vec<u8>,
    place: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    said: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    end: Option<ExecEnd>,
}

enum Order {
    Input(Vec<u8>),
    EndOfInput,
    Interrupt,
    Close,
}

impl Exec {
    /// Takes over a channel on which the program was started; to be called inside the runtime.
    pub(super) fn over(channel: Channel<Msg>) -> Self {
        let (to_reader, messages) = mpsc::channel(QUEUE);
        let (orders, taken) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(serve(channel, to_reader, taken, Arc::clone(&shared)));
        let output = Some(ExecOutput { messages, current: Vec::new(), place: 0 });
        Self { output, shared, orders }
    }

    /// What it writes; once.
    pub fn take_output(&mut self) -> Option<ExecOutput> {
        self.output.take()
    }

    /// What it has said on standard error so far, made harmless; of very much the first and the last part.
    #[must_use]
    pub fn said(&self) -> String {
        let state = lock(&self.shared.state);
        let mut octets = state.said.clone();
        octets.extend(&state.tail);
        String::from_utf8_lossy(&octets).lines().map(plain).collect::<Vec<_>>().join("\n")
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<ExecEnd> {
        lock(&self.shared.state).end.clone()
    }

    /// Waits until `so` says yes to what it has said, it has ended, or the time is over.
    pub fn await_words(&self, limit: Duration, so: impl Fn(&str) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if so(&self.said()) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let state = lock(&self.shared.state);
            if left.is_zero() || state.end.is_some() {
                drop(state);
                return so(&self.said());
            }
            let step = left.min(STEP);
            drop(self.shared.changed.wait_timeout(state, step).map_err(PoisonError::into_inner));
        }
    }

    /// Waits for its end.
    #[must_use]
    pub fn await_end(&self, limit: Duration) -> Option<ExecEnd> {
        self.await_words(limit, |_| false);
        self.end()
    }

    /// Sends octets to its standard input.
    pub fn send(&self, octets: &[u8]) {
        self.order(Order::Input(octets.to_vec()));
    }

    /// Ends its standard input.
    pub fn end_input(&self) {
        self.order(Order::EndOfInput);
    }

    /// Asks the server to interrupt it (RFC 4254 s6.9). Not every server does.
    pub fn interrupt(&self) {
        self.order(Order::Interrupt);
    }

    /// Closes the channel, whatever it still has to say.
    pub fn close(&self) {
        self.order(Order::Close);
    }

    fn order(&self, order: Order) {
        // A program that has ended takes no orders.
        let _ = self.orders.send(order);
    }
}

/// Between two looks at what was said.
const STEP: Duration = Duration::from_millis(50);

impl Read for ExecOutput {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.place >= self.current.len() {
            match self.messages.blocking_recv() {
                Some(message) => (self.current, self.place) = (message, 0),
                None => return Ok(0),
            }
        }
        let rest = self.current.get(self.place..).unwrap_or_default();
        let len = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        self.place += len;
        Ok(len)
    }
}

/// Moves what comes and goes until the channel is closed.
async fn serve(
    mut channel: Channel<Msg>,
    to_reader: mpsc::Sender<Vec<u8>>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    shared: Arc<Shared>,
) {
    let mut end = ExecEnd::Lost;
    let mut is_owned = true;
    loop {
        tokio::select! {
            message = channel.wait() => match message {
                Some(ChannelMsg::Data { data }) => {
                    // Nobody reads any more: what comes is of no use, and must not hold the session up.
                    let _ = to_reader.send(data.to_vec()).await;
                }
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => shared.keep(&data),
                Some(ChannelMsg::ExitStatus { exit_status }) => end = ExecEnd::Exited(exit_status),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    end = ExecEnd::Signal(plain(&format!("{signal_name:?}")));
                }
                Some(ChannelMsg::Close) | None => break,
                Some(_) => {}
            },
            order = orders.recv(), if is_owned => match order {
                // What cannot be sent goes to a channel that is about to end, which the next message says.
                Some(Order::Input(octets)) => drop(channel.data_bytes(octets).await),
                Some(Order::EndOfInput) => drop(channel.eof().await),
                Some(Order::Interrupt) => drop(channel.signal(Sig::INT).await),
                Some(Order::Close) => {
                    let _ = channel.close().await;
                    break;
                }
                None => is_owned = false,
            },
        }
    }
    lock(&shared.state).end = Some(end);
    shared.changed.notify_all();
}

impl Shared {
    fn keep(&self, octets: &[u8]) {
        let mut state = lock(&self.state);
        let room = MAX_HEAD.saturating_sub(state.said.len()).min(octets.len());
        let (head, rest) = octets.split_at(room);
        state.said.extend_from_slice(head);
        state.tail.extend(rest);
        let beyond = state.tail.len().saturating_sub(MAX_TAIL);
        state.tail.drain(..beyond);
        drop(state);
        self.changed.notify_all();
    }
}

/// Opens a channel and starts a program on it.
///
/// # Errors
/// `Exec`: the server opened no session, or did not start the program.
pub(super) async fn start(
    gateway: &russh::client::Handle<super::client::Client>,
    host: &str,
    command: &str,
    limit: Duration,
) -> Result<Exec, TunnelError> {
    let refused = |reason: String| TunnelError::Exec { host: host.to_owned(), reason };
    let open = async {
        let mut channel =
            gateway.channel_open_session().await.map_err(|e| refused(plain(&e.to_string())))?;
        channel.exec(true, command).await.map_err(|e| refused(plain(&e.to_string())))?;
        // The answer comes in front of everything that the program says.
        match channel.wait().await {
            Some(ChannelMsg::Success) => Ok(channel),
            Some(ChannelMsg::Failure) => {
                Err(refused("the server runs no programs for us".to_owned()))
            }
            Some(ChannelMsg::WindowAdjusted { .. }) => match channel.wait().await {
                Some(ChannelMsg::Success) => Ok(channel),
                _ => Err(refused("the server runs no programs for us".to_owned())),
            },
            _ => Err(refused("the server closed the session".to_owned())),
        }
    };
    match tokio::time::timeout(limit, open).await {
        Ok(channel) => channel.map(Exec::over),
        Err(_) => Err(refused(format!("no answer within {} s", limit.as_secs_f32()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_words_the_first_and_the_last_are_kept() {
        let shared = Shared::default();
        shared.keep(b"first\n");
        for _ in 0..10_000 {
            shared.keep(b"noise noise noise\n");
        }
        shared.keep(b"last\n");
        let state = lock(&shared.state);
        assert!(state.said.starts_with(b"first\n"));
        assert!(state.said.len() <= MAX_HEAD && state.tail.len() <= MAX_TAIL);
        let tail: Vec<u8> = state.tail.iter().copied().collect();
        assert!(tail.ends_with(b"last\n"));
    }

    #[test]
    fn output_is_read_across_messages_and_ends_with_the_sender() {
        let (send, messages) = mpsc::channel(4);
        let mut output = ExecOutput { messages, current: Vec::new(), place: 0 };
        send.blocking_send(b"abc".to_vec()).unwrap();
        send.blocking_send(Vec::new()).unwrap();
        send.blocking_send(b"de".to_vec()).unwrap();
        drop(send);
        let mut all = Vec::new();
        output.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abcde");
    }
}
