//! Small DND, BlitzMail, POP3, bulletin and Notify servers: one account, enough to sign on and read mail.

use super::error::LabError;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a server waits for the next line.
const IDLE: Duration = Duration::from_secs(20);
/// How often a listener looks whether it is to stop.
const POLL: Duration = Duration::from_millis(10);
/// Longest line a server takes, in octets.
const MAX_LINE: u64 = 4096;

/// The account that the servers hold.
#[derive(Clone, Debug)]
pub struct MailAccount {
    /// User name and nickname.
    pub user: String,
    /// Full name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// UID of the DND.
    pub uid: u32,
    /// The user's own folder.
    pub folder: String,
    /// Host of the BlitzMail server, as the DND names it.
    pub blitz_host: String,
    /// Host of the bulletin server, as the DND names it.
    pub bulletin_host: String,
}

impl Default for MailAccount {
    fn default() -> Self {
        Self {
            user: "jsmith".to_owned(),
            name: "John Smith".to_owned(),
            email: "John.Smith@Dartmouth.EDU".to_owned(),
            uid: 60_777,
            folder: "Reindeer Games".to_owned(),
            blitz_host: "dasher.Dartmouth.EDU".to_owned(),
            bulletin_host: "newshost.dartmouth.edu".to_owned(),
        }
    }
}

/// Where the servers listen; none: not at all.
#[derive(Clone, Debug, Default)]
pub struct MailSetup {
    /// Dartmouth Name Directory, TCP 902.
    pub dnd: Option<SocketAddr>,
    /// BlitzMail, TCP 2151.
    pub blitzmail: Option<SocketAddr>,
    /// POP3, TCP 110.
    pub pop3: Option<SocketAddr>,
    /// Bulletins, TCP 1119.
    pub bulletins: Option<SocketAddr>,
    /// Notify, UDP 2154.
    pub notify: Option<SocketAddr>,
    /// What they hold.
    pub account: MailAccount,
}

/// Running servers; dropping them stops the listeners.
#[derive(Debug)]
pub struct MailServers {
    stop: Arc<AtomicBool>,
    bound: Vec<(&'static str, SocketAddr)>,
}

impl MailServers {
    /// Starts every server of the set-up.
    ///
    /// # Errors
    /// `LabError::Listen` where an address cannot be bound, `LabError::Start` where a thread cannot be started.
    pub fn start(setup: &MailSetup) -> Result<Self, LabError> {
        let mut servers = Self { stop: Arc::new(AtomicBool::new(false)), bound: Vec::new() };
        let tcp: [(&'static str, Option<SocketAddr>, Talk); 4] = [
            ("dnd", setup.dnd, talk_dnd),
            ("blitzmail", setup.blitzmail, talk_blitzmail),
            ("pop3", setup.pop3, talk_pop3),
            ("bulletins", setup.bulletins, talk_bulletins),
        ];
        for (service, address, talk) in tcp {
            if let Some(address) = address {
                servers.listen(service, address, talk, &setup.account)?;
            }
        }
        if let Some(address) = setup.notify {
            servers.answer_notify(address)?;
        }
        Ok(servers)
    }

    /// Where a server listens, as it was really bound.
    #[must_use]
    pub fn address(&self, service: &str) -> Option<SocketAddr> {
        self.bound.iter().find(|(name, _)| *name == service).map(|(_, address)| *address)
    }

    fn listen(
        &mut self,
        service: &'static str,
        address: SocketAddr,
        talk: Talk,
        account: &MailAccount,
    ) -> Result<(), LabError> {
        let failed = |source| LabError::Listen { service, address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        self.bound.push((service, listener.local_addr().map_err(failed)?));
        let (stop, account) = (Arc::clone(&self.stop), account.clone());
        spawn(service, move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let account = account.clone();
                        // A conversation that cannot be started is a closed connection to the client.
                        let _ = spawn(service, move || {
                            let _ = converse(&stream, talk, &account);
                        });
                    }
                    Err(_) => std::thread::sleep(POLL),
                }
            }
        })
    }

    fn answer_notify(&mut self, address: SocketAddr) -> Result<(), LabError> {
        let service = "notify";
        let failed = |source| LabError::Listen { service, address, source };
        let socket = UdpSocket::bind(address).map_err(failed)?;
        socket.set_read_timeout(Some(POLL)).map_err(failed)?;
        self.bound.push((service, socket.local_addr().map_err(failed)?));
        let stop = Arc::clone(&self.stop);
        spawn(service, move || {
            let mut datagram = [0_u8; 600];
            while !stop.load(Ordering::Relaxed) {
                let Ok((len, peer)) = socket.recv_from(&mut datagram) else { continue };
                // ATP request with user bytes "NR02": answered with status 0 (ok).
                if let Some([0x03, flags, _, tid_high, tid_low, b'N', b'R', b'0', b'2', ..]) =
                    datagram.get(..len)
                    && flags & 0xC0 == 0x40
                {
                    let reply =
                        [0x03, 0x90, 0, *tid_high, *tid_low, b'N', b'R', b'0', b'2', 0, 0, 0, 0];
                    let _ = socket.send_to(&reply, peer);
                }
            }
        })
    }
}

impl Drop for MailServers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What a server does with one line: appends its answer, and says whether the conversation goes on.
/// An empty first call (`None`) asks for the greeting.
type Talk = fn(&MailAccount, &mut State, Option<&str>, &mut Vec<u8>) -> bool;

/// What a conversation remembers.
#[derive(Default)]
struct State {
    user: String,
}

fn spawn(what: &'static str, work: impl FnOnce() + Send + 'static) -> Result<(), LabError> {
    std::thread::Builder::new()
        .name(format!("lab-{what}"))
        .spawn(work)
        .map(|_| ())
        .map_err(|source| LabError::Start { what, source })
}

fn converse(stream: &TcpStream, talk: Talk, account: &MailAccount) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    let (mut state, mut answer, mut line) = (State::default(), Vec::new(), Vec::new());
    talk(account, &mut state, None, &mut answer);
    loop {
        writer.write_all(&answer)?;
        answer.clear();
        line.clear();
        if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        if !talk(account, &mut state, Some(text.trim_end()), &mut answer) {
            return writer.write_all(&answer);
        }
    }
}

fn put(answer: &mut Vec<u8>, line: &str) {
    answer.extend_from_slice(line.as_bytes());
    answer.extend_from_slice(b"\r\n");
}

/// Splits a line into its verb in upper case and the rest.
fn verb_of(line: &str) -> (String, &str) {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    (verb.to_ascii_uppercase(), rest.trim())
}

fn talk_dnd(
    account: &MailAccount,
    _: &mut State,
    line: Option<&str>,
    answer: &mut Vec<u8>,
) -> bool {
    let Some(line) = line else {
        put(answer, "220 DND server here.");
        return true;
    };
    match verb_of(line) {
        (verb, rest) if verb == "LOOKUP" => {
            let (who, fields) = rest.split_once(',').unwrap_or((rest, ""));
            let known =
                [account.user.as_str(), account.name.as_str()].contains(&who) || who == "#60777";
            if !known {
                put(answer, "520 No match for that name.");
                return true;
            }
            let fields: Vec<&str> = fields.split_whitespace().collect();
            put(answer, &format!("101 1 {}", fields.len()));
            for field in fields {
                let value = match field.to_ascii_uppercase().as_str() {
                    "NAME" => account.name.clone(),
                    "EMAIL" => account.email.clone(),
                    "UID" => account.uid.to_string(),
                    "BLITZSERV" => format!("{}@BlitzServ", account.blitz_host),
                    "BULLSERV" => format!("{}@internet", account.bulletin_host),
                    _ => String::new(),
                };
                put(answer, &format!("110 {value}"));
            }
            put(answer, "200 Ok.");
            true
        }
        (verb, _) if verb == "QUIT" => {
            put(answer, "200 Ok.");
            false
        }
        _ => {
            put(answer, "500 Unknown command.");
            true
        }
    }
}

fn talk_blitzmail(
    account: &MailAccount,
    _: &mut State,
    line: Option<&str>,
    answer: &mut Vec<u8>,
) -> bool {
    let Some(line) = line else { return true }; // BlitzMail has no greeting
    let (verb, rest) = verb_of(line);
    match verb.as_str() {
        "VERS" => put(answer, "010 BlitzServ 3.6 POP 9/23/98"),
        "UID#" | "USER" => put(answer, "033 240147326165005023201134"),
        "PASE" => put(answer, &format!("030 {}", account.uid)),
        "FLIS" => {
            put(answer, "001 0,12,\"Trash\",40231");
            put(answer, "001 1,3,\"Sent Msgs\",912");
            put(answer, "001 2,1,\"In Box\",289");
            put(answer, &format!("000 4,2,\"{}\",1234", account.folder));
        }
        "FSUM" => put(
            answer,
            &format!(
                "000 3568897,03/31/02,19:16:11,1,\"Marion Bates\",\"{}\",\"Sleigh list for {}\",289,0,U,3200000000",
                account.name, rest
            ),
        ),
        "MESS" | "NOOP" => put(answer, "010 Ok."),
        "HEAD" | "TEXT" => {
            // Classic Mac line ends: CR alone.
            let body = if verb == "HEAD" {
                format!("From: Marion Bates\rTo: {}\rSubject: Sleigh list\r", account.name)
            } else {
                "Dear John,\rthe sleigh list is in your folder.\rMarion\r".to_owned()
            };
            put(answer, &format!("050 {}", body.len()));
            answer.extend_from_slice(body.as_bytes());
            put(answer, "010 Ok.");
        }
        "QUIT" => {
            put(answer, "010 Ok.");
            return false;
        }
        _ => put(answer, &format!("011 Unknown command: {verb}")),
    }
    true
}

fn talk_pop3(
    account: &MailAccount,
    state: &mut State,
    line: Option<&str>,
    answer: &mut Vec<u8>,
) -> bool {
    let Some(line) = line else {
        put(answer, "+OK BlitzMail POP3 Server Ready.");
        return true;
    };
    let (verb, rest) = verb_of(line);
    match verb.as_str() {
        "USER" => {
            rest.clone_into(&mut state.user);
            put(answer, "+OK Password required.");
        }
        "PASS" => put(answer, &format!("+OK {} has 1 message.", state.user)),
        "STAT" => put(answer, "+OK 1 152"),
        "LIST" => put(answer, "+OK\r\n1 152\r\n."),
        "RETR" => {
            put(answer, "+OK 152 octets");
            put(answer, &format!("From: Marion Bates\r\nTo: {} <{}>", account.name, account.email));
            put(answer, "Subject: Sleigh list\r\n\r\nThe sleigh list is in your folder.\r\n.");
        }
        "QUIT" => {
            put(answer, "+OK Bye.");
            return false;
        }
        _ => put(answer, "-ERR Unknown command."),
    }
    true
}

fn talk_bulletins(
    _: &MailAccount,
    _: &mut State,
    line: Option<&str>,
    answer: &mut Vec<u8>,
) -> bool {
    let Some(line) = line else {
        put(answer, "200 Bulletin server ready.");
        return true;
    };
    match verb_of(line).0.as_str() {
        "GROUP" => put(answer, "211 2 1 2 dartmouth.bulletins.unix"),
        "BODY" => put(answer, "222 1 body follows\r\nThe lab is open until nine.\r\n."),
        "QUIT" => {
            put(answer, "205 Bye.");
            return false;
        }
        _ => put(answer, "500 Unknown command."),
    }
    true
}
