//! Ethernet frames taken apart and put together again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A TCP segment in a plain frame: Ethernet, perhaps VLAN tags, IP without extensions, not a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) src: (IpAddr, u16),
    pub(super) dst: (IpAddr, u16),
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    /// Where IP, TCP and the payload begin in the frame, and where the payload ends.
    pub(super) ip: usize,
    pub(super) tcp: usize,
    pub(super) data: usize,
    pub(super) end: usize,
}

/// Where the packet of an Ethernet frame begins, behind its tags, and its ether type.
pub(super) fn network(frame: &[u8]) -> Option<(usize, u16)> {
    let mut at = 12;
    loop {
        let kind = u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?);
        if !matches!(kind, 0x8100 | 0x88a8) {
            return Some((at + 2, kind));
        }
        at += 4;
    }
}

impl Piece {
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let (ip, kind) = network(frame)?;
        let word = |at: usize| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
        let wide = |at: usize| Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?));
        let (proto, tcp, end, src, dst): (u8, usize, usize, IpAddr, IpAddr) = match kind {
            0x0800 if word(ip + 6)?.trailing_zeros() >= 14 => {
                let header = usize::from(frame.get(ip)? & 15) * 4;
                let ends: [u8; 8] = frame.get(ip + 12..ip + 20)?.try_into().ok()?;
                (
                    *frame.get(ip + 9)?,
                    ip + header,
                    ip + usize::from(word(ip + 2)?),
                    Ipv4Addr::from(*ends.first_chunk::<4>()?).into(),
                    Ipv4Addr::from(*ends.last_chunk::<4>()?).into(),
                )
            }
            0x86dd => {
                let at = |from: usize| -> Option<Ipv6Addr> {
                    let octets: [u8; 16] = frame.get(from..from + 16)?.try_into().ok()?;
                    Some(octets.into())
                };
                let end = ip + 40 + usize::from(word(ip + 4)?);
                (*frame.get(ip + 6)?, ip + 40, end, at(ip + 8)?.into(), at(ip + 24)?.into())
            }
            _ => return None,
        };
        if proto != 6 || end > frame.len() {
            return None;
        }
        let data = tcp + usize::from(frame.get(tcp + 12)? >> 4) * 4;
        (data <= end).then_some(Self {
            src: (src, word(tcp)?),
            dst: (dst, word(tcp + 2)?),
            seq: wide(tcp + 4)?,
            ack: wide(tcp + 8)?,
            flags: *frame.get(tcp + 13)?,
            ip,
            tcp,
            data,
            end,
        })
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.end - self.data).unwrap()
    }
}

/// The same frame with other payload from `skip` octets on; the length of IP is set right, a trailer is left out.
pub(super) fn with_payload(frame: &[u8], piece: &Piece, skip: u32, payload: &[u8]) -> Vec<u8> {
    let mut octets = frame[..piece.data].to_vec();
    octets[piece.tcp + 4..piece.tcp + 8]
        .copy_from_slice(&piece.seq.wrapping_add(skip).to_be_bytes());
    octets.extend_from_slice(payload);
    set_length(&mut octets, piece.ip);
    octets
}

/// Writes the length of the packet at `ip` as far as the frame goes.
pub(super) fn set_length(frame: &mut [u8], ip: usize) {
    let len = frame.len() - ip;
    let (at, len) = if frame[ip] >> 4 == 4 { (ip + 2, len) } else { (ip + 4, len - 40) };
    frame[at..at + 2].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
}
