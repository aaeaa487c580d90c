//! The surroundings of a hit as `tcpdump -X` shows them, with secrets masked.
//!
//! Without `--show-secrets` an octet is shown only if it is known to be harmless: white space, a word of a protocol, a
//! banner. Whatever else stands near a hit may be a password or a letter, in any encoding, and is withheld.

use crate::model::{Direction, Hit, Rule, Uid};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Octets in a line, as `tcpdump -X` has them.
const LINE: usize = 16;

/// What stands for an octet of a secret that was found.
const FOUND: char = '#';

/// What stands for an octet that is withheld because nobody knows what it is.
const WITHHELD: char = '~';

/// What the two marks mean, for under a view.
pub(super) const LEGEND: &str = "## found, ~~ withheld; --show-secrets shows them";

/// Words that protocols are made of. They tell what was said, and nobody's name or secret.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    // Mail: POP3, SMTP, IMAP.
    "USER", "PASS", "APOP", "STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL", "CAPA", "STLS", "QUIT", "OK", "ERR",
    "HELO", "EHLO", "MAIL", "RCPT", "DATA", "FROM", "TO", "VRFY", "EXPN", "STARTTLS", "AUTH", "PLAIN", "LOGIN", "ESMTP", "SMTP",
    "LOGOUT", "CAPABILITY", "SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "LSUB", "STATUS", "APPEND",
    "FETCH", "STORE", "COPY", "UID", "SEARCH", "EXPUNGE", "CLOSE", "IDLE", "BODY", "FLAGS", "BAD", "NO", "BYE", "EXISTS",
    // News.
    "GROUP", "ARTICLE", "HEAD", "POST", "MODE", "READER", "AUTHINFO", "XOVER", "NEWGROUPS", "IHAVE",
    // DND and BlitzMail.
    "LOOKUP", "NAME", "EMAIL", "BLITZSERV", "BULLSERV", "DND", "FLIS", "FNAM", "FNEW", "FREM", "MSUM",
    "SUMM", "TEXT", "VERS", "PASE", "PREF", "NAMES", "INFO", "SEND", "TMSG", "TCRE",
    // The web and files.
    "GET", "PUT", "HEAD", "OPTIONS", "CONNECT", "PATCH", "HTTP", "Host", "Cookie", "Authorization", "Basic", "Bearer",
    "Content", "Type", "Length", "Agent", "Accept", "Server", "Date", "Connection", "FTP", "CWD", "PWD", "PORT", "PASV",
    "STOR", "TYPE", "SYST",
    // Headers of messages.
    "Subject", "Message", "Received", "Return", "Path", "Cc", "Bcc", "Reply", "MIME", "Version", "SSH",
];

/// One line of a view.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct DumpLine {
    /// Offset of the first octet, in the stream or in the frame.
    pub(super) offset: u64,
    /// Eight groups of two octets.
    pub(super) hex: String,
    /// The octets as ASCII, a dot for what is none.
    pub(super) ascii: String,
    /// Whether it holds an octet of the hit.
    pub(super) hit: bool,
}

/// What is known of the octets of a stream: by conn and direction, where secrets and banners lie.
#[derive(Debug, Default)]
pub(super) struct Marks {
    spans: HashMap<(Option<Uid>, Option<Direction>), Vec<Span>>,
    /// Secrets in lower case, sorted; a protocol's word that is one of them is not shown.
    secrets: Vec<Vec<u8>>,
    /// How many of them begin with a lower octet, for each octet and one more.
    starts: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    from: u64,
    to: u64,
    banner: bool,
}

impl Marks {
    /// Marks for these hits; `identifiers` are secrets wherever they stand.
    pub(super) fn of<'a>(
        hits: impl IntoIterator<Item = &'a Hit>,
        identifiers: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut marks = Self::default();
        marks.secrets.extend(identifiers.into_iter().map(|it| it.as_bytes().to_ascii_lowercase()));
        for hit in hits {
            let banner = hit.rule == Rule::Banner;
            // A value may be longer on the wire than as meant; a banner must not be, or it would show what follows it.
            let len = if banner {
                hit.value_len.min(hit.excerpt.len)
            } else {
                hit.value_len.max(hit.excerpt.len)
            };
            marks.spans.entry((hit.uid, hit.dir)).or_default().push(Span {
                from: hit.offset,
                to: hit.offset.saturating_add(len as u64),
                banner,
            });
            if matches!(hit.rule, Rule::Identifier | Rule::Credential) && !hit.value.is_empty() {
                marks.secrets.push(hit.value.to_ascii_lowercase());
            }
        }
        marks.secrets.sort_unstable();
        marks.secrets.dedup();
        let below = |octet: u16| {
            marks.secrets.partition_point(|it| it.first().is_none_or(|it| u16::from(*it) < octet))
        };
        marks.starts = (0..=256).map(below).collect();
        marks
    }

    /// The secrets that begin with these two octets, whatever their case.
    fn beginning_with(&self, first: u8, second: u8) -> &[Vec<u8>] {
        let [first, second] = [first, second].map(|octet| octet.to_ascii_lowercase());
        let start = |at: usize| self.starts.get(at).copied().unwrap_or_default();
        let (from, to) = (start(usize::from(first)), start(usize::from(first) + 1));
        let begun = self.secrets.get(from..to).unwrap_or_default();
        let from = begun.partition_point(|it| it.get(1) < Some(&second));
        let begun = begun.get(from..).unwrap_or_default();
        begun.get(..begun.partition_point(|it| it.get(1) == Some(&second))).unwrap_or_default()
    }

    /// What may be shown of the surroundings of a hit.
    fn shown(&self, hit: &Hit, first: u64) -> Vec<Octet> {
        let bytes = &hit.excerpt.bytes;
        let mut octets = vec![Octet::Withheld; bytes.len()];
        for (octet, value) in octets.iter_mut().zip(bytes) {
            if matches!(value, b' ' | b'\t' | b'\r' | b'\n' | 0) {
                *octet = Octet::Shown;
            }
        }
        for (from, to) in words(bytes) {
            let word = bytes.get(from..to).unwrap_or_default();
            let is_secret = || self.secrets.binary_search(&word.to_ascii_lowercase()).is_ok();
            // A letter has such words too: in another case than the protocol's they show at the start of a line alone.
            let first = starts_line(bytes, from);
            let is_known = first && word.len() == 3 && word.iter().all(u8::is_ascii_digit)
                || WORDS
                    .iter()
                    .map(|known| known.as_bytes())
                    .any(|known| known == word || first && known.eq_ignore_ascii_case(word));
            if is_known && !is_secret() {
                // The mark that belongs to the word: `+OK`, `250-`, `From:`, `HTTP/`.
                let is_mark =
                    |at: usize| bytes.get(at).is_some_and(|octet| b"+-:/".contains(octet));
                let before = from.checked_sub(1).filter(|at| is_mark(*at)).unwrap_or(from);
                set(&mut octets, before, if is_mark(to) { to + 1 } else { to }, Octet::Shown);
            }
        }
        let spans = self.spans.get(&(hit.uid, hit.dir)).map(Vec::as_slice).unwrap_or_default();
        let own_stream = !hit.out_of_stream;
        for banners in [true, false] {
            for span in spans.iter().filter(|span| span.banner == banners && own_stream) {
                let (Some(from), Some(to)) = (index(span.from, first), index(span.to, first))
                else {
                    continue;
                };
                let octet = if banners { Octet::Shown } else { Octet::Found };
                set(&mut octets, from, to, octet);
            }
            // The text of a secret is one wherever it stands, in a banner too.
            if banners {
                self.hide_secrets(bytes, &mut octets);
            }
        }
        if hit.rule != Rule::Banner {
            set(
                &mut octets,
                hit.excerpt.start,
                hit.excerpt.start.saturating_add(hit.excerpt.len),
                Octet::Found,
            );
        }
        octets
    }

    fn hide_secrets(&self, bytes: &[u8], octets: &mut [Octet]) {
        for (at, pair) in bytes.windows(2).enumerate() {
            let &[first, second] = pair else { continue };
            for secret in self.beginning_with(first, second) {
                let to = at + secret.len();
                if bytes.get(at..to).is_some_and(|octets| octets.eq_ignore_ascii_case(secret)) {
                    set(octets, at, to, Octet::Found);
                }
            }
        }
    }
}

/// Where an offset of the stream lies in an excerpt that begins at `first`; 0 for what lies in front of it.
fn index(offset: u64, first: u64) -> Option<usize> {
    usize::try_from(offset.saturating_sub(first)).ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Octet {
    Shown,
    Found,
    Withheld,
}

fn set(octets: &mut [Octet], from: usize, to: usize, octet: Octet) {
    let to = to.min(octets.len());
    if let Some(range) = octets.get_mut(from..to) {
        range.fill(octet);
    }
}

/// Runs of letters and digits.
fn words(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut from = None;
    for (at, octet) in bytes.iter().chain(std::iter::once(&b' ')).enumerate() {
        match (octet.is_ascii_alphanumeric() || *octet >= 0x80, from) {
            (true, None) => from = Some(at),
            (false, Some(start)) => {
                words.push((start, at));
                from = None;
            }
            _ => {}
        }
    }
    words
}

fn starts_line(bytes: &[u8], at: usize) -> bool {
    at == 0 || at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\n')
}

/// The surroundings of a hit.
pub(super) fn dump(hit: &Hit, marks: &Marks, show_secrets: bool) -> Vec<DumpLine> {
    let excerpt = &hit.excerpt;
    let first = hit.offset.saturating_sub(excerpt.start as u64);
    let shown = if show_secrets {
        vec![Octet::Shown; excerpt.bytes.len()]
    } else {
        marks.shown(hit, first)
    };
    let octets: Vec<_> = excerpt.bytes.iter().copied().zip(shown).collect();
    let within = excerpt.start..excerpt.start.saturating_add(excerpt.len);
    octets
        .chunks(LINE)
        .zip((0_u64..).step_by(LINE))
        .zip((0_usize..).step_by(LINE))
        .map(|((line, offset), from)| DumpLine {
            offset: first.saturating_add(offset),
            hex: hex(line),
            ascii: line.iter().map(|(value, octet)| ascii(*value, *octet)).collect(),
            hit: from < within.end && from + line.len() > within.start,
        })
        .collect()
}

fn hex(line: &[(u8, Octet)]) -> String {
    let mut text = String::with_capacity(LINE * 5 / 2);
    for (n, (value, octet)) in line.iter().enumerate() {
        if n > 0 && n % 2 == 0 {
            text.push(' ');
        }
        match octet {
            // Writing to a String cannot fail.
            Octet::Shown => _ = write!(text, "{value:02x}"),
            Octet::Found => text.extend([FOUND; 2]),
            Octet::Withheld => text.extend([WITHHELD; 2]),
        }
    }
    text
}

fn ascii(value: u8, octet: Octet) -> char {
    match octet {
        Octet::Shown if matches!(value, 0x20..=0x7e) => char::from(value),
        Octet::Shown => '.',
        Octet::Found => FOUND,
        Octet::Withheld => WITHHELD,
    }
}

impl std::fmt::Display for DumpLine {
    /// `> 0x0010:  5553 4552 20## ####  USER ###`, the mark in front where the line holds the hit.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.hit { '>' } else { ' ' };
        write!(f, "{mark} {:#06x}:  {:<39}  {}", self.offset, self.hex, self.ascii)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Encoding, Excerpt, Field, FrameSpan};
    use proptest::prelude::*;

    fn hit_in(stream: &[u8], rule: Rule, field: Field, at: usize, len: usize) -> Hit {
        Hit {
            uid: Some(Uid(1)),
            rule,
            field: Some(field),
            label: None,
            value: stream[at..at + len].to_vec(),
            value_len: len,
            dialect: Some("pop3"),
            dir: Some(Direction::OrigToResp),
            offset: at as u64,
            frames: FrameSpan::default(),
            encoding: Encoding::Ascii,
            excerpt: Excerpt::around(stream, at, len),
            chance: None,
            in_ciphertext: false,
            out_of_stream: false,
        }
    }

    fn lines(hit: &Hit, hits: &[Hit], show_secrets: bool) -> Vec<String> {
        let marks = Marks::of(hits, ["jsmith"]);
        dump(hit, &marks, show_secrets).iter().map(ToString::to_string).collect()
    }

    const POP: &[u8] = b"USER chris\r\nPASS hunter2\r\nSTAT\r\n";

    #[test]
    fn protocol_words_show_and_values_do_not() {
        let user = hit_in(POP, Rule::Credential, Field::USERNAME, 5, 5);
        assert_eq!(
            lines(&user, std::slice::from_ref(&user), false),
            [
                "> 0x0000:  5553 4552 20## #### #### 0d0a 5041 5353  USER #####..PASS",
                "  0x0010:  20~~ ~~~~ ~~~~ ~~~~ 0d0a 5354 4154 0d0a   ~~~~~~~..STAT..",
            ]
        );
    }

    #[test]
    fn a_value_found_nearby_is_masked_as_found() {
        let user = hit_in(POP, Rule::Credential, Field::USERNAME, 5, 5);
        let pass = hit_in(POP, Rule::Credential, Field::PASSWORD, 17, 7);
        assert!(lines(&user, &[user.clone(), pass], false)[1].ends_with(" #######..STAT.."));
    }

    #[test]
    fn everything_shows_where_secrets_are_asked_for() {
        let user = hit_in(POP, Rule::Credential, Field::USERNAME, 5, 5);
        assert_eq!(
            lines(&user, &[], true)[1],
            "  0x0010:  2068 756e 7465 7232 0d0a 5354 4154 0d0a   hunter2..STAT.."
        );
    }

    #[test]
    fn a_banner_shows_but_for_an_identifier_in_it() {
        let stream = b"220 jsmith's DND is here.\r\n";
        let banner = hit_in(stream, Rule::Banner, Field::GREETING, 0, 25);
        assert_eq!(
            lines(&banner, std::slice::from_ref(&banner), false),
            [
                "> 0x0000:  3232 3020 #### #### #### 2773 2044 4e44  220 ######'s DND",
                "> 0x0010:  2069 7320 6865 7265 2e0d 0a               is here...",
            ]
        );
    }

    #[test]
    fn the_mark_of_a_word_shows() {
        let stream = b"+OK jsmith has 1 message.\r\nFrom: a\r\n";
        let name = hit_in(stream, Rule::Identifier, Field::NAME, 4, 6);
        let shown = lines(&name, std::slice::from_ref(&name), false);
        assert!(shown[0].ends_with("+OK ###### ~~~ ~"), "{shown:?}");
        assert!(shown[1].ends_with(" ~~~~~~~~..From:"), "{shown:?}");
    }

    #[test]
    fn a_word_that_is_a_secret_does_not_show() {
        let stream = b"USER login\r\nPASS login\r\n";
        let user = hit_in(stream, Rule::Credential, Field::USERNAME, 5, 5);
        let shown = lines(&user, std::slice::from_ref(&user), false).concat();
        assert!(!shown.contains("login"), "{shown}");
    }

    #[test]
    fn encoded_surroundings_are_withheld() {
        let stream = b"AUTH PLAIN AGpzbWl0aABodW50ZXIy\r\n";
        let user = hit_in(stream, Rule::Identifier, Field::USERNAME, 12, 8);
        let shown = lines(&user, std::slice::from_ref(&user), false).concat();
        assert!(shown.contains("AUTH") && shown.contains("PLAIN"), "{shown}");
        assert!(!shown.contains("Bod") && !shown.contains("ZXIy"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_word_of_a_letter_shows(word in "[a-z]{9,12}", at in 0_usize..40) {
            let stream = format!("Subject: a word {word} and jsmith\r\n");
            let bytes = stream.as_bytes();
            let at = at.min(bytes.len() - 1);
            let hit = hit_in(bytes, Rule::Identifier, Field::TEXT, at, 1);
            let shown = lines(&hit, std::slice::from_ref(&hit), false).concat();
            prop_assert!(!shown.contains(&word) && !shown.contains("jsmith"));
        }

        #[test]
        fn any_hit_makes_a_view(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            start: usize, len: usize, offset: u64, value_len: usize, banner: bool, show: bool,
        ) {
            let mut hit = hit_in(b"x", Rule::Identifier, Field::TEXT, 0, 1);
            hit.rule = if banner { Rule::Banner } else { Rule::Credential };
            hit.excerpt = Excerpt { bytes, start, len };
            (hit.offset, hit.value_len) = (offset, value_len);
            prop_assert!(lines(&hit, std::slice::from_ref(&hit), show).len() <= 300 / LINE + 1);
        }
    }
}
