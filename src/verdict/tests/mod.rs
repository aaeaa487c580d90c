//! One test a row of the truth table in `docs/verdicts.md`; each begins with a world that passes and changes one thing.

mod carried;
mod control;
mod coverage;
mod metadata;
mod no_bypass;
mod no_cleartext;
mod no_identifier;
mod tunnel;
mod vantage;
mod window;

use super::fixture::*;
use super::{Judgement, Outcome, Role, Source};
use crate::model::*;
use ClaimKind::{Carried, Metadata, NoBypass, NoCleartext, NoIdentifier, Tunnel};
use Outcome::{Broken, Holds, NotApplicable, Unproven, Warned};
use Verdict::{Fail, Inconclusive, Pass};

/// The world, changed, is judged.
fn with(mut world: World, change: impl FnOnce(&mut World)) -> Judgement {
    change(&mut world);
    world.judge()
}

/// One claim alone has this outcome for this reason; the others are as good as before, and the verdict follows.
fn only(judgement: &Judgement, claim: ClaimKind, outcome: Outcome, code: &str) {
    for row in &judgement.rows {
        if row.claim == claim {
            assert_eq!(row.outcome, outcome, "{judgement:#?}");
            assert!(row.reasons.iter().any(|reason| reason.code == code), "{row:#?}");
        } else {
            assert!(row.outcome <= Warned, "{row:#?}");
        }
    }
    assert!(judgement.coverage.is_empty(), "{:#?}", judgement.coverage);
    let verdict = match outcome {
        Broken => Fail,
        Unproven => Inconclusive,
        _ => Pass,
    };
    assert_eq!(judgement.verdict, verdict);
}

/// The coverage alone is spoiled, for this reason.
fn spoiled(judgement: &Judgement, code: &str) {
    assert!(judgement.rows.iter().all(|row| row.outcome <= Warned), "{:#?}", judgement.rows);
    assert!(judgement.spoiled_by(code), "{:#?}", judgement.coverage);
    assert_eq!(judgement.verdict, Inconclusive);
}

#[test]
fn three_plain_worlds_pass() {
    for world in [live(), recorded(), services()] {
        let judgement = world.judge();
        assert_eq!(judgement.verdict, Pass, "{judgement:#?}");
        assert_eq!(judgement.outcome(Carried), Holds);
    }
    assert_eq!(live().judge().outcome(Tunnel), Holds);
    assert_eq!(recorded().judge().outcome(Tunnel), NotApplicable);
    assert_eq!(services().judge().outcome(NoBypass), NotApplicable);
}

#[test]
fn an_own_recording_is_judged_as_the_live_run_was() {
    let live = live();
    let recorded = with(live.clone(), |w| w.source = Source::Recording { own: true, closed: true });
    assert_eq!(recorded.rows, live.judge().rows);
    assert_eq!(recorded.verdict, Pass);
}

/// The truth table and these tests name each other.
#[test]
fn every_test_is_a_row_of_the_table_and_every_row_is_a_test() {
    let table = include_str!("../../../docs/verdicts.md");
    let tests = [
        include_str!("mod.rs"),
        include_str!("tunnel.rs"),
        include_str!("carried.rs"),
        include_str!("no_bypass.rs"),
        include_str!("no_identifier.rs"),
        include_str!("no_cleartext.rs"),
        include_str!("metadata.rs"),
        include_str!("coverage.rs"),
        include_str!("control.rs"),
        include_str!("vantage.rs"),
        include_str!("window.rs"),
    ]
    .concat();
    let named: Vec<&str> = tests
        .lines()
        .zip(tests.lines().skip(1))
        .filter(|(before, _)| before.trim() == "#[test]")
        .filter_map(|(_, line)| line.trim().strip_prefix("fn ")?.split('(').next())
        .collect();
    let aside = [
        "an_own_recording_is_judged_as_the_live_run_was",
        "by_an_ipv4_mapped_address_is_our_own_connection",
        "by_our_connection_seen_the_other_way_round_is_accounted_the_right_way",
        "octets_that_the_capture_lost_in_ciphertext_are_accounted_for",
        "no_text_of_a_judgement_holds_an_identifier",
        "every_test_is_a_row_of_the_table_and_every_row_is_a_test",
    ];
    for test in named.iter().filter(|test| !aside.contains(test)) {
        assert!(table.contains(&format!("`{test}`")), "no row for {test}");
    }
    let rows = table.lines().filter(|line| line.starts_with('|') && line.ends_with("` |"));
    for row in rows {
        let last = row.trim_end_matches(" |").rsplit('|').next().unwrap().trim().trim_matches('`');
        if last.contains('_') && !last.contains("test `") {
            assert!(named.contains(&last), "no test for the row {row}");
        }
    }
}
