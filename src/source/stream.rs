//! A capture that another program makes, read as it comes: the third door of the savefile reader.

use super::capture::{Block, Message, Shared};
use super::{Next, Savefile, Source as _, SourceError};
use crate::model::{Frame, InterfaceRecord, Timestamp, Vantage};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};

/// Frames that wait for the reader; then the stream itself waits, and the program that makes it drops and counts.
const MAX_WAITING: usize = 1024;

/// A stream that has begun like a capture.
pub struct Stream {
    file: Savefile,
    record: InterfaceRecord,
    ahead_ns: i64,
}

impl Stream {
    /// Reads the header of a capture, and takes it for that of one interface.
    ///
    /// `ahead_ns`: how far the clock there is ahead of ours; times are set back by it.
    ///
    /// # Errors
    /// As `Savefile::open`; `NoInterfaces` where the header names none.
    pub fn open(
        reader: Box<dyn Read + Send>,
        name: &str,
        vantage: Vantage,
        ahead_ns: i64,
    ) -> Result<Self, SourceError> {
        let file = Savefile::open(reader, name)?;
        let first = file.interfaces().into_iter().next().ok_or(SourceError::NoInterfaces)?;
        let record = InterfaceRecord { name: name.to_owned(), vantage: Some(vantage), ..first };
        Ok(Self { file, record, ahead_ns })
    }

    /// The interface.
    pub fn interface(&self) -> &InterfaceRecord {
        &self.record
    }
}

/// The thread that reads a stream.
pub(super) struct Thread {
    pub(super) id: usize,
    pub(super) stream: Stream,
    pub(super) shared: Arc<Shared>,
    pub(super) outgoing: Sender<Message>,
    pub(super) free: Receiver<Block>,
}

impl Thread {
    /// Reads to the end. A stream that breaks off is a loss, and no error of the run.
    pub(super) fn run(mut self) {
        let mut made = 0;
        loop {
            let frame = match self.stream.file.next() {
                Ok(Next::Frame(frame)) => frame,
                Ok(Next::Idle) => continue,
                Ok(Next::End) => break,
                Err(error) => {
                    self.shared.cut(format!("{}: {error}", self.stream.record.name));
                    break;
                }
            };
            let mut block = match self.free.try_recv() {
                Ok(block) => block,
                Err(_) if made < MAX_WAITING => {
                    made += 1;
                    Block::new(self.id)
                }
                // Nobody reads any more where none comes back.
                Err(_) => match self.free.recv() {
                    Ok(block) => block,
                    Err(_) => return,
                },
            };
            let nanos = frame.time.as_nanos().saturating_sub(self.stream.ahead_ns);
            block.push(&Frame { time: Timestamp::from_nanos(nanos), ..frame });
            self.shared.waiting.fetch_add(1, Ordering::AcqRel);
            if self.outgoing.send(Message::Block(block)).is_err() {
                return;
            }
        }
        for cut in self.stream.file.losses().inputs_cut {
            self.shared.cut(cut);
        }
        // Without a reader there is nobody to tell.
        drop(self.outgoing.send(Message::Ended(self.id)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::capture::Capture;
    use super::*;
    use crate::model::Drops;
    use std::io::{self, Cursor};

    /// A classic capture of little frames, one a second.
    fn pcap(frames: u32) -> Vec<u8> {
        let mut octets = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            octets.extend(word.to_le_bytes());
        }
        for second in 1..=frames {
            for word in [second, 7, 4, 60] {
                octets.extend(word.to_le_bytes());
            }
            octets.extend(b"abcd");
        }
        octets
    }

    fn stream(reader: impl Read + Send + 'static, ahead_ns: i64) -> Stream {
        let name = "root@snooper:eth0";
        Stream::open(Box::new(reader), name, Vantage::Remote, ahead_ns).unwrap()
    }

    /// The times of all frames, and the capture at its end.
    fn drain(stream: Stream) -> (Vec<i64>, Capture) {
        let mut capture = Capture::start_all(Vec::new(), vec![stream]).unwrap();
        let mut times = Vec::new();
        loop {
            match capture.next().unwrap() {
                Next::Frame(frame) => {
                    assert_eq!((frame.interface_id, frame.data), (0, &b"abcd"[..]));
                    times.push(frame.time.as_nanos());
                }
                Next::Idle => {}
                Next::End => return (times, capture),
            }
        }
    }

    #[test]
    fn a_stream_is_read_to_its_end_on_our_clock() {
        let (times, capture) = drain(stream(Cursor::new(pcap(3)), 1_000_000_000));
        assert_eq!(times, [7_000, 1_000_007_000, 2_000_007_000]);
        let interface = &capture.interfaces()[0];
        assert_eq!(
            (interface.name.as_str(), interface.vantage),
            ("root@snooper:eth0", Some(Vantage::Remote))
        );
        // What was dropped there is not known from the frames.
        assert_eq!(capture.losses().drops, Drops::Unknown);
        assert!(capture.losses().inputs_cut.is_empty());
    }

    #[test]
    fn more_frames_than_may_wait_come_all_the_same() {
        let frames = u32::try_from(3 * MAX_WAITING).unwrap();
        let (times, _) = drain(stream(Cursor::new(pcap(frames)), 0));
        assert_eq!(times.len(), 3 * MAX_WAITING);
    }

    #[test]
    fn a_stream_that_breaks_off_is_a_loss_and_no_error() {
        struct Broken(Cursor<Vec<u8>>);
        impl Read for Broken {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                match self.0.read(into)? {
                    0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "gone")),
                    some => Ok(some),
                }
            }
        }
        let mut cut = pcap(3);
        cut.truncate(cut.len() - 3);
        let (times, capture) = drain(stream(Cursor::new(cut), 0));
        assert_eq!(times.len(), 2);
        assert_eq!(capture.losses().inputs_cut.len(), 1, "{:?}", capture.losses());
        let (times, capture) = drain(stream(Broken(Cursor::new(pcap(2))), 0));
        assert_eq!(times.len(), 2);
        assert!(capture.losses().inputs_cut[0].contains("root@snooper:eth0"));
    }

    #[test]
    fn what_is_no_capture_is_no_stream() {
        for octets in [&b""[..], b"tcpdump: no", &pcap(1)[..20]] {
            let reader = Box::new(Cursor::new(octets.to_vec()));
            assert!(Stream::open(reader, "x", Vantage::Remote, 0).is_err());
        }
    }
}
