use super::super::prompt::Ask;
use super::*;
use data_encoding::BASE64;
use std::path::Path;
use std::sync::mpsc;

const KEY_A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
const KEY_B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIP/+/fz7+vn49/b19PPy8fDv7u3s6+rp6Ofm5eTj4uHg";
const RSA: &str = "AAAAB3NzaC1yc2EAAAADAQABAAAAAwDerQ==";

struct Case {
    folder: tempfile::TempDir,
    hop: HopSpec,
}

impl Case {
    fn new(records: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("known_hosts"), records).unwrap();
        let hop = HopSpec {
            host: "Gate.Example.org".to_owned(),
            port: 22,
            user: "jsmith".to_owned(),
            known_hosts: vec![folder.path().join("known_hosts")],
            ..HopSpec::default()
        };
        Self { folder, hop }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("known_hosts")
    }

    fn verify(&self, key: &str, answer: bool) -> Result<Verified, TunnelError> {
        self.verify_with(key, answer, &[])
    }

    fn verify_with(
        &self,
        key: &str,
        answer: bool,
        accepted: &[String],
    ) -> Result<Verified, TunnelError> {
        let verifier = Verifier::new(&self.hop, accepted, false)?;
        let blob = BASE64.decode(key.as_bytes()).unwrap();
        let key_type = if key == RSA { "ssh-rsa" } else { "ssh-ed25519" }.to_owned();
        let (to_caller, questions) = mpsc::channel();
        let person = std::thread::spawn(move || {
            while let Ok(ask) = questions.recv() {
                if let Ask::HostKey(_, reply) = ask {
                    let _ = reply.send(answer);
                }
            }
        });
        let asker = Asker::new(to_caller);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(verifier.verify(&ShownKey { key_type, blob }, &asker));
        drop(asker);
        person.join().unwrap();
        result
    }
}

fn fingerprint_of(key: &str) -> String {
    known_hosts::fingerprint(&BASE64.decode(key.as_bytes()).unwrap())
}

#[test]
fn a_key_on_record_is_verified_by_its_line() {
    let case = Case::new(&format!("# one\ngate.example.org ssh-ed25519 {KEY_A}\n"));
    let verified = case.verify(KEY_A, false).unwrap();
    assert!(verified.source.starts_with("known_hosts line 2 of "), "{}", verified.source);
    assert_eq!(verified.fingerprint, fingerprint_of(KEY_A));
}

#[test]
fn any_of_several_keys_of_one_type_is_good() {
    let case = Case::new(&format!(
        "gate.example.org ssh-ed25519 {KEY_B}\ngate.example.org ssh-ed25519 {KEY_A}\n"
    ));
    assert!(case.verify(KEY_A, false).is_ok());
    assert!(case.verify(KEY_B, false).is_ok());
}

#[test]
fn a_changed_key_is_refused_whatever_a_person_or_the_command_line_says() {
    let case = Case::new(&format!("gate.example.org ssh-ed25519 {KEY_A}\n"));
    let error = case.verify_with(KEY_B, true, &[fingerprint_of(KEY_B)]).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(&error, TunnelError::HostKeyChanged(conflict) if conflict.line == 1),
        "{text}"
    );
    assert!(text.contains(&fingerprint_of(KEY_A)) && text.contains(&fingerprint_of(KEY_B)));
    assert!(error.remedy().unwrap().contains("ssh-keygen -R 'gate.example.org'"));
}

#[test]
fn a_host_that_shows_another_type_than_the_known_one_is_refused() {
    let case = Case::new(&format!("gate.example.org ssh-ed25519 {KEY_A}\n"));
    let error = case.verify(RSA, true).unwrap_err();
    assert!(matches!(error, TunnelError::HostKeyOtherType(_)), "{error}");
}

#[test]
fn a_revoked_key_is_refused_even_if_another_line_knows_it() {
    for revoked in ["*", "gate.example.org"] {
        let case = Case::new(&format!(
            "gate.example.org ssh-ed25519 {KEY_A}\n@revoked {revoked} ssh-ed25519 {KEY_A}\n"
        ));
        let error = case.verify_with(KEY_A, true, &[fingerprint_of(KEY_A)]).unwrap_err();
        assert!(matches!(error, TunnelError::HostKeyRevoked { line: 2, .. }), "{error}");
    }
}

#[test]
fn a_certificate_authority_alone_vouches_for_nothing() {
    let case = Case::new(&format!("@cert-authority *.example.org ssh-ed25519 {KEY_B}\n"));
    for shown in [KEY_A, KEY_B] {
        let error = case.verify(shown, true).unwrap_err();
        assert!(matches!(error, TunnelError::HostKeyAuthorityOnly { .. }), "{error}");
    }
    assert!(case.verify_with(KEY_A, false, &[fingerprint_of(KEY_A)]).is_ok());
}

#[test]
fn an_unknown_key_is_accepted_only_by_a_person_and_then_kept() {
    let case = Case::new("");
    let error = case.verify(KEY_A, false).unwrap_err();
    assert!(matches!(error, TunnelError::HostKeyUnknown { .. }), "{error}");
    assert!(error.remedy().unwrap().contains(&fingerprint_of(KEY_A)));
    let verified = case.verify(KEY_A, true).unwrap();
    assert_eq!(verified.not_kept, None);
    let kept = std::fs::read_to_string(case.file()).unwrap();
    assert_eq!(kept, format!("gate.example.org ssh-ed25519 {KEY_A}\n"));
    assert!(case.verify(KEY_A, false).unwrap().source.starts_with("known_hosts line 1"));
}

#[test]
fn a_fingerprint_on_the_command_line_accepts_that_key_and_no_other() {
    let case = Case::new("");
    let padded = format!("  {}= ", fingerprint_of(KEY_A));
    let error = case.verify_with(KEY_B, true, std::slice::from_ref(&padded)).unwrap_err();
    assert!(matches!(error, TunnelError::HostKeyNotAccepted { .. }), "{error}");
    let verified = case.verify_with(KEY_A, false, &[padded]).unwrap();
    assert_eq!(verified.source, "--accept-host-key");
}

#[test]
fn a_key_that_cannot_be_kept_is_accepted_and_said() {
    let mut case = Case::new("");
    case.hop.known_hosts = vec![Path::new("/proc/no/such/known_hosts").to_owned()];
    let verified = case.verify(KEY_A, true).unwrap();
    assert!(verified.not_kept.unwrap().contains("/proc/no/such/known_hosts"));
}

#[test]
fn another_port_is_another_host_unless_the_key_is_the_very_same() {
    let mut case = Case::new(&format!("gate.example.org ssh-ed25519 {KEY_A}\n"));
    case.hop.port = 2222;
    assert!(case.verify(KEY_A, false).unwrap().source.starts_with("known_hosts line 1"));
    let error = case.verify(KEY_B, false).unwrap_err();
    assert!(matches!(error, TunnelError::HostKeyUnknown { .. }), "{error}");
}

#[test]
fn an_alias_replaces_host_and_port() {
    let mut case = Case::new(&format!("dasher ssh-ed25519 {KEY_A}\n"));
    case.hop.port = 2222;
    case.hop.host_key_alias = Some("Dasher".to_owned());
    assert!(case.verify(KEY_A, false).is_ok());
    assert!(matches!(case.verify(KEY_B, false), Err(TunnelError::HostKeyChanged(_))));
}

#[test]
fn the_machines_file_counts_and_is_never_written() {
    let mut case = Case::new("");
    let global = case.folder.path().join("global");
    std::fs::write(&global, format!("gate.example.org ssh-ed25519 {KEY_A}\n")).unwrap();
    case.hop.global_known_hosts = vec![global.clone()];
    assert!(case.verify(KEY_A, false).is_ok());
    assert!(matches!(case.verify(KEY_B, true), Err(TunnelError::HostKeyChanged(_))));
    case.hop.host = "other.example.org".to_owned();
    case.verify(KEY_B, true).unwrap();
    assert_eq!(std::fs::read_to_string(&global).unwrap().lines().count(), 1);
}

#[test]
fn types_on_record_are_known_before_dialing() {
    let case = Case::new(&format!(
        "gate.example.org ssh-rsa {RSA}\n@revoked gate.example.org ssh-ed25519 {KEY_A}\n"
    ));
    let verifier = Verifier::new(&case.hop, &[], false).unwrap();
    assert_eq!(verifier.known_types(), ["ssh-rsa"]);
}
