//! 802.11 frames in the clear.

use super::{BAD, Inner, SHORT, Step, before, past, within};
use crate::decode::view::View;
use crate::decode::{Stop, Walk};
use crate::model::Weird;

/// Octets of the check sequence at the end of a frame.
const FCS: usize = 4;

/// LLC and SNAP of ether types: what nearly every data frame in the clear begins with.
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];

/// What a monitor's header says about the frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Air {
    /// The frame ends in its check sequence.
    pub(super) has_fcs: bool,
    /// Between header and payload lies padding to four octets.
    pub(super) is_padded: bool,
}

/// Frame control, duration, addresses, sequence control, and what the flags add (IEEE 802.11-2020 s9.2.3).
pub(super) fn read<'a>(view: View<'a>, air: Air, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let view = if air.has_fcs { before(view, FCS, walk) } else { view };
    let [control, flags] = view.array(0).ok_or(SHORT)?;
    if control & 0x03 != 0 {
        return Err(BAD);
    }
    match control >> 2 & 0x03 {
        0 => Err(Stop::LinkOnly("802.11-management")),
        1 => Err(Stop::LinkOnly("802.11-control")),
        2 => data(view, control >> 4, flags, air, walk),
        // Beacons of 60 GHz and below 1 GHz.
        _ if control >> 4 <= 1 => Err(Stop::LinkOnly("802.11-management")),
        _ => Err(BAD),
    }
}

fn data<'a>(view: View<'a>, subtype: u8, flags: u8, air: Air, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let has = |bit: u8| flags & bit != 0;
    if subtype & 0x04 != 0 {
        return Err(Stop::LinkOnly("802.11-null"));
    }
    let (is_qos, has_four_addresses) = (subtype & 0x08 != 0, has(0x01) && has(0x02));
    let addresses_end = if has_four_addresses { 30 } else { 24 };
    // Behind the QoS control stands, where the last flag is set, the HT control.
    let header =
        addresses_end + if is_qos { 2 } else { 0 } + if is_qos && has(0x80) { 4 } else { 0 };
    let header_len = if air.is_padded { usize::next_multiple_of(header, 4) } else { header };
    let [first, second] = if is_qos { view.array(addresses_end).ok_or(SHORT)? } else { [0, 0] };
    let fragment = view.u8(22).ok_or(SHORT)? & 0x0f;
    // Addresses and numbers, as in an Ethernet header.
    let body = view.skip(header_len).ok_or(SHORT)?;
    if has(0x40) {
        return protected(body, walk);
    }
    if has(0x04) || fragment != 0 {
        return Err(Stop::Undecoded(Weird::LinkFragment));
    }
    if first & 0x80 != 0 {
        return aggregate(body, walk);
    }
    // In a mesh the payload stands behind a mesh control; the flag means something else outside of one.
    match mesh_control(body) {
        Some(length)
            if second & 0x01 != 0 && !begins_snap(body, 0) && begins_snap(body, length) =>
        {
            Ok(Inner::Llc(past(body, length, walk)?))
        }
        _ => Ok(Inner::Llc(body)),
    }
}

/// A frame with the flag `Protected`. Some drivers decrypt and leave the flag, with the initialization vector (4 octets of
/// WEP, 8 of the others) or without: where the payload stands there in the clear, it is read.
fn protected<'a>(body: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    match [0, 8, 4].into_iter().find(|at| begins_snap(body, *at)) {
        Some(at) => Ok(Inner::Llc(past(body, at, walk)?)),
        None => Err(Stop::Undecoded(Weird::EncryptedLink)),
    }
}

/// Several payloads in one frame, each behind two addresses and a length, padded to four octets (IEEE 802.11-2020
/// s9.3.2.2). The first is read; that there are more is counted, and they are left unread.
fn aggregate<'a>(body: View<'a>, walk: &mut Walk<'a, '_>) -> Step<'a> {
    let length = usize::from(body.be16(12).ok_or(SHORT)?);
    let all = body.skip(14).ok_or(SHORT)?;
    let first = within(all, length, walk);
    if first.wire < all.wire && length.next_multiple_of(4) + 14 < all.wire {
        walk.coverage.undecoded(Weird::LinkAggregate);
    }
    Ok(Inner::Llc(first))
}

/// Octets of the mesh control (IEEE 802.11-2020 s9.2.4.7.3): flags, time to live, sequence, up to two more addresses.
fn mesh_control(body: View<'_>) -> Option<usize> {
    match body.u8(0)? & 0x03 {
        0 => Some(6),
        1 => Some(12),
        2 => Some(18),
        _ => None,
    }
}

fn begins_snap(body: View<'_>, at: usize) -> bool {
    body.array(at) == Some(SNAP)
}
