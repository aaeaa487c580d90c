//! Text of letters, and the identifiers that stand nowhere else in it.

use super::Rng;
use data_encoding::BASE64;

const WORDS: &str = "the of and to in a is that for it as was with be by on not he his but at are this have from or had \
    an they which one you were all her she there would their we him been has when who will no more if out so up said what \
    its about than into them can only other time new some could these two may first then do any like my now over such our \
    man me even most made after also did many off before must well back through years much where your way down should \
    because long each just state those people too mr how little good world make very year still see work life day part \
    between meeting report invoice budget project customer schedule draft attached please regards thanks team review \
    office contract quarter delivery system server update release issue ticket question answer morning afternoon week \
    month monday friday market account payment order shipment address number phone call request change plan design test \
    result notes summary garden kitchen window river mountain summer winter weather holiday train station hotel dinner \
    coffee music film";
const SYLLABLES: &str =
    "ba ke li mo nu ra se ti vo wa ye zo fen gar hel jor kal lun mar nor pel ros sten tal ver wil";

/// Identifiers of every capture.
pub(crate) const IDENTIFIERS: usize = 80;

/// The names that are planted: `qbake.linuq`. No other text here begins or ends a word with q.
pub(crate) fn identifiers() -> Vec<String> {
    let syllables: Vec<&str> = SYLLABLES.split(' ').collect();
    let (mut rng, mut names) = (Rng::new(424_242), Vec::new());
    while names.len() < IDENTIFIERS {
        let [a, b, c, d] = std::array::from_fn(|_| *rng.pick(&syllables));
        let name = format!("q{a}{b}{}{c}{d}q", rng.pick(&['.', '_', '-']));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What messages are made of.
pub(super) struct Stock {
    words: Vec<&'static str>,
    paragraphs: Vec<Vec<u8>>,
    attachments: Vec<Vec<u8>>,
}

impl Stock {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let paragraphs = (0..2000).map(|_| paragraph(rng, &words)).collect();
        let attachments = (0..100).map(|_| attachment(rng)).collect();
        Self { words, paragraphs, attachments }
    }

    /// A paragraph, or now and then a piece of an attachment in base64.
    pub(super) fn piece(&self, rng: &mut Rng) -> &[u8] {
        let from = if rng.per_mille(60) { &self.attachments } else { &self.paragraphs };
        let piece: &Vec<u8> = rng.pick(from);
        piece
    }

    pub(super) fn subject(&self, rng: &mut Rng) -> String {
        let words: Vec<&str> = (0..6).map(|_| *rng.pick(&self.words)).collect();
        words.join(" ")
    }
}

fn paragraph(rng: &mut Rng, words: &[&str]) -> Vec<u8> {
    let (mut text, mut line) = (String::new(), 0);
    for _ in 0..rng.within(30, 160) {
        // Common words stand first in the list, and come more often.
        let most = rng.within(1, words.len() as u64 + 1);
        let word = words[rng.below(most) as usize];
        match word.split_at_checked(1) {
            Some((first, rest)) if rng.per_mille(80) => {
                text += &first.to_uppercase();
                text += rest;
            }
            _ => text += word,
        }
        line += word.len() + 1;
        text += if rng.per_mille(60) {
            ". "
        } else if line > 70 {
            "\r\n"
        } else {
            " "
        };
        if line > 70 {
            line = 0;
        }
    }
    text += "\r\n\r\n";
    text.into_bytes()
}

fn attachment(rng: &mut Rng) -> Vec<u8> {
    let mut octets = Vec::new();
    let len = rng.within(2000, 30_000) as usize;
    rng.fill(&mut octets, len);
    let mut lines = Vec::new();
    for line in BASE64.encode(&octets).as_bytes().chunks(76) {
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}
