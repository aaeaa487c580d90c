//! Reads any `Read` in large blocks and lends the octets in place.

use crate::source::octets::count;
use std::io::{self, Read};
use std::ops::Range;

/// Octets of the block: large enough that a read costs nothing beside the frames in it, small enough for the cache.
const BLOCK: usize = 256 * 1024;

/// Octets skipped at a time where a block is longer than what is kept.
const SKIP: usize = 64 * 1024;

/// Why reading on is not possible.
#[derive(Debug)]
pub(super) enum Stop {
    /// The input ends too early: what needs the octets, how many it needs and how many there are.
    Cut {
        /// What needs the octets.
        what: &'static str,
        /// Octets needed.
        needed: u64,
        /// Octets there.
        got: u64,
        /// Why it ends, where unpacking failed.
        why: Option<String>,
    },
    /// The octets contradict themselves.
    Damaged(String),
    /// The surroundings failed.
    Failed(io::Error),
}

/// A window over the octets of a reader.
pub(super) struct Blocks {
    reader: Box<dyn Read + Send>,
    block: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    over: bool,
    failure: Option<io::Error>,
}

impl Blocks {
    /// Begins at the reader's first octet.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self {
            reader,
            block: vec![0; BLOCK],
            start: 0,
            end: 0,
            offset: 0,
            over: false,
            failure: None,
        }
    }

    /// Makes `len` octets available if the input has them; returns how many are, at least `len` or all that is left.
    ///
    /// What `range` gave before is no longer valid. The block grows to `len`: callers bound it.
    pub(super) fn want(&mut self, len: usize) -> usize {
        if self.end - self.start < len {
            self.fill(len);
        }
        self.end - self.start
    }

    /// As `want`, and a stop where there are fewer.
    pub(super) fn need(&mut self, len: usize, what: &'static str) -> Result<(), Stop> {
        let got = self.want(len);
        if got < len { Err(self.cut(what, count(len), count(got))) } else { Ok(()) }
    }

    /// Steps over `len` octets, in memory or not.
    pub(super) fn skip(&mut self, len: u64, what: &'static str) -> Result<(), Stop> {
        let mut left = len;
        while left > 0 {
            let step = usize::try_from(left).unwrap_or(SKIP).min(SKIP);
            let got = self.want(step).min(step);
            self.consume(got);
            left -= count(got);
            if got < step {
                return Err(self.cut(what, len, len - left));
            }
        }
        Ok(())
    }

    /// Steps over `len` available octets; they stay readable through `slice` until the next `want`.
    pub(super) fn consume(&mut self, len: usize) {
        let len = len.min(self.end - self.start);
        self.start += len;
        self.offset += count(len);
    }

    /// Steps over `skipped` octets and `len` behind them, where all of them are available; gives where those lie, for `slice`.
    #[inline]
    pub(super) fn take(&mut self, skipped: usize, len: usize) -> Option<Range<usize>> {
        let from = self.start + skipped;
        let to = from.checked_add(len).filter(|to| *to <= self.end)?;
        self.offset += count(to - self.start);
        self.start = to;
        Some(from..to)
    }

    /// The octets available now.
    #[inline]
    pub(super) fn ahead(&self) -> &[u8] {
        self.block.get(self.start..self.end).unwrap_or_default()
    }

    /// Where the available octets `from..from + len` lie, for `slice`.
    pub(super) fn range(&self, from: usize, len: usize) -> Range<usize> {
        let start = self.start.saturating_add(from).min(self.end);
        start..start.saturating_add(len).min(self.end)
    }

    /// The octets of a range.
    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        self.block.get(range).unwrap_or_default()
    }

    /// Octets stepped over since the beginning.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The stop for an input that is too short: a failure of the surroundings where there was one.
    pub(super) fn cut(&mut self, what: &'static str, needed: u64, got: u64) -> Stop {
        match self.failure.take() {
            Some(failure) if !is_damage(&failure) => Stop::Failed(failure),
            failure => {
                Stop::Cut { what, needed, got, why: failure.map(|failure| failure.to_string()) }
            }
        }
    }

    /// A failure that ended the input where no octet was needed any more.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        if self.failure.is_some() { Err(self.cut("the next record", 1, 0)) } else { Ok(()) }
    }

    #[cold]
    fn fill(&mut self, len: usize) {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.block.len() < len {
            self.block.resize(len, 0);
        }
        while self.end < len && !self.over {
            let Some(free) = self.block.get_mut(self.end..) else { break };
            let room = free.len();
            match self.reader.read(free) {
                Ok(0) => self.over = true,
                Ok(got) => self.end += got.min(room),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.over = true;
                    self.failure = Some(error);
                }
            }
        }
    }
}

/// Whether an error is about the octets of a packed stream, not about the file that holds them.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    )
}
