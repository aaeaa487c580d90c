//! Takes something away while the client works, and puts it back: does the client fall back to cleartext?

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "bsd.rs"]
mod system;

mod driver;
mod journal;
mod lines;

pub(super) use driver::{Driver, Scene};
pub use journal::undo_disruptions;

use crate::run::RunError;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// How long a disruption lasts, unless it is said: three attempts of a client that tries once a second.
const DEFAULT_HOLD: Duration = Duration::from_secs(4);

/// One disruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The connection to the gateway ends, and comes back when the disruption is over. What comes to the mouths is closed
    /// at once, and in the second half refused.
    Cut,
    /// The connection to the gateway ends and is made anew at once.
    Reconnect,
    /// New keys are agreed on.
    Rekey,
    /// The gateway cannot be reached.
    Route,
    /// The aliases of the services leave the hosts file.
    Hosts,
    /// Names are asked of this resolver.
    Resolver(IpAddr),
    /// The watched interfaces, which have no IPv6, get it.
    Ipv6,
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let step = match (name, value) {
            ("cut", None) => Self::Cut,
            ("reconnect", None) => Self::Reconnect,
            ("rekey", None) => Self::Rekey,
            ("route", None) => Self::Route,
            ("hosts", None) => Self::Hosts,
            ("ipv6", None) => Self::Ipv6,
            ("resolver", Some(value)) => Self::Resolver(
                value.parse().map_err(|_| format!("{value:?} is no address of a resolver"))?,
            ),
            ("resolver", None) => return Err("write resolver=ADDRESS".to_owned()),
            _ => {
                return Err(format!(
                    "{text:?} is no disruption; there are cut, reconnect, rekey, route, hosts, resolver=ADDRESS and ipv6"
                ));
            }
        };
        Ok(step)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut",
            Self::Reconnect => "reconnect",
            Self::Rekey => "rekey",
            Self::Route => "route",
            Self::Hosts => "hosts",
            Self::Resolver(_) => "resolver",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// What is to be disrupted.
#[derive(Clone, Debug, Default)]
pub struct Disrupt {
    /// One after the other.
    pub steps: Vec<Step>,
    /// How long each lasts; none: 4 seconds.
    pub hold: Option<Duration>,
}

impl Disrupt {
    fn hold(&self) -> Duration {
        self.hold.unwrap_or(DEFAULT_HOLD)
    }
}

/// Undoes what an earlier run left, in words, one line each.
pub(super) fn recover() -> Result<Vec<String>, RunError> {
    journal::undo_disruptions()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_are_written() {
        for text in ["cut", "reconnect", "rekey", "route", "hosts", "ipv6"] {
            assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
        }
        assert_eq!("resolver=10.0.0.53".parse(), Ok(Step::Resolver([10, 0, 0, 53].into())));
        for wrong in ["", "resolver", "resolver=x", "cut=1", "Cut", "all"] {
            assert!(wrong.parse::<Step>().is_err(), "{wrong}");
        }
    }
}
