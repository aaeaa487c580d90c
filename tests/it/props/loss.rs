//! Loss: it never makes an answer better, and a PASS stands only where it hides nothing.

use super::packets::Piece;
use super::{Base, Dice, bases, cases, judge, manifest};
use crate::wire::{FIN, RST, SYN, Shot, Wire};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tunnelcheck::model::{Class, Verdict};

/// Why the loss of a frame may go unnoticed. Everything else must take a PASS away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Excuse {
    /// No TCP, or no IP: nobody acknowledges it, and no other frame vouches for it.
    NobodyVouches,
    /// TCP without payload: it hides nothing.
    Empty,
    /// The other side never acknowledged it, and nothing follows it.
    LastWord,
    /// Its octets stand in other frames as well.
    Repeated,
    /// It lies behind the sealing of proven ciphertext.
    Ciphertext,
    /// The conn is exempt.
    Exempt,
}

/// The excuse of a frame, by the frames around it and by what the whole capture showed.
fn excuse(base: &Base, at: usize, sealed: &Sealed) -> Option<Excuse> {
    let frames = &base.wire.frames;
    let Some(piece) = Piece::of(&frames[at].octets) else { return Some(Excuse::NobodyVouches) };
    if piece.len() == 0 {
        return Some(Excuse::Empty);
    }
    let others: Vec<Piece> = (0..frames.len())
        .filter(|other| *other != at)
        .filter_map(|other| Piece::of(&frames[other].octets))
        .collect();
    let end = piece.seq.wrapping_add(piece.len());
    let reaches = |seq: u32| end.wrapping_sub(seq).cast_signed() <= 0;
    let same = |it: &&Piece| it.src == piece.src && it.dst == piece.dst;
    let back = |it: &&Piece| it.src == piece.dst && it.dst == piece.src;
    let holds =
        |octet: u32| others.iter().filter(same).any(|it| octet.wrapping_sub(it.seq) < it.len());
    if (0..piece.len()).all(|it| holds(piece.seq.wrapping_add(it))) {
        return Some(Excuse::Repeated);
    }
    if sealed.holds(&piece) {
        return Some(Excuse::Ciphertext);
    }
    if sealed.is_exempt(&piece) {
        return Some(Excuse::Exempt);
    }
    let goes_on = others
        .iter()
        .filter(same)
        .any(|it| reaches(it.seq) && (it.len() > 0 || it.flags & (FIN | RST) == FIN));
    let is_acked = others.iter().filter(back).any(|it| it.flags & 0x10 != 0 && reaches(it.ack));
    (!goes_on && !is_acked).then_some(Excuse::LastWord)
}

/// From which sequence number on each direction of each conn is ciphertext, by the whole capture.
struct Sealed {
    from: Vec<(Piece, u32)>,
    exempt: Vec<Piece>,
}

impl Sealed {
    /// The first frame of a conn's direction that lies behind the sealing is found by leaving frames out: a copy of the
    /// capture that lacks the payload of one frame says in `missed_in_clear` whether it was in the clear.
    fn of(base: &Base) -> Self {
        let whole = base.judge(&[base.wire.pcap()]);
        let mut sealed = Self { from: Vec::new(), exempt: Vec::new() };
        for shot in &base.wire.frames {
            let Some(syn) = Piece::of(&shot.octets).filter(|it| it.flags & SYN != 0) else {
                continue;
            };
            let conn = whole.conns.iter().find(|conn| {
                let id = conn.record.id;
                let (one, other) = ((id.orig.ip, id.orig.port), (id.resp.ip, id.resp.port));
                (one, other) == (syn.src, syn.dst) || (other, one) == (syn.src, syn.dst)
            });
            let Some(conn) = conn else { continue };
            let is_orig = syn.src == (conn.record.id.orig.ip, conn.record.id.orig.port);
            let index = usize::from(!is_orig);
            if base.plan.target.exempts.iter().any(|it| it.port == Some(conn.record.id.resp.port)) {
                sealed.exempt.push(syn.clone());
            }
            if matches!(conn.class, Class::Encrypted | Class::Upgraded) {
                let clear = conn.record.bytes[index] + conn.record.missed_bytes[index]
                    - conn.sealed_bytes[index];
                let clear = u32::try_from(clear).unwrap();
                let from = syn.seq.wrapping_add(1).wrapping_add(clear);
                sealed.from.push((syn, from));
            }
        }
        sealed
    }

    fn holds(&self, piece: &Piece) -> bool {
        self.from.iter().any(|(syn, from)| {
            syn.src == piece.src
                && syn.dst == piece.dst
                && piece.seq.wrapping_sub(*from).cast_signed() >= 0
        })
    }

    fn is_exempt(&self, piece: &Piece) -> bool {
        self.exempt.iter().any(|syn| {
            (syn.src, syn.dst) == (piece.src, piece.dst)
                || (syn.dst, syn.src) == (piece.src, piece.dst)
        })
    }
}

/// The captures that pass as they are.
fn passing() -> Vec<Base> {
    bases().into_iter().filter(|base| base.verdict(&base.wire) == Verdict::Pass).collect()
}

#[test]
fn a_pass_without_any_one_frame_stands_only_where_that_frame_hides_nothing() {
    let (mut wrong, mut kept, mut lost) = (Vec::new(), 0, 0);
    for base in passing() {
        let sealed = Sealed::of(&base);
        for at in 0..base.wire.frames.len() {
            let mut wire = base.wire.clone();
            wire.frames.remove(at);
            let verdict = base.verdict(&wire);
            let excuse = excuse(&base, at, &sealed);
            let is_wrong = match verdict {
                Verdict::Pass => excuse.is_none(),
                Verdict::Fail => true,
                Verdict::Inconclusive => false,
            };
            if is_wrong {
                wrong.push(format!("{} without frame {}: {verdict:?}", base.name, at + 1));
            }
            *(if verdict == Verdict::Pass { &mut kept } else { &mut lost }) += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(kept > 100 && lost > 50, "{kept} kept their PASS, {lost} lost it");
}

#[test]
fn a_pass_whose_frames_were_cut_stands_only_where_the_cuts_lie_in_ciphertext() {
    for base in passing() {
        for snaplen in [14, 34, 54, 60, 68, 96, 128, 200, 400, 1000] {
            let mut wire = base.wire.clone();
            wire.cut(snaplen);
            let is_cut = wire.frames.iter().any(|it| it.len as usize > it.octets.len());
            let verdict = base.verdict(&wire);
            let name = &base.name;
            assert!(verdict != Verdict::Fail, "{name} cut to {snaplen}");
            assert!(
                !is_cut || verdict != Verdict::Pass || snaplen >= 400,
                "{name} cut to {snaplen}"
            );
        }
        // One frame alone.
        let sealed = Sealed::of(&base);
        for at in 0..base.wire.frames.len() {
            let mut wire = base.wire.clone();
            let shot = &mut wire.frames[at];
            let keep = Piece::of(&shot.octets).filter(|it| it.len() > 0).map_or(20, |it| it.data);
            if shot.octets.len() <= keep {
                continue;
            }
            shot.octets.truncate(keep);
            let is_sealed =
                Piece::of(&base.wire.frames[at].octets).is_some_and(|it| sealed.holds(&it));
            let verdict = base.verdict(&wire);
            let is_right = match verdict {
                Verdict::Pass => is_sealed,
                Verdict::Fail => false,
                Verdict::Inconclusive => true,
            };
            assert!(is_right, "{}: frame {} cut to {keep}: {verdict:?}", base.name, at + 1);
        }
    }
}

#[test]
fn a_file_cut_in_a_record_never_passes_and_one_cut_behind_it_never_fails() {
    for base in passing().iter().filter(|it| it.wire.frames.len() < 90) {
        let file = base.wire.pcap();
        let mut ends = vec![24];
        for shot in &base.wire.frames {
            ends.push(ends[ends.len() - 1] + 16 + shot.octets.len());
        }
        for (number, pair) in ends.windows(2).enumerate() {
            let at_record = base.judge(&[file[..pair[0]].to_vec()]).judgement.verdict;
            assert!(at_record != Verdict::Fail, "{} ends in front of {}", base.name, number + 1);
            let inside = pair[0] + 1 + number * 7 % (pair[1] - pair[0] - 1);
            let verdict = base.judge(&[file[..inside].to_vec()]).judgement.verdict;
            assert_ne!(verdict, Verdict::Pass, "{} ends at {inside}", base.name);
        }
    }
}

/// Whether a frame's loss is one that others tell of: payload of TCP that is acknowledged, or followed by more.
fn is_vouched_for(frames: &[Shot], at: usize) -> bool {
    let Some(piece) = Piece::of(&frames[at].octets) else { return false };
    let end = piece.seq.wrapping_add(piece.len());
    piece.len() > 0
        && piece.flags & SYN == 0
        && frames.iter().filter_map(|it| Piece::of(&it.octets)).any(|it| {
            it.src == piece.dst
                && it.dst == piece.src
                && it.len() == 0
                && it.flags & 0x10 != 0
                && it.ack.wrapping_sub(end).cast_signed() >= 0
        })
}

#[test]
fn more_loss_never_turns_another_answer_into_a_pass() {
    for base in bases() {
        let before = base.verdict(&base.wire);
        if before == Verdict::Pass {
            continue;
        }
        let frames = &base.wire.frames;
        let vouched: Vec<usize> =
            (0..frames.len()).filter(|at| is_vouched_for(frames, *at)).collect();
        for case in 0..cases() * 4 {
            let mut dice = Dice::of(&base.name, case);
            let share = 1 + dice.roll(4);
            let gone: Vec<usize> =
                vouched.iter().copied().filter(|_| dice.roll(5) < share).collect();
            let kept = (0..frames.len()).filter(|at| !gone.contains(at));
            let wire = base.with(kept.map(|at| frames[at].clone()).collect());
            let after = base.verdict(&wire);
            assert_ne!(after, Verdict::Pass, "{} ({before:?}) without {gone:?}", base.name);
        }
    }
}

/// The blocks of a pcapng file, each with its kind.
fn blocks(file: &[u8]) -> Vec<(u32, &[u8])> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let len = number(at + 4) as usize;
        blocks.push((number(at), &file[at..at + len]));
        at += len;
    }
    blocks
}

#[test]
fn our_own_recording_without_a_control_token_or_its_statistics_never_passes() {
    let (plan, strict, capture) = manifest(Path::new("captures/own-run.toml")).unwrap();
    let file = fs::read(capture).unwrap();
    let blocks = blocks(&file);
    let verdict = |is_left_out: &dyn Fn(usize, &[u8]) -> bool| {
        let kept = blocks.iter().enumerate().filter(|(at, (_, octets))| !is_left_out(*at, octets));
        let file: Vec<u8> = kept.flat_map(|(_, (_, octets))| octets.iter().copied()).collect();
        judge(&plan, strict, &[file]).judgement.verdict
    };
    assert_eq!(verdict(&|_, _| false), Verdict::Pass);
    let mut tokens = BTreeSet::new();
    for (at, (kind, octets)) in blocks.iter().enumerate() {
        let place = memchr::memmem::find(octets, b"tunnelcheck-control-");
        match (kind, place) {
            (6, Some(place)) => {
                tokens.insert(octets[place..place + 44].to_vec());
            }
            (6, None) => assert_ne!(verdict(&|it, _| it == at), Verdict::Fail, "without {at}"),
            (5, _) => assert_ne!(verdict(&|it, _| it == at), Verdict::Pass, "without statistics"),
            _ => {}
        }
    }
    assert!(tokens.len() >= 3, "{} control tokens", tokens.len());
    for token in tokens {
        // An error of ICMP may quote it: a token is seen where any frame shows it.
        let shows = |_: usize, octets: &[u8]| {
            octets.starts_with(&[6, 0, 0, 0]) && memchr::memmem::find(octets, &token).is_some()
        };
        assert_eq!(verdict(&shows), Verdict::Inconclusive);
    }
}

#[test]
fn an_empty_wire_is_no_pass() {
    for base in passing() {
        assert_eq!(base.verdict(&Wire::default()), Verdict::Inconclusive, "{}", base.name);
    }
}
