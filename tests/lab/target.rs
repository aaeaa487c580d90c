//! Target files.

use crate::world::{GATEWAY, MAIL, World};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// `[target.NAME]`, as it grows.
pub(crate) struct TargetFile {
    name: String,
    text: String,
}

impl TargetFile {
    /// A tunnel of our own to the gateway, with the user's key; the host key is known.
    pub(crate) fn builtin(world: &World, name: &str, gateway: &str) -> Self {
        let known = world.at("known_hosts");
        let key = fs::read_to_string(world.at("host_key.pub")).unwrap();
        let hosts = format!("{GATEWAY},{MAIL},fd77::20,nimbus.dartmouth.edu,[{GATEWAY}]:*");
        fs::write(&known, format!("{hosts} {key}")).unwrap();
        let text = format!(
            "[target.{name}]\ngateway = \"{gateway}\"\nidentity_file = \"{}\"\nidentity_agent = \"none\"\n\
             known_hosts = \"{}\"\n",
            world.at("user_key").display(),
            known.display()
        );
        Self { name: name.to_owned(), text }
            .key("client = [\"10.77.0.10\", \"fd77::10\"]")
            .identifiers()
    }

    /// Somebody else's tunnel.
    pub(crate) fn external(name: &str, gateway: &str) -> Self {
        let text = format!("[target.{name}]\ngateway = \"{gateway}\"\ntunnel = \"external\"\n");
        Self { name: name.to_owned(), text }.identifiers()
    }

    /// The services themselves are to be encrypted.
    pub(crate) fn none(name: &str) -> Self {
        let text = format!("[target.{name}]\ntunnel = \"none\"\n");
        Self { name: name.to_owned(), text }.identifiers()
    }

    /// DND and BlitzMail behind the gateway, each with the mouth of its own port on 127.0.0.1.
    pub(crate) fn blitzmail(world: &World, gateway: &str) -> Self {
        Self::builtin(world, "dasher", gateway).services()
    }

    /// The services of `blitzmail`.
    pub(crate) fn services(self) -> Self {
        self.service("dnd", "dnd", "dnd.dartmouth.edu", 902, "").service(
            "mail",
            "blitzmail",
            "dasher.dartmouth.edu",
            2151,
            "",
        )
    }

    /// A service at the mail server, by IPv4 and IPv6.
    pub(crate) fn service(
        mut self,
        name: &str,
        kind: &str,
        host: &str,
        port: u16,
        more: &str,
    ) -> Self {
        write!(
            self.text,
            "[[target.{}.service]]\nname = \"{name}\"\nkind = \"{kind}\"\nhost = \"{host}\"\nport = {port}\n\
             address = [\"{MAIL}\", \"fd77:1::30\"]\n{more}\n",
            self.name
        )
        .unwrap();
        self
    }

    /// Bulletins are exempt.
    pub(crate) fn exempt_bulletins(mut self) -> Self {
        write!(
            self.text,
            "[[target.{}.exempt]]\nname = \"bulletins\"\nhost = \"newshost.dartmouth.edu\"\nport = 1119\n\
             address = \"{MAIL}\"\nreason = \"public postings\"\n",
            self.name
        )
        .unwrap();
        self
    }

    /// Changes what is written so far.
    pub(crate) fn replace(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "{from:?} is not in {}", self.text);
        self.text = self.text.replace(from, to);
        self
    }

    /// Leaves it to the run to find out where the services are.
    pub(crate) fn without_addresses(self) -> Self {
        let line = format!("address = [\"{MAIL}\", \"fd77:1::30\"]\n");
        self.replace(&line, "")
    }

    /// The text of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Writes it, alone.
    pub(crate) fn write(&self, world: &World) -> PathBuf {
        write_all(world, &[self])
    }

    fn key(mut self, line: &str) -> Self {
        writeln!(self.text, "{line}").unwrap();
        self
    }

    fn identifiers(mut self) -> Self {
        write!(
            self.text,
            "[target.{}.identifiers]\nusername = [\"jsmith\", \"John Smith\"]\nfolders = [\"Reindeer Games\"]\n",
            self.name
        )
        .unwrap();
        self
    }
}

/// Writes several into one file, in place of the one before.
pub(crate) fn write_all(world: &World, targets: &[&TargetFile]) -> PathBuf {
    let path = world.at("tunnelcheck.toml");
    let text: Vec<&str> = targets.iter().map(|it| it.text()).collect();
    fs::write(&path, text.join("\n")).unwrap();
    path
}
