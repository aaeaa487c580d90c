//! Settings of ssh_config -> how to log in on one host: tokens, `~` and defaults put in their places.

use super::error::{Place, SshFault, TargetError};
use super::paths::Environment;
use super::plan::Hop;
use super::ssh_config::{Login, Proxy, Query, Settings, Source, resolve};
use super::{check, ssh_config};
use std::path::{Path, PathBuf};

/// Port of SSH (RFC 4253 s4.1).
pub(super) const SSH_PORT: u16 = 22;
/// Hosts to go through; more is a mistake.
const MAX_HOPS: usize = 8;
/// Keys that ssh tries where nobody names one, in its order; those of security keys and DSA are left out.
const DEFAULT_KEYS: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// The user, where the files or the text name one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// Named.
    Named(String),
    /// Not named: ssh takes the login name.
    Login(String),
    /// Not named, and the login name is not known.
    Unknown,
}

impl User {
    pub(super) fn of(settings: &Settings, env: &Environment) -> Self {
        match (&settings.user, &env.user) {
            (Some(user), _) => Self::Named(user.clone()),
            (None, Some(user)) => Self::Login(user.clone()),
            (None, None) => Self::Unknown,
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Named(user) | Self::Login(user) => Some(user),
            Self::Unknown => None,
        }
    }
}

/// What `hop` makes: a hop is all that is needed to log in somewhere, the gateway included.
pub(super) fn access(
    settings: &Settings,
    user: &str,
    env: &Environment,
    warnings: &mut Vec<String>,
) -> Result<Hop, TargetError> {
    let host = host_name(settings)?;
    let port = settings.port.unwrap_or(SSH_PORT);
    let paths = Paths { settings, env, host: &host, port: port.to_string(), user };
    let mut identity_files = Vec::new();
    for (file, place) in &settings.identity_files {
        if !file.eq_ignore_ascii_case("none") {
            identity_files.push(paths.expand(file, place, "IdentityFile")?);
        }
    }
    let default_identities = settings.identity_files.is_empty();
    if default_identities && let Some(home) = &env.home {
        identity_files = DEFAULT_KEYS.iter().map(|name| home.join(".ssh").join(name)).collect();
    }
    let identity_agent = match &settings.identity_agent {
        None => agent_of("SSH_AUTH_SOCK", env),
        Some((text, place)) => paths.agent(text, place)?,
    };
    let known_hosts = match &settings.known_hosts {
        None => env.home.iter().flat_map(|home| default_known_hosts(home)).collect(),
        Some((files, place)) => paths.expand_all(files, place, "UserKnownHostsFile")?,
    };
    let global_known_hosts = match &settings.global_known_hosts {
        None => ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"].map(PathBuf::from).into(),
        Some((files, place)) => paths.expand_all(files, place, "GlobalKnownHostsFile")?,
    };
    if let Some((word, place)) = &settings.strict
        && matches!(word.as_str(), "no" | "off" | "accept-new")
    {
        push(
            warnings,
            format!(
                "{place}: StrictHostKeyChecking {word} is not obeyed: an unknown host key is accepted by a person or by --accept-host-key, a changed one never"
            ),
        );
    }
    for warning in &settings.warnings {
        push(warnings, warning.clone());
    }
    Ok(Hop {
        port,
        user: user.to_owned(),
        host_key_alias: settings.host_key_alias.as_ref().map(|alias| alias.to_lowercase()),
        identity_files,
        default_identities,
        identities_only: settings.identities_only.unwrap_or(false),
        identity_agent,
        known_hosts,
        global_known_hosts,
        host,
    })
}

fn push(warnings: &mut Vec<String>, warning: String) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}

/// The host name found, checked and normalised.
pub(super) fn host_name(settings: &Settings) -> Result<String, TargetError> {
    let name = settings.host_name()?;
    check::host(&name).map_err(|_| {
        let (value, place) = settings
            .host_name
            .clone()
            .unwrap_or((name, Place { file: "ssh_config".to_owned(), line: 0 }));
        let keyword = "HostName".to_owned();
        TargetError::SshConfig { place, keyword, value, fault: SshFault::Host }
    })
}

/// `~/.ssh/known_hosts` and its second.
fn default_known_hosts(home: &Path) -> [PathBuf; 2] {
    [home.join(".ssh/known_hosts"), home.join(".ssh/known_hosts2")]
}

/// The agent's socket that a variable names.
pub(super) fn agent_of(variable: &str, env: &Environment) -> Option<PathBuf> {
    env.vars.get(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What the tokens of a path stand for.
struct Paths<'a> {
    settings: &'a Settings,
    env: &'a Environment,
    host: &'a str,
    port: String,
    user: &'a str,
}

impl Paths<'_> {
    /// ssh_config(5), TOKENS; `%C` and `%i` are not made here.
    fn expand(&self, text: &str, place: &Place, keyword: &str) -> Result<PathBuf, TargetError> {
        let error = |fault| TargetError::SshConfig {
            place: place.clone(),
            keyword: keyword.to_owned(),
            value: text.to_owned(),
            fault,
        };
        let home = self.env.home.as_deref().map(|home| home.display().to_string());
        let local = self.env.hostname.as_deref().unwrap_or_default();
        let short = local.split('.').next().unwrap_or_default();
        let key_alias = self.settings.host_key_alias.as_deref().unwrap_or(&self.settings.host);
        let tokens = [
            ('h', self.host),
            ('n', &self.settings.host),
            ('k', key_alias),
            ('p', &self.port),
            ('r', self.user),
            ('u', self.env.user.as_deref().unwrap_or_default()),
            ('d', home.as_deref().unwrap_or_default()),
            ('l', local),
            ('L', short),
        ];
        // As in OpenSSH, tokens and variables first, `~` afterwards.
        let lookup = |name: &str| self.env.vars.get(name).cloned();
        let expanded = ssh_config::expand_tokens(text, &tokens)
            .and_then(|text| ssh_config::expand_variables(&text, lookup))
            .map_err(error)?;
        let path = self.env.expand_tilde(&expanded).ok_or_else(|| error(SshFault::Tilde))?;
        Ok(self.env.cwd.join(path))
    }

    fn expand_all(
        &self,
        files: &[String],
        place: &Place,
        keyword: &str,
    ) -> Result<Vec<PathBuf>, TargetError> {
        files
            .iter()
            .filter(|file| !file.eq_ignore_ascii_case("none"))
            .map(|file| self.expand(file, place, keyword))
            .collect()
    }

    /// `IdentityAgent`: `none`, `SSH_AUTH_SOCK`, `$NAME`, or a path.
    fn agent(&self, text: &str, place: &Place) -> Result<Option<PathBuf>, TargetError> {
        Ok(match text {
            "none" => None,
            "SSH_AUTH_SOCK" => agent_of(text, self.env),
            _ => match text.strip_prefix('$').filter(|rest| !rest.starts_with('{')) {
                Some(variable) => agent_of(variable, self.env),
                None => Some(self.expand(text, place, "IdentityAgent")?),
            },
        })
    }
}

/// Follows jump hosts through ssh_config.
pub(super) struct Jumps<'a> {
    /// The files of ssh.
    pub(super) sources: &'a [Source],
    /// The surroundings.
    pub(super) env: &'a Environment,
    /// Where the first jump host was named.
    pub(super) origin: String,
    /// Somebody will log in; a recording needs no users.
    pub(super) calls: bool,
}

impl Jumps<'_> {
    /// The hops of a list, first to connect to first; the first of the list may have jump hosts of its own.
    pub(super) fn follow(
        &self,
        gateway: &str,
        list: &[Login],
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Hop>, TargetError> {
        let mut seen = vec![gateway.to_lowercase()];
        let mut hops = Vec::new();
        let mut todo = list.to_vec();
        // From the gateway outwards: the last of the list is the nearest to the gateway.
        while let Some(jump) = todo.pop() {
            let key = jump.host.to_lowercase();
            if seen.contains(&key) || seen.len() > MAX_HOPS {
                return Err(TargetError::JumpLoop {
                    origin: self.origin.clone(),
                    host: jump.host,
                    limit: MAX_HOPS,
                });
            }
            seen.push(key);
            let query = Query { host: jump.host, user: jump.user, port: jump.port };
            let settings = resolve(&query, self.sources, self.env)?;
            let user = User::of(&settings, self.env);
            let name = user.name().unwrap_or_default();
            if name.is_empty() && self.calls {
                return Err(TargetError::MissingUser {
                    place: Place { file: self.origin.clone(), line: 0 },
                    key: "proxy_jump".to_owned(),
                    value: query.host,
                });
            }
            if let User::Login(name) = &user
                && self.calls
            {
                push(
                    warnings,
                    format!(
                        "{}: jump host {:?} has no user of its own: the login name {name:?} is taken, as ssh does",
                        self.origin, query.host
                    ),
                );
            }
            hops.push(access(&settings, name, self.env, warnings)?);
            if todo.is_empty() {
                todo = jump_list(&settings)?;
            }
        }
        hops.reverse();
        Ok(hops)
    }
}

/// The jump hosts of one host; a command is refused.
pub(super) fn jump_list(settings: &Settings) -> Result<Vec<Login>, TargetError> {
    match &settings.proxy {
        None | Some((Proxy::None, _)) => Ok(Vec::new()),
        Some((Proxy::Jump(list), _)) => Ok(list.clone()),
        Some((Proxy::Command(command), place)) => Err(TargetError::SshConfig {
            place: place.clone(),
            keyword: "ProxyCommand".to_owned(),
            value: command.clone(),
            fault: SshFault::ProxyCommand,
        }),
    }
}
