//! `tunnelcheck suite PATH...`: captures with the verdicts that they must have.

use super::args::{Common, FormatArg};
use super::exit::Exit;
use super::output::{deliver, threads};
use crate::model::Verdict;
use crate::report::escape;
use crate::run::{CaseResult, SuiteCase, find_cases, run_case};
use comfy_table::{Table, presets};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Judges every case and compares. 0 when every capture gave what its manifest expects, else 1.
pub(super) fn suite(paths: &[PathBuf], common: &Common) -> anyhow::Result<Exit> {
    let cases = find_cases(paths)?;
    let mut results = Vec::new();
    for case in &cases {
        results.push((case, run_case(case, threads(common))?));
    }
    let as_expected = results.iter().filter(|(case, result)| result.is_as_expected(case)).count();
    let text = match common.format {
        FormatArg::Text => text(&results, as_expected, common.quiet),
        FormatArg::Json => json(&results),
        FormatArg::Ndjson => ndjson(&results),
        FormatArg::Junit => junit(&results, as_expected),
    };
    deliver(text.as_bytes(), common)?;
    Ok(if as_expected == results.len() { Exit::Pass } else { Exit::Fail })
}

type Results<'a> = [(&'a SuiteCase, CaseResult)];

/// What differs from the manifest, in words; empty where nothing does.
fn difference(case: &SuiteCase, result: &CaseResult) -> String {
    let mut text = String::new();
    let verdict = result.outcome.judgement.verdict;
    if verdict != case.expected {
        let _ = write!(text, "expected {}, got {verdict}", case.expected);
    }
    if !result.missing.is_empty() {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{separator}not named: {}", result.missing.join(", "));
    }
    text
}

fn text(results: &Results<'_>, as_expected: usize, quiet: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "case", "verdict", "shows"]);
    for (case, result) in results {
        let ok = result.is_as_expected(case);
        if ok && quiet {
            continue;
        }
        let verdict = result.outcome.judgement.verdict.to_string();
        let shows = if ok { case.shows.clone() } else { difference(case, result) };
        let mark = if ok { "ok" } else { "WRONG" };
        table.add_row([mark, &case.name, &verdict, &escape::terminal(&shows)]);
    }
    let count = results.len();
    format!("{table}\n\n{as_expected} of {count} captures gave what their manifests expect\n")
}

fn object(case: &SuiteCase, result: &CaseResult) -> serde_json::Value {
    json!({
        "type": "case",
        "name": case.name,
        "manifest": case.manifest.display().to_string(),
        "shows": case.shows,
        "expected": word(case.expected),
        "verdict": word(result.outcome.judgement.verdict),
        "as_expected": result.is_as_expected(case),
        "named": result.outcome.judgement.causes(),
        "not_named": result.missing,
    })
}

fn word(verdict: Verdict) -> String {
    verdict.to_string().to_ascii_lowercase()
}

fn json(results: &Results<'_>) -> String {
    let cases: Vec<_> = results.iter().map(|(case, result)| object(case, result)).collect();
    format!("{:#}\n", json!({ "cases": cases }))
}

fn ndjson(results: &Results<'_>) -> String {
    let mut text = String::new();
    for (case, result) in results {
        let _ = writeln!(text, "{}", object(case, result));
    }
    text
}

fn junit(results: &Results<'_>, as_expected: usize) -> String {
    let failures = results.len() - as_expected;
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"tunnelcheck suite\" tests=\"{}\" failures=\"{failures}\">\n",
        results.len()
    );
    for (case, result) in results {
        let name = escape::xml(&case.name);
        if result.is_as_expected(case) {
            let _ = writeln!(text, "  <testcase classname=\"suite\" name=\"{name}\"/>");
        } else {
            let why = escape::xml(&difference(case, result));
            let _ = writeln!(
                text,
                "  <testcase classname=\"suite\" name=\"{name}\"><failure message=\"{why}\"/></testcase>"
            );
        }
    }
    text.push_str("</testsuite>\n");
    text
}
