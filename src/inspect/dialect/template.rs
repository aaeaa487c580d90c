//! NAME: one sentence on what it carries. Where it is described (RFC, section).
//!
//! A pattern to copy for a new dialect: keep the order of the parts, replace the rest, add the two lines in `mod.rs`.
//! It is compiled in tests alone, so it stays true.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::model::{Chunk, Direction, Encoding, Field, FrameSpan, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "template",
    standards: &["RFC 0000"],
    proto: Proto::TCP,
    ports: &[0], // they order the probes, and never exclude
    cleartext: true,
    probe,
    open: || Box::new(Template::default()),
};

/// Octets of one message that are kept, with the reason for the bound.
const MAX_MESSAGE: usize = 256;

/// What every message begins with.
const MAGIC: &[u8] = b"TMPL ";

/// Certain only of what no other protocol begins with; for text protocols see `inspect::probe`.
fn probe(opening: &Opening<'_>) -> Fit {
    let octets = opening.of(opening.first);
    if octets.starts_with(MAGIC) {
        Fit::Certain
    } else if MAGIC.starts_with(octets) {
        Fit::NeedMore
    } else {
        Fit::No
    }
}

/// Reads one conn. Text protocols are shorter as a `Grammar` of `inspect::talk`.
#[derive(Default)]
struct Template {
    sides: [Side; 2],
}

#[derive(Default)]
struct Side {
    held: Vec<u8>,
    /// Offset of the first octet of `held`, and where it was captured.
    start: Option<(u64, FrameSpan)>,
    is_silent: bool,
}

impl Dialect for Template {
    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let [orig, resp] = &mut self.sides;
        let side = if dir == Direction::OrigToResp { orig } else { resp };
        match *chunk {
            Chunk::Data { offset, bytes, frames } => side.data(dir, offset, bytes, frames, out),
            // Where a message begins is not known any more.
            Chunk::Gap { .. } => *side = Side { is_silent: true, ..Side::default() },
            Chunk::Alternate { .. } => {}
        }
    }
}

impl Side {
    fn data(
        &mut self,
        dir: Direction,
        offset: u64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        for (&octet, at) in bytes.iter().zip(offset..) {
            if self.is_silent {
                return;
            }
            let (start, span) = self.start.get_or_insert((at, frames));
            *span = span.to(frames);
            self.held.push(octet);
            if octet == b'\n' {
                let (value, offset, frames) = (self.held.as_slice(), *start, *span);
                out(Event::Found(Found {
                    rule: Rule::Content,
                    field: Field::TEXT,
                    value,
                    dir,
                    offset,
                    len: u32::try_from(value.len()).unwrap_or(u32::MAX),
                    frames,
                    encoding: Encoding::Ascii,
                }));
                self.held.clear();
                self.start = None;
            } else if self.held.len() > MAX_MESSAGE {
                out(Event::Lost { dir, offset: *start });
                *self = Self { is_silent: true, ..Self::default() };
            }
        }
    }
}

mod tests {
    use super::*;
    use crate::inspect::script::{
        C, S, assert_never_panics, assert_split_invariant, fields, fit, play, play_gap,
    };

    #[test]
    fn a_message_is_read() {
        assert_eq!(fields(&play(&SPEC, &[(C, b"TMPL a\n")])), ["content text=TMPL a\n"]);
    }

    #[test]
    fn a_gap_silences_its_direction() {
        assert!(play_gap(&SPEC, &[(C, b"TMPL ")], C, 3, &[(C, b"b\n")]).is_empty());
    }

    #[test]
    fn probe_is_certain_waits_and_refuses() {
        assert_eq!(fit(&SPEC, b"TMPL a", b"", C, 1), Fit::Certain);
        assert_eq!(fit(&SPEC, b"TM", b"", C, 1), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"TMPX", b"", C, 1), Fit::No);
    }

    #[test]
    fn any_split_gives_the_same_events() {
        assert_split_invariant(&SPEC, &[(C, b"TMPL a\n"), (S, b"TMPL b\nTMPL c\n")]);
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        assert_never_panics(&SPEC, &[(C, b"TMPL a\n"), (S, b"TMPL b\n")]);
    }
}
