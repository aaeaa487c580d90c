//! What the lines of ssh_config set, as written; tokens and `~` are put in their places later.

use super::keyword::Keyword;
use super::value::{self, Forward, Login, expand_tokens};
use super::{Line, MAX_IDENTITY_FILES, Reading};
use crate::target::error::{Place, SshFault, TargetError};
use crate::target::plan::AddressFamily;
use std::time::Duration;

/// A `LocalForward`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalForward {
    /// Its line.
    pub(crate) place: Place,
    /// As written.
    pub(crate) text: String,
    /// What it says; a Unix socket says nothing that could be used.
    pub(crate) forward: Result<Forward, SshFault>,
}

/// How the gateway is reached, where not directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// `ProxyJump none`, `ProxyCommand none`.
    None,
    /// `ProxyJump`, first host to connect to first.
    Jump(Vec<Login>),
    /// `ProxyCommand`; never run.
    Command(String),
}

/// The settings of one host. A list is empty, an option none, where no line sets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The host that was asked for.
    pub(crate) host: String,
    /// `HostName`, with its tokens, and where it stands.
    pub(crate) host_name: Option<(String, Place)>,
    /// The host name that the second reading goes by.
    pub(crate) host_name_final: Option<String>,
    /// `Port`.
    pub(crate) port: Option<u16>,
    /// `User`.
    pub(crate) user: Option<String>,
    /// `IdentityFile`s, as written.
    pub(crate) identity_files: Vec<(String, Place)>,
    /// `IdentitiesOnly`.
    pub(crate) identities_only: Option<bool>,
    /// `IdentityAgent`, as written.
    pub(crate) identity_agent: Option<(String, Place)>,
    /// `LocalForward`s.
    pub(crate) forwards: Vec<LocalForward>,
    /// `ClearAllForwardings`.
    pub(crate) clears_forwards: Option<bool>,
    /// `GatewayPorts`.
    pub(crate) gateway_ports: Option<bool>,
    /// `ServerAliveInterval`; zero switches it off.
    pub(crate) keepalive: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub(crate) keepalive_max: Option<u32>,
    /// `TCPKeepAlive`, `KeepAlive`.
    pub(crate) tcp_keepalive: Option<bool>,
    /// `UserKnownHostsFile`s, as written.
    pub(crate) known_hosts: Option<(Vec<String>, Place)>,
    /// `GlobalKnownHostsFile`s, as written.
    pub(crate) global_known_hosts: Option<(Vec<String>, Place)>,
    /// `HostKeyAlias`.
    pub(crate) host_key_alias: Option<String>,
    /// `StrictHostKeyChecking`, in lower case.
    pub(crate) strict: Option<(String, Place)>,
    /// `ProxyJump` or `ProxyCommand`, whichever came first.
    pub(crate) proxy: Option<(Proxy, Place)>,
    /// `ConnectTimeout`; zero is none.
    pub(crate) connect_timeout: Option<Duration>,
    /// `Compression`.
    pub(crate) compression: Option<bool>,
    /// `Ciphers`.
    pub(crate) ciphers: Option<String>,
    /// `MACs`.
    pub(crate) macs: Option<String>,
    /// `KexAlgorithms`.
    pub(crate) kex: Option<String>,
    /// `HostKeyAlgorithms`.
    pub(crate) host_key_algorithms: Option<String>,
    /// `AddressFamily`.
    pub(crate) address_family: Option<AddressFamily>,
    /// `BindAddress`, as written.
    pub(crate) bind_address: Option<(String, Place)>,
    /// `IgnoreUnknown`.
    pub(crate) ignore_unknown: Option<String>,
    /// The first `Host` or `Match` line that fits by more than a star.
    pub(crate) matched: Option<(Place, String)>,
    /// Every plain name of a `Host` line.
    pub(crate) aliases: Vec<(String, Place)>,
    /// The files that were read, as they are shown.
    pub(crate) files: Vec<String>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// The name or address to connect to: `HostName` with its tokens, else the host itself; lower case.
    pub(crate) fn host_name(&self) -> Result<String, TargetError> {
        if let Some(host) = &self.host_name_final {
            return Ok(host.clone());
        }
        let Some((text, place)) = &self.host_name else { return Ok(self.host.to_lowercase()) };
        let expanded =
            expand_tokens(text, &[('h', &self.host)]).map_err(|fault| TargetError::SshConfig {
                place: place.clone(),
                keyword: "HostName".to_owned(),
                value: text.clone(),
                fault,
            })?;
        Ok(expanded.to_lowercase())
    }
}

impl Reading<'_> {
    /// A line that sets something.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm a keyword; a table would hide which is which"
    )]
    pub(super) fn setting(
        &mut self,
        keyword: Keyword,
        line: &mut Line<'_>,
    ) -> Result<(), TargetError> {
        let settings = &mut self.settings;
        let place = line.place.clone();
        match keyword {
            Keyword::Host | Keyword::Match | Keyword::Include | Keyword::Ignored => {}
            Keyword::IgnoreUnknown => {
                let list = line.argument()?;
                line.first(&mut settings.ignore_unknown, list);
            }
            Keyword::HostName => {
                let value = (line.argument()?, place);
                line.first(&mut settings.host_name, value);
            }
            Keyword::Port => {
                let port = value::port(&line.argument()?).filter(|port| *port != 0);
                let port = port.ok_or_else(|| line.error(SshFault::Port))?;
                line.first(&mut settings.port, port);
            }
            Keyword::User => {
                let user = line.argument()?;
                line.first(&mut settings.user, user);
            }
            Keyword::IdentityFile => {
                let file = line.argument()?;
                let room = settings.identity_files.len() < MAX_IDENTITY_FILES;
                let known = settings.identity_files.iter().any(|(known, _)| *known == file);
                if line.active && room && !known {
                    settings.identity_files.push((file, place));
                }
            }
            Keyword::IdentitiesOnly => line.first_flag(&mut settings.identities_only)?,
            Keyword::IdentityAgent => {
                let value = (line.argument()?, place);
                line.first(&mut settings.identity_agent, value);
            }
            Keyword::CertificateFile => {
                line.argument()?;
                if line.active {
                    self.warn(format!("{place}: CertificateFile is not used: log in with a plain key, the agent or a password"));
                }
            }
            Keyword::LocalForward => {
                let mouth = line.argument()?;
                let Some(target) = line.args.next() else {
                    return Err(line.error(SshFault::MissingForwardTarget));
                };
                let forward = value::forward(&mouth, &target);
                if forward == Err(SshFault::Forward) {
                    return Err(line.error(SshFault::Forward));
                }
                let known = settings.forwards.iter().any(|known| known.forward == forward);
                if line.active && !known {
                    let text = line.text.to_owned();
                    settings.forwards.push(LocalForward { place, text, forward });
                }
            }
            Keyword::DynamicForward => {
                line.argument()?;
                if line.active {
                    self.warn(format!("{place}: DynamicForward is not brought up: it names no service that could be judged"));
                }
            }
            Keyword::ClearAllForwardings => line.first_flag(&mut settings.clears_forwards)?,
            Keyword::GatewayPorts => line.first_flag(&mut settings.gateway_ports)?,
            Keyword::ServerAliveInterval => line.first_time(&mut settings.keepalive)?,
            Keyword::ServerAliveCountMax => {
                let count = line.argument()?.parse().map_err(|_| line.error(SshFault::Number))?;
                line.first(&mut settings.keepalive_max, count);
            }
            Keyword::TcpKeepAlive => line.first_flag(&mut settings.tcp_keepalive)?,
            Keyword::UserKnownHostsFile => line.first_files(&mut settings.known_hosts)?,
            Keyword::GlobalKnownHostsFile => line.first_files(&mut settings.global_known_hosts)?,
            Keyword::HostKeyAlias => {
                let alias = line.argument()?;
                line.first(&mut settings.host_key_alias, alias);
            }
            Keyword::StrictHostKeyChecking => {
                const WORDS: &[&str] = &["yes", "no", "ask", "accept-new", "off"];
                let word = line.choice(WORDS, |word| match word {
                    "true" => Some("yes"),
                    "false" => Some("no"),
                    _ => WORDS.iter().find(|known| **known == word).copied(),
                })?;
                line.first(&mut settings.strict, (word.to_owned(), place));
            }
            Keyword::ProxyJump => {
                let hosts = value::jumps(line.text).ok_or_else(|| line.error(SshFault::Jump))?;
                let proxy = if hosts.is_empty() { Proxy::None } else { Proxy::Jump(hosts) };
                line.first(&mut settings.proxy, (proxy, place));
            }
            Keyword::ProxyCommand => {
                let proxy = if line.text.trim() == "none" {
                    Proxy::None
                } else {
                    Proxy::Command(line.text.to_owned())
                };
                line.first(&mut settings.proxy, (proxy, place));
            }
            Keyword::ConnectTimeout => line.first_time(&mut settings.connect_timeout)?,
            Keyword::Compression => line.first_flag(&mut settings.compression)?,
            Keyword::Ciphers => line.first_text(&mut settings.ciphers)?,
            Keyword::Macs => line.first_text(&mut settings.macs)?,
            Keyword::KexAlgorithms => line.first_text(&mut settings.kex)?,
            Keyword::HostKeyAlgorithms => line.first_text(&mut settings.host_key_algorithms)?,
            Keyword::AddressFamily => {
                let family = line.choice(&["any", "inet", "inet6"], |word| match word {
                    "any" => Some(AddressFamily::Any),
                    "inet" => Some(AddressFamily::Inet),
                    "inet6" => Some(AddressFamily::Inet6),
                    _ => None,
                })?;
                line.first(&mut settings.address_family, family);
            }
            Keyword::BindAddress => {
                let value = (line.argument()?, place);
                line.first(&mut settings.bind_address, value);
            }
            Keyword::CanonicalizeHostname => {
                let word = line.argument()?.to_ascii_lowercase();
                if line.active && matches!(word.as_str(), "yes" | "true" | "always") {
                    self.warn(format!("{place}: CanonicalizeHostname is not followed: names are not resolved here; write the full name under HostName"));
                }
            }
            Keyword::KnownHostsCommand => {
                line.args = Vec::new().into_iter();
                if line.active {
                    self.warn(format!("{place}: KnownHostsCommand is never run: host keys come from the known_hosts files alone"));
                }
            }
        }
        Ok(())
    }
}

impl Line<'_> {
    fn first_flag(&mut self, slot: &mut Option<bool>) -> Result<(), TargetError> {
        let flag = self.flag()?;
        self.first(slot, flag);
        Ok(())
    }

    fn first_text(&mut self, slot: &mut Option<String>) -> Result<(), TargetError> {
        let text = self.argument()?;
        self.first(slot, text);
        Ok(())
    }

    fn first_time(&mut self, slot: &mut Option<Duration>) -> Result<(), TargetError> {
        let time = value::time(&self.argument()?);
        let time = time.ok_or_else(|| self.error(SshFault::Time))?;
        self.first(slot, time);
        Ok(())
    }

    fn first_files(&mut self, slot: &mut Option<(Vec<String>, Place)>) -> Result<(), TargetError> {
        let files: Vec<String> = std::mem::take(&mut self.args).collect();
        if files.iter().any(String::is_empty) {
            return Err(self.error(SshFault::MissingArgument));
        }
        if files.len() > 1 && files.iter().any(|file| file.eq_ignore_ascii_case("none")) {
            return Err(self.error(SshFault::NoneAlone));
        }
        if !files.is_empty() {
            self.first(slot, (files, self.place.clone()));
        }
        Ok(())
    }
}
