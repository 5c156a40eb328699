use tlbc_runtime::pte::Entry;

/// What may be done with a page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    pub const READ: Self = Self(1);
    pub const WRITE: Self = Self(1 << 1);
    pub const EXECUTE: Self = Self(1 << 2);

    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// The format of table entries: one implementation a machine, in `boot/`.
pub trait Format {
    /// A page of user code.
    fn user_page(page: u64, rights: Rights) -> u64;
    /// A page of the kernel, to be read and written.
    fn kernel_page(page: u64, global: bool) -> u64;
    /// A table.
    fn table(table: u64) -> u64;
    /// The same entry, whose page must not be written.
    fn without_write(bits: u64) -> u64;
    /// The same entry, whose page may be written.
    fn with_write(bits: u64) -> u64;
    /// What an entry says, of the lowest level or of another one.
    fn decode(bits: u64, lowest: bool) -> Entry;
}
