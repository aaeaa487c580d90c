//! The capture of a live run: the analysis thread, what it tells while it looks, and the recording.

use crate::inspect::News;
use crate::model::InterfaceRecord;
use crate::run::RunError;
use crate::run::annotation::{Head, Tail};
use crate::run::control::Control;
use crate::run::join::Lanes;
use crate::run::live::Watch;
use crate::run::phases::{FrameCounter, Phases};
use crate::run::pipeline::{Pipeline, Search};
use crate::source::{
    Capture, Live, LiveOptions, Losses, Next, Recorder, Source as _, Stopper, Stream,
};
use crate::target::Plan;
use crate::verdict::hosts;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The capture and the threads behind it.
pub(super) struct Sniffer {
    /// The interfaces.
    pub(super) names: Vec<String>,
    /// Which vantage has which interface.
    pub(super) lanes: Lanes,
    stopper: Stopper,
    /// Frames seen so far.
    pub(super) frames: Arc<AtomicU64>,
    /// Octets seen so far.
    pub(super) bytes: Arc<AtomicU64>,
    news: Receiver<(usize, News)>,
    analysis: JoinHandle<Result<Seen, RunError>>,
}

/// What the analysis thread hands back.
pub(super) struct Seen {
    /// Of each plan, by vantage.
    pub(super) pipelines: Vec<Vec<Pipeline>>,
    pub(super) losses_each: Vec<Losses>,
    /// Frames of each interface.
    pub(super) frames_each: Vec<u64>,
    /// Frames of each phase.
    pub(super) frames_by_phase: Vec<u64>,
    pub(super) interfaces: Vec<InterfaceRecord>,
    pub(super) recorder: Option<Recorder<BufWriter<File>>>,
}

impl Sniffer {
    /// Opens the interfaces and begins to look.
    pub(super) fn start(
        plans: &[Plan],
        chosen: &[String],
        streams: Vec<Stream>,
        watch: &Watch,
        control: &Control,
        phases: &Phases,
    ) -> Result<Self, RunError> {
        let mut lives = Vec::new();
        for name in chosen {
            let mut options = LiveOptions::new(name);
            if let Some(bytes) = watch.buffer_bytes {
                options.buffer_bytes = bytes;
            }
            lives.push(Live::open(&options)?);
        }
        let vantages = vantages(lives.len(), streams.len());
        let lanes = Lanes::of(&vantages);
        let tokens = control.texts();
        let mut pipelines = Vec::new();
        for plan in plans {
            let hosts = hosts(&plan.target);
            let search =
                Search { identifiers: &plan.target.identifiers, tokens: &tokens, hosts: &hosts };
            pipelines.push(Pipeline::live(search, lanes.count())?);
        }
        let mut names = chosen.to_vec();
        names.extend(streams.iter().map(|stream| stream.interface().name.clone()));
        let capture = Capture::start_all(lives, streams)?;
        let recorder = match &watch.record {
            Some(path) => Some(open_recording(path, &capture.interfaces(), control, vantages)?),
            None => None,
        };
        let stopper = capture.stopper();
        let (frames, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (sender, news) = channel();
        let look = Look {
            capture,
            pipelines,
            lanes: lanes.clone(),
            recorder,
            counters: (Arc::clone(&frames), Arc::clone(&bytes)),
            by_phase: phases.counter(),
            news: sender,
        };
        let analysis = std::thread::Builder::new()
            .name("analysis".to_owned())
            .spawn(move || look.run())
            .map_err(|_| RunError::Thread { thread: "analysis" })?;
        Ok(Self { names, lanes, stopper, frames, bytes, news, analysis })
    }

    /// What became known, and at which vantage, waiting for it no longer than `patience`.
    pub(super) fn news(&self, patience: Duration) -> Vec<(usize, News)> {
        let first = match self.news.recv_timeout(patience) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return Vec::new(),
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(patience);
                return Vec::new();
            }
        };
        std::iter::once(first).chain(self.news.try_iter()).collect()
    }

    /// Whether the analysis thread has ended before it was told to: an interface went away.
    pub(super) fn has_ended(&self) -> bool {
        self.analysis.is_finished()
    }

    /// Drains what libpcap still holds and ends the threads.
    pub(super) fn stop(self) -> Result<Seen, RunError> {
        self.stopper.stop();
        self.analysis.join().map_err(|_| RunError::Thread { thread: "analysis" })?
    }
}

/// What the analysis thread works with.
struct Look {
    capture: Capture,
    pipelines: Vec<Vec<Pipeline>>,
    lanes: Lanes,
    recorder: Option<Recorder<BufWriter<File>>>,
    counters: (Arc<AtomicU64>, Arc<AtomicU64>),
    by_phase: FrameCounter,
    news: Sender<(usize, News)>,
}

impl Look {
    /// The analysis thread: every frame to the recorder and to each pipeline of its vantage.
    fn run(mut self) -> Result<Seen, RunError> {
        let (frames, bytes) = &self.counters;
        let mut frames_each = vec![0; self.capture.interfaces().len()];
        loop {
            match self.capture.next()? {
                Next::Frame(frame) => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.write(&frame)?;
                    }
                    let lane = self.lanes.lane(frame.interface_id);
                    for pipeline in self.pipelines.iter_mut().filter_map(|of| of.get_mut(lane)) {
                        pipeline.frame(&frame);
                    }
                    self.by_phase.count(frame.time);
                    if let Some(count) = frames_each.get_mut(frame.interface_id as usize) {
                        *count += 1;
                    }
                    frames.fetch_add(1, Ordering::Relaxed);
                    bytes.fetch_add(u64::from(frame.len), Ordering::Relaxed);
                }
                Next::Idle => {}
                Next::End => break,
            }
            // Every target's pipeline sees the same conns: one of them tells.
            for (index, of) in self.pipelines.iter_mut().enumerate() {
                for (lane, pipeline) in of.iter_mut().enumerate() {
                    for item in pipeline.drain_news() {
                        if index == 0 || matches!(item, News::Found(_)) {
                            // Nobody listens any more once the window is closed.
                            let _ = self.news.send((lane, item));
                        }
                    }
                }
            }
        }
        let interfaces = self.capture.interfaces();
        Ok(Seen {
            pipelines: self.pipelines,
            losses_each: self.capture.interface_losses(),
            frames_each,
            frames_by_phase: self.by_phase.counts(),
            interfaces,
            recorder: self.recorder,
        })
    }
}

/// The interfaces of each vantage, this machine's first; none where it is the only one.
fn vantages(own: usize, streams: usize) -> Vec<Vec<u32>> {
    if streams == 0 {
        return Vec::new();
    }
    let id = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    let first: Vec<u32> = (0..own).map(id).collect();
    let others = (own..own + streams).map(|index| vec![id(index)]);
    std::iter::once(first).filter(|first| !first.is_empty()).chain(others).collect()
}

fn open_recording(
    path: &Path,
    interfaces: &[InterfaceRecord],
    control: &Control,
    vantages: Vec<Vec<u32>>,
) -> Result<Recorder<BufWriter<File>>, RunError> {
    let file = create_private(path).map_err(|source| RunError::File {
        action: "create",
        path: path.to_owned(),
        source,
    })?;
    let head = to_json(&Head::new(control.record(), vantages));
    Ok(Recorder::create(BufWriter::new(file), interfaces, &head, APP)?)
}

/// Writes the end of a recording.
pub(super) fn close_recording(
    recorder: Recorder<BufWriter<File>>,
    path: &Path,
    losses: &[Losses],
    tail: &Tail,
) -> Result<(), RunError> {
    let failed = |source| RunError::File { action: "write", path: path.to_owned(), source };
    let file = recorder.finish(losses, &to_json(tail))?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

/// What the recordings name as their writer.
const APP: &str = concat!("tunnelcheck ", env!("CARGO_PKG_VERSION"));

fn to_json(annotation: &impl serde::Serialize) -> String {
    // Strings, numbers and lists of them: nothing in an annotation can fail to be written.
    serde_json::to_string(annotation).unwrap_or_default()
}

/// A recording holds other people's traffic: nobody but its owner may read it.
#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> std::io::Result<File> {
    File::create(path)
}
