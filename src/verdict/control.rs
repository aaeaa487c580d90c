//! The control: the sniffer was seen to work, on each interface, in each phase.

use super::case::Case;
use super::judgement::{ControlCheck, Reason};
use super::scope::is_inner;
use super::vantages::is_remote;
use crate::model::{Class, ControlPath, ControlToken, FrameRef, Phase, Uid};
use std::collections::HashMap;

/// What to do where a control was not seen: on this machine, and on another one.
const HERE: &str =
    "watch the interface that the route to the gateway uses (-i IFACE), and run it again";
const THERE: &str = "a switch shows a sniffer nothing of other machines: put both on a hub, or that one on a mirror port, \
     or watch from the gateway";

const PHASES: [Phase; 3] = [Phase::Before, Phase::During, Phase::After];

/// The control token by token, and what is lacking.
pub(super) fn check(case: &Case<'_>) -> (Vec<ControlCheck>, Vec<Reason>) {
    let classes: HashMap<Uid, Class> =
        case.conns.iter().map(|conn| (conn.record.uid, conn.class)).collect();
    let checks: Vec<_> = case
        .control
        .tokens
        .iter()
        .map(|token| ControlCheck {
            phase: token.phase,
            path: token.path,
            interface_id: token.interface_id,
            sent: token.sent.is_some(),
            seen: seen(case, token, &classes),
        })
        .collect();
    let mut lacking = Vec::new();
    if case.source.is_ours() {
        for phase in PHASES {
            lack_of_phase(case, phase, &checks, &mut lacking);
        }
    }
    (checks, lacking)
}

/// Where a token was found: a clear one on its own interface, and in no ciphertext.
fn seen(case: &Case<'_>, token: &ControlToken, classes: &HashMap<Uid, Class>) -> Vec<FrameRef> {
    case.sightings
        .iter()
        .filter(|sighting| {
            sighting.token == token.token
                && match token.path {
                    ControlPath::Tunnel => true,
                    ControlPath::Clear => {
                        sighting.interface_id == token.interface_id
                            && sighting
                                .uid
                                .and_then(|uid| classes.get(&uid))
                                .is_none_or(|class| *class != Class::Encrypted)
                    }
                }
        })
        .map(|sighting| sighting.at)
        .collect()
}

/// Each interface that should see the wire needs a clear token that was sent and seen; and so does each token there is.
fn lack_of_phase(
    case: &Case<'_>,
    phase: Phase,
    checks: &[ControlCheck],
    lacking: &mut Vec<Reason>,
) {
    let clear =
        || checks.iter().filter(move |it| it.phase == phase && it.path == ControlPath::Clear);
    let mut complain = |text: String, next: &str| {
        lacking.push(Reason::new("control-not-seen", text).with_next(next));
    };
    for check in clear() {
        let name = interface_name(case, check.interface_id);
        if is_remote(case, check.interface_id) {
            if check.seen.is_empty() {
                let what = if check.sent {
                    "was sent by this machine and not seen"
                } else {
                    "was not sent"
                };
                complain(
                    format!(
                        "the control of the phase \"{phase}\" {what} at {name}: a sniffer there may see nothing of this \
                         machine's traffic"
                    ),
                    THERE,
                );
            }
        } else if !check.sent {
            complain(
                format!("the control of the phase \"{phase}\" was not sent out of {name}"),
                HERE,
            );
        } else if check.seen.is_empty() {
            complain(
                format!(
                    "the control of the phase \"{phase}\" was sent out of {name} and not seen there"
                ),
                HERE,
            );
        }
    }
    for (interface, id) in case.interfaces.iter().zip(0_u32..) {
        let asked = case.target.any_vantage || !is_inner(interface.vantage);
        if asked && !clear().any(|it| it.interface_id == id) {
            complain(
                format!(
                    "no control was sent out of {} in the phase \"{phase}\"",
                    interface_name(case, id)
                ),
                HERE,
            );
        }
    }
    if case.interfaces.is_empty() && clear().next().is_none() {
        complain(format!("no control was sent in the phase \"{phase}\""), HERE);
    }
}

/// The name of an interface, or its number.
pub(super) fn interface_name(case: &Case<'_>, id: u32) -> String {
    usize::try_from(id)
        .ok()
        .and_then(|index| case.interfaces.get(index))
        .filter(|interface| !interface.name.is_empty())
        .map_or_else(|| format!("interface {id}"), |interface| interface.name.clone())
}
