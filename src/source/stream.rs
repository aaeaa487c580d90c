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
