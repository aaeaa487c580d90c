//! ssh_config(5) -> the settings for one host.
//!
//! The files are read as OpenSSH reads them: the first value wins, forwards and keys add up, `Include` and `Match` are
//! followed, a line that ssh refuses is refused. Nothing is ever run, and no name is resolved.

mod condition;
mod keyword;
mod lex;
mod pattern;
mod settings;
mod value;

pub(super) use settings::{LocalForward, Proxy, Settings};
pub(super) use value::{Forward, Login, expand_tokens, expand_variables, jumps, login, time};

use super::error::{Place, SshFault, TargetError};
use super::nearest::nearest;
use super::paths::Environment;
use keyword::Keyword;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Depth to which Include is followed (OpenSSH: READCONF_MAX_DEPTH).
const MAX_DEPTH: usize = 16;
/// Included files of one reading; a file that includes itself twice would else be read 2^16 times.
const MAX_FILES: usize = 512;
/// Octets of one file; longer is no configuration.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Private keys of one host (OpenSSH: SSH_MAX_IDENTITY_FILES).
const MAX_IDENTITY_FILES: usize = 100;

/// Which host the settings are for, and what the command line or the target file has decided already.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    /// The host as written.
    pub(super) host: String,
    /// Its user, where one was named with it.
    pub(super) user: Option<String>,
    /// Its port, likewise.
    pub(super) port: Option<u16>,
}

/// A file to read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Its path.
    pub(super) path: PathBuf,
    /// The user's own, not the system's.
    pub(super) is_user: bool,
    /// Missing is an error.
    pub(super) required: bool,
}

/// The files of ssh: the one named, or the user's and the system's.
pub(super) fn sources(named: Option<&Path>, env: &Environment) -> Vec<Source> {
    if let Some(path) = named {
        let path = env.cwd.join(path);
        return vec![Source { path, is_user: true, required: true }];
    }
    let user = env.user_ssh_config().map(|path| (path, true));
    let system = env.system_ssh_config.clone().map(|path| (path, false));
    [user, system]
        .into_iter()
        .flatten()
        .map(|(path, is_user)| Source { path, is_user, required: false })
        .collect()
}

/// The settings that the files give to a host.
pub(super) fn resolve(
    query: &Query,
    sources: &[Source],
    env: &Environment,
) -> Result<Settings, TargetError> {
    let mut reading = Reading::new(query, env);
    reading.read_all(sources)?;
    if reading.wants_final {
        // ssh reads all again: `Host` then sees the host name found, and `Match final` fits.
        let host = reading.settings.host_name()?;
        reading.host.clone_from(&host);
        reading.settings.host_name_final = Some(host);
        reading.final_pass = true;
        reading.files = 0;
        reading.read_all(sources)?;
    }
    if reading.settings.clears_forwards == Some(true) && !reading.settings.forwards.is_empty() {
        reading.settings.forwards.clear();
        reading
            .settings
            .warnings
            .push(format!("ClearAllForwardings takes back every LocalForward of {}", query.host));
    }
    Ok(reading.settings)
}

/// One reading of all files.
struct Reading<'a> {
    query: &'a Query,
    env: &'a Environment,
    settings: Settings,
    /// What `Host` is compared with.
    host: String,
    final_pass: bool,
    wants_final: bool,
    files: usize,
}

/// A line being read.
struct Line<'a> {
    place: &'a Place,
    keyword: &'a str,
    text: &'a str,
    args: std::vec::IntoIter<String>,
    active: bool,
}

impl Line<'_> {
    fn error(&self, fault: SshFault) -> TargetError {
        TargetError::SshConfig {
            place: self.place.clone(),
            keyword: self.keyword.to_owned(),
            value: self.text.to_owned(),
            fault,
        }
    }

    /// The next argument; an empty one counts as missing.
    fn argument(&mut self) -> Result<String, TargetError> {
        let next = self.args.next().filter(|arg| !arg.is_empty());
        next.ok_or_else(|| self.error(SshFault::MissingArgument))
    }

    fn choice<T: Copy>(
        &mut self,
        words: &'static [&'static str],
        of: impl Fn(&str) -> Option<T>,
    ) -> Result<T, TargetError> {
        let word = self.argument()?.to_ascii_lowercase();
        of(&word).ok_or_else(|| self.error(SshFault::Choice(words)))
    }

    fn flag(&mut self) -> Result<bool, TargetError> {
        self.choice(&["yes", "no"], |word| match word {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        })
    }

    /// Puts a value in its place, unless the block does not fit or an earlier line has done so.
    fn first<T>(&self, slot: &mut Option<T>, value: T) {
        if self.active && slot.is_none() {
            *slot = Some(value);
        }
    }
}

impl<'a> Reading<'a> {
    fn new(query: &'a Query, env: &'a Environment) -> Self {
        let settings = Settings {
            host: query.host.clone(),
            user: query.user.clone(),
            port: query.port,
            ..Settings::default()
        };
        let host = query.host.clone();
        Self { query, env, settings, host, final_pass: false, wants_final: false, files: 0 }
    }

    fn read_all(&mut self, sources: &[Source]) -> Result<(), TargetError> {
        for source in sources {
            let mut active = true;
            let text = match read_text(&source.path, self.env) {
                Ok(text) => text,
                Err(TargetError::Read { source: io, .. })
                    if io.kind() == std::io::ErrorKind::NotFound && !source.required =>
                {
                    continue;
                }
                // As ssh does with a file that nobody named; but what stands in it is then missing, so it is said.
                Err(TargetError::Read { source: io, .. })
                    if io.kind() == std::io::ErrorKind::PermissionDenied && !source.required =>
                {
                    let file = self.env.shown(&source.path);
                    self.settings.warnings.push(format!("{file} was left out: permission denied"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.read(&source.path, &text, source.is_user, false, &mut active, 0)?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        path: &Path,
        text: &str,
        is_user: bool,
        never: bool,
        active: &mut bool,
        depth: usize,
    ) -> Result<(), TargetError> {
        let file = self.env.shown(path);
        if !self.settings.files.contains(&file) {
            self.settings.files.push(file.clone());
        }
        for (index, text) in text.split('\n').enumerate() {
            let Some((word, rest)) = lex::keyword(text) else { continue };
            let place = Place { file: file.clone(), line: index.saturating_add(1) };
            let mut line = Line {
                place: &place,
                keyword: &word,
                text: rest,
                args: Vec::new().into_iter(),
                active: *active,
            };
            if rest.is_empty() {
                return Err(line.error(SshFault::MissingArgument));
            }
            let Some(keyword) = self.keyword(&line, is_user)? else { continue };
            line.args = lex::arguments(rest)
                .map_err(|lex::OpenQuote| line.error(SshFault::Quotes))?
                .into_iter();
            match keyword {
                Keyword::Host => *active = self.host_line(&mut line, never)?,
                Keyword::Match => *active = self.match_line(&line, rest)? && !never,
                Keyword::Include => {
                    self.include(&mut line, is_user, never || !*active, depth)?;
                }
                _ => self.setting(keyword, &mut line)?,
            }
            let takes_rest = matches!(
                keyword,
                Keyword::Match | Keyword::Ignored | Keyword::ProxyJump | Keyword::ProxyCommand
            );
            if !takes_rest && line.args.next().is_some() {
                return Err(line.error(SshFault::ExtraArguments));
            }
        }
        Ok(())
    }

    /// None: unknown, and to be passed over.
    fn keyword(&mut self, line: &Line<'_>, is_user: bool) -> Result<Option<Keyword>, TargetError> {
        let name = line.keyword.to_ascii_lowercase();
        if let Some(keyword) = Keyword::by_name(&name) {
            return Ok(Some(keyword));
        }
        if self
            .settings
            .ignore_unknown
            .as_deref()
            .is_some_and(|list| pattern::fits_host_list(&name, list))
        {
            return Ok(None);
        }
        if !is_user {
            // A distribution may have patched its own ssh; the user can do nothing about it.
            self.warn(format!("{}: unknown keyword {} passed over", line.place, line.keyword));
            return Ok(None);
        }
        let suggestion = nearest(&name, Keyword::names());
        Err(line.error(SshFault::UnknownKeyword { suggestion }))
    }

    fn warn(&mut self, warning: String) {
        if !self.settings.warnings.contains(&warning) {
            self.settings.warnings.push(warning);
        }
    }

    /// `Host pattern...`: whether the block fits.
    fn host_line(&mut self, line: &mut Line<'_>, never: bool) -> Result<bool, TargetError> {
        let mut fitting = false;
        let patterns: Vec<String> = std::mem::take(&mut line.args).collect();
        for word in patterns {
            if word.is_empty() {
                return Err(line.error(SshFault::MissingArgument));
            }
            if never {
                continue;
            }
            if !pattern::is_pattern(&word) && !self.settings.aliases.iter().any(|(a, _)| *a == word)
            {
                self.settings.aliases.push((word.clone(), line.place.clone()));
            }
            match word.strip_prefix('!') {
                Some(refused) if pattern::fits(&self.host, refused) => return Ok(false),
                None if pattern::fits(&self.host, &word) => {
                    fitting = true;
                    self.matched(line.place, "Host", &word);
                }
                Some(_) | None => {}
            }
        }
        Ok(fitting)
    }

    /// Remembers the first line that fits by more than a star.
    fn matched(&mut self, place: &Place, keyword: &str, pattern: &str) {
        let by_name = pattern.chars().any(|c| !matches!(c, '*' | '?' | '.'));
        if by_name && !self.final_pass && self.settings.matched.is_none() {
            self.settings.matched = Some((place.clone(), format!("{keyword} {pattern}")));
        }
    }

    fn include(
        &mut self,
        line: &mut Line<'_>,
        is_user: bool,
        never: bool,
        depth: usize,
    ) -> Result<(), TargetError> {
        let patterns: Vec<String> = std::mem::take(&mut line.args).collect();
        for word in patterns {
            if word.is_empty() {
                return Err(line.error(SshFault::MissingArgument));
            }
            let path = if word.starts_with('~') {
                let own = is_user.then(|| self.env.expand_tilde(&word)).flatten();
                own.ok_or_else(|| line.error(SshFault::Tilde))?
            } else if is_user {
                let home = self.env.home.as_deref().unwrap_or(Path::new("/"));
                home.join(".ssh").join(&word)
            } else {
                Path::new("/etc/ssh").join(&word)
            };
            for path in pattern::glob(&path, MAX_FILES) {
                if path.is_dir() {
                    continue;
                }
                if depth >= MAX_DEPTH {
                    return Err(line.error(SshFault::TooDeep));
                }
                self.files = self.files.saturating_add(1);
                if self.files > MAX_FILES {
                    return Err(line.error(SshFault::TooManyFiles));
                }
                let text =
                    read_text(&path, self.env).map_err(|_| line.error(SshFault::Unreadable))?;
                // What an included file switches on or off ends with it.
                let mut active = line.active;
                self.read(&path, &text, is_user, never, &mut active, depth.saturating_add(1))?;
            }
        }
        Ok(())
    }
}

/// The text of a configuration; octets that are not UTF-8 are replaced.
pub(super) fn read_text(path: &Path, env: &Environment) -> Result<String, TargetError> {
    let failed = |source| TargetError::Read { file: env.shown(path), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(TargetError::TooLarge { file: env.shown(path), limit_bytes: MAX_FILE_BYTES });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
