//! A view: a stretch of the stream with its escapes undone, searched like the stream itself.
//!
//! A view sleeps until an escape is met; it then takes the octets in front of it over, and stays awake until no match can
//! hold an escape any more. So ordinary traffic costs no more than the search for the octet with which escapes begin.

use super::Index;
use super::escape::{Escape, Kind, Mode, Parse, parse};
use super::pattern::{Pattern, Place, Unit, Window};
use super::track::Track;
use crate::model::Encoding;

/// Decoded octets that are gathered before they are searched.
const MAX_GATHERED: usize = 4096;

/// One family of escapes, undone in a stretch of the stream.
pub(super) struct View {
    kind: Kind,
    mode: Mode,
    track: Track,
    /// Where the decoded octets from `track.start()` on came from.
    runs: Vec<Run>,
    /// Decoded, not yet searched.
    gathered: Vec<u8>,
    /// Octets of an escape that is not yet whole, and the stream offset behind them.
    pending: Vec<u8>,
    offset: u64,
    /// Decoded octets since the last escape; none where there was no escape yet.
    quiet: Option<usize>,
    awake: bool,
}

/// Decoded octets and the octets of the stream that they came from.
#[derive(Clone, Copy, Debug)]
struct Run {
    at: u64,
    len: u64,
    wire: u64,
    wire_len: u64,
    /// Of an escape: how to name it. Other octets stand for themselves, one for one.
    escape: Option<Encoding>,
    /// Its last octet on the wire is a letter or digit: where it stands for none, only the view sees that a word begins behind it.
    hides_word: bool,
}

/// A match in a view that holds at least one escape.
pub(super) struct ViewMatch<'a> {
    pub(super) pattern: usize,
    pub(super) place: Place,
    /// The decoded octets.
    pub(super) window: &'a Window<'a>,
    /// On the wire.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) encoding: Encoding,
}

type Out<'o> = &'o mut dyn FnMut(ViewMatch<'_>);

/// Octets, besides those of the patterns, that may stand on the wire in a match that holds escapes: what escapes are made
/// of, breaks, and the names of charsets and characters.
const IN_ESCAPES: &[u8] =
    b"%=&\\#;?,+-_/\r\n\t 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What stands around an escape that a match may hold.
pub(super) struct Around {
    /// Octets that a match with escapes may consist of.
    held: [bool; 256],
    /// The fewest of them.
    least: usize,
}

impl Around {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let mut held = [false; 256];
        let texts = patterns.iter().flat_map(|pattern| pattern.slots.octets());
        for octet in texts.chain(IN_ESCAPES) {
            if let Some(place) = held.get_mut(usize::from(*octet)) {
                *place = true;
            }
        }
        // In modified UTF-7 eight characters stand for three units, each of which is at most three octets. All other
        // escapes are at least as long as what they stand for.
        let least = patterns.iter().map(Pattern::least_wire_len).min().unwrap_or(0);
        Self { held, least: least * 8 / 9 }
    }

    /// Any escape may lie in a match.
    #[cfg(test)]
    pub(super) fn anything(self) -> Self {
        Self { least: 0, ..self }
    }

    /// Whether the escape at `at` may lie in a match. `before`: the octets in front of `bytes`.
    fn may_hold(&self, before: &[u8], bytes: &[u8], at: usize, parsed: Parse) -> bool {
        let len = match parsed {
            Parse::Literal(_) => return false,
            Parse::Escape(Escape { mode: Mode::Plain | Mode::Shift { .. }, len, .. }) => len,
            // It may become one, or is an encoded word: what that begins goes on far behind it.
            Parse::NeedMore | Parse::Escape(_) => return true,
        };
        let is_held = |octet: &&u8| self.held.get(usize::from(**octet)).copied().unwrap_or(true);
        let need = self.least.saturating_sub(len);
        let behind = bytes.get(at + len..).unwrap_or_default();
        let held_behind = behind.iter().take(need).take_while(is_held).count();
        if held_behind == need || held_behind == behind.len() {
            return true;
        }
        let need = need - held_behind;
        let front = bytes.get(..at).unwrap_or_default().iter().rev().chain(before.iter().rev());
        front.take(need).take_while(is_held).count() == need
    }
}

/// For each family where in some octets the first escape begins, or what may become one, that may lie in a match.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Escapes {
    percent: Option<usize>,
    equals: Option<usize>,
    entity: Option<usize>,
    backslash: Option<usize>,
    utf7: Option<usize>,
}

impl Escapes {
    /// Takes notice of a mark, in order. `before`: the octets in front of `bytes`.
    pub(super) fn note(&mut self, before: &[u8], bytes: &[u8], at: usize, index: &Index) {
        let note = |place: &mut Option<usize>, kind| {
            if place.is_none() && begins(kind, before, bytes, at, index) {
                *place = Some(at);
            }
        };
        match bytes.get(at) {
            Some(b'%') => note(&mut self.percent, Kind::Percent),
            Some(b'=') => note(&mut self.equals, Kind::Equals),
            Some(b'\\') => note(&mut self.backslash, Kind::Backslash),
            Some(b'&') => {
                note(&mut self.entity, Kind::Entity);
                note(&mut self.utf7, Kind::ModifiedUtf7);
            }
            _ => {}
        }
    }

    /// There is none.
    pub(super) fn is_empty(&self) -> bool {
        let Self { percent, equals, entity, backslash, utf7 } = self;
        [percent, equals, entity, backslash, utf7].into_iter().all(Option::is_none)
    }

    /// For each of `Kind::ALL`.
    pub(super) fn each(&self) -> [Option<usize>; Kind::ALL.len()] {
        let Self { percent, equals, entity, backslash, utf7 } = *self;
        let mixed = [percent, equals, entity, backslash].into_iter().flatten().min();
        [percent, equals, entity, backslash, utf7, mixed]
    }
}

/// Whether an escape that may lie in a match begins at `at`, or what may become one.
fn begins(kind: Kind, before: &[u8], bytes: &[u8], at: usize, index: &Index) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let parsed = parse(kind, Mode::Plain, rest, &index.simple, false);
    index.around.may_hold(before, bytes, at, parsed)
}

/// The same for one family, from `from` on.
fn first_escape(
    kind: Kind,
    before: &[u8],
    bytes: &[u8],
    from: usize,
    index: &Index,
) -> Option<usize> {
    let mut from = from;
    loop {
        let at = from + kind.find(bytes.get(from..)?)?;
        if begins(kind, before, bytes, at, index) {
            return Some(at);
        }
        from = at + 1;
    }
}

impl View {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            mode: Mode::Plain,
            track: Track::default(),
            runs: Vec::new(),
            gathered: Vec::new(),
            pending: Vec::new(),
            offset: 0,
            quiet: None,
            awake: false,
        }
    }

    pub(super) fn is_awake(&self) -> bool {
        self.awake
    }

    /// Octets of memory held beside its own.
    pub(super) fn memory(&self) -> usize {
        let octets = self.gathered.capacity() + self.pending.capacity();
        octets + self.runs.capacity() * size_of::<Run>() + self.track.memory()
    }

    /// Offset in the stream of the oldest octet that a match may still begin with.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.runs.first().map(|run| run.wire)
    }

    /// Takes the next octets of the stream; `tail` are those in front of them. `first`: where the first escape begins.
    pub(super) fn feed(
        &mut self,
        index: &Index,
        tail: &[u8],
        offset: u64,
        (bytes, first): (&[u8], Option<usize>),
        out: Out<'_>,
    ) {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if !self.awake {
                let known = first.filter(|first| *first >= at);
                // None at all, or the first of them was read before.
                let next = match (first, known) {
                    (Some(_), None) => first_escape(self.kind, tail, bytes, at, index),
                    _ => known,
                };
                let Some(next) = next else { break };
                at = next;
                self.wake(index, tail, offset, bytes.get(..at).unwrap_or_default());
                continue;
            }
            at += if self.pending.is_empty() {
                self.read(index, rest, out)
            } else {
                self.read_pending(index, rest)
            };
        }
        self.search(index, out);
    }

    /// No octets follow.
    pub(super) fn close(&mut self, index: &Index, out: Out<'_>) {
        let pending = std::mem::take(&mut self.pending);
        self.offset -= pending.len() as u64;
        let mut at = 0;
        while let Some(rest) = pending.get(at..).filter(|rest| !rest.is_empty()) {
            at += match parse(self.kind, self.mode, rest, &index.simple, true) {
                Parse::Escape(escape) => self.escape(escape, rest),
                Parse::Literal(mode) => {
                    self.mode = mode;
                    self.literal(rest.get(..1).unwrap_or_default())
                }
                Parse::NeedMore => rest.len(),
            };
        }
        self.search(index, out);
        let Self { kind, track, runs, .. } = self;
        track.close(&index.patterns, &mut |window, pattern, place| {
            tell((*kind, &index.patterns, runs), window, pattern, place, out);
        });
        self.sleep();
    }

    /// Begins with the octets in front of the first escape that a match may hold.
    fn wake(&mut self, index: &Index, tail: &[u8], offset: u64, before: &[u8]) {
        let skipped = before.len().saturating_sub(index.keep);
        let before = before.get(skipped..).unwrap_or_default();
        let from_tail = index.keep.saturating_sub(before.len()).min(tail.len());
        let tail = tail.get(tail.len() - from_tail..).unwrap_or_default();
        self.awake = true;
        self.track.restart(0);
        self.offset = offset + skipped as u64 - if skipped == 0 { from_tail as u64 } else { 0 };
        self.literal(tail);
        self.literal(before);
    }

    fn sleep(&mut self) {
        self.awake = false;
        self.mode = Mode::Plain;
        self.runs.clear();
        self.gathered.clear();
        self.pending.clear();
        self.quiet = None;
    }

    /// Reads on from octets that are at hand; returns how many were taken.
    fn read(&mut self, index: &Index, rest: &[u8], out: Out<'_>) -> usize {
        if self.gathered.len() >= MAX_GATHERED {
            self.search(index, out);
        }
        if self.mode == Mode::Plain {
            let left = match self.quiet {
                Some(quiet) => index.keep.saturating_sub(quiet),
                None => 0,
            };
            let plain = self
                .kind
                .find(rest.get(..left.min(rest.len())).unwrap_or(rest))
                .unwrap_or(rest.len())
                .min(left);
            if plain > 0 {
                return self.literal(rest.get(..plain).unwrap_or_default());
            }
            if left == 0
                && (self.quiet.is_some()
                    || self.kind.find(rest.get(..1).unwrap_or_default()).is_none())
            {
                self.search(index, out);
                self.sleep();
                return 0;
            }
        }
        match parse(self.kind, self.mode, rest, &index.simple, false) {
            Parse::NeedMore => {
                self.pending.extend_from_slice(rest);
                self.offset += rest.len() as u64;
                rest.len()
            }
            Parse::Literal(mode) => {
                self.mode = mode;
                self.literal(rest.get(..1).unwrap_or_default())
            }
            Parse::Escape(escape) => self.escape(escape, rest),
        }
    }

    /// Reads on from an escape that was not whole; returns how many octets of `rest` were taken.
    fn read_pending(&mut self, index: &Index, rest: &[u8]) -> usize {
        let mut pending = std::mem::take(&mut self.pending);
        self.offset -= pending.len() as u64;
        let known = pending.len();
        let mut added = 0;
        let mut at = 0;
        while at < known {
            let here = pending.get(at..).unwrap_or_default();
            match parse(self.kind, self.mode, here, &index.simple, false) {
                Parse::NeedMore => {
                    let Some(&octet) = rest.get(added) else {
                        self.offset += here.len() as u64;
                        self.pending.extend_from_slice(here);
                        return added;
                    };
                    pending.push(octet);
                    added += 1;
                }
                Parse::Literal(mode) => {
                    self.mode = mode;
                    at += self.literal(here.get(..1).unwrap_or_default());
                }
                Parse::Escape(escape) => at += self.escape(escape, here),
            }
        }
        // What was added beyond the last escape is read again, from `rest`.
        at - known
    }

    /// Takes octets that stand for themselves.
    fn literal(&mut self, octets: &[u8]) -> usize {
        let at = self.track.end() + self.gathered.len() as u64;
        let len = octets.len() as u64;
        if len == 0 {
            return 0;
        }
        match self.runs.last_mut() {
            Some(last) if last.escape.is_none() && last.wire + last.wire_len == self.offset => {
                last.len += len;
                last.wire_len += len;
            }
            _ => {
                let (wire, wire_len) = (self.offset, len);
                let run = Run { at, len, wire, wire_len, escape: None, hides_word: false };
                self.runs.push(run);
            }
        }
        self.gathered.extend_from_slice(octets);
        self.offset += len;
        if let Some(quiet) = &mut self.quiet {
            *quiet += octets.len();
        }
        octets.len()
    }

    /// Takes an escape, which stands at the front of `octets`.
    fn escape(&mut self, escape: Escape, octets: &[u8]) -> usize {
        let last = octets.get(..escape.len).and_then(<[u8]>::last);
        let at = self.track.end() + self.gathered.len() as u64;
        let octets = escape.out.as_slice();
        let hides_word = last.is_some_and(u8::is_ascii_alphanumeric);
        let back = u64::from(escape.back).min(self.offset);
        let run = Run {
            at,
            len: octets.len() as u64,
            wire: self.offset - back,
            wire_len: escape.len as u64 + back,
            escape: Some(escape.encoding),
            hides_word,
        };
        match self.runs.last_mut() {
            // Escapes that stand for nothing, one after the other, are one.
            Some(last) if run.len == 0 && last.len == 0 => {
                last.wire_len += run.wire_len;
                last.hides_word = hides_word;
            }
            _ => self.runs.push(run),
        }
        self.gathered.extend_from_slice(octets);
        self.offset += escape.len as u64;
        self.mode = escape.mode;
        self.quiet = Some(0);
        escape.len
    }

    fn search(&mut self, index: &Index, out: Out<'_>) {
        if self.gathered.is_empty() {
            return;
        }
        let Self { kind, track, runs, gathered, .. } = self;
        let mut found = |window: &Window<'_>, pattern, place| {
            tell((*kind, &index.patterns, runs), window, pattern, place, out);
        };
        // What an escape stands for is no escape.
        track.search(&index.engine, &index.patterns, gathered, &mut |_, _| {}, &mut found);
        track.remember(gathered, index.keep);
        gathered.clear();
        let start = track.start();
        let unused = runs.iter().take_while(|run| run.at + run.len < start).count();
        runs.drain(..unused);
    }
}

/// Tells of a match in the decoded octets, if it holds an escape, or is a word that one in front of it hides on the wire.
fn tell(
    (kind, patterns, runs): (Kind, &[Pattern], &[Run]),
    window: &Window<'_>,
    pattern: usize,
    place: Place,
    out: Out<'_>,
) {
    let first = runs.partition_point(|run| run.at + run.len <= place.start);
    let held = runs.iter().skip(first).take_while(|run| run.at < place.end);
    let (mut start, mut end, mut encoding) = (None, 0, None);
    let mut is_mixed = false;
    for run in held {
        let skip = if run.escape.is_none() { place.start.saturating_sub(run.at) } else { 0 };
        start = start.or(Some(run.wire + skip));
        let over = (run.at + run.len).saturating_sub(place.end);
        let over = if run.escape.is_none() { over } else { 0 };
        end = (run.wire + run.wire_len).saturating_sub(over);
        encoding = encoding.or(run.escape);
        is_mixed |= matches!((encoding, run.escape), (Some(a), Some(b)) if Kind::differ(a, b));
    }
    // What one family explains is told by its own view.
    if kind == Kind::Mixed && !is_mixed {
        return;
    }
    let hides = |run: &&Run| run.hides_word && run.at + run.len == place.start;
    let hidden = || {
        let is_word = patterns.get(pattern)?.word == Some(Unit::Octet);
        runs.get(..first)?.last().filter(hides).filter(|_| is_word)?.escape
    };
    if let (Some(start), Some(encoding)) = (start, encoding.or_else(hidden)) {
        out(ViewMatch { pattern, place, window, start, end, encoding });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::matcher::marks::MARKS;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_kinds_in_octets_are_those_whose_escape_is_found(
            parts in proptest::collection::vec(
                prop_oneof![
                    3 => proptest::collection::vec(any::<u8>(), 0..90),
                    2 => "[a-z]{0,60}".prop_map(String::into_bytes),
                    1 => "[%=&\\\\][?#ux0-9A-Ga-g\n \t,;+/\"-]{0,6}".prop_map(String::into_bytes),
                ],
                0..12,
            ),
        ) {
            let bytes = parts.concat();
            for (simple, least) in [(&b""[..], 1), (b"\"\\/", 1), (b"", 9)] {
                let index = index(simple, least);
                let found = Kind::ALL.map(|kind| first_escape(kind, b"", &bytes, 0, &index));
                let mut escapes = Escapes::default();
                MARKS.each(&bytes, &mut |at| escapes.note(b"", &bytes, at, &index));
                prop_assert_eq!(escapes.each(), found);
            }
        }
    }

    fn index(simple: &[u8], least: usize) -> Index {
        Index {
            identifiers: Vec::new(),
            tokens: Vec::new(),
            patterns: Vec::new(),
            engine: crate::inspect::matcher::engine::Engine::new(&[]),
            keep: 0,
            simple: simple.to_vec(),
            around: Around { least, ..Around::new(&[]) },
        }
    }
}
