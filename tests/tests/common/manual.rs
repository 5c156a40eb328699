//! What an instruction drops, read off its operands with the layouts in the manuals; nothing here
//! comes from a definition.

use super::bits;

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

/// DDI 0487 D8.2: the levels of a granule, by its number in operands, from the leaf up.
pub fn arm64_levels(granule: u64) -> Vec<Level> {
    match granule {
        0b01 => vec![
            level("pte", 12, true, 3),
            level("pmd", 21, true, 2),
            level("pud", 30, true, 1),
            level("pgd", 39, false, 0),
        ],
        0b10 => vec![
            level("pte", 14, true, 3),
            level("pmd", 25, true, 2),
            level("pud", 36, false, 1),
            level("pgd", 47, false, 0),
        ],
        _ => vec![
            level("pte", 16, true, 3),
            level("pmd", 29, true, 2),
            level("pgd", 42, false, 1),
        ],
    }
}

/// SDM 3A 4.5: the levels with four or five tables, from the leaf up.
pub fn x86_levels(la57: bool) -> Vec<Level> {
    let mut levels = vec![
        level("pte", 12, true, 0),
        level("pmd", 21, true, 0),
        level("pud", 30, true, 0),
    ];
    if la57 {
        levels.push(level("p4d", 39, false, 0));
    }
    levels.push(level("pgd", if la57 { 48 } else { 39 }, false, 0));
    levels
}

/// Under what an entry is cached.
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

/// DDI 0601, the TLBI instructions. `granule` is what the tables use; panics over an operand that
/// the manual reserves or calls unpredictable.
pub fn arm64(op: &Issued, granule: u64) -> Option<Dropped> {
    let name = op.name.strip_suffix("is").unwrap_or(&op.name);
    let page = 10 + 2 * u32::try_from(granule).expect("two bits");
    let everything = |whose| Dropped {
        leaf_only: None,
        walk: Walk::Named,
        place: Place::Everything,
        whose,
    };
    let (range, kind) = match name {
        "vmalle1" => return Some(everything(Whose::Any)),
        "aside1" => {
            let word = op.operand("space");
            assert_eq!(bits(word, 47, 0), 0, "ASIDE1: [47:0] is RES0");
            return Some(everything(Whose::Tag(bits(word, 63, 48))));
        }
        "vale1" | "vae1" | "vaale1" | "vaae1" => (false, name),
        "rvale1" | "rvae1" | "rvaale1" | "rvaae1" => (true, &name[1..]),
        _ => return None,
    };
    let any = kind.starts_with("vaa");
    let operand = match (range, any) {
        (false, false) => "page",
        (false, true) => "page_any",
        (true, false) => "range",
        (true, true) => "range_any",
    };
    let word = op.operand(operand);
    let asid = bits(word, 63, 48);
    assert!(!any || asid == 0, "{name}: [63:48] is RES0");
    let (hint, place) = if range {
        assert_eq!(
            bits(word, 47, 46),
            granule,
            "another granule: nothing need be dropped"
        );
        let (scale, num) = (bits(word, 45, 44), bits(word, 43, 39));
        let start = sign_extended(bits(word, 36, 0), 37) << page;
        let hint = bits(word, 38, 37);
        let aligned = match (granule, hint) {
            (_, 0b00 | 0b11) => page,
            (0b01, 0b10) => 21,
            (0b01, 0b01) => 30,
            (0b10, 0b10) => 25,
            (0b11, 0b10) => 29,
            _ => panic!("{name}: level {hint} is no hint at this granule"),
        };
        assert_eq!(
            start % (1 << aligned),
            0,
            "{name}: BaseADDR is not aligned to TTL"
        );
        let count = (num + 1) << (5 * scale + 1);
        (
            hint,
            Place::Points {
                start,
                step: page,
                count,
            },
        )
    } else {
        let start = sign_extended(bits(word, 43, 0), 44) << 12;
        assert_eq!(
            start % (1 << page),
            0,
            "{name}: the address is that of a page"
        );
        let (tg, hint) = (bits(word, 47, 46), bits(word, 45, 44));
        assert!(
            tg == 0 && hint == 0 || tg == granule,
            "{name}: another granule"
        );
        let reserved = tg != 0 && (hint == 0 || tg == 0b10 && hint == 1);
        assert!(!reserved, "{name}: TTL {tg:#b} {hint} is no hint");
        (
            hint,
            Place::Points {
                start,
                step: page,
                count: 1,
            },
        )
    };
    Some(Dropped {
        leaf_only: (hint != 0).then_some(hint),
        walk: match (kind.ends_with("ae1"), hint, range) {
            // With a hint RSQXYZ promises nothing of the plain form.
            (false, ..) | (true, 1.., false) => Walk::Stay,
            (true, 0, _) => Walk::Named,
            (true, _, true) => Walk::NamedAbove(hint),
        },
        place,
        whose: if any {
            Whose::Any
        } else {
            Whose::TagOrGlobal(asid)
        },
    })
}

/// What the machine is, as far as its instructions depend on it.
#[derive(Debug, Clone, Copy)]
pub struct X86 {
    /// EFER.TCE.
    pub tce: bool,
    /// CR4.LA57.
    pub la57: bool,
    /// CR4.PCIDE.
    pub pcid: bool,
    /// The most pages of one INVLPGB.
    pub most: u64,
    /// ADL063, RPL042.
    pub alder_lake: bool,
    /// Whether PCIDs that mean the same on every CPU are in use.
    pub shared: bool,
    /// The PCID in CR3.
    pub loaded: u64,
}

/// SDM 2 and 3A 4.10.4.1, APM 3. Panics over an operand that raises #GP or does nothing.
pub fn x86(op: &Issued, cpu: &X86) -> Option<Dropped> {
    let canonical = |va: u64| {
        let width = if cpu.la57 { 57 } else { 48 };
        assert_eq!(
            va,
            sign_extended(va, width),
            "not canonical: nothing is dropped"
        );
        va
    };
    let everything = |whose| Dropped {
        leaf_only: None,
        walk: Walk::Named,
        place: Place::Everything,
        whose,
    };
    let one = |start| Place::Points {
        start: canonical(start),
        step: 12,
        count: 1,
    };
    match op.name.as_str() {
        "invlpg" => Some(Dropped {
            leaf_only: None,
            walk: if cpu.tce { Walk::Named } else { Walk::All },
            place: one(bits(op.operand("va"), 63, 0)),
            whose: if cpu.alder_lake && cpu.pcid {
                Whose::Tag(cpu.loaded)
            } else {
                Whose::TagOrGlobal(cpu.loaded)
            },
        }),
        "invpcid" => {
            let word = op.operand("descriptor");
            assert_eq!(bits(word, 63, 12), 0, "INVPCID: #GP");
            let (va, pcid) = (bits(word, 127, 64), bits(word, 11, 0));
            let kind = bits(op.operand("kind"), 63, 0);
            assert!(
                cpu.pcid || kind >= 2 || pcid == 0,
                "INVPCID without PCIDs: #GP"
            );
            Some(match kind {
                0 => Dropped {
                    place: one(va),
                    ..everything(Whose::Tag(pcid))
                },
                1 => everything(Whose::Tag(pcid)),
                2 => everything(Whose::Any),
                3 => everything(Whose::Tags),
                _ => panic!("INVPCID: #GP"),
            })
        }
        "mov_cr3" => Some(everything(Whose::Tag(cpu.loaded))),
        "mov_cr4" => Some(everything(Whose::Any)),
        "invlpgb" => {
            let (rax, ecx, edx) = (op.operand("rax"), op.operand("ecx"), op.operand("edx"));
            assert_eq!(
                (bits(rax, 11, 6), bits(edx, 31, 28), bits(ecx, 30, 16)),
                (0, 0, 0),
                "#GP"
            );
            assert_eq!(bits(edx, 15, 0), 0, "the host is ASID 0");
            let flags = bits(rax, 5, 0);
            let count = bits(ecx, 15, 0) + 1;
            assert!(count <= cpu.most, "INVLPGB of {count} pages: #GP");
            assert_eq!(
                flags & 0b11_0100,
                0b00_0100,
                "ASID compared, leaves and more, no guests"
            );
            let place = if flags & 1 == 0 {
                Place::Everything
            } else {
                Place::Points {
                    start: canonical(bits(rax, 63, 12) << 12),
                    step: if bits(ecx, 31, 31) == 1 { 21 } else { 12 },
                    count,
                }
            };
            let pcid = bits(edx, 27, 16);
            let (whose, walk) = match (flags & 0b10 != 0, flags & 0b1000 != 0) {
                (true, false) => (Whose::Tag(pcid), Walk::Named),
                (true, true) => (Whose::TagOrGlobal(pcid), Walk::Named),
                (false, false) => (Whose::Tags, Walk::Named),
                // Of walk entries under other PCIDs at an address nothing is promised.
                (false, true) if flags & 1 == 1 => (Whose::Any, Walk::Stay),
                (false, true) => (Whose::Any, Walk::Named),
            };
            Some(Dropped {
                leaf_only: None,
                walk,
                place,
                whose,
            })
        }
        _ => None,
    }
}
