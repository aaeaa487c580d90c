//! Files that are cut, that count drops, that come in another order.

use super::*;

/// A pcapng file: one section, Ethernet, every frame, then statistics with `dropped` frames.
fn pcapng(frames: &[Shot], dropped: u64) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let len = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        [&kind.to_le_bytes()[..], &len, &body, &len].concat()
    };
    let mut file = block(
        0x0a0d_0d0a,
        &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat(),
    );
    file.extend(block(1, &[1, 0, 0, 0, 0, 0, 4, 0]));
    for shot in frames {
        let micros = shot.time_ns / 1000;
        let mut body = 0_u32.to_le_bytes().to_vec();
        body.extend_from_slice(&u32::try_from(micros >> 32).unwrap().to_le_bytes());
        body.extend_from_slice(&u32::try_from(micros & 0xffff_ffff).unwrap().to_le_bytes());
        body.extend_from_slice(&u32::try_from(shot.octets.len()).unwrap().to_le_bytes());
        body.extend_from_slice(&shot.len.to_le_bytes());
        body.extend_from_slice(&shot.octets);
        file.extend(block(6, &body));
    }
    let mut body = vec![0; 12];
    body.extend_from_slice(&[5, 0, 8, 0]);
    body.extend_from_slice(&dropped.to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    file.extend(block(5, &body));
    file
}

/// Ends the tunnel, then makes the files of the frames.
fn with(scene: &mut Scene, make: impl Fn(&Wire) -> Vec<Vec<u8>>) {
    scene.carry(3, 4);
    scene.wire.close(&mut scene.tunnel);
    scene.is_left_open = true;
    scene.files = Some(make(&scene.wire));
}

/// Frames from `from` to `to` as a file.
fn part(wire: &Wire, from: usize, to: usize) -> Vec<u8> {
    let mut part = wire.clone();
    part.frames.truncate(to);
    part.frames.drain(..from);
    part.pcap()
}

/// Takes the payload of others on the way: a conn that says the name in halves.
fn halves(scene: &mut Scene) -> usize {
    let mut tcp = scene.stranger();
    scene.wire.client(&mut tcp, b"John ");
    let between = scene.wire.frames.len();
    scene.wire.client(&mut tcp, b"Smith");
    scene.wire.close(&mut tcp);
    between
}

#[test]
fn files_that_lack_something_are_no_pass() {
    expect(&[
        ("pcapng without drops", Want::Pass, |s| with(s, |wire| vec![pcapng(&wire.frames, 0)])),
        ("pcapng with drops", Want::Inconclusive, |s| {
            with(s, |wire| vec![pcapng(&wire.frames, 3)])
        }),
        ("cut in a record", Want::Inconclusive, |s| {
            with(s, |wire| {
                let mut file = wire.pcap();
                file.truncate(file.len() - 5);
                vec![file]
            });
        }),
        ("two files", Want::Pass, |s| {
            with(s, |wire| vec![part(wire, 0, 20), part(wire, 20, 9999)])
        }),
        ("two files, the first cut", Want::Inconclusive, |s| {
            with(s, |wire| {
                let mut first = part(wire, 0, 20);
                first.truncate(first.len() - 5);
                vec![first, part(wire, 20, 9999)]
            });
        }),
        ("two files in the wrong order", Want::Inconclusive, |s| {
            with(s, |wire| vec![part(wire, 20, 9999), part(wire, 0, 20)]);
        }),
        ("a file is missing", Want::NoPass, |s| {
            with(s, |wire| vec![part(wire, 0, 8), part(wire, 16, 9999)]);
        }),
        ("the name over two files", Want::Fail, |s| {
            let between = halves(s);
            s.carry(4, 4);
            let frames = s.wire.frames.len();
            s.files = Some(vec![part(&s.wire, 0, between), part(&s.wire, between, frames)]);
        }),
        ("the name over two files in the wrong order", Want::NoPass, |s| {
            let between = halves(s);
            s.carry(4, 4);
            let frames = s.wire.frames.len();
            s.files = Some(vec![part(&s.wire, between, frames), part(&s.wire, 0, between)]);
        }),
        ("frames out of the order of time", Want::Pass, |s| {
            with(s, |wire| {
                let mut wire = wire.clone();
                let at = wire.frames.len() - 12;
                wire.frames.swap(at, at + 1);
                wire.frames.swap(at + 3, at + 4);
                vec![wire.pcap()]
            });
        }),
        ("snaplen 96", Want::NoPass, |s| {
            let mut tcp = s.stranger();
            s.wire.client(&mut tcp, &[b'.'; 200]);
            s.wire.close(&mut tcp);
            s.wire.cut(96);
        }),
        ("snaplen 200, the tunnel alone", Want::Inconclusive, |s| s.wire.cut(200)),
        ("nothing but the beginning", Want::NoPass, |s| with(s, |wire| vec![part(wire, 0, 12)])),
        ("nothing but the end", Want::NoPass, |s| with(s, |wire| vec![part(wire, 12, 9999)])),
        ("nothing", Want::Inconclusive, |s| s.files = Some(vec![Wire::default().pcap()])),
    ]);
}
