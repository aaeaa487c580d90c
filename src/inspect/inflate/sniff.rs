//! Finds compressed data that nobody announced, by its magic, in any octets.

use super::bounds::{Fault, Work};
use super::reading::{Body, Source};
use super::{Coding, Context, Outcome};
use crate::inspect::blocks::Heads;

/// Octets of the longest magic.
const MAGIC: usize = 4;

/// How each `magic` begins.
static MAGICS: Heads = Heads::new(&[(0x1f, b"\x8b"), (0x28, b"\xb5"), (0x78, b"\x01\x5e\x9c\xda")]);

/// Bodies that are open side by side in one sequence of octets.
const MAX_OPEN: usize = 4;

/// Octets at the front of a segment of ciphertext in which the short magic of zlib counts; further on it stands by chance.
const ZLIB_IN_SEALED: usize = 16;

/// Whether the octets claim to be ciphertext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Zone {
    /// They do not.
    #[default]
    Clear,
    /// They do: compressed data counts there only where its checksum proves it.
    Sealed,
}

/// Looks through one sequence of octets.
#[derive(Default)]
pub(super) struct Sniffer {
    /// The last octets before, which may begin a magic.
    carry: [u8; MAGIC - 1],
    carried: u8,
    has_counted: bool,
    open: Vec<Body>,
}

impl Sniffer {
    /// Takes the next octets.
    #[expect(clippy::too_many_arguments, reason = "what is handed down through all layers")]
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        from: Source,
        zone: Zone,
        depth: u8,
        cx: &mut Context<'_>,
        work: &mut Work,
        outcome: &mut Outcome,
    ) {
        for body in &mut self.open {
            body.feed(bytes, Source { exact: false, ..from }, cx, work, outcome);
        }
        self.open.retain(|body| !body.is_over());
        // A magic that begins in the octets before.
        let carried = usize::from(self.carried);
        let mut joint = [0; 2 * (MAGIC - 1)];
        let ahead = bytes.len().min(MAGIC - 1);
        let before = self.carry.get(..carried).unwrap_or_default();
        let source = before.iter().chain(bytes.iter().take(ahead));
        for (place, octet) in joint.iter_mut().zip(source) {
            *place = *octet;
        }
        let joined = joint.get(..carried + ahead).unwrap_or_default();
        for at in 0..carried {
            let here = joined.get(at..).unwrap_or_default();
            let Some((coding, len)) = magic(here) else { continue };
            if len <= carried - at {
                continue; // it was whole before
            }
            let back = (carried - at) as u64;
            let wire = from.wire.saturating_sub(if from.exact { back } else { 0 });
            let source = Source { wire, exact: false, ..from };
            let front = here.get(..carried - at).unwrap_or_default();
            self.begin(coding, zone, &[front, bytes], source, depth, cx, work, outcome);
        }
        MAGICS.each(bytes, &mut |at| {
            let here = bytes.get(at..).unwrap_or_default();
            if let Some((coding, _)) = magic(here)
                && (coding != Coding::Zlib || zone == Zone::Clear || at < ZLIB_IN_SEALED)
            {
                let wire = from.wire.saturating_add(if from.exact { at as u64 } else { 0 });
                let source = Source { wire, exact: false, ..from };
                self.begin(coding, zone, &[here], source, depth, cx, work, outcome);
            }
        });
        self.remember(joined, bytes);
    }

    /// Octets of memory held beside its own.
    pub(super) fn held(&self) -> usize {
        let bodies: usize = self.open.iter().map(Body::held).sum();
        self.open.capacity() * size_of::<Body>() + bodies
    }

    /// Octets are missing, or the end has come.
    pub(super) fn cut(&mut self, cx: &mut Context<'_>, work: &mut Work, outcome: &mut Outcome) {
        self.carried = 0;
        for mut body in self.open.drain(..) {
            body.end(cx, work, outcome);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what is handed down through all layers")]
    fn begin(
        &mut self,
        coding: Coding,
        zone: Zone,
        parts: &[&[u8]],
        from: Source,
        depth: u8,
        cx: &mut Context<'_>,
        work: &mut Work,
        outcome: &mut Outcome,
    ) {
        let is_flood = !work.may_try();
        if self.open.len() >= MAX_OPEN || is_flood {
            // Inside of compressed data such octets stand by chance; a long magic, or a flood of them, does not.
            if (is_flood || coding != Coding::Zlib)
                && zone == Zone::Clear
                && !std::mem::replace(&mut self.has_counted, true)
            {
                outcome.stopped += 1;
            }
            return;
        }
        match Body::guessed(coding, zone, depth, cx.bounds) {
            Ok(mut body) => {
                for part in parts {
                    body.feed(part, from, cx, work, outcome);
                }
                if !body.is_over() {
                    self.open.push(body);
                }
            }
            Err(fault) if zone == Zone::Clear => fault.count(outcome),
            Err(Fault::Damaged | Fault::Unknown | Fault::Stopped) => {}
        }
    }

    fn remember(&mut self, joined: &[u8], bytes: &[u8]) {
        let last = if bytes.len() >= MAGIC - 1 { bytes } else { joined };
        let last = last.get(last.len().saturating_sub(MAGIC - 1)..).unwrap_or_default();
        if let Some(place) = self.carry.get_mut(..last.len()) {
            place.copy_from_slice(last);
        }
        self.carried = u8::try_from(last.len()).unwrap_or(0);
    }
}

/// The coding whose magic stands at the front, and the octets of the magic.
fn magic(bytes: &[u8]) -> Option<(Coding, usize)> {
    match bytes {
        // RFC 1952 s2.3: the method is deflate, the reserved flags are zero.
        [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Some((Coding::Gzip, 4)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some((Coding::Zstd, 4)),
        // RFC 1950 s2.2 without a dictionary, and a block type of RFC 1951 s3.2.3.
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, rest @ ..] if may_be_block(rest) => {
            (!rest.is_empty()).then_some((Coding::Zlib, 3))
        }
        _ => None,
    }
}

/// Whether deflate may begin so (RFC 1951 s3.2.3); of what is not at hand the best is thought.
fn may_be_block(octets: &[u8]) -> bool {
    let Some(&[first]) = octets.first_chunk() else { return true };
    match (first >> 1 & 3, octets) {
        // The length, and its complement (s3.2.4).
        (0, [_, a, b, c, d, ..]) => a ^ c == 0xff && b ^ d == 0xff,
        (0 | 1, _) => true,
        (2, _) => may_be_codes(octets),
        _ => false,
    }
}

/// Whether dynamic codes may begin so (RFC 1951 s3.2.7): not too many of them, and the code of their lengths is whole.
fn may_be_codes(octets: &[u8]) -> bool {
    let Some(octets) = octets.first_chunk::<16>() else { return true };
    let bits = u128::from_le_bytes(*octets);
    let (literals, distances) = (bits >> 3 & 31, bits >> 8 & 31);
    let lengths = (0..(bits >> 13 & 15) + 4).map(|nth| bits >> (17 + 3 * nth) & 7);
    let used = lengths.filter(|length| *length != 0);
    let (count, whole) =
        used.fold((0, 0_u32), |(count, sum), length| (count + 1, sum + (128 >> length)));
    literals < 30 && distances < 30 && (whole == 128 || count <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    fn zlib(octets: &[u8], level: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len() + 1000);
        let mut compress = Compress::new(Compression::new(level), true);
        compress.compress_vec(octets, &mut out, FlushCompress::Finish).unwrap();
        out
    }

    proptest! {
        #[test]
        fn no_zlib_is_taken_for_something_else(
            octets in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..600),
                "[a-e \n]{0,900}".prop_map(String::into_bytes),
                "(User jsmith|Reindeer Games|[A-Za-z]){0,200}".prop_map(String::into_bytes),
            ],
            level in 0_u32..=9,
        ) {
            let zlib = zlib(&octets, level);
            for len in 3..zlib.len().min(40) {
                prop_assert_eq!(magic(&zlib[..len]), Some((Coding::Zlib, 3)), "{}", len);
            }
        }
    }
}
