//! Brings the SSH tunnel up and down, and proves that it is up.
//!
//! In: a `TunnelSpec`. Out: a `Tunnel` with its forwards and a `TunnelRecord`.
//! Never: packet capture, an accepted host key that nobody verified, a password from argv.

mod algorithms;
mod auth;
mod client;
#[doc(hidden)]
pub mod door;
mod error;
mod exec;
mod forward;
mod holder;
mod hostkey;
mod jump;
mod keyfile;
mod known_hosts;
mod link;
mod open;
mod prompt;
mod spec;

pub use error::{HostKeyConflict, TunnelError};
pub use exec::{Exec, ExecEnd, ExecOutput};
pub use hostkey::HostKeyQuestion;
pub use open::{Attempt, BoundTunnel, Tunnel};
pub use prompt::{NoPrompt, Prompt, TerminalPrompt};
pub use spec::{AgentChoice, Algorithms, ForwardSpec, HopSpec, TunnelSpec};
