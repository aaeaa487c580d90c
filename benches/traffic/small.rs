//! Many short conns: DNS, UDP, and TCP with one exchange.

use super::packet::{ACK, PSH, Side, Talk, v4};
use super::{File, Frames, Rng, Scale};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddr};

const CONNS: u64 = 640_000;
/// Conns at a time.
const LIVE: u64 = 20_000;

pub(super) fn write<W: Write>(file: &mut File<W>, scale: Scale, seed: u64) -> io::Result<()> {
    let mut rng = Rng::new(seed + 3);
    let conns = scale.of(CONNS);
    let mut live = BinaryHeap::new();
    let mut waiting: Vec<Frames> = Vec::new();
    let mut next = 0;
    while next < conns.min(LIVE) {
        waiting.push(conn(next, &mut rng));
        live.push(Reverse((rng.below(40_000), next)));
        next += 1;
    }
    while let Some(Reverse((time, place))) = live.pop() {
        let frames = &mut waiting[place as usize];
        if let Some(frame) = frames.pop() {
            file.put(frame, 1)?;
        }
        if frames.is_used_up() {
            if next == conns {
                continue;
            }
            *frames = conn(next, &mut rng);
            next += 1;
        }
        live.push(Reverse((time + 1 + rng.below(1 << 15), place)));
    }
    Ok(())
}

fn conn(number: u64, rng: &mut Rng) -> Frames {
    let kind = number % 100;
    let vlan = number.is_multiple_of(11).then_some(100 + (number % 7) as u16);
    let spread = number * 2_654_435_761;
    let ends = |port: u64| -> (SocketAddr, SocketAddr) {
        let from = 1024 + number * 31 % 64_000;
        if number % 4 == 3 {
            (v6(1, spread % (1 << 40), from), v6(2, number % 5000, port))
        } else {
            (v4([10, 0, 0, 0], spread % (1 << 24), from), v4([172, 16, 0, 0], number % 9000, port))
        }
    };
    let mut frames = Frames::default();
    let pick = (number % 4) as usize;
    if kind < 35 {
        let (orig, resp) = ends(53);
        let mut talk = Talk::new(orig, resp, [0, 0]).with_vlan(vlan);
        let (question, answer) = dns(number);
        frames.push(talk.udp(Side::Orig, &question));
        frames.push(talk.udp(Side::Resp, &answer));
    } else if kind < 50 {
        let (orig, resp) = ends([123, 5060, 51_820, 4500][pick]);
        let mut talk = Talk::new(orig, resp, [0, 0]).with_vlan(vlan);
        for side in [Side::Orig, Side::Resp, Side::Orig, Side::Resp] {
            let mut payload = Vec::new();
            rng.fill(&mut payload, 20 + (number % 60) as usize);
            frames.push(talk.udp(side, &payload));
        }
    } else {
        let (orig, resp) = ends([80, 443, 25, 8080][pick]);
        let mut talk = Talk::new(orig, resp, [rng.word(), rng.word()]).with_vlan(vlan);
        talk.open(&mut frames);
        if pick == 1 {
            let mut hello = vec![0x16, 3, 1, 0, 0x30, 1];
            rng.fill(&mut hello, 40);
            frames.push(talk.tcp(Side::Orig, PSH | ACK, &hello));
            frames.push(talk.tcp(Side::Resp, PSH | ACK, &[0x15, 3, 3, 0, 2, 2, 0x28]));
        } else {
            let request = format!("GET /i{} HTTP/1.1\r\nHost: h\r\n\r\n", number % 999);
            frames.push(talk.tcp(Side::Orig, PSH | ACK, request.as_bytes()));
            frames.push(talk.tcp(Side::Resp, PSH | ACK, b"HTTP/1.1 204 No Content\r\n\r\n"));
        }
        talk.close(&mut frames);
    }
    frames
}

fn v6(network: u16, host: u64, port: u64) -> SocketAddr {
    let [a, b, c, d] = [48, 32, 16, 0].map(|shift| (host >> shift) as u16);
    SocketAddr::new(Ipv6Addr::new(0x2001, 0xdb8, 0, network, a, b, c, d).into(), port as u16)
}

/// A question for an address, and its answer (RFC 1035 s4).
fn dns(number: u64) -> (Vec<u8>, Vec<u8>) {
    let head = |flags: u16, answers: u16| -> Vec<u8> {
        [number as u16, flags, 1, answers, 0, 0]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect()
    };
    let mut name = Vec::new();
    for label in [&*format!("h{}", number % 9973), "example", "net", ""] {
        name.push(label.len() as u8);
        name.extend_from_slice(label.as_bytes());
    }
    name.extend_from_slice(&[0, 1, 0, 1]);
    let question = [head(0x0100, 0), name.clone()].concat();
    let mut answer = [head(0x8180, 1), name].concat();
    answer.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    answer.extend_from_slice(&(number as u32).to_be_bytes());
    (question, answer)
}
