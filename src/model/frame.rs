//! One captured frame, its place in the capture and its time.

use std::fmt;

/// Nanoseconds since the Unix epoch, UTC; taken from the capture, never from the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `nanos` nanoseconds after (negative: before) 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Nanoseconds from `earlier` to `self`, negative where `self` is earlier; saturating.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// RFC 3339 in UTC with microseconds: `2003-04-15T14:18:16.000000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.div_euclid(1_000);
        let seconds = micros.div_euclid(1_000_000);
        let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60,
            micros.rem_euclid(1_000_000)
        )
    }
}

/// Gregorian year, month and day of a count of days since 1970-01-01 (proleptic calendar).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468; // days from 0000-03-01 to 1970-01-01
    let era = z.div_euclid(146_097); // days in 400 years
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// A `LINKTYPE_*` value of the tcpdump registry (not a `DLT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

/// Declares the constants of `LinkType` and the table of their names.
macro_rules! link_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl LinkType {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The name in the registry, where a constant has it.
            const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

link_types! {
    /// BSD loopback, 4-octet address family in host order.
    NULL = 0;
    /// Ethernet.
    ETHERNET = 1;
    /// Token Ring.
    IEEE802_5 = 6;
    /// ARCNET, as BSD captures it.
    ARCNET_BSD = 7;
    /// SLIP, behind a header of 16 octets.
    SLIP = 8;
    /// PPP.
    PPP = 9;
    /// FDDI.
    FDDI = 10;
    /// PPP or Cisco HDLC on a serial line.
    PPP_HDLC = 50;
    /// PPPoE session, from its own header on.
    PPP_ETHER = 51;
    /// ATM with LLC.
    ATM_RFC1483 = 100;
    /// Raw IPv4 or IPv6.
    RAW = 101;
    /// SLIP of BSD/OS.
    SLIP_BSDOS = 102;
    /// Cisco HDLC.
    C_HDLC = 104;
    /// 802.11.
    IEEE802_11 = 105;
    /// Classical IP over ATM, of Linux.
    ATM_CLIP = 106;
    /// Frame Relay.
    FRELAY = 107;
    /// OpenBSD loopback, 4-octet address family in network order.
    LOOP = 108;
    /// Decrypted IPsec of OpenBSD.
    ENC = 109;
    /// Linux cooked capture.
    LINUX_SLL = 113;
    /// Log of the packet filter of BSD.
    PFLOG = 117;
    /// 802.11 behind a Prism header.
    PRISM = 119;
    /// IP over Fibre Channel.
    IP_OVER_FC = 122;
    /// ATM of Solaris.
    SUNATM = 123;
    /// 802.11 behind a radiotap header.
    IEEE802_11_RADIOTAP = 127;
    /// ARCNET, as Linux captures it.
    ARCNET_LINUX = 129;
    /// IP over FireWire, of macOS.
    APPLE_IP_OVER_IEEE1394 = 138;
    /// Private use; PKTAP of older macOS.
    USER2 = 149;
    /// 802.11 behind an AVS header.
    IEEE802_11_AVS = 163;
    /// PPP behind a direction octet, of pppd.
    PPP_PPPD = 166;
    /// Ethernet behind Juniper's header.
    JUNIPER_ETHER = 178;
    /// PPP behind Juniper's header.
    JUNIPER_PPP = 179;
    /// Frame Relay behind Juniper's header.
    JUNIPER_FRELAY = 180;
    /// Cisco HDLC behind Juniper's header.
    JUNIPER_CHDLC = 181;
    /// Multilink Frame Relay.
    MFR = 182;
    /// Per-packet information, then another link type.
    PPI = 192;
    /// Record of Endace's cards.
    ERF = 197;
    /// PPP behind a direction octet.
    PPP_WITH_DIR = 204;
    /// Cisco HDLC behind a direction octet.
    C_HDLC_WITH_DIR = 205;
    /// Frame Relay behind a direction octet.
    FRELAY_WITH_DIR = 206;
    /// MPLS label stack.
    MPLS = 219;
    /// IPNET of Solaris.
    IPNET = 226;
    /// Raw IPv4.
    IPV4 = 228;
    /// Raw IPv6.
    IPV6 = 229;
    /// Log of the packet filter of Linux.
    NFLOG = 239;
    /// Ethernet behind a header of 4 octets.
    NETANALYZER = 240;
    /// The same, with preamble.
    NETANALYZER_TRANSPARENT = 241;
    /// IP over InfiniBand.
    IPOIB = 242;
    /// Netlink of Linux.
    NETLINK = 253;
    /// PKTAP of macOS, then another link type.
    PKTAP = 258;
    /// Ethernet mPackets, with preamble.
    ETHERNET_MPACKET = 274;
    /// Linux cooked capture, version 2.
    LINUX_SLL2 = 276;
    /// Ethernet with a tag of Broadcom switches.
    DSA_TAG_BRCM = 281;
    /// The same, the tag in front.
    DSA_TAG_BRCM_PREPEND = 282;
    /// Ethernet with a tag of Marvell switches.
    DSA_TAG_DSA = 284;
    /// The same, with an ether type of its own.
    DSA_TAG_EDSA = 285;
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "LINKTYPE {}", self.0),
        }
    }
}

/// One captured link-layer frame. Names follow Wireshark's `frame.*`.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// `frame.number`: 1-based, over all inputs of a run.
    pub number: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// `frame.interface_id`: index into the interfaces of the run.
    pub interface_id: u32,
    /// What `data` begins with.
    pub link_type: LinkType,
    /// Octets on the wire (`frame.len`); `data.len()` is `frame.cap_len`.
    pub len: u32,
    /// The captured octets, borrowed from the reader's block.
    pub data: &'a [u8],
}

impl Frame<'_> {
    /// Number and time alone.
    #[must_use]
    pub const fn at(&self) -> FrameRef {
        FrameRef { number: self.number, time: self.time }
    }

    /// Octets that were on the wire and are not in `data` (a snaplen cut).
    #[must_use]
    pub fn cut(&self) -> u32 {
        self.len.saturating_sub(u32::try_from(self.data.len()).unwrap_or(u32::MAX))
    }
}

/// Where in the capture something was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameRef {
    /// `frame.number`, 1-based.
    pub number: u64,
    /// `frame.time`.
    pub time: Timestamp,
}

/// The frames that carried a run of octets, first and last by stream order, and the first one's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameSpan {
    /// The frame that carried the first octet.
    pub first: FrameRef,
    /// The number of the frame that carried the last octet; may be lower than the first's.
    pub last: u64,
}

impl FrameSpan {
    /// A span of one frame.
    #[must_use]
    pub const fn one(at: FrameRef) -> Self {
        Self { first: at, last: at.number }
    }

    /// From the start of `self` to the end of `later`.
    #[must_use]
    pub const fn to(self, later: Self) -> Self {
        Self { first: self.first, last: later.last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_prints_as_rfc3339_with_microseconds() {
        let at = |nanos| Timestamp::from_nanos(nanos).to_string();
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(1_050_416_296_000_001_999), "2003-04-15T14:18:16.000001Z");
        assert_eq!(at(951_782_400_000_000_000), "2000-02-29T00:00:00.000000Z");
        assert_eq!(at(-1), "1969-12-31T23:59:59.999999Z");
    }
}
