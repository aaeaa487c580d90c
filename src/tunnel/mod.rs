//! Brings the SSH tunnel up and down, and proves that it is up.
//!
//! In: a `TunnelSpec`. Out: a `Tunnel` with its forwards and a `TunnelRecord`.
//! Never: packet capture, an accepted host key that nobody verified, a password from argv.
