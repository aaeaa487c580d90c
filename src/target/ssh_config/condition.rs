//! `Match`: conditions on the host and the user. Commands are never run.

use super::lex::next_word;
use super::pattern::{fits_host_list, fits_list};
use super::{Line, Reading};
use crate::target::error::{SshFault, TargetError};

impl Reading<'_> {
    /// Whether every condition fits.
    pub(super) fn match_line(&mut self, line: &Line<'_>, text: &str) -> Result<bool, TargetError> {
        let mut fitting = true;
        let mut conditions = 0_usize;
        let mut named = None;
        let mut rest = Some(text);
        while let Some(text) = rest.filter(|text| !text.is_empty() && !text.starts_with('#')) {
            let (word, tail) = next_word(text).ok_or_else(|| line.error(SshFault::Quotes))?;
            if word.is_empty() {
                return Err(line.error(SshFault::Match));
            }
            rest = tail;
            let (name, negated) = match word.strip_prefix('!') {
                Some(name) => (name.to_ascii_lowercase(), true),
                None => (word.to_ascii_lowercase(), false),
            };
            match name.as_str() {
                "all" => {
                    let alone = rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('#'));
                    if conditions > 1 || !alone {
                        return Err(line.error(SshFault::Match));
                    }
                    return Ok(fitting && !negated);
                }
                "canonical" | "final" => {
                    conditions = conditions.saturating_add(1);
                    self.wants_final |= name == "final";
                    fitting &= self.final_pass != negated;
                    continue;
                }
                _ => conditions = conditions.saturating_add(1),
            }
            let (argument, tail) = match rest.map(next_word) {
                Some(Some((argument, tail)))
                    if !argument.is_empty() && !argument.starts_with('#') =>
                {
                    (argument, tail)
                }
                _ => return Err(line.error(SshFault::Match)),
            };
            rest = tail;
            let fits = match name.as_str() {
                "host" => {
                    if !negated {
                        named = Some(argument.clone());
                    }
                    fits_host_list(&self.settings.host_name()?, &argument)
                }
                "originalhost" => {
                    if !negated {
                        named = Some(argument.clone());
                    }
                    fits_host_list(&self.query.host, &argument)
                }
                "user" => {
                    let user = self.settings.user.as_deref().or(self.env.user.as_deref());
                    user.is_some_and(|user| fits_list(user, &argument))
                }
                "localuser" => {
                    self.env.user.as_deref().is_some_and(|user| fits_list(user, &argument))
                }
                "exec" | "localnetwork" | "tagged" | "sessiontype" | "version" | "command" => {
                    if fitting {
                        let why = if name == "exec" { "never run" } else { "not followed" };
                        self.warn(format!(
                            "{}: Match {name} is {why}: its block is left out",
                            line.place
                        ));
                    }
                    // Left out whether negated or not.
                    negated
                }
                _ => return Err(line.error(SshFault::Match)),
            };
            fitting &= fits != negated;
        }
        if conditions == 0 {
            return Err(line.error(SshFault::Match));
        }
        if let Some(pattern) = named
            && fitting
        {
            self.matched(line.place, "Match host", &pattern);
        }
        Ok(fitting)
    }
}
