//! Conns (both directions) and what is known of them at their end.

use super::encap::Carriage;
use super::finding::Hit;
use super::frame::{FrameRef, Timestamp};
use super::segment::Proto;
use std::fmt;
use std::net::IpAddr;

/// One end of a conn. `port` is 0 for protocols without ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Address; an IPv4-mapped IPv6 address stays as it was on the wire.
    pub ip: IpAddr,
    /// TCP or UDP port.
    pub port: u16,
}

/// `10.0.0.2:110`, `[2001:db8::1]:110`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

/// Who opened a conn, to whom, by which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Who opened it, as far as can be told.
    pub orig: Endpoint,
    /// The other end.
    pub resp: Endpoint,
    /// IP protocol.
    pub proto: Proto,
}

/// `10.0.0.5:49158 -> 10.0.0.2:110/tcp`.
impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}/{}", self.orig, self.resp, self.proto)
    }
}

/// Name of a conn in the report: `C1`, `C2`, ... in the order of their first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u64);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{}", self.0)
    }
}

/// Index of an open conn in its table; used again after the conn is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnSlot(pub u32);

/// What flow knows of a conn at its end. Pairs are indexed by `Direction::index`.
#[derive(Clone, Debug)]
pub struct ConnRecord {
    /// Its name.
    pub uid: Uid,
    /// Its ends.
    pub id: ConnId,
    /// Its first frame.
    pub first: FrameRef,
    /// Time of its last frame.
    pub end: Timestamp,
    /// Frames that carried it.
    pub frames: u64,
    /// Payload octets handed on as `Chunk::Data`.
    pub bytes: [u64; 2],
    /// Octets handed on as `Chunk::Gap`.
    pub missed_bytes: [u64; 2],
    /// Octets that overlapped earlier ones with other content.
    pub conflict_bytes: [u64; 2],
    /// TCP: the conn was already open at its first frame (no SYN seen).
    pub midstream: bool,
    /// Left the table because it was full, not because it ended.
    pub evicted: bool,
    /// Zeek's history letters: `S`yn, `h` syn-ack, `A`ck, `D`ata, `F`in, `R`st, `G`ap, `C`onflict, `T` retransmission;
    /// upper case by orig, lower case by resp, each once.
    pub history: String,
    /// Interfaces that saw it, ascending.
    pub interfaces: Vec<u32>,
    /// The layers that carried its first segment; none where it travelled plainly.
    pub carriage: Option<Box<Carriage>>,
}

/// What the octets of a conn are. MISSION section 3, "Class of a conn".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// No payload.
    Empty,
    /// A handshake with a real cipher was seen, and what followed looks like ciphertext.
    Encrypted,
    /// Cleartext first, then TLS.
    Upgraded,
    /// Looks random, no handshake seen: cannot be told from compressed data.
    Opaque,
    /// Readable, or a handshake without a real cipher.
    Cleartext,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Encrypted => "encrypted",
            Self::Upgraded => "upgraded",
            Self::Opaque => "opaque",
            Self::Cleartext => "cleartext",
        })
    }
}

/// What the class rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// A negotiation of ciphers was read.
    Handshake,
    /// The octets follow a protocol's grammar.
    Grammar,
    /// The octets are readable text.
    Readable,
    /// The octets look random.
    Random,
    /// Too little was seen.
    None,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshake",
            Self::Grammar => "grammar",
            Self::Readable => "readable",
            Self::Random => "random",
            Self::None => "none",
        })
    }
}

/// What a handshake agreed on, as read on the wire. Pairs are indexed by `Direction::index`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// `SSH-2.0`, `TLS 1.3`, ...
    pub version: String,
    /// Key exchange.
    pub kex: String,
    /// Cipher of each direction, in the protocol's own words.
    pub cipher: [String; 2],
    /// MAC of each direction; empty for a cipher with a tag of its own.
    pub mac: [String; 2],
    /// Whether both ciphers hide the octets (`none`, NULL and export suites do not).
    pub real: bool,
    /// Weaknesses that do not make the octets readable: `RC4`, `3des-cbc`, SSH 1.99, TLS 1.0.
    pub weak: Vec<String>,
}

/// What the whole program knows of a conn at its end.
#[derive(Clone, Debug)]
pub struct ConnSummary {
    /// What flow knows.
    pub record: ConnRecord,
    /// The protocol's name, where it was recognised.
    pub dialect: Option<&'static str>,
    /// What its octets are.
    pub class: Class,
    /// What the class rests on.
    pub basis: Basis,
    /// What was agreed on, where a handshake was read.
    pub agreement: Option<Agreement>,
    /// Octets seen after the point from which the direction is ciphertext.
    pub sealed_bytes: [u64; 2],
    /// Octets missed in front of that point, or anywhere where there is no such point: they may hide a hit.
    pub missed_in_clear: [u64; 2],
    /// Conflicting octets in front of that point, likewise.
    pub conflict_in_clear: [u64; 2],
    /// Readable octets in front of TLS in a protocol that is not known: whether they say something secret cannot be told.
    pub unread_preamble: u64,
    /// Compressed bodies that could not be read, or not to their end: a coding that is not known, damage, a gap.
    pub unread_bodies: u64,
    /// Compressed bodies that were left because they would have become too large, or too many were open.
    pub stopped_bodies: u64,
    /// How often the talk changed sides after both directions were sealed; a pair of single small
    /// segments with at least half a second of silence around it (a keepalive) is not counted.
    pub sealed_turns: u64,
    /// What was found, in the order of the octets; bounded.
    pub hits: Vec<Hit>,
    /// What was found beyond the bound.
    pub hits_omitted: u64,
    /// It carried a control token that tunnelcheck itself sent.
    pub is_control: bool,
    /// Remarks for the report: `PGP message with a readable envelope`, ...
    pub remarks: Vec<String>,
}

/// An address that a name was given in the capture (DNS A, AAAA; mDNS; LLMNR).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAnswer {
    /// The name asked for, in lower case, without a trailing dot.
    pub name: String,
    /// The address answered.
    pub address: IpAddr,
    /// Where.
    pub at: FrameRef,
}
