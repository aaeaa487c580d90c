//! Integration tests: the public API and the binary.
