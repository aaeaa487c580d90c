//! The claim `tunnel`: the SSH transport came up to the right host and stayed up.

use super::case::Case;
use super::judgement::{Reason, Row};
use super::ledger::{Sheet, not_applicable};
use crate::model::{ClaimKind, TunnelMode};

const CLAIM: ClaimKind = ClaimKind::Tunnel;

/// Judges the claim.
pub(super) fn judge(case: &Case<'_>) -> Row {
    match case.target.tunnel {
        TunnelMode::External => {
            return not_applicable(CLAIM, "the tunnel is somebody else's: only the wire is judged");
        }
        TunnelMode::None => return not_applicable(CLAIM, "the target has no tunnel"),
        TunnelMode::Builtin => {}
    }
    let mut sheet = Sheet::new(CLAIM, case.strict);
    let Some(tunnel) = case.tunnel else {
        if !case.source.is_ours() {
            return not_applicable(CLAIM, "a recording by somebody else: only the wire is judged");
        }
        sheet.unproven(
            Reason::new("tunnel-not-up", "the tunnel did not come up")
                .with_next("watch again; the tunnel must come up before the window opens"),
        );
        return sheet.row("");
    };
    if hides_nothing(&tunnel.cipher) {
        sheet.broken(Reason::new(
            "null-cipher",
            format!("the tunnel agreed on cipher \"{}\", which hides nothing", tunnel.cipher),
        ));
    }
    if tunnel.host_key.is_empty() || tunnel.host_key_source.is_empty() {
        sheet.unproven(
            Reason::new("host-key-unverified", "nothing says how the host key was verified")
                .with_next(
                    "put the gateway's key into known_hosts, or give --accept-host-key SHA256:...",
                ),
        );
    }
    if let Some((at, why)) = &tunnel.lost {
        sheet.unproven(
            Reason::new("tunnel-lost", format!("the tunnel was lost at {at}: {why}")).with_next(
                "run it again over a line that holds; what was sent after the loss is not proven",
            ),
        );
    }
    super::disruption::tunnel(case, &mut sheet);
    let again = match tunnel.earlier.len() {
        0 => String::new(),
        1 => ", dialed again once on purpose".to_owned(),
        times => format!(", dialed again {times} times on purpose"),
    };
    sheet.row(format!(
        "up since {}, host key {} verified by {}; {}, {}{}{again}",
        tunnel.up,
        tunnel.host_key,
        tunnel.host_key_source,
        tunnel.kex,
        tunnel.cipher,
        if tunnel.mac.is_empty() { String::new() } else { format!(", {}", tunnel.mac) },
    ))
}

/// Whether the name of a cipher says that it hides nothing: SSH `none`, TLS NULL suites, nothing at all.
pub(super) fn hides_nothing(cipher: &str) -> bool {
    let cipher = cipher.trim().to_ascii_lowercase();
    cipher.is_empty() || cipher == "none" || cipher.contains("null")
}
