//! For a person at a terminal: the answer first, then what it rests on, then what to do.

use super::body::{Body, ClaimBody, ControlBody, EvidenceBody, TargetBody};
use super::bypass::BypassBody;
use super::escape::prose;
use super::hexdump::LEGEND;
use super::parts::CoverageBody;
use super::{Options, ReportError};
use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets,
};
use std::collections::HashSet;
use std::io::{self, Write};

/// Columns below which a table cannot be read; a narrower terminal wraps.
const MIN_WIDTH: u16 = 60;

/// Writes the report.
pub(super) fn write(
    body: &Body,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let mut page = Page { out: io::BufWriter::new(out), options };
    for target in &body.targets {
        page.target(target, body)?;
    }
    if body.targets.len() > 1 {
        let worst = body.verdict.as_deref().unwrap_or_default();
        page.line(&page.bold(&format!("{} over all targets", worst.to_uppercase()), worst))?;
    }
    page.out.flush()?;
    Ok(())
}

struct Page<'a> {
    out: io::BufWriter<&'a mut dyn Write>,
    options: &'a Options,
}

impl Page<'_> {
    fn target(&mut self, target: &TargetBody, body: &Body) -> Result<(), ReportError> {
        let answer = format!("{} {}", target.verdict.to_uppercase(), target.name);
        self.line(&format!("{}: {}", self.bold(&answer, &target.verdict), prose(&target.why)))?;
        if let Some(command) = &body.command {
            self.line(&format!("command: {} ({})", prose(&command.line), prose(&command.status)))?;
        }
        self.claims(&target.claims)?;
        self.conns(target)?;
        self.bypasses(target)?;
        self.evidence(target)?;
        self.window(target)?;
        self.coverage(target, body)?;
        self.explained(target)?;
        self.list("Out of view", &target.out_of_view)?;
        self.list("What to do next", &target.next)?;
        self.line("")
    }

    fn claims(&mut self, claims: &[ClaimBody]) -> Result<(), ReportError> {
        self.heading("Claims")?;
        let mut table = self.table(&["claim", "outcome", "why"]);
        for claim in claims {
            let why = if claim.reasons.is_empty() {
                prose(&claim.because).into_owned()
            } else {
                let mut texts: Vec<_> =
                    claim.reasons.iter().map(|it| prose(&it.text).into_owned()).collect();
                if claim.outcome == "warned" && !claim.because.is_empty() {
                    texts.push(prose(&claim.because).into_owned());
                }
                texts.join("\n")
            };
            table.add_row(vec![
                Cell::new(&claim.claim),
                Cell::new(&claim.outcome).fg(color(&claim.outcome)),
                Cell::new(why),
            ]);
        }
        fix(&mut table, &[15, 16]);
        self.show(&table)
    }

    fn conns(&mut self, target: &TargetBody) -> Result<(), ReportError> {
        let conns = &target.conns;
        if conns.is_empty() {
            return Ok(());
        }
        self.heading("Conns in scope")?;
        let mut table = self.table(&["conn", "role", "orig -> resp", "dialect", "class", "octets"]);
        for scoped in conns {
            let conn = &scoped.conn;
            let mut class = conn.class.clone();
            if let Some(agreement) = &conn.agreement {
                class = format!("{class}, {}", prose(&agreement.orig_cipher));
            }
            for remark in &conn.remarks {
                class = format!("{class}; {}", prose(remark));
            }
            table.add_row(vec![
                Cell::new(&conn.uid),
                Cell::new(match &scoped.vantage {
                    Some(vantage) => format!("{}, at {}", prose(&scoped.role), prose(vantage)),
                    None => prose(&scoped.role).into_owned(),
                }),
                Cell::new(format!(
                    "{} -> {} {}",
                    end(&conn.orig.ip, conn.orig.port),
                    end(&conn.resp.ip, conn.resp.port),
                    conn.proto
                )),
                Cell::new(conn.dialect.unwrap_or("-")),
                Cell::new(class),
                Cell::new(format!("{} / {}", conn.orig_bytes, conn.resp_bytes)),
            ]);
        }
        self.show(&table)?;
        self.more(target.conns_omitted, "conns")
    }

    fn bypasses(&mut self, target: &TargetBody) -> Result<(), ReportError> {
        if target.bypasses.is_empty() {
            return Ok(());
        }
        self.heading("Where the bypass came from")?;
        for line in target.bypasses.iter().flat_map(BypassBody::lines) {
            self.line(&format!("  {}", prose(&line)))?;
        }
        self.more(target.bypasses_omitted, "direct connections")
    }

    fn evidence(&mut self, target: &TargetBody) -> Result<(), ReportError> {
        if target.evidence.is_empty() {
            return Ok(());
        }
        self.heading("Evidence")?;
        let mut masked = false;
        let mut views: HashSet<(Option<&str>, String)> = HashSet::new();
        for (number, it) in target.evidence.iter().enumerate() {
            let phase = it.phase.as_ref().map(|phase| format!(" [{}]", prose(phase)));
            self.line(&format!(
                "{:>3}. {}{}: {}",
                number + 1,
                it.claim,
                phase.unwrap_or_default(),
                prose(&it.text)
            ))?;
            let view = view(it);
            masked |= view.contains("##") || view.contains("~~");
            if view.is_empty() {
                continue;
            }
            if views.insert((it.conn.as_deref(), view.clone())) {
                self.line(view.trim_end_matches('\n'))?;
            } else {
                self.line("     (the same octets as above)")?;
            }
        }
        if masked && !self.options.show_secrets {
            self.line(&format!("     {LEGEND}"))?;
        }
        self.more(target.evidence_omitted, "pieces of evidence")
    }

    fn window(&mut self, target: &TargetBody) -> Result<(), ReportError> {
        if !target.phases.is_empty() {
            self.heading("Phases")?;
            let mut table = self.table(&["phase", "start", "lasted", "frames", "conns", "hits"]);
            for row in &target.phases {
                table.add_row(vec![
                    Cell::new(prose(&row.phase)),
                    Cell::new(&row.start),
                    Cell::new(format!("{:.2} s", row.duration_s)),
                    Cell::new(row.frames),
                    Cell::new(row.conns),
                    Cell::new(row.hits),
                ]);
            }
            self.show(&table)?;
        }
        if !target.disruptions.is_empty() {
            self.heading("Disruptions")?;
            let mut table =
                self.table(&["disruption", "what was done", "seen on the wire", "verdict"]);
            for row in &target.disruptions {
                table.add_row(vec![
                    Cell::new(&row.step),
                    Cell::new(prose(&row.what)),
                    Cell::new(prose(&row.seen)),
                    Cell::new(&row.verdict).fg(color(&row.verdict)),
                ]);
            }
            self.show(&table)?;
        }
        if !target.vantages.is_empty() {
            self.heading("Vantages")?;
            let mut table =
                self.table(&["vantage", "interfaces", "control seen", "conns", "seen here alone"]);
            for row in &target.vantages {
                let mut interfaces = row.interfaces.join(", ");
                if row.clock_ahead_s != 0.0 {
                    interfaces = format!(
                        "{interfaces} (its clock is {:+.3} s off; times are ours)",
                        row.clock_ahead_s
                    );
                }
                table.add_row(vec![
                    Cell::new(prose(&row.name)),
                    Cell::new(prose(&interfaces)),
                    Cell::new(format!("{} of {}", row.controls_seen, row.controls_sent)),
                    Cell::new(row.conns),
                    Cell::new(if row.only_here.is_empty() {
                        "-".to_owned()
                    } else {
                        row.only_here.join(", ")
                    }),
                ]);
            }
            self.show(&table)?;
        }
        Ok(())
    }

    fn coverage(&mut self, target: &TargetBody, body: &Body) -> Result<(), ReportError> {
        self.heading("Coverage")?;
        for line in statement(&body.coverage, body) {
            self.line(&format!("  {line}"))?;
        }
        for line in controls(&target.control) {
            self.line(&format!("  {}", prose(&line)))?;
        }
        for (mark, reasons) in [("spoils a PASS", &target.spoils), ("note", &target.notes)] {
            for reason in reasons {
                let line = format!("  {mark}: {} [{}]", prose(&reason.text), reason.code);
                self.line(
                    &self.paint(&line, if mark == "note" { None } else { Some(Color::Yellow) }),
                )?;
            }
        }
        Ok(())
    }

    fn explained(&mut self, target: &TargetBody) -> Result<(), ReportError> {
        if target.explained.is_empty() {
            return Ok(());
        }
        self.heading("Found, and not counted")?;
        for it in &target.explained {
            let finding = &it.finding;
            let what = finding.label.as_deref().or(finding.field).unwrap_or_default();
            self.line(&format!(
                "  {} {} in {}, frame {}: {}",
                finding.rule,
                prose(what),
                it.conn.as_deref().unwrap_or("a frame of no conn"),
                finding.frame,
                prose(&it.why)
            ))?;
        }
        self.more(target.explained_omitted, "hits")
    }

    fn list(&mut self, heading: &str, lines: &[String]) -> Result<(), ReportError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.heading(heading)?;
        for line in lines {
            self.line(&format!("  - {}", prose(line)))?;
        }
        Ok(())
    }

    fn heading(&mut self, heading: &str) -> Result<(), ReportError> {
        let heading = if self.options.color {
            format!("\n\x1b[1m{heading}\x1b[0m")
        } else {
            format!("\n{heading}")
        };
        self.line(&heading)
    }

    fn more(&mut self, more: u64, what: &str) -> Result<(), ReportError> {
        match more {
            0 => Ok(()),
            more if self.options.verbose => {
                self.line(&format!("  and {more} {what} more, not kept"))
            }
            more => self.line(&format!("  and {more} {what} more (-v shows what is kept)")),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), ReportError> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")?;
        Ok(())
    }

    fn table(&self, header: &[&str]) -> Table {
        table(header, self.options)
    }

    fn show(&mut self, table: &Table) -> Result<(), ReportError> {
        for line in table.lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    fn bold(&self, text: &str, verdict: &str) -> String {
        let text = prose(text);
        if !self.options.color {
            return text.into_owned();
        }
        let code = match verdict {
            "pass" => 32,
            "fail" => 31,
            _ => 33,
        };
        format!("\x1b[1;{code}m{text}\x1b[0m")
    }

    fn paint(&self, text: &str, color: Option<Color>) -> String {
        match color {
            Some(Color::Yellow) if self.options.color => format!("\x1b[33m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// An empty table. Its width is given, so that the same report is the same text anywhere.
pub(super) fn table(header: &[&str], options: &Options) -> Table {
    let width = if options.width == 0 { Options::WIDTH } else { options.width };
    let mut table = Table::new();
    table.load_style(presets::ASCII_NO_BORDERS);
    table.force_no_tty();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.max(MIN_WIDTH));
    if options.color {
        table.enforce_styling();
    }
    table.set_header(header.iter().map(|it| Cell::new(it).add_attribute(Attribute::Bold)));
    table
}

/// Gives the first columns a fixed width, so that the last one takes the rest.
fn fix(table: &mut Table, widths: &[u16]) {
    for (index, width) in widths.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(*width)));
        }
    }
}

pub(super) const fn color(word: &str) -> Color {
    match word.as_bytes() {
        b"holds" | b"held" | b"encrypted" => Color::Green,
        b"broken" | b"leaked" | b"cleartext" => Color::Red,
        b"warned" | b"unproven" | b"not-tried" | b"not-done" | b"opaque" | b"upgraded" => {
            Color::Yellow
        }
        _ => Color::Reset,
    }
}

/// An address and port, as a person writes them; without the port where there is none.
pub(super) fn end(ip: &str, port: u16) -> String {
    match (ip.contains(':'), port) {
        (_, 0) => ip.to_owned(),
        (true, _) => format!("[{ip}]:{port}"),
        (false, _) => format!("{ip}:{port}"),
    }
}

/// The octets around a hit, a line each.
pub(super) fn view(it: &EvidenceBody) -> String {
    it.view.iter().fold(String::new(), |view, line| format!("{view}     {line}\n"))
}

/// What was seen and what was not.
pub(super) fn statement(coverage: &CoverageBody, body: &Body) -> Vec<String> {
    let classes: Vec<_> =
        body.conns_by_class.iter().map(|(class, conns)| format!("{conns} {class}")).collect();
    let mut lines = vec![
        format!(
            "seen: {} frames, {} octets; conns: {}",
            coverage.frames,
            coverage.bytes,
            if classes.is_empty() { "none".to_owned() } else { classes.join(", ") }
        ),
        format!(
            "searched: {} octets of streams, {} octets outside of streams",
            coverage.searched_bytes, coverage.searched_raw_bytes
        ),
    ];
    for interface in &body.interfaces {
        lines.push(format!(
            "interface {}: {}, {}{}",
            interface.id,
            if interface.name.is_empty() { "unnamed".into() } else { prose(&interface.name) },
            interface.link_type,
            interface.vantage.as_ref().map(|it| format!(", {it}")).unwrap_or_default()
        ));
    }
    let shown =
        |drops: Option<u64>| drops.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
    lines.push(format!(
        "dropped: by the kernel {}, by the interface {}, by our own queue {}",
        shown(coverage.kernel_drops),
        shown(coverage.interface_drops),
        coverage.channel_drops
    ));
    lines.push(format!(
        "not seen: {} frames cut, {} octets missing from streams, {} conns open before the capture",
        coverage.truncated_frames, coverage.missed_bytes, coverage.midstream_conns
    ));
    lines.push(match (coverage.acks, coverage.ack_gaps) {
        (0, 0) => "loss: too little traffic to tell, nothing was acknowledged".to_owned(),
        (acks, gaps) => format!(
            "loss: {gaps} gaps in what was acknowledged, {acks} acknowledgements could have shown one"
        ),
    });
    for (why, frames) in &coverage.undecoded {
        lines.push(format!("not read: {frames} frames, {why}"));
    }
    lines
}

/// The control, a line a phase and path.
fn controls(control: &[ControlBody]) -> Vec<String> {
    control
        .iter()
        .map(|it| {
            let frames: Vec<_> = it.seen_frames.iter().take(3).map(ToString::to_string).collect();
            let how = match (it.path.as_str(), it.sent, it.seen_frames.is_empty()) {
                (_, false, _) => "not sent".to_owned(),
                ("tunnel", true, true) => {
                    "sent through the tunnel, not seen on the wire".to_owned()
                }
                ("tunnel", true, false) => {
                    format!("sent through the tunnel, and SEEN in frame {}", frames.join(", "))
                }
                (_, true, true) => format!("sent out of {}, NOT SEEN", it.interface),
                (_, true, false) => {
                    format!("sent out of {}, seen in frame {}", it.interface, frames.join(", "))
                }
            };
            format!("control {}, {}: {how}", it.phase, it.path)
        })
        .collect()
}
