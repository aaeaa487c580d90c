//! What is handed on beside the datagrams themselves: other versions of them, and what came of those that never became
//! whole.

use crate::model::{Encapsulation, FrameSpan};
use std::net::IpAddr;
use std::sync::Arc;

/// Octets kept from one hand-over to the next.
const MAX_IDLE_BYTES: usize = 256 << 10;

/// Octets of a datagram that no fragment carried in one piece.
#[derive(Clone, Copy, Debug)]
pub(in crate::decode) struct Late<'a> {
    pub(in crate::decode) src: IpAddr,
    pub(in crate::decode) dst: IpAddr,
    pub(in crate::decode) frames: FrameSpan,
    pub(in crate::decode) interface_id: u32,
    /// The layers that carried it; none where it travelled plainly.
    pub(in crate::decode) path: Option<&'a Encapsulation>,
    pub(in crate::decode) bytes: &'a [u8],
    /// Present where `bytes` begin with the first octet of the datagram.
    pub(in crate::decode) head: Option<Head>,
}

/// What the first octet of a datagram begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode) struct Head {
    pub(in crate::decode) proto: u8,
    /// Octets of the whole, as far as it is known; never below those at hand.
    pub(in crate::decode) wire: usize,
}

/// Octets that are about to be handed on.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    next: usize,
    about: Vec<About>,
}

/// Of what datagram octets are a version.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) frames: FrameSpan,
    pub(super) interface_id: u32,
    pub(super) path: Option<Arc<Encapsulation>>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    from: usize,
    to: usize,
    /// Index into `Arena::about`.
    about: usize,
    head: Option<Head>,
}

impl Arena {
    /// Names the datagram that what is pushed next is about.
    pub(super) fn set_about(&mut self, about: About) {
        self.about.push(about);
    }

    /// Adds what `write` appends. `head`: the protocol, where that begins a datagram, which is of `total` octets.
    pub(super) fn push(
        &mut self,
        head: Option<u8>,
        total: Option<u32>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let Some(about) = self.about.len().checked_sub(1) else { return };
        let from = self.bytes.len();
        write(&mut self.bytes);
        let len = self.bytes.len() - from;
        let wire = total.map_or(len, |total| len.max(total as usize));
        let head = head.map(|proto| Head { proto, wire });
        self.spans.push(Span { from, to: self.bytes.len(), about, head });
    }

    /// Octets that wait.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether `next` has something.
    pub(super) const fn has_next(&self) -> bool {
        self.next < self.spans.len()
    }

    /// The next octets.
    pub(super) fn next(&mut self) -> Option<Late<'_>> {
        let Span { from, to, about, head } = *self.spans.get(self.next)?;
        self.next += 1;
        let bytes = self.bytes.get(from..to)?;
        let About { src, dst, frames, interface_id, ref path } = *self.about.get(about)?;
        let path = path.as_deref();
        Some(Late { src, dst, frames, interface_id, path, bytes, head })
    }

    /// Forgets what was handed on.
    pub(super) fn clear(&mut self) {
        if self.about.is_empty() {
            return;
        }
        self.bytes.clear();
        self.bytes.shrink_to(MAX_IDLE_BYTES);
        self.spans.clear();
        self.about.clear();
        self.next = 0;
    }
}
