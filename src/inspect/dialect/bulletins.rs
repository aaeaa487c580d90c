//! The bulletins of the BlitzMail family: NNTP's commands, a sign-on with uid and challenge, topics with titles. No
//! published standard. A dialect of its own, so that a target can exempt bulletins and still watch the news.

use super::nntp::{BULLETIN_VERBS, open_bulletins};
use super::{Fit, Opening, Spec};
use crate::inspect::codes::{reply_code, word};
use crate::inspect::probe::{View, count, either_way, first_line, has_word, is_one_of, lines};
use crate::model::Proto;

pub(super) static SPEC: Spec = Spec {
    name: "bulletins",
    standards: &["BlitzMail bulletins (Dartmouth College)", "RFC 3977"],
    proto: Proto::TCP,
    ports: PORTS,
    cleartext: true,
    probe,
    open: open_bulletins,
};

const PORTS: &[u16] = &[1119];

/// Verbs of a sign-on.
const SIGN_ON: &[&str] = &["UID#", "USER", "PASE", "PASS", "QUIT", "NOOP"];

/// NNTP's verbs that the client uses.
const SHARED_VERBS: &[&str] =
    &["GROUP", "XHEAD", "HEAD", "BODY", "ARTICLE", "WHAT", "MODE", "LIST"];

fn probe(opening: &Opening<'_>) -> Fit {
    either_way(opening, PORTS, fit)
}

fn fit(view: &View<'_>) -> Fit {
    let (own, sign_on, shared) = (
        count(view.client, BULLETIN_VERBS),
        count(view.client, SIGN_ON),
        count(view.client, SHARED_VERBS),
    );
    if !view.client.is_empty() && !own.first && !sign_on.first && !shared.first {
        return Fit::No;
    }
    let (line, whole) = first_line(view.server);
    if view.server.is_empty() {
        return match own.fitting {
            1.. if own.distinct + sign_on.distinct >= 2 => Fit::Certain,
            0 if sign_on.fitting == 0 && shared.fitting == 0 => view.undecided(),
            _ => view.by_port(),
        };
    }
    let Some(code) = reply_code(line) else {
        let may_become = !whole && line.len() < 4 && line.iter().all(u8::is_ascii_digit);
        return if may_become { view.undecided() } else { Fit::No };
    };
    let text = line.get(4..).unwrap_or_default();
    let named = has_word(text, whole, |word| is_one_of(word, &["bulletin", "bulletins"]));
    let uid =
        lines(view.client).any(|(line, whole)| whole && word(line).0.eq_ignore_ascii_case(b"UID#"));
    let challenged = lines(view.server).any(|(line, _)| reply_code(line) == Some(300));
    match code {
        200 | 201 if named => Fit::Certain,
        _ if own.fitting > 0 && (200..600).contains(&code) => Fit::Certain,
        200 | 201 if uid && challenged => Fit::Certain,
        200 | 201 | 211 | 220..=222 | 260 | 290 | 300 => view.by_port(),
        _ => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::script::{
        C, S, Turn, assert_never_panics, assert_refuses_others, assert_split_invariant, fields,
        fit, play, play_gap,
    };

    const SESSION: &[Turn<'_>] = &[
        (S, b"200 Bulletin server ready.\r\n"),
        (C, b"UID# 60591\r\n"),
        (S, b"300 240147326165005023201134\r\n"),
        (C, b"PASE 144167311017116244231155\r\n"),
        (S, b"210 Ok.\r\n"),
        (C, b"LSTB\r\n"),
        (S, b"260 list\r\ndartmouth.bulletins.unix,\"Unix, \"\"at\"\" home\",Y,N,1-20,19,\"1-9;+0\"\r\n.\r\n"),
        (C, b"GROUP dartmouth.bulletins.unix\r\nHEAD 19\r\n"),
        (S, b"211 20 1 20 x\r\n221 19\r\nFrom: a@b.c\r\nSubject: down\r\n.\r\n"),
    ];

    #[test]
    fn a_session_gives_user_answer_and_topics() {
        assert_eq!(
            fields(&play(&SPEC, SESSION)),
            [
                "credential username=60591",
                "credential challenge-response=240147326165005023201134 144167311017116244231155",
                "content folder=dartmouth.bulletins.unix",
                "content subject=Unix, \"\"at\"\" home",
                "content folder=dartmouth.bulletins.unix",
                "content address=a@b.c",
                "content subject=down",
            ]
        );
    }

    #[test]
    fn a_gap_is_survived() {
        let told = play_gap(&SPEC, &SESSION[..5], C, 9, &[(C, b"torn\r\nGROUP a.b\r\n")]);
        assert_eq!(fields(&told).last().unwrap(), "content folder=a.b");
    }

    #[test]
    fn probe_is_certain_of_own_verbs_and_plausible_by_port() {
        assert_eq!(fit(&SPEC, b"LSTB\r\n", b"260 list\r\n", C, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", SESSION[0].1, S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"UID# 7\r\n", b"200 ready\r\n300 x\r\n", S, 9), Fit::Certain);
        assert_eq!(fit(&SPEC, b"", b"200 ready\r\n", S, 1119), Fit::Plausible);
    }

    #[test]
    fn probe_waits_for_more_and_refuses_near_misses() {
        assert_eq!(fit(&SPEC, b"", b"200", S, 9), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"LSTBX\r\n", b"", C, 1119), Fit::No);
        assert_eq!(fit(&SPEC, b"", b"220 mail ESMTP\r\n", S, 9), Fit::NeedMore);
        assert_eq!(fit(&SPEC, b"", b"+OK\r\n", S, 1119), Fit::No);
        assert_refuses_others(&SPEC);
    }

    #[test]
    fn any_split_gives_the_same_events() {
        assert_split_invariant(&SPEC, SESSION);
    }

    #[test]
    fn arbitrary_octets_never_panic() {
        assert_never_panics(&SPEC, SESSION);
    }
}
