//! A line of ssh_config -> keyword and arguments, as OpenSSH cuts it (readconf.c, misc.c: strdelim and argv_split).

/// Blanks between words.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// A quote that has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenQuote;

/// Cuts the next word off, at blanks and at one `=`. None: an open quote. Second: what follows, none at the end.
pub(super) fn next_word(text: &str) -> Option<(String, Option<&str>)> {
    let is_delimiter = |c: char| BLANKS.contains(&c) || c == '"' || c == '=';
    let Some(at) = text.find(is_delimiter) else { return Some((text.to_owned(), None)) };
    let (word, rest) = text.split_at(at);
    if let Some(quoted) = rest.strip_prefix('"') {
        let (inside, rest) = quoted.split_once('"')?;
        return Some((format!("{word}{inside}"), Some(rest.trim_start_matches(BLANKS))));
    }
    if let Some(rest) = rest.strip_prefix('=') {
        return Some((word.to_owned(), Some(rest.trim_start_matches(BLANKS))));
    }
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix('=').map_or(rest, |rest| rest.trim_start_matches(BLANKS));
    Some((word.to_owned(), Some(rest)))
}

/// Keyword as written, and what follows it. None: nothing on the line but blanks or a comment.
pub(super) fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.split('\0').next().unwrap_or_default();
    let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\x0c']);
    let (mut word, mut rest) = next_word(line)?;
    if word.is_empty() {
        (word, rest) = next_word(rest?)?;
    }
    if word.is_empty() || word.starts_with('#') {
        return None;
    }
    Some((word, rest.unwrap_or_default().trim_start_matches(BLANKS)))
}

/// The arguments: words with single or double quotes and backslash escapes, up to a word that begins with `#`.
pub(super) fn arguments(text: &str) -> Result<Vec<String>, OpenQuote> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    let escaped = chars.next_if(|&next| {
                        matches!(next, '\'' | '"' | '\\') || (quote.is_none() && next == ' ')
                    });
                    word.push(escaped.unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(open)) if open == c => quote = None,
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return Err(OpenQuote);
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyword_and_argument_part_at_blanks_or_one_equals_sign() {
        assert_eq!(keyword("  Port 22"), Some(("Port".into(), "22")));
        assert_eq!(keyword("Port=22"), Some(("Port".into(), "22")));
        assert_eq!(keyword("Port = 22  "), Some(("Port".into(), "22")));
        assert_eq!(keyword("Port==22"), Some(("Port".into(), "=22")));
        assert_eq!(keyword("\"Port\" 22"), Some(("Port".into(), "22")));
        assert_eq!(keyword("Port"), Some(("Port".into(), "")));
        assert_eq!(keyword("   # Port 22"), None);
        assert_eq!(keyword(""), None);
    }

    #[test]
    fn a_comment_begins_where_a_word_could() {
        assert_eq!(arguments("22   #use 22").unwrap(), ["22"]);
        assert_eq!(arguments("a#b c").unwrap(), ["a#b", "c"]);
        assert_eq!(arguments("#nothing").unwrap(), [""; 0]);
    }

    #[test]
    fn quotes_and_escapes_are_undone() {
        assert_eq!(
            arguments(r#""a b" 'c "d' e\ f g\"h"#).unwrap(),
            ["a b", "c \"d", "e f", "g\"h"]
        );
        assert_eq!(arguments(r#""" x"#).unwrap(), ["", "x"]);
        assert_eq!(arguments(r#""a"#), Err(OpenQuote));
        assert_eq!(arguments(r"a\z").unwrap(), [r"a\z"]);
    }
}
