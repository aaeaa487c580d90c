//! Every conn that has ended, in the order of their first frame, in constant memory.
//!
//! Summaries are packed as they end. What does not fit the buffer is sorted and written to an anonymous temporary file,
//! one run after the other; reading merges the runs. A capture of some ten thousand conns never touches the disk.

mod pack;

use crate::model::{ConnId, ConnSummary, Hit};
use crate::run::RunError;
use pack::{Names, ends, pack, unpack};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

/// Octets of packed summaries that are kept in memory; beyond it they go to a temporary file.
const BUFFER: usize = 8 << 20;

/// Octets read at once from all runs together.
const READ_TOTAL: usize = 4 << 20;

/// Octets read at once from one run: between the two, so that the memory is constant up to a thousand runs.
const READ_LEAST: usize = 4 << 10;
const READ_MOST: usize = 256 << 10;

/// Octets in front of a packed summary in a run: its uid and its length, little endian.
const HEAD: usize = 12;

/// The conns that have ended.
#[derive(Debug, Default)]
pub struct Archive {
    names: Names,
    /// Packed summaries, one after the other.
    packed: Vec<u8>,
    /// Uid, and place in `packed`.
    places: Vec<Place>,
    is_sorted: bool,
    file: Option<File>,
    runs: Vec<Run>,
    conns: u64,
    /// The first failure; told by `read`, since conns end where no error can be told.
    failed: Option<io::Error>,
    /// See `scale`.
    scale: Scale,
}

/// Octets searched: what turns the chance of one position into the number of hits to be expected.
#[derive(Clone, Copy, Debug, Default)]
struct Scale {
    open: u64,
    sealed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    uid: u64,
    start: usize,
    len: usize,
}

/// A sorted part of the file.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u64,
    end: u64,
}

impl Archive {
    /// Keeps a conn.
    pub(super) fn add(&mut self, conn: &ConnSummary) {
        let start = self.packed.len();
        pack(conn, &mut self.names, &mut self.packed);
        self.places.push(Place { uid: conn.record.uid.0, start, len: self.packed.len() - start });
        self.is_sorted = false;
        self.conns += 1;
        if self.held() >= BUFFER
            && let Err(error) = self.spill()
        {
            self.failed.get_or_insert(error);
            self.packed.clear();
            self.places.clear();
        }
    }

    /// Tells how many octets were searched behind the sealing of ciphertext, and everywhere else. Until then the chance of
    /// a hit is that of one position.
    pub(super) fn scale(&mut self, open: u64, sealed: u64) {
        self.scale = Scale { open, sealed };
    }

    /// Conns kept.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.conns
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conns == 0
    }

    /// Hands every conn to `take`, in the order of their first frame, until it fails. May be repeated.
    ///
    /// # Errors
    /// `RunError::Archive` where the temporary file could not be written or read; else what `take` gives.
    pub fn read<E: From<RunError>>(
        &mut self,
        take: impl FnMut(ConnSummary) -> Result<(), E>,
    ) -> Result<(), E> {
        self.read_those(|_| true, take)
    }

    /// The same for those whose ends are wanted: the others cost little.
    ///
    /// # Errors
    /// As `read`.
    pub(super) fn read_those<E: From<RunError>>(
        &mut self,
        wanted: impl Fn(&ConnId) -> bool,
        mut take: impl FnMut(ConnSummary) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source: io::Error| E::from(RunError::Archive { source });
        if let Some(error) = &self.failed {
            return Err(failed(io::Error::new(error.kind(), error.to_string())));
        }
        self.sort();
        let share = READ_TOTAL / self.runs.len().max(1);
        let room = share.clamp(READ_LEAST, READ_MOST);
        let mut readers = Vec::new();
        let mut heap = BinaryHeap::new();
        for run in &self.runs {
            let mut reader = Reader { at: run.start, end: run.end, room, ..Reader::default() };
            if let (Some(file), Ok(index)) = (&mut self.file, u32::try_from(readers.len()))
                && let Some(uid) = reader.advance(file).map_err(failed)?
            {
                heap.push(Reverse((uid, index)));
            }
            readers.push(reader);
        }
        let mut places = self.places.iter().peekable();
        loop {
            let on_disk = heap.peek().map(|Reverse((uid, _))| *uid);
            let conn = match (on_disk, places.peek()) {
                (None, None) => return Ok(()),
                (Some(uid), place) if place.is_none_or(|place| uid < place.uid) => {
                    let Some(Reverse((_, index))) = heap.pop() else { return Ok(()) };
                    let Some(reader) = readers.get_mut(index as usize) else { return Ok(()) };
                    let conn = unpack_wanted(reader.body(), &self.names, &wanted);
                    if let Some(file) = &mut self.file
                        && let Some(uid) = reader.advance(file).map_err(failed)?
                    {
                        heap.push(Reverse((uid, index)));
                    }
                    conn
                }
                _ => {
                    let Some(place) = places.next() else { return Ok(()) };
                    let bytes = self.packed.get(place.start..place.start + place.len);
                    unpack_wanted(bytes.unwrap_or_default(), &self.names, &wanted)
                }
            };
            let conn = conn.map_err(failed)?;
            let Some(mut conn) = conn else { continue };
            for hit in &mut conn.hits {
                self.scale.apply(hit);
            }
            take(conn)?;
        }
    }

    fn held(&self) -> usize {
        self.packed.len() + self.places.len() * size_of::<Place>()
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            self.places.sort_unstable_by_key(|place| place.uid);
            self.is_sorted = true;
        }
    }

    /// Writes what is held in memory to the file, as a run.
    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let file = match &mut self.file {
            Some(file) => file,
            // Has no name, is readable by nobody else, and goes away with the process: it holds what was read.
            None => self.file.insert(tempfile::tempfile()?),
        };
        let start = file.seek(SeekFrom::End(0))?;
        let mut end = start;
        let mut out = io::BufWriter::with_capacity(READ_MOST, file);
        for place in &self.places {
            let bytes = self.packed.get(place.start..place.start + place.len).unwrap_or_default();
            let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            out.write_all(&place.uid.to_le_bytes())?;
            out.write_all(&len.to_le_bytes())?;
            out.write_all(bytes)?;
            end += (HEAD + bytes.len()) as u64;
        }
        out.flush()?;
        drop(out);
        self.runs.push(Run { start, end });
        self.packed.clear();
        self.places.clear();
        Ok(())
    }
}

/// The summary, if its ends are wanted.
fn unpack_wanted(
    bytes: &[u8],
    names: &Names,
    wanted: &impl Fn(&ConnId) -> bool,
) -> io::Result<Option<ConnSummary>> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let id = ends(bytes, names).ok_or_else(damaged)?;
    if wanted(&id) { unpack(bytes, names).ok_or_else(damaged).map(Some) } else { Ok(None) }
}

impl Scale {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn apply(self, hit: &mut Hit) {
        let searched = if hit.in_ciphertext { self.sealed } else { self.open };
        hit.chance = hit.chance.map(|position| position * searched as f64);
    }
}

/// Reads one run.
#[derive(Default)]
struct Reader {
    at: u64,
    end: u64,
    room: usize,
    buffer: Vec<u8>,
    /// Where the next summary begins in `buffer`.
    next: usize,
    /// The body of the summary at hand.
    body: (usize, usize),
}

impl Reader {
    /// Goes to the next summary; gives its uid.
    fn advance(&mut self, file: &mut File) -> io::Result<Option<u64>> {
        if self.next == self.buffer.len() && self.at == self.end {
            return Ok(None);
        }
        self.fill(file, HEAD)?;
        let head = self.buffer.get(self.next..self.next + HEAD).unwrap_or_default();
        let Some((uid, len)) = head.split_first_chunk::<8>() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let uid = u64::from_le_bytes(*uid);
        let len = u32::from_le_bytes(len.try_into().map_err(io::Error::other)?) as usize;
        self.fill(file, HEAD + len)?;
        self.body = (self.next + HEAD, self.next + HEAD + len);
        self.next = self.body.1;
        Ok(Some(uid))
    }

    fn body(&self) -> &[u8] {
        self.buffer.get(self.body.0..self.body.1).unwrap_or_default()
    }

    /// Has at least `need` octets from `next` on in the buffer.
    fn fill(&mut self, file: &mut File, need: usize) -> io::Result<()> {
        if self.buffer.len() - self.next >= need {
            return Ok(());
        }
        self.buffer.drain(..self.next);
        self.next = 0;
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let more = need.max(self.room).saturating_sub(self.buffer.len()).min(left);
        let had = self.buffer.len();
        self.buffer.resize(had + more, 0);
        file.seek(SeekFrom::Start(self.at))?;
        file.read_exact(self.buffer.get_mut(had..).unwrap_or_default())?;
        self.at += more as u64;
        if self.buffer.len() < need {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Agreement, Basis, Carriage, Class, ConnRecord, Direction, Encoding, Endpoint, Excerpt,
        Field, FrameRef, FrameSpan, Layer, Proto, Rule, Timestamp, Uid,
    };

    fn conn(uid: u64) -> ConnSummary {
        let at = FrameRef { number: uid * 3, time: Timestamp::from_nanos(-5 + uid.cast_signed()) };
        let end = |ip: &str, port| Endpoint { ip: ip.parse().unwrap(), port };
        ConnSummary {
            record: ConnRecord {
                uid: Uid(uid),
                id: ConnId {
                    orig: end("10.0.0.1", 1024),
                    resp: end("2001:db8::1", 110),
                    proto: Proto::TCP,
                },
                first: at,
                end: Timestamp::from_nanos(i64::MAX),
                frames: 7,
                bytes: [1, u64::MAX],
                missed_bytes: [2, 3],
                conflict_bytes: [4, 5],
                midstream: uid.is_multiple_of(2),
                evicted: uid.is_multiple_of(3),
                history: "ShADadFf".to_owned(),
                interfaces: vec![0, 70_000],
                carriage: uid.is_multiple_of(2).then(|| {
                    Box::new(Carriage {
                        layers: [Layer::plain("gre"), Layer::numbered("vxlan", u32::MAX)].into(),
                        outer: [(end("10.9.0.1", 0).ip, end("2001:db8::9", 0).ip)].into(),
                    })
                }),
            },
            dialect: (uid.is_multiple_of(2)).then_some("pop3"),
            class: Class::Upgraded,
            basis: Basis::Readable,
            agreement: (uid.is_multiple_of(5)).then(|| Agreement {
                version: "TLS 1.3".to_owned(),
                kex: "x25519".to_owned(),
                cipher: ["a".to_owned(), "b".to_owned()],
                mac: [String::new(), "c".to_owned()],
                real: true,
                weak: vec!["RC4".to_owned()],
            }),
            sealed_bytes: [6, 7],
            missed_in_clear: [8, 9],
            conflict_in_clear: [10, 11],
            unread_preamble: 12,
            unread_bodies: 13,
            stopped_bodies: 14,
            sealed_turns: 13,
            hits: vec![Hit {
                uid: Some(Uid(uid)),
                rule: Rule::Credential,
                field: Some(Field::USERNAME),
                label: Some("label".to_owned()),
                value: b"chris\xff".to_vec(),
                value_len: 600,
                dialect: Some("pop3"),
                dir: Some(Direction::RespToOrig),
                offset: 5,
                frames: FrameSpan { first: at, last: at.number + 1 },
                encoding: Encoding::Dialect,
                excerpt: Excerpt { bytes: vec![1; 100], start: 3, len: 4 },
                chance: Some(0.25),
                in_ciphertext: uid % 2 == 1,
                out_of_stream: true,
            }],
            hits_omitted: 14,
            is_control: true,
            remarks: vec!["remark".to_owned()],
        }
    }

    fn all(archive: &mut Archive) -> Vec<ConnSummary> {
        let mut found = Vec::new();
        archive
            .read(|conn| {
                found.push(conn);
                Ok::<_, RunError>(())
            })
            .unwrap();
        found
    }

    #[test]
    fn a_summary_comes_back_as_it_was() {
        for uid in 0..30 {
            let mut archive = Archive::default();
            archive.add(&conn(uid));
            archive.scale(1, 1);
            assert_eq!(format!("{:?}", all(&mut archive)), format!("{:?}", vec![conn(uid)]));
            let hits = all(&mut archive).remove(0).hits;
            assert_eq!(hits, conn(uid).hits, "Debug leaves values out");
        }
    }

    #[test]
    fn conns_come_in_the_order_of_their_uid_from_memory_and_disk() {
        const CONNS: u64 = 100_000;
        let mut archive = Archive::default();
        // 7919 is prime to CONNS: every uid once, far from sorted.
        for n in 0..CONNS {
            archive.add(&conn(n * 7919 % CONNS));
            assert!(archive.held() < BUFFER + 4096, "{} octets in memory", archive.held());
        }
        assert!(archive.runs.len() > 2 && !archive.places.is_empty(), "{}", archive.runs.len());
        archive.scale(4, 8);
        for _ in 0..2 {
            let mut next = 0;
            let read = archive.read(|found| {
                assert_eq!(found.record.uid.0, next);
                let expected = if next % 2 == 1 { 2.0 } else { 1.0 };
                assert_eq!(found.hits[0].chance, Some(expected), "scaled by where it lies");
                next += 1;
                Ok::<_, RunError>(())
            });
            read.unwrap();
            assert_eq!((next, archive.len()), (CONNS, CONNS));
        }
    }

    #[test]
    fn those_whose_ends_are_wanted_are_read_alone() {
        let mut archive = Archive::default();
        (0..9).for_each(|uid| archive.add(&conn(uid)));
        let (asked, mut read) = (std::cell::Cell::new(0_u32), Vec::new());
        let third = |id: &ConnId| {
            assert_eq!(*id, conn(0).record.id);
            asked.set(asked.get() + 1);
            asked.get() % 3 == 0
        };
        let take = |conn: ConnSummary| {
            read.push(conn.record.uid.0);
            Ok::<_, RunError>(())
        };
        archive.read_those(third, take).unwrap();
        assert_eq!((asked.get(), read), (9, vec![2, 5, 8]));
    }

    #[test]
    fn a_disk_that_fails_is_told() {
        let mut archive = Archive::default();
        archive.add(&conn(1));
        archive.failed = Some(io::Error::from(io::ErrorKind::StorageFull));
        let error = archive.read(|_| Ok::<_, RunError>(())).unwrap_err();
        assert!(matches!(error, RunError::Archive { .. }), "{error}");
    }
}
