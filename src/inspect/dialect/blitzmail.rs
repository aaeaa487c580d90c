//! BlitzMail: the client speaks first, four-letter verbs, a flag and a two-digit code in reply, counted raw data with CR
//! as line end. No published standard.

use super::dnd::host_of;
use super::{Dialect, Fit, Opening, Spec};
use crate::inspect::codes::{index_of, number, quoted, word};
use crate::inspect::lines::{Line, Raw};
use crate::inspect::mail::{Message, RawMessage};
use crate::inspect::probe::{View, count, either_way, first_line, lines};
use crate::inspect::sasl::beside;
use crate::inspect::talk::{Grammar, Role, Say, Talk};
use crate::model::{Encoding, Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "blitzmail",
    standards: &["BlitzMail (Dartmouth College)"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open,
};

const PORTS: &[u16] = &[2151];

const VERBS: &[&str] = &[
    "AUDT", "CLEA", "CLEM", "CLER", "COPY", "DELE", "DELX", "EDAT", "EDEL", "ELIS", "ENCL", "EREM",
    "EXPR", "FDEF", "FLIS", "FNAM", "FREM", "FSUM", "HEAD", "HIDE", "KRB4", "LDAT", "LDEF", "LIST",
    "LREM", "LSTS", "MARK", "MCAT", "MDAT", "MESS", "MOVE", "MSUM", "NOOP", "PASE", "PASS", "PDEF",
    "PREF", "PREM", "PUSH", "QUIT", "RBCC", "RCCC", "RCPT", "RPL2", "RTRN", "SEND", "SIZE", "SLOG",
    "SUMM", "TDEL", "TEXT", "THQX", "TOPC", "TRSH", "TSIZ", "TSUM", "UDEL", "UDLX", "UID#", "USER",
    "VDAT", "VERS", "VREM", "VTXT", "WARN",
];

/// Verbs that mail and file protocols with three-digit replies have as well.
const SHARED_VERBS: &[&str] = &[
    "COPY", "DELE", "HEAD", "LIST", "MOVE", "NOOP", "PASS", "QUIT", "RCPT", "SEND", "SIZE", "USER",
    "PASE",
];

/// Verbs whose `050` asks the client for data; elsewhere it announces the server's.
const UPLOADS: &[&str] = &["EDAT", "KRB4", "LDAT", "MDAT", "VDAT"];

/// Two-digit codes after which more lines follow.
const MORE: &[u16] = &[1, 3, 29, 44, 45, 46, 47, 49, 61, 62, 63, 66];

fn open() -> Box<dyn Dialect> {
    Box::new(Talk::new(Blitz::default()))
}

fn probe(opening: &Opening<'_>) -> Fit {
    either_way(opening, PORTS, fit)
}

fn fit(view: &View<'_>) -> Fit {
    let verbs = count(view.client, VERBS);
    let uid = lines(view.client).any(|(line, whole)| whole && uid_of(line).is_some());
    if !view.client.is_empty() && !verbs.first && !uid {
        return Fit::No;
    }
    let shared = count(view.client, SHARED_VERBS);
    let own = verbs.fitting.saturating_sub(shared.fitting);
    let own_distinct = verbs.distinct.saturating_sub(shared.distinct);
    let versed =
        first_line(view.client).0.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"VERS"));
    if view.server.is_empty() {
        return match own_distinct {
            2.. if verbs.strange == 0 => Fit::Certain,
            1.. if versed && verbs.distinct >= 2 => Fit::Certain,
            1.. => view.by_port(),
            _ => view.undecided(),
        };
    }
    let replies: Vec<&[u8]> =
        lines(view.server).filter(|(_, whole)| *whole).map(|(line, _)| line).collect();
    if replies.iter().any(|line| is_own_reply(line)) {
        return Fit::Certain;
    }
    let (line, whole) = first_line(view.server);
    if !whole && line.len() < 4 && line.iter().all(u8::is_ascii_digit) {
        return view.undecided();
    }
    let first = reply(line).is_some();
    match own {
        1.. if first && (versed || own_distinct >= 2) => Fit::Certain,
        1.. if first && verbs.distinct >= 2 => Fit::Certain,
        1.. if replies.iter().any(|line| reply(line).is_some()) => view.by_port(),
        0 if first => view.by_port(),
        _ => Fit::No,
    }
}

/// The argument of `UID# n`, also without a blank.
fn uid_of(line: &[u8]) -> Option<&[u8]> {
    let (verb, rest) = line.split_at_checked(4)?;
    let uid = rest.trim_ascii();
    (verb.eq_ignore_ascii_case(b"UID#") && number(uid).is_some()).then_some(uid)
}

/// A reply that no other protocol sends: a folder line, a summary line, the banner.
fn is_own_reply(line: &[u8]) -> bool {
    let Some((code, text)) = reply(line) else { return false };
    match code {
        0 | 1 => folder_of(text).is_some() || summary_of(text).is_some(),
        10 => text.starts_with(b"BlitzServ"),
        36 => text.ends_with(b"@BlitzServ"),
        _ => false,
    }
}

/// Code and text of `<flag 0|1><two digits> text`; only codes that the server has.
fn reply(line: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let flag = digits.first()?;
    let code = u16::try_from(number(digits.get(1..)?)?).ok()?;
    let known = matches!(code, 0..=3 | 10..=15 | 17 | 21..=36 | 40..=50 | 60..=63 | 66 | 70);
    let border = rest.is_empty() || rest.first() == Some(&b' ');
    (matches!(flag, b'0' | b'1') && known && border)
        .then(|| (code, rest.get(1..).unwrap_or_default()))
}

/// The name in `num,count,"name",octets`, with its quotes.
fn folder_of(text: &[u8]) -> Option<&[u8]> {
    let [num, messages, name, octets] = fields_of(text)?;
    let is = number(num).is_some()
        && number(messages).is_some()
        && number(octets.trim_ascii_end()).is_some();
    (is && name.starts_with(b"\"")).then_some(name)
}

/// Sender, recipient and topic of a summary, with their quotes:
/// `messid,MM/DD/YY,HH:MM:SS,type,"sender","recipient","topic",length,enclosures,state,expiry`.
fn summary_of(text: &[u8]) -> Option<[&[u8]; 3]> {
    let [messid, date, time, kind, sender, recipient, topic, length, enclosures, _state, _expiry] =
        fields_of(text)?;
    let is = [messid, kind, length, enclosures].iter().all(|text| number(text).is_some())
        && matches!(date, [_, _, b'/', _, _, b'/', ..])
        && matches!(time, [_, _, b':', _, _, b':', _, _]);
    (is && [sender, recipient, topic].iter().all(|text| text.starts_with(b"\"")))
        .then_some([sender, recipient, topic])
}

/// Exactly `N` fields between commas; quoted ones with their quotes.
fn fields_of<const N: usize>(text: &[u8]) -> Option<[&[u8]; N]> {
    let mut fields = [&b""[..]; N];
    let mut rest = Some(text);
    for field in &mut fields {
        let text = rest?;
        let end = if text.starts_with(b"\"") {
            text.len().saturating_sub(quoted(text, false)?.1.len())
        } else {
            text.iter().position(|&b| b == b',').unwrap_or(text.len())
        };
        let (this, after) = text.split_at_checked(end)?;
        *field = this;
        rest = if after.is_empty() { None } else { Some(after.strip_prefix(b",")?) };
    }
    rest.is_none().then_some(fields)
}

/// What becomes of raw data.
#[derive(Debug)]
enum Data {
    Message(RawMessage),
    Skip,
}

#[derive(Debug, Default)]
struct Blitz {
    /// The command that waits for its reply; the client waits for one before it sends the next.
    asked: Option<&'static str>,
    challenge: Vec<u8>,
    /// Raw data that is due, by client and by server.
    upload: Option<Data>,
    download: Option<Data>,
    /// The question was not seen: whoever speaks first sends the data.
    either: bool,
    /// What the last MDAT announced is RFC 822, not plain text.
    mdat_has_headers: bool,
}

impl Blitz {
    fn client(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        let Some((verb, rest)) = line.bytes.split_at_checked(4) else { return };
        let Some(index) = index_of(VERBS, verb) else { return };
        let argument = rest.strip_prefix(b" ").unwrap_or(rest).trim_ascii_end();
        let known = VERBS.get(index).copied().unwrap_or_default();
        say.verb(Role::Client, line, verb, index);
        let (credential, content) = (Rule::Credential, Rule::Content);
        match known {
            "UID#" | "USER" => say.found(Role::Client, credential, Field::USERNAME, line, argument),
            "PASS" => say.found(Role::Client, credential, Field::PASSWORD, line, argument),
            "PASE" => {
                let answer = beside(&self.challenge, argument);
                let span = line.span_of(argument);
                let field = Field::CHALLENGE_RESPONSE;
                say.decoded(Role::Client, credential, field, span, &answer, Encoding::Dialect);
            }
            "FDEF" => string(Role::Client, Field::FOLDER, line, argument, say),
            "FNAM" => string(Role::Client, Field::FOLDER, line, word(argument).1, say),
            "TOPC" => say.found(Role::Client, content, Field::SUBJECT, line, argument),
            "RCPT" | "RCCC" | "RBCC" | "RPL2" => {
                for address in argument.split(|&b| b == b',') {
                    say.found(Role::Client, content, Field::ADDRESS, line, address.trim_ascii());
                }
            }
            "LIST" | "LDEF" => {
                let name = argument.split(|&b| b == b',').next().unwrap_or_default();
                string(Role::Client, Field::NAME, line, name, say);
            }
            "MDAT" => self.mdat_has_headers = word(argument).1 == b"2",
            _ => {}
        }
        self.asked = Some(known);
    }

    fn server(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        let Some((code, text)) = reply(line.bytes) else { return };
        let server = Role::Server;
        let asked = self.asked;
        match code {
            0 | 1 => {
                if let Some(name) =
                    folder_of(text).filter(|_| asked.is_none_or(|verb| verb == "FLIS"))
                {
                    string(server, Field::FOLDER, line, name, say);
                } else if let Some([sender, recipient, topic]) = summary_of(text) {
                    string(server, Field::NAME, line, sender, say);
                    string(server, Field::NAME, line, recipient, say);
                    string(server, Field::SUBJECT, line, topic, say);
                }
            }
            10 if text.starts_with(b"BlitzServ") => {
                say.found(server, Rule::Banner, Field::GREETING, line, line.bytes);
            }
            30 => say.found(server, Rule::Credential, Field::USERNAME, line, text.trim_ascii()),
            33 => self.challenge = text.trim_ascii().get(..24).unwrap_or_default().to_vec(),
            36 => say.found(server, Rule::Metadata, Field::HOST, line, host_of(text)),
            40 | 44 => say.found(server, Rule::Content, Field::ADDRESS, line, text.trim_ascii()),
            50 => {
                if let Some(len) = number(text.trim_ascii()) {
                    self.data(asked, len, say);
                }
                return; // the reply to the command comes behind the data
            }
            70 => return, // to TCP's urgent data, not to a command
            _ => {}
        }
        if !MORE.contains(&code) {
            self.asked = None;
        }
    }

    /// `050 <len>`: data follows from one side.
    fn data(&mut self, asked: Option<&'static str>, len: u64, say: &mut Say<'_>) {
        let upload = asked.is_some_and(|verb| UPLOADS.contains(&verb));
        let has_headers = self.mdat_has_headers;
        let data = match asked {
            Some("TEXT" | "VTXT" | "VDAT") => Data::Message(RawMessage::new(Message::body())),
            Some("MDAT") if !has_headers => Data::Message(RawMessage::new(Message::body())),
            Some("HEAD" | "MDAT") | None => Data::Message(RawMessage::new(Message::default())),
            Some(_) => Data::Skip,
        };
        self.either = asked.is_none();
        if upload {
            self.upload = Some(data);
            say.expect_raw(Role::Client, len);
        } else {
            self.download = Some(data);
            say.expect_raw(Role::Server, len);
        }
        if self.either {
            self.upload = Some(Data::Message(RawMessage::new(Message::default())));
            say.expect_raw(Role::Client, len);
        }
    }
}

impl Grammar for Blitz {
    fn role_of(&self, line: &[u8]) -> Option<Role> {
        if reply(line).is_some() {
            return Some(Role::Server);
        }
        line.get(..4).and_then(|verb| index_of(VERBS, verb)).map(|_| Role::Client)
    }

    fn line(&mut self, role: Role, line: &Line<'_>, say: &mut Say<'_>) {
        match role {
            Role::Client => self.client(line, say),
            Role::Server => self.server(line, say),
        }
    }

    fn raw(&mut self, role: Role, raw: &Raw<'_>, say: &mut Say<'_>) {
        let (own, other) = match role {
            Role::Client => (&mut self.upload, &mut self.download),
            Role::Server => (&mut self.download, &mut self.upload),
        };
        if std::mem::take(&mut self.either) {
            *other = None;
            say.cancel_raw(match role {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            });
        }
        if let Some(Data::Message(message)) = own {
            message.raw(role, raw, say);
        }
        if raw.left == 0 {
            *own = None;
        }
    }

    fn held(&self) -> usize {
        let data = [&self.upload, &self.download].into_iter().flatten();
        let data = data.map(|data| match data {
            Data::Message(message) => message.held(),
            Data::Skip => 0,
        });
        self.challenge.capacity() + data.sum::<usize>()
    }

    fn gap(&mut self, role: Role) {
        self.asked = None;
        self.challenge.clear();
        let own = match role {
            Role::Client => &mut self.upload,
            Role::Server => &mut self.download,
        };
        if let Some(Data::Message(message)) = own {
            message.gap();
        }
    }
}

/// Tells a text that may stand in quotes with `""` for a quote.
fn string(role: Role, field: Field, line: &Line<'_>, text: &[u8], say: &mut Say<'_>) {
    let text = text.trim_ascii();
    let Some((value, after)) = quoted(text, false) else {
        say.found(role, Rule::Content, field, line, text);
        return;
    };
    let len = text.len().saturating_sub(after.len());
    let part = text.get(1..len.saturating_sub(1)).unwrap_or_default();
    if value == part {
        say.found(role, Rule::Content, field, line, part);
    } else {
        say.decoded(role, Rule::Content, field, line.span_of(part), &value, Encoding::Dialect);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{
        C, S, Told, Turn, assert_never_panics, assert_refuses_others, assert_split_invariant,
        banners, fields, fit, play, play_gap,
    };

    const SESSION: &[Turn<'_>] = &[
        (C, b"VERS BlitzMail 2.6b7\r\n"),
        (S, b"010 BlitzServ 3.6 POP 9/23/98\r\n"),
        (C, b"UID# 60591\r\n"),
        (S, b"033 240147326165005023201134\r\n"),
        (C, b"PASE 144167311017116244231155\r\n"),
        (S, b"030 60591\r\n"),
        (C, b"FLIS\r\n"),
        (S, b"001 0,12,\"Trash\",40231\r\n000 4,2,\"Reindeer \"\"X\"\" Games\",1234\r\n"),
        (C, b"FDEF \"New Folder\"\r\n"),
        (S, b"000 5\r\n"),
        (C, b"FNAM 5 \"Newer\"\r\n"),
        (S, b"110 Ok.\r\n"),
        (C, b"FSUM 4 1-$\r\n"),
        (S, b"000 3568897,03/31/91,19:16:11,1,\"A Sender\",\"woz\",\"Tea, with milk\",289912,3,U,2769120000\r\n"),
        (C, b"MESS 4/3568897\r\n"),
        (S, b"010 Ok.\r\n"),
        (C, b"HEAD\r\n"),
        (S, b"050 44\r\nFrom: A Sender\rSubject: Tea, with milk\r\rtext010 Ok.\r\n"),
        (C, b"TEXT 0 9\r\n"),
        (S, b"050 9\r\nUSER x\rab010 Ok.\r\n"),
        (C, b"TOPC A reply\r\n"),
        (S, b"010 Ok.\r\n"),
        (C, b"RCPT Marion Bates,woz\r\n"),
        (S, b"044 Marion.Bates@Dartmouth.EDU\r\n040 woz@x.y\r\n"),
        (C, b"MDAT 12 1\r\n"),
        (S, b"050 12\r\n"),
        (C, b"Dear\rUSER y\r"),
        (S, b"010 Ok.\r\n"),
        (C, b"SEND\r\n"),
        (S, b"010 Ok.\r\n"),
        (C, b"QUIT\r\n"),
        (S, b"010 Ok.\r\n"),
    ];

    #[test]
    fn a_session_gives_user_folders_summaries_and_headers() {
        let told = play(&SPEC, SESSION);
        assert_eq!(
            fields(&told),
            [
                "credential username=60591",
                "credential challenge-response=240147326165005023201134 144167311017116244231155",
                "credential username=60591",
                "content folder=Trash",
                "content folder=Reindeer \"X\" Games",
                "content folder=New Folder",
                "content folder=Newer",
                "content name=A Sender",
                "content name=woz",
                "content subject=Tea, with milk",
                "content address=A Sender",
                "content subject=Tea, with milk",
                "content text=text",
                "content text=USER x",
                "content subject=A reply",
                "content address=Marion Bates",
                "content address=woz",
                "content address=Marion.Bates@Dartmouth.EDU",
                "content address=woz@x.y",
                "content text=Dear",
            ]
        );
        assert!(banners(&told).contains(&"greeting=010 BlitzServ 3.6 POP 9/23/98".to_owned()));
        assert!(banners(&told).contains(&"verb=SEND".to_owned()));
    }

    #[test]
    fn a_clear_password_and_a_redirect_are_told() {
        let told = play(
            &SPEC,
            &[
                (C, b"USER woz\nPASS sekrit\n"),
                (S, b"033 240147326165005023201134\n036 dasher.Dartmouth.EDU@BlitzServ\n"),
            ],
        );
        assert_eq!(
            fields(&told),
            [
                "credential username=woz",
                "credential password=sekrit",
                "metadata host=dasher.Dartmouth.EDU"
            ]
        );
    }

    #[test]
    fn data_whose_question_was_not_seen_is_taken_from_who_speaks() {
        let by_server =
            play(&SPEC, &[(S, b"050 12\r\nUSER woz\r\n\r\n010 Ok.\r\n"), (C, b"USER a\r\n")]);
        assert_eq!(fields(&by_server), ["content text=USER woz", "credential username=a"]);
        let by_client =
            play(&SPEC, &[(S, b"050 6\r\n"), (C, b"hello\rUSER a\r\n"), (S, b"036 h@x\r\n")]);
        assert_eq!(
            fields(&by_client),
            ["content text=hello", "credential username=a", "metadata host=h"]
        );
    }

    #[test]
    fn a_pgp_text_is_remarked() {
        let told = play(
            &SPEC,
            &[(C, b"TEXT\r\n"), (S, b"050 30\r\n-----BEGIN PGP MESSAGE-----\rab010 Ok.\r\n")],
        );
        assert!(told.contains(&Told::Remark("PGP message with a readable envelope")));
    }

    #[test]
    fn a_gap_inside_counted_data_keeps_the_count() {
        let told = play_gap(
            &SPEC,
            &[(C, b"HEAD\r\n"), (S, b"050 100\r\nFrom: a\r")],
            S,
            90,
            &[(S, b"x\r010 Ok.\r\n"), (C, b"USER b\r\n")],
        );
        assert_eq!(fields(&told), ["content address=a", "credential username=b"]);
    }

    #[test]
    fn probe_is_certain_of_a_sign_on_and_of_own_replies() {
        assert_eq!(fit(&SPEC, SESSION[0].1, SESSION[1].1, C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"VERS x\r\nUSER woz\r\n", b"", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", SESSION[7].1, S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", SESSION[13].1, S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"FLIS\r\nFSUM 4 1-$\r\n", b"", C, 9), Fit::Certain);
        assert_eq!(
            fit(&SPEC, SESSION[7].1, b"", C, 9),
            Fit::Certain,
            "ends mistaken for each other"
        );
        assert_eq!(fit(&SPEC, b"VERS x\r\n", b"", C, 2151), Fit::Plausible);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"VER", b"", C, 2151), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"VERSION 1\r\n", b"", C, 2151), Fit::No);
        assert_eq!(fit(&SPEC, b"USER a\r\n", b"331 Password\r\n", C, 2151), Fit::No);
        assert_ne!(fit(&SPEC, b"LIST\r\n", b"150 Opening\r\n", C, 21), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"220 DND server here.\r\n", S, 2151), Fit::No);
        assert_refuses_others(&SPEC);
    }

    #[test]
    fn any_split_gives_the_same_events() {
        assert_split_invariant(&SPEC, SESSION);
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        assert_never_panics(&SPEC, SESSION);
    }
}
