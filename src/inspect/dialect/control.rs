//! tunnelcheck's own control: one datagram to the discard port (RFC 863) that holds a random token and nothing else.
//!
//! The tokens of the run that is judged are found by the matcher. This knows those of another run, as a sniffer on
//! another machine sees them: `tunnelcheck-control-` and 24 letters or digits of base32 (RFC 4648 s6), in lower case.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::model::{Chunk, Direction, Encoding, Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "control",
    standards: &["tunnelcheck control datagram"],
    proto: Proto::UDP,
    ports: &[9],
    cleartext: true,
    probe,
    open: || Box::new(Control),
};

/// What a token begins with.
const PREFIX: &[u8] = b"tunnelcheck-control-";

/// Letters behind it: 120 random bits.
const LETTERS: usize = 24;

fn probe(opening: &Opening<'_>) -> Fit {
    if opening.orig.is_empty() && opening.resp.is_empty() && opening.more {
        Fit::NeedMore
    } else if opening.resp_port == 9 && opening.resp.is_empty() && is_token(opening.orig) {
        Fit::Certain
    } else {
        Fit::No
    }
}

fn is_token(octets: &[u8]) -> bool {
    octets.strip_prefix(PREFIX).is_some_and(|rest| {
        rest.len() == LETTERS && rest.iter().all(|it| matches!(it, b'a'..=b'z' | b'2'..=b'7'))
    })
}

/// Says nothing of tokens: there is nothing in them. Anything else is content.
struct Control;

impl Dialect for Control {
    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        if let Chunk::Data { offset, bytes, frames } = *chunk
            && !(dir == Direction::OrigToResp && is_token(bytes))
        {
            out(Event::Found(Found {
                rule: Rule::Content,
                field: Field::TEXT,
                value: bytes,
                dir,
                offset,
                len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                frames,
                encoding: Encoding::Ascii,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(octets: &[u8], resp_port: u16) -> Fit {
        probe(&Opening {
            orig: octets,
            resp: b"",
            orig_port: 40_000,
            resp_port,
            first: Direction::OrigToResp,
            more: false,
        })
    }

    #[test]
    fn a_token_alone_is_a_control_and_anything_beside_it_is_not() {
        let token = b"tunnelcheck-control-abcdefghijklmnop234567qr";
        assert_eq!(fit(token, 9), Fit::Certain);
        assert_eq!(fit(token, 53), Fit::No);
        assert_eq!(fit(&token[..43], 9), Fit::No);
        assert_eq!(fit(&[token.as_slice(), b" jsmith"].concat(), 9), Fit::No);
        assert_eq!(fit(b"tunnelcheck-control-John Smith was here 234", 9), Fit::No);
    }
}
