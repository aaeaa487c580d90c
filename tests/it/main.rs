//! Integration tests: the public API and the binary.

#[cfg(feature = "tunnel")]
mod sshd;
#[cfg(feature = "tunnel")]
mod tunnel_russh;
#[cfg(feature = "tunnel")]
mod tunnel_sshd;
