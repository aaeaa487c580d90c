//! What well-formed, odd and cut files give.

use super::testing::{BE, Builder, LE, drain, gzip, open, read, zstd};
use super::*;
use crate::model::{Drops, Vantage};
use std::io::Cursor;

const SECOND: i64 = 1_000_000_000;

fn plain(b: Builder) -> Builder {
    b
}

fn small(order: ByteOrder, magic: u32) -> Vec<u8> {
    Builder::new(order)
        .pcap(magic, 65_535, 1)
        .record(1, 500, 60, b"first")
        .record(2, 7, 6, b"second")
        .octets
}

#[test]
fn pcap_is_read_in_both_byte_orders_with_micro_and_nanoseconds() {
    for order in [LE, BE] {
        for (magic, tick) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
            let all = read(&small(order, magic));
            assert_eq!(all.frames.len(), 2);
            assert_eq!(all.frames[0].nanos, SECOND + 500 * tick);
            assert_eq!((all.frames[0].number, all.frames[0].len), (1, 60));
            assert_eq!(all.frames[0].data, b"first");
            assert_eq!((all.frames[1].number, all.frames[1].data.as_slice()), (2, &b"second"[..]));
            assert_eq!(all.losses, Losses::default());
            assert_eq!((all.interfaces.len(), all.interfaces[0].snaplen), (1, 65_535));
        }
    }
}

#[test]
fn modified_records_have_eight_more_octets() {
    for order in [LE, BE] {
        let octets = Builder::new(order)
            .pcap(0xa1b2_cd34, 0, 1)
            .u32(1)
            .u32(2)
            .u32(3)
            .u32(3)
            .raw(&[9; 8])
            .raw(b"abc")
            .octets;
        let all = read(&octets);
        assert_eq!((all.frames.len(), all.frames[0].data.as_slice()), (1, &b"abc"[..]));
    }
}

#[test]
fn ixia_files_state_the_size_of_their_records_first() {
    let octets = Builder::new(LE).pcap(0x1c00_01ac, 0, 1).u32(99).record(1, 5, 3, b"abc").octets;
    let all = read(&octets);
    assert_eq!((all.frames[0].nanos, all.frames[0].data.as_slice()), (SECOND + 5, &b"abc"[..]));
}

#[test]
fn old_versions_write_the_two_lengths_the_other_way_round() {
    for (minor, len, cap_len) in [(2, 60, 3), (3, 60, 3), (3, 3, 60)] {
        let header =
            Builder::new(BE).u32(0xa1b2_c3d4).u16(2).u16(minor).u32(0).u32(0).u32(0).u32(1);
        let octets = header.u32(1).u32(0).u32(len).u32(cap_len).raw(b"abc").octets;
        let all = read(&octets);
        assert_eq!((all.frames[0].len, all.frames[0].data.len()), (60, 3), "2.{minor}");
    }
}

#[test]
fn the_upper_half_of_the_link_type_is_no_part_of_it() {
    let octets = Builder::new(LE).pcap(0xa1b2_c3d4, 0, 0x2400_0001).record(1, 0, 1, b"x").octets;
    assert_eq!(read(&octets).frames[0].link_type, 1);
    let octets = Builder::new(LE).pcap(0xa1b2_c3d4, 0, 12).record(1, 0, 1, b"x").octets;
    assert_eq!(read(&octets).frames[0].link_type, LinkType::RAW.0);
}

#[test]
fn lengths_that_contradict_the_header_are_tolerated() {
    let octets = Builder::new(LE).pcap(0xa1b2_c3d4, 4, 1).record(1, 0, 2, b"longer").octets;
    let all = read(&octets);
    assert_eq!((all.frames[0].len, all.frames[0].data.as_slice()), (2, &b"longer"[..]));
    assert!(all.losses.inputs_cut.is_empty());
}

#[test]
fn a_header_alone_is_an_empty_capture() {
    let all = read(&Builder::new(LE).pcap(0xa1b2_c3d4, 0, 1).octets);
    assert_eq!((all.frames.len(), all.losses), (0, Losses::default()));
    let all = read(&Builder::new(BE).section(plain).octets);
    assert_eq!((all.frames.len(), all.losses), (0, Losses::default()));
}

#[test]
fn a_super_frame_of_half_a_mebibyte_passes_and_an_absurd_one_ends_the_reading() {
    let big = vec![7; 524_280];
    let start = Builder::new(LE).pcap(0xa1b2_c3d4, 0, 1).record(1, 0, 524_280, &big);
    let octets = start.u32(2).u32(0).u32(538_976_288).u32(60).raw(b"rest").octets;
    let all = read(&octets);
    assert_eq!(all.frames.len(), 1);
    assert_eq!(all.frames[0].data, big);
    assert_eq!(
        all.losses.inputs_cut,
        [
            "t.pcap: damaged at record 2, octet 524320: captured length 538976288 is beyond any frame \
          (at most 1048576)"
        ]
    );
}

#[test]
fn a_cut_record_is_said_with_place_and_lengths() {
    let mut octets = small(LE, 0xa1b2_c3d4);
    octets.truncate(octets.len() - 4);
    let all = read(&octets);
    assert_eq!(all.frames.len(), 1);
    assert_eq!(
        all.losses.inputs_cut,
        ["t.pcap: cut in record 2, octet 45: the record needs 22 octets, 18 are there"]
    );
    octets.truncate(45 + 3);
    assert_eq!(
        read(&octets).losses.inputs_cut,
        ["t.pcap: cut in record 2, octet 45: the record header needs 16 octets, 3 are there"]
    );
}

#[test]
fn a_cut_at_any_octet_loses_only_what_was_cut() {
    for octets in [small(BE, 0xa1b2_c3d4), sections()] {
        let whole = read(&octets);
        for len in 0..octets.len() {
            match open(&octets[..len]) {
                Ok(mut file) => {
                    let all = drain(&mut file);
                    assert_eq!(all.frames[..], whole.frames[..all.frames.len()]);
                    let lost = all.frames.len() < whole.frames.len();
                    // A cut between two records leaves no trace in the file.
                    assert!(lost || all.losses.inputs_cut.len() <= 1);
                }
                Err(SourceError::Empty { .. }) => assert_eq!(len, 0),
                Err(SourceError::NotACapture { .. }) => assert!(len < 4),
                Err(SourceError::CutHeader { needed, got, .. }) => {
                    assert!(needed > got && got <= len as u64);
                }
                Err(other) => panic!("{len}: {other}"),
            }
        }
    }
}

/// Two sections of different byte order, three interfaces with different link types and clocks.
fn sections() -> Vec<u8> {
    let little = Builder::new(LE)
        .section(plain)
        .interface(1, 100, |b| b.option(2, b"eth0").option(9, &[9]))
        .interface(113, 0, |b| b.option(9, &[0x80 | 1]).option(14, &(-3_i64).to_le_bytes()))
        .enhanced(0, 5, b"one")
        .enhanced(1, 9, b"two!")
        .block(3, |b| b.u32(120).raw(&[3; 100]))
        .octets;
    Builder::new(BE)
        .raw(&little)
        .section(plain)
        .interface(276, 0, plain)
        .block(2, |b| b.u16(0).u16(0xffff).u32(0).u32(8).u32(3).u32(70).raw(b"old"))
        .octets
}

#[test]
fn pcapng_sections_interfaces_and_clocks_are_kept_apart() {
    let all = read(&sections());
    let frames: Vec<_> = all
        .frames
        .iter()
        .map(|f| (f.number, f.interface_id, f.link_type, f.nanos, f.len, f.data.len()))
        .collect();
    assert_eq!(
        frames,
        [
            (1, 0, 1, 5, 3, 3),
            (2, 1, 113, SECOND * 3 / 2, 4, 4),
            // A simple packet has no time of its own, and the snaplen of the first interface.
            (3, 0, 1, SECOND * 3 / 2, 120, 100),
            (4, 2, 276, 8_000, 70, 3),
        ]
    );
    let names: Vec<_> = all.interfaces.iter().map(|i| (i.name.as_str(), i.link_type.0)).collect();
    assert_eq!(names, [("eth0", 1), ("", 113), ("", 276)]);
    assert_eq!(all.losses, Losses::default());
}

#[test]
fn drop_counters_are_known_where_every_interface_with_frames_has_them() {
    let counted = |b: Builder| {
        b.option(5, &2_u64.to_le_bytes()).option(7, &3_u64.to_le_bytes()).option(1, b"said")
    };
    let two = Builder::new(LE).section(plain).interface(1, 0, plain).interface(1, 0, plain);
    let octets = two.enhanced(0, 1, b"x").statistics(0, counted).octets;
    let all = read(&octets);
    assert_eq!(all.losses.drops, Drops::Known(3));
    assert_eq!(all.losses.interface_drops, Drops::Known(2));
    let mut file = open(&octets).unwrap();
    drain(&mut file);
    assert!(!file.is_own() && !file.is_closed());
    assert_eq!((file.head_annotation(), file.tail_annotation()), (None, None));

    let nothing = |b: Builder| b.option(5, &0_u64.to_le_bytes());
    let uncounted = Builder::new(LE).section(plain).interface(1, 0, plain).interface(1, 0, plain);
    let octets = uncounted.enhanced(0, 1, b"x").enhanced(1, 1, b"y").statistics(0, nothing).octets;
    let all = read(&octets);
    assert_eq!((all.losses.drops, all.losses.interface_drops), (Drops::Unknown, Drops::Unknown));
}

#[test]
fn drops_noted_beside_frames_are_evidence_of_loss() {
    let octets = Builder::new(LE)
        .section(plain)
        .interface(1, 0, plain)
        .block(6, |b| {
            b.u32(0)
                .u32(0)
                .u32(1)
                .u32(2)
                .u32(2)
                .raw(&[1, 2, 0, 0])
                .option(4, &9_u64.to_le_bytes())
                .option(0, b"")
        })
        .octets;
    let all = read(&octets);
    assert_eq!((all.frames.len(), all.losses.drops), (1, Drops::Known(9)));
}

#[test]
fn blocks_without_frames_are_stepped_over_and_unknown_ones_are_said() {
    let mut octets = Builder::new(LE).section(plain).interface(1, 0, plain);
    for harmless in [4, 0xa, 0xbad, 0x4000_0bad, 0x8000_0001] {
        octets = octets.block(harmless, |b| b.raw(&vec![0xff; 300_000]));
    }
    let octets = octets
        .enhanced(0, 1, b"x")
        .block(0x7777, |b| b.raw(&[1; 8]))
        .enhanced(5, 1, b"y")
        .enhanced(0, 2, b"z")
        .octets;
    let all = read(&octets);
    assert_eq!(all.frames.len(), 2);
    assert_eq!(
        all.losses.inputs_cut,
        [
            "t.pcap: 1 block of an interface that is not described skipped",
            "t.pcap: 1 block of the unknown type 0x00007777 skipped"
        ]
    );
}

#[test]
fn blocks_whose_lengths_disagree_end_the_reading() {
    let mut octets = Builder::new(LE)
        .section(plain)
        .interface(1, 0, plain)
        .enhanced(0, 1, b"x")
        .enhanced(0, 2, b"y")
        .octets;
    let last = octets.len() - 4;
    octets[last] ^= 4;
    let all = read(&octets);
    assert_eq!(all.frames.len(), 1);
    assert_eq!(
        all.losses.inputs_cut,
        [
            "t.pcap: damaged at block 4 (after frame 1), octet 84: the block begins with the length 36 \
          and ends with 32"
        ]
    );
}

#[test]
fn an_absurd_block_length_takes_no_memory() {
    for (kind, said) in [(6, "is beyond"), (1, "is beyond"), (0xbad, "4294967288 octets")] {
        let octets = Builder::new(LE)
            .section(plain)
            .interface(1, 0, plain)
            .u32(kind)
            .u32(0xffff_fffc)
            .raw(&[0; 40])
            .octets;
        let all = read(&octets);
        assert_eq!(all.losses.inputs_cut.len(), 1);
        assert!(all.losses.inputs_cut[0].contains(said), "{:?}", all.losses.inputs_cut);
    }
}

#[test]
fn packed_files_are_unpacked_by_their_magic() {
    let octets = [small(LE, 0xa1b2_c3d4), sections()];
    for octets in octets {
        let plain = read(&octets);
        assert_eq!(read(&gzip(&octets)), plain);
        assert_eq!(read(&zstd(&octets)), plain);
        let (a, b) = octets.split_at(30);
        assert_eq!(read(&[gzip(a), gzip(b)].concat()), plain, "several members");
        let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        assert_eq!(read(&[skippable, zstd(a), zstd(b)].concat()), plain, "several frames");
    }
}

#[test]
fn a_packed_file_that_is_cut_is_read_to_there_and_said() {
    let mut octets = Builder::new(LE).pcap(0xa1b2_c3d4, 0, 1);
    let mut noise = 1_u32;
    for _ in 0..1_000 {
        let data: Vec<u8> = (0..1_000)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise.to_be_bytes()[0]
            })
            .collect();
        octets = octets.record(1, 0, 1_000, &data);
    }
    let octets = octets.octets;
    for packed in [gzip(&octets), zstd(&octets)] {
        let all = read(&packed[..packed.len() / 2]);
        assert!(all.frames.len() > 300 && all.frames.len() < 600, "{}", all.frames.len());
        let said = &all.losses.inputs_cut;
        assert!(said.len() == 1 && said[0].contains("of the unpacked file"), "{said:?}");

        let mut damaged = packed.clone();
        let last = damaged.len() - 2;
        damaged[last] ^= 0xff;
        let all = read(&damaged);
        assert_eq!(all.losses.inputs_cut.len(), 1, "a wrong checksum is said");
    }
}

/// Whatever was asked for at once: what a decoder has read when it meets damage is not lost.
#[test]
fn all_that_stands_in_front_of_damage_is_read() {
    for frames in [1, 30, 200, 300, 3_000] {
        let mut octets = Builder::new(LE).pcap(0xa1b2_c3d4, 0, 1);
        for number in 0..frames {
            octets = octets.record(number, 0, 1_000, &[7; 1_000]);
        }
        let octets = octets.octets;
        let member =
            |octets| [b"\x1f\x8b\x08\0\0\0\0\0\0\x03", &deflated(octets)[..], &[7; 20]].concat();
        let (front, back) = octets.split_at(octets.len() / 2);
        let second = [gzip(front), member(back)].concat();
        for damaged in [member(&octets), second] {
            let all = read(&damaged);
            assert_eq!(all.frames.len(), frames as usize);
            let said = &all.losses.inputs_cut;
            assert!(said.len() == 1 && said[0].contains("deflate stream is damaged"), "{said:?}");
        }
    }
}

/// Blocks of deflate, the last one not marked as such.
fn deflated(octets: &[u8]) -> Vec<u8> {
    use flate2::{Compress, Compression, FlushCompress};
    let mut packed = Vec::with_capacity(octets.len() + 1024);
    let mut state = Compress::new(Compression::best(), false);
    state.compress_vec(octets, &mut packed, FlushCompress::Full).unwrap();
    packed
}

#[test]
fn what_is_no_capture_is_refused_in_words_that_help() {
    let refuse = |octets: &[u8]| {
        let error = open(octets).err().unwrap();
        (error.to_string(), error.remedy())
    };
    assert_eq!(refuse(b"").0, "\"t.pcap\" is not a capture: it is empty (0 octets)");
    let (said, remedy) = refuse(b"GET / HTTP/1.1\r\n");
    assert_eq!(
        said,
        "\"t.pcap\" is not a capture: it begins with 47 45 54 20 2f 20 48 54 (\"GET / HT\"), not \
         with the magic of pcap or pcapng"
    );
    assert!(remedy.unwrap().contains("tcpdump -i IFACE"));
    assert!(refuse(&gzip(b"text, packed")).0.contains("once unpacked (gzip)"));
    let (said, remedy) = refuse(b"\xfd7zXZ\0\0\x04 and so on");
    assert_eq!(
        said,
        "\"t.pcap\" is packed with xz; only gzip and zstd (windows up to 32 MiB) are read"
    );
    assert!(remedy.unwrap().contains("xz -dc 't.pcap' | tunnelcheck"));
    let (said, remedy) = refuse(b"snoop\0\0\0\0\0\0\x02");
    assert!(said.contains("in the format snoop"));
    assert!(remedy.unwrap().starts_with("convert it: editcap"));
    assert_eq!(
        refuse(&small(LE, 0xa1b2_c3d4)[..10]).0,
        "\"t.pcap\" ends inside its pcap file header: needed 24 octets, got 10"
    );
    assert!(refuse(b"\x1f\x8b\x08\0").0.contains("damaged at the start"));
    assert!(refuse(b"\x0a\x0d\x0d\x0a\0\0\0\x1c????????").0.contains("byte-order magic"));
}

#[test]
fn a_failing_disk_is_an_error_and_not_the_end() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(std::io::Error::other("disk on fire")),
                got => Ok(got),
            }
        }
    }
    let octets = small(LE, 0xa1b2_c3d4);
    let mut file = Savefile::open(Box::new(Failing(Cursor::new(octets))), "t.pcap").unwrap();
    assert!(matches!(file.next().unwrap(), Next::Frame(_)));
    assert!(matches!(file.next().unwrap(), Next::Frame(_)));
    assert!(matches!(file.next(), Err(SourceError::Read { at: 67, .. })));
}

#[test]
fn several_files_are_one_capture() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = [small(LE, 0xa1b2_c3d4), sections(), small(BE, 0xa1b2_3c4d)]
        .iter()
        .enumerate()
        .map(|(id, octets)| {
            let path = folder.path().join(format!("{id}.pcap"));
            std::fs::write(&path, octets).unwrap();
            path
        })
        .collect();
    let all = drain(&mut Files::open(&paths).unwrap());
    let numbers: Vec<_> = all.frames.iter().map(|f| (f.number, f.interface_id)).collect();
    assert_eq!(numbers, [(1, 0), (2, 0), (3, 1), (4, 2), (5, 1), (6, 3), (7, 4), (8, 4)]);
    assert_eq!(all.interfaces.len(), 5);
    for frame in &all.frames {
        let id = usize::try_from(frame.interface_id).unwrap();
        assert_eq!(all.interfaces[id].link_type.0, frame.link_type);
    }
}

#[test]
fn every_file_is_looked_at_before_the_first_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("good"), small(LE, 0xa1b2_c3d4)).unwrap();
    std::fs::write(path("bad"), "words").unwrap();
    let open = |names: &[&str]| {
        let paths: Vec<_> = names.iter().map(|name| path(name)).collect();
        Files::open(&paths).err().unwrap()
    };
    assert!(matches!(open(&["good", "bad"]), SourceError::NotACapture { .. }));
    assert!(matches!(open(&["good", "missing"]), SourceError::Open { .. }));
    assert!(matches!(open(&["good", "."]), SourceError::Folder { .. }));
    assert!(matches!(open(&[]), SourceError::NoFiles));
    assert!(matches!(
        Files::open(&["-".into(), "-".into()]).err().unwrap(),
        SourceError::StdinTwice
    ));
}

#[test]
fn a_vantage_is_believed_only_in_our_own_recordings() {
    let description = |b: Builder| b.option(3, b"tunnelcheck vantage: loopback");
    let foreign = Builder::new(LE).section(plain).interface(1, 0, description).octets;
    assert_eq!(read(&foreign).interfaces[0].vantage, None);
    let own = Builder::new(LE)
        .section(|b| b.option(4, b"tunnelcheck 1.0"))
        .interface(1, 0, description)
        .octets;
    assert_eq!(read(&own).interfaces[0].vantage, Some(Vantage::Loopback));
}
