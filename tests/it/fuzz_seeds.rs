//! Seeds for the fuzz targets (`tests/fuzz`), made of `captures/` and the fixtures.
//!
//! `make fuzz-seeds` writes them: TUNNELCHECK_FUZZ_SEEDS names the folder. TUNNELCHECK_CORPUS may name a folder with more
//! captures; they are read where they are, and what is made of them stays out of the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tunnelcheck::decode::Decoder;
use tunnelcheck::flow::{ConnTable, Limits};
use tunnelcheck::hosts::{Alias, put};
use tunnelcheck::inspect::dialect;
use tunnelcheck::model::{
    Chunk, ChunkSink, ConnId, ConnRecord, ConnSlot, Direction, FrameRef, Uid,
};
use tunnelcheck::run::{RunError, analyze};
use tunnelcheck::source::{Next, Savefile, Source as _};

/// Octets of one seed: longer ones slow the fuzzer down.
const MAX_SEED: usize = 8 * 1024;
/// Octets of a capture that is a seed as it is.
const MAX_CAPTURE: usize = 32 * 1024;
/// Seeds of one target from a folder of other captures.
const MAX_FOREIGN: usize = 300;

/// Target and its seeds by name.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

#[test]
fn every_target_has_seeds() {
    let mut seeds = Seeds::new();
    for path in files(Path::new("captures")) {
        of_capture(&path, &mut seeds);
    }
    texts(&mut seeds);
    scripts(&mut seeds);
    if let Some(folder) = std::env::var_os("TUNNELCHECK_CORPUS") {
        foreign(Path::new(&folder), &mut seeds);
    }
    let manifest: toml::Table =
        fs::read_to_string("tests/fuzz/Cargo.toml").unwrap().parse().unwrap();
    for bin in manifest["bin"].as_array().unwrap() {
        let name = bin["name"].as_str().unwrap();
        let count = seeds.keys().filter(|(target, _)| *target == name).count();
        assert!(count > 0, "no seed for {name}");
    }
    let Some(folder) = std::env::var_os("TUNNELCHECK_FUZZ_SEEDS") else { return };
    for ((target, name), octets) in &seeds {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), octets).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn foreign(folder: &Path, seeds: &mut Seeds) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for path in files(&folder.join("pcaps")) {
        if fs::metadata(&path).unwrap().len() > 4 * MAX_CAPTURE as u64 {
            continue;
        }
        let mut more = Seeds::new();
        of_capture(&path, &mut more);
        for ((target, name), octets) in more {
            let count = counts.entry(target).or_default();
            if *count < MAX_FOREIGN {
                *count += 1;
                seeds.insert((target, format!("x{count:03}-{name}")), octets);
            }
        }
    }
}

/// A number in 16 bits, then the octets.
fn run(octets: &[u8]) -> Vec<u8> {
    let octets = &octets[..octets.len().min(MAX_SEED)];
    [&u16::try_from(octets.len()).unwrap().to_le_bytes()[..], octets].concat()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|it| it == extension)
}

fn of_capture(path: &Path, seeds: &mut Seeds) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let octets = fs::read(path).unwrap();
    if !name.contains("cap") || has_extension(path, "toml") {
        return;
    }
    if octets.len() <= MAX_CAPTURE {
        seeds.insert(("containers", name.clone()), octets.clone());
        seeds.insert(("pipeline", name.clone()), octets.clone());
        if has_extension(path, "pcap") && octets.len() < MAX_SEED {
            let packed = ruzstd::encoding::compress_to_vec(
                &octets[..],
                ruzstd::encoding::CompressionLevel::Fastest,
            );
            seeds.insert(("containers", format!("{name}.zst")), packed);
        }
    }
    let open = || Savefile::open(Box::new(std::io::Cursor::new(octets.clone())), &name);
    let Ok(file) = open() else { return };
    of_frames(file, &name, seeds);
    let (Ok(mut file), Ok(again)) = (open(), open()) else { return };
    let Ok(mut analysis) = analyze(&mut file, &[], &[]) else { return };
    let mut dialects = BTreeMap::new();
    analysis
        .conns
        .read(|conn| {
            dialects.extend(conn.dialect.map(|dialect| (conn.record.uid, dialect)));
            Ok::<(), RunError>(())
        })
        .unwrap();
    of_conns(again, &name, &dialects, seeds);
    if let (Some(head), Some(tail)) = (file.head_annotation(), file.tail_annotation()) {
        let seed = [run(head.as_bytes()), tail.as_bytes().to_vec()].concat();
        seeds.insert(("annotation", name), seed);
    }
}

/// Frames as they are, and the packets of those over Ethernet.
fn of_frames(mut file: Savefile, name: &str, seeds: &mut Seeds) {
    let (mut link, mut ip) = (Vec::new(), Vec::new());
    while let Ok(Next::Frame(frame)) = file.next() {
        if link.is_empty() {
            link.push(0xff);
            link.extend(frame.link_type.0.to_le_bytes());
        }
        link.push(0);
        link.extend(run(frame.data));
        let is_ip = matches!(frame.data.get(12..14), Some([8, 0] | [0x86, 0xdd]));
        if frame.link_type.0 == 1 && is_ip {
            ip.push(0);
            ip.extend(run(&frame.data[14..]));
        }
        if link.len() > MAX_SEED / 2 {
            break;
        }
    }
    for (target, octets) in [("link", link), ("ip", ip)] {
        if !octets.is_empty() {
            seeds.insert((target, name.to_owned()), octets);
        }
    }
}

/// What was said on every TCP conn and in every conversation of datagrams.
#[derive(Default)]
struct Listener {
    open: BTreeMap<u32, (Uid, ConnId, Vec<u8>)>,
    closed: Vec<(Uid, ConnId, Vec<u8>)>,
}

impl ChunkSink for Listener {
    fn held(&self, _: ConnSlot) -> usize {
        0
    }

    fn opened(&mut self, slot: ConnSlot, uid: Uid, id: &ConnId, _: FrameRef) {
        self.open.insert(slot.0, (uid, *id, Vec::new()));
    }

    fn chunk(&mut self, slot: ConnSlot, dir: Direction, chunk: &Chunk<'_>) {
        let (_, _, turns) = self.open.get_mut(&slot.0).unwrap();
        if turns.len() > MAX_SEED {
            return;
        }
        let side = u8::try_from(dir.index()).unwrap();
        match *chunk {
            Chunk::Data { bytes, .. } => {
                turns.push(side);
                turns.extend(run(bytes));
            }
            Chunk::Gap { len, .. } => {
                turns.push(0xf0 | side);
                turns.extend(u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
            }
            Chunk::Alternate { .. } => {}
        }
    }

    fn closed(&mut self, slot: ConnSlot, _: ConnRecord) {
        self.closed.extend(self.open.remove(&slot.0));
    }
}

fn of_conns(mut file: Savefile, name: &str, dialects: &BTreeMap<Uid, &str>, seeds: &mut Seeds) {
    let mut decoder = Decoder::default();
    let mut table = ConnTable::new(Limits::default());
    let mut listener = Listener::default();
    while let Ok(Next::Frame(frame)) = file.next() {
        if let Some(segment) = &decoder.decode(&frame).segment {
            table.push(segment, &mut listener);
        }
    }
    table.finish(&mut listener);
    for (uid, id, turns) in listener.closed.iter().filter(|(_, _, turns)| !turns.is_empty()).take(8)
    {
        let port = id.resp.port.to_le_bytes();
        let seed = [&[0xff][..], &port, &[7], turns].concat();
        seeds.insert(("inspect", format!("{name}-{uid}")), seed);
        let index =
            dialects.get(uid).and_then(|name| dialect::ALL.iter().position(|it| it.name == *name));
        if let Some(index) = index {
            let seed = [&[u8::try_from(index).unwrap(), 7][..], turns].concat();
            seeds.insert(("dialect", format!("{name}-{uid}")), seed);
        }
    }
}

fn texts(seeds: &mut Seeds) {
    let name = |path: &Path| path.to_string_lossy().replace('/', "_");
    for path in files(Path::new("captures"))
        .into_iter()
        .filter(|path| path.extension() == Some("toml".as_ref()))
    {
        let target = if path.ends_with("targets.toml") { "target_file" } else { "manifest" };
        seeds.insert((target, name(&path)), fs::read(&path).unwrap());
    }
    for folder in ["src/target/templates", "tests/fixtures/target"] {
        for path in files(Path::new(folder)) {
            seeds.insert(("target_file", name(&path)), fs::read(&path).unwrap());
        }
    }
    for path in files(Path::new("tests/fixtures/ssh_config")) {
        let seed = [run(b"incoming_mail"), fs::read(&path).unwrap()].concat();
        seeds.insert(("ssh_config", name(&path)), seed);
    }
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQ1NmQ4YjE5YzU2ZDhiMTljNTZkOGIxOWM1NmQ4YjE5";
    for (at, line) in [
        format!("nimbus,10.77.0.20 {key} a comment\n"),
        format!("@revoked *.example.net,!a {key}\n@cert-authority * {key}\n# said\n\n"),
        format!("[nimbus]:2222 {key}\r\n|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {key}\n"),
        "nimbus 1024 35 1234567890 old\nnimbus ssh-rsa AAAA\n".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = [run(b"nimbus"), vec![0], line.into_bytes()].concat();
        seeds.insert(("known_hosts", format!("lines-{at}")), seed);
    }
    let alias = Alias::new([127, 0, 0, 9].into(), "other");
    let block = put(b"127.0.0.1 localhost", "t", std::slice::from_ref(&alias)).unwrap();
    let both = put(&block, "u", &[alias]).unwrap();
    for (name, file) in [
        ("none", b"127.0.0.1 localhost\r\n::1 x # y".to_vec()),
        ("in-the-way", b"10.0.0.1 other DASHER.dartmouth.edu.\n".to_vec()),
        ("block", block),
        ("both", both),
    ] {
        seeds.insert(("hosts_file", name.to_owned()), [run(b"t"), file].concat());
    }
}

/// Beginnings of scripts, for the targets that read octets as orders.
fn scripts(seeds: &mut Seeds) {
    let mut add = |target, name: &str, octets: &[u8]| {
        seeds.insert((target, name.to_owned()), octets.to_vec())
    };
    // In order, the last one first, and one of them with other content.
    add("defrag", "in-order", &[0, 60, 0, 0, 0, 1, 0, 2, 1, 0, 4, 7]);
    add("defrag", "last-first", &[1, 60, 0, 0, 4, 7, 0, 2, 1, 0, 0, 1]);
    add("defrag", "conflict", &[0, 60, 0, 0, 0, 3, 0x1c, 2, 1, 0, 4, 7]);
    add(
        "reassembly",
        "in-order",
        &[0, 0xf0, 0xff, 0xff, 0xff, 0, 0, 39, 0, 40, 0, 39, 0, 80, 0, 39, 0],
    );
    add(
        "reassembly",
        "overlaps",
        &[0, 1, 0, 0, 0, 40, 0, 39, 0, 0, 0, 39, 0, 20, 0, 39, 255, 20, 0, 9, 255],
    );
    add(
        "reassembly",
        "anything",
        &[
            3, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0x12, 5, 0, 1, 0, 0, 0, 0x18, 1, 0, 6, 0, 2,
            0x41, 0x42,
        ],
    );
    add("matcher", "plain", b"\x02abcdef\x07\x20xx abcdef JSMITH abcdefabc xxxxx\x80\x81\x82\x83\x84\x85\x86\x87\x8f\x97");
    // A long text beside the first; the first left out, for a short and a long one.
    let both = [b"\x0babcdef\x1azkzkBX40.zkzkBX40.zkzkBX40.zk", &b"\x07"[..]].concat();
    let parts = b"\x05 abcd\n\x80\x01\x81\x00\x82\x01\x83\x01\x84\x00\x85\x01\x86\x01\x87\x01\x8f\x00\x97\x01";
    add("matcher", "both", &[&both[..], parts].concat());
    let others =
        [b"\x80abcdef\x00xyz\x25abkzabkzabkzabkzabkzabkzabkzabkzabkzabkz", &b"\x09"[..]].concat();
    add("matcher", "others", &[&others[..], parts].concat());
    add("verdict", "as-it-is", &[]);
    // Frames lost, moved, cut; the name in a packet between strangers, in a fragment, over UDP.
    add("verdict", "lost", &[0, 10, 0, 2, 8, 0, 9, 0]);
    add("verdict", "cut", &[3, 12, 0, 60, 0]);
    add(
        "verdict",
        "packet",
        &[14, 9, 0, 0x0c, 0x05, 4, 0, b'a', b'b', b'c', b'd', 2, 1, 0, 0, 0, 1, 0, 0, 0, 0x18],
    );
    add("verdict", "datagram", &[30, 9, 0, 0x88, 0x31, 4, 0, b'a', b'b', b'c', b'd', 2]);
    add(
        "verdict",
        "fragment",
        &[0xce, 9, 0, 0x88, 0x31, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 2, 0x20, 0x00],
    );
    let words = br#"{"version":1,"tokens":[{"phase":"before","path":"clear","interface_id":0,"token":"tunnelcheck-0123456789abcdef","sent_ns":1}],"phases":[{"phase":"before","start_ns":0}],"tunnels":{},"addresses":{},"clients":["10.77.0.10"]}"#;
    add("annotation", "words", &[run(words), words.to_vec()].concat());
    // Phases, disruptions, vantages, connections of our own.
    let head = br#"{"version":1,"tokens":[],"vantages":[[0],[1]]}"#;
    let tail = br#"{"version":1,"tokens":[],"phases":[],"tunnels":{"t":{"local":"10.77.0.10:40000","remote":"10.77.0.20:22","host_key":"x","host_key_source":"y","server_version":"","kex":"","cipher":"aes256-gcm@openssh.com","mac":"","up_ns":1,"lost":null,"forwards":[],"earlier":[{"local":"10.77.0.10:40001","remote":"10.77.0.20:22","up_ns":1,"down_ns":2,"why":"cut"}]}},"addresses":{},"clients":["10.77.0.10"],"window":{"phases":[{"phase":"before","start_ns":0,"end_ns":5,"frames":1},{"phase":"disrupted","what":"cut","start_ns":5,"end_ns":9,"frames":2}],"disruptions":[{"step":"cut","what":"w","done":true,"start_ns":5,"end_ns":9,"tries":[{"target":"t","attempts":1,"forwarded":0,"up_before":true,"up_after":true}],"not_undone":null}],"vantages":[{"name":"this machine","interfaces":[0],"remote":false,"lost":null,"clock_ahead_ns":0},{"name":"a@b:eth0","interfaces":[1],"remote":true,"lost":"why","clock_ahead_ns":7}],"own_conns":[{"orig":"10.77.0.10:40002","resp":"10.77.0.99:22"}]}}"#;
    add("annotation", "window", &[run(head), tail.to_vec()].concat());
}
