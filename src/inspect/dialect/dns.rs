//! DNS, mDNS, LLMNR and NetBIOS names: which names were asked for, and which addresses were answered.
//! RFC 1035 s4, RFC 6762, RFC 4795, RFC 1002 s4.2.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::inspect::wire::Wire;
use crate::model::{
    Chunk, Direction, Encoding, Field, FrameRef, FrameSpan, NameAnswer, Proto, Rule,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One message a datagram.
pub(super) static SPEC: Spec = Spec {
    name: "dns",
    standards: &["RFC 1035", "RFC 6762", "RFC 4795", "RFC 1002"],
    proto: Proto::UDP,
    ports: &[53, 5353, 5355, 137],
    cleartext: true,
    probe,
    open: || Box::new(Dns),
};

/// Messages with two octets of length in front (RFC 1035 s4.2.2).
pub(super) static OVER_TCP: Spec = Spec {
    name: "dns",
    standards: &["RFC 1035", "RFC 7766"],
    proto: Proto::TCP,
    ports: &[53],
    cleartext: true,
    probe: probe_tcp,
    open: || Box::new(OverTcp::default()),
};

/// Octets of a name (RFC 1035 s3.1).
const MAX_NAME: usize = 255;

/// Pointers followed within one name; each must point backwards (RFC 1035 s4.1.4).
const MAX_JUMPS: usize = 32;

/// Records read of one message; a message of 64 KiB may hold some thousand.
const MAX_RECORDS: usize = 1024;

/// Names of one message that are followed from alias to alias.
const MAX_ALIASES: usize = 64;

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const PTR: u16 = 12;
const MX: u16 = 15;
const AAAA: u16 = 28;
const NETBIOS: [u16; 2] = [0x20, 0x21];
const SRV: u16 = 33;
const NAPTR: u16 = 35;

fn probe(opening: &Opening<'_>) -> Fit {
    let first = opening.of(opening.first);
    if first.is_empty() { Fit::NeedMore } else { fit(first, opening.on_port(SPEC.ports)) }
}

fn probe_tcp(opening: &Opening<'_>) -> Fit {
    // Who asks speaks first; an answer alone is read as well.
    let octets = if opening.orig.is_empty() { opening.resp } else { opening.orig };
    let mut wire = Wire::new(octets);
    let Some(len) = wire.u16() else { return Fit::NeedMore };
    if len < 17 {
        return Fit::No; // header and the shortest question
    }
    if let Some(message) = wire.take(len.into()) {
        return match fit(message, false) {
            Fit::Certain => Fit::Certain,
            _ => Fit::No,
        };
    }
    let more = if opening.more { Fit::NeedMore } else { Fit::Plausible };
    match header(wire.rest()) {
        Some(head) if head.questions == 1 => more,
        None if wire.rest().len() < 12 && opening.on_port(OVER_TCP.ports) => more,
        _ => Fit::No,
    }
}

/// How well one datagram fits: every record must, up to the last octet.
fn fit(message: &[u8], on_port: bool) -> Fit {
    let Some(head) = header(message) else { return Fit::No };
    let mut records = 0;
    let mut walker = Walker::new(message, head);
    while walker.next().is_some() {
        records += 1;
    }
    match walker.end {
        End::Whole if records > 0 && (head.questions == 1 || on_port) => Fit::Certain,
        End::Cut if records > 0 && on_port => Fit::Certain,
        End::Cut if records > 0 => Fit::Plausible,
        _ => Fit::No,
    }
}

#[derive(Clone, Copy, Debug)]
struct Header {
    is_answer: bool,
    questions: u16,
    records: u32,
}

/// Reads the header, if its flags and counts can be those of a message.
fn header(message: &[u8]) -> Option<Header> {
    let mut wire = Wire::new(message);
    wire.u16()?;
    let flags = wire.u16()?;
    let counts = [wire.u16()?, wire.u16()?, wire.u16()?, wire.u16()?];
    let [questions, answers, authorities, additionals] = counts;
    let is_answer = flags & 0x8000 != 0;
    // Query, status, notify, update, and NetBIOS's registration, release, refresh (RFC 1002 s4.2.1.1).
    let opcode = (flags >> 11) & 0xf;
    let is_opcode = matches!(opcode, 0 | 2 | 4 | 5 | 6 | 7 | 8 | 9);
    let code = flags & 0xf;
    let is_code = is_answer || code == 0;
    let has_any = counts.iter().any(|count| *count > 0);
    (is_opcode && is_code && has_any && questions <= 64).then(|| Header {
        is_answer,
        questions,
        records: u32::from(answers) + u32::from(authorities) + u32::from(additionals),
    })
}

/// A question or a record.
struct Entry<'a> {
    is_question: bool,
    name: Name,
    kind: u16,
    /// Where its data begin in the message, and the data.
    data: (usize, &'a [u8]),
}

/// A name, and where it begins in the message.
struct Name {
    at: usize,
    len: usize,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
    Wrong,
}

/// Walks the questions and records of a message.
struct Walker<'a> {
    message: &'a [u8],
    wire: Wire<'a>,
    questions: u16,
    records: u32,
    left: usize,
    end: End,
}

impl<'a> Walker<'a> {
    fn new(message: &'a [u8], head: Header) -> Self {
        let mut wire = Wire::new(message);
        wire.take(12);
        Self {
            message,
            wire,
            questions: head.questions,
            records: head.records,
            left: MAX_RECORDS,
            end: End::Whole,
        }
    }

    fn next(&mut self) -> Option<Entry<'a>> {
        let is_question = self.questions > 0;
        if !is_question && self.records == 0 {
            // Octets behind the last record are no DNS.
            self.end = if self.wire.is_empty() { End::Whole } else { End::Wrong };
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        match self.read(is_question) {
            Ok(entry) => {
                if is_question {
                    self.questions -= 1;
                } else {
                    self.records -= 1;
                }
                Some(entry)
            }
            Err(end) => {
                self.end = end;
                None
            }
        }
    }

    fn read(&mut self, is_question: bool) -> Result<Entry<'a>, End> {
        let (name, after) = name(self.message, self.wire.at())?;
        self.wire = Wire::new(self.message);
        self.wire.take(after).ok_or(End::Cut)?;
        let kind = self.wire.u16().ok_or(End::Cut)?;
        let class = self.wire.u16().ok_or(End::Cut)?;
        // IN, CH, HS, none, any; the top bit is mDNS's cache flush or unicast answer. OPT keeps a size here.
        if !matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) && (is_question || kind != 41) {
            return Err(End::Wrong);
        }
        let mut data = (self.wire.at(), &[][..]);
        if !is_question {
            self.wire.u32().ok_or(End::Cut)?; // TTL
            let octets = self.wire.vec16().ok_or(End::Cut)?;
            data = (self.wire.at() - octets.len(), octets);
        }
        Ok(Entry { is_question, name, kind, data })
    }
}

/// Reads a name, pointers followed; gives also where the next field begins.
fn name(message: &[u8], at: usize) -> Result<(Name, usize), End> {
    let mut text = Vec::new();
    let mut here = at;
    let mut after = None;
    let mut jumps = 0;
    loop {
        let len = *message.get(here).ok_or(End::Cut)?;
        match len {
            0 => {
                let after = after.unwrap_or(here + 1);
                return Ok((Name { at, len: after.saturating_sub(at), text }, after));
            }
            1..=63 => {
                let label = message.get(here + 1..here + 1 + usize::from(len)).ok_or(End::Cut)?;
                if !text.is_empty() {
                    text.push(b'.');
                }
                text.extend_from_slice(label);
                if text.len() > MAX_NAME {
                    return Err(End::Wrong);
                }
                here += 1 + label.len();
            }
            0xc0.. => {
                let low = *message.get(here + 1).ok_or(End::Cut)?;
                let to = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                after.get_or_insert(here + 2);
                jumps += 1;
                // Only backwards: so it ends.
                if to >= here || to < 12 || jumps > MAX_JUMPS {
                    return Err(End::Wrong);
                }
                here = to;
            }
            _ => return Err(End::Wrong),
        }
    }
}

/// Reads datagrams.
struct Dns;

impl Dialect for Dns {
    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        if let Chunk::Data { offset, bytes, frames } = *chunk {
            message(dir, bytes, offset, frames, out);
        }
    }
}

/// Tells what one message holds. `offset` is where it begins in the stream.
fn message(
    dir: Direction,
    octets: &[u8],
    offset: u64,
    frames: FrameSpan,
    out: &mut dyn FnMut(Event<'_>),
) {
    let Some(head) = header(octets) else {
        out(Event::Lost { dir, offset });
        return out(Event::Found(Found {
            rule: Rule::Content,
            field: Field::TEXT,
            value: octets,
            dir,
            offset,
            len: u32::try_from(octets.len()).unwrap_or(u32::MAX),
            frames,
            encoding: Encoding::Ascii,
        }));
    };
    let mut walker = Walker::new(octets, head);
    let mut addresses: Vec<(Vec<u8>, IpAddr)> = Vec::new();
    let mut aliases: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    while let Some(entry) = walker.next() {
        let mut tell_as = |name: &Name, field: Field| {
            if name.text.is_empty() {
                return;
            }
            out(Event::Found(Found {
                rule: Rule::Metadata,
                field,
                value: &name.text,
                dir,
                offset: offset.saturating_add(name.at as u64),
                len: u32::try_from(name.len).unwrap_or(u32::MAX),
                frames,
                encoding: Encoding::Dialect,
            }));
        };
        let mut tell = |name: &Name| tell_as(name, Field::HOST);
        if entry.is_question {
            if NETBIOS.contains(&entry.kind)
                && let Some(plain) = netbios(&entry.name.text)
            {
                tell(&Name { text: plain, ..entry.name });
            } else {
                tell(&entry.name);
            }
            continue;
        }
        let (at, data) = entry.data;
        let inner = |skip: usize| name(octets, at + skip).ok().map(|(name, _)| name);
        match entry.kind {
            A => {
                if let Ok(four) = <[u8; 4]>::try_from(data) {
                    addresses.push((entry.name.text, Ipv4Addr::from(four).into()));
                }
            }
            AAAA => {
                if let Ok(sixteen) = <[u8; 16]>::try_from(data) {
                    addresses.push((entry.name.text, Ipv6Addr::from(sixteen).into()));
                }
            }
            CNAME => {
                if let Some(target) = inner(0) {
                    tell(&target);
                    aliases.push((entry.name.text, target.text));
                }
            }
            NS | PTR => inner(0).iter().for_each(tell),
            MX => inner(2).iter().for_each(tell),
            SRV => inner(6).iter().for_each(|name| tell_as(name, Field::SRV_TARGET)),
            NAPTR => {
                let skip = naptr_replacement(data);
                let name = skip.and_then(inner);
                if let Some(name) = &name {
                    tell_as(name, Field::NAPTR_REPLACEMENT);
                }
            }
            _ => {}
        }
    }
    if head.is_answer {
        answers(addresses, &aliases, frames.first, out);
    }
    if walker.end == End::Wrong {
        out(Event::Lost { dir, offset });
    }
}

/// Tells the addresses of every name that leads to them, aliases included (RFC 1034 s3.6.2).
fn answers(
    addresses: Vec<(Vec<u8>, IpAddr)>,
    aliases: &[(Vec<u8>, Vec<u8>)],
    at: FrameRef,
    out: &mut dyn FnMut(Event<'_>),
) {
    let aliases = aliases.get(..aliases.len().min(MAX_ALIASES)).unwrap_or_default();
    for (owner, address) in addresses {
        let mut names = vec![owner];
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            next += 1;
            for (alias, target) in aliases {
                let is_known = names.iter().any(|known| known.eq_ignore_ascii_case(alias));
                if target.eq_ignore_ascii_case(&name) && !is_known {
                    names.push(alias.clone());
                }
            }
        }
        for name in names.iter().filter(|name| !name.is_empty()) {
            let name = String::from_utf8_lossy(name).to_lowercase();
            out(Event::Name(NameAnswer { name, address, at }));
        }
    }
}

/// Where the replacement of a NAPTR record begins: behind order, preference, and three strings (RFC 3403 s4.1).
fn naptr_replacement(data: &[u8]) -> Option<usize> {
    let mut at = 4;
    for _ in 0..3 {
        at += 1 + usize::from(*data.get(at)?);
    }
    Some(at)
}

/// Undoes NetBIOS's half-octet letters and its padding (RFC 1001 s14.1).
fn netbios(text: &[u8]) -> Option<Vec<u8>> {
    let letters = text.split(|octet| *octet == b'.').next()?;
    if letters.len() != 32 || !letters.iter().all(|letter| (b'A'..=b'P').contains(letter)) {
        return None;
    }
    let mut plain: Vec<u8> = letters
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [high, low] => Some((high - b'A') << 4 | (low - b'A')),
            _ => None,
        })
        .collect();
    plain.pop(); // the last octet is the kind of service
    let end = plain.iter().rposition(|octet| *octet != b' ' && *octet != 0).map_or(0, |at| at + 1);
    plain.truncate(end);
    Some(plain)
}

/// Reads messages with a length in front.
#[derive(Default)]
struct OverTcp {
    sides: [Side; 2],
}

#[derive(Default)]
struct Side {
    held: Vec<u8>,
    start: u64,
    first: FrameRef,
    is_silent: bool,
}

impl Dialect for OverTcp {
    fn held(&self) -> usize {
        self.sides.iter().map(|side| side.held.capacity()).sum()
    }

    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let [orig, resp] = &mut self.sides;
        let side = if dir == Direction::OrigToResp { orig } else { resp };
        match *chunk {
            Chunk::Data { .. } if side.is_silent => {}
            Chunk::Data { offset, bytes, frames } => side.data(dir, offset, bytes, frames, out),
            Chunk::Gap { .. } => {
                side.is_silent = true;
                side.held = Vec::new();
            }
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
        let mut wire = Wire::new(bytes);
        while !wire.is_empty() {
            if self.held.is_empty() {
                self.start = offset.saturating_add(wire.at() as u64);
                self.first = frames.first;
            }
            let whole = match self.held.first_chunk::<2>() {
                Some(len) => 2 + usize::from(u16::from_be_bytes(*len)),
                None => 2,
            };
            let missing = whole.saturating_sub(self.held.len()).min(wire.rest().len());
            self.held.extend_from_slice(wire.take(missing).unwrap_or_default());
            match self.held.first_chunk::<2>() {
                Some(len) if self.held.len() == 2 + usize::from(u16::from_be_bytes(*len)) => {}
                _ => continue,
            }
            let octets = std::mem::take(&mut self.held);
            let octets = octets.get(2..).unwrap_or_default();
            let span = FrameSpan { first: self.first, last: frames.last };
            if header(octets).is_none() {
                self.is_silent = true;
                return out(Event::Lost { dir, offset: self.start });
            }
            message(dir, octets, self.start.saturating_add(2), span, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{C, S, Turn, assert_never_panics, fields, fit, play};

    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04mail\x07example\x03org\x00\x00\x01\x00\x01";

    const ANSWER: &[u8] = b"\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\
        \x04mail\x07example\x03org\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x05\x00\x01\x00\x00\x0e\x10\x00\x07\x04host\xc0\x11\
        \xc0\x2e\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\x0a\x00\x00\x09";

    #[test]
    fn probe_is_certain_of_a_whole_message() {
        assert_eq!(fit(&SPEC, QUERY, b"", C, 4000), Fit::Certain);
        assert_eq!(fit(&SPEC, QUERY, ANSWER, C, 53), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", ANSWER, S, 53), Fit::Certain);
        let framed = [&[0, 34], QUERY].concat();
        assert_eq!(fit(&OVER_TCP, &framed, b"", C, 4000), Fit::Certain);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"", b"", C, 53), Fit::NeedMore);
        assert_eq!(fit(&SPEC, &QUERY[..14], b"", C, 53), Fit::No);
        assert_eq!(fit(&SPEC, &ANSWER[..40], b"", C, 53), Fit::Certain, "cut by a snaplen");
        assert_eq!(fit(&SPEC, &ANSWER[..40], b"", C, 4000), Fit::Plausible);
        assert_eq!(fit(&SPEC, &[QUERY, b"x"].concat(), b"", C, 53), Fit::No);
        assert_eq!(fit(&OVER_TCP, &[0], b"", C, 53), Fit::NeedMore);
        assert_eq!(fit(&OVER_TCP, b"GET / HTTP/1.1\r\n\r\n", b"", C, 53), Fit::No);
    }

    #[test]
    fn pointers_that_run_in_circles_end() {
        let mut message = QUERY[..12].to_vec();
        message.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01");
        assert_eq!(fit(&SPEC, &message, b"", C, 53), Fit::No);
    }

    #[test]
    fn a_netbios_name_is_plain() {
        let mut message = QUERY[..12].to_vec();
        message.extend_from_slice(b"\x20ENEBEJEMCACACACACACACACACACACACA\x00\x00\x20\x00\x01");
        assert_eq!(fields(&play(&SPEC, &[(C, &message)])), ["metadata host=MAIL"]);
    }

    #[test]
    fn hosts_that_srv_and_naptr_records_lead_to_have_fields_of_their_own() {
        let mut message = b"\x12\x34\x81\x80\x00\x00\x00\x02\x00\x00\x00\x00".to_vec();
        message.extend_from_slice(b"\x05_imap\x02ex\x00\x00\x21\x00\x01\x00\x00\x0e\x10\x00\x11");
        message.extend_from_slice(b"\x00\x00\x00\x01\x00\x8f\x06dasher\x02ex\x00");
        message.extend_from_slice(b"\x02ex\x00\x00\x23\x00\x01\x00\x00\x0e\x10\x00\x1a");
        message.extend_from_slice(b"\x00\x0a\x00\x0a\x01s\x07SIP+D2U\x00\x06dasher\x02ex\x00");
        assert_eq!(
            fields(&play(&SPEC, &[(S, &message)])),
            ["metadata dns.srv.target=dasher.ex", "metadata dns.naptr.replacement=dasher.ex"]
        );
        for end in 12..message.len() {
            let _ = play(&SPEC, &[(S, &message[..end])]);
        }
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        let turns: &[Turn<'_>] = &[(C, QUERY), (S, ANSWER), (C, b"\x00\x26"), (C, b"\xc0\x0c")];
        assert_never_panics(&SPEC, turns);
        assert_never_panics(&OVER_TCP, turns);
    }
}
