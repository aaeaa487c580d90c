//! NTP: what time it is. It carries no content. RFC 5905 s7.3; MAC and extension fields RFC 7822.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::model::{Chunk, Direction, Encoding, Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "ntp",
    standards: &["RFC 5905", "RFC 7822"],
    proto: Proto::UDP,
    ports: &[123],
    cleartext: true,
    probe,
    open: || Box::new(Ntp),
};

/// Octets of a message without extensions.
const MIN_MESSAGE: usize = 48;

/// Octets of a message with the extensions of NTS (RFC 8915 s5), eight cookies among them.
const MAX_MESSAGE: usize = 1500;

/// Stratum 16 is "not synchronised"; text has no octet so low in its second place.
const MAX_STRATUM: u8 = 16;

fn probe(opening: &Opening<'_>) -> Fit {
    let octets = opening.of(opening.first);
    if octets.is_empty() && opening.more {
        Fit::NeedMore
    } else if is_message(octets) && opening.on_port(SPEC.ports) {
        Fit::Certain
    } else {
        Fit::No
    }
}

/// Whether a datagram has the shape of a message: version 1 to 4, mode 1 to 5.
fn is_message(octets: &[u8]) -> bool {
    let [first, stratum, ..] = *octets else { return false };
    matches!(first >> 3 & 7, 1..=4)
        && matches!(first & 7, 1..=5)
        && stratum <= MAX_STRATUM
        && (MIN_MESSAGE..=MAX_MESSAGE).contains(&octets.len())
        && octets.len().is_multiple_of(4)
}

struct Ntp;

impl Dialect for Ntp {
    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        if let Chunk::Data { offset, bytes, frames } = *chunk
            && !is_message(bytes)
        {
            out(Event::Lost { dir, offset });
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

    #[test]
    fn a_message_is_known_by_its_shape_and_port() {
        let mut message = [0; 48];
        (message[0], message[1]) = (0x23, 2);
        assert!(is_message(&message));
        assert!(!is_message(&message[..47]));
        assert!(!is_message(b"$ a line of text that is as long as a message is"));
    }
}
