//! Options of pcapng blocks (draft-ietf-opsawg-pcapng section 3.5).

use crate::source::octets::ByteOrder;

/// All comments of a block, joined: a long text is written as several.
pub(super) fn comment<'a>(options: impl Iterator<Item = Opt<'a>>) -> String {
    let octets: Vec<u8> = options
        .filter(|option| option.code == 1)
        .flat_map(|option| option.value)
        .copied()
        .collect();
    String::from_utf8_lossy(&octets).into_owned()
}

/// An option of a block. Section 3.5.
pub(super) struct Opt<'a> {
    /// `opt_comment`, `if_name`, ...; the meaning above 1 depends on the block.
    pub(super) code: u16,
    /// Without padding.
    pub(super) value: &'a [u8],
}

/// The options of a block, up to `opt_endofopt` or the first that does not fit.
pub(super) struct Options<'a> {
    order: ByteOrder,
    left: &'a [u8],
}

impl<'a> Options<'a> {
    /// The options in `octets`, which end with the block's body.
    pub(super) fn new(order: ByteOrder, octets: &'a [u8]) -> Self {
        Self { order, left: octets }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Opt<'a>;

    fn next(&mut self) -> Option<Opt<'a>> {
        let code = self.order.u16(self.left, 0).filter(|code| *code != 0)?;
        let len = usize::from(self.order.u16(self.left, 2)?);
        let value = self.left.get(4..4 + len)?;
        let end = (4 + len).next_multiple_of(4);
        self.left = self.left.get(end..).unwrap_or_default();
        Some(Opt { code, value })
    }
}
