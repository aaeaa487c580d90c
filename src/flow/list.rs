//! Lists of slots, threaded through the slots themselves: a conn enters, leaves and moves without a search, and costs no
//! memory elsewhere.

/// What a conn is, for the choice of who must leave first. In that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// TCP that ended.
    Closed,
    /// TCP with payload that was reset: the reset may not have been believed.
    Reset,
    /// TCP without payload.
    Embryo,
    /// Not TCP.
    Datagram,
    /// TCP with payload.
    Open,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Closed, Self::Reset, Self::Embryo, Self::Datagram, Self::Open];

    /// Whether one that leaves the table is counted: what ended is not.
    pub(super) const fn has_ended(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }
}

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// The neighbours of a slot in one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    before: u32,
    after: u32,
}

impl Link {
    /// The slot behind it.
    pub(super) const fn after(self) -> u32 {
        self.after
    }
}

impl Default for Link {
    fn default() -> Self {
        Self { before: NONE, after: NONE }
    }
}

/// Where a list finds its links.
pub(super) trait Links {
    fn link(&mut self, slot: u32) -> Option<&mut Link>;
}

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl List {
    pub(super) fn first(self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Appends a slot that is in no list of these links.
    pub(super) fn push(&mut self, slot: u32, links: &mut impl Links) {
        if let Some(link) = links.link(slot) {
            *link = Link { before: self.last, after: NONE };
        }
        match links.link(self.last) {
            Some(last) => last.after = slot,
            None => self.first = slot,
        }
        self.last = slot;
    }

    /// Takes out a slot that is in this list.
    pub(super) fn remove(&mut self, slot: u32, links: &mut impl Links) {
        let Some(Link { before, after }) = links.link(slot).map(std::mem::take) else { return };
        match links.link(before) {
            Some(link) => link.after = after,
            None => self.first = after,
        }
        match links.link(after) {
            Some(link) => link.before = before,
            None => self.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain(Vec<Link>);

    impl Links for Plain {
        fn link(&mut self, slot: u32) -> Option<&mut Link> {
            self.0.get_mut(usize::try_from(slot).unwrap())
        }
    }

    #[test]
    fn slots_leave_in_the_order_they_came_wherever_others_left() {
        let mut links = Plain(vec![Link::default(); 5]);
        let mut list = List::default();
        for slot in 0..5 {
            list.push(slot, &mut links);
        }
        for slot in [2, 0, 4] {
            list.remove(slot, &mut links);
        }
        list.push(2, &mut links);
        let mut left = Vec::new();
        while let Some(slot) = list.first() {
            list.remove(slot, &mut links);
            left.push(slot);
        }
        assert_eq!(left, [1, 3, 2]);
        assert_eq!(list.last, NONE);
    }
}
