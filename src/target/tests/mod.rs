//! The room from its door: files in, plans and refusals out.

mod host_block;
mod refusals;

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

const DASHER: &str = include_str!("../../../tests/fixtures/target/dasher.toml");

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

#[test]
fn every_template_loads() {
    for kind in KINDS {
        let text = template(kind).unwrap();
        let home = Home::new(&[("tunnelcheck.toml", text)]);
        let listed = list(&Overrides::default(), &home.env).unwrap();
        assert_eq!(listed.len(), 1, "{kind}");
        let plan = home.load(&listed[0].name).unwrap();
        assert!(plan.ssh.is_some_and(|ssh| !ssh.forwards.is_empty()), "{kind}");
        assert!(!plan.target.identifiers.is_empty(), "{kind}");
        let only_udp = |warning: &String| warning.contains("speaks UDP");
        assert!(plan.warnings.iter().all(only_udp), "{kind}: {:?}", plan.warnings);
        // What is commented out is sound, too.
        let alive: Vec<&str> = text
            .lines()
            .map(|line| {
                let rest = line.strip_prefix("# ").filter(|rest| {
                    let is_key = |key: &str| {
                        key.trim_end().chars().all(|c| c.is_ascii_lowercase() || c == '_')
                    };
                    rest.starts_with("[[")
                        || rest.split_once('=').is_some_and(|(key, _)| is_key(key))
                });
                rest.unwrap_or(line)
            })
            .collect();
        let alive = alive.join("\n");
        assert_ne!(alive, text);
        let home = Home::new(&[("tunnelcheck.toml", &alive)]);
        if let Err(error) = home.load(&listed[0].name) {
            panic!("{kind}: {error}\n{alive}");
        }
    }
    assert!(template("gopher").is_none());
}

const HEAD: &str = "[target.t]\ngateway = \"u@g\"\n";
const SERVICE: &str =
    "[[target.t.service]]\nname = \"s\"\nkind = \"pop3\"\nhost = \"m\"\nport = 110\n";

const PAPER: &str = include_str!("../../../tests/fixtures/ssh_config/accepted/incoming_mail.conf");
const PRINTED: &str =
    include_str!("../../../tests/fixtures/ssh_config/refused/incoming_mail_as_printed.conf");

#[test]
fn a_refusal_never_repeats_an_identifier() {
    for bad in [
        "username = [\"Secret Name\", 5]",
        "username = [\"Secret Name\" \"x\"]",
        "username = [\"Secret Name]",
    ] {
        let (said, advice) =
            refused(toml(&format!("{HEAD}{SERVICE}[target.t.identifiers]\n{bad}\n")));
        assert!(!said.contains("Secret") && !advice.contains("Secret"), "{said} {advice}");
    }
}

#[test]
fn a_file_that_is_not_utf8_is_refused_with_its_line() {
    let home = Home::new(&[]);
    std::fs::write(
        home.dir.path().join("tunnelcheck.toml"),
        b"[target.t]\ngateway = \"u@g\"\n# caf\xe9\n",
    )
    .unwrap();
    assert!(refused(home.load("t")).0.contains("tunnelcheck.toml:3: not TOML: not UTF-8"));
}

/// `[[target.t.service]]`, with more lines.
fn service(name: &str, host: &str, port: u16, more: &str) -> String {
    format!(
        "[[target.t.service]]\nname = \"{name}\"\nkind = \"generic\"\nhost = \"{host}\"\nport = {port}\n{more}\n"
    )
}

fn mouths(plan: &Plan) -> Vec<String> {
    let mouth = |it: &ForwardPlan| it.listen.to_string();
    plan.ssh.as_ref().unwrap().forwards.iter().map(mouth).collect()
}

#[test]
fn services_of_one_host_share_a_loopback_address() {
    let text = [
        HEAD,
        &service("a", "dasher.example", 110, ""),
        &service("b", "dancer.example", 143, ""),
        &service("c", "dancer.example", 110, ""),
        &service("d", "x.example", 25, "aliases = [\"dancer.example\"]"),
        &service("e", "prancer.example", 110, ""),
    ]
    .concat();
    let plan = toml(&text).unwrap();
    let wanted =
        ["127.0.0.1:110", "127.0.0.2:143", "127.0.0.2:110", "127.0.0.2:25", "127.0.0.3:110"];
    assert_eq!(mouths(&plan), wanted);
    assert!(
        plan.warnings.iter().any(|w| w.contains("service \"b\" listens on 127.0.0.2:143, as the")),
        "{:?}",
        plan.warnings
    );
    // Where somebody chose an address for the host, the others of the host go there.
    let text = text.replace("port = 143\n", "port = 143\nlisten = \"127.0.0.9:143\"\n");
    let plan = toml(&text).unwrap();
    let wanted =
        ["127.0.0.1:110", "127.0.0.9:143", "127.0.0.9:110", "127.0.0.9:25", "127.0.0.2:110"];
    assert_eq!(mouths(&plan), wanted);
}

#[test]
fn names_are_kept_as_they_were_written() {
    let text = [
        HEAD,
        &service(
            "a",
            "dasher.Dartmouth.EDU",
            110,
            "aliases = [\"Dasher\", \"dasher.dartmouth.edu.\"]",
        ),
    ]
    .concat();
    let home = Home::new(&[("tunnelcheck.toml", &text)]);
    let plan = home.load("t").unwrap();
    assert_eq!(plan.file, Some(home.dir.path().join("tunnelcheck.toml")));
    let wanted = ["dasher.Dartmouth.EDU", "Dasher", "dasher.dartmouth.edu."];
    assert_eq!(
        (plan.names[0].service.as_str(), &plan.names[0].names[..]),
        ("a", &wanted.map(str::to_owned)[..])
    );
    let home = Home::new(&[(
        ".ssh/config",
        "Host m\n HostName g.example\n User u\n LocalForward 2003 POP.Example.net:110\n",
    )]);
    let plan = home.load("m").unwrap();
    assert_eq!((plan.names[0].names[0].as_str(), plan.file), ("POP.Example.net", None));
}

#[test]
fn default_mouths_stand_beside_one_another() {
    let text = format!(
        "{HEAD}{SERVICE}{}{}",
        SERVICE.replace("\"s\"", "\"s2\"").replace("\"m\"", "\"m2\""),
        "[[target.t.service]]\nname = \"n\"\nkind = \"notify\"\nhost = \"m\"\nport = 2154\n"
    );
    let plan = toml(&text).unwrap();
    let mouths: Vec<String> =
        plan.ssh.unwrap().forwards.iter().map(|forward| forward.listen.to_string()).collect();
    assert_eq!(mouths, ["127.0.0.1:110", "127.0.0.2:110"]);
    assert!(
        plan.warnings
            .iter()
            .any(|w| w.contains("tunnelcheck.toml:8: service \"s2\" listens on 127.0.0.2:110")),
        "{:?}",
        plan.warnings
    );
    assert!(plan.warnings.iter().any(|w| w.contains("speaks UDP")));
    assert!(plan.target.services[2].is_udp && plan.target.services[2].listen.is_none());

    let (said, _) = refused(toml(&text.replace("\"u@g\"\n", "\"u@g\"\ngateway_ports = true\n")));
    assert!(said.contains("\"0.0.0.0:110\" is the mouth of service \"s\""), "{said}");
}

#[test]
fn without_a_tunnel_no_gateway_is_left() {
    let plan = toml(&format!("[target.t]\ngateway = \"g\"\ntunnel = \"none\"\n{SERVICE}")).unwrap();
    assert_eq!((plan.target.gateway_host, plan.ssh), (None, None));
    assert!(
        plan.warnings[0].contains("tunnelcheck.toml:2: gateway is not used"),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn an_external_tunnel_needs_no_user_and_makes_no_mouth() {
    let plan = toml(&format!(
        "[target.t]\ngateway = \"[2001:db8::1]:51820\"\ntunnel = \"external\"\n{SERVICE}"
    ))
    .unwrap();
    assert_eq!(plan.target.gateway_host.as_deref(), Some("2001:db8::1"));
    assert_eq!(plan.target.gateway_port, 51820);
    assert_eq!(plan.target.gateway_addresses.len(), 1);
    assert!(plan.ssh.is_none() && plan.target.services[0].listen.is_none());
}

#[test]
fn an_exempt_that_covers_a_service_is_said() {
    let plan = toml(&format!(
        "{HEAD}{SERVICE}[[target.t.exempt]]\nname = \"e\"\nhost = \"M.\"\nreason = \"r\"\n"
    ))
    .unwrap();
    assert!(plan.warnings.iter().any(|w| w.contains("exempt \"e\" covers service \"s\"")));
}

#[test]
fn the_gateway_may_be_a_host_of_ssh_config_and_the_table_wins() {
    let config = "Host gw\nHostName nimbus.example.net\nUser jsmith\nPort 2222\nIdentityFile ~/.ssh/own\nLocalForward 1 a:1\nServerAliveInterval 15\nHostKeyAlias nimbus\nStrictHostKeyChecking no\nHost *\nUserKnownHostsFile ~/.ssh/kh-%h\n";
    let table = format!("[target.t]\ngateway = \"gw\"\n{SERVICE}");
    let home = Home::new(&[("tunnelcheck.toml", &table), (".ssh/config", config)]);
    let plan = home.load("t").unwrap();
    let ssh = plan.ssh.unwrap();
    assert_eq!(
        (ssh.host.as_str(), ssh.port, ssh.user.as_str()),
        ("nimbus.example.net", 2222, "jsmith")
    );
    assert_eq!(ssh.identity_files, [home.dir.path().join(".ssh/own")]);
    assert_eq!(ssh.known_hosts, [home.dir.path().join(".ssh/kh-nimbus.example.net")]);
    assert_eq!(ssh.keepalive, Some(std::time::Duration::from_secs(15)));
    assert_eq!(ssh.host_key_alias.as_deref(), Some("nimbus"));
    assert_eq!(ssh.forwards.len(), 1);
    assert_eq!(plan.target.gateway_host.as_deref(), Some("nimbus.example.net"));
    assert!(
        plan.warnings
            .iter()
            .any(|w| w.contains("LocalForward of \"gw\" in ssh_config are not taken over"))
    );
    assert!(
        plan.warnings
            .iter()
            .any(|w| w.contains("~/.ssh/config:9: StrictHostKeyChecking no is not obeyed")
                || w.contains(".ssh/config:9: StrictHostKeyChecking no is not obeyed")),
        "{:?}",
        plan.warnings
    );

    let table = format!(
        "[target.t]\ngateway = \"other@gw:22\"\nidentity_file = [\"keys/a\", \"~/b\"]\nknown_hosts = \"kh\"\nkeepalive = 0\nidentity_agent = \"none\"\nproxy_jump = \"u@outer\"\n{SERVICE}"
    );
    let home = Home::new(&[("tunnelcheck.toml", &table), (".ssh/config", config)]);
    let plan = home.load("t").unwrap();
    let ssh = plan.ssh.unwrap();
    assert_eq!((ssh.port, ssh.user.as_str()), (22, "other"));
    assert_eq!(ssh.identity_files, [home.dir.path().join("keys/a"), home.dir.path().join("b")]);
    assert_eq!(ssh.known_hosts, [home.dir.path().join("kh")]);
    assert_eq!((ssh.keepalive, ssh.identity_agent), (None, None));
    assert_eq!(ssh.proxy_jump[0].host, "outer");
    assert_eq!(plan.target.gateway_host.as_deref(), Some("outer"));
    assert!(plan.warnings.iter().any(|w| w.contains("judged as the gateway")));
}

#[test]
fn an_unknown_target_shows_the_known_ones() {
    let home = Home::new(&[("tunnelcheck.toml", DASHER), (".ssh/config", PAPER)]);
    let (said, advice) = refused(home.load("dashr"));
    assert_eq!(
        said,
        "no target \"dashr\": known are dasher, incoming_mail (looked into tunnelcheck.toml, .ssh/config)"
    );
    assert!(advice.contains("did you mean \"dasher\"?"));
    let (said, advice) = refused(Home::new(&[]).load("x"));
    assert!(said.contains("there are none"), "{said}");
    assert!(advice.contains("target init"));
}

#[test]
fn files_are_searched_in_their_order() {
    let other = DASHER.replace("nimbus", "cumulus");
    let home = Home::new(&[
        ("work/tunnelcheck.toml", &other),
        (".config/tunnelcheck/tunnelcheck.toml", DASHER),
        ("elsewhere.toml", DASHER),
        (".ssh/config", "Host dasher lonely\nUser uu\n"),
    ]);
    let mut env = home.env.clone();
    env.cwd = home.dir.path().join("work");
    let gateway = |overrides: &Overrides, env: &Environment| {
        load("dasher", overrides, env).unwrap().target.gateway_host.unwrap()
    };
    assert_eq!(gateway(&Overrides::default(), &env), "cumulus.dartmouth.edu");
    assert_eq!(gateway(&Overrides::default(), &home.env), "nimbus.dartmouth.edu");
    let explicit = Overrides { config: Some("../elsewhere.toml".into()), ..Overrides::default() };
    assert_eq!(gateway(&explicit, &env), "nimbus.dartmouth.edu");
    let missing = Overrides { config: Some("none.toml".into()), ..Overrides::default() };
    assert_eq!(refused(load("dasher", &missing, &env)).0, "cannot read none.toml");
    let listed = list(&Overrides::default(), &env).unwrap();
    let names: Vec<&str> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["dasher", "lonely"]);
    assert_eq!(listed[1].origin, "~/.ssh/config:1 Host lonely");
    assert_eq!(listed[1].gateway.as_deref(), Some("uu@lonely"));
}

#[test]
fn the_command_line_wins() {
    let home = Home::new(&[("tunnelcheck.toml", DASHER), (".ssh/config", PAPER)]);
    let overrides = Overrides {
        identifiers: vec!["Marion Bates".into(), "jsmith".into()],
        tunnel: Some(TunnelMode::External),
        clients: vec!["10.0.0.9".parse().unwrap()],
        ..Overrides::default()
    };
    for name in ["dasher", "incoming_mail"] {
        let plan = load(name, &overrides, &home.env).unwrap();
        assert!(plan.ssh.is_none());
        assert_eq!(plan.target.clients, overrides.clients);
        let given = plan.target.identifiers.iter().filter(|i| i.label == "identifier").count();
        assert_eq!(given, if name == "dasher" { 1 } else { 2 });
    }
    let short = Overrides { identifiers: vec!["x".into()], ..Overrides::default() };
    let (said, _) = refused(load("dasher", &short, &home.env));
    assert!(said.starts_with("command line: --identifier"), "{said}");
    let open = Overrides { gateway_ports: Some(true), ..Overrides::default() };
    let plan = load("incoming_mail", &open, &home.env).unwrap();
    assert_eq!(plan.ssh.unwrap().forwards[0].listen.to_string(), "0.0.0.0:2003");
}

#[test]
fn a_manifest_holds_a_target_for_recordings() {
    let env = Environment::default();
    let text = "capture = \"x.pcap\"\nverdict = \"fail\"\ntarget = { gateway = \"10.77.0.20\", service = [\n  { name = \"dnd\", kind = \"dnd\", host = \"10.77.1.30\", port = 902 },\n] }\n";
    let plan = parse_target_value(text, Path::new("captures/x.toml"), "x", &env).unwrap();
    assert!(plan.ssh.is_none());
    assert_eq!(plan.origin, "captures/x.toml:3 [target]");
    assert_eq!(plan.target.services[0].addresses.len(), 1);
    assert_eq!(plan.target.gateway_addresses.len(), 1);
    let jump = text.replace("gateway = ", "proxy_jump = \"outer\", gateway = ");
    let plan = parse_target_value(&jump, Path::new("captures/x.toml"), "x", &env).unwrap();
    assert_eq!(plan.target.gateway_host.as_deref(), Some("outer"));
    let bad = text.replace("902", "0");
    let (said, _) = refused(parse_target_value(&bad, Path::new("captures/x.toml"), "x", &env));
    assert!(said.starts_with("captures/x.toml:4: target.service.port = \"0\""), "{said}");
    let (said, _) =
        refused(parse_target_value("capture = \"x\"\n", Path::new("m.toml"), "x", &env));
    assert!(said.contains("the manifest has no \"target\""), "{said}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_target_file_panic(text in "(?s).{0,200}") {
        let _ = parse_target_value(&text, Path::new("m.toml"), "x", &Environment::default());
    }

    #[test]
    fn no_values_make_the_target_file_panic(
        gateway in "(?s)[a-z@:\\[\\].0-9% ]{0,20}", host in "[a-z:.\\[\\]*0-9 ]{0,20}", port in proptest::num::i64::ANY,
        listen in "[a-z:.\\[\\]*0-9]{0,20}", jump in "[a-z:.,@\\[\\]0-9]{0,20}",
    ) {
        let text = format!("[target]\ngateway = {gateway:?}\nproxy_jump = {jump:?}\n[[target.service]]\nname = \"s\"\nkind = \"dns\"\nproto = \"tcp\"\nhost = {host:?}\nport = {port}\nlisten = {listen:?}\n");
        let _ = parse_target_value(&text, Path::new("m.toml"), "x", &Environment::default());
    }
}
