//! The word that was perhaps meant.

/// The candidate nearest to `word`, where it differs by no more than a third of its letters (at least one).
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    const MAX_WORD_CHARS: usize = 64; // longer ones are no slip of the finger, and the distance is quadratic
    let word: Vec<char> = word.to_lowercase().chars().collect();
    if word.is_empty() || word.len() > MAX_WORD_CHARS {
        return None;
    }
    let limit = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_WORD_CHARS * 4)
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Insertions, deletions and replacements between two words (Levenshtein).
fn distance(word: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (above, letter) in other.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above.saturating_add(1);
        let mut next = vec![left];
        for (own, up) in word.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(*own != letter));
            left = replaced.min(left.saturating_add(1)).min(up.saturating_add(1));
            next.push(left);
            diagonal = *up;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_found() {
        assert_eq!(nearest("gatway", ["gateway", "client"]).as_deref(), Some("gateway"));
        assert_eq!(nearest("hostnmae", ["hostname", "host"]).as_deref(), Some("hostname"));
        assert_eq!(nearest("dasher", ["dancer", "prancer"]).as_deref(), Some("dancer"));
        assert_eq!(nearest("xyz", ["gateway"]), None);
        assert_eq!(nearest("", ["a"]), None);
    }
}
