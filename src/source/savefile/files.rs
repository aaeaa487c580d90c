//! Several capture files as one capture.

use super::Savefile;
use crate::model::{Frame, InterfaceRecord, LinkType};
use crate::source::{Losses, Next, Source, SourceError, Tally};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Files that are read one after the other; frame numbers and interface ids go on from file to file.
pub struct Files {
    current: Savefile,
    left: VecDeque<PathBuf>,
    /// What the files before the current one had.
    past: Past,
}

#[derive(Default)]
struct Past {
    files: u64,
    frames: u64,
    interfaces: Vec<InterfaceRecord>,
    drops: Tally,
    interface_drops: Tally,
    channel_dropped: u64,
    cuts: Vec<String>,
    head: Option<String>,
    any_own: bool,
    all_closed: bool,
}

impl Files {
    /// Checks that every file is there and begins like a capture, and opens the first; `-` is standard input.
    ///
    /// Pipes and standard input are not looked into before they are reached.
    ///
    /// # Errors
    /// When one of them is missing, cannot be read, or is no capture.
    pub fn open(paths: &[PathBuf]) -> Result<Self, SourceError> {
        if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(SourceError::StdinTwice);
        }
        let mut left: VecDeque<PathBuf> = paths.iter().cloned().collect();
        let first = left.pop_front().ok_or(SourceError::NoFiles)?;
        for path in &left {
            check(path)?;
        }
        Ok(Self {
            current: open(&first)?,
            left,
            past: Past { all_closed: true, ..Past::default() },
        })
    }

    /// What tunnelcheck wrote at the start of the first file, where that is its own recording.
    pub fn head_annotation(&self) -> Option<&str> {
        if self.past.files == 0 {
            self.current.head_annotation()
        } else {
            self.past.head.as_deref()
        }
    }

    /// What tunnelcheck wrote at the end of the last file, where that is its own recording; known once
    /// `Next::End` was reached.
    pub fn tail_annotation(&self) -> Option<&str> {
        self.current.tail_annotation().filter(|_| self.left.is_empty())
    }

    /// Whether tunnelcheck recorded any of the files reached so far: the control and the end that its recordings promise
    /// are then asked for. A file of somebody else beside an unfinished one must not excuse it.
    pub fn is_own(&self) -> bool {
        self.past.any_own || self.current.is_own()
    }

    /// Whether tunnelcheck recorded every file and closed each in good order; known once `Next::End` was reached.
    pub fn is_closed(&self) -> bool {
        self.past.all_closed && self.left.is_empty() && self.current.is_closed()
    }

    /// Steps to the next frame of any file; false at the end of the last.
    fn advance(&mut self) -> Result<bool, SourceError> {
        loop {
            if self.current.advance()? {
                return Ok(true);
            }
            let Some(path) = self.left.pop_front() else { return Ok(false) };
            let next = open(&path)?;
            let done = std::mem::replace(&mut self.current, next);
            self.past.add(&done);
        }
    }

    fn frame(&self) -> Option<Frame<'_>> {
        let frame = self.current.frame()?;
        let before = u32::try_from(self.past.interfaces.len()).unwrap_or(u32::MAX);
        Some(Frame {
            number: self.past.frames.saturating_add(frame.number),
            interface_id: frame.interface_id.saturating_add(before),
            ..frame
        })
    }
}

impl Past {
    fn add(&mut self, file: &Savefile) {
        if self.files == 0 {
            self.head = file.head_annotation().map(ToOwned::to_owned);
        }
        self.files = self.files.saturating_add(1);
        self.frames = self.frames.saturating_add(file.frames);
        self.interfaces.extend_from_slice(file.interface_records());
        let (drops, interface_drops) = file.tallies();
        self.drops.join(drops);
        self.interface_drops.join(interface_drops);
        self.channel_dropped = self.channel_dropped.saturating_add(file.channel_dropped());
        self.cuts.extend(file.cuts());
        self.any_own |= file.is_own();
        self.all_closed &= file.is_closed();
    }
}

impl Source for Files {
    fn next(&mut self) -> Result<Next<'_>, SourceError> {
        self.advance()?;
        Ok(self.frame().map_or(Next::End, Next::Frame))
    }

    fn ahead(&self, most: usize, see: &mut dyn FnMut(LinkType, &[u8])) {
        self.current.ahead(most, see);
    }

    fn losses(&self) -> Losses {
        let (mut drops, mut interface_drops) = self.current.tallies();
        drops.join(self.past.drops);
        interface_drops.join(self.past.interface_drops);
        let mut inputs_cut = self.past.cuts.clone();
        inputs_cut.extend(self.current.cuts());
        Losses {
            drops: drops.drops(),
            interface_drops: interface_drops.drops(),
            channel_dropped: self
                .past
                .channel_dropped
                .saturating_add(self.current.channel_dropped()),
            inputs_cut,
        }
    }

    fn interfaces(&self) -> Vec<InterfaceRecord> {
        let mut all = self.past.interfaces.clone();
        all.extend_from_slice(self.current.interface_records());
        all
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Whether a capture can be read several times at little cost: it is a plain file that is not compressed.
pub fn is_cheap_to_read(path: &Path) -> bool {
    let is_plain = !is_stdin(path) && std::fs::metadata(path).is_ok_and(|found| found.is_file());
    is_plain && open(path).is_ok_and(|file| !file.is_packed())
}

/// Checks a file that is read later. A pipe is left alone: what is read from it to look is lost.
fn check(path: &Path) -> Result<(), SourceError> {
    if is_stdin(path) {
        return Ok(());
    }
    let found = std::fs::metadata(path).map_err(|source| cannot_open(path, source))?;
    if found.is_file() || found.is_dir() { open(path).map(drop) } else { Ok(()) }
}

fn open(path: &Path) -> Result<Savefile, SourceError> {
    if is_stdin(path) {
        return Savefile::open(Box::new(io::stdin()), "standard input");
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| cannot_open(path, source))?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err(SourceError::Folder { name });
    }
    let reader: Box<dyn Read + Send> = Box::new(file);
    Savefile::open(reader, &name)
}

fn cannot_open(path: &Path, source: io::Error) -> SourceError {
    SourceError::Open { name: path.display().to_string(), source }
}
