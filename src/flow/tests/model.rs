//! Reassembly held against a model without cleverness: for every octet of the stream, what was seen there.

use super::{A, F, Heard, Limits, R, S, Talk, client, server};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What the client sends, in the order of the capture.
#[derive(Clone, Debug)]
struct Sent {
    at: usize,
    bytes: Vec<u8>,
    flags: u8,
}

/// Every octet that was seen at an offset, in the order of arrival.
#[derive(Debug, Default)]
struct Model(BTreeMap<usize, Vec<u8>>);

impl Model {
    fn of(script: &[Sent]) -> Self {
        let mut model = Self::default();
        for sent in script.iter().filter(|sent| sent.flags & R == 0) {
            for (index, byte) in sent.bytes.iter().enumerate() {
                model.0.entry(sent.at + index).or_default().push(*byte);
            }
        }
        model
    }

    fn has_conflict(&self) -> bool {
        self.0.values().any(|seen| seen.iter().any(|octet| *octet != seen[0]))
    }

    /// The first version of every octet, up to the last one seen or finished.
    fn stream(&self, end: usize) -> Vec<Option<u8>> {
        let last = self.0.last_key_value().map_or(0, |(at, _)| at + 1);
        (0..last.max(end)).map(|at| self.0.get(&at).map(|seen| seen[0])).collect()
    }
}

/// Whether `wanted` can be read from offset `at` on, in the stream or in another version of it.
fn is_handed_on(heard: &Heard, at: usize, wanted: &[u8]) -> bool {
    let stream: Vec<Option<u8>> = wanted.iter().copied().map(Some).collect();
    heard.streams[0].get(at..at + wanted.len()) == Some(&*stream)
        || heard.alternates[0].iter().any(|(offset, octets)| {
            let index = at.checked_sub(usize::try_from(*offset).unwrap());
            index.and_then(|index| octets.get(index..index + wanted.len())) == Some(wanted)
        })
}

fn play(isn: u32, script: &[Sent]) -> Heard {
    let mut talk = Talk::with(Limits { context: 64, ..Limits::default() });
    talk.c(S, isn, 0, "");
    talk.s(S | A, 5000, isn.wrapping_add(1), "");
    for sent in script {
        let seq = isn.wrapping_add(1).wrapping_add(u32::try_from(sent.at).unwrap());
        talk.tcp(client(), server(), A | sent.flags, seq, 5001, &sent.bytes);
    }
    talk.only()
}

/// Segments anywhere in a short stream, some with FIN, some resets. `other`: how often an octet is another one.
fn script(other: u32) -> impl Strategy<Value = Vec<Sent>> {
    let flags = prop_oneof![12 => Just(0), 1 => Just(F), 1 => Just(R)];
    let octet = prop_oneof![9 => Just(0), other => 1..3_u8];
    let one = (0..120_usize, proptest::collection::vec(octet, 1..30), flags);
    proptest::collection::vec(one, 1..14).prop_map(|script| {
        let text = |at: usize| b"The quick brown fox jumps over a lazy dog, and on. "[at % 51];
        let sent = |(at, other, flags): (usize, Vec<u8>, u8)| {
            let bytes = (at..).zip(other).map(|(at, other)| text(at) ^ other << 5).collect();
            Sent { at, bytes, flags }
        };
        script.into_iter().map(sent).collect()
    })
}

/// Where the stream ends by its last FIN.
fn end(script: &[Sent]) -> usize {
    let ends = script.iter().filter(|it| it.flags & F != 0 && it.flags & R == 0);
    ends.map(|it| it.at + it.bytes.len()).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn without_conflicts_data_and_gaps_are_those_of_the_model(
        script in script(0),
        isn in prop_oneof![any::<u32>(), u32::MAX - 100..=u32::MAX],
    ) {
        let model = Model::of(&script);
        prop_assert!(!model.has_conflict());
        let heard = play(isn, &script);
        prop_assert_eq!(&heard.streams[0], &model.stream(end(&script)));
        prop_assert_eq!(heard.record().conflict_bytes, [0, 0]);
    }

    #[test]
    fn with_conflicts_the_stream_is_what_the_model_saw_first_and_every_two_versions_that_touch_are_handed_on(
        script in script(2),
        isn in prop_oneof![any::<u32>(), u32::MAX - 100..=u32::MAX],
    ) {
        let model = Model::of(&script);
        let heard = play(isn, &script);
        prop_assert_eq!(&heard.streams[0], &model.stream(end(&script)));
        let conflicts = heard.record().conflict_bytes[0];
        prop_assert_eq!(conflicts > 0, model.has_conflict());
        // A receiver that has one segment whole takes of the next what it lacks, at either end.
        let script: Vec<&Sent> = script.iter().filter(|it| it.flags & R == 0).collect();
        for one in &script {
            prop_assert!(is_handed_on(&heard, one.at, &one.bytes), "{one:?} is nowhere");
            for other in &script {
                let (one_end, other_end) = (one.at + one.bytes.len(), other.at + other.bytes.len());
                if other.at <= one_end && other_end > one_end && other.at >= one.at {
                    let mut both = one.bytes.clone();
                    both.extend(&other.bytes[one_end - other.at..]);
                    prop_assert!(is_handed_on(&heard, one.at, &both), "{one:?} then {other:?}");
                    let mut both = one.bytes[..other.at - one.at].to_vec();
                    both.extend(&other.bytes);
                    prop_assert!(is_handed_on(&heard, one.at, &both), "{other:?} after {one:?}");
                }
            }
        }
    }

    #[test]
    fn three_versions_in_a_row_are_handed_on_in_every_mixture(
        versions in proptest::collection::vec(proptest::collection::vec("[a-z]{3}", 1..4), 3..4),
        order in any::<proptest::sample::Index>(),
    ) {
        let mut script = Vec::new();
        for (place, versions) in versions.iter().enumerate() {
            for bytes in versions {
                script.push(Sent { at: place * 3, bytes: bytes.clone().into_bytes(), flags: 0 });
            }
        }
        let turn = order.index(script.len());
        script.rotate_left(turn);
        let heard = play(1000, &script);
        for first in &versions[0] {
            for second in &versions[1] {
                for third in &versions[2] {
                    let whole = format!("{first}{second}{third}");
                    prop_assert!(is_handed_on(&heard, 0, whole.as_bytes()), "{whole}");
                }
            }
        }
    }

    #[test]
    fn any_segmentation_and_any_order_give_the_same_stream_and_nothing_else(
        text in proptest::collection::vec(any::<u8>(), 1..400),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..30),
        isn in any::<u32>(),
    ) {
        let mut places: Vec<usize> = cuts.iter().map(|(cut, _)| cut.index(text.len())).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        places.dedup();
        let mut script: Vec<(u64, Sent)> = places
            .windows(2)
            .zip(cuts.iter().map(|(_, order)| *order).chain(std::iter::repeat(7)))
            .map(|(pair, order)| {
                (order, Sent { at: pair[0], bytes: text[pair[0]..pair[1]].to_vec(), flags: 0 })
            })
            .collect();
        script.sort_by_key(|(order, _)| *order);
        let script: Vec<Sent> = script.into_iter().map(|(_, sent)| sent).collect();
        let heard = play(isn, &script);
        let expected: Vec<Option<u8>> = text.into_iter().map(Some).collect();
        prop_assert_eq!(&heard.streams[0], &expected);
        prop_assert!(heard.alternates[0].is_empty());
        prop_assert!(heard.gaps[0].is_empty());
    }
}
