//! The SSH client: one TCP connection, a handshake with each host on the way, and what they have to say.

use super::algorithms::{has_own_tag, is_real_cipher, preferred};
use super::auth;
use super::error::TunnelError;
use super::hostkey::{ShownKey, Verified, Verifier};
use super::jump;
use super::link::{Link, lock, now};
use super::prompt::{Asker, plain};
use super::spec::{HopSpec, TunnelSpec};
use crate::model::Timestamp;
use russh::client::{self, Config, DisconnectReason, Handle, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelId, ChannelOpenFailure, Names, SshId};
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

const CLIENT_ID: &str = concat!("SSH-2.0-tunnelcheck_", env!("CARGO_PKG_VERSION")); // RFC 4253 s4.2
const MAX_BANNERS: u8 = 8; // texts before authentication that are shown; a hostile server could send them for ever
const WATCH_STEP: Duration = Duration::from_millis(100); // how finely time with a person is told from time on the wire

/// A tunnel that has just come up.
pub(super) struct Dialed {
    pub(super) gateway: Handle<Client>,
    /// Handles of the jump hosts; dropping one ends everything behind it.
    pub(super) behind: Vec<Handle<Client>>,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) shown: Shown,
    pub(super) up: Timestamp,
    /// What the user ought to know, though it stops nothing.
    pub(super) notes: Vec<String>,
}

/// What one host has shown of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) verified: Option<Verified>,
    pub(super) version: String,
    pub(super) kex: String,
    pub(super) cipher: String,
    pub(super) mac: String,
}

/// What the SSH stack calls back, for one host on the way.
pub(super) struct Client {
    place: String,
    jump_prefix: String,
    verifier: Verifier,
    asker: Asker,
    shown: Arc<Mutex<Shown>>,
    link: Arc<Link>,
    generation: u64,
    keepalives: String,
    cut: Arc<Mutex<Option<String>>>,
    banners: u8,
}

/// Everything that a dialing needs.
pub(super) struct Dialing<'a> {
    pub(super) spec: &'a TunnelSpec,
    pub(super) asker: &'a Asker,
    pub(super) link: &'a Arc<Link>,
    pub(super) generation: u64,
}

/// One host after its handshake and authentication.
pub(super) struct Joined {
    pub(super) handle: Handle<Client>,
    pub(super) shown: Shown,
}

/// Connects, shakes hands and authenticates, hop by hop.
///
/// # Errors
/// Whatever stands in the way, with the host where it does.
pub(super) async fn dial(dialing: &Dialing<'_>) -> Result<Dialed, TunnelError> {
    let hops = dialing.spec.hops();
    let [first, rest @ ..] = hops.as_slice() else {
        return Err(TunnelError::NotUp { reason: "no host is named".to_owned() });
    };
    let stream = connect(first, dialing.spec.connect_timeout).await?;
    let io = |source: std::io::Error| TunnelError::Connect {
        host: first.place(),
        tried: vec![source.to_string()],
    };
    let (local, remote) = (stream.local_addr().map_err(io)?, stream.peer_addr().map_err(io)?);
    stream.set_nodelay(true).map_err(io)?;
    let mut joined = dialing.join(stream, first, !rest.is_empty()).await?;
    let mut behind = Vec::new();
    let mut notes: Vec<String> = note(first, &joined.shown).into_iter().collect();
    for (index, hop) in rest.iter().enumerate() {
        let previous = hops.get(index).map(HopSpec::place).unwrap_or_default();
        let next = jump::through(dialing, &joined.handle, &previous, hop).await?;
        let next = dialing.join(next, hop, index + 1 < rest.len()).await?;
        notes.extend(note(hop, &next.shown));
        behind.push(std::mem::replace(&mut joined, next).handle);
    }
    let Joined { handle: gateway, shown } = joined;
    Ok(Dialed { gateway, behind, local, remote, shown, up: now(), notes })
}

impl Dialing<'_> {
    /// Shakes hands and authenticates over `stream`.
    async fn join<S>(&self, stream: S, hop: &HopSpec, is_jump: bool) -> Result<Joined, TunnelError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let spec = self.spec;
        let verifier = Verifier::new(hop, &spec.accept_host_key, spec.hash_known_hosts)?;
        let config = Config {
            client_id: SshId::Standard(Cow::Borrowed(CLIENT_ID)),
            preferred: preferred(&spec.algorithms, &verifier.known_types())?,
            keepalive_interval: spec.keepalive.filter(|interval| !interval.is_zero()),
            keepalive_max: spec.keepalive_max as usize,
            nodelay: true,
            ..Config::default()
        };
        let shown = Arc::new(Mutex::new(Shown::default()));
        let cut = Arc::new(Mutex::new(None));
        let client = Client {
            place: hop.place(),
            jump_prefix: if is_jump {
                format!("jump host {}: ", hop.place())
            } else {
                String::new()
            },
            verifier,
            asker: self.asker.clone(),
            shown: Arc::clone(&shown),
            link: Arc::clone(self.link),
            generation: self.generation,
            keepalives: keepalive_words(spec),
            cut: Arc::clone(&cut),
            banners: 0,
        };
        let handshake = client::connect_stream(Arc::new(config), stream, client);
        let mut handle = tokio::select! {
            result = handshake => result.map_err(|e| e.into_tunnel_error(&hop.place()))?,
            () = out_of_time(spec.connect_timeout, self.asker) => {
                return Err(TunnelError::HandshakeTimeout { host: hop.place(), waited: spec.connect_timeout });
            }
        };
        auth::authenticate(&mut handle, hop, self.asker, &cut).await?;
        let shown = lock(&shown).clone();
        if shown.verified.is_none() || !is_real_cipher(&shown.cipher) {
            // Cannot be reached: both callbacks end the handshake. Nothing unverified is ever handed on.
            return Err(TunnelError::NoProtection { place: hop.place(), algorithm: shown.cipher });
        }
        Ok(Joined { handle, shown })
    }
}

impl client::Handler for Client {
    type Error = ClientError;

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Self::Error> {
        if self.banners < MAX_BANNERS {
            self.banners += 1;
            self.asker.banner(banner);
        }
        Ok(())
    }

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            // Never asked for, so never sent by an honest server.
            return Err(ClientError::Ssh(russh::Error::UnknownKey));
        };
        let blob = key.to_bytes().map_err(|e| ClientError::Ssh(e.into()))?;
        let shown = ShownKey { key_type: key.algorithm().as_str().to_owned(), blob };
        let verified =
            self.verifier.verify(&shown, &self.asker).await.map_err(ClientError::refused)?;
        lock(&self.shown).verified = Some(verified);
        Ok(true)
    }

    /// Called after the first key exchange and after each later one.
    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let cipher = names.cipher.as_ref().to_owned();
        let macs = [names.client_mac.as_ref(), names.server_mac.as_ref()];
        let unprotected = if is_real_cipher(&cipher) {
            macs.into_iter().find(|mac| !has_own_tag(&cipher) && matches!(*mac, "none" | ""))
        } else {
            Some(cipher.as_str())
        };
        if let Some(algorithm) = unprotected {
            let algorithm = algorithm.to_owned();
            return Err(ClientError::refused(TunnelError::NoProtection {
                place: self.place.clone(),
                algorithm,
            }));
        }
        if self.jump_prefix.is_empty() {
            self.link.kex_done();
        }
        let mut shown = lock(&self.shown);
        shown.version = plain(&String::from_utf8_lossy(session.remote_sshid()));
        names.kex.as_ref().clone_into(&mut shown.kex);
        shown.mac =
            if has_own_tag(&cipher) { String::new() } else { names.client_mac.as_ref().to_owned() };
        shown.cipher = cipher;
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        reason: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.link.put_words(reason, plain(description));
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        if self.jump_prefix.is_empty() {
            self.link.channel_ended(id);
        }
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let words = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                format!("the server disconnected: {}", plain(&info.message))
            }
            DisconnectReason::Error(ClientError::Ssh(russh::Error::KeepaliveTimeout)) => {
                self.keepalives.clone()
            }
            DisconnectReason::Error(ClientError::Ssh(russh::Error::NoAuthMethod)) => {
                auth::NO_METHOD_LEFT.to_owned()
            }
            DisconnectReason::Error(error) => format!("the connection broke: {error}"),
        };
        let words = format!("{}{words}", self.jump_prefix);
        lock(&self.cut).get_or_insert_with(|| words.clone());
        self.link.lose(self.generation, &words);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

/// Why a session ended: our own refusal, or the SSH stack's.
#[derive(Debug)]
pub(super) enum ClientError {
    Refused(Box<TunnelError>),
    Ssh(russh::Error),
}

impl ClientError {
    fn refused(error: TunnelError) -> Self {
        Self::Refused(Box::new(error))
    }

    fn into_tunnel_error(self, host: &str) -> TunnelError {
        let host = host.to_owned();
        match self {
            Self::Refused(error) => *error,
            Self::Ssh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => {
                TunnelError::NoCommonAlgorithm {
                    host,
                    kind: match kind {
                        russh::AlgorithmKind::Kex => "KexAlgorithm",
                        russh::AlgorithmKind::Key => "HostKeyAlgorithm",
                        russh::AlgorithmKind::Cipher => "Cipher",
                        russh::AlgorithmKind::Compression => "compression",
                        russh::AlgorithmKind::Mac => "MAC",
                    },
                    ours: ours.join(","),
                    theirs: plain(&theirs.join(",")),
                }
            }
            other @ Self::Ssh(_) => TunnelError::Handshake { host, reason: other.to_string() },
        }
    }
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Ssh(russh::Error::Version) => {
                f.write_str("what answers there does not speak SSH 2")
            }
            Self::Ssh(russh::Error::Disconnect | russh::Error::HUP) => {
                f.write_str("the server closed the connection")
            }
            Self::Ssh(russh::Error::IO(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                f.write_str("the server closed the connection")
            }
            Self::Ssh(error) => error.fmt(f),
        }
    }
}

/// Tries the addresses of `hop` one after the other.
async fn connect(hop: &HopSpec, limit: Duration) -> Result<TcpStream, TunnelError> {
    let mut addresses = hop.addresses.clone();
    if addresses.is_empty() {
        let resolve = |reason: String| TunnelError::Resolve { host: hop.host.clone(), reason };
        let found =
            tokio::time::timeout(limit, tokio::net::lookup_host((hop.host.as_str(), hop.port)))
                .await
                .map_err(|_| resolve(format!("no answer within {} s", limit.as_secs_f32())))?
                .map_err(|e| resolve(e.to_string()))?;
        addresses.extend(found);
        if addresses.is_empty() {
            return Err(resolve("it has no address".to_owned()));
        }
    }
    let mut tried = Vec::new();
    for address in addresses {
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => tried.push(format!("{address}: {error}")),
            Err(_) => {
                tried.push(format!("{address}: no answer within {} s", limit.as_secs_f32()));
            }
        }
    }
    Err(TunnelError::Connect { host: hop.place(), tried })
}

/// Ends when `limit` has passed, the time with a person aside.
async fn out_of_time(limit: Duration, asker: &Asker) {
    let mut spent = Duration::ZERO;
    while spent < limit {
        tokio::time::sleep(WATCH_STEP).await;
        if !asker.waits_for_a_person() {
            spent += WATCH_STEP;
        }
    }
}

fn keepalive_words(spec: &TunnelSpec) -> String {
    let interval = spec.keepalive.unwrap_or_default().as_secs_f32();
    format!("no answer to {} keepalives, {interval} s apart", spec.keepalive_max)
}

fn note(hop: &HopSpec, shown: &Shown) -> Option<String> {
    let reason = shown.verified.as_ref()?.not_kept.as_ref()?;
    Some(format!("the host key of {} was accepted but not kept: {reason}", hop.place()))
}
