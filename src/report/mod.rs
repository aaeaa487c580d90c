//! Judgement -> `Document` -> octets of one of the formats.
//!
//! In: a judgement and what it rests on. Out: text, json, ndjson, junit.
//! Never: stdout, files, the terminal, an octet of traffic that is not escaped.

mod body;
mod bypass;
mod document;
mod error;
pub mod escape;
mod flows;
mod hexdump;
mod json;
mod junit;
mod parts;
mod text;
mod window;

#[cfg(test)]
mod tests;

pub use document::{CommandRun, Document, Facts};
pub use error::ReportError;
pub use flows::FlowsWriter;

pub use body::masked as mask;

use body::{Body, Most};
use std::io::Write;

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For a person at a terminal.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// JUnit's XML, one test case a claim.
    Junit,
}

/// What a report shows, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Show values and octets of what was found.
    pub show_secrets: bool,
    /// Colour (text only).
    pub color: bool,
    /// Columns of the terminal (text only); 0: `Options::WIDTH`.
    pub width: u16,
    /// Show also what needs no attention (text only).
    pub verbose: bool,
}

impl Options {
    /// Columns where nobody says how many there are.
    pub const WIDTH: u16 = 100;
}

impl Default for Options {
    fn default() -> Self {
        Self { show_secrets: false, color: false, width: Self::WIDTH, verbose: false }
    }
}

/// Writes one indented JSON value, harmless for a terminal.
///
/// # Errors
/// `ReportError::Write` where `out` does not take it, `ReportError::Encode` where JSON cannot be made.
pub fn write_value(value: &impl serde::Serialize, out: &mut dyn Write) -> Result<(), ReportError> {
    json::pretty(value, out)
}

/// Writes a document.
///
/// # Errors
/// `ReportError::Write` where `out` does not take it, `ReportError::Encode` where JSON cannot be made.
pub fn write(
    doc: &Document<'_>,
    format: Format,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let most = if format == Format::Text && !options.verbose { Most::TEXT } else { Most::ALL };
    let body = Body::of(doc, options, most);
    match format {
        Format::Text => text::write(&body, options, out),
        Format::Json => json::write(&body, out),
        Format::Ndjson => json::write_lines(&body, out),
        Format::Junit => junit::write(&body, out),
    }
}
