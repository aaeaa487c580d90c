//! An SSH gateway inside the process, and a client that also agrees to no encryption at all.

use super::error::LabError;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{HashAlg, PrivateKey, PublicKeyOrCertificate};
use russh::server::{self, Auth, Msg, Session};
use russh::{Channel, ChannelOpenFailure, Preferred, cipher, client, mac};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Octets that a forward moves at a time.
const COPY_BUFFER: usize = 65_536;

/// What the gateway (or the plain client) agrees to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GatewayCipher {
    /// The ciphers that russh prefers.
    #[default]
    Real,
    /// `none`: the transport is SSH, and everybody can read it.
    None,
}

/// How the gateway is set up.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may sign on, with which password.
    pub user: String,
    /// The password.
    pub password: String,
    /// Names that it resolves by itself, in lower case.
    pub names: BTreeMap<String, IpAddr>,
    /// What it agrees to.
    pub cipher: GatewayCipher,
    /// Seed of its host key.
    pub key_seed: [u8; 32],
}

/// A running gateway; dropping it closes its connections.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    fingerprint: String,
    public_key: String,
    _runtime: tokio::runtime::Runtime,
}

impl Gateway {
    /// Starts the gateway.
    ///
    /// # Errors
    /// `LabError::Listen` where the address cannot be bound, `LabError::Start` where no thread can be started,
    /// `LabError::Ssh` where the host key cannot be made.
    pub fn start(options: &GatewayOptions) -> Result<Self, LabError> {
        let key = host_key(&options.key_seed)?;
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let public_key = key.public_key().to_openssh().map_err(|error| ssh("gateway", &error))?;
        let config = server::Config {
            keys: vec![key],
            auth_rejection_time: Duration::from_millis(200),
            auth_rejection_time_initial: Some(Duration::ZERO),
            preferred: preferred(options.cipher),
            nodelay: true,
            ..server::Config::default()
        };
        let runtime = runtime()?;
        let listen =
            |source| LabError::Listen { service: "ssh gateway", address: options.listen, source };
        let listener =
            runtime.block_on(tokio::net::TcpListener::bind(options.listen)).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let config = Arc::new(config);
        let door = Door {
            user: options.user.clone(),
            password: options.password.clone(),
            names: Arc::new(options.names.clone()),
        };
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (config, door) = (Arc::clone(&config), door.clone());
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, door).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Ok(Self { address, fingerprint, public_key, _runtime: runtime })
    }

    /// Where it listens, as it was really bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `SHA256:...` of its host key.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its host key as in a known_hosts line: `ssh-ed25519 AAAA...`.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }
}

/// A host key made from a seed, so that parent and child of the demo agree on it.
fn host_key(seed: &[u8; 32]) -> Result<PrivateKey, LabError> {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(seed)), "lab")
        .map_err(|error| ssh("gateway", &error))
}

/// `SHA256:...` of the host key made from a seed.
pub(super) fn fingerprint_of(seed: &[u8; 32]) -> Result<String, LabError> {
    Ok(host_key(seed)?.public_key().fingerprint(HashAlg::Sha256).to_string())
}

fn ssh(side: &'static str, error: &dyn std::fmt::Display) -> LabError {
    LabError::Ssh { side, detail: error.to_string() }
}

fn runtime() -> Result<tokio::runtime::Runtime, LabError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("lab-ssh")
        .enable_all()
        .build()
        .map_err(|source| LabError::Start { what: "async runtime", source })
}

fn preferred(choice: GatewayCipher) -> Preferred {
    match choice {
        GatewayCipher::Real => Preferred::default(),
        GatewayCipher::None => Preferred {
            cipher: Cow::Borrowed(&[cipher::NONE]),
            mac: Cow::Borrowed(&[mac::NONE, mac::HMAC_SHA256]),
            ..Preferred::default()
        },
    }
}

/// One client of the gateway.
#[derive(Clone)]
struct Door {
    user: String,
    password: String,
    names: Arc<BTreeMap<String, IpAddr>>,
}

impl server::Handler for Door {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let known = user == self.user && password == self.password;
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let ip = self.names.get(&name).copied().or_else(|| name.parse().ok());
        let (Some(ip), Ok(port)) = (ip, u16::try_from(port)) else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        tokio::spawn(async move {
            match tokio::net::TcpStream::connect((ip, port)).await {
                Ok(mut stream) => {
                    let _ = stream.set_nodelay(true);
                    reply.accept().await;
                    let mut inside = channel.into_stream();
                    let _ = tokio::io::copy_bidirectional_with_sizes(
                        &mut inside,
                        &mut stream,
                        COPY_BUFFER,
                        COPY_BUFFER,
                    )
                    .await;
                }
                Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            }
        });
        Ok(())
    }
}

/// An SSH client with forwards that agrees to what it is told to, encryption or not: somebody else's badly set up tunnel.
#[derive(Debug)]
pub struct PlainClient {
    mouths: Vec<SocketAddr>,
    _runtime: tokio::runtime::Runtime,
}

impl PlainClient {
    /// Connects to the gateway and opens a mouth for each `(mouth, host, port)`.
    ///
    /// # Errors
    /// `LabError::Ssh` where the gateway refuses, `LabError::Listen` where a mouth cannot be bound.
    pub fn connect(
        gateway: SocketAddr,
        user: &str,
        password: &str,
        cipher: GatewayCipher,
        forwards: &[(SocketAddr, String, u16)],
    ) -> Result<Self, LabError> {
        let runtime = runtime()?;
        let config = client::Config {
            preferred: preferred(cipher),
            nodelay: true,
            ..client::Config::default()
        };
        let handle = runtime.block_on(async {
            let mut handle = client::connect(Arc::new(config), gateway, AnyLabKey)
                .await
                .map_err(|error| ssh("client", &error))?;
            let answer = handle
                .authenticate_password(user, password)
                .await
                .map_err(|error| ssh("client", &error))?;
            if answer.success() {
                Ok(Arc::new(handle))
            } else {
                Err(ssh("client", &"the gateway refused the password"))
            }
        })?;
        let mut mouths = Vec::new();
        for (address, host, port) in forwards {
            let address = *address;
            let failed = |source| LabError::Listen { service: "forward", address, source };
            let listener =
                runtime.block_on(tokio::net::TcpListener::bind(address)).map_err(failed)?;
            mouths.push(listener.local_addr().map_err(failed)?);
            let (handle, host, port) = (Arc::clone(&handle), host.clone(), u32::from(*port));
            runtime.spawn(async move {
                while let Ok((mut stream, peer)) = listener.accept().await {
                    let (handle, host) = (Arc::clone(&handle), host.clone());
                    tokio::spawn(async move {
                        let origin = (peer.ip().to_string(), u32::from(peer.port()));
                        let opened =
                            handle.channel_open_direct_tcpip(host, port, origin.0, origin.1).await;
                        if let Ok(channel) = opened {
                            let mut inside = channel.into_stream();
                            let _ = tokio::io::copy_bidirectional(&mut stream, &mut inside).await;
                        }
                    });
                }
            });
        }
        Ok(Self { mouths, _runtime: runtime })
    }

    /// The mouths as they were really bound, in the order of the forwards.
    #[must_use]
    pub fn mouths(&self) -> &[SocketAddr] {
        &self.mouths
    }
}

/// Takes any host key: the gateway is the lab's own. The one place where this is allowed.
struct AnyLabKey;

impl client::Handler for AnyLabKey {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}
