//! Patterns of hosts, and of file names for Include.

use std::path::{Component, Path, PathBuf};

/// Whether `text` fits `pattern`, in which `*` stands for any characters and `?` for one. Case counts.
pub(super) fn fits(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at_text, mut at_pattern) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(at_text) {
        match pattern.get(at_pattern) {
            Some('*') => {
                star = Some((at_text, at_pattern));
                at_pattern += 1;
            }
            Some(p) if *p == '?' || p == c => {
                at_text += 1;
                at_pattern += 1;
            }
            _ => {
                // The last star swallows one character more.
                let Some((from_text, from_pattern)) = star else { return false };
                star = Some((from_text + 1, from_pattern));
                at_text = from_text + 1;
                at_pattern = from_pattern + 1;
            }
        }
    }
    pattern.iter().skip(at_pattern).all(|p| *p == '*')
}

/// Whether `text` fits a list with commas, in which `!` refuses.
pub(super) fn fits_list(text: &str, list: &str) -> bool {
    let mut fitting = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(refused) if fits(text, refused) => return false,
            Some(_) => {}
            None => fitting |= fits(text, pattern),
        }
    }
    fitting
}

/// As `fits_list`, without case.
pub(super) fn fits_host_list(host: &str, list: &str) -> bool {
    fits_list(&host.to_lowercase(), &list.to_lowercase())
}

/// Whether the text is a pattern, not a plain name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '!'])
}

/// The existing files that fit a path in which `*`, `?` and `[...]` may stand, in order; at most `limit`.
pub(super) fn glob(path: &Path, limit: usize) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        let Component::Normal(name) = component else {
            for path in &mut found {
                path.push(component);
            }
            continue;
        };
        let name = name.to_string_lossy();
        if !name.contains(['*', '?', '[']) {
            for path in &mut found {
                path.push(&*name);
            }
            continue;
        }
        let mut next = Vec::new();
        for dir in &found {
            let Ok(entries) =
                std::fs::read_dir(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
            else {
                continue;
            };
            for entry in entries.flatten() {
                let entry = entry.file_name();
                let text = entry.to_string_lossy();
                let hidden = text.starts_with('.') && !name.starts_with('.');
                if !hidden && fits_file(&text, &name) {
                    next.push(dir.join(&entry));
                }
            }
        }
        next.sort();
        next.truncate(limit);
        found = next;
    }
    found.retain(|path| path.exists());
    found
}

/// glob(7): as `fits`, with `[abc]`, `[a-z]` and `[!a-z]`.
fn fits_file(text: &str, pattern: &str) -> bool {
    let mut text = text.chars();
    let mut pattern = pattern.chars();
    while let Some(p) = pattern.next() {
        match p {
            '*' => {
                let rest = pattern.as_str();
                let mut tail = text.clone();
                loop {
                    if fits_file(tail.as_str(), rest) {
                        return true;
                    }
                    if tail.next().is_none() {
                        return false;
                    }
                }
            }
            '?' => {
                if text.next().is_none() {
                    return false;
                }
            }
            '[' if pattern.as_str().contains(']') => {
                let Some(c) = text.next() else { return false };
                let negated = pattern.as_str().starts_with(['!', '^']);
                if negated {
                    pattern.next();
                }
                let Some((set, rest)) = pattern.as_str().split_once(']') else { return false };
                let set: Vec<char> = set.chars().collect();
                let in_range = set
                    .windows(3)
                    .any(|w| matches!(w, [low, '-', high] if (*low..=*high).contains(&c)));
                if (in_range || set.contains(&c)) == negated {
                    return false;
                }
                pattern = rest.chars();
            }
            _ => {
                if text.next() != Some(p) {
                    return false;
                }
            }
        }
    }
    text.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (text, pattern, want) in [
            ("mail.example.net", "*.example.net", true),
            ("mail", "*", true),
            ("", "*", true),
            ("abc", "a?c", true),
            ("abc", "a?d", false),
            ("Mail", "mail", false),
            ("aab", "*ab", true),
            ("ab", "ab**", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(fits(text, pattern), want, "{text} {pattern}");
        }
    }

    #[test]
    fn a_refusal_in_a_list_wins() {
        assert!(fits_list("a.b", "*.b,!c.b"));
        assert!(!fits_list("c.b", "*.b,!c.b"));
        assert!(!fits_list("x", "!y"));
        assert!(fits_host_list("MAIL.x", "mail.*"));
    }

    #[test]
    fn file_patterns_find_files_in_order_without_hidden_ones() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".c.conf", "d.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            glob(&dir.path().join(pattern), 10)
                .iter()
                .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(names("[!a].conf"), ["b.conf"]);
        assert_eq!(names("[a-b].c*"), ["a.conf", "b.conf"]);
        assert_eq!(names("d.txt"), ["d.txt"]);
        assert_eq!(names("none"), [""; 0]);
    }
}
