//! DND, the Dartmouth Name Directory: look-ups and sign-on of the BlitzMail family. No published standard; three-digit
//! replies, one command a line.

use super::{Dialect, Fit, Opening, Spec};
use crate::inspect::codes::{index_of, number, reply_code, word};
use crate::inspect::lines::Line;
use crate::inspect::probe::{View, count, either_way, first_line, has_word, lines};
use crate::inspect::sasl::beside;
use crate::inspect::talk::{Grammar, Pending, Role, Say, Talk};
use crate::model::{Encoding, Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "dnd",
    standards: &["DND (Dartmouth Name Directory)"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open,
};

const PORTS: &[u16] = &[902];

const VERBS: &[&str] = &[
    "LOOKUP", "VALIDATE", "FIELDS", "PASE", "PASS", "TRUST", "PRIV", "UNPRIV", "CHANGE", "ADD",
    "GROUP", "GROUPADD", "GROUPDEL", "CHPW", "RSET", "NOOP", "QUIT",
];

/// Verbs that no other protocol has.
const OWN_VERBS: &[&str] = &["LOOKUP", "VALIDATE", "FIELDS", "PASE", "UNPRIV", "CHPW", "GROUPADD"];

/// Fields that are remembered for one look-up.
const MAX_ASKED: usize = 64;

fn open() -> Box<dyn Dialect> {
    Box::new(Talk::new(Dnd::default()))
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
    if view.server.is_empty() {
        let look_up = lines(view.client).any(|(line, whole)| whole && is_look_up(line));
        return match own.fitting {
            1.. if look_up || own.distinct >= 2 => Fit::Certain,
            0 if verbs.fitting == 0 => view.undecided(),
            _ => view.by_port(),
        };
    }
    let (line, whole) = first_line(view.server);
    let Some(code) = reply_code(line) else {
        let may_become = !whole && line.len() < 4 && line.iter().all(u8::is_ascii_digit);
        return if may_become { view.undecided() } else { Fit::No };
    };
    if own.fitting > 0 && CODES.contains(&code) {
        return Fit::Certain;
    }
    if has_record(view.server) {
        return Fit::Certain;
    }
    let text = line.get(4..).unwrap_or_default();
    match code {
        220 if is_greeting(text, whole) => Fit::Certain,
        220 if !whole => view.undecided(),
        101 | 110 if CODES.contains(&code) => view.undecided(),
        _ => Fit::No,
    }
}

/// Reply codes.
const CODES: &[u16] = &[
    101, 102, 110, 120, 200, 201, 220, 300, 500, 501, 502, 503, 504, 520, 521, 522, 523, 530, 531,
];

/// Whether the text of a greeting names DND.
pub(super) fn is_greeting(text: &[u8], whole: bool) -> bool {
    has_word(text, whole, |word| word.eq_ignore_ascii_case(b"DND"))
}

/// `LOOKUP who,FIELD ...` with a field that the directory has.
fn is_look_up(line: &[u8]) -> bool {
    let (verb, argument) = word(line);
    let (_, asked) = who_and_fields(argument);
    index_of(&["LOOKUP", "VALIDATE"], verb).is_some()
        && asked.iter().any(|kind| *kind != Kind::Other)
}

/// `101 n m`, then `110 ` lines: all of them, or at least two so far.
fn has_record(server: &[u8]) -> bool {
    let mut due = 0u64;
    let mut seen = 0u64;
    for (line, whole) in lines(server) {
        match (reply_code(line), counts(line)) {
            (Some(101), Some((records, fields))) if whole => {
                due = records.saturating_mul(fields);
                seen = 0;
            }
            (Some(110), _) if seen < due => {
                seen = seen.saturating_add(1);
                if seen == due.min(2) && due > 1 {
                    return true;
                }
            }
            (Some(200 | 201), _) if due > 0 && seen == due => return true,
            _ => due = 0,
        }
    }
    false
}

/// Records and fields of `101 n m`.
fn counts(line: &[u8]) -> Option<(u64, u64)> {
    let (records, fields) = word(line.get(4..)?);
    Some((number(records)?, number(fields.trim_ascii_end())?))
}

/// What a field of the directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    Email,
    Uid,
    /// `host@service`.
    Server,
    /// One of the other fields that the directory has.
    Known,
    Other,
}

const KINDS: &[(&str, Kind)] = &[
    ("NAME", Kind::Name),
    ("NICKNAME", Kind::Name),
    ("EMAIL", Kind::Email),
    ("UID", Kind::Uid),
    ("BLITZSERV", Kind::Server),
    ("BULLSERV", Kind::Server),
    ("NOTIFYSERV", Kind::Server),
    ("GID", Kind::Known),
    ("PERM", Kind::Known),
    ("DUP", Kind::Known),
    ("DEPTCLASS", Kind::Known),
    ("BLITZINFO", Kind::Known),
    ("EXPIRES", Kind::Known),
    ("DCTSNUM", Kind::Known),
    ("PHONE", Kind::Known),
];

/// The argument before the comma, and the fields asked for.
fn who_and_fields(argument: &[u8]) -> (&[u8], Vec<Kind>) {
    let mut parts = argument.splitn(2, |&b| b == b',');
    let who = parts.next().unwrap_or_default().trim_ascii();
    let asked = parts
        .next()
        .unwrap_or_default()
        .split(u8::is_ascii_whitespace)
        .filter(|name| !name.is_empty())
        .take(MAX_ASKED)
        .map(|name| {
            let known = KINDS.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
            known.map_or(Kind::Other, |&(_, kind)| kind)
        })
        .collect();
    (who, asked)
}

/// A command that waits for its `200`, and the fields it asked for.
#[derive(Debug, Default)]
struct Command {
    asked: Vec<Kind>,
    challenged: bool,
}

#[derive(Debug, Default)]
struct Dnd {
    pending: Pending<Command>,
    challenge: Vec<u8>,
    /// Values still due of a record set, and how many a record has.
    due: u64,
    fields: u64,
    seen: u64,
}

impl Dnd {
    fn client(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        let (verb, argument) = word(line.bytes);
        let Some(index) = index_of(VERBS, verb) else { return };
        say.verb(Role::Client, line, verb, index);
        let mut credential =
            |field, value| say.found(Role::Client, Rule::Credential, field, line, value);
        let mut command = Command::default();
        match VERBS.get(index).copied().unwrap_or_default() {
            "LOOKUP" | "VALIDATE" => {
                let (who, asked) = who_and_fields(argument);
                credential(Field::USERNAME, who);
                command.asked = asked;
            }
            "PRIV" | "CHANGE" | "CHPW" | "ADD" => {
                credential(Field::USERNAME, who_and_fields(argument).0);
            }
            name @ ("PASE" | "PASS" | "TRUST") => {
                let argument = argument.trim_ascii_end();
                if name == "PASE" {
                    let answer = beside(&self.challenge, argument);
                    let (rule, field) = (Rule::Credential, Field::CHALLENGE_RESPONSE);
                    let span = line.span_of(argument);
                    say.decoded(Role::Client, rule, field, span, &answer, Encoding::Dialect);
                } else if name == "PASS" {
                    credential(Field::PASSWORD, argument);
                }
                if self.pending.front().is_some_and(|command| command.challenged) {
                    return; // it goes on with the command that was challenged
                }
            }
            "RSET" => self.pending.clear(),
            _ => {}
        }
        self.pending.push(command);
    }

    fn server(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        let Some(code) = reply_code(line.bytes) else { return };
        let text = line.bytes.get(4..).unwrap_or_default();
        match code {
            110 => {
                self.value(line, text, say);
                return;
            }
            220 if self.pending.is_empty() => {
                say.found(Role::Server, Rule::Banner, Field::GREETING, line, line.bytes);
            }
            101 => {
                let (records, fields) = counts(line.bytes).unwrap_or_default();
                self.due = records.saturating_mul(fields);
                self.fields = fields;
                self.seen = 0;
                return;
            }
            300 => {
                self.challenge = text.trim_ascii().get(..24).unwrap_or_default().to_vec();
                if let Some(command) = self.pending.front_mut() {
                    command.challenged = true;
                }
            }
            200 | 201 | 500.. => {
                self.pending.pop();
            }
            _ => return,
        }
        self.due = 0;
    }

    /// A `110` line: its place among the fields asked for tells what it is, else its form.
    fn value(&mut self, line: &Line<'_>, text: &[u8], say: &mut Say<'_>) {
        let place = if self.due > 0 { self.seen.checked_rem(self.fields) } else { None };
        self.seen = self.seen.saturating_add(1);
        self.due = self.due.saturating_sub(1);
        let kind = self
            .pending
            .front()
            .filter(|command| command.asked.len() as u64 == self.fields)
            .and_then(|command| command.asked.get(usize::try_from(place?).ok()?).copied())
            .unwrap_or_else(|| kind_by_form(text));
        let (rule, field, value) = match kind {
            Kind::Name => (Rule::Content, Field::NAME, text),
            Kind::Email => (Rule::Content, Field::ADDRESS, text),
            Kind::Uid => (Rule::Credential, Field::USERNAME, text),
            Kind::Server => (Rule::Metadata, Field::HOST, host_of(text)),
            Kind::Known | Kind::Other => (Rule::Content, Field::TEXT, text),
        };
        say.found(Role::Server, rule, field, line, value);
    }
}

/// The host of `host@service`.
pub(super) fn host_of(text: &[u8]) -> &[u8] {
    text.split(|&b| b == b'@').next().unwrap_or_default().trim_ascii()
}

/// What a value looks like where the question was not seen. A service has no dot, an address's host has.
fn kind_by_form(text: &[u8]) -> Kind {
    let mut parts = text.rsplitn(2, |&b| b == b'@');
    match (parts.next(), parts.next()) {
        (Some(host), Some(_)) if host.contains(&b'.') => Kind::Email,
        (Some(_), Some(host)) if host.contains(&b'.') && !host.contains(&b' ') => Kind::Server,
        _ => Kind::Other,
    }
}

impl Grammar for Dnd {
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

    fn held(&self) -> usize {
        self.pending.held() + self.challenge.capacity()
    }

    fn gap(&mut self, _role: Role) {
        self.pending.clear();
        self.due = 0;
        self.challenge.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{
        C, S, Told, Turn, assert_never_panics, assert_refuses_others, assert_split_invariant,
        banners, fields, fit, play, play_gap,
    };

    /// The look-up of the paper's dump, octet for octet.
    const PAPER: &[Turn<'_>] = &[
        (S, b"220 DND server here.\r\n"),
        (C, b"LOOKUP woz,NAME EMAIL UID BLITZSERV BULLSERV\r\n"),
        (
            S,
            b"101 1 5\r\n110 Marion Bates\r\n110 Marion.Bates@Dartmouth.EDU\r\n110 60591\r\n\
            110 dasher.Dartmouth.EDU@BlitzServ\r\n110 newshost.dartmouth.edu@internet\r\n200 Ok.\r\n",
        ),
    ];

    #[test]
    fn the_papers_look_up_gives_greeting_who_and_every_value() {
        assert_eq!(PAPER.iter().map(|(_, text)| text.len()).collect::<Vec<_>>(), [22, 46, 152]);
        let told = play(&SPEC, PAPER);
        assert_eq!(
            fields(&told),
            [
                "credential username=woz",
                "content name=Marion Bates",
                "content address=Marion.Bates@Dartmouth.EDU",
                "credential username=60591",
                "metadata host=dasher.Dartmouth.EDU",
                "metadata host=newshost.dartmouth.edu",
            ]
        );
        assert_eq!(banners(&told), ["greeting=220 DND server here.", "verb=LOOKUP"]);
        let Some(Told::Found { offset, len, dir, .. }) =
            told.iter().find(|one| matches!(one, Told::Found { value, .. } if value == b"60591"))
        else {
            panic!("no uid")
        };
        assert_eq!((*offset, *len, *dir), (22 + 9 + 18 + 32 + 4, 5, S));
    }

    #[test]
    fn a_sign_on_gives_the_answer_beside_its_challenge_or_the_password() {
        let told = play(
            &SPEC,
            &[
                (S, b"220 DND server here.\n"),
                (C, b"validate woz, NAME UID\n"),
                (S, b"300 240147326165005023201134\n"),
                (C, b"pase 144167311017116244231155\n"),
                (S, b"101 1 2\n110 Marion Bates\n110 60591\n200 Done\n"),
                (C, b"VALIDATE #7,NAME\n"),
                (S, b"300 240147326165005023201134\n"),
                (C, b"PASS testpass\n"),
                (S, b"530 Incorrect password.\n"),
            ],
        );
        assert_eq!(
            fields(&told),
            [
                "credential username=woz",
                "credential challenge-response=240147326165005023201134 144167311017116244231155",
                "content name=Marion Bates",
                "credential username=60591",
                "credential username=#7",
                "credential password=testpass",
            ]
        );
    }

    #[test]
    fn counts_are_honoured_over_several_records_and_empty_values() {
        let told = play(
            &SPEC,
            &[
                (C, b"LOOKUP a,NAME UID\r\nLOOKUP b,EMAIL\r\n"),
                (S, b"101 2 2\r\n110 A One\r\n110 1\r\n110 \r\n110 2\r\n201 more\r\n101 1 1\r\n110 b@c\r\n200 Ok.\r\n"),
            ],
        );
        assert_eq!(
            fields(&told),
            [
                "credential username=a",
                "credential username=b",
                "content name=A One",
                "credential username=1",
                "credential username=2",
                "content address=b@c",
            ]
        );
    }

    #[test]
    fn a_reply_alone_is_read_by_its_form() {
        let told = play(&SPEC, &PAPER[2..]);
        assert!(fields(&told).contains(&"metadata host=dasher.Dartmouth.EDU".to_owned()));
        assert!(fields(&told).contains(&"content address=Marion.Bates@Dartmouth.EDU".to_owned()));
    }

    #[test]
    fn a_gap_is_survived() {
        let told = play_gap(
            &SPEC,
            &PAPER[..2],
            S,
            30,
            &[(S, b"rion\r\n110 x@y.z\r\n200 Ok.\r\n"), (C, b"LOOKUP b\r\n")],
        );
        assert_eq!(
            fields(&told),
            ["credential username=woz", "content address=x@y.z", "credential username=b"]
        );
    }

    #[test]
    fn probe_is_certain_of_greeting_verbs_and_records() {
        assert_eq!(fit(&SPEC, b"", PAPER[0].1, S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, PAPER[1].1, b"", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", PAPER[2].1, S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"lookup woz\r\n", b"101 1 0\r\n", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, PAPER[2].1, b"", C, 9), Fit::Certain, "ends mistaken for each other");
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"", b"220 ", S, 902), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"LOOK", b"", C, 902), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"220 mail ESMTP\r\n", S, 902), Fit::No);
        assert_eq!(fit(&SPEC, b"LOOKUPS woz\r\n", b"", C, 902), Fit::No);
        assert_eq!(fit(&SPEC, b"", b"101 Capability list:\r\nREADER\r\n", S, 902), Fit::NeedMore);
        assert_refuses_others(&SPEC);
    }

    #[test]
    fn any_split_gives_the_same_events() {
        assert_split_invariant(&SPEC, PAPER);
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        assert_never_panics(&SPEC, PAPER);
    }
}
