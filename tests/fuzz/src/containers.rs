//! Capture files of every format, packed or not.

use crate::script::Dice;
use std::io::{Cursor, Read};
use tunnelcheck::source::{Next, Savefile, Source};

/// Octets of an input that are read; packed ones may grow to much more.
const MAX_INPUT: usize = 1 << 16;

/// Octets of frames and number of frames that are looked at: a bomb of gzip is read on elsewhere (the benches).
const MAX_FRAMES: usize = 20_000;
const MAX_OCTETS: usize = 8 << 20;

/// A reader that gives a few octets at a time, as a pipe does.
struct Drip(Cursor<Vec<u8>>, Dice);

impl Read for Drip {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.roll(7).min(into.len());
        self.0.read(&mut into[..n])
    }
}

/// Any octets as a capture file; the same octets through a pipe give the same frames, losses and annotations. (Not where
/// they are packed: how much of a damaged stream is unpacked in front of the damage depends on the pieces.)
pub fn containers(octets: &[u8]) {
    let octets = &octets[..octets.len().min(MAX_INPUT)];
    let whole = read(Box::new(Cursor::new(octets.to_vec())));
    let is_packed = octets.starts_with(&[0x1f, 0x8b])
        || octets.starts_with(&[0x28, 0xb5])
        || octets.get(1..4) == Some(&[0x2a, 0x4d, 0x18]);
    if octets.len() <= 4096 && !is_packed {
        let drip = Drip(Cursor::new(octets.to_vec()), Dice::new(octets.len() as u32));
        let dripped = read(Box::new(drip));
        assert_eq!(whole, dripped, "a pipe gives another reading");
    }
}

/// A digest of everything that a reading gives, or the refusal.
fn read(reader: Box<dyn Read + Send>) -> Result<(Vec<String>, u64), String> {
    let mut file = match Savefile::open(reader, "input") {
        Ok(file) => file,
        Err(error) => {
            let _ = error.remedy();
            return Err(error.to_string());
        }
    };
    let mut told = Vec::new();
    let (mut frames, mut total, mut sum) = (0_u64, 0_usize, 0_u64);
    loop {
        let (id, number) = match file.next() {
            Ok(Next::Frame(frame)) => {
                total += frame.data.len();
                let at = (frame.time.as_nanos(), frame.len, frame.link_type, frame.interface_id);
                if told.len() < 64 {
                    told.push(format!("{at:?} {:02x?}", frame.data));
                }
                for octet in frame.data.iter().step_by(1 + frame.data.len() / 64) {
                    sum = sum.wrapping_mul(31).wrapping_add(u64::from(*octet));
                }
                (frame.interface_id as usize, frame.number)
            }
            Ok(Next::Idle) => panic!("a file is never idle"),
            Ok(Next::End) => break,
            Err(error) => return Err(error.to_string()),
        };
        frames += 1;
        assert_eq!(number, frames, "frames are numbered from 1");
        if frames < 100 {
            assert!(id < file.interfaces().len(), "a frame of interface {id}, which is unknown");
        }
        if frames as usize > MAX_FRAMES || total > MAX_OCTETS {
            break;
        }
    }
    told.push(format!("{:?}", file.losses()));
    told.push(format!("{:?} {:?}", file.head_annotation(), file.tail_annotation()));
    told.push(format!("{} {}", file.is_own(), file.is_closed()));
    let interfaces = file.interfaces();
    told.extend(interfaces.iter().take(64).map(|it| format!("{it:?}")));
    told.push(format!("{frames} {total}"));
    Ok((told, sum))
}
