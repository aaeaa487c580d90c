//! Which conns of a capture are kept for the judgement: all while there is room, then the first ones of each kind.
//!
//! A judgement names conns by scope, and the scope is known when the capture has ended: names are answered and clients
//! are met anywhere. So the conns are read twice: first to meet the client, then to keep what matters. What is not kept is
//! folded into counts where no claim asks anything of it, and forbids a PASS where one does.

use super::bypass;
use super::carried::{Proof, proof};
use super::case::{Case, Rest};
use super::coverage::{conflict_in_clear, is_unread, missed_in_clear};
use super::metadata;
use super::scope::{Aside, Met, Place, Placed, Scope};
use crate::model::{Class, ConnId, ConnRecord, ConnSummary, Direction, Hit, Rule, TunnelMode};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// How many are kept.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Conns that have something to do with the target.
    concerned: usize,
    /// Other people's conns: a report lists 200 findings of them.
    bystanders: usize,
    /// Octets of both; beyond them only the first ones of a kind.
    octets: usize,
    /// Octets in all.
    octets_most: usize,
    /// Conns of each kind that are kept beyond the room.
    first: u32,
    /// Kinds told apart.
    kinds: usize,
}

const ROOM: Room = Room {
    concerned: 8192, // a report names 64 conns a reason and 500 pieces of evidence
    bystanders: 1024,
    octets: 16 << 20,
    octets_most: 32 << 20,
    first: 4,
    kinds: 2048, // some hundred occur; this bounds a target with many services
};

/// What a claim may ask of a conn: two conns of one kind are judged alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    place: u8,
    index: usize,
    inside: bool,
    class: Class,
    client_dir: Option<Direction>,
    marks: [bool; 8],
}

/// In one number: it is hashed for every conn.
impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let marks = self.marks.iter().fold(0, |all, mark| all << 1 | u64::from(*mark));
        let client = self.client_dir.map_or(2, |dir| dir.index() as u64);
        let small = u64::from(self.place) << 8 | (self.class as u64) << 4 | client << 1;
        state.write_u64((self.index as u64) << 24 ^ marks << 16 ^ small ^ u64::from(self.inside));
    }
}

/// Hashes a `Kind`: there are some hundred of them, and few come from outside.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u64(u64::from(*octet));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 over the golden ratio: its product depends on all bits in the highest ones.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}

/// Keeps what matters of the conns of a capture.
pub struct Sieve<'a> {
    case: Case<'a>,
    scope: Scope<'a>,
    aside: Aside,
    names: BTreeSet<&'a str>,
    room: Room,
    met: Met,
    conns: Vec<ConnSummary>,
    octets: usize,
    bystanders: usize,
    kinds: HashMap<Kind, u32, BuildHasherDefault<Mixed>>,
    rest: Rest,
}

impl<'a> Sieve<'a> {
    /// A sieve for a case whose conns are still to come.
    #[must_use]
    pub fn new(case: &Case<'a>) -> Self {
        Self::with_room(case, ROOM)
    }

    fn with_room(case: &Case<'a>, room: Room) -> Self {
        Self {
            scope: Scope::bare(case),
            aside: Aside::of(case),
            names: metadata::names(case.target),
            case: *case,
            room,
            met: Met::default(),
            conns: Vec::new(),
            octets: 0,
            bystanders: 0,
            kinds: HashMap::default(),
            rest: Rest::default(),
        }
    }

    /// Whether every conn must be shown to `meet` before the first is given to `take`.
    #[must_use]
    pub fn must_meet(&self) -> bool {
        Scope::must_meet(&self.case)
    }

    /// Whether `meet` has anything to see in a conn between these ends.
    #[must_use]
    pub fn may_meet(&self, id: &ConnId) -> bool {
        self.scope.is_concerned(&self.case, id)
    }

    /// Sees who goes to the gateway and to the services.
    pub fn meet(&mut self, conn: &ConnRecord) {
        if !self.scope.meet_within(&self.case, conn, &mut self.met) {
            self.rest.unjudged += 1;
        }
    }

    /// The client is known as well as it ever will be. To be called once, before `take`.
    pub fn met(&mut self) {
        self.scope.find_clients(&self.case, &self.met);
        self.rest.met = Some(std::mem::take(&mut self.met));
    }

    /// Keeps a conn, or counts it. Conns come in the order of their first frame.
    pub fn take(&mut self, conn: &ConnSummary) {
        *self.rest.classes.entry(conn.class).or_insert(0) += 1;
        let placed = self.scope.placed(&self.case, conn, &self.aside);
        let is_bystander = matches!(
            placed.place,
            Place::Elsewhere | Place::StrangerToGateway | Place::Exempt(_) | Place::Excluded
        );
        let is_open = self.is_open(&placed, is_bystander);
        let octets = octets(conn);
        let (held, most) = if is_bystander {
            (self.bystanders, self.room.bystanders)
        } else {
            (self.conns.len() - self.bystanders, self.room.concerned)
        };
        let has_room = held < most && self.octets + octets <= self.room.octets;
        let is_needed = conn.is_control || placed.place == Place::Gateway { ours: true };
        let kind = self.kind(&placed, is_open);
        // None where the kinds cannot be told apart any more: nothing is known to stand for this conn.
        let is_first = self.is_first(kind).unwrap_or(true);
        if (has_room || is_needed || is_first) && self.octets + octets <= self.room.octets_most {
            self.octets += octets;
            self.bystanders += usize::from(is_bystander);
            self.conns.push(conn.clone());
            return;
        }
        let rest = &mut self.rest;
        rest.hits_omitted = rest.hits_omitted.saturating_add(conn.hits_omitted);
        if is_needed || is_open || is_first {
            rest.unjudged += 1;
            return;
        }
        let explained = conn.hits.iter().filter(|hit| {
            !placed.in_scope()
                && !hit.in_ciphertext
                && matches!(hit.rule, Rule::Credential | Rule::Content)
                || hit.rule == Rule::Identifier
        });
        rest.explained += explained.count() as u64;
        rest.folded += 1;
        rest.missed_in_seal += conn.record.missed_bytes.iter().sum::<u64>();
        rest.conflict_in_seal += conn.record.conflict_bytes.iter().sum::<u64>();
    }

    /// What was kept, and what is known of the rest.
    #[must_use]
    pub fn finish(self) -> (Vec<ConnSummary>, Rest) {
        (self.conns, self.rest)
    }

    /// Whether a claim, or the coverage, may ask something of this conn that the kept ones do not answer.
    fn is_open(&self, placed: &Placed<'_>, is_bystander: bool) -> bool {
        let conn = placed.conn;
        let has = |rule: Rule| conn.hits.iter().any(|hit| hit.rule == rule);
        let is_exempt = placed.exempt().is_some();
        if !is_exempt {
            let lost = missed_in_clear(conn) > 0 || conflict_in_clear(conn) > 0;
            let named = conn.hits.iter().any(|hit| self.is_name(hit));
            if lost || is_unread(conn) || !placed.inside && (named || has(Rule::Identifier)) {
                return true;
            }
        }
        let services = &self.case.target.services;
        if services.iter().any(|service| service.is_by_name && bypass::is_suspect(placed, service))
        {
            return true;
        }
        if is_bystander || placed.inside || !placed.in_scope() {
            return false;
        }
        if conn.record.midstream
            || conn.record.evicted
            || conn.unread_preamble > 0
            || conn.unread_bodies > 0
            || conn.stopped_bodies > 0
        {
            return true;
        }
        let is_direct = matches!(placed.place, Place::Service(_))
            && self.case.target.tunnel != TunnelMode::None;
        match proof(conn) {
            _ if is_direct => true,
            Proof::Empty => false,
            Proof::Real => {
                conn.agreement.as_ref().is_some_and(|it| !it.weak.is_empty())
                    || conn.hits.iter().any(|it| it.rule == Rule::WeakCrypto && it.field.is_some())
                    || conn.sealed_bytes.contains(&0)
                    || conn.class != Class::Encrypted
                    || conn.hits.iter().any(|hit| {
                        !hit.in_ciphertext && matches!(hit.rule, Rule::Credential | Rule::Content)
                    })
            }
            Proof::None | Proof::Unknown => true,
        }
    }

    fn is_name(&self, hit: &Hit) -> bool {
        hit.rule == Rule::Metadata && metadata::matching(&self.names, &hit.value).is_some()
    }

    /// Whether a conn is among the first of its kind, which stand for the others; none where it has no place in the list.
    fn is_first(&mut self, kind: Kind) -> Option<bool> {
        let known = self.kinds.len();
        match self.kinds.get_mut(&kind) {
            Some(count) => {
                *count = count.saturating_add(1);
                Some(*count <= self.room.first)
            }
            None if known < self.room.kinds => {
                self.kinds.insert(kind, 1);
                Some(true)
            }
            None => None,
        }
    }

    fn kind(&self, placed: &Placed<'_>, is_open: bool) -> Kind {
        let conn = placed.conn;
        let has = |rule: Rule| conn.hits.iter().any(|hit| hit.rule == rule && !hit.in_ciphertext);
        let (place, index, stranger) = match placed.place {
            Place::Gateway { ours } => (u8::from(ours), 0, None),
            Place::Service(index) => (2, index, None),
            Place::Other => (3, 0, None),
            Place::Exempt(index) => (4, index, None),
            Place::Control => (5, 0, None),
            Place::Excluded => (6, 0, None),
            Place::StrangerToService { stranger, by_client } => {
                (7, usize::from(by_client), Some(stranger))
            }
            Place::StrangerToGateway => (8, 0, None),
            Place::Elsewhere => (9, usize::from(conn.dialect == Some("ssh")), None),
        };
        Kind {
            place,
            index,
            inside: placed.inside,
            class: conn.class,
            client_dir: placed.client_dir,
            marks: [
                is_open,
                has(Rule::Identifier),
                has(Rule::Credential) || has(Rule::Content),
                has(Rule::WeakCrypto),
                conn.record.midstream,
                proof(conn) == Proof::Real,
                conn.sealed_bytes.contains(&0),
                stranger.is_some_and(|stranger| self.scope.is_of_unknown_family(stranger)),
            ],
        }
    }
}

/// Octets of memory that a summary takes.
fn octets(conn: &ConnSummary) -> usize {
    let hits = conn
        .hits
        .iter()
        .map(|hit| size_of::<Hit>() + hit.value.len() + hit.excerpt.bytes.len() + 32);
    size_of::<ConnSummary>() + 256 + hits.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Field, Verdict};
    use crate::verdict::fixture::*;
    use crate::verdict::{Judgement, judge};
    use proptest::prelude::*;

    const TIGHT: Room = Room {
        concerned: 3,
        bystanders: 2,
        octets: 1 << 20,
        octets_most: 2 << 20,
        first: 1,
        kinds: 64,
    };

    /// The world judged over what a sieve keeps of it, and what that is.
    fn sifted(world: &World, room: Room) -> (Judgement, Vec<ConnSummary>, Rest) {
        let case = Case { conns: &[], ..world.case() };
        let mut sieve = Sieve::with_room(&case, room);
        if sieve.must_meet() {
            world.conns.iter().for_each(|conn| sieve.meet(&conn.record));
        }
        sieve.met();
        world.conns.iter().for_each(|conn| sieve.take(conn));
        let (conns, rest) = sieve.finish();
        let judgement = judge(&Case { conns: &conns, rest: &rest, ..case });
        (judgement, conns, rest)
    }

    /// Conns of many kinds, in scope and out of it.
    fn some(kind: u8) -> ConnSummary {
        let at = |port| tcp((CLIENT, 40_000), (MAIL, port));
        let out = || tcp((OTHER, 50_000), ("192.0.2.1", 80));
        let secret = |mut conn: ConnSummary, rule| {
            conn.hits.push(hit(rule, Some(Field::USERNAME), "jsmith"));
            conn
        };
        match kind {
            0 => at(2151),
            1 => readable(at(2151), "pop3"),
            2 => readable(out(), "http"),
            3 => secret(readable(out(), "http"), Rule::Credential),
            4 => secret(readable(out(), "http"), Rule::Identifier),
            5 => ConnSummary { class: Class::Opaque, ..at(9999) },
            6 => tcp((OTHER, 40_000), (MAIL, 2151)),
            7 => {
                let mut conn = out();
                conn.record.missed_bytes = [0, 9];
                conn.missed_in_clear = [0, 9];
                conn
            }
            8 => tcp((CLIENT, 40_000), (GATEWAY, 22)),
            9 => secret(ConnSummary { class: Class::Opaque, ..out() }, Rule::Identifier),
            _ => out(),
        }
    }

    fn worlds() -> impl Strategy<Value = World> {
        let base = prop_oneof![Just(live()), Just(recorded()), Just(services())];
        (base, any::<bool>(), any::<bool>(), prop::collection::vec((0_u8..11, 1_usize..6), 0..8))
            .prop_map(|(mut world, strict, given, floods)| {
                world.strict = strict;
                if !given {
                    world.target.clients.clear();
                }
                for (kind, times) in floods {
                    for _ in 0..times {
                        world.add(some(kind));
                    }
                }
                world
            })
    }

    proptest! {
        #[test]
        fn a_sieve_with_room_changes_nothing(world in worlds()) {
            let (judgement, conns, rest) = sifted(&world, ROOM);
            prop_assert_eq!(judgement, world.judge());
            prop_assert_eq!(conns.len(), world.conns.len());
            prop_assert_eq!(rest.classes.values().sum::<u64>(), world.conns.len() as u64);
        }

        #[test]
        fn a_sieve_without_room_never_makes_an_answer_better(world in worlds()) {
            let (judgement, ..) = sifted(&world, TIGHT);
            prop_assert!(judgement.verdict >= world.verdict() || world.verdict() == Verdict::Fail);
            prop_assert!(judgement.verdict != Verdict::Pass || world.verdict() == Verdict::Pass);
        }

        #[test]
        fn a_sieve_that_knows_the_kinds_answers_the_same(world in worlds()) {
            // Of every kind one is kept: what breaks a claim still does.
            let (judgement, ..) = sifted(&world, Room { first: 2, ..TIGHT });
            if world.verdict() == Verdict::Fail {
                prop_assert_eq!(judgement.verdict, Verdict::Fail);
            }
        }
    }

    #[test]
    fn a_proof_is_the_seal_without_its_words() {
        use crate::model::Agreement;
        use crate::verdict::carried::{Seal, seal};
        let agreement = |real| Agreement {
            version: "TLS 1.3".to_owned(),
            kex: "x25519".to_owned(),
            cipher: ["aes128-gcm".to_owned(), "aes128-gcm".to_owned()],
            mac: [String::new(), String::new()],
            real,
            weak: Vec::new(),
        };
        let classes =
            [Class::Empty, Class::Encrypted, Class::Upgraded, Class::Opaque, Class::Cleartext];
        let mut met = BTreeSet::new();
        for (kind, class) in (0..11).flat_map(|kind| classes.map(|class| (kind, class))) {
            for (agreed, midstream) in [(0, false), (1, false), (2, false), (0, true), (1, true)] {
                let mut conn = ConnSummary { class, ..some(kind) };
                conn.agreement = (agreed > 0).then(|| agreement(agreed == 1));
                conn.record.midstream = midstream;
                let expected = match seal(&conn) {
                    Seal::Real(_) => Proof::Real,
                    Seal::None(_) => Proof::None,
                    Seal::Unknown(_) => Proof::Unknown,
                    Seal::Empty => Proof::Empty,
                };
                assert_eq!(proof(&conn), expected, "{conn:?}");
                met.insert(format!("{expected:?}"));
            }
        }
        assert_eq!(met.len(), 4);
    }

    fn flood(world: &mut World, conn: &ConnSummary, times: usize) {
        for _ in 0..times {
            world.add(conn.clone());
        }
    }

    #[test]
    fn other_peoples_flood_is_folded_and_spoils_nothing() {
        let mut world = live();
        flood(&mut world, &some(3), 5000);
        assert_eq!(world.verdict(), Verdict::Pass);
        let (judgement, conns, rest) = sifted(&world, ROOM);
        assert_eq!(judgement.verdict, Verdict::Pass, "{:?}", judgement.coverage);
        assert!(conns.len() < 1500 && rest.folded > 3500, "{} {rest:?}", conns.len());
        let whole = world.judge();
        assert_eq!(judgement.explained, whole.explained);
        assert_eq!(judgement.explained_omitted, whole.explained_omitted);
    }

    #[test]
    fn a_flood_does_not_hide_the_one_conn_that_leaks() {
        let mut world = live();
        flood(&mut world, &some(5), 20_000);
        flood(&mut world, &some(2), 5000);
        world.add(some(4));
        let (judgement, conns, rest) = sifted(&world, ROOM);
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(conns.len() < 10_000 && rest.unjudged > 10_000, "{} {rest:?}", conns.len());
        assert!(judgement.coverage.iter().any(|reason| reason.code == "conns-omitted"));
    }

    #[test]
    fn what_is_not_kept_and_asked_about_forbids_a_pass() {
        let mut world = live();
        world.add(some(4));
        let none = Room { octets: 0, octets_most: 1, ..ROOM };
        let (judgement, conns, rest) = sifted(&world, none);
        assert!(conns.is_empty() && rest.unjudged > 0, "{rest:?}");
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_conn_that_no_kept_one_stands_for_is_never_folded() {
        let mut world = live();
        for kind in [2, 3, 6] {
            world.add(some(kind));
        }
        let none = Room { octets: 0, octets_most: 1, ..ROOM };
        let (judgement, _, rest) = sifted(&world, none);
        assert_eq!((rest.folded, rest.unjudged), (0, world.conns.len() as u64));
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        // Kinds that cannot be told apart stand for nothing.
        let (_, conns, rest) =
            sifted(&world, Room { kinds: 0, concerned: 0, bystanders: 0, ..ROOM });
        assert_eq!((rest.folded, conns.len()), (0, world.conns.len()));
    }
}
