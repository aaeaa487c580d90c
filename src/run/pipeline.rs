//! Who calls whom: frame -> decode -> flow -> inspect. The only place where these rooms are joined.

use crate::decode::Decoder;
use crate::flow::{ConnTable, Limits};
#[cfg(feature = "live")]
use crate::inspect::News;
use crate::inspect::matcher::Matcher;
use crate::inspect::{Inspection, Inspector};
use crate::model::{Coverage, Frame, Identifier};
use crate::run::RunError;
use crate::source::{Losses, Next, Source};
use std::sync::Arc;

/// The way of the octets for one target.
pub(super) struct Pipeline {
    decoder: Decoder,
    table: ConnTable,
    inspector: Inspector,
}

impl Pipeline {
    /// A pipeline that searches for `identifiers` and `tokens`.
    pub(super) fn new(identifiers: &[Identifier], tokens: &[String]) -> Result<Self, RunError> {
        let matcher = Arc::new(Matcher::new(identifiers, tokens)?);
        Ok(Self {
            decoder: Decoder::default(),
            table: ConnTable::new(Limits::default()),
            inspector: Inspector::new(matcher),
        })
    }

    /// Takes one frame.
    pub(super) fn frame(&mut self, frame: &Frame<'_>) {
        let decoded = self.decoder.decode(frame);
        self.inspector.at_interface(frame.interface_id);
        for (offset, bytes) in decoded.unread() {
            let offset = u64::try_from(offset).unwrap_or(u64::MAX);
            self.inspector.raw(frame.at(), frame.interface_id, offset, bytes);
        }
        if let Some(segment) = &decoded.segment {
            self.table.push(segment, &mut self.inspector);
        }
    }

    /// What became known since the last call, for a screen.
    #[cfg(feature = "live")]
    pub(super) fn drain_news(&mut self) -> Vec<News> {
        self.inspector.drain_news()
    }

    /// Ends every conn and adds up what was not seen.
    pub(super) fn finish(mut self, losses: &Losses) -> Analysis {
        self.decoder.finish();
        self.table.finish(&mut self.inspector);
        let mut coverage = self.decoder.coverage().clone();
        coverage.add(self.table.coverage());
        let inspection = self.inspector.finish();
        coverage.add(&inspection.coverage);
        coverage.drops = losses.drops;
        coverage.interface_drops = losses.interface_drops;
        coverage.channel_dropped += losses.channel_dropped;
        coverage.inputs_cut.extend(losses.inputs_cut.iter().cloned());
        Analysis { inspection, coverage }
    }
}

/// What was found in a capture, and what was not seen of it.
#[derive(Debug)]
pub struct Analysis {
    /// Conns, hits, names, control tokens.
    pub inspection: Inspection,
    /// All rooms together.
    pub coverage: Coverage,
}

/// Reads a source to its end.
///
/// # Errors
/// `RunError::Source` where the source fails, `RunError::Inspect` where an identifier cannot be searched.
pub fn analyze(
    source: &mut dyn Source,
    identifiers: &[Identifier],
    tokens: &[String],
) -> Result<Analysis, RunError> {
    let mut pipeline = Pipeline::new(identifiers, tokens)?;
    loop {
        match source.next()? {
            Next::Frame(frame) => pipeline.frame(&frame),
            Next::Idle => {}
            Next::End => break,
        }
    }
    Ok(pipeline.finish(&source.losses()))
}
