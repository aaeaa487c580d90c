//! What was not seen, as a value.

use super::frame::LinkType;
use std::collections::BTreeMap;
use std::fmt;

/// Why a frame, or a part of it, could not be read. Every one is counted, and what it covers is searched raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Weird {
    /// No decoder for this link type.
    UnknownLinkType(LinkType),
    /// No decoder for this ether type.
    UnknownEtherType(u16),
    /// No decoder for this protocol of PPP.
    UnknownPppProtocol(u16),
    /// An address family that is neither IPv4 nor IPv6.
    UnknownFamily(u16),
    /// Under an MPLS label stack lies neither IP nor a frame that could be told.
    UnknownPseudowire,
    /// An LLC or SNAP header that leads to no known protocol.
    UnknownLlc,
    /// A tunnel protocol (IP protocol number) that is not decapsulated.
    UnreadTunnel(u8),
    /// The version field of an IP header is neither 4 nor 6, or not the one announced.
    BadIpVersion,
    /// The frame ends inside a link-layer header.
    ShortLinkHeader,
    /// A link-layer header that contradicts itself or its standard.
    BadLinkHeader,
    /// A fragment of a link layer (802.11, PPP multilink), which is not put together.
    LinkFragment,
    /// Several packets in one frame of the link: all but the first are not read.
    LinkAggregate,
    /// A conn that is a part of another one (multipath TCP, RFC 8684 s3.2): their octets are not put together.
    TcpSubflow,
    /// The frame or datagram ends inside an IP header or one of its extensions.
    ShortIpHeader,
    /// An IP header whose lengths contradict each other.
    BadIpLength,
    /// The datagram ends inside its transport header.
    ShortTransportHeader,
    /// A transport header whose lengths contradict each other.
    BadTransportLength,
    /// More VLAN tags, extension headers or tunnels inside one another than are followed.
    TooDeep,
    /// An encrypted link layer (MACsec, protected 802.11).
    EncryptedLink,
    /// A reason beyond those that are told apart: a link type, ether type or protocol number of its own.
    OneOfMany,
}

/// The reason in kebab case, with the number it is about: `unknown-ether-type 0x88cc`.
impl fmt::Display for Weird {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLinkType(link_type) => write!(f, "unknown-link-type {}", link_type.0),
            Self::UnknownEtherType(ether_type) => write!(f, "unknown-ether-type {ether_type:#06x}"),
            Self::UnknownPppProtocol(protocol) => {
                write!(f, "unknown-ppp-protocol {protocol:#06x}")
            }
            Self::UnknownFamily(family) => write!(f, "unknown-family {family}"),
            Self::UnknownPseudowire => f.write_str("unknown-pseudowire"),
            Self::UnknownLlc => f.write_str("unknown-llc"),
            Self::UnreadTunnel(proto) => write!(f, "unread-tunnel ip-{proto}"),
            Self::BadIpVersion => f.write_str("bad-ip-version"),
            Self::ShortLinkHeader => f.write_str("short-link-header"),
            Self::BadLinkHeader => f.write_str("bad-link-header"),
            Self::LinkFragment => f.write_str("link-fragment"),
            Self::LinkAggregate => f.write_str("link-aggregate"),
            Self::TcpSubflow => f.write_str("tcp-subflow"),
            Self::ShortIpHeader => f.write_str("short-ip-header"),
            Self::BadIpLength => f.write_str("bad-ip-length"),
            Self::ShortTransportHeader => f.write_str("short-transport-header"),
            Self::BadTransportLength => f.write_str("bad-transport-length"),
            Self::TooDeep => f.write_str("too-deep"),
            Self::EncryptedLink => f.write_str("encrypted-link"),
            Self::OneOfMany => f.write_str("one-of-many"),
        }
    }
}

/// Frames that the kernel or the interface dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drops {
    /// Nobody counted (a classic pcap file, a source without counters). The default: zero is not evidence.
    #[default]
    Unknown,
    /// Counted, by the kernel or in the file.
    Known(u64),
}

/// What was seen and what was not; additive. `drops` comes from the sources and is set once, by run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Frames read.
    pub frames: u64,
    /// Octets of frames read.
    pub bytes: u64,
    /// Frames dropped by the kernel.
    pub drops: Drops,
    /// Frames dropped by the interface.
    pub interface_drops: Drops,
    /// Frames dropped by our own queue.
    pub channel_dropped: u64,
    /// Frames whose captured length is below their length on the wire.
    pub truncated_frames: u64,
    /// Octets those frames lack.
    pub truncated_bytes: u64,
    /// Those of them that lie in no segment's payload: in frames without IP, in fragments, in trailers.
    pub truncated_elsewhere: u64,
    /// Frames that could not be read, by reason. They spoil a PASS.
    pub undecoded: BTreeMap<Weird, u64>,
    /// Frames of protocols that carry no IP (ARP, LLDP, STP, EAPOL, ...), by name. Searched raw; they spoil nothing.
    pub link_only: BTreeMap<&'static str, u64>,
    /// IP datagrams whose fragments never became whole.
    pub fragments_expired: u64,
    /// Octets of fragments that overlapped with other content.
    pub fragment_conflicts: u64,
    /// Octets missing from the inside of TCP streams.
    pub missed_bytes: u64,
    /// TCP acknowledgements of octets that had not been acknowledged before: each could have shown a loss.
    pub acks: u64,
    /// Runs of octets that were acknowledged and are not in the capture. Of none in many acknowledgements, no loss is known.
    pub ack_gaps: u64,
    /// Octets of TCP that overlapped earlier ones with other content.
    pub conflict_bytes: u64,
    /// TCP conns that were open before the capture began.
    pub midstream_conns: u64,
    /// Conns that left the table because it was full.
    pub conns_evicted: u64,
    /// Octets that look random without a handshake seen.
    pub opaque_bytes: u64,
    /// Compressed bodies that could not be read, or not to their end: a coding that is not known, damage, a gap. They were
    /// searched as they are.
    pub unread_bodies: u64,
    /// Compressed bodies that were left because they would have become too large, or too many were open.
    pub stopped_bodies: u64,
    /// Octets of stream that were handed to the search, those that came out of bodies included.
    pub searched_bytes: u64,
    /// Octets of frames outside streams (padding, trailers, undecoded frames) that were searched.
    pub searched_raw_bytes: u64,
    /// Inputs that ended in the middle of a record, with what was missing in words.
    pub inputs_cut: Vec<String>,
    /// Live: routes of the target's services that leave by an interface which nobody watched, in words. Set by run.
    pub unwatched_routes: Vec<String>,
    /// Hits found beyond the bound per conn.
    pub hits_omitted: u64,
    /// Search patterns left out because an encoding cannot write the identifier, or for a bound: `label: encoding`.
    pub patterns_dropped: Vec<String>,
}

impl Coverage {
    /// Counts one frame, or part of one, that could not be read.
    pub fn undecoded(&mut self, why: Weird) {
        self.undecoded_frames(why, 1);
    }

    /// Reasons told apart: ether types alone are 65,536. All further ones are `Weird::OneOfMany`.
    const MAX_REASONS: usize = 256;

    fn undecoded_frames(&mut self, why: Weird, frames: u64) {
        let full = self.undecoded.len() >= Self::MAX_REASONS && !self.undecoded.contains_key(&why);
        let why = if full { Weird::OneOfMany } else { why };
        *self.undecoded.entry(why).or_insert(0) += frames;
    }

    /// Counts one frame of a protocol that carries no IP.
    pub fn link_only(&mut self, name: &'static str) {
        *self.link_only.entry(name).or_insert(0) += 1;
    }

    /// Adds what another room counted. `drops` and `interface_drops` are left as they are.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.channel_dropped += other.channel_dropped;
        self.truncated_frames += other.truncated_frames;
        self.truncated_bytes += other.truncated_bytes;
        self.truncated_elsewhere += other.truncated_elsewhere;
        for (why, count) in &other.undecoded {
            self.undecoded_frames(*why, *count);
        }
        for (name, count) in &other.link_only {
            *self.link_only.entry(name).or_insert(0) += count;
        }
        self.fragments_expired += other.fragments_expired;
        self.fragment_conflicts += other.fragment_conflicts;
        self.missed_bytes += other.missed_bytes;
        self.acks += other.acks;
        self.ack_gaps += other.ack_gaps;
        self.conflict_bytes += other.conflict_bytes;
        self.midstream_conns += other.midstream_conns;
        self.conns_evicted += other.conns_evicted;
        self.opaque_bytes += other.opaque_bytes;
        self.unread_bodies += other.unread_bodies;
        self.stopped_bodies += other.stopped_bodies;
        self.searched_bytes += other.searched_bytes;
        self.searched_raw_bytes += other.searched_raw_bytes;
        self.inputs_cut.extend(other.inputs_cut.iter().cloned());
        self.unwatched_routes.extend(other.unwatched_routes.iter().cloned());
        self.hits_omitted += other.hits_omitted;
        self.patterns_dropped.extend(other.patterns_dropped.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_only_grows() {
        let mut sum = Coverage { frames: 1, ..Coverage::default() };
        let mut more = Coverage { frames: 2, missed_bytes: 7, ..Coverage::default() };
        more.undecoded(Weird::TooDeep);
        sum.add(&more);
        sum.add(&more);
        assert_eq!((sum.frames, sum.missed_bytes, sum.undecoded[&Weird::TooDeep]), (5, 14, 2));
    }

    #[test]
    fn reasons_beyond_the_bound_are_counted_as_one() {
        let mut coverage = Coverage::default();
        for ether_type in 0..1000 {
            coverage.undecoded(Weird::UnknownEtherType(ether_type));
        }
        coverage.undecoded(Weird::UnknownEtherType(0));
        assert_eq!(coverage.undecoded.len(), Coverage::MAX_REASONS + 1);
        assert_eq!(coverage.undecoded[&Weird::UnknownEtherType(0)], 2);
        assert_eq!(coverage.undecoded[&Weird::OneOfMany], 1000 - 256);
        let mut sum = coverage.clone();
        sum.add(&coverage);
        assert_eq!(sum.undecoded.values().sum::<u64>(), 2002);
    }
}
