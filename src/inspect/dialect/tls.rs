//! TLS: records, hello messages, and from where on the records are ciphertext. RFC 8446, RFC 5246, RFC 6101.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::inspect::der::{self, CertName};
use crate::inspect::hello::{self, ClientHello, ServerHello};
use crate::inspect::suites;
use crate::inspect::wire::Wire;
use crate::model::{
    Agreement, Chunk, Direction, Encoding, Field, FrameRef, FrameSpan, Proto, Rule,
};

pub(in crate::inspect) static SPEC: Spec = Spec {
    name: "tls",
    standards: &["RFC 8446", "RFC 5246", "RFC 6101"],
    proto: Proto::TCP,
    ports: &[443, 465, 563, 636, 853, 990, 992, 993, 995],
    cleartext: false,
    probe,
    open: || Box::new(Tls::default()),
};

const SUITE: Field = Field("tls.handshake.ciphersuite");
const ALPN: Field = Field("tls.handshake.extensions_alpn_str");

/// Longest body of a record: 2^14 and what a cipher may add (RFC 5246 s6.2.3).
const MAX_RECORD: u16 = (1 << 14) + 2048;

/// Shortest body of an encrypted record: its tag or MAC alone, even a truncated one (RFC 6066 s7).
const MIN_SEALED: u16 = 10;

/// Shortest body of an encrypted record of TLS 1.3: content type and tag (RFC 8446 s5.2).
const MIN_SEALED_13: u16 = 17;

/// Octets of one handshake message that are kept; a chain of certificates fits.
const MAX_MESSAGE: usize = 64 * 1024;

/// Printable octets in a row that a record in front of the ciphertext never has, handshakes aside: 0.38^48 is 1e-20.
const TEXT_RUN: usize = 48;

/// Octets of a record's header (RFC 5246 s6.2.1).
const HEADER_LEN: u32 = 5;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

const TLS13: u16 = 0x0304;

fn probe(opening: &Opening<'_>) -> Fit {
    let (orig, resp) = (records(opening.orig), records(opening.resp));
    match (orig, resp) {
        (Fit::NeedMore, Fit::Certain) if opening.orig.is_empty() => Fit::Certain,
        (Fit::Certain, _) | (Fit::Plausible, Fit::Certain) => Fit::Certain,
        (Fit::No, _) | (_, Fit::No) => Fit::No,
        _ if opening.more => Fit::NeedMore,
        (Fit::Plausible, _) | (_, Fit::Plausible) => Fit::Plausible,
        _ => Fit::No,
    }
}

/// How well octets look like records: a hello, or several records one behind the other.
fn records(octets: &[u8]) -> Fit {
    let mut wire = Wire::new(octets);
    let mut whole = 0;
    loop {
        let rest = wire.rest();
        let Some(&[kind, major, minor, high, low]) = rest.first_chunk::<5>() else {
            let fits = [(0_usize, 20..=23), (1, 3..=3), (2, 0..=4)]
                .into_iter()
                .all(|(at, range)| rest.get(at).is_none_or(|octet| range.contains(octet)));
            return match (fits || is_v2_start(rest), whole) {
                (true, 0) => Fit::NeedMore,
                (true, _) => Fit::Plausible,
                (false, _) => Fit::No,
            };
        };
        let len = u16::from_be_bytes([high, low]);
        if is_v2_hello(rest) {
            return Fit::Plausible;
        }
        if !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind)
            || major != 3
            || minor > 4
            || len > MAX_RECORD
        {
            return Fit::No;
        }
        if kind == HANDSHAKE && whole == 0 {
            // A hello is never shorter: version, random, session id, suites.
            if is_hello(rest) {
                return Fit::Certain;
            }
        }
        whole += 1;
        // What follows does not take it back: it would depend on how much is at hand.
        if whole >= 2 {
            return Fit::Certain;
        }
        if wire.take(5 + usize::from(len)).is_none() || wire.is_empty() {
            return Fit::Plausible;
        }
    }
}

/// A ClientHello in the dress of SSL 2.0 (RFC 5246 appendix E.2).
fn is_v2_hello(octets: &[u8]) -> bool {
    matches!(octets, [high, _, 1, 0, 2, ..] | [high, _, 1, 3, 0..=3, ..] if high & 0x80 != 0)
}

/// Whether octets may become such a hello: its first ones, fewer than five.
fn is_v2_start(octets: &[u8]) -> bool {
    [&[1_u8, 0, 2][..], &[1, 3, 0]].iter().any(|rest| {
        octets.first().is_some_and(|high| high & 0x80 != 0)
            && octets.iter().skip(2).zip(*rest).all(|(octet, known)| octet == known)
    })
}

/// Whether octets begin with a record that holds a hello.
pub(in crate::inspect) fn is_hello(octets: &[u8]) -> bool {
    match octets {
        [HANDSHAKE, 3, 0..=4, high, low, 1 | 2, ..] => {
            let len = u16::from_be_bytes([*high, *low]);
            (38..=MAX_RECORD).contains(&len)
        }
        _ => false,
    }
}

/// Handshake messages that are in use (IANA, TLS HandshakeType).
const fn is_message(kind: u8) -> bool {
    matches!(kind, 0..=6 | 8 | 9 | 11..=16 | 20..=26 | 67 | 254)
}

/// A SERVER-HELLO of SSL 2.0.
const fn is_v2_answer(header: [u8; 5]) -> bool {
    let [high, _, kind, ..] = header;
    high & 0x80 != 0 && kind == 4
}

/// Reads one conn, or what follows a STARTTLS.
#[derive(Default)]
struct Tls {
    sides: [Side; 2],
    /// Who sent the ClientHello.
    client: Option<Direction>,
    offered: Vec<u8>,
    has_early_data: bool,
    /// The server asked for another ClientHello.
    is_retried: bool,
    agreed: Option<Agreed>,
}

/// What a ServerHello agreed on.
#[derive(Clone, Copy)]
struct Agreed {
    is_13: bool,
    is_real: bool,
    /// Octets of a counter in front of each ciphertext.
    nonce: u32,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one direction")]
struct Side {
    is_silent: bool,
    header: Vec<u8>,
    start: u64,
    first: FrameRef,
    kind: u8,
    /// Octets of the record's body still to come.
    left: usize,
    /// A body that is not read.
    is_skipped: bool,
    /// Printable octets in a row at the end of what was seen of a record in front of the ciphertext.
    text_run: usize,
    is_sealed: bool,
    has_changed: bool,
    messages: Messages,
}

/// Handshake messages, gathered from the records that carry them.
#[derive(Default)]
struct Messages {
    held: Vec<u8>,
    /// Octets of the current message to leave out.
    skip: usize,
    /// Where pieces of `held` begin in it and in the stream.
    pieces: Vec<(usize, u64)>,
    first: FrameRef,
    is_broken: bool,
}

impl Dialect for Tls {
    fn held(&self) -> usize {
        let sides = self.sides.iter().map(|side| {
            let Messages { held, pieces, .. } = &side.messages;
            let pieces = pieces.capacity() * size_of::<(usize, u64)>();
            side.header.capacity() + held.capacity() + pieces
        });
        self.offered.capacity() + sides.sum::<usize>()
    }

    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        match *chunk {
            Chunk::Data { offset, bytes, frames } => self.data(dir, offset, bytes, frames, out),
            Chunk::Gap { len, .. } => self.side(dir).gap(len),
            Chunk::Alternate { .. } => {}
        }
    }
}

impl Tls {
    fn side(&mut self, dir: Direction) -> &mut Side {
        let [orig, resp] = &mut self.sides;
        if dir == Direction::OrigToResp { orig } else { resp }
    }

    fn data(
        &mut self,
        dir: Direction,
        offset: u64,
        bytes: &[u8],
        frames: FrameSpan,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let mut wire = Wire::new(bytes);
        while !wire.is_empty() {
            let at = offset.saturating_add(wire.at() as u64);
            let side = self.side(dir);
            if side.is_silent {
                return;
            }
            if side.left > 0 {
                let step = side.left.min(wire.rest().len());
                side.left -= step;
                let body = wire.take(step).unwrap_or_default();
                if !side.is_skipped {
                    side.messages.add(at, body, frames);
                    self.messages(dir, frames, out);
                } else if side.is_clear_text(body) {
                    self.lose(dir, out);
                }
                continue;
            }
            if side.header.is_empty() {
                side.start = at;
                side.first = frames.first;
            }
            let missing = 5_usize.saturating_sub(side.header.len()).min(wire.rest().len());
            side.header.extend_from_slice(wire.take(missing).unwrap_or_default());
            if let Ok(header) = <[u8; 5]>::try_from(side.header.as_slice()) {
                side.header.clear();
                self.record(dir, header, out);
            }
        }
    }

    /// Takes the header of a record.
    fn record(&mut self, dir: Direction, header: [u8; 5], out: &mut dyn FnMut(Event<'_>)) {
        let [kind, major, minor, high, low] = header;
        let len = u16::from_be_bytes([high, low]);
        let is_client = self.client == Some(dir);
        let (agreed, has_early_data) = (self.agreed, self.has_early_data);
        // For the sake of middleboxes a record of TLS 1.2 stands in the handshake of 1.3 (RFC 8446 appendix D.4).
        let is_for_show = len == 1 && (is_client || self.is_retried);
        if self.client.is_none() && is_v2_hello(&header) {
            let side = self.side(dir);
            // Its length counts from the third octet. The answer tells which version is spoken.
            side.left = usize::from(u16::from_be_bytes([kind & 0x7f, major])).saturating_sub(3);
            side.is_skipped = true;
            self.client = Some(dir);
            out(Event::Remark("a ClientHello in the dress of SSL 2.0"));
            return;
        }
        if self.agreed.is_none() && self.client == Some(dir.reverse()) && is_v2_answer(header) {
            out(Event::Remark("SSL 2.0 is broken and not read further"));
            return self.lose(dir, out);
        }
        let side = self.side(dir);
        let fits = (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind)
            && major == 3
            && minor <= 4
            && len <= MAX_RECORD
            && (len > 0 || kind == APPLICATION_DATA);
        if !fits {
            return self.lose(dir, out);
        }
        let start = side.start;
        side.kind = kind;
        side.text_run = 0;
        side.left = usize::from(len);
        side.is_skipped = kind != HANDSHAKE || side.is_sealed || side.messages.is_broken;
        match agreed {
            Some(Agreed { is_13: true, is_real, .. }) => {
                if kind == APPLICATION_DATA && !side.is_sealed && is_real {
                    side.is_sealed = true;
                    out(Event::Sealed { dir, offset: start });
                } else if side.is_sealed
                    && !(kind == APPLICATION_DATA || kind == CHANGE_CIPHER_SPEC && len == 1)
                {
                    return self.lose(dir, out);
                }
                if kind == APPLICATION_DATA && len < MIN_SEALED_13 {
                    return self.lose(dir, out);
                }
            }
            Some(Agreed { is_13: false, is_real, .. }) => {
                if side.has_changed && is_real && kind != CHANGE_CIPHER_SPEC {
                    if !side.is_sealed {
                        side.is_sealed = true;
                        side.is_skipped = true;
                        out(Event::Sealed { dir, offset: start });
                    }
                    if len < MIN_SEALED {
                        return self.lose(dir, out);
                    }
                }
                if kind == CHANGE_CIPHER_SPEC {
                    side.has_changed = true;
                    side.messages.stop();
                } else if kind == APPLICATION_DATA && !side.has_changed {
                    // Data in front of the change of ciphers is nobody's ciphertext.
                    return self.lose(dir, out);
                }
            }
            // Early data is ciphertext by a key of an earlier conn (RFC 8446 s2.3). Its look is judged all the same.
            None if kind == APPLICATION_DATA && is_client && has_early_data && !side.is_sealed => {
                side.is_sealed = true;
                out(Event::Sealed { dir, offset: start });
            }
            // The agreement was not seen: this direction is never called sealed.
            None if kind == CHANGE_CIPHER_SPEC && !is_for_show => side.messages.stop(),
            None => {}
        }
        if side.is_sealed {
            let nonce = agreed.map_or(0, |agreed| agreed.nonce);
            out(Event::Framing { dir, offset: start, len: HEADER_LEN + nonce });
        }
    }

    /// Reads the handshake messages that are whole.
    fn messages(&mut self, dir: Direction, frames: FrameSpan, out: &mut dyn FnMut(Event<'_>)) {
        while let Some(message) = self.side(dir).messages.next(frames.last) {
            match message.kind {
                1 => self.client_hello(dir, &message, out),
                2 => self.server_hello(dir, &message, out),
                // Behind the hello of TLS 1.3 nothing is said in the clear (RFC 8446 s4).
                _ if self.agreed.is_some_and(|agreed| agreed.is_13) => return self.lose(dir, out),
                11 if self.agreed.is_some() => certificates(dir, &message, out),
                kind if is_message(kind) => {}
                _ => return self.lose(dir, out),
            }
        }
    }

    fn client_hello(&mut self, dir: Direction, message: &Message, out: &mut dyn FnMut(Event<'_>)) {
        let Some(hello) = ClientHello::parse(&message.body) else { return };
        if *self.client.get_or_insert(dir) != dir || self.agreed.is_some() {
            return;
        }
        self.offered = hello.suites.to_vec();
        self.has_early_data = hello.has_early_data;
        let named = hello.server_name.map(|(at, name)| (Field::HOST, at, name));
        let inside = hello.alpn.iter().map(|&(at, name)| (ALPN, at, name));
        for (field, at, value) in named.into_iter().chain(inside) {
            out(Event::Found(message.found(dir, Rule::Metadata, field, at, value)));
        }
    }

    fn server_hello(&mut self, dir: Direction, message: &Message, out: &mut dyn FnMut(Event<'_>)) {
        let Some(hello) = ServerHello::parse(&message.body) else { return };
        if hello.is_retry || self.agreed.is_some() {
            self.is_retried |= hello.is_retry;
            return;
        }
        if self.client != Some(dir.reverse()) {
            return out(Event::Remark("a ServerHello without a ClientHello"));
        }
        let offer = ClientHello { suites: &self.offered, ..ClientHello::default() };
        if !self.offered.is_empty() && !offer.offers(hello.suite) {
            return out(Event::Remark("the server chose a cipher suite that was not offered"));
        }
        let (Some(version), Some(suite)) =
            (hello::version_name(hello.version), suites::name(hello.suite))
        else {
            return out(Event::Remark("the agreed TLS version or cipher suite is not known"));
        };
        let is_13 = hello.version == TLS13;
        let is_real = suites::is_real(suite);
        let mut weak: Vec<String> =
            suites::weaknesses(suite).into_iter().map(str::to_owned).collect();
        if hello.version < 0x0303 {
            weak.push(version.to_owned());
        }
        if !is_real {
            let value = suite.as_bytes();
            out(Event::Found(message.found(dir, Rule::WeakCrypto, SUITE, 0, value)));
        }
        let (kex, mac) = suites::parts(suite);
        out(Event::Agreed(Agreement {
            version: version.to_owned(),
            kex: hello.group.map_or_else(|| kex.to_owned(), hello::group_name),
            cipher: [suite.to_owned(), suite.to_owned()],
            mac: [mac.to_owned(), mac.to_owned()],
            real: is_real,
            weak,
        }));
        let nonce = if is_13 { 0 } else { suites::explicit_nonce(suite) };
        self.agreed = Some(Agreed { is_13, is_real, nonce });
    }

    /// The octets from the last header on are no records.
    fn lose(&mut self, dir: Direction, out: &mut dyn FnMut(Event<'_>)) {
        let side = self.side(dir);
        side.is_silent = true;
        side.messages.stop();
        out(Event::Lost { dir, offset: side.start });
    }
}

impl Side {
    /// Whether the next octets of a body make a text of it that nobody encrypted: alerts, changes of ciphers and the like
    /// hold a few octets, data none at all.
    fn is_clear_text(&mut self, body: &[u8]) -> bool {
        if self.is_sealed || self.kind == HANDSHAKE {
            return false;
        }
        for octet in body {
            let is_text = matches!(octet, b'\t' | b'\n' | b'\r' | b' '..=b'~');
            self.text_run = if is_text { self.text_run + 1 } else { 0 };
            if self.text_run >= TEXT_RUN {
                return true;
            }
        }
        false
    }

    /// Octets are missing: inside a body they do no harm to what follows, anywhere else the next header is lost.
    fn gap(&mut self, len: u64) {
        self.messages.stop();
        self.is_skipped = true;
        match usize::try_from(len).ok().and_then(|len| self.left.checked_sub(len)) {
            Some(left) if self.left > 0 => self.left = left,
            _ => self.is_silent = true,
        }
    }
}

/// A whole handshake message.
struct Message {
    kind: u8,
    body: Vec<u8>,
    pieces: Vec<(usize, u64)>,
    frames: FrameSpan,
}

impl Messages {
    fn add(&mut self, at: u64, bytes: &[u8], frames: FrameSpan) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        if bytes.is_empty() {
            return;
        }
        if self.held.is_empty() {
            self.first = frames.first;
        }
        let at = at.saturating_add(skipped as u64);
        let goes_on = self.pieces.last().is_some_and(|(start, offset)| {
            offset.saturating_add((self.held.len() - start) as u64) == at
        });
        if !goes_on {
            self.pieces.push((self.held.len(), at));
        }
        self.held.extend_from_slice(bytes);
    }

    /// Takes a whole message (or the kept part of a longer one) out.
    fn next(&mut self, last: u64) -> Option<Message> {
        let mut wire = Wire::new(&self.held);
        let (kind, len) = (wire.u8()?, wire.u24()?);
        let kept = len.min(MAX_MESSAGE);
        let body = wire.take(kept)?.to_vec();
        let end = wire.at();
        let frames = FrameSpan { first: self.first, last };
        let message = Message { kind, body, pieces: self.pieces.clone(), frames };
        let beyond = (len - kept).min(self.held.len() - end);
        self.skip = len - kept - beyond;
        let from = end + beyond;
        let next_at = message.stream_offset(from);
        self.held.drain(..from);
        self.pieces.retain(|(start, _)| *start > from);
        for (start, _) in &mut self.pieces {
            *start -= from;
        }
        if !self.held.is_empty() {
            self.pieces.insert(0, (0, next_at));
        }
        Some(message)
    }

    fn stop(&mut self) {
        self.held = Vec::new();
        self.pieces = Vec::new();
        self.is_broken = true;
    }
}

impl Message {
    /// Where an octet of the message, header included, lies in the stream.
    fn stream_offset(&self, at: usize) -> u64 {
        let piece = self.pieces.iter().rev().find(|(start, _)| *start <= at);
        piece.map_or(0, |(start, offset)| offset.saturating_add((at - start) as u64))
    }

    fn found<'a>(
        &self,
        dir: Direction,
        rule: Rule,
        field: Field,
        at: usize,
        value: &'a [u8],
    ) -> Found<'a> {
        Found {
            rule,
            field,
            value,
            dir,
            offset: self.stream_offset(at.saturating_add(4)),
            len: u32::try_from(value.len()).unwrap_or(u32::MAX),
            frames: self.frames,
            encoding: Encoding::Ascii,
        }
    }
}

/// Tells the names in a Certificate message (RFC 5246 s7.4.2); the first certificate is the sender's own.
fn certificates(dir: Direction, message: &Message, out: &mut dyn FnMut(Event<'_>)) {
    let mut wire = Wire::new(&message.body);
    let (Some(_), Some(certificate)) = (wire.u24(), wire.vec24()) else { return };
    let base = wire.at() - certificate.len();
    der::names(certificate, &mut |name| {
        let (field, at, value) = match name {
            CertName::Host { at, name } => (Field::HOST, at, name),
            CertName::Mail { at, name } => (Field::ADDRESS, at, name),
        };
        out(Event::Found(message.found(dir, Rule::Metadata, field, base + at, value)));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{C, S, Turn, assert_never_panics, fit};

    const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

    #[test]
    fn probe_is_certain_of_a_hello_and_of_records_in_a_row() {
        assert_eq!(fit(&SPEC, HELLO, b"", C, 4000), Fit::Certain);
        assert_eq!(fit(&SPEC, HELLO, b"HTTP/1.1 400 Bad Request\r\n", C, 80), Fit::Certain);
        let record = b"\x17\x03\x03\x00\x12abcdefghijklmnopqr";
        assert_eq!(fit(&SPEC, &record.repeat(3), b"", C, 4000), Fit::Certain);
        // Whatever follows two of them.
        let odd = b"\x15\x03\x03\x00\x02\x02\x28\x16\x03\x01\x00\x03\x07\x00\x2c\x01\x01\xb8";
        assert_eq!(fit(&SPEC, &odd[..12], b"", C, 4000), Fit::Certain);
        assert_eq!(fit(&SPEC, odd, b"", C, 4000), Fit::Certain);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"", b"", C, 443), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"\x16\x03", b"", C, 443), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"\x17\x03\x03\x00\x40a", b"", C, 443), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"\x16\x02\x01\x02\x00\x01", b"", C, 443), Fit::No);
        // A hello in the dress of SSL 2.0 is awaited from its first octet on.
        let old = b"\x80\x2e\x01\x03\x01";
        for len in 1..old.len() {
            assert_eq!(fit(&SPEC, &old[..len], b"", C, 443), Fit::NeedMore, "{len}");
        }
        assert_eq!(fit(&SPEC, b"\x80\x2e\x02", b"", C, 443), Fit::No);
        assert_eq!(fit(&SPEC, b"\x16\x03\x01\xff\x00\x01", b"", C, 443), Fit::No);
        assert_eq!(fit(&SPEC, b"GET / HTTP/1.1\r\n", b"", C, 443), Fit::No);
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        let turns: &[Turn<'_>] = &[
            (C, HELLO),
            (C, b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\x00\x02\x00\x3b\x01\x00"),
            (S, b"\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\x00\x00\x3b\x00"),
            (S, b"\x16\x03\x03\x00\x10\x0b\x00\x00\x0c\x00\x00\x09\x00\x00\x06\x30\x04\x30\x02\xa0\x00"),
            (C, b"\x14\x03\x03\x00\x01\x01"),
            (S, b"\x17\x03\x03\x00\x03abc"),
            (C, b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"),
        ];
        assert_never_panics(&SPEC, turns);
    }
}
