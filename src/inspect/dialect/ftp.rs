//! FTP, the control conn: RFC 959, 2228 and 4217 (AUTH TLS), 3659.

use super::{Dialect, Fit, Opening, Spec};
use crate::inspect::codes::{find, index_of, reply_code, word};
use crate::inspect::lines::Line;
use crate::inspect::probe::{View, count, either_way, first_line, has_word, is_one_of};
use crate::inspect::talk::{Grammar, Role, Say, Talk};
use crate::model::{Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "ftp",
    standards: &["RFC 959", "RFC 4217", "RFC 3659"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open,
};

const PORTS: &[u16] = &[21, 2121];

const VERBS: &[&str] = &[
    "USER", "PASS", "ACCT", "CWD", "XCWD", "CDUP", "PWD", "XPWD", "MKD", "XMKD", "RMD", "XRMD",
    "RETR", "STOR", "STOU", "APPE", "DELE", "RNFR", "RNTO", "LIST", "NLST", "MLSD", "MLST", "SIZE",
    "MDTM", "PORT", "PASV", "EPRT", "EPSV", "TYPE", "MODE", "STRU", "REST", "ABOR", "SYST", "STAT",
    "HELP", "NOOP", "SITE", "FEAT", "OPTS", "AUTH", "PBSZ", "PROT", "CCC", "QUIT", "REIN", "ALLO",
    "SMNT", "CLNT", "LANG", "HOST",
];

/// Verbs that no other protocol with three-digit replies has.
const OWN_VERBS: &[&str] = &[
    "CWD", "XCWD", "CDUP", "PWD", "XPWD", "MKD", "RMD", "RETR", "STOR", "STOU", "APPE", "RNFR",
    "RNTO", "NLST", "MLSD", "MLST", "MDTM", "PORT", "PASV", "EPRT", "EPSV", "TYPE", "SYST", "FEAT",
    "PBSZ", "PROT",
];

fn open() -> Box<dyn Dialect> {
    Box::new(Talk::new(Ftp::default()))
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
        return match own.fitting {
            1.. if own.distinct >= 2 && verbs.strange == 0 => Fit::Certain,
            0 if verbs.fitting == 0 => view.undecided(),
            _ => view.by_port(),
        };
    }
    let (line, whole) = first_line(view.server);
    let Some(code) = reply_code(line) else {
        let may_become = !whole && line.len() < 4 && line.iter().all(u8::is_ascii_digit);
        return if may_become { view.undecided() } else { Fit::No };
    };
    if own.fitting > 0 {
        return if (100..600).contains(&code) { Fit::Certain } else { Fit::No };
    }
    let text = line.get(4..).unwrap_or_default();
    let other = has_word(text, whole, |word| is_one_of(word, &["DND", "SMTP", "ESMTP", "LMTP"]));
    if other || find(text, b"Notification server").is_some() {
        return Fit::No;
    }
    let user = count(view.client, &["USER"]).fitting > 0;
    match code {
        220 if user || is_greeting(text, whole) => Fit::Certain,
        331 | 230 | 530 if user => Fit::Certain,
        220 => view.by_port(),
        _ => Fit::No,
    }
}

/// Whether the text of a greeting names FTP: a word with it, but for the name of a host.
pub(super) fn is_greeting(text: &[u8], whole: bool) -> bool {
    has_word(text, whole, |word| {
        let word = word.to_ascii_lowercase();
        find(&word, b"ftp").is_some() && !word.contains(&b'.') && !word.starts_with(b"sftp")
    })
}

#[derive(Debug, Default)]
struct Ftp {
    greeted: bool,
    /// AUTH TLS was asked for by a line that ends here.
    asked: Option<u64>,
    /// The code whose reply of several lines is being read (RFC 959 s4.2).
    block: Option<u16>,
}

impl Ftp {
    fn client(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        // ABOR may follow Telnet's IAC IP, IAC DM (RFC 959 s4.1.3).
        let text = line.bytes.iter().position(|&b| b < 0x80 && b != 0).unwrap_or(0);
        let (verb, argument) = word(line.bytes.get(text..).unwrap_or_default());
        let Some(index) = index_of(VERBS, verb) else { return };
        say.verb(Role::Client, line, verb, index);
        let (rule, field) = match VERBS.get(index).copied().unwrap_or_default() {
            "USER" => (Rule::Credential, Field::USERNAME),
            "PASS" | "ACCT" => (Rule::Credential, Field::PASSWORD),
            "CWD" | "XCWD" | "MKD" | "XMKD" | "RMD" | "XRMD" | "SMNT" => {
                (Rule::Content, Field::FOLDER)
            }
            "RETR" | "STOR" | "STOU" | "APPE" | "DELE" | "RNFR" | "RNTO" | "LIST" | "NLST"
            | "MLSD" | "MLST" | "SIZE" | "MDTM" => (Rule::Content, Field::TEXT),
            "HOST" => (Rule::Metadata, Field::HOST),
            "AUTH" => {
                if index_of(&["TLS", "TLS-C", "SSL", "TLS-P"], argument).is_some() {
                    self.asked = Some(line.end);
                }
                return;
            }
            _ => return,
        };
        say.found(Role::Client, rule, field, line, argument);
    }

    fn server(&mut self, line: &Line<'_>, say: &mut Say<'_>) {
        let code = reply_code(line.bytes);
        let last = line.bytes.get(3) != Some(&b'-');
        if self.block.is_some() && (code != self.block || !last) {
            return;
        }
        let Some(code) = code else { return };
        let first = self.block.is_none();
        if first && !self.greeted {
            self.greeted = true;
            if code == 220 {
                say.found(Role::Server, Rule::Banner, Field::GREETING, line, line.bytes);
            }
        }
        self.block = (!last).then_some(code);
        if !last {
            return;
        }
        match (code, self.asked) {
            (234, Some(asked)) => {
                self.asked = None;
                say.upgrade(asked, line.end);
            }
            (400.., _) => self.asked = None,
            _ => {}
        }
    }
}

impl Grammar for Ftp {
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

    fn gap(&mut self, role: Role) {
        if role == Role::Server {
            self.block = None;
        }
        self.asked = None;
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
        (S, b"220-Welcome\r\n230 is no code here\r\n220 done\r\n"),
        (C, b"USER anna\r\n"),
        (S, b"331 Password\r\n"),
        (C, b"PASS s3cret word\r\n"),
        (S, b"230 ok\r\n"),
        (C, b"CWD Reindeer Games\r\nRETR notes.txt\r\n"),
        (S, b"250 ok\r\n150 opening\r\n226 done\r\n"),
    ];

    #[test]
    fn a_session_gives_credentials_and_names() {
        let told = play(&SPEC, SESSION);
        assert_eq!(
            fields(&told),
            [
                "credential username=anna",
                "credential password=s3cret word",
                "content folder=Reindeer Games",
                "content text=notes.txt"
            ]
        );
        assert_eq!(banners(&told)[0], "greeting=220-Welcome");
    }

    #[test]
    fn auth_tls_is_handed_over_after_234_alone() {
        let turns: &[Turn<'_>] = &[
            (S, b"220 x FTP\r\n"),
            (C, b"AUTH TLS\r\n"),
            (S, b"504 no\r\n"),
            (C, b"AUTH TLS\r\n"),
            (S, b"234 go\r\n"),
        ];
        let told = play(&SPEC, turns);
        assert!(told.ends_with(&[Told::Handover(C, 20), Told::Handover(S, 27)]));
        assert!(!play(&SPEC, &turns[..3]).iter().any(|one| matches!(one, Told::Handover(..))));
        assert_split_invariant(&SPEC, turns);
    }

    #[test]
    fn a_gap_is_survived() {
        let told = play_gap(&SPEC, &SESSION[..1], C, 30, &[(C, b"torn\r\nUSER b\r\n")]);
        assert_eq!(fields(&told), ["credential username=b"]);
    }

    #[test]
    fn probe_needs_the_name_or_the_verbs() {
        assert_eq!(fit(&SPEC, b"", b"220 (vsFTPd 3.0.3)\r\n", S, 9), Fit::Certain);
        assert_eq!(
            fit(&SPEC, b"", b"220 ftp.example.org FTP server ready\r\n", S, 9),
            Fit::Certain
        );
        assert_eq!(fit(&SPEC, b"USER a\r\n", b"220 host\r\n", S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"CWD a\r\n", b"250 ok\r\n", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"220 host\r\n", S, 21), Fit::Plausible);
        assert_eq!(fit(&SPEC, b"", b"220", S, 21), Fit::Plausible);
        assert_eq!(fit(&SPEC, b"", b"22", S, 21), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"220 ftp.example.org ESMTP\r\n", S, 21), Fit::No);
        assert_eq!(
            fit(&SPEC, b"USER a\r\n", b"220 h Notification server ready.\r\n", S, 21),
            Fit::No
        );
        assert_eq!(fit(&SPEC, b"USER a\r\n", b"+OK\r\n", C, 21), Fit::No);
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
