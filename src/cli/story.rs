//! The demo where namespaces cannot be made: the recorded story, judged before the reader's eyes.

use super::args::Common;
use super::exit::Exit;
use super::output::say;

pub(super) fn tell(_: &Common) -> anyhow::Result<Exit> {
    say(&super::demo::what_is_missing());
    Ok(Exit::CouldNotRun)
}
