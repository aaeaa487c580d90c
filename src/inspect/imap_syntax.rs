//! The words of IMAP: tags, literals, arguments, mailbox names, envelopes. RFC 3501 s9.

use crate::inspect::codes::{find, modified_utf7, number, quoted};
use crate::inspect::lines::{Line, Span};
use crate::inspect::talk::{Role, Say, encoding_of};
use crate::model::{Encoding, Field, Rule};

/// Arguments of a command that are kept.
pub(crate) const MAX_ARGUMENTS: usize = 16;

/// Addresses of one envelope that are told.
const MAX_ADDRESSES: u32 = 16;

/// Octets of a tag that are kept; a longer one is none.
pub(crate) const MAX_TAG: usize = 64;

/// A tag (RFC 3501 s9), but for marks that no client uses.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    (1..=MAX_TAG).contains(&tag.len())
        && tag.iter().all(|&b| b.is_ascii_alphanumeric() || b".:_-$/&@=".contains(&b))
}

/// A tag that tells IMAP from `AUTH LOGIN` and the like: with a digit in it, or very short.
pub(crate) fn is_likely_tag(tag: &[u8]) -> bool {
    is_tag(tag) && (tag.iter().any(u8::is_ascii_digit) || tag.len() <= 2)
}

/// `{n}` or `{n+}` at the end of a line (RFC 7888): the octets that follow.
pub(crate) fn literal_of(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}")?;
    let at = line.iter().rposition(|&b| b == b'{')?;
    let count = line.get(at.saturating_add(1)..)?;
    number(count.strip_suffix(b"+").unwrap_or(count))
}

/// An argument of a command or a response.
#[derive(Debug)]
pub(crate) struct Argument {
    /// Its octets, escapes undone.
    pub(crate) value: Vec<u8>,
    /// Where it stands.
    pub(crate) span: Span,
    /// How it was written.
    pub(crate) encoding: Encoding,
}

/// Tells a mailbox name, modified UTF-7 undone; a pattern of wildcards alone is none.
pub(crate) fn folder(who: Role, argument: Option<&Argument>, say: &mut Say<'_>) {
    let Some(Argument { value, span, encoding }) = argument else { return };
    if value.iter().all(|b| matches!(b, b'*' | b'%' | b'/' | b'.')) {
        return;
    }
    let (rule, field) = (Rule::Content, Field::FOLDER);
    match modified_utf7(value) {
        Some(name) => {
            say.decoded(who, rule, field, *span, name.as_bytes(), Encoding::ModifiedUtf7);
        }
        None => say.decoded(who, rule, field, *span, value, *encoding),
    }
}

/// Atoms and quoted strings of `text`, a part of `line`. Lists in brackets are left out.
pub(crate) fn parse_arguments(line: &Line<'_>, text: &[u8], arguments: &mut Vec<Argument>) {
    let mut rest = text.trim_ascii_start();
    let mut depth = 0u32;
    while let Some(&first) = rest.first() {
        let (value, part, after, encoding) = match first {
            b'(' | b')' => {
                depth =
                    if first == b'(' { depth.saturating_add(1) } else { depth.saturating_sub(1) };
                rest = rest.get(1..).unwrap_or_default().trim_ascii_start();
                continue;
            }
            b'"' => {
                let Some((value, after)) = quoted(rest, true) else { return };
                let len = rest.len().saturating_sub(after.len());
                let part = rest.get(1..len.saturating_sub(1)).unwrap_or_default();
                let encoding = if value == part { encoding_of(&value) } else { Encoding::Dialect };
                (value, part, after, encoding)
            }
            _ => {
                let end =
                    rest.iter().position(|b| matches!(b, b' ' | b'(' | b')')).unwrap_or(rest.len());
                let (part, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                (part.to_vec(), part, after, encoding_of(part))
            }
        };
        if depth == 0 && arguments.len() < MAX_ARGUMENTS {
            arguments.push(Argument { value, span: line.span_of(part), encoding });
        }
        rest = after.trim_ascii_start();
    }
}

/// Subject and addresses of an ENVELOPE (RFC 3501 s7.4.2): date, subject, then lists of (name route mailbox host).
pub(crate) fn envelope(line: &Line<'_>, text: &[u8], say: &mut Say<'_>) {
    let start = find(text, b"ENVELOPE (").map_or(0, |at| at.saturating_add(10));
    let mut rest = text.get(start..).unwrap_or_default();
    let mut depth = 1u32;
    let mut strings = 0u32;
    let mut addresses = 0u32;
    let mut parts: Vec<Option<&[u8]>> = Vec::new();
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b'(' => {
                depth = depth.saturating_add(1);
                parts.clear();
                rest = tail;
            }
            b')' => {
                if let (3, [_, _, Some(mailbox), Some(host)]) = (depth, parts.as_slice())
                    && addresses < MAX_ADDRESSES
                {
                    addresses = addresses.saturating_add(1);
                    address(line, mailbox, host, say);
                }
                parts.clear();
                depth = depth.saturating_sub(1);
                rest = tail;
                if depth == 0 {
                    return;
                }
            }
            b' ' => rest = tail,
            _ => {
                let Some((part, after)) = envelope_part(rest) else { return };
                if depth == 1 {
                    strings = strings.saturating_add(1);
                    if let (2, Some(subject)) = (strings, part) {
                        say.found(Role::Server, Rule::Content, Field::SUBJECT, line, subject);
                    }
                } else if parts.len() < 5 {
                    parts.push(part);
                }
                rest = after;
            }
        }
    }
}

/// A quoted string without its quotes, or `None` for an atom (`NIL`); and what follows.
fn envelope_part(text: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    if text.starts_with(b"\"") {
        let (_, after) = quoted(text, true)?;
        let len = text.len().saturating_sub(after.len());
        return Some((text.get(1..len.saturating_sub(1)), after));
    }
    let end = text.iter().position(|b| matches!(b, b' ' | b'(' | b')')).unwrap_or(text.len());
    Some((None, text.get(end..)?))
}

fn address(line: &Line<'_>, mailbox: &[u8], host: &[u8], say: &mut Say<'_>) {
    let value = [mailbox, &b"@"[..], host].concat();
    let mut span = line.span_of(mailbox);
    let end = line.span_of(host);
    let len = end.offset.saturating_add(u64::from(end.len)).saturating_sub(span.offset);
    span.len = u32::try_from(len).unwrap_or(u32::MAX);
    let (rule, field) = (Rule::Content, Field::ADDRESS);
    say.decoded(Role::Server, rule, field, span, &value, Encoding::Dialect);
}
