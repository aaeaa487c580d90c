//! argv -> what to run; the choice of the writer; the exit code.
//!
//! In: argv, the environment, the terminal. Out: octets on stdout and stderr, an exit code.
//! Never: an octet of traffic that report has not escaped.
