//! The effects of instructions, decoded from their operands by the layouts in the manuals. Only names come from definitions.
//!
//! The types are those of arm64 and x86-64, which drop by address and by tag; powerpc64 has its own.

pub mod arm64;
pub mod powerpc64;
pub mod x86_64;

/// A level of tables: its name, log2 of what an entry reaches, whether it may be a leaf, and the
/// number that arm64's TTL has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// As Linux names it.
    pub name: &'static str,
    /// log2 of the reach.
    pub shift: u32,
    /// Whether an entry may map a page.
    pub leaf: bool,
    /// The number in a level hint.
    pub ttl: u64,
}

const fn level(name: &'static str, shift: u32, leaf: bool, ttl: u64) -> Level {
    Level {
        name,
        shift,
        leaf,
        ttl,
    }
}

/// The tag of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// This ASID or PCID.
    Tag(u64),
    /// Any ASID or PCID that the request does not know of.
    OtherTag,
    /// None: a global leaf.
    Global,
}

/// Entries that an instruction drops by their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Of one tag.
    Tag(u64),
    /// Of one tag, and global leaves.
    TagOrGlobal(u64),
    /// Of every tag.
    Tags,
    /// All.
    Any,
}

impl Whose {
    fn has(self, key: Key, leaf: bool) -> bool {
        match (self, key) {
            (Self::Any, _) | (Self::Tags, Key::Tag(_) | Key::OtherTag) => true,
            (Self::Tag(own) | Self::TagOrGlobal(own), Key::Tag(tag)) => own == tag,
            // A global bit makes leaves global, never walk entries.
            (Self::TagOrGlobal(_), Key::Global) => leaf,
            _ => false,
        }
    }
}

/// Addresses that an instruction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// All.
    Everything,
    /// `count` addresses from `start`, `1 << step` bytes apart.
    Points {
        /// The first.
        start: u64,
        /// log2 of the distance.
        step: u32,
        /// How many.
        count: u64,
    },
}

/// What one instruction drops.
#[derive(Debug, Clone, Copy)]
pub struct Dropped {
    /// Leaves of this level alone, by its TTL number; of any where there is none.
    pub leaf_only: Option<u64>,
    /// Which walk entries.
    pub walk: Walk,
    /// At which addresses.
    pub place: Place,
    /// Whose leaves and walk entries.
    pub whose: Whose,
}

/// Which walk entries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// None.
    Stay,
    /// Those over the addresses named.
    Named,
    /// Those over the addresses named, of levels above this TTL number.
    NamedAbove(u64),
    /// All of them, whatever the addresses.
    All,
}

impl Dropped {
    /// Whether it drops leaves of a level.
    pub fn leaf(&self, level: Level, key: Key) -> bool {
        self.whose.has(key, true) && self.leaf_only.is_none_or(|ttl| ttl == level.ttl)
    }

    /// Where it drops walk entries of a level.
    pub fn walk(&self, level: Level, key: Key) -> Option<Place> {
        let place = match self.walk {
            Walk::Stay => None,
            Walk::Named => Some(self.place),
            Walk::NamedAbove(ttl) => (level.ttl < ttl).then_some(self.place),
            Walk::All => Some(Place::Everything),
        };
        place.filter(|_| self.whose.has(key, false))
    }
}

/// One instruction as it was issued: its name and its operands.
#[derive(Debug, Clone)]
pub struct Issued {
    /// As the definition names it.
    pub name: String,
    /// By name.
    pub operands: Vec<(String, u128)>,
}

impl Issued {
    fn operand(&self, name: &str) -> u128 {
        let found = self.operands.iter().find(|(known, _)| known == name);
        found
            .unwrap_or_else(|| panic!("{} has no {name}", self.name))
            .1
    }
}

/// The address of which these are bits 55 to 12, or fewer: bit 55 chooses the half.
fn sign_extended(low: u64, width: u32) -> u64 {
    (low << (64 - width))
        .cast_signed()
        .wrapping_shr(64 - width)
        .cast_unsigned()
}
