//! TLS hello messages: what is asked for, and what is agreed on. RFC 8446 s4.1, RFC 5246 s7.4.1, RFC 6066 s3.

use super::wire::Wire;

/// `SHA-256("HelloRetryRequest")`, the random of a ServerHello that asks again (RFC 8446 s4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a ClientHello asks for.
#[derive(Debug, Default)]
pub(super) struct ClientHello<'a> {
    /// The suites, two octets each.
    pub(super) suites: &'a [u8],
    /// The name of the server, and where it begins in the message's body.
    pub(super) server_name: Option<(usize, &'a [u8])>,
    /// Protocols inside, and where they begin.
    pub(super) alpn: Vec<(usize, &'a [u8])>,
    /// Application data may follow at once (RFC 8446 s4.2.10).
    pub(super) has_early_data: bool,
}

/// What a ServerHello agrees on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerHello {
    /// 0x0300 to 0x0304.
    pub(super) version: u16,
    /// Number of the suite.
    pub(super) suite: u16,
    /// Group of the key share (TLS 1.3).
    pub(super) group: Option<u16>,
    /// It only asks for another ClientHello.
    pub(super) is_retry: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads the body of the message. What is cut off behind the suites is left out.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut wire = Wire::new(body);
        wire.take(2 + 32)?; // legacy_version, random
        wire.vec8()?; // session id
        let suites = wire.vec16()?;
        wire.vec8()?; // compression methods
        let mut hello = Self { suites, ..Self::default() };
        if wire.is_empty() {
            return Some(hello); // no extensions (RFC 5246 s7.4.1.2)
        }
        wire.u16()?;
        while let Some((kind, at, content)) = extension(&mut wire) {
            match kind {
                0 => hello.server_name = server_name(content).map(|(from, name)| (at + from, name)),
                16 => hello.alpn = alpn(content, at),
                42 => hello.has_early_data = true,
                _ => {}
            }
        }
        Some(hello)
    }

    /// Whether that suite was offered.
    pub(super) fn offers(&self, suite: u16) -> bool {
        self.suites.chunks_exact(2).any(|pair| pair == suite.to_be_bytes())
    }
}

impl ServerHello {
    /// Reads the body of the message.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut wire = Wire::new(body);
        let mut hello = Self { version: wire.u16()?, ..Self::default() };
        hello.is_retry = wire.take(32)? == RETRY;
        wire.vec8()?; // session id
        hello.suite = wire.u16()?;
        wire.u8()?; // compression method
        if wire.is_empty() {
            return Some(hello);
        }
        wire.u16()?;
        while let Some((kind, _, content)) = extension(&mut wire) {
            let mut content = Wire::new(content);
            match kind {
                43 => hello.version = content.u16()?, // supported_versions
                51 => hello.group = content.u16(),    // key_share
                _ => {}
            }
        }
        Some(hello)
    }
}

/// The next extension: type, where its content begins, content.
fn extension<'a>(wire: &mut Wire<'a>) -> Option<(u16, usize, &'a [u8])> {
    let kind = wire.u16()?;
    let content = wire.vec16()?;
    Some((kind, wire.at() - content.len(), content))
}

fn server_name(content: &[u8]) -> Option<(usize, &[u8])> {
    let mut wire = Wire::new(content);
    wire.u16()?;
    while !wire.is_empty() {
        let kind = wire.u8()?;
        let name = wire.vec16()?;
        if kind == 0 && !name.is_empty() {
            return Some((wire.at() - name.len(), name));
        }
    }
    None
}

fn alpn(content: &[u8], at: usize) -> Vec<(usize, &[u8])> {
    let mut wire = Wire::new(content);
    let mut names = Vec::new();
    if wire.u16().is_some() {
        while let Some(name) = wire.vec8().filter(|name| !name.is_empty() && names.len() < 16) {
            names.push((at + wire.at() - name.len(), name));
        }
    }
    names
}

/// `TLS 1.3`, `SSL 3.0`.
pub(super) const fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => return None,
    })
}

/// Name of a group (IANA "TLS Supported Groups"), or its number.
pub(super) fn group_name(group: u16) -> String {
    match group {
        23 => "secp256r1".into(),
        24 => "secp384r1".into(),
        25 => "secp521r1".into(),
        29 => "x25519".into(),
        30 => "x448".into(),
        256 => "ffdhe2048".into(),
        257 => "ffdhe3072".into(),
        258 => "ffdhe4096".into(),
        4587 => "SecP256r1MLKEM768".into(),
        4588 => "X25519MLKEM768".into(),
        4589 => "SecP384r1MLKEM1024".into(),
        25497 => "X25519Kyber768Draft00".into(),
        other => format!("group {other:#06x}"),
    }
}
