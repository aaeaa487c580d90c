//! Fixed-width numbers in either byte order.

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    /// Least significant octet first.
    Little,
    /// Most significant octet first.
    Big,
}

impl ByteOrder {
    /// The 16-bit number at `at`, where there is one.
    pub(super) fn u16(self, octets: &[u8], at: usize) -> Option<u16> {
        let raw = *octets.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(raw),
            Self::Big => u16::from_be_bytes(raw),
        })
    }

    /// The 32-bit number at `at`, where there is one.
    pub(super) fn u32(self, octets: &[u8], at: usize) -> Option<u32> {
        let raw = *octets.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(raw),
            Self::Big => u32::from_be_bytes(raw),
        })
    }

    /// The 64-bit number at `at`, where there is one.
    pub(super) fn u64(self, octets: &[u8], at: usize) -> Option<u64> {
        let raw = *octets.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u64::from_le_bytes(raw),
            Self::Big => u64::from_be_bytes(raw),
        })
    }
}

/// `value` as an index; saturating where the machine's words are short.
pub(super) fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// `len` as a 64-bit count; saturating.
pub(super) fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
