//! A message (RFC 5322) inside a mail protocol: its envelope headers, the first line of its text, a PGP body.

use crate::inspect::codes;
use crate::inspect::lines::{Ends, Input, Item, Line, LineReader, Raw, Span};
use crate::inspect::talk::{Role, Say, encoding_of};
use crate::model::{Encoding, Field, Rule};

/// Remark: the content is sealed, the envelope is not.
pub(crate) const PGP: &str = "PGP message with a readable envelope";

/// Octets of a folded header that are kept.
const MAX_HEADER: usize = 1024;

/// Headers told for one message.
const MAX_FIELDS: u8 = 16;

/// Headers that tell who writes to whom about what.
const HEADERS: &[(&str, Field)] = &[
    ("From", Field::ADDRESS),
    ("To", Field::ADDRESS),
    ("Cc", Field::ADDRESS),
    ("Bcc", Field::ADDRESS),
    ("Reply-To", Field::ADDRESS),
    ("Sender", Field::ADDRESS),
    ("Subject", Field::SUBJECT),
    ("Newsgroups", Field::FOLDER),
];

#[derive(Debug)]
struct Header {
    field: Field,
    value: Vec<u8>,
    span: Span,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Head,
    Body,
    Told,
}

/// Reads one message line by line.
#[derive(Debug, Default)]
pub(crate) struct Message {
    part: Part,
    pending: Option<Header>,
    fields: u8,
}

impl Message {
    /// A message without headers: a body alone.
    pub(crate) const fn body() -> Self {
        Self { part: Part::Body, pending: None, fields: 0 }
    }

    /// Octets of memory held beside its own.
    pub(crate) fn held(&self) -> usize {
        self.pending.as_ref().map_or(0, |header| header.value.capacity())
    }

    /// Nothing more is told of it, but where a line says that PGP begins (with a hyphen).
    pub(crate) fn is_told(&self) -> bool {
        self.part == Part::Told
    }

    /// Takes a line; `text` is it without the dot that a protocol has added.
    pub(crate) fn line(&mut self, role: Role, line: &Line<'_>, text: &[u8], say: &mut Say<'_>) {
        if text.starts_with(b"-----BEGIN PGP MESSAGE-----") {
            self.finish(role, say);
            self.part = Part::Told;
            say.remark(PGP);
        }
        match self.part {
            Part::Head => self.head(role, line, text, say),
            Part::Body if text.trim_ascii().is_empty() || text.starts_with(b"--") => {}
            Part::Body => {
                self.part = Part::Told;
                say.found(role, Rule::Content, Field::TEXT, line, text);
            }
            Part::Told => {}
        }
    }

    /// The message is at its end.
    pub(crate) fn finish(&mut self, role: Role, say: &mut Say<'_>) {
        let Some(Header { field, value, span }) = self.pending.take() else { return };
        match codes::rfc2047(&value) {
            Some(decoded) => {
                say.decoded(role, Rule::Content, field, span, &decoded, Encoding::Rfc2047);
            }
            None => {
                say.decoded(role, Rule::Content, field, span, &value, encoding_of(&value));
            }
        }
    }

    fn head(&mut self, role: Role, line: &Line<'_>, text: &[u8], say: &mut Say<'_>) {
        if text.is_empty() {
            self.finish(role, say);
            self.part = Part::Body;
            return;
        }
        if matches!(text.first(), Some(b' ' | b'\t')) {
            self.unfold(line, text);
            return;
        }
        self.finish(role, say);
        let Some((name, value)) = header(text) else {
            self.part = Part::Told; // no header at all: a body, or a part of one
            say.found(role, Rule::Content, Field::TEXT, line, text);
            return;
        };
        let wanted = HEADERS.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        if let Some(&(_, field)) = wanted
            && self.fields < MAX_FIELDS
        {
            self.fields = self.fields.saturating_add(1);
            let value = value.get(..MAX_HEADER).unwrap_or(value);
            self.pending = Some(Header { field, value: value.to_vec(), span: line.span_of(value) });
        }
    }

    fn unfold(&mut self, line: &Line<'_>, text: &[u8]) {
        let Some(header) = &mut self.pending else { return };
        let text = text.trim_ascii();
        if header.value.len().saturating_add(text.len()) < MAX_HEADER {
            header.value.push(b' ');
            header.value.extend_from_slice(text);
            let part = line.span_of(text);
            let end = part.offset.saturating_add(u64::from(part.len));
            let len = end.saturating_sub(header.span.offset);
            header.span.len = u32::try_from(len).unwrap_or(u32::MAX);
            header.span.frames = header.span.frames.to(line.frames);
        }
    }
}

/// Reads one message that comes as a counted run of octets, with any line ends.
#[derive(Debug)]
pub(crate) struct RawMessage {
    reader: LineReader,
    message: Message,
}

impl RawMessage {
    /// At the first octet of the run.
    pub(crate) const fn new(message: Message) -> Self {
        Self { reader: LineReader::new(Ends::CrOrLf), message }
    }

    /// Octets of memory held beside its own.
    pub(crate) fn held(&self) -> usize {
        self.reader.held() + self.message.held()
    }

    /// Takes a part of the run; the last one ends the message.
    pub(crate) fn raw(&mut self, role: Role, raw: &Raw<'_>, say: &mut Say<'_>) {
        let mut input = Input { bytes: raw.bytes, offset: raw.offset, frames: raw.frames };
        loop {
            if self.message.is_told() {
                self.reader.skim(&mut input, [b'-'; 3]);
            }
            let Some(item) = self.reader.next(&mut input) else { break };
            if let Item::Line(line) = item {
                self.message.line(role, &line, line.bytes, say);
            }
        }
        if raw.left == 0 {
            if let Some(line) = self.reader.half() {
                self.message.line(role, &line, line.bytes, say);
            }
            self.message.finish(role, say);
        }
    }

    /// Octets of the run are missing.
    pub(crate) fn gap(&mut self) {
        self.reader.gap(0);
    }
}

/// `Name: value` of a header line (RFC 5322 s2.2).
fn header(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().position(|&b| b == b':')?;
    let (name, value) = text.split_at_checked(colon)?;
    let is_name = !name.is_empty() && name.iter().all(|b| matches!(b, 33..=57 | 59..=126));
    is_name.then(|| (name, value.get(1..).unwrap_or_default().trim_ascii()))
}
