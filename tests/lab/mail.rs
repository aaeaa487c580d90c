//! No tunnel: the services themselves are to be encrypted. Real dovecot, real OpenSSL.

use crate::check::{FAIL, PASS, run_with};
use crate::target::TargetFile;
use crate::world::lab;

/// What the POP3 user types, in a shell.
const TYPED: &str = "(sleep 0.5; for line in 'USER jsmith' 'PASS sleigh-bells' STAT 'RETR 1' QUIT; do \
                     printf '%s\\r\\n' \"$line\"; sleep 0.15; done; sleep 0.3)";

#[test]
fn pop3_inside_tls_passes() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::none("dasher")
        .service("pops", "pop3", "dasher.dartmouth.edu", 995, "")
        .write(world);
    let line = format!(
        "{TYPED} | openssl s_client -quiet -connect 10.77.1.30:995 >/tmp/null.$$ 2>&1; rm -f /tmp/null.$$"
    );
    run_with(world, &config, &[], &line)
        .expect(PASS)
        .claim("tunnel", "not-applicable", "")
        .claim("carried", "holds", "");
}

#[test]
fn pop3_upgraded_by_stls_passes() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::none("dasher")
        .service("pop", "pop3", "dasher.dartmouth.edu", 110, "")
        .write(world);
    let line = format!(
        "{TYPED} | openssl s_client -quiet -starttls pop3 -connect 10.77.1.30:110 >/dev/null 2>&1"
    );
    run_with(world, &config, &[], &line).expect(PASS).tells("\"upgraded\"");
}

#[test]
fn pop3_in_the_clear_fails() {
    let Some((world, _one)) = lab() else { return };
    let config = TargetFile::none("dasher")
        .service("pop", "pop3", "dasher.dartmouth.edu", 110, "")
        .write(world);
    run_with(world, &config, &[], "$T lab user pop3@10.77.1.30:110")
        .expect(FAIL)
        .claim("carried", "broken", "")
        .claim("no-identifier", "broken", "")
        .claim("no-cleartext", "broken", "");
}
