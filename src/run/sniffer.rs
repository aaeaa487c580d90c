//! The capture of a live run: the analysis thread, what it tells while it looks, and the recording.

use crate::inspect::News;
use crate::machine::Scout;
use crate::model::InterfaceRecord;
use crate::run::RunError;
use crate::run::annotation::{Head, Tail};
use crate::run::control::Control;
use crate::run::live::Watch;
use crate::run::pipeline::Pipeline;
use crate::source::{Capture, Live, LiveOptions, Losses, Next, Recorder, Source as _, Stopper};
use crate::target::Plan;
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
    stopper: Stopper,
    /// Frames seen so far.
    pub(super) frames: Arc<AtomicU64>,
    /// Octets seen so far.
    pub(super) bytes: Arc<AtomicU64>,
    news: Receiver<News>,
    analysis: JoinHandle<Result<Seen, RunError>>,
}

/// What the analysis thread hands back.
pub(super) struct Seen {
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) losses: Losses,
    pub(super) losses_each: Vec<Losses>,
    pub(super) interfaces: Vec<InterfaceRecord>,
    pub(super) recorder: Option<Recorder<BufWriter<File>>>,
}

impl Sniffer {
    /// Opens the interfaces and begins to look.
    pub(super) fn start(
        plans: &[Plan],
        chosen: &[String],
        watch: &Watch,
        control: &Control,
        scout: Option<Scout>,
    ) -> Result<Self, RunError> {
        let mut lives = Vec::new();
        for name in chosen {
            let mut options = LiveOptions::new(name);
            if let Some(bytes) = watch.buffer_bytes {
                options.buffer_bytes = bytes;
            }
            lives.push(Live::open(&options)?);
        }
        let tokens = control.texts();
        let mut pipelines = Vec::new();
        for plan in plans {
            pipelines.push(Pipeline::new(&plan.target.identifiers, &tokens)?);
        }
        let capture = Capture::start(lives)?;
        let recorder = match &watch.record {
            Some(path) => Some(open_recording(path, &capture.interfaces(), control)?),
            None => None,
        };
        let stopper = capture.stopper();
        let (frames, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (sender, news) = channel();
        let counters = (Arc::clone(&frames), Arc::clone(&bytes));
        let analysis = std::thread::Builder::new()
            .name("analysis".to_owned())
            .spawn(move || look(capture, pipelines, recorder, scout.as_ref(), &counters, &sender))
            .map_err(|_| RunError::Thread { thread: "analysis" })?;
        Ok(Self { names: chosen.to_vec(), stopper, frames, bytes, news, analysis })
    }

    /// What became known, waiting for it no longer than `patience`.
    pub(super) fn news(&self, patience: Duration) -> Vec<News> {
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

/// The analysis thread: every frame to the recorder and to each pipeline.
fn look(
    mut capture: Capture,
    mut pipelines: Vec<Pipeline>,
    mut recorder: Option<Recorder<BufWriter<File>>>,
    scout: Option<&Scout>,
    (frames, bytes): &(Arc<AtomicU64>, Arc<AtomicU64>),
    news: &Sender<News>,
) -> Result<Seen, RunError> {
    loop {
        match capture.next()? {
            Next::Frame(frame) => {
                if let Some(recorder) = &mut recorder {
                    recorder.write(&frame)?;
                }
                for pipeline in &mut pipelines {
                    pipeline.frame(&frame);
                }
                frames.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(u64::from(frame.len), Ordering::Relaxed);
            }
            Next::Idle => {}
            Next::End => break,
        }
        // Every target's pipeline sees the same conns: one of them tells.
        for (index, pipeline) in pipelines.iter_mut().enumerate() {
            for item in pipeline.drain_news() {
                if let (0, Some(scout), News::Opened { id, .. }) = (index, scout, &item) {
                    scout.opened(id);
                }
                if index == 0 || matches!(item, News::Found(_)) {
                    // Nobody listens any more once the window is closed.
                    let _ = news.send(item);
                }
            }
        }
    }
    let interfaces = capture.interfaces();
    Ok(Seen {
        pipelines,
        losses: capture.losses(),
        losses_each: capture.interface_losses(),
        interfaces,
        recorder,
    })
}

fn open_recording(
    path: &Path,
    interfaces: &[InterfaceRecord],
    control: &Control,
) -> Result<Recorder<BufWriter<File>>, RunError> {
    let file = create_private(path).map_err(|source| RunError::File {
        action: "create",
        path: path.to_owned(),
        source,
    })?;
    let head = to_json(&Head::new(control.record()));
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
