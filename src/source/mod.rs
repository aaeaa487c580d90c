//! Yields frames and admits losses: live capture, capture files, recording.
//!
//! In: an interface, any `Read`. Out: `Frame`s, `Losses`, interfaces, annotations.
//! Never: a look inside a frame, SSH, an async runtime.
