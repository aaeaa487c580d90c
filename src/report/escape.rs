//! Octets from the network made harmless for a terminal and for XML.
//!
//! A terminal obeys C0 and C1 controls; bidi controls reorder what is read; zero-width and other
//! invisible characters hide in names. All of them are shown as escapes, so that what a person
//! reads is what was there.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Text for one line of a terminal: every control, bidi, invisible or private-use character is written as an
/// escape (`\n`, `\x1b`, `\u{202e}`), and a backslash is doubled.
#[must_use]
pub fn terminal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        push_safe(&mut safe, c);
    }
    safe
}

/// As `terminal`, for octets: what is not UTF-8 is written `\xNN`.
#[must_use]
pub fn terminal_bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_safe(&mut safe, c);
        }
        for octet in chunk.invalid() {
            push_hex(&mut safe, u32::from(*octet));
        }
    }
    safe
}

/// Prose of our own that may hold words from outside, for a terminal: as `terminal`, but a backslash stays as it is.
#[must_use]
pub fn prose(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unsafe) {
        let mut safe = String::with_capacity(text.len());
        for c in text.chars() {
            if is_unsafe(c) { push_safe(&mut safe, c) } else { safe.push(c) }
        }
        Cow::Owned(safe)
    } else {
        Cow::Borrowed(text)
    }
}

/// Text for XML 1.0 content and attribute values. Characters that XML cannot hold, and those that
/// a terminal would obey, are written as in `prose`; a line feed is kept.
#[must_use]
pub fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\n' => safe.push('\n'),
            // XML 1.0 s2.2 leaves these two out although they are no controls.
            '\u{fffe}' | '\u{ffff}' => push_unicode(&mut safe, u32::from(c)),
            c if is_unsafe(c) => push_safe(&mut safe, c),
            c => safe.push(c),
        }
    }
    safe
}

/// Adds one character, written as an escape where it is not safe.
fn push_safe(safe: &mut String, c: char) {
    match c {
        '\\' => safe.push_str("\\\\"),
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        '\t' => safe.push_str("\\t"),
        c if !is_unsafe(c) => safe.push(c),
        c if u32::from(c) < 0x80 => push_hex(safe, u32::from(c)),
        c => push_unicode(safe, u32::from(c)),
    }
}

fn push_hex(safe: &mut String, value: u32) {
    // Writing to a String cannot fail.
    let _ = write!(safe, "\\x{value:02x}");
}

fn push_unicode(safe: &mut String, value: u32) {
    let _ = write!(safe, "\\u{{{value:x}}}");
}

/// Whether a terminal obeys the character, or a person cannot see it.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control() // C0, DEL and C1
        || matches!(u32::from(c),
            0x00ad // soft hyphen
            | 0x034f // combining grapheme joiner
            | 0x061c // Arabic letter mark
            | 0x115f | 0x1160 | 0x3164 | 0xffa0 // Hangul fillers
            | 0x17b4 | 0x17b5 // Khmer inherent vowels
            | 0x180b..=0x180f // Mongolian selectors
            | 0x200b..=0x200f // zero width, LRM, RLM
            | 0x2028..=0x202e // line and paragraph separators, bidi embeddings and overrides
            | 0x2060..=0x206f // word joiner, bidi isolates, deprecated format characters
            | 0xfe00..=0xfe0f // variation selectors
            | 0xfeff // byte order mark
            | 0xfff0..=0xfffb // specials: annotation
            | 0x1bca0..=0x1bca3 // shorthand format controls
            | 0x1d173..=0x1d17a // musical format controls
            | 0xe000..=0xf8ff // private use
            | 0xe0000..=0xe0fff // tags, variation selectors
            | 0xf0000..=0x0010_ffff // private use planes
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_reach_no_terminal() {
        assert_eq!(terminal("a\x1b[2Jb\u{9b}c\x07\x7f"), "a\\x1b[2Jb\\u{9b}c\\x07\\x7f");
        assert_eq!(terminal("a\r\nb\tc\\"), "a\\r\\nb\\tc\\\\");
    }

    #[test]
    fn bidi_and_invisible_characters_are_shown() {
        assert_eq!(
            terminal("nic\u{202e}eli\u{2066}f\u{200b}\u{feff}"),
            "nic\\u{202e}eli\\u{2066}f\\u{200b}\\u{feff}"
        );
        assert_eq!(terminal("Jürgen 李 ☎"), "Jürgen 李 ☎");
    }

    #[test]
    fn octets_that_are_no_utf8_are_shown_in_hex() {
        assert_eq!(terminal_bytes(b"a\xff\xc3\xbc\x00"), "a\\xffü\\x00");
    }

    #[test]
    fn prose_keeps_its_backslashes() {
        assert_eq!(prose("C:\\x"), "C:\\x");
        assert_eq!(prose("a\x1bb\\"), "a\\x1bb\\");
    }

    #[test]
    fn xml_holds_no_markup_and_no_forbidden_character() {
        assert_eq!(
            xml("<a b=\"c\">&'\u{0}\u{1b}\u{fffe}\n"),
            "&lt;a b=&quot;c&quot;&gt;&amp;&apos;\\x00\\x1b\\u{fffe}\n"
        );
    }

    proptest! {
        #[test]
        fn no_octets_yield_a_character_that_a_terminal_obeys(bytes: Vec<u8>, text: String) {
            prop_assert!(!terminal_bytes(&bytes).chars().any(is_unsafe));
            prop_assert!(!terminal(&text).chars().any(is_unsafe));
            prop_assert!(!prose(&text).chars().any(is_unsafe));
            prop_assert!(!xml(&text).chars().any(|c| c != '\n' && (is_unsafe(c) || c == '<')));
        }
    }
}
