//! SSH: who speaks, and which ciphers follow from the two KEXINIT messages. RFC 4253; passwords only where the cipher
//! is `none`.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::inspect::wire::Wire;
use crate::model::{
    Agreement, Chunk, Direction, Encoding, Field, FrameRef, FrameSpan, Proto, Rule,
};
use std::collections::BTreeSet;
use std::ops::Range;

pub(super) static SPEC: Spec = Spec {
    name: "ssh",
    standards: &["RFC 4253", "RFC 4252"],
    proto: Proto::TCP,
    ports: &[22],
    cleartext: false,
    probe,
    open: || Box::new(Ssh::default()),
};

const IDENTIFICATION: Field = Field("ssh.protocol");
const CIPHER: Field = Field("ssh.encryption_algorithm");

/// Longest identification string, CR LF included (RFC 4253 s4.2).
const MAX_IDENTIFICATION: usize = 255;

/// Octets of lines that a server may send in front of it; the RFC sets no bound, OpenSSH reads 1024 lines.
const MAX_PREAMBLE: usize = 8192;

/// Longest packet before the ciphers change: what every implementation must take (RFC 4253 s6.1).
const MAX_CLEAR_PACKET: u32 = 35_000;

/// Longest packet that any implementation is known to send (OpenSSH's PACKET_MAX_SIZE).
const MAX_PACKET: u32 = 256 * 1024;

/// Octets of a plain packet (cipher `none`) that are looked at; user names and passwords stand in front.
const MAX_KEPT: usize = 2048;

/// Smallest method message of a key exchange: an X25519 value with its headers is larger (RFC 5656, RFC 8731).
const MIN_KEX_MESSAGE: usize = 32;

/// Printable octets in a row that keys, signatures and padding never have: 0.38^64 is 1e-27, and a name in a certificate
/// of a host is shorter.
const TEXT_RUN: usize = 64;

/// Different ones among them, from which it is a text: keys that were made unreadable on purpose are filled with one letter.
const TEXT_LETTERS: usize = 8;

/// Octets of the lists of languages, which are empty in practice (RFC 4253 s7.1).
const MAX_LANGUAGES: usize = 64;

fn probe(opening: &Opening<'_>) -> Fit {
    let orig = identification(opening.orig);
    let resp = identification(opening.resp);
    match (orig, resp) {
        (Fit::Certain, _) | (_, Fit::Certain) => Fit::Certain,
        (Fit::No, _) => Fit::No,
        (_, Fit::NeedMore) => Fit::NeedMore,
        // Lines may stand in front of the server's identification string.
        (Fit::NeedMore, _) => match preamble(opening.resp) {
            true if opening.more => Fit::NeedMore,
            true => Fit::Certain,
            false if opening.more && opening.on_port(SPEC.ports) => Fit::NeedMore,
            false => Fit::No,
        },
        (Fit::Plausible, _) => Fit::No,
    }
}

/// Whether octets begin with `SSH-1.` or `SSH-2.`.
fn identification(octets: &[u8]) -> Fit {
    match octets {
        [b'S', b'S', b'H', b'-', b'1' | b'2', b'.', ..] => Fit::Certain,
        _ if b"SSH-1.".starts_with(octets) || b"SSH-2.".starts_with(octets) => Fit::NeedMore,
        _ => Fit::No,
    }
}

fn preamble(octets: &[u8]) -> bool {
    memchr::memmem::find(octets, b"\nSSH-2.0-").is_some()
}

/// Reads one conn. The client is orig, unless the key exchange shows otherwise.
#[derive(Default)]
struct Ssh {
    sides: [Side; 2],
    /// Resp was seen to begin the key exchange: the capture has the ends the wrong way round.
    is_swapped: bool,
    agreement: Option<Agreement>,
    compression: [String; 2],
    is_over: bool,
}

#[derive(Default)]
struct Side {
    state: State,
    held: Vec<u8>,
    /// Stream offset of the first octet of `held`.
    start: u64,
    first: FrameRef,
    /// Octets to leave out.
    skip: u64,
    proposal: Option<Proposal>,
    has_kex_message: bool,
    preamble: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Identification,
    /// Packets that anybody can read, each with so many octets of MAC behind it.
    Packets(Plain),
    /// Ciphertext whose packet lengths can be read.
    Framed {
        tag: u8,
    },
    /// NEWKEYS was seen before it is known what was agreed on.
    Unknown,
    Silent,
}

/// How packets that are not encrypted are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plain {
    /// Octets of MAC behind each packet.
    mac: u8,
    /// The length field does not count for the block size (a MAC over what it covers, `-etm`).
    is_etm: bool,
    /// NEWKEYS was seen: the cipher is `none`.
    is_keyed: bool,
}

impl Plain {
    const START: Self = Self { mac: 0, is_etm: false, is_keyed: false };
}

/// The name-lists of a KEXINIT (RFC 4253 s7.1), in its order.
struct Proposal {
    lists: [String; 8],
}

impl Dialect for Ssh {
    fn held(&self) -> usize {
        let sides = self.sides.iter().map(|side| {
            let lists = side.proposal.iter().flat_map(|proposal| &proposal.lists);
            side.held.capacity() + lists.map(String::capacity).sum::<usize>()
        });
        sides.sum()
    }

    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        match *chunk {
            Chunk::Data { offset, bytes, frames } => self.data(dir, offset, bytes, frames, out),
            // Where a packet begins is not known any more. What was sealed stays sealed.
            Chunk::Gap { .. } => {
                let side = self.side(dir);
                side.state = State::Silent;
                side.held = Vec::new();
            }
            Chunk::Alternate { .. } => {}
        }
    }
}

impl Ssh {
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
            if self.is_over {
                return;
            }
            let side = self.side(dir);
            if side.skip > 0 {
                let step = usize::try_from(side.skip).unwrap_or(usize::MAX).min(wire.rest().len());
                side.skip -= step as u64;
                wire.take(step);
                continue;
            }
            if side.held.is_empty() {
                side.start = at;
                side.first = frames.first;
            }
            let span = FrameSpan { first: side.first, last: frames.last };
            match side.state {
                State::Identification => self.line(dir, &mut wire, span, out),
                State::Packets(plain) => self.packet(dir, &mut wire, plain, span, out),
                State::Framed { tag } => self.framed(dir, &mut wire, tag, out),
                State::Unknown => self.lose(dir, out),
                State::Silent => return,
            }
        }
    }

    /// Reads one line of the version exchange.
    fn line(
        &mut self,
        dir: Direction,
        wire: &mut Wire<'_>,
        span: FrameSpan,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let side = self.side(dir);
        let rest = wire.rest();
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        side.held.extend_from_slice(wire.take(end).unwrap_or_default());
        let bound = if side.held.starts_with(b"SSH-") { MAX_IDENTIFICATION } else { MAX_PREAMBLE };
        if side.held.len() > bound {
            return self.lose(dir, out);
        }
        if side.held.last() != Some(&b'\n') {
            return;
        }
        let line = std::mem::take(&mut side.held);
        let start = side.start;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !text.starts_with(b"SSH-") {
            side.preamble = side.preamble.saturating_add(line.len());
            // Only a server may say something else first (RFC 4253 s4.2).
            if dir == Direction::OrigToResp || side.preamble > MAX_PREAMBLE {
                side.start = start;
                self.lose(dir, out);
            }
            return;
        }
        side.state = State::Packets(Plain::START);
        let found = |rule, field| Found {
            rule,
            field,
            value: text,
            dir,
            offset: start,
            len: u32::try_from(text.len()).unwrap_or(u32::MAX),
            frames: span,
            encoding: Encoding::Ascii,
        };
        out(Event::Found(found(Rule::Metadata, IDENTIFICATION)));
        if text.starts_with(b"SSH-1.99") {
            out(Event::Remark("the server also speaks SSH-1 (SSH-1.99)"));
        } else if !text.starts_with(b"SSH-2.") {
            out(Event::Found(found(Rule::WeakCrypto, IDENTIFICATION)));
            out(Event::Remark("SSH-1 is not read further"));
            self.is_over = true;
        }
    }

    /// Reads one packet that is not encrypted (RFC 4253 s6).
    fn packet(
        &mut self,
        dir: Direction,
        wire: &mut Wire<'_>,
        plain: Plain,
        span: FrameSpan,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let side = self.side(dir);
        let Some(length) = side.header(wire) else { return };
        let most = if plain.is_keyed { MAX_PACKET } else { MAX_CLEAR_PACKET };
        let counted = if plain.is_etm { u64::from(length) } else { u64::from(length) + 4 };
        if !(5..=most).contains(&length) || !counted.is_multiple_of(8) {
            return self.lose(dir, out);
        }
        let whole = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(4);
        let keep = if plain.is_keyed { whole.min(MAX_KEPT) } else { whole };
        let missing = keep.saturating_sub(side.held.len()).min(wire.rest().len());
        side.held.extend_from_slice(wire.take(missing).unwrap_or_default());
        if side.held.len() < keep {
            return;
        }
        let held = std::mem::take(&mut side.held);
        side.skip = (whole - keep).saturating_add(plain.mac.into()) as u64;
        let padding = usize::from(held.get(4).copied().unwrap_or(0));
        let Some(end) = whole.checked_sub(padding).filter(|&end| padding >= 4 && end >= 6) else {
            return self.lose(dir, out);
        };
        let payload = held.get(5..end.min(held.len())).unwrap_or_default();
        if !plain.is_keyed && !self.is_exchange(dir, payload, held.get(end..).unwrap_or_default()) {
            return self.lose(dir, out);
        }
        let offset = self.side(dir).start;
        let after = offset.saturating_add(whole as u64).saturating_add(plain.mac.into());
        self.message(dir, payload, offset..after, span, out);
    }

    /// Whether a packet in front of NEWKEYS belongs to a key exchange. Anybody can read it, so it must say nothing else
    /// (RFC 4253 s7: only these messages, and those that end a conn).
    fn is_exchange(&mut self, dir: Direction, payload: &[u8], padding: &[u8]) -> bool {
        let is_told = match payload.first() {
            // SSH_MSG_DISCONNECT, SSH_MSG_UNIMPLEMENTED, SSH_MSG_NEWKEYS
            Some(1 | 3 | 21) => true,
            Some(20) => self.side(dir).proposal.is_none(),
            Some(30..=49) => !has_text(payload),
            _ => false,
        };
        is_told && !has_text(padding)
    }

    fn message(
        &mut self,
        dir: Direction,
        payload: &[u8],
        packet: Range<u64>,
        span: FrameSpan,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let is_compressed = {
            let [orig, resp] = &self.compression;
            let name = if dir == Direction::OrigToResp { orig } else { resp };
            !name.is_empty() && name != "none"
        };
        match payload.first() {
            // SSH_MSG_KEXINIT
            Some(20) => match Proposal::parse(payload) {
                Some(proposal) => {
                    self.side(dir).proposal.get_or_insert(proposal);
                    self.agree(packet.start, span, out);
                }
                None => self.lose(dir, out),
            },
            // SSH_MSG_NEWKEYS (RFC 4253 s7.3)
            Some(21) => self.new_keys(dir, packet.end, payload.len(), out),
            // The method's own messages. Who sends 30 or 34 is the client (RFC 4253 s8, RFC 4419, RFC 5656).
            Some(&kind @ 30..=49) => {
                if payload.len() >= MIN_KEX_MESSAGE {
                    self.side(dir).has_kex_message = true;
                }
                let from_client = (dir == Direction::OrigToResp) != self.is_swapped;
                let one_sided = !self.side(dir.reverse()).has_kex_message;
                if matches!(kind, 30 | 34) && !from_client && one_sided {
                    self.is_swapped = !self.is_swapped;
                    self.agree(packet.start, span, out);
                }
            }
            // SSH_MSG_USERAUTH_REQUEST and SSH_MSG_USERAUTH_INFO_RESPONSE, after cipher `none`.
            Some(50 | 61) if !is_compressed && self.agreement.is_some() => {
                credentials(dir, payload, packet.start.saturating_add(5), span, out);
            }
            _ => {}
        }
    }

    /// Works out what both proposals lead to (RFC 4253 s7.1).
    fn agree(&mut self, offset: u64, span: FrameSpan, out: &mut dyn FnMut(Event<'_>)) {
        let [orig, resp] = &self.sides;
        let (client, server) = if self.is_swapped { (resp, orig) } else { (orig, resp) };
        let (Some(client), Some(server)) = (&client.proposal, &server.proposal) else { return };
        let chosen = |index: usize| common(client.list(index), server.list(index));
        let order = |to_server: String, to_client: String| {
            if self.is_swapped { [to_client, to_server] } else { [to_server, to_client] }
        };
        let (Some(to_server), Some(to_client)) = (chosen(2), chosen(3)) else { return };
        if [to_server, to_client].into_iter().any(|name| !is_known(name) && !is_none(name)) {
            return out(Event::Remark("the agreed cipher is not known"));
        }
        let mac = |index, cipher: &str| {
            if is_aead(cipher) { String::new() } else { chosen(index).unwrap_or_default().into() }
        };
        let macs = (mac(4, to_server), mac(5, to_client));
        let kex = chosen(0).unwrap_or_default().to_owned();
        let cipher = order(to_server.to_owned(), to_client.to_owned());
        self.compression = order(
            chosen(6).unwrap_or_default().to_owned(),
            chosen(7).unwrap_or_default().to_owned(),
        );
        let mac = order(macs.0, macs.1);
        let mut weak = Vec::new();
        for name in cipher
            .iter()
            .filter(|name| is_weak_cipher(name))
            .chain(mac.iter().filter(|name| is_weak_mac(name)))
        {
            if !weak.contains(name) {
                weak.push(name.clone());
            }
        }
        if is_weak_kex(&kex) {
            weak.push(kex.clone());
        }
        for (name, cipher) in mac.iter().zip(&cipher) {
            let remark = "no MAC".to_owned();
            if (name == "none" || name.is_empty()) && !is_aead(cipher) && !weak.contains(&remark) {
                weak.push(remark);
            }
        }
        for (dir, name) in Direction::BOTH.into_iter().zip(&cipher) {
            if is_none(name) {
                out(Event::Found(Found {
                    rule: Rule::WeakCrypto,
                    field: CIPHER,
                    value: name.as_bytes(),
                    dir,
                    offset,
                    len: 0,
                    frames: span,
                    encoding: Encoding::Ascii,
                }));
            }
        }
        let real = !cipher.iter().any(|name| is_none(name));
        let agreement = Agreement { version: "SSH-2.0".into(), kex, cipher, mac, real, weak };
        out(Event::Agreed(agreement.clone()));
        self.agreement = Some(agreement);
    }

    /// The ciphers change at `offset`.
    fn new_keys(
        &mut self,
        dir: Direction,
        offset: u64,
        payload: usize,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let has_kex_message = self.sides.iter().all(|side| side.has_kex_message);
        let Some(agreement) = &self.agreement else {
            self.side(dir).state = State::Unknown;
            return;
        };
        if !has_kex_message || payload != 1 {
            // NEWKEYS without a key exchange is no handshake.
            self.side(dir).state = State::Unknown;
            return;
        }
        let pair = |[orig, resp]: &[String; 2]| {
            if dir == Direction::OrigToResp { orig.clone() } else { resp.clone() }
        };
        let (cipher, mac_name) = (pair(&agreement.cipher), pair(&agreement.mac));
        let tag = mac_len(&mac_name);
        let state = if is_none(&cipher) {
            match tag {
                Some(mac) => {
                    State::Packets(Plain { mac, is_etm: is_etm(&mac_name), is_keyed: true })
                }
                None => State::Silent,
            }
        } else if has_plain_lengths(&cipher) {
            State::Framed { tag: 16 }
        } else {
            match tag {
                Some(tag) if is_etm(&mac_name) => State::Framed { tag },
                _ => State::Silent,
            }
        };
        if !is_none(&cipher) {
            out(Event::Sealed { dir, offset });
        }
        self.side(dir).state = state;
    }

    /// Follows the packet lengths of ciphertext, where the cipher leaves them readable.
    fn framed(
        &mut self,
        dir: Direction,
        wire: &mut Wire<'_>,
        tag: u8,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let side = self.side(dir);
        let Some(length) = side.header(wire) else { return };
        if !(8..=MAX_PACKET).contains(&length) || !length.is_multiple_of(8) {
            return self.lose(dir, out);
        }
        side.held.clear();
        side.skip = u64::from(length) + u64::from(tag);
        out(Event::Framing { dir, offset: side.start, len: 4 });
    }

    /// The octets from the start of what is held on are no SSH.
    fn lose(&mut self, dir: Direction, out: &mut dyn FnMut(Event<'_>)) {
        let side = self.side(dir);
        side.state = State::Silent;
        side.held = Vec::new();
        out(Event::Lost { dir, offset: side.start });
    }
}

impl Side {
    /// Collects the four octets of a packet's length.
    fn header(&mut self, wire: &mut Wire<'_>) -> Option<u32> {
        let missing = 4_usize.saturating_sub(self.held.len()).min(wire.rest().len());
        self.held.extend_from_slice(wire.take(missing)?);
        Wire::new(&self.held).u32()
    }
}

impl Proposal {
    fn parse(payload: &[u8]) -> Option<Self> {
        let mut wire = Wire::new(payload);
        wire.take(17)?; // type and cookie
        let mut lists: [String; 8] = Default::default();
        for list in &mut lists {
            let names = wire.vec32()?;
            if !names.iter().all(u8::is_ascii_graphic) {
                return None;
            }
            *list = String::from_utf8_lossy(names).into_owned();
        }
        let languages = wire.vec32()?.len() + wire.vec32()?.len();
        wire.take(5)?; // first_kex_packet_follows, reserved
        (languages <= MAX_LANGUAGES && wire.is_empty()).then_some(Self { lists })
    }

    fn list(&self, index: usize) -> &str {
        self.lists.get(index).map_or("", String::as_str)
    }
}

/// The first name of the client's list that the server has too (RFC 4253 s7.1).
fn common<'a>(client: &'a str, server: &str) -> Option<&'a str> {
    client.split(',').find(|name| !name.is_empty() && server.split(',').any(|other| other == *name))
}

/// Whether octets that should be random hold a text.
fn has_text(octets: &[u8]) -> bool {
    octets
        .split(|octet| !matches!(octet, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
        .filter(|run| run.len() >= TEXT_RUN)
        .any(|run| run.iter().collect::<BTreeSet<_>>().len() >= TEXT_LETTERS)
}

/// Whether a cipher hides nothing.
fn is_none(cipher: &str) -> bool {
    let name = cipher.to_ascii_lowercase();
    name.starts_with("none") || name.starts_with("null")
}

/// Whether a cipher is one that hides the octets (RFC 4253 s6.3, RFC 4344, RFC 5647, OpenSSH's PROTOCOL).
fn is_known(cipher: &str) -> bool {
    const FAMILIES: &[&str] = &[
        "aes128-",
        "aes192-",
        "aes256-",
        "AEAD_AES_",
        "chacha20-poly1305",
        "3des-",
        "blowfish-",
        "cast128-",
        "idea-",
        "serpent",
        "twofish",
        "camellia",
        "arcfour",
        "rijndael",
        "des-",
        "des3-",
        "seed-",
        "sm4-",
    ];
    FAMILIES.iter().any(|family| cipher.starts_with(family))
}

fn is_aead(cipher: &str) -> bool {
    has_plain_lengths(cipher) || cipher.starts_with("chacha20-poly1305")
}

/// GCM leaves the packet length readable as associated data (RFC 5647 s7.3, and OpenSSH's PROTOCOL).
fn has_plain_lengths(cipher: &str) -> bool {
    cipher.contains("-gcm@") || cipher.starts_with("AEAD_AES_") && cipher.ends_with("_GCM")
}

fn is_etm(mac: &str) -> bool {
    mac.contains("-etm@")
}

fn is_weak_cipher(name: &str) -> bool {
    ["arcfour", "des-", "3des-", "blowfish-", "cast128-", "idea-", "rc2"]
        .iter()
        .any(|weak| name.starts_with(weak))
}

fn is_weak_mac(name: &str) -> bool {
    name.contains("md5") || name.contains("-96")
}

fn is_weak_kex(name: &str) -> bool {
    matches!(name, "diffie-hellman-group1-sha1" | "rsa1024-sha1")
}

/// Octets of a MAC (RFC 4253 s6.4, RFC 6668, OpenSSH's PROTOCOL).
fn mac_len(name: &str) -> Option<u8> {
    let name = name.split('@').next().unwrap_or_default();
    let name = name.strip_suffix("-etm").unwrap_or(name);
    Some(match name {
        "" | "none" => 0,
        "hmac-sha2-512" => 64,
        "hmac-sha2-256" => 32,
        "hmac-sha1" | "hmac-ripemd160" => 20,
        "hmac-md5" | "umac-128" => 16,
        "hmac-sha1-96" | "hmac-md5-96" => 12,
        "umac-64" => 8,
        _ => return None,
    })
}

/// User name and password of a request that anybody could read (RFC 4252 s5, s8; RFC 4256 s3.4).
fn credentials(
    dir: Direction,
    payload: &[u8],
    start: u64,
    frames: FrameSpan,
    out: &mut dyn FnMut(Event<'_>),
) {
    let mut wire = Wire::new(payload);
    let mut tell = |field, value: &[u8], end: usize| {
        out(Event::Found(Found {
            rule: Rule::Credential,
            field,
            value,
            dir,
            offset: start.saturating_add((end - value.len()) as u64),
            len: u32::try_from(value.len()).unwrap_or(u32::MAX),
            frames,
            encoding: Encoding::Ascii,
        }));
    };
    if wire.u8() == Some(61) {
        let count = wire.u32().unwrap_or(0).min(16); // RFC 4256 s3.2: a client may refuse more
        for _ in 0..count {
            let Some(answer) = wire.vec32() else { return };
            tell(Field::PASSWORD, answer, wire.at());
        }
        return;
    }
    let Some(user) = wire.vec32() else { return };
    tell(Field::USERNAME, user, wire.at());
    let (Some(_service), Some(method)) = (wire.vec32(), wire.vec32()) else { return };
    if method == b"password"
        && wire.u8().is_some()
        && let Some(password) = wire.vec32()
    {
        tell(Field::PASSWORD, password, wire.at());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{C, S, Turn, assert_never_panics, fit};

    #[test]
    fn probe_is_certain_of_the_identification_string() {
        assert_eq!(fit(&SPEC, b"", b"SSH-2.0-x\r\n", S, 4000), Fit::Certain);
        assert_eq!(fit(&SPEC, b"SSH-2.", b"", C, 4000), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"hello\r\nSSH-2.0-x\r\n", S, 4000), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"SSH-1.5-old\r\n", b"", C, 4000), Fit::Certain);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"SS", b"", C, 22), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"welcome\r\n", S, 22), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"SSH 2.0", b"", C, 22), Fit::No);
        assert_eq!(fit(&SPEC, b"SSH-3.0-x\r\n", b"", C, 22), Fit::No);
        assert_eq!(fit(&SPEC, b"", b"220 mail\r\n", S, 25), Fit::No);
    }

    #[test]
    fn the_clients_order_decides() {
        assert_eq!(common("b,a", "a,b"), Some("b"));
        assert_eq!(common("c,a", "a,b"), Some("a"));
        assert_eq!(common("c", "a,b"), None);
        assert_eq!(common("", ""), None);
    }

    #[test]
    fn none_and_unknown_ciphers_are_not_real() {
        assert!(is_none("none") && is_none("NONE") && !is_none("aes128-ctr"));
        for known in ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "3des-cbc"] {
            assert!(is_known(known), "{known}");
        }
        assert!(!is_known("rot13") && !is_known("none"));
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        let turns: &[Turn<'_>] = &[
            (C, b"SSH-2.0-a\r\n"),
            (S, b"hello\nSSH-2.0-b\r\n"),
            (C, b"\0\0\0\x0c\x0a\x15\0\0\0\0\0\0\0\0\0\0"),
            (S, b"\0\0\0\x1c\x04\x14\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\0\0\0\x01a\0\0\0\0\0"),
        ];
        assert_never_panics(&SPEC, turns);
    }
}
