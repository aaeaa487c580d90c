//! Which conns have something to do with the target.
