//! What starts a tunnel as a service: a unit of systemd, a property list of launchd. Printed, never installed.

use super::args::{Common, TunnelArg};
use crate::hosts::file_name;
use crate::report::escape;
use crate::target::Plan;
use anyhow::Context as _;
use clap::ValueEnum;
use std::fmt::Write as _;
use std::path::Path;

/// Whose service it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum UnitKind {
    /// Linux.
    Systemd,
    /// macOS.
    Launchd,
}

/// The command line of the service, every path absolute, and its surroundings.
#[derive(Debug)]
pub(super) struct Words {
    target: String,
    command: Vec<String>,
    folder: String,
    home: Option<String>,
    is_root: bool,
    /// Mouths that need root.
    low_ports: Vec<u16>,
}

/// Ports below this one are root's alone, on most systems.
const FIRST_FREE_PORT: u16 = 1024;

impl Words {
    /// The words that bring up the tunnel of `plan` from anywhere; `more` adds options of the command itself.
    pub(super) fn gather(
        plan: &Plan,
        common: &Common,
        more: impl FnOnce(&mut Vec<String>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let mut command = vec![text(&program)?];
        // The file itself, so that the folder from which it is started does not matter.
        if let Some(file) = &plan.file {
            command.extend(["--config".to_owned(), absolute(file)?]);
        }
        if let Some(file) = &common.ssh_config {
            command.extend(["--ssh-config".to_owned(), absolute(file)?]);
        }
        if common.tunnel == Some(TunnelArg::Builtin) {
            command.extend(["--tunnel".to_owned(), "builtin".to_owned()]);
        }
        command.push("tunnel".to_owned());
        more(&mut command)?;
        // Whatever its name begins with, it is no option.
        command.extend(["--".to_owned(), plan.target.name.clone()]);
        let folder = std::env::current_dir().context("cannot tell the current folder")?;
        let mut low_ports: Vec<u16> = plan
            .target
            .services
            .iter()
            .filter_map(|service| Some(service.listen?.port()))
            .filter(|port| *port < FIRST_FREE_PORT)
            .collect();
        low_ports.sort_unstable();
        low_ports.dedup();
        Ok(Self {
            target: plan.target.name.clone(),
            command,
            folder: text(&folder)?,
            home: std::env::var("HOME").ok().filter(|home| !home.is_empty()),
            is_root: rustix::process::geteuid().is_root(),
            low_ports,
        })
    }
}

/// A path from the root on.
pub(super) fn absolute(path: &Path) -> anyhow::Result<String> {
    text(
        &std::path::absolute(path)
            .with_context(|| format!("cannot tell where {} is", path.display()))?,
    )
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str();
    Ok(text
        .with_context(|| format!("{} is not UTF-8: no unit can name it", path.display()))?
        .to_owned())
}

pub(super) fn print(kind: UnitKind, words: &Words) -> String {
    match kind {
        UnitKind::Systemd => systemd(words),
        UnitKind::Launchd => launchd(words),
    }
}

fn systemd(words: &Words) -> String {
    // systemd.unit(5): a name holds no percent sign.
    let name = file_name(&words.target).replace('%', "_");
    let (place, control, wanted) = if words.is_root {
        ("/etc/systemd/system", "systemctl", "multi-user.target")
    } else {
        ("~/.config/systemd/user", "systemctl --user", "default.target")
    };
    let file = format!("tunnelcheck-{name}.service");
    let mut unit = format!(
        "# {place}/{file}\n\
         # Then: {control} daemon-reload && {control} enable --now '{file}'\n\
         # Nobody is there to be asked: the key must need no passphrase, and the host key must be known.\n",
    );
    if !words.low_ports.is_empty() && !words.is_root {
        let _ = writeln!(
            unit,
            "# Ports below 1024 ({}) need: sudo setcap cap_net_raw,cap_net_bind_service+ep {}",
            ports(&words.low_ports),
            escape::terminal(words.command.first().map_or("", String::as_str))
        );
    }
    let command: Vec<String> = words.command.iter().map(|word| systemd_word(word)).collect();
    let _ = write!(
        unit,
        "\n[Unit]\nDescription=SSH tunnel of {} (tunnelcheck)\n",
        systemd_value(&words.target)
    );
    if words.is_root {
        unit.push_str("Wants=network-online.target\nAfter=network-online.target\n");
    }
    let _ = write!(
        unit,
        "\n[Service]\nType=exec\nExecStart={}\nWorkingDirectory={}\n",
        command.join(" "),
        systemd_value(&words.folder)
    );
    if let Some(home) = words.home.as_ref().filter(|_| words.is_root) {
        let _ = writeln!(unit, "Environment={}", systemd_word_of("HOME=", home));
    }
    // The program dials again by itself. What it ends with 2 for, no restart mends: a host key, a refused key.
    let _ = write!(
        unit,
        "Restart=on-failure\nRestartSec=5\nRestartPreventExitStatus=2\nKillMode=mixed\nTimeoutStopSec=15\n\n\
         [Install]\nWantedBy={wanted}\n"
    );
    unit
}

fn ports(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

/// A word of a command line (systemd.service(5), "Command lines"): no variable and no specifier in it means anything.
fn systemd_word(word: &str) -> String {
    systemd_quoted(&word.replace('$', "$$"))
}

/// An assignment of `Environment=`, where a dollar means nothing.
fn systemd_word_of(head: &str, value: &str) -> String {
    systemd_quoted(&format!("{head}{value}"))
}

fn systemd_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            _ if c.is_ascii_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A value that is no command line: specifiers alone mean something there, and a line end is not possible.
fn systemd_value(text: &str) -> String {
    text.replace('%', "%%").replace(|c: char| c.is_control(), " ")
}

fn launchd(words: &Words) -> String {
    let label = format!("tunnelcheck.{}", file_name(&words.target));
    let (place, domain) = if words.is_root {
        ("/Library/LaunchDaemons", "system")
    } else {
        ("~/Library/LaunchAgents", "gui/$UID")
    };
    let argument = |word: &String| format!("        <string>{}</string>\n", escape::xml(word));
    let arguments: String = words.command.iter().map(argument).collect();
    let home = words.home.as_ref().filter(|_| words.is_root).map_or_else(String::new, |home| {
        format!(
            "    <key>EnvironmentVariables</key>\n    <dict>\n        <key>HOME</key>\n        \
             <string>{}</string>\n    </dict>\n",
            escape::xml(home)
        )
    });
    let log = if words.is_root { "/var/log" } else { "/tmp" };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <!-- Keep it in {place}, named as its label with .plist behind; then: launchctl bootstrap {domain} FILE -->\n\
         <plist version=\"1.0\">\n<dict>\n    <key>Label</key>\n    <string>{label}</string>\n    \
         <key>ProgramArguments</key>\n    <array>\n{arguments}    </array>\n    \
         <key>WorkingDirectory</key>\n    <string>{}</string>\n{home}    \
         <key>RunAtLoad</key>\n    <true/>\n    <key>KeepAlive</key>\n    <dict>\n        \
         <key>SuccessfulExit</key>\n        <false/>\n    </dict>\n    \
         <key>ThrottleInterval</key>\n    <integer>60</integer>\n    \
         <key>StandardErrorPath</key>\n    <string>{log}/{label}.log</string>\n</dict>\n</plist>\n",
        escape::xml(&words.folder)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(target: &str, is_root: bool) -> Words {
        Words {
            target: target.to_owned(),
            command: ["/opt/my programs/tunnelcheck", "tunnel", "--", target]
                .map(str::to_owned)
                .to_vec(),
            folder: "/home/jo/50% of $HOME".to_owned(),
            home: Some("/root".to_owned()),
            is_root,
            low_ports: vec![110, 902],
        }
    }

    #[test]
    fn a_systemd_word_means_nothing_but_itself() {
        for (word, quoted) in [
            ("plain", "\"plain\""),
            ("two words", "\"two words\""),
            ("50%", "\"50%%\""),
            ("$HOME ${x}", "\"$$HOME $${x}\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("a\nb\tc\x01", "\"a\\nb\\tc\\x01\""),
            ("é", "\"é\""),
        ] {
            assert_eq!(systemd_word(word), quoted, "{word:?}");
        }
    }

    #[test]
    fn units_of_root_and_of_a_user_differ_where_they_must() {
        let root = print(UnitKind::Systemd, &words("dasher", true));
        assert!(
            root.contains(
                "ExecStart=\"/opt/my programs/tunnelcheck\" \"tunnel\" \"--\" \"dasher\"\n"
            ),
            "{root}"
        );
        assert!(root.contains("WorkingDirectory=/home/jo/50%% of $HOME\n"), "{root}");
        assert!(root.contains("WantedBy=multi-user.target") && root.contains("\"HOME=/root\""));
        assert!(!root.contains("setcap"));
        let user = print(UnitKind::Systemd, &words("dasher", false));
        assert!(user.contains("WantedBy=default.target") && !user.contains("HOME=/"), "{user}");
        assert!(user.contains("(110, 902) need: sudo setcap"), "{user}");
        assert!(user.contains("RestartPreventExitStatus=2"));
    }

    #[test]
    fn a_target_of_any_name_cannot_leave_its_place_in_a_unit() {
        let hostile = "a\n[Install]\nX=<y>&\"-->";
        let unit = print(UnitKind::Systemd, &words(hostile, true));
        assert_eq!(unit.lines().filter(|line| line.starts_with("[Install]")).count(), 1, "{unit}");
        let list = print(UnitKind::Launchd, &words(hostile, true));
        assert!(
            list.contains("<string>a\n[Install]\nX=&lt;y&gt;&amp;&quot;--&gt;</string>"),
            "{list}"
        );
        assert!(
            list.contains(
                "<string>tunnelcheck.a%0A%5BInstall%5D%0AX%3D%3Cy%3E%26%22--%3E</string>"
            )
        );
        assert_eq!(list.matches("-->").count(), 1, "{list}");
    }
}
