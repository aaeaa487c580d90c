//! The control: tokens that tunnelcheck itself sends, to prove that the sniffer can see. MISSION section 3.

use crate::model::{ControlPath, ControlRecord, ControlToken, Phase, PhaseMark, Timestamp};
use crate::run::RunError;
use data_encoding::BASE32_NOPAD;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a control token begins with, so that a person who reads the capture knows what it is.
const PREFIX: &str = "tunnelcheck-control-";
/// Random octets of a token: 120 bits, which no traffic repeats by chance.
const RANDOM_OCTETS: usize = 15;
/// UDP discard (RFC 863).
pub(super) const DISCARD_PORT: u16 = 9;
/// Hops that a control datagram lives: it is to leave this machine and go no further.
const TTL: u32 = 1;
/// The phases in which a token goes through the tunnel: the tunnel is up in both.
const TUNNEL_PHASES: [Phase; 2] = [Phase::During, Phase::After];
/// The phases in which a token goes out in the clear.
const CLEAR_PHASES: [Phase; 3] = [Phase::Before, Phase::During, Phase::After];

/// The tokens of a run, all made before the capture begins, since the matcher must know them.
#[derive(Debug)]
pub(super) struct Control {
    record: ControlRecord,
}

impl Control {
    /// Tokens for `interfaces` watched interfaces and, where there is one, the tunnel.
    pub(super) fn plan(interfaces: u32, through_tunnel: bool) -> Result<Self, RunError> {
        let mut record = ControlRecord::default();
        for phase in CLEAR_PHASES {
            for interface_id in 0..interfaces {
                record.tokens.push(token(phase, ControlPath::Clear, interface_id)?);
            }
        }
        if through_tunnel {
            for phase in TUNNEL_PHASES {
                record.tokens.push(token(phase, ControlPath::Tunnel, 0)?);
            }
        }
        Ok(Self { record })
    }

    /// The texts, for the matcher.
    pub(super) fn texts(&self) -> Vec<String> {
        self.record.tokens.iter().map(|token| token.token.clone()).collect()
    }

    /// What was planned and sent so far.
    pub(super) fn record(&self) -> &ControlRecord {
        &self.record
    }

    /// A phase begins now.
    pub(super) fn begin(&mut self, phase: Phase) {
        self.record.phases.push(PhaseMark { phase, start: now() });
    }

    /// Sends the clear tokens of a phase: one datagram to `destinations[interface_id]` each. A datagram that cannot be
    /// sent stays unsent in the record, and is judged as not seen.
    pub(super) fn send_clear(&mut self, phase: Phase, destinations: &[IpAddr]) {
        for token in &mut self.record.tokens {
            if token.phase != phase || token.path != ControlPath::Clear {
                continue;
            }
            let Some(destination) = destinations.get(token.interface_id as usize) else { continue };
            if send_datagram(*destination, &token.token).is_ok() {
                token.sent = Some(now());
            }
        }
    }

    /// The token that is to go through the tunnel in this phase.
    pub(super) fn tunnel_token(&self, phase: Phase) -> Option<String> {
        let found =
            self.record.tokens.iter().find(|t| t.phase == phase && t.path == ControlPath::Tunnel);
        found.map(|token| token.token.clone())
    }

    /// Notes that the tunnel's token of this phase was sent and answered.
    pub(super) fn tunnel_token_sent(&mut self, phase: Phase) {
        for token in &mut self.record.tokens {
            if token.phase == phase && token.path == ControlPath::Tunnel {
                token.sent = Some(now());
            }
        }
    }

    /// The clear tokens of a phase that were really sent: the interface that is to see it, and the text.
    pub(super) fn sent_clear(&self, phase: Phase) -> Vec<(u32, String)> {
        let tokens = self.record.tokens.iter();
        tokens
            .filter(|t| t.phase == phase && t.path == ControlPath::Clear && t.sent.is_some())
            .map(|t| (t.interface_id, t.token.clone()))
            .collect()
    }
}

/// The present time of the system's clock.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

fn token(phase: Phase, path: ControlPath, interface_id: u32) -> Result<ControlToken, RunError> {
    let mut octets = [0_u8; RANDOM_OCTETS];
    getrandom::fill(&mut octets).map_err(|error| RunError::Random { detail: error.to_string() })?;
    let token = format!("{PREFIX}{}", BASE32_NOPAD.encode(&octets).to_ascii_lowercase());
    Ok(ControlToken { phase, path, interface_id, token, sent: None })
}

fn send_datagram(destination: IpAddr, text: &str) -> std::io::Result<()> {
    let any: SocketAddr = match destination {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    match destination {
        IpAddr::V4(_) => socket.set_ttl(TTL)?,
        IpAddr::V6(_) => set_hop_limit(&socket)?,
    }
    socket.send_to(text.as_bytes(), (destination, DISCARD_PORT)).map(|_| ())
}

fn set_hop_limit(socket: &UdpSocket) -> std::io::Result<()> {
    socket2::SockRef::from(socket).set_unicast_hops_v6(TTL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_token_differs() {
        let control = Control::plan(3, true).unwrap();
        let texts: BTreeSet<String> = control.texts().into_iter().collect();
        assert_eq!(texts.len(), 3 * 3 + 2);
    }

    #[test]
    fn a_datagram_that_was_not_sent_is_not_recorded_as_sent() {
        let mut control = Control::plan(1, false).unwrap();
        control.send_clear(Phase::Before, &[]);
        assert!(control.sent_clear(Phase::Before).is_empty());
        control.send_clear(Phase::Before, &[IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(control.sent_clear(Phase::Before).len(), 1);
        assert!(control.sent_clear(Phase::After).is_empty());
    }
}
