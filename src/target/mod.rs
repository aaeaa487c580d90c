//! What is asked for: the target file, or a Host block of ssh_config, -> a resolved `Plan`.
//!
//! In: paths and overrides. Out: a `Plan`; after this nothing is validated again.
//! Never: the network, name resolution, IO beyond reading the files it was pointed to.
