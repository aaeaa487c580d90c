//! Builds captures octet by octet, in either byte order, for the tests.

use super::Savefile;
use crate::model::{InterfaceRecord, LinkType};
use crate::source::octets::ByteOrder;
use crate::source::{Losses, Next, Source, SourceError};
use std::collections::VecDeque;
use std::io::{Cursor, Write};

pub(in crate::source) const LE: ByteOrder = ByteOrder::Little;
pub(in crate::source) const BE: ByteOrder = ByteOrder::Big;

/// Frames that are shown ahead.
const AHEAD: usize = 3;

/// A frame without a borrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct Seen {
    pub(in crate::source) number: u64,
    pub(in crate::source) nanos: i64,
    pub(in crate::source) interface_id: u32,
    pub(in crate::source) link_type: u16,
    pub(in crate::source) len: u32,
    pub(in crate::source) data: Vec<u8>,
}

/// Everything that a source gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct All {
    pub(in crate::source) frames: Vec<Seen>,
    pub(in crate::source) losses: Losses,
    pub(in crate::source) interfaces: Vec<InterfaceRecord>,
}

/// Reads to the end. What was shown ahead is what comes, unless something in the file is not read.
pub(in crate::source) fn drain(source: &mut dyn Source) -> All {
    let mut frames = Vec::new();
    let mut ahead: VecDeque<(LinkType, Vec<u8>)> = VecDeque::new();
    let mut is_as_shown = true;
    loop {
        if ahead.is_empty() {
            source.ahead(AHEAD, &mut |link_type, data| ahead.push_back((link_type, data.to_vec())));
            assert!(ahead.len() <= AHEAD, "no more than was asked for");
        }
        let shown = ahead.pop_front();
        let Next::Frame(frame) = source.next().unwrap() else {
            is_as_shown &= shown.is_none();
            break;
        };
        is_as_shown &= shown
            .is_none_or(|(link_type, data)| link_type == frame.link_type && data == frame.data);
        frames.push(Seen {
            number: frame.number,
            nanos: frame.time.as_nanos(),
            interface_id: frame.interface_id,
            link_type: frame.link_type.0,
            len: frame.len,
            data: frame.data.to_vec(),
        });
    }
    assert!(matches!(source.next().unwrap(), Next::End), "the end stays the end");
    let losses = source.losses();
    assert!(is_as_shown || !losses.inputs_cut.is_empty(), "another frame was shown ahead");
    All { frames, losses, interfaces: source.interfaces() }
}

pub(in crate::source) fn open(octets: &[u8]) -> Result<Savefile, SourceError> {
    Savefile::open(Box::new(Cursor::new(octets.to_vec())), "t.pcap")
}

pub(in crate::source) fn read(octets: &[u8]) -> All {
    drain(&mut open(octets).unwrap())
}

/// Octets with numbers in one byte order.
pub(in crate::source) struct Builder {
    order: ByteOrder,
    pub(in crate::source) octets: Vec<u8>,
}

impl Builder {
    pub(in crate::source) fn new(order: ByteOrder) -> Self {
        Self { order, octets: Vec::new() }
    }

    pub(in crate::source) fn u16(mut self, value: u16) -> Self {
        self.octets.extend(if self.order == LE {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        });
        self
    }

    pub(in crate::source) fn u32(mut self, value: u32) -> Self {
        self.octets.extend(if self.order == LE {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        });
        self
    }

    pub(in crate::source) fn u64(mut self, value: u64) -> Self {
        self.octets.extend(if self.order == LE {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        });
        self
    }

    pub(in crate::source) fn raw(mut self, octets: &[u8]) -> Self {
        self.octets.extend_from_slice(octets);
        self
    }

    fn pad(mut self) -> Self {
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
        self
    }

    /// A pcap file header, version 2.4.
    pub(in crate::source) fn pcap(self, magic: u32, snaplen: u32, link_type: u32) -> Self {
        self.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(snaplen).u32(link_type)
    }

    /// A pcap record with its cap_len as given by `data`.
    pub(in crate::source) fn record(self, s: u32, fraction: u32, len: u32, data: &[u8]) -> Self {
        let cap_len = u32::try_from(data.len()).unwrap();
        self.u32(s).u32(fraction).u32(cap_len).u32(len).raw(data)
    }

    pub(in crate::source) fn option(self, code: u16, value: &[u8]) -> Self {
        self.u16(code).u16(u16::try_from(value.len()).unwrap()).raw(value).pad()
    }

    /// A pcapng block around `body`.
    pub(in crate::source) fn block(self, kind: u32, body: impl FnOnce(Self) -> Self) -> Self {
        let order = self.order;
        let body = body(Self::new(order)).pad().octets;
        let total = u32::try_from(body.len() + 12).unwrap();
        self.u32(kind).u32(total).raw(&body).u32(total)
    }

    pub(in crate::source) fn section(self, options: impl FnOnce(Self) -> Self) -> Self {
        self.block(0x0a0d_0d0a, |b| options(b.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX)))
    }

    pub(in crate::source) fn interface(
        self,
        link_type: u16,
        snaplen: u32,
        options: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.block(1, |b| options(b.u16(link_type).u16(0).u32(snaplen)))
    }

    pub(in crate::source) fn enhanced(self, interface: u32, ticks: u64, data: &[u8]) -> Self {
        let len = u32::try_from(data.len()).unwrap();
        self.block(6, |b| {
            b.u32(interface)
                .u32(u32::try_from(ticks >> 32).unwrap())
                .u32(u32::try_from(ticks & 0xffff_ffff).unwrap())
                .u32(len)
                .u32(len)
                .raw(data)
        })
    }

    pub(in crate::source) fn statistics(
        self,
        interface: u32,
        options: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.block(5, |b| options(b.u32(interface).u32(0).u32(0)))
    }
}

pub(in crate::source) fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(octets).unwrap();
    out.finish().unwrap()
}

pub(in crate::source) fn zstd(octets: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(octets, ruzstd::encoding::CompressionLevel::Fastest)
}
