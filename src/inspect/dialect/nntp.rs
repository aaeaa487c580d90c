//! NNTP: news read and posted. RFC 3977, 4642 (STARTTLS), 4643 (AUTHINFO), 8054 (COMPRESS). Bulletins are a family of their own on it.

use super::{Coding, Codings, Dialect, Fit, Opening, Spec};
use crate::inspect::codes::{find, index_of, quoted, reply_code, word};
use crate::inspect::lines::{Line, Raw};
use crate::inspect::mail::Message;
use crate::inspect::probe::{View, count, either_way, first_line, has_word, is_one_of};
use crate::inspect::sasl::{Sasl, beside};
use crate::inspect::talk::{Grammar, Role, Say, Talk, unstuffed};
use crate::model::{Encoding, Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "nntp",
    standards: &["RFC 3977", "RFC 4642", "RFC 4643", "RFC 8054"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open,
};

const PORTS: &[u16] = &[119, 433];

const VERBS: &[&str] = &[
    "CAPABILITIES",
    "MODE",
    "QUIT",
    "GROUP",
    "LISTGROUP",
    "LAST",
    "NEXT",
    "ARTICLE",
    "HEAD",
    "BODY",
    "STAT",
    "POST",
    "IHAVE",
    "DATE",
    "HELP",
    "NEWGROUPS",
    "NEWNEWS",
    "OVER",
    "XOVER",
    "HDR",
    "XHDR",
    "XPAT",
    "LIST",
    "AUTHINFO",
    "STARTTLS",
    "CHECK",
    "TAKETHIS",
    "SLAVE",
    "XGTITLE",
    "XFEATURE",
    "COMPRESS",
    // of the bulletins server
    "UID#",
    "USER",
    "PASS",
    "PASE",
    "LSTB",
    "NEWB",
    "WHAT",
    "ADDB",
    "REMB",
    "BULL",
    "UPDT",
    "XHEAD",
];

/// Verbs that no other protocol with three-digit replies has.
const OWN_VERBS: &[&str] = &[
    "CAPABILITIES",
    "MODE",
    "GROUP",
    "LISTGROUP",
    "ARTICLE",
    "POST",
    "IHAVE",
    "NEWGROUPS",
    "NEWNEWS",
    "OVER",
    "XOVER",
    "HDR",
    "XHDR",
    "AUTHINFO",
    "TAKETHIS",
    "CHECK",
];

/// Verbs of the bulletins server alone.
pub(super) const BULLETIN_VERBS: &[&str] = &["LSTB", "NEWB", "ADDB", "REMB", "BULL", "UPDT"];

/// Remark: what follows is compressed.
const COMPRESSED: &str =
    "NNTP COMPRESS DEFLATE: what follows is compressed; it was inflated and searched";

fn open() -> Box<dyn Dialect> {
    Box::new(Talk::new(Nntp::default()))
}

/// A reader that knows the bulletins' sign-on and topic lines.
pub(super) fn open_bulletins() -> Box<dyn Dialect> {
    Box::new(Talk::new(Nntp { bulletins: true, ..Nntp::default() }))
}

fn probe(opening: &Opening<'_>) -> Fit {
    either_way(opening, PORTS, fit)
}

fn fit(view: &View<'_>) -> Fit {
    let verbs = count(view.client, VERBS);
    if !view.client.is_empty() && !verbs.first || count(view.client, BULLETIN_VERBS).fitting > 0 {
        return Fit::No;
    }
    let own = count(view.client, OWN_VERBS);
    if view.server.is_empty() {
        return match own.distinct {
            2.. if verbs.strange == 0 => Fit::Certain,
            1.. => view.by_port(),
            _ => view.undecided(),
        };
    }
    let (line, whole) = first_line(view.server);
    let Some(code) = reply_code(line) else {
        let may_become = !whole && line.len() < 4 && line.iter().all(u8::is_ascii_digit);
        return if may_become { view.undecided() } else { Fit::No };
    };
    if line.get(3) == Some(&b'-') || !(100..600).contains(&code) {
        return Fit::No; // NNTP has no replies of several lines with a hyphen
    }
    if own.fitting > 0 {
        return Fit::Certain;
    }
    let text = line.get(4..).unwrap_or_default();
    let names_news = has_word(text, whole, |word| {
        is_one_of(word, &["NNTP", "NNRP", "INN", "NEWS", "NetNews", "InterNetNews", "posting"])
    });
    match code {
        200 | 201 if names_news && view.server_first => Fit::Certain,
        200 | 201 if whole => view.by_port(),
        200 | 201 => view.undecided(),
        _ => Fit::No,
    }
}

/// What follows a reply on its own lines, up to a dot.
#[derive(Debug)]
enum Block {
    List,
    Folders,
    Message(Message),
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks, not states of one thing")]
struct Nntp {
    bulletins: bool,
    greeted: bool,
    /// STARTTLS was asked for by a line that ends here.
    asked: Option<u64>,
    /// COMPRESS DEFLATE was asked for by a line that ends here.
    asked_deflate: Option<u64>,
    /// All that follows is compressed.
    is_compressed: bool,
    sasl: Option<Sasl>,
    challenge: Vec<u8>,
    /// The last verb: the 211 of LISTGROUP is followed by a list, that of GROUP is not.
    last: &'static str,
    block: Option<Block>,
    /// An article that the client sends.
    article: Option<Message>,
    torn: bool,
}

impl Nntp {
    fn client(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        if let Some(sasl) = self.sasl.as_mut().filter(|sasl| sasl.is_open()) {
            sasl.response(line, line.bytes, say);
            return;
        }
        if let Some(article) = &mut self.article {
            if let Some(text) = unstuffed(line.bytes) {
                article.line(Role::Client, line, text, say);
            } else {
                article.finish(Role::Client, say);
                self.article = None;
            }
            return;
        }
        let (verb, argument) = word(line.bytes);
        let Some(index) = index_of(VERBS, verb) else { return };
        say.verb(Role::Client, line, verb, index);
        let (credential, content) = (Rule::Credential, Rule::Content);
        let known = VERBS.get(index).copied().unwrap_or_default();
        self.last = known;
        match known {
            "AUTHINFO" => self.authinfo(line, argument, say),
            "GROUP" | "LISTGROUP" | "XGTITLE" | "ADDB" | "REMB" | "BULL" => {
                say.found(Role::Client, content, Field::FOLDER, line, word(argument).0);
            }
            "STARTTLS" => self.asked = Some(line.end),
            "COMPRESS" if argument.eq_ignore_ascii_case(b"DEFLATE") => {
                self.asked_deflate = Some(line.end);
            }
            "TAKETHIS" => self.article = Some(Message::default()),
            "UID#" | "USER" => say.found(Role::Client, credential, Field::USERNAME, line, argument),
            "PASS" => say.found(Role::Client, credential, Field::PASSWORD, line, argument),
            "PASE" => {
                let answer = beside(&self.challenge, argument);
                let (field, span) = (Field::CHALLENGE_RESPONSE, line.span_of(argument));
                say.decoded(Role::Client, credential, field, span, &answer, Encoding::Dialect);
            }
            _ => {}
        }
    }

    fn authinfo(&mut self, line: &Line<'_>, argument: &[u8], say: &mut Say<'_>) {
        let (kind, value) = word(argument);
        match index_of(&["USER", "PASS", "SASL"], kind) {
            Some(0) => say.found(Role::Client, Rule::Credential, Field::USERNAME, line, value),
            Some(1) => say.found(Role::Client, Rule::Credential, Field::PASSWORD, line, value),
            Some(_) => {
                let (mechanism, initial) = word(value);
                let mut sasl = Sasl::start(mechanism);
                if !initial.is_empty() {
                    sasl.response(line, initial, say);
                }
                self.sasl = Some(sasl);
            }
            None => {}
        }
    }

    fn server(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        let code = reply_code(line.bytes);
        if self.torn && code.is_some() {
            self.block = None;
        }
        self.torn = false;
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
                (Some(text), Block::Folders) => topic(line, text, say),
                (Some(_), Block::List) => {}
            }
            return;
        }
        let Some(code) = code else {
            if self.bulletins {
                topic(line, line.bytes, say);
            }
            return;
        };
        let text = line.bytes.get(4..).unwrap_or_default();
        if !std::mem::replace(&mut self.greeted, true)
            && line.offset == 0
            && matches!(code, 200 | 201 | 400 | 502)
        {
            say.found(Role::Server, Rule::Banner, Field::GREETING, line, line.bytes);
            return;
        }
        match code {
            383 => {
                if let Some(sasl) = &mut self.sasl {
                    sasl.challenge(text);
                }
                return;
            }
            382 => {
                if let Some(asked) = self.asked.take() {
                    say.upgrade(asked, line.end);
                }
            }
            206 => {
                if let Some(asked) = self.asked_deflate.take() {
                    say.remark(COMPRESSED);
                    self.is_compressed = true;
                    say.compress(Codings::one(Coding::RawDeflate), asked, line.end);
                }
            }
            300 => self.challenge = text.trim_ascii().get(..24).unwrap_or_default().to_vec(),
            340 | 335 => self.article = Some(Message::default()),
            // RFC 3977 appendix C: replies that a block follows.
            220 | 221 => self.block = Some(Block::Message(Message::default())),
            222 => self.block = Some(Block::Message(Message::body())),
            211 if self.last == "LISTGROUP" => self.block = Some(Block::List),
            100 | 101 | 224 | 225 | 230 | 231 | 282 => self.block = Some(Block::List),
            215 => self.block = Some(Block::Folders),
            _ => {}
        }
        if code >= 200 {
            self.sasl = None;
        }
        if code >= 400 {
            self.asked = None;
            self.asked_deflate = None;
        }
    }
}

impl Grammar for Nntp {
    fn role_of(&self, line: &[u8]) -> Option<Role> {
        if reply_code(line).is_some() {
            return Some(Role::Server);
        }
        index_of(VERBS, word(line).0).map(|_| Role::Client)
    }

    fn raw(&mut self, role: Role, raw: &Raw<'_>, say: &mut Say<'_>) {
        if self.is_compressed {
            say.compressed(role, raw);
        }
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
        self.challenge.capacity() + block + self.article.as_ref().map_or(0, Message::held)
    }

    fn gap(&mut self, role: Role) {
        self.sasl = None;
        self.asked = None;
        self.challenge.clear();
        match role {
            Role::Server => self.torn = self.block.is_some(),
            Role::Client => self.article = None,
        }
    }

    fn skims(&self, role: Role) -> bool {
        match role {
            Role::Client => {
                self.article.as_ref().is_some_and(Message::is_told)
                    && self.sasl.as_ref().is_none_or(|sasl| !sasl.is_open())
            }
            Role::Server if self.torn => false,
            Role::Server => match &self.block {
                Some(Block::Message(message)) => message.is_told(),
                Some(Block::List) => true,
                Some(Block::Folders) | None => false,
            },
        }
    }

    fn is_content(&self, role: Role) -> bool {
        match role {
            Role::Client => self.article.is_some(),
            Role::Server => self.block.is_some(),
        }
    }
}

/// A line of a list of groups: `<name>,"<title>",...` of the bulletins server, or `<name> <high> <low> <status>`.
fn topic(line: &Line<'_>, text: &[u8], say: &mut Say<'_>) {
    let (role, content) = (Role::Server, Rule::Content);
    let Some(comma) = find(text, b",\"") else {
        let (name, rest) = word(text);
        if name.contains(&b'.') && !rest.is_empty() {
            say.found(role, content, Field::FOLDER, line, name);
        }
        return;
    };
    let name = text.get(..comma).unwrap_or_default();
    if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
        return;
    }
    say.found(role, content, Field::FOLDER, line, name);
    let title = text.get(comma.saturating_add(1)..).unwrap_or_default();
    if let Some((_, after)) = quoted(title, false) {
        let len = title.len().saturating_sub(after.len());
        let title = title.get(1..len.saturating_sub(1)).unwrap_or_default();
        say.found(role, content, Field::SUBJECT, line, title);
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
        (S, b"200 news.example.org InterNetNews NNRP server ready (posting ok)\r\n"),
        (C, b"MODE READER\r\nAUTHINFO USER tim\r\n"),
        (S, b"200 ok\r\n381 more\r\n"),
        (C, b"AUTHINFO PASS s3cret\r\n"),
        (S, b"281 ok\r\n"),
        (C, b"LIST\r\n"),
        (S, b"215 list\r\nalt.tea 9 1 y\r\n.\r\n"),
        (C, b"GROUP alt.tea\r\nARTICLE 5\r\n"),
        (S, b"211 1 1 9 alt.tea\r\n220 5 <x@y>\r\nFrom: a@b.c\r\nSubject: milk\r\n\r\n200 no reply\r\n.\r\n"),
        (C, b"POST\r\n"),
        (S, b"340 go\r\n"),
        (C, b"Newsgroups: alt.tea\r\nSubject: re\r\n\r\nQUIT\r\n.\r\nQUIT\r\n"),
        (S, b"240 posted\r\n205 bye\r\n"),
    ];

    #[test]
    fn a_session_gives_credentials_groups_and_headers() {
        let told = play(&SPEC, SESSION);
        assert_eq!(
            fields(&told),
            [
                "credential username=tim",
                "credential password=s3cret",
                "content folder=alt.tea",
                "content folder=alt.tea",
                "content address=a@b.c",
                "content subject=milk",
                "content text=200 no reply",
                "content folder=alt.tea",
                "content subject=re",
                "content text=QUIT",
            ]
        );
        assert_eq!(banners(&told).last().unwrap(), "verb=QUIT");
    }

    #[test]
    fn starttls_is_handed_over_after_382_alone() {
        let turns: &[Turn<'_>] = &[
            (S, b"200 NNTP\r\n"),
            (C, b"STARTTLS\r\n"),
            (S, b"580 no\r\n"),
            (C, b"STARTTLS\r\n"),
            (S, b"382 go\r\n"),
        ];
        assert!(play(&SPEC, turns).ends_with(&[Told::Handover(C, 20), Told::Handover(S, 26)]));
        assert!(!play(&SPEC, &turns[..3]).iter().any(|one| matches!(one, Told::Handover(..))));
        assert_split_invariant(&SPEC, turns);
    }

    #[test]
    fn a_gap_in_an_article_ends_at_the_next_reply() {
        let told = play_gap(
            &SPEC,
            &[(C, b"ARTICLE 5\r\n"), (S, b"220 5 <x@y>\r\nFrom: a@b.c\r\n")],
            S,
            70,
            &[(S, b"rn\r\n205 bye\r\n"), (C, b"AUTHINFO USER late\r\n")],
        );
        assert!(fields(&told).contains(&"credential username=late".to_owned()));
    }

    #[test]
    fn probe_is_certain_of_a_greeting_that_names_news_and_of_verbs() {
        assert_eq!(fit(&SPEC, b"", SESSION[0].1, S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"GROUP a.b\r\n", b"211 1 1 1 a.b\r\n", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"GROUP a.b\r\nXOVER 1-2\r\n", b"", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"200 ready\r\n", S, 119), Fit::Plausible);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"", b"20", S, 119), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"200 hello\r\n", S, 106), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"2001 news\r\n", S, 119), Fit::No);
        assert_eq!(fit(&SPEC, b"GROUPS a\r\n", b"", C, 119), Fit::No);
        assert_eq!(fit(&SPEC, b"EHLO x\r\n", b"250 ok\r\n", C, 119), Fit::No);
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
            (S, b"200 news ready\r\n"),
            (C, b"ARTICLE 1\r\n"),
            (S, b"220 1 <a@b>\r\n"),
            (S, &message),
            (C, b"POST\r\n"),
            (S, b"340 send\r\n"),
            (C, &message),
            (S, b"240 ok\r\n"),
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
