//! What must not be read on the wire, and how it may be written there.

use std::fmt;

/// A text that must not be seen, with the label the report may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    /// Label of the target file: `username`, `folders`, ...
    pub label: String,
    /// The text. A secret: never shown without `--show-secrets`.
    pub text: String,
}

/// The label alone (never a digest: a short secret is found again from it).
impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({})", self.label)
    }
}

/// How a text was written on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// ASCII, any case.
    Ascii,
    /// UTF-8, composed (NFC).
    Utf8Nfc,
    /// UTF-8, decomposed (NFD).
    Utf8Nfd,
    /// ISO 8859-1.
    Latin1,
    /// Mac OS Roman.
    MacRoman,
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
    /// Base64, any of three phases.
    Base64,
    /// Base64 with the URL-safe alphabet.
    Base64Url,
    /// Hexadecimal digits, any case.
    Hex,
    /// `%41`.
    Percent,
    /// `=41` (RFC 2045 s6.7).
    QuotedPrintable,
    /// `=?charset?Q?...?=` (RFC 2047).
    Rfc2047,
    /// IMAP's modified UTF-7 (RFC 3501 s5.1.3).
    ModifiedUtf7,
    /// `&eacute;`, `&#233;`, `&#xe9;`.
    HtmlEntity,
    /// `\u00e9`.
    JsonEscape,
    /// Written by the protocol in a form of its own; the dialect undid it.
    Dialect,
    /// In a body cut by chunk headers (RFC 9112 s7.1).
    Chunked,
    /// In WebSocket frames, masked or cut (RFC 6455 s5).
    WebSocket,
    /// In a gzip body (RFC 1952).
    Gzip,
    /// In a body compressed by deflate, with or without the header of zlib (RFC 1951, RFC 1950).
    Deflate,
    /// In a Brotli body (RFC 7932).
    Brotli,
    /// In a zstd body (RFC 8878).
    Zstd,
}

impl Encoding {
    /// Whether it names a body that was undone as a whole: the text stood inside of it, in any other encoding.
    #[must_use]
    pub const fn is_body(self) -> bool {
        matches!(
            self,
            Self::Chunked
                | Self::WebSocket
                | Self::Gzip
                | Self::Deflate
                | Self::Brotli
                | Self::Zstd
        )
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ascii => "ascii",
            Self::Utf8Nfc => "utf-8-nfc",
            Self::Utf8Nfd => "utf-8-nfd",
            Self::Latin1 => "latin-1",
            Self::MacRoman => "mac-roman",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Hex => "hex",
            Self::Percent => "percent",
            Self::QuotedPrintable => "quoted-printable",
            Self::Rfc2047 => "rfc2047",
            Self::ModifiedUtf7 => "modified-utf-7",
            Self::HtmlEntity => "html-entity",
            Self::JsonEscape => "json-escape",
            Self::Dialect => "dialect",
            Self::Chunked => "chunked",
            Self::WebSocket => "websocket",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        })
    }
}
