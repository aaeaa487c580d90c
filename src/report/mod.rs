//! Judgement -> `Document` -> octets of one of the formats.
//!
//! In: a judgement and what it rests on. Out: text, json, ndjson, junit.
//! Never: stdout, files, the terminal, an octet of traffic that is not escaped.
