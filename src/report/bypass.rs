//! Where the bypasses came from: direct connections with their processes and what sent them there.

use super::body::masked;
use super::parts::EndpointBody;
use crate::model::{Confidence, ProcessRecord};
use crate::verdict::{Bypass, Lead};
use serde::Serialize;

/// A direct connection, explained.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BypassBody {
    pub(super) conn: String,
    pub(super) service: String,
    pub(super) proto: String,
    pub(super) orig: EndpointBody,
    pub(super) resp: EndpointBody,
    pub(super) frame: u64,
    pub(super) time: String,
    /// As the phases of the window are called, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since_window_ms: Option<i64>,
    pub(super) midstream: bool,
    /// Live alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) process: Option<HolderBody>,
    pub(super) leads: Vec<LeadBody>,
    pub(super) remedy: Vec<String>,
}

/// Who held it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HolderBody {
    pub(super) confidence: String,
    pub(super) method: String,
    pub(super) holders: Vec<ProcessBody>,
}

/// A process.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ProcessBody {
    pub(super) pid: u32,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) age_s: Option<u64>,
    /// With `--show-secrets` alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) args: Vec<String>,
}

/// What sent it there.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LeadBody {
    pub(super) code: &'static str,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frame: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<String>,
}

impl BypassBody {
    pub(super) fn of(bypass: &Bypass, identifiers: &[String], show: bool) -> Self {
        let clean = |text: &str| if show { text.to_owned() } else { masked(text, identifiers) };
        let process = |process: &ProcessRecord| ProcessBody {
            pid: process.pid,
            name: clean(&process.name),
            exe: process.exe.as_deref().map(clean),
            uid: process.uid,
            user: process.user.as_deref().map(clean),
            age_s: process.age_s,
            args: if show { process.args.clone() } else { Vec::new() },
        };
        let lead = |lead: &Lead| LeadBody {
            code: lead.code,
            text: clean(&lead.text),
            conn: lead.uid.map(|uid| uid.to_string()),
            frame: lead.at.map(|at| at.number),
            time: lead.at.map(|at| at.time.to_string()),
        };
        Self {
            conn: bypass.uid.to_string(),
            service: bypass.service.clone(),
            proto: bypass.id.proto.to_string(),
            orig: EndpointBody::of(bypass.id.orig),
            resp: EndpointBody::of(bypass.id.resp),
            frame: bypass.first.number,
            time: bypass.first.time.to_string(),
            phase: bypass.phase.clone(),
            since_window_ms: bypass.since_window_ms,
            midstream: bypass.midstream,
            process: bypass.method.as_deref().map(|method| HolderBody {
                confidence: bypass.confidence.unwrap_or(Confidence::None).to_string(),
                method: clean(method),
                holders: bypass.holders.iter().map(process).collect(),
            }),
            leads: bypass.leads.iter().map(lead).collect(),
            remedy: bypass.remedy.iter().map(|it| clean(it)).collect(),
        }
    }

    /// For a person, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut when = match (&self.phase, self.since_window_ms) {
            (Some(phase), Some(ms)) if ms < 0 => {
                format!("{phase}, {} ms in front of the window", -ms)
            }
            (Some(phase), Some(ms)) => format!("{phase}, {ms} ms after the window opened"),
            _ => self.time.clone(),
        };
        if self.midstream {
            when = format!("open before the capture began; first seen {when}");
        }
        let mut lines = vec![format!(
            "{} to \"{}\": {} -> {} {}, frame {}, {when}",
            self.conn,
            self.service,
            super::text::end(&self.orig.ip, self.orig.port),
            super::text::end(&self.resp.ip, self.resp.port),
            self.proto,
            self.frame
        )];
        if let Some(process) = &self.process {
            let mut holders: Vec<String> = process.holders.iter().map(ProcessBody::line).collect();
            if holders.is_empty() {
                holders.push("by a process that is not known".to_owned());
            }
            holders.push(format!("  ({}: {})", process.confidence, process.method));
            lines.extend(holders.into_iter().map(|it| format!("  {it}")));
        }
        for lead in &self.leads {
            let frame = lead.frame.map(|it| format!(", frame {it}")).unwrap_or_default();
            lines.push(format!("  sent there by: {}{frame} [{}]", lead.text, lead.code));
        }
        lines.extend(self.remedy.iter().map(|it| format!("  remedy: {it}")));
        lines
    }
}

impl ProcessBody {
    fn line(&self) -> String {
        let exe = self.exe.as_deref().map(|exe| format!(", {exe}")).unwrap_or_default();
        let user = match (&self.user, self.uid) {
            (Some(user), _) => format!(", user {user}"),
            (None, Some(uid)) => format!(", user number {uid}"),
            (None, None) => String::new(),
        };
        let args =
            if self.args.is_empty() { String::new() } else { format!(": {}", self.args.join(" ")) };
        format!("by {} (pid {}{exe}{user}){args}", self.name, self.pid)
    }
}
