//! SMTP and LMTP: mail handed over. RFC 5321, 2033 (LMTP), 3207 (STARTTLS), 4954 (AUTH), 3030 (BDAT).

use super::{Dialect, Fit, Opening, Spec};
use crate::inspect::codes::{index_of, number, reply_code, word};
use crate::inspect::lines::{Line, Raw};
use crate::inspect::mail::{Message, RawMessage};
use crate::inspect::probe::{
    View, begins_one, count, either_way, first_line, has_word, is_one_of, lines,
};
use crate::inspect::sasl::Sasl;
use crate::inspect::talk::{Grammar, Pending, Role, Say, Talk, unstuffed};
use crate::model::{Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "smtp",
    standards: &["RFC 5321", "RFC 2033", "RFC 3207", "RFC 4954", "RFC 3030"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open,
};

const PORTS: &[u16] = &[25, 587, 2525, 24];

/// Replies behind one dot that are waited for.
const MAX_REPLIES: u32 = 100;

const VERBS: &[&str] = &[
    "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "EXPN",
    "HELP", "AUTH", "STARTTLS", "ETRN", "XCLIENT", "XFORWARD", "TURN",
];

/// Verbs that no other protocol with three-digit replies has.
const OWN_VERBS: &[&str] =
    &["EHLO", "HELO", "LHLO", "MAIL", "RCPT", "BDAT", "VRFY", "EXPN", "ETRN", "STARTTLS"];

fn open() -> Box<dyn Dialect> {
    Box::new(Talk::new(Smtp::default()))
}

fn probe(opening: &Opening<'_>) -> Fit {
    either_way(opening, PORTS, fit)
}

fn fit(view: &View<'_>) -> Fit {
    let verbs = count(view.client, VERBS);
    if !view.client.is_empty() && !verbs.first {
        return Fit::No;
    }
    let own = count(view.client, OWN_VERBS);
    let (line, whole) = first_line(view.server);
    if view.server.is_empty() {
        let hello = lines(view.client).any(|(line, whole)| whole && is_hello(line));
        return match own.fitting {
            1.. if hello || own.distinct >= 2 => Fit::Certain,
            0 if verbs.fitting == 0 => view.undecided(),
            _ => view.by_port(),
        };
    }
    let Some(code) = reply_code(line) else {
        let may_become = !whole && line.len() < 4 && line.iter().all(u8::is_ascii_digit);
        return if may_become { view.undecided() } else { Fit::No };
    };
    if own.fitting > 0 {
        // NNTP has STARTTLS too, and answers it with 382; SMTP's replies to the others begin with 2, 3 or 5.
        let shared = own.distinct == 1 && count(view.client, &["STARTTLS"]).fitting > 0;
        return if shared && code != 220 { view.by_port() } else { Fit::Certain };
    }
    if code != 220 && code != 554 && code != 421 {
        return Fit::No;
    }
    let text = line.get(4..).unwrap_or_default();
    let is_smtp =
        has_word(text, whole, |word| is_one_of(word, &["SMTP", "ESMTP", "LMTP", "ESMTPS"]));
    match (is_smtp, verbs.fitting) {
        (true, _) => Fit::Certain,
        // USER, LOOKUP and the like are another protocol's; QUIT and NOOP tell nothing.
        _ if super::ftp::is_greeting(text, whole) || super::dnd::is_greeting(text, whole) => {
            if whole {
                Fit::No
            } else {
                view.undecided()
            }
        }
        _ if code == 220 => view.by_port(),
        _ => view.undecided(),
    }
}

/// `EHLO host` and its kin, with an argument.
fn is_hello(line: &[u8]) -> bool {
    let (verb, argument) = word(line);
    !argument.is_empty() && index_of(&["EHLO", "HELO", "LHLO"], verb).is_some()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Other,
    /// Asks for TLS; the offset behind the line.
    StartTls(u64),
    Auth,
    Data,
    Rcpt,
    /// The dot that ends a message.
    Dot,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Commands,
    /// DATA was sent, its answer was not seen.
    Asked,
    Message(Message),
    /// A chunk of octets by BDAT; true where it is the last one.
    Chunk(RawMessage, bool),
}

#[derive(Debug, Default)]
struct Smtp {
    pending: Pending<Command>,
    sasl: Option<Sasl>,
    phase: Phase,
    greeted: bool,
    /// LMTP: every accepted recipient gets a reply behind the dot (RFC 2033 s4.2).
    is_lmtp: bool,
    recipients: u32,
    /// Octets of the message are missing: its end may be among them.
    torn: bool,
}

impl Smtp {
    fn client(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        if let Some(sasl) = self.sasl.as_mut().filter(|sasl| sasl.is_open()) {
            sasl.response(line, line.bytes, say);
            return;
        }
        if matches!(self.phase, Phase::Message(_)) && !(self.torn && is_envelope(line.bytes)) {
            return self.content(line, say);
        }
        let (verb, argument) = word(line.bytes);
        let index = index_of(VERBS, verb);
        match self.phase {
            // The answer to DATA was missed, or is still to come: what is no verb is the message.
            Phase::Asked if index.is_none() => {
                self.phase = Phase::Message(Message::default());
                return self.content(line, say);
            }
            Phase::Message(_) => self.phase = Phase::Commands,
            _ => {}
        }
        let Some(index) = index else { return };
        say.verb(Role::Client, line, verb, index);
        let known = VERBS.get(index).copied().unwrap_or_default();
        let command = match known {
            "LHLO" => {
                self.is_lmtp = true;
                Command::Other
            }
            "MAIL" | "RCPT" => {
                let path = argument.iter().position(|&b| b == b':').unwrap_or(0);
                let address = path_of(argument.get(path..).unwrap_or_default());
                say.found(Role::Client, Rule::Content, Field::ADDRESS, line, address);
                if known == "RCPT" { Command::Rcpt } else { Command::Other }
            }
            "VRFY" | "EXPN" => {
                say.found(Role::Client, Rule::Content, Field::ADDRESS, line, argument);
                Command::Other
            }
            "AUTH" => {
                let (mechanism, initial) = word(argument);
                let mut sasl = Sasl::start(mechanism);
                if !initial.is_empty() {
                    sasl.response(line, initial, say);
                }
                self.sasl = Some(sasl);
                Command::Auth
            }
            "STARTTLS" => Command::StartTls(line.end),
            "DATA" => {
                self.phase = Phase::Asked;
                Command::Data
            }
            "BDAT" => {
                let (size, last) = word(argument);
                if let Some(size) = number(size) {
                    let message = match std::mem::take(&mut self.phase) {
                        Phase::Chunk(message, false) => message,
                        _ => RawMessage::new(Message::default()),
                    };
                    self.phase = Phase::Chunk(message, last.eq_ignore_ascii_case(b"LAST"));
                    say.expect_raw(Role::Client, size);
                }
                Command::Other
            }
            _ => Command::Other,
        };
        self.pending.push(command);
    }

    /// Takes a line of the message.
    fn content(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        if let Phase::Message(message) = &mut self.phase {
            if let Some(text) = unstuffed(line.bytes) {
                message.line(Role::Client, line, text, say);
            } else {
                message.finish(Role::Client, say);
                self.phase = Phase::Commands;
                self.torn = false;
                let replies = if self.is_lmtp { self.recipients.clamp(1, MAX_REPLIES) } else { 1 };
                for _ in 0..replies {
                    self.pending.push(Command::Dot);
                }
            }
        }
    }

    fn server(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        let Some(code) = reply_code(line.bytes) else { return };
        let first = !std::mem::replace(&mut self.greeted, true);
        let asked_tls = matches!(self.pending.front(), Some(Command::StartTls(_)));
        let greets = first && matches!(code, 220 | 421 | 554) && !asked_tls;
        if greets {
            say.found(Role::Server, Rule::Banner, Field::GREETING, line, line.bytes);
        }
        if line.bytes.get(3) == Some(&b'-') {
            self.greeted &= !greets; // a greeting of several lines ends with its last one
            return;
        }
        if greets {
            return;
        }
        match (self.pending.front(), code) {
            (Some(Command::Auth), 334) => {
                if let Some(sasl) = &mut self.sasl {
                    sasl.challenge(line.bytes.get(4..).unwrap_or_default());
                }
                return;
            }
            (Some(Command::Auth), _) => self.sasl = None,
            (Some(Command::Data) | None, 354) => {
                if matches!(self.phase, Phase::Asked) {
                    self.phase = Phase::Message(Message::default());
                }
            }
            (Some(Command::Data), _) => self.phase = Phase::Commands,
            (Some(Command::Rcpt), 200..300) => self.recipients = self.recipients.saturating_add(1),
            (Some(Command::Dot), _) => self.recipients = 0,
            (Some(&Command::StartTls(asked)), 220) => say.upgrade(asked, line.end),
            _ => {}
        }
        self.pending.pop();
    }
}

impl Grammar for Smtp {
    fn role_of(&self, line: &[u8]) -> Option<Role> {
        if reply_code(line).is_some() {
            return Some(Role::Server);
        }
        index_of(VERBS, word(line).0).map(|_| Role::Client)
    }

    fn line(&mut self, role: Role, line: &Line<'_>, say: &mut Say<'_>) {
        match role {
            Role::Client => self.client(line, say),
            Role::Server => self.server(line, say),
        }
    }

    fn raw(&mut self, role: Role, raw: &Raw<'_>, say: &mut Say<'_>) {
        if let Phase::Chunk(message, last) = &mut self.phase {
            if *last || raw.left > 0 {
                message.raw(role, raw, say);
            } else {
                message.raw(role, &Raw { left: 1, ..*raw }, say); // the message goes on in the next chunk
            }
            if *last && raw.left == 0 {
                self.phase = Phase::Commands;
            }
        }
    }

    fn held(&self) -> usize {
        let message = match &self.phase {
            Phase::Message(message) => message.held(),
            Phase::Chunk(message, _) => message.held(),
            _ => 0,
        };
        self.pending.held() + message
    }

    fn gap(&mut self, role: Role) {
        self.pending.clear();
        self.sasl = None;
        if role == Role::Client {
            match &mut self.phase {
                Phase::Message(_) => self.torn = true,
                Phase::Chunk(message, _) => message.gap(),
                phase => *phase = Phase::Commands,
            }
        }
    }

    fn skims(&self, role: Role) -> bool {
        role == Role::Client
            && !self.torn
            && matches!(&self.phase, Phase::Message(message) if message.is_told())
            && self.sasl.as_ref().is_none_or(|sasl| !sasl.is_open())
    }

    fn is_content(&self, role: Role) -> bool {
        role == Role::Client && matches!(self.phase, Phase::Message(_))
    }
}

/// A line that begins a new envelope, whatever came before.
fn is_envelope(line: &[u8]) -> bool {
    let (verb, argument) = word(line);
    let path = argument.get(..6).unwrap_or_default();
    (verb.eq_ignore_ascii_case(b"MAIL") && begins_one(&["FROM:<"], path) && path.len() == 6)
        || is_hello(line)
}

/// The address of `:<address> parameters`.
fn path_of(argument: &[u8]) -> &[u8] {
    let path = argument.strip_prefix(b":").unwrap_or(argument).trim_ascii_start();
    match path.strip_prefix(b"<") {
        Some(path) => path.split(|&b| b == b'>').next().unwrap_or_default(),
        None => word(path).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{
        C, S, Told, Turn, assert_never_panics, assert_refuses_others, assert_split_invariant,
        banners, fields, fit, long_message, play, play_gap,
    };

    const SESSION: &[Turn<'_>] = &[
        (S, b"220 mail.example.org ESMTP Postfix\r\n"),
        (C, b"EHLO laptop\r\n"),
        (S, b"250-mail.example.org\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n"),
        (C, b"AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
        (S, b"235 ok\r\n"),
        (C, b"MAIL FROM:<tim@example.org> SIZE=9\r\nRCPT TO:<woz@example.org>\r\nDATA\r\n"),
        (S, b"250 ok\r\n250 ok\r\n354 go on\r\n"),
        (C, b"From: Tim <tim@example.org>\r\nSubject: tea\r\n\r\nQUIT is text\r\nRCPT TO:<no@no>\r\n"),
        (C, b"..\r\n.\r\n"),
        (S, b"250 queued\r\n"),
        (C, b"BDAT 12\r\nSubject: a\r\nBDAT 6 LAST\r\n\r\nend\n"),
        (S, b"250 ok\r\n250 ok\r\n"),
        (C, b"QUIT\r\n"),
        (S, b"221 bye\r\n"),
    ];

    #[test]
    fn a_session_gives_credentials_envelope_and_headers() {
        let told = play(&SPEC, SESSION);
        assert_eq!(
            fields(&told),
            [
                "credential username=tim",
                "credential password=tanstaaf",
                "content address=tim@example.org",
                "content address=woz@example.org",
                "content address=Tim <tim@example.org>",
                "content subject=tea",
                "content text=QUIT is text",
                "content subject=a",
                "content text=end",
            ]
        );
        assert_eq!(banners(&told)[0], "greeting=220 mail.example.org ESMTP Postfix");
        assert!(banners(&told).contains(&"verb=BDAT".to_owned()));
    }

    #[test]
    fn auth_login_gives_user_and_password() {
        let told = play(
            &SPEC,
            &[
                (S, b"220-a\r\n220 b\r\n"),
                (C, b"EHLO x\r\n"),
                (S, b"250 b\r\n"),
                (C, b"AUTH LOGIN\r\n"),
                (S, b"334 VXNlcm5hbWU6\r\n"),
                (C, b"dGlt\r\n"),
                (S, b"334 UGFzc3dvcmQ6\r\n"),
                (C, b"UVVJVA==\r\n"),
                (S, b"235 ok\r\n"),
                (C, b"AUTH XOAUTH2 dXNlcj10aW0BYXV0aD1CZWFyZXIgdDBrZW4BAQ==\r\n"),
            ],
        );
        assert_eq!(
            fields(&told),
            [
                "credential username=tim",
                "credential password=QUIT",
                "credential username=tim",
                "credential token=t0ken"
            ]
        );
    }

    #[test]
    fn starttls_is_handed_over_after_220_and_not_after_454() {
        let turns: &[Turn<'_>] = &[
            (S, b"220 a ESMTP\r\n"),
            (C, b"EHLO x\r\n"),
            (S, b"250-a\r\n250 STARTTLS\r\n"),
            (C, b"STARTTLS\r\n"),
            (S, b"454 not now\r\n"),
            (C, b"STARTTLS\r\n"),
            (S, b"220 go\r\n"),
            (C, b"\x16\x03\x01\x00"),
            (S, b"\x16\x03\x03\n"),
        ];
        let told = play(&SPEC, turns);
        let handed: Vec<_> =
            told.iter().filter(|one| matches!(one, Told::Handover(..))).cloned().collect();
        assert_eq!(handed, [Told::Handover(C, 28), Told::Handover(S, 55)]);
        assert!(!told.iter().any(|one| matches!(one, Told::Remark(_) | Told::Lost(..))));
        assert_split_invariant(&SPEC, turns);
    }

    #[test]
    fn a_client_hello_seen_before_the_answer_is_no_injection() {
        let told = play(
            &SPEC,
            &[
                (S, b"220 a ESMTP\r\n"),
                (C, b"STARTTLS\r\n"),
                (C, b"\x16\x03\x01"),
                (S, b"220 go\r\n"),
            ],
        );
        assert!(told.contains(&Told::Handover(C, 10)));
        assert!(!told.iter().any(|one| matches!(one, Told::Remark(_))));
    }

    #[test]
    fn a_pgp_message_keeps_a_readable_envelope() {
        let told = play(
            &SPEC,
            &[
                (S, b"220 a ESMTP\r\n"),
                (C, b"MAIL FROM:<a@b>\r\nDATA\r\n"),
                (S, b"250 ok\r\n354 go\r\n"),
                (C, b"Subject: s\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQEM\r\n.\r\n"),
            ],
        );
        assert!(told.contains(&Told::Remark("PGP message with a readable envelope")));
        assert_eq!(fields(&told), ["content address=a@b", "content subject=s"]);
    }

    #[test]
    fn lmtp_answers_a_message_once_for_every_recipient() {
        let told = play(
            &SPEC,
            &[
                (S, b"220 a LMTP\r\n"),
                (C, b"LHLO x\r\n"),
                (S, b"250 a\r\n"),
                (C, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"),
                (S, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
                (C, b"\r\nhi\r\n.\r\nSTARTTLS\r\n"),
                (S, b"250 ok\r\n250 ok\r\n220 go\r\n"),
            ],
        );
        assert!(told.iter().any(|one| matches!(one, Told::Handover(S, _))), "{told:?}");
    }

    #[test]
    fn a_gap_in_a_message_ends_at_the_next_envelope() {
        let told = play_gap(
            &SPEC,
            &[
                (C, b"MAIL FROM:<a@b>\r\nDATA\r\n"),
                (S, b"250 ok\r\n354 go\r\n"),
                (C, b"Subject: s\r\n\r\nte"),
            ],
            C,
            500,
            &[(C, b"torn\r\nMAIL FROM:<c@d>\r\n")],
        );
        assert!(fields(&told).contains(&"content address=c@d".to_owned()));
    }

    #[test]
    fn probe_takes_a_greeting_with_its_name_or_the_clients_verbs() {
        assert_eq!(fit(&SPEC, b"", b"220 mx.example.org ESMTP Exim\r\n", S, 2525), Fit::Certain);
        assert_eq!(fit(&SPEC, b"EHLO x\r\n", b"220 mx ready\r\n", S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"MAIL FROM:<a@b>\r\n", b"250 ok\r\n", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"EHLO x\r\n", b"", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"220 mx ready\r\n", S, 25), Fit::Plausible);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"", b"22", S, 25), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"EHL", b"", C, 25), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"220 mx ready\r\n", S, 9), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"220 DND server here.\r\n", S, 25), Fit::No);
        assert_eq!(fit(&SPEC, b"", b"220 DND server here", S, 25), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"220 (vsFTPd 3.0.3)\r\n", S, 25), Fit::No);
        assert_eq!(fit(&SPEC, b"USER a\r\n", b"220 host\r\n", S, 25), Fit::No);
        assert_eq!(fit(&SPEC, b"EHLOX y\r\n", b"", C, 25), Fit::No);
        assert_refuses_others(&SPEC);
    }

    #[test]
    fn any_split_gives_the_same_events() {
        assert_split_invariant(&SPEC, SESSION);
    }

    #[test]
    fn a_long_message_reads_the_same_in_any_pieces() {
        let message = [long_message().as_slice(), b".\r\n"].concat();
        let turns: &[Turn<'_>] = &[
            (S, b"220 mail.example.org ESMTP\r\n"),
            (C, b"EHLO laptop\r\n"),
            (S, b"250 ok\r\n"),
            (C, b"DATA\r\n"),
            (S, b"354 go on\r\n"),
            (C, &message),
            (S, b"250 queued\r\n"),
            (C, b"QUIT\r\n"),
        ];
        assert_split_invariant(&SPEC, turns);
        let told = play(&SPEC, turns);
        assert!(fields(&told).contains(&"content text=Dear Woz,".to_owned()));
        assert!(told.contains(&Told::Remark(crate::inspect::mail::PGP)));
        assert!(banners(&told).contains(&"verb=QUIT".to_owned()));
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        assert_never_panics(&SPEC, SESSION);
    }
}
