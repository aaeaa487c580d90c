//! Whether deflate with the fixed codes (RFC 1951 s3.2.6) breaks off at once.
//!
//! Behind a magic that stands by chance, one time in four the fixed codes are announced, and any octets are such codes for a
//! while. Sooner or later a distance leads back to in front of the first octet; mostly within ten. To see that here costs
//! little, and a decoder need not be begun.

/// Octets that are made at most before it is left to the decoder.
const MAX_OUT: usize = 64;

/// Extra bits of the length codes from 257 on, and the least length of each.
const LENGTHS: [(u32, usize); 29] = {
    let mut table = [(0, 258); 29];
    let (mut code, mut length) = (0, 3);
    while code < 28 {
        let extra = if code < 8 { 0 } else { code / 4 - 1 };
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[code as usize] = (extra, length);
        }
        length += 1 << extra;
        code += 1;
    }
    table
};

/// The same for distances.
const DISTANCES: [(u32, usize); 30] = {
    let mut table = [(0, 0); 30];
    let (mut code, mut distance) = (0, 1);
    while code < 30 {
        let extra = if code < 4 { 0 } else { code / 2 - 1 };
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[code as usize] = (extra, distance);
        }
        distance += 1 << extra;
        code += 1;
    }
    table
};

/// What was made before it broke off.
pub(super) struct Broken {
    octets: [u8; MAX_OUT],
    len: usize,
}

impl Broken {
    /// The octets.
    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, octet: u8) -> Option<()> {
        *self.octets.get_mut(self.len)? = octet;
        self.len += 1;
        Some(())
    }
}

/// Reads a block of fixed codes as far as a fault of it: a code that is none, or a distance to in front of the first octet
/// (RFC 1951 s3.2.3). None where it has none in these octets, or it comes late, or the
/// codes are others.
pub(super) fn broken(deflate: &[u8]) -> Option<Broken> {
    let mut bits = Bits { octets: deflate, at: 0 };
    if bits.take(3)? >> 1 != 1 {
        return None;
    }
    let mut broken = Broken { octets: [0; MAX_OUT], len: 0 };
    loop {
        let symbol = bits.symbol()?;
        if let Ok(literal) = u8::try_from(symbol) {
            broken.push(literal)?;
            continue;
        }
        let length = usize::from(symbol).checked_sub(257)?; // the end of the block is no fault
        let Some(&(extra, length)) = LENGTHS.get(length) else { return Some(broken) };
        let length = length + bits.take(extra)?;
        let Some(&(extra, distance)) = DISTANCES.get(bits.code(5)?) else { return Some(broken) };
        let distance = distance + bits.take(extra)?;
        let Some(from) = broken.len.checked_sub(distance) else { return Some(broken) };
        for nth in from..from + length {
            let octet = *broken.octets.get(nth)?;
            broken.push(octet)?;
        }
    }
}

/// Bits from the lowest of each octet on (RFC 1951 s3.1.1).
struct Bits<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// A number of so many bits, the lowest first.
    fn take(&mut self, count: u32) -> Option<usize> {
        let mut number = 0;
        for nth in 0..count {
            number |= self.bit()? << nth;
        }
        Some(number)
    }

    /// A code of so many bits, the highest first.
    fn code(&mut self, count: u32) -> Option<usize> {
        let mut code = 0;
        for _ in 0..count {
            code = code << 1 | self.bit()?;
        }
        Some(code)
    }

    /// A literal, or a length from 257 on.
    fn symbol(&mut self) -> Option<u16> {
        let mut code = self.code(7)?;
        if code < 0b001_1000 {
            return u16::try_from(256 + code).ok();
        }
        code = code << 1 | self.bit()?;
        let symbol = match code {
            0b0011_0000..=0b1011_1111 => code - 0b0011_0000,
            0b1100_0000..=0b1100_0111 => 280 + code - 0b1100_0000,
            _ => 144 + (code << 1 | self.bit()?) - 0b1_1001_0000,
        };
        u16::try_from(symbol).ok()
    }

    fn bit(&mut self) -> Option<usize> {
        let octet = self.octets.get(self.at / 8)?;
        let bit = octet >> (self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
    use proptest::prelude::*;

    /// What the library makes of it. It takes what lies in front of the first octet for zeros.
    fn inflate(octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(100_000);
        let _ = Decompress::new(false).decompress_vec(octets, &mut out, FlushDecompress::None);
        out
    }

    fn deflate(octets: &[u8], level: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len() + 1000);
        let mut compress = Compress::new(Compression::new(level), false);
        let status = compress.compress_vec(octets, &mut out, FlushCompress::Finish);
        assert_eq!(status.unwrap(), Status::StreamEnd);
        out
    }

    #[test]
    fn nothing_that_is_whole_is_broken() {
        let texts =
            ["", "a", "User jsmith", "aaaaaaaaaaaaaaaa bbbb aaaaaaaa", "\u{e4}\u{f6}\0\x01"];
        for text in texts {
            let out = deflate(text.as_bytes(), 9);
            assert_eq!(out[0] >> 1 & 3, 1, "fixed codes");
            for len in 0..=out.len() {
                assert!(broken(&out[..len]).is_none(), "{text} {len}");
            }
        }
    }

    #[test]
    fn most_octets_are_broken() {
        let mut state = 1_u64;
        let mut octets = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 33).to_le_bytes()[0]
        };
        let noise = std::iter::repeat_with(|| {
            let mut noise: Vec<u8> = std::iter::repeat_with(&mut octets).take(64).collect();
            noise[0] = noise[0] & !6 | 2;
            noise
        });
        let found = noise.take(1000).filter(|noise| broken(noise).is_some()).count();
        assert!((850..1000).contains(&found), "{found}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn no_text_of_any_kind_is_broken(
            octets in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..90),
                "[a-e \n]{0,300}".prop_map(String::into_bytes),
                "(User jsmith|Reindeer Games|[A-Za-z\u{e4}]){0,20}".prop_map(String::into_bytes),
            ],
            level in 1_u32..=9,
        ) {
            let out = deflate(&octets, level);
            for len in 0..=out.len().min(100) {
                prop_assert!(broken(&out[..len]).is_none(), "{}", len);
            }
        }

        #[test]
        fn what_comes_before_the_fault_is_what_the_library_makes(
            octets in proptest::collection::vec(any::<u8>(), 1..80),
            behind in proptest::array::uniform16(any::<u8>()),
        ) {
            let mut octets = octets;
            octets[0] = octets[0] & !6 | 2;
            if let Some(broken) = broken(&octets) {
                // The library reads ahead before it looks.
                octets.extend_from_slice(&behind);
                prop_assert!(inflate(&octets).starts_with(broken.octets()));
            }
        }
    }
}
