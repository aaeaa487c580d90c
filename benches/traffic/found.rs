//! What was planted against what `flows --format ndjson --show-secrets` says was found.

use super::Planted;
use serde_json::Value;
use std::net::SocketAddr;

/// How the two lists differ.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Planted and found.
    pub(crate) found: usize,
    /// Planted and not found, in words.
    pub(crate) missed: Vec<String>,
    /// Found where nothing was planted, in words.
    pub(crate) invented: Vec<String>,
}

/// Compares. An identifier is found if a finding of that text begins in the octets that were planted; every other finding
/// of an identifier is invented.
pub(crate) fn compare(planted: &[Planted], flows: &str) -> Comparison {
    let mut result = Comparison::default();
    let mut is_found = vec![false; planted.len()];
    for line in flows.lines() {
        let conn: Value = serde_json::from_str(line).unwrap();
        if conn["type"] != "conn" {
            continue;
        }
        let (orig, resp) = (end(&conn["orig"]), end(&conn["resp"]));
        for finding in conn["findings"].as_array().into_iter().flatten() {
            if finding["rule"] != "identifier" {
                continue;
            }
            let offset = finding["offset"].as_u64().unwrap();
            let place = planted.iter().position(|it| {
                (Some(it.orig), Some(it.resp)) == (orig, resp)
                    && finding["value"] == *it.text
                    && (finding["dir"] == "orig") == it.by_orig
                    && (it.offset..it.offset + it.len).contains(&offset)
            });
            match place {
                Some(place) => is_found[place] = true,
                None => result.invented.push(format!("{} {finding}", conn["uid"])),
            }
        }
    }
    for (it, is_found) in planted.iter().zip(is_found) {
        if is_found {
            result.found += 1;
        } else {
            result.missed.push(format!("{it:?}"));
        }
    }
    result
}

fn end(value: &Value) -> Option<SocketAddr> {
    let ip = value["ip"].as_str()?.parse().ok()?;
    Some(SocketAddr::new(ip, u16::try_from(value["port"].as_u64()?).ok()?))
}
