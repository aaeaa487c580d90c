//! Damaged and hostile octets: no panic, no hang, and the same frames however the input is handed over.

use super::testing::{All, BE, Builder, LE, drain, gzip, zstd};
use super::*;
use proptest::prelude::*;
use std::io::Cursor;

/// Gives its octets in pieces of the sizes asked for, again and again.
struct Pieces {
    octets: Cursor<Vec<u8>>,
    sizes: Vec<usize>,
    turn: usize,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()].min(out.len());
        self.turn += 1;
        self.octets.read(&mut out[..size])
    }
}

fn in_pieces(octets: &[u8], sizes: &[usize]) -> Option<All> {
    let octets = Cursor::new(octets.to_vec());
    let pieces = Pieces { octets, sizes: sizes.to_vec(), turn: 0 };
    Some(drain(&mut Savefile::open(Box::new(pieces), "t").ok()?))
}

fn order() -> impl Strategy<Value = ByteOrder> {
    prop_oneof![Just(LE), Just(BE)]
}

/// A pcap or pcapng file with frames of any size.
fn capture() -> impl Strategy<Value = Vec<u8>> {
    let frames =
        prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..300)), 0..8);
    (order(), any::<bool>(), frames).prop_map(|(order, is_pcapng, frames)| {
        let empty = Builder::new(order);
        if is_pcapng {
            let start = empty
                .section(|b| b.option(4, b"tunnelcheck 1").option(1, b"{}"))
                .interface(1, 0, |b| b.option(2, b"e").option(9, &[9]));
            let whole =
                frames.iter().fold(start, |b, (time, data)| b.enhanced(0, u64::from(*time), data));
            return whole.statistics(0, |b| b.option(7, &[0; 8])).octets;
        }
        let start = empty.pcap(0xa1b2_c3d4, 65_535, 1);
        frames.iter().fold(start, |b, (time, data)| b.record(*time, 0, 9, data)).octets
    })
}

proptest! {
    #[test]
    fn any_way_of_handing_over_gives_the_same(
        octets in capture(),
        sizes in prop::collection::vec(1_usize..40, 1..6),
    ) {
        prop_assert_eq!(in_pieces(&octets, &sizes), in_pieces(&octets, &[usize::MAX]));
    }

    #[test]
    fn flipped_and_cut_octets_never_panic(
        octets in capture(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut octets = octets;
        for (place, value) in flips {
            let place = place.index(octets.len());
            octets[place] = value;
        }
        octets.truncate(cut.index(octets.len() + 1));
        in_pieces(&octets, &[usize::MAX]);
    }

    #[test]
    fn damaged_packing_never_panics(
        octets in capture(),
        is_zstd in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut packed = if is_zstd { zstd(&octets) } else { gzip(&octets) };
        for (place, value) in flips {
            let place = place.index(packed.len());
            packed[place] = value;
        }
        in_pieces(&packed, &[usize::MAX]);
    }

    #[test]
    fn any_octets_behind_a_magic_never_panic(
        magic in prop::sample::select(vec![
            &b"\xd4\xc3\xb2\xa1"[..], b"\xa1\xb2\xcd\x34", b"\xab\x01\x00\x1c", b"\x1f\x8b\x08\x00",
            b"\x28\xb5\x2f\xfd", b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\
            \xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0\x01\0\0\0\x14\0\0\0\x01\0\0\0\0\0\0\0\x14\0\0\0",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        in_pieces(&[magic, &rest].concat(), &[usize::MAX]);
    }
}
