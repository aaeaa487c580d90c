//! Values of ssh_config: ports, times, forwards, jump hosts, tokens.

use crate::target::error::SshFault;
use std::net::Ipv6Addr;
use std::time::Duration;

/// Names of ports that ssh_config may use (IANA service names); one table on every system.
const PORT_NAMES: &[(&str, u16)] = &[
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop2", 109),
    ("pop3", 110),
    ("pop-3", 110),
    ("sunrpc", 111),
    ("nntp", 119),
    ("ntp", 123),
    ("imap2", 143),
    ("imap", 143),
    ("snmp", 161),
    ("irc", 194),
    ("imap3", 220),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("smtps", 465),
    ("ssmtp", 465),
    ("nntps", 563),
    ("submission", 587),
    ("ipp", 631),
    ("ldaps", 636),
    ("rsync", 873),
    ("ftps", 990),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
    ("openvpn", 1194),
    ("nfs", 2049),
    ("svn", 3690),
    ("mysql", 3306),
    ("postgresql", 5432),
    ("postgres", 5432),
    ("amqp", 5672),
    ("x11", 6000),
    ("redis", 6379),
    ("http-alt", 8080),
    ("webcache", 8080),
    ("git", 9418),
];

/// A number from 0 to 65535, or a name.
pub(crate) fn port(text: &str) -> Option<u16> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    PORT_NAMES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port)
}

/// As ssh's `TIME FORMATS`: `90`, `1m30s`, `2h`; zero for `none`.
pub(crate) fn time(text: &str) -> Option<Duration> {
    if text == "none" {
        return Some(Duration::ZERO);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let mut tail = tail.chars();
        let unit: u64 = match tail.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 3600,
            Some('d' | 'D') => 86_400,
            Some('w' | 'W') => 604_800,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = tail.as_str();
    }
    // ssh keeps times in an int.
    (total <= u64::from(i32::MAX.unsigned_abs())).then_some(Duration::from_secs(total))
}

/// `[user@]host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// User, where one is named.
    pub(crate) user: Option<String>,
    /// Host, without brackets.
    pub(crate) host: String,
    /// Port, where one is named; never 0.
    pub(crate) port: Option<u16>,
}

/// Reads `[user@]host[:port]`, `[user@][v6]:port`, `ssh://` in front of either, or a bare IPv6 address.
pub(crate) fn login(text: &str) -> Option<Login> {
    let uri = text.strip_prefix("ssh://");
    let text = uri.map_or(text, |uri| uri.strip_suffix('/').unwrap_or(uri));
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, text),
    };
    if user.as_deref().is_some_and(str::is_empty) {
        return None;
    }
    let (host, port_text) = if let Some(bracketed) = rest.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        match rest.strip_prefix(':') {
            Some(port_text) => (host, Some(port_text)),
            None if rest.is_empty() => (host, None),
            None => return None,
        }
    } else if rest.parse::<Ipv6Addr>().is_ok() {
        (rest, None)
    } else {
        match rest.split_once(':') {
            Some((host, port_text)) => (host, Some(port_text)),
            None => (rest, None),
        }
    };
    let port = match port_text {
        Some(text) => Some(port(text).filter(|port| *port != 0)?),
        None => None,
    };
    let sound = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    sound.then(|| Login { user, host: host.to_owned(), port })
}

/// A list of jump hosts, first to connect to first; empty for `none`.
pub(crate) fn jumps(text: &str) -> Option<Vec<Login>> {
    let text = text.split('#').next().unwrap_or_default().trim_end();
    if text.eq_ignore_ascii_case("none") {
        return Some(Vec::new());
    }
    text.split(',').map(login).collect()
}

/// One `LocalForward`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    /// Address of the mouth: none if not written, empty or `*` for every address.
    pub(crate) listen_host: Option<String>,
    /// Port of the mouth.
    pub(crate) listen_port: u16,
    /// Where the gateway connects to.
    pub(crate) host: String,
    /// Port there.
    pub(crate) port: u16,
}

/// Reads mouth and target of a `LocalForward`, as OpenSSH's parse_forward does with both joined by a colon.
///
/// # Errors
/// `Forward`, or `UnixSocket` where either end is a path.
pub(super) fn forward(mouth: &str, target: &str) -> Result<Forward, SshFault> {
    let spec = format!("{mouth}:{target}");
    let mut fields = Vec::new();
    let mut rest = Some(spec.trim_start());
    while let Some(text) = rest.filter(|text| !text.is_empty()) {
        if fields.len() == 4 {
            return Err(SshFault::Forward);
        }
        let (field, tail) = forward_field(text).ok_or(SshFault::Forward)?;
        fields.push(field);
        rest = tail;
    }
    if fields.iter().any(|(_, is_path)| *is_path) {
        return Err(SshFault::UnixSocket);
    }
    let fields: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
    let (listen_host, listen_port, host, target_port) = match *fields.as_slice() {
        [listen_port, host, port] => (None, listen_port, host, port),
        [listen_host, listen_port, host, port] => {
            (Some(listen_host.to_owned()), listen_port, host, port)
        }
        _ => return Err(SshFault::Forward),
    };
    let nonzero = |text: &str| port(text).filter(|port| *port != 0).ok_or(SshFault::Forward);
    Ok(Forward {
        listen_host,
        listen_port: nonzero(listen_port)?,
        host: host.to_owned(),
        port: nonzero(target_port)?,
    })
}

/// The next field of a forward, whether it is a path, and what follows its colon.
fn forward_field(text: &str) -> Option<((String, bool), Option<&str>)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (field, rest) = bracketed.split_once(']')?;
        let rest = match rest.strip_prefix(':') {
            Some(rest) => Some(rest),
            None if rest.is_empty() => None,
            None => return None,
        };
        return Some(((field.to_owned(), field.contains('/')), rest));
    }
    let mut field = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => field.push(chars.next()?),
            ':' => {
                let is_path = field.contains('/');
                return Some(((field, is_path), Some(chars.as_str())));
            }
            _ => field.push(c),
        }
    }
    let is_path = field.contains('/');
    Some(((field, is_path), None))
}

/// Puts values in the place of `%` tokens; `%%` is a percent sign.
///
/// # Errors
/// `Token` for one that is not in `tokens`.
pub(crate) fn expand_tokens(text: &str, tokens: &[(char, &str)]) -> Result<String, SshFault> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let token = chars.next().unwrap_or(' ');
        if token == '%' {
            out.push('%');
        } else {
            let (_, value) =
                tokens.iter().find(|(name, _)| *name == token).ok_or(SshFault::Token(token))?;
            out.push_str(value);
        }
    }
    Ok(out)
}

/// Puts environment variables in the place of `${NAME}`.
///
/// # Errors
/// `Variable` for one that is not set.
pub(crate) fn expand_variables(
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<String, SshFault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (name, tail) =
            after.split_once('}').ok_or_else(|| SshFault::Variable(after.to_owned()))?;
        out.push_str(&lookup(name).ok_or_else(|| SshFault::Variable(name.to_owned()))?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_ssh_writes_them() {
        assert_eq!(time("90"), Some(Duration::from_secs(90)));
        assert_eq!(time("1m30"), Some(Duration::from_secs(90)));
        assert_eq!(time("1h2m3s"), Some(Duration::from_secs(3723)));
        assert_eq!(time("none"), Some(Duration::ZERO));
        for bad in ["", "m", "1x", "-1", "99999999999999999999", "3000000000"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn logins_with_user_port_and_brackets() {
        let want = |user: Option<&str>, host: &str, port| {
            Some(Login { user: user.map(str::to_owned), host: host.to_owned(), port })
        };
        assert_eq!(login("jsmith@nimbus:2222"), want(Some("jsmith"), "nimbus", Some(2222)));
        assert_eq!(login("a@b@[2001:db8::1]:22"), want(Some("a@b"), "2001:db8::1", Some(22)));
        assert_eq!(login("[::1]"), want(None, "::1", None));
        assert_eq!(login("2001:db8::1"), want(None, "2001:db8::1", None));
        assert_eq!(login("ssh://u@h:22/"), want(Some("u"), "h", Some(22)));
        for bad in ["", "@h", "u@", "h:0", "h:", "h:x y", "[::1", "[::1]x", "h/80", "h:70000"] {
            assert_eq!(login(bad), None, "{bad}");
        }
    }

    #[test]
    fn forwards_in_every_form() {
        let want = |listen_host: Option<&str>, listen_port, host: &str, port| {
            Ok(Forward {
                listen_host: listen_host.map(str::to_owned),
                listen_port,
                host: host.to_owned(),
                port,
            })
        };
        assert_eq!(forward("2003", "localhost:110"), want(None, 2003, "localhost", 110));
        assert_eq!(
            forward("127.0.0.1:2003", "host:pop3"),
            want(Some("127.0.0.1"), 2003, "host", 110)
        );
        assert_eq!(
            forward("[::1]:2003", "[2001:db8::1]:110"),
            want(Some("::1"), 2003, "2001:db8::1", 110)
        );
        assert_eq!(forward("*:81", "h:82"), want(Some("*"), 81, "h", 82));
        assert_eq!(forward(":81", "h:82"), want(Some(""), 81, "h", 82));
        assert_eq!(forward("8080", "host/80"), Err(SshFault::UnixSocket));
        assert_eq!(forward("/tmp/a", "host:80"), Err(SshFault::UnixSocket));
        for (mouth, target) in
            [("0", "a:1"), ("1", "a:0"), ("1", "a"), ("x", "a:1"), ("1:2:3", "a:1"), ("1", "[a:1")]
        {
            assert_eq!(forward(mouth, target), Err(SshFault::Forward), "{mouth} {target}");
        }
    }

    #[test]
    fn jump_lists_lose_their_comment() {
        assert_eq!(jumps("a,b@c:99 # outer first").unwrap().len(), 2);
        assert_eq!(jumps("none"), Some(Vec::new()));
        assert_eq!(jumps("a,,b"), None);
    }

    #[test]
    fn tokens_and_variables() {
        assert_eq!(expand_tokens("%h.x%%", &[('h', "mail")]).unwrap(), "mail.x%");
        assert_eq!(expand_tokens("%Q", &[]), Err(SshFault::Token('Q')));
        let lookup = |name: &str| (name == "A").then(|| "b".to_owned());
        assert_eq!(expand_variables("x${A}y", lookup).unwrap(), "xby");
        assert!(expand_variables("${B}", lookup).is_err());
        assert!(expand_variables("${B", lookup).is_err());
    }
}
