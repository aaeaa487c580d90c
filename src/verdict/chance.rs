//! Whether chance explains hits of a pattern in ciphertext.

use crate::model::{Encoding, Hit};
use std::collections::BTreeMap;

/// Below this probability chance does not explain the hits: they count. A run has some hundred patterns; all of them
/// together then give a wrong FAIL less than once in a thousand runs.
const NEVER_CHANCE: f64 = 1e-6;

/// From this probability on, chance explains the hits. Between the two nothing is proven.
const PLAINLY_CHANCE: f64 = 1e-3;

/// What chance says of the hits of one pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Luck {
    /// Chance explains them; with the probability of at least so many.
    Explained(f64),
    /// It may.
    Unclear(f64),
    /// It does not.
    Counted(f64),
}

/// Hits of one pattern: same label, text and encoding.
type Pattern<'a> = (Option<&'a str>, &'a [u8], Encoding);

/// Groups hits by pattern, each with what chance says of the group.
pub(super) fn judge<'a>(hits: impl IntoIterator<Item = &'a Hit>) -> Vec<(Luck, Vec<&'a Hit>)> {
    let mut groups: BTreeMap<Pattern<'a>, Vec<&'a Hit>> = BTreeMap::new();
    for hit in hits {
        groups
            .entry((hit.label.as_deref(), hit.value.as_slice(), hit.encoding))
            .or_default()
            .push(hit);
    }
    groups.into_values().map(|hits| (luck(&hits), hits)).collect()
}

/// The least probability of the k smallest expectations for any k: another hit can only lower it.
fn luck(hits: &[&Hit]) -> Luck {
    // No expectation is known: nothing to explain it with.
    let mut expected: Vec<f64> = hits
        .iter()
        .map(|hit| hit.chance.filter(|chance| chance.is_finite() && *chance > 0.0).unwrap_or(0.0))
        .collect();
    expected.sort_by(f64::total_cmp);
    let least =
        expected.iter().zip(1_u32..).map(|(lambda, k)| at_least(k, *lambda)).fold(1.0, f64::min);
    if least < NEVER_CHANCE {
        Luck::Counted(least)
    } else if least < PLAINLY_CHANCE {
        Luck::Unclear(least)
    } else {
        Luck::Explained(least)
    }
}

/// Poisson: the probability of `k` or more where `lambda` are expected.
fn at_least(k: u32, lambda: f64) -> f64 {
    if lambda <= 0.0 {
        return if k == 0 { 1.0 } else { 0.0 };
    }
    if f64::from(k) <= lambda {
        return 1.0; // As expected, or fewer: at least one half, which explains it.
    }
    // Sum the tail itself: one minus the head would lose all digits. Terms fall by lambda / i < 1 from here on.
    let mut log_term = -lambda;
    for i in 1..=k {
        log_term += lambda.ln() - f64::from(i).ln();
    }
    let mut term = log_term.exp();
    let mut sum = 0.0;
    for i in k.. {
        sum += term;
        term *= lambda / (f64::from(i) + 1.0);
        if term <= sum * 1e-12 {
            break;
        }
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_right_where_it_is_small() {
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-3;
        assert!(close(at_least(1, 1e-9), 1e-9));
        assert!(close(at_least(1, 0.01), 0.009_950));
        assert!(close(at_least(3, 0.01), 1.654e-7));
        assert!(close(at_least(24, 2.0), 3.977e-18));
        assert!((at_least(1, 5.0) - 1.0).abs() < 1e-9);
        assert!(at_least(1, 0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_tail_ends_for_any_expectation() {
        for lambda in [1e-300, 0.5, 1.0, 23.999_999, 1e6, 1e18, f64::MAX] {
            let p = at_least(24, lambda);
            assert!((0.0..=1.0).contains(&p), "{lambda}: {p}");
        }
    }
}
