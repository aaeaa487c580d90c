//! DHCP for IPv4: who asks for an address, by which name. RFC 2131 s2, RFC 2132, RFC 4702.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::inspect::wire::Wire;
use crate::model::{Chunk, Direction, Encoding, Field, FrameSpan, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "dhcp",
    standards: &["RFC 2131", "RFC 2132", "RFC 4702"],
    proto: Proto::UDP,
    ports: &[67, 68],
    cleartext: true,
    probe,
    open: || Box::new(Dhcp),
};

/// Where the options begin, behind the cookie.
const OPTIONS: usize = 240;

/// What stands in front of the options (RFC 2131 s3).
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

fn probe(opening: &Opening<'_>) -> Fit {
    let octets = opening.of(opening.first);
    if octets.is_empty() && opening.more {
        Fit::NeedMore
    } else if is_message(octets) {
        Fit::Certain
    } else {
        Fit::No
    }
}

/// Whether a datagram is a request or a reply with a cookie.
fn is_message(octets: &[u8]) -> bool {
    let [op, _, hardware_len, ..] = *octets else { return false };
    matches!(op, 1 | 2) && hardware_len <= 16 && octets.get(OPTIONS - 4..OPTIONS) == Some(&COOKIE)
}

struct Dhcp;

impl Dialect for Dhcp {
    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let Chunk::Data { offset, bytes, frames } = *chunk else { return };
        if is_message(bytes) {
            return options(dir, bytes, offset, frames, out);
        }
        out(Event::Lost { dir, offset });
        tell(Rule::Content, Field::TEXT, bytes, dir, offset, frames, out);
    }
}

/// Names among the options: host name (12), domain (15), full name (81).
fn options(
    dir: Direction,
    octets: &[u8],
    offset: u64,
    frames: FrameSpan,
    out: &mut dyn FnMut(Event<'_>),
) {
    let mut wire = Wire::new(octets);
    wire.take(OPTIONS);
    while let Some([code]) = wire.take(1).and_then(|octets| octets.first_chunk::<1>()) {
        match code {
            0 => continue,
            255 => return,
            _ => {}
        }
        let Some(&[len]) = wire.take(1).and_then(|octets| octets.first_chunk::<1>()) else {
            return;
        };
        let at = offset.saturating_add(wire.at() as u64);
        let Some(value) = wire.take(len.into()) else { return };
        let (name, at) = match code {
            12 | 15 => (value, at),
            // Flags and two codes stand in front (RFC 4702 s2).
            81 => (value.get(3..).unwrap_or_default(), at.saturating_add(3)),
            _ => continue,
        };
        if !name.is_empty() {
            tell(Rule::Metadata, Field::HOST, name, dir, at, frames, out);
        }
    }
}

fn tell(
    rule: Rule,
    field: Field,
    value: &[u8],
    dir: Direction,
    offset: u64,
    frames: FrameSpan,
    out: &mut dyn FnMut(Event<'_>),
) {
    let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let encoding = Encoding::Ascii;
    out(Event::Found(Found { rule, field, value, dir, offset, len, frames, encoding }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FrameRef, Timestamp};

    #[test]
    fn the_names_of_a_request_are_told() {
        let mut message = vec![1, 1, 6, 0];
        message.resize(OPTIONS - 4, 0);
        message.extend_from_slice(&COOKIE);
        message.extend_from_slice(b"\x35\x01\x03\0\x0c\x06laptop\x51\x0b\0\0\0lap.home\xff");
        let at = FrameRef { number: 1, time: Timestamp::from_nanos(0) };
        let chunk = Chunk::Data { offset: 0, bytes: &message, frames: FrameSpan::one(at) };
        let mut names = Vec::new();
        Dhcp.feed(Direction::OrigToResp, &chunk, &mut |event| {
            if let Event::Found(found) = event {
                names.push(String::from_utf8_lossy(found.value).into_owned());
            }
        });
        assert_eq!(names, ["laptop", "lap.home"]);
        for cut in 0..message.len() {
            let chunk =
                Chunk::Data { offset: 0, bytes: &message[..cut], frames: FrameSpan::one(at) };
            Dhcp.feed(Direction::OrigToResp, &chunk, &mut |_| {});
        }
    }
}
