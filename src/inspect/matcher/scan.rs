//! The scanner: what is kept of one direction of a stream between two chunks, and the way of the octets through it.

use super::escape::Kind;
use super::pattern::{Form, Place, Window};
use super::track::Track;
use super::view::{Escapes, View, ViewMatch};
use super::{Index, Match, Needle, chance};
use crate::model::{Encoding, Excerpt, FrameSpan};

/// Octets in front of a hit that an excerpt shows.
const EXCERPT_BEFORE: u64 = 32;
/// Frames kept, as places where octets came from; beyond it the oldest known frame stands for older ones.
const MAX_PIECES: usize = 4096;

/// State of the search in one direction of one stream. Bounded by the longest pattern, not by the stream.
#[derive(Default)]
pub struct Scanner {
    raw: Track,
    pieces: Vec<Piece>,
    due: Vec<Due>,
    /// One for each of `Kind::ALL`; there only while it is awake.
    views: [Option<Box<View>>; Kind::ALL.len()],
    /// Encoded words in which a view found something: base64 there is not told a second time.
    words: Vec<Word>,
}

/// A match in an encoded word, on the wire.
#[derive(Clone, Copy)]
struct Word {
    needle: Needle,
    start: u64,
    end: u64,
}

/// From `start` on (up to the next piece) the octets were captured in `frames`.
#[derive(Clone, Copy)]
struct Piece {
    start: u64,
    frames: FrameSpan,
}

/// A match that was decided by a gap, and waits to be told.
struct Due {
    pattern: usize,
    encoding: Encoding,
    probability: f64,
    offset: u64,
    len: u32,
    frames: FrameSpan,
    excerpt: Excerpt,
}

impl Scanner {
    pub(super) fn scan(
        &mut self,
        index: &Index,
        offset: u64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut dyn FnMut(Match<'_>),
    ) {
        self.tell_due(index, out);
        if bytes.is_empty() {
            return;
        }
        if offset != self.raw.end() {
            self.gap(index);
            self.tell_due(index, out);
            self.raw.restart(offset);
        }
        if self.pieces.last().is_none_or(|last| last.frames != frames) {
            if self.pieces.capacity() == 0 {
                self.pieces.reserve_exact(1); // a datagram is one
            }
            self.pieces.push(Piece { start: offset, frames });
        }
        let (mut escapes, mut found) = (Escapes::default(), Vec::new());
        let pieces = &self.pieces;
        self.raw.search(
            &index.engine,
            &index.patterns,
            bytes,
            &mut |window, at| escapes.note(window.tail, bytes, at, index),
            &mut |window, pattern, place| {
                found.extend(raw_match(index, pieces, window, pattern, place));
            },
        );
        self.scan_views(index, offset, bytes, escapes, out);
        // In their order, since of many the first ones are kept: in whichever pieces they come, they are the same.
        found.sort_by_key(|due| due.offset);
        for due in found {
            if !due.is_in_word(index, &self.words) {
                due.tell(index, out);
            }
        }
        self.raw.remember(bytes, index.keep);
        self.forget();
    }

    pub(super) fn gap(&mut self, index: &Index) {
        let Self { raw, pieces, due, views, words } = self;
        let window = Window { tail: raw.tail(), bytes: &[], base: raw.start(), closed: true };
        for view in views.iter_mut().filter_map(Option::take) {
            let mut view = view;
            view.close(index, &mut |found| due.extend(view_match(index, pieces, &window, &found)));
        }
        raw.close(&index.patterns, &mut |window, pattern, place| {
            let found = raw_match(index, pieces, window, pattern, place);
            due.extend(found.filter(|found| !found.is_in_word(index, words)));
        });
        raw.restart(raw.end());
        pieces.clear();
        words.clear();
    }

    pub(super) fn finish(&mut self, index: &Index, out: &mut dyn FnMut(Match<'_>)) {
        self.gap(index);
        self.tell_due(index, out);
    }

    /// Octets of memory held beside its own.
    pub(in crate::inspect) fn memory(&self) -> usize {
        let views = self.views.iter().flatten();
        let views: usize = views.map(|view| size_of::<View>() + view.memory()).sum();
        let lists = self.pieces.capacity() * size_of::<Piece>()
            + self.due.capacity() * size_of::<Due>()
            + self.words.capacity() * size_of::<Word>();
        self.raw.memory() + views + lists
    }

    fn tell_due(&mut self, index: &Index, out: &mut dyn FnMut(Match<'_>)) {
        for due in self.due.drain(..) {
            due.tell(index, out);
        }
    }

    /// Lets the views read on, and wakes those for which there is an escape.
    fn scan_views(
        &mut self,
        index: &Index,
        offset: u64,
        bytes: &[u8],
        escapes: Escapes,
        out: &mut dyn FnMut(Match<'_>),
    ) {
        let Self { raw, pieces, views, words, .. } = self;
        if escapes.is_empty() && views.iter().all(Option::is_none) {
            return;
        }
        let window = Window { tail: raw.tail(), bytes, base: raw.start(), closed: false };
        let mut is_any_awake = false;
        for ((kind, place), first) in Kind::ALL.into_iter().zip(views).zip(escapes.each()) {
            let is_wanted = kind != Kind::Mixed || is_any_awake;
            if place.is_none() && !(is_wanted && first.is_some()) {
                continue;
            }
            is_any_awake |= kind != Kind::ModifiedUtf7;
            let view = place.get_or_insert_with(|| Box::new(View::new(kind)));
            view.feed(index, raw.tail(), offset, (bytes, first), &mut |found| {
                let Some(due) = view_match(index, pieces, &window, &found) else { return };
                if due.encoding == Encoding::Rfc2047
                    && let Some(pattern) = index.patterns.get(due.pattern)
                {
                    words.push(Word { needle: pattern.needle, start: found.start, end: found.end });
                }
                due.tell(index, out);
            });
            if !view.is_awake() {
                *place = None;
            }
        }
    }

    /// Drops what is known of octets that no match can begin at any more.
    fn forget(&mut self) {
        let views = self.views.iter().flatten().filter_map(|view| view.oldest());
        let oldest = views.fold(self.raw.start(), u64::min);
        let unused = self.pieces.iter().skip(1).take_while(|piece| piece.start <= oldest).count();
        let excess = self.pieces.len().saturating_sub(MAX_PIECES);
        self.pieces.drain(..unused.max(excess));
        let oldest = self.raw.start();
        self.words.retain(|word| word.end > oldest);
    }
}

impl Due {
    /// Whether it is base64 in an encoded word in which a view has found the same.
    fn is_in_word(&self, index: &Index, words: &[Word]) -> bool {
        let Some(pattern) = index.patterns.get(self.pattern) else { return false };
        let end = self.offset + u64::from(self.len);
        let holds = |word: &Word| {
            word.needle == pattern.needle && word.start < end && self.offset < word.end
        };
        pattern.form != Form::Slots && words.iter().any(holds)
    }

    fn tell(self, index: &Index, out: &mut dyn FnMut(Match<'_>)) {
        let Some(pattern) = index.patterns.get(self.pattern) else { return };
        let Some((label, text)) = index.text(pattern.needle) else { return };
        out(Match {
            needle: pattern.needle,
            label,
            text,
            encoding: self.encoding,
            offset: self.offset,
            len: self.len,
            frames: self.frames,
            excerpt: self.excerpt,
            octet_probability: self.probability,
        });
    }
}

/// A match in the stream as it is; none where an earlier encoding of the needle tells of the same octets.
fn raw_match(
    index: &Index,
    pieces: &[Piece],
    window: &Window<'_>,
    pattern: usize,
    place: Place,
) -> Option<Due> {
    let this = index.patterns.get(pattern)?;
    if index.is_shadowed(pattern, window, place) {
        return None;
    }
    Some(Due {
        pattern,
        encoding: place.encoding,
        probability: this.probability,
        offset: place.start,
        len: u32::try_from(place.end - place.start).unwrap_or(u32::MAX),
        frames: frames_of(pieces, place.start, place.end),
        excerpt: excerpt(window, place.start, place.end),
    })
}

/// A match in a view; `window` holds the octets of the stream.
fn view_match(
    index: &Index,
    pieces: &[Piece],
    window: &Window<'_>,
    found: &ViewMatch<'_>,
) -> Option<Due> {
    if index.is_shadowed(found.pattern, found.window, found.place) {
        return None;
    }
    let pattern = index.patterns.get(found.pattern)?;
    let plain = pattern.probability;
    let octets = usize::try_from(found.place.end - found.place.start).unwrap_or(usize::MAX);
    // The escape may stand in front of a word.
    let octets = octets.saturating_add(usize::from(pattern.word.is_some()));
    Some(Due {
        pattern: found.pattern,
        encoding: found.encoding,
        probability: chance::escaped(plain, octets),
        offset: found.start,
        len: u32::try_from(found.end.saturating_sub(found.start)).unwrap_or(u32::MAX),
        frames: frames_of(pieces, found.start, found.end),
        excerpt: excerpt(window, found.start, found.end),
    })
}

/// The frames that carried the octets from `start` up to `end`.
fn frames_of(pieces: &[Piece], start: u64, end: u64) -> FrameSpan {
    let of = |pos: u64| {
        let after = pieces.partition_point(|piece| piece.start <= pos);
        pieces.get(after.saturating_sub(1)).map_or_else(FrameSpan::default, |piece| piece.frames)
    };
    of(start).to(of(end.saturating_sub(1)))
}

/// The octets around a match, as far as they are at hand.
fn excerpt(window: &Window<'_>, start: u64, end: u64) -> Excerpt {
    let (from, bytes) = window.copy(start.saturating_sub(EXCERPT_BEFORE), Excerpt::MAX);
    let before = usize::try_from(start.saturating_sub(from)).unwrap_or(0);
    let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
    Excerpt::around(&bytes, before, len)
}
