//! Cases inside tunnels that can be read: what is in them is judged as if it were on the wire.

use crate::derive_captures::{GATEWAY, OTHER, tunnelled};
use crate::make_captures::{CLIENT, MAIL, at, blitzmail, noise, pop3};
use crate::wire::Wire;
use etherparse::{IpNumber, PacketBuilder};

pub(crate) fn carried() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("pop3-in-gre.pcap", pop3_in_gre().pcap()),
        ("blitzmail-in-vxlan.pcap", blitzmail_in_vxlan().pcap()),
        ("ssh-in-gtp.pcap", ssh_in_gtp().pcap()),
        ("name-in-gre-fragments.pcap", name_in_gre_fragments().pcap()),
        ("networks-with-equal-ends.pcap", networks_with_equal_ends().pcap()),
        ("pptp-compressed.pcap", pptp_compressed().pcap()),
        ("http-in-gre-to-gateway.pcap", http_in_gre_to_gateway().pcap()),
    ]
}

/// Ends of tunnels that are nobody's hosts.
const ENDS: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];

/// An Ethernet frame with a payload of any IP protocol.
fn frame(ends: [[u8; 4]; 2], proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 0x30], [2, 0, 0, 0, 0, 0x40])
        .ipv4(ends[0], ends[1], 64)
        .write(&mut octets, IpNumber(proto), payload)
        .unwrap();
    octets
}

/// GRE with a key around an IP packet.
fn gre(key: u8, packet: &[u8]) -> Vec<u8> {
    [&[0x20, 0, 8, 0, 0, 0, 0, key], packet].concat()
}

/// The frames of a wire, each changed.
fn through(inner: Wire, mut change: impl FnMut(&[u8]) -> Vec<u8>) -> Wire {
    let mut wire = inner;
    for shot in &mut wire.frames {
        shot.octets = change(&shot.octets);
        shot.len = u32::try_from(shot.octets.len()).unwrap();
    }
    wire
}

fn pop3_in_gre() -> Wire {
    let mut inner = Wire::default();
    pop3(&mut inner, &at(CLIENT, 49_501), &at(MAIL, 110));
    through(inner, |octets| frame(ENDS, 47, &gre(7, &octets[14..])))
}

/// A frame of one virtual network, between two machines that host it.
fn vxlan(network: u8, octets: &[u8]) -> Vec<u8> {
    let mut wire = Wire::default();
    let payload = [&[8, 0, 0, 0, 0, 0, network, 0], octets].concat();
    wire.udp("192.0.2.1:49500", "192.0.2.2:4789", &payload);
    wire.frames.remove(0).octets
}

fn blitzmail_in_vxlan() -> Wire {
    let mut inner = Wire::default();
    blitzmail(&mut inner, &at(CLIENT, 49_502), &at(MAIL, 2151));
    through(inner, |octets| vxlan(42, octets))
}

/// The recorded session through ssh as a mobile network carries it: a sequence number in front of each packet.
fn ssh_in_gtp() -> Wire {
    through(tunnelled(), |octets| {
        if octets[12..14] != [8, 0] {
            return octets.to_vec();
        }
        let total = u16::from_be_bytes([octets[16], octets[17]]);
        let length = (total + 4).to_be_bytes();
        let head = [0x32, 255, length[0], length[1], 0, 0, 0, 9, 0, 1, 0, 0];
        let payload = [&head, &octets[14..14 + usize::from(total)]].concat();
        let mut wire = Wire::default();
        wire.udp("192.0.2.1:2152", "192.0.2.2:2152", &payload);
        wire.frames.remove(0).octets
    })
}

/// A name between two hosts of no concern, in fragments inside GRE: it stands in none of them as a whole.
fn name_in_gre_fragments() -> Wire {
    let mut inner = Wire::default();
    inner.udp("10.9.0.1:49503", "10.9.0.2:7070", b"\x01\x02\x03\x04 login=John Smith;\x05\x06");
    let whole = inner.frames.remove(0).octets;
    let (head, payload) = whole[14..].split_at(20);
    let mut wire = tunnelled();
    for (index, part) in payload.chunks(16).enumerate().collect::<Vec<_>>().into_iter().rev() {
        let mut packet = head.to_vec();
        packet[2..4].copy_from_slice(&u16::try_from(20 + part.len()).unwrap().to_be_bytes());
        packet[4..6].copy_from_slice(&[0x12, 0x34]);
        let more = if (index + 1) * 16 < payload.len() { 0x2000 } else { 0 };
        packet[6..8].copy_from_slice(&(more | u16::try_from(index * 2).unwrap()).to_be_bytes());
        packet.extend_from_slice(part);
        wire.frame(frame(ENDS, 47, &gre(7, &packet)));
    }
    wire
}

/// The session through ssh in one virtual network; in another one a readable conn with the very same ends, by other hosts.
fn networks_with_equal_ends() -> Wire {
    let mut wire = tunnelled();
    let opening = wire
        .frames
        .iter()
        .find(|shot| shot.octets[12..14] == [8, 0] && shot.octets[23] == 6 && shot.octets[47] == 2)
        .unwrap();
    let port = u16::from_be_bytes([opening.octets[34], opening.octets[35]]);
    let of_ssh = wire.frames.len();
    let mut tcp = wire.connect(&at(CLIENT, port), &at(GATEWAY, 22));
    wire.server(&mut tcp, b"the name?\r\n");
    wire.client(&mut tcp, b"it is John Sm");
    wire.client(&mut tcp, b"ith, of course\r\n");
    wire.close(&mut tcp);
    let mut count = 0;
    through(wire, |octets| {
        count += 1;
        vxlan(if count <= of_ssh { 1 } else { 2 }, octets)
    })
}

/// The client's PPTP, its packets compressed: what is in them cannot be read.
fn pptp_compressed() -> Wire {
    let mut wire = tunnelled();
    for seed in 1..6 {
        let body = noise(seed, 120);
        let head = [0x30, 1, 0x88, 0x0b, 0, 122, 0, 3, 0, 0, 0, u8::try_from(seed).unwrap()];
        let payload = [&head[..], &[0, 0xfd], &body].concat();
        let ends = [CLIENT, OTHER].map(|ip| ip.parse::<std::net::Ipv4Addr>().unwrap().octets());
        wire.frame(frame(ends, 47, &payload));
    }
    wire
}

/// The client's GRE to the gateway, with a readable conn between addresses that the target does not name.
fn http_in_gre_to_gateway() -> Wire {
    let mut inner = Wire::default();
    let mut tcp = inner.connect("172.16.0.1:49504", "172.16.0.2:80");
    inner.client(&mut tcp, b"GET /snow HTTP/1.1\r\nHost: weather.example\r\n\r\n");
    inner.server(
        &mut tcp,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\nSnow in the north\n",
    );
    inner.close(&mut tcp);
    let ends = [CLIENT, GATEWAY].map(|ip| ip.parse::<std::net::Ipv4Addr>().unwrap().octets());
    let mut wire = tunnelled();
    for shot in inner.frames {
        wire.frame(frame(ends, 47, &gre(7, &shot.octets[14..])));
    }
    wire
}
