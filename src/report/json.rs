//! JSON: one object, or one object a line. Every octet of the output is harmless for a terminal.

use super::body::Body;
use super::escape;
use super::{ReportError, body};
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// Writes one indented object.
pub(super) fn write(body: &Body, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut out = io::BufWriter::new(out);
    pretty(body, &mut out)?;
    out.flush()?;
    Ok(())
}

/// Writes one indented value.
pub(super) fn pretty(value: &impl Serialize, out: &mut dyn Write) -> Result<(), ReportError> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Safe(PrettyFormatter::new())))?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Writes one object a line: the run, then for each target its claims, conns, evidence, coverage and verdict.
pub(super) fn write_lines(body: &Body, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut out = io::BufWriter::new(out);
    body::lines(body, &mut |value| line(&value, &mut out))?;
    out.flush()?;
    Ok(())
}

/// Writes one value on a line of its own.
pub(super) fn line(value: &impl Serialize, out: &mut dyn Write) -> Result<(), ReportError> {
    value.serialize(&mut Serializer::with_formatter(
        &mut *out,
        Safe(serde_json::ser::CompactFormatter),
    ))?;
    out.write_all(b"\n")?;
    Ok(())
}

/// JSON leaves C1 and bidi controls as they are; here they are written `\uXXXX`.
struct Safe<F>(F);

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in text.char_indices() {
            if !escape::is_unsafe(c) {
                continue;
            }
            out.write_all(text.get(from..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            from = at + c.len_utf8();
        }
        out.write_all(text.get(from..).unwrap_or_default().as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.0.write_char_escape(out, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_escaped_and_read_back_as_they_were() {
        let text = "a\u{9b}b\u{202e}c\u{e0041}\u{7f}\"\\\n";
        let mut out = Vec::new();
        line(&text, &mut out).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert!(written.trim_end().chars().all(|c| !escape::is_unsafe(c)), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
