//! Captures for benches and tests, made by a seed: the same seed and size give the same octets on every machine.
//!
//! Classic pcap, little endian, microseconds, Ethernet, with right checksums. `Kind` says what is in each.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "benches and tests each use a part of it; every number here is below the bounds that are written beside it"
)]

mod bulk;
pub(crate) mod found;
mod hostile;
mod mail;
mod packet;
mod rng;
mod small;
mod words;

use rng::Rng;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
pub(crate) use words::identifiers;

/// 2025-06-15 15:06:40 UTC, in microseconds.
const START_US: u64 = 1_750_000_000_000_000;

/// What a capture is made of. The sizes are those of scale 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 1 GB: 40 long conns of TLS and SSH, full segments of random octets; some out of order, some sent twice.
    Bulk,
    /// 500 MB: 30,000 sessions of POP3, IMAP, SMTP and NNTP in the clear, with 1875 identifiers planted.
    Mail,
    /// 300 MB: 640,000 short conns of TCP, UDP and DNS, IPv4 and IPv6, some with a VLAN tag.
    Small,
    /// 200 MB: a SYN flood, windows far out of order, single octets in reverse, overlaps that differ, tiny fragments.
    Hostile,
}

impl Kind {
    /// All, in the order of the tables.
    pub(crate) const ALL: [Self; 4] = [Self::Bulk, Self::Mail, Self::Small, Self::Hostile];

    /// Its name: of the file, and in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Mail => "mail",
            Self::Small => "small",
            Self::Hostile => "hostile",
        }
    }
}

/// How much of a capture is made: millionths of scale 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scale(pub(crate) u64);

impl Scale {
    /// So much of `whole`, at least 1.
    const fn of(self, whole: u64) -> u64 {
        let part = whole * self.0 / 1_000_000;
        if part == 0 { 1 } else { part }
    }
}

/// What was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    /// Frames.
    pub(crate) frames: u64,
    /// Octets of the file.
    pub(crate) octets: u64,
    /// The identifiers in it, by the end of their session.
    pub(crate) planted: Vec<Planted>,
}

/// An identifier in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planted {
    /// How it is written and cut: `plain`, `split-ooo`, `utf16`, ...
    pub(crate) how: String,
    /// The identifier.
    pub(crate) text: String,
    /// Who opened the conn.
    pub(crate) orig: SocketAddr,
    /// Who was called.
    pub(crate) resp: SocketAddr,
    /// Sent by who opened the conn.
    pub(crate) by_orig: bool,
    /// Where the octets that were planted begin in the stream, with what was encoded together with the identifier.
    pub(crate) offset: u64,
    /// How many they are.
    pub(crate) len: u64,
}

/// Writes a capture.
///
/// # Errors
/// Where `out` fails.
pub(crate) fn write(kind: Kind, scale: Scale, seed: u64, out: impl Write) -> io::Result<Made> {
    let mut file = File::begin(out)?;
    match kind {
        Kind::Bulk => bulk::write(&mut file, scale, seed)?,
        Kind::Mail => mail::write(&mut file, scale, seed)?,
        Kind::Small => small::write(&mut file, scale, seed)?,
        Kind::Hostile => hostile::write(&mut file, scale, seed)?,
    }
    file.out.flush()?;
    Ok(file.made)
}

/// A target file with a target `bench`: a gateway, four mail services on the hosts of `Kind::Mail`, and `identifiers`.
pub(crate) fn target(identifiers: &[String]) -> String {
    let texts: Vec<String> = identifiers.iter().map(|text| format!("{text:?}")).collect();
    let hosts: Vec<String> =
        (1..=mail::SERVERS).map(|host| format!("\"198.51.100.{host}\"")).collect();
    let mut file = format!(
        "[target.bench]\ngateway = \"user@gateway.example\"\ngateway_address = [\"203.0.113.1\"]\ntunnel = \"external\"\n\
         identifiers = {{ names = [{}] }}\n",
        texts.join(", ")
    );
    for (name, port) in mail::SERVICES {
        write!(
            file,
            "\n[[target.bench.service]]\nname = \"{name}\"\nkind = \"{name}\"\nhost = \"{name}.example\"\nport = {port}\n\
             address = [{}]\n",
            hosts.join(", ")
        )
        .unwrap();
    }
    file
}

/// So many random octets.
pub(crate) fn random(octets: usize) -> Vec<u8> {
    let mut out = Vec::new();
    Rng::new(1).fill(&mut out, octets);
    out
}

/// So many octets of what `Kind::Mail` is made of, without identifiers.
pub(crate) fn text(octets: usize) -> Vec<u8> {
    let mut rng = Rng::new(1);
    let stock = words::Stock::new(&mut rng);
    let mut out = Vec::new();
    while out.len() < octets {
        out.extend_from_slice(stock.piece(&mut rng));
    }
    out.truncate(octets);
    out
}

/// A capture in the making.
struct File<W> {
    out: W,
    clock_us: u64,
    made: Made,
}

impl<W: Write> File<W> {
    fn begin(mut out: W) -> io::Result<Self> {
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1_u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { out, clock_us: START_US, made: Made { octets: 24, ..Made::default() } })
    }

    /// Adds a frame, so many microseconds after the last one.
    fn put(&mut self, frame: &[u8], step_us: u64) -> io::Result<()> {
        self.clock_us += step_us;
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let [seconds, micros] = [self.clock_us / 1_000_000, self.clock_us % 1_000_000]
            .map(|part| u32::try_from(part).unwrap_or(u32::MAX));
        let mut head = [0; 16];
        for (place, word) in head.chunks_exact_mut(4).zip([seconds, micros, len, len]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.out.write_all(&head)?;
        self.out.write_all(frame)?;
        self.made.frames += 1;
        self.made.octets += 16 + u64::from(len);
        Ok(())
    }
}

/// Frames that wait for their turn, one behind the other in one piece of memory.
#[derive(Default)]
struct Frames {
    octets: Vec<u8>,
    ends: Vec<usize>,
    next: usize,
}

impl Frames {
    fn push(&mut self, frame: &[u8]) {
        self.octets.extend_from_slice(frame);
        self.ends.push(self.octets.len());
    }

    /// The next one; none where more must be made first.
    fn pop(&mut self) -> Option<&[u8]> {
        let end = *self.ends.get(self.next)?;
        let start = self.next.checked_sub(1).map_or(0, |last| self.ends[last]);
        self.next += 1;
        Some(&self.octets[start..end])
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.ends.clear();
        self.next = 0;
    }

    fn is_used_up(&self) -> bool {
        self.next == self.ends.len()
    }
}

/// Makes frames in batches; false where there are no more.
type Make<'a> = Box<dyn FnMut(&mut Rng, &mut Frames) -> bool + 'a>;

/// Frames that are made when they are asked for.
struct Spring<'a> {
    make: Make<'a>,
    frames: Frames,
}

impl<'a> Spring<'a> {
    fn new(make: Make<'a>) -> Self {
        Self { make, frames: Frames::default() }
    }

    fn next(&mut self, rng: &mut Rng) -> Option<&[u8]> {
        while self.frames.is_used_up() {
            self.frames.clear();
            if !(self.make)(rng, &mut self.frames) {
                return None;
            }
        }
        self.frames.pop()
    }
}
