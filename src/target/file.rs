//! The target file: TOML -> tables as written, each value with its line. Nothing is judged here but keys and types.

use super::error::{Place, TargetError};
use super::nearest::nearest;
use toml::de::{DeArray, DeTable, DeValue};

/// A value and the line where it stands.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// `[target.NAME]` as written.
pub(super) struct RawTarget {
    pub(super) name: String,
    /// `target.dasher`; in a manifest `target`.
    pub(super) table: String,
    pub(super) line: usize,
    pub(super) gateway: Option<At<String>>,
    pub(super) gateway_address: Vec<At<String>>,
    pub(super) tunnel: Option<At<String>>,
    pub(super) client: Vec<At<String>>,
    pub(super) identity_file: Vec<At<String>>,
    pub(super) identity_agent: Option<At<String>>,
    pub(super) known_hosts: Vec<At<String>>,
    pub(super) proxy_jump: Option<At<String>>,
    pub(super) gateway_ports: Option<At<bool>>,
    pub(super) keepalive: Option<At<String>>,
    pub(super) vantage: Option<At<String>>,
    /// Label and text. The texts are secrets: no message repeats them.
    pub(super) identifiers: Vec<(String, At<String>)>,
    pub(super) services: Vec<RawService>,
    pub(super) exempts: Vec<RawExempt>,
}

/// `[[target.NAME.service]]` as written.
pub(super) struct RawService {
    pub(super) line: usize,
    pub(super) name: At<String>,
    pub(super) kind: At<String>,
    pub(super) host: At<String>,
    pub(super) port: At<String>,
    pub(super) address: Vec<At<String>>,
    pub(super) listen: Option<At<String>>,
    pub(super) aliases: Vec<At<String>>,
    pub(super) proto: Option<At<String>>,
}

/// `[[target.NAME.exempt]]` as written.
pub(super) struct RawExempt {
    pub(super) name: At<String>,
    pub(super) host: At<String>,
    pub(super) port: Option<At<String>>,
    pub(super) address: Vec<At<String>>,
    pub(super) reason: At<String>,
}

const TOP_KEYS: &[&str] = &["target"];
const TARGET_KEYS: &[&str] = &[
    "gateway",
    "gateway_address",
    "tunnel",
    "client",
    "identity_file",
    "identity_agent",
    "known_hosts",
    "proxy_jump",
    "gateway_ports",
    "keepalive",
    "vantage",
    "identifiers",
    "service",
    "exempt",
];
const SERVICE_KEYS: &[&str] =
    &["name", "kind", "host", "port", "address", "listen", "aliases", "proto"];
const EXEMPT_KEYS: &[&str] = &["name", "host", "port", "address", "reason"];

/// Every target of a target file, in the order of the file.
pub(super) fn parse(text: &str, file: &str) -> Result<Vec<RawTarget>, TargetError> {
    let doc = Doc { text, file };
    let root = doc.parse()?;
    let root = Table { doc: &doc, path: String::new(), line: 0, entries: root.get_ref() };
    root.allow(TOP_KEYS)?;
    let Some(targets) = root.table("target")? else { return Ok(Vec::new()) };
    let mut found = targets
        .entries
        .iter()
        .map(|(name, value)| {
            let line = doc.line(name.span().start);
            let path = format!("target.{}", name.get_ref());
            let DeValue::Table(entries) = value.get_ref() else {
                return Err(wrong_type(&doc, line, path, "a table", value.get_ref()));
            };
            let table = Table { doc: &doc, path, line, entries };
            read_target(&table, name.get_ref())
        })
        .collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|target| target.line);
    Ok(found)
}

/// The table `target` of a suite's manifest, whose other keys are the suite's own business.
pub(super) fn parse_manifest(text: &str, file: &str, name: &str) -> Result<RawTarget, TargetError> {
    let doc = Doc { text, file };
    let root = doc.parse()?;
    let root = Table { doc: &doc, path: String::new(), line: 0, entries: root.get_ref() };
    let table = root.table("target")?.ok_or_else(|| TargetError::MissingKey {
        place: doc.place(0),
        table: "the manifest".to_owned(),
        key: "target",
        example: "target = { ... }, or target_file and target_name",
    })?;
    read_target(&table, name)
}

fn read_target(table: &Table<'_>, name: &str) -> Result<RawTarget, TargetError> {
    table.allow(TARGET_KEYS)?;
    let mut identifiers = Vec::new();
    if let Some(labels) = table.table("identifiers")? {
        for (label, value) in labels.entries {
            let label = label.get_ref().to_string();
            identifiers.extend(
                labels
                    .texts_of(&label, value.get_ref(), value.span().start)?
                    .into_iter()
                    .map(|text| (label.clone(), text)),
            );
        }
        identifiers.sort_by_key(|(_, text)| text.line);
    }
    let services = table.tables("service")?.iter().map(read_service).collect::<Result<_, _>>()?;
    let exempts = table.tables("exempt")?.iter().map(read_exempt).collect::<Result<_, _>>()?;
    Ok(RawTarget {
        name: name.to_owned(),
        table: table.path.clone(),
        line: table.line,
        gateway: table.text("gateway")?,
        gateway_address: table.texts("gateway_address")?,
        tunnel: table.text("tunnel")?,
        client: table.texts("client")?,
        identity_file: table.texts("identity_file")?,
        identity_agent: table.text("identity_agent")?,
        known_hosts: table.texts("known_hosts")?,
        proxy_jump: table.text("proxy_jump")?,
        gateway_ports: table.flag("gateway_ports")?,
        keepalive: table.number_or_text("keepalive")?,
        vantage: table.text("vantage")?,
        identifiers,
        services,
        exempts,
    })
}

fn read_service(table: &Table<'_>) -> Result<RawService, TargetError> {
    table.allow(SERVICE_KEYS)?;
    Ok(RawService {
        line: table.line,
        name: table.needed(table.text("name")?, "name", "name = \"mail\"")?,
        kind: table.needed(
            table.text("kind")?,
            "kind",
            "kind = \"generic\", or the name of its protocol: pop3, imap, blitzmail, ...",
        )?,
        host: table.needed(
            table.text("host")?,
            "host",
            "host = \"mail.example.net\", as the gateway knows it",
        )?,
        port: table.needed(table.number("port")?, "port", "port = 110, the service's own port")?,
        address: table.texts("address")?,
        listen: table.text("listen")?,
        aliases: table.texts("aliases")?,
        proto: table.text("proto")?,
    })
}

fn read_exempt(table: &Table<'_>) -> Result<RawExempt, TargetError> {
    table.allow(EXEMPT_KEYS)?;
    Ok(RawExempt {
        name: table.needed(table.text("name")?, "name", "name = \"bulletins\"")?,
        host: table.needed(table.text("host")?, "host", "host = \"news.example.net\"")?,
        port: table.number("port")?,
        address: table.texts("address")?,
        reason: table.needed(
            table.text("reason")?,
            "reason",
            "reason = \"why this may be readable\"; the report shows it",
        )?,
    })
}

/// A file's text, to find lines in.
struct Doc<'a> {
    text: &'a str,
    file: &'a str,
}

impl<'a> Doc<'a> {
    fn parse(&self) -> Result<toml::Spanned<DeTable<'a>>, TargetError> {
        DeTable::parse(self.text).map_err(|error| TargetError::Syntax {
            place: self.place(self.line(error.span().map_or(0, |span| span.start))),
            // The message alone: the error's own text repeats the line, which may hold an identifier.
            message: error.message().to_owned(),
        })
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        memchr::memchr_iter(b'\n', before).count().saturating_add(1)
    }

    fn place(&self, line: usize) -> Place {
        Place { file: self.file.to_owned(), line }
    }
}

/// A table of the file.
struct Table<'a> {
    doc: &'a Doc<'a>,
    path: String,
    line: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    fn allow(&self, known: &'static [&'static str]) -> Result<(), TargetError> {
        let unknown = self
            .entries
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        let Some(key) = unknown else { return Ok(()) };
        let table =
            if self.path.is_empty() { "the file".to_owned() } else { format!("[{}]", self.path) };
        Err(TargetError::UnknownKey {
            place: self.doc.place(self.doc.line(key.span().start)),
            key: key.get_ref().to_string(),
            table,
            suggestion: nearest(key.get_ref(), known.iter().copied()),
            known,
        })
    }

    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn get(&self, name: &str) -> Option<(&'a DeValue<'a>, usize)> {
        let value = self.entries.get(name)?;
        Some((value.get_ref(), value.span().start))
    }

    fn wrong(
        &self,
        name: &str,
        offset: usize,
        wanted: &'static str,
        got: &DeValue<'_>,
    ) -> TargetError {
        wrong_type(self.doc, self.doc.line(offset), self.key(name), wanted, got)
    }

    fn needed(
        &self,
        value: Option<At<String>>,
        key: &'static str,
        example: &'static str,
    ) -> Result<At<String>, TargetError> {
        value.ok_or_else(|| TargetError::MissingKey {
            place: self.doc.place(self.line),
            table: self.path.clone(),
            key,
            example,
        })
    }

    fn text(&self, name: &str) -> Result<Option<At<String>>, TargetError> {
        let Some((value, offset)) = self.get(name) else { return Ok(None) };
        match value {
            DeValue::String(text) => {
                Ok(Some(At { value: text.to_string(), line: self.doc.line(offset) }))
            }
            other => Err(self.wrong(name, offset, "a text", other)),
        }
    }

    fn texts(&self, name: &str) -> Result<Vec<At<String>>, TargetError> {
        let Some((value, offset)) = self.get(name) else { return Ok(Vec::new()) };
        self.texts_of(name, value, offset)
    }

    fn texts_of(
        &self,
        name: &str,
        value: &DeValue<'_>,
        offset: usize,
    ) -> Result<Vec<At<String>>, TargetError> {
        const WANTED: &str = "a text or a list of texts";
        match value {
            DeValue::String(text) => {
                Ok(vec![At { value: text.to_string(), line: self.doc.line(offset) }])
            }
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => {
                        Ok(At { value: text.to_string(), line: self.doc.line(item.span().start) })
                    }
                    other => Err(self.wrong(name, item.span().start, WANTED, other)),
                })
                .collect(),
            other => Err(self.wrong(name, offset, WANTED, other)),
        }
    }

    fn flag(&self, name: &str) -> Result<Option<At<bool>>, TargetError> {
        let Some((value, offset)) = self.get(name) else { return Ok(None) };
        match value {
            DeValue::Boolean(flag) => Ok(Some(At { value: *flag, line: self.doc.line(offset) })),
            other => Err(self.wrong(name, offset, "true or false", other)),
        }
    }

    fn number(&self, name: &str) -> Result<Option<At<String>>, TargetError> {
        let Some((value, offset)) = self.get(name) else { return Ok(None) };
        self.number_of(value, offset).map_or_else(
            || Err(self.wrong(name, offset, "a number", value)),
            |number| Ok(Some(number)),
        )
    }

    fn number_or_text(&self, name: &str) -> Result<Option<At<String>>, TargetError> {
        let Some((value, offset)) = self.get(name) else { return Ok(None) };
        match value {
            DeValue::String(_) => self.text(name),
            _ => self.number_of(value, offset).map_or_else(
                || Err(self.wrong(name, offset, "a number or a text", value)),
                |number| Ok(Some(number)),
            ),
        }
    }

    /// In decimal digits; as written where it is too large to count.
    fn number_of(&self, value: &DeValue<'_>, offset: usize) -> Option<At<String>> {
        let DeValue::Integer(number) = value else { return None };
        let value = i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string());
        Some(At { value, line: self.doc.line(offset) })
    }

    fn table(&self, name: &str) -> Result<Option<Table<'a>>, TargetError> {
        let Some((key, value)) = self.entries.get_key_value(name) else { return Ok(None) };
        // A table's own span may begin at its first key; its name stands where the person looks.
        let line = self.doc.line(key.span().start);
        match value.get_ref() {
            DeValue::Table(entries) => {
                Ok(Some(Table { doc: self.doc, path: self.key(name), line, entries }))
            }
            other => Err(self.wrong(name, value.span().start, "a table", other)),
        }
    }

    fn tables(&self, name: &str) -> Result<Vec<Table<'a>>, TargetError> {
        const WANTED: &str = "a list of tables";
        let Some((value, offset)) = self.get(name) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value else {
            return Err(self.wrong(name, offset, WANTED, value));
        };
        let items: &DeArray<'a> = items;
        items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::Table(entries) => Ok(Table {
                    doc: self.doc,
                    path: self.key(name),
                    line: self.doc.line(item.span().start),
                    entries,
                }),
                other => Err(self.wrong(name, item.span().start, WANTED, other)),
            })
            .collect()
    }
}

fn wrong_type(
    doc: &Doc<'_>,
    line: usize,
    key: String,
    wanted: &'static str,
    got: &DeValue<'_>,
) -> TargetError {
    let got = match got {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    TargetError::WrongType { place: doc.place(line), key, wanted, got }
}
