//! PPP: on a serial line, over Ethernet, in bundles of links.

use super::{Inner, Packet, SHORT, Step, llc, past, wan, within};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::{Layer, LinkType, Weird};

const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;

/// The link types of serial lines: PPP, or Cisco HDLC, which the first octet tells (RFC 1662 s3.1, RFC 1547 s4.3.1).
pub(super) fn serial<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    match view.bytes {
        [0x0f | 0x8f, 0x00, ..] => wan::cisco_hdlc(view, walk),
        // Flags kept by the capture. Where octets are escaped (RFC 1662 s4.2), it is not read.
        [FLAG, rest @ ..] if !rest.contains(&ESCAPE) => read(past(view, 1, walk)?, walk),
        _ => read(view, walk),
    }
}

/// PPP (RFC 1661 s2, RFC 1662 s3.1): address and control may be left out, the protocol may be one octet.
pub(super) fn read<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let view = match view.array(0) {
        Some([0xff, 0x03]) => view.skip(2).ok_or(SHORT)?,
        _ => view,
    };
    let first = view.u8(0).ok_or(SHORT)?;
    let (protocol, body) = if first & 1 == 1 {
        (u16::from(first), view.skip(1).ok_or(SHORT)?)
    } else {
        (view.be16(0).ok_or(SHORT)?, view.skip(2).ok_or(SHORT)?)
    };
    match protocol {
        0x0021 => Ok(Inner::Packet(Packet::V4(body))),
        0x0057 => Ok(Inner::Packet(Packet::V6(body))),
        0x0023 => llc::nlpid(body, walk),
        0x002b => Err(Stop::LinkOnly("ipx")),
        0x0031 => bridged(body, walk),
        0x003d => multilink(body, walk),
        0x003f => Err(Stop::LinkOnly("netbeui")),
        0x0053 | 0x0055 => Err(Stop::Undecoded(Weird::EncryptedLink)),
        0x0201 | 0x0203 | 0x0205 => Err(Stop::LinkOnly("stp")),
        0x0207 => Err(Stop::LinkOnly("cdp")),
        0x0281 | 0x0283 => Ok(Inner::Mpls(body)),
        0xc023 => Err(Stop::LinkOnly("ppp-pap")),
        0xc223 => Err(Stop::LinkOnly("ppp-chap")),
        // Control protocols of the network layer and of the link (RFC 1661 s2).
        0x8000..=0xbfff | 0xc021 | 0xc025 | 0xc029 | 0xc02b | 0xc02d | 0xc227 => {
            Err(Stop::LinkOnly("ppp-control"))
        }
        other => Err(Stop::Undecoded(Weird::UnknownPppProtocol(other))),
    }
}

/// A bridged frame (RFC 3518 s4.2): flags, type of the LAN, the frame.
fn bridged<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let lan = view.u8(1).ok_or(SHORT)?;
    let body = past(view, 2, walk)?;
    match lan {
        1 => Ok(Inner::Frame(LinkType::ETHERNET, body)),
        3 => Ok(Inner::Frame(LinkType::IEEE802_5, body)),
        4 => Ok(Inner::Frame(LinkType::FDDI, past(body, 1, walk)?)),
        _ => Err(Stop::Undecoded(Weird::UnknownPppProtocol(0x0031))),
    }
}

/// A bundle of links (RFC 1990 s3): first and last fragment, sequence of 24 bits, or of 12 where both ends agreed on that,
/// which this frame does not say.
fn multilink<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    if view.u8(0).ok_or(SHORT)? & 0xc0 != 0xc0 {
        return Err(Stop::Undecoded(Weird::LinkFragment));
    }
    let header = match (begins_ip(view, 4), begins_ip(view, 2)) {
        (true, false) => 4,
        (false, true) => 2,
        _ => return Err(Stop::Undecoded(Weird::UnknownPppProtocol(0x003d))),
    };
    Ok(Inner::Ppp(past(view, header, walk)?))
}

/// Whether a PPP protocol of IP stands at `at`, and the version of IP behind it.
fn begins_ip(view: View<'_>, at: usize) -> bool {
    matches!(
        view.bytes.get(at..),
        Some(
            [0x21, 0x40..=0x4f, ..]
                | [0x57, 0x60..=0x6f, ..]
                | [0x00, 0x21, 0x40..=0x4f, ..]
                | [0x00, 0x57, 0x60..=0x6f, ..]
                | [0xff, 0x03, 0x00, 0x21, 0x40..=0x4f, ..]
                | [0xff, 0x03, 0x00, 0x57, 0x60..=0x6f, ..]
        )
    )
}

/// PPPoE session (RFC 2516 s4): version and type, code, session, length.
pub(super) fn pppoe<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let length = view.be16(4).ok_or(SHORT)?;
    let body = view.skip(6).ok_or(SHORT)?;
    if view.u8(1) != Some(0) {
        return Err(Stop::LinkOnly("pppoe-discovery"));
    }
    let session = view.be16(2).ok_or(SHORT)?;
    walk.layer(Layer::numbered("pppoe", u32::from(session)))?;
    Ok(Inner::Ppp(within(body, usize::from(length), walk)))
}
