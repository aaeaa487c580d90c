//! Threads that read one recording together: each reads all of it, and keeps the conns of its shares.

use crate::model::Identifier;
use crate::run::RunError;
use crate::run::pipeline::{Analysis, Closed, Pipeline, SHARES, Search, join, read_all};
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

/// Reads the files to their end with so many threads, this one among them; gives what was found for each search. `files` are
/// those that `source` was opened with, and nothing of it was read yet.
///
/// # Errors
/// `RunError::Source`, `RunError::Inspect`, `RunError::Archive`; `RunError::Thread` where one panicked; `RunError::Changed`
/// where the threads did not all read the same.
pub(super) fn read(
    source: &mut Files,
    files: &[PathBuf],
    searches: &[Search<'_>],
    threads: usize,
) -> Result<Vec<Analysis>, RunError> {
    // A list of pipelines for each thread, one a search.
    let mut walkers: Vec<Vec<Pipeline>> = (0..threads).map(|_| Vec::new()).collect();
    for search in searches {
        let pipelines = Pipeline::recorded(*search, threads)?;
        for (walker, pipeline) in walkers.iter_mut().zip(pipelines) {
            walker.push(pipeline);
        }
    }
    let own = walkers.pop().unwrap_or_default();
    let closed = std::thread::scope(|scope| {
        let mut handles = Vec::new();
        for walker in walkers {
            let walk = move || walk(&mut Files::open(files)?, walker);
            let thread = std::thread::Builder::new().name("walker".to_owned());
            let handle = thread.spawn_scoped(scope, walk);
            handles.push(handle.map_err(|_| RunError::Thread { thread: "walker" })?);
        }
        let mut all = vec![walk(source, own)];
        for handle in handles {
            all.push(handle.join().map_err(|_| RunError::Thread { thread: "walker" })?);
        }
        all.into_iter().collect::<Result<Vec<_>, RunError>>()
    })?;
    let losses = source.losses();
    let mut found: Vec<Vec<Closed>> = searches.iter().map(|_| Vec::new()).collect();
    for walker in closed {
        for (all, one) in found.iter_mut().zip(walker) {
            all.push(one);
        }
    }
    found.into_iter().map(|all| join(all, &losses)).collect()
}

/// One thread's way through the files.
fn walk(source: &mut Files, mut pipelines: Vec<Pipeline>) -> Result<Vec<Closed>, RunError> {
    read_all(source, &mut pipelines)?;
    Ok(pipelines.into_iter().map(Pipeline::close).collect())
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
    let found = read(&mut source, files, &[search], threads)?;
    found.into_iter().next().ok_or(RunError::Thread { thread: "walker" })
}
