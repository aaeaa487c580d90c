//! The slots of a text: for each of its characters the octets that it may be written as, side by side in few pieces of
//! memory. Thousands of texts have some hundred thousand slots.

/// The slots of a text, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    octets: Vec<u8>,
    /// Where each alternative ends, in `octets`.
    ends: Vec<u32>,
    /// Where the alternatives of each slot end, in `ends`.
    bounds: Vec<u32>,
}

/// The ways in which one character may be written, longest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    octets: &'a [u8],
    ends: &'a [u32],
    start: u32,
}

impl Slots {
    /// One more slot.
    pub(super) fn push<'a>(&mut self, alternatives: impl IntoIterator<Item = &'a [u8]>) {
        for alternative in alternatives {
            self.octets.extend_from_slice(alternative);
            self.ends.push(number(self.octets.len()));
        }
        self.bounds.push(number(self.ends.len()));
    }

    /// Forgets all slots, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.ends.clear();
        self.bounds.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.bounds.len()
    }

    pub(super) fn get(&self, nth: usize) -> Option<Slot<'_>> {
        let to = *self.bounds.get(nth)?;
        let from = nth.checked_sub(1).and_then(|nth| self.bounds.get(nth)).copied().unwrap_or(0);
        let start = from.checked_sub(1).and_then(|at| self.ends.get(at as usize));
        Some(Slot {
            octets: &self.octets,
            ends: self.ends.get(from as usize..to as usize)?,
            start: start.copied().unwrap_or(0),
        })
    }

    /// The slots from one on.
    pub(super) fn from(&self, first: usize) -> impl DoubleEndedIterator<Item = Slot<'_>> + Clone {
        (first..self.len()).filter_map(|nth| self.get(nth))
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Slot<'_>> + Clone {
        self.from(0)
    }

    /// The octets of all alternatives.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl<'a> Slot<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let mut start = self.start;
        self.ends.iter().filter_map(move |end| {
            let from = std::mem::replace(&mut start, *end);
            self.octets.get(from as usize..*end as usize)
        })
    }

    /// How many alternatives there are.
    pub(super) fn len(self) -> usize {
        self.ends.len()
    }

    pub(super) fn first(self) -> Option<&'a [u8]> {
        self.iter().next()
    }

    pub(super) fn last(self) -> Option<&'a [u8]> {
        self.iter().last()
    }

    /// Octets of the shortest alternative, and of the longest.
    pub(super) fn lens(self) -> (usize, usize) {
        let mut start = self.start;
        let mut lens = None;
        for end in self.ends {
            let len = (end - start) as usize;
            start = *end;
            let (least, most) = lens.unwrap_or((len, len));
            lens = Some((len.min(least), len.max(most)));
        }
        lens.unwrap_or_default()
    }
}

/// Texts are bounded, and so are their alternatives.
fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_given_back_as_they_were_put_in() {
        let given: [&[&[u8]]; 4] = [&[b"ab", b"c"], &[b"x"], &[], &[b"", b"yz"]];
        let mut slots = Slots::default();
        for slot in given {
            slots.push(slot.iter().copied());
        }
        let all: Vec<Vec<&[u8]>> = slots.iter().map(|slot| slot.iter().collect()).collect();
        assert_eq!(all, given);
        assert_eq!((slots.len(), slots.octets()), (4, &b"abcxyz"[..]));
        let lens: Vec<(usize, usize)> = slots.from(1).map(Slot::lens).collect();
        assert_eq!(lens, [(1, 1), (0, 0), (0, 2)]);
        assert!(slots.get(4).is_none());
    }
}
