//! HTTP/1: request lines, credentials in headers, query strings and forms. RFC 9110, RFC 9112; HTTP/2 in the clear is
//! named and not read further.

use super::{Coding, Codings, Dialect, Fit, Opening, Spec, What};
use crate::inspect::codes::{base64, find, index_of, number, word};
use crate::inspect::form::{self, Entry};
use crate::inspect::lines::{Line, Raw, Span};
use crate::inspect::probe::{View, begins, begins_one, either_way, first_line};
use crate::inspect::talk::{Grammar, Role, Say, Talk};
use crate::inspect::websocket::{self, Frames, Piece};
use crate::model::{Encoding, Field, FrameSpan, Proto, Rule};
use std::collections::VecDeque;

pub(super) static SPEC: Spec = Spec {
    name: "http1",
    standards: &["RFC 9110", "RFC 9112", "RFC 7617", "RFC 6750", "RFC 6265"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open,
};

const PORTS: &[u16] = &[80, 8080, 8000, 3128, 631, 5985];

/// Methods of RFC 9110, WebDAV, UPnP and their like.
const METHODS: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "NOTIFY",
    "M-SEARCH",
    "PURGE",
    "MKCALENDAR",
    "ACL",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
    "PRI",
];

/// Octets of a form that are kept; a login is short.
const MAX_FORM: usize = 16 * 1024;

/// Requests that wait for their answer (pipelining).
const MAX_PENDING: usize = 64;

/// A body that goes on to the end of the conn.
const TO_THE_END: u64 = 1 << 31;

fn open() -> Box<dyn Dialect> {
    Box::new(Talk::new(Http::default()))
}

fn probe(opening: &Opening<'_>) -> Fit {
    either_way(opening, PORTS, fit)
}

fn fit(view: &View<'_>) -> Fit {
    let (line, whole) = first_line(view.client);
    let client = match (line.is_empty(), is_request(line)) {
        (true, _) => Fit::NeedMore,
        // The last word may go on, until the line ends.
        (_, true) if whole || !view.more => Fit::Certain,
        _ if !whole && !view.more && is_long_request(line) => Fit::Certain,
        _ if whole => Fit::No,
        _ => request_so_far(line),
    };
    let server = begins(view.server, b"HTTP/1.");
    match (client, server) {
        (Fit::No, _) => Fit::No,
        (Fit::Certain, _) => Fit::Certain,
        // Its answer alone; the request was not seen.
        (_, Fit::Certain) if view.client.is_empty() => Fit::Certain,
        (_, Fit::No) => Fit::No,
        _ => view.undecided(),
    }
}

/// Whether a line is `METHOD target HTTP/x.y`.
fn is_request(line: &[u8]) -> bool {
    let (method, rest) = word(line);
    let version = rest.iter().rposition(|octet| *octet == b' ').and_then(|at| rest.get(at + 1..));
    METHODS.iter().any(|known| known.as_bytes() == method)
        && version.is_some_and(|version| version.starts_with(b"HTTP/") && version.len() == 8)
}

/// Octets of a line from which on a method and a path are a request, although its end is not at hand.
const LONG_LINE: usize = 256;

/// Whether a line that is not whole can hardly be anything but a request with a long target.
fn is_long_request(line: &[u8]) -> bool {
    let (method, rest) = word(line);
    line.len() >= LONG_LINE
        && METHODS.iter().any(|known| known.as_bytes() == method)
        && (rest.starts_with(b"/") || rest.starts_with(b"http"))
}

/// Whether a line that is not whole may become a request.
fn request_so_far(line: &[u8]) -> Fit {
    let (method, _) = word(line);
    let is_known = METHODS.iter().any(|known| known.as_bytes() == method);
    match (line.len() > method.len(), is_known) {
        (true, true) => Fit::NeedMore,
        (false, _) if begins_one(METHODS, line) && line.iter().all(|b| !b.is_ascii_lowercase()) => {
            Fit::NeedMore
        }
        _ => Fit::No,
    }
}

/// Reads requests and answers.
#[derive(Debug, Default)]
struct Http {
    client: Side,
    server: Side,
    /// Methods that wait for their answer: index into `METHODS`, and where the request's head ended.
    pending: VecDeque<(usize, u64)>,
    has_greeted: bool,
}

/// Where one side stands.
#[derive(Debug, Default)]
struct Side {
    part: Part,
    method: usize,
    status: u64,
    length: Option<u64>,
    is_chunked: bool,
    upgrade: Upgrade,
    /// Codings of Content-Encoding and of Transfer-Encoding.
    content: Codings,
    transfer: Codings,
    /// The body is told as one.
    is_body: bool,
    /// Messages of WebSocket are compressed (RFC 7692): whether each stands alone, of client and server.
    deflates: Option<[bool; 2]>,
    web_socket: Option<Box<WebSocket>>,
    kind: Kind,
    form: Vec<u8>,
    form_at: Option<(u64, FrameSpan)>,
}

/// What a conn goes on in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Upgrade {
    #[default]
    Other,
    Tls,
    WebSocket,
}

/// One side of a WebSocket.
#[derive(Debug, Default)]
struct WebSocket {
    frames: Frames,
    /// Compressed messages stand alone.
    is_alone: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// A request or status line comes next.
    #[default]
    Start,
    Head,
    Body,
    ChunkSize,
    ChunkBody,
    ChunkEnd,
    Trailer,
}

/// What a body holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Other,
    Form,
    Json,
}

impl Grammar for Http {
    fn role_of(&self, line: &[u8]) -> Option<Role> {
        if line.starts_with(b"HTTP/1.") {
            Some(Role::Server)
        } else {
            is_request(line).then_some(Role::Client)
        }
    }

    fn line(&mut self, role: Role, line: &Line<'_>, say: &mut Say<'_>) {
        match self.side(role).part {
            Part::Start => self.start(role, line, say),
            Part::Head if line.bytes.is_empty() => self.head_ends(role, line.end, say),
            Part::Head => self.header(role, line, say),
            Part::ChunkSize => self.chunk_size(role, line, say),
            Part::ChunkEnd => self.side(role).part = Part::ChunkSize,
            Part::Trailer if line.bytes.is_empty() => self.side(role).reset(),
            Part::Trailer | Part::Body | Part::ChunkBody => {}
        }
    }

    fn raw(&mut self, role: Role, raw: &Raw<'_>, say: &mut Say<'_>) {
        let side = self.side(role);
        if let Some(socket) = &mut side.web_socket {
            return socket.read(role, raw, say);
        }
        if side.is_body {
            say.body_raw(role, raw);
        }
        if side.kind != Kind::Other {
            let (_, span) = side.form_at.get_or_insert((raw.offset, raw.frames));
            *span = span.to(raw.frames);
            let room = MAX_FORM.saturating_sub(side.form.len()).min(raw.bytes.len());
            side.form.extend_from_slice(raw.bytes.get(..room).unwrap_or_default());
        }
        if raw.left > 0 {
            return;
        }
        if side.part == Part::ChunkBody {
            side.part = Part::ChunkEnd;
            return;
        }
        if side.is_body {
            say.body(role, 0, raw.offset, What::Ends);
        }
        let (kind, form) = (side.kind, std::mem::take(&mut side.form));
        let (offset, frames) = side.form_at.take().unwrap_or_default();
        side.reset();
        let mut tell = |entry: Entry| tell_entry(role, &entry, offset, frames, say);
        match kind {
            Kind::Form => form::urlencoded(&form, &mut tell),
            Kind::Json => form::json(&form, &mut tell),
            Kind::Other => {}
        }
    }

    fn held(&self) -> usize {
        let sides = [&self.client, &self.server].into_iter();
        let sides = sides.map(|side| {
            let socket = side.web_socket.as_ref().map_or(0, |_| size_of::<WebSocket>());
            side.form.capacity() + socket
        });
        sides.sum::<usize>() + self.pending.capacity() * size_of::<(usize, u64)>()
    }

    fn gap(&mut self, role: Role) {
        let side = self.side(role);
        side.form = Vec::new();
        side.kind = Kind::Other;
        // A counted body goes on; anything else begins anew at the next line that fits.
        if !matches!(side.part, Part::Body | Part::ChunkBody) {
            side.reset();
        }
    }

    fn is_content(&self, role: Role) -> bool {
        let side = if role == Role::Client { &self.client } else { &self.server };
        side.part == Part::Body
    }
}

impl Http {
    fn side(&mut self, role: Role) -> &mut Side {
        if role == Role::Client { &mut self.client } else { &mut self.server }
    }

    fn start(&mut self, role: Role, line: &Line<'_>, say: &mut Say<'_>) {
        if line.bytes.is_empty() {
            return; // RFC 9112 s2.2: empty lines in front of a request are ignored
        }
        if role == Role::Server {
            let (version, rest) = word(line.bytes);
            let status = word(rest).0;
            let Some(status) = number(status).filter(|_| version.starts_with(b"HTTP/")) else {
                return say.lost(role, line.offset);
            };
            self.server.status = status;
            self.server.part = Part::Head;
            if !std::mem::replace(&mut self.has_greeted, true) {
                say.found(role, Rule::Banner, Field::GREETING, line, line.bytes);
            }
            return;
        }
        let (method, rest) = word(line.bytes);
        let Some(index) = index_of(METHODS, method).filter(|_| is_request(line.bytes)) else {
            return say.lost(role, line.offset);
        };
        say.verb(role, line, line.bytes, index);
        if method == b"PRI" {
            say.remark("HTTP/2 in the clear is not read further");
            say.body(Role::Client, 0, line.end, What::Unread);
            return say.fall_silent(line.end, 0);
        }
        self.client.method = index;
        self.client.part = Part::Head;
        target(word(rest).0, line, say);
    }

    fn header(&mut self, role: Role, line: &Line<'_>, say: &mut Say<'_>) {
        let Some(colon) = line.bytes.iter().position(|octet| *octet == b':') else { return };
        let Some((name, value)) = line.bytes.split_at_checked(colon) else { return };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let side = self.side(role);
        match name.to_ascii_lowercase().as_slice() {
            b"host" => say.found(role, Rule::Metadata, Field::HOST, line, value),
            b"authorization" | b"proxy-authorization" => authorization(role, line, value, say),
            b"x-api-key" | b"api-key" | b"x-auth-token" | b"x-access-token" | b"private-token" => {
                say.found(role, Rule::Credential, Field::TOKEN, line, value);
            }
            b"cookie" | b"set-cookie" => {
                say.found(role, Rule::Credential, Field::COOKIE, line, value);
            }
            b"content-length" => side.length = number(value),
            b"transfer-encoding" => {
                side.is_chunked |= has(value, b"chunked");
                side.transfer = codings(side.transfer, value);
            }
            b"content-encoding" => side.content = codings(side.content, value),
            b"upgrade" if has(value, b"tls/") => side.upgrade = Upgrade::Tls,
            b"upgrade" if has(value, b"websocket") => side.upgrade = Upgrade::WebSocket,
            b"sec-websocket-extensions" if has(value, b"permessage-deflate") => {
                side.deflates = Some([
                    has(value, b"client_no_context_takeover"),
                    has(value, b"server_no_context_takeover"),
                ]);
            }
            b"content-type" if has(value, b"x-www-form-urlencoded") => side.kind = Kind::Form,
            b"content-type" if has(value, b"json") => side.kind = Kind::Json,
            _ => {}
        }
    }

    /// The empty line behind the headers: what comes next depends on both sides (RFC 9112 s6.3).
    fn head_ends(&mut self, role: Role, end: u64, say: &mut Say<'_>) {
        let has_body = if role == Role::Client {
            if self.pending.len() < MAX_PENDING {
                self.pending.push_back((self.client.method, end));
            }
            self.client.is_chunked || self.client.length.is_some_and(|length| length > 0)
        } else {
            let status = self.server.status;
            let is_interim = (100..200).contains(&status);
            let asked = if is_interim && status != 101 {
                self.pending.front().copied()
            } else {
                self.pending.pop_front()
            };
            let method = asked.and_then(|(index, _)| METHODS.get(index).copied()).unwrap_or("");
            if let Some((_, asked)) = asked
                && (method == "CONNECT" && (200..300).contains(&status)
                    || status == 101 && self.server.upgrade == Upgrade::Tls)
            {
                return say.upgrade(asked, end);
            }
            if status == 101 && self.server.upgrade == Upgrade::WebSocket {
                return self.web_socket(asked.map_or(0, |(_, asked)| asked), end, say);
            }
            if status == 101 {
                say.body(Role::Server, 0, end, What::Unread);
                say.remark("the conn goes on in another protocol (101) that is not read further");
                return say.fall_silent(asked.map_or(0, |(_, asked)| asked), end);
            }
            !is_interim && status != 204 && status != 304 && method != "HEAD"
        };
        let side = self.side(role);
        let codings = side.transfer.around(side.content);
        side.is_body = has_body && (side.is_chunked || !codings.is_empty());
        if side.is_body {
            // A form that is compressed is none for the reader of forms.
            side.kind = Kind::Other;
            let codings = if codings.is_empty() { Codings::one(Coding::Pieces) } else { codings };
            say.body(role, 0, end, What::Begins(codings));
        }
        let side = self.side(role);
        match (has_body, side.is_chunked, side.length) {
            (false, ..) | (_, false, Some(0)) => side.reset(),
            (_, true, _) => {
                side.kind = Kind::Other;
                side.part = Part::ChunkSize;
            }
            (_, _, Some(length)) => {
                side.part = Part::Body;
                say.expect_raw(role, length.min(TO_THE_END));
            }
            (_, _, None) => {
                side.part = Part::Body;
                side.kind = Kind::Other;
                say.expect_raw(role, TO_THE_END);
            }
        }
    }

    /// Both sides go on in frames of WebSocket.
    fn web_socket(&mut self, asked: u64, granted: u64, say: &mut Say<'_>) {
        say.remark("WebSocket: what follows was unmasked and searched");
        let deflates = self.server.deflates;
        for (role, offset, nth) in [(Role::Client, asked, 0), (Role::Server, granted, 1)] {
            for lane in [0, 2] {
                say.body(role, lane, offset, What::Begins(Codings::one(Coding::Frames)));
            }
            if deflates.is_some() {
                say.body(role, 1, offset, What::Begins(Codings::one(Coding::RawDeflate)));
            }
            let is_alone = deflates.and_then(|alone| alone.get(nth).copied()).unwrap_or(false);
            let socket = WebSocket { is_alone, ..WebSocket::default() };
            let side = self.side(role);
            side.reset();
            side.part = Part::Body;
            side.web_socket = Some(Box::new(socket));
            say.expect_raw(role, TO_THE_END);
        }
    }

    fn chunk_size(&mut self, role: Role, line: &Line<'_>, say: &mut Say<'_>) {
        let digits = line.bytes.split(|octet| *octet == b';').next().unwrap_or_default();
        let octets = std::str::from_utf8(digits.trim_ascii())
            .ok()
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let side = self.side(role);
        match octets {
            Some(0) => {
                side.part = Part::Trailer;
                say.body(role, 0, line.offset, What::Ends);
            }
            Some(octets) if octets <= TO_THE_END => {
                side.part = Part::ChunkBody;
                say.expect_raw(role, octets);
            }
            _ => {
                side.reset();
                say.lost(role, line.offset);
            }
        }
    }
}

impl WebSocket {
    fn read(&mut self, role: Role, raw: &Raw<'_>, say: &mut Say<'_>) {
        let is_alone = self.is_alone;
        self.frames.feed(raw, &mut |piece| match piece {
            Piece::Octets { bytes, offset, frames, as_is, kind } => {
                let what = What::Octets { bytes, frames, as_is };
                let lane = match kind {
                    websocket::Kind::Plain => 0,
                    websocket::Kind::Compressed => 1,
                    websocket::Kind::Control => 2,
                };
                say.body(role, lane, offset, what);
            }
            Piece::MessageEnds if is_alone => {
                let codings = Codings::one(Coding::RawDeflate);
                say.body(role, 1, raw.offset, What::Restarts(codings));
            }
            Piece::MessageEnds => {}
        });
        if raw.left == 0 {
            say.expect_raw(role, TO_THE_END);
        }
    }
}

impl Side {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

fn has(value: &[u8], part: &[u8]) -> bool {
    find(&value.to_ascii_lowercase(), part).is_some()
}

/// Codings with those of one more header line around them (RFC 9110 s8.4: in the order in which they were applied).
fn codings(mut known: Codings, value: &[u8]) -> Codings {
    for name in value.split(|octet| *octet == b',') {
        let name = name.split(|octet| *octet == b';').next().unwrap_or_default();
        if let Some(coding) = Coding::of_name(name) {
            known.push_outer(coding);
        }
    }
    known
}

/// User and password of an absolute target, credentials of its query.
fn target(target: &[u8], line: &Line<'_>, say: &mut Say<'_>) {
    let authority = find(target, b"://").and_then(|at| target.get(at + 3..));
    let authority = authority.and_then(|rest| rest.split(|octet| *octet == b'/').next());
    if let Some(authority) = authority
        && let Some(at) = authority.iter().rposition(|octet| *octet == b'@')
    {
        let pair = authority.get(..at).unwrap_or_default();
        let mut parts = pair.splitn(2, |octet| *octet == b':');
        let user = parts.next().unwrap_or_default();
        say.found(Role::Client, Rule::Credential, Field::USERNAME, line, user);
        let password = parts.next().unwrap_or_default();
        say.found(Role::Client, Rule::Credential, Field::PASSWORD, line, password);
    }
    if let Some(at) = target.iter().position(|octet| *octet == b'?')
        && let Some(query) = target.get(at + 1..)
    {
        let start = line.span_of(query).offset;
        form::urlencoded(query, &mut |entry| {
            tell_entry(Role::Client, &entry, start, line.frames, say);
        });
    }
}

fn tell_entry(role: Role, entry: &Entry, start: u64, frames: FrameSpan, say: &mut Say<'_>) {
    let span = Span {
        offset: start.saturating_add(entry.at as u64),
        len: u32::try_from(entry.len).unwrap_or(u32::MAX),
        frames,
    };
    let encoding = if entry.is_encoded { Encoding::Percent } else { Encoding::Ascii };
    say.decoded(role, Rule::Credential, entry.field, span, &entry.value, encoding);
}

/// Reads `scheme parameters` (RFC 9110 s11.4).
fn authorization(role: Role, line: &Line<'_>, value: &[u8], say: &mut Say<'_>) {
    let (scheme, rest) = word(value);
    let rest = rest.trim_ascii();
    let span = line.span_of(rest);
    match scheme.to_ascii_lowercase().as_slice() {
        b"basic" => {
            let Some(pair) = base64(rest) else { return };
            let mut parts = pair.splitn(2, |octet| *octet == b':');
            let user = parts.next().unwrap_or_default();
            let password = parts.next().unwrap_or_default();
            for (field, value) in [(Field::USERNAME, user), (Field::PASSWORD, password)] {
                say.decoded(role, Rule::Credential, field, span, value, Encoding::Base64);
            }
        }
        b"digest" => {
            for part in rest.split(|octet| *octet == b',') {
                let part = part.trim_ascii();
                let Some(at) = part.iter().position(|octet| *octet == b'=') else { continue };
                let value = part.get(at + 1..).unwrap_or_default();
                let value = value.strip_prefix(b"\"").unwrap_or(value);
                let value = value.strip_suffix(b"\"").unwrap_or(value);
                let field = match part.get(..at).unwrap_or_default().trim_ascii() {
                    b"username" => Field::USERNAME,
                    b"response" => Field::CHALLENGE_RESPONSE,
                    _ => continue,
                };
                say.found(role, Rule::Credential, field, line, value);
            }
        }
        b"negotiate" | b"ntlm" => {
            say.found(role, Rule::Credential, Field::CHALLENGE_RESPONSE, line, rest);
        }
        _ => say.found(role, Rule::Credential, Field::TOKEN, line, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{
        C, S, Told, Turn, assert_never_panics, assert_split_invariant, banners, fields, fit, play,
    };

    const LOGIN: &[Turn<'_>] = &[
        (C, b"GET /a?token=t%31&x=1 HTTP/1.1\r\nHost: www.example.org\r\nAuthorization: Basic anNtaXRoOmh1bnRlcjI=\r\nCookie: sid=7\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=8\r\nContent-Length: 6\r\n\r\n\x00\x01\r\n\x02\x03"),
        (C, b"POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 24\r\n\r\nuser=jsmith&pass=a%20b+c"),
        (S, b"HTTP/1.1 302 Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        (C, b"POST /api HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 20\r\nAuthorization: Bearer abc.def\r\n\r\n{\"password\":\"hello\"}"),
        (S, b"HTTP/1.0 200 OK\r\n\r\nto the \x00\xff end\r\nHTTP/1.1 no status\r\n"),
    ];

    #[test]
    fn credentials_are_read_wherever_they_stand() {
        let told = play(&SPEC, LOGIN);
        assert_eq!(
            fields(&told),
            [
                "credential token=t1",
                "metadata host=www.example.org",
                "credential username=jsmith",
                "credential password=hunter2",
                "credential cookie=sid=7",
                "credential cookie=sid=8",
                "credential username=jsmith",
                "credential password=a b c",
                "credential token=abc.def",
                "credential password=hello",
            ]
        );
        assert_eq!(
            banners(&told),
            [
                "verb=GET /a?token=t%31&x=1 HTTP/1.1",
                "greeting=HTTP/1.1 200 OK",
                "verb=POST /login HTTP/1.1"
            ]
        );
        assert!(!told.iter().any(|one| matches!(one, Told::Lost(..))), "{told:?}");
    }

    #[test]
    fn a_tunnel_is_handed_over() {
        let request = b"CONNECT mail:993 HTTP/1.1\r\n\
            Proxy-Authorization: Digest username=\"b\", response=\"0f\"\r\n\r\n";
        let told = play(&SPEC, &[(C, request), (S, b"HTTP/1.1 200 OK\r\n\r\n")]);
        assert_eq!(fields(&told), ["credential username=b", "credential challenge-response=0f"]);
        assert!(
            told.contains(&Told::Handover(C, request.len() as u64))
                && told.contains(&Told::Handover(S, 19))
        );
    }

    #[test]
    fn probe_is_certain_of_a_request_line() {
        assert_eq!(fit(&SPEC, b"GET / HTTP/1.1\r\n", b"", C, 4000), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"HTTP/1.1 200 OK\r\n", S, 4000), Fit::Certain);
        assert_eq!(fit(&SPEC, b"GE", b"", C, 80), Fit::NeedMore);
        // Whatever the target, and whatever its pieces.
        for so_far in [&b"GET /long"[..], b"GET a", b"GET\t\xd1", b"GET / HTTP/1.1"] {
            assert_eq!(fit(&SPEC, so_far, b"", C, 4000), Fit::NeedMore, "{so_far:?}");
        }
    }

    #[test]
    fn probe_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"GET key\r\n", b"", C, 80), Fit::No);
        assert_eq!(fit(&SPEC, b"get / http/1.1\r\n", b"", C, 80), Fit::No);
        assert_eq!(fit(&SPEC, b"OPTIONS sip:a SIP/2.0\r\n", b"", C, 80), Fit::No);
        assert_eq!(fit(&SPEC, b"SSH-2.0-x\r\n", b"", C, 80), Fit::No);
    }

    #[test]
    fn any_split_gives_the_same_events() {
        assert_split_invariant(&SPEC, LOGIN);
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        assert_never_panics(&SPEC, LOGIN);
    }
}
