//! LLC (IEEE 802.2), SNAP (IEEE 802a), network layer protocol identifiers (ISO/IEC TR 9577).

use super::{Inner, MAX_LENGTH_FIELD, Packet, SHORT, Step, past};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{LinkType, Weird};

const UNKNOWN: Stop = Stop::Undecoded(Weird::UnknownLlc);

/// How frames of a LAN are bridged over the link: with padding in front of them or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bridge {
    /// RFC 2427 s4.2: no padding.
    Plain,
    /// RFC 2684 s5.2: two octets.
    Padded,
}

/// Destination and source access point, control.
pub(super) fn read<'a>(view: View<'a>, bridge: Bridge, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let [dsap, ssap, control] = view.array(0).ok_or(SHORT)?;
    if [dsap, ssap] == [0xff, 0xff] {
        // No LLC at all: the unused checksum of an IPX header in an 802.3 frame.
        return Err(Stop::LinkOnly("ipx"));
    }
    if matches!(control & 0xef, 0xaf | 0xe3) {
        // XID and TEST (IEEE 802.2 s5.4.1): what a link can do; stations and access points send them when they meet.
        return Err(Stop::LinkOnly("llc-test"));
    }
    // 0x03: unnumbered information, with the poll bit or without.
    match (dsap & 0xfe, control & 0xef) {
        (0xaa, 0x03) => snap(view.skip(3).ok_or(SHORT)?, bridge, walk),
        (0x06, 0x03) => Ok(Inner::Packet(Packet::V4(view.skip(3).ok_or(SHORT)?))),
        (0x42, 0x03) => Err(Stop::LinkOnly("stp")),
        (0x98, 0x03) => Err(Stop::LinkOnly("arp")),
        (0xfe, 0x03) => nlpid(view.skip(3).ok_or(SHORT)?, walk),
        (0xe0, 0x03) => Err(Stop::LinkOnly("ipx")),
        (0xf0, _) => Err(Stop::LinkOnly("netbeui")),
        _ => Err(UNKNOWN),
    }
}

/// Organization code and protocol.
pub(super) fn snap<'a>(view: View<'a>, bridge: Bridge, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let oui: [u8; 3] = view.array(0).ok_or(SHORT)?;
    let protocol = view.be16(3).ok_or(SHORT)?;
    let body = view.skip(5).ok_or(SHORT)?;
    let pad = if bridge == Bridge::Padded { 2 } else { 0 };
    match (oui, protocol) {
        // 00-00-00: an ether type (RFC 1042); 00-00-f8: the same, tunnelled by a bridge (IEEE 802.1H).
        ([0, 0, 0 | 0xf8], kind) if kind > MAX_LENGTH_FIELD => Ok(Inner::Typed(kind, body)),
        // Bridged frames of a LAN, with a check sequence or without (RFC 2427 s4.2, RFC 2684 s5.2).
        ([0, 0x80, 0xc2], 0x0001 | 0x0007) => {
            Ok(Inner::Frame(LinkType::ETHERNET, past(body, pad, walk)?))
        }
        // In front of the frame control: padding to four octets, or the access control octet of a token ring.
        ([0, 0x80, 0xc2], 0x0003 | 0x0009) => {
            Ok(Inner::Frame(LinkType::IEEE802_5, past(body, pad, walk)?))
        }
        ([0, 0x80, 0xc2], 0x0004 | 0x000a) => {
            Ok(Inner::Frame(LinkType::FDDI, past(body, pad + 1, walk)?))
        }
        ([0, 0x80, 0xc2], 0x000e) | ([0, 0, 0x0c], 0x010b) => Err(Stop::LinkOnly("stp")),
        ([0, 0, 0x0c], 0x0104) => Err(Stop::LinkOnly("pagp")),
        ([0, 0, 0x0c], 0x0111) => Err(Stop::LinkOnly("udld")),
        ([0, 0, 0x0c], 0x2000) => Err(Stop::LinkOnly("cdp")),
        ([0, 0, 0x0c], 0x2003) => Err(Stop::LinkOnly("vtp")),
        ([0, 0, 0x0c], 0x2004) => Err(Stop::LinkOnly("dtp")),
        _ => Err(UNKNOWN),
    }
}

/// A network layer protocol identifier (ISO/IEC TR 9577, RFC 2427 s3), perhaps behind a padding octet.
pub(super) fn nlpid<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let view = match view.u8(0).ok_or(SHORT)? {
        0 => view.skip(1).ok_or(SHORT)?,
        _ => view,
    };
    let body = view.skip(1).ok_or(SHORT)?;
    match view.u8(0).ok_or(SHORT)? {
        0xcc => Ok(Inner::Packet(Packet::V4(body))),
        0x8e => Ok(Inner::Packet(Packet::V6(body))),
        0x80 => snap(body, Bridge::Plain, walk),
        0xcf => Ok(Inner::Ppp(body)),
        0x82 | 0x83 => Err(Stop::LinkOnly("osi-routing")),
        // Signalling: status and calls of a Frame Relay or ATM network.
        0x09 => Err(Stop::LinkOnly("q933")),
        0xb1 => Err(Stop::Undecoded(Weird::LinkFragment)),
        _ => Err(UNKNOWN),
    }
}
