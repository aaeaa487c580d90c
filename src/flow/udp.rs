//! Conns of datagrams: UDP, ICMP and every protocol without streams. One chunk a datagram.

use super::conn::Event;
use super::out::Out;
use crate::model::{ChunkSink, Segment};

/// Hands on one datagram.
pub(super) fn push<S: ChunkSink>(segment: &Segment<'_>, out: &mut Out<'_, S>) {
    let at = out.dir.index();
    let sum = |pair: &[u64; 2]| pair.get(at).copied().unwrap_or_default();
    let offset = sum(&out.meta.bytes).saturating_add(sum(&out.meta.missed()));
    if !segment.payload.is_empty() {
        out.note(Event::Data);
        out.data(offset, segment.payload, segment.frames);
    }
    if segment.cut > 0 {
        out.gap(offset.saturating_add(segment.payload.len() as u64), u64::from(segment.cut));
    }
}
