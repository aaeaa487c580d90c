//! JUnit's XML: a suite a target, a case a claim, and one for the coverage.
//!
//! Broken is `failure`; unproven and spoiled are `error`, since the check itself could not be made; what does not apply
//! is `skipped`.

use super::ReportError;
use super::body::{Body, ClaimBody, ReasonBody, TargetBody};
use super::bypass::BypassBody;
use super::escape::xml;
use super::text::view;
use std::io::{self, Write};

/// Writes the suites.
pub(super) fn write(body: &Body, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut out = io::BufWriter::new(out);
    let suites: Vec<_> = body.targets.iter().map(cases).collect();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    let all: Vec<&Case> = suites.iter().flatten().collect();
    writeln!(out, "<testsuites name=\"tunnelcheck\" {}>", counts(all.iter().copied()))?;
    for (target, cases) in body.targets.iter().zip(&suites) {
        writeln!(out, "  <testsuite name=\"{}\" {}>", xml(&target.name), counts(cases))?;
        for (name, value) in [
            ("verdict", &target.verdict),
            ("why", &target.why),
            ("tool_version", &body.tool.version),
        ] {
            let first = if name == "verdict" { "    <properties>\n" } else { "" };
            let last = if name == "tool_version" { "    </properties>\n" } else { "" };
            write!(
                out,
                "{first}      <property name=\"{name}\" value=\"{}\"/>\n{last}",
                xml(value)
            )?;
        }
        for case in cases {
            case.write(&target.name, &mut out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")?;
    out.flush()?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failure,
    Error,
    Skipped,
}

struct Case {
    name: String,
    kind: Kind,
    code: String,
    message: String,
    text: String,
}

impl Case {
    fn write(&self, target: &str, out: &mut dyn Write) -> Result<(), ReportError> {
        write!(
            out,
            "    <testcase classname=\"tunnelcheck.{}\" name=\"{}\"",
            xml(target),
            xml(&self.name)
        )?;
        let element = match self.kind {
            Kind::Passed if self.text.is_empty() => {
                writeln!(out, "/>")?;
                return Ok(());
            }
            Kind::Passed => {
                writeln!(
                    out,
                    ">\n      <system-out>{}</system-out>\n    </testcase>",
                    xml(&self.text)
                )?;
                return Ok(());
            }
            Kind::Skipped => {
                writeln!(
                    out,
                    ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                    xml(&self.message)
                )?;
                return Ok(());
            }
            Kind::Failure => "failure",
            Kind::Error => "error",
        };
        writeln!(
            out,
            ">\n      <{element} message=\"{}\" type=\"{}\">{}</{element}>\n    </testcase>",
            xml(&self.message),
            xml(&self.code),
            xml(&self.text)
        )?;
        Ok(())
    }
}

fn cases(target: &TargetBody) -> Vec<Case> {
    let mut cases: Vec<_> = target.claims.iter().map(|claim| case(target, claim)).collect();
    cases.push(Case {
        name: "coverage".to_owned(),
        kind: if target.spoils.is_empty() { Kind::Passed } else { Kind::Error },
        ..reasons(&target.spoils)
    });
    cases
}

fn case(target: &TargetBody, claim: &ClaimBody) -> Case {
    let mut case = Case { name: claim.claim.clone(), ..reasons(&claim.reasons) };
    if claim.claim == "no-bypass" {
        for line in target.bypasses.iter().flat_map(BypassBody::lines) {
            case.text.push_str(&line);
            case.text.push('\n');
        }
    }
    case.kind = match claim.outcome.as_str() {
        "broken" => Kind::Failure,
        "unproven" => Kind::Error,
        "not-applicable" => Kind::Skipped,
        _ => Kind::Passed,
    };
    if case.kind == Kind::Skipped {
        case.message.clone_from(&claim.because);
    }
    for it in target.evidence.iter().filter(|it| it.claim == claim.claim) {
        case.text.push_str(&it.text);
        case.text.push('\n');
        case.text.push_str(&view(it));
    }
    case
}

fn reasons(reasons: &[ReasonBody]) -> Case {
    let text = reasons.iter().fold(String::new(), |text, reason| {
        let next = reason.next.as_ref().map(|it| format!("  next: {it}\n")).unwrap_or_default();
        format!("{text}[{}] {}\n{next}", reason.code, reason.text)
    });
    Case {
        name: String::new(),
        kind: Kind::Passed,
        code: reasons.first().map(|reason| reason.code.to_owned()).unwrap_or_default(),
        message: reasons.first().map(|reason| reason.text.clone()).unwrap_or_default(),
        text,
    }
}

fn counts<'a>(cases: impl IntoIterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        failures += u32::from(case.kind == Kind::Failure);
        errors += u32::from(case.kind == Kind::Error);
        skipped += u32::from(case.kind == Kind::Skipped);
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}
