//! `known_hosts` files, read and matched as sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT" says.

use super::error::TunnelError;
use super::spec::SSH_PORT;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAX_FILE_BYTES: u64 = 64 << 20; // a file of half a million hosts; larger ones are an error, not a silent cut
const SALT_BYTES: usize = 20; // as ssh-keygen -H writes them: the length of a SHA-1 digest

/// What a line says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// The host has this key.
    Key,
    /// The host must never be believed with this key.
    Revoked,
    /// The key signs certificates of the host.
    CertAuthority,
}

#[derive(Debug)]
enum Hosts {
    Patterns(String),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// One line that could be read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) file: Arc<Path>,
    pub(super) line: u64, // from 1
    pub(super) marker: Marker,
    pub(super) key_type: String,
    pub(super) blob: Vec<u8>, // RFC 4253 s6.6
    hosts: Hosts,
}

/// The lines of all `known_hosts` files that are asked.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    entries: Vec<Entry>,
    bad_lines: u64,
}

impl KnownHosts {
    /// Reads the files that exist, in this order.
    ///
    /// # Errors
    /// `KnownHosts`: a file is there and cannot be read. It may revoke the very key, so it is never passed over.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, TunnelError> {
        let mut all = Self::default();
        for file in files {
            match read_limited(file) {
                Ok(text) => all.parse(file, &text),
                Err(e) if is_missing(&e) => {}
                Err(source) => return Err(TunnelError::KnownHosts { file: file.clone(), source }),
            }
        }
        Ok(all)
    }

    /// Adds the lines of one file.
    pub(super) fn parse(&mut self, file: &Path, text: &[u8]) {
        let file: Arc<Path> = Arc::from(file);
        for (index, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.first() == Some(&b'#') {
                continue;
            }
            match parse_line(line) {
                Some((marker, hosts, key_type, blob)) => self.entries.push(Entry {
                    file: Arc::clone(&file),
                    line: index as u64 + 1,
                    marker,
                    key_type,
                    blob,
                    hosts,
                }),
                None => self.bad_lines += 1,
            }
        }
    }

    /// Lines that were read.
    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Lines that are neither empty, nor a comment, nor readable.
    pub(super) fn bad_lines(&self) -> u64 {
        self.bad_lines
    }

    /// The lines that speak of `name`, which is in the form that `host_name` gives.
    pub(super) fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let name = name.to_ascii_lowercase();
        self.entries.iter().filter(move |entry| entry.hosts.matches(&name))
    }
}

impl Hosts {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Patterns(list) => matches_pattern_list(name, list),
            Self::Hashed { salt, hash } => hash_host(name, salt).as_slice() == hash.as_slice(),
        }
    }
}

/// How `known_hosts` names a host: lower case, `[host]:port` unless the port is 22.
pub(super) fn host_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == SSH_PORT { host } else { format!("[{host}]:{port}") }
}

/// `SHA256:...` of a public key, as `ssh-keygen -l` writes it.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", data_encoding::BASE64_NOPAD.encode(&Sha256::digest(blob)))
}

/// Appends a line for `name`; makes the file (mode 0600) and its folder (mode 0700) where they are missing.
///
/// # Errors
/// The system's answer; what was in the file stays as it was.
pub(super) fn append(
    file: &Path,
    name: &str,
    key_type: &str,
    blob: &[u8],
    hashed: bool,
) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty() && !f.exists()) {
        make_private_folder(folder)?;
    }
    let host = if hashed { hashed_name(name)? } else { name.to_owned() };
    let mut handle = open_private(file)?;
    let mut line_end = "";
    let len = handle.seek(SeekFrom::End(0))?;
    if len > 0 {
        let mut last = [0u8; 1];
        handle.seek(SeekFrom::End(-1))?;
        handle.read_exact(&mut last)?;
        if last != *b"\n" {
            line_end = "\n";
        }
    }
    let line = format!("{line_end}{host} {key_type} {}\n", BASE64.encode(blob));
    handle.write_all(line.as_bytes())?; // opened for appending: one write, at the end
    handle.sync_data()
}

/// Whether `text` matches one pattern with `*` and `?`; both in lower case, everything else literal.
pub(super) fn matches_pattern(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // Let the last star take one octet more.
                Some((star_p, star_t)) => {
                    star = Some((star_p, star_t + 1));
                    p = star_p + 1;
                    t = star_t + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

/// Whether `name` matches a list with commas, in which `!pattern` excludes whatever else matches.
fn matches_pattern_list(name: &str, list: &str) -> bool {
    let mut matched = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches_pattern(name, excluded) => return false,
            Some(_) => {}
            None => matched |= !pattern.is_empty() && matches_pattern(name, pattern),
        }
    }
    matched
}

fn parse_line(line: &[u8]) -> Option<(Marker, Hosts, String, Vec<u8>)> {
    let mut fields =
        line.split(|b| *b == b' ' || *b == b'\t').filter(|f| !f.is_empty()).map(<[u8]>::trim_ascii);
    let mut first = fields.next()?;
    let marker = match first {
        b"@revoked" => Marker::Revoked,
        b"@cert-authority" => Marker::CertAuthority,
        _ if first.first() == Some(&b'@') => return None,
        _ => Marker::Key,
    };
    if marker != Marker::Key {
        first = fields.next()?;
    }
    let hosts = parse_hosts(std::str::from_utf8(first).ok()?)?;
    let key_type = std::str::from_utf8(fields.next()?).ok()?;
    let blob = BASE64.decode(fields.next()?).ok()?;
    (blob_type(&blob)? == key_type).then(|| (marker, hosts, key_type.to_owned(), blob))
}

fn parse_hosts(field: &str) -> Option<Hosts> {
    let Some(hashed) = field.strip_prefix('|') else {
        return Some(Hosts::Patterns(field.to_ascii_lowercase()));
    };
    let (salt, hash) = hashed.strip_prefix("1|")?.split_once('|')?; // 1 = HMAC-SHA1, the only one
    let salt = BASE64.decode(salt.as_bytes()).ok()?;
    let hash = BASE64.decode(hash.as_bytes()).ok()?;
    (salt.len() == SALT_BYTES && hash.len() == SALT_BYTES).then_some(Hosts::Hashed { salt, hash })
}

/// The name at the front of a public key (RFC 4253 s6.6): u32 length, then the text.
fn blob_type(blob: &[u8]) -> Option<&str> {
    let (len, rest) = blob.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    std::str::from_utf8(rest.get(..len)?).ok()
}

fn hash_host(name: &str, salt: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length, so this never fails; no match would only mean "unknown".
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(salt) else { return Vec::new() };
    mac.update(name.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hashed_name(name: &str) -> io::Result<String> {
    let mut salt = [0u8; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    Ok(format!("|1|{}|{}", BASE64.encode(&salt), BASE64.encode(&hash_host(name, &salt))))
}

fn read_limited(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(file)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {} MiB", MAX_FILE_BYTES >> 20),
        ));
    }
    Ok(text)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn open_private(file: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)
}

#[cfg(not(unix))]
fn open_private(file: &Path) -> io::Result<fs::File> {
    OpenOptions::new().read(true).append(true).create(true).open(file)
}

#[cfg(test)]
mod tests;
