//! What conns that have ended leave for others: memory that needs not be asked for anew.

use super::matcher::Scanner;
use super::opening::OpeningBuffer;

/// Pieces kept of each kind.
const MAX_KEPT: usize = 512;

/// Octets that a scanner holds when it is kept: the longest encodings of a long text fit.
const MAX_SCANNER: usize = 8 << 10;

/// Unused memory of conns that have ended.
#[expect(clippy::vec_box, reason = "a conn holds them by pointer, and is handed the same")]
#[derive(Default)]
pub(super) struct Spare {
    scanners: Vec<Box<Scanner>>,
    openings: Vec<Box<OpeningBuffer>>,
}

impl Spare {
    /// A scanner that knows nothing.
    pub(super) fn scanner(&mut self) -> Box<Scanner> {
        self.scanners.pop().unwrap_or_default()
    }

    /// Takes a scanner whose stream has ended: `Matcher::finish` was called.
    pub(super) fn keep_scanner(&mut self, scanner: Box<Scanner>) {
        if self.scanners.len() < MAX_KEPT && scanner.memory() <= MAX_SCANNER {
            self.scanners.push(scanner);
        }
    }

    /// An empty opening.
    #[expect(clippy::unnecessary_box_returns, reason = "the memory of another conn, as it is")]
    pub(super) fn opening(&mut self) -> Box<OpeningBuffer> {
        self.openings.pop().unwrap_or_default()
    }

    /// Takes an opening that is no longer needed.
    pub(super) fn keep_opening(&mut self, mut opening: Box<OpeningBuffer>) {
        if self.openings.len() < MAX_KEPT && opening.clear() {
            self.openings.push(opening);
        }
    }
}
