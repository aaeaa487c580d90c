//! Several vantages, each with conns of its own, as one analysis.
//!
//! The conns of each vantage are put together apart: a packet that two of them saw would be a retransmission to one conn,
//! and would count twice as traffic. Only here they come side by side, each under a name of its own.

use crate::model::{
    ConnId, ConnRecord, ConnSummary, Coverage, Direction, Endpoint, InterfaceRecord, Vantage,
};
use crate::run::RunError;
use crate::run::archive::Archive;
use crate::run::pipeline::Analysis;
use std::collections::HashSet;

/// Hits in ciphertext remembered, to tell a second sight of the same octets from a second hit by chance.
const MAX_TWICE: usize = 1 << 16;

/// Which pipeline takes the frames of an interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(Vec<usize>);

/// Vantages that are told apart in a recording.
const MAX_LANES: usize = 16;

/// An interface beyond this index of a recording is taken for one of the first vantage.
const MAX_INTERFACES: u32 = 1 << 16;

impl Lanes {
    /// Of the interfaces of each vantage; what none names is the first's.
    pub(super) fn of(vantages: &[Vec<u32>]) -> Self {
        let mut lanes = Vec::new();
        for (lane, interfaces) in vantages.iter().take(MAX_LANES).enumerate() {
            for id in interfaces.iter().filter(|id| **id < MAX_INTERFACES) {
                let index = *id as usize;
                if lanes.len() <= index {
                    lanes.resize(index + 1, 0);
                }
                if let Some(slot) = lanes.get_mut(index) {
                    *slot = lane;
                }
            }
        }
        Self(lanes)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.iter().max().map_or(1, |most| most + 1)
    }

    /// The one of an interface.
    pub(super) fn lane(&self, interface_id: u32) -> usize {
        self.0.get(interface_id as usize).copied().unwrap_or_default()
    }
}

/// Conns of further vantages.
#[derive(Debug, Default)]
pub(super) struct Others {
    archives: Vec<(u64, Archive)>,
    twice: HashSet<(ConnId, Direction, u64, String)>,
}

/// Puts the analyses of all vantages side by side; the first one's takes over what the others found outside of conns.
pub(super) fn side_by_side(analyses: Vec<Analysis>) -> Option<(Analysis, Others)> {
    let mut all = analyses.into_iter();
    let mut first = all.next()?;
    let mut others = Others::default();
    let mut conns = first.conns.len();
    for one in all {
        // What the search leaves out is the same at every vantage.
        first.coverage.add(&Coverage { patterns_dropped: Vec::new(), ..one.coverage });
        first.inspection.raw_hits.extend(one.inspection.raw_hits);
        first.inspection.names.extend(one.inspection.names);
        first.inspection.sightings.extend(one.inspection.sightings.into_iter().map(|mut it| {
            if let Some(uid) = &mut it.uid {
                uid.0 = uid.0.saturating_add(conns);
            }
            it
        }));
        let shift = conns;
        conns = conns.saturating_add(one.conns.len());
        others.archives.push((shift, one.conns));
    }
    Some((first, others))
}

impl Others {
    /// Reads the conns of all vantages, the first one's first.
    pub(super) fn read(
        &mut self,
        first: &mut Archive,
        interfaces: &[InterfaceRecord],
        mut take: impl FnMut(&ConnSummary),
    ) -> Result<(), RunError> {
        let Self { archives, twice } = self;
        if archives.is_empty() {
            return first.read(|conn| {
                take(conn);
                Ok::<_, RunError>(())
            });
        }
        twice.clear();
        first.read(|conn| {
            remember(twice, conn, interfaces);
            take(conn);
            Ok::<_, RunError>(())
        })?;
        for (shift, archive) in archives {
            archive.read(|conn| {
                forget_twice(twice, conn);
                remember(twice, conn, interfaces);
                shifted(conn, *shift);
                take(conn);
                Ok::<_, RunError>(())
            })?;
        }
        Ok(())
    }

    /// Reads what flow knew of those conns of all vantages whose ends fit.
    pub(super) fn read_those(
        &mut self,
        first: &mut Archive,
        fits: impl Fn(&ConnId) -> bool,
        mut take: impl FnMut(&ConnRecord),
    ) -> Result<(), RunError> {
        let all = self.archives.iter_mut().map(|(shift, archive)| (*shift, archive));
        for (shift, archive) in std::iter::once((0, first)).chain(all) {
            archive.read_those(&fits, |record| {
                let uid = &mut record.uid;
                uid.0 = uid.0.saturating_add(shift);
                take(record);
                Ok::<_, RunError>(())
            })?;
        }
        Ok(())
    }
}

/// Gives a conn and its hits a name behind those of the vantages before.
fn shifted(conn: &mut ConnSummary, shift: u64) {
    let uid = &mut conn.record.uid;
    uid.0 = uid.0.saturating_add(shift);
    for hit in &mut conn.hits {
        hit.uid = Some(*uid);
    }
}

/// Keeps where hits lie in ciphertext, of a conn on the wire.
fn remember(
    twice: &mut HashSet<(ConnId, Direction, u64, String)>,
    conn: &ConnSummary,
    interfaces: &[InterfaceRecord],
) {
    let is_inner = |id: &u32| {
        interfaces
            .get(*id as usize)
            .is_some_and(|it| matches!(it.vantage, Some(Vantage::Loopback | Vantage::TunnelDevice)))
    };
    if conn.record.interfaces.iter().any(is_inner) {
        return;
    }
    for hit in conn.hits.iter().filter(|hit| hit.in_ciphertext) {
        if let Some(dir) = hit.dir
            && twice.len() < MAX_TWICE
        {
            twice.insert(key(&conn.record.id, dir, hit.offset, hit.label.as_deref()));
        }
    }
}

/// Takes away hits in ciphertext that another vantage has already shown at the same place: chance weighs each hit by
/// itself, and these are one.
fn forget_twice(twice: &HashSet<(ConnId, Direction, u64, String)>, conn: &mut ConnSummary) {
    let id = conn.record.id;
    conn.hits.retain(|hit| {
        let is_known = hit
            .dir
            .is_some_and(|dir| twice.contains(&key(&id, dir, hit.offset, hit.label.as_deref())));
        !(hit.in_ciphertext && is_known)
    });
}

/// Who opened a conn is a guess where its start was not seen: the smaller end comes first.
fn key(
    id: &ConnId,
    dir: Direction,
    offset: u64,
    label: Option<&str>,
) -> (ConnId, Direction, u64, String) {
    let plain = |end: Endpoint| Endpoint { ip: end.ip.to_canonical(), port: end.port };
    let (orig, resp) = (plain(id.orig), plain(id.resp));
    let label = label.unwrap_or_default().to_owned();
    if orig <= resp {
        (ConnId { orig, resp, proto: id.proto }, dir, offset, label)
    } else {
        (ConnId { orig: resp, resp: orig, proto: id.proto }, dir.reverse(), offset, label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interface_has_the_lane_of_its_vantage_and_strangers_the_first() {
        let lanes = Lanes::of(&[vec![0, 2], vec![1], vec![u32::MAX]]);
        assert_eq!([0, 1, 2, 3, u32::MAX].map(|id| lanes.lane(id)), [0, 1, 0, 0, 0]);
        assert_eq!(lanes.count(), 2);
        assert_eq!(Lanes::of(&[]).count(), 1);
        let hostile: Vec<Vec<u32>> = (0..10_000).map(|id| vec![id]).collect();
        assert_eq!(Lanes::of(&hostile).count(), MAX_LANES);
    }
}
