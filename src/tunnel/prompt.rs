//! Questions to a person, and the way they take from the tunnel's runtime to the caller's thread.

use super::client::Dialed;
use super::error::TunnelError;
use super::hostkey::HostKeyQuestion;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Whoever can answer questions; called on the thread that brings the tunnel up.
///
/// `None` and `false` mean that nobody is there, or that the person refuses.
pub trait Prompt: Send {
    /// Asks for the password of `user@host`.
    fn password(&mut self, user_at_host: &str) -> Option<String>;
    /// Asks for the passphrase of a private key.
    fn passphrase(&mut self, file: &Path) -> Option<String>;
    /// Asks what the server wants to know; each prompt says whether the answer may be shown.
    fn interactive(
        &mut self,
        title: &str,
        instructions: &str,
        prompts: &[(String, bool)],
    ) -> Option<Vec<String>>;
    /// Asks whether an unknown host key is the right one.
    fn accept_host_key(&mut self, question: &HostKeyQuestion) -> bool;
    /// Shows what the server wants to be read before authentication (RFC 4252 s5.4), or why a question comes again.
    fn banner(&mut self, text: &str) {
        let _ = text;
    }
}

/// Asks nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPrompt;

impl Prompt for NoPrompt {
    fn password(&mut self, _: &str) -> Option<String> {
        None
    }
    fn passphrase(&mut self, _: &Path) -> Option<String> {
        None
    }
    fn interactive(&mut self, _: &str, _: &str, _: &[(String, bool)]) -> Option<Vec<String>> {
        None
    }
    fn accept_host_key(&mut self, _: &HostKeyQuestion) -> bool {
        false
    }
}

/// Asks on the controlling terminal, `/dev/tty`; without one, nobody is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminalPrompt {
    stop: Option<&'static AtomicBool>,
}

impl TerminalPrompt {
    /// Asks until `stop` becomes true, as the handler of Ctrl-C makes it.
    #[must_use]
    pub const fn until(stop: &'static AtomicBool) -> Self {
        Self { stop: Some(stop) }
    }

    /// Asks without showing what is typed.
    fn ask_hidden(self, text: String) -> Option<String> {
        let answer = rpassword::prompt_password(text);
        let is_interrupted =
            answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted);
        if is_interrupted && let Some(stop) = self.stop {
            // Ctrl-C has raised the signal: without its handler's word the run would go on without an answer.
            for _ in 0..MAX_STOP_CHECKS {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(STOP_CHECK);
            }
        }
        answer.ok()
    }

    /// Asks for a line. A read that has begun cannot be called off, so it waits on a thread of its own.
    fn ask_line(self, text: &str) -> Option<String> {
        say(text)?;
        let (to_us, line) = mpsc::channel();
        std::thread::spawn(move || {
            // Whoever asked may have given up.
            let _ = to_us.send(read_line());
        });
        loop {
            match line.recv_timeout(STOP_CHECK) {
                Ok(line) => return line,
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                        let _ = say("\n");
                        return None;
                    }
                }
            }
        }
    }
}

impl Prompt for TerminalPrompt {
    fn password(&mut self, user_at_host: &str) -> Option<String> {
        self.ask_hidden(format!("{}'s password: ", plain(user_at_host)))
    }

    fn passphrase(&mut self, file: &Path) -> Option<String> {
        let file = plain(&file.display().to_string());
        self.ask_hidden(format!("Enter passphrase for key '{file}': "))
    }

    fn interactive(
        &mut self,
        title: &str,
        instructions: &str,
        prompts: &[(String, bool)],
    ) -> Option<Vec<String>> {
        let head: Vec<&str> =
            [title, instructions].into_iter().filter(|t| !t.trim().is_empty()).collect();
        if !head.is_empty() {
            say(&format!("{}\n", plain_lines(&head.join("\n"))))?;
        }
        prompts
            .iter()
            .map(|(text, echo)| {
                let text = plain_lines(text);
                if *echo { self.ask_line(&text) } else { self.ask_hidden(text) }
            })
            .collect()
    }

    fn accept_host_key(&mut self, question: &HostKeyQuestion) -> bool {
        let mut text =
            format!("{question}\nAre you sure you want to continue connecting (yes/no)? ");
        for _ in 0..MAX_YES_NO_TRIES {
            match self.ask_line(&text).as_deref().map(str::trim) {
                Some("yes") => return true,
                Some("no") | None => return false,
                Some(_) => "Please type 'yes' or 'no': ".clone_into(&mut text),
            }
        }
        false
    }

    fn banner(&mut self, text: &str) {
        let _ = say(&format!("{}\n", plain_lines(text).trim_end()));
    }
}

const MAX_YES_NO_TRIES: usize = 10; // then it is no
const STOP_CHECK: Duration = Duration::from_millis(100); // a person does not notice it
const MAX_STOP_CHECKS: u32 = 10; // a handler needs no second

fn say(text: &str) -> Option<()> {
    let mut tty = OpenOptions::new().write(true).open("/dev/tty").ok()?;
    tty.write_all(text.as_bytes()).and_then(|()| tty.flush()).ok()
}

fn read_line() -> Option<String> {
    let tty = OpenOptions::new().read(true).open("/dev/tty").ok()?;
    let mut line = String::new();
    let read = BufReader::new(tty).read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Text from elsewhere, with nothing in it that could move a terminal's cursor or turn its writing direction.
pub(super) fn plain(text: &str) -> String {
    escape(text, false)
}

/// The same, with line ends and tabs left in.
fn plain_lines(text: &str) -> String {
    escape(text, true)
}

fn escape(text: &str, keep_lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_bidi = matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            '\n' | '\t' if keep_lines => out.push(c),
            '\r' if keep_lines => {}
            _ if c.is_control() || is_bidi => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
    out
}

/// What the runtime wants from the caller's thread.
pub(super) enum Ask {
    Password(String, oneshot::Sender<Option<String>>),
    Passphrase(PathBuf, oneshot::Sender<Option<String>>),
    Interactive {
        title: String,
        instructions: String,
        prompts: Vec<(String, bool)>,
        answer: oneshot::Sender<Option<Vec<String>>>,
    },
    HostKey(Box<HostKeyQuestion>, oneshot::Sender<bool>),
    Banner(String),
    Done(Box<Result<Dialed, TunnelError>>),
}

/// The runtime's end of the way to the caller's thread.
#[derive(Clone)]
pub(super) struct Asker {
    to_caller: mpsc::Sender<Ask>,
    waits: Arc<AtomicBool>,
}

impl Asker {
    pub(super) fn new(to_caller: mpsc::Sender<Ask>) -> Self {
        Self { to_caller, waits: Arc::default() }
    }

    /// Whether a person is being asked right now: no timeout of ours runs meanwhile.
    pub(super) fn waits_for_a_person(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    pub(super) async fn password(&self, user_at_host: String) -> Option<String> {
        self.ask(|answer| Ask::Password(user_at_host, answer)).await.flatten()
    }

    pub(super) async fn passphrase(&self, file: PathBuf) -> Option<String> {
        self.ask(|answer| Ask::Passphrase(file, answer)).await.flatten()
    }

    pub(super) async fn interactive(
        &self,
        title: String,
        instructions: String,
        prompts: Vec<(String, bool)>,
    ) -> Option<Vec<String>> {
        self.ask(|answer| Ask::Interactive { title, instructions, prompts, answer }).await.flatten()
    }

    pub(super) async fn accept_host_key(&self, question: HostKeyQuestion) -> bool {
        self.ask(|answer| Ask::HostKey(Box::new(question), answer)).await.unwrap_or(false)
    }

    pub(super) fn banner(&self, text: &str) {
        // A caller that has gone needs no banner.
        let _ = self.to_caller.send(Ask::Banner(text.to_owned()));
    }

    pub(super) fn done(&self, result: Result<Dialed, TunnelError>) {
        let _ = self.to_caller.send(Ask::Done(Box::new(result)));
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.waits.store(true, Ordering::Relaxed);
        let sent = self.to_caller.send(question(answer));
        let got = if sent.is_ok() { answered.await.ok() } else { None };
        self.waits.store(false, Ordering::Relaxed);
        got
    }
}

impl Ask {
    /// Puts the question to `prompt`; hands the outcome back if this was the end.
    pub(super) fn put(self, prompt: &mut dyn Prompt) -> Option<Result<Dialed, TunnelError>> {
        // An answer that nobody waits for any more is dropped: the dialing has ended for another reason.
        match self {
            Self::Password(who, answer) => {
                let _ = answer.send(prompt.password(&who));
            }
            Self::Passphrase(file, answer) => {
                let _ = answer.send(prompt.passphrase(&file));
            }
            Self::Interactive { title, instructions, prompts, answer } => {
                let _ = answer.send(prompt.interactive(&title, &instructions, &prompts));
            }
            Self::HostKey(question, answer) => {
                let _ = answer.send(prompt.accept_host_key(&question));
            }
            Self::Banner(text) => prompt.banner(&text),
            Self::Done(result) => return Some(*result),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_server_cannot_move_the_cursor() {
        assert_eq!(plain("a\x1b[2Jb\r\n\u{202e}c"), "a\\u{1b}[2Jb\\r\\n\\u{202e}c");
        assert_eq!(plain_lines("one\r\ntwo\x07"), "one\ntwo\\u{7}");
    }

    #[test]
    fn nobody_answers_nothing() {
        assert_eq!(NoPrompt.password("a@b"), None);
        assert_eq!(NoPrompt.interactive("", "", &[]), None);
    }
}
