//! Notify: "new mail" datagrams of the BlitzMail family, AppleTalk's ATP carried raw in UDP. No published standard.
//!
//! All integers big endian. Offset 0: 0x03 (DDP type ATP); 1: function and flags; 2: bitmap or sequence; 3..5:
//! transaction; 5..9: user octets (`NR02` register, `NOTI` notification, `CLEN` clear); then data, at most 578 octets.

use super::{Dialect, Event, Fit, Found, Opening, Spec};
use crate::model::{Chunk, Direction, Encoding, Field, Proto, Rule};

pub(super) static SPEC: Spec = Spec {
    name: "notify",
    standards: &["BlitzMail Notify (Dartmouth College)", "Inside AppleTalk, chapter 9 (ATP)"],
    proto: Proto::UDP,
    ports: &[2154],
    cleartext: true,
    probe,
    open: || Box::new(Notify::default()),
};

/// Octets of the ATP header with its user octets.
const HEADER: usize = 9;

/// Octets of data in one packet (Inside AppleTalk, chapter 9).
const MAX_DATA: usize = 578;

fn probe(opening: &Opening<'_>) -> Fit {
    let fits = |bytes: &[u8]| packet(bytes).is_some();
    if fits(opening.orig) || fits(opening.resp) {
        Fit::Certain
    } else if opening.orig.is_empty() && opening.resp.is_empty() && opening.more {
        Fit::NeedMore
    } else {
        Fit::No
    }
}

/// What a packet is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Register,
    Notification,
    Clear,
}

#[derive(Clone, Copy, Debug)]
struct Packet<'a> {
    about: About,
    is_request: bool,
    data: &'a [u8],
}

/// Reads one datagram; `None` where it is no Notify.
fn packet(bytes: &[u8]) -> Option<Packet<'_>> {
    let (header, data) = bytes.split_first_chunk::<HEADER>()?;
    let [0x03, control, _, _, _, user @ ..] = header else { return None };
    let about = match user {
        b"NR02" => About::Register,
        b"NOTI" => About::Notification,
        b"CLEN" => About::Clear,
        _ => return None,
    };
    let is = control & 0xc0 != 0 && data.len() <= MAX_DATA;
    is.then_some(Packet { about, is_request: control & 0xc0 == 0x40, data })
}

#[derive(Debug, Default)]
struct Notify {
    greeted: bool,
}

impl Dialect for Notify {
    fn feed(&mut self, dir: Direction, chunk: &Chunk<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let Chunk::Data { offset, bytes, frames } = *chunk else { return };
        let Some(packet) = packet(bytes) else { return };
        let mut tell = |rule, field, value: &[u8], at: usize| {
            found(
                out,
                Found {
                    rule,
                    field,
                    value,
                    dir,
                    offset: offset.saturating_add(at as u64),
                    len: 0,
                    frames,
                    encoding: Encoding::Ascii,
                },
            );
        };
        if !std::mem::replace(&mut self.greeted, true) {
            tell(Rule::Banner, Field::VERB, bytes.get(5..HEADER).unwrap_or_default(), 5);
        }
        if !packet.is_request {
            return;
        }
        match packet.about {
            // A Pascal string: the length, then the name or `#uid`.
            About::Register => {
                let Some((&len, rest)) = packet.data.split_first() else { return };
                let name = rest.get(..usize::from(len)).unwrap_or(rest);
                tell(Rule::Credential, Field::USERNAME, name, HEADER + 1);
            }
            // u32 type, u32 uid, u32 id, then free text.
            About::Notification => {
                let text = packet.data.get(12..).unwrap_or_default();
                let text = text.strip_suffix(b"\0").unwrap_or(text);
                tell(Rule::Content, Field::TEXT, text, HEADER + 12);
            }
            About::Clear => {}
        }
    }
}

/// Tells a field whose value stands in the datagram as it is meant. An empty one is no field.
fn found(out: &mut dyn FnMut(Event<'_>), mut found: Found<'_>) {
    if found.value.is_empty() {
        return;
    }
    found.len = u32::try_from(found.value.len()).unwrap_or(u32::MAX);
    if !found.value.is_ascii() {
        found.encoding = Encoding::MacRoman;
    }
    out(Event::Found(found));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{C, S, banners, fields, play};
    use crate::model::FrameSpan;
    use proptest::prelude::*;

    const REGISTER: &[u8] =
        b"\x03\x60\x01\x12\x34NR02\x06#60591\x12\x34\x00\x00\x00\x01\x00\x00\x00\x01";
    const ANSWER: &[u8] = b"\x03\x90\x00\x12\x34NR02\x00\x00\x00\x00";
    const MAIL: &[u8] = b"\x03\x60\x01\x00\x07NOTI\x00\x00\x00\x01\x00\x00\xec\xaf\x00\x00\x00\x09New mail from A Sender";

    fn fit(orig: &[u8], resp: &[u8], port: u16) -> Fit {
        let first = Direction::OrigToResp;
        probe(&Opening { orig, resp, orig_port: 4000, resp_port: port, first, more: true })
    }

    #[test]
    fn a_register_gives_the_uid_and_a_notification_its_text() {
        let told = play(&SPEC, &[(C, REGISTER), (S, ANSWER), (S, MAIL)]);
        assert_eq!(
            fields(&told),
            ["credential username=#60591", "content text=New mail from A Sender"]
        );
        assert_eq!(banners(&told), ["verb=NR02"]);
    }

    #[test]
    fn a_name_is_taken_as_far_as_the_datagram_goes() {
        let told = play(&SPEC, &[(C, b"\x03\x60\x01\x12\x34NR02\x20woz")]);
        assert_eq!(fields(&told), ["credential username=woz"]);
    }

    #[test]
    fn probe_works_on_any_port_and_refuses_near_misses() {
        assert_eq!(fit(REGISTER, b"", 9), Fit::Certain);
        assert_eq!(fit(MAIL, b"", 40000), Fit::Certain);
        assert_eq!(fit(b"", ANSWER, 9), Fit::Certain);
        assert_eq!(fit(b"", b"", 2154), Fit::NeedMore);
        assert_eq!(fit(&REGISTER[..8], b"", 2154), Fit::No);
        assert_eq!(fit(b"\x03\x60\x01\x12\x34NR03\x06", b"", 2154), Fit::No);
        assert_eq!(fit(b"\x04\x60\x01\x12\x34NR02\x06", b"", 2154), Fit::No);
        assert_eq!(fit(b"\x03\x20\x01\x12\x34NR02\x06", b"", 2154), Fit::No);
        assert_eq!(fit(b"SSH-2.0-x\r\n", b"", 2154), Fit::No);
    }

    proptest! {
        #[test]
        fn arbitrary_datagrams_never_panic(
            head in proptest::sample::select(vec![REGISTER, MAIL, ANSWER, b""]),
            cut in 0usize..40,
            tail in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = head[..cut.min(head.len())].to_vec();
            bytes.extend_from_slice(&tail);
            let _ = fit(&bytes, b"", 2154);
            let mut dialect = (SPEC.open)();
            let frames = FrameSpan::default();
            if !bytes.is_empty() {
                dialect.feed(C, &Chunk::Data { offset: 0, bytes: &bytes, frames }, &mut |_| {});
            }
            dialect.feed(S, &Chunk::Gap { offset: 0, len: 9 }, &mut |_| {});
        }
    }
}
