//! Everything over time between two endpoints: the conn table and TCP stream reassembly.
//!
//! In: segments. Out: ordered chunks per direction, conn records, through a `ChunkSink`.
//! Never: packet bytes below the transport header, a clock, a choice between versions of a disputed octet.

mod barren;
mod combine;
mod conn;
mod gone;
mod key;
mod list;
mod out;
mod stream;
mod table;
mod tail;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod versions;
mod waiting;

pub use key::ConnKey;
pub use table::{AHEAD, ConnTable};

/// Bounds of a conn table. What a bound costs is counted in `Coverage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Conns at a time. Then one leaves, and is counted unless it was closed or reset already: closed ones first, then reset
    /// ones, those without payload, datagram conns, the others; of each kind the one that was silent longest.
    pub max_conns: usize,
    /// Closed conns at a time, of the former. Then the one that was silent longest leaves.
    pub max_closed: usize,
    /// Octets that they may take, as those of `state_bytes_total`, of which they are a part.
    pub closed_bytes_total: usize,
    /// Conns of other protocols than TCP at a time, likewise.
    pub max_datagram: usize,
    /// Octets that all open conns take here and in the sink, streams aside. Then conns leave, as where there are too many.
    pub state_bytes_total: usize,
    /// Octets of one stream that wait behind a hole, with what their keeping takes. Then the hole is a gap.
    pub out_of_order_bytes: usize,
    /// The same for all streams together.
    pub out_of_order_bytes_total: usize,
    /// Octets of one stream that are kept after they were handed on, to compare what is sent again. What the
    /// other side has not acknowledged is kept, up to this.
    pub tail_bytes: usize,
    /// The same for all streams together. Then the conns that carried no payload since they were asked last forget theirs.
    pub tail_bytes_total: usize,
    /// Octets around a version of disputed octets that are searched with it: the longest match.
    pub context: u64,
    /// Octets of disputed versions that are kept to be combined, for all streams together. Then they are handed on with what
    /// is known of their neighbours, and forgotten.
    pub version_bytes_total: usize,
    /// Octets spent on combinations at once; every conflict pays some more in. Then each version is handed on by itself.
    pub search_budget: u64,
    /// Frames of the conn that are awaited before a hole that is acknowledged and has data behind it is a gap: they may
    /// have been captured in another order.
    pub gap_patience: u32,
    /// How long a closed TCP conn takes stray segments, in nanoseconds of capture time. One that was reset after it carried
    /// payload does not count as closed: the reset may not have been believed.
    pub linger_ns: i64,
    /// How long a conn of another protocol must be silent, likewise, so that it counts as ended where it leaves for others' room.
    pub datagram_idle_ns: i64,
    /// Words of 64 bits of each of the two filters that remember the ends of conns which left; a power of two.
    pub gone_words: usize,
}

impl Limits {
    /// The limits of one of so many tables that share the conns of a capture: what is bounded in all is divided.
    #[must_use]
    pub fn share(self, tables: usize) -> Self {
        let tables = tables.max(1);
        Self {
            max_conns: self.max_conns / tables,
            max_closed: self.max_closed / tables,
            closed_bytes_total: self.closed_bytes_total / tables,
            max_datagram: self.max_datagram / tables,
            state_bytes_total: self.state_bytes_total / tables,
            out_of_order_bytes_total: self.out_of_order_bytes_total / tables,
            tail_bytes_total: self.tail_bytes_total / tables,
            version_bytes_total: self.version_bytes_total / tables,
            search_budget: self.search_budget / tables as u64,
            gone_words: self.gone_words / tables,
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_conns: 1 << 18,                 // about 70 MiB of conns
            max_closed: 1 << 13,                // some hundred ms of the busiest server
            closed_bytes_total: 12 << 20,       // 2,000 sessions of mail, all that short ones take
            max_datagram: 1 << 13,              // a name is asked for from a port of its own
            state_bytes_total: 80 << 20,        // 50,000 short conns with payload; decoders count
            out_of_order_bytes: 4 << 20,        // a large window after one loss
            out_of_order_bytes_total: 16 << 20, // four streams at their most
            tail_bytes: 1 << 20,                // 80 ms of 100 Mbit/s on their way
            tail_bytes_total: 16 << 20, // 16 streams at their most, or 20,000 at their least
            context: 512,               // an identifier of 40 characters, two escapes deep
            version_bytes_total: 8 << 20, // neighbourhoods of about 1,000 conflicts
            search_budget: 64 << 20,    // a quarter of a second of search
            gap_patience: 8, // as many frames as two queues of one interface hand over at once
            linger_ns: 30_000_000_000, // retransmitted FINs; Linux keeps TIME_WAIT for 60 s
            datagram_idle_ns: 300_000_000_000, // as firewalls keep a UDP stream; one conversation stays one conn
            gone_words: 1 << 19, // 4 MiB: when a million conns have left, about ten in a million others are taken for one of them
        }
    }
}
