//! `tunnelcheck flows`: every conn with its class and findings. MISSION section 5.1.

use super::escape::{prose, terminal};
use super::parts::{ConnBody, CoverageBody, Finding};
use super::text::{color, end, table};
use super::{Format, Options, ReportError, json};
use crate::model::{ConnSummary, Coverage, Hit};
use comfy_table::Cell;
use serde::Serialize;
use std::io::{self, Write};

/// Findings shown of a conn in the text, unless everything is asked for.
const MAX_FINDINGS: usize = 6;

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

/// All of it as one object.
#[derive(Serialize)]
struct Flows {
    schema_version: u32,
    conns: Vec<ConnBody>,
    raw_findings: Vec<Finding>,
    coverage: CoverageBody,
}

/// Writes every conn, what was found in frames outside conns, and the coverage.
///
/// `Format::Junit` makes no sense here and is written as text.
///
/// # Errors
/// `ReportError::Write` where `out` does not take it, `ReportError::Encode` where JSON cannot be made.
pub fn write_flows(
    conns: &[ConnSummary],
    raw_hits: &[Hit],
    coverage: &Coverage,
    format: Format,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let show = options.show_secrets;
    let mut out = io::BufWriter::new(out);
    let raw_findings = || raw_hits.iter().map(|hit| Finding::of(hit, show)).collect();
    let coverage = CoverageBody::of(coverage);
    match format {
        Format::Ndjson => {
            for conn in conns {
                json::line(&ConnLine { kind: "conn", conn: ConnBody::of(conn, show) }, &mut out)?;
            }
            json::line(
                &CoverageLine { kind: "coverage", coverage, raw_findings: raw_findings() },
                &mut out,
            )?;
        }
        Format::Json => json::pretty(
            &Flows {
                schema_version: super::Document::SCHEMA_VERSION,
                conns: conns.iter().map(|conn| ConnBody::of(conn, show)).collect(),
                raw_findings: raw_findings(),
                coverage,
            },
            &mut out,
        )?,
        Format::Text | Format::Junit => text(conns, &raw_findings(), &coverage, options, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

fn text(
    conns: &[ConnSummary],
    raw: &[Finding],
    coverage: &CoverageBody,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let mut table =
        table(&["conn", "orig -> resp", "dialect", "class", "octets", "found"], options);
    for summary in conns {
        let conn = ConnBody::of(summary, options.show_secrets);
        let mut found: Vec<_> = listed(&conn.findings, options);
        found.extend(conn.remarks.iter().map(|remark| prose(remark).into_owned()));
        if conn.missed_bytes > 0 {
            found.push(format!("{} octets missing", conn.missed_bytes));
        }
        if conn.midstream {
            found.push("open before the capture".to_owned());
        }
        table.add_row(vec![
            Cell::new(&conn.uid),
            Cell::new(format!(
                "{} -> {} {}",
                end(&conn.orig.ip, conn.orig.port),
                end(&conn.resp.ip, conn.resp.port),
                conn.proto
            )),
            Cell::new(conn.dialect.unwrap_or("-")),
            Cell::new(format!("{} ({})", conn.class, conn.basis)).fg(color(&conn.class)),
            Cell::new(format!("{} / {}", conn.orig_bytes, conn.resp_bytes)),
            Cell::new(found.join("\n")),
        ]);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
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
