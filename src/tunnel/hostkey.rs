//! Whether a host key is the right one: `known_hosts`, the command line, a person. Never by itself.

use super::error::{HostKeyConflict, TunnelError};
use super::known_hosts::{self, Entry, KnownHosts, Marker};
use super::prompt::{Asker, plain};
use super::spec::{HopSpec, SSH_PORT};
use std::fmt;
use std::path::PathBuf;

/// A host key that nobody has vouched for yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyQuestion {
    /// The host, as `known_hosts` would name it.
    pub host: String,
    /// Type of the key: `ED25519`, `ECDSA`, `RSA`.
    pub key_type: String,
    /// `SHA256:...`, as `ssh-keygen -l` writes it.
    pub fingerprint: String,
    /// File that keeps the key if it is accepted.
    pub keep_in: Option<PathBuf>,
    /// Lines of the `known_hosts` files that could not be read.
    pub bad_lines: u64,
}

impl fmt::Display for HostKeyQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The authenticity of host '{}' can't be established.\n{} key fingerprint is {}.",
            plain(&self.host),
            self.key_type,
            self.fingerprint
        )?;
        if self.bad_lines > 0 {
            write!(f, "\n{} lines of the known_hosts files cannot be read.", self.bad_lines)?;
        }
        if let Some(file) = &self.keep_in {
            write!(f, "\nIf you accept it, it is kept in {}.", file.display())?;
        }
        Ok(())
    }
}

/// A key that a host has shown, ready to be compared.
pub(super) struct ShownKey {
    pub(super) key_type: String, // as in known_hosts: ssh-ed25519, ssh-rsa
    pub(super) blob: Vec<u8>,
}

/// How a host key was verified.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) fingerprint: String,
    pub(super) source: String,
    /// Why an accepted key could not be kept.
    pub(super) not_kept: Option<String>,
}

/// What is on record about one host, and who may be asked.
pub(super) struct Verifier {
    name: String,
    fallback: Option<String>, // the name without its port, as OpenSSH tries it too
    records: KnownHosts,
    keep_in: Option<PathBuf>,
    hashed: bool,
    accepted: Vec<String>,
}

enum Standing<'a> {
    Known(&'a Entry),
    Revoked(&'a Entry),
    Changed(&'a Entry),
    OtherType(&'a Entry),
    AuthorityOnly(&'a Entry),
    Unknown,
}

impl Verifier {
    /// Reads what is on record about `hop`.
    ///
    /// # Errors
    /// `KnownHosts`: a file is there and cannot be read.
    pub(super) fn new(
        hop: &HopSpec,
        accept_host_key: &[String],
        hashed: bool,
    ) -> Result<Self, TunnelError> {
        let files: Vec<PathBuf> =
            hop.known_hosts.iter().chain(&hop.global_known_hosts).cloned().collect();
        let (name, fallback) = match &hop.host_key_alias {
            Some(alias) => (alias.to_ascii_lowercase(), None),
            None => (
                known_hosts::host_name(&hop.host, hop.port),
                (hop.port != SSH_PORT).then(|| hop.host.to_ascii_lowercase()),
            ),
        };
        Ok(Self {
            name,
            fallback,
            records: KnownHosts::read(&files)?,
            keep_in: hop.known_hosts.first().cloned(),
            hashed,
            accepted: accept_host_key.iter().map(|text| normal_fingerprint(text)).collect(),
        })
    }

    /// Types of the keys on record for this host: these are to be asked for first, or a host that is known by one
    /// type reads as unknown because it shows another.
    pub(super) fn known_types(&self) -> Vec<&str> {
        let own: Vec<&str> = self.plain_keys(&self.name).collect();
        match (&self.fallback, own.is_empty()) {
            (Some(fallback), true) => self.plain_keys(fallback).collect(),
            _ => own,
        }
    }

    /// Decides about the key that the host shows.
    ///
    /// # Errors
    /// One of the `HostKey...` variants: the key is not, or not surely, the right one.
    pub(super) async fn verify(
        &self,
        shown: &ShownKey,
        asker: &Asker,
    ) -> Result<Verified, TunnelError> {
        let fingerprint = known_hosts::fingerprint(&shown.blob);
        let key_type = short_type(&shown.key_type);
        let host = self.name.clone();
        match self.standing(shown) {
            Standing::Known(entry) => {
                let source = format!("known_hosts line {} of {}", entry.line, entry.file.display());
                Ok(Verified { fingerprint, source, not_kept: None })
            }
            Standing::Revoked(entry) => Err(TunnelError::HostKeyRevoked {
                host,
                key_type,
                fingerprint,
                file: entry.file.to_path_buf(),
                line: entry.line,
            }),
            Standing::Changed(entry) => {
                Err(TunnelError::HostKeyChanged(conflict(host, key_type, fingerprint, entry)))
            }
            Standing::OtherType(entry) => {
                Err(TunnelError::HostKeyOtherType(conflict(host, key_type, fingerprint, entry)))
            }
            Standing::AuthorityOnly(_) | Standing::Unknown
                if self.accepted.contains(&normal_fingerprint(&fingerprint)) =>
            {
                Ok(self.keep(shown, fingerprint, "--accept-host-key"))
            }
            Standing::AuthorityOnly(entry) => Err(TunnelError::HostKeyAuthorityOnly {
                host,
                key_type,
                fingerprint,
                file: entry.file.to_path_buf(),
                line: entry.line,
            }),
            Standing::Unknown if !self.accepted.is_empty() => {
                Err(TunnelError::HostKeyNotAccepted { host, key_type, fingerprint })
            }
            Standing::Unknown => {
                let question = HostKeyQuestion {
                    host: host.clone(),
                    key_type: key_type.clone(),
                    fingerprint: fingerprint.clone(),
                    keep_in: self.keep_in.clone(),
                    bad_lines: self.records.bad_lines(),
                };
                if asker.accept_host_key(question).await {
                    return Ok(self.keep(shown, fingerprint, "a person at the terminal"));
                }
                let bad_lines = self.records.bad_lines();
                Err(TunnelError::HostKeyUnknown { host, key_type, fingerprint, bad_lines })
            }
        }
    }

    fn standing(&self, shown: &ShownKey) -> Standing<'_> {
        let of_host: Vec<&Entry> = self.records.of(&self.name).collect();
        let of_fallback: Vec<&Entry> =
            self.fallback.iter().flat_map(|name| self.records.of(name)).collect();
        let same = |entry: &&&Entry| entry.blob == shown.blob;
        if let Some(entry) =
            of_host.iter().chain(&of_fallback).filter(|e| e.marker == Marker::Revoked).find(same)
        {
            return Standing::Revoked(entry);
        }
        let keys = || of_host.iter().filter(|e| e.marker == Marker::Key);
        if let Some(entry) = keys().find(same) {
            return Standing::Known(entry);
        }
        if let Some(entry) = keys().find(|e| e.key_type == shown.key_type) {
            return Standing::Changed(entry);
        }
        if let Some(entry) = keys().next() {
            return Standing::OtherType(entry);
        }
        // Without its port the host counts only if it has this very key; another key there says nothing.
        if let Some(entry) = of_fallback.iter().filter(|e| e.marker == Marker::Key).find(same) {
            return Standing::Known(entry);
        }
        match of_host.iter().find(|e| e.marker == Marker::CertAuthority) {
            Some(entry) => Standing::AuthorityOnly(entry),
            None => Standing::Unknown,
        }
    }

    fn keep(&self, shown: &ShownKey, fingerprint: String, how: &str) -> Verified {
        let kept = match &self.keep_in {
            None => Err("no known_hosts file is named".to_owned()),
            Some(file) => {
                known_hosts::append(file, &self.name, &shown.key_type, &shown.blob, self.hashed)
                    .map_err(|e| format!("cannot write {}: {e}", file.display()))
            }
        };
        Verified { fingerprint, source: how.to_owned(), not_kept: kept.err() }
    }

    fn plain_keys<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.records.of(name).filter(|e| e.marker == Marker::Key).map(|e| e.key_type.as_str())
    }
}

fn conflict(
    host: String,
    key_type: String,
    fingerprint: String,
    entry: &Entry,
) -> Box<HostKeyConflict> {
    Box::new(HostKeyConflict {
        host,
        key_type,
        fingerprint,
        known_type: short_type(&entry.key_type),
        known: known_hosts::fingerprint(&entry.blob),
        file: entry.file.to_path_buf(),
        line: entry.line,
    })
}

/// `SHA256:` and the digest without padding, however the user wrote them.
fn normal_fingerprint(text: &str) -> String {
    let text = text.trim();
    let digest = text
        .split_at_checked(7)
        .filter(|(head, _)| head.eq_ignore_ascii_case("SHA256:"))
        .map_or(text, |(_, digest)| digest);
    format!("SHA256:{}", digest.trim_end_matches('='))
}

/// The type as OpenSSH shows it to people: `ED25519`, `ECDSA`, `RSA`.
fn short_type(key_type: &str) -> String {
    match key_type {
        "ssh-ed25519" => "ED25519".to_owned(),
        "ssh-rsa" => "RSA".to_owned(),
        "ssh-dss" => "DSA".to_owned(),
        ecdsa if ecdsa.starts_with("ecdsa-sha2-") => "ECDSA".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests;
