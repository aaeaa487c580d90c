//! POP3: mailboxes fetched by line. RFC 1939, 2449 (CAPA), 2595 (STLS), 5034 (AUTH).

use super::{Dialect, Fit, Opening, Spec};
use crate::inspect::codes::{find, index_of, word};
use crate::inspect::lines::Line;
use crate::inspect::mail::Message;
use crate::inspect::probe::{View, begins, count, either_way, first_line, lines};
use crate::inspect::sasl::{Sasl, beside};
use crate::inspect::talk::{Grammar, Pending, Role, Say, Talk, unstuffed};
use crate::model::{Encoding, Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "pop3",
    standards: &["RFC 1939", "RFC 2595", "RFC 5034"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open,
};

const PORTS: &[u16] = &[110];

const VERBS: &[&str] = &[
    "USER", "PASS", "APOP", "AUTH", "CAPA", "STLS", "STAT", "LIST", "RETR", "DELE", "NOOP", "RSET",
    "QUIT", "TOP", "UIDL", "UTF8", "LANG", "XTND",
];

/// Verbs that no protocol with USER and PASS shares.
const OWN_VERBS: &[&str] = &["APOP", "CAPA", "STLS", "TOP", "UIDL"];

fn open() -> Box<dyn Dialect> {
    Box::new(Talk::new(Pop3::default()))
}

fn probe(opening: &Opening<'_>) -> Fit {
    either_way(opening, PORTS, fit)
}

fn fit(view: &View<'_>) -> Fit {
    let verbs = count(view.client, VERBS);
    if !view.client.is_empty() && !verbs.first {
        return Fit::No;
    }
    let own = count(view.client, OWN_VERBS).fitting > 0;
    if view.server.is_empty() {
        return match verbs.distinct {
            2.. if own && verbs.strange == 0 => Fit::Certain,
            1.. => view.by_port(),
            _ => view.undecided(),
        };
    }
    let (line, whole) = first_line(view.server);
    if begins(view.server, b"+OK") == Fit::NeedMore || begins(view.server, b"-ERR") == Fit::NeedMore
    {
        return view.undecided();
    }
    if !is_reply(line) {
        // In the midst of a message: a later reply tells.
        let later = lines(view.server).any(|(line, _)| is_reply(line));
        return if later && verbs.distinct >= 2 { Fit::Certain } else { Fit::No };
    }
    // The line's end may be there in part.
    let says_more = line.trim_ascii_end().len() > 4;
    match verbs.fitting {
        1.. if view.server_first || own || verbs.distinct >= 2 => Fit::Certain,
        0 if view.client.is_empty() && says_more => Fit::Certain,
        _ if whole || says_more => view.by_port(),
        _ => view.undecided(),
    }
}

/// A status indicator: `+OK` or `-ERR` (RFC 1939 s3).
fn is_reply(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"+OK").or(line.strip_prefix(b"-ERR"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\r')))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// Answered by one line.
    Single,
    /// Answered by lines up to a dot.
    Multi,
    /// Answered by a message up to a dot.
    Message,
    /// Asks for TLS; the offset behind the line.
    Stls(u64),
    /// A SASL exchange.
    Auth,
}

#[derive(Debug)]
enum Block {
    List,
    Message(Message),
}

#[derive(Debug, Default)]
struct Pop3 {
    /// The time stamp of the greeting, APOP's challenge.
    stamp: Vec<u8>,
    pending: Pending<Command>,
    sasl: Option<Sasl>,
    block: Option<Block>,
    /// Octets of the block are missing: its end may be among them.
    torn: bool,
}

impl Pop3 {
    fn client(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        if let Some(sasl) = self.sasl.as_mut().filter(|sasl| sasl.is_open()) {
            sasl.response(line, line.bytes, say);
            return;
        }
        let (verb, argument) = word(line.bytes);
        let Some(index) = index_of(VERBS, verb) else { return };
        say.verb(Role::Client, line, verb, index);
        let mut credential =
            |field, value| say.found(Role::Client, Rule::Credential, field, line, value);
        let command = match VERBS.get(index).copied().unwrap_or_default() {
            "USER" => {
                credential(Field::USERNAME, argument);
                Command::Single
            }
            "PASS" => {
                credential(Field::PASSWORD, argument);
                Command::Single
            }
            "APOP" => {
                let (user, digest) = word(argument);
                credential(Field::USERNAME, user);
                let answer = beside(&self.stamp, digest);
                let span = line.span_of(digest);
                let (rule, field) = (Rule::Credential, Field::CHALLENGE_RESPONSE);
                say.decoded(Role::Client, rule, field, span, &answer, Encoding::Dialect);
                Command::Single
            }
            "AUTH" if !argument.is_empty() => {
                let (mechanism, initial) = word(argument);
                let mut sasl = Sasl::start(mechanism);
                if !initial.is_empty() {
                    sasl.response(line, initial, say);
                }
                self.sasl = Some(sasl);
                Command::Auth
            }
            "STLS" => Command::Stls(line.end),
            "RETR" | "TOP" => Command::Message,
            "LIST" | "UIDL" | "LANG" if argument.is_empty() => Command::Multi,
            "CAPA" | "AUTH" => Command::Multi,
            _ => Command::Single,
        };
        self.pending.push(command);
    }

    fn server(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        if self.torn && is_reply(line.bytes) {
            self.block = None;
        }
        if let Some(block) = &mut self.block {
            match (unstuffed(line.bytes), block) {
                (None, block) => {
                    if let Block::Message(message) = block {
                        message.finish(Role::Server, say);
                    }
                    self.block = None;
                }
                (Some(text), Block::Message(message)) => {
                    message.line(Role::Server, line, text, say);
                }
                (Some(_), Block::List) => {}
            }
            return;
        }
        if !is_reply(line.bytes) {
            if let (Some(sasl), Some(text)) = (&mut self.sasl, line.bytes.strip_prefix(b"+")) {
                sasl.challenge(text.trim_ascii());
            }
            return;
        }
        let good = line.bytes.starts_with(b"+");
        if line.offset == 0 && self.pending.is_empty() {
            say.found(Role::Server, Rule::Banner, Field::GREETING, line, line.bytes);
            self.stamp = stamp(line.bytes).to_vec();
            return;
        }
        match (self.pending.pop(), good) {
            (Some(Command::Multi), true) => self.block = Some(Block::List),
            (Some(Command::Message), true) => self.block = Some(Block::Message(Message::default())),
            (Some(Command::Stls(asked)), true) => say.upgrade(asked, line.end),
            (Some(Command::Auth), _) => self.sasl = None,
            _ => {}
        }
        self.torn = false;
    }
}

impl Grammar for Pop3 {
    fn role_of(&self, line: &[u8]) -> Option<Role> {
        if is_reply(line) {
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

    fn held(&self) -> usize {
        let block = match &self.block {
            Some(Block::Message(message)) => message.held(),
            _ => 0,
        };
        self.stamp.capacity() + self.pending.held() + block
    }

    fn gap(&mut self, role: Role) {
        self.pending.clear();
        self.sasl = None;
        self.torn |= role == Role::Server && self.block.is_some();
    }

    fn skims(&self, role: Role) -> bool {
        role == Role::Server
            && !self.torn
            && match &self.block {
                Some(Block::Message(message)) => message.is_told(),
                Some(Block::List) => true,
                None => false,
            }
    }

    fn is_content(&self, role: Role) -> bool {
        role == Role::Server && self.block.is_some()
    }
}

/// `<process-ID.clock@hostname>` in a greeting (RFC 1939 s7).
fn stamp(greeting: &[u8]) -> &[u8] {
    let Some(from) = find(greeting, b"<") else { return &[] };
    let rest = greeting.get(from..).unwrap_or_default();
    let to = find(rest, b">").map_or(0, |at| at.saturating_add(1));
    rest.get(..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{
        C, S, Told, Turn, assert_never_panics, assert_refuses_others, assert_split_invariant,
        banners, fields, fit, long_message, play, play_gap,
    };

    const SESSION: &[Turn<'_>] = &[
        (S, b"+OK BlitzMail POP3 Server Ready. <1.2@dasher>\r\n"),
        (C, b"CAPA\r\n"),
        (S, b"+OK\r\nUSER\r\nSTLS\r\n.\r\n"),
        (C, b"USER chris\r\nPASS pa ss\r\n"),
        (S, b"+OK\r\n+OK 2 messages\r\n"),
        (C, b"RETR 1\r\n"),
        (
            S,
            b"+OK 100 octets\r\nFrom: Woz <woz@example.org>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n and more\r\n\r\n\
            +OK is no reply here\r\n..dot\r\n.\r\n",
        ),
        (C, b"QUIT\r\n"),
        (S, b"+OK bye\r\n"),
    ];

    #[test]
    fn a_session_gives_user_password_and_envelope() {
        let told = play(&SPEC, SESSION);
        assert_eq!(
            fields(&told),
            [
                "credential username=chris",
                "credential password=pa ss",
                "content address=Woz <woz@example.org>",
                "content subject=caf\u{e9} and more",
                "content text=+OK is no reply here",
            ]
        );
        let banners = banners(&told);
        assert_eq!(banners[0], "greeting=+OK BlitzMail POP3 Server Ready. <1.2@dasher>");
        assert_eq!(banners[1..], ["verb=CAPA", "verb=USER", "verb=PASS", "verb=RETR", "verb=QUIT"]);
    }

    #[test]
    fn apop_and_sasl_give_their_credentials() {
        let told = play(
            &SPEC,
            &[
                (S, b"+OK <1896.697@dbc.mtview.ca.us>\r\n"),
                (C, b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"),
                (S, b"-ERR no\r\n"),
                (C, b"AUTH PLAIN\r\n"),
                (S, b"+ \r\n"),
                (C, b"AHRpbQB0YW5zdGFhZg==\r\n"),
                (S, b"-ERR no\r\n"),
                (C, b"AUTH LOGIN\r\n"),
                (S, b"+ VXNlcm5hbWU6\r\n"),
                (C, b"dGlt\r\n"),
                (S, b"+ UGFzc3dvcmQ6\r\n"),
                (C, b"c2VjcmV0\r\n"),
                (S, b"-ERR no\r\n"),
                (C, b"AUTH CRAM-MD5\r\n"),
                (S, b"+ PDE4OTYuNjk3QHg+\r\n"),
                (C, b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n"),
                (S, b"+OK in\r\n"),
            ],
        );
        assert_eq!(
            fields(&told),
            [
                "credential username=mrose",
                "credential challenge-response=<1896.697@dbc.mtview.ca.us> c4c9334bac560ecc979e58001b3e22fb",
                "credential username=tim",
                "credential password=tanstaaf",
                "credential username=tim",
                "credential password=secret",
                "credential username=tim",
                "credential challenge-response=<1896.697@x> b913a602c7eda7a495b4e6e7334d3890",
            ]
        );
    }

    #[test]
    fn stls_hands_both_directions_over_right_behind_its_lines() {
        let turns: &[Turn<'_>] =
            &[(S, b"+OK hi\r\n"), (C, b"STLS\r\n"), (S, b"+OK go\r\n"), (C, b"\x16\x03\x01")];
        let told = play(&SPEC, turns);
        assert!(told.ends_with(&[Told::Handover(C, 6), Told::Handover(S, 16)]), "{told:?}");
        assert_split_invariant(&SPEC, turns);
    }

    #[test]
    fn refused_stls_stays_cleartext() {
        let told = play(
            &SPEC,
            &[(S, b"+OK hi\r\n"), (C, b"STLS\r\n"), (S, b"-ERR no\r\n"), (C, b"USER a\r\n")],
        );
        assert_eq!(fields(&told), ["credential username=a"]);
        assert!(!told.iter().any(|one| matches!(one, Told::Handover(..))));
    }

    #[test]
    fn commands_sent_behind_stls_are_read_and_remarked() {
        let told =
            play(&SPEC, &[(S, b"+OK hi\r\n"), (C, b"STLS\r\nUSER eve\r\n"), (S, b"+OK go\r\n")]);
        assert_eq!(fields(&told), ["credential username=eve"]);
        assert!(
            told.iter().any(|one| matches!(one, Told::Remark(text) if text.contains("injection")))
        );
        assert!(told.contains(&Told::Handover(C, 16)));
    }

    #[test]
    fn a_pgp_body_is_remarked() {
        let told = play(
            &SPEC,
            &[
                (S, b"+OK hi\r\n"),
                (C, b"RETR 1\r\n"),
                (S, b"+OK\r\nSubject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\nabc\r\n.\r\n"),
            ],
        );
        assert!(told.contains(&Told::Remark("PGP message with a readable envelope")));
        assert_eq!(fields(&told), ["content subject=x"]);
    }

    #[test]
    fn a_gap_in_a_message_is_survived() {
        let told = play_gap(
            &SPEC,
            &[(S, b"+OK hi\r\n"), (C, b"RETR 1\r\n"), (S, b"+OK\r\nSubject: x\r\n\r\nte")],
            S,
            100,
            &[(S, b"xt\r\n+OK next\r\n"), (C, b"USER late\r\n")],
        );
        assert!(fields(&told).contains(&"credential username=late".to_owned()));
    }

    #[test]
    fn probe_is_certain_of_a_greeting_and_of_two_own_lines() {
        assert_eq!(fit(&SPEC, b"", b"+OK ready\r\n", S, 2003), Fit::Certain);
        assert_eq!(fit(&SPEC, b"CAPA\r\nUSER a\r\n", b"", C, 2003), Fit::Certain);
        assert_eq!(fit(&SPEC, b"STAT\r\nUIDL\r\n", b"+OK 1 2\r\n", C, 2003), Fit::Certain);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_a_near_miss() {
        assert_eq!(fit(&SPEC, b"", b"+O", S, 110), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"+OKAY\r\n", S, 110), Fit::No);
        assert_eq!(fit(&SPEC, b"*1\r\n$4\r\nPING\r\n", b"+OK\r\n", C, 6379), Fit::No);
        assert_ne!(fit(&SPEC, b"", b"+OK\r\n", S, 6379), Fit::Certain);
        assert_ne!(fit(&SPEC, b"", b"+OK \r", S, 6379), Fit::Certain);
        assert_eq!(fit(&SPEC, b"QUIT\r", b"", C, 6379), Fit::NeedMore);
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
            (S, b"+OK ready\r\n"),
            (C, b"RETR 1\r\n"),
            (S, b"+OK\r\n"),
            (S, &message),
            (C, b"QUIT\r\n"),
            (S, b"+OK bye\r\n"),
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
