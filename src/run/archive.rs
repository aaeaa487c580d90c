//! Every conn that has ended, in the order of their first frame, in constant memory.
//!
//! Summaries are packed as they end. What does not fit the buffer is sorted and written to an anonymous temporary file,
//! one run after the other; reading merges the runs. A capture of some ten thousand conns never touches the disk.

mod pack;

use crate::model::{ConnId, ConnRecord, ConnSummary, Hit, Uid};
use crate::run::RunError;
use pack::{Names, Unpacked, ends, pack};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

/// Octets of packed summaries that are kept in memory; beyond it they go to a temporary file.
const BUFFER: usize = 6 << 20;

/// Octets read at once from all runs together.
const READ_TOTAL: usize = 4 << 20;

/// Octets read at once from one run: between the two, so that the memory is constant up to a thousand runs.
const READ_LEAST: usize = 4 << 10;
const READ_MOST: usize = 256 << 10;

/// Octets in front of a packed summary in a run: its uid and its length, little endian.
const HEAD: usize = 12;

/// The conns that have ended: one shelf for each share of them.
#[derive(Debug, Default)]
pub struct Archive {
    shelves: Vec<Shelf>,
    /// See `scale`.
    scale: Scale,
}

/// The conns of one share that have ended. Their uids are in the order of their first frames among all shares, and need not
/// follow each other closely: an archive counts them anew.
#[derive(Debug)]
pub(super) struct Shelf {
    names: Names,
    /// Packed summaries, one after the other.
    packed: Vec<u8>,
    /// Uid, and place in `packed`.
    places: Vec<Place>,
    is_sorted: bool,
    file: Option<File>,
    runs: Vec<Run>,
    conns: u64,
    /// Octets that `packed` and `places` may take.
    room: usize,
    /// The first failure; told by `read`, since conns end where no error can be told.
    failed: Option<io::Error>,
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
    /// An archive of these shelves.
    pub(super) fn of(shelves: Vec<Shelf>) -> Self {
        Self { shelves, scale: Scale::default() }
    }

    /// Tells how many octets were searched behind the sealing of ciphertext, and everywhere else. Until then the chance of
    /// a hit is that of one position.
    pub(super) fn scale(&mut self, open: u64, sealed: u64) {
        self.scale = Scale { open, sealed };
    }

    /// Conns kept.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shelves.iter().map(|shelf| shelf.conns).sum()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows every conn to `take`, in the order of their first frame, until it fails. May be repeated. What is shown is
    /// overwritten by the next one.
    ///
    /// # Errors
    /// `RunError::Archive` where the temporary file could not be written or read; else what `take` gives.
    pub fn read<E: From<RunError>>(
        &mut self,
        mut take: impl FnMut(&mut ConnSummary) -> Result<(), E>,
    ) -> Result<(), E> {
        let scale = self.scale;
        let mut unpacked = Unpacked::default();
        self.walk(|_, uid, bytes, names| {
            let conn = unpacked.read(bytes, names).ok_or_else(damaged)?;
            conn.record.uid = uid;
            for hit in &mut conn.hits {
                scale.apply(hit);
                hit.uid = hit.uid.map(|_| uid);
            }
            take(conn)
        })
    }

    /// The same for what flow knew of those conns whose ends are wanted: the others cost little.
    ///
    /// # Errors
    /// As `read`.
    pub(super) fn read_those<E: From<RunError>>(
        &mut self,
        wanted: impl Fn(&ConnId) -> bool,
        mut take: impl FnMut(&mut ConnRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut unpacked = Unpacked::default();
        self.walk(|_, uid, bytes, names| {
            if !wanted(&ends(bytes, names).ok_or_else(damaged)?) {
                return Ok(());
            }
            let record = unpacked.read_record(bytes, names).ok_or_else(damaged)?;
            record.uid = uid;
            take(record)
        })
    }

    /// The uids that `read` gives for those that the conns were filed with.
    ///
    /// # Errors
    /// `RunError::Archive` as `read`.
    pub(super) fn uids(&mut self, filed: &BTreeSet<Uid>) -> Result<BTreeMap<Uid, Uid>, RunError> {
        let mut known = BTreeMap::new();
        if !filed.is_empty() {
            self.walk(|old, new, _, _| {
                if filed.contains(&old) {
                    known.insert(old, new);
                }
                Ok::<_, RunError>(())
            })?;
        }
        Ok(known)
    }

    /// Shows every conn, in the order of their first frame: the uid with which it was filed, the one that it has, and what is
    /// to be unpacked with which names.
    fn walk<E: From<RunError>>(
        &mut self,
        mut show: impl FnMut(Uid, Uid, &[u8], &Names) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source: io::Error| E::from(RunError::Archive { source });
        let runs: usize = self.shelves.iter().map(|shelf| shelf.runs.len()).sum();
        let room = (READ_TOTAL / runs.max(1)).clamp(READ_LEAST, READ_MOST);
        let mut cursors = Vec::new();
        let mut heap = BinaryHeap::new();
        for (index, shelf) in self.shelves.iter_mut().enumerate() {
            let cursor = Cursor::new(shelf, room).map_err(failed)?;
            if let Some(uid) = cursor.uid() {
                heap.push(Reverse((uid, index)));
            }
            cursors.push(cursor);
        }
        let mut count = 0;
        while let Some(Reverse((uid, index))) = heap.pop() {
            let Some(cursor) = cursors.get_mut(index) else { continue };
            count += 1;
            let (bytes, names) = cursor.conn();
            show(Uid(uid), Uid(count), bytes, names)?;
            cursor.advance().map_err(failed)?;
            if let Some(uid) = cursor.uid() {
                heap.push(Reverse((uid, index)));
            }
        }
        Ok(())
    }
}

/// Goes through the conns of one shelf in order.
struct Cursor<'s> {
    names: &'s Names,
    packed: &'s [u8],
    places: &'s [Place],
    file: Option<&'s mut File>,
    readers: Vec<Reader>,
    /// The next uid of each run that has one.
    heap: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<'s> Cursor<'s> {
    fn new(shelf: &'s mut Shelf, room: usize) -> io::Result<Self> {
        if let Some(error) = &shelf.failed {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        shelf.sort();
        let Shelf { names, packed, places, file, runs, .. } = shelf;
        let (mut readers, mut heap) = (Vec::new(), BinaryHeap::new());
        let mut file = file.as_mut();
        for (index, run) in runs.iter().enumerate() {
            let mut reader = Reader { at: run.start, end: run.end, room, ..Reader::default() };
            if let Some(file) = &mut file
                && let Some(uid) = reader.advance(file)?
            {
                heap.push(Reverse((uid, index)));
            }
            readers.push(reader);
        }
        Ok(Self { names, packed, places, file, readers, heap })
    }

    /// The run that holds the next conn; none where it is in memory.
    fn run(&self) -> Option<usize> {
        let Reverse((uid, run)) = self.heap.peek()?;
        self.places.first().is_none_or(|place| *uid < place.uid).then_some(*run)
    }

    /// The uid of the next conn.
    fn uid(&self) -> Option<u64> {
        let on_disk = self.heap.peek().map(|Reverse((uid, _))| *uid);
        let in_memory = self.places.first().map(|place| place.uid);
        match (on_disk, in_memory) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// The next conn, as it is packed.
    fn conn(&self) -> (&[u8], &Names) {
        let bytes = match self.run().and_then(|run| self.readers.get(run)) {
            Some(reader) => reader.body(),
            None => self
                .places
                .first()
                .and_then(|place| self.packed.get(place.start..place.start + place.len))
                .unwrap_or_default(),
        };
        (bytes, self.names)
    }

    fn advance(&mut self) -> io::Result<()> {
        let Some(run) = self.run() else {
            self.places = self.places.get(1..).unwrap_or_default();
            return Ok(());
        };
        self.heap.pop();
        if let (Some(reader), Some(file)) = (self.readers.get_mut(run), &mut self.file)
            && let Some(uid) = reader.advance(file)?
        {
            self.heap.push(Reverse((uid, run)));
        }
        Ok(())
    }
}

impl Shelf {
    /// One of so many shelves.
    pub(super) fn share(shelves: usize) -> Self {
        Self {
            names: Names::default(),
            packed: Vec::new(),
            places: Vec::new(),
            is_sorted: false,
            file: None,
            runs: Vec::new(),
            conns: 0,
            room: BUFFER / shelves.max(1),
            failed: None,
        }
    }

    /// Keeps a conn.
    pub(super) fn add(&mut self, conn: &ConnSummary) {
        let start = self.packed.len();
        pack(conn, &mut self.names, &mut self.packed);
        self.places.push(Place { uid: conn.record.uid.0, start, len: self.packed.len() - start });
        self.is_sorted = false;
        self.conns += 1;
        if self.held() >= self.room
            && let Err(error) = self.spill()
        {
            self.failed.get_or_insert(error);
            self.packed.clear();
            self.places.clear();
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

fn damaged() -> RunError {
    RunError::Archive { source: io::ErrorKind::InvalidData.into() }
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
        Agreement, Basis, Carriage, Class, Direction, Encoding, Endpoint, Excerpt, Field, FrameRef,
        FrameSpan, Layer, Proto, Rule, Timestamp, Uid,
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
                found.push(conn.clone());
                Ok::<_, RunError>(())
            })
            .unwrap();
        found
    }

    /// An archive of conns on one shelf.
    fn archive(uids: impl Iterator<Item = u64>) -> Archive {
        let mut shelf = Shelf::share(1);
        uids.for_each(|uid| shelf.add(&conn(uid)));
        Archive::of(vec![shelf])
    }

    #[test]
    fn a_summary_comes_back_as_it_was_but_for_its_number() {
        for uid in 1..30 {
            let mut archive = archive(std::iter::once(uid));
            archive.scale(1, 1);
            let mut expected = conn(uid);
            expected.record.uid = Uid(1);
            expected.hits[0].uid = Some(Uid(1));
            let found = all(&mut archive);
            assert_eq!(format!("{found:?}"), format!("{:?}", vec![expected.clone()]));
            assert_eq!(found[0].hits, expected.hits, "Debug leaves values out");
        }
    }

    #[test]
    fn conns_of_all_shelves_come_in_the_order_of_their_uid_from_memory_and_disk() {
        const CONNS: u64 = 100_000;
        const SHELVES: usize = 3;
        let mut shelves: Vec<Shelf> = (0..SHELVES).map(|_| Shelf::share(SHELVES)).collect();
        // 7919 is prime to CONNS: every uid once, far from sorted, and eight in nine numbers are nobody's.
        for n in 0..CONNS {
            let shelf = &mut shelves[usize::try_from(n * n % 3).unwrap()];
            shelf.add(&conn(n * 7919 % CONNS * 9));
            assert!(shelf.held() < BUFFER / SHELVES + 4096, "{} octets in memory", shelf.held());
        }
        for shelf in shelves.iter().filter(|shelf| shelf.conns > 0) {
            let runs = shelf.runs.len();
            assert!(runs > 2 && !shelf.places.is_empty(), "{runs}");
        }
        let mut archive = Archive::of(shelves);
        archive.scale(4, 8);
        for _ in 0..2 {
            let mut count = 0;
            let read = archive.read(|found| {
                assert_eq!(found.record.first, conn(count * 9).record.first);
                let expected = if count % 2 == 1 { 2.0 } else { 1.0 };
                assert_eq!(found.hits[0].chance, Some(expected), "scaled by where it lies");
                count += 1;
                assert_eq!((found.record.uid, found.hits[0].uid), (Uid(count), Some(Uid(count))));
                Ok::<_, RunError>(())
            });
            read.unwrap();
            assert_eq!((count, archive.len()), (CONNS, CONNS));
        }
        let asked = BTreeSet::from([Uid(0), Uid(63), Uid(71), Uid(899_991)]);
        let known = archive.uids(&asked).unwrap();
        let expected = [(Uid(0), Uid(1)), (Uid(63), Uid(8)), (Uid(899_991), Uid(100_000))];
        assert_eq!(known, BTreeMap::from(expected));
    }

    #[test]
    fn those_whose_ends_are_wanted_are_read_alone() {
        let mut archive = archive(0..9);
        let (asked, mut read) = (std::cell::Cell::new(0_u32), Vec::new());
        let third = |id: &ConnId| {
            assert_eq!(*id, conn(0).record.id);
            asked.set(asked.get() + 1);
            asked.get() % 3 == 0
        };
        let take = |record: &mut ConnRecord| {
            read.push(record.uid.0);
            Ok::<_, RunError>(())
        };
        archive.read_those(third, take).unwrap();
        assert_eq!((asked.get(), read), (9, vec![3, 6, 9]));
    }

    #[test]
    fn a_disk_that_fails_is_told() {
        let mut archive = archive(std::iter::once(1));
        archive.shelves[0].failed = Some(io::Error::from(io::ErrorKind::StorageFull));
        let error = archive.read(|_| Ok::<_, RunError>(())).unwrap_err();
        assert!(matches!(error, RunError::Archive { .. }), "{error}");
    }
}
