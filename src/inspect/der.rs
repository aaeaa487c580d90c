//! Names in X.509 certificates: a small, bounded walk over DER (ITU-T X.690; RFC 5280 s4).

use super::wire::Wire;

/// Names read of one certificate; a certificate of a large site may hold hundreds.
const MAX_NAMES: usize = 64;

/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// id-ce-subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// A name in a certificate. `at` is where it begins in the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CertName<'a> {
    /// Common name of the subject, or a dNSName.
    Host { at: usize, name: &'a [u8] },
    /// rfc822Name: a mail address.
    Mail { at: usize, name: &'a [u8] },
}

/// One element: its tag, its content, and where the content begins.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    at: usize,
}

/// Reads elements one behind the other. `base` is where `bytes` begins in the certificate.
struct Der<'a> {
    wire: Wire<'a>,
    base: usize,
}

impl<'a> Der<'a> {
    const fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { wire: Wire::new(bytes), base }
    }

    fn inside(element: &Element<'a>) -> Self {
        Self::new(element.content, element.at)
    }

    /// The next element; lengths of at most three octets (X.690 s8.1.3, definite form).
    fn next(&mut self) -> Option<Element<'a>> {
        let tag = self.wire.u8()?;
        let len = match self.wire.u8()? {
            short @ 0..=0x7f => usize::from(short),
            0x81 => usize::from(self.wire.u8()?),
            0x82 => usize::from(self.wire.u16()?),
            0x83 => self.wire.u24()?,
            _ => return None,
        };
        let at = self.base.checked_add(self.wire.at())?;
        let content = self.wire.take(len)?;
        Some(Element { tag, content, at })
    }

    fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

/// Hands the names of the subject to `out`: common name and alternative names. Ends where the DER does not fit.
pub(super) fn names<'a>(certificate: &'a [u8], out: &mut dyn FnMut(CertName<'a>)) {
    let mut left = MAX_NAMES;
    let mut tell = |name| {
        if left > 0 {
            left -= 1;
            out(name);
        }
    };
    let _ = walk(certificate, &mut tell);
}

fn walk<'a>(certificate: &'a [u8], out: &mut dyn FnMut(CertName<'a>)) -> Option<()> {
    let outer = Der::new(certificate, 0).expect(0x30)?;
    let body = Der::inside(&outer).expect(0x30)?;
    let mut fields = Der::inside(&body);
    if fields.next()?.tag == 0xa0 {
        fields.next()?; // version was there, then the serial number
    }
    fields.expect(0x30)?; // signature algorithm
    fields.expect(0x30)?; // issuer
    fields.expect(0x30)?; // validity
    common_name(&fields.expect(0x30)?, out);
    fields.expect(0x30)?; // public key
    while let Some(extra) = fields.next() {
        if extra.tag == 0xa3 {
            let list = Der::inside(&extra).expect(0x30)?;
            let mut extensions = Der::inside(&list);
            while let Some(extension) = extensions.next() {
                alternative_names(&extension, out);
            }
        }
    }
    Some(())
}

fn common_name<'a>(subject: &Element<'a>, out: &mut dyn FnMut(CertName<'a>)) {
    let mut sets = Der::inside(subject);
    while let Some(set) = sets.next() {
        let mut attributes = Der::inside(&set);
        while let Some(attribute) = attributes.next() {
            let mut parts = Der::inside(&attribute);
            let (Some(kind), Some(value)) = (parts.expect(0x06), parts.next()) else { continue };
            if kind.content == COMMON_NAME {
                out(CertName::Host { at: value.at, name: value.content });
            }
        }
    }
}

fn alternative_names<'a>(extension: &Element<'a>, out: &mut dyn FnMut(CertName<'a>)) {
    let mut parts = Der::inside(extension);
    if parts.expect(0x06).is_none_or(|kind| kind.content != SUBJECT_ALT_NAME) {
        return;
    }
    let Some(mut value) = parts.next() else { return };
    if value.tag == 0x01 {
        let Some(next) = parts.next() else { return }; // critical
        value = next;
    }
    let Some(list) = Der::inside(&value).expect(0x30) else { return };
    let mut names = Der::inside(&list);
    while let Some(name) = names.next() {
        match name.tag {
            0x81 => out(CertName::Mail { at: name.at, name: name.content }),
            0x82 => out(CertName::Host { at: name.at, name: name.content }),
            _ => {}
        }
    }
}
