//! SASL as POP3, IMAP, SMTP and NNTP carry it: challenges and responses in base64, one a line.

use crate::inspect::codes::{base64, find, index_of};
use crate::inspect::lines::Line;
use crate::inspect::talk::{Role, Say};
use crate::model::{Encoding, Field, Rule};

/// Octets of a challenge that are kept.
const MAX_CHALLENGE: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    Plain,
    Login,
    CramMd5,
    DigestMd5,
    Bearer,
    Scram,
    Name,
    Other,
}

/// Names and what they are; RFC 4616, 2195, 2831, 7628, 5802, 4422 (EXTERNAL), 4505.
const MECHANISMS: &[(&str, Mechanism)] = &[
    ("PLAIN", Mechanism::Plain),
    ("LOGIN", Mechanism::Login),
    ("CRAM-MD5", Mechanism::CramMd5),
    ("DIGEST-MD5", Mechanism::DigestMd5),
    ("XOAUTH2", Mechanism::Bearer),
    ("OAUTHBEARER", Mechanism::Bearer),
    ("SCRAM-SHA-1", Mechanism::Scram),
    ("SCRAM-SHA-256", Mechanism::Scram),
    ("SCRAM-SHA-512", Mechanism::Scram),
    ("EXTERNAL", Mechanism::Name),
    ("ANONYMOUS", Mechanism::Name),
];

/// One exchange, from the verb to the server's last word.
#[derive(Debug)]
pub(crate) struct Sasl {
    mechanism: Mechanism,
    /// Responses read so far.
    step: u8,
    challenge: Vec<u8>,
    /// The server has spoken since the last response.
    asked: bool,
}

impl Sasl {
    /// An exchange by the mechanism of that name.
    pub(crate) fn start(name: &[u8]) -> Self {
        let names: Vec<&str> = MECHANISMS.iter().map(|&(name, _)| name).collect();
        let mechanism = index_of(&names, name)
            .and_then(|at| MECHANISMS.get(at))
            .map_or(Mechanism::Other, |&(_, mechanism)| mechanism);
        Self { mechanism, step: 0, challenge: Vec::new(), asked: false }
    }

    /// Whether the client's next line belongs to the exchange.
    pub(crate) const fn is_open(&self) -> bool {
        let responses = match self.mechanism {
            Mechanism::Plain | Mechanism::Bearer | Mechanism::CramMd5 | Mechanism::Name => 1,
            Mechanism::Login | Mechanism::Scram => 2,
            Mechanism::DigestMd5 | Mechanism::Other => u8::MAX,
        };
        self.asked || self.step < responses
    }

    /// The server's challenge.
    pub(crate) fn challenge(&mut self, text: &[u8]) {
        self.asked = true;
        let octets = base64(text).unwrap_or_default();
        // The prompts "Username:" and "Password:" tell the step even where its beginning was not seen.
        if self.mechanism == Mechanism::Login && octets.len() < 64 {
            let prompt = octets.to_ascii_lowercase();
            if find(&prompt, b"pass").is_some() {
                self.step = 1;
            }
        }
        self.challenge = octets;
        self.challenge.truncate(MAX_CHALLENGE);
    }

    /// The client's response `text`, a part of `line`.
    pub(crate) fn response(&mut self, line: &Line<'_>, text: &[u8], say: &mut Say<'_>) {
        self.asked = false;
        let step = self.step;
        self.step = step.saturating_add(1);
        if text == b"*" || text == b"=" {
            return;
        }
        let Some(value) = base64(text) else { return };
        let span = line.span_of(text);
        let mut tell = |field, value: &[u8]| {
            let role = Role::Client;
            say.decoded(role, Rule::Credential, field, span, value, Encoding::Base64);
        };
        if value.starts_with(b"NTLMSSP\0") {
            if let Some(user) = ntlm_user(&value) {
                tell(Field::USERNAME, user.as_bytes());
            }
            return;
        }
        match self.mechanism {
            Mechanism::Plain => {
                let mut parts = value.splitn(3, |&b| b == 0).skip(1);
                tell(Field::USERNAME, parts.next().unwrap_or_default());
                tell(Field::PASSWORD, parts.next().unwrap_or_default());
            }
            Mechanism::Login if step == 0 => tell(Field::USERNAME, &value),
            Mechanism::Login if step == 1 => tell(Field::PASSWORD, &value),
            Mechanism::CramMd5 => {
                let Some(blank) = value.iter().rposition(|&b| b == b' ') else { return };
                let (user, digest) = value.split_at_checked(blank).unwrap_or_default();
                tell(Field::USERNAME, user);
                tell(Field::CHALLENGE_RESPONSE, &beside(&self.challenge, digest.trim_ascii()));
            }
            Mechanism::DigestMd5 if step == 0 => {
                tell(Field::USERNAME, between(&value, b"username=\"", b'"'));
                let digest = between(&value, b"response=", b',');
                tell(Field::CHALLENGE_RESPONSE, &beside(&self.challenge, digest));
            }
            Mechanism::Bearer => {
                let user = between(&value, b"user=", 1);
                let user = if user.is_empty() { between(&value, b"a=", b',') } else { user };
                tell(Field::USERNAME, user);
                tell(Field::TOKEN, between(&value, b"auth=Bearer ", 1));
            }
            Mechanism::Scram if step == 0 => tell(Field::USERNAME, between(&value, b"n=", b',')),
            Mechanism::Scram if step == 1 => {
                let proof = between(&value, b",p=", b',');
                tell(Field::CHALLENGE_RESPONSE, &beside(&self.challenge, proof));
            }
            Mechanism::Name => tell(Field::USERNAME, &value),
            _ => {}
        }
    }
}

/// A challenge and its answer, with a blank between them.
pub(crate) fn beside(challenge: &[u8], answer: &[u8]) -> Vec<u8> {
    if answer.is_empty() || challenge.is_empty() {
        return answer.to_vec();
    }
    [challenge, b" ", answer].concat()
}

/// What stands between `start` and the next `end` (or the end of all).
fn between<'a>(text: &'a [u8], start: &[u8], end: u8) -> &'a [u8] {
    let Some(at) = find(text, start) else { return &[] };
    let rest = text.get(at.saturating_add(start.len())..).unwrap_or_default();
    rest.split(|&b| b == end).next().unwrap_or_default()
}

/// The user of an NTLM AUTHENTICATE message (MS-NLMP 2.2.1.3): length at 36, offset at 40, little endian.
fn ntlm_user(message: &[u8]) -> Option<String> {
    let (&kind, _) = message.get(8..)?.split_first()?;
    if kind != 3 {
        return None;
    }
    let len = usize::from(u16::from_le_bytes(*message.get(36..)?.first_chunk()?));
    let at = usize::try_from(u32::from_le_bytes(*message.get(40..)?.first_chunk()?)).ok()?;
    let octets = message.get(at..at.checked_add(len)?)?;
    let flags = u32::from_le_bytes(*message.get(60..)?.first_chunk()?);
    if flags & 1 == 0 {
        return String::from_utf8(octets.to_vec()).ok();
    }
    let units: Vec<u16> =
        octets.as_chunks().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect();
    Some(String::from_utf16_lossy(&units))
}
