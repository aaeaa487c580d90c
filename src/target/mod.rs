//! What is asked for: the target file, or a Host block of ssh_config, -> a resolved `Plan`.
//!
//! In: a name, overrides, the surroundings as an `Environment`. Out: a `Plan`; after this nothing is validated again.
//! Never: the network, name resolution, a command of ssh_config, IO beyond reading the files it was pointed to.

mod error;
mod init;
mod paths;
mod plan;

pub use error::{Place, TargetError};
pub use init::{KINDS, template};
pub use paths::Environment;
pub use plan::{
    AddressFamily, ForwardPlan, Hop, Listed, Overrides, Plan, SERVICE_KINDS, SshPlan, list, load,
    parse_target_value,
};
