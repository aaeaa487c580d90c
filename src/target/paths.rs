//! Where the files are, and how a path is shown.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Name of the target file in the current folder and in the user's config folder.
pub(super) const TARGET_FILE: &str = "tunnelcheck.toml";

/// The surroundings that a target may refer to. The room reads nothing else of the process.
#[derive(Clone, Default)]
pub struct Environment {
    /// Home folder: `~`.
    pub home: Option<PathBuf>,
    /// Current folder: relative paths of ssh_config and of the command line.
    pub cwd: PathBuf,
    /// The user's config folder: `$XDG_CONFIG_HOME`, else `~/.config`.
    pub config_dir: Option<PathBuf>,
    /// Login name: what ssh takes where no user is given, and `%u`.
    pub user: Option<String>,
    /// Name of this host: `%L` and `%l`.
    pub hostname: Option<String>,
    /// The system's ssh_config, read after the user's.
    pub system_ssh_config: Option<PathBuf>,
    /// Environment variables: `${NAME}` in ssh_config, `SSH_AUTH_SOCK`.
    pub vars: BTreeMap<String, String>,
}

/// Without the variables: they may hold secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("home", &self.home)
            .field("cwd", &self.cwd)
            .field("config_dir", &self.config_dir)
            .field("user", &self.user)
            .field("hostname", &self.hostname)
            .field("system_ssh_config", &self.system_ssh_config)
            .finish_non_exhaustive()
    }
}

impl Environment {
    /// The surroundings of this process.
    #[must_use]
    pub fn from_process() -> Self {
        let vars: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let filled = |name: &str| vars.get(name).filter(|value| !value.is_empty());
        let home = filled("HOME").map(PathBuf::from);
        let config_dir = filled("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute()) // XDG Base Directory Specification: a relative one is ignored
            .or_else(|| home.as_ref().map(|home| home.join(".config")));
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .or_else(|_| std::fs::read_to_string("/etc/hostname"))
            .map(|text| text.trim().to_owned())
            .ok()
            .filter(|name| !name.is_empty())
            .or_else(|| filled("HOSTNAME").cloned());
        Self {
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            config_dir,
            user: filled("USER").or_else(|| filled("LOGNAME")).cloned(),
            hostname,
            system_ssh_config: Some(PathBuf::from("/etc/ssh/ssh_config")),
            home,
            vars,
        }
    }

    /// Surroundings that consist of a home folder and a login name, as tests and the lab need them: the current
    /// folder is the home folder, there is no system file and no variable.
    #[must_use]
    pub fn of_home(home: &Path, user: &str) -> Self {
        Self {
            home: Some(home.to_path_buf()),
            cwd: home.to_path_buf(),
            config_dir: Some(home.join(".config")),
            user: Some(user.to_owned()),
            ..Self::default()
        }
    }

    /// The user's ssh_config.
    #[must_use]
    pub fn user_ssh_config(&self) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(".ssh/config"))
    }

    /// `~/x` and `~` of the home folder, `~user/x` of the login name; other relative paths stay as they are.
    /// None: the home folder of that user is not known.
    pub(super) fn expand_tilde(&self, path: &str) -> Option<PathBuf> {
        let Some(rest) = path.strip_prefix('~') else { return Some(PathBuf::from(path)) };
        let (user, rest) = rest.split_once('/').unwrap_or((rest, ""));
        if !user.is_empty() && self.user.as_deref() != Some(user) {
            return None;
        }
        let home = self.home.as_ref()?;
        let rest = rest.trim_start_matches('/');
        Some(if rest.is_empty() { home.clone() } else { home.join(rest) })
    }

    /// A path as a person writes it: relative to the current folder, or to `~`.
    pub(super) fn shown(&self, path: &Path) -> String {
        if let Ok(rest) = path.strip_prefix(&self.cwd)
            && !rest.as_os_str().is_empty()
        {
            return rest.display().to_string();
        }
        if let Some(home) = &self.home
            && let Ok(rest) = path.strip_prefix(home)
            && !rest.as_os_str().is_empty()
        {
            return format!("~/{}", rest.display());
        }
        path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_as_a_person_writes_it() {
        let mut env = Environment::of_home(Path::new("/home/chris"), "chris");
        env.cwd = PathBuf::from("/home/chris/work");
        assert_eq!(env.shown(Path::new("/home/chris/work/tunnelcheck.toml")), "tunnelcheck.toml");
        assert_eq!(env.shown(Path::new("/home/chris/.ssh/config")), "~/.ssh/config");
        assert_eq!(env.shown(Path::new("/etc/ssh/ssh_config")), "/etc/ssh/ssh_config");
    }

    #[test]
    fn tilde_is_the_own_home_alone() {
        let env = Environment::of_home(Path::new("/home/chris"), "chris");
        assert_eq!(env.expand_tilde("~/.ssh/id"), Some(PathBuf::from("/home/chris/.ssh/id")));
        assert_eq!(env.expand_tilde("~chris/id"), Some(PathBuf::from("/home/chris/id")));
        assert_eq!(env.expand_tilde("~"), Some(PathBuf::from("/home/chris")));
        assert_eq!(env.expand_tilde("~mallory/id"), None);
        assert_eq!(env.expand_tilde("/a/~b"), Some(PathBuf::from("/a/~b")));
    }
}
