//! Telnet: a terminal in the clear. RFC 854, 855. Options are stripped; what is typed at a `login:` or `Password:` prompt
//! is read one octet at a time, as it is sent.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::inspect::talk::encoding_of;
use crate::model::{Chunk, Direction, Field, FrameSpan, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "telnet",
    standards: &["RFC 854", "RFC 855"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open: || Box::new(Telnet::default()),
};

const PORTS: &[u16] = &[23, 2323];

/// Octets of the last line of each side that are kept to find a prompt.
const MAX_TAIL: usize = 160;

/// Octets of what is typed that are kept.
const MAX_TYPED: usize = 256;

/// Octets of the opening that a probe reads for a prompt.
const MAX_PROBED: usize = 1024;

/// Octets of the opening likewise, away from Telnet's ports: a banner and a prompt fit.
const MAX_UNUSUAL: usize = 256;

/// RFC 854, "TELNET COMMAND STRUCTURE".
const IAC: u8 = 255;
const SB: u8 = 250;
const SE: u8 = 240;

/// The highest option number that hosts negotiate (IANA, telnet-options).
const MAX_OPTION: u8 = 49;

fn probe(opening: &Opening<'_>) -> Fit {
    let sides = [opening.orig, opening.resp];
    let fits = sides.map(side);
    if fits.contains(&Side::Strange) {
        return Fit::No;
    }
    let negotiations: usize =
        fits.iter().map(|side| if let Side::Negotiates(n) = side { *n } else { 0 }).sum();
    let prompts = sides.iter().any(|bytes| asks(&stripped(bytes)).is_some());
    let usual = opening.on_port(PORTS);
    let seen = opening.orig.len().saturating_add(opening.resp.len());
    let room = if usual { MAX_PROBED } else { MAX_UNUSUAL };
    match negotiations {
        2.. => Fit::Certain,
        1 if usual || prompts => Fit::Certain,
        1 => Fit::Plausible,
        _ if prompts => Fit::Plausible,
        _ if opening.more && seen < room => Fit::NeedMore,
        _ => Fit::No,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Empty,
    /// Begins with so many negotiations.
    Negotiates(usize),
    /// May become one of these.
    May,
    /// Neither.
    Strange,
}

fn side(bytes: &[u8]) -> Side {
    let mut rest = bytes;
    let mut count = 0;
    while let [IAC, 251..=254, 0..=MAX_OPTION, after @ ..] = rest {
        count += 1;
        rest = after;
    }
    match rest {
        _ if count > 0 => Side::Negotiates(count),
        [] => Side::Empty,
        [IAC] | [IAC, 251..=254] => Side::May,
        [IAC, ..] => Side::Strange,
        _ if is_other(rest) => Side::Strange,
        _ if rest.len() < MAX_PROBED && rest.iter().all(|&b| is_terminal(b)) => Side::May,
        _ => Side::Strange,
    }
}

/// Greetings and requests of protocols that are no terminal.
fn is_other(text: &[u8]) -> bool {
    let line = text.split(|&b| b == b'\n').next().unwrap_or_default();
    let code = line.get(..3).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
    code && line.len() > 3
        || [&b"SSH-"[..], b"+OK", b"-ERR", b"* ", b"HTTP/"]
            .iter()
            .any(|start| line.starts_with(start))
        || line.windows(6).any(|part| part == b" HTTP/")
}

/// An octet that a terminal shows or acts on.
const fn is_terminal(octet: u8) -> bool {
    octet >= 0x20 || matches!(octet, 0 | 7..=13 | 0x1b)
}

/// The text of a side without its options.
fn stripped(bytes: &[u8]) -> Vec<u8> {
    let mut strip = Strip::default();
    bytes.iter().copied().take(MAX_PROBED).filter_map(|octet| strip.next(octet)).collect()
}

/// What the last line of `text` asks for.
fn asks(text: &[u8]) -> Option<Field> {
    let line = text.rsplit(|&b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
    let line = line.trim_ascii_end().to_ascii_lowercase();
    if [&b"login:"[..], b"username:", b"user name:", b"user:", b"login as:"]
        .iter()
        .any(|end| line.ends_with(end))
    {
        Some(Field::USERNAME)
    } else if [&b"password:"[..], b"passwd:", b"passcode:", b"passphrase:"]
        .iter()
        .any(|end| line.ends_with(end))
        || line.starts_with(b"password for ") && line.ends_with(b":")
    {
        Some(Field::PASSWORD)
    } else {
        None
    }
}

/// Takes Telnet's commands out of a stream (RFC 854).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Strip {
    #[default]
    Text,
    Iac,
    Option,
    Sub,
    SubIac,
}

impl Strip {
    /// The octet, where it is text.
    fn next(&mut self, octet: u8) -> Option<u8> {
        let (state, text) = match (*self, octet) {
            (Self::Text, IAC) => (Self::Iac, None),
            (Self::Text, _) => (Self::Text, Some(octet)),
            (Self::Iac, IAC) => (Self::Text, Some(IAC)),
            (Self::Iac, SB) => (Self::Sub, None),
            (Self::Iac, 251..=254) => (Self::Option, None),
            (Self::Sub, IAC) => (Self::SubIac, None),
            (Self::SubIac, SE) | (Self::Iac | Self::Option, _) => (Self::Text, None),
            (Self::Sub | Self::SubIac, _) => (Self::Sub, None),
        };
        *self = state;
        text
    }
}

/// Where an octet lies in its stream and in the capture.
type Place = (u64, FrameSpan);

/// A run of text, and where it begins and ends.
#[derive(Debug, Default)]
struct Run {
    text: Vec<u8>,
    from: Option<Place>,
    to: Option<Place>,
}

impl Run {
    fn push(&mut self, octet: u8, place: Place, room: usize) {
        if self.text.len() < room {
            self.text.push(octet);
        }
        self.from.get_or_insert(place);
        self.to = Some(place);
    }

    fn tell(&self, dir: Direction, rule: Rule, field: Field, out: &mut dyn FnMut(Event<'_>)) {
        let (Some((offset, first)), Some((last, frames))) = (self.from, self.to) else { return };
        let value = self.text.as_slice();
        if value.is_empty() {
            return;
        }
        let len = u32::try_from(last.saturating_sub(offset)).unwrap_or(u32::MAX).saturating_add(1);
        let (frames, encoding) = (first.to(frames), encoding_of(value));
        out(Event::Found(Found { rule, field, value, dir, offset, len, frames, encoding }));
    }
}

/// One side of the terminal.
#[derive(Debug, Default)]
struct End {
    strip: Strip,
    /// The last line, as far as it has come.
    tail: Run,
    /// What is typed at a prompt of the other side, and what that asks for.
    entry: Option<(Field, Run)>,
}

#[derive(Debug, Default)]
struct Telnet {
    ends: [End; 2],
    greeted: bool,
}

impl Dialect for Telnet {
    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let [orig, resp] = &mut self.ends;
        let (own, other) = match dir {
            Direction::OrigToResp => (orig, resp),
            Direction::RespToOrig => (resp, orig),
        };
        match *chunk {
            Chunk::Data { offset, bytes, frames } => {
                for (&octet, at) in bytes.iter().zip(offset..) {
                    let Some(octet) = own.strip.next(octet) else { continue };
                    let place = (at, frames);
                    if own.entry.is_none()
                        && !octet.is_ascii_control()
                        && let Some(field) = asks(&other.tail.text)
                    {
                        greet(&mut self.greeted, &other.tail, dir.reverse(), out);
                        own.entry = Some((field, Run::default()));
                    }
                    if typed(own, dir, octet, place, out) {
                        other.tail = Run::default(); // the prompt was answered
                    }
                    if matches!(octet, b'\r' | b'\n') {
                        if dir == Direction::RespToOrig {
                            greet(&mut self.greeted, &own.tail, dir, out);
                        }
                        own.tail = Run::default();
                    } else {
                        show(&mut own.tail, octet, place);
                    }
                }
            }
            Chunk::Gap { .. } => *own = End::default(),
            Chunk::Alternate { .. } => {}
        }
    }
}

/// Tells the first line that is not blank, once.
fn greet(greeted: &mut bool, tail: &Run, dir: Direction, out: &mut dyn FnMut(Event<'_>)) {
    if !*greeted && !tail.text.trim_ascii().is_empty() {
        *greeted = true;
        tail.tell(dir, Rule::Banner, Field::GREETING, out);
    }
}

/// Takes an octet of what is typed; true where it ends an entry.
fn typed(
    own: &mut End,
    dir: Direction,
    octet: u8,
    place: Place,
    out: &mut dyn FnMut(Event<'_>),
) -> bool {
    let Some((field, entry)) = &mut own.entry else { return false };
    match octet {
        b'\r' | b'\n' => {
            entry.tell(dir, Rule::Credential, *field, out);
            own.entry = None;
            return true;
        }
        8 | 127 => {
            entry.text.pop();
        }
        0x15 => entry.text.clear(), // ^U
        0..=31 => {}
        _ => entry.push(octet, place, MAX_TYPED),
    }
    false
}

/// Adds an octet to the line that is shown; its last octets are kept.
fn show(tail: &mut Run, octet: u8, place: Place) {
    if tail.text.len() >= MAX_TAIL {
        tail.text.drain(..MAX_TAIL / 2);
    }
    match octet {
        8 => {
            tail.text.pop();
        }
        0 => {}
        _ => tail.push(octet, place, MAX_TAIL),
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
        (S, b"\xff\xfd\x18\xff\xfd\x20"),
        (C, b"\xff\xfb\x18\xff\xfc\x20"),
        (S, b"\xff\xfa\x18\x01\xff\xf0"),
        (C, b"\xff\xfa\x18\x00xterm\xff\xf0"),
        (S, b"\r\nDebian GNU/Linux 12\r\nhost login: "),
        (C, b"c"),
        (S, b"c"),
        (C, b"h"),
        (S, b"h"),
        (C, b"x"),
        (S, b"x"),
        (C, b"\x7f"),
        (S, b"\x08 \x08"),
        (C, b"\xff\xf1ris\r\0"),
        (S, b"ris\r\nPassword: "),
        (C, b"s3c"),
        (C, b"ret\r\0"),
        (S, b"\r\nLast login: Mon\r\n$ "),
        (C, b"ls\r\0"),
        (S, b"ls\r\n"),
    ];

    #[test]
    fn what_is_typed_at_the_prompts_is_read() {
        let told = play(&SPEC, SESSION);
        assert_eq!(fields(&told), ["credential username=chris", "credential password=s3cret"]);
        assert_eq!(banners(&told), ["greeting=Debian GNU/Linux 12"]);
        let Told::Found { offset, len, frames, .. } = &told[1] else { panic!("no user") };
        assert_eq!((*offset, *len, frames.first.number, frames.last), (17, 9, 6, 14));
    }

    #[test]
    fn a_failed_sign_on_is_read_again() {
        let told = play(
            &SPEC,
            &[
                (S, b"login: "),
                (C, b"a\r\n"),
                (S, b"Password: "),
                (C, b"b\r\n"),
                (S, b"\r\nLogin incorrect\r\nlogin: "),
                (C, b"c\r\n"),
            ],
        );
        assert_eq!(
            fields(&told),
            ["credential username=a", "credential password=b", "credential username=c"]
        );
    }

    #[test]
    fn a_gap_forgets_the_prompt_and_the_next_one_is_read() {
        let told = play_gap(
            &SPEC,
            &[(S, b"login: ")],
            S,
            20,
            &[(C, b"lost\r"), (S, b"\r\nlogin: "), (C, b"woz\r")],
        );
        assert_eq!(fields(&told), ["credential username=woz"]);
    }

    #[test]
    fn probe_is_certain_of_negotiations() {
        assert_eq!(fit(&SPEC, b"", SESSION[0].1, S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"\xff\xfb\x18", SESSION[0].1, S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"\xff\xfd\x18", S, 23), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"\xff\xfd\x18", S, 9), Fit::Plausible);
        assert_eq!(fit(&SPEC, b"", b"\r\nhost login: ", S, 23), Fit::Plausible);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"", b"\xff\xfd", S, 23), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"Welcome\r\n", S, 23), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"\xff\xfb\x90\x44", S, 23), Fit::No, "an MP3 frame");
        assert_eq!(fit(&SPEC, b"", b"\xff\xd8\xff\xe0", S, 23), Fit::No, "a JPEG");
        assert_eq!(fit(&SPEC, b"", b"220 host FTP\r\n", S, 23), Fit::No);
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
