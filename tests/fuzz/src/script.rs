//! Reads the octets of the fuzzer as a script: numbers and runs, zeros where the octets are at their end.

/// The octets that are left.
#[derive(Clone, Copy)]
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Little endian.
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from(self.u8()) | u16::from(self.u8()) << 8
    }

    /// Little endian.
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// The next `n` octets, or what is left.
    pub(crate) fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// A run: its length in 16 bits, then its octets.
    pub(crate) fn run(&mut self) -> &'a [u8] {
        let n = usize::from(self.u16());
        self.take(n)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }
}

/// Small numbers that look random and are the same each time (xorshift).
pub(crate) struct Dice(u32);

impl Dice {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9) | 1)
    }

    /// 1 to `most`.
    pub(crate) fn roll(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        1 + self.0 as usize % most
    }
}

/// Ends the process with the two sides, shortened to where they differ.
pub(crate) fn assert_alike(what: &str, left: &[String], right: &[String]) {
    if left == right {
        return;
    }
    let at = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let shown = |list: &[String]| {
        list.iter().take(at + 8).skip(at).cloned().collect::<Vec<_>>().join("\n  ")
    };
    panic!(
        "{what}: {} and {} of them, the first difference is number {at}:\n  {}\nand\n  {}",
        left.len(),
        right.len(),
        shown(left),
        shown(right)
    );
}
