//! A reader that reads ahead in a thread of its own: what is dear to read is read while the last of it is being judged.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Octets read ahead at a time.
const BLOCK: usize = 256 * 1024;

/// Blocks that wait to be taken, at most; one more is being filled, and one is being emptied.
const WAITING: usize = 2;

/// What the thread hands over.
enum Said {
    /// Octets at the front of the block, at least one.
    Octets(Vec<u8>, usize),
    /// Why it reads no further.
    Failed(io::Error),
    /// The end was reached. Said in so many words, so that a thread that is gone is no end.
    End,
}

/// Gives what `R` gives. The first `BLOCK` octets are read by whoever asks, and all where no thread can be had.
pub(super) struct Aside<R>(State<R>);

enum State<R> {
    /// No thread yet: so many octets may still be read without one; any number where there is none to be had.
    Here(R, Option<usize>),
    There(Ahead),
    /// The end.
    Over,
    /// A failure was told.
    Failed,
}

struct Ahead {
    said: Receiver<Said>,
    /// Where blocks go to be filled again.
    emptied: Sender<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
    end: usize,
    thread: Option<JoinHandle<()>>,
}

impl<R: Read + Send + 'static> Aside<R> {
    pub(super) fn new(reader: R) -> Self {
        Self(State::Here(reader, Some(BLOCK)))
    }
}

impl<R: Read + Send + 'static> Read for Aside<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if matches!(self.0, State::Here(_, Some(0)))
            && let State::Here(reader, _) = std::mem::replace(&mut self.0, State::Failed)
        {
            self.0 = begin(reader);
        }
        let read = match &mut self.0 {
            State::Here(reader, None) => reader.read(out),
            State::Here(reader, Some(left)) => {
                let room = out.len().min(*left);
                let read = reader.read(out.get_mut(..room).unwrap_or_default());
                *left -= read.as_ref().map_or(0, |got| (*got).min(room));
                read
            }
            State::There(ahead) => ahead.read(out),
            State::Over => return Ok(0),
            State::Failed => return Err(io::Error::other("reading it has failed before")),
        };
        match &read {
            Ok(0) => self.0 = State::Over,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => self.0 = State::Failed,
            _ => {}
        }
        read
    }
}

/// The thread is not waited for at the end: it may hang on a pipe from which nothing comes. It ends when nobody takes what it
/// reads.
fn begin<R: Read + Send + 'static>(reader: R) -> State<R> {
    let (say, said) = sync_channel(WAITING);
    let (emptied, empty) = channel();
    // It gets the reader once it is there: else that would be lost with it.
    let (hand_over, handed_over) = channel::<R>();
    let run = move || {
        if let Ok(mut reader) = handed_over.recv() {
            read_ahead(&mut reader, &say, &empty);
        }
    };
    let Ok(thread) = std::thread::Builder::new().name("unpack".to_owned()).spawn(run) else {
        return State::Here(reader, None);
    };
    match hand_over.send(reader) {
        Ok(()) => State::There(Ahead {
            said,
            emptied,
            block: Vec::new(),
            at: 0,
            end: 0,
            thread: Some(thread),
        }),
        Err(unsent) => State::Here(unsent.0, None),
    }
}

impl Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end {
            // Where the thread has ended, nobody fills it again.
            let _ = self.emptied.send(std::mem::take(&mut self.block));
            match self.said.recv() {
                Ok(Said::Octets(block, end)) => (self.block, self.at, self.end) = (block, 0, end),
                Ok(Said::Failed(error)) => return Err(error),
                Ok(Said::End) => return Ok(0),
                Err(_) => return Err(self.gone()),
            }
        }
        let left = self.block.get(self.at..self.end).unwrap_or_default();
        let len = left.len().min(out.len());
        let (from, to) = (left.get(..len), out.get_mut(..len));
        if let (Some(from), Some(to)) = (from, to) {
            to.copy_from_slice(from);
        }
        self.at += len;
        Ok(len)
    }

    /// The thread said no end: what ended it goes on here.
    fn gone(&mut self) -> io::Error {
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => io::Error::other("the thread that unpacks it has ended early"),
        }
    }
}

fn read_ahead(reader: &mut dyn Read, say: &SyncSender<Said>, empty: &Receiver<Vec<u8>>) {
    loop {
        let mut block = empty.try_recv().unwrap_or_default();
        block.resize(BLOCK, 0);
        let said = match reader.read(&mut block) {
            Ok(0) => Said::End,
            Ok(got) => Said::Octets(block, got.min(BLOCK)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Said::Failed(error),
        };
        let is_last = !matches!(said, Said::Octets(..));
        if say.send(said).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread::{ThreadId, current};

    /// Octets of a counter in pieces of `piece`, then what `end` does; remembers which threads read it.
    struct Counter<E> {
        left: usize,
        piece: usize,
        read: usize,
        end: E,
        readers: Arc<Mutex<Vec<ThreadId>>>,
    }

    impl<E: FnMut() -> io::Result<usize>> Read for Counter<E> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.readers.lock().unwrap().push(current().id());
            let len = self.left.min(self.piece).min(out.len());
            if len == 0 {
                return (self.end)();
            }
            for (index, octet) in out[..len].iter_mut().enumerate() {
                *octet = octet_at(self.read + index);
            }
            self.left -= len;
            self.read += len;
            Ok(len)
        }
    }

    fn octet_at(index: usize) -> u8 {
        u8::try_from(index % 251).unwrap()
    }

    type Readers = Arc<Mutex<Vec<ThreadId>>>;

    fn counter<E: FnMut() -> io::Result<usize>>(
        left: usize,
        piece: usize,
        end: E,
    ) -> (Counter<E>, Readers) {
        let readers = Readers::default();
        (Counter { left, piece, read: 0, end, readers: Arc::clone(&readers) }, readers)
    }

    /// All octets, and how it ended.
    fn take_all(reader: &mut impl Read, piece: usize) -> (Vec<u8>, io::Result<()>) {
        let (mut all, mut out) = (Vec::new(), vec![0; piece]);
        loop {
            match reader.read(&mut out) {
                Ok(0) => return (all, Ok(())),
                Ok(got) => all.extend_from_slice(&out[..got]),
                Err(error) => return (all, Err(error)),
            }
        }
    }

    #[test]
    fn gives_what_the_reader_gives_however_it_is_asked() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7] {
            for (piece, asked) in [(BLOCK, BLOCK), (1_000, 300), (7 * BLOCK, 3 * BLOCK)] {
                let (reader, _) = counter(len, piece, || Ok(0));
                let mut aside = Aside::new(reader);
                let (all, end) = take_all(&mut aside, asked);
                assert!(end.is_ok());
                assert!(all.iter().copied().eq((0..len).map(octet_at)), "{len}, {piece}, {asked}");
                assert_eq!(aside.read(&mut [0]).unwrap(), 0, "it stays at its end");
            }
        }
    }

    #[test]
    fn little_is_read_here_and_much_by_one_thread_beside() {
        let others = |len| {
            let (reader, readers) = counter(len, 10_000, || Ok(0));
            let (all, _) = take_all(&mut Aside::new(reader), BLOCK);
            assert_eq!(all.len(), len);
            let mut others = readers.lock().unwrap().clone();
            others.retain(|reader| *reader != current().id());
            others.dedup();
            others.len()
        };
        assert_eq!(others(BLOCK - 1), 0);
        assert_eq!(others(4 * BLOCK), 1);
    }

    #[test]
    fn a_failure_is_told_behind_all_that_was_read() {
        for len in [10, 3 * BLOCK + 10] {
            let (reader, _) = counter(len, 50_000, || Err(io::ErrorKind::InvalidData.into()));
            let mut aside = Aside::new(reader);
            let (all, end) = take_all(&mut aside, 9_999);
            assert_eq!((all.len(), end.unwrap_err().kind()), (len, io::ErrorKind::InvalidData));
            assert!(aside.read(&mut [0]).is_err(), "it does not become an end");
        }
    }

    #[test]
    fn where_no_thread_can_be_had_it_is_read_here() {
        let (reader, readers) = counter(3 * BLOCK, 50_000, || Ok(0));
        let (all, end) = take_all(&mut Aside(State::Here(reader, None)), BLOCK);
        assert!(end.is_ok());
        assert!(all.iter().copied().eq((0..3 * BLOCK).map(octet_at)));
        assert!(readers.lock().unwrap().iter().all(|reader| *reader == current().id()));
    }

    #[test]
    fn an_interruption_is_no_end() {
        let mut interrupted = false;
        let (reader, _) = counter(2 * BLOCK, BLOCK, move || {
            let is_first = !std::mem::replace(&mut interrupted, true);
            if is_first { Err(io::ErrorKind::Interrupted.into()) } else { Ok(0) }
        });
        let (all, end) = take_all(&mut Aside::new(reader), BLOCK);
        assert!(end.is_ok());
        assert_eq!(all.len(), 2 * BLOCK);
    }

    /// Taken for an end, it would hide the rest of the capture.
    #[test]
    fn a_thread_that_is_gone_is_no_end() {
        let (reader, _) = counter(2 * BLOCK, BLOCK, || panic!("as asked"));
        let mut aside = Aside::new(reader);
        let mut out = vec![0; BLOCK];
        assert_eq!(aside.read(&mut out).unwrap(), BLOCK);
        assert_eq!(aside.read(&mut out).unwrap(), BLOCK);
        let panic = catch_unwind(AssertUnwindSafe(|| aside.read(&mut out))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"as asked"));
        assert!(aside.read(&mut out).is_err());
    }

    #[test]
    fn no_more_than_a_few_blocks_are_read_ahead_and_nobody_waits_for_the_thread() {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let (done, is_done) = channel::<()>();
        let (reader, _) = counter(0, BLOCK, move || {
            let _ = &done;
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(BLOCK)
        });
        let mut aside = Aside::new(reader);
        let mut out = vec![0; BLOCK];
        for _ in 0..3 {
            assert_eq!(aside.read(&mut out).unwrap(), BLOCK);
        }
        let most = 3 + WAITING + 1;
        while read.load(Ordering::SeqCst) < most {
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(read.load(Ordering::SeqCst), most);
        drop(aside);
        // The reader is dropped, and what it holds: its thread has ended.
        assert!(is_done.recv().is_err());
    }
}
