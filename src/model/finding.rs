//! Hits: what was found, where, and how sure it is.

use super::conn::Uid;
use super::frame::FrameSpan;
use super::identifier::Encoding;
use super::stream::Direction;
use std::fmt;

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A text of the target's identifiers.
    Identifier,
    /// A user name, password, community, token, cookie or nick that a protocol carries.
    Credential,
    /// Content that a protocol carries: folder names, subjects, addresses, message text.
    Content,
    /// A protocol's greeting or verb, readable.
    Banner,
    /// A name that travels beside encrypted content: DNS, SNI, certificates, DHCP.
    Metadata,
    /// A handshake that agreed on a cipher that hides nothing, or too little.
    WeakCrypto,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identifier => "identifier",
            Self::Credential => "credential",
            Self::Content => "content",
            Self::Banner => "banner",
            Self::Metadata => "metadata",
            Self::WeakCrypto => "weak-crypto",
        })
    }
}

/// Name of the field of a protocol that held it, in the words of MISSION 5.1 or of Wireshark's display filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(pub &'static str);

impl Field {
    /// Credential: who.
    pub const USERNAME: Self = Self("username");
    /// Credential: a password in the clear.
    pub const PASSWORD: Self = Self("password");
    /// Credential: an SNMP community.
    pub const COMMUNITY: Self = Self("community");
    /// Credential: a bearer token or API key.
    pub const TOKEN: Self = Self("token");
    /// Credential: a session cookie.
    pub const COOKIE: Self = Self("cookie");
    /// Credential: an IRC nick.
    pub const NICK: Self = Self("nick");
    /// Credential: an answer to a challenge that can be cracked off-line.
    pub const CHALLENGE_RESPONSE: Self = Self("challenge-response");
    /// Banner: a greeting.
    pub const GREETING: Self = Self("greeting");
    /// Banner: a verb of a protocol.
    pub const VERB: Self = Self("verb");
    /// Content: the name of a folder or mailbox.
    pub const FOLDER: Self = Self("folder");
    /// Content: a subject.
    pub const SUBJECT: Self = Self("subject");
    /// Content: a mail address.
    pub const ADDRESS: Self = Self("address");
    /// Content: a person's name.
    pub const NAME: Self = Self("name");
    /// Content: text of a message.
    pub const TEXT: Self = Self("text");
    /// Metadata: the host that a DNS SRV record names (RFC 2782).
    pub const SRV_TARGET: Self = Self("dns.srv.target");
    /// Metadata: the name that a DNS NAPTR record leads to (RFC 3403 s4.1).
    pub const NAPTR_REPLACEMENT: Self = Self("dns.naptr.replacement");
    /// Metadata: a host name.
    pub const HOST: Self = Self("host");
}

/// A hit in its surroundings, for the report's `tcpdump -X` view.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Octets around the hit, at most `Excerpt::MAX`.
    pub bytes: Vec<u8>,
    /// Where in `bytes` the hit begins.
    pub start: usize,
    /// Octets of the hit in `bytes`.
    pub len: usize,
}

impl Excerpt {
    /// Octets that an excerpt holds at the most.
    pub const MAX: usize = 160;

    /// Cuts the surroundings of `bytes[start..start + len]` out: at most 32 octets in front, at most `MAX` in all.
    #[must_use]
    pub fn around(bytes: &[u8], start: usize, len: usize) -> Self {
        let start = start.min(bytes.len());
        let from = start.saturating_sub(32);
        let to = bytes.len().min(from.saturating_add(Self::MAX));
        let taken = bytes.get(from..to).unwrap_or_default().to_vec();
        let len = len.min(taken.len().saturating_sub(start - from));
        Self { bytes: taken, start: start - from, len }
    }
}

/// Octets of other people's traffic are secrets: only the lengths show.
impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Excerpt({} octets, hit at {}+{})", self.bytes.len(), self.start, self.len)
    }
}

/// One thing found.
#[derive(Clone, PartialEq)]
pub struct Hit {
    /// The conn, or none for a frame that belongs to no conn.
    pub uid: Option<Uid>,
    /// What kind.
    pub rule: Rule,
    /// Field of the protocol that held it.
    pub field: Option<Field>,
    /// Label of the identifier, for `Rule::Identifier`.
    pub label: Option<String>,
    /// The value as meant (encodings undone), bounded to `Hit::MAX_VALUE` octets. A secret.
    pub value: Vec<u8>,
    /// Length of the value before the bound, in octets.
    pub value_len: usize,
    /// The dialect that read it; none for the matcher's own hits in an unknown protocol.
    pub dialect: Option<&'static str>,
    /// Who sent it; none for a raw frame.
    pub dir: Option<Direction>,
    /// Offset in the stream, or in the frame for a raw frame.
    pub offset: u64,
    /// Where it was captured.
    pub frames: FrameSpan,
    /// How it was written.
    pub encoding: Encoding,
    /// Its surroundings.
    pub excerpt: Excerpt,
    /// Expected number of such hits by chance in the octets searched so far, had they been random.
    pub chance: Option<f64>,
    /// It lies behind the point from which the direction is ciphertext.
    pub in_ciphertext: bool,
    /// It lies in octets that the first-wins stream does not contain (`Chunk::Alternate`) or in a raw frame.
    pub out_of_stream: bool,
}

impl Hit {
    /// Octets of a value that are kept.
    pub const MAX_VALUE: usize = 512;
}

/// The value is a secret: only label, field and length show.
impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("uid", &self.uid)
            .field("rule", &self.rule)
            .field("field", &self.field)
            .field("label", &self.label)
            .field("value_len", &self.value_len)
            .field("dialect", &self.dialect)
            .field("dir", &self.dir)
            .field("offset", &self.offset)
            .field("frames", &self.frames)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}
