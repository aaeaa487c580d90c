//! Link layers in captures of others, in a folder named by `TUNNELCHECK_CORPUS`.

use crate::skip;
use std::path::{Path, PathBuf};
use tunnelcheck::model::{Coverage, Weird};
use tunnelcheck::run::analyze;
use tunnelcheck::source::Files;

/// The folder of captures; none where there is none, which is said.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TUNNELCHECK_CORPUS");
    if folder.is_none() {
        skip::skipped("TUNNELCHECK_CORPUS names no folder of captures");
    }
    Some(PathBuf::from(folder?).join("pcaps"))
}

/// Conns and coverage of a capture, which tshark counts alike, as far as it reads them; none where it is absent, which is said.
fn read(folder: &Path, path: &str) -> Option<(u64, Coverage)> {
    let file = folder.join(path);
    if !file.exists() {
        skip::skipped(format_args!("{} is not there", file.display()));
        return None;
    }
    let mut files = Files::open(&[file]).unwrap();
    let analysis = analyze(&mut files, &[], &[]).unwrap();
    Some((analysis.conns.len(), analysis.coverage))
}

#[test]
fn captures_of_every_link_type_at_hand_are_read_to_the_last_frame() {
    let captures = [
        ("arkime+arkime/tests/pcap/80211http.pcap", 1),
        ("arkime+arkime/tests/pcap/nflog.pcap", 1),
        ("zeek+zeek/testing/btest/Traces/nflog-http.pcap", 1),
        ("boundary+wireshark/tools/dftestfiles/tftp.pcap", 1),
        ("ntop+nDPI/tests/cfgs/default/pcap/someip_sd_sample.pcap", 2),
        ("the-tcpdump-group+libpcap/tests/filter/http_PPI.pcap", 2),
        ("the-tcpdump-group+tcpdump/tests/LINKTYPE_PKTAP.pcap", 1),
        ("the-tcpdump-group+tcpdump/tests/LINKTYPE_USER2_PKTAP.pcap", 1),
        ("the-tcpdump-group+tcpdump/tests/arcnet-rfc1051-arp-icmp-http.pcap", 3),
        ("the-tcpdump-group+tcpdump/tests/arcnet-rfc1201-arp-icmp-http.pcap", 3),
        ("the-tcpdump-group+tcpdump/tests/brcm-tag-prepend.pcap", 2),
        ("the-tcpdump-group+tcpdump/tests/dsa.pcap", 1),
        ("the-tcpdump-group+tcpdump/tests/edsa-high-vid.pcap", 1),
        ("the-tcpdump-group+tcpdump/tests/e1000g.pcap", 1),
        ("the-tcpdump-group+tcpdump/tests/ipoib.pcap", 7),
        ("seladb+PcapPlusPlus/Tests/Packet++Test/PacketExamples/MplsPackets.pcap", 2),
    ];
    let Some(folder) = folder() else { return };
    for (path, conns) in captures {
        let Some((seen, coverage)) = read(&folder, path) else { continue };
        assert_eq!(coverage.undecoded, [].into(), "{path}");
        assert_eq!(seen, conns, "{path}");
    }
}

#[test]
fn protected_frames_of_a_capture_are_counted_as_encrypted() {
    let path = "the-tcpdump-group+libpcap/tests/filter/Network_Join_Nokia_Mobile.pcap";
    let Some((conns, coverage)) = folder().and_then(|folder| read(&folder, path)) else { return };
    assert_eq!((conns, coverage.frames), (0, 10));
    assert_eq!(coverage.undecoded, [(Weird::EncryptedLink, 1)].into());
}
