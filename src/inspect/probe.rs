//! What the probes of the text protocols share: both ways of reading an opening, its lines, counts of fitting lines.

use crate::inspect::codes::{index_of, word};
use crate::inspect::dialect::{Fit, Opening};
use crate::model::Direction;

/// Lines of one direction that a probe looks at.
const MAX_LINES: usize = 64;

/// An opening, read with one of its ends as the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// First octets by the client.
    pub(crate) client: &'a [u8],
    /// First octets by the server.
    pub(crate) server: &'a [u8],
    /// The server spoke first, of what was seen.
    pub(crate) server_first: bool,
    /// One end has a usual port of the protocol.
    pub(crate) usual: bool,
    /// More may come.
    pub(crate) more: bool,
}

impl View<'_> {
    /// What an opening is that fits so far, but is not enough.
    pub(crate) const fn undecided(&self) -> Fit {
        if self.more { Fit::NeedMore } else { Fit::No }
    }

    /// What an opening is that other protocols could share: settled by the port where nothing more comes.
    pub(crate) const fn by_port(&self) -> Fit {
        if self.usual { Fit::Plausible } else { self.undecided() }
    }

    /// Nothing was seen that tells.
    pub(crate) const fn is_empty(&self) -> bool {
        self.client.is_empty() && self.server.is_empty()
    }
}

/// The better of both readings: who opened a conn is a guess where its beginning was not seen.
pub(crate) fn either_way(
    opening: &Opening<'_>,
    ports: &[u16],
    fit: impl Fn(&View<'_>) -> Fit,
) -> Fit {
    let view = |client: Direction| View {
        client: opening.of(client),
        server: opening.of(client.reverse()),
        server_first: opening.first != client,
        usual: opening.on_port(ports),
        more: opening.more,
    };
    let views = Direction::BOTH.map(view);
    if views.iter().any(View::is_empty) {
        return if opening.more { Fit::NeedMore } else { Fit::No };
    }
    views.iter().map(fit).max().unwrap_or(Fit::No)
}

/// The lines of `bytes` without their ends, each with whether it is whole.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    bytes.split_inclusive(|&b| b == b'\n').take(MAX_LINES).map(|line| {
        match line.strip_suffix(b"\n") {
            Some(whole) => (whole.strip_suffix(b"\r").unwrap_or(whole), true),
            // Half of its end may be there.
            None => (line.strip_suffix(b"\r").unwrap_or(line), false),
        }
    })
}

/// The first line and whether it is whole; an empty one where there is none.
pub(crate) fn first_line(bytes: &[u8]) -> (&[u8], bool) {
    lines(bytes).next().unwrap_or((&[], false))
}

/// How the lines of a client fit a list of verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verbs {
    /// Whole lines that begin with a verb.
    pub(crate) fitting: u32,
    /// Different verbs among them.
    pub(crate) distinct: u32,
    /// Whole lines that begin with none.
    pub(crate) strange: u32,
    /// The first line is a verb's line, or the beginning of one.
    pub(crate) first: bool,
}

/// Counts the lines of `client` that begin with one of `verbs` (case not counted).
pub(crate) fn count(client: &[u8], verbs: &[&str]) -> Verbs {
    let mut seen = 0u128;
    let mut found = Verbs::default();
    for (at, (line, whole)) in lines(client).enumerate() {
        let (verb, _) = word(line);
        let index = index_of(verbs, verb);
        if at == 0 {
            found.first = index.is_some() || (!whole && begins_one(verbs, line));
        }
        match index {
            _ if !whole => {}
            Some(index) => {
                found.fitting = found.fitting.saturating_add(1);
                seen |= 1u128.checked_shl(u32::try_from(index).unwrap_or(0)).unwrap_or_default();
            }
            None => found.strange = found.strange.saturating_add(1),
        }
    }
    found.distinct = seen.count_ones();
    found
}

/// Whether `text` is a verb's beginning.
pub(crate) fn begins_one(verbs: &[&str], text: &[u8]) -> bool {
    verbs.iter().any(|verb| {
        verb.as_bytes().get(..text.len()).is_some_and(|part| part.eq_ignore_ascii_case(text))
    })
}

/// Whether the first octets of `bytes` are `wanted`, or may become so.
pub(crate) fn begins(bytes: &[u8], wanted: &[u8]) -> Fit {
    let len = bytes.len().min(wanted.len());
    match (bytes.get(..len), wanted.get(..len)) {
        (Some(seen), Some(part)) if seen == part => {
            if len == wanted.len() {
                Fit::Certain
            } else {
                Fit::NeedMore
            }
        }
        _ => Fit::No,
    }
}

/// Whether a greeting has a word for which `is` holds. Words end at white space and lose their brackets; the last word
/// of a line that is not `whole` may go on, and is none yet.
pub(crate) fn has_word(text: &[u8], whole: bool, is: impl Fn(&[u8]) -> bool) -> bool {
    let end = if whole {
        text.len()
    } else {
        text.iter().rposition(u8::is_ascii_whitespace).unwrap_or(0)
    };
    text.get(..end).unwrap_or_default().split(u8::is_ascii_whitespace).any(|word| {
        let from = word.iter().position(u8::is_ascii_alphanumeric).unwrap_or(word.len());
        let to = word
            .iter()
            .rposition(u8::is_ascii_alphanumeric)
            .map_or(from, |at| at.saturating_add(1));
        is(word.get(from..to).unwrap_or_default())
    })
}

/// Whether a word is one of `names`, case not counted.
pub(crate) fn is_one_of(word: &[u8], names: &[&str]) -> bool {
    names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use crate::inspect::dialect::{ALL, Fit, Opening};
    use crate::inspect::script::{C, S, Turn};
    use crate::model::Proto;

    /// Name, the port of resp, and how the conn opens.
    const OPENINGS: &[(&str, u16, &[Turn<'_>])] = &[
        ("dnd", 902, &[(S, b"220 DND server here.\r\n"), (C, b"LOOKUP woz,NAME\r\n")]),
        (
            "dnd",
            25,
            &[
                (C, b"LOOKUP woz,NAME EMAIL\r\n"),
                (S, b"101 1 2\r\n110 a b\r\n110 c@d\r\n200 Ok.\r\n"),
            ],
        ),
        (
            "blitzmail",
            2151,
            &[(C, b"VERS BlitzMail 2.6\r\n"), (S, b"010 BlitzServ 3.6\r\n"), (C, b"USER woz\r\n")],
        ),
        (
            "blitzmail",
            21,
            &[
                (C, b"VERS x\r\n"),
                (S, b"010 Ok.\r\n"),
                (C, b"UID# 60591\r\n"),
                (S, b"033 240147326165005023201134\r\n"),
            ],
        ),
        (
            "bulletins",
            1119,
            &[
                (S, b"200 newshost ready\r\n"),
                (C, b"UID# 60591\r\n"),
                (S, b"300 240147326165005023201134\r\n"),
            ],
        ),
        ("pop3", 2003, &[(S, b"+OK BlitzMail POP3 Server Ready.\r\n")]),
        ("pop3", 110, &[(S, b"+OK\r\n"), (C, b"USER chris\r\n")]),
        ("imap", 143, &[(S, b"* OK ready\r\n")]),
        ("imap", 993, &[(C, b"a1 LOGIN a b\r\n"), (S, b"a1 OK in\r\n")]),
        ("smtp", 25, &[(S, b"220 ftp.example.org ESMTP Postfix\r\n")]),
        ("smtp", 9025, &[(S, b"220 mail.example.org ready\r\n"), (C, b"EHLO laptop\r\n")]),
        ("smtp", 24, &[(S, b"220 a LMTP\r\n"), (C, b"LHLO laptop\r\n")]),
        ("ftp", 21, &[(S, b"220 smtp.example.org FTP server ready\r\n")]),
        (
            "ftp",
            9021,
            &[
                (S, b"220-FileZilla Server\r\n220 hi\r\n"),
                (C, b"USER anna\r\n"),
                (S, b"331 pw\r\n"),
            ],
        ),
        ("nntp", 119, &[(S, b"200 news.example.org InterNetNews NNRP server\r\n")]),
        ("nntp", 9119, &[(S, b"200 hello\r\n"), (C, b"MODE READER\r\n")]),
        ("telnet", 23, &[(S, b"\xff\xfd\x18\xff\xfd\x20"), (C, b"\xff\xfb\x18")]),
        ("ssh", 22, &[(S, b"SSH-2.0-OpenSSH_9.9\r\n"), (C, b"SSH-2.0-x\r\n")]),
        ("ssh", 110, &[(S, b"SSH-2.0-OpenSSH_9.9\r\n"), (C, b"SSH-2.0-x\r\n")]),
    ];

    /// However the octets trickle in, no other protocol is ever certain, and at the end this one is.
    #[test]
    fn each_opening_is_taken_by_its_own_dialect_alone() {
        for &(name, port, turns) in OPENINGS {
            let mut seen = [Vec::new(), Vec::new()];
            let mut last = Vec::new();
            for (dir, text) in turns {
                for octet in *text {
                    seen[dir.index()].push(*octet);
                    let [orig, resp] = &seen;
                    let (first, more) = (turns[0].0, true);
                    let opening =
                        Opening { orig, resp, orig_port: 49158, resp_port: port, first, more };
                    last = ALL
                        .iter()
                        .filter(|spec| {
                            spec.proto == Proto::TCP && (spec.probe)(&opening) == Fit::Certain
                        })
                        .map(|spec| spec.name)
                        .collect();
                    assert!(
                        last.iter().all(|taken| *taken == name),
                        "{last:?} took {name} on {port} at {:?} / {:?}",
                        String::from_utf8_lossy(orig),
                        String::from_utf8_lossy(resp)
                    );
                }
            }
            assert_eq!(last, [name], "on {port}");
        }
    }
}
