//! Host blocks of ssh_config as targets.

use super::*;

#[test]
fn the_article_block_is_a_target_as_it_stands() {
    let home = Home::new(&[(".ssh/config", PAPER)]);
    let plan = home.load("incoming_mail").unwrap();
    assert_eq!(plan.origin, ".ssh/config:1 Host incoming_mail");
    let ssh = plan.ssh.unwrap();
    assert_eq!((ssh.host.as_str(), ssh.port, ssh.user.as_str()), ("mail.example.net", 22, "chris"));
    assert!(ssh.tcp_keepalive && ssh.keepalive.is_none() && ssh.default_identities);
    let forward = &ssh.forwards[0];
    assert_eq!(
        (forward.listen.to_string().as_str(), forward.host.as_str(), forward.port),
        ("127.0.0.1:2003", "localhost", 110)
    );
    let service = &plan.target.services[0];
    assert_eq!(
        (service.name.as_str(), service.kind.as_str(), service.host.as_str()),
        ("forward-2003", "pop3", "mail.example.net")
    );
    assert_eq!(plan.target.identifiers[0].label, "username");
    assert_eq!(plan.target.identifiers[0].text, "chris");
    assert!(
        plan.warnings.iter().any(|w| w.contains("User \"chris\" is searched as an identifier"))
    );
}

#[test]
fn the_article_block_as_printed_is_refused_with_its_line() {
    let home = Home::new(&[(".ssh/config", PRINTED)]);
    let (said, advice) = refused(home.load("incoming_mail"));
    assert!(
        said.starts_with(".ssh/config:6: HostName") && said.ends_with("missing argument"),
        "{said}"
    );
    assert!(advice.contains("give HostName a value"), "{advice}");
}

#[test]
fn a_block_is_found_by_more_than_a_star() {
    let config = "Host *.lab\nUser u\nHost *\nLocalForward 1 a:1\n";
    let home = Home::new(&[(".ssh/config", config)]);
    assert!(home.load("gw.lab").is_ok());
    let (said, _) = refused(home.load("elsewhere"));
    assert!(said.contains("no target \"elsewhere\""), "{said}");
}

#[test]
fn forwards_that_cannot_be_are_refused_with_their_line() {
    for (line, message, remedy) in [
        ("LocalForward 2003 /run/mail.sock", "Unix socket", "host:port"),
        ("LocalForward mouth:2003 a:1", "names are not resolved", "127.0.0.1:2003"),
        (
            "LocalForward 2003 a_b:1\nLocalForward *:2003 c:2",
            "is the mouth of service \"forward-2003\" (line 3)",
            "127.0.0.2",
        ),
        ("LocalForward 2003 a:1\nProxyCommand nc %h %p", "never run", "ProxyJump"),
        ("LocalForward 2003 a:1\nIdentityFile %Q", "token %Q", "%%"),
        (
            "LocalForward 2003 a:1\nIdentityFile ${NOT_SET}/id",
            "\"NOT_SET\" is not set",
            "set NOT_SET",
        ),
        ("HostName a/b", "not the name", "mail.example.net"),
        ("BindAddress here", "not an IP address", "address"),
    ] {
        let home = Home::new(&[(".ssh/config", &format!("Host h\nUser u2\n{line}\n"))]);
        let (said, advice) = refused(home.load("h"));
        assert!(said.starts_with(".ssh/config:3") || said.starts_with(".ssh/config:4"), "{said}");
        assert!(said.contains(message), "{said}");
        assert!(advice.contains(remedy), "{advice}");
    }
}

#[test]
fn jump_hosts_are_followed_through_ssh_config() {
    let config = "Host inner\nUser i\nProxyJump p@outer:99,middle\nLocalForward 2003 localhost:110\nHost outer\nHostName 192.0.2.7\nProxyJump outermost\nIdentityFile ~/.ssh/outer\nHost middle\nUser m\n ProxyJump ignored\nHost *\nUserKnownHostsFile none\n";
    let plan = Home::new(&[(".ssh/config", config)]).load("inner").unwrap();
    let ssh = plan.ssh.unwrap();
    let hops: Vec<String> = ssh
        .proxy_jump
        .iter()
        .map(|hop| format!("{}@{}:{}", hop.user, hop.host, hop.port))
        .collect();
    assert_eq!(hops, ["login@outermost:22", "p@192.0.2.7:99", "m@middle:22"]);
    assert!(ssh.proxy_jump[1].identity_files[0].ends_with(".ssh/outer"));
    assert!(ssh.known_hosts.is_empty());
    assert_eq!(plan.target.gateway_host.as_deref(), Some("outermost"));
    assert_eq!(plan.target.services[0].host, "inner");

    let circle = "Host a\nUser u2\nHost *\nProxyJump bastion\n";
    let (said, advice) = refused(Home::new(&[(".ssh/config", circle)]).load("a"));
    assert!(said.contains("the jump hosts of \"bastion\" lead back"), "{said}");
    assert!(advice.contains("ProxyJump none"));
}

#[test]
fn a_block_without_a_user_takes_the_login_name_and_says_so() {
    let home = Home::new(&[(".ssh/config", "Host h\nLocalForward 2003 localhost:110\n")]);
    let plan = home.load("h").unwrap();
    assert_eq!(plan.ssh.unwrap().user, "login");
    assert!(plan.warnings.iter().any(|w| w.contains("no User: the login name \"login\" is taken")));
    let mut env = home.env.clone();
    env.user = Some("root".to_owned());
    let plan = load("h", &Overrides::default(), &env).unwrap();
    assert!(plan.target.identifiers.is_empty());
    env.user = None;
    assert!(refused(load("h", &Overrides::default(), &env)).0.contains("names no user"));
}

#[test]
fn the_agent_comes_from_the_environment_or_the_file() {
    let home = Home::new(&[(
        ".ssh/config",
        "Host a\nIdentityAgent none\nHost b\nIdentityAgent $OTHER\nHost c\nIdentityAgent ~/%r.sock\nHost a b c d\nUser uu\n",
    )]);
    let mut env = home.env.clone();
    env.vars.insert("SSH_AUTH_SOCK".into(), "/run/agent".into());
    env.vars.insert("OTHER".into(), "/run/other".into());
    let agent =
        |name: &str| load(name, &Overrides::default(), &env).unwrap().ssh.unwrap().identity_agent;
    assert_eq!(agent("a"), None);
    assert_eq!(agent("b").as_deref(), Some(Path::new("/run/other")));
    assert_eq!(agent("c"), Some(home.dir.path().join("uu.sock")));
    assert_eq!(agent("d").as_deref(), Some(Path::new("/run/agent")));
}
