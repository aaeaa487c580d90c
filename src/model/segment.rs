//! One whole transport segment or datagram, as decode hands it to flow.

use super::conn::Endpoint;
use super::encap::Encapsulation;
use super::frame::{FrameRef, FrameSpan};
use std::fmt;

/// An IP protocol number (IANA, protocol-numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proto(pub u8);

impl Proto {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// IPsec Encapsulating Security Payload.
    pub const ESP: Self = Self(50);
    /// IPsec Authentication Header.
    pub const AH: Self = Self(51);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Datagram Congestion Control Protocol.
    pub const DCCP: Self = Self(33);
    /// SCTP.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite.
    pub const UDP_LITE: Self = Self(136);

    /// Whether endpoints of this protocol have ports.
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP | Self::DCCP | Self::UDP_LITE)
    }
}

/// The name in lower case, as in `proto` of the report; `ip-N` where it has none here.
impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::ICMP => "icmp",
            Self::TCP => "tcp",
            Self::UDP => "udp",
            Self::ESP => "esp",
            Self::AH => "ah",
            Self::ICMPV6 => "icmpv6",
            Self::SCTP => "sctp",
            Self::DCCP => "dccp",
            Self::UDP_LITE => "udp-lite",
            Self(other) => return write!(f, "ip-{other}"),
        })
    }
}

/// TCP sequence number, modulo 2^32 (RFC 9293 s3.4). Deliberately without `Ord`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNo(pub u32);

impl SeqNo {
    /// Returns the signed distance from `earlier` to `self`, in octets, modulo 2^32.
    ///
    /// Positive: `self` is later. Ambiguous from 2^31 octets on: callers first reject what lies
    /// outside the window, since on observed traffic nothing else guarantees it. RFC 9293 s3.4.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// The sequence number `octets` later.
    #[must_use]
    pub const fn plus(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

/// TCP control bits, octet 13 of the header (RFC 9293 s3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// PSH.
    pub const PSH: u8 = 0x08;
    /// ACK.
    pub const ACK: u8 = 0x10;
    /// URG.
    pub const URG: u8 = 0x20;

    /// Whether every bit of `mask` is set.
    #[must_use]
    pub const fn has(self, mask: u8) -> bool {
        self.0 & mask == mask
    }
}

/// The fields of a TCP header that reassembly needs (RFC 9293 s3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpHeader {
    /// SEG.SEQ.
    pub seq: SeqNo,
    /// SEG.ACK; meaningless without the ACK bit.
    pub ack: SeqNo,
    /// Control bits.
    pub flags: TcpFlags,
    /// SEG.WND, unscaled.
    pub window: u16,
    /// SEG.UP; meaningless without the URG bit.
    pub urgent: u16,
}

/// One transport segment (TCP), datagram (UDP) or IP payload (any other protocol), whole: IP
/// fragments have been put together, link padding has been cut off.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The frame or frames (of an IP datagram in fragments) that carried it.
    pub frames: FrameSpan,
    /// `frame.interface_id` of the (last) frame.
    pub interface_id: u32,
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// IP protocol number.
    pub proto: Proto,
    /// Present where `proto` is TCP.
    pub tcp: Option<TcpHeader>,
    /// What follows the transport header; for protocols that are not read further, what follows the IP header.
    pub payload: &'a [u8],
    /// Octets of payload that the wire carried after `payload` and the capture lacks (a snaplen cut).
    pub cut: u32,
    /// The layers that carried it.
    pub encap: &'a Encapsulation,
    /// It is one of several versions of the same octets, or of a datagram that never became whole: its payload may have been
    /// received, and nothing else follows from it.
    pub is_alternate: bool,
}

impl Segment<'_> {
    /// The (first) frame.
    #[must_use]
    pub const fn at(&self) -> FrameRef {
        self.frames.first
    }
}
