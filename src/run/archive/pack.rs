//! A summary as octets: numbers as LEB128, texts with their length in front. Read by the process that wrote it alone.

use crate::model::{
    Agreement, Basis, Carriage, Class, ConnId, ConnRecord, ConnSummary, Direction, Encoding,
    Endpoint, Excerpt, Field, FrameRef, FrameSpan, Hit, Layer, Proto, Rule, Timestamp, Uid,
};
use std::net::IpAddr;

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
    to.pair(*missed_bytes);
    to.pair(*conflict_bytes);
    to.flags([*midstream, *evicted, *is_control, agreement.is_some(), dialect.is_some()]);
    to.bytes(history.as_bytes());
    to.number(interfaces.len() as u64);
    for id in interfaces {
        to.number((*id).into());
    }
    to.carriage(carriage.as_deref());
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
        to.flags([*real, false, false, false, false]);
        to.texts(weak);
    }
    to.pair(*sealed_bytes);
    to.pair(*missed_in_clear);
    to.pair(*conflict_in_clear);
    to.number(*unread_preamble);
    to.number(*unread_bodies);
    to.number(*stopped_bodies);
    to.number(*sealed_turns);
    to.number(*hits_omitted);
    to.texts(remarks);
    to.number(hits.len() as u64);
    for hit in hits {
        to.hit(hit);
    }
}

/// The ends of a packed summary; none where the octets are not one.
pub(super) fn ends(bytes: &[u8], names: &Names) -> Option<ConnId> {
    let mut from = Unpacker { rest: bytes, names };
    from.number()?;
    from.id()
}

/// Reads a summary; none where the octets are not one.
pub(super) fn unpack(bytes: &[u8], names: &Names) -> Option<ConnSummary> {
    let mut from = Unpacker { rest: bytes, names };
    let uid = Uid(from.number()?);
    let id = from.id()?;
    let first = from.at()?;
    let end = from.time()?;
    let frames = from.number()?;
    let bytes = from.pair()?;
    let missed_bytes = from.pair()?;
    let conflict_bytes = from.pair()?;
    let [midstream, evicted, is_control, is_agreed, is_known] = from.flags()?;
    let history = from.text()?;
    let interfaces = from.list(|from| u32::try_from(from.number()?).ok())?;
    let carriage = from.carriage()?;
    let carriage = (!carriage.layers.is_empty()).then(|| Box::new(carriage));
    let dialect = if is_known { Some(from.name()?) } else { None };
    let class = names.classes.value(from.number()?)?;
    let basis = names.bases.value(from.number()?)?;
    let agreement = if is_agreed { Some(from.agreement()?) } else { None };
    Some(ConnSummary {
        record: ConnRecord {
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
        },
        dialect,
        class,
        basis,
        agreement,
        sealed_bytes: from.pair()?,
        missed_in_clear: from.pair()?,
        conflict_in_clear: from.pair()?,
        unread_preamble: from.number()?,
        unread_bodies: from.number()?,
        stopped_bodies: from.number()?,
        sealed_turns: from.number()?,
        hits_omitted: from.number()?,
        remarks: from.list(Unpacker::text)?,
        hits: from.list(Unpacker::hit)?,
        is_control,
    })
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
        let number = self.names.texts.number(name);
        self.number(number);
    }

    fn end(&mut self, end: Endpoint) {
        match end.ip {
            IpAddr::V4(ip) => {
                self.out.push(4);
                self.out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.out.push(6);
                self.out.extend_from_slice(&ip.octets());
            }
        }
        self.out.extend_from_slice(&end.port.to_be_bytes());
    }

    fn carriage(&mut self, carriage: Option<&Carriage>) {
        let (layers, outer) = carriage.map_or((&[][..], &[][..]), |it| (&it.layers, &it.outer));
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
        let [real, ..] = self.flags::<5>()?;
        Some(Agreement { version, kex, cipher, mac, real, weak: self.list(Self::text)? })
    }

    fn hit(&mut self) -> Option<Hit> {
        let [has_uid, has_field, has_label, has_dialect, has_chance, in_ciphertext, out_of_stream] =
            self.flags()?;
        let uid = if has_uid { Some(Uid(self.number()?)) } else { None };
        let field = if has_field { Some(Field(self.name()?)) } else { None };
        let label = if has_label { Some(self.text()?) } else { None };
        let dialect = if has_dialect { Some(self.name()?) } else { None };
        let chance = if has_chance { Some(f64::from_le_bytes(self.array()?)) } else { None };
        let rule = self.names.rules.value(self.number()?)?;
        let dir = match self.number()? {
            1 => Some(Direction::OrigToResp),
            2 => Some(Direction::RespToOrig),
            _ => None,
        };
        let value = self.bytes()?.to_vec();
        let value_len = self.size()?;
        let offset = self.number()?;
        let frames = FrameSpan { first: self.at()?, last: self.number()? };
        let encoding = self.names.encodings.value(self.number()?)?;
        let bytes = self.bytes()?.to_vec();
        let excerpt = Excerpt { bytes, start: self.size()?, len: self.size()? };
        Some(Hit {
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
        })
    }
}
