//! Private key files: OpenSSH, PKCS#1, PKCS#8, SEC1, PPK; with and without a passphrase.

use super::prompt::Asker;
use russh::keys::{PrivateKey, PublicKey, decode_secret_key, load_public_key};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const MAX_KEY_BYTES: u64 = 1 << 20; // a private key has a few KiB
const MAX_PASSPHRASE_TRIES: usize = 3; // NumberOfPasswordPrompts of OpenSSH

/// A private key file that exists.
pub(super) struct KeyFile {
    path: PathBuf,
    text: Option<String>, // none for a public half
    open: Option<PrivateKey>,
    public: Option<PublicKey>,
}

/// Why a key file is of no use.
pub(super) enum KeyTrouble {
    /// It does not exist.
    Missing,
    /// It cannot be read, or is none; with the reason.
    Unusable(String),
    /// It wants a passphrase, and nobody was there or it was wrong.
    Locked(&'static str),
}

impl KeyFile {
    /// Reads the file and, as far as that goes without a passphrase, the key.
    ///
    /// A public half is enough for a key that the agent holds, so it may stand alone: in the file itself, or beside
    /// it as `FILE.pub` while the file is missing.
    pub(super) fn read(path: &Path) -> Result<Self, KeyTrouble> {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                let public = load_public_key(public_path(path)).map_err(|_| KeyTrouble::Missing)?;
                return Ok(Self::public_half(path, public));
            }
            Err(e) => return Err(KeyTrouble::Unusable(e.to_string())),
        };
        if let Ok(public) = PublicKey::from_openssh(&text) {
            return Ok(Self::public_half(path, public));
        }
        if !text.contains("PRIVATE KEY-----") && !text.starts_with("PuTTY-User-Key-File-") {
            return Err(KeyTrouble::Unusable("not a private key".to_owned()));
        }
        let open = decode_secret_key(&text, None).ok();
        let public = match &open {
            Some(key) => Some(key.public_key().clone()),
            // The OpenSSH format keeps its public half in the clear; the others need the .pub file.
            None => PrivateKey::from_openssh(&text)
                .ok()
                .map(|key| key.public_key().clone())
                .or_else(|| load_public_key(public_path(path)).ok()),
        };
        Ok(Self { path: path.to_owned(), text: Some(text), open, public })
    }

    fn public_half(path: &Path, public: PublicKey) -> Self {
        Self { path: path.to_owned(), text: None, open: None, public: Some(public) }
    }

    /// Whether only the public half is here.
    pub(super) fn is_public_half(&self) -> bool {
        self.text.is_none()
    }

    /// The public half, if it can be known without a passphrase.
    pub(super) fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    /// The key, for which a passphrase may have to be asked.
    pub(super) async fn unlock(&self, asker: &Asker) -> Result<PrivateKey, KeyTrouble> {
        if let Some(key) = &self.open {
            return Ok(key.clone());
        }
        let Some(text) = self.text.as_deref() else {
            return Err(KeyTrouble::Unusable("only its public half is here".to_owned()));
        };
        if !is_encrypted(text) {
            let reason = decode_secret_key(text, None)
                .err()
                .map_or_else(|| "not a private key".to_owned(), |e| e.to_string());
            return Err(KeyTrouble::Unusable(reason));
        }
        if let Some(cipher) = old_cipher(text) {
            let path = self.path.display();
            return Err(KeyTrouble::Unusable(format!(
                "its old PEM encryption {cipher} is not supported: convert it with `ssh-keygen -p -f {path}`"
            )));
        }
        for attempt in 0..MAX_PASSPHRASE_TRIES {
            if attempt > 0 {
                asker.banner("Wrong passphrase, please try again.");
            }
            let Some(passphrase) = asker.passphrase(self.path.clone()).await else {
                return Err(KeyTrouble::Locked("nobody to ask for its passphrase"));
            };
            let text = text.to_owned();
            // Deriving the key takes a noticeable fraction of a second on purpose.
            let opened =
                tokio::task::spawn_blocking(move || decode_secret_key(&text, Some(&passphrase)))
                    .await;
            if let Ok(Ok(key)) = opened {
                return Ok(key);
            }
        }
        Err(KeyTrouble::Locked("wrong passphrase"))
    }
}

fn is_encrypted(text: &str) -> bool {
    text.contains("BEGIN ENCRYPTED PRIVATE KEY")
        || text.contains("Proc-Type: 4,ENCRYPTED")
        || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
        || (text.starts_with("PuTTY-User-Key-File-") && !text.contains("Encryption: none"))
}

/// Cipher of an old PEM file (RFC 1421 s4.6.1.3), unless it is the one that can be read.
fn old_cipher(text: &str) -> Option<&str> {
    let info = text.lines().find_map(|line| line.strip_prefix("DEK-Info:"))?;
    let cipher = info.trim().split(',').next()?;
    let readable = cipher == "AES-128-CBC" && text.contains("BEGIN RSA PRIVATE KEY");
    (!readable).then_some(cipher)
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_KEY_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
