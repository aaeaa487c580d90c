//! The tables, as Markdown, and their place in the document.

use crate::measure::Costs;
use crate::traffic::Kind;
use crate::{PARTS, Results, Settings, machine, programs};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- make bench: from here -->";
const END: &str = "<!-- make bench: to here -->";

/// Below this the start of a program is much of what it costs.
const LEAST_SCALE: f64 = 0.1;

/// Everything between the marks.
pub(crate) fn render(results: &Results) -> String {
    let mut text = String::new();
    head(results, &mut text);
    cpu(results, &mut text);
    memory(results, &mut text);
    length(results, &mut text);
    text
}

/// Why the tables show where the program stands, and are no result; none where they are one.
pub(crate) fn doubt(settings: &Settings) -> Option<String> {
    let scale = settings.scale.0 as f64 / 1e6;
    let profile = programs::profile();
    let mut why = Vec::new();
    if settings.input.is_none() && scale < LEAST_SCALE {
        why.push(format!("the scale is {scale}, and at least {LEAST_SCALE} is needed"));
    }
    if profile != "release" {
        why.push(format!("the profile is {profile}, and release is needed"));
    }
    if why.is_empty() { None } else { Some(why.join("; ")) }
}

/// Puts the text between the marks of the document; what stands around it stays.
pub(crate) fn write(document: &Path, text: &str) {
    let old = fs::read_to_string(document).unwrap();
    let (before, rest) = old.split_once(BEGIN).expect("the mark in front of the tables");
    let (_, after) = rest.split_once(END).expect("the mark behind the tables");
    fs::write(document, format!("{before}{BEGIN}\n{text}{END}{after}")).unwrap();
}

fn head(results: &Results, text: &mut String) {
    let settings = &results.settings;
    let mut versions: Vec<&str> = results.programs.iter().map(|it| it.version.as_str()).collect();
    versions.dedup();
    let origin = if settings.input.is_some() {
        "Captures that were given, their parts by the number of frames".to_owned()
    } else {
        let scale = settings.scale.0 as f64 / 1e6;
        format!("Scale {scale} (own captures, seed {})", settings.seed)
    };
    if let Some(why) = doubt(settings) {
        write!(text, "**No result**: {why}.\n\n").unwrap();
    }
    write!(
        text,
        "{}. {}.\n{}; {}, profile {}.\n{origin}, {} interleaved rounds, page cache warm.\n\n",
        machine::when(),
        machine::describe(),
        versions.join("; "),
        machine::compiler(),
        programs::profile(),
        settings.rounds,
    )
    .unwrap();
    for lengths in &results.inputs {
        let whole = lengths.last().unwrap();
        let (name, octets, frames) = (whole.kind.name(), whole.octets / 1_000_000, whole.frames);
        write!(text, "{name}: {octets} MB, {frames} frames; ").unwrap();
    }
    writeln!(text, "{} planted identifiers, all found, none invented.\n", results.planted).unwrap();
}

fn cpu(results: &Results, text: &mut String) {
    heading(text, "cpu seconds (ratio), wall");
    for (place, program) in results.programs.iter().enumerate() {
        let Some(row) = row(results, place, |own, reference| {
            format!("{:.3} ({}), {:.3}", own.cpu(), ratio(own.ratio(reference)), own.wall())
        }) else {
            continue;
        };
        writeln!(text, "| {} |{row}", program.name).unwrap();
    }
    let Some(slow) = &results.slow else { return };
    let name = &results.programs.last().unwrap().name;
    write!(text, "| {name}, a sixteenth of the length |").unwrap();
    for [own, reference] in slow {
        let ratio = ratio(own.ratio(reference));
        write!(text, " {:.3} ({ratio}), {:.3} |", own.cpu(), own.wall()).unwrap();
    }
    text.push('\n');
}

fn memory(results: &Results, text: &mut String) {
    text.push('\n');
    heading(text, "peak memory, MiB");
    for (place, program) in results.programs.iter().enumerate() {
        if let Some(row) = row(results, place, |own, _| format!("{:.0}", own.peak())) {
            writeln!(text, "| {} |{row}", program.name).unwrap();
        }
    }
    let Some(slow) = &results.slow else { return };
    let name = &results.programs.last().unwrap().name;
    write!(text, "| {name}, a sixteenth of the length |").unwrap();
    for [own, _] in slow {
        write!(text, " {:.0} |", own.peak()).unwrap();
    }
    text.push('\n');
}

/// The judgement over parts of the length and over the whole.
fn length(results: &Results, text: &mut String) {
    text.push('\n');
    heading(text, "tunnelcheck --expect-encrypted: ns of cpu a frame, peak MiB");
    for part in 0..=PARTS.len() {
        let times = PARTS.get(part).map_or(PARTS[0], |divisor| PARTS[0] / divisor);
        write!(text, "| {times} times the length |").unwrap();
        for (kind, lengths) in results.inputs.iter().enumerate() {
            let whole = &results.whole[kind][programs::JUDGE];
            let costs = results.parts[kind].get(part).unwrap_or(whole);
            let each = costs.cpu() * 1e9 / lengths[part].frames as f64;
            write!(text, " {each:.0}, {:.0} |", costs.peak()).unwrap();
        }
        text.push('\n');
    }
}

fn heading(text: &mut String, what: &str) {
    write!(text, "| {what} |").unwrap();
    for kind in Kind::ALL {
        write!(text, " {} |", kind.name()).unwrap();
    }
    text.push_str("\n|---|---|---|---|---|\n");
}

/// The cells of a program; none where it did not run over the whole captures.
fn row(results: &Results, place: usize, cell: impl Fn(&Costs, &Costs) -> String) -> Option<String> {
    let cells: Option<Vec<String>> = results
        .whole
        .iter()
        .map(|costs| Some(cell(costs.get(place)?, &costs[programs::REFERENCE])))
        .collect();
    Some(format!(" {} |", cells?.join(" | ")))
}

fn ratio(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}
