//! What a monitor puts in front of 802.11 frames: radiotap, PPI, Prism, AVS.

use super::{BAD, Inner, SHORT, Step, past, wlan};
use crate::decode::Walk;
use crate::decode::view::View;
use crate::model::LinkType;

/// The header of Prism drivers where its own length is not to be believed.
const PRISM_HEADER: usize = 144;

/// Prism headers longer than this are none.
const MAX_PRISM_HEADER: usize = 1024;

/// Flags of radiotap's field `Flags`.
const FLAG_FCS: u8 = 0x10;
const FLAG_PAD: u8 = 0x20;

/// radiotap (radiotap.org): version, length (little-endian), bit maps of the fields that are present, the fields.
pub(super) fn radiotap<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    if view.u8(0).ok_or(SHORT)? != 0 {
        return Err(BAD);
    }
    let length = usize::from(view.le16(2).ok_or(SHORT)?);
    let body = past(view, length, walk)?;
    let (header, _) = view.limit(length);
    let present = header.le32(4).ok_or(BAD)?;
    // Bit 31 says that another bit map follows.
    let (mut map, mut at) = (present, 8);
    while map & 0x8000_0000 != 0 {
        map = header.le32(at).ok_or(BAD)?;
        at += 4;
    }
    // Bit 0: a time of 8 octets, aligned to its size; bit 1: the flags.
    if present & 1 != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let flags = if present & 2 != 0 { header.u8(at).ok_or(BAD)? } else { 0 };
    let air = wlan::Air { has_fcs: flags & FLAG_FCS != 0, is_padded: flags & FLAG_PAD != 0 };
    wlan::read(body, air, walk)
}

/// Per-packet information: version, flags, length and link type (little-endian), then fields.
pub(super) fn ppi<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let [version, flags] = view.array(0).ok_or(SHORT)?;
    let length = usize::from(view.le16(2).ok_or(SHORT)?);
    let link_type = view.le32(4).ok_or(SHORT)?;
    if version != 0 || length < 8 {
        return Err(BAD);
    }
    let body = past(view, length, walk)?;
    let link_type = LinkType(u16::try_from(link_type).map_err(|_| BAD)?);
    if link_type != LinkType::IEEE802_11 {
        return Ok(Inner::Frame(link_type, body));
    }
    let (header, _) = view.limit(length);
    let mut air = wlan::Air::default();
    let mut field = header.skip(8);
    while let Some(here) = field
        && let (Some(kind), Some(size)) = (here.le16(0), here.le16(2))
    {
        // 802.11 common: time, then flags, of which the first says that the check sequence is there.
        if kind == 2 {
            air.has_fcs = here.le16(12).is_some_and(|flags| flags & 1 != 0);
        }
        let size = usize::from(size);
        field = here.skip(4 + if flags & 1 != 0 { size.next_multiple_of(4) } else { size });
    }
    wlan::read(body, air, walk)
}

/// Prism: a message code, the length of the message in the order of the machine, a device's name, values.
pub(super) fn prism<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    if view.be32(0).ok_or(SHORT)? & 0xffff_f000 == 0x8021_1000 {
        return avs(view, walk);
    }
    let [little, big] = [view.le32(4).ok_or(SHORT)?, view.be32(4).ok_or(SHORT)?];
    let length = usize::try_from(little.min(big)).unwrap_or(usize::MAX);
    let fits = (24..=MAX_PRISM_HEADER).contains(&length);
    wlan::read(
        past(view, if fits { length } else { PRISM_HEADER }, walk)?,
        wlan::Air::default(),
        walk,
    )
}

/// AVS: version and length, big-endian.
pub(super) fn avs<'a>(view: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let length = usize::try_from(view.be32(4).ok_or(SHORT)?).unwrap_or(usize::MAX);
    if length < 8 {
        return Err(BAD);
    }
    wlan::read(past(view, length, walk)?, wlan::Air::default(), walk)
}
