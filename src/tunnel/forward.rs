//! The forwards: a mouth each, and a channel of the gateway for each connection that it takes in.

use super::error::TunnelError;
use super::holder;
use super::link::{Gateway, Link, Watch, lock};
use super::spec::{ForwardSpec, TunnelSpec};
use crate::model::ForwardRecord;
use russh::client::Msg;
use russh::{Channel, ChannelOpenFailure, ChannelStream};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};

const COPY_BYTES: usize = 64 << 10; // per direction and conn; twice the largest SSH packet
const MAX_CONNS: usize = 512; // at one mouth at a time; further ones wait in the listener's queue
const AFTER_LOSS: Duration = Duration::from_millis(200); // for what the gateway had sent before to reach the client
const ACCEPT_PAUSE: Duration = Duration::from_millis(100); // after a failed accept, such as no free descriptor

/// One forward with its mouth open.
pub(super) struct Forward {
    pub(super) spec: ForwardSpec,
    listen: SocketAddr,
    conns: AtomicU64,
    opened: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    open: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// Why the gateway opened nothing.
pub(super) enum OpenError {
    /// It refused, in these words.
    Refused(String),
    /// It did not answer in time.
    Timeout,
    /// The tunnel is not up.
    Down,
}

/// Opens every mouth, or none.
///
/// # Errors
/// `MouthTaken`, `MouthTwice`, `Mouth`.
pub(super) fn bind_all(
    spec: &TunnelSpec,
) -> Result<Vec<(Arc<Forward>, std::net::TcpListener)>, TunnelError> {
    let mut bound: Vec<(Arc<Forward>, std::net::TcpListener)> = Vec::new();
    for forward in &spec.forwards {
        let listen = if spec.gateway_ports { widened(forward.listen) } else { forward.listen };
        let listener = match std::net::TcpListener::bind(listen) {
            Ok(listener) => listener,
            Err(source) => return Err(bind_error(forward, listen, source, &bound)),
        };
        let mouth =
            |source| TunnelError::Mouth { service: forward.service.clone(), listen, source };
        listener.set_nonblocking(true).map_err(mouth)?;
        let listen = listener.local_addr().map_err(mouth)?;
        bound.push((Arc::new(Forward::new(forward.clone(), listen)), listener));
    }
    Ok(bound)
}

fn bind_error(
    forward: &ForwardSpec,
    listen: SocketAddr,
    source: io::Error,
    bound: &[(Arc<Forward>, std::net::TcpListener)],
) -> TunnelError {
    let service = forward.service.clone();
    if source.kind() != io::ErrorKind::AddrInUse {
        return TunnelError::Mouth { service, listen, source };
    }
    let own = bound.iter().find(|(other, _)| {
        other.listen.port() == listen.port()
            && (other.listen.ip() == listen.ip()
                || other.listen.ip().is_unspecified()
                || listen.ip().is_unspecified())
    });
    match own {
        Some((first, _)) => {
            TunnelError::MouthTwice { first: first.spec.service.clone(), second: service, listen }
        }
        None => TunnelError::MouthTaken { service, listen, holder: holder::holder_of(listen) },
    }
}

/// `-g`: a mouth on loopback opens on every address of its family instead.
fn widened(listen: SocketAddr) -> SocketAddr {
    let any = match listen.ip() {
        ip if !ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(any, listen.port())
}

impl Forward {
    fn new(spec: ForwardSpec, listen: SocketAddr) -> Self {
        Self {
            spec,
            listen,
            conns: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            open: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    /// Opens its mouth again, where it was.
    pub(super) fn listen_again(&self) -> Result<std::net::TcpListener, TunnelError> {
        let (service, listen) = (self.spec.service.clone(), self.listen);
        let open = || {
            let listener = std::net::TcpListener::bind(listen)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        open().map_err(|source| TunnelError::Mouth { service, listen, source })
    }

    /// What went through it so far.
    pub(super) fn record(&self) -> ForwardRecord {
        ForwardRecord {
            service: self.spec.service.clone(),
            listen: self.listen,
            host: self.spec.host.clone(),
            port: self.spec.port,
            conns: self.conns.load(Ordering::Relaxed),
            opened: self.opened.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            last_error: lock(&self.last_error).clone(),
        }
    }

    /// Connections that are open at this moment.
    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    fn failed(&self, error: String) {
        *lock(&self.last_error) = Some(error);
    }

    /// Takes connections in for as long as the mouth is open. While the tunnel is not up they are reset at once: a conn
    /// never waits for a tunnel, and never goes anywhere else.
    pub(super) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        link: Arc<Link>,
        channel_timeout: Duration,
    ) {
        let places = Arc::new(Semaphore::new(MAX_CONNS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (stream, peer) = match listener.accept().await {
                Ok(taken) => taken,
                Err(error) => {
                    self.failed(format!("cannot take a connection in: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            self.conns.fetch_add(1, Ordering::Relaxed);
            let Some(gateway) = link.gateway() else {
                self.failed(format!("the tunnel is not up: {}", link.why_down()));
                reset(&stream);
                continue;
            };
            let (forward, link) = (Arc::clone(&self), Arc::clone(&link));
            tokio::spawn(async move {
                forward.carry(stream, peer, &link, gateway, channel_timeout).await;
                drop(place);
            });
        }
    }

    async fn carry(
        self: Arc<Self>,
        mut stream: TcpStream,
        peer: SocketAddr,
        link: &Arc<Link>,
        gateway: Gateway,
        channel_timeout: Duration,
    ) {
        let mut losses = link.losses();
        let _open = Open::new(&self);
        let _ = stream.set_nodelay(true); // a conn that is gone already fails at its first octet
        let (host, port) = (self.spec.host.clone(), self.spec.port);
        let origin = (peer.ip().to_string(), peer.port());
        let opened = open_channel(link, gateway, (host, port), origin, channel_timeout).await;
        let (channel, watch) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.failed(error.words(channel_timeout, link)),
        };
        self.opened.fetch_add(1, Ordering::Relaxed);
        let counted = Counted { inner: channel, forward: Arc::clone(&self) };
        let seen = losses.clone();
        {
            let copying = copy_both(&mut stream, counted, watch, &seen);
            tokio::pin!(copying);
            // Errors here are resets of either side, or the loss of the tunnel, which the link reports itself.
            tokio::select! {
                _ = &mut copying => {}
                _ = losses.changed() => {
                    let _ = tokio::time::timeout(AFTER_LOSS, &mut copying).await;
                }
            }
        }
        if is_lost(&seen) {
            reset(&stream);
        }
    }
}

/// Counts a conn for as long as it is open.
struct Open(Arc<Forward>);

impl Open {
    fn new(forward: &Arc<Forward>) -> Self {
        forward.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(forward))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets the conn end with a reset: a client must not take what was cut off for the whole.
fn reset(stream: &TcpStream) {
    // Where this is refused, the conn ends in the ordinary way.
    let _ = stream.set_zero_linger();
}

/// Whether the tunnel was lost since `losses` was handed out.
fn is_lost(losses: &watch::Receiver<u64>) -> bool {
    losses.has_changed().unwrap_or(true)
}

/// Copies both ways until both sides have said their last, or the gateway has closed the channel.
async fn copy_both(
    stream: &mut TcpStream,
    channel: Counted,
    mut watch: Watch,
    losses: &watch::Receiver<u64>,
) -> io::Result<()> {
    let (from_client, mut to_client) = stream.split();
    let (from_tunnel, mut to_tunnel) = tokio::io::split(channel);
    let up = async {
        let mut from_client = BufReader::with_capacity(COPY_BYTES, from_client);
        tokio::io::copy_buf(&mut from_client, &mut to_tunnel).await?;
        to_tunnel.shutdown().await // half-close: the answer may still be on its way
    };
    let down = async {
        let mut from_tunnel = BufReader::with_capacity(COPY_BYTES, from_tunnel);
        tokio::io::copy_buf(&mut from_tunnel, &mut to_client).await?;
        if is_lost(losses) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        to_client.shutdown().await
    };
    tokio::pin!(up, down);
    tokio::select! {
        result = &mut up => { result?; down.await }
        result = &mut down => {
            result?;
            tokio::select! {
                result = up => result,
                // The channel is closed both ways: nothing that the client still says can arrive.
                () = watch.ended() => Ok(()),
            }
        }
    }
}

/// Has the gateway connect to `target`, and waits for its answer.
pub(super) async fn open_channel(
    link: &Arc<Link>,
    gateway: Gateway,
    target: (String, u16),
    originator: (String, u16),
    limit: Duration,
) -> Result<(ChannelStream<Msg>, Watch), OpenError> {
    let (hand_over, handed) = oneshot::channel::<Result<Channel<Msg>, russh::Error>>();
    // A task of its own: if the answer comes too late, somebody must still close that channel.
    tokio::spawn(async move {
        let (host, port) = target;
        let (from, from_port) = originator;
        let result = gateway
            .channel_open_direct_tcpip(host, u32::from(port), from, u32::from(from_port))
            .await;
        if let Err(Ok(channel)) = hand_over.send(result) {
            let _ = channel.close().await;
        }
    });
    match tokio::time::timeout(limit, handed).await {
        Err(_) => Err(OpenError::Timeout),
        Ok(Ok(Ok(channel))) => {
            let watch = link.watch_channel(channel.id());
            Ok((channel.into_stream(), watch))
        }
        Ok(Ok(Err(russh::Error::ChannelOpenFailure(reason)))) => {
            let words = link.take_words(&reason).await;
            Err(OpenError::Refused(refusal(&reason, &words)))
        }
        Ok(Ok(Err(_)) | Err(_)) => Err(OpenError::Down),
    }
}

impl OpenError {
    pub(super) fn words(self, limit: Duration, link: &Link) -> String {
        match self {
            Self::Refused(words) => words,
            Self::Timeout => {
                format!("the gateway did not answer within {} s", limit.as_secs_f32())
            }
            Self::Down => format!("the tunnel is not up: {}", link.why_down()),
        }
    }
}

/// A refusal as OpenSSH shows it: the reason (RFC 4254 s5.1), then the server's words.
pub(super) fn refusal(reason: &ChannelOpenFailure, words: &str) -> String {
    let reason = match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "administratively prohibited".to_owned(),
        ChannelOpenFailure::ConnectFailed => "connect failed".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "unknown channel type".to_owned(),
        ChannelOpenFailure::ResourceShortage => "resource shortage".to_owned(),
        ChannelOpenFailure::Other { code, .. } => format!("reason {code}"),
    };
    if words.is_empty() { reason } else { format!("{reason}: {words}") }
}

/// A channel whose octets are counted as they enter and leave the tunnel.
struct Counted {
    inner: ChannelStream<Msg>,
    forward: Arc<Forward>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().len().saturating_sub(before);
        self.forward.bytes_out.fetch_add(read as u64, Ordering::Relaxed);
        poll
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = poll {
            self.forward.bytes_in.fetch_add(written as u64, Ordering::Relaxed);
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
