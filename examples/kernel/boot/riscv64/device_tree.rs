//! What the device tree says of the CPUs (Devicetree specification, chapter 5).

use super::OFFSET;

const MAGIC: usize = 0xd00d_feed;
const BEGIN_NODE: usize = 1;
const PROPERTY: usize = 3;
const END: usize = 9;

/// A flattened device tree.
pub struct DeviceTree(&'static [u8]);

impl DeviceTree {
    /// Returns the device tree at a physical address.
    ///
    /// # Safety
    /// The firmware has put it there, and nothing else uses the memory.
    pub unsafe fn at(address: u64) -> Self {
        let start = (OFFSET + address) as *const u8;
        // SAFETY: the header is there, and has the size of the tree.
        unsafe {
            let header = Self(core::slice::from_raw_parts(start, 8));
            assert_eq!(header.word(0), MAGIC, "a device tree");
            Self(core::slice::from_raw_parts(start, header.word(4)))
        }
    }

    /// Returns whether every CPU has an extension, whose name is in lower case.
    pub fn has_extension(&self, name: &str) -> bool {
        let has = |isa: &[u8]| {
            isa.split(|byte| b"_\0".contains(byte))
                .any(|it| it == name.as_bytes())
        };
        let mut isas = self.properties("riscv,isa").peekable();
        isas.peek().is_some() && isas.all(has)
    }

    /// Returns the values of the properties of a name, of all nodes.
    fn properties(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let mut at = self.word(8);
        let mut next = move || {
            loop {
                let token = self.word(at);
                at += 4;
                match token {
                    BEGIN_NODE => at = aligned(at + self.string(at).len() + 1),
                    PROPERTY => {
                        let (length, name) = (self.word(at), self.word(at + 4));
                        let value = &self.0[at + 8..at + 8 + length];
                        at = aligned(at + 8 + length);
                        return Some((self.string(self.word(12) + name), value));
                    }
                    END => return None,
                    _ => {} // the end of a node, or nothing
                }
            }
        };
        core::iter::from_fn(move || next())
            .filter(move |(it, _)| *it == name.as_bytes())
            .map(|(_, value)| value)
    }

    fn word(&self, at: usize) -> usize {
        let bytes = &self.0[at..at + 4];
        bytes
            .iter()
            .fold(0, |word, byte| word << 8 | usize::from(*byte))
    }

    /// Returns the string that begins at a place, without the 0 at its end.
    fn string(&self, at: usize) -> &[u8] {
        let mut strings = self.0[at..].split(|byte| *byte == 0);
        strings.next().unwrap_or_default()
    }
}

/// Returns the next place at which a token may be.
fn aligned(at: usize) -> usize {
    at.next_multiple_of(4)
}
