//! The slow way: every text in every encoding at every place, octet by octet. What the matcher is held against, here and in
//! the fuzz target of the same name, which takes this very file.
//!
//! In: texts of ASCII (at least three characters, no two blanks side by side, none of `%=&\"/+`) and whole streams without
//! encoded words. Out: all places, each once. Never: anything of the matcher's own.

use std::collections::BTreeSet;

/// Texts of up to so many octets are told only as words by themselves.
const WORD: usize = 3;

/// Which text, the name of the encoding, the first octet and one past the last.
pub(crate) type Hit = (usize, &'static str, usize, usize);

/// All that stands in the octets as they are, and in each family of escapes undone.
pub(crate) fn search(texts: &[&str], bytes: &[u8]) -> BTreeSet<Hit> {
    let mut all: BTreeSet<Hit> = plain(texts, bytes).into_iter().collect();
    let families = [percent, equals, entity, backslash].map(|family| undo(family, bytes));
    all.extend(families.iter().flat_map(|items| undone(texts, items, bytes, false)));
    all.extend(undone(texts, &undo(mixed, bytes), bytes, true));
    all.extend(undone(texts, &undo_utf7(bytes), bytes, false));
    all
}

/// What an octet of the wire stands for, or nothing, as a soft line break does.
#[derive(Clone, Copy)]
struct Item {
    octet: Option<u8>,
    from: usize,
    to: usize,
    escape: Option<&'static str>,
}

/// Those texts in the undone octets that hold an escape, or are words that one in front of them hides on the wire; where two
/// families are undone together, those that hold both.
fn undone(texts: &[&str], items: &[Item], bytes: &[u8], is_mixed: bool) -> Vec<Hit> {
    if items.iter().all(|item| item.escape.is_none()) {
        return Vec::new();
    }
    let places: Vec<usize> = (0..items.len()).filter(|at| items[*at].octet.is_some()).collect();
    let octets: Vec<u8> = items.iter().filter_map(|item| item.octet).collect();
    let mut all = Vec::new();
    for (text, encoding, from, to) in plain(texts, &octets) {
        let held = &items[places[from]..=places[to - 1]];
        let mut escapes = held.iter().filter_map(|item| item.escape);
        let hidden = || {
            let before = &items[places[from].checked_sub(1)?];
            let hides = bytes[before.to - 1].is_ascii_alphanumeric();
            before.escape.filter(|_| hides && encoding == "ascii" && texts[text].len() <= WORD)
        };
        let Some(first) = escapes.next().or_else(hidden) else { continue };
        if !is_mixed || escapes.any(|it| family(it) != family(first)) {
            all.push((text, first, held[0].from, held[held.len() - 1].to));
        }
    }
    all
}

fn family(name: &str) -> u8 {
    match name {
        "percent" => b'%',
        "quoted-printable" => b'=',
        "html-entity" => b'&',
        _ => b'\\',
    }
}

/// An escape at the start of some octets: how many of them it takes, what it stands for, and its name.
type Escape = (usize, Vec<u8>, &'static str);

fn undo(escape: fn(&[u8]) -> Option<Escape>, bytes: &[u8]) -> Vec<Item> {
    let (mut items, mut at) = (Vec::new(), 0);
    while let Some(&octet) = bytes.get(at) {
        let item = Item { octet: Some(octet), from: at, to: at + 1, escape: None };
        let Some((len, stands_for, name)) = escape(&bytes[at..]) else {
            items.push(item);
            at += 1;
            continue;
        };
        let item = Item { octet: None, to: at + len, escape: Some(name), ..item };
        if stands_for.is_empty() {
            items.push(item);
        }
        items.extend(stands_for.iter().map(|octet| Item { octet: Some(*octet), ..item }));
        at += len;
    }
    items
}

fn number(digits: Option<&[u8]>, radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits?).ok()?;
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    u32::from_str_radix(digits, radix).ok().filter(|_| is_number)
}

fn octet(digits: Option<&[u8]>, radix: u32) -> Option<u8> {
    u8::try_from(number(digits, radix)?).ok()
}

fn utf8(code: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(code)?.to_string().into_bytes())
}

fn percent(bytes: &[u8]) -> Option<Escape> {
    match bytes {
        [b'%', b'u' | b'U', ..] => Some((6, utf8(number(bytes.get(2..6), 16)?)?, "percent")),
        [b'%', ..] => Some((3, vec![octet(bytes.get(1..3), 16)?], "percent")),
        _ => None,
    }
}

fn equals(bytes: &[u8]) -> Option<Escape> {
    let name = "quoted-printable";
    let rest = bytes.strip_prefix(b"=")?;
    if let Some(octet) = octet(rest.get(..2), 16) {
        return Some((3, vec![octet], name));
    }
    let blanks = rest.iter().take_while(|octet| b" \t".contains(octet)).count();
    let end = if rest[blanks..].starts_with(b"\n") {
        1
    } else if rest[blanks..].starts_with(b"\r\n") {
        2
    } else {
        return None;
    };
    (blanks <= 16).then_some((1 + blanks + end, Vec::new(), name))
}

/// Names of the characters that texts and what stands between their octets may have.
const NAMES: [(&str, char); 11] = [
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("plus", '+'),
    ("period", '.'),
    ("colon", ':'),
    ("commat", '@'),
    ("lowbar", '_'),
    ("UnderBar", '_'),
    ("sol", '/'),
    ("nbsp", '\u{a0}'),
    ("NonBreakingSpace", '\u{a0}'),
];

fn entity(bytes: &[u8]) -> Option<Escape> {
    let name = "html-entity";
    let body = bytes.strip_prefix(b"&")?;
    let (radix, skip) = match body {
        [b'#', b'x' | b'X', ..] => (16, 2),
        [b'#', ..] => (10, 1),
        _ => {
            let is_it = |known: &&(&str, char)| {
                body.strip_prefix(known.0.as_bytes()).is_some_and(|rest| rest.starts_with(b";"))
            };
            let (known, c) = NAMES.iter().find(is_it)?;
            return Some((known.len() + 2, c.to_string().into_bytes(), name));
        }
    };
    let digits = &body[skip..];
    let len = digits.iter().take_while(|octet| char::from(**octet).is_digit(radix)).count();
    let stands_for = utf8(number(digits.get(..len).filter(|_| len <= 10), radix)?)?;
    let semicolon = usize::from(digits.get(len) == Some(&b';'));
    Some((1 + skip + len + semicolon, stands_for, name))
}

fn backslash(bytes: &[u8]) -> Option<Escape> {
    let name = "json-escape";
    match bytes {
        [b'\\', b'u', ..] => match number(bytes.get(2..6), 16)? {
            high @ 0xd800..0xdc00 if bytes.get(6..8) == Some(b"\\u") => {
                let low = number(bytes.get(8..12), 16)?.checked_sub(0xdc00)?;
                let code = 0x1_0000 + ((high - 0xd800) << 10) + low;
                (low < 0x400).then_some((12, utf8(code)?, name))
            }
            unit => Some((6, utf8(unit)?, name)),
        },
        [b'\\', b'x' | b'X', ..] => Some((4, vec![octet(bytes.get(2..4), 16)?], "hex")),
        [b'\\', b'0'..=b'3', ..] => Some((4, vec![octet(bytes.get(1..4), 8)?], name)),
        _ => None,
    }
}

fn mixed(bytes: &[u8]) -> Option<Escape> {
    [percent, equals, entity, backslash].into_iter().find_map(|escape| escape(bytes))
}

/// Modified UTF-7. Each unit comes from the characters that hold its bits, the first one from the `&` on.
fn undo_utf7(bytes: &[u8]) -> Vec<Item> {
    let name = Some("modified-utf-7");
    let value = |octet: &u8| match octet {
        b',' => Some(63),
        b'/' | b'-' | b'_' => None,
        other => value64(*other),
    };
    let (mut items, mut at) = (Vec::new(), 0);
    while let Some(&octet) = bytes.get(at) {
        let item = Item { octet: Some(octet), from: at, to: at + 1, escape: None };
        let values: Vec<u8> = match octet {
            b'&' => bytes[at + 1..].iter().map_while(value).collect(),
            _ => Vec::new(),
        };
        if bytes[at..].starts_with(b"&-") {
            items.push(Item { to: at + 2, escape: name, ..item });
            at += 2;
            continue;
        }
        if values.len() < 3 {
            items.push(item);
            at += 1;
            continue;
        }
        let bits = values.iter().flat_map(|it| (0..6).rev().map(move |bit| *it >> bit & 1));
        let bits: Vec<u8> = bits.collect();
        let unit = |bits: &[u8]| bits.iter().fold(0_u16, |all, bit| all << 1 | u16::from(*bit));
        let mut before = 0;
        for (nth, unit) in bits.chunks_exact(16).map(unit).enumerate() {
            let octets = match unit {
                // Half of a pair alone stands for nothing, and a whole one for what is in no text.
                0xd800..0xdc00 => vec![None],
                0xdc00..0xe000 if !(0xd800..0xdc00).contains(&before) => vec![None],
                0xdc00..0xe000 => vec![Some(0xff)],
                _ => utf8(u32::from(unit)).unwrap_or_default().into_iter().map(Some).collect(),
            };
            let from = if nth == 0 { at } else { at + 1 + nth * 16 / 6 };
            let to = at + 1 + ((nth + 1) * 16).div_ceil(6);
            let item = |octet: Option<u8>| Item { octet, from, to, escape: name };
            items.extend(octets.into_iter().map(item));
            before = unit;
        }
        at += 1 + values.len();
        // What ends a shift without a `-` begins none.
        if let Some(&octet) = bytes.get(at) {
            if octet != b'-' {
                items.push(Item { octet: Some(octet), from: at, to: at + 1, escape: None });
            }
            at += 1;
        }
    }
    items
}

/// All texts in the octets as they are.
fn plain(texts: &[&str], octets: &[u8]) -> Vec<Hit> {
    let mut all = Vec::new();
    for (nth, text) in texts.iter().enumerate() {
        let wide: Vec<u8> = text.bytes().flat_map(|octet| [octet, 0]).collect();
        let is_word = text.len() <= WORD;
        let letter = |at: Option<usize>| {
            at.and_then(|at| octets.get(at)).is_some_and(u8::is_ascii_alphanumeric)
        };
        let zero = |at: Option<usize>| at.and_then(|at| octets.get(at)) == Some(&0);
        for from in 0..octets.len() {
            let back = |octets: usize| from.checked_sub(octets);
            if let Some((to, is_form)) = written(text.as_bytes(), octets, from, Width::Octet)
                && !(is_word && (letter(back(1)) || letter(Some(to))))
            {
                all.push((nth, if is_form { "percent" } else { "ascii" }, from, to));
            }
            if let Some((to, _)) = written(text.as_bytes(), octets, from, Width::Low) {
                let is_touched =
                    letter(back(2)) && zero(back(1)) || letter(Some(to)) && zero(Some(to + 1));
                if !(is_word && is_touched) {
                    all.push((nth, "utf-16le", from, to));
                }
            }
            if let Some((to, _)) = written(text.as_bytes(), octets, from, Width::High) {
                let is_touched =
                    letter(back(1)) && zero(back(2)) || letter(Some(to + 1)) && zero(Some(to));
                // In front of a zero it is told as little endian, which stands there too.
                if !(if is_word { is_touched } else { zero(Some(to)) }) {
                    all.push((nth, "utf-16be", from, to));
                }
            }
            if value64(octets[from]).is_none() {
                continue;
            }
            for separator in ["", ":", "-", " "] {
                all.extend(
                    hex(text.as_bytes(), octets, from, separator).map(|to| (nth, "hex", from, to)),
                );
            }
            for (text, phase) in [text.as_bytes(), &wide]
                .into_iter()
                .flat_map(|it| (0..3).map(move |phase| (it, phase)))
            {
                all.extend(
                    base64(text, octets, from, phase).map(|(to, name)| (nth, name, from, to)),
                );
            }
        }
    }
    all
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Octet,
    /// Two octets, low one first.
    Low,
    /// Two octets, high one first.
    High,
}

/// What may stand for a blank.
const BLANKS: [&str; 10] = ["\r\n ", "\r\n\t", "\n ", "\n\t", "\r\n", "\n", "  ", "   ", "\t", " "];
/// The same, where a character is an octet: also a blank of forms, and one that does not break in UTF-8 and Latin-1.
const OCTET_BLANKS: [&str; 3] = ["+", "\u{c2}\u{a0}", "\u{a0}"];

/// Where the text ends that begins at `from`, and whether a blank of it is a plus.
fn written(text: &[u8], octets: &[u8], from: usize, width: Width) -> Option<(usize, bool)> {
    let Some((first, rest)) = text.split_first() else { return Some((from, false)) };
    let unit = |at: usize| {
        let unit = octets.get(at..at + if width == Width::Octet { 1 } else { 2 })?;
        match (width, unit) {
            (Width::Octet, [octet]) | (Width::Low, [octet, 0]) | (Width::High, [0, octet]) => {
                Some(*octet)
            }
            _ => None,
        }
    };
    let step = if width == Width::Octet { 1 } else { 2 };
    if *first != b' ' {
        let is_it = unit(from)?.eq_ignore_ascii_case(first);
        return if is_it { written(rest, octets, from + step, width) } else { None };
    }
    let others: &[&str] = if width == Width::Octet { &OCTET_BLANKS } else { &OCTET_BLANKS[2..] };
    BLANKS.iter().chain(others).find_map(|blank| {
        let mut at = from;
        for c in blank.chars() {
            if unit(at).map(char::from) != Some(c) {
                return None;
            }
            at += step;
        }
        let (to, is_form) = written(rest, octets, at, width)?;
        Some((to, is_form || *blank == "+"))
    })
}

fn hex(text: &[u8], octets: &[u8], from: usize, separator: &str) -> Option<usize> {
    let mut at = from;
    for (nth, want) in text.iter().enumerate() {
        if nth > 0 {
            octets.get(at..)?.strip_prefix(separator.as_bytes())?;
            at += separator.len();
        }
        if !octet(octets.get(at..at + 2), 16)?.eq_ignore_ascii_case(want) {
            return None;
        }
        at += 2;
    }
    Some(at)
}

/// Where the base64 ends whose character at `from` holds the first bits of a text that stands `phase` octets behind the start
/// of a group. One line break for every sixteen characters and one more, of four octets at most on the average.
fn base64(text: &[u8], octets: &[u8], from: usize, phase: usize) -> Option<(usize, &'static str)> {
    let lead = phase * 8 % 6;
    let count = (lead + text.len() * 8).div_ceil(6);
    let (mut at, mut breaks, mut is_url) = (from, 0, false);
    let (mut bits, mut held, mut want) = (0_u32, 0, text.iter());
    value64(*octets.get(at)?)?;
    for nth in 0..count {
        loop {
            let is_break = match octets.get(at)? {
                b'\r' | b'\n' => true,
                b' ' | b'\t' => octets.get(at - 1) == Some(&b'\n'),
                _ => false,
            };
            if !is_break {
                break;
            }
            (at, breaks) = (at + 1, breaks + 1);
        }
        let value = value64(octets[at])?;
        is_url |= b"-_".contains(&octets[at]);
        at += 1;
        bits = bits << 6 | u32::from(value);
        held += if nth == 0 { 6 - lead } else { 6 };
        if held >= 8 {
            held -= 8;
            let octet = (bits >> held & 0xff) as u8;
            if want.next().is_some_and(|want| !want.eq_ignore_ascii_case(&octet)) {
                return None;
            }
        }
    }
    (breaks <= 4 * (1 + count / 16)).then_some((at, if is_url { "base64url" } else { "base64" }))
}

fn value64(octet: u8) -> Option<u8> {
    let (first, value) = match octet {
        b'A'..=b'Z' => (b'A', 0),
        b'a'..=b'z' => (b'a', 26),
        b'0'..=b'9' => (b'0', 52),
        b'+' | b'-' => (octet, 62),
        b'/' | b'_' => (octet, 63),
        _ => return None,
    };
    Some(octet - first + value)
}
