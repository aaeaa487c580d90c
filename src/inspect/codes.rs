//! Undoes the encodings in which mail protocols write a value.

/// Decodes base64 with either alphabet, padded or not (RFC 4648 s4, s5); `None` for anything else.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.trim_ascii();
    let digits = digits.strip_suffix(b"==").or(digits.strip_suffix(b"=")).unwrap_or(digits);
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut value = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0u32, 0u32);
    for &digit in digits {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            value.push(low_octet(bits >> held));
        }
    }
    Some(value)
}

/// Decodes IMAP's modified UTF-7 (RFC 3501 s5.1.3); `None` where it holds no shift or a broken one.
pub(crate) fn modified_utf7(text: &[u8]) -> Option<String> {
    if !text.contains(&b'&') {
        return None;
    }
    let mut value = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'&' {
            if !matches!(first, 0x20..=0x7e) {
                return None;
            }
            value.push(char::from(first));
            continue;
        }
        let end = tail.iter().position(|&b| b == b'-')?;
        let (shifted, tail) = tail.split_at_checked(end)?;
        rest = tail.get(1..)?;
        if shifted.is_empty() {
            value.push('&');
            continue;
        }
        let shifted: Vec<u8> = shifted.iter().map(|&b| if b == b',' { b'/' } else { b }).collect();
        let octets = base64(&shifted)?;
        let units: Vec<u16> =
            octets.as_chunks::<2>().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect();
        value.push_str(&String::from_utf16(&units).ok()?);
    }
    Some(value)
}

/// Decodes the encoded words of a header's value (RFC 2047); `None` where there is none. Charsets other than UTF-8,
/// ASCII and ISO 8859-1 keep their octets.
pub(crate) fn rfc2047(text: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut words = 0u32;
    while let Some(at) = find(rest, b"=?") {
        let (before, word) = rest.split_at_checked(at)?;
        let Some((decoded, after)) = encoded_word(word) else {
            value.extend_from_slice(rest.get(..at.saturating_add(2))?);
            rest = rest.get(at.saturating_add(2)..)?;
            continue;
        };
        // White space between two encoded words is none of the text (RFC 2047 s6.2).
        if words == 0 || !before.iter().all(u8::is_ascii_whitespace) {
            value.extend_from_slice(before);
        }
        value.extend_from_slice(&decoded);
        words = words.saturating_add(1);
        rest = after;
    }
    value.extend_from_slice(rest);
    (words > 0).then_some(value)
}

/// Undoes a quoted string that begins with `"`: its value and what stands after the closing quote. `backslash` tells
/// how a quote inside is written: `\"` (IMAP) or `""` (DND, BlitzMail).
pub(crate) fn quoted(text: &[u8], backslash: bool) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut value = Vec::new();
    loop {
        let (&first, tail) = rest.split_first()?;
        rest = tail;
        match first {
            b'\\' if backslash => {
                let (&escaped, tail) = rest.split_first()?;
                value.push(escaped);
                rest = tail;
            }
            b'"' if !backslash && rest.starts_with(b"\"") => {
                value.push(b'"');
                rest = rest.get(1..)?;
            }
            b'"' => return Some((value, rest)),
            _ => value.push(first),
        }
    }
}

/// A decimal number that fills `text`.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The three digits that a reply begins with, where a blank, a hyphen or the line's end follows.
pub(crate) fn reply_code(line: &[u8]) -> Option<u16> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !matches!(rest.first(), None | Some(b' ' | b'-')) {
        return None;
    }
    number(digits).and_then(|code| u16::try_from(code).ok())
}

/// The first word of a line, and the rest behind the blanks.
pub(crate) fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|&b| matches!(b, b' ' | b'\t')).unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    (word, rest.trim_ascii_start())
}

/// Index of `word` in a list of verbs, case not counted.
pub(crate) fn index_of(verbs: &[&str], word: &[u8]) -> Option<usize> {
    verbs.iter().position(|verb| verb.as_bytes().eq_ignore_ascii_case(word))
}

/// Where `needle` first stands in `text`.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}

/// `=?charset?B|Q?text?=` at the front: the text as UTF-8 where the charset allows, and what follows.
fn encoded_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let body = text.strip_prefix(b"=?")?;
    let mut parts = body.splitn(3, |&b| b == b'?');
    let (charset, kind, tail) = (parts.next()?, parts.next()?, parts.next()?);
    let end = find(tail, b"?=")?;
    let (encoded, after) = tail.split_at_checked(end)?;
    let octets = match kind {
        b"B" | b"b" => base64(encoded)?,
        b"Q" | b"q" => q_word(encoded),
        _ => return None,
    };
    let charset = charset.split(|&b| b == b'*').next().unwrap_or_default();
    let octets = if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        octets.iter().map(|&b| char::from(b)).collect::<String>().into_bytes()
    } else {
        octets
    };
    Some((octets, after.get(2..)?))
}

fn q_word(text: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let hex = tail.split_at_checked(2).and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        match (first, hex) {
            (b'=', Some((octet, after))) => {
                value.push(octet);
                rest = after;
            }
            (b'_', _) => value.push(b' '),
            _ => value.push(first),
        }
    }
    value
}

fn low_octet(bits: u32) -> u8 {
    let [octet, ..] = bits.to_le_bytes();
    octet
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_of_rfc_4648_section_10() {
        assert_eq!(base64(b"Zm9vYg==").unwrap(), b"foob");
        assert_eq!(base64(b"Zm9vYmE=").unwrap(), b"fooba");
        assert_eq!(base64(b"Zm9vYmFy").unwrap(), b"foobar");
        assert_eq!(base64(b"Zm9vYmE").unwrap(), b"fooba");
        assert_eq!(base64(b"QUIT!"), None);
    }

    #[test]
    fn modified_utf7_of_rfc_3501_section_5_1_3() {
        let name = modified_utf7(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").unwrap();
        assert_eq!(name, "~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}");
        assert_eq!(modified_utf7(b"Tom &- Jerry").unwrap(), "Tom & Jerry");
        assert_eq!(modified_utf7(b"INBOX"), None);
        assert_eq!(modified_utf7(b"a &broken"), None);
    }

    #[test]
    fn encoded_words_of_rfc_2047_section_8() {
        assert_eq!(rfc2047(b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=").unwrap(), b"ab");
        assert_eq!(rfc2047(b"=?ISO-8859-1?Q?a_b?=").unwrap(), b"a b");
        assert_eq!(rfc2047(b"x =?utf-8?B?w6k=?= y").unwrap(), "x \u{e9} y".as_bytes());
        assert_eq!(rfc2047(b"=?iso-8859-1?q?=E9?=").unwrap(), "\u{e9}".as_bytes());
        assert_eq!(rfc2047(b"plain =? text"), None);
    }

    #[test]
    fn quoted_strings_lose_their_escapes() {
        assert_eq!(quoted(br#""a\"b" c"#, true).unwrap(), (b"a\"b".to_vec(), &b" c"[..]));
        assert_eq!(quoted(br#""a""b",1"#, false).unwrap(), (b"a\"b".to_vec(), &b",1"[..]));
        assert_eq!(quoted(b"\"open", true), None);
    }

    #[test]
    fn a_reply_code_is_three_digits_and_a_border() {
        assert_eq!(reply_code(b"220 x"), Some(220));
        assert_eq!(reply_code(b"250-x"), Some(250));
        assert_eq!(reply_code(b"200"), Some(200));
        assert_eq!(reply_code(b"2200 x"), None);
        assert_eq!(reply_code(b"+20 x"), None);
    }

    proptest! {
        #[test]
        fn decoders_never_panic(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (base64(&text), modified_utf7(&text), rfc2047(&text), quoted(&text, true), reply_code(&text));
        }
    }
}
