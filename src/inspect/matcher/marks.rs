//! Octets that mean something in any stream: where escapes may begin, and where base64 may be broken. One pass finds both.

use crate::inspect::blocks::Trios;

/// What names and numbers of characters, and modified base64, consist of.
const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#+,;";
const HEX: &[u8] = b"0123456789ABCDEFabcdef";

/// Where an escape may begin, or a break stands behind a character of base64 (`is_char`).
pub(super) static MARKS: Trios = Trios::new(&[
    [b"%", b"0123456789ABCDEFabcdefuU", HEX],
    [b"&", ALPHANUMERIC, ALPHANUMERIC],
    [b"&", b"-", b""],
    [b"=", HEX, HEX],
    [b"=", b"?\n\r \t", b""],
    [b"\\", b"uxX0123", HEX],
    [b"\\", b"\"\\/", b""],
    [
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_",
        b"\r\n",
        b"\r\n\t ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_",
    ],
]);

/// The group of breaks in `MARKS`.
const BREAK: u8 = 1 << 7;

/// Whether all are characters of base64, of either alphabet.
#[inline]
pub(super) fn are_chars<'a>(octets: impl IntoIterator<Item = &'a u8>) -> bool {
    octets.into_iter().fold(BREAK, |all, octet| all & MARKS.begins(*octet)) != 0
}

/// Whether it is a character of base64, of either alphabet.
#[inline]
pub(super) fn is_char(octet: u8) -> bool {
    MARKS.begins(octet) & BREAK != 0
}
