//! Everything over time between two endpoints: the conn table and TCP stream reassembly.
//!
//! In: segments. Out: ordered chunks per direction, conn records, through a `ChunkSink`.
//! Never: packet bytes below the transport header, a clock, a choice between versions of a disputed octet.
