//! An embedded gateway, mail servers and a mail client for the demo and the tests.
//!
//! In: a scenario. Out: traffic on addresses that the lab itself made.
//! Never: a real interface or address.
