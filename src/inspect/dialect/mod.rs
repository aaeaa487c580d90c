//! Dialects: the octets of one protocol -> named fields. One file a protocol; see HOUSE section 11.
//!
//! A dialect reads both directions of one conn. It never searches for identifiers: every stream is also searched raw
//! by the matcher, so an unknown protocol is never a blind spot.

mod blitzmail;
mod bulletins;
mod control;
mod dhcp;
mod dnd;
mod dns;
mod ftp;
mod http1;
mod imap;
mod nntp;
mod notify;
mod ntp;
mod pop3;
mod smtp;
mod ssh;
mod telnet;
#[cfg(test)]
mod template;
pub(super) mod tls;

pub use crate::inspect::inflate::{Coding, Codings, Part, What};
use crate::model::{
    Agreement, Chunk, Direction, Encoding, Field, FrameSpan, NameAnswer, Proto, Rule,
};

/// What a probe may look at: the first octets of both directions, as far as they were seen (bounded to some KiB).
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// First octets by orig.
    pub orig: &'a [u8],
    /// First octets by resp.
    pub resp: &'a [u8],
    /// Port of orig.
    pub orig_port: u16,
    /// Port of resp.
    pub resp_port: u16,
    /// Who sent first, of what was seen.
    pub first: Direction,
    /// More may come; false at the end of the conn or where the bound is reached: decide now.
    pub more: bool,
}

impl<'a> Opening<'a> {
    /// The first octets of one direction.
    #[must_use]
    pub const fn of(&self, dir: Direction) -> &'a [u8] {
        match dir {
            Direction::OrigToResp => self.orig,
            Direction::RespToOrig => self.resp,
        }
    }

    /// Whether either end has one of `ports`.
    #[must_use]
    pub fn on_port(&self, ports: &[u16]) -> bool {
        ports.contains(&self.resp_port) || ports.contains(&self.orig_port)
    }
}

/// How well an opening fits a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is not this protocol.
    No,
    /// It may be; more octets are needed.
    NeedMore,
    /// It fits, but other protocols could begin like this: taken where nothing better is found and the port agrees.
    Plausible,
    /// It is this protocol.
    Certain,
}

/// A protocol that can be read.
pub struct Spec {
    /// Its name in reports and target files.
    pub name: &'static str,
    /// Where it is described.
    pub standards: &'static [&'static str],
    /// What carries it.
    pub proto: Proto,
    /// Usual ports of resp. They order the probes and break ties; they never exclude.
    pub ports: &'static [u16],
    /// Whether its content hides nothing by itself (false for SSH and TLS, whose handshake decides).
    pub cleartext: bool,
    /// How well an opening fits.
    pub probe: fn(&Opening<'_>) -> Fit,
    /// A reader for one conn.
    pub open: fn() -> Box<dyn Dialect>,
}

/// One named field.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// What kind of thing.
    pub rule: Rule,
    /// Which field.
    pub field: Field,
    /// The value as meant (encodings undone).
    pub value: &'a [u8],
    /// Who sent it.
    pub dir: Direction,
    /// Offset in that direction's stream of the octets that carried it.
    pub offset: u64,
    /// How many octets of the stream carried it.
    pub len: u32,
    /// Where it was captured.
    pub frames: FrameSpan,
    /// How it was written.
    pub encoding: Encoding,
}

/// What a dialect tells while it reads.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A field was read.
    Found(Found<'a>),
    /// The protocol hands this direction over to another one from `offset` on (STARTTLS and the like). The inspector
    /// then hands later octets of this direction to the dialect named, and none of them to this one.
    Handover {
        /// Which direction.
        dir: Direction,
        /// First octet of the new protocol.
        offset: u64,
        /// Name of the dialect that follows: `tls`.
        to: &'static str,
    },
    /// A handshake has agreed on its ciphers.
    Agreed(Agreement),
    /// From `offset` on the direction is ciphertext by a real cipher.
    Sealed {
        /// Which direction.
        dir: Direction,
        /// First octet of ciphertext.
        offset: u64,
    },
    /// Octets behind the sealing that the protocol itself writes in the clear: lengths, record headers, counters. They
    /// are left out when the look of the ciphertext is judged.
    Framing {
        /// Which direction.
        dir: Direction,
        /// First of these octets.
        offset: u64,
        /// How many.
        len: u32,
    },
    /// The octets do not follow the grammar any more; what was said before still holds.
    Lost {
        /// Which direction.
        dir: Direction,
        /// First octet that does not fit.
        offset: u64,
    },
    /// A name was answered with an address.
    Name(NameAnswer),
    /// A remark for the report: `PGP message with a readable envelope`.
    Remark(&'static str),
    /// A part of a body that is compressed, cut in pieces or masked: undone and searched by the inspector.
    Body(Part<'a>),
}

/// Reads one conn.
pub trait Dialect: Send {
    /// Takes the next chunk of one direction. Accepts a `Gap` (resynchronises or falls silent), ignores `Alternate`,
    /// and gives the same events for any split of the octets into chunks (but see `Proto::UDP`: there a chunk is a datagram).
    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>));

    /// Octets of memory held beside its own; some hundred need not be told.
    fn held(&self) -> usize {
        0
    }

    /// No more octets of this direction follow: reads what waited for its end, such as a last line without one.
    fn end(&mut self, _dir: Direction, _out: &mut dyn FnMut(Event<'_>)) {}
}

/// Every dialect. A file in this folder that is not registered fails a test.
#[rustfmt::skip] // one a line
pub static ALL: &[&Spec] = &[
    &blitzmail::SPEC,
    &bulletins::SPEC,
    &control::SPEC,
    &dhcp::SPEC,
    &dnd::SPEC,
    &dns::OVER_TCP,
    &dns::SPEC,
    &ftp::SPEC,
    &imap::SPEC,
    &nntp::SPEC,
    &notify::SPEC,
    &ntp::SPEC,
    &http1::SPEC,
    &pop3::SPEC,
    &smtp::SPEC,
    &ssh::SPEC,
    &telnet::SPEC,
    &tls::SPEC,
];

/// The dialect of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Spec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_folder_is_registered() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/inspect/dialect");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|name| name != "mod" && name != "template")
            .collect();
        let known: BTreeSet<String> = ALL.iter().map(|spec| spec.name.to_owned()).collect();
        assert_eq!(files, known, "each file is a dialect of its name, and is in ALL");
    }
}
