//! Writes frames to pcapng (draft-ietf-opsawg-pcapng), little endian, nanoseconds, with our own words beside them.

use super::{Losses, SourceError};
use crate::model::{Drops, Frame, InterfaceRecord};
use std::io::{self, BufWriter, Write};

/// `shb_userappl` of our own recordings begins with this.
pub(super) const APP: &str = "tunnelcheck";

/// `if_description` of our own recordings: this, then the vantage in words.
pub(super) const VANTAGE_PREFIX: &str = "tunnelcheck vantage: ";

/// Octets collected before they are written.
const BUFFER: usize = 256 * 1024;

/// Octets of one comment at most: the length field has 16 bits, and values are padded to 4.
const MAX_COMMENT: usize = 65_532;

const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_FILTERACCEPT: u16 = 6;
const ISB_OSDROP: u16 = 7;
const ISB_USRDELIV: u16 = 8;

/// Writes one recording.
pub struct Recorder<W: Write + Send> {
    out: BufWriter<W>,
    /// Frames written of each interface.
    written: Vec<u64>,
    frames: u64,
    last_time: u64,
    block: Vec<u8>,
}

impl<W: Write + Send> Recorder<W> {
    /// Begins a recording: the section header with `head_annotation`, and the interfaces.
    ///
    /// `app` is `tunnelcheck VERSION`.
    ///
    /// # Errors
    /// Without an interface, or when it cannot be written.
    pub fn create(
        out: W,
        interfaces: &[InterfaceRecord],
        head_annotation: &str,
        app: &str,
    ) -> Result<Self, SourceError> {
        if interfaces.is_empty() {
            return Err(SourceError::NoInterfaces);
        }
        let mut this = Self {
            out: BufWriter::with_capacity(BUFFER, out),
            written: Vec::new(),
            frames: 0,
            last_time: 0,
            block: Vec::new(),
        };
        this.begin(0x0a0d_0d0a);
        this.u32(0x1a2b_3c4d); // byte-order magic
        this.u16(1); // version 1.0
        this.u16(0);
        this.u64(u64::MAX); // length of the section: not known
        this.comments(head_annotation);
        let app = if app.starts_with(APP) { app.to_owned() } else { format!("{APP} {app}") };
        this.option(SHB_USERAPPL, app.as_bytes());
        this.end()?;
        for interface in interfaces {
            this.announce(interface)?;
        }
        // A run that comes to nothing leaves a recording without frames, not a file that is none.
        this.flush()?;
        Ok(this)
    }

    /// Adds an interface that was not known at the start; its index is the number of those before it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn announce(&mut self, interface: &InterfaceRecord) -> Result<(), SourceError> {
        self.begin(1);
        self.u16(interface.link_type.0);
        self.u16(0);
        self.u32(interface.snaplen);
        if !interface.name.is_empty() {
            self.option(IF_NAME, interface.name.as_bytes());
        }
        if let Some(vantage) = interface.vantage {
            self.option(IF_DESCRIPTION, format!("{VANTAGE_PREFIX}{vantage}").as_bytes());
        }
        self.option(IF_TSRESOL, &[9]);
        self.end()?;
        self.written.push(0);
        Ok(())
    }

    /// Adds a frame; its number is not kept, the reader counts anew.
    ///
    /// # Errors
    /// When its interface was not announced, or when it cannot be written.
    pub fn write(&mut self, frame: &Frame<'_>) -> Result<(), SourceError> {
        let known = self.written.len();
        let id = usize::try_from(frame.interface_id).unwrap_or(usize::MAX);
        let Some(written) = self.written.get_mut(id) else {
            return Err(SourceError::UnannouncedInterface {
                interface_id: frame.interface_id,
                known,
            });
        };
        *written += 1;
        // The format has no time before the epoch.
        let nanos = u64::try_from(frame.time.as_nanos()).unwrap_or_default();
        self.last_time = nanos;
        self.begin(6);
        self.u32(frame.interface_id);
        self.time(nanos);
        self.u32(u32::try_from(frame.data.len()).unwrap_or(u32::MAX));
        self.u32(frame.len);
        self.block.extend_from_slice(frame.data);
        self.pad();
        // No options: the end of options would be four octets for nothing.
        self.close()?;
        self.frames += 1;
        Ok(())
    }

    /// Hands everything written so far to the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<(), SourceError> {
        self.out.flush().map_err(|source| SourceError::Write { frames: self.frames, source })
    }

    /// Ends the recording: the counters of each interface (in their order; missing ones are not known), and
    /// `tail_annotation` with the last.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, losses: &[Losses], tail_annotation: &str) -> Result<W, SourceError> {
        let last = self.written.len().saturating_sub(1);
        let unknown = Losses::default();
        for (id, written) in self.written.clone().into_iter().enumerate() {
            let losses = losses.get(id).unwrap_or(&unknown);
            let os_drops = match losses.drops {
                Drops::Known(count) => Some(count),
                Drops::Unknown => None,
            };
            let accepted = written
                .saturating_add(losses.channel_dropped)
                .saturating_add(os_drops.unwrap_or_default());
            self.begin(5);
            self.u32(u32::try_from(id).unwrap_or(u32::MAX));
            self.time(self.last_time);
            self.option(ISB_IFRECV, &accepted.to_le_bytes());
            if let Drops::Known(count) = losses.interface_drops {
                self.option(ISB_IFDROP, &count.to_le_bytes());
            }
            // Accepted less dropped less delivered: what our own queue dropped.
            self.option(ISB_FILTERACCEPT, &accepted.to_le_bytes());
            if let Some(count) = os_drops {
                self.option(ISB_OSDROP, &count.to_le_bytes());
            }
            self.option(ISB_USRDELIV, &written.to_le_bytes());
            if id == last {
                self.comments(tail_annotation);
            }
            self.end()?;
        }
        let frames = self.frames;
        let mut out = self
            .out
            .into_inner()
            .map_err(|error| SourceError::Write { frames, source: error.into_error() })?;
        out.flush().map_err(|source| SourceError::Write { frames, source })?;
        Ok(out)
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.u32(kind);
        self.u32(0); // the length, see `close`
    }

    fn u16(&mut self, value: u16) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    /// The upper half first, whatever the byte order.
    fn time(&mut self, nanos: u64) {
        self.u32(u32::try_from(nanos >> 32).unwrap_or_default());
        self.u32(u32::try_from(nanos & u64::from(u32::MAX)).unwrap_or_default());
    }

    /// Writes an option; a value beyond 16 bits of length is cut (only comments are as long, see `comments`).
    fn option(&mut self, code: u16, value: &[u8]) {
        let value = value.get(..MAX_COMMENT).unwrap_or(value);
        self.u16(code);
        self.u16(u16::try_from(value.len()).unwrap_or_default());
        self.block.extend_from_slice(value);
        self.pad();
    }

    /// Writes a text as one comment, or as several where it is long: between characters, since each is UTF-8.
    fn comments(&mut self, mut text: &str) {
        while !text.is_empty() {
            let (piece, rest) = text.split_at(boundary(text, MAX_COMMENT));
            self.option(OPT_COMMENT, piece.as_bytes());
            text = rest;
        }
    }

    fn pad(&mut self) {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    /// Ends the options and the block.
    fn end(&mut self) -> Result<(), SourceError> {
        self.u32(0); // opt_endofopt
        self.close()
    }

    fn close(&mut self) -> Result<(), SourceError> {
        let total = u32::try_from(self.block.len() + 4).map_err(|_| SourceError::Write {
            frames: self.frames,
            source: io::Error::new(io::ErrorKind::InvalidInput, "a block is beyond 4 GiB"),
        })?;
        if let Some(length) = self.block.get_mut(4..8) {
            length.copy_from_slice(&total.to_le_bytes());
        }
        self.u32(total);
        self.out
            .write_all(&self.block)
            .map_err(|source| SourceError::Write { frames: self.frames, source })
    }
}

/// The last place at or before `at` where a text can be split.
fn boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    // A character has at most four octets.
    (at.saturating_sub(3)..=at).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::super::savefile::testing::{drain, open};
    use super::*;
    use crate::model::{LinkType, Timestamp, Vantage};

    const NAME: &str = "tunnelcheck 0.1.0";

    fn interfaces() -> Vec<InterfaceRecord> {
        vec![
            InterfaceRecord {
                name: "eth0".to_owned(),
                link_type: LinkType::ETHERNET,
                snaplen: 262_144,
                vantage: Some(Vantage::Wire),
            },
            InterfaceRecord {
                name: "wg0".to_owned(),
                link_type: LinkType::RAW,
                snaplen: 0,
                vantage: Some(Vantage::TunnelDevice),
            },
        ]
    }

    fn frame(interface_id: u32, nanos: i64, data: &[u8]) -> Frame<'_> {
        Frame {
            number: 1,
            time: Timestamp::from_nanos(nanos),
            interface_id,
            link_type: LinkType::ETHERNET,
            len: u32::try_from(data.len()).unwrap() + 7,
            data,
        }
    }

    fn recorded(head: &str, losses: &[Losses], tail: &str) -> Vec<u8> {
        let mut recorder = Recorder::create(Vec::new(), &interfaces(), head, NAME).unwrap();
        recorder.write(&frame(0, 1_700_000_000_123_456_789, b"abcde")).unwrap();
        recorder.write(&frame(1, 1_700_000_001_000_000_001, &vec![9; 70_000])).unwrap();
        recorder.finish(losses, tail).unwrap()
    }

    #[test]
    fn a_recording_is_read_back_with_everything_beside_the_frames() {
        let losses = [
            Losses {
                drops: Drops::Known(3),
                interface_drops: Drops::Known(0),
                channel_dropped: 2,
                ..Losses::default()
            },
            Losses {
                drops: Drops::Known(0),
                interface_drops: Drops::Known(1),
                ..Losses::default()
            },
        ];
        let octets = recorded("{\"tokens\":[]}", &losses, "{\"phases\":[]}");
        let mut file = open(&octets).unwrap();
        assert!(file.is_own());
        assert_eq!(file.head_annotation(), Some("{\"tokens\":[]}"));
        assert_eq!((file.tail_annotation(), file.is_closed()), (None, false));
        let all = drain(&mut file);
        assert_eq!((file.tail_annotation(), file.is_closed()), (Some("{\"phases\":[]}"), true));
        assert_eq!(all.interfaces, interfaces());
        assert_eq!(all.frames[0].nanos, 1_700_000_000_123_456_789);
        assert_eq!((all.frames[0].data.as_slice(), all.frames[0].len), (&b"abcde"[..], 12));
        assert_eq!((all.frames[1].interface_id, all.frames[1].data.len()), (1, 70_000));
        assert_eq!(
            all.losses,
            Losses {
                drops: Drops::Known(3),
                interface_drops: Drops::Known(1),
                channel_dropped: 2,
                inputs_cut: Vec::new(),
            }
        );
    }

    #[test]
    fn a_long_annotation_is_split_between_characters_and_joined_again() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "\u{1f512}\u{e9}".repeat(40_000));
            let octets = recorded(&text, &[], &text);
            let mut file = open(&octets).unwrap();
            assert_eq!(file.head_annotation(), Some(text.as_str()));
            drain(&mut file);
            assert_eq!(file.tail_annotation(), Some(text.as_str()));
        }
    }

    #[test]
    fn what_was_not_counted_stays_unknown() {
        let octets = recorded("h", &[], "t");
        let all = drain(&mut open(&octets).unwrap());
        assert_eq!(
            (all.losses.drops, all.losses.interface_drops),
            (Drops::Unknown, Drops::Unknown)
        );
    }

    #[test]
    fn a_recording_that_was_not_closed_says_so() {
        let mut recorder = Recorder::create(Vec::new(), &interfaces(), "h", NAME).unwrap();
        recorder.write(&frame(0, 1, b"abc")).unwrap();
        recorder.flush().unwrap();
        let octets = recorder.out.get_ref().clone();
        let mut file = open(&octets).unwrap();
        assert_eq!(drain(&mut file).frames.len(), 1);
        assert!(file.is_own() && !file.is_closed());
        assert_eq!(file.tail_annotation(), None);
    }

    /// Another reader of the format agrees, where one is installed.
    #[test]
    fn tshark_reads_what_we_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recorded.pcapng");
        let known = Losses {
            drops: Drops::Known(4),
            interface_drops: Drops::Known(0),
            ..Losses::default()
        };
        std::fs::write(&path, recorded("{\"a\":1}", &[known.clone(), known], "{\"b\":2}")).unwrap();
        let fields = ["frame.interface_name", "frame.time_epoch", "frame.len", "frame.cap_len"];
        let mut tshark = std::process::Command::new("tshark");
        tshark.arg("-r").arg(&path).args(["-T", "fields"]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        let Ok(output) = tshark.output() else {
            crate::skip::skipped("tshark is not installed");
            return;
        };
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split('\t').collect()).collect();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            lines,
            [
                ["eth0", "1700000000.123456789", "12", "5"],
                ["wg0", "1700000001.000000001", "70007", "70000"],
            ]
        );
    }

    #[test]
    fn a_full_disk_is_an_error_at_the_latest_at_the_end() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
                self.0 = self.0.saturating_sub(octets.len());
                if self.0 == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(octets.len()) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut recorder = Recorder::create(Full(1 << 20), &interfaces(), "", NAME).unwrap();
        let data = vec![0; 100_000];
        let failed = (0..20).find_map(|_| recorder.write(&frame(0, 1, &data)).err()).unwrap();
        assert!(matches!(failed, SourceError::Write { frames: 1.., .. }));
        // The head goes out at once, a frame waits in the buffer.
        let none = Recorder::create(Full(100), &interfaces(), "", NAME);
        assert!(matches!(none, Err(SourceError::Write { frames: 0, .. })));
        let head = Recorder::create(Vec::new(), &interfaces(), "", NAME).unwrap();
        let space = head.out.get_ref().len() + 10;
        let mut recorder = Recorder::create(Full(space), &interfaces(), "", NAME).unwrap();
        recorder.write(&frame(0, 1, b"x")).unwrap();
        assert!(matches!(recorder.finish(&[], ""), Err(SourceError::Write { frames: 1, .. })));
    }

    #[test]
    fn an_interface_must_be_announced_and_may_be_later() {
        let mut recorder = Recorder::create(Vec::new(), &interfaces(), "", NAME).unwrap();
        assert!(matches!(
            recorder.write(&frame(2, 1, b"x")),
            Err(SourceError::UnannouncedInterface { interface_id: 2, known: 2 })
        ));
        let third =
            InterfaceRecord { name: String::new(), vantage: None, ..interfaces()[0].clone() };
        recorder.announce(&third).unwrap();
        recorder.write(&frame(2, 1, b"x")).unwrap();
        let octets = recorder.finish(&[], "").unwrap();
        let all = drain(&mut open(&octets).unwrap());
        assert_eq!((all.frames[0].interface_id, &all.interfaces[2]), (2, &third));
        assert!(matches!(
            Recorder::create(Vec::new(), &[], "", NAME),
            Err(SourceError::NoInterfaces)
        ));
    }
}
