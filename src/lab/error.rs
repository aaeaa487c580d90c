//! What can go wrong in the lab.

use std::net::SocketAddr;

/// Why a part of the lab could not be set up, or gave an unexpected answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A server could not listen.
    #[error("cannot listen on {address} for the lab's {service} server")]
    Listen {
        /// Which server.
        service: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The client could not talk to a server.
    #[error("the lab's mail client cannot talk to {service} at {address}")]
    Talk {
        /// Which server.
        service: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A server gave an answer that the client did not expect.
    #[error("unexpected answer of the {service} server: {answer:?}")]
    Answer {
        /// Which server.
        service: &'static str,
        /// Its line.
        answer: String,
    },
    /// The embedded SSH gateway or client failed.
    #[error("the lab's ssh {side} failed: {detail}")]
    Ssh {
        /// `gateway` or `client`.
        side: &'static str,
        /// In the words of the SSH library.
        detail: String,
    },
    /// A thread or the async runtime could not be started.
    #[error("cannot start the lab's {what}")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The namespaces could not be made.
    #[error("cannot make the lab's network: `{command}` said: {detail}")]
    World {
        /// The command that failed.
        command: String,
        /// What it said.
        detail: String,
    },
}

impl LabError {
    /// What the user can do.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::World { .. } => Some(
                "the demo needs user and network namespaces and iproute2: install iproute2 and util-linux, \
                 allow `unshare -Urn true`, or run as root",
            ),
            _ => None,
        }
    }
}
