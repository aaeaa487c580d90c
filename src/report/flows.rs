//! `tunnelcheck flows`: every conn with its class and findings. MISSION section 5.1.

use super::escape::{prose, terminal};
use super::parts::{ConnBody, CoverageBody, Finding};
use super::text::{color, end, table};
use super::{Format, Options, ReportError, json};
use crate::model::{ConnSummary, Coverage, Hit};
use comfy_table::{Cell, Color};
use serde::Serialize;
use std::io::{self, Write};

/// Findings shown of a conn in the text, unless everything is asked for.
const MAX_FINDINGS: usize = 6;

/// Lines of the text that are laid out as one table; the next ones begin another, so that a long list is written as it goes.
const MAX_ROWS: usize = 4096;

/// Octets of such lines, likewise.
const MAX_ROW_OCTETS: usize = 4 << 20;

/// Octets that are written at once.
const BUFFER: usize = 64 << 10;

/// One conn on a line.
#[derive(Serialize)]
struct ConnLine {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    conn: ConnBody,
}

/// The last line.
#[derive(Serialize)]
struct CoverageLine {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    coverage: CoverageBody,
    /// What was found in frames that belong to no conn.
    raw_findings: Vec<Finding>,
}

/// What follows the conns in the one object.
#[derive(Serialize)]
struct Rest {
    raw_findings: Vec<Finding>,
    coverage: CoverageBody,
}

/// Writes conns one by one as they are handed in, then what was found in frames outside conns, and the coverage. Holds one
/// conn, or in text some thousand lines.
///
/// `Format::Junit` makes no sense here and is written as text.
pub struct FlowsWriter<'w> {
    out: io::BufWriter<&'w mut dyn Write>,
    format: Format,
    options: &'w Options,
    conns: u64,
    rows: Vec<Row>,
    octets: usize,
}

impl<'w> FlowsWriter<'w> {
    /// Begins.
    ///
    /// # Errors
    /// `ReportError::Write` where `out` does not take it.
    pub fn new(
        format: Format,
        options: &'w Options,
        out: &'w mut dyn Write,
    ) -> Result<Self, ReportError> {
        let mut out = io::BufWriter::with_capacity(BUFFER, out);
        if format == Format::Json {
            let version = super::Document::SCHEMA_VERSION;
            write!(out, "{{\n  \"schema_version\": {version},\n  \"conns\": [")?;
        }
        Ok(Self { out, format, options, conns: 0, rows: Vec::new(), octets: 0 })
    }

    /// Writes the next conn.
    ///
    /// # Errors
    /// `ReportError::Write` where the output does not take it, `ReportError::Encode` where JSON cannot be made.
    pub fn conn(&mut self, conn: &ConnSummary) -> Result<(), ReportError> {
        let body = ConnBody::of(conn, self.options.show_secrets);
        match self.format {
            Format::Ndjson => json::line(&ConnLine { kind: "conn", conn: body }, &mut self.out)?,
            Format::Json => {
                let mut object = Vec::new();
                json::pretty(&body, &mut object)?;
                self.out.write_all(if self.conns == 0 { b"\n" } else { b",\n" })?;
                for (index, line) in
                    object.trim_ascii_end().split(|octet| *octet == b'\n').enumerate()
                {
                    self.out.write_all(if index == 0 { b"    " } else { b"\n    " })?;
                    self.out.write_all(line)?;
                }
            }
            Format::Text | Format::Junit => {
                let row = row(&body, self.options);
                self.octets += row.cells.iter().map(String::len).sum::<usize>();
                self.rows.push(row);
                if self.rows.len() >= MAX_ROWS || self.octets >= MAX_ROW_OCTETS {
                    self.rows()?;
                }
            }
        }
        self.conns += 1;
        Ok(())
    }

    /// Writes what was found in frames that belong to no conn, and the coverage.
    ///
    /// # Errors
    /// As for `conn`.
    pub fn finish(mut self, raw_hits: &[Hit], coverage: &Coverage) -> Result<(), ReportError> {
        let show = self.options.show_secrets;
        let raw_findings = raw_hits.iter().map(|hit| Finding::of(hit, show)).collect();
        let coverage = CoverageBody::of(coverage);
        match self.format {
            Format::Ndjson => {
                let line = CoverageLine { kind: "coverage", coverage, raw_findings };
                json::line(&line, &mut self.out)?;
            }
            Format::Json => {
                self.out.write_all(if self.conns == 0 { b"],\n" } else { b"\n  ],\n" })?;
                let mut object = Vec::new();
                json::pretty(&Rest { raw_findings, coverage }, &mut object)?;
                self.out.write_all(object.strip_prefix(b"{\n").unwrap_or(&object))?;
            }
            Format::Text | Format::Junit => {
                if self.conns == 0 || !self.rows.is_empty() {
                    self.rows()?;
                }
                summary(&raw_findings, &coverage, self.options, &mut self.out)?;
            }
        }
        self.out.flush()?;
        Ok(())
    }

    /// Writes the lines that wait, as a table of their own.
    fn rows(&mut self) -> Result<(), ReportError> {
        let header = ["conn", "orig -> resp", "dialect", "class", "octets", "found"];
        let mut table = table(&header, self.options);
        for Row { cells, class } in self.rows.drain(..) {
            table.add_row(cells.into_iter().zip(header).map(|(cell, name)| {
                let cell = Cell::new(cell);
                if name == "class" { cell.fg(class) } else { cell }
            }));
        }
        self.octets = 0;
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A conn in the text.
struct Row {
    cells: [String; 6],
    class: Color,
}

fn row(conn: &ConnBody, options: &Options) -> Row {
    let mut found: Vec<_> = listed(&conn.findings, options);
    found.extend(conn.remarks.iter().map(|remark| prose(remark).into_owned()));
    if !conn.encap.is_empty() {
        found.push(format!("in {}", conn.encap.join("/")));
    }
    if conn.missed_bytes > 0 {
        found.push(format!("{} octets missing", conn.missed_bytes));
    }
    if conn.midstream {
        found.push("open before the capture".to_owned());
    }
    Row {
        class: color(&conn.class),
        cells: [
            conn.uid.clone(),
            format!(
                "{} -> {} {}",
                end(&conn.orig.ip, conn.orig.port),
                end(&conn.resp.ip, conn.resp.port),
                conn.proto
            ),
            conn.dialect.unwrap_or("-").to_owned(),
            format!("{} ({})", conn.class, conn.basis),
            format!("{} / {}", conn.orig_bytes, conn.resp_bytes),
            found.join("\n"),
        ],
    }
}

fn summary(
    raw: &[Finding],
    coverage: &CoverageBody,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    if !raw.is_empty() {
        writeln!(out, "\nin frames of no conn: {}", listed(raw, options).join("; "))?;
    }
    writeln!(
        out,
        "\n{} frames; dropped: {}; cut: {}; octets missing: {}",
        coverage.frames, coverage.drops, coverage.truncated_frames, coverage.missed_bytes
    )?;
    for (why, frames) in &coverage.undecoded {
        writeln!(out, "not read: {frames} frames, {why}")?;
    }
    for cut in &coverage.inputs_cut {
        writeln!(out, "cut: {}", prose(cut))?;
    }
    Ok(())
}

/// Findings in words: `credential username "chris" by orig, frame 12`.
fn listed(findings: &[Finding], options: &Options) -> Vec<String> {
    let shown = if options.verbose { usize::MAX } else { MAX_FINDINGS };
    let mut lines: Vec<_> = findings
        .iter()
        .take(shown)
        .map(|it| {
            let what = it.label.as_deref().or(it.field).unwrap_or_default();
            let value = match (&it.value, it.length) {
                (Some(value), _) => format!(" \"{}\"", terminal(value)),
                (None, Some(length)) => format!(" ({length} octets)"),
                (None, None) => String::new(),
            };
            let dir = it.dir.as_ref().map(|dir| format!(" by {dir}")).unwrap_or_default();
            format!("{} {}{value}{dir}, frame {}", it.rule, prose(what), it.frame)
        })
        .collect();
    let more = findings.len().saturating_sub(shown);
    if more > 0 {
        lines.push(format!("and {more} more (-v)"));
    }
    lines
}
