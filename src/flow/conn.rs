//! One conn: what is counted of it, whatever its protocol.

use super::tcp::Tcp;
use crate::model::{
    Carriage, ConnId, ConnRecord, Direction, Endpoint, FrameRef, Proto, Segment, TcpFlags,
    Timestamp, Uid,
};
use std::collections::BTreeSet;

/// Interfaces of one conn that are told apart beyond the first 64; a hostile pcapng may have any number.
const MAX_FAR_INTERFACES: usize = 256;

/// Ports of services from 1024 on: a datagram or segment from one of them to any other port goes back to orig.
/// BlitzMail's first; then the usual registered ones (IANA service-names-port-numbers).
const SERVICE_PORTS: &[u16] = &[
    2151, 1119, 2154, // BlitzMail, its bulletins, Notify
    1080, 1194, 1352, 1433, 1494, 1521, 1701, 1723, 1812, 1813, 1883, 1900, 2049, 2082, 2083, 2121,
    2123, 2152, 2181, 2222, 2375, 2376, 2379, 3000, 3128, 3268, 3269, 3306, 3389, 3478, 3544, 3690,
    4222, 4369, 4500, 4789, 5000, 5004, 5060, 5061, 5222, 5223, 5269, 5353, 5355, 5432, 5555, 5632,
    5671, 5672, 5683, 5684, 5900, 5901, 5938, 5984, 5985, 5986, 6000, 6081, 6379, 6443, 6514, 6667,
    6697, 7000, 7687, 8000, 8008, 8080, 8081, 8086, 8088, 8118, 8443, 8472, 8883, 8888, 9000, 9042,
    9050, 9090, 9092, 9100, 9200, 9418, 9999, 10_000, 11_211, 27_017, 51_820,
];

/// A conn in the table.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) meta: Meta,
    pub(super) tcp: Option<Tcp>,
}

/// What is counted of every conn.
#[derive(Debug)]
pub(super) struct Meta {
    pub(super) uid: Uid,
    pub(super) id: ConnId,
    pub(super) midstream: bool,
    first: FrameRef,
    end: Timestamp,
    pub(super) frames: u64,
    /// The table's time of its last frame.
    pub(super) touched: i64,
    pub(super) bytes: [u64; 2],
    history: History,
    /// Interfaces 0 to 63, one a bit.
    interfaces: u64,
    rare: Option<Box<Rare>>,
}

/// What most conns have none of.
#[derive(Debug, Default)]
pub(super) struct Rare {
    pub(super) missed: [u64; 2],
    pub(super) conflict: [u64; 2],
    far_interfaces: BTreeSet<u32>,
    /// The network that its addresses belong to; most belong to the one that has no number.
    realm: u64,
    carriage: Option<Box<Carriage>>,
}

impl Meta {
    pub(super) fn new(uid: Uid, id: ConnId, segment: &Segment<'_>) -> Self {
        let (realm, carriage) = (segment.encap.realm(), segment.encap.carriage());
        let rare = (realm != 0 || carriage.is_some())
            .then(|| Box::new(Rare { realm, carriage, ..Rare::default() }));
        Self {
            uid,
            id,
            midstream: false,
            first: segment.at(),
            end: segment.at().time,
            frames: 0,
            touched: i64::MIN,
            bytes: [0; 2],
            history: History::default(),
            interfaces: 0,
            rare,
        }
    }

    /// Whether a segment is of this conn.
    pub(super) fn is_of(&self, segment: &Segment<'_>) -> bool {
        let ends = (self.id.orig, self.id.resp);
        self.id.proto == segment.proto
            && self.realm() == segment.encap.realm()
            && (ends == (segment.src, segment.dst) || ends == (segment.dst, segment.src))
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The network that its addresses belong to.
    pub(super) fn realm(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.realm)
    }

    /// Octets of memory beside its place.
    pub(super) fn held(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| {
            let carriage = rare.carriage.as_ref().map_or(0, |_| size_of::<Carriage>());
            // A node of a tree holds eleven, half of them at the least.
            size_of::<Rare>() + carriage + rare.far_interfaces.len() * 16
        })
    }

    /// Octets missed in each direction.
    pub(super) fn missed(&self) -> [u64; 2] {
        self.rare.as_ref().map_or([0; 2], |rare| rare.missed)
    }

    /// Counts a frame.
    pub(super) fn saw(&mut self, segment: &Segment<'_>, now: i64) {
        self.frames += 1;
        self.touched = now;
        self.end = self.end.max(segment.at().time);
        if segment.interface_id < 64 {
            self.interfaces |= 1 << segment.interface_id;
        } else {
            let far = &mut self.rare().far_interfaces;
            if far.len() < MAX_FAR_INTERFACES {
                far.insert(segment.interface_id);
            }
        }
    }

    pub(super) fn direction(&self, segment: &Segment<'_>) -> Direction {
        if segment.src == self.id.orig { Direction::OrigToResp } else { Direction::RespToOrig }
    }

    /// Notes an event in the history.
    pub(super) fn note(&mut self, event: Event, dir: Direction) {
        self.history.note(event, dir);
    }

    pub(super) fn record(self, is_evicted: bool) -> ConnRecord {
        let rare = self.rare.map(|rare| *rare).unwrap_or_default();
        let mut near = self.interfaces;
        let count = usize::try_from(near.count_ones()).unwrap_or_default();
        let mut interfaces = Vec::with_capacity(count + rare.far_interfaces.len());
        while near != 0 {
            interfaces.push(near.trailing_zeros());
            near &= near - 1;
        }
        interfaces.extend(rare.far_interfaces);
        ConnRecord {
            uid: self.uid,
            id: self.id,
            first: self.first,
            end: self.end,
            frames: self.frames,
            bytes: self.bytes,
            missed_bytes: rare.missed,
            conflict_bytes: rare.conflict,
            midstream: self.midstream,
            evicted: is_evicted,
            history: self.history.text(),
            interfaces,
            carriage: rare.carriage,
        }
    }
}

/// What the history tells, in Zeek's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
    Rst,
    Gap,
    Conflict,
    Retransmission,
}

impl Event {
    const ALL: [Self; 9] = [
        Self::Syn,
        Self::SynAck,
        Self::Ack,
        Self::Data,
        Self::Fin,
        Self::Rst,
        Self::Gap,
        Self::Conflict,
        Self::Retransmission,
    ];

    const fn letter(self) -> char {
        match self {
            Self::Syn => 'S',
            Self::SynAck => 'H',
            Self::Ack => 'A',
            Self::Data => 'D',
            Self::Fin => 'F',
            Self::Rst => 'R',
            Self::Gap => 'G',
            Self::Conflict => 'C',
            Self::Retransmission => 'T',
        }
    }
}

/// Events in their order, each direction's once, in five bits: a number from 1, `Event` x 2 + `Direction`. Six a word.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    words: [u32; 3],
    /// The numbers that are there, one a bit.
    seen: u32,
}

impl History {
    fn note(&mut self, event: Event, dir: Direction) {
        let code = event as u32 * 2 + u32::from(dir == Direction::RespToOrig) + 1;
        if self.seen >> code & 1 == 1 {
            return;
        }
        let count = usize::try_from(self.seen.count_ones()).unwrap_or_default();
        self.seen |= 1 << code;
        if let Some(word) = self.words.get_mut(count / 6) {
            *word |= code << (5 * (count % 6));
        }
    }

    fn text(self) -> String {
        let count = usize::try_from(self.seen.count_ones()).unwrap_or_default();
        let mut text = String::with_capacity(count);
        for mut word in self.words {
            while let Some(code) = usize::try_from(word & 31).ok().and_then(|it| it.checked_sub(1))
            {
                word >>= 5;
                let Some(event) = Event::ALL.get(code / 2) else { continue };
                let letter = event.letter();
                text.push(if code % 2 == 1 { letter.to_ascii_lowercase() } else { letter });
            }
        }
        text
    }
}

/// Who opened the conn whose first segment this is: the sender of a SYN, the receiver of a SYN-ACK, else the sender,
/// unless only its port is a service's.
pub(super) fn conn_id(segment: &Segment<'_>) -> ConnId {
    let (src, dst, proto) = (segment.src, segment.dst, segment.proto);
    let is_answer = match segment.tcp {
        Some(tcp) if tcp.flags.has(TcpFlags::SYN) => tcp.flags.has(TcpFlags::ACK),
        _ => is_service(src, proto) && !is_service(dst, proto),
    };
    let (orig, resp) = if is_answer { (dst, src) } else { (src, dst) };
    ConnId { orig, resp, proto }
}

fn is_service(end: Endpoint, proto: Proto) -> bool {
    proto.has_ports() && end.port != 0 && (end.port < 1024 || SERVICE_PORTS.contains(&end.port))
}
