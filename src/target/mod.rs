//! What is asked for: the target file, or a Host block of ssh_config, -> a resolved `Plan`.
//!
//! In: a name, overrides, the surroundings as an `Environment`. Out: a `Plan`; after this nothing is validated again.
//! Never: the network, name resolution, a command of ssh_config, IO beyond reading the files it was pointed to.

mod alias;
mod build;
mod check;
mod error;
mod file;
mod gate;
mod init;
mod load;
mod login;
mod nearest;
mod paths;
mod plan;
mod services;
mod ssh_config;

pub use error::{Fault, Place, SshFault, TargetError};
pub use init::{KINDS, template};
pub use load::{list, load, login, parse_target_value};
pub use paths::Environment;
pub use plan::{
    AddressFamily, ForwardPlan, Hop, Listed, Overrides, Plan, SERVICE_KINDS, SshPlan, WrittenNames,
};

#[cfg(test)]
mod tests;
