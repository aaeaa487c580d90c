//! Where a target is found: the target files in their order, then the Host blocks of ssh_config.

use super::build::Context;
use super::error::{Place, TargetError};
use super::file::{self, RawTarget};
use super::gate::Gate;
use super::login::{User, jump_list};
use super::nearest::nearest;
use super::paths::{Environment, TARGET_FILE};
use super::plan::{Listed, Overrides, Plan, SshPlan};
use super::ssh_config::{Query, Settings, Source, resolve, sources};
use super::{alias, build};
use std::path::{Path, PathBuf};

/// Octets of a target file; longer is none.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Makes the plan of the target `name`: of `--config`, else of `./tunnelcheck.toml`, else of the user's config folder,
/// else of a Host block of ssh_config that fits the name by more than a star.
///
/// # Errors
/// Every `TargetError`: the file and line, the value, and by `remedy` what to do.
pub fn load(name: &str, overrides: &Overrides, env: &Environment) -> Result<Plan, TargetError> {
    let ssh = sources(overrides.ssh_config.as_deref(), env);
    let files = target_files(overrides, env)?;
    for file in &files {
        if let Some(raw) = file.targets.iter().find(|raw| raw.name == name) {
            let base = file.path.parent().unwrap_or(Path::new("/"));
            let shown = file.shown.clone();
            let context = Context { file: shown, base, overrides, env, ssh: Some(&ssh) };
            let plan = build::build(raw, &context)?;
            return Ok(Plan { file: Some(file.path.clone()), ..plan });
        }
    }
    let settings = settings_of(name, &ssh, env)?;
    if let Some((place, block)) = settings.matched.clone() {
        return alias::build(&settings, &place, &block, &ssh, overrides, env);
    }
    let mut known: Vec<String> =
        files.iter().flat_map(|file| &file.targets).map(|raw| raw.name.clone()).collect();
    for (alias, _) in &settings.aliases {
        if !known.contains(alias) {
            known.push(alias.clone());
        }
    }
    let suggestion = nearest(name, known.iter().map(String::as_str));
    let mut searched: Vec<String> = files.into_iter().map(|file| file.shown).collect();
    searched.extend(settings.files);
    Err(TargetError::UnknownTarget { name: name.to_owned(), known, suggestion, searched })
}

/// Every target that could be asked for, in the order in which they are searched; a name that stands twice is listed
/// once, where it is found.
///
/// # Errors
/// As `load`, where a file cannot be read or is not sound as a whole.
pub fn list(overrides: &Overrides, env: &Environment) -> Result<Vec<Listed>, TargetError> {
    let mut listed: Vec<Listed> = Vec::new();
    for file in target_files(overrides, env)? {
        for raw in file.targets {
            let place = Place { file: file.shown.clone(), line: raw.line };
            listed.push(Listed {
                origin: format!("{place} [{}]", raw.table),
                gateway: raw.gateway.map(|at| at.value),
                services: raw.services.into_iter().map(|service| service.name.value).collect(),
                name: raw.name,
            });
        }
    }
    let ssh = sources(overrides.ssh_config.as_deref(), env);
    for (alias, place) in settings_of("", &ssh, env)?.aliases {
        let settings = settings_of(&alias, &ssh, env)?;
        let user = settings.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        listed.push(Listed {
            origin: format!("{place} Host {alias}"),
            gateway: Some(format!("{user}{}", settings.host_name()?)),
            services: settings
                .forwards
                .iter()
                .filter_map(|line| line.forward.as_ref().ok())
                .map(|forward| format!("forward-{}", forward.listen_port))
                .collect(),
            name: alias,
        });
    }
    let mut seen = Vec::new();
    listed.retain(|one| {
        let first = !seen.contains(&one.name);
        seen.push(one.name.clone());
        first
    });
    Ok(listed)
}

/// How to log in on another machine: `[user@]host`, where the host may be a Host of ssh_config. It has no forwards.
///
/// # Errors
/// As `load`, where ssh_config cannot be used or no user is known.
pub fn login(
    place: &str,
    overrides: &Overrides,
    env: &Environment,
) -> Result<(SshPlan, Vec<String>), TargetError> {
    let origin = format!("--from {place}");
    let ssh = sources(overrides.ssh_config.as_deref(), env);
    let (user, host) = match place.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, place),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let settings = resolve(&Query { host: host.to_owned(), user, port: None }, &ssh, env)?;
    let user = User::of(&settings, env);
    let Some(name) = user.name().filter(|name| !name.is_empty()) else {
        return Err(TargetError::MissingUser {
            place: Place { file: "the command line".to_owned(), line: 0 },
            key: "--from".to_owned(),
            value: place.to_owned(),
        });
    };
    let mut warnings = Vec::new();
    let jumps = jump_list(&settings)?;
    let gate = Gate::find(&settings, &jumps, &origin, Some(&ssh), env, &mut warnings)?;
    // What the finding of a gateway has to say about its place on the wire does not concern a vantage.
    warnings.clear();
    let plan = gate.ssh_plan(&settings, name, false, Vec::new(), env, &mut warnings)?;
    Ok((plan, warnings))
}

/// Makes the plan of the table `target` in `text`, a suite's manifest, called `name`. No ssh_config is read, no user is
/// needed and `Plan::ssh` is none: a recording calls nobody, and is judged alike anywhere.
///
/// # Errors
/// As `load`; lines are those of the manifest.
pub fn parse_target_value(
    text: &str,
    file: &Path,
    name: &str,
    env: &Environment,
) -> Result<Plan, TargetError> {
    let shown = env.shown(file);
    let raw = file::parse_manifest(text, &shown, name)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let overrides = Overrides::default();
    build::build(&raw, &Context { file: shown, base, overrides: &overrides, env, ssh: None })
}

/// A target file that was read.
struct TargetFile {
    path: PathBuf,
    shown: String,
    targets: Vec<RawTarget>,
}

/// The file named, which must exist; else those of the two usual places that do.
fn target_files(overrides: &Overrides, env: &Environment) -> Result<Vec<TargetFile>, TargetError> {
    let usual = [
        Some(env.cwd.join(TARGET_FILE)),
        env.config_dir.as_ref().map(|dir| dir.join("tunnelcheck").join(TARGET_FILE)),
    ];
    let paths: Vec<PathBuf> = match &overrides.config {
        Some(path) => vec![env.cwd.join(path)],
        None => usual.into_iter().flatten().filter(|path| path.exists()).collect(),
    };
    paths.into_iter().map(|path| read(path, env)).collect()
}

fn read(path: PathBuf, env: &Environment) -> Result<TargetFile, TargetError> {
    let shown = env.shown(&path);
    let failed = |source| TargetError::Read { file: shown.clone(), source };
    let file = std::fs::File::open(&path).map_err(failed)?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_FILE_BYTES + 1), &mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(TargetError::TooLarge { file: shown, limit_bytes: MAX_FILE_BYTES });
    }
    // An identifier in another charset must not be replaced by something that is never found.
    let text = String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', sound).count().saturating_add(1);
        TargetError::Syntax {
            place: Place { file: shown.clone(), line },
            message: "not UTF-8".to_owned(),
        }
    })?;
    let targets = file::parse(&text, &shown)?;
    Ok(TargetFile { path, shown, targets })
}

fn settings_of(host: &str, ssh: &[Source], env: &Environment) -> Result<Settings, TargetError> {
    resolve(&Query { host: host.to_owned(), user: None, port: None }, ssh, env)
}
