//! `tunnelcheck flows FILE...`: every conn of a capture.

use super::args::{Common, FormatArg};
use super::exit::Exit;
use super::output::{format, options, sink, threads};
use crate::model::Identifier;
use crate::report::{FlowsWriter, ReportError};
use crate::run::analyze_files;
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
    let mut analysis = analyze_files(files, &identifiers, threads(common))?;
    let options = options(common);
    let mut out = sink(common)?;
    let mut writer = FlowsWriter::new(format(common), &options, &mut out)?;
    let written = analysis
        .conns
        .read(|conn| Ok::<_, anyhow::Error>(writer.conn(conn)?))
        .and_then(|()| Ok(writer.finish(&analysis.inspection.raw_hits, &analysis.coverage)?));
    match written {
        // A reader that has seen enough changes no exit status.
        Err(error) if !is_broken_pipe(&error) => Err(error),
        _ => Ok(Exit::Pass),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ReportError>().is_some_and(ReportError::is_broken_pipe)
}
