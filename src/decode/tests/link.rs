//! One test for each link type, on octets made by hand: whole, and cut at every length.

use super::*;

/// `head`, then the packet.
fn with(head: &[u8]) -> Vec<u8> {
    [head, &ip()].concat()
}

/// The layers that carried the packet.
fn way(link_type: LinkType, data: &[u8]) -> String {
    let seen = one(link_type, data);
    expect_text(&seen);
    seen.encap
}

/// Checks that the packet is read, that `unread` is left to be searched, and that no cut makes up octets.
fn reads(link_type: LinkType, data: &[u8], unread: &[&[u8]]) {
    let seen = one(link_type, data);
    expect_text(&seen);
    let left: Vec<&[u8]> = seen.unread.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(left, unread, "{link_type}");
    cut_everywhere(link_type, data);
}

/// Every beginning of a frame, as a whole and as a frame that was cut.
fn cut_everywhere(link_type: LinkType, data: &[u8]) {
    for keep in 0..data.len() {
        for len in [keep, data.len()] {
            let seen = Bench::default().frame_of(link_type, &data[..keep], len);
            assert!(TEXT.starts_with(&seen.payload), "{link_type} cut to {keep}: {seen:?}");
        }
    }
}

/// The only end of a frame that is no packet.
fn only(link_type: LinkType, data: &[u8]) -> &'static str {
    let mut bench = Bench::default();
    assert_eq!(bench.frame(link_type, data).segment, None);
    assert_eq!(bench.undecoded(), []);
    cut_everywhere(link_type, data);
    bench.decoder.coverage().link_only.keys().next().unwrap()
}

/// Ethernet around the packet.
fn inner() -> Vec<u8> {
    ether(0x0800, &ip())
}

const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

#[test]
fn token_ring_with_a_route_and_without() {
    let plain = [&[0x10, 0x40][..], &[2; 6], &[4; 6], &SNAP].concat();
    reads(LinkType::IEEE802_5, &with(&plain), &[]);
    let route = [0x06, 0x30, 1, 2, 3, 4];
    let routed = [&[0x10, 0x40][..], &[2; 6], &[0x84; 6], &route, &SNAP].concat();
    reads(LinkType::IEEE802_5, &with(&routed), &[&route]);
    let route = [&[0x12, 0x30][..], &[7; 16]].concat();
    let routed = [&[0x10, 0x40][..], &[2; 6], &[0x84; 6], &route, &SNAP].concat();
    reads(LinkType::IEEE802_5, &with(&routed), &[&route]);
    let mac = [&[0x10, 0][..], &[4; 12]].concat();
    assert_eq!(only(LinkType::IEEE802_5, &mac), "token-ring-mac");
    let reserved = [&[0x10, 0x80][..], &[4; 12]].concat();
    assert_eq!(refused(LinkType::IEEE802_5, &reserved), Weird::UnknownLlc);
}

#[test]
fn fddi() {
    reads(LinkType::FDDI, &with(&[&[0x57][..], &[2; 12], &SNAP].concat()), &[]);
    assert_eq!(only(LinkType::FDDI, &[&[0x41][..], &[2; 12]].concat()), "fddi-mac");
    assert_eq!(refused(LinkType::FDDI, &[&[0x71][..], &[2; 12]].concat()), Weird::UnknownLlc);
}

#[test]
fn arcnet_of_both_standards() {
    reads(LinkType::ARCNET_LINUX, &with(&[1, 2, 0, 0, 240]), &[]);
    reads(LinkType::ARCNET_LINUX, &with(&[1, 2, 0, 0, 212, 0, 9, 9]), &[&[0, 9, 9]]);
    reads(LinkType::ARCNET_BSD, &with(&[1, 2, 240]), &[]);
    reads(LinkType::ARCNET_BSD, &with(&[1, 2, 212, 0, 9, 9]), &[&[0, 9, 9]]);
    let exception = [1, 2, 212, 0xff, 0xff, 0xff, 212, 0, 9, 9];
    reads(LinkType::ARCNET_BSD, &with(&exception), &[&exception[3..]]);
    assert_eq!(refused(LinkType::ARCNET_BSD, &with(&[1, 2, 212, 3, 9, 9])), Weird::LinkFragment);
    assert_eq!(refused(LinkType::ARCNET_BSD, &with(&[1, 2, 77, 0, 9, 9])), Weird::UnknownLlc);
    assert_eq!(only(LinkType::ARCNET_BSD, &[1, 2, 213, 0, 9, 9, 0, 7]), "arp");
}

#[test]
fn lans_with_an_ether_type_behind_long_addresses() {
    reads(LinkType::IP_OVER_FC, &with(&[&[0x10; 16][..], &SNAP].concat()), &[]);
    reads(LinkType::APPLE_IP_OVER_IEEE1394, &with(&[&[3; 16][..], &[8, 0]].concat()), &[]);
    reads(LinkType::IPOIB, &with(&[&[3; 40][..], &[8, 0, 0, 0]].concat()), &[&[3; 40]]);
    assert_eq!(refused(LinkType::IPOIB, &with(&[0; 44])), Weird::UnknownEtherType(0));
}

#[test]
fn slip_with_the_header_of_the_kernel_and_without() {
    let head = [&[1][..], &[0x70; 15]].concat();
    reads(LinkType::SLIP, &with(&head), &[&head]);
    reads(LinkType::SLIP, &ip(), &[]);
    reads(LinkType::SLIP_BSDOS, &with(&[0; 24]), &[&[0; 24]]);
    assert_eq!(refused(LinkType::SLIP, &with(&[0xe7; 16])), Weird::BadLinkHeader);
}

#[test]
fn ppp_on_a_serial_line() {
    for link_type in [LinkType::PPP, LinkType::PPP_HDLC] {
        reads(link_type, &with(&[0xff, 3, 0, 0x21]), &[]);
        reads(link_type, &with(&[0x21]), &[]);
        reads(link_type, &with(&[0x0f, 0, 8, 0]), &[]);
        let flagged = [&with(&[0x7e, 0xff, 3, 0, 0x21])[..], &[1, 2, 0x7e]].concat();
        reads(link_type, &flagged, &[&[0x7e], &[1, 2, 0x7e]]);
        assert_eq!(only(link_type, &[0xff, 3, 0xc0, 0x23, 1, 1]), "ppp-pap");
        assert_eq!(only(link_type, &[0xff, 3, 0xc2, 0x23, 1, 1]), "ppp-chap");
        assert_eq!(only(link_type, &[0xc0, 0x21, 1, 1]), "ppp-control");
        assert_eq!(refused(link_type, &[0, 0x53, 1, 1]), Weird::EncryptedLink);
        assert_eq!(refused(link_type, &[0xff, 3, 0, 0xfd, 1]), Weird::UnknownPppProtocol(0xfd));
        let escaped = with(&[0x7e, 0xff, 0x7d, 0x23, 0, 0x21]);
        assert_eq!(refused(link_type, &escaped), Weird::UnknownPppProtocol(0x7eff));
    }
    for link_type in [LinkType::PPP_PPPD, LinkType::PPP_WITH_DIR] {
        reads(link_type, &with(&[1, 0xff, 3, 0, 0x21]), &[&[1]]);
    }
}

#[test]
fn ppp_in_a_bundle_is_read_where_the_fragment_is_the_whole() {
    reads(LinkType::PPP, &with(&[0xff, 3, 0, 0x3d, 0xc0, 0, 0, 9, 0x21]), &[&[0xc0, 0, 0, 9]]);
    reads(LinkType::PPP, &with(&[0xff, 3, 0, 0x3d, 0xc0, 9, 0, 0x21]), &[&[0xc0, 9]]);
    // Whether the sequence is long or short cannot be told.
    for head in [&[0xc0, 0, 0x21, 0x45, 0x21][..], &[0xc0, 0, 0, 9, 0xc0, 0x21]] {
        let head = [&[0xff, 3, 0, 0x3d], head].concat();
        assert_eq!(refused(LinkType::PPP, &with(&head)), Weird::UnknownPppProtocol(0x3d));
    }
    for flags in [0x80, 0x40, 0] {
        let head = [0xff, 3, 0, 0x3d, flags, 0, 0, 9, 0x21];
        assert_eq!(refused(LinkType::PPP, &with(&head)), Weird::LinkFragment);
    }
}

#[test]
fn ppp_that_bridges() {
    reads(LinkType::PPP, &[&[0, 0x31, 0, 1][..], &inner()].concat(), &[&[0, 1]]);
    assert_eq!(refused(LinkType::PPP, &[0, 0x31, 0, 9, 1]), Weird::UnknownPppProtocol(0x31));
}

#[test]
fn pppoe_alone_and_in_ethernet() {
    let length = u8::try_from(ip().len() + 2).unwrap();
    let session = with(&[0x11, 0, 0, 1, 0, length, 0, 0x21]);
    reads(LinkType::PPP_ETHER, &session, &[]);
    reads(ETHER, &ether(0x8864, &session), &[]);
    reads(ETHER, &ether(0x8864, &[&session[..], b"chris"].concat()), &[b"chris"]);
    // A length beyond the frame is not believed.
    let session = with(&[0x11, 0, 0, 1, 2, length, 0, 0x21]);
    reads(ETHER, &ether(0x8864, &session), &[]);
    assert_eq!(link_only(&ether(0x8864, &[0x11, 9, 0, 0, 0, 0])), "pppoe-discovery");
}

#[test]
fn cisco_hdlc() {
    reads(LinkType::C_HDLC, &with(&[0x0f, 0, 8, 0]), &[]);
    reads(LinkType::C_HDLC, &with(&[0x8f, 0, 0x88, 0x47, 0, 1, 1, 64]), &[&[0, 1, 1, 64]]);
    reads(LinkType::C_HDLC_WITH_DIR, &with(&[1, 0x0f, 0, 8, 0]), &[&[1]]);
    assert_eq!(only(LinkType::C_HDLC, &[0x8f, 0, 0x80, 0x35, 0]), "slarp");
    for osi in [&[0x03, 0x83, 1][..], &[0xfe, 0x83, 1], &[0x83, 1]] {
        let frame = [&[0x8f, 0, 0xfe, 0xfe], osi].concat();
        assert_eq!(only(LinkType::C_HDLC, &frame), "osi-routing");
    }
    assert_eq!(refused(LinkType::C_HDLC, &[0x8f, 0, 0, 9, 0]), Weird::UnknownEtherType(9));
}

#[test]
fn frame_relay() {
    let addresses: [&[u8]; 3] = [&[0x18, 0x41], &[0x18, 0x40, 0x01], &[0x18, 0x40, 0x00, 0x01]];
    let kinds: [&[u8]; 6] = [
        &[3, 0xcc],
        &[3, 0, 0xcc],
        &[3, 0x80, 0, 0, 0, 8, 0],
        &[3, 0, 0x80, 0, 0, 0, 8, 0],
        &[3, 0xcf, 0, 0x21],
        &[8, 0],
    ];
    for address in addresses {
        for kind in kinds {
            reads(LinkType::FRELAY, &with(&[address, kind].concat()), &[]);
        }
    }
    let bridged = [0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xc2, 0, 7];
    reads(LinkType::FRELAY, &[&bridged[..], &inner()].concat(), &[]);
    reads(LinkType::FRELAY_WITH_DIR, &with(&[1, 0x18, 0x41, 3, 0xcc]), &[&[1]]);
    let v6 = one(LinkType::FRELAY, &[&[0x18, 0x41, 3, 0x8e][..], &ip6(6, &[])].concat());
    assert_eq!(v6.payload, TEXT);
    assert_eq!(only(LinkType::FRELAY, &[0, 1, 3, 9, 0, 0x75]), "q933");
    assert_eq!(only(LinkType::FRELAY, &[0, 1, 3, 0x83, 1]), "osi-routing");
    let fragment = with(&[0x18, 0x41, 3, 0xb1]);
    assert_eq!(refused(LinkType::FRELAY, &fragment), Weird::LinkFragment);
    assert_eq!(refused(LinkType::FRELAY, &[0x18, 0x40, 0, 0, 3]), Weird::BadLinkHeader);
    assert_eq!(refused(LinkType::FRELAY, &[0x18, 0x41, 3, 0x08, 9]), Weird::UnknownLlc);
    assert_eq!(refused(LinkType::FRELAY, &[0x18, 0x41, 0, 8, 9]), Weird::UnknownLlc);
}

#[test]
fn multilink_frame_relay() {
    reads(LinkType::MFR, &with(&[0xc0, 7, 0x18, 0x41, 3, 0xcc]), &[&[0xc0, 7]]);
    assert_eq!(only(LinkType::MFR, &[0xe1, 7, 1]), "frame-relay-bundle");
    assert_eq!(refused(LinkType::MFR, &with(&[0x80, 7])), Weird::LinkFragment);
}

#[test]
fn atm() {
    let snapped = with(&SNAP);
    for link_type in [LinkType::ATM_RFC1483, LinkType(11), LinkType::ATM_CLIP, LinkType(19)] {
        reads(link_type, &snapped, &[]);
        reads(link_type, &ip(), &[]);
    }
    let bridged = [&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0], &inner()[..]].concat();
    reads(LinkType::ATM_RFC1483, &bridged, &[&[0, 0]]);
    reads(LinkType::SUNATM, &[&[0x82, 0, 0, 40], &snapped[..]].concat(), &[&[0x82, 0, 0, 40]]);
    let lane = [&[0x81, 0, 0, 40, 0, 9], &inner()[..]].concat();
    reads(LinkType::SUNATM, &lane, &[&lane[..6]]);
    assert_eq!(only(LinkType::SUNATM, &[1, 0, 0, 40, 0xff, 0, 1]), "atm-lane-control");
    assert_eq!(only(LinkType::SUNATM, &[5, 0, 0, 16, 0x30]), "atm-ilmi");
    assert_eq!(only(LinkType::SUNATM, &[6, 0, 0, 5, 9]), "atm-signalling");
    assert_eq!(refused(LinkType::SUNATM, &[0, 0, 0, 3, 9]), Weird::UnknownLlc);
}

#[test]
fn mpls_carries_ip_and_ethernet() {
    let stack = [0, 1, 0, 64, 0, 2, 1, 64];
    reads(ETHER, &ether(0x8847, &with(&stack)), &[&stack]);
    reads(ETHER, &ether(0x8848, &with(&stack[4..])), &[&stack[4..]]);
    reads(LinkType::MPLS, &with(&stack), &[&stack]);
    reads(LinkType::PPP, &[&[2, 0x81][..], &with(&stack)].concat(), &[&stack]);
    let seen = one(LinkType::MPLS, &[&stack[..], &ip6(6, &[])].concat());
    assert_eq!(seen.payload, TEXT);
    reads(LinkType::MPLS, &[&stack[..], &inner()].concat(), &[&stack]);
    let word = [&stack[..], &[0, 0, 0, 7]].concat();
    reads(LinkType::MPLS, &[&word[..], &inner()].concat(), &[&word]);
    reads(LinkType::MPLS, &[&word[..], &[0, 0x21], &ip()].concat(), &[&word]);
    reads(LinkType::MPLS, &[&word[..], &[0x0f, 0, 8, 0], &ip()].concat(), &[&word]);
    let channel = [&stack[..], &[0x10, 0, 0, 0x21]].concat();
    reads(LinkType::MPLS, &with(&channel), &[&channel]);
}

#[test]
fn mpls_tells_addresses_from_versions_of_ip_and_control_words() {
    let stack = [0, 2, 1, 64];
    for first in [0x45, 0x60, 0x00, 0x10] {
        let mut frame = inner();
        frame[..6].copy_from_slice(&[first, 0xaa, 0xff, 0xff, 0xff, 0xff]);
        reads(LinkType::MPLS, &[&stack[..], &frame].concat(), &[&stack]);
    }
}

#[test]
fn mpls_over_octets_that_are_ip_and_ethernet_at_once_is_not_read() {
    // From 8.0.64.1: where the checksum holds it is IP, else it may be an Ethernet frame.
    let mut packet = ip();
    packet[12..16].copy_from_slice(&[8, 0, 64, 1]);
    packet[10..12].fill(0);
    let sum: u32 =
        packet[..20].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let good = [&[0, 2, 1, 64], &packet[..]].concat();
    assert_eq!(one(LinkType::MPLS, &good).segment.unwrap().0, "8.0.64.1:49158");
    packet[10] ^= 1;
    // The explicit null label of IPv4 leaves no doubt.
    let null = [&[0, 0, 1, 64], &packet[..]].concat();
    assert_eq!(one(LinkType::MPLS, &null).segment.unwrap().0, "8.0.64.1:49158");
    assert_eq!(refused(LinkType::MPLS, &with(&[0, 0, 0x21, 64])), Weird::BadIpVersion);
    let bad = [&[0, 2, 1, 64], &packet[..]].concat();
    assert_eq!(refused(LinkType::MPLS, &bad), Weird::UnknownPseudowire);
}

#[test]
fn what_mpls_hides_is_not_guessed_at() {
    let under = |body: &[u8]| refused(LinkType::MPLS, &[&[0, 2, 1, 64], body].concat());
    assert_eq!(under(&[0x99, 1, 2, 3]), Weird::UnknownPseudowire);
    assert_eq!(under(&[0, 0, 0, 7, 1, 2, 3, 4]), Weird::UnknownPseudowire);
    assert_eq!(under(&[0x10, 0, 0, 7, 1]), Weird::UnknownPseudowire);
    assert_eq!(under(&[&[0, 0x40, 0, 7], &inner()[..]].concat()), Weird::LinkFragment);
    assert_eq!(refused(LinkType::MPLS, &[0; 200]), Weird::TooDeep);
    assert_eq!(refused(LinkType::MPLS, &[0, 2, 1]), Weird::ShortLinkHeader);
}

#[test]
fn a_nest_of_ethernet_in_mpls_has_an_end() {
    let mut frame = inner();
    for _ in 0..40 {
        frame = ether(0x8847, &[&[0, 2, 1, 64], &frame[..]].concat());
    }
    assert_eq!(refused(ETHER, &frame), Weird::TooDeep);
}

const AIR: LinkType = LinkType::IEEE802_11;

/// An 802.11 data frame: frame control, the rest of the header, a payload.
fn wlan(control: u8, flags: u8, more: &[u8], body: &[u8]) -> Vec<u8> {
    [&[control, flags, 0, 0], &[7; 18][..], &[0, 0], more, body].concat()
}

#[test]
fn ieee_802_11_data_frames_in_the_clear() {
    let body = with(&SNAP);
    for flags in [0x01, 0x02, 0x00] {
        reads(AIR, &wlan(0x08, flags, &[], &body), &[]);
        reads(AIR, &wlan(0x88, flags, &[0, 0], &body), &[]);
        reads(AIR, &wlan(0x88, flags | 0x80, &[0, 0, 1, 2, 3, 4], &body), &[]);
    }
    reads(AIR, &wlan(0x08, 0x03, &[9; 6], &body), &[]);
    reads(AIR, &wlan(0x88, 0x03, &[9, 9, 9, 9, 9, 9, 0, 0], &body), &[]);
    // A mesh control, without more addresses and with two.
    for mesh in [vec![0, 31, 0, 0, 0, 1], [&[2, 31, 0, 0, 0, 1][..], &[5; 12]].concat()] {
        let body = [&mesh[..], &body].concat();
        reads(AIR, &wlan(0x88, 0x03, &[9, 9, 9, 9, 9, 9, 0, 1], &body), &[&mesh]);
    }
}

#[test]
fn ieee_802_11_frames_without_data() {
    assert_eq!(only(AIR, &wlan(0x80, 0, &[], b"ssid of chris")), "802.11-management");
    assert_eq!(only(AIR, &[0xd4, 0, 0, 0, 1, 1, 1, 1, 1, 1]), "802.11-control");
    assert_eq!(only(AIR, &wlan(0x48, 1, &[], &[])), "802.11-null");
    assert_eq!(only(AIR, &wlan(0xc8, 1, &[0, 0], &[])), "802.11-null");
    assert_eq!(only(AIR, &[0x0c, 0, 0, 0]), "802.11-management");
    assert_eq!(refused(AIR, &[0x09, 0, 0, 0]), Weird::BadLinkHeader);
    assert_eq!(refused(AIR, &[0x2c, 0, 0, 0]), Weird::BadLinkHeader);
    assert_eq!(refused(AIR, &wlan(0x08, 1, &[], &[])), Weird::ShortLinkHeader);
}

#[test]
fn ieee_802_11_protected_frames_are_encrypted_unless_they_can_be_read() {
    let noise = [0x11, 0x22, 0, 0x20, 0, 0, 0, 0, 0x99, 0x98, 0x97, 0x96, 0x95, 0x94, 0x93];
    assert_eq!(refused(AIR, &wlan(0x08, 0x41, &[], &noise)), Weird::EncryptedLink);
    assert_eq!(refused(AIR, &wlan(0x88, 0x41, &[0, 0], &noise)), Weird::EncryptedLink);
    // The driver decrypted the frame and left the flag.
    let body = with(&SNAP);
    reads(AIR, &wlan(0x08, 0x41, &[], &body), &[]);
    for keep in [4, 8] {
        let body = [&noise[..keep], &body].concat();
        reads(AIR, &wlan(0x88, 0x41, &[0, 0], &body), &[&noise[..keep]]);
    }
}

#[test]
fn ieee_802_11_fragments_are_counted() {
    let mut frame = wlan(0x08, 0x05, &[], &with(&SNAP));
    assert_eq!(refused(AIR, &frame), Weird::LinkFragment);
    frame[1] = 0x01;
    frame[22] = 0x01;
    assert_eq!(refused(AIR, &frame), Weird::LinkFragment);
}

#[test]
fn ieee_802_11_aggregates_of_one_are_read_and_of_more_are_counted() {
    let body = with(&SNAP);
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let sub = [&[7; 12][..], &length, &body].concat();
    reads(AIR, &wlan(0x88, 0x01, &[0x80, 0], &sub), &[]);
    let rest = [&[0; 2][..], &sub].concat();
    let mut bench = Bench::default();
    let seen = bench.frame(AIR, &wlan(0x88, 0x01, &[0x80, 0], &[&sub[..], &rest].concat()));
    expect_text(&seen);
    assert_eq!(bench.undecoded(), [(Weird::LinkAggregate, 1)]);
    assert_eq!(seen.unread[0].1, rest);
}

#[test]
fn radiotap() {
    let tap = LinkType::IEEE802_11_RADIOTAP;
    let body = with(&SNAP);
    let plain = [0, 0, 8, 0, 0, 0, 0, 0];
    reads(tap, &[&plain[..], &wlan(0x08, 1, &[], &body)].concat(), &[&plain]);
    // Two bit maps, a time at the next multiple of eight, then the flags: check sequence, padding.
    let maps = [0, 0, 32, 0, 3, 0, 0, 0x80, 0, 0, 0, 0];
    let full = [&maps[..], &[0; 4], &[1; 8], &[0x30], &[0; 7]].concat();
    let frame = wlan(0x88, 1, &[0, 0, 0xee, 0xee], &body);
    let fcs = [1, 2, 3, 4];
    reads(tap, &[&full[..], &frame, &fcs].concat(), &[&full, &fcs]);
    let endless = [&[0, 0, 32, 0][..], &[0xff; 28], &frame].concat();
    assert_eq!(refused(tap, &endless), Weird::BadLinkHeader);
    assert_eq!(refused(tap, &[1, 0, 8, 0, 0, 0, 0, 0]), Weird::BadLinkHeader);
    assert_eq!(refused(tap, &[0, 0, 4, 0, 0, 0, 0, 0]), Weird::BadLinkHeader);
    assert_eq!(refused(tap, &[0, 0, 9, 0, 0, 0, 0, 0]), Weird::ShortLinkHeader);
}

#[test]
fn prism_and_avs() {
    let frame = wlan(0x08, 1, &[], &with(&SNAP));
    for length in [[144, 0, 0, 0], [0, 0, 0, 144], [9, 9, 9, 9]] {
        let head = [&[0, 0, 0, 0x44], &length[..], b"wlan0", &[0; 131]].concat();
        reads(LinkType::PRISM, &[&head[..], &frame].concat(), &[&head]);
    }
    let head = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56]].concat();
    for link_type in [LinkType::PRISM, LinkType::IEEE802_11_AVS] {
        reads(link_type, &[&head[..], &frame].concat(), &[&head]);
    }
    assert_eq!(refused(LinkType::IEEE802_11_AVS, &[0; 80]), Weird::BadLinkHeader);
}

#[test]
fn ppi_names_the_link_type_inside() {
    let head = [0, 0, 8, 0, 1, 0, 0, 0];
    reads(LinkType::PPI, &[&head[..], &inner()].concat(), &[&head]);
    // 802.11 with its common field, which says that the check sequence is there.
    let common = [2, 0, 20, 0];
    let head = [&[0, 0, 32, 0, 105, 0, 0, 0][..], &common, &[0; 8], &[1, 0], &[0; 10]].concat();
    let frame = wlan(0x08, 1, &[], &with(&SNAP));
    let fcs = [1, 2, 3, 4];
    reads(LinkType::PPI, &[&head[..], &frame, &fcs].concat(), &[&head, &fcs]);
    assert_eq!(refused(LinkType::PPI, &[0, 0, 8, 0, 0, 0, 1, 0]), Weird::BadLinkHeader);
    let nest = [0, 0, 8, 0, 192, 0, 0, 0].repeat(30);
    assert_eq!(refused(LinkType::PPI, &nest), Weird::TooDeep);
}

#[test]
fn nflog_in_both_byte_orders() {
    let payload = u8::try_from(ip().len() + 4).unwrap();
    let head = [2, 0, 0, 7];
    let prefix = b"chris\0\0\0";
    let before = [&head[..], &[10, 0, 10, 0], prefix, &[payload, 0, 9, 0]].concat();
    let after = [5, 0, 3, 0, 1, 0, 0, 0];
    reads(LinkType::NFLOG, &[&with(&before)[..], &after].concat(), &[&before, &after]);
    let before = [&head[..], &[0, 10, 0, 10], prefix, &[0, payload, 0, 9]].concat();
    reads(LinkType::NFLOG, &with(&before), &[&before]);
    // A bridge's log names the protocol in an attribute.
    let before = [&[7, 0, 0, 7][..], &[8, 0, 1, 0, 8, 0, 3, 0], &[payload, 0, 9, 0]].concat();
    reads(LinkType::NFLOG, &with(&before), &[&before]);
    let refused = |data: &[u8]| refused(LinkType::NFLOG, data);
    assert_eq!(refused(&[1, 0, 0, 7, 5, 0, 9, 0, 0x45]), Weird::UnknownFamily(1));
    assert_eq!(refused(&[2, 0, 0, 7, 0, 0, 1, 0]), Weird::BadLinkHeader);
    assert_eq!(refused(&[2, 1, 0, 7]), Weird::BadLinkHeader);
    assert_eq!(refused(&head), Weird::ShortLinkHeader);
    assert_eq!(refused(&[&head[..], &[4, 0, 1, 0].repeat(400)].concat()), Weird::BadLinkHeader);
}

#[test]
fn records_of_endace_cards() {
    let head = |kind: u8, more: &[u8]| [&[0; 8], &[kind][..], &[0; 7], more].concat();
    for (kind, more) in
        [(2, &[0, 0][..]), (0x82, &[0x80, 0, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 0, 2, 0, 0])]
    {
        let head = head(kind, more);
        reads(LinkType::ERF, &[&head[..], &inner()].concat(), &[&head]);
    }
    reads(LinkType::ERF, &with(&head(1, &[0xff, 3, 0, 0x21])), &[&head(1, &[])]);
    reads(LinkType::ERF, &with(&head(22, &[])), &[&head(22, &[])]);
    assert_eq!(refused(LinkType::ERF, &head(3, &[])), Weird::UnknownLinkType(LinkType::ERF));
}

#[test]
fn pktap_names_the_link_type_inside() {
    let mut head = vec![0; 108];
    head[0] = 108;
    head[4] = 1;
    head[8] = 1;
    head[12..15].copy_from_slice(b"en0");
    let data = [&head[..], &inner()].concat();
    reads(LinkType::PKTAP, &data, &[&head]);
    reads(LinkType::USER2, &data, &[&head]);
    head[4] = 2;
    assert_eq!(refused(LinkType::PKTAP, &head), Weird::BadLinkHeader);
    assert_eq!(refused(LinkType::USER2, &head), Weird::UnknownLinkType(LinkType::USER2));
}

#[test]
fn logs_of_packet_filters_and_of_hosts() {
    let ipnet = [&[1, 2][..], &[0; 22]].concat();
    reads(LinkType::IPNET, &with(&ipnet), &[&ipnet]);
    assert_eq!(refused(LinkType::IPNET, &[9; 30]), Weird::BadLinkHeader);
    for family in [[2, 0, 0, 0], [0, 0, 0, 2]] {
        let enc = [&family[..], &[7; 8]].concat();
        reads(LinkType::ENC, &with(&enc), &[&enc]);
    }
    let pflog = [&[61, 2, 0, 0][..], b"em0", &[0; 57]].concat();
    reads(LinkType::PFLOG, &with(&pflog), &[&pflog]);
    assert_eq!(refused(LinkType::PFLOG, &[0; 70]), Weird::BadLinkHeader);
    assert_eq!(refused(LinkType::ENC, &[7; 20]), Weird::UnknownFamily(0x0707));
}

#[test]
fn cooked_captures_of_other_devices() {
    let sll = |device: u16, protocol: u16, body: &[u8]| {
        let (device, protocol) = (device.to_be_bytes(), protocol.to_be_bytes());
        [&[0, 0], &device[..], &[0; 10], &protocol, body].concat()
    };
    let cooked = LinkType::LINUX_SLL;
    let air = wlan(0x08, 1, &[], &with(&SNAP));
    let tap = [0, 0, 8, 0, 0, 0, 0, 0];
    reads(cooked, &sll(801, 0, &air), &[]);
    reads(cooked, &sll(803, 0, &[&tap[..], &air].concat()), &[&tap]);
    reads(cooked, &sll(770, 0, &with(&[0x18, 0x41, 3, 0xcc])), &[]);
    reads(cooked, &sll(1, 4, &with(&SNAP)), &[]);
    reads(cooked, &sll(1, 0x8100, &with(&[0, 7, 8, 0])), &[]);
    assert_eq!(only(cooked, &sll(1, 1, &[])), "ipx");
    assert_eq!(only(cooked, &sll(280, 12, &[])), "can");
    for link_type in [cooked, LinkType::NETLINK] {
        assert_eq!(only(link_type, &sll(824, 0, &[])), "netlink");
        // What the kernel hands to a program may be whole packets.
        let unknown = Weird::UnknownLinkType(LinkType::NETLINK);
        for family in [3, 5, 12, 16] {
            assert_eq!(refused(link_type, &sll(824, family, &[])), unknown);
        }
    }
    assert_eq!(refused(cooked, &sll(1, 3, &[])), Weird::UnknownEtherType(3));
}

#[test]
fn ethernet_with_tags_of_switches() {
    let tagged = |tag: &[u8]| [&[2; 12], tag, &with(&[8, 0])].concat();
    let tag = [0xc0, 0x0a, 0, 0];
    reads(LinkType::DSA_TAG_DSA, &tagged(&tag), &[&tag]);
    reads(LinkType::DSA_TAG_BRCM, &tagged(&tag), &[&tag]);
    let long = [0xda, 0xda, 0, 0, 0xc0, 0x0a, 0, 0];
    reads(LinkType::DSA_TAG_EDSA, &tagged(&long), &[&long]);
    for link_type in [LinkType::DSA_TAG_BRCM_PREPEND, LinkType::NETANALYZER] {
        reads(link_type, &[&tag[..], &inner()].concat(), &[&tag]);
    }
}

#[test]
fn ethernet_with_its_preamble() {
    let preamble = [0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5];
    let fcs = [1, 2, 3, 4];
    let frame = [&preamble[..], &inner(), &fcs].concat();
    reads(LinkType::ETHERNET_MPACKET, &frame, &[&preamble, &fcs]);
    let head = [&[1; 4][..], &preamble].concat();
    let frame = [&head[..], &inner(), &fcs].concat();
    reads(LinkType::NETANALYZER_TRANSPARENT, &frame, &[&head, &fcs]);
    let starts = |delimiter| [&[0x55; 7][..], &[delimiter], &inner()].concat();
    assert_eq!(refused(LinkType::ETHERNET_MPACKET, &starts(0x61)), Weird::LinkFragment);
    assert_eq!(refused(LinkType::ETHERNET_MPACKET, &starts(0x99)), Weird::BadLinkHeader);
    assert_eq!(only(LinkType::ETHERNET_MPACKET, &starts(0x07)), "frame-preemption");
}

#[test]
fn juniper() {
    let plain = *b"MGC\x01";
    let head = |more: &[u8]| with(&[&plain, more].concat());
    reads(LinkType::JUNIPER_ETHER, &[&plain[..], &inner()].concat(), &[&plain]);
    reads(LinkType::JUNIPER_PPP, &head(&[0, 0x21]), &[&plain]);
    reads(LinkType::JUNIPER_CHDLC, &head(&[0x0f, 0, 8, 0]), &[&plain]);
    reads(LinkType::JUNIPER_FRELAY, &head(&[0x18, 0x41, 3, 0xcc]), &[&plain]);
    let extended = [b'M', b'G', b'C', 0x80, 0, 3, 1, 2, 3];
    reads(LinkType::JUNIPER_ETHER, &[&extended[..], &inner()].concat(), &[&extended]);
    let bare = [b'M', b'G', b'C', 2, 2, 0, 0, 0];
    reads(LinkType::JUNIPER_ETHER, &with(&bare), &[&bare]);
    assert_eq!(refused(LinkType::JUNIPER_ETHER, &[0; 20]), Weird::BadLinkHeader);
}

#[test]
fn ether_types_that_carry_another_layer() {
    let length = u16::try_from(with(&SNAP).len()).unwrap().to_be_bytes();
    let before = |head: &[u8]| [head, &inner()].concat();
    let cases: [(u16, Vec<u8>, usize); 13] = [
        (0x6558, inner(), 0),
        (0x6559, with(&[0x18, 0x41, 3, 0xcc]), 0),
        (0x880b, with(&[0xff, 3, 0, 0x21]), 0),
        (0x8870, with(&SNAP), 0),
        (0x88b7, with(&[0, 0, 0, 8, 0]), 0),
        (0x88e7, before(&[0, 1, 2, 3]), 4),
        (0x8903, before(&[0, 9]), 2),
        (0x8909, with(&[1, 1, 0, 1, 0, 9, 8, 0]), 6),
        (0x8926, with(&[1, 2, 3, 4, 8, 0]), 4),
        (0x892f, with(&[1, 2, 3, 4, 8, 0]), 4),
        (0x893f, with(&[1, 2, 3, 4, 5, 6, 8, 0]), 6),
        (0x22f3, before(&[0, 0x43, 0, 1, 0, 2, 9, 9, 9, 9]), 10),
        // A length in place of the type.
        (0x893f, with(&[&[1, 2, 3, 4, 5, 6], &length[..], &SNAP].concat()), 6),
    ];
    for (kind, body, header) in cases {
        let unread: &[&[u8]] = if header > 0 { &[&body[..header]] } else { &[] };
        reads(ETHER, &ether(kind, &body), unread);
    }
    assert_eq!(refused(ETHER, &ether(0x22f3, &[0x40; 30])), Weird::BadLinkHeader);
    reads(ETHER, &ether(0x8909, &with(&[0, 0, 0, 0, 0, 0, 8, 0])), &[&[0; 6]]);
}

#[test]
fn a_network_service_header() {
    let label = [0, 2, 1, 64];
    for (next, body, more) in [(1, ip(), 0), (3, inner(), 0), (5, with(&label), 4)] {
        let data = [&[0, 0xc2, 2, next, 0, 0, 1, 0xff], &body[..]].concat();
        reads(ETHER, &ether(0x894f, &data), &[&data[..8 + more]]);
    }
    let short = [0, 0xc1, 2, 1, 0, 0, 0, 0];
    assert_eq!(refused(ETHER, &ether(0x894f, &short)), Weird::BadLinkHeader);
    let other = [0, 0xc2, 2, 9, 0, 0, 0, 0];
    assert_eq!(refused(ETHER, &ether(0x894f, &other)), Weird::UnknownEtherType(0x894f));
}

#[test]
fn macsec_is_read_where_it_only_vouches_and_is_encrypted_elsewhere() {
    let icv = [0xee; 16];
    let tag = |control: u8, short: u8| {
        let channel: &[u8] = if control & 0x20 == 0 { &[] } else { &[7; 8] };
        [&[control, short, 0, 0, 0, 1], channel].concat()
    };
    let frame = |tag: &[u8]| ether(0x88e5, &[&with(&[tag, &[8, 0]].concat())[..], &icv].concat());
    for control in [0, 0x20, 0x43] {
        let tag = tag(control, 0);
        reads(ETHER, &frame(&tag), &[&tag, &icv]);
    }
    let short = tag(0, u8::try_from(ip().len() + 2).unwrap());
    reads(ETHER, &frame(&short), &[&short, &icv]);
    for control in [0x0c, 0x2c, 0x08, 0x04] {
        assert_eq!(refused(ETHER, &frame(&tag(control, 0))), Weird::EncryptedLink);
    }
    assert_eq!(refused(ETHER, &frame(&tag(0x80, 0))), Weird::BadLinkHeader);
}

#[test]
fn isl_holds_a_whole_frame() {
    let start = [1, 0, 0x0c, 0, 0, 0, 4, 4, 4, 4, 4, 4, 0, 80, 0xaa, 0xaa, 3];
    let head = [&start[..], &[9; 9]].concat();
    let fcs = [1, 2, 3, 4];
    reads(ETHER, &[&head[..], &inner(), &fcs].concat(), &[&head, &fcs]);
}

#[test]
fn llc_without_ip_is_named() {
    assert_eq!(link_only(&ether(30, &[0xff, 0xff, 0, 30, 0, 1])), "ipx");
    assert_eq!(link_only(&ether(5, &[0xfe, 0xfe, 3, 0x83, 1])), "osi-routing");
    assert_eq!(link_only(&ether(8, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 6])), "arp");
    assert_eq!(refused(ETHER, &ether(5, &[0xfe, 0xfe, 3, 0x81, 1])), Weird::UnknownLlc);
    assert_eq!(refused(ETHER, &ether(8, &[0xaa, 0xaa, 3, 0, 0, 0, 0, 6])), Weird::UnknownLlc);
}

#[test]
fn links_that_never_carry_ip_are_named_and_others_are_not_excused() {
    assert_eq!(only(LinkType(227), &[0; 16]), "can");
    assert_eq!(only(LinkType(246), &[0; 16]), "pfsync");
    // USB, Bluetooth, 802.15.4, a host's sockets, a television stream, DOCSIS: all of them may carry IP.
    for number in [189, 201, 195, 271, 243, 143] {
        let link_type = LinkType(number);
        assert_eq!(refused(link_type, &[0; 40]), Weird::UnknownLinkType(link_type));
    }
}

#[test]
fn the_layers_of_the_link_are_named_on_the_way() {
    let tagged = with(&[0x20, 7, 0x88, 0x47, 0, 2, 1, 64]);
    assert_eq!(way(ETHER, &ether(0x8100, &tagged)), "vlan:7/mpls:32");
    let session = with(&[0x11, 0, 0, 9, 0, 0, 0, 0x21]);
    let session =
        [&session[..4], &u16::try_from(ip().len() + 2).unwrap().to_be_bytes(), &session[6..]];
    assert_eq!(way(ETHER, &ether(0x8864, &session.concat())), "pppoe:9");
    let backbone = [&[0, 1, 2, 3], &ether(0x8926, &with(&[0, 0, 0, 0, 8, 0]))[..]].concat();
    assert_eq!(way(ETHER, &ether(0x88e7, &backbone)), "pbb:66051/vntag");
    let sealed = with(&[0, 0, 0, 0, 0, 1, 8, 0]);
    assert_eq!(way(ETHER, &ether(0x88e5, &[&sealed[..], &[0; 16]].concat())), "macsec");
}

/// For each link type a head that leads to an IP packet.
fn heads() -> Vec<(LinkType, Vec<u8>)> {
    let ether_head = ether(0x0800, &[]);
    let air = wlan(0x08, 1, &[], &SNAP);
    let radiotap = [&[0, 0, 20, 0, 2, 0, 0, 0, 0][..], &[0; 11], &air].concat();
    let ppi = [&[0, 0, 20, 0, 1, 0, 0, 0][..], &[0; 12], &ether_head].concat();
    let mut pktap = vec![0; 108];
    (pktap[0], pktap[4], pktap[8]) = (108, 1, 1);
    let heads: Vec<(u16, Vec<u8>)> = vec![
        (0, vec![2, 0, 0, 0]),
        (1, ether_head.clone()),
        (1, ether(0x8100, &[0, 7, 0x88, 0xa8, 0, 9, 8, 0])),
        (1, ether(0x8847, &[0, 1, 0, 64, 0, 2, 1, 64])),
        (1, ether(0x8864, &[0x11, 0, 0, 9, 0, 54, 0, 0x21])),
        (1, ether(0x88e5, &[0, 54, 0, 0, 0, 1, 8, 0])),
        (1, ether(0x894f, &[0, 0xc4, 2, 1, 0, 0, 1, 0xff, 1, 2, 3, 4, 5, 6, 7, 8])),
        (1, ether(0x22f3, &[&[0, 0x43, 0, 1, 0, 2, 9, 9, 9, 9], &ether_head[..]].concat())),
        (1, ether(60, &SNAP)),
        (6, [&[0x10, 0x40][..], &[2; 6], &[0x84; 6], &[0x06, 0x30, 1, 2, 3, 4], &SNAP].concat()),
        (7, vec![1, 2, 212, 0, 9, 9]),
        (8, vec![0; 16]),
        (9, vec![0xff, 3, 0, 0x21]),
        (10, [&[0x57][..], &[2; 12], &SNAP].concat()),
        (50, vec![0xff, 3, 0, 0x3d, 0xc0, 0, 0, 9, 0x21]),
        (51, vec![0x11, 0, 0, 9, 0, 54, 0, 0x21]),
        (100, SNAP.to_vec()),
        (102, vec![0; 24]),
        (104, vec![0x0f, 0, 8, 0]),
        (105, wlan(0x88, 3, &[9, 9, 9, 9, 9, 9, 0, 0], &SNAP)),
        (106, SNAP.to_vec()),
        (107, vec![0x18, 0x41, 3, 0xcc]),
        (109, vec![2, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0]),
        (117, [&[61, 2][..], &[0; 62]].concat()),
        (119, [&[0, 0, 0, 0x44, 144, 0, 0, 0][..], &[0; 136], &air].concat()),
        (122, [&[1; 16], &SNAP[..]].concat()),
        (123, [&[0x82, 0, 0, 40], &SNAP[..]].concat()),
        (127, radiotap),
        (129, vec![1, 2, 0, 0, 240]),
        (138, [&[1; 16], &[8, 0][..]].concat()),
        (163, [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &air].concat()),
        (178, [&b"MGC\x80\0\x04abcd"[..], &ether_head].concat()),
        (182, vec![0xc0, 7, 0x18, 0x41, 3, 0xcc]),
        (192, ppi),
        (219, vec![0, 2, 1, 64]),
        (226, [&[1, 2][..], &[0; 22]].concat()),
        (239, vec![2, 0, 0, 7, 8, 0, 10, 0, b'a', b'b', b'c', 0, 56, 0, 9, 0]),
        (242, [&[3; 40], &[8, 0, 0, 0][..]].concat()),
        (258, [&pktap, &ether_head[..]].concat()),
        (274, [&[0x55; 7][..], &[0xd5], &ether_head].concat()),
        (285, [&[2; 12], &[0xda, 0xda, 0, 0, 0xc0, 0x0a, 0, 0, 8, 0][..]].concat()),
    ];
    heads.into_iter().map(|(number, head)| (LinkType(number), head)).collect()
}

/// Octets of headers that hold addresses and numbers alone and are not searched: at most four addresses of 802.11 and LLC, or
/// a nest of tags and of two Ethernet headers; IPv6; TCP.
const MAX_FIXED: usize = 60 + 40 + 20;

/// Octets of a frame that are neither payload nor left to be searched.
fn lost(data: &[u8], seen: &Seen) -> usize {
    let mut is_found = vec![false; data.len()];
    for (at, bytes) in &seen.unread {
        is_found[*at..at + bytes.len()].fill(true);
    }
    is_found.iter().filter(|found| !**found).count().saturating_sub(seen.payload.len())
}

#[test]
fn every_head_leads_to_the_packet() {
    for (link_type, head) in heads() {
        // Some end in a check sequence.
        let data = [&with(&head)[..], b"last"].concat();
        let seen = one(link_type, &data);
        assert_eq!(seen.payload, TEXT, "{link_type}");
        assert!(lost(&data, &seen) <= MAX_FIXED, "{link_type}");
    }
}

proptest! {
    #[test]
    fn what_a_link_layer_skips_is_left_to_be_searched(
        kind in any::<usize>(),
        trailer in proptest::collection::vec(any::<u8>(), 0..200),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        keep in 0..400_usize,
        missing in 0..40_usize,
    ) {
        let heads = heads();
        let (link_type, head) = &heads[kind % heads.len()];
        let mut data = [&with(head)[..], &trailer].concat();
        for (at, byte) in damage {
            // Mostly in the head.
            let at = at % (head.len() + 24);
            data[at] = byte;
        }
        data.truncate(keep);
        let mut bench = Bench::default();
        let seen = bench.frame_of(*link_type, &data, data.len() + missing);
        prop_assert!(lost(&data, &seen) <= MAX_FIXED, "{}: {:?}", link_type, seen);
        bench.decoder.finish();
    }

    #[test]
    fn no_octets_of_any_link_type_are_lost(
        number in 0..300_u16,
        data in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(8), Just(0x45)], 0..400),
        missing in 0..40_usize,
    ) {
        let mut bench = Bench::default();
        let seen = bench.frame_of(LinkType(number), &data, data.len() + missing);
        prop_assert!(lost(&data, &seen) <= MAX_FIXED, "{}: {:?}", number, seen);
        bench.decoder.finish();
    }
}
