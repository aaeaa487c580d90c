//! The nouns that cross a border between rooms, and nothing that acts.
//!
//! In: nothing. Out: plain values with constructors, accessors and `Display`.
//! Never: IO, a clock, parsing of traffic, policy, serde.

mod claim;
mod conn;
mod control;
mod coverage;
mod encap;
mod fetch;
mod finding;
mod frame;
mod identifier;
mod interface;
mod machine;
mod segment;
mod stream;
mod target;
mod tunnel;
mod window;

pub use claim::{ClaimKind, Verdict};
pub use conn::{
    Agreement, Basis, Class, ConnId, ConnRecord, ConnSlot, ConnSummary, Endpoint, NameAnswer, Uid,
};
pub use control::{ControlPath, ControlRecord, ControlToken, Phase, PhaseMark, TokenSighting};
pub use coverage::{Coverage, Drops, Weird};
pub use encap::{Carriage, Encapsulation, Layer, MAX_OUTER, Mark};
pub use fetch::fetch;
pub use finding::{Excerpt, Field, Hit, Rule};
pub use frame::{Frame, FrameRef, FrameSpan, LinkType, Timestamp};
pub use identifier::{Encoding, Identifier};
pub use interface::{InterfaceRecord, Vantage};
pub use machine::{Confidence, MachineName, MachineRecord, ProcessRecord, SocketSighting};
pub use segment::{Proto, Segment, SeqNo, TcpFlags, TcpHeader};
pub use stream::{Chunk, ChunkSink, Direction};
pub use target::{Exempt, Service, Target, TunnelMode};
pub use tunnel::{ForwardRecord, TunnelRecord};
pub use window::{Disruption, EarlierConn, Stage, Stretch, Tries, VantageRecord, WindowRecord};
