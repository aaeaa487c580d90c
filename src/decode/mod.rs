//! One captured frame -> at most one whole transport segment: link layer, VLAN, IP, IP reassembly.
//!
//! In: a `Frame`. Out: a `Decoded` (segment, octets to be searched raw) and counts in `Coverage`.
//! Never: state over time except IP fragments, a clock, a rejection for a bad checksum.
