//! What can be wrong with a target, where, and what to do about it.

use std::fmt;

/// A line of a file, as it is shown: `tunnelcheck.toml:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as a person writes it: `~/.ssh/config`.
    pub file: String,
    /// 1-based; 0: the file as a whole.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A file that was named, or that exists, cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is longer than any configuration.
    #[error("{file} is longer than {limit_bytes} octets")]
    TooLarge {
        /// The file.
        file: String,
        /// The bound.
        limit_bytes: u64,
    },
    /// Not TOML.
    #[error("{place}: not TOML: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// In the words of the TOML parser.
        message: String,
    },
    /// A key that no target has.
    #[error("{place}: unknown key {key:?} in {table}")]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The table that holds it.
        table: String,
        /// The one that was perhaps meant.
        suggestion: Option<String>,
        /// The keys of that table.
        known: &'static [&'static str],
    },
    /// A key that is needed.
    #[error("{place}: {table} has no {key:?}")]
    MissingKey {
        /// The table's line.
        place: Place,
        /// The table.
        table: String,
        /// The key.
        key: &'static str,
        /// The line to add.
        example: &'static str,
    },
    /// A value of another type.
    #[error("{place}: {key} is {got}, needed: {wanted}")]
    WrongType {
        /// Where.
        place: Place,
        /// The key with its tables.
        key: String,
        /// The type that is needed.
        wanted: &'static str,
        /// The type that was found.
        got: &'static str,
    },
    /// A value that means nothing.
    #[error("{place}: {key} = {value:?}: {fault}")]
    BadValue {
        /// Where.
        place: Place,
        /// The key with its tables.
        key: String,
        /// The value; for an identifier its label alone.
        value: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The same name twice.
    #[error("{place}: {key} = {value:?} stands in line {first_line} already")]
    Duplicate {
        /// Where.
        place: Place,
        /// The key with its tables.
        key: String,
        /// The name.
        value: String,
        /// Line where it was first.
        first_line: usize,
    },
    /// Two services on one mouth.
    #[error(
        "{place}: {key} = {value:?} is the mouth of service {other:?} (line {first_line}) already"
    )]
    SameMouth {
        /// Where.
        place: Place,
        /// The key with its tables, or the keyword of ssh_config.
        key: String,
        /// The mouth.
        value: String,
        /// The service that has it.
        other: String,
        /// Line where that one says so.
        first_line: usize,
    },
    /// Nobody says whom to log in as.
    #[error("{place}: {key} = {value:?} names no user")]
    MissingUser {
        /// Where.
        place: Place,
        /// The key with its tables.
        key: String,
        /// The host without a user.
        value: String,
    },
    /// `tunnel = "builtin"` or `"external"` without a gateway.
    #[error("{place}: {table} has no \"gateway\", but tunnel = {tunnel:?} goes through one")]
    MissingGateway {
        /// The table's line.
        place: Place,
        /// The table.
        table: String,
        /// The mode.
        tunnel: &'static str,
    },
    /// `tunnel = "none"` without a service.
    #[error("{place}: {table} has no service, so there is nothing to be proven encrypted")]
    NoServices {
        /// The table's line.
        place: Place,
        /// The table.
        table: String,
    },
    /// A line of ssh_config that ssh refuses, or that tunnelcheck cannot follow.
    #[error("{place}: {keyword}{}: {fault}", shown_value(value))]
    SshConfig {
        /// Where.
        place: Place,
        /// The keyword as written.
        keyword: String,
        /// Its arguments as written.
        value: String,
        /// What is wrong.
        fault: SshFault,
    },
    /// Jump hosts that lead to one another, or more than are followed.
    #[error("{origin}: the jump hosts of {host:?} lead back to it, or are more than {limit}")]
    JumpLoop {
        /// Where the first one was named.
        origin: String,
        /// The host met again.
        host: String,
        /// The bound.
        limit: usize,
    },
    /// Neither a target of a target file nor a Host of ssh_config.
    #[error("no target {name:?}: {}", shown_known(known, searched))]
    UnknownTarget {
        /// What was asked for.
        name: String,
        /// The targets that there are.
        known: Vec<String>,
        /// The one that was perhaps meant.
        suggestion: Option<String>,
        /// The files that were looked into.
        searched: Vec<String>,
    },
}

fn shown_value(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(" {value:?}") }
}

/// Targets that a message names.
const MAX_SHOWN: usize = 20;

fn shown_known(known: &[String], searched: &[String]) -> String {
    let files = if searched.is_empty() { "no target file".to_owned() } else { searched.join(", ") };
    let shown: Vec<&str> = known.iter().take(MAX_SHOWN).map(String::as_str).collect();
    let more = known.len().saturating_sub(MAX_SHOWN);
    match (shown.as_slice(), more) {
        ([], _) => format!("there are none (looked into {files})"),
        (_, 0) => format!("known are {} (looked into {files})", shown.join(", ")),
        _ => format!("known are {} and {more} more (looked into {files})", shown.join(", ")),
    }
}

/// What is wrong with a value of the target file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing in it.
    Empty,
    /// Not a port.
    Port,
    /// Not an address.
    Address,
    /// Not a name or an address of a host.
    Host,
    /// A host with a port behind it.
    HostWithPort,
    /// Not `[user@]host[:port]`.
    Gateway,
    /// Not `[user@]host[:port]`, several with commas.
    Jump,
    /// Not a mouth.
    Listen,
    /// No dialect has that name.
    Kind {
        /// The one that was perhaps meant.
        suggestion: Option<String>,
    },
    /// None of the words allowed.
    OneOf(&'static [&'static str]),
    /// Not a time.
    Time,
    /// `~user` of somebody else, or no home folder.
    Tilde,
    /// An identifier of a single character.
    ShortIdentifier,
    /// A forward for UDP.
    UdpForward,
    /// A control character in a name.
    Name,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Port => "not a port",
            Self::Address => "not an IP address",
            Self::Host => "not the name or the address of a host",
            Self::HostWithPort => "a host with a port behind it",
            Self::Gateway => "not [user@]host[:port]",
            Self::Jump => "not [user@]host[:port], nor several of them with commas between",
            Self::Listen => "not the mouth of a forward",
            Self::Kind { .. } => "no such kind of service",
            Self::OneOf(_) => "no such choice",
            Self::Time => "not a time",
            Self::Tilde => "that home folder is not known",
            Self::ShortIdentifier => {
                "an identifier of fewer than 2 characters is found in any traffic"
            }
            Self::UdpForward => "ssh forwards TCP alone, and this service speaks UDP",
            Self::Name => "a control character in a name",
        })
    }
}

impl Fault {
    fn remedy(&self) -> String {
        match self {
            Self::Empty => "give a value, or take the key out".to_owned(),
            Self::Port => "a port is a number from 1 to 65535, without quotes".to_owned(),
            Self::Address => "give an address such as \"192.0.2.10\" or \"2001:db8::10\"; names are not resolved here".to_owned(),
            Self::Host => "give a name such as \"mail.example.net\" or an address; no blanks, no user, no path".to_owned(),
            Self::HostWithPort => "put the port under its own key: port = 110".to_owned(),
            Self::Gateway => "write gateway = \"user@host\", \"user@host:2222\" or \"user@[2001:db8::1]:2222\"".to_owned(),
            Self::Jump => "write proxy_jump = \"user@bastion:22\" or \"user@outer,user@inner\", or \"none\"".to_owned(),
            Self::Listen => "write listen = \"127.0.0.1:2003\", \"[::1]:2003\" or \"*:2003\" (every address, as with ssh -g)".to_owned(),
            Self::Kind { suggestion } => {
                let all = super::plan::SERVICE_KINDS.join(", ");
                match suggestion {
                    Some(word) => format!("did you mean kind = {word:?}? The kinds are {all}"),
                    None => format!("use kind = \"generic\", or one of {all}"),
                }
            }
            Self::OneOf(words) => format!("use one of {}", words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")),
            Self::Time => "give seconds, keepalive = 30, or a time as ssh writes it, keepalive = \"1m30s\"".to_owned(),
            Self::Tilde => "write the path in full, or with ~/ for your own home folder".to_owned(),
            Self::ShortIdentifier => "take a longer text: the full name, an address, a folder name".to_owned(),
            Self::UdpForward => "take `listen` out; switch the client's UDP part off, or tunnel it with a VPN (tunnel = \"external\")".to_owned(),
            Self::Name => "use printable characters".to_owned(),
        }
    }
}

/// What is wrong with a line of ssh_config.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SshFault {
    /// No argument at all, or a comment in its place.
    MissingArgument,
    /// `LocalForward` with a mouth alone.
    MissingForwardTarget,
    /// More than the keyword takes.
    ExtraArguments,
    /// A quote without an end.
    Quotes,
    /// No keyword of ssh_config.
    UnknownKeyword {
        /// The one that was perhaps meant.
        suggestion: Option<String>,
    },
    /// Not a port.
    Port,
    /// Neither yes nor no, or none of the words allowed.
    Choice(&'static [&'static str]),
    /// Not a time.
    Time,
    /// Not a number.
    Number,
    /// Not a forward.
    Forward,
    /// A forward from or to a Unix socket.
    UnixSocket,
    /// The mouth is a name.
    MouthName,
    /// Not a list of jump hosts.
    Jump,
    /// Not a condition.
    Match,
    /// A token that does not exist here.
    Token(char),
    /// A variable that is not set.
    Variable(String),
    /// `none` beside other files.
    NoneAlone,
    /// Include in Include, too deep.
    TooDeep,
    /// More files than are followed.
    TooManyFiles,
    /// The file cannot be read.
    Unreadable,
    /// `~` where it is not allowed or not known.
    Tilde,
    /// The gateway is reached by a command.
    ProxyCommand,
    /// Not a host name.
    Host,
    /// Not an address.
    Address,
}

impl fmt::Display for SshFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingArgument => f.write_str("missing argument"),
            Self::MissingForwardTarget => f.write_str("missing target of the forward"),
            Self::ExtraArguments => f.write_str("extra arguments at the end of the line"),
            Self::Quotes => f.write_str("a quote without its end"),
            Self::UnknownKeyword { .. } => f.write_str("no keyword of ssh_config"),
            Self::Port => f.write_str("not a port"),
            Self::Choice(_) => f.write_str("no such choice"),
            Self::Time => f.write_str("not a time"),
            Self::Number => f.write_str("not a number"),
            Self::Forward => f.write_str("not a forward"),
            Self::UnixSocket => f.write_str("a Unix socket (or the old form host/port), which never is on a wire"),
            Self::MouthName => f.write_str("the mouth is a name, and names are not resolved here"),
            Self::Jump => f.write_str("not [user@]host[:port], nor several of them with commas between"),
            Self::Match => f.write_str("not a condition that ssh knows"),
            Self::Token(token) => write!(f, "token %{token} is not known here"),
            Self::Variable(name) => write!(f, "environment variable {name:?} is not set"),
            Self::NoneAlone => f.write_str("\"none\" must stand alone"),
            Self::TooDeep => f.write_str("Include within Include, deeper than ssh follows"),
            Self::TooManyFiles => f.write_str("more included files than are followed"),
            Self::Unreadable => f.write_str("the file cannot be read"),
            Self::Tilde => f.write_str("that home folder is not known"),
            Self::ProxyCommand => f.write_str("a gateway behind a command cannot be reached: commands of ssh_config are never run"),
            Self::Host => f.write_str("not the name or the address of a host"),
            Self::Address => f.write_str("not an IP address"),
        }
    }
}

impl SshFault {
    fn remedy(&self, keyword: &str) -> String {
        match self {
            Self::MissingArgument => format!(
                "give {keyword} a value in front of any comment, or take the line out (without HostName the alias itself is the host)"
            ),
            Self::MissingForwardTarget | Self::Forward => {
                "write LocalForward 2003 localhost:110, with the mouth's own address in front where it has one: 127.0.0.1:2003".to_owned()
            }
            Self::ExtraArguments => format!("{keyword} takes one argument: quote it, or put a # in front of the comment"),
            Self::Quotes => "close the quote".to_owned(),
            Self::UnknownKeyword { suggestion: Some(word) } => {
                format!("did you mean {word}? ssh refuses this line, too, unless an IgnoreUnknown line in front of it names it")
            }
            Self::UnknownKeyword { suggestion: None } => {
                format!("ssh refuses this line, too: mend it, or put IgnoreUnknown {keyword} in front of it")
            }
            Self::Port => "a port is a number from 1 to 65535, or a common service name".to_owned(),
            Self::Choice(words) => format!("use one of {}", words.join(", ")),
            Self::Time => "write seconds, or a time such as 1m30s".to_owned(),
            Self::Number => "write a whole number".to_owned(),
            Self::UnixSocket => "forward to host:port, or move the line to another Host block, or describe the services in a target file (tunnelcheck target init generic)".to_owned(),
            Self::MouthName => "give the mouth's address: 127.0.0.1:2003, [::1]:2003 or *:2003".to_owned(),
            Self::Jump => "write ProxyJump user@bastion:22, several with commas, or none".to_owned(),
            Self::Match => "mend the Match line; ssh refuses it, too".to_owned(),
            Self::Token(_) => "write the value in its place, or %% for a percent sign".to_owned(),
            Self::Variable(name) => format!("set {name}, or write the value in its place"),
            Self::NoneAlone => "leave \"none\" alone, or take it out".to_owned(),
            Self::TooDeep | Self::TooManyFiles => "look for an Include that includes itself".to_owned(),
            Self::Unreadable => "mend its permissions, or take the Include out".to_owned(),
            Self::Tilde => "write the path in full, or with ~/ for your own home folder".to_owned(),
            Self::ProxyCommand => "use ProxyJump, or bring the tunnel up yourself with ssh and use --tunnel external".to_owned(),
            Self::Host => "give a name such as mail.example.net, or an address".to_owned(),
            Self::Address => "give an address: names are not resolved here".to_owned(),
        }
    }
}

impl TargetError {
    /// What the user can do.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => "check the path and its permissions, or name another file with --config or --ssh-config; `tunnelcheck target init generic` writes a target file to begin with".to_owned(),
            Self::TooLarge { .. } => "name a target file with --config; a capture is given with -r".to_owned(),
            Self::Syntax { .. } => "mend the line; docs/target.md shows every key, `tunnelcheck target init generic` writes a file to begin with".to_owned(),
            Self::UnknownKey { suggestion: Some(word), known, .. } => {
                format!("did you mean {word:?}? The keys here are {}", known.join(", "))
            }
            Self::UnknownKey { suggestion: None, known, .. } => format!("the keys here are {}", known.join(", ")),
            Self::MissingKey { example, .. } => format!("add {example}"),
            Self::WrongType { key, wanted, .. } => {
                let name = key.rsplit('.').next().unwrap_or(key);
                format!("write {name} = {}", match *wanted {
                    "a number" => "110, without quotes",
                    "true or false" => "true",
                    "a text" => "\"...\"",
                    "a text or a list of texts" => "[\"...\", \"...\"]",
                    "a number or a text" => "30",
                    _ => "[...] as docs/target.md shows it",
                })
            }
            Self::BadValue { fault, .. } => fault.remedy(),
            Self::Duplicate { .. } => "give one of them another name".to_owned(),
            Self::SameMouth { .. } => {
                "give one of them another port, or a loopback address of its own: 127.0.0.2 (and an alias for its clients in the hosts file)".to_owned()
            }
            Self::MissingUser { key, value, .. } => {
                let name = key.rsplit('.').next().unwrap_or(key);
                format!("write {name} = \"user@{value}\", or give it a User in ~/.ssh/config")
            }
            Self::MissingGateway { .. } => {
                "add gateway = \"user@host\", or say tunnel = \"none\" where the services themselves are to be encrypted".to_owned()
            }
            Self::NoServices { table, .. } => format!("add [[{table}.service]] with name, kind, host and port"),
            Self::SshConfig { fault, keyword, .. } => fault.remedy(keyword),
            Self::JumpLoop { host, .. } => {
                format!("give the jump host a block of its own in front of the one that matches every host: Host {host}, with ProxyJump none")
            }
            Self::UnknownTarget { suggestion: Some(word), .. } => {
                format!("did you mean {word:?}? `tunnelcheck target list` shows them all")
            }
            Self::UnknownTarget { .. } => {
                "`tunnelcheck target init pop3` writes a target file to begin with; a Host of ~/.ssh/config is a target, too; under sudo \"~\" is root's: name the file with --config or --ssh-config".to_owned()
            }
        })
    }
}
