//! A summary as octets: numbers as LEB128, texts with their length in front. Read by the process that wrote it alone.

use crate::model::{
    Agreement, Basis, Carriage, Class, ConnId, ConnRecord, ConnSummary, Direction, Encoding,
    Endpoint, Excerpt, Field, FrameRef, FrameSpan, Hit, Layer, Proto, Rule, Timestamp, Uid,
};
use std::net::{IpAddr, Ipv4Addr};

/// What the program itself has a name for; a number stands for each. There are some hundred.
#[derive(Debug, Default)]
pub(super) struct Names {
    texts: Table<&'static str>,
    classes: Table<Class>,
    bases: Table<Basis>,
    rules: Table<Rule>,
    encodings: Table<Encoding>,
}

/// Values by the order in which they were first met.
#[derive(Debug)]
struct Table<T>(Vec<T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + PartialEq> Table<T> {
    fn number(&mut self, value: T) -> u64 {
        let known = self.0.iter().position(|known| *known == value);
        let place = known.unwrap_or_else(|| {
            self.0.push(value);
            self.0.len() - 1
        });
        place as u64
    }

    fn value(&self, number: u64) -> Option<T> {
        self.0.get(usize::try_from(number).ok()?).copied()
    }
}

/// Appends a summary.
pub(super) fn pack(conn: &ConnSummary, names: &mut Names, out: &mut Vec<u8>) {
    let ConnSummary {
        record,
        dialect,
        class,
        basis,
        agreement,
        sealed_bytes,
        missed_in_clear,
        conflict_in_clear,
        unread_preamble,
        unread_bodies,
        stopped_bodies,
        sealed_turns,
        hits,
        hits_omitted,
        is_control,
        remarks,
    } = conn;
    let ConnRecord {
        uid,
        id,
        first,
        end,
        frames,
        bytes,
        missed_bytes,
        conflict_bytes,
        midstream,
        evicted,
        history,
        interfaces,
        carriage,
    } = record;
    let mut to = Packer { out, names };
    to.number(uid.0);
    to.end(id.orig);
    to.end(id.resp);
    to.number(id.proto.0.into());
    to.at(*first);
    to.time(*end);
    to.number(*frames);
    to.pair(*bytes);
    let mut parts = 0;
    for (part, is_there) in [
        (MIDSTREAM, *midstream),
        (EVICTED, *evicted),
        (CONTROL, *is_control),
        (AGREED, agreement.is_some()),
        (DIALECT, dialect.is_some()),
        (CARRIED, carriage.is_some()),
        (REMARKS, !remarks.is_empty()),
    ] {
        parts |= if is_there { part } else { 0 };
    }
    to.out.push(parts);
    to.sparse([*missed_bytes, *conflict_bytes]);
    to.bytes(history.as_bytes());
    to.number(interfaces.len() as u64);
    for id in interfaces {
        to.number((*id).into());
    }
    if let Some(carriage) = carriage {
        to.carriage(carriage);
    }
    to.sparse([
        *sealed_bytes,
        *missed_in_clear,
        *conflict_in_clear,
        [*unread_preamble, *unread_bodies],
        [*stopped_bodies, *sealed_turns],
    ]);
    if let Some(dialect) = dialect {
        to.name(dialect);
    }
    let class = to.names.classes.number(*class);
    to.number(class);
    let basis = to.names.bases.number(*basis);
    to.number(basis);
    if let Some(agreement) = agreement {
        let Agreement { version, kex, cipher, mac, real, weak } = agreement;
        for text in [version, kex].into_iter().chain(cipher).chain(mac) {
            to.bytes(text.as_bytes());
        }
        to.flags([*real]);
        to.texts(weak);
    }
    to.number(*hits_omitted);
    if !remarks.is_empty() {
        to.texts(remarks);
    }
    to.number(hits.len() as u64);
    for hit in hits {
        to.hit(hit);
    }
}

/// Bits for what a summary has, and most have not.
const MIDSTREAM: u8 = 1;
const EVICTED: u8 = 1 << 1;
const CONTROL: u8 = 1 << 2;
const AGREED: u8 = 1 << 3;
const DIALECT: u8 = 1 << 4;
const CARRIED: u8 = 1 << 5;
const REMARKS: u8 = 1 << 6;

/// The ends of a packed summary; none where the octets are not one.
pub(super) fn ends(bytes: &[u8], names: &Names) -> Option<ConnId> {
    let mut from = Unpacker { rest: bytes, names };
    from.number()?;
    from.id()
}

/// A summary that was read. Its memory is used again for the next one: there are millions, and most of them are looked at
/// once.
#[derive(Debug)]
pub(super) struct Unpacked {
    conn: ConnSummary,
    /// Hits that the summary at hand has no use for.
    spare: Vec<Hit>,
}

/// Hits kept for their memory.
const MAX_SPARE: usize = 64;

impl Default for Unpacked {
    fn default() -> Self {
        Self { conn: nothing(), spare: Vec::new() }
    }
}

impl Unpacked {
    /// Reads a summary; none where the octets are not one.
    pub(super) fn read(&mut self, bytes: &[u8], names: &Names) -> Option<&mut ConnSummary> {
        let Self { conn, spare } = self;
        let mut from = Unpacker { rest: bytes, names };
        let parts = from.record(&mut conn.record)?;
        let has = |part: u8| parts & part != 0;
        conn.is_control = has(CONTROL);
        [
            conn.sealed_bytes,
            conn.missed_in_clear,
            conn.conflict_in_clear,
            [conn.unread_preamble, conn.unread_bodies],
            [conn.stopped_bodies, conn.sealed_turns],
        ] = from.sparse()?;
        conn.dialect = if has(DIALECT) { Some(from.name()?) } else { None };
        conn.class = names.classes.value(from.number()?)?;
        conn.basis = names.bases.value(from.number()?)?;
        conn.agreement = if has(AGREED) { Some(from.agreement()?) } else { None };
        conn.hits_omitted = from.number()?;
        conn.remarks.clear();
        if has(REMARKS) {
            conn.remarks = from.list(Unpacker::text)?;
        }
        let hits = from.size()?;
        while conn.hits.len() > hits {
            spare.extend(conn.hits.pop());
        }
        spare.truncate(MAX_SPARE);
        for hit in &mut conn.hits {
            from.hit(hit)?;
        }
        while conn.hits.len() < hits {
            let mut hit = spare.pop().unwrap_or_else(no_hit);
            from.hit(&mut hit)?;
            conn.hits.push(hit);
        }
        Some(conn)
    }

    /// Reads what flow knew of a conn; none where the octets are not a summary.
    pub(super) fn read_record(&mut self, bytes: &[u8], names: &Names) -> Option<&mut ConnRecord> {
        let record = &mut self.conn.record;
        Unpacker { rest: bytes, names }.record(record)?;
        Some(record)
    }
}

/// What is overwritten by the first summary that is read.
fn nothing() -> ConnSummary {
    let end = Endpoint { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };
    ConnSummary {
        record: ConnRecord {
            uid: Uid(0),
            id: ConnId { orig: end, resp: end, proto: Proto(0) },
            first: FrameRef::default(),
            end: Timestamp::default(),
            frames: 0,
            bytes: [0; 2],
            missed_bytes: [0; 2],
            conflict_bytes: [0; 2],
            midstream: false,
            evicted: false,
            history: String::new(),
            interfaces: Vec::new(),
            carriage: None,
        },
        dialect: None,
        class: Class::Empty,
        basis: Basis::None,
        agreement: None,
        sealed_bytes: [0; 2],
        missed_in_clear: [0; 2],
        conflict_in_clear: [0; 2],
        unread_preamble: 0,
        unread_bodies: 0,
        stopped_bodies: 0,
        sealed_turns: 0,
        hits: Vec::new(),
        hits_omitted: 0,
        is_control: false,
        remarks: Vec::new(),
    }
}

/// Likewise.
fn no_hit() -> Hit {
    Hit {
        uid: None,
        rule: Rule::Banner,
        field: None,
        label: None,
        value: Vec::new(),
        value_len: 0,
        dialect: None,
        dir: None,
        offset: 0,
        frames: FrameSpan::default(),
        encoding: Encoding::Dialect,
        excerpt: Excerpt::default(),
        chance: None,
        in_ciphertext: false,
        out_of_stream: false,
    }
}

struct Packer<'p> {
    out: &'p mut Vec<u8>,
    names: &'p mut Names,
}

impl Packer<'_> {
    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn pair(&mut self, [orig, resp]: [u64; 2]) {
        self.number(orig);
        self.number(resp);
    }

    /// Numbers that are zero in most summaries: which are not, and those. Up to eight pairs.
    fn sparse<const N: usize>(&mut self, pairs: [[u64; 2]; N]) {
        const { assert!(2 * N <= 16) };
        let numbers = pairs.as_flattened();
        let bits = numbers.iter().rev().fold(0, |bits, number| bits << 1 | u16::from(*number != 0));
        self.out.extend_from_slice(&bits.to_le_bytes());
        if bits != 0 {
            for number in numbers.iter().filter(|number| **number != 0) {
                self.number(*number);
            }
        }
    }

    fn flags<const N: usize>(&mut self, flags: [bool; N]) {
        self.out.push(flags.iter().fold(0, |octet, flag| octet << 1 | u8::from(*flag)));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn texts(&mut self, texts: &[String]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.bytes(text.as_bytes());
        }
    }

    fn name(&mut self, name: &'static str) {
        // Nearly always it is the very same one: then its octets need not be compared.
        let known = &self.names.texts.0;
        let number = match known.iter().position(|known| std::ptr::eq(*known, name)) {
            Some(place) => place as u64,
            None => self.names.texts.number(name),
        };
        self.number(number);
    }

    fn end(&mut self, end: Endpoint) {
        let [high, low] = end.port.to_be_bytes();
        match end.ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                self.out.extend_from_slice(&[4, a, b, c, d, high, low]);
            }
            IpAddr::V6(ip) => {
                self.out.push(6);
                self.out.extend_from_slice(&ip.octets());
                self.out.extend_from_slice(&[high, low]);
            }
        }
    }

    fn carriage(&mut self, carriage: &Carriage) {
        let Carriage { layers, outer } = carriage;
        self.number(layers.len() as u64);
        for layer in layers {
            self.name(layer.name);
            self.number(layer.id.map_or(0, |id| u64::from(id) + 1));
        }
        self.number(outer.len() as u64);
        for (src, dst) in outer {
            self.end(Endpoint { ip: *src, port: 0 });
            self.end(Endpoint { ip: *dst, port: 0 });
        }
    }

    fn at(&mut self, at: FrameRef) {
        self.number(at.number);
        self.time(at.time);
    }

    fn time(&mut self, time: Timestamp) {
        self.out.extend_from_slice(&time.as_nanos().to_le_bytes());
    }

    fn hit(&mut self, hit: &Hit) {
        let Hit {
            uid,
            rule,
            field,
            label,
            value,
            value_len,
            dialect,
            dir,
            offset,
            frames,
            encoding,
            excerpt,
            chance,
            in_ciphertext,
            out_of_stream,
        } = hit;
        self.flags([
            uid.is_some(),
            field.is_some(),
            label.is_some(),
            dialect.is_some(),
            chance.is_some(),
            *in_ciphertext,
            *out_of_stream,
        ]);
        if let Some(uid) = uid {
            self.number(uid.0);
        }
        if let Some(field) = field {
            self.name(field.0);
        }
        if let Some(label) = label {
            self.bytes(label.as_bytes());
        }
        if let Some(dialect) = dialect {
            self.name(dialect);
        }
        if let Some(chance) = chance {
            self.out.extend_from_slice(&chance.to_le_bytes());
        }
        let rule = self.names.rules.number(*rule);
        self.number(rule);
        self.number(match dir {
            None => 0,
            Some(Direction::OrigToResp) => 1,
            Some(Direction::RespToOrig) => 2,
        });
        self.bytes(value);
        self.number(*value_len as u64);
        self.number(*offset);
        self.at(frames.first);
        self.number(frames.last);
        let encoding = self.names.encodings.number(*encoding);
        self.number(encoding);
        self.bytes(&excerpt.bytes);
        self.pair([excerpt.start as u64, excerpt.len as u64]);
    }
}

struct Unpacker<'u> {
    rest: &'u [u8],
    names: &'u Names,
}

impl<'u> Unpacker<'u> {
    fn take(&mut self, len: usize) -> Option<&'u [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [octet] = self.array()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn pair(&mut self) -> Option<[u64; 2]> {
        Some([self.number()?, self.number()?])
    }

    /// Gives the parts that the summary has.
    fn record(&mut self, record: &mut ConnRecord) -> Option<u8> {
        record.uid = Uid(self.number()?);
        record.id = self.id()?;
        record.first = self.at()?;
        record.end = self.time()?;
        record.frames = self.number()?;
        record.bytes = self.pair()?;
        let [parts] = self.array()?;
        let has = |part: u8| parts & part != 0;
        record.midstream = has(MIDSTREAM);
        record.evicted = has(EVICTED);
        [record.missed_bytes, record.conflict_bytes] = self.sparse()?;
        self.text_into(&mut record.history)?;
        record.interfaces.clear();
        for _ in 0..self.number()? {
            record.interfaces.push(u32::try_from(self.number()?).ok()?);
        }
        record.carriage = if has(CARRIED) { Some(Box::new(self.carriage()?)) } else { None };
        Some(parts)
    }

    fn sparse<const N: usize>(&mut self) -> Option<[[u64; 2]; N]> {
        let mut pairs = [[0; 2]; N];
        let mut bits = u16::from_le_bytes(self.array()?);
        for number in pairs.as_flattened_mut() {
            if bits == 0 {
                break;
            }
            if bits & 1 != 0 {
                *number = self.number()?;
            }
            bits >>= 1;
        }
        Some(pairs)
    }

    fn flags<const N: usize>(&mut self) -> Option<[bool; N]> {
        let [octet] = self.array()?;
        let mut flags = [false; N];
        for (flag, bit) in flags.iter_mut().rev().zip(0..) {
            *flag = octet >> bit & 1 == 1;
        }
        Some(flags)
    }

    fn bytes(&mut self) -> Option<&'u [u8]> {
        let len = self.size()?;
        self.take(len)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn text_into(&mut self, text: &mut String) -> Option<()> {
        text.clear();
        text.push_str(std::str::from_utf8(self.bytes()?).ok()?);
        Some(())
    }

    fn bytes_into(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        bytes.clear();
        bytes.extend_from_slice(self.bytes()?);
        Some(())
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.size()?;
        let mut list = Vec::with_capacity(len.min(self.rest.len()));
        for _ in 0..len {
            list.push(one(self)?);
        }
        Some(list)
    }

    fn name(&mut self) -> Option<&'static str> {
        let number = self.number()?;
        self.names.texts.value(number)
    }

    fn end(&mut self) -> Option<Endpoint> {
        let [version] = self.array()?;
        let ip = if version == 4 {
            IpAddr::from(self.array::<4>()?)
        } else {
            IpAddr::from(self.array::<16>()?)
        };
        Some(Endpoint { ip, port: u16::from_be_bytes(self.array()?) })
    }

    fn id(&mut self) -> Option<ConnId> {
        Some(ConnId {
            orig: self.end()?,
            resp: self.end()?,
            proto: Proto(u8::try_from(self.number()?).ok()?),
        })
    }

    fn carriage(&mut self) -> Option<Carriage> {
        let layers = self.list(|from| {
            let name = from.name()?;
            let id = from.number()?.checked_sub(1).map(u32::try_from).transpose().ok()?;
            Some(Layer { name, id })
        })?;
        let outer = self.list(|from| Some((from.end()?.ip, from.end()?.ip)))?;
        Some(Carriage { layers: layers.into(), outer: outer.into() })
    }

    fn at(&mut self) -> Option<FrameRef> {
        Some(FrameRef { number: self.number()?, time: self.time()? })
    }

    fn time(&mut self) -> Option<Timestamp> {
        Some(Timestamp::from_nanos(i64::from_le_bytes(self.array()?)))
    }

    fn agreement(&mut self) -> Option<Agreement> {
        let version = self.text()?;
        let kex = self.text()?;
        let cipher = [self.text()?, self.text()?];
        let mac = [self.text()?, self.text()?];
        let [real] = self.flags()?;
        Some(Agreement { version, kex, cipher, mac, real, weak: self.list(Self::text)? })
    }

    fn hit(&mut self, hit: &mut Hit) -> Option<()> {
        let [has_uid, has_field, has_label, has_dialect, has_chance, in_ciphertext, out_of_stream] =
            self.flags()?;
        hit.uid = if has_uid { Some(Uid(self.number()?)) } else { None };
        hit.field = if has_field { Some(Field(self.name()?)) } else { None };
        if has_label {
            self.text_into(hit.label.get_or_insert_default())?;
        } else {
            hit.label = None;
        }
        hit.dialect = if has_dialect { Some(self.name()?) } else { None };
        hit.chance = if has_chance { Some(f64::from_le_bytes(self.array()?)) } else { None };
        hit.rule = self.names.rules.value(self.number()?)?;
        hit.dir = match self.number()? {
            1 => Some(Direction::OrigToResp),
            2 => Some(Direction::RespToOrig),
            _ => None,
        };
        self.bytes_into(&mut hit.value)?;
        hit.value_len = self.size()?;
        hit.offset = self.number()?;
        hit.frames = FrameSpan { first: self.at()?, last: self.number()? };
        hit.encoding = self.names.encodings.value(self.number()?)?;
        self.bytes_into(&mut hit.excerpt.bytes)?;
        hit.excerpt.start = self.size()?;
        hit.excerpt.len = self.size()?;
        hit.in_ciphertext = in_ciphertext;
        hit.out_of_stream = out_of_stream;
        Some(())
    }
}
