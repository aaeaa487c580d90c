//! Cuts a stream into lines and counted runs of raw octets, for the text protocols.
//!
//! A line that lies in one chunk is lent without a copy; a line over several chunks is gathered in a bounded buffer.
//! What is handed out is the same for any split of the octets into chunks, but for the borders of raw parts.

use super::blocks;
use crate::model::FrameSpan;
use memchr::{memchr, memchr2, memrchr, memrchr2};

/// Octets of a line, its end included, that are kept; the rest is skipped to the line's end. IMAP's long FETCH
/// lines fit (RFC 7162 s4 recommends 8192 for commands).
pub(crate) const MAX_LINE: usize = 8 * 1024;

/// Capacity of the half-line buffer above which it is given back after use, in octets.
const KEEP_CAPACITY: usize = 512;

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// LF, with or without a CR in front.
    Lf,
    /// LF, CR LF, or CR alone (classic Mac).
    CrOrLf,
}

/// Where a run of octets lies in its stream and in the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Offset of the first octet.
    pub(crate) offset: u64,
    /// How many octets.
    pub(crate) len: u32,
    /// Where they were captured.
    pub(crate) frames: FrameSpan,
}

/// One line without its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Its octets, at most `MAX_LINE`.
    pub(crate) bytes: &'a [u8],
    /// Offset of its first octet.
    pub(crate) offset: u64,
    /// Offset of the octet after its end; for a cut line, of the first octet that is skipped.
    pub(crate) end: u64,
    /// Where it was captured.
    pub(crate) frames: FrameSpan,
    /// It is longer than the limit: the rest is skipped.
    pub(crate) cut: bool,
}

impl Line<'_> {
    /// Where `part`, a part of this line's octets, lies in the stream; the whole line for any other octets.
    pub(crate) fn span_of(&self, part: &[u8]) -> Span {
        let inside = part
            .as_ptr()
            .addr()
            .checked_sub(self.bytes.as_ptr().addr())
            .filter(|at| at.saturating_add(part.len()) <= self.bytes.len());
        let (at, len) = inside.map_or((0, self.bytes.len()), |at| (at, part.len()));
        Span {
            offset: self.offset.saturating_add(at as u64),
            len: u32::try_from(len).unwrap_or(u32::MAX),
            frames: self.frames,
        }
    }
}

/// A part of a counted run of raw octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    /// The octets; empty only for a run of length 0.
    pub(crate) bytes: &'a [u8],
    /// Offset of the first one.
    pub(crate) offset: u64,
    /// Where they were captured.
    pub(crate) frames: FrameSpan,
    /// Octets of the run still to come; 0 for the last part.
    pub(crate) left: u64,
}

/// What the reader hands out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    /// A line.
    Line(Line<'a>),
    /// A part of a counted run.
    Raw(Raw<'a>),
}

/// Octets of a chunk that are still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    /// The octets.
    pub(crate) bytes: &'a [u8],
    /// Offset of the first one.
    pub(crate) offset: u64,
    /// Where the chunk was captured.
    pub(crate) frames: FrameSpan,
}

impl<'a> Input<'a> {
    /// Takes the first `n` octets (all, where there are fewer).
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.bytes.split_at_checked(n).unwrap_or((self.bytes, &[]));
        self.bytes = rest;
        self.offset = self.offset.saturating_add(head.len() as u64);
        head
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Lines,
    Skip,
    Raw(u64),
}

/// Reads one direction of a conn.
#[derive(Debug)]
pub(crate) struct LineReader {
    ends: Ends,
    mode: Mode,
    half: Vec<u8>,
    half_at: Option<(u64, FrameSpan)>,
    /// `half` was lent as a whole line and is to be emptied.
    spent: bool,
    /// A CR ended the last line: an LF right behind it belongs to it.
    after_cr: bool,
}

impl LineReader {
    /// A reader at the start of a line.
    pub(crate) const fn new(ends: Ends) -> Self {
        Self {
            ends,
            mode: Mode::Lines,
            half: Vec::new(),
            half_at: None,
            spent: false,
            after_cr: false,
        }
    }

    /// Octets of memory held beside its own.
    pub(crate) const fn held(&self) -> usize {
        self.half.capacity()
    }

    /// The next `len` octets are no lines. A half line that is held counts as their beginning and is dropped.
    pub(crate) fn expect_raw(&mut self, len: u64) {
        let held = if self.spent { 0 } else { self.half.len() as u64 };
        if !self.spent {
            self.forget();
        }
        self.mode = Mode::Raw(len.saturating_sub(held));
    }

    /// The counted octets do not come after all: lines again.
    pub(crate) fn cancel_raw(&mut self) {
        if matches!(self.mode, Mode::Raw(_)) {
            self.mode = Mode::Lines;
        }
    }

    /// Octets are missing: forgets the half line and skips to the next line end, or counts them off a raw run.
    pub(crate) fn gap(&mut self, len: u64) {
        self.forget();
        self.after_cr = false;
        self.mode = match self.mode {
            Mode::Raw(left) if len < left => Mode::Raw(left - len),
            _ => Mode::Skip,
        };
    }

    /// The half line that is held.
    pub(crate) fn half(&self) -> Option<Line<'_>> {
        let (offset, frames) = self.half_at.filter(|_| !self.spent && !self.half.is_empty())?;
        let end = offset.saturating_add(self.half.len() as u64);
        Some(Line { bytes: &self.half, offset, end, frames, cut: false })
    }

    /// Skips whole lines of `input` that begin with none of these octets, where a line begins there. The last one that is
    /// whole, and the one in front of one that begins so, are left to `next`.
    pub(crate) fn skim(&mut self, input: &mut Input<'_>, saying: [u8; 3]) {
        if self.spent {
            self.forget();
        }
        if self.mode != Mode::Lines || self.half_at.is_some() {
            return;
        }
        if self.after_cr && input.bytes.first() == Some(&b'\n') {
            input.take(1);
            self.after_cr = false;
        }
        if input.bytes.first().is_none_or(|first| saying.contains(first)) {
            return;
        }
        let ends = match self.ends {
            Ends::Lf => [b'\n', b'\n'],
            Ends::CrOrLf => [b'\r', b'\n'],
        };
        let last = |bytes: &[u8]| match self.ends {
            Ends::Lf => memrchr(b'\n', bytes),
            Ends::CrOrLf => memrchr2(b'\r', b'\n', bytes),
        };
        // The octet that ends the last line in question. All is skipped up to the end of the line before that.
        let end = blocks::pair(input.bytes, ends, saying).or_else(|| last(input.bytes));
        let skipped = end.and_then(|end| last(input.bytes.get(..end).unwrap_or_default()));
        if let Some(skipped) = skipped {
            let lines = input.take(skipped.saturating_add(1));
            self.after_cr = self.ends == Ends::CrOrLf && lines.ends_with(b"\r");
        }
    }

    /// The next item of `input`; `None` once all of it is read.
    pub(crate) fn next<'b, 'a: 'b>(&'b mut self, input: &mut Input<'a>) -> Option<Item<'b>> {
        if self.spent {
            self.forget();
        }
        loop {
            if let Mode::Raw(left) = self.mode {
                if input.bytes.is_empty() && left > 0 {
                    return None;
                }
                let offset = input.offset;
                let bytes = input.take(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left.saturating_sub(bytes.len() as u64);
                self.mode = if left == 0 { Mode::Lines } else { Mode::Raw(left) };
                return Some(Item::Raw(Raw { bytes, offset, frames: input.frames, left }));
            }
            let first = *input.bytes.first()?;
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                input.take(1);
                continue;
            }
            if self.mode == Mode::Skip {
                if let Some(at) = self.find_end(input.bytes) {
                    self.after_cr = input.take(at.saturating_add(1)).ends_with(b"\r");
                    self.mode = Mode::Lines;
                } else {
                    input.take(usize::MAX);
                }
                continue;
            }
            let room = MAX_LINE.saturating_sub(self.half.len());
            let window = input.bytes.get(..room).unwrap_or(input.bytes);
            let end = self.find_end(window);
            if end.is_none() && window.len() < room {
                self.half_at.get_or_insert((input.offset, input.frames));
                if let Some((_, frames)) = &mut self.half_at {
                    *frames = frames.to(input.frames);
                }
                self.half.extend_from_slice(input.take(usize::MAX));
                return None;
            }
            let taken = end.map_or(room, |at| at.saturating_add(1));
            if end.is_none() {
                self.mode = Mode::Skip;
            } else if self.ends == Ends::CrOrLf {
                self.after_cr = window.get(..taken).is_some_and(|line| line.ends_with(b"\r"));
            }
            return Some(Item::Line(self.line(input, taken, end.is_none())));
        }
    }

    fn line<'b, 'a: 'b>(&'b mut self, input: &mut Input<'a>, taken: usize, cut: bool) -> Line<'b> {
        let (offset, frames) = self
            .half_at
            .map_or((input.offset, input.frames), |(at, first)| (at, first.to(input.frames)));
        let bytes = input.take(taken);
        let bytes = if self.half.is_empty() {
            bytes
        } else {
            self.half.extend_from_slice(bytes);
            self.spent = true;
            &self.half
        };
        Line {
            bytes: if cut { bytes } else { without_end(bytes) },
            offset,
            end: input.offset,
            frames,
            cut,
        }
    }

    fn find_end(&self, bytes: &[u8]) -> Option<usize> {
        match self.ends {
            Ends::Lf => memchr(b'\n', bytes),
            Ends::CrOrLf => memchr2(b'\r', b'\n', bytes),
        }
    }

    fn forget(&mut self) {
        self.spent = false;
        self.half_at = None;
        if self.half.capacity() > KEEP_CAPACITY {
            self.half = Vec::new();
        } else {
            self.half.clear();
        }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FrameRef, Timestamp};
    use proptest::prelude::*;

    fn frame(number: u64) -> FrameSpan {
        FrameSpan::one(FrameRef { number, time: Timestamp::from_nanos(0) })
    }

    /// Every line as (octets, offset, end, cut); raw octets are joined.
    fn read(reader: &mut LineReader, chunks: &[&[u8]]) -> Vec<(Vec<u8>, u64, u64, bool)> {
        let mut offset = 0;
        let mut lines = Vec::new();
        for (chunk, number) in chunks.iter().zip(1..) {
            let mut input = Input { bytes: chunk, offset, frames: frame(number) };
            while let Some(item) = reader.next(&mut input) {
                if let Item::Line(line) = item {
                    lines.push((line.bytes.to_vec(), line.offset, line.end, line.cut));
                }
            }
            offset += chunk.len() as u64;
        }
        lines
    }

    #[test]
    fn a_line_in_one_chunk_is_lent_and_not_copied() {
        let mut reader = LineReader::new(Ends::Lf);
        let text = b"USER a\r\nPASS b\n";
        let mut input = Input { bytes: text, offset: 7, frames: frame(3) };
        let Some(Item::Line(line)) = reader.next(&mut input) else { panic!("no line") };
        assert_eq!((line.bytes, line.offset, line.end), (&b"USER a"[..], 7, 15));
        assert_eq!(line.bytes.as_ptr(), text.as_ptr());
        assert_eq!(line.span_of(&line.bytes[5..]).offset, 12);
    }

    #[test]
    fn a_line_over_two_chunks_keeps_its_first_and_last_frame() {
        let mut reader = LineReader::new(Ends::Lf);
        let mut one = Input { bytes: b"USE", offset: 0, frames: frame(1) };
        assert!(reader.next(&mut one).is_none());
        let mut two = Input { bytes: b"R a\r\n", offset: 3, frames: frame(2) };
        let Some(Item::Line(line)) = reader.next(&mut two) else { panic!("no line") };
        assert_eq!((line.frames.first.number, line.frames.last, line.end), (1, 2, 8));
    }

    #[test]
    fn a_line_over_the_limit_is_cut_and_the_next_one_is_whole() {
        let mut long = vec![b'x'; MAX_LINE + 10];
        long.extend_from_slice(b"\r\nok\r\n");
        let lines = read(&mut LineReader::new(Ends::Lf), &[&long]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].3 && lines[0].0.len() == MAX_LINE);
        assert_eq!(lines[1].0, b"ok");
    }

    #[test]
    fn cr_alone_ends_a_line_where_asked_and_crlf_ends_it_once() {
        let lines = read(&mut LineReader::new(Ends::CrOrLf), &[b"a\rb\r", b"\nc\n\rd\r"]);
        let text: Vec<_> = lines.iter().map(|line| line.0.as_slice()).collect();
        assert_eq!(text, [&b"a"[..], b"b", b"c", b"", b"d"]);
        assert_eq!(read(&mut LineReader::new(Ends::Lf), &[b"a\rb\r\n"])[0].0, b"a\rb");
    }

    #[test]
    fn a_gap_forgets_the_half_line_and_the_rest_of_the_torn_one() {
        let mut reader = LineReader::new(Ends::Lf);
        assert!(read(&mut reader, &[b"one\ntw"]).len() == 1);
        reader.gap(10);
        let lines = read(&mut reader, &[b"torn\nwhole\n"]);
        assert_eq!(lines[0].0, b"whole");
    }

    #[test]
    fn a_gap_inside_counted_octets_is_counted_off() {
        let mut reader = LineReader::new(Ends::Lf);
        reader.expect_raw(10);
        assert!(read(&mut reader, &[b"abc"]).is_empty());
        reader.gap(5);
        assert_eq!(read(&mut reader, &[b"ijOK\n"])[0].0, b"OK");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..200),
            sizes in proptest::collection::vec(1usize..9, 1..40),
            cr in any::<bool>(),
        ) {
            let ends = if cr { Ends::CrOrLf } else { Ends::Lf };
            let whole = read(&mut LineReader::new(ends), &[&text]);
            let mut rest = text.as_slice();
            let mut chunks = Vec::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break; }
                let (head, tail) = rest.split_at((*size).min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            prop_assert_eq!(read(&mut LineReader::new(ends), &chunks), whole);
        }
    }
}
