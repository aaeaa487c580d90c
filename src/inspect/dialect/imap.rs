//! IMAP: mailboxes kept on the server. RFC 3501, 9051, 2595 (STARTTLS), 4959 (SASL-IR), 7888 (literals), 4978 (COMPRESS).

use super::{Coding, Codings, Dialect, Fit, Opening, Spec};
use crate::inspect::codes::{find, index_of, number, word};
use crate::inspect::imap_syntax::{
    Argument, MAX_ARGUMENTS, envelope, folder, is_likely_tag, is_tag, literal_of, parse_arguments,
};
use crate::inspect::lines::{Line, Raw, Span};
use crate::inspect::mail::{Message, RawMessage};
use crate::inspect::probe::{View, begins_one, either_way, first_line, lines};
use crate::inspect::sasl::Sasl;
use crate::inspect::talk::{Grammar, Role, Say, Talk, encoding_of};
use crate::model::{Encoding, Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "imap",
    standards: &["RFC 3501", "RFC 9051", "RFC 4959", "RFC 7888", "RFC 4978"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open,
};

const PORTS: &[u16] = &[143];

#[rustfmt::skip]
const VERBS: &[&str] = &[
    "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "AUTHENTICATE", "LOGIN", "SELECT", "EXAMINE", "CREATE",
    "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "LIST", "LSUB", "STATUS", "APPEND", "CHECK", "CLOSE",
    "EXPUNGE", "SEARCH", "FETCH", "STORE", "COPY", "MOVE", "UID", "IDLE", "NAMESPACE", "ID", "ENABLE",
    "COMPRESS", "UNSELECT", "GETQUOTA", "GETQUOTAROOT", "SETQUOTA", "SORT", "THREAD", "XLIST", "GETACL",
    "SETACL", "MYRIGHTS", "GETMETADATA", "SETMETADATA", "NOTIFY",
];

/// Remark: what follows is compressed.
const COMPRESSED: &str =
    "IMAP COMPRESS=DEFLATE: what follows is compressed; it was inflated and searched";

/// Octets of a literal argument that are kept.
const MAX_ARGUMENT: usize = 1024;

fn open() -> Box<dyn Dialect> {
    Box::new(Talk::new(Imap::default()))
}

fn probe(opening: &Opening<'_>) -> Fit {
    either_way(opening, PORTS, fit)
}

fn fit(view: &View<'_>) -> Fit {
    let commands: Vec<_> = lines(view.client)
        .filter_map(|(line, whole)| command_of(line).filter(|_| whole))
        .filter(|(tag, ..)| is_likely_tag(tag))
        .collect();
    let (line, whole) = first_line(view.client);
    if !view.client.is_empty() && commands.is_empty() && (whole || !may_be_command(line)) {
        return Fit::No;
    }
    let mut verbs: Vec<_> = commands.iter().map(|&(_, index, _)| index).collect();
    verbs.sort_unstable();
    verbs.dedup();
    if view.server.is_empty() {
        return match verbs.len() {
            2.. => Fit::Certain,
            1 => view.by_port(),
            _ => view.undecided(),
        };
    }
    let (line, whole) = first_line(view.server);
    if let Some(rest) = line.strip_prefix(b"* ") {
        let (status, text) = word(rest);
        match index_of(&["OK", "PREAUTH", "BYE"], status) {
            // A border must follow the word: the rest of it may still be to come.
            Some(_) if whole || !text.is_empty() => return Fit::Certain,
            None if whole || !begins_one(&["OK", "PREAUTH", "BYE"], rest) => {}
            _ => return view.undecided(),
        }
    }
    let answered = lines(view.server).any(|(line, _)| {
        let (tag, rest) = word(line);
        index_of(&["OK", "NO", "BAD"], word(rest).0).is_some()
            && commands.iter().any(|&(own, ..)| own == tag)
    });
    let untagged =
        lines(view.server).any(|(line, _)| line.strip_prefix(b"* ").is_some_and(is_untagged));
    match (answered, untagged) {
        (true, _) => Fit::Certain,
        (false, true) if !commands.is_empty() => Fit::Certain,
        (false, true) => view.by_port(),
        _ if !whole && may_be_response(line) => view.undecided(),
        _ => Fit::No,
    }
}

/// `tag VERB arguments`: the tag, the verb's index, the arguments.
fn command_of(line: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    let (tag, rest) = word(line);
    let (verb, arguments) = word(rest);
    if !is_tag(tag) || line.get(tag.len()) != Some(&b' ') {
        return None;
    }
    Some((tag, index_of(VERBS, verb)?, arguments))
}

/// Whether an unfinished line may become a command.
fn may_be_command(line: &[u8]) -> bool {
    let (tag, rest) = word(line);
    may_be_likely_tag(tag, line) && begins_one(VERBS, word(rest).0)
}

/// Whether the first word of an unfinished line is a likely tag, or may become one: a digit may still come.
fn may_be_likely_tag(tag: &[u8], line: &[u8]) -> bool {
    is_likely_tag(tag) || tag.len() == line.len() && is_tag(tag)
}

/// Whether an unfinished line may become a response.
fn may_be_response(line: &[u8]) -> bool {
    let (tag, rest) = word(line);
    tag == b"*"
        || tag == b"+"
        || may_be_likely_tag(tag, line) && begins_one(&["OK", "NO", "BAD"], word(rest).0)
}

/// What follows `* ` in an untagged response that no other protocol has.
fn is_untagged(rest: &[u8]) -> bool {
    let (first, then) = word(rest);
    if number(first).is_some() {
        return index_of(&["EXISTS", "RECENT", "EXPUNGE", "FETCH"], word(then).0).is_some();
    }
    matches!(then.first(), Some(b'(' | b'I' | b'"'))
        && index_of(&["LIST", "LSUB", "FLAGS", "STATUS", "CAPABILITY"], first).is_some()
}

/// A command, gathered over its literals.
#[derive(Debug)]
struct Command {
    tag: Vec<u8>,
    verb: &'static str,
    arguments: Vec<Argument>,
}

/// What is done with a literal.
#[derive(Debug)]
enum Literal {
    /// An argument of the client's command, or a mailbox name in a response.
    Argument(Argument),
    Message(RawMessage),
    Skip,
}

/// What waits for its tagged answer, with the offset behind the client's line.
#[derive(Debug)]
enum Asked {
    Tls(u64),
    Deflate(u64),
    Auth,
}

#[derive(Debug, Default)]
struct Imap {
    greeted: bool,
    command: Option<Command>,
    client_literal: Option<Literal>,
    server_literal: Option<Literal>,
    /// The server's next line goes on with a response whose literal has ended.
    server_goes_on: bool,
    sasl: Option<Sasl>,
    asked: Option<(Vec<u8>, Asked)>,
    /// All that follows is compressed (RFC 4978).
    is_compressed: bool,
}

impl Imap {
    fn client(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        if let Some(sasl) = self.sasl.as_mut().filter(|sasl| sasl.is_open()) {
            sasl.response(line, line.bytes, say);
            return;
        }
        let mut rest = line.bytes;
        if self.command.is_none() {
            let Some((tag, index, arguments)) = command_of(line.bytes) else { return };
            let verb = VERBS.get(index).copied().unwrap_or_default();
            let written =
                word(line.bytes.get(tag.len()..).unwrap_or_default().trim_ascii_start()).0;
            say.verb(Role::Client, line, written, index);
            self.command = Some(Command { tag: tag.to_vec(), verb, arguments: Vec::new() });
            rest = arguments;
        }
        let Some(command) = &mut self.command else { return };
        let literal = literal_of(line.bytes).filter(|_| !line.cut);
        if literal.is_some() {
            let at = rest.iter().rposition(|&b| b == b'{').unwrap_or(rest.len());
            rest = rest.get(..at).unwrap_or_default();
        }
        parse_arguments(line, rest, &mut command.arguments);
        if let Some(len) = literal {
            let is_message = command.verb == "APPEND" && !command.arguments.is_empty();
            self.client_literal = Some(if is_message {
                Literal::Message(RawMessage::new(Message::default()))
            } else {
                Literal::Argument(Argument {
                    value: Vec::new(),
                    span: Span { offset: line.end, len: 0, frames: line.frames },
                    encoding: Encoding::Ascii,
                })
            });
            say.expect_raw(Role::Client, len);
            return;
        }
        if let Some(command) = self.command.take() {
            self.run(&command, line, say);
        }
    }

    /// A whole command.
    fn run(&mut self, command: &Command, line: &Line<'_>, say: &mut Say<'_>) {
        let argument = |index: usize| command.arguments.get(index);
        let mut tell = |rule, field, argument: Option<&Argument>| {
            if let Some(argument) = argument {
                let Argument { value, span, encoding } = argument;
                say.decoded(Role::Client, rule, field, *span, value, *encoding);
            }
        };
        let is_uid = command.verb == "UID";
        match command.verb {
            "LOGIN" => {
                tell(Rule::Credential, Field::USERNAME, argument(0));
                tell(Rule::Credential, Field::PASSWORD, argument(1));
            }
            "AUTHENTICATE" => {
                let mut sasl = Sasl::start(argument(0).map_or(&[], |name| &name.value));
                if let Some(initial) = argument(1) {
                    // The initial response stands at the end of the line (RFC 4959 s3).
                    let text = line.bytes.len().saturating_sub(initial.value.len());
                    sasl.response(line, line.bytes.get(text..).unwrap_or_default(), say);
                }
                self.sasl = Some(sasl);
                self.asked = Some((command.tag.clone(), Asked::Auth));
            }
            "STARTTLS" => self.asked = Some((command.tag.clone(), Asked::Tls(line.end))),
            "COMPRESS" => self.asked = Some((command.tag.clone(), Asked::Deflate(line.end))),
            "SELECT" | "EXAMINE" | "CREATE" | "DELETE" | "SUBSCRIBE" | "UNSUBSCRIBE" | "STATUS"
            | "APPEND" | "MYRIGHTS" | "GETACL" | "GETQUOTAROOT" => {
                folder(Role::Client, argument(0), say);
            }
            "RENAME" => {
                folder(Role::Client, argument(0), say);
                folder(Role::Client, argument(1), say);
            }
            "LIST" | "LSUB" | "XLIST" | "COPY" | "MOVE" => folder(Role::Client, argument(1), say),
            _ if is_uid
                && argument(0)
                    .is_some_and(|name| index_of(&["COPY", "MOVE"], &name.value).is_some()) =>
            {
                folder(Role::Client, argument(2), say);
            }
            _ => {}
        }
    }

    fn server(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        let literal = literal_of(line.bytes).filter(|_| !line.cut);
        let goes_on = std::mem::take(&mut self.server_goes_on);
        if let Some(len) = literal {
            self.server_literal = Some(literal_kind(line));
            say.expect_raw(Role::Server, len);
        }
        if goes_on {
            return;
        }
        let (tag, rest) = word(line.bytes);
        match tag {
            b"+" => {
                if let Some(sasl) = &mut self.sasl {
                    sasl.challenge(rest);
                }
            }
            b"*" => self.untagged(line, rest, literal.is_some(), say),
            _ => self.tagged(tag, rest, line, say),
        }
    }

    fn untagged(&mut self, line: &Line<'_>, rest: &[u8], goes_on: bool, say: &mut Say<'_>) {
        let (name, text) = word(rest);
        if !self.greeted {
            self.greeted = true;
            if line.offset == 0 && index_of(&["OK", "PREAUTH", "BYE"], name).is_some() {
                say.found(Role::Server, Rule::Banner, Field::GREETING, line, line.bytes);
                return;
            }
        }
        match name.to_ascii_uppercase().as_slice() {
            b"LIST" | b"LSUB" | b"XLIST" | b"STATUS" if goes_on => {} // the name is the literal
            b"LIST" | b"LSUB" | b"XLIST" => {
                // (attributes) "delimiter" mailbox
                let Some(end) = find(text, b")") else { return };
                let mut arguments = Vec::new();
                parse_arguments(
                    line,
                    text.get(end.saturating_add(1)..).unwrap_or_default(),
                    &mut arguments,
                );
                folder(Role::Server, arguments.get(1), say);
            }
            b"STATUS" => {
                let mut arguments = Vec::new();
                parse_arguments(line, text, &mut arguments);
                folder(Role::Server, arguments.first(), say);
            }
            _ if find(text, b"ENVELOPE (").is_some() => envelope(line, text, say),
            _ => {}
        }
    }

    fn tagged(&mut self, tag: &[u8], rest: &[u8], line: &Line<'_>, say: &mut Say<'_>) {
        let Some(status) = index_of(&["OK", "NO", "BAD"], word(rest).0) else { return };
        if self.command.as_ref().is_some_and(|command| command.tag == tag) {
            // Refused before its literal was sent (RFC 3501 s7.5).
            self.command = None;
            if self.client_literal.take().is_some() {
                say.cancel_raw(Role::Client);
            }
        }
        if self.asked.as_ref().is_none_or(|(own, _)| own != tag) {
            return;
        }
        match self.asked.take() {
            Some((_, Asked::Auth)) => self.sasl = None,
            Some((_, Asked::Tls(asked))) if status == 0 => say.upgrade(asked, line.end),
            Some((_, Asked::Deflate(asked))) if status == 0 => {
                say.remark(COMPRESSED);
                self.is_compressed = true;
                say.compress(Codings::one(Coding::RawDeflate), asked, line.end);
            }
            _ => {}
        }
    }
}

impl Grammar for Imap {
    fn role_of(&self, line: &[u8]) -> Option<Role> {
        if line.starts_with(b"* ") || line.starts_with(b"+ ") {
            return Some(Role::Server);
        }
        if command_of(line).is_some() {
            return Some(Role::Client);
        }
        let (tag, rest) = word(line);
        (is_tag(tag) && index_of(&["OK", "NO", "BAD"], word(rest).0).is_some())
            .then_some(Role::Server)
    }

    fn line(&mut self, role: Role, line: &Line<'_>, say: &mut Say<'_>) {
        match role {
            Role::Client => self.client(line, say),
            Role::Server => self.server(line, say),
        }
    }

    fn raw(&mut self, role: Role, raw: &Raw<'_>, say: &mut Say<'_>) {
        if self.is_compressed {
            return say.compressed(role, raw);
        }
        let literal = match role {
            Role::Client => &mut self.client_literal,
            Role::Server => &mut self.server_literal,
        };
        match literal {
            Some(Literal::Message(message)) => message.raw(role, raw, say),
            Some(Literal::Argument(argument)) => {
                let room = MAX_ARGUMENT.saturating_sub(argument.value.len());
                argument.value.extend_from_slice(raw.bytes.get(..room).unwrap_or(raw.bytes));
                if argument.span.len == 0 {
                    argument.span.frames = raw.frames;
                }
                argument.span.frames = argument.span.frames.to(raw.frames);
                let len = u32::try_from(raw.bytes.len()).unwrap_or(u32::MAX);
                argument.span.len = argument.span.len.saturating_add(len);
            }
            Some(Literal::Skip) | None => {}
        }
        if raw.left > 0 {
            return;
        }
        let literal = literal.take();
        self.server_goes_on |= role == Role::Server;
        if let Some(Literal::Argument(mut argument)) = literal {
            argument.encoding = encoding_of(&argument.value);
            match (role, &mut self.command) {
                (Role::Server, _) => folder(role, Some(&argument), say),
                (Role::Client, Some(command)) if command.arguments.len() < MAX_ARGUMENTS => {
                    command.arguments.push(argument);
                }
                _ => {}
            }
        }
    }

    fn held(&self) -> usize {
        let literals = [&self.client_literal, &self.server_literal].into_iter().flatten();
        let literals = literals.map(|literal| match literal {
            Literal::Message(message) => message.held(),
            _ => MAX_ARGUMENT,
        });
        let command = self.command.as_ref().map_or(0, |command| {
            command.tag.capacity() + command.arguments.capacity() * (size_of::<Argument>() + 64)
        });
        literals.sum::<usize>() + command
    }

    fn gap(&mut self, role: Role) {
        self.sasl = None;
        let literal = match role {
            Role::Client => {
                self.command = None;
                self.asked = None;
                &mut self.client_literal
            }
            Role::Server => &mut self.server_literal,
        };
        match literal {
            Some(Literal::Message(message)) => message.gap(),
            Some(other) => *other = Literal::Skip,
            None => {}
        }
        self.server_goes_on &= role != Role::Server;
    }
}

/// What the literal at the end of a response holds.
fn literal_kind(line: &Line<'_>) -> Literal {
    let upper = line.bytes.to_ascii_uppercase();
    let (name, _) = word(upper.get(2..).unwrap_or_default());
    if matches!(name, b"LIST" | b"LSUB" | b"XLIST" | b"STATUS") {
        let span = Span { offset: line.end, len: 0, frames: line.frames };
        return Literal::Argument(Argument { value: Vec::new(), span, encoding: Encoding::Ascii });
    }
    // `BODY[` and `RFC822 ` hold a message or its headers; `[TEXT]`, `.TEXT` and parts by number have none.
    let last = ["BODY[", "RFC822", "BINARY["]
        .iter()
        .filter_map(|name| memchr::memmem::rfind(&upper, name.as_bytes()))
        .max();
    let Some(last) = last else { return Literal::Skip };
    let item = upper.get(last..).unwrap_or_default();
    let has_headers = item.starts_with(b"BODY[]")
        || item.starts_with(b"BODY[HEADER")
        || item.starts_with(b"RFC822 ")
        || item.starts_with(b"RFC822.HEADER");
    Literal::Message(RawMessage::new(if has_headers {
        Message::default()
    } else {
        Message::body()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{
        C, S, Told, Turn, assert_never_panics, assert_refuses_others, assert_split_invariant,
        banners, fields, fit, long_message, play, play_gap,
    };

    const SESSION: &[Turn<'_>] = &[
        (S, b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"),
        (C, b"a1 LOGIN \"chr\\\"is\" {6+}\r\nse\r\net\r\n"),
        (S, b"a1 OK in\r\n"),
        (C, b"a2 LIST \"\" \"*\"\r\n"),
        (S, b"* LIST (\\HasNoChildren) \"/\" \"Reindeer Games\"\r\n* LIST () \"/\" {5}\r\nnamed\r\na2 OK\r\n"),
        (C, b"a3 SELECT \"~peter/mail/&U,BTFw-\"\r\n"),
        (S, b"* 3 EXISTS\r\na3 OK\r\n"),
        (C, b"a4 UID FETCH 1 (BODY[])\r\n"),
        (
            S,
            b"* 1 FETCH (UID 9 BODY[] {44}\r\nFrom: a@b.c\r\nSubject: tea\r\n\r\na9 OK no reply\r\n FLAGS (\\Seen))\r\na4 OK\r\n",
        ),
        (C, b"a5 APPEND Sent (\\Seen) {16}\r\n"),
        (S, b"+ go\r\n"),
        (C, b"Subject: out\r\n\r\n\r\n"),
        (S, b"a5 OK\r\n"),
        (C, b"a6 LOGOUT\r\n"),
        (S, b"* BYE\r\na6 OK\r\n"),
    ];

    #[test]
    fn a_session_gives_credentials_folders_and_envelopes() {
        let told = play(&SPEC, SESSION);
        assert_eq!(
            fields(&told),
            [
                "credential username=chr\"is",
                "credential password=se\r\net",
                "content folder=Reindeer Games",
                "content folder=named",
                "content folder=~peter/mail/\u{53f0}\u{5317}",
                "content address=a@b.c",
                "content subject=tea",
                "content text=a9 OK no reply",
                "content subject=out",
                "content folder=Sent",
            ]
        );
        assert_eq!(banners(&told)[0], "greeting=* OK [CAPABILITY IMAP4rev1] Dovecot ready.");
        assert_eq!(banners(&told).last().unwrap(), "verb=LOGOUT");
    }

    #[test]
    fn authenticate_is_read_with_and_without_an_initial_response() {
        let told = play(
            &SPEC,
            &[
                (S, b"* OK hi\r\n"),
                (C, b"1 AUTHENTICATE PLAIN AHRpbQB0YW5zdGFhZg==\r\n"),
                (S, b"1 NO\r\n"),
                (C, b"2 AUTHENTICATE LOGIN\r\n"),
                (S, b"+ VXNlcm5hbWU6\r\n"),
                (C, b"dGlt\r\n"),
                (S, b"+ UGFzc3dvcmQ6\r\n"),
                (C, b"c2VjcmV0\r\n"),
                (S, b"2 OK\r\n"),
                (C, b"3 SELECT INBOX\r\n"),
            ],
        );
        assert_eq!(
            fields(&told),
            [
                "credential username=tim",
                "credential password=tanstaaf",
                "credential username=tim",
                "credential password=secret",
                "content folder=INBOX",
            ]
        );
    }

    #[test]
    fn a_refused_literal_is_not_waited_for() {
        let told = play(
            &SPEC,
            &[
                (S, b"* OK hi\r\n"),
                (C, b"1 LOGIN {4000}\r\n"),
                (S, b"1 BAD too long\r\n"),
                (C, b"2 LOGIN a b\r\n"),
            ],
        );
        assert_eq!(fields(&told), ["credential username=a", "credential password=b"]);
    }

    #[test]
    fn starttls_is_handed_over_after_its_tagged_ok() {
        let turns: &[Turn<'_>] = &[
            (S, b"* OK hi\r\n"),
            (C, b"1 STARTTLS\r\n"),
            (S, b"* 1 EXISTS\r\n1 OK go\r\n"),
            (C, b"\x16\x03\x01"),
        ];
        let told = play(&SPEC, turns);
        assert!(told.ends_with(&[Told::Handover(C, 12), Told::Handover(S, 30)]), "{told:?}");
        assert_split_invariant(&SPEC, turns);
        let refused =
            play(&SPEC, &[(C, b"1 STARTTLS\r\n"), (S, b"1 NO\r\n"), (C, b"2 LOGIN a b\r\n")]);
        assert_eq!(fields(&refused).len(), 2);
    }

    #[test]
    fn all_that_follows_compress_is_handed_on_as_a_body() {
        let told = play(
            &SPEC,
            &[
                (S, b"* OK hi\r\n"),
                (C, b"1 COMPRESS DEFLATE\r\n"),
                (S, b"1 OK\r\n"),
                (C, b"2 LOGIN a b\r\n"),
            ],
        );
        assert!(told.contains(&Told::Remark(COMPRESSED)));
        assert_eq!(told.last(), Some(&Told::Body(C, 0, b"2 LOGIN a b\r\n".to_vec())));
        assert!(fields(&told).is_empty());
    }

    #[test]
    fn an_envelope_gives_subject_and_addresses() {
        let told = play(
            &SPEC,
            &[(
                S,
                b"* OK hi\r\n* 12 FETCH (ENVELOPE (\"Wed\" \"mtg summary\" ((\"T G\" NIL \"gray\" \"cac.example\")) NIL NIL \
                ((NIL NIL \"imap\" \"cac.example\")) NIL NIL NIL \"<B@x>\"))\r\n",
            )],
        );
        assert_eq!(
            fields(&told),
            [
                "content subject=mtg summary",
                "content address=gray@cac.example",
                "content address=imap@cac.example"
            ]
        );
    }

    #[test]
    fn a_gap_in_a_literal_is_counted_off() {
        let told = play_gap(
            &SPEC,
            &[(S, b"* OK hi\r\n* 1 FETCH (BODY[] {100}\r\nSubject: x\r\n")],
            S,
            86,
            &[(S, b"yz)\r\n* LIST () \"/\" After\r\n"), (C, b"1 LOGIN a b\r\n")],
        );
        assert_eq!(
            fields(&told)[1..],
            ["content folder=After", "credential username=a", "credential password=b"]
        );
    }

    #[test]
    fn probe_is_certain_of_a_greeting_or_of_tag_and_answer() {
        assert_eq!(fit(&SPEC, b"", b"* OK hi\r\n", S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"* PREAUTH hi\r\n", S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"a7 NOOP\r\n", b"a7 OK done\r\n", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"a7 NOOP\r\na8 SELECT x\r\n", b"", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"a7 IDLE\r\n", b"* 4 EXISTS\r\n", C, 9), Fit::Certain);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"", b"* O", S, 143), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"* OKAY then\r\n", S, 143), Fit::No);
        assert_eq!(fit(&SPEC, b"a7 NOOPS\r\n", b"", C, 143), Fit::No);
        // A tag that has no digit yet.
        for so_far in [&b"GET"[..], b"GETPASa", b"GETPASa3 SEL"] {
            assert_eq!(fit(&SPEC, so_far, b"", C, 143), Fit::NeedMore, "{so_far:?}");
        }
        assert_eq!(fit(&SPEC, b"GETPASa SEL", b"", C, 143), Fit::No);
        assert_eq!(fit(&SPEC, b"a7 NOOP\r\n", b"", C, 143), Fit::Plausible);
        assert_eq!(fit(&SPEC, b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", C, 143), Fit::No);
        assert_refuses_others(&SPEC);
    }

    #[test]
    fn any_split_gives_the_same_events() {
        assert_split_invariant(&SPEC, SESSION);
    }

    #[test]
    fn a_long_message_reads_the_same_in_any_pieces() {
        let message = [long_message().as_slice(), b".\r\n"].concat();
        let head = format!("* 1 FETCH (BODY[] {{{}}}\r\n", message.len());
        let turns: &[Turn<'_>] = &[
            (S, b"* OK ready.\r\n"),
            (C, b"a1 FETCH 1 BODY[]\r\n"),
            (S, head.as_bytes()),
            (S, &message),
            (S, b")\r\na1 OK\r\n"),
            (C, b"a2 LOGOUT\r\n"),
        ];
        assert_split_invariant(&SPEC, turns);
        let told = play(&SPEC, turns);
        assert!(fields(&told).contains(&"content text=Dear Woz,".to_owned()));
        assert!(told.contains(&Told::Remark(crate::inspect::mail::PGP)));
        assert!(banners(&told).contains(&"verb=LOGOUT".to_owned()));
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        assert_never_panics(&SPEC, SESSION);
    }
}
