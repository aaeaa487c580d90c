//! A mail client that does what the papers' users did: look the user up, sign on, read mail.

use super::error::LabError;
use super::mail::MailAccount;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long the client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// The user at the mail client.
#[derive(Clone, Debug, Default)]
pub struct MailUser {
    /// Who.
    pub account: MailAccount,
}

impl MailUser {
    /// Looks the user up in the DND, as the BlitzMail client does before it signs on.
    ///
    /// # Errors
    /// `LabError::Talk` where the server cannot be reached, `LabError::Answer` where it answers otherwise.
    pub fn look_up(&self, dnd: SocketAddr) -> Result<Vec<String>, LabError> {
        let mut talk = Talk::open("dnd", dnd)?;
        talk.expect("220 ")?;
        talk.say(&format!("LOOKUP {},NAME EMAIL UID BLITZSERV BULLSERV", self.account.user))?;
        talk.expect("101 1 5")?;
        let mut values = Vec::new();
        for _ in 0..5 {
            values.push(talk.expect("110 ")?.get(4..).unwrap_or_default().to_owned());
        }
        talk.expect("200 ")?;
        talk.say("QUIT")?;
        talk.expect("200 ")?;
        Ok(values)
    }

    /// Signs on to the BlitzMail server, lists the folders and reads a message.
    ///
    /// # Errors
    /// As `look_up`.
    pub fn read_blitzmail(&self, blitzmail: SocketAddr) -> Result<(), LabError> {
        let mut talk = Talk::open("blitzmail", blitzmail)?;
        talk.say("VERS BlitzMail 2.6b7")?;
        talk.expect("010 ")?;
        talk.say(&format!("USER {}", self.account.name))?;
        talk.expect("033 ")?;
        talk.say("PASE 144167311017116244231155")?;
        talk.expect("030 ")?;
        talk.say("FLIS")?;
        while talk.expect("00")?.starts_with("001") {}
        talk.say("FSUM 4 1-$")?;
        talk.expect("000 ")?;
        talk.say("MESS 4/3568897")?;
        talk.expect("010 ")?;
        for part in ["HEAD", "TEXT"] {
            talk.say(part)?;
            let line = talk.expect("050 ")?;
            let len = line.get(4..).and_then(|len| len.trim().parse().ok()).unwrap_or(0);
            talk.skip(len)?;
            talk.expect("010 ")?;
        }
        talk.say("QUIT")?;
        talk.expect("010 ")?;
        Ok(())
    }

    /// Fetches mail by POP3.
    ///
    /// # Errors
    /// As `look_up`.
    pub fn read_pop3(&self, pop3: SocketAddr) -> Result<(), LabError> {
        let mut talk = Talk::open("pop3", pop3)?;
        talk.expect("+OK")?;
        talk.say(&format!("USER {}", self.account.user))?;
        talk.expect("+OK")?;
        talk.say("PASS sleigh-bells")?;
        talk.expect("+OK")?;
        talk.say("STAT")?;
        talk.expect("+OK")?;
        talk.say("RETR 1")?;
        talk.expect("+OK")?;
        while talk.line()? != "." {}
        talk.say("QUIT")?;
        talk.expect("+OK")?;
        Ok(())
    }

    /// Reads a bulletin.
    ///
    /// # Errors
    /// As `look_up`.
    pub fn read_bulletins(&self, bulletins: SocketAddr) -> Result<(), LabError> {
        let mut talk = Talk::open("bulletins", bulletins)?;
        talk.expect("200 ")?;
        talk.say("GROUP dartmouth.bulletins.unix")?;
        talk.expect("211 ")?;
        talk.say("BODY 1")?;
        talk.expect("222 ")?;
        while talk.line()? != "." {}
        talk.say("QUIT")?;
        talk.expect("205 ")?;
        Ok(())
    }

    /// Registers for notification: one UDP datagram that names the user in the clear.
    ///
    /// # Errors
    /// `LabError::Talk` where nobody answers.
    pub fn register_notify(&self, notify: SocketAddr) -> Result<(), LabError> {
        let failed = |source| LabError::Talk { service: "notify", address: notify, source };
        let any: SocketAddr =
            if notify.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).map_err(failed)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let port = socket.local_addr().map_err(failed)?.port();
        // DDP type ATP, XO request, bitmap 1, transaction 0x1234, "NR02", Pascal string, port, one service: mail.
        let mut datagram = b"\x03\x60\x01\x12\x34NR02".to_vec();
        datagram.push(u8::try_from(self.account.name.len()).unwrap_or(u8::MAX));
        datagram.extend_from_slice(self.account.name.as_bytes());
        datagram.extend_from_slice(&port.to_be_bytes());
        datagram.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
        socket.send_to(&datagram, notify).map_err(failed)?;
        let mut answer = [0_u8; 64];
        socket.recv_from(&mut answer).map_err(failed)?;
        Ok(())
    }
}

/// One conversation by lines.
struct Talk {
    service: &'static str,
    address: SocketAddr,
    reader: BufReader<TcpStream>,
}

impl Talk {
    fn open(service: &'static str, address: SocketAddr) -> Result<Self, LabError> {
        let failed = |source| LabError::Talk { service, address, source };
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Self { service, address, reader: BufReader::new(stream) })
    }

    fn failed(&self, source: std::io::Error) -> LabError {
        LabError::Talk { service: self.service, address: self.address, source }
    }

    fn say(&mut self, line: &str) -> Result<(), LabError> {
        let octets = format!("{line}\r\n");
        self.reader.get_mut().write_all(octets.as_bytes()).map_err(|source| self.failed(source))
    }

    fn line(&mut self) -> Result<String, LabError> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => Err(self.failed(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Err(source) => Err(self.failed(source)),
        }
    }

    fn expect(&mut self, start: &str) -> Result<String, LabError> {
        let answer = self.line()?;
        if answer.starts_with(start) {
            Ok(answer)
        } else {
            Err(LabError::Answer { service: self.service, answer })
        }
    }

    fn skip(&mut self, len: u64) -> Result<(), LabError> {
        std::io::copy(&mut self.reader.by_ref().take(len), &mut std::io::sink())
            .map(|_| ())
            .map_err(|source| self.failed(source))
    }
}
