//! What is refused, and how.

use super::{HEAD, SERVICE, refused, toml};

#[test]
#[expect(clippy::too_many_lines, reason = "one row a refusal")]
fn every_refusal_names_file_line_value_and_remedy() {
    let service = |lines: &str| {
        format!("{HEAD}[[target.t.service]]\nname = \"s\"\nkind = \"pop3\"\nhost = \"m\"\n{lines}")
    };
    let second = |lines: &str| {
        format!(
            "{HEAD}{SERVICE}[[target.t.service]]\nname = \"s2\"\nkind = \"imap\"\nhost = \"m\"\n{lines}"
        )
    };
    let exempt = |lines: &str| {
        format!("{HEAD}{SERVICE}[[target.t.exempt]]\nname = \"e\"\nhost = \"n\"\n{lines}")
    };
    let head = |lines: &str| format!("[target.t]\n{lines}\n{SERVICE}");
    let cases: Vec<(String, &str, &str)> = vec![
        (
            head("gateway = \"u@g\"\ngatway_adress = []"),
            ":3: unknown key \"gatway_adress\" in [target.t]",
            "did you mean \"gateway_address\"?",
        ),
        ("[targt.t]\n".into(), ":1: unknown key \"targt\" in the file", "did you mean \"target\"?"),
        ("[target.t\n".into(), ":1: not TOML:", "target init"),
        (head("gateway = \"u@g\"\nclient = \"10.0.0.1"), ":3: not TOML:", "docs/target.md"),
        (
            "[target]\nt = 1\n".into(),
            ":2: target.t is a whole number, needed: a table",
            "docs/target.md",
        ),
        (
            head("gateway = 1"),
            ":2: target.t.gateway is a whole number, needed: a text",
            "gateway = \"...\"",
        ),
        (head("gateway = \"\""), ":2: target.t.gateway = \"\": empty", "give a value"),
        (
            head("gateway = \"u@g:0\""),
            ":2: target.t.gateway = \"u@g:0\": not [user@]host[:port]",
            "user@host:2222",
        ),
        (head("gateway = \"u@a b\""), "not [user@]host[:port]", "user@host"),
        (
            head("gateway = \"g\""),
            ":2: target.t.gateway = \"g\" names no user",
            "gateway = \"user@g\"",
        ),
        (
            head(""),
            ":1: target.t has no \"gateway\", but tunnel = \"builtin\"",
            "tunnel = \"none\"",
        ),
        (head("tunnel = \"external\""), "tunnel = \"external\" goes through one", "add gateway"),
        (
            head("gateway = \"u@g\"\ntunnel = \"vpn\""),
            ":3: target.t.tunnel = \"vpn\": no such choice",
            "\"builtin\", \"external\", \"none\"",
        ),
        (
            head("gateway = \"u@g\"\nvantage = \"lo\""),
            ":3: target.t.vantage = \"lo\"",
            "\"wire\", \"any\"",
        ),
        (
            head("gateway = \"u@g\"\nclient = [\n\"10.0.0.1\",\n\"laptop\"]"),
            ":5: target.t.client = \"laptop\": not an IP address",
            "192.0.2.10",
        ),
        (
            head("gateway = \"u@g\"\ngateway_address = \"0.0.0.0\""),
            ":3: target.t.gateway_address = \"0.0.0.0\"",
            "address",
        ),
        (
            head("gateway = \"u@g\"\nproxy_jump = \"a,,b\""),
            ":3: target.t.proxy_jump = \"a,,b\"",
            "user@bastion",
        ),
        (
            head("gateway = \"u@g\"\nkeepalive = \"soon\""),
            ":3: target.t.keepalive = \"soon\": not a time",
            "keepalive = 30",
        ),
        (
            head("gateway = \"u@g\"\nkeepalive = true"),
            ":3: target.t.keepalive is true or false",
            "keepalive = 30",
        ),
        (
            head("gateway = \"u@g\"\ngateway_ports = 1"),
            ":3: target.t.gateway_ports is a whole number",
            "gateway_ports = true",
        ),
        (
            head("gateway = \"u@g\"\nidentity_file = \"~mallory/id\""),
            ":3: target.t.identity_file = \"~mallory/id\"",
            "in full",
        ),
        (
            head("gateway = \"u@g\"\nidentity_file = \"\""),
            ":3: target.t.identity_file = \"\": empty",
            "give a value",
        ),
        (service("port = 0\n"), ":7: target.t.service.port = \"0\": not a port", "1 to 65535"),
        (
            service("port = 65536\n"),
            ":7: target.t.service.port = \"65536\": not a port",
            "1 to 65535",
        ),
        (service("port = 99999999999999999999\n"), ":7:", "o"),
        (service("port = -1\n"), "target.t.service.port = \"-1\"", "1 to 65535"),
        (
            service("port = \"110\"\n"),
            ":7: target.t.service.port is a text, needed: a number",
            "without quotes",
        ),
        (service(""), ":3: target.t.service has no \"port\"", "port = 110"),
        (
            service("port = 110\nlisten = \"mail:110\"\n"),
            ":8: target.t.service.listen = \"mail:110\"",
            "127.0.0.1:2003",
        ),
        (
            service("port = 110\nlisten = \"127.0.0.1:0\"\n"),
            ":8: target.t.service.listen",
            "1 to 65535",
        ),
        (
            service("port = 110\naddress = [\"m\"]\n"),
            ":8: target.t.service.address = \"m\"",
            "not resolved",
        ),
        (
            service("port = 110\nproto = \"sctp\"\n"),
            ":8: target.t.service.proto",
            "\"tcp\", \"udp\"",
        ),
        (
            service("port = 110\nproto = \"udp\"\nlisten = \"127.0.0.1:110\"\n"),
            ":9: target.t.service.listen = \"127.0.0.1:110\": ssh forwards TCP alone",
            "switch the client's UDP part off",
        ),
        (
            service("port = 110\naliases = [\"a b\"]\n"),
            ":8: target.t.service.aliases = \"a b\"",
            "name such as",
        ),
        (
            service("port = 110\n").replace("\"m\"", "\"\""),
            ":6: target.t.service.host = \"\": empty",
            "give a value",
        ),
        (
            service("port = 110\n").replace("\"m\"", "\"m:110\""),
            ":6: target.t.service.host = \"m:110\": a host with a port",
            "port = 110",
        ),
        (
            service("port = 110\n").replace("pop3", "pop4"),
            ":5: target.t.service.kind = \"pop4\": no such kind",
            "did you mean kind = \"pop3\"? The kinds are blitzmail",
        ),
        (
            service("port = 110\n").replace("pop3", "imaps"),
            ":5: target.t.service.kind = \"imaps\"",
            "kind = \"tls\"",
        ),
        (service("port = 110\n").replace("pop3", "qqqqqq"), ":5:", "kind = \"generic\""),
        (
            second("port = 143\nlisten = \"127.0.0.1:110\"\n")
                .replace("port = 110\n", "port = 110\nlisten = \"*:110\"\n"),
            ":14: target.t.service.listen = \"127.0.0.1:110\" is the mouth of service \"s\" (line 8) already",
            "127.0.0.2",
        ),
        (
            second("port = 143\n").replace("\"s2\"", "\"s\""),
            ":9: target.t.service.name = \"s\" stands in line 4 already",
            "another name",
        ),
        (exempt("port = 80\n"), ":8: target.t.exempt has no \"reason\"", "reason ="),
        (
            exempt("port = 80\nreason = \" \"\n"),
            ":12: target.t.exempt.reason = \" \": empty",
            "give a value",
        ),
        (exempt("port = 0\nreason = \"r\"\n"), ":11: target.t.exempt.port", "1 to 65535"),
        (
            exempt(
                "reason = \"r\"\n[[target.t.exempt]]\nname = \"e\"\nhost = \"x\"\nreason = \"r\"\n",
            ),
            "target.t.exempt.name = \"e\" stands in line 9 already",
            "another name",
        ),
        (
            format!("{HEAD}{SERVICE}[target.t.identifiers]\nusername = [\"ok\",\n\"x\"]\n"),
            ":10: target.t.identifiers.username = \"(1 characters)\"",
            "longer text",
        ),
        (
            format!("{HEAD}{SERVICE}[target.t.identifiers]\nusername = 5\n"),
            ":9: target.t.identifiers.username is a whole number",
            "[\"...\"",
        ),
        (
            "[target.t]\ntunnel = \"none\"\n".into(),
            ":1: target.t has no service",
            "[[target.t.service]]",
        ),
    ];
    for (text, message, remedy) in cases {
        let (said, advice) = refused(toml(&text));
        assert!(said.starts_with("tunnelcheck.toml:"), "{said}");
        assert!(said.contains(message), "wanted {message:?} in {said:?} for\n{text}");
        assert!(advice.contains(remedy), "wanted {remedy:?} in {advice:?} for\n{text}");
    }
}
