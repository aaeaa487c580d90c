//! Case variants of characters, and the octets of characters in the charsets of MISSION section 3.

/// The case variants of a character (simple folding, and the full mappings of upper and lower case), itself among them.
///
/// For ASCII letters the two cases alone: the Kelvin sign and the long s are other characters here.
pub(super) fn case_variants(c: char) -> Vec<String> {
    if c.is_ascii() {
        let other =
            if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        let both = [Some(c), Some(other).filter(|other| *other != c)];
        return both.into_iter().flatten().map(String::from).collect();
    }
    let mut variants = vec![c.to_string()];
    let mut add = |text: String| {
        if !variants.contains(&text) {
            variants.push(text);
        }
    };
    add(c.to_lowercase().collect());
    add(c.to_uppercase().collect());
    add(c.to_uppercase().flat_map(char::to_lowercase).collect());
    add(c.to_lowercase().flat_map(char::to_uppercase).collect());
    if matches!(c, 'σ' | 'ς' | 'Σ') {
        for sigma in ["σ", "ς", "Σ"] {
            add(sigma.to_owned());
        }
    }
    variants
}

/// UTF-8 (RFC 3629).
#[expect(clippy::unnecessary_wraps, reason = "one shape for all charsets")]
pub(super) fn utf8(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// UTF-16, little endian (RFC 2781).
#[expect(clippy::unnecessary_wraps, reason = "one shape for all charsets")]
pub(super) fn utf16le(text: &str) -> Option<Vec<u8>> {
    Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
}

/// UTF-16, big endian (RFC 2781).
#[expect(clippy::unnecessary_wraps, reason = "one shape for all charsets")]
pub(super) fn utf16be(text: &str) -> Option<Vec<u8>> {
    Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect())
}

/// ISO 8859-1; none where a character has no place in it.
pub(super) fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// Mac OS Roman; none where a character has no place in it.
pub(super) fn mac_roman(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|c| {
            if c.is_ascii() {
                return u8::try_from(u32::from(c)).ok();
            }
            let upper = MAC_ROMAN.iter().position(|&roman| roman == c)?;
            u8::try_from(upper + 0x80).ok()
        })
        .collect()
}

/// The upper half of Mac OS Roman, 0x80 to 0xff (Unicode's APPLE/ROMAN.TXT, with the euro sign).
#[rustfmt::skip]
const MAC_ROMAN: [char; 128] = [
    '\u{c4}', '\u{c5}', '\u{c7}', '\u{c9}', '\u{d1}', '\u{d6}', '\u{dc}', '\u{e1}', '\u{e0}', '\u{e2}', '\u{e4}', '\u{e3}', '\u{e5}', '\u{e7}', '\u{e9}', '\u{e8}',
    '\u{ea}', '\u{eb}', '\u{ed}', '\u{ec}', '\u{ee}', '\u{ef}', '\u{f1}', '\u{f3}', '\u{f2}', '\u{f4}', '\u{f6}', '\u{f5}', '\u{fa}', '\u{f9}', '\u{fb}', '\u{fc}',
    '\u{2020}', '\u{b0}', '\u{a2}', '\u{a3}', '\u{a7}', '\u{2022}', '\u{b6}', '\u{df}', '\u{ae}', '\u{a9}', '\u{2122}', '\u{b4}', '\u{a8}', '\u{2260}', '\u{c6}', '\u{d8}',
    '\u{221e}', '\u{b1}', '\u{2264}', '\u{2265}', '\u{a5}', '\u{b5}', '\u{2202}', '\u{2211}', '\u{220f}', '\u{3c0}', '\u{222b}', '\u{aa}', '\u{ba}', '\u{3a9}', '\u{e6}', '\u{f8}',
    '\u{bf}', '\u{a1}', '\u{ac}', '\u{221a}', '\u{192}', '\u{2248}', '\u{2206}', '\u{ab}', '\u{bb}', '\u{2026}', '\u{a0}', '\u{c0}', '\u{c3}', '\u{d5}', '\u{152}', '\u{153}',
    '\u{2013}', '\u{2014}', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}', '\u{f7}', '\u{25ca}', '\u{ff}', '\u{178}', '\u{2044}', '\u{20ac}', '\u{2039}', '\u{203a}', '\u{fb01}', '\u{fb02}',
    '\u{2021}', '\u{b7}', '\u{201a}', '\u{201e}', '\u{2030}', '\u{c2}', '\u{ca}', '\u{c1}', '\u{cb}', '\u{c8}', '\u{cd}', '\u{ce}', '\u{cf}', '\u{cc}', '\u{d3}', '\u{d4}',
    '\u{f8ff}', '\u{d2}', '\u{da}', '\u{db}', '\u{d9}', '\u{131}', '\u{2c6}', '\u{2dc}', '\u{af}', '\u{2d8}', '\u{2d9}', '\u{2da}', '\u{b8}', '\u{2dd}', '\u{2db}', '\u{2c7}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_roman_has_the_octets_of_apples_table() {
        assert_eq!(mac_roman("Zoë Æ"), Some(b"Zo\x91 \xae".to_vec()));
        assert_eq!(mac_roman("Å€ˇ"), Some(vec![0x81, 0xdb, 0xff]));
        assert_eq!(mac_roman("Ж"), None);
    }

    #[test]
    fn sigma_has_three_forms_and_sharp_s_is_also_two_letters() {
        assert_eq!(case_variants('ς').len(), 3);
        assert!(case_variants('ß').contains(&"SS".to_owned()));
        assert_eq!(case_variants('j'), ["j", "J"]);
        assert_eq!(case_variants('7'), ["7"]);
    }
}
