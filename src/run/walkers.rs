//! Threads that read one recording together: each reads all of it, and keeps the conns of its shares.

use crate::model::Identifier;
use crate::run::RunError;
use crate::run::join::Lanes;
use crate::run::pipeline::{Analysis, Closed, Pipeline, SHARES, Search, read_all, unite_all};
use crate::source::{Files, Source as _, is_cheap_to_read};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Octets of a recording below which one thread reads it: to start others would take longer.
const MIN_OCTETS: u64 = 1 << 20;

/// How many threads read a recording; never more than there are shares of its conns. The answer is the same for any number.
///
/// Standard input, pipes and compressed files are read by one: they can be read once only, or are dear to unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// So many, however small the recording is.
    Exactly(usize),
    /// So many where it is worth it.
    AtMost(usize),
}

impl Threads {
    /// How many read these files.
    pub(super) fn reading(self, files: &[PathBuf]) -> usize {
        let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
        let is_large = || files.iter().map(size).sum::<u64>() >= MIN_OCTETS;
        let (threads, is_worth_it) = match self {
            Self::Exactly(threads) => (threads, true),
            Self::AtMost(threads) => (threads, threads > 1 && is_large()),
        };
        let are_cheap = || files.iter().all(|path| is_cheap_to_read(Path::new(path)));
        if threads > 1 && is_worth_it && are_cheap() { threads.min(SHARES) } else { 1 }
    }
}

/// Reads the files to their end with so many threads, this one among them; gives what was found for each search at each vantage.
/// `files` are those that `source` was opened with, and nothing of it was read yet.
///
/// # Errors
/// `RunError::Source`, `RunError::Inspect`, `RunError::Archive`; `RunError::Thread` where one panicked; `RunError::Changed`
/// where the threads did not all read the same.
pub(super) fn read(
    source: &mut Files,
    files: &[PathBuf],
    searches: &[Search<'_>],
    lanes: &Lanes,
    threads: usize,
) -> Result<Vec<Vec<Analysis>>, RunError> {
    // For each thread the pipelines of each search, by vantage.
    let mut walkers: Vec<Vec<Vec<Pipeline>>> = (0..threads).map(|_| Vec::new()).collect();
    for search in searches {
        let pipelines = Pipeline::recorded(*search, lanes.count(), threads)?;
        for (walker, pipelines) in walkers.iter_mut().zip(pipelines) {
            walker.push(pipelines);
        }
    }
    let own = walkers.pop().unwrap_or_default();
    let closed = std::thread::scope(|scope| {
        let mut handles = Vec::new();
        for walker in walkers {
            let walk = move || walk(&mut Files::open(files)?, lanes, walker);
            let thread = std::thread::Builder::new().name("walker".to_owned());
            let handle = thread.spawn_scoped(scope, walk);
            handles.push(handle.map_err(|_| RunError::Thread { thread: "walker" })?);
        }
        let mut all = vec![walk(source, lanes, own)];
        for handle in handles {
            all.push(handle.join().map_err(|_| RunError::Thread { thread: "walker" })?);
        }
        all.into_iter().collect::<Result<Vec<_>, RunError>>()
    })?;
    let losses = source.losses();
    let none = || (0..lanes.count()).map(|_| Vec::new()).collect();
    let mut found: Vec<Vec<Vec<Closed>>> = searches.iter().map(|_| none()).collect();
    for walker in closed {
        for (search, closed) in found.iter_mut().zip(walker) {
            for (lane, closed) in search.iter_mut().zip(closed) {
                lane.push(closed);
            }
        }
    }
    found.into_iter().map(|search| unite_all(search, &losses)).collect()
}

/// One thread's way through the files.
fn walk(
    source: &mut Files,
    lanes: &Lanes,
    mut pipelines: Vec<Vec<Pipeline>>,
) -> Result<Vec<Vec<Closed>>, RunError> {
    read_all(source, lanes, &mut pipelines)?;
    let closed = |of: Vec<Pipeline>| of.into_iter().map(Pipeline::close).collect();
    Ok(pipelines.into_iter().map(closed).collect())
}

/// Reads captures, taken as one, and lists their conns; for nobody's hosts: it keeps no answered names.
///
/// # Errors
/// As `judge_recording`.
pub fn analyze_files(
    files: &[PathBuf],
    identifiers: &[Identifier],
    threads: Threads,
) -> Result<Analysis, RunError> {
    let hosts = BTreeSet::new();
    let search = Search { identifiers, tokens: &[], hosts: &hosts };
    match analyze_with(files, search, threads.reading(files)) {
        Err(RunError::Changed) => analyze_with(files, search, 1),
        read => read,
    }
}

fn analyze_with(
    files: &[PathBuf],
    search: Search<'_>,
    threads: usize,
) -> Result<Analysis, RunError> {
    let mut source = Files::open(files)?;
    let found = read(&mut source, files, &[search], &Lanes::default(), threads)?;
    found.into_iter().flatten().next().ok_or(RunError::Thread { thread: "walker" })
}
