//! Credentials in web forms: query strings, `application/x-www-form-urlencoded` and JSON bodies.

use crate::model::Field;

/// Pairs read of one form.
const MAX_PAIRS: usize = 256;

/// Names of fields that hold who is who, in lower case.
const USERS: &[&str] =
    &["user", "username", "userid", "user_name", "uid", "login", "log", "email", "account", "nick"];

/// Names of fields that hold a secret that a person types.
const PASSWORDS: &[&str] =
    &["pass", "password", "passwd", "passwort", "pwd", "pw", "psw", "passphrase", "secret", "pin"];

/// Names of fields that hold a secret that a program sends.
const TOKENS: &[&str] = &[
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "api_key",
    "apikey",
    "client_secret",
    "sessionid",
    "session_id",
    "sid",
];

/// A credential: what it is, its value with the encoding undone, and where it stands in the form.
pub(crate) struct Entry {
    pub(crate) field: Field,
    pub(crate) value: Vec<u8>,
    pub(crate) at: usize,
    pub(crate) len: usize,
    /// It was written as `%41` or `+`, or with a backslash.
    pub(crate) is_encoded: bool,
}

/// Reads `a=b&c=d` (WHATWG URL s5).
pub(crate) fn urlencoded(form: &[u8], out: &mut dyn FnMut(Entry)) {
    let mut at = 0_usize;
    for pair in form.split(|octet| matches!(octet, b'&' | b';')).take(MAX_PAIRS) {
        if let Some(equals) = pair.iter().position(|octet| *octet == b'=')
            && let Some((name, value)) = pair.split_at_checked(equals)
            && let Some(field) = meaning(&percent(name))
        {
            let raw = value.get(1..).unwrap_or_default();
            let value = percent(raw);
            let is_encoded = value != raw;
            if !value.is_empty() {
                out(Entry { field, value, at: at + equals + 1, len: raw.len(), is_encoded });
            }
        }
        at += pair.len() + 1;
    }
}

/// Reads `"name": "value"` wherever it stands in JSON text (RFC 8259 s7). Nesting does not matter.
pub(crate) fn json(text: &[u8], out: &mut dyn FnMut(Entry)) {
    let mut key: Option<Vec<u8>> = None;
    let mut at = 0;
    let mut left = MAX_PAIRS;
    while let Some(start) = memchr::memchr(b'"', text.get(at..).unwrap_or_default()) {
        let from = at + start + 1;
        let Some((value, len)) = json_string(text.get(from..).unwrap_or_default()) else { return };
        at = from + len + 1;
        let rest = text.get(at..).unwrap_or_default().trim_ascii_start();
        if rest.first() == Some(&b':') {
            let is_text =
                rest.get(1..).unwrap_or_default().trim_ascii_start().first() == Some(&b'"');
            key = is_text.then_some(value);
            continue;
        }
        if let Some(field) = key.take().and_then(|key| meaning(&key))
            && !value.is_empty()
        {
            let is_encoded = value.len() != len;
            out(Entry { field, value, at: from, len, is_encoded });
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }
}

/// A string up to its closing quote: its value, and how many octets it took. `\u` escapes outside ASCII stay written.
fn json_string(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut value = Vec::new();
    let mut octets = text.iter().copied().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'"' => return Some((value, at)),
            b'\\' => match octets.next()?.1 {
                b'n' => value.push(b'\n'),
                b't' => value.push(b'\t'),
                b'r' => value.push(b'\r'),
                b'u' => {
                    let digits = text.get(at + 2..at + 6)?;
                    let code = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
                    if let Some(code) = code.filter(u8::is_ascii) {
                        value.push(code);
                    } else {
                        value.extend_from_slice(text.get(at..at + 6)?);
                    }
                    octets.nth(3)?;
                }
                other => value.push(other),
            },
            _ => value.push(octet),
        }
    }
    None
}

/// What a field of that name holds.
fn meaning(name: &[u8]) -> Option<Field> {
    let name = name.to_ascii_lowercase();
    // Frameworks nest: `user[password]`, `login.form.email`, `j_username`.
    let last = name
        .split(|octet| matches!(octet, b'[' | b'.' | b':'))
        .rfind(|part| !part.is_empty())
        .unwrap_or(&name);
    let last = last.strip_suffix(b"]").unwrap_or(last);
    let last = last.strip_prefix(b"j_").unwrap_or(last);
    let is = |names: &[&str]| names.iter().any(|known| known.as_bytes() == last);
    if is(USERS) {
        Some(Field::USERNAME)
    } else if is(PASSWORDS) {
        Some(Field::PASSWORD)
    } else if is(TOKENS) {
        Some(Field::TOKEN)
    } else {
        None
    }
}

/// Undoes `%41` and `+`.
fn percent(text: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        let digits = text.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let code = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (octet, code) {
            (b'%', Some(code)) => {
                value.push(code);
                at += 2;
            }
            (b'+', _) => value.push(b' '),
            _ => value.push(octet),
        }
        at += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(read: impl Fn(&mut dyn FnMut(Entry))) -> Vec<String> {
        let mut entries = Vec::new();
        read(&mut |entry: Entry| {
            let value = String::from_utf8_lossy(&entry.value).into_owned();
            entries.push(format!("{}={value}@{}+{}", entry.field.0, entry.at, entry.len));
        });
        entries
    }

    #[test]
    fn a_form_gives_user_and_password() {
        let form = b"csrf=1&user%5Blogin%5D=a%40b&pwd=x+y%&login=";
        assert_eq!(all(|out| urlencoded(form, out)), ["username=a@b@23+5", "password=x y%@33+4"]);
    }

    #[test]
    fn json_gives_user_and_password() {
        let text = br#"{"n":1,"auth":{"userName":"j\u0073mith", "password" : "a\"b"},"token":3}"#;
        assert_eq!(all(|out| json(text, out)), ["username=jsmith@27+11", "password=a\"b@55+4"]);
        assert!(all(|out| json(b"{\"password\":\"cut", out)).is_empty());
    }
}
