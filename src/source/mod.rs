//! Yields frames and admits losses: live capture, capture files, recording.
//!
//! In: an interface, any `Read`. Out: `Frame`s, `Losses`, interfaces, annotations.
//! Never: a look inside a frame, SSH, an async runtime.

#[cfg(feature = "live")]
mod capture;
mod error;
#[cfg(feature = "live")]
mod live;
mod octets;
mod record;
mod savefile;
#[cfg(feature = "live")]
mod stream;

#[cfg(feature = "live")]
pub use capture::{Capture, Stopper, total};
pub use error::SourceError;
#[cfg(feature = "live")]
pub use live::{Interface, Live, LiveOptions, interface_towards, interfaces};
pub use record::Recorder;
pub use savefile::{Files, Savefile, is_cheap_to_read};
#[cfg(feature = "live")]
pub use stream::Stream;

use crate::model::{Drops, Frame, InterfaceRecord, LinkType};

/// What a source has to give.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// The next frame.
    Frame(Frame<'a>),
    /// A live source has nothing right now: the caller may look at its clock.
    Idle,
    /// Nothing will come any more. What was cut or lost is in `Source::losses`.
    End,
}

/// Lends one frame at a time.
pub trait Source: Send {
    /// Returns the next frame; it is lent until the next call.
    ///
    /// # Errors
    /// When the surroundings fail: a file that cannot be read, an interface that went away. Damaged
    /// octets are no error: reading ends there, and `losses` says so.
    fn next(&mut self) -> Result<Next<'_>, SourceError>;

    /// Shows frames that `next` will return, as far as they are at hand already: the nearest first, `most` at the most. None where
    /// the source does not know.
    fn ahead(&self, _most: usize, _see: &mut dyn FnMut(LinkType, &[u8])) {}

    /// What was lost so far, cumulative.
    fn losses(&self) -> Losses;

    /// The interfaces so far; the index is `Frame::interface_id`. A pcapng file may add some at any place.
    fn interfaces(&self) -> Vec<InterfaceRecord>;
}

/// What a source knows to have lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Frames dropped by the kernel (`ps_drop`, `isb_osdrop`). A known count is a lower bound where
    /// only some of the interfaces were counted; no evidence and not all counted is `Unknown`.
    pub drops: Drops,
    /// Frames dropped by the interface (`ps_ifdrop`, `isb_ifdrop`); bounds as for `drops`.
    pub interface_drops: Drops,
    /// Frames dropped by our own queue.
    pub channel_dropped: u64,
    /// Inputs that were not read whole, each with its name, the place and what was missing, in words.
    pub inputs_cut: Vec<String>,
}

/// Drop counters of several interfaces, some of which may have none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    counted: bool,
    uncounted: bool,
    total: u64,
}

impl Tally {
    /// Adds one interface; `count` is none where nobody counted. One that neither counts nor has frames is left out.
    pub(crate) fn add(&mut self, count: Option<u64>, has_frames: bool) {
        match count {
            Some(count) => {
                self.counted = true;
                self.total = self.total.saturating_add(count);
            }
            None => self.uncounted |= has_frames,
        }
    }

    /// Adds the interfaces of another input.
    pub(crate) fn join(&mut self, other: Self) {
        self.counted |= other.counted;
        self.uncounted |= other.uncounted;
        self.total = self.total.saturating_add(other.total);
    }

    /// Known where every interface counted; evidence of loss is known even where only some did.
    pub(crate) fn drops(self) -> Drops {
        if self.total > 0 || (self.counted && !self.uncounted) {
            Drops::Known(self.total)
        } else {
            Drops::Unknown
        }
    }
}

/// Tests that flood loopback take turns: each sees, and its buffer holds, what the others send.
#[cfg(all(test, feature = "live"))]
fn turn_on_loopback() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_known_only_if_every_interface_with_frames_counted() {
        let mut tally = Tally::default();
        assert_eq!(tally.drops(), Drops::Unknown);
        tally.add(Some(0), true);
        tally.add(None, false);
        assert_eq!(tally.drops(), Drops::Known(0));
        tally.add(None, true);
        assert_eq!(tally.drops(), Drops::Unknown);
    }

    #[test]
    fn evidence_of_loss_is_kept_where_only_some_interfaces_counted() {
        let mut tally = Tally::default();
        tally.add(None, true);
        tally.add(Some(3), true);
        assert_eq!(tally.drops(), Drops::Known(3));
    }
}
