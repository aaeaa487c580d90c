//! The whole way: a capture, `flows` and the judgement.

use crate::script::Script;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::OnceLock;
use tunnelcheck::model::{Identifier, Service, Target, TunnelMode, Verdict};
use tunnelcheck::report::{Document, Facts, FlowsWriter, Format, Options, write};
use tunnelcheck::run::{Outcome, RunError, analyze, judge_recording};
use tunnelcheck::source::Savefile;
use tunnelcheck::target::Plan;

/// A tunnelled session that passes by itself: classic pcap, little endian, microseconds, Ethernet.
const SESSION: &[u8] = include_bytes!("../../../captures/ssh-pop3.pcap");
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// Octets of a capture that is read as it is.
const MAX_INPUT: usize = 1 << 15;

const TEXTS: [&str; 2] = ["jsmith", "John Smith"];

fn identifiers() -> Vec<Identifier> {
    TEXTS.map(|text| Identifier { label: "username".to_owned(), text: text.to_owned() }).to_vec()
}

pub(crate) fn plan() -> Plan {
    let service = Service {
        name: "pop3".to_owned(),
        kind: "pop3".to_owned(),
        host: "dasher.dartmouth.edu".to_owned(),
        port: 110,
        addresses: vec![[10, 77, 1, 30].into()],
        is_by_name: false,
        listen: None,
        aliases: Vec::new(),
        is_udp: false,
    };
    let target = Target {
        name: "mail".to_owned(),
        tunnel: TunnelMode::External,
        gateway_host: Some("10.77.0.20".to_owned()),
        gateway_port: 22,
        gateway_addresses: vec![[10, 77, 0, 20].into()],
        clients: vec![[10, 77, 0, 10].into()],
        services: vec![service],
        identifiers: identifiers(),
        exempts: Vec::new(),
        any_vantage: false,
    };
    Plan {
        target,
        ssh: None,
        origin: String::new(),
        warnings: Vec::new(),
        file: None,
        names: Vec::new(),
    }
}

/// A file of this process alone, in memory where there is such a place.
pub(crate) fn file(name: &str, octets: &[u8]) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = parent.join(format!("tunnelcheck-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder to write in");
        folder
    });
    let path = folder.join(name);
    std::fs::write(&path, octets).expect("room for a file");
    path
}

/// Any octets as a capture: read twice, listed and judged in every form. The same octets give the same report; no form
/// lets a control character through.
pub fn pipeline(octets: &[u8]) {
    let octets = &octets[..octets.len().min(MAX_INPUT)];
    let Some(first) = flows(octets) else { return };
    let again = flows(octets);
    assert_eq!(Some(&first), again.as_ref(), "the same octets give another listing");
    for text in &first {
        assert_printable(text);
    }
    let path = file("capture", octets);
    let Ok(outcomes) = judge_recording(vec![plan()], &[path], false) else { return };
    check(&outcomes[0]);
    for text in reports(&outcomes[0]) {
        assert_printable(&text);
    }
}

const FORMATS: [Format; 4] = [Format::Text, Format::Json, Format::Ndjson, Format::Junit];

fn flows(octets: &[u8]) -> Option<Vec<String>> {
    let mut source = Savefile::open(Box::new(Cursor::new(octets.to_vec())), "capture").ok()?;
    let mut analysis = analyze(&mut source, &identifiers(), &[]).ok()?;
    let mut texts = Vec::new();
    for format in [Format::Text, Format::Json, Format::Ndjson] {
        let mut out = Vec::new();
        let options = Options { show_secrets: true, verbose: true, ..Options::default() };
        let mut writer =
            FlowsWriter::new(format, &options, &mut out).expect("a Vec takes everything");
        analysis
            .conns
            .read(|conn| {
                writer.conn(conn).expect("a Vec takes everything");
                Ok::<(), RunError>(())
            })
            .expect("a temporary file");
        writer
            .finish(&analysis.inspection.raw_hits, &analysis.coverage)
            .expect("a Vec takes everything");
        texts.push(String::from_utf8(out).expect("a report is UTF-8"));
    }
    Some(texts)
}

fn reports(outcome: &Outcome) -> Vec<String> {
    let case = outcome.case();
    let facts = Facts { inputs: vec!["capture".to_owned()], ..Facts::default() };
    let document = Document::new(facts, &[(&case, &outcome.judgement)]);
    let mut texts = Vec::new();
    for format in FORMATS {
        let mut out = Vec::new();
        let options = Options { show_secrets: true, verbose: true, ..Options::default() };
        write(&document, format, &options, &mut out).expect("a Vec takes everything");
        texts.push(String::from_utf8(out).expect("a report is UTF-8"));
    }
    texts
}

/// Octets of the network reach no terminal as they are.
fn assert_printable(text: &str) {
    let bad = text.chars().find(|c| {
        c.is_control() && *c != '\n'
            || matches!(*c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert!(bad.is_none(), "{bad:?} reaches the report");
}

/// What a PASS promises.
fn check(outcome: &Outcome) {
    if outcome.judgement.verdict != Verdict::Pass {
        return;
    }
    let coverage = &outcome.analysis.coverage;
    assert!(coverage.frames > 0, "PASS over nothing");
    assert!(
        coverage.undecoded.is_empty(),
        "PASS, and frames were not read: {:?}",
        coverage.undecoded
    );
    assert!(coverage.inputs_cut.is_empty(), "PASS over a file that is cut");
    assert_eq!(coverage.fragments_expired, 0, "PASS without fragments that are missing");
    assert_eq!(coverage.fragment_conflicts, 0, "PASS over fragments that contradict each other");
    assert_eq!(coverage.conns_evicted, 0, "PASS over conns that were given up");
    assert_eq!(coverage.hits_omitted, 0, "PASS over hits that were left out");
}

/// One frame of the session: record header, octets.
type Record = (Vec<u8>, Vec<u8>);

fn session() -> Vec<Record> {
    let mut records = Vec::new();
    let mut script = Script(&SESSION[FILE_HEADER..]);
    while !script.is_over() {
        let header = script.take(RECORD_HEADER).to_vec();
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        records.push((header, script.take(length as usize).to_vec()));
    }
    records
}

/// A session that passes, changed by script: frames lost, doubled, moved, cut, overwritten, added. Where a text of the
/// target stands readable in any frame the answer is never PASS.
pub fn verdict(octets: &[u8]) {
    let mut script = Script(octets);
    let mut records = session();
    let mut steps = 0;
    while !script.is_over() && steps < 24 && !records.is_empty() {
        steps += 1;
        edit(&mut script, &mut records);
    }
    let mut file_octets = SESSION[..FILE_HEADER].to_vec();
    for (header, octets) in &records {
        file_octets.extend_from_slice(header);
        file_octets.extend_from_slice(octets);
    }
    let path = file("session", &file_octets);
    let outcomes = judge_recording(vec![plan()], &[path], false).expect("a pcap file");
    let outcome = &outcomes[0];
    check(outcome);
    if outcome.judgement.verdict == Verdict::Pass {
        assert!(!records.is_empty());
        let readable = records.iter().position(|(_, octets)| {
            parts(octets).into_iter().any(|part| {
                TEXTS.iter().any(|text| {
                    part.windows(text.len()).any(|some| some.eq_ignore_ascii_case(text.as_bytes()))
                })
            })
        });
        assert_eq!(readable, None, "PASS, and a text of the target stands in this frame (from 0)");
    }
}

/// Parts of a frame in which a text could be read: options, payload, trailer. A text that only lies across two of them, or
/// in addresses and numbers, is none.
fn parts(octets: &[u8]) -> Vec<&[u8]> {
    let at = |index: usize| octets.get(index).copied().map_or(0, usize::from);
    let is_v4 = octets.get(12..14) == Some(&[8, 0]) && at(14) >> 4 == 4;
    if !is_v4 {
        return vec![octets.get(14 + 40 + 20..).unwrap_or_default()];
    }
    let transport = 14 + (at(14) & 15) * 4;
    let end = 14 + (at(16) << 8 | at(17));
    let payload = match at(23) {
        6 => transport + (at(transport + 12) >> 4) * 4,
        17 => transport + 8,
        _ => transport,
    };
    let fixed = if at(23) == 6 { 20 } else { 8 };
    [34..transport, transport + fixed..payload, payload..end, end..octets.len()]
        .into_iter()
        .filter_map(|part| octets.get(part))
        .collect()
}

fn edit(script: &mut Script<'_>, records: &mut Vec<Record>) {
    let control = script.u8();
    let at = usize::from(script.u16()) % records.len();
    match control % 8 {
        0 => {
            records.remove(at);
        }
        1 => {
            let to = usize::from(script.u16()) % records.len();
            let record = records[at].clone();
            records.insert(to, record);
        }
        2 => {
            let to = usize::from(script.u16()) % records.len();
            let record = records.remove(at);
            records.insert(to.min(records.len()), record);
        }
        3 => {
            let length = usize::from(script.u16()) % (records[at].1.len() + 1);
            records[at].1.truncate(length);
            records[at].0[8..12].copy_from_slice(&(length as u32).to_le_bytes());
        }
        4 => {
            let offset = usize::from(script.u16());
            let with = script.run();
            put(&mut records[at].1, offset, with);
        }
        5 => {
            let offset = usize::from(script.u16());
            let text = TEXTS[usize::from(control >> 3) % TEXTS.len()];
            put(&mut records[at].1, offset, text.as_bytes());
        }
        6 => {
            let octets = packet(script, control);
            let record = (header(&records[at].0, octets.len()), octets);
            records.insert(at, record);
        }
        _ => {
            let octets = script.run().to_vec();
            let record = (header(&records[at].0, octets.len()), octets);
            records.insert(at, record);
        }
    }
}

fn put(octets: &mut [u8], offset: usize, with: &[u8]) {
    for (octet, new) in octets.iter_mut().skip(offset).zip(with) {
        *octet = *new;
    }
}

fn header(like: &[u8], length: usize) -> Vec<u8> {
    let length = (length as u32).to_le_bytes();
    [&like[..8], &length, &length].concat()
}

/// A packet over Ethernet and IPv4, of TCP or UDP, between hosts of the session or others, with a text of the target
/// somewhere in it or not.
fn packet(script: &mut Script<'_>, control: u8) -> Vec<u8> {
    const HOSTS: [[u8; 4]; 4] = [[10, 77, 0, 10], [10, 77, 0, 20], [10, 77, 1, 30], [10, 9, 9, 9]];
    const PORTS: [u16; 6] = [22, 110, 49158, 53, 80, 4000];
    let ends = script.u8();
    let host = |bits: u8| HOSTS[usize::from(bits) % HOSTS.len()];
    let ports = script.u8();
    let port = |bits: u8| PORTS[usize::from(bits) % PORTS.len()].to_be_bytes();
    let mut payload = script.run().to_vec();
    if control & 8 != 0 {
        let at = usize::from(script.u8()) % (payload.len() + 1);
        let text = TEXTS[usize::from(control >> 4) % TEXTS.len()];
        payload.splice(at..at, text.bytes());
    }
    let mut transport = [port(ports), port(ports >> 4)].concat();
    let is_tcp = ends & 0x80 == 0;
    if is_tcp {
        transport.extend([script.u32().to_be_bytes(), script.u32().to_be_bytes()].concat());
        transport.extend([0x50, script.u8(), 0x20, 0, 0, 0, 0, 0]);
    } else {
        transport.extend((8 + payload.len() as u16).to_be_bytes());
        transport.extend([0, 0]);
    }
    let mut octets = vec![2, 0, 0, 0, 0, 0x20, 2, 0, 0, 0, 0, 0x10, 8, 0, 0x45, 0];
    octets.extend((20 + (transport.len() + payload.len()) as u16).to_be_bytes());
    octets.extend([0, 1]);
    octets.extend(if control & 0xc0 == 0xc0 { script.u16() } else { 0 }.to_be_bytes());
    octets.extend([64, if is_tcp { 6 } else { 17 }, 0, 0]);
    octets.extend(host(ends));
    octets.extend(host(ends >> 2));
    octets.extend(transport);
    octets.extend(payload);
    octets
}

/// The frames of the session as they are, for a recording of our own.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    session().into_iter().map(|(_, octets)| octets).collect()
}
