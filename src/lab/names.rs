//! A name server that knows a few names: A and AAAA over UDP (RFC 1035 s4), every name in any case.

use super::error::LabError;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it looks whether it is to stop.
const POLL: Duration = Duration::from_millis(20);
const HEADER: usize = 12; // RFC 1035 s4.1.1
const A: u16 = 1;
const AAAA: u16 = 28;

/// The server; ends with the value.
#[derive(Debug)]
pub struct NameServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Answers at an address for these names; any other does not exist.
    ///
    /// # Errors
    /// Where the address cannot be taken.
    pub fn start(at: SocketAddr, names: Vec<(String, IpAddr)>) -> Result<Self, LabError> {
        let failed = |source| LabError::Listen { service: "name", address: at, source };
        let socket = UdpSocket::bind(at).map_err(failed)?;
        socket.set_read_timeout(Some(POLL)).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut question = [0; 512];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut question) else { continue };
                if let Some(answer) = answer(question.get(..len).unwrap_or_default(), &names) {
                    // Who asked will ask again.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(question: &[u8], names: &[(String, IpAddr)]) -> Option<Vec<u8>> {
    let mut at = HEADER;
    let mut name = String::new();
    loop {
        let len = usize::from(*question.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        let label = question.get(at..at + len)?;
        name = format!("{name}{}.", String::from_utf8_lossy(label).to_ascii_lowercase());
        at += len;
    }
    let kind = u16::from_be_bytes([*question.get(at)?, *question.get(at + 1)?]);
    let end = at + 4;
    let known: Vec<IpAddr> = names
        .iter()
        .filter(|(it, _)| *it == name.trim_end_matches('.'))
        .map(|(_, ip)| *ip)
        .collect();
    let fitting: Vec<Vec<u8>> = known
        .iter()
        .filter_map(|ip| match (ip, kind) {
            (IpAddr::V4(ip), A) => Some(ip.octets().to_vec()),
            (IpAddr::V6(ip), AAAA) => Some(ip.octets().to_vec()),
            _ => None,
        })
        .collect();
    let code = if known.is_empty() { 3 } else { 0 }; // NXDOMAIN
    let mut message = question.get(..2)?.to_vec();
    message.extend([0x85, 0x80 | code, 0, 1, 0, u8::try_from(fitting.len()).ok()?, 0, 0, 0, 0]);
    message.extend(question.get(HEADER..end)?);
    for data in fitting {
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 5, 0, u8::try_from(data.len()).ok()?]);
        message.extend(data);
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] =
        b"\x01\x02\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06dasher\x02EX\x00\x00\x01\x00\x01";

    #[test]
    fn a_name_is_answered_in_any_case_and_another_does_not_exist() {
        let names = vec![("dasher.ex".to_owned(), "10.77.1.30".parse().unwrap())];
        let known = answer(QUESTION, &names).unwrap();
        assert!(known.ends_with(&[10, 77, 1, 30]));
        let other = answer(QUESTION, &[]).unwrap();
        assert_eq!(other[3] & 15, 3);
    }

    #[test]
    fn a_question_cut_anywhere_is_left() {
        for end in 0..QUESTION.len() - 2 {
            let _ = answer(&QUESTION[..end], &[]);
        }
    }
}
