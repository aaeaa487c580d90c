//! The octets of a hosts file: its blocks found, put in, taken out. Pure; every other octet stays where it is.

use super::error::HostsError;
use super::names::{Alias, key};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::ops::Range;

const BEGIN: &[u8] = b"# BEGIN tunnelcheck";
const END: &[u8] = b"# END tunnelcheck";
/// Word of a begin whose block brought the line end in front of it along.
const JOINED: &str = "newline-added";
/// A client that asks for IPv6 alone passes a line with an IPv4 address over, and asks the DNS: it would go beside the
/// tunnel. The mapped address leads it to the same mouth (RFC 4291 s2.5.5.2). On macOS nobody has tried it.
const BOTH_FAMILIES: bool = !cfg!(target_os = "macos");
const SUM_DIGITS: usize = 16; // of SHA-256: it tells a change by hand, and is no secret

/// How a target's block stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Absent,
    /// It says what it should.
    Applied,
    /// It says something else: the target has changed since.
    Outdated,
}

/// A line of somebody else that leads one of our names elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Line, from 1.
    pub line: usize,
    /// The name, as that line writes it.
    pub name: String,
    /// Where it leads there.
    pub found: String,
    /// Where it is to lead.
    pub wanted: IpAddr,
    /// The target whose block the line stands in, as the mark writes it.
    pub target: Option<String>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, name, found, wanted, .. } = self;
        write!(f, "line {line} of the hosts file leads \"{name}\" to {found}, not to {wanted}")?;
        match &self.target {
            Some(target) => write!(f, " (the block of target \"{target}\")"),
            None => Ok(()),
        }
    }
}

/// A block in a file.
struct Block {
    /// The target, as the mark writes it.
    target: String,
    /// From the begin to the line end behind the end.
    octets: Range<usize>,
    /// Lines of its begin and end, from 1.
    lines: (usize, usize),
    /// What its begin says of what stands between the marks.
    sum: String,
    /// It brought the line end in front of it along.
    joined: bool,
    /// Nobody has changed what stands between the marks.
    intact: bool,
}

/// A line of a file: from 1, without its line end.
struct Line<'a> {
    number: usize,
    text: &'a [u8],
    /// With its line end.
    octets: Range<usize>,
}

/// The block of `target`, as it stands in a file.
#[must_use]
pub fn block(target: &str, aliases: &[Alias]) -> String {
    write_block(&file_name(target), aliases, false)
}

/// How the block of `target` stands in `file`.
///
/// # Errors
/// `Damaged`, `Edited`.
pub fn state(file: &[u8], target: &str, aliases: &[Alias]) -> Result<State, HostsError> {
    let blocks = blocks(file)?;
    let Some(own) = own(&blocks, target)? else { return Ok(State::Absent) };
    let wanted = write_block(&own.target, aliases, own.joined);
    let same = file.get(own.octets.clone()) == Some(wanted.as_bytes());
    Ok(if same { State::Applied } else { State::Outdated })
}

/// The file with the block of `target` in it: in its old place, else at the end.
///
/// # Errors
/// `Damaged`, `Edited`, `Foreign`.
pub fn put(file: &[u8], target: &str, aliases: &[Alias]) -> Result<Vec<u8>, HostsError> {
    let blocks = blocks(file)?;
    let conflicts = conflicts_beside(file, &blocks, target, aliases);
    if !conflicts.is_empty() {
        return Err(HostsError::Foreign { conflicts });
    }
    let mut out = Vec::with_capacity(file.len() + 1024);
    if let Some(own) = own(&blocks, target)? {
        out.extend_from_slice(file.get(..own.octets.start).unwrap_or_default());
        out.extend_from_slice(write_block(&own.target, aliases, own.joined).as_bytes());
        out.extend_from_slice(file.get(own.octets.end..).unwrap_or_default());
        return Ok(out);
    }
    out.extend_from_slice(file);
    let joined = file.last().is_some_and(|octet| *octet != b'\n');
    if joined {
        out.push(b'\n');
    }
    out.extend_from_slice(write_block(&file_name(target), aliases, joined).as_bytes());
    Ok(out)
}

/// The file without the block of `target`: octet for octet what it was before, where nobody else has changed it.
///
/// # Errors
/// `Damaged`, `Edited`.
pub fn take(file: &[u8], target: &str) -> Result<Vec<u8>, HostsError> {
    let blocks = blocks(file)?;
    let Some(own) = own(&blocks, target)? else { return Ok(file.to_vec()) };
    let mut before = file.get(..own.octets.start).unwrap_or_default();
    let behind = file.get(own.octets.end..).unwrap_or_default();
    let next = blocks.iter().find(|block| block.octets.start == own.octets.end);
    // The line end that the block brought along goes with it, unless somebody's line needs it now.
    if own.joined && behind.is_empty() {
        before = before.strip_suffix(b"\n").unwrap_or(before);
    }
    let mut out = before.to_vec();
    match next {
        // A block behind it takes over what this one has to say about the line end in front.
        Some(next) if next.joined != own.joined => {
            let head = file.get(next.octets.clone()).unwrap_or_default();
            let line_end = head.iter().position(|octet| *octet == b'\n').unwrap_or(head.len());
            let begin = write_begin(&next.target, &next.sum, own.joined);
            out.extend_from_slice(begin.as_bytes());
            out.extend_from_slice(head.get(line_end..).unwrap_or_default());
            out.extend_from_slice(file.get(next.octets.end..).unwrap_or_default());
        }
        _ => out.extend_from_slice(behind),
    }
    Ok(out)
}

/// Whether a block of any target stands in the file.
pub(super) fn has_blocks(file: &[u8]) -> bool {
    lines(file).any(|line| starts_mark(line.text, BEGIN))
}

/// Every line that is not of the block of `target` and leads one of the names elsewhere.
///
/// # Errors
/// `Damaged`.
pub fn conflicts(
    file: &[u8],
    target: &str,
    aliases: &[Alias],
) -> Result<Vec<Conflict>, HostsError> {
    Ok(conflicts_beside(file, &blocks(file)?, target, aliases))
}

/// A target's name as a mark and a file can hold it: other octets than letters, digits, `.`, `_` and `-` as `%XX`.
#[must_use]
pub fn file_name(target: &str) -> String {
    let mut name = String::with_capacity(target.len());
    for octet in target.bytes() {
        if octet.is_ascii_alphanumeric()
            || matches!(octet, b'_' | b'-')
            || (octet == b'.' && !name.is_empty())
        {
            name.push(char::from(octet));
        } else {
            let _ = write!(name, "%{octet:02X}");
        }
    }
    if name.is_empty() { "%".to_owned() } else { name }
}

fn write_block(name: &str, aliases: &[Alias], joined: bool) -> String {
    let mut body = format!(
        "# These names lead to the mouths of a tunnel; `tunnelcheck hosts {name} --revert` takes the block out again.\n"
    );
    for alias in aliases {
        let names = alias.names.join(" ");
        let _ = writeln!(body, "{}\t{names}", alias.address);
        if let (IpAddr::V4(address), true) = (alias.address, BOTH_FAMILIES) {
            let _ = writeln!(body, "{}\t{names}", address.to_ipv6_mapped());
        }
    }
    let begin = write_begin(name, &sum(body.as_bytes()), joined);
    format!("{begin}\n{body}# END tunnelcheck {name}\n")
}

fn write_begin(name: &str, sum: &str, joined: bool) -> String {
    let joined = if joined { format!(" {JOINED}") } else { String::new() };
    format!("# BEGIN tunnelcheck {name} {sum}{joined}")
}

fn sum(body: &[u8]) -> String {
    let mut digits = data_encoding::HEXLOWER.encode(&Sha256::digest(body));
    digits.truncate(SUM_DIGITS);
    digits
}

/// The block of `target`, whole.
fn own<'a>(blocks: &'a [Block], target: &str) -> Result<Option<&'a Block>, HostsError> {
    let name = file_name(target);
    let Some(own) = blocks.iter().find(|block| block.target == name) else { return Ok(None) };
    if own.intact {
        return Ok(Some(own));
    }
    Err(HostsError::Edited { target: name, first: own.lines.0, last: own.lines.1 })
}

/// Every block, in the order of the file.
fn blocks(file: &[u8]) -> Result<Vec<Block>, HostsError> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<(Line<'_>, Begin)> = None;
    for line in lines(file) {
        let damaged = |what: String| HostsError::Damaged { line: line.number, what };
        if starts_mark(line.text, BEGIN) {
            if let Some((first, begin)) = open {
                return Err(HostsError::Damaged {
                    line: first.number,
                    what: format!(
                        "the block of target \"{}\" begins and does not end before line {}",
                        begin.target, line.number
                    ),
                });
            }
            let begin = Begin::parse(line.text)
                .ok_or_else(|| damaged("a damaged begin of a block".to_owned()))?;
            if let Some(twin) = found.iter().find(|block| block.target == begin.target) {
                return Err(damaged(format!(
                    "a second block of target \"{}\", beside that of line {}",
                    begin.target, twin.lines.0
                )));
            }
            open = Some((line, begin));
        } else if starts_mark(line.text, END) {
            let name = word_behind(line.text, END);
            let Some((first, begin)) = open.take() else {
                return Err(damaged("the end of a block that does not begin".to_owned()));
            };
            if name != Some(begin.target.as_bytes()) {
                return Err(damaged(format!(
                    "not the end of the block of target \"{}\", which begins in line {}",
                    begin.target, first.number
                )));
            }
            let body = file.get(first.octets.end..line.octets.start).unwrap_or_default();
            found.push(Block {
                octets: first.octets.start..line.octets.end,
                lines: (first.number, line.number),
                intact: sum(body) == begin.sum,
                sum: begin.sum,
                joined: begin.joined,
                target: begin.target,
            });
        }
    }
    match open {
        None => Ok(found),
        Some((first, begin)) => Err(HostsError::Damaged {
            line: first.number,
            what: format!("the block of target \"{}\" begins and does not end", begin.target),
        }),
    }
}

/// What the begin of a block says.
struct Begin {
    target: String,
    sum: String,
    joined: bool,
}

impl Begin {
    fn parse(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line.get(BEGIN.len()..)?).ok()?;
        let mut words = text.split_ascii_whitespace();
        let (target, sum) = (words.next()?.to_owned(), words.next()?.to_owned());
        let joined = match words.next() {
            None => false,
            Some(JOINED) => true,
            Some(_) => return None,
        };
        words.next().is_none().then_some(Self { target, sum, joined })
    }
}

/// Whether the line is the mark, or the mark with something behind a blank.
fn starts_mark(line: &[u8], mark: &[u8]) -> bool {
    line.strip_prefix(mark).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// The only word behind a mark.
fn word_behind<'a>(line: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let mut words =
        line.strip_prefix(mark)?.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let word = words.next()?;
    words.next().is_none().then_some(word)
}

fn lines(file: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut at = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        let rest = file.get(at..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let octets = at..(at + len + 1).min(file.len());
        (at, number) = (octets.end, number + 1);
        Some(Line { number, text: rest.get(..len).unwrap_or_default(), octets })
    })
}

fn conflicts_beside(
    file: &[u8],
    blocks: &[Block],
    target: &str,
    aliases: &[Alias],
) -> Vec<Conflict> {
    let name = file_name(target);
    let mut found = Vec::new();
    for line in lines(file) {
        let block = blocks.iter().find(|block| block.octets.contains(&line.octets.start));
        if block.is_some_and(|block| block.target == name) {
            continue;
        }
        let text = line.text.split(|octet| *octet == b'#').next().unwrap_or_default();
        // As isspace(3), which resolvers use; a NUL ends a name for them at any rate.
        let is_blank = |octet: &u8| matches!(octet, b' ' | b'\t'..=b'\r' | 0);
        let mut words = text.split(is_blank).filter(|word| !word.is_empty());
        let Some(address) = words.next() else { continue };
        let address = String::from_utf8_lossy(address);
        for word in words {
            let word = String::from_utf8_lossy(word);
            let Some(alias) = aliases.iter().find(|alias| alias.key() == key(&word)) else {
                continue;
            };
            // What is no address is passed over by some resolvers and understood by others: it is in the way.
            if address.parse().map(|address: IpAddr| address.to_canonical()) != Ok(alias.address) {
                found.push(Conflict {
                    line: line.number,
                    name: word.into_owned(),
                    found: address.clone().into_owned(),
                    wanted: alias.address,
                    target: block.map(|block| block.target.clone()),
                });
            }
        }
    }
    found
}
