//! `tunnelcheck flows FILE...`: every conn of a capture.

use super::args::{Common, FormatArg};
use super::exit::Exit;
use super::output::{deliver, format, options};
use crate::model::Identifier;
use crate::report::write_flows;
use crate::run::analyze;
use crate::source::Files;
use std::path::PathBuf;

/// Reads the captures, taken as one, and lists their conns. Judges nothing: the exit status is 0.
pub(super) fn flows(files: &[PathBuf], common: &Common) -> anyhow::Result<Exit> {
    if common.format == FormatArg::Junit {
        anyhow::bail!(
            "flows judges nothing, so it has no JUnit report: take --format text, json or ndjson"
        );
    }
    let identifiers: Vec<Identifier> = common
        .identifiers
        .iter()
        .map(|text| Identifier { label: "identifier".to_owned(), text: text.clone() })
        .collect();
    let mut source = Files::open(files).map_err(crate::run::RunError::from)?;
    let analysis = analyze(&mut source, &identifiers, &[])?;
    let mut octets = Vec::new();
    write_flows(
        &analysis.inspection.conns,
        &analysis.inspection.raw_hits,
        &analysis.coverage,
        format(common),
        &options(common),
        &mut octets,
    )?;
    deliver(&octets, common)?;
    Ok(Exit::Pass)
}
