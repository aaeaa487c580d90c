//! Dialects, and the inspector that chooses and joins them: other pieces of the same octets give the same answer.

use crate::script::{Dice, Script, assert_alike};
use std::sync::Arc;
use tunnelcheck::inspect::dialect::{self, Fit, Opening, Spec};
use tunnelcheck::inspect::matcher::Matcher;
use tunnelcheck::inspect::{Inspection, Inspector};
use tunnelcheck::model::{
    Chunk, ChunkSink, Class, ConnId, ConnRecord, ConnSlot, ConnSummary, Direction, Endpoint,
    FrameRef, FrameSpan, Hit, Identifier, Proto, Rule, Timestamp, Uid,
};

/// Turns and octets of a talk that are read.
const MAX_TURNS: usize = 64;
const MAX_OCTETS: usize = 1 << 15;

/// One turn of a talk.
enum Turn<'a> {
    Says(Direction, &'a [u8]),
    Loses(Direction, u64),
}

/// `[direction, and whether it is a gap][run]`, again and again.
fn turns(mut script: Script<'_>) -> Vec<Turn<'_>> {
    let mut turns = Vec::new();
    let mut octets = 0;
    while !script.is_over() && turns.len() < MAX_TURNS && octets < MAX_OCTETS {
        let control = script.u8();
        let dir = Direction::BOTH[usize::from(control & 1)];
        if control & 0xf0 == 0xf0 {
            turns.push(Turn::Loses(dir, 1 + u64::from(script.u16())));
        } else {
            let says = script.run();
            octets += says.len();
            if !says.is_empty() {
                turns.push(Turn::Says(dir, says));
            }
        }
    }
    turns
}

/// Plays a talk, cut by `size`, to `take`.
fn play(
    turns: &[Turn<'_>],
    is_datagrams: bool,
    mut size: impl FnMut() -> usize,
    mut take: impl FnMut(Direction, &Chunk<'_>),
) {
    let mut offsets = [0_u64; 2];
    for (turn, number) in turns.iter().zip(1..) {
        let time = Timestamp::from_nanos(number as i64 * 1_000_000);
        let frames = FrameSpan::one(FrameRef { number, time });
        match *turn {
            Turn::Loses(dir, len) => {
                take(dir, &Chunk::Gap { offset: offsets[dir.index()], len });
                offsets[dir.index()] += len;
            }
            Turn::Says(dir, mut octets) => {
                while !octets.is_empty() {
                    let cut = if is_datagrams { octets.len() } else { size().min(octets.len()) };
                    let (bytes, rest) = octets.split_at(cut);
                    take(dir, &Chunk::Data { offset: offsets[dir.index()], bytes, frames });
                    offsets[dir.index()] += cut as u64;
                    octets = rest;
                }
            }
        }
    }
}

/// One dialect: `[dialect][how it is cut][turns]`.
pub fn dialect(octets: &[u8]) {
    let mut script = Script(octets);
    let spec = dialect::ALL[usize::from(script.u8()) % dialect::ALL.len()];
    let seed = script.u8();
    let turns = turns(script);
    probes(spec, &turns);
    if spec.proto != Proto::UDP {
        decides_alike(spec, &turns);
    }
    let whole = told(spec, &turns, || usize::MAX);
    if spec.proto == Proto::UDP {
        assert_alike("the same datagrams, twice", &whole, &told(spec, &turns, || usize::MAX));
        return;
    }
    assert_alike("one octet at a time", &whole, &told(spec, &turns, || 1));
    let mut dice = Dice::new(u32::from(seed));
    assert_alike("in pieces", &whole, &told(spec, &turns, || dice.roll(40)));
}

/// What a dialect tells, in words; frames and all.
fn told(spec: &Spec, turns: &[Turn<'_>], size: impl FnMut() -> usize) -> Vec<String> {
    let mut reader = (spec.open)();
    let mut told = Vec::new();
    play(turns, spec.proto == Proto::UDP, size, |dir, chunk| {
        reader.feed(dir, chunk, &mut |event| tell(&mut told, format!("{event:?}")));
    });
    told
}

/// Adds an event; octets of a body are told in the pieces in which they came, and are joined here.
fn tell(told: &mut Vec<String>, event: String) {
    let event = if event.starts_with("Body(") { without_offset(&event) } else { event };
    let Some((head, octets)) = event
        .split_once(", offset")
        .filter(|(head, _)| head.starts_with("Body("))
        .and_then(|(head, rest)| {
            let (_, octets) = rest.split_once("what: Octets { bytes: [")?;
            Some((head, octets.split_once(']')?.0))
        })
    else {
        told.push(event);
        return;
    };
    match told.last_mut() {
        Some(last) if last.starts_with(head) && !last.contains("offset") => {
            last.push_str(", ");
            last.push_str(octets);
        }
        _ => told.push(format!("{head}: {octets}")),
    }
}

/// Where a body is told to stand is as near as the piece that told it.
fn without_offset(event: &str) -> String {
    match event.split_once(", offset: ") {
        Some((head, rest)) => {
            format!("{head}, offset{}", rest.trim_start_matches(char::is_numeric))
        }
        None => event.to_owned(),
    }
}

/// No opening makes a probe panic; and what it says of an opening does not depend on anything else.
fn probes(spec: &Spec, turns: &[Turn<'_>]) {
    let mut openings = [Vec::new(), Vec::new()];
    let mut first = None;
    for turn in turns.iter().take(8) {
        let Turn::Says(dir, octets) = *turn else { break };
        first.get_or_insert(dir);
        openings[dir.index()].extend_from_slice(octets);
        for more in [true, false] {
            let [orig, resp] = &openings;
            let opening = Opening {
                orig,
                resp,
                orig_port: 49158,
                resp_port: spec.ports.first().copied().unwrap_or(4000),
                first: first.unwrap_or(dir),
                more,
            };
            let fit = (spec.probe)(&opening);
            assert_eq!(fit, (spec.probe)(&opening));
        }
    }
}

/// Who refuses the first octets of a line refuses all of it, and who is certain of them is certain of all of it: else it
/// would depend on the pieces what a conn is.
fn decides_alike(spec: &Spec, turns: &[Turn<'_>]) {
    let Some(&Turn::Says(first, octets)) = turns.first() else {
        return;
    };
    let fit = |octets: &[u8]| {
        let (orig, resp): (&[u8], &[u8]) =
            if first == Direction::OrigToResp { (octets, &[]) } else { (&[], octets) };
        let resp_port = spec.ports.first().copied().unwrap_or(4000);
        (spec.probe)(&Opening { orig, resp, orig_port: 49158, resp_port, first, more: true })
    };
    // Of the first line: one in the midst of a message is refused, and what comes later may tell all the same.
    let line = octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |at| at + 1);
    let octets = &octets[..line.min(80)];
    let whole = fit(octets);
    for end in 1..octets.len() {
        let begun = fit(&octets[..end]);
        let differs = match begun {
            Fit::No => matches!(whole, Fit::Certain | Fit::Plausible),
            Fit::Certain => whole != Fit::Certain,
            Fit::NeedMore | Fit::Plausible => false,
        };
        assert!(
            !differs,
            "{}: {begun:?} of the first {end} octets, {whole:?} of all: {:?}",
            spec.name,
            String::from_utf8_lossy(octets)
        );
    }
}

/// Ports of resp that the script chooses from.
const PORTS: &[u16] =
    &[4000, 110, 143, 25, 119, 1119, 21, 22, 23, 53, 80, 443, 902, 2151, 2154, 995, 9];

/// A whole conn: `[port][how it is cut][turns]`. Hits, class and dialect do not depend on the pieces. (Where the opening is
/// that of no protocol, what comes later may name one, and then it depends on how much is at hand: the texts of the target
/// are found all the same, and nothing becomes encrypted by it. Where a protocol is lost in the midst of a message, how much
/// of the message counts as lost depends on the pieces: it may be called cleartext or opaque.)
pub fn inspect(octets: &[u8]) {
    let mut script = Script(octets);
    let choice = script.u8();
    let port = PORTS.get(usize::from(choice)).copied().unwrap_or_else(|| script.u16());
    let seed = script.u8();
    let turns = turns(script);
    let whole = inspected(port, &turns, || usize::MAX);
    // Beyond some hundred pieces what is known by then decides which protocol it is.
    if octets.len() <= 500 {
        alike("one octet at a time", &whole, &inspected(port, &turns, || 1));
    }
    let mut dice = Dice::new(u32::from(seed));
    alike("in pieces", &whole, &inspected(port, &turns, || 20 + dice.roll(400)));
}

fn alike(what: &str, left: &Words, right: &Words) {
    assert_eq!(left.is_encrypted, right.is_encrypted, "{what}: encrypted or not");
    assert_alike(what, &left.identifiers, &right.identifiers);
    if left.dialect == right.dialect {
        assert_alike(what, &left.fields, &right.fields);
    }
}

/// What is told of a conn.
#[derive(Default)]
struct Words {
    dialect: Option<&'static str>,
    is_encrypted: bool,
    /// Hits of the target's texts.
    identifiers: Vec<String>,
    /// What the protocol told.
    fields: Vec<String>,
}

fn texts() -> Vec<Identifier> {
    let texts = ["jsmith", "John Smith", "Reindeer Games"];
    texts.map(|text| Identifier { label: "name".to_owned(), text: text.to_owned() }).to_vec()
}

fn inspected(port: u16, turns: &[Turn<'_>], size: impl FnMut() -> usize) -> Words {
    thread_local! {
        static MATCHER: Arc<Matcher> = Arc::new(Matcher::new(&texts(), &[]).expect("texts that can be searched"));
    }
    let mut inspector = Inspector::new(MATCHER.with(Arc::clone));
    let id = ConnId {
        orig: Endpoint { ip: [10, 0, 0, 5].into(), port: 49158 },
        resp: Endpoint { ip: [10, 0, 0, 2].into(), port },
        proto: Proto::TCP,
    };
    let (slot, uid) = (ConnSlot(0), Uid(1));
    let first = FrameRef { number: 1, time: Timestamp::from_nanos(1_000_000) };
    inspector.opened(slot, uid, &id, first);
    let (mut bytes, mut missed_bytes) = ([0; 2], [0; 2]);
    play(turns, false, size, |dir, chunk| {
        match *chunk {
            Chunk::Data { bytes: octets, .. } => bytes[dir.index()] += octets.len() as u64,
            Chunk::Gap { len, .. } => missed_bytes[dir.index()] += len,
            Chunk::Alternate { .. } => {}
        }
        inspector.chunk(slot, dir, chunk);
    });
    let record = ConnRecord {
        uid,
        id,
        first,
        end: Timestamp::from_nanos(turns.len() as i64 * 1_000_000),
        frames: turns.len() as u64,
        bytes,
        missed_bytes,
        conflict_bytes: [0; 2],
        midstream: false,
        evicted: false,
        history: String::new(),
        interfaces: vec![0],
        carriage: None,
    };
    inspector.closed(slot, record);
    let ended = inspector.take_ended();
    in_words(ended.as_ref(), &inspector.finish())
}

fn in_words(ended: Option<&ConnSummary>, found: &Inspection) -> Words {
    let mut words = Words::default();
    if let Some(conn) = ended {
        words.dialect = conn.dialect;
        words.is_encrypted = conn.class == Class::Encrypted;
        words.fields.push(format!("{:?}", conn.agreement));
        words
            .fields
            .push(format!("sealed {:?} missed {:?}", conn.sealed_bytes, conn.missed_in_clear));
        let (named, others): (Vec<&Hit>, _) =
            conn.hits.iter().partition(|hit| hit.rule == Rule::Identifier && hit.dialect.is_none());
        words.identifiers.extend(named.into_iter().map(hit));
        words.fields.extend(others.into_iter().map(hit));
        words.identifiers.sort();
        words.fields[2..].sort();
    }
    words.fields.push(format!("{:?} {}", found.names, found.coverage.hits_omitted));
    words
}

fn hit(hit: &Hit) -> String {
    format!(
        "hit {} {:?} {:?} {:?} {:?} {} {:?} {:?} {} {}",
        hit.rule,
        hit.field,
        hit.label,
        String::from_utf8_lossy(&hit.value),
        hit.dir,
        hit.offset,
        hit.frames,
        hit.encoding,
        hit.in_ciphertext,
        hit.out_of_stream
    )
}
