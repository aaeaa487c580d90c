//! Commented target files to begin with.

/// What `target init` can write.
pub const KINDS: &[&str] = &["blitzmail", "pop3", "imap", "smtp", "postgres", "generic"];

/// The commented target file for `kind`, one of `KINDS`.
#[must_use]
pub fn template(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "blitzmail" => include_str!("templates/blitzmail.toml"),
        "pop3" => include_str!("templates/pop3.toml"),
        "imap" => include_str!("templates/imap.toml"),
        "smtp" => include_str!("templates/smtp.toml"),
        "postgres" => include_str!("templates/postgres.toml"),
        "generic" => include_str!("templates/generic.toml"),
        _ => return None,
    })
}
