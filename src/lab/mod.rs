//! An embedded gateway, mail servers and a mail client for the demo and the tests.
//!
//! In: addresses and names that the caller made for it. Out: real protocol traffic between them.
//! Never: a real interface or address of its own choice, a verdict.

mod client;
mod error;
mod gateway;
mod mail;
mod names;
mod world;

#[cfg(test)]
mod tests;

pub use client::MailUser;
pub use error::LabError;
pub use gateway::{Gateway, GatewayCipher, GatewayOptions, PlainClient};
pub use mail::{MailAccount, MailServers, MailSetup};
pub use names::NameServer;
pub use world::{World, world_available};
