//! The frame of a dialect made of lines: two readers, who is client and who is server, the upgrade to TLS.

use crate::inspect::dialect::{Codings, Dialect, Event, Found, Part, What};
use crate::inspect::lines::{Ends, Input, Item, Line, LineReader, Raw, Span};
use crate::model::{Chunk, Direction, Encoding, Field, Rule};
use std::collections::VecDeque;

/// Counted octets above this are no length that a peer means; the count is ignored.
const MAX_RAW: u64 = 1 << 31;

/// Remark: the client did not wait for the answer.
const INJECTED: &str =
    "octets sent behind the request for TLS, before its answer (command injection)";

/// Who asks and who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends verbs.
    Client,
    /// Sends replies.
    Server,
}

/// What one protocol makes of its lines.
pub(crate) trait Grammar: Send {
    /// Who would send such a line, where it can be told. The first line that tells decides.
    fn role_of(&self, line: &[u8]) -> Option<Role>;

    /// Takes a line.
    fn line(&mut self, role: Role, line: &Line<'_>, say: &mut Say<'_>);

    /// Takes a part of a counted run that was asked for with `Say::expect_raw`.
    fn raw(&mut self, _role: Role, _raw: &Raw<'_>, _say: &mut Say<'_>) {}

    /// Octets of one side are missing: forgets what rested on them.
    fn gap(&mut self, role: Role);

    /// Whether this side's lines are free content at the moment, where any octet is allowed.
    fn is_content(&self, _role: Role) -> bool {
        false
    }

    /// Whether no line of this side says anything at the moment, but for one that begins with a dot or a hyphen. The others
    /// are then skipped, and `line` is called with some of them or with none.
    fn skims(&self, _role: Role) -> bool {
        false
    }

    /// Octets of memory held beside its own; some hundred need not be told.
    fn held(&self) -> usize {
        0
    }
}

/// First octets of lines that are never skipped. A line that begins like TLS counts wherever it stands.
const SAYING: [u8; 3] = [b'.', b'-', HANDSHAKE];

#[derive(Clone, Copy, Debug)]
enum RawOrder {
    Expect(u64),
    Cancel,
}

/// State that outlives one line.
#[derive(Debug, Default)]
struct Memo {
    verbs: u128,
    remarks: Vec<&'static str>,
    /// Offset of the octet after the last one seen.
    seen: [u64; 2],
    /// The octet behind a line of the client that asks for TLS.
    asked_at: Option<u64>,
    /// First octet of a line that begins like a TLS record.
    tls_at: [Option<u64>; 2],
    orders: [Option<RawOrder>; 2],
    silent: [bool; 2],
    lost: [bool; 2],
}

/// A conn read line by line.
#[derive(Debug)]
pub(crate) struct Talk<G> {
    readers: [LineReader; 2],
    grammar: G,
    client: Option<Direction>,
    memo: Memo,
}

impl<G: Grammar> Talk<G> {
    /// A conn at its start.
    pub(crate) fn new(grammar: G) -> Self {
        Self {
            readers: [LineReader::new(Ends::Lf), LineReader::new(Ends::Lf)],
            grammar,
            client: None,
            memo: Memo::default(),
        }
    }

    fn read(&mut self, dir: Direction, mut input: Input<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let Self { readers, grammar, client, memo } = self;
        let [orig, resp] = readers;
        let (reader, other) = match dir {
            Direction::OrigToResp => (orig, resp),
            Direction::RespToOrig => (resp, orig),
        };
        *at_mut(&mut memo.seen, dir) = input.offset.saturating_add(input.bytes.len() as u64);
        let tls_at = other.half().filter(|half| is_tls(half.bytes)).map(|half| half.offset);
        if tls_at.is_some() {
            at_mut(&mut memo.tls_at, dir.reverse()).get_or_insert(tls_at.unwrap_or_default());
        }
        loop {
            let begins = input.bytes.first() == Some(&HANDSHAKE);
            if memo.asked_at == Some(input.offset) && *client == Some(dir) && begins {
                // The answer that it waited for is yet to come, by another queue of the capture. One octet must do, or it
                // would depend on the pieces: no command begins with it.
                *at_mut(&mut memo.silent, dir) = true;
                return out(Event::Handover { dir, offset: input.offset, to: "tls" });
            }
            if let Some(client) = *client
                && grammar.skims(if dir == client { Role::Client } else { Role::Server })
            {
                reader.skim(&mut input, SAYING);
            }
            let Some(item) = reader.next(&mut input) else { return };
            if let (None, Item::Line(line)) = (*client, item) {
                *client = grammar.role_of(line.bytes).map(|role| match role {
                    Role::Client => dir,
                    Role::Server => dir.reverse(),
                });
            }
            let client = client.unwrap_or(Direction::OrigToResp);
            let role = if dir == client { Role::Client } else { Role::Server };
            let mut say = Say { out: &mut *out, client, memo: &mut *memo };
            match item {
                Item::Line(line) => {
                    if role == Role::Client {
                        say.memo.asked_at = asks_for_tls(line.bytes).then_some(line.end);
                    }
                    if is_tls(line.bytes) {
                        at_mut(&mut say.memo.tls_at, dir).get_or_insert(line.offset);
                    }
                    if !grammar.is_content(role) && is_binary(line.bytes) {
                        say.lost(role, line.offset);
                    }
                    grammar.line(role, &line, &mut say);
                }
                Item::Raw(raw) => grammar.raw(role, &raw, &mut say),
            }
            for (reader, dir) in [(&mut *reader, dir), (&mut *other, dir.reverse())] {
                match at_mut(&mut memo.orders, dir).take() {
                    Some(RawOrder::Expect(len)) => reader.expect_raw(len),
                    Some(RawOrder::Cancel) => reader.cancel_raw(),
                    None => {}
                }
            }
            if *at_mut(&mut memo.silent, dir) {
                return;
            }
        }
    }
}

impl<G: Grammar> Dialect for Talk<G> {
    fn held(&self) -> usize {
        let lines: usize = self.readers.iter().map(LineReader::held).sum();
        lines + self.memo.remarks.capacity() * size_of::<&str>() + self.grammar.held()
    }

    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        if *at_mut(&mut self.memo.silent, dir) {
            return;
        }
        match *chunk {
            Chunk::Data { offset, bytes, frames } => {
                self.read(dir, Input { bytes, offset, frames }, out);
            }
            Chunk::Gap { offset, len } => {
                *at_mut(&mut self.memo.seen, dir) = offset.saturating_add(len);
                at_mut(&mut self.readers, dir).gap(len);
                let client = self.client.unwrap_or(Direction::OrigToResp);
                self.grammar.gap(if dir == client { Role::Client } else { Role::Server });
            }
            Chunk::Alternate { .. } => {} // searched raw by the matcher; it does not advance the stream
        }
    }

    fn end(&mut self, dir: Direction, out: &mut dyn FnMut(Event<'_>)) {
        let reader = at_mut(&mut self.readers, dir);
        let Some(half) = reader.half().filter(|half| !is_tls(half.bytes)) else { return };
        // The line end that did not come.
        let (offset, frames) = (half.end, half.frames);
        self.feed(dir, &Chunk::Data { offset, bytes: b"\n", frames }, out);
    }
}

/// Where a grammar puts what it has read.
pub(crate) struct Say<'s> {
    out: &'s mut (dyn FnMut(Event<'_>) + 's),
    client: Direction,
    memo: &'s mut Memo,
}

impl Say<'_> {
    /// The direction in which `role` sends.
    pub(crate) const fn dir(&self, role: Role) -> Direction {
        match role {
            Role::Client => self.client,
            Role::Server => self.client.reverse(),
        }
    }

    /// A field whose value stands in the line as it is meant. An empty one is no field.
    pub(crate) fn found(
        &mut self,
        who: Role,
        rule: Rule,
        field: Field,
        line: &Line<'_>,
        value: &[u8],
    ) {
        self.decoded(who, rule, field, line.span_of(value), value, encoding_of(value));
    }

    /// A field whose value was written in another form at `span`. An empty one is no field.
    pub(crate) fn decoded(
        &mut self,
        who: Role,
        rule: Rule,
        field: Field,
        span: Span,
        value: &[u8],
        encoding: Encoding,
    ) {
        if value.is_empty() {
            return;
        }
        let Span { offset, len, frames } = span;
        let dir = self.dir(who);
        (self.out)(Event::Found(Found { rule, field, value, dir, offset, len, frames, encoding }));
    }

    /// A verb of the protocol, told once: `index` is its place in the protocol's list of verbs.
    pub(crate) fn verb(&mut self, role: Role, line: &Line<'_>, verb: &[u8], index: usize) {
        let bit = 1u128.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or_default();
        if self.memo.verbs & bit == 0 {
            self.memo.verbs |= bit;
            self.found(role, Rule::Banner, Field::VERB, line, verb);
        }
    }

    /// A remark, told once.
    pub(crate) fn remark(&mut self, text: &'static str) {
        if !self.memo.remarks.contains(&text) {
            self.memo.remarks.push(text);
            (self.out)(Event::Remark(text));
        }
    }

    /// The grammar is left at `offset`; told once for a direction.
    pub(crate) fn lost(&mut self, role: Role, offset: u64) {
        let dir = self.dir(role);
        if !std::mem::replace(at_mut(&mut self.memo.lost, dir), true) {
            (self.out)(Event::Lost { dir, offset });
        }
    }

    /// The next `len` octets of `role` are no lines.
    pub(crate) fn expect_raw(&mut self, role: Role, len: u64) {
        let dir = self.dir(role);
        let order = if len > MAX_RAW { RawOrder::Cancel } else { RawOrder::Expect(len) };
        *at_mut(&mut self.memo.orders, dir) = Some(order);
    }

    /// The raw octets of `role` do not come after all.
    pub(crate) fn cancel_raw(&mut self, role: Role) {
        let dir = self.dir(role);
        *at_mut(&mut self.memo.orders, dir) = Some(RawOrder::Cancel);
    }

    /// A part of a body that is compressed, cut in pieces or masked.
    pub(crate) fn body(&mut self, role: Role, lane: usize, offset: u64, what: What<'_>) {
        let dir = self.dir(role);
        (self.out)(Event::Body(Part { dir, lane, offset, what }));
    }

    /// Raw octets of a body, as they stand in the stream.
    pub(crate) fn body_raw(&mut self, role: Role, raw: &Raw<'_>) {
        let what = What::Octets { bytes: raw.bytes, frames: raw.frames, as_is: true };
        self.body(role, 0, raw.offset, what);
    }

    /// Everything from now on is compressed, in both directions: `Grammar::raw` gets it. The octets of the client begin
    /// at `client`, those of the server at `server`.
    pub(crate) fn compress(&mut self, codings: Codings, client: u64, server: u64) {
        for (role, offset) in [(Role::Client, client), (Role::Server, server)] {
            self.body(role, 0, offset, What::Begins(codings));
            self.expect_raw(role, MAX_RAW);
        }
    }

    /// Raw octets behind `compress`.
    pub(crate) fn compressed(&mut self, role: Role, raw: &Raw<'_>) {
        self.body_raw(role, raw);
        if raw.left == 0 {
            self.expect_raw(role, MAX_RAW);
        }
    }

    /// TLS was asked for by a line that ends at `asked` and granted by one that ends at `granted`: both directions are
    /// handed over. What the client sent in between in the clear stays here.
    pub(crate) fn upgrade(&mut self, asked: u64, granted: u64) {
        let client = self.dir(Role::Client);
        let has_begun = *at_mut(&mut self.memo.silent, client);
        let seen = *at_mut(&mut self.memo.seen, client);
        let impatient = *at_mut(&mut self.memo.tls_at, client);
        let from = if seen > asked && impatient != Some(asked) && !has_begun {
            self.remark(INJECTED);
            seen
        } else {
            asked
        };
        for (dir, offset) in [(client, from), (client.reverse(), granted)] {
            if std::mem::replace(at_mut(&mut self.memo.silent, dir), true) {
                continue;
            }
            (self.out)(Event::Handover { dir, offset, to: "tls" });
        }
    }

    /// Nothing of either direction is read any more: the client's octets from `client` on, the server's from `server` on.
    pub(crate) fn fall_silent(&mut self, client: u64, server: u64) {
        for (role, offset) in [(Role::Client, client), (Role::Server, server)] {
            self.lost(role, offset);
            let dir = self.dir(role);
            *at_mut(&mut self.memo.silent, dir) = true;
        }
    }
}

/// How a value that stands as it is meant is written.
pub(crate) fn encoding_of(value: &[u8]) -> Encoding {
    if value.is_ascii() {
        Encoding::Ascii
    } else if std::str::from_utf8(value).is_ok() {
        Encoding::Utf8Nfc
    } else {
        Encoding::Latin1
    }
}

fn at_mut<T>(pair: &mut [T; 2], dir: Direction) -> &mut T {
    let [orig, resp] = pair;
    match dir {
        Direction::OrigToResp => orig,
        Direction::RespToOrig => resp,
    }
}

/// Whether a line asks for TLS: `STLS`, `a1 STARTTLS`, `AUTH TLS` (RFC 2595 s3.1 and s4, RFC 3207, RFC 4642, RFC 4217 s4).
fn asks_for_tls(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    // Most lines are text, and most words of it end otherwise.
    let ends = |last: &[u8]| {
        let from = line.len().checked_sub(last.len());
        from.and_then(|from| line.get(from..)).is_some_and(|it| it.eq_ignore_ascii_case(last))
    };
    if ![b"LS".as_slice(), b"SL", b"-C", b"-P"].into_iter().any(ends) {
        return false;
    }
    let last = line.rsplit(|octet| *octet == b' ').next().unwrap_or_default();
    [b"STLS".as_slice(), b"STARTTLS", b"TLS", b"SSL", b"TLS-C", b"TLS-P"]
        .iter()
        .any(|word| last.eq_ignore_ascii_case(word))
}

/// The first octet of a TLS record of a handshake (RFC 8446 s5.1).
const HANDSHAKE: u8 = 0x16;

/// TLS record header of a handshake (RFC 8446 s5.1).
fn is_tls(bytes: &[u8]) -> bool {
    bytes.starts_with(&[HANDSHAKE, 0x03])
}

/// Whether a line of a text protocol holds octets that no text holds: C0 controls other than BEL, BS, HT, FF, CR and ESC.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().any(|&b| b < 0x20 && !matches!(b, 7 | 8 | b'\t' | 0x0c | b'\r' | 0x1b))
}

/// Commands that wait for their replies, oldest first; bounded.
#[derive(Debug)]
pub(crate) struct Pending<C> {
    commands: VecDeque<C>,
}

/// Commands that may wait for a reply; more than any client pipelines. Beyond it they are forgotten, and replies are
/// read without them.
const MAX_PENDING: usize = 128;

impl<C> Default for Pending<C> {
    fn default() -> Self {
        Self { commands: VecDeque::new() }
    }
}

impl<C> Pending<C> {
    /// A command was sent.
    pub(crate) fn push(&mut self, command: C) {
        if self.commands.len() >= MAX_PENDING {
            self.commands.clear();
        }
        self.commands.push_back(command);
    }

    /// The last reply to the oldest command was read.
    pub(crate) fn pop(&mut self) -> Option<C> {
        self.commands.pop_front()
    }

    /// The oldest command.
    pub(crate) fn front(&self) -> Option<&C> {
        self.commands.front()
    }

    /// The oldest command.
    pub(crate) fn front_mut(&mut self) -> Option<&mut C> {
        self.commands.front_mut()
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.commands.clear();
    }

    /// Octets of memory held.
    pub(crate) fn held(&self) -> usize {
        self.commands.capacity() * size_of::<C>()
    }

    /// None waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// The text of a line of a multi-line block: the dot that was added is taken off; `None` for the line that ends it
/// (RFC 5321 s4.5.2, RFC 1939 s3, RFC 3977 s3.1.1).
pub(crate) fn unstuffed(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b".") {
        Some([]) => None,
        Some(text) => Some(text),
        None => Some(line),
    }
}
