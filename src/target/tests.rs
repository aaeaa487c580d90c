//! The room from its door: files in, plans and refusals out.

use super::*;
use crate::model::TunnelMode;
use std::path::Path;

/// A home folder with files in it.
struct Home {
    dir: tempfile::TempDir,
    env: Environment,
}

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let env = Environment::of_home(dir.path(), "login");
        Self { dir, env }
    }

    fn load(&self, name: &str) -> Result<Plan, TargetError> {
        load(name, &Overrides::default(), &self.env)
    }
}

/// The plan of one `[target.t]`, and no ssh_config.
fn toml(body: &str) -> Result<Plan, TargetError> {
    Home::new(&[("tunnelcheck.toml", body)]).load("t")
}

/// Message and remedy of a refusal.
fn refused(result: Result<Plan, TargetError>) -> (String, String) {
    let error = result.expect_err("must be refused");
    (error.to_string(), error.remedy().expect("every refusal has a remedy"))
}

const DASHER: &str = include_str!("../../tests/fixtures/target/dasher.toml");

#[test]
fn the_contract_file_makes_a_plan() {
    let home = Home::new(&[("tunnelcheck.toml", DASHER)]);
    let plan = home.load("dasher").unwrap();
    assert_eq!(plan.origin, "tunnelcheck.toml:1 [target.dasher]");
    let target = &plan.target;
    assert_eq!(target.tunnel, TunnelMode::Builtin);
    assert_eq!(target.gateway_host.as_deref(), Some("nimbus.dartmouth.edu"));
    assert_eq!(target.gateway_port, 22);
    assert_eq!(target.gateway_addresses, ["10.77.0.20".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(target.clients.len(), 1);
    let service = &target.services[0];
    assert_eq!(service.host, "dasher.dartmouth.edu");
    assert_eq!(service.aliases, ["dasher"]);
    assert_eq!(service.addresses.len(), 1);
    let labels: Vec<&str> = target.identifiers.iter().map(|i| i.label.as_str()).collect();
    assert_eq!(labels, ["username", "username", "folders"]);
    assert_eq!(target.exempts[0].port, Some(1119));
    let ssh = plan.ssh.unwrap();
    assert_eq!(ssh.user, "jsmith");
    assert_eq!(ssh.identity_files, [home.dir.path().join(".ssh/id_ed25519")]);
    assert!(!ssh.default_identities);
    assert_eq!(ssh.known_hosts, [home.dir.path().join(".ssh/known_hosts")]);
    assert_eq!(ssh.forwards.len(), 1);
    assert_eq!(ssh.forwards[0].listen.to_string(), "127.0.0.1:2151");
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}
